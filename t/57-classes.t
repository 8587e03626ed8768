use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use SlowFS;
use Test::More;
use Fcntl qw(:DEFAULT);
use POSIX ();
use IO::AIO qw(:DEFAULT aioreq_class aioreq_timeout aio_walk aio_du aio_remove aio_cptree);

# Classes: so many requests of each execute at a time, and what waits for that keeps nobody else waiting. A file system that
# hangs when told shows it, and FIFOs that nobody opens at the other end where there can be none.

my $dir  = fresh_dir;
my $hung = 0;

sub figures {
    my ($name) = @_;
    my $f = IO::AIO::class($name) or return 'none';
    return join ' ', map { defined $_ ? $_ : '-' } @$f{qw(running waiting max_parallel)};
}

# Requests of a class that hang, $n of them; returns what ends them.
sub hang {
    my ($class, $n, $callback) = @_;
    my $fifo = "$dir/fifo." . ++$hung;
    POSIX::mkfifo($fifo, 0600) or die "mkfifo: $!";
    for (1 .. $n) {
        aioreq_class $class;
        aio_open $fifo, O_RDONLY, 0, $callback || ();
    }
    return sub { my $w; wait_for { sysopen $w, $fifo, O_WRONLY | O_NONBLOCK }; $w };
}

sub arguments {
    is(aioreq_class, undef, 'at first requests are of no class');
    is(aioreq_class('one'), undef, 'setting it gives the previous one');
    is(aioreq_class("t\xf6o"), 'one', 'the one before');
    is(aioreq_class, "t\xf6o", 'octets are octets');
    is(aioreq_class(undef), "t\xf6o", 'which is taken back');
    is(aioreq_class, undef, 'by undef');
    aioreq_class 'one';
    aio_nop;
    is(aioreq_class, undef, 'it is for one request');
    IO::AIO::flush;
    is(figures('one'), '0 0 -', 'a class is made by using it, without a limit');
    is(IO::AIO::class('nobody'), undef, 'not by asking for it');
    is(figures('one'), '0 0 -', 'figures') for 1 .. 2;
    IO::AIO::class('one', max_parallel => 3.7);
    is(figures('one'), '0 0 3', 'a limit');
    IO::AIO::class('one', max_parallel => undef);
    is(figures('one'), '0 0 -', 'and none');
    IO::AIO::class('one', max_parallel => 9**9**9);
    is(figures('one'), '0 0 -', 'infinity is none, either');

    my $file = quotemeta __FILE__;
    for (
        [sub { aioreq_class '' }, 'aioreq_class: name must not be empty'],
        [sub { aioreq_class [] }, 'aioreq_class: name must be a string'],
        [sub { aioreq_class "\x{100}" }, 'aioreq_class: "name" argument must be byte'],
        [sub { IO::AIO::class(undef) }, 'class: name must be a string'],
        [sub { IO::AIO::class('') }, 'class: name must not be empty'],
        [sub { IO::AIO::class('x', 'max') }, 'class: unknown option "max"'],
        [sub { IO::AIO::class('x', min_parallel => 1) }, 'class: unknown option "min_parallel"'],
        [sub { IO::AIO::class('x', "max_parallel\0" => 1) }, 'class: unknown option "max_parallel'],
        [sub { IO::AIO::class('x', 'max_parallel') }, 'class: max_parallel needs a value'],
        [sub { IO::AIO::class('x', max_parallel => -1) }, 'class: max_parallel must be a number, 0 or more, or undef'],
        [sub { IO::AIO::class('x', max_parallel => 'nan') }, 'class: max_parallel must be a number, 0 or more, or undef'],
        [sub { IO::AIO::class('x', max_parallel => []) }, 'class: .*max_parallel'],
        [sub { IO::AIO::class('x', max_parallel => 1, 2) }, 'Usage: IO::AIO::class'],
        )
    {
        my ($code, $message) = @$_;
        ok(!eval { $code->(); 1 } && $@ =~ /^$message.* at $file line/s, "croaks: $message") or diag $@;
    }
    is(IO::AIO::class('x'), undef, 'what croaks makes no class');
    is(aioreq_class, undef, 'and sets none');
}

sub apart {
    IO::AIO::class('slow', max_parallel => 2);
    my ($called, $others) = (0, 0);
    my $end = hang('slow', 6, sub { $called++ });
    aio_readdir $dir, sub { $others++ } for 1 .. 20;
    wait_for { IO::AIO::poll_cb; $others == 20 };
    is("$others $called", '20 0', 'what is of no class goes on');
    is(figures('slow') . ' ' . IO::AIO::nready, '2 4 2 4', 'two hang, four wait');
    my $w = $end->();
    IO::AIO::flush;
    is("$called " . figures('slow'), '6 0 0 2', 'then they follow');
}

