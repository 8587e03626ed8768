use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use MmapTest;
use Test::More;
use Config;
use IO::AIO;

plan skip_all => 'needs /proc/self/maps' unless procfs;

# What Perl code can do to a mapped scalar. What would move, free or resize the memory dies and changes nothing;
# everything else works as with any string; nothing crashes. Each thing is done in a child process.

my $path = map_path;

# ---- reading: the same as with an ordinary string ----------------------------------------------------

our $global;
my %read = (
    'length'          => sub { length $_[0] },
    'copy'            => sub { my $c = $_[0]; $c .= 'more'; $c = lc $c; $c },
    'list copy'       => sub { my ($x, $y) = ($_[0], $_[0]); chop $x; "$x$y" },
    'compare'         => sub { my $c = "$_[0]"; join ',', $c eq $_[0], $_[0] lt 'A', $_[0] cmp $c },
    'substr'          => sub { substr($_[0], 5, 10) . substr($_[0], -3) . substr($_[0], 100) },
    'index'           => sub { index($_[0], 'words') . rindex($_[0], "\n") . index $_[0], "\x80\x81" },
    'match'           => sub { $_[0] =~ /(some) (\w+)$/m; "$1-$2-@-" },
    'match all'       => sub { scalar(() = $_[0] =~ /\w/g) },
    'match at the end' => sub { $_[0] =~ /\n\z/ ? $_[0] =~ /(.)$/ ? 1 : 2 : 3 },
    'match \G'        => sub { my $n = 0; $n++ while $_[0] =~ /\G./gcs; pos($_[0]) . $n },
    'captures live'   => sub { $_[0] =~ /(.*)/s; my $c = $1; length $c },
    'match variables' => sub { $_[0] =~ /words/; length($`) . $& . length $' },
    'case'            => sub { uc($_[0]) . lc $_[0] },
    'split'           => sub { join '|', split / /, $_[0] },
    'unpack'          => sub { join ',', unpack 'A3 n N/a* H10', $_[0] },
    'checksum'        => sub { unpack '%32C*', $_[0] },
    'vec'             => sub { vec($_[0], 3, 8) . vec $_[0], 20, 1 },
    'number'          => sub { $_[0] + 1 },
    'integer'         => sub { int($_[0]) . ($_[0] == 12345) . ($_[0] < 1) },
    'hex, oct'        => sub { (hex substr $_[0], 0, 3) . oct substr $_[0], 0, 3 },
    'whole hex'       => sub { hex $_[0] },
    'whole oct'       => sub { oct $_[0] },
    'sprintf'         => sub { sprintf '%s %d %.2f %s', $_[0], $_[0], $_[0], substr $_[0], 1, 2 },
    'interpolation'   => sub { "<$_[0]>" },
    'repetition'      => sub { $_[0] x 2 },
    'reverse'         => sub { scalar reverse $_[0] },
    'join'            => sub { join $_[0], 'a', 'b' },
    'tr counts'       => sub { $_[0] =~ tr/a-z// },
    'tr /r'           => sub { $_[0] =~ tr/a-z/A-Z/r },
    's /r'            => sub { $_[0] =~ s/words/things and more/r },
    'hash key'        => sub { my %h = ($_[0] => 1); exists $h{ $_[0] } ? length +(keys %h)[0] : 0 },
    'hash value'      => sub { my %h = (k => $_[0]); $h{k} .= 'x'; length $h{k} },
    'sort a list'     => sub { join '', sort $_[0], 'a', "$_[0]" },
    'map, grep'       => sub { join '', map { length } grep { /words/ } $_[0], $_[0] },
    'file test'       => sub { (-e $_[0]) ? 1 : 0 },
    'open'            => sub { open(my $fh, '<', $_[0]) ? 1 : 0 },
    'two-argument open' => sub { open(my $fh, $_[0]) ? 1 : 0 },
    'eval'            => sub { eval $_[0]; $@ ? 'error' : 'none' },
    'in-memory file'  => sub { open my $fh, '<', \$_[0] or die; local $/; scalar <$fh> },
    'lines'           => sub { open my $fh, '<', \$_[0] or die; join '|', map length, <$fh> },
    'utf8::upgrade of a copy' => sub { my $c = $_[0]; utf8::upgrade($c); length $c },
    'utf8::decode of a copy'  => sub { my $c = $_[0]; utf8::decode($c) ? 1 : 0 },
    'with wide text'  => sub { length($_[0] . "\x{100}") },
    'ord, chr'        => sub { join ',', map ord, split //, substr $_[0], 0, 20 },
    'quotemeta'       => sub { length quotemeta $_[0] },
    'ucfirst'         => sub { ucfirst $_[0] },
    'local'           => sub { local $_ = $_[0]; s/\w/x/g; length },
    'foreach alias'   => sub { my $n = 0; $n += length for $_[0], $_[0]; $n },
    'foreach local copy' => sub { my $n = 0; for my $x (map $_, $_[0]) { $x .= 'x'; $n += length $x } $n },
    'returned'        => sub { my $f = sub { $_[0] }; length $f->($_[0]) },
    'two references'  => sub { my ($x, $y) = (\$_[0], \$_[0]); undef $x; length $$y },
    'closure'         => sub { my $r = \$_[0]; my $f = sub { length $$r }; $f->() },
    'glob alias'      => sub { local *global = \$_[0]; length $global },
    'print'           => sub { open my $fh, '>', "$path.out" or die; print $fh $_[0]; close $fh; -s "$path.out" },
    'syswrite'        => sub { open my $fh, '>', "$path.out" or die; syswrite $fh, $_[0], 100, 50; close $fh; read_file("$path.out") },
    'stringify in boolean' => sub { $_[0] ? 'true' : 'false' },
    'pack'            => sub { pack 'a10 A5 N/a*', $_[0], $_[0], $_[0] },
    'study'           => sub { study $_[0]; $_[0] =~ /some/ ? 1 : 0 },
    'freeze'          => sub { require Storable; length ${ Storable::thaw(Storable::freeze(\$_[0])) } },
    'md5'             => sub { require Digest::MD5; Digest::MD5::md5_hex($_[0]) },
    'range'           => sub { join ',', substr($_[0], 0, 1) .. 3 },
    'bit operations'  => sub { ($_[0] ^ $_[0]) =~ /^\0*$/ ? 1 : 0 },
    'anonymous array' => sub { my @a = ($_[0]) x 3; $a[1] .= 'x'; length "@a" },
    'sub argument'    => sub { my $f = sub { my ($copy) = @_; $copy =~ s/some/SOME/; length $copy }; $f->($_[0]) },
    'ternary lvalue copy' => sub { my $c = (1 ? $_[0] : ''); chop $c; length $c },
    'state of //='    => sub { my $c; $c //= $_[0]; $c .= 'x'; length $c },
    'string increment of copy' => sub { my $c = substr $_[0], 11, 5; $c++; $c },
    'chained strings' => sub { my $c = 'a' . $_[0] . 'b' . $_[0]; length $c },
    'lc in regex'     => sub { 'some' =~ /^\Q@{[substr $_[0], 6, 4]}\E$/ ? 1 : 0 },
    'as a pattern'    => sub { my $p = quotemeta $_[0]; $_[0] =~ /^$p\z/ ? 1 : 0 },
    'exists elsewhere' => sub { my %h; $h{a} = \$_[0]; length ${ $h{a} } },
    'wantarray list'  => sub { my @l = ($_[0], 1, $_[0]); scalar @l },
    'crypt'           => sub { defined eval { crypt $_[0], 'ab' } ? 1 : 0 },
);

for my $size (extended ? 2 * PAGE : (), PAGE + 100) {
    my %result = map { $_ => attempt($read{$_}, $size) } sort keys %read;
    for my $what (sort keys %read) {
        my $string = content($size);
        my @want = as_string($read{$what}, $string);
        my $died = $@;
        my $h = $result{$what};
        ok($h->{lived} == !$died && $h->{got} eq join('|', @want), "$size octets: $what") or diag($h->{died} || substr $h->{got}, 0, 100);
        ok($h->{mapped} && $h->{content} eq content($size) && $h->{maps} == 1 && $h->{left} == 0, "$what leaves it mapped and as it was")
            or diag("mapped $h->{mapped}, length $h->{length}, maps $h->{maps}, $h->{left} left");
    }
}
{
    my $size = 2 * PAGE;
    my @bad = grep { my $h = attempt($read{$_}, $size, R); my $s = content($size); my @w = as_string($read{$_}, $s); !$h->{content} || $h->{content} ne content($size) || $h->{got} ne join '|', @w } sort keys %read;
    is("@bad", '', 'all the same with memory for reading');
}

# ---- changes in place --------------------------------------------------------------------------------

my %in_place = (
    'substr lvalue'   => sub { substr($_[0], 6, 4) = 'SOME' },
    'substr of four'  => sub { substr $_[0], 6, 4, 'SOME' },
    'substr at the end' => sub { substr($_[0], -4) = 'ends' },
    'substr of all'   => sub { substr($_[0], 0) = 'x' x length $_[0] },
    'substr by reference' => sub { my $r = \substr $_[0], 6, 4; $$r = 'SOME' },
    'substr, then s'  => sub { substr($_[0], 6, 4) =~ s/some/SOME/ },
    'substr, then tr' => sub { substr($_[0], 6, 4) =~ tr/a-z/A-Z/ },
    'vec octet'       => sub { vec($_[0], 3, 8) = 65 },
    'vec bit'         => sub { vec($_[0], 20, 1) = 1 - vec $_[0], 20, 1 },
    'tr'              => sub { $_[0] =~ tr/a-z/A-Z/ },
    'by alias'        => sub { for ($_[0]) { substr($_, 0, 1) = 'X' } },
    'by reference'    => sub { my $r = \$_[0]; substr($$r, 0, 1) = 'Y' },
    'in a closure'    => sub { my $r = \$_[0]; my $f = sub { substr($$r, 0, 1) = 'Z' }; $f->() },
    'overlapping'     => sub { substr($_[0], 0, 100) = substr $_[0], 50, 100 },
    'after a number'  => sub { my $n = $_[0] + 1; substr($_[0], 0, 5) = '54321'; $_[0] + 0 },
    'after a match'   => sub { pos($_[0]) = 3; substr($_[0], 0, 5) = 'abcde'; $_[0] =~ /\G(..)/; $1 },
);
for my $size (extended ? 2 * PAGE : (), PAGE + 100) {
    for my $what (sort keys %in_place) {
        my $string = content($size);
        my @want = as_string($in_place{$what}, $string);
        my $h = attempt($in_place{$what}, $size);
        ok($h->{lived} && $h->{content} eq $string, "$size octets: $what") or diag($h->{died});
        ok($h->{mapped} && $h->{file} eq $string && $h->{left} == 0, "$what is in the file")
            or diag("mapped $h->{mapped}, length $h->{length}, $h->{left} left, file is ", $h->{file} eq $string ? 'right' : 'wrong');
        my $p = attempt($in_place{$what}, $size, RW, PRIVATE);
        ok($p->{lived} && $p->{content} eq $string && $p->{file} eq content($size), "$what in private memory is not");
        ours {
            my $r = attempt($in_place{$what}, $size, R);
            ok(!$r->{lived} && $r->{died} =~ /read-only/, "$what dies with memory for reading") or diag($r->{died} || 'it lived');
            ok($r->{content} eq content($size), 'and changes nothing');
        } 'crash in some';
    }
}

# ---- what would move, free or resize -------------------------------------------------------------------

my %resize = (
    'assignment of less'   => sub { $_[0] = 'short' },
    'assignment of more'   => sub { $_[0] = 'x' x (1 << 20) },
    'assignment of nothing' => sub { $_[0] = '' },
    'of a number'          => sub { $_[0] = 5 },
    'of a fraction'        => sub { $_[0] = 1.5 },
    'of a reference'       => sub { $_[0] = [1] },
    'of wide text'         => sub { $_[0] = "\x{100}" },
    'of a list element'    => sub { ($_[0], my $x) = ('a', 'b') },
    'of a hash key'        => sub { my %h = (abc => 1); ($_[0]) = keys %h },
    'of a large string'    => sub { my $s = 'y' x 100_000; $_[0] = $s },
    'of a temporary'       => sub { $_[0] = join '', 'a' .. 'z' },
    'of its own part'      => sub { $_[0] = substr $_[0], 10 },
    'of itself and more'   => sub { $_[0] = $_[0] . 'x' },
    '.='                   => sub { $_[0] .= 'more' },
    '.= of itself'         => sub { $_[0] .= $_[0] },
    '.= of wide text'      => sub { $_[0] .= "\x{100}" },
    'x='                   => sub { $_[0] x= 2 },
    'x= 0'                 => sub { $_[0] x= 0 },
    '+='                   => sub { $_[0] += 1 },
    '++'                   => sub { $_[0]++ },
    '--'                   => sub { --$_[0] },
    '||='                  => sub { $_[0] &&= 'x' },
    'chop'                 => sub { chop $_[0] },
    'chomp'                => sub { chomp $_[0] },
    'substr shorter'       => sub { substr($_[0], 6, 4) = 'x' },
    'substr longer'        => sub { substr($_[0], 6, 4) = 'xxxxxxxx' },
    'substr of four, shorter' => sub { substr $_[0], 6, 4, '' },
    'substr of four, longer'  => sub { substr $_[0], 0, 0, 'x' x 10_000 },
    'substr wide'          => sub { substr($_[0], 6, 1) = "\x{100}" },
    'vec beyond'           => sub { vec($_[0], 100_000, 8) = 65 },
    's longer'             => sub { $_[0] =~ s/some/something/ },
    's shorter'            => sub { $_[0] =~ s/some// },
    's everywhere'         => sub { $_[0] =~ s/\w/--/g },
    's with code'          => sub { $_[0] =~ s/(\w)/"$1$1"/ge },
    'tr longer'            => sub { $_[0] =~ tr/a-z/\x{100}-\x{119}/ },
    'tr shorter'           => sub { $_[0] =~ tr/a-z//d },
    'tr squeezed'          => sub { $_[0] =~ tr/a-zA-Z0-9 \n/x/s },
    'read a line'          => sub { open my $fh, '<', $path or die; $_[0] = <$fh> },
    'read a line, append'  => sub { open my $fh, '<', $path or die; $_[0] .= <$fh> },
    'sprintf'              => sub { $_[0] = sprintf '%d', 5 },
    'reverse of a part'    => sub { $_[0] = reverse substr $_[0], 1 },
    '&='                   => sub { $_[0] &= 'x' },
    '|='                   => sub { $_[0] |= "\0" x 100_000 },
    'lc of a part'         => sub { $_[0] = lc substr $_[0], 0, 10 },
    'shift'                => sub { my @a = ('x'); $_[0] = shift @a },
);
# The same length, so that it can be done in place, or die: both are fine.
my %same = (
    's of the same length'    => sub { $_[0] =~ s/some/SOME/ },
    's everywhere, same'      => sub { $_[0] =~ s/[a-z]/x/g },
    's with code, same'       => sub { $_[0] =~ s/([a-z])/uc $1/ge },
    'assignment, same length' => sub { $_[0] = 'x' x length $_[0] },
    'reverse itself'          => sub { $_[0] = reverse $_[0] },
    'lc itself'               => sub { $_[0] = uc $_[0] },
    'itself'                  => sub { $_[0] = $_[0] },
    'a copy of itself'        => sub { my $c = $_[0]; $_[0] = $c },
    'substr with insert'      => sub { substr($_[0], 0, 4) = sprintf '%04d', 7 },
    '^= itself'               => sub { $_[0] ^= "\0" x length $_[0] },
);
# Perls without copy on write find out after the deed that a string shall become shorter: it keeps its length, but not
# all of its octets. And their &= with a shorter string crashes when perl does not own the longer one.
my $cow = $] >= 5.020 && $Config{ccflags} !~ /-DPERL_NO_COW/;
delete $resize{'&='} unless $cow;
for my $size (extended ? 2 * PAGE : (), PAGE + 100) {
    for my $what (sort keys %resize) {
        ours {
            my $h = attempt($resize{$what}, $size);
            ok(!$h->{lived}, "$size octets: $what dies") or diag("it lived, length is $h->{length}, ", $h->{mapped} ? 'mapped' : 'not mapped');
            ok($h->{mapped} && $h->{length} == $size && $h->{left} == 0, "$what leaves it mapped");
            ok($h->{content} eq content($size) && $h->{file} eq content($size) || !$cow && $what =~ /chomp|chop|shorter|tr |x= 0/, "$what changes nothing")
                or diag("mapped $h->{mapped}, length $h->{length}, maps $h->{maps}, $h->{left} left, content ", $h->{content} eq content($size) ? 'right' : 'wrong');
        } 'crash';
    }
    for my $what (sort keys %same) {
        ours {
            my $string = content($size);
            as_string($same{$what}, $string);
            my $h = attempt($same{$what}, $size);
            $string = content($size) unless $h->{lived};
            ok($h->{mapped} && $h->{content} eq $string && $h->{file} eq $string && $h->{left} == 0, "$size octets: $what works in place or dies")
                or diag("lived $h->{lived}, mapped $h->{mapped}, length $h->{length}, $h->{left} left, content ", $h->{content} eq $string ? 'right' : 'wrong');
        } 'crash';
    }
}
for my $what (sort keys %resize) {
    ours {
        my $h = attempt($resize{$what}, PAGE, R);
        ok(!$h->{lived} && $h->{content} eq content(PAGE) && $h->{left} == 0, "$what dies with memory for reading");
    } 'crash';
}

# ---- what goes past all checks of perl: no crash, nothing else is damaged, nothing is left ------------------

my %rough = (
    'undef function'       => sub { undef $_[0] },
    'assignment of undef'  => sub { $_[0] = undef },
    'utf8::upgrade'        => sub { utf8::upgrade($_[0]) },
    'utf8::encode'         => sub { utf8::encode($_[0]) },
    'utf8::decode'         => sub { utf8::decode($_[0]) },
    'utf8::downgrade'      => sub { utf8::downgrade($_[0]) },
    'sysread'              => sub { open my $fh, '<', $path or die; sysread $fh, $_[0], 10 },
    'sysread of more'      => sub { open my $fh, '<', '/dev/zero' or die; sysread $fh, $_[0], 100_000 },
    'sysread with offset'  => sub { open my $fh, '<', '/dev/zero' or die; sysread $fh, $_[0], 100, length $_[0] },
    'read'                 => sub { open my $fh, '<', $path or die; read $fh, $_[0], 10 },
    'in-memory file, written' => sub { open my $fh, '+<', \$_[0] or die; print $fh 'abc'; close $fh },
    'in-memory file, new'  => sub { open my $fh, '>', \$_[0] or die; print $fh 'abc'; close $fh },
    'in-memory file, appended' => sub { open my $fh, '>>', \$_[0] or die; print $fh 'x' x 10_000; close $fh },
    'glob assignment'      => sub { $_[0] = *STDOUT },
    'bless its reference'  => sub { bless \$_[0], 'Some::Class' },
    'tie'                  => sub { require Tie::Scalar; tie $_[0], 'Tie::StdScalar', 'x'; my $v = $_[0]; untie $_[0]; $v },
    'Internals::SvREADONLY' => sub { Internals::SvREADONLY($_[0], 1); Internals::SvREADONLY($_[0], 0) },
    'formline'             => sub { local $^A; formline '@*', $_[0]; length $^A },
    'pos and reset'        => sub { pos($_[0]) = 10; $_[0] =~ /x/g; 1 },
    'delete from an array' => sub { my @a; $a[0] = \$_[0]; delete $a[0]; 1 },
    'ioctl'                => sub { open my $fh, '<', '/dev/null' or die; ioctl $fh, 0x541b, $_[0]; 1 },
    'fcntl'                => sub { open my $fh, '<', '/dev/null' or die; fcntl $fh, 1, $_[0]; 1 },
    'recv'                 => sub { require Socket; socketpair my $s, my $t, Socket::AF_UNIX(), Socket::SOCK_DGRAM(), 0 or die; send $s, 'datagram', 0; defined recv $t, $_[0], 100, 0 },
    'munmap'               => sub { IO::AIO::munmap $_[0] },
    'mmap again'           => sub { open my $fh, '+<', $path or die; IO::AIO::mmap $_[0], 100, RW, SHARED, $fh },
    'a failing mmap'       => sub { open my $fh, '+<', $path or die; IO::AIO::mmap $_[0], 0, RW, SHARED, $fh },
    'mremap'               => sub { IO::AIO::mremap $_[0], 100 },
    'mprotect'             => sub { IO::AIO::mprotect $_[0], 0, undef, R; my $c = $_[0]; IO::AIO::mprotect $_[0], 0, undef, RW; length $c },
    'select'               => sub { select my $r = $_[0], undef, undef, 0 },
    'each in turn'         => sub { for my $c (@resize{qw(.= chop chomp)}, $resize{'s longer'}, $resize{'assignment of more'}) { eval { $c->($_[0]) } } 1 },
);
for my $what (sort keys %rough) {
    for my $prot (RW, R) {
        ours {
            my $h = eval { attempt($rough{$what}, 2 * PAGE, $prot) };
            my $how = $prot == R ? ' with memory for reading' : '';
            ok($h, "$what$how: no crash") or diag($@);
            is($h && $h->{left}, 0, "$what$how: nothing is left") or diag($h && $h->{died});
        } 'crash';
    }
}
for my $prot (RW, $cow ? (R, IO::AIO::PROT_NONE) : ()) { # those perls take what cannot be written for read-only
    ours {
        my @got = in_child {
            my $fh = fresh(2 * PAGE);
            IO::AIO::mmap my $m, 2 * PAGE, $prot, SHARED, $fh or die "mmap: $!";
            undef $m;
            (defined $m ? 'defined' : 'undef', maps(), eval { $m = 'again'; $m .= '!'; 1 } && $m);
        };
        is("@got", 'undef 0 again!', "undef unmaps, protection $prot");
    } 'does not unmap';
}

done;
