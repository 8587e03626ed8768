package Differential;

# The child side of the differential test: makes every call on whatever IO::AIO it finds, each in a process of its
# own in a directory of its own, and prints what happened, one line of JSON a call.

use strict;
use warnings;
no warnings 'uninitialized';
use Errno ();
use Fcntl qw(:DEFAULT :mode);
use IO::AIO;
use JSON::PP ();
use POSIX ();
use Scalar::Util ();
use Socket qw(:DEFAULT SOCK_NONBLOCK);
use Storable ();

use FindBin;
require "$FindBin::Bin/lib/differential-calls.pl";

my %errno = map { my $c = Errno->can($_); $c ? ($c->() => $_) : () } reverse sort grep !/^(?:EWOULDBLOCK|EDEADLOCK|ENOTSUP)$/, keys %!;

sub child {
    my ($dir, $pattern) = @_;
    my $json = JSON::PP->new->canonical->ascii->allow_nonref;
    my $n = 0;
    $| = 1;
    for my $call (calls()) {
        next if $pattern && $call !~ /$pattern/;
        my $result = in_process($call, $dir . '/' . $n++);
        print $json->encode([$call, $result]), "\n";
    }
    0;
}

# Makes one call in a forked process, so that a crash is a result as well.
sub in_process {
    my ($call, $dir) = @_;
    tree($dir);
    pipe my $r, my $w or die "pipe: $!";
    defined(my $pid = fork) or die "fork: $!";
    unless ($pid) {
        alarm 20;
        IO::AIO::reinit();
        open STDIN, '+>', "$dir.stdin" or die "stdin: $!"; # requests change what it is
        open STDERR, '>', '/dev/null';
        print $w Storable::freeze(make($call, $dir));
        close $w;
        POSIX::_exit(0);
    }
    close $w;
    my $frozen = do { local $/; <$r> };
    waitpid $pid, 0;
    my $result = $? || !length $frozen ? { crashed => $? & 127 } : Storable::thaw($frozen);
    $result->{tree} = snapshot($dir);
    $result;
}

# ---- the tree ------------------------------------------------------------------------------------------

sub put { my ($path, $text) = @_; open my $fh, '>', $path or die "$path: $!"; print $fh $text; close $fh }

sub tree {
    my ($dir) = @_;
    mkdir $_ or die "$_: $!" for $dir, "$dir/dir", "$dir/full";
    put("$dir/file", '0123456789');
    put("$dir/empty", '');
    put("$dir/full/inner", 'inner');
    symlink 'file', "$dir/link" or die "symlink: $!";
    symlink 'none', "$dir/dangling" or die "symlink: $!";
    symlink 'loop', "$dir/loop" or die "symlink: $!";
    utime 1e9, 1e9, map "$dir/$_", qw(file empty full/inner dir full);
}

# Names, types, modes, sizes, contents.
sub snapshot {
    my ($dir) = @_;
    my @all;
    my @todo = '.';
    while (defined(my $at = shift @todo)) {
        my @st = lstat "$dir/$at" or next;
        my $what = S_ISLNK($st[2]) ? readlink "$dir/$at" : S_ISREG($st[2]) ? do { open my $fh, '<', "$dir/$at"; read $fh, my $text, 200; $text } : '';
        push @all, sprintf '%s %o %s %s', $at, $st[2], S_ISDIR($st[2]) ? '' : "$st[3] $st[7]", $what;
        next unless S_ISDIR($st[2]) && opendir my $dh, "$dir/$at";
        push @todo, map "$at/$_", sort grep !/^\.\.?$/, readdir $dh;
    }
    s/[^ -~]/sprintf '\\x%02x', ord $&/ge for @all;
    \@all;
}

# ---- making a call ---------------------------------------------------------------------------------------

our (@out, $dir, $rd, $wr, $rw, $app, $pr, $pw, $closed, $dirh, $wd, $long, $buf, $gone);