# A mount that hangs: requests of all kinds.
sub mount_hangs {
  SKIP: {
        my $why = SlowFS->missing;
        skip "slowfs: $why", 4 if $why;
        my $fs = SlowFS->mount;
        write_file($fs->source . "/file", 'text');
        my $path = $fs->path . '/file';
        IO::AIO::class('mount', max_parallel => 3);
        $fs->hang(qw(lookup getattr));
        my ($failed, $done, $others) = (0, 0, 0);
        my $note = sub { $_[0] && $_[0] =~ /^-/ ? $failed++ : $done++ };
        for my $submit (sub { aio_stat $path, $note }, sub { aio_load $path, my $data, $note }, sub { aio_copy $path, "$dir/copy", $note },
            sub { aio_scandir $fs->path, 0, $note }, sub { aio_statvfs $path, $note })
        {
            for (1 .. 4) { aioreq_class 'mount'; $submit->() }
        }
        ok($fs->wait_held(3), 'three requests are at the mount');
        for (1 .. 50) {
            aio_readdir $dir, sub { $others++ };
            aio_stat $dir, sub { $others++ };
        }
        wait_for { IO::AIO::poll_cb; $others == 100 };
        is("$others $done $failed", '100 0 0', 'the mount hangs, and all else goes on');
        is(figures('mount'), '3 17 3', 'three workers hang there, no more');
        $fs->release;
        IO::AIO::flush;
        is("$done $failed " . figures('mount'), '20 0 0 0 3', 'all of its requests are done when it answers');
    }
}

# All of a composite request is of its class.
sub composites {
    my $made = 0;
    my $tree = sub {
        my $top = "$dir/tree" . ++$made;
        mkdir $top; mkdir "$top/a"; mkdir "$top/a/b";
        write_file("$top/a/b/file", 'text');
        $top;
    };
    my @requests = (
        [load    => sub { aio_load "$_[0]/a/b/file", my $data, $_[1] }],
        [copy    => sub { aio_copy "$_[0]/a/b/file", "$_[0]/copy", $_[1] }],
        [move    => sub { aio_move "$_[0]/a/b/file", "$_[0]/moved", $_[1] }],
        [scandir => sub { aio_scandir "$_[0]/a", 0, $_[1] }],
        [pathsync => sub { aio_pathsync "$_[0]/a", $_[1] }],
        [rmtree  => sub { aio_rmtree $_[0], $_[1] }],
        [cptree  => sub { aio_cptree $_[0], "$_[0].copy", 0, $_[1] }],
        [walk    => sub { aio_walk $_[0], {}, sub { }, $_[1] }],
        [du      => sub { aio_du $_[0], {}, $_[1] }],
        [remove  => sub { aio_remove $_[0], {}, sub { }, $_[1] }],
    );
    for (@requests) {
        my ($name, $submit) = @$_;
        my ($said, $other) = ('', 0);
        my $top = $tree->();
        IO::AIO::class('parts', max_parallel => 0);
        aioreq_class 'parts';
        $submit->($top, sub { $said = defined $_[0] && $_[0] ne '-1' ? 'done' : "failed: $!" });
        aio_readdir $dir, sub { $other++ };
        wait_for { IO::AIO::poll_cb; $other };
        is(figures('parts') . " <$said>", '0 1 0 <>', "$name waits for its class");
        IO::AIO::class('parts', max_parallel => 1);
        my $seen = 0;
        wait_for { IO::AIO::poll_cb; my $n = IO::AIO::class('parts')->{running}; $seen = $n if $n > $seen; $said };
        IO::AIO::flush;
        is("$said " . figures('parts') . ' ' . ($seen <= 1), 'done 0 0 1 1', 'and is done by one at a time');
    }
    IO::AIO::class('parts', max_parallel => 0);
    aioreq_class 'parts';
    my $n = 0;
    my $grp = aio_group sub { $n++ };
    add $grp aio_nop sub { $n++ };
    IO::AIO::flush;
    is("$n " . figures('parts'), '2 0 0 0', 'members of a group are of no class but their own');
}

# The later steps of a walk do not take what is set for the next request.
sub steps {
    my ($n, $batches) = (0, 0);
    IO::AIO::class('stopped', max_parallel => 0);
    aioreq_class 'moving';
    aio_walk $dir, { parallel => 2 }, sub { aioreq_class 'stopped'; $batches++ }, sub { $n = $_[0] };
    wait_for { IO::AIO::poll_cb; $n };
    ok($n > 0 && $batches, 'a walk goes on in its class');
    is(aioreq_class(undef), 'stopped', 'and leaves alone what is set for the next request');
    is(figures('stopped') . ' ' . figures('moving'), '0 0 0 0 0 -', 'no step got there');
}

