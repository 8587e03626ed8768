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
use POSIX ();
use IO::AIO;

# Functions that are thin wrappers of system calls on processes, limits, devices and mounts.

# A line, unbuffered: perl must not add "<$fh> line 1" to messages that are tested.
sub line_of {
    my ($fh) = @_;
    my $line = '';
    1 while $line !~ /\n/ && sysread $fh, $line, 1, length $line;
    $line;
}

my $dir  = tmpdir;
my $file = write_file "$dir/file", '0123456789';
open my $fh, '<', $file or die "$file: $!";
open my $closed, '<', $file or die "$file: $!";
close $closed;
open my $memory, '<', \'text' or die "in memory: $!";

my @no_handle = ([undef => undef], [closed => $closed], ['in memory' => $memory], [hash => {}], [negative => -1]);

# ---- pidfd ---------------------------------------------------------------------------------------

SKIP: {
    skip 'no pidfd_open here', 1 if missing(sub { IO::AIO::pidfd_open($$) });
    my ($r, $w) = IO::AIO::pipe2(0);
    defined(my $pid = fork) or die "fork: $!";
    unless ($pid) {
        close $r;
        my $report = sub {
            my ($name, $info) = @_;
            syswrite $w, join(' ', map $info->{$_}, qw(signo code pid uid)) . "\n";
        };
        POSIX::sigaction(POSIX::SIGUSR1(), POSIX::SigAction->new($report, POSIX::SigSet->new, 4));    # SA_SIGINFO
        syswrite $w, "ready\n";
        alarm AIOTest::LIMIT / 2;
        sleep 1 while getppid != 1;
        POSIX::_exit(0);
    }
    close $w;
    is(line_of($r), "ready\n", 'child is there');

    my $fd = IO::AIO::pidfd_open($pid);
    handle_ok($fd, 'pidfd_open');
    is(cloexec($fd), 1, 'pidfd_open: always close-on-exec');
    is(IO::AIO::pidfd_send_signal($fd, 0), 0, 'signal 0');
    is(IO::AIO::pidfd_send_signal($fd, POSIX::SIGUSR1()), 0, 'pidfd_send_signal');
    is(line_of($r), POSIX::SIGUSR1() . " 0 $$ $<\n", 'arrives');
    is(IO::AIO::pidfd_send_signal($fd, POSIX::SIGUSR1(), undef, 0), 0, 'with undef and flags');
    is(line_of($r), POSIX::SIGUSR1() . " 0 $$ $<\n", 'arrives');
    ours {
        is(IO::AIO::pidfd_send_signal($fd, POSIX::SIGUSR1(), { code => -1, value_int => 7, pid => 4711, uid => 33 }), 0, 'with siginfo');
        is(line_of($r), POSIX::SIGUSR1() . " -1 4711 33\n", 'which arrives');
        is(IO::AIO::pidfd_send_signal($fd, POSIX::SIGUSR1(), { code => -2, value_ptr => 77 }), 0, 'with part of it');
        is(line_of($r), POSIX::SIGUSR1() . " -2 0 0\n", 'the rest is 0');
        fails { IO::AIO::pidfd_send_signal($fd, POSIX::SIGUSR1(), { code => 0 }) } [-1], 'EPERM', 'a code that belongs to the kernel';
    } 'crash: EINVAL for all siginfo';
    fails { IO::AIO::pidfd_send_signal($fd, 1000) } [-1], 'EINVAL', 'unknown signal';
    fails { IO::AIO::pidfd_send_signal($fd, 0, undef, 1 << 20) } [-1], 'EINVAL', 'pidfd_send_signal: unknown flags';
    fails { IO::AIO::pidfd_send_signal($r, 0) } [-1], 'EBADF', 'pidfd_send_signal: no pidfd';
    fails { IO::AIO::pidfd_send_signal(999, 0) } [-1], 'EBADF', 'pidfd_send_signal: not open';
    croaks { IO::AIO::pidfd_send_signal($fd, 0, $_->[1]) } qr/siginfo/, "siginfo that is $_->[0]" for ['an array' => []], ['a string' => 'x'], ['a code ref' => sub { }];

  SKIP: {
        $! = 0;
        my $theirs = IO::AIO::pidfd_getfd($fd, fileno STDERR);
        skip "no pidfd_getfd here: $!", 1 unless defined $theirs;
        handle_ok($theirs, 'pidfd_getfd');
        is(cloexec($theirs), 1, 'pidfd_getfd: always close-on-exec');
        is(join(' ', (stat $theirs)[0, 1]), join(' ', (stat STDERR)[0, 1]), 'the same file');
        is(status_flags($theirs), status_flags(\*STDERR), 'the same mode');
        ok(close $theirs, 'close');
        fails { IO::AIO::pidfd_getfd($fd, 999) } [undef], 'EBADF', 'pidfd_getfd: not open there';
        fails { IO::AIO::pidfd_getfd($fd, -1) } [undef], 'EBADF', 'pidfd_getfd: negative';
        fails { IO::AIO::pidfd_getfd($fd, 0, 1) } [undef], 'EINVAL', 'pidfd_getfd: unknown flags';
        fails { IO::AIO::pidfd_getfd($r, 0) } [undef], 'EBADF', 'pidfd_getfd: no pidfd';
    }
    is(IO::AIO::pidfd_send_signal($fd, POSIX::SIGKILL()), 0, 'kill');
    waitpid $pid, 0;
    is($?, POSIX::SIGKILL(), 'kills');
    fails { IO::AIO::pidfd_send_signal($fd, 0) } [-1], 'ESRCH', 'pidfd_send_signal: it is dead';
    fails { IO::AIO::pidfd_getfd($fd, 0) } [undef], 'ESRCH', 'pidfd_getfd: it is dead';
    fails { IO::AIO::pidfd_open($pid) } [undef], 'ESRCH', 'pidfd_open: it is dead';
    fails { IO::AIO::pidfd_open($_) } [undef], 'EINVAL', "pidfd_open $_" for 0, -1;
    fails { IO::AIO::pidfd_open($$, 1) } [undef], 'EINVAL', 'pidfd_open: unknown flags';
    for (@no_handle) {
        my ($name, $bad) = @$_;
        croaks { IO::AIO::pidfd_send_signal($bad, 0) } 'pidfd_send_signal', "pidfd_send_signal to $name";
        croaks { IO::AIO::pidfd_getfd($bad, 0) } 'pidfd_getfd', "pidfd_getfd from $name";
    }
}

