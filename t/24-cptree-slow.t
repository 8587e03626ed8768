use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AIOTest;
use SlowFS;
use IO::AIO qw(:DEFAULT aio_cptree);

# aio_cptree from and to a file system that is slow: several threads copy, as it tells who has asked it.

plan skip_all => 'the peer has none' if is_peer;
plan skip_all => SlowFS->missing if SlowFS->missing;

sub tree {
    my ($top) = @_;
    mkdir $top or die "$top: $!";
    for my $dir (map "$top/$_", 'a' .. 'h') {
        mkdir $dir or die "$dir: $!";
        write_file "$dir/$_", "$dir $_" for 1 .. 3;
    }
}

sub contents { my ($top) = @_; join "\n", map { my $d = $_; map "$d/$_ " . read_file("$top/$d/$_"), names_in("$top/$d") } names_in($top) }

usual_engine {
    my $dir = fresh_dir;
    tree("$dir/shown");
    my $fs = SlowFS->mount("$dir/shown");
    for my $side (['from it', $fs->path, "$dir/from it", 'open'], ['to it', "$dir/from it", $fs->path . '/copy', 'create']) {
        my ($name, $from, $to, $op) = @$side;
        $fs->delay(2);
        $fs->reset;
        my $status;
        aio_cptree $from, $to, 0, sub { ($status) = @_ };
        IO::AIO::flush;
        is($status, 0, "$name: copied");
        my $asked = $fs->counts;
        my @threads = grep $asked->{$_}{$op}, keys %$asked;
        my $several = engine eq 'sync' ? @threads == 1 : @threads >= 3;
        ok($several, "several threads have called $op, or in engine sync one") or diag explain $asked;
        my $sum = 0;
        $sum += $asked->{$_}{$op} for @threads;
        is($sum, 24, 'for each file once');
        $fs->delay(0);
        is(contents("$dir/from it"), contents("$dir/shown") =~ s/^copy.*\n?//mgr, 'all is there') if $op eq 'open';
        is(contents($to), contents($from), 'all is there') if $op eq 'create';
    }
    $fs->unmount;
};

done;
