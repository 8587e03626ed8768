#!/usr/bin/perl
# The owner never waits: what submit and poll ask of a file system that may take its time, and which system calls they
# make at all. The first is shown by a FUSE file system, which knows the thread that asks and hangs when told, for
# every request of the module; the second by strace, against the list in libeio/README.md.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use SlowFS;
use Fcntl qw(O_CREAT O_RDONLY O_RDWR O_WRONLY);
use IO::AIO qw(:DEFAULT aio_rename2 aio_slurp aio_wd aio_seek aio_fiemap aio_fcntl aio_ioctl aio_realpath aio_statvfs);
use Test::More;

my %elsewhere = map { $_ => 1 } qw(aio_nop aio_tee aio_close_range aio_busy aio_group aio_mlockall aio_sync);    # of no file of ours
my @keep;

# Code for every request, as paths below a directory and as handles. It gets a callback, the directory, handles of "file"
# (to read, to write and read), and a mapping of it.
my @requests = (
    [aio_open      => sub { my ($cb, $d) = @_; aio_open "$d/file", O_RDONLY, 0, $cb }],
    [aio_open      => sub { my ($cb, $d) = @_; aio_open "$d/file", O_RDWR, 0, $cb }],
    [aio_open      => sub { my ($cb, $d) = @_; aio_open "$d/new", O_CREAT | O_WRONLY, 0644, $cb }],
    [aio_close     => sub { my ($cb, $d, $r) = @_; aio_close $r, $cb }],
    [aio_wd        => sub { my ($cb, $d) = @_; aio_wd "$d/dir", $cb }],
    [aio_stat      => sub { my ($cb, $d) = @_; aio_stat "$d/file", $cb }],
    [aio_stat      => sub { my ($cb, $d) = @_; aio_stat "$d/link", $cb }],
    [aio_stat      => sub { my ($cb, $d) = @_; aio_stat $d, $cb }],
    [aio_stat      => sub { my ($cb, $d) = @_; aio_stat "$d/none", $cb }],
    [aio_stat      => sub { my ($cb, $d, $r) = @_; aio_stat $r, $cb }],
    [aio_lstat     => sub { my ($cb, $d) = @_; aio_lstat "$d/link", $cb }],
    [aio_statx     => sub { my ($cb, $d) = @_; IO::AIO::aio_statx("$d/file", 0, undef, $cb) }],
    [aio_statx     => sub { my ($cb, $d, $r) = @_; IO::AIO::aio_statx($r, 0, 0xfff, $cb) }],
    [aio_statvfs   => sub { my ($cb, $d) = @_; aio_statvfs $d, $cb }],
    [aio_realpath  => sub { my ($cb, $d) = @_; aio_realpath "$d/link", $cb }],
    [aio_readlink  => sub { my ($cb, $d) = @_; aio_readlink "$d/link", $cb }],
    [aio_read      => sub { my ($cb, $d, $r) = @_; aio_read $r, 0, 100, my $buf, 0, $cb }],
    [aio_read      => sub { my ($cb, $d, $r) = @_; aio_read $r, undef, 100, my $buf, 0, $cb }],
    [aio_write     => sub { my ($cb, $d, $r, $w) = @_; aio_write $w, 0, undef, 'x' x 100, 0, $cb }],
    [aio_seek      => sub { my ($cb, $d, $r) = @_; aio_seek $r, 0, 2, $cb }],
    [aio_readahead => sub { my ($cb, $d, $r) = @_; aio_readahead $r, 0, 4096, $cb }],
    [aio_sendfile  => sub { my ($cb, $d, $r, $w) = @_; aio_sendfile $w, $r, 0, 10, $cb }],
    [aio_fiemap    => sub { my ($cb, $d, $r) = @_; aio_fiemap $r, 0, 100, 0, 10, $cb }],
    [aio_chmod     => sub { my ($cb, $d) = @_; aio_chmod "$d/file", 0600, $cb }],
    [aio_chown     => sub { my ($cb, $d, $r, $w) = @_; aio_chown $w, undef, 0, $cb }],
    [aio_utime     => sub { my ($cb, $d) = @_; aio_utime "$d/file", 1, 2, $cb }],
    [aio_truncate  => sub { my ($cb, $d) = @_; aio_truncate "$d/file", 5000, $cb }],
    [aio_allocate  => sub { my ($cb, $d, $r, $w) = @_; aio_allocate $w, 0, 0, 5000, $cb }],
    [aio_fcntl     => sub { my ($cb, $d, $r) = @_; aio_fcntl $r, 1, 0, $cb }],
    [aio_ioctl     => sub { my ($cb, $d, $r) = @_; aio_ioctl $r, 0x5401, my $buf = 'x' x 100, $cb }],
    [aio_link      => sub { my ($cb, $d) = @_; aio_link "$d/file", "$d/second", $cb }],
    [aio_symlink   => sub { my ($cb, $d) = @_; aio_symlink "x", "$d/third", $cb }],
    [aio_rename    => sub { my ($cb, $d) = @_; aio_rename "$d/third", "$d/fourth", $cb }],
    [aio_rename2   => sub { my ($cb, $d) = @_; aio_rename2 "$d/fourth", "$d/fifth", 0, $cb }],
    [aio_unlink    => sub { my ($cb, $d) = @_; aio_unlink "$d/fifth", $cb }],
    [aio_mknod     => sub { my ($cb, $d) = @_; aio_mknod "$d/node", 0100644, 0, $cb }],
    [aio_mkdir     => sub { my ($cb, $d) = @_; aio_mkdir "$d/newdir", 0755, $cb }],
    [aio_mkpath    => sub { my ($cb, $d) = @_; IO::AIO::aio_mkpath("$d/a/b", 0755, $cb) }],
    [aio_lchmod    => sub { my ($cb, $d) = @_; IO::AIO::aio_lchmod("$d/file", 0600, $cb) }],
    [aio_lchown    => sub { my ($cb, $d) = @_; IO::AIO::aio_lchown("$d/link", undef, 0, $cb) }],
    [aio_lutime    => sub { my ($cb, $d) = @_; IO::AIO::aio_lutime("$d/link", 1, 2, $cb) }],
    [aio_linkat    => sub { my ($cb, $d) = @_; IO::AIO::aio_linkat("$d/file", "$d/sixth", 0, $cb) }],
    [aio_unlinkat  => sub { my ($cb, $d) = @_; IO::AIO::aio_unlinkat("$d/sixth", 0, $cb) }],
    [aio_rmdir     => sub { my ($cb, $d) = @_; aio_rmdir "$d/newdir", $cb }],
    [aio_readdir   => sub { my ($cb, $d) = @_; aio_readdir $d, $cb }],
    [aio_readdirx  => sub { my ($cb, $d) = @_; aio_readdirx $d, IO::AIO::READDIR_STAT_ORDER(), $cb }],
    [aio_scandir   => sub { my ($cb, $d) = @_; aio_scandir $d, 0, $cb }],
    [aio_load      => sub { my ($cb, $d) = @_; aio_load "$d/file", my $buf, $cb }],
    [aio_slurp     => sub { my ($cb, $d) = @_; aio_slurp "$d/file", 10, 10, my $buf, $cb }],
    [aio_copy      => sub { my ($cb, $d) = @_; aio_copy "$d/file", "$d/copy", $cb }],
    [aio_move      => sub { my ($cb, $d) = @_; aio_move "$d/copy", "$d/moved", $cb }],
    [aio_cptree    => sub { my ($cb, $d) = @_; IO::AIO::aio_cptree("$d/dir", "$d/dir2", 0, $cb) }],
    [aio_mvtree    => sub { my ($cb, $d) = @_; IO::AIO::aio_mvtree("$d/dir2", "$d/dir3", $cb) }],
    [aio_syncfs    => sub { my ($cb, $d, $r) = @_; aio_syncfs $r, $cb }],
    [aio_lock      => sub { my ($cb, $d, $r) = @_; IO::AIO::aio_lock($r, 1, undef, undef, $cb) }],
    [aio_fsync     => sub { my ($cb, $d, $r, $w) = @_; aio_fsync $w, $cb }],
    [aio_fdatasync => sub { my ($cb, $d, $r, $w) = @_; aio_fdatasync $w, $cb }],
    [aio_sync_file_range => sub { my ($cb, $d, $r, $w) = @_; IO::AIO::aio_sync_file_range($w, 0, 0, 7, $cb) }],
    [aio_pathsync  => sub { my ($cb, $d) = @_; aio_pathsync "$d/file", $cb }],
    [aio_msync     => sub { my ($cb, $d, $r, $w, $map) = @_; IO::AIO::aio_msync($$map, 0, undef, 4, $cb) }],
    [aio_mtouch    => sub { my ($cb, $d, $r, $w, $map) = @_; IO::AIO::aio_mtouch($$map, 0, undef, 0, $cb) }],
    [aio_mlock     => sub { my ($cb, $d, $r, $w, $map) = @_; IO::AIO::aio_mlock($$map, 0, undef, $cb) }],
    [aio_mincore   => sub { my ($cb, $d, $r, $w, $map) = @_; IO::AIO::aio_mincore($$map, 0, undef, $cb) }],
    [aio_setxattr  => sub { my ($cb, $d) = @_; IO::AIO::aio_setxattr("$d/file", "user.x", "y", 0, $cb) }],
    [aio_getxattr  => sub { my ($cb, $d) = @_; IO::AIO::aio_getxattr("$d/file", "user.x", $cb) }],
    [aio_listxattr => sub { my ($cb, $d) = @_; IO::AIO::aio_listxattr("$d/file", $cb) }],
    [aio_removexattr  => sub { my ($cb, $d) = @_; IO::AIO::aio_removexattr("$d/file", "user.x", $cb) }],
    [aio_lsetxattr    => sub { my ($cb, $d) = @_; IO::AIO::aio_lsetxattr("$d/link", "trusted.x", "y", 0, $cb) }],
    [aio_lgetxattr    => sub { my ($cb, $d) = @_; IO::AIO::aio_lgetxattr("$d/link", "trusted.x", $cb) }],
    [aio_llistxattr   => sub { my ($cb, $d) = @_; IO::AIO::aio_llistxattr("$d/link", $cb) }],
    [aio_lremovexattr => sub { my ($cb, $d) = @_; IO::AIO::aio_lremovexattr("$d/link", "trusted.x", $cb) }],
    [aio_openat2   => sub { my ($cb, $d) = @_; IO::AIO::aio_openat2("$d/file", 0, 0, 0, $cb) }],
    [aio_readall   => sub { my ($cb, $d, $r) = @_; IO::AIO::aio_readall($r, 0, 100, my $buf, 0, $cb) }],
    [aio_writeall  => sub { my ($cb, $d, $r, $w) = @_; IO::AIO::aio_writeall($w, 0, undef, 'x' x 100, 0, $cb) }],
    [aio_sendall   => sub { my ($cb, $d, $r, $w) = @_; IO::AIO::aio_sendall($w, $r, 0, 10, $cb) }],
    [aio_readv     => sub { my ($cb, $d, $r) = @_; IO::AIO::aio_readv($r, 0, [10, 100], [], 0, $cb) }],
    [aio_readv     => sub { my ($cb, $d, $r) = @_; IO::AIO::aio_readv($r, undef, [10], [], IO::AIO::RWF_NOWAIT(), $cb) }],
    [aio_writev    => sub { my ($cb, $d, $r, $w) = @_; IO::AIO::aio_writev($w, 0, ['x' x 100, 'y'], 0, $cb) }],
    [aio_copy_file_range => sub { my ($cb, $d, $r, $w) = @_; IO::AIO::aio_copy_file_range($r, 0, $w, 1000, 10, 0, $cb) }],
    [aio_clone_range  => sub { my ($cb, $d, $r, $w) = @_; IO::AIO::aio_clone_range($r, 0, $w, 0, 0, $cb) }],
    [aio_dedupe_range => sub { my ($cb, $d, $r, $w) = @_; IO::AIO::aio_dedupe_range($r, 0, $w, 0, 4096, $cb) }],
    [aio_splice    => sub {
        my ($cb, $d, $r) = @_;
        pipe my $in, my $out or die "pipe: $!";
        push @keep, $in;
        IO::AIO::aio_splice($r, 0, $out, undef, 10, 0, $cb);
    }],
    [aio_temp      => sub { my ($cb, $d) = @_; IO::AIO::aio_temp($d, undef, $cb) }],
    [aio_du        => sub { my ($cb, $d) = @_; IO::AIO::aio_du($d, {}, $cb) }],
    [aio_spew      => sub { my ($cb, $d) = @_; IO::AIO::aio_spew("$d/spewed", "x", IO::AIO::SPEW_ATOMIC(), undef, $cb) }],
    [aio_walk      => sub { my ($cb, $d) = @_; IO::AIO::aio_walk($d, { stat => 1 }, sub { }, $cb) }],
    [aio_glob      => sub { my ($cb, $d) = @_; IO::AIO::aio_glob("$d/*/*", undef, $cb) }],
    [aio_watch     => sub { my ($cb, $d) = @_; my $w; $w = IO::AIO::aio_watch($d, {}, sub { $w->cancel; &$cb }) }],
    [aio_remove    => sub { my ($cb, $d) = @_; IO::AIO::aio_remove("$d/dir", { keep_root => 1 }, sub { }, $cb) }],
    [aio_rmtree    => sub { my ($cb, $d) = @_; aio_rmtree "$d/dir", $cb }],
);

