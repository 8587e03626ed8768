#!/usr/bin/perl
# `make dist` works in a clean checkout, and what it makes builds, passes its
# first tests and installs, by itself.

use strict;
use warnings;
use Cwd qw(getcwd);
use ExtUtils::Manifest qw(manicopy maniread maniskip manifind);
use File::Find qw(find);
use File::Temp qw(tempdir);
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

unlike(run_ok("$^X Makefile.PL"), qr/warning/i, 'no warnings of Makefile.PL');
unlike(run_ok('make'), qr/warning:/, 'no warnings of the compiler');
is(run_ok('make') =~ s/^(?:Manifying.*|make.*)\n//mgr, '', 'make has nothing left to do');
run_ok('make test TEST_FILES="t/0*.t"');
run_ok("make install DESTDIR=$dir/root");

chdir "$dir/root" or die "chdir: $!";
my @installed = @{ tree() };
for my $file (qw(IO/AIO.pm Coro/AIO.pm Future/AIO.pm Future/IO/Impl/AIO.pm auto/IO/AIO/AIO.so bin/treescan)) {
    ok((grep { m{/\Q$file\E$} } @installed), "$file gets installed");
}

chdir $home; # so that the folder can go
done_testing;

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
