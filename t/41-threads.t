use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Config;
use POSIX ();
use IO::AIO;

IO::AIO::min_fdlimit(256);    # it has many files open

# The number of threads and what it depends on; the counters of requests. Perl's threads, which are created where
# the module is in the middle of something.

# Requests that stay in execution until $go->() empties their pipes: returns $go.
sub block_workers {
    my ($n, $cb) = @_;
    my @r;
    for (1 .. $n) {
        pipe my $r, my $w or die "pipe: $!";
        $w->blocking(0);
        1 while syswrite $w, 'x' x 65536;
        1 while syswrite $w, 'x';
        $w->blocking(1);
        open my $in, '<', $0 or die "$0: $!";
        aio_sendfile $w, $in, 0, 1, $cb || sub { };
        push @r, $r;
    }
    return sub {
        for my $r (@r) { $r->blocking(0); 1 while sysread $r, my $buf, 65536 }
    };
}

sub counters { join ' ', IO::AIO::nreqs(), IO::AIO::nready(), IO::AIO::npending() }

# Reads the masks of blocked signals of all threads but the main one.
sub blocked_signals {
    my $main = "/proc/self/task/$$";
    my @mask;
    for my $task (grep $_ ne $main, glob '/proc/self/task/*') {
        open my $fh, '<', "$task/status" or next;
        my %status = map { /^(\w+):\s*(.*)/ ? ($1 => $2) : () } <$fh>;
        push @mask, hex substr $status{SigBlk}, -8 unless $status{Name} =~ /^iou-/;
    }
    @mask;
}

