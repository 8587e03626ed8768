use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use SysTest;
use Test::More;
use Config;
use Fcntl qw(:DEFAULT :seek);
use POSIX ();
use Socket;
use IO::AIO;

# The plain system calls: their arguments, all of them; and those that make no descriptors: what happens to data,
# positions, limits, programs and mounts. What must not happen to this process happens in others.

my $dir  = tmpdir;
my $text = join '', map { "line $_\n" } 1 .. 1000;
my $file = write_file "$dir/in", $text;

sub open_as {
    my ($path, $flags) = @_;
    sysopen my $fh, $path, $flags, 0666 or die "$path: $!";
    $fh;
}

sub position { sysseek($_[0], 0, SEEK_CUR) + 0 }
sub closed   { open my $fh, '<', '/dev/null' or die "/dev/null: $!"; close $fh; $fh }

# ---- arguments -----------------------------------------------------------------------------------

# how many, and which are handles, in a call that is right otherwise
my %call = (
    accept4           => [4, 4, [\'r_fh', undef, 0, 0]],
    eventfd           => [0, 2],
    fadvise           => [4, 4, [\'fh', 0, 0, 0]],
    fexecve           => [2, 3, [\'fh', []]],
    get_fdlimit       => [0, 0],
    major             => [1, 1],
    makedev           => [2, 2],
    memfd_create      => [1, 2],
    min_fdlimit       => [0, 1],
    minor             => [1, 1],
    mount             => [3, 5],
    pidfd_getfd       => [2, 3, [\'pidfh', 0]],
    pidfd_open        => [1, 2],
    pidfd_send_signal => [2, 4, [\'pidfh', 0]],
    pipe2             => [0, 1],
    pipesize          => [1, 2, [\'r_fh']],
    sendfile          => [4, 4, [\'out_fh', \'in_fh', 0, 1]],
    splice            => [6, 6, [\'r_fh', undef, \'w_fh', undef, 1, 0]],
    tee               => [4, 4, [\'r_fh', \'w_fh', 1, 0]],
    timerfd_create    => [1, 2],
    timerfd_gettime   => [1, 1, [\'fh']],
    timerfd_settime   => [4, 4, [\'fh', 0, 0, 0]],
    umount            => [1, 2],
);

for my $name (sort keys %call) {
    no warnings 'uninitialized';
    my ($min, $max, $args) = @{ $call{$name} };
    my $sub = \&{"IO::AIO::$name"};
    croaks { $sub->((undef) x ($min - 1)) } $name, "$name: too few arguments croak" if $min;
    croaks { $sub->((undef) x ($max + 1)) } $name, "$name: too many arguments croak";

    pipe my $r, my $w or die "pipe: $!";
    open my $memory, '<', \'text' or die;
    my %bad = ('undef' => undef, 'a closed handle' => closed, 'a negative number' => -1, 'a hash' => {}, 'in memory' => $memory);
    for my $n (grep ref $args->[$_] eq 'SCALAR', 0 .. $#{ $args || [] }) {
        my $arg = ${ $args->[$n] };
        my @ok  = map { ref ne 'SCALAR' ? $_ : $$_ =~ /^(?:w|out)_/ ? $w : $r } @$args;
        for my $what (sort keys %bad) {
            next if is_peer && $name eq 'fexecve';    # it gives EBADF for some
            refuses { my @args = @ok; $args[$n] = $bad{$what}; $sub->(@args) } $name, $arg, "$name: $arg must not be $what";
        }
        if ($arg =~ /^(?:w|out)_/) {
            my @args = @ok;
            $args[$n] = undef;
            open $args[$n], '<', $file or die;
            croaks { $sub->(@args) } qr/mode mismatch/, "$name: $arg has to be open for writing";
        } else {
            my @args = @ok;
            $args[$n] = 999;
            my $way = $name eq 'accept4' || $name eq 'pidfd_getfd' ? 'undef' : $name =~ /^timerfd/ ? 'empty' : -1;
            next if $name eq 'fexecve' || $name eq 'fadvise';    # see below
            fails { $sub->(@args) } $way, 'EBADF ENOSYS', "$name: $arg an unused descriptor number";
        }
    }
}

