#!/usr/bin/perl
# aio_close_range: closes what it is told to but for the module's own, so that no request is lost by it.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Fcntl qw(F_GETFD F_SETFD FD_CLOEXEC);
use POSIX ();
use Test::More;
use IO::AIO;

BEGIN { plan skip_all => 'the peer has none of it' if is_peer }
use IO::AIO ':more';

# In a child each: descriptors from 100 on.
sub with_fds(&) {
    my ($code) = @_;
    IO::AIO::min_fdlimit(256);
    return in_child {
        open my $null, '<', '/dev/null' or die "/dev/null: $!";
        POSIX::dup2(fileno $null, $_) // die "dup2: $!" for 100 .. 109;
        return $code->();
    };
}

sub still_open { join ' ', grep { my $fd = POSIX::dup($_); defined $fd && POSIX::close($fd) } 100 .. 109 }

sub status { my ($errno, @got) = &run_req($_[0]); "@got" eq '0' ? 0 : "@got " . errno_name($errno) }

my $here = with_fds { status(sub { aio_close_range 100, 100, 0, $_[0] }) };

each_engine {
    my ($engine) = @_;
  SKIP: {
        if (without('CLOSE_RANGE') || $here eq '-1 ENOSYS') {
            is($here, '-1 ENOSYS', 'the system has none');
            skip 'no close_range here', 1;
        }
        is($here, 0, 'the system has it');
        my @got = with_fds { (status(sub { aio_close_range 102, 104, 0, $_[0] }), still_open()) };
        is_deeply(\@got, [0, '100 101 105 106 107 108 109'], 'closes a range');
        @got = with_fds { (status(sub { aio_close_range 107, 107, 0, $_[0] }), status(sub { aio_close_range 107, 107, 0, $_[0] }), still_open()) };
        is_deeply(\@got, [0, 0, '100 101 102 103 104 105 106 108 109'], 'one, which may be closed already');
        @got = with_fds { (status(sub { aio_close_range 103, undef, 0, $_[0] }), still_open()) };
        is_deeply(\@got, [0, '100 101 102'], 'undef: all that follow');

        @got = with_fds {
            fcntl STDIN, F_SETFD, 0;
            my $status = status(sub { aio_close_range 0, undef, IO::AIO::CLOSE_RANGE_CLOEXEC, $_[0] });
            ($status, still_open(), fcntl(STDIN, F_GETFD, 0) & FD_CLOEXEC ? 'close-on-exec' : 'as before');
        };
        is_deeply(\@got, [0, join(' ', 100 .. 109), 'close-on-exec'], 'CLOSE_RANGE_CLOEXEC closes nothing') if $got[0] ne '-1 EINVAL';

        for ([5, 4, 0], [-1, 5, 0], [0, 2**32, 0], [2**32, undef, 0], [100, 100, 2], [100, 100, 1], [100, 100, 2**40]) {
            my ($first, $last, $flags) = @$_;
            is(status(sub { aio_close_range $first, $last, $flags, $_[0] }), '-1 EINVAL', "EINVAL: $first, @{[$last // 'undef']}, $flags");
        }
        croaks { aio_close_range [], 1, 0 } qr/^aio_close_range: first must be a number/, 'first';
        croaks { aio_close_range 1, [], 0 } qr/^aio_close_range: last must be a number/, 'last';
        croaks { aio_close_range 1, 1, {} } qr/^aio_close_range: flags must be a number/, 'flags';

        # requests that wait without a worker: the thread that polls for them goes on
        @got = with_fds {
            return 'late' if $engine eq 'sync';    # which would wait
            my @filled = map { open my $null, '<', '/dev/null' or die "/dev/null: $!"; $null } 1 .. 30;    # no lower number is free
            pipe my $r, my $w or die "pipe: $!";
            pipe my $r2, my $w2 or die "pipe: $!";
            my ($highest) = sort { $b <=> $a } map fileno $_, $r, $w, $r2, $w2;
            my $got = '';
            my $first = IO::AIO::_wait($r, 1, sub { $got .= 'first ' });
            my $closed;
            aio_close_range $highest + 1, undef, 0, sub { $closed = $_[0] };
            IO::AIO::poll_wait(), IO::AIO::poll_cb() until defined $closed;
            IO::AIO::_wait($r2, 1, sub { $got .= "late" });
            syswrite $w2, 'x';
            wait_for { IO::AIO::poll_cb(); $got ne '' };
            $first->cancel;
            return $got;
        };
        is("@got", 'late', 'one that waits for a descriptor after that is told');

        # A daemon: all is closed while the program sleeps on the wakeup descriptor and requests wait in pipes of others.
        my ($status, $out, $err) = run_perl(<<'PERL');
            use strict;
            use IO::AIO;
            use Fcntl qw(F_DUPFD);
            my @log;
            aio_stat "/", sub { }; open my $gone, "<", "/dev/null" or die; aio_close $gone, sub { };
            IO::AIO::flush;
            my $fd = IO::AIO::poll_fileno;
            for my $round (1 .. 20) {
                open my $null, "<", "/dev/null" or die "/dev/null: $!";
                fcntl $null, F_DUPFD, 50 or die "fcntl: $!";
                IO::AIO::aio_busy 0.001, sub { $log[$round] .= "busy " };
                IO::AIO::aio_close_range 3, undef, 0, sub { $log[$round] .= "closed $_[0] " };
                IO::AIO::aio_nop sub { $log[$round] .= "nop " };
                IO::AIO::poll_wait(), IO::AIO::poll_cb() while IO::AIO::nreqs();
                $log[$round] = join " ", sort split " ", $log[$round];
                $log[$round] .= " open" if -e "/proc/self/fd/50";
            }
            my %seen; $seen{$_}++ for @log[1 .. 20];
            print "$_: $seen{$_}\n" for sort keys %seen;
            print IO::AIO::poll_fileno() == $fd ? "the same\n" : "another\n";
            open my $late, "<", "/dev/null" or die "/dev/null: $!";
            aio_close $late, sub { print "close $_[0]\n" };
            IO::AIO::flush;
PERL
        is($out, "0 busy closed nop: 20\nthe same\nclose 0\n", 'a daemon that closes all: no request is lost') or diag("status $status: $err");
    }
};

SKIP: {
    skip 'no close_range here', 1 if $here;
    my $value = eval { require Future::AIO; 1 } ? with_fds { (Future::AIO::aio_close_range(105, undef, 0)->get, still_open()) } : skip 'no Future here', 1;
    is($value, '100 101 102 103 104', 'Future::AIO');
}

SKIP: {
    skip 'no close_range here', 1 if $here;
    eval { require Coro; require AnyEvent; 1 } or skip 'no Coro here', 1;
    my ($status, $out, $err) = run_perl('use Coro; use Coro::AIO; print Coro::AIO::aio_close_range(200, undef, 0)');
    is($out, '0', 'Coro::AIO');
}

done;