# ---- descriptor limits: in children, they cannot be undone ------------------------------------------

{
    my $soft = sub { POSIX::sysconf(POSIX::_SC_OPEN_MAX()) };
    is(IO::AIO::get_fdlimit(), $soft->(), 'get_fdlimit');
    my $limits = sub { open my $l, '<', '/proc/self/limits' or return; local $/; <$l> =~ /^Max open files\s+(\d+)\s+(\d+)/m };
  SKIP: {
        my (undef, $hard) = $limits->();
        skip 'no limits to read here', 1 unless $hard;
        my $run = sub {
            my ($args) = @_;
            open my $p, '-|', 'sh', '-c', "ulimit -Sn 100; exec \"\$@\"", 'sh', perl_command, '-MIO::AIO', '-e',
                'my $r = ' . "IO::AIO::min_fdlimit($args)" . '; my $e = $! + 0; print $r ? "true" : defined $r ? "false" : "undef $e", " ", IO::AIO::get_fdlimit(), "\n"' or die "sh: $!";
            my $line = <$p>;
            close $p;
            chomp $line;
            $line;
        };
        is($run->(50), 'true 100', 'min_fdlimit: already enough');
        is($run->(100), 'true 100', 'just enough');
        is($run->(101), 'true 101', 'one more');
        is($run->($hard), "true $hard", 'all there may be');
        is($run->('undef'), 'true 100', 'undef is nothing');
        my $much = $run->(2**30);
        like($much, qr/^undef \d+ \d+$/, 'more than that');
        is((split ' ', $much)[1], Errno::EPERM(), 'fails with EPERM') unless (split ' ', $much)[1] == Errno::EINVAL();
        cmp_ok((split ' ', $much)[2], '>=', $hard, 'but raises it as far as possible');
        my $most = $run->('');
        cmp_ok((split ' ', $most)[-1], '>=', $hard, 'without argument: as far as possible');
    }
}