ours {
    refuses { IO::AIO::mount("\x{100}", $dir, 'x') } mount => 'special';
    refuses { IO::AIO::mount('x', "\x{100}", 'x') } mount => 'path';
    refuses { IO::AIO::mount('x', $dir, "\x{100}") } mount => 'fstype';
    refuses { IO::AIO::mount('x', $dir, 'x', 0, "\x{100}") } mount => 'data';
    refuses { IO::AIO::umount("\x{100}") } umount => 'path';
    refuses { IO::AIO::memfd_create("\x{100}") } memfd_create => 'pathname';
    refuses { IO::AIO::fexecve(*STDIN, ["\x{100}"]) } fexecve => 'argv';
    refuses { IO::AIO::fexecve(*STDIN, [], ["A=\x{100}"]) } fexecve => 'envp';
} 'has other messages';
refuses { IO::AIO::fexecve(*STDIN, $_) } fexecve => 'argv', 'argv must be an array' for undef, 'x', {}, sub { };
refuses { IO::AIO::fexecve(*STDIN, [], $_) } fexecve => 'envp', 'envp must be an array' for 'A=1', {}, \'A=1';
refuses { IO::AIO::pidfd_send_signal(0, 0, $_) } pidfd_send_signal => 'siginfo', 'siginfo must be a hash' for 1, '', [], \1;

ours {
    fails { IO::AIO::mount("x\0", "$dir/none", 'x') } -1, 'EINVAL ENOSYS', 'mount: NUL in special';
    fails { IO::AIO::mount('x', "$dir\0x", 'no such type') } -1, 'ENOENT ENOSYS', 'mount: NUL in path';
    fails { IO::AIO::mount('x', "$dir/none", "tmpfs\0x") } -1, 'EINVAL ENOSYS', 'mount: NUL in fstype';
    fails { IO::AIO::umount("$dir\0x") } -1, 'ENOENT ENOSYS', 'umount: NUL in path';
    fails { IO::AIO::memfd_create("x\0y") } 'undef', 'EINVAL ENOSYS', 'memfd_create: NUL';
    fails { IO::AIO::fexecve(*STDIN, ["x\0y"]) } -1, 'EINVAL ENOSYS', 'fexecve: NUL in argv';
    fails { IO::AIO::fexecve(*STDIN, ['x'], ["A=\0y"]) } -1, 'EINVAL ENOSYS', 'fexecve: NUL in envp';
} 'cuts strings at NUL';

# ---- device numbers ------------------------------------------------------------------------------

my $rdev = (stat '/dev/null')[6];
is(IO::AIO::makedev(IO::AIO::major($rdev), IO::AIO::minor($rdev)), $rdev, 'a device number taken apart and put together');
is_deeply([IO::AIO::major($rdev), IO::AIO::minor($rdev)], [1, 3], '/dev/null is 1, 3') if $^O eq 'linux';
SKIP: {
    skip 'Linux numbers of 64 bits', 12 unless $^O eq 'linux' && $Config{ivsize} == 8;
    my @dev = ([0, 0, 0], [8, 1, 0x801], [255, 255, 0xffff], [4095, 1048575, 0xffffffff], [4096, 256, 2**44 + 2**20], [2**32 - 1, 2**32 - 1, ~0]);
    for (@dev) {
        my ($major, $minor, $dev) = @$_;
        is(IO::AIO::makedev($major, $minor), $dev, "makedev $major, $minor");
        is_deeply([IO::AIO::major($dev), IO::AIO::minor($dev)], [$major, $minor], 'and back');
    }
}

# ---- limits --------------------------------------------------------------------------------------

is(IO::AIO::get_fdlimit, POSIX::sysconf(POSIX::_SC_OPEN_MAX()), 'get_fdlimit');

