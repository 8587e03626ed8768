use strict;
use warnings;
no warnings 'uninitialized';    # undef is among the paths
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Cwd ();
use Fcntl qw(:DEFAULT :mode);
use IO::AIO;

# Working directory objects: aio_wd, IO::AIO::CWD, and [$wd, $path] or $wd alone for every path argument of
# every request.

my $home = Cwd::getcwd();

sub wd { my ($path) = @_; (run_req { aio_wd $path, $_[0] })[1] }

# A directory with a file, a link to it, an empty and a full directory.
sub tree {
    my $dir = fresh_dir . '/tree';
    mkdir $_ or die "$_: $!" for $dir, "$dir/empty", "$dir/full";
    write_file "$dir/file", '0123456789';
    write_file "$dir/full/inner", 'inner';
    symlink 'file', "$dir/link" or die "symlink: $!";
    $dir;
}

sub is_names { my ($got, @want) = @_; ref $got && "@{[sort @$got]}" eq "@want" }

my $noreplace = renames_with(IO::AIO::RENAME_NOREPLACE) ? IO::AIO::RENAME_NOREPLACE : 0;

# For each path argument: the request with it, the name in the tree that it gets, what is true of results and tree
# afterwards, and what happens when it is the directory itself ("ok" or an error).
#            request         name     call: path, tree, callback                         then: tree, results                         itself
my @paths = (
    ['wd'            => 'empty',  sub { aio_wd $_[0], $_[2] },                           sub { ref $_[1] eq 'IO::AIO::WD' },         'ok'],
    ['open'          => 'file',   sub { aio_open $_[0], O_RDONLY, 0, $_[2] },            sub { $_[1] && -s $_[1] == 10 },            'ok'],
    ['open to write' => 'new',    sub { aio_open $_[0], O_WRONLY|O_CREAT, 0600, $_[2] }, sub { $_[1] && mode_of("$_[0]/new") == 0600 }, 'EISDIR'],
    ['stat'          => 'link',   sub { aio_stat $_[0], $_[2] },                         sub { !$_[1] },                             'ok'],
    ['lstat'         => 'link',   sub { aio_lstat $_[0], $_[2] },                        sub { !$_[1] },                             'ok'],
    ['statvfs'       => 'file',   sub { aio_statvfs $_[0], $_[2] },                      sub { $_[1]{bsize} },                       'ok'],
    ['utime'         => 'file',   sub { aio_utime $_[0], 1, 2, $_[2] },                  sub { (stat "$_[0]/file")[9] == 2 },        'ok'],
    ['chown'         => 'file',   sub { aio_chown $_[0], -1, -1, $_[2] },                sub { !$_[1] },                             'ok'],
    ['chmod'         => 'file',   sub { aio_chmod $_[0], 0750, $_[2] },                  sub { mode_of("$_[0]/file") == 0750 },      'ok'],
    ['truncate'      => 'file',   sub { aio_truncate $_[0], 3, $_[2] },                  sub { -s "$_[0]/file" == 3 },               'EISDIR'],
    ['unlink'        => 'file',   sub { aio_unlink $_[0], $_[2] },                       sub { !-e "$_[0]/file" },                   'EISDIR EPERM'],
    ['mknod'         => 'new',    sub { aio_mknod $_[0], S_IFIFO|0600, 0, $_[2] },       sub { -p "$_[0]/new" },                     'EEXIST'],
    ['link from'     => 'file',   sub { aio_link $_[0], "$_[1]/new", $_[2] },            sub { (stat "$_[0]/new")[3] == 2 },         'EPERM'],
    ['link to'       => 'new',    sub { aio_link "$_[1]/file", $_[0], $_[2] },           sub { (stat "$_[0]/new")[3] == 2 },         'EEXIST'],
    ['symlink to'    => 'new',    sub { aio_symlink "some text", $_[0], $_[2] },         sub { readlink("$_[0]/new") eq 'some text' }, 'EEXIST'],
    ['readlink'      => 'link',   sub { aio_readlink $_[0], $_[2] },                     sub { $_[1] eq 'file' },                    'EINVAL'],
    ['realpath'      => 'link',   sub { aio_realpath $_[0], $_[2] },                     sub { $_[1] eq Cwd::realpath("$_[0]/file") }, 'ok'],
    ['rename from'   => 'file',   sub { aio_rename $_[0], "$_[1]/new", $_[2] },          sub { -f "$_[0]/new" && !-e "$_[0]/file" }, 'ok'],
    ['rename to'     => 'new',    sub { aio_rename "$_[1]/file", $_[0], $_[2] },         sub { -f "$_[0]/new" && !-e "$_[0]/file" }, 'EBUSY'],
    ['rename2 from'  => 'file',   sub { aio_rename2 $_[0], "$_[1]/new", $noreplace, $_[2] }, sub { -f "$_[0]/new" }, 'ok'],
    ['rename2 to'    => 'new',    sub { aio_rename2 "$_[1]/file", $_[0], $noreplace, $_[2] }, sub { -f "$_[0]/new" }, 'EBUSY EEXIST'],
    ['mkdir'         => 'new',    sub { aio_mkdir $_[0], 0700, $_[2] },                  sub { -d "$_[0]/new" },                     'EEXIST'],
    ['rmdir'         => 'empty',  sub { aio_rmdir $_[0], $_[2] },                        sub { !-e "$_[0]/empty" },                  'ok'],
    ['readdir'       => 'full',   sub { aio_readdir $_[0], $_[2] },                      sub { is_names($_[1], 'inner') },           'ok'],
    ['readdirx'      => 'full',   sub { aio_readdirx $_[0], IO::AIO::READDIR_STAT_ORDER, $_[2] }, sub { is_names($_[1], 'inner') },  'ok'],
    ['slurp'         => 'file',   sub { aio_slurp $_[0], 2, 3, my $data, $_[2] },        sub { $_[1] == 3 },                         'EISDIR'],
    ['load'          => 'file',   sub { aio_load $_[0], my $data, $_[2] },               sub { $_[1] == 10 },                        'EISDIR'],
    ['copy from'     => 'file',   sub { aio_copy $_[0], "$_[1]/new", $_[2] },            sub { -s "$_[0]/new" == 10 },               'EISDIR'],
    ['copy to'       => 'new',    sub { aio_copy "$_[1]/file", $_[0], $_[2] },           sub { -s "$_[0]/new" == 10 },               'EISDIR'],
    ['move from'     => 'file',   sub { aio_move $_[0], "$_[1]/new", $_[2] },            sub { -s "$_[0]/new" == 10 && !-e "$_[0]/file" }, 'ok'],
    ['move to'       => 'new',    sub { aio_move "$_[1]/file", $_[0], $_[2] },           sub { -s "$_[0]/new" == 10 && !-e "$_[0]/file" }, 'EBUSY'],
    ['scandir'       => 'full',   sub { aio_scandir $_[0], 0, $_[2] },                   sub { is_names($_[1]) && is_names($_[2], 'inner') }, 'ok'],
    ['rmtree'        => 'full',   sub { aio_rmtree $_[0], $_[2] },                       sub { !-e "$_[0]/full" },                   'ok'],
    ['pathsync'      => 'file',   sub { aio_pathsync $_[0], $_[2] },                     sub { !$_[1] },                             'ok'],
);

