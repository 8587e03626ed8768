use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl qw(:DEFAULT);
use POSIX ();
use Socket ();
use IO::AIO;

# Files that hang, pipes that are full, peers that close, disks without room.
# A FIFO to which nobody writes stands for a file system that does not answer.

# Queues $n opens of FIFOs that block their workers; they are in execution when it returns. Returns a function
# that ends them and gives the number of callbacks.
my $hung = 0;

sub hang {
    my ($n) = @_;
    my $fifo = tmpdir() . "/fifo.$$." . ++$hung;
    POSIX::mkfifo($fifo, 0600) or die "mkfifo: $!";
    my $called = 0;
    my $was    = IO::AIO::nready;
    my @req    = map { aioreq_pri(4); aio_open $fifo, O_RDONLY, 0, sub { $called++ if $_[0] } } 1 .. $n;
    wait_for { IO::AIO::nready <= $was } or die 'the opens did not start';
    my $end = sub {
        my $w;
        wait_for { sysopen $w, $fifo, O_WRONLY | O_NONBLOCK };
        IO::AIO::flush;
        $called;
    };
    ($end, @req);
}

# Polls until a condition holds; false when it never does.
sub poll_for(&) {
    my ($cond) = @_;
    wait_for { IO::AIO::poll_cb; $cond->() };
}

sub others_go_on {
    my $file = write_file fresh_dir() . '/file', 'data';
    my ($end) = hang(3);
    my $done = 0;
    aio_stat $file, sub { $done++ if !$_[0] } for 1 .. 50;
    aio_load $file, my $data, sub { $done++ };
    ok(poll_for { $done == 51 }, 'three files hang: others go on');
    is(IO::AIO::nreqs, 3, 'three are outstanding');
    is(IO::AIO::poll_cb, 0, 'poll_cb returns');
    is($end->(), 3, 'and all end when there is data');

    ($end, my @req) = hang(8);
    aio_readdir '/', sub { $done++ };
    IO::AIO::poll_cb for 1 .. 100;
    is("$done " . IO::AIO::nready, '51 1', 'eight files hang: the next request waits');
    IO::AIO::min_parallel(10);
    ok(poll_for { $done == 52 }, 'min_parallel raised: it goes on');
    $_->cancel for @req[0 .. 3];
    is(IO::AIO::nreqs, 8, 'cancelled ones stay outstanding');
    is($end->(), 4, 'and are not called back');
    reset_limits;
}

# Reads of a pipe hang in a worker, or on the ring.
sub reads {
    pipe my $r, my $w or die "pipe: $!";
    my ($status, $done) = ('', 0);
    my @buf;
    my @req = map { my $i = $_; aio_read $r, undef, 1, $buf[$i], 0, sub { $status .= "[$_[0]]" } } 0 .. 2;
    aio_nop sub { $done++ };
    ok(poll_for { $done }, 'reads of an empty pipe hang: others go on');
    $req[1]->cancel;
    syswrite $w, 'xyz';
    close $w;
    IO::AIO::flush;
    like($status, qr/^\[[01]\]\[[01]\]$/, 'those not cancelled are called back');
    is(eval { $_ = 'free' for @buf; 1 }, 1, 'all buffers are free');
}

sub forks {
    my ($end) = hang(2);
    my $in_child = in_child {
        my $n = 0;
        aio_stat '/', sub { $n++ } for 1 .. 10;
        IO::AIO::flush;
        my ($end_too) = hang(1);
        $n . ' ' . $end_too->();
    };
    is($in_child, '10 1', 'a child forked meanwhile has nothing of it');
    is($end->(), 2, 'and takes nothing away');
}

