use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Config;
use IO::AIO;

# Perl code where one does not expect it: arguments, feeders, hooks and callbacks that pull the rug
# from under the call that runs them.

{
    package Magic;    # a scalar that runs code when it is read
    sub TIESCALAR { my ($class, $code) = @_; bless { code => $code }, $class }
    sub FETCH     { $_[0]{code}->() }
    sub STORE     { }
}

sub magic(&) { tie my $scalar, 'Magic', $_[0]; \$scalar }

# Freed memory is taken again at once by things that would be noticed.
sub reuse { map { my $n = $_; sub { $n } } 1 .. 20 }

each_engine {
    my @log;

    # -- a callback that only the caller's variable holds
    our $callback;
    for my $i (1 .. 20) {
        $callback = sub { push @log, "$i: @_" };
        my $path = magic { undef $callback; reuse(); tmpdir() };
        aio_stat($$path, $callback);
        my @junk = reuse();
        IO::AIO::flush();
    }
    is(join(' ', map "$_: 0", 1 .. 20), "@log", 'a callback dropped by magic of another argument is called');

    # -- a callback in a tied variable
    @log = ();
    my $n  = 0;
    my $cb = magic { my $i = ++$n; sub { push @log, $i } };
    aio_nop($$cb) for 1 .. 3;
    IO::AIO::flush();
    is("@log", '1 2 3', 'a tied callback is read each time');

    # -- a data scalar whose store takes the callback away
    {
        my $req;
        my $data = magic { '' };
        no warnings 'redefine';
        local *Magic::STORE = sub { $req->cb(undef); reuse() };
        my $called = 0;
        open my $fh, '<', $0 or die "$0: $!";
        $req = aio_read($fh, 0, 10, $$data, 0, sub { $called++ });
        IO::AIO::flush();
        is(IO::AIO::nreqs(), 0, 'a callback taken away by a store');
        is($called, 0, 'is not called');
    }

    # -- [wd, path] that is emptied while it is read
    my $wd;
    aio_wd('/', sub { $wd = $_[0] });
    IO::AIO::flush();
    my $bad = 0;
    for (1 .. 20) {
        my @pair = (undef, join '', 'dev');
        tie $pair[0], 'Magic', sub { @pair = (); my @junk = map "junk$_" x 20, 1 .. 50; $wd };
        aio_stat(\@pair, sub { $bad++ if $_[0] });
        IO::AIO::flush();
    }
    is($bad, 0, 'elements of a path outlive their array');
};

each_engine {
    # -- arguments of group methods that finish the group
    for my $method (qw(errno limit result feed add cb)) {
        my $group = aio_group(sub { });
        my ($req, $calls, $wrong) = (undef, 0, 0);
        my $arg = magic {
            IO::AIO::flush();
            $req ||= aio_stat('/', sub { $calls++ });    # where the group was
            $method =~ /feed|cb/ ? sub { $wrong++ } : $method eq 'add' ? $req : 5;
        };
        my $ok = eval { $group->$method($$arg); 1 };
        is($ok ? 1 : 0, $method eq 'cb' ? 1 : 0, "$method of a group that its argument finishes");
        like($@, qr/^$method: .*finished/, "$method: a clear message") unless $ok;
        IO::AIO::flush();
        is("$calls $wrong", '1 0', "$method: another request is not disturbed");
    }

    # -- the next-submit hook polls, and is set again, between member and group of a composite
    my $rounds = 0;
    my $hook;
    $hook = sub { IO::AIO::flush(); IO::AIO::_on_next_submit($hook) if $rounds++ < 1 };
    IO::AIO::_on_next_submit($hook);
    my @got;
    aio_scandir('/', 0, sub { push @got, scalar @_ });
    IO::AIO::flush();
    is("@got", '2', 'a composite request whose hook polls has its results');
    undef $hook;

    # -- and so have all of them, whichever way it polls
    my $dir = fresh_dir;
    my %composite = (
        copy     => sub { aio_copy "$dir/file", "$dir/copy", $_[0] },
        move     => sub { aio_move "$dir/file", "$dir/moved", $_[0] },
        rmtree   => sub { mkdir "$dir/tree"; aio_rmtree "$dir/tree", $_[0] },
        load     => sub { aio_load "$dir/file", my $data, $_[0] },
        pathsync => sub { aio_pathsync "$dir/file", $_[0] },
    );
    my %way = (
        poll_cb   => sub { IO::AIO::poll_cb() },
        flush     => sub { IO::AIO::flush() },
        poll_wait => sub { IO::AIO::poll_wait(); IO::AIO::poll_cb() },
    );
    for my $way (sort keys %way) {
        for my $name (sort keys %composite) {
            write_file "$dir/file", '';
            my @results;
            IO::AIO::_on_next_submit($way{$way});
            my $lived = eval { $composite{$name}->(sub { push @results, "@_" }); IO::AIO::flush(); 1 };
            ok($lived, "$name with a hook that calls $way") or diag($@);
            is("@results", '0', 'has its result, once');
        }
    }

    # -- the hook is consumed while it is replaced
    my $next = magic { aio_nop(); sub { } };
    for my $i (1 .. 5) {
        IO::AIO::_on_next_submit(sub { $i });
        IO::AIO::_on_next_submit($$next);
    }
    aio_nop();
    IO::AIO::flush();
    is(IO::AIO::nreqs(), 0, 'a hook that goes while the next is set');
};

