use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl qw(:DEFAULT);
use File::Temp ();
use IO::File;
use IO::Handle;
use Socket;
use IO::AIO;

# Every form in which perl has a handle, for reading, for writing, and where a handle or a path is taken.

{
    package Subclass;
    our @ISA = 'IO::File';
    package Holder;    # an object that is no glob, but can be used as one
    use overload '*{}' => sub { $_[0]->() }, fallback => 1;
    sub new { my ($class, $fh) = @_; bless sub { $fh }, $class }
    package TiedFile;  # a tied handle that has a descriptor
    sub TIEHANDLE { my ($class, $fh) = @_; bless { fh => $fh }, $class }
    sub FILENO { fileno $_[0]{fh} }
}

our ($global, @array, %hash);

each_engine {
    my $dir  = fresh_dir;
    my $file = write_file "$dir/file", '0123456789';
    chdir $dir or die "$dir: $!";

    # handles open for reading and writing
    no warnings 'once';
    my $open = sub { open my $fh, '+<', $file or die "$file: $!"; $fh };
    open BAREWORD, '+<', $file or die "$file: $!";
    open $global, '+<', $file or die "$file: $!";
    $array[0] = $hash{fh} = $open->();
    my $lexical = $open->();
    my $dup     = $open->();
    open my $dup_of, '+<&', $dup or die "dup: $!";
    open my $same, '+<&=', fileno $dup or die "fdopen: $!";
    open my $layers, '+<:crlf:encoding(UTF-8)', $file or die "$file: $!";
    my $temp = File::Temp->new(DIR => $dir);
    print $temp '0123456789';
    $temp->flush;
    my $number = fileno $lexical;
    my %handle = (
        'a lexical handle'         => $lexical,
        'a glob'                   => *BAREWORD,
        'a globref'                => \*BAREWORD,
        'a global scalar'          => $global,
        'an array element'         => $array[0],
        'a hash element'           => $hash{fh},
        'an IO slot'               => *BAREWORD{IO},
        'an IO slot of a lexical'  => *$lexical{IO},
        'an IO::File'              => IO::File->new($file, '+<'),
        'a subclass of IO::File'   => Subclass->new($file, '+<'),
        'an IO::Handle'            => IO::Handle->new_from_fd(fileno $dup, '+<'),
        'a File::Temp'             => $temp,
        'an object with *{}'       => Holder->new($open->()),
        'a duplicate'              => $dup_of,
        'a handle on a descriptor' => $same,
        'a handle with layers'     => $layers,
        'a glob copy'              => do { my $copy = *BAREWORD; $copy },
        'a descriptor number'      => $number,
        'a descriptor in a string' => "$number",
        'a fraction'               => $number + 0.5,
        'a handle from aio_open'   => do { my ($e, $fh) = run_req { aio_open $file, O_RDWR, 0, $_[0] }; $fh },
    );
    if (open my $nameless, '+>', undef) {    # not on each file system: FUSE may forget what has no name
        syswrite $nameless, '0123456789';
        $handle{'an anonymous file'} = $nameless;
    }
    for my $kind (sort keys %handle) {
        my $fh = $handle{$kind};
        ours {
            my $buf;
            run_req { aio_read $fh, 2, 3, $buf, 0, $_[0] };
            is($buf, '234', "read from $kind");
            my ($errno, $n) = run_req { aio_write $fh, 2, 3, '234', 0, $_[0] };
            is($n, 3, "write to $kind");
            succeeds { aio_fsync $fh, $_[0] } "fsync of $kind";
            if (ref $fh || ref \$fh eq 'GLOB') {
                my $size;
                aio_stat $fh, sub { $size = -s _ };
                IO::AIO::flush;
                is($size, 10, "stat of $kind");
            } else {
                fails_with { aio_stat $fh, $_[0] } 'ENOENT', "stat of $kind takes it for a path";
            }
        } 'refuses some, or takes them for a path';
    }

    # handles of one direction
    open my $reader, '<', $file or die "$file: $!";
    open my $writer, '>>', $file or die "$file: $!";
    pipe my $r, my $w or die "pipe: $!";
    socketpair my $s1, my $s2, AF_UNIX, SOCK_STREAM, 0 or die "socketpair: $!";
    open my $to, '|-', qw(sh -c), 'cat >"$1"', 'sh', "$dir/piped" or die "cat: $!";
    open my $from, '-|', 'echo', 'from' or die "echo: $!";
    for (
        ['a pipe',            $w,  $r],
        ['a socket',          $s1, $s2],
        ['a socket',          $s2, $s1],
        ['a duplicated pipe', do { open my $d, '>&', $w or die; $d }, do { open my $d, '<&', $r or die; $d }],
        )
    {
        my ($kind, $out, $in) = @$_;
        my ($errno, $n) = run_req { aio_write $out, undef, undef, 'text', 0, $_[0] };
        is($n, 4, "write to $kind");
        run_req { aio_read $in, undef, 99, my $buf, 0, $_[0] };
    }
    my $buf;
    run_req { aio_read $from, undef, 99, $buf, 0, $_[0] };
    is($buf, "from\n", 'read from a command');
    run_req { aio_write $to, undef, undef, 'to', 0, $_[0] };
    close $to;
    is(read_file("$dir/piped"), 'to', 'write to a command');
    close $from;
    croaks { aio_write $reader, undef, 1, 'x', 0, sub { } } qr/mode mismatch/, 'write to a reader croaks';
    fails_with { aio_write $r, undef, 1, 'x', 0, $_[0] } 'EBADF', 'to the read end of a pipe, which perl has no mode for: EBADF';
    fails_with { aio_read $writer, 0, 1, $buf, 0, $_[0] } 'EBADF', 'read from a writer: EBADF';
    succeeds { aio_fsync $_, $_[0] } 'fsync of either' for $reader, $writer;

    # directories
    opendir my $dh, $dir or die "$dir: $!";
    opendir DIRHANDLE, $dir or die "$dir: $!";
    require IO::Dir;
    my %directory = (
        'a lexical directory handle' => $dh,
        'a directory glob'           => *DIRHANDLE,
        'an IO::Dir'                 => IO::Dir->new($dir),
    );
    for my $kind (sort keys %directory) {
        my $handle = $directory{$kind};
        ours {
            my $is_dir;
            aio_stat $handle, sub { $is_dir = !$_[0] && -d _ };
            IO::AIO::flush;
            ok($is_dir, "stat of $kind");
            succeeds { aio_fsync $handle, $_[0] } "fsync of $kind";
            succeeds { aio_chmod $handle, 0755, $_[0] } "chmod of $kind";
        } 'refuses it';
    }
    closedir DIRHANDLE;

    # tied
    tie *TIED, 'TiedFile', $lexical;
    my ($tied_ok) = eval { (run_req { aio_read \*TIED, 0, 3, $buf, 0, $_[0] })[1] };
    $@ = '';
    ok(!defined $tied_ok || $buf eq '012', 'a tied handle croaks, or is read by its descriptor');
    untie *TIED;

    # a request keeps its handle
    hold;
    my @read;
    {
        open my $fh, '<', $file or die "$file: $!";
        aio_read $fh, 0, 4, $read[0], 0, sub { };
        local *LOCAL;
        open LOCAL, '<', $file or die "$file: $!";
        aio_read *LOCAL, 4, 2, $read[1], 0, sub { };
        aio_read(IO::File->new($file), 6, 4, $read[2], 0, sub { });
    }
    for (1 .. 3) { open my $other, '<', '/dev/null' or die }
    release;
    IO::AIO::flush;
    is("@read", '0123 45 6789', 'a handle that goes out of scope stays open for its request');
    my $before = () = glob '/proc/self/fd/*';
    for (1 .. 20) {
        open my $fh, '<', $file or die "$file: $!";
        aio_fsync $fh;
    }
    IO::AIO::flush;
    is(scalar(() = glob '/proc/self/fd/*'), $before, 'and no longer');

    # names are no handles
    write_file "$dir/STDOUT", 'file';
    my $size;
    aio_stat 'STDOUT', sub { $size = -s _ };
    IO::AIO::flush;
    is($size, 4, 'the name of a handle is a path');
    croaks { aio_fsync 'STDOUT', sub { } } 'aio_fsync', 'and no handle' unless is_peer;

    close BAREWORD;
    close $global;
    undef $_ for $global, @array, %hash;
    @array = %hash = ();
    chdir '/';
};

done;