# Programs that end while something hangs. $how is what they do to be allowed to.
sub endings {
    my $dir = fresh_dir;
    for (
        ['reinit, exit',              'IO::AIO::reinit; exit 7',                        7],
        ['reinit, die',               'IO::AIO::reinit; close STDERR; $! = 9; die "x"', 9],
        ['reinit, end of program',    'IO::AIO::reinit',                                0],
        ['reinit, then more requests', 'IO::AIO::reinit; aio_stat "/", sub { print "stat\n" }; IO::AIO::flush; exit 3', 3, "stat\n"],
        ['POSIX::_exit',              'POSIX::_exit(4)',                                4],
        ['exec',                      'exec "sh", "-c", "exit 5"',                      5],
        ['reinit in END',             'exit 6; END { IO::AIO::reinit }',                6],
        )
    {
        my ($name, $how, $code, $out) = @$_;
        my $fifo = "$dir/fifo." . $name =~ tr/a-zA-Z//cdr;
        POSIX::mkfifo($fifo, 0600) or die "mkfifo: $!";
        my ($status, @output) = run_perl(<<"PERL" . $how, $fifo);
            use IO::AIO; use Fcntl; use POSIX (); \$| = 1;
            aio_open \$ARGV[0], O_RDONLY, 0, sub { print "called" } for 1 .. 3;
            aio_slurp \$ARGV[0], 0, 0, my \$data, sub { print "called" };
            my \$scandir = aio_scandir "/", 0, sub { };
            1 while IO::AIO::nready && !IO::AIO::poll_cb;
            our \$group = aio_group; add \$group aio_load \$ARGV[0], my \$more;
PERL
        is($status, $code << 8, "a file hangs; $name: ends at once");
        is_deeply(\@output, [$out || '', ''], 'without another callback or any message');
    }

    # without it a program waits until the file answers, and then goes on as it should
    POSIX::mkfifo("$dir/waits", 0600) or die "mkfifo: $!";
    pipe my $r, my $w or die "pipe: $!";
    defined(my $pid = fork) or die "fork: $!";
    unless ($pid) {
        aio_open "$dir/waits", O_RDONLY, 0, sub { syswrite $w, 'opened ' };
        syswrite $w, 'ends ';
        IO::AIO::_end();
        syswrite $w, 'ended';
        POSIX::_exit(0);
    }
    close $w;
    sysread $r, my $said, 100;
    vec(my $bits = '', fileno $r, 1) = 1;
    is(select(my $ready = $bits, undef, undef, 0.2), 0, 'without reinit the end waits');
    my $writer;
    wait_for { sysopen $writer, "$dir/waits", O_WRONLY | O_NONBLOCK };
    $said .= do { local $/; <$r> };
    waitpid $pid, 0;
    is($said, 'ends opened ended', 'for the file to answer');
}

# ---- pipes and sockets ---------------------------------------------------------------------------

sub full_pipes {
    my $file = write_file fresh_dir() . '/file', 'x' x 200_000;
    open my $in, '<', $file or die "$file: $!";
    for (
        ['sendfile', sub { aio_sendfile $_[0], $in, 0, 200_000, $_[1] }],
        ['write', do { my $data = 'x' x 200_000; sub { aio_write $_[0], undef, 200_000, $data, 0, $_[1] } }],
        )
    {
        my ($name, $submit) = @$_;
        pipe my $r, my $w or die "pipe: $!";
        $w->blocking(0);
        my $full = 0;
        while (my $n = syswrite $w, 'f' x 4096) { $full += $n }
        my ($errno, $n) = run_req { $submit->($w, $_[0]) };
        is("$n " . errno_name($errno), '-1 EAGAIN', "$name to a full pipe that does not block");
        next if engine eq 'sync';
        $w->blocking(1);
        my ($got, $done, $read) = (undef, 0, 0);
        $submit->($w, sub { $got = $_[0] });
        aio_nop sub { $done++ };
        ok(poll_for { $done }, "$name to one that blocks: others go on");
        ok(!defined $got, 'it waits');
        $r->blocking(0);
        poll_for { while (my $n = sysread $r, my $buf, 65536) { $read += $n } defined $got };
        while (my $n = sysread $r, my $buf, 65536) { $read += $n }
        ok($got > 0 && $read == $full + $got, 'and says how much the reader got') or diag("$got, $read of which $full");
    }
}

sub gone_peers {
    my $file = write_file fresh_dir() . '/file', 'x' x 1000;
    open my $in, '<', $file or die "$file: $!";
    my $signals = 0;
    local $SIG{PIPE} = sub { $signals++ };
    for my $kind ('pipe', 'socket') {
        my ($r, $w);
        my $make = sub {
            if ($kind eq 'pipe') { pipe $r, $w or die "pipe: $!" }
            else { socketpair $r, $w, Socket::AF_UNIX(), Socket::SOCK_STREAM(), 0 or die "socketpair: $!" }
        };
        $make->();
        close $r;
        my $data = 'x' x 1000;
        fails_with { aio_write $w, undef, 1000, $data, 0, $_[0] } 'EPIPE', "write to a $kind without reader: EPIPE";
        fails_with { aio_sendfile $w, $in, 0, 1000, $_[0] } 'EPIPE', 'sendfile';
        $make->();
        close $w;
        my ($errno, $n) = run_req { aio_read $r, undef, 10, my $buf, 0, $_[0] };
        is($n, 0, "read from a $kind without writer: end of file");
        next if engine eq 'sync';
        $make->();
        $n = undef;
        aio_read $r, undef, 10, my $later, 0, sub { $n = $_[0] };
        close $w;
        IO::AIO::flush;
        is($n, 0, 'also when it closes during the read');
    }
    is($signals, 0, 'no SIGPIPE');
    my ($status, $out, $err) = run_perl('use IO::AIO; pipe my $r, my $w; close $r; my $d = "x"; aio_write $w, undef, 1, $d, 0, sub { print "$_[0] ", $!{EPIPE} ? "EPIPE" : $! }; IO::AIO::flush');
    is("$status $out$err", '0 -1 EPIPE', 'nor does a program die of it that handles no signal');
}