each_engine {
    # -- a feeder that polls to the end of its own group
    my ($n, $done, $after, @keep) = (0, 0, 0);
    my $group = aio_group(sub { $done++ });
    $group->feed(sub {
        IO::AIO::flush();
        push @keep, aio_load("$FindBin::Bin/$FindBin::Script", my $data, sub { $after = $_[0] });
        $n++;
    });
    IO::AIO::flush();
    is("$n $done", '1 1', 'a feeder may poll until its group is done');
    is($after, -s "$FindBin::Bin/$FindBin::Script", 'and the next request is not disturbed');

    # -- the same when called for a member that is done
    ($n, $done) = (0, 0);
    $group = aio_group(sub { $done++ });
    $group->limit(1);
    $group->feed(sub { $n++ ? IO::AIO::flush() : $group->add(aio_nop()) });
    IO::AIO::flush();
    is("$n $done", '2 1', 'also within the poll');

    # -- a feeder dies, and so does what handles the warning, or the exception cannot be printed
    {
        package Unprintable;
        use overload '""' => sub { die 'not printable' }, bool => sub { die 'not to be asked' };
    }
    for my $error ('plain', bless [], 'Unprintable') {
        local $SIG{__WARN__} = sub { die "in the handler: @_" };
        ($n, $done) = (0, 0);
        $group = aio_group(sub { $done++ });
        $group->limit(1);
        $group->feed(sub { die $error if $n++; $group->add(aio_nop()) });
        open my $stderr, '>&', \*STDERR or die "stderr: $!";
        open STDERR, '>', '/dev/null' or die "/dev/null: $!";    # perl tells of it "(in cleanup)"
        my $ok = eval { IO::AIO::flush(); 1 };
        open STDERR, '>&', $stderr or die "stderr: $!";
        close $stderr;
        IO::AIO::flush();
        is("$n $done", '2 1', 'a feeder that dies does not keep its group from finishing');
        ok($ok, 'nor its poll') or diag($@);
    }

    # -- exit in a feeder, in a poll and in the call that sets it
    for my $first (0, 1) {
        my ($status, $out, $err) = run_perl(<<'PROGRAM', $first);
            use IO::AIO;
            my $n = shift;
            my $group = aio_group sub { print "group\n" };
            $group->limit(1);
            $group->feed(sub { exit 7 if $n++; $group->add(aio_nop) });
            IO::AIO::flush;
            END { print "end\n" }
PROGRAM
        is($status >> 8, 7, 'exit in a feeder exits') or diag($err);
        is($out, "end\ngroup\n", 'and the group finishes at the end');
    }

    # -- exit in a feeder that has added something: it is not called again
    {
        my ($status, $out, $err) = run_perl(<<'PROGRAM');
            use IO::AIO;
            my $group = aio_group sub { print "group\n" };
            $group->feed(sub { print "feed\n"; $group->add(aio_nop sub { print "nop\n" }); exit 7 });
            END { print "end\n" }
PROGRAM
        is($status >> 8, 7, 'exit after adding something') or diag($err);
        is($out, "feed\nend\nnop\ngroup\n", 'ends the feeding');
    }
};

