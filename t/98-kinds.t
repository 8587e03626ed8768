# Reads and writes of every kind of descriptor: what read(2), write(2), pread(2) and pwrite(2) do in a child that calls
# them, whatever the engine. No expectation is written down here: the child is the reference.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::AIO;
use AIOTest;
use KindTest;
use Fcntl qw(:mode O_RDONLY O_WRONLY O_RDWR O_CREAT O_TRUNC O_APPEND O_NONBLOCK);
use POSIX ();
use Socket;
use Test::More;

plan skip_all => 'IO::AIO 4.80 waits for ever in some of them' if is_peer;
plan skip_all => 'the numbers of system calls are known for x86_64 and aarch64 only' unless KindTest::knows;

my $dir = tmpdir;
my $data = join '', map chr(33 + $_ % 90), 0 .. 2999;

# ---- the kinds -------------------------------------------------------------------------------------
#
# Each is made afresh for each call: a sub that returns a descriptor, and what else is known about it:
#   keep      what has to stay as long as the call lasts
#   release   called in another process when the call waits
#   left      what can be seen afterwards
#   random    only the length of the data counts
#   limit     RLIMIT_FSIZE during the call
#   lengths   others than usual
# An undefined descriptor: there is none of that kind here.

my %kind;
sub kind { my ($name, $make) = @_; $kind{$name} = $make }

sub file_with {
    my ($flags, $text) = @_;
    my $path = write_file "$dir/file", defined $text ? $text : $data;
    my $fd = POSIX::open($path, $flags);
    return (defined $fd ? $fd + 0 : undef, left => sub { KindTest::md5(read_file $path) });
}

kind 'file' => sub { file_with O_RDWR };
kind 'file, empty' => sub { file_with O_RDWR, '' };
kind 'file, read-only' => sub { file_with O_RDONLY };
kind 'file, write-only' => sub { file_with O_WRONLY };
kind 'file, to append to' => sub { file_with O_RDWR | O_APPEND };
kind 'file, non-blocking' => sub { file_with O_RDWR | O_NONBLOCK };
kind 'file, direct' => sub { file_with O_RDWR | IO::AIO::O_DIRECT };
kind 'file, direct, aligned' => sub { (file_with(O_RDWR | IO::AIO::O_DIRECT, $data x 50), lengths => [0, 4096, 65536]) };
kind 'file, direct, with a limit' => sub {
    (file_with(O_RDWR | IO::AIO::O_DIRECT, 'x' x 4096), lengths => [0, 4096, 65536], limit => 8192);
};
kind 'file, at a limit' => sub { (file_with(O_RDWR), limit => 3000) };
kind 'file, near a limit' => sub { (file_with(O_RDWR), limit => 3010) };
kind 'file, at a limit, to append to' => sub { (file_with(O_RDWR | O_APPEND), limit => 3000) };
kind 'file by O_PATH' => sub { file_with IO::AIO::O_PATH };
kind 'memfd' => sub {
    my $fh = IO::AIO::memfd_create('kind') or return;
    syswrite $fh, $data;
    sysseek $fh, 10, 0;
    (fileno $fh, keep => $fh);
};
kind 'memfd, sealed' => sub {
    my $fh = IO::AIO::memfd_create('kind', IO::AIO::MFD_ALLOW_SEALING) or return;
    syswrite $fh, $data;
    sysseek $fh, 10, 0;
    fcntl $fh, IO::AIO::F_ADD_SEALS, IO::AIO::F_SEAL_WRITE or return;
    (fileno $fh, keep => $fh);
};
kind 'directory' => sub { POSIX::open($dir, O_RDONLY) };
kind 'nothing' => sub { 9999 };

my $loop = KindTest::loop_device("$dir/loop");
kind 'block device' => sub {
    my $fd = defined $loop ? POSIX::open($loop, O_RDWR) : return;
    KindTest::pwrite($fd, substr($data x 2, 0, 4096), 0);
    $fd + 0;
};
kind 'block device, direct' => sub {
    defined $loop ? (POSIX::open($loop, O_RDWR | IO::AIO::O_DIRECT), lengths => [0, 1, 4096, 65536]) : ();
};

