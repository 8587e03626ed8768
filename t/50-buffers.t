use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Scalar::Util qw(dualvar refaddr);
use IO::AIO;

# Scalars that requests read into or write from: locked while in flight, of every kind that perl has.

{
    package Tied;
    sub TIESCALAR { my ($class, $value) = @_; bless { value => $value, log => [] }, $class }
    sub FETCH { push @{ $_[0]{log} }, 'fetch'; $_[0]{value} }
    sub STORE { push @{ $_[0]{log} }, "store $_[1]"; $_[0]{value} = $_[1] }
    package Picky;
    sub TIESCALAR { bless [] }
    sub FETCH { 'abc' }
    sub STORE { die 'refused' }
    package Itself;
    our ($scalar, $submit);
    sub TIESCALAR { bless ['before'] }
    sub FETCH { my ($self) = @_; if (my $code = $submit) { undef $submit; $code->($$scalar) } $self->[0] }
    sub STORE { $_[0][0] = $_[1] }
    package TiedHash;
    require Tie::Hash;
    our @ISA = 'Tie::StdHash';
}
use constant CONSTANT => 'constant';

my $locked = qr/Modification of a read-only value attempted at/;
our $global = '';

# Every way to change a scalar.
my %modify = (
    'assignment'        => sub { $_[0] = 'new' },
    'list assignment'   => sub { ($_[0]) = ('new', 2) },
    'append'            => sub { $_[0] .= 'x' },
    'repetition'        => sub { $_[0] x= 2 },
    'addition'          => sub { no warnings; $_[0] += 1 },
    'increment'         => sub { $_[0]++ },
    'decrement'         => sub { no warnings; --$_[0] },
    'bitwise or'        => sub { no warnings; $_[0] |= 'x' },
    'logical or'        => sub { $_[0] &&= 'x' },
    'chop'              => sub { chop $_[0] },
    'chomp'             => sub { local $/ = 't'; chomp $_[0] },
    'substitution'      => sub { $_[0] =~ s/c/x/ },
    'transliteration'   => sub { $_[0] =~ tr/a-z/A-Z/ },
    'substr'            => sub { substr $_[0], 0, 1, 'x' },
    'substr as lvalue'  => sub { substr($_[0], 0, 1) = 'x' },
    'vec'               => sub { vec($_[0], 0, 8) = 65 },
    'undef'             => sub { undef $_[0] },
    'a foreach alias'   => sub { for my $alias ($_[0]) { $alias = 'new' } },
    'a map alias'       => sub { map { $_ = 'new' } $_[0] },
    'a reference'       => sub { my $ref = \$_[0]; $$ref = 'new' },
    'sysread'           => sub { open my $fh, '<', $0 or die; sysread $fh, $_[0], 5 },
    'read'              => sub { open my $fh, '<', $0 or die; read $fh, $_[0], 5 },
    'readline'          => sub { open my $fh, '<', $0 or die; $_[0] = <$fh> },
    'sprintf'           => sub { $_[0] = sprintf '%s', 'new' },
    'utf8::encode'      => sub { utf8::encode($_[0]) },
    'read into it again' => sub { open my $fh, '<', $0 or die; aio_read $fh, 0, 1, $_[0], 0, sub { } },
);

