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

# (Looking for the library sets $!, and a program that dies ends with that.)
{ local $!; XSLoader::load ('IO::AIO', $VERSION) }

# Composite requests ----------------------------------------------------
#
# (An undefined name is as a file that does not exist; the warning would tell of
# a line of this file.)
no warnings 'uninitialized';

# Each is a group with one member, which does the whole work in one hop and whose
# results become the group's (_whole). Arguments are checked first, so that nothing
# is queued when one is bad. Nothing can come between member and group that polls.
# (Perl does not count the references in @_: what the reading of one argument runs
# could free the others.)

sub aio_load($$;$) {
    my @keep = \(@_);
    my $cb = _callback ($_[2], @_ - 2);
    my $pri = aioreq_pri ();
    _whole (_load ($_[0], $_[1]), $pri, $cb);
}

sub aio_pathsync($;$) {
    my @keep = \(@_);
    my $cb = _callback ($_[1], @_ - 1);
    my $pri = aioreq_pri ();
    _whole (_pathsync ($_[0]), $pri, $cb);
}

sub aio_copy($$;$) {
    my @keep = \(@_);
    my $cb = _callback ($_[2], @_ - 2);
    my $pri = aioreq_pri ();
    _whole (_copy ($_[0], $_[1]), $pri, $cb);
}

sub aio_scandir($$;$) {
    my @keep = \(@_);
    my $cb = _callback ($_[2], @_ - 2);
    my $pri = aioreq_pri ();
    _whole (_scandir ($_[0], $_[1]), $pri, $cb);
}

# What aio_readv has read goes into the program's array, which may be tied.
sub _store_all { @{ $_[0] } = splice @{ $_[1] } }

sub aio_rmtree($;$) {
    my @keep = \(@_);
    my $cb = _callback ($_[1], @_ - 1);
    my $pri = aioreq_pri ();
    _whole (_rmtree ($_[0]), $pri, $cb);
}

sub aio_move($$;$) {
    my @keep = \(@_);
    my $cb = _callback ($_[2], @_ - 2);
    my $pri = aioreq_pri ();
    _whole (_move ($_[0], $_[1]), $pri, $cb);
}

# In parts: files of their own, loaded when they are imported or called. The program may
# have gone to another directory since, or to another root.
my ($LIB) = __FILE__ =~ m{\A(.*)IO/AIO\.pm\z}s;
$LIB = do { require Cwd; Cwd::getcwd () . "/$LIB" } if defined $LIB && $LIB !~ m{\A/};
my %PART = (aio_statx => 'Stat', aio_watch => 'Watch', aio_glob => 'Glob', attach => 'Loop');

sub _load_part {
    my $file = "IO/AIO/$_[0].pm";
    return if $INC{$file};
    local ($@, $!);
    local @INC = (defined $LIB ? $LIB : (), @INC);
    require $file;
}

sub aio_watch($$$;$) {
    my @keep = \(@_);
    my $batch = _callback ($_[2], 1);
    my $cb = _callback ($_[3], @_ - 3);
    _load_part ($PART{aio_watch});
    IO::AIO::Watch::start ($_[0], $_[1], $batch, $cb);
}

sub aio_glob($;$$) {
    my @keep = \(@_);
    my ($pattern, $flags) = @_[0, 1];
    my $cb = _callback ($_[2], @_ > 2);
    _load_part ($PART{aio_glob});
    my $wd;
    ($wd, $pattern) = IO::AIO::Glob::_split ($pattern) if ref $pattern eq 'ARRAY';
    $pattern = _octets ($pattern, 'aio_glob', 'pathname');
    $flags = _int ($flags, 'aio_glob', 'flags') if defined $flags;
    IO::AIO::Glob::start ($wd, $pattern, $flags, $cb);
}

# Event loops -----------------------------------------------------------

sub attach(;$) { _load_part ($PART{attach}); goto &IO::AIO::Loop::attach }
sub detach()   { $INC{'IO/AIO/Loop.pm'} ? IO::AIO::Loop::detach () : '' }

# Insight ---------------------------------------------------------------

# What IO::AIO::slow does without a callback.
sub _tell_slow {
    my ($name, @times) = @_;
    warn sprintf ("IO::AIO: a slow request: aio_%s waited %.6f s, executed %.6f s, and was polled %.6f s later\n", $name, @times);
}

# Exports ---------------------------------------------------------------

# every request there is, also those that come with later versions
our @AIO_REQ = sort grep { /^aio_/ && defined &$_ } keys %IO::AIO::;

# What 4.80 does not have is exported on request: rows of libeio/eio_ops.def that
# are marked so, and the functions named here.
our @ON_REQUEST;
push @ON_REQUEST, qw(
    aio_walk aio_du aio_remove aio_watch aio_glob poll_handle attach detach aioreq_timeout aioreq_class
    stats stats_every stats_reset slow max_abandoned nabandoned
);

# Constants are no names of Exporter's, which who derives from this would have to have.
my %CONSTANTS = (
    flags     => qr/\A(?:O|SEEK|AT|CLOSE_RANGE|RENAME|FALLOC_FL|READDIR|SPEW|SYNC_FILE_RANGE|MS|MT|MCL|FIEMAP_FLAG)_/,
    modes     => qr/\A(?:S_I|DT_)/,
    constants => qr/\A[A-Z][A-Z0-9]*(?:_[A-Z0-9_]+)?\z/,
);

sub _constants {
    my ($tag) = @_;
    return grep { /\A[A-Z]/ && /$CONSTANTS{$tag}/ && defined &$_ && (prototype "IO::AIO::$_") eq '' } keys %IO::AIO::;
}

sub import {
    my ($class, @names) = @_;
    my ($tags, $others) = ([], []);
    push @{ /\A:(\w+)\z/ && $CONSTANTS{$1} ? $tags : $others }, $_ for @names;
    no strict 'refs';
    for my $name (map _constants (substr $_, 1), @$tags) {
        *{caller . "::$name"} = \&{"IO::AIO::$name"};
    }
    $class->export_to_level (1, $class, @$others) if @$others || !@names;
    _load_part ($_) for map { /\A&?(\w+)\z/ && $PART{$1} || () } map { $_ eq ':more' ? @ON_REQUEST : $_ } @$others;
}

our %EXPORT_TAGS = (more => \@ON_REQUEST);

our @EXPORT = do {
    my %not = map { $_ => 1 } @ON_REQUEST, 'aio_busy';
    ((grep { !$not{$_} } @AIO_REQ), qw(aioreq_pri aioreq_nice));
};

our @EXPORT_OK = (@ON_REQUEST, qw(
    poll_fileno poll_cb poll_wait flush
    min_parallel max_parallel max_idle idle_timeout max_poll_reqs max_poll_time
    nreqs nready npending nthreads
    accept4 eventfd fadvise fexecve madvise memfd_create mmap mount mremap
    munlock munlockall munmap pidfd_getfd pidfd_open pidfd_send_signal pipe2
    pipesize sendfile splice tee timerfd_create timerfd_gettime timerfd_settime
    umount
));

# What can still execute at the end of the program is waited for; the exit
# status is the program's.
END {
    my $status = $?;
    _end () if defined &_end;
    $? = $status;
}

1;

__END__

=head1 NAME

IO::AIO - file operations that do not make the program wait

=head1 SYNOPSIS

=for example begin synopsis

    use IO::AIO;

    # a whole file, read while the program does something else
    my $text;
    aio_load "data.txt", $text, sub {
        $_[0] >= 0 or die "data.txt: $!";
        print length $text, " bytes loaded\n";
    };

    # open, then read five bytes at offset 4
    aio_open "data.txt", IO::AIO::O_RDONLY, 0, sub {
        my $fh = shift or die "data.txt: $!";
        my $word;
        aio_read $fh, 4, 5, $word, 0, sub {
            print "the word is <$word>\n";
        };
    };

    # many requests, one callback when the last of them is done
    my $group = aio_group sub { print "all seen\n" };
    $group->add(aio_stat($_, sub { $_[0] and warn "stat: $!" })) for glob "*";

    # a program with an event loop calls IO::AIO::attach once instead
    IO::AIO::flush;

=for example end

=head1 DESCRIPTION

Reading a file, looking up a name or removing a tree takes as long as the disk
or the network behind it needs, and perl's own functions stop the whole
program for that time. The functions of this module start the operation,
return at once, and call you back with the result. So a server goes on serving
and a window goes on drawing. A script that has ten thousand files to look at
can have the kernel work on many of them together.

There are three kinds of functions:

=over 4

=item requests

Named C<aio_...>, exported, asynchronous. See L</REQUESTS>.

=item control

How results come back, how many threads there may be, what is outstanding. See
L</GETTING RESULTS>, L</WORKER THREADS> and L</STATISTICS>.

=item system calls that perl has no name for

C<mmap>, C<splice>, C<memfd_create>, C<statx> and more, synchronous. See
L</OTHER FUNCTIONS>.

=back

Requests work on any descriptor. For sockets, pipes and terminals an event
loop with non-blocking handles is the better tool, since a request that waits
for a peer occupies a thread all the time.

No part of this needs a perl with threads, and the module's own threads never
run Perl code. L<IO::AIO::Cookbook> answers what people ask first, by programs.

=head2 How a request flows

    your call                                      your poll
    ---------                                      ---------
    submit --> inline attempt ------------.
       |       (data is cached)           |
       |                                  v
       |-----> ring ------------------> done --> wakeup --> poll --> callback
       |       (engine "uring")         queue    descriptor
       |                                  ^
       '-----> ready queue --> worker ----'
               (by priority)   thread

=over 4

=item 1. Submit

The call checks and copies its arguments, and croaks if they make no sense. It
returns a request object if somebody wants it.

=item 2. Execute

Where the kernel can tell that it would not have to wait (a read of data in
its cache, say), the request is finished at once, inside the call. Otherwise
the ring takes it, if you asked for that engine (L</ENGINES>), or it joins the
ready queue, where the worker threads take the highest priority first and the
oldest first within a priority.

=item 3. Done

A finished request joins the done queue. The descriptor of
L</IO::AIO::poll_fileno> becomes readable when that queue is no longer empty.

=item 4. Poll

L</IO::AIO::poll_cb>, called by your event loop or by you, takes requests off
the done queue and runs their callbacks. Callbacks run nowhere else: never
inside the call that submits, and never in another thread, whatever way a
request took.

=back

After its callback a request is finished. It owns nothing any more, and the
methods of an object you kept do nothing or croak, as described under
L</REQUEST OBJECTS>.

=head1 OVERVIEW

The callback is the last argument of every request and always optional. Square
brackets mark other arguments that may be left out, with all that follow.

=head2 Requests

    aio_open $pathname, $flags, $mode, $callback->($fh)
    aio_openat2 $pathname, $flags, $mode, $resolve, $callback->($fh)
    aio_temp $pathname[, $mode[, $callback->($fh, $name)]]
    aio_close $fh, $callback->($status)
    aio_close_range $first, $last, $flags, $callback->($status)
    aio_wd $pathname, $callback->($wd)

    aio_read $fh, $offset, $length, $data, $dataoffset, $callback->($bytes)
    aio_write $fh, $offset, $length, $data, $dataoffset, $callback->($bytes)
    aio_readall $fh, $offset, $length, $data, $dataoffset, $callback->($bytes, $done)
    aio_writeall $fh, $offset, $length, $data, $dataoffset, $callback->($bytes, $done)
    aio_sendall $out_fh, $in_fh, $in_offset, $length, $callback->($bytes, $done)
    aio_readv $fh, $offset, $lengths, $strings, $flags, $callback->($bytes)
    aio_writev $fh, $offset, $strings, $flags, $callback->($bytes)
    aio_copy_file_range $in_fh, $in_offset, $out_fh, $out_offset, $length, $flags, $callback->($bytes)
    aio_clone_range $in_fh, $in_offset, $out_fh, $out_offset, $length, $callback->($status)
    aio_dedupe_range $in_fh, $in_offset, $out_fh, $out_offset, $length, $callback->($bytes)
    aio_splice $in_fh, $in_offset, $out_fh, $out_offset, $length, $flags, $callback->($bytes)
    aio_tee $in_fh, $out_fh, $length, $flags, $callback->($bytes)
    aio_seek $fh, $offset, $whence, $callback->($position)
    aio_readahead $fh, $offset, $length, $callback->($status)
    aio_sendfile $out_fh, $in_fh, $in_offset, $length, $callback->($bytes)

    aio_stat $fh_or_path, $callback->($status)
    aio_lstat $fh_or_path, $callback->($status)
    aio_statx $fh_or_path[, $flags[, $mask[, $callback->($stat)]]]
    aio_statvfs $fh_or_path, $callback->($hash)
    aio_realpath $pathname, $callback->($path)
    aio_readlink $pathname, $callback->($text)
    aio_fiemap $fh, $start, $length, $flags, $count, $callback->($extents)

    aio_chmod $fh_or_path, $mode, $callback->($status)
    aio_lchmod $fh_or_path, $mode, $callback->($status)
    aio_chown $fh_or_path, $uid, $gid, $callback->($status)
    aio_lchown $fh_or_path, $uid, $gid, $callback->($status)
    aio_utime $fh_or_path, $atime, $mtime, $callback->($status)
    aio_lutime $fh_or_path, $atime, $mtime, $callback->($status)
    aio_truncate $fh_or_path, $length, $callback->($status)
    aio_allocate $fh, $mode, $offset, $length, $callback->($status)
    aio_fcntl $fh, $command, $argument, $callback->($result)
    aio_ioctl $fh, $command, $argument, $callback->($result)
    aio_lock $fh, $operation[, $offset[, $length[, $callback->($status)]]]

    aio_getxattr $fh_or_path, $name, $callback->($value)
    aio_lgetxattr $fh_or_path, $name, $callback->($value)
    aio_setxattr $fh_or_path, $name, $data, $flags, $callback->($status)
    aio_lsetxattr $fh_or_path, $name, $data, $flags, $callback->($status)
    aio_listxattr $fh_or_path, $callback->($names)
    aio_llistxattr $fh_or_path, $callback->($names)
    aio_removexattr $fh_or_path, $name, $callback->($status)
    aio_lremovexattr $fh_or_path, $name, $callback->($status)

    aio_unlink $pathname, $callback->($status)
    aio_unlinkat $pathname, $flags, $callback->($status)
    aio_link $old, $new, $callback->($status)
    aio_linkat $fh_or_path, $new, $flags, $callback->($status)
    aio_symlink $text, $new, $callback->($status)
    aio_rename $old, $new, $callback->($status)
    aio_rename2 $old, $new[, $flags[, $callback->($status)]]
    aio_mknod $pathname, $mode, $dev, $callback->($status)

    aio_mkdir $pathname, $mode, $callback->($status)
    aio_mkpath $pathname[, $mode[, $callback->($status)]]
    aio_rmdir $pathname, $callback->($status)
    aio_readdir $pathname, $callback->($names)
    aio_readdirx $pathname, $flags, $callback->($entries, $flags)

    aio_load $pathname, $data, $callback->($bytes)
    aio_slurp $pathname, $offset, $length, $data, $callback->($bytes)
    aio_spew $pathname, $data[, $flags[, $mode[, $callback->($status)]]]
    aio_copy $source, $target, $callback->($status)
    aio_move $source, $target, $callback->($status)
    aio_cptree $source, $target[, $flags[, $callback->($status, $errors, $done)]]
    aio_mvtree $source, $target, $callback->($status, $errors, $done)
    aio_scandir $pathname, $maxreq, $callback->($dirs, $nondirs)
    aio_rmtree $pathname, $callback->($status)
    aio_walk $pathname, $options, $batch->($entries), $callback->($number)
    aio_du $pathname, $options, $callback->($totals)
    aio_remove $pathname, $options, $batch->($entries), $callback->($number)
    aio_glob $pathname[, $flags[, $callback->($paths)]]
    aio_watch $pathname, $options, $batch->($events), $callback->($status)

    aio_sync $callback->($status)
    aio_syncfs $fh, $callback->($status)
    aio_fsync $fh, $callback->($status)
    aio_fdatasync $fh, $callback->($status)
    aio_sync_file_range $fh, $offset, $length, $flags, $callback->($status)
    aio_pathsync $pathname, $callback->($status)

    aio_msync $scalar[, $offset[, $length[, $flags[, $callback->($status)]]]]
    aio_mtouch $scalar[, $offset[, $length[, $flags[, $callback->($status)]]]]
    aio_mlock $scalar[, $offset[, $length[, $callback->($status)]]]
    aio_mincore $scalar[, $offset[, $length[, $callback->($pages)]]]
    aio_mlockall $flags, $callback->($status)

    aio_group $callback->(@result)
    aio_nop $callback->()
    IO::AIO::aio_busy $seconds, $callback->()

    $previous = aioreq_pri [$priority]
    aioreq_nice [$decrement]
    $previous = aioreq_timeout [$seconds]
    $previous = aioreq_class [$name]

=head2 Objects

    $old = $req->cb([$callback])
    $req->cancel
    $req->timeout($seconds)
    my $done = $req->progress
    $req->progress($callback->($done, $total, $what)[, $interval])

    @requests = $grp->add(@requests)
    $grp->cancel_subs
    $grp->result(@values)
    $grp->errno([$errno])
    $grp->feed([$callback->($grp)])
    $grp->limit($number)

=head2 Control

    $fd = IO::AIO::poll_fileno
    $fh = IO::AIO::poll_handle
    $name = IO::AIO::attach [$loop]
    $name = IO::AIO::detach
    $left = IO::AIO::poll_cb
    $handled = IO::AIO::poll
    IO::AIO::poll_wait
    IO::AIO::flush
    IO::AIO::max_poll_reqs $number
    IO::AIO::max_poll_time $seconds
    IO::AIO::max_outstanding $number

    IO::AIO::min_parallel $threads
    IO::AIO::max_parallel $threads
    $figures = IO::AIO::class $name[, max_parallel => $threads]
    IO::AIO::max_abandoned $threads
    IO::AIO::max_idle $threads
    IO::AIO::idle_timeout $seconds

    ($name, $reason) = IO::AIO::engine [$name]
    $number = IO::AIO::nreqs
    $number = IO::AIO::nready
    $number = IO::AIO::npending
    $number = IO::AIO::nthreads
    $number = IO::AIO::nabandoned
    $stats = IO::AIO::stats
    IO::AIO::stats_every $nreqs
    IO::AIO::stats_reset
    IO::AIO::slow $seconds[, $callback->($name, $waiting, $execution, $delivery)]
    IO::AIO::reinit
    IO::AIO::_on_next_submit $code

=head2 Stat extensions

    $seconds = IO::AIO::st_atime
    $seconds = IO::AIO::st_mtime
    $seconds = IO::AIO::st_ctime
    $seconds = IO::AIO::st_btime
    ($atime, $mtime, $ctime, $btime) = IO::AIO::st_xtime
    $nanoseconds = IO::AIO::st_atimensec
    $nanoseconds = IO::AIO::st_mtimensec
    $nanoseconds = IO::AIO::st_ctimensec
    $nanoseconds = IO::AIO::st_btimensec
    ($atime, $mtime, $ctime, $btime) = IO::AIO::st_xtimensec
    $seconds = IO::AIO::st_btimesec
    $number = IO::AIO::st_gen

    $status = IO::AIO::statx $pathname, $flags, $mask
    $value = IO::AIO::stx_...

    $major = IO::AIO::major $dev
    $minor = IO::AIO::minor $dev
    $dev = IO::AIO::makedev $major, $minor

=head2 Other functions

    $true = IO::AIO::mmap $scalar, $length, $prot, $flags[, $fh[, $offset]]
    IO::AIO::munmap $scalar
    $true = IO::AIO::mremap $scalar, $new_length[, $flags[, $address]]
    $errno = IO::AIO::madvise $scalar, $offset[, $length[, $advice]]
    $status = IO::AIO::mprotect $scalar, $offset[, $length[, $prot]]
    $status = IO::AIO::mlockall $flags
    $status = IO::AIO::munlock $scalar[, $offset[, $length]]
    $status = IO::AIO::munlockall

    $bytes = IO::AIO::sendfile $out_fh, $in_fh, $in_offset, $length
    $bytes = IO::AIO::splice $in_fh, $in_offset, $out_fh, $out_offset, $length, $flags
    $bytes = IO::AIO::tee $in_fh, $out_fh, $length, $flags
    $errno = IO::AIO::fadvise $fh, $offset, $length, $advice
    $bytes = IO::AIO::pipesize $fh[, $bytes]
    ($in_fh, $out_fh) = IO::AIO::pipe2 [$flags]
    $fh = IO::AIO::accept4 $listen_fh, $sockaddr, $maxlen, $flags
    $fh = IO::AIO::memfd_create $name[, $flags]
    $fh = IO::AIO::eventfd [$value[, $flags]]
    $fh = IO::AIO::timerfd_create $clock[, $flags]
    ($interval, $value) = IO::AIO::timerfd_settime $fh, $flags, $interval, $value
    ($interval, $value) = IO::AIO::timerfd_gettime $fh
    $fh = IO::AIO::pidfd_open $pid[, $flags]
    $fh = IO::AIO::pidfd_getfd $pidfd, $number[, $flags]
    $status = IO::AIO::pidfd_send_signal $pidfd, $signal[, $info[, $flags]]
    $status = IO::AIO::fexecve $fh, $argv[, $envp]
    $status = IO::AIO::mount $source, $pathname, $type[, $flags[, $data]]
    $status = IO::AIO::umount $pathname[, $flags]
    $number = IO::AIO::get_fdlimit
    $true = IO::AIO::min_fdlimit [$number]

