use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use MmapTest;
use Test::More;
use Config;
use IO::AIO;

# Mapped scalars: mmap, munmap, mremap; how long mappings live; requests, processes and threads with them. What
# Perl code can do to them otherwise is in 49-mmap-perl.t.

my $path = map_path;

# ---- mmap, munmap, mremap themselves ---------------------------------------------------------------

{
    my $size = 10_000;
    my $fh = fresh($size);
    my $m;
    is(IO::AIO::mmap($m, $size, R, SHARED, $fh), 1, 'mmap');
    ok($m eq content($size), 'the content');
    ok(!utf8::is_utf8($m), 'octets');
    is(maps(), procfs ? 1 : 0, 'one mapping');
    my @nothing = IO::AIO::munmap($m);
    is(scalar @nothing, 0, 'munmap returns nothing');
    is($m, undef, 'and leaves undef');
    is(maps(), 0, 'no mapping');
    IO::AIO::munmap $m;
    is($m, undef, 'munmap again');
    my $plain = 'plain';
    IO::AIO::munmap $plain;
    is($plain, 'plain', 'munmap leaves other scalars alone');
    $m = 'free';
    is("$m!", 'free!', 'the scalar can be used again');

    is(IO::AIO::mmap($m, 100, R, SHARED, $fh, PAGE), 1, 'mmap with offset');
    ok($m eq substr(content($size), PAGE, 100), 'the content there');
    is(IO::AIO::mmap($m, 50, RW, PRIVATE, $fh), 1, 'mmap of a mapped scalar');
    ok($m eq substr(content($size), 0, 50), 'the new content');
    is(maps(), procfs ? 1 : 0, 'instead of the old one');
    substr($m, 0, 4) = 'priv';
    is(substr($m, 0, 5), 'priv5', 'private: is changed');
    is(substr(read_file($path), 0, 5), '12345', 'the file is not');
    IO::AIO::munmap $m;

    for my $t ([undef => undef], [missing => 'missing'], [handle => $fh]) {
        my ($what, $handle) = @$t;
        my @args = $what eq 'missing' ? () : ($handle);
        my $ok = @args ? IO::AIO::mmap($m, 5000, RW, PRIVATE | IO::AIO::MAP_ANONYMOUS, $handle) : IO::AIO::mmap($m, 5000, RW, PRIVATE | IO::AIO::MAP_ANONYMOUS);
        is($ok, 1, "anonymous memory, handle: $what");
        ok($m eq "\0" x 5000, 'is zero');
        substr($m, 4990, 3) = 'end';
        is(substr($m, 4989, 5), "\0end\0", 'can be written');
        undef $m if !is_peer;
        IO::AIO::munmap $m;
    }

    # memory without access: nothing of it can be seen, until it is allowed
    ours {
        IO::AIO::mmap $m, 2 * PAGE, IO::AIO::PROT_NONE, SHARED, $fh or die "mmap: $!";
        my $copy = "<$m>";
        my $matches = $m =~ /some/;
        my $touched = (run_req { aio_mtouch $m, 0, undef, 0, $_[0] })[1];
        ok(!$matches, 'memory without access can be looked at without harm');
        is(maps(), procfs ? 1 : 0, 'it is mapped');
        is(IO::AIO::mprotect($m, 0, undef, R), 0, 'mprotect');
        ok($m eq substr(content($size), 0, 2 * PAGE), 'makes it readable');
        IO::AIO::munmap $m;
    } 'crash';

    # failures leave the scalar alone
    pipe my $r, my $w or die "pipe: $!";
    open my $ro, '<',  $path or die "$path: $!";
    open my $wo, '>>', $path or die "$path: $!";
    for my $t (
        ['length 0', [0, R, SHARED, $fh, 0], 'EINVAL'], ['negative length', [-1, R, SHARED, $fh, 0], 'EINVAL ENOMEM'], ['too large', [2**60, R, SHARED, $fh, 0], 'ENOMEM EOVERFLOW EINVAL'],
        ['crooked offset', [10, R, SHARED, $fh, 1], 'EINVAL'], ['negative offset', [10, R, SHARED, $fh, -PAGE], 'EINVAL EOVERFLOW'],
        large_files ? () : ['offset that no off_t holds', [10, R, SHARED, $fh, 2**32], 'EOVERFLOW'],
        ['no flags', [10, R, 0, $fh, 0], 'EINVAL'], ['flags that no int holds', [10, R, 2**32 + SHARED, $fh, 0], 'EINVAL', 'ours'], ['rights that no int holds', [10, 2**32 + R, SHARED, $fh, 0], 'EINVAL', 'ours'], ['no handle', [10, R, SHARED, undef, 0], 'EBADF'], ['not open', [10, R, SHARED, 999, 0], 'EBADF'],
        ['a pipe', [10, R, SHARED, $r, 0], 'ENODEV EACCES'], ['writing what is for reading', [10, RW, SHARED, $ro, 0], 'EACCES'], ['reading what is for writing', [10, R, SHARED, $wo, 0], 'EACCES'],
    ) {
        my ($what, $a, $want, $ours) = @$t;
        next if $ours && is_peer;    # which cuts them
        my $scalar = 'old';
        $! = 0;
        my @got = IO::AIO::mmap($scalar, $a->[0], $a->[1], $a->[2], $a->[3], $a->[4]);
        my $errno = errno_name($!);
        is_deeply(\@got, [''], "$what: false");
        ok(scalar(grep $_ eq $errno, split ' ', $want), "$what: $want") or diag($errno);
        is($scalar, 'old', "$what: the scalar stays");
    }
    open my $closed, '<', $path or die "$path: $!";
    close $closed;
    croaks { IO::AIO::mmap my $x, 10, R, SHARED, $closed } 'mmap', 'a closed handle';
    croaks { IO::AIO::mmap 'constant', 10, R, SHARED, $fh } qr/read-only/, 'a constant';
    croaks { IO::AIO::mmap undef, 10, R, SHARED, $fh } qr/read-only/, 'undef itself';
    ours {
        my $ok = IO::AIO::mmap my $x, 100, RW, PRIVATE, $ro;
        is($ok, 1, 'private memory of a handle for reading may be written');
        substr($x, 0, 1) = 'X';
        is(substr($x, 0, 3), 'X23', 'is changed');
        is(substr(read_file($path), 0, 3), '123', 'the file is not');
    } 'mode mismatch';
    is(maps(), 0, 'nothing is left') unless is_peer;

    # scalars of all kinds
    my (@array, %hash);
    $array[3] = undef;
    $hash{key} = 'x' x 100;
    my $shared_key = (keys %{ { abc => 1 } })[0];
    my $cow = my $twin = 'y' x 2000;
    my $wide = "\x{100}";
    my $ook = 'z' x 100;
    $ook =~ s/^z{20}//;
    for my $t (['array element' => \$array[3]], ['hash element' => \$hash{key}], ['shared hash key' => \$shared_key], ['copy on write' => \$cow], [wide => \$wide], [number => \(my $n = 5)], ['cut string' => \$ook], ['reference' => \(my $ref = [])]) {
        my ($what, $sv) = @$t;
        is(IO::AIO::mmap($$sv, 200, RW, SHARED, $fh), 1, "mmap into $what");
        ok($$sv eq substr(content($size), 0, 200), 'content');
        IO::AIO::munmap $$sv;
        is($$sv, undef, 'munmap');
    }
    is($twin, 'y' x 2000, 'a string that shared its memory is intact');
    ours {
        my %new;
        IO::AIO::mmap $new{element}, 200, RW, SHARED, $fh or die "mmap: $!";
        ok($new{element} eq substr(content($size), 0, 200), 'an element that does not exist yet');
        delete $new{element};
        is(maps(), 0, 'is unmapped when deleted');
    } 'crash';
    {
        # addresses may have fewer bits than numbers
        my $ok = IO::AIO::mmap my $huge, 2**32 + 10, R, SHARED, $fh;
        ok($ok ? length $huge == 2**32 + 10 : !defined $huge, 'more than 4 GiB, or nothing');
        IO::AIO::munmap $huge if $ok;
        IO::AIO::mmap $huge, PAGE, R, SHARED, $fh or die "mmap: $!";
        $ok = IO::AIO::mremap $huge, 2**32 + 10;
        is(length $huge, $ok ? 2**32 + 10 : PAGE, 'mremap likewise');
        IO::AIO::munmap $huge;
    }

  SKIP: {
        IO::AIO::mmap $m, PAGE, RW, PRIVATE | IO::AIO::MAP_ANONYMOUS or die "mmap: $!";
        substr($m, 0, 3) = 'abc';
        $! = 0;
        my $ok = IO::AIO::mremap $m, 4 * PAGE, IO::AIO::MREMAP_MAYMOVE;
        skip 'no mremap here', 12 if $!{ENOSYS} && !$ok;
        like($ok, qr/^(?:1|0 but true)$/, 'mremap');
        is(length $m, 4 * PAGE, 'the new length');
        is(substr($m, 0, 4), "abc\0", 'the content');
        # valgrind 3.19 takes what a mapping that moved has grown by for inaccessible until it sees another call for it
        IO::AIO::mprotect $m, 0, undef, RW if valgrind;
        substr($m, -3, 3) = 'end';
        is(IO::AIO::mremap($m, PAGE, 0), '0 but true', 'smaller, in place');
        is(length $m, PAGE, 'the new length');
        is(substr($m, 0, 4), "abc\0", 'the content');
        ok(IO::AIO::mremap($m, 5000), 'two arguments, no multiple of a page');
        is(length $m, 5000, 'the new length');
        ok(IO::AIO::mremap($m, 1 << 24), 'a lot more');
        is(length $m, 1 << 24, 'the new length');
        is(substr($m, 0, 4), "abc\0", 'the content');
        for my $t ([0, 0, 'EINVAL'], [-1, 0, 'EINVAL ENOMEM'], [2**46, 1, 'ENOMEM EINVAL'], [PAGE, 64, 'EINVAL']) {
            $! = 0;
            my @got = IO::AIO::mremap($m, $t->[0], $t->[1]);
            my $errno = errno_name($!);
            is_deeply(\@got, [''], "mremap to $t->[0] with flags $t->[1]: false");
            ok(scalar(grep $_ eq $errno, split ' ', $t->[2]), "and $t->[2]") or diag($errno);
            is(length $m, 1 << 24, 'the length stays');
        }
        IO::AIO::munmap $m;
        ours {
            for my $t ([plain => 'x' x 5000], [undef => undef], [empty => '']) {
                my ($what, $scalar) = @$t;
                my $was = $scalar;
                my $false = eval { IO::AIO::mremap $scalar, 8192, 1 };
                ok(!$false, "mremap of what is not mapped: $what");
                is($scalar, $was, 'changes nothing');
            }
        } 'crash';
        my $fh2 = fresh(3 * PAGE);
        IO::AIO::mmap $m, PAGE, R, SHARED, $fh2 or die "mmap: $!";
        ok(IO::AIO::mremap($m, 3 * PAGE), 'mremap of memory for reading');
        IO::AIO::mprotect $m, 0, undef, R if valgrind;
        ok($m eq content(3 * PAGE), 'shows more of the file');
        ours { ok(!eval { substr($m, 0, 1) = 'x'; 1 }, 'still for reading only') } 'crash';
        IO::AIO::munmap $m;
    }
}