# ---- major, minor, makedev -----------------------------------------------------------------------

for my $t ([8, 1], [0, 0], [254, 300], [4095, 255], [4095, 1048575], [259, 65536]) {
    my ($major, $minor) = @$t;
    my $dev = IO::AIO::makedev($major, $minor);
    is(IO::AIO::major($dev) . ' ' . IO::AIO::minor($dev), "$major $minor", "device $major, $minor");
}
is(IO::AIO::major((stat '/dev/null')[6]) . ' ' . IO::AIO::minor((stat _)[6]), '1 3', '/dev/null') if $^O eq 'linux';
is(IO::AIO::makedev(8, 1), 2049, 'as the system has it') if $^O eq 'linux';
is(IO::AIO::major(undef) . IO::AIO::minor(undef) . IO::AIO::makedev(undef, undef), '000', 'undef is 0');

# ---- fexecve -------------------------------------------------------------------------------------

SKIP: {
    needs(14, 'FEXECVE');
    # The child's exit status and output after fexecve; "returned ..." if it did.
    my $exec = sub {
        my ($code) = @_;
        defined(my $pid = open my $out, '-|') or die "fork: $!";
        unless ($pid) {
            open STDERR, '>', '/dev/null';
            $! = 0;
            my @got = eval { $code->() };
            syswrite STDOUT, $@ ? "died: $@" : "returned @got " . errno_name($!);
            POSIX::_exit(0);
        }
        my $text = do { local $/; <$out> };
        close $out;
        $text;
    };
    open my $env,  '<', '/usr/bin/env' or die "/usr/bin/env: $!";
    open my $echo, '<', '/bin/echo'    or die "/bin/echo: $!";
    is($exec->(sub { IO::AIO::fexecve($echo, ['echo', 'a b', "\xe9", '', 7], []) }), "a b \xe9  7\n", 'fexecve: arguments');
    is($exec->(sub { IO::AIO::fexecve($env, ['env'], ['A=1', 'B=two words']) }), "A=1\nB=two words\n", 'environment');
    is($exec->(sub { IO::AIO::fexecve($env, ['env'], []) }), '', 'an empty one');
    for my $t ([missing => sub { IO::AIO::fexecve($env, ['env']) }], [undef => sub { IO::AIO::fexecve($env, ['env'], undef) }]) {
        local $ENV{AIOTEST_VARIABLE} = 'inherited';
        like($exec->($t->[1]), qr/^AIOTEST_VARIABLE=inherited$/m, "the present one when it is $t->[0]");
    }
    is($exec->(sub { IO::AIO::fexecve($fh, ['x'], []) }), 'returned -1 EACCES', 'not executable');
    chmod 0755, my $text = write_file "$dir/text", "no program\n" or die "chmod: $!";
    open my $no, '<', $text or die "$text: $!";
    like($exec->(sub { IO::AIO::fexecve($no, ['x'], []) }), qr/^returned -1 ENOEXEC/, 'no program');
    chmod 0755, my $script = write_file "$dir/script", "#!/bin/sh\necho \"script \$1\"\n" or die "chmod: $!";
    open my $sh, '<', $script or die "$script: $!";
    fcntl $sh, F_SETFD, 0;
    is($exec->(sub { IO::AIO::fexecve($sh, ['s', 'arg'], []) }), "script arg\n", 'a script') if procfs;    # where sh finds it
    like($exec->(sub { IO::AIO::fexecve($echo, $_->[1][0], $_->[1][1]) }), qr/^died: /, "fexecve with $_->[0]")
        for ['undef for arguments' => [undef, []]], ['a string for arguments' => ['x', []]], ['a hash for the environment' => [['echo'], {}]], ['a string there' => [['echo'], 'A=1']];
    ours { like($exec->(sub { IO::AIO::fexecve($closed, ['x'], []) }), qr/^died: /, 'fexecve of a closed handle') } 'EINVAL';
    like($exec->(sub { IO::AIO::fexecve(undef, ['x'], []) }), qr/^died: /, 'fexecve of undef');
    like($exec->(sub { IO::AIO::fexecve($echo, ['echo', "\x{100}"], []) }), qr/^died: |^\xc4\x80$/, 'wide characters');
}