{
    my %tried = (%elsewhere, map { $_->[0] => 1 } @requests);
    no strict 'refs';
    is(join(' ', grep { /^aio_/ && defined &{"IO::AIO::$_"} && !$tried{$_} } sort keys %IO::AIO::), '', 'every request is tried');
}

sub prepare {
    my ($dir) = @_;
    write_file("$dir/file", 'x' x 5000);
    mkdir "$dir/dir";
    write_file("$dir/dir/$_", '') for 1 .. 3;
    symlink 'file', "$dir/link";
}

# A second thread may look a file up meanwhile: what the owner itself asks for is what counts. Everything in the cache
# that a cache can have, if it is to be warm.
sub owner_asks {
    my ($fs, $dir, $warm, $name, $code) = @_;
    open my $r, '<', "$dir/file"  or die $!;
    open my $w, '+<', "$dir/file" or die $!;
    my $map;
    IO::AIO::mmap($map, 4096, IO::AIO::PROT_READ(), IO::AIO::MAP_SHARED(), $w) or die "mmap: $!";
    if ($warm) {
        read_file("$dir/file");
        stat "$dir/$_", lstat "$dir/$_" for qw(file link dir .);
        stat $r;
    }
    $fs->reset;
    $fs->hang;
    my @results;
    # first everything hangs: neither this nor the poll may
    $code->(sub { push @keep, @_; push @results, 1 }, $dir, $r, $w, \$map);
    IO::AIO::poll_cb();
    $fs->release;
    IO::AIO::poll_wait(), IO::AIO::poll_cb() while IO::AIO::nreqs();
    my $asked = $fs->asked($$);
    IO::AIO::munmap($map);
    @keep = ();
    return ($asked, scalar @results);
}

