use strict;
use warnings;
no warnings 'uninitialized';    # undef is among the arguments
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Cwd ();
use IO::AIO;

# aio_rename2 with all flags, and aio_realpath.

my ($noreplace, $exchange, $whiteout) = (IO::AIO::RENAME_NOREPLACE, IO::AIO::RENAME_EXCHANGE, IO::AIO::RENAME_WHITEOUT);
my $home = Cwd::getcwd();

sub pair { my $dir = fresh_dir; write_file "$dir/a", 'A'; write_file "$dir/b", 'B'; mkdir "$dir/d" or die "mkdir: $!"; $dir }
sub state_of { my ($dir) = @_; join ' ', map { -f "$dir/$_" ? "$_=" . read_file("$dir/$_") : -d _ ? "$_/" : "$_?" } names_in $dir }

each_engine {
    # from, to, flags, result, and what is there then
    for my $t (
        ['a', 'c', 0,          'ok',     'b=B c=A d/',    'flags 0 is rename'],
        ['a', 'c', undef,      'ok',     'b=B c=A d/',    'so is undef'],
        ['a', 'b', 0,          'ok',     'b=A d/',        'which replaces'],
        ['a', 'd', 0,          'EISDIR', 'a=A b=B d/',    'but no directory'],
        ['d', 'a', 0,          'ENOTDIR', 'a=A b=B d/',   'nor by one'],
        ['a', 'a', 0,          'ok',     'a=A b=B d/',    'to itself'],
        ['none', 'c', 0,       'ENOENT', 'a=A b=B d/',    'what is missing'],
        ['a', 'none/c', 0,     'ENOENT', 'a=A b=B d/',    'to what is missing'],
        ['a', 'b/c', 0,        'ENOTDIR', 'a=A b=B d/',   'below a file'],
        ['d', 'd/e', 0,        'EINVAL', 'a=A b=B d/',    'below itself'],
        ['', 'c', 0,           'ENOENT', 'a=A b=B d/',    'an empty name'],
        ['a', 'x' x 256, 0,    'ENAMETOOLONG', 'a=A b=B d/', 'a name too long'],
    ) {
        my ($from, $to, $flags, $want, $then, $name) = @$t;
        rename2_is($from, $to, $flags, $want, $then, $name);
    }
  SKIP: {
        skip 'no flags here', 1 unless $noreplace && renames_with($noreplace);
        for my $t (
            ['a', 'c', $noreplace, 'ok',     'b=B c=A d/',    'NOREPLACE to a new name'],
            ['a', 'b', $noreplace, 'EEXIST', 'a=A b=B d/',    'NOREPLACE to an old one'],
            ['a', 'd', $noreplace, 'EEXIST', 'a=A b=B d/',    'NOREPLACE to a directory'],
            ['none', 'c', $noreplace, 'ENOENT', 'a=A b=B d/', 'NOREPLACE of what is missing'],
            ['a', 'b', $exchange,  'ok',     'a=B b=A d/',    'EXCHANGE'],
            ['a', 'd', $exchange,  'ok',     'a/ b=B d=A',    'EXCHANGE with a directory'],
            ['a', 'none', $exchange, 'ENOENT', 'a=A b=B d/',  'EXCHANGE with what is missing'],
            ['a', 'b', $noreplace | $exchange, 'EINVAL', 'a=A b=B d/', 'both'],
            ['a', 'b', 1 << 20,    'EINVAL', 'a=A b=B d/',    'an unknown flag'],
            ['a', 'b', -1,         'EINVAL', 'a=A b=B d/',    'all flags'],
        ) {
            my ($from, $to, $flags, $want, $then, $name) = @$t;
            rename2_is($from, $to, $flags, $want, $then, $name);
        }
      SKIP: {
            skip 'no RENAME_WHITEOUT here, or not allowed', 2 unless renames_with($whiteout);
            my $dir = pair;
            succeeds { aio_rename2 "$dir/a", "$dir/c", $whiteout, $_[0] } 'WHITEOUT';
            is((lstat "$dir/a")[2] >> 12, 2, 'leaves a character device');
        }
    }

    # flags work relative to directories as well
    my $dir = pair;
    my $wd = (run_req { aio_wd $dir, $_[0] })[1];
    fails_with { aio_rename2 [$wd, 'a'], [$wd, 'b'], $noreplace, $_[0] } 'EEXIST', 'NOREPLACE with [wd, name]' if renames_with($noreplace);
    succeeds { aio_rename2 [$wd, 'a'], "$dir/c", 0, $_[0] } 'from [wd, name]';
    succeeds { aio_rename2 "$dir/c", [$wd, 'a'], 0, $_[0] } 'to [wd, name]';
    is(state_of($dir), 'a=A b=B d/', 'all in place');

    # the callback may be left out: three arguments or two
    aio_rename2 "$dir/a", "$dir/c", 0;
    IO::AIO::flush;
    aio_rename2 "$dir/c", "$dir/a";
    IO::AIO::flush;
    is(state_of($dir), 'a=A b=B d/', 'without callback');
    croaks { aio_rename2 "$dir/\x{100}", "$dir/c", 0, sub { } } qr/./, 'wide characters croak';
    croaks { aio_rename2 "$dir/a", "$dir/c", 0, 'no function' } qr/callback/, 'so does what is no callback';
    is(state_of($dir), 'a=A b=B d/', 'and does nothing');
};

