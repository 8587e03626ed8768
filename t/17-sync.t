use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use IO::AIO;

# aio_sync, aio_fsync, aio_fdatasync, aio_pathsync. That data is on the disk cannot be seen from here; that the
# right thing was asked for can, by what is refused.

each_engine {
    my $dir  = fresh_dir;
    my $file = write_file "$dir/file", 'data';
    open my $fh, '+<', $file or die "$file: $!";
    open my $read_only, '<', $file or die "$file: $!";
    open my $dirfh, '<', $dir or die "$dir: $!";
    open my $null, '<', '/dev/null' or die "/dev/null: $!";
    pipe my $r, my $w or die "pipe: $!";

    succeeds { aio_sync $_[0] } 'sync';
    aio_sync;
    IO::AIO::flush;
    pass('sync without callback');

    my %sync = (
        fsync     => sub { aio_fsync $_[0], $_[1] },
        fdatasync => sub { aio_fdatasync $_[0], $_[1] },
    );
    for my $name (sort keys %sync) {
        my $sync = $sync{$name};
        succeeds { $sync->($fh, $_[0]) } "$name of a file";
        succeeds { $sync->($read_only, $_[0]) } "$name by a read-only handle";
        succeeds { $sync->($dirfh, $_[0]) } "$name of a directory";
        succeeds { $sync->(fileno $fh, $_[0]) } "$name of a descriptor number";
        fails_with { $sync->($w, $_[0]) } 'EINVAL EROFS', "$name of a pipe: EINVAL";
        fails_with { $sync->(9999, $_[0]) } 'EBADF', "$name of a number that is not open: EBADF";
        syswrite $fh, 'more';
        my @status;
        $sync->($fh, sub { push @status, @_ }) for 1 .. 10;
        IO::AIO::flush;
        is("@status", join(' ', (0) x 10), "ten of $name at once");
    }
    print $fh 'buffered';
    run_req { aio_fsync $fh, $_[0] };
    is(read_file($file), 'moremore', 'what PerlIO has buffered is not written');
    close $fh;

    # pathsync
    succeeds { aio_pathsync $file, $_[0] } 'pathsync of a file';
    succeeds { aio_pathsync $dir,  $_[0] } 'pathsync of a directory';
    symlink 'file', "$dir/link" or die "symlink: $!";
    succeeds { aio_pathsync "$dir/link", $_[0] } 'pathsync by a symbolic link';
    chmod 0400, $file;
    succeeds { aio_pathsync $file, $_[0] } 'pathsync needs no write permission';
    for (
        ['ENOENT',       'a missing file',    "$dir/none"],
        ['ENOENT',       'the empty name',    ''],
        ['ENOTDIR',      'below a file',      "$file/x"],
        ['EINVAL EROFS', 'a device',          '/dev/null'],
        )
    {
        my ($want, $name, $path) = @$_;
        fails_with { aio_pathsync $path, $_[0] } $want, "pathsync: $name: $want";
    }
    chmod 0, $file;
    my @denied = as_nobody { my ($errno, @got) = run_req { aio_pathsync $file, $_[0] }; (@got, errno_name($errno)) };
    is("@denied", '-1 EACCES', 'pathsync: a file without permission: EACCES');
    my $req = aio_pathsync $file;
    isa_ok($req, 'IO::AIO::GRP', 'pathsync gives a group, which');
    IO::AIO::flush;
};

done;
