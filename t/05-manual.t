use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use B ();
use Cwd ();
use File::Glob qw(bsd_glob);
use File::Spec;
use IO::AIO;

# The manual: its examples run and print what it says they print; each function has an entry and each entry
# a function, whose arguments are as many as the prototype says; and the overview has what the entries have.
# The first program of README.md runs as well, and, of extended tests, the examples of the modules beside.
#
#   =for example begin NAME [needs WORD...]   then verbatim blocks: a program, run in a directory that has
#                                             data.txt and tree/; needs a module, a CONSTANT, an $ENVIRONMENT or a
#                                             +FEATURE of the build (libeio/probes.txt)
#   =for example output                       then verbatim blocks: all that it prints
#   =for example end
#
# usage: t/05-manual.t [file with the manual, default AIO.pm]

my $file = shift || "$FindBin::Bin/../AIO.pm";
my ($examples, $entries, $overview) = read_manual($file);

# ---- entries -------------------------------------------------------------------------------------

# Functions that belong to the package: those it defines itself, but for constants and private ones.
my %function = map { $_ => 1 } grep { is_function($_) } keys %IO::AIO::;
my %method = (
    req => [qw(cancel cb progress timeout)],
    grp => [qw(add cancel_subs errno feed limit result)],
);

for my $name (sort keys %$entries) {
    my @signatures = @{ $entries->{$name} };
    next if $name =~ /^(?:CWD|INVALID_WD|stx_fields)$/;
    ok(@signatures > 0, "$name has a signature");
    ok(!grep(!$overview->{$_}, @signatures), "$name is in the overview as in its entry")
        or diag(grep !$overview->{$_}, map "$_\n", @signatures);
}
my %signature = map { $_ => 1 } map @$_, values %$entries;
is(join("\n", grep !$signature{$_}, sort keys %$overview), '', 'the overview has nothing else');

for my $name (sort keys %function) {
    if ($name =~ /^stx_/) {
        like("@{ $entries->{'stx_...'} || [] } @{ $entries->{stx_fields} }", qr/\b$name\b/, "$name is in the table");
        is(prototype("IO::AIO::$name"), '', "$name takes no argument");
        next;
    }
    my $signatures = $entries->{$name};
    ok($signatures, "$name has an entry") or next;
    is(scalar(grep fits($name, $_), @$signatures), 1, "$name: the arguments fit the prototype")
        or diag("@$signatures", " - ", prototype "IO::AIO::$name");
}
for my $kind (sort keys %method) {
    for my $name (@{ $method{$kind} }) {
        ok(delete $entries->{"\$$kind->$name"}, "method $name has an entry");
        can_ok($kind eq 'req' ? 'IO::AIO::REQ' : 'IO::AIO::GRP', $name);
    }
}
delete @$entries{qw(CWD INVALID_WD stx_... stx_fields)};
is(join(' ', grep !$function{$_}, sort keys %$entries), '', 'each entry has a function');

# ---- examples ------------------------------------------------------------------------------------

