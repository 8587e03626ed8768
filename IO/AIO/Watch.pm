package IO::AIO::Watch;

# aio_watch: what happens in a directory or a tree, by inotify(7). The manual has what callers see; loaded when somebody watches.
#
# A watch is a group. While nothing happens its one member is a request that waits for the inotify descriptor, which takes no
# worker (libeio/eio_wait.c). What is read there is queued, and handled in order; when a directory appears that is to be
# watched, the queue waits until it is.
#
# Nothing in such a directory is missed nor told twice: it is watched, then read, and then all is read from inotify that happened
# before. The first of the queued events about a name tells whether it was there when the watch began: if that event makes it, it
# was not, and the event tells of it; if the event takes it away, or there is none, it was.
#
# So each event makes one record, and each name that was there before it was watched one more. That is not the same as a create for
# each name that was not there: rename(2) may replace what has the name, of which the kernel does not tell, and files' names are
# not kept here. A create, and the new name of a move, may therefore be of a name that is there, whenever that was replaced.

use 5.016;
use strict;
use warnings;

use Carp qw(croak);
use Errno qw(ENOENT ENOTDIR ETIMEDOUT);
use Scalar::Util qw(weaken);
use IO::AIO ();

our $VERSION = '5.0';
our @CARP_NOT = qw(IO::AIO);

# The kernel's numbers, the same on all machines.
use constant {
    MODIFY => 0x2, ATTRIB => 0x4, CLOSE_WRITE => 0x8, MOVED_FROM => 0x40, MOVED_TO => 0x80, CREATE => 0x100, DELETE => 0x200,
    DELETE_SELF => 0x400, MOVE_SELF => 0x800, UNMOUNT => 0x2000, OVERFLOW => 0x4000, IGNORED => 0x8000,
    ONLYDIR => 0x01000000, DONT_FOLLOW => 0x02000000, EXCL_UNLINK => 0x04000000, ISDIR => 0x40000000,
};
use constant {
    PARALLEL => 8,       # directories that are entered at a time
    PAIRED   => 0.05,    # seconds within which the other half of a move comes
    QUEUED   => 200_000, # events that wait here, at the most
};

my %BITS = (
    create => CREATE, delete => DELETE, move => MOVED_FROM | MOVED_TO,
    modify => MODIFY, attrib => ATTRIB, close_write => CLOSE_WRITE,
);
my $NAMES = $BITS{create} | $BITS{delete} | $BITS{move};
my %OPTION = map { $_ => 1 } qw(recursive events name prune one_file_system);

# Options ---------------------------------------------------------------

sub _patterns {
    my ($name, $patterns) = @_;
    IO::AIO::_load_part('Glob');
    my @patterns = ref $patterns eq 'ARRAY' ? @$patterns : $patterns;
    ref && croak "aio_watch: $name must be a pattern, or an array of patterns" for @patterns;
    my @all = map IO::AIO::Glob::_regex($_), @patterns;
    return @all ? do { my $any = join '|', @all; qr/\A(?:$any)\z/s } : qr/(?!)/;
}

sub _options {
    my ($options) = @_;
    ref $options eq 'HASH' || !defined $options or croak 'aio_watch: options must be a hash reference, or undef';
    my %o = %{ $options || {} };
    $OPTION{$_} or croak "aio_watch: unknown option \"$_\"" for sort keys %o;
    my @events = !defined $o{events} ? keys %BITS : ref $o{events} eq 'ARRAY' ? @{ $o{events} } : split ' ', $o{events};
    $BITS{$_} or croak "aio_watch: there is no event \"$_\"" for @events;
    my %want = map { $_ => 1 } @events, qw(found ready overflow error unmount);
    my $mask = EXCL_UNLINK;
    $mask |= $BITS{$_} for @events;
    $mask |= $NAMES if $o{recursive} || $mask & $NAMES;
    return (
        want => \%want, mask => $mask, recursive => !!$o{recursive}, one_file_system => !!$o{one_file_system},
        name  => defined $o{name}  ? _patterns(name  => $o{name})  : undef,
        prune => defined $o{prune} ? _patterns(prune => $o{prune}) : undef,
    );
}