# -- leaving a feeder or a hook for a loop or label of the program: that would be another run of what comes after
each_engine {
    no warnings 'exiting';
    my @ways = (sub { last }, sub { next }, sub { redo }, sub { last LOOP }, sub { goto OUT });
    for my $way (@ways) {
        my (@warnings, $done, $after);
        local $SIG{__WARN__} = sub { push @warnings, @_ };
        LOOP: for my $i (1 .. 2) {
            my $group = aio_group(sub { $done++ });
            $group->feed($way);
            $after++;
            IO::AIO::_on_next_submit($way);
            aio_nop(sub { $done++ });
            $after++;
        }
        OUT: IO::AIO::flush();
        is("$after $done", '4 4', 'what comes after a feeder or hook that would leave its loop runs once');
        is(scalar(grep /^IO::AIO: feeder died: (?:Can't|Label not found)/, @warnings), 2, 'and a warning tells');
    }
};

each_engine {
    # -- flush and its kin in the callback of a member
    my @log;
    my $outer = aio_group(sub { push @log, 'outer' });
    my $group = aio_group(sub { push @log, 'group' });
    $outer->add($group);
    $group->add(aio_nop(sub {
        aio_stat('/', sub { push @log, 'stat' });
        IO::AIO::flush();
        push @log, 'flushed';
        IO::AIO::poll_wait();
        IO::AIO::poll();
        IO::AIO::max_outstanding(1);
        IO::AIO::poll_cb();
        push @log, IO::AIO::nreqs();
        my $inner = aio_group(sub { push @log, 'inner' });
        $group->add($inner);
        $inner->add(aio_nop(sub { IO::AIO::flush(); push @log, 'deep' }));
        IO::AIO::flush();
    }));
    IO::AIO::flush();
    is("@log", 'stat flushed 0 deep inner group outer', 'a flush does not wait for groups that wait for it');
};

# -- requests dropped by reinit, or by a fork in a callback
each_engine {
    saturate() or return pass('nothing is dropped while it executes');
    my $dropped = IO::AIO::aio_busy(0.01, sub { });
    IO::AIO::max_parallel(2);
    wait_for { !IO::AIO::nready() };
    IO::AIO::reinit();
    my $done  = 0;
    my $group = aio_group(sub { $done++ });
    eval { $group->add($dropped) };
    IO::AIO::flush();
    is("$done " . IO::AIO::nreqs(), '1 0', 'a request that was dropped cannot hold a group');
    release();
};

each_engine {
    my $pid;
    pipe my $r, my $w or die "pipe: $!";
    {
        my $token = Token->new($w);
        my $group = aio_group(sub { $token });
        $group->add(aio_nop(sub { defined($pid = fork) or die "fork: $!" }));
    }
    IO::AIO::flush();
    if (!$pid) {
        IO::AIO::poll_cb();
        POSIX::_exit(0);
    }
    close $w;
    waitpid $pid, 0;
    is(scalar readline $r, "child\n", 'groups above the callback that forks are freed in the child');
};

{
    package Token;
    sub new { bless { pid => $$, w => $_[1] }, $_[0] }
    sub DESTROY { syswrite $_[0]{w}, "child\n" if $$ != $_[0]{pid} }
}

# -- a stat cache whose handle goes away in a nested poll
each_engine {
    my $dir = fresh_dir();
    my $ok;
    aio_nop(sub {
        open my $fh, '<', $0 or die "$0: $!";
        stat $fh;
        aio_stat($dir, sub { undef $fh; my @junk = map { open my $h, '<', $0; $h } 1 .. 5 });
        IO::AIO::flush();
        $ok = -f _;
        no warnings;
        -T _;
    });
    IO::AIO::flush();
    ok($ok, '_ outlives its handle');
};

# -- threads of threads: an ancestor may be gone before its descendants end
SKIP: {
    skip 'no threads', 1 unless $Config{useithreads};
    my ($status, $out, $err) = run_perl(<<'PROGRAM');
        use threads;
        use IO::AIO;
        for (1 .. 3) {
            our $inner;
            my $tid = threads->create(sub {
                $inner = threads->create(sub { aio_nop; IO::AIO::flush; fork or POSIX::_exit(0); wait });
                $inner->tid;
            })->join;
            my $thread = threads->object($tid);
            $thread->join if $thread;
        }
        use POSIX ();
        print "ok\n";
PROGRAM
    is($out, "ok\n", 'threads that outlive the one that made them') or diag("status $status: $err");
}

done;
