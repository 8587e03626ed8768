#!/usr/bin/perl
# The owner's thread makes no other system calls in submit than libeio/README.md lists, whatever is asked for: what
# strace sees between two marks around each request, cached and not.

use strict;
use warnings;
use FindBin;
use File::Temp ();
use Test::More;

plan skip_all => 'no strace here' if system 'strace -V >/dev/null 2>&1';
my $dir = File::Temp::tempdir(CLEANUP => 1);
plan skip_all => 'strace may not trace here' if system "strace -f -o $dir/log true 2>/dev/null";

# What a call looks like. The first are the attempts; then what brings a request to a worker or the ring, and what the C
# library does for memory and threads.
my @allowed = (
    qr/^preadv2\(\d+, .*, RWF_NOWAIT\)/,
    qr/^openat2\(.*RESOLVE_CACHED/,
    qr/^statx\(-?\d+, "", [A-Z_|]*AT_STATX_DONT_SYNC/,
    qr/^name_to_handle_at\(\d+, ""/,
    qr/^(?:statmount|syscall_0x1c9)\(/,
    qr/^fcntl\(\d+, F_(?:GETFL|SETFL)\b/,
    qr{^readlink\("/proc/self/fd/\d+"},
    qr/^close\(\d+\)/,
    qr/^getrusage\(RUSAGE_THREAD,/,
    qr/^write\(\d+, "\\1\\0\\0\\0\\0\\0\\0\\0", 8\)/,
    qr/^futex\(/, qr/^(?:clone3?|mmap|munmap|mprotect|madvise|brk|rt_sig\w+|rseq|set_robust_list|sched_\w+)\(/,
    qr/^io_uring_enter\(/,
);

my $program = <<'PERL';
    use strict; use IO::AIO; use Fcntl;
    my ($dir, $engine) = @ARGV;
    chdir $dir or die;
    IO::AIO::engine($engine);
    open my $out, '>', 'file'; print $out 'x' x 5000; close $out;
    symlink 'file', 'link'; mkdir 'dir';
    open my $r, '<', 'file' or die; open my $w, '+<', 'file' or die;
    open my $d, '<', '.'; open my $zero, '<', '/dev/zero'; pipe my $pr, my $pw;
    open my $mark, '>', '/dev/null';
    my ($buf, @keep);
    my $cb = sub { push @keep, @_ };
    my %todo = (
        open => sub { aio_open 'file', O_RDONLY, 0, $cb }, open_rw => sub { aio_open 'file', O_RDWR, 0, $cb },
        create => sub { aio_open 'new', O_CREAT | O_WRONLY, 0666, $cb }, open_none => sub { aio_open 'none', O_RDONLY, 0, $cb },
        open_proc => sub { aio_open '/proc/self/status', O_RDONLY, 0, $cb }, open_device => sub { aio_open '/dev/zero', O_RDONLY, 0, $cb },
        stat => sub { aio_stat 'file', $cb }, stat_fh => sub { aio_stat $r, $cb }, stat_proc => sub { aio_stat '/proc/self', $cb },
        lstat => sub { aio_lstat 'link', $cb }, stat_none => sub { aio_stat 'none', $cb }, stat_root => sub { aio_stat '/', $cb },
        statvfs => sub { IO::AIO::aio_statvfs('.', $cb) }, realpath => sub { IO::AIO::aio_realpath('link', $cb) },
        readlink => sub { aio_readlink 'link', $cb }, load => sub { aio_load 'file', $buf, $cb },
        load_proc => sub { aio_load '/proc/self/status', $buf, $cb },
        read => sub { aio_read $r, 0, 100, $buf, 0, $cb }, read_end => sub { aio_read $r, 4000, 5000, $buf, 0, $cb },
        read_none => sub { aio_read $r, 0, 0, $buf, 0, $cb }, read_here => sub { aio_read $r, undef, 10, $buf, 0, $cb },
        read_dir => sub { aio_read $d, 0, 100, $buf, 0, $cb }, read_zero => sub { aio_read $zero, 0, 100, $buf, 0, $cb },
        read_pipe => sub { syswrite $pw, 'x'; aio_read $pr, 0, 1, $buf, 0, $cb },
        write => sub { aio_write $w, 0, 10, 'x' x 10, 0, $cb }, truncate => sub { aio_truncate 'file', 5000, $cb },
        chmod => sub { aio_chmod 'file', 0600, $cb }, utime => sub { aio_utime 'file', 1, 2, $cb },
        fsync => sub { aio_fsync $w, $cb }, readdir => sub { aio_readdir '.', $cb }, scandir => sub { aio_scandir '.', 0, $cb },
        copy => sub { aio_copy 'file', 'copy', $cb }, unlink => sub { aio_unlink 'copy', $cb }, mkdir => sub { aio_mkdir 'sub', 0777, $cb },
        rmdir => sub { aio_rmdir 'sub', $cb }, rename => sub { aio_rename 'new', 'newer', $cb }, wd => sub { IO::AIO::aio_wd('dir', $cb) },
        sendfile => sub { aio_sendfile $w, $r, 0, 10, $cb }, close => sub { open my $fh, '<', 'file'; push @keep, $fh; $fh },
    );
    for my $round (1 .. 3) {
        for my $name (sort keys %todo) {
            my $fh = $name eq 'close' ? $todo{close}->() : undef;
            syswrite $mark, "begin $name";
            $fh ? aio_close $fh, $cb : $todo{$name}->();
            syswrite $mark, "end";
            IO::AIO::flush;
        }
        @keep = ();
    }
    print "done\n";
PERL

for my $engine (qw(pool uring)) {
    my $work = File::Temp::tempdir(CLEANUP => 1);
    open my $file, '>', "$dir/program.pl" or die $!;
    print $file $program;
    close $file;
    my $said = `strace -f -s 32 -o $dir/log $^X -Mblib $dir/program.pl $work $engine 2>&1`;
    like($said, qr/^done$/m, "$engine: the program ends well");
    open my $log, '<', "$dir/log" or die $!;
    my ($owner, $name, $wake, %seen, %wrong);
    my $begun = '';    # of a call while another thread's is shown
    while (<$log>) {
        my ($thread, $call) = /^(\d+) +(.*)/ or next;
        $owner ||= $thread;
        next if $thread != $owner || $call =~ /^(?:\+\+\+|---)/;
        if ($call =~ /^(.*)<unfinished \.\.\.>/) { $begun = $1; next }
        ($call = "$begun$1") =~ s/ +\)/)/ if $call =~ /^<\.\.\. \w+ resumed>(.*)/;
        $wake = $1 if $call =~ /^eventfd2?\(.* = (\d+)/;
        if ($call =~ /^write\(\d+, "begin (\w+)"/) { $name = $1; $seen{$name}++ }
        elsif ($call =~ /^write\(\d+, "end"/)      { undef $name }
        elsif (defined $name) {
            next if defined $wake && $call =~ /^(?:newfstatat|fstat)\($wake,/;    # whether it is still that
            next if $name eq 'read_pipe' && $call =~ /^write\(\d+, "x", 1\)/;    # the test's own
            $wrong{"$name: $call"}++ unless grep { $call =~ $_ } @allowed;
        }
    }
    cmp_ok(scalar keys %seen, '>', 30, "$engine: the marks are seen");
    is(join("\n", sort keys %wrong), '', "$engine: submit makes the calls of the list and no others");
}

done_testing;
