use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl;
use POSIX ();
use IO::AIO;

# aio_load: a whole file into a scalar.

sub load {
    my ($path) = @_;
    my $data = 'before';
    my ($errno, @got) = run_req { aio_load $path, $data, $_[0] };
    return "results: @got" unless @got == 1;
    return errno_name($errno) if $got[0] == -1;
    return "length @{[length $data]}, but result $got[0]" unless $got[0] == length $data;
    $data;
}

each_engine {
    my $dir = fresh_dir;
    my $all = join '', map chr, 0 .. 255;
    my %content = (
        'an empty file'     => '',
        'one octet'         => 'x',
        'all octets'        => $all,
        'just below a page' => 'p' x 4095,
        'a page'            => 'p' x 4096,
        'more than a page'  => 'p' x 4097,
        'three megabytes'   => $all x 12288,
    );
    for my $name (sort keys %content) {
        ok(load(write_file "$dir/file", $content{$name}) eq $content{$name}, $name);
    }

    my $text = 'some text';
    my $file = write_file "$dir/file", $text;
    symlink 'file', "$dir/link" or die "symlink: $!";
    is(load("$dir/link"), $text, 'by a symbolic link');

    # a file that does not say how long it is
    ours {
        return unless procfs;
        is(load('/proc/self/cmdline'), read_file('/proc/self/cmdline'), 'a file of /proc');
        my $long = read_file('/proc/self/smaps');
        cmp_ok(length load('/proc/self/smaps'), '>', length($long) / 2, 'a long one');
    } 'loads nothing';
    is(load('/dev/null'), '', 'a device that is empty');

    # where it goes to
    my ($undef, %hash, @array);
    my @into = (
        ['an undefined scalar', sub { aio_load $file, $undef, $_[0] },     sub { $undef }],
        ['a new hash element',  sub { aio_load $file, $hash{x}, $_[0] },   sub { $hash{x} }],
        ['a new array element', sub { aio_load $file, $array[2], $_[0] },  sub { $array[2] }],
    );
    for (@into) {
        my ($name, $load, $see) = @$_;
        &run_req($load);
        is($see->(), $text, "into $name");
    }
    my $utf8 = "\xe9" x 100;
    utf8::upgrade($utf8);
    write_file $file, "\xff\xe9";
    run_req { aio_load $file, $utf8, $_[0] };
    is($utf8, "\xff\xe9", 'octets come unchanged');
    my $data;
    aio_load $file, $data;
    IO::AIO::flush;
    ours { is($data, "\xff\xe9", 'without callback') } 'does not set the length';
    my @data;
    aio_load $file, $data[$_], sub { } for 0 .. 49;
    IO::AIO::flush;
    is((grep $_ eq "\xff\xe9", @data), 50, 'fifty at once');

    # failures
    for (
        ['ENOENT',  'a missing file', "$dir/none"],
        ['ENOENT',  'the empty name', ''],
        ['ENOTDIR', 'below a file',   "$file/x"],
        ['EISDIR',  'a directory',    $dir],
        )
    {
        my ($want, $name, $path) = @$_;
        is(load($path), $want, "$name: $want");
    }
    chmod 0, $file;
    is(as_nobody { load($file) }, 'EACCES', 'a file without permission: EACCES');
    chmod 0600, $file;
    $data = 'before';
    run_req { aio_load "$dir/none", $data, $_[0] };
    is($data, 'before', 'a file that does not open leaves the scalar alone');

    # a group, of which nothing happens once it is cancelled
    hold;
    $data = 'before';
    my $req = aio_load $file, $data, sub { fail('called back') };
    isa_ok($req, 'IO::AIO::GRP', 'what it returns');
    $req->cancel;
    release;
    IO::AIO::flush;
    is($data, 'before', 'cancelled before it ran');
    $data = 'still writable';
    is($data, 'still writable', 'the scalar is free again');

    # a cancelled one stops reading, also what has no end
  SKIP: {
        skip 'engine sync reads to the end itself', 2 if engine eq 'sync';
        skip 'would read for ever', 2 if is_peer;
        POSIX::mkfifo("$dir/fifo", 0600) or die "mkfifo: $!";
        sysopen my $fifo, "$dir/fifo", O_RDWR | O_NONBLOCK or die "$dir/fifo: $!";
        my $endless = aio_load '/dev/zero', my $zeros, sub { fail('called back') };
        $req = aio_load "$dir/fifo", $data, sub { fail('called back') };
        syswrite $fifo, 'some';
        wait_for { vec(my $bits = '', fileno $fifo, 1) = 1; !select $bits, undef, undef, 0 };
        $_->cancel for $req, $endless;
        syswrite $fifo, 'more';
        ok(wait_for { IO::AIO::poll_cb; !IO::AIO::nreqs }, 'cancelled while it reads: it ends');
        syswrite $fifo, 'left';
        sysread $fifo, my $left, 100;
        like($left, qr/left$/, 'and reads no more');
        unlink "$dir/fifo";
    }

    ours {
        croaks { aio_load $file, 'literal', sub { } } qr/aio_load|read-only/, 'a literal to load into croaks';
    } 'overwrites it';
};

done;
