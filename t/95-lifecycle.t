use strict;
use warnings;
use Config;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use POSIX ();
use IO::AIO;

# How programs end and objects go, in every order; recursion; constant memory.
#
# AIOTEST_SEED=n     where the random orders begin
# AIOTEST_ROUNDS=n   how many of them, and how many thousand callbacks of each request

use constant SEED   => $ENV{AIOTEST_SEED} || 1;
use constant ROUNDS => $ENV{AIOTEST_ROUNDS} || (extended ? 6 : 1);

# One test: a program ends with this status and output, and says nothing.
sub ends {
    my ($name, $program, $status, $out, @args) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @got = run_perl("use strict; use warnings; use IO::AIO; \$| = 1;\n$program", @args);
    is_deeply([$got[0] & 127, $got[0] >> 8, @got[1, 2]], [0, $status, $out, ''], $name);
}

# ---- exit and die --------------------------------------------------------------------------------

# In a callback that runs in a poll in a callback..., $depth deep.
my $deep = <<'PERL';
    my ($depth, $poll, $last) = @ARGV;
    my %poll = (
        flush   => \&IO::AIO::flush,
        poll    => sub { IO::AIO::poll() while IO::AIO::nreqs() },
        poll_cb => sub { do { IO::AIO::poll_wait() } while IO::AIO::poll_cb() || IO::AIO::nreqs() },
    );
    sub down {
        my ($n) = @_;
        aio_nop sub {
            if ($n) { down($n - 1); return }
            aio_nop sub { print "rest\n" };
            my $group = aio_group sub { print "group\n" };
            add $group aio_stat "/";
            if ($last eq "exit") { exit 7 }
            if ($last eq "die") { die "deep\n" }
        };
        local $@;
        my $lived = eval { $poll{$poll}->(); 1 };
        die $@ unless $lived;
    }
    eval { down($depth); 1 } or print $@;
    print "main\n";
PERL

sub exits_and_deaths {
    for my $depth (0, extended ? 1 : (), 20) {
        for my $poll (thinned ? 'flush' : qw(flush poll poll_cb)) {
            my ($status, $out, $err) = run_perl("use IO::AIO; \$| = 1; no warnings 'recursion'; $deep", $depth, $poll, 'exit');
            is($status >> 8 . $err, '7', "exit, $depth callbacks deep in $poll");
            is(join('', sort split /^/, $out), "group\nrest\n", 'what was outstanding is finished');
            ($status, $out, $err) = run_perl("use IO::AIO; \$| = 1; no warnings 'recursion'; $deep", $depth, $poll, 'die');
            is("$status$err", '0', "die, $depth deep in $poll");
            is(join('', sort split /^/, $out), "deep\ngroup\nmain\nrest\n", 'comes through to the outermost poll, and nothing is lost');
        }
    }
    ends('exit in a feeder', 'my $g = aio_group sub { print "group\n" }; limit $g 1; feed $g sub { print "feeder\n"; exit 4 }; IO::AIO::flush', 4, "feeder\ngroup\n");
    ends('exit in a signal handler in flush', '$SIG{USR1} = sub { exit 5 }; aio_nop sub { kill USR1 => $$ }; aio_stat "/", sub { print "stat\n" } for 1 .. 2; IO::AIO::flush; print "no\n"', 5, "stat\nstat\n");
    ends('exit in DESTROY of a callback', 'sub D::DESTROY { exit 6 } my $d = bless [], "D"; aio_nop sub { $d }; undef $d; IO::AIO::flush', 6, '');
    ends('die in DESTROY of a callback', 'sub D::DESTROY { local $SIG{__WARN__}; die "never seen" } { my $d = bless [], "D"; aio_nop sub { $d }; } close STDERR; IO::AIO::flush; print "on\n"', 0, "on\n");
    ends('die in each of 1000 callbacks', 'my $n = 0; aio_stat "/", sub { $n++; die "x\n" } for 1 .. 1000; while (IO::AIO::nreqs) { eval { IO::AIO::flush; 1 } or $@ eq "x\n" or print $@ } print $n', 0, '1000');
    ends('exit in a callback in a forked child', 'my $pid = fork; aio_nop sub { exit($pid ? 2 : 3) }; if ($pid) { waitpid $pid, 0; print $? >> 8 } IO::AIO::flush', 2, '3');
    ends('exit in the hook of a submission', 'IO::AIO::_on_next_submit(sub { exit 8 }); aio_nop sub { print "nop" }; print "no"', 8, 'nop');
}