=head1 GENERAL RULES

The examples below assume C<use strict; use warnings; use IO::AIO;>. Most
leave the waiting to the end of the program, which waits by itself for what is
outstanding.

=head2 Callbacks and results

The callback is a code reference, a glob, the name of a defined sub, or an
object with C<&{}> overloaded. C<undef>, or nothing, means that nobody wants
the result. Anything else croaks.

Most requests pass one number: 0 or more for success, -1 for failure. Those
that pass something better say so, and pass C<undef> or nothing for failure.
After a failure C<$!> has the error, as it does after perl's own functions.
After a success C<$!> means nothing, so look at the result first.

    aio_unlink $path, sub {
        my ($status) = @_;
        $status == 0 or warn "$path: $!";
    };

A callback may submit requests, poll, change its arguments and keep them. If
it dies, the exception comes out of the poll function that called it
(L</Callbacks that die>).

=head2 Handles

An argument C<$fh> is a glob, a reference to one, a C<*STDIN{IO}>, an object
such as IO::File makes, or a descriptor number. The request keeps a handle
until it is done, so it is safe to drop yours; it cannot do so for a number.
But do not C<close> one that a request still uses, nor open it again: the
request would get C<EBADF>, or the file that has the number by then.

The call croaks for C<undef>, a closed handle, a handle without a descriptor
(in memory, tied), a negative number, and text that is no number. A handle
that was not opened for writing croaks with C<mode mismatch> where data would
be written to it. A number that is not open gives C<EBADF> in the callback.

Requests go to the descriptor directly, past perl's buffers and layers. Do not
mix them with C<print>, C<E<lt>$fhE<gt>> or C<read> on the same handle; flush
first.

An argument C<$fh_or_path> is a handle, as above, or a path name. A plain
number is a path name here. A closed handle gives C<EBADF> in the callback.

=head2 Path names

A path name is a string of octets, as C<readdir> and C<@ARGV> deliver it.
Encode text first (L<Encode>). Strings that perl stores as UTF-8 internally
are converted, and a character above 255 croaks. The name is copied at the
call. C<undef>, an empty name and a name with a NUL octet inside give
C<ENOENT>.

A relative name is resolved when the request executes, which may be after a
C<chdir> of another part of the program. Use absolute names, or a working
directory object: wherever a path name is expected, C<[$wd, $pathname]> or
just C<$wd> will do. See L</WORKING DIRECTORIES>.

Under C<-T> nothing is refused because it is tainted, and nothing that a
request delivers is: neither data nor names.

=head2 Offsets, lengths and data

Offsets and lengths count octets. Files beyond 4 GiB work everywhere.

Data scalars hold octets as well, and a string with a character above 255
croaks.

A scalar that a request reads into or writes from is in flight from the call
until the callback begins. It is read-only during that time: an attempt to
change it dies with C<Modification of a read-only value attempted>, and it
cannot move or vanish, even if you drop all references to it. A cancelled
request releases its scalar and leaves its length alone, and the content as well
if it was not executed yet.

A tied scalar, a C<substr> or the like gets what was read right before the
callback. When it does not take it, as C<STORE> dies, the request fails with
C<EFAULT>, and a warning has the reason.

=head2 Numbers

A number is whatever perl takes for one, objects with an overloaded one
included, and fractions are cut off. A number that does not fit the system
call, infinity and C<NaN> fail with C<EINVAL> in the callback, or right away
where there is none: none is ever cut to another one. But what is more than all
data is all of it, and a length to read that no memory can hold gives
C<ENOMEM>.

Any other reference croaks, for then an argument is missing:

    aio_mkdir "new", sub { ... };
    # aio_mkdir: mode must be a number, not code: is an argument missing?

=head2 Priorities

Requests of higher priority execute first, and their results are handed out
first. The range is -4 to 4, the default 0. L</aioreq_pri> sets the priority
of the next request only.

=head2 Names

All C<aio_> requests but C<aio_busy>, and C<aioreq_pri> and C<aioreq_nice>,
are exported by default, but for what is newer than 4.80: that can be imported
by name, or all of it by the tag C<:more>, as in
C<use IO::AIO qw(:DEFAULT :more)>. Most other functions can be imported by name
or called with C<IO::AIO::> in front; constants are written
C<IO::AIO::O_RDONLY>, or imported by tags: C<:flags> has those that requests
take, C<:modes> the types of files and entries, C<:constants> all of
L</CONSTANTS>. Many of them are in Fcntl and POSIX as well, so import them from
one place. A constant or function that your system lacks is still
defined: the constant is 0, and the function fails with C<ENOSYS>.

=head1 REQUESTS

Errors that the system call itself documents are not repeated here.

=head2 Opening and closing

=head3 aio_open

    aio_open $pathname, $flags, $mode, $callback->($fh)

Opens or creates a file; C<open(2)>. C<$flags> are constants such as
C<IO::AIO::O_RDWR | IO::AIO::O_CREAT>, listed under L</Open flags>. C<$mode>
has the permissions of a file that gets created, less the process's umask at
the time of execution; give 0 otherwise. The callback gets a handle, or
C<undef> after an error.

For C<$flags> the modes of perl's open may be given as well: C<< "<" >>,
C<< ">" >>, C<<< ">>" >>>, C<< "+<" >>, C<< "+>" >> and C<<< "+>>" >>>, without
layers. Those that make a file need a mode such as 0666, too.

The handle is an ordinary one: binary, unless L<open> or the switch C<-C> asks
for other layers where the poll function is called, buffered by perl, readable
and writable as the flags say, and closed when the last reference to it goes
away. Its position is 0, also with C<O_APPEND>, which writes at the end all the
same. It is close-on-exec if the flags have C<O_CLOEXEC> or the descriptor's
number is above C<$^F>.

=for example begin open

    my $flags = IO::AIO::O_WRONLY | IO::AIO::O_CREAT | IO::AIO::O_APPEND;
    aio_open "log.txt", $flags, 0666, sub {
        my $fh = shift or die "log.txt: $!";
        print $fh "started\n";
        close $fh or die "log.txt: $!";
    };

=for example end

=head3 aio_openat2

    aio_openat2 $pathname, $flags, $mode, $resolve, $callback->($fh)

As L</aio_open>, but C<$resolve> says what the name must not do on its way, not
even by a link, and whoever renames things meanwhile; C<openat2(2)>. With
C<RESOLVE_BENEATH> it has to stay below the directory in C<[$wd, $pathname]>, or
else gives C<EXDEV>; with C<RESOLVE_IN_ROOT> that directory is what C</> means.
The call is strict: C<$mode> has to be 0 where nothing is created, and unknown
flags give C<EINVAL>. Systems without it, and Linux before 5.6, give C<ENOSYS>:
nothing is opened in a less careful way.

=head3 aio_temp

    aio_temp $pathname[, $mode[, $callback->($fh, $name)]]

Makes a file for reading and writing in the directory C<$pathname>, on its file
system but without a name there: it goes with the handle, however the program
ends. C<$mode> (C<undef>: 0600) is less the umask. C<$name> is a path in F</proc>
that leads to the file as long as this process has the handle open. After a
failure the callback gets nothing.

L</aio_linkat> gives it a name in the end, and then it stays. That is so where
the file system has C<O_TMPFILE>; elsewhere the file had a name for a moment, and
gets none any more: C<ENOENT>. Exported on request, see L</Names>.

=for example begin temp

    use IO::AIO qw(:DEFAULT aio_temp);

    aio_temp "tree", undef, sub {
        my ($fh, $name) = @_ or die "tree: $!";
        syswrite $fh, "scratch";
        print -s $fh, " octets without a name\n";
    };

=for example output

prints

    7 octets without a name

=for example end

=head3 aio_close

    aio_close $fh, $callback->($status)

Closes the file behind a handle; C<close(2)>. Use it where closing may take
time or fail, on a network file system for instance. Locks are released. Data
in perl's own buffer is not written: call C<< $fh->flush >> first.

Perl would close the same number again when the handle goes away. So the
number stays reserved, by a broken pipe, until perl closes the handle. Until
then reading from it fails with C<EBADF>, and so does writing. (On systems
other than Linux, writing may fail with C<EPIPE> and send the signal.)

=head2 Reading and writing

=head3 aio_read

    aio_read $fh, $offset, $length, $data, $dataoffset, $callback->($bytes)

=head3 aio_close_range

    aio_close_range $first, $last, $flags, $callback->($status)

Closes all descriptors from the number C<$first> to C<$last> (C<undef>: all that follow), whoever they belong to;
C<close_range(2)>. With the flag C<CLOSE_RANGE_CLOEXEC> they only become close-on-exec. Those that this module needs stay as they
are: no request is lost. But what other requests have open at that time is closed under them, so wait for these
first (L</IO::AIO::flush>); and perl's handles do not know of it.

C<CLOSE_RANGE_UNSHARE> gives C<EINVAL>, as it would be about a worker only; Linux before 5.9 and other systems give
C<ENOSYS>, the flag C<EINVAL> before 5.11. Exported on request, see L</Names>.

=head3 aio_write

    aio_write $fh, $offset, $length, $data, $dataoffset, $callback->($bytes)

Transfers up to C<$length> octets between the file at C<$offset> and C<$data>
at C<$dataoffset>; C<pread(2)> and C<pwrite(2)>. The callback gets the number
of octets transferred, which may be less than asked for, 0 at the end of the
file, or -1.

=over 4

=item $offset

The position in the file. With C<undef> the handle's own position is used and
moved (C<read(2)>, C<write(2)>). Other negative values give C<EINVAL>.

=item $length

For C<aio_write>, C<undef> stands for the rest of C<$data>, and more than the
rest is cut to the rest.

=item $dataoffset

The position in C<$data>; negative values count from its end. A position
outside the string croaks.

=back

After C<aio_read> the scalar is exactly C<$dataoffset> plus C<$bytes> octets
long, or C<$dataoffset> after an error. It may be any scalar that can be
assigned to, also an array element that does not exist yet. C<aio_write>
writes the string as it was at the call.

=for example begin readwrite

    open my $fh, "+>", "numbers" or die $!;

    aio_write $fh, 0, undef, "one two three", 0, sub {
        $_[0] == 13 or die "write: $!";

        my $word = "<>";
        aio_read $fh, 4, 3, $word, 1, sub {     # over the ">"
            $_[0] == 3 or die "read: $!";
            print "$word>\n";
        };
    };

=for example output

prints

    <two>

=for example end

=head3 aio_readall

    aio_readall $fh, $offset, $length, $data, $dataoffset, $callback->($bytes, $done)

As L</aio_read>, but goes on until C<$length> octets are there, or the data end.
The callback gets how many there are: fewer than C<$length> at the end of the
data only. After an error it gets -1; C<$done> says in either case how many
octets were read, and they are in C<$data>.

Where a non-blocking socket, pipe or terminal has nothing to read, a worker
waits until it has; cancelling ends that within a moment. What was taken out of
it is lost then. Exported on request, see L</Names>.

=head3 aio_writeall

    aio_writeall $fh, $offset, $length, $data, $dataoffset, $callback->($bytes, $done)

As L</aio_write>, but goes on until all is written, and waits likewise where a
non-blocking descriptor takes no more. The callback gets C<$length>, or -1 after
an error; C<$done> says in either case how many octets were written. Of several
at a time to one descriptor the parts may get mixed up. Exported on request.

=for example begin writeall

    use IO::AIO qw(:DEFAULT aio_writeall);

    open my $fh, ">", "out.txt" or die "out.txt: $!";
    aio_writeall $fh, undef, undef, "x" x 1_000_000, 0, sub {
        my ($bytes, $done) = @_;
        $bytes >= 0 or die "after $done octets: $!";
        print "$bytes written\n";
    };

=for example output

prints

    1000000 written

=for example end

=head3 aio_sendall

    aio_sendall $out_fh, $in_fh, $in_offset, $length, $callback->($bytes, $done)

As L</aio_sendfile>, but goes on until C<$length> octets are written or the
input ends, and waits likewise where one of both is non-blocking and not ready.
The callback gets how many were written, or -1 after an error; C<$done> says it in
either case. Exported on request.

=head3 aio_readv

    aio_readv $fh, $offset, $lengths, $strings, $flags, $callback->($bytes)

=head3 aio_writev

    aio_writev $fh, $offset, $strings, $flags, $callback->($bytes)

Read into several strings, or write several, by one system call, with flags for
this call alone; C<preadv2(2)> and C<pwritev2(2)>. C<$offset> is as for
L</aio_read>: with C<undef> the handle's own position is used and moved. The
callback gets how many octets were transferred, which may be fewer than asked for,
0 at the end of the file, or -1.

C<$flags> is 0 or combines

    IO::AIO::RWF_DSYNC     as with O_DSYNC: the data are on the disk then
    IO::AIO::RWF_SYNC      as with O_SYNC: so is all that belongs to them
    IO::AIO::RWF_APPEND    writes at the end of the file, whatever $offset is
    IO::AIO::RWF_NOAPPEND  writes at $offset, although the file has O_APPEND
    IO::AIO::RWF_NOWAIT    what would have to wait fails with EAGAIN
    IO::AIO::RWF_HIPRI     polls the device

and others that the system has: what it does not know, or the file system, fails with
C<EOPNOTSUPP>; a system without such flags with C<ENOSYS>.

C<$lengths> and C<$strings> are references to arrays. C<aio_readv> reads up to
C<< $lengths->[0] >> octets into the first string, up to C<< $lengths->[1] >> into
the second, and so on. Then C<@$strings> is assigned these strings, as many as
there are lengths; behind the end of the data they are shorter, or empty. It may
be tied. After an error, or when the request is cancelled, it is as it was.

C<aio_writev> writes the strings as they were at the call. Meanwhile they are
read-only, as the C<$data> of L</aio_write> is; the array may be changed.

More elements than the system takes (C<IOV_MAX>, 1024 on Linux) give C<EINVAL>, lengths for which
there is no memory C<ENOMEM>. Negative lengths and characters above 255 croak.
Exported on request.

=for example begin aio_writev needs +PREADV +PWRITEV2

    use IO::AIO qw(:DEFAULT aio_readv aio_writev);

    open my $fh, "+>", "log" or die "log: $!";
    aio_writev $fh, undef, ["head", "body"], IO::AIO::RWF_DSYNC, sub {
        $_[0] == 8 or die "log: $!";
        my $strings = [];
        aio_readv $fh, 0, [4, 100], $strings, 0, sub {
            $_[0] >= 0 or die "log: $!";
            print "@$strings\n";
        };
    };

=for example output

prints

    head body

=for example end

=head3 aio_copy_file_range

    aio_copy_file_range $in_fh, $in_offset, $out_fh, $out_offset, $length, $flags, $callback->($bytes)

Has the kernel, or a file server, copy a part of one file into another or to another place in the same;
C<copy_file_range(2)>. An offset that is C<undef> is the position of that handle, which moves on. It is one system call: C<$bytes>
can be less than C<$length>, and 0 is the end of the input. C<$flags> is 0. What the two file systems cannot do
gives C<EXDEV>, C<EOPNOTSUPP> or C<EINVAL>; L</aio_copy> and L</aio_sendall> find another way then. This and the four
that follow are exported on request, see L</Names>, and give C<ENOSYS> where the system is not Linux.

=head3 aio_clone_range

    aio_clone_range $in_fh, $in_offset, $out_fh, $out_offset, $length, $callback->($status)

Makes a part of one file share its data with another file, until one of them is changed: nothing is copied;
C<ioctl_ficlonerange(2)>. C<$length> 0 is all that follows, so

    aio_clone_range $in_fh, 0, $out_fh, 0, 0, sub { ... };

clones a whole file. An offset that is C<undef> is 0. Offsets and length are whole blocks, unless the part ends where the file
does: or else C<EINVAL>. Both have to be on one file system, C<EXDEV>, and that has to know how, like xfs and btrfs:
C<EOPNOTSUPP> or C<ENOTTY>.

=head3 aio_dedupe_range

    aio_dedupe_range $in_fh, $in_offset, $out_fh, $out_offset, $length, $callback->($bytes)

Makes the two parts share their data if these are equal, which the kernel looks at with both files locked;
C<ioctl_fideduperange(2)>. Neither file changes for who reads it. C<$bytes> is how many are shared from now on, and 0 if there
is any difference; the kernel may do fewer at a time than C<$length>. For offsets and errors see L</aio_clone_range>. Who may write to the
second file need not have opened it for that.

=head3 aio_splice

    aio_splice $in_fh, $in_offset, $out_fh, $out_offset, $length, $flags, $callback->($bytes)

Moves data between a pipe and another handle, or two pipes, without copying; C<splice(2)>. Offsets are C<undef> for a pipe, and
else the place in the file or C<undef>, the position of the handle. C<$bytes> can be less than C<$length>, and 0 is
the end of the input. C<$flags> combines C<SPLICE_F_...>.

A pipe is waited for, which takes a worker, unless the handle is non-blocking or C<$flags> has C<SPLICE_F_NONBLOCK>:
C<EAGAIN>. One that nobody reads any more gives C<EPIPE>, and no signal.

=head3 aio_tee

    aio_tee $in_fh, $out_fh, $length, $flags, $callback->($bytes)

Copies data from pipe to pipe and leaves it in the first; C<tee(2)>. All else is as with L</aio_splice>.

=for example begin aio_tee needs +TEE

    use IO::AIO qw(:DEFAULT aio_tee);

    pipe my $in,  my $source or die "pipe: $!";
    pipe my $out, my $copy   or die "pipe: $!";
    syswrite $source, "data";
    aio_tee $in, $copy, 100, 0, sub {
        $_[0] >= 0 or die "tee: $!";
        for my $fh ($in, $out) {
            sysread $fh, my $data, 100;
            print "$data\n";
        }
    };

=for example output

prints

    data
    data

=for example end

=head3 aio_seek

    aio_seek $fh, $offset, $whence, $callback->($position)

Moves the handle's position; C<lseek(2)>. C<$whence> is one of C<SEEK_SET>,
C<SEEK_CUR>, C<SEEK_END>, C<SEEK_DATA> or C<SEEK_HOLE>. The callback gets the
new position, or -1. Perl's buffer is not told.

=head3 aio_readahead

    aio_readahead $fh, $offset, $length, $callback->($status)

Brings a range of a file into the kernel's cache, so that reading it later
does not wait; C<readahead(2)>. Reads and discards the range where the system
has no such call. The callback gets 0 or -1.

=head3 aio_sendfile

    aio_sendfile $out_fh, $in_fh, $in_offset, $length, $callback->($bytes)

Copies up to C<$length> octets of C<$in_fh>, from C<$in_offset> on, to the
position of C<$out_fh>, which moves; the position of C<$in_fh> is neither used
nor moved. C<sendfile(2)> where it can be used; other pairs of handles are
served by reading and writing, so any two work.

The callback gets the number of octets written, or -1. It may be less than
C<$length>, so check, and continue from C<$in_offset> plus the result. Requests
to the same C<$out_fh> interfere with each other.

Pipes, sockets and other things that have no offsets are read from where they
are, until C<$length> octets have come or they end. Pipes (Linux) and stream
sockets lose what was written, and nothing else, also if C<$out_fh> fails.

If C<$out_fh> is non-blocking, only the input is waited for: when the output
is full the request ends early, or with C<EAGAIN> if nothing was written. What
cannot be put back has to go out, though: once something was read from a
terminal, a datagram socket or the like, C<$out_fh> is waited for (and if it
fails, up to 64 KiB are lost). It is not read while the output is full.

=head2 Asking about files

=head3 aio_stat

    aio_stat $fh_or_path, $callback->($status)

=head3 aio_lstat

    aio_lstat $fh_or_path, $callback->($status)

C<stat(2)>, C<lstat(2)> and C<fstat(2)>. The results are in C<_> while the
callback runs, for C<stat _>, C<-s _> and the other file tests (C<-B> and
C<-T> read the file and do not use C<_>). As in perl, C<lstat _> and C<-l _>
need C<aio_lstat>. Without callback, C<_> is left alone.

=for example begin stat

    aio_stat "data.txt", sub {
        $_[0] == 0 or die "data.txt: $!";
        printf "%d bytes, mode %04o\n", -s _, (stat _)[2] & 07777;
    };

=for example end

See L</STAT EXTENSIONS> for nanoseconds, and the next entry for an object that has all.

=head3 aio_statx

    aio_statx $fh_or_path[, $flags[, $mask[, $callback->($stat)]]]

