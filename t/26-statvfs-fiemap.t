use strict;
use warnings;
no warnings 'uninitialized';    # undef is among the arguments
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use IO::AIO;

# What a file system tells about itself (aio_statvfs) and where it keeps a file (aio_fiemap).

# ---- aio_statvfs ---------------------------------------------------------------------------------

my @member = qw(bavail bfree blocks bsize favail ffree files flag frsize fsid namemax);

each_engine {
    my $dir  = fresh_dir;
    my $file = write_file "$dir/file", 'x';
    open my $fh, '<', $file or die "$file: $!";
    pipe my $r, my $w or die "pipe: $!";

    if (without 'STATVFS') {
        for ([path => $dir], [handle => $fh], [missing => "$dir/none"]) {
            my ($errno, @res) = run_req { aio_statvfs $_->[1], $_[0] };
            is(scalar(@res) . defined($res[0]), '1', "$_->[0]: undef");
            is(errno_name($errno), 'ENOSYS', "$_->[0]: ENOSYS");
        }
        return;
    }
    my (undef, @res) = run_req { aio_statvfs $dir, $_[0] };
    is(scalar @res, 1, 'one result');
    my $st = $res[0];
    is(join(' ', sort keys %$st), "@member", 'a hash of eleven members');
    is(join(' ', grep $st->{$_} !~ /^-?\d+$/, @member), '', 'all of them integers');
    cmp_ok($st->{bsize}, '>=', 512, 'block size');
    cmp_ok($st->{blocks}, '>=', $st->{bfree}, 'free blocks are part of all');
    cmp_ok($st->{bfree}, '>=', $st->{bavail}, 'available ones of the free');
    cmp_ok($st->{files}, '>=', $st->{ffree}, 'the same for files');
    cmp_ok($st->{namemax}, '>=', 14, 'length of names');

    # an independent witness
  SKIP: {
        my @stat = split ' ', output_of qw(env LC_ALL=C stat -f -c), '%s %S %b %c %l', $dir;
        skip 'no stat -f here', 1 unless @stat == 5;
        is_deeply([@$st{qw(bsize frsize blocks files namemax)}], \@stat, 'stat -f says the same');
    }

    my @constant = qw(bsize frsize blocks files fsid flag namemax);
    for my $t (
        ['a file in it' => $file], ['a handle' => $fh], ['a glob' => *$fh], ['[CWD, path]' => [IO::AIO::CWD, $dir]],
        ['a wd' => (run_req { aio_wd $dir, $_[0] })[1]], ['[wd, name]' => [(run_req { aio_wd $dir, $_[0] })[1], 'file']],
    ) {
        my ($name, $what) = @$t;
        my ($errno, $other) = run_req { aio_statvfs $what, $_[0] };
        is_deeply([@{ $other || {} }{@constant}], [@$st{@constant}], "the same for $name");
    }
    if (-d '/proc/self') {
        my ($errno, $proc) = run_req { aio_statvfs '/proc', $_[0] };
        isnt("@$proc{@constant}", "@$st{@constant}", 'another one for another file system');
        is($proc->{blocks}, 0, 'without blocks');
    }
    my (undef, $pipe) = run_req { aio_statvfs $r, $_[0] };
    is(join(' ', sort keys %$pipe), "@member", 'a pipe has one, too');

    # flags
  SKIP: {
        skip 'no read-only or special mount here', 2 unless -r '/proc/mounts';
        open my $mounts, '<', '/proc/mounts' or die "/proc/mounts: $!";
        my %option = map { my @f = split; $f[1] =~ /\\/ ? () : ($f[1] => ",$f[3],") } <$mounts>;
        close $mounts;
        my %flag = (nosuid => IO::AIO::ST_NOSUID, nodev => IO::AIO::ST_NODEV, noexec => IO::AIO::ST_NOEXEC, ro => IO::AIO::ST_RDONLY);
        my @wrong;
        for my $mount (grep $option{$_}, qw(/ /proc /sys /dev /dev/shm /dev/pts /run)) { # not those that may hang
            my (undef, $fs) = run_req { aio_statvfs $mount, $_[0] };
            next unless $fs;
            for my $name (grep $_ ne 'ro', sort keys %flag) {
                push @wrong, "$mount $name" if !!($fs->{flag} & $flag{$name}) != ($option{$mount} =~ /,$name,/);
            }
        }
        is("@wrong", '', 'the flags are those of the mounts');
        cmp_ok(scalar keys %option, '>', 0, 'of which there are some');
    }

    # the hash is the caller's
    $st->{bsize} = 'mine';
    (undef, my $again) = run_req { aio_statvfs $dir, $_[0] };
    like($again->{bsize}, qr/^\d+$/, 'each call gives a new hash');
    {
        my ($errno, $got, $copy) = run_req { my $cb = $_[0]; aio_statvfs $dir, sub { $cb->(@_, eval { $_[0]{x} = 1; $_[0] = 5 }) } };
        is($copy, 5, 'the callback may change its arguments');
    }

    # failures
    close $w;
    for my $t (
        [missing => "$dir/none", 'ENOENT'], ['below a file' => "$file/x", 'ENOTDIR'], [empty => '', 'ENOENT'], [undef => undef, 'ENOENT'],
        ['[undef, path]' => [undef, $dir], 'ENOENT'], ['a closed handle' => $w, 'EBADF'],
    ) {
        my ($name, $what, $want) = @$t;
        my ($errno, @res) = run_req { aio_statvfs $what, $_[0] };
        is(scalar(@res) . defined($res[0]), '1', "$name: undef");
        is(errno_name($errno), $want, "$name: $want");
    }
    croaks { aio_statvfs {}, sub { } } is_peer ? qr/./ : 'aio_statvfs', 'a hash is neither path nor handle';
};