each_engine {
    my ($engine) = @_;
    return if is_peer;    # it counts threads that end as requests

    # counters
    is(counters(), '0 0 0', 'an idle module');
    hold;
    aio_nop for 1 .. 5;
    is(counters(), '5 5 0', 'five requests wait');
    my $req = aio_nop;
    $req->cancel;
    is(IO::AIO::nreqs, 6, 'a cancelled one counts too');
    aio_group;
    is(IO::AIO::nreqs, 7, 'and a group');
    release;
    wait_for { !IO::AIO::nready };
    wait_for { IO::AIO::npending >= 5 };
    is(IO::AIO::nreqs, 7, 'they still count when they are done');
    my @seen;
    IO::AIO::flush;
    is(counters(), '0 0 0', 'until they were called back');
    aio_nop sub { push @seen, IO::AIO::nreqs };
    IO::AIO::flush;
    is("@seen", '0', 'in its callback a request does not count');

    # max_parallel 0
    hold;
    @seen = ();
    my $path = tmpdir . "/$engine";
    aio_mkdir $path, 0755, sub { push @seen, @_ };
    aio_nop sub { push @seen, 'nop' };
    is(IO::AIO::nthreads, 0, 'with max_parallel 0 there is no thread');
    is(IO::AIO::poll_cb, 0, 'nothing comes');
    ok(!-e $path, 'nothing is done');
    is(counters(), '2 2 0', 'the requests wait');
    IO::AIO::max_parallel(3);
    IO::AIO::flush;
    is("@{[sort @seen]}", '0 nop', 'with another number they go on');
    ok(-d $path, 'and are done');
    reset_limits;
    hold;
    aio_nop sub { push @seen, 'again' };
    IO::AIO::min_parallel(2);
    IO::AIO::flush;
    is($seen[-1], 'again', 'min_parallel makes them go on too');
    reset_limits;
    aio_nop sub { hold; push @seen, 'held' };
    IO::AIO::flush;
    aio_nop sub { push @seen, 'later' };
    IO::AIO::poll_cb;
    is($seen[-1], 'held', 'max_parallel 0 in a callback');
    release;
    IO::AIO::flush;
    is($seen[-1], 'later', 'and back');
    IO::AIO::max_parallel(-1);
    my $negative = 0;
    aio_mkdir '/', 0755, sub { $negative++ };
    IO::AIO::flush;
    is($negative, 1, 'a negative number is no bound');

    is_deeply([IO::AIO::max_parallel(8), IO::AIO::min_parallel(8), IO::AIO::max_idle(4), IO::AIO::idle_timeout(10)],
        [], 'the limits return nothing');

  SKIP: {
        skip 'engine sync has no threads', 1 if $engine eq 'sync';

        # on demand
        IO::AIO::max_parallel(0);
        reset_limits;
        IO::AIO::min_parallel(8);
        is(IO::AIO::nthreads, 0, 'min_parallel alone starts no thread');
        my $go = block_workers(1);
        wait_for { !IO::AIO::nready };
        cmp_ok(IO::AIO::nthreads, '>=', 1, 'a request does');
        cmp_ok(IO::AIO::nthreads, '<=', 8, 'never more than the limit');
        is_deeply([counters(), IO::AIO::poll_cb], ['1 0 0', 0], 'a running request');
        $go->();
        IO::AIO::flush;

        # how many run at once
        IO::AIO::max_parallel(2);
        $go = block_workers(5);
        wait_for { IO::AIO::nready <= 3 };
        is(IO::AIO::nready, 3, 'max_parallel 2: of five requests three wait');
        is(IO::AIO::nthreads, 2, 'there are two threads');
        IO::AIO::max_parallel(4);
        wait_for { IO::AIO::nready <= 1 };
        is(IO::AIO::nready, 1, 'raised to 4, only one');
        IO::AIO::min_parallel(6);
        wait_for { IO::AIO::nready <= 0 };
        is(IO::AIO::nready, 0, 'min_parallel 6 raises max_parallel');
        $go->();
        IO::AIO::flush;
        IO::AIO::max_parallel(1);
        $go = block_workers(3);
        wait_for { IO::AIO::nready <= 2 };
        is(IO::AIO::nready . IO::AIO::nthreads, '21', 'max_parallel 1 goes before min_parallel');
        $go->();
        IO::AIO::flush;
        IO::AIO::min_parallel(40);
        $go = block_workers(40);
        wait_for { !IO::AIO::nready };
        is(IO::AIO::nthreads, 40, 'forty at once');
        $go->();
        IO::AIO::flush;
        IO::AIO::max_parallel(3);
        cmp_ok(IO::AIO::nthreads, '<=', 3, 'lowering it ends threads before it returns');

        # it waits for workers that are busy
        reset_limits;
        my $called = 0;
        $go = block_workers(2, sub { $called++ });
        wait_for { !IO::AIO::nready };
        my $parent = $$;
        defined(my $pid = fork) or die "fork: $!";
        unless ($pid) {
            for (1 .. 20_000) {
                open my $fh, '<', "/proc/$parent/stat" or last;
                last if <$fh> =~ /\) S /;
                select undef, undef, undef, 0.001;
            }
            $go->();
            POSIX::_exit(0);
        }
        IO::AIO::max_parallel(0);
        is(IO::AIO::nthreads, 0, 'max_parallel 0 waits for requests that run');
        is($called, 0, 'and calls none of them back');
        waitpid $pid, 0;
        $go->();
        reset_limits;
        IO::AIO::flush;
        is($called, 2, 'they are later');

        # idle threads
        IO::AIO::max_idle(2);
        IO::AIO::idle_timeout(1);
        $go = block_workers(6);
        wait_for { !IO::AIO::nready };
        is(IO::AIO::nthreads, 6, 'six busy threads');
        $go->();
        IO::AIO::flush;
        wait_for { IO::AIO::nthreads <= 2 };
        is(IO::AIO::nthreads, 2, 'those beyond max_idle end after idle_timeout');
        run_req { aio_sync $_[0] };
        cmp_ok(IO::AIO::nthreads, '<=', 3, 'and the others serve');

        # signals
        my @mask = blocked_signals();
      SKIP: {
            skip 'no /proc', 1 unless @mask;
            my %signal = map { $_ => POSIX->can("SIG$_")->() } qw(INT TERM HUP USR1 ALRM CHLD PIPE);
            for my $name (sort keys %signal) {
                my $bit = 1 << ($signal{$name} - 1);
                is((grep !($_ & $bit), @mask), 0, "threads block SIG$name");
            }
        }
    }
};

