use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl qw(:DEFAULT :flock :mode F_GETFD F_GETFL FD_CLOEXEC);
use POSIX ();
use IO::AIO;

# aio_open and aio_close: handles, modes, failures, and who owns the descriptor.

# The handle that an open gives, or an error's name.
sub open_file {
    my ($path, $flags, $mode) = @_;
    my ($errno, $fh) = run_req { aio_open $path, $flags, $mode || 0, $_[0] };
    $fh ? $fh : errno_name($errno);
}

sub open_fails {
    my ($path, $flags, $want, $name) = @_;
    my ($errno, @got) = run_req { aio_open $path, $flags, 0644, $_[0] };
    is_deeply([@got, errno_name($errno)], [undef, $want], $name);
}

# The slave of a pseudo terminal, undef where there is none.
sub terminal_of {
    my ($master) = @_;
    my ($unlock, $number) = (pack('i', 0)) x 2;
    $^O eq 'linux' && ref \$master eq 'GLOB' && ioctl($master, 0x40045431, $unlock) && ioctl($master, 0x80045430, $number)
        or return;
    "/dev/pts/" . unpack 'i', $number;
}

# Layers with their flags, position, descriptor flags, terminal or not.
sub state_of {
    my ($fh) = @_;
    [PerlIO::get_layers($fh, details => 1), tell $fh, fcntl($fh, F_GETFD, 0), !!-t $fh];
}

sub descriptor_count { scalar(() = glob '/proc/self/fd/*') }