# What a build cannot do at all says so, whatever the path.
my %needs = (statvfs => 'STATVFS', 'rename2 from' => 'RENAMEAT2', 'rename2 to' => 'RENAMEAT2');
for my $row (grep { $needs{ $_->[0] } && without $needs{ $_->[0] } } @paths) {
    my ($request, $rel, $call) = @$row;
    my $dir = tree;
    my ($errno, @res) = run_req { $call->([wd($dir), $rel], $dir, $_[0]) };
    is(errno_name($errno), 'ENOSYS', "$request: ENOSYS");
    ok(-e "$dir/file", 'and nothing happens');
}
@paths = grep { !$needs{ $_->[0] } || !without $needs{ $_->[0] } } @paths;

# Without the calls that take a directory's descriptor an object is the name that the directory had.
my $by_name = without 'AT';

# Where it is by now is what /proc says; aio_realpath goes by names anyway.
my %by_proc = (realpath => 1, wd => !procfs);

sub failed { !@_ || !defined $_[0] || $_[0] eq '-1' }

sub contents {
    my ($dir) = @_;
    join ' ', map { my @st = lstat; s{^\Q$dir\E/}{}; "$_:" . ($st[2] & 07777) . ":$st[7]:$st[9]" } sort map { my $d = $_; -d $d ? map "$d/$_", names_in $d : () } $dir, "$dir/empty", "$dir/full";
}

