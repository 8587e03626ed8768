use strict;
use warnings;
no warnings 'uninitialized';    # undef is among the arguments
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use SysTest;
use Test::More;
use Errno ();
use Fcntl;
use Socket qw(:DEFAULT SOCK_NONBLOCK);
use IO::AIO;

# Functions that are thin wrappers of system calls on descriptors. They do not depend on the engine.

$SIG{PIPE} = 'IGNORE';

# A pipe whose ends do not block. Perl's own makes handles that are for both directions, going by their mode.
sub nonblocking_pipe {
    return IO::AIO::pipe2(IO::AIO::O_NONBLOCK) unless without 'PIPE2';
    pipe my $r, my $w or die "pipe: $!";
    $_->blocking(0) for $r, $w;
    return ($r, $w);
}

my $dir = tmpdir;
my $file = write_file "$dir/file", '0123456789';
open my $fh, '+<', $file or die "$file: $!";
open my $ro, '<',  $file or die "$file: $!";
open my $wo, '>>', "$dir/wo" or die "wo: $!";
open my $closed, '<', $file or die "$file: $!";
close $closed;
open my $memory, '<', \'text' or die "in memory: $!";

my @no_handle = ([undef => undef], [closed => $closed], ['in memory' => $memory], [hash => {}], [negative => -1]);

# ---- what the build lacks ------------------------------------------------------------------------

{
    my ($r, $w) = nonblocking_pipe;
    for my $t (
        [PIPE2         => [],      'pipe2, flags'    => sub { IO::AIO::pipe2(IO::AIO::O_CLOEXEC) }],
        [PIPESIZE      => [-1],    pipesize          => sub { IO::AIO::pipesize($r) }],
        [SPLICE        => [-1],    splice            => sub { IO::AIO::splice($fh, 0, $w, undef, 1, 0) }],
        [TEE           => [-1],    tee               => sub { IO::AIO::tee($r, $w, 1, 0) }],
        [ACCEPT4       => [undef], accept4           => sub { IO::AIO::accept4($fh, my $name, 100, 0) }],
        [EVENTFD       => [undef], eventfd           => sub { IO::AIO::eventfd() }],
        [MEMFD_CREATE  => [undef], memfd_create      => sub { IO::AIO::memfd_create('x') }],
        [TIMERFD       => [undef], timerfd_create    => sub { IO::AIO::timerfd_create(0) }],
        [TIMERFD       => [],      timerfd_settime   => sub { IO::AIO::timerfd_settime($fh, 0, 0, 1) }],
        [TIMERFD       => [],      timerfd_gettime   => sub { IO::AIO::timerfd_gettime($fh) }],
        [PIDFD         => [undef], pidfd_open        => sub { IO::AIO::pidfd_open($$) }],
        [PIDFD         => [-1],    pidfd_send_signal => sub { IO::AIO::pidfd_send_signal($fh, 0) }],
        [PIDFD         => [undef], pidfd_getfd       => sub { IO::AIO::pidfd_getfd($fh, 0) }],
        [FEXECVE       => [-1],    fexecve           => sub { IO::AIO::fexecve($fh, ['x']) }],
        [MOUNT         => [-1],    mount             => sub { IO::AIO::mount('none', "$dir/none", 'tmpfs') }],
        [MOUNT         => [-1],    umount            => sub { IO::AIO::umount("$dir/none") }],
        [UMOUNT2       => [-1],    'umount, flags'   => sub { IO::AIO::umount("$dir/none", 2) }],
        [MREMAP        => [''],    mremap            => sub { IO::AIO::mremap(my $data, 10) }],
    ) {
        my ($feature, $result, $name, $call) = @$t;
        next unless without $feature;
        fails { $call->() } $result, 'ENOSYS', "built without $feature: $name";
    }
    is(IO::AIO::fadvise($fh, 0, 0, 0), Errno::ENOSYS(), 'fadvise: the number of ENOSYS') if without 'POSIX_FADVISE';
}

