use strict;
use warnings;
no warnings 'uninitialized';    # undef is among the flags
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl ':mode';
use POSIX ();
use Socket;
use IO::AIO;

# aio_readdirx: output formats, types, orders, flags in and out; on the file system of the temporary files, on
# tmpfs, on /proc, and on one that does not tell types.

my ($dents, $first, $order, $unknown) =
    (IO::AIO::READDIR_DENTS, IO::AIO::READDIR_DIRS_FIRST, IO::AIO::READDIR_STAT_ORDER, IO::AIO::READDIR_FOUND_UNKNOWN);

my %type = (
    dir => IO::AIO::DT_DIR, file => IO::AIO::DT_REG, link => IO::AIO::DT_LNK, fifo => IO::AIO::DT_FIFO, sock => IO::AIO::DT_SOCK, null => IO::AIO::DT_CHR,
);

# Without either of these no directory tells types.
my $typeless = without('GETDENTS64') && without('DIRENT_D_TYPE') ? $unknown : 0;

# Entries of all types that can be made, in an order that is neither that of names nor of types.
sub populate {
    my ($dir) = @_;
    my %want;
    my $n = 0;
    for my $name ('m-file', 'z-dir', '.hidden', 'a-link', 'k-dir', 'fifo', 'b.file', 'sock', '.dir', 'file with space', "line\n", "\xe4-dir", 'x' x 200) {
        my $path = "$dir/$name";
        my $type = $name =~ /dir$/ ? 'dir' : $name =~ /link/ ? 'link' : $name =~ /^(fifo|sock)$/ ? $1 : 'file';
        my $made =
              $type eq 'dir'  ? mkdir $path
            : $type eq 'link' ? symlink 'nowhere', $path
            : $type eq 'fifo' ? POSIX::mkfifo($path, 0600)
            : $type eq 'sock' ? make_socket($path)
            :                   write_file $path, 'x';
        $made or die "$name: $!";
        $want{$name} = [$name, $typeless ? IO::AIO::DT_UNKNOWN : $type{$type}, (lstat $path)[1]];
    }
    # Where several file systems make up one (overlayfs), an inode number in the directory is not what stat tells.
    my $dev = (stat $dir)[0];
    if (grep { (lstat "$dir/$_")[0] != $dev } keys %want) {
        $want{ $_->[0] }[2] = $_->[2] for @{ (readdirx($dir, $dents))[0] };
    }
    \%want;
}

sub make_socket {
    my ($path) = @_;
    socket my $sock, AF_UNIX, SOCK_STREAM, 0 or die "socket: $!";
    bind $sock, pack_sockaddr_un($path);
}

sub readdirx {
    my ($path, $flags) = @_;
    my ($errno, @res) = run_req { aio_readdirx $path, $flags, $_[0] };
    @res;
}

sub ascending { my $last = -1; for (@_) { return 0 if $_ < $last; $last = $_ } 1 }