SKIP: {
    skip SlowFS->missing, 1 if SlowFS->missing;
    each_engine {
        my ($engine) = @_;
        return if $engine eq 'sync';    # where the owner does all
        for my $warm (0, 1) {
            my $fs = SlowFS->mount(undef, cache => $warm * 3600);
            my $dir = $fs->path;
            prepare($dir);
            for (@requests) {
                my ($name, $code) = @$_;
                my ($asked, $results) = owner_asks($fs, $dir, $warm, $name, $code);
                is("$asked $results", ' 1', ($warm ? 'warm' : 'cold') . ": $name: the owner asks for nothing");
            }
        }
    };

    # A file system that takes the place of another, and of its numbers, is not taken for that.
    for my $round (1 .. 3) {
        my $at = fresh_dir();
        system('mount', '-t', 'tmpfs', 'tmpfs', $at) == 0 or last;
        write_file("$at/file", 'x' x 10);
        run_req { aio_stat "$at/file", $_[0] } for 1 .. 3;
        system('umount', $at) == 0 or die "cannot unmount $at";
        my $fs = SlowFS->mount(undef, at => $at, cache => 3600);
        write_file($fs->source . '/file', 'x' x 20);
        run_req { aio_stat "$at/file", $_[0] };
        write_file($fs->source . '/file', 'x' x 30);
        $fs->reset;
        run_req { aio_stat "$at/file", $_[0] };
        is($fs->asked($$), '', 'where a local file system was, FUSE is not taken for one');
        $fs->unmount;
    }
}

done;