# ---- pipe2, pipesize -----------------------------------------------------------------------------

is(scalar(my @plain = IO::AIO::pipe2()), 2, 'pipe2 without flags works anywhere');
{
    use open IO => ':utf8';
    my $layers = sub { [PerlIO::get_layers($_[0])] };
    pipe my $r, my $w or die "pipe: $!";
    is_deeply([map $layers->($_), IO::AIO::pipe2()], [map $layers->($_), $r, $w], 'the layers of a pipe are those of perl');
  SKIP: {
        skip 'no eventfd', 1 if without 'EVENTFD';
        my $event = IO::AIO::eventfd(7);
        sysread $event, my $octets, 8;
        is(unpack('Q', $octets), 7, 'an event is no text, whatever open.pm says');
    }
}
undef @plain;
SKIP: {
    needs(1, 'PIPE2');
    for my $t ([none => []], [0 => [0]], [undef => [undef]]) {
        my ($name, $args) = @$t;
        my @pipe = @$args ? IO::AIO::pipe2($args->[0]) : IO::AIO::pipe2();
        is(scalar @pipe, 2, "pipe2 with flags $name: two handles");
        is(syswrite($pipe[1], 'hello'), 5, 'write');
        is(sysread($pipe[0], my $buf, 100), 5, 'read');
        handle_ok($_, 'pipe2') for @pipe;
        ours { is(cloexec($_), 0, 'not close-on-exec unless asked for') for @pipe } 'always sets it';
        is(status_flags($pipe[0]) & O_ACCMODE, O_RDONLY, 'the first is for reading');
        is(status_flags($pipe[1]) & O_ACCMODE, O_WRONLY, 'the second for writing');
        ok(close $_, 'close') for @pipe;
    }
    my ($r, $w) = IO::AIO::pipe2(IO::AIO::O_CLOEXEC | IO::AIO::O_NONBLOCK);
    is(cloexec($_), 1, 'pipe2 O_CLOEXEC') for $r, $w;
    ok(status_flags($_) & O_NONBLOCK, 'pipe2 O_NONBLOCK') for $r, $w;
    fails { IO::AIO::pipe2(1) } [], 'EINVAL', 'pipe2 with unknown flags';
    my $scalar = IO::AIO::pipe2(0);
    ok(defined fileno $scalar, 'pipe2 in scalar context: a handle');
}

SKIP: {
    my ($r, $w) = nonblocking_pipe;
    skip 'no pipesize here', 1 if missing(sub { IO::AIO::pipesize($r) });
    is(IO::AIO::pipesize($r), 65536, 'pipesize');
    is(IO::AIO::pipesize($w), 65536, 'of the other end');
    is(IO::AIO::pipesize($r, 100_000), 131072, 'pipesize sets and rounds up');
    is(IO::AIO::pipesize($w), 131072, 'and is remembered');
    is(IO::AIO::pipesize(fileno $w), 131072, 'a number');
    syswrite $w, 'x' x 100_000;
    fails { IO::AIO::pipesize($r, 4096) } [-1], 'EBUSY', 'too small for what is in it';
    fails { IO::AIO::pipesize($fh) } [-1], 'EBADF', 'a file';
    fails { IO::AIO::pipesize(999) } [-1], 'EBADF', 'not open';
    for (@no_handle) {
        my ($name, $bad) = @$_;
        croaks { IO::AIO::pipesize($bad) } 'pipesize', "pipesize of $name";
    }
}

# ---- splice, tee ---------------------------------------------------------------------------------