# Starting and ending ---------------------------------------------------

sub start {
    my ($path, $options, $batch, $callback) = @_;
    my $pri = IO::AIO::aioreq_pri();
    my $self = bless { _options($options), batch => $batch, pri => $pri, out => [], generation => 0 }, __PACKAGE__;
    my $group = $self->{group} = IO::AIO::aio_group($callback);
    $group->result(-1);
    $self->_request(sub { IO::AIO::aio_realpath($path, sub {
        return $self->_end(-1, $! + 0) if !@_;
        $self->{path} = $_[0];
        $self->_begin(0);
    }) });
    return $group;
}

# Makes a request of the group.
sub _request {
    my ($self, $make) = @_;
    my $group = $self->{group} or return;
    IO::AIO::aioreq_pri($self->{pri});
    $group->add($make->());
}

sub _end {
    my ($self, $status, $errno) = @_;
    my $group = delete $self->{group} or return;
    $group->result($status);
    $group->errno($errno);
    $self->{generation}++;
    delete @$self{qw(fh nodes root queue todo)};
    $self->_tell;
}

# Begins, at first or after an overflow, with another descriptor. what: how that is called which is found then.
sub _begin {
    my ($self, $what) = @_;
    my $fh = IO::AIO::_notify_open() or return $self->_end(-1, $! + 0);
    @$self{qw(fh queue of pending halves todo busy nodes)} = ($fh, [], {}, {}, {}, [], 0, {});
    my $generation = ++$self->{generation};
    my $path = $self->{path};
    $self->_request(sub { IO::AIO::aio_stat($path, sub {
        return $self->_end(-1, $! + 0) if $_[0];
        ($self->{device}, my $directory) = ((stat _)[0], -d _);
        my $mask = $self->{mask} | DELETE_SELF | MOVE_SELF | ($directory ? ONLYDIR : 0);
        $self->_request(sub { IO::AIO::_notify($fh, $path, $mask, sub {
            return $self->_end(-1, $! + 0) if $_[0] < 0;
            my $root = $self->{root} = { name => '', number => $_[0], directory => $directory, entries => {} };
            $self->{nodes}{ $_[0] } = $root;
            $self->_list($root, $what) if $directory && ($self->{recursive} || $what);
            $self->{starting} = 1;
            $self->_go_on;
        }) });
    }) });
}

# Directories -----------------------------------------------------------

sub _path {
    my ($node, $name) = @_;
    my @names = defined $name ? $name : ();
    for (; $node && $node->{up}; $node = $node->{up}) { unshift @names, $node->{name} }
    return join '/', @names;
}

# Has an entry of a directory entered, soon.
sub _enter {
    my ($self, $up, $name, $what) = @_;
    return if !$self->{recursive} || $self->{prune} && $name =~ $self->{prune};
    push @{ $self->{todo} }, [$up, $name, $what];
}

sub _enter_next {
    my ($self) = @_;
    while ($self->{busy} < PARALLEL && @{ $self->{todo} }) {
        my ($up, $name, $what) = @{ shift @{ $self->{todo} } };
        my $path = "$self->{path}/" . _path($up, $name);
        if ($self->{one_file_system}) {
            $self->_step(sub { IO::AIO::aio_lstat($path, $_[0]) }, sub {
                $self->_watch($up, $name, $what, $path) if !$_[0] && (lstat _)[0] == $self->{device};
            });
        } else {
            $self->_watch($up, $name, $what, $path);
        }
    }
}

