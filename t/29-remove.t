use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use IO::AIO qw(:DEFAULT :more);

# aio_remove: what goes, what stays, what is told; what it must not touch.

# [what is told to be gone, in order], [errors], and what the callback gets.
sub remove {
    my ($root, $options) = @_;
    my (@gone, @errors, @status);
    aio_remove $root, $options,
        sub { $_->[3] ? push @errors, "$_->[0]:" . errno_name($_->[3]) : push @gone, $_->[0] for @{ $_[0] } },
        sub { @status = (@_, $_[0] < 0 ? errno_name($! + 0) : ()) };
    IO::AIO::flush;
    return (\@gone, join(' ', sort @errors), "@status");
}

sub left {
    my ($dir, $path) = @_;
    opendir my $dh, "$dir/$path" or return;
    return map { my $name = length $path ? "$path/$_" : $_; ($name, !-l "$dir/$name" && -d _ ? left($dir, $name) : ()) }
        sort grep !/\A\.\.?\z/, readdir $dh;
}

sub make_tree {
    my ($tree) = @_;
    mkdir "$tree$_" or die "$tree$_: $!" for '', qw(/a /a/b /a/b/c /d /.e);
    write_file "$tree/$_", 'data' for qw(f.c f.o a/g.c a/b/h.o a/b/c/i.c .e/j.o);
    symlink '../outside', "$tree/d/link" or die "symlink: $!";
}

my @all = sort '', qw(a a/b a/b/c d .e f.c f.o a/g.c a/b/h.o a/b/c/i.c .e/j.o d/link);

each_engine {
    my $dir = fresh_dir;
    my $tree = "$dir/tree";
    mkdir "$dir/outside" or die "mkdir: $!";
    write_file "$dir/outside/precious";

    make_tree($tree);
    my ($gone, $errors, $status) = remove($tree);
    is_deeply([sort @$gone], \@all, 'all of a tree is told');
    is("$errors $status", ' ' . @all, 'without errors, and counted');
    ok(!-e $tree, 'and gone');
    is($gone->[-1], '', 'the directory itself last');
    my %at = map { $gone->[$_] => $_ } 0 .. $#$gone;
    is(join(' ', grep { m{(.*)/} && $at{$1} < $at{$_} } @$gone), '', 'each after what was in it');
    ok(-e "$dir/outside/precious", 'what a link led to is there');

    for (
        ['keep_root',    { keep_root => 1 }, ''],
        ['files',        { types => 'f' },   '.e a a/b a/b/c d d/link'],
        ['directories',  { types => 'd' },   '.e .e/j.o a a/b a/b/c a/b/c/i.c a/b/h.o a/g.c d d/link f.c f.o'],
        ['a name',       { name => '*.o' },  '.e a a/b a/b/c a/b/c/i.c a/g.c d d/link f.c'],
        ['prune',        { prune => 'b' },   'a a/b a/b/c a/b/c/i.c a/b/h.o'],
        ['prune by code', { prune => sub { $_[0] eq 'a/b' } }, 'a a/b a/b/c a/b/c/i.c a/b/h.o'],
        ['max_depth',    { max_depth => 1 }, '.e .e/j.o a a/b a/b/c a/b/c/i.c a/b/h.o a/g.c d d/link'],
        ['min_depth',    { min_depth => 2 }, '.e a d f.c f.o'],
        ['sizes',        { max_size => 3, types => 'f' }, join ' ', grep length, @all],
        )
    {
        my ($name, $options, $want) = @$_;
        for my $more ([], thinned ? () : [parallel => 1]) {
            make_tree($tree);
            my ($gone, $errors, $status) = remove($tree, { %$options, @$more });
            is(join(' ', left($tree, '')), $want, "$name: what stays");
            my %stays = map { $_ => 1 } split ' ', $want;
            is_deeply([sort @$gone], [grep { length ? !$stays{$_} : !-e $tree } @all], "$name: all else is told");
            is("$errors $status", ' ' . @$gone, "$name: no errors");
            remove($tree);
        }
    }

    make_tree($tree);
    my @told = (0, 0, '');
    aio_remove $tree, { lines => "\n" }, sub { $told[0] += $_[1]; $told[1] += $_[2]; $told[2] .= $_[3] }, sub { push @told, @_ };
    IO::AIO::flush;
    is_deeply([@told[0, 1, 3], sort split /\n/, $told[2]], [6, 7, 13, sort map length ? "$tree/$_" : $tree, @all], 'lines');

    # deep, and wide
    my ($levels, $n) = (extended ? 3000 : thinned ? 60 : 200, 0);
    mkdir $tree or die "mkdir: $!";
    in_child {
        chdir $tree or die "$tree: $!";
        for (1 .. $levels) { mkdir $_ or die "mkdir: $!" for 'a', 'd', 'z'; write_file 'a/f'; chdir 'd' or die "chdir: $!" }
    };
    is((remove($tree))[2], $levels * 4 + 1, "$levels levels");
    ok(!-e $tree, 'are gone');
    mkdir $tree or die "mkdir: $!";
    my $files = thinned ? 10 : 100;
    for my $i (1 .. 50) { mkdir "$tree/$i" or die "mkdir: $!"; write_file "$tree/$i/$_" for 1 .. $files }
    is((remove($tree))[2], 50 * ($files + 1) + 1, 'many files');
    ok(!-e $tree, 'are gone');

    # what is no tree, and what cannot be removed
    symlink 'outside', "$dir/link" or die "symlink: $!";
    for (
        ['ENOENT',  'a missing directory',  "$dir/none"],
        ['ENOENT',  'the empty name',       ''],
        ['ENOTDIR', 'a file',               "$dir/outside/precious"],
        ['ENOTDIR', 'a link to a directory', "$dir/link"],
        ['ENOTDIR', 'with a slash',         "$dir/link/"],
        )
    {
        my ($error, $name, $path) = @$_;
        my ($gone, $errors, $status) = remove($path);
        is("@$gone $errors $status", "  -1 $error", "$name: $error");
    }
    ok(-e "$dir/outside/precious", 'nothing is lost');
    chmod 0777, $dir;
    my $said = as_nobody {
        make_tree("$dir/private");
        chmod 0, "$dir/private/a/b";
        chmod 0555, "$dir/private/.e";
        mkdir "$dir/private/sealed", 0;
        my ($gone, $errors, $status) = remove("$dir/private");
        join ' ', $errors, $status, left("$dir/private", '');
    };
    is($said, '.e/j.o:EACCES a/b:EACCES 6 .e .e/j.o a a/b', 'each error is told, once; the rest goes');
    chmod 0755, $dir, "$dir/private/a/b";
    remove("$dir/private");

    # cancel, and arguments
    make_tree($tree);
    hold;
    my $req = aio_remove $tree, undef, sub { fail('a batch') }, sub { fail('called back') };
    $req->cancel;
    release;
    IO::AIO::flush;
    ok(-e "$tree/f.c", 'cancelled before it ran it removes nothing') unless engine eq 'sync';
    croaks { aio_remove $tree, { follow => 1 }, undef } qr/aio_remove: unknown option "follow"/, 'an option of aio_walk only';
};

done;
