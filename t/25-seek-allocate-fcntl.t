use strict;
use warnings;
no warnings 'uninitialized';    # undef is among the numbers
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl;
use POSIX ();
use IO::AIO;

# Requests on an open handle: aio_seek, aio_allocate, aio_fcntl, aio_ioctl.

# One test: a single result that is this number.
sub gives(&$$) {
    my ($submit, $want, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($errno, @res) = &run_req($submit);
    is("@res", $want, $name) or diag(errno_name($errno));
}

sub pipe_pair { pipe my $r, my $w or die "pipe: $!"; ($r, $w) }

# ---- aio_seek ------------------------------------------------------------------------------------

each_engine {
    my $file = write_file tmpdir . '/seek', '0123456789';
    open my $fh, '+<', $file or die "$file: $!";
    my ($r, $w) = pipe_pair;
    open my $own, '<', $file or die "$file: $!";
    my $goes = sub { my $to = large_files ? sysseek $own, $_[0], 0 : undef; defined $to ? $to + 0 : -1 }; # file systems have limits

    # each goes on where the one before it ended
    for my $t (
        [3, IO::AIO::SEEK_SET, 3], [2, IO::AIO::SEEK_CUR, 5], [-1, IO::AIO::SEEK_CUR, 4], [-1, IO::AIO::SEEK_END, 9],
        [0, IO::AIO::SEEK_SET, 0], [100, IO::AIO::SEEK_SET, 100], [0, IO::AIO::SEEK_CUR, 100],
        [2**40, IO::AIO::SEEK_SET, $goes->(2**40)], [2**62, IO::AIO::SEEK_SET, $goes->(2**62)], [-1, IO::AIO::SEEK_SET, -1], [1.9, IO::AIO::SEEK_SET, 1],
        ['7', '0', 7], [undef, IO::AIO::SEEK_SET, 0], [5, undef, 5], [0, IO::AIO::SEEK_END, 10],
    ) {
        my ($offset, $whence, $want) = @$t;
        my $name = join ' ', map { defined $_ ? $_ : 'undef' } 'seek', $offset, $whence;
        gives { aio_seek $fh, $offset, $whence, $_[0] } $want, $name;
    }
    is(sysseek($fh, 0, 1), 10, 'failures did not move it');

    fails_with { aio_seek $fh, -1, 0, $_[0] } 'EINVAL', 'before the start';
    fails_with { aio_seek $fh, -11, 2, $_[0] } 'EINVAL', 'before the start from the end';
    fails_with { aio_seek $fh, 0, $_, $_[0] } 'EINVAL', "whence $_" for 77, -1;
    fails_with { aio_seek $r, 0, 0, $_[0] } 'ESPIPE', 'a pipe';
    fails_with { aio_seek 999, 0, 0, $_[0] } 'EBADF', 'not open';
    gives { aio_seek fileno $fh, 5, 0, $_[0] } 5, 'a descriptor number';
    croaks { aio_seek undef, 0, 0, sub { } } 'aio_seek', 'undef is no handle';
    ours { croaks { aio_seek 'nonsense', 0, 0, sub { } } 'aio_seek', 'nor is a string' } 'takes descriptor 0';

    # perl reads where it was sought to
    gives { aio_seek $fh, 4, 0, $_[0] } 4, 'seek';
    sysread $fh, my $buf, 3;
    is($buf, '456', 'sysread reads there');

    opendir my $dh, tmpdir or die "opendir: $!";
    ours { gives { aio_seek $dh, 0, IO::AIO::SEEK_SET, $_[0] } 0, 'a directory handle' } 'takes no directory handles';

  SKIP: {
        skip 'no SEEK_HOLE here', 3 unless IO::AIO::SEEK_HOLE;
        gives { aio_seek $fh, 0, IO::AIO::SEEK_DATA, $_[0] } 0, 'SEEK_DATA';
        gives { aio_seek $fh, 0, IO::AIO::SEEK_HOLE, $_[0] } 10, 'SEEK_HOLE';
        fails_with { aio_seek $fh, 10, IO::AIO::SEEK_DATA, $_[0] } 'ENXIO', 'SEEK_DATA at the end';
    }
};

# ---- aio_allocate --------------------------------------------------------------------------------

# Can perl's own syscall do it here? What a file system lacks is no failure of ours.
sub lacks {
    my ($mode) = @_;
    my $path = write_file tmpdir . '/probe', 'x' x 16384;
    open my $fh, '+<', $path or die "$path: $!";
    my ($errno, $res) = run_req { aio_allocate $fh, $mode, 0, 4096, $_[0] };
    $res && errno_name($errno) =~ /^(?:EOPNOTSUPP|ENOSYS)$/;
}

each_engine {
    my $path = write_file fresh_dir . '/file', 'x' x 5000;
    open my $fh, '+<', $path or die "$path: $!";
    open my $ro, '<',  $path or die "$path: $!";
    my ($r, $w) = pipe_pair;
    my $size   = sub { -s $path };
    my $blocks = sub { (stat $path)[12] };
    my ($keep, $punch) = (IO::AIO::FALLOC_FL_KEEP_SIZE, IO::AIO::FALLOC_FL_PUNCH_HOLE);

  SKIP: {
        skip 'no fallocate here', 8 if lacks(0);
        succeeds { aio_allocate $fh, 0, 0, 4096, $_[0] } 'what is there';
        is($size->(), 5000, 'stays as it is');
        succeeds { aio_allocate $fh, 0, 8192, 4096, $_[0] } 'beyond the end';
        is($size->(), 12288, 'makes the file longer');
        is(read_file($path), 'x' x 5000 . "\0" x 7288, 'by zeros');
        my $was = $blocks->();
        succeeds { aio_allocate $fh, $keep, 0, 1 << 20, $_[0] } 'FALLOC_FL_KEEP_SIZE';
        is($size->(), 12288, 'keeps the size');
        cmp_ok($blocks->(), '>', $was, 'and takes space');
    }
  SKIP: {
        skip 'no holes here', 5 if lacks($keep | $punch);
        write_file $path, 'x' x 5000 . "\0" x 7288;
        succeeds { aio_allocate $fh, $keep | $punch, 0, 4096, $_[0] } 'FALLOC_FL_PUNCH_HOLE';
        is($size->(), 12288, 'keeps the size');
        is(read_file($path), "\0" x 4096 . 'x' x 904 . "\0" x 7288, 'and zeroes the range');
        fails_with { aio_allocate $fh, $punch, 0, 4096, $_[0] } 'EOPNOTSUPP', 'without KEEP_SIZE';
        is(read_file($path), "\0" x 4096 . 'x' x 904 . "\0" x 7288, 'which changes nothing');
    }
    for my $t (
        [COLLAPSE_RANGE => IO::AIO::FALLOC_FL_COLLAPSE_RANGE, 'b' x 4096 . 'c' x 4096],
        [INSERT_RANGE   => IO::AIO::FALLOC_FL_INSERT_RANGE,   "\0" x 4096 . 'a' x 4096 . 'b' x 4096 . 'c' x 4096],
        [ZERO_RANGE     => IO::AIO::FALLOC_FL_ZERO_RANGE,     "\0" x 4096 . 'b' x 4096 . 'c' x 4096],
    ) {
        my ($name, $mode, $want) = @$t;
      SKIP: {
            skip "no FALLOC_FL_$name here", 2 if !$mode || lacks($mode);
            my $file = write_file tmpdir . '/range', join '', map $_ x 4096, 'a' .. 'c';
            open my $rw, '+<', $file or die "$file: $!";
            succeeds { aio_allocate $rw, $mode, 0, 4096, $_[0] } "FALLOC_FL_$name";
            ok(read_file($file) eq $want, 'does it');
        }
    }
  SKIP: {
        skip 'no fallocate here', 9 if lacks(0);
        for my $t (
            ['length 0', 0, 0, 0, 'EINVAL'], ['negative offset', 0, -1, 10, 'EINVAL'], ['negative length', 0, 0, -10, 'EINVAL'],
            ['undef length', 0, 0, undef, 'EINVAL'], ['unknown mode', 1 << 30, 0, 10, 'EOPNOTSUPP'], ['too large', 0, 0, 2**62, 'EFBIG ENOSPC'],
        ) {
            my ($name, $mode, $offset, $length, $want) = @$t;
            fails_with { aio_allocate $fh, $mode, $offset, $length, $_[0] } $want, $name;
        }
        fails_with { aio_allocate $ro, 0, 0, 10, $_[0] } 'EBADF', 'a handle for reading';
        fails_with { aio_allocate $w,  0, 0, 10, $_[0] } 'ESPIPE', 'a pipe';
        fails_with { aio_allocate 999, 0, 0, 10, $_[0] } 'EBADF', 'not open';
        is($size->(), 12288, 'none of them changed the file');
    }
    croaks { aio_allocate undef, 0, 0, 10, sub { } } 'aio_allocate', 'undef is no handle';
};

# ---- aio_fcntl -----------------------------------------------------------------------------------

each_engine {
    my $path = write_file tmpdir . '/fcntl', 'x';
    open my $fh, '+<', $path or die "$path: $!";
    open my $ro, '<',  $path or die "$path: $!";

    gives { aio_fcntl $fh, F_GETFL, 0, $_[0] } fcntl($fh, F_GETFL, 0), 'F_GETFL';
    gives { aio_fcntl $ro, F_GETFL, 0, $_[0] } 0 + fcntl($ro, F_GETFL, 0), 'F_GETFL of another handle';
    gives { aio_fcntl $fh, F_SETFD, 0, $_[0] } 0, 'F_SETFD 0';
    gives { aio_fcntl $fh, F_GETFD, 0, $_[0] } 0, 'F_GETFD: a plain 0';
    gives { aio_fcntl $fh, F_SETFD, FD_CLOEXEC, $_[0] } 0, 'F_SETFD FD_CLOEXEC';
    gives { aio_fcntl $fh, F_GETFD, 0, $_[0] } FD_CLOEXEC, 'F_GETFD';
    gives { aio_fcntl fileno $fh, F_GETFD, 0, $_[0] } FD_CLOEXEC, 'a descriptor number';
    ours { gives { aio_fcntl $fh, F_GETFD, undef, $_[0] } FD_CLOEXEC, 'undef as argument' } 'crashes';
    my $flags = 5;
    gives { aio_fcntl $fh, F_GETFD, $flags, $_[0] } FD_CLOEXEC, 'a variable as argument';
    is($flags, 5, 'is not changed');

    my ($errno, $fd) = run_req { aio_fcntl $fh, F_DUPFD, 50, $_[0] };
    cmp_ok($fd, '>=', 50, 'F_DUPFD gives a descriptor');
    ok(POSIX::close($fd), 'that is open');
  SKIP: {
        skip 'no F_DUPFD_CLOEXEC here', 2 unless IO::AIO::F_DUPFD_CLOEXEC;
        my ($errno, $fd) = run_req { aio_fcntl $fh, IO::AIO::F_DUPFD_CLOEXEC, 50, $_[0] };
        gives { aio_fcntl $fd, F_GETFD, 0, $_[0] } FD_CLOEXEC, 'F_DUPFD_CLOEXEC';
        ok(POSIX::close($fd), 'that is open');
    }

    fails_with { aio_fcntl $fh, 9999, 0, $_[0] } 'EINVAL', 'unknown command';
    fails_with { aio_fcntl 999, F_GETFL, 0, $_[0] } 'EBADF', 'not open';
    croaks { aio_fcntl undef, F_GETFL, 0, sub { } } 'aio_fcntl', 'undef is no handle';

    # a structure: this one as x86_64 and other 64-bit systems have it
  SKIP: {
        skip 'another struct flock', 6 unless $^O eq 'linux' && length pack('l!', 0) == 8;
        my $flock = 's s x4 l! l! i x4';
        my $lock  = pack $flock, F_WRLCK, 0, 0, 0, 0;
        gives { aio_fcntl $fh, IO::AIO::F_OFD_SETLK || F_SETLK, $lock, $_[0] } 0, 'a lock is taken';
        my $other = $lock;
        if (IO::AIO::F_OFD_SETLK) {
            fails_with { aio_fcntl $ro, IO::AIO::F_OFD_SETLK, pack($flock, F_RDLCK, 0, 0, 0, 0), $_[0] } 'EAGAIN EACCES', 'by one handle only';
            $other = pack $flock, F_RDLCK, 0, 0, 0, 0;
            gives { aio_fcntl $ro, IO::AIO::F_OFD_GETLK, $other, $_[0] } 0, 'the other may ask';
            is((unpack $flock, $other)[0], F_WRLCK, 'and gets the answer in its buffer');
            fails_with { aio_fcntl $ro, IO::AIO::F_OFD_GETLK, my $b = pack($flock, F_RDLCK, 0, 0, 0, 99), $_[0] } 'EINVAL', 'invalid structure';
        }
        my $shared = my $copy = pack $flock, F_UNLCK, 0, 0, 0, 0;
        gives { aio_fcntl $fh, F_SETLK, $shared, $_[0] } 0, 'unlock';
        is($copy, pack($flock, F_UNLCK, 0, 0, 0, 0), 'a copy of the buffer is not touched');
    }
    # waiting for a lock holds up a worker, not us
  SKIP: {
        skip 'submits synchronously', 2 if engine eq 'sync';
        skip 'valgrind 3.19 lets nothing else run during F_OFD_SETLKW, which it does not know to wait', 2 if valgrind;
        skip 'another struct flock', 2 unless $^O eq 'linux' && length pack('l!', 0) == 8 && IO::AIO::F_OFD_SETLK;
        my $flock = 's s x4 l! l! i x4';
        fcntl $fh, IO::AIO::F_OFD_SETLK, pack($flock, F_WRLCK, 0, 0, 0, 0) or die "lock: $!";
        my $status;
        my $setlkw = is_peer ? 38 : IO::AIO::F_OFD_SETLKW();
        aio_fcntl $ro, $setlkw, pack($flock, F_RDLCK, 0, 0, 0, 0), sub { $status = $_[0] };
        my $other;
        aio_stat '/', sub { $other = $_[0] };
        IO::AIO::poll until defined $other;
        is($status, undef, 'waits for the lock while others go on');
        fcntl $fh, IO::AIO::F_OFD_SETLK, pack($flock, F_UNLCK, 0, 0, 0, 0) or die "unlock: $!";
        IO::AIO::flush;
        is($status, 0, 'gets it in the end');
    }
};

# ---- aio_ioctl -----------------------------------------------------------------------------------

# Linux numbers; those with a direction and a size in them are in the module's list
use constant { FIONREAD => 0x541b, FIOCLEX => 0x5451, FIONCLEX => 0x5450, FIONBIO => 0x5421, CONSTANT => 'constant' };

each_engine {
  SKIP: {
        skip 'Linux numbers', 1 unless $^O eq 'linux';
        my ($r, $w) = pipe_pair;
        syswrite $w, 'abc';

        # what perl's own gives, with all kinds of buffers
        for my $t (
            ['an int', pack 'i', 0], ['a longer one', "\xff" x 300], ['an empty one', ''], ['a short one', 'x'],
            ['undef', undef], ['a shared hash key', (keys %{ { key => 1 } })[0]],
        ) {
            my ($name, $buf) = @$t;
            my ($own, $ours, $copy) = ($buf, $buf, $buf);
            my $want = ioctl $r, FIONREAD, $own;
            ours {
                gives { aio_ioctl $r, FIONREAD, $ours, $_[0] } $want + 0, "FIONREAD into $name";
                is(unpack('i', $ours), 3, 'has the answer');
                is(length $ours, length $own, 'and as many octets as after ioctl');
                is($copy, $buf, 'copies are not touched');
            } 'crash: writes beyond short buffers';
        }
        ours {
            eval { aio_ioctl $r, FIONREAD, CONSTANT, sub { } };
            IO::AIO::flush;
            is(CONSTANT, 'constant', 'a constant is not written to');
        } 'writes into constants';
        croaks { aio_ioctl $r, FIONREAD, my $wide = "\x{100}", sub { } } qr/./, 'wide text is no buffer';

        # a number
        gives { aio_ioctl $r, FIONCLEX, 0, $_[0] } 0, 'FIONCLEX';
        is(fcntl($r, F_GETFD, 0), '0 but true', 'works');
        gives { aio_ioctl $r, FIOCLEX, 0, $_[0] } 0, 'FIOCLEX';
        is(fcntl($r, F_GETFD, 0), FD_CLOEXEC, 'works');
        gives { aio_ioctl $r, FIONBIO, my $on = pack('i', 1), $_[0] } 0, 'FIONBIO';
        ok(fcntl($r, F_GETFL, 0) & O_NONBLOCK, 'works');

        fails_with { aio_ioctl $r, 0x1234, 0, $_[0] } 'ENOTTY EINVAL', 'unknown command';
        fails_with { aio_ioctl 999, FIONREAD, my $buf = pack('i', 0), $_[0] } 'EBADF', 'not open';
      SKIP: {
            skip 'valgrind takes a bad address for a fault of ours', 1 if valgrind;
            fails_with { aio_ioctl $r, FIONREAD, 1, $_[0] } 'EFAULT', 'a bad address';
        }
        croaks { aio_ioctl undef, FIONREAD, 0, sub { } } 'aio_ioctl', 'undef is no handle';

        # a command that the file system knows
        my $path = write_file tmpdir . '/ioctl', 'x';
        open my $fh, '+<', $path or die "$path: $!";
        my $flags = pack 'l!', 0;
      SKIP: {
            my $own = pack 'l!', 0;
            my $want = ioctl $fh, IO::AIO::FS_IOC_GETFLAGS, $own;
            skip 'no file flags here', 4 unless defined $want;
            gives { aio_ioctl $fh, IO::AIO::FS_IOC_GETFLAGS, $flags, $_[0] } 0, 'FS_IOC_GETFLAGS';
            is(unpack('l!', $flags), unpack('l!', $own), 'as ioctl has it');
            my $set = pack 'l!', unpack('l!', $flags) | IO::AIO::FS_NODUMP_FL;
            gives { aio_ioctl $fh, IO::AIO::FS_IOC_SETFLAGS, $set, $_[0] } 0, 'FS_IOC_SETFLAGS';
            ioctl $fh, IO::AIO::FS_IOC_GETFLAGS, $own;
            ok(unpack('l!', $own) & IO::AIO::FS_NODUMP_FL, 'did it');
        }
    }
};

# The buffer belongs to the request until its callback begins.
each_engine {
  SKIP: {
        skip 'Linux numbers', 4 unless $^O eq 'linux';
        my ($r, $w) = pipe_pair;
        syswrite $w, 'abcd';
        {
            my $gone = pack 'i', 0;
            aio_ioctl $r, FIONREAD, $gone, sub { };
        }
        IO::AIO::flush;
        pass('a buffer that goes out of scope');
        hold;
        my $buf = pack 'i', 0;
        my $in_callback;
        aio_ioctl $r, FIONREAD, $buf, sub { $in_callback = unpack 'i', $buf; $buf = 'free' };
        ours { ok(engine eq 'sync' || !eval { $buf = 'changed'; 1 }, 'is locked while in flight') } 'does not lock';
        release;
        IO::AIO::flush;
        ours {
            is($in_callback, 4, 'has the answer in the callback');
            is($buf, 'free', 'and is free again');
        } 'does not lock';
    }
};

done;
