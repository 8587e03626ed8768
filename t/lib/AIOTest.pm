package AIOTest;

# What the functional tests share: engines, a watchdog, files, one-request helpers, workers that are
# held up on purpose, children, and the check that nothing is left when a test file ends.
#
#   use FindBin; use lib "$FindBin::Bin/lib"; use AIOTest;
#
#   each_engine {
#       my ($engine) = @_;
#       succeeds { aio_mkdir $path, 0755, $_[0] } "mkdir";
#       fails_with { aio_mkdir $path, 0755, $_[0] } 'EEXIST', "mkdir again";
#   };
#   done;
#
# AIOTEST_ENGINE=pool,uring   takes these engines
# AIOTEST_LIMIT=n             seconds that a test file may take, for tools that make everything slow
# EXTENDED_TESTING=1          tries more: see extended() and usual_engine(); script/run-tests sets it
# AIOTEST_PEER=1              runs on another installed IO::AIO, which has no engines, to compare
#
# SIGALRM belongs to the watchdog.

use strict;
use warnings;

use B ();
use Carp ();
use Config;
use Errno ();
use Exporter 'import';
use File::Temp ();
use POSIX ();
use Storable ();
use Test::More;
use IO::AIO;

our @EXPORT = qw(
    each_engine usual_engine engine extended thinned is_peer ours
    tmpdir fresh_dir write_file read_file names_in mode_of renames_with errno_name
    run_req succeeds fails_with as_blocking croaks
    saturate hold release one_by_one reset_limits wait_for poll_until poll_ready
    in_child as_nobody output_of perl_command run_perl
    without needs refuses_statx procfs sanitizer valgrind late_times large_files pack_u64 unpack_u64
    done
);

use constant LIMIT => $ENV{AIOTEST_LIMIT} || 120;    # seconds that a test file may take

my $is_peer = !!$ENV{AIOTEST_PEER};
our $engine = '';    # the engine under test, empty outside of each_engine
our $prefix = '';    # what test names begin with
my %child;           # pids to take along when the watchdog bites

sub is_peer() { $is_peer }
sub engine()  { $engine }

# Who installs the module waits for its tests: rounds, sizes and combinations that take long are for those who work on it.
#     for my $n (1e4, 1e5, extended ? 1e6 : ()) { ... }
sub extended() { !!$ENV{EXTENDED_TESTING} }

# ---- watchdog ----------------------------------------------------------------------------------

# An unsafe signal handler, so that it gets through where the process hangs in C code; it does not
# return. Where it has interrupted malloc(3) it hangs itself: the second signal ends the process.
sub watchdog {
    my ($seconds) = @_;
    my $file = $0;
    POSIX::sigaction(
        POSIX::SIGALRM(),
        POSIX::SigAction->new(
            sub {
                alarm 10;
                kill KILL => keys %child;
                my $where = eval { Carp::longmess("") } || " at an unknown place\n";
                syswrite STDERR, "\n# $file hung: ${prefix}no end after $seconds seconds$where";
                POSIX::_exit(111);
            },
            POSIX::SigSet->new,
            POSIX::SA_RESETHAND() | POSIX::SA_NODEFER()
        )
    );
    alarm $seconds;
}
watchdog(LIMIT);

# ---- test names begin with the engine ------------------------------------------------------------

{
    package AIOTest::Builder;
    our @ISA = 'Test::Builder';

    sub ok {
        my ($self, $ok, $name) = @_;
        @_ = ($self, $ok, $prefix . (defined $name ? $name : ''));
        goto &Test::Builder::ok;
    }
}
bless(Test::More->builder, 'AIOTest::Builder');

# ---- engines -------------------------------------------------------------------------------------

# Switches to an engine; returns the reason why not, or nothing.
sub use_engine {
    my ($name) = @_;
    return if $is_peer;
    my $ok = eval { IO::AIO::engine($name); 1 };
    my $died = $@;
    my ($active, $why) = IO::AIO::engine();
    return if $ok && $active eq $name;
    return $why || $died || "the engine in use is $active";
}

# Unless extended, a test file tries the default and one of the others, which its name decides on: each is tried by half
# of them.
my @engines = $is_peer ? 'peer' : extended() || $ENV{AIOTEST_ENGINE} ? qw(sync pool uring)
    : unpack('%8C*', $0) & 1 ? qw(sync pool) : qw(pool uring);
