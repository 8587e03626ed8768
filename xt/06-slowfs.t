#!/usr/bin/perl
# The slow file system of the tests (t/lib/SlowFS.pm) does what it is told, and is gone when who had it is.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../t/lib";
use SlowFS;
use Test::More;
use Time::HiRes;

plan skip_all => SlowFS->missing if SlowFS->missing;

alarm 120;
my $fs = SlowFS->mount(undef, cache => 3600);
my ($file, $source) = ($fs->path . '/file', $fs->source . '/file');

sub put { open my $fh, '>', $_[0] or return "$!"; print $fh $_[1]; close $fh or return "$!"; '' }
sub get { open my $fh, '<', $_[0] or return "$!"; local $/; my $got = <$fh>; $got // "$!" }
sub mounts { open my $fh, '<', '/proc/self/mounts' or die $!; scalar grep { index($_, " $_[0] ") >= 0 } <$fh> }

is(put($file, 'x' x 100_000), '', 'a file is written');
is(-s $source, 100_000, 'and is in the directory that is shown');
is(get($file), 'x' x 100_000, 'and read');
like($fs->asked($$), qr/create 1 .*write \d/, 'what this thread asked for is counted');
is($fs->asked($$ + 1), '', 'nothing of another');
$fs->reset;
get($file);
unlike($fs->asked, qr/read|lookup/, 'what is cached is not asked for again');

my $start = Time::HiRes::time();
$fs->delay(100, 'open');
get($file);
cmp_ok(Time::HiRes::time() - $start, '>=', 0.1, 'a delay');
$fs->delay(0.5, 'open');
$start = Time::HiRes::time();
get($file) for 1 .. 20;
my $took = Time::HiRes::time() - $start;
cmp_ok($took, '>=', 0.01, 'a part of a millisecond');
$fs->delay(0);

$fs->fail('ENOSPC', 'create');
is(put("$file.2", 'x'), do { local $! = Errno::ENOSPC(); "$!" }, 'a failure');
$fs->fail(0);
is(put("$file.2", 'x'), '', 'and its end');
ok(!eval { $fs->hang('fo'); 1 }, 'a request that there is not');
ok(!eval { SlowFS->mount("$source/none"); 1 }, "a directory that there is not: nobody waits for an answer");

sub hung {
    defined(my $pid = fork) or die "fork: $!";
    if (!$pid) {
        POSIX::_exit(open(my $fh, '<', $file) ? 0 : $! + 0);
    }
    ok($fs->wait_held(1), 'somebody hangs');
    $pid;
}
$fs->hang('open');
my $pid = hung();
kill KILL => $pid;
waitpid $pid, 0;
is($?, 9, 'may be killed');
$pid = hung();
$fs->release;
waitpid $pid, 0;
is($?, 0, 'or released');
$fs->hang('open');
$pid = hung();
my $at = $fs->path;
$fs->unmount;
waitpid $pid, 0;
cmp_ok($?, '>', 0, 'or the file system goes');
ok(!mounts($at) && !-e $at, 'which is gone then, with its mount point');

my $dir = SlowFS->mount($fs->source, no_types => 1);
$pid = fork // die "fork: $!";
POSIX::_exit(0) if !$pid;
waitpid $pid, 0;
ok(-e $dir->path . '/file', 'the end of a child leaves it alone');
undef $dir;

pipe my $r, my $w or die "pipe: $!";
$pid = fork // die "fork: $!";
if (!$pid) {
    my $mine = SlowFS->mount($fs->source);
    $mine->hang;
    syswrite $w, $mine->path . "\n";
    unless (fork) { stat $mine->path . '/file'; POSIX::_exit(0) }
    sleep 100;
}
close $w;
chomp($at = <$r>);
ok(mounts($at), 'another process mounts one');
kill KILL => $pid;
waitpid $pid, 0;
for (1 .. 20_000) { last if !mounts($at) && !-e $at; select undef, undef, undef, 0.001 }
ok(!mounts($at) && !-e $at, 'and is killed: gone, too, though a child of its hangs there');

done_testing;