sub rename2_is {
    my ($from, $to, $flags, $want, $then, $name) = @_;
    my $dir = pair;
    chdir $dir or die "$dir: $!";
    my ($errno, @res) = run_req { aio_rename2 $from, $to, $flags, $_[0] };
    is("@res", $want eq 'ok' ? 0 : -1, $name);
    is(errno_name($errno), $want, "$name: $want") if $want ne 'ok';
    is(state_of($dir), $then, "$name: then");
    chdir $home or die "$home: $!";
}

# ---- aio_realpath --------------------------------------------------------------------------------

each_engine {
    my $dir = Cwd::realpath(fresh_dir);
    mkdir "$dir/$_" or die "$_: $!" for 'a', 'a/b', 'sp ace', "line\n", "\xe4";
    write_file "$dir/a/f", 'x';
    my %link = (
        to_a => 'a', to_f => 'a/f', abs => "$dir/a/b", up => 'a/b/..', chain => 'to_to_a', to_to_a => 'to_a',
        dangling => 'none', loop => 'loop', loop1 => 'loop2', loop2 => 'loop1', dot => '.', slash => 'a/', 'a/back' => '../to_f', file_slash => 'a/f/',
    );
    for my $name (sort keys %link) { symlink $link{$name}, "$dir/$name" or die "$name: $!" }

    chdir $dir or die "$dir: $!";
    # path, and its real path below the directory, or an error
    for my $t (
        ['.', ''], ['a', '/a'], ['a/', '/a'], ['./a/./b/.', '/a/b'], ['a/b/..', '/a'], ['a//b', '/a/b'], ['a/b/../..', ''],
        ['to_a', '/a'], ['to_a/', '/a'], ['to_a/b', '/a/b'], ['to_a/..', ''], ['to_f', '/a/f'], ['abs', '/a/b'], ['abs/..', '/a'],
        ['up', '/a'], ['chain/f', '/a/f'], ['dot/dot/dot', ''], ['slash', '/a'], ['a/back', '/a/f'], ['sp ace', '/sp ace'],
        ["line\n", "/line\n"], ["\xe4", "/\xe4"], ['a/' . './' x 1000 . 'f', '/a/f'], ['to_a/../' x 10 . 'a', '/a'],
        ['none', 'ENOENT'], ['none/..', 'ENOENT'], ['dangling', 'ENOENT'], ['dangling/x', 'ENOENT'], ['', 'ENOENT'], [undef, 'ENOENT'],
        ['a/f/x', 'ENOTDIR'], ['loop', 'ELOOP'], ['loop1', 'ELOOP'], ['loop/x', 'ELOOP'], ['x' x 256, 'ENAMETOOLONG'], ["a\0b", 'ENOENT', 'ours'],
        ['a/f/', 'ENOTDIR', 'ours'], ['a/f/.', 'ENOTDIR', 'ours'], ['a/f/..', 'ENOTDIR', 'ours'], ['to_f/', 'ENOTDIR', 'ours'], ['file_slash', 'ENOTDIR', 'ours'],
    ) {
        my ($path, $want, $ours) = @$t;
        my $name = defined $path ? length $path > 40 ? substr($path, 0, 40) . '...' : $path : 'undef';
        $name =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;
        my $test = sub {
            my ($errno, @res) = run_req { aio_realpath $path, $_[0] };
            my $got = @res ? "@res" : errno_name($errno);
            is($got, $want =~ /^E/ ? $want : "$dir$want", "realpath of '$name'");
        };
        $ours ? &ours($test, 'takes names as they are not') : $test->();
    }
    chdir $home or die "$home: $!";

    is((run_req { aio_realpath '/', $_[0] })[1], '/', 'of the root');
    is((run_req { aio_realpath '//', $_[0] })[1], '/', 'with two slashes');
    is((run_req { aio_realpath '/..', $_[0] })[1], '/', 'and of what is above');
    is((run_req { aio_realpath "/../$dir//a/", $_[0] })[1], "$dir/a", 'an absolute one');
    is((run_req { aio_realpath '.', $_[0] })[1], Cwd::getcwd(), 'the current directory');

    # long: deeper than a path may be long, reached step by step
    my $deep = $dir;
    my $name = 'd' x 200;
    for (1 .. 15) { $deep .= "/$name"; mkdir $deep or die "$deep: $!" }
    is((run_req { aio_realpath "$deep/./../$name", $_[0] })[1], $deep, 'a long path');

    # links without end: as many as the kernel follows, no more
    symlink 'a', "$dir/l0" or die "symlink: $!";
    for (1 .. 60) { symlink 'l' . ($_ - 1), "$dir/l$_" or die "symlink: $!" }
    is((run_req { aio_realpath "$dir/l20", $_[0] })[1], "$dir/a", '20 links in a row');
    is(errno_name((run_req { aio_realpath "$dir/l60", $_[0] })[0]), 'ELOOP', '60 are too many');

    my ($errno, @res) = run_req { aio_realpath "$dir/none", $_[0] };
    is(scalar @res, 0, 'no argument at all when it fails');

    {
        chmod 0, "$dir/a/b" or die "chmod: $!";
        my ($denied, $fine) = as_nobody {
            my ($errno) = run_req { aio_realpath "$dir/a/b/c", $_[0] };
            (errno_name($errno), (run_req { aio_realpath "$dir/a/b", $_[0] })[1]);
        };
        is($denied, 'EACCES', 'a directory that may not be searched');
        is($fine, "$dir/a/b", 'itself is fine');
        chmod 0755, "$dir/a/b";
    }
    croaks { aio_realpath "\x{100}", sub { } } qr/./, 'wide characters croak';
    if (-l '/proc/self') {
        is((run_req { aio_realpath '/proc/self', $_[0] })[1], "/proc/$$", 'a magic link');
    }
};

done;
