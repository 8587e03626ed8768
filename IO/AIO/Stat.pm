package IO::AIO::Stat;

# What aio_statx finds, and Future::AIO's aio_stat and aio_lstat: an array as File::stat has it, with more behind it, which
# stat_object() of xs/result.c makes. IO::AIO loads this for the first of them.

use 5.016;
use strict;
use warnings;

use File::stat ();

our @ISA     = 'File::stat';
our $VERSION = '5.0';

{
    my $n = 13;
    for my $name (
        qw(
        atimensec mtimensec ctimensec btime btimensec mask attributes attributes_mask mnt_id dio_mem_align dio_offset_align
        dio_read_offset_align subvol atomic_write_unit_min atomic_write_unit_max atomic_write_segments_max
        )
        )
    {
        my $i = $n++;
        no strict 'refs';
        *$name = sub { $_[0][$i] };
    }
}

1;
