use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl qw(F_GETFD FD_CLOEXEC);
use IO::AIO;

# What is there after "use": version, names, prototypes, the poll descriptor.

# Exported by default: the requests and the two that set priorities.
my %default = map { /^(\w+) (\S*)$/ ? ($1 => $2) : () } split /\n/, <<'NAMES';
aio_allocate $$$$;$
aio_chmod $$;$
aio_chown $$$;$
aio_close $;$
aio_copy $$;$
aio_fcntl $$$;$
aio_fdatasync $;$
aio_fiemap $$$$$;$
aio_fsync $;$
aio_group ;$
aio_ioctl $$$;$
aio_link $$;$
aio_load $$;$
aio_lstat $;$
aio_mkdir $$;$
aio_mknod $$$;$
aio_mlock $;$$$
aio_mlockall $;$
aio_move $$;$
aio_msync $;$$$$
aio_mtouch $;$$$$
aio_nop ;$
aio_open $$$;$
aio_pathsync $;$
aio_read $$$$$;$
aio_readahead $$$;$
aio_readdir $;$
aio_readdirx $$;$
aio_readlink $;$
aio_realpath $;$
aio_rename $$;$
aio_rename2 $$;$$
aio_rmdir $;$
aio_rmtree $;$
aio_scandir $$;$
aio_seek $$$;$
aio_sendfile $$$$;$
aio_slurp $$$$;$
aio_stat $;$
aio_statvfs $;$
aio_symlink $$;$
aio_sync ;$
aio_sync_file_range $$$$;$
aio_syncfs $;$
aio_truncate $$;$
aio_unlink $;$
aio_utime $$$;$
aio_wd $;$
aio_write $$$$$;$
aioreq_nice ;$
aioreq_pri ;$
NAMES

# Exported on request. An empty prototype is written "-".
my %on_request = map { /^(\w+) (\S+)$/ ? ($1 => $2 eq '-' ? '' : $2) : () } split /\n/, <<'NAMES';
accept4 $$$$
eventfd ;$$
fadvise $$$$
fexecve $$;$
flush -
idle_timeout $
madvise $$;$$
max_idle $
max_parallel $
max_poll_reqs $
max_poll_time $
memfd_create $;$
min_parallel $
mmap $$$$;$$
mount $$$;$$
mremap $$;$$
munlock $;$$
munlockall -
munmap $
npending -
nready -
nreqs -
nthreads -
pidfd_getfd $$;$
pidfd_open $;$
pidfd_send_signal $$;$$
pipe2 ;$
pipesize $;$
poll_cb -
poll_fileno -
poll_wait -
sendfile $$$$
splice $$$$$$
tee $$$$
timerfd_create $;$
timerfd_gettime $
timerfd_settime $$$$
umount $;$
NAMES

# By their full names only.
my %full_name = map { /^(\w+) (\S+)$/ ? ($1 => $2 eq '-' ? '' : $2) : () } split /\n/, <<'NAMES';
_on_next_submit $
aio_busy $;$
get_fdlimit -
major $
makedev $$
max_outstanding $
min_fdlimit ;$
minor $
mlockall $;
mprotect $$;$$
poll -
reinit -
statx $$$
NAMES

# version
ours { cmp_ok($IO::AIO::VERSION, '==', 5.0, 'version') } 'is older';
for my $version (1, 2, 3.15, 4.1, 4.7) {
    ok(eval "package v; use IO::AIO $version; 1", "use IO::AIO $version") or diag($@);
}
ok(!eval { IO::AIO->VERSION(999); 1 }, 'version 999 is refused');

