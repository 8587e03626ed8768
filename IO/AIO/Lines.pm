package IO::AIO::Lines;

# Lines of a file, a pipe or a socket, by requests of IO::AIO. Nothing is read before somebody wants a line, so that who
# takes none holds up the reader, and not memory.

use 5.016;
use strict;
use warnings;

use Carp qw(croak);
use Errno qw(ESTALE EAGAIN EWOULDBLOCK EMSGSIZE ENOENT ESPIPE);
use Scalar::Util qw(blessed);
use IO::AIO ();

our $VERSION = '5.0';
our @CARP_NOT = qw(IO::AIO);

use constant CHUNK => 65536;    # octets that one read asks for

my %DEFAULT = (separator => "\n", chomp => 1, max => 1 << 30, encoding => undef, offset => undef, last => undef, follow => 0);

sub new {
    my ($class, $file, %option) = @_;
    my @bad = grep !exists $DEFAULT{$_}, sort keys %option;
    croak "IO::AIO::Lines->new: no such option: @bad" if @bad;
    my $self = bless { %DEFAULT, %option, file => $file, queue => [], data => '', from => 0, seen => 0 }, $class;
    length($self->{separator} // '') or croak 'IO::AIO::Lines->new: separator must be a string that is not empty';
    if (defined $self->{encoding}) {
        require Encode;
        $self->{decode} = Encode::find_encoding($self->{encoding}) or croak "IO::AIO::Lines->new: unknown encoding $self->{encoding}";
        $self->{separator} = $self->{decode}->encode($self->{separator});
    }
    my $is_handle = ref $file eq 'GLOB' || ref \$file eq 'GLOB' || blessed $file && $file->isa('IO::Handle');
    @$self{qw(fh at)} = ($file, $self->{offset}) if $is_handle;
    $self->{path} = $file if !$is_handle;
    croak 'IO::AIO::Lines->new: only the lines of a path can be followed' if $self->{follow} && $is_handle;
    return $self;
}

# What callers use ------------------------------------------------------

# The next line to the callback: nothing at the end, or after an error, which is in $! then. Without a callback the line
# is waited for, and returned.
sub next {
    my ($self, $callback) = @_;
    return $self->_wait if @_ < 2;
    ref $callback or croak 'IO::AIO::Lines: next: callback must be a code reference';
    push @{ $self->{queue} }, $callback;
    $self->_soon if !$self->{busy};
    return;
}

# A future of it.
sub future {
    my ($self) = @_;
    require Future::AIO;
    my $future = Future::AIO::_new_future();
    $self->next(sub {
        my $errno = $!;
        return if $future->is_ready;
        @_ || !$self->{error} ? $future->done(@_) : $future->fail("lines: $errno", 'lines', $self->{file}, $errno);
    });
    return $future;
}

# Ends it: who waits for a line is not called any more.
sub close {
    my ($self) = @_;
    $self->{request}->cancel if $self->{request};
    @$self{qw(queue busy request fh notify data ended)} = ([], 0, undef, undef, undef, '', 1);
    return;
}

# In a thread of Coro that thread waits; otherwise the program, which goes on handing out results.
sub _wait {
    my ($self) = @_;
    my ($done, @line);
    no warnings 'once';
    if ($INC{'Coro.pm'} && $Coro::current != $Coro::main) {
        $self->next(Coro::rouse_cb());
        @line = Coro::rouse_wait();
    } else {
        $self->next(sub { $done = 1; @line = @_ });
        IO::AIO::poll() until $done || !IO::AIO::nreqs();
    }
    $! = $self->{error} || 0 unless @line;
    return @line ? $line[0] : ();
}

# Handing out -----------------------------------------------------------

# Callbacks run in poll and nowhere else.
sub _soon {
    my ($self) = @_;
    $self->{busy} = 1;
    $self->_request(sub { IO::AIO::aio_nop($_[0]) }, sub { $self->_hand_out });
}

# Makes a request, which close() may cancel.
sub _request {
    my ($self, $make, $then) = @_;
    $self->{request} = $make->(sub { $self->{request} = undef; &$then });
}

# What is there; when more is wanted it is read. A callback that dies leaves the rest for later.
sub _hand_out {
    my ($self) = @_;
    my $queue = $self->{queue};
    while (@$queue) {
        my @line = $self->_take;
        return $self->_more unless @line || $self->{ended};
        my $callback = shift @$queue;
        $! = $self->{error} || 0;
        eval { $callback->(@line); 1 } or do {
            my $died = $@;
            @{ $self->{queue} } ? $self->_soon : ($self->{busy} = 0);
            die $died;
        };
        $queue = $self->{queue};
    }
    $self->{busy} = 0;
}

# The first line of what was read, or nothing. At the end the rest is one.
sub _take {
    my ($self) = @_;
    my ($separator, $from) = @$self{qw(separator from)};
    my $found = index $self->{data}, $separator, $self->{seen};
    my $length = length $self->{data};
    if ($found < 0 && !($self->{ended} && !$self->{error} && $length > $from)) {
        $self->{seen} = $length - length($separator) + 1 > $from ? $length - length($separator) + 1 : $from;
        $self->_end(EMSGSIZE) if $length - $from > $self->{max} && !$self->{ended};
        return;
    }
    my $end  = $found < 0 ? $length : $found + length $separator;
    my $line = substr $self->{data}, $from, ($self->{chomp} && $found >= 0 ? $found : $end) - $from;
    if (length $line > $self->{max}) {
        $self->_end(EMSGSIZE);
        return;
    }
    @$self{qw(from seen)} = ($end, $end);
    return $self->{decode} ? $self->{decode}->decode($line) : $line;
}

# No more comes, after an error or not.
sub _end {
    my ($self, $error) = @_;
    $self->{error} ||= $error;
    $self->{ended} = 1;
    @$self{qw(data from seen)} = ('', 0, 0) if $self->{error};
}

sub _fail { my ($self, $error) = @_; $self->_end($error); $self->_hand_out }

# Reading ---------------------------------------------------------------

sub _more {
    my ($self) = @_;
    return $self->_read if $self->{begun};
    $self->{begun} = 1;
    return defined $self->{last} ? $self->_find_last : $self->_read if $self->{fh};
    $self->_open(sub { defined $self->{last} ? $self->_find_last : $self->_read });
}

sub _open {
    my ($self, $then) = @_;
    $self->_request(sub { IO::AIO::aio_open($self->{path}, IO::AIO::O_RDONLY(), 0, $_[0]) }, sub {
        my ($fh) = @_;
        return $self->{follow} && $! == ENOENT ? $self->_later : $self->_fail($! + 0) unless $fh;
        @$self{qw(fh at watched)} = ($fh, $self->{offset} // 0, 0);
        $self->{offset} = undef;
        $then->();
    });
}

sub _read {
    my ($self) = @_;
    return $self->_open(sub { $self->_read }) unless $self->{fh};
    my ($fh, $at) = @$self{qw(fh at)};
    my $data;
    $self->_request(sub { IO::AIO::aio_read($fh, $at, CHUNK, $data, 0, $_[0]) }, sub {
        my ($n) = @_;
        return $self->_append($data)      if $n > 0;
        return $self->_nothing            if $n == 0;
        if ($! == ESPIPE && $at == 0) {    # a path that leads to a pipe
            $self->{at} = undef;
            return $self->_read;
        }
        return $self->_look               if $! == ESTALE && $self->{follow};
        return $self->_fail($! + 0)       if $! != EAGAIN && $! != EWOULDBLOCK;
        my $one;    # a worker waits for it
        $self->_request(sub { IO::AIO::aio_readall($fh, $at, 1, $one, 0, $_[0]) },
            sub { $_[0] > 0 ? $self->_append($one) : $_[0] < 0 ? $self->_fail($! + 0) : $self->_nothing });
    });
}

sub _append {
    my ($self, $data) = @_;
    my $from = $self->{from};
    substr $self->{data}, 0, $from, '' if $from;
    $self->{from} = 0;
    $self->{seen} -= $from;
    $self->{data} .= $data;
    $self->{at} += length $data if defined $self->{at};
    $self->_hand_out;
}

# The end of what there is.
sub _nothing {
    my ($self) = @_;
    return $self->_look if $self->{follow};
    $self->_end(0);
    $self->_hand_out;
}

# The last lines: goes back until there are enough separators, one at the very end not counted.
sub _find_last {
    my ($self) = @_;
    my ($fh, $separator, $want) = @$self{qw(fh separator last)};
    $self->_request(sub { IO::AIO::aio_stat($fh, $_[0]) }, sub {
        return $self->_fail($! + 0) if $_[0] < 0;
        my ($size, $tail) = (-s _, '');
        my $start = $size // 0;
        my $back; $back = sub {
            my $at = length $tail;
            my $n = $want;
            $at -= length $separator if $at && substr($tail, -length $separator) eq $separator;
            while ($n > 0 && $at >= length $separator) {
                my $found = rindex $tail, $separator, $at - length $separator;
                last if $found < 0;
                $n--;
                $at = $found;
            }
            if (!$want || $n == 0 || !$start) {
                $self->{at} = !$want ? $size // 0 : $n == 0 ? $start + $at + length $separator : 0;
                undef $back;
                return $self->_read;
            }
            my $step = $start < CHUNK ? $start : CHUNK;
            my $data;
            $self->_request(sub { IO::AIO::aio_readall($fh, $start - $step, $step, $data, 0, $_[0]) }, sub {
                if ($_[0] < 0) { undef $back; return $self->_fail($! + 0) }
                $start -= $step;
                $tail = $data . $tail;
                $back->();
            });
        };
        $back->();
    });
}

# Following -------------------------------------------------------------

# inotify's, see IO::AIO::Watch. What is asked of the file, and of its directory.
use constant { FILE_EVENTS => 0x2 | 0x4 | 0x400 | 0x800, DIRECTORY_EVENTS => 0x80 | 0x100 };
use constant SELDOM => 8;    # intervals, where inotify tells: not of what other computers do

# Looks again when something has happened, or in a while. Where there is no inotify that is in a moment, and a worker sleeps
# meanwhile.
sub _later {
    my ($self) = @_;
    my $interval = $self->{follow} < 1 ? $self->{follow} : 0.25;
    $self->{notify} //= IO::AIO::_notify_open() || 0;
    return $self->_request(sub { IO::AIO::aio_busy($interval, $_[0]) }, sub { $self->_read }) if !$self->{notify};
    return $self->_watch if !$self->{watched};
    $self->_request(sub {
        IO::AIO::aioreq_timeout($interval * SELDOM);
        IO::AIO::_wait($self->{notify}, 1, $_[0]);
    }, sub {
        my ($done, $told) = ($_[0] >= 0, 0);
        while (sysread $self->{notify}, my $data, 65536) {
            for (my $at = 0; $at < length $data; ) {
                my (undef, undef, undef, $length) = unpack 'l L L L', substr $data, $at, 16;
                $told ||= !$length || unpack('Z*', substr $data, $at + 16, $length) eq $self->{name};
                $at += 16 + $length;
            }
        }
        $done && !$told ? $self->_later : $self->_read;
    });
}

# Has inotify tell of the file that is open, and of what gets its name; then looks, as that may have happened before.
sub _watch {
    my ($self) = @_;
    my ($wd, $path) = ref $self->{path} eq 'ARRAY' ? @{ $self->{path} } : (undef, $self->{path});
    my ($directory, $name) = $path =~ m{\A(.*/)?([^/]*)\z}s;
    $directory //= '.';
    utf8::encode($self->{name} = $name) if !utf8::downgrade($self->{name} = $name, 1);
    my $notify = sub {
        my ($what, $events, $then) = @_;
        $self->_request(sub { IO::AIO::_notify($self->{notify}, $what, $events, $_[0]) }, sub {
            $self->{notify} = 0 if $_[0] < 0 && $! != ENOENT;    # there may be no more, or we may not
            $self->{notify} ? $then->() : $self->_read;
        });
    };
    $notify->(ref $self->{path} ? [$wd, $directory] : $directory, DIRECTORY_EVENTS, sub {
        $notify->($self->{path}, FILE_EVENTS, sub {
            $self->{watched} = 1;
            $self->_read;
        });
    });
}

# Whether the file has been replaced, or cut. The old one is read to its end first: who wrote there may have done so after
# the last read.
sub _look {
    my ($self) = @_;
    my ($fh, $at) = @$self{qw(fh at)};
    my ($device, $inode);
    my $compare = sub {
        return $self->_later if $_[0] < 0;
        my ($now_device, $now_inode) = (stat _)[0, 1];
        return $self->_later if defined $inode && $now_device == $device && $now_inode == $inode;
        return $self->_read  if !$self->{replaced}++;    # once more
        $self->{replaced} = 0;
        $self->{fh} = undef;
        return $self->_read if length $self->{data} == $self->{from};
        $self->_append($self->{separator});    # what was left is a line
    };
    $self->_request(sub { IO::AIO::aio_stat($fh, $_[0]) }, sub {
        # of what was removed, file systems with a server may know nothing any more
        ($device, $inode) = (stat _)[0, 1] if $_[0] >= 0;
        if (defined $inode && defined $at && (-s _ // 0) < $at) {
            @$self{qw(at data from seen)} = (0, '', 0, 0);
            return $self->_read;
        }
        $self->_request(sub { IO::AIO::aio_stat($self->{path}, $_[0]) }, $compare);
    });
}

1;

__END__

=encoding utf-8

=head1 NAME

IO::AIO::Lines - the lines of a file, asynchronously

=head1 SYNOPSIS

=for example begin lines

    use IO::AIO::Lines;

    my $lines = IO::AIO::Lines->new("data.txt");
    my $each; $each = sub {
        my ($line) = @_ or return undef $each;
        print "<$line>\n";
        $lines->next($each);
    };
    $lines->next($each);

=for example output

prints

    <The quick brown fox jumps over the lazy dog.>

=for example end

    my $line = IO::AIO::Lines->new("data.txt")->next;            # waits
    my $last = IO::AIO::Lines->new("data.txt", last => 10);      # the last ten
    my $log  = IO::AIO::Lines->new("/var/log/syslog", last => 0, follow => 1);
    my $text = await $lines->future;                             # needs Future::AIO

=head1 DESCRIPTION

An object hands out the lines of a path or handle one after the other. It reads when a line is asked for that it does not
have yet, and not before; so memory holds a piece of 64 KiB and the longest line at most, and a pipe whose lines nobody
takes holds up its writer.

=head1 METHODS

=head2 new

    my $lines = IO::AIO::Lines->new($path_or_handle, %options);

Paths are what L<IO::AIO> takes as such. Handles may be blocking or not; a worker waits for them. Options:

=over 4

=item separator

What ends a line, a string: default is a newline.

=item chomp

Whether the separator is taken off, default 1.

=item encoding

Of the lines, as L<Encode> names it: one in which the separator stands for itself, such as UTF-8. Without it lines are
octets.

=item max

The longest line in octets, 1 GiB without this. A longer one is an error, EMSGSIZE.

=item offset

Where to begin. Handles without this are read from their position.

=item last

Begins with so many last lines of a file: with 0 at its end.

=item follow

Does not end at the end of the file but waits for more, as inotify(7) tells, which takes no worker. It looks by itself every two
seconds besides, for files that other computers write to. Where there is no inotify it looks every 0.25 seconds, and a worker
is occupied while a line is waited for. A number below 1 is another interval instead of 0.25, and an eighth of the other.
When another file gets the path, the old one is read to its end and then the new one from its start; when the file is cut, it
is read from its start. A file that is not there yet is waited for. For paths only.

=back

=head2 next

    $lines->next($callback->($line));
    my $line = $lines->next;

Gives the next line to the callback, which runs in C<IO::AIO::poll_cb> as all do; at the end it gets nothing and C<$!> is 0,
after an error it gets nothing and C<$!> has it. It may be called again before, also from the callback: lines come in the
order of the calls.

Without a callback it returns the line, or nothing. In a thread of L<Coro> the thread waits for it, otherwise the program.

=head2 future

    my $future = $lines->future;

A future of the next line, as those of L<Future::AIO>: done without a value at the end, failed with the category C<lines>
after an error. When it is cancelled, its line is lost.

=head2 close

    $lines->close;

Ends it: callbacks that wait are not called. One that waits while following keeps C<IO::AIO::flush> waiting until then.

=head1 SEE ALSO

L<IO::AIO>, L<Coro::AIO>, L<Future::AIO>

=cut
