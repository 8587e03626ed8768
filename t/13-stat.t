use strict;
use warnings;
no warnings 'uninitialized';    # undef is among the paths
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl qw(:DEFAULT :mode);
use IO::AIO;

# aio_stat and aio_lstat: what "_" holds, when, and for what.

# Asks perl inside of the callback, where the answers are promised.
sub in_callback {
    my ($call, $ask) = @_;
    my (@answer, $calls);
    $call->(sub { $calls++; @answer = $_[0] ? "failed: $!" : $ask->() });
    IO::AIO::flush;
    return wantarray ? @answer : $answer[0] if $calls;
    return 'not called';
}

sub by_stat  { my ($what) = @_; sub { aio_stat $what,  $_[0] } }
sub by_lstat { my ($what) = @_; sub { aio_lstat $what, $_[0] } }

each_engine {
    my $dir  = fresh_dir;
    my $file = write_file "$dir/file", 'x' x 1234;
    chmod 0640, $file;
    utime 1_000_000_000, 1_111_111_111, $file;
    symlink 'file', "$dir/link"   or die "symlink: $!";
    symlink 'none', "$dir/broken" or die "symlink: $!";
    link $file, "$dir/second"     or die "link: $!";
    open my $fh, '<', $file or die "$file: $!";

    # the result is the same as perl's
    my %what = (file => $file, directory => $dir, link => "$dir/link", device => '/dev/null', handle => $fh);
    for my $name (sort keys %what) {
        my $what = $what{$name};
        is_deeply([in_callback(by_stat($what), sub { stat _ })], [stat $what], "stat of a $name");
        if (ref $what) {
            is_deeply([in_callback(by_lstat($what), sub { stat _ })], [stat $what], "lstat of a $name is stat");
        } else {
            is_deeply([in_callback(by_lstat($what), sub { lstat _ })], [lstat $what], "lstat of a $name");
        }
    }

    # filetests
    is(in_callback(by_stat($file), sub { -s _ }), 1234, '-s _');
    is_deeply(
        [map $_ ? 1 : 0, in_callback(by_stat($file), sub { (-e _, -f _, -d _, -r _, -w _, -x _, -z _, -o _, -p _, -u _) })],
        [1, 1, 0, 1, 1, 0, 0, 1, 0, 0],
        'other filetests'
    );
    ok(in_callback(by_stat($dir), sub { -d _ }), '-d _ of a directory');
    ok(in_callback(by_stat('/dev/null'), sub { -c _ }), '-c _ of a device');
    ok(in_callback(by_lstat("$dir/link"), sub { -l _ }), '-l _ after lstat of a link');
    ok(in_callback(by_lstat($file), sub { !-l _ }), 'not of a file');
    ok(in_callback(by_stat("$dir/link"), sub { -f _ }), 'stat follows a link');
    is(in_callback(by_lstat("$dir/link"), sub { -s _ }), length 'file', 'lstat does not');
    for my $ask ('-l _', 'lstat _') {
        my $died = in_callback(by_stat("$dir/link"), sub { eval "$ask; 1"; $@ });
        like($died, qr/lstat/, "$ask after stat dies");
        open my $fh, '<', $file or die "$file: $!";
        $died = in_callback(by_lstat($fh), sub { eval "$ask; 1"; $@ });
        like($died, qr/lstat/, "$ask after lstat of a handle, as in perl");
    }
    is(in_callback(by_stat($file), sub { my @st = stat _; $st[9] }), 1_111_111_111, 'mtime');
    is(in_callback(by_stat($file), sub { my @st = stat _; $st[3] }), (stat $file)[3], 'number of links');
    is(in_callback(by_stat($file), sub { my @st = stat _; S_IMODE($st[2]) }), 0640, 'mode');
    is(in_callback(by_stat($file), sub { -M _ }), -M $file, '-M _');

    # "_" is as the last stat that was called back left it
    my @seen;
    aio_stat $file, sub { push @seen, -s _ };
    aio_stat $dir,  sub { push @seen, -d _ ? 'dir' : '-' };
    aio_stat $file, sub { push @seen, -s _ };
    IO::AIO::flush;
    is("@{[sort @seen]}", '1234 1234 dir', 'each callback has its own');

    stat $dir;
    my $during;
    my $req = aio_stat $file, sub { $during = -s _ };
    wait_for { IO::AIO::npending };
    ok(-d _, 'before the callback "_" is the one before');
    IO::AIO::flush;
    is($during, 1234, 'in it the new one');
    ok(-f _, 'after it too');

    stat $dir;
    aio_stat $file;
    IO::AIO::flush;
    ok(-d _, 'a stat without callback leaves "_" alone');
    $req = aio_stat $file, sub { };
    $req->cancel;
    IO::AIO::flush;
    ok(-d _, 'so does a cancelled one');

    # failures
    for my $call ([aio_stat => \&by_stat], [aio_lstat => \&by_lstat]) {
        my ($name, $by) = @$call;
        for (
            ['ENOENT',       'a missing file',   "$dir/none"],
            ['ENOENT',       'the empty name',   ''],
            ['ENOENT',       'undef',            undef],
            ['ENOTDIR',      'below a file',     "$file/x"],
            ['ENOTDIR',      'a file and "/"',   "$file/"],
            ['ENAMETOOLONG', 'a long name',      "$dir/" . 'x' x 256],
            ['ENAMETOOLONG', 'a long path',      '/x' x 5000],
            )
        {
            my ($errno, $what, $path) = @$_;
            fails_with { $by->($path)->($_[0]) } $errno, "$name: $what: $errno";
        }
    }
    fails_with { aio_stat "$dir/broken", $_[0] } 'ENOENT', 'stat of a broken link: ENOENT';
    succeeds { aio_lstat "$dir/broken", $_[0] } 'lstat of it works';
    symlink 'loop', "$dir/loop" or die "symlink: $!";
    fails_with { aio_stat "$dir/loop", $_[0] } 'ELOOP', 'stat of links in a circle: ELOOP';
    mkdir "$dir/private", 0700 or die "mkdir: $!";
    write_file "$dir/private/file";
    chmod 0, "$dir/private";
    for my $name (qw(stat lstat)) {
        my @got = as_nobody {
            my $path = "$dir/private/file";
            my ($errno, @got) = run_req { $name eq 'stat' ? aio_stat $path, $_[0] : aio_lstat $path, $_[0] };
            (@got, errno_name($errno));
        };
        is_deeply(\@got, [-1, 'EACCES'], "$name in a directory without permission: EACCES");
    }
    chmod 0700, "$dir/private";
    aio_stat "$dir/none", sub { is(-s _, undef, '-s _ is undef after a failure') };
    IO::AIO::flush;

    open my $closed, '<', $file or die "$file: $!";
    close $closed;
    ours {
        fails_with { aio_stat $closed, $_[0] } 'EBADF', 'stat of a closed handle: EBADF';
    } 'takes it for a path';
    chdir $dir or die "$dir: $!";
    write_file "$dir/7", 'seven';
    is(in_callback(by_stat(7), sub { -s _ }), 5, 'a number is a path name');
    is(in_callback(by_stat('file'), sub { -s _ }), 1234, 'a relative path');
    chdir '/';
    is(in_callback(by_stat(\*STDERR), sub { join ' ', stat _ }), join(' ', stat STDERR), 'a globref');
    is(in_callback(by_stat(*STDERR), sub { join ' ', stat _ }), join(' ', stat STDERR), 'a glob');
    ours {
        is(in_callback(by_stat(*STDERR{IO}), sub { join ' ', stat _ }), join(' ', stat STDERR), 'an IO slot');
    } 'refuses it';
    opendir my $dh, $dir or die "$dir: $!";
    ours { ok(in_callback(by_stat($dh), sub { -d _ }), 'a directory handle') } 'refuses it';

    # many at once
    my $count = 0;
    aio_stat $file, sub { $count++ if !$_[0] && -s _ == 1234 } for 1 .. 1000;
    IO::AIO::flush;
    is($count, 1000, 'a thousand at once');
};

done;