# ---- mount, umount -------------------------------------------------------------------------------

SKIP: {
    needs(20, 'MOUNT', 'UMOUNT2', 'STATVFS');
    mkdir my $point = "$dir/mnt" or die "mkdir: $!";
    fails { IO::AIO::mount('none', "$dir/none", 'tmpfs') } [-1], 'ENOENT EPERM', 'mount on what is missing';
    fails { IO::AIO::mount('none', $point, 'nosuchfs') } [-1], 'ENODEV EPERM', 'mount of an unknown type';
    fails { IO::AIO::mount('none', $point, 'nosuchfs', 0, undef) } [-1], 'ENODEV EPERM', 'undef as data';
    fails { IO::AIO::mount('none', undef, 'tmpfs', undef, 'x') } [-1], 'ENOENT EPERM', 'undef as path';
    fails { IO::AIO::umount($point) } [-1], 'EINVAL EPERM', 'umount of what is not mounted';
    fails { IO::AIO::umount("$dir/none") } [-1], 'ENOENT EPERM', 'umount of what is missing';
    fails { IO::AIO::umount($point, IO::AIO::MNT_DETACH) } [-1], 'EINVAL EPERM', 'umount with flags';
    fails { IO::AIO::umount($point, 1 << 20) } [-1], 'EINVAL EPERM', 'umount with unknown flags';
    croaks { IO::AIO::mount("\x{100}", $point, 'tmpfs') } qr/./, 'wide characters croak';
    croaks { IO::AIO::umount("\x{100}") } qr/./, 'in umount as well';

    my @denied = as_nobody { map { $! = 0; my $r = $_->(); "$r " . errno_name($!) } sub { IO::AIO::mount('none', $point, 'tmpfs') }, sub { IO::AIO::umount('/') } };
    is("@denied", '-1 EPERM -1 EPERM', 'not everyone may');

    # in a mount namespace of its own
    my $program = write_file "$dir/program", <<'PERL';
use strict;
use warnings;
use IO::AIO;
my ($point) = @ARGV;
sub result { my ($r) = @_; print defined $r ? $r : 'undef', $r ? " $!" : '', "\n" }
result IO::AIO::mount 'none', '/', undef, IO::AIO::MS_REC | IO::AIO::MS_PRIVATE;
result IO::AIO::mount 'none', $point, 'tmpfs', IO::AIO::MS_NOEXEC, 'size=64k,mode=711';
printf "%o\n", 07777 & (stat $point)[2];
aio_statvfs $point, sub { print $_[0]{flag} & IO::AIO::ST_NOEXEC ? 'noexec ' : '', $_[0]{blocks} * $_[0]{frsize}, "\n" };
IO::AIO::flush;
mkdir "$point/etc" or die;
result IO::AIO::mount '/etc', "$point/etc", 'none', IO::AIO::MS_BIND;
print -e "$point/etc/passwd" ? "bound\n" : "nothing there\n";
result IO::AIO::umount $point;
result IO::AIO::umount "$point/etc";
result IO::AIO::umount $point, IO::AIO::MNT_DETACH;
PERL
  SKIP: {
        my $out = $> ? '' : output_of qw(env LC_ALL=C unshare -m), perl_command, $program, $point;
        skip 'no namespaces here', 1 unless $out;
        is($out, "0\n0\n711\nnoexec 65536\n0\nbound\n-1 Device or resource busy\n0\n0\n", 'mount and umount');
    }
}

close $fh;
done;