# The same request with its path given in one way; it must succeed and have done its work.
sub way {
    my ($name, $make) = @_;
    my ($dir, $was);
    for my $row (@paths) {
        my ($request, $rel, $call, $then) = @$row;
        unless (defined $dir && contents($dir) eq $was) {
            $dir = tree;
            $was = contents($dir);
        }
        my ($path, $now) = $make->($dir, $rel, $request);
        next unless defined $path;
        $now ? undef $dir : ($now = $dir);    # a tree that was moved is not used again
        my $test = sub {
            my ($errno, @res) = eval { run_req { $call->($path, $now, $_[0]) } };
            ok(!$@ && !failed(@res) && $then->($now, @res), "$name: $request") or diag($@ || errno_name($errno));
        };
        $request =~ /^(?:wd|symlink to|scandir|rmtree)$/ ? &ours($test, 'often fails with a pair') : $test->();
        chdir $home or die "$home: $!";
    }
}

# What the file system says of a directory that is gone: FUSE may not know it any more (ESTALE).
my %gone = in_child {
    my $dir = fresh_dir;
    chdir $dir and rmdir $dir or die "$dir: $!";
    my %try = (name => sub { stat 'name' }, itself => sub { stat '.' }, make => sub { mkdir 'x' });
    map { $_ => $try{$_}->() ? 'ok' : errno_name($!) } sort keys %try;
};

# The same request with a path that must fail with ENOENT (or so), and touch nothing.
sub nowhere {
    my ($name, $make, $want) = @_;
    $want ||= 'ENOENT';
    my $dir = tree;
    my $was = contents($dir);
    for my $row (@paths) {
        my ($request, $rel, $call) = @$row;
        ours {
            my $path = $make->($dir, $rel);
            chdir $dir or die "$dir: $!";
            my ($errno, @res) = eval { run_req { $call->($path, $dir, $_[0]) } };
            ok(!$@ && failed(@res), "$name: $request fails") or diag($@ || "got @res");
            is(errno_name($errno || 0), $want, "$name: $request: $want");
            is(contents($dir), $was, "$name: $request touches nothing");
            chdir $home or die "$home: $!";
        } 'crashes on some';
    }
}