SKIP: {
    my $nb = IO::AIO::SPLICE_F_NONBLOCK;
    my ($r, $w)   = nonblocking_pipe;
    my ($r2, $w2) = nonblocking_pipe;
    skip 'no splice here', 1 if missing(sub { IO::AIO::splice($r, undef, $w2, undef, 1, $nb) });
    my $drain = sub { my $buf; sysread($r2, $buf, 65536) ? $buf : '' };

    syswrite $w, 'abcdefgh';
    is(IO::AIO::tee($r, $w2, 3, 0), 3, 'tee');
    is($drain->(), 'abc', 'copies');
    is(IO::AIO::splice($r, undef, $w2, undef, 2, 0), 2, 'splice from pipe to pipe');
    is($drain->(), 'ab', 'moves');
    is(IO::AIO::splice($r, undef, $w2, undef, 100, 0), 6, 'what there is');
    is($drain->(), 'cdefgh', 'the rest');
    fails { IO::AIO::splice($r, undef, $w2, undef, 1, $nb) } [-1], 'EAGAIN', 'splice from an empty pipe';
    fails { IO::AIO::tee($r, $w2, 1, $nb) } [-1], 'EAGAIN', 'tee from an empty pipe';

    my $offset = 3;
    is(IO::AIO::splice($fh, $offset, $w2, undef, 4, 0), 4, 'splice from a file');
    is($drain->(), '3456', 'at the offset');
    is($offset, 3, 'which is not changed');
    is(sysseek($fh, 0, 1) + 0, 0, 'nor is the position of the handle');
    is(IO::AIO::splice($fh, undef, $w2, undef, 4, 0), 4, 'without offset');
    is($drain->(), '0123', 'from its position');
    is(sysseek($fh, 0, 1), 4, 'which is moved');
    is(IO::AIO::splice($fh, 10, $w2, undef, 4, 0), 0, 'at the end: 0');
    is(IO::AIO::splice($fh, 0, $w2, undef, 0, 0), 0, 'nothing: 0');
    is(IO::AIO::splice(fileno $fh, 9, fileno $w2, undef, 4, 0), 1, 'numbers');
    $drain->();

    syswrite $w, 'XYZ';
    my $target = write_file "$dir/target", '----------';
    open my $out, '+<', $target or die "$target: $!";
    is(IO::AIO::splice($r, undef, $out, 4, 3, 0), 3, 'splice to a file');
    is(read_file($target), '----XYZ---', 'at the offset');

    for my $t (
        ['negative offset', [$fh, -1, $w2, undef, 3, 0], 'EINVAL'], ['offset of a pipe', [$r, 3, $w2, undef, 3, 0], 'ESPIPE'],
        ['file to file', [$fh, 0, $out, 0, 3, 0], 'EINVAL'], ['unknown flags', [$fh, 0, $w2, undef, 3, 0xffff], 'EINVAL'],
        ['not open', [999, undef, $w2, undef, 3, 0], 'EBADF'], ['write end as source', [$w, undef, $w2, undef, 3, $nb], 'EBADF'],
        ['not open as target', [$r, undef, 999, undef, 3, $nb], 'EBADF'], ['negative length', [$fh, 0, $w2, undef, -1, 0], 'EINVAL'],
    ) {
        my ($name, $a, $want) = @$t;
        fails { IO::AIO::splice($a->[0], $a->[1], $a->[2], $a->[3], $a->[4], $a->[5]) } [-1], $want, "splice: $name";
    }
    for my $t (
        ['file as source', [$fh, $w2, 3, 0], 'EINVAL'], ['file as target', [$r, $out, 3, 0], 'EINVAL'],
        ['not open', [999, $w2, 3, 0], 'EBADF'], ['unknown flags', [$r, $w2, 3, 0xffff], 'EINVAL'],
    ) {
        my ($name, $a, $want) = @$t;
        fails { IO::AIO::tee($a->[0], $a->[1], $a->[2], $a->[3]) } [-1], $want, "tee: $name";
    }
    croaks { IO::AIO::splice($r, undef, $r2, undef, 1, 0) } qr/mode mismatch/, 'splice to a handle for reading';
    croaks { IO::AIO::splice($fh, 0, $ro, undef, 1, 0) } qr/mode mismatch/, 'splice to a file for reading';
    croaks { IO::AIO::tee($r, $r2, 1, 0) } qr/mode mismatch/, 'tee to a handle for reading';
    for (@no_handle) {
        my ($name, $bad) = @$_;
        croaks { IO::AIO::splice($bad, undef, $w2, undef, 1, $nb) } 'splice', "splice from $name";
        croaks { IO::AIO::splice($r, undef, $bad, undef, 1, $nb) } 'splice', "splice to $name";
        croaks { IO::AIO::tee($bad, $w2, 1, $nb) } 'tee', "tee from $name";
        croaks { IO::AIO::tee($r, $bad, 1, $nb) } 'tee', "tee to $name";
    }
}