# Pipes: the end to read from, the end to write to.
sub a_pipe {
    my ($flags, $end, %has) = @_;
    my ($r, $w) = IO::AIO::pipe2($flags | O_NONBLOCK) or die "pipe2: $!";
    syswrite $w, $_ for @{ $has{data} || [] };
    if ($has{full}) {
        1 while syswrite $w, 'f' x 4096;
        1 while syswrite $w, 'f';
    }
    my ($own, $other) = $end eq 'r' ? ($r, $w) : ($w, $r);
    $own->blocking(0 + !$has{nonblocking});
    $other->blocking(1);
    close $other if $has{hung};
    my $fd = fileno $own;
    return ($fd, keep => [$own, $other], $has{release} ? (release => sub { $has{release}->($other) }) : (),
        left => sub { $has{hung} || $has{release} ? '' : $end eq 'r' ? KindTest::md5(KindTest::drain($own)) : KindTest::md5(KindTest::drain($other)) });
}

sub give { syswrite $_[0], 'late' }
sub drain { 1 while sysread $_[0], my $buf, 65536 }

for (['pipe', 0], ['packet pipe', IO::AIO::O_DIRECT]) {
    my ($name, $flags) = @$_;
    kind "$name with data" => sub { a_pipe $flags, 'r', data => ['one', 'two', '3' x 2000] };
    kind "$name, empty" => sub { a_pipe $flags, 'r', release => \&give };
    kind "$name, empty, non-blocking" => sub { a_pipe $flags, 'r', nonblocking => 1 };
    kind "$name, empty, hung up" => sub { a_pipe $flags, 'r', hung => 1 };
    kind "$name with data, hung up" => sub { a_pipe $flags, 'r', data => ['one', 'two'], hung => 1 };
    kind "$name to write to" => sub { a_pipe $flags, 'w', release => \&drain };
    kind "$name to write to, non-blocking" => sub { a_pipe $flags, 'w', nonblocking => 1 };
    kind "$name to write to, full" => sub { a_pipe $flags, 'w', full => 1, release => \&drain };
    kind "$name to write to, full, non-blocking" => sub { a_pipe $flags, 'w', full => 1, nonblocking => 1 };
    kind "$name to write to, hung up" => sub { a_pipe $flags, 'w', hung => 1 };
}
kind 'FIFO' => sub {
    POSIX::mkfifo("$dir/fifo", 0600);
    my $fd = POSIX::open("$dir/fifo", O_RDWR | O_NONBLOCK);
    POSIX::write($fd, 'fifo', 4);
    ($fd, left => sub { open my $fh, '<&', $fd; KindTest::md5(KindTest::drain($fh)) });
};

# Sockets: one of a pair.
sub a_pair {
    my ($type, %has) = @_;
    socketpair my $own, my $other, AF_UNIX, $type, PF_UNSPEC or return;
    syswrite $other, $_ for @{ $has{data} || [] };
    if ($has{full}) {
        $own->blocking(0);
        1 while syswrite $own, 'f' x 4096;
        1 while syswrite $own, 'f';
        $own->blocking(1);
    }
    setsockopt $own, SOL_SOCKET, $_, pack 'l!l!', 0, 5000 or die "setsockopt: $!" for @{ $has{timeouts} || [] };
    $own->blocking(0) if $has{nonblocking};
    close $other if $has{hung};
    shutdown $own, 2 if $has{shut};
    (fileno $own, keep => [$own, $other], $has{release} ? (release => sub { $has{release}->($other) }) : ());
}

