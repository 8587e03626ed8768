#!/usr/bin/perl
use strict;
use warnings;
use FindBin;
use Test::More;
use File::Temp ();
use JSON::PP ();

# The same calls on another IO::AIO (4.x, installed) and on ours (in blib), each in a process of its own and with the
# same small tree of files; results, errno and what became of the files are compared. Where we differ on purpose,
# the table at the end says why; an entry of it that no longer makes a difference is a failure, too.
#
#   perl -Mblib xt/10-differential.t [PATTERN]      # only the calls that match

if (@ARGV && $ARGV[0] eq '--child') {
    require "$FindBin::Bin/lib/differential.pl";
    exit Differential::child(@ARGV[1, 2]);
}
my $pattern = @ARGV ? shift : '';
my $blib    = qr{\bblib\b};

# A list of all results, by call.
sub run_in {
    my ($which, @inc) = @_;
    my $dir = File::Temp::tempdir('aiodiff-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    local $ENV{PERL5LIB};
    local $ENV{PERL5OPT};
    local $ENV{IO_AIO_ENGINE} = $which;
    open my $out, '-|', $^X, (map "-I$_", @inc), $0, '--child', $dir, $pattern or die "$^X: $!";
    my %result;
    while (<$out>) {
        my ($call, $result) = @{ JSON::PP::decode_json($_) };
        $result{$call} = $result;
    }
    close $out or diag("$which: status $?");
    \%result;
}

sub version_in { my (@inc) = @_; local $ENV{PERL5LIB}; my $inc = join ' ', map "-I$_", @inc; my $v = `$^X $inc -MIO::AIO -e 'print \$IO::AIO::VERSION, " ", defined &IO::AIO::engine ? "ours" : "other"' 2>/dev/null`; $v }

my @ours  = map { File::Spec->rel2abs($_) } grep { !ref && $_ =~ $blib } @INC;
my ($peer, $mine) = (version_in(), version_in(@ours));
plan skip_all => 'no other IO::AIO 4 is installed' unless $peer =~ /^4\S* other/;
plan skip_all => 'run with -Mblib after make' unless $mine =~ / ours$/;
diag("the peer is $peer");

our $json = JSON::PP->new->canonical->allow_nonref;
my $theirs = run_in('peer');
cmp_ok(scalar keys %$theirs, '>', $pattern ? 0 : 900, 'calls');

my @deviation = Differential::Deviations->list;
my %used;
for my $engine (qw(sync pool uring)) {
    my $got = run_in($engine, @ours);
    my @different = grep { $json->encode($got->{$_}) ne $json->encode($theirs->{$_}) } sort keys %$theirs;
    my @unexplained;
    for my $call (@different) {
        my $out = $json->encode($got->{$call}{out});
        my @why = grep { $call =~ $_->{call} && $out =~ $_->{ours} } @deviation;
        $used{ $_->{why} }++ for @why;
        push @unexplained, $call unless @why;
    }
    is(scalar keys %$got, scalar keys %$theirs, "$engine: all calls were made");
    ok(!@unexplained, "$engine: " . @different . ' of ' . keys(%$theirs) . ' calls differ, each for a reason')
        or diag(map difference($_, $theirs->{$_}, $got->{$_}), @unexplained);
}

# What was different, of one call.
sub difference {
    my ($call, $theirs, $ours) = @_;
    my $text = "$call\n";
    for my $part (qw(crashed out tree)) {
        my ($t, $o) = map { my $j = $json->encode($_->{$part}); length $j > 300 ? substr($j, 0, 300) . '...' : $j } $theirs, $ours;
        $text .= "    $part\n        peer $t\n        ours $o\n" if $t ne $o;
    }
    $text;
}

unless ($pattern) {
    is(join("\n", map $_->{why}, grep !$used{ $_->{why} } && !$_->{maybe}, @deviation), '', 'each reason is needed');
}
done_testing;

# ---- where we differ, and why: the calls, what ours does there, the reason ---------------------------------

package Differential::Deviations;

sub list {
    my $path = qr/(?:\$wd|\[\$wd, "(?:\.|full|\$dir\/dir)"\]|'(?:dir\/?|full|\.|full\/\.\.)'|IO::AIO::CWD)/;    # of a directory
    my $dir  = qr/(?:'dir'|'full'|\$wd)/;
    my $file = qr/(?:'file'|'link'|\[\$wd, "file"\])/;
    my $died = qr/^\["died"/;
    map { { call => $_->[0], ours => $_->[1], why => $_->[2], maybe => $_->[3] } } (
        # arguments
        [qr/"file\\0x"/,                               qr/^\[\[(?:"-1",|null,)?"ENOENT"\]/, 'a name with a NUL in it names nothing; it is not cut there'],
        [qr/(?<!\[)"x"(?:,| \})/,                      $died,                          'a string that is no number is no handle; it does not mean descriptor 0'],
        [qr/\$dirh/,                                   qr/^\[\[/,                      'a directory handle is a handle'],
        [qr/aio_close 999/,                            qr/EBADF/,                      'a number that is not open gives EBADF'],
        [qr/aio_(?:link|rename2?|move) .*\[undef, "new"\]/, qr/^\[\["-1","ENOENT"\]\]/, 'a wd that is undef is ENOENT on either side; no crash'],
        [qr/aio_symlink .*\[undef, "new"\]/,           qr/^\[\["-1","ENOENT"\]\]/,     'a wd that is undef is ENOENT for every request'],
        [qr/statx \[undef/,                            qr/^\[\["-1","ENOENT"\]\]/,     'a wd that is undef is ENOENT for functions, too; no crash'],
        [qr/aio_rename2 'file', (?:''|undef), (?:3|99)/, qr/^\[\["-1","ENOENT"\]\]/,   'an empty name is ENOENT, whatever the flags'],
        [qr/aio_read \$rd, -1/,                        qr/^\[\["-1","EINVAL"\]/,       'a negative offset is an error, not undef'],
        [qr/aio_(?:read|slurp) .* -1, /,               $died,                          'a negative length is refused at the call'],
        [qr/sendfile \$wr, \$rd, 0, -1/,               qr/^\[\["-1","EINVAL"\]/,       'a negative length is an error, not all there is'],
        [qr/aio_fiemap \$rw, -1/,                      qr/^\[\["EINVAL"\]/,            'a negative offset is EINVAL'],
        [qr/aio_(?:copy|rmtree) .*(?:\[\]|\{\}|\["x", "y"\]|\\x\{100\})/, qr/^\["died"\]/, 'composites check their arguments at the call and queue nothing'],
        [qr/aio_write .* 12345, /,                     qr/^\[\["5"\]\]/,                'a number is written as its digits, not as freed memory', 'maybe'],
        [qr/aio_read .* aio_read /,                    $died,                          'a buffer in flight is read-only, for a second request as well'],
        # composites
        [qr/aio_copy $dir, /,                          qr/^\[\["-1","EISDIR"\]\]/,     'a directory cannot be copied: the target is not touched'],
        [qr/aio_copy $file, $file/,                    qr/^\[\["-1","EINVAL"\]\]/,     'a file copied onto itself is not lost'],
        [qr/aio_(?:copy|load) '\/proc/,                qr/^\[\["(?:0|\d\d+)"\]/,       'files of /proc are copied and loaded whole'],
        [qr/aio_load $path/,                           qr/^\[\["-1","EISDIR"\],\[null\]\]/, 'a load that fails leaves the data alone'],
        [qr/aio_rmtree (?:\$wd|\[\$wd|IO::AIO::CWD)/,   qr/^\[\["(?:0|-1","EINVAL)"/,   'aio_rmtree works with working directories'],
        [qr/aio_realpath 'file\/'/,                    qr/^\[\["ENOTDIR"\]\]/,           'a file followed by "/" is no directory'],
        # slurp
        [qr/aio_slurp $path, 0, 0/,                    qr/^\[\["-1","EISDIR"\]/,       'a directory is EISDIR with any length'],
        [qr/aio_slurp '\/proc\/version', 0, 0/,        qr/^\[\["(\d\d+)"\],\["\1"\]\]/, 'length 0 reads files of /proc whole'],
        [qr/aio_slurp 'file', 11, 0/,                  qr/^\[\["0"\],\[""\]\]/,        'behind the end there are 0 octets'],
        # attributes, directories
        [qr/aio_utime 'file', (?:7, undef|undef, 7)/,  qr/^\[\["0"\],\["(?:7","0|0","7)"\]\]/, 'undef for one time is 0, as documented'],
        [qr/aio_readdirx '\.', (?:0|128)/,             qr/^\[\["0"\]\]/,               'the flags that come back are those given, and FOUND_UNKNOWN only when found'],
        # memory
        [qr/mremap \$buf, 50, 0 \}$/,                  qr/^\[\["","EINVAL"\]\]/,       'mremap of what is not mapped fails; no crash'],
        [qr/mmap \$buf, 10, 1, 1, \$rd; call \{ undef/, qr/\[null\]\]$/,               'undef unmaps whatever the protection'],
        [qr/mmap \$buf, 10, 1, 1, \$rw; aio \{ aio_mtouch/, qr/^\[\["-1",/,            'touching what may not be written fails; no crash'],
        [qr/mmap \$buf, 10, 3, 2, \$rd/,               qr/^\[\["1"\]\]/,               'private memory of a handle for reading may be written'],
        [qr/mmap .* aio_read \$rd, 0, 5, \$buf, 0, /,  qr/^\[\["5"\],\["0123456789"\]\]/, 'a mapped scalar keeps its length'],
        # descriptors
        [qr/call \{ IO::AIO::(?:eventfd|pipe2|memfd_create|timerfd_create)|accept4 \$s/, qr/"handle","[^"]*",\d+,0,/, 'close-on-exec only when the flags say so'],
        [qr/pidfd_send_signal \$gone, 10/,             qr/"USR1".*"0"/,                'siginfo works: si_signo is filled in'],
        [qr/aio_ioctl \$pr, 0x541b, \$buf/,            qr/^\[\["0"\],\["3"\]\]/,       'undef is a buffer, as for ioctl; no crash'],
    );
}