# ---- sendfile ------------------------------------------------------------------------------------

{
    my $target = write_file "$dir/sent", '';
    open my $out, '+<', $target or die "$target: $!";
    is(IO::AIO::sendfile($out, $ro, 2, 5), 5, 'sendfile to a file');
    is(IO::AIO::sendfile($out, $ro, 8, 50), 2, 'up to the end');
    is(IO::AIO::sendfile($out, $ro, 0, 1), 1, 'again');
    is(read_file($target), '23456890', 'goes on at the position of the output');
    is(sysseek($ro, 0, 1) + 0, 0, 'that of the input is not moved');
    is(IO::AIO::sendfile($out, $ro, 10, 5), 0, 'at the end: 0');
    is(IO::AIO::sendfile($out, $ro, 1000, 5), 0, 'behind it: 0');
    is(IO::AIO::sendfile($out, $ro, 0, 0), 0, 'nothing: 0');
    my ($r, $w) = nonblocking_pipe;
    is(IO::AIO::sendfile($w, $ro, 1, 4), 4, 'to a pipe');
    sysread $r, my $buf, 100;
    is($buf, '1234', 'the octets');
    socketpair my $s1, my $s2, AF_UNIX, SOCK_STREAM, 0 or die "socketpair: $!";
    is(IO::AIO::sendfile($s1, $ro, 5, 5), 5, 'to a socket');
    sysread $s2, $buf, 100;
    is($buf, '56789', 'the octets');
    is(IO::AIO::sendfile(fileno $s1, fileno $ro, 0, 1), 1, 'numbers');

    1 while syswrite $w, 'x' x 4096;
    fails { IO::AIO::sendfile($w, $ro, 0, 5) } [-1], 'EAGAIN', 'sendfile to a full pipe';
    close $r;
    fails { IO::AIO::sendfile($w, $ro, 0, 5) } [-1], 'EPIPE', 'sendfile to a broken pipe';
    fails { IO::AIO::sendfile($out, $ro, -1, 5) } [-1], 'EINVAL', 'sendfile: negative offset';
    ours { fails { IO::AIO::sendfile($out, $ro, 0, -5) } [-1], 'EINVAL', 'sendfile: negative length' } 'copies everything';
    fails { IO::AIO::sendfile($out, $wo, 0, 5) } [-1], 'EBADF', 'sendfile from a handle for writing';
    fails { IO::AIO::sendfile($out, 999, 0, 5) } [-1], 'EBADF', 'sendfile from what is not open';
    fails { IO::AIO::sendfile(999, $ro, 0, 5) } [-1], 'EBADF', 'sendfile to what is not open';
    pipe my $pr, my $pw or die "pipe: $!";
    syswrite $pw, 'abc';
    ours { is(IO::AIO::sendfile($out, $pr, 0, 3), 3, 'sendfile from a pipe') } 'gives ESPIPE';
    open my $d, '<', $dir or die "$dir: $!";
    fails { IO::AIO::sendfile($out, $d, 0, 3) } [-1], 'EISDIR EINVAL', 'sendfile from a directory';
    croaks { IO::AIO::sendfile($ro, $ro, 0, 5) } qr/mode mismatch/, 'sendfile to a handle for reading';
    for (@no_handle) {
        my ($name, $bad) = @$_;
        croaks { IO::AIO::sendfile($bad, $ro, 0, 1) } 'sendfile', "sendfile to $name";
        croaks { IO::AIO::sendfile($out, $bad, 0, 1) } 'sendfile', "sendfile from $name";
    }
}

