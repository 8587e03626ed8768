package Bench::Slow;

# The cell of slow storage: a directory seen through t/lib/SlowFS.pm, and what bench/slow does there.
use strict;
use warnings;

use File::Basename qw(dirname);
use lib dirname(__FILE__) . '/../../../t/lib';
use SlowFS;

# What a workload there is called, and how bench/slow is asked for it. Of what depends on the delay there is one for
# each; `scale` is that of bench/run.
sub workloads {
    my ($scale, @delays) = @_;
    my $n = sub { my $k = int($_[0] * $scale); $k > 1 ? $k : 1 };
    my @w;
    for my $ms (@delays) {
        for my $types ('known', 'unknown') {
            for my $threads (8, 64) {
                push @w, { name => "scandir_mixed, types $types, $ms ms, $threads threads", work => 'scandir_mixed', types => $types, ms => $ms, threads => $threads, arg => 0 },
                    { name => "scandir_files, types $types, $ms ms, $threads threads", work => 'scandir_files', types => $types, ms => $ms, threads => $threads, arg => 0 };
            }
        }
        push @w, { name => "scandir_mixed, types unknown, $ms ms, maxreq 64", work => 'scandir_mixed', types => 'unknown', ms => $ms, threads => 64, arg => 64 };
        push @w, map +{ name => "rmtree, $ms ms, $_ threads", work => 'rmtree', types => 'known', ms => $ms, threads => $_, arg => $n->(100) }, 8, 64;
        push @w, { name => "copy of 16 MB, $ms ms", work => 'copy', types => 'known', ms => $ms, threads => 8, arg => 0 },
            { name => "cached_read, p99, $ms ms, 8 threads", work => 'cached_read', types => 'known', ms => $ms, threads => 8, arg => $n->(500), aio_only => 1, ev => 1 },
            { name => "cached_read, p99, $ms ms, 64 threads", work => 'cached_read', types => 'known', ms => $ms, threads => 64, arg => $n->(500), aio_only => 1, ev => 1 },
            { name => "timer_gap, $ms ms, 64 threads", work => 'timer_gap', types => 'known', ms => $ms, threads => 64, arg => $n->(1000), aio_only => 1, ev => 1 };
    }
    push @w, { name => 'from_idle, 64 of 30 ms', work => 'from_idle', types => 'known', ms => 0, threads => 64, arg => 0, aio_only => 1 },
        { name => 'bursts of 8 of 1 ms', work => 'bursts_8', types => 'known', ms => 0, threads => 8, arg => $n->(20), aio_only => 1 },
        { name => 'bursts of 64 of 10 ms', work => 'bursts_64', types => 'known', ms => 0, threads => 64, arg => $n->(10), aio_only => 1 };
    return @w;
}

# Both file systems; dies with the reason if there are none.
sub new {
    my ($class, $dir) = @_;
    my $why = SlowFS->missing;
    die "$why\n" if $why;
    for my $name (qw(mixed files)) {
        mkdir "$dir/$name" or die "$dir/$name: $!\n";
        for (1 .. 500) { open my $fh, '>', "$dir/$name/file-$_" or die "$_: $!\n" }
    }
    mkdir "$dir/mixed/dir-$_" or die "dir-$_: $!\n" for 1 .. 20;
    open my $fh, '>', "$dir/16m" or die "16m: $!\n";
    print $fh chr(65 + $_) x (1 << 20) for 1 .. 16;
    close $fh;
    return bless { dir => $dir, known => SlowFS->mount($dir), unknown => SlowFS->mount($dir, no_types => 1) }, $class;
}

# The seconds that a workload takes, or nothing. $how is "aio" or "blocking".
sub run {
    my ($self, $perl, $how, $w) = @_;
    return if $w->{aio_only} && $how ne 'aio';
    my $fs = $self->{ $w->{types} };
    $fs->delay($w->{ms});
    my ($took) = `$perl bench/slow $how $w->{work} $w->{threads} '@{[ $fs->path ]}' '$self->{dir}' $w->{arg}` =~ /^([\d.]+)\s*\z/;
    $fs->delay(0);
    return $took;
}

1;