# A directory with what is expected in it, whose file system tells types. Without types directories cannot be told
# apart; their order is then a guess.
sub check {
    my ($where, $dir, $want) = @_;
    for my $flags (map { my $f = $_; map $f | $_, 0, $dents } 0, $first, $order, $first | $order) {
        my $name = "$where: " . (join '|', ('DENTS') x !!($flags & $dents), ('DIRS_FIRST') x !!($flags & $first), ('STAT_ORDER') x !!($flags & $order)) || 'none';
        my ($entries, $got, @rest) = readdirx($dir, $flags);
        is(scalar @rest, 0, "$name: two results");
        is($got & 255, $flags | $dents | $typeless, "$name: the flags come back");

        my @names = map $flags & $dents ? $_->[0] : $_, @$entries;
        is(join('|', sort @names), join('|', sort keys %$want), "$name: all names, no dots");
        if ($flags & $dents) {
            my %got = map { $_->[0] => $_ } @$entries;
            is_deeply(\%got, $want, "$name: name, type and inode");
        }
        my @dir   = map $want->{$_}[1] == IO::AIO::DT_DIR ? 'd' : 'n', @names;
        my @inode = map $want->{$_}[2], @names;
        my $ndirs = grep $_ eq 'd', @dir;
        next if $typeless && $flags & $first;
        like(join('', @dir), qr/^d*n*$/, "$name: directories are first") if $flags & $first;
        ok(ascending(@inode), "$name: ascending inodes") if ($flags & ($order | $first)) == $order;
        ok(ascending(@inode[0 .. $ndirs - 1]), "$name: directories by inode") if $flags & $first;
        ok(ascending(@inode[$ndirs .. $#inode]), "$name: then the others") if ($flags & $order) && ($flags & $first);
    }
}

my $many;

sub many {
    return $many if $many;
    $many = fresh_dir;
    for (1 .. 1000) {
        my $name = sprintf '%s/%04d-%s', $many, $_ * 7919 % 1009, 'x' x 100;
        $_ % 5 ? write_file($name, '') : mkdir $name or die "$name: $!";
    }
    $many;
}

each_engine {
    my $dir  = fresh_dir;
    my $want = populate($dir);
    check('disk', $dir, $want);
    check('wd', (run_req { aio_wd $dir, $_[0] })[1], $want);
  SKIP: {
        skip 'no /dev/shm', 1 unless -d '/dev/shm' && -w _;
        my $shm = File::Temp::tempdir('aiotest-XXXXXX', DIR => '/dev/shm', CLEANUP => 1);
        check('tmpfs', $shm, populate($shm));
    }

    # the same names in the same order as aio_readdir
    my (undef, $plain) = run_req { aio_readdir $dir, $_[0] };
    is_deeply([sort @{ (readdirx($dir, 0))[0] }], [sort @$plain], 'the names of aio_readdir');

    # more entries than one call to the kernel returns
    my $many = many();
    for my $flags ($dents, $dents | $order, $dents | $first | $order, $dents | $first) {
        my ($entries) = readdirx($many, $flags);
        is(scalar @$entries, 1000, "many entries with flags $flags");
        my %seen = map { $_->[0] => 1 } @$entries;
        is(scalar keys %seen, 1000, 'each of them once');
        next if $typeless && $flags & $first;
        my @part = $flags & $first ? ([grep $_->[1] == $type{dir}, @$entries], [grep $_->[1] != $type{dir}, @$entries]) : $entries;
        is(scalar @{ $part[0] }, 200, 'the directories') if $flags & $first;
        ok(ascending(map $_->[2], @$_), 'in stat order') for $flags & $order ? @part : ();
        like(join('', map $_->[1] == $type{dir} ? 'd' : 'n', @$entries), qr/^d{200}n{800}$/, 'directories first') if $flags & $first;
    }

  SKIP: {
        skip 'no /proc/self', 1 unless -d '/proc/self/task';
        my ($entries, $flags) = readdirx("/proc/$$", $dents | $first);
        my %got = map { $_->[0] => $_->[1] } @$entries;
        is_deeply([@got{qw(task exe status)}], [map { $typeless ? IO::AIO::DT_UNKNOWN : $_ } @type{qw(dir link file)}], 'types in /proc');
        is($flags & $unknown, $typeless, 'all of them known');
        is(scalar(grep !/^\d+$/, @{ (readdirx("/proc/$$/fd", $order))[0] }), 0, 'descriptors are numbers');
    }
    my ($devices) = readdirx('/dev', $dents);
    is((grep $_->[0] eq 'null', @$devices)[0][1], $typeless ? IO::AIO::DT_UNKNOWN : $type{null}, 'a device');
};

# ---- flags and results ---------------------------------------------------------------------------

each_engine {
    my $dir = fresh_dir;
    is_deeply([readdirx($dir, 0)]->[0], [], 'an empty directory');
    is_deeply([readdirx($dir, $dents | $first | $order)]->[0], [], 'with all flags');
    my $want = populate($dir);
    is(scalar @{ (readdirx($dir, undef))[0] }, keys %$want, 'undef is no flag');
    ours { is((readdirx($dir, $unknown))[1] & $unknown, $typeless, 'FOUND_UNKNOWN is set when found, not when given') } 'returns what it was given';

    for my $t (
        [missing => "$dir/none", 'ENOENT'], [file => "$dir/m-file", 'ENOTDIR'], [empty => '', 'ENOENT'],
        ['[undef, path]' => [undef, $dir], 'ENOENT'], ['dangling link' => "$dir/a-link", 'ENOENT'],
    ) {
        my ($name, $path, $errno) = @$t;
        for my $flags (0, $dents | $first | $order) {
            my ($got, @res) = run_req { aio_readdirx $path, $flags, $_[0] };
            is(scalar @res, 2, "$name: two results");
            is($res[0], undef, "$name: undef");
            is($res[1] & 127, $flags | $dents, "$name: the flags");
            is(errno_name($got), $errno, "$name: $errno");
        }
    }
    is((as_nobody { my ($errno) = run_req { aio_readdirx '/proc/1/fd', 0, $_[0] }; errno_name($errno) }), 'EACCES', 'no permission')
        if -d '/proc/1/fd' && !$>;

    # results may be changed without harm to each other and to later ones
    my ($entries) = readdirx($dir, $dents);
    ok(eval { $_->[0] .= '!' for @$entries; $_->[2]++ for @$entries; 1 }, 'names and inodes may be changed');
    my %was = map { $_->[0] => $_->[1] } @$entries;
    eval { $entries->[0][1] = 99 };
    eval { $entries->[1][1]++ };
    is_deeply([map $_->[1], @$entries[2 .. $#$entries]], [map $was{ $_->[0] }, @$entries[2 .. $#$entries]], 'changing a type does not change others');
    my %again = map { $_->[0] => $_->[1] } @{ (readdirx($dir, $dents))[0] };
    is_deeply(\%again, { map { $_ => $want->{$_}[1] } keys %$want }, 'nor later ones');

    # cancelled and without callback
    aio_readdirx $dir, $dents;
    IO::AIO::flush;
    my $req = aio_readdirx $dir, $dents | $first | $order, sub { fail('called back') };
    $req->cancel;
    undef $req;
    IO::AIO::flush;
    croaks { aio_readdirx {}, 0, sub { } } is_peer ? qr/./ : 'aio_readdirx', 'a hash is no path';
};

# ---- a file system that does not tell types --------------------------------------------------------

# ext2 without the feature, on a loop device in a mount namespace that goes away with the process.
sub without_types {
    my ($dir, $program) = @_;
    my $image = write_file "$dir/image", '';
    truncate $image, 1 << 20 or return;
    mkdir "$dir/mnt" or return;
    local $ENV{PATH} = "$ENV{PATH}:/usr/sbin:/sbin";
    output_of qw(mke2fs -q -F -O), '^filetype,^has_journal', $image;
    return if $?;
    local $ENV{IO_AIO_ENGINE} = engine unless is_peer;
    my $script = write_file "$dir/script", $program;
    my $out = output_of qw(unshare -m sh -c), 'mount -o loop "$1" "$2" && shift 2 && exec "$@"', 'sh',
        $image, "$dir/mnt", perl_command, $script, "$dir/mnt";
    $? ? () : $out;
}

each_engine {
    my @name = qw(a.txt zdir/ mm .hid longer_name/ x.y .d/ c.d.e ab/ b);
    my $out = $> ? undef : without_types fresh_dir, "my \@name = qw(@name);\n" . <<'PERL';
use strict;
use warnings;
use IO::AIO;
my ($dir) = @ARGV;
rmdir "$dir/lost+found" or die;
for (@name) { if (/(.*)\/$/) { mkdir "$dir/$1" or die } else { open my $fh, '>', "$dir/$_" or die } }
for my $flags (1 .. 7) {
    aio_readdirx $dir, $flags, sub {
        my ($entries, $got) = @_;
        print "$flags $got ", join(' ', map ref() ? "$_->[0]:$_->[1]" : $_, @$entries), "\n";
    };
    IO::AIO::flush;
}
aio_scandir $dir, 0, sub { print "scandir dirs @{[sort @{$_[0]}]} others @{[sort @{$_[1]}]}\n" };
IO::AIO::flush;
aio_rmtree "$dir/zdir", sub { print "rmtree $_[0]\n" };
IO::AIO::flush;
PERL
  SKIP: {
        skip 'cannot mount such a file system here', 1 unless defined $out && length $out;
        s/\/$// for @name;
        for my $line (grep /^\d/, split /\n/, $out) {
            my ($flags, $got, @entries) = split ' ', $line;
            ok($got & $unknown, "flags $flags: FOUND_UNKNOWN");
            my @got = map /^([^:]*)/, @entries;
            is("@{[sort @got]}", "@{[sort @name]}", "flags $flags: all names");
            is(scalar(grep !/:0$/, @entries), 0, "flags $flags: all types are DT_UNKNOWN") if $flags & $dents;
            is("@got", "@name", "flags $flags: stat order") if ($flags & ~$dents) == $order;
            next unless $flags & $first;
            is(join('', map /^\./ ? 'h' : /\./ ? 'f' : 'd', @got), 'hhdddddfff', "flags $flags: hidden ones, then those without a dot, then the rest");
            ok(ascending(map length, grep !/\./, @got), "flags $flags: short ones first");
        }
        like($out, qr/^scandir dirs \.d ab longer_name zdir others \.hid a\.txt b c\.d\.e mm x\.y$/m, 'aio_scandir finds the directories');
        like($out, qr/^rmtree 0$/m, 'aio_rmtree as well');
    }
};

done;