each_engine {
    way 'path'            => sub { "$_[0]/$_[1]" };
    way '[wd, name]'      => sub { [wd($_[0]), $_[1]] };
    way '[wd, below/..]'  => sub { [wd($_[0]), "full/../$_[1]"] };
    way '[wd, absolute]'  => sub { [wd('/'), "$_[0]/$_[1]"] };
    return if thinned;
    way '[wd below, ..]'  => sub { [wd("$_[0]/full"), "../$_[1]"] };
    way '[CWD, absolute]' => sub { [IO::AIO::CWD, "$_[0]/$_[1]"] };
    way '[CWD, name]'     => sub { chdir $_[0]; [IO::AIO::CWD, $_[1]] };
    way 'name'            => sub { chdir $_[0]; $_[1] };
    way 'after chdir'     => sub { my $path = [do { chdir $_[0]; wd('.') }, $_[1]]; chdir '/'; $path };
    way 'wd of [wd, name]' => sub { my $up = wd("$_[0]/.."); [wd([$up, 'tree']), $_[1]] };
    way 'through a link'  => sub { symlink 'tree', "$_[0]/../to"; [wd("$_[0]/../to"), $_[1]] };

    # the directory that the object was made of, wherever it is now; aio_realpath goes by names
    if ($by_name) {
        my $dir = tree;
        my $wd  = wd($dir);
        rename $dir, "$dir-2" or die "rename: $!";
        fails_with { aio_stat [$wd, 'file'], $_[0] } 'ENOENT', 'an object of a renamed directory';
        mkdir $dir or die "$dir: $!";
        fails_with { aio_stat [$wd, 'file'], $_[0] } 'ENOENT', 'it is the one that has the name now';
        write_file "$dir/file", '';
        succeeds { aio_stat [$wd, 'file'], $_[0] } 'with what is in it';
    }
    way 'renamed directory' => sub {
        my ($dir, $rel, $request) = @_;
        return if $by_name || $by_proc{$request} || $request eq 'statvfs' && is_peer;
        my $wd = wd($dir);
        rename $dir, "$dir-2" or die "rename: $!";
        ([$wd, $rel], "$dir-2");
    };
    way 'another directory in its place' => sub {
        my ($dir, $rel, $request) = @_;
        return if $by_name || $by_proc{$request} || $request eq 'statvfs';
        my $wd = wd($dir);
        rename $dir, "$dir-2" or die "rename: $!";
        mkdir $dir or die "$dir: $!";
        ([$wd, $rel], "$dir-2");
    };

    nowhere '[undef, name]'          => sub { [undef, $_[1]] };
    nowhere '[undef, absolute]'      => sub { [undef, "$_[0]/$_[1]"] };
    nowhere '[INVALID_WD, name]'     => sub { [IO::AIO::INVALID_WD, $_[1]] };
    nowhere 'INVALID_WD'             => sub { IO::AIO::INVALID_WD };
    nowhere '[wd, ""]'               => sub { [wd($_[0]), ''] };
    nowhere '[wd, undef]'            => sub { [wd($_[0]), undef] };
    nowhere '[wd, name and NUL]'     => sub { [wd($_[0]), "$_[1]\0x"] };
    nowhere '[wd, missing/name]'     => sub { [wd($_[0]), "missing/$_[1]"] };
    nowhere '[wd of what is gone, name]' => sub {
        my $gone = "$_[0]/../gone";
        mkdir $gone or die "$gone: $!";
        my $wd = wd($gone);
        rmdir $gone or die "$gone: $!";
        [$wd, $_[1]];
    }, $by_name ? 'ENOENT' : $gone{name};
};

# ---- the object alone ----------------------------------------------------------------------------

