#!/usr/bin/perl
# Copies and moves on file systems that share blocks, have ACLs or not, or lie over others: libeio's tests of
# them there, and what only an overlay can do.

use strict;
use warnings;
use File::Spec;
use File::Temp 'tempdir';
use Test::More;

my @programs = map "libeio/build/test/$_", qw(ops_copy ops_whole ops_rw);
plan skip_all => 'no programs: make -C libeio tests' if grep !-x, @programs;
$ENV{TAP_SECONDS} ||= 280;

for my $fs (qw(ext4 xfs btrfs tmpfs overlayfs)) {
    for my $program (@programs) {
      SKIP: {
            my @lines = `script/within $fs $program 2>&1`;
            my $status = $?;
            skip "$fs: $1", 1 if $status >> 8 == 77 && "@lines" =~ /^SKIP: (.*)/m;
            ok($status == 0, "$program on $fs") or diag grep !/^ok/, @lines;
        }
    }
}

# A file with several names in the lower layer gets another inode when it is opened for writing.
SKIP: {
    skip 'not root', 6 if $>;
    my $dir = tempdir('aiotest-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    $ENV{PROGRAM} = <<'PERL';
        use IO::AIO;
        my ($file, $cancel) = @ARGV;
        for my $to ($file, "$file.too", "link") {
            my $req = aio_copy $file, $to, sub { print $_[0], $!{EINVAL} ? " EINVAL " : " $! " };
            $req->cancel if $cancel;
            IO::AIO::flush;
            print -s $file == 5_000_000 ? "whole\n" : "lost\n";
        }
PERL
    $ENV{PERL} = join ' ', map "'$_'", $^X, map "-I" . File::Spec->rel2abs($_), grep !ref, @INC;
    for my $cancel ('', 1) {
        my @lines = `unshare --mount sh -e 2>&1 -c '
            cd $dir; mkdir -p lo up ov
            mount -t tmpfs none lo; mount -t tmpfs none up; mkdir up/u up/w
            head -c 5000000 /dev/zero >lo/f; ln lo/f lo/f.too; ln -s f lo/link
            mount -t overlay -o lowerdir=lo,upperdir=up/u,workdir=up/w none ov || { echo none; exit; }
            cd ov; eval "\$PERL -e \\"\\\$PROGRAM\\" f $cancel"'`;
        skip 'no overlay', 3 if grep /^none|unshare:/, @lines;
        my @want = map +($cancel ? '' : '-1 EINVAL ') . "whole\n", 1 .. 3;
        is($lines[$_], $want[$_], "a copy of a lower file onto itself, by name $_" . ($cancel ? ', cancelled' : '')) for 0 .. 2;
    }
}

done_testing;