sub given_up {
    IO::AIO::class('slow', max_parallel => 1);
    my ($called, @order) = (0);
    my $end = hang('slow', 1, sub { $called++ if $!{ETIMEDOUT} });
    wait_for { !IO::AIO::nready };
    my @req = map { my $n = $_; aioreq_class 'slow'; aio_readdir $dir, sub { push @order, $n } } 1 .. 4;
    $req[1]->cancel;
    is(figures('slow'), '1 3 1', 'one that waits for the class is cancelled');
    aioreq_timeout 0;
    aioreq_class 'slow';
    my $late = 0;
    aio_readdir $dir, sub { $late++ if $!{ETIMEDOUT} };
    wait_for { IO::AIO::poll_cb; $late };
    is($late, 1, 'time can be up while a request waits');
    is(figures('slow'), '1 3 1', 'the others wait');
    my $end2 = hang('slow', 2, sub { $called++ if $!{ETIMEDOUT} });
    is(figures('slow'), '1 5 1', 'and more');
    IO::AIO::class('slow', max_parallel => 3);
    wait_for { IO::AIO::poll_cb; @order == 3 };
    is(join(' ', sort @order), '1 3 4', 'they execute when there may be more');
    my $w  = $end->();
    my $w2 = $end2->();
    IO::AIO::flush;
    is(figures('slow'), '0 0 3', 'nothing is left');

    IO::AIO::class('slow', max_parallel => 2);
    my $lines = 0;
    $end = hang('slow', 0);
    my $fifo = "$dir/fifo.$hung";
    @req = map { aioreq_class 'slow'; aio_open $fifo, O_RDONLY, 0, sub { $lines++ } } 1 .. 2;
    wait_for { !IO::AIO::nready };
    aioreq_class 'slow';
    aio_readdir $dir, sub { $lines += 10 };
    $req[0]->cancel;
    wait_for { IO::AIO::poll_cb; $lines };
    is("$lines " . figures('slow'), '10 1 0 2', 'one that was cancelled while it hangs gives its place to the next');
    $req[1]->timeout(0);
    IO::AIO::flush;
    is("$lines " . figures('slow') . ' ' . IO::AIO::nabandoned, '11 0 0 2 2', 'so does one whose time is up');
    $w = $end->();
    wait_for { IO::AIO::poll_cb; !IO::AIO::nabandoned };
    is(figures('slow'), '0 0 2', 'and all is well when they end');
}

sub children {
    IO::AIO::class('slow', max_parallel => 1);
    my $n   = 0;
    my $end = hang('slow', 3, sub { $n++ });
    wait_for { IO::AIO::nready == 2 };
    my $said = in_child {
        my $m = 0;
        aioreq_class 'slow';
        aio_readdir $dir, sub { $m++ };
        IO::AIO::flush;
        "$m " . figures('slow');
    };
    is($said, '1 0 0 1', 'a child has the limit and nothing of what was waiting');
    my $w = $end->();
    IO::AIO::flush;
    is("$n " . figures('slow'), '3 0 0 1', 'its parent goes on');

    $end = hang('slow', 3, sub { $n++ });
    wait_for { IO::AIO::nready == 2 };
    IO::AIO::reinit;
    is(IO::AIO::nreqs . ' ' . figures('slow'), '0 0 0 -', 'reinit drops all, and the limit');
    $w = $end->();
    IO::AIO::flush;
}

sub ends {
    my ($status, $out, $err) = run_perl(<<'PERL');
        use IO::AIO; $| = 1;
        IO::AIO::class "stopped", max_parallel => 0;
        for (1 .. 3) { IO::AIO::aioreq_class "stopped"; aio_readdir "/", sub { print "stopped" } }
        my $grp = aio_group sub { print "group" };
        IO::AIO::aioreq_class "stopped"; add $grp aio_stat "/";
        IO::AIO::class "one", max_parallel => 1;
        for (1 .. 3) { IO::AIO::aioreq_class "one"; aio_readdir "/", sub { print "one" } }
PERL
    is("$status $out$err", '0 oneoneone', 'the end of a program waits for classes, but not for those with a limit of 0');
}

my $once;
each_engine {
    my ($engine) = @_;
    arguments unless $once++;
    composites;
    steps;
    return if $engine eq 'sync';    # executes in submit: nothing hangs elsewhere
    apart;
    mount_hangs;
    given_up;
    children;
    ends;
    reset_limits;
};

done;
