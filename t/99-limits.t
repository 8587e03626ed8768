# Limits of the process, and sandboxes that refuse the ring: each request has the result of the blocking call, no signal
# comes, nothing is lost. And signals of the program's own stay what they are.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::AIO;
use AIOTest;
use KindTest;
use Fcntl qw(O_RDONLY O_WRONLY O_RDWR O_CREAT);
use POSIX ();
use Socket;
use Test::More;

plan skip_all => 'IO::AIO 4.80 is killed in some of them' if is_peer;
plan skip_all => 'the numbers of system calls are known for x86_64 and aarch64 only' unless KindTest::knows;

my $dir = tmpdir;
my $text = 'x' x 3000;

# ---- what is tried ----------------------------------------------------------------------------------
#
# Name, request, the same by blocking calls (or what has to come of it). Both return a result, and on failure the error.

sub outcome { my ($result, @more) = @_; join ' ', defined $result && $result ne '-1' && $result ne '' ? $result : errno_name($!), @more }

# By a request: the block gets the callback. The second argument makes a result of the callback's arguments.
sub request {
    my ($submit, $show) = @_;
    my $outcome = 'lost';
    $submit->(sub { $outcome = outcome($show ? $show->(@_) : $_[0]) });
    IO::AIO::flush;
    return $outcome;
}

my $path = "$dir/file";
my $n = 0;
sub fresh { write_file $path, $text; sysopen my $fh, $path, O_RDWR or return; $fh }
sub size { my ($outcome) = @_; "$outcome, size " . -s $path }
sub status { $_[0] ? 0 : -1 }

# A partial sendfile ends in an error, too: the result counts.
my @transfers = map {
    my ($name, $offs, $length) = @$_;
    [
        "write $name",
        sub { my $fh = $_[0]; size(request(sub { aio_write $fh, $offs, $length, 'w' x $length, 0, $_[0] })) },
        sub { size(outcome(KindTest::pwrite(fileno $_[0], 'w' x $length, $offs))) }, 'fresh',
    ], [
        "read $name",
        sub { my $fh = $_[0]; request(sub { aio_read $fh, $offs, $length, my $buf = '', 0, $_[0] }) },
        sub { sysseek $_[0], $offs, 0; outcome(sysread $_[0], my $buf, $length) }, 'fresh',
    ];
} ['within', 0, 10], ['up to the limit', 3490, 10], ['across it', 3490, 100], ['at it', 3500, 10], ['beyond it', 5000, 10];

my @truncates = map {
    my $length = $_;
    ["truncate a handle to $length", sub { my $fh = $_[0]; size(request(sub { aio_truncate $fh, $length, $_[0] })) },
        sub { size(outcome(status(truncate $_[0], $length))) }, 'fresh'],
    ["truncate a name to $length", sub { size(request(sub { aio_truncate $path, $length, $_[0] })) },
        sub { size(outcome(status(truncate $path, $length))) }, 'fresh'],
} 0, 3500, 3501;

my @names = (
    ['stat', sub { request(sub { aio_stat $dir, $_[0] }) }, sub { outcome(status(stat $dir)) }],
    ['mkdir', sub { my $new = "$dir/" . $n++; request(sub { aio_mkdir $new, 0777, $_[0] }) }, sub { outcome(status(mkdir "$dir/" . $n++)) }],
    ['symlink', sub { my $new = "$dir/" . $n++; request(sub { aio_symlink 'x' x 2000, $new, $_[0] }) },
        sub { outcome(status(symlink 'x' x 2000, "$dir/" . $n++)) }],
    ['readlink', sub { request(sub { aio_readlink "$dir/link", $_[0] }) }, sub { outcome(readlink "$dir/link") }],
    ['rename', sub { write_file "$dir/from"; request(sub { aio_rename "$dir/from", "$dir/to", $_[0] }) },
        sub { write_file "$dir/from"; outcome(status(rename "$dir/from", "$dir/to")) }, 'files'],
    ['unlink', sub { request(sub { aio_unlink "$dir/absent", $_[0] }) }, sub { outcome(status(unlink "$dir/absent")) }],
    ['nop', sub { request(sub { aio_nop $_[0] }, sub { 0 }) }, sub { 0 }],
);

