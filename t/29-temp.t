use strict;
use warnings;
no warnings 'uninitialized';    # undef is among the modes
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Fcntl ();
use Test::More;
use IO::AIO;

# aio_temp: a file without a name, which goes with its handle.

plan skip_all => 'the peer has none' if is_peer;
ok(!grep($_ eq 'aio_temp', @IO::AIO::EXPORT), 'exported on request only');
is(prototype 'IO::AIO::aio_temp', '$;$$', 'the arguments');

sub temp {
    my ($path, $mode) = @_;
    my ($errno, @got) = run_req { IO::AIO::aio_temp($path, $mode, $_[0]) };
    @got ? @got : errno_name($errno);
}

# FUSE by paths does not
sub stat_works_without_names {
    my $file = write_file fresh_dir . '/removed';
    open my $fh, '<', $file or die "$file: $!";
    unlink $file;
    return defined((stat $fh)[0]);
}

each_engine {
    my $dir = fresh_dir;
    umask 022;
    my ($fh, $name) = temp($dir);
    is_deeply([names_in $dir], [], 'it has no name');
    my $known = stat_works_without_names();
  SKIP: {
        skip 'the file system knows nothing of what has no name', 2 unless $known;
        is((stat $fh)[0], (stat write_file(fresh_dir . '/other'))[0], 'but is there');    # overlayfs: directories are elsewhere
        is((stat $fh)[2] & 07777, 0600, 'its mode');
    }
    is(syswrite($fh, 'data'), 4, 'can be written');
    sysseek $fh, 0, 0;
    sysread $fh, my $data, 10;
    is($data, 'data', 'and read');
    is(fcntl($fh, Fcntl::F_GETFD(), 0) & Fcntl::FD_CLOEXEC(), Fcntl::FD_CLOEXEC(), 'programs do not inherit it');
    SKIP: {
        skip 'no /proc here', 1 unless $known && -e '/proc/self/fd';
        is(read_file($name), 'data', 'the name leads there');
    }
    my ($errno, $linked) = run_req { IO::AIO::aio_linkat($fh, "$dir/named", 0, $_[0]) };
    if ($linked == 0) {
        undef $fh;
        is(read_file("$dir/named"), 'data', 'a name makes it stay');
        unlink "$dir/named";
    } else {
        is(errno_name($errno), 'ENOENT', 'no name here');
    }
    undef $fh;
    ($fh) = temp($dir, 0666);
    is((stat $fh)[2] & 07777, 0644, 'with a mode, and the umask') if $known;
    my (undef, $wd) = run_req { aio_wd $dir, $_[0] };
    ok(defined fileno((temp($wd))[0]), 'in a working directory');
    write_file "$dir/file", 'x';
    is_deeply([temp("$dir/$_->[0]")], [$_->[1]], "in $_->[0]: $_->[1]") for ['none', 'ENOENT'], ['file', 'ENOTDIR'];
    is_deeply([temp('')], ['ENOENT'], 'in nothing');
    is_deeply([temp($dir, 2**40)], ['EINVAL'], 'a mode that is none');

    # neither O_TMPFILE nor other files
    is((temp('/proc'))[0], -w '/proc' ? 'ENOENT' : 'EACCES', 'where nothing can be made') if -d '/proc/self';
    my @handles;
    IO::AIO::aio_temp($dir, undef, sub { push @handles, $_[0] }) for 1 .. 20;
    IO::AIO::flush;
    is(scalar(grep defined fileno $_, @handles), 20, 'many at a time');
    is_deeply([names_in $dir], ['file'], 'nothing is left');
    SKIP: {
        saturate or skip 'nothing waits on this engine', 1;
        IO::AIO::aio_temp($dir, undef, sub { fail 'called' })->cancel;
        release;
        IO::AIO::flush;
        pass('cancelled');
    }
    croaks { IO::AIO::aio_temp([]) } 'aio_temp', 'no path';
    croaks { IO::AIO::aio_temp($dir, sub { }) } 'aio_temp', 'no mode';
};

done;
