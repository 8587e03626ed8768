package IO::AIO::Loop;

# IO::AIO::attach and detach: one row for each event loop. IO::AIO loads this file when a
# program calls one of them. It loads no loop but one that it is told by name.

use strict;
use warnings;

use Carp ();
use Scalar::Util ();
use IO::AIO ();

our $VERSION = '5.0';
our @CARP_NOT = 'IO::AIO';

# module   tells that the loop is there, when it is loaded; its name for attach
# classes  what objects of the loop, or other names for it, are
# watch    ($loop, $handle): begins to watch; $loop is the object given, or undef for the
#          loop of the whole program. Returns what unwatch gets, and keeps
# unwatch  undoes it
#
# After a fork handle and number are the same, and stand for the child's own descriptor. Loops
# that ask the kernel about numbers each time (select, poll) need not know; those that leave
# them there (epoll, kqueue) have to do it again in the child: EV is told (tell_ev_of_forks),
# whatever the row, as many loops are built on it.
#
# The order is that of attach without an argument. What brings a loop of its own, or chooses
# among others, comes before what may be loaded only because of that: what watches in the
# first works in the second, too, and not the other way round.
my @rows = (
    {   # the reactor Poll: numbers; EV: told
        module  => 'Mojo::IOLoop',
        classes => [qw(Mojo::IOLoop Mojo::Reactor)],
        watch   => sub {
            my ($loop, $fh) = @_;
            $loop ||= Mojo::IOLoop->singleton;
            my $reactor = $loop->isa('Mojo::Reactor') ? $loop : $loop->reactor;
            $reactor->io($fh => \&IO::AIO::poll_cb)->watch($fh, 1, 0);
            return [$reactor, $fh];
        },
        unwatch => sub { my ($reactor, $fh) = @{ $_[0] }; $reactor->remove($fh) },
    },
    {   # Select and Poll: numbers. (Epoll 0.22 forgets all that it watches in a child.)
        module  => 'IO::Async::Loop',
        classes => [qw(IO::Async::Loop)],
        watch   => sub {
            my ($loop, $fh) = @_;
            $loop ||= IO::Async::Loop->new;
            $loop->watch_io(handle => $fh, on_read_ready => \&IO::AIO::poll_cb);
            return [$loop, $fh];
        },
        unwatch => sub { my ($loop, $fh) = @{ $_[0] }; $loop->unwatch_io(handle => $fh, on_read_ready => 1) },
    },
    {   # numbers; the child goes on with the parent's sessions
        module  => 'POE::Kernel',
        classes => [qw(POE POE::Kernel)],
        watch   => sub {
            my (undef, $fh) = @_;
            require POE::Session;
            my $session = POE::Session->create(inline_states => {
                _start  => sub {
                    $POE::Kernel::poe_kernel->detach_myself; # no child of the session that is active just now
                    $POE::Kernel::poe_kernel->select_read($fh, 'results');
                },
                results => sub { IO::AIO::poll_cb() },
                unwatch => sub { $POE::Kernel::poe_kernel->select_read($fh) },
            });
            return $session->ID;
        },
        unwatch => sub { $POE::Kernel::poe_kernel->call($_[0], 'unwatch') },
    },
    {   # numbers; but the connection to the display is the parent's. Tk ties the handle, so
        # it gets another one, of the same number.
        module  => 'Tk',
        classes => [qw(Tk Tk::Widget MainWindow)],
        watch   => sub {
            my ($window, $shared) = @_;
            open my $fh, '<&=', $shared or die "fdopen: $!\n";
            Tk->fileevent($fh, readable => \&IO::AIO::poll_cb);
            return $fh;
        },
        unwatch => sub { Tk->fileevent($_[0], readable => '') },
    },
    {   # Nobody but the program decides which loop AnyEvent takes, or when. EV: told; Event,
        # Glib and its own: numbers; with others (all of which come before it here) the watcher is
        # the parent's, as AnyEvent duplicates the descriptor for them.
        module  => 'AnyEvent',
        classes => [qw(AnyEvent AE)],
        watch   => sub {
            my (undef, $fh) = @_;
            my %kept;
            my $kept = \%kept;
            Scalar::Util::weaken($kept); # or what waits for AnyEvent to choose would live for ever
            $kept{guard} = AnyEvent::post_detect(sub {
                return unless $kept;
                $kept->{watcher} = AnyEvent->io(fh => $fh, poll => 'r', cb => \&IO::AIO::poll_cb);
                $kept->{ev} = tell_ev_of_forks(EV::default_loop()) if $INC{'EV.pm'};
            });
            return \%kept;
        },
        unwatch => sub { %{ $_[0] } = () },
    },
    {   # told
        module  => 'EV',
        classes => [qw(EV EV::Loop)],
        # (a loop of the program's own is told here, the default one anyway)
        watch   => sub {
            my ($loop, $fh) = @_;
            $loop ||= EV::default_loop();
            return [$loop->io($fh, EV::READ(), \&IO::AIO::poll_cb), tell_ev_of_forks($loop)];
        },
        unwatch => sub { $_->stop for @{ $_[0] } },
    },
    {   # numbers. A watch whose callback dies is gone.
        module  => 'Glib',
        classes => [qw(Glib Glib::MainLoop Glib::MainContext)],
        watch   => sub {
            my ($loop, $fh) = @_;
            my $context = $loop && $loop->isa('Glib::MainLoop') ? $loop->get_context : $loop;
            die "only the default context can watch a descriptor\n"
                if $context && $$context != ${ Glib::MainContext->default };
            my %kept = (fd => fileno $fh);
            watch_by_glib(\%kept);
            return \%kept;
        },
        unwatch => sub { Glib::Source->remove(delete $_[0]{id}) },
    },
    {   # numbers
        module  => 'Event',
        classes => [qw(Event)],
        watch   => sub { Event->io(fd => $_[1], poll => 'r', cb => \&IO::AIO::poll_cb, desc => 'IO::AIO') },
        unwatch => sub { $_[0]->cancel },
    },
    {   # As its implementation is: this is for those that are none of the above. (They are loaded
        # for the sake of others, and this one last.)
        module  => 'Future::IO',
        classes => [qw(Future::IO)],
        watch   => sub {
            my (undef, $fh) = @_;
            my %kept = (fh => $fh);
            wait_by_future(\%kept);
            return \%kept;
        },
        unwatch => sub {
            my ($kept) = @_;
            my $future = delete $kept->{future};
            delete $kept->{fh};
            $future->cancel if $future;
        },
    },
);