Asks more than C<aio_stat> does, and has an object for the answer instead of C<_>, which is left alone; C<statx(2)>.
C<$flags> combines C<AT_SYMLINK_NOFOLLOW>, which makes it an lstat, C<AT_NO_AUTOMOUNT>, and what network file systems
shall do, C<AT_STATX_DONT_SYNC> or C<AT_STATX_FORCE_SYNC>. C<$mask> says what you want to know (L</Statx bits>), and less of it
can be quicker; C<undef> is all of it. After a failure C<$stat> is C<undef>. Exported on request, see L</Names>.

=for example begin aio_statx

    use IO::AIO qw(:DEFAULT aio_statx);

    aio_statx "data.txt", 0, undef, sub {
        my $stat = shift or die "data.txt: $!";
        print $stat->size, " octets, ", -d $stat ? "a directory" : "no directory", "\n";
    };

=for example output

prints

    45 octets, no directory

=for example end

The object belongs to a subclass of L<File::stat>, IO::AIO::Stat: it has all methods of that and can be asked by file
tests. What statx has besides:

    atimensec mtimensec ctimensec   nanoseconds beyond
    btime btimensec                 the time of birth
    mask                            which of what you asked for is known, STATX_...
    attributes                      STATX_ATTR_... that the file has
    attributes_mask                 those that the file system knows
    mnt_id                          the number of the mount, as in /proc/self/mountinfo;
                                    with STATX_MNT_ID_UNIQUE one that is never given again
    dio_mem_align dio_offset_align  how memory and offsets have to be aligned for O_DIRECT;
    dio_read_offset_align           0: it cannot be used
    subvol                          the number of the subvolume
    atomic_write_unit_min atomic_write_unit_max atomic_write_segments_max
                                    of writes that are whole or not at all

What is not known, or was not asked for, is C<undef>, but for what C<stat(2)> has, which may be 0 or out of date then: C<mask> tells. Where
the system has no C<statx(2)>, or a sandbox refuses it, you get what C<stat(2)> tells, and C<mask> says so; the two flags about
network file systems give C<ENOSYS> then.

=head3 aio_statvfs

    aio_statvfs $fh_or_path, $callback->($hash)

Tells about the file system that a file is on; C<statvfs(3)>. The callback
gets a hash with the keys C<bsize>, C<frsize>, C<blocks>, C<bfree>, C<bavail>,
C<files>, C<ffree>, C<favail>, C<fsid>, C<flag> and C<namemax>, or C<undef>.
Sizes are counts of C<frsize> octets. C<flag> has bits from
L</File system flags>.

=for example begin statvfs needs +STATVFS

    aio_statvfs ".", sub {
        my $fs = shift or die "statvfs: $!";
        printf "%.1f GB free\n", $fs->{bavail} * $fs->{frsize} / 1e9;
    };

=for example end

=head3 aio_realpath

    aio_realpath $pathname, $callback->($path)

Makes a name absolute and free of symbolic links, C<.> and C<..>;
C<realpath(3)>. Every part has to exist. The callback gets the name, or
nothing.

=head3 aio_readlink

    aio_readlink $pathname, $callback->($text)

Reads a symbolic link; C<readlink(2)>. The callback gets the text, however
long, or nothing.

=head3 aio_fiemap

    aio_fiemap $fh, $start, $length, $flags, $count, $callback->($extents)

Asks where the data of a file lies on disk; the C<FIEMAP> ioctl of Linux,
C<ENOSYS> elsewhere. The range is C<$length> octets from C<$start> on, or with
C<undef> the whole file. C<$flags> is 0 or C<FIEMAP_FLAG_SYNC> (write out
first), C<FIEMAP_FLAG_XATTR> (map the attributes instead).

C<$count> limits the number of extents; C<undef> means all of them. The
callback gets an array of C<[$logical, $physical, $length, $flags]>, in
octets, with bits from L</Extent flags>. If C<$count> is 0 it gets the number
of extents instead. After an error it gets nothing; C<EBADR> means that the
file system does not know one of the flags.

=head2 Changing attributes

=head3 aio_chmod

    aio_chmod $fh_or_path, $mode, $callback->($status)

Sets the permissions, such as C<0644>; C<chmod(2)>, C<fchmod(2)>.

=head3 aio_lchmod

    aio_lchmod $fh_or_path, $mode, $callback->($status)

As L</aio_chmod>, but does not follow a symbolic link; C<fchmodat(2)>. Few
systems let a link have permissions: Linux says C<EOPNOTSUPP>. So this is for
changing a file that must not be a link.

=head3 aio_chown

    aio_chown $fh_or_path, $uid, $gid, $callback->($status)

=head3 aio_lchown

    aio_lchown $fh_or_path, $uid, $gid, $callback->($status)

Set owner and group by number; C<chown(2)>, C<fchown(2)> and, for a symbolic
link itself, C<lchown(2)>. C<undef> or -1 leaves one as it is.

=head3 aio_utime

    aio_utime $fh_or_path, $atime, $mtime, $callback->($status)

=head3 aio_lutime

    aio_lutime $fh_or_path, $atime, $mtime, $callback->($status)

Set the times of access and modification, in seconds since 1970, with
fractions down to what the file system stores; C<utimensat(2)>,
C<futimens(3)>. If both are C<undef>, they become now. A single C<undef>
counts as 0. C<aio_lutime> sets those of a symbolic link itself.

A number has some hundred nanoseconds only. C<[$seconds, $nanoseconds]> is
exact: two whole numbers, the second one from 0 to 999,999,999.

=for example begin utime needs +UTIMENSAT

    aio_utime "data.txt", [1_500_000_000, 1], [1_500_000_000, 999_999_999], sub {
        $_[0] == 0 or die "data.txt: $!";
    };

=for example end

=head3 aio_truncate

    aio_truncate $fh_or_path, $length, $callback->($status)

Cuts or extends a file to C<$length> octets; C<truncate(2)>, C<ftruncate(2)>.

=head3 aio_allocate

    aio_allocate $fh, $mode, $offset, $length, $callback->($status)

Reserves or releases disk space in a range; C<fallocate(2)>. C<$mode> is 0 to
reserve, C<FALLOC_FL_KEEP_SIZE> to reserve beyond the end without growing the
file, C<FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE> to give space back, or
another combination from L</Allocation modes>. Nothing is emulated: what the
file system cannot do fails, with C<EOPNOTSUPP> or C<ENOSYS>.

=head3 aio_fcntl

    aio_fcntl $fh, $command, $argument, $callback->($result)

=head3 aio_ioctl

    aio_ioctl $fh, $command, $argument, $callback->($result)

C<fcntl(2)> and C<ioctl(2)>, for those commands that work on files, such as
C<FS_IOC_GETFLAGS>, C<FICLONE> or C<FIFREEZE>. C<$argument> is a number or,
for commands that fill in a structure, a scalar with the packed octets, which
is extended where the command needs more room. The callback gets what the call
returned, -1 for an error.

Commands that wait for another process, C<F_SETLKW> for instance, occupy a
worker until it comes. If all of them wait like that, nothing else executes.

=for example begin ioctl needs FS_IOC_GETFLAGS

    open my $fh, "<", "data.txt" or die $!;

    my $flags = pack "L!", 0;
    aio_ioctl $fh, IO::AIO::FS_IOC_GETFLAGS, $flags, sub {
        $_[0] < 0 and return print "not kept here: $!\n";
        print "immutable\n" if IO::AIO::FS_IMMUTABLE_FL & unpack "L", $flags;
    };

=for example end

=head3 aio_lock

    aio_lock $fh, $operation[, $offset[, $length[, $callback->($status)]]]

Locks an open file, or gives the lock back: C<$operation> is C<LOCK_SH> (shared), C<LOCK_EX> (exclusive)
or C<LOCK_UN> of L<Fcntl>'s C<:flock>, as for perl's C<flock>. Without an offset it is a lock of the whole
file by C<flock(2)>; with one, of C<$length> octets from there on (undef or 0: all the rest), by
C<F_OFD_SETLK>, and then C<LOCK_EX> needs a handle that is open for writing. Either belongs to
the open file, whatever process has it, and goes when the last handle of it is closed. Exported on request.

=for example begin lock

    use Fcntl ":flock";

    open my $fh, "+<", "data.txt" or die $!;
    IO::AIO::aioreq_timeout(30);
    IO::AIO::aio_lock $fh, LOCK_EX, undef, undef, sub {
        $_[0] < 0 and return print "somebody else has it: $!\n";
        print "it is ours\n";
        close $fh;
    };

=for example end

A lock that others have is waited for, unless C<$operation> has C<LOCK_NB> as well: then it fails with C<EAGAIN>.
Who waits takes no worker (nor a place of its L<class|/aioreq_class>), but a thread of its own, which is
counted among L</IO::AIO::nabandoned>: when there are as many as L</IO::AIO::max_abandoned> says, more of them keep their workers.

One that is cancelled, or whose time is up, is given back: at once when it has come already, otherwise when
it comes, as nothing can end the wait in the kernel. Until then it stands in the queue with the others. That
it comes late has the effect of any lock of the same open file, so who tries again opens the file again:
a lock that was taken by the same handle meanwhile would be replaced, and given back with it. Closing the handle
does no harm, and another file may have its number. (While a request waits there is a second descriptor, and to
close that gives up what this process has locked in the same file by C<F_SETLK>, as each close does.)

=head2 Extended attributes

Names with values that some file systems keep beside a file, C<xattr(7)>. The
names begin with C<user.>, or with C<security.>, C<system.> and C<trusted.> for
what the system and its administrator keep there; C<system.posix_acl_access> is
the access control list. Values are octets. Without such attributes, or such
calls, there is C<EOPNOTSUPP> or C<ENOSYS>; an attribute that a file does not
have gives C<ENODATA>. The requests with an C<l> in front do not follow a
symbolic link, which cannot have C<user.> attributes on Linux.

=head3 aio_getxattr

    aio_getxattr $fh_or_path, $name, $callback->($value)

=head3 aio_lgetxattr

    aio_lgetxattr $fh_or_path, $name, $callback->($value)

Read an attribute; C<getxattr(2)>. The callback gets the value, which may be
empty, or nothing.

=for example begin xattr needs +XATTR

    use IO::AIO qw(:DEFAULT :more);

    aio_setxattr "data.txt", "user.origin", "a typist", 0, sub {
        $_[0] == 0 or return print "not kept here: $!\n";
        aio_getxattr "data.txt", "user.origin", sub { print "from $_[0]\n" };
    };

=for example end

=head3 aio_setxattr

    aio_setxattr $fh_or_path, $name, $data, $flags, $callback->($status)

=head3 aio_lsetxattr

    aio_lsetxattr $fh_or_path, $name, $data, $flags, $callback->($status)

Set an attribute; C<setxattr(2)>. C<$flags> is 0, C<XATTR_CREATE> (fail with
C<EEXIST> if it is there) or C<XATTR_REPLACE> (with C<ENODATA> if it is not).

=head3 aio_listxattr

    aio_listxattr $fh_or_path, $callback->($names)

=head3 aio_llistxattr

    aio_llistxattr $fh_or_path, $callback->($names)

List the names; C<listxattr(2)>. The callback gets an array, or C<undef>.

=head3 aio_removexattr

    aio_removexattr $fh_or_path, $name, $callback->($status)

=head3 aio_lremovexattr

    aio_lremovexattr $fh_or_path, $name, $callback->($status)

Remove an attribute; C<removexattr(2)>.

=head2 Directory entries

=head3 aio_unlink

    aio_unlink $pathname, $callback->($status)

Removes a file, or any entry but a directory; C<unlink(2)>.

=head3 aio_unlinkat

    aio_unlinkat $pathname, $flags, $callback->($status)

C<unlinkat(2)>. C<$flags> is 0, as in L</aio_unlink>, or C<AT_REMOVEDIR>, as
in L</aio_rmdir>.

=head3 aio_link

    aio_link $old, $new, $callback->($status)

Gives the file C<$old> the second name C<$new>; C<link(2)>.

=head3 aio_linkat

    aio_linkat $fh_or_path, $new, $flags, $callback->($status)

C<linkat(2)>. C<$flags> is 0, as in L</aio_link>, or C<AT_SYMLINK_FOLLOW>: a
symbolic link is followed then, and does not get a second name itself. For a
handle C<$new> becomes a name of the open file, which may have been opened with
C<O_TMPFILE> and have no name yet. One that had names and has lost them all
gets none any more: C<ENOENT>.

=head3 aio_symlink

    aio_symlink $text, $new, $callback->($status)

Makes the symbolic link C<$new> that leads to C<$text>; C<symlink(2)>.
C<$text> is stored as it is: a relative one is relative to the directory of
the link, and no working directory object applies to it.

=head3 aio_rename

    aio_rename $old, $new, $callback->($status)

Renames or moves within a file system, replacing C<$new>; C<rename(2)>. See
L</aio_move> for moves across file systems. C<[$wd, "."]> as C<$old> renames
the directory itself.

=head3 aio_rename2

    aio_rename2 $old, $new[, $flags[, $callback->($status)]]

C<renameat2(2)>. C<$flags> is 0, as in C<aio_rename>, C<RENAME_NOREPLACE>
(fail with C<EEXIST> instead of replacing), C<RENAME_EXCHANGE> (swap the two)
or C<RENAME_WHITEOUT>. Flags give C<ENOSYS> where the system has no such call.

=head3 aio_mknod

    aio_mknod $pathname, $mode, $dev, $callback->($status)

Makes a FIFO, a device node, a socket or an empty file; C<mknod(2)>. C<$mode>
is a type such as C<IO::AIO::S_IFIFO> with the permissions, and C<$dev> is 0
or comes from L</IO::AIO::makedev>.

=head2 Directories

=head3 aio_mkdir

    aio_mkdir $pathname, $mode, $callback->($status)

Makes a directory; C<mkdir(2)>. The umask at the time of execution applies.

=head3 aio_mkpath

    aio_mkpath $pathname[, $mode[, $callback->($status)]]

Makes a directory, and those above it that are missing. One that is there
already is fine. All get C<$mode> (C<undef>: 0777) less the umask; those above
can be written and searched by their owner in any case. When it fails, what it
has made stays. Errors: C<EEXIST> when a name is taken by something else, or by
a link to nothing; C<ENOTDIR> when a file stands in the way. Exported on request,
see L</Names>.

=for example begin mkpath

    use IO::AIO qw(:DEFAULT aio_mkpath);

    aio_mkpath "tree/x/y/z", 0755, sub {
        $_[0] == 0 or die "cannot make it: $!";
        print "there it is\n" if -d "tree/x/y/z";
    };

=for example output

prints

    there it is

=for example end

=head3 aio_rmdir

    aio_rmdir $pathname, $callback->($status)

Removes an empty directory; C<rmdir(2)>. C<[$wd, "."]> removes the directory
itself.

=head3 aio_readdir

    aio_readdir $pathname, $callback->($names)

Reads a whole directory. The callback gets an array of the names, unsorted and
without C<.> and C<..>, or C<undef>.

=head3 aio_readdirx

    aio_readdirx $pathname, $flags, $callback->($entries, $flags)

Like C<aio_readdir>, with more to choose. C<$flags> is a combination of:

=over 4

=item IO::AIO::READDIR_DENTS

Each entry is an array C<[$name, $type, $inode]> instead of a name. C<$type>
is C<DT_REG>, C<DT_DIR>, C<DT_LNK> or another one of L</Entry types>; it is
C<DT_UNKNOWN> on file systems that do not tell.

=item IO::AIO::READDIR_DIRS_FIRST

Directories come first. Where types are unknown, likely ones do: names without
a dot, and shorter ones first.

=item IO::AIO::READDIR_STAT_ORDER

In the order in which C<stat> of all entries is fastest, by inode.

=back

The callback gets the flags as its second argument, with
C<IO::AIO::READDIR_FOUND_UNKNOWN> added if the type of some entry is not
known, and C<IO::AIO::READDIR_DENTS> always. Without the former you can rely
on all types.

=for example begin readdirx needs +DIRENT_D_TYPE

    aio_readdirx "tree", IO::AIO::READDIR_DENTS, sub {
        my ($entries) = @_;
        $entries or die "tree: $!";
        for (sort { $a->[0] cmp $b->[0] } @$entries) {
            my ($name, $type, $inode) = @$_;
            print $name, $type == IO::AIO::DT_DIR ? "/" : "", "\n";
        }
    };

=for example output

prints

    a.txt
    b.txt
    sub/

=for example end

=head2 Whole files and trees

The requests of this section do several things in a row. All but C<aio_slurp>
are groups. Cancel one in the middle, and it stops there.

=head3 aio_load

    aio_load $pathname, $data, $callback->($bytes)

Reads a whole file into C<$data>, which changes when the callback begins. The
callback gets the length, or -1. Of a file that has a size (not one of
F</proc>) as much is read as it had at the start; other things, such as FIFOs
and devices, are read until they end. When the request is cancelled it reads
no more.

=head3 aio_slurp

    aio_slurp $pathname, $offset, $length, $data, $callback->($bytes)

Opens a file, reads a part of it into C<$data> and closes it. A negative
C<$offset> counts from the end of the file (in F</proc> and F</sys> from where
reading ends, whatever the size says), and a C<$length> of 0 stands for
the rest. The callback gets the number of octets, or -1. C<$data> changes when
the callback begins.

=for example begin slurp

    my $last;
    aio_slurp "data.txt", -5, 0, $last, sub {
        $_[0] >= 0 or die "data.txt: $!";
        print $last;
    };

=for example output

prints

    dog.

=for example end

=head3 aio_spew

    aio_spew $pathname, $data[, $flags[, $mode[, $callback->($status)]]]

Writes a whole file. With C<$flags> 0 it writes over the file that has the name,
as the shell's C<< > >> does, and whoever looks meanwhile sees a part. A file
that is not there is made, with C<$mode> (C<undef>: 0666) less the umask. Flags,
with C<|> between them:

=over 4

=item IO::AIO::SPEW_ATOMIC

The data go to a new file beside the old one, which takes its name when it is
whole: the name leads to all of the old or all of the new one at any time, and
so it does after a crash of the program. Mode, owner and access control list are
kept, as far as the program may; what cannot be kept makes the file less
accessible, never more. Set-user-id is dropped. Other names of the old file go on
having the old data. Where the name is a symbolic link, the file that it leads
to is replaced. C<EINVAL> for what is no file.

=item IO::AIO::SPEW_NOFOLLOW

A symbolic link is not followed: with C<SPEW_ATOMIC> it is replaced itself,
otherwise it fails with C<ELOOP>.

=item IO::AIO::SPEW_NOREPLACE

The name must be free, otherwise C<EEXIST>. The file gets it when it is whole.

=item IO::AIO::SPEW_APPEND

The data are written behind what is there, in one piece as long as the system
does so. Not with the two above that make a new file (C<EINVAL>).

=item IO::AIO::SPEW_MKPATH

Missing directories are made, as by L</aio_mkpath>.

=item IO::AIO::SPEW_SYNC

The data are on the disk when it is done; with C<SPEW_ATOMIC> before the name
leads to them, so that a power failure leaves the old or the new file.

=item IO::AIO::SPEW_DURABLE

The same, and the name is on the disk, too. The directory must be readable.

Submit many of those that sync together rather than one after the other: what
waits for the disk at the same time is written at once by file systems with a
journal. Such a request takes no place among C<max_parallel> while it waits, so
that others come to that point: up to 32 do, unless it is of a class
(L</aioreq_class>), or C<max_parallel> is 1. L</IO::AIO::nabandoned> counts them.

=back

When it fails without C<SPEW_ATOMIC> or C<SPEW_NOREPLACE>, a part may have been
written. Exported on request, see L</Names>.

=for example begin spew

    use IO::AIO qw(:DEFAULT aio_spew);

    aio_spew "data.txt", "new\n", IO::AIO::SPEW_ATOMIC | IO::AIO::SPEW_SYNC, undef, sub {
        $_[0] == 0 or die "data.txt: $!";
        open my $fh, "<", "data.txt" or die "data.txt: $!";
        print readline $fh;
    };

=for example output

prints

    new

=for example end

=head3 aio_copy

    aio_copy $source, $target, $callback->($status)

Copies a file (not a directory: C<EISDIR>). The kernel copies where it can,
sharing the blocks if the file system is able to, and holes stay holes. Where
that waits for each small piece, as on FUSE, large ones are read and written, by
two threads if one has nothing else to do. An
existing target is overwritten, under all the names that it has.

Nobody else can read the target while it is being filled: its mode is 0200
until all data is there. Then it gets the source's times, permissions, with
the access control list if there is one (Linux), owner and group. Errors of
this last step do not count, since few may give files away. But whatever could
not be kept, nobody may do more with the target than with the source: the bits
for set-user-id and set-group-id are dropped without their owner or group, a
group of its own gets no more than others had, and without its list the target
is open only for what all of the list may do. Extended attributes are not
copied.

If copying fails, the target is removed, other names that it has lead to an
empty file, and the callback gets -1 with the error that caused it. A target
that could not be opened is left as it was, and so is a file that you try to
copy onto itself (C<EINVAL>).

Symbolic links are followed, as by C<cp>: what the source leads to is copied,
and a target that is a link stays one. A FIFO or device as source is read
until it ends; what was read is gone from a FIFO, also if the copy fails. One
as target is written to and never removed.

