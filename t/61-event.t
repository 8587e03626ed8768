use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use LoopTest;
use Test::More;
use Fcntl;
use IO::AIO;

# The module in the Event event loop.

plan skip_all => 'Event is not installed' unless eval { require Event; 1 };

each_engine {
    check_programs(
        name  => 'Event',
        load  => 'require Event',
        watch => 'require Event; push @keep, Event->io(fd => IO::AIO::poll_handle, poll => "r", cb => \&IO::AIO::poll_cb)',
        run   => 'Event::loop()',
        stop  => 'Event::unloop()',
        turns => 'Event::one_event(0)',
    );
};

each_engine {
    my $watcher = Event->io(fd => IO::AIO::poll_fileno(), poll => 'r', cb => \&IO::AIO::poll_cb);

    my $file = write_file tmpdir . '/file', "some text\n";
    my $text = '';
    aio_open $file, O_RDONLY, 0, sub {
        my $fh = shift or die "$file: $!";
        my $size = -s $fh;
        aio_read $fh, 0, $size, $text, 0, sub {
            is($_[0], $size, 'read in the loop');
            close $fh;
            Event::unloop();
        };
    };
    Event::loop();
    is($text, "some text\n", 'the text');

    my $done = 0;
    aio_stat $file, sub { Event::unloop() if ++$done == 500 } for 1 .. 500;
    Event::loop();
    is($done, 500, 'five hundred at once');
    $watcher->cancel;

    # with a low priority and a limit of time
    $watcher = Event->io(fd => IO::AIO::poll_fileno(), poll => 'r', nice => 1, cb => \&IO::AIO::poll_cb);
    IO::AIO::max_poll_time(0.000001);
    $done = 0;
    aio_nop sub { Event::unloop() if ++$done == 50 } for 1 .. 50;
    Event::loop();
    is($done, 50, 'with max_poll_time');
    $watcher->cancel;
};

done;
