#!/usr/bin/perl
# `make dist` works in a clean checkout, and what it makes builds, passes its
# first tests and installs, by itself.

use strict;
use warnings;
use Cwd qw(getcwd);
use ExtUtils::Manifest qw(manicopy maniread maniskip manifind);
use File::Find qw(find);
use File::Temp qw(tempdir);
use JSON::PP qw(decode_json);
use Module::CoreList;
use Test::More;

my $home = getcwd;
my $dir = tempdir(CLEANUP => 1);
delete @ENV{qw(MAKEFLAGS MAKELEVEL PERL5LIB PERL_MM_OPT)};

# What a fresh clone has.
my $skip = maniskip('MANIFEST.SKIP');
my %files = map { $_ => '' } grep { !$skip->($_) } keys %{ manifind() };
delete $files{MANIFEST};
$ExtUtils::Manifest::Quiet = 1;
manicopy(\%files, "$dir/clone", 'cp');

chdir "$dir/clone" or die "chdir: $!";
run_ok("$^X Makefile.PL");
run_ok('make dist');
my ($tarball) = glob 'IO-AIO-*.tar.gz';
ok($tarball, 'a tarball was made') or BAIL_OUT('no tarball');

chdir $dir or die "chdir: $!";
run_ok("tar xzf clone/$tarball");
my $unpacked = $tarball =~ s/\.tar\.gz$//r;
chdir $unpacked or die "chdir: $!";
is_deeply(tree(), [ sort keys %files, 'MANIFEST', 'META.json', 'META.yml' ], 'it holds all files');
is_deeply([ sort keys %{ maniread() } ], tree(), 'its MANIFEST lists them');

metadata();

unlike(run_ok("$^X Makefile.PL"), qr/warning/i, 'no warnings of Makefile.PL');
unlike(run_ok('make'), qr/warning:/, 'no warnings of the compiler');
is(run_ok('make') =~ s/^(?:Manifying.*|make.*)\n//mgr, '', 'make has nothing left to do');
run_ok('make test TEST_FILES="t/0*.t"');
run_ok("make install DESTDIR=$dir/root");

chdir "$dir/root" or die "chdir: $!";
my @installed = @{ tree() };
for my $file (qw(IO/AIO.pm Coro/AIO.pm Future/AIO.pm Future/IO/Impl/AIO.pm auto/IO/AIO/AIO.so bin/aio IO/AIO/Tool.pm IO/AIO/Tool/Walk.pm)) {
    ok((grep { m{/\Q$file\E$} } @installed), "$file gets installed");
}

chdir $home; # so that the folder can go
done_testing;

# What CPAN indexes and what clients install before.
sub metadata {
    my $meta = decode_json(slurp('META.json'));
    like("@{$meta->{author}}", qr/\S+\@\S+/, 'META has an author');
    is($meta->{license}[0], 'perl_5', 'the license');
    my @modules = grep m{\.pm$} && !m{^(?:t|xt|bench|eg|inc)/}, @{ tree() };
    is(join(' ', sort map $_->{file}, values %{ $meta->{provides} }), "@modules", 'it provides all modules');
    my %version = map { $_->{file} => $_->{version} } values %{ $meta->{provides} };
    is(join(' ', grep !$version{$_}, @modules), '', 'with their versions');
    my %private = map { $_ => 1 } @{ $meta->{no_index}{directory} };
    my %public = map { m{^(\w+)/} ? ($1 => 1) : () } @modules, 'bin/';
    is(join(' ', sort grep { -d && !$private{$_} } glob '*'), join(' ', sort keys %public), 'and nothing else is indexed');

    # Some systems package the modules of perl's own distribution apart.
    my %used = (runtime => \@modules, test => [grep m{^t/.*\.(?:t|pm)$}, @{ tree() }]);
    for my $phase (sort keys %used) {
        my %has = %{ $meta->{prereqs}{$phase}{requires} };
        my %need = map { $_ => 1 } map { slurp($_) =~ /^(?:use|require) ([A-Z][\w:]*|parent)\b/mg } @{ $used{$phase} };
        my @core = grep { Module::CoreList->first_release($_) && !/^(?:Config|B|DB|threads)$/ } sort keys %need;
        is(join(' ', grep !exists $has{$_}, @core), '', "$phase: all are asked for that perl may lack");
    }
}

sub slurp {
    my ($path) = @_;
    open my $fh, '<', $path or die "$path: $!";
    local $/;
    return scalar <$fh>;
}

# The command's output.
sub run_ok {
    my ($command) = @_;
    my $output = `$command 2>&1`;
    ok($? == 0, $command) or diag($output);
    return $output;
}

sub tree {
    my @files;
    find({ no_chdir => 1, wanted => sub { push @files, s{^\./}{}r if -f } }, '.');
    return [ sort @files ];
}
