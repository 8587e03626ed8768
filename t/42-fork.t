use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl qw(:DEFAULT);
use POSIX ();
use IO::AIO;

# fork: the parent goes on; in the child the module is as if it had not been used, with no call to anything.
# The blocks of in_child run in a child and give back what is compared here.

# Requests are outstanding from here on: waiting ones, and on engines with workers one that runs.
sub keep_busy { saturate || hold }

# A child after hold has to end that as well: limits are inherited.
sub go_on_in_child { IO::AIO::max_parallel(8); IO::AIO::min_parallel(8) }

sub counters { join ' ', IO::AIO::nreqs(), IO::AIO::nready(), IO::AIO::npending() }

# Has the wakeup descriptor announce a result: "1 1" when it does and poll_cb calls back.
sub select_and_poll {
    my ($dir) = @_;
    my ($done, $ready) = (0, '');
    aio_readdir $dir, sub { $done++ };
    vec($ready, IO::AIO::poll_fileno, 1) = 1;
    my $n = select $ready, undef, undef, 60;
    IO::AIO::poll_cb;
    "$n $done";
}

each_engine {
    my ($engine) = @_;
    my $dir  = fresh_dir;
    my $file = write_file "$dir/file", 'x' x 77;
    my $fd   = IO::AIO::poll_fileno;

    # waiting and running requests
    my @log;
    keep_busy;
    sysopen my $append, "$dir/log", O_CREAT | O_WRONLY | O_APPEND or die "log: $!";
    my $data = 'once';
    aio_write $append, undef, undef, $data, 0, sub { push @log, $_[0] };
    aio_nop sub { push @log, 'nop' };
    my $req   = aio_nop sub { push @log, 'kept' };
    my $group = aio_group sub { push @log, 'group' };
    add $group aio_nop sub { push @log, 'member' };
    my $buf = 'content';
    open my $fh, '<', $file or die "$file: $!";
    aio_read $fh, 0, 5, $buf, 0, sub { push @log, "read $_[0]" };
    my $in_parent = IO::AIO::nreqs;

    my @child = in_child {
        my @saw = (counters(), IO::AIO::poll_cb(), poll_ready() ? 'readable' : 'silent', "@log");
        go_on_in_child();
        my $stat;
        aio_stat $file, sub { $stat = $_[0] || -s _ };
        IO::AIO::flush;
        (@saw, $stat, "@log", IO::AIO::poll_fileno());
    };
    is_deeply([@child[0 .. 3]], ['0 0 0', 0, 'silent', ''], 'the child has no requests');
    is($child[4], 77, 'and can make some');
    is($child[5], '', 'those of the parent are not called back there');
    is($child[6], $fd, 'poll_fileno is the same number');
    is(IO::AIO::nreqs, $in_parent, 'in the parent they are all there');

    @child = in_child {
        my @died = map { eval { $_->(); 1 } ? () : $@ } sub { $req->cancel }, sub { $req->cb(sub { }) }, sub { $group->cancel };
        my $add = eval { add $group aio_nop; 1 } ? 'added' : 'refused';
        (scalar @died, $add, defined $req->cb ? 'has a callback' : 'none');
    };
    ours { is("@child", '0 refused none', 'objects of the parent\'s requests are done in the child') } 'keeps them';

    my $changed = in_child { eval { $buf .= '!'; $buf =~ tr/a-z/A-Z/; $buf } || $@ };
    ours { is($changed, 'CONTENT!', 'a buffer in flight is free in the child') } 'clears it';
    $changed = in_child { eval { $data .= '!' } || $@ };
    ours { is($changed, 'once!', 'and data that is being written') } 'keeps it locked';

    release;
    IO::AIO::flush;
    is("@{[sort @log]}", '4 group kept member nop read 5', 'the parent gets all its results');
    is($buf, 'xxxxx', 'the buffer is filled');
    is(read_file("$dir/log"), 'once', 'and each request ran once');

    # from within the callback of a member: the parent's group is not one to wait for in vain, nor does it
    # keep the child from waiting
    for my $depth (1 .. 3) {
        my (@inside, @groups);
        unshift @groups, aio_group sub { push @inside, 'group' } for 1 .. $depth;
        add { $groups[$_ - 1] } $groups[$_] for 1 .. $#groups;
        add { $groups[-1] } aio_nop sub {
            @inside = in_child {
                my @stat;
                aio_stat $file, sub { push @stat, $_[0] || -s _ } for 1 .. 3;
                my $count = IO::AIO::nreqs;
                IO::AIO::flush;
                ($count, @stat);
            };
        };
        IO::AIO::flush;
        is("@inside", "3 77 77 77" . ' group' x $depth, "a child of a callback in $depth groups");
    }

    # results that wait to be polled
    @log = ();
    aio_nop sub { push @log, $$ } for 1 .. 5;
    wait_for { IO::AIO::npending >= 5 };
    is_deeply([in_child { IO::AIO::flush; (counters(), scalar @log) }], ['0 0 0', 0], 'results are not there in the child');
    IO::AIO::flush;
    is("@log", join(' ', ($$) x 5), 'but in the parent');

    # the poll descriptor is the child's own
    my $readable = in_child {
        my $before = poll_ready() ? 'early ' : '';
        aio_nop sub { };
        my $after = poll_ready(10) ? 'readable ' : 'silent ';
        IO::AIO::poll_cb;
        $before . $after . (poll_ready() ? 'still' : 'no more');
    };
    is($readable, 'readable no more', 'poll_fileno works in the child');
    pipe my $r, my $w or die "pipe: $!";
    defined(my $pid = fork) or die "fork: $!";
    unless ($pid) {
        IO::AIO::reinit if is_peer;
        aio_nop sub { };
        wait_for { IO::AIO::npending };
        syswrite $w, 'x';
        sleep 60;
        POSIX::_exit(0);
    }
    sysread $r, my $ready, 1;
    ok(!poll_ready, 'a result in the child does not wake the parent');
    kill KILL => $pid;
    waitpid $pid, 0;
    is(in_child { poll_ready() ? 1 : 0 }, 0, 'nor the reverse');

    # children of children, and many
    is_deeply(
        [
            in_child {
                my ($e1, $one) = run_req { aio_stat $file, $_[0] };
                my @two = in_child { my ($e2, $two) = run_req { aio_stat $file, $_[0] }; ($two, counters()) };
                my ($e3, $three) = run_req { aio_stat $file, $_[0] };
                ($one, @two, $three);
            }
        ],
        [0, 0, '0 0 0', 0],
        'a child of a child works as well'
    );
    my $count = 0;
    my $sum   = 0;
    for (1 .. 10) {
        aio_stat $file, sub { $count++ if !$_[0] } for 1 .. 100;
        $sum += in_child { my $n = 0; aio_stat $file, sub { $n++ if !$_[0] } for 1 .. 10; IO::AIO::flush; $n };
    }
    IO::AIO::flush;
    is("$count $sum", '1000 100', 'ten forks under load');
    aio_stat $file, sub { $count++ } for 1 .. 100;
    is(`echo hello`, "hello\n", 'backticks');
    is(system('true'), 0, 'and system');
    IO::AIO::flush;
    is($count, 1100, 'do not disturb');

    # reinit
    ours {
        is(in_child { IO::AIO::reinit(); my ($e, $got) = run_req { aio_stat $file, $_[0] }; $got }, 0, 'reinit in a child is harmless');
        keep_busy;
        my $called = 0;
        aio_nop sub { $called++ } for 1 .. 3;
        my $req = aio_read $fh, 0, 1, $buf, 0, sub { $called++ };
        IO::AIO::reinit;
        is(counters(), '0 0 0', 'reinit drops everything');
        is(eval { $buf = 'free'; 1 }, 1, 'and frees buffers of requests that did not run');
        release;
        IO::AIO::flush;
        is($called, 0, 'nothing of it is called back');
        my ($errno, $got) = run_req { aio_stat $file, $_[0] };
        is($got, 0, 'and the module can be used');
        IO::AIO::max_parallel(0);
        IO::AIO::reinit;
        aio_nop sub { $got = 'called' };
        IO::AIO::flush;
        is($got, 'called', 'the limits are the defaults again');
        $req->cancel;
    } 'crashes';

    # a daemon closes all descriptors, and opens its files under their numbers
    is(in_child {
        my $old = IO::AIO::poll_fileno;
        open my $log, '>', "$dir/log" or die "$dir/log: $!";
        POSIX::dup2(fileno $log, $old) or die "dup2: $!";
        IO::AIO::reinit;
        return join ' ', IO::AIO::poll_fileno == $old ? 'the old number' : 'another', select_and_poll($dir), -s "$dir/log";
    }, 'another 1 1 0', 'reinit replaces a wakeup descriptor that was closed, and leaves what has its number alone');
    unlink "$dir/log";

    # with the old number as the lowest that is free, and with a lower one
    for my $lower (0, 1) {
        is(in_child {
            my @fill;
            do { push @fill, POSIX::dup(1) } while $fill[-1] < IO::AIO::poll_fileno;
            POSIX::close(IO::AIO::poll_fileno);
            POSIX::close(0) if $lower;
            IO::AIO::reinit;
            return select_and_poll($dir);
        }, '1 1', 'the same with nothing in its place' . ($lower ? ', nor in that of a lower number' : ''));
    }

    # one that nobody has closed stays what it was
    my $number = IO::AIO::poll_fileno;
    IO::AIO::reinit;
    is(IO::AIO::poll_fileno, $number, 'otherwise the number stays') unless is_peer;

    my ($errno, $wd) = run_req { aio_wd $dir, $_[0] };
    is(in_child { my ($e, $got) = run_req { aio_stat [$wd, 'file'], $_[0] }; $got }, 0, 'a working directory object works in the child');

    # a child that ends as any program does
    my ($status, $out, $err) = run_perl(<<'PERL', $file);
        use IO::AIO; use POSIX (); $| = 1;
        pipe my $r, my $w or die;
        my $sync = $ENV{IO_AIO_ENGINE} && $ENV{IO_AIO_ENGINE} eq 'sync';
        if ($sync) { IO::AIO::max_parallel 0 } else { IO::AIO::aio_read $r, undef, 1, my $buf, 0 }
        aio_nop sub { print "parent callback\n" };
        END { print "END of ", $main::child ? "child" : "parent", "\n" }
        my $pid = fork;
        if (!$pid) { $main::child = 1; IO::AIO::reinit if $ARGV[1]; exit 3 }
        waitpid $pid, 0;
        print "child ", $? >> 8, "\n";
        syswrite $w, "x";
        IO::AIO::max_parallel 8 if $sync;
PERL
    ours {
        is($out, "END of child\nchild 3\nEND of parent\nparent callback\n",
            'a child that exits does not wait for the parent\'s requests');
        is("$status$err", '0', 'both end well');
    } 'waits for them';
};

done;
