use strict;
use warnings;
no warnings 'uninitialized';    # undef is among the numbers
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use IO::AIO;

# aio_syncfs and aio_sync_file_range.

each_engine {
    my $path = write_file fresh_dir . '/file', 'x' x 100_000;
    open my $fh, '+<', $path or die "$path: $!";
    open my $ro, '<',  $path or die "$path: $!";
    open my $dir, '<', tmpdir or die "directory: $!";
    open my $null, '>', '/dev/null' or die "/dev/null: $!";
    pipe my $r, my $w or die "pipe: $!";
    open my $closed, '<', $path or die "$path: $!";
    close $closed;

    # without the call everything is synced, and the failure tells so
    my $without = without 'SYNCFS';
    for (
        ['a file' => $fh], ['a handle for reading' => $ro], ['a directory' => $dir], ['a glob' => *$fh], ['a number' => fileno $fh], ['a pipe' => $r],
    ) {
        my ($name, $what) = @$_;
        if ($without) { fails_with { aio_syncfs $what, $_[0] } 'ENOSYS', "syncfs of $name: ENOSYS" }
        else          { succeeds { aio_syncfs $what, $_[0] } "syncfs of $name" }
    }
    fails_with { aio_syncfs 999, $_[0] } $without ? 'ENOSYS' : 'EBADF', 'syncfs: not open';
    croaks { aio_syncfs undef, sub { } } 'aio_syncfs', 'syncfs: undef is no handle';
    croaks { aio_syncfs $closed, sub { } } 'aio_syncfs', 'syncfs: nor is a closed one';
    aio_syncfs $fh;
    IO::AIO::flush;

    my ($before, $write, $after) =
        (IO::AIO::SYNC_FILE_RANGE_WAIT_BEFORE, IO::AIO::SYNC_FILE_RANGE_WRITE, IO::AIO::SYNC_FILE_RANGE_WAIT_AFTER);
    for my $flags (0, $write, $before | $write, $write | $after, $before | $write | $after) {
        my $was = read_file $path;
        for my $range ([0, 0], [0, 4096], [4096, 0], [10, 10], [99_999, 1], [100_000, 0], [1 << 40, 1 << 20], [undef, undef]) {
            my ($offset, $length) = @$range;
            my $name = join ', ', map { defined $_ ? $_ : 'undef' } $offset, $length, $flags;
            succeeds { aio_sync_file_range $fh, $offset, $length, $flags, $_[0] } "range $name";
        }
        ok(read_file($path) eq $was, 'changes nothing');
    }
    succeeds { aio_sync_file_range $ro, 0, 0, $write, $_[0] } 'a handle for reading';

  SKIP: {
        skip 'flags mean nothing here', 1 unless $write;
        needs(5, 'SYNC_FILE_RANGE');    # it is fdatasync without
        fails_with { aio_sync_file_range $fh, 0, 0, 64, $_[0] } 'EINVAL', 'unknown flag';
        fails_with { aio_sync_file_range $fh, -1, 0, $write, $_[0] } 'EINVAL', 'negative offset';
        fails_with { aio_sync_file_range $fh, 0, -1, $write, $_[0] } 'EINVAL', 'negative length';
        fails_with { aio_sync_file_range $r,    0, 0, $write, $_[0] } 'ESPIPE', 'a pipe';
        fails_with { aio_sync_file_range $null, 0, 0, $write, $_[0] } 'ESPIPE', 'a device';
    }
    fails_with { aio_sync_file_range 999, 0, 0, $write, $_[0] } 'EBADF', 'not open';
    croaks { aio_sync_file_range undef, 0, 0, 0, sub { } } 'aio_sync_file_range', 'undef is no handle';
    croaks { aio_sync_file_range $closed, 0, 0, 0, sub { } } 'aio_sync_file_range', 'nor is a closed one';
    aio_sync_file_range $fh, 0, 0, $write;
    IO::AIO::flush;

    # the handle lives as long as the request
    hold;
    open my $gone, '+<', $path or die "$path: $!";
    my @status;
    aio_sync_file_range $gone, 0, 0, $write, sub { push @status, @_ };
    aio_syncfs $gone, sub { push @status, @_ };
    undef $gone;
    release;
    IO::AIO::flush;
    is("@status", $without ? '0 -1' : '0 0', 'a handle that goes out of scope');
};

done;