Files that change meanwhile: what is appended to the source is copied as long
as something comes, what is cut off is missing in the target, and of what is
overwritten either may be there. Nothing of what was in the target before is.

=head3 aio_move

    aio_move $source, $target, $callback->($status)

Renames. If the target is on another file system, copies the file there, with
times, permissions, owner, group, and attributes that begin with C<user.>, as
far as C<aio_copy> could, and then removes the source.

As when renaming, the target's name leads to what it led to before, or to the
whole new file, at any time: links and files with several names are replaced,
not written to. To this end the copy is made in the target's directory under a
name that begins with C<.aio->, so one has to be allowed to make files there;
such a name remains if the process is killed or the machine crashes meanwhile.

The source is removed when the copy has the target's name, so that one of both
is whole whatever happens; but nothing is synced, see L</aio_pathsync> for how.
What is appended to the source until then is moved, too. If it
cannot be removed there are two files, and the callback gets -1 with the error,
which is C<EBUSY> if the source's name leads to another file by then.

A symbolic link is moved, not followed. Directories (C<EISDIR>), and FIFOs,
sockets and devices (C<EXDEV>), can only be renamed. A target that is a
directory gives C<EISDIR>, and a name of the source itself C<EINVAL>.

=head3 aio_cptree

    aio_cptree $source, $target[, $flags[, $callback->($status, $errors, $done)]]

Copies a directory with all that is in it, as C<cp -aT> does; a file, a link
or a device as source is fine, too. C<$target> is the name of the copy itself,
in a directory that is there. Where the file system is slow and threads are
free, several of them copy. Exported on request, see L</Names>.

The copy has contents with holes, shares blocks where the file system is able
to, and gets permissions, access control lists, attributes that begin with
C<user.>, owners, groups, and times to the nanosecond; of these what cannot be
given is left out as by L</aio_copy>, so that nobody may do more with the copy
than with the source. Symbolic links are copied as links, FIFOs, sockets and
devices as what they are, and names of one file are names of one file again.

C<$flags> says what happens to files, links and so on that are there already:

    0                     they are replaced
    IO::AIO::CP_UPDATE    those that differ in size, modification time, or
                          the link's text are replaced, others stay
    IO::AIO::CP_SKIP      they stay
    IO::AIO::CP_FAIL      they stay, directories as well, each an EEXIST
    IO::AIO::CP_SYNC      as CP_UPDATE; but what stays gets mode and owner,
                          and what is no directory gives way to one, but
                          for $target itself

Other flags can be added:

    IO::AIO::CP_MERGE     with CP_FAIL: directories may be there
    IO::AIO::CP_DELETE    with CP_SYNC: what the source does not have is
                          removed, and a directory gives way to what is none
    IO::AIO::CP_DRY       with CP_SYNC: nothing is done, but counted and told
    IO::AIO::CP_ONE_FS    directories on other file systems than $source are
                          made, but neither entered nor emptied, and those
                          on others than $target's are not emptied, either
    IO::AIO::CP_TELL      tells all that is done, and errors
    IO::AIO::CP_TELL_ERRORS  tells errors

Directories that are there are used, and get the attributes of the source's;
what is in them besides stays. Without C<CP_SYNC> a directory never takes the place of something
else, nor the other way round.

No name in the target ever leads to a part of a file, whatever happens: each
is made in its directory under a name that begins with C<.aio->, with all its
attributes, and renamed. Such a name remains if the process is killed. A
directory that is made is open to its owner alone (0700) until everything in
it is there. Cancelled, it stops soon; what has been copied so far stays.
Nothing is synced.

It goes on after errors. The callback gets -1 with the first of them, and
C<$errors>, an array of C<[$path, $errno, $what]>: paths are relative to
C<$source>, C<""> is that itself, and C<$what> says what failed, such as
C<"open">. There are at most 100 entries; without errors it is empty. C<$done> is what
L</$req-E<gt>progress> returns, at the end. A tree cannot be copied onto itself (C<EINVAL>); a
target inside of the source is left out of the copy, and told, and so is what would
be copied onto a source inside of the target, or would remove that, whatever mounts
are between them.

Directories are entered by descriptors, on both sides, and never through a
symbolic link, so nobody who exchanges them meanwhile can lead the copy
elsewhere. What changes in the source meanwhile may be missing or not.

=for example begin cptree

    use IO::AIO qw(:DEFAULT aio_cptree);

    aio_cptree "tree", "copy", IO::AIO::CP_UPDATE, sub {
        my ($status, $errors) = @_;
        warn "$_->[0]: cannot $_->[2]\n" for @$errors;
        print "all copied\n" if $status == 0;
    };
    IO::AIO::flush;

=for example output

prints

    all copied

=for example end

=head3 aio_mvtree

    aio_mvtree $source, $target, $callback->($status, $errors, $done)

Renames a directory, or anything else. If the target is on another file system,
copies it there as L</aio_cptree> does, and when all of it is there without an
error, removes what has been copied. A directory may take the place of an empty
one, anything else that of what is no directory, as when renaming. Exported on
request, see L</Names>.

Before something is removed its copy is looked at: with type, size, and
modification time as the source has them now. What has changed since, or has
come since, stays and is told (C<EBUSY>), and the directories that it is in.
So whenever this ends, by an error, a cancel or a kill, everything is whole in
the source or in the target. If something cannot be copied nothing is removed;
what has been copied remains in the target. Nothing is synced.

=head3 aio_scandir

    aio_scandir $pathname, $maxreq, $callback->($dirs, $nondirs)

Reads a directory and sorts its entries into real directories and everything
else, which includes symbolic links. The callback gets two arrays of names
without directory, or nothing after an error. C<$maxreq> is how many entries are
looked at a time at most, where that is needed; 0 means as many as threads are
free.

Most file systems deliver types with the names, and nothing else is asked. For
others the entries have to be looked at, likely directories first, and the
directory's link count tells when all of them have been found. The count is
not trusted where it cannot be right.

=for example begin walk

    # print all directories below a place
    my $walk;
    $walk = sub {
        my ($dir) = @_;
        aio_scandir $dir, 0, sub {
            my ($dirs, $nondirs) = @_;
            $dirs or return warn "$dir: $!\n";
            printf "%s: %d files\n", $dir, scalar @$nondirs;
            $walk->("$dir/$_") for sort @$dirs;
        };
    };
    $walk->("tree");
    IO::AIO::flush;

=for example output

prints

    tree: 2 files
    tree/sub: 1 files

=for example end

=head3 aio_rmtree

    aio_rmtree $pathname, $callback->($status)

Removes a directory with all that is in it. Symbolic links inside are removed,
not followed, also if somebody swaps a directory for a link meanwhile. It goes
on after an error and removes what it can. The callback gets the result of the
last step, removing the directory itself: C<ENOTEMPTY> if something is left. A
file or a link instead of a directory gives C<ENOTDIR>. What comes into the
tree meanwhile may remain, and the directory with it.

File systems that are mounted inside are emptied like anything else, and their
mount points remain (C<EBUSY>, and so C<ENOTEMPTY> in the end). C<.> cannot be
removed by that name: it is emptied and gives C<EINVAL>. C<[$wd, "."]>
(L</aio_wd>) is removed.

=head3 aio_walk

    aio_walk $pathname, $options, $batch->($entries), $callback->($number)

Finds all that is below a directory, in batches: C<$batch> is called with an
array of some entries, as long as there are any, and C<$callback> at the end with
their number. When the directory itself cannot be entered it gets -1. Exported
on request.

=for example begin tree

    use IO::AIO "aio_walk";

    # how large are the files below a place?
    my $octets = 0;
    aio_walk "tree", { types => "f", stat => 1 }, sub {
        my ($entries) = @_;
        $octets += $_->[4][7] for grep $_->[4], @$entries;
    }, sub {
        my ($number) = @_;
        print "$number files, $octets octets\n";
    };
    IO::AIO::flush;

=for example output

prints

    3 files, 22 octets

=for example end

An entry is an array. It ends where nothing more is to be told:

    0  path, relative to the directory
    1  type, one of the constants DT_... (DT_DIR)
    2  depth: what is in the directory itself has 1
    3  error, as $!; undef if there is none
    4  what lstat returns, an array, if that was asked for
    5  text of a symbolic link, if that was asked for

A directory comes as an entry when it is found. If it cannot be read after that it
comes a second time with the error, and that one does not count. Entries with an
error come whatever the options select. The order is that in which things are found,
unless C<sort> is set. Types and depths are read-only numbers.

C<$options> is C<undef> or a hash, of which a copy is made:

=over 4

=item types

Letters of the types that are told: C<f> file, C<d> directory, C<l> symbolic
link, C<p> FIFO, C<s> socket, C<b> and C<c> devices.

=item name

A pattern of the shell (C<*.c>), or an array of patterns, one of which
the last part of the path has to match. C<*> matches a leading dot, too.

=item min_depth, max_depth

Depths that are told; nothing is entered below C<max_depth>, 0 is the directory itself (see C<root>).

=item min_size, max_size

Octets.

=item newer, older

Times of the last modification, in seconds since 1970: not before, not after.

=item prune

Directories that are told, but not entered: a pattern or an array of patterns, as in C<name>;
or code that is called, in the poll, with path and depth of each directory, and returns
true for such. Then a directory waits until the batch that it is in has been polled.

=item one_file_system

Mount points are told, but not entered.

=item follow

Tells what symbolic links lead to, and enters directories by them. A directory
that is one of those above it gets the error C<ELOOP>. A link that leads nowhere is told
as one.

=item root

The directory itself is told, too, with the empty path and depth 0, and what is no directory, as well: then that is all.
A symbolic link is not followed, unless C<follow> is set or its name ends with a slash.

=item count

Nothing is told but errors: C<$batch> gets an array of these entries, and the numbers of directories and others that were found
besides.

=item lines

As C<count>, and C<$batch> gets a fourth argument, a string: the path of each, beginning with C<$pathname>, and this octet after
it, such as C<"\n">. That is much quicker than arrays.

=item sort

In the order of names, octet by octet, a directory before what is in it. One thread
does it, and keeps whole directories in memory.

=item stat, links

Entries come with what lstat says (with C<follow>: stat), symbolic links with their text.

=item parallel

How many threads may be at it at a time; the default is C<IO::AIO::min_parallel>.

=back

Without C<sort> memory is bounded: there are as many batches of some thousand entries under
way as threads may be at it. While your program does not poll the walk waits, and
occupies no thread. A batch comes after 5 ms, if there is something by then. The walk ends within one
directory when it is cancelled, and no batch comes after that. Directories are entered
relative to open descriptors, so nobody who exchanges them meanwhile can lead the walk
elsewhere. One that has been moved may give C<ESTALE>.

With L</Coro> and L</Futures, async and await>, C<$batch> is called in the poll all the same.

=head3 aio_du

    aio_du $pathname, $options, $callback->($totals)

Adds up what a directory takes, with all that is in it. The callback gets a hash, or
C<undef> when the directory cannot be entered. Exported on request.

    octets       sum of the sizes
    blocks       of 512 octets each, that are in use
    entries      how many files, directories and so on were counted
    directories  for those below it: [$path, $octets, $blocks, $entries]
    errors       what could not be counted: [$path, $error], as $!

The directory itself counts, and so does each in it; a file with several names counts once,
wherever its first name was found. C<$options> is C<undef> or a hash as for L</aio_walk>,
and may have C<types>, C<name>, C<min_depth>, C<max_depth>, C<min_size>, C<max_size>, C<newer>,
C<older> (which say what is counted), C<prune>, C<one_file_system>, C<follow>, C<root> (so that what is no directory
counts, too), C<parallel>, and

=over 4

=item totals

Down to which depth C<directories> are listed, each after those in it; 0 if not given, which is none.

=item all

So are files and all else.

=item counted

A hash, for requests that shall count a file with several names once over all of them, whichever finds it first, at
the same time or one after the other. What they know of such files lives as long as the hash, in which nothing is to be seen;
in the child of a fork it begins anew.

    my %options = (counted => {});
    aio_du $_, \%options, $callback for "tree", "links to it";

=back

=for example begin totals

    use IO::AIO "aio_du";

    aio_du "tree", { types => "f", totals => 1 }, sub {
        my ($totals) = @_;
        $totals or die "tree: $!";
        print "$totals->{octets} octets in $totals->{entries} files\n";
        print "  $_->[1] of them in $_->[0]\n" for @{ $totals->{directories} };
    };
    IO::AIO::flush;

=for example output

prints

    22 octets in 3 files
      10 of them in sub

=for example end

=head3 aio_remove

    aio_remove $pathname, $options, $batch->($entries), $callback->($number)

Removes what is in a directory, as far as the options select it, and tells what it has
removed: as L</aio_walk> does, and with the same arrays, an entry each when it is gone, or has an
error and is still there. C<$callback> gets the number of those that are gone, or -1 when the directory cannot be entered.
What has no options, and tells less, is L</aio_rmtree>. Exported on request.

A directory is removed after what is in it, if that has all gone; what was not selected keeps it, without an
error. The last is the directory itself, with the empty path and depth 0. Symbolic links are removed, not followed,
and a link in place of the directory gives C<ENOTDIR>, also if somebody swaps them meanwhile.

C<$options> is C<undef> or a hash as for L</aio_walk>, and may have C<types>, C<name>, C<min_depth>, C<max_depth>,
C<min_size>, C<max_size>, C<newer>, C<older>, C<prune>, C<one_file_system>, C<count>, C<lines>, C<parallel>, and

=over 4

=item keep_root

The directory itself stays.

=back

Directories below C<max_depth> and those that are pruned stay, with all that is in them. Directories are
kept in memory while they are at work.

=for example begin remove

    use IO::AIO "aio_remove";

    # all text files below a place
    aio_remove "tree", { name => "*.txt", types => "f" }, sub {
        my ($entries) = @_;
        $_->[3] and warn "$_->[0]: $_->[3]" for @$entries;
    }, sub {
        my ($number) = @_;
        print "$number files removed\n";
    };
    IO::AIO::flush;

=for example output

prints

    3 files removed

=for example end

=head3 aio_glob

    aio_glob $pathname[, $flags[, $callback->($paths)]]

Finds the paths that match a pattern, as an array. C<$!> tells of an error, and then there is none. Exported on request.

=for example begin glob needs File::Glob

    use IO::AIO "aio_glob";

    aio_glob "{data,tree/**/*}.txt", undef, sub {
        my ($paths) = @_;
        print "$_\n" for @$paths;
    };
    IO::AIO::flush;

=for example end

