use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use SlowFS;
use Test::More;
use IO::AIO qw(:DEFAULT aio_cptree);

# Copies from and onto a file system that makes one wait for each call: it is asked for much at a time, and read while it
# is written to.

plan skip_all => 'the peer asks for each 64 KiB' if is_peer;
plan skip_all => SlowFS->missing if SlowFS->missing;

my $size = 16 << 20;
my $data = join '', map chr(65 + $_) x (1 << 20), 0 .. 15;

sub asked_for { my ($fs, $what) = @_; my ($n) = $fs->asked =~ /\b$what (\d+)/; $n || 0 }

each_engine {
    my ($engine) = @_;
    my ($from, $to) = map SlowFS->mount(fresh_dir, direct => 1), 1, 2;
    my ($src, $dst) = ($from->path . '/src', $to->path . '/dst');
    write_file $from->source . '/src', $data;
    $_->delay(1, qw(read write)) for $from, $to;

    for my $round (1, 2) {
        $_->reset for $from, $to;
        succeeds { aio_copy $src, $dst, $_[0] } "copy $round";
        ok(read_file($to->source . '/dst') eq $data, 'is whole');
        cmp_ok(asked_for($_, $_ == $from ? 'read' : 'write'), '<=', 20, 'few ' . ($_ == $from ? 'reads' : 'writes')) for $from, $to;
    }

    # By itself, it may copy much at once.
    $from->reset;
    succeeds { aio_copy $src, $from->path . '/dst', $_[0] } 'copy on one file system, which copies';
    ok(read_file($from->source . '/dst') eq $data, 'is whole');
    is(asked_for($from, 'read'), 0, 'without a read') if $engine ne 'uring';    # which remembers what pool met below

    # Or not: Linux would ask it for each 64 KiB.
    $from->reset;
    $from->fail('EOPNOTSUPP', 'copy_file_range');
    succeeds { aio_copy $src, $from->path . '/dst', $_[0] } 'copy on one file system that copies nothing';
    ok(read_file($from->source . '/dst') eq $data, 'is whole');
    cmp_ok(asked_for($from, $_), '<=', 28, "few ${_}s") for qw(read write);

    mkdir $from->source . '/tree' or die $!;
    rename $from->source . '/src', $from->source . '/tree/src' or die $!;
    is((run_req { aio_cptree $from->path . '/tree', $to->path . '/tree', 0, $_[0] })[1], 0, 'a tree');
    ok(read_file($to->source . '/tree/src') eq $data, 'is whole');
    return if $engine eq 'sync';

    # While a write is held up, the next block is read, from the second on: its first MiB is the first that a write asks for,
    # after reads of all of it; one more read is of the next block.
    $_->reset for $from, $to;
    $to->hang('write');
    $from->delay(20, 'read');
    my $got;
    my $req = aio_copy $from->path . '/tree/src', $dst, sub { $got = $_[0] };
    for my $n (1 .. 4) {
        ok(wait_for { asked_for($to, 'write') >= $n && $to->held }, "write $n is held up");
        last if $n == 4;
        $to->release;
        $to->hang('write');
    }
    my $wrote = asked_for($to, 'write');
    wait_for { asked_for($from, 'read') > $wrote + 1 };
    cmp_ok(asked_for($from, 'read'), '>', $wrote + 1, 'reads go on meanwhile');
    $to->release;
    IO::AIO::flush;
    is($got, 0, 'it succeeds');
    ok(read_file($to->source . '/dst') eq $data, 'and is whole');
};

done;
