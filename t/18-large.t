use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Config;
use Fcntl qw(:DEFAULT :seek);
use File::Temp ();
use IO::AIO;

# Files beyond 4 GiB, which are sparse and take no space, and a directory of many entries.

use constant GIB => 2**30;

# Which temporary file system is used does not matter, only that it can.
my $sparse_ok = do {
    my $path = write_file tmpdir . '/probe';
    my $ok = ($Config{uselargefiles} || $Config{ivsize} >= 8) && truncate $path, 6 * GIB;
    unlink $path;
    $ok;
};

# In memory where that is possible: making the entries is not what is tested.
my $memory  = -d '/dev/shm' && -w _ ? '/dev/shm' : tmpdir;
my $many    = File::Temp::tempdir('aiotest-XXXXXX', DIR => $memory, CLEANUP => 1);
my $entries = extended ? 100_000 : 20_000;
for (1 .. $entries) { sysopen my $fh, "$many/$_", O_CREAT | O_WRONLY or die "$many/$_: $!" }

each_engine {
    my $dir  = fresh_dir;
    my $file = write_file "$dir/large";
    open my $fh, '+<', $file or die "$file: $!";

  SKIP: {
        skip 'no large sparse files here', 1 unless $sparse_ok;
        my $buf;
        my ($errno, $n) = run_req { aio_write $fh, 5 * GIB, undef, 'five', 0, $_[0] };
        is($n, 4, 'write at 5 GiB');
        is(-s $file, 5 * GIB + 4, 'the size');
        ($errno, $n) = run_req { aio_read $fh, 5 * GIB - 2, 10, $buf, 0, $_[0] };
        is($buf, "\0\0five", 'read around 5 GiB');
        sysseek $fh, 4 * GIB + 1, SEEK_SET;
        run_req { aio_write $fh, undef, undef, 'four', 0, $_[0] };
        is(sysseek($fh, 0, SEEK_CUR), 4 * GIB + 5, 'write at a position beyond 4 GiB moves it');
        sysseek $fh, 4 * GIB + 1, SEEK_SET;
        run_req { aio_read $fh, undef, 4, $buf, 0, $_[0] };
        is($buf, 'four', 'read at a position beyond 4 GiB');

        my $size;
        aio_stat $file, sub { $size = -s _ };
        IO::AIO::flush;
        is($size, 5 * GIB + 4, 'stat by path');
        aio_stat $fh, sub { $size = -s _ };
        IO::AIO::flush;
        is($size, 5 * GIB + 4, 'stat by handle');

        open my $out, '+>', "$dir/out" or die "$dir/out: $!";
        ($errno, $n) = run_req { aio_sendfile $out, $fh, 5 * GIB, 4, $_[0] };
        is(read_file("$dir/out"), 'five', 'sendfile from 5 GiB');
        sysseek $out, 5 * GIB, SEEK_SET;
        run_req { aio_sendfile $out, $fh, 4 * GIB + 1, 4, $_[0] };
        is(-s $out, 5 * GIB + 4, 'sendfile to 5 GiB');
        succeeds { aio_readahead $fh, 5 * GIB, 4, $_[0] } 'readahead at 5 GiB';

        for my $what ($file, $fh) {
            succeeds { aio_truncate $what, 6 * GIB, $_[0] } 'truncate to 6 GiB';
            is(-s $file, 6 * GIB, 'the size');
            succeeds { aio_truncate $what, 5 * GIB + 2, $_[0] } 'truncate to 5 GiB and 2';
        }
        run_req { aio_read $fh, 5 * GIB, 10, $buf, 0, $_[0] };
        is($buf, 'fi', 'what is left');
        ($errno, my $other) = run_req { aio_open $file, O_RDONLY, 0, $_[0] };
        is(-s $other, 5 * GIB + 2, 'open gives a handle for large files');
        seek $other, 5 * GIB, SEEK_SET;
        is(scalar <$other>, 'fi', 'that perl can seek in');
        unlink $file, "$dir/out";
    }

    my ($errno, $list) = run_req { aio_readdir $many, $_[0] };
    is(@$list, $entries, "readdir of $entries entries");
    my %seen;
    $seen{$_}++ for @$list;
    is((grep { ($seen{$_} || 0) == 1 } 1 .. $entries), $entries, 'has each of them once');
};

# Faster than perl removes it.
run_req { aio_rmtree $many, $_[0] };
ok(!-e $many, 'the large directory is gone');

done;