# exports
is_deeply([sort @IO::AIO::EXPORT], [sort keys %default], '@EXPORT');
my %ok = map { $_ => 1 } @IO::AIO::EXPORT_OK;
is_deeply([grep !$ok{$_}, sort keys %on_request], [], '@EXPORT_OK has each name it should');
is_deeply([grep !IO::AIO->can($_), sort keys %ok], [], 'and each name in it exists');
is_deeply(
    [sort @IO::AIO::AIO_REQ],
    [sort 'aio_busy', grep /^aio_/, keys %default, @{ $IO::AIO::EXPORT_TAGS{more} || [] }],
    '@AIO_REQ lists the requests'
);
ok(main->can($_), "$_ is imported by default") for sort keys %default;
ok(!main->can($_), "$_ is not") for qw(flush poll_cb nreqs aio_busy);
{
    package named;
    IO::AIO->import(qw(poll_cb nreqs aio_stat));
    main::ok(named->can($_), "import of $_ by name") for qw(poll_cb nreqs aio_stat);
    main::ok(!named->can('aio_read'), 'and of nothing else');
}
ok(!eval { IO::AIO->import('no_such_name'); 1 }, 'import of an unknown name dies');

# prototypes
my %prototype = (%default, %on_request, %full_name);
for my $name (sort keys %prototype) {
    is(prototype("IO::AIO::$name"), $prototype{$name}, "prototype of $name");
}
ours {
    ok(IO::AIO->can('engine'), 'IO::AIO::engine exists');
} 'has no engines';

# What Coro::AIO asks of each request, so that it can wrap it.
my @odd = grep { (prototype "IO::AIO::$_") !~ /^(?=.*\$)[\$;]*$/ } @IO::AIO::AIO_REQ;
is("@odd", '', 'prototypes of requests have only $ and ;, and a $');

# classes
ok(IO::AIO::GRP->isa('IO::AIO::REQ'), 'a group is a request');
can_ok('IO::AIO::REQ', qw(cancel cb));
can_ok('IO::AIO::GRP', qw(cancel cb add cancel_subs result errno feed limit));

# constants of the 3.15 manual's examples
is(IO::AIO::S_IFIFO(), 0010000, 'S_IFIFO');
is(IO::AIO::O_RDONLY(), 0, 'O_RDONLY');

# an idle module
is(IO::AIO::nreqs(),    0, 'nreqs is 0');
is(IO::AIO::nready(),   0, 'nready is 0');
is(IO::AIO::npending(), 0, 'npending is 0');
is(IO::AIO::nthreads(), 0, 'no thread before the first request');
is(IO::AIO::poll_cb(),  0, 'poll_cb has nothing to do');
ok(!poll_ready(), 'the poll descriptor is not readable');

# the poll descriptor
my $fd = IO::AIO::poll_fileno();
like($fd, qr/^\d+$/, 'poll_fileno is a number');
is(IO::AIO::poll_fileno(), $fd, 'and stays the same');
ok(
    in_child {
        open my $fh, '<&=', $fd or die "$fd: $!";
        fcntl($fh, F_GETFD, 0) & FD_CLOEXEC;
    },
    'poll_fileno is close-on-exec'
);
each_engine {
    is(IO::AIO::poll_fileno(), $fd, 'poll_fileno is the same on this engine');
    run_req { aio_nop $_[0] };
    is(IO::AIO::poll_fileno(), $fd, 'and after a request');
};

# the engine
ours {
    my ($name, $why) = IO::AIO::engine();
    like($name, qr/^(?:sync|pool|uring)$/, 'engine names the active one');
    ok(!eval { IO::AIO::engine('no such engine'); 1 }, 'an engine of another name dies');
    is((IO::AIO::engine())[0], $name, 'and changes nothing');

    delete local $ENV{IO_AIO_ENGINE};
    my $print = 'use IO::AIO; print +(IO::AIO::engine())[0]';
    is((run_perl($print))[1], 'pool', 'pool is the default');
    local $ENV{IO_AIO_ENGINE} = 'sync';
    is((run_perl($print))[1], 'sync', 'IO_AIO_ENGINE chooses another');
} 'has no engines';

# "use" in a fresh perl says nothing and starts no thread
my ($status, $out, $err) = run_perl(<<'PERL');
    use strict; use warnings; use IO::AIO;
    print scalar(() = glob "/proc/self/task/*"), "\n";
PERL
is($status, 0, 'a program that only loads it ends well');
is($out, procfs ? "1\n" : "0\n", 'and has one thread');
is($err, '', 'and no warning');

done;
