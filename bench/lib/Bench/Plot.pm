package Bench::Plot;

# The plot: a panel a cell, with a bar for each workload, ours against the peer on a logarithmic axis; a line across its
# end spans the quartiles of the rounds. A circle is where blocking calls are.
use strict;
use warnings;

use constant { WIDTH => 760, LEFT => 320, RIGHT => 60, STEP => 20, HEAD => 56, FOOT => 34, TOP => 40, COLUMNS => 2 };

# draw($file, $title, $peer, [$cell, $results, $remark, $side, $label], ...); side and label are of what it is compared with, the
# peer if there are none.
sub draw {
    my ($file, $title, $peer, @cells) = @_;
    my @panels;
    for (@cells) {
        my ($cell, $results, $remark, $other, $label) = @$_;
        $other //= $peer;
        my @names = grep { my @r = $results->ratio($_, 'ours', $other); @r } $results->names;
        push @panels, [$cell, $results, $remark, \@names, $other, $label // "IO::AIO $peer"] if @names;
    }
    return 0 unless @panels;
    my $scale = axis(map { my $p = $_; map +($p->[1]->ratio($_, 'ours', $p->[4]))[0], @{ $p->[3] } } @panels);
    my @bottom = (TOP) x COLUMNS;
    my @svg;
    for my $panel (@panels) {
        my ($column) = sort { $bottom[$a] <=> $bottom[$b] || $a <=> $b } 0 .. $#bottom;
        push @svg, sprintf('<g transform="translate(%d,%d)">', $column * WIDTH, $bottom[$column]), panel($panel, $scale), '</g>';
        $bottom[$column] += HEAD + FOOT + STEP * @{ $panel->[3] } + 16;
    }
    my ($height) = sort { $b <=> $a } @bottom;
    my $width = WIDTH * (@panels < COLUMNS ? @panels : COLUMNS);
    open my $fh, '>', $file or die "$file: $!\n";
    print $fh join "\n", qq(<svg xmlns="http://www.w3.org/2000/svg" width="$width" height="$height" font-family="sans-serif" font-size="12">),
        '<rect width="100%" height="100%" fill="white"/>', text(10, 22, $title, 'font-size="14" font-weight="bold"'), @svg, "</svg>\n";
    close $fh or die "$file: $!\n";
    return 1;
}

# The powers of ten around all values, and a sub that places one.
sub axis {
    my @values = sort { $a <=> $b } @_;
    my ($low, $high) = map log10($_), @values[0, -1];
    my $from = POSIX_floor($low < -1 ? $low : -1);
    my $to = -POSIX_floor(-($high > 1 ? $high : 1));
    my $unit = (WIDTH - LEFT - RIGHT - 20) / ($to - $from);
    return { marks => [map 10**$_, $from .. $to], at => sub { LEFT + $unit * (log10($_[0]) - $from) } };
}

sub log10 { log($_[0]) / log 10 }
sub POSIX_floor { my $i = int $_[0]; $i > $_[0] ? $i - 1 : $i }

sub text {
    my ($x, $y, $text, $more) = @_;
    $text =~ s/&/&amp;/g;
    $text =~ s/</&lt;/g;
    return sprintf '<text x="%.1f" y="%.1f" %s>%s</text>', $x, $y, $more // '', $text;
}

sub panel {
    my ($panel, $scale) = @_;
    my ($cell, $results, $remark, $names, $other, $label) = @$panel;
    my ($at, $y) = ($scale->{at}, HEAD);
    my $end = HEAD + STEP * @$names;
    my @svg = (text(10, 18, "$cell: times as fast as $label", 'font-weight="bold"'), text(10, 36, $remark, 'fill="#555"'));
    push @svg, sprintf('<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="%s"/>', ($at->($_)) x 2, HEAD - 6, $end, $_ == 1 ? '#000' : '#ccc'),
        text($at->($_), $end + 16, $_, 'text-anchor="middle"') for @{ $scale->{marks} };
    for my $name (@$names) {
        my ($r, $low, $high) = $results->ratio($name, 'ours', $other);
        my ($blocking) = $results->ratio($name, 'blocking', $other);
        my ($from, $to) = sort { $a <=> $b } $at->(1), $at->($r);
        push @svg, text(LEFT - 8, $y + 12, $name, 'text-anchor="end"'),
            sprintf('<rect x="%.1f" y="%d" width="%.1f" height="14" fill="%s"/>', $from, $y, $to - $from, $r < 1 ? '#c44' : '#48a'),
            sprintf('<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="black"/>', $at->($low), $at->($high), ($y + 7) x 2),
            text(WIDTH - 12, $y + 12, sprintf('%.2f', $r), 'text-anchor="end"');
        push @svg, sprintf '<circle cx="%.1f" cy="%d" r="4" fill="none" stroke="black"/>', $at->($blocking), $y + 7
            if $blocking && $blocking >= $scale->{marks}[0] && $blocking <= $scale->{marks}[-1];
        $y += STEP;
    }
    return @svg;
}

1;
