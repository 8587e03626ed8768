use strict;
use warnings;
no warnings 'uninitialized';    # undef is among the names
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use POSIX ();
use IO::AIO;

# aio_readdir: names of all kinds, and failures.

sub read_dir {
    my ($path) = @_;
    my ($errno, @got) = run_req { aio_readdir $path, $_[0] };
    return 'results: ' . @got unless @got == 1;
    $got[0] ? [sort @{ $got[0] }] : errno_name($errno);
}

each_engine {
    my $dir = fresh_dir;
    is_deeply(read_dir($dir), [], 'an empty directory');

    # everything is a name, only "." and ".." are none
    my @names = (qw(file .hidden ..x ... sub fifo link broken -), ' ', "new\nline", "\xe9\xff\x80", "\xc3\xa9", 'n' x 255, '0');
    write_file("$dir/$_") for grep !/^(?:sub|fifo|link|broken)$/, @names;
    mkdir "$dir/sub" or die "mkdir: $!";
    POSIX::mkfifo("$dir/fifo", 0600) or die "mkfifo: $!";
    symlink '.',    "$dir/link"   or die "symlink: $!";
    symlink 'none', "$dir/broken" or die "symlink: $!";
    is_deeply(read_dir($dir), [sort @names], 'names of all kinds');
    is_deeply(read_dir("$dir/"), [sort @names], 'with a trailing slash');
    is_deeply(read_dir("$dir/link"), [sort @names], 'by a symbolic link');
    is_deeply(read_dir("$dir/sub/.."), [sort @names], 'by ".."');
    is_deeply(read_dir("$dir/sub"), [], 'a subdirectory');
    chdir $dir or die "$dir: $!";
    is_deeply(read_dir('.'), [sort @names], 'by "."');
    chdir '/';

    my ($errno, $list) = run_req { aio_readdir $dir, $_[0] };
    ok(!(grep utf8::is_utf8($_), @$list), 'names are octets');
    push @$list, 'more';
    $_ .= '!' for @$list;
    is($list->[-1], 'more!', 'the list is the caller\'s own');

    # sizes around what one system call returns
    for my $count (1, 2, 127, thinned ? () : 1000) {
        my $sub = fresh_dir;
        write_file(sprintf '%s/%064d', $sub, $_) for 1 .. $count;
        my $got = read_dir($sub);
        is(@$got, $count, "$count entries");
        is($got->[-1], sprintf('%064d', $count), 'the last of them');
    }

    # several of one directory at once
    my @got;
    aio_readdir $dir, sub { push @got, scalar @{ $_[0] } } for 1 .. 20;
    IO::AIO::flush;
    is("@got", join(' ', (scalar @names) x 20), 'twenty at once');

    # failures
    for (
        ['ENOENT',  'a missing directory', "$dir/none"],
        ['ENOENT',  'the empty name',      ''],
        ['ENOENT',  'undef',               undef],
        ['ENOENT',  'a broken link',       "$dir/broken"],
        ['ENOTDIR', 'a file',              "$dir/file"],
        ['ENOTDIR', 'below a file',        "$dir/file/x"],
        ['ENOTDIR', 'a FIFO',              "$dir/fifo"],
        )
    {
        my ($want, $name, $path) = @$_;
        is(read_dir($path), $want, "$name: $want");
    }
    my $private = "$dir/private";
    mkdir $private, 0 or die "mkdir: $!";
    my @denied = as_nobody { my ($errno, @got) = run_req { aio_readdir $private, $_[0] }; (@got, errno_name($errno)) };
    is_deeply(\@denied, [undef, 'EACCES'], 'a directory without permission: EACCES');
    chmod 0700, $private;

    # cancelled or not called back, its names go nowhere
    aio_readdir $dir;
    my $called;
    my $req = aio_readdir $dir, sub { $called++ };
    wait_for { IO::AIO::npending == 2 };
    $req->cancel;
    IO::AIO::flush;
    ok(!$called, 'cancelled after it ran it is not called back');
};

done;