# ---- perl's threads --------------------------------------------------------------------------------

sub in_threads {
    my ($name, $expected, $program) = @_;
    local $ENV{IO_AIO_ENGINE} = 'pool'; # one of the requests waits
    my ($status, $out, $err) = run_perl(<<'HEAD' . $program, tmpdir . '/in_threads');
        use strict;
        use warnings;
        use threads;
        use IO::AIO;
        $| = 1;
        open our $fh, '+>', $ARGV[0] or die "$ARGV[0]: $!";
        our $create;
        sub Tied::TIESCALAR { bless [], 'Tied' }
        sub Tied::FETCH { $create->(); 3 }
HEAD
    is("$status\n$out", "0\n$expected", $name) or diag($err);
    is($err, '', '... without a word');
}

SKIP: {
    skip 'perl has no threads', 10 unless $Config{useithreads};
    skip 'the other one shares what it must not', 10 if is_peer;

    # Perl takes the strings of what is marked as temporary away; so were the other arguments of a call whose
    # FETCH creates a thread, and a thread's copy keeps the mark. So were they when a sub had returned behind the call.
    in_threads('the copy of an argument of a call that goes on', "3000 3000\n" x 6, <<'PROGRAM');
        our $data = 'd' x 3000;
        my ($lexical, %h, @path, @argv) = ('l' x 3000, h => 'e' x 3000);
        sub in_thread { my ($sub) = @_; $create = sub { threads->create($sub)->join } }
        sub lengths { print length $_[0], ' ', length $_[1], "\n" }
        tie my $tied, 'Tied';
        in_thread(sub { my $copy = $data; lengths($copy, $data) });
        aio_write $fh, 0, $tied, $data, 0;
        in_thread(sub { my $copy = $lexical; lengths($copy, $lexical) });
        aio_write $fh, 0, $tied, $lexical, 0;
        in_thread(sub { my $copy = $h{h}; lengths($copy, $h{h}) });
        aio_write $fh, 0, $tied, $h{h}, 0;
        IO::AIO::flush;
        @path = (undef, 'p' x 3000);
        tie $path[0], 'Tied';
        in_thread(sub { my $copy = $path[1]; lengths($copy, $path[1]) });
        eval { aio_stat \@path };
        @argv = ('a' x 3000, undef);
        tie $argv[1], 'Tied';
        in_thread(sub { my $copy = $argv[0]; lengths($copy, $argv[0]) });
        IO::AIO::fexecve $fh, \@argv;
        our $path = 'q' x 3000;
        tie my $other, 'T';
        sub T::TIESCALAR { bless [], 'T' }
        sub T::FETCH { $ARGV[0] }
        sub link_it { aio_symlink $path, $other }
        my @both = (link_it(), threads->create(sub { my $copy = $path; lengths($copy, $path) })->join);
        IO::AIO::flush;
PROGRAM

    # Packages that inherit CLONE have it called once more each; and the order is perl's.
    in_threads('CLONE is called again', "0 requests\nthread: nop\nread 4, group\nlocked 0\n", <<'PROGRAM');
        syswrite $fh, 'data';
        @Heir::ISA = 'IO::AIO';
        my ($group, $data) = aio_group sub { print "group\n" };
        add $group aio_read $fh, 0, 4, $data, 0, sub { print "read $_[0], " };
        IO::AIO->CLONE;
        threads->create(sub {
            IO::AIO->CLONE;
            print IO::AIO::nreqs, " requests\n";
            aio_nop sub { print "thread: nop\n" };
            IO::AIO->CLONE;
            IO::AIO::flush;
        })->join;
        add $group aio_nop;
        IO::AIO::flush;
        print 'locked ', 0 + Internals::SvREADONLY($data), "\n";
PROGRAM
    in_threads('a request before CLONE', "thread: nop\nwritable\nmain: nop\n", <<'PROGRAM');
        pipe my $r, my $w or die "pipe: $!";
        my $data = 'old';
        aio_read $r, 0, 3, $data, 3;
        aio_nop sub { print "main: nop\n" };
        {
            no warnings 'redefine';
            my $clone = \&IO::AIO::CLONE;
            *IO::AIO::CLONE = sub { aio_nop sub { print "thread: nop\n" }; &$clone };
        }
        threads->create(sub { IO::AIO::flush; $data .= 'x'; print "writable\n" })->join;
        close $w;
        IO::AIO::flush;
PROGRAM

    # A perl with assertions asks whether what is looked at for its string can have one.
    my $became = $] < 5.022 ? "thread: *main::STDIN\nread 4: *main::STDIN\n" : "it cannot\nthread: \nread 4: data\n";
    in_threads('a locked scalar that has become a glob', $became, <<'PROGRAM');
        pipe my $r, my $w or die "pipe: $!";
        my $data;
        aio_read $r, undef, 4, $data, 0, sub { print "read $_[0]: $data\n" };
        Internals::SvREADONLY($data, 0);
        eval { $data = *STDIN; 1 } or print "it cannot\n";
        threads->create(sub { print "thread: $data\n" })->join;
        syswrite $w, 'data';
        IO::AIO::flush;
