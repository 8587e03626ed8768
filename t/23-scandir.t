use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl qw(:DEFAULT);
use POSIX ();
use IO::AIO;

# aio_scandir: directories apart from everything else.

# [directories, others], sorted, or an error's name.
sub scan {
    my ($path, $maxreq) = @_;
    my ($errno, @got) = run_req { aio_scandir $path, $maxreq, $_[0] };
    return errno_name($errno) unless @got;
    return 'results: ' . @got unless @got == 2;
    [map [sort @$_], @got];
}

each_engine {
    my $dir = fresh_dir;
    is_deeply(scan($dir, 0), [[], []], 'an empty directory');

    # one of each kind
    my @dirs = ('sub', 'with space', '.hidden', 'dir.d', "new\nline", "\xe9", 'd' x 255);
    my @files = ('file', '.dotfile', 'noext', '-', '0', "\xff", ' ');
    mkdir "$dir/$_" or die "mkdir: $!" for @dirs;
    write_file("$dir/$_") for @files;
    write_file("$dir/sub/inner");
    symlink 'sub',  "$dir/link to dir"  or die "symlink: $!";
    symlink 'file', "$dir/link to file" or die "symlink: $!";
    symlink 'none', "$dir/broken link"  or die "symlink: $!";
    POSIX::mkfifo("$dir/fifo", 0600) or die "mkfifo: $!";
    my @others = (@files, 'link to dir', 'link to file', 'broken link', 'fifo');
    my $want = [[sort @dirs], [sort @others]];
    is_deeply(scan($dir, 0), $want, 'directories and others');
    for my $maxreq (1, 2, 1000, -1) {
        is_deeply(scan($dir, $maxreq), $want, "with maxreq $maxreq");
    }
    is_deeply(scan("$dir/", 0), $want, 'with a trailing slash');
    symlink $dir, tmpdir . "/link.$_[0]" or die "symlink: $!";
    is_deeply(scan(tmpdir . "/link.$_[0]", 0), $want, 'by a symbolic link');
    is_deeply(scan("$dir/sub", 0), [[], ['inner']], 'only a file');
    chdir $dir or die "$dir: $!";
    is_deeply(scan('.', 0), $want, 'by "."');
    chdir '/';

    my $dirs_only = fresh_dir;
    mkdir "$dirs_only/$_" for 1 .. 50;
    is_deeply(scan($dirs_only, 0), [[sort 1 .. 50], []], 'only directories');
    my $many = fresh_dir;
    mkdir "$many/d$_" for 1 .. 100;
    sysopen my $fh, "$many/f$_", O_CREAT | O_WRONLY for 1 .. 1000;
    is_deeply(scan($many, 4), [[sort map "d$_", 1 .. 100], [sort map "f$_", 1 .. 1000]], 'many of both');
    SKIP: {
        my ($dev) = grep -d && -r _, '/proc/self/task', '/proc/self';
        skip 'no /proc', 1 unless $dev;
        is_deeply(scan($dev, 0)->[0], [sort grep !/^\.\.?$/ && -d "$dev/$_" && !-l "$dev/$_", @{ [read_names($dev)] }],
            "$dev, of another file system");
    }

    my ($errno, @got) = run_req { aio_scandir $dir, 0, $_[0] };
    push @{ $got[0] }, 'more';
    $_ .= '!' for @{ $got[1] };
    is($got[0][-1], 'more', 'the lists are the caller\'s own');

    my @count;
    aio_scandir $many, 0, sub { push @count, @{ $_[0] } + @{ $_[1] } } for 1 .. 10;
    IO::AIO::flush;
    is("@count", join(' ', (1100) x 10), 'ten at once');
    aio_scandir $dir, 0;
    IO::AIO::flush;
    pass('without callback');

    # failures: no arguments
    for (
        ['ENOENT',  'a missing directory', "$dir/none"],
        ['ENOENT',  'the empty name',      ''],
        ['ENOENT',  'a broken link',       "$dir/broken link"],
        ['ENOTDIR', 'a file',              "$dir/file"],
        ['ENOTDIR', 'below a file',        "$dir/file/x"],
        )
    {
        my ($error, $name, $path) = @$_;
        is(scan($path, 0), $error, "$name: $error");
    }
    my $private = fresh_dir;
    write_file "$private/file";
    chmod 0, $private;
    is(as_nobody { scan($private, 0) }, 'EACCES', 'a directory without permission: EACCES');
    chmod 0755, $private;

    # a group
    hold;
    my $req = aio_scandir $dir, 0, sub { fail('called back') };
    isa_ok($req, 'IO::AIO::GRP', 'what it returns');
    $req->cancel;
    release;
    IO::AIO::flush;
    pass('cancelled before it ran');

    my $seen;
    my $group = aio_group sub { $seen .= ' group' };
    add $group aio_scandir $dir, 0, sub { $seen = 'scan' };
    IO::AIO::flush;
    is($seen, 'scan group', 'as a member of a group');
};

sub read_names { my ($dir) = @_; opendir my $dh, $dir or return; readdir $dh }

done;
