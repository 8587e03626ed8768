#!/usr/bin/perl
# libeio/probes.txt: each feature that is looked for is used, each that is used
# is looked for, and each can be left out.

use strict;
use warnings;
use Config;
use File::Temp qw(tempdir);
use Test::More;

my @rows = map { /^(\w+) *\| *(\S[^|]*?) *\| *(\S[^|]*);$/ ? $1 : die "bad row: $_" }
    grep { /^[^#\s]/ } slurp('libeio/probes.txt');
my %row = map { $_ => 1 } @rows;
is(keys %row, @rows, 'each feature has one row');

my %used;
for my $file (glob '{libeio,xs,libeio/test}/*.[ch] AIO.xs') {
    next if $file eq 'libeio/eio_config.h';
    $used{$_} = $file for map { /\bEIO_HAVE_(\w+)/g } slurp($file);
}
is_deeply([ grep { !$row{$_} } sort keys %used ], [], 'all features that the sources ask for are there');
is_deeply([ grep { !$used{$_} } @rows ], [], 'all features that are there are asked for');

my $dir = tempdir(CLEANUP => 1);
is_deeply(configure('ALL'), {}, 'without all of them');
my $full = configure('');
cmp_ok(keys %$full, '>', 0, 'a compiler finds some');
my ($one, @others) = sort keys %$full;
is_deeply(configure(lc $one), { map { $_ => 1 } @others }, "without $one");
ok(!defined configure('NO_SUCH_FEATURE'), 'a wrong name is an error');
is_deeply(configure('', CFLAGS => '-Dfdatasync=no_such_function'),
    { map { $_ => 1 } grep { $_ ne 'FDATASYNC' } keys %$full },
    'what is missing is found among all that is there');

done_testing;

# The features that ./configure finds, as a hash, or undef when it fails.
sub configure {
    my ($without, %env) = @_;
    local %ENV = (%ENV, CC => $Config{cc}, WITHOUT => $without, %env);
    system("sh libeio/configure $dir >$dir/out 2>&1") == 0 or return undef;
    my %has;
    for (slurp("$dir/eio_config.h")) {
        next if !/^#define EIO_HAVE_(\w+) ([01])$/;
        $row{$1} or fail("eio_config.h has a feature $1");
        $has{$1} = 1 if $2;
    }
    return \%has;
}

sub slurp {
    my ($file) = @_;
    open my $fh, '<', $file or die "$file: $!\n";
    return <$fh>;
}
