use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use POSIX ();
use IO::AIO;

# aio_rmtree: what it removes, what it must not touch, and its status where something is in the way.

sub make_tree {
    my ($dir, $width, $depth) = @_;
    mkdir $dir or die "$dir: $!";
    write_file("$dir/file $_") for 1 .. $width;
    return unless $depth;
    make_tree("$dir/dir $_", $width, $depth - 1) for 1 .. $width;
}

each_engine {
    my ($engine) = @_;
    my $dir  = fresh_dir;
    my $tree = "$dir/tree";

    mkdir $tree or die "mkdir: $!";
    succeeds { aio_rmtree $tree, $_[0] } 'an empty directory';
    ok(!-e $tree, 'is gone');

    make_tree($tree, 4, 3);
    succeeds { aio_rmtree $tree, $_[0] } 'a tree';
    ok(!-e $tree, 'is gone');

    make_tree($tree, 1, 1);
    succeeds { aio_rmtree "$tree/", $_[0] } 'with a trailing slash';
    ok(!-e $tree, 'it is gone');

    mkdir $tree;
    write_file("$tree/$_") for 1 .. (thinned ? 300 : 1000);
    succeeds { aio_rmtree $tree, $_[0] } 'many files';
    ok(!-e $tree, 'are gone');

    my $deep = $tree;
    for (1 .. 200) { mkdir $deep or die "mkdir: $!"; $deep .= '/d' }
    succeeds { aio_rmtree $tree, $_[0] } 'two hundred levels';
    ok(!-e $tree, 'are gone');

    # entries of all kinds
    my $outside = "$dir/outside";
    mkdir $outside or die "mkdir: $!";
    write_file "$outside/precious", 'data';
    mkdir $tree;
    write_file("$tree/$_") for '.hidden', "new\nline", "\xe9\xff", 'x' x 255, '-rf', ' ';
    mkdir "$tree/$_" for '.dir', 'read only';
    write_file "$tree/.dir/file";
    symlink $outside, "$tree/link to dir" or die "symlink: $!";
    symlink "$outside/precious", "$tree/link to file" or die "symlink: $!";
    symlink 'none', "$tree/broken" or die "symlink: $!";
    link "$outside/precious", "$tree/hard link" or die "link: $!";
    POSIX::mkfifo("$tree/fifo", 0600) or die "mkfifo: $!";
    chmod 0400, "$tree/.hidden";
    succeeds { aio_rmtree $tree, $_[0] } 'entries of all kinds';
    ok(!-e $tree, 'are gone');
    is(read_file("$outside/precious"), 'data', 'what links pointed to is not');

    # other forms
    make_tree($tree, 2, 1);
    aio_rmtree $tree;
    IO::AIO::flush;
    ok(!-e $tree, 'without callback');
    make_tree("$dir/t$_", 2, 2) for 1 .. 5;
    my @status;
    aio_rmtree "$dir/t$_", sub { push @status, @_ } for 1 .. 5;
    IO::AIO::flush;
    is("@status", '0 0 0 0 0', 'five at once');
    is((grep -e "$dir/t$_", 1 .. 5), 0, 'are gone');
    make_tree($tree, 2, 1);
    chdir $dir or die "$dir: $!";
    succeeds { aio_rmtree 'tree', $_[0] } 'a relative name';
    chdir '/';

    # what is no tree is left alone
    my $file = write_file "$dir/file", 'data';
    symlink 'outside', "$dir/link" or die "symlink: $!";
    symlink 'none', "$dir/broken" or die "symlink: $!";
    for (
        ['ENOTDIR', 'a file',                       $file],
        ['ENOTDIR', 'a symbolic link to a directory', "$dir/link"],
        ['ENOTDIR', 'a broken link',                "$dir/broken"],
        ['ENOENT',  'a missing directory',          "$dir/none"],
        ['ENOENT',  'the empty name',               ''],
        ['ENOENT',  'undef',                        undef],
        ['ENOTDIR', 'below a file',                 "$file/x"],
        )
    {
        my ($want, $name, $path) = @$_;
        ours {
            fails_with { aio_rmtree $path, $_[0] } $want, "$name: $want";
        } 'follows the link';
    }
    is(read_file($file), 'data', 'the file is still there');
    ours { is(read_file("$outside/precious"), 'data', 'and what the link pointed to') } 'follows the link';

    # what is in the way: the rest goes, the status is that of the last rmdir
    chmod 0777, $dir;
    my $private = "$dir/private";
    my @result = as_nobody {
        make_tree($private, 2, 1);
        mkdir "$private/unreadable" or die "mkdir: $!";
        write_file "$private/unreadable/file";
        chmod 0, "$private/unreadable";
        mkdir "$private/unwritable" or die "mkdir: $!";
        write_file "$private/unwritable/file";
        chmod 0555, "$private/unwritable";
        my ($errno, @got) = run_req { aio_rmtree $private, $_[0] };
        opendir my $dh, $private or die "$private: $!";
        ("@got", errno_name($errno), sort grep !/^\.\.?$/, readdir $dh);
    };
    is_deeply(\@result, [-1, 'ENOTEMPTY', 'unreadable', 'unwritable'], 'subdirectories without permission stay: ENOTEMPTY');
    @result = as_nobody {
        my ($errno, @got) = run_req { aio_rmtree "$private/unreadable", $_[0] };
        (@got, errno_name($errno));
    };
    is("@result", '-1 ENOTEMPTY', 'an unreadable directory: ENOTEMPTY');
    @result = as_nobody {
        mkdir "$dir/sealed" or die "mkdir: $!";
        chmod 0, "$dir/sealed";
        my ($errno, @got) = run_req { aio_rmtree "$dir/sealed", $_[0] };
        (@got, -e "$dir/sealed" ? 'there' : 'gone');
    };
    is("@result", '0 gone', 'an unreadable one that is empty is removed');
    chmod 0755, $dir;
    my $sealed = "$dir/read only";
    make_tree($sealed, 1, 1);
    chmod 0555, $sealed, "$sealed/dir 1";
    @result = as_nobody {
        my ($errno, @got) = run_req { aio_rmtree $sealed, $_[0] };
        (@got, errno_name($errno));
    };
    like("@result", qr/^-1 (?:EACCES|ENOTEMPTY)$/, 'a tree without permission stays');
    ok(-e "$sealed/dir 1/file 1", 'all of it');
    chmod 0755, $sealed, "$sealed/dir 1";
    chmod 0755, "$private/unreadable", "$private/unwritable";
    succeeds { aio_rmtree $private, $_[0] } 'with permission all goes';

    # cancel
    make_tree($tree, 2, 1);
    hold;
    my $req = aio_rmtree $tree, sub { fail('called back') };
    isa_ok($req, 'IO::AIO::GRP', 'what it returns');
    $req->cancel;
    release;
    IO::AIO::flush;
    ok(-e "$tree/dir 1/file 1", 'cancelled before it ran it removes nothing');
};

done;