Patterns and C<$flags> are those of C<bsd_glob> in L<File::Glob>, whose constants are to be used: C<*>, C<?>, C<[a-z]>,
C<[!a-z]>, C<{this,that}>, C<~> and C<~user>, and a backslash before what stands for itself; names that begin with a dot only
where the pattern has that dot. C<undef> is C<GLOB_CSH>, as in C<glob>: sorted without regard to case, and a pattern that has
none of C<*>, C<?> and C<[> is a result whether there is such a file or not. C<GLOB_ERR>: a directory that may not be read is
an error (others are errors in any case, but for missing ones).

Besides, C<**> between slashes stands for any directories, or none: C<src/**/*.c>. At the end it is C<**/*>. It leads by no
symbolic links, and into no directories whose names begin with a dot.

With C<[$wd, $pattern]> paths are relative to the working directory, and so are those that are found. A brace without its other
stands for itself (C<bsd_glob> cuts the pattern off there).

=head3 aio_watch

    aio_watch $pathname, $options, $batch->($events), $callback->($status)

Tells what happens in a directory (or to a file), until it is cancelled: C<$batch> is called with an array of
events, as long as there are any. C<$callback> is called when there can be no more: with 0 after the directory itself
has been removed, moved or unmounted, with -1 and C<$!> when it cannot be watched. Exported on request. inotify(7);
C<ENOSYS> where there is none.

=for example begin watch needs IO::AIO::Watch

    use IO::AIO qw(:DEFAULT aio_watch);

    my $watch; $watch = aio_watch "tree", { recursive => 1, events => "create delete move" }, sub {
        for (@{ $_[0] }) {
            my ($path, $event, $is_directory, $more) = @$_;
            print "$event $path\n";
            aio_mkdir "tree/new", 0755 if $event eq "ready";
            $watch->cancel if $event eq "create";
        }
    }, sub { die "cannot watch: $!" };
    IO::AIO::flush;

=for example output

prints

    ready 
    create new

=for example end

An event is an array:

    0  path, relative to the directory; "" is the directory itself
    1  what has happened, a word
    2  1 for a directory, else 0
    3  move: the new path; error: that error, as $!

The words are

=over 4

=item create, delete, move

A name has come, gone, or been changed within what is watched. What is moved to elsewhere is C<delete>, what comes from
there C<create>. Both C<create> and the new name of C<move> may be of a name that is there already: then another has taken its
place, as by C<rename>, and there is no C<delete>. The last event about the directory itself may be C<delete> or C<move>, without a new path, or C<unmount>.

=item modify, close_write, attrib

Of a file: it was written to or cut, closed after it was open for writing, or its mode, owner, times or number of links have
changed; C<attrib> of directories as well.

=item ready

The watch is in place: what happens from now on is told.

=item overflow

So much has happened that the kernel has lost some of it. Everything there is comes as C<found> then, names that you know and
names that you do not, and C<ready> again: what does not come is gone. A tree that is not watched recursively is
one directory for that.

=item error

A directory of the tree cannot be watched or read (C<ENOSPC>: see F</proc/sys/fs/inotify/max_user_watches>).

=back

C<$options> is C<undef> or a hash:

=over 4

=item recursive

All directories below, too, but not by symbolic links. One that appears is told, then what is in it, each name once, whether it
was made before the directory could be watched or after that.

=item events

Which of the first six are wanted, an array or a string with spaces. Default are all of them.

=item name

A pattern of the shell, or an array of patterns, one of which the last part of the path (for C<move>: the old or the new one)
has to match.

=item prune

Directories that are told, but not watched: likewise.

=item one_file_system

Mount points are told, but not watched.

=back

A watch takes no worker while nothing happens, and no place of C<IO::AIO::max_parallel>: a thread of the module's waits for all
watches. It is a request that is not done all the same, and counts as one in C<IO::AIO::nreqs>: C<IO::AIO::flush> returns when it
has been cancelled, and a program that polls while there are requests goes on. After a fork the child has none. Events wait in the
kernel while your program does not poll, 16384 usually. A directory above the root should not be renamed: new
directories would not be found by the path that it had. What other computers do to a network file system is not told.

=head2 Writing to disk

=head3 aio_sync

    aio_sync $callback->($status)

Writes all file systems' unwritten data to disk; C<sync(2)>. Always 0.

=head3 aio_syncfs

    aio_syncfs $fh, $callback->($status)

The same for the file system that C<$fh> is on; C<syncfs(2)>. Where that is
missing, C<sync> is called, and the result is -1 with C<ENOSYS> nevertheless.

=head3 aio_fsync

    aio_fsync $fh, $callback->($status)

Writes a file's data and attributes to disk; C<fsync(2)>.

=head3 aio_fdatasync

    aio_fdatasync $fh, $callback->($status)

The data, and only those attributes that are needed to find it;
C<fdatasync(2)>, or C<fsync> where that is missing.

=head3 aio_sync_file_range

    aio_sync_file_range $fh, $offset, $length, $flags, $callback->($status)

Starts or awaits writing out a range of data; C<sync_file_range(2)>. C<$flags>
combines C<SYNC_FILE_RANGE_WAIT_BEFORE>, C<SYNC_FILE_RANGE_WRITE> and
C<SYNC_FILE_RANGE_WAIT_AFTER>. Attributes are not written, so it is no
replacement for C<aio_fdatasync>, which takes its place where the system has
no such call.

=head3 aio_pathsync

    aio_pathsync $pathname, $callback->($status)

Opens what is there, syncs it and closes it. Meant for directories: it makes
sure that a new name or a rename survives a power failure.

=for example begin replace

    # replace a file so that there is always a whole one, old or new
    sub replace {
        my ($dir, $name, $content, $done) = @_;
        my $flags = IO::AIO::O_WRONLY | IO::AIO::O_CREAT | IO::AIO::O_TRUNC;
        my $fail = sub { $done->("$_[0]: $!") };

        aio_open "$dir/.$name.new", $flags, 0666, sub {
            my $fh = shift or return $fail->("open");
            aio_write $fh, 0, undef, $content, 0, sub {
                $_[0] == length $content or return $fail->("write");
                aio_fsync $fh, sub {
                    $_[0] and return $fail->("fsync");
                    aio_rename "$dir/.$name.new", "$dir/$name", sub {
                        $_[0] and return $fail->("rename");
                        aio_pathsync $dir, sub { $done->($_[0] ? "pathsync: $!" : "") };
                    };
                };
            };
        };
    }

    replace(".", "data.txt", "new content\n", sub { print $_[0] || "replaced", "\n" });

=for example output

prints

    replaced

=for example end

=head2 Memory

These work on scalars mapped by L</IO::AIO::mmap>, and some on any string. The
range is C<$length> octets from C<$offset> on, extended to whole pages.
C<$offset> defaults to 0 and counts from the end if negative; C<$length>
defaults to the rest, which C<undef> stands for as well. To give a callback,
give all arguments before it.

=head3 aio_msync

    aio_msync $scalar[, $offset[, $length[, $flags[, $callback->($status)]]]]

Writes changed pages to their file; C<msync(2)>. C<$flags> is
C<IO::AIO::MS_SYNC> (the default) or C<IO::AIO::MS_ASYNC>, perhaps with
C<IO::AIO::MS_INVALIDATE>.

=head3 aio_mtouch

    aio_mtouch $scalar[, $offset[, $length[, $flags[, $callback->($status)]]]]

Reads one octet of each page, which brings all of them into memory. With
C<IO::AIO::MT_MODIFY> as C<$flags> it also writes the octet back, which makes
the page dirty and, in a private mapping, your own.

=head3 aio_mlock

    aio_mlock $scalar[, $offset[, $length[, $callback->($status)]]]

Reads all pages in and keeps them there; C<mlock(2)>. Undone by
L</IO::AIO::munlock>, or when the scalar is unmapped.

=for example begin mlock

    open my $fh, "<", "data.txt" or die $!;
    my $data;
    IO::AIO::mmap $data, 40, IO::AIO::PROT_READ, IO::AIO::MAP_PRIVATE, $fh
        or die "mmap: $!";

    aio_mlock $data, 0, undef, sub {
        print $_[0] ? "not locked: $!\n" : "in memory\n";
    };

=for example end

=head3 aio_mincore

    aio_mincore $scalar[, $offset[, $length[, $callback->($pages)]]]

Tells which pages of a part of the scalar are in memory; C<mincore(2)>. C<$pages> is a string with an octet for each page that the
part touches, C<"\1"> for one that can be read without waiting for a disk and C<"\0"> for another; C<undef> after a
failure. It tells what was: a page may be gone by now. Of a file that you could not write to, Linux says that all is in memory.
Exported on request, see L</Names>.

=for example begin mincore needs +MINCORE

    use IO::AIO qw(:DEFAULT aio_mincore);

    open my $fh, "<", "data.txt" or die $!;
    IO::AIO::mmap my $data, -s $fh, IO::AIO::PROT_READ, IO::AIO::MAP_SHARED, $fh
        or die "mmap: $!";

    aio_mincore $data, 0, undef, sub {
        my $pages = shift // die "mincore: $!";
        printf "%d of %d pages\n", $pages =~ tr/\1//, length $pages;
    };

=for example output

prints

    1 of 1 pages

=for example end

=head3 aio_mlockall

    aio_mlockall $flags, $callback->($status)

Does so for the whole process; C<mlockall(2)>. C<$flags> combines
C<IO::AIO::MCL_CURRENT>, C<IO::AIO::MCL_FUTURE> and C<IO::AIO::MCL_ONFAULT>.
Undone by L</IO::AIO::munlockall>.

=head2 Groups and helpers

=head3 aio_group

    aio_group $callback->(@result)

Makes a request that contains other requests and is done when they are. See
L</GROUPS>.

=head3 aio_nop

    aio_nop $callback->()

Does nothing, but takes the same way as every other request. Useful in tests,
to measure latency, and to have a callback run in its turn.

=head3 IO::AIO::aio_busy

    IO::AIO::aio_busy $seconds, $callback->()

Makes a worker sleep for so long (fractions count). For tests and benchmarks;
a timer of your event loop is a better way to wait.

=head3 aioreq_pri

    $previous = aioreq_pri [$priority]

Returns the priority that the next request will have. With an argument, sets
it as well, limited to -4 ... 4. It applies to one request, after which it is
0 again. A group hands its priority to nobody, but the parts of L</aio_copy>
and its like have the priority of the whole.

=for example begin priority

    aioreq_pri(-2);
    aio_load "data.txt", my $index, sub { print "when there is nothing better to do\n" };

    aioreq_pri(4);
    aio_load "data.txt", my $answer, sub { print "before all others\n" };

=for example end

=head3 aioreq_timeout

    $previous = aioreq_timeout [$seconds]

Returns the time that the next request will have, undef if that is all there
is, as at first. With an argument, sets it; fractions count. It applies to one request,
after which it is undef again. Exported on request.

=for example begin timeout

    IO::AIO::aioreq_timeout(5);
    aio_load "/net/server/list", my $list, sub {
        print $!{ETIMEDOUT} ? "no answer\n" : "no such file\n" unless $_[0] >= 0;
    };

=for example end

A request that is not done by then fails with C<ETIMEDOUT>, in the first poll after
that; the poll descriptor becomes readable within a few milliseconds. One that has not begun
to execute never will, and one that executes is abandoned.

=head4 Requests that hang

A system call that hangs, in a network file system whose server is away, or in a FIFO that
nobody opens, cannot be stopped. (A signal to its thread would interrupt some of them; but the
calls that hang worst, in file systems, heed none but those that kill the process, and any other
needs a handler for the whole process, which would be seen by the program's own C<%SIG>, by its
event loop, and by other libraries. So no signal is sent.) It is abandoned: the
program gets its answer, C<nreqs> does not count it, C<flush> and the end of the program do not wait
for it, and another worker takes the place of the one that hangs, which counts no more
(L</IO::AIO::nabandoned>, L</IO::AIO::max_abandoned>). When the limit is reached, requests are still
answered in time, but their workers keep their places.

What it uses stays in use until the call ends: its buffer is locked and its handle open. Then, in the
first poll after that, the buffer is free, a descriptor that it has opened is closed, and a file that it
was making up (C<aio_copy>, C<aio_move>) is removed. What a call that ends late has done to the file
system otherwise stays done, as with any error of a network file system: a directory may exist though
C<aio_mkdir> has timed out. Parts of C<aio_rmtree> and C<aio_scandir> that have not begun are left out.

With L<engine|/IO::AIO::engine> C<sync> a request is executed before its time can be up. With
C<uring> the kernel is asked to stop a request of the ring, and its place there is kept
until it has.

=head3 aioreq_class

    $previous = aioreq_class [$name]

Returns the name of the class that the next request will be of, undef for none, as at first.
With an argument, sets it; undef takes it back. It applies to one request, after which it is
undef again: the requests of a group have each their own, but all parts of a composite request
are of its class. A name is made up by using it. Exported on request.

Of a class only so many requests execute at a time as L</IO::AIO::class> says. Those that wait for
that keep nobody else waiting: when what is behind one mount hangs, its requests hold as many
workers as their class may have, and all others go on.

=for example begin class

    IO::AIO::class "archive", max_parallel => 2;

    for my $name (qw(2023 2024 2025 2026)) {    # on a slow disk, two at a time
        IO::AIO::aioreq_class "archive";
        aio_load "/archive/$name", my $text, sub { };
    }
    aio_load "data.txt", my $text, sub { print "not held up by them\n" };

=for example end

Among those that wait for their class the highest priority is the next, and the oldest within
it. A C<aio_close> is a request like others: give it the class of those for the same handle, or it
may overtake them, or wait until they are done.

=head3 aioreq_nice

    aioreq_nice [$decrement]

Lowers the priority of the next request by so much; repeated calls add up.

=head1 WORKING DIRECTORIES

=head3 aio_wd

    aio_wd $pathname, $callback->($wd)

A process has one current directory, and any part of it may call C<chdir>. An
IO::AIO::WD object is a directory of your own that relative names can start
from. C<aio_wd> makes one out of a path name; search permission for the
directory is all it takes. The callback gets the object, or C<undef>.

Wherever a path name is expected you can write C<[$wd, $pathname]>, or C<$wd>
for the directory itself, in composite requests as well. An absolute
C<$pathname> stays what it is. The object refers to the directory, not to its
name: it goes on working when the directory is renamed. It is closed when the
last reference is gone. Looking up short names from there is also faster than
walking a long path each time.

=for example begin wd

    aio_wd "tree", sub {
        my ($wd) = @_;
        for my $name ("a.txt", "missing.txt") {
            aio_stat [$wd, $name], sub {
                print "$name: ", $_[0] ? "$!\n" : "there\n";
            };
        }
    };

=for example end

There is no need to check for errors in between: C<[undef, $pathname]> fails
with C<ENOENT> in every request.

The name of the directory comes from C<aio_realpath $wd>.

=head3 IO::AIO::CWD

The process's current directory at the time of execution.
C<[IO::AIO::CWD, $name]> is the same as C<$name>.

=head3 IO::AIO::INVALID_WD

An object for which every request fails with C<ENOENT>, like C<undef>.

=head1 REQUEST OBJECTS

Called in other than void context, every request returns an object of the
class IO::AIO::REQ. It is a hash that the module does not look into, so you
may keep things in it. Drop the object whenever you like: it, and what it
holds, is freed when the request is done.

=head3 $req->timeout

    $req->timeout($seconds)

The request has so much time from now, all there is with undef: see
L</aioreq_timeout>. A group's time is that of all its members, also of those that
are added later: they fail, its feeder is removed, and then it is called back, with
what L<< /$grp->result >> was told and C<ETIMEDOUT>, if nothing else, in C<$!>. So
the members that were done before have told what they had.

=for example begin group-timeout

    my @missing;
    my $grp = aio_group sub { print @missing ? "missing: @missing\n" : "all there\n" };
    for my $file (qw(data.txt index.txt)) {
        $grp->add(aio_stat $file, sub { push @missing, "$file ($!)" if $_[0] });
    }
    $grp->timeout(30);

=for example end

=head3 $req->progress

    my $done = $req->progress
    $req->progress($callback->($done, $total, $what)[, $interval])

Without an argument: what a request on a tree, L</aio_cptree> or L</aio_mvtree>, has done so far: a hash of numbers. C<undef> for others, and
when it is done; then its callback gets the hash.

    directories  that are in the copy now, files, links, others
    files        (with several names: each)
    links        symbolic ones
    others
    unchanged    CP_UPDATE, CP_SYNC: not copied
    skipped      CP_SKIP
    deleted      CP_DELETE, or what gave way; a directory with all in it is one
    failed
    octets       of files that were copied, also of those that are not complete
    spared       octets of those that needed no copy

With C<CP_TELL> or C<CP_TELL_ERRORS> there is more in C<told>, which is an array of C<[$path, $errno, $what]>: what has been done
since C<progress> was called last, as in C<$errors>. C<$errno> is 0 for what has been done, and C<$what> is C<"copy">, C<"link">
(another name of a file), C<"mkdir"> or C<"delete">. It waits in memory until you ask.

With a callback, has it called every so many seconds (fractions count; 1 if not given, a thousandth at least) until
the request is done, and then once more, with the last figures, right before the request's own callback. It is
called by the poll functions like any callback, for which the poll descriptor becomes readable at those times;
an exception in it is a warning. With undef an earlier one is taken back. A
request that is cancelled tells no more, and one that is done already nothing.

C<$what> says what is counted:

=over 4

=item octets

C<aio_copy> (also within one file), C<aio_move>, C<aio_load>, C<aio_slurp>: of so many as the file has. C<aio_cptree> and
C<aio_mvtree>: of all files together.

=item entries

C<aio_rmtree>: removed. C<aio_scandir>: looked at, if there is need to. C<aio_walk>, C<aio_du>, C<aio_remove>: looked at.

=item requests

Groups made by C<aio_group>: members that are done, of all that have been added. Any other request: 0 or 1, of 1.

=back

C<$total> is undef as long as nobody knows it, as is the case for trees; at the end it is no less than C<$done>. When
a request fails, or what it copies ends early, C<$done> is how far it got.

=for example begin progress

    my $copy = aio_copy "data.txt", "copy.txt", sub {
        print $_[0] ? "failed: $!\n" : "done\n";
    };
    $copy->progress(sub {
        my ($done, $total, $what) = @_;
        printf "%d%% of %d %s\n", 100 * $done / $total, $total, $what if $total;
    }, 0.5);
    IO::AIO::flush;

=for example output

prints

    100% of 45 octets
    done

=for example end

With futures and coros, make the request by IO::AIO, set its callback for progress, and wait for it:
C<await aio_wait $copy> (L<Future::AIO>), or C<aio_wait $copy> (L<Coro::AIO>).

=head3 $req->cancel

    $req->cancel

Makes the request go away. If it has not begun to execute, it never will. If
it executes, it goes on to its end, since a system call cannot be taken back.
In both cases the callback is not called. The request counts as outstanding
until the next poll; one that executes, until the first poll after its end, or
after 20 milliseconds, when it is abandoned (see L</Requests that hang>). A cancelled
C<aio_open> or C<aio_wd> closes what it opened.

=for example begin cancel

    my $req = aio_load "data.txt", my $data, sub { print "not to be seen\n" };
    $req->cancel;
    IO::AIO::flush;
    print "done\n";

=for example output

prints

    done

=for example end

=head3 $req->cb

    $old = $req->cb([$callback])

Returns the callback. With an argument, sets it too; C<undef> removes it.

On a request that is done, C<cancel> and setting a callback have no effect,
and C<cb> returns nothing. Callbacks and data are freed when a request is
done even if its object lives on.

=head1 GROUPS

    $grp = aio_group $callback->(@result)

A group is a request that contains others. It is done, and its callback
called, when all members are done. Groups can be members of groups, can be
cancelled (which cancels all members, at any depth, and calls nobody), and are
objects of the class IO::AIO::GRP, which inherits from IO::AIO::REQ. What is
added to a group after it was cancelled is executed and called back.

=for example begin group

    my $grp = aio_group sub {
        my ($bytes) = @_;
        print "$bytes bytes in all\n";
    };

    my $bytes = 0;
    for my $file (glob "tree/*.txt") {
        $grp->add(aio_stat $file, sub {
            $_[0] == 0 and $bytes += -s _;
            $grp->result($bytes);
        });
    }

=for example end

A group without members is done at the next poll. So there is time to add
members until control returns to the event loop, and after that for as long as
the callback of some member runs: those may add further members. A group's own
callback may not, and a group that is done takes none.

=head3 $grp->add

    @requests = $grp->add(@requests)

Adds requests, and returns them. A request that is done already, or that is in
a group already, changes nothing. To make a group a member of itself, at
whatever depth, croaks.

=head3 $grp->result

    $grp->result(@values)

Sets what the group's callback will get, nothing by default, and its C<$!> to
the present value of C<$!>.

=head3 $grp->errno

    $grp->errno([$errno])

Sets only the value that C<$!> will have in the group's callback: the number
given or the present C<$!>. The default is 0. The later call of C<result> and
C<errno> counts.

=head3 $grp->cancel_subs

    $grp->cancel_subs

Cancels all members and removes the feeder. The group itself ends as usual,
with its callback. The thing to call when the first of many answers is enough.

=head3 $grp->feed

    $grp->feed([$callback->($grp)])

Sets a function that adds members when there is room for more. It is called at
once, and then whenever the group has fewer members than its limit. A feeder
that adds nothing is finished and removed; C<undef> or nothing removes it as
well. If it dies, there is a warning, and the group ends with the members it has.

A feeder may poll. Its group does not end before it returns, and it counts as
having added something even if that is done by then. Calls do not nest: when
it sets the limit or another feeder, that takes effect when it returns.

A million requests can be queued at once, but they take memory, and every
later request of the same priority has to wait behind them. A feeder makes
them as they are needed:

=for example begin feed

    my @files = map "file$_", 1 .. 1000;
    my $missing = 0;

    my $grp = aio_group sub { print "$missing missing\n" };
    $grp->limit(16);
    $grp->feed(sub {
        my $file = shift @files or return;
        $grp->add(aio_stat $file, sub { $_[0] and $missing++ });
    });

=for example output

prints

    1000 missing

=for example end

=head3 $grp->limit

    $grp->limit($number)

Sets the number of members below which the feeder is called. 0 pauses feeding,
and a negative number is no limit. It is 0 at first, and setting a feeder turns
0 into 2.

A group whose last member is done is done, also while its feeder pauses. A
feeder that has nothing now, but will have something later, sets the limit to 0
and adds a member that waits for that, such as a read from a pipe; the member's
callback sets the limit again.

The methods C<add>, C<result>, C<errno>, C<feed> and C<limit> croak when the
group is done. In its own callback C<add> croaks, a feeder that is set is
called once, and the others have no effect.

=head1 GETTING RESULTS

=head3 IO::AIO::poll_fileno

    $fd = IO::AIO::poll_fileno

The number of the descriptor that is readable while results wait to be handed
out. Have your event loop watch it for reading and call C<poll_cb> then. The
number stays the same for the life of the process, and in a forked child, where
it stands for another descriptor (L</Fork>). If the program closes it, the next
call makes a new one.

Nothing else has to be done with it, but nothing is lost if it is read (stream
objects of event loops do that), made blocking, or watched for edges: after
each poll that leaves something it is readable again. Do not duplicate it,
though: a duplicate that is older than a fork stays the parent's, so in the child
it says nothing. What wants a handle takes C<poll_handle>.

=head3 IO::AIO::poll_handle

    $fh = IO::AIO::poll_handle

The same as a handle: a reference to a glob, always the same one, that the
module keeps. It goes wherever a handle is wanted, and what is said above holds
for it as well. When it is dropped or closed the descriptor stays open, and the
next call opens the handle again. Croaks when no descriptor can be had.

=head3 IO::AIO::poll_cb

    $left = IO::AIO::poll_cb

Calls the callbacks of requests that are done, and returns without waiting for
others. Arguments are ignored, so C<\&IO::AIO::poll_cb> fits every event loop.
The result is 0 if no results are left, and -1 if it returned early because of
L</IO::AIO::max_poll_reqs> or L</IO::AIO::max_poll_time>. In that case the
descriptor is still readable, and your loop will call it again.

It costs next to nothing when there is nothing to do, so a loop that submits a
lot may call it each time round. It may also be called from callbacks, to any
depth.

=head3 IO::AIO::poll_wait

    IO::AIO::poll_wait

Waits until a result can be handed out. Returns at once if there is one, or if
nothing is outstanding. Signal handlers run meanwhile.

=head3 IO::AIO::poll

    $handled = IO::AIO::poll

C<poll_wait>, then C<poll_cb>. Returns the number of requests that were
handled.

=head3 IO::AIO::flush

    IO::AIO::flush

Polls until nothing is outstanding. It makes a synchronous call of every
request:

=for example begin flush

    my ($dirs, $files);
    aio_scandir "tree", 0, sub { ($dirs, $files) = @_ };
    IO::AIO::flush;
    print "@$dirs\n";

=for example output

prints

    sub

=for example end

Happens by itself when the program ends.

=head3 IO::AIO::max_poll_reqs

    IO::AIO::max_poll_reqs $number

=head3 IO::AIO::max_poll_time

    IO::AIO::max_poll_time $seconds

Limit what one C<poll_cb> does, so that other things of your event loop get
their turn: it returns after so many requests, or when so much time has
passed. The time is looked at between callbacks. 0, the default, means no
limit. 0.01 to 0.1 seconds are good values for programs that somebody is
looking at.

=head3 IO::AIO::max_outstanding

    IO::AIO::max_outstanding $number

Makes the poll functions wait until fewer than so many requests are
outstanding. 0, the default, is no limit. For scripts without
event loop: it bounds memory, at the price of waiting. In programs that must
not wait use a group with a feeder.

=for example begin max_outstanding

    IO::AIO::max_outstanding 32;

    my $size = 0;
    for my $file (glob "tree/* tree/*/*") {
        aio_lstat $file, sub { $size += -s _ unless $_[0] };
        IO::AIO::poll_cb;
    }
    IO::AIO::flush;

=for example end

=head2 Callbacks that die

If a callback dies, the poll function that called it dies with the same
exception. Results that were not handed out stay where they are, the
descriptor stays readable, and the next poll goes on with them. Nothing is
lost but the rest of that callback.

C<$@> is empty when a callback begins, and otherwise that of the caller stays as
it is.

A callback may call C<exit>; what is still outstanding is then flushed as at
any other end of the program.

=head1 EVENT LOOPS

One call is enough in all of them:

=head3 IO::AIO::attach

    $name = IO::AIO::attach [$loop]

Has the event loop of the program call L</IO::AIO::poll_cb> whenever there are
results. C<$loop> is the loop's class (C<"IO::Async::Loop">), which is loaded if
need be, or an object: of Mojo::IOLoop, Mojo::Reactor, IO::Async::Loop or EV::Loop.
Without it, what is loaded is looked at in this order, and the first one taken:

    Mojo::IOLoop IO::Async::Loop POE::Kernel Tk AnyEvent EV Glib Event Future::IO

So loops that run on others, or bring them along, come before those. Name the loop
if you have loaded several and run another than the first of these. Of Future::IO
it is the implementation. The result is the name in this list. Croaks when none of
them is loaded, or when the argument is none of them. A loop that is loaded later
is not noticed: call C<attach> after that.

It may be called as often as one likes: there is one watcher, and each call installs
it anew, without argument in the same loop as before, with one in that loop. So a
module can do it in each function that needs results. The watcher alone keeps
most loops running: end them, as the examples below do, or C<detach>.

After a fork both parent and child go on, without another call. It takes one
when the child makes a loop of its own (C<< IO::Async::Loop->fork >> means that), and
in IO::Async::Loop::Epoll 0.22, which forgets what it watches when the process forks,
only such a loop will do. Tk cannot be used on both sides of a fork.

