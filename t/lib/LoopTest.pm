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

our @EXPORT = qw(check_loop check_exception check_programs);

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

# ---- programs ------------------------------------------------------------------------------------

# How programs use the module in a loop, each way in a program of its own: by the manual's lines, which $loop{watch}
# has, and by attach. All of them watch in a sub, in a module that was loaded before the loop.
#
#     load   loads the loop
#     watch  watches IO::AIO::poll_handle in it; what has to be kept goes to @keep
#     run    runs it until $done is true
#     stop   what a callback does besides setting $done, to end that
#     turns  has the loop look for events, without waiting for any
#     fork   what has to be done in a child, if anything, without attach
#
# $AIOTest::engine is that of the programs.
sub check_programs {
    my (%loop) = @_;
    return if is_peer || thinned;    # programs do not see the engine
    my $lib = fresh_dir();
    $_ //= '' for @loop{qw(stop fork)};
    for my $way (qw(watch attach)) {
        write_file "$lib/Watching.pm", "package Watching; use strict; use warnings; use IO::AIO; our \@keep;
            sub start { " . ($way eq 'attach' ? 'IO::AIO::attach' : $loop{watch}) . "; return }
            1;\n";
        my $in_child = $way eq 'watch' ? $loop{fork} : '';
        my $program = sub {
            my ($main) = @_;
            my $code = "use strict; use warnings; use lib '$lib'; use Watching; use IO::AIO; use POSIX ();
                our (\$done, \$calls);
                $loop{load};
                # a request finished at once, one by a worker, one more
                sub job {
                    my (\$who) = \@_;
                    (\$done, \$calls) = (0, 0);
                    aio_stat '/', sub {
                        my \$status = shift;
                        IO::AIO::aio_busy 0.001, sub {
                            \$calls++;
                            aio_nop sub { syswrite STDOUT, qq(\$who \$status\\n); \$done = 1; $loop{stop} };
                        };
                    };
                }
                sub run { $loop{run} }
                sub turns { for (1 .. 3) { $loop{turns} } }
                sub in_child {
                    my (\$code) = \@_;
                    defined(my \$pid = fork) or die qq(fork: \$!);
                    if (!\$pid) { alarm 8; $in_child; \$code->(); POSIX::_exit(0) }
                    waitpid \$pid, 0;
                    syswrite STDOUT, qq(child: \$?\\n) if \$?;
                }
                alarm 9; # where nothing is heard, nothing ends
                $main";
            return run_perl($code);
        };
        my ($status, $out, $err) = $program->(q{
            Watching::start();
            job('first'); run();
            in_child(sub {
                job('child'); run();
                in_child(sub { job('grandchild'); run() });
                job('child again'); run();
            });
            job('parent'); run();
            in_child(sub { Watching::start(); job('child that watches again'); run() });
            job('parent again'); run();
            POSIX::_exit(0);
        });
        is($out, "first 0\nchild 0\ngrandchild 0\nchild again 0\nparent 0\nchild that watches again 0\nparent again 0\n",
            "$way in a sub of a module, and in children") or diag $err;
        is($status, 0, 'exit status');

        ($status, $out, $err) = $program->(q{
            in_child(sub { Watching::start(); job("child $_"); run() }) for 1 .. 2;
            Watching::start();
            job('parent'); run();
            POSIX::_exit(0);
        });
        is($out, "child 1 0\nchild 2 0\nparent 0\n", "$way in children only, then in the parent") or diag $err;

        next if $way eq 'watch';
        ($status, $out, $err) = $program->(q{
            Watching::start() for 1 .. 3;
            job('attached'); run();
            my $name = IO::AIO::detach();
            aio_nop sub { $calls++ };
            job('later');
            $calls = 0;
            vec(my $bits = '', IO::AIO::poll_fileno, 1) = 1;
            select my $ready = $bits, undef, undef, 20;
            turns();
            syswrite STDOUT, "$name, $calls calls when detached\n";
            syswrite STDOUT, "again: '" . IO::AIO::detach() . "'\n";
            syswrite STDOUT, IO::AIO::attach() . "\n";
            run();
            IO::AIO::detach();
            IO::AIO::flush;
            POSIX::_exit(0);
        });
        is($out, "attached 0\n$loop{name}, 0 calls when detached\nagain: ''\n$loop{name}\nlater 0\n", 'detach and attach') or diag $err;

        # the program, or a stream object, uses the descriptor as it likes
        ($status, $out, $err) = $program->(q{
            Watching::start();
            my $fh = IO::AIO::poll_handle;
            $fh->blocking(1);
            job('blocking'); run();
            close $fh;
            IO::AIO::poll_handle; # open again, for loops that ask for its number each time
            job('closed'); run();
            IO::AIO::poll_handle->blocking(0);
            $done = 0;
            aio_stat '/', sub { sysread $fh, my $buf, 4096; job('read') };
            run();
            undef $fh;
            open $fh, '<&', IO::AIO::poll_fileno;
            in_child(sub { sysread $fh, my $buf, 4096 if IO::AIO::poll_handle });
            job('read by a child'); run();
            POSIX::_exit(0);
        });
        is($out, "blocking 0\nclosed 0\nread 0\nread by a child 0\n", 'the handle is closed and read') or diag $err;
    }
}

1;
