package KindTest;

# For t/98-kinds.t: reads and writes by system calls in a child, and the same by requests; descriptors for which perl has
# no function.

use strict;
use warnings;

use AIOTest;
use Config;
use Digest::MD5 ();
use Fcntl qw(O_RDWR O_NONBLOCK);
use IO::AIO;
use IO::Handle;
use POSIX ();

# Numbers of system calls.
my %call = (
    x86_64 => {
        read => 0, write => 1, pread => 17, pwrite => 18, signalfd4 => 289, inotify_init1 => 294, inotify_add_watch => 254,
        epoll_create1 => 291, prlimit64 => 302, prctl => 157,
    },
    aarch64 => {
        read => 63, write => 64, pread => 67, pwrite => 68, signalfd4 => 74, inotify_init1 => 26, inotify_add_watch => 27,
        epoll_create1 => 20, prlimit64 => 261, prctl => 167,
    },
);
my $call = $^O eq 'linux' && $Config{ptrsize} == 8 ? $call{ ($Config{archname} =~ /^([^-]+)/)[0] } : undef;
my %transfer = $call ? map { $call->{$_} => 1 } qw(read write pread pwrite) : ();

sub knows { !!$call }

sub pwrite { my ($fd, $data, $offs) = @_; syscall $call->{pwrite}, $fd, $data, length $data, $offs }

# ---- one call ---------------------------------------------------------------------------------------

sub result { my ($result, $errno, $data) = @_; [$result, $result < 0 ? errno_name($errno) : '', $data] }

# Both: $way is read or write, $offs is undef for the position. They return what the call returned, the error, and what
# was read.
# A scalar, and where in it page-aligned memory begins, which direct I/O needs.
sub buffer {
    my ($fill, $length) = @_;
    my $buf = $fill x ($length + 4096);
    substr $buf, 0, 1, $fill;    # its memory is its own
    return \$buf;
}

sub padding { -(unpack 'J', pack 'p', ${ $_[0] }) & 4095 }

sub blocking {
    my ($way, $fd, $offs, $length) = @_;
    my $buf = buffer($way eq 'read' ? "\0" : 'w', $length);
    my $pad = padding($buf);
    my $address = $pad + unpack 'J', pack 'p', $$buf;
    my $n = syscall $call->{ defined $offs ? "p$way" : $way }, $fd, $address, $length, defined $offs ? $offs + 0 : 0;
    return result($n, $! + 0, $way eq 'read' && $n > 0 ? substr $$buf, $pad, $n : '');
}

sub asynchronous {
    my ($way, $fd, $offs, $length) = @_;
    my $buf = buffer($way eq 'read' ? "\0" : 'w', $length);
    my $pad = padding($buf);
    my $result;
    my $cb = sub { $result = result($_[0], $! + 0, $way eq 'read' && $_[0] > 0 ? substr $$buf, $pad, $_[0] : '') };
    if ($way eq 'read') { aio_read $fd, $offs, $length, $$buf, $pad, $cb }
    else { aio_write $fd, $offs, $length, $$buf, $pad, $cb }
    IO::AIO::flush;
    return $result;
}

# ---- who waits is released by another process -------------------------------------------------------

# Whether a thread of a process is in a transfer of that descriptor, as Linux tells; undef: it does not.
sub waits {
    my ($pid, $fd) = @_;
    my $readable;
    for my $task (glob "/proc/$pid/task/*/syscall") {
        open my $fh, '<', $task or next;
        my $line = <$fh>;
        $readable = 0 if defined $line;
        return 1 if defined $line && $line =~ /^(\d+) 0x([0-9a-f]+) / && $transfer{$1} && hex $2 == $fd;
    }
    return $readable;
}

sub released {
    my ($release, $fd, $code) = @_;
    my $target = $$;
    defined(my $pid = fork) or die "fork: $!";
    unless ($pid) {
        alarm 0;
        $SIG{$_} = 'DEFAULT' for qw(ALRM PIPE XFSZ);
        alarm 30;
        while (1) {
            my $waits = waits($target, $fd);
            last if $waits || !defined $waits;
            select undef, undef, undef, 0.001;
        }
        $release->();
        POSIX::_exit(0);
    }
    my $result = $code->();
    kill KILL => $pid;
    waitpid $pid, 0;
    return $result;
}

# Sets a limit of this process; undef takes it away.
my %resource = (FSIZE => 1, NPROC => 6, NOFILE => 7, MEMLOCK => 8);

sub limit {
    my ($name, $soft) = @_;
    my $old = pack 'QQ', 0, 0;
    syscall $call->{prlimit64}, 0, $resource{$name}, 0, $old;
    my $new = pack 'QQ', defined $soft ? $soft : (unpack 'QQ', $old)[1], (unpack 'QQ', $old)[1];
    syscall($call->{prlimit64}, 0, $resource{$name}, $new, 0) == 0 or die "prlimit: $!";
}

# From now on a system call of this process fails, as in a sandbox; false where there is no seccomp.
sub refuse {
    my ($number, $errno) = @_;
    my $filter = join '', map pack('SCCL', @$_),
        [0x20, 0, 0, 0],                     # load the number
        [0x15, 0, 1, $number],               # another one: skip
        [0x06, 0, 0, 0x00050000 | $errno],   # fail
        [0x06, 0, 0, 0x7fff0000];            # let pass
    my $program = pack 'S x![J] J', length($filter) / 8, unpack 'J', pack 'p', $filter;
    return syscall($call->{prctl}, 38, 1, 0, 0, 0) == 0    # PR_SET_NO_NEW_PRIVS
        && syscall($call->{prctl}, 22, 2, $program, 0, 0) == 0;    # PR_SET_SECCOMP, a filter
}