# ---- a file system without room --------------------------------------------------------------------

# In a mount namespace of its own: 64 KiB that are full but for one page.
my $full = <<'PERL';
    use strict; use warnings; use IO::AIO; use Fcntl; use Errno;
    my $dir = $ARGV[0];
    system 'mount', '-t', 'tmpfs', '-o', 'size=64k', 'none', $dir and do { print "no mount\n"; exit };
    open my $source, '>', "$ARGV[1]" or die; print $source 'x' x 200_000; close $source;
    sub report {
        my ($name, @more) = @_;
        sub { print "$name ", defined $_[0] && $_[0] != -1 ? $_[0] : (grep $!{$_}, qw(ENOSPC EFBIG ENOTEMPTY EOPNOTSUPP))[0] || $!, map(" $_", map $_->(), @more), "\n" }
    }
    my $data = 'd' x 200_000;
    sysopen my $fh, "$dir/written", O_RDWR | O_CREAT or die;
    aio_write $fh, 0, 200_000, $data, 0, report('write'); IO::AIO::flush;
    aio_write $fh, 65536, 1, $data, 0, report('more'); IO::AIO::flush;
    aio_copy $ARGV[1], "$dir/copy", report('copy', sub { -e "$dir/copy" ? 'left' : 'gone' }); IO::AIO::flush;
    open my $was, '>', "$dir/was" or die; close $was;
    aio_copy $ARGV[1], "$dir/was", report('copy over', sub { -e "$dir/was" ? 'left' : 'gone' }); IO::AIO::flush;
    aio_allocate $fh, 0, 0, 200_000, report('allocate', sub { -s $fh }) if IO::AIO::_features() =~ /\bFALLOCATE\b/; IO::AIO::flush;
    aio_truncate $fh, 300_000, report('truncate', sub { -s $fh }); IO::AIO::flush;
    open my $in, '<', $ARGV[1] or die;
    sysseek $fh, 100_000, 0;
    aio_sendfile $fh, $in, 0, 1000, report('sendfile'); IO::AIO::flush;
    aio_move $ARGV[1], "$dir/moved", report('move', sub { -e "$dir/moved" ? 'left' : 'gone' }, sub { -s $ARGV[1] }); IO::AIO::flush;
    aio_fsync $fh, report('fsync'); IO::AIO::flush;
    print IO::AIO::nreqs, "\n";
PERL

sub no_room {
    my $dir = fresh_dir;
  SKIP: {
        skip 'only root can mount', 2 if $>;
        skip 'no mount namespaces here', 2 if system "unshare -m true 2>/dev/null";
        write_file "$dir/program", $full;
        make_dir("$dir/mnt");
        my ($status, $out, $err) = run_perl('exec @ARGV', 'unshare', '-m', perl_command, "$dir/program", "$dir/mnt", "$dir/source");
        skip 'tmpfs cannot be mounted', 2 if $out eq "no mount\n";
        $out =~ s/^truncate/allocate ENOSPC 65536\ntruncate/m if without('FALLOCATE');
        is($out, <<'OUT', 'no room: ENOSPC or what there was room for, no partial copy, nothing hangs');
write 65536
more ENOSPC
copy ENOSPC gone
copy over ENOSPC gone
allocate ENOSPC 65536
truncate 0 300000
sendfile ENOSPC
move ENOSPC gone 200000
fsync 0
0
OUT
        is("$status$err", '0', 'no message');
    }
}

sub make_dir { mkdir $_[0] or die "$_[0]: $!" }

each_engine {
    my ($engine) = @_;
    if ($engine ne 'sync') {    # which waits for each request itself
        others_go_on;
        reads;
        forks;
        endings;
    }
    full_pipes;
    gone_peers;
    no_room;
};

done;