# A request, and what to do then, unless all has begun again meanwhile. Each is counted in `busy` until that is done.
sub _step {
    my ($self, $make, $then) = @_;
    my $generation = $self->{generation};
    $self->{busy}++;
    $self->_request(sub { $make->(sub {
        return if $generation != $self->{generation};
        &$then;
        return $self->_tell if $generation != $self->{generation};
        $self->{busy}--;
        $self->_go_on;
    }) });
}

sub _watch {
    my ($self, $up, $name, $what, $path) = @_;
    $self->_step(sub { IO::AIO::_notify($self->{fh}, $path, $self->{mask} | ONLYDIR | DONT_FOLLOW, $_[0]) }, sub {
        my ($number, $errno) = ($_[0], $!);
        return if !$self->_drain || $self->_is_another($up, $name, $what);
        return $errno == ENOENT || $errno == ENOTDIR || $self->_note($up, $name, 'error', 1, $errno) if $number < 0;
        my $node = $self->{nodes}{$number};
        if ($node && !($node->{up} && $node->{up} == $up && $node->{name} eq $name)) {    # it has been moved, which will be told;
            $node->{seen_as} = [$up, $name];    # perhaps as if it had left, as this place was not yet watched then
            return;
        }
        $node = $self->{nodes}{$number} = $up->{entries}{$name} = { up => $up, name => $name, number => $number, entries => {} }
            unless $node;
        weaken($node->{up});
        $self->_list($node, $what);
    });
}

# Whether what was found by a path may be another directory than the one that was meant: something is queued that moves or
# removes one of that name. That will tell what becomes of it; if it is one above, it is entered again after that.
sub _is_another {
    my ($self, $up, $name, $what) = @_;
    my $is_pending = sub { my $of = $self->{pending}{ $_[0]{number} }; $of && $of->{ $_[1] } };
    return 1 if $is_pending->($up, $name) || ($self->{nodes}{ $up->{number} } || 0) != $up;
    for (my $at = $up; $at->{up}; $at = $at->{up}) {
        next if !$is_pending->($at->{up}, $at->{name});
        push @{ $self->{queue} }, { again => [$up, $name, $what], number => $up->{number}, name => $name, mask => 0 };
        return 1;
    }
    return 0;
}

# Reads a directory that is watched.
sub _list {
    my ($self, $node, $what) = @_;
    my $path = _path($node);
    $self->_step(sub { IO::AIO::aio_scandir(length $path ? "$self->{path}/$path" : $self->{path}, 0, $_[0]) }, sub {
        my ($directories, $others, $errno) = (@_[0, 1], $!);
        return if !$self->_drain;
        if ($node->{up} && $self->_is_another($node->{up}, $node->{name}, $what)) {
            delete $node->{up}{entries}{ $node->{name} };
            return $self->_leave($node, 1);
        }
        return $errno == ENOENT || $errno == ENOTDIR || $self->_note($node, undef, 'error', 1, $errno) unless $directories;
        my %is = ((map { $_ => 1 } @$directories), $what ? map { $_ => 0 } @$others : ());
        my %first;
        if ($what) {
            $first{ $_->{name} } ||= [!!($_->{mask} & ISDIR), !!($_->{mask} & (CREATE | MOVED_TO))]
                for grep length $_->{name} && $_->{mask} & $NAMES, @{ $self->{of}{ $node->{number} } };
            $is{$_} //= $first{$_}[0] for grep !$first{$_}[1], keys %first;
        }
        for my $name (sort keys %is) {
            next if $first{$name} && $first{$name}[1];
            $self->_note($node, $name, $what, $is{$name}) if $what;
            $self->_enter($node, $name, $what) if $is{$name} && !$first{$name};
        }
    });
}

# It is not where it was any more, nor is anything below it. What was seen elsewhere meanwhile is entered there, each directory for
# itself: what is queued may move it several times until it goes there, or what it was in.
sub _leave {
    my ($self, $node, $gone) = @_;
    $self->_leave($_, $gone) for values %{ $node->{entries} };
    delete $self->{nodes}{ $node->{number} };
    if (my $seen_as = $node->{seen_as}) {
        $self->_enter(@$seen_as, 'create');
    } elsif (!$gone) {
        IO::AIO::_notify_end($self->{fh}, $node->{number});
    }
}

