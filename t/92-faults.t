# System calls that fail: strace makes them. Each request gets its callback once, with the errno that the system gave.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;

my $dir = tmpdir;
my $file = "$dir/file";
open my $fh, '>', $file or die "$file: $!";
print $fh 'x' x 10_000;
close $fh;

plan skip_all => 'needs strace that can trace here'
    if !procfs || system("strace -f -o /dev/null -e inject=fsync:error=EIO true >/dev/null 2>&1");

# A build that has no fdatasync takes fsync instead.
my $fdatasync = output_of(perl_command, '-MIO::AIO', '-e', 'print IO::AIO::_features()') =~ /\bFDATASYNC\b/ ? 'fdatasync' : 'fsync';

# Runs a program under strace with the faults given; returns what it printed.
sub with_faults {
    my ($faults, $program, %env) = @_;
    local %ENV = (%ENV, %env);
    local $ENV{F} = $file;
    local $ENV{D} = $dir;
    open my $out, '-|', 'strace', '-f', '-qq', '-o', '/dev/null', @$faults, perl_command, '-MIO::AIO', '-MFcntl', '-e', <<"PERL" or die "strace: $!";
        use strict; use warnings; \$| = 1;
        alarm ${\(AIOTest::LIMIT / 2)};
        my (\$F, \$D) = \@ENV{qw(F D)};
        sub errno { (sort grep \$!{\$_}, keys %!)[0] // 'none' }
        sub status { \$_[0] == -1 ? print '-1 ', errno(), "\\n" : print "\$_[0]\\n" }
        $program
        IO::AIO::flush;
        print IO::AIO::nreqs, "\\n";
PERL
    local $/;
    my $got = <$out>;
    close $out;
    $got;
}

sub inject { ('-P', $file, '-e', 'trace=' . (split /:/, $_[0])[0], '-e', "inject=$_[0]") }

# The first thread is ours, unless a sanitizer starts one for itself before.
my $first = sanitizer eq 'ThreadSanitizer' ? 2 : 1;

# what, faults, program, output, engines (the pool, if it does not matter)
my @case = (
    ['a read fails', [inject('pread64,preadv2,read:error=EIO')],
        'open my $fh, "<", $F or die; aio_read $fh, 0, 100, my $buf = "", 0, \&status;', "-1 EIO\n0\n", { pool => 1, sync => 1 }],
    ['a read is interrupted', [inject('pread64:error=EINTR:when=1+3')],
        'open my $fh, "<", $F or die; for (1 .. 5) { aio_read $fh, 0, 40_000, my $buf = "", 0, \&status }', "10000\n" x 5 . "0\n", { pool => 1, sync => 1 }],
    ['a write fails', [inject('pwrite64,write:error=ENOSPC')],
        'open my $fh, "+<", $F or die; aio_write $fh, 0, 10, "0123456789", 0, \&status;', "-1 ENOSPC\n0\n"],
    ['a write is interrupted', [inject('pwrite64:error=EINTR:when=1+2')],
        'open my $fh, "+<", $F or die; for (1 .. 5) { aio_write $fh, 0, 10, "x" x 10, 0, \&status }', "10\n" x 5 . "0\n"],
    (map ["open fails with $_", [inject("openat,openat2:error=$_")],
        'aio_open $F, O_RDONLY, 0, sub { print defined $_[0] ? "open" : errno(), "\n" };', "$_\n0\n"], qw(EMFILE ENFILE ENOMEM EIO EACCES)),
    ['open is interrupted', [inject('openat:error=EINTR:when=1+2')],
        'aio_open $F, O_RDONLY, 0, sub { print defined $_[0] ? "open" : errno(), "\n" };', "open\n0\n"],
    ['load cannot open', [inject('openat,openat2:error=EMFILE')], 'aio_load $F, my $d = "", \&status;', "-1 EMFILE\n0\n"],
    ['load cannot read', [inject('pread64,preadv2,read:error=EIO')], 'aio_load $F, my $d = "", \&status;', "-1 EIO\n0\n"],
    (map ["fsync fails with $_", [inject("fsync:error=$_")], 'open my $fh, "+<", $F or die; aio_fsync $fh, \&status;', "-1 $_\n0\n", { pool => 1, sync => 1 }], qw(EIO ENOSPC EDQUOT)),
    ['pathsync', [inject('fsync:error=EIO')], 'aio_pathsync $F, \&status;', "-1 EIO\n0\n"],
    ['fdatasync', [inject("$fdatasync:error=EIO")], 'open my $fh, "+<", $F or die; aio_fdatasync $fh, \&status;', "-1 EIO\n0\n", { pool => 1, sync => 1 }],
    ['stat', [inject('newfstatat,fstat,stat,statx,openat2:error=EIO')], 'aio_stat $F, \&status;', "-1 EIO\n0\n"],
    ['unlink', [inject('unlink,unlinkat:error=EROFS')], 'aio_unlink $F, \&status;', "-1 EROFS\n0\n"],
    ['rename', [inject('rename,renameat,renameat2:error=EROFS')], 'aio_rename $F, "$D/x", \&status;', "-1 EROFS\n0\n"],
    ['truncate', [inject('truncate,ftruncate:error=EIO')], 'aio_truncate $F, 5, \&status;', "-1 EIO\n0\n"],
    ['chmod', [inject('chmod,fchmodat,fchmod:error=EPERM')], 'aio_chmod $F, 0600, \&status;', "-1 EPERM\n0\n"],
    ['readlink', ['-P', "$dir/link", '-e', 'trace=readlink,readlinkat', '-e', 'inject=readlink,readlinkat:error=EIO'],
        'symlink "text", "$D/link"; aio_readlink "$D/link", sub { print scalar(@_) ? "text" : errno(), "\n" };', "EIO\n0\n"],
    ['readdir', ['-P', $dir, '-e', 'trace=getdents64', '-e', 'inject=getdents64:error=EIO'],
        'aio_readdir $D, sub { print $_[0] ? "read" : errno(), "\n" };', "EIO\n0\n"],
    ['scandir', ['-P', $dir, '-e', 'trace=getdents64', '-e', 'inject=getdents64:error=EIO'],
        'aio_scandir $D, 0, sub { print @_ ? "read" : errno(), "\n" };', "EIO\n0\n"],
    ['a copy whose target fills up', ['-P', "$dir/copy", '-e', 'trace=ioctl,copy_file_range,sendfile,pwrite64,write', '-e', 'inject=ioctl:error=EOPNOTSUPP', '-e', 'inject=copy_file_range,sendfile,pwrite64,write:error=ENOSPC'],
        'aio_copy $F, "$D/copy", sub { status(@_); print -e "$D/copy" ? "there" : "gone", "\n" };', "-1 ENOSPC\ngone\n0\n"],
    ['a copy whose target cannot be closed', ['-P', "$dir/copy", '-e', 'trace=close', '-e', 'inject=close:error=EIO'],
        'aio_copy $F, "$D/copy", sub { status(@_); print -e "$D/copy" ? "there" : "gone", "\n" };', "-1 EIO\ngone\n0\n"],
    ['no thread can be had', ['-e', 'trace=clone,clone3', '-e', 'inject=clone,clone3:error=EAGAIN'],
        'IO::AIO::engine "pool"; aio_readdir $D, sub { print $_[0] ? "read" : errno(), "\n" } for 1 .. 3; IO::AIO::flush; print IO::AIO::nthreads, "\n";', "read\nread\nread\n0\n0\n", { pool => 1 }],
    ['one thread only', ['-e', 'trace=clone,clone3', '-e', 'inject=clone,clone3:error=EAGAIN:when=' . ($first + 1) . '+'],
        'my $n = 0; aio_readdir $D, sub { $n++ } for 1 .. 100; IO::AIO::flush; print "$n\n";', "100\n0\n", { pool => 1 }],
    ['a thread cannot be had for a moment', ['-e', 'trace=clone,clone3', '-e', 'inject=clone,clone3:error=EAGAIN:when=' . ($first + 1)],
        'system "mkfifo", "$D/fifo"; my $n = 0; aio_open "$D/fifo", O_RDONLY, 0, sub { $n++ if $_[0] }; 1 while IO::AIO::nready; aio_open "$D/fifo", O_WRONLY, 0, sub { $n++ if $_[0] }; IO::AIO::flush; print "$n\n"; unlink "$D/fifo";', "2\n0\n", { pool => 1 }],
    ['a target that takes nothing', ['-P', "$dir/copy", '-e', 'trace=ioctl,copy_file_range,sendfile,pwrite64,write', '-e', 'inject=ioctl:error=EOPNOTSUPP', '-e', 'inject=copy_file_range,sendfile:error=EINVAL', '-e', 'inject=pwrite64,write:retval=0'],
        'aio_copy $F, "$D/copy", sub { status(@_); print -e "$D/copy" ? "there" : "gone", "\n" };', "-1 ENOSPC\ngone\n0\n"],
    ['a stream into a target that takes nothing', ['-P', "$dir/copy", '-e', 'trace=write', '-e', 'inject=write:retval=0'],
        'aio_copy "/proc/self/limits", "$D/copy", sub { status(@_); print -e "$D/copy" ? "there" : "gone", "\n" };', "-1 ENOSPC\ngone\n0\n"],
    ['a write is short', [inject('pwrite64:retval=3')],
        'open my $fh, "+<", $F or die; aio_write $fh, 0, 10, "x" x 10, 0, \&status;', "3\n0\n"],
    ['reads of a whole file are interrupted', [inject('read,pread64,preadv2:error=EINTR:when=1+2')],
        'my $d = ""; aio_slurp $F, 10, 0, $d, sub { status(@_); print $d =~ /^x+$/ ? "same" : "other", "\n" };', "9990\nsame\n0\n"],
    ['no eventfd', ['-e', 'trace=eventfd2', '-e', 'inject=eventfd2:error=EMFILE'],
        'aio_readdir $D, sub { print $_[0] ? "read" : errno(), "\n" };', "read\n0\n", { pool => 1, sync => 1 }],
    ['no ring', ['-e', 'trace=io_uring_setup', '-e', 'inject=io_uring_setup:error=EPERM'],
        'my ($name, $why) = IO::AIO::engine; print "$name ", $why =~ /not permitted/ ? "told" : $why, "\n"; aio_readdir $D, sub { print $_[0] ? "read" : errno(), "\n" };', "pool told\nread\n0\n", { uring => 1 }],
    (map ["no ring: $_", ['-e', 'trace=io_uring_setup', '-e', "inject=io_uring_setup:error=$_"],
        'print scalar IO::AIO::engine, "\n"; open my $fh, "<", $F or die; aio_read $fh, 0, 10, my $buf = "", 0, \&status;', "pool\n10\n0\n", { uring => 1 }], qw(ENOSYS EACCES ENOMEM EINVAL)),
    ['the ring does not take a request', ['-e', 'trace=io_uring_enter', '-e', 'inject=io_uring_enter:error=EBUSY:when=2+'],
        'open my $fh, "<", $F or die; aio_fsync $fh, \&status;', "0\n0\n", { uring => 1 }],
    ['no inline attempts', ['-e', 'trace=preadv2,openat2', '-e', 'inject=preadv2,openat2:error=EPERM'],
        'open my $fh, "<", $F or die; aio_read $fh, 0, 10, my $buf = "", 0, \&status; IO::AIO::flush; aio_stat $F, \&status;', "10\n0\n0\n", { pool => 1 }],
    ['a false end of file', [inject('preadv2:retval=0')],
        'open my $fh, "<", $F or die; aio_read $fh, 0, 10, my $buf = "", 0, \&status;', "10\n0\n", { pool => 1 }],
    ['a false short read', [inject('preadv2:retval=3')],
        'open my $fh, "<", $F or die; my $buf = ""; aio_read $fh, 0, 10, $buf, 0, sub { status(@_); print "$buf\n" };', "10\n" . 'x' x 10 . "\n0\n", { pool => 1 }],
);

my %only = map { $_ => 1 } split /,/, $ENV{AIOTEST_ENGINE} || 'sync,pool,uring';
my @engines = grep $only{$_}, qw(sync pool uring);
my $ring = output_of(perl_command, '-MIO::AIO', '-e', 'print scalar IO::AIO::engine "uring"') eq 'uring';
for my $engine (@engines) {
    for (@case) {
        my ($what, $faults, $program, $want, $which) = @$_;
        next if !($which || { pool => 1 })->{$engine};
        SKIP: {
            skip 'no ring here', 1 if $engine eq 'uring' && !$ring;
            open my $again, '>', $file or die "$file: $!";
            print $again 'x' x 10_000;
            close $again;
            is(with_faults($faults, $program, IO_AIO_ENGINE => $engine), $want, "$engine: $what");
            unlink "$dir/copy", "$dir/x", "$dir/link";
        }
    }
}
done_testing;
