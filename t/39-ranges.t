#!/usr/bin/perl
# What the kernel brings from one descriptor to another, or has two files share: aio_copy_file_range, aio_clone_range,
# aio_dedupe_range, aio_splice, aio_tee. Each is one system call.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use IO::Handle;
use Test::More;
use IO::AIO;

BEGIN { plan skip_all => 'the peer has none of it' if is_peer }
use IO::AIO ':more';

my %lacks = (copy_file_range => 'COPY_FILE_RANGE', clone_range => 'FICLONE', dedupe_range => 'FICLONE',
    splice => 'SPLICE', tee => 'TEE');

# Result, error, in one text.
sub result(&) {
    my ($code) = @_;
    my ($errno, @got) = run_req { $code->($_[0]) };
    return @got == 1 && $got[0] >= 0 ? $got[0] : "@got " . errno_name($errno);
}

sub position { sysseek $_[0], 0, 1 }

sub a_pipe { pipe my $r, my $w or die "pipe: $!"; ($r, $w) }

each_engine {
    my ($engine) = @_;
    my $dir = fresh_dir;
    write_file "$dir/in", '0123456789';
    open my $in, '<', "$dir/in" or die "in: $!";
    my $fresh = sub {
        write_file "$dir/out", 'x' x 10;
        open my $out, '+<', "$dir/out" or die "out: $!";
        $out;
    };
    my $has = sub { is(read_file("$dir/out"), $_[0], $_[1] || 'the data') };
    my $out = $fresh->();
    my ($r, $w) = a_pipe;
    my %call = (
        copy_file_range => sub { aio_copy_file_range $_[0], 0, $_[1], 0, $_[2], 0, $_[3] },
        clone_range     => sub { aio_clone_range $_[0], 0, $_[1], 0, $_[2], $_[3] },
        dedupe_range    => sub { aio_dedupe_range $_[0], 0, $_[1], 0, $_[2], $_[3] },
        splice          => sub { aio_splice $_[0], undef, $_[1], undef, $_[2], 0, $_[3] },
        tee             => sub { aio_tee $_[0], $_[1], $_[2], 0, $_[3] },
    );
    for my $name (sort keys %call) {
        my $call = $call{$name};
        if (without $lacks{$name}) {
            is(result { $call->($in, $out, 1, $_[0]) }, '-1 ENOSYS', "$name: ENOSYS");
            next;
        }
        is(result { $call->(9_999, $out, 1, $_[0]) }, '-1 EBADF', "$name: from nothing");
        like(result { $call->($in, 9_999, 1, $_[0]) }, $name eq 'dedupe_range' ? qr/^-1 E/ : qr/^-1 EBADF$/, "$name: to nothing");
        is(result { $call->($in, $out, -1, $_[0]) }, '-1 EINVAL', "$name: a negative length");
        is(result { $call->($in, $out, 2**64, $_[0]) }, '-1 EINVAL', "$name: too large a one");
        open my $closed, '<', "$dir/in" or die "in: $!";
        close $closed;
        croaks { $call->($closed, $out, 1) } qr/^aio_$name: illegal fh argument: in_fh /, "$name: a closed handle";
        croaks { $call->($in, $closed, 1) } qr/^aio_$name: illegal fh argument: out_fh /, "$name: the second one";
        croaks { $call->($in, $in, 1) } qr/^aio_$name: illegal fh argument: out_fh .*mode mismatch/, "$name: opened to read"
            if $name ne 'dedupe_range';
        croaks { $call->('x', $out, 1) } qr/^aio_$name: illegal fh argument: in_fh /, "$name: no handle";
        croaks { $call->($in, $out, []) } qr/^aio_$name: length must be a number/, "$name: no number";
    }
    $has->('x' x 10, 'nothing has changed');

  SKIP: {
        needs 1, 'COPY_FILE_RANGE';
        my $probe = result { aio_copy_file_range $in, 2, $out, 1, 4, 0, $_[0] };
        skip 'copy_file_range is refused here', 1 if $probe =~ /ENOSYS|EPERM/;
        is($probe, 4, 'copy_file_range');
        $has->('x2345xxxxx');
        is(position($in) + position($out), 0, 'no position has moved');
        is(result { aio_copy_file_range $in, undef, $out, undef, 3, 0, $_[0] }, 3, 'positions');
        $has->('01245xxxxx');
        is(position($in) . position($out), 33, 'they have moved');
        is(result { aio_copy_file_range $in, undef, $out, 9, 100, 0, $_[0] }, 7, 'one of both');
        $has->('01245xxxx3456789');
        is(position($in) . position($out), '103', 'the other has not');
        is(result { aio_copy_file_range $in, 10, $out, 0, 5, 0, $_[0] }, 0, 'the end');
        is(result { aio_copy_file_range $in, 0, $out, 0, 5, 1, $_[0] }, '-1 EINVAL', 'a flag');
        is(result { aio_copy_file_range $in, -1, $out, 0, 5, 0, $_[0] }, '-1 EINVAL', 'a negative offset');
        is(result { aio_copy_file_range $in, 0, $out, -1, 5, 0, $_[0] }, '-1 EINVAL', 'the other one');
        like(result { aio_copy_file_range $r, undef, $out, 0, 5, 0, $_[0] }, qr/EINVAL/, 'a pipe');
    }

  SKIP: {
        needs 1, 'FICLONE';
        $out = $fresh->();
        my $probe = result { aio_clone_range $in, 0, $out, 0, 0, $_[0] };
        if ($probe ne 0) {
            like($probe, qr/^-1 (?:EOPNOTSUPP|ENOTSUP|ENOTTY|EXDEV|EINVAL|EPERM)$/, 'no clones here');
            $has->('x' x 10, 'nothing has changed');
            like(result { aio_dedupe_range $in, 0, $out, 0, 10, $_[0] }, qr/^-1 E|^0$/, 'nor is anything shared');
            skip 'no clones on this file system', 1;
        }
        $has->('0123456789', 'a clone of a whole file');
        my $block = (stat $in)[11];
        write_file "$dir/large", join '', map $_ x $block, 'a' .. 'd';
        open my $large, '+<', "$dir/large" or die "large: $!";
        is(result { aio_clone_range $large, $block, $out, 2 * $block, $block, $_[0] }, 0, 'of a part');
        is(substr(read_file("$dir/out"), 2 * $block), 'b' x $block, 'is there');
        is(result { aio_clone_range $large, undef, $out, undef, 0, $_[0] }, 0, 'undef');
        is(read_file("$dir/out"), read_file("$dir/large"), 'is 0');
        is(result { aio_clone_range $large, 1, $out, 0, $block, $_[0] }, '-1 EINVAL', 'no whole block');
        open my $readable, '<', "$dir/out" or die "out: $!";
        is(result { aio_dedupe_range $large, $block, $readable, $block, 2 * $block, $_[0] }, 2 * $block, 'what is the same is shared');
        is(result { aio_dedupe_range $large, 0, $out, undef, $block, $_[0] }, $block, 'undef is 0');
        is(result { aio_dedupe_range $large, 0, $out, $block, $block, $_[0] }, 0, 'what is not is not');
        is(read_file("$dir/out"), read_file("$dir/large"), 'and stays');
    }

  SKIP: {
        needs 1, 'SPLICE', 'TEE';
        $out = $fresh->();
        sysseek $in, 1, 0;
        is(result { aio_splice $in, 3, $w, undef, 4, 0, $_[0] }, 4, 'splice from an offset');
        is(result { aio_splice $in, undef, $w, undef, 2, IO::AIO::SPLICE_F_MORE, $_[0] }, 2, 'from the position');
        is(position($in), 3, 'which has moved');
        my ($r2, $w2) = a_pipe;
        my $buf;
        is(result { aio_tee $r, $w2, 100, 0, $_[0] }, 6, 'tee');
        is(sysread($r2, $buf, 100) && $buf, '345612', 'the data');
        is(result { aio_splice $r, undef, $out, 2, 3, 0, $_[0] }, 3, 'splice to an offset');
        $has->('xx345xxxxx');
        is(result { aio_splice $r, undef, $w2, undef, 100, 0, $_[0] }, 3, 'from pipe to pipe');
        is(sysread($r2, $buf, 100) && $buf, '612', 'the data');
        is(result { aio_splice $in, 0, $w, 0, 1, 0, $_[0] }, '-1 ESPIPE', 'an offset for a pipe');
        is(result { aio_splice $in, 0, $out, 0, 1, 0, $_[0] }, '-1 EINVAL', 'no pipe');
        is(result { aio_tee $in, $w, 1, 0, $_[0] }, '-1 EINVAL', 'tee without');

        # what would wait
        my $now = IO::AIO::SPLICE_F_NONBLOCK;
        is(result { aio_splice $r, undef, $out, 0, 1, $now, $_[0] }, '-1 EAGAIN', 'an empty pipe');
        is(result { aio_tee $r, $w2, 1, $now, $_[0] }, '-1 EAGAIN', 'for tee');
        $w2->blocking(0);
        1 while syswrite $w2, 'x' x 65536;
        is(result { aio_splice $in, 0, $w2, undef, 1, 0, $_[0] }, '-1 EAGAIN', 'a full one that is non-blocking');
        if ($engine ne 'sync') {
            my $result;
            aio_splice $r, undef, $out, 0, 10, 0, sub { $result = $_[0] };
            ok(wait_for { !IO::AIO::nready() }, 'a request waits for a pipe');
            IO::AIO::poll_cb();
            is($result, undef, 'and goes on waiting');
            syswrite $w, 'late';
            IO::AIO::flush();
            is($result, 4, 'until there is something');
            my $req = aio_splice $r, undef, $out, 0, 10, 0, sub { fail 'cancelled' };
            ok(wait_for { !IO::AIO::nready() }, 'another one');
            $req->cancel;
            IO::AIO::flush();
            pass('nobody waits for one that is cancelled');
            syswrite $w, 'end';
            ok(wait_for { !IO::AIO::nabandoned() }, 'and it ends');
        }

        # who is gone
        local $SIG{PIPE} = sub { fail 'a signal' };
        close $r2;
        is(result { aio_splice $in, 0, $w2, undef, 1, 0, $_[0] }, '-1 EPIPE', 'nobody reads');
        1 while IO::AIO::poll_cb();
        my ($r3, $w3) = a_pipe;
        syswrite $w3, 'x';
        is(result { aio_tee $r3, $w2, 1, 0, $_[0] }, '-1 EPIPE', 'nor after tee');
        close $w3;
        is(result { aio_splice $r3, undef, $out, 0, 10, 0, $_[0] }, 1, 'the rest');
        is(result { aio_splice $r3, undef, $out, 0, 10, 0, $_[0] }, 0, 'the end');
    }
};

