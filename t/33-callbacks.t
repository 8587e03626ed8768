use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Errno qw(ENOENT EACCES);
use IO::AIO;

# Callbacks: what can be one, what they may do (die, exit, poll), and what they must not disturb.

our @log;
sub named { push @log, 'named' }

{
    package Callable;
    use overload '&{}' => sub { my ($self) = @_; sub { push @main::log, $$self } }, fallback => 1;
    package Error;
    sub new { bless { text => $_[1] }, $_[0] }
    package Plain;
}

# Polls until nothing is left; returns what died meanwhile.
sub flush_all {
    my @died;
    while (IO::AIO::nreqs()) {
        eval { IO::AIO::flush(); 1 } or push @died, $@;
    }
    @died;
}

each_engine {
    my ($engine) = @_;

    # forms
    my $text = 'object';
    my %form = (
        'a code reference'     => [sub { push @log, 'code' }, 'code'],
        'a reference by name'  => [\&named, 'named'],
        'a name'               => ['named', 'named'],
        'a full name'          => ['main::named', 'named'],
        'a glob'               => [*named, 'named'],
        'an object with &{}'   => [bless(\$text, 'Callable'), 'object'],
    );
    for my $name (sort keys %form) {
        my ($cb, $want) = @{ $form{$name} };
        @log = ();
        aio_nop $cb;
        IO::AIO::flush;
        is("@log", $want, "as a callback: $name");
    }
    aio_nop undef;
    aio_nop;
    IO::AIO::flush;
    pass('undef and nothing are no callback');
    for my $bad ('no_such_function', 'no::such::function', 17, '', \'x', [], {}, bless({}, 'Plain'), do { no warnings 'once'; *no_such_glob }) {
        my $name = ref $bad || "'$bad'";
        ours {
            my $path = tmpdir . '/not made';
            croaks { aio_mkdir $path, 0755, $bad } qr/callback/, "$name croaks";
            ok(!-e $path, 'and nothing was done');
            is(IO::AIO::nreqs, 0, 'or queued');
            rmdir $path;
        } 'takes it';
    }
    croaks { aio_mkdir '/none/x', 0755, [] } 'aio_mkdir', 'the message names the function';

    # how they are called
    my @context;
    aio_nop sub { push @context, wantarray, scalar @_ };
    IO::AIO::flush;
    is_deeply(\@context, [undef, 0], 'in void context, with the results as arguments');
    aio_stat '/', sub { @context = @_; 'return value', 2 };
    IO::AIO::flush;
    is("@context", '0', 'their values are ignored');
    my $chain = 0;
    my $next;
    $next = sub { aio_nop $next if ++$chain < 5000 };
    aio_nop $next;
    IO::AIO::flush;
    is($chain, 5000, 'a chain of five thousand');
    undef $next;
    my $own;
    $own = sub { undef $own; $chain = 'alive' };
    aio_nop $own;
    IO::AIO::flush;
    is($chain, 'alive', 'a callback that frees itself');

    # what polling leaves alone
    'caller' =~ /(call)/;
    aio_nop sub { 'inside' =~ /(side)/ };
    IO::AIO::flush;
    is($1, 'call', 'match variables of the caller');
    ours {
        local $@ = 'stale';
        aio_nop sub { eval { die "inner\n" } };
        is(eval { IO::AIO::flush; 1 }, 1, 'a stale $@ is not rethrown');
        local $@ = 'stale';
        aio_nop sub { };
        IO::AIO::flush;
        is($@, 'stale', '$@ is left alone');
    } 'rethrows it';
    @log = ();
    aio_nop sub { push @log, "<$@>"; eval { die "inner" } } for 1 .. 2;
    my $outer_error = do {
        local $@ = is_peer ? '' : 'stale';
        IO::AIO::flush;
        $@;
    };
    is("@log", '<> <>', '$@ is empty in a callback, and what an eval leaves there is its own');
    is($outer_error, is_peer ? '' : 'stale', 'also not seen after the poll');
    @log = ();
    aio_nop sub {
        aio_nop sub { eval { die "inner" } };
        IO::AIO::flush;
        push @log, "<$@>";
    };
    IO::AIO::flush;
    is("@log", '<>', 'nor by a callback that polls');
    $! = ENOENT;
    aio_nop sub { $! = EACCES };
    IO::AIO::flush;
    is($! + 0, EACCES, '$! of the last callback is still there after flush');
    ours {
        # Perlbal asks $! before it looks at the result
        my @errno;
        my $see = sub { push @errno, $! + 0 };
        for my $request (
            sub { aio_stat '/', $see }, sub { aio_open '/', 0, 0, $see }, sub { aio_readdir '/', $see }, sub { aio_realpath '/', $see },
            sub { aio_scandir '/', 0, $see }, sub { aio_load '/dev/null', my $data, $see }, sub { aio_group $see }, sub { aio_nop $see },
        ) {
            aio_stat "/none/none", sub { $! = EACCES };
            IO::AIO::flush;
            $request->();
            $! = EACCES;
            IO::AIO::flush;
        }
        is("@errno", '0 0 0 0 0 0 0 0', '$! is 0 in the callback of what succeeded');
    } 'leaves there what an earlier request of the thread failed with';
    for my $n (1 .. 3) {
        my @args = map { "arg $_" } 1 .. $n;
        my $sub = sub { aio_nop sub { @_ = (9) x 50 }; IO::AIO::flush; "@_" };
        is($sub->(@args), "@args", 'the arguments of the caller');
    }

    # die
    ours {
        @log = ();
        hold;
        aio_nop sub { push @log, 1 };
        aio_nop sub { push @log, 2; die "second\n" };
        aio_nop sub { push @log, 3 };
        aio_nop sub { push @log, 4; die Error->new('fourth') };
        aio_nop sub { push @log, 5 };
        IO::AIO::max_parallel(1);
        IO::AIO::min_parallel(1);
        wait_for { IO::AIO::npending() == 5 };
        is(eval { IO::AIO::poll_cb(); 1 }, undef, 'poll_cb dies when a callback dies');
        is($@, "second\n", 'with its exception');
        is("@log", '1 2', 'after that callback');
        is(IO::AIO::nreqs, 3, 'the rest is there');
        ok(poll_ready, 'and the poll descriptor still readable');
        $@ = '';
        is(eval { IO::AIO::poll_cb(); 1 }, undef, 'the next one dies with the next');
        is(ref $@ && $@->{text}, 'fourth', 'which is an object');
        is("@log", '1 2 3 4', 'and so on');
        $@ = '';
        is(eval { IO::AIO::flush(); 1 }, 1, 'until nobody dies');
        is("@log", '1 2 3 4 5', 'no result is lost');
        release;

        for my $poll (qw(poll flush poll_cb)) {
            aio_nop sub { die "from $poll\n" };
            wait_for { IO::AIO::npending() };
            ok(!eval { no strict 'refs'; &{"IO::AIO::$poll"}(); 1 }, "$poll dies");
            is($@, "from $poll\n", 'with the exception');
            $@ = '';
            flush_all();
        }
    } 'counts ending threads as pending requests';

    @log = ();
    my $group = aio_group sub { push @log, 'group' };
    add $group aio_nop sub { die "member\n" };
    ours { is_deeply([flush_all()], ["member\n"], 'a member that dies and ends its group') } 'loses the text';
    flush_all();
    is("@log", 'group', 'the group is still called back');
    $group = aio_group sub { die "group\n" };
    my $outer = aio_group sub { push @log, 'outer' };
    add $outer $group;
    ours { is_deeply([flush_all()], ["group\n"], 'a group that dies') } 'loses the text';
    flush_all();
    is("@log", 'group outer', 'the outer one is still called back');
    $@ = '';

    sub vanishes { }
    aio_nop 'vanishes';
    { no warnings; undef &vanishes; }
    my @died = flush_all();
    like("@died", qr/^(?:Undefined subroutine|Not a CODE)/i, 'a function that vanished: poll dies');
    $@ = '';
    { no warnings 'redefine'; eval 'sub vanishes { } 1' or die; }
    ours {
        my $loops = 0;
        for (1 .. 3) {
            $loops++;
            no warnings 'exiting';
            aio_nop sub { last };
            push @died, flush_all();
        }
        is($loops, 3, 'a callback cannot leave the caller\'s loop');
        like($died[-1], qr/last/, 'that is an exception');
    } 'crashes';

    # exit
    my ($status, $out, $err) = run_perl(<<'PERL');
        use IO::AIO; $| = 1;
        aio_nop sub { print "callback,"; exit 7 };
        END { print "END," }
        IO::AIO::flush; print "not reached";
PERL
    is($status >> 8, 7, 'exit in a callback exits');
    is($out, 'callback,END,', 'and END blocks run');
    is($err, '', 'silently');
    ($status, $out, $err) = run_perl(<<'PERL');
        use IO::AIO; $| = 1;
        IO::AIO::max_parallel 1;
        aio_nop sub { print "one,"; exit 3 };
        aio_nop sub { print "two," };
        IO::AIO::flush; print "not reached";
PERL
    is($status >> 8, 3, 'exit with requests left');
    is($out, 'one,two,', 'END flushes them');

    # a child that a callback forks
    @log = ();
    aio_nop sub {
        my $n = in_child { 17 };
        push @log, "child $n";
    };
    aio_nop sub { push @log, 'parent' };
    IO::AIO::flush;
    is("@{[sort @log]}", 'child 17 parent', 'a child forked in a callback takes nothing along');

    # poll in callbacks
    @log = ();
    aio_nop sub {
        push @log, 'outer';
        aio_nop sub { push @log, 'inner' };
        IO::AIO::flush;
        push @log, 'outer again';
    };
    IO::AIO::flush;
    is("@log", 'outer inner outer again', 'flush in a callback');
    my $depth = 0;
    my $deeper;
    no warnings 'recursion';
    $deeper = sub { if (++$depth < 100) { aio_nop $deeper; IO::AIO::flush } };
    aio_nop $deeper;
    IO::AIO::flush;
    is($depth, 100, 'a hundred deep');
    undef $deeper;

    my $file = write_file tmpdir . "/$engine", 'x' x 77;
    my (%after, $size, $errno);
    aio_stat $file, sub {
        aio_stat '/', sub { };
        IO::AIO::flush;
        $size = -s _;
    };
    IO::AIO::flush;
    ours { is($size, 77, 'after a poll in a callback its "_" is back') } 'has that of the inner one';
    aio_stat '/none', sub {
        aio_mkdir '/', 0755, sub { };
        IO::AIO::flush;
        $errno = $! + 0;
    };
    IO::AIO::flush;
    ours { is($errno, ENOENT, 'and its $!') } 'has that of the inner one';

    @log = ();
    aio_nop sub {
        aio_nop sub { die "inner\n" };
        eval { IO::AIO::flush; 1 } or push @log, "caught $@";
    };
    IO::AIO::flush;
    is("@log", "caught inner\n", 'an exception of the inner poll reaches only the outer callback');

    # arguments belong to the callback, also those of a failure
    my %submit = (
        open     => sub { aio_open '/none', 0, 0, $_[0] },
        wd       => sub { aio_wd '/none', $_[0] },
        statvfs  => sub { aio_statvfs '/none', $_[0] },
        readdir  => sub { aio_readdir '/none', $_[0] },
        readdirx => sub { aio_readdirx '/none', 0, $_[0] },
        stat     => sub { aio_stat '/none', $_[0] },
    );
    for my $name (sort keys %submit) {
        my $is;
        $submit{$name}->(sub { $is = eval { $_[0] = 'mine'; $_[0] } || $@ });
        IO::AIO::flush;
        is($is, 'mine', "the result of a failed $name can be modified");
    }
};

done;
