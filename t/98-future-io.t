# Future::IO on IO::AIO, and Future::AIO on other implementations of Future::IO.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

BEGIN {
    plan skip_all => 'is about ours' if $ENV{AIOTEST_PEER};
    eval { require Future::IO; 1 } or plan skip_all => 'needs Future::IO';
}

use AIOTest;
use Errno qw(EBADF ECHILD);
use Future::AIO;
use Future::IO::Impl::AIO;
use IO::Handle;
use IO::Poll qw(POLLIN POLLNVAL POLLOUT);
use Socket;
use Time::HiRes qw(CLOCK_MONOTONIC clock_gettime);

is($Future::IO::IMPL, 'Future::IO::Impl::AIO', 'it is chosen by loading it');

# What others have to say about an implementation; how long things take is none of it here.
SKIP: {
    eval { require Test::Future::IO::Impl; 1 } or skip 'Test::Future::IO::Impl is not installed', 1;
    no warnings qw(once redefine);
    local *Test::Future::IO::Impl::time_about = sub { $_[0]->(); pass($_[2] =~ s/ seconds$//r) };
    usual_engine { Test::Future::IO::Impl::run_tests(qw(accept connect sleep sysread syswrite waitpid)) };
}

# ---- files ---------------------------------------------------------------------------------------

each_engine {
    my $dir = fresh_dir();
    open my $fh, '+>', "$dir/file" or die $!;
    Future->needs_all(map Future::IO->syswrite($fh, "line $_\n"), 1 .. 9)->get;
    is(read_file("$dir/file"), join('', map "line $_\n", 1 .. 9), 'writes to one file are in order');
    sysseek $fh, 0, 0;
    my @reads = map Future::IO->sysread($fh, 7), 1 .. 9;
    is(join('', map scalar $_->get, reverse @reads), join('', map "line $_\n", reverse 1 .. 9), 'and so are reads, however they are awaited');
    is_deeply([Future::IO->sysread($fh, 7)->get], [], 'nothing at the end');

    sysseek $fh, 0, 0;
    hold();
    @reads = map Future::IO->sysread($fh, 7), 1 .. 6;
    $_->cancel for @reads[0, 2, 5];
    release();
    is(join('', map scalar $_->get, @reads[1, 3, 4]), "line 1\nline 2\nline 3\n", 'what is cancelled in time leaves the position alone');
    is(Future::IO->sysread($fh, 99)->get, join('', map "line $_\n", 4 .. 9), 'the last one as well');
    my $next = Future::IO->syswrite($fh, "a\n")->then(sub { Future::IO->syswrite($fh, "b\n") });
    my $last = Future::IO->syswrite($fh, "c\n");
    Future->needs_all($next, $last)->get;
    is(read_file("$dir/file") =~ s/.*9\n//sr, "a\nc\nb\n", 'a sequence goes on behind what was there before');
    is(Future::IO->sysread_until_eof(do { open my $in, '<', "$dir/file" or die $!; $in })->get, read_file("$dir/file"),
        'what Future::IO makes of it');

    open my $in,  '<', "$dir/file" or die $!;
    open my $out, '>', "$dir/out"  or die $!;
    for (['sysread', $out, 5], ['syswrite', $in, 'text']) {
        my ($name, $file, $arg) = @$_;
        my $future = Future::IO->$name($file, $arg);
        $future->await;
        my @failure = $future->failure;
        my $errno = do { local $! = EBADF; $! };
        is_deeply([@failure[0, 1]], ["$name: $errno\n", $name], "$name of the wrong direction fails");
        is($failure[2], $file, 'with the handle');
        is($failure[3] + 0, EBADF, 'and the error');
        Future::IO->$name($in, 1)->await;
    }
    ok(Future::IO->sysread($in, 5)->get, 'which holds nobody up');
    close $in;
    is(IO::AIO::nreqs(), 0, 'nothing is left');
};

# What one file waits for holds up no other; what is executed counts, what only waits does not.
each_engine {
    my $dir = fresh_dir();
    open my $one, '+>', "$dir/one" or die $!;
    open my $two, '+>', "$dir/two" or die $!;
    hold();
    my @writes = map Future::IO->syswrite($_ % 2 ? $one : $two, $_), 1 .. 8;
    is(IO::AIO::nready(), 2, 'one request for each file is on its way');
    release();
    Future->needs_all(@writes)->get;
    is(read_file("$dir/one") . read_file("$dir/two"), '13572468', 'in order');

    my $child = do {
        hold();
        my $first = Future::IO->syswrite($one, 'x');
        my $child = in_child { release(); Future::IO->syswrite($one, 'child')->get };
        release();
        $first->get;
        $child;
    };
    is($child, 5, 'a child does not wait for what its parent has begun');
};

# ---- all else ------------------------------------------------------------------------------------

each_engine {
    my $dir = fresh_dir();
    my $path = write_file("$dir/file", 'x' x 1000);
    socketpair my $here, my $there, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die $!;
    $_->blocking(0) for $here, $there;

    # A socket, files, times, all at once.
    my $log = '';
    my $read = Future::IO->sysread($here, 5)->on_done(sub { $log .= "read $_[0]\n" });
    my $wait = Future::IO->sleep(0.01)->then(sub { aio_stat $path })
        ->then(sub { $log .= 'stat ' . $_[0]->size . "\n"; Future::IO->syswrite($there, 'hello') });
    Future->needs_all($read, $wait)->get;
    is($log, "stat 1000\nread hello\n", 'a socket, a file and a time');

    my $timeout = Future->wait_any(Future::IO->sysread($here, 5), Future::IO->sleep(0.01)->then_fail("too slow\n"));
    $timeout->await;
    is($timeout->failure, "too slow\n", 'a timeout');
    hold();
    $timeout = Future->wait_any(aio_stat($path), Future::IO->sleep(0.01)->then_fail("too slow\n"));
    $timeout->await;
    is($timeout->failure, "too slow\n", 'of a request');
    release();
    IO::AIO::flush();

    my $begin = clock_gettime(CLOCK_MONOTONIC);
    my @order;
    my @sleeps = map { my $n = $_; Future::IO->sleep($n / 500)->on_done(sub { push @order, $n }) } 5, 1, 4, 2, 3, 3;
    $sleeps[2]->cancel;
    Future->wait_all(@sleeps)->get;
    is("@order", '1 2 3 3 5', 'times come in order');
    cmp_ok(clock_gettime(CLOCK_MONOTONIC) - $begin, '>=', 0.01, 'not before they are due');

    # Those that wait for the same come one after the other; reading and writing do not wait for each other.
    my @reads = map Future::IO->sysread($here, 2), 1 .. 3;
    is(Future::IO->syswrite($here, 'out')->get, 3, 'a write while a read waits');
    syswrite $there, 'aabbcc';
    is(join('|', map scalar $_->get, @reads), 'aa|bb|cc', 'reads of a socket in order');
    is(Future::IO::Impl::AIO->poll($here, POLLIN | POLLOUT)->get & POLLOUT, POLLOUT, 'poll: the events');
    sysread $there, my $out, 99;
    is($out, 'out', 'the other side');
    close $there;
    is_deeply([Future::IO->sysread($there, 5)->then(sub { 'read' }, sub { Future->done("@_[1 .. 1]") })->get], ['sysread'], 'a closed handle');
    is_deeply([Future::IO->sysread($here, 5)->get], [], 'and the end on the other side');

    my $gone = Future::IO->waitpid($$);
    $gone->await;
    is(($gone->failure)[3] + 0, ECHILD, 'no child');
    $? = 77;
    my $pid = fork // die $!;
    if (!$pid) { exec $^X, '-e', 'exit 7' or POSIX::_exit(1) }
    is(Future::IO->waitpid($pid)->get >> 8, 7, 'a child');
    is($?, 77, '$? is left alone');
    croaks { Future::AIO::Future->new->get } qr/nothing is outstanding/, 'nothing to wait for';
};

SKIP: {
    IO::AIO::pidfd_open($$) or skip 'no pidfd_open here', 1;
    no warnings 'redefine';
    local *IO::AIO::pidfd_open = sub { $! = Errno::ENOSYS; undef };
    my $pid = fork // die $!;
    if (!$pid) { exec $^X, '-e', 'exit 7' or POSIX::_exit(1) }
    is(Future::IO->waitpid($pid)->get >> 8, 7, 'a child, where there is no pidfd_open');
}

# ---- another implementation ----------------------------------------------------------------------

each_engine {
    my ($status, $out, $err) = run_perl(<<'PERL', $0);
        use strict; use warnings;
        package Other {
            use parent "Future::IO::ImplBase";
            use Time::HiRes qw(time);
            our (@times, @reads);
            sub add { my ($list, $what) = @_; push @$list, [$what, my $f = Other::Future->new]; $f->on_cancel(sub { @$list = grep $_->[1] != $f, @$list }) }
            sub ready_for_read { add(\@reads, $_[1]) }
            sub sleep { add(\@times, time + $_[1]) }
        }
        package Other::Future {
            use parent "Future";
            sub await {
                my ($self) = @_;
                until ($self->is_ready) {
                    my $bits = "";
                    vec($bits, fileno $_->[0], 1) = 1 for @Other::reads;
                    my ($next) = sort { $a <=> $b } map $_->[0] - Time::HiRes::time(), @Other::times;
                    select $bits, undef, undef, defined $next && $next < 0 ? 0 : $next;
                    my (@now, @later);
                    push @{ vec($bits, fileno $_->[0], 1) ? \@now : \@later }, $_ for splice @Other::reads;
                    @Other::reads = @later; @later = ();
                    push @{ $_->[0] <= Time::HiRes::time() ? \@now : \@later }, $_ for splice @Other::times;
                    @Other::times = @later;
                    $_->[1]->done for @now;
                }
                return $self;
            }
        }
        package main;
        use Future::IO;
        use Future::AIO;
        Other->APPLY;
        my $path = shift;
        sub by_other { Future::IO->sleep(0.01)->then(sub { aio_stat $path })->then(sub { Future->done($_[0]->size == -s $path ? "ok" : "?") }) }
        sub by_ours { aio_stat($path)->then(sub { my $s = $_[0]->size; Future::IO->sleep(0.01)->then_done($s == -s $path ? "ok" : "?") }) }
        print by_other()->get, "\n", by_ours()->get, "\n";
        print map "$_\n", Future->needs_all(by_ours(), by_other(), by_ours())->get;
        IO::AIO::max_parallel(0);
        my $late = Future->wait_any(aio_stat($path), Future::IO->sleep(0.01)->then_fail("late\n"));
        $late->await;
        print $late->failure;
        IO::AIO::max_parallel(8);
        print Future::AIO::aio_busy(0.01)->then_done("and then\n")->get;
PERL
    is($out, join("\n", ('ok') x 5, 'late', 'and then', ''), 'an implementation of others');
    is("$status $err", '0 ', 'no error');
};

done;
