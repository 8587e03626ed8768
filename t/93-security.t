use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Config;
use Fcntl qw(:DEFAULT);
use POSIX ();
use IO::AIO;

# What SECURITY.md promises, under attack: somebody else exchanges names while requests run, reads what is not
# for him, starts programs, or the process gives up its rights.

use constant NOBODY => 65534;

sub entries { my ($dir) = @_; opendir my $dh, $dir or die "$dir: $!"; scalar grep !/^\.\.?$/, readdir $dh }

# Runs the block in a second process until the third argument is done, which gets a function that tells whether the
# attacker still lives. Returns what the block returned: a string.
sub meanwhile(&$) {
    my ($attack, $defend) = @_;
    pipe my $r, my $w or die "pipe: $!";
    pipe my $stop, my $go or die "pipe: $!";
    defined(my $pid = fork) or die "fork: $!";
    unless ($pid) {
        alarm 60;
        close $go;
        $stop->blocking(0);
        syswrite $w, "+";
        my $result = eval { $attack->(sub { defined sysread($stop, my $buf, 1) }) };
        syswrite $w, defined $result ? $result : $@;
        POSIX::_exit(0);
    }
    close $_ for $w, $stop;
    sysread $r, my $ready, 1;
    my $lived = eval { $defend->(); 1 };
    my $died = $@;
    close $go;
    my $result = do { local $/; <$r> };
    waitpid $pid, 0;
    die $died unless $lived;
    defined $result ? $result : '';
}

# A tree whose directory "d" has as many files as are left to exchange it while they are removed. Names are those of
# the tree outside, so that whoever is led there removes them.
sub fill { my ($dir, $n) = @_; write_file("$dir/$_") for 1 .. $n }

sub exchanged_in_the_middle {
    my $outside = fresh_dir;
    mkdir "$outside/sub" or die "mkdir: $!";
    fill($_, 300) for $outside, "$outside/sub";
    my $middle = 0;
    for my $round (1 .. 30) {
        my $dir = fresh_dir;
        mkdir "$dir/$_" or die "mkdir: $!" for 'tree', 'tree/d', 'tree/d/sub';
        fill("$dir/tree/d", 5000);
        fill("$dir/tree/d/sub", 300);
        my $left = meanwhile {
            my ($over) = @_;
            my $links = sub { -e "$dir/tree/d/1" && -e "$dir/tree/d/5000" && -e "$dir/tree/d/2500" };
            until (!$links->()) { return 0 if $over->() }
            rename "$dir/tree/d", "$dir/away" or return 0;
            symlink $outside, "$dir/tree/d" or die "symlink: $!";
            entries("$dir/away");
        } sub { run_req { aio_rmtree "$dir/tree", $_[0] } };
        $middle++ if $left =~ /^\d+$/ && $left > 0;
        last if $middle;
    }
    ok($middle, 'a directory was exchanged for a link while its files were removed');
    is(entries($outside) + entries("$outside/sub"), 601, 'nothing outside of the tree was removed');
}

# Deeper than rmtree keeps descriptors: ".." of what was moved leads to the outside.
sub moved_in_the_middle {
    my $outside = fresh_dir;
    my $middle = 0;
    for my $round (1 .. 30) {
        my $dir = fresh_dir;
        my @level = ("$dir/tree");
        push @level, "$level[-1]/d" for 1 .. 40;
        mkdir $_ or die "$_: $!" for @level;
        write_file "$_/file" for @level;
        fill($level[-1], 3000);
        my $there = "$outside/$round";
        mkdir $there or die "mkdir: $!";
        mkdir "$there/e" or die "mkdir: $!";
        write_file "$there/$_" for 'file', 'zfile', 'e/file';
        my $left = meanwhile {
            my ($over) = @_;
            my $bottom = $level[-1];
            while (-e "$bottom/1" && -e "$bottom/3000" && -e "$bottom/1500") { return 0 if $over->() }
            rename $level[8], "$there/d" or return 0;
            entries($bottom =~ s/^\Q$level[8]\E/$there\/d/r);
        } sub { run_req { aio_rmtree $level[0], $_[0] } };
        $middle++ if $left =~ /^\d+$/ && $left > 0;
        last if $middle;
    }
    ok($middle, 'a directory was moved out of the tree while what is below it was removed');
    my @gone = grep !-e, map { my $n = $_; map "$outside/$n/$_", 'file', 'zfile', 'e/file' } grep -d "$outside/$_", 1 .. 30;
    is("@gone", '', 'nothing where it was moved to was removed');
}

# In a tight loop, both the top and a directory below.
sub exchanged_all_the_time {
    my ($rounds) = @_;
    my ($dir, $outside) = (fresh_dir, fresh_dir);
    mkdir "$outside/s" or die "mkdir: $!";
    fill($_, 5) for $outside, "$outside/s";
    my $swaps = meanwhile {
        my ($over) = @_;
        my $n = 0;
        until ($n % 64 == 0 && $over->()) {
            my $name = $n++ % 2 ? "$dir/tree/d" : "$dir/tree/d/s";
            my $away = "$dir/away." . $n;
            next unless rename $name, $away;
            symlink $outside, $name;
            $swaps::seen++;
            unlink $name;    # or rmtree was faster
            rename $away, $name or system 'rm', '-rf', $away;
        }
        $swaps::seen || 0;
    } sub {
        for (1 .. $rounds) {
            mkdir "$dir/$_" for 'tree', 'tree/d', 'tree/d/s';
            eval { fill("$dir/tree/d", 5); fill("$dir/tree/d/s", 5) };
            run_req { aio_rmtree "$dir/tree", $_[0] };
            # what the attacker led here by his link is not rmtree's doing
            fill($_, 5) for $outside, "$outside/s";
        }
    };
    note "$swaps exchanges in $rounds rounds";
    cmp_ok($swaps, '>', $rounds / 20, 'a directory was exchanged again and again');
    $swaps;
}
1;
