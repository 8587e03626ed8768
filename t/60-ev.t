use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use LoopTest;
use Test::More;
use Fcntl;
use IO::AIO;

# The module in the EV event loop.

plan skip_all => 'EV is not installed' unless eval { require EV; 1 };

each_engine {
    check_programs(
        name  => 'EV',
        load  => 'require EV',
        watch => 'require EV; push @keep, EV::io(IO::AIO::poll_handle, EV::READ(), \&IO::AIO::poll_cb)',
        run   => 'EV::run()',
        fork  => 'EV::default_loop()->loop_fork',
        stop  => 'EV::break()',
        turns => 'EV::run(EV::RUN_NOWAIT())',
    );
};

each_engine {
    my ($engine) = @_;
    my $watcher = EV::io(IO::AIO::poll_fileno(), EV::READ(), \&IO::AIO::poll_cb);

    # open, read and close, one after the other
    my $file = write_file tmpdir . '/file', "some text\n";
    my $text = '';
    aio_open $file, O_RDONLY, 0, sub {
        my $fh = shift or die "$file: $!";
        my $size = -s $fh;
        aio_read $fh, 0, $size, $text, 0, sub {
            is($_[0], $size, 'read in the loop');
            close $fh;
            EV::break();
        };
    };
    EV::run();
    is($text, "some text\n", 'the text');

    # many requests, and timers go on meanwhile
    my ($done, $ticks) = (0, 0);
    my $timer = EV::timer(0, 0.0001, sub { $ticks++ });
    my $more;
    $more = sub {
        if (++$done < 500) { aio_stat $file, $more }
        else               { EV::break() }
    };
    aio_stat $file, $more;
    EV::run();
    is($done, 500, 'five hundred requests one after the other');
    cmp_ok($ticks, '>', 0, 'a timer ticked meanwhile');
    undef $timer;
    undef $more;

    $done = 0;
    aio_stat $file, sub { EV::break() if ++$done == 1000 } for 1 .. 1000;
    EV::run();
    is($done, 1000, 'a thousand at once');

    # with a limit the loop comes back for the rest
    IO::AIO::max_poll_reqs(10);
    $done = 0;
    aio_nop sub { EV::break() if ++$done == 100 } for 1 .. 100;
    EV::run();
    is($done, 100, 'with max_poll_reqs');
    IO::AIO::max_poll_reqs(0);

    # an exception reaches the loop, which goes on
    my @died;
    {
        no warnings 'once';
        local $EV::DIED = sub { push @died, $@ };
        IO::AIO::max_parallel(1);
        aio_nop sub { die "in a callback\n" };
        aio_nop sub { EV::break() };
        EV::run();
        reset_limits;
    }
    is("@died", "in a callback\n", 'a callback that dies');
    $@ = '';
    IO::AIO::flush;

    # the loop is not called for nothing
    my $calls = 0;
    $watcher = EV::io(IO::AIO::poll_fileno(), EV::READ(), sub { $calls++; IO::AIO::poll_cb() });
    EV::run(EV::RUN_NOWAIT()) for 1 .. 10;
    is($calls, 0, 'an idle module does not wake the loop');

    # a group in a loop that ends by itself
    my $order = '';
    my $group = aio_group sub { $order .= 'group'; undef $watcher };
    add $group aio_nop(sub { $order .= 'member ' }), aio_nop(sub { $order .= 'member ' });
    EV::run();
    is($order, 'member member group', 'the loop ends when the watcher is gone');
};

done;
