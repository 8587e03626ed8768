use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Config;
use Fcntl qw(:DEFAULT :seek);
use POSIX ();
use Socket;
use IO::AIO;

# The plain system calls, beyond what 44-sys.t and 48-process.t have: the rims of their arguments, odd scalars,
# what else the new handles can do, and what happens to positions, signals, programs and mounts.

$SIG{PIPE} = 'IGNORE';
my $dir  = tmpdir;
my $text = join '', map { "line $_\n" } 1 .. 1000;
my $file = write_file "$dir/in", $text;

# One test: a call that fails, with one of these errnos, and returns -1, undef or an empty list as said.
sub fails(&$$$) {
    my ($call, $way, $want, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $! = 0;
    my @got   = $call->();
    my $errno = errno_name($!);
    my $got   = @got ? join ', ', map { defined $_ ? $_ : 'undef' } @got : 'empty';
    ok($got eq $way && grep({ $_ eq $errno } split ' ', $want), "$name: $want")
        or diag("got ($got), $errno; expected ($way), $want");
}

# Does the system (or this build) lack a call?
sub lacks(&) {
    my ($call) = @_;
    $! = 0;
    my ($got) = $call->();
    (!defined $got || $got eq '-1') && errno_name($!) eq 'ENOSYS';
}

sub open_as {
    my ($path, $flags) = @_;
    sysopen my $fh, $path, $flags, 0666 or die "$path: $!";
    $fh;
}

sub position { sysseek($_[0], 0, SEEK_CUR) + 0 }
sub cloexec  { fcntl($_[0], F_GETFD, 0) & FD_CLOEXEC ? 1 : 0 }

# The number that an eventfd or timerfd is read for, or the name of the error.
sub read_number {
    my ($fh) = @_;
    my $buf;
    sysread($fh, $buf, 8) ? unpack_u64($buf) : errno_name($!);
}

{
    package Counted;    # a tied scalar
    sub TIESCALAR { my ($class, $value) = @_; bless { value => $value, fetched => 0, stored => 0 }, $class }
    sub FETCH { my ($self) = @_; $self->{fetched}++; ref $self->{value} eq 'CODE' ? $self->{value}->() : $self->{value} }
    sub STORE { my ($self, $value) = @_; $self->{stored}++; $self->{value} = $value }

    package Array;      # a tied array
    require Tie::Array;
    our @ISA = 'Tie::Array';
    sub TIEARRAY { my ($class, $size, $fetch) = @_; bless { size => $size, fetch => $fetch }, $class }
    sub FETCHSIZE { $_[0]{size} }
    sub FETCH { $_[0]{fetch}->($_[1]) }
}

# ---- arguments -----------------------------------------------------------------------------------

# how many, and a call of which the references are handles
my %call = (
    accept4 => [4, 4, \'r_fh', undef, 0, 0], eventfd => [0, 2], fadvise => [4, 4, \'fh', 0, 0, 0],
    fexecve => [2, 3, \'fh', []], get_fdlimit => [0, 0], major => [1, 1], makedev => [2, 2], memfd_create => [1, 2],
    min_fdlimit => [0, 1], minor => [1, 1], mount => [3, 5], pidfd_getfd => [2, 3, \'pidfh', 0], pidfd_open => [1, 2],
    pidfd_send_signal => [2, 4, \'pidfh', 0], pipe2 => [0, 1], pipesize => [1, 2, \'r_fh'],
    sendfile => [4, 4, \'out_fh', \'in_fh', 0, 1], splice => [6, 6, \'r_fh', undef, \'w_fh', undef, 1, 0],
    tee => [4, 4, \'r_fh', \'w_fh', 1, 0], timerfd_create => [1, 2], timerfd_gettime => [1, 1, \'fh'],
    timerfd_settime => [4, 4, \'fh', 0, 0, 0], umount => [1, 2],
);

{
    pipe my $r, my $w or die "pipe: $!";
    open my $closed, '<', $file or die;
    close $closed;
    for my $name (sort keys %call) {
        my ($min, $max, @args) = @{ $call{$name} };
        my $sub = \&{"IO::AIO::$name"};
        no warnings 'uninitialized';
        croaks { $sub->((undef) x ($min - 1)) } $name, "$name: too few arguments" if $min;
        croaks { $sub->((undef) x ($max + 1)) } $name, "$name: too many arguments";
        for my $n (grep ref $args[$_] eq 'SCALAR', 0 .. $#args) {
            my $arg = ${ $args[$n] };
            my @bad = map { ref ne 'SCALAR' ? $_ : $$_ =~ /^(?:w|out)_/ ? $w : $r } @args;
            $bad[$n] = $closed;
            ours { croaks { $sub->(@bad) } qr/^$name: .*\b$arg\b/, "$name: the croak names $arg" } 'does not name it';
        }
    }
    ours {
        croaks { IO::AIO::mount("\x{100}", $dir, 'x') } qr/^mount: .*special/, 'mount: the croak names special';
        croaks { IO::AIO::mount('x', "\x{100}", 'x') } qr/^mount: .*path/, 'mount: path';
        croaks { IO::AIO::mount('x', $dir, "\x{100}") } qr/^mount: .*fstype/, 'mount: fstype';
        croaks { IO::AIO::mount('x', $dir, 'x', 0, "\x{100}") } qr/^mount: .*data/, 'mount: data';
        croaks { IO::AIO::umount("\x{100}") } qr/^umount: .*path/, 'umount: path';
        croaks { IO::AIO::memfd_create("\x{100}") } qr/^memfd_create: .*pathname/, 'memfd_create: pathname';
        croaks { IO::AIO::fexecve(*STDIN, ["\x{100}"]) } qr/^fexecve: .*argv/, 'fexecve: argv';
        croaks { IO::AIO::fexecve(*STDIN, [], ["A=\x{100}"]) } qr/^fexecve: .*envp/, 'fexecve: envp';
    } 'does not name it';

    ours {
        fails { IO::AIO::mount("x\0", "$dir/none", 'x') } -1, 'EINVAL', 'mount: NUL in special';
        fails { IO::AIO::mount('x', "$dir\0x", 'no such type') } -1, 'ENOENT', 'mount: NUL in path';
        fails { IO::AIO::mount('x', "$dir/none", "tmpfs\0x") } -1, 'EINVAL', 'mount: NUL in fstype';
        fails { IO::AIO::umount("$dir\0x") } -1, 'ENOENT', 'umount: NUL in path';
        fails { IO::AIO::memfd_create("x\0y") } 'undef', 'EINVAL', 'memfd_create: NUL';
        fails { IO::AIO::fexecve(*STDIN, ["x\0y"]) } -1, 'EINVAL', 'fexecve: NUL in argv';
        fails { IO::AIO::fexecve(*STDIN, ['x'], ["A=\0y"]) } -1, 'EINVAL', 'fexecve: NUL in envp';
    } 'cuts strings at NUL';

    # numbers that no int can hold are not taken for others
    my ($huge, $in) = (2**32, open_as($file, O_RDONLY));
    ours {
        fails { IO::AIO::eventfd(0, $huge) } 'undef', 'EINVAL ENOSYS', 'eventfd: huge flags';
        fails { IO::AIO::memfd_create('x', $huge) } 'undef', 'EINVAL ENOSYS', 'memfd_create: huge flags';
        fails { IO::AIO::timerfd_create(IO::AIO::CLOCK_MONOTONIC, $huge) } 'undef', 'EINVAL ENOSYS', 'timerfd_create: huge flags';
        fails { IO::AIO::timerfd_create($huge) } 'undef', 'EINVAL ENOSYS', 'timerfd_create: a huge clock';
        fails { IO::AIO::pipe2($huge) } 'empty', 'EINVAL ENOSYS', 'pipe2: huge flags';
        fails { IO::AIO::pipesize($r, $huge + 4096) } -1, 'EPERM EINVAL ENOMEM ENOSYS', 'pipesize: a huge size';
        fails { IO::AIO::splice($in, 0, $w, undef, 1, $huge) } -1, 'EINVAL ENOSYS', 'splice: huge flags';
        fails { IO::AIO::pidfd_open($huge + $$) } 'undef', 'EINVAL ESRCH ENOSYS', 'pidfd_open: a huge process';
        fails { IO::AIO::pidfd_getfd(0, $huge) } 'undef', 'EBADF ENOSYS', 'pidfd_getfd: a huge descriptor';
        fails { IO::AIO::umount("$dir/none", -$huge) } -1, 'EINVAL EPERM ENOSYS', 'umount: huge negative flags';
        like(errno_name(IO::AIO::fadvise($in, 0, 1, $huge)), qr/^(?:EINVAL|ENOSYS)$/, 'fadvise: huge advice');
    } 'cuts numbers';

    # tied arguments are read once
    my $tied = tie my $scalar, 'Counted', 0;
    my %once = (
        pipe2    => sub { IO::AIO::pipe2($scalar) },
        eventfd  => sub { IO::AIO::eventfd($scalar) },
        umount   => sub { IO::AIO::umount("$dir/none", $scalar) },
        sendfile => sub { IO::AIO::sendfile($w, $in, 0, $scalar) },
        splice   => sub { IO::AIO::splice($in, $scalar, $w, undef, 0, 0) },
        makedev  => sub { IO::AIO::makedev($scalar, 1) },
    );
    for my $name (sort keys %once) {
        $tied->{fetched} = 0;
        $once{$name}->();
        is($tied->{fetched}, 1, "$name: a tied argument is read once");
    }

    # arguments that go away while they are looked at
    ours {
        my $argv = ['x', 'y'];
        tie $argv->[0], 'Counted', sub { @$argv = (); undef $argv; 'x' };
        fails { IO::AIO::fexecve($in, $argv, []) } -1, 'EACCES ENOSYS', 'argv is emptied and dropped by its first element';
        tie my @huge, 'Array', 2**30, sub { 'x' };
        fails { IO::AIO::fexecve($in, \@huge, []) } -1, 'E2BIG ENOSYS', 'an array without end';
        my $info = { pid => 5 };
        tie $info->{code}, 'Counted', sub { %$info = (); undef $info; -1 };
        my $self = IO::AIO::pidfd_open($$);
        is(IO::AIO::pidfd_send_signal($self, 0, $info), 0, 'siginfo is emptied and dropped by its first member') if $self;
    } 'crash: uses what is gone';
}

if ($^O eq 'linux' && $Config{ivsize} == 8) {
    for ([4096, 256, 2**44 + 2**20], [2**32 - 1, 2**32 - 1, ~0], [2**32 - 1, 0, ~0 - (2**44 - 1) + 0xfff00]) {
        my ($major, $minor, $dev) = @$_;
        is(IO::AIO::makedev($major, $minor), $dev, "makedev $major, $minor");
        is_deeply([IO::AIO::major($dev), IO::AIO::minor($dev)], [$major, $minor], 'and back');
    }
}

# ---- handles -------------------------------------------------------------------------------------

# The flag for close-on-exec, and a call with flags.
my %new = (
    eventfd        => [IO::AIO::EFD_CLOEXEC, sub { IO::AIO::eventfd(0, $_[0]) }],
    memfd_create   => [IO::AIO::MFD_CLOEXEC, sub { IO::AIO::memfd_create('test', $_[0]) }],
    timerfd_create => [IO::AIO::TFD_CLOEXEC, sub { IO::AIO::timerfd_create(IO::AIO::CLOCK_MONOTONIC, $_[0]) }],
    pipe2          => [IO::AIO::O_CLOEXEC,   sub { (IO::AIO::pipe2($_[0]))[0] }],
    pidfd_open     => [undef,                sub { IO::AIO::pidfd_open($$) }],
);
for my $name (sort keys %new) {
    my ($cloexec, $new) = @{ $new{$name} };
    next if lacks { $new->($cloexec || 0) };
    my $fh = $new->($cloexec);
    my $fd = fileno $fh;
    undef $fh;
    ok(!-e "/proc/self/fd/$fd", "$name: closed with the last reference") if -d '/proc/self/fd';
    ours {
        local $^F = 1000;
        is(cloexec($new->($cloexec)), 1, "$name: close-on-exec if so said, whatever \$^F says");
        local $^F = 0;
        is(cloexec($new->(0)), 0, "$name: else not, whatever \$^F says") if $cloexec;
    } 'looks at $^F only';
}

{
    my $w = IO::AIO::pipe2;
    fails { syswrite $w, 'x' } 'undef', 'EPIPE', 'pipe2 in scalar context has closed the read end';
    my ($r, $buf);
    ($r, $w) = IO::AIO::pipe2;
  SKIP: {
        skip 'no pipesize here', 2 if lacks { IO::AIO::pipesize($r) };
        my $size = IO::AIO::pipesize($r, 50000);
        is(IO::AIO::pipesize($w, -1), $size, 'pipesize: negative asks');
        is(IO::AIO::pipesize($w, 0), IO::AIO::PAGESIZE, 'pipesize: 0 is one page');
    }
  SKIP: {
        ($r, $w) = IO::AIO::O_DIRECT ? IO::AIO::pipe2(IO::AIO::O_DIRECT) : () or skip 'no packets here', 1;
        syswrite $w, $_ or die for 'one', 'three';
        is(join(' ', map { sysread $r, $buf, 100 } 1, 2), '3 5', 'pipe2 O_DIRECT: packets');
    }
}

SKIP: {
    skip 'no eventfd here', 2 if lacks { IO::AIO::eventfd };
    is(read_number(IO::AIO::eventfd(-1)), 2**32 - 1, 'eventfd: the initial value is unsigned, of 32 bits');
    is(read_number(IO::AIO::eventfd("7")), 7, 'eventfd: a string');
}

SKIP: {
    skip 'no memfd_create here', 5 if lacks { IO::AIO::memfd_create('') };
    my $fh = IO::AIO::memfd_create('x' x 249);
    ok(defined $fh, 'memfd_create: 249 octets are a name');
    fails { IO::AIO::memfd_create('x' x 250) } 'undef', 'EINVAL', 'memfd_create: 250 are not';
    is(-s $fh, 0, 'memfd_create: empty at first');
    is(fcntl($fh, IO::AIO::F_GET_SEALS, 0) + 0, IO::AIO::F_SEAL_SEAL, 'memfd_create: sealed against seals');
    fails { fcntl $fh, IO::AIO::F_ADD_SEALS, IO::AIO::F_SEAL_GROW } 'undef', 'EPERM', 'that is in force';
}

# ---- timers --------------------------------------------------------------------------------------

SKIP: {
    skip 'no timerfd here', 1 if lacks { IO::AIO::timerfd_create(IO::AIO::CLOCK_MONOTONIC) };
    my $fh = IO::AIO::timerfd_create(IO::AIO::CLOCK_MONOTONIC, IO::AIO::TFD_NONBLOCK);
    is(read_number($fh), 'EAGAIN', 'timerfd: nothing to read at first');
    IO::AIO::timerfd_settime(fileno $fh, 0, 0, 1e-9);
    vec(my $readable = '', fileno $fh, 1) = 1;
    is(select($readable, undef, undef, 20), 1, 'a nanosecond is soon over: readable');
    is(read_number($fh), 1, 'it expired once');
    is(read_number($fh), 'EAGAIN', 'and no more');
    is_deeply([IO::AIO::timerfd_gettime(fileno $fh)], [0, 0], 'without interval it is not armed then');
    my $wall = IO::AIO::timerfd_create(IO::AIO::CLOCK_REALTIME);
    IO::AIO::timerfd_settime($wall, IO::AIO::TFD_TIMER_ABSTIME | IO::AIO::TFD_TIMER_CANCEL_ON_SET, 0, time + 1000.5);
    my $left = IO::AIO::timerfd_gettime($wall);
    ok($left > 900 && $left <= 1000.5, 'an absolute time to come') or diag($left);

    my $late = late_times ? 5e9 : 2e9;
    my @late = late_times ? ([2**31, 2**31], [2**40, 9223372036.85477]) : ();
    for (['0.9999999999', 0.999999999], ['1e-9', 1e-9], ['1e-10', 0], [2.5, 2.5], [7, 7], [2**31 - 2, 2**31 - 2], @late) {
        my ($given, $want) = @$_;
        IO::AIO::timerfd_settime($fh, 0, $given, $late);
        my ($got) = IO::AIO::timerfd_gettime($fh);
        $got = int($got * 1e5) / 1e5 if $want > 2**31;    # the most that the kernel knows
        cmp_ok($got, '==', $want, "an interval of $given seconds");
    }
    for my $bad (-1, -0.5, -1e-9, 'nan', 'inf', '-inf', 1e30, late_times ? () : 2**31) {
        fails { IO::AIO::timerfd_settime($fh, 0, $bad, 1) } 'empty', 'EINVAL', "an interval of $bad seconds";
        fails { scalar IO::AIO::timerfd_settime($fh, 0, 1, $bad) } 'undef', 'EINVAL', "a time of $bad seconds";
    }
    cmp_ok((IO::AIO::timerfd_gettime($fh))[1], '>', $late - 1e6, 'failures change nothing');
}

# ---- accept4 -------------------------------------------------------------------------------------

SKIP: {
    socket my $listener, AF_INET, SOCK_STREAM, 0 or die "socket: $!";
    bind $listener, pack_sockaddr_in(0, INADDR_LOOPBACK) or die "bind: $!";
    listen $listener, 10 or die "listen: $!";
    $listener->blocking(0);
    skip 'no accept4 here', 1 if lacks { IO::AIO::accept4($listener, undef, 0, 0) };
    my $connect = sub {
        socket my $c, AF_INET, SOCK_STREAM, 0 or die "socket: $!";
        connect $c, getsockname $listener or die "connect: $!";
        ($c, getsockname $c);
    };
    my ($client, $name, $got);

    for my $max (1, 8, 15, 16, 17, 100000) {
        ($client, $name) = $connect->();
        $got = "\x{100}";
        IO::AIO::accept4(fileno $listener, $got, $max, 0);
        is($got, $max < 16 ? substr($name, 0, $max) . "\0" : $name, "accept4: a name of at most $max octets");
        ok(!utf8::is_utf8($got), 'is octets');
    }
    ($client, $name) = $connect->();
    $got = 'untouched';
    ok(defined IO::AIO::accept4($listener, $got, -1, 0), 'accept4: a negative length');
    is($got, 'untouched', 'stores no name');
    ours {
        ($client, $name) = $connect->();
        IO::AIO::accept4($listener, $got, 2**40, 0);
        is($got, $name, 'accept4: room for a terabyte');
        ($client, $name) = $connect->();
        my $tied = tie my $scalar, 'Counted';
        IO::AIO::accept4($listener, $scalar, 128, 0);
        is($tied->{value}, $name, 'accept4: a tied scalar');
        is($tied->{stored}, 1, 'is stored once');

        # what must not be overwritten; the connection is not lost by that
        ($client, $name) = $connect->();
        my $buffer = 'in flight';
        my $in = open_as($file, O_RDONLY);
        hold();
        aio_read $in, 0, 4, $buffer, 0, sub { };
        ok(!eval { IO::AIO::accept4($listener, $buffer, 128, 0); 1 }, 'accept4: the buffer of a request');
        like($@, qr/^accept4: Modification of a read-only value/, 'croaks');
        release();
        IO::AIO::flush;
        is($buffer, 'line', 'and is the request\'s');
        if (IO::AIO::mmap my $map, 4096, IO::AIO::PROT_READ | IO::AIO::PROT_WRITE, IO::AIO::MAP_PRIVATE | IO::AIO::MAP_ANONYMOUS) {
            croaks { IO::AIO::accept4($listener, $map, 128, 0) } qr/^accept4: Modification of a read-only value/, 'accept4: a mapped scalar';
            is($map, "\0" x 4096, 'stays as it is');
        }
        ok(defined IO::AIO::accept4($listener, $got, 128, 0), 'accept4: after that');
        is($got, $name, 'the connection is still there');
    } 'crash: stores in what it should not';

    socket my $unix, AF_UNIX, SOCK_STREAM, 0 or die "socket: $!";
    bind $unix, pack_sockaddr_un("$dir/socket") or die "bind: $!";
    fails { IO::AIO::accept4($unix, undef, 0, 0) } 'undef', 'EINVAL', 'accept4: a socket that does not listen';
    listen $unix, 5 or die "listen: $!";
    socket my $named, AF_UNIX, SOCK_STREAM, 0 or die "socket: $!";
    bind $named, pack_sockaddr_un("$dir/client") or die "bind: $!";
    connect $named, pack_sockaddr_un("$dir/socket") or die "connect: $!";
    IO::AIO::accept4($unix, $got, 128, 0);
    is((unpack_sockaddr_un($got))[0], "$dir/client", 'accept4: a client with a path');
}

# ---- transfers -----------------------------------------------------------------------------------

{
    my $in  = open_as($file, O_RDONLY);
    my $out = open_as("$dir/out", O_RDWR | O_CREAT);
    is(IO::AIO::sendfile($out, $in, 0, 2**40), length $text, 'sendfile: more asked for than there is');
    is(read_file("$dir/out"), $text, 'all of it arrives');
    my $large = open_as("$dir/large", O_RDWR | O_CREAT);
    truncate $large, 1 << 24 or die "truncate: $!";
    pipe my $r, my $w or die "pipe: $!";
    $w->blocking(0);
    my $sent = IO::AIO::sendfile($w, $large, 0, 1 << 24);
    ok($sent > 0 && $sent < 1 << 24, 'sendfile: as much as goes into a pipe that does not block') or diag($sent);
}

SKIP: {
    pipe my $r, my $w or die "pipe: $!";
    pipe my $r2, my $w2 or die "pipe: $!";
    my $in = open_as($file, O_RDONLY);
    skip 'no splice here', 1 if lacks { IO::AIO::splice($in, undef, $w, undef, 0, 0) };
    my $buf;
    my $out = open_as("$dir/spliced", O_RDWR | O_CREAT);
    is(IO::AIO::splice($in, undef, $w, undef, 50, IO::AIO::SPLICE_F_MOVE | IO::AIO::SPLICE_F_MORE), 50, 'splice: hints');
    is(IO::AIO::splice($r, undef, $out, 7, 20, 0), 20, 'splice: out of a pipe, to an offset');
    is(position($out), 0, 'does not move the position');
    is(IO::AIO::splice($r, undef, $out, undef, 2**32, 0), 30, 'splice: to the position, as much as there is');
    is(position($out), 30, 'moves it');
    is(read_file("$dir/spliced"), substr($text, 20, 30), 'the data');
    fails { IO::AIO::splice($in, 0, $w, 0, 10, 0) } -1, 'ESPIPE', 'splice: an offset for the pipe written to';

    skip 'no tee here', 1 if lacks { IO::AIO::tee($r, $w, 0, 0) };
    syswrite $w, 'some data' or die "write: $!";
    is(IO::AIO::tee(fileno $r, fileno $w2, 2**32, 0), 9, 'tee: by number, as much as there is');
    is(IO::AIO::tee($r, $w2, 0, 0), 0, 'tee: nothing');
    is(sysread($r, $buf, 100) && $buf, 'some data', 'tee: the data stays');
    is(sysread($r2, $buf, 100) && $buf, 'some data', 'and arrives');
    fails { IO::AIO::tee($r, $w, 1, 0) } -1, 'EINVAL', 'tee: into itself';
    syswrite $w, 'more data' or die "write: $!";
    ours {
        fails { IO::AIO::tee($r, $w2, -1, 0) } -1, 'EINVAL', 'tee: a negative length';
        fails { IO::AIO::splice($r, undef, $w2, undef, -1, 0) } -1, 'EINVAL', 'splice: a negative length between pipes';
    } 'takes it for a huge one';
}

# ---- processes -----------------------------------------------------------------------------------

# A child that lives until the pipe's write end is closed: its pid, and that end.
sub child {
    pipe my $r, my $w or die "pipe: $!";
    defined(my $pid = fork) or die "fork: $!";
    return ($pid, $w) if $pid;
    close $w;
    sysread $r, my $buf, 1;
    POSIX::_exit(7);
}

SKIP: {
    skip 'no pidfd here', 1 if lacks { IO::AIO::pidfd_open($$) };
    my ($pid, $w) = child();
    my $pidfd = IO::AIO::pidfd_open($pid, 0);
    my $ended = sub { vec(my $bits = '', fileno $pidfd, 1) = 1; scalar select $bits, undef, undef, $_[0] };
    is($ended->(0), 0, 'pidfd: not readable while the process lives');
    close $w;
    is($ended->(20), 1, 'but when it has ended');
    is(IO::AIO::pidfd_send_signal(fileno $pidfd, 0), 0, 'a zombie takes signals, by number');
    waitpid $pid, 0;
    is($? >> 8, 7, 'the status is for wait');
    fails { IO::AIO::pidfd_send_signal($pidfd, 0) } -1, 'ESRCH', 'then it is gone';

    # to this process
    my ($self, $signo, @info) = (IO::AIO::pidfd_open($$), POSIX::SIGUSR1());
    my $action = POSIX::SigAction->new(sub { push @info, $_[1] }, POSIX::SigSet->new, POSIX::SA_SIGINFO());
    POSIX::sigaction($signo, $action, my $old = POSIX::SigAction->new) or die "sigaction: $!";
    my $received = sub { my $info = pop @info; $info ? join ' ', map $info->{$_}, qw(signo code pid uid) : 'nothing' };
    is(IO::AIO::pidfd_send_signal($self, $signo), 0, 'a signal to this process');
    is($received->(), "$signo 0 $$ $<", 'comes at once');
    ours {
        for ([{}, '0 0 0'], [{ pid => '4', other => 1 }, '0 4 0'], [{ code => -3, value_ptr => 1, uid => 2**32 - 2 }, '-3 0 ' . (2**32 - 2)]) {
            my ($given, $want) = @$_;
            my $what = join ', ', map "$_ $given->{$_}", sort keys %$given;
            is(IO::AIO::pidfd_send_signal($self, $signo, $given), 0, "siginfo ($what)");
            is($received->(), "$signo $want", 'is received');
        }
        fails { IO::AIO::pidfd_send_signal($self, 2**32 + $signo, {}) } -1, 'EINVAL', 'a huge signal';
        is($received->(), 'nothing', 'is not another one');
    } 'does not say which signal in siginfo';
    POSIX::sigaction($signo, $old);

    my $null = IO::AIO::pidfd_getfd($self, 0);
    skip 'no pidfd_getfd here, or not allowed', 1 unless defined $null;
    my $target = write_file "$dir/getfd", 'content';
    for (['<', O_RDONLY], ['+<', O_RDWR], ['>>', O_WRONLY | O_APPEND]) {
        my ($how, $mode) = @$_;
        open my $fh, $how, $target or die "$target: $!";
        sysseek $fh, 2, SEEK_SET or die "seek: $!";
        my $copy = IO::AIO::pidfd_getfd($self, fileno $fh);
        is(fcntl($copy, F_GETFL, 0) & (O_ACCMODE | O_APPEND), $mode, "pidfd_getfd: '$how' stays so");
        is(position($fh), 2, 'its position, too');
        sysseek $copy, 3, SEEK_SET or die "seek: $!";
        is(position($fh), 3, 'which is shared');
        if ($mode == O_RDONLY) {
            ours { croaks { IO::AIO::sendfile($copy, $fh, 0, 1) } qr/mode mismatch/, 'a handle for reading only' } 'takes all for read and write';
        } else {
            is(syswrite($copy, 'x'), 1, 'written');
        }
    }
    is(read_file($target), 'conxentx', 'through the copies');
}

# ---- mounts: in a namespace of a child's own ---------------------------------------------------------

SKIP: {
    skip 'the number of unshare is that of Linux on x86_64', 1 unless $^O eq 'linux' && $Config{archname} =~ /^x86_64/;
    skip 'no mount here', 1 if lacks { IO::AIO::mount('none', "$dir/none", 'tmpfs') };
    my ($unshare, $newns) = (272, 0x20000);
    no warnings 'uninitialized';
    my $at = fresh_dir;
    my $try = sub { my ($got) = @_; $got eq '-1' ? "$got " . errno_name($!) : $got };
    my @mount = (    # something to do, and what it results in
        [sub { IO::AIO::mount('none', $at, 'tmpfs', IO::AIO::MS_NOUSER) }, '-1 EINVAL', 'flags that are not for us'],
        [sub { IO::AIO::mount('none', $at, 'tmpfs', 0, 'size=1m,nr_inodes=3') }, '0', 'data'],
        [sub { join ' ', map { mkdir("$at/$_") ? 'made' : errno_name($!) } 1 .. 3 }, 'made made ENOSPC', 'which is in force'],
        [sub { IO::AIO::mount('none', $at, 'tmpfs', IO::AIO::MS_REMOUNT | IO::AIO::MS_RDONLY, undef) }, '0', 'a remount with flags'],
        [sub { rmdir "$at/1"; errno_name($!) }, 'EROFS', 'which are in force'],
        [sub { IO::AIO::mount('none', $at, undef, IO::AIO::MS_REMOUNT, 'no such option') }, '-1 EINVAL', 'bad data'],
        [sub { opendir my $busy, $at or die; $try->(IO::AIO::umount($at)) }, '-1 EBUSY', 'umount: somebody is there'],
        [sub { opendir my $busy, $at or die; IO::AIO::umount($at, IO::AIO::MNT_DETACH) }, '0', 'umount with MNT_DETACH'],
        [sub { IO::AIO::umount($at) }, '-1 EINVAL', 'nothing is mounted afterwards'],
        [sub { IO::AIO::mount($dir, $at, undef, IO::AIO::MS_BIND) }, '0', 'a bind mount, no type given'],
        [sub { -e "$at/in" ? 'there' : 'not there' }, 'there', 'files show up'],
        [sub { IO::AIO::umount($at, IO::AIO::MNT_EXPIRE) }, '-1 EAGAIN', 'umount with MNT_EXPIRE marks'],
        [sub { IO::AIO::umount($at, IO::AIO::MNT_EXPIRE) }, '0', 'and then unmounts'],
        [sub { symlink $at, "$at.link" or die; IO::AIO::mount($dir, "$at.link", '', IO::AIO::MS_BIND) }, '0', 'a mount through a symlink'],
        [sub { IO::AIO::umount("$at.link", IO::AIO::UMOUNT_NOFOLLOW) }, '-1 EINVAL', 'umount with UMOUNT_NOFOLLOW'],
        [sub { IO::AIO::umount("$at.link", undef) }, '0', 'umount follows it'],
    );
    my @got = in_child {
        syscall($unshare, $newns) == 0 or return;
        IO::AIO::mount(undef, '/', undef, IO::AIO::MS_REC | IO::AIO::MS_PRIVATE) == 0 or return;
        map { $try->($_->[0]->()) } @mount;
    };
    skip 'not allowed to mount', 1 unless @got;
    is($got[$_], $mount[$_][1], "mounts: $mount[$_][2]") for 0 .. $#mount;
}

# valgrind has limits, and a way to execute programs, of its own.
$AIOTest::plain = 1;

# ---- limits: 64 descriptors, may be raised to 256, no privileges ----------------------------------

sub with_limits {
    my ($code) = @_;
    local $ENV{AIOTEST_ULIMIT} = '-Sn 64; ulimit -Hn 256';
    my ($status, $out, $err) = run_perl(<<'PERL' . $code);
        use IO::AIO; use POSIX ();
        if (!$>) { $) = '65534 65534'; POSIX::setgid(65534); POSIX::setuid(65534); die if !$> }
        sub show { my $e = $! + 0; print @_ != 1 ? 'no result' : $_[0] ? 'true' : defined $_[0] ? 'false' : "undef $e", ' ', IO::AIO::get_fdlimit() }
PERL
    $status ? "status $status: $err" : $out;
}