# ---- fadvise -------------------------------------------------------------------------------------

pipe my $pr, my $pw or die "pipe: $!";
SKIP: {
    needs(12, 'POSIX_FADVISE');
    for my $advice (qw(NORMAL SEQUENTIAL RANDOM NOREUSE WILLNEED DONTNEED)) {
        is(IO::AIO::fadvise($fh, 0, 0, IO::AIO->can("FADV_$advice")->()), 0, "fadvise FADV_$advice");
    }
    is(IO::AIO::fadvise($fh, undef, undef, undef), 0, 'fadvise with undef');
    is(IO::AIO::fadvise($fh, 2**40, 2**40, 0), large_files ? 0 : Errno::EFBIG(), 'fadvise far behind');
    is(IO::AIO::fadvise($fh, 0, 0, 77), Errno::EINVAL(), 'unknown advice: the number of the error');
    is(IO::AIO::fadvise($fh, 0, -1, 0), Errno::EINVAL(), 'negative length');
    is(IO::AIO::fadvise(999, 0, 0, 0), Errno::EBADF(), 'not open');
    is(IO::AIO::fadvise($pr, 0, 0, 0), Errno::ESPIPE(), 'a pipe');
}
for (@no_handle) {
    my ($name, $bad) = @$_;
    croaks { IO::AIO::fadvise($bad, 0, 0, 0) } 'fadvise', "fadvise of $name";
}

# ---- accept4 -------------------------------------------------------------------------------------

