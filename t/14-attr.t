use strict;
use warnings;
no warnings 'uninitialized';    # undef is among the paths
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl qw(:DEFAULT);
use Time::HiRes ();
use IO::AIO;

# aio_utime, aio_chown, aio_chmod, aio_truncate: by path, by handle, by link, and what fails.

sub times_of {
    my @times = map { sprintf '%.6f', $_ } (Time::HiRes::stat($_[0]))[8, 9];
    s/\.?0+\z// for grep /\./, @times;
    "@times";
}
sub owner_of { join ':', (lstat $_[0])[4, 5] }

# The requests with arguments that would work.
my %change = (
    utime    => sub { aio_utime $_[0],    1, 1, $_[1] },
    chown    => sub { aio_chown $_[0],    $>, $) + 0, $_[1] },
    chmod    => sub { aio_chmod $_[0],    0700, $_[1] },
    truncate => sub { aio_truncate $_[0], 1, $_[1] },
);

each_engine {
    my $dir  = fresh_dir;
    my $file = write_file "$dir/file", 'some data';
    my $link = "$dir/link";
    symlink 'file', $link or die "symlink: $!";
    open my $fh, '+<', $file or die "$file: $!";
    open my $read_only, '<', $file or die "$file: $!";
    my @links_own = lstat $link;

    # a handle's times
    my @what = $file;
    if (without 'FUTIMENS') {
        my $was = times_of($file);
        fails_with { aio_utime $fh, 5, 6, $_[0] } 'ENOSYS', 'utime by handle: ENOSYS';
        is(times_of($file), $was, 'the times are as before');
    } else {
        push @what, $fh;
    }

    # utime: arguments, times afterwards
    for (
        ['whole seconds',        [5,       6],       '5 6'],
        ['fractions',            [1.5,     2.25],    '1.5 2.25'],
        ['microseconds',         [1_500_000_000.000001, 1_500_000_000.999999], '1500000000.000001 1500000000.999999'],
        ['the epoch',            [0,       0],       '0 0'],
        ['strings',              ['12',    '13.5'],  '12 13.5'],
        late_times ? ['beyond 32 bits', [2**33, 2**33], '8589934592 8589934592'] : (),
        ['-1 is a time',         [-1,      -1],      '-1 -1'],
        ['before the epoch',     [-100,    -5],      '-100 -5'],
        ['undefined atime is 0', [undef,   5],       '0 5'],
        ['undefined mtime is 0', [5,       undef],   '5 0'],
        )
    {
        my ($name, $times, $want) = @$_;
        my ($atime, $mtime) = @$times;
        for my $what (@what) {
            utime 77, 77, $file;
            my $by  = ref $what ? 'handle' : 'path';
            my $run = sub {
                succeeds { aio_utime $what, $atime, $mtime, $_[0] } "utime by $by: $name";
                is(times_of($file), $want, 'the times afterwards');
            };
            $name =~ /undef|-1|before/ ? ours(sub { $run->() }, 'sets -1 or fails') : $run->();
        }
    }
    ours {
        run_req { aio_utime $file, -5.5, -0.25, $_[0] };
        is("@{[(stat $file)[8, 9]]}", '-6 -1', 'utime: fractions before the epoch round down');
    } 'fails';
    my @odd = (['NaN', 'nan' + 0], ['infinity', 9**9**9], ['1e30', 1e30], late_times ? () : ['2**33', 2**33]);
    for (@odd) {
        my ($name, $time) = @$_;
        fails_with { aio_utime $file, $time, 1, $_[0] } 'EINVAL', "utime: $name: EINVAL";
    }
    for my $what (@what, @what > 1 ? $read_only : ()) {
        utime 77, 77, $file;
        my $before = time - 1;
        succeeds { aio_utime $what, undef, undef, $_[0] } 'utime: both undefined';
        my ($atime, $mtime) = (stat $file)[8, 9];
        my $after = time; # Linux since 6.13 looks at its clocks twice: the two may be in different seconds
        ok(!(grep { $_ < $before || $_ > $after } $atime, $mtime), 'means now');
    }
    run_req { aio_utime $link, 3, 4, $_[0] };
    is(times_of($file), '3 4', 'utime follows a link');

    # chmod
    for my $mode (0600, 0, 0777, 04751, 02750, 01777) {
        succeeds { aio_chmod $file, $mode, $_[0] } sprintf 'chmod to %04o', $mode;
        is(mode_of($file), $mode, 'by path');
        chmod 0111, $file;
        run_req { aio_chmod $read_only, $mode, $_[0] };
        is(mode_of($file), $mode, 'by handle');
    }
    my $umask = umask 077;
    run_req { aio_chmod $file, 0666, $_[0] };
    umask $umask;
    is(mode_of($file), 0666, 'the umask does not matter');
    run_req { aio_chmod $file, 0100640, $_[0] };
    is(mode_of($file), 0640, 'nor do the bits of the file type');
    run_req { aio_chmod $link, 0604, $_[0] };
    is(mode_of($file), 0604, 'chmod follows a link');
    run_req { aio_chmod $dir, 0750, $_[0] };
    is(mode_of($dir), 0750, 'chmod of a directory');
    chmod 0755, $dir;

    # chown
  SKIP: {
        skip 'only root may give files away', 1 if $>;
        chown 0, 0, $file;
        my $probe = write_file "$dir/probe";
        for (
            ['both',               [1,         2],         '1:2'],
            ['undefined uid',      [undef,     3],         '1:3'],
            ['undefined gid',      [4,         undef],     '4:3'],
            ['uid -1',             [-1,        5],         '4:5'],
            ['gid -1',             [6,         -1],        '6:5'],
            ['both undefined',     [undef,     undef],     '6:5'],
            ['strings',            ['7',       '8'],       '7:8'],
            ['ids beyond 31 bits', [2**32 - 2, 2**31 + 1], '4294967294:2147483649'],
            )
        {
            my ($name, $ids, $want) = @$_;
            my ($uid, $gid) = @$ids;
            next if $name =~ /beyond/ && !chown $uid, $gid, $probe;
            succeeds { aio_chown $file, $uid, $gid, $_[0] } "chown: $name";
            is(owner_of($file), $want, 'the owner afterwards');
        }
        run_req { aio_chown $read_only, 11, 12, $_[0] };
        is(owner_of($file), '11:12', 'chown by handle');
        run_req { aio_chown $link, 13, 14, $_[0] };
        is(owner_of($file), '13:14', 'chown follows a link');
        chown 0, 0, $file;
    }

    # truncate
    for my $what ($file, $fh) {
        my $by = ref $what ? 'handle' : 'path';
        write_file $file, 'some data';
        succeeds { aio_truncate $what, 4, $_[0] } "truncate by $by";
        is(read_file($file), 'some', 'cuts');
        succeeds { aio_truncate $what, 6, $_[0] } 'to a larger size';
        is(read_file($file), "some\0\0", 'fills with zeros');
        succeeds { aio_truncate $what, 0, $_[0] } 'to 0';
        is(-s $file, 0, 'empties');
        fails_with { aio_truncate $what, -1, $_[0] } 'EINVAL', 'to a negative size: EINVAL';
        succeeds { aio_truncate $what, 2.9, $_[0] } 'to a fraction';
        is(-s $file, 2, 'truncates it');
    }
    fails_with { aio_truncate $read_only, 1, $_[0] } 'EINVAL EBADF', 'truncate by a read-only handle: EINVAL';
    fails_with { aio_truncate $dir, 0, $_[0] } 'EISDIR', 'truncate of a directory: EISDIR';
    as_blocking { truncate $file, 2**62 } sub { aio_truncate $file, 2**62, $_[0] }, 'truncate to a size that may be impossible';

    is("@{[(lstat $link)[2, 4, 5, 9]]}", "@links_own[2, 4, 5, 9]", 'the link itself never changed');

    # failures that all of them share
    write_file $file, 'some data';
    chmod 0644, $file;
    my @stay   = (2, 4, 5, 7, 9);    # mode, owner, size, mtime
    my @before = stat $file;
    open my $closed, '<', $file or die "$file: $!";
    close $closed;
    mkdir "$dir/private", 0700 or die "mkdir: $!";
    write_file "$dir/private/file";
    chmod 0, "$dir/private";
    for my $name (sort keys %change) {
        my $change = $change{$name};
        my @path = (
            ['ENOENT',       'a missing file',      "$dir/none"],
            ['ENOENT',       'the empty name',      ''],
            ['ENOENT',       'undef',               undef],
            ['ENOENT',       'a number',            9999],
            ['ENOTDIR',      'below a file',        "$file/x"],
            ['ENAMETOOLONG', 'a long name',         "$dir/" . 'x' x 256],
        );
        for (@path) {
            my ($errno, $what, $path) = @$_;
            fails_with { $change->($path, $_[0]) } $errno, "$name: $what: $errno";
        }
        ours {
            fails_with { $change->($closed, $_[0]) } 'EBADF', "$name: a closed handle: EBADF";
        } 'takes it for a path';
        my %want = (utime => 'EACCES EPERM', chown => 'EPERM', chmod => 'EPERM', truncate => 'EACCES');
        my @got;
      SKIP: {
            skip 'only root has files that are not nobody\'s', 1 if $>;
            @got = as_nobody { my ($errno, @got) = run_req { $change->($file, $_[0]) }; (@got, errno_name($errno)) };
            like("@got", qr/^-1 (?:@{[join '|', split ' ', $want{$name}]})$/, "$name: a file of somebody else");
        }
        @got = as_nobody {
            my ($errno, @got) = run_req { $change->("$dir/private/file", $_[0]) };
            (@got, errno_name($errno));
        };
        is("@got", '-1 EACCES', "$name: in a directory without permission: EACCES");
    }
    chmod 0700, "$dir/private";
    is("@{[(stat $file)[@stay]]}", "@before[@stay]", 'the file is as it was');

    # without callback
    aio_utime $file, 1, 2;
    aio_chown $file, undef, undef;
    aio_chmod $file, 0600;
    aio_truncate $file, 3;
    IO::AIO::flush;
    is(mode_of($file), 0600, 'without callback they work too');
};

done;