# What a program prints under a limit of 64 descriptors that may be raised to 256; it has no privileges.
sub with_limits {
    my ($code) = @_;
    local $ENV{AIOTEST_ULIMIT} = '-Sn 64; ulimit -Hn 256';
    my ($status, $out, $err) = run_perl(<<'PERL' . $code);
        use IO::AIO; use POSIX;
        if (!$>) { $) = '65534 65534'; POSIX::setgid(65534); POSIX::setuid(65534); die if !$> }
PERL
    $status ? "status $status: $err" : $out;
}

# One test: what min_fdlimit returns, with which errno if that is not true, and the limit afterwards.
sub try_limit {
    my ($args, $want, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $got = with_limits("my \@got = IO::AIO::min_fdlimit($args);" . <<'PERL');
        my $errno = $! + 0;
        print @got != 1 ? 'no result' : $got[0] ? 'true' : defined $got[0] ? 'defined' : "undef, errno $errno";
        print ', ', IO::AIO::get_fdlimit();
PERL
    is($got, $want, $name);
}

my $EPERM = POSIX::EPERM();
try_limit('0', 'true, 64', 'min_fdlimit: what is enough stays');
try_limit('64', 'true, 64', 'min_fdlimit: exactly enough');
try_limit('65', 'true, 65', 'min_fdlimit: one more');
try_limit('200.9', 'true, 200', 'min_fdlimit: up to the number and no further');
try_limit('256', 'true, 256', 'min_fdlimit: up to the hard limit');
try_limit('257', "undef, errno $EPERM, 256", 'min_fdlimit: beyond it fails, having done its best');
try_limit('', "undef, errno $EPERM, 256", 'min_fdlimit: without a number very many');
try_limit('-1', "undef, errno $EPERM, 256", 'min_fdlimit: a negative number, too');
try_limit('1e30', "undef, errno $EPERM, 256", 'min_fdlimit: a number beyond all integers');
try_limit('undef', 'true, 64', 'min_fdlimit: undef is 0');
{
    my $open = 'my @fh = map { open my $fh, "<", "/dev/null" or last; $fh } 1 .. 100; print scalar @fh';
    is(with_limits("IO::AIO::min_fdlimit(200); $open"), 100, 'the raised limit is in force');
}


# ---- transfers -----------------------------------------------------------------------------------

$SIG{PIPE} = 'IGNORE';

# fadvise returns the error itself
SKIP: {
    my $in = open_as($file, O_RDONLY);
    my $advise = sub { my @got = IO::AIO::fadvise($_[0], $_[1], $_[2], $_[3]); @got == 1 ? errno_name($got[0]) : "@got" };
    skip 'no fadvise here', 12 if $advise->($in, 0, 0, 0) eq 'ENOSYS';
    for (qw(NORMAL SEQUENTIAL RANDOM NOREUSE WILLNEED DONTNEED)) {
        my $advice = IO::AIO->can("FADV_$_")->();
        is($advise->($in, 0, 4096, $advice), 'no error', "fadvise FADV_$_");
    }
    is($advise->(fileno $in, 1 << 40, 0, 0), 'no error', 'fadvise beyond the end, by number');
    is($advise->($in, 0, 1, 99), 'EINVAL', 'fadvise: bad advice');
    is($advise->($in, 0, -1, 0), 'EINVAL', 'fadvise: negative length');
    ours { is($advise->($in, 0, 1, 2**32), 'EINVAL', 'fadvise: advice that does not fit') } 'cuts numbers';
    pipe my $r, my $w or die;
    is($advise->($r, 0, 1, 0), 'ESPIPE', 'fadvise for a pipe');
    is($advise->(999, 0, 1, 0), 'EBADF', 'fadvise: an unused descriptor number');
}

{
    my $in = open_as($file, O_RDONLY);
    my $out = open_as("$dir/out", O_RDWR | O_CREAT);
    is(IO::AIO::sendfile($out, $in, 5, 10), 10, 'sendfile: the count');
    is(read_file("$dir/out"), substr($text, 5, 10), 'the data');
    is(position($in) . ' ' . position($out), '0 10', 'moves the position of the output only');
    is(IO::AIO::sendfile(fileno $out, fileno $in, length($text) - 3, 10), 3, 'sendfile to the end, by number');
    is(IO::AIO::sendfile($out, $in, length $text, 10), 0, 'at the end');
    is(IO::AIO::sendfile($out, $in, 1e9, 10), 0, 'beyond');
    is(IO::AIO::sendfile($out, $in, 0, 0), 0, 'nothing asked for');
    is(IO::AIO::sendfile($out, $in, 0, 1 << 40), length $text, 'more asked for than there is');
    is(-s "$dir/out", 13 + length $text, 'all of it appended');
    fails { IO::AIO::sendfile($out, $in, -1, 10) } -1, 'EINVAL', 'sendfile: a negative offset';
    ours { fails { IO::AIO::sendfile($out, $in, 0, -1) } -1, 'EINVAL', 'sendfile: a negative count' } 'takes it for a huge one';
    fails { IO::AIO::sendfile($out, open_as($dir, O_RDONLY), 0, 1) } -1, 'EISDIR EINVAL', 'sendfile from a directory';
    fails { IO::AIO::sendfile($out, open_as($file, O_WRONLY), 0, 1) } -1, 'EBADF', 'sendfile from what is not open for reading';

    pipe my $r, my $w or die;
    is(IO::AIO::sendfile($w, $in, 0, 100), 100, 'sendfile to a pipe');
    is(sysread($r, my $buf, 1000), 100, 'which has it');
    $w->blocking(0);
    my $large = open_as("$dir/large", O_RDWR | O_CREAT);
    truncate $large, 1 << 24 or die;
    my $sent = IO::AIO::sendfile($w, $large, 0, 1 << 24);
    ok($sent > 0 && $sent < 1 << 24, 'as much as goes into a pipe that does not block') or diag($sent);
    fails { IO::AIO::sendfile($w, $large, 0, 1) } -1, 'EAGAIN', 'no more';
    close $r;
    fails { IO::AIO::sendfile($w, $in, 0, 10) } -1, 'EPIPE', 'nor to a broken pipe';

    socketpair my $s1, my $s2, AF_UNIX, SOCK_STREAM, 0 or die;
    is(IO::AIO::sendfile($s1, $in, 1, 20), 20, 'sendfile to a socket');
    is(sysread($s2, $buf, 100) && $buf, substr($text, 1, 20), 'which has it');
}

SKIP: {
    pipe my $r, my $w or die;
    my $in = open_as($file, O_RDONLY);
    skip 'no splice here', 25 if lacks { IO::AIO::splice($in, undef, $w, undef, 0, 0) };
    my $buf;
    my $offset = 100;
    is(IO::AIO::splice($in, $offset, $w, undef, 50, 0), 50, 'splice into a pipe');
    is(sysread($r, $buf, 100) && $buf, substr($text, 100, 50), 'the data from there');
    is("$offset " . position($in), '100 0', 'neither offset nor position move');
    is(IO::AIO::splice(fileno $in, undef, fileno $w, undef, 50, IO::AIO::SPLICE_F_MOVE | IO::AIO::SPLICE_F_MORE), 50, 'without offset, by number');
    is(position($in), 50, 'the position moves');
    my $out = open_as("$dir/spliced", O_RDWR | O_CREAT);
    is(IO::AIO::splice($r, undef, $out, 7, 20, 0), 20, 'splice out of it to an offset');
    is(IO::AIO::splice($r, undef, $out, undef, 100, 0), 30, 'and the rest to the position');
    is(read_file("$dir/spliced"), substr($text, 20, 30), 'which was the start');
    is(IO::AIO::splice($in, length $text, $w, undef, 10, 0), 0, 'at the end');
    is(IO::AIO::splice($in, 0, $w, undef, 0, 0), 0, 'nothing asked for');
    fails { IO::AIO::splice($r, undef, $out, undef, 10, IO::AIO::SPLICE_F_NONBLOCK) } -1, 'EAGAIN', 'SPLICE_F_NONBLOCK with an empty pipe';
    fails { IO::AIO::splice($in, undef, $out, undef, 10, 0) } -1, 'EINVAL', 'between files';
    fails { IO::AIO::splice($in, 0, $w, 0, 10, 0) } -1, 'ESPIPE', 'an offset for a pipe';
    fails { IO::AIO::splice($r, 0, $out, 0, 10, 0) } -1, 'ESPIPE', 'and for the other end';
    fails { IO::AIO::splice($in, -5, $w, undef, 10, 0) } -1, 'EINVAL', 'a negative offset';
    fails { IO::AIO::splice($in, undef, $w, undef, -1, 0) } -1, 'EINVAL', 'a negative length';
    fails { IO::AIO::splice($in, undef, $w, undef, 10, 1 << 20) } -1, 'EINVAL', 'bad flags';
    ours { fails { IO::AIO::splice($in, undef, $w, undef, 10, 2**32) } -1, 'EINVAL', 'flags that do not fit' } 'cuts numbers';
    fails { IO::AIO::splice(open_as($file, O_WRONLY), undef, $w, undef, 10, 0) } -1, 'EBADF', 'from what is not open for reading';
    fails { IO::AIO::splice($in, undef, 999, undef, 10, 0) } -1, 'EBADF', 'to an unused descriptor number';

    # tee leaves the data where it is
    skip 'no tee here', 12 if lacks { IO::AIO::tee($r, $w, 0, 0) };
    pipe my $r2, my $w2 or die;
    fails { IO::AIO::tee($r, $w2, 10, IO::AIO::SPLICE_F_NONBLOCK) } -1, 'EAGAIN', 'tee: SPLICE_F_NONBLOCK with an empty pipe';
    syswrite $w, 'some data' or die;
    is(IO::AIO::tee($r, $w2, 4, 0), 4, 'tee: a part');
    is(IO::AIO::tee(fileno $r, fileno $w2, 100, 0), 9, 'tee: all, by number');
    is(sysread($r2, $buf, 100) && $buf, 'somesome data', 'copies arrived');
    is(IO::AIO::tee($r, $w2, 0, 0), 0, 'tee: nothing');
    ours {
        fails { IO::AIO::tee($r, $w2, -1, 0) } -1, 'EINVAL', 'tee: a negative length';
        fails { IO::AIO::splice($r, undef, $w2, undef, -1, 0) } -1, 'EINVAL', 'splice between pipes: a negative length';
    } 'takes it for a huge one';
    is(IO::AIO::splice($r, undef, $w2, undef, 5, 0), 5, 'splice between pipes');
    is(sysread($r, $buf, 100) && $buf, 'data', 'takes the data away');
    fails { IO::AIO::tee($in, $w2, 1, 0) } -1, 'EINVAL', 'tee from a file';
    fails { IO::AIO::tee($r, $out, 1, 0) } -1, 'EINVAL', 'tee to a file';
    fails { IO::AIO::tee($r, $w, 1, 0) } -1, 'EINVAL', 'tee into itself';
    fails { IO::AIO::tee($r, $w2, 1, 1 << 20) } -1, 'EINVAL', 'tee: bad flags';
}

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

my ($sh) = grep -x, '/bin/sh', '/usr/bin/sh';
SKIP: {
    skip 'no shell', 17 unless $sh;
    skip 'no fexecve here', 17 if lacks { IO::AIO::fexecve(open_as($file, O_RDONLY), ['x']) };
    my $show_args = q('sh', '-c', q(printf '<%s>' "$0" "$@"));
    is(executed($sh, "IO::AIO::fexecve \$fh, [$show_args, 'zero', 'one', '', 3, undef]"), '<zero><one><><3><>', 'fexecve: arguments');
    is(executed($sh, "utf8::upgrade(my \$e = chr 233); IO::AIO::fexecve fileno \$fh, [$show_args, 'zero', chr 233, \$e]"),
        "<zero><\xe9><\xe9>", 'octets, by number');
    my $show_env = q(['sh', '-c', 'echo $A,$B,$C']);
    is(executed($sh, "IO::AIO::fexecve \$fh, $show_env, ['A=1', 'C=x y']"), "1,,x y\n", 'an environment');
    is(executed($sh, "\$ENV{B} = 5; IO::AIO::fexecve \$fh, $show_env, []"), ",,\n", 'an empty one');
    is(executed($sh, "\$ENV{B} = 5; delete \$ENV{A}; IO::AIO::fexecve \$fh, $show_env"), ",5,\n", 'none: that of the program');
    is(executed($sh, "\$ENV{B} = 6; IO::AIO::fexecve \$fh, $show_env, undef"), ",6,\n", 'undef: likewise');
    is(executed($sh, <<'PERL'), "tied\n", 'a tied array');
        sub TIEARRAY { bless [] } sub FETCHSIZE { 3 } sub FETCH { ('sh', '-c', 'echo tied')[$_[1]] }
        tie my @argv, 'main';
        IO::AIO::fexecve $fh, \@argv
PERL
    ours { is(executed($sh, q(print 'before '; IO::AIO::fexecve $fh, ['sh', '-c', 'echo after'])), "before after\n", 'what was printed before is not lost') }
    'does not flush';
    my $pids = executed($sh, q($| = 1; print "$$\n"; IO::AIO::fexecve $fh, ['sh', '-c', 'echo $$']));
    like($pids, qr/^(\d+)\n\1\n\z/, 'the process stays the same');

    my $script = write_file "$dir/script", "#!$sh\necho script \$1\n";
    chmod 0755, $script or die;
    is(executed($script, q(IO::AIO::fexecve $fh, ['zero', 'one'])), "script one\n", 'a script');
    is(executed($script, q(fcntl $fh, F_SETFD, FD_CLOEXEC; IO::AIO::fexecve $fh, ['zero', 'one'])),
        'failed: ' . POSIX::ENOENT(), 'a script that would be closed: ENOENT');
    is(executed($sh, q(fcntl $fh, F_SETFD, FD_CLOEXEC; IO::AIO::fexecve $fh, ['sh', '-c', 'echo still'])), "still\n", 'a program may be');

    fails { IO::AIO::fexecve(open_as($file, O_RDONLY), ['x']) } -1, 'EACCES', 'fexecve: not executable';
    fails { IO::AIO::fexecve(open_as($dir, O_RDONLY), ['x']) } -1, 'EACCES', 'fexecve: a directory';
    my $text_file = write_file "$dir/text", 'no program';
    chmod 0755, $text_file or die;
    fails { IO::AIO::fexecve(open_as($text_file, O_RDONLY), ['x']) } -1, 'ENOEXEC', 'fexecve: no program';
    fails { IO::AIO::fexecve(open_as($sh, O_RDONLY), ['x', 'x' x (1 << 20)]) } -1, 'E2BIG', 'fexecve: an argument of a megabyte';
    ours { fails { IO::AIO::fexecve(999, ['x']) } -1, 'EBADF', 'fexecve: an unused descriptor number' } 'croaks';
}

# ---- mounts --------------------------------------------------------------------------------------

SKIP: {
    skip 'no mount here', 30 if lacks { IO::AIO::mount('none', "$dir/none", 'tmpfs') };
    no warnings 'uninitialized';
    my $show = sub { my ($got) = @_; $got eq '0' ? $got : "$got " . errno_name($!) };
    is(as_nobody { $show->(IO::AIO::mount('none', $dir, 'tmpfs')) }, '-1 EPERM', 'mount without privileges');
    is(as_nobody { $show->(IO::AIO::umount($dir)) }, '-1 EPERM', 'umount without privileges');
    fails { IO::AIO::umount("$dir/none") } -1, 'ENOENT EPERM', 'umount: no such path';
    fails { IO::AIO::umount(undef) } -1, 'ENOENT EPERM', 'umount undef';

    # A mount namespace of its own keeps the rest from everybody else.
    skip 'the number of unshare is that of Linux on x86_64', 22 unless $^O eq 'linux' && $Config{archname} =~ /^x86_64/;
    my ($unshare, $newns) = (272, 0x20000);
    my $at = fresh_dir;
    my @mount = (    # a call or a question, and what it results in
        [sub { IO::AIO::mount('none', "$at/none", 'tmpfs') }, '-1 ENOENT', 'no such path'],
        [sub { IO::AIO::mount('none', $at, 'no such type') }, '-1 ENODEV', 'no such type'],
        [sub { IO::AIO::mount('none', $at, 'tmpfs', IO::AIO::MS_NOUSER) }, '-1 EINVAL', 'flags that are not for us'],
        [sub { IO::AIO::umount($at) }, '-1 EINVAL', 'umount: nothing mounted there'],
        [sub { IO::AIO::umount($at, 1 << 20) }, '-1 EINVAL', 'umount: bad flags'],
        [sub { IO::AIO::mount('none', $at, 'tmpfs', 0, 'size=1m,nr_inodes=3') }, '0', 'a mount with data'],
        [sub { join ' ', map { mkdir("$at/$_") ? 'made' : errno_name($!) } 1 .. 3 }, 'made made ENOSPC', 'which is in force'],
        [sub { IO::AIO::mount('none', $at, 'tmpfs', IO::AIO::MS_REMOUNT | IO::AIO::MS_RDONLY, undef) }, '0', 'a remount with flags'],
        [sub { rmdir "$at/1"; errno_name($!) }, 'EROFS', 'which are in force'],
        [sub { IO::AIO::mount('none', $at, undef, IO::AIO::MS_REMOUNT, 'no such option') }, '-1 EINVAL', 'bad data'],
        [sub { opendir my $busy, $at or die; $show->(IO::AIO::umount($at)) }, '-1 EBUSY', 'umount: somebody is there'],
        [sub { opendir my $busy, $at or die; IO::AIO::umount($at, IO::AIO::MNT_DETACH) }, '0', 'umount with MNT_DETACH'],
        [sub { IO::AIO::umount($at) }, '-1 EINVAL', 'nothing is mounted afterwards'],
        [sub { IO::AIO::mount($dir, $at, undef, IO::AIO::MS_BIND) }, '0', 'a bind mount, no type given'],
        [sub { -e "$at/in" ? 'there' : 'not there' }, 'there', 'files show up'],
        [sub { IO::AIO::umount($at, IO::AIO::MNT_EXPIRE) }, '-1 EAGAIN', 'umount with MNT_EXPIRE marks'],
        [sub { IO::AIO::umount($at, IO::AIO::MNT_EXPIRE) }, '0', 'and unmounts'],
        [sub { symlink $at, "$at.link" or die; IO::AIO::mount($dir, "$at.link", '', IO::AIO::MS_BIND) }, '0', 'a mount through a symlink'],
        [sub { IO::AIO::umount("$at.link", IO::AIO::UMOUNT_NOFOLLOW) }, '-1 EINVAL', 'umount with UMOUNT_NOFOLLOW'],
        [sub { IO::AIO::umount("$at.link") }, '0', 'umount follows it'],
    );
    my @got = in_child {
        syscall($unshare, $newns) == 0 or return;
        IO::AIO::mount(undef, '/', undef, IO::AIO::MS_REC | IO::AIO::MS_PRIVATE) == 0 or return;
        map { my $got = $_->[0]->(); $got eq '-1' ? $show->($got) : $got } @mount;
    };
    skip 'not allowed to mount', 20 unless @got;
    is($got[$_], $mount[$_][1], "mounts: $mount[$_][2]") for 0 .. $#mount;
}

done;