for (['stream socket', SOCK_STREAM], ['datagram socket', SOCK_DGRAM], ['packet socket', SOCK_SEQPACKET]) {
    my ($name, $type) = @$_;
    my $both = sub { give($_[0]); drain($_[0]) };
    kind "$name with data" => sub { a_pair $type, data => ['one', 'two', '3' x 2000] };
    kind "$name, empty" => sub { a_pair $type, release => $both };
    kind "$name, empty, non-blocking" => sub { a_pair $type, nonblocking => 1 };
    kind "$name, empty, with time-outs" => sub { a_pair $type, timeouts => [SO_RCVTIMEO, SO_SNDTIMEO] };
    kind "$name, full" => sub { a_pair $type, full => 1, release => $both };
    kind "$name, full, non-blocking" => sub { a_pair $type, full => 1, nonblocking => 1 };
    kind "$name, full, with time-outs" => sub { a_pair $type, full => 1, timeouts => [SO_RCVTIMEO, SO_SNDTIMEO] };
    kind "$name, hung up" => sub { a_pair $type, hung => 1, nonblocking => $type == SOCK_DGRAM };
    kind "$name with data, hung up" => sub { a_pair $type, data => ['one'], hung => 1, nonblocking => $type == SOCK_DGRAM };
    kind "$name, shut down" => sub { a_pair $type, shut => 1 };
}
kind 'socket, not connected' => sub { socket my $s, AF_INET, SOCK_STREAM, 0 or return; (fileno $s, keep => $s) };
kind 'socket that listens' => sub {
    socket my $s, AF_INET, SOCK_STREAM, 0 or return;
    bind $s, pack_sockaddr_in 0, INADDR_LOOPBACK or return;
    listen $s, 1;
    (fileno $s, keep => $s);
};
kind 'UDP socket, not connected' => sub {
    socket my $s, AF_INET, SOCK_DGRAM, 0 or return;
    $s->blocking(0);
    (fileno $s, keep => $s);
};

# Terminals.
sub a_terminal {
    my ($what, $input) = @_;
    my ($master, $slave) = KindTest::terminal($what) or return;
    syswrite $master, $input if defined $input;
    close $master if $what =~ /hung/;
    (fileno $slave, keep => [$master, $slave], $what =~ /wait/ ? (release => sub { give($master); drain($master) })
        : (lengths => [0, 1, 100]));    # how much it takes at once is by chance
}

kind 'terminal with data' => sub { a_terminal 'raw nonblocking', 'keys' };
kind 'terminal with lines' => sub { a_terminal 'nonblocking', "line\nhalf" };
kind 'terminal, empty' => sub { a_terminal 'raw wait' };
kind 'terminal, empty, non-blocking' => sub { a_terminal 'raw nonblocking' };
kind 'terminal, empty, VTIME' => sub { (a_terminal('vtime'), lengths => [0, 1]) };
kind 'terminal, hung up' => sub { a_terminal 'hung' };

# Other descriptors, whose data have a form of their own.
my @eight = (lengths => [0, 1, 8, 100]);
kind 'eventfd' => sub { my $fh = IO::AIO::eventfd(5, IO::AIO::EFD_NONBLOCK) or return; (fileno $fh, keep => $fh, @eight) };
kind 'eventfd, empty' => sub {
    my $fh = IO::AIO::eventfd(0) or return;
    (fileno $fh, keep => $fh, @eight, release => sub { syswrite $fh, pack_u64 3 });
};
kind 'eventfd, empty, non-blocking' => sub { my $fh = IO::AIO::eventfd(0, IO::AIO::EFD_NONBLOCK) or return; (fileno $fh, keep => $fh, @eight) };
kind 'eventfd, full, non-blocking' => sub {
    my $fh = IO::AIO::eventfd(0, IO::AIO::EFD_NONBLOCK) or return;
    syswrite $fh, "\xfe" . "\xff" x 7;
    (fileno $fh, keep => $fh, @eight);
};
kind 'timerfd' => sub {
    my $fh = IO::AIO::timerfd_create(IO::AIO::CLOCK_MONOTONIC) or return;
    IO::AIO::timerfd_settime($fh, 0, 0, 0.000_001);
    (fileno $fh, keep => $fh, @eight);
};
kind 'timerfd, not set' => sub {
    my $fh = IO::AIO::timerfd_create(IO::AIO::CLOCK_MONOTONIC, IO::AIO::TFD_NONBLOCK) or return;
    (fileno $fh, keep => $fh, @eight);
};
kind 'signalfd' => sub { KindTest::signal_fd(1) };
kind 'signalfd, empty' => sub { KindTest::signal_fd(0) };
kind 'inotify' => sub { KindTest::inotify($dir, 1) };
kind 'inotify, empty' => sub { KindTest::inotify($dir, 0) };
kind 'pidfd' => sub { my $fh = IO::AIO::pidfd_open($$) or return; (fileno $fh, keep => $fh) };
kind 'epoll' => sub { KindTest::epoll() };
kind "/dev/$_" => sub { device("/dev/$_[0]") } for qw(zero null full);
kind "/dev/$_" => sub { (device("/dev/$_[0]"), random => 1) } for qw(random urandom);
kind "/dev/$_" => sub { device("/dev/$_[0]") } for 'net/tun', 'fuse';

