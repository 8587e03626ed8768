# Our Coro::AIO: requests that block a coro only.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

BEGIN {
    eval { require Coro; require AnyEvent; 1 } or plan skip_all => 'needs Coro and AnyEvent';
}

use AIOTest;
use Coro;
use Coro::AIO;
use CoroAIOTest;
use Fcntl;
use POSIX ();

# The event loop and what it opens belong to the state at the start.
AnyEvent::detect();
aio_nop;

subtest 'what is there' => sub {
    (my $home = $INC{'IO/AIO.pm'}) =~ s{IO/AIO\.pm\z}{};
    is($INC{'Coro/AIO.pm'}, "${home}Coro/AIO.pm", 'it is ours that is tested') unless is_peer;
    no strict 'refs';
    for my $name (@IO::AIO::AIO_REQ) {
        (my $want = prototype "IO::AIO::$name") =~ tr/;//d;
        $want =~ s/\$\z/;/;
        is(prototype "Coro::AIO::$name", $want, "$name lacks the callback only");
    }
    is(\&$_, \&{"Coro::AIO::$_"}, "$_ is exported") for 'aio_wait', @IO::AIO::AIO_REQ, @IO::AIO::EXPORT;
    is(\&{"Coro::AIO::$_"}, \&{"IO::AIO::$_"}, "$_ is IO::AIO's") for 'aioreq_pri', grep !/^aio_/, @IO::AIO::EXPORT_OK;
    is(Coro::AIO::nreqs, 0, 'a call by full name');
    is(Coro::AIO::O_RDWR, O_RDWR, 'a constant by full name');
    ok(Coro::AIO::CWD->isa('IO::AIO::WD'), 'CWD');
    {
        package Elsewhere;
        Coro::AIO->import(qw(aio_stat nreqs poll_wait));
    }
    is(\&Elsewhere::nreqs,    \&IO::AIO::nreqs,      'imported on demand');
    is(\&Elsewhere::aio_stat, \&Coro::AIO::aio_stat, 'and by name');
    ok(!defined &Elsewhere::aio_read, 'and nothing else with it');
    local $SIG{__WARN__} = sub { };
    ok(!eval { Coro::AIO->import('no_such_thing'); 1 }, 'no other names');
};

each_engine { check_requests() };
each_engine { check_failures() };
each_engine { check_waiting() };
each_engine { check_many() } unless is_peer;     # there, _ is anybody's
each_engine { check_storm() } unless is_peer;
each_engine { check_channel() };

# Where more is promised than Coro's own has.
each_engine {
    my $dir = fresh_dir();
    aioreq_pri 3;
    ok(!eval { aio_stat {}; 1 }, 'a bad argument dies');
    is(aioreq_pri, 0, 'and leaves no priority behind');
    for ([], [$dir, sub { }], [$dir, undef]) {
        ok(!eval { &aio_stat(@$_); 1 }, 'the number of arguments counts');
        like($@, qr/aio_stat.*argument.* at \Q${\__FILE__}\E line/, 'a clear message');
    }
    for (undef, 7, {}, bless [], 'Elsewhere') {
        ok(!eval { aio_wait $_; 1 }, 'only request objects can be waited for');
        like($@, qr/aio_wait.* at \Q${\__FILE__}\E line/, 'a clear message');
    }
    my $done = IO::AIO::aio_group();
    is_deeply([aio_wait $done], [], 'a group');
    is_deeply([aio_wait $done], [], 'and again, when it is done');
    {
        local $@ = 'kept';
        aio_nop;
        is($@, 'kept', '$@ is not touched');
    }
    is(IO::AIO::nreqs(), 0, 'nothing was submitted');
};

# Time limits. The one that hangs opens a FIFO, which nobody does at the other end.
each_engine {
    return if is_peer || engine eq 'sync';    # an open that hangs would hang the program
    my $dir = fresh_dir();
    POSIX::mkfifo("$dir/fifo", 0600) or die "mkfifo: $!";
    Coro::AIO->import('aioreq_timeout');
    my $other = 0;
    my $beside = async { aio_nop; $other++ };
    aioreq_timeout(0.002);
    ok(!aio_open("$dir/fifo", O_RDONLY, 0), 'a call returns when its time is up');
    ok($!{ETIMEDOUT}, 'with ETIMEDOUT');
    is(aioreq_timeout(), undef, 'the limit was for one call');
    $beside->join;
    is($other, 1, 'other coros have none');
    my $group = IO::AIO::aio_group();
    $group->add(IO::AIO::aio_open("$dir/fifo", O_RDONLY, 0));
    $group->timeout(0.002);
    aio_wait $group;
    ok($!{ETIMEDOUT}, 'a group that is waited for');
    aioreq_timeout(5);
    ok(!eval { aio_stat {}; 1 }, 'a call that dies');
    is(aioreq_timeout(), undef, 'leaves no limit behind');
    sysopen my $end, "$dir/fifo", O_RDWR or die "open: $!";
    aio_nop until !IO::AIO::nabandoned();
};

