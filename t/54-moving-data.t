use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use IO::AIO;

IO::AIO::min_fdlimit(256);    # it has many files open

# Data that changes, moves or goes away while a request takes it, has it, or stores it: by objects and tied
# scalars among the arguments, and by what perl may do even to a scalar that is read-only.

{
    package Magic;    # a scalar that runs code when it is read
    sub TIESCALAR { my ($class, $get, $set) = @_; bless { get => $get, set => $set }, $class }
    sub FETCH     { $_[0]{get}->() }
    sub STORE     { $_[0]{set}->($_[1]) }

    package Code;     # an object that runs code when it is used as a number or string
    use overload '0+' => sub { $_[0][0]->() }, '""' => sub { $_[0][0]->() }, fallback => 1;
}

sub magic(&) { tie my $scalar, 'Magic', $_[0]; \$scalar }
sub object(&) { bless [$_[0]], 'Code' }
sub mapping { IO::AIO::mmap $_[0], 8192, IO::AIO::PROT_READ | IO::AIO::PROT_WRITE, IO::AIO::MAP_PRIVATE | IO::AIO::MAP_ANONYMOUS or die "mmap: $!" }

my $size = 200_000;
my $file = tmpdir() . '/data';

# What a write leaves in the file.
sub written {
    my ($code) = @_;
    open my $fh, '>', $file or die "$file: $!";
    my ($errno, $result) = run_req { $code->($fh, $_[0]) };
    close $fh;
    my $got = read_file($file);
    is(length $got, $result, 'the result is what was written');
    return $got;
}

each_engine {
    # -- numbers that are tied
    my $data = join '', 'a' .. 'z';
    my ($three, $five) = (magic { 3 }, magic { 5 });
    is(written(sub { aio_write $_[0], 0, $$three, $data, $$five, $_[1] }), 'fgh', 'length and offset of a write may be tied');
    my $beyond = magic { 27 };
    open my $out, '>', $file or die "$file: $!";
    croaks { aio_write $out, 0, undef, $data, $$beyond } 'aio_write', 'and are checked';
    croaks { aio_mtouch $data, $$beyond } 'aio_mtouch', 'those of a region, too';

    # -- numbers that change or free the data: the length counts that it has then
    for my $number ('magic', 'object') {
        for my $change ('shorter', 'undef', 'a reference') {
            no warnings 'uninitialized';
            for my $argument (1, 2) {
                my $scalar = 'x' x $size;
                my $pull = sub { $scalar = $change eq 'shorter' ? 'short' : $change eq 'undef' ? undef : []; $argument == 1 ? $size : 0 };
                my $n = $number eq 'magic' ? magic { $pull->() } : \object { $pull->() };
                my $got = written(sub {
                    $argument == 1 ? aio_write $_[0], 0, $$n, $scalar, 0, $_[1] : aio_write $_[0], 0, undef, $scalar, $$n, $_[1];
                });
                is($got, defined $scalar ? "$scalar" : '', "a $number as argument $argument that makes the data $change");
            }
        }
        for my $how ('munmap', 'undef') {
            for my $call (\&aio_mtouch, \&aio_msync, \&aio_mlock) {
                no warnings 'uninitialized';
                mapping(my $map);
                my $pull = sub { $how eq 'undef' ? undef $map : IO::AIO::munmap $map; 0 };
                my $n = $number eq 'magic' ? magic { $pull->() } : \object { $pull->() };
                my ($errno, $result) = run_req { $call->($map, $$n, undef, ($call == \&aio_mlock ? () : 0), $_[0]) };
                ok(defined $result, "a $number as offset that unmaps the region by $how");
            }
        }
    }

    # -- numbers that free the element which is the data
    for my $free (sub { undef %{ $_[0] } }, sub { delete $_[0]{data} }) {
        my %hash = (data => 'x' x $size);
        my @junk;
        my $n = magic { $free->(\%hash); @junk = map [$_], 1 .. 20; 0 };
        is(written(sub { aio_write $_[0], 0, undef, $hash{data}, $$n, $_[1] }), 'x' x $size, 'a number that frees the data');
    }

    # -- objects as data: what makes them a string puts the scalar to another use
    open my $fh, '<', $INC{'POSIX.pm'} or die "POSIX.pm: $!";
    my $scalar;
    $scalar = object { mapping($scalar); 'x' x $size };
    croaks { aio_read $fh, 0, 100_000, $scalar, 0 } 'aio_read', 'data that becomes mapped';
    undef $scalar;
    my $inner = 'no callback';
    my $turn = 0;
    $scalar = object { $turn++ or do { $scalar = ''; aio_read $fh, 0, 10, $scalar, 0, sub { $inner = $_[0] } }; 'x' x $size };
    hold();
    ok(!eval { aio_read $fh, 0, 20, $scalar, 0; 1 }, 'data that another request has by then');
    like($@, qr/^aio_read: .*read-only/, 'is not taken');
    release();
    IO::AIO::flush();
    is($inner, 10, 'the other request is not disturbed');
    is(length $scalar, 10, 'nor its data');
};