if (my $only = $ENV{AIOTEST_ENGINE}) {
    my %only = map { $_ => 1 } split /,/, $only;
    @engines = grep $only{$_}, @engines unless $is_peer;
    die "AIOTEST_ENGINE=$only names no engine\n" unless @engines;
}

# Runs the block once for each engine, the engine's name as its argument. An engine that cannot be had is
# a skip, a block that dies a failure. Afterwards all requests are done and the limits are the defaults.
sub each_engine(&) {
    my ($code) = @_;
    IO::AIO::flush();
    warm_up();
    for my $name (@engines) {
        if (my $why = use_engine($name)) {
            $why =~ s/\s+\z//;
            Test::More->builder->skip("$name: $why");
            next;
        }
        local $engine = $name;
        local $prefix = "$name: ";
        my $ok = eval { $code->($name); 1 };
        fail("block runs to its end") || diag($@) unless $ok;
        release();
        IO::AIO::flush();
    }
    use_engine('pool');
}

# Whether the engine under test is another than the default, and shall try some of a large matrix only.
sub thinned() { !extended && $engine ne 'pool' }

# The same on the default engine alone, unless extended: for programs and clients, which do not see the engine.
sub usual_engine(&) {
    my ($code) = @_;
    my @all = @engines;
    @engines = (grep({ $_ eq 'pool' } @all), @all)[0] unless extended;
    &each_engine($code);
    @engines = @all;
}

# Tests of what the other implementation is known to do worse: they are TODO there, or skipped if it would
# not survive them (the reason then begins with "crash" or "hang").
sub ours(&$) {
    my ($code, $why) = @_;
    return $code->() unless $is_peer;
    if ($why =~ /^(?:crash|hang)/) {
        Test::More->builder->skip("the peer: $why");
        return;
    }
    local $main::TODO = "the peer: $why";
    eval { $code->(); 1 } or fail("block runs to its end") || diag($@);
}

# ---- optional features -----------------------------------------------------------------------------

# A build has not all of the features in libeio/probes.txt: the system lacks them, or Makefile.PL was told to.
my %feature = $is_peer ? () : map { $_ => 1 } split ' ', IO::AIO::_features();

# Those of the features named that the build under test lacks. What a build without can do is to be tested with it:
#     if (without 'FIEMAP') { fails_with { aio_fiemap ... } 'ENOSYS' } else { ... }
sub without { $is_peer ? () : grep !$feature{$_}, @_ }

# In a SKIP block: skips the rest of it, $n tests, unless the build has all of the features named.
sub needs {
    my ($n, @names) = @_;
    my @absent = without(@names) or return;
    skip("built without @absent", $n);
}

# Whether a container's filter refuses statx, which nothing but IO::AIO::statx depends on.
sub refuses_statx() { !$is_peer && !without('STATX') && IO::AIO::statx('/', 0, 0) && !!$!{EPERM} }

# Whether there is /proc: a chroot may have none. ($^X may be a word without a directory then.)
sub procfs() { -r '/proc/self/status' }

# The sanitizer that this runs under, or '': see the targets asan and tsan of dev.mk. They replace some calls of
# the C library, and run signal handlers late. The runtime is loaded into perls that load the module, and into nothing
# else: with ThreadSanitizer's (gcc 12) preloaded, programs that call _setjmp crash, like each shell.
my $runtime = ($ENV{LD_PRELOAD} || '') =~ tr/ /:/r;
my $sanitizer = $runtime !~ /\blib([at])san\b/ ? '' : $1 eq 'a' ? 'AddressSanitizer' : 'ThreadSanitizer';
delete $ENV{LD_PRELOAD} if $sanitizer;
sub sanitizer { $sanitizer }

# Whether this system has times after 2038.
sub late_times() { defined POSIX::mktime(0, 0, 0, 1, 0, 200) }

# Whether perl, and so this module, can have files of 2 GiB and more.
sub large_files() { $Config{lseeksize} >= 8 }

# Numbers of 64 bits as the system writes them; pack has Q only where perl's have as many.
my $big_endian = pack('S', 1) eq pack 'n', 1;

