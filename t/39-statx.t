#!/usr/bin/perl
# aio_statx: an object that tells all that statx(2) does, answers as core's File::stat does, and is Future::AIO's as well.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use File::stat ();
use IO::AIO;

BEGIN { plan skip_all => 'the peer has none of it' if is_peer }
use IO::AIO ':more';

my @core = qw(dev ino mode nlink uid gid rdev size atime mtime ctime blksize blocks);
my @more = qw(mnt_id dio_mem_align dio_offset_align dio_read_offset_align subvol
    atomic_write_unit_min atomic_write_unit_max atomic_write_segments_max);
my $absent = without('STATX') || refuses_statx;
my ($basic, $birth) = (0x7ff, 0x800);    # where headers do not know them, too

sub statx {
    my @args = @_;
    my ($errno, $stat, @rest) = run_req { aio_statx $args[0], $args[1], $args[2], $_[0] };
    $! = $errno;
    return $stat;
}

is((run_perl('use IO::AIO; print exists $INC{"IO/AIO/Stat.pm"} ? 1 : 0'))[1], 0, 'its class is not loaded as long as nobody asks');
is((run_perl('use IO::AIO; chdir "/"; IO::AIO::aio_statx("/", 0, undef, sub { print ref $_[0] }); IO::AIO::flush'))[1],
    'IO::AIO::Stat', 'but then also where the program has left its directory');