# ---- lifetime ------------------------------------------------------------------------------------------

{
    my $fh = fresh(2 * PAGE);
    for (1 .. 500) {
        IO::AIO::mmap my $m, 2 * PAGE, RW, SHARED, $fh or die "mmap: $!";
        die 'content' unless length $m == 2 * PAGE;
    }
    is(maps(), 0, 'unmapped at the end of its scope');
    for (1 .. 100) { my $r = do { IO::AIO::mmap my $m, PAGE, R, SHARED, $fh or die "mmap: $!"; \$m }; die 'content' unless $$r =~ /^12345 some/ }
    is(maps(), 0, 'unmapped with its last reference');
    { my @all = map { my $m; IO::AIO::mmap $m, PAGE, R, SHARED, $fh or die; \$m } 1 .. 20; is(maps() > 0, !!procfs, 'many at a time') }
    is(maps(), 0, 'all gone');
    {
        my $m;
        IO::AIO::mmap $m, PAGE, RW, SHARED, $fh or die "mmap: $!";
        close $fh;
        unlink $path or die "unlink: $!";
        ok($m eq substr(content(2 * PAGE), 0, PAGE), 'stays when handle and file are gone');
    }
    $fh = fresh(2 * PAGE);

    # arrays are sorted and reversed by moving their elements
    my @array = ('z', undef, 'a');
    IO::AIO::mmap $array[1], 2 * PAGE, RW, SHARED, $fh or die "mmap: $!";
    @array = sort @array;
    is(join('|', map length, @array), (2 * PAGE) . '|1|1', 'sort in place');
    @array = reverse @array;
    is(join('|', map length, @array), '1|1|' . 2 * PAGE, 'reverse in place');
    ok($array[2] eq content(2 * PAGE), 'the content');
    my @spliced = splice @array, 1;
    ok($spliced[1] eq content(2 * PAGE), 'splice');
    undef @array;
    undef @spliced;
    is(maps(), 0, 'nothing is left');

    # local
    ours {
        my $page = substr content(2 * PAGE), 0, PAGE;
        my @got = in_child {
            our $g;
            IO::AIO::mmap $g, PAGE, RW, SHARED, $fh or die "mmap: $!";
            { local $g; $g = 'x'; $g .= 'y' }
            my $one = $g eq $page && is_mapped($g);
            { local $g = 'value' x 1000; chop $g }
            my $two = $g eq $page && is_mapped($g);
            my %h;
            IO::AIO::mmap $h{x} = undef, PAGE, RW, SHARED, $fh or die "mmap: $!";
            { local $h{x} = 5; $h{x}++ }
            { delete local $h{x} }
            my $three = $h{x} eq $page && is_mapped($h{x});
            undef %h;
            undef $g;
            ($one, $two, $three, maps());
        };
        is("@got", '1 1 1 0', 'local gives another scalar and the mapped one back');
    } 'crash';
}

