# AnyEvent::IO on its IO::AIO backend.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

BEGIN {
    $ENV{PERL_ANYEVENT_IO_MODEL} = 'IOAIO';
    eval { require AnyEvent::IO; require AnyEvent::AIO; 1 } or plan skip_all => 'needs AnyEvent::IO and AnyEvent::AIO';
    AnyEvent::IO->import(qw(:DEFAULT :flags));
}

use AIOTest ();
use AnyEvent;
use Errno qw(ENOENT EEXIST ENOSYS);

BEGIN { AIOTest->import(qw(each_engine usual_engine fresh_dir write_file read_file mode_of errno_name without done)) }

# The event loop and what it opens belong to the state at the start.
{ my $turn = AE::cv; AE::postpone { $turn->send }; $turn->recv }

# Passes the block a callback, runs the event loop until it is called, and returns what it got: success is
# at least one argument, failure is none, with $!.
sub wait_for_io(&) {
    my ($submit) = @_;
    my $cv = AE::cv;
    my $errno;
    $submit->(sub { $errno = $! + 0; $cv->send(@_) });
    my @results = $cv->recv;
    $! = $errno;
    wantarray ? @results : $results[0];
}

sub io_ok(&$) {
    my ($submit, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @got = &wait_for_io($submit);
    ok(@got && $got[0], $name) or diag "got (@got), $!";
    $got[0];
}

sub io_fails(&$$) {
    my ($submit, $errno, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @got = &wait_for_io($submit);
    ok(!@got && $! == $errno, $name) or diag 'got ' . @got . " arguments, $!";
}

IO::AIO::min_fdlimit(256);    # many files are open at a time
is($AnyEvent::IO::MODEL, 'AnyEvent::IO::IOAIO', 'the backend in use');

usual_engine {
    my $dir  = fresh_dir();
    my $path = "$dir/file";

    # -- handles
    my $fh = io_ok { aio_open $path, O_RDWR | O_CREAT | O_EXCL, 0644, $_[0] } 'open';
    io_fails { aio_open $path, O_RDWR | O_CREAT | O_EXCL, 0644, $_[0] } EEXIST, 'open again';
    is(scalar(wait_for_io { aio_write $fh, 'hello, world', $_[0] }), 12, 'write');
    is(scalar(wait_for_io { aio_write $fh, '!', $_[0] }), 1, 'write goes on where it was');
    is(scalar(wait_for_io { aio_seek $fh, 0, 2, $_[0] }), 13, 'seek to the end');
    is(0 + wait_for_io { aio_seek $fh, 0, 0, $_[0] }, 0, 'seek to the start');
    is_deeply([wait_for_io { aio_read $fh, 5, $_[0] }], ['hello'], 'read');
    is_deeply([wait_for_io { aio_read $fh, 100, $_[0] }], [', world!'], 'read less than asked for');
    is_deeply([wait_for_io { aio_read $fh, 100, $_[0] }], [''], 'read at the end');
    io_ok { aio_truncate $fh, 5, $_[0] } 'truncate a handle';
    io_ok { aio_stat $fh, $_[0] } 'stat a handle';
    is(-s _, 5, 'its size in _');
    if (without 'FUTIMENS') {
        io_fails { aio_utime $fh, 3, 4, $_[0] } ENOSYS, 'utime of a handle';
        utime 3, 4, $path;
    } else {
        io_ok { aio_utime $fh, 3, 4, $_[0] } 'utime of a handle';
    }
    io_ok { aio_chmod $fh, 0600, $_[0] } 'chmod of a handle';
    io_ok { aio_chown $fh, undef, undef, $_[0] } 'chown of a handle';
    io_ok { aio_close $fh, $_[0] } 'close';

    # -- paths
    is_deeply([(stat $path)[8, 9]], [3, 4], 'the times that were set');
    is(mode_of($path), 0600, 'the mode that was set');
    is_deeply([wait_for_io { aio_load $path, $_[0] }], ['hello'], 'load');
    io_ok { aio_truncate $path, 4, $_[0] } 'truncate a path';
    io_ok { aio_utime $path, 5, 6, $_[0] } 'utime of a path';
    io_ok { aio_chmod $path, 0640, $_[0] } 'chmod of a path';
    io_ok { aio_chown $path, -1, undef, $_[0] } 'chown of a path';
    is_deeply([(stat $path)[7, 8, 9]], [4, 5, 6], 'as set');
    is(mode_of($path), 0640, 'also the mode');
    io_ok { aio_utime $path, undef, undef, $_[0] } 'utime: now';
    cmp_ok(abs((stat $path)[9] - time), '<', 60, 'it is now');
    io_ok { aio_link $path, "$dir/hard", $_[0] } 'link';
    io_ok { aio_symlink 'file', "$dir/soft", $_[0] } 'symlink';
    is_deeply([wait_for_io { aio_readlink "$dir/soft", $_[0] }], ['file'], 'readlink');
    io_ok { aio_stat "$dir/soft", $_[0] } 'stat';
    is_deeply([(stat _)[3, 7]], [2, 4], 'links and size in _');
    io_ok { aio_lstat "$dir/soft", $_[0] } 'lstat';
    ok(-l _, 'a symlink in _');
    io_ok { aio_rename "$dir/hard", "$dir/.renamed", $_[0] } 'rename';
    io_ok { aio_mkdir "$dir/sub", 0700, $_[0] } 'mkdir';
    is(mode_of("$dir/sub"), 0700, 'its mode');
    my ($names) = wait_for_io { aio_readdir $dir, $_[0] };
    is(join(' ', sort @$names), '.renamed file soft sub', 'readdir');
  SKIP: {
        skip 'no types of entries in this build', 1 if without('GETDENTS64') && without('DIRENT_D_TYPE');
        is($names->[0], 'sub', 'the directory comes first');
    }
    io_ok { aio_rmdir "$dir/sub", $_[0] } 'rmdir';
    io_ok { aio_unlink "$dir/$_", $_[0] } "unlink $_" for '.renamed', 'file', 'soft';
    is_deeply([wait_for_io { aio_readdir $dir, $_[0] }], [[]], 'an empty directory');
    is(scalar(wait_for_io { aio_load write_file("$dir/empty"), $_[0] }), '', 'load of an empty file');

    # -- failures
    my $none = "$dir/none";
    io_fails { $_->[1]->($_[0]) } ENOENT, "$_->[0] of what is not there" for
        [load     => sub { aio_load $none, $_[0] }],
        [open     => sub { aio_open $none, O_RDONLY, 0, $_[0] }],
        [truncate => sub { aio_truncate $none, 0, $_[0] }],
        [utime    => sub { aio_utime $none, 0, 0, $_[0] }],
        [chown    => sub { aio_chown $none, 0, 0, $_[0] }],
        [chmod    => sub { aio_chmod $none, 0, $_[0] }],
        [stat     => sub { aio_stat $none, $_[0] }],
        [lstat    => sub { aio_lstat $none, $_[0] }],
        [link     => sub { aio_link $none, "$dir/x", $_[0] }],
        [symlink  => sub { aio_symlink 'x', "$none/x", $_[0] }],
        [readlink => sub { aio_readlink $none, $_[0] }],
        [rename   => sub { aio_rename $none, "$dir/x", $_[0] }],
        [unlink   => sub { aio_unlink $none, $_[0] }],
        [mkdir    => sub { aio_mkdir "$none/x", 0755, $_[0] }],
        [rmdir    => sub { aio_rmdir $none, $_[0] }],
        [readdir  => sub { aio_readdir $none, $_[0] }];
};

# A tree is copied entry by entry, all directories at once; then it is compared.
sub make_tree {
    my ($dir, $depth) = @_;
    my $n = 0;
    for my $i (1 .. 8) {
        write_file("$dir/f$i", "$dir $i\n" x ($i * 400));
        symlink "f$i", "$dir/l$i" or die "$dir/l$i: $!";
        $n += 2;
        next if $i > 3 || !$depth;
        mkdir "$dir/d$i", 0750 or die "$dir/d$i: $!";
        $n += 1 + make_tree("$dir/d$i", $depth - 1);
    }
    chmod 0755 & ~$depth, $dir;
    $n;
}

sub copy_tree {
    my ($from, $to, $cv, $count) = @_;
    my $step = sub {
        my ($what, $next) = @_;
        $cv->begin;
        sub { @_ ? $next->(@_) : $cv->croak("$what: $!"); $cv->end };
    };
    aio_readdir $from, $step->($from, sub {
        for my $name (@{ $_[0] }) {
            my ($old, $new) = ("$from/$name", "$to/$name");
            $$count++;
            aio_lstat $old, $step->($old, sub {
                my $mode = (lstat _)[2] & 07777;
                if (-d _) {
                    aio_mkdir $new, 0700, $step->($new, sub {
                        copy_tree($old, $new, $cv, $count);
                        aio_chmod $new, $mode, $step->($new, sub { });
                    });
                } elsif (-l _) {
                    aio_readlink $old, $step->($old, sub { aio_symlink $_[0], $new, $step->($new, sub { }) });
                } else {
                    my $size = -s _;
                    aio_open $old, O_RDONLY, 0, $step->($old, sub {
                        my ($in) = @_;
                        aio_open $new, O_WRONLY | O_CREAT | O_EXCL, $mode, $step->($new, sub {
                            my ($out) = @_;
                            my $chunk; $chunk = sub {
                                aio_read $in, 4096, $step->($old, sub {
                                    length $_[0] or return undef $chunk;
                                    aio_write $out, $_[0], $step->($new, $chunk);
                                });
                            };
                            $chunk->();
                        });
                    });
                }
            });
        }
    });
}

# name => what it is, for everything below a directory
sub list_tree {
    my ($dir, $prefix) = @_;
    opendir my $d, $dir or die "$dir: $!";
    map {
        my $path = "$dir/$_";
        my $is   = -l $path ? '-> ' . readlink $path : -d $path ? '/' : read_file($path);
        (("$prefix$_" => $is . ' ' . mode_of($path)), -d $path && !-l $path ? list_tree($path, "$prefix$_/") : ());
    } grep !/^\.\.?$/, readdir $d;
}

usual_engine {
    my ($from, $to, $count) = (fresh_dir(), fresh_dir(), 0);
    my $entries = make_tree($from, 3);
    my $cv = AE::cv;
    $cv->begin;
    copy_tree($from, $to, $cv, \$count);
    $cv->end;
    is(eval { $cv->recv; '' }, '', 'a tree is copied') or diag $@;
    is($count, $entries, "all of its $entries entries were seen");
    is_deeply({ list_tree($to, '') }, { list_tree($from, '') }, 'the copy is the same');
};

done;
