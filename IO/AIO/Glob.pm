package IO::AIO::Glob;

# aio_glob, and patterns of names for aio_watch. The manual has what callers see; loaded when somebody wants one.
#
# A pattern becomes a list of characters, each of which may be quoted, then, by its braces, several of these, and each of them a
# list of segments between slashes: text, or a regular expression for names. Directories are read by requests of a group, some
# at a time; what was found is sorted at the end, for each alternative of the braces on its own.

use 5.016;
use strict;
use warnings;

use Carp qw(croak);
use Errno qw(EACCES ENOENT ENOTDIR ETIMEDOUT);
use File::Glob ();
use Scalar::Util qw(blessed);
use IO::AIO ();

our $VERSION = '5.0';
our @CARP_NOT = qw(IO::AIO);

use constant PARALLEL => 8;    # requests at a time

my %FLAG = map { ($_ => do { no strict 'refs'; "File::Glob::GLOB_$_"->() }) }
    qw(ALPHASORT BRACE ERR MARK NOCASE NOCHECK NOMAGIC NOSORT QUOTE TILDE);
my $KNOWN = 0;
$KNOWN |= $_ for values %FLAG, File::Glob::GLOB_CSH();

# Patterns --------------------------------------------------------------

# Characters; a quoted one is a reference.
sub _characters {
    my ($pattern, $quotes) = @_;
    my @all = split //, $pattern;
    return @all if !$quotes;
    my @found;
    while (@all) {
        my $character = shift @all;
        push @found, $character eq '\\' ? \(@all ? shift @all : '\\') : $character;
    }
    return @found;
}

# Where the bracket at $from ends: the place of its "]", or 0.
sub _end_of_bracket {
    my ($characters, $from) = @_;
    my $at = $from + 1;
    $at++ if $at < @$characters && $characters->[$at] eq '!';
    for ($at++; $at < @$characters; $at++) { return $at if $characters->[$at] eq ']' }
    return 0;
}