my $refused = 'undef ' . POSIX::EPERM() . ' 256';
is(with_limits('show(IO::AIO::min_fdlimit(200.9))'), 'true 200', 'min_fdlimit: no further than asked for');
is(with_limits('show(IO::AIO::min_fdlimit(256))'), 'true 256', 'as far as the hard limit');
is(with_limits("show(IO::AIO::min_fdlimit($_))"), $refused, 'not beyond, but up to it: (' . $_ . ')') for 257, -1, '1e30', '';
is(with_limits('IO::AIO::min_fdlimit(200); my $n = 0; $n++ while $n < 100 && POSIX::dup(0); print $n'), 100, 'it is in force');

# ---- programs ------------------------------------------------------------------------------------

# What a perl program prints that goes on as another: code that calls fexecve with a handle $fh of the file given.
sub executed {
    my ($path, $code) = @_;
    my ($status, $out, $err) = run_perl(<<'PERL' . "$code;\n" . 'print "failed: ", $! + 0', $path);
        use IO::AIO; use Fcntl;
        open my $fh, '<', $ARGV[0] or die "$ARGV[0]: $!";
        fcntl $fh, F_SETFD, 0;
PERL
    $status ? "status $status: $err" : $out;
}

my $sh = '/bin/sh';
SKIP: {
    skip 'no shell', 1 unless -x $sh;
    skip 'no fexecve here', 1 if lacks { IO::AIO::fexecve(open_as($file, O_RDONLY), ['x']) };
    my $show_args = q('sh', '-c', q(printf '<%s>' "$0" "$@"));
    my $show_env  = q(['sh', '-c', 'echo $A,$B,$C']);
    is(executed($sh, "utf8::upgrade(my \$e = chr 233); IO::AIO::fexecve \$fh, [$show_args, 'zero', undef, \$e, 1.5]"),
        "<zero><><\xe9><1.5>", 'fexecve: odd arguments');
    ours { is(executed($sh, "IO::AIO::fexecve fileno \$fh, [$show_args, 'zero']"), '<zero>', 'by number') } 'takes handles only';
    is(executed($sh, "\$ENV{A} = 4; \$ENV{B} = 5; delete \$ENV{A}; IO::AIO::fexecve \$fh, $show_env"), ",5,\n", 'what was done to %ENV');
    is(executed($sh, <<'PERL'), "tied\n", 'a tied array');
        sub TIEARRAY { bless [] } sub FETCHSIZE { 3 } sub FETCH { ('sh', '-c', 'echo tied')[$_[1]] }
        tie my @argv, 'main';
        IO::AIO::fexecve $fh, \@argv
PERL
    ours { is(executed($sh, q(print 'before '; IO::AIO::fexecve $fh, ['sh', '-c', 'echo after'])), "before after\n", 'output before it is not lost') }
    'does not flush';
    like(executed($sh, q($| = 1; print "$$\n"; IO::AIO::fexecve $fh, ['sh', '-c', 'echo $$'])), qr/^(\d+)\n\1\n\z/, 'the process stays the same');
    is(executed($sh, q(fcntl $fh, F_SETFD, FD_CLOEXEC; IO::AIO::fexecve $fh, ['sh', '-c', 'echo still'])), "still\n", 'a program may be close-on-exec');

    my $script = write_file "$dir/script", "#!$sh\necho script\n";
    chmod 0755, $script or die "chmod: $!";
    is(executed($script, q(fcntl $fh, F_SETFD, FD_CLOEXEC; IO::AIO::fexecve $fh, ['zero'])), 'failed: ' . POSIX::ENOENT(), 'a script may not');
    is(executed($sh, q(IO::AIO::fexecve $fh, ['x', 'x' x (1 << 20)])), 'failed: ' . POSIX::E2BIG(), 'fexecve: an argument of a megabyte');
    fails { IO::AIO::fexecve(open_as($dir, O_RDONLY), ['x']) } -1, 'EACCES', 'fexecve: a directory';
    ours { is(executed($sh, q(IO::AIO::fexecve 99, ['x'])), 'failed: ' . POSIX::EBADF(), 'fexecve: an unused descriptor number') } 'croaks';
}

# ---- threads -------------------------------------------------------------------------------------

SKIP: {
    skip 'no threads in this perl', 2 unless $Config{useithreads} && !is_peer;
    require threads;
    my ($w) = map { $_->join } threads->create(
        sub {
            my ($r, $out) = IO::AIO::pipe2;
            syswrite $out, 'from a thread' or return 'no write';
            my $n = sysread $r, my $buf, 100;
            my $got = eval { IO::AIO::fexecve(undef, []); 1 } ? 'lived' : $@;
            join ' ', $buf, IO::AIO::makedev(8, 1), $got =~ /^fexecve: illegal fh/ ? 'croaked' : $got;
        }
    );
    is($w, 'from a thread 2049 croaked', 'the calls in another thread');
    is(IO::AIO::makedev(8, 1), 2049, 'and afterwards in this one');
}

done;