# A thread that exits in a feeder, at its first call or when a member is released, leaves nothing behind. It used to be
# the context, some 10 KB.
sub threads_that_exit {
  SKIP: {
        skip 'perl without threads', 2 unless $Config{useithreads};
        skip 'no /proc/self/statm here', 2 unless rss();
        skip 'a sanitizer has memory of its own', 2 if sanitizer;
        skip 'valgrind keeps what was freed', 2 if valgrind;
        for my $calls (0, 1) {
            ends("threads->exit in call $calls of a feeder", <<'PERL', 0, "stays\n", $calls);
                use threads;
                sub rss { open my $fh, '<', '/proc/self/statm' or die; (split ' ', <$fh>)[1] * 4 }
                sub run {
                    for (1 .. $_[0]) {
                        threads->create(sub {
                            my ($group, $n) = (aio_group(sub { }), 0);
                            limit $group 1;
                            feed $group sub { threads->exit if $n++ == $ARGV[0]; add $group aio_nop };
                            IO::AIO::flush;
                        })->join;
                    }
                }
                run(50);
                my $before = rss;
                run(150);
                my $more = rss() - $before;
                print $more < 600 ? "stays\n" : "grows by $more KiB\n";
PERL
        }
    }
}

# ---- packages deleted ------------------------------------------------------------------------------

sub packages_deleted {
    ends('packages deleted under requests and handles', <<'PERL', 0, "done\n" x 3);
        my ($open, $nop, $flush) = (\&IO::AIO::aio_open, \&IO::AIO::aio_nop, \&IO::AIO::flush);
        require Symbol;
        Symbol::delete_package($_) for qw(IO::AIO::REQ IO::AIO::GRP IO::AIO::WD IO::AIO);
        my @others = map +{ $_ => [] }, 1 .. 5000; # where they were
        my $req = $nop->(sub { print "done\n" });
        $open->('/dev/null', 0, 0, sub { print "done\n" if fileno $_[0] }) for 1, 2;
        $flush->();
PERL
}

# ---- objects alive at the end ----------------------------------------------------------------------

# Makes one of everything, in @thing, and lets it go in a random order: some before the program ends, some by perl.
my $everything = <<'PERL';
    my ($seed, $file, $dir, $end) = @ARGV;
    srand $seed;
    our (@thing, %thing, $called);
    package Late {
        sub DESTROY {
            my ($self) = @_;
            my $what = $self->[0];
            eval {
                if    ($what == 0) { IO::AIO::aio_stat("/", sub { }) }
                elsif ($what == 1) { IO::AIO::poll_cb() }
                elsif ($what == 2) { IO::AIO::min_parallel(8); IO::AIO::flush() }
                elsif ($what == 3) { my $g = IO::AIO::aio_group(sub { }); $g->add(IO::AIO::aio_nop()) }
                elsif ($what == 4) { IO::AIO::reinit() }
                elsif ($what == 5) { $main::req->cancel if $main::req; IO::AIO::nreqs() }
            };
        }
    }
    package main;
    sub callback { my $late = bless [int rand 6], "Late"; my $twin = $thing[rand @thing]; sub { $called++; $late && $twin } }
    open my $fh, "+<", $file or die; open my $fh2, "<", $file or die;
    my ($wd, $out); IO::AIO::aio_wd $dir, sub { $wd = $_[0] }; IO::AIO::aio_open $file, 0, 0, sub { $out = $_[0] }; IO::AIO::flush;
    IO::AIO::max_parallel 0 if rand() < .3;
    my @make = (
        sub { IO::AIO::mmap my $map, 4096, IO::AIO::PROT_READ, IO::AIO::MAP_SHARED, $fh; \$map },
        sub { IO::AIO::mmap my $map, 4096, IO::AIO::PROT_READ, IO::AIO::MAP_PRIVATE, $fh; my $r = \$map; IO::AIO::aio_mtouch $$r, 0, 4096, 0, callback(); $r },
        sub { my $buf = "x" x 100; our $req = IO::AIO::aio_read $fh, 0, 50, $buf, 0, callback(); \$buf },
        sub { my $buf = "x" x 100; [IO::AIO::aio_write($fh, 0, 50, $buf, 0, callback()), \$buf] },
        sub { my $g = IO::AIO::aio_group callback(); $g->add(IO::AIO::aio_stat($dir, callback())) for 1 .. 3; $g },
        sub { my $g = IO::AIO::aio_group callback(); my $n = 5; $g->limit(2); $g->feed(sub { $n-- > 0 and $g->add(IO::AIO::aio_nop(callback())) }); $g },
        sub { my $g = IO::AIO::aio_group callback(); my $h = IO::AIO::aio_group; $g->add($h); $h->add(IO::AIO::aio_scandir $dir, 0, callback()); [$h, $g] },
        sub { $wd }, sub { $out }, sub { $fh }, sub { $fh2 }, sub { [$wd, $fh, $out] },
        sub { IO::AIO::aio_stat [$wd, "."], callback() }, sub { IO::AIO::aio_wd $dir, callback() },
        sub { IO::AIO::aio_open $file, 0, 0, callback() }, sub { IO::AIO::aio_load $file, my $data, callback() },
        sub { bless [int rand 6], "Late" }, sub { my $cycle = []; push @$cycle, $cycle, callback(), IO::AIO::aio_nop callback(); $cycle },
        sub { my $req = IO::AIO::aio_nop callback(); $req->{self} = $req; $req }, sub { callback() },
        sub { IO::AIO::aio_copy $file, "$dir/copy.$$", callback() }, sub { IO::AIO::aio_sendfile $fh, $fh2, 0, 10, callback() },
        sub { my $req = IO::AIO::aio_stat $file, callback(); $req->cancel; $req },
    );
    push @thing, $make[rand @make]->() for 1 .. 40;
    $thing{rand()} = $_ for @thing;
    our $main_thing = $thing[5];
    { local $SIG{__WARN__}; undef $_ for $wd, $out; }
    IO::AIO::poll_cb if rand() < .5;
    # half of it goes by and by
    for (1 .. 20) {
        my $i = int rand @thing;
        undef $thing[$i];
        delete $thing{(sort keys %thing)[rand keys %thing]};
        IO::AIO::poll_cb if rand() < .2;
        $main_thing = undef if rand() < .1;
    }
    if ($end == 1) { undef @thing; undef %thing }
    elsif ($end == 2) { IO::AIO::reinit; undef %thing; undef @thing }
    elsif ($end == 3) { IO::AIO::max_parallel 8; IO::AIO::min_parallel 8; IO::AIO::flush; undef @thing; undef %thing; IO::AIO::flush; IO::AIO::nreqs and print "left" }
    elsif ($end == 4) { IO::AIO::aio_nop sub { exit 0 }; IO::AIO::max_parallel 8; IO::AIO::min_parallel 8; IO::AIO::flush }
