#!/usr/bin/perl
# libeio/eio_ops.def says in words which members of a request an operation reads: they are those of its letters.

use strict;
use warnings;
use FindBin;
use Test::More;

open my $fh, '<', "$FindBin::Bin/../libeio/eio_ops.def" or die "eio_ops.def: $!";
my $def = do { local $/; <$fh> };
my $member = qr/\b(?:fd|wd2?|path2?|offs2?|size|arg[12]|nv[12]|buf|attr)\b/;

# The table of letters at its head.
my %members;
for (split /\n/, $def) {
    my ($letter, $text) = /^ \*   (\w)  .{34} *(.*)/ or next;
    $members{$letter} = [$text =~ /$member/g];
}
is(join('', sort keys %members), 'ABDEFGLMNOPQRSTVWXYacdefgijmnoptuxz', 'the letters');
$members{Y} = []; # nothing: the data go to new memory
$members{x} = [];

my $rows = 0;
while ($def =~ m{((?:/\*(?:(?!\*/).)*\*/\n)?)^EIO_OP\((\w+), *"\w+", *"([\w;]*)"}msg) {
    my ($words, $id, $letters) = ($1, $2, $3);
    $rows++;
    $words =~ s/ Also .*//s; # what no letter stands for
    my %said = map { $_ => 1 } $words =~ s/`\w+`//gr =~ /$member/g;
    my %read = map { $_ => 1 } map(@{ $members{$_} }, $letters =~ /\w/g), $letters =~ /xY/ ? 'size' : ();
    is(join(' ', sort keys %said), join(' ', sort keys %read), "$id: words and letters");
    like($words, qr/\w/, "$id: has words");
}
my @all = $def =~ /^EIO_OP\(/mg;
is($rows, @all, 'all rows');
done_testing;