=for example begin attach needs Mojo::IOLoop

    use Mojo::IOLoop;

    IO::AIO::attach;

    aio_stat "data.txt", sub { print "size ", -s _, "\n"; Mojo::IOLoop->stop };
    Mojo::IOLoop->start;

=for example end

=head3 IO::AIO::detach

    $name = IO::AIO::detach

Undoes that. Returns the name of the loop, or an empty string if there is none.

=head2 By hand

That takes the handle L</IO::AIO::poll_handle> (or its number), watched for reading,
and L</IO::AIO::poll_cb>, called when it is readable. Anything that can watch a
descriptor will do. The following lines work in subs and modules as well (keep the
watcher, where there is one), and after a fork: the child has a descriptor of
its own by the same number. EV, and whatever runs on it, has to be told in a child:
C<< EV::default_loop->loop_fork >>. (C<attach> does.)

=head2 EV

=for example begin ev needs EV

    use EV;

    my $watcher = EV::io IO::AIO::poll_handle, EV::READ, \&IO::AIO::poll_cb;

    aio_stat "data.txt", sub { print "size ", -s _, "\n"; EV::break };
    EV::run;

=for example end

=head2 AnyEvent

AnyEvent::AIO does all that is needed, whatever loop is behind AnyEvent:

=for example begin anyevent-aio needs AnyEvent::AIO

    use AnyEvent;
    use AnyEvent::AIO;

    my $done = AnyEvent->condvar;
    aio_stat "data.txt", sub { $done->send(-s _) };
    print "size ", $done->recv, "\n";

=for example end

By hand:

=for example begin anyevent needs AnyEvent

    use AnyEvent;

    my $watcher = AnyEvent->io(
        fh => IO::AIO::poll_handle, poll => "r", cb => \&IO::AIO::poll_cb,
    );

    my $done = AnyEvent->condvar;
    aio_stat "data.txt", sub { $done->send(-s _) };
    print "size ", $done->recv, "\n";

=for example end

=head2 Coro

L<Coro::AIO> comes with this module. Its functions take no callback; they put
the coro to sleep and return what the callback would get.

=for example begin coro needs Coro::AIO

    use Coro;
    use Coro::AIO;

    my $coro = async {
        my $fh = aio_open "data.txt", IO::AIO::O_RDONLY, 0 or die "data.txt: $!";
        my $data;
        aio_read $fh, 0, -s $fh, $data, 0;
        print length $data, " bytes\n";
    };
    $coro->join;

=for example end

=head2 Event

=for example begin event needs Event

    use Event;

    my $watcher = Event->io(
        cb => \&IO::AIO::poll_cb, poll => "r", fd => IO::AIO::poll_handle,
    );

    aio_stat "data.txt", sub { print "size ", -s _, "\n"; Event::unloop };
    Event::loop;

=for example end

=head2 Glib, Gtk

Glib wants the number. Its watcher is removed when it returns false:

=for example begin glib needs Glib

    use Glib;

    my $loop = Glib::MainLoop->new;
    Glib::IO->add_watch(IO::AIO::poll_fileno, "in", sub { IO::AIO::poll_cb; 1 });

    aio_stat "data.txt", sub { print "size ", -s _, "\n"; $loop->quit };
    $loop->run;

=for example end

=head2 IO::Async

=for example begin io-async needs IO::Async::Loop

    use IO::Async::Loop;

    my $loop = IO::Async::Loop->new;
    $loop->watch_io(handle => IO::AIO::poll_handle, on_read_ready => \&IO::AIO::poll_cb);

    aio_stat "data.txt", sub { print "size ", -s _, "\n"; $loop->stop };
    $loop->run;

=for example end

=head2 Mojo::IOLoop

=for example begin mojo needs Mojo::IOLoop

    use Mojo::IOLoop;

    my $results = IO::AIO::poll_handle;
    my $reactor = Mojo::IOLoop->singleton->reactor;
    $reactor->io($results => \&IO::AIO::poll_cb)->watch($results, 1, 0);

    aio_stat "data.txt", sub { print "size ", -s _, "\n"; Mojo::IOLoop->stop };
    Mojo::IOLoop->start;

=for example end

=head2 POE

=for example begin poe needs POE

    use POE;

    my $results = IO::AIO::poll_handle;
    POE::Session->create(inline_states => {
        _start => sub {
            $_[KERNEL]->select_read($results, "results");
            aio_stat "data.txt", sub {
                print "size ", -s _, "\n";
                $poe_kernel->select_read($results);
            };
        },
        results => sub { IO::AIO::poll_cb },
    });
    POE::Kernel->run;

=for example end

=head2 Tk

=for example begin tk needs Tk $DISPLAY

    use Tk;

    my $window = MainWindow->new;
    $window->fileevent(IO::AIO::poll_handle, readable => \&IO::AIO::poll_cb);

    aio_stat "data.txt", sub { print "size ", -s _, "\n"; $window->destroy };
    MainLoop;

=for example end

=head2 Futures, async and await

L<Future::AIO> comes with this module. Its functions take no callback; they
return futures, which async subs can await.

=for example begin await needs Future::AsyncAwait

    use Future::AIO;
    use Future::AsyncAwait;

    async sub first_line {
        my ($path) = @_;
        my $fh = await aio_open $path, IO::AIO::O_RDONLY, 0;
        my $data = await aio_pread $fh, 0, 4096;
        return $data =~ /(.*)/;
    }

    print first_line("data.txt")->get, "\n";

=for example output

prints

    The quick brown fox jumps over the lazy dog.

=for example end

It works by itself, with the loops of IO::Async, with Mojolicious (the class
Mojo::Promise is an option) and with L<Future::IO>. Where another loop runs,
have it watch for results by C<attach>.

Note C<$!> and C<_>: both are set while the callback runs, and neither lasts
beyond. Code after an C<await> may run within it or much later, when others
have run in between, and what is handed to C<then> of a Mojo::Promise runs in
a later turn of the loop. So Future::AIO keeps C<$!> in the failure, and
C<aio_stat> has an object there. Copy what you need if you make promises from
callbacks yourself.

=head2 No loop at all

C<select> or C<poll(2)> on the descriptor, with whatever else your program
waits for:

=for example begin select

    use IO::Select;

    my $results = IO::AIO::poll_handle;
    my $select = IO::Select->new($results);

    my $data;
    aio_load "data.txt", $data, sub { print length $data, " bytes\n" };

    while (IO::AIO::nreqs) {
        for my $fh ($select->can_read) {
            IO::AIO::poll_cb if $fh == $results;
        }
    }

=for example end

=head2 For authors of adapters

=head3 IO::AIO::_on_next_submit

    IO::AIO::_on_next_submit $code

Has the code reference called once, when the next request is submitted.
AnyEvent::AIO starts its watcher by this, so that the watcher exists only when
there is something to wait for. C<undef> takes it back.

=head1 WORKER THREADS

Worker threads start when there is work for them, and stop when there is none
for a while. One is started only if a request is queued and no other is free.
All signals are blocked in them, so signal handlers run where they always did.
The two that writing may cause, C<SIGPIPE> and C<SIGXFSZ>, come for no request,
whoever executes it: the callback is told C<EPIPE> or C<EFBIG>, or fewer octets.

=head3 IO::AIO::min_parallel

    IO::AIO::min_parallel $threads

Raises the number of workers that may work at a time, which is 8 at first, to
at least this. Raises the bound of L</IO::AIO::max_parallel> as well if that
is lower.

More is good for disks and network file systems that serve many requests at a
time; 4 to 32 suit most. More threads than that mostly take turns at the same
locks in the kernel.

=head3 IO::AIO::max_parallel

    IO::AIO::max_parallel $threads

Sets a bound to that number, and to what the ring does at a time; there is
none at first. Waits for surplus workers to finish what they do. With 0,
requests are queued and not executed until one of the two functions sets a
number again. With 1, requests of the same priority execute in the order in
which they were submitted.

=head3 IO::AIO::class

    $figures = IO::AIO::class $name[, max_parallel => $threads]

Sets how many requests of that class (L</aioreq_class>) may execute at a time: a number, which
is beside those of the functions above, or undef for no limit, as at first. Those that execute
already go on when it is lowered. With 0 they are queued and not executed; the end of the program
does not wait for those.

As with C<max_parallel>, the parts of C<aio_walk> and the like count one by one; what an attempt in the
call could answer from the kernel's cache counts, too, and waits with the others when the class has no
place left; and what is abandoned (L</Requests that hang>) gives its place to the next, within the
limit of L</IO::AIO::max_abandoned>. A class lasts as long as the program, so do not make one up for each file.

Returns a reference to a new hash with C<running> (they execute, or are the next to be executed),
C<waiting> (for a place of the class) and C<max_parallel>, or undef when nobody has used the name yet.

=head3 IO::AIO::max_abandoned

    IO::AIO::max_abandoned $threads

How many workers may be at requests that were abandoned, 1024 at first, without
being counted by C<min_parallel> and C<max_parallel>, or wait for a lock (L</aio_lock>): see L</Requests that hang>. Each has 256 KiB of
stack, of which a request uses little.

=head3 IO::AIO::max_idle

    IO::AIO::max_idle $threads

The number of workers that may stay around without work, 4 at first. Others
end after L</IO::AIO::idle_timeout>.

=head3 IO::AIO::idle_timeout

    IO::AIO::idle_timeout $seconds

The time that a worker waits for work before it may end, 10 at first.

=head1 ENGINES

=head3 IO::AIO::engine

    ($name, $reason) = IO::AIO::engine [$name]

Requests can be executed in three ways:

=over 4

=item pool

The default. Worker threads, and inline attempts for what is in the kernel's
cache.

=item uring

Linux's io_uring for those requests that gain by it, direct I/O above all, and
the pool for all others. It takes reads, direct writes and syncs of files and
block devices, the former two with an offset. Has to be asked for, because some sandboxes kill a
program that tries. Needs a module built with liburing.

=item sync

The request executes before the call returns; only its callback waits for the
poll. For debugging, and for comparison.

=back

The results are the same. C<IO_AIO_ENGINE=uring> in the environment chooses
for a program, and C<IO::AIO::engine "uring"> for requests submitted from now
on. An unknown name croaks; in the environment it is ignored.

The function returns the name of the engine that is active, and in list
context also a reason if that is not the one that was asked for, or C<"">. A
ring that cannot be had is no error: the pool takes its place. So it does when
a sandbox forbids the ring later.

=for example begin engine

    my ($name, $reason) = IO::AIO::engine "uring";
    print "engine $name", length $reason ? " ($reason)" : "", "\n";

    # engine uring
    # engine pool (uring: io_uring_setup: Operation not permitted)

=for example end

=head1 STATISTICS

=head3 IO::AIO::nreqs

    $number = IO::AIO::nreqs

Requests that are outstanding: submitted, and their callbacks not yet called.
A group counts as one, beside its members, but not while it only waits for
them: in the callback of a member, C<while (IO::AIO::nreqs)> may poll for all
others.

=head3 IO::AIO::nready

    $number = IO::AIO::nready

Requests that wait to be executed.

=head3 IO::AIO::npending

    $number = IO::AIO::npending

Requests that have been executed and wait to be polled.

=head3 IO::AIO::nthreads

    $number = IO::AIO::nthreads

Worker threads that exist, but for those that are at abandoned requests.

=head3 IO::AIO::nabandoned

    $number = IO::AIO::nabandoned

Worker threads besides, which are at L<requests that hang|/"Requests that hang">
and that nobody waits for, or wait for a lock (L</aio_lock>) or, in many an
L</aio_spew>, for the disk.

=head3 IO::AIO::stats

    $stats = IO::AIO::stats

A reference to a new hash with what is known by now. Times are in seconds.
L</TUNING> reads it.

=over 4

=item submitted, inlined, inline_declined, executed, parts, ring, ring_declined, wakeups, threads_started

How many requests were submitted; were finished by an attempt in the call, or
attempted there in vain; were executed by workers, and in how many additional
parts; were finished by the ring, or offered to it in vain; how often the
descriptor of L</IO::AIO::poll_fileno> was written, and how many threads
were started. These are always counted.

=item pace

A hash of what the pool goes by, 0 for what it does not know yet: C<hop>, from
the signal to a worker that sleeps until it runs; C<step>, what the program
and perl do for a request that is polled; C<idle>, how long workers without
work are without; C<wait>, how long it takes until there is a result when the
program waits for one.

=item requests

A hash with a hash for each kind of request, such as C<stat> for
L</aio_stat>. C<busy>, C<wait> and C<attempt> are there when the pool has
measured them: what an execution takes that does not wait, what executions
wait for devices and servers on average, and what an attempt in the call takes;
C<much> has the same for requests of 16 KiB and more. All others are there
when L</IO::AIO::stats_every> has asked for them:

C<count> requests are finished, C<errors> of them have failed, and besides
C<cancelled> were cancelled. C<octets> were read or written, where results
tell that. C<declined> were attempted in the call, or by the ring, in vain.

Of C<timed> requests the times are in three histograms: C<waiting> for a
worker (only those that did), in C<execution>, and from then until
C<delivery>, that is, until they were polled. Each is an array. Its member
I<i> is the number of those that took from 2**I<i> to 2**(I<i> + 1)
nanoseconds, and zeros at the end are left out: member 10 is a microsecond,
20 a millisecond, 30 a second.

=back

=head3 IO::AIO::stats_every

    IO::AIO::stats_every $nreqs

From now on requests are counted by kind, and the times are taken of one in so
many: 1 takes all, and costs each four looks at the clock, 0.1 to 0.2
microseconds; 16 costs less than 20 nanoseconds. 0, as at first, counts and
costs nothing, and leaves what was counted. Each perl thread has its own.

=head3 IO::AIO::stats_reset

    IO::AIO::stats_reset

Sets everything to 0 that L</IO::AIO::stats> counts. What the pool goes by
stays.

=head3 IO::AIO::slow

    IO::AIO::slow $seconds[, $callback->($name, $waiting, $execution, $delivery)]

Tells of each request that takes as long as that or longer from the call until
it is polled, just before its own callback: the name without C<aio_>, and the
three times, in seconds, that L</IO::AIO::stats> explains. Without a callback
it is a warning. If the callback dies, that becomes a warning. Groups
and what was cancelled do not count. All requests are timed meanwhile. C<undef> ends it.

=for example begin slow

    IO::AIO::slow 0.5, sub {
        my ($name, $waiting, $execution, $delivery) = @_;
        warn "a $name: the disk is slow"      if $execution > 0.5;
        warn "a $name: too few threads"       if $waiting > 0.5;
        warn "a $name: the program was busy"  if $delivery > 0.5;
    };

=for example end

=head1 TUNING

Most programs need not set anything: how many workers are awake, and what is
done in the call, follows from what the pool measures. When a program is
slower than it should be, ask where the time goes:

=for example begin tuning

    IO::AIO::stats_every 1;

    aio_stat "data.txt", sub { };       # the program's work
    IO::AIO::flush;

    # the time that 99 of 100 did not exceed
    sub most {
        my ($histogram) = @_;
        my ($all, $sum) = (0, 0);
        $all += $_ for @$histogram;
        for my $i (0 .. $#$histogram) {
            $sum += $histogram->[$i];
            return 2 ** ($i + 1) / 1e9 if $sum >= 0.99 * $all;
        }
        return 0;
    }

    my $requests = IO::AIO::stats->{requests};
    for my $name (grep $requests->{$_}{count}, sort keys %$requests) {
        my $r = $requests->{$name};
        printf STDOUT "%-10s %8d  waiting %.6f  execution %.6f  delivery %.6f\n",
            $name, $r->{count}, map most($r->{$_}), qw(waiting execution delivery);
    }

=for example end

What is large says what to do:

=over 4

=item waiting

Requests wait for workers. If C<wait> of that kind is large, too, the device or
server takes long, and may do more at a time:
L<IO::AIO::min_parallel|/IO::AIO::min_parallel> 16, then 32, and see whether
it gets better. If C<busy> is the larger one, the processors have all they can
do, and more threads do not help. If all is well most of the time and not when
there are many, submit fewer at a time
(L</IO::AIO::max_outstanding>, L<< limits of groups|/$grp->limit >>), and give
urgent requests a L<priority|/aioreq_pri>.

=item execution

What the kernel takes. A few microseconds are the cache, 0.1 milliseconds a
flash drive, 5 a disk, more a network or a queue before one of these. When many
requests of a kind C<declined> and wait, data are not in the cache:
L</aio_readahead> before they are needed, larger reads, L</aio_slurp> or
L</aio_load> instead of three requests for a small file. For direct reads and
writes at a depth, try C<IO::AIO::engine "uring">.

=item delivery

The program does not poll: something in it takes that long, mostly callbacks.
L</IO::AIO::max_poll_time> 0.01 lets an event loop have a turn in between.
Without a loop, poll more often.

=item none of these

C<step> times the number of requests is the program's own work, and no thread
takes that over. Ask for more with each request: whole files
(L</aio_load>), whole directories (L</aio_scandir>) and whole trees
(L</aio_rmtree>, L</aio_copy>).

=back

Look at C<threads_started>, too: if it grows all the time, a program that has
work in bursts loses threads in between, and starts them again:
L<IO::AIO::max_idle|/IO::AIO::max_idle> 32 or a longer
L</IO::AIO::idle_timeout> keep them. With many programs or containers on a
machine that has few processors or little memory, L</IO::AIO::max_parallel>
bounds what one of them takes.

For single requests there is L</IO::AIO::slow> in the program, L</EIO_TRACE>
around it, and, where F<sys/sdt.h> was there when the module was built, a probe
for tracers: C<libeio:state>, at each change of state, with five arguments,
the context, the request, the address of the address of the operation's name,
and the numbers of the states before and after (0 new, 1 ready, 2 running,
3 flying, that is, in the ring, 4 done, 5 finished). It costs nothing unless
somebody looks. How many requests of each kind begin to execute:

    bpftrace -p PID -e 'usdt:*:libeio:state /arg4 == 2/ { @[str(*(uint64 *)arg2)] = count() }'

=head1 FORK, THREADS AND THE END

=head2 Fork

C<fork>, C<system>, backticks and C<exec> work at any time, with requests
outstanding or not. Nothing needs to be called for it. Handlers in C<%SIG> may
fork, too; those that interrupt C code (C<PERL_SIGNALS=unsafe>, C<POSIX::sigaction>
without C<safe>) may not, as that code may hold a lock that C<fork> waits for, be
it the C library's or this module's.

The parent goes on as if nothing had happened, and all its requests are
executed once, in the parent. The child starts as if it had never used the
module: nothing outstanding, no threads, and settings such as C<max_poll_reqs>
as they were. It can submit requests right away. Event loops remember
descriptors, so a child that goes on with its parent's loop tells the loop of
the fork, as it would anyway (C<< EV::default_loop->loop_fork >> for EV, say).
Working directory objects, handles and mapped scalars of the parent are good
in the child.

=for example begin fork

    my $data;
    aio_load "data.txt", $data, sub { print "parent: ", length $data, " bytes\n" };

    my $pid = fork // die "fork: $!";
    if (!$pid) {
        print "child: ", IO::AIO::nreqs, " outstanding\n";
        exit;
    }
    waitpid $pid, 0;
    IO::AIO::flush;

=for example end

=head3 IO::AIO::reinit

    IO::AIO::reinit

Drops everything that is outstanding, without callbacks, and starts afresh.
The limits of threads (C<max_parallel> and so on, and those of classes) are the defaults again; those
of C<poll_cb>, and C<max_outstanding>, stay as they were set.
Not needed after a fork any more, and harmless there. But a daemon that has
closed all descriptors calls it before it opens others and watches
L</IO::AIO::poll_handle> again, which may have a new number then. (C<poll_wait> and
C<flush> notice by themselves that it is gone, and drop nothing.) Requests that are
being executed go on in their threads, but nobody waits for them: a program that
must end at once while a network file system hangs calls it before C<exit>, or has
given its requests L<timeouts|/aioreq_timeout>.

=head2 Perl threads

Every interpreter has queues and workers of its own: poll where you submitted.
Copies of request and group objects in a new thread refer to nothing; working
directory objects can be used there.

=head2 The end of the program

When the program ends, by C<exit>, by running off its end or by C<die>, what
is outstanding is finished first, callbacks included. The exit status stays
what it was. A callback that dies or exits during that ends the wait: the
callbacks that have not run by then do not run any more. A program that has
called C<reinit> or C<max_parallel 0> ends at once, and so does one that is
killed, calls C<POSIX::_exit> or C<exec>, and a forked child does not wait for
requests of its parent.

=head1 STAT EXTENSIONS

=head2 Times of the last stat

Perl's C<stat> and C<aio_stat> know the times to the nanosecond, but perl's
functions return whole seconds. The functions of this section return the rest.
They are about the most recent C<stat>, C<lstat> or file test, perl's own or
that of an L</aio_stat> whose callback runs, provided it succeeded. Where the
system does not know something, it is 0.

