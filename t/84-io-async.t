# IO::Async: the loop that it chooses, and the two that it always has.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

BEGIN { eval { require IO::Async::Loop; require IO::Async::Handle; 1 } or plan skip_all => 'needs IO::Async' }

use AIOTest;
use LoopTest;
use IO::AIO;
use IO::Async::Loop::Poll;
use IO::Async::Loop::Select;
use IO::Async::Timer::Countdown;

my %seen;
my @loops = grep !$seen{ ref $_ }++,
    IO::Async::Loop->new, IO::Async::Loop::Poll->new, IO::Async::Loop::Select->new;
for my $loop (@loops) {
    $loop->later(sub { });
    $loop->loop_once;    # what a loop opens belongs to the state at the start
}

each_engine {
    for my $kind (qw(Poll Select)) {
        local $ENV{IO_ASYNC_LOOP} = $kind;
        check_programs(
            name  => 'IO::Async::Loop',
            load  => 'require IO::Async::Loop; my $loop = IO::Async::Loop->new',
            watch => 'require IO::Async::Loop;
                IO::Async::Loop->new->watch_io(handle => IO::AIO::poll_handle, on_read_ready => \&IO::AIO::poll_cb)',
            run   => '$loop->run unless $done',
            stop  => '$loop->stop',
            turns => '$loop->loop_once(0)',
        );
    }
};

each_engine {
    for my $loop (@loops) {
        (my $name = ref $loop) =~ s/.*:://;
        note $name;
        my $turn   = sub { $loop->loop_once };
        my $handle = IO::Async::Handle->new(
            read_handle   => IO::AIO::poll_handle,
            on_read_ready => \&IO::AIO::poll_cb,
        );
        $loop->add($handle);
        check_loop($turn, sub { $loop->later($_[0]) });
        check_exception($turn, \my $seen);
        $loop->remove($handle);

        # The lower level, and a loop that runs until it is told to stop.
        my $fh = IO::AIO::poll_handle;
        $loop->watch_io(handle => $fh, on_read_ready => \&IO::AIO::poll_cb);
        aio_stat tmpdir, sub { $loop->stop($_[0]) };
        is($loop->run, 0, "watch_io in $name");

        # A future of the loop.
        my $future = $loop->new_future;
        my $data;
        aio_load write_file(tmpdir . '/future', 'text'), $data, sub {
            $_[0] < 0 ? $future->fail("load: $!") : $future->done($data);
        };
        is($future->get, 'text', "a future of $name");
        $loop->unwatch_io(handle => $fh, on_read_ready => 1);
    }
};

done;