each_engine {
    # a handle that has no descriptor leaves the data alone
    {
        open my $closed, '<', '/dev/null' or die "/dev/null: $!";
        close $closed;
        my $undef;
        croaks { aio_read $closed, 0, 5, $undef, 0, $_[0] } 'aio_read', 'a closed handle';
        is($undef, undef, 'leaves the scalar undefined');
    }

    my $file = write_file tmpdir . '/file', '0123456789';
    open my $fh, '+<', $file or die "$file: $!";

    # locked while in flight
    for my $request (qw(read write)) {
        hold;
        my $buf = 'content';
        my $free;
        my $cb = sub { $free = eval { $buf .= '!'; 1 } };
        my $req = $request eq 'read' ? aio_read $fh, 0, 4, $buf, 0, $cb : aio_write $fh, 0, 4, $buf, 0, $cb;
        for my $how (sort keys %modify) {
            next if $request eq 'write' && $how =~ /^read into/;
            eval { $modify{$how}->($buf); 1 };
            like($@, $locked, "$request: $how dies");
            $@ = '';
            $request eq 'write' && is($buf, 'content', 'the content is as it was');
        }
        is(length "<$buf>", length($buf) + 2, 'it can be looked at');
        release;
        IO::AIO::flush;
        is($free, 1, "$request: from its callback on the scalar is free");
        is($buf, $request eq 'read' ? '0123!' : 'content!', 'with the right content');
        write_file $file, '0123456789';
    }

    # until the last of several requests
    hold;
    my $data = 'data';
    my @order;
    for my $n (1 .. 3) {
        aioreq_pri(4 - $n);
        aio_write $fh, 0, undef, $data, 0, sub { push @order, $n . (eval { $data .= ''; 1 } ? ' free' : ' locked') };
    }
    release;
    IO::AIO::max_poll_reqs(1);
    wait_for { IO::AIO::npending == 3 } unless is_peer;
    ours {
        IO::AIO::poll_cb;
        ok(!eval { $data .= 'x'; 1 }, 'data that three requests write is locked after the first');
        IO::AIO::flush;
        is("@order", '1 locked 2 locked 3 free', 'until the last');
    } 'frees it too early';
    $@ = '';
    IO::AIO::max_poll_reqs(0);
    IO::AIO::flush;
    ok(eval { $data .= 'x'; 1 }, 'then it is free');

    my $undefined;
    croaks { aio_read $fh, 0, 4, $undefined, 1, sub { } } 'aio_read', 'a dataoffset beyond the end of undef';
    is($undefined, undef, 'which stays undefined');

    my $constant = 'read only';
    Internals::SvREADONLY($constant, 1);
    run_req { aio_write $fh, 0, undef, $constant, 0, $_[0] };
    ok(Internals::SvREADONLY($constant), 'data that was read-only before is so afterwards');
    write_file $file, '0123456789';

    # freed in every way that ends a request
    my $buf = 'abc';
    my $end = sub {
        my ($name, $length) = @_;
        IO::AIO::flush;
        my $ok = eval { $buf .= '!'; 1 };
        ok($ok, "free after $name");
        $@ = '';
        $buf = 'abc';
    };
    aio_read $fh, 0, 1, $buf, 0;
    $end->('a read without callback');
    aio_read 9999, 0, 1, $buf, 0, sub { };
    $end->('a read that fails');
    hold;
    my $req = aio_read $fh, 0, 1, $buf, 0, sub { };
    $req->cancel;
    release;
    $end->('a cancelled read');
    aio_read $fh, 0, 1, $buf, 0, sub { die "died\n" };
    eval { IO::AIO::flush };
    $end->('a callback that dies');
    eval { aio_read $fh, 0, 1, $buf, 99, sub { } };
    $end->('a call that croaks');
    eval { aio_read $fh, 0, 1, $buf, 0, 'no such function' };
    $@ = '';
    $end->('another one');

    # copies share nothing
    {
        my $original = 'original';
        my $copy     = $original;
        run_req { aio_read $fh, 0, 3, $copy, 0, $_[0] };
        is("$original $copy", 'original 012', 'reading into a copy');
        hold;
        $copy = 'before';
        aio_read $fh, 0, 3, $copy, 3, sub { };
        my $later = $copy;
        my %hash = ($copy => 1);
        release;
        IO::AIO::flush;
        is(substr($copy, 3), '012', 'a buffer copied while in flight');
        is(substr($later, 0, 3), 'bef', 'its copy');
        $later .= '!';
        is(substr($copy, 3), '012', 'both are their own');
        my %keys = (key => 1);
        my ($key) = keys %keys;
        run_req { aio_read $fh, 0, 3, $key, 0, $_[0] };
        is($key . join('', keys %keys), '012key', 'reading into a copy of a hash key');
        for my $alias (keys %keys) { run_req { aio_read $fh, 0, 3, $alias, 0, $_[0] } }
        is(join('', keys %keys), 'key', 'or an alias of one');
        my @same = ('same') x 3;
        run_req { aio_read $fh, 0, 3, $same[1], 0, $_[0] };
        is("@same", 'same 012 same', 'of equal strings only one changes');
    }

    # kinds of buffers: how to call, what to see afterwards
    my (%hash, @array, %tied_hash);
    tie my $tied, 'Tied', 'abc';
    tie %tied_hash, 'TiedHash';
    my $ook = 'xxxxabc';
    $ook =~ s/^xxxx//;
    my $target = 'abcdefgh';
    my $number = 12345;
    my $pos    = 'aaa';
    $pos =~ /a/g;
    my $dual = dualvar(5, 'five');
    my $ref  = [];
    my $env  = 'AIOTEST_BUFFER';
    my %kind = (
        'undef'                 => [sub { $hash{u} = undef; aio_read $fh, 0, 3, $hash{u}, 0, $_[0] }, sub { $hash{u} }, '012'],
        'a new hash element'    => [sub { aio_read $fh, 0, 3, $hash{new}, 0, $_[0] }, sub { $hash{new} }, '012'],
        'a deep new element'    => [sub { aio_read $fh, 0, 3, $hash{a}{b}[2], 0, $_[0] }, sub { $hash{a}{b}[2] }, '012'],
        'a new array element'   => [sub { aio_read $fh, 0, 3, $array[3], 0, $_[0] }, sub { $array[3] }, '012'],
        'a package variable'    => [sub { aio_read $fh, 0, 3, $global, 0, $_[0] }, sub { $global }, '012'],
        'a string with offset'  => [sub { aio_read $fh, 0, 3, $ook, 1, $_[0] }, sub { $ook }, 'a012'],
        'a substr'              => [sub { aio_read $fh, 0, 3, substr($target, 2, 3), 0, $_[0] }, sub { $target }, 'ab012fgh'],
        'a number'              => [sub { aio_read $fh, 0, 3, $number, 2, $_[0] }, sub { $number }, '12012'],
        'a dual value'          => [sub { aio_read $fh, 0, 3, $dual, 0, $_[0] }, sub { $dual + 0 }, 12],
        'a reference'           => [sub { aio_read $fh, 0, 3, $ref, 0, $_[0] }, sub { $ref }, '012'],
        'a string with pos'     => [sub { aio_read $fh, 0, 3, $pos, 0, $_[0] }, sub { $pos }, '012'],
        'a tied scalar'         => [sub { aio_read $fh, 0, 3, $tied, 1, $_[0] }, sub { $tied }, 'a012'],
        'a tied hash element'   => [sub { aio_read $fh, 0, 3, $tied_hash{x}, 0, $_[0] }, sub { $tied_hash{x} }, '012'],
        'an environment variable' => [sub { aio_read $fh, 0, 3, $ENV{$env}, 0, $_[0] }, sub { open my $child, '-|', $^X, '-e', 'print $ENV{+shift}', $env or die "$^X: $!"; <$child> }, '012'],
        'a foreach variable'    => [sub { for my $x ($hash{loop}) { aio_read $fh, 0, 3, $x, 0, $_[0] } }, sub { $hash{loop} }, '012'],
        'a chained assignment'  => [sub { aio_read $fh, 0, 3, ($hash{c} = 'abc'), 1, $_[0] }, sub { $hash{c} }, 'a012'],
        'a dereference'         => [sub { my $r = \$hash{d}; aio_read $fh, 0, 3, $$r, 0, $_[0] }, sub { $hash{d} }, '012'],
    );
    for my $kind (sort keys %kind) {
        my ($call, $see, $want) = @{ $kind{$kind} };
        my $test = sub { &run_req($call); is($see->(), $want, "read into $kind") };
        $kind =~ /element|substr|tied|environment|foreach/ ? &ours($test, 'crash') : $test->();
    }
    ours {
        is((grep /^store/, @{ (tied $tied)->{log} }), 1, 'a tied scalar is stored once');
    } 'crash';

    # what cannot be a buffer
    no warnings;
    my %not = (
        'a literal'         => sub { aio_read $fh, 0, 3, 'literal', 0, sub { } },
        'a number'          => sub { aio_read $fh, 0, 3, 17, 0, sub { } },
        'undef'             => sub { aio_read $fh, 0, 3, undef, 0, sub { } },
        'a constant'        => sub { aio_read $fh, 0, 3, CONSTANT, 0, sub { } },
        'a read-only scalar' => sub { aio_read $fh, 0, 3, $constant, 0, sub { } },
        'an alias of a literal' => sub { for my $x ('literal') { aio_read $fh, 0, 3, $x, 0, sub { } } },
    );
    for my $kind (sort keys %not) {
        ours {
            croaks { $not{$kind}->() } qr/aio_read|read-only/, "read into $kind croaks";
        } 'overwrites it';
    }
    is(CONSTANT . $constant, 'constantread only', 'constants are as they were');

    # scalars that go away while in flight: all that is asked is that nothing crashes
    hold;
    my (@gone, %gone, $gone);
    aio_read $fh, 0, 3, $gone[$_], 0, sub { } for 0 .. 5;
    aio_read $fh, 0, 3, $gone{$_}, 0, sub { } for 'a' .. 'd';
    shift @gone;
    pop @gone;
    splice @gone, 1, 1;
    delete $gone{a};
    %gone = ();
    undef @gone;
    { my $lexical = 'x' x 10; aio_read $fh, 0, 3, $lexical, 2, sub { } }
    sub { aio_read $fh, 0, 3, my $inner, 0, sub { } }->();
    my $anonymous = \do { my $x = 'abc' };
    aio_read $fh, 0, 3, $$anonymous, 0, sub { };
    undef $anonymous;
    { local $global = 'local'; aio_read $fh, 0, 3, $global, 0, sub { } }
    aio_read $fh, 0, 3, "temporary $file", 0, sub { } if is_peer;
    { local $hash{x} = 'local'; aio_read $fh, 0, 3, $hash{x}, 0, sub { } }
    aio_write $fh, 0, undef, "temporary $file", 0, sub { };
    my $kept;
    { my $lexical = 'abc'; $kept = \$lexical; aio_read $fh, 0, 3, $lexical, 0, sub { } }
    eval { $$kept .= 'x'; 1 } and fail('a scalar that is kept by reference is locked');
    $@ = '';
    release;
    IO::AIO::flush;
    like($$kept, qr/^...\z/, 'scalars that go away while in flight');
    write_file $file, '0123456789';
    eval { aio_read $fh, 0, 3, "temporary $file", 0, sub { }; 1 };
    eval { aio_read $fh, 0, 3, join(',', 1, 2), 0, sub { }; 1 };
    $@ = '';
    IO::AIO::flush;
    pass('a temporary works or croaks');

    # growing and shrinking
    $buf = '';
    for my $length (1, 15, 16, 17, 4095, 4096, 100_000, 3, 0) {
        run_req { aio_read $fh, 0, $length, $buf, 0, $_[0] };
        is($buf, substr('0123456789', 0, $length), "length $length");
        $buf .= 'tail';
        is(substr($buf, -4), 'tail', 'a good string');
    }
    ours {
        for my $length (2**46, 2**61, 2**62, 2**63 - 1024) {
            $buf = 'abc';
            fails_with { aio_read $fh, 0, $length, $buf, 3, $_[0] } 'ENOMEM EINVAL', "length $length: ENOMEM";
            is($buf, 'abc', 'the buffer ends at dataoffset');
        }
    } 'crash';

    ours {
        croaks { aio_read $fh, 0, 3, *STDOUT, 0, sub { } } 'aio_read', 'read into a glob croaks';
        is(fileno STDOUT, 1, 'and it is as it was');
        'abc' =~ /(b)/;
        croaks { aio_read $fh, 0, 3, $1, 0, sub { } } 'aio_read', 'read into a match variable croaks';
    } 'crash';
    ours {
        my ($called, @got, @warning) = (0);
        tie my $picky, 'Picky';
        aio_read $fh, 0, 3, $picky, 0, sub { @got = ($_[0], $!{EFAULT} ? 'EFAULT' : $!) };
        aio_nop sub { $called++ };
        local $@ = 'as it was';
        local $SIG{__WARN__} = sub { push @warning, @_ };
        IO::AIO::flush;
        is("@got", '-1 EFAULT', 'a tied scalar that dies when stored: the callback has an error');
        is(scalar @warning, 1, 'and there is a warning');
        like($warning[0], qr/refused at/, 'with the exception');
        is($@, 'as it was', 'which is not seen otherwise');
        is($called, 1, 'other requests are called back');
    } 'crash';

    # A tied scalar does not look like one while its FETCH runs.
    {
        my @got;
        local $Itself::submit = sub { aio_read $fh, 0, 3, $_[0], 0, sub { push @got, $_[0] } };
        tie my $itself, 'Itself';
        $Itself::scalar = \$itself;
        my $value = eval { "$itself" };
        IO::AIO::flush;
        is($value, 'before', 'a tied scalar whose FETCH reads into it can be fetched') or diag $@;
        is("@got $itself", '3 012', '... and gets what was read');
        undef $Itself::scalar;
    }

    # What perl changes also in a read-only scalar can give it another string, which the lock does not protect.
    ours {
        my ($data, $path) = ("f\xefrst", tmpdir . "/replaced-" . engine);
        open my $fh, '+>', $path or die "$path: $!";
        hold;
        aio_write $fh, 0, 5, $data, 0;
        utf8::upgrade($data);
        croaks { aio_read $fh, 0, 5, $data, 0 } qr/read-only/, 'a scalar in use that has got another string: read';
        croaks { aio_ioctl $fh, 0x541b, $data } qr/read-only/, 'ioctl';
        aio_write $fh, 5, 5, $data, 0;
        Internals::SvREADONLY($data, 0);
        my $changed = eval { $data =~ tr/a-z/A-Z/; 1 }; # in place
        ok($] >= 5.022 ? !$changed : $changed, 'Perl code cannot unlock it, where perl has a flag for that');
        release;
        IO::AIO::flush;
        is(read_file($path), "f\xefrst" x 2, 'what is written is a copy');
        ok(eval { $data = 'changed' }, 'and then it is unlocked');

      SKIP: {
            skip 'this perl has one flag for both', 2 if $] < 5.022;
            hold;
            aio_read $fh, 0, 5, $data, 0;
            Internals::SvREADONLY($data, 1);
            release;
            IO::AIO::flush;
            is($data, "f\xefrst", 'a scalar that is made read-only in flight is read into');
            croaks { $data = 'changed' } qr/read-only/, 'and stays so afterwards';
        }

        my @got;
        IO::AIO::mmap my $mapped, 10, IO::AIO::PROT_READ() | IO::AIO::PROT_WRITE(), IO::AIO::MAP_SHARED(), $fh or die "mmap: $!";
        hold;
        aio_write $fh, 10, 10, $mapped, 0, sub { @got = @_ };
        Internals::SvREADONLY($mapped, 0);
        eval { undef $mapped };
        release;
        IO::AIO::flush;
        is("@got", '10', 'a mapping in use that is undefined stays until it is written');
        is(read_file($path), "f\xefrst" x 4, 'with its data');
        undef $mapped;
    } 'uses memory that is gone';
};

done;