cmp_ok(@$examples, '>', 40, 'examples were found');
my ($first) = read_file("$FindBin::Bin/../README.md") =~ /^((?:    use IO::AIO;\n)(?:(?:    .*)?\n)+)/m;
ok($first, 'README.md has a program') or $first = '';
push @$examples, map @{ (read_manual($_))[0] }, bsd_glob("$FindBin::Bin/../{Coro/AIO.pm,Future/AIO.pm,Future/*/*/*.pm,IO/AIO/*.pod,IO/AIO/Lines.pm}") if extended && !is_peer;
push @$examples, { name => 'README', needs => [], code => $first =~ s/^    //mgr };
my %seen;
is(join(' ', grep $seen{$_}++, map $_->{name}, @$examples), '', 'each has a name of its own');

@INC = map { ref $_ ? $_ : File::Spec->rel2abs($_) } @INC;
my $start = Cwd::getcwd();
my %have;
usual_engine {
    my ($engine) = @_;
    for my $example (@$examples) {
        my $name = $example->{name};
      SKIP: {
            my @missing = grep !have($_), @{ $example->{needs} };
            skip "$name: no @missing here", 1 if @missing;
            skip "$name: the peer has no engines", 1 if is_peer && $name eq 'engine';
            my ($status, $out, $err) = run_example($example->{code});
            my $ok = $status == 0 && $err eq '' && (!defined $example->{output} || $out eq $example->{output});
            ok($ok, "example $name")
                or diag("status $status, printed:\n$out$err", "instead of:\n", $example->{output} || "anything\n");
        }
    }
};
done;

# ---- reading -------------------------------------------------------------------------------------

# The examples, each a hash with name, needs, code and output; the entries, each a list of signature lines,
# by function; and the set of lines in the overview.
sub read_manual {
    my ($path) = @_;
    my ($pod) = read_file($path) =~ /^(=head1 NAME\n.*)/ms or die "$path has no manual\n";
    my (@examples, %entries, %overview, $example, $entry, $section);

    for (split /\n{2,}/, $pod) {
        if (/^=for example begin (\S+)(?: needs (.+))?$/) {
            die "$path: example $example->{name} has no end\n" if $example;
            $example = { name => $1, needs => [split ' ', $2 || ''], code => '' };
        } elsif (/^=for example output$/) {
            $example->{output} = '';
        } elsif (/^=for example end$/) {
            push @examples, $example;
            undef $example;
        } elsif (/^=for example/) {
            die "$path: cannot understand '$_'\n";
        } elsif (/^=head1 (.*)/) {
            ($section, $entry) = $1;
        } elsif (/^=head3 (?:IO::AIO::)?(.*)/) {
            $entry = $1;
            $entries{$entry} = [];
        } elsif (/^\s/) {
            s/^    //mg;
            if ($example) {
                $example->{ defined $example->{output} ? 'output' : 'code' } .= "$_\n";
            } elsif ($section eq 'OVERVIEW') {
                $overview{$_} = 1 for grep length, split /\n/;
            } elsif (defined $entry) {
                $entries{$entry} = [split /\n/];
                $entry = $entry eq 'stx_...' ? 'stx_fields' : undef;
            }
        } else {
            undef $entry unless defined $entry && $entry eq 'stx_fields';
        }
    }
    return (\@examples, \%entries, \%overview);
}

sub is_function {
    my ($name) = @_;
    my $code = defined &{"IO::AIO::$name"} ? \&{"IO::AIO::$name"} : return 0;
    return 0 if B::svref_2object($code)->GV->STASH->NAME ne 'IO::AIO';
    return 0 if $name =~ /^(?:[A-Z]|(?:bootstrap|import)$)/ || $name =~ /^_/ && $name ne '_on_next_submit';
    1;
}

# Does a signature such as "$x = IO::AIO::name $a, $b[, $c]" take as many arguments as the prototype says?
sub fits {
    my ($name, $signature) = @_;
    my ($arguments) = $signature =~ /(?:^|= )(?:IO::AIO::)?\Q$name\E\b(.*)$/ or return 0;
    my $callback = $arguments =~ s/\$callback->\(.*?\)//;
    $arguments =~ s/->\(.*?\)//g;    # of other callbacks
    my $all = ($arguments =~ tr/$//) + $callback;
    1 while $arguments =~ s/\[[^\[\]]*\]//;
    my $needed   = $arguments =~ tr/$//;

    my ($must, $may) = split /;/, prototype("IO::AIO::$name") . ';', -1;
    return $needed == length $must && $all == length "$must$may";
}

# ---- running -------------------------------------------------------------------------------------

sub have {
    my ($what) = @_;
    return $ENV{$1} if $what =~ /^\$(\w+)$/;
    return !without($1) && !($1 eq 'STATX' && refuses_statx) if $what =~ /^\+(\w+)$/;
    return IO::AIO->can($what) && IO::AIO->$what if $what =~ /^[A-Z]+_[A-Z_]+$/;
    return $have{$what} ||= !(run_perl("require $what"))[0] || undef;
}

sub run_example {
    my ($code) = @_;
    my $dir = fresh_dir();
    write_file("$dir/data.txt", "The quick brown fox jumps over the lazy dog.\n");
    mkdir "$dir/$_" or die "$_: $!" for qw(tree tree/sub);
    write_file("$dir/tree/$_", "$_\n") for qw(a.txt b.txt sub/c.txt);
    chdir $dir or die "$dir: $!";
    my $use    = $code =~ /^use (?:IO|Coro|Future)::AIO\b/m ? '' : 'use IO::AIO;';
    my @result = run_perl("use strict; use warnings; $use\n#line 1 example\n$code");
    chdir $start or die "$start: $!";
    return @result;
}