sub make {
    my ($call, $where) = @_;
    $dir = $where;
    chdir $dir or die "$dir: $!";
    $long = 'x' x 256;
    open $rd,  '<',  'file' or die "file: $!";
    open $wr,  '>>', 'empty' or die "empty: $!";
    open $rw,  '+<', 'file' or die "file: $!";
    pipe $pr, $pw or die "pipe: $!";
    open $closed, '<', 'file' or die "file: $!";
    close $closed;
    opendir $dirh, 'full' or die "full: $!";
    if ($call =~ /\$wd/) { aio_wd $dir, sub { $wd = $_[0] }; IO::AIO::flush() }
    @out = ();
    $buf = undef;
    local $SIG{PIPE} = 'IGNORE';
    eval "$call; 1" or died($@);
    $@ = '';
    eval { IO::AIO::flush(); 1 } or push @out, ['flush died'];
    { out => [map plain($_), @out] };
}

sub died { my ($error) = @_; push @out, $error =~ /syntax error|Undefined subroutine|Can't locate|Bareword|Global symbol/ ? "broken test: $error" : 'died' }

# A request: what its callback gets, and errno if that is a failure.
sub aio(&) {
    my ($submit) = @_;
    my @calls;
    eval { $submit->(sub { push @calls, failed(@_) ? [@_, $errno{ $! + 0 } || $! + 0] : [@_] }); 1 } or return died($@);
    my $ok = eval { IO::AIO::flush(); 1 };
    push @out, @calls ? @calls : 'no callback';
    push @out, 'flush died' unless $ok;
}

# The same, with what perl's stat cache has in the callback.
sub st(&) {
    my ($submit) = @_;
    aio { my ($cb) = @_; $submit->(sub { $cb->(@_, $_[0] ? () : (join ' ', (stat _)[2, 3, 7], (stat _)[9] == 1e9 ? 'old' : 'new', -d _ ? 'd' : '', -s _)) }) };
}

# A function: its results, and errno if that is a failure.
sub call(&) {
    my ($code) = @_;
    $! = 0;
    my @got;
    eval { @got = $code->(); 1 } or return died($@);
    my $errno = $! + 0;
    push @out, failed(@got) ? [@got, $errno{$errno} || $errno] : \@got;
}

sub failed { !@_ || !defined $_[0] || $_[0] eq '-1' || $_[0] eq '' }
sub val { push @out, [@_] }

# Something that can be compared: no addresses, descriptors, inodes.
sub plain {
    my ($x) = @_;
    return $x if !defined $x;
    return ['handle', handle($x)] if ref \$x eq 'GLOB' || ref $x && Scalar::Util::reftype($x) eq 'GLOB';
    return 'WD' if ref $x eq 'IO::AIO::WD';
    return [map plain($_), @$x] if ref $x eq 'ARRAY';
    return { map { $_ => plain($x->{$_}) } keys %$x } if ref $x eq 'HASH';
    $x = "$x";
    $x =~ s/\Q$dir\E/DIR/g;
    $x =~ s/[^ -~]/sprintf '\\x%02x', ord $&/ge;
    $x;
}

sub handle {
    my ($fh) = @_;
    my $flags = fcntl $fh, F_GETFL, 0;
    my $what = readlink '/proc/self/fd/' . fileno $fh;
    $what =~ s/\Q$dir\E/DIR/;
    $what =~ s/\d+/N/g;
    ($what, $flags & (O_ACCMODE | O_APPEND | O_NONBLOCK), (fcntl $fh, F_GETFD, 0) + 0, join ' ', PerlIO::get_layers($fh));
}

sub sorted { ref $_[0] eq 'ARRAY' ? [sort { (ref $a ? $a->[0] : $a) cmp (ref $b ? $b->[0] : $b) } @{ $_[0] }] : $_[0] }
sub lock_of { pack 's s x4 l! l! i x4', @_ }

1;