SKIP: {
    socket my $listener, AF_INET, SOCK_STREAM, 0 or die "socket: $!";
    bind $listener, pack_sockaddr_in(0, INADDR_LOOPBACK) or die "bind: $!";
    listen $listener, 10 or die "listen: $!";
    my $address = getsockname $listener;
    my $connect = sub { socket my $c, AF_INET, SOCK_STREAM, 0 or die "socket: $!"; connect $c, $address or die "connect: $!"; $c };

    fcntl $listener, F_SETFL, O_NONBLOCK or die "fcntl: $!";
    skip 'no accept4 here', 1 if missing(sub { IO::AIO::accept4($listener, my $name, 100, 0) });
    {
        my $name = 'old';
        fails { IO::AIO::accept4($listener, $name, 100, 0) } [undef], 'EAGAIN', 'accept4: nobody there';
        fails { IO::AIO::accept4($fh, $name, 100, 0) } [undef], 'ENOTSOCK', 'accept4: no socket';
        fails { IO::AIO::accept4($listener, $name, 100, 1) } [undef], 'EINVAL', 'accept4: unknown flags';
        fails { IO::AIO::accept4(999, $name, 100, 0) } [undef], 'EBADF', 'accept4: not open';
        is($name, 'old', 'failures leave the name alone');
    }
    for my $t ([none => 0, 0, 0], [SOCK_NONBLOCK => SOCK_NONBLOCK, 1, 0], [SOCK_CLOEXEC => IO::AIO::SOCK_CLOEXEC, 0, 1]) {
        my ($name, $flags, $nonblock, $close) = @$t;
        my $client = $connect->();
        my $peer = 'x' x 300;
        my $copy = $peer;
        my $conn = IO::AIO::accept4($listener, $peer, 128, $flags);
        handle_ok($conn, "accept4 with $name");
        is($peer, getsockname $client, 'the name of the peer');
        is($copy, 'x' x 300, 'a copy is not touched');
        is(!!(status_flags($conn) & O_NONBLOCK), !!$nonblock, 'non-blocking as asked for');
        my $test = sub { is(cloexec($conn), $close, 'close-on-exec as asked for') };
        $close ? $test->() : &ours($test, 'always sets it');
        syswrite $client, 'to';
        sysread $conn, my $buf, 10;
        is($buf, 'to', 'reads');
        syswrite $conn, 'from';
        sysread $client, $buf, 10;
        is($buf, 'from', 'and writes');
        ok(close $conn, 'close');
    }
    my $accept = sub { my ($max) = @_; my $client = $connect->(); (IO::AIO::accept4($listener, $_[1], $max, 0), $client) };
    {
        my $name;
        my ($conn, $client) = $accept->(4, $name);
        ok(defined $conn, 'a short name');
        cmp_ok(length $name, '>', 4, 'is longer than what was asked for');
        is(substr($name, 0, 4), substr(getsockname $client, 0, 4), 'and begins like it');
    }
    {
        my $name = 'old';
        my ($conn) = $accept->(0, $name);
        ok(defined $conn, 'length 0');
        is($name, 'old', 'leaves the scalar alone');
    }
    {
        my $client = $connect->();
        ok(defined IO::AIO::accept4($listener, undef, 0, 0), 'undef and 0: without name');
        ours {
            my $client = $connect->();
            ok(defined IO::AIO::accept4($listener, undef, 128, 0), 'undef and a length');
            ok(!defined undef(), 'undef is still undef');
        } 'crash: stores the name in undef itself';
        ours {
            my $client = $connect->();
            my %hash;
            ok(defined IO::AIO::accept4($listener, $hash{new}, 128, 0), 'a new element');
            is($hash{new}, getsockname $client, 'has the name');
        } 'crash';
    }
    {
        my $client = $connect->();
        ours {
            croaks { IO::AIO::accept4($listener, 'constant', 100, 0) } qr/read-only/, 'a constant for the name';
        } 'crash: overwrites constants';
        1 while defined IO::AIO::accept4($listener, undef, 0, 0);
    }
    for (@no_handle) {
        my ($name, $bad) = @$_;
        croaks { IO::AIO::accept4($bad, my $n, 100, 0) } 'accept4', "accept4 of $name";
    }
    socket my $unix, AF_UNIX, SOCK_STREAM, 0 or die "socket: $!";
    bind $unix, pack_sockaddr_un("$dir/socket") or die "bind: $!";
    listen $unix, 1 or die "listen: $!";
    socket my $client, AF_UNIX, SOCK_STREAM, 0 or die "socket: $!";
    connect $client, pack_sockaddr_un("$dir/socket") or die "connect: $!";
    my $conn = IO::AIO::accept4($unix, my $name, 110, 0);
    is(unpack('S', $name), AF_UNIX, 'a socket without name');
    is(length $name, 2, 'has the family only');
}

# ---- eventfd -------------------------------------------------------------------------------------

SKIP: {
    skip 'no eventfd here', 1 if missing(sub { IO::AIO::eventfd() });
    my $value = sub { my $buf; sysread($_[0], $buf, 8) ? unpack_u64($buf) : errno_name($!) };
    my $fd = IO::AIO::eventfd();
    handle_ok($fd, 'eventfd');
    ours { is(cloexec($fd), 0, 'eventfd: not close-on-exec unless asked for') } 'always sets it';
    is(syswrite($fd, pack_u64 3), 8, 'eventfd: write');
    is(syswrite($fd, pack_u64 4), 8, 'eventfd: write');
    is($value->($fd), 7, 'eventfd: counts');
    $fd = IO::AIO::eventfd(5, IO::AIO::EFD_NONBLOCK | IO::AIO::EFD_CLOEXEC);
    is(cloexec($fd), 1, 'EFD_CLOEXEC');
    is($value->($fd), 5, 'initial value');
    is($value->($fd), 'EAGAIN', 'EFD_NONBLOCK');
    $fd = IO::AIO::eventfd(2, IO::AIO::EFD_SEMAPHORE | IO::AIO::EFD_NONBLOCK);
    is(join(' ', map $value->($fd), 1 .. 3), '1 1 EAGAIN', 'EFD_SEMAPHORE');
    is($value->(IO::AIO::eventfd(4_000_000_000)), 4_000_000_000, 'a large value');
    ok(defined IO::AIO::eventfd(undef, undef), 'undef is 0');
    fails { IO::AIO::eventfd($_) } [undef], 'EINVAL', "eventfd: no such value: $_" for -2**31 - 1, 2**32;
    fails { IO::AIO::eventfd(0, 1 << 24) } [undef], 'EINVAL', 'eventfd: unknown flags';
}