=for example begin st_mtimensec

    aio_stat "data.txt", sub {
        $_[0] == 0 or die "data.txt: $!";
        printf "modified at %d.%09d\n", (stat _)[9], IO::AIO::st_mtimensec;
    };

=for example end

=head3 IO::AIO::st_atime

    $seconds = IO::AIO::st_atime

=head3 IO::AIO::st_mtime

    $seconds = IO::AIO::st_mtime

=head3 IO::AIO::st_ctime

    $seconds = IO::AIO::st_ctime

=head3 IO::AIO::st_btime

    $seconds = IO::AIO::st_btime

Times of the last access, modification and change, and of the file's birth
(not on Linux: see C<stx_btime> below), in seconds with a fraction. Perl's
numbers are good for about a microsecond here; the functions below are exact.

=head3 IO::AIO::st_xtime

    ($atime, $mtime, $ctime, $btime) = IO::AIO::st_xtime

All four of them. There may be more in later versions.

=head3 IO::AIO::st_atimensec

    $nanoseconds = IO::AIO::st_atimensec

=head3 IO::AIO::st_mtimensec

    $nanoseconds = IO::AIO::st_mtimensec

=head3 IO::AIO::st_ctimensec

    $nanoseconds = IO::AIO::st_ctimensec

=head3 IO::AIO::st_btimensec

    $nanoseconds = IO::AIO::st_btimensec

Only the fraction, as a whole number from 0 to 999,999,999. Take the seconds
from C<stat _>, because the integer part of C<st_mtime> may be rounded up.

=head3 IO::AIO::st_xtimensec

    ($atime, $mtime, $ctime, $btime) = IO::AIO::st_xtimensec

All four fractions.

=head3 IO::AIO::st_btimesec

    $seconds = IO::AIO::st_btimesec

The whole seconds of the time of birth, which C<stat> does not return.

=head3 IO::AIO::st_gen

    $number = IO::AIO::st_gen

The generation number of the file, which some BSDs show to root; 0 elsewhere.

=head2 Statx

=head3 IO::AIO::statx

    $status = IO::AIO::statx $pathname, $flags, $mask

Asks more than C<stat> does; C<statx(2)>. Synchronous. C<$pathname> is a path
name (no handle). C<$flags> combines constants such as C<AT_SYMLINK_NOFOLLOW>,
C<AT_STATX_DONT_SYNC> or C<AT_EMPTY_PATH> (with the name C<"">, for the
directory itself); C<$mask> says what you want to know, C<STATX_BASIC_STATS>
or C<STATX_ALL> or single bits of L</Statx bits>. Returns 0, or -1 after an
error.

=head3 IO::AIO::stx_...

    $value = IO::AIO::stx_...

The results of the last C<statx> that succeeded; C<_> and the functions above
know nothing of it. Before the first one they are 0. Look at C<stx_mask> for
what the file system filled in.

    stx_mask                      which of these are valid, STATX_...
    stx_attributes                STATX_ATTR_... that the file has
    stx_attributes_mask           those that the file system knows
    stx_mode                      type and permissions
    stx_nlink stx_uid stx_gid stx_ino
    stx_size                      octets
    stx_blocks                    units of 512 octets on disk
    stx_blksize                   good size for reading and writing
    stx_atime stx_mtime stx_ctime stx_btime
                                  seconds with a fraction
    stx_atimesec stx_mtimesec stx_ctimesec stx_btimesec
                                  whole seconds
    stx_atimensec stx_mtimensec stx_ctimensec stx_btimensec
                                  nanoseconds beyond
    stx_dev_major stx_dev_minor   the device that the file is on
    stx_rdev_major stx_rdev_minor the device that it is

=for example begin statx needs STATX_BTIME +STATX

    IO::AIO::statx "data.txt", 0, IO::AIO::STATX_BTIME and die "statx: $!";

    if (IO::AIO::stx_mask & IO::AIO::STATX_BTIME) {
        print "born ", scalar localtime IO::AIO::stx_btimesec, "\n";
    } else {
        print "this file system does not keep the time of birth\n";
    }

=for example end

=head2 Device numbers

=head3 IO::AIO::major

    $major = IO::AIO::major $dev

=head3 IO::AIO::minor

    $minor = IO::AIO::minor $dev

=head3 IO::AIO::makedev

    $dev = IO::AIO::makedev $major, $minor

Take the device numbers of C<stat> apart and put them together; C<makedev(3)>.

=head1 OTHER FUNCTIONS

Synchronous, and on most systems too fast to matter. Unless an entry says
otherwise they return -1, C<undef> or nothing after an error and set C<$!>.
What the system lacks gives C<ENOSYS>.

=head2 Mapped memory

=head3 IO::AIO::mmap

    $true = IO::AIO::mmap $scalar, $length, $prot, $flags[, $fh[, $offset]]

Makes C<$scalar> a window on C<$length> octets of a file, from C<$offset> on;
C<mmap(2)>. C<$prot> combines C<PROT_READ>, C<PROT_WRITE> and C<PROT_EXEC>, or
is C<PROT_NONE>. C<$flags> has C<MAP_SHARED> (changes go to the file) or
C<MAP_PRIVATE> (changes stay here), perhaps with more from L</Memory mapping>.
C<$offset> is a multiple of C<IO::AIO::PAGESIZE> and 0 by default. Without
C<$fh>, or with C<undef>, C<MAP_ANONYMOUS> maps memory without a file.
C<$length> must be above 0. C<PROT_WRITE> includes C<PROT_READ>, and where the
memory is, is not for C<MAP_FIXED> to say. Reading beyond the end of the file
gives a bus error, so ask C<-s $fh> first.

The scalar acts like a string of fixed length: it can be copied, matched and
printed, and changed in place with C<substr> and C<vec>. What would change its
length or move it croaks, and so does any change without C<PROT_WRITE>.
Without C<PROT_READ> it looks empty. It is unmapped by C<undef $scalar>, by
L</IO::AIO::munmap>, by another mapping, or when it goes away. What it
contained before is lost.

=for example begin mmap

    open my $fh, "+<", "data.txt" or die $!;
    my $access = IO::AIO::PROT_READ | IO::AIO::PROT_WRITE;
    IO::AIO::mmap my $data, -s $fh, $access, IO::AIO::MAP_SHARED, $fh
        or die "mmap: $!";

    print "found at $-[0]\n" if $data =~ /quick/;
    substr $data, 4, 5, "QUICK";
    undef $data;

    print scalar <$fh>;

=for example output

prints

    found at 4
    The QUICK brown fox jumps over the lazy dog.

=for example end

=head3 IO::AIO::munmap

    IO::AIO::munmap $scalar

Removes the mapping and leaves the scalar undefined; C<munmap(2)>.

=head3 IO::AIO::mremap

    $true = IO::AIO::mremap $scalar, $new_length[, $flags[, $address]]

Changes the length of a mapping; C<mremap(2)>. C<$flags> is C<MREMAP_MAYMOVE>,
the default, or 0. Returns false after an error. A true result has the numeric
value 1 if the memory has a new address, and 0 if not. C<MREMAP_FIXED> gives
C<EINVAL>, so C<$address> does nothing; it may not be possible for huge pages.

=head3 IO::AIO::madvise

    $errno = IO::AIO::madvise $scalar, $offset[, $length[, $advice]]

Tells the kernel how the memory will be used; C<posix_madvise(3)>. C<$advice>
is C<MADV_NORMAL> (the default), C<MADV_SEQUENTIAL>, C<MADV_RANDOM>,
C<MADV_WILLNEED> or C<MADV_DONTNEED>. The range is given as in L</Memory>, and
cut to the string. Returns 0 or an error number.

=head3 IO::AIO::mprotect

    $status = IO::AIO::mprotect $scalar, $offset[, $length[, $prot]]

Changes what may be done with a mapped scalar; C<mprotect(2)>. C<$prot>
combines C<PROT_READ>, C<PROT_WRITE> and C<PROT_EXEC>, or is C<PROT_NONE>, the
default.

=head3 IO::AIO::mlockall

    $status = IO::AIO::mlockall $flags

L</aio_mlockall>, at once.

=head3 IO::AIO::munlock

    $status = IO::AIO::munlock $scalar[, $offset[, $length]]

Undoes L</aio_mlock>; C<munlock(2)>.

=head3 IO::AIO::munlockall

    $status = IO::AIO::munlockall

Undoes L</aio_mlockall>; C<munlockall(2)>.

=head2 Moving data

=head3 IO::AIO::sendfile

    $bytes = IO::AIO::sendfile $out_fh, $in_fh, $in_offset, $length

L</aio_sendfile>, at once: for data that is known to be in memory and an
output that does not block. Sends no C<SIGPIPE>, either.

=head3 IO::AIO::splice

    $bytes = IO::AIO::splice $in_fh, $in_offset, $out_fh, $out_offset, $length, $flags

Moves data between a pipe and another handle without copying; C<splice(2)>.
Offsets are C<undef> for pipes and to use the handle's position. C<$flags>
combines C<SPLICE_F_MOVE>, C<SPLICE_F_NONBLOCK>, C<SPLICE_F_MORE> and
C<SPLICE_F_GIFT>. Returns the number of octets, or -1.

=head3 IO::AIO::tee

    $bytes = IO::AIO::tee $in_fh, $out_fh, $length, $flags

Copies data from pipe to pipe and leaves it in the first; C<tee(2)>. The same
flags.

=for example begin splice needs +SPLICE +PIPE2

    open my $file, "<", "data.txt" or die $!;
    my ($in, $out) = IO::AIO::pipe2 IO::AIO::O_CLOEXEC or die "pipe2: $!";

    my $bytes = IO::AIO::splice($file, 4, $out, undef, 5, 0);
    $bytes >= 0 or die "splice: $!";
    my $word;
    sysread $in, $word, $bytes;
    print "$word\n";

=for example output

prints

    quick

=for example end

=head3 IO::AIO::fadvise

    $errno = IO::AIO::fadvise $fh, $offset, $length, $advice

Tells the kernel how a range of a file will be used; C<posix_fadvise(2)>.
C<$advice> is C<FADV_NORMAL>, C<FADV_SEQUENTIAL>, C<FADV_RANDOM>,
C<FADV_NOREUSE>, C<FADV_WILLNEED> or C<FADV_DONTNEED>. Returns 0 or an error
number.

=head2 Making handles

Handles made by these functions are close-on-exec only if the flags say so,
with the exception of the two C<pidfd> functions, where the kernel always does
it.

=head3 IO::AIO::pipe2

    ($in_fh, $out_fh) = IO::AIO::pipe2 [$flags]

A pipe; C<pipe2(2)>. C<$flags> combines C<O_CLOEXEC>, C<O_NONBLOCK> and
C<O_DIRECT> (packets). Returns nothing after an error. Without flags it is
perl's C<pipe> and works everywhere.

=head3 IO::AIO::pipesize

    $bytes = IO::AIO::pipesize $fh[, $bytes]

Returns the capacity of a pipe, after changing it if asked to; the kernel may
round up. C<F_SETPIPE_SZ> in C<fcntl(2)>.

=head3 IO::AIO::accept4

    $fh = IO::AIO::accept4 $listen_fh, $sockaddr, $maxlen, $flags

Accepts a connection; C<accept4(2)>. C<$flags> combines
C<IO::AIO::SOCK_CLOEXEC> and C<Socket::SOCK_NONBLOCK>. The address of the
other side goes to C<$sockaddr>, for which C<$maxlen> octets are provided; a
longer string there means that it did not fit. Give C<undef> and 0 if you do
not want it.

=for example begin accept4 needs +ACCEPT4

    use Socket;

    socket my $listen, AF_INET, SOCK_STREAM, 0 or die $!;
    bind $listen, pack_sockaddr_in 0, INADDR_LOOPBACK or die $!;
    listen $listen, 1 or die $!;
    socket my $client, AF_INET, SOCK_STREAM, 0 or die $!;
    connect $client, getsockname $listen or die $!;

    my $fh = IO::AIO::accept4 $listen, my $peer, 128, IO::AIO::SOCK_CLOEXEC
        or die "accept4: $!";
    my ($port, $address) = unpack_sockaddr_in $peer;
    print "connected from ", inet_ntoa($address), "\n";

=for example output

prints

    connected from 127.0.0.1

=for example end

=head3 IO::AIO::memfd_create

    $fh = IO::AIO::memfd_create $name[, $flags]

A file that exists only in memory; C<memfd_create(2)>. C<$name> is for people
who look into F</proc>. C<$flags> combines C<MFD_CLOEXEC>,
C<MFD_ALLOW_SEALING>, C<MFD_HUGETLB>, C<MFD_HUGETLB_2MB> and
C<MFD_HUGETLB_1GB>.

=for example begin memfd needs MFD_ALLOW_SEALING +MEMFD_CREATE

    my $flags = IO::AIO::MFD_CLOEXEC | IO::AIO::MFD_ALLOW_SEALING;
    my $fh = IO::AIO::memfd_create("report", $flags) or die "memfd_create: $!";
    syswrite $fh, "final";

    # from here on nobody can change it, not even a process that gets it
    my $seals = IO::AIO::F_SEAL_WRITE | IO::AIO::F_SEAL_GROW | IO::AIO::F_SEAL_SHRINK;
    fcntl $fh, IO::AIO::F_ADD_SEALS, $seals or die "seal: $!";
    syswrite $fh, "!" and die;
    print "$!\n" if $!{EPERM};

=for example end

=head3 IO::AIO::eventfd

    $fh = IO::AIO::eventfd [$value[, $flags]]

A counter that can be waited for; C<eventfd(2)>. Both arguments are 0 by
default; C<$flags> combines C<EFD_CLOEXEC>, C<EFD_NONBLOCK> and
C<EFD_SEMAPHORE>. It is read and written as eight octets, C<pack "Q">.

=head3 IO::AIO::timerfd_create

    $fh = IO::AIO::timerfd_create $clock[, $flags]

A timer that can be waited for; C<timerfd_create(2)>. C<$clock> is
C<CLOCK_REALTIME>, C<CLOCK_MONOTONIC>, C<CLOCK_BOOTTIME>,
C<CLOCK_REALTIME_ALARM> or C<CLOCK_BOOTTIME_ALARM>, C<$flags> combines
C<TFD_NONBLOCK> and C<TFD_CLOEXEC>.

=head3 IO::AIO::timerfd_settime

    ($interval, $value) = IO::AIO::timerfd_settime $fh, $flags, $interval, $value

=head3 IO::AIO::timerfd_gettime

    ($interval, $value) = IO::AIO::timerfd_gettime $fh

Starts a timer that expires C<$value> seconds from now and then every
C<$interval> seconds, and returns what was set before; C<timerfd_settime(2)>.
Fractions count. A C<$value> of 0 stops it, an C<$interval> of 0 means once.
C<$flags> is 0 or combines C<TFD_TIMER_ABSTIME> (C<$value> is a time of the
clock) and C<TFD_TIMER_CANCEL_ON_SET>. C<timerfd_gettime> returns the present
setting. Nothing is returned after an error.

=for example begin timerfd needs +TIMERFD

    my $fh = IO::AIO::timerfd_create IO::AIO::CLOCK_MONOTONIC, IO::AIO::TFD_CLOEXEC
        or die "timerfd_create: $!";
    my @old = IO::AIO::timerfd_settime $fh, 0, 0.02, 0.01
        or die "timerfd_settime: $!";

    for (1 .. 2) {
        8 == sysread $fh, my $count, 8 or die "read: $!";
        print "expired\n";
    }

=for example output

prints

    expired
    expired

=for example end

=head2 Processes

=head3 IO::AIO::pidfd_open

    $fh = IO::AIO::pidfd_open $pid[, $flags]

A handle for a process, which becomes readable when that ends and never means
another process; C<pidfd_open(2)>.

=head3 IO::AIO::pidfd_send_signal

    $status = IO::AIO::pidfd_send_signal $pidfd, $signal[, $info[, $flags]]

Sends a signal, given as a number; C<pidfd_send_signal(2)>. C<$info> is a hash
with any of the keys C<code>, C<pid>, C<uid>, C<value_int> and C<value_ptr> (a
number) for the receiver's C<siginfo_t>, whose signal number is filled in. The
kernel allows only a negative C<code> to other processes.

=head3 IO::AIO::pidfd_getfd

    $fh = IO::AIO::pidfd_getfd $pidfd, $number[, $flags]

A duplicate of a descriptor that another process has open; C<pidfd_getfd(2)>.
Takes the rights of a debugger.

=for example begin pidfd

    my $pid = fork // die "fork: $!";
    if (!$pid) { sleep 60; exit }

    if (my $fh = IO::AIO::pidfd_open $pid) {
        IO::AIO::pidfd_send_signal $fh, 15 and die "signal: $!";
    } else {
        kill 15, $pid;    # an old kernel, or another system
    }
    waitpid $pid, 0;
    print "ended by signal ", $? & 127, "\n";

=for example output

prints

    ended by signal 15

=for example end

=head3 IO::AIO::fexecve

    $status = IO::AIO::fexecve $fh, $argv[, $envp]

Replaces the program by the one in the open file; C<fexecve(3)>. C<$argv> is
an array of arguments, the program's name first, C<$envp> an array of
C<NAME=value> strings. Returns only after an error, -1.

=for example begin fexecve needs +FEXECVE

    open my $fh, "<", "/bin/echo" or die $!;
    IO::AIO::fexecve $fh, ["echo", "hello"], ["LANG=C"];
    die "fexecve: $!";

=for example output

prints

    hello

=for example end

=head2 File systems and limits

=head3 IO::AIO::mount

    $status = IO::AIO::mount $source, $pathname, $type[, $flags[, $data]]

Mounts a file system; C<mount(2)>, with flags from L</Mount flags>. C<$data>
are the options of the file system, or C<undef>.

=head3 IO::AIO::umount

    $status = IO::AIO::umount $pathname[, $flags]

Unmounts; C<umount(2)>, or C<umount2(2)> with C<MNT_FORCE>, C<MNT_DETACH>,
C<MNT_EXPIRE> or C<UMOUNT_NOFOLLOW>.

=head3 IO::AIO::get_fdlimit

    $number = IO::AIO::get_fdlimit

The number of descriptors that the process may have open, or C<undef>;
C<getrlimit(2)>.

=head3 IO::AIO::min_fdlimit

    $true = IO::AIO::min_fdlimit [$number]

Raises that limit to at least C<$number>, or without argument to a very large
one, if the administrator's limit or the process's rights allow it. Otherwise
it is raised as far as possible and the result is C<undef>.

=head1 CONSTANTS

All are functions without arguments in the package IO::AIO, as in
C<IO::AIO::O_RDONLY>. They have the values of your system and are 0 where it
lacks them. The pages named explain them.

=head2 Open flags

C<open(2)>; for L</aio_open> and L</IO::AIO::pipe2>.

    O_ACCMODE O_APPEND O_ASYNC O_CLOEXEC O_CREAT O_DIRECT O_DIRECTORY
    O_DSYNC O_EXCL O_EXEC O_NOATIME O_NOCTTY O_NOFOLLOW O_NONBLOCK
    O_PATH O_RDONLY O_RDWR O_RSYNC O_SEARCH O_SYNC O_TMPFILE O_TRUNC
    O_TTY_INIT O_WRONLY

=head2 Flags of close_range

C<close_range(2)>; for L</aio_close_range>.

    CLOSE_RANGE_CLOEXEC

=head2 Resolve flags

C<openat2(2)>; for L</aio_openat2>.

    RESOLVE_BENEATH RESOLVE_CACHED RESOLVE_IN_ROOT RESOLVE_NO_MAGICLINKS
    RESOLVE_NO_SYMLINKS RESOLVE_NO_XDEV

=head2 Flags of single transfers

C<preadv2(2)>; for L</aio_readv> and L</aio_writev>.

    RWF_APPEND RWF_ATOMIC RWF_DONTCACHE RWF_DSYNC RWF_HIPRI RWF_NOAPPEND RWF_NOWAIT RWF_SYNC

=head2 Positions

C<lseek(2)>; for L</aio_seek>.

    SEEK_CUR SEEK_DATA SEEK_END SEEK_HOLE SEEK_SET

=head2 File types

C<inode(7)>; in modes.

    S_IFBLK S_IFCHR S_IFDIR S_IFIFO S_IFLNK S_IFMT S_IFREG S_IFSOCK
    S_IFWHT

=head2 Entry types

For L</aio_readdirx>, with its flags.

    DT_BLK DT_CHR DT_DIR DT_FIFO DT_LNK DT_REG DT_SOCK DT_UNKNOWN DT_WHT

    READDIR_DENTS READDIR_DIRS_FIRST READDIR_FOUND_UNKNOWN
    READDIR_STAT_ORDER

=head2 Whole files

For L</aio_spew>.

    SPEW_APPEND SPEW_ATOMIC SPEW_DURABLE SPEW_MKPATH SPEW_NOFOLLOW
    SPEW_NOREPLACE SPEW_SYNC

=head2 Rename flags

C<renameat2(2)>; for L</aio_rename2>.

    RENAME_EXCHANGE RENAME_NOREPLACE RENAME_WHITEOUT

=head2 Allocation modes

