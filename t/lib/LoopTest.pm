package LoopTest;

# What has to work in every event loop that watches IO::AIO's descriptor. The test file installs the watcher; its
# block runs one turn of the loop, waiting for events.

use strict;
use warnings;

use AIOTest;
use Exporter 'import';
use Fcntl;
use IO::AIO;
use Test::More;

our @EXPORT = qw(poll_handle check_loop check_exception);

# For loops that want a handle: one of its own, so that closing it does no harm.
sub poll_handle {
    open my $fh, '<&', IO::AIO::poll_fileno() or die "dup: $!";
    $fh;
}

sub turns {
    my ($turn, $done) = @_;
    $turn->() until $done->();
}

# To be called within each_engine. $timer->($code) has the loop call $code as soon as it can.
sub check_loop {
    my ($turn, $timer) = @_;
    my $dir = fresh_dir();

    # One request leads to the next.
    my @log;
    my $ended = 0;
    aio_open "$dir/file", O_RDWR | O_CREAT, 0600, sub {
        my $fh = shift or return $ended = push @log, "open: $!";
        aio_write $fh, 0, undef, 'hello', 0, sub {
            push @log, "write $_[0]";
            aio_stat $fh, sub {
                push @log, 'size ' . -s _;
                my $data = '';
                aio_read $fh, 0, 99, $data, 0, sub {
                    push @log, "read $_[0] $data";
                    aio_unlink "$dir/none", sub { push @log, "unlink $_[0] " . errno_name($!); $ended = 1 };
                };
            };
        };
    };
    turns($turn, sub { $ended });
    is(join(', ', @log), 'write 5, size 5, read 5 hello, unlink -1 ENOENT', 'a chain of requests');

    # Many at once, each of which makes one more.
    my $calls = 0;
    aio_stat $dir, sub { aio_nop sub { $calls++ } } for 1 .. 500;
    turns($turn, sub { $calls == 500 });
    is(IO::AIO::nreqs(), 0, 'a thousand requests are done');

    # With limits, poll_cb leaves the descriptor readable and is called again.
    IO::AIO::max_poll_reqs(7);
    $calls = 0;
    aio_nop sub { $calls++ } for 1 .. 100;
    turns($turn, sub { $calls == 100 });
    is($calls, 100, 'no result is left behind by max_poll_reqs');
    IO::AIO::max_poll_reqs(0);

    # A group that is fed.
    my ($fed, $members) = (0, 0);
    my $group = aio_group sub { $ended = 'group' };
    $group->limit(5);
    $group->feed(sub {
        return if $fed++ == 50;
        $group->add(aio_lstat $dir, sub { $members++ });
    });
    turns($turn, sub { $ended eq 'group' });
    is($members, 50, 'a group with a feeder');

    # The loop goes on while requests do not.
    ours {
        hold();
        ($calls, my $ticks) = (0, 0);
        aio_nop sub { $calls++ };
        my $tick; $tick = sub { ++$ticks < 5 ? $timer->($tick) : undef $tick };
        $timer->($tick);
        turns($turn, sub { $ticks == 5 });
        is($calls, 0, 'the loop runs while a request waits');
        release();
        turns($turn, sub { $calls });
        is($calls, 1, 'the request is answered when it may run');
    } 'hang: requests do not leave its hold';
}

# A callback dies: $turn->() returns or dies as the loop has it. What is behind it in the queue comes nevertheless.
sub check_exception {
    my ($turn, $seen) = @_;
    my ($after, $died) = (0, 0);
    aio_nop sub { $died = 1; die "from a callback\n" };
    aio_nop sub { $after++ } for 1 .. 3;
    turns(sub { eval { $turn->(); 1 } or $$seen .= $@ }, sub { $died && $after == 3 });
    like($$seen, qr/from a callback/, 'an exception in a callback reaches the loop');
    is($after, 3, 'and takes no other result with it');
}

1;