# ---- requests on mapped memory ---------------------------------------------------------------------------

each_engine {
    my $size = 2 * PAGE;
    my $fh   = fresh($size);
    my $data = write_file tmpdir . '/data', join '', 'A' .. 'Z';
    open my $in, '<', $data or die "$data: $!";
    IO::AIO::mmap my $m, $size, RW, SHARED, $fh or die "mmap: $!";
    my $want = content($size);

    ours {
        for my $t (
            ['the start' => 0, 10, 0, 10], ['in the middle' => 3, 20, 500, 20], ['a short read' => 20, 100, 100, 6], ['end of file' => 100, 10, 200, 0],
            ['up to the end' => 0, 26, $size - 26, 26], ['an offset from the end' => 0, 5, -30, 5], ['nothing' => 0, 0, 300, 0],
        ) {
            my ($what, $offset, $length, $at, $count) = @$t;
            my ($errno, $got) = run_req { aio_read $in, $offset, $length, $m, $at, $_[0] };
            substr($want, $at, $count) = substr join('', 'A' .. 'Z'), $offset, $count if $count > 0;
            is($got, $count, "aio_read: $what");
            ok(length $m == $size && $m eq $want, 'the length stays, the data are in it') or diag(length $m);
        }
        ok(read_file($path) eq $want, 'and in the file');
        pipe my $r, my $w or die "pipe: $!";
        my ($errno, $got) = run_req { aio_read $w, 0, 10, $m, 0, $_[0] };
        is($got, -1, 'aio_read: an error');
        ok($m eq $want, 'changes nothing');
        for my $t ([0, $size + 1], [$size - 5, 10], [$size, 1]) {
            my ($at, $length) = @$t;
            my $lived = eval { aio_read $in, 0, $length, $m, $at, sub { }; 1 };
            IO::AIO::flush;
            ok(!$lived, "aio_read: $length octets at $at do not fit: dies");
        }
        ok($m eq $want, 'and nothing happens');
        ok(is_mapped($m), 'it is still mapped');
    } 'changes the length';

    # as a source
    open my $out, '+>', tmpdir . '/out' or die "out: $!";
    is((run_req { aio_write $out, 0, 100, $m, 50, $_[0] })[1], 100, 'aio_write');
    ok(read_file(tmpdir . '/out') eq substr($m, 50, 100), 'from mapped memory');
    is((run_req { aio_write $out, 0, undef, $m, 0, $_[0] })[1], $size, 'all of it');
    close $out;

    # requests that want to store another string: refused, or done; never half of it
    my %store = (
        aio_slurp => sub { aio_slurp $data, 0, 0, $_[0], $_[1] }, 'aio_slurp of a part' => sub { aio_slurp $data, 3, 5, $_[0], $_[1] },
        aio_load => sub { aio_load $data, $_[0], $_[1] }, aio_ioctl => sub { aio_ioctl $in, 0x541b, $_[0], $_[1] },
        'aio_read into a part' => sub { aio_read $in, 0, 20, substr($_[0], 0, 10), 0, $_[1] },
    );
    for my $what (sort keys %store) {
        ours {
            IO::AIO::mmap my $target, 100, RW, PRIVATE | IO::AIO::MAP_ANONYMOUS or die "mmap: $!";
            my ($calls, @got) = (0);
            my $accepted = eval { $store{$what}->($target, sub { $calls++; @got = @_ }); 1 };
            my $refused  = $@;
            my $flushed  = eval { IO::AIO::flush; 1 };
            ok($flushed, "$what: nothing dies later") or diag($@);
            is($calls, $accepted ? 1 : 0, $accepted ? "$what: accepted and called back" : "$what: refused") or diag($refused);
            IO::AIO::flush;
            ok(@got == 1, "$what: with its result") if $accepted;
            ok(eval { IO::AIO::munmap $target; $target = 'free'; $target .= '!'; 1 }, "$what: the scalar can be used again") or diag($@);
        } 'is something else';
    }

    # memory for reading
    ours {
        IO::AIO::mmap my $ro, $size, R, SHARED, $fh or die "mmap: $!";
        my ($errno, $got) = eval { run_req { aio_read $in, 0, 10, $ro, 0, $_[0] } };
        ok($@ =~ /read-only/ || $got == -1 && errno_name($errno) eq 'EFAULT', 'aio_read into memory for reading') or diag("got $got $@");
        ok($ro eq $want, 'changes nothing');
    } 'crash';

    # in flight: memory that is in use neither goes nor moves
    my %away = (
        munmap => sub { IO::AIO::munmap $_[0] }, mremap => sub { IO::AIO::mremap($_[0], 100 * $size) or die "false\n" }, undef => sub { undef $_[0] },
        mmap => sub { IO::AIO::mmap($_[0], 100, RW, SHARED, $fh) or die "false\n" }, assign => sub { $_[0] = 'x' }, append => sub { $_[0] .= 'x' x 100_000 },
        chop => sub { chop $_[0] }, substr => sub { substr($_[0], 0, 10) = '' },
    );
    for my $what (sort keys %away) {
        ours {
            my $fh2 = fresh($size);
            IO::AIO::mmap my $held, $size, RW, SHARED, $fh2 or die "mmap: $!";
            hold;
            my $result;
            aio_read $in, 0, 10, $held, 0, sub { $result = $_[0] };
            my $lived = eval { $away{$what}->($held); 1 };
            release;
            IO::AIO::flush;
            is($result, 10, "$what while in flight: the request is done");
            ok($lived || is_mapped($held), $lived ? "$what is put off" : "$what dies") or diag($@);
            ok(!$lived || engine eq 'sync' || !defined $held || length $held == 100 || length $held == $size, 'nothing else');
        } 'crash';
    }
    ours {
        my $fh2 = fresh($size);
        hold;
        my $result;
        {
            IO::AIO::mmap my $gone, $size, RW, SHARED, $fh2 or die "mmap: $!";
            aio_read $in, 0, 10, $gone, 0, sub { $result = $_[0] };
        }
        release;
        IO::AIO::flush;
        is($result, 10, 'a scalar that goes out of scope in flight');
        is(substr(read_file($path), 0, 10), 'ABCDEFGHIJ', 'the data are in the file');
    } 'crash';
};

