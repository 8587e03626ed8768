# The Coro::AIO that comes with Coro, on this IO::AIO.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

BEGIN {
    eval { require Coro; require AnyEvent::AIO; 1 } or plan skip_all => 'needs Coro and AnyEvent::AIO';
    (my $own = $INC{'Coro.pm'}) =~ s{Coro\.pm\z}{Coro/AIO.pm};
    -e $own or plan skip_all => 'Coro came without its Coro::AIO';
    require $own;
    $Coro::AIO::VERSION eq $Coro::VERSION or plan skip_all => 'another Coro::AIO lies where Coro\'s own belongs';
    $INC{'Coro/AIO.pm'} = $own;
    Coro::AIO->import;
}

use AIOTest;
use Coro;
use CoroAIOTest;

AnyEvent::detect();
Coro::AIO::aio_nop();

subtest 'what is there' => sub {
    no strict 'refs';
    for my $name (@IO::AIO::AIO_REQ) {
        ok(defined &$name, "$name is exported");
        isnt(\&$name, \&{"IO::AIO::$name"}, "$name is wrapped");
    }
    is(Coro::AIO::nreqs(), 0, 'a call by full name');
    is(Coro::AIO::O_RDWR(), IO::AIO::O_RDWR(), 'a constant by full name');
};

each_engine { check_requests() };
each_engine { check_failures() };
each_engine { check_waiting() };
each_engine { check_many() };
each_engine { check_storm() };
each_engine { check_channel() };

done;
