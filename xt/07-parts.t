use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../t/lib";
use AIOTest;
use SlowFS;
use Test::More;
use IO::AIO;

# Operations in parts, on a file system that is slow: as many threads as may are at one request, and no more. All of them
# are held up in what they do, so their number is certain.

plan skip_all => SlowFS->missing if SlowFS->missing;

# Mounts are of what is removed or read itself: no name on the way there has to be looked up.
my $scanned = SlowFS->mount(fresh_dir, no_types => 1);
my $removed = SlowFS->mount(fresh_dir, no_types => 1);
write_file $scanned->source . "/$_" for 1 .. 40;

# Requests that are held up, when there are as many as there should be: others had the same chance to come.
sub settled {
    my ($fs, $n) = @_;
    $fs->wait_held($n);
    return $fs->held;
}

sub let_go {
    my ($fs) = @_;
    $fs->delay(0);
    $fs->release;
    IO::AIO::flush;
}

each_engine {
    my ($engine) = @_;
    return pass('it would wait in submit') if $engine eq 'sync';
    for ([8, 3, 3], [8, 0, 8], [8, 64, 8], [3, 0, 3], [1, 8, 1]) {
        my ($threads, $maxreq, $want) = @$_;
        IO::AIO::max_parallel($threads);
        IO::AIO::min_parallel($threads);
        $scanned->delay(5, qw(opendir readdir));    # a slow one: worth to send for others
        $scanned->hang('lookup');
        my ($dirs, $files);
        aio_scandir $scanned->path, $maxreq, sub { ($dirs, $files) = @_ };
        is(settled($scanned, $want), $want, "scandir, $threads threads, maxreq $maxreq: $want at a time");
        let_go($scanned);
        is(@{ $files || [] }, 40, 'and all are found');
    }

    for ([8, 8], [2, 2], [1, 1]) {
        my ($threads, $want) = @$_;
        IO::AIO::max_parallel($threads);
        IO::AIO::min_parallel($threads);
        for my $d (map $removed->source . "/$_", 1 .. 10) {
            mkdir $d or die "$d: $!";
            write_file "$d/$_" for 'a' .. 'c';
        }
        $removed->delay(5, qw(opendir readdir));
        $removed->hang('unlink');
        my $errno;
        aio_rmtree $removed->path, sub { $errno = errno_name($!) };
        is(settled($removed, $want), $want, "rmtree, $threads threads: $want at a time");
        let_go($removed);
        is($errno, 'EBUSY', 'it removes all but what is mounted');
        is_deeply([glob $removed->source . '/*'], [], 'and all that is in it');
    }

    # its time is up while all are held up: answered at once, and what was given up leaves nothing behind
    IO::AIO::max_parallel(8);
    IO::AIO::min_parallel(8);
    for my $d (map $removed->source . "/$_", 1 .. 10) {
        mkdir $d or die "$d: $!";
        write_file "$d/$_" for 'a' .. 'c';
    }
    $removed->delay(5, qw(opendir readdir));
    $removed->hang('unlink');
    my @late;
    IO::AIO::aioreq_timeout(0.3);
    aio_rmtree $removed->path, sub { @late = ($_[0], errno_name($!)) };
    IO::AIO::flush;
    is("@late", '-1 ETIMEDOUT', 'rmtree whose time is up');
    my $others = 0;
    aio_readdir '/', sub { $others++ } for 1 .. 20;
    IO::AIO::flush;
    is($others, 20, 'others go on');
    let_go($removed);
    ok((wait_for { IO::AIO::poll_cb; !IO::AIO::nabandoned }), 'all that was held up ends');
    run_req { aio_rmtree $removed->path, $_[0] };
    reset_limits;
};

$_->unmount for $scanned, $removed;
done;