# ---- processes, threads, the end ---------------------------------------------------------------------------

my $head = <<'PERL';
use strict;
use warnings;
use IO::AIO;
my ($path) = @ARGV;
open our $fh, '+<', $path or die;
sub map_it { IO::AIO::mmap $_[0], 8192, 3, IO::AIO::MAP_SHARED, $fh or die "mmap: $!" }
PERL

for my $t (
    ['global' => 'our $m; map_it($m); print length $m'],
    ['lexical' => 'my $m; map_it($m); print length $m'],
    ['in a closure' => 'my $m; map_it($m); our $f = sub { length $m }; print $f->()'],
    ['in a circle' => 'my $x = {}; $x->{me} = $x; $x->{m} = undef; map_it($x->{m}); print length $x->{m}'],
    ['with exit' => 'our $m; map_it($m); print length $m; exit 0'],
    ['in an object' => 'sub Obj::DESTROY { print length ${$_[0]} } our $o = do { my $m; map_it($m); bless \$m, "Obj" }'],
    ['in an END block' => 'my $m; END { map_it($m); print length $m }'],
    ['in flight' => 'our $m; map_it($m); open my $in, "<", $path; aio_read $in, 0, 10, $m, 0, sub { print length $m }'],
    ['changed at the end' => 'our $m; map_it($m); print length $m; END { eval { $m .= "x" x 10000 } }'],
) {
    my ($what, $code) = @$t;
    ours {
        fresh(8192);
        my ($status, $out, $err) = run_perl $head . $code, $path;
        is($status, 0, "mapped scalar $what: the program ends") or diag($err);
        is($out, 8192, 'and it worked until then');
    } 'crash in some';
}

