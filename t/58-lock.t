use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl qw(:DEFAULT :flock);
use POSIX ();
use IO::AIO qw(:DEFAULT aio_lock aioreq_timeout);

# Locks: other processes hold them, who waits takes no worker, and what comes when nobody waits any more is given back.

my $dir  = fresh_dir;
my $file = write_file "$dir/file", 'x' x 100;

sub handle { open my $fh, '+<', $file or die "$file: $!"; $fh }

# A process that has the lock until it is told: returns what tells it.
sub holder {
    my ($operation) = @_;
    pipe my $told, my $tell or die "pipe: $!";
    pipe my $ready, my $say or die "pipe: $!";
    defined(my $pid = fork) or die "fork: $!";
    unless ($pid) {
        close $tell;
        my $fh = handle;
        flock $fh, $operation or POSIX::_exit(1);
        syswrite $say, '.';
        sysread $told, my $buf, 1;
        POSIX::_exit(0);
    }
    close $told;
    close $say;
    sysread $ready, my $buf, 1 or die 'no lock';
    return sub { close $tell; waitpid $pid, 0; $? };
}

# Whether nobody has it.
sub is_free { my $fh = handle; flock $fh, LOCK_EX | LOCK_NB }

sub free {
    my ($one, $two) = (handle, handle);
    succeeds { aio_lock $one, LOCK_SH, undef, undef, $_[0] } 'shared';
    succeeds { aio_lock $two, LOCK_SH, undef, undef, $_[0] } 'by two';
    fails_with { aio_lock $one, LOCK_EX | LOCK_NB, undef, undef, $_[0] } 'EAGAIN', 'an exclusive one is not to be had at once';
    succeeds { aio_lock $two, LOCK_UN, undef, undef, $_[0] } 'unlocked';
    succeeds { aio_lock $one, LOCK_EX, undef, undef, $_[0] } 'exclusive';
    ok(!is_free, 'it is one of flock');
    aio_lock $one, LOCK_UN;
    IO::AIO::flush;
    ok(is_free, 'all but operation may be left out');
    fails_with { aio_lock $one, 0, undef, undef, $_[0] } 'EINVAL', 'no operation';
    fails_with { aio_lock $one, 99, undef, undef, $_[0] } 'EINVAL', 'an unknown one';
    fails_with { aio_lock 999, LOCK_SH, undef, undef, $_[0] } 'EBADF', 'no file';
    croaks { aio_lock undef, LOCK_SH, undef, undef, sub { } } 'aio_lock', 'undef is no handle';
    fails_with { aio_lock $one, 'inf', undef, undef, $_[0] } 'EINVAL', 'infinity is no operation';
  SKIP: {
        needs(6, 'OFD_LOCKS');
        succeeds { aio_lock $one, LOCK_EX, 10, 10, $_[0] } 'a range';
        fails_with { aio_lock $two, LOCK_SH | LOCK_NB, 19, 1, $_[0] } 'EAGAIN', 'another is in its way';
        succeeds { aio_lock $two, LOCK_EX, 20, undef, $_[0] } 'or behind it, to the end';
        fails_with { aio_lock $one, LOCK_SH | LOCK_NB, 1e6, 1, $_[0] } 'EAGAIN', 'which is far';
        fails_with { aio_lock $one, LOCK_SH, -1, 1, $_[0] } 'EINVAL', 'a negative offset';
        open my $ro, '<', $file or die "$file: $!";
        fails_with { aio_lock $ro, LOCK_EX, 0, 1, $_[0] } 'EBADF', 'exclusive needs a handle to write';
    }
}

sub waits {
    my $end = holder(LOCK_EX);
    my ($got, $others) = (0, 0);
    my @fh = map handle, 1 .. 10;
    IO::AIO::max_parallel(1);
    aio_lock $_, LOCK_SH, undef, undef, sub { $got++ unless $_[0] } for @fh;
    aio_readdir $dir, sub { $others++ } for 1 .. 20;
    wait_for { IO::AIO::poll_cb; $others == 20 };
    is("$others $got", '20 0', 'ten wait for a lock, and others go on, with one worker');
    is(IO::AIO::nreqs, 10, 'those that wait are outstanding');
    is($end->(), 0, 'another process gives it back');
    IO::AIO::flush;
    is($got, 10, 'then they get it, all of them');
    ok(!is_free, 'and have it');
    reset_limits;
}

sub given_up {
    my $end = holder(LOCK_SH);
    my ($fh, $fh2) = (handle, handle);
    my ($told, $cancelled) = ('', 0);
    aioreq_timeout 0.002;
    aio_lock $fh, LOCK_EX, undef, undef, sub { $told = "$_[0] " . errno_name($!) };
    my $req = aio_lock $fh2, LOCK_EX, undef, undef, sub { $cancelled++ };
    wait_for { IO::AIO::poll_cb; $told && !IO::AIO::nready };
    is($told, '-1 ETIMEDOUT', 'with a timeout');
    $req->cancel;
    IO::AIO::flush;
    is(IO::AIO::nreqs . " $cancelled", '0 0', 'and cancelled');
    succeeds { aio_lock handle, LOCK_SH, undef, undef, $_[0] } 'nobody else waits for those';
    close $fh;
    $end->();
    ok((wait_for { IO::AIO::poll_cb; !IO::AIO::nabandoned }), 'what comes late');
    ok(is_free, 'is given back');
}

sub children {
    my $end = holder(LOCK_EX);
    my $fh  = handle;
    my $got = 0;
    aio_lock $fh, LOCK_EX, undef, undef, sub { $got++ unless $_[0] };
    wait_for { IO::AIO::nabandoned };
    my $said = in_child {
        my $n = 0;
        aio_lock $fh, LOCK_SH | LOCK_NB, undef, undef, sub { $n = errno_name($!) };
        IO::AIO::flush;
        $n;
    };
    is($said, 'EAGAIN', 'a child goes on by itself');
    $end->();
    IO::AIO::flush;
    is($got, 1, 'its parent gets the lock');
    close $fh;

    $end = holder(LOCK_EX);
    my ($status, $out, $err) = run_perl(<<'PERL', $file);
        use IO::AIO; use Fcntl ':flock'; $| = 1;
        open my $fh, '+<', $ARGV[0] or die;
        my $req = IO::AIO::aio_lock($fh, LOCK_EX, undef, undef, sub { print "locked" });
        IO::AIO::aioreq_timeout(0.002);
        open my $fh2, '+<', $ARGV[0] or die;
        IO::AIO::aio_lock($fh2, LOCK_EX, undef, undef, sub { print "timed out"; $req->cancel });
PERL
    is("$status $out$err", '0 timed out', 'a program ends while it waits for a lock that it has given up');
    ($status, $out, $err) = run_perl(<<'PERL', $file);
        use IO::AIO; use Fcntl ':flock'; use POSIX ();
        open my $fh, '+<', $ARGV[0] or die;
        IO::AIO::aio_lock($fh, LOCK_EX);
        IO::AIO::poll_cb until IO::AIO::nabandoned;
        POSIX::_exit(3);
PERL
    is("$status $out$err" =~ s/^768 //r, '', 'or by _exit');
    $end->();
    ok(is_free, 'and leaves none behind');
}

each_engine {
    my ($engine) = @_;
  SKIP: {
        needs(1, 'FLOCK');
        free;
        return if $engine eq 'sync';    # waits in submit
        waits;
        given_up;
        children;
    }
};

done;