# EV has to be told in the child, before it waits. Returns a watcher that does, which does
# not keep the loop running.
sub tell_ev_of_forks {
    my ($loop) = @_;
    my $pid = $$;
    my $watcher = $loop->prepare(sub {
        return if $$ == $pid;
        $pid = $$;
        $loop->loop_fork;
    });
    $watcher->keepalive(0);
    return $watcher;
}

sub watch_by_glib {
    my ($kept) = @_;
    Scalar::Util::weaken(my $weak = $kept);
    $kept->{id} = Glib::IO->add_watch($kept->{fd}, 'in', sub {
        return 1 if eval { IO::AIO::poll_cb(); 1 };
        my $died = $@;
        watch_by_glib($weak) if $weak && $weak->{id};
        die $died;
    });
}

# Waits until the descriptor is readable, polls, and so on. Reading it does no harm, for
# implementations that have nothing else.
sub wait_by_future {
    my ($kept) = @_;
    my $impl = $Future::IO::IMPL || 'Future::IO::_DefaultImpl';
    my $fh   = $kept->{fh};
    $kept->{future} =
          $impl->can('ready_for_read') ? $impl->ready_for_read($fh)
        : $impl->can('poll')           ? $impl->poll($fh, 1)            # POLLIN
        :                                Future::IO->sysread($fh, 8);
    Scalar::Util::weaken($kept);
    $kept->{future}->on_ready(sub {
        my ($future) = @_;
        return if !$kept || !$kept->{fh} || $future->is_cancelled;
        my $ok = eval { IO::AIO::poll_cb(); 1 };
        my $died = $@;
        wait_by_future($kept) if $kept && $kept->{fh};
        die $died unless $ok;
    });
}

my $attached; # { row, kept }

sub file_of { $_[0] =~ s{::}{/}gr . '.pm' }

# The row for an argument, and the object if it is one.
sub row_of {
    my ($loop) = @_;
    if (!defined $loop) {
        for my $row (@rows) { return $row if $INC{ file_of($row->{module}) } }
        Carp::croak('IO::AIO::attach: no event loop is loaded; looked for ' . join ', ', map $_->{module}, @rows);
    }
    my $class = Scalar::Util::blessed($loop) // $loop;
    eval { require(file_of($class)) } if !ref $loop && $loop =~ /^\w+(?:::\w+)*\z/;
    for my $row (@rows) {
        next unless grep { $class eq $_ || UNIVERSAL::isa($class, $_) } @{ $row->{classes} };
        eval { require(file_of($row->{module})) } or Carp::croak("IO::AIO::attach: $@");
        return ($row, ref $loop ? $loop : undef);
    }
    Carp::croak("IO::AIO::attach: $class is no event loop that is known; those are " . join ', ', map $_->{module}, @rows);
}

# Anew each time: the loop, or the process, may be another than the last time, and the
# descriptor, too, if the program has closed it. (Hence the order: handle and number
# belong together until poll_handle.)
sub attach {
    Carp::croak('Usage: IO::AIO::attach [$loop]') if @_ > 1;
    my ($loop) = @_;
    my ($row, $object) = !defined $loop && $attached ? @$attached{qw(row object)} : row_of($loop);
    eval { detach(); 1 } or undef $attached;
    my $fh = IO::AIO::poll_handle();
    my $kept = eval { $row->{watch}->($object, $fh) }
        // Carp::croak("IO::AIO::attach: $row->{module}: " . $@ =~ s/\n\z//r);
    my $ev = $INC{'EV.pm'} ? tell_ev_of_forks(EV::default_loop()) : undef;
    $attached = { row => $row, object => $object, kept => $kept, ev => $ev };
    return $row->{module};
}

sub detach {
    my $old = $attached or return '';
    undef $attached;
    $old->{row}{unwatch}->($old->{kept});
    return $old->{row}{module};
}

# A thread has results, and perhaps a loop, of its own.
sub CLONE { undef $attached }

1;