each_engine {
    my $dir  = fresh_dir;
    my $file = write_file "$dir/file", 'some data';
    symlink 'file', "$dir/link" or die "symlink: $!";
    open my $fh, '<', $file or die "$file: $!";
    my (undef, $wd) = run_req { aio_wd $dir, $_[0] };
    succeeds { aio_utime $file, [1_000_000_000, 5], [1_100_000_000, 6], $_[0] } 'times' if !without 'UTIMENSAT';

    # what there is
    my %what = (path => $file, link => "$dir/link", 'in a wd' => [$wd, 'link'], handle => $fh, '/dev/null' => '/dev/null',
        directory => $dir);
    for my $name (sort keys %what) {
        my $want = File::stat::stat(ref $what{$name} eq 'ARRAY' ? "$dir/link" : $what{$name});
        stat '/';
        my $root = (stat _)[1];
        my $stat = statx($what{$name}, 0, undef);
        isa_ok($stat, 'File::stat', $name);
        is((stat _)[1], $root, "$name: _ is left alone");
        is($stat->$_, $want->$_, "$name: $_") for @core;
        is(-d $stat, -d $want, "$name: file tests");
        is($stat->mask & $basic, $basic, "$name: stat's part is known");
        is($stat->mask & ~0x3bfff, 0, "$name: nothing else is said to be");
        is(defined $stat->btime, !!($stat->mask & $birth), "$name: the time of birth, if it is known");
        is(defined $stat->mnt_id, !!($stat->mask & 0x1000), "$name: the mount, if it is known");
        is(defined $stat->dio_offset_align, !!($stat->mask & 0x2000), "$name: alignment, if it is known");
        ok(defined $stat->attributes && defined $stat->attributes_mask, "$name: attributes");
    }
    my $stat = statx($file, 0, undef);
    is_deeply([map $stat->$_, qw(atimensec mtimensec)], [5, 6], 'nanoseconds') if !without 'UTIMENSAT', 'ST_TIM';
    ok(-l statx("$dir/link", IO::AIO::AT_SYMLINK_NOFOLLOW, undef), 'a link itself') if !without 'AT';

    # as the blocking one has it
  SKIP: {
        skip 'no statx here', 1 if $absent;
        IO::AIO::statx($file, 0, $basic | $birth) == 0 or die "statx: $!";
        is($stat->mask & ($basic | $birth), IO::AIO::stx_mask & ($basic | $birth), 'mask');
        is($stat->attributes, IO::AIO::stx_attributes, 'attributes');
        is($stat->attributes_mask & IO::AIO::stx_attributes_mask, IO::AIO::stx_attributes_mask, 'those that are known');
        is($stat->btime // 0, IO::AIO::stx_btimesec, 'birth') if $stat->mask & $birth;
        is($stat->btimensec // 0, IO::AIO::stx_btimensec, 'nanoseconds') if $stat->mask & $birth;
        my ($mount) = map { (split)[4] eq '/' ? (split)[0] : () } procfs() ? split /^/, read_file('/proc/self/mountinfo') : ();
        my $root = statx('/', 0, IO::AIO::STATX_MNT_ID);
        is($root->mnt_id, $mount, 'the mount of /') if defined $mount && $root->mask;
    }

    # what is asked for
    for my $mask (0, IO::AIO::STATX_SIZE, $basic, $birth) {
        my $stat = statx($file, 0, $mask);
        is($stat->mask & ~$mask, 0, "mask $mask: no more than that is said to be known");
        is($stat->size, 9, 'stat has the size always') if $mask & IO::AIO::STATX_SIZE;
        is($stat->btime, undef, 'birth was not asked for') if !($mask & $birth);
        is(join(' ', grep defined $stat->$_, @more), '', 'nor the rest');
    }

    # failures
    for (["$dir/none", 0, undef, 'ENOENT'], ["$file/x", 0, undef, 'ENOTDIR'], ['', 0, undef, 'ENOENT'],
        [[IO::AIO::INVALID_WD, 'x'], 0, undef, 'ENOENT'], [$file, 2**40, undef, 'EINVAL'], [$file, 0, 2**32, 'EINVAL'],
        [$file, 0, 2**31, 'EINVAL'], [$file, 0x40000000, undef, $absent ? 'ENOSYS' : 'EINVAL'])
    {
        my ($path, $flags, $mask, $error) = @$_;
        my ($errno, @got) = run_req { aio_statx $path, $flags, $mask, $_[0] };
        is(scalar @got, 1, "$error: one argument");
        is($got[0], undef, 'which is undef');
        is(errno_name($errno), $error, $error);
    }
    ok(statx($file, IO::AIO::AT_STATX_FORCE_SYNC, undef), 'servers are asked') if !$absent;
    ok(statx($file, IO::AIO::AT_STATX_DONT_SYNC, $basic), 'or not') if !$absent;
    open my $closed, '<', $file or die "$file: $!";
    close $closed;
    my ($errno, $none) = run_req { aio_statx $closed, 0, undef, $_[0] };
    is(errno_name($errno), 'EBADF', 'a closed handle');
    croaks { &aio_statx() } qr/^Usage: IO::AIO::aio_statx\(1 to 3 arguments/, 'without arguments';
    croaks { aio_statx $file, [] } qr/^aio_statx: flags must be a number/, 'flags';
    croaks { aio_statx $file, 0, [] } qr/^aio_statx: mask must be a number/, 'mask';

    # arguments that may be left out, and nobody who is told
    aio_statx $file;
    aio_statx $file, 0;
    my $req = aio_statx $file, 0, undef, sub { fail('cancelled') };
    $req->cancel;
    IO::AIO::flush;
};

# the class
{
    my ($status, $out, $err) = run_perl(<<'PERL', $0);
        use IO::AIO;
        $@ = "before";
        IO::AIO::aio_statx($ARGV[0], 0, undef, sub { print ref $_[0], " ", $_[0]->size == -s $ARGV[0] ? "size" : "?", "\n" });
        print "$@\n";
        IO::AIO::flush;
PERL
    is($out, "before\nIO::AIO::Stat size\n", 'it is loaded with the first request, and $@ stays');
    is("$status $err", '0 ', 'and nothing is said');
}

# the modules beside
each_engine {
    my $dir = fresh_dir;
    write_file "$dir/file", 'some data';
    symlink 'file', "$dir/link" or die "symlink: $!";
  SKIP: {
        eval { require Future::AIO; 1 } or skip 'no Future here', 1;
        my $want = statx("$dir/file", 0, $basic | $birth);
        for my $name (qw(aio_stat aio_statx aio_lstat)) {
            my $request = Future::AIO->can($name);
            my $stat = $request->($name eq 'aio_lstat' ? "$dir/link" : "$dir/file")->get;
            isa_ok($stat, 'IO::AIO::Stat', "$name of Future::AIO");
            $name eq 'aio_lstat' ? ok(-l $stat, 'a link') : is($stat->btime, $want->btime, 'has the time of birth');
            my ($message, $category, $path) = $request->("$dir/none")->failure;
            is("$category $path", "$name $dir/none", 'fails as itself');
            eval { $request->([1]) };
            like($@, qr/^$name: .* at \Q$0\E line/, 'and croaks as itself');
        }
    }
};

SKIP: {
    eval { require Coro; require AnyEvent; 1 } or skip 'no Coro here', 1;
    my ($status, $out, $err) = run_perl('use Coro; use Coro::AIO; my $stat = Coro::AIO::aio_statx($ARGV[0], 0, undef); print $stat->size', $0);
    is($out, -s $0, 'Coro::AIO');
}

done;
