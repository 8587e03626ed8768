use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use B ();
use Config;
use IO::AIO;

# Every name of the interface against a table of facts: defined, prototype, export class, and for constants
# the value. Values are compared where the table was made (Linux x86_64, glibc); an older C library may lack some.

my $table = "$FindBin::Bin/lib/symbols.txt";
open my $fh, '<', $table or die "$table: $!";
my @facts;
while (<$fh>) {
    next if /^#/;
    /^([EO-]) (\w+) \((\S*)\)(?: (\S+))?$/ or die "$table: line $.: $_";
    push @facts, { class => $1, name => $2, proto => $3, value => $4 };
}
close $fh;
is(scalar @facts, 474, 'names in the table');
is(scalar(grep defined $_->{value}, @facts), 333, 'constants in the table');

my $native = $^O eq 'linux' && $Config{archname} =~ /^x86_64/ && $Config{ptrsize} == 8;
my ($glibc) = ($Config{gnulibc_version} || 0) =~ /^(?:2\.)?(\d+)/;
my $exact = $native && $glibc >= 36;

my %default  = map { $_ => 1 } @IO::AIO::EXPORT;
my %optional = map { $_ => 1 } @IO::AIO::EXPORT_OK;

# All facts about one name that are wrong.
sub wrong {
    my ($f) = @_;
    my $name = $f->{name};
    my $sub  = do { no strict 'refs'; defined &{"IO::AIO::$name"} ? \&{"IO::AIO::$name"} : undef };
    return 'not defined' unless $sub;

    my @wrong;
    my $proto = prototype $sub;
    push @wrong, 'prototype ' . (defined $proto ? "($proto)" : 'none') . ", not ($f->{proto})"
        unless defined $proto && $proto eq $f->{proto};
    my $class = $default{$name} ? 'E' : $optional{$name} ? 'O' : '-';
    push @wrong, "export class $class, not $f->{class}" if $class ne $f->{class};
    push @wrong, wrong_value($sub, $f->{value}) if defined $f->{value};
    @wrong;
}

sub wrong_value {
    my ($sub, $want) = @_;
    my @got = $sub->();
    return scalar(@got) . ' values' if @got != 1;
    my ($got) = @got;
    return ref $got eq $want ? () : "not an object of $want" if $want =~ /::/;
    return 'no integer' unless defined $got && $got =~ /^-?\d+$/ && B::svref_2object(\$got)->FLAGS & B::SVf_IOK;
    return if !$native || $got eq $want || !$exact && $got eq '0';
    return if $want < 0 && $got == $want + 2**32; # MS_NOUSER is unsigned in newer C libraries
    "value $got, not $want";
}

for my $f (@facts) {
    my @wrong = wrong($f);
    is(join('; ', @wrong), '', $f->{name});
}

# constants are constants for the compiler, too
my @called = grep !(B::svref_2object(IO::AIO->can($_))->CvFLAGS & B::CVf_CONST()),
    map $_->{name}, grep { defined $_->{value} && $_->{value} !~ /::/ } @facts;
is("@called", '', 'constants are inlined');

# both objects are always the same
is(IO::AIO::CWD(), IO::AIO::CWD(), 'CWD is one object');
is(IO::AIO::INVALID_WD(), IO::AIO::INVALID_WD(), 'INVALID_WD is one object');
isnt(IO::AIO::CWD(), IO::AIO::INVALID_WD(), 'another one');

# what can be imported
{
    package Client;
    ::ok(eval { IO::AIO->import; 1 }, 'default import');
    my @got = grep Client->can($_), map $_->{name}, @facts;
    ::is("@got", join(' ', map $_->{name}, grep $_->{class} eq 'E', @facts), 'gives the names of class E');
    my @optional = map $_->{name}, grep $_->{class} eq 'O', @facts;
    ::ok(eval { IO::AIO->import(@optional); 1 }, 'import on demand');
    ::is(join(' ', grep !Client->can($_), @optional), '', 'gives the names of class O');
    ::ok(!eval { local $SIG{__WARN__} = sub { }; IO::AIO->import('O_RDONLY'); 1 }, 'constants only by full names');
}

# Programs may have functions of their own with any name that 4.80 does not export: what is newer comes on
# request, by name or by the tag.
is(join(' ', sort @IO::AIO::EXPORT), join(' ', sort map $_->{name}, grep $_->{class} eq 'E', @facts),
    'nothing but class E is exported by default');
ours {
    my %known = map { $_->{name} => 1 } @facts;
    my %more  = map { $_ => 1 } @{ $IO::AIO::EXPORT_TAGS{more} };
    my @newer = grep !$known{$_}, keys %optional, grep /^aio_/, @IO::AIO::AIO_REQ;
    is(join(' ', sort keys %more), join(' ', sort keys %{ { map { $_ => 1 } @newer } }), ':more is what 4.80 has not');
    is(join(' ', grep !$optional{$_}, sort keys %more), '', 'and all of it can be imported by name');
    ok(eval q{package Newer; IO::AIO->import(':more'); 1}, 'import of :more') or diag($@);
    is(join(' ', grep !Newer->can($_), sort keys %more), '', 'gives them');
    is(join(' ', grep !$more{$_} && !$known{$_}, grep defined &{"IO::AIO::$_"} && /^aio_/, sort keys %IO::AIO::), '',
        'each request that 4.80 has not is marked ON_REQUEST');
} 'has nothing newer';
for my $name (sort keys %default, keys %optional) {
    ok(IO::AIO->can($name), "exported $name exists") or diag('no such function');
}

# the requests, for those who wrap them all
my %request = map { $_ => 1 } @IO::AIO::AIO_REQ;
is(join(' ', grep { $_->{name} =~ /^aio_/ && !$request{ $_->{name} } } @facts), '', '@AIO_REQ has all of them');
for my $name (sort keys %request) {
    my $proto = prototype "IO::AIO::$name";
    like(defined $proto ? $proto : 'none', qr/^[\$;]*\$[\$;]*$/, "$name has a prototype of scalars, the last one the callback");
}

# constants that the C library and perl know as well
{
    require Fcntl;
    require POSIX;
    my %same = map { $_ => 1 } @Fcntl::EXPORT, @Fcntl::EXPORT_OK;
    my $n = 0;
    for my $f (grep defined $_->{value}, @facts) {
        next unless $same{ $f->{name} };
        my $value = eval { no strict 'refs'; &{"Fcntl::$f->{name}"}() };
        next unless defined $value;
        is(IO::AIO->can($f->{name})->(), $value, "$f->{name} is Fcntl's");
        $n++;
    }
    cmp_ok($n, '>', 20, 'some are known to Fcntl');
}
is(IO::AIO::PAGESIZE(), POSIX::sysconf(POSIX::_SC_PAGESIZE()), 'PAGESIZE');
is(IO::AIO::ENOSYS(), POSIX::ENOSYS(), 'ENOSYS');
is(IO::AIO::EXDEV(),  POSIX::EXDEV(),  'EXDEV');

done;
