#!/usr/bin/perl
# aio_readv and aio_writev: several strings by one system call, with flags for that call.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use IO::AIO;

BEGIN { plan skip_all => 'the peer has none of it' if is_peer }
use IO::AIO ':more';

my $no_offset = without 'PREADV';      # a system that has no such call
my $no_flags  = without 'PWRITEV2';

# Result, error, in one text.
sub result(&) {
    my ($code) = @_;
    my ($errno, @got) = run_req { $code->($_[0]) };
    return @got == 1 && $got[0] >= 0 ? $got[0] : "@got " . errno_name($errno);
}

sub position { sysseek $_[0], 0, 1 }

{
    package Tied;
    sub TIEARRAY  { my ($class, @list) = @_; bless { list => [@list], log => '' }, $class }
    sub FETCHSIZE { scalar @{ $_[0]{list} } }
    sub FETCH     { $_[0]{log} .= "<$_[1]"; $_[0]{list}[$_[1]] }
    sub STORE     { $_[0]{log} .= ">$_[1]"; $_[0]{list}[$_[1]] = $_[2] }
    sub CLEAR     { @{ $_[0]{list} } = () }
    sub EXTEND    { }
    sub STORESIZE { $#{ $_[0]{list} } = $_[1] - 1 }
    package Endless;
    our @ISA = 'Tied';
    sub FETCHSIZE { 2**30 }
    package Refusing;
    our @ISA = 'Tied';
    sub CLEAR { die "refused\n" }
    package Like;
    use overload '@{}' => sub { $_[0]->() }, fallback => 1;
    package Text;
    use overload '""' => sub { $_[0]->() }, fallback => 1;
}

each_engine {
    my ($engine) = @_;
    my $dir = fresh_dir;
    write_file "$dir/in", '0123456789';
    write_file "$dir/out", 'x' x 10;
    open my $in,  '<',  "$dir/in"  or die "in: $!";
    open my $out, '+<', "$dir/out" or die "out: $!";
    my $has = sub { is(read_file("$dir/out"), $_[0], $_[1] || 'the data') };
    my @s;

    # at the position, which every system can
    is(result { aio_readv $in, undef, [2, 0, 3], \@s, 0, $_[0] }, 5, 'readv at the position');
    is_deeply(\@s, ['01', '', '234'], 'the strings');
    is(position($in), 5, 'it has moved');
    is(result { aio_writev $out, undef, ['ab', '', 'cde'], 0, $_[0] }, 5, 'writev at the position');
    $has->('abcdexxxxx');
    is(position($out), 5, 'it has moved');
    sysseek $in, 7, 0;
    is(result { aio_readv $in, undef, [2, 4, 4], \@s, 0, $_[0] }, 3, 'to the end');
    is_deeply(\@s, ['78', '9', ''], 'what is there');
    is(result { aio_readv $in, undef, [1, 1], \@s, 0, $_[0] }, 0, 'at the end');
    is_deeply(\@s, ['', ''], 'nothing');
    is(result { aio_readv $in, undef, [], \@s, 0, $_[0] }, 0, 'readv without lengths');
    is_deeply(\@s, [], 'no strings');
    is(result { aio_writev $out, undef, [], 0, $_[0] }, 0, 'writev without strings');
    is(position($out), 5, 'writes nothing');

    # at an offset
    is(result { aio_readv $in, -1, [1], \@s, 0, $_[0] }, '-1 EINVAL', 'a negative offset');
    is(result { aio_writev $out, -1, ['x'], 0, $_[0] }, '-1 EINVAL', 'to write');
    @s = ('old');
    if ($no_offset) {
        is(result { aio_readv $in, 1, [1], \@s, 0, $_[0] }, '-1 ENOSYS', 'readv at an offset is absent');
        is(result { aio_writev $out, 1, ['x'], 0, $_[0] }, '-1 ENOSYS', 'so is writev');
        is_deeply(\@s, ['old'], 'the array is as it was');
    } else {
        is(result { aio_readv $in, 1, [3, 2], \@s, 0, $_[0] }, 5, 'readv');
        is_deeply(\@s, ['123', '45'], 'the strings');
        is(result { aio_writev $out, 8, ['8', '9', 'AB'], 0, $_[0] }, 4, 'writev');
        $has->('abcdexxx89AB');
        is(position($in) . position($out), '105', 'no position has moved');
    }

    # flags
    if ($no_flags) {
        is(result { aio_readv $in, 1, [1], \@s, 1, $_[0] }, '-1 ENOSYS', 'flags are absent');
        is(result { aio_writev $out, undef, ['x'], 2, $_[0] }, '-1 ENOSYS', 'to write, too');
    } else {
        for my $name (qw(RWF_DSYNC RWF_SYNC)) {
            my $flag = IO::AIO->can($name)->() or next;
            is(result { aio_writev $out, 1, ['1', '2'], $flag, $_[0] }, 2, $name);
        }
        truncate $out, 5;
        if (my $flag = IO::AIO::RWF_APPEND) {
            my $got = result { aio_writev $out, 0, ['end'], $flag, $_[0] };
            like($got, qr/^(?:3|-1 EOPNOTSUPP)$/, 'RWF_APPEND');
            $has->('a12deend') if $got eq 3;
        }
        if (my $flag = IO::AIO::RWF_NOWAIT) {
            like(result { aio_readv $in, 0, [2, 2], \@s, $flag, $_[0] }, qr/^(?:4|-1 (?:EAGAIN|EOPNOTSUPP))$/, 'RWF_NOWAIT');
            pipe my $r, my $w or die "pipe: $!";
            like(result { aio_readv $r, undef, [1], \@s, $flag, $_[0] }, qr/^-1 (?:EAGAIN|EOPNOTSUPP)$/, 'an empty pipe');
        }
        like(result { aio_readv $in, 0, [1], \@s, 1 << 30, $_[0] }, qr/^-1 (?:EOPNOTSUPP|EINVAL)$/, 'an unknown flag');
        is(result { aio_readv $in, 0, [1], \@s, 2**40, $_[0] }, '-1 EINVAL', 'one that is none');
    }

    # errors
    @s = ('old');
    is(result { aio_readv 9_999, undef, [1], \@s, 0, $_[0] }, '-1 EBADF', 'from nothing');
    is_deeply(\@s, ['old'], 'the array is as it was');
    is(result { aio_writev 9_999, undef, ['x'], 0, $_[0] }, '-1 EBADF', 'to nothing');
    is(result { aio_readv $in, undef, [(1) x 100_000], \@s, 0, $_[0] }, '-1 EINVAL', 'too many lengths');
    is(result { aio_writev $out, undef, [('x') x 100_000], 0, $_[0] }, '-1 EINVAL', 'too many strings');
    is(result { aio_readv $in, undef, [1, 2**62], \@s, 0, $_[0] }, '-1 ENOMEM', 'too long');
    is(result { aio_readv $in, undef, [2**62, 2**62, 2**62], \@s, 0, $_[0] }, '-1 ENOMEM', 'together');
    is(result { aio_readv $in, undef, [1e30], \@s, 0, $_[0] }, '-1 ENOMEM', 'beyond 64 bits');
    is(result { aio_readv $in, undef, [9**9**9 / 9**9**9], \@s, 0, $_[0] }, '-1 EINVAL', 'no number');
    is_deeply(\@s, ['old'], 'the array is as it was');
    croaks { aio_readv $in, undef, [1, -1], \@s, 0 } qr/^aio_readv: lengths must not be negative/, 'a negative length';
    croaks { aio_readv $in, undef, [[]], \@s, 0 } qr/^aio_readv: lengths must be a number/, 'a reference';
    croaks { aio_readv $in, undef, 1, \@s, 0 } qr/^aio_readv: lengths must be a reference to an array/, 'no array';
    croaks { aio_readv $in, undef, [1], \my $x, 0 } qr/^aio_readv: strings must be a reference to an array/, 'no array to read to';
    croaks { aio_writev $out, undef, sub { }, 0 } qr/^aio_writev: strings must be a reference to an array/, 'none to write';
    croaks { aio_writev $out, undef, undef, 0 } qr/^aio_writev: strings must be a reference to an array/, 'undef';
    croaks { aio_writev $out, undef, ['x', "\x{100}"], 0 } qr/^aio_writev: "?strings.* wide character/, 'a wide character';
    croaks { aio_writev $in, undef, ['x'], 0 } qr/^aio_writev: illegal fh argument: fh .*mode mismatch/, 'opened to read';
    my @fine = ('x');
    eval { aio_writev $out, undef, [$fine[0], "\x{100}"], 0 };
    ok(eval { $fine[0] .= 'y'; 1 }, 'what has croaked holds nothing');
    {
        my @constant = (1);
        Internals::SvREADONLY(@constant, 1);
        croaks { aio_readv $in, undef, [1], \@constant, 0 } qr/^aio_readv: strings: Modification of a read-only/, 'a read-only array';
        Internals::SvREADONLY(@constant, 0);
    }
    {
        my @warnings;
        local $SIG{__WARN__} = sub { push @warnings, @_ };
        is(result { aio_writev $out, undef, [undef, 'x'], 0, $_[0] }, 1, 'undef is nothing');
        like("@warnings", qr/^Use of uninitialized value/, 'and perl warns');
    }

    # whose arrays they are
    sysseek $in, 0, 0;
    @s = (1, 2);
    is(result { aio_readv $in, undef, \@s, \@s, 0, $_[0] }, 3, 'one array for both');
    is_deeply(\@s, ['0', '12'], 'gets the strings');
    tie my @tied, 'Tied', 1, 2;
    is(result { aio_readv $in, undef, \@tied, \@tied, 0, $_[0] }, 3, 'a tied array');
    is(tied(@tied)->{log}, '<0<1>0>1', 'each element is read and stored once');
    is_deeply(tied(@tied)->{list}, ['3', '45'], 'strings');
    truncate $out, 0;
    sysseek $out, 0, 0;
    tied(@tied)->{log} = '';
    is(result { aio_writev $out, undef, \@tied, 0, $_[0] }, 3, 'it is written');
    is(tied(@tied)->{log}, '<0<1', 'each element is read once');
    $has->('345');
    tie my @endless, 'Endless';
    is(result { aio_writev $out, undef, \@endless, 0, $_[0] }, '-1 EINVAL', 'one that has no end');
    tie my @refusing, 'Refusing', 1;
    {
        my @warnings;
        local $SIG{__WARN__} = sub { push @warnings, @_ };
        is(result { aio_readv $in, undef, [1], \@refusing, 0, $_[0] }, '-1 EFAULT', 'one that takes nothing');
        like("@warnings", qr/the data cannot be stored.*refused/s, 'a warning says so');
    }
    my $like = bless sub { \@s }, 'Like';
    @s = ('like');
    is(result { aio_writev $out, undef, $like, 0, $_[0] }, 4, 'an object that is like an array');
    my @in_turn = ('a', bless(sub { @s = (); 'b' }, 'Text'), 'c');
    is(result { aio_writev $out, undef, \@in_turn, 0, $_[0] }, 3, 'an object');
    @s = ('a', bless(sub { @s = (); 'b' }, 'Text'), 'c');
    {
        local $SIG{__WARN__} = sub { };
        is(result { aio_writev $out, undef, \@s, 0, $_[0] }, 2, 'one that clears the array');
    }
    my $long = 'l' x 100_000;
    my $upgraded = "\xe4\xf6";
    utf8::upgrade($upgraded);
    truncate $out, 0;
    sysseek $out, 0, 0;
    is(result { aio_writev $out, undef, [$long, $upgraded, $long, 17, "$long."], 0, $_[0] }, 300_005, 'strings of all kinds');
    ok(read_file("$dir/out") eq "$long\xe4\xf6${long}17$long.", 'are there');
    sysseek $out, 0, 0;
    is(result { aio_readv $out, undef, [100_000, 100_002, 200_000], \@s, 0, $_[0] }, 300_005, 'long ones');
    is_deeply([map length, @s], [100_000, 100_002, 100_003], 'each has its length');
    ok($s[0] eq $long && (join '', @s) eq read_file("$dir/out"), 'and what belongs there');
    $s[0] .= 'and more';
    is(length $s[0], 100_008, 'it is a string as any other');

    # in flight
    SKIP: {
        skip 'it executes at once', 1 if $engine eq 'sync';
        hold;
        my @flying = ('one', 'two', 'three');
        truncate $out, 0;
        sysseek $out, 0, 0;
        my $result;
        aio_writev $out, undef, \@flying, 0, sub { $result = shift };
        my $first = \$flying[0];
        ok(!eval { $$first = 'changed'; 1 }, 'a string in flight cannot be changed');
        like($@, qr/^Modification of a read-only value/, 'as perl says');
        @flying = ('other');
        my @array = ('old');
        my $ref = \@array;
        sysseek $in, 0, 0;
        my $req = aio_readv $in, undef, [2, 2], $ref, 0, sub { fail 'cancelled' };
        my $is_late;
        my $late = aio_readv $in, undef, [2, 2], $ref, 0, sub { $is_late = $_[0] };
        aio_readv $in, undef, [2, 2], [], 0, sub { is($_[0], 4, 'an array that is nobody else\'s') };
        undef $ref;
        push @array, 'more';
        $req->cancel;
        $late->timeout(0);
        ok(wait_for { IO::AIO::poll_cb(); defined $is_late }, 'the time of one is up');
        is($is_late, -1, 'so it fails');
        release;
        IO::AIO::flush();
        is($result, 11, 'the array can be changed, or freed');
        $has->('onetwothree');
        is_deeply(\@array, ['old', 'more'], 'what is cancelled or late leaves it as it is');
        $$first = 'changed';
        is($$first, 'changed', 'afterwards');
        aio_readv $in, undef, [1, 1], \@array, 0, sub { is_deeply(\@array, [4, 5], 'the strings are there for the callback') };
        IO::AIO::flush();

        # cancelled while it waits
        pipe my $r, my $w or die "pipe: $!";
        $req = aio_readv $r, undef, [1, 1], \@array, 0, sub { fail 'cancelled' };
        ok(wait_for { !IO::AIO::nready() }, 'it waits for a pipe');
        $req->cancel;
        IO::AIO::flush();
        syswrite $w, 'late';
        ok(wait_for { !IO::AIO::nabandoned() }, 'and ends');
        IO::AIO::flush();
        is_deeply(\@array, [4, 5], 'without an effect');

        # a child has none of it
        hold;
        aio_writev $out, undef, \@array, 0;
        aio_readv $in, undef, [1], [], 0, sub { };
        is(in_child { $array[0] = 'x'; IO::AIO::flush(); $array[0] eq 'x' ? 0 : 1 }, 0, 'strings are free in a child');
        release;
        IO::AIO::flush();
    }

    # who is gone
    local $SIG{PIPE} = sub { fail 'a signal' };
    pipe my $r, my $w or die "pipe: $!";
    close $r;
    is(result { aio_writev $w, undef, ['a', 'b'], 0, $_[0] }, '-1 EPIPE', 'nobody reads, and there is no signal');
    1 while IO::AIO::poll_cb();
};

# the modules beside
each_engine {
    my $dir = fresh_dir;
    write_file "$dir/file", '0123456789';
    open my $fh, '+<', "$dir/file" or die "file: $!";
  SKIP: {
        eval { require Future::AIO; 1 } or skip 'no Future here', 1;
        is(Future::AIO::aio_writev($fh, undef, ['a', 'b'], 0)->get, 2, 'Future::AIO: writev');
        my @s;
        is(Future::AIO::aio_readv($fh, undef, [1, 2], \@s, 0)->get, 3, 'readv');
        is_deeply(\@s, ['2', '34'], 'the strings');
        my @failure = Future::AIO::aio_writev(9_999, undef, ['x'], 0)->failure;
        is_deeply([@failure[1, 2]], ['aio_writev', 9_999], 'a failure names the handle');
    }
};

SKIP: {
    eval { require Coro; require AnyEvent; 1 } or skip 'no Coro here', 1;
    my $file = write_file fresh_dir() . '/file', '0123456789';
    my ($status, $out, $err) = run_perl(<<'PERL', $file);
        use Coro; use Coro::AIO;
        open my $fh, "+<", $ARGV[0] or die;
        my @s;
        print Coro::AIO::aio_writev($fh, undef, ["a", "b"], 0), Coro::AIO::aio_readv($fh, undef, [1, 2], \@s, 0), "@s";
PERL
    is($out, '232 34', 'Coro::AIO') or diag $err;
}

done;
