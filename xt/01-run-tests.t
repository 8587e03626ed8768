#!/usr/bin/perl
# What script/run-tests makes of tests that end in one way or the other: the last line
# and the exit code tell it, and nothing that a test leaves behind holds it up.

use strict;
use warnings;
use File::Temp 'tempdir';
use Test::More;
use Time::HiRes 'sleep';

my $dir = tempdir(CLEANUP => 1);

# Its exit code, and its last line.
sub run {
    my ($name, $text) = @_;
    open my $fh, '>', "$dir/$name.t" or die $!;
    print {$fh} "#!/usr/bin/perl\nuse Test::More;\n$text\n";
    close $fh or die $!;
    my $output = `$^X script/run-tests --timeout 2 $dir/$name.t 2>/dev/null`;
    return ($? >> 8, (split /\n/, $output)[-1]);
}

is_deeply([run(fine => 'pass; SKIP: { skip "no", 1 } done_testing')], [ 0, '1 passed, 0 failed, 1 skipped' ], 'passed');
is_deeply([run(none => 'plan skip_all => "no"')], [ 0, '0 passed, 0 failed, 1 skipped' ], 'skipped');
is_deeply([run(failed => 'pass; fail; done_testing')], [ 1, '1 passed, 1 failed, 0 skipped' ], 'failed');
is_deeply([run(died => 'pass; die')], [ 1, '1 passed, 1 failed, 0 skipped' ], 'died');
is_deeply([run(planned => 'plan tests => 2; pass')], [ 1, '1 passed, 1 failed, 0 skipped' ], 'fewer than were planned');
is_deeply([run(killed => 'pass; kill KILL => $$')], [ 1, '1 passed, 1 failed, 0 skipped' ], 'killed');
is_deeply([run(hangs => 'pass; sleep 1000')], [ 1, '1 passed, 1 failed, 0 skipped' ], 'hangs');
is_deeply([run(leaves => "open my \$fh, '>', '$dir/pid'; my \$pid = fork; if (!\$pid) { sleep 1000; exit }
print {\$fh} \$pid; pass; done_testing")], [ 0, '1 passed, 0 failed, 0 skipped' ], 'a child that is left keeps nobody');

open my $fh, '<', "$dir/pid" or die $!;
my $pid = readline $fh;
for (1 .. 500) {
    last if !runs($pid);
    sleep 0.02;
}
ok(!runs($pid), 'and is killed');

done_testing;

# Nobody might collect what has ended.
sub runs {
    open my $stat, '<', "/proc/$_[0]/stat" or return 0;
    return (readline($stat) // '') !~ /\) Z/;
}