# Events ----------------------------------------------------------------

# Waits for the next ones, or goes on with those that there are, when no directory is being entered.
sub _go_on {
    my ($self) = @_;
    $self->_enter_next if $self->{group};
    while ($self->{group} && !$self->{busy}) {
        $self->_note($self->{root}, undef, 'ready', $self->{root}{directory}) if delete $self->{starting};
        my $event = $self->{queue}[0];
        last if !$event || $event->{half} && !$self->_is_alone($event);
        shift @{ $self->{queue} };
        if ($event->{again}) {
            my ($up) = @{ $event->{again} };
            $self->_enter(@{ $event->{again} }) if ($self->{nodes}{ $up->{number} } || 0) == $up;
        } else {
            $self->_forget($_) for $event, $event->{to} || ();
            $self->_handle($event);
        }
        $self->_enter_next if $self->{group};
    }
    if ($self->{group} && !$self->{busy}) {
        my $half = @{ $self->{queue} };
        $self->_step(sub { IO::AIO::aioreq_timeout(PAIRED) if $half; IO::AIO::_wait($self->{fh}, 1, $_[0]) }, sub {
            return $self->_end(-1, $! + 0) if $_[0] < 0 && !($half && $! == ETIMEDOUT);    # the group's time is up
            $_->{age}++ for values %{ $self->{halves} };
            $self->_drain;
        });
    }
    $self->_tell;
}

# Whether the other half of a move does not come: it would have been right behind.
sub _is_alone { $_[1]{age} > 1 }

# Reads all that has happened; false when that is too much, and all begins again.
sub _drain {
    my ($self) = @_;
    my $queue = $self->{queue};
    my $data;
    while (sysread $self->{fh}, $data, 65536) {
        for (my $at = 0; $at < length $data; ) {
            my ($number, $mask, $cookie, $length) = unpack 'l L L L', substr $data, $at, 16;
            my $name = unpack 'Z*', substr $data, $at + 16, $length;
            $at += 16 + $length;
            return $self->_overflow if $mask & OVERFLOW || @$queue > QUEUED;
            $self->_queue({ number => $number, mask => $mask, name => $name, age => 0 }, $cookie);
        }
    }
    return 1;
}

sub _queue {
    my ($self, $event, $cookie) = @_;
    my ($number, $mask) = @$event{qw(number mask)};
    push @{ $self->{of}{$number} }, $event;
    $self->{pending}{$number}{ $event->{name} }++ if $mask & $NAMES;
    if ($mask & MOVED_FROM) {
        $event->{half} = $cookie;
        $self->{halves}{$cookie} = $event;
    } elsif ($mask & MOVED_TO and my $from = delete $self->{halves}{$cookie}) {
        delete $from->{half};
        $from->{to} = $event;
        return;
    }
    push @{ $self->{queue} }, $event;
}

# One that is handled now is mostly the first of its directory.
sub _forget {
    my ($self, $event) = @_;
    my $of = $self->{of}{ $event->{number} };
    $of->[0] == $event ? shift @$of : (@$of = grep $_ != $event, @$of);
    --$self->{pending}{ $event->{number} }{ $event->{name} } or delete $self->{pending}{ $event->{number} }{ $event->{name} }
        if $event->{mask} & $NAMES;
    delete @{$_}{ $event->{number} } for @$of ? () : @$self{qw(of pending)};
}

sub _overflow {
    my ($self) = @_;
    $self->_note($self->{root}, undef, 'overflow', 1);
    $self->_begin('found');
    return 0;
}