my @opens = (
    ['open', sub { request(sub { aio_open $path, O_RDONLY, 0, $_[0] }, sub { $_[0] ? 0 : -1 }) },
        sub { outcome(status(sysopen my $fh, $path, O_RDONLY)) }],
    ['open to create', sub { my $new = "$dir/" . $n++; request(sub { aio_open $new, O_RDWR | O_CREAT, 0666, $_[0] }, sub { $_[0] ? 0 : -1 }) },
        sub { outcome(status(sysopen my $fh, "$dir/" . $n++, O_RDWR | O_CREAT)) }],
    ['load', sub { my $data; request(sub { aio_load $path, $data, $_[0] }) }, sub { outcome(status(sysopen my $fh, $path, O_RDONLY) == 0 ? 3000 : -1) }],
    ['slurp', sub { my $data; request(sub { aio_slurp $path, 10, 20, $data, $_[0] }) }, sub { outcome(status(sysopen my $fh, $path, O_RDONLY) == 0 ? 20 : -1) }],
    ['readdir', sub { request(sub { aio_readdir $dir, $_[0] }, sub { $_[0] ? 0 : -1 }) }, sub { outcome(status(opendir my $d, $dir)) }],
    ['scandir', sub { request(sub { aio_scandir $dir, 0, $_[0] }, sub { $_[0] ? 0 : -1 }) }, sub { outcome(status(opendir my $d, $dir)) }],
    ['wd', sub { request(sub { aio_wd $dir, $_[0] }, sub { $_[0] ? 0 : -1 }) }, sub { outcome(status(opendir my $d, $dir)) }],
    ['pathsync', sub { request(sub { aio_pathsync $path, $_[0] }) }, sub { outcome(status(sysopen my $fh, $path, O_RDONLY)) }],
    ['copy', sub { request(sub { aio_copy $path, "$dir/copy", $_[0] }) }, sub { outcome(status(sysopen my $fh, $path, O_RDONLY)) }],
);

# What each comes to, by both ways, one after the other.
sub compare {
    my (@tries) = @_;
    return map {
        my ($name, $request, $blocking, $fresh) = @$_;
        my $want = $blocking->($fresh ? fresh : ());
        [$name, $request->($fresh ? fresh : ()), $want];
    } @tries;
}

# In a child under the engine: what the block returns are rows of name, result, expected result.
sub limited {
    my ($what, $code, $nobody) = @_;
    my $engine = engine;
    my @rows = &{ $nobody ? \&as_nobody : \&in_child }(sub {
        my $signals = 0;
        local @SIG{qw(PIPE XFSZ)} = (sub { $signals++ }) x 2;
        my @rows = $code->();
        (@rows, ['signals', $signals, 0], ['requests left', IO::AIO::nreqs, 0]);
    });
    is($_->[1], $_->[2], "$what: $_->[0]") for @rows;
}

# ---- file sizes ---------------------------------------------------------------------------------------

my $other = (grep { -d && -w _ && (stat _)[0] != (stat $dir)[0] } '/dev/shm', '/var/tmp', '/tmp')[0];

# Blocking calls are killed unless they ignore the signal, which makes no other difference.
sub without_signal { my ($code) = @_; local $SIG{XFSZ} = 'IGNORE'; $code->() }