C<fallocate(2)>; for L</aio_allocate>.

    FALLOC_FL_COLLAPSE_RANGE FALLOC_FL_INSERT_RANGE FALLOC_FL_KEEP_SIZE
    FALLOC_FL_PUNCH_HOLE FALLOC_FL_UNSHARE_RANGE FALLOC_FL_ZERO_RANGE

=head2 Extent flags

F<Documentation/filesystems/fiemap> of the kernel; for L</aio_fiemap>.

    FIEMAP_FLAG_SYNC FIEMAP_FLAG_XATTR FIEMAP_FLAGS_COMPAT

    FIEMAP_EXTENT_DATA_ENCRYPTED FIEMAP_EXTENT_DATA_INLINE
    FIEMAP_EXTENT_DATA_TAIL FIEMAP_EXTENT_DELALLOC FIEMAP_EXTENT_ENCODED
    FIEMAP_EXTENT_LAST FIEMAP_EXTENT_MERGED FIEMAP_EXTENT_NOT_ALIGNED
    FIEMAP_EXTENT_SHARED FIEMAP_EXTENT_UNKNOWN FIEMAP_EXTENT_UNWRITTEN

=head2 Attribute flags

C<setxattr(2)>; for L</aio_setxattr>.

    XATTR_CREATE XATTR_REPLACE

=head2 Sync flags

C<sync_file_range(2)>, C<msync(2)>; for L</aio_sync_file_range>, L</aio_msync>
and L</aio_mtouch>.

    SYNC_FILE_RANGE_WAIT_AFTER SYNC_FILE_RANGE_WAIT_BEFORE
    SYNC_FILE_RANGE_WRITE

    MS_ASYNC MS_INVALIDATE MS_SYNC

    MT_MODIFY

    CP_DELETE CP_DRY CP_FAIL CP_MERGE CP_ONE_FS CP_SKIP CP_SYNC CP_TELL CP_TELL_ERRORS CP_UPDATE

=head2 File system flags

C<statvfs(3)>; in the member C<flag> of L</aio_statvfs>.

    ST_APPEND ST_IMMUTABLE ST_MANDLOCK ST_NOATIME ST_NODEV ST_NODIRATIME
    ST_NOEXEC ST_NOSUID ST_RDONLY ST_RELATIME ST_SYNCHRONOUS ST_WRITE

=head2 Statx bits

C<statx(2)>; for L</aio_statx>, L</IO::AIO::statx>, and their results.

    STATX_ALL STATX_ATIME STATX_BASIC_STATS STATX_BLOCKS STATX_BTIME
    STATX_CTIME STATX_DIOALIGN STATX_DIO_READ_ALIGN STATX_GID STATX_INO
    STATX_MNT_ID STATX_MNT_ID_UNIQUE STATX_MODE STATX_MTIME STATX_NLINK
    STATX_SIZE STATX_SUBVOL STATX_TYPE STATX_UID STATX_WRITE_ATOMIC

    STATX_ATTR_APPEND STATX_ATTR_AUTOMOUNT STATX_ATTR_COMPRESSED
    STATX_ATTR_DAX STATX_ATTR_ENCRYPTED STATX_ATTR_IMMUTABLE
    STATX_ATTR_MOUNT_ROOT STATX_ATTR_NODUMP STATX_ATTR_VERITY
    STATX_ATTR_WRITE_ATOMIC

=head2 Flags of the at family

C<openat(2)> and its relatives; for L</aio_unlinkat>, L</aio_linkat> and L</aio_statx>.

    AT_EACCESS AT_EMPTY_PATH AT_FDCWD AT_NO_AUTOMOUNT AT_RECURSIVE
    AT_REMOVEDIR AT_STATX_AS_STAT AT_STATX_DONT_SYNC AT_STATX_FORCE_SYNC
    AT_STATX_SYNC_TYPE AT_SYMLINK_FOLLOW AT_SYMLINK_NOFOLLOW

=head2 Advice

C<posix_fadvise(2)>, C<posix_madvise(3)>; for L</IO::AIO::fadvise> and
L</IO::AIO::madvise>.

    FADV_DONTNEED FADV_NOREUSE FADV_NORMAL FADV_RANDOM FADV_SEQUENTIAL
    FADV_WILLNEED

    MADV_DONTNEED MADV_NORMAL MADV_RANDOM MADV_SEQUENTIAL MADV_WILLNEED

=head2 Memory mapping

C<mmap(2)>, C<mprotect(2)>, C<mremap(2)>, C<mlockall(2)>.

    PROT_EXEC PROT_NONE PROT_READ PROT_WRITE

    MAP_32BIT MAP_ANONYMOUS MAP_FIXED MAP_FIXED_NOREPLACE MAP_GROWSDOWN
    MAP_HUGETLB MAP_LOCKED MAP_NONBLOCK MAP_NORESERVE MAP_POPULATE
    MAP_PRIVATE MAP_SHARED MAP_SHARED_VALIDATE MAP_STACK MAP_SYNC
    MAP_UNINITIALIZED

    MREMAP_FIXED MREMAP_MAYMOVE

    MCL_CURRENT MCL_FUTURE MCL_ONFAULT

    PAGESIZE

=head2 Handle flags

For the functions of L</Moving data> and L</Making handles>;
C<memfd_create(2)>, C<eventfd(2)>, C<timerfd_create(2)>, C<splice(2)>,
C<accept4(2)>, C<recvmsg(2)>.

    MFD_ALLOW_SEALING MFD_CLOEXEC MFD_HUGETLB MFD_HUGETLB_1GB
    MFD_HUGETLB_2MB

    EFD_CLOEXEC EFD_NONBLOCK EFD_SEMAPHORE

    TFD_CLOEXEC TFD_NONBLOCK TFD_TIMER_ABSTIME TFD_TIMER_CANCEL_ON_SET

    CLOCK_BOOTTIME CLOCK_BOOTTIME_ALARM CLOCK_MONOTONIC CLOCK_REALTIME
    CLOCK_REALTIME_ALARM

    SPLICE_F_GIFT SPLICE_F_MORE SPLICE_F_MOVE SPLICE_F_NONBLOCK

    SOCK_CLOEXEC MSG_CMSG_CLOEXEC

=head2 Commands of fcntl and ioctl

C<fcntl(2)>, C<ioctl_ficlone(2)>, C<ioctl_fideduperange(2)>,
C<ioctl_iflags(2)>; for L</aio_fcntl> and L</aio_ioctl>, and perl's own
C<fcntl> and C<ioctl>.

    F_ADD_SEALS F_DUPFD_CLOEXEC F_GET_SEALS F_OFD_GETLK F_OFD_GETLKW
    F_OFD_SETLK F_OFD_SETLKW

C<F_OFD_GETLKW> is always 0: there is no such command, but 4.80 has the name.

    F_SEAL_GROW F_SEAL_SEAL F_SEAL_SHRINK F_SEAL_WRITE

    FICLONE FICLONERANGE FIDEDUPERANGE FIFREEZE FITHAW FITRIM

    FS_IOC_FIEMAP FS_IOC_FSGETXATTR FS_IOC_FSSETXATTR FS_IOC_GETFLAGS
    FS_IOC_GETVERSION FS_IOC_GET_ENCRYPTION_POLICY
    FS_IOC_GET_ENCRYPTION_PWSALT FS_IOC_SETFLAGS FS_IOC_SETVERSION
    FS_IOC_SET_ENCRYPTION_POLICY

    FS_KEY_DESCRIPTOR_SIZE

    FS_APPEND_FL FS_BTREE_FL FS_COMPRBLK_FL FS_COMPR_FL FS_DIRSYNC_FL
    FS_DIRTY_FL FS_ENCRYPT_FL FS_FL_USER_MODIFIABLE FS_IMMUTABLE_FL
    FS_INDEX_FL FS_JOURNAL_DATA_FL FS_NOATIME_FL FS_NOCOMP_FL
    FS_NODUMP_FL FS_NOTAIL_FL FS_SECRM_FL FS_SYNC_FL FS_TOPDIR_FL
    FS_UNRM_FL

    FS_XFLAG_APPEND FS_XFLAG_DAX FS_XFLAG_EXTSIZE FS_XFLAG_EXTSZINHERIT
    FS_XFLAG_FILESTREAM FS_XFLAG_HASATTR FS_XFLAG_IMMUTABLE
    FS_XFLAG_NOATIME FS_XFLAG_NODEFRAG FS_XFLAG_NODUMP
    FS_XFLAG_NOSYMLINKS FS_XFLAG_PREALLOC FS_XFLAG_PROJINHERIT
    FS_XFLAG_REALTIME FS_XFLAG_RTINHERIT FS_XFLAG_SYNC

    BLKBSZGET BLKBSZSET BLKFLSBUF BLKFRAGET BLKFRASET BLKGETSIZE
    BLKGETSIZE64 BLKRAGET BLKRASET BLKROGET BLKROSET BLKRRPART
    BLKSECTGET BLKSECTSET BLKSSZGET

=head2 Mount flags

C<mount(2)>, C<umount2(2)>; for L</IO::AIO::mount> and L</IO::AIO::umount>.

    MS_ACTIVE MS_BIND MS_DIRSYNC MS_I_VERSION MS_KERNMOUNT MS_LAZYTIME
    MS_MANDLOCK MS_MGC_MSK MS_MGC_VAL MS_MOVE MS_NOATIME MS_NODEV
    MS_NODIRATIME MS_NOEXEC MS_NOSUID MS_NOUSER MS_POSIXACL MS_PRIVATE
    MS_RDONLY MS_REC MS_RELATIME MS_REMOUNT MS_RMT_MASK MS_SHARED
    MS_SILENT MS_SLAVE MS_STRICTATIME MS_SYNCHRONOUS MS_UNBINDABLE

    MNT_DETACH MNT_EXPIRE MNT_FORCE UMOUNT_NOFOLLOW

=head2 Numbers for calls made with syscall

The module has no functions for these: C<fsopen(2)>, C<fsconfig(2)>,
C<fspick(2)>, C<open_tree(2)>, C<move_mount(2)>, C<mount_setattr(2)>,
C<waitid(2)>.

    FSCONFIG_CMD_CREATE FSCONFIG_CMD_RECONFIGURE FSCONFIG_SET_BINARY
    FSCONFIG_SET_FD FSCONFIG_SET_FLAG FSCONFIG_SET_PATH
    FSCONFIG_SET_PATH_EMPTY FSCONFIG_SET_STRING

    FSOPEN_CLOEXEC

    FSPICK_CLOEXEC FSPICK_EMPTY_PATH FSPICK_NO_AUTOMOUNT
    FSPICK_SYMLINK_NOFOLLOW

    MOUNT_ATTR_NOATIME MOUNT_ATTR_NODEV MOUNT_ATTR_NODIRATIME
    MOUNT_ATTR_NOEXEC MOUNT_ATTR_NOSUID MOUNT_ATTR_RDONLY
    MOUNT_ATTR_RELATIME MOUNT_ATTR_STRICTATIME MOUNT_ATTR__ATIME

    MOVE_MOUNT_F_AUTOMOUNTS MOVE_MOUNT_F_EMPTY_PATH
    MOVE_MOUNT_F_SYMLINKS MOVE_MOUNT_T_AUTOMOUNTS
    MOVE_MOUNT_T_EMPTY_PATH MOVE_MOUNT_T_SYMLINKS

    OPEN_TREE_CLONE

    P_ALL P_PGID P_PID P_PIDFD

=head2 Error numbers

Those that programs compare with and that L<Errno> may not have.

    EBADR ENOSYS EXDEV

=head2 Working directory objects

See L</IO::AIO::CWD>.

    CWD INVALID_WD

=head1 ERRORS

=head2 In the callback

What the system call reports, in C<$!>, and these, which the module decides
itself:

=over 4

=item C<ENOENT>

An empty or undefined path name, one with a NUL octet, or an invalid working
directory object.

=item C<EINVAL>

A negative offset, or a number that does not fit the system call.

=item C<ENOMEM>

A buffer that no memory can be had for.

=item C<EFAULT>

A scalar that cannot take what was read: its C<STORE> died, or it was made
read-only meanwhile.

=item C<EBADF>

A descriptor that is not open, a closed handle where a path name would do, or
a handle that was not opened for reading.

=item C<EISDIR>, C<ENOTDIR>

From composite requests: a directory where only a file will do, and the
reverse.

=item C<ENOSYS>

The system does not have the call.

=back

=head2 At the call

Mistakes of the program are exceptions at the place of the call, and nothing
has been queued then. Each message begins with the name of the function and
says which argument is wrong. There are the usage message for a wrong number
of arguments, and messages for things that are no handles, no path names, no
callbacks; for handles opened in the wrong mode (C<mode mismatch>), for
characters above 255, for negative lengths, for positions outside of a string,
for scalars that cannot be changed
(C<Modification of a read-only value attempted>), for groups that are done,
and for names of engines that do not exist.

=head1 LIMITS

The number of outstanding requests is limited by memory alone. A request takes
less than 200 octets, plus the path names and whatever the kernel returns: a
status, the names of a directory. In addition, its scalars are kept until it
is done.

A worker has a stack, of which only the used part takes memory, a few
kilobytes. Requests that copy data have a buffer while they execute.

Nothing can stop a system call that has begun. A request to a network file
system that does not answer keeps its worker, and other requests go on as long
as there are other workers.

Inline attempts are made for small transfers only, so that no call takes long,
and not when they could change the order that L</IO::AIO::max_parallel>
promises.

=head1 ENVIRONMENT

=over 4

=item IO_AIO_ENGINE

C<pool>, C<uring> or C<sync>: see L</ENGINES>.

=item EIO_TRACE

C<1> prints a line to standard error for each step of each request.
C<json:FILE> appends an object of JSON to that file, which nobody else
may read if it is a new one, a line each: C<time> in seconds of the monotonic
clock, C<pid>, C<context>, C<request>, C<op>, the states C<from> and C<to>,
whether it was the program's thread that took the step (C<owner>), whether the
request was C<cancelled>, and C<errno> at the end of one that has failed. Neither has
names or data. A program that runs with more rights than its user does not
write such a file.

=back

=head1 COMPATIBILITY

This is version 5.0, a new implementation. Programs written for IO::AIO 3.15
to 4.80 run without change: every name, prototype, export and constant of 4.80
is there. Modules such as AnyEvent::AIO, AnyEvent::IO and Coro::AIO work
unmodified.

These are not documented for 4.80, but programs use them, and they stay:
handles that requests open are called C<IO::AIO::fd#> and the number of the
descriptor, which shows in perl's messages; C<use IO::AIO 4> asks for that
version or a later one; and C<< IO::AIO->can("aio_rename2") >> tells whether
there is such a request.

What follows is different from 4.80, always because the old behaviour could
not be relied on.

=head2 Fork and threads

=over 4

=item *

Fork is handled automatically, in parent and child. Before, the child could
hang or run the parent's requests unless it called C<reinit>, and that was
undefined otherwise. It is harmless now, at any time. Code that compares C<$$>
with the process that loaded the module, to call it, can go.

=item *

Each perl thread has its own queues. Before, they shared one that nothing
protected.

=item *

The engine can be chosen. Requests for cached data do not need a thread.

=back

=head2 Requests

=over 4

=item *

A scalar in flight cannot be changed. Before, changing it corrupted memory.

=item *

C<aio_read> and C<aio_load> into a literal, C<undef> or another read-only scalar
croak. Before, they overwrote constants. A program that reads only to see whether it can
has to pass a variable all the same.

=item *

C<aio_read> without callback sets the length of the string, too, and there is
no warning for a scalar that is undefined as yet.

=item *

A length that no memory can satisfy gives C<ENOMEM>. Before, the program died.

=item *

Negative offsets give C<EINVAL>. Before, they acted like C<undef>.

=item *

C<aio_write> of numbers, references and overloaded objects writes the string
that they have at the call. Before, it could write memory that was already
freed.

=item *

A request that is cancelled while it waits for a thread is done at once:
C<nready> no longer counts it, and the next poll frees it. Before, it kept its
place, and its callback and data, until a thread came to it.

=item *

C<aio_open> that was cancelled or has no callback closes its descriptor.
Before, it was lost. C<aio_close> of a number that is not open gives C<EBADF>.
Before, it made the number one that is.

=item *

C<aio_utime> with one time undefined sets that to 0, as always documented.
Before, to -1.

=item *

C<aio_copy> never leaves a partial target, does not truncate a file that is
copied onto itself, keeps holes, shares blocks where the file system can, and
copies files of F</proc>. C<aio_load> reads such files, too. Set-user-id and
set-group-id are kept where the copy has the same owner or group, and access
control lists are copied; before, a file's group was given what its list allowed
to others. C<aio_move>
to another file system replaces the target, as it does on the same one, and
moves symbolic links. Before, it wrote to what a link led to, copied what a link
led to, and lost what was appended meanwhile. It fails when the copy is there but the source cannot be
deleted. Before, that was a success.

=item *

C<aio_rmtree> cannot be led out of the tree by a directory that is swapped for
a symbolic link.

=item *

C<aio_slurp> with length 0 makes an ordinary string. Before, it could be a
mapping that one must not change.

=item *

C<aio_realpath> of a file followed by C</> gives C<ENOTDIR>, as every other
call does. Its result, and that of C<aio_readlink>, may have any length.

=item *

C<aio_symlink> ignores no working directory of the link, and takes none for its
text. Before, it was the other way round.

=item *

C<aio_wd> needs only search permission. An undefined working directory gives
C<ENOENT> everywhere; before, it could crash. All composite requests take
C<[$wd, $pathname]>.

=item *

C<aio_fcntl> and C<aio_ioctl> extend short buffers and take C<undef>. Before,
they wrote beyond the end.

=back

=head2 Arguments

=over 4

=item *

Text that is not a number is no handle. Before, it meant descriptor 0.

=item *

IO slots such as C<*STDIN{IO}> and directory handles are handles everywhere,
and scalars such as missing hash elements and C<substr> are path names.
Before, some of them were mistaken for the other. Objects with C<""> overloaded
are path names, too.

=item *

A path name with a NUL octet gives C<ENOENT>. Before, it was cut there, and
another file was used.

=item *

Too many arguments croak, and what is no callback croaks before anything is
queued. So does a reference where a number belongs; before, its address was the
mode, size or time.

=item *

Tied and overloaded arguments are read once, and all that a call needs stays
while they are. Before, they were read several times, and what they freed was
used.

=item *

C<pipe2>, C<eventfd>, C<timerfd_create>, C<memfd_create> and C<accept4> make
handles close-on-exec if the flags say so. Before, always.

=item *

C<pidfd_send_signal> fills in the signal's number in the structure, without
which the kernel refuses it.

=item *

C<mmap> of a read-only handle with C<MAP_PRIVATE> and C<PROT_WRITE> works.
What would move or free mapped memory croaks. Before, it crashed later. Nobody
can choose the address of a mapping (C<MAP_FIXED> has no effect), and
C<PROT_WRITE> implies C<PROT_READ>. C<mprotect> of ordinary strings cannot take
rights away, and C<madvise> knows the five advices of POSIX only.

=item *

Numbers that do not fit into a system call's argument are refused there.
Before, they were cut: C<pidfd_open> of 2**32 + 1 opened process 1. Negative
lengths of C<splice>, C<tee> and C<sendfile> give C<EINVAL>; before, they meant
everything.

=item *

C<fexecve> writes buffered output first, as perl's C<exec> does, and
C<pidfd_getfd> gives a handle of the same mode as its model.

=back

=head2 Results

=over 4

=item *

C<IO::AIO::poll> returns the number of requests handled, as always documented.

=item *

An exception in a callback keeps its text or object when the callback ended a
group, a stale C<$@> is not thrown, and C<$@> is left alone.

=item *

A feeder that dies is removed, with a warning. Before, nobody heard of it. A
feeder that polls does not see its group end, nor is it called again before it
returns, also when it sets limit or feeder. Before, that crashed sooner or
later, or made more members than the limit.

=item *

C<last>, C<next> and C<goto> do not lead out of a callback: perl says that there is no such
loop or label, as an exception of the poll. Before, they left the poll in the middle,
which crashed sooner or later.

=item *

Times before 1970 are times: C<aio_utime> sets them, and C<st_mtime> and its
like are negative. Before, it gave C<EINVAL>.

=item *

An object that takes the descriptor of C<poll_fileno> over, and closes it in
the end, does no harm: the module makes another, whose number may differ. Before, no event loop
heard of a result any more.

=item *

After C<max_parallel 0>, any larger number makes queued requests execute.
Before, they hung.

=back

=head1 SEE ALSO

L<IO::AIO::Cookbook>: questions that come up, each answered by a program.

L<Coro::AIO> and L<Future::AIO>, in this distribution: the same requests
without callbacks, for coros and as futures. L<AnyEvent::AIO> and
L<AnyEvent::IO>: for any event loop.

F<libeio/README.md> and F<libeio/eio.h>: the C library underneath, which is
usable by itself.

=head1 LICENSE

IO::AIO was invented by Marc Lehmann, whose interface this module implements
anew.

This module is free software; you can redistribute it and/or modify it under
the same terms as Perl itself. See the file F<LICENSE>.

=cut
