# IO::AIO::attach, detach and poll_handle by themselves. Each event loop's own test has them in that loop.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use IO::AIO;
use POSIX ();

plan skip_all => 'the peer has none of them' if is_peer;

# ---- the handle ----------------------------------------------------------------------------------

sub readable { vec(my $bits = '', fileno $_[0], 1) = 1; select($bits, undef, undef, 0) > 0 }

each_engine {
    my $fh = IO::AIO::poll_handle;
    my $fd = IO::AIO::poll_fileno;
    is(ref $fh, 'GLOB', 'poll_handle is a handle');
    is(fileno $fh, $fd, 'of the descriptor');
    is(IO::AIO::poll_handle, $fh, 'always the same one');
    hold;
    aio_nop;
    ok(!readable($fh), 'silent while nothing is done');
    release;
    ok(wait_for { readable($fh) }, 'readable when something is');
    IO::AIO::poll_cb;
    ok(!readable($fh), 'silent again');

    ok(close $fh, 'it can be closed');
    ok(!defined fileno $fh, 'then it is closed');
    is(IO::AIO::poll_fileno, $fd, 'but not the descriptor');
    is(IO::AIO::poll_handle, $fh, 'the next call opens it again');
    is(fileno $fh, $fd, 'for the same descriptor');

    undef $fh;
    is(fileno IO::AIO::poll_handle, $fd, 'it can be dropped');
    open my $alias, '<&=', IO::AIO::poll_handle or die "fdopen: $!";
    is(fileno $alias, $fd, 'an alias has the same number');
    close $alias;
    is(IO::AIO::poll_fileno, $fd, 'and can be closed, too');
    open my $copy, '<&', IO::AIO::poll_handle or die "dup: $!";
    my $number = fileno $copy;
    isnt($number, $fd, 'a duplicate has another');
    close $copy;
    ok(!open(my $gone, '<&=', $number), 'which is closed with it');

    is(in_child { fileno IO::AIO::poll_handle }, $fd, 'the number is the same in a child');

    $fh = IO::AIO::poll_handle;
    open $fh, '<', '/dev/null' or die "/dev/null: $!";
    isnt(IO::AIO::poll_handle, $fh, 'when the program opens something else there, the module takes another');
    is(IO::AIO::poll_fileno, $fd, 'of the same descriptor');
    is(fileno IO::AIO::poll_handle, $fd, 'as it says');
    ok(-c $fh, 'and the other file is the program\'s');
};

# In a program of its own: the descriptor is closed, and its number is another file's.
each_engine {
    my ($status, $out, $err) = run_perl(<<'PROGRAM');
        use strict; use warnings; use IO::AIO; use POSIX ();
        my $fh = IO::AIO::poll_handle;
        my $fd = fileno $fh;
        POSIX::close($fd);
        my @files = map { open my $f, '<', '/dev/null' or die; $f } 1 .. $fd + 1;
        my ($file) = grep { fileno $_ == $fd } @files;
        my $now = IO::AIO::poll_handle;
        print $now == $fh ? "the same handle" : "another", ", ", fileno $now == $fd ? "the same number" : "another", "\n";
        print -c $file ? "a file" : "no file", "\n";
        my $number = fileno $file;
        undef $_ for grep { defined fileno $_ && fileno $_ == $number } @files;
        close $file;
        print defined POSIX::close($number) ? "left open" : "closed", " by its owner\n";
        aio_stat '/', sub { print "status $_[0]\n" };
        vec(my $bits = '', fileno $now, 1) = 1;
        select $bits, undef, undef, 20;
        IO::AIO::poll_cb;
PROGRAM
    is($out, "the same handle, another\na file\nclosed by its owner\nstatus 0\n", 'a descriptor that was closed') or diag $err;

    ($status, $out, $err) = run_perl(<<'PROGRAM');
        use strict; use warnings; use IO::AIO; use POSIX ();
        my $fd = IO::AIO::poll_fileno;
        my @all;
        while (open my $fh, '<', '/dev/null') { push @all, $fh; last if @all > 100_000 }
        POSIX::close($fd);
        open my $last, '<', '/dev/null' or die;
        print eval { IO::AIO::poll_handle; 1 } ? "it lived\n" : $@;
        close pop @all for 1 .. 3;
        print fileno IO::AIO::poll_handle, "\n";
PROGRAM
    like($out, qr/^IO::AIO::poll_handle: .+ at -e line 7\.\n\d+\n\z/, 'no descriptor can be had, for a while') or diag $err;
};

# ---- attach --------------------------------------------------------------------------------------

my @order = qw(Mojo::IOLoop IO::Async::Loop POE::Kernel Tk AnyEvent EV Glib Event Future::IO);
my %have  = map { $_ => 1 } grep { my $file = s{::}{/}gr . ".pm"; grep !ref && -e "$_/$file", @INC } @order;
$have{'POE::Kernel'} = 0; # it complains when it does not run

croaks { IO::AIO::attach } qr/^IO::AIO::attach: no event loop is loaded; looked for \Q${\ join ', ', @order}\E at /, 'none is loaded';
for my $bad ('No::Such::Loop', 'no class', '', 7, [], {}, sub { }, \*STDIN, bless([], 'Some::Object')) {
    croaks { IO::AIO::attach($bad) } qr/^IO::AIO::attach: .*is no event loop that is known/, "attach '$bad'";
}
croaks { my $attach = \&IO::AIO::attach; &$attach(1, 2) } qr/^Usage: IO::AIO::attach/, 'two arguments';
is(IO::AIO::detach, '', 'nothing to detach');
for my $name (grep !$have{$_}, qw(EV Glib Event)) {
    croaks { IO::AIO::attach($name) } qr/^IO::AIO::attach: /, "$name is not installed";
}

