#!/usr/bin/perl
# The tests that depend on where they run, in each of the surroundings that script/within has: they say what the module
# promises, not what the file system of the developer does. `script/portability DIRECTORY on-xfs` runs all of them.

use strict;
use warnings;
use FindBin;
use Test::More;

chdir "$FindBin::Bin/.." or die "chdir: $!";

my @files = map glob("t/$_-*.t"), qw(00 10 13 14 15 19 21 22 24 25 26 27 28 29 52 97);
local @ENV{qw(EXTENDED_TESTING AIOTEST_ENGINE)} = (0, 'pool');

for my $where (qw(ext4 ext2 xfs xfs-plain btrfs btrfs-plain tmpfs overlayfs fuse odd user cpu sandbox few no-proc)) {
  SKIP: {
        my $output = `script/within $where $^X script/run-tests --jobs 1 @files 2>&1`;
        skip "$where: $1", 1 if $? >> 8 == 77 && $output =~ /^SKIP: (.*)/m;
        is($?, 0, $where) or diag($output);
    }
}
done_testing;
