use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use IO::Handle;
use Socket;
use Test::More;
use IO::AIO;

# aio_readall, aio_writeall, aio_sendall: until all is done, the data end, or there is an error, and how far that was.
# Non-blocking descriptors are waited for.

plan skip_all => 'the peer has none' if is_peer;
my @all = qw(aio_readall aio_writeall aio_sendall);
is_deeply([grep { my $name = $_; grep $_ eq $name, @IO::AIO::EXPORT } @all], [], 'exported on request only');
IO::AIO->import(@all);
is(prototype "IO::AIO::aio_$_->[0]", prototype "IO::AIO::aio_$_->[1]", "$_->[0] takes what $_->[1] takes")
    for [readall => 'read'], [writeall => 'write'], [sendall => 'sendfile'];

my $data = join '', map chr(33 + $_ % 91), 1 .. 700_001;    # more than pipes and sockets take

# Both ends of a channel, non-blocking if wanted.
sub channel {
    my ($kind, $blocking) = @_;
    my ($r, $w);
    $kind eq 'pipe' ? pipe $r, $w : socketpair $w, $r, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "$kind: $!";
    $_->blocking($blocking) for $r, $w;
    return ($r, $w);
}

each_engine {
    my ($engine) = @_;
    my $dir  = fresh_dir;
    my $file = write_file "$dir/file", '0123456789';
    open my $fh, '+<', $file or die "$file: $!";

    # files
    for my $t ([0, 10, '0123456789'], [3, 4, '3456'], [3, 100, '3456789'], [10, 5, ''], [99, 5, ''], [0, 0, '']) {
        my ($offset, $length, $want) = @$t;
        my $buf = 'ab';
        my (undef, @got) = run_req { IO::AIO::aio_readall($fh, $offset, $length, $buf, 1, $_[0]) };
        is_deeply([@got, $buf], [(length $want) x 2, "a$want"], "readall $offset, $length");
    }
    my $rest;
    sysseek $fh, 6, 0;
    is((run_req { IO::AIO::aio_readall($fh, undef, 20, $rest, 0, $_[0]) })[1] . $rest, '46789', 'from the position');
    my (undef, @got) = run_req { IO::AIO::aio_writeall($fh, 8, undef, 'xyz', 0, $_[0]) };
    is_deeply([@got, read_file $file], [3, 3, '01234567xyz'], 'writeall');
    (undef, @got) = run_req { IO::AIO::aio_writeall($fh, 0, 2, 'abcd', 1, $_[0]) };
    is_deeply([@got, read_file $file], [2, 2, 'bc234567xyz'], 'of a part');
    open my $copy, '+>', "$dir/copy" or die "copy: $!";
    (undef, @got) = run_req { IO::AIO::aio_sendall($copy, $fh, 2, 1000, $_[0]) };
    is_deeply([@got, read_file "$dir/copy"], [9, 9, '234567xyz'], 'sendall until the input ends');

    # errors, and what came before
    open my $full, '>', '/dev/full' or die "/dev/full: $!";
    my ($errno, @failed) = run_req { IO::AIO::aio_writeall($full, undef, undef, 'x', 0, $_[0]) };
    is_deeply([errno_name($errno), @failed], ['ENOSPC', -1, 0], 'an error at once');
    open my $folder, '<', $dir or die "$dir: $!";
    my $buf = 'was';
    ($errno, @failed) = run_req { IO::AIO::aio_readall($folder, 0, 5, $buf, 0, $_[0]) };
    is_deeply([errno_name($errno), @failed, $buf], ['EISDIR', -1, 0, ''], 'of a directory');
    ($errno, @failed) = run_req { IO::AIO::aio_readall($fh, -5, 5, $buf, 0, $_[0]) };
    is_deeply([errno_name($errno), @failed, $buf], ['EINVAL', -1, 0, ''], 'an offset that is none');
    SKIP: {
        skip 'needs a shell that sets limits', 1 unless -x '/bin/sh';
        local $AIOTest::plain = 1;
        local $ENV{AIOTEST_ULIMIT} = '-f 64';    # blocks
        my ($status, $out) = run_perl(q{
            use IO::AIO;
            open my $fh, '>', shift or die;
            IO::AIO::aio_writeall($fh, 0, undef, 'x' x 1_000_000, 0, sub { print "@_ ", -s $fh, $!{EFBIG} ? '' : " $!" });
            IO::AIO::flush;
        }, "$dir/limited");
        like($out, qr/^-1 (\d+) \1$/, 'an error after a part tells both');
    }

    # channels that take and give less than all
    for my $kind ('pipe', 'socket') {
        for my $blocking (0, 1) {
            next if $engine eq 'sync';    # the other end would have to be this process
            my $name = ($blocking ? '' : 'non-') . "blocking $kind";
            my ($r, $w) = channel($kind, $blocking);
            my ($in, @wrote, @read);
            IO::AIO::aio_writeall($w, undef, undef, $data, 0, sub { @wrote = @_; close $w });
            IO::AIO::aio_readall($r, undef, 2_000_000, $in, 0, sub { @read = @_ });
            IO::AIO::flush;
            is_deeply([@wrote, @read], [(length $data) x 4], "all through a $name, to its end");
            ok($in eq $data, 'as it was');

            ($r, $w) = channel($kind, $blocking);
            write_file "$dir/big", $data;
            open my $big, '<', "$dir/big" or die "big: $!";
            open my $out, '+>', "$dir/out" or die "out: $!";
            IO::AIO::aio_sendall($w, $big, 0, length $data, sub { @wrote = @_; close $w });
            IO::AIO::aio_sendall($out, $r, 0, length $data, sub { @read = @_ });
            IO::AIO::flush;
            is_deeply([@wrote, @read], [(length $data) x 4], "from file to file through a $name");
            ok(read_file("$dir/out") eq $data, 'as it was');
        }
        next if $engine eq 'sync';

        # the reader goes away
        my ($r, $w) = channel($kind, 0);
        my @wrote;
        my $went = 0;
        IO::AIO::aio_writeall($w, undef, undef, $data, 0, sub { @wrote = @_; $went = $! + 0 });
        my $some = '';
        sysread $r, $some, 1000, length $some or select undef, undef, undef, 0.001 while length $some < 1000;
        close $r;
        IO::AIO::flush;
        ok($wrote[0] == -1 && $wrote[1] >= 1000 && $wrote[1] < length $data, "$kind: cut off after a part");
        like(errno_name($went), qr/^(?:EPIPE|ECONNRESET)$/, 'and why');

        # cancelled while it waits
        ($r, $w) = channel($kind, 0);
        my $called = 0;
        my $in;
        my $request = IO::AIO::aio_readall($r, undef, 10, $in, 0, sub { $called++ });
        syswrite $w, 'abc';
        wait_for { IO::AIO::nready() == 0 };
        $request->cancel;
        IO::AIO::flush;
        is($called, 0, "$kind: a wait that is cancelled ends");
    }
    croaks { IO::AIO::aio_readall(undef, 0, 1, my $x, 0) } 'aio_readall', 'no handle';
    croaks { IO::AIO::aio_writeall($fh, 0, 1, "\x{100}", 0) } 'aio_writeall', 'wide characters';
    croaks { IO::AIO::aio_sendall($fh, undef, 0, 1) } 'aio_sendall', 'no input';
};

done;
