use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Config;
use Fcntl qw(:DEFAULT);
use IO::AIO;

# Arguments that other tests have no reason to try.

my $dir = fresh_dir;
my $file = write_file "$dir/file", 'x' x 8192;
use constant RW => IO::AIO::PROT_READ | IO::AIO::PROT_WRITE;

each_engine {
    open my $fh, '+<', $file or die "$file: $!";

    ours { fails_with { aio_truncate $file, undef, $_[0] } 'EINVAL', 'truncate without a length' } 'takes it for 0';
    is(-s $file, 8192, 'costs no data');
    ours { fails_with { aio_truncate $fh, undef, $_[0] } 'EINVAL', 'of a handle neither' } 'takes it for 0';

    my $wd;
    aio_wd $dir, sub { $wd = $_[0] };
    IO::AIO::flush;
    my @short = ($wd);
    $#short = 1;
    fails_with { aio_stat \@short, $_[0] } 'ENOENT', 'a working directory, and an element that does not exist';

    ours {
        croaks { aio_read $fh, 0, -1, my $buf = '', 0 } qr/length must not be negative/, 'a negative length';
        croaks { IO::AIO::_stat_restore 'x' } qr/must be one/, 'what _stat_save has not returned';
        croaks { IO::AIO::fexecve $fh, 'no array', [] } qr/array/, 'fexecve without an array';
    } 'has other texts';

    my ($fed, $done) = (0, 0);
    my $group = aio_group sub { $done++ };
    $group->feed(sub { $fed++ < 3 and $_[0]->add(aio_nop) });
    $group->feed(undef);
    $group->limit(5);
    IO::AIO::flush;
    is($done, 1, 'a group whose feeder was taken away ends');

    IO::AIO::max_outstanding(2);
    my $n = 0;
    aio_nop sub { aio_stat $file, sub { $n++ } for 1 .. 10 };
    IO::AIO::poll_cb while !$n;
    cmp_ok(IO::AIO::nreqs, '<=', 1, 'poll_cb goes on while more is outstanding than allowed');
    IO::AIO::flush;
    is($n, 10, 'and nothing is lost');
    IO::AIO::max_outstanding(2**31);

    # direct writes, by the ring where that is the engine
  SKIP: {
        sysopen my $out, "$dir/direct", O_RDWR | O_CREAT | IO::AIO::O_DIRECT or skip "no direct writes here: $!", 2;
        IO::AIO::mmap my $page, 4096, RW, IO::AIO::MAP_PRIVATE | IO::AIO::MAP_ANONYMOUS, undef or skip "no page: $!", 2;
        substr($page, 0, 4096) = 'd' x 4096;
        my @got = run_req { aio_write $out, 0, 4096, $page, 0, $_[0] };
        is($got[1], 4096, 'a direct write');
        is(read_file("$dir/direct"), 'd' x 4096, 'is in the file');
    }

    ours {
        IO::AIO::mmap my $map, 4096, RW, IO::AIO::MAP_SHARED, $fh or die "mmap: $!";
        my $string = 'abc' x 5000;
        croaks { IO::AIO::mprotect $string, 0, undef, IO::AIO::PROT_READ } qr/not memory-mapped/, 'mprotect of a string';
        croaks { IO::AIO::mmap *STDOUT, 4096, RW, IO::AIO::MAP_SHARED, $fh } qr/mmap/, 'mmap of a glob';
        $map = 'y' x 4096;
        is(substr(read_file($file), 0, 4096), 'y' x 4096, 'a string of the same length is stored');
        substr($map, -3, -1) = 'ab';
        is(substr(read_file($file), 4092, 4), 'yaby', 'substr counts from the end');
        IO::AIO::munmap $map;
        write_file $file, 'x' x 8192;
    } 'crash';
};

# A thread is started while everything is in flight: it has copies that nothing writes to.
SKIP: {
    skip 'perl has no threads', 4 unless $Config{useithreads};
    skip 'the other one copies what it must not', 4 if is_peer;
    require threads;
    open my $fh, '+<', $file or die "$file: $!";
    pipe my $r, my $w or die "pipe: $!";
    my ($buf, %in) = ('old');
    my @req = (aio_read($r, undef, 3, $buf, 3), aio_read($r, undef, 3, $in{x}, 0));
    IO::AIO::mmap my $map, 4096, RW, IO::AIO::MAP_SHARED, $fh or die "mmap: $!";
    my $got = threads->create(sub {
        $buf .= ' mine';
        $in{x} = 'mine';
        $map .= '!';
        $_->cancel for @req;
        join ',', substr($buf, 0, 3), $in{x}, length $map;
    })->join;
    is($got, 'old,mine,4097', 'a thread changes its copies');
    syswrite $w, 'abcdef';
    IO::AIO::flush;
    like($buf, qr/^old(?:abc|def)$/, 'ours are filled');
    like($in{x}, qr/^(?:abc|def)$/, 'an element as well');
    is(length $map, 4096, 'and the mapping is as it was');
    IO::AIO::munmap $map;
}

ours {
    local $ENV{IO_AIO_ENGINE} = 'steam';
    my ($status, $out, $err) = run_perl('use IO::AIO; print scalar IO::AIO::engine');
    is($out, 'pool', 'an engine that does not exist: the default');
    like($err, qr/IO_AIO_ENGINE must be/, 'and a warning');
} 'has no engines';

# $! belongs to the program until a callback runs, whatever becomes of a request at once.
each_engine {
    my $dir = fresh_dir;
    open my $fh, '+>', write_file("$dir/file", '0123456789') or die "open: $!";
    syswrite $fh, '0123456789';
    my ($data, %request) = ('');
    %request = (
        read       => sub { aio_read $fh, 0, 10, $data, 0 },
        'read bad' => sub { aio_read 999, 0, 10, $data, 0 },
        write      => sub { aio_write $fh, 0, 3, 'abc', 0 },
        stat       => sub { aio_stat "$dir/file" },
        'stat bad' => sub { aio_stat "$dir/none" },
        'open bad' => sub { aio_open "$dir/none", 0, 0 },
        fsync      => sub { aio_fsync $fh },
        'sync bad' => sub { aio_fsync 999 },
        load       => sub { aio_load "$dir/none", $data },
        move       => sub { aio_move "$dir/none", "$dir/x" },
        rmtree     => sub { aio_rmtree "$dir/none" },
        group      => sub { aio_group },
        cancelled  => sub { (aio_stat "$dir/none")->cancel },
    );
    $request{'too large'} = sub { aio_read $fh, 0, 2**62, $data, 0 } unless is_peer; # which dies of it
    for my $name (sort keys %request) {
        $! = 33;
        $request{$name}->();
        is($! + 0, 33, "$name leaves \$! alone");
        IO::AIO::flush;
    }
};

done;
