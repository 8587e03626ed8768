use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use POSIX ();
use IO::AIO qw(:DEFAULT :more);

# aio_walk: what it finds, compared with a walk by blocking calls; its options; what goes wrong; cancel.

my %LETTER = (IO::AIO::DT_FIFO, 'p', IO::AIO::DT_DIR, 'd', IO::AIO::DT_REG, 'f', IO::AIO::DT_LNK, 'l');

# All that is below a directory, by blocking calls: path => [letter, depth].
sub reference {
    my ($root) = @_;
    my (%found, @todo);
    @todo = (['', 0]);
    while (my $next = shift @todo) {
        my ($dir, $depth) = @$next;
        opendir my $dh, length $dir ? "$root/$dir" : $root or next;
        for my $name (grep !/\A\.\.?\z/, readdir $dh) {
            my $path = length $dir ? "$dir/$name" : $name;
            lstat "$root/$path" or die "$root/$path: $!";
            my $letter = -l _ ? 'l' : -d _ ? 'd' : -p _ ? 'p' : 'f';
            $found{$path} = [$letter, $depth + 1];
            push @todo, [$path, $depth + 1] if $letter eq 'd';
        }
    }
    return \%found;
}

# The entries of a walk, in the order in which they come, and what the callback gets.
sub walk {
    my ($root, $options) = @_;
    my (@entries, @status);
    aio_walk $root, $options, sub { push @entries, @{ $_[0] } }, sub { @status = (@_, $! + 0) };
    IO::AIO::flush;
    return (\@entries, @status);
}

# The same as reference().
sub found {
    my ($root, $options) = @_;
    my ($entries) = walk($root, $options);
    return { map { $_->[0] => [$LETTER{ $_->[1] } || $_->[1], $_->[2]] } @$entries };
}

# With count and lines: how many directories and others, the lines, and what the callback gets; an error is an array.
sub lines {
    my ($root, $options) = @_;
    my @sums = (0, 0);
    aio_walk $root, $options, sub {
        my ($entries, $directories, $others, $lines) = @_;
        die 'an entry' if grep !$_->[3], @$entries;
        $sums[0] += $directories;
        $sums[1] += $others;
        $sums[2] .= $lines if @_ > 3;
    }, sub { $sums[3] = $_[0] };
    IO::AIO::flush;
    return @sums;
}

sub paths { my ($entries) = walk(@_); join ' ', sort map $_->[0], @$entries }

# Names of all octets, on each of some levels.
sub octet_tree {
    my ($root) = @_;
    for my $dir ('', "\xff\xfe", "new\nline", '-rf') {
        mkdir "$root/$dir" or die "mkdir: $!" if length $dir;
        for my $octet (1 .. 255) {
            my $name = 'x' . chr $octet;
            next if $octet == ord '/';
            mkdir "$root/$dir/$name" or die "mkdir: $!" if $octet % 5 == 0;
            write_file "$root/$dir/$name" if $octet % 5;
        }
    }
}

sub random_tree {
    my ($root, $n) = @_;
    my @dirs = ('');
    for my $i (1 .. $n) {
        my $path = $dirs[rand @dirs] . "/n$i" . '.c' x (rand() < 0.3) . 'y' x rand 20;
        my $kind = rand;
        if ($kind < 0.3) { mkdir "$root$path" or die "mkdir: $!"; push @dirs, $path }
        elsif ($kind < 0.4) { symlink(('..', '/', 'none', "n$i")[rand 4], "$root$path") or die "symlink: $!" }
        elsif ($kind < 0.45) { POSIX::mkfifo("$root$path", 0600) or die "mkfifo: $!" }
        else { write_file "$root$path", 'z' x rand 100 }
    }
}

