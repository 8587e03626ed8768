package Bench::Tool;

# The cell of bin/aio: each verb against the classic tools, on a tree in memory in CPU seconds (what somebody else does on the
# machine meanwhile counts less there) and in seconds, and on storage of 0.5 ms in seconds.
use strict;
use warnings;

use File::Temp qw(tempdir);
use Time::HiRes ();

use constant LABEL => 'the classic tool';

# Name, ours, the other's, what is to be done before each (not timed). T is the tree, C a copy of it, N a new name.
my @cached = (
    ['find, all',        'find T',      'find T'],
    ['find, files',      'find -t f T', 'find T -type f'],
    ['find, all: bfs',   'find T',      'bfs T'],
    ['find, files: fd',  'find -t f T', 'fd -u -t f . T'],
    ['find, count',      'find --count T', 'find T'],
    ['du -s',            'du -s T',     'du -s T'],
    ['du',               'du T',        'du T'],
    ['du -s: gdu',       'du -s T',     'gdu -nps T'],
    ['cp',               'cp T N',      'cp -a T N'],
    ['cp: rsync',        'cp T N',      'rsync -a T/ N/'],
    ['sync, unchanged',  'sync T C',    'rsync -a T/ C/'],
    ['rm -r',            'rm -r N',     'rm -rf N', 'cp -a T N'],
);
my @slow = (
    ['find, files', 'find -t f S', 'find S -type f'],
    ['find, files: fd', 'find -t f S', 'fd -u -t f . S'],
    ['du -s',       'du -s S',     'du -s S'],
    ['cp',          'cp S N',      'cp -a S N'],
    ['rm -r',       'rm -r S/n',   'rm -rf S/n', 'cp -a C T/n'],
);

sub program {
    my ($name) = @_;
    my ($found) = grep -x, map { my $dir = $_; map "$dir/$_", $name eq 'fd' ? ('fdfind', 'fd') : $name } split /:/, $ENV{PATH};
    return $found;
}

# Calls $row with the name of each when it has been measured.
sub measure {
    my ($results, $only, $rounds, $scale, $row) = @_;
    my $dir = tempdir('aio-bench-XXXXXX', DIR => -w '/dev/shm' ? '/dev/shm' : '/tmp', CLEANUP => 1);
    my %place = (T => "$dir/tree", C => "$dir/copy", N => "$dir/new", S => "$dir/tree");
    make_tree($place{T}, int(300 * $scale) || 1);
    system 'cp', '-a', @place{qw(T C)};
    compare($results, $only, $rounds, \%place, 'CPU', $row, @cached);
    require Bench::Slow;
    my $why = SlowFS->missing;
    return print "slow storage: skipped: $why\n" if $why;
    system 'rm', '-rf', @place{qw(T C)};
    make_tree($place{$_}, int(8 * $scale) || 1) for qw(T C);
    my $storage = SlowFS->mount($place{T});
    $storage->delay(0.5);
    $place{S} = $storage->path;
    compare($results, $only, $rounds, \%place, '0.5 ms', $row, @slow);
    $storage->delay(0);
}

sub make_tree {
    my ($tree, $n) = @_;
    mkdir $tree or die "$tree: $!\n";
    for my $dir (map "$tree/$_", 1 .. $n) {
        mkdir $dir;
        for my $below (map "$dir/$_", 1 .. 5) {
            mkdir $below;
            for (1 .. 10) {
                open my $fh, '>', "$below/file-$_" or die "$below: $!\n";
                print $fh 'x' x 2000;
            }
        }
    }
}

sub compare {
    my ($results, $only, $rounds, $place, $where, $row, @what) = @_;
    for my $w (@what) {
        my ($name, $ours, $theirs, $before) = @$w;
        my ($program, $rest) = split / /, $theirs, 2;
        $program = program($program) or next;
        my @side = (['ours', [$^X, '-Mblib', 'bin/aio', split / /, $ours]], ['classic', [$program, split / /, $rest]]);
        "tool, $name" =~ /$only/ or next;
        for my $round (1 .. $rounds) {
            my (%cpu, %wall);
            for ($round % 2 ? @side : reverse @side) {
                my ($side, $command) = @$_;
                run([split / /, $before], $place) if $before;
                ($cpu{$side}, $wall{$side}) = run($command, $place);
                system 'rm', '-rf', $place->{N};
            }
            $results->add("$name, $where", 1, $where eq 'CPU' ? \%cpu : \%wall);
            $results->add($name, 1, \%wall) if $where eq 'CPU';
        }
        $row->($_) for "$name, $where", $where eq 'CPU' ? $name : ();
    }
}

# CPU seconds, as exact as times() is, and seconds of a command.
sub run {
    my ($command, $place) = @_;
    my @words = map s{^([TCNS])(?=\z|/)}{$place->{$1}}r, @$command;
    my ($begun, @before) = (Time::HiRes::time(), times);
    defined(my $pid = fork) or die "fork: $!\n";
    if (!$pid) {
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', '/dev/null';
        exec { $words[0] } @words or exit 127;
    }
    waitpid $pid, 0;
    my @after = times;
    my $cpu = $after[2] + $after[3] - $before[2] - $before[3];
    return ($cpu > 0.005 ? $cpu : 0.005, Time::HiRes::time() - $begun);
}

1;