sub pack_u64 {
    my @half = ($_[0] % 2**32, int $_[0] / 2**32);
    return pack 'L2', $big_endian ? reverse @half : @half;
}

sub unpack_u64 {
    my @half = unpack 'L2', $_[0];
    @half = reverse @half if $big_endian;
    return $half[0] + $half[1] * 2**32;
}

# Whether this runs under valgrind, which sees every call and gives each process an allocator of its own: the target
# leakcheck of dev.mk.
sub valgrind { ($ENV{LD_PRELOAD} || '') =~ /\bvgpreload_/ }

# ---- files ---------------------------------------------------------------------------------------

my ($tmpdir, $fresh);

# A directory of this test file's own, removed when it ends. Others may enter it: see as_nobody.
sub tmpdir {
    $tmpdir ||= do {
        my $dir = File::Temp::tempdir('aiotest-XXXXXX', TMPDIR => 1, CLEANUP => 1);
        chmod 0755, $dir or die "$dir: $!";
        $dir;
    };
}

# A new empty directory below it.
sub fresh_dir {
    my $dir = tmpdir() . '/' . ++$fresh;
    mkdir $dir, 0755 or die "$dir: $!";
    $dir;
}

sub write_file {
    my ($path, $data) = @_;
    open my $fh, '>:raw', $path or die "$path: $!";
    print $fh defined $data ? $data : '' or die "$path: $!";
    close $fh or die "$path: $!";
    $path;
}

sub read_file {
    my ($path) = @_;
    open my $fh, '<:raw', $path or die "$path: $!";
    local $/;
    my $data = <$fh>;
    defined $data ? $data : '';
}

# The names in a directory, in order. (glob takes a space in TMPDIR for two patterns.)
sub names_in {
    my ($dir) = @_;
    opendir my $dh, $dir or die "$dir: $!";
    sort grep !/^\.\.?$/, readdir $dh;
}

# Does the file system of the temporary files know a flag of renameat2? There is no call of perl's to ask by.
sub renames_with {
    my ($flag) = @_;
    my $dir = fresh_dir();
    write_file("$dir/a");
    my ($errno, $status) = run_req(sub { aio_rename2("$dir/a", "$dir/b", $flag, $_[0]) });
    $status == 0;
}

sub mode_of { my @st = lstat $_[0]; @st ? $st[2] & 07777 : undef }

# "ENOENT" for 2, so that failures tell what happened.
my %errno_name;
$errno_name{ Errno->can($_)->() } ||= $_ for sort grep !/^(?:EWOULDBLOCK|EDEADLOCK|ENOTSUP)$/, keys %!;
sub errno_name { my $n = $_[0] + 0; $n ? $errno_name{$n} || "errno $n" : 'no error' }

# ---- single requests -----------------------------------------------------------------------------

# Submits one request and waits for it. The block gets the callback to pass as its argument:
#     my ($errno, @results) = run_req { aio_stat $path, $_[0] };
sub run_req(&) {
    my ($submit) = @_;
    my ($calls, $errno, @args) = 0;
    $submit->(sub { $errno = $! + 0; @args = @_; $calls++ });
    IO::AIO::flush();
    Carp::croak("the callback was called $calls times") unless $calls == 1;
    return ($errno, @args);
}