{
    my $fh = fresh(8192);
    IO::AIO::mmap my $m, 8192, RW, SHARED, $fh or die "mmap: $!";
    my $got = in_child { substr($m, 0, 5) = 'child'; length $m };
    is($got, 8192, 'in a forked process');
    is(substr($m, 0, 5), 'child', 'the memory is shared');
    ours { in_child { undef $m; 1 } } 'is fine';
    is(length $m, 8192, 'unmapped there, it is still here');
}

SKIP: {
    skip 'perl without threads', 1 unless $Config{useithreads};
    for my $t (
        ['is a string in a thread' => 'my $m; map_it($m); print threads->create(sub { length($m) . substr $m, 0, 5 })->join, " ", length $m', '819212345 8192'],
        ['ends in a thread' => 'my $m; map_it($m); threads->create(sub { undef $m })->join for 1 .. 5; print length $m, substr $m, 0, 5', '819212345'],
        ['is copied in a thread' => 'my $m; map_it($m); print threads->create(sub { my $c = $m; $c .= "x"; length $c })->join', '8193'],
        ['goes while a thread has it' => <<'CODE', '8192 12345 undef'],
use Thread::Queue;
my ($go, $done) = map Thread::Queue->new, 1, 2;
my $m;
map_it($m);
my $t = threads->create(sub { $go->dequeue; length($m) . ' ' . substr $m, 0, 5 });
IO::AIO::munmap $m;
$go->enqueue(1);
print $t->join, ' ', defined $m ? 'defined' : 'undef';
CODE
        ['is made in a thread' => 'print threads->create(sub { my $m; map_it($m); length $m })->join', '8192'],
        ['is changed in a thread' => 'my $m; map_it($m); threads->create(sub { eval { substr($m, 0, 1) = "x" }; eval { $m .= "x" x 10000 }; eval { $m = "y" } })->join; print length $m', '8192'],
        ['outlives detached threads' => 'my $m; map_it($m); my @t = map threads->create(sub { length $m }), 1 .. 5; undef $m; print join " ", map $_->join, @t', '8192 8192 8192 8192 8192'],
    ) {
        my ($what, $code, $want) = @$t;
        ours {
            fresh(8192);
            my ($status, $out, $err) = run_perl "use threads;\n" . $head . $code, $path;
            is($status, 0, "a mapped scalar $what: no crash") or diag($err);
            is($out, $want, 'as it should be') or diag($err);
        } 'crash';
    }
}

done;
