use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use POSIX ();
use Time::HiRes qw(time);
use IO::AIO;

# The polling side: the descriptor, poll_cb, poll_wait, poll, flush, their limits, and signals.

# Some requests that are done but for their callbacks.
sub pending {
    my ($n, $cb) = @_;
    aio_nop($cb || sub { }) for 1 .. $n;
    wait_for { IO::AIO::npending() >= $n } or die 'the requests do not run';
}

# Sends this process a signal once it sleeps; returns the sender's pid.
sub signal_when_asleep {
    my ($signal) = @_;
    my $parent = $$;
    defined(my $pid = fork) or die "fork: $!";
    return $pid if $pid;
    for (1 .. 20_000) {
        open my $fh, '<', "/proc/$parent/stat" or last;
        last if <$fh> =~ /\) S /;
        select undef, undef, undef, 0.001;
    }
    kill $signal, $parent;
    POSIX::_exit(0);
}

each_engine {
    my ($engine) = @_;

    # nothing to do
    ok(!poll_ready, 'the descriptor of an idle module is not readable');
    is(IO::AIO::poll_cb, 0, 'poll_cb gives 0');
    is(IO::AIO::poll, 0, 'poll gives 0') unless is_peer;
    is_deeply([IO::AIO::poll_wait()], [], 'poll_wait returns at once, and nothing');
    is_deeply([IO::AIO::flush()], [], 'so does flush');

    # readable exactly when there are results
    hold;
    my $called = 0;
    aio_nop sub { $called++ } for 1 .. 3;
    ok(!poll_ready, 'not readable while requests only wait');
    is(IO::AIO::poll_cb, 0, 'poll_cb has nothing');
    release;
    ours {
        ok(poll_ready(10), 'readable when there are results');
        wait_for { IO::AIO::npending == 3 };
        ok(poll_ready, 'and stays so');
    } 'starts no thread before a poll';
    IO::AIO::flush;
    is($called, 3, 'flush calls them back');
    ok(!poll_ready, 'then it is not readable');
    for (1 .. 100) {
        aio_nop sub { $called++ };
        poll_ready(10) or last;
        IO::AIO::poll_cb;
    }
    is($called, 103, 'a hundred times select and poll_cb');
    ok(!poll_ready, 'nothing is left');

    ours {
        pending(4);
        aio_nop;
        IO::AIO::poll_cb;
        IO::AIO::flush;
        my $cb = \&IO::AIO::poll_cb;
        $called = 0;
        pending(3, sub { $called++ });
        is($cb->('any', 'arguments'), 0, 'poll_cb ignores arguments');
        is($called, 3, 'and works');
        pending(3, sub { -1 });
        is(IO::AIO::poll_cb, 0, 'what callbacks return does not matter');

        # max_poll_reqs
        $called = 0;
        is_deeply([IO::AIO::max_poll_reqs(2)], [], 'max_poll_reqs returns nothing');
        pending(6, sub { $called++ });
        is(IO::AIO::poll_cb, -1, 'with max_poll_reqs 2 and six results poll_cb gives -1');
        is($called, 2, 'after two');
        ok(poll_ready, 'and the descriptor is still readable');
        is(IO::AIO::poll_cb, -1, 'the second time too');
        is(IO::AIO::poll_cb, 0, 'the third time it gives 0, as it was just enough');
        is($called, 6, 'after all');
        ok(!poll_ready, 'and the descriptor is not readable');
        pending(5, sub { $called++ });
        is(IO::AIO::poll, 2, 'poll obeys it');
        IO::AIO::flush;
        is($called, 11, 'flush goes on until the end');
        IO::AIO::max_poll_reqs(0);
        pending(50);
        is(IO::AIO::poll, 50, '0 is no limit, and poll gives the number of requests');

        # max_poll_time
        is_deeply([IO::AIO::max_poll_time(0.001)], [], 'max_poll_time returns nothing');
        $called = 0;
        my $slow = sub { $called++; my $end = time + 0.005; 1 while time < $end };
        pending(4, $slow);
        is(IO::AIO::poll_cb, -1, 'with max_poll_time poll_cb gives -1');
        is($called, 1, 'when one slow callback took that long');
        ok(poll_ready, 'the descriptor is still readable');
        IO::AIO::max_poll_time(60);
        is(IO::AIO::poll_cb, 0, 'with time enough 0');
        is($called, 4, 'after all');
        IO::AIO::max_poll_time(0);
        pending(3, $slow);
        is(IO::AIO::poll_cb, 0, '0 is no limit');

        # results that come while poll_cb runs
        $called = 0;
        pending(1, sub { $called++; pending(1, sub { $called++ }) });
        my $status = IO::AIO::poll_cb;
        is($status, $called == 2 ? 0 : -1, 'the status tells whether a result that came meanwhile is left');
        is(poll_ready() ? 1 : 0, $called == 2 ? 0 : 1, 'and so does the descriptor');
        IO::AIO::flush;
    } 'counts ending threads as pending requests';

    # max_outstanding
    is_deeply([IO::AIO::max_outstanding(5)], [], 'max_outstanding returns nothing');
    my $most = $called = 0;
    for (1 .. 200) {
        aio_nop sub { $called++ };
        IO::AIO::poll_cb;
        $most = IO::AIO::nreqs if IO::AIO::nreqs > $most;
    }
    cmp_ok($most, '<', 5, 'with max_outstanding 5 fewer are left after poll_cb');
    IO::AIO::flush;
    is($called, 200, 'all of them are called back');
    aio_nop for 1 .. 50;
    is(IO::AIO::nreqs, 50, 'it does not limit what can be queued');
    IO::AIO::poll_cb;
    cmp_ok(IO::AIO::nreqs, '<', 5, 'one poll_cb brings it down');
    IO::AIO::flush;
    for my $limit (0, -1) {
        IO::AIO::max_outstanding($limit);
        hold;
        aio_stat '/', sub { };
        IO::AIO::poll_cb;
        is(IO::AIO::nreqs, 1, "a limit of $limit is none");
        release;
        IO::AIO::flush;
    }
    IO::AIO::max_outstanding(2**31 - 1);

    # poll_wait
    $called = 0;
    aio_nop sub { $called++ } for 1 .. 3;
    IO::AIO::poll_wait;
    is($called, 0, 'poll_wait calls nothing back');
    ok(poll_ready, 'but a result is there');
    IO::AIO::poll_wait;
    IO::AIO::flush;
    is($called, 3, 'they are called back later');

    # signals
  SKIP: {
        skip 'no /proc', 1 unless -r '/proc/self/stat';
        my %wait = (poll_wait => sub { IO::AIO::poll_wait }, flush => sub { IO::AIO::flush }, poll => sub { IO::AIO::poll });
        for my $name (sort keys %wait) {
            next if is_peer;    # it does not run handlers while it waits
            my @seen;
            hold;
            aio_nop sub { push @seen, 'callback' };
            my $sender;
            local $SIG{USR1} = sub { push @seen, 'signal'; release };
            $sender = signal_when_asleep('USR1');
            $wait{$name}->();
            waitpid $sender, 0;
            IO::AIO::flush;
            is("@seen", 'signal callback', "a signal handler runs during $name");

            @seen = ();
            hold;
            aio_nop sub { push @seen, 'callback' };
            local $SIG{USR1} = sub { die "from the handler\n" };
            $sender = signal_when_asleep('USR1');
            ok(!eval { $wait{$name}->(); 1 }, 'one that dies breaks out');
            is($@, "from the handler\n", 'with its exception');
            $@ = '';
            waitpid $sender, 0;
            is(IO::AIO::nreqs, 1, 'the request is still there');
            release;
            IO::AIO::flush;
            is("@seen", 'callback', 'and called back later');
        }
    }
    {
        my @seen;
        my $kills = 0;
        local $SIG{USR1} = sub { $kills++; die "between\n" };
        aio_nop sub { push @seen, 1; kill USR1 => $$ };
        aio_nop sub { push @seen, 2 };
        my $died = 0;
        while (IO::AIO::nreqs) {
            eval { IO::AIO::flush; 1 } or $died++;
            $@ = '';
        }
        is("$kills $died", '1 1', 'a handler that dies between two callbacks');
        is("@{[sort @seen]}", '1 2', 'loses none of them');
    }
};

for my $name (qw(poll_wait poll flush poll_fileno nreqs nready npending nthreads reinit)) {
    my $function = IO::AIO->can($name);
    croaks { $function->(1) } qr/Usage: IO::AIO::$name/, "$name takes no arguments";
}
is(IO::AIO->can('poll_cb')->(1), 0, 'poll_cb does, as event loops give some');

done;