# ---- memfd_create --------------------------------------------------------------------------------

SKIP: {
    skip 'no memfd_create here', 1 if missing(sub { IO::AIO::memfd_create('x') });
    my $name_of = sub { my $link = readlink '/proc/self/fd/' . fileno $_[0]; defined $link && $link =~ m{^/memfd:(.*) \(deleted\)$}s ? $1 : undef };
    my $mem = IO::AIO::memfd_create('some name');
    handle_ok($mem, 'memfd_create');
    ours { is(cloexec($mem), 0, 'memfd_create: not close-on-exec unless asked for') } 'always sets it';
    is(syswrite($mem, 'content'), 7, 'memfd_create: write');
    is(sysseek($mem, 0, 0), '0 but true', 'seek');
    is(sysread($mem, my $buf, 100), 7, 'read');
    is($buf, 'content', 'the content');
    is(cloexec(IO::AIO::memfd_create('x', IO::AIO::MFD_CLOEXEC)), 1, 'MFD_CLOEXEC');
    $mem = IO::AIO::memfd_create('x', IO::AIO::MFD_ALLOW_SEALING);
    ok(fcntl($mem, IO::AIO::F_ADD_SEALS, IO::AIO::F_SEAL_WRITE), 'MFD_ALLOW_SEALING');
    is(fcntl($mem, IO::AIO::F_GET_SEALS, 0), IO::AIO::F_SEAL_WRITE, 'F_GET_SEALS');
    ok(!defined syswrite($mem, 'x'), 'a sealed one cannot be written');
    is(errno_name($!), 'EPERM', 'EPERM');
  SKIP: {
        skip 'no /proc', 3 unless -d '/proc/self/fd';
        is($name_of->(IO::AIO::memfd_create('n a m e')), 'n a m e', 'the name');
        is($name_of->(IO::AIO::memfd_create('')), '', 'an empty name');
        utf8::upgrade(my $latin = "\xe4");
        is($name_of->(IO::AIO::memfd_create($latin)), "\xe4", 'an upgraded name');
    }
    fails { IO::AIO::memfd_create('x' x 300) } [undef], 'EINVAL', 'memfd_create: name too long';
    fails { IO::AIO::memfd_create('x', 1 << 15) } [undef], 'EINVAL', 'memfd_create: unknown flags';
    croaks { IO::AIO::memfd_create("\x{100}") } qr/./, 'memfd_create: a wide name';
}

# ---- timerfd -------------------------------------------------------------------------------------

