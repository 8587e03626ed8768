package MojoGap;

# Loaded into an application of Mojolicious, prints how long its event loop was at something else at most.

use strict;
use warnings;

use Mojo::IOLoop;
use Mojo::Util qw(steady_time);

$| = 1;    # where it listens is told at once
my ($last, $gap) = (undef, 0);

Mojo::IOLoop->recurring(0.002 => sub {
    my $now = steady_time;
    $gap  = $now - $last if defined $last && $now - $last > $gap;
    $last = $now;
});

END { printf "longest gap %.1f ms\n", 1000 * $gap }

1;
