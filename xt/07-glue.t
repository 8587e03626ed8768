# The policy of xs/aio.h about arguments: each XSUB has its head, and only args.c looks at what a scalar holds.

use strict;
use warnings;
use Test::More;

# Those that have another head. The first keeps its arguments by what its row says of them.
my %head = (
    'xs/requests.c xs_request' => 'keep_arguments',
    map { ($_ => 'PERL_UNUSED_VAR(items)') }    # whatever they are given, they do not look at it
        'xs/callback.c xs_poll_cb', 'xs/callback.c xs_end', 'xs/cxt.c xs_clone', 'AIO.xs xs_cover',
);

my $n = 0;
for my $file ('AIO.xs', glob 'xs/*.c') {
    open my $fh, '<', $file or die "$file: $!";
    my $source = do { local $/; <$fh> };
    while ($source =~ /^XS_INTERNAL\((\w+)\)\n(.*?)^\}/msg) {
        my ($name, $body) = ($1, $2);
        my $want = delete $head{"$file $name"} || 'dXSARGS_AIO';
        like($body, qr/\Q$want\E\(|\Q$want\E/, "$file: $name has $want");
        $n++;
    }
    next if $file eq 'xs/args.c';
    $source =~ s{/\*.*?\*/}{}gs;
    my @reads = grep !/^Sv(?:IV_set|PV_set|PV_force|PV_shrink)/, $source =~ /\b(Sv(?:IV|UV|NV|PV|GETMAGIC|TRUE)\w*)\((?:aTHX_ )?ST\b/g;
    is("@reads", '', "$file: arguments are read by the converters of args.c");
}
cmp_ok($n, '>', 60, 'XSUBs were found');
is(join(' ', sort keys %head), '', 'and all that have another head');

done_testing;