SKIP: {
    my $clock = IO::AIO::CLOCK_MONOTONIC;
    skip 'no timerfd here', 1 if missing(sub { IO::AIO::timerfd_create($clock) });
    my $fd = IO::AIO::timerfd_create($clock);
    handle_ok($fd, 'timerfd_create');
    ours { is(cloexec($fd), 0, 'timerfd_create: not close-on-exec unless asked for') } 'always sets it';
    $fd = IO::AIO::timerfd_create($clock, IO::AIO::TFD_NONBLOCK | IO::AIO::TFD_CLOEXEC);
    is(cloexec($fd), 1, 'TFD_CLOEXEC');
    ok(status_flags($fd) & O_NONBLOCK, 'TFD_NONBLOCK');

    is_deeply([IO::AIO::timerfd_gettime($fd)], [0, 0], 'gettime of a new one');
    is_deeply([IO::AIO::timerfd_settime($fd, 0, 1.5, 100.25)], [0, 0], 'settime returns what was set before');
    my ($interval, $value) = IO::AIO::timerfd_gettime($fd);
    is($interval, 1.5, 'gettime: interval');
    cmp_ok($value, '<=', 100.25, 'gettime: value');
    cmp_ok($value, '>', 90, 'gettime: value');
    ($interval, $value) = IO::AIO::timerfd_settime($fd, 0, 0.125, 7);
    is($interval, 1.5, 'settime: the interval before');
    cmp_ok($value, '>', 90, 'settime: the value before');
    cmp_ok(scalar(IO::AIO::timerfd_gettime($fd)), '<=', 7, 'scalar context: the value');
    IO::AIO::timerfd_settime($fd, 0, 0, 0);
    is_deeply([IO::AIO::timerfd_gettime($fd)], [0, 0], 'stopped');
    IO::AIO::timerfd_settime($fd, 0, 0.000000001, 0.000000001);
    is((IO::AIO::timerfd_gettime($fd))[0], 0.000000001, 'a nanosecond');
    IO::AIO::timerfd_settime($fd, 0, 0.999999999, 10);
    is((IO::AIO::timerfd_gettime($fd))[0], 0.999999999, 'all digits');

    # it fires
    my $blocking = IO::AIO::timerfd_create($clock, IO::AIO::TFD_CLOEXEC);
    IO::AIO::timerfd_settime($blocking, 0, 0.001, 0.001);
    is(sysread($blocking, my $buf, 8), 8, 'fires');
    cmp_ok(unpack_u64($buf), '>=', 1, 'at least once');
    IO::AIO::timerfd_settime($blocking, IO::AIO::TFD_TIMER_ABSTIME, 0, 0.5);
    is(sysread($blocking, $buf, 8), 8, 'TFD_TIMER_ABSTIME in the past fires at once');

    fails { IO::AIO::timerfd_create(77) } [undef], 'EINVAL', 'timerfd_create: unknown clock';
    fails { IO::AIO::timerfd_create($clock, 1 << 22) } [undef], 'EINVAL', 'timerfd_create: unknown flags';
    for my $t (['negative value', 0, 0, -1], ['negative interval', 0, -1, 0], ['not a number', 0, 0, 'nan'], ['infinite', 0, 0, 9**9**9], ['too large', 0, 0, 1e30], ['unknown flags', 1 << 20, 0, 1]) {
        my ($name, @a) = @$t;
        fails { IO::AIO::timerfd_settime($fd, $a[0], $a[1], $a[2]) } [], 'EINVAL', "timerfd_settime: $name";
    }
    fails { IO::AIO::timerfd_settime($fh, 0, 0, 1) } [], 'EINVAL', 'timerfd_settime of a file';
    fails { IO::AIO::timerfd_gettime($fh) } [], 'EINVAL', 'timerfd_gettime of a file';
    fails { IO::AIO::timerfd_settime(999, 0, 0, 1) } [], 'EBADF', 'timerfd_settime of what is not open';
    fails { IO::AIO::timerfd_gettime(999) } [], 'EBADF', 'timerfd_gettime of what is not open';
    ok(!defined(scalar IO::AIO::timerfd_gettime($fh)), 'undef in scalar context');
    for (@no_handle) {
        my ($name, $bad) = @$_;
        croaks { IO::AIO::timerfd_settime($bad, 0, 0, 1) } 'timerfd_settime', "timerfd_settime of $name";
        croaks { IO::AIO::timerfd_gettime($bad) } 'timerfd_gettime', "timerfd_gettime of $name";
    }
}

close $_ for $fh, $ro, $wo, $pr, $pw;
done;