each_engine {
    my ($engine) = @_;
    my $dir  = fresh_dir;
    my $file = write_file "$dir/file", "some text\nmore\n";

    # reading
    my $fh = open_file($file, O_RDONLY);
    is(ref \$fh, 'GLOB', 'open gives a glob');
    like(*{$fh}{NAME}, qr/^fd#\d+$/, 'named after its descriptor');
    is_deeply([PerlIO::get_layers($fh)], [qw(unix perlio)], 'layers');
    is(scalar <$fh>, "some text\n", 'lines are read from it');
    { no warnings; ok(!(syswrite $fh, 'x'), 'it cannot be written'); }
    ok(fcntl($fh, F_GETFD, 0) & FD_CLOEXEC, 'it is close-on-exec');
    ok(close $fh, 'perl closes it');
    {
        local $^F = 100;
        my $fh = open_file($file, O_RDONLY);
        ok(!(fcntl($fh, F_GETFD, 0) & FD_CLOEXEC), 'not up to $^F');
    }

    # the state of the layers, which perl's own open asks the kernel about
    my $terminal = terminal_of(my $master = open_file('/dev/ptmx', O_RDWR | O_NOCTTY));
    for my $path ($file, $terminal || ()) {
        for my $mode (O_RDONLY, O_WRONLY, O_RDWR, O_WRONLY | O_APPEND) {
            $fh = open_file($path, $mode | O_NOCTTY);
            my $as = $mode & ~O_APPEND;    # with it, perl's moves to the end
            sysopen my $own, $path, $as | O_NOCTTY or die "$path: $!";
            is_deeply(state_of($fh), state_of($own), "$path, mode $mode: the handle is as sysopen makes it");
        }
    }

    for my $layers (qw(:utf8 :crlf :stdio), '') {
        local $ENV{PERLIO} = $layers;
        my (undef, $got) = run_perl(<<'PERL', $file);
            use IO::AIO;
            sysopen my $own, $ARGV[0], 0;
            aio_open $ARGV[0], 0, 0, sub { print "@{[PerlIO::get_layers($_)]}\n" for $own, $_[0] };
            IO::AIO::flush;
PERL
        my ($want, $is) = split /\n/, $got;
        is($is, $want, "default layers as PERLIO=$layers has them");
    }
    for my $layers (':utf8', ':encoding(Latin-1)', ':crlf') {
        my (undef, $got, $warned) = run_perl(<<"PERL", "$dir/layers");
            use IO::AIO;
            use Fcntl;
            use open IO => '$layers';
            my \$open = sub { my (\$how, \$then) = \@_; aio_open \$ARGV[0], \$how, 0600, sub { \$then->(\$_[0] || die \$!) }; IO::AIO::flush };
            open my \$own, '+>', \$ARGV[0] or die \$!;
            \$open->(O_WRONLY | O_CREAT | O_TRUNC, sub { print { \$_[0] } "\\xe9\\n" });
            print join(' ', PerlIO::get_layers(\$own)), "\\n";
            \$open->(O_RDWR, sub {
                print join(' ', PerlIO::get_layers(\$_[0])), "\\n";
                print tell \$_[0], ' ', readline(\$_[0]) eq "\\xe9\\n" ? 'text' : 'octets', "\\n";
            });
            BEGIN { \${^OPEN} = undef }
            IO::AIO::aio_open \$ARGV[0], 0, 0, sub { print join(' ', PerlIO::get_layers(\$_[0])), "\\n" };
            IO::AIO::flush;
PERL
        my ($want, @is) = split /\n/, $got;
        is_deeply(\@is, [$want, '0 text', 'unix perlio'], "layers as 'use open \"$layers\"' has them where the poll function is called")
            or diag($warned);
    }

    # writing
    $fh = open_file($file, O_WRONLY);
    is((syswrite $fh, 'S'), 1, 'a write-only handle writes');
    undef $fh;
    is(read_file($file), "Some text\nmore\n", 'without O_TRUNC the rest stays');

    $fh = open_file($file, O_RDWR);
    sysread $fh, my $buf, 4;
    is((syswrite $fh, '-'), 1, 'a read-write handle reads and writes');
    undef $fh;
    is(read_file($file), "Some-text\nmore\n", 'at one position');

    $fh = open_file($file, O_RDWR | O_APPEND);
    is(tell $fh, 0, 'with O_APPEND it begins at 0');
    is(scalar <$fh>, "Some-text\n", 'and can be read');
    print $fh "end\n";
    undef $fh;
    is(read_file($file), "Some-text\nmore\nend\n", 'and writes at the end');

    open_file($file, O_WRONLY | O_TRUNC);
    is(-s $file, 0, 'O_TRUNC');

    # creating
    my $umask = umask 027;
    open_file("$dir/new", O_CREAT | O_WRONLY, 0666);
    is(mode_of("$dir/new"), 0640, 'O_CREAT with mode and umask');
    umask 0;
    open_file("$dir/new2", O_CREAT | O_WRONLY, 04751);
    sysopen my $own, "$dir/own", O_CREAT | O_WRONLY, 04751 or die "own: $!";
    is(mode_of("$dir/new2"), mode_of("$dir/own"), 'O_CREAT with all mode bits, as sysopen does it');
    umask $umask;
    open_file("$dir/new", O_CREAT | O_WRONLY, 0111);
    is(mode_of("$dir/new"), 0640, 'the mode of an existing file stays');
    ok(ref \open_file("$dir/excl", O_CREAT | O_EXCL | O_RDWR, 0600) eq 'GLOB', 'O_EXCL creates');

    # other things than files
    my $dh = open_file($dir, O_RDONLY);
    ok(-d $dh, 'a directory opens for reading');
    POSIX::mkfifo("$dir/fifo", 0600) or die "mkfifo: $!";
    $fh = open_file("$dir/fifo", O_RDONLY | O_NONBLOCK);
    ok(-p $fh, 'a FIFO');
    $fh = open_file('/dev/null', O_RDWR);
    ok(-c $fh, 'a device');
    symlink $file, "$dir/link" or die "symlink: $!";
    $fh = open_file("$dir/link", O_RDONLY);
    ok(-f $fh, 'a symbolic link is followed');
    symlink 'loop', "$dir/loop" or die "symlink: $!";

    # failures
    open_fails("$dir/none", O_RDONLY, 'ENOENT', 'a missing file: ENOENT');
    open_fails("$dir/none/x", O_RDONLY | O_CREAT, 'ENOENT', 'O_CREAT in a missing directory: ENOENT');
    open_fails('', O_RDONLY, 'ENOENT', 'the empty name: ENOENT');
    open_fails("$file/x", O_RDONLY, 'ENOTDIR', 'below a file: ENOTDIR');
    open_fails($file, O_RDONLY | IO::AIO::O_DIRECTORY, 'ENOTDIR', 'a file with O_DIRECTORY: ENOTDIR');
    open_fails($dir, O_WRONLY, 'EISDIR', 'a directory for writing: EISDIR');
    open_fails($file, O_CREAT | O_EXCL, 'EEXIST', 'O_EXCL on an existing file: EEXIST');
    open_fails("$dir/loop", O_RDONLY, 'ELOOP', 'links in a circle: ELOOP');
    open_fails("$dir/link", O_RDONLY | O_NOFOLLOW, 'ELOOP', 'a link with O_NOFOLLOW: ELOOP');
    open_fails("$dir/fifo", O_WRONLY | O_NONBLOCK, 'ENXIO', 'a FIFO that nobody reads: ENXIO');
    open_fails("$dir/" . 'x' x 256, O_RDONLY, 'ENAMETOOLONG', 'a long name: ENAMETOOLONG');
    chmod 0, $file;
    is_deeply(
        [as_nobody { my ($errno, @got) = run_req { aio_open $file, O_RDONLY, 0, $_[0] }; (@got, errno_name($errno)) }],
        [undef, 'EACCES'],
        'a file without permission: EACCES'
    );
    chmod 0644, $file;

    # nobody gets the descriptor
    my $count = descriptor_count();
    aio_open $file, O_RDONLY, 0;
    IO::AIO::flush;
    ours { is(descriptor_count(), $count, 'an open without callback leaves no descriptor') } 'leaks it';
    $count = descriptor_count();
    aio_open $file, O_RDONLY, 0, sub { };
    IO::AIO::flush;
    is(descriptor_count(), $count, 'neither does one whose callback ignores the handle');

    ours {
        my $called;
        my $req = aio_open $file, O_RDONLY, 0, sub { $called++ };
        wait_for { IO::AIO::npending };
        $req->cancel;
        IO::AIO::flush;
        ok(!$called, 'an open that was cancelled after it ran is not called back');
        is(descriptor_count(), $count, 'and leaves no descriptor');
    } 'leaks it';

  SKIP: {
        skip 'engine sync cannot be cancelled while it executes', 2 if $engine eq 'sync';
        ours {
            my $called;
            my $req = aio_open "$dir/fifo", O_RDONLY, 0, sub { $called++ };
            wait_for { !IO::AIO::nready };
            $req->cancel;
            my $w;    # the open waits for a writer
            wait_for { sysopen $w, "$dir/fifo", O_WRONLY | O_NONBLOCK };
            IO::AIO::flush;
            close $w;
            ok(!$called, 'an open that was cancelled while it ran is not called back');
            is(descriptor_count(), $count, 'and leaves no descriptor');
        } 'leaks it';
    }

    # close
    open $fh, '+<', $file or die "$file: $!";
    my $fd = fileno $fh;
    succeeds { aio_close $fh, $_[0] } 'close';
    is(fileno $fh, $fd, 'the handle keeps its number');
    ours { ok(!defined sysread($fh, $buf, 1) && $!{EBADF}, 'reads on it fail with EBADF') } 'they give 0';
    my $signals = 0;
    local $SIG{PIPE} = sub { $signals++ };
    ok(!defined syswrite($fh, 'x') && ($!{EPIPE} || $!{EBADF}), 'writes fail too');
    open my $other, '<', $file or die "$file: $!";
    isnt(fileno $other, $fd, 'the number is not free for others');
    succeeds { aio_close $fh, $_[0] } 'closing twice';
    close $fh;
    open $other, '<', $file or die "$file: $!";
    open my $third, '<', $file or die "$file: $!";
    ok((grep { fileno($_) == $fd } $other, $third), 'it is after perl closed the handle');

    open $fh, '>', $file or die "$file: $!";
    flock $fh, LOCK_EX or die "flock: $!";
    ok(!flock($other, LOCK_EX | LOCK_NB), 'a locked file');
    print $fh 'not flushed';
    succeeds { aio_close $fh, $_[0] } 'close of a locked file';
    ok(flock($other, LOCK_EX | LOCK_NB), 'releases the lock');
    ok(!close $fh, 'what PerlIO has buffered cannot be written when perl closes the handle');
    is(read_file($file), '', 'and is not in the file');
  SKIP: {
        needs 1, 'O_PATH';
        skip 'no /proc/self/fd here', 1 unless -d '/proc/self/fd';
        is($signals, 0, 'the program, which did nothing wrong, is not killed by SIGPIPE');
    }

    my $dup = POSIX::dup(fileno $other);
    succeeds { aio_close $dup, $_[0] } 'close of a plain descriptor number';
    POSIX::close($dup);
    open $fh, '<', $file or die "$file: $!";
    aio_close $fh;
    IO::AIO::flush;
    ok(!sysread($fh, $buf, 1), 'close without callback');
    close $fh;

    # a pipe's reader sees the end
    pipe my $r, my $w or die "pipe: $!";
    succeeds { aio_close $w, $_[0] } 'close of a write end';
    is(sysread($r, $buf, 1), 0, 'is the end of the file for the reader');

    ours {
        fails_with { aio_close 9999, $_[0] } 'EBADF', 'close of a number that is not open: EBADF';
    } 'crash of the descriptor limit: it opens the number';
};

# What was submitted before the close of its handle has the file, though nobody waits for it in between.
each_engine {
    my $file = write_file(tmpdir . '/overtaken', 'x' x 1_000_000);
    my ($exit, $out) = run_perl <<'PERL', $file;    # with the limits as they are at first
        use strict; use IO::AIO;
        my ($good, $closed) = (0, 0);
        for (1 .. 1000) {
            open my $fh, '<', $ARGV[0] or die;
            aio_read $fh, 0, 200_000, my $buf, 0, sub { $good++ if $_[0] == 200_000 };
            aio_close $fh, sub { $closed++ if !$_[0] };
            IO::AIO::flush;
        }
        print "$good $closed";
PERL
    is("$exit $out", '0 1000 1000', 'no close overtakes a read');

    pipe my $r, my $w or die "pipe: $!";
    my ($read, $status) = (0, -1);
    aio_read $r, undef, 1, my $buf, 0, sub { $read++ } if engine ne 'sync';
    aio_close $r, sub { $status = $_[0] };
    ok(wait_for(sub { IO::AIO::poll_cb(); $status == 0 }), 'one of a pipe that somebody reads does not wait for the end of that');
    syswrite $w, 'x' if engine ne 'sync';
    close $w;
    IO::AIO::flush;
    is($read, engine eq 'sync' ? 0 : 1, 'which goes on');
};

done;
