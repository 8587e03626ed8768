package IO::AIO::Tool::Copy;

# cp, mv and sync: each argument is one request, which says now and then what it has done.

use strict;
use warnings;

our $VERSION = '5.0';

use IO::AIO::Tool;
use IO::AIO qw(:DEFAULT aio_cptree aio_mvtree);

my %existing = (replace => 0, skip => IO::AIO::CP_SKIP, update => IO::AIO::CP_UPDATE, fail => IO::AIO::CP_FAIL | IO::AIO::CP_MERGE);

# ---- the verbs -----------------------------------------------------------------------------------

sub cp {
    my (@paths) = @_;
    to_places(sub { copy(@_, $existing{ $option{existing} // 'replace' }) }, @paths);
    return;
}

sub mv {
    my (@paths) = @_;
    to_places(\&move, @paths);
    return;
}

sub sync {
    my ($from, $to) = @_;
    my $dry = $option{'dry-run'} || $option{delete} && !$option{yes};
    my $flags = IO::AIO::CP_SYNC | ($dry ? IO::AIO::CP_DRY : 0) | ($option{delete} ? IO::AIO::CP_DELETE : 0);
    job(sub {
        aio_stat $from, sub {
            return failed($from) if $_[0];
            return failed($from, 'Not a directory') unless -d _;
            copy($from =~ s{/*\z}{/}r, $to =~ s{/*\z}{/}r, $flags);    # links are followed here
        };
    });
    return sub {
        print STDERR "aio sync: nothing was done yet: --yes does it\n" if $dry && !$option{'dry-run'};
    };
}

# Calls a function with each source and its name in the target, which has to be a directory if there are several.
sub to_places {
    my ($code, @sources) = @_;
    my $target = pop @sources;
    job(sub {
        aio_stat $target, sub {
            my $is_dir = !$_[0] && -d _;
            return failed($target, 'Not a directory') if !$is_dir && (@sources > 1 || !$_[0] && $target =~ m{/\z});
            my (@jobs, %given);    # who gets a name in the target: the next would replace what has only just come there
            for (@sources) {
                my ($from, $name) = ($_, base($_));
                my $to = $is_dir && length $name ? below($target, $name) : $target =~ s{(?<=.)/+\z}{}sr;
                my $first = $given{$to};
                $given{$to} //= $from;
                push @jobs, sub { defined $first ? failed($from, "has the same name as $first in $target") : $code->($from, $to) };
            }
            job($_) for reverse @jobs;
        };
    });
}

# The last part of a name, or nothing for the root, "." and "..".
sub base { my ($path) = @_; $path =~ m{([^/]+)/*\z} && $1 !~ /\A\.\.?\z/ ? $1 : '' }

sub dir_of { my ($path) = @_; $path =~ m{\A(.*?)/*[^/]+/*\z}s && length $1 ? $1 : $path =~ m{\A/} ? '/' : '.' }

# A name without links in it, but for its last part, if no slash follows that.
sub real_name {
    my ($path, $done) = @_;
    my $name = base($path);
    my $by_parent = sub { aio_realpath dir_of($path), sub { $done->(defined $_[0] ? below($_[0], $name) : undef) } };
    return $by_parent->() if length $name && $path !~ m{/\z};
    aio_realpath $path, sub { defined $_[0] || !length $name ? $done->($_[0]) : $by_parent->() };
}

# ---- copies --------------------------------------------------------------------------------------

# Copies an argument, unless it would be into itself.
sub copy {
    my ($from, $to, $flags) = @_;
    $flags |= $option{verbose} || $flags & IO::AIO::CP_DRY ? IO::AIO::CP_TELL : IO::AIO::CP_TELL_ERRORS;
    $flags |= IO::AIO::CP_ONE_FS if $option{'one-file-system'};
    real_name($from, sub {
        my ($source) = @_;
        defined $source or return failed($from);
        real_name($to, sub {
            my ($target) = @_;
            defined $target or return failed($to);
            return failed($to, "is the same as $from") if $source eq $target;
            return failed($to, "is inside of $from") if index("$target/", $source eq '/' ? '/' : "$source/") == 0;
            return failed($to, "has $from inside, which --delete would remove")
                if $option{delete} && index("$source/", $target eq '/' ? '/' : "$target/") == 0;
            my %seen;
            followed($from, sub { aio_cptree $source, $target, $flags, $_[0] }, sub { take($from, $to, \%seen, $_[0]) }, sub {
                my ($status, $errors, $done) = @_;
                take($from, $to, \%seen, $done);
                failed($from) if $status && !$done->{failed};
            });
        });
    });
}

# A request for a source, which is asked now and then what it has done.
sub followed {
    my ($from, $begin, $take, $end) = @_;
    my $request;
    IO::AIO::Tool::follow(
        sub { $request = $begin->($_[0]) },
        sub { my $done = $request->progress; $take->($done) if $done },
        $end,
        $from
    );
}

# Adds what has been done since it was seen last, and prints what was told.
sub take {
    my ($from, $to, $seen, $done) = @_;
    for (grep exists $done->{$_}, keys %count) {
        $count{$_} += $done->{$_} - ($seen->{$_} // 0);
        $seen->{$_} = $done->{$_};
    }
    $total{spared} += $done->{spared} - ($seen->{spared} // 0);
    $seen->{spared} = $done->{spared};
    for (@{ $done->{told} }) {
        my ($path, $errno, $what) = @$_;
        $errno ? told_failure($from, $to, @$_) : did($what, below($to =~ s{(?<=.)/+\z}{}sr, $path));
    }
}

sub told_failure {
    my ($from, $to, $path, $errno, $what) = @_;
    $! = $errno;
    my $is_source = $what =~ /^(?:open|stat|readlink|copy|attributes)\z/ && !$!{ENOSPC};
    $! = $errno;
    failed(below($is_source ? $from : $to, $path));
}

sub did {
    my ($what, $path) = @_;
    return object(type => $what, path => $path) if $option{json};
    IO::AIO::Tool::out_name($path, "$what ");
}

# ---- mv ------------------------------------------------------------------------------------------

sub move {
    my ($from, $to) = @_;
    return failed($from, 'refused: it is the root directory, "." or ".."') unless length base($from);
    my $replaces = ($option{existing} // 'replace') eq 'replace';
    aio_rename2 $from, $to, $replaces ? 0 : IO::AIO::RENAME_NOREPLACE, sub {
        return moved($from, $to) if !$_[0];
        return present($to) if $!{EEXIST} && !$replaces;
        if ($!{EXDEV}) { return $replaces ? across($from, $to) : unless_there($to, sub { across($from, $to) }) }
        return failed($from) if $replaces || !$!{EINVAL} && !$!{ENOSYS};
        unless_there($to, sub { aio_rename $from, $to, sub { $_[0] ? failed($from) : moved($from, $to) } });
    };
}

sub moved {
    my ($from, $to) = @_;
    $count{moved}++;
    did('move', $to) if $option{verbose};
}

sub present {
    my ($to) = @_;
    $option{existing} eq 'skip' ? $count{skipped}++ : failed($to, 'File exists');
}

sub unless_there {
    my ($path, $then) = @_;
    aio_lstat $path, sub { $_[0] && $!{ENOENT} ? $then->() : $_[0] ? failed($path) : present($path) };
}

# To another file system.
sub across {
    my ($from, $to) = @_;
    my $octets = 0;
    my $take = sub { $count{octets} += $_[0]{octets} - $octets; $octets = $_[0]{octets} };
    followed($from, sub { aio_mvtree $from, $to, $_[0] }, $take, sub {
        my ($status, $errors, $done) = @_;
        my $error = "$!";
        $take->($done);
        return moved($from, $to) if !$status;
        told_failure($from, $to, @$_) for @$errors;
        failed($from, @$errors ? 'left, since not all of it was moved' : $error);
    });
}

1;
