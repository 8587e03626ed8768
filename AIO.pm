package IO::AIO;

# Exports, and the composite requests; the manual is at the end. Everything
# else is C: the glue in xs/, and libeio below it.

use 5.016;
use strict;
use warnings;

our $VERSION = '5.0';

use Exporter ();
use XSLoader ();

our @ISA = 'Exporter';
@IO::AIO::GRP::ISA = 'IO::AIO::REQ';

XSLoader::load ('IO::AIO', $VERSION);

# Composite requests ----------------------------------------------------
#
# Each is a group. Most have one member that does the whole work in one hop and
# whose results become the group's (_whole). Arguments are checked first, so
# that nothing is queued when one is bad.

sub _around {
    my ($pri, $req, $cb) = @_;
    _whole ($req, $pri, $cb);
}

sub aio_load($$;$) {
    my $cb = _callback ($_[2], @_ - 2);
    _around (aioreq_pri (), _load ($_[0], $_[1]), $cb);
}

sub aio_pathsync($;$) {
    my $cb = _callback ($_[1], @_ - 1);
    _around (aioreq_pri (), _pathsync ($_[0]), $cb);
}

sub aio_copy($$;$) {
    my $cb = _callback ($_[2], @_ - 2);
    _around (aioreq_pri (), _copy ($_[0], $_[1]), $cb);
}

# The number of requests at a time is always within $maxreq: there is one.
sub aio_scandir($$;$) {
    my $cb = _callback ($_[2], @_ - 2);
    _around (aioreq_pri (), _scandir ($_[0]), $cb);
}

sub aio_rmtree($;$) {
    my $cb = _callback ($_[1], @_ - 1);
    _around (aioreq_pri (), _rmtree ($_[0]), $cb);
}

sub aio_move($$;$) {
    my $cb = _callback ($_[2], @_ - 2);
    # the caller may reuse [$wd, $path] before we need it again
    my ($src, $dst) = map { ref eq 'ARRAY' ? [@$_] : $_ } @_[0, 1];
    my $pri = aioreq_pri ();
    my $req = aio_rename ($src, $dst);

    aioreq_pri ($pri);
    my $grp = aio_group ($cb);
    $grp->add ($req);

    my $next = sub {
        my ($call, @args) = @_;
        aioreq_pri ($pri);
        $grp->add ($call->(@args));
    };

    $req->cb (sub {
        my $exdev = $_[0] < 0 && $! == EXDEV ();
        return $grp->result ($_[0]) unless $exdev;

        $next->(\&_copy, $src, $dst, sub {
            return $grp->result ($_[0]) if $_[0] < 0;
            $next->(\&aio_unlink, $src, sub { $grp->result ($_[0]) });
        });
    });

    $grp
}

# Exports ---------------------------------------------------------------

# every request there is, also those that come with later versions
our @AIO_REQ = sort grep { /^aio_/ && defined &$_ } keys %IO::AIO::;

our @EXPORT = ((grep { $_ ne 'aio_busy' } @AIO_REQ), qw(aioreq_pri aioreq_nice));

our @EXPORT_OK = qw(
    poll_fileno poll_cb poll_wait flush
    min_parallel max_parallel max_idle idle_timeout max_poll_reqs max_poll_time
    nreqs nready npending nthreads
    accept4 eventfd fadvise fexecve madvise memfd_create mmap mount mremap
    munlock munlockall munmap pidfd_getfd pidfd_open pidfd_send_signal pipe2
    pipesize sendfile splice tee timerfd_create timerfd_gettime timerfd_settime
    umount
);

# What can still execute at the end of the program is waited for; the exit
# status is the program's.
END {
    my $status = $?;
    _end () if defined &_end;
    $? = $status;
}

1;