# One test: a status of 0. Returns whether.
sub succeeds(&;$) {
    my ($submit, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($errno, @args) = &run_req($submit);
    my $ok = @args == 1 && defined $args[0] && $args[0] eq '0';
    ok($ok, $name) or diag('got (' . show(@args) . '), ' . errno_name($errno));
    $ok;
}

# One test: a status of -1 and this errno, given by name (or any of several: 'EPERM EACCES').
sub fails_with(&$;$) {
    my ($submit, $want, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($errno, @args) = &run_req($submit);
    my $got = errno_name($errno);
    my $ok  = @args == 1 && defined $args[0] && $args[0] eq '-1' && grep { $_ eq $got } split ' ', $want;
    ok($ok, defined $name ? $name : $want) or diag('got (' . show(@args) . "), $got, expected -1 and $want");
    $ok;
}

# One test: the request does what a blocking call of perl's does, of which the first block returns the result: the
# status is 0 where that is true, and -1 with the same errno where it is not. For what depends on the file system.
#     as_blocking { truncate $file, 2**62 } sub { aio_truncate $file, 2**62, $_[0] }, "an impossible size";
sub as_blocking(&$$) {
    my ($blocking, $submit, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $want = $blocking->() ? '0, no error' : '-1, ' . errno_name($!);
    my ($errno, @args) = &run_req($submit);
    is(join(', ', @args, errno_name($errno)), $want, $name);
}

sub show { join ', ', map { defined $_ ? qq("$_") : 'undef' } @_ }

# One test: the block dies, with a message that names the function (or matches a pattern) and where the test
# called it: a line of the block, or of a table of code, with the function's name.
sub croaks(&$;$) {
    my ($code, $want, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my (undef, $file, $end) = caller;
    my $begin = B::svref_2object($code)->START->line;
    my $queued = IO::AIO::nreqs();
    my $lived  = eval { $code->(); 1 };
    my $error  = $@;
    $@ = '';    # the peer would rethrow it
    my $late = '';
    if (IO::AIO::nreqs() > $queued) {    # that is wrong already; do not let it disturb other tests
        eval { IO::AIO::flush(); 1 } or $is_peer or $late = "the poll after it died: $@";
    }

    my $re   = ref $want ? $want : $is_peer ? qr/./ : qr/\b\Q$want\E\b/;
    my $line = $error =~ / at \Q$file\E line (\d+)\.?$/m ? $1 : 0;
    my $call = ref $want ? qr/\baio_\w+|->|IO::AIO::/ : qr/\b\Q$want\E\b/;
    my $here = $line && ($line >= $begin && $line <= $end || source_line($file, $line) =~ $call);
    my $ok   = !$lived && $error =~ $re && $here && !$late;
    ok($ok, defined $name ? $name : "$want croaks")
        or diag($lived ? "it lived\n" : "died: $error", $late, "expected $re at line $begin");
    $ok;
}

my @source = do { open my $fh, '<', $0; $fh ? <$fh> : () };

sub source_line {
    my ($file, $line) = @_;
    $file eq $0 && defined $source[$line - 1] ? $source[$line - 1] : '';
}

# ---- requests that do not run yet ----------------------------------------------------------------

my @blocker;    # [read end of a full pipe, write end, file] for each blocked worker

# Occupies all workers: from here on requests queue until release. Each of the $n (default 1) requests that
# block stays in execution, writing to a full pipe that this process does not empty. Returns their
# number (they count in nreqs), or nothing on an engine that has no workers.
sub saturate {
    my ($n) = @_;
    $n ||= 1;
    return if $engine eq 'sync';
    IO::AIO::max_parallel($n);
    my $file = write_file(tmpdir() . '/saturate', 'x');
    for (1 .. $n) {
        pipe my $r, my $w or die "pipe: $!";
        $w->blocking(0);
        1 while syswrite $w, 'x' x 65536;
        1 while syswrite $w, 'x';
        $w->blocking(1);
        open my $in, '<', $file or die "$file: $!";
        my $was = IO::AIO::nready();
        aioreq_pri(4);
        aio_sendfile($w, $in, 0, 1, sub { });
        push @blocker, [$r, $w, $in];
        wait_for(sub { IO::AIO::nready() <= $was }) or die "the blocking request did not start";
    }
    $n;
}

# Nothing executes from here on until release, on any engine.
sub hold { IO::AIO::max_parallel(0) }

# Ends saturate and hold: the workers go on, the limits are the defaults again.
sub release {
    for (splice @blocker) {
        my ($r) = @$_;
        $r->blocking(0);
        1 while sysread $r, my $buf, 65536;
    }
    reset_limits();
}

# Ends hold with one worker: what was held executes and is called back in order.
sub one_by_one {
    IO::AIO::max_parallel(1);
    IO::AIO::min_parallel(1);
    IO::AIO::flush();
    reset_limits();
}

sub reset_limits {
    IO::AIO::max_parallel(8);
    IO::AIO::min_parallel(8);
    IO::AIO::max_idle(4);
    IO::AIO::idle_timeout(10);
    IO::AIO::max_poll_reqs(0);
    IO::AIO::max_poll_time(0);
    IO::AIO::max_outstanding(2**31 - 1);
}

# Waits until a condition holds that another thread or process brings about; false if it never does.
sub wait_for(&) {
    my ($cond) = @_;
    my $end = time + 20;
    until ($cond->()) {
        return 0 if time > $end;
        select undef, undef, undef, 0.001;
    }
    1;
}

# Polls until a condition holds, as event loops do: nothing but the descriptor tells that there is something. False if it
# never does.
sub poll_until(&) {
    my ($cond) = @_;
    until ($cond->()) {
        return 0 unless poll_ready(60);
        IO::AIO::poll_cb();
    }
    1;
}

# Is poll_fileno readable, now or within some seconds?
sub poll_ready {
    my ($seconds) = @_;
    vec(my $bits = '', IO::AIO::poll_fileno(), 1) = 1;
    my $n = select $bits, undef, undef, $seconds || 0;
    $n > 0;
}

# ---- children ------------------------------------------------------------------------------------

# Runs the block in a forked child and returns its list, or dies as it did. The child has its own watchdog
# and runs no END blocks.
my $uid = $>;

sub in_child(&) {
    my ($code) = @_;
    pipe my $r, my $w or die "pipe: $!";
    defined(my $pid = fork) or die "fork: $!";
    unless ($pid) {
        watchdog(LIMIT / 2);
        IO::AIO::reinit() if $is_peer;
        my @list = eval { $code->() };
        my $frozen = Storable::freeze([$@, @list]);
        close $r;
        IO::AIO::_cover() if defined &IO::AIO::_cover && $> == $uid; # make -f dev.mk cover: counts it
        print $w $frozen and close $w or POSIX::_exit(112);
        POSIX::_exit(0);
    }
    $child{$pid} = 1;
    close $w;
    my $frozen = do { local $/; <$r> };
    waitpid $pid, 0;
    delete $child{$pid};
    die "child ended with status $?" if $? || !defined $frozen;
    my ($died, @list) = @{ Storable::thaw($frozen) };
    die $died if $died;
    wantarray ? @list : $list[-1];
}

# The same without any privilege: what root may do is of no use to test what is not allowed.
sub as_nobody(&) {
    my ($code) = @_;
    return &in_child($code) if $>;
    my ($uid, $gid) = (getpwnam 'nobody')[2, 3];
    ($uid, $gid) = (65534, 65534) unless defined $gid;
    in_child {
        $) = "$gid $gid";
        POSIX::setgid($gid) or die "setgid: $!";
        POSIX::setuid($uid) or die "setuid: $!";
        die "still privileged" if !$> || !$<;
        $code->();
    };
}

# The words of a command that begins with a new perl which finds the same modules. (Its own children get a sanitizer's
# runtime as well, unless the program takes LD_PRELOAD out of %ENV.)
sub perl_command { ($sanitizer ? ('env', "LD_PRELOAD=$runtime") : (), $^X, map "-I$_", grep !ref, @INC) }

# What a command prints; its status is in $?. It is given in words: a line for a shell would have to quote TMPDIR.
sub output_of {
    defined(my $pid = open my $out, '-|') or die "fork: $!";
    unless ($pid) {
        open STDERR, '>', '/dev/null';
        { no warnings 'exec'; exec @_ }
        POSIX::_exit(127);
    }
    my @line = <$out>;
    close $out;
    return wantarray ? @line : join '', @line;
}

# Runs a program in such a perl, on the engine under test.
#     my ($status, $stdout, $stderr) = run_perl($program, @arguments);
# AIOTEST_ULIMIT in the environment holds arguments for the shell's ulimit. Under valgrind, so is the program, but for
# leaks: many of these programs end in the middle of things. The status after a wrong use of memory is 99. Not so
# where $AIOTest::plain is true.
our $plain = 0;

sub run_perl {
    my ($program, @args) = @_;
    my ($out, $err, $log) = map tmpdir() . "/run_perl.$_", qw(out err log);
    my @tool = valgrind() && !$plain ? ('valgrind', '-q', '--error-exitcode=99', '--num-callers=30', "--log-file=$log") : ();
    $program = "BEGIN { delete \$ENV{LD_PRELOAD} } $program" if $sanitizer;
    defined(my $pid = fork) or die "fork: $!";
    unless ($pid) {
        local $SIG{ALRM} = 'DEFAULT';
        alarm LIMIT / 2;
        $ENV{IO_AIO_ENGINE} = $engine if $engine && !$is_peer;
        open STDIN,  '<', '/dev/null';
        open STDOUT, '>', $out;
        open STDERR, '>', $err;
        my @limit = $ENV{AIOTEST_ULIMIT} ? ('/bin/sh', '-c', "ulimit $ENV{AIOTEST_ULIMIT}; exec \"\$@\"", 'sh') : ();
        { no warnings 'exec'; exec @limit, @tool, perl_command(), '-e', $program, @args }
        POSIX::_exit(113);
    }
    $child{$pid} = 1;
    waitpid $pid, 0;
    my $status = $?;
    delete $child{$pid};
    diag(read_file($log)) if @tool && $status >> 8 == 99;
    return ($status, read_file($out), read_file($err));
}

# ---- nothing is left -----------------------------------------------------------------------------

my %start;    # what was there before the first test

# Descriptors by what they refer to. Numbers do not matter: an engine may have opened its own again.
sub descriptors {
    opendir my $dir, '/proc/self/fd' or return undef;
    my $own = fileno $dir;
    my %fd;
    for my $fd (grep /^\d+$/, readdir $dir) {
        next if defined $own && $fd == $own;
        my $what = readlink "/proc/self/fd/$fd";
        next if !defined $what || $what =~ m{^/proc/\d+/fd$};
        $what =~ s/^pipe:.*/pipe/;
        $fd{$what}++;
    }
    \%fd;
}

# Threads of this process; the kernel's own helpers of a ring are not ours to count.
sub threads {
    my $n = 0;
    for my $comm (glob '/proc/self/task/*/comm') {
        open my $fh, '<', $comm or next;
        my $name = <$fh>;
        $n++ if defined $name && $name !~ /^iou-/;    # undef: it has ended since
    }
    $n;
}

# ThreadSanitizer starts a thread of its own beside the first.
sub tools_thread { $sanitizer eq 'ThreadSanitizer' }

sub baseline { %start = (descriptors => descriptors(), threads => threads()) }

IO::AIO::poll_fileno();
baseline();

# What an engine opens once and keeps (a wakeup descriptor, a ring, the pipe behind aio_close) is opened before
# counting begins.
my $warm;
sub warm_up {
    return if $warm++;
    for my $name (@engines) {
        next if use_engine($name);
        open my $fh, '<', '/dev/null' or die "/dev/null: $!";
        aio_close($fh, sub { });
        IO::AIO::flush();
    }
    IO::AIO::max_parallel(0);
    wait_for(sub { threads() <= $start{threads} + tools_thread() });
    baseline();
    reset_limits();
}

# The last statement of a test file.
sub done() {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    release();
    is(IO::AIO::nreqs(), 0, 'no request is left at the end');
    unless ($is_peer) {    # what was cancelled while it hung ends some time, and nobody is told
        wait_for(sub { !IO::AIO::nabandoned() });
        IO::AIO::poll_cb();
    }
    ours { is(IO::AIO::nready(), 0, 'none is ready') } 'counts threads that end as requests';
    is(IO::AIO::npending(), 0, 'none is pending');
    IO::AIO::flush();
    IO::AIO::max_parallel(0);
    IO::AIO::poll_cb();    # what reinit dropped while it ran is freed here
    is(IO::AIO::nthreads(), 0, 'no thread is left');

  SKIP: {
        skip 'no /proc/self/fd here', 2 unless $start{descriptors};
        my @more;    # the thread that waits for descriptors (libeio/eio_wait.c) closes its own when it ends
        wait_for(sub {
            my ($was, $now) = ($start{descriptors}, descriptors());
            @more = map { "$_ (" . ($now->{$_} - ($was->{$_} || 0)) . ")" }
                grep { $now->{$_} > ($was->{$_} || 0) } sort keys %$now;
            return !@more;
        });
        is("@more", '', 'no descriptor is left');
        my $threads = $start{threads} + ($warm ? 0 : tools_thread());
        ok(wait_for(sub { threads() <= $threads }), 'the kernel has no more threads than before');
    }
    done_testing();
}

1;