# the modules beside
each_engine {
    my $dir = fresh_dir;
    write_file "$dir/$_", '0123456789' for qw(in out);
    open my $in, '<', "$dir/in" or die "in: $!";
    open my $out, '+<', "$dir/out" or die "out: $!";
  SKIP: {
        eval { require Future::AIO; 1 } or skip 'no Future here', 1;
        needs 1, 'SPLICE', 'TEE';
        my ($r, $w) = a_pipe;
        my ($r2, $w2) = a_pipe;
        is(Future::AIO::aio_splice($in, 0, $w, undef, 4, 0)->get, 4, 'Future::AIO: splice');
        is(Future::AIO::aio_tee($r, $w2, 4, 0)->get, 4, 'tee');
        my @failure = Future::AIO::aio_splice($in, 0, 9_999, undef, 4, 0)->failure;
        is_deeply([@failure[1, 2, 4]], ['aio_splice', $in, 9_999], 'a failure names both handles');
        eval { Future::AIO::aio_clone_range($in, 0, $out, 0, 0)->get };
        ok(!$@ || $@->category eq 'aio_clone_range', 'clone_range succeeds, or says so');
    }
};

SKIP: {
    needs 1, 'SPLICE', 'TEE';
    eval { require Coro; require AnyEvent; 1 } or skip 'no Coro here', 1;
    my ($status, $out, $err) = run_perl(<<'PERL', $0);
        use Coro; use Coro::AIO;
        open my $in, "<", $ARGV[0] or die; pipe my $r, my $w; pipe my $r2, my $w2;
        print Coro::AIO::aio_splice($in, 0, $w, undef, 4, 0), Coro::AIO::aio_tee($r, $w2, 4, 0);
PERL
    is($out, '44', 'Coro::AIO') or diag $err;
}

done;
