package CoroAIOTest;

# Checks that hold for our Coro::AIO as well as for the one that comes with Coro. The test file loads the one that
# it is about first, then this. Each check is to be called within each_engine.

use strict;
use warnings;

use AIOTest;
use Coro;
use Errno qw(EBADF EEXIST ENOENT ENOTDIR);
use Exporter 'import';
use Fcntl;
use Test::More;

BEGIN { defined &Coro::AIO::aio_wait or die 'load a Coro::AIO first'; Coro::AIO->import }

our @EXPORT = qw(concurrently settle check_requests check_failures check_waiting check_many check_storm check_channel);

# Calls the block as n coros with the numbers 1 .. n and waits for all of them. A coro that dies is a failure.
sub concurrently(&$) {
    my ($code, $n) = @_;
    my @died;
    $_->join for map {
        my $i = $_;
        async { eval { $code->($i); 1 } or push @died, "coro $i: $@" };
    } 1 .. $n;
    is("@died", '', "$n coros run to their end");
}

# Lets every coro that can run do so until it blocks.
sub settle { cede for 1 .. 3 }

# Requests one after the other, and what they return.
sub check_requests {
    my $dir  = fresh_dir();
    my $path = "$dir/file";
    my $fh   = aio_open $path, O_RDWR | O_CREAT | O_EXCL, 0640;
    ok($fh, 'open') or diag $!;
    is(mode_of($path), 0640 & ~umask, 'its mode');
    is(aio_write($fh, 0, 12, 'hello, world', 0), 12, 'write');
    is(aio_write($fh, 5, 1, '!;', 1), 1, 'write of a part');
    is(aio_read($fh, 0, 100, my $data, 0), 12, 'read');
    is($data, 'hello; world', 'what was written');
    is(aio_read($fh, 7, 5, $data, -1), 5, 'read to the end of a buffer');
    is($data, 'hello; worlworld', 'appended');
    my %h;
    is(aio_read($fh, 0, 5, $h{new}, 0), 5, 'read into a new hash element');
    is($h{new}, 'hello', 'it is there');
    is(aio_seek($fh, 0, 2), 12, 'seek');
    is(aio_stat($fh), 0, 'stat of a handle');
    is(-s _, 12, '-s _');
    is(aio_truncate($fh, 5), 0, 'truncate');
    is(aio_fsync($fh), 0, 'fsync');
    is(aio_close($fh), 0, 'close');
    is(aio_load($path, my $loaded), 5, 'load');
    is($loaded, 'hello', 'what it loaded');
    is(aio_symlink('file', "$dir/link"), 0, 'symlink');
    is(aio_readlink("$dir/link"), 'file', 'readlink');
    is(aio_lstat("$dir/link"), 0, 'lstat');
    ok(-l _, '-l _');
    is(aio_stat("$dir/link"), 0, 'stat');
    ok(-f _, '-f _');
    is(aio_chmod($path, 0600), 0, 'chmod');
    is(aio_utime($path, 1, 2), 0, 'utime');
    is_deeply([(stat $path)[8, 9]], [1, 2], 'the times');
    is(aio_rename($path, "$dir/renamed"), 0, 'rename');
    is(aio_mkdir("$dir/sub", 0755), 0, 'mkdir');
    is(aio_copy("$dir/renamed", "$dir/sub/copy"), 0, 'copy');
    is_deeply([sort @{ aio_readdir $dir }], [qw(link renamed sub)], 'readdir');
    is_deeply([map [sort @$_], aio_scandir $dir, 0], [['sub'], [qw(link renamed)]], 'scandir in list context');
    my $last = aio_scandir $dir, 0;
    is_deeply([sort @$last], [qw(link renamed)], 'the last result in scalar context');
    is_deeply([aio_nop], [], 'nop returns nothing');
    is(aio_rmtree("$dir/sub"), 0, 'rmtree');
    is(aio_unlink("$dir/link"), 0, 'unlink');
    my $wd = aio_wd $dir;
    ok(ref $wd && $wd->isa('IO::AIO::WD'), 'wd');
    is(aio_stat([$wd, 'renamed']), 0, 'stat of [wd, path]');
    is(-s _, 5, 'its size');
}

sub check_failures {
    my $dir  = fresh_dir();
    my $file = write_file("$dir/file", 'hello');
    for (
        [ENOENT,  sub { aio_stat "$dir/none" }],
        [ENOENT,  sub { aio_unlink "$dir/none" }],
        [EEXIST,  sub { aio_mkdir $dir, 0755 }],
        [ENOTDIR, sub { aio_rmdir $file }],
        [EBADF,   sub { aio_fsync 9999 }],
    ) {
        my ($errno, $request) = @$_;
        is($request->(), -1, 'a failure is -1');
        is($! + 0, $errno, errno_name($errno));
    }
    aio_stat "$dir/none";
    ok(!-e _, '_ tells of a failed stat');
    is(scalar(aio_open "$dir/none", O_RDONLY, 0), undef, 'open that fails');
    is($! + 0, ENOENT, '$! of open');
    is_deeply([aio_scandir "$dir/none", 0], [], 'nothing for a scandir that fails');
    is($! + 0, ENOENT, '$! of scandir');
    is(eval { aio_stat {}; 1 }, undef, 'a bad argument dies'); my $line = __LINE__;
    like($@, qr/ at \Q${\__FILE__}\E line $line\.$/, 'where it stands');
    is(eval { &aio_stat(); 1 }, undef, 'too few arguments die');
    is(IO::AIO::nreqs(), 0, 'nothing was submitted');
}

