use strict;
use warnings;
no warnings 'uninitialized';    # undef is among the arguments
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use IO::AIO;

# aio_slurp: a part of a file, or its rest, by path, in one request.

sub slurp {
    my ($path, $offset, $length, @data) = @_;
    my $data = @data ? $data[0] : undef;
    my ($errno, @res) = run_req { aio_slurp $path, $offset, $length, $data, $_[0] };
    ($data, $errno, @res);
}

sub slurp_is {
    my ($path, $offset, $length, $want, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($data, $errno, @res) = slurp($path, $offset, $length, 'what was there');
    ok(@res == 1 && $res[0] eq length $want && $data eq $want, $name)
        or diag("got (@res), ", errno_name($errno), ', ', length $data, ' octets: ', substr $data, 0, 40);
}

each_engine {
    my $dir  = fresh_dir;
    my $file = write_file "$dir/file", '0123456789';

    # offset, length, and what is read
    for my $t (
        [0, 0, '0123456789'], [0, 10, '0123456789'], [0, 3, '012'], [2, 3, '234'], [9, 1, '9'], [0, 11, '0123456789'],
        [8, 10, '89'], [5, 0, '56789'], [10, 0, ''], [10, 5, ''], [100, 5, ''], [-3, 0, '789'], [-3, 2, '78'], [-3, 100, '789'],
        [-10, 0, '0123456789'], [-10, 4, '0123'], [-1, 1, '9'], [undef, undef, '0123456789'], ['2', '2', '23'], [1.9, 2.9, '12'],
    ) {
        my ($offset, $length, $want) = @$t;
        slurp_is($file, $offset, $length, $want, join ', ', map { defined $_ ? $_ : 'undef' } $offset, $length);
    }
    ours {
        slurp_is($file, 11,  0, '', 'the rest of what is behind the end');
        slurp_is($file, 2**40, 0, '', 'far behind');
    } 'ENOMEM';
    slurp_is($file, 2**40, 10, '', 'a part of what is far behind');
    slurp_is($file, 0, 1 << 24, '0123456789', 'much more than there is');

    ours {
        my ($data, $errno, $res) = slurp($file, 0, 2**62);
        is($res == 10 ? $data : errno_name($errno), $res == 10 ? '0123456789' : 'ENOMEM', 'more than memory can hold');
    } 'crash';

    my $empty = write_file "$dir/empty", '';
    slurp_is($empty, $_->[0], $_->[1], '', "of an empty file: $_->[0], $_->[1]") for [0, 0], [0, 5], [5, 5];
    slurp_is('/dev/null', 0, $_, '', "of /dev/null: 0, $_") for 0, 5;
    slurp_is('/dev/zero', 0, 5000, "\0" x 5000, 'of /dev/zero');

    # all sizes around pages, whole and in parts
    for my $size (1, 4095, 4096, 4097, 8192, 65536, 200_001) {
        my $content = join '', map chr(33 + $_ % 91), 1 .. $size;
        my $big = write_file "$dir/big", $content;
        slurp_is($big, 0, 0, $content, "file of $size octets");
        slurp_is($big, 0, $size, $content, 'its length given');
        slurp_is($big, -$size, 0, $content, 'from its start, counted from the end');
        slurp_is($big, 1, 0, substr($content, 1), 'without the first octet');
        slurp_is($big, $size - 1, 0, substr($content, -1), 'the last one only');
        slurp_is($big, -1, 0, substr($content, -1), 'counted from the end');
    }

    # files without a size
  SKIP: {
        skip 'no /proc', 5 unless -r '/proc/version';
        my $version = read_file '/proc/version';
        slurp_is('/proc/version', 0, 10, substr($version, 0, 10), 'part of a file in /proc');
        slurp_is('/proc/version', 5, 10, substr($version, 5, 10), 'another one');
        ours {
            slurp_is('/proc/version', 0, 0, $version, 'a whole file in /proc');
            slurp_is('/proc/version', 5, 0, substr($version, 5), 'the rest of one');
            my $large = '/proc/kallsyms';
            my $size = length read_file $large;
            is((slurp($large, 0, 0))[2], $size, 'a large one');
        } 'ENOMEM';
    }

    # failures
    for my $t (
        [missing => "$dir/none", 0, 0, 'ENOENT'], ['missing, with length' => "$dir/none", 0, 3, 'ENOENT'], ['below a file' => "$file/x", 0, 0, 'ENOTDIR'],
        [empty => '', 0, 0, 'ENOENT'], [undef => undef, 0, 0, 'ENOENT'], ['a directory, with length' => $dir, 0, 10, 'EISDIR'],
        ['before the start' => $file, -11, 0, 'EINVAL'], ['before the start, with length' => $file, -100, 5, 'EINVAL'],
        ['a directory' => $dir, 0, 0, 'EISDIR', 'ours'],
    ) {
        my ($name, $path, $offset, $length, $want, $ours) = @$t;
        my $test = sub {
            my ($data, $errno, @res) = slurp($path, $offset, $length, 'old');
            is("@res", -1, "$name: -1");
            is(errno_name($errno), $want, "$name: $want");
        };
        $ours ? &ours($test, 'crash: another errno, or none') : $test->();
    }
    # a file of /sys claims to have a page, and has a few octets
  SKIP: {
        my ($sys) = grep { -r && -s _ == 4096 && (read_file $_) =~ /^.{1,100}\n\z/ }
            map "/sys/kernel/$_", qw(fscaps profiling kexec_loaded mm/transparent_hugepage/enabled);
        skip 'no such file here', 2 unless defined $sys;
        ours {
            my $text = read_file $sys;
            slurp_is($sys, -2, 0, substr($text, -2), 'from the end of a file of /sys');
            slurp_is($sys, -length $text, 1, substr($text, 0, 1), 'a part of that');
        } 'finds nothing';
    }
    {
        my $data = 'old';
        my ($errno, $status) = run_req { aio_slurp "$dir/none", 0, 0, $data, $_[0] };
        is($data, 'old', 'what could not be opened leaves the data alone');
    }
    {
        chmod 0, $file or die "chmod: $!";
        is((as_nobody { my (undef, $errno) = slurp($file, 0, 0); errno_name($errno) }), 'EACCES', 'no permission');
        chmod 0644, $file;
    }
};

# ---- what may be given as data -------------------------------------------------------------------

each_engine {
    my $dir  = fresh_dir;
    my $file = write_file "$dir/file", "0123456789" x 1000;

    for my $length (0, 10000) {
        my $name = "length $length";
        my $data = "\x{100}\x{101}";
        run_req { aio_slurp $file, 0, $length, $data, $_[0] };
        ok(!utf8::is_utf8($data) && length $data == 10000, "$name: wide text becomes octets");

        my %hash;
        run_req { aio_slurp $file, 0, $length, $hash{new}, $_[0] } if !is_peer;
        run_req { aio_slurp $file, 0, $length, $hash{new} = '', $_[0] } if is_peer;
        is(length $hash{new}, 10000, "$name: an element");
        is(eval { delete($hash{new}) =~ tr/9// }, 1000, "$name: that can be deleted");

        my @array = ('x') x 3;
        run_req { aio_slurp $file, 0, $length, $array[1], $_[0] };
        is(join('|', map length, @array), '1|10000|1', "$name: an array element");

        # again into the same one, and other uses of it then
        my $again = 'x' x 50;
        my $copy  = $again;
        for (1 .. 3) { run_req { aio_slurp $file, 9000, $length, $again, $_[0] } }
        is(length $again, 1000, "$name: again and again");
        is($copy, 'x' x 50, "$name: a copy is not touched");
        (undef, my @res) = run_req { aio_slurp $file, -5, 3, $again, $_[0] };
        is($again, '567', "$name: a part into it");

        # in place
        run_req { aio_slurp $file, 0, $length, $again, $_[0] };
        ok(eval { substr($again, 0, 3) = 'abc'; substr $again, -1, 1, 'z'; 1 }, "$name: can be changed in place") or diag($@);
        is(substr($again, 0, 5) . substr($again, -2), 'abc348z', "$name: is changed");
        is(read_file($file), '0123456789' x 1000, "$name: the file is not");
        $copy = $again;
        is(length $copy, 10000, "$name: can be copied");
        $copy .= 'more';
        is(length $again, 10000, "$name: the copy is another string");
        is(scalar(() = $again =~ /345/g), 1000, "$name: can be searched");
        undef $again;
        $again = 'free';
        is("$again!", 'free!', "$name: can be undefined and used again");


        my $req = aio_slurp $file, 0, $length, my $none, sub { fail('called back') };
        $req->cancel;
        IO::AIO::flush;
        is($none, undef, "$name: cancelled: nothing is set") if engine ne 'sync';

        aio_slurp $file, 0, $length, my $silent;
        IO::AIO::flush;
        is(length $silent, 10000, "$name: without callback");

        { aio_slurp $file, 0, $length, my $gone, sub { } }
        IO::AIO::flush;

        # changed while in flight
        hold;
        my $held = 'held';
        my $seen;
        aio_slurp $file, 0, $length, $held, sub { $seen = length $held };
        eval { $held = 'changed' };
        eval { $held .= 'x' x 20000 };
        eval { undef $held };
        release;
        IO::AIO::flush;
        is($seen, 10000, "$name: there in the callback");
    }

    # what cannot hold data
    ours {
        croaks { aio_slurp $file, 0, 0, 'constant', sub { } } qr/read-only/, 'a constant';
        croaks { aio_slurp $file, 0, 5, 'constant', sub { } } qr/read-only/, 'a constant, with length';
        croaks { aio_slurp $file, 0, 0, undef, sub { } } qr/read-only/, 'undef itself';
        is(undef, undef, 'which stays what it is');
    } 'crash: overwrites constants';
    ours { croaks { aio_slurp $file, 0, -1, my $data, sub { } } 'aio_slurp', 'a negative length' } 'EFAULT';
    croaks { aio_slurp $file, 0, 0, my $data, 'no function' } qr/callback/, 'what is no callback';

    # mapped data outlive the file
    my $data;
    run_req { aio_slurp $file, 0, 0, $data, $_[0] };
    unlink $file or die "unlink: $!";
    is($data, '0123456789' x 1000, 'stays when the file is removed');
};

done;