PERL

sub objects_in_any_order {
    my $dir = fresh_dir;
    my $file = write_file "$dir/file", 'x' x 8192;
    my @bad;
    my $n = 0;
    for my $seed (SEED .. SEED + ROUNDS - 1) {
        for my $end (0 .. 4) {
            my ($status, $out, $err) = run_perl("use IO::AIO (); use strict; $everything", $seed * 10 + $end, $file, $dir, $end);
            push @bad, "seed $seed, end $end: status $status, said $out$err" if $status || "$out$err" ne '';
            $n++;
        }
    }
    is(join("\n", @bad), '', "objects of all kinds that go in $n random orders, seeds from ${\SEED}");
}

# Pairs of package variables, which perl destroys in the order of its own choice.
sub objects_at_the_end {
    my $dir = fresh_dir;
    my $file = write_file "$dir/file", 'x' x 8192;
    my $make = <<'PERL';
        our ($wd, $map, $req, $group, $buf, $fh, $late, $cycle);
        sub Late::DESTROY { aio_nop sub { }; aio_stat "/", sub { }; if ($_[0][0] == 1) { IO::AIO::min_parallel 8; IO::AIO::flush } IO::AIO::poll_cb if $_[0][0] == 2; $group->cancel if $group && $_[0][0] == 3 }
        open $fh, "<", $ARGV[0] or die;
        aio_wd $ARGV[1], sub { $wd = $_[0] };
        IO::AIO::flush;
        IO::AIO::mmap $map, 4096, IO::AIO::PROT_READ, IO::AIO::MAP_SHARED, $fh or die;
        IO::AIO::max_parallel 0;
        $req = aio_read $fh, 0, 10, $buf, 0, sub { $wd && $late };
        $group = aio_group sub { $req };
        add $group aio_mtouch $map, 0, 4096, 0, sub { $group };
        add $group aio_stat [$wd, "file"], sub { $map };
        $cycle = [$req, $group, $fh, $wd, \$cycle, \$buf, \$map];
        our @late = map bless([$_], "Late"), 0 .. 3;
        $late = $late[0];
PERL
    ends('held requests, groups, directories, mappings and handles at the end', $make, 0, '', $file, $dir);
    ends('the same after die', "$make open STDERR, '>', '/dev/null'; \$! = 5; die 'x'", 5, '', $file, $dir);
    ends('after exit in a callback', "$make IO::AIO::max_parallel 1; IO::AIO::min_parallel 1; aio_nop sub { IO::AIO::reinit; exit 9 }; IO::AIO::flush", 9, '', $file, $dir);
    ends('with a second reference from a closure', "$make my \$sub; \$sub = sub { \$req, \$group, \$sub }; ", 0, '', $file, $dir);
    my ($status) = run_perl("use IO::AIO; $make undef %IO::AIO::; undef %IO::AIO::REQ::; undef %IO::AIO::GRP::", $file, $dir);
    is($status, 0, 'even when the packages are gone before');
}