# Requests of IO::AIO that a coro waits for, and callbacks that start coros.
sub check_waiting {
    my $dir   = fresh_dir();
    my $file  = write_file("$dir/file", 'hello');
    my $group = IO::AIO::aio_group();
    my $done  = 0;
    $group->add(map { IO::AIO::aio_stat($dir, sub { $done++ }) } 1 .. 10);
    is_deeply([aio_wait $group], [], 'a group without results');
    is($done, 10, 'all of its members are done');
    $group = IO::AIO::aio_group();
    $group->add(IO::AIO::aio_nop(sub { $group->result('a', 'b') }));
    is_deeply([aio_wait $group], ['a', 'b'], 'a group with results');
    is(scalar(aio_wait IO::AIO::aio_stat("$dir/none")), -1, 'a single request');
    is($! + 0, ENOENT, 'its errno');
    aio_wait(IO::AIO::aio_stat($file));
    is(-s _, 5, 'and what a stat found');

    my @order;
    my $finished = AnyEvent->condvar;
    IO::AIO::aio_stat($file, sub {
        push @order, "callback $_[0]";
        async { push @order, 'coro ' . aio_stat "$dir/none"; $finished->send };
    });
    $finished->recv;
    is("@order", 'callback 0 coro -1', 'a callback starts a coro');
}

# Many coros ask at the same time; each has its own answer in _ and $!.
sub check_many {
    my $dir = fresh_dir();
    write_file("$dir/$_", 'x' x $_) for 1 .. 60;
    my (%size, %errno);
    concurrently {
        my ($i) = @_;
        for (1 .. 20) {
            my $status = aio_stat "$dir/$i";
            $size{$i}++ unless $status == 0 && -s _ == $i;
            if ($i % 2) {
                aio_unlink "$dir/none";
                $errno{$i}++ unless $! == ENOENT;
            } else {
                aio_rmdir "$dir/$i";
                $errno{$i}++ unless $! == ENOTDIR;
            }
        }
    } 60;
    is(join(' ', %errno), '', '$! is the one of the request');
    is(join(' ', %size),  '', '_ is the answer to the stat');
}

# Many coros write, read back, copy and remove files of their own, in steps that mix.
sub check_storm {
    IO::AIO::min_fdlimit(256);
    my $dir   = fresh_dir();
    my $bytes = 0;
    concurrently {
        my ($i) = @_;
        my $path   = "$dir/$i";
        my $expect = join '', map { pack 'NN', $i, $_ } 1 .. 500 + $i;
        my $half   = length($expect) >> 1;
        my $fh     = aio_open $path, O_RDWR | O_CREAT, 0600 or die "open: $!";
        aio_write($fh, $half, length($expect) - $half, $expect, $half) == length($expect) - $half
            or die "write: $!";
        aio_write($fh, 0, $half, $expect, 0) == $half or die "write: $!";
        aio_stat $fh;
        -s _ == length $expect or die 'size';
        my $got = '';
        while (my $n = aio_read $fh, length $got, 777, $got, length $got) {
            die "read: $!" if $n < 0;
        }
        $got eq $expect or die 'contents';
        aio_copy($path, "$path.copy") == 0 or die "copy: $!";
        aio_unlink($path) == 0 or die "unlink: $!";
        aio_load("$path.copy", my $copy) == length $expect or die "load: $!";
        $copy eq $expect or die 'contents of the copy';
        aio_close($fh) == 0 or die "close: $!";
        $bytes += length $copy;
    } 100;
    is($bytes, 8 * (500 * 100 + 5050), 'every byte went through');
    is(aio_rmtree($dir), 0, 'and away');
}

# A producer and its consumers meet in a channel.
sub check_channel {
    my $dir = fresh_dir();
    my ($queue, $sum) = (Coro::Channel->new(4), 0);
    write_file("$dir/$_", "$_\n") for 1 .. 40;
    my $producer = async {
        $queue->put("$dir/$_") for @{ aio_readdir $dir };
        $queue->shutdown;
    };
    concurrently {
        while (defined(my $path = $queue->get)) {
            aio_load $path, my $text;
            $sum += $text;
        }
    } 5;
    is($sum, 820, 'each file was read once');
}

1;
