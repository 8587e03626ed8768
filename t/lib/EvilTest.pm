package EvilTest;

# What can stand where an argument belongs: every function of the overview in the manual whose arguments are of the kinds
# below, with arguments that are right,
# and what programs (or those who want to crash them) put in the place of one of them. For t/55-evil.t.

use strict;
use warnings;

use Exporter 'import';
use Fcntl qw(:DEFAULT);
use IO::Socket::UNIX;
use Scalar::Util qw(dualvar);
use Socket;
use IO::AIO;

our @EXPORT = qw(functions evils set_up arguments @x @junk %count);

our @x;        # the arguments of the call: its stack has the only references to them
our @junk;     # what takes the place of what is freed
our %count;    # FETCHes and calls of overloaded operators

# ---- functions -----------------------------------------------------------------------------------

# Kinds of arguments by their name in the manual.
my %kind = (
    (map { $_ => 'handle' } qw(fh out_fh in_fh fh_or_path pidfd)),
    listen_fh => 'listener',
    (map { $_ => 'path' } qw(pathname old new source target text)),
    (map { $_ => 'string' } qw(name type)),
    (map { $_ => 'filled' } qw(data sockaddr)),
    (map { $_ => 'scalar' } qw(scalar)),
    (map { $_ => 'callback' } qw(callback code)),
    (map { $_ => 'number' } qw(
        offset length dataoffset whence in_offset out_offset start flags count mode uid gid atime mtime dev maxreq
        command seconds priority decrement number threads major minor mask prot address new_length advice bytes maxlen
        value clock interval resolve pid signal limit operation
    )),
    argument => 'argument', argv => 'list', envp => 'list', strings => 'list', lengths => 'numbers', info => 'hash',
    requests => 'request', values => 'string',
    errno => 'number', req => 'request', grp => 'group',
);

# Arguments that do no harm and let the call come as far as possible, where the kind alone does not say.
my %default = (
    command => 1, whence => 1, clock => 1, prot => 3, mode => 0100600, count => 1, pid => $$, seconds => 0,
    'mmap flags' => 2, 'mmap length' => 10, 'accept4 maxlen' => 100, 'mlockall flags' => 0, 'aio_slurp length' => 2,
    'aio_read length' => 2, 'statx mask' => 1, 'max_parallel threads' => 8, 'min_parallel threads' => 8, 'signal' => 0,
    map { ("$_ pathname" => 'file') } qw(aio_load aio_slurp aio_open statx),
);

# Without arguments, or they would wait, write to the disk, or end the program; or some are words.
my %skip = map { $_ => 1 } qw(aio_sync aio_close_range aio_syncfs IO::AIO::engine IO::AIO::class);