sub file_sizes {
    limited 'RLIMIT_FSIZE', sub {
        write_file "$dir/large", 'l' x 9000;
        KindTest::limit(FSIZE => 3500);
        my @rows = compare(
            (map { my ($name, $request, $blocking, $fresh) = @$_; [$name, $request, sub { my @args = @_; without_signal(sub { $blocking->(@args) }) }, $fresh] }
                @transfers, @truncates),
            @names, @opens
        );
        my $end = "$dir/large.copy";
        push @rows, ['copy of too much', request(sub { aio_copy "$dir/large", $end, $_[0] }), 'EFBIG'], ['leaves nothing', -e $end ? 1 : 0, 0];
        if ($other) {
            $end = "$other/aiotest.$$";
            push @rows, ['move to another file system', request(sub { aio_move "$dir/large", $end, $_[0] }), 'EFBIG'],
                ['leaves the source', -s "$dir/large", 9000], ['and nothing else', -e $end ? 1 : 0, 0];
        }
        open my $in, '<', "$dir/large";
        my $fh = fresh;
        push @rows, ['a part of a sendfile', request(sub { aio_sendfile $fh, $in, 0, 9000, $_[0] }), 3500];
        push @rows, ['sendfile at the limit', request(sub { aio_sendfile $fh, $in, 0, 9000, $_[0] }), 'EFBIG'];
        push @rows, ['allocate', request(sub { aio_allocate $fh, 0, 0, 3501, $_[0] }), 'EFBIG'] unless without 'FALLOCATE';
        if (sysopen $fh, $path, O_RDWR | IO::AIO::O_DIRECT) {
            my $buf = KindTest::buffer('d', 4096);
            my $pad = KindTest::padding($buf);
            push @rows, ['a direct write across it', request(sub { aio_write $fh, 0, 4096, $$buf, $pad, $_[0] }), without_signal(sub {
                outcome(KindTest::blocking('write', fileno $fh, 0, 4096)->[0]);
            })];
        }
        @rows;
    };
}

# ---- descriptors ----------------------------------------------------------------------------------------

sub descriptors {
    limited 'RLIMIT_NOFILE', sub {
        my $fh = fresh;
        my @all;
        do { open my $more, '<', '/dev/null' or die "null: $!"; push @all, $more } until fileno $all[-1] > 60;
        IO::AIO::flush;
        my %seen;
        my @before = compare(map { $seen{$_->[0]}++ ? () : $_ } @names, @opens);
        KindTest::limit(NOFILE => 1 + fileno $all[-1]);
        my @rows = compare(grep { !$_->[3] } @names, @opens);
        push @rows, ['read', request(sub { aio_read $fh, 0, 10, my $buf = '', 0, $_[0] }), 10];
        push @rows, ['write', request(sub { aio_write $fh, 0, 10, 'w' x 10, 0, $_[0] }), 10];
        push @rows, ['sync', request(sub { aio_fsync $fh, $_[0] }), 0];
        push @rows, ['close', request(sub { aio_close $fh, $_[0] }), 0];
        close $fh;    # aio_close leaves its number to the handle
        push @rows, ['open in its place', request(sub { aio_open $path, O_RDONLY, 0, $_[0] }, sub { $_[0] ? 0 : -1 }), 0];
        KindTest::limit('NOFILE');
        (@before, @rows, ['open is refused', (grep $_->[0] eq 'open', @rows)[0][1], 'EMFILE'], compare(@names, @opens));
    };
}

# ---- locked memory, threads: root has no such limits -----------------------------------------------------

my @everything = (@transfers, @truncates, @names, @opens);

sub locked_memory {
    limited 'RLIMIT_MEMLOCK', sub {
        my $region = 'm' x 100_000;
        KindTest::limit(MEMLOCK => 0);
        my @rows = map { [@$_] } compare(@everything);
        IO::AIO::reinit;
        push @rows, compare(@everything);
        push @rows, ['mlock', request(sub { aio_mlock $region, 0, 100_000, $_[0] }), 'EPERM'] unless without 'MLOCK';
        push @rows, ['mlockall', request(sub { aio_mlockall IO::AIO::MCL_CURRENT, $_[0] }), 'EPERM'] unless without 'MLOCKALL';
        @rows;
    }, 1;
}

sub threads {
    limited 'RLIMIT_NPROC', sub {
        KindTest::limit(NPROC => 0);
        my @rows = compare(@everything);
        my ($done, @want) = (0);
        aio_stat $dir, sub { $done += !$_[0] } for 1 .. 100;
        IO::AIO::flush;
        (@rows, ['100 at a time', $done, 100], $> ? ['threads', IO::AIO::nthreads, 0] : ());
    }, 1;
}

# ---- what the program has to do with the signals ------------------------------------------------------------