# ---- recursion -----------------------------------------------------------------------------------

sub recursion {
    no warnings 'recursion';
    for (['flush', \&IO::AIO::flush], ['poll_cb', \&IO::AIO::poll_cb], ['poll', \&IO::AIO::poll]) {
        my ($name, $poll) = @$_;
        my ($depth, $deepest, $calls) = (0, 0, 0);
        my $down;
        $down = sub {
            $calls++;
            $deepest = $depth if ++$depth > $deepest;
            if ($deepest < 1000 && $calls < 20_000) {
                aio_nop($down);
                my $wanted = $calls + 1;
                do { $poll->() } while $calls < $wanted;
            }
            $depth--;
        };
        aio_nop $down;
        IO::AIO::flush;
        is("$deepest $depth", '1000 0', "$name in callbacks 1000 deep");
        undef $down;
    }
    my @order;
    aio_nop sub { my $i = $_; push @order, 'outer'; aio_stat '/', sub { push @order, 'inner' }; IO::AIO::flush; push @order, 'outer ends' };
    IO::AIO::flush;
    is("@order", 'outer inner outer ends', 'flush within flush waits for all');
}

# ---- constant memory -----------------------------------------------------------------------------

sub rss { open my $fh, '<', '/proc/self/statm' or return; (split ' ', <$fh>)[1] * (POSIX::sysconf(POSIX::_SC_PAGESIZE()) / 1024) }
sub descriptors { my @fd = glob '/proc/self/fd/*'; scalar @fd }