# $wd means [$wd, "."]: the directory itself, here an empty one.
each_engine {
    for my $row (@paths) {
        my ($request, undef, $call, undef, $want) = @$row;
        for my $form ('wd', '[wd, "."]') {
            my $dir  = tree;
            my $wd   = wd("$dir/empty");
            my $path = $form eq 'wd' ? $wd : [$wd, '.'];
            ours {
                my ($errno, @res) = eval { run_req { $call->($path, $dir, $_[0]) } };
                my $got = $@ || (failed(@res) ? errno_name($errno) : 'ok');
                ok(scalar(grep $_ eq $got, split ' ', $want), "$request with $form: $want") or diag($got);
            } 'leaves errno or a partial file behind in some';
        }
    }

    # "CWD" alone is the current directory
    my $dir = tree;
    chdir $dir or die "$dir: $!";
    is((run_req { aio_realpath IO::AIO::CWD, $_[0] })[1], Cwd::getcwd(), 'realpath of CWD');
    ok(is_names((run_req { aio_readdir IO::AIO::CWD, $_[0] })[1], qw(empty file full link)), 'readdir of CWD');
    chdir "$dir/full" or die "$dir/full: $!";
    ok(is_names((run_req { aio_readdir IO::AIO::CWD, $_[0] })[1], 'inner'), 'which may change');
    chdir $home or die "$home: $!";

    # rmdir and rename of the directory itself
    my $wd = wd("$dir/full");
    fails_with { aio_rmdir $wd, $_[0] } 'ENOTEMPTY EEXIST', 'rmdir of a full one';
    succeeds { aio_rename [$wd, '.'], "$dir/renamed", $_[0] } 'rename of [wd, "."]';
    is(read_file("$dir/renamed/inner"), 'inner', 'took it all along');
    succeeds { aio_stat [$wd, 'inner'], $_[0] } 'and the object still means it' unless $by_name;
  SKIP: {
        needs(7, 'RENAMEAT2');
        my $moved = wd("$dir/renamed");
        skip 'no flags of renameat2 here', 6 unless $noreplace;
        succeeds { aio_rename2 $moved, "$dir/full", $noreplace, $_[0] } 'rename2 of wd';
        fails_with { aio_rename2 [wd("$dir/full"), '.'], "$dir/empty", $noreplace, $_[0] } 'EEXIST', 'which keeps its flags';
        succeeds { aio_rename2 [wd("$dir/full"), '.'], "$dir/empty", IO::AIO::RENAME_EXCHANGE, $_[0] } 'exchange';
        ok(-e "$dir/empty/inner", 'happened');
    }
    mkdir "$dir/full";
    succeeds { aio_rename wd("$dir/full"), [wd($dir), 'again'], $_[0] } 'both sides with an object';
    ok(-d "$dir/again", 'happened');

    # a directory that was moved, and another in its place
    unless ($by_name || !procfs) {
        for my $t (
            [aio_rmdir  => sub { aio_rmdir $_[0], $_[1] }],
            [aio_rmtree => sub { aio_rmtree $_[0], $_[1] }],
            [aio_rename => sub { aio_rename [$_[0], '.'], "$dir/elsewhere", $_[1] }],
            [aio_move   => sub { aio_move $_[0], "$dir/elsewhere", $_[1] }],
        ) {
            my ($name, $call) = @$t;
            mkdir "$dir/place" or die "$dir/place: $!";
            my $object = wd("$dir/place");
            rename "$dir/place", "$dir/moved" or die "$dir/moved: $!";
            mkdir "$dir/place" or die "$dir/place: $!";
            my $other = (stat "$dir/place")[1];
            ours { succeeds { $call->($object, $_[0]) } "$name of wd, which was moved" } 'takes the other';
            ours { ok(!-e "$dir/moved", "$name: it is meant") } 'takes the other';
            ours { is((stat "$dir/place")[1], $other, "$name: and no other of its old name") } 'takes the other';
            rmdir "$dir/$_" for qw(place moved elsewhere);
        }
    }

    # a removed directory
    mkdir "$dir/gone" or die "$dir/gone: $!";
    my $gone = wd("$dir/gone");
    succeeds { aio_rmdir [$gone, '.'], $_[0] } 'rmdir of [wd, "."]';
    ok(!-e "$dir/gone", 'it is gone');
    succeeds { aio_stat $gone, $_[0] } 'the object still holds it' unless $by_name || $gone{itself} ne 'ok';
    is_deeply([(run_req { aio_readdir $gone, $_[0] })[1]], [[]], 'and it has no entries') unless $by_name || $gone{itself} ne 'ok';
    fails_with { aio_mkdir [$gone, 'x'], 0755, $_[0] } $by_name ? 'ENOENT' : $gone{make}, 'nothing can be made in it';

    # the text of a symlink is no path
    my $full = wd($dir);
    succeeds { aio_symlink [$full, 'some/where'], "$dir/s1", $_[0] } 'symlink with [wd, text]';
    is(readlink "$dir/s1", 'some/where', 'has the text');
    succeeds { aio_symlink $full, [$full, 's2'], $_[0] } 'symlink with wd as its text';
    is(readlink "$dir/s2", '.', 'is "."');
};

