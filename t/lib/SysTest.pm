package SysTest;

# What the tests of thin wrappers of system calls share.

use strict;
use warnings;

use AIOTest;
use Exporter 'import';
use Fcntl;
use Test::More;

our @EXPORT = qw(cloexec status_flags fails missing handle_ok);

sub cloexec { fcntl($_[0], F_GETFD, 0) & FD_CLOEXEC ? 1 : 0 }
sub status_flags { fcntl $_[0], F_GETFL, 0 }

# A function that fails: what it returns in list context, and errno.
sub fails(&$$$) {
    my ($code, $result, $want, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $! = 0;
    my @got = $code->();
    my $got = errno_name($!);
    is_deeply(\@got, $result, "$name: result");
    ok(scalar(grep $_ eq $got, split ' ', $want), "$name: $want") or diag("got $got");
}

# Is the system call there?
sub missing { my ($code) = @_; $! = 0; my @got = $code->(); (!@got || !defined $got[0] || $got[0] eq '-1') && $!{ENOSYS} }

# Handles that functions return look like those of aio_open.
sub handle_ok {
    my ($fh, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is(ref \$fh, 'GLOB', "$name: a glob");
    like("$fh", qr/fd#\d+$/, "$name: its name");
    is(join(' ', PerlIO::get_layers($fh)), 'unix perlio', "$name: its layers");
}

1;
