package Future::IO::Impl::AIO;

# Future::IO by means of IO::AIO: requests for files, one at a time for each, as they use its position; poll(2) for all
# else, and for IO::AIO's own descriptor.

use 5.016;
use strict;
use warnings;

use parent 'Future::IO::ImplBase';

use Fcntl qw(S_ISBLK S_ISREG);
use Future::AIO ();
use Future::IO ();
use IO::AIO ();
use IO::Handle ();
use IO::Poll qw(POLLERR POLLHUP POLLIN POLLNVAL POLLOUT);
use POSIX qw(WNOHANG ceil);
use Time::HiRes qw(CLOCK_MONOTONIC clock_gettime);

our $VERSION = '5.0';

__PACKAGE__->APPLY;

# Futures of Future::AIO do not know that there is more to wait for than requests.
$Future::AIO::WAIT = \&_turn;

sub _future { Future::AIO::Future->new }

# Times and descriptors -------------------------------------------------

my @timers;     # [when, future], in order
my %waiting;    # by descriptor: [events, future], in order

sub _now { clock_gettime(CLOCK_MONOTONIC) }

sub sleep {
    my ($class, $seconds) = @_;
    my $timer = [_now() + $seconds, my $future = _future()];
    my ($low, $high) = (0, scalar @timers);
    while ($low < $high) {
        my $middle = ($low + $high) >> 1;
        if ($timers[$middle][0] <= $timer->[0]) { $low = $middle + 1 } else { $high = $middle }
    }
    splice @timers, $low, 0, $timer;
    return $future->on_cancel(sub { @timers = grep $_ != $timer, @timers });
}

sub alarm {
    my ($class, $when) = @_;
    return $class->sleep($when - Time::HiRes::time());
}

# A future of the events that poll(2) reports; what is not open is ready, so that the call behind says what is wrong.
sub poll {
    my ($class, $fh, $events) = @_;
    my $fd   = fileno $fh // return _future()->done(POLLNVAL);
    my $wait = [$events, my $future = _future(), $fh];
    push @{ $waiting{$fd} }, $wait;
    return $future->on_cancel(sub { _forget($fd, $wait) });
}

sub _forget {
    my ($fd, $wait) = @_;
    my $left = [grep $_ != $wait, @{ $waiting{$fd} }];
    @$left ? $waiting{$fd} = $left : delete $waiting{$fd};
}

sub ready_for_read  { $_[0]->poll($_[1], POLLIN) }
sub ready_for_write { $_[0]->poll($_[1], POLLOUT) }

# Waits for something to happen, and tells the futures; false when there is nothing to wait for.
sub _turn {
    my @mask = map { my $fd = $_; my $all = 0; $all |= $_->[0] for @{ $waiting{$fd} }; $fd => $all } keys %waiting;
    push @mask, IO::AIO::poll_fileno(), POLLIN if IO::AIO::nreqs();
    return '' unless @mask || @timers;
    my $left = @timers ? $timers[0][0] - _now() : -1;
    my $milliseconds = !@timers ? -1 : $left <= 0 ? 0 : $left < 1e6 ? ceil(1000 * $left) : 1e9;
    return 1 if IO::Poll::_poll($milliseconds, @mask) < 0;    # a signal

    IO::AIO::poll_cb();
    while (my ($fd, $events) = splice @mask, 0, 2) {
        _tell($fd, $events) if $events;
    }
    my $now = _now();
    while (@timers && $timers[0][0] <= $now) {
        (shift @timers)->[1]->done;
    }
    return 1;
}

# Of those that wait for the same event the first one goes on: it may leave nothing to the others.
sub _tell {
    my ($fd, $events) = @_;
    my $told = 0;
    for my $wait (@{ $waiting{$fd} || [] }) {
        next if $wait->[0] & $told || !($events & ($wait->[0] | POLLERR | POLLHUP | POLLNVAL));
        $told |= $wait->[0];
        _forget($fd, $wait);
        $wait->[1]->done($events);
    }
}

# Files -----------------------------------------------------------------

my %queue;           # by descriptor: [future, what starts its request]; the first one's is on its way
my $process = $$;    # where it is: a child begins without requests

sub _is_file {
    my ($fh) = @_;
    my $mode = defined fileno $fh ? (stat $fh)[2] : undef;
    return defined $mode && (S_ISREG($mode) || S_ISBLK($mode));
}

