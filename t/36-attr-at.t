use strict;
use warnings;
no warnings 'uninitialized';    # undef is among the arguments
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use IO::AIO;

# What 4.80 does not have beside t/14-attr.t and t/15-paths.t: times to the nanosecond, attributes of symbolic links
# themselves, removing and linking with flags.

BEGIN { plan skip_all => 'the peer has none of it' if is_peer }
use IO::AIO ':more';

sub owner_of { join ':', (lstat $_[0])[4, 5] }

# Access and modification time, exactly.
sub times_of {
    my ($path) = @_;
    my @times;
    aio_lstat $path, sub {
        $_[0] == 0 or die "$path: $!";
        @times = ((lstat _)[8], IO::AIO::st_atimensec, (lstat _)[9], IO::AIO::st_mtimensec);
    };
    IO::AIO::flush;
    "@times";
}

my $exact = !without('UTIMENSAT', 'FUTIMENS', 'ST_TIM');
my $nothing = without('AT') ? 'ENOSYS' : '';

each_engine {
    my $dir  = fresh_dir;
    my $file = write_file "$dir/file", 'some data';
    my $link = "$dir/link";
    symlink 'file', $link or die "symlink: $!";
    open my $fh, '+<', $file or die "$file: $!";
    my (undef, $wd) = run_req { aio_wd $dir, $_[0] };

    # exact times
    my %set = (
        'utime by path'    => [\&aio_utime,  $file,         $file],
        'utime by handle'  => [\&aio_utime,  $fh,           $file],
        'utime in a wd'    => [\&aio_utime,  [$wd, 'file'], $file],
        'lutime of a file' => [\&aio_lutime, $file,         $file],
        'lutime by handle' => [\&aio_lutime, $fh,           $file],
        'lutime of a link' => [\&aio_lutime, $link,         $link],
        'lutime in a wd'   => [\&aio_lutime, [$wd, 'link'], $link],
    );
    for my $name (sort keys %set) {
      SKIP: {
            skip 'times are not kept to the nanosecond here', 1 if !$exact;
            my ($request, $what, $shown) = @{ $set{$name} };
            my $other = $shown eq $file ? $link : $file;
            for (
                [[1, 2],           [3, 4],                     '1 2 3 4'],
                [[0, 0],           [0, 999_999_999],           '0 0 0 999999999'],
                [[5, 123_456_789], 7.5,                        '5 123456789 7 500000000'],
                [8,                [1_500_000_000, 1],         '8 0 1500000000 1'],
                [[-1, 999_999_999], [-5, 1],                   '-1 999999999 -5 1'],
                [['6', '7'],       ['8.9', '9.9'],             '6 7 8 9'],
                [undef,            [4, 5],                     '0 0 4 5'],
                [[4, 5],           undef,                      '4 5 0 0'],
                )
            {
                my ($atime, $mtime, $want) = @$_;
                my $before = times_of($other);
                succeeds {; $request->($what, $atime, $mtime, $_[0]) } "$name to $want";
                is(times_of($shown), $want, 'the times afterwards');
                is(times_of($other), $before, 'those of the other one are as before');
            }
            my $before = times_of($shown);
            for my $bad ([0, -1], [0, 1_000_000_000], [0, 2**32], [2**60, 0], [0, 'nan'], ['inf', 0]) {
                fails_with {; no warnings 'numeric'; $request->($what, $bad, 1, $_[0]) } 'EINVAL', "$name: atime [@$bad]";
                fails_with {; no warnings 'numeric'; $request->($what, 1, $bad, $_[0]) } 'EINVAL', "$name: mtime [@$bad]";
            }
            is(times_of($shown), $before, 'changes nothing');
            my $now = time;
            succeeds {; $request->($what, undef, undef, $_[0]) } "$name to now";
            cmp_ok((lstat $shown)[9], '>=', $now - 1, 'is now');
        }
        my ($request, $what) = @{ $set{$name} };
        for my $bad ([], [1], [1, 2, 3], bless [1, 2], 'Object') {
            croaks { $request->($what, $bad, 1) } qr/atime must be a number/, "$name: " . @$bad . ' elements';
            croaks { $request->($what, 1, $bad) } qr/mtime must be a number/, "$name: " . @$bad . ' elements';
        }
        croaks { $request->($what, [[], 1], 1) } qr/atime must be a number/, "$name: a reference in it";
    }
    fails_with { aio_lutime $link, 1, 2, $_[0] } 'ENOSYS', 'lutime: ENOSYS' if without 'UTIMENSAT';

    # the owner of a link
  SKIP: {
        skip 'only root may give files away', 1 if $>;
        for my $what ($link, [$wd, 'link']) {
            succeeds { aio_lchown $what, 12, 34, $_[0] } 'lchown of a link';
            is(owner_of($link), '12:34', 'changes it');
            is(owner_of($file), '0:0', 'not the file');
            succeeds { aio_lchown $what, undef, 0, $_[0] } 'lchown of the group';
            is(owner_of($link), '12:0', 'leaves the user');
            lchown_back($link);
        }
        for my $what ($file, $fh) {
            succeeds { aio_lchown $what, 56, 78, $_[0] } 'lchown of a file';
            is(owner_of($file), '56:78', 'changes it');
            chown 0, 0, $file;
        }
    }

    # permissions: those of a link are nobody's to change on Linux
    for my $what ($file, [$wd, 'file']) {
        $nothing ? fails_with { aio_lchmod $what, 0640, $_[0] } 'ENOSYS', 'lchmod: ENOSYS'
            : succeeds { aio_lchmod $what, 0640, $_[0] } 'lchmod of a file';
        is(mode_of($file), 0640, 'changes it') if !$nothing;
        chmod 0600, $file;
    }
    succeeds { aio_lchmod $fh, 0604, $_[0] } 'lchmod by handle';
    is(mode_of($file), 0604, 'changes it');
    my ($errno, $status) = run_req { aio_lchmod $link, 0600, $_[0] };
    is(mode_of($file), 0604, 'lchmod of a link: not that of the file');
    like($status == 0 ? 'done' : errno_name($errno), qr/^(?:done|ENOTSUP|EOPNOTSUPP|ENOSYS)$/, 'and says whether it can');

    # unlinkat
    my $rmdir = IO::AIO::AT_REMOVEDIR;
    for my $at ('', 'in a wd') {
        my $name = sub { $at ? [$wd, $_[0]] : "$dir/$_[0]" };
        write_file "$dir/gone";
        mkdir "$dir/sub" or die "mkdir: $!";
        fails_with { aio_unlinkat $name->('sub'), 0, $_[0] } 'EISDIR EPERM', "unlinkat $at of a directory without flag";
        succeeds { aio_unlinkat $name->('gone'), 0, $_[0] } "unlinkat $at";
        ok(!-e "$dir/gone", 'removes it');
        fails_with { aio_unlinkat $name->('gone'), 0, $_[0] } 'ENOENT', "unlinkat $at again";
        next if !$rmdir;
        fails_with { aio_unlinkat $name->('file'), $rmdir, $_[0] } 'ENOTDIR', "unlinkat $at of a file with AT_REMOVEDIR";
        write_file "$dir/sub/x";
        fails_with { aio_unlinkat $name->('sub'), $rmdir, $_[0] } 'ENOTEMPTY EEXIST', "unlinkat $at of a full directory";
        unlink "$dir/sub/x";
        succeeds { aio_unlinkat $name->('sub'), $rmdir, $_[0] } "unlinkat $at of a directory";
        ok(!-e "$dir/sub", 'removes it');
    }
    fails_with { aio_unlinkat $file, 1, $_[0] } 'EINVAL', 'unlinkat with another flag';
    fails_with { aio_unlinkat $file, 2**40, $_[0] } 'EINVAL', 'unlinkat with too large a flag';
    ok(-e $file, 'removes nothing');

    # linkat
    my $follow = IO::AIO::AT_SYMLINK_FOLLOW;
    for my $to ("$dir/new", [$wd, 'new']) {
        for my $from ($link, [$wd, 'link']) {
            succeeds { aio_linkat $from, $to, 0, $_[0] } 'linkat of a link';
            ok(-l "$dir/new", 'makes another link');
            fails_with { aio_linkat $from, $to, 0, $_[0] } 'EEXIST', 'linkat to a name that is there';
            unlink "$dir/new";
            next if !$follow;
            succeeds { aio_linkat $from, $to, $follow, $_[0] } 'linkat that follows';
            ok(!-l "$dir/new", 'makes another name of the file');
            is((stat "$dir/new")[1], (stat $file)[1], 'of that very file');
            unlink "$dir/new";
        }
        next if !IO::AIO::AT_EMPTY_PATH || without 'AT';
        succeeds { aio_linkat $fh, $to, 0, $_[0] } 'linkat by handle';
        is((stat "$dir/new")[1], (stat $file)[1], 'makes another name of the file');
        fails_with { aio_linkat $fh, $to, 0, $_[0] } 'EEXIST', 'and again';
        unlink "$dir/new";
        fails_with { aio_linkat $fh, [$wd, 'none/new'], 0, $_[0] } 'ENOENT', 'linkat into nothing';
    }
  SKIP: {
        my $tmp = IO::AIO::O_TMPFILE && !without 'AT' or skip 'no O_TMPFILE', 1;
        my (undef, $unnamed) = run_req { aio_open $dir, IO::AIO::O_TMPFILE | IO::AIO::O_RDWR, 0600, $_[0] };
        $unnamed or skip "O_TMPFILE: $!", 1;
        syswrite $unnamed, 'at once';
        succeeds { aio_linkat $unnamed, "$dir/named", 0, $_[0] } 'linkat of a file without a name';
        is(read_file("$dir/named"), 'at once', 'gives it one');
        my @got = as_nobody {
            chmod 0777, $dir;
            my (undef, $own) = run_req { aio_open '/tmp', IO::AIO::O_TMPFILE | IO::AIO::O_RDWR, 0600, $_[0] };
            $own or return "open: $!";
            my $name = "/tmp/aio-linkat-$$";
            my ($errno, $status) = run_req { aio_linkat $own, $name, 0, $_[0] };
            unlink $name;
            return $status, errno_name($errno);
        };
        is("$got[0]", 0, 'without privileges, too') or diag("@got");
    }
    fails_with { aio_linkat $file, "$dir/new", 0x40000000, $_[0] } $nothing || 'EINVAL', 'linkat with an unknown flag';
    fails_with { aio_linkat "$dir/none", "$dir/new", 0, $_[0] } 'ENOENT', 'linkat of nothing';
    fails_with { aio_linkat '', "$dir/new", 0, $_[0] } 'ENOENT', 'linkat of the empty name';

    # failures that all of them share
    my %change = (
        lutime   => sub { aio_lutime $_[0], 1, 1, $_[1] },
        lchown   => sub { aio_lchown $_[0], $>, $) + 0, $_[1] },
        lchmod   => sub { aio_lchmod $_[0], 0700, $_[1] },
        unlinkat => sub { aio_unlinkat $_[0], 0, $_[1] },
        linkat   => sub { aio_linkat $_[0], "$dir/new", 0, $_[1] },
    );
    open my $closed, '<', $file or die "$file: $!";
    close $closed;
    for my $name (sort keys %change) {
        next if $name eq 'lutime' && without 'UTIMENSAT' or $name eq 'lchmod' && $nothing;
        my $change = $change{$name};
        fails_with {; $change->("$dir/none", $_[0]) } 'ENOENT', "$name of nothing";
        fails_with {; $change->(undef, $_[0]) } 'ENOENT', "$name of undef";
        fails_with {; $change->("$file/x", $_[0]) } 'ENOTDIR', "$name below a file";
        fails_with {; $change->([IO::AIO::INVALID_WD, 'x'], $_[0]) } 'ENOENT', "$name in an invalid directory";
        next if $name eq 'unlinkat';
        fails_with {; $change->($closed, $_[0]) } 'EBADF', "$name of a closed handle";
    }
};

sub lchown_back {
    my ($link) = @_;
    run_req { aio_lchown $link, 0, 0, $_[0] };
}

done;
