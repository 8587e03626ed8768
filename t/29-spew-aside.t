use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use SlowFS;
use Test::More;
use IO::AIO qw(:DEFAULT aio_spew aioreq_class);

# Durable writes that wait for the disk: they take no places, so that many wait at a time. The disk is a file system that
# holds each sync until it is told, and counts.

plan skip_all => 'is about ours' if is_peer;
plan skip_all => SlowFS->missing if SlowFS->missing;

my $durable = IO::AIO::SPEW_ATOMIC | IO::AIO::SPEW_DURABLE;

each_engine {
    return if engine eq 'sync';    # what waits would wait in the owner
    my $fs = SlowFS->mount(fresh_dir);
    my $dir = $fs->path;
    my ($stored, $others, $failed) = (0, 0, 0);
    my $spew = sub { my ($n) = @_; aio_spew "$dir/$n", "text $n", $durable, undef, sub { $_[0] ? $failed++ : $stored++ } };

    IO::AIO::max_parallel(2);
    $fs->hang('fsync');
    $spew->($_) for 1 .. 20;
    ok($fs->wait_held(20), 'twenty wait for the disk, with a maximum of two');
    is(scalar(grep !/^\./, names_in($fs->source)), 0, 'none has its name before');
    aio_readdir '/', sub { $others++ } for 1 .. 20;
    wait_for { IO::AIO::poll_cb; $others == 20 };
    is("$others $stored", '20 0', 'others go on meanwhile');
    is(IO::AIO::nreqs, 20, 'and they are still outstanding');

    # More than that keep their places.
    $spew->($_) for 21 .. 60;
    ok($fs->wait_held(34), 'there are not more than 32 of them, and those that have places');
    is(IO::AIO::nready, 26, 'the others wait for a place');
    is($fs->held, 34, 'still');
    $fs->release;
    IO::AIO::flush;
    is("$stored $failed", '60 0', 'all are stored');
    is_deeply([names_in $fs->source], [sort 1 .. 60], 'and have their names');
    is(read_file($fs->source . '/60'), 'text 60', 'and contents');
    my $asked = $fs->asked;
    like($asked, qr/\bfsync 60\b/, 'each file was synced');
    like($asked, qr/\bfsyncdir 60\b/, 'and each name');

    # An error of a sync is told by who waited for it, and by nobody else.
    $fs->fail('EIO', 'fsync');
    fails_with { aio_spew "$dir/1", 'new', $durable, undef, $_[0] } 'EIO', 'a sync that fails';
    $fs->fail(0, 'fsync');
    is(read_file($fs->source . '/1'), 'text 1', 'leaves the old file');
    is(scalar(() = names_in $fs->source), 60, 'and nothing else');

    # One that is cancelled meanwhile, or whose time is up, is undone.
    $fs->hang('fsync');
    my $req = $spew->(2);
    $fs->wait_held(1);
    $req->cancel;
    my $late = $spew->('late');
    $fs->wait_held(2);
    $late->timeout(0.002);
    wait_for { IO::AIO::poll_cb; $failed };
    $fs->release;
    IO::AIO::flush;
    wait_for { IO::AIO::poll_cb; !IO::AIO::nabandoned };
    ok(!-e $fs->source . '/late', 'what is given up gets no name');
    is(scalar(() = names_in $fs->source), 60, 'and leaves nothing');

    # Those of a class, and where the order is kept, are not more than they may be.
    IO::AIO::class('disk', max_parallel => 3);
    $fs->hang('fsync');
    IO::AIO::max_parallel(8);
    for (1 .. 10) { aioreq_class('disk'); $spew->($_) }
    ok($fs->wait_held(3), 'three of a class');
    is($fs->held, 3, 'and no more');
    $fs->release;
    IO::AIO::flush;
    reset_limits;
};

done;