# All alternatives of the braces, in order.
sub _braces {
    my (@all) = @_;
    return [@all] if @all == 2 && "@all" eq '{ }';
    my ($open) = grep $all[$_] eq '{', 0 .. $#all;
    return [@all] if !defined $open;
    my ($depth, $from, $close, @choices) = (0, $open + 1);
    for (my $at = $open; $at < @all; $at++) {
        my $character = $all[$at];
        if ($character eq '[') { $at = _end_of_bracket(\@all, $at) || $at }
        elsif ($character eq '{') { $depth++ }
        elsif ($character eq ',' && $depth == 1 || $character eq '}' && !--$depth) {
            push @choices, [@all[$from .. $at - 1]];
            $from = $at + 1;
            $close = $at, last if !$depth;
        }
    }
    return [@all] if !defined $close;
    return map _braces(@all[0 .. $open - 1], @$_, @all[$close + 1 .. $#all]), @choices;
}

sub _text { join '', map ref ? $$_ : $_, @_ }

# "~" and "~user" at the beginning. A quoted slash does not end the name.
sub _tilde {
    my (@all) = @_;
    return @all if !@all || $all[0] ne '~';
    my $end = 1;
    $end++ while $end < @all && (ref $all[$end] || $all[$end] ne '/');
    my $user = _text(@all[1 .. $end - 1]);
    my $home = length $user ? (getpwnam $user)[7] : $ENV{HOME} // (getpwuid $<)[7];
    return defined $home ? ((map \(my $copy = $_), split //, $home), @all[$end .. $#all]) : @all;
}

# A regular expression's text for one segment; undef if that is text only.
sub _translate {
    my (@all) = @_;
    my ($regex, $magic) = ('', 0);
    for (my $at = 0; $at < @all; $at++) {
        my $character = $all[$at];
        if ($character eq '*') { $regex .= '.*' unless $at && $all[$at - 1] eq '*'; $magic = 1 }
        elsif ($character eq '?') { $regex .= '.'; $magic = 1 }
        elsif ($character eq '[' and my $end = _end_of_bracket(\@all, $at)) {
            my $not = $all[$at + 1] eq '!';
            $regex .= _bracket($not, map _text($_), @all[$at + 1 + $not .. $end - 1]);
            ($at, $magic) = ($end, 1);
        }
        else { $regex .= quotemeta _text($character) }
    }
    return $magic ? $regex : undef;
}

sub _bracket {
    my ($not, @all) = @_;
    my $class = '';
    while (@all) {
        my $first = shift @all;
        if (@all > 1 && $all[0] eq '-') {
            my $last = (splice @all, 0, 2)[1];
            $class .= quotemeta($first) . '-' . quotemeta $last if $first le $last;
        } else {
            $class .= quotemeta $first;
        }
    }
    return length $class ? '[' . ($not ? '^' : '') . "$class]" : $not ? '.' : '(?!)';
}

# A pattern without slashes as text of a regular expression, for aio_watch.
sub _regex { my @all = _characters($_[0], 1); _translate(@all) // quotemeta _text(@all) }

# Segments of an alternative: { text }, { regex, dot } or { deep }, with the slashes that follow as `slashes`.
sub _segments {
    my ($flags, @all) = @_;
    my @segments;
    my $case = $flags & $FLAG{NOCASE} ? '(?i)' : '';
    while (@all) {
        my (@name, $slashes);
        push @name, shift @all while @all && _text($all[0]) ne '/';
        $slashes = '';
        $slashes .= _text(shift @all) while @all && _text($all[0]) eq '/';
        my $regex = _translate(@name);
        push @segments, {
            slashes => $slashes,
            !defined $regex ? (text => _text(@name))
            : "@name" eq '* *' ? (deep => 1)
            : (regex => qr/\A$case$regex\z/s, dot => _text($name[0]) eq '.')
        };
    }
    push @segments, { regex => qr//, slashes => '' } if @segments && $segments[-1]{deep} && !length $segments[-1]{slashes};
    $segments[-2]{slashes} = '/' if @segments > 1 && $segments[-2]{deep} && !length $segments[-2]{slashes};
    return \@segments;
}

# Requests --------------------------------------------------------------

# [$wd, $pattern]
sub _split {
    my ($wd, $pattern, @more) = @{ $_[0] };
    @more || !defined $pattern || defined $wd && !(blessed $wd && $wd->isa('IO::AIO::WD'))
        and croak 'aio_glob: pathname must be a string, or [$wd, $string]';
    return ($wd, $pattern);
}

sub start {
    my ($wd, $pattern, $flags, $callback) = @_;
    $flags = File::Glob::GLOB_CSH() if !defined $flags;
    $flags & ~$KNOWN and croak 'aio_glob: flags must be GLOB_... of File::Glob, or undef';
    my @all = _characters($pattern, $flags & $FLAG{QUOTE});
    my $pri = IO::AIO::aioreq_pri();
    my $group = IO::AIO::aio_group($callback);
    my $self = bless { wd => $wd, flags => $flags, pri => $pri, group => $group, busy => 0, todo => [], results => [] }, __PACKAGE__;
    for my $alternative ($flags & $FLAG{BRACE} ? _braces(@all) : [@all]) {
        my @characters = $flags & $FLAG{TILDE} ? _tilde(@$alternative) : @$alternative;
        my $result = { found => [], segments => _segments($flags, @characters), text => _text(@characters) };
        $result->{magic} = grep !defined $_->{text}, @{ $result->{segments} };
        push @{ $self->{results} }, $result;
        push @{ $self->{todo} }, [$result, '', 0] if @{ $result->{segments} };
    }
    $self->_request(sub { IO::AIO::aio_nop($_[0]) }, sub { });
    return $group;
}

sub _request {
    my ($self, $make, $then) = @_;
    $self->{busy}++;
    IO::AIO::aioreq_pri($self->{pri});
    $self->{group}->add($make->(sub {
        $self->{error} = ETIMEDOUT if $! == ETIMEDOUT;    # the group's time is up
        &$then;
        $self->{busy}--;
        $self->_go_on;
    }));
}

sub _path { my ($self, $path) = @_; $self->{wd} ? [$self->{wd}, $path] : $path }

sub _go_on {
    my ($self) = @_;
    return if !$self->{group};
    while (!$self->{error} && $self->{busy} < PARALLEL && @{ $self->{todo} }) { $self->_step(@{ pop @{ $self->{todo} } }) }
    $self->_end if !$self->{busy};
}

# Goes on with segment $at of an alternative, below what was found of the path so far.
sub _step {
    my ($self, $result, $path, $at) = @_;
    my $segments = $result->{segments};
    for (; $at < @$segments && defined $segments->[$at]{text}; $at++) {
        $path .= $segments->[$at]{text} . $segments->[$at]{slashes};
    }
    return $self->_read($result, $path, $at) if $at < @$segments;
    $self->_request(sub { IO::AIO::aio_lstat($self->_path($path), $_[0]) }, sub {
        $self->_found($result, $path, -d _ ? IO::AIO::DT_DIR() : -l _ ? IO::AIO::DT_LNK() : IO::AIO::DT_REG()) if !$_[0];
    });
}

sub _read {
    my ($self, $result, $path, $at) = @_;
    my $directory = $self->_path(length $path ? $path : '.');
    $self->_request(sub { IO::AIO::aio_readdirx($directory, IO::AIO::READDIR_DENTS(), $_[0]) }, sub {
        my ($entries) = @_;
        return $self->_take($result, $path, $at, $entries) if $entries;
        return if !($self->{flags} & $FLAG{ERR}) && $! == EACCES || $! == ENOENT || $! == ENOTDIR;
        $self->{error} = $! + 0;
    });
}

# Entries of a directory that match.
sub _take {
    my ($self, $result, $path, $at, $entries) = @_;
    my $segment = $result->{segments}[$at];
    my $last = $at == $#{ $result->{segments} } && !length $segment->{slashes};
    return $self->_take_deep($result, $path, $at, $entries) if $segment->{deep};
    my @dots = $segment->{dot} ? map [$_, IO::AIO::DT_DIR()], '.', '..' : ();
    for (@dots, @$entries) {
        my ($name, $type) = @$_;
        next if $name !~ $segment->{regex} || $name =~ /\A\./ && !$segment->{dot};
        if ($last) { $self->_found($result, $path . $name, $type) }
        elsif ($type == IO::AIO::DT_DIR() || $type == IO::AIO::DT_LNK() || $type == IO::AIO::DT_UNKNOWN()) {
            push @{ $self->{todo} }, [$result, $path . $name . $segment->{slashes}, $at + 1];
        }
    }
}

# No directories in between, or some. Not by symbolic links, nor those whose names begin with a dot.
sub _take_deep {
    my ($self, $result, $path, $at, $entries) = @_;
    my $next = $result->{segments}[$at + 1];
    $next && defined $next->{regex} ? $self->_take($result, $path, $at + 1, $entries) : push @{ $self->{todo} }, [$result, $path, $at + 1];
    for (@$entries) {
        my ($name, $type) = @$_;
        next if $name =~ /\A\./;
        my $below = "$path$name/";
        if ($type == IO::AIO::DT_DIR()) { push @{ $self->{todo} }, [$result, $below, $at] }
        elsif ($type == IO::AIO::DT_UNKNOWN()) {
            $self->_request(sub { IO::AIO::aio_lstat($self->_path("$path$name"), $_[0]) },
                sub { push @{ $self->{todo} }, [$result, $below, $at] if !$_[0] && -d _ });
        }
    }
}

sub _found {
    my ($self, $result, $path, $type) = @_;
    return push @{ $result->{found} }, $path if !($self->{flags} & $FLAG{MARK}) || $path =~ m{/\z};
    return push @{ $result->{found} }, "$path/" if $type == IO::AIO::DT_DIR();
    return push @{ $result->{found} }, $path if $type != IO::AIO::DT_LNK() && $type != IO::AIO::DT_UNKNOWN();
    $self->_request(sub { IO::AIO::aio_stat($self->_path($path), $_[0]) },
        sub { push @{ $result->{found} }, !$_[0] && -d _ ? "$path/" : $path });
}

sub _end {
    my ($self) = @_;
    my $group = delete $self->{group};
    if ($self->{error}) {
        $group->result(undef);
        $group->errno($self->{error});
        return;
    }
    my $flags = $self->{flags};
    my @paths;
    for my $result (@{ $self->{results} }) {
        my @found = @{ $result->{found} };
        @found = $flags & $FLAG{ALPHASORT} ? sort { lc $a cmp lc $b || $a cmp $b } @found : sort @found if !($flags & $FLAG{NOSORT});
        my %seen;
        @found = grep !$seen{$_}++, @found if grep $_->{deep}, @{ $result->{segments} };
        @found = $result->{text} if !@found && ($flags & $FLAG{NOCHECK} || $flags & $FLAG{NOMAGIC} && !$result->{magic});
        push @paths, @found;
    }
    $group->result(\@paths);
}

1;
