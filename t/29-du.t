use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use POSIX ();
use IO::AIO qw(:DEFAULT :more);

# aio_du: sums, compared with those by blocking calls and with du; what is counted; what goes wrong.

# [octets, blocks, entries] below and with a directory, by blocking calls; and those of each directory.
sub reference {
    my ($root, $path, $seen, $dirs) = @_;
    my @sum = (0, 0, 0);
    my $name = length $path ? "$root/$path" : $root;
    my @st = lstat $name or die "$name: $!";
    return @sum if !-d _ && $st[3] > 1 && $seen->{"$st[0] $st[1]"}++;
    @sum = ($st[7], $st[12], 1);
    return @sum unless -d _;
    opendir my $dh, $name or return @sum;
    for my $entry (sort grep !/\A\.\.?\z/, readdir $dh) {
        my @more = reference($root, length $path ? "$path/$entry" : $entry, $seen, $dirs);
        $sum[$_] += $more[$_] for 0 .. 2;
    }
    $dirs->{$path} = [@sum];
    return @sum;
}

sub result_of {
    my ($root, $options) = @_;
    my $got;
    aio_du $root, $options, sub { $got = @_ == 1 ? $_[0] // 'undef ' . errno_name($! + 0) : 'results: ' . @_ };
    IO::AIO::flush;
    return $got;
}

sub make_tree {
    my ($dir, $levels) = @_;
    mkdir $dir or die "$dir: $!";
    write_file "$dir/f$_", 'x' x rand 20000 for 1 .. rand 8;
    symlink '..', "$dir/link" or die "symlink: $!";
    return unless $levels;
    make_tree("$dir/d$_", $levels - 1) for 1 .. rand 5;
}

each_engine {
    my $dir = fresh_dir;
    {
        mkdir "$dir/$_" or die $! for 'shared', map "shared/$_", 1 .. 4;
        write_file "$dir/shared/1/f$_", 'x' x 1000 for 1 .. 300;
        for my $i (2 .. 4) {
            link "$dir/shared/1/f$_", "$dir/shared/$i/f$_" or die $! for 1 .. 300;
        }
        my $count = sub {
            my ($options) = @_;
            my $sum = 0;
            aio_du "$dir/shared/$_", { types => 'f', %$options }, sub { $sum += $_[0]{entries} } for 1 .. 4;
            IO::AIO::flush;
            return $sum;
        };
        my %counted;
        is($count->({}), 1200, 'requests know nothing of each other');
        is($count->({ counted => \%counted }), 300, 'unless they share what they have counted');
        is($count->({ counted => \%counted }), 0, 'as long as the hash lives');
        is(join(' ', keys %counted), '', 'in which nothing is to be seen');
        is($count->({ counted => {} }), 300, 'another one knows nothing');
        defined(my $child = fork) or die $!;
        POSIX::_exit($count->({ counted => \%counted }) == 300 ? 0 : 1) unless $child;
        waitpid $child, 0;
        is($?, 0, 'nor does a child');
        for my $no_hash ([], 1, \1, sub { }) {
            croaks { aio_du $dir, { counted => $no_hash }, sub { } } qr/aio_du: counted must be a hash reference/, 'no hash';
        }
    }
    for my $round (1 .. 5) {
        make_tree("$dir/$round", 3);
        write_file "$dir/$round/two", 'y' x 5000;
        mkdir "$dir/$round/far" or die "mkdir: $!";
        link "$dir/$round/two", "$dir/$round/far/two" or die "link: $!";
        link "$dir/$round/two", "$dir/$round/three" or die "link: $!";
        my %dirs;
        my @want = reference("$dir/$round", '', {}, \%dirs);
        my $got = result_of("$dir/$round", undef);
        is_deeply([@$got{qw(octets blocks entries)}], \@want, 'the sums are those of all files, each once');
        is_deeply([@$got{qw(directories errors)}], [[], []], 'nothing else');
        is_deeply(result_of("$dir/$round", { parallel => 1 }), $got, 'by one thread');
        SKIP: {
            my $du = `du -s --block-size=512 '$dir/$round' 2>/dev/null`;
            skip 'no du of GNU', 1 unless $du =~ /^(\d+)/;
            is($got->{blocks}, $1, 'as du has it');
        }
        unlink "$dir/$round/far/two", "$dir/$round/three";
        reference("$dir/$round", '', {}, \%dirs);
        for my $depth (1, 2, 100) {
            $got = result_of("$dir/$round", { totals => $depth });
            my %want = map { $_ => $dirs{$_} } grep length && tr{/}{} < $depth, keys %dirs;
            is_deeply({ map { my ($path, @sum) = @$_; $path => \@sum } @{ $got->{directories} } }, \%want,
                "of directories down to $depth");
        }
    }

    # filters
    my $tree = "$dir/tree";
    mkdir "$tree$_" or die "mkdir: $!" for '', '/a', '/a/b';
    write_file "$tree/$_", 'z' x 100 for qw(one.c a/two.c a/b/three.h);
    is(result_of($tree, { types => 'f' })->{octets}, 300, 'types');
    is(result_of($tree, { name => '*.c', types => 'f' })->{octets}, 200, 'name');
    is(result_of($tree, { types => 'f', max_depth => 1 })->{octets}, 100, 'max_depth');
    is(result_of($tree, { types => 'f', prune => 'b' })->{octets}, 200, 'prune');
    is(result_of($tree, { types => 'f', prune => sub { $_[0] eq 'a' } })->{octets}, 100, 'prune by code');
    symlink 'a', "$tree/link" or die "symlink: $!";
    is(result_of($tree, { types => 'f', follow => 1 })->{octets}, 300, 'follow: each file once');

    # the place of each, the root, and all
    my $all = result_of($tree, { totals => 9, all => 1, root => 1 });
    is_deeply([sort map $_->[0], @{ $all->{directories} }], [qw(a a/b a/b/three.h a/two.c link one.c)], 'all: others, too');
    my %at = map { $all->{directories}[$_][0] => $_ } 0 .. $#{ $all->{directories} };
    is(join(' ', grep { m{(.*)/} && $at{$1} < $at{$_} } keys %at), '', 'each directory after those in it');
    my $file = result_of("$tree/one.c", { root => 1, totals => 9 });
    is_deeply($file, { octets => 100, blocks => (lstat "$tree/one.c")[12], entries => 1, directories => [], errors => [] }, 'root: a file');
    is(result_of("$tree/link", { root => 1 })->{octets}, 1, 'root: a link');
    is(result_of("$tree/link/", { root => 1, types => 'f' })->{octets}, 200, 'with a slash, what it leads to');
    is(result_of("$tree/none", { root => 1 }), 'undef ENOENT', 'root: what is missing');
    is(result_of($tree, { max_depth => 0, root => 1 })->{entries}, 1, 'max_depth 0: the directory alone');

    # what goes wrong
    is(result_of("$dir/none"), 'undef ENOENT', 'a missing directory: ENOENT');
    is(result_of("$tree/one.c"), 'undef ENOTDIR', 'a file: ENOTDIR');
    chmod 0, "$tree/a/b" or die "chmod: $!";
    my $said = as_nobody { my $got = result_of($tree); join ' ', map "$_->[0]:" . errno_name($_->[1]), @{ $got->{errors} } };
    is($said, 'a/b:EACCES', 'a directory that cannot be read is told');
    chmod 0755, "$tree/a/b";
    croaks { aio_du $tree, { sort => 1 } } qr/aio_du: unknown option "sort"/, 'an option of aio_walk only';
    croaks { aio_du $tree, { totals => -1 } } qr/aio_du: totals must be a number/, 'a depth that is none';
    my $req = aio_du $tree, undef, sub { fail('called back') };
    isa_ok($req, 'IO::AIO::GRP', 'what it returns');
    $req->cancel;
    IO::AIO::flush;
};

done;
