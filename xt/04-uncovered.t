#!/usr/bin/perl
# inc/uncovered.txt names what no test reaches of the C code (see `make -f dev.mk cover`):
# those lines are there, below a reason.

use strict;
use warnings;
use Test::More;

open my $list, '<', 'inc/uncovered.txt' or die "inc/uncovered.txt: $!";
my (%lines, $reason);
while (<$list>) {
    next if /^#/;
    if (/^\s+(\S+): (.*\S) >> (.*\S)/) {
        my ($file, @code) = ($1, $2, $3);
        $lines{$file} ||= do { open my $source, '<', $file or die "$file: $!"; join "\n", map /(\S.*?)\s*$/, <$source> };
        like("\n$lines{$file}\n", qr/\n\Q$code[0]\E\n\Q$code[1]\E\n/, "$file: $code[1]");
        ok($reason, 'has a reason');
    }
    elsif (/^\S/) { $reason = $_ }
    elsif (/^$/) { undef $reason }
    else { fail("line $.: what is that?") }
}
done_testing;
