package Future::AIO;

# Every request of IO::AIO as a function that returns a future. Nothing is listed here: what there is to wrap, its
# arguments, and what its results mean are read off the loaded IO::AIO.

use 5.016;
use strict;
use warnings;

use Carp qw(croak);
use Exporter ();
use Future ();
use Future::Exception ();
use IO::AIO ();
use Scalar::Util qw(blessed set_prototype);

our $VERSION = '5.0';

# The functions that _function makes stand between the program and this file.
our @CARP_NOT = 'IO::AIO';

# What a request is -----------------------------------------------------

# What the callback gets when a request has failed.
my $is_negative = sub { $_[0] < 0 };
my $is_missing  = sub { !defined $_[0] };
my $is_either   = sub { !defined $_[0] || $_[0] eq '-1' };
my $is_never    = sub { 0 };

# By the kinds of result of eio_results.def: what a failure is, and how the one value is made of the callback's arguments
# where it is not the first of them.
my %RESULT = (
    NONE    => [$is_never],
    SCANDIR => [$is_missing, sub { [@_] }],
    (map { $_ => [$is_negative] } qw(STATUS COUNT DATA ARG)),
    (map { $_ => [$is_negative, sub { $_[0] }] } qw(DONE FILLED)),
    NAMED   => [$is_missing, sub { $_[0] }],
    (map { $_ => [$is_missing] } qw(FD WD STAT STATX STATVFS NAMES DENTS STRING PAGES EXTENTS)),
);

# The object of aio_stat and aio_lstat has the time of birth, so what they ask is aio_statx's. (Names of theirs, and
# compiled in IO::AIO: what is croaked there is about them, and blamed on their caller.)
{
    my $mask = IO::AIO::STATX_BASIC_STATS() | IO::AIO::STATX_BTIME();

    package IO::AIO;
    sub Future::AIO::Instead::aio_stat  { aio_statx($_[0], AT_NO_AUTOMOUNT(), $mask, $_[1]) }
    sub Future::AIO::Instead::aio_lstat { aio_statx($_[0], AT_NO_AUTOMOUNT() | AT_SYMLINK_NOFOLLOW(), $mask, $_[1]) }
}

