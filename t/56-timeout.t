use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl qw(:DEFAULT);
use POSIX ();
use IO::AIO qw(:DEFAULT aioreq_timeout);

# Timeouts, and requests that are abandoned as they hang: opens of FIFOs that nobody opens at the other end, and
# reads of empty pipes. That time passes is all these tests need; how much decides nothing.

my $dir  = fresh_dir;
my $soon = 0.002;
my $hung = 0;

sub fifo {
    my $path = "$dir/fifo." . ++$hung;
    POSIX::mkfifo($path, 0600) or die "mkfifo: $!";
    return $path;
}

# All that hangs at a FIFO ends.
sub end {
    my ($path) = @_;
    my $w;
    wait_for { IO::AIO::poll_cb; sysopen $w, $path, O_WRONLY | O_NONBLOCK } or return 0;
    wait_for { IO::AIO::poll_cb; !IO::AIO::nabandoned };
    IO::AIO::poll_cb;
    return 1;
}

sub open_fds { my @fds = glob '/proc/self/fd/*'; scalar @fds }

sub for_next {
    is(aioreq_timeout, undef, 'at first requests have all the time there is');
    is(aioreq_timeout(3), undef, 'setting it gives the previous one');
    is(aioreq_timeout(undef), 3, 'which is taken back');
    aioreq_timeout 3600;
    my $n = 0;
    aio_stat '/', sub { $n++ unless $_[0] };
    is(aioreq_timeout, undef, 'it is for one request');
    IO::AIO::flush;
    is($n, 1, 'which is done in time');
    ok(!eval { aioreq_timeout 'inf' - 'inf'; 1 } && $@ =~ /^aioreq_timeout: seconds must be a number at \Q$0\E/, 'not a number croaks')
        or diag $@;
    ok(!eval { (aio_nop)->timeout('nan'); 1 } && $@ =~ /^timeout: seconds must be a number at \Q$0\E/, 'so it does in the method');
    IO::AIO::flush;
}

sub kinds {
    my $path = fifo;
    pipe my $r, my $w or die "pipe: $!";
    my $was = open_fds;
    my ($buf, %said) = 'as it was';
    my $note = sub { my ($what, $value) = @_; sub { $said{$what} = join ' ', errno_name($!), map { defined $_ ? ref || $_ : 'undef' } @_ } };
    my @requests = (
        [open => sub { aio_open $path, O_RDONLY, 0, $note->('open') }, 'ETIMEDOUT undef'],
        [read => sub { aio_read $r, undef, 10, $buf, 0, $note->('read') }, 'ETIMEDOUT -1'],
        [slurp => sub { aio_slurp $path, 0, 0, my $data, $note->('slurp') }, 'ETIMEDOUT -1'],
        [load => sub { aio_load $path, my $data, $note->('load') }, 'ETIMEDOUT -1'],
        [copy => sub { aio_copy $path, "$dir/copy", $note->('copy') }, 'ETIMEDOUT -1'],
        [move => sub { aio_move $path, "$dir/move", $note->('move') }, undef],
    );
    pop @requests;    # a FIFO is renamed
    for (@requests) { aioreq_timeout $soon; $_->[1]->() }
    ok(poll_until { !IO::AIO::nreqs }, 'the descriptor tells when their time is up');
    is($said{ $_->[0] }, $_->[2], "$_->[0] that hangs: $_->[2]") for @requests;
    ok(!eval { $buf = 'free'; 1 }, 'a buffer that a thread still has is not free') or diag $buf;
    syswrite $w, 'late';
    ok(end($path), 'what hung ends');
    ok(poll_until { eval { $buf = 'free'; 1 } }, 'then it is');
    is(open_fds, $was, 'descriptors that were opened late are closed');
    ok(!-e "$dir/copy", 'no copy is left');
    is(join(' ', map $said{$_}, sort keys %said), join(' ', map $_->[2], sort { $a->[0] cmp $b->[0] } @requests), 'nobody is called twice');
}

