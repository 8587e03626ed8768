# bin/treescan, on a tree made for it.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AIOTest;
use POSIX ();
use Socket;

my $treescan = "$FindBin::Bin/../bin/treescan";

# Runs it with standard output and standard error on one handle; returns all that was written, and the status.
sub treescan {
    my @args = @_;
    defined(my $pid = open my $out, '-|') or die "fork: $!";
    unless ($pid) {
        $ENV{IO_AIO_ENGINE} = engine unless is_peer;
        open STDERR, '>&', \*STDOUT;
        exec perl_command, $treescan, @args or POSIX::_exit(113);
    }
    my $text = do { local $/; <$out> };
    close $out;
    return ($text, $? >> 8);
}

# The figures of a report, by their labels: one each, or a list with --compare.
sub figures {
    my ($text) = @_;
    my %figure;
    for (split /\n/, $text) {
        my ($label, $numbers) = /^([a-z ]+?)\s+([\d,. ]+)$/ or next;
        $figure{$label} = join ' ', map { tr/,//dr } split ' ', $numbers;
    }
    \%figure;
}

# A tree with all kinds of entries. Returns the numbers of directories and of others.
sub make_tree {
    my ($root) = @_;
    my ($dirs, $others) = (1, 0);
    for my $dir (map "$root/d$_", 1 .. 12) {
        for my $sub ($dir, "$dir/.hidden", "$dir/with space", "$dir/line\nbreak", "$dir/d.ext", "$dir/\xe4\xff") {
            mkdir $sub or die "$sub: $!";
            $dirs++;
            write_file("$sub/$_") for 'file', '.file', 'a.b', "new\nline", "\xfc";
            symlink '..', "$sub/up" or die $!;        # a cycle, if it were followed
            symlink 'nowhere', "$sub/dangling" or die $!;
            POSIX::mkfifo("$sub/fifo", 0600) or die $!;
            $others += 8;
        }
    }
    mkdir "$root/empty" or die $!;
    my $deep = $root;
    for (1 .. 60) {
        mkdir $deep .= '/deep' or die $!;
        $dirs++;
    }
    link "$root/d1/file", "$root/hard" or die $!;
    socket my $socket, PF_UNIX, SOCK_STREAM, 0 or die $!;
    bind $socket, sockaddr_un("$root/socket") or die $!;
    return ($dirs + 1, $others + 2);
}

usual_engine {
    my $root = fresh_dir();
    my ($dirs, $others) = make_tree($root);
    for my $options ([], ['--parallel', 1], ['-p', 50], ['-q']) {
        my ($text, $status) = treescan(@$options, $root);
        my $figures = figures($text);
        is($figures->{directories}, $dirs, "directories (@$options)") or diag $text;
        is($figures->{'other entries'}, $others, "other entries (@$options)");
        like($figures->{'entries per second'}, qr/^[1-9]\d*$/, 'a rate');
        ok(!exists $figures->{unreadable}, 'nothing unreadable');
        is($status, 0, 'exit status');
    }

    my ($text, $status) = treescan('--compare', $root);
    my $figures = figures($text);
    is($figures->{directories}, "$dirs $dirs", 'directories, compared') or diag $text;
    is($figures->{'other entries'}, "$others $others", 'other entries, compared');
    like($text, qr/^aio is \d+\.\d\d times as fast/m, 'the ratio');
    unlike($text, qr/differ/, 'no difference');

    is(figures((treescan("$root/empty"))[0])->{directories}, 1, 'an empty directory');
    is(figures((treescan("$root/d1/up"))[0])->{directories}, $dirs, 'a symbolic link to start from');
    is(figures((treescan("$root/d1///"))[0])->{directories}, 6, 'slashes at the end');

    for ("$root/none", "$root/hard") {
        my ($text, $status) = treescan($_);
        is($status, 1, 'what cannot be read');
        like($text, qr/^treescan: \Q$_\E: [^\n]+\n\z/, 'a message');
    }
};

# Directories that may not be read, or not be searched: both ways of counting agree.
usual_engine {
    my $root = fresh_dir();
    for (qw(closed closed/inner listed listed/inner open)) {
        mkdir "$root/$_" or die $!;
        write_file("$root/$_/file");
    }
    chmod 0, "$root/closed" or die $!;
    chmod 0444, "$root/listed" or die $!;
    my ($text) = as_nobody { -r $treescan && -r $INC{'IO/AIO.pm'} ? (treescan('-c', $root))[0] : undef };
  SKIP: {
        skip 'this place is closed to others', 4 unless defined $text;
        my $figures = figures($text);
        is($figures->{directories}, '4 4', 'directories') or diag $text;
        is($figures->{'other entries'}, '3 3', 'other entries');
        is($figures->{unreadable}, '1 1', 'unreadable ones');
        unlike($text, qr/differ/, 'no difference');
    }
    chmod 0755, "$root/$_" for qw(closed listed);
};

usual_engine {
    my ($text, $status) = treescan('--help');
    like($text, qr/--compare.*--parallel.*--quiet/s, '--help');
    is($status, 0, 'exit status');
    ($text, $status) = treescan('--version');
    like($text, qr/^treescan [\d.]+ \(IO::AIO \Q$IO::AIO::VERSION\E/, '--version');
    like($text, qr/engine ${\engine}\b/, 'with the engine') unless is_peer;
    is($status, 0, 'exit status');
    for (['--nonsense'], ['--parallel', 0], ['--parallel', 'x'], ['/usr', '/etc']) {
        ($text, $status) = treescan(@$_);
        is($status, 2, "@$_");
        like($text, qr/^Usage:/m, 'how it is used');
    }
};

# The progress line needs a terminal.
sub on_terminal {
    my @args = @_;
    open my $master, '+<', '/dev/ptmx' or return;
    my $number = pack 'i', 0;
    ioctl $master, 0x40045431, my $unlock = pack 'i', 0 or return;    # TIOCSPTLCK
    ioctl $master, 0x80045430, $number or return;                     # TIOCGPTN
    open my $terminal, '+<', '/dev/pts/' . unpack 'i', $number or return;
    defined(my $pid = fork) or die "fork: $!";
    unless ($pid) {
        $ENV{IO_AIO_ENGINE} = engine unless is_peer;
        open STDERR, '>&', $terminal;
        open STDOUT, '>', '/dev/null';
        exec perl_command, $treescan, @args or POSIX::_exit(113);
    }
    close $terminal;
    my $text = '';
    1 while sysread $master, $text, 4096, length $text;    # fails when the other side is gone
    waitpid $pid, 0;
    return ($text, $?);
}

usual_engine {
    my $big = fresh_dir();
    for my $i (1 .. 60) {
        mkdir "$big/$i" or die $!;
        for my $j (1 .. 40) { mkdir "$big/$i/$j" or die $! }
    }
  SKIP: {
        $^O eq 'linux' && -e '/dev/ptmx' or skip 'no pseudo terminals here', 4;
        my ($text, $status) = on_terminal($big, '--compare');
        defined $status or skip "no pseudo terminal to be had: $!", 4;
        is($status, 0, 'on a terminal');
        unlike($text, qr/\n/, 'progress stays on its line');
        ok($text eq '' || $text =~ /^\r[\d,]+ directories, [\d,]+ other entries\e\[K.*\r\e\[K\z/s, 'and is removed at the end')
            or diag $text;
        is((on_terminal($big, '--quiet'))[0], '', 'nothing with --quiet');
    }
};

done;
