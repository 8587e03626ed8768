use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);
use IO::AIO;

# What requests cost, as IO::AIO::stats, IO::AIO::slow and EIO_TRACE tell it. What times are compared with are bounds
# that the clock gives, before and after.

sub now { clock_gettime CLOCK_MONOTONIC }

sub requests { IO::AIO::stats()->{requests} }

sub sum { my $n = 0; $n += $_ for @{ $_[0] }; $n }

# In which member of a histogram a time belongs.
sub bucket { my $ns = int($_[0] * 1e9); my $i = 0; $i++ while ($ns >>= 1) > 0; $i }

sub counted {
    my $file = write_file fresh_dir() . '/data', 'x' x 1000;
    IO::AIO::stats_reset;
    IO::AIO::stats_every 1;
    run_req { aio_stat $file, $_[0] } for 1 .. 5;
    run_req { aio_stat "$file/none", $_[0] } for 1 .. 2;
    run_req { aio_load $file, my $data, $_[0] };
    my $r = requests;
    is($r->{stat}{count}, 7, 'stats');
    is($r->{stat}{errors}, 2, 'those of them that failed');
    is($r->{stat}{timed}, 7, 'all are timed');
    is(sum($r->{stat}{$_}), 7, "and are in the histogram of $_") for qw(execution delivery);
    cmp_ok(sum($r->{stat}{waiting}), '<=', 7, 'no more than all can have waited');
    is($r->{load}{octets}, 1000, 'octets of a composite request');
    IO::AIO::stats_every 0;
    run_req { aio_stat $file, $_[0] };
    is(requests->{stat}{count}, 7, 'nothing is counted when it is off, and what was stays');
    IO::AIO::stats_reset;
    is(requests->{stat}{count} // 0, 0, 'until a reset');
    is(IO::AIO::stats()->{submitted}, 0, 'which takes back the counters, too');
    IO::AIO::stats_every 10;
    aio_nop for 1 .. 100;
    IO::AIO::flush;
    is(requests->{nop}{count}, 100, 'one in ten: all are counted');
    is(requests->{nop}{timed}, 10, 'and one in ten is timed');
    IO::AIO::stats_every 0;
}

# Of a request of 2 ms.
sub timed {
    IO::AIO::stats_reset;
    IO::AIO::stats_every 1;
    my $begun = now;
    run_req { IO::AIO::aio_busy 0.002, $_[0] };
    my $all = now() - $begun;
    my $r = requests->{busy};
    is(sum($r->{execution}), 1, 'one has executed');
    my ($at) = grep $r->{execution}[$_], 0 .. $#{ $r->{execution} };
    cmp_ok($at, '>=', bucket(0.002), 'not in less than it takes');
    cmp_ok($at, '<=', bucket($all), 'nor in more than it can have been');
    IO::AIO::stats_every 0;
    my $pace = IO::AIO::stats()->{pace};
    is_deeply([sort keys %$pace], [qw(hop idle step wait)], 'what the pool goes by');
    my $busy = requests->{busy};
    cmp_ok($busy->{wait}, '>', 0, 'a request that sleeps is known to wait') if engine ne 'sync';
}

sub slow {
    my @told;
    IO::AIO::slow 0.001, sub { push @told, [@_] };
    my ($begun, $before) = (now, 0);
    IO::AIO::aio_busy 0.003, sub { $before = @told };
    IO::AIO::flush;
    my $all = now() - $begun;
    is(@told, 1, 'a slow request is told of') or return;
    is($before, 1, 'before it is called back');
    my ($name, @times) = @{ $told[0] };
    is($name, 'busy', 'its name');
    is(@times, 3, 'three times');
    cmp_ok($times[1], '>=', 0.003, 'it executed for so long');
    cmp_ok($times[0] + $times[1] + $times[2], '<=', $all, 'in all not more than it was');
    IO::AIO::slow 1000, sub { push @told, [@_] };
    run_req { aio_nop $_[0] };
    is(@told, 1, 'not of those below the limit');
    IO::AIO::slow 0, sub { push @told, [@_] };
    my $grp = aio_group;
    $grp->add(aio_nop);
    IO::AIO::flush;
    is(join(' ', map $_->[0], @told), 'busy nop', 'with 0 of all, but of no groups');
    IO::AIO::slow undef;
    run_req { aio_nop $_[0] };
    is(@told, 2, 'of none with undef');

    my @warned;
    local $SIG{__WARN__} = sub { push @warned, @_ };
    IO::AIO::slow 0;
    run_req { aio_stat '/', $_[0] };
    is(@warned, 1, 'a warning without a callback');
    like($warned[0], qr/^IO::AIO: a slow request: aio_stat waited [\d.]+ s, executed [\d.]+ s/, 'with name and times');
    unlike($warned[0], qr{/}, 'not with the path');

    my $called = 0;
    IO::AIO::slow 0, sub { die "in the hook\n" };
    aio_nop sub { $called++ };
    IO::AIO::flush;
    is($called, 1, 'the request is called back, though that died');
    is(@warned, 2, 'which is a warning');
    IO::AIO::slow 0, sub { IO::AIO::slow undef; IO::AIO::poll_cb };
    aio_nop sub { $called++ } for 1 .. 3;
    IO::AIO::flush;
    is($called, 4, 'it may poll, and set another');
}

sub bad {
    croaks { IO::AIO::stats_every 'NaN' } qr/^stats_every: nreqs must be a number/, 'stats_every NaN';
    croaks { IO::AIO::stats_every -1 } qr/^stats_every: nreqs must be a number/, 'stats_every -1';
    croaks { IO::AIO::slow 'NaN' } qr/^slow: seconds must be a number/, 'slow NaN';
    croaks { IO::AIO::slow -1 } qr/^slow: seconds must be a number/, 'slow -1';
    croaks { IO::AIO::slow 1, 'no callback at all' } qr/^slow: /, 'slow without a callback';
}

# Each line of a trace in JSON.
sub traced {
    my $file = fresh_dir() . '/trace';
    local $ENV{EIO_TRACE} = "json:$file";
    my ($status, $out, $err) = run_perl('use IO::AIO; aio_readlink "/precious-name" for 1, 2; my $r = aio_nop; $r->cancel; IO::AIO::flush;');
    is("$status$out$err", '0', 'a trace into a file');
    my @lines = split /\n/, read_file $file;
    is(scalar(grep !/^\{"time":\d+\.\d{9},"pid":\d+,"context":"\w+","request":\d+,"op":"\w+","from":"\w+","to":"\w+","owner":(?:true|false),"cancelled":(?:true|false)(?:,"errno":\d+)?\}\z/, @lines), 0, 'an object a line')
        or diag(@lines);
    is(scalar(grep /"op":"readlink".*"to":"finished".*"errno":2\}/, @lines), 2, 'two have failed');
    is(scalar(grep /"op":"nop".*"to":"finished".*"cancelled":true/, @lines), 1, 'one was cancelled');
    unlike(join('', @lines), qr/precious/, 'no names');

    # who closes all descriptors and opens others does not find a trace in them
    my $other = fresh_dir() . '/other';
    run_perl(qq{use IO::AIO; use POSIX (); POSIX::close(\$_) for 3 .. 30; my \@fh = map { open my \$fh, ">>", "$other" or die; \$fh } 1 .. 20; aio_nop; IO::AIO::flush;});
    is(read_file($other), '', 'nothing is written to what is not ours');
}

# What tracers find.
sub probes {
    my ($library) = grep -e, map "$_/auto/IO/AIO/AIO.so", @INC;
    return pass('no tracers') unless IO::AIO::_features() =~ /\bSDT\b/ && $library;
    open my $fh, '<:raw', $library or die "$library: $!";
    local $/;
    like(scalar <$fh>, qr/libeio\0state\0/, 'the library has the probe');
}

each_engine {
    counted;
    timed;
    slow;
    bad;
    traced if engine eq "pool";
};
probes;
done;