# ---- aio_fiemap ----------------------------------------------------------------------------------

# A file with holes: size, then offsets and data. It has its size first, as file systems allocate more at the end.
sub holes {
    my ($size, @part) = @_;
    my $path = fresh_dir . '/holes';
    open my $fh, '+>', $path or die "$path: $!";
    truncate $fh, $size or die "truncate: $!";
    while (my ($offset, $data) = splice @part, 0, 2) { sysseek $fh, $offset, 0; syswrite $fh, $data }
    $fh;
}

# What a file system makes of that is asked for by perl's ioctl: up to 2000 extents.
sub fiemap {
    my ($fh, $start, $length, $flags) = @_;
    my $map = pack_u64($start) . pack_u64($length) . pack('L4', $flags, 0, 2000, 0) . "\0" x (2000 * 56);
    ioctl $fh, IO::AIO::FS_IOC_FIEMAP, $map or die "ioctl: $!";
    my $n = (unpack 'L6', $map)[5];
    my @extent = map substr($map, 32 + 56 * $_, 56), 0 .. $n - 1;
    return [map { my $e = $_; [map(unpack_u64(substr $e, 8 * $_, 8), 0 .. 2), unpack 'L', substr $e, 40] } @extent];
}
sub brief { join ' ', map "$_->[0]+$_->[2]", @{ $_[0] } }

# Does the file system that holds the temporary files know extents?
sub has_fiemap {
    my ($fh) = @_;
    my ($errno, @res) = run_req { aio_fiemap $fh, 0, undef, IO::AIO::FIEMAP_FLAG_SYNC, undef, $_[0] };
    @res == 1;
}

sub fiemap_fails {
    my ($name, $want, @args) = @_;
    my ($errno, @res) = run_req { aio_fiemap $args[0], $args[1], $args[2], $args[3], $args[4], $_[0] };
    is(scalar @res, 0, "$name: no argument");
    my $errno_name = errno_name($errno);
    ok(scalar(grep $_ eq $errno_name, split ' ', $want), "$name: $want") or diag($errno_name);
}