# One by name, when it is not loaded; the first of any two that are, whichever was loaded first.
for my $n (0 .. $#order) {
    my $name = $order[$n];
  SKIP: {
        skip "$name is not to be had here", 1 unless $have{$name};
        my ($status, $out, $err) = run_perl('use IO::AIO; print IO::AIO::attach($ARGV[0]), " ", IO::AIO::attach, " ", IO::AIO::detach', $name);
        is($out, "$name $name $name", "$name by name loads it") or diag $err;
        my @later = grep $have{$_}, @order[$n + 1 .. $#order];
        for my $other (extended ? @later : @later ? $later[0] : ()) {
            ($status, $out, $err) = run_perl('use IO::AIO; eval "require $_; 1" or die $@ for @ARGV;
                print IO::AIO::attach, " ", IO::AIO::attach($ARGV[0]), " ", IO::AIO::attach', $other, $name);
            is($out, "$name $other $other", "$other and $name: the first in the order; the one that is named, which stays") or diag $err;
        }
    }
}

# Objects; a class that is a subclass.
my %object = (
    'EV'              => ['EV', 'my $l = EV::Loop->new', '$l->run until $done'],
    'IO::Async::Loop' => ['IO::Async::Loop::Select', 'my $l = IO::Async::Loop::Select->new', '$l->loop_once until $done'],
    'Mojo::IOLoop'    => ['Mojo::IOLoop', 'my $l = Mojo::IOLoop->new', '$l->one_tick until $done'],
    'Mojo::Reactor'   => ['Mojo::Reactor::Poll', 'my $l = Mojo::Reactor::Poll->new', '$l->one_tick until $done'],
    'Glib'            => ['Glib', 'my $l = Glib::MainLoop->new', '$l->get_context->iteration(1) until $done'],
);
usual_engine {
    for my $name (sort keys %object) {
        my ($class, $make, $run) = @{ $object{$name} };
      SKIP: {
            skip "$class is not installed", 1 if (run_perl("require Mojo::IOLoop if '$name' =~ /Mojo/; require $class"))[0];
            my ($status, $out, $err) = run_perl("use strict; use warnings; use IO::AIO; require Mojo::IOLoop if '$name' =~ /Mojo/;
                require $class; $make; my \$done; alarm 30;
                IO::AIO::attach(\$l);
                aio_stat '/', sub { IO::AIO::aio_busy 0.001, sub { \$done = 1; \$l->break if \$l->can('break') } };
                $run;
                print 'done';
                IO::AIO::detach;");
            is($out, 'done', "an object of $class") or diag $err;
        }
    }
};

# ---- Tk, and Future::IO without any other loop ---------------------------------------------------

usual_engine {
  SKIP: {
        skip 'Future::IO is not installed', 1 unless $have{'Future::IO'};
        my ($status, $out, $err) = run_perl(<<'PROGRAM');
            use strict; use warnings; use IO::AIO; use Future::IO; use POSIX ();
            alarm 30;
            sub job {
                my ($who) = @_;
                my $future = Future::IO->sleep(0)->new; # of the implementation's class
                aio_stat '/', sub { IO::AIO::aio_busy 0.001, sub { $future->done("$who\n") } };
                syswrite STDOUT, $future->get;
            }
            sub setup { IO::AIO::attach }
            setup();
            job("first");
            defined(my $pid = fork) or die;
            if (!$pid) { job("child"); POSIX::_exit(0) }
            waitpid $pid, 0;
            job("parent");
            setup() for 1 .. 3;
            job("again");
            IO::AIO::detach;
PROGRAM
        is($out, "first\nchild\nparent\nagain\n", 'Future::IO') or diag $err;
    }

  SKIP: {
        skip 'Tk is not installed', 1 unless $have{Tk};
        my $xvfb = (grep -x, map "$_/xvfb-run", split /:/, $ENV{PATH})[0];
        skip 'no display, and no xvfb-run', 1 unless $ENV{DISPLAY} || $xvfb;
        write_file(tmpdir . '/tk', <<'PROGRAM');
            use strict; use warnings; use IO::AIO; use Tk;
            $SIG{ALRM} = sub { print "nothing heard\n"; exit 1 };
            alarm 30;
            my $window = MainWindow->new;
            my ($by_hand, $done);
            sub setup { $by_hand ? $window->fileevent(IO::AIO::poll_handle, readable => \&IO::AIO::poll_cb) : IO::AIO::attach }
            for (0 .. 1) {
                $by_hand = $_;
                setup() for 0 .. 1;
                $done = 0;
                aio_stat '/', sub { IO::AIO::aio_busy 0.001, sub { $done = 1 } };
                Tk::DoOneEvent(0) until $done;
                print $by_hand ? "by hand\n" : IO::AIO::detach . "\n";
            }
            $window->fileevent(IO::AIO::poll_handle, readable => '');
            $window->destroy;
PROGRAM
        local $ENV{IO_AIO_ENGINE} = engine;
        my @command = ($ENV{DISPLAY} ? () : ($xvfb, '-a'), perl_command(), tmpdir . '/tk');
        open my $out, '-|', @command or die "@command: $!";
        is(join('', <$out>), "Tk\nby hand\n", 'Tk');
        close $out;
    }
};

done;
