use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use IO::AIO qw(:DEFAULT aio_cptree aio_mvtree);

# aio_cptree: making a tree the same as another one, dry or not; and what it tells of what it does.

# status, errors, and what was told and counted
sub copy {
    my ($from, $to, $flags) = @_;
    my ($errno, $status, $errors, $done) = run_req { aio_cptree $from, $to, $flags, $_[0] };
    my @told = map "$_->[2] $_->[0]" . ($_->[1] ? ' ' . errno_name($_->[1]) : ''), @{ $done->{told} };
    s{^(copy|link) (?:a|d/again)$}{$1 name} for @told;    # which of the two comes first is by chance
    my $told = join '; ', sort @told;
    my $failed = join '; ', map "$_->[2] $_->[0] " . errno_name($_->[1]), @$errors;
    return ($status, $failed, $told, join ' ', map "$_=$done->{$_}", grep $_ ne 'told' && $done->{$_}, sort keys %$done);
}

# path => what it is
sub tree_of {
    my ($top, $path) = @_;
    my $name = join '/', $top, $path // ();
    my @st = lstat $name or return;
    my $is = sprintf '%o %d:%d %s', @st[2, 4, 5], -l _ ? readlink $name : -f _ ? "$st[9] " . read_file($name) : '';
    return ($path // '' => $is, -l $name || !-d _ ? () : map tree_of($top, join '/', $path // (), $_), names_in($name));
}

sub make {
    my ($top) = @_;
    mkdir "$top/$_" or die "$top/$_: $!" for qw(from from/d from/d/e from/was to to/d to/d/junk to/d/junk/deep to/full);
    write_file "$top/from/$_", "new $_" for qw(a d/b d/e/c was/f full same rights);
    write_file "$top/to/$_", "old" for qw(a d/junk/deep/x full/y was gone same rights);
    symlink 'nowhere', "$top/to/d/link" or die $!;
    symlink 'x', "$top/from/link" or die $!;
    link "$top/from/a", "$top/from/d/again" or die $!;
    for (qw(same rights)) {
        write_file "$top/to/$_", "new $_";
        utime 1e9, 1e9, "$top/from/$_", "$top/to/$_" or die $!;
    }
    chmod 0640, "$top/from/rights";
    chmod 0600, "$top/to/rights";
}

my $SYNC = IO::AIO::CP_SYNC() | IO::AIO::CP_TELL();
my $DRY = $SYNC | IO::AIO::CP_DRY();
my $DELETE = IO::AIO::CP_DELETE();

each_engine {
    my $dir = fresh_dir;
    make($dir);
    my ($from, $to) = ("$dir/from", "$dir/to");
    my $all = 'copy d/b; copy d/e/c; copy full; copy link; copy name; copy was/f; delete d/junk; delete d/link; delete full; '
        . 'delete gone; delete was; link name; mkdir d/e; mkdir was';
    my %before = tree_of($to);
    my $counts = 'deleted=5 directories=4 files=6 links=1 octets=38 spared=18 unchanged=2';
    is_deeply([copy($from, $to, $DRY | $DELETE)], [0, '', $all, $counts], 'dry: what would be done');
    is_deeply({ tree_of($to) }, \%before, 'nothing is');
    is_deeply([copy($from, "$dir/none", $DRY)], [0, '', 'copy d/b; copy d/e/c; copy full; copy link; copy name; copy rights; '
            . 'copy same; copy was/f; link name; mkdir ; mkdir d; mkdir d/e; mkdir was', 'directories=4 files=8 links=1 octets=56'],
        'dry: to where nothing is');
    ok(!-e "$dir/none", 'nothing still');
    my ($status, $errors) = copy($from, $to, $SYNC);
    is("$status $errors", '-1 rename full EISDIR', 'no directory gives way without CP_DELETE');
    is(join(' ', map -e "$to/$_" || 0, qw(gone d/junk/deep/x full/y)), '1 1 1', 'and nothing is removed');
    is(read_file("$to/was/f") . mode_of("$to/rights"), 'new was/f' . 0640, 'but all else gives way, and what stays gets its mode');
    is_deeply([(copy($from, $to, $SYNC | $DELETE))[0, 1]], [0, ''], 'with it');
    is_deeply({ tree_of($to) }, { tree_of($from) }, 'both are the same');
    is((stat "$to/a")[1], (stat "$to/d/again")[1], 'names of one file are');
    is_deeply([copy($from, $to, $DRY | $DELETE)], [0, '', '', 'directories=4 spared=61 unchanged=9'], 'nothing is left to do');

    # nobody is led elsewhere
    mkdir "$dir/precious";
    write_file "$dir/precious/x";
    symlink '../precious', "$to/out" or die $!;
    rename "$to/d", "$to/e" or die $!;
    symlink '../precious', "$to/d" or die $!;
    is_deeply([(copy($from, $to, $SYNC | $DELETE))[0, 1]], [0, ''], 'links in the target');
    ok(-e "$dir/precious/x", 'are not followed');
    is_deeply({ tree_of($to) }, { tree_of($from) }, 'but removed');

    # the source lies in the target, which a mount may hide from who compares names
    my $top = "$dir/top";
    mkdir "$top$_" or die $! for '', '/p', '/p/src', '/gone';
    write_file "$top$_" for '/p/src/a', '/gone/x';
    is_deeply([(copy("$top/p/src", $top, $DELETE | $_))[0, 1]], [-1, 'delete p EINVAL'], 'what the source is in is not removed')
        for $DRY, $SYNC;
    is(join(' ', map -e "$top$_" || 0, qw(/p/src/a /a /gone)), '1 1 0', 'but all else');
    write_file "$top/p/src/p";
    is_deeply([(copy("$top/p/src", $top, $DELETE | $SYNC))[0, 1]], [-1, 'remove p EINVAL'], 'nor does it give way');
    unlink "$top/p/src/p";
    mkdir "$top/p/src/p" or die $!;
    mkdir "$top/p/src/p/src" or die $!;
    is_deeply([(copy("$top/p/src", $top, $DELETE | $SYNC))[0, 1]], [-1, 'mkdir p/src EINVAL'], 'nor is the source its own target');
    is(join(' ', names_in "$top/p/src"), 'a p', 'it is as it was');

    # the root
    write_file "$dir/file", 'mine';
    symlink 'nowhere', "$dir/link" or die $!;
    for my $name (qw(file link)) {
        is_deeply([(copy($from, "$dir/$name", $DELETE | $_))[0, 1]], [-1, 'mkdir  ENOTDIR'], "no $name as the target's root gives way")
            for $DRY, $SYNC;
    }
    is(read_file("$dir/file") . readlink "$dir/link", 'minenowhere', 'they stay');

    # CP_FAIL with CP_MERGE, errors that are told, more than fit
    mkdir "$dir/$_" for qw(many others);
    write_file "$dir/$_" for map { ("many/$_", "others/$_") } 1 .. 130;
    write_file "$dir/many/new";
    my @got = copy("$dir/many", "$dir/others", IO::AIO::CP_FAIL() | IO::AIO::CP_MERGE() | IO::AIO::CP_TELL_ERRORS());
    is(scalar(split /; /, $got[1]), 100, 'a hundred errors');
    is(scalar(my @told = $got[2] =~ /EEXIST/g), 130, 'all are told');
    is($got[3], 'directories=1 failed=130 files=1', 'and counted');
    is((copy("$dir/many", "$dir/others", IO::AIO::CP_SKIP()))[3], 'directories=1 skipped=131', 'CP_SKIP');
    fails_with { my $cb = $_[0]; aio_cptree "$dir/a", "$dir/b", $_, sub { $cb->($_[0]) } } 'EINVAL', "flags $_"
        for $DELETE, IO::AIO::CP_DRY(), IO::AIO::CP_MERGE(), 0x8000, IO::AIO::CP_SYNC() | IO::AIO::CP_UPDATE();

    # what has been done so far
    my ($done, $end);
    my $req = aio_cptree "$dir/many", "$dir/copy", IO::AIO::CP_TELL(), sub { $end = $_[2] };
    is(ref(my $now = $req->progress), 'HASH', 'progress, any time');
    my @so_far = @{ $now->{told} };
    wait_for { push @so_far, @{ ($req->progress || {})->{told} || [] }; IO::AIO::poll_cb; $end };
    is(scalar(@so_far) + @{ $end->{told} }, 132, 'each is told once');
    is($end->{files}, 131, 'and counted');
    is($req->progress, undef, 'a request that is done has none');
    is((my $nop = aio_nop sub { })->progress, undef, 'nor has another one');
    IO::AIO::flush;
    my (undef, undef, undef, $moved) = run_req { aio_mvtree "$dir/copy", "$dir/moved", $_[0] };
    is($moved->{octets}, 0, 'a move tells, too');
  SKIP: {
        my $mount = "$dir/many/mount";
        mkdir $mount or die $!;
        system("mount -t tmpfs none '$mount' 2>/dev/null") == 0 or skip 'cannot mount', 6;
        write_file "$mount/x";
        is((copy("$dir/many", "$dir/one", IO::AIO::CP_ONE_FS()))[0], 0, 'CP_ONE_FS');
        is_deeply([-d "$dir/one/mount", names_in "$dir/one/mount"], [1], 'the mount point is there, and empty');
        system('umount', $mount);

        my ($there, $gone) = ("$dir/others/mount", "$dir/others/gone");
        mkdir $_ or die $! for $there, $gone, "$gone/mount";
        for ($there, "$gone/mount") {
            system('mount', '-t', 'tmpfs', 'none', $_) == 0 or die;
            write_file "$_/precious";
        }
        write_file "$mount/new";
        my ($status, $errors) = copy("$dir/many", "$dir/others", $SYNC | $DELETE | IO::AIO::CP_ONE_FS());
        is($status, -1, 'mount points in the target');
        is($errors, 'delete gone ENOTEMPTY', 'one is in the way');
        is(join(' ', map names_in($_), $there, "$gone/mount"), 'new precious precious', 'nothing is deleted in them');
        is(system('umount', $there, "$gone/mount"), 0, 'away with them');
    }
};

done;
