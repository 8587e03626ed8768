use strict;
use warnings;
no warnings 'uninitialized';    # undef is among the arguments
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use IO::AIO;

# Extended attributes: by path, handle, link; values of all kinds, names, failures.

BEGIN { plan skip_all => 'the peer has none of it' if is_peer }
use IO::AIO ':more';

# What a request passes to its callback, or the name of the error.
sub result(&) {
    my ($code) = @_;
    my ($errno, @got) = run_req { $code->($_[0]) };
    return @got && defined $got[0] && "$got[0]" ne '-1' ? $got[0] : errno_name($errno);
}

my %request = (
    getxattr     => sub { aio_getxattr $_[0],     'user.a', $_[-1] },
    lgetxattr    => sub { aio_lgetxattr $_[0],    'user.a', $_[-1] },
    setxattr     => sub { aio_setxattr $_[0],     'user.a', 'x', 0, $_[-1] },
    lsetxattr    => sub { aio_lsetxattr $_[0],    'user.a', 'x', 0, $_[-1] },
    listxattr    => sub { aio_listxattr $_[0],    $_[-1] },
    llistxattr   => sub { aio_llistxattr $_[0],   $_[-1] },
    removexattr  => sub { aio_removexattr $_[0],  'user.a', $_[-1] },
    lremovexattr => sub { aio_lremovexattr $_[0], 'user.a', $_[-1] },
);

