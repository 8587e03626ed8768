# A few random programs of each kind (script/torture runs as many as one likes).
use strict;
use warnings;
use FindBin;
use Test::More;

my $script = "$FindBin::Bin/../script/torture";
plan skip_all => 'script/torture is not in this tarball' unless -e $script;

# AddressSanitizer (of gcc 12) does not take the locks of its allocator before a fork, so a child may find one that a
# worker of the parent held. There, what forks does so without workers.
my $asan = ($ENV{LD_PRELOAD} || '') =~ /\blibasan\b/;

for my $kind (qw(model storm args fork signal)) {
    my @inc = map "-I$_", @INC;
    my @args = ('--only', $kind, '--seconds', $ENV{EXTENDED_TESTING} ? 3 : 0.5, '--seed', 1, $asan && $kind eq 'fork' ? ('--engine', 'sync') : ());
    open my $out, '-|', $^X, @inc, $script, @args or die "$^X: $!";
    my @lines = <$out>;
    close $out;
    is($?, 0, "$kind: the programs end well") or diag @lines;
    like($lines[-1], qr/^[1-9]\d* passed, 0 failed$/, "$kind: and each as it should");
}
done_testing;
