#!/usr/bin/perl
# aio_mincore: which pages of a scalar are in memory.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use IO::AIO;

BEGIN { plan skip_all => 'the peer has none of it' if is_peer }
use IO::AIO ':more';

use constant PAGE => IO::AIO::PAGESIZE;

# As a text of 0 and 1, or the error.
sub pages {
    my ($errno, @got) = &run_req($_[0]);
    return 'not one' if @got != 1;
    return defined $got[0] ? $got[0] =~ tr/\0\1/01/r : errno_name($errno);
}

each_engine {
  SKIP: {
        if (without 'MINCORE') {
            my $scalar = 'x';
            is(pages(sub { aio_mincore $scalar, 0, undef, $_[0] }), 'ENOSYS', 'the system has none');
            skip 'no mincore here', 1;
        }
        my ($map, $flags) = ('', IO::AIO::MAP_PRIVATE | IO::AIO::MAP_ANONYMOUS);
        IO::AIO::mmap($map, 8 * PAGE, IO::AIO::PROT_READ | IO::AIO::PROT_WRITE, $flags) or die "mmap: $!";
        is(pages(sub { aio_mincore $map, 0, 7 * PAGE, $_[0] }), '0' x 7, 'nothing has been touched');
        succeeds { aio_mtouch $map, 0, undef, IO::AIO::MT_MODIFY, $_[0] } 'touch';
        is(pages(sub { aio_mincore $map, 0, undef, $_[0] }), '1' x 8, 'all of it');
        is(pages(sub { aio_mincore $map, 1, PAGE, $_[0] }), '11', 'the pages that a part touches');
        is(pages(sub { aio_mincore $map, PAGE - 1, 1, $_[0] }), '1', 'the last octet of one');
        is(pages(sub { aio_mincore $map, -1, undef, $_[0] }), '1', 'an offset from the end');
        is(pages(sub { aio_mincore $map, 5, 0, $_[0] }), '', 'no octet, no page');
        IO::AIO::munmap $map;

        my $text = 'y' x (3 * PAGE);
        my $got = pages(sub { aio_mincore $text, 0, undef, $_[0] });
        like($got, qr/^[01]{3,4}\z/, 'a plain string');
        like(pages(sub { aio_mincore 'a literal', 0, undef, $_[0] }), qr/^[01]{1,2}\z/, 'a literal');
        my $file = write_file fresh_dir . '/file', 'z' x (2 * PAGE);
        open my $fh, '+<', $file or die "file: $!";
        IO::AIO::mmap(my $shared, 2 * PAGE, IO::AIO::PROT_READ, IO::AIO::MAP_SHARED, $fh) or die "mmap: $!";
        is(pages(sub { aio_mincore $shared, 0, undef, $_[0] }), '11', 'a file that was just written');

        # the scalar cannot be changed meanwhile, and can afterwards
        hold();
        my $called;
        aio_mincore $text, 0, undef, sub { $called = length $_[0] };
        ok(!eval { $text .= 'x'; 1 }, 'it is locked') if engine ne 'sync';
        aio_mincore $text;
        if (engine ne 'sync') {
            my $req = aio_mincore $text, 0, 1, sub { fail 'cancelled' };
            $req->cancel;
        }
        one_by_one();
        cmp_ok($called, '>=', 3, 'then it is not');
        ok(eval { $text .= 'x'; 1 }, 'and can be changed');

        croaks { aio_mincore $text, 4 * PAGE } qr/^aio_mincore: offset outside of scalar/, 'outside';
        croaks { aio_mincore $text, [] } qr/^aio_mincore: offset must be a number/, 'no number';
        croaks { aio_mincore sub { }, 0 } qr/^aio_mincore: scalar must be a scalar/, 'code';
    }
};

SKIP: {
    needs 1, 'MINCORE';
    eval { require Future::AIO; 1 } or skip 'no Future here', 1;
    my $text = 'x';
    is(length Future::AIO::aio_mincore($text)->get, 1, 'Future::AIO');
}

SKIP: {
    needs 1, 'MINCORE';
    eval { require Coro; require AnyEvent; 1 } or skip 'no Coro here', 1;
    my ($status, $out, $err) = run_perl('use Coro; use Coro::AIO; my $text = "x"; print length Coro::AIO::aio_mincore($text, 0, undef)');
    is($out, '1', 'Coro::AIO') or diag $err;
}

done;
