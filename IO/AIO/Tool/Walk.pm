package IO::AIO::Tool::Walk;

# find and du: a walk through each argument, whose answers are printed.

use strict;
use warnings;

our $VERSION = '5.0';

use IO::AIO::Tool;
use IO::AIO qw(aio_walk aio_du);
use Time::HiRes qw(time);

my $unreadable = 0;

sub find {
    my (@roots) = @_;
    @roots = '.' unless @roots;
    $option{count} = 1 if $option{compare};
    return '--compare takes one directory, and no --name, --type, --max-depth or -x'
        if $option{compare} && (@roots > 1 || grep defined $option{$_}, qw(name type max-depth one-file-system));
    my %walk = (walk_options(), root => 1, types => $option{type}, name => $option{name}, max_depth => $option{'max-depth'});
    my @sorted;
    my $lines = IO::AIO::Tool::shows_names() ? "\0" : IO::AIO::Tool::end_of_line();
    my $print = $option{sort} ? sub { push @sorted, split /$lines/, $_[0] } : $lines eq IO::AIO::Tool::end_of_line() ? \&out
        : sub { IO::AIO::Tool::out_name($_) for split /\0/, $_[0] };
    $walk{ $option{count} ? 'count' : $option{json} ? 'stat' : 'lines' } = $option{count} || $option{json} ? 1 : $lines;
    blocking($roots[0]) if $option{compare};    # so that neither finds its directories in a colder cache
    my $began = time;
    job(found($_, \%walk, $print)) for reverse @roots;
    return sub {
        my $seconds = time - $began;
        IO::AIO::Tool::out_name($_) for sort @sorted;
        report($roots[0], $seconds) if $option{count} && !$option{json};
    };
}

# Walks through an argument.
sub found {
    my ($root, $walk, $print) = @_;
    return sub {
        my $batch = sub {
            my ($entries, $directories, $others, $lines) = @_;
            if ($walk->{stat}) {
                entry($root, $_) for @$entries;
            } else {
                unreadable($root, $_) for @$entries;
                $count{directories} += $directories;
                $count{others}      += $others;
                $print->($lines) if defined $lines && length $lines;
            }
        };
        tree(sub { aio_walk $root, $walk, $batch, $_[0] }, sub { failed($root) if $_[0] < 0 });
    };
}

sub unreadable {
    my ($root, $entry) = @_;
    $unreadable++;
    failed(below($root, $entry->[0]), "$entry->[3]");
}

my %kind = (IO::AIO::DT_FIFO, 'p', IO::AIO::DT_CHR, 'c', IO::AIO::DT_DIR, 'd', IO::AIO::DT_BLK, 'b', IO::AIO::DT_REG, 'f',
    IO::AIO::DT_LNK, 'l', IO::AIO::DT_SOCK, 's');

# One that was looked at.
sub entry {
    my ($root, $entry) = @_;
    my ($path, $type, undef, $error, $stat) = @$entry;
    return unreadable($root, $entry) if $error;
    $count{ $type == IO::AIO::DT_DIR ? 'directories' : 'others' }++;
    object(type => 'entry', path => below($root, $path), kind => $kind{$type}, size => \$stat->[7], mtime => \$stat->[9]);
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

# One argument after the other, so that they are printed in order.
sub du {
    my (@roots) = @_;
    @roots = '.' unless @roots;
    my %du = (walk_options(), root => 1, counted => {}, all => $option{all}, totals => $option{summarize} ? 0 : $option{'max-depth'} // 1 << 30);
    my $next;
    $next = sub {
        my $root = shift @roots // return;
        tree(sub { aio_du $root, \%du, $_[0] }, sub {
            my ($totals) = @_;
            usage($root, $totals);
            job($next);
        });
    };
    job($next);
    return;
}

sub usage {
    my ($root, $totals) = @_;
    $totals or return failed($root);
    failed(below($root, $_->[0]), "$_->[1]") for @{ $totals->{errors} };
    $count{entries} += $totals->{entries};
    for (@{ $totals->{directories} }) {
        my ($path, $octets, $blocks) = @$_;
        du_print(below($root, $path), 1 + $path =~ tr{/}{}, $octets, $blocks);
    }
    du_print($root, 0, @$totals{qw(octets blocks)});
}

sub du_print {
    my ($path, $depth, $octets, $blocks) = @_;
    my $sum = $option{octets} ? $octets : $blocks * 512;
    return object(type => 'usage', path => $path, octets => \$sum, depth => \$depth) if $option{json};
    my $figure = $option{human} ? IO::AIO::Tool::size($sum) =~ s/B\z//r : $option{octets} ? $sum : int(($sum + 1023) / 1024);
    IO::AIO::Tool::out_name($path, "$figure\t");
}

1;
