package ToolTest;

# bin/aio, run by those who test it: with pipes or on a terminal, and the trees that it works on.

use strict;
use warnings;

use AIOTest;
use Exporter 'import';
use Fcntl ();
use FindBin;
use POSIX ();

our @EXPORT = qw(aio start_aio make_tree fingerprint open_terminal start_on_terminal read_terminal bare);

my $program = "$FindBin::Bin/../bin/aio";

# Starts it. Standard output is a handle that is given, or else a file, like standard error; both are read by ended.
sub start_aio {
    my ($out, @args) = @_;
    my $into = tmpdir;
    defined(my $pid = fork) or die "fork: $!";
    return $pid if $pid;
    alarm AIOTest::LIMIT / 2;
    $ENV{IO_AIO_ENGINE} = engine unless is_peer;
    ref $out ? open STDOUT, '>&', $out : open STDOUT, '>', "$into/out" or POSIX::_exit(112);
    open STDERR, '>', "$into/err" or POSIX::_exit(112);
    exec perl_command, $program, @args or POSIX::_exit(113);
}

# Runs it to its end: status, output, messages. A signal is 128 more than its number.
sub aio {
    my (@args) = @_;
    my $pid = start_aio('', @args);
    waitpid $pid, 0;
    my $status = $? & 127 ? 128 + ($? & 127) : $? >> 8;
    return ($status, map read_file(tmpdir . "/$_"), qw(out err));
}

# A tree with all kinds of entries, and names of all octets; those that the file system refuses are left out.
sub make_tree {
    my ($root) = @_;
    mkdir $root;
    for my $dir ('d', "d/line\nbreak", 'd/empty', "\xe4\xff", "d/e*[?]\\'\"") {
        mkdir "$root/$dir" or next;
        write_file("$root/$dir/$_", $_ x 100) for 'file', '.hidden', 'a b', "\e[2J";
        symlink '..',      "$root/$dir/up"       or die $!;
        symlink 'nowhere', "$root/$dir/dangling" or die $!;
    }
    unlink glob "$root/d/empty/{,.}*";
    mkdir "$root/octets" or die $!;
    for my $octet (1 .. 255) {
        next if $octet == ord '/';
        open my $fh, '>', "$root/octets/-" . chr $octet or next;
        print $fh $octet;
    }
    write_file("$root/empty", '');
    write_file("$root/big", join '', map { chr($_ & 255) x 1000 } 1 .. 3_000);
    link "$root/big", "$root/d/$_" or die $! for 'big again', 'big more';
    POSIX::mkfifo("$root/fifo", 0640) or die $!;
    chmod 0751, "$root/d" or die $!;
    chmod 0600, "$root/d/file" or die $!;
    utime 1_000_000_001, 1_000_000_002.25, $_ or die $! for "$root/d/file", "$root/d/empty", "$root/d", "$root/fifo";
    return $root;
}

# The first octets of a file.
sub beginning {
    my ($path) = @_;
    open my $fh, '<:raw', $path or die "$path: $!";
    sysread $fh, my $text, 60;
    return $text;
}

# What a copy has in common with its original: name => attributes.
sub fingerprint {
    my ($root, $below) = @_;
    $below //= '';
    my %is;
    my @stat = lstat "$root$below" or return;
    my $kind = $stat[2] & 0170000;
    my $what = $kind == 0120000 ? readlink "$root$below" : $kind == 0100000 ? beginning("$root$below") : '';
    $is{$below} = join ' ', $stat[2], @stat[4, 5, 9], $kind == 0040000 ? () : @stat[3, 7], $what;
    if ($kind == 0040000) {
        %is = (%is, %{ fingerprint($root, "$below/$_") }) for names_in("$root$below");
    }
    return \%is;
}

# ---- terminals -----------------------------------------------------------------------------------

# Both sides of a pseudo terminal, or nothing where there is none.
sub open_terminal {
    my ($columns) = @_;
    open my $master, '+<', '/dev/ptmx' or return;
    my $number = pack 'i', 0;
    ioctl $master, 0x40045431, my $unlock = pack 'i', 0 or return;    # TIOCSPTLCK
    ioctl $master, 0x80045430, $number or return;                     # TIOCGPTN
    sysopen my $terminal, '/dev/pts/' . unpack('i', $number), Fcntl::O_RDWR | Fcntl::O_NOCTTY or return;
    resize($terminal, $columns);
    return ($master, $terminal);
}

sub resize {
    my ($terminal, $columns) = @_;
    ioctl $terminal, 0x5414, my $size = pack 'S4', 24, $columns, 0, 0 or die "TIOCSWINSZ: $!";
}

# Starts it in a session of its own, whose terminal has standard error and input, and output unless another handle is given.
sub start_on_terminal {
    my ($terminal, $out, @args) = @_;
    defined(my $pid = fork) or die "fork: $!";
    return $pid if $pid;
    alarm AIOTest::LIMIT / 2;
    $ENV{IO_AIO_ENGINE} = engine unless is_peer;
    POSIX::setsid();
    ioctl $terminal, 0x540e, 0;    # TIOCSCTTY
    open STDIN,  '<&', $terminal;
    open STDERR, '>&', $terminal;
    open STDOUT, '>&', $out || $terminal;
    exec perl_command, $program, @args or POSIX::_exit(113);
}

# Reads until the pattern is there, or to the end without one.
sub read_terminal {
    my ($master, $pattern) = @_;
    my $text = '';
    until (defined $pattern && $text =~ $pattern) {
        sysread $master, $text, 4096, length $text or last;    # fails when the other side is gone
    }
    return $text;
}

# Text without what a terminal adds to it.
sub bare { $_[0] =~ s/\r\n/\n/gr }

1;