# -- the octet behind a string, which perl wants to be NUL, is where a read begins to put its data
each_engine {
    my $digits = write_file("$file.digits", '12345' x 400);
    open my $fh, '<', $digits or die "$digits: $!";
    my $data = '7';
    my $req = aio_read $fh, 0, 5, $data, 1, sub { };
    wait_for { !IO::AIO::nready() && (IO::AIO::npending() || engine ne 'pool') };
    $req->cancel;
    IO::AIO::flush();
    is($data + 0, 7, 'a cancelled read that was executed adds nothing to a number');
    is($data, '7', 'nor to the string');
};

# -- perl takes its part of a shared string while it is written: even utf8::upgrade does, and that of read-only ones
each_engine {
    my %from = (
        'copy on write' => sub { my $data = "\xe9" x $size; my $copy = $data; undef $data; \$copy },
        'the name of a hash element' => sub { my %hash = ("\xe9" x $size => 1); my ($name) = keys %hash; \$name },
        'cut at its beginning' => sub { my $data = 'abc' . "\xe9" x $size; substr $data, 0, 3, ''; \$data },
        'ordinary' => sub { my $data = "\xe9" x $size; substr $data, 0, 1, "\xe9"; \$data },
    );
    for my $kind ((map "$_, upgraded", sort keys %from), 'cut at its beginning') {
        open my $fh, '>', $file or die "$file: $!";
        my $data = $from{ $kind =~ s/,.*//r }->();
        my $result;
        saturate();
        aio_write $fh, 0, undef, $$data, 0, sub { $result = $_[0] };
        utf8::upgrade($$data) if $kind =~ /upgraded/;
        my @junk = map { my $x = 'z' x $size; substr $x, 0, 1, 'y'; $x } 1 .. 5;
        release();
        IO::AIO::flush();
        is($result, $size, "a string ($kind in flight) is written");
        ok(read_file($file) eq "\xe9" x $size, 'as it was at the call');
        is($$data, "\xe9" x $size, 'and means the same to perl');
        substr $$data, 0, 1, '';
        $$data .= 'xx';
        is($$data, "\xe9" x ($size - 1) . 'xx', 'it can be changed afterwards');
    }

    # -- those that share it go on sharing
    my $data = 'x' x $size;
    my @copies = map $data, 1 .. 200;
    my ($wrong, @fh) = 0;
    saturate();
    for my $copy (@copies) {
        open my $fh, '>', $file or die "$file: $!";
        aio_write $fh, 0, 10, $copy, 0, sub { $wrong++ if $_[0] != 10 };
        push @fh, $fh;
    }
    undef $data;
    release();
    IO::AIO::flush();
    is($wrong, 0, 'hundreds of copies of a string are written at once');
    $_ .= 'y' for @copies;
    is(scalar(grep $_ eq 'x' x $size . 'y', @copies), 200, 'and are their own afterwards');
};

# -- where the data of a whole file cannot be stored
each_engine {
    my $long = write_file($file, 'x' x 5000);
    my $short = write_file("$file.short", 'x' x 50);
    for my $path ($long, $short) {
        for my $load (sub { aio_load $path, $_[0], $_[1] }, sub { aio_slurp $path, 0, 0, $_[0], $_[1] }) {
            my @warnings;
            local $SIG{__WARN__} = sub { push @warnings, @_ };
            tie my $picky, 'Magic', sub { '' }, sub { die "no, thanks\n" };
            fails_with { $load->($picky, $_[0]) } 'EFAULT', 'a tied scalar that refuses';
            like("@warnings", qr/^IO::AIO: the data cannot be stored: no, thanks$/, 'with a warning');

            my $data = 'old';
            hold();
            my @got;
            $load->($data, sub { @got = (@_, errno_name($!)) });
            Internals::SvREADONLY($data, 1);
            one_by_one();
            is("@got $data", '-1 EFAULT old', 'a scalar that is read-only by then');

            @got = @warnings = ();
            my $map;
            hold();
            $load->($map, sub { @got = (@_, errno_name($!)) });
            mapping($map);
            one_by_one();
            is("@got " . length $map, '-1 EFAULT 8192', 'a scalar that is mapped by then');
            is(scalar @warnings, 1, 'with a warning');
        }
    }

    # -- what handles the warning dies, or the exception cannot be printed
    open my $fh, '<', $long or die "$long: $!";
    for my $error ("plain\n", object { die "not printable\n" }) {
        local $SIG{__WARN__} = sub { die "in the handler: @_" };
        tie my $picky, 'Magic', sub { '' }, sub { die $error };
        open my $stderr, '>&', \*STDERR or die "stderr: $!";
        open STDERR, '>', '/dev/null' or die "/dev/null: $!";    # perl tells of it "(in cleanup)"
        my @got = eval { run_req { aio_read $fh, 0, 10, $picky, 0, $_[0] } };
        open STDERR, '>&', $stderr or die "stderr: $!";
        close $stderr;
        is(errno_name($got[0] || 0) . " $got[1]", 'EFAULT -1', 'a warning that dies does not keep the callback away');
    }
};

done;