# [name, code, parameters without $] of all that has an argument.
sub functions {
    my ($manual) = @_;
    my ($overview) = $manual =~ /^=head1 OVERVIEW\n(.*?)^=head1/ms or die 'no overview';
    my @functions;

    for (grep /^    /, split /\n/, $overview) {
        my ($name, $rest) = /^    (?:[^=]* = )?(\$\w+->\w+|[\w:]+)(.*)/ or next;
        $rest =~ s/->\(.*?\)//;
        my @parameters = $rest =~ /[\$\@](\w+)/g;
        my $code;
        if ($name =~ /^\$(\w+)->(\w+)/) {
            $code = ($1 eq 'grp' ? 'IO::AIO::GRP' : 'IO::AIO::REQ')->can($2);
            unshift @parameters, $1;
        } else {
            $code = IO::AIO->can($name =~ s/^IO::AIO:://r);
        }
        next if !$code || !@parameters || $skip{$name} || grep !$kind{$_}, @parameters;
        push @functions, [$name, $code, @parameters];
    }
    return @functions;
}

our ($wd, $listener, $path);

# In a directory of its own, which is the current one.
sub set_up {
    open my $fh, '>', 'file' or die "file: $!";
    print $fh 'x' x 100;
    open STDIN, '+<', 'file' or die "file: $!";    # it is among the handles, as 0 is: /dev/null's mode and times are not ours
    mkdir 'dir' or die "dir: $!";
    $path = 0;
    aio_wd('.', sub { $wd = shift });
    IO::AIO::flush();
    $listener ||= IO::Socket::UNIX->new(Local => 'socket', Listen => 1, Blocking => 0) or die "socket: $!";
}

sub argument {
    my ($name, $parameter) = @_;
    my $kind = $kind{$parameter} or die "$name: of what kind is $parameter?\n";
    (my $short = $name) =~ s/^IO::AIO:://;
    for ("$short $parameter", $parameter) {
        return $default{$_} if exists $default{$_};
    }
    if ($kind eq 'handle') {
        chmod 0600, 'file';    # some take that from who is not root
        open my $fh, '+<', 'file' or die "file: $!";
        return $fh;
    }
    return $listener if $kind eq 'listener';
    return 'none' . ++$path if $kind eq 'path' || $kind eq 'string';
    return 'x' x 200 if $kind eq 'filled' || $kind eq 'scalar';
    return sub { } if $kind eq 'callback';
    return ['a', 'b'] if $kind eq 'list';
    return [1, 2] if $kind eq 'numbers';
    return { code => -1 } if $kind eq 'hash';
    return scalar aio_nop() if $kind eq 'request';
    return scalar aio_group() if $kind eq 'group';
    return 0;
}

# Fills @x; returns the kinds.
sub arguments {
    my ($name, @parameters) = @_;
    @x = ();
    push @x, scalar argument($name, $_) for @parameters;
    return map $kind{$_}, @parameters;
}

# ---- evil ----------------------------------------------------------------------------------------

sub free_others { @x = (); @junk = map 'z' x 100, 1 .. 50 }
sub change_others { $_ = "\x{100}changed" for grep !defined || !ref, @x; free_others() }
sub poll { local $@; eval { aio_nop(); IO::AIO::flush() } }
sub close_others { close $_ for grep ref eq 'GLOB', @x }

{
    package EvilTest::Tied;
    sub TIESCALAR { my ($class, @self) = @_; bless \@self, $class }
    sub FETCH     { my ($self) = @_; $EvilTest::count{FETCH}++; $self->[1]->($self) if $self->[1]; $self->[0] }
    sub STORE     { $EvilTest::count{STORE}++ }

    package EvilTest::TiedArray;
    sub TIEARRAY  { my ($class, @self) = @_; bless \@self, $class }
    sub FETCHSIZE { EvilTest::free_others(); scalar @{ $_[0] } }
    sub FETCH     { EvilTest::free_others(); $_[0][$_[1]] }

    package EvilTest::Plain;

    package EvilTest::Object;
    sub value { my ($self) = @_; $EvilTest::count{call}++; $self->{code}->($self) if $self->{code}; $self->{value} }
    use overload
        (map { $_ => \&value } qw(0+ "" bool)),
        '*{}' => sub { my $v = &value; ref $v eq 'GLOB' ? $v : \*EvilTest::NOWHERE },
        '&{}' => sub { my $v = &value; ref $v eq 'CODE' ? $v : sub { } };

    package EvilTest::Itself;
    use overload map { $_ => sub { $EvilTest::count{call}++; $_[0] } } qw(0+ "" bool *{} &{});

    package EvilTest::Other;
    use overload (map { $_ => sub { [] } } qw(0+ "" bool)), '*{}' => sub { \1 }, '&{}' => sub { \1 };

    package EvilTest::Chain;
    use overload map { $_ => sub { bless [] } } qw(0+ "" bool);

    package EvilTest::Dies;
    use overload map { $_ => sub { die "evil\n" } } qw(0+ "" bool *{} &{});

    package EvilTest::Code;
    use overload '&{}' => sub { $EvilTest::count{call}++; sub { $EvilTest::count{right}++ } };
}

sub object { my ($value, $code) = @_; bless { value => $value, code => $code }, 'EvilTest::Object' }

my $closed = do { open my $fh, '<', '/dev/null' or die; close $fh; $fh };
my %shared = ('0 shared' => 1);
my $long   = 'c' x 2000;
my $nan    = 9**9**9 / 9**9**9;

# What can be assigned: name => sub that gets the value that would be right.
my @values = (
    undef => sub { undef }, empty => sub { '' }, text => sub { 'text' }, '12abc' => sub { '0abc' },
    wide => sub { "\x{100}" }, upgraded => sub { my $s = "\xe9"; utf8::upgrade($s); $s }, nul => sub { "a\0b" },
    'reference' => sub { \'string' }, array => sub { [] }, hash => sub { {} }, code => sub { sub { } },
    regexp => sub { qr/x/ }, 'reference to itself' => sub { my $r; \$r }, globref => sub { \*NOWHERE }, glob => sub { *NOWHERE },
    'IO slot' => sub { *STDIN{IO} }, 'closed handle' => sub { $closed }, format => sub { \$long },
    '-1' => sub { -1 }, '-2**63' => sub { -2**63 }, '2**63' => sub { 2**63 }, '2**64' => sub { 2**64 }, '2**64-1' => sub { ~0 },
    '1e30' => sub { 1e30 }, inf => sub { 9**9**9 }, '-inf' => sub { -9**9**9 }, nan => sub { $nan }, '"nan"' => sub { 'nan' },
    '"1e30"' => sub { '1e30' }, fraction => sub { 0.5 }, dualvar => sub { dualvar 0, 'dual' }, vstring => sub { v1.2.3 },
    'shared key' => sub { (keys %shared)[0] }, 'copy on write' => sub { my $s = $long; $s },
    'plain object' => sub { bless {}, 'EvilTest::Plain' }, 'plain code object' => sub { bless sub { }, 'EvilTest::Plain' },
    'overloaded' => sub { object($_[0]) }, 'overloaded, frees' => sub { object($_[0], \&free_others) },
    'overloaded, changes' => sub { object($_[0], \&change_others) }, 'overloaded, closes' => sub { object($_[0], \&close_others) },
    'overloaded, polls' => sub { object($_[0], \&poll) }, 'overloaded, undef' => sub { object(undef) },
    'overloaded twice' => sub { object(object($_[0])) }, 'overloaded itself' => sub { bless {}, 'EvilTest::Itself' },
    'overloaded glob itself' => sub { open my $fh, '<', 'file' or die; bless $fh, 'EvilTest::Itself' },
    'overloaded code itself' => sub { bless sub { }, 'EvilTest::Itself' },
    'overloaded reference' => sub { bless [], 'EvilTest::Other' }, 'overloaded without end' => sub { bless [], 'EvilTest::Chain' },
    'overloaded, dies' => sub { bless [], 'EvilTest::Dies' }, 'overloaded code' => sub { bless sub { }, 'EvilTest::Code' },
    'one element' => sub { [$wd] }, 'pair' => sub { [$wd, 'none'] }, 'pair, wide' => sub { [$wd, "\x{100}"] },
    'pair, undef' => sub { [undef, 'none'] }, 'pair, no directory' => sub { ['x', 'y'] },
    'pair, tied name' => sub { my @p = ($wd, undef); tie $p[1], 'EvilTest::Tied', 'none', \&free_others; \@p },
    'pair, tied name drops it' => sub {
        my $p = [$wd, undef];
        tie $p->[1], 'EvilTest::Tied', 'none', sub { @$p = (); free_others() };
        $p;
    },
    'pair, tied directory drops it' => sub {
        my $p = [undef, 'none'];
        tie $p->[0], 'EvilTest::Tied', $wd, sub { @$p = (); free_others() };
        $p;
    },
    'pair, overloaded name' => sub { my $p = [$wd]; $p->[1] = object('none', sub { $p->[0] = 1; free_others() }); $p },
    'tied pair' => sub { tie my @p, 'EvilTest::TiedArray', $wd, 'none'; \@p },
    'directory' => sub { $wd }, 'invalid directory' => sub { IO::AIO::INVALID_WD() },
);

# What must be the argument itself: name => sub that gets its index and the value that would be right.
my @places = (
    'tied'               => sub { tie $x[$_[0]], 'EvilTest::Tied', $_[1] },
    'tied, undef'        => sub { tie $x[$_[0]], 'EvilTest::Tied', undef },
    'tied, frees'        => sub { tie $x[$_[0]], 'EvilTest::Tied', $_[1], \&free_others },
    'tied, changes'      => sub { tie $x[$_[0]], 'EvilTest::Tied', $_[1], \&change_others },
    'tied, closes'       => sub { tie $x[$_[0]], 'EvilTest::Tied', $_[1], \&close_others },
    'tied, polls'        => sub { tie $x[$_[0]], 'EvilTest::Tied', $_[1], \&poll },
    'tied, dies'         => sub { tie $x[$_[0]], 'EvilTest::Tied', $_[1], sub { die "evil\n" } },
    'tied, unties'       => sub { my $n = $_[0]; tie $x[$n], 'EvilTest::Tied', $_[1], sub { untie $x[$n] } },
    'tied to an object'  => sub { tie $x[$_[0]], 'EvilTest::Tied', object($_[1], \&free_others) },
    'read-only'          => sub { Internals::SvREADONLY($x[$_[0]], 1) },
    'mapped'             => sub { $x[$_[0]] = ''; IO::AIO::mmap($x[$_[0]], 10, 1, 2, do { open my $fh, '<', $INC{'EvilTest.pm'}; $fh }) },
);

# Calls with something else in place of argument $n.
my @aliases = (
    'match variable' => sub { my ($f, $n) = @_; '0' =~ /(.)/; &$f(@x[0 .. $n - 1], $1, @x[$n + 1 .. $#x]) },
    'substr' => sub { my ($f, $n) = @_; my $s = '1023'; &$f(@x[0 .. $n - 1], substr($s, 1, 1), @x[$n + 1 .. $#x]) },
    'vec' => sub { my ($f, $n) = @_; my $s = "1\0\2"; &$f(@x[0 .. $n - 1], vec($s, 1, 8), @x[$n + 1 .. $#x]) },
    'pos' => sub { my ($f, $n) = @_; my $s = '0123'; &$f(@x[0 .. $n - 1], pos $s, @x[$n + 1 .. $#x]) },
    'no element' => sub { my ($f, $n) = @_; my @s; &$f(@x[0 .. $n - 1], $s[5], @x[$n + 1 .. $#x]) },
    'no member' => sub { my ($f, $n) = @_; my %s; &$f(@x[0 .. $n - 1], $s{none}, @x[$n + 1 .. $#x]) },
    'literal' => sub { my ($f, $n) = @_; &$f(@x[0 .. $n - 1], 0, @x[$n + 1 .. $#x]) },
    'literal undef' => sub { my ($f, $n) = @_; &$f(@x[0 .. $n - 1], undef, @x[$n + 1 .. $#x]) },
    '$!' => sub { my ($f, $n) = @_; local $! = 0; &$f(@x[0 .. $n - 1], $!, @x[$n + 1 .. $#x]) },
    'the same twice' => sub { my ($f, $n) = @_; &$f(@x[0 .. $n - 1], $x[$n - 1], @x[$n + 1 .. $#x]) },
);

# [name, sub that makes the call with argument $n of @x in that way]
sub evils {
    my @evils;
    my $plain = sub { my ($f) = @_; &$f(@x) };
    for (pairs_of(@values)) {
        my ($name, $value) = @$_;
        push @evils, [$name, sub { my ($f, $n) = @_; $x[$n] = $value->($x[$n]); &$f(@x) }];
        push @evils, ["$name, a warning frees", sub { my ($f, $n) = @_; $x[$n] = $value->($x[$n]); local $SIG{__WARN__} = \&free_others; &$f(@x) }]
            if $name =~ /^(?:undef|empty|text|12abc|glob|dualvar|vstring)$/;
    }
    push @evils, map { my ($name, $set) = @$_; [$name, sub { my ($f, $n) = @_; $set->($n, $x[$n]); &$f(@x) }] } pairs_of(@places);
    push @evils, pairs_of(@aliases);
    return @evils;
}

sub pairs_of { map [@_[2 * $_, 2 * $_ + 1]], 0 .. $#_ / 2 }

1;
