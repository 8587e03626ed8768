# A few random programs of each kind (script/torture runs as many as one likes).
use strict;
use warnings;
use FindBin;
use Test::More;

my $script = "$FindBin::Bin/../script/torture";
plan skip_all => 'script/torture is not in this tarball' unless -e $script;

for my $kind (qw(model storm args fork signal)) {
    my @inc = map "-I$_", @INC;
    open my $out, '-|', $^X, @inc, $script, '--only', $kind, '--seconds', 3, '--seed', 1 or die "$^X: $!";
    my @lines = <$out>;
    close $out;
    is($?, 0, "$kind: the programs end well") or diag @lines;
    like($lines[-1], qr/^[1-9]\d* passed, 0 failed$/, "$kind: and each as it should");
}
done_testing;
