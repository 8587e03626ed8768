package Coro::AIO;

# Every request of IO::AIO as a function that blocks the calling coro only. Nothing is listed here:
# what there is to wrap, and how many arguments it takes, is read off the loaded IO::AIO.

use strict;
use warnings;

use AnyEvent ();
use Carp qw(croak);
use Coro ();
use Exporter 'import';
use IO::AIO ();
use Scalar::Util qw(blessed set_prototype weaken);

our $VERSION = '7.0'; # later than Coro's own of that name

my %seen;
our @EXPORT    = grep !$seen{$_}++, 'aio_wait', @IO::AIO::EXPORT, @IO::AIO::AIO_REQ;
our @EXPORT_OK = @IO::AIO::EXPORT_OK;

# The watcher that calls back; until AnyEvent has chosen its event loop, the guard of the hook that will
# create it. Thus undef disables it at any time.
our $WATCHER;
{
    my $guard = AnyEvent::post_detect {
        $WATCHER = AnyEvent->io(fh => IO::AIO::poll_fileno(), poll => 'r', cb => \&IO::AIO::poll_cb);
    };
    $WATCHER ||= $guard;
}

# What "_" refers to belongs to the interpreter, not to a coro: it is taken along as a string. An IO::AIO
# that has no access to it leaves "_" to whoever came last.
my $stat_save    = IO::AIO->can('_stat_save')    || sub { undef };
my $stat_restore = IO::AIO->can('_stat_restore') || sub { undef };

# What a coro waits for, and the callback that will tell. The coro alone keeps the first alive: when an exception or
# its end stops it from waiting, the callback finds nobody to wake. While others run, "_" is kept as it is now,
# or as the callback finds it if the request is there to set it.
sub _prepare {
    my ($sets_stat) = @_;
    my $state = { coro => $Coro::current, stat => $stat_save->() };
    weaken(my $waiting = $state);
    AnyEvent::detect() unless $AnyEvent::MODEL;
    return $state, sub {
        my $state = $waiting or return;
        $state->{errno}   = $! + 0;
        $state->{stat}    = $stat_save->() if $sets_stat;
        $state->{results} = [@_];
        $state->{coro}->ready;
    };
}

# What is left to do when the callback has told.
sub _results {
    my ($state) = @_;
    $stat_restore->($state->{stat});
    $! = $state->{errno};
    return wantarray ? @{ $state->{results} } : $state->{results}[-1];
}

sub _wrap {
    my ($name, $function, $nargs) = @_;
    my $sets_stat = $name =~ /\Aaio_l?stat\z/;
    return sub {
        croak "Usage: Coro::AIO::$name: $nargs argument(s) and no callback" if @_ != $nargs;
        my ($state, $callback) = _prepare($sets_stat);
        IO::AIO::aioreq_pri($Coro::current->prio);
        my $error = do {
            local $@;
            eval { $function->(@_, $callback); 1 } ? undef : $@;
        };
        _blame_caller($error) if defined $error;
        Coro::schedule() until $state->{results};    # no function around this: see BUGS
        return _results($state);
    };
}

# What else may be set for the next request, as far as this IO::AIO has it.
my @for_next = grep $_, map IO::AIO->can($_), qw(aioreq_timeout aioreq_class);

# Raises an error in the arguments as if the caller had called IO::AIO itself. The request that the priority and
# the like were meant for does not come.
sub _blame_caller {
    my ($error) = @_;
    IO::AIO::aioreq_pri(0);
    $_->(undef) for @for_next;
    die $error if ref $error;
    $error =~ s/ at \Q${\__FILE__}\E line \d+(?:, <.*> \w+ \d+)?\.\n\z// or die $error;
    croak $error;
}

sub aio_wait($) {
    my ($request) = @_;
    blessed $request && $request->isa('IO::AIO::REQ')
        or croak 'Coro::AIO::aio_wait: not a request object';
    my ($state, $callback) = _prepare(1);
    $request->cb($callback);
    return unless $request->cb;    # done before: there is nothing to come
    Coro::schedule() until $state->{results};
    return _results($state);
}

{
    no strict 'refs';

    for my $name (@IO::AIO::AIO_REQ ? @IO::AIO::AIO_REQ : grep /\Aaio_/, @IO::AIO::EXPORT) {
        my $function = IO::AIO->can($name) or next;
        (my $prototype = prototype $function) =~ tr/;//d;
        $prototype =~ s/\A(\$*)\$\z/$1;/ or next;    # the callback comes last
        *$name = set_prototype(\&{ _wrap($name, $function, length($prototype) - 1) }, $prototype);
    }

    # All else is IO::AIO's own. Its functions have prototypes; what it imports or inherits has not.
    for my $name (keys %IO::AIO::) {
        next if $name =~ /::\z/ || defined &$name;
        my $function = IO::AIO->can($name) or next;
        *$name = $function if defined prototype $function;
    }
}

1;

__END__

=encoding utf-8

=head1 NAME

Coro::AIO - file I/O that blocks one coro, not the process

=head1 SYNOPSIS

    use Coro;
    use Coro::AIO;
    use Fcntl;

    # three files at once, each read by straight code
    my @readers = map {
        my $path = $_;
        async {
            my $fh = aio_open $path, O_RDONLY, 0
                or die "$path: $!";
            aio_stat $fh;
            aio_read $fh, 0, -s _, my $data, 0;
            $data;
        }
    } '/etc/passwd', '/etc/group', '/etc/hosts';

    print $_->join for @readers;