# All that _function has to know about a request.
sub _operation {
    my ($name) = @_;
    my ($letters, $kind, @defaults) = IO::AIO::_row($name =~ s/\Aaio_//r);
    my $function = Future::AIO::Instead->can($name) || IO::AIO->can($name);
    my ($must, $may) = split /;/, prototype("IO::AIO::$name") . ';', -1;
    my $max = length("$must$may") - 1;    # the callback comes last
    my $min = length $must < $max ? length $must : $max;
    $letters = length($letters // '') ? $letters =~ s/;//r : length $must ? 'P' : '';    # what is made of walks has a path
    my ($failed, $value) = @{ $RESULT{ $kind // '' } || [$is_either] };
    return {
        name     => $name,
        function => $function,
        min      => $min,
        max      => $max,
        defaults => @defaults ? \@defaults : [(undef) x ($max - $min)],    # of what may be left out
        failed   => $failed,
        value    => $value,
        files    => $letters =~ /[QRX]/ ? 2 : $letters =~ /\A[FWEPS]/ ? 1 : 0,    # arguments that are in a failure
        second   => $letters =~ /[QRX]/ ? $-[0] + 0 : 0,    # which is the second of them
        named    => !!($letters =~ /\A[EPS]/),    # they are paths
        data     => $letters =~ /[BY]/ ? $-[0] + 0 : -1,    # where the scalar is that gets filled
        partial  => ($kind // '') eq 'DONE' || ($kind // '') eq 'FILLED',     # how far a failure got comes with it
        ends     => ($kind // '') eq 'COUNT' || ($kind // '') eq 'FILLED',    # and 0 octets in it are the end of the file
    };
}

# What a future fails with: a message, the operation, the file, the error, the second file of those that have two, and
# how far it got for those that tell.
sub _failure {
    my ($op, $file, $second, $done) = @_;
    my $errno = $!;
    my @second = $op->{files} < 2 ? () : $second;
    my @paths = $op->{named} ? map _path($_), $file, @second : ();
    my $where = @paths ? join(' -> ', @paths) . ': ' : '';
    return ("$op->{name}: $where$errno", $op->{name}, $file, $errno, @second, $op->{partial} ? $done : ());
}

# A path as it goes into a message; nothing for handles and directory objects.
sub _path {
    my ($file) = @_;
    return _path($file->[1]) if ref $file eq 'ARRAY';
    return ref \$file eq 'GLOB' || ref $file && !overload::Method($file, '""') ? () : $file // '';
}

sub _usage {
    my ($op) = @_;
    my ($min, $max, $data) = @$op{qw(min max data)};
    my $range = $min == $max ? $max : "$min to $max";
    croak "Usage: Future::AIO::$op->{name}: ", ($data >= 0 ? "$data or $range" : $range), ' argument(s) and no callback';
}

# Classes of futures ----------------------------------------------------

# How futures of a class are made, how they succeed and fail, and whether they can be cancelled. Without a class, it
# is for each future the loop's own, where there is a loop that has some.
sub _class {
    my ($class) = @_;
    return { new => \&_new_future, done => 'done', fail => 'fail', cancel => 1 } unless defined $class;
    my $file = "$class.pm" =~ s{::}{/}gr;
    $class->can('new') || eval { require $file } or croak "Future::AIO: cannot load $class: $@";
    return { new => sub { $class->new }, done => 'done', fail => 'fail', cancel => !!$class->can('on_cancel') }
        if $class->can('done') && $class->can('fail');
    croak "Future::AIO: $class is no class of futures (methods done and fail) or promises (resolve and reject)"
        unless $class->can('resolve') && $class->can('reject');
    my $attach = $class->can('ioloop') ? sub { _attach($_[0]->ioloop) } : sub { };
    return {
        new => sub { my $promise = $class->new; $attach->($promise); $promise },
        done => 'resolve', fail => sub { (shift)->reject(Future::Exception->new(@_)) },
    };
}

sub _new_future {
    no warnings 'once';
    if (my $loop = $IO::Async::Loop::ONE_TRUE_LOOP) {
        _attach($loop);
        return Future::AIO::Future::OfLoop->new($loop);
    }
    _attach('Future::IO') if _implementation();
    return Future::AIO::Future->new;
}

# Has a loop watch for results, once in each process.
my ($attached, $process) = ('', 0);

sub _attach {
    my ($loop) = @_;
    return if $attached eq $loop && $process == $$;
    ($attached, $process) = ($loop, $$);
    require IO::Async::Future if $loop->isa('IO::Async::Loop');
    IO::AIO::attach($loop);
}

# The implementation of Future::IO that the program has chosen, if it is one that knows nothing of this module. The one
# that Future::IO has itself cannot wait for two handles.
sub _implementation {
    no warnings 'once';
    my $implementation = $Future::IO::IMPL;
    return $implementation if $implementation && $implementation !~ /\AFuture::IO::(?:Impl::AIO|_DefaultImpl)\z/;
    return;
}

# Functions -------------------------------------------------------------

# Whether a callback runs, and whether an await has handed it out; how often that may happen before the loop does it.
our ($calling, $eagerly) = ('', '');
my $EAGER = 16;
my $left = $EAGER;

# Three functions for each request, by the number of arguments. All make a request and return its future; and all are compiled
# in IO::AIO, so that what is croaked there is blamed on their caller, and pass arguments on as they are, for some get filled.

# With all arguments.
sub _function {
    my ($class, $op) = @_;
    my ($new, $done, $fail, $cancel) = @$class{qw(new done fail cancel)};
    my ($function, $max, $failed, $value, $files, $at) = @$op{qw(function max failed value files second)};
    my $others = _with_fewer($class, $op);

    package IO::AIO;
    return sub {
        goto &$others if @_ != $max;
        my $future  = $new->();
        my $file    = $files ? $_[0] : undef;
        my $second  = $files > 1 ? $_[$at] : undef;
        my $request = &$function(@_, sub {
            $left = $EAGER unless $eagerly;
            local $calling = 1;
            &$failed ? $future->$fail(Future::AIO::_failure($op, $file, $second, $_[1])) : $future->$done($value ? &$value : @_);
        });
        $future->on_cancel(sub { $request->cancel }) if $cancel;
        return $future;
    };
}

# Without some of those that may be left out.
sub _with_fewer {
    my ($class, $op) = @_;
    my ($min, $max, $defaults) = @$op{qw(min max defaults)};
    my $without_scalar = _without_scalar($class, $op);
    my $function = $min < $max ? _function($class, { %$op, min => $max }) : undef;

    package IO::AIO;
    return sub {
        goto &$without_scalar if @_ < $min || @_ >= $max;
        return &$function(@_, @$defaults[@_ - $min .. $#$defaults]);
    };
}

# Without the scalar that it fills: the data is the value.
sub _without_scalar {
    my ($class, $op) = @_;
    my ($new, $done, $fail, $cancel) = @$class{qw(new done fail cancel)};
    my ($function, $max, $failed, $scalar, $ends) = @$op{qw(function max failed data ends)};
    my @behind = (0) x ($max - $scalar - 1);    # the place in it

    package IO::AIO;
    return sub {
        @_ == $scalar or Future::AIO::_usage($op);
        my ($future, $data) = $new->();
        my $file    = $_[0];
        my $request = &$function(@_, $data, @behind, sub {
            $left = $EAGER unless $eagerly;
            local $calling = 1;
            &$failed ? $future->$fail(Future::AIO::_failure($op, $file)) : $future->$done($ends && !length $data ? () : $data);
        });
        $future->on_cancel(sub { $request->cancel }) if $cancel;
        return $future;
    };
}

# The future of a request that was made through IO::AIO: its results are those of the callback, whatever they mean.
sub _wait {
    my ($class) = @_;
    my ($new, $done, $cancel) = @$class{qw(new done cancel)};
    return sub {
        my ($request) = @_;
        blessed $request && $request->isa('IO::AIO::REQ') or croak 'Future::AIO::aio_wait: not a request object';
        my $future = $new->();
        $request->cb(sub { $left = $EAGER unless $eagerly; local $calling = 1; $future->$done(@_) });
        return $future->$done unless $request->cb;    # done before: there is nothing to come
        $future->on_cancel(sub { $request->cancel }) if $cancel;
        return $future;
    };
}

# Fills a package with the functions of a class.
sub _fill {
    my ($package, $class) = @_;
    my $define = sub {
        my ($op, $least, $most) = @_;
        no strict 'refs';
        *{"${package}::$op->{name}"} =
            set_prototype(\&{ _function($class, $op) }, '$' x $least . ';' . '$' x ($most - $least));
    };
    for my $name (grep $_ ne 'aio_group', @IO::AIO::AIO_REQ) {
        next unless (prototype "IO::AIO::$name" // '') =~ /\A\$*;?\$*\$\z/;    # the callback comes last
        my $op = _operation($name);
        $define->($op, $op->{data} < 0 ? $op->{min} : $op->{data}, $op->{max});
    }
    my $read = _operation('aio_read');
    $define->({ %$read, name => 'aio_pread' }, ($read->{data}) x 2);
    no strict 'refs';
    *{"${package}::aio_wait"} = set_prototype(\&{ _wait($class) }, '$');

    # All else is IO::AIO's own. Its functions have prototypes; what it imports or inherits has not.
    for my $name (keys %IO::AIO::) {
        next if $name =~ /::\z/ || defined &{"${package}::$name"};
        my $function = IO::AIO->can($name) or next;
        *{"${package}::$name"} = $function if defined prototype $function;
    }
    my %seen;
    @{"${package}::EXPORT"}    = grep !$seen{$_}++, qw(aio_wait aio_pread), @IO::AIO::EXPORT, @IO::AIO::AIO_REQ;
    @{"${package}::EXPORT_OK"} = @IO::AIO::EXPORT_OK;
    @{"${package}::ISA"}       = 'Exporter';
}

my %package;    # by class

sub import {
    my ($package, @names) = @_;
    if (@names && $names[0] eq '-class') {
        (undef, my $class) = splice @names, 0, 2;
        $package = $package{ $class // croak 'Future::AIO: -class needs the name of a class' } ||= do {
            my $new = "Future::AIO::of::$class";
            _fill($new, _class($class));
            $new;
        };
    }
    $package->export_to_level(1, $package, @names);
}

_fill(__PACKAGE__, _class());

# Futures that hand out results while they are awaited ------------------

# Waits for something that may make a future ready; false when there is nothing. Who serves more than this module takes
# its place.
our $WAIT = sub {
    my ($future) = @_;
    if (my $implementation = _implementation()) {    # the first one's class knows how to wait
        Future->wait_any($implementation->sleep(3600), $future->without_cancel)->await;
        return 1;
    }
    return '' unless IO::AIO::nreqs();
    IO::AIO::poll_wait();
    return 1;
};

package Future::AIO::Future {
    our @ISA = 'Future';
    our @CARP_NOT = qw(Future Future::PP Future::XS);

    sub await {
        my ($self) = @_;
        until ($self->is_ready) {
            IO::AIO::poll_cb();
            last if $self->is_ready;
            $WAIT->($self) or Carp::croak('Future::AIO: nothing is outstanding that the future could wait for');
        }
        return $self;
    }

    # What is done already is handed out here, and the async sub goes on at once: but not in a callback, and only so many
    # times in a row, as one that always has something to go on with would keep the loop and the others waiting.
    sub AWAIT_IS_READY {
        my ($self) = @_;
        return 1  if $self->is_ready;
        return '' if $calling || $left <= 0;
        $left--;
        local $eagerly = 1;
        IO::AIO::poll_cb();
        return $self->is_ready;
    }
}

# Those of IO::Async's loops: what is done already need not wait for the loop to turn.
package Future::AIO::Future::OfLoop {
    our @ISA = 'IO::Async::Future';

    sub await {
        my ($self) = @_;
        IO::AIO::poll_cb() unless $self->is_ready;
        return $self->is_ready ? $self : $self->SUPER::await;
    }

    *AWAIT_IS_READY = \&Future::AIO::Future::AWAIT_IS_READY;
}

1;

__END__

=encoding utf-8

=head1 NAME

Future::AIO - file I/O with futures, async and await

=head1 SYNOPSIS

=for example begin future-synopsis needs Future::AsyncAwait

    use Future::AIO;
    use Future::AsyncAwait;
    use Future::Utils qw(fmap);

    async sub first_line {
        my ($path) = @_;
        my $fh   = await aio_open $path, IO::AIO::O_RDONLY, 0;
        my $stat = await aio_stat $fh;
        my $data = await aio_pread $fh, 0, $stat->size < 4096 ? $stat->size : 4096;
        return "$path: " . ($data // "") =~ s/\n.*//sr . "\n";
    }

    # one file, or many, eight at a time
    print first_line("data.txt")->get;
    print fmap { first_line(shift) } foreach => [glob "tree/*.txt"], concurrent => 8;

    # the first failure of a chain is the chain's
    first_line("missing.txt")
        ->catch(aio_open => sub { Future->done("no such file\n") })
        ->on_done(sub { print @_ })
        ->await;

=for example end

=head1 DESCRIPTION

L<IO::AIO> answers by callback. This module has each of its requests as a function that takes the same arguments less the
callback and returns a L<Future>, or a promise of a class that you choose. The future is done when the request is,
with its result as the value; it fails when the request does, with a failure that says which operation failed, on
what, and why.

    IO::AIO::aio_stat $path, sub { my ($status) = @_; ... };    # IO::AIO
    my $stat = await aio_stat $path;                            # Future::AIO

Requests are submitted when the function is called, not when the future is awaited. So two calls run at the same time, and
C<aioreq_pri> applies to the next one as ever. Errors in the arguments are exceptions at the line of the call, as
IO::AIO has them, and no future then.

A future is never ready when the function returns. It becomes ready when results are handed out (C<IO::AIO::poll_cb>), and
that is when callbacks of C<on_done>, C<then> and the like run, and async subs go on.

=head1 FUNCTIONS

=head2 Requests

    $future = aio_xxx ...

The functions are made when the module is loaded, from what IO::AIO has: those named in C<@IO::AIO::AIO_REQ>, all of them
exported, C<aio_group> apart. A request that a later IO::AIO adds is here without a change. They are described in
L<IO::AIO>. Arguments that are optional there are optional here.

Each has one value, since C<await> gives scalar context to what it waits for:

    open                       a handle
    read, write, sendfile      the number of octets
    load, slurp                the number of octets
    stat, lstat, statx         an object, see below
    statvfs                    a hash
    readdir, readdirx, fiemap  an array
    scandir                    an array of two: [\@directories, \@others]
    readlink, realpath         a text
    wd                         a working directory object
    seek                       the position
    fcntl, ioctl               what the call returned
    nop                        none
    all others                 0

(In list context, C<readdirx> has its flags as second value.)

=head2 Reading without a scalar

    $future = aio_pread $fh, $offset, $length
    $future = aio_read $fh, $offset, $length
    $future = aio_slurp $pathname, $offset, $length
    $future = aio_load $pathname

Where a request fills a scalar of yours, leave that out, and what follows it: then the value is the data. At the
end of the file C<aio_pread> and C<aio_read>, which are the same here, have no value: an empty list, C<undef> in
scalar context. An empty file that is loaded is an empty string.

=head2 The object of aio_stat

C<aio_stat>, C<aio_lstat> and C<aio_statx> have the object of L<IO::AIO/aio_statx>. It belongs to a subclass of L<File::stat>:
C<dev>, C<ino>, C<mode>, C<nlink>, C<uid>, C<gid>, C<rdev>, C<size>, C<atime>, C<mtime>, C<ctime>, C<blksize>, C<blocks>, and the
file tests, as in C<-d $stat>. In addition it has nanoseconds (C<atimensec>, C<mtimensec>, C<ctimensec>) and the time of birth
(C<btime>, C<btimensec>; C<undef> where that is not known). C<_> is left alone.

=head2 aio_wait

    $future = aio_wait $request

The future of a request that was made through IO::AIO. It is meant for groups:

    my $group = IO::AIO::aio_group;
    $group->add(IO::AIO::aio_unlink $_) for @paths;
    await aio_wait $group;

Its values are the arguments of the request's callback, which it replaces; it does not fail. If the request is done
already, it is ready at once, without a value. Cancelling it cancels the request, and all members of a group.

=head2 All else

C<aioreq_pri>, C<aioreq_nice> and C<aio_group> are exported by default, and the names that IO::AIO exports on demand are
here on demand, each the same function. All functions and constants can be called by their full names, as in
C<Future::AIO::nreqs>. Import the C<aio_> functions of one of the two modules; call the others by full name.

=head1 FAILURES

    ($message, $operation, $file, $errno, $second_file) = $future->failure

=over 4

=item $message

C<aio_open: /no/such: No such file or directory>. Requests that have two paths name both, C<< aio_rename: a -> b: ... >>;
handles are not named.

=item $operation

The name of the function, which is the category of the failure: C<< ->catch(aio_open => sub { ... }) >> sees failures of
C<aio_open> only.

=item $file, $second_file

The argument, a path or a handle, that the request was about, and the second one of those that have two.

=item $errno

A copy of C<$!>, a number and a text, from when the request failed.

=back

C<get> and C<await> throw all that as an object that is a string at the same time (L<Future::Exception>):

=for example begin future-failure needs Future::AsyncAwait

    use Errno;
    use Future::AIO;
    use Future::AsyncAwait;

    async sub size {
        my ($path) = @_;
        my $stat = eval { await aio_stat $path };
        return $stat->size if $stat;
        my ($file, $errno) = $@->details;
        return 0 if $errno == Errno::ENOENT;
        die $@;
    }

    print size("missing.txt")->get, " ", size("data.txt")->get, "\n";

=for example output

prints

    0 45

=for example end

C<$!> is as IO::AIO leaves it while the future becomes ready, and not beyond: after an C<await> anything may have
run in between. That is why the failure has C<$!>, and why C<aio_stat> has an object instead of C<_>.

=head1 CANCELLING

Cancelling a future cancels its request: one that waits will not be executed, and the result of one that is
being executed is dropped (a handle gets closed). So a read may have moved the position of its handle already, and a write
may have written; reads and writes at an offset of their own can simply be repeated. Cancelling an async sub, with perl 5.24 or
later, cancels what it waits for. So does C<< Future->wait_any >> to those that come too late, which makes a timeout:

    await Future->wait_any(aio_load($path), Future::IO->sleep(5)->then_fail("too slow\n"));

=head1 TIME LIMITS

L<IO::AIO/aioreq_timeout>, exported on request, gives the next request so much time. Its future fails as any other then, with
C<ETIMEDOUT> in the details, also while no loop runs but this module's own waiting:

=for example begin future-timeout needs Future::AsyncAwait

    use Errno;
    use Future::AIO qw(:DEFAULT aioreq_timeout);
    use Future::AsyncAwait;
    use POSIX ();

    IO::AIO::engine("pool");    # threads, whatever the environment says
    POSIX::mkfifo("hangs", 0600) or die "mkfifo: $!";
    async sub try_to_open {
        my ($path) = @_;
        aioreq_timeout(0.05);
        my $fh = eval { await aio_open $path, IO::AIO::O_RDONLY, 0 };
        return "open" if $fh;
        my ($file, $errno) = $@->details;
        return $errno == Errno::ETIMEDOUT ? "$file hangs" : "$file: $errno";
    }
    print "$_\n" for map try_to_open($_)->get, "hangs", "data.txt", "missing";

=for example output

prints

    hangs hangs
    open
    missing: No such file or directory

=for example end

Set it directly before the call: an C<await> between the two lets others run, whose request it would apply to. A limit for
several requests together is that of a group, L<< C<< $req->timeout >>|IO::AIO/$req->timeout >>, or C<wait_any> as above, which
cancels what the request does instead of failing it. Either way nothing waits for a call that hangs, not even the end of
the program (L<IO::AIO/Requests that hang>).

=head1 SCALARS OF YOURS

A request with the scalar as argument reads into it in place, and sets it right before the future becomes ready. That needs
your own variable as the argument of the function of this module:

    await aio_read $fh, 0, 4096, $data, 0;    # fills $data

A wrapper that takes its arguments out of C<@_> has copies, and the data goes to the copy:

    async sub my_read { my ($fh, $data) = @_; await aio_read $fh, 0, 4096, $data, 0 }    # wrong
    async sub my_read { my ($fh) = @_;        await aio_pread $fh, 0, 4096 }             # right

Return data instead, or pass a reference and read into
C<$$reference>. The scalar cannot be changed until the request is done (L<IO::AIO/Offsets, lengths and data>).

=head1 LOOPS AND CLASSES

Which class the futures have depends on what is there when the function is called.

=over 4

=item no loop

They hand out results while they are awaited: by C<await>, C<get>, C<failure>, or C<await> outside of an async sub. To wait for
one that nothing can make ready is an exception.

=item L<IO::Async>

As soon as there is a loop (C<< IO::Async::Loop->new >>), they are futures of that loop, which watches for results by itself.

=item L<Future::IO>

With an implementation that the program has loaded, that one watches for results, and futures turn its loop while they are
awaited. (Not so with the one that Future::IO falls back on, which can wait for one handle only.) Without another
loop load L<Future::IO::Impl::AIO>, in this distribution: then pipes, sockets, timers and children work beside files.

=item promises

    use Future::AIO -class => 'Mojo::Promise';

imports functions that return promises, of this class or any other one that has C<new>, C<resolve> and C<reject>, or futures
of any class that has C<new>, C<done> and C<fail>. Promises of L<Mojolicious> have their loop watch for results. A
promise is rejected with the object that C<get> of a future throws (L</FAILURES>). It cannot be cancelled.

=for example begin future-mojo needs Mojo::Promise

    use Future::AIO -class => "Mojo::Promise";

    aio_load("missing.txt")
        ->catch(sub { my ($error) = @_; print $error->category, " failed\n"; aio_load("data.txt") })
        ->then(sub { print length shift, " octets\n" })
        ->wait;

=for example output

prints

    aio_load failed
    45 octets

=for example end

=item any other loop

Have it watch for results by L<IO::AIO/IO::AIO::attach>. Within the loop nothing else is needed. At the top of the program run
the loop instead of waiting for a future, since that waits for requests only.

=back

What has finished already when a future is awaited is handed out there and then, without a turn of the loop; also by C<await>
in an async sub, some times in a row. After that, and in callbacks of this module, async subs wait for the loop, so that
one that reads a large file from the cache does not keep others waiting.

=head1 COST

A C<stat> of a file in the cache takes about 3.5 microseconds of the processor with a plain callback, and 6.5 with a future, beyond the
3 that Future itself takes to make a future, complete it and read it. F<bench/future> measures that.

=head1 FORK

A child starts without requests, as L<IO::AIO/Fork> says: futures that are outstanding in the parent never become ready there.

=head1 SEE ALSO

L<IO::AIO>, L<Future>, L<Future::AsyncAwait>, L<Future::Utils>, L<Future::IO::Impl::AIO>; L<Coro::AIO>.

=cut
