use strict;
use warnings;
no warnings 'uninitialized';    # undef is among the modes
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use IO::AIO;

# aio_mkpath: a directory, and those above it. As IO::AIO::Util has it, to programs.

plan skip_all => 'the peer has none' if is_peer;
IO::AIO->import('aio_mkpath');
ok(!grep($_ eq 'aio_mkpath', @IO::AIO::EXPORT), 'exported on request only');
is(prototype 'IO::AIO::aio_mkpath', '$;$$', 'the arguments');
sub mkpath { IO::AIO::aio_mkpath($_[0], $_[1], $_[2]) }

each_engine {
    my $dir = fresh_dir;
    umask 022;

    succeeds { mkpath("$dir/a/b/c", 0777, $_[0]) } 'three levels';
    is(mode_of("$dir/$_"), 0755, "$_ has mode and umask") for qw(a a/b a/b/c);
    succeeds { mkpath("$dir/a/b/c", 0777, $_[0]) } 'again';
    succeeds { mkpath("$dir/$_", 0777, $_[0]) } "again: $_" for qw(a/ a/b/.. a//b/./c);
    succeeds { mkpath("$dir/u/v", undef, $_[0]) } 'no mode';
    is(mode_of("$dir/u/v"), 0755, 'is the usual one');
    succeeds { mkpath("$dir/m/n/o", 0, $_[0]) } 'mode 0';
    is_deeply([map mode_of("$dir/$_"), qw(m m/n m/n/o)], [0300, 0300, 0], 'those above can be used by their owner');
    chmod 0700, map "$dir/$_", qw(m m/n m/n/o);

    my (undef, $wd) = run_req { aio_wd $dir, $_[0] };
    succeeds { mkpath([$wd, 'w/x'], 0700, $_[0]) } 'relative to a working directory';
    is(mode_of("$dir/w/x"), 0700, 'is there');
    succeeds { mkpath($wd, 0700, $_[0]) } 'the working directory itself';

    write_file "$dir/file", 'x';
    symlink 'nowhere', "$dir/dangling" or die "symlink: $!";
    fails_with { mkpath("$dir/file", 0777, $_[0]) } 'EEXIST', 'a file is there';
    fails_with { mkpath("$dir/file/x/y", 0777, $_[0]) } 'ENOTDIR', 'a file in the way';
    fails_with { mkpath("$dir/dangling/x", 0777, $_[0]) } 'EEXIST', 'a link to nothing in the way';
    fails_with { mkpath('', 0777, $_[0]) } 'ENOENT', 'no name';
    fails_with { mkpath("$dir/" . 'n' x 300 . '/x', 0777, $_[0]) } 'ENAMETOOLONG', 'a name too long';
    fails_with { mkpath("$dir/x", 2**40, $_[0]) } 'EINVAL', 'a mode that is none';
    is_deeply([names_in $dir], [sort qw(a u m w file dangling)], 'nothing else was made');

    chmod 0777, $dir;
    my $locked = "$dir/a";
    chmod 0555, $locked;
    my @got = as_nobody { run_req { mkpath("$locked/x/y", 0777, $_[0]) } };
    is_deeply([errno_name($got[0]), $got[1]], ['EACCES', -1], 'where nothing may be made');
    @got = as_nobody { run_req { mkpath("$locked/b/c", 0777, $_[0]) } };
    is($got[1], 0, 'but what is there is fine');
    chmod 0755, $locked;

    # many at once make the same directories
    my @status;
    mkpath("$dir/many/" . join('/', 1 .. 8) . "/$_", 0777, sub { push @status, $_[0] }) for 1 .. 40;
    IO::AIO::flush;
    is_deeply(\@status, [(0) x 40], 'many that share their directories');
    is(scalar(() = names_in("$dir/many/1/2/3/4/5/6/7/8")), 40, 'all are there');

    SKIP: {
        saturate or skip 'nothing waits on this engine', 1;
        my $called = 0;
        mkpath("$dir/cancelled/x", 0777, sub { $called++ })->cancel;
        release;
        IO::AIO::flush;
        ok(!$called && !-e "$dir/cancelled", 'cancelled in time, it makes nothing');
    }
    croaks { IO::AIO::aio_mkpath([], 0777) } 'aio_mkpath', 'no path';
    croaks { IO::AIO::aio_mkpath('x', sub { }) } 'aio_mkpath', 'no mode';
    croaks { IO::AIO::aio_mkpath('x', 0, 1) } 'aio_mkpath', 'no callback';
};

done;
