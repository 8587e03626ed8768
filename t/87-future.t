# Future::AIO: requests that return futures.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

BEGIN {
    plan skip_all => 'is about ours' if $ENV{AIOTEST_PEER};
    eval { require Future; require Future::Utils; 1 } or plan skip_all => 'needs Future';
}

use AIOTest;
use Errno qw(ENOENT EBADF);
use Fcntl;
use POSIX ();
use Future::AIO;
use Scalar::Util qw(weaken);

# What a future fails with.
sub failure_of {
    my ($future) = @_;
    $future->await;
    return $future->is_failed ? $future->failure : ();
}

# Those of 4.80 are tried one by one; what came later has no more here than its functions.
my %later = map { $_ => 1 } @IO::AIO::ON_REQUEST;
my @requests = grep !$later{$_} && $_ ne 'aio_group', @IO::AIO::AIO_REQ;

sub letters { (IO::AIO::_row($_[0] =~ s/^aio_//r))[0] =~ s/;//r }

subtest 'what is there' => sub {
    for my $name (grep $_ ne 'aio_group', @IO::AIO::AIO_REQ) {
        (my $with = prototype "IO::AIO::$name") =~ tr/;//d;
        (my $without = prototype "Future::AIO::$name") =~ tr/;//d;
        is("$without\$", $with, "$name lacks the callback only");
        is(\&$name, \&{ Future::AIO->can($name) }, "$name is exported");
    }
    is(prototype 'Future::AIO::aio_rename2', '$$;$', 'what may be left out there may be so here');
    is(prototype 'Future::AIO::aio_read', '$$$;$$', 'and so may a scalar');
    is(prototype 'Future::AIO::aio_pread', '$$$;', 'aio_pread');
    is(\&aio_group, \&IO::AIO::aio_group, 'aio_group is IO::AIO\'s');
    is(Future::AIO->can($_), IO::AIO->can($_), "$_ is, too") for qw(aioreq_pri nreqs O_RDONLY mmap CWD);
    {
        package Elsewhere;
        Future::AIO->import(qw(aio_stat nreqs));
    }
    is(\&Elsewhere::aio_stat, \&Future::AIO::aio_stat, 'imported by name');
    is(\&Elsewhere::nreqs,    \&IO::AIO::nreqs,        'on demand');
    ok(!defined &Elsewhere::aio_read, 'and nothing else with it');
    ok(!eval { Future::AIO->import('-class'); 1 }, 'a class needs a name');
    ok(!eval { Future::AIO->import(-class => 'File::Temp'); 1 }, 'a class has to be one of futures');
    like($@, qr/File::Temp is no class of futures.* at \Q$0\E line/, 'it says so');
    ok(!eval { Future::AIO->import(-class => 'No::Such::Class'); 1 }, 'and has to exist');
};

subtest 'a request that comes later' => sub {
    my ($status, $out) = run_perl(<<'PERL');
        use IO::AIO ();
        BEGIN {
            *IO::AIO::aio_later = sub($$;$$) {
                my ($callback, @args) = (pop, map $_ // "undef", @_);
                IO::AIO::aio_nop(sub { $callback->("later @args") });
            };
            push @IO::AIO::AIO_REQ, "aio_later";
        }
        use Future::AIO;
        print aio_later(1, 2)->get // "nothing", "\n";
PERL
    is($out, "later 1 2 undef\n", 'is there');
};

# ---- every request -------------------------------------------------------------------------------

my $dir;

sub handle {
    my ($mode, $name) = @_;
    open my $fh, $mode, "$dir/" . ($name // 'file') or die $!;
    $fh;
}

sub socket_pair { pipe my $r, my $w or die $!; ($r, $w) }

# How to have each succeed, and its one value: a text, or what looks at it.
my %succeeds = (
    aio_nop   => [sub { aio_nop }, undef],
    aio_busy  => [sub { Future::AIO::aio_busy 0 }, undef],
    aio_open  => [sub { aio_open "$dir/file", O_RDONLY, 0 }, sub { fileno $_[0] && scalar readline($_[0]) eq "hello\n" }],
    aio_close => [sub { aio_close handle('<') }, 0],
    aio_wd    => [sub { aio_wd $dir }, sub { ref $_[0] eq 'IO::AIO::WD' }],
    aio_seek  => [sub { aio_seek handle('<'), 3, 0 }, 3],
    aio_read  => [sub { aio_read handle('<'), 1, 3, my $data, 0 }, 3],
    aio_write => [sub { aio_write handle('>', 'new'), 0, undef, 'text', 0 }, 4],
    aio_readahead => [sub { aio_readahead handle('<'), 0, 3 }, 0],
    aio_sendfile  => [sub { aio_sendfile handle('>', 'new'), handle('<'), 1, 3 }, 3],
    aio_slurp     => [sub { aio_slurp "$dir/file", 1, 3, my $data }, 3],
    aio_load      => [sub { aio_load "$dir/file", my $data }, 6],
    aio_stat      => [sub { aio_stat "$dir/file" }, sub { $_[0]->size == 6 }],
    aio_lstat     => [sub { aio_lstat "$dir/link" }, sub { -l $_[0] }],
    aio_statx     => [sub { aio_statx "$dir/file" }, sub { -f $_[0] && $_[0]->size == 6 }],
    aio_statvfs   => [sub { aio_statvfs $dir }, sub { $_[0]{bsize} }, 'STATVFS'],
    aio_utime     => [sub { aio_utime "$dir/file", 1, 2 }, 0],
    aio_chown     => [sub { aio_chown "$dir/file", undef, undef }, 0],
    aio_chmod     => [sub { aio_chmod "$dir/file", 0600 }, 0],
    aio_truncate  => [sub { aio_truncate "$dir/file", 6 }, 0],
    aio_unlink    => [sub { write_file("$dir/gone"); aio_unlink "$dir/gone" }, 0],
    aio_mknod     => [sub { unlink "$dir/fifo"; aio_mknod "$dir/fifo", IO::AIO::S_IFIFO | 0600, 0 }, 0],
    aio_link      => [sub { unlink "$dir/l"; aio_link "$dir/file", "$dir/l" }, 0],
    aio_symlink   => [sub { unlink "$dir/s"; aio_symlink '-1', "$dir/s" }, 0],
    aio_readlink  => [sub { unlink "$dir/s"; symlink '-1', "$dir/s"; aio_readlink "$dir/s" }, '-1'],
    aio_realpath  => [sub { aio_realpath "$dir/link" }, sub { $_[0] =~ m{/file$} }],
    aio_rename    => [sub { write_file("$dir/old"); aio_rename "$dir/old", "$dir/new" }, 0],
    aio_rename2   => [sub { write_file("$dir/old"); aio_rename2 "$dir/old", "$dir/new" }, 0],
    aio_mkdir     => [sub { rmdir "$dir/d"; aio_mkdir "$dir/d", 0755 }, 0],
    aio_rmdir     => [sub { mkdir "$dir/d"; aio_rmdir "$dir/d" }, 0],
    aio_readdir   => [sub { aio_readdir "$dir/sub" }, sub { "@{$_[0]}" eq 'x' }],
    aio_readdirx  => [sub { aio_readdirx "$dir/sub", 0 }, sub { "@{$_[0]}" eq 'x' }],
    aio_scandir   => [sub { aio_scandir "$dir/sub", 0 }, sub { !@{ $_[0][0] } && "@{$_[0][1]}" eq 'x' }],
    aio_fcntl     => [sub { aio_fcntl handle('<'), F_GETFD, 0 }, sub { $_[0] =~ /^\d+$/ }],
    aio_sync      => [sub { aio_sync }, 0],
    aio_syncfs    => [sub { aio_syncfs handle('<') }, 0, 'SYNCFS'],
    aio_fsync     => [sub { aio_fsync handle('<') }, 0],
    aio_fdatasync => [sub { aio_fdatasync handle('<') }, 0],
    aio_sync_file_range => [sub { aio_sync_file_range handle('<'), 0, 0, 0 }, 0],
    aio_pathsync  => [sub { aio_pathsync $dir }, 0],
    aio_copy      => [sub { aio_copy "$dir/file", "$dir/copy" }, 0],
    aio_move      => [sub { write_file("$dir/old"); aio_move "$dir/old", "$dir/new" }, 0],
    aio_rmtree    => [sub { mkdir "$dir/d"; write_file("$dir/d/x"); aio_rmtree "$dir/d" }, 0],
    aio_mtouch    => [sub { aio_mtouch my $text = 'x' x 10_000 }, 0],
);

# These depend on the system, the file system or limits. Success or failure, they fit.
my %either = map { $_ => 1 } qw(aio_allocate aio_fiemap aio_ioctl aio_msync aio_mlock aio_mlockall);

each_engine {
    $dir = fresh_dir();
    write_file("$dir/file", "hello\n");
    symlink 'file', "$dir/link" or die $!;
    mkdir "$dir/sub" or die $!;
    write_file("$dir/sub/x");
    for my $name (@requests) {
        my $case = $succeeds{$name};
        next if $either{$name};
        ok($case, "$name is tried") or next;
        my ($start, $want, $feature) = @$case;
        next if $feature && without($feature);
        my $future = $start->();
        ok(!$future->is_ready, "$name: not ready at once");
        my $value = eval { $future->get };
        ok(!$@, "$name succeeds") or diag($@);
        if (ref $want) { ok($want->($value), "$name: its value") } else { is($value, $want, "$name: its value") }
        my @all = $future->get;
        cmp_ok(scalar @all, '<=', $name eq 'aio_readdirx' ? 2 : 1, "$name: no more than that");
    }
};

# Failures are alike for all that have a path or a handle: the letters of the row tell which arguments.
each_engine {
    my $none = fresh_dir() . '/none';
    for my $name (grep letters($_) =~ /^[FWPES]/, @requests) {
        my $letters = letters($name);
        my %argument = (F => 9_999, W => 9_999, R => 9_999, P => "$none/a", E => "$none/a", S => "$none/a", Q => "$none/b", D => 'text', i => 0);
        my $data = 'text';
        my @args = map $argument{$_} // 1, split //, $letters;
        $args[$-[0]] = $data if $letters =~ /[BY]/;
        push @args, (0) x (prototype("Future::AIO::$name") =~ tr/$// - @args);
        my $future = Future::AIO->can($name)->(@args);
        my @failure = failure_of($future);
        my $is_path = $letters =~ /^[PES]/;
        my $errno   = do { local $! = $is_path ? ENOENT : EBADF; $! };
        my $paths   = $letters =~ /^.Q/ ? "$none/a -> $none/b: " : $is_path ? "$none/a: " : '';
        is($failure[0], "$name: $paths$errno", "$name: message");
        is($failure[1], $name, "$name: category");
        is($failure[2], $args[0], "$name: what it was about");
        ok($failure[3] == $errno && "$failure[3]" eq "$errno", "$name: the error, number and text");
        is_deeply([@failure[4 .. $#failure]], $letters =~ /^.[QR]/ ? [$args[1]] : [], "$name: the second, if there is one");
        IO::AIO::flush();
    }
    my $wd = aio_wd(tmpdir)->get;
    my $place = [$wd, 'none/x'];
    my @failure = failure_of(aio_stat $place);
    is($failure[0], 'aio_stat: none/x: ' . do { local $! = ENOENT; $! }, 'a path below a working directory');
    is($failure[2], $place, 'which is passed on');
    like((failure_of(aio_rmdir $wd))[0], qr/^aio_rmdir: [^:]+$/, 'a working directory has no name');
    my $file = handle('<');
    like((failure_of(aio_truncate $file, 1))[0], qr/^aio_truncate: [^:]+$/, 'nor has a handle');
    is((failure_of(aio_truncate $file, 1))[2], $file, 'it is passed on');
    my $seen = aio_stat("$none/x")->catch(aio_open => sub { Future->done('wrong') }, aio_stat => sub { Future->done("seen $_[1]") });
    is($seen->get, 'seen aio_stat', 'the category can be caught');
};

each_engine {
    for my $name (@requests) {
        my $function = Future::AIO->can($name);
        croaks { &$function((1) x 9) } $name, "$name: too many arguments";
        croaks { &$function() } $name, "$name: too few" if prototype($function) =~ /^\$/;
        my $letters = (IO::AIO::_row($name =~ s/^aio_//r))[0] // '';
        my @bad = $letters =~ /^[PESFW]/ ? ({}, (0) x (prototype($function) =~ tr/$// - 1)) : next;
        croaks { &$function(@bad) } $name, "$name: the caller is blamed";
    }
    croaks { aio_wait 7 } 'aio_wait';
    croaks { aio_read handle('<'), 0, 5, 'literal', 0 } 'aio_read', 'a literal cannot be filled';
    is(IO::AIO::nreqs(), 0, 'nothing was submitted');
};

# ---- data ----------------------------------------------------------------------------------------

each_engine {
    $dir = fresh_dir();
    write_file("$dir/file", "hello, world\n");
    write_file("$dir/empty", '');
    my $fh = handle('<');
    my ($data, %hash, @array) = '<>';
    is(aio_read($fh, 0, 5, $data, 1)->get, 5, 'a read into a variable');
    is($data, '<hello', 'fills it in place');
    is(aio_read($fh, 7, 5, $hash{new}, 0)->get, 5, 'into an element');
    is($hash{new}, 'world', 'that is new');
    is(aio_load("$dir/file", $array[2])->get, 13, 'a whole file');
    is($array[2], "hello, world\n", 'into an element of an array');
    my $future = aio_read($fh, 0, 5, $data, 0);
    ok(!eval { $data = 'other'; 1 }, 'a scalar in flight cannot be changed');
    $future->get;
    is($data, 'hello', 'and has the data then');

    is(aio_pread($fh, 7, 5)->get, 'world', 'aio_pread');
    is(aio_read($fh, 7, 5)->get, 'world', 'aio_read without a scalar');
    is(aio_pread($fh, 7, 500)->get, "world\n", 'a short one');
    is_deeply([aio_pread($fh, 13, 5)->get], [], 'nothing at the end of the file');
    is(scalar aio_pread($fh, 13, 5)->get, undef, 'undef in scalar context');
    is(aio_pread($fh, undef, 5)->get . aio_pread($fh, undef, 2)->get, 'hello, ', 'at the position of the handle');
    is(aio_load("$dir/file")->get, "hello, world\n", 'aio_load');
    is_deeply([aio_load("$dir/empty")->get], [''], 'of an empty file');
    is(aio_slurp("$dir/file", 7, 0)->get, "world\n", 'aio_slurp');
    my @failure = failure_of(aio_pread 9_999, 0, 5);
    is("@failure[1, 2]", 'aio_pread 9999', 'a failure of aio_pread has its name');
};

each_engine {
    $dir = fresh_dir();
    my $path = write_file("$dir/file", 'x' x 123);
    chmod 0640, $path;
    aio_utime($path, 1_000_000_000.25, 1_100_000_000.75)->get;
    my $stat = aio_stat($path)->get;
    my $want = File::stat::stat($path);
    isa_ok($stat, 'File::stat');
    is($stat->$_, $want->$_, $_) for qw(dev ino mode nlink uid gid rdev size atime mtime ctime blksize blocks);
    for my $op (split //, 'rwxoRWXOezsfdlpSbcugkMCA') {
        is(eval "-$op \$stat" // 'undef', eval "-$op \$want" // 'undef', "-$op");
    }
    my $other = aio_stat('/')->get;
    IO::AIO::aio_stat($path, sub {
        is_deeply([map $stat->$_, qw(atimensec mtimensec ctimensec)], [(IO::AIO::st_xtimensec())[0 .. 2]], 'nanoseconds');
    });
    IO::AIO::flush();
    is($stat->mtimensec, 750_000_000, 'of a file that has some');
    IO::AIO::aio_statx($path, 0, IO::AIO::STATX_BTIME, sub {
        is($stat->$_ // 'unknown', $_[0]->$_ // 'unknown', "$_, if it is known") for qw(btime btimensec);
    });
    IO::AIO::flush();
    ok(-d $other && -f $stat, 'each has its own');
};

# ---- composition ---------------------------------------------------------------------------------

each_engine {
    $dir = fresh_dir();
    write_file("$dir/$_", 'x' x $_) for 1 .. 30;
    my @sizes = map $_->size, Future->needs_all(map aio_stat("$dir/$_"), 1 .. 30)->get;
    is_deeply(\@sizes, [1 .. 30], 'needs_all');
    my $failed = Future->needs_all(map aio_stat($_), "$dir/1", "$dir/none", "$dir/2");
    is((failure_of($failed))[2], "$dir/none", 'fails with the first failure');
    my ($flying, $most) = (0, 0);
    my @texts = Future::Utils::fmap_concat(sub {
        my ($path) = @_;
        $most = $flying if ++$flying > $most;
        aio_load($path)->on_ready(sub { $flying-- });
    }, foreach => [map "$dir/$_", 1 .. 30], concurrent => 4)->get;
    is(join('|', map length, @texts), join('|', 1 .. 30), 'fmap');
    is($most, 4, 'with its limit');
    is(aio_open("$dir/3", O_RDONLY, 0)->then(sub { aio_pread $_[0], 0, 9 })->get, 'xxx', 'then');

    my $group = IO::AIO::aio_group(sub { });
    my $sum   = 0;
    $group->add(map IO::AIO::aio_stat("$dir/$_", sub { $sum += -s _; $group->result($sum, 'more') }), 1 .. 30);
    my $future = aio_wait $group;
    is_deeply([$future->get], [465, 'more'], 'aio_wait: what the callback of a group gets');
    is_deeply([aio_wait($group)->get], [], 'and of one that is done: nothing');

    # The last reference to a future goes before it is ready; nothing stays behind of one that is.
    my $log = '';
    aio_stat($dir)->on_done(sub { $log .= 'done' });
    my $data = 'content';
    weaken(my $ref = do { my $f = aio_read handle('<', 30), 0, 5, $data, 0; $f->get; $f });
    IO::AIO::flush();
    is($log, 'done', 'a future that nobody holds is completed');
    is($ref, undef, 'one that was ready is freed');
    croaks { Future::AIO::Future->new->await } qr/nothing is outstanding/, 'waiting for what cannot come';
    croaks { Future::AIO::Future->new->get } qr/nothing is outstanding/, 'by get as well';
};

# ---- cancelling ----------------------------------------------------------------------------------

each_engine {
    $dir = fresh_dir();
    hold();
    my @futures = (
        aio_mkdir("$dir/a", 0755),
        do {
            my $group = IO::AIO::aio_group(sub { });
            $group->add(map IO::AIO::aio_mkdir("$dir/$_", 0755), 'b' .. 'd');
            aio_wait $group;
        },
        aio_copy($0, "$dir/e"),
        aio_pread(handle('+>'), 0, 5),
        aio_load("$dir/file"),
    );
    $_->cancel for @futures;
    my $none = Future->needs_all(aio_mkdir("$dir/f", 0755), Future->fail('early'));
    release();
    IO::AIO::flush();
    is(join(' ', names_in($dir)), 'file', 'what is cancelled is not executed');
    ok($_->is_cancelled, 'and stays cancelled') for @futures;

    hold();
    my $winner = Future::AIO::Future->new;
    my $first  = Future->wait_any(my $loser = aio_mkdir("$dir/g", 0755), $winner);
    $winner->done('winner');
    release();
    is($first->get, 'winner', 'wait_any');
    ok($loser->is_cancelled, 'cancels the other one');
    IO::AIO::flush();
    ok(!-e "$dir/g", 'before it was executed');

    my $future = aio_stat $dir;
    my $value  = $future->get;
    is($future->cancel->get, $value, 'what is ready cannot be cancelled');
};

# What is made of walks has no arguments in the table.
each_engine {
    $dir = fresh_dir();
    for my $future (aio_walk("$dir/none", undef, undef), aio_du("$dir/none", undef), aio_remove("$dir/none", undef, undef)) {
        my ($message, $operation, $file, $errno) = failure_of($future);
        is($message, "$operation: $dir/none: $errno", "$operation names the path");
        is("$file " . errno_name($errno), "$dir/none ENOENT", "and has it");
    }
};

# Time limits.
each_engine {
    return if engine eq 'sync';    # an open that hangs would hang the program
    $dir = fresh_dir();
    POSIX::mkfifo("$dir/fifo", 0600) or die "mkfifo: $!";
    Future::AIO->import('aioreq_timeout');
    aioreq_timeout(0.002);
    my $late = aio_open("$dir/fifo", O_RDONLY, 0);
    my $other = aio_stat $dir;
    my ($message, $operation, $file, $errno) = failure_of($late);
    is("$operation $file " . errno_name($errno), "aio_open $dir/fifo ETIMEDOUT", 'a future fails when the time is up');
    like($message, qr/^aio_open: \Q$dir\E\/fifo: /, 'as others do');
    ok($other->get, 'the limit was for one request');

    my $group = IO::AIO::aio_group(sub { });
    my $done = aio_wait($group);
    $group->add(IO::AIO::aio_open("$dir/fifo", O_RDONLY, 0));
    $group->timeout(0.002);
    $done->await;
    ok($done->is_ready, 'a group that is waited for');

    # The other way: whatever is ready first wins, and the request is cancelled.
    my $open = aio_open("$dir/fifo", O_RDONLY, 0);
    my $first = Future->wait_any($open, Future::AIO::aio_busy(0.002)->then_fail("too slow\n"));
    is((failure_of($first))[0], "too slow\n", 'wait_any with a timer');
    ok($open->is_cancelled, 'cancels what comes too late');
    sysopen my $end, "$dir/fifo", O_RDWR or die "open: $!";
    wait_for { IO::AIO::poll_cb(); !IO::AIO::nabandoned() && !IO::AIO::nreqs() };
};

# A child begins without requests.
each_engine {
    $dir = fresh_dir();
    hold();
    my $future = aio_mkdir "$dir/made", 0755;
    my ($error, $size) = in_child {
        release();
        eval { $future->get };
        return ($@, aio_stat($0)->get->size);
    };
    like($error, qr/nothing is outstanding/, 'what the parent waits for never comes in the child');
    is($size, -s $0, 'which makes requests of its own');
    release();
    is($future->get, 0, 'it comes in the parent');
};

# ---- async and await -----------------------------------------------------------------------------

SKIP: {
    eval { require Future::AsyncAwait; 1 } or skip 'Future::AsyncAwait is not installed', 1;
    eval(join '', <DATA>) or die $@;
}

# ---- other classes -------------------------------------------------------------------------------

SKIP: {
    my ($status) = run_perl('require IO::Async::Loop');
    skip 'IO::Async is not installed', 1 if $status;
    each_engine {
        my ($status, $out, $err) = run_perl(<<'PERL', $0);
            BEGIN { $ENV{IO_ASYNC_LOOP} = "Poll" } # Epoll 0.22 cannot be used any more in the child of a fork
            use strict; use warnings; use Future::AIO; use IO::Async::Loop;
            my $path = shift;
            print ref aio_nop, "\n";
            IO::AIO::flush();
            my $loop = IO::Async::Loop->new;
            my $turns = 0;
            my $future = aio_stat $path;
            print $future->isa("IO::Async::Future") && $future->loop == $loop ? "of the loop\n" : ref $future;
            {
                select undef, undef, undef, 0.001 until IO::AIO::npending();
                no strict "refs"; no warnings "redefine";
                my $class = ref $loop;
                local *{"${class}::loop_once"} = sub { die "a turn" };
                print $future->get->size == -s $path ? "without a turn\n" : "?";
            }
            my $last = aio_load($path)->then(sub { Future->done(length shift) });
            $last->on_done(sub { $loop->stop });
            $loop->run;
            print $last->get == -s $path ? "by the loop\n" : "?";
            my $late = Future->wait_any($loop->new_future, $loop->delay_future(after => 0.01)->then_fail("late\n"));
            $late->await;
            print $late->failure;
            my $pid = fork // die; # the loop of a child
            if (!$pid) { $loop->post_fork if $loop->can("post_fork"); my $f = aio_stat $path; $f->on_done(sub { $loop->stop }); $loop->run; print "in a child\n"; exit }
            waitpid $pid, 0;
            print aio_stat($path)->get->size == -s $path ? "and after it\n" : "?";
PERL
        is($out, join("\n", 'Future::AIO::Future', 'of the loop', 'without a turn', 'by the loop', 'late', 'in a child', 'and after it', ''),
            'IO::Async');
        is("$status $err", '0 ', 'no error');
    };
}

SKIP: {
    my ($status) = run_perl('require Mojo::Promise');
    skip 'Mojolicious is not installed', 1 if $status;
    each_engine {
        my ($status, $out, $err) = run_perl(<<'PERL', $0);
            use strict; use warnings; use Mojo::Promise; use Mojo::IOLoop;
            use Future::AIO -class => "Mojo::Promise";
            my $path = shift;
            print ref aio_nop, "\n";
            my @log;
            Mojo::Promise->all(
                aio_stat($path)->then(sub { push @log, shift->size == -s $path ? "size" : "?" }),
                aio_open("/no/such", 0, 0)->then(sub { push @log, "opened" }, sub { my ($path, $errno) = $_[0]->details; push @log, "rejected: @_ [" . $_[0]->category . " $path] " . ($errno + 0) }),
                aio_load($path)->then(sub { push @log, length shift == -s $path ? "data" : "?" }),
            )->wait;
            print map "$_\n", sort @log;
            my $future = Future::AIO::aio_stat($path)->on_done(sub { Mojo::IOLoop->stop });
            Mojo::IOLoop->start;
            print $future->isa("Future") && $future->get->size == -s $path ? "others are as they were\n" : "?";
PERL
        is($out, join("\n", 'Mojo::Promise', 'data', 'rejected: aio_open: /no/such: ' . do { local $! = ENOENT; $! } . ' [aio_open /no/such] ' . ENOENT,
            'size', 'others are as they were', ''), 'Mojo::Promise');
        is("$status $err", '0 ', 'no error');
    };
}

done;

__DATA__
use Future::AsyncAwait;

async sub slurp {
    my ($path) = @_;
    my $fh   = await aio_open $path, O_RDONLY, 0;
    my $size = (await aio_stat $fh)->size;
    my $data = '';
    while (length $data < $size) {
        my $more = await aio_pread $fh, length $data, 1000;
        last unless defined $more;
        $data .= $more;
    }
    await aio_close $fh;
    return $data;
}

async sub spew {
    my ($path, $data) = @_;
    my $fh   = await aio_open "$path~", O_WRONLY | O_CREAT | O_TRUNC, 0600;
    my $done = 0;
    while ($done < length $data) {
        $done += await aio_write $fh, $done, 700, $data, $done;
    }
    await aio_fsync $fh;
    await aio_close $fh;
    await aio_rename "$path~", $path;
    return $done;
}

async sub copy {
    my ($from, $to) = @_;
    my $data = await slurp($from);
    return await spew($to, $data);
}

async sub copy_all {
    my ($from, $to) = @_;
    my $names = await aio_readdir $from;
    return await Future->needs_all(map copy("$from/$_", "$to/$_"), @$names);
}

each_engine {
    my $from = fresh_dir();
    my $to   = fresh_dir();
    my %text = map { ("n$_" => join '', map "line $_\n", 1 .. 37 * $_) } 1 .. 25;
    write_file("$from/$_", $text{$_}) for keys %text;
    my @sizes = copy_all($from, $to)->get;
    is_deeply([sort { $a <=> $b } @sizes], [sort { $a <=> $b } map length, values %text], 'what async subs return');
    is_deeply({ map { $_ => read_file("$to/$_") } keys %text }, \%text, 'files are copied, all at once');
    is((failure_of(copy_all($from, "$to/none")))[1], 'aio_open', 'one of many fails the whole');

    my $caught = (async sub {
        eval { await slurp("$from/none"); 1 } and return 'nothing';
        my $error = $@;
        $! = 0;
        await aio_nop;
        return [$error->category, $error->details];
    })->()->get;
    is("@$caught[0, 1] " . ($caught->[2] + 0), "aio_open $from/none " . ENOENT, 'a failure can be caught, with all that belongs to it');

    # Cancelled through async subs.
    hold();
    my $step = '';
    my $task = (async sub { $step = 'waits'; await aio_mkdir "$from/made", 0755; $step = 'goes on' })->();
    is($step, 'waits', 'an async sub waits for its request');
    $task->cancel;
    release();
    IO::AIO::flush();
    ok(!-e "$from/made", 'cancelled, the request is not executed') if $] >= 5.024;
    is($step, 'waits', 'nor does the sub go on');
};

# What is done already costs no turn; but in callbacks they take turns.
each_engine {
    my $log = '';
    my $one = (async sub {
        my $future = aio_nop;
        wait_for { IO::AIO::npending() };
        await $future;
        $log .= 'at once';
    })->();
    is($log, 'at once', 'what is done is awaited without a turn');

    # One that always has something to go on with keeps nobody waiting.
    my ($first, $second) = (0, 0);
    my $busy = (async sub { while (!$second) { my $f = aio_nop; wait_for { IO::AIO::npending() }; await $f; $first++ } })->();
    cmp_ok($first, '>', 1, 'it goes on at once some times');
    cmp_ok($first, '<', 100, 'but not for ever');
    my $other = (async sub { for my $i (1 .. 3) { await aio_nop } $second = $first || 1 })->();
    Future->needs_all($busy, $other)->get;
    cmp_ok($second, '<', $first + 100, 'and others get their turn');
};

1;
