#!/usr/bin/perl
# MANIFEST is made by `make manifest` from what is there and MANIFEST.SKIP. It
# must list what the repository holds and nothing that a build leaves behind.

use strict;
use warnings;
use ExtUtils::Manifest qw(manifind maniskip);
use Test::More;

my @repository = grep { -e || -l } git('ls-files', '--cached', '--others', '--exclude-standard');
plan skip_all => 'not in a git checkout' if !@repository;

my $skip = maniskip('MANIFEST.SKIP');
my @listed = sort grep { !$skip->($_) && $_ ne 'MANIFEST' } keys %{ manifind() };

is_deeply(\@listed, [ sort grep { !$skip->($_) } @repository ],
    'MANIFEST.SKIP leaves out what .gitignore ignores, and nothing else of the repository');
is_deeply([ sort grep { $skip->($_) } @repository ], [ '.ci/run', '.gitignore' ],
    'all of the repository but its own machinery is distributed');
is_deeply([ git('ls-files', '--cached', '--ignored', '--exclude-standard') ], [],
    'nothing generated is kept in the repository');

my %listed = map { $_ => 1 } @listed;
ok($listed{$_}, "$_ is distributed")
    for qw(AIO.pm AIO.xs Makefile.PL typemap Changes LICENSE README.md inc/constants.pl
        libeio/Makefile libeio/README.md libeio/configure libeio/probes.txt libeio/eio.h);

done_testing;

sub git {
    open my $git, '-|', 'git', @_ or return;
    chomp(my @lines = <$git>);
    return @lines;
}