# ---- aio_wd --------------------------------------------------------------------------------------

each_engine {
    my $dir = tree;
    for my $t (
        [file => "$dir/file", 'ENOTDIR'], [missing => "$dir/none", 'ENOENT'], [empty => '', 'ENOENT'], [undef => undef, 'ENOENT'],
        [NUL => "$dir\0x", 'ENOENT'], ['below a file' => "$dir/file/x", 'ENOTDIR'],
        ['link to a file' => "$dir/link", 'ENOTDIR'], ['name too long' => 'x' x 256, 'ENAMETOOLONG'],
        ['[undef, path]' => [undef, $dir], 'ENOENT'], [INVALID_WD => IO::AIO::INVALID_WD, 'ENOENT'],
    ) {
        my ($name, $path, $want) = @$t;
        ours {
            my ($errno, @res) = run_req { aio_wd $path, $_[0] };
            ok(@res == 1 && !defined $res[0], "aio_wd of $name: undef");
            is(errno_name($errno), $want, "and $want");
        } 'cuts names at NUL';
    }
    symlink 'loop', "$dir/loop" or die "symlink: $!";
    is(errno_name((run_req { aio_wd "$dir/loop", $_[0] })[0]), 'ELOOP', 'aio_wd of a loop');

    my $wd = wd($dir);
    isa_ok($wd, 'IO::AIO::WD');
    isnt($wd, wd($dir), 'each call gives an object of its own');
    is((run_req { aio_realpath wd("$dir/full/../empty/."), $_[0] })[1], Cwd::realpath("$dir/empty"), 'the path is canonicalised');
    is((run_req { aio_realpath wd($wd), $_[0] })[1], Cwd::realpath($dir), 'aio_wd of an object');

    # copies: neither object nor array nor string are needed after the call
    my $path = [$wd, 'file'];
    hold;
    my @seen;
    for my $name (qw(file none link)) {
        $path->[1] = $name;
        aio_stat $path, sub { push @seen, $_[0] ? errno_name($!) : 'ok' } if engine ne 'sync';
        push @seen, $name eq 'none' ? 'ENOENT' : 'ok' if engine eq 'sync';
    }
    aio_readdir [$wd, 'full'], sub { push @seen, scalar @{ $_[0] || [] } };
    undef $wd;
    @$path = ();
    release;
    IO::AIO::flush;
    is("@{[sort @seen]}", '1 ENOENT ok ok', 'the request keeps what it needs');

    # a descriptor is not leaked without a callback, nor when cancelled: "done" counts them
    unless (is_peer) {
        aio_wd $dir for 1 .. 5;
        IO::AIO::flush;
        my $req = aio_wd $dir, sub { fail('called back') };
        $req->cancel;
        IO::AIO::flush;
        hold;
        my $held = aio_wd $dir, sub { fail('called back') };
        $held->cancel;
        release;
        IO::AIO::flush;
    }

    # octets
    my $latin = "$dir/\xe4";
    mkdir $latin or die "$latin: $!";
    write_file "$latin/\xf6", 'x';
    utf8::upgrade(my $up = $latin);
    my $umlaut = wd($up);
    ok($umlaut, 'an upgraded name is downgraded');
    utf8::upgrade(my $name = "\xf6");
    succeeds { aio_stat [$umlaut, $name], $_[0] } 'also in a pair';
    croaks { aio_wd "$dir/\x{100}", sub { } } qr/./, 'a wide character croaks';
    croaks { aio_stat [$umlaut, "\x{100}"], sub { } } qr/./, 'also in a pair';
    mkdir "$dir/0" or die "$dir/0: $!";
    succeeds { aio_stat [wd($dir), 0], $_[0] } 'the number 0 is a name';

    # a tied array is an array
    {
        require Tie::Array;
        tie my @tied, 'Tie::StdArray';
        @tied = (wd($dir), 'file');
        ours { succeeds { aio_stat \@tied, $_[0] } 'tied array' } 'takes only plain arrays';
    }
};