# "_" stays what it was while others run.
each_engine {
    my $dir = fresh_dir();
    write_file("$dir/$_", 'x' x $_) for 1 .. 30;
    ours {
        my %lost;
        concurrently {
            my ($i) = @_;
            for (1 .. 20) {
                aio_stat "$dir/$i";
                aio_nop;
                $lost{$i}++ unless (-s _ || 0) == $i;
                -e "$dir/none";
                aio_stat "$dir/$i" if $i % 3 == 0;
                aio_readdir $dir;
                $lost{$i}++ unless (-s _ || 0) == ($i % 3 ? 0 : $i);
            }
        } 30;
        is(join(' ', %lost), '', '_ survives other requests');
        stat $dir;
        aio_nop;
        ok(-d _, 'also where perl itself looked');
        aio_lstat $dir;
        aio_nop;
        ok(eval { !-l _ }, 'it is remembered as an lstat') or diag $@;
        aio_stat $dir;
        aio_nop;
        ok(!eval { -l _; 1 }, 'or as a stat');
    } '_ is the one of the last callback';
};

# While requests are on hold.
sub held {
    my $dir  = fresh_dir();
    my $path = write_file("$dir/file", 'hello');

    # -- others run in the meantime
    hold();
    my @done;
    my @coros = map { my $i = $_; async { aio_stat $dir; push @done, $i } } 1 .. 3;
    settle();
    is("@done", '', 'coros wait while nothing executes');
    is(IO::AIO::nreqs(), 3, 'each has its request');
    release();
    $_->join for @coros;
    is(join(' ', sort @done), '1 2 3', 'they go on when it does');

    # -- priorities: one worker writes to one file position; the file tells the order of execution
    hold();
    sysopen my $log, "$dir/log", O_WRONLY | O_CREAT, 0600 or die "$dir/log: $!";
    my %prio = (a => -4, b => -1, c => 0, d => 2, e => 3);
    @coros = map {
        my $letter = $_;
        my $coro = async { aioreq_pri 4; aio_write $log, undef, 1, $letter, 0 };
        $coro->prio($prio{$letter});
        $coro;
    } sort keys %prio;
    settle() until IO::AIO::nreqs() == 5;
    is(aioreq_pri, 0, 'no priority is left over');
    IO::AIO::aio_write($log, undef, 1, '.', 0);
    IO::AIO::max_parallel(1);
    $_->join for @coros;
    aio_nop until IO::AIO::nreqs() == 0;
    close $log;
    is(read_file("$dir/log"), 'edc.ba', 'requests run by the priority of the coro');
    release();

    # -- a coro that stops waiting
    my $buffer = '';
    my ($caught, $ends) = ('', 0);
    my $file = aio_open $path, O_RDONLY, 0;
    hold();
    my $thrown = async {
        eval { aio_read $file, 0, 5, $buffer, 0; 1 } or $caught = $@;
        $ends++;
        eval { schedule; $ends++ };
    };
    my $cancelled = async { aio_stat $dir; $ends++ };
    settle();
    $thrown->throw("enough\n");
    $cancelled->cancel;
    settle();
    is($caught, "enough\n", 'an exception ends the waiting');
    is(IO::AIO::nreqs(), 2, 'but not the requests');
    release();
    aio_nop until IO::AIO::nreqs() == 0;
    settle();
    is($buffer, 'hello', 'which find their buffer');
    is($ends, 1, 'and wake nobody');
    $thrown->throw("the end\n");
    $thrown->join;
    close $file;    # Coro keeps what a cancelled coro had
}

each_engine { ours { held() } 'hang: requests do not leave its hold' };