each_engine {
    my $fh = holes(1 << 20, 0, 'x' x 65536, 1 << 19, 'y' x 4096);
    my ($last, $sync) = (IO::AIO::FIEMAP_EXTENT_LAST, IO::AIO::FIEMAP_FLAG_SYNC);
    return fiemap_fails('built without', 'ENOSYS', $fh, 0, undef, $sync, undef) if without 'FIEMAP';
  SKIP: {
        skip 'the file system has no extents to ask for', 1 unless has_fiemap($fh);
        my $map = sub {
            my ($start, $length, $flags, $count) = @_;
            my ($errno, @res) = run_req { aio_fiemap $fh, $start, $length, $flags, $count, $_[0] };
            @res == 1 ? $res[0] : errno_name($errno);
        };
        my $brief = sub { my $all = $map->(@_); ref $all ? brief($all) : $all };
        my $whole = unpack_u64("\xff" x 8);

        my $all = $map->(0, undef, $sync, undef);
        is(scalar(grep @$_ == 4, @$all), @$all, 'extents are arrays of four');
        is(scalar(grep !/^\d+$/, map @$_, @$all), 0, 'integers');
        is_deeply($all, fiemap($fh, 0, $whole, $sync), 'those that the file system has');
        ok($all->[-1][3] & $last, 'and says that it is the last');
        is(scalar(grep $_->[3] & $last, @$all), 1, 'no other one does');

        my $data = $brief->(0, undef, $sync, undef);
        is($brief->(undef, undef, 0, undef), $data, 'undef is the start');
        is($brief->(0, -1, 0, undef), $data, 'a negative length is the whole file');
        is($brief->(0, undef, 0, -1), $data, 'a negative count is all');
        is($brief->(0, undef, 0, 1000), $data, 'more than there are');
        ours { is($brief->(0, undef, 0, 2**31), $data, 'many more than there are') } 'wraps around';
        is($brief->(0, undef, 0, 1), (split ' ', $data)[0], 'one of them');
        is($brief->(0, undef, 0, 0), scalar @$all, 'count 0 is their number');
        is($brief->(1 << 19, undef, 0, undef), brief(fiemap($fh, 1 << 19, $whole, 0)), 'from an offset on');
        is($brief->(70000, 1000, 0, undef), brief(fiemap($fh, 70000, 1000, 0)), 'of a part, in a hole');
        is($brief->(1 << 21, undef, 0, undef), '', 'none behind the end');
        is($brief->(0, undef, IO::AIO::FIEMAP_FLAG_XATTR, undef), '', 'none for attributes') if ref $map->(0, undef, IO::AIO::FIEMAP_FLAG_XATTR, undef);
        is($brief->(0, 4096, 0, undef), brief(fiemap($fh, 0, 4096, 0)), 'and at the start');

        open my $empty, '+>', tmpdir . '/empty' or die "empty: $!";
        is_deeply([(run_req { aio_fiemap $empty, 0, undef, 0, undef, $_[0] })[1]], [[]], 'an empty file has none');
        is((run_req { aio_fiemap $empty, 0, undef, 0, 0, $_[0] })[1], 0, 'their number is 0');

        # more extents than one call to the kernel returns
        my $many = holes(701 * 8192, map { $_ * 8192, 'x' } 1 .. 700);
        my (undef, $extents) = run_req { aio_fiemap $many, 0, undef, $sync, undef, $_[0] };
        cmp_ok(scalar @$extents, '>', 300, 'many extents');
        is_deeply($extents, fiemap($many, 0, $whole, $sync), 'all of them');
        (undef, my $some) = run_req { aio_fiemap $many, 0, undef, 0, 300, $_[0] };
        is_deeply($some, [@$extents[0 .. 299]], 'the first of them');

        fiemap_fails('length 0', 'EINVAL', $fh, 0, 0, 0, undef);
        fiemap_fails('unknown flag', 'EBADR', $fh, 0, undef, 0x8000, undef);
        fiemap_fails('negative start', 'EINVAL EFBIG', $fh, -1, undef, 0, undef);
    }

    # where there are none
    pipe my $r, my $w or die "pipe: $!";
    open my $null, '<', '/dev/null' or die "/dev/null: $!";
    fiemap_fails('a pipe',    'EOPNOTSUPP ENOSYS ENOTTY', $r,    0, undef, 0, undef);
    fiemap_fails('a device',  'EOPNOTSUPP ENOSYS ENOTTY', $null, 0, undef, 0, undef);
    fiemap_fails('count 0 of a pipe', 'EOPNOTSUPP ENOSYS ENOTTY', $r, 0, undef, 0, 0);
    fiemap_fails('not open',  'EBADF', 999, 0, undef, 0, undef);
    croaks { aio_fiemap undef, 0, undef, 0, undef, sub { } } 'aio_fiemap', 'undef is no handle';

    # the result is the caller's
    if (has_fiemap($fh)) {
        my (undef, $mine) = run_req { aio_fiemap $fh, 0, undef, 0, undef, $_[0] };
        ok(eval { $mine->[0][0] = 'mine'; push @$mine, 5; 1 }, 'may be changed');
        (undef, my $again) = run_req { aio_fiemap $fh, 0, undef, 0, undef, $_[0] };
        is($again->[0][0], 0, 'each call gives its own');
    }
};

done;