# what is no path croaks at the call and queues nothing
each_engine {
    my $wd = wd('/');
    open my $fh, '<', '/' or die "/: $!";
    my %bad = (
        'empty array' => [], 'array of one' => [$wd], 'array of three' => [$wd, 'a', 'b'],
        'string in front' => ['/', 'etc'], 'hash in front' => [{}, 'etc'], 'other object in front' => [bless({}, 'Other'), 'etc'],
        'pair in front' => [[$wd, '.'], 'etc'], 'hash' => {}, 'code' => sub { }, 'scalar reference' => \'etc', 'handle' => $fh,
        'other object' => bless([], 'Other::Thing'), 'handle in front' => [$fh, 'etc'],
    );
    for my $name (sort keys %bad) {
        next if $name eq 'other object' && is_peer;
        my $path = $bad{$name};
        croaks { aio_unlink $path, sub { } } is_peer ? qr/./ : 'aio_unlink', "aio_unlink with $name";
        croaks { aio_wd $path, sub { } } is_peer ? qr/./ : 'aio_wd', "aio_wd with $name";
        croaks { aio_rename '/none/1', $path, sub { } } is_peer ? qr/./ : 'aio_rename', "aio_rename to $name";
        ours { croaks { aio_copy '/none/1', $path, sub { } } qr/./, "aio_copy to $name" } 'finds out later';
        croaks { aio_slurp $path, 0, 0, my $data, sub { } } is_peer ? qr/./ : 'aio_slurp', "aio_slurp with $name";
    }
    close $fh;
};

# ---- privileges, processes, misuse ----------------------------------------------------------------

each_engine {
    my $dir = tree;
    chmod 0311, "$dir/full" or die "chmod: $!";
    my @got = as_nobody {
        my $wd = wd("$dir/full");
        my ($errno) = run_req { aio_stat [$wd, 'inner'], $_[0] };
        my ($none, $no) = run_req { aio_readdir $wd, $_[0] };
        (ref $wd, $errno, errno_name($none));
    };
    chmod 0755, "$dir/full" or die "chmod: $!";
    ours {
        is($got[0], 'IO::AIO::WD', 'search permission is enough for an object');
        is($got[2], 'EACCES', 'but not for reading the directory');
    } 'needs read permission';

    my $wd = wd("$dir/full");
    is(in_child { (run_req { aio_stat [$wd, 'inner'], $_[0] })[1] }, 0, 'an object made before a fork works in the child');
    ok(in_child { undef $wd; 1 }, 'the child may drop it');
    succeeds { aio_stat [$wd, 'inner'], $_[0] } 'the parent still has it';

    ours {
        my ($status, $out, $err) = run_perl <<'PERL';
use IO::AIO;
sub attempt { eval { $_[0]->(); 1 }; IO::AIO::flush }
aio_wd "/", sub { $wd = $_[0] };
IO::AIO::flush;
my $fake = bless \(my $n = 12345), "IO::AIO::WD";
my $code = bless sub { }, "IO::AIO::WD";
my $hash = bless {}, "IO::AIO::WD";
my $none = bless \(my $u), "IO::AIO::WD";
for my $path ($fake, $code, $hash, $none) {
    attempt(sub { aio_stat $path, sub { } });
    attempt(sub { aio_rename [$path, "a"], [$path, "b"], sub { } });
}
attempt(sub { $$wd = 4711 });
attempt(sub { aio_stat [$wd, "etc"], sub { } });
attempt(sub { ${+IO::AIO::CWD} = 4711 });
attempt(sub { aio_stat IO::AIO::CWD, sub { } });
attempt(sub { IO::AIO::WD::DESTROY($_) for $wd, $fake, 5, undef, IO::AIO::CWD });
attempt(sub { aio_stat $wd, sub { } });
attempt(sub { aio_stat IO::AIO::CWD, sub { print "alive\n" } });
undef $wd;
PERL
        is($status, 0, 'forged and damaged objects do no harm') or diag($err);
    } 'crash';
};

done;