sub methods {
    my $path = fifo;
    my $said = '';
    my $req  = aio_open $path, O_RDONLY, 0, sub { $said .= errno_name($!) . ' ' };
    $req->timeout(3600);
    $req->timeout(undef);
    $req->timeout($soon);
    ok(poll_until { $said }, 'a request that is on its way gets a timeout');
    $req->timeout(1);
    $req->cancel;
    is($said, 'ETIMEDOUT ', 'its object is good for nothing any more');

    my $members = 0;
    my $grp = aio_group sub { $said .= 'group ' . errno_name($!) };
    add $grp map { aio_open $path, O_RDONLY, 0, sub { $members++ if $!{ETIMEDOUT} && !$_[0] } } 1 .. 3;
    $grp->timeout($soon);
    ok(poll_until { !IO::AIO::nreqs }, 'a group gets one');
    is("$members $said", '3 ETIMEDOUT group ETIMEDOUT', 'all members fail, then it is called back');

    aioreq_timeout 0;
    my ($told, $error) = ('', '');
    IO::AIO::aio_walk('/usr', {}, sub { }, sub { ($told, $error) = ($_[0], errno_name($!)) });
    ok(poll_until { $error }, 'a walk through a tree ends');
    is("$told $error", '-1 ETIMEDOUT', 'and says that its time was up');

    aioreq_timeout $soon;
    my $n = 0;
    $grp = aio_group sub { $n++ };
    limit $grp 2;
    feed $grp sub { add $grp aio_open $path, O_RDONLY, 0 };
    ok(poll_until { $n }, 'a group with a feeder ends');
    end($path);
    IO::AIO::flush;
}

sub cancelled {
    my $path  = fifo;
    my $lines = 0;
    IO::AIO::max_parallel(8);
    my @req = map { aio_open $path, O_RDONLY, 0, sub { $lines++ } } 1 .. 8;
    wait_for { !IO::AIO::nready };
    $_->cancel for @req;
    my $read;
    aio_readdir $dir, sub { $read++ };
    ok(poll_until { $read }, 'eight cancelled requests that hang do not hold up others');
    IO::AIO::flush;
    is(IO::AIO::nreqs . ' ' . IO::AIO::nabandoned . " $lines", '0 8 0', 'flush does not wait for them, and they are not called back');
    end($path);
    reset_limits;
    my ($status, $out, $err) = run_perl(<<'PERL', fifo);
        use IO::AIO; $| = 1;
        $_->cancel for map aio_open($ARGV[0], IO::AIO::O_RDONLY, 0, sub { print "called" }), 1 .. 20;
        aioreq_pri 4; IO::AIO::aioreq_timeout 0.001;
        aio_open $ARGV[0], IO::AIO::O_RDONLY, 0, sub { print "timed out" if $!{ETIMEDOUT} };
        use Errno;
PERL
    is("$status $out$err", '0 timed out', 'nor does the end of the program');
}

# A thousand that hang, each with a thread: others are answered all the same.
sub thousand {
    my $path = fifo;
    IO::AIO::max_parallel(8);
    my ($failed, $open) = (0, 0);
    for (1 .. 125) {    # eight at a time
        my @req = map { aio_open $path, O_RDONLY, 0, sub { $failed++ if $!{ETIMEDOUT}; $open++ if $_[0] } } 1 .. 8;
        wait_for { !IO::AIO::nready } or last;
        $_->timeout(0) for @req;
        IO::AIO::poll_cb;
    }
    is("$failed $open " . IO::AIO::nabandoned, '1000 0 1000', 'a thousand requests hang');
    my ($stat, $names) = (0, 0);
    for (1 .. 100) {
        aio_stat $dir, sub { $stat++ unless $_[0] };
        aio_readdir $dir, sub { $names++ if $_[0] };
    }
    IO::AIO::flush;
    is("$stat $names", '100 100', 'others are answered');
    end($path);
    is(IO::AIO::nreqs . " $open", '0 0', 'and all is well when they end');

    IO::AIO::max_abandoned(2);
    $path = fifo;
    my @req = map { aio_open $path, O_RDONLY, 0, sub { $failed++ } } 1 .. 4;
    wait_for { !IO::AIO::nready };
    $_->timeout(0) for @req;
    IO::AIO::flush;
    is("$failed " . IO::AIO::nabandoned, '1004 2', 'max_abandoned bounds the threads, not the answers');
    IO::AIO::max_abandoned(1024);
    end($path);
    IO::AIO::max_parallel(0);    # waits for those that have kept their places
    IO::AIO::poll_cb;
    reset_limits;
}

each_engine {
    my ($engine) = @_;
    for_next;
    if ($engine eq 'sync') {    # executes in submit
        my $n = 0;
        aioreq_timeout 0;
        aio_readdir $dir, sub { $n++ if $_[0] };
        IO::AIO::flush;
        is($n, 1, 'no time at all: it has been executed before');
        return;
    }
    kinds;
    methods;
    cancelled;
    thousand;
};

done;
