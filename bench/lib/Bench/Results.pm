package Bench::Results;

# What was measured: figures of each side in each round, and what follows from them.
use strict;
use warnings;

sub new { bless { figures => {}, lower => {}, names => [] }, shift }

# A round's figures, { side => number or undef }. `lower`: smaller is better, as with seconds.
sub add {
    my ($self, $name, $lower, $figures) = @_;
    push @{ $self->{names} }, $name unless $self->{figures}{$name};
    $self->{lower}{$name} = $lower;
    push @{ $self->{figures}{$name} }, $figures;
}

sub names { @{ $_[0]{names} } }
sub lower { $_[0]{lower}{ $_[1] } }

sub median { quantile(0.5, @_) }

# Between two values it lies in proportion.
sub quantile {
    my ($part, @values) = @_;
    my @s = sort { $a <=> $b } @values or return undef;
    my $at = $part * $#s;
    my $i = int $at;
    return $s[$i] + ($at - $i) * (($s[$i + 1] // $s[$i]) - $s[$i]);
}

sub of {
    my ($self, $name, $side) = @_;
    return median(grep defined, map $_->{$side}, @{ $self->{figures}{$name} || [] });
}

# How many times as fast x is as y, of rounds that have both: median and quartiles, or nothing.
sub ratio {
    my ($self, $name, $x, $y) = @_;
    my $lower = $self->{lower}{$name};
    my @r = map $lower ? $_->{$y} / $_->{$x} : $_->{$x} / $_->{$y}, grep $_->{$x} && $_->{$y}, @{ $self->{figures}{$name} || [] };
    return map quantile($_, @r), @r ? (0.5, 0.25, 0.75) : ();
}

# Of all workloads that have the ratio: how many, geometric mean, the lowest and its name.
sub summary {
    my ($self, $x, $y) = @_;
    my ($n, $sum, $lowest, $name) = (0, 0);
    for my $w ($self->names) {
        my ($r) = $self->ratio($w, $x, $y) or next;
        $n++;
        $sum += log $r;
        ($lowest, $name) = ($r, $w) if !defined $lowest || $r < $lowest;
    }
    return $n ? ($n, exp($sum / $n), $lowest, $name) : ();
}

1;
