#!/usr/bin/perl
# Prints the line coverage of the C code after a run with COVERAGE=1, a line a
# file, and writes FILE.gcov beside each object, where ##### marks what no test
# reached. Each such region has to be in inc/uncovered.txt, with its reason:
# exit code 1 if one is not, or if less than 90 % are reached. See `make -f dev.mk cover`.

use strict;
use warnings;
use FindBin;

my $MINIMUM = 90;
my $reason = reasons("$FindBin::Bin/uncovered.txt");
my (%file, %missed);
for my $object (map { glob } 'libeio/build/*.gcno', 'xs/*.gcno', '*.gcno') {
    my ($dir) = $object =~ m{(.*)/};
    $dir //= '.';
    # libeio is compiled in its own folder, which is where gcov finds the sources.
    my ($in, $there) = $dir =~ m{^libeio/(.*)} ? ('libeio', $1) : ('.', $dir);
    my ($base) = $object =~ m{([^/]+)\.gcno$};
    next if $base =~ /^readme/; # the program in libeio's README
    open my $gcov, '-|', "cd $in && gcov -o $there $there/$base.gcno" or die "gcov: $!\n";
    my ($source, @better);
    while (<$gcov>) {
        $source = $in eq '.' ? $1 : "$in/$1" if /^File '(?!\/)(.*)'/;
        $source = undef if /^File '\//;
        if (defined $source && /^Lines executed:([\d.]+)% of (\d+)/) {
            if (!$file{$source} || $file{$source}[0] < $1) {
                $file{$source} = [ $1, $2 ];
                push @better, $source;
            }
            $source = undef;
        }
    }
    close $gcov;
    for my $name (@better) {
        $missed{$name} = regions("$in/" . ($name =~ m{([^/]+)$})[0] . '.gcov');
    }
}
die "no coverage data: see make -f dev.mk cover\n" if !%file;

my ($reached, $lines, $named, @unnamed) = (0, 0, 0);
for my $source (sort keys %file) {
    my ($percent, $n) = @{ $file{$source} };
    printf "%6.2f%% of %5d  %s\n", $percent, $n, $source;
    next if $source =~ /\.(?:inc|xs)$|^AIO\.c$/; # generated
    $lines += $n;
    $reached += $n * $percent / 100;
    for (@{ $missed{$source} }) {
        my ($number, $code) = @$_;
        if ($reason->{$source}{$code}) { $named++ }
        else { push @unnamed, "$source:$number: $code" }
    }
}
my $percent = 100 * $reached / $lines;
printf "%6.2f%% of %5d  in all; %d regions missed for the reasons in inc/uncovered.txt\n", $percent, $lines, $named;
print "missed without a reason: $_\n" for @unnamed;
print "less than $MINIMUM % are reached\n" if $percent < $MINIMUM;
exit(@unnamed || $percent < $MINIMUM ? 1 : 0);

# The regions without a run in a .gcov: number of the first line of each, and "line before >> first line".
sub regions {
    my ($name) = @_;
    my (@found, $inside, $before);
    open my $gcov, '<', $name or return [];
    while (<$gcov>) {
        my ($count, $number, $code) = /^\s*([^:]+):\s*(\d+):\s*(.*?)\s*$/ or next;
        if ($count =~ /^[#=]{5}/) {
            push @found, [ $number, "$before >> $code" ] if !$inside;
            $inside = 1;
        }
        elsif ($count ne '-') { $inside = 0 }
        $before = $code if length $code;
    }
    return \@found;
}

# File => lines of code => reason.
sub reasons {
    my ($name) = @_;
    my (%reason, $text);
    open my $list, '<', $name or die "$name: $!\n";
    while (<$list>) {
        if    (/^\s+(\S+): (.*\S)/) { $reason{$1}{$2} = $text }
        elsif (/^([^#\s].*)/)      { $text = $1 }
    }
    return \%reason;
}