PROGRAM

    # Perl copies arguments of threads after everything else, and results without asking any package.
    my $sizes = join '', map "argument: 1000001 L x\nresult: 1000001 L x\n", 1 .. 3;
    in_threads('scalars in flight that nothing but an argument or a result refers to', $sizes, <<'PROGRAM');
        my ($data, $n) = ("L" x 1_000_000, 0);
        sub in_flight {
            my ($kind) = @_;
            my $mine = $data;                         # copy on write
            my $copy = 'M' . $data;
            $copy = reverse $copy unless $kind == 2;  # moved, or not
            open my $zero, '<', '/dev/zero' or die;
            IO::AIO::max_parallel 0;
            $kind ? aio_read $zero, 0, 10, $copy, 1_000_001 : aio_write $fh, 0, undef, $copy, 0;
            aio_write $fh, 0, undef, $mine, 0;
            return { data => \$copy, shared => \$mine, filler => 'x' x 100 };
        }
        sub look {
            my ($what, $given) = @_;
            my ($data, $shared) = @$given{qw(data shared)};
            my $length = length $$data;
            $$_ .= 'x' for $data, $shared;
            print "$what: $length ", substr($$shared, 0, 1), ' ', substr($$data, -1), "\n";
        }
        for my $kind (0 .. 2) {
            my $thread = threads->create(sub { my @fill = map 'f' x 1_000_001, 1 .. 20; look(argument => @_) }, in_flight($kind));
            IO::AIO::max_parallel 4;
            IO::AIO::flush;
            my @fill = map 'F' x 1_000_001, 1 .. 20;
            $thread->join;
            my ($result) = threads->create({ context => 'list' }, sub { in_flight($kind) })->join;
            @fill = map 'G' x 1_000_001, 1 .. 20;
            look(result => $result);
        }
PROGRAM

    # What a worker fills when the thread has ended must not be somebody else's by then.
    in_threads('a thread ends while a mapping is read into', "joined\nas it was\n", <<'PROGRAM');
        use POSIX ();
        use constant SIZE => 1 << 20;
        sub map_it {
            IO::AIO::mmap $_[0], SIZE, IO::AIO::PROT_READ | IO::AIO::PROT_WRITE,
                IO::AIO::MAP_PRIVATE | IO::AIO::MAP_ANONYMOUS or die "mmap: $!";
        }
        # Not handles, which perl closes at the end: for all that ThreadSanitizer knows, the worker reads then.
        my ($r, $w) = POSIX::pipe() or die "pipe: $!";
        threads->create(sub {
            map_it(my $map);
            aio_read $r, undef, 4, $map, 0;
            select undef, undef, undef, 0.001 while IO::AIO::nready;
        })->join;
        print "joined\n";
        map_it(my $another);
        POSIX::write($w, 'data', 4);
        my $in = '';
        vec($in, $r, 1) = 1;
        select undef, undef, undef, 0.001 while select my $ready = $in, undef, undef, 0;
        print substr($another, 0, 4) eq "\0" x 4 ? "as it was\n" : "written to\n";
PROGRAM
}

done;
