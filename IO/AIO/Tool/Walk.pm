package IO::AIO::Tool::Walk;

# find and du. A directory is read by one request; those found in it are queued, so that the memory is that of the
# directories on the way, and of what is to be printed.

use strict;
use warnings;

our $VERSION = '5.0';

use IO::AIO::Tool;
use IO::AIO;
use Time::HiRes qw(time);

my ($wants, $limit, $end_of_line, $looks);    # filter, depth, "\n" or "\0", whether all entries are looked at
my @sorted;
my $unreadable = 0;

sub find {
    my (@roots) = @_;
    @roots = '.' unless @roots;
    $option{count} = 1 if $option{compare};
    return '--compare takes one directory, and no --name, --type, --max-depth or -x'
        if $option{compare} && (@roots > 1 || grep defined $option{$_}, qw(name type max-depth one-file-system));
    $limit       = $option{'max-depth'};
    $end_of_line = $option{null} ? "\0" : "\n";
    $wants       = filter();
    $looks       = $option{json} && !$option{count} || ($option{type} // 'd') ne 'd';
    blocking($roots[0]) if $option{compare};    # so that neither finds its directories in a colder cache
    my $began = time;
    job(root($_)) for reverse @roots;
    return sub {
        my $seconds = time - $began;
        print_path($_) for sort @sorted;
        report($roots[0], $seconds) if $option{count} && !$option{json};
    };
}

# Looks at an argument: a link is not followed, unless its name ends with a slash.
sub root {
    my ($path) = @_;
    return sub {
        aio_lstat $path, sub {
            return failed($path) if $_[0];
            my @stat = lstat _;
            my $is_dir = -d _;
            entry($path, \@stat, 0);
            find_dir($path, $stat[0], 1) if $is_dir;
        };
    };
}

sub below { my ($dir, $name) = @_; $dir =~ s{/+\z}{}; "$dir/$name" }

# Reads a directory. Depth is that of its entries.
sub find_dir {
    my ($dir, $device, $depth) = @_;
    return if defined $limit && $depth > $limit;
    job(sub {
        aio_scandir $dir, 0, sub {
            my ($dirs, $others) = @_;
            $dirs or return $unreadable++, failed($dir);
            if ($looks) {
                look_at(below($dir, $_), $device, $depth) for @$others, @$dirs;
            } elsif ($wants || $option{sort} || !$option{count}) {
                entry(below($dir, $_), undef, $depth, 0) for @$others;
                $option{'one-file-system'} || entry(below($dir, $_), undef, $depth, 1) for @$dirs;
            } else {
                $count{others}      += @$others;
                $count{directories} += @$dirs unless $option{'one-file-system'};
            }
            return if $looks;
            for my $path (map below($dir, $_), @$dirs) {
                $option{'one-file-system'} ? look_at($path, $device, $depth) : find_dir($path, $device, $depth + 1);
            }
        };
    });
}

sub look_at {
    my ($path, $device, $depth) = @_;
    job(sub {
        aio_lstat $path, sub {
            return failed($path) if $_[0];
            my @stat = lstat _;
            my $is_dir = -d _;
            entry($path, \@stat, $depth, $is_dir);
            find_dir($path, $stat[0], $depth + 1) if $is_dir && (!$option{'one-file-system'} || $stat[0] == $device);
        };
    });
}

# One entry that was found, looked at or not.
sub entry {
    my ($path, $stat, $depth, $is_dir) = @_;
    $is_dir = ($stat->[2] & 0170000) == 0040000 if $stat;
    return if $wants && !$wants->($path, $stat, $is_dir);
    $count{ $is_dir ? 'directories' : 'others' }++;
    return if $option{count};
    if ($option{json}) {
        object(type => 'entry', path => $path, kind => kind($stat->[2]), size => \$stat->[7], mtime => \$stat->[9]);
    } elsif ($option{sort}) {
        push @sorted, $path;
    } else {
        print_path($path);
    }
}

sub print_path { out(($end_of_line eq "\0" ? $_[0] : IO::AIO::Tool::shown($_[0])) . $end_of_line) }

my %kind = (0010000 => 'p', 0020000 => 'c', 0040000 => 'd', 0060000 => 'b', 0100000 => 'f', 0120000 => 'l', 0140000 => 's');
sub kind { $kind{ $_[0] & 0170000 } || '?' }

# A function that says of an entry whether it is wanted, or undef if all are.
sub filter {
    my $type = $option{type};
    my $name = defined $option{name} ? pattern($option{name}) : undef;
    return unless defined $type || defined $name;
    return sub {
        my ($path, $stat, $is_dir) = @_;
        return 0 if defined $type && ($stat ? kind($stat->[2]) ne $type : $type ne 'd' || !$is_dir);
        return !defined $name || ($path =~ m{([^/]+)/*\z} ? $1 : '/') =~ $name;
    };
}

# A shell's pattern, of octets. A bracket without end is one.
sub pattern {
    my ($glob) = @_;
    my $regex = '';
    while ($glob =~ /\G(?:(\*+)|(\?)|\[([!^]?)(\]?[^\]]*)\]|\\(.)|(.))/gs) {
        if    (defined $1) { $regex .= '.*' }
        elsif (defined $2) { $regex .= '.' }
        elsif (defined $4) { $regex .= '[' . ($3 ? '^' : '') . $4 =~ s/([\\\[\]^\$\@])/\\$1/gr . ']' }
        else               { $regex .= quotemeta($5 // $6) }
    }
    return qr/\A$regex\z/s;
}

# ---- find --count --------------------------------------------------------------------------------

# Counts by the same rules as find does: a name is a directory if lstat says so, and another entry if it says otherwise.
sub blocking {
    my ($root) = @_;
    my %blocking = (directories => 0, others => 0, unreadable => 0);
    my $began = time;
    my @found = $root;
    while (defined(my $dir = pop @found)) {
        $blocking{directories}++;
        opendir my $handle, $dir or $blocking{unreadable}++, next;
        while (defined(my $name = readdir $handle)) {
            next if $name eq '.' || $name eq '..';
            my $path = below($dir, $name);
            lstat $path;
            if (-d _) { push @found, $path } else { $blocking{others}++ }
        }
    }
    $blocking{seconds} = time - $began;
    return \%blocking;
}

sub report {
    my ($root, $seconds) = @_;
    my @columns = { %count, unreadable => $unreadable, seconds => $seconds };
    push @columns, blocking($root) if $option{compare};
    my $row = sub { out(sprintf('%-20s', shift) . join('', map sprintf('%14s', $_), @_) . "\n") };
    my $rate = sub { ($_[0]{directories} + $_[0]{others}) / ($_[0]{seconds} || 1e-6) };
    out(IO::AIO::Tool::shown($root) . "\n") if $option{compare};
    $row->('', 'aio', 'blocking') if $option{compare};
    $row->('directories',   map grouped($_->{directories}), @columns);
    $row->('other entries', map grouped($_->{others}),      @columns);
    $row->('unreadable',    map grouped($_->{unreadable}),  @columns) if grep $_->{unreadable}, @columns;
    $row->('seconds', map sprintf('%.3f', $_->{seconds}), @columns);
    $row->('entries per second', map grouped(sprintf '%.0f', $rate->($_)), @columns);
    return unless $option{compare};
    out(sprintf "aio is %.2f times as fast as blocking calls\n", $rate->($columns[0]) / $rate->($columns[1]));
    out("the counts differ: the tree has changed in between\n")
        if grep $columns[0]{$_} != $columns[1]{$_}, qw(directories others unreadable);
}

# 1234567 as 1,234,567
sub grouped {
    my ($number) = @_;
    1 while $number =~ s/^(\d+)(\d{3})/$1,$2/;
    return $number;
}

# ---- du ------------------------------------------------------------------------------------------

my %linked;    # files with several names: "device:inode" => names to come

sub du {
    my (@roots) = @_;
    $limit       = $option{summarize} ? 0 : $option{'max-depth'};
    $end_of_line = $option{null} ? "\0" : "\n";
    my $next;
    $next = sub {    # one argument after the other, so that they are printed in order
        my $root = shift @_ // return;
        my @others = @_;
        du_entry($root, undef, 0, { end => sub { $next->(@others) } });
    };
    $next->(@roots ? @roots : '.');
    return;
}

# Adds an entry to its parent. A directory is printed when its last entry is there: waiting is their number.
sub du_entry {
    my ($path, $device, $depth, $parent) = @_;
    $parent->{waiting}++;
    job(sub {
        aio_lstat $path, sub {
            my @stat = $_[0] ? () : lstat _;
            my $node = { path => $path, depth => $depth, parent => $parent, sum => 0, waiting => 1 };
            if (!@stat) {
                failed($path);
                return du_done($parent);
            }
            my $is_dir = -d _;
            return du_done($parent) if $is_dir && $option{'one-file-system'} && defined $device && $stat[0] != $device;
            $count{entries}++;
            return du_done($parent) unless is_counted($is_dir, \@stat);
            $node->{sum} = $option{octets} ? $stat[7] : $stat[12] * 512;
            $node->{is_file} = !$is_dir;
            return du_done($node) unless $is_dir;
            aio_scandir $path, 0, sub {
                my ($dirs, $others) = @_;
                $dirs or failed($path);
                du_entry(below($path, $_), $stat[0], $depth + 1, $node) for map @{ $_ || [] }, $others, $dirs;
                du_done($node);
            };
        };
    });
}

# Is it a directory, or a file that was not met by another name?
sub is_counted {
    my ($is_dir, $stat) = @_;
    return 1 if $is_dir || $stat->[3] < 2;
    my $key = "$stat->[0]:$stat->[1]";
    if (defined $linked{$key}) {
        delete $linked{$key} unless --$linked{$key};
        return 0;
    }
    $linked{$key} = $stat->[3] - 1;
    return 1;
}

sub du_done {
    my ($node) = @_;
    while (!--$node->{waiting}) {
        my $parent = $node->{parent} or return $node->{end}->();
        du_print($node) if !defined $limit || $node->{depth} <= $limit;
        $parent->{sum} += $node->{sum};
        $node = $parent;
    }
}

sub du_print {
    my ($node) = @_;
    return if $node->{is_file} && !$option{all} && $node->{depth};
    my ($path, $sum) = @$node{qw(path sum)};
    return object(type => 'usage', path => $path, octets => \$sum, depth => \$node->{depth}) if $option{json};
    my $figure = $option{human} ? IO::AIO::Tool::size($sum) =~ s/B\z//r : $option{octets} ? $sum : int(($sum + 1023) / 1024);
    out("$figure\t" . ($end_of_line eq "\0" ? $path : IO::AIO::Tool::shown($path)) . $end_of_line);
}

1;
