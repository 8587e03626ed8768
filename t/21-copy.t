use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl qw(:DEFAULT :mode :seek);
use POSIX ();
use IO::AIO;

# aio_copy: what is copied, and what is left where it fails.

sub entries { my ($dir) = @_; opendir my $dh, $dir or die "$dir: $!"; join ' ', sort grep !/^\.\.?$/, readdir $dh }

# Runs in a perl that may not write more than 16 KiB to any file: prints status, errno, what is left.
my $limited = <<'PERL';
    use IO::AIO;
    $SIG{XFSZ} = 'IGNORE';
    my ($src, $dst) = @ARGV;
    aio_copy $src, $dst, sub { print "$_[0] ", $!{EFBIG} ? 'EFBIG' : $! + 0, -e $dst ? ' left' : ' gone' };
    IO::AIO::flush;
PERL

each_engine {
    my ($engine) = @_;
    my $dir = fresh_dir;
    my ($src, $dst) = ("$dir/src", "$dir/dst");

    # contents
    my %content = (
        'an empty file' => '',
        'one octet'     => 'x',
        'some octets'   => join('', map chr, 0 .. 255),
        'odd size'      => 'odd' x 100_001,
        '3 megabytes'   => 'm' x 3_000_000,
    );
    for my $name (sort keys %content) {
        write_file $src, $content{$name};
        unlink $dst;
        succeeds { aio_copy $src, $dst, $_[0] } "copy of $name";
        ok(read_file($dst) eq $content{$name}, 'has its contents');
        ok(read_file($src) eq $content{$name}, 'the source too, still');
    }
    sysopen my $fh, $src, O_WRONLY | O_TRUNC or die "$src: $!";
    sysseek $fh, 5_000_000, SEEK_SET;
    syswrite $fh, 'end';
    close $fh;
    run_req { aio_copy $src, $dst, $_[0] };
    ok(read_file($dst) eq "\0" x 5_000_000 . 'end', 'a file with a hole');

    ours {
        for my $proc (procfs ? ('/proc/self/cmdline', '/proc/self/auxv') : ()) {
            unlink $dst;
            succeeds { aio_copy $proc, $dst, $_[0] } "copy of $proc, which claims to be empty";
            is(unpack('H*', read_file($dst)), unpack('H*', read_file($proc)), 'is whole');
        }
    } 'copies nothing';

    # attributes
    my $umask = umask 077;
    write_file $src, 'data';
    chmod 0754, $src;
    utime 1_000_000_000.25, 1_111_111_111.75, $src;
    chown 12, 13, $src unless $>;
    unlink $dst;
    succeeds { aio_copy $src, $dst, $_[0] } 'copy';
    my @want = (stat $src)[2, 4, 5, 9];
    is("@{[(stat $dst)[2, 4, 5, 9]]}", "@want", 'has mode, owner and mtime of the source, whatever the umask');
    is((stat $dst)[8], 1_000_000_000, 'and atime');
    umask $umask;

    write_file $dst, 'longer than the source';
    chmod 0600, $dst;
    succeeds { aio_copy $src, $dst, $_[0] } 'copy over a file';
    is(read_file($dst), 'data', 'replaces its contents');
    is(mode_of($dst), 0754, 'and mode');

    symlink 'target', "$dir/link" or die "symlink: $!";
    succeeds { aio_copy $src, "$dir/link", $_[0] } 'copy to a symbolic link';
    is(read_file("$dir/target"), 'data', 'writes its target');
    ok(-l "$dir/link", 'and keeps the link');
    symlink 'src', "$dir/from" or die "symlink: $!";
    unlink $dst;
    succeeds { aio_copy "$dir/from", $dst, $_[0] } 'copy of a symbolic link';
    ok(-f $dst && !-l $dst, 'copies its target');

    aio_copy $src, "$dir/copy.$_" for 1 .. 20;
    IO::AIO::flush;
    is((grep read_file("$dir/copy.$_") eq 'data', 1 .. 20), 20, 'twenty at once, without callback');
    unlink map "$dir/copy.$_", 1 .. 20;
    isa_ok(aio_copy($src, $dst), 'IO::AIO::GRP', 'what copy returns');
    IO::AIO::flush;

  SKIP: {
        skip 'engine sync would wait for the other end itself', 3 if $engine eq 'sync';
        ours {
            POSIX::mkfifo("$dir/fifo", 0640) or die "mkfifo: $!";
            my $got;
            aio_copy "$dir/fifo", "$dir/slow", sub { $got = $_[0] };
            my $w;
            wait_for { sysopen $w, "$dir/fifo", O_WRONLY | O_NONBLOCK };
            wait_for { -e "$dir/slow" };
            is(mode_of("$dir/slow"), 0200, 'while it copies the mode is 0200');
            syswrite $w, 'through the FIFO';
            close $w;
            IO::AIO::flush;
            is($got, 0, 'a FIFO is copied until its end');
            is(read_file("$dir/slow"), 'through the FIFO', 'with what came');
            unlink "$dir/slow", "$dir/fifo";
        } 'copies nothing of a FIFO';
    }

    # a source that cannot be copied
    my $before = entries($dir);
    mkdir "$dir/sub" or die "mkdir: $!";
    for (
        ['ENOENT',  'of a missing file', "$dir/none"],
        ['ENOENT',  'of the empty name', ''],
        ['ENOTDIR', 'below a file',      "$src/x"],
        ['EISDIR',  'of a directory',    "$dir/sub"],
        )
    {
        my ($want, $name, $from) = @$_;
        ours {
            fails_with { aio_copy $from, "$dir/new", $_[0] } $want, "copy $name: $want";
            ok(!-e "$dir/new", 'nothing is made');
        } 'leaves a target';
        ours {
            write_file $dst, 'precious';
            fails_with { aio_copy $from, $dst, $_[0] } $want, "over a file, $name: $want";
            is(-e $dst ? read_file($dst) : 'gone', 'precious', 'the target is left alone');
        } 'truncates it';
    }

    # a target that cannot be opened
    for (
        ['EISDIR',  'to a directory',           "$dir/sub"],
        ['ENOENT',  'to a missing directory',   "$dir/none/x"],
        ['ENOENT',  'to the empty name',        ''],
        ['ENOTDIR', 'to below a file',          "$src/x"],
        )
    {
        my ($want, $name, $to) = @$_;
        fails_with { aio_copy $src, $to, $_[0] } $want, "copy $name: $want";
    }
    rmdir "$dir/sub" or fail("the directory is left alone: $!");
    is(entries($dir), $before, 'nothing came or went');
    write_file $dst, 'precious';
    chmod 0444, $dst;
    chmod 0644, $src;
    my @denied = as_nobody { my ($errno, @got) = run_req { aio_copy $src, $dst, $_[0] }; (@got, errno_name($errno)) };
    is("@denied", '-1 EACCES', 'to a file without permission: EACCES');
    is(read_file($dst), 'precious', 'which is left alone');
    chmod 0, $src;
    @denied = as_nobody { my ($errno, @got) = run_req { aio_copy $src, "$dir/x", $_[0] }; (@got, errno_name($errno)) };
    is("@denied", '-1 EACCES', 'of a file without permission: EACCES');
    chmod 0644, $src;

    # a copy that fails on the way is removed
    ours {
        return unless procfs;
        fails_with { aio_copy '/proc/self/mem', "$dir/part", $_[0] } 'EIO', 'a source that cannot be read: EIO';
        ok(!-e "$dir/part", 'the target is removed');
    } 'copies nothing and is content';
    write_file $src, 'x' x 100_000;
  SKIP: {
        local $ENV{AIOTEST_ULIMIT} = '-f 32';
        ours {
            my ($status, $out, $err) = run_perl($limited, $src, "$dir/part");
            is("$status $out$err", '0 -1 EFBIG gone', 'a target that cannot hold it: EFBIG, and it is removed');
            write_file "$dir/part", 'was here';
            ($status, $out, $err) = run_perl($limited, $src, "$dir/part");
            is("$status $out$err", '0 -1 EFBIG gone', 'also one that existed');
        } 'gives no errno';
    }
  SKIP: {
        skip 'only root makes devices', 2 if $>;
        output_of qw(mknod), "$dir/full", qw(c 1 7); $? and skip 'no devices in this sandbox', 2;
        open my $full, '>', "$dir/full" or skip 'no devices on this file system', 2;
        ours {
            fails_with { aio_copy $src, "$dir/full", $_[0] } 'ENOSPC', 'to a full device: ENOSPC';
            ok(-c "$dir/full", 'a device is no partial file: it stays');
        } 'dies';
    }

    # an existing target of any length, a sparse one too, ends up as the source
    for my $old (0, 5, 4096, 1_000_000, -1) {
        write_file $src, join '', map chr(97 + $_ % 26), 1 .. 70_000;
        write_file "$dir/old", $old > 0 ? 'old' x ($old / 3) : '';
        if ($old < 0) { truncate "$dir/old", 3_000_000 or die "truncate: $!" }
        succeeds { aio_copy $src, "$dir/old", $_[0] } "over a target of $old octets";
        ok(read_file("$dir/old") eq read_file($src), 'it has the data and the length');
    }

    # source and target are one file
    ours {
        write_file $src, 'the only copy';
        link $src, "$dir/hard" or die "link: $!";
        symlink $src, "$dir/soft" or die "symlink: $!";
        for (['itself', $src], ['a hard link', "$dir/hard"], ['a symbolic link', "$dir/soft"], ['another name', "$dir/./src"]) {
            my ($name, $to) = @$_;
            my ($errno, $got) = run_req { aio_copy $src, $to, $_[0] };
            ok($got == -1 && $errno, "copy to $name fails") or diag("$got " . errno_name($errno));
            is(-e $src ? read_file($src) : 'gone', 'the only copy', 'and nothing is lost');
        }
    } 'loses the file';

    # cancelled before it runs
    write_file $src, 'data';
    hold;
    my $req = aio_copy $src, "$dir/never", sub { fail('called back') };
    $req->cancel;
    release;
    IO::AIO::flush;
    ok(!-e "$dir/never", 'a cancelled copy makes nothing');
};

done;