sub device { my $fd = POSIX::open($_[0], O_RDWR | O_NONBLOCK); defined $fd ? $fd + 0 : undef }

for my $path (qw(/proc/version /proc/sys/kernel/ostype /proc/self/oom_score_adj /proc/self/mem /sys/kernel/address_bits
    /sys/kernel/fscaps /sys/devices/system/cpu/online)) {
    kind "$path" => sub {
        my $fd = POSIX::open($path, $path =~ /score/ ? O_RDWR : O_RDONLY);
        defined $fd ? $fd + 0 : undef;
    };
}

# ---- every kind, offset and length ----------------------------------------------------------------

my @offsets = (undef, 0, 1_000_000);
my @calls = map { my $way = $_; map { my $offs = $_; [$way, $offs] } @offsets } 'read', 'write';
my @names = sort keys %kind;
my %reference;
for my $name (@names) {
    $reference{$name} = [in_child { KindTest::all($name, $kind{$name}, \@calls, \&KindTest::blocking) }];
}

each_engine {
    my ($engine) = @_;
    for my $name (@names) {
        my @want = @{ $reference{$name} };
      SKIP: {
            skip "$name: none here", 1 unless @want;
            my $signals = 0;
            local @SIG{qw(PIPE XFSZ)} = (sub { $signals++ }) x 2;
            my @got = KindTest::all($name, $kind{$name}, \@calls, \&KindTest::asynchronous);
            my @differ = grep $got[$_] ne $want[$_], 0 .. $#want;
            is(scalar @got, scalar @want, "$name: all calls return");
            is(join("\n", @got[@differ]), join("\n", @want[@differ]), "$name: each as a blocking one");
            is($signals, 0, "$name: no signal");
        }
    }
};

# ---- several at a time -----------------------------------------------------------------------------
# At a file's position each call has a part of its own: a read gets what no other gets, a write overwrites none.

each_engine {
    my ($n, $size) = (64, 32 * 1024);
    my $path = write_file "$dir/parts", join '', map pack('N', $_) . 'x' x ($size - 4), 0 .. $n - 1;
    for my $flags (0, IO::AIO::O_DIRECT) {
      SKIP: {
            sysopen my $fh, $path, O_RDWR | $flags or skip 'no direct I/O here', 1;
            IO::AIO::fadvise $fh, 0, 0, IO::AIO::FADV_DONTNEED;
            my (%seen, %wrong);
            for (1 .. $n) {
                my $buf = '';
                aio_read $fh, undef, $size, $buf, 0, sub { $_[0] == $size ? $seen{ unpack 'N', $buf }++ : $wrong{"$_[0] " . errno_name $!}++ };
            }
            IO::AIO::flush;
            next if $flags && $wrong{'-1 EINVAL'};    # buffers that are not aligned
            is(join(' ', sort { $a <=> $b } keys %seen), "@{[0 .. $n - 1]}", "$n reads at the position: each block once");
            is_deeply(\%wrong, {}, 'and nothing else');
            is(sysseek($fh, 0, 1), $n * $size, 'the position is at the end');
        }
    }
    open my $fh, '+>', $path or die "$path: $!";
    for my $i (0 .. $n - 1) {
        aio_write $fh, undef, 1000, pack('N', $i) . 'y' x 996, 0, sub { };
    }
    IO::AIO::flush;
    my $text = read_file $path;
    is(length $text, $n * 1000, "$n writes at the position: none overwrites another");
    is(join(' ', sort { $a <=> $b } map unpack('N', substr $text, $_ * 1000, 4), 0 .. $n - 1), "@{[0 .. $n - 1]}", 'each is there once');
};

done;
