#!/usr/bin/perl
# Prints the line coverage of the C code after a run with COVERAGE=1, a line a
# file, and writes FILE.gcov beside each object, where ##### marks what no test
# reached. See `make cover`.

use strict;
use warnings;

my %file;
for my $object (map { glob } 'libeio/build/*.gcno', 'xs/*.gcno', '*.gcno') {
    my ($dir) = $object =~ m{(.*)/};
    $dir //= '.';
    # libeio is compiled in its own folder, which is where gcov finds the sources.
    my ($in, $there) = $dir =~ m{^libeio/(.*)} ? ('libeio', $1) : ('.', $dir);
    my ($base) = $object =~ m{([^/]+)\.gcno$};
    open my $gcov, '-|', "cd $in && gcov -o $there $there/$base.gcno" or die "gcov: $!\n";
    my $source;
    while (<$gcov>) {
        $source = $in eq '.' ? $1 : "$in/$1" if /^File '(?!\/)(.*)'/;
        $source = undef if /^File '\//;
        if (defined $source && /^Lines executed:([\d.]+)% of (\d+)/) {
            $file{$source} = [ $1, $2 ] if !$file{$source} || $file{$source}[0] < $1;
            $source = undef;
        }
    }
}
die "no coverage data: see make cover\n" if !%file;

my ($reached, $lines) = (0, 0);
for my $source (sort keys %file) {
    my ($percent, $n) = @{ $file{$source} };
    printf "%6.2f%% of %5d  %s\n", $percent, $n, $source;
    next if $source =~ /\.(?:inc|xs)$|^AIO\.c$/; # generated
    $lines += $n;
    $reached += $n * $percent / 100;
}
printf "%6.2f%% of %5d  in all\n", 100 * $reached / $lines, $lines;