my @raises = (
    ['write', 'PIPE', sub { my $out = $_[0]; request(sub { aio_write $out, undef, 1, 'x', 0, $_[0] }) }, 'EPIPE'],
    ['sendfile', 'PIPE', sub { my $out = $_[0]; open my $in, '<', $path; request(sub { aio_sendfile $out, $in, 0, 100, $_[0] }) }, 'EPIPE'],
    ['write', 'XFSZ', sub { my $out = $_[1]; request(sub { aio_write $out, 5000, 1, 'x', 0, $_[0] }) }, 'EFBIG'],
    ['truncate', 'XFSZ', sub { request(sub { aio_truncate $path, 5000, $_[0] }) }, 'EFBIG'],
    ['copy', 'XFSZ', sub { request(sub { aio_copy "$dir/large", "$dir/copy2", $_[0] }) }, 'EFBIG'],
    ['sendfile', 'XFSZ', sub { my $out = $_[1]; open my $in, '<', "$dir/large"; request(sub { aio_sendfile $out, $in, 0, 9000, $_[0] }) }, 3500],
);

sub dispositions {
    my $count = 0;
    my %how = (
        'default'          => sub { $SIG{ $_[0] } = 'DEFAULT' },
        'ignored'          => sub { $SIG{ $_[0] } = 'IGNORE' },
        '%SIG'             => sub { $SIG{ $_[0] } = sub { $count++ } },
        'POSIX::sigaction' => sub { POSIX::sigaction(POSIX->can("SIG$_[0]") ? POSIX->can("SIG$_[0]")->() : 25, POSIX::SigAction->new(sub { $count++ })) },
    );
    for my $how (sort keys %how) {
        my @rows = in_child {
            write_file "$dir/large", 'l' x 9000;
            KindTest::limit(FSIZE => 3500);
            map {
                my ($name, $signal, $request, $want) = @$_;
                $count = 0;
                $how{$how}->($signal);
                my $was = ref $SIG{$signal} || $SIG{$signal};
                pipe my $r, my $w;
                close $r;
                my $got = $request->($w, fresh);
                ["$name, SIG$signal", "$got $count " . (ref $SIG{$signal} || $SIG{$signal}), "$want 0 $was"];
            } @raises;
        };
        is($_->[1], $_->[2], "$how: $_->[0]") for @rows;
    }
    # one that was sent before, and that the program blocks
    my @rows = in_child {
        write_file "$dir/large", 'l' x 9000;
        KindTest::limit(FSIZE => 3500);
        map {
            my ($name, $signal, $request, $want) = @$_;
            my $number = $signal eq 'PIPE' ? POSIX::SIGPIPE() : 25;
            my ($came, $pending) = (0, POSIX::SigSet->new);
            local $SIG{$signal} = sub { $came++ };
            POSIX::sigprocmask(POSIX::SIG_BLOCK(), POSIX::SigSet->new($number));
            kill $signal => $$;
            pipe my $r, my $w;
            close $r;
            my $got = $request->($w, fresh);
            POSIX::sigpending($pending);
            my $row = "$got $came " . $pending->ismember($number);
            POSIX::sigprocmask(POSIX::SIG_UNBLOCK(), POSIX::SigSet->new($number));
            ["$name, SIG$signal", $row . ($came ? ' came' : ' lost'), "$want 0 1 came"];
        } @raises;
    };
    is($_->[1], $_->[2], "pending before: $_->[0]") for @rows;
}

# ---- sandboxes ----------------------------------------------------------------------------------------------

my @ring = (['io_uring_setup', 425], ['io_uring_enter', 426], ['io_uring_register', 427]);

sub sandboxes {
    for my $call (@ring) {
        my ($name, $number) = @$call;
        for my $errno (POSIX::EPERM(), POSIX::ENOSYS()) {
            limited "$name: " . errno_name($errno), sub {
                KindTest::refuse($number, $errno) or return ['no seccomp', 0, 0];
                my ($active, $reason) = IO::AIO::engine 'uring';
                local $! = $errno;
                return (
                    ['the engine', $active, 'pool'], ['the reason', $reason, "uring: $name: $!"],
                    compare(@everything), ['the engine at the end', scalar IO::AIO::engine, 'pool'],
                );
            };
        }
    }
}

chmod 0777, $dir;
symlink 'x', "$dir/link" or die "symlink: $!";
each_engine {
    fresh;
    chmod 0666, $path;
    dispositions();
    file_sizes();
    descriptors();
    locked_memory();
    threads();
    sandboxes() if engine eq 'uring';
};
done;
