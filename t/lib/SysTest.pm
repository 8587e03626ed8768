package SysTest;

# For the tests of the plain system calls, which fail each in its own way.

use strict;
use warnings;

use Exporter 'import';
use Fcntl;
use Test::More;
use AIOTest;

our @EXPORT = qw(fails lacks refuses fd_flags fl_flags);

# One test: a call that fails, with one of these errnos, and returns -1, undef or an empty list as said:
#     fails { IO::AIO::umount($path) } -1, 'ENOENT', 'no such path';
sub fails(&$$;$) {
    my ($call, $way, $want, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $! = 0;
    my @got   = $call->();
    my $errno = errno_name($!);
    my $got   = @got ? join ', ', map { defined $_ ? $_ : 'undef' } @got : 'empty';
    ok($got eq $way && grep({ $_ eq $errno } split ' ', $want), defined $name ? $name : $want)
        or diag("got ($got), $errno; expected ($way), $want");
}

# Does the system (or this build) lack a call?
sub lacks(&) {
    my ($call) = @_;
    $! = 0;
    my ($got) = $call->();
    (!defined $got || $got eq '-1') && errno_name($!) eq 'ENOSYS';
}

# One test: a croak that names function and argument.
sub refuses(&$$;$) {
    my ($call, $func, $arg, $name) = @_;
    @_ = ($call, is_peer ? $func : qr/^$func: .*\b$arg\b/, defined $name ? $name : "$func: bad $arg");
    goto &croaks;
}

sub fd_flags { my $flags = fcntl($_[0], F_GETFD, 0) or die "F_GETFD: $!"; $flags + 0 }
sub fl_flags { my $flags = fcntl($_[0], F_GETFL, 0) or die "F_GETFL: $!"; $flags + 0 }

1;
