use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Time::HiRes qw(time);
use IO::AIO;

# Long queues: nothing may cost more the more there is. A cost that grew with the square of the number would not
# let this file end in time; IO_AIO_FIGURES=1 in the environment shows the figures.

sub figures {
    my ($what, $n, $seconds) = @_;
    diag(sprintf '%-6s %-28s %9d  %6.2f s  %6.0f ns each', engine, $what, $n, $seconds, 1e9 * $seconds / $n)
        if $ENV{IO_AIO_FIGURES};
}

# Resident memory in kilobytes, 0 where that is not known.
sub memory {
    open my $fh, '<', '/proc/self/statm' or return 0;
    4 * (split ' ', <$fh>)[1];
}

each_engine {
    for my $n (1e4, thinned ? () : 1e5, extended ? 1e6 : ()) {
        my ($start, $memory, $count) = (time, memory(), 0);
        my $cb = sub { $count++ };
        hold;
        aio_nop $cb for 1 .. $n;
        is(IO::AIO::nreqs, $n, "$n requests are queued");
        figures('queued', $n, time - $start);
        diag(engine . sprintf ': %.0f octets each', 1024 * (memory() - $memory) / $n) if $ENV{IO_AIO_FIGURES};
        $start = time;
        release;
        IO::AIO::flush;
        is($count, $n, 'and called back');
        figures('executed and called back', $n, time - $start);

        next if $n == 1e6;
        $start = time;
        $count = 0;
        aio_nop $cb for 1 .. $n;
        IO::AIO::flush;
        is($count, $n, 'also when they execute meanwhile');
        figures('all at once', $n, time - $start);
    }

    # cancelled in the order of submission, in the reverse, and by a group
    for my $order ('in order', 'in reverse') {
        for my $n (1e4, thinned ? () : 1e5, extended ? 1e6 : ()) {
            next if $n == 1e6 && $order eq 'in reverse';
            hold;
            my @req = map aio_nop(sub { fail('called back') }), 1 .. $n;
            my $start = time;
            $_->cancel for $order eq 'in order' ? @req : reverse @req;
            figures("cancelled $order", $n, time - $start);
            $start = time;
            @req = ();
            release;
            IO::AIO::flush;
            is(IO::AIO::nreqs, 0, "$n requests cancelled $order");
            figures('reaped', $n, time - $start);
        }
    }

    # groups
    for my $n (1e4, thinned ? () : 1e5) {
        my ($start, $count, $end) = (time, 0, 0);
        my $group = aio_group sub { $end++ };
        my $cb = sub { $count++ };
        add $group aio_nop $cb for 1 .. $n;
        IO::AIO::flush;
        is("$count $end", "$n 1", "a group of $n members");
        figures('members of a group', $n, time - $start);

        $start = time;
        ($count, $end) = (0, 0);
        $group = aio_group sub { $end++ };
        my @added = add $group map aio_nop($cb), 1 .. $n;
        is(@added, $n, 'added by one call');
        undef @added;
        IO::AIO::flush;
        is("$count $end", "$n 1", 'they finish too');
        figures('added at once', $n, time - $start);

        hold;
        $group = aio_group sub { fail('called back') };
        add $group aio_nop(sub { fail('called back') }) for 1 .. $n;
        $start = time;
        $group->cancel;
        figures('members cancelled', $n, time - $start);
        release;
        IO::AIO::flush;
        is(IO::AIO::nreqs, 0, 'a large group is cancelled');

        $start = time;
        my $left = $n;
        $count = 0;
        $group = aio_group;
        limit $group 100;
        feed $group sub { add $group aio_nop $cb if $left-- > 0 };
        IO::AIO::flush;
        is($count, $n, "$n members from a feeder");
        figures('fed', $n, time - $start);
    }

    # one chain
    my ($n, $start) = (thinned ? 1e4 : 1e5, time);
    my $left = $n;
    my $next;
    $next = sub { aio_nop $next if --$left };
    aio_nop $next;
    IO::AIO::flush;
    is($left, 0, "$n requests one after the other");
    figures('one after the other', $n, time - $start);
    undef $next;

    # priorities
    hold;
    $start = time;
    my ($last, $wrong) = (5, 0);
    my %cb;
    for my $pri (-4 .. 4) {
        $cb{$pri} = sub { $wrong++ if $pri > $last; $last = $pri };
    }
    $n = thinned ? 1e4 : 1e5;
    for my $i (1 .. $n) {
        my $pri = $i % 9 - 4;
        aioreq_pri($pri);
        aio_nop $cb{$pri};
    }
    IO::AIO::max_parallel(1);
    IO::AIO::min_parallel(1);
    wait_for { IO::AIO::npending >= $n } unless is_peer;
    IO::AIO::flush;
    is($wrong, 0, "$n requests of all priorities are in order") unless is_peer;
    figures('of all priorities', $n, time - $start);
};

done;