=head1 DESCRIPTION

L<IO::AIO> answers by callback. Within L<Coro> that is not needed: a coro can wait while the others go on. This module
has each request of IO::AIO as a function that does so. It takes the same arguments less the callback, submits the
request, lets other coros run until the request has finished, and returns what a callback would have been given:

    IO::AIO::aio_stat $path, sub { my ($status) = @_; ... };    # IO::AIO
    my $status = aio_stat $path;                                # Coro::AIO

Arguments that are optional in IO::AIO must be given; C<undef> does for most. In list context all results are
returned, in scalar context the last one, and nothing where the callback would have got no arguments.

After the call C<$!> is as the callback would have found it: look at it when the result tells of a failure.

After C<aio_stat> and C<aio_lstat>, C<_> has their answer, so that C<-s _> and C<stat _> work, however many coros
do the same. All other requests leave C<_> alone: it is still what this coro had there before, whatever ran in the
meantime. (With releases of IO::AIO before 5.0 it is what any coro put there last.)

Requests run at the priority of the coro that calls (see C<prio> in L<Coro>); what was set by C<aioreq_pri> is
replaced by it.

A time limit that was set by C<aioreq_timeout>, which is exported on request, applies to the next call in any coro: set it
directly before. When the time is up the call returns as after any failure, with ETIMEDOUT in C<$!>:

    aioreq_timeout 5;
    my $fh = aio_open $path, O_RDONLY, 0
        or die $!{ETIMEDOUT} ? "$path: no answer" : "$path: $!";

L<IO::AIO/$req-E<gt>timeout> limits a group that C<aio_wait> waits for.

Errors in the arguments are exceptions, raised at once, as IO::AIO raises them. An exception that is thrown into a waiting
coro, and the end of that coro, end the waiting but not the request.

=head1 FUNCTIONS

=over 4

=item ... = aio_xxx ...

The functions are made when the module is loaded, from what IO::AIO has: the requests named in C<@IO::AIO::AIO_REQ>, with
the number of arguments that their prototypes tell. A request that a later IO::AIO adds is here without a
change. They are described in L<IO::AIO>; in this form the common ones are:

    $fh       = aio_open $pathname, $flags, $mode
    $status   = aio_close $fh
    $offset   = aio_seek $fh, $offset, $whence
    $count    = aio_read $fh, $offset, $length, $data, $dataoffset
    $count    = aio_write $fh, $offset, $length, $data, $dataoffset
    $count    = aio_sendfile $out_fh, $in_fh, $in_offset, $length
    $status   = aio_readahead $fh, $offset, $length
    $status   = aio_stat $fh_or_path
    $status   = aio_lstat $fh_or_path
    $status   = aio_truncate $fh_or_path, $length
    $status   = aio_unlink $pathname
    $status   = aio_rename $from, $to
    $status   = aio_mkdir $pathname, $mode
    $status   = aio_rmdir $pathname
    $target   = aio_readlink $pathname
    $entries  = aio_readdir $pathname
    ($dirs, $nondirs) = aio_scandir $pathname, $maxreq
    $count    = aio_load $pathname, $data
    $status   = aio_copy $from, $to
    $status   = aio_rmtree $pathname
    $status   = aio_fsync $fh
    $status   = aio_fdatasync $fh

=item @results = aio_wait $request

Waits for a request that was made through IO::AIO, and returns its results like the functions above. It is meant for
groups:

    my $group = IO::AIO::aio_group;
    IO::AIO::add $group IO::AIO::aio_unlink $_ for @paths;
    aio_wait $group;

The request's callback is replaced by the waiting one, so only one coro can wait for a request. If the request
is already done, nothing is returned, at once. A request that is cancelled never finishes: whoever waits for it
waits until it is woken by other means.

=item everything else

What IO::AIO exports by default is exported by default here too, and what it exports on demand is here on demand:
C<use Coro::AIO qw(aio_stat nreqs)>. All of its functions and constants can be called by their full names, as in
C<Coro::AIO::nreqs> or C<Coro::AIO::O_RDONLY>.

=back

=head1 EVENTS

A watcher on C<IO::AIO::poll_fileno>, created as soon as L<AnyEvent> has chosen an event loop (at the latest when the
first function of this module is called), hands out the results. A program need not call C<poll_cb> or any of its kin,
but may. It may also use requests of IO::AIO with callbacks beside the functions of this module.

No function of this module may be called in a callback of IO::AIO, since the callbacks of others would wait
for it, perhaps the one that it waits for. Use a coro of its own for it:

    IO::AIO::aio_mkdir $dir, 0777, sub {
        async { aio_rename "$_.new", $_ for @files };
    };

=over 4

=item $Coro::AIO::WATCHER

Holds the watcher. C<undef $Coro::AIO::WATCHER> does away with it; then it is up to the program to call C<poll_cb>.

=back

=head1 BUGS

C<< $coro->cancel >> of Coro 6.57 can damage a process if the coro is cancelled while it waits two or more levels deep in
functions or C<eval> blocks written in Perl, whatever it waits for. Functions of this module are one such level, those
of the Coro::AIO that comes with Coro are none. Prefer C<< $coro->throw >>, which has no such trouble.

=head1 SEE ALSO

L<IO::AIO>, L<Coro>, L<AnyEvent>.

=cut
