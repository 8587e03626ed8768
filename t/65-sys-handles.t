use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use SysTest;
use Test::More;
use Fcntl qw(:DEFAULT :seek);
use POSIX ();
use Socket;
use IO::AIO;

# The calls that make descriptors of other kinds than files: what the new handles are like, close-on-exec above
# all, and what they can do.

my ($NONBLOCK, $CLOEXEC) = (O_NONBLOCK, IO::AIO::O_CLOEXEC());    # on Linux also for sockets
my $dir  = tmpdir;
my $file = write_file "$dir/in", join '', map { "line $_\n" } 1 .. 1000;

{
    package Counted;
    sub TIESCALAR { my ($class, $value) = @_; bless { value => $value, fetched => 0, stored => 0 }, $class }
    sub FETCH { my ($self) = @_; $self->{fetched}++; $self->{value} }
    sub STORE { my ($self, $value) = @_; $self->{stored}++; $self->{value} = $value }
}

# The number that an eventfd or timerfd is read for, or the name of the error.
sub read_number {
    my ($fh) = @_;
    my $buf;
    sysread($fh, $buf, 8) ? unpack('Q', $buf) : errno_name($!);
}

# ---- handles -------------------------------------------------------------------------------------

# The same is true of all new handles.
sub check_handle {
    my ($fh, $mode, $name, $cloexec) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    like(*$fh, qr/^\*IO::AIO::fd#\d+$/, "$name: a glob");
    is(ref \$fh, 'GLOB', "$name: not a reference");
    is_deeply([PerlIO::get_layers($fh)], ['unix', 'perlio'], "$name: layers");
    is(fl_flags($fh) & O_ACCMODE, $mode, "$name: access mode");
    my $test = sub { is(fd_flags($fh), $cloexec ? FD_CLOEXEC : 0, $name . ': close-on-exec is ' . ($cloexec ? 'set' : 'not set')) };
    $cloexec ? $test->() : ours { $test->() } 'looks at $^F only';
    my $fd = fileno $fh;
    undef $fh;
    undef $_[0];
    ok(!-e "/proc/self/fd/$fd", "$name: closed with the last reference") if -d '/proc/self/fd';
}

my %new = (    # the flag for close-on-exec, and a call with flags
    eventfd      => [IO::AIO::EFD_CLOEXEC, sub { &IO::AIO::eventfd(0, @_) }],
    memfd_create => [IO::AIO::MFD_CLOEXEC, sub { &IO::AIO::memfd_create('test', @_) }],
    timerfd      => [IO::AIO::TFD_CLOEXEC, sub { &IO::AIO::timerfd_create(IO::AIO::CLOCK_MONOTONIC, @_) }],
);
for my $name (sort keys %new) {
    my ($cloexec, $new) = @{ $new{$name} };
  SKIP: {
        skip "no $name here", 1 if lacks { $new->() };
        check_handle(scalar $new->(), O_RDWR, "$name without flags", 0);
        check_handle(scalar $new->(0), O_RDWR, "$name with flags 0", 0);
        check_handle(scalar $new->($cloexec), O_RDWR, "$name with flag", 1);
        ours { local $^F = 1000; check_handle(scalar $new->($cloexec), O_RDWR, "$name as a system descriptor", 1) } 'looks at $^F only';
        fails { $new->(1 << 30) } 'undef', 'EINVAL', "$name: bad flags";
        fails { scalar $new->(1 << 30) } 'undef', 'EINVAL', "$name: bad flags, scalar context";
        ours { fails { $new->(2**40) } 'undef', 'EINVAL', "$name: flags that do not fit" } 'cuts numbers';
    }
}

# pipe2
{
    my $buf;
    my @pipe = IO::AIO::pipe2;
    is(scalar @pipe, 2, 'pipe2: two handles');
    syswrite $pipe[1], 'data' or die;
    is(sysread($pipe[0], $buf, 10), 4, 'pipe2: data goes through');
    check_handle($pipe[0], O_RDONLY, 'pipe2 read end', 0);
    check_handle($pipe[1], O_WRONLY, 'pipe2 write end', 0);

    my $w = IO::AIO::pipe2(0);
    is(fl_flags($w) & O_ACCMODE, O_WRONLY, 'pipe2 in scalar context: the write end');
    is(do { local $SIG{PIPE} = 'IGNORE'; syswrite $w, 'x' }, undef, 'nobody can read it');
  SKIP: {
        skip 'no pipe2 here', 9 if lacks { IO::AIO::pipe2($CLOEXEC) };
        @pipe = IO::AIO::pipe2($CLOEXEC | $NONBLOCK);
        is(sysread($pipe[0], $buf, 1), undef, 'O_NONBLOCK is in force');
        is(errno_name($!), 'EAGAIN', 'and does not block');
        check_handle($pipe[$_], $_, 'pipe2 with O_CLOEXEC', 1) for 0, 1;
        fails { IO::AIO::pipe2(12345) } 'empty', 'EINVAL', 'pipe2: bad flags';
        fails { scalar IO::AIO::pipe2(12345) } 'undef', 'EINVAL', 'pipe2: bad flags, scalar context';
        ours { fails { IO::AIO::pipe2(2**40) } 'empty', 'EINVAL', 'pipe2: flags that do not fit' } 'cuts numbers';
      SKIP: {
            my ($r, $pw) = IO::AIO::pipe2(IO::AIO::O_DIRECT) or skip 'no packets here', 1;
            syswrite $pw, $_ or die for 'one', 'two';
            is(sysread($r, $buf, 100) . sysread($r, my $more, 100), '33', 'O_DIRECT: packets');
        }
    }
}

# pipesize
SKIP: {
    my ($r, $w) = IO::AIO::pipe2;
    skip 'no pipesize here', 10 if lacks { IO::AIO::pipesize($r) };
    my $size = IO::AIO::pipesize($r);
    is(IO::AIO::pipesize($w), $size, 'pipesize: the same at both ends');
    is(IO::AIO::pipesize($w, 100000), 131072, 'pipesize: rounded up');
    is(IO::AIO::pipesize(fileno $r), 131072, 'pipesize: seen at the other end, by number');
    is(IO::AIO::pipesize($r, -1), 131072, 'pipesize: -1 asks');
    is(IO::AIO::pipesize($r, 0), IO::AIO::PAGESIZE, 'pipesize: 0 is one page');
    ok(IO::AIO::pipesize($r, 65536) == 65536 && syswrite($w, 'x' x 20000) == 20000, 'grown and filled');
    fails { IO::AIO::pipesize($r, 4096) } -1, 'EBUSY', 'pipesize: not below what is in it';
    ours { fails { IO::AIO::pipesize($r, 2**32 + 4096) } -1, 'EPERM EINVAL ENOMEM', 'pipesize: huge' } 'cuts numbers';
    open my $fh, '<', $file or die;
    fails { IO::AIO::pipesize($fh) } -1, 'EBADF', 'pipesize of a file';
}

# ---- eventfd, memfd ------------------------------------------------------------------------------

SKIP: {
    skip 'no eventfd here', 6 if lacks { IO::AIO::eventfd };
    my $fh = IO::AIO::eventfd(5, IO::AIO::EFD_NONBLOCK);
    is(read_number($fh), 5, 'eventfd: the initial value');
    is(read_number($fh), 'EAGAIN', 'eventfd: then nothing, without blocking');
    syswrite $fh, pack 'Q', $_ or die for 3, 4;
    is(read_number($fh), 7, 'eventfd: what was added');
    $fh = IO::AIO::eventfd(2, IO::AIO::EFD_NONBLOCK | IO::AIO::EFD_SEMAPHORE);
    is(join(' ', map { read_number($fh) } 1 .. 3), '1 1 EAGAIN', 'eventfd: a semaphore');
    is(read_number(IO::AIO::eventfd(-1)), 2**32 - 1, 'eventfd: the initial value is unsigned, of 32 bits');
    is(read_number(IO::AIO::eventfd("7")), 7, 'eventfd: a string');
}

SKIP: {
    skip 'no memfd_create here', 11 if lacks { IO::AIO::memfd_create('') };
    my $link = sub { readlink '/proc/self/fd/' . fileno $_[0] };
    my $fh = IO::AIO::memfd_create('a name');
    is($link->($fh), '/memfd:a name (deleted)', 'memfd_create: its name') if -d '/proc/self/fd';
    is(-s $fh, 0, 'memfd_create: empty at first');
    syswrite $fh, 'content' or die;
    sysseek $fh, 3, SEEK_SET or die;
    is(sysread($fh, my $buf, 10), 4, 'memfd_create: a file');
    utf8::upgrade(my $upgraded = "\xe9");
    is($link->(IO::AIO::memfd_create($upgraded)), "/memfd:\xe9 (deleted)", 'memfd_create: octets') if -d '/proc/self/fd';
    ok(defined IO::AIO::memfd_create('x' x 249), 'memfd_create: 249 octets are a name');
    fails { IO::AIO::memfd_create('x' x 250) } 'undef', 'EINVAL', 'memfd_create: 250 are not';
    {
        no warnings 'uninitialized';
        ok(defined IO::AIO::memfd_create(undef), 'memfd_create: nor has it to have one');
    }
    ok(defined IO::AIO::memfd_create(12), 'memfd_create: a number');
    is(fcntl($fh, IO::AIO::F_GET_SEALS, 0) + 0, IO::AIO::F_SEAL_SEAL, 'memfd_create: sealed against seals');
    $fh = IO::AIO::memfd_create('x', IO::AIO::MFD_ALLOW_SEALING);
    ok(fcntl($fh, IO::AIO::F_ADD_SEALS, IO::AIO::F_SEAL_WRITE), 'but not with the flag');
    fails { syswrite $fh, 'x' } 'undef', 'EPERM', 'that seal is in force';
}

# ---- timerfd -------------------------------------------------------------------------------------

SKIP: {
    skip 'no timerfd here', 40 if lacks { IO::AIO::timerfd_create(IO::AIO::CLOCK_MONOTONIC) };
    my $fh = IO::AIO::timerfd_create(IO::AIO::CLOCK_MONOTONIC, IO::AIO::TFD_NONBLOCK);
    is_deeply([IO::AIO::timerfd_gettime($fh)], [0, 0], 'timerfd: not armed at first');
    is(read_number($fh), 'EAGAIN', 'nothing to read');

    is_deeply([IO::AIO::timerfd_settime($fh, 0, 1000.25, 2000.5)], [0, 0], 'settime returns what was before');
    my @now = IO::AIO::timerfd_gettime($fh);
    ok($now[0] == 1000.25 && $now[1] <= 2000.5 && $now[1] > 1900, 'gettime') or diag("@now");
    @now = IO::AIO::timerfd_settime(fileno $fh, 0, 0, 0);
    ok($now[0] == 1000.25 && $now[1] <= 2000.5 && $now[1] > 1900, 'settime by number: what was before') or diag("@now");
    is_deeply([IO::AIO::timerfd_gettime($fh)], [0, 0], 'and is disarmed');
    is(scalar IO::AIO::timerfd_settime($fh, 0, 3600, 1800), 0, 'settime in scalar context: the value');
    cmp_ok(scalar IO::AIO::timerfd_gettime($fh), '<=', 1800, 'gettime in scalar context: the value');

    IO::AIO::timerfd_settime($fh, 0, 0.25, 1e-9);
    vec(my $readable = '', fileno $fh, 1) = 1;
    is(select($readable, undef, undef, 20), 1, 'a nanosecond is soon over');
    like(read_number($fh), qr/^[1-9]\d*$/, 'it has expired');
    IO::AIO::timerfd_settime($fh, IO::AIO::TFD_TIMER_ABSTIME, 0, 1);
    is(read_number($fh), 1, 'TFD_TIMER_ABSTIME: a time long past');
    is(read_number($fh), 'EAGAIN', 'once');
    my $wall = IO::AIO::timerfd_create(IO::AIO::CLOCK_REALTIME);
    IO::AIO::timerfd_settime($wall, IO::AIO::TFD_TIMER_ABSTIME | IO::AIO::TFD_TIMER_CANCEL_ON_SET, 0, time + 1000.5);
    my $left = IO::AIO::timerfd_gettime($wall);
    ok($left > 900 && $left <= 1000.5, 'an absolute time to come') or diag($left);

    for (['0.9999999999', 0.999999999], ['1e-9', 1e-9], ['1e-10', 0], ['2.5', 2.5], [7, 7], [1 << 31, 2**31]) {
        my ($given, $want) = @$_;
        IO::AIO::timerfd_settime($fh, 0, $given, 5e9);
        is((IO::AIO::timerfd_gettime($fh))[0], $want, "an interval of $given seconds");
    }
    my @before = IO::AIO::timerfd_gettime($fh);
    for my $bad (-1, -0.5, -1e-9, 'nan', 'inf', '-inf', 1e30) {
        fails { IO::AIO::timerfd_settime($fh, 0, $bad, 1) } 'empty', 'EINVAL', "an interval of $bad seconds";
        fails { scalar IO::AIO::timerfd_settime($fh, 0, 1, $bad) } 'undef', 'EINVAL', "a time of $bad seconds";
    }
    is((IO::AIO::timerfd_gettime($fh))[0], $before[0], 'a failure changes nothing');
    fails { IO::AIO::timerfd_settime($fh, 1 << 20, 0, 1) } 'empty', 'EINVAL', 'bad flags';
    open my $other, '<', $file or die;
    fails { IO::AIO::timerfd_settime($other, 0, 0, 1) } 'empty', 'EINVAL', 'settime of a file';
    fails { IO::AIO::timerfd_gettime($other) } 'empty', 'EINVAL', 'gettime of a file';
    fails { IO::AIO::timerfd_create(1000) } 'undef', 'EINVAL', 'no such clock';
    fails { IO::AIO::timerfd_create(-1) } 'undef', 'EINVAL', 'a negative clock';
}

# ---- accept4 -------------------------------------------------------------------------------------

socket my $listener, AF_INET, SOCK_STREAM, 0 or die "socket: $!";
bind $listener, pack_sockaddr_in(0, INADDR_LOOPBACK) or die "bind: $!";
listen $listener, 10 or die "listen: $!";

# A client that waits to be accepted, and its name.
sub client {
    socket my $client, AF_INET, SOCK_STREAM, 0 or die "socket: $!";
    connect $client, getsockname $listener or die "connect: $!";
    ($client, getsockname $client);
}

SKIP: {
    skip 'no accept4 here', 40 if lacks { $listener->blocking(0); IO::AIO::accept4($listener, undef, 0, 0) };
    fails { IO::AIO::accept4($listener, undef, 0, 0) } 'undef', 'EAGAIN', 'nobody is there';
    {
        my $name = 'as before';
        fails { scalar IO::AIO::accept4($listener, $name, 128, 0) } 'undef', 'EAGAIN', 'nobody, scalar context';
        is($name, 'as before', 'no name is stored then');
    }
    my ($client, $name) = client();
    my $fh = IO::AIO::accept4($listener, my $got, 128, 0);
    is($got, $name, 'the name of the client');
    is(getpeername $fh, $name, 'and its connection');
    syswrite $client, 'ping' or die;
    is(sysread($fh, my $buf, 10), 4, 'which can be read');
    is(syswrite($fh, 'pong'), 4, 'and written');
    check_handle($fh, O_RDWR, 'accept4 without flags', 0);
    client();
    $fh = IO::AIO::accept4(fileno $listener, undef, 0, $CLOEXEC);
    check_handle($fh, O_RDWR, 'accept4 with SOCK_CLOEXEC', 1);
    ($client) = client();
    $fh = IO::AIO::accept4($listener, undef, 0, $NONBLOCK);
    fails { sysread $fh, $buf, 1 } 'undef', 'EAGAIN', 'SOCK_NONBLOCK is in force';

    for my $max (1, 8, 15, 16, 17, 100000, 2**40) {
        ($client, $name) = client();
        $fh = IO::AIO::accept4($listener, $got = "\x{100}", $max, 0);
        is($got, $max < 16 ? substr($name, 0, $max) . "\0" : $name, "a name of at most $max octets")
            if !is_peer || $max < 2**31;
        ok(!utf8::is_utf8($got), 'is octets') if !is_peer || $max < 2**31;
    }
    for my $max (0, -1) {
        ($client) = client();
        ok(defined IO::AIO::accept4($listener, $got = 'untouched', $max, 0), "a name of at most $max octets");
        is($got, 'untouched', 'is not stored');
    }
    {
        ($client, $name) = client();
        ours {
            my (%hash, @array);
            ok(defined IO::AIO::accept4($listener, $hash{new}, 128, 0), 'a new element of a hash');
            is($hash{new}, $name, 'has the name');
            ($client, $name) = client();
            my $tied = tie my $scalar, 'Counted';
            ok(defined IO::AIO::accept4($listener, $scalar, 128, 0), 'a tied scalar');
            is("$tied->{value} $tied->{stored}", "$name 1", 'has the name, stored once');
        } 'crash: cannot store but in plain scalars';
    }
    IO::AIO::accept4($listener, undef, 0, 0) while $! != POSIX::EAGAIN();
    ours {
        ($client, $name) = client();
        ok(defined IO::AIO::accept4($listener, undef, 128, 0), 'a literal undef: no name is asked for');
        ok(!defined undef, 'undef is still undefined');
        ($client, $name) = client();
        croaks { IO::AIO::accept4($listener, 'literal', 128, 0) } qr/^accept4: Modification of a read-only value/, 'a literal';
        hold();
        my $buffer = 'locked';
        open my $in, '<', $file or die;
        my $req = aio_read($in, 0, 4, $buffer, 0, sub { });
        ok(!eval { IO::AIO::accept4($listener, $buffer, 128, 0); 1 }, 'a scalar in flight croaks');
        like($@, qr/^accept4: Modification of a read-only value/, 'and says why');
        release();
        IO::AIO::flush;
        is($buffer, 'line', 'is not harmed');
        ok(defined IO::AIO::accept4($listener, $got, 128, 0), 'and the connection is still there');
        is($got, $name, 'for one that wants it');
    } 'crash: stores in what is read-only';

    my $path = "$dir/socket";
    socket my $unix, AF_UNIX, SOCK_STREAM, 0 or die;
    bind $unix, pack_sockaddr_un($path) or die "bind: $!";
    listen $unix, 5 or die;
    socket my $anonymous, AF_UNIX, SOCK_STREAM, 0 or die;
    connect $anonymous, pack_sockaddr_un($path) or die;
    $fh = IO::AIO::accept4($unix, $got, 128, 0);
    is($got, pack('S', AF_UNIX), 'a client without a name: its family only');
    socket my $named, AF_UNIX, SOCK_STREAM, 0 or die;
    bind $named, pack_sockaddr_un("$path.2") or die;
    connect $named, pack_sockaddr_un($path) or die;
    $fh = IO::AIO::accept4($unix, $got, 128, 0);
    is((unpack_sockaddr_un($got))[0], "$path.2", 'a client with a path');

    fails { IO::AIO::accept4($listener, undef, 0, 1 << 20) } 'undef', 'EINVAL', 'bad flags';
    fails { IO::AIO::accept4($anonymous, undef, 0, 0) } 'undef', 'EINVAL', 'a socket that does not listen';
    open my $in, '<', $file or die;
    fails { IO::AIO::accept4($in, undef, 0, 0) } 'undef', 'ENOTSOCK', 'a file';
}

close $listener;

# ---- processes -----------------------------------------------------------------------------------

# A child that lives until its standard input ends, or a signal comes; its pid and that pipe.
sub child {
    my ($code) = @_;
    pipe my $r,  my $w  or die "pipe: $!";
    pipe my $r2, my $w2 or die "pipe: $!";
    defined(my $pid = fork) or die "fork: $!";
    unless ($pid) {
        close $w;
        $code->() if $code;
        syswrite $w2, 'ready';
        close $w2;
        sysread $r, my $buf, 1;
        POSIX::_exit(7);
    }
    close $w2;
    sysread $r2, my $buf, 5;
    ($pid, $w);
}

SKIP: {
    skip 'no pidfd here', 40 if lacks { IO::AIO::pidfd_open($$) };
    check_handle(scalar IO::AIO::pidfd_open($$), O_RDWR, 'pidfd_open', 1);
    ours { local $^F = 1000; check_handle(scalar IO::AIO::pidfd_open($$, 0), O_RDWR, 'pidfd_open as a system descriptor', 1) } 'looks at $^F only';

    my ($pid, $w) = child();
    my $pidfd = IO::AIO::pidfd_open($pid);
    my $ended = sub { my ($seconds) = @_; vec(my $bits = '', fileno $pidfd, 1) = 1; scalar select $bits, undef, undef, $seconds };
    is($ended->(0), 0, 'the descriptor of a living process is not readable');
    is(IO::AIO::pidfd_send_signal($pidfd, 0), 0, 'signal 0: it is there');
    is(IO::AIO::pidfd_send_signal(fileno $pidfd, 0, undef, 0), 0, 'by number, with all arguments');
    close $w;
    is($ended->(20), 1, 'it is when it has ended');
    is(IO::AIO::pidfd_send_signal($pidfd, 0), 0, 'a zombie takes signals');
    waitpid $pid, 0;
    is($? >> 8, 7, 'it ended in its own way');
    fails { IO::AIO::pidfd_send_signal($pidfd, 0) } -1, 'ESRCH', 'no signal to one that was waited for';
    fails { IO::AIO::pidfd_getfd($pidfd, 0) } 'undef', 'ESRCH', 'nor a descriptor from it';
    fails { IO::AIO::pidfd_open($pid) } 'undef', 'ESRCH EINVAL', 'nor a descriptor of it';

    ($pid, $w) = child();
    $pidfd = IO::AIO::pidfd_open($pid);
    is(IO::AIO::pidfd_send_signal($pidfd, POSIX::SIGTERM()), 0, 'a signal');
    waitpid $pid, 0;
    is($?, POSIX::SIGTERM(), 'does its work');

    fails { IO::AIO::pidfd_open($_) } 'undef', 'EINVAL', "pidfd_open $_" for 0, -1;
    fails { IO::AIO::pidfd_open($$, 1) } 'undef', 'EINVAL', 'pidfd_open: bad flags';
    my $self = IO::AIO::pidfd_open($$);
    fails { IO::AIO::pidfd_send_signal($self, $_) } -1, 'EINVAL', "signal $_" for -1, 1000;
    fails { IO::AIO::pidfd_send_signal($self, 0, undef, 1 << 20) } -1, 'EINVAL', 'pidfd_send_signal: bad flags';
    open my $in, '<', $file or die;
    fails { IO::AIO::pidfd_send_signal($in, 0) } -1, 'EBADF', 'pidfd_send_signal to a file';
    fails { IO::AIO::pidfd_getfd($in, 0) } 'undef', 'EBADF', 'pidfd_getfd from a file';
    ours {
        fails { IO::AIO::pidfd_open(2**32 + $$) } 'undef', 'EINVAL ESRCH', 'not another process if the number does not fit';
        fails { IO::AIO::pidfd_send_signal($self, 2**32) } -1, 'EINVAL', 'nor another signal';
        fails { IO::AIO::pidfd_getfd($self, 2**32) } 'undef', 'EBADF', 'nor another descriptor';
    } 'cuts numbers';

    # siginfo
    my @info;
    my $action = POSIX::SigAction->new(sub { push @info, $_[1] }, POSIX::SigSet->new, POSIX::SA_SIGINFO());
    POSIX::sigaction(POSIX::SIGUSR1(), $action, my $old = POSIX::SigAction->new) or die;
    my $received = sub { my $info = pop @info; $info ? join ' ', map "$_=$info->{$_}", qw(signo code pid uid) : 'nothing' };
    my $signo = POSIX::SIGUSR1();
    is(IO::AIO::pidfd_send_signal($self, $signo), 0, 'a signal without siginfo');
    is($received->(), "signo=$signo code=0 pid=$$ uid=$<", 'is as that of kill');
    ours {
        for ([{ code => -1, value_int => 7 }, 'code=-1 pid=0 uid=0'], [{ code => -3, pid => 5, uid => 6, value_ptr => 1 }, 'code=-3 pid=5 uid=6'],
            [{ pid => "4" }, 'code=0 pid=4 uid=0'], [{}, 'code=0 pid=0 uid=0']) {
            my ($given, $want) = @$_;
            my $what = join ', ', map "$_ $given->{$_}", sort keys %$given;
            is(IO::AIO::pidfd_send_signal($self, $signo, $given), 0, "siginfo: $what");
            is($received->(), "signo=$signo $want", 'is received');
        }
        is(IO::AIO::pidfd_send_signal($self, 0, { code => -1 }), 0, 'siginfo and signal 0');
        ($pid, $w) = child();
        $pidfd = IO::AIO::pidfd_open($pid);
        fails { IO::AIO::pidfd_send_signal($pidfd, $signo, { code => 0 }) } -1, 'EPERM', 'others cannot be told that a kill came from somebody else';
        is(IO::AIO::pidfd_send_signal($pidfd, 9, { code => -1 }), 0, 'but a queued signal');
        waitpid $pid, 0;
        is($?, 9, 'comes');
    } 'does not fill in the signal';
    POSIX::sigaction(POSIX::SIGUSR1(), $old);

  SKIP: {
        my $any = fileno $in;
        skip 'no pidfd_getfd here, or not allowed', 15 if lacks { IO::AIO::pidfd_getfd($self, $any) } || $! == POSIX::EPERM();
        for (['<', O_RDONLY], ['>', O_WRONLY], ['+<', O_RDWR], ['>>', O_WRONLY]) {
            my ($how, $mode) = @$_;
            open my $target, $how, "$dir/getfd" or die "$dir/getfd: $!" if $how ne '<' || write_file "$dir/getfd", 'content';
            my $before = sysseek $target, 0, SEEK_CUR;
            my $copy = IO::AIO::pidfd_getfd($self, fileno $target);
            is(sysseek($target, 0, SEEK_CUR), $before, "$how: getfd does not move the position");
            check_handle($copy, $mode, "$how: pidfd_getfd", 1);
        }
        my ($r, $out) = IO::AIO::pipe2;
        ($pid, $w) = child(sub { close $r });
        $pidfd = IO::AIO::pidfd_open($pid);
        my $copy = IO::AIO::pidfd_getfd($pidfd, fileno $out);
        is(syswrite($copy, 'through'), 7, "another process's descriptor");
        is(sysread($r, my $buf, 10), 7, 'leads where it does there');
        fails { IO::AIO::pidfd_getfd($pidfd, fileno $r) } 'undef', 'EBADF', 'one that is not open there';
        fails { IO::AIO::pidfd_getfd($pidfd, -1) } 'undef', 'EBADF', 'a negative one';
        fails { IO::AIO::pidfd_getfd($pidfd, 0, 1) } 'undef', 'EINVAL', 'pidfd_getfd: bad flags';
        close $w;
        waitpid $pid, 0;
    }
}

done;
