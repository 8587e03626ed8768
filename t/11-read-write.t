use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl qw(:DEFAULT :seek);
use IO::AIO;

# aio_read and aio_write: offsets, lengths, where the data goes to and comes from, failures. What may be a
# buffer and what a misused one does is in 50-buffers.

sub open_rw {
    my ($path, $flags) = @_;
    sysopen my $fh, $path, defined $flags ? $flags : O_RDWR or die "$path: $!";
    $fh;
}

{
    package Text;
    use overload '""' => sub { ${ $_[0] } }, fallback => 1;
}

each_engine {
    my $dir  = fresh_dir;
    my $file = write_file "$dir/file", '0123456789';
    my $fh   = open_rw($file);

    # reading: offset, length, dataoffset, buffer before, result, buffer after
    my @read = (
        ['a piece',                        [2,     3,    0],     'abc',    3, '234'],
        ['the whole file',                 [0,     10,   0],     '',      10, '0123456789'],
        ['into an undefined scalar',       [0,     4,    0],     undef,    4, '0123'],
        ['a longer buffer shrinks',        [0,     2,    0],     'x' x 99, 2, '01'],
        ['a shorter buffer grows',         [0,     9,    0],     'x',      9, '012345678'],
        ['dataoffset inside',              [0,     2,    1],     'abc',    2, 'a01'],
        ['dataoffset at the end',          [0,     2,    3],     'abc',    2, 'abc01'],
        ['negative dataoffset',            [0,     2,    -2],    'abc',    2, 'a01'],
        ['dataoffset of minus the length', [0,     2,    -3],    'abc',    2, '01'],
        ['undefined dataoffset is 0',      [0,     2,    undef], 'abc',    2, '01'],
        ['a short read at the end',        [8,     5,    1],     'abc',    2, 'a89'],
        ['at the end of the file',         [10,    5,    1],     'abc',    0, 'a'],
        ['beyond the end of the file',     [99999, 5,    0],     'abc',    0, ''],
        ['length 0',                       [3,     0,    1],     'abc',    0, 'a'],
        ['numbers in strings',             ['1',   '2',  '1'],   'abc',    2, 'a12'],
        ['fractions truncate',             [1.9,   2.9,  0.9],   'abc',    2, '12'],
    );
    for my $case (@read) {
        my ($name, $args, $before, $want, $after) = @$case;
        my ($offset, $length, $dataoffset) = @$args;
        no warnings 'uninitialized';
        my $buf = $before;
        my ($errno, @got) = run_req { aio_read $fh, $offset, $length, $buf, $dataoffset, $_[0] };
        is_deeply([@got, $buf], [$want, $after], "read: $name");
    }
    is(sysseek($fh, 0, SEEK_CUR) + 0, 0, 'reads at an offset do not move the position');

    my $buf;
    aio_read $fh, 4, 2, $buf, 0;
    IO::AIO::flush;
    ours { is($buf, '45', 'read without callback') } 'does not set the length';

    sysseek $fh, 3, SEEK_SET;
    run_req { aio_read $fh, undef, 2, $buf, 0, $_[0] };
    is($buf, '34', 'undefined offset reads at the position');
    run_req { aio_read $fh, undef, 3, $buf, 0, $_[0] };
    is($buf, '567', 'and moves it');
    run_req { aio_read $fh, 0, 1, $buf, 0, $_[0] };
    is(sysseek($fh, 0, SEEK_CUR), 8, 'an offset does not');

    $buf = "\x{263a}\x{e9}";
    croaks { aio_read $fh, 0, 3, $buf, 0, sub { } } 'aio_read', 'a buffer with wide characters croaks';
    is($buf, "\x{263a}\x{e9}", 'and stays');
    $buf = "\xe9";
    utf8::upgrade($buf);
    run_req { aio_read $fh, 0, 3, $buf, 0, $_[0] };
    is($buf, '012', 'an upgraded one is replaced');
    ok(!utf8::is_utf8($buf), 'by octets');
    write_file "$dir/octets", "\xff\xe9\x00\xc3\xa9";
    my $octets = open_rw("$dir/octets");
    run_req { aio_read $octets, 0, 9, $buf, 0, $_[0] };
    is($buf, "\xff\xe9\x00\xc3\xa9", 'octets come unchanged');
    $buf = "\xe9";
    utf8::upgrade($buf);
    run_req { aio_read $octets, 0, 1, $buf, 1, $_[0] };
    is($buf, "\xe9\xff", 'an upgraded buffer keeps its characters before dataoffset');

    my $big = join '', map pack('N', $_), 1 .. 1_000_000;
    write_file "$dir/big", $big;
    my $bigfh = open_rw("$dir/big");
    my ($errno, $n) = run_req { aio_read $bigfh, 0, 5_000_000, $buf, 0, $_[0] };
    ok($n == 4_000_000 && $buf eq $big, 'four million octets');

    my @buf;
    my $sum = 0;
    aio_read($fh, $_, 1, $buf[$_], 0, sub { $sum += $_[0] }) for 0 .. 9;
    IO::AIO::flush;
    is("@buf", '0 1 2 3 4 5 6 7 8 9', 'ten at once, into elements that did not exist');

    pipe my $r, my $w or die "pipe: $!";
    syswrite $w, 'piped';
    ($errno, $n) = run_req { aio_read $r, undef, 99, $buf, 0, $_[0] };
    is_deeply([$n, $buf], [5, 'piped'], 'read from a pipe');
    close $w;
    ($errno, $n) = run_req { aio_read $r, undef, 99, $buf, 0, $_[0] };
    is_deeply([$n, $buf], [0, ''], 'and at its end');

    # reading fails
    my $closed = 9999;
    ok(!-e "/proc/self/fd/$closed", "descriptor $closed is not open");
    my $dirfh = open_rw($dir, O_RDONLY);
    my $write_only = open_rw($file, O_WRONLY);
    for (
        ['EBADF', 'a number that is not open', $closed,     0],
        ['EBADF', 'a handle opened for writing', $write_only, 0],
        ['EISDIR', 'a directory', $dirfh, 0],
        ['ESPIPE', 'a pipe with an offset', $r, 0],
        )
    {
        my ($errno, $what, $from, $offset) = @$_;
        my $buf = 'abcdef';
        fails_with { aio_read $from, $offset, 5, $buf, 2, $_[0] } $errno, "read from $what: $errno";
        is($buf, 'ab', "the buffer ends at dataoffset");
    }
    ours {
        my $buf = 'abc';
        fails_with { aio_read $fh, -1, 1, $buf, 0, $_[0] } 'EINVAL', 'read at a negative offset: EINVAL';
    } 'takes it for undef';
    ours {
        my $buf = 'abc';
        fails_with { aio_read $fh, 0, 2**61, $buf, 1, $_[0] } 'ENOMEM', 'a length that no memory can hold: ENOMEM';
        is($buf, 'a', 'the buffer ends at dataoffset');
    } 'crashes';
    for my $dataoffset (4, -4, 2**40) {
        my $buf = 'abc';
        croaks { aio_read $fh, 0, 1, $buf, $dataoffset, sub { } } 'aio_read',
            "read with dataoffset $dataoffset of a buffer of 3 croaks";
        is($buf, 'abc', 'the buffer is unchanged');
    }

    # writing: offset, length, data, dataoffset, result, file after
    my @write = (
        ['a piece',                          [3,     2,    'ab',       0],  2, '012ab56789'],
        ['undefined length: all',            [0,     undef, 'abcd',    0],  4, 'abcd456789'],
        ['with dataoffset',                  [0,     1,    'abcd',     2],  1, 'c123456789'],
        ['undefined length with dataoffset', [0,     undef, 'abcd',    1],  3, 'bcd3456789'],
        ['negative dataoffset',              [0,     undef, 'abcd',    -1], 1, 'd123456789'],
        ['dataoffset at the end',            [0,     undef, 'abcd',    4],  0, '0123456789'],
        ['a length beyond the data',         [0,     99,   'abcd',     0],  4, 'abcd456789'],
        ['a negative length',                [0,     -1,   'abcd',     2],  2, 'cd23456789'],
        ['length 0',                         [0,     0,    'abcd',     0],  0, '0123456789'],
        ['no data',                          [0,     undef, '',        0],  0, '0123456789'],
        ['at the end',                       [10,    undef, 'x',       0],  1, '0123456789x'],
        ['beyond the end',                   [12,    undef, 'x',       0],  1, "0123456789\0\0x"],
        ['a number',                         [0,     undef, 42.5,      0],  4, '42.5456789'],
        ['NUL and high octets',              [0,     undef, "\0\xff",  0],  2, "\0\xff23456789"],
        ['fractions truncate',               [1.9,   2.9,  'abcd',     0.9], 2, '0ab3456789'],
    );
    for my $case (@write) {
        my ($name, $args, $want, $after) = @$case;
        my ($offset, $length, $data, $dataoffset) = @$args;
        write_file $file, '0123456789';
        my $copy = $data;
        my @warned;
        local $SIG{__WARN__} = sub { push @warned, @_ };
        my ($errno, @got) = run_req { aio_write $fh, $offset, $length, $data, $dataoffset, $_[0] };
        ours {
            is_deeply([@got, read_file($file)], [$want, $after], "write: $name");
        } 'fails with negative lengths';
        is($data, $copy, 'the data is unchanged');
        ours { is("@warned", '', 'and there is no warning') } 'warns of undef';
    }

    write_file $file, '0123456789';
    sysseek $fh, 4, SEEK_SET;
    run_req { aio_write $fh, undef, undef, 'ab', 0, $_[0] };
    is(sysseek($fh, 0, SEEK_CUR), 6, 'undefined offset writes at the position and moves it');
    run_req { aio_write $fh, undef, undef, 'cd', 0, $_[0] };
    is(read_file($file), '0123abcd89', 'twice');
    run_req { aio_write $fh, 0, undef, 'X', 0, $_[0] };
    is(sysseek($fh, 0, SEEK_CUR), 8, 'an offset does not');

    write_file $file, '';
    run_req { aio_write $fh, 0, undef, 'literal', 0, $_[0] };
    is(read_file($file), 'literal', 'a literal string is written');
    my $latin = "\xe9\xff";
    utf8::upgrade($latin);
    run_req { aio_write $fh, 0, undef, $latin, 0, $_[0] };
    is(read_file($file), "\xe9\xffteral", 'upgraded Latin-1 is written as octets');
    croaks { aio_write $fh, 0, undef, "\x{263a}", 0, sub { } } 'aio_write', 'wide characters croak';

    ours {
        write_file $file, '';
        my $text = 'an overloaded object';
        my $object = bless \$text, 'Text';
        run_req { aio_write $fh, 0, undef, $object, 0, $_[0] };
        is(read_file($file), $text, 'the string of an object');
        my $ref = [];
        write_file $file, '';
        run_req { aio_write $fh, 0, undef, $ref, 0, $_[0] };
        is(read_file($file), "$ref", 'and of a reference');
    } 'crashes or writes freed memory';

    my $append = open_rw($file, O_WRONLY | O_APPEND);
    write_file $file, 'abc';
    run_req { aio_write $append, undef, undef, 'def', 0, $_[0] };
    is(read_file($file), 'abcdef', 'O_APPEND writes at the end');

    write_file $file, '';
    aio_write $fh, 0, undef, 'no callback', 0;
    IO::AIO::flush;
    is(read_file($file), 'no callback', 'write without callback');
    ($errno, $n) = run_req { aio_write $fh, 0, undef, $big, 0, $_[0] };
    ok($n == 4_000_000 && read_file($file) eq $big, 'four million octets');

    # writing fails
    pipe $r, $w or die "pipe: $!";
    fails_with { aio_write $w, 0, undef, 'x', 0, $_[0] } 'ESPIPE', 'write to a pipe with an offset: ESPIPE';
    close $r;
    local $SIG{PIPE} = sub { fail('SIGPIPE came') };
    fails_with { aio_write $w, undef, undef, 'x', 0, $_[0] } 'EPIPE', 'to a broken pipe: EPIPE, without signal';
    fails_with { aio_write $closed, 0, undef, 'x', 0, $_[0] } 'EBADF', 'to a number that is not open: EBADF';
    my $full = open_rw('/dev/full', O_WRONLY);
    fails_with { aio_write $full, undef, undef, 'x', 0, $_[0] } 'ENOSPC', 'to a full device: ENOSPC';
    ours {
        fails_with { aio_write $fh, -1, 1, 'x', 0, $_[0] } 'EINVAL', 'at a negative offset: EINVAL';
    } 'takes it for undef';

    my $read_only = open_rw($file, O_RDONLY);
    croaks { aio_write $read_only, 0, undef, 'x', 0, sub { } } 'aio_write', 'write to a read-only handle croaks';
    croaks { aio_write $read_only, 0, undef, 'x', 0, sub { } } qr/mode mismatch/, 'saying mode mismatch';
    for my $dataoffset (4, -4) {
        croaks { aio_write $fh, 0, 1, 'abc', $dataoffset, sub { } } 'aio_write',
            "write with dataoffset $dataoffset of data of 3 croaks";
    }
};

done;