# All calls of a kind, each on a descriptor of its own.
sub all {
    my ($name, $make, $calls, $how) = @_;
    local @SIG{qw(PIPE XFSZ)} = ('IGNORE') x 2 if $how == \&blocking;
    my @results;
    for my $call (@$calls) {
        my ($way, $offs) = @$call;
        my $lengths = [0, 1, 100_000];
        for (my $i = 0; $i < @$lengths; $i++) {
            (local $_) = $name =~ m{^/dev/(.*)};
            my ($fd, %more) = $make->($_);
            return unless defined $fd;
            $lengths = $more{lengths} if $more{lengths};
            limit(FSIZE => $more{limit}) if $more{limit};
            my $once = sub { $how->($way, $fd, $offs, $lengths->[$i]) };
            my $result = $more{release} ? released($more{release}, $fd, $once) : $once->();
            limit("FSIZE") if $more{limit};
            my $position = POSIX::lseek($fd, 0, 1);
            push @results, sprintf '%s at %s of %d: %d %s, data %s, then at %s%s', $way,
                defined $offs ? $offs : 'the position', $lengths->[$i], $result->[0], $result->[1],
                $more{random} ? length $result->[2] : md5($result->[2]), defined $position ? $position : errno_name($!),
                $more{left} ? ', left ' . $more{left}->() : '';
            $more{end}->() if $more{end};
            POSIX::close($fd) unless $more{keep} || $fd > 9000;
        }
    }
    return @results;
}

# Instead of data that are long.
sub md5 { length($_[0]) . ' ' . Digest::MD5::md5_hex($_[0]) }

# ---- descriptors ------------------------------------------------------------------------------------

# All that can be read from a handle without waiting.
sub drain {
    my ($fh) = @_;
    $fh->blocking(0);
    my $data = '';
    while (sysread $fh, my $buf, 65536) { $data .= $buf }
    return $data;
}

sub terminal {
    my ($what) = @_;
    sysopen my $master, '/dev/ptmx', O_RDWR | IO::AIO::O_NOCTTY or return;
    my $number = pack 'i', 0;
    ioctl $master, 0x40045431, $number or return;    # TIOCSPTLCK
    ioctl $master, 0x80045430, $number or return;    # TIOCGPTN
    sysopen my $slave, '/dev/pts/' . unpack('i', $number), O_RDWR | IO::AIO::O_NOCTTY or return;
    my $termios = POSIX::Termios->new;
    $termios->getattr(fileno $slave);
    if ($what =~ /raw|vtime/) {
        $termios->setlflag(0);
        $termios->setiflag(0);
        $termios->setoflag(0);
        $termios->setcc(POSIX::VMIN(), $what =~ /vtime/ ? 0 : 1);
        $termios->setcc(POSIX::VTIME(), $what =~ /vtime/ ? 1 : 0);
    }
    $termios->setlflag($termios->getlflag & ~POSIX::ECHO());
    $termios->setattr(fileno $slave, POSIX::TCSANOW());
    $slave->blocking(0) if $what =~ /nonblocking/;
    return ($master, $slave);
}

# Signals that were sent to the process, whoever reads.
sub signal_fd {
    my ($with) = @_;
    my $set = POSIX::SigSet->new(POSIX::SIGUSR2());
    my $old = POSIX::SigSet->new;
    POSIX::sigprocmask(POSIX::SIG_BLOCK(), $set, $old);
    my $mask = pack 'Q', 1 << POSIX::SIGUSR2() - 1;
    my $fd = syscall $call->{signalfd4}, -1, $mask, 8, O_NONBLOCK;
    return if $fd < 0;
    kill USR2 => $$ if $with;
    return (
        $fd,
        random => 1,    # it tells who sent it
        lengths => [0, 1, 128, 1000],
        end => sub {
            local $SIG{USR2} = 'IGNORE';    # forgets one that is pending
            POSIX::sigprocmask(POSIX::SIG_SETMASK(), $old);
        },
    );
}

sub inotify {
    my ($dir, $with) = @_;
    my $fd = syscall $call->{inotify_init1}, O_NONBLOCK;
    return if $fd < 0;
    syscall $call->{inotify_add_watch}, $fd, $dir, 0x100;    # IN_CREATE
    if ($with) { unlink "$dir/made"; AIOTest::write_file("$dir/made", '') }
    return ($fd, lengths => [0, 1, 1000], random => 1);
}

sub epoll { my $fd = syscall $call->{epoll_create1}, 0; $fd < 0 ? () : ($fd) }

# The name of a block device of 4096 octets, or nothing. It goes with the last who has it open, however this test ends.
my $loop;
sub loop_device {
    my ($path) = @_;
    return if $>;
    AIOTest::write_file($path, "\0" x 4096);
    my ($name) = `losetup --find --show '$path' 2>/dev/null` =~ m{^(/dev/loop\d+)$} or return;
    my $opened = sysopen $loop, $name, O_RDWR;
    system 'losetup', '-d', $name;
    return $opened ? $name : undef;
}

1;
