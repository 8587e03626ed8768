package Differential;

# The calls of the differential test, each a line of Perl. aio, st, call and val record what happens; $rd and so
# on are handles: see differential.pl.

use strict;
use warnings;

sub calls {
    my @calls;

    # every request with a path, with every kind of path
    my @path = ("'file'", "'dir'", "'full'", "'link'", "'dangling'", "'loop'", "'none'", "'file/x'", "'none/x'", "''", 'undef', '$long', '"$dir/file"', "'dir/'", "'file/'", "'.'",
        '[$wd, "file"]', '[$wd, "none"]', '[$wd, "full"]', '[$wd, "$dir/dir"]', '[$wd, ""]', '[$wd, "."]', '$wd', '[undef, "file"]', '[undef, "$dir/file"]', '[IO::AIO::CWD, "file"]', 'IO::AIO::CWD', '"file\\0x"', '{}', '[]', '["x", "y"]', '"\\x{100}"', '"fi" . "le"', '5');
    my @one = split /\n/, <<'CALLS';
aio { aio_wd PATH, $_[0] }
aio { aio_open PATH, O_RDONLY, 0, $_[0] }
aio { aio_open PATH, O_RDWR, 0, $_[0] }
aio { aio_open PATH, O_WRONLY|O_CREAT, 0640, $_[0] }
aio { aio_open PATH, O_WRONLY|O_CREAT|O_EXCL, 0600, $_[0] }
aio { aio_open PATH, O_RDONLY|IO::AIO::O_DIRECTORY, 0, $_[0] }
aio { aio_open PATH, O_RDONLY|IO::AIO::O_NOFOLLOW, 0, $_[0] }
st { aio_stat PATH, $_[0] }
st { aio_lstat PATH, $_[0] }
aio { my $cb = $_[0]; aio_statvfs PATH, sub { $cb->($_[0] && join ' ', map "$_=$_[0]{$_}", qw(bsize frsize blocks files flag namemax)) } }
aio { aio_utime PATH, 5, 6.5, $_[0] }; val((stat 'file')[8, 9])
aio { aio_utime PATH, undef, undef, $_[0] }
aio { aio_chown PATH, undef, undef, $_[0] }
aio { aio_chown PATH, 65534, -1, $_[0] }; val((stat 'file')[4, 5])
aio { aio_chmod PATH, 0700, $_[0] }
aio { aio_truncate PATH, 5, $_[0] }
aio { aio_truncate PATH, 100, $_[0] }
aio { aio_unlink PATH, $_[0] }
aio { aio_mknod PATH, S_IFIFO | 0644, 0, $_[0] }
aio { aio_readlink PATH, $_[0] }
aio { aio_realpath PATH, $_[0] }
aio { aio_mkdir PATH, 0755, $_[0] }
aio { aio_rmdir PATH, $_[0] }
aio { my $cb = $_[0]; aio_readdir PATH, sub { $cb->(sorted($_[0])) } }
aio { my $cb = $_[0]; aio_readdirx PATH, IO::AIO::READDIR_STAT_ORDER, sub { $cb->(sorted($_[0])) } }
aio { aio_slurp PATH, 0, 5, $buf, $_[0] }; val($buf)
aio { aio_slurp PATH, 0, 0, $buf, $_[0] }; val($buf)
aio { aio_load PATH, $buf, $_[0] }; val($buf)
aio { my $cb = $_[0]; aio_scandir PATH, 0, sub { $cb->(map sorted($_), @_) } }
aio { aio_rmtree PATH, $_[0] }
aio { aio_pathsync PATH, $_[0] }
CALLS
    for my $call (@one) {
        for my $path (@path) { (my $c = $call) =~ s/PATH/$path/; push @calls, $c }
    }

    # every request with two
    my @from = ("'file'", "'dir'", "'full'", "'link'", "'dangling'", "'none'", "''", 'undef', '[$wd, "file"]', '[undef, "file"]', '$wd', '"\\x{100}"');
    my @to   = ("'new'", "'empty'", "'dir'", "'full'", "'none/x'", "'file'", "''", 'undef', '[$wd, "new"]', '[$wd, "file"]', '[undef, "new"]', '$wd', '[]');
    for my $call ('aio_link', 'aio_symlink', 'aio_rename', 'aio_copy', 'aio_move') {
        for my $from (@from) { push @calls, map "aio { $call $from, $_, \$_[0] }", @to }
    }
    for my $flags ('0', 'IO::AIO::RENAME_NOREPLACE', 'IO::AIO::RENAME_EXCHANGE', '3', '99') {
        push @calls, map "aio { aio_rename2 'file', $_, $flags, \$_[0] }", @to;
    }

    # every request with a handle
    my @handle = ('$rd', '$wr', '$rw', '$pr', '$pw', '$closed', 'fileno $rd', '999', '$dirh', '-1', 'undef', '"x"', '{}', '*$rd', '*STDIN');
    my @fh = split /\n/, <<'CALLS';
aio { aio_close FH, $_[0] }
aio { aio_seek FH, 3, 0, $_[0] }
aio { aio_read FH, 0, 5, $buf, 0, $_[0] }; val($buf)
aio { aio_write FH, 1, 3, 'abc', 0, $_[0] }
aio { aio_fsync FH, $_[0] }
aio { aio_fdatasync FH, $_[0] }
aio { aio_syncfs FH, $_[0] }
aio { aio_sync_file_range FH, 0, 0, 7, $_[0] }
aio { aio_readahead FH, 0, 5, $_[0] }
aio { aio_allocate FH, 0, 0, 20, $_[0] }
aio { my $cb = $_[0]; aio_fiemap FH, 0, undef, 1, undef, sub { $cb->(@_ ? scalar @{ $_[0] } : ()) } }
aio { aio_fcntl FH, F_GETFD, 0, $_[0] }
aio { aio_ioctl FH, 0x541b, 0, $_[0] }
st { aio_stat FH, $_[0] }
st { aio_lstat FH, $_[0] }
aio { aio_utime FH, 5, 6, $_[0] }; val((stat 'file')[8, 9])
aio { aio_chown FH, -1, -1, $_[0] }
aio { aio_chmod FH, 0600, $_[0] }
aio { aio_truncate FH, 2, $_[0] }
aio { my $cb = $_[0]; aio_statvfs FH, sub { $cb->($_[0] && join ' ', sort keys %{ $_[0] }) } }
aio { aio_sendfile FH, $rd, 0, 4, $_[0] }
aio { aio_sendfile $wr, FH, 0, 4, $_[0] }
call { IO::AIO::sendfile FH, $rd, 0, 4 }
call { IO::AIO::fadvise FH, 0, 0, 0 }
call { IO::AIO::pipesize FH }
call { IO::AIO::splice FH, undef, $pw, undef, 1, IO::AIO::SPLICE_F_NONBLOCK }
call { IO::AIO::tee FH, $pw, 1, IO::AIO::SPLICE_F_NONBLOCK }
call { IO::AIO::accept4 FH, $buf, 100, 0 }
call { IO::AIO::timerfd_gettime FH }
call { IO::AIO::pidfd_send_signal FH, 0 }
call { IO::AIO::mmap $buf, 10, 1, 1, FH }; val($buf)
CALLS
    for my $call (@fh) {
        for my $fh (@handle) {
            next if $fh =~ /pr$/ && $call =~ /aio_read|sendfile/ || $fh eq '*STDIN' && $call =~ /aio_(?:close|read|write|sendfile)|sendfile/;
            (my $c = $call) =~ s/FH/$fh/;
            push @calls, $c;
        }
    }
    @calls, grep /\S/ && !/^#/, split /\n/, SINGLE();
}