each_engine {
    my ($engine) = @_;
    my $dir  = fresh_dir;
    my $tree = "$dir/tree";
    mkdir $tree or die "mkdir: $!";
    is_deeply([walk $tree], [[], 0, 0], 'an empty directory');
    mkdir "$tree/$_" or die "mkdir: $!" for qw(a a/b a/b/c d .git .git/objects);
    write_file "$tree/$_", 'data' for qw(f a/f.c a/b/g.c a/b/c/h.o .git/objects/pack);
    symlink 'a', "$tree/link" or die "symlink: $!";
    my ($entries, @status) = walk $tree;
    is("@status", '12 0', 'the callback gets the number of entries');
    my ($file) = grep $_->[0] eq 'a/f.c', @$entries;
    is_deeply($file, ['a/f.c', IO::AIO::DT_REG, 2], 'an entry: path, type, depth');
    is_deeply(found($tree), reference($tree), 'all that is there');
    symlink 'tree', "$dir/by link" or die "symlink: $!";
    is_deeply(found("$dir/by link"), reference($tree), 'the root may be named by a link');
    chdir $dir or die "$dir: $!";
    is_deeply(found('tree/'), reference($tree), 'and be relative');
    chdir '/';
    my $wd;
    aio_wd $dir, sub { $wd = shift };
    IO::AIO::flush;
    is_deeply(found([$wd, 'tree']), reference($tree), 'also to a working directory');

    # options
    my %tried = (
        'types d'       => [{ types => 'd' }, '.git .git/objects a a/b a/b/c d'],
        'types fl'      => [{ types => 'fl' }, '.git/objects/pack a/b/c/h.o a/b/g.c a/f.c f link'],
        'name'          => [{ name => '*.c' }, 'a/b/g.c a/f.c'],
        'names'         => [{ name => ['*.c', '[g-h].o'] }, 'a/b/c/h.o a/b/g.c a/f.c'],
        'no names'      => [{ name => [] }, ''],
        'max_depth'     => [{ max_depth => 1 }, '.git a d f link'],
        'min_depth'     => [{ min_depth => 3, types => 'f' }, '.git/objects/pack a/b/c/h.o a/b/g.c'],
        'prune'         => [{ prune => '.git', types => 'f' }, 'a/b/c/h.o a/b/g.c a/f.c f'],
        'pruned'        => [{ prune => ['.git', 'b'], types => 'd' }, '.git a a/b d'],
        'prune by code' => [{ prune => sub { $_[0] eq 'a/b' || $_[0] eq '.git' && $_[1] == 1 }, types => 'f' }, 'a/f.c f'],
        'undef'         => [{ name => undef, types => 'd', max_depth => 1 }, '.git a d'],
    );
    for my $name (sort keys %tried) {
        my ($options, $want) = @{ $tried{$name} };
        is(paths($tree, { %$options, @$_ }), $want, join ' ', $name, @$_) for [], [sort => 1], [parallel => 1];
    }
    my $sorted = join ' ', qw(.git .git/objects .git/objects/pack a a/b a/b/c a/b/c/h.o a/b/g.c a/f.c d f link);
    is(join(' ', map $_->[0], @{ (walk $tree, { sort => 1 })[0] }), $sorted, 'sort: a directory before what is in it');
    is(join(' ', map $_->[0], @{ (walk $tree, { sort => 1, prune => sub { 0 } })[0] }), $sorted, 'also with code that prunes');

    # the root, and what is only counted
    is(paths($tree, { %$_, root => 1, max_depth => 0 }), '', 'root: an empty path') for {}, { sort => 1 };
    is_deeply((walk("$tree/f", { root => 1, stat => 1 }))[0], [['', IO::AIO::DT_REG, 0, undef, [lstat "$tree/f"]]], 'a file');
    is((walk "$tree/link", { root => 1 })[0][0][1], IO::AIO::DT_LNK, 'a link');
    is(scalar @{ (walk "$tree/link/", { root => 1 })[0] }, 6, 'with a slash, what it leads to');
    is(scalar @{ (walk "$tree/link", { root => 1, follow => 1 })[0] }, 6, 'as with follow');
    is(paths($_->[0], { root => 1, max_depth => 0, name => $_->[1] }) . '|' . (walk $_->[0], { root => 1, max_depth => 0, name => $_->[1] })[1],
        "|$_->[2]", "name: $_->[0]") for ["$tree//", 'tree', 1], ["$tree/f", 'g', 0], ['/', '/', 1], ["$tree/f", 'f', 1];
    is(join(' ', (walk "$tree/none", { root => 1 })[1, 2]), '-1 ' . POSIX::ENOENT, 'what is not there');
    is(join(' ', (walk $tree, { max_depth => 0 })[1, 2]), '0 0', 'max_depth 0 tells nothing without it');
    my @sums = lines($tree, { count => 1, root => 1 });
    is_deeply(\@sums, [7, 6, undef, 13], 'count: directories, others');
    @sums = lines($tree, { lines => "\0", root => 1 });
    is_deeply([@sums[0, 1, 3], sort split /\0/, $sums[2]], [7, 6, 13, $tree, map "$tree/$_", split ' ', $sorted], 'lines');
    is((lines("$tree//", { lines => "\n", root => 1, types => 'd', max_depth => 0 }))[2], "$tree//\n", 'the root as it is named');
    is((lines("$tree//", { lines => '!', name => 'f' }))[2], "$tree/f!", 'and without its slashes before others');
    is((lines('/', { lines => "\n", prune => '*', max_depth => 1, name => 'tmp' }))[2], "/tmp\n", 'below /') if -d '/tmp';
    croaks { aio_walk $tree, { lines => $_ }, sub { } } qr/aio_walk: lines must be one octet/, "lines: '$_'" for '', 'xy';

    # what is asked for
    my %stat = map { $_->[0] => $_ } @{ (walk $tree, { stat => 1, links => 1 })[0] };
    is_deeply($stat{'a/f.c'}[4], [lstat "$tree/a/f.c"], 'stat: as lstat has it');
    is($stat{'a/f.c'}[3], undef, 'no error');
    my @link = lstat "$tree/link";
    $_->[8] = 'when its text was read' for $stat{link}[4], \@link;
    is_deeply($stat{link}[4], \@link, 'of a link itself');
    is($stat{link}[5], 'a', 'links: its text');
    truncate "$tree/f", 1000 or die "truncate: $!";
    utime 1e9, 1e9, "$tree/a/f.c" or die "utime: $!";
    is(paths($tree, { types => 'f', min_size => 5 }), 'f', 'min_size');
    is(paths($tree, { types => 'f', name => '[af]*', max_size => 4 }), 'a/f.c', 'max_size') or diag explain \%stat;
    is(paths($tree, { older => 1e9 }), 'a/f.c', 'older');
    is(paths($tree, { newer => 1e9 + 1, types => 'f', name => '*.c' }), 'a/b/g.c', 'newer');

    # links that are followed
    symlink '../..', "$tree/a/b/up" or die "symlink: $!";
    symlink 'none', "$tree/broken" or die "symlink: $!";
    my ($followed) = walk $tree, { follow => 1 };
    my %path = map { $_->[0] => $_ } grep !$_->[3], @$followed;
    is($path{'link/b/c/h.o'}[1], IO::AIO::DT_REG, 'follow: what is behind a link');
    is($path{broken}[1], IO::AIO::DT_LNK, 'a broken link is one');
    is($path{link}[1], IO::AIO::DT_DIR, 'one to a directory is a directory');
    my %error = map { $_->[0] => $_->[3] } grep $_->[3], @$followed;
    is(join(' ', sort keys %error), 'a/b/up link/b/up', 'loops are found');
    ok((grep { $_ == POSIX::ELOOP() && /\D/ } values %error) == 2, 'with ELOOP, number and text');
    unlink "$tree/a/b/up", "$tree/broken";

    # trees of all kinds
    for my $make (thinned ? () : \&octet_tree, sub { random_tree($_[0], extended ? 20000 : thinned ? 200 : 1000) }) {
        my $root = fresh_dir;
        $make->($root);
        my $want = reference($root);
        is_deeply(found($root), $want, 'a generated tree');
        is_deeply(found($root, { parallel => 1 }), $want, 'by one thread');
        is_deeply(found($root, { stat => 1 }), $want, 'with stat');
        is_deeply(found($root, { sort => 1 }), $want, 'in order');
        is_deeply(found($root, { prune => sub { 0 } }), $want, 'with code that prunes nothing');
        my @order = map $_->[0], @{ (walk $root, { sort => 1 })[0] };
        is_deeply(\@order, [map s{\0}{/}gr, sort map s{/}{\0}gr, @order], 'in the order of names');
    }

    # many directories wait, many levels: a comb, in which each level has some
    my $comb = fresh_dir;
    my ($levels, $want) = (extended ? 3000 : thinned ? 60 : 300, 0);
    in_child {
        chdir $comb or die "$comb: $!";
        for (1 .. $levels) { mkdir $_ or die "mkdir: $!" for 'a', 'd', 'z'; write_file 'a/f'; chdir 'd' or die "chdir: $!" }
    };
    my $descriptors = sub { opendir my $dh, '/proc/self/fd' or return 0; scalar grep !/^\./, readdir $dh };
    my ($before, $most, $n) = ($descriptors->(), 0, 0);
    aio_walk $comb, undef, sub { my $now = $descriptors->(); $most = $now if $most < $now; $n += @{ $_[0] } },
        sub { is("$_[0] $n", $levels * 4 . ' ' . $levels * 4, "$levels levels") };
    IO::AIO::flush;
    cmp_ok($most - $before, '<', 120, 'with few descriptors');
    is((walk $comb, { sort => 1 })[1], $levels * 4, 'in order');
    is((walk $comb, { follow => 1 })[1], $levels * 4, 'following links');
    SKIP: {
        skip 'no rm', 1 if system 'rm', '-rf', $comb;
        pass('removed');
    }

    # what goes wrong
    for (
        ['ENOENT',  'a missing directory', "$dir/none"],
        ['ENOENT',  'the empty name',      ''],
        ['ENOTDIR', 'a file',              "$tree/f"],
        ['ENOENT',  'a name with a NUL',   "$tree\0"],
        )
    {
        my ($error, $name, $path) = @$_;
        my ($got, $status, $errno) = walk $path;
        is(@$got . " $status " . errno_name($errno), "0 -1 $error", "$name: $error");
    }
    chmod 0711, $tree;
    chmod 0, "$tree/a/b";
    my $said = as_nobody {
        chmod 0755, $tree;
        my ($got, $status) = walk $tree;
        join ' ', $status, map "$_->[0]:" . errno_name($_->[3]), grep $_->[3], @$got;
    };
    like($said, qr{^(?:-1|\d+ a/b:EACCES)$}, 'a directory without permission is told, and the walk goes on');
    chmod 0755, $tree, "$tree/a/b";
    chmod 0, "$tree/a/b";
    $said = as_nobody { my ($got, $status) = walk $tree; join ' ', $status, map "$_->[0]:" . errno_name($_->[3]), grep $_->[3], @$got };
    is($said, '9 a/b:EACCES', 'after it was told as an entry');
    chmod 0755, "$tree/a/b";

    # arguments
    croaks { aio_walk $tree, { depth => 1 }, sub { } } qr/aio_walk: unknown option "depth"/, 'an unknown option';
    croaks { aio_walk $tree, [], sub { } } qr/aio_walk: options must be a hash/, 'options that are none';
    croaks { aio_walk $tree, { types => 'fx' }, sub { } } qr/aio_walk: types must be letters/, 'types that are none';
    croaks { aio_walk $tree, { max_depth => -1 }, sub { } } qr/aio_walk: max_depth must be a number/, 'a negative depth';
    croaks { aio_walk $tree, { parallel => 0 }, sub { } } qr/aio_walk: parallel must be at least 1/, 'no threads';
    croaks { aio_walk $tree, { name => {} }, sub { } } qr/aio_walk: name must be a pattern/, 'a pattern that is none';
    croaks { aio_walk $tree, { name => "\x{100}" }, sub { } } qr/aio_walk: .*name.*wide character/, 'a wide pattern';
    croaks { aio_walk $tree, { newer => 'NaN' }, sub { } } qr/aio_walk: newer must be a number/, 'a time that is none';
    croaks { aio_walk $tree, undef, 17 } qr/aio_walk: callback must be/, 'a callback that is none';

    # a group
    my ($n_batches, $seen) = (0, '');
    my $group = aio_group sub { $seen .= ' group' };
    aioreq_pri 4;
    my $req = aio_walk $tree, undef, undef, sub { $seen .= "walk @_" };
    isa_ok($req, 'IO::AIO::GRP', 'what it returns');
    add $group $req;
    IO::AIO::flush;
    is($seen, 'walk 12 group', 'as a member of a group, without a batch callback');
    aio_walk $tree, undef, sub { };
    IO::AIO::flush;
    pass('without a callback');

    # cancel
    hold;
    $req = aio_walk $tree, undef, sub { fail('a batch') }, sub { fail('called back') };
    $req->cancel;
    release;
    IO::AIO::flush;
    my $many = fresh_dir;
    for my $i (1 .. 30) { mkdir "$many/$i" or die "mkdir: $!"; link "$tree/f", "$many/$i/$_" for 1 .. 200 }
    my $batches = 0;
    $req = aio_walk $many, undef, sub { $req->cancel; $batches++ }, sub { fail('called back') };
    IO::AIO::flush;
    is($batches, 1, 'cancelled in a batch, there is no other, and no callback');
    $n = 0;
    aio_walk $many, undef, sub { $n += @{ $_[0] }; die "oops\n" if !$batches++; }, sub { $n .= " @_" };
    $batches = 0;
    eval { IO::AIO::flush };
    is($@, "oops\n", 'an exception goes to who polls');
    IO::AIO::flush;
    is($n, '6030 6030', 'and the walk goes on');

    # a walk of which nobody takes batches waits, with bounded memory
    if ($engine ne 'sync') {
        my $big = fresh_dir;
        my $files = extended ? 500 : 150;
        for my $i (1 .. 100) { mkdir "$big/$i" or die "mkdir: $!"; link "$tree/f", "$big/$i/$_" for 1 .. $files }
        aio_walk $big, { parallel => 2 }, sub { }, sub { is($_[0], 100 * (1 + $files), 'all, after a pause') };
        wait_for { IO::AIO::npending };
        cmp_ok(IO::AIO::nreqs, '<=', 4, 'few steps are under way');
        IO::AIO::flush;
    }
};

done;
