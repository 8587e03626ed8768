use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AIOTest;
use Fcntl ();
use POSIX ();
use Socket ();
use IO::AIO qw(:DEFAULT :more);

# aio_cptree beside cp -a: special files, extended attributes, access control lists, as root and as somebody else.

plan skip_all => 'the peer has none' if is_peer;
my ($cp) = grep -x, map "$_/cp", split /:/, $ENV{PATH} || '';
plan skip_all => 'no GNU cp' unless $cp && output_of($cp, '--version') =~ /GNU/;

# An access control list as Linux has it: tag, permissions, id.
sub acl { pack 'V (v v V)*', 2, @_ }
my @entries = (1, 6, 0xffffffff, 2, 4, 4711, 4, 4, 0xffffffff, 16, 6, 0xffffffff, 32, 0, 0xffffffff);

sub tree {
    my ($top) = @_;
    mkdir "$top$_" or die "$top$_: $!" for '', '/d', '/d/e';
    write_file "$top/$_", "data of $_" for qw(plain attr acl d/f d/e/setuid);
    POSIX::mkfifo("$top/fifo", 0620) or die "mkfifo: $!";
    socket my $socket, Socket::AF_UNIX(), Socket::SOCK_STREAM(), 0 or die "socket: $!";
    bind $socket, Socket::pack_sockaddr_un("$top/socket") or return diag "bind: $!";
    symlink 'plain', "$top/link" or die "symlink: $!";
    chmod 04750, "$top/d/e/setuid";
    if (!$<) {
        IO::AIO::aio_mknod("$top/device", Fcntl::S_IFCHR() | 0640, 0x103, sub { $_[0] and diag "mknod: $!" });
        chown 1234, 4321, "$top/attr", "$top/d";
        IO::AIO::flush;
    }
    utime 1e9 + .25, 1e9 + .75, "$top/$_" for qw(plain fifo d/e d);
}

# path => all that there is to be compared
sub described {
    my ($top, $path) = @_;
    my $name = "$top/$path";
    my @st = lstat $name or return ();
    my $is = join ' ', @st[2, 4, 5, 6], -d _ && !-l _ ? () : $st[7], -l _ || -d _ ? () : $st[9], IO::AIO::st_mtimensec, -l _ ? readlink $name : ();
    my %attr;
    aio_llistxattr $name, sub { %attr = map { $_ => undef } grep !/^security\.selinux/, @{ $_[0] || [] } };
    IO::AIO::flush;
    for my $attr (sort keys %attr) {
        aio_lgetxattr $name, $attr, sub { $attr{$attr} = unpack 'H*', $_[0] // '' };
        IO::AIO::flush;
    }
    $is .= " $_=$attr{$_}" for sort keys %attr;
    my $below = -d $name && !-l $name;
    return ($path => $is, $below ? map described($top, $path eq '.' ? $_ : "$path/$_"), names_in($name) : ());
}

sub set {
    my ($name, $attr, $value) = @_;
    my $error;
    aio_setxattr $name, $attr, $value, 0, sub { $error = $_[0] ? "$!" : '' };
    IO::AIO::flush;
    return $error;
}

sub compare {
    my ($dir, $as) = @_;
    tree("$dir/from");
    my @refused = grep length, set("$dir/from/attr", 'user.note', 'text'), set("$dir/from/d", 'user.empty', ''),
        set("$dir/from/acl", 'system.posix_acl_access', acl(@entries)), set("$dir/from/d", 'system.posix_acl_default', acl(@entries));
    diag "attributes: @refused" if @refused;
    is(system($cp, '-a', "$dir/from", "$dir/theirs"), 0, "$as: cp -a");
    my ($errno, $status, $errors) = run_req { aio_cptree "$dir/from", "$dir/ours", 0, $_[0] };
    is("$status @$errors", '0 ', "$as: aio_cptree");
    is_deeply({ described("$dir/ours", '.') }, { described("$dir/theirs", '.') }, "$as: both made the same");
    return 1;
}

each_engine {
    compare(fresh_dir, $< ? 'as somebody' : 'as root');
  SKIP: {
        skip 'only root becomes somebody else', 1 if $<;
        my $dir = fresh_dir;
        chmod 0777, $dir;
        my @got = as_nobody {
            tree("$dir/from");
            set("$dir/from/attr", 'user.note', 'text');
            set("$dir/from/acl", 'system.posix_acl_access', acl(@entries));
            system($cp, '-a', "$dir/from", "$dir/theirs");
            my ($errno, $status, $errors) = run_req { aio_cptree "$dir/from", "$dir/ours", 0, $_[0] };
            ($status, scalar @$errors);
        };
        is("@got", '0 0', 'as nobody: aio_cptree');
        is_deeply({ described("$dir/ours", '.') }, { described("$dir/theirs", '.') }, 'as nobody: both made the same');
    }
};

done;