sub _handle {
    my ($self, $event) = @_;
    my ($number, $mask, $name) = @$event{qw(number mask name)};
    my $node = $self->{nodes}{$number};
    my $directory = $mask & ISDIR ? 1 : 0;
    delete $self->{halves}{ $event->{half} } if $event->{half};
    return $self->_handle_move($event, $node, $self->{nodes}{ $event->{to}{number} }) if $event->{to};
    return if !$node;
    return $self->_handle_root($node, $mask) if !length $name;
    if ($mask & (CREATE | MOVED_TO)) {
        $self->_note($node, $name, 'create', $directory);
        $self->_come($node, $name) if $directory;
    } elsif ($mask & (DELETE | MOVED_FROM)) {
        $self->_note($node, $name, 'delete', $directory);
        my $gone = $directory && delete $node->{entries}{$name} or return;
        $self->_leave($gone, $mask & DELETE);
    } else {
        $self->_note($node, $name, $_, $directory) for grep $mask & $BITS{$_}, qw(modify attrib close_write);
    }
}

# Of directories other than the root those above tell.
sub _handle_root {
    my ($self, $node, $mask) = @_;
    if ($node != $self->{root}) {
        delete $self->{nodes}{ $node->{number} } if $mask & IGNORED;
        return;
    }
    $self->_note($node, undef, $_, $node->{directory}) for grep $mask & $BITS{$_}, qw(modify attrib close_write);
    my ($end) = $mask & DELETE_SELF ? 'delete' : $mask & MOVE_SELF ? 'move' : $mask & UNMOUNT ? 'unmount' : ();
    $self->_note($node, undef, $end, $node->{directory}) if $end;
    $self->_end(0, 0) if $end || $mask & IGNORED;
}

sub _handle_move {
    my ($self, $event, $from, $to) = @_;
    my ($name, $new) = ($event->{name}, $event->{to}{name});
    my $directory = $event->{mask} & ISDIR ? 1 : 0;
    my $node = $from && $directory ? delete $from->{entries}{$name} : undef;
    if ($from && $to) {
        $self->_note($from, $name, 'move', $directory, _path($to, $new), $new);
    } elsif ($from) {
        $self->_note($from, $name, 'delete', $directory);
    } elsif ($to) {
        $self->_note($to, $new, 'create', $directory);
    }
    return if !$directory;
    if ($node && !($to && !($self->{prune} && $new =~ $self->{prune}))) {
        $self->_leave($node, 0);
    } elsif ($to) {
        $self->_come($to, $new, $node);
    }
}

# A directory has come to a name: node, or one that is to be entered. rename(2) puts it in the place of an empty one without a word
# of that: the node of a name is of the directory that is there, or there is none.
sub _come {
    my ($self, $up, $name, $node) = @_;
    my $old = delete $up->{entries}{$name};
    $self->_leave($old, 1) if $old;
    return $self->_enter($up, $name, 'create') if !$node;
    @$node{qw(up name)} = ($up, $name);
    weaken($node->{up});
    $up->{entries}{$name} = $node;
}

# Telling ---------------------------------------------------------------

# more: the new path of what was moved; or an error.
sub _note {
    my ($self, $node, $name, $event, $directory, $more, $new) = @_;
    return if !$self->{want}{$event} && !(!defined $name && $event =~ /\A(?:delete|move)\z/);
    return if $self->{name} && defined $name && $event ne 'error' && $name !~ $self->{name} && !(defined $new && $new =~ $self->{name});
    my $path = _path($node, $name);
    my $last = $self->{out}[-1];
    return if $last && $last->[0] eq $path && $last->[1] eq $event && !defined $more;
    push @{ $self->{out} }, [$path, $event, $directory ? 1 : 0, defined $more ? $more : ()];
    return;
}

# After all requests have been made: what is called may die.
sub _tell {
    my ($self) = @_;
    my $out = $self->{out};
    return if !@$out;
    $self->{out} = [];
    $self->{batch}->($out) if $self->{batch};
}

1;