# One of each kind: those that succeed, those that fail, those that croak.
sub kinds {
    my $dir  = fresh_dir;
    my $file = write_file "$dir/file", 'x' x 100;
    my $none = "$dir/none/none";
    open my $fh, '+<', $file or die "$file: $!";
    my ($errno, $wd) = run_req { aio_wd $dir, $_[0] };
    my ($n, @buf) = 0;
    my $data = 'data';
    my $cb = sub { };
    (
        nop => sub { aio_nop $cb }, 'nop without callback' => sub { aio_nop },
        'closure' => sub { my @x = (1, 2); aio_nop sub { @x } },
        stat => sub { aio_stat $file, $cb }, lstat => sub { aio_lstat [$wd, 'file'], $cb }, statvfs => sub { aio_statvfs $file, $cb },
        open => sub { aio_open $file, 0, 0, $cb }, wd => sub { aio_wd $dir, $cb },
        read => sub { aio_read $fh, 0, 10, $buf[$n++ % 100], 0, $cb }, 'read, new buffer' => sub { aio_read $fh, 0, 10, my $new, 0, $cb },
        write => sub { aio_write $fh, 0, 4, $data, 0, $cb }, slurp => sub { aio_slurp $file, 0, 0, my $new, $cb }, load => sub { aio_load $file, my $new, $cb },
        seek => sub { aio_seek $fh, 0, 0, $cb }, truncate => sub { aio_truncate $fh, 100, $cb }, chmod => sub { aio_chmod $file, 0644, $cb },
        utime => sub { aio_utime $file, 1, 2, $cb }, readdir => sub { aio_readdir $dir, $cb }, readdirx => sub { aio_readdirx $dir, 3, $cb },
        scandir => sub { aio_scandir $dir, 0, $cb }, realpath => sub { aio_realpath $file, $cb }, mkdir => sub { aio_mkdir "$dir/new", 0755; aio_rmdir "$dir/new", $cb },
        symlink => sub { aio_symlink 'x', "$dir/link"; aio_readlink "$dir/link", $cb; aio_unlink "$dir/link" },
        rename => sub { aio_rename $file, "$dir/file", $cb }, copy => sub { aio_copy $file, "$dir/copy", $cb }, sendfile => sub { aio_sendfile $fh, $fh, 0, 1, $cb },
        close => sub { open my $gone, '<', $file; aio_close $gone, $cb }, fcntl => sub { aio_fcntl $fh, 1, 0, $cb },
        group => sub { my $g = aio_group $cb; add $g aio_nop $cb for 1 .. 2; $g->result(1 .. 3) },
        feeder => sub { my $g = aio_group $cb; my $n = 3; limit $g 2; feed $g sub { $n-- > 0 and add $g aio_nop } },
        cancel => sub { my $r = aio_stat $file, $cb; $r->cancel }, 'group cancel' => sub { my $g = aio_group $cb; add $g aio_stat $file; $g->cancel },
        'cb set' => sub { my $r = aio_nop; $r->cb($cb); $r->cb }, 'object with data' => sub { my $r = aio_nop; $r->{x} = [1] },
        'dying callback' => sub { aio_nop sub { die "x\n" } }, 'on_next_submit' => sub { IO::AIO::_on_next_submit(sub { }); aio_nop },
        mmap => sub { IO::AIO::mmap my $m, 100, IO::AIO::PROT_READ, IO::AIO::MAP_SHARED, $fh; aio_mtouch $m, 0, 10, 0, $cb },
        'stat fails' => sub { aio_stat $none, $cb }, 'open fails' => sub { aio_open $none, 0, 0, $cb }, 'wd fails' => sub { aio_wd $none, $cb },
        'read fails' => sub { aio_read 999, 0, 10, my $new, 0, $cb }, 'write fails' => sub { aio_write 999, 0, 4, $data, 0, $cb }, 'load fails' => sub { aio_load $none, my $new, $cb },
        'readdir fails' => sub { aio_readdir $none, $cb }, 'scandir fails' => sub { aio_scandir $none, 0, $cb }, 'readlink fails' => sub { aio_readlink $none, $cb },
        'realpath fails' => sub { aio_realpath $none, $cb }, 'copy fails' => sub { aio_copy $none, "$dir/x", $cb }, 'rmtree fails' => sub { aio_rmtree $none, $cb },
        'move fails' => sub { aio_move $none, "$dir/x", $cb }, 'close fails' => sub { aio_close 999, $cb }, 'statvfs fails' => sub { aio_statvfs $none, $cb },
        'croaks' => sub { eval { aio_stat $file, 'no_callback' }; eval { aio_read $fh, 0, 10, 'literal', 0 }; eval { aio_open [], 0, 0 }; eval { aio_write $fh, 0, 4, $data, 99, $cb } },
        'group croaks' => sub { my $g = aio_group; eval { add $g 1 }; eval { $g->feed(1) } },
    );
}

sub run_many {
    my ($code, $n) = @_;
    for (1 .. $n / 100) {
        $code->() for 1 .. 100;
        while (IO::AIO::nreqs) { eval { IO::AIO::flush; 1 } or $@ eq "x\n" or die $@ }
    }
}

sub constant_memory {
    IO::AIO::min_fdlimit(256);    # close has a hundred open
    my ($n) = @_;
    my %kind = kinds();
    my (@grew, $callbacks);
    my $fds;
    for my $name (sort keys %kind) {
        run_many($kind{$name}, 1000);
        $fds ||= descriptors;
        # what is still settling (arenas, threads that come and go) is over soon; a leak goes on
        my $more;
        for (1 .. 10) {
            my $before = rss;
            run_many($kind{$name}, $n);
            $callbacks += $n;
            $more = rss() - $before;
            last if $more < $n / 64;    # 16 octets each
        }
        push @grew, "$name: $more KiB" if $more >= $n / 64;
        push @grew, "$name: descriptors" if descriptors != $fds;
    }
    is("@grew", '', scalar(keys %kind) . " kinds of requests, $callbacks callbacks: memory and descriptors stay");
}

each_engine {
    my ($engine) = @_;
    exits_and_deaths;
    objects_in_any_order;
    recursion;
    return if thinned;
    packages_deleted;
    objects_at_the_end;
};

usual_engine {
    threads_that_exit;
  SKIP: {
        skip 'no /proc/self/statm here', 1 unless rss;
        skip 'a sanitizer has memory of its own', 1 if sanitizer;
        skip 'valgrind keeps what was freed, and looks for leaks itself', 1 if valgrind;
        constant_memory(1000 * ROUNDS / 2);
    }
};

done;
