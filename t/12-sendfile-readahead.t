use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl qw(:DEFAULT :seek);
use Socket;
use IO::AIO;

# aio_sendfile between all kinds of descriptors, whether the kernel has a call for the pair or not; aio_readahead.

sub pair {
    my ($kind) = @_;
    my ($r, $w);
    if ($kind eq 'pipe') {
        pipe $r, $w or die "pipe: $!";
    } else {
        socketpair $r, $w, AF_UNIX, SOCK_STREAM, 0 or die "socketpair: $!";
    }
    ($r, $w);
}

sub open_as {
    my ($path, $flags) = @_;
    sysopen my $fh, $path, $flags, 0666 or die "$path: $!";
    $fh;
}

sub position { sysseek($_[0], 0, SEEK_CUR) + 0 }

# What a sendfile passes to its callback.
sub send_count {
    my ($out, $in, $offset, $length) = @_;
    my ($errno, @got) = run_req { aio_sendfile $out, $in, $offset, $length, $_[0] };
    @got == 1 ? $got[0] : "@got";
}

each_engine {
    my $dir  = fresh_dir;
    my $text = join '', map { "line $_\n" } 1 .. 1000;
    my $file = write_file "$dir/in", $text;
    my $in   = open_as($file, O_RDONLY);
    my $buf;

    # file to file
    my $out = open_as("$dir/out", O_RDWR | O_CREAT);
    is(send_count($out, $in, 0, 10), 10, 'file to file');
    is(read_file("$dir/out"), substr($text, 0, 10), 'has the data');
    is(position($out), 10, 'moves the position of the output');
    is(position($in), 0, 'and not that of the input');
    is(send_count($out, $in, 100, 10), 10, 'from an offset');
    is(read_file("$dir/out"), substr($text, 0, 10) . substr($text, 100, 10), 'appends at the position');
    sysseek $out, 5, SEEK_SET;
    is(send_count($out, $in, 0, 5), 5, 'after a seek');
    is(read_file("$dir/out"), substr($text, 0, 5) x 2 . substr($text, 100, 10), 'overwrites');
    sysseek $in, 7, SEEK_SET;
    is(send_count($out, $in, 0, 5), 5, 'the position of the input');
    is(position($in), 7, 'is neither used nor moved');

    truncate $out, 0;
    sysseek $out, 0, SEEK_SET;
    is(send_count($out, $in, 0, length $text), length $text, 'the whole file');
    is(read_file("$dir/out"), $text, 'has the data');
    is(send_count($out, $in, length($text) - 3, 10), 3, 'at the end of the file the count is short');
    is(send_count($out, $in, 1e9, 10), 0, 'beyond the end it is 0');
    is(send_count($out, $in, 0, 0), 0, 'length 0');
    is(-s $out, length($text) + 3, 'and nothing more was written');

    my $append = open_as("$dir/append", O_WRONLY | O_CREAT | O_APPEND);
    is(send_count($append, $in, 0, 4), 4, 'to a handle that appends');
    is(send_count($append, $in, 5, 2), 2, 'twice');
    is(read_file("$dir/append"), 'line1' . "\n", 'has the data');

    # other outputs
    my $null = open_as('/dev/null', O_RDWR);
    is(send_count($null, $in, 0, 10), 10, 'file to /dev/null');
    for my $kind (qw(pipe socket)) {
        my ($r, $w) = pair($kind);
        is(send_count($w, $in, 7, 10), 10, "file to $kind");
        sysread $r, $buf, 100;
        is($buf, substr($text, 7, 10), 'has the data');
    }
    if (open my $proc, '<', '/proc/self/status') {
        truncate $out, 0;
        sysseek $out, 0, SEEK_SET;
        is(send_count($out, $proc, 0, 5), 5, 'a file of /proc to a file');
        is(read_file("$dir/out"), 'Name:', 'has the data');
    }
    my $zero = open_as('/dev/zero', O_RDONLY);
    is(send_count($null, $zero, 0, 1 << 20), 1 << 20, 'a megabyte of /dev/zero to /dev/null');

    # other inputs
    for my $kind (qw(pipe socket)) {
        ours {
            my ($r, $w) = pair($kind);
            syswrite $w, 'some input';
            truncate $out, 0;
            sysseek $out, 0, SEEK_SET;
            is(send_count($out, $r, 0, 10), 10, "$kind to file");
            is(read_file("$dir/out"), 'some input', 'has the data');
            my ($r2, $w2) = pair($kind eq 'pipe' ? 'socket' : 'pipe');
            syswrite $w, 'more';
            is(send_count($w2, $r, 0, 4), 4, "$kind to another kind");
            $r2->blocking(0);
            $buf = '';
            sysread $r2, $buf, 100;
            is($buf, 'more', 'has the data');
            close $w;
            is(send_count($out, $r, 0, 10), 0, 'at its end the count is 0');
        } 'gives ESPIPE';
    }

    # an output that takes no more for now
    my ($r, $w) = pair('socket');
    $w->blocking(0);
    1 while syswrite $w, 'x' x 65536;
    1 while syswrite $w, 'x';
    fails_with { aio_sendfile $w, $in, 0, 10, $_[0] } 'EAGAIN', 'to a full nonblocking socket: EAGAIN';
    $r->blocking(0);
    my $room = 0;
    $room += $_ while $_ = sysread $r, $buf, 1 << 16;
    my $sent = send_count($w, $zero, 0, 1 << 24);
    ok($sent > 0 && $sent < 1 << 24, 'a nonblocking socket takes what fits');
    my $came = 0;
    $came += $_ while $_ = sysread $r, $buf, 1 << 16;
    is($came, $sent, 'the count is what was written');

    # which loses nothing of an input that cannot be read again
    for my $kind (qw(pipe socket)) {
        ours {
            my ($from, $to) = pair($kind);
            syswrite $to, 'not lost';
            1 while syswrite $w, 'x' x 65536;
            1 while syswrite $w, 'x';
            fails_with { aio_sendfile $w, $from, 0, 8, $_[0] } 'EAGAIN', "$kind to a full nonblocking socket: EAGAIN";
            1 while sysread $r, $buf, 1 << 16;
            is(send_count($w, $from, 0, 8), 8, 'as soon as there is room it is sent');
            $buf = '';
            sysread $r, $buf, 100;
            is($buf, 'not lost', 'whole');
        } 'gives ESPIPE';
    }

    # failures
    open my $write_only, '>', "$dir/wo" or die "$dir/wo: $!";
    my $dh = open_as($dir, O_RDONLY);
    for (
        ['EBADF',  'from a number that is not open',      $out, 9999],
        ['EBADF',  'to a number that is not open',        9999, $in],
        ['EBADF',  'from a handle opened for writing',    $out, $write_only],
        ['ENOSPC', 'to a full device',                    open_as('/dev/full', O_WRONLY), $in],
        ['EISDIR EINVAL', 'from a directory',             $out, $dh],
        )
    {
        my ($errno, $name, $to, $from) = @$_;
        fails_with { aio_sendfile $to, $from, 0, 10, $_[0] } $errno, "$name: $errno";
    }
    ($r, $w) = pair('pipe');
    close $r;
    {
        local $SIG{PIPE} = sub { fail('SIGPIPE came') };
        fails_with { aio_sendfile $w, $in, 0, 10, $_[0] } 'EPIPE', 'to a broken pipe: EPIPE, without signal';
    }
    fails_with { aio_sendfile $out, $in, -1, 10, $_[0] } 'EINVAL', 'a negative offset: EINVAL';
    croaks { aio_sendfile $in, $in, 0, 10, sub { } } 'aio_sendfile', 'to a read-only handle it croaks';
    croaks { aio_sendfile $in, $in, 0, 10, sub { } } qr/mode mismatch/, 'saying mode mismatch';
    aio_sendfile $null, $in, 0, 10;
    IO::AIO::flush;
    pass('without callback');

    # readahead
    succeeds { aio_readahead $in, 0, length $text, $_[0] } 'readahead';
    is(position($in), 7, 'leaves the position alone');
    succeeds { aio_readahead $in, 4097, 1, $_[0] } 'readahead inside';
    succeeds { aio_readahead $in, 1e9, 100, $_[0] } 'readahead beyond the end';
    succeeds { aio_readahead $in, 0, 0, $_[0] } 'readahead of nothing';
    ($r, $w) = pair('pipe');
    fails_with { aio_readahead $in, 0, -1, $_[0] } 'EINVAL', 'a negative length: EINVAL';
    fails_with { aio_readahead 9999, 0, 10, $_[0] } 'EBADF', 'a number that is not open: EBADF';
    fails_with { aio_readahead $write_only, 0, 10, $_[0] } 'EBADF', 'a handle opened for writing: EBADF';
    fails_with { aio_readahead $r, 0, 10, $_[0] } 'EINVAL ESPIPE', 'a pipe: EINVAL';
    aio_readahead $in, 0, 10;
    IO::AIO::flush;
    pass('readahead without callback');
};

done;