each_engine {
    my $dir  = fresh_dir;
    my $file = write_file "$dir/file", 'some data';
    my $link = "$dir/link";
    symlink 'file', $link or die "symlink: $!";
    open my $fh, '<', $file or die "$file: $!";
    my (undef, $wd) = run_req { aio_wd $dir, $_[0] };

    if (without 'XATTR') {
        is(result { $request{$_}->($file, $_[0]) }, 'ENOSYS', "$_: ENOSYS") for sort keys %request;
        return;
    }

    # failures that all of them share
    open my $closed, '<', $file or die "$file: $!";
    close $closed;
    for my $name (sort keys %request) {
        my $request = $request{$name};
        is(result { $request->("$dir/none", $_[0]) }, 'ENOENT', "$name of nothing");
        is(result { $request->(undef, $_[0]) }, 'ENOENT', "$name of undef");
        is(result { $request->([$wd, ''], $_[0]) }, 'ENOENT', "$name of the empty name in a wd");
        is(result { $request->([IO::AIO::INVALID_WD, 'file'], $_[0]) }, 'ENOENT', "$name in an invalid wd");
        is(result { $request->("$file/x", $_[0]) }, 'ENOTDIR', "$name below a file");
        is(result { $request->($closed, $_[0]) }, 'EBADF', "$name of a closed handle");
    }
    croaks { aio_getxattr $file, sub { } } qr/name must be a string, not a reference: is an argument missing/, 'no name';
    croaks { aio_getxattr $file, "\x{100}" } qr/"name" argument must be byte/, 'a wide name';
    croaks { aio_setxattr $file, 'user.a', "\x{100}", 0 } qr/"data" argument must be byte/, 'a wide value';
    croaks { aio_setxattr $file, 'user.a', sub { }, 0 } qr/data must be a scalar, not code/, 'no value';
    is(result { aio_getxattr $file, "user.a\0b", $_[0] }, 'EINVAL', 'a name with a NUL');
    is(result { aio_setxattr $file, "user.a\0b", 'x', 0, $_[0] }, 'EINVAL', 'no more can it be set');
    is(result { aio_setxattr $file, 'user.a', 'x', 2**40, $_[0] }, 'EINVAL', 'flags that fit no int');

  SKIP: {
        my $probe = result { aio_setxattr $file, 'user.probe', 'x', 0, $_[0] };
        skip "no attributes on this file system: $probe", 1 if $probe;
        run_req { aio_removexattr $file, 'user.probe', $_[0] };

        for my $way (['path', $file], ['handle', $fh], ['link', $link], ['wd', [$wd, 'file']], ['link in a wd', [$wd, 'link']]) {
            my ($by, $what) = @$way;
            for my $value ('value', '', "\0\n\xff\0", 'x' x 2000, 17, undef) {
                my $shown = defined $value ? length($value) . ' octets' : 'undef';
                is(result { aio_setxattr $what, 'user.a', $value, 0, $_[0] }, 0, "$by: set $shown");
                is(result { aio_getxattr $what, 'user.a', $_[0] }, "$value", "$by: get them");
            }
            is(result { aio_setxattr $what, 'user.a', 'y', IO::AIO::XATTR_CREATE, $_[0] }, 'EEXIST', "$by: XATTR_CREATE");
            is(result { aio_setxattr $what, 'user.b', 'y', IO::AIO::XATTR_REPLACE, $_[0] }, 'ENODATA', "$by: XATTR_REPLACE");
            is(result { aio_setxattr $what, "user.\xe4", 'y', IO::AIO::XATTR_CREATE, $_[0] }, 0, "$by: any octets");
            is(join(' ', sort grep /^user\./, @{ +result { aio_listxattr $what, $_[0] } }), "user.a user.\xe4", "$by: list");
            is(result { aio_removexattr $what, $_, shift }, 0, "$by: remove $_") for 'user.a', "user.\xe4";
            is(result { aio_removexattr $what, 'user.a', $_[0] }, 'ENODATA', "$by: remove nothing");
            is(result { aio_getxattr $what, 'user.a', $_[0] }, 'ENODATA', "$by: get nothing");
            is(join(' ', grep /^user\./, @{ +result { aio_listxattr $what, $_[0] } }), '', "$by: list nothing");
        }
        my $utf8 = "caf\xe9";
        utf8::upgrade($utf8);
        is(result { aio_setxattr $file, "user.$utf8", $utf8, 0, $_[0] }, 0, 'how perl stores strings');
        is(result { aio_getxattr $file, "user.caf\xe9", $_[0] }, "caf\xe9", 'does not matter');

        # a value in flight
        my $value = 'before';
        hold;
        aio_setxattr $file, 'user.a', $value, 0;
        ok(!eval { $value = 'after'; 1 }, 'a value in flight cannot be changed');
        release;
        IO::AIO::flush;
        $value = 'after';
        is(result { aio_getxattr $file, 'user.a', $_[0] }, 'before', 'it is the one of the call');

        # links themselves
        is(result { aio_lgetxattr $link, 'user.a', $_[0] }, 'ENODATA', 'lgetxattr does not follow');
        is(result { aio_lsetxattr $link, 'user.a', 'x', 0, $_[0] }, 'EPERM', 'lsetxattr of a link');
        is(join(' ', grep /^user/, @{ +result { aio_llistxattr [$wd, 'link'], $_[0] } }), '', 'llistxattr of a link');
      SKIP: {
            my $set = result { aio_lsetxattr [$wd, 'link'], 'trusted.a', 'own', 0, $_[0] };
            skip "no attributes of links here: $set", 1 if $set;
            is(result { aio_lgetxattr $link, 'trusted.a', $_[0] }, 'own', 'a link has its own');
            is(result { aio_getxattr $link, 'trusted.a', $_[0] }, 'ENODATA', 'the file has not');
            is(result { aio_lremovexattr $link, 'trusted.a', $_[0] }, 0, 'lremovexattr');
        }

        # an access control list goes from file to file
        write_file "$dir/other";
        my $acl = pack 'V (v v V)*', 2, 1, 6, -1 & 0xffffffff, 2, 4, 4711, 4, 4, 0xffffffff, 16, 4, 0xffffffff, 32, 0, 0xffffffff;
      SKIP: {
            my $set = result { aio_setxattr $file, 'system.posix_acl_access', $acl, 0, $_[0] };
            skip "no access control lists here: $set", 1 if $set;
            my $got = result { aio_getxattr $file, 'system.posix_acl_access', $_[0] };
            is(unpack('H*', $got), unpack('H*', $acl), 'a list is what was set');
            is(result { aio_setxattr "$dir/other", 'system.posix_acl_access', $got, 0, $_[0] }, 0, 'copied to another file');
            is(mode_of("$dir/other"), 0640, 'it counts there');
        }
    }
};

done;