# Programs of their own: what happens at load time, with several event loops. Not under valgrind: it loses
# track of the C stacks that Coro switches between in callbacks of C libraries.
$AIOTest::plain = 1;

sub program {
    my ($name, $want, $program) = @_;
    my ($status, $out, $err) = run_perl("use strict; use warnings; use Coro; $program");
    is($out, $want, $name) or diag $err;
    is($status, 0, "$name: exit status") or diag $err;
}

usual_engine {
    my %needs = (IOAsync => 'IO::Async', Perl => 'AnyEvent');
    for my $model (qw(EV Event Glib IOAsync POE Perl)) {
        local $ENV{PERL_ANYEVENT_MODEL} = $model;
        my $module = $needs{$model} || $model;
      SKIP: {
            skip "$module is not installed", 2 if (run_perl("require $module"))[0];
            program("event loop $model", "no 0 42 AnyEvent::Impl::$model\n", <<'PERL');
use Coro::AIO;
my $early  = $AnyEvent::MODEL || 'no';
my $status = aio_stat $INC{"IO/AIO.pm"};
my $sum    = 0;
$_->join for map { my $n = $_; async { aio_nop for 1 .. $n; $sum += $n } } 20, 22;
print "$early $status $sum $AnyEvent::MODEL\n";
PERL
        }
    }

    my $without = <<'PERL';
sub turn { my $cv = AE::cv(); &AE::postpone(sub { $cv->send }); $cv->recv }
vec(my $bits = '', IO::AIO::poll_fileno(), 1) = 1;
my $done = 0;
async { aio_nop; $done = 1 };
cede;
select my $ready = $bits, undef, undef, 20;
turn() for 1 .. 3;
cede;
print "done: $done\n";
IO::AIO::poll_cb();
cede;
print "done: $done\n";
PERL
    program('the watcher disabled before the loop', "done: 0\ndone: 1\n",
        "use AnyEvent; use Coro::AIO; undef \$Coro::AIO::WATCHER; $without");
    program('the watcher disabled later', "done: 0\ndone: 1\n",
        "use AnyEvent; use Coro::AIO; aio_nop; undef \$Coro::AIO::WATCHER; $without");
    program('the watcher calls back all requests', "ok\n", <<'PERL');
use Coro::AIO; use AnyEvent;
my $cv = AE::cv();
IO::AIO::aio_nop(sub { $cv->send("ok\n") });
print $cv->recv;
PERL

    program('requests that a later IO::AIO adds', "(\$\$;) 42\n(\$;) 43\n", <<'PERL');
use IO::AIO ();
BEGIN {
    no warnings 'once';
    *IO::AIO::aio_later = sub ($$;$) { my ($n, $m, $cb) = @_; IO::AIO::aio_nop(sub { $cb->($n * $m) }) };
    *IO::AIO::aio_more  = sub ($;$)  { my ($n, $cb) = @_; IO::AIO::aio_nop(sub { $cb->($n + 1) }) };
    push @IO::AIO::AIO_REQ, qw(aio_later aio_more);
}
use Coro::AIO;
print "(", prototype("Coro::AIO::aio_later"), ") ", aio_later(6, 7), "\n";
print "(", prototype("main::aio_more"), ") ", Coro::AIO::aio_more(42), "\n";
PERL

    program('without a list of requests the exports count', "0 ;\$ ;\n", <<'PERL');
use IO::AIO ();
BEGIN { @IO::AIO::AIO_REQ = () }
use Coro::AIO;
print aio_stat($INC{"IO/AIO.pm"}), " ", prototype("Coro::AIO::aioreq_pri"), " ", prototype("Coro::AIO::aio_sync"), "\n";
PERL

    ours {
        program('a child of fork', "child 0 5\nparent 0\n", <<'PERL');
use Coro::AIO; use AnyEvent;
$| = 1;
aio_stat $INC{"IO/AIO.pm"};
my $pid = fork;
if (!$pid) {
    EV::default_loop()->loop_fork if defined &EV::default_loop;    # as EV wants it
    my $sum = 0;
    my $status = aio_stat $INC{"IO/AIO.pm"};
    $_->join for map { async { aio_nop; $sum++ } } 1 .. 5;
    print "child $status $sum\n";
    exit;
}
waitpid $pid, 0;
print "parent ", aio_stat($INC{"IO/AIO.pm"}), "\n";
exit $? >> 8;
PERL
    } 'hang: it does not survive a fork';
};

done;
