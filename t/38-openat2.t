use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl qw(:DEFAULT FD_CLOEXEC F_GETFD);
use IO::AIO;

# aio_openat2: what stays below a directory is opened, what leads out is not, and nothing is less careful where the
# system has no such call.

BEGIN { plan skip_all => 'the peer has none of it' if is_peer }
use IO::AIO ':more';

# What is in the file that is opened, or the name of the error.
sub opened {
    my ($path, $flags, $mode, $resolve) = @_;
    my ($errno, $fh) = run_req { aio_openat2 $path, $flags, $mode, $resolve, $_[0] };
    return $fh ? join('', <$fh>) : errno_name($errno);
}

each_engine {
    my $dir = fresh_dir;
    mkdir "$dir/cage" or die "mkdir: $!";
    write_file "$dir/cage/file", 'inside';
    write_file "$dir/file", 'outside';
    symlink '../file', "$dir/cage/out" or die "symlink: $!";
    symlink 'file', "$dir/cage/in" or die "symlink: $!";
    symlink '/', "$dir/cage/top" or die "symlink: $!";
    my (undef, $wd) = run_req { aio_wd "$dir/cage", $_[0] };
    my ($beneath, $root, $plain) = (IO::AIO::RESOLVE_BENEATH, IO::AIO::RESOLVE_IN_ROOT, IO::AIO::RESOLVE_NO_SYMLINKS);

    my $first = opened([$wd, 'file'], O_RDONLY, 0, $beneath);
    if ($first eq 'ENOSYS' || without 'OPENAT2') {
        is($first, 'ENOSYS', 'the system has no such call');
        return;
    }
    is($first, 'inside', 'a file beneath');
    is(opened("$dir/cage/out", O_RDONLY, 0, 0), 'outside', 'a link that leads out');
    is(opened([$wd, 'out'], O_RDONLY, 0, $beneath), 'EXDEV', 'leads nowhere with RESOLVE_BENEATH');
    is(opened([$wd, 'in'], O_RDONLY, 0, $beneath), 'inside', 'one that does not is followed');
    is(opened([$wd, 'in'], O_RDONLY, 0, $plain), 'ELOOP', 'but not with RESOLVE_NO_SYMLINKS');
    is(opened([$wd, '../file'], O_RDONLY, 0, $beneath), 'EXDEV', 'nor does .. lead out');
    is(opened([$wd, "$dir/file"], O_RDONLY, 0, $beneath), 'EXDEV', 'nor an absolute name');
    is(opened([$wd, '/../top/file'], O_RDONLY, 0, $root), 'inside', 'RESOLVE_IN_ROOT');
    is(opened([$wd, 'file'], O_RDONLY, 0600, 0), 'EINVAL', 'a mode where nothing is created');
    is(opened([$wd, 'file'], O_RDONLY, 0, 2**40), 'EINVAL', 'an unknown flag');
    is(opened([$wd, 'file'], O_RDONLY, 0, -1), 'EINVAL', 'all of them');
    is(opened([$wd, 'none'], O_RDONLY, 0, 0), 'ENOENT', 'nothing');
    is(opened('', O_RDONLY, 0, 0), 'ENOENT', 'the empty name');
    is(opened([IO::AIO::INVALID_WD, 'file'], O_RDONLY, 0, 0), 'ENOENT', 'an invalid directory');
    my (undef, $new) = run_req { aio_openat2 [$wd, 'new'], O_RDWR | O_CREAT | O_EXCL, 0640, $beneath, $_[0] };
    ok($new && fcntl($new, F_GETFD, 0) & FD_CLOEXEC, 'a new file, close-on-exec');
    is(mode_of("$dir/cage/new"), 0640 & ~umask, 'has the mode');

    # somebody exchanges the file for a link that leads out, and back, all the time
    my $swaps = fork // die "fork: $!";
    if (!$swaps) {
        symlink '../file', "$dir/cage/evil";
        write_file "$dir/cage/good", 'inside';
        while (getppid != 1) {
            rename "$dir/cage/good", "$dir/cage/target";
            rename "$dir/cage/target", "$dir/cage/good";
            rename "$dir/cage/evil", "$dir/cage/target";
            rename "$dir/cage/target", "$dir/cage/evil";
        }
        POSIX::_exit(0);
    }
    my %seen;
    $seen{ opened([$wd, 'target'], O_RDONLY, 0, $beneath) }++ for 1 .. 1000;
    kill KILL => $swaps;
    waitpid $swaps, 0;
    is(join(' ', grep !/^(?:inside|EXDEV|ENOENT)$/, sort keys %seen), '', 'never leads out');
};

done;
