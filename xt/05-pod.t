use strict;
use warnings;
use FindBin;
use Test::More;
use B ();
use File::Glob qw(bsd_glob);
use Pod::Checker;
use IO::AIO;

# All POD is well-formed, its links lead somewhere, and the manual names everything that the package has:
# exports, functions and constants. The documents in Markdown name only files that there are, and the table in
# README.md has all folders.
#
# usage: xt/05-pod.t [file with the manual, default AIO.pm]

my $top    = "$FindBin::Bin/..";
my $manual = shift || "$top/AIO.pm";

# What the manual may refer to without its being installed.
my %optional = map { $_ => 1 } qw(
    AnyEvent::AIO AnyEvent::IO Coro Coro::AIO Future Future::AsyncAwait Future::Exception Future::IO Future::Utils
    IO::Async Mojolicious
);

# ---- syntax and links ----------------------------------------------------------------------------

my @files = grep { -f && -T } $manual, map bsd_glob("$top/$_"), qw(Coro/* Future/*.pm Future/*/*/* bin/* eg/* script/* bench/* t/lib/*);

for my $file (@files) {
    next if slurp($file) !~ /^=head1 /m;
    my $checker = Pod::Checker->new(-warnings => 1, -quiet => 1);
    my $messages = '';
    open my $out, '>', \$messages or die $!;
    $checker->parse_from_file($file, $out);
    is($checker->num_errors,   0, "$file: no errors")   or diag($messages);
    is($checker->num_warnings, 0, "$file: no warnings") or diag($messages);

    my %page = map { $_->page => 1 } grep { $_->type eq 'pod' && length $_->page } $checker->hyperlinks;
    is(join(' ', grep !$optional{$_} && !is_module($_), sort keys %page), '', "$file: modules that it refers to");
    like($_, qr/^[a-z_0-9]+\([1-8]\)$/, "$file: $_ is a page of the system's manual")
        for sort map $_->page, grep $_->type eq 'man', $checker->hyperlinks;
}

sub is_module {
    (my $path = shift) =~ s{::}{/}g;
    scalar grep { !ref && (-e "$_/$path.pm" || -e "$_/$path.pod" || -e "$_/pods/$path.pod") } @INC, $top;
}

# ---- names ---------------------------------------------------------------------------------------

my ($pod) = slurp($manual) =~ /^(=head1 NAME\n.*)/ms or die "$manual has no manual\n";
my %entry = map { $_ => 1 } $pod =~ /^=head3 (?:IO::AIO::)?(\w+)$/mg;
my ($table)     = $pod =~ /^=head3 IO::AIO::stx_\.\.\.\n(.*?)^=/ms;
my ($constants) = $pod =~ /^=head1 CONSTANTS\n(.*?)^=head1/ms;
my %constant    = map { $_ => 1 } map { split } $constants =~ /^    (\S.*)$/mg;
my %field       = map { $_ => 1 } $table =~ /\b(stx_\w+)/g;

my %own = map { $_ => 1 } grep {
    defined &{"IO::AIO::$_"} && B::svref_2object(\&{"IO::AIO::$_"})->GV->STASH->NAME eq 'IO::AIO'
} keys %IO::AIO::;
delete @own{qw(BEGIN END CLONE CLONE_SKIP bootstrap import)};
delete @own{ grep /^_(?!on_next_submit$)/, keys %own };

my @constants = grep /^[A-Z]/, sort keys %own;
cmp_ok(@constants, '>=', 333, 'constants were found');
is(join(' ', grep !$constant{$_}, @constants), '', 'each constant is in the manual');
is(join(' ', grep !$own{$_}, sort keys %constant), '', 'and exists');

my @functions = grep !/^[A-Z]/, sort keys %own;
cmp_ok(@functions, '>', 140, 'functions were found');
is(join(' ', grep !$entry{$_} && !$field{$_}, @functions), '', 'each function is in the manual');
is(join(' ', grep !$own{$_}, sort keys %entry, keys %field), '', 'and exists');
is(join(' ', grep !$own{$_}, @IO::AIO::EXPORT, @IO::AIO::EXPORT_OK, @IO::AIO::AIO_REQ), '', 'so does each export');

# ---- the other documents -------------------------------------------------------------------------

for my $document (qw(README.md CONTRIBUTING.md SECURITY.md libeio/README.md)) {
    my $text  = -e "$top/$document" ? slurp("$top/$document") : '';
    my @paths = grep m{^[\w.][\w.*/-]*$} && m{/|\.(?:md|pm|xs|PL)$} && !m{/NN-}, $text =~ /`([^`\n]+)`/g;
    my $base  = $document =~ m{^(.*/)} ? $1 : '';
    is(join(' ', grep !is_path($_, $base), @paths), '', "$document: files that it names");
}

my %folder = map { $_ => 1 } map m{`([\w.]+)/}g, grep /^\|/, split /\n/, slurp("$top/README.md");
opendir my $dir, $top or die "$top: $!";
my @folders = grep !/^(?:\.{1,2}|\.git|blib|build-.*|doc-parts)$/ && -d "$top/$_", sort readdir $dir;
is(join(' ', grep !$folder{$_}, @folders), '', 'README.md lists each folder');

done_testing;

# Is there such a file or folder, from the top of the repository or from the document's folder?
sub is_path {
    my ($pattern, $base) = @_;
    scalar grep -e, map bsd_glob("$top/$_"), $pattern, "$base$pattern";
}

sub slurp {
    my ($path) = @_;
    open my $fh, '<', $path or die "$path: $!";
    local $/;
    scalar <$fh>;
}