# One call a line.
use constant SINGLE => <<'CALLS';
# open flags and modes
aio { aio_open 'file', O_RDONLY|O_NONBLOCK, 0, $_[0] }
aio { aio_open 'file', O_WRONLY|O_APPEND, 0, $_[0] }
aio { aio_open 'file', O_WRONLY|O_TRUNC, 0, $_[0] }
aio { aio_open 'new', O_CREAT|O_RDWR, 0777, $_[0] }
aio { aio_open 'new', O_CREAT|O_RDWR, 07777, $_[0] }
aio { aio_open 'dir', IO::AIO::O_TMPFILE|O_RDWR, 0600, $_[0] } if IO::AIO::O_TMPFILE
aio { aio_open 'file', -1, 0, $_[0] }
aio { aio_open 'file', undef, undef, $_[0] }
# reads and writes
aio { aio_read $rd, 2, 3, $buf, 0, $_[0] }; val($buf)
aio { aio_read $rd, 8, 10, $buf, 0, $_[0] }; val($buf)
aio { aio_read $rd, 10, 10, $buf, 0, $_[0] }; val($buf)
aio { aio_read $rd, 100, 10, $buf, 0, $_[0] }; val($buf)
aio { aio_read $rd, undef, 4, $buf, 0, $_[0] }; val($buf, sysseek $rd, 0, 1)
aio { aio_read $rd, 0, 0, $buf, 0, $_[0] }; val($buf)
$buf = 'abcdef'; aio { aio_read $rd, 0, 3, $buf, 2, $_[0] }; val($buf)
$buf = 'abcdef'; aio { aio_read $rd, 0, 3, $buf, 6, $_[0] }; val($buf)
$buf = 'abcdef'; aio { aio_read $rd, 0, 3, $buf, 7, $_[0] }; val($buf)
$buf = 'abcdef'; aio { aio_read $rd, 0, 3, $buf, -2, $_[0] }; val($buf)
$buf = 'abcdef'; aio { aio_read $rd, 0, 3, $buf, -7, $_[0] }; val($buf)
$buf = 'abcdef'; aio { aio_read 999, 0, 3, $buf, 2, $_[0] }; val($buf)
aio { aio_read $rd, 0, -1, $buf, 0, $_[0] }; val($buf)
aio { aio_read $rd, -1, 3, $buf, 0, $_[0] }; val($buf)
aio { aio_write $rw, 0, 3, 'abcdef', 0, $_[0] }
aio { aio_write $rw, 5, undef, 'abc', 0, $_[0] }
aio { aio_write $rw, 5, undef, 'abc', 1, $_[0] }
aio { aio_write $rw, 5, 100, 'abc', 0, $_[0] }
aio { aio_write $rw, 5, 2, 'abc', -2, $_[0] }
aio { aio_write $rw, 5, 2, 'abc', 4, $_[0] }
aio { aio_write $rw, 5, 2, 'abc', -4, $_[0] }
aio { aio_write $rw, undef, 3, 'abc', 0, $_[0] }; val(sysseek $rw, 0, 1)
aio { aio_write $rw, 100, 3, 'abc', 0, $_[0] }
aio { aio_write $rw, 0, 0, '', 0, $_[0] }
aio { aio_write $rw, 0, -1, 'abc', 0, $_[0] }
aio { aio_write $rw, 0, 3, "\x{100}", 0, $_[0] }
aio { aio_write $rw, 0, undef, 12345, 0, $_[0] }
aio { aio_write $rw, 0, undef, undef, 0, $_[0] }
close $pr; aio { aio_write $pw, undef, 3, 'abc', 0, $_[0] }
# seek, allocate, sync
aio { aio_seek $rd, -1, 2, $_[0] }
aio { aio_seek $rd, -1, 0, $_[0] }
aio { aio_seek $rd, 0, 77, $_[0] }
aio { aio_seek $rd, 0, IO::AIO::SEEK_DATA, $_[0] }
aio { aio_seek $rd, 0, IO::AIO::SEEK_HOLE, $_[0] }
aio { aio_seek $rd, 2**40, 0, $_[0] }
aio { aio_seek $rd, undef, undef, $_[0] }
aio { aio_allocate $rw, IO::AIO::FALLOC_FL_KEEP_SIZE, 0, 5000, $_[0] }
aio { aio_allocate $rw, 0, 0, 0, $_[0] }
aio { aio_allocate $rw, 0, -1, 5, $_[0] }
aio { aio_allocate $rw, 0, 0, -5, $_[0] }
aio { aio_allocate $rw, 2, 0, 5, $_[0] }
aio { aio_allocate $rw, 3, 2, 5, $_[0] }
aio { aio_allocate $rw, 1 << 20, 0, 5, $_[0] }
aio { aio_sync_file_range $rw, 0, 0, 99, $_[0] }
aio { aio_sync_file_range $rw, -1, 0, 7, $_[0] }
aio { aio_sync $_[0] }
aio { aio_nop $_[0] }
aio { IO::AIO::aio_busy 0.001, $_[0] }
# attributes
aio { aio_utime 'file', 1.5, 2.25, $_[0] }; val((stat 'file')[8, 9], (IO::AIO::st_xtimensec)[0, 1, 3])
aio { aio_utime 'file', -5, -6, $_[0] }; val((stat 'file')[8, 9])
aio { aio_utime 'file', 7, undef, $_[0] }; val((stat 'file')[8, 9])
aio { aio_utime 'file', undef, 7, $_[0] }; val((stat 'file')[8, 9])
aio { aio_chmod 'file', 04755, $_[0] }
aio { aio_chmod 'file', 0, $_[0] }
aio { aio_chmod 'file', undef, $_[0] }
aio { aio_chown 'file', 65534, 65534, $_[0] }; val((stat 'file')[4, 5])
aio { aio_chown 'link', 65534, undef, $_[0] }; val((lstat 'link')[4, 5], (stat 'file')[4, 5])
aio { aio_truncate 'file', -1, $_[0] }
aio { aio_truncate 'file', undef, $_[0] }
aio { aio_truncate 'file', 1e18, $_[0] }
aio { aio_mkdir 'new', 01777, $_[0] }
aio { aio_mkdir 'new', 0, $_[0] }
aio { aio_mknod 'new', 0600, 0, $_[0] }
aio { aio_mknod 'new', S_IFREG | 0640, 0, $_[0] }
aio { aio_mknod 'new', S_IFDIR | 0640, 0, $_[0] }
aio { aio_mknod 'new', S_IFCHR | 0600, IO::AIO::makedev(1, 3), $_[0] }; val((stat 'new')[6])
# directories
aio { my $cb = $_[0]; aio_readdirx '.', IO::AIO::READDIR_DENTS, sub { $cb->([map "$_->[0] $_->[1]", @{ sorted($_[0]) }]) } }
aio { my $cb = $_[0]; aio_readdirx '.', IO::AIO::READDIR_DIRS_FIRST | IO::AIO::READDIR_DENTS, sub { $cb->([map $_->[1] == 4 ? 'd' : 'n', @{ $_[0] }]) } }
aio { my $cb = $_[0]; aio_readdirx '.', IO::AIO::READDIR_STAT_ORDER, sub { my @inodes = map +(lstat)[1], @{ $_[0] }; $cb->(sorted($_[0]), "@inodes" eq join ' ', sort { $a <=> $b } @inodes) } }
aio { my $cb = $_[0]; aio_readdirx '.', IO::AIO::READDIR_STAT_ORDER | IO::AIO::READDIR_DIRS_FIRST, sub { $cb->(sorted($_[0])) } }
aio { my $cb = $_[0]; aio_readdirx '.', 7, sub { $cb->($_[1]) } }
aio { my $cb = $_[0]; aio_readdirx '.', 0, sub { $cb->($_[1]) } }
aio { my $cb = $_[0]; aio_readdirx '.', 128, sub { $cb->($_[1] & ~1) } }
aio { aio_readdirx 'none', 5, $_[0] }
aio { my $cb = $_[0]; aio_scandir '.', 1, sub { $cb->(map sorted($_), @_) } }
aio { my $cb = $_[0]; aio_scandir '.', -5, sub { $cb->(map sorted($_), @_) } }
mkdir "full/$_" for 'a', 'a/b', 'c'; aio { aio_rmtree 'full', $_[0] }
# slurp, load
aio { aio_slurp 'file', 8, 5, $buf, $_[0] }; val($buf)
aio { aio_slurp 'file', -3, 0, $buf, $_[0] }; val($buf)
aio { aio_slurp 'file', -3, 2, $buf, $_[0] }; val($buf)
aio { aio_slurp 'file', -100, 2, $buf, $_[0] }; val($buf)
aio { aio_slurp 'file', 10, 0, $buf, $_[0] }; val($buf)
aio { aio_slurp 'file', 11, 0, $buf, $_[0] }; val($buf)
aio { aio_slurp 'file', 11, 5, $buf, $_[0] }; val($buf)
aio { aio_slurp 'file', 0, -1, $buf, $_[0] }
aio { aio_slurp '/proc/version', 0, 0, $buf, $_[0] }; val(length $buf)
aio { aio_slurp '/proc/version', 0, 5, $buf, $_[0] }; val($buf)
aio { aio_load '/proc/version', $buf, $_[0] }; val(length $buf)
aio { aio_load '/dev/null', $buf, $_[0] }; val($buf)
$buf = 'old'; aio { aio_load 'none', $buf, $_[0] }; val($buf)
# copy
aio { aio_copy '/proc/version', 'new', $_[0] }
aio { aio_copy 'file', 'empty', $_[0] }; val((stat 'empty')[8, 9])
chmod 0751, 'file'; aio { aio_copy 'file', 'new', $_[0] }
# statvfs, fiemap
aio { my $cb = $_[0]; aio_statvfs '.', sub { $cb->(join ' ', sort keys %{ $_[0] }) } }
aio { my $cb = $_[0]; aio_fiemap $rw, 0, undef, 1, 0, sub { $cb->(@_) } }
aio { my $cb = $_[0]; aio_fiemap $rw, 0, undef, 1, 1, sub { $cb->(map [map $_->[0], @$_], @_) } }
aio { aio_fiemap $rw, 0, 0, 0, undef, $_[0] }
aio { aio_fiemap $rw, 0, undef, 0x8000, undef, $_[0] }
aio { aio_fiemap $rw, 1 << 30, undef, 0, undef, $_[0] }
aio { aio_fiemap $rw, -1, undef, 0, undef, $_[0] }
# fcntl, ioctl
aio { aio_fcntl $rd, F_SETFD, 1, $_[0] }
aio { aio_fcntl $rd, F_GETFL, 0, $_[0] }
aio { aio_fcntl $rd, 9999, 0, $_[0] }
$buf = lock_of(F_WRLCK, 0, 0, 0, 0); aio { aio_fcntl $rw, F_SETLK, $buf, $_[0] }
$buf = lock_of(F_WRLCK, 0, 0, 0, 0); aio { aio_fcntl $rd, F_SETLK, $buf, $_[0] }
$buf = pack 'i', 0; syswrite $pw, 'abc'; aio { aio_ioctl $pr, 0x541b, $buf, $_[0] }; val(unpack 'i', $buf)
$buf = pack 'l!', 0; aio { aio_ioctl $rd, IO::AIO::FS_IOC_GETFLAGS, $buf, $_[0] }; val(unpack 'l!', $buf)
aio { aio_ioctl $rd, 0x1234, 0, $_[0] }
syswrite $pw, 'abc'; aio { aio_ioctl $pr, 0x541b, $buf, $_[0] }; val(unpack 'i', $buf)
# memory
IO::AIO::mmap $buf, 10, 3, 1, $rw; aio { aio_msync $buf, 0, undef, IO::AIO::MS_SYNC, $_[0] }
IO::AIO::mmap $buf, 10, 3, 1, $rw; aio { aio_msync $buf, 0, undef, 5, $_[0] }
IO::AIO::mmap $buf, 10, 3, 1, $rw; aio { aio_msync $buf, 11, undef, 4, $_[0] }
IO::AIO::mmap $buf, 10, 3, 1, $rw; aio { aio_msync $buf, -11, undef, 4, $_[0] }
IO::AIO::mmap $buf, 10, 3, 1, $rw; aio { aio_mtouch $buf, 0, undef, 0, $_[0] }
IO::AIO::mmap $buf, 10, 3, 1, $rw; aio { aio_mtouch $buf, 0, undef, 1, $_[0] }
IO::AIO::mmap $buf, 10, 1, 1, $rw; aio { aio_mtouch $buf, 0, undef, 1, $_[0] }
IO::AIO::mmap $buf, 10, 3, 1, $rw; aio { aio_mlock $buf, 0, undef, $_[0] }; call { IO::AIO::munlock $buf }
IO::AIO::mmap $buf, 10, 3, 1, $rw; aio { aio_read $rd, 0, 5, $buf, 5, $_[0] }; val($buf)
IO::AIO::mmap $buf, 10, 3, 1, $rw; aio { aio_read $rd, 0, 5, $buf, 0, $_[0] }; val($buf)
IO::AIO::mmap $buf, 10, 3, 1, $rw; aio { aio_read $rd, 0, 8, $buf, 5, $_[0] }; val($buf)
IO::AIO::mmap $buf, 10, 3, 1, $rw; aio { aio_write $wr, 0, 5, $buf, 5, $_[0] }
$buf = 'x' x 20; aio_read $rd, 0, 5, $buf, 0, sub { }; aio_read $rd, 5, 5, $buf, 10, sub { val(@_) }; IO::AIO::flush
aio { aio_mlockall 0, $_[0] }
aio { aio_mlockall 0x7000, $_[0] }
call { IO::AIO::mlockall 0 }
call { IO::AIO::munlockall }
$buf = 'x' x 9999; call { IO::AIO::madvise $buf, 0, undef, 0 }
$buf = 'x' x 9999; call { IO::AIO::madvise $buf, 0, undef, 99 }
$buf = 'x' x 9999; call { IO::AIO::madvise $buf, 10000, undef, 0 }
IO::AIO::mmap $buf, 10, 3, 1, $rw; call { IO::AIO::mprotect $buf, 0, undef, 1 }
IO::AIO::mmap $buf, 10, 3, 1, $rw; call { IO::AIO::mprotect $buf, 0, undef, 0x7777 }
call { IO::AIO::mmap $buf, 10, 3, 1, $rw }; substr($buf, 2, 3) = 'abc'; val($buf)
call { IO::AIO::mmap $buf, 10, 3, 2, $rw }; substr($buf, 2, 3) = 'abc'; val($buf)
call { IO::AIO::mmap $buf, 10, 3, 2, $rd }
call { IO::AIO::mmap $buf, 10, 3, 1, $rd }
call { IO::AIO::mmap $buf, 0, 1, 1, $rd }
call { IO::AIO::mmap $buf, 10, 1, 1, $rd, 1 }
call { IO::AIO::mmap $buf, 10, 1, 0, $rd }
call { IO::AIO::mmap $buf, 100, 3, 34, undef }; val($buf eq "\0" x 100)
call { IO::AIO::mmap $buf, 100, 3, 34 }; val(length $buf)
call { IO::AIO::mmap 'constant', 10, 1, 1, $rd }
IO::AIO::mmap $buf, 10, 1, 1, $rd; call { IO::AIO::munmap $buf }; val($buf)
IO::AIO::mmap $buf, 10, 1, 1, $rd; call { substr($buf, 0, 1) = 'x' }; val($buf)
IO::AIO::mmap $buf, 10, 1, 1, $rd; call { undef $buf }; val($buf)
IO::AIO::mmap $buf, 100, 3, 34; call { IO::AIO::mremap $buf, 50, 0 }; val(length $buf)
IO::AIO::mmap $buf, 100, 3, 34; call { !!IO::AIO::mremap $buf, 50000 }; val(length $buf)
IO::AIO::mmap $buf, 100, 3, 34; call { IO::AIO::mremap $buf, 0, 0 }; val(length $buf)
IO::AIO::mmap $buf, 100, 3, 34; call { IO::AIO::mremap $buf, 50, 99 }
$buf = 'x' x 100; call { IO::AIO::mremap $buf, 50, 0 }
# descriptors
call { IO::AIO::pipe2 }
call { IO::AIO::pipe2 IO::AIO::O_CLOEXEC | O_NONBLOCK }
call { IO::AIO::pipe2 1 }
call { scalar IO::AIO::pipe2 1 }
call { IO::AIO::pipesize $pr, 100000 }
call { IO::AIO::pipesize $pr, 0 }
syswrite $pw, 'abc'; pipe my $r, my $w; call { IO::AIO::tee $pr, $w, 2, 0 }; call { IO::AIO::splice $pr, undef, $w, undef, 3, 0 }; sysread $r, $buf, 100; val($buf)
call { IO::AIO::splice $rd, 2, $pw, undef, 5, 0 }; sysread $pr, $buf, 100; val($buf)
call { IO::AIO::splice $rd, 10, $pw, undef, 5, 0 }
call { IO::AIO::splice $rd, -1, $pw, undef, 5, 0 }
call { IO::AIO::splice $rd, 0, $rw, 0, 5, 0 }
call { IO::AIO::splice $rd, 0, $pw, undef, 5, 0xffff }
call { IO::AIO::splice $pr, undef, $rd, 0, 5, 2 }
call { IO::AIO::tee $pr, $rw, 5, 2 }
call { IO::AIO::sendfile $pw, $rd, 8, 5 }; sysread $pr, $buf, 100; val($buf)
call { IO::AIO::sendfile $wr, $rd, 20, 5 }
call { IO::AIO::sendfile $wr, $rd, -1, 5 }
call { IO::AIO::sendfile $wr, $rd, 0, -1 }
aio { aio_sendfile $pw, $rd, 8, 5, $_[0] }
aio { aio_sendfile $wr, $rd, 20, 5, $_[0] }
aio { aio_sendfile $wr, $rd, -1, 5, $_[0] }
aio { aio_readahead $rd, -1, 5, $_[0] }
call { IO::AIO::fadvise $rd, 0, 0, 99 }
call { IO::AIO::fadvise $rd, 0, -1, 0 }
call { IO::AIO::eventfd }
call { IO::AIO::eventfd 3, IO::AIO::EFD_NONBLOCK | IO::AIO::EFD_CLOEXEC }
call { IO::AIO::eventfd 3, 1 << 24 }
call { sysread IO::AIO::eventfd(-1), $buf, 8 }; val(unpack 'Q', $buf)
call { IO::AIO::memfd_create 'name' }
call { IO::AIO::memfd_create 'name', IO::AIO::MFD_CLOEXEC }
call { IO::AIO::memfd_create 'name', 1 << 15 }
call { IO::AIO::memfd_create 'x' x 300 }
call { IO::AIO::memfd_create "\x{100}" }
call { IO::AIO::timerfd_create IO::AIO::CLOCK_MONOTONIC }
call { IO::AIO::timerfd_create IO::AIO::CLOCK_MONOTONIC, IO::AIO::TFD_NONBLOCK | IO::AIO::TFD_CLOEXEC }
call { IO::AIO::timerfd_create 99 }
$gone = IO::AIO::timerfd_create 1; call { IO::AIO::timerfd_gettime $gone }
$gone = IO::AIO::timerfd_create 1; call { IO::AIO::timerfd_settime $gone, 0, 1.5, 100 }; call { (IO::AIO::timerfd_gettime $gone)[0] }
$gone = IO::AIO::timerfd_create 1; call { IO::AIO::timerfd_settime $gone, 0, -1, 0 }
$gone = IO::AIO::timerfd_create 1; call { IO::AIO::timerfd_settime $gone, 1 << 20, 0, 0 }
call { IO::AIO::pidfd_open $$ }
call { IO::AIO::pidfd_open 0 }
call { IO::AIO::pidfd_open 99999999 }
call { IO::AIO::pidfd_open $$, 1 }
$gone = IO::AIO::pidfd_open $$; call { IO::AIO::pidfd_send_signal $gone, 0 }
$gone = IO::AIO::pidfd_open $$; call { IO::AIO::pidfd_send_signal $gone, 1000 }
$gone = IO::AIO::pidfd_open $$; call { IO::AIO::pidfd_send_signal $gone, 0, [] }
$gone = IO::AIO::pidfd_open $$; local $SIG{USR1} = sub { val('USR1') }; call { IO::AIO::pidfd_send_signal $gone, 10, { code => -1 } }
$gone = IO::AIO::pidfd_open $$; call { IO::AIO::pidfd_getfd $gone, fileno $rd }
$gone = IO::AIO::pidfd_open $$; call { IO::AIO::pidfd_getfd $gone, 999 }
call { IO::AIO::fexecve $rd, ['x'], [] }
call { IO::AIO::fexecve $rd, undef, [] }
call { IO::AIO::fexecve $rd, ['x'], {} }
call { IO::AIO::mount 'none', 'none', 'tmpfs' }
call { IO::AIO::mount 'none', 'dir', 'nosuchfs' }
call { IO::AIO::umount 'dir' }
call { IO::AIO::umount 'none', 2 }
socket my $s, AF_INET, SOCK_STREAM, 0; bind $s, pack_sockaddr_in(0, INADDR_LOOPBACK); listen $s, 1; socket my $c, AF_INET, SOCK_STREAM, 0; connect $c, getsockname $s; call { IO::AIO::accept4 $s, $buf, 100, SOCK_NONBLOCK }; val($buf eq getsockname $c)
socket my $s, AF_INET, SOCK_STREAM, 0; bind $s, pack_sockaddr_in(0, INADDR_LOOPBACK); listen $s, 1; socket my $c, AF_INET, SOCK_STREAM, 0; connect $c, getsockname $s; call { fileno(IO::AIO::accept4 $s, $buf, 4, 0) > 2 }; val(length $buf)
socket my $s, AF_INET, SOCK_STREAM, 0; listen $s, 1; fcntl $s, F_SETFL, O_NONBLOCK; call { IO::AIO::accept4 $s, $buf, 100, 0 }; val($buf)
call { IO::AIO::get_fdlimit }
call { IO::AIO::min_fdlimit 10 }
call { IO::AIO::makedev 8, 1 }
call { IO::AIO::major 2049 }
call { IO::AIO::minor 2049 }
call { IO::AIO::makedev 4095, 1048575 }
# stat times, statx
utime 5, 6, 'file'; stat 'file'; call { map IO::AIO->can("st_$_")->(), qw(atime mtime atimensec mtimensec btime btimesec btimensec gen) }
utime 5, 6, 'file'; stat 'file'; call { (IO::AIO::st_xtime)[0, 1, 3] }
utime 5, 6, 'file'; stat 'file'; call { scalar IO::AIO::st_xtime }
utime 5, 6, 'file'; call { IO::AIO::statx 'file', 0, IO::AIO::STATX_ALL }; val(map IO::AIO->can("stx_$_")->(), qw(mask blksize attributes nlink uid gid mode size atimesec mtimesec atimensec mtimensec atime mtime rdev_major rdev_minor dev_major dev_minor))
call { IO::AIO::statx 'link', IO::AIO::AT_SYMLINK_NOFOLLOW, IO::AIO::STATX_ALL }; val(IO::AIO::stx_mode)
call { IO::AIO::statx 'none', 0, 0 }; val(IO::AIO::stx_mode)
call { IO::AIO::statx 'file', 1 << 30, 0 }
call { IO::AIO::statx '', IO::AIO::AT_EMPTY_PATH, 0 }
call { IO::AIO::statx [$wd, 'file'], 0, IO::AIO::STATX_SIZE }; val(IO::AIO::stx_size)
call { IO::AIO::statx [undef, 'file'], 0, 0 }
call { IO::AIO::statx $rd, 0, 0 }
# priorities, groups, counters
call { aioreq_pri }
call { aioreq_pri 3 }; call { aioreq_pri }
call { aioreq_pri 99 }; call { aioreq_pri -99 }; call { aioreq_pri }
call { aioreq_pri 1.9 }; call { aioreq_pri }
call { aioreq_nice 2 }; call { aioreq_pri }
call { aioreq_nice -99 }; call { aioreq_pri }
aioreq_pri 2; aio_nop; call { aioreq_pri }
aioreq_pri 2; my $g = aio_group; call { aioreq_pri }
aio { aio_group $_[0] }
aio { my $g = aio_group $_[0]; $g->result(1, 2); $g->add(aio_nop); }
aio { my $g = aio_group $_[0]; add $g aio_stat('none', sub { }); }
aio { my $g = aio_group $_[0]; add $g aio_stat('none', sub { $g->result(-1) }); }
aio { my $g = aio_group $_[0]; $g->errno(5); $g->add(aio_nop) }
my @l = (1 .. 5); aio { my $g = aio_group $_[0]; my @s; limit $g 2; feed $g sub { my $n = shift @l or return; push @s, $n; $g->result(@s); add $g aio_nop }; }
my $r = aio_nop sub { val('called') }; $r->cancel; IO::AIO::flush
my $r = aio_nop sub { val('first') }; $r->cb(sub { val('second') }); IO::AIO::flush
my $g = aio_group sub { val('called') }; $g->add(aio_nop(sub { val('member') })); $g->cancel; IO::AIO::flush
my $g = aio_group sub { val('called') }; $g->add(aio_nop(sub { val('member') })); $g->cancel_subs; IO::AIO::flush
call { ref aio_nop }; call { ref aio_group }; call { ref aio_load 'file', $buf }
call { IO::AIO::nreqs }; aio_nop; call { IO::AIO::nreqs }; IO::AIO::flush; call { IO::AIO::nreqs, IO::AIO::npending }
call { IO::AIO::poll_cb }
aio_nop for 1 .. 3; IO::AIO::poll_wait; call { IO::AIO::poll_fileno > 2 }
IO::AIO::max_poll_reqs 1; aio_nop for 1 .. 3; 1 while IO::AIO::npending < 3; call { 'poll_cb ' . IO::AIO::poll_cb }; IO::AIO::max_poll_reqs 0; call { 'poll_cb ' . IO::AIO::poll_cb }
call { IO::AIO::max_parallel 4 }; call { IO::AIO::min_parallel 4 }; call { IO::AIO::max_idle 4 }; call { IO::AIO::idle_timeout 4 }; call { IO::AIO::max_poll_time 0 }; call { IO::AIO::max_outstanding 1000 }
call { IO::AIO::flush }
IO::AIO::_on_next_submit sub { val('submit', IO::AIO::nreqs) }; aio_nop; aio_nop
call { aio_nop 5 }
call { aio_nop 'no_such_function' }
call { aio_nop [] }
call { aio_stat 'file', {} }
call { ref aio_nop undef }
call { &aio_stat() }
call { &aio_stat(1, 2, 3) }
call { &aio_open('file') }
eval { aio_nop sub { die "text\n" }; IO::AIO::flush }; val($@)
CALLS

1;
