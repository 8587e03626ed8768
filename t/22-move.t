use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use File::Temp ();
use POSIX ();
use IO::AIO;

# aio_move: a rename, or a copy where that cannot be.

# A directory on another file system, if there is one.
my $other = do {
    my $shm = '/dev/shm';
    -d $shm && -w _ && (stat _)[0] != (stat tmpdir)[0] && File::Temp::tempdir('aiotest-XXXXXX', DIR => $shm, CLEANUP => 1);
};
chmod 0777, $other if $other;

each_engine {
    my $dir = fresh_dir;
    my ($src, $dst) = ("$dir/src", "$dir/dst");

    # on one file system
    write_file $src, 'data';
    my $inode = (stat $src)[1];
    succeeds { aio_move $src, $dst, $_[0] } 'move of a file';
    is((stat $dst)[1], $inode, 'is a rename');
    ok(!-e $src, 'the source is gone');
    write_file $src, 'new data';
    succeeds { aio_move $src, $dst, $_[0] } 'move over a file';
    is(read_file($dst), 'new data', 'replaces it');
    mkdir "$dir/sub" or die "mkdir: $!";
    write_file "$dir/sub/file";
    succeeds { aio_move "$dir/sub", "$dir/sub2", $_[0] } 'move of a directory';
    ok(-e "$dir/sub2/file", 'with what is in it');
    succeeds { aio_move $dst, $dst, $_[0] } 'move to itself';
    is(read_file($dst), 'new data', 'does nothing');
    symlink 'none', "$dir/link" or die "symlink: $!";
    succeeds { aio_move "$dir/link", "$dir/link2", $_[0] } 'move of a symbolic link';
    is(readlink "$dir/link2", 'none', 'moves the link');
    write_file $src;
    aio_move $src, $dst;
    IO::AIO::flush;
    ok(!-e $src, 'move without callback');
    isa_ok(aio_move("$dir/none", $dst), 'IO::AIO::GRP', 'what move returns');
    IO::AIO::flush;

    write_file $src, 'data';
    for (
        ['ENOENT',    'a missing file',           "$dir/none", "$dir/x"],
        ['ENOENT',    'to a missing directory',   $src,        "$dir/none/x"],
        ['EISDIR',    'a file over a directory',  $src,        "$dir/sub2"],
        ['ENOTDIR',   'a directory over a file',  "$dir/sub2", $src],
        ['EINVAL',    'a directory into itself',  "$dir/sub2", "$dir/sub2/x"],
        )
    {
        my ($want, $name, $from, $to) = @$_;
        fails_with { aio_move $from, $to, $_[0] } $want, "move $name: $want";
    }
    is(read_file($src), 'data', 'the source stays after a failure');
    chmod 0555, $dir;
    my @denied = as_nobody { my ($errno, @got) = run_req { aio_move $src, "$dir/x", $_[0] }; (@got, errno_name($errno)) };
    is("@denied", '-1 EACCES', 'in a directory without permission: EACCES');
    chmod 0755, $dir;

    # to another file system
  SKIP: {
        skip 'no second file system', 31 unless $other;
        my $far = "$other/dst";
        my $content = join '', map chr, 0 .. 255;
        write_file $src, $content x 1000;
        chmod 0640, $src;
        utime 1_000_000_000, 1_111_111_111, $src;
        chown 12, 13, $src unless $>;
        my @want = (stat $src)[2, 4, 5, 7, 8, 9];
        succeeds { aio_move $src, $far, $_[0] } 'to another file system';
        ok(read_file($far) eq $content x 1000, 'the contents are there');
        is("@{[(stat $far)[2, 4, 5, 7]]}", "@want[0 .. 3]", 'mode, owner and size too');
        is((stat $far)[9], $want[5], 'and the time');
        ok(!-e $src, 'the source is gone');
        succeeds { aio_move $far, $src, $_[0] } 'and back';
        ok(!-e $far, 'the source is gone');
        ok(read_file($src) eq $content x 1000, 'the contents are back');

        write_file $far, 'in the way';
        succeeds { aio_move $src, $far, $_[0] } 'over a file there';
        ok(read_file($far) eq $content x 1000, 'replaces it');

        ours {
            fails_with { aio_move "$dir/sub2", "$other/sub", $_[0] } 'EISDIR', 'a directory cannot: EISDIR';
            ok(-e "$dir/sub2/file", 'it stays');
            ok(!-e "$other/sub", 'nothing is made');
        } 'leaves a file';
        # a name is replaced, and what it led to is left alone
        ours {
            write_file $src, 'new';
            write_file $far, 'old';
            link $far, "$other/too" or die "link: $!";
            succeeds { aio_move $src, $far, $_[0] } 'over a file with two names';
            is(read_file($far) . read_file("$other/too"), 'newold', 'replaces the one');
            write_file $src, 'newer';
            symlink 'too', "$other/link" or die "symlink: $!";
            succeeds { aio_move $src, "$other/link", $_[0] } 'over a link';
            ok(!-l "$other/link", 'replaces it');
            is(read_file("$other/link") . read_file("$other/too"), 'newerold', 'and not what it led to');
            symlink 'nowhere', "$dir/ln" or die "symlink: $!";
            succeeds { aio_move "$dir/ln", "$other/link", $_[0] } 'a link';
            is(readlink "$other/link", 'nowhere', 'is moved');
            ok(!-l "$dir/ln", 'from where it was');
            POSIX::mkfifo("$dir/fifo", 0600) or die "mkfifo: $!";
            fails_with { aio_move "$dir/fifo", "$other/x", $_[0] } 'EXDEV', 'a FIFO: EXDEV';
            unlink $src, "$dir/fifo", "$other/too", "$other/link";
            opendir my $dh, $other or die "$other: $!";
            is(join(' ', grep !/^\.\.?$/, readdir $dh), 'dst', 'no other name is left');
        } 'writes through';

        write_file $src, 'data';
        fails_with { aio_move $src, "$other/none/x", $_[0] } 'ENOENT', 'to a missing directory there: ENOENT';
        is(read_file($src), 'data', 'the source stays');
        mkdir "$other/dir";
        fails_with { aio_move $src, "$other/dir", $_[0] } 'EISDIR EXDEV', 'over a directory there: EISDIR';
        ok(-d "$other/dir", 'which stays');
        chmod 0, $src;
        chmod 0555, $dir;
        @denied = as_nobody { my ($errno, @got) = run_req { aio_move $src, "$other/x", $_[0] }; (@got, errno_name($errno)) };
        is("@denied", '-1 EACCES', 'a source without permission: EACCES');
        ok(!-e "$other/x", 'nothing is made');
        chmod 0644, $src;
        as_nobody { run_req { aio_move $src, "$other/y", $_[0] } };
        is(read_file("$other/y"), 'data', 'a source that cannot be removed is copied');
        is(read_file($src), 'data', 'and stays');
        chmod 0755, $dir;
        unlink map "$other/$_", names_in $other;
        rmdir "$other/dir";
    }

    # cancelled before it runs
    hold;
    my $req = aio_move $src, "$dir/never", sub { fail('called back') };
    $req->cancel;
    release;
    IO::AIO::flush;
    ok(-e $src && !-e "$dir/never", 'a cancelled move does nothing');

    # what polls while it is made, as a signal handler may
    my @got;
    IO::AIO::_on_next_submit(sub { IO::AIO::flush });
    my $moved = eval { aio_move $src, "$src.moved", sub { push @got, $_[0] }; 1 };
    IO::AIO::flush;
    ok($moved, 'a move whose hook polls') or diag $@;
    is("@got", '0', '... has its result, once');
    ok(-e "$src.moved", '... and is done');
};

done;