sub _in_turn {
    my ($fh, $start) = @_;
    my $fd = fileno $fh;
    ($process, %queue) = $$ if $process != $$;
    push @{ $queue{$fd} }, [my $future = _future(), $start];
    _start($fd) if @{ $queue{$fd} } == 1;
    return $future;
}

# The request is in a group, which ends when nothing uses the position any more, also if the request was cancelled.
sub _start {
    my ($fd)  = @_;
    my $queue = $queue{$fd};
    shift @$queue while @$queue && $queue->[0][0]->is_ready;    # cancelled
    return delete $queue{$fd} unless @$queue;
    my ($future, $start) = @{ $queue->[0] };
    my $group = IO::AIO::aio_group(sub { shift @$queue; _start($fd) });
    $group->add($start->($future));
    $future->on_cancel(sub { $group->cancel_subs });
}

# By the number of the descriptor: it is the kernel that refuses what cannot be read or written.
sub sysread {
    my ($class, $fh, $length) = @_;
    return $class->SUPER::sysread($fh, $length) unless _is_file($fh);
    return _in_turn($fh, sub {
        my ($future, $data) = @_;
        IO::AIO::aio_read(fileno $fh, undef, $length, $data, 0, sub {
            $_[0] < 0 ? $future->fail("sysread: $!\n", sysread => $fh, $!) : $future->done($_[0] ? $data : ());
        });
    });
}

sub syswrite {
    my ($class, $fh, $data) = @_;
    return $class->SUPER::syswrite($fh, $data) unless _is_file($fh);
    return _in_turn($fh, sub {
        my ($future) = @_;
        IO::AIO::aio_write(fileno $fh, undef, undef, $data, 0, sub {
            $_[0] < 0 ? $future->fail("syswrite: $!\n", syswrite => $fh, $!) : $future->done($_[0]);
        });
    });
}

# Children --------------------------------------------------------------

use constant LOOK_AGAIN => 0.05;    # seconds, where there are no descriptors of processes

sub waitpid {
    my ($class, $pid) = @_;
    local $?;
    my $ended = CORE::waitpid($pid, WNOHANG);
    return _future()->done($?) if $ended == $pid;
    return _future()->fail("waitpid: $!\n", waitpid => $pid, $!) if $ended < 0;
    my $child = IO::AIO::pidfd_open($pid);
    my $again = $child ? $class->ready_for_read($child) : $class->sleep(LOOK_AGAIN);
    return $again->then(sub { undef $child; $class->waitpid($pid) });
}

1;

__END__

=head1 NAME

Future::IO::Impl::AIO - Future::IO with asynchronous files

=head1 SYNOPSIS

    use Future::IO;
    use Future::IO::Impl::AIO;

    open my $fh, "<", "data.txt" or die $!;
    my $data = Future::IO->sysread_until_eof($fh)->get;    # others run meanwhile

=head1 DESCRIPTION

An implementation of L<Future::IO> for programs that have no event loop beside. Load it before the first use of
Future::IO. Then modules that read and write through Future::IO do not wait for disks or network file systems: what they do to a regular
file or block device is a request of L<IO::AIO>. All else, and the futures of L<Future::AIO>, wait by C<poll(2)>.

=over 4

=item C<sysread>, C<syswrite>

Of files: C<aio_read> and C<aio_write> at the position of the handle. Since they share that, those of one handle are
executed one after the other, in the order of the calls. One that is cancelled before its turn does not move the position; a
later one may have, and a write may have written. Different handles do not wait for each other.

Of pipes, sockets and terminals: when they are ready, the first caller first. Make them non-blocking, since a write of more than
fits would wait otherwise.

=item C<sleep>, C<alarm>

By a clock that nobody sets.

=item C<waitpid>

By a descriptor of the process (C<pidfd_open(2)>), or where there is none by looking twenty times a second.

=item C<accept>, C<connect>, C<poll>, C<ready_for_read>, C<ready_for_write>

When the socket or handle is ready.

=back

Failures are as Future::IO has them: C<("sysread: ...\n", sysread =E<gt> $fh, $!)>. At the end of a file C<sysread> has no
value. To wait for a future that nothing can make ready is an exception.

A child of C<fork> does not go on with the parent's reads and writes of files.

=head1 SEE ALSO

L<Future::IO>, L<Future::AIO>, L<IO::AIO>.

=cut
