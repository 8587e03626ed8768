use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Errno qw(ENOENT EACCES EEXIST);
use IO::AIO;

# Groups: members, nesting, results, feeders, cancelling.

# What a group's callback is given: (errno, arguments).
sub group_result {
    my ($fill) = @_;
    my @got;
    my $group = aio_group sub { @got = ($! + 0, @_) };
    $fill->($group);
    IO::AIO::flush;
    @got;
}

each_engine {
    my ($engine) = @_;
    my (@log, $group);

    # members
    $group = aio_group sub { push @log, 'group' };
    is(ref $group, 'IO::AIO::GRP', 'a group is an IO::AIO::GRP');
    my @req = map { my $n = $_; aio_nop sub { push @log, $n } } 1 .. 3;
    my @added = add $group @req;
    is_deeply(\@added, \@req, 'add returns its arguments');
    is_deeply([add $group], [], 'also none');
    IO::AIO::flush;
    is($log[-1], 'group', 'the group is called back last');
    is("@{[sort @log[0 .. 2]]}", '1 2 3', 'after each member');

    @log = ();
    $group = aio_group sub { push @log, 'empty: ' . @_ };
    is(IO::AIO::nreqs, 1, 'an empty group counts');
    IO::AIO::poll_cb;
    is("@log", 'empty: 0', 'and is called back at the next poll_cb');
    is(IO::AIO::nreqs, 0, 'then it does not count any more');
    aio_group;
    IO::AIO::flush;
    is(IO::AIO::nreqs, 0, 'a group without members, callback and object');

    @log = ();
    my $finished = aio_nop;
    IO::AIO::flush;
    $group = aio_group sub { push @log, 'group' };
    add $group $finished;
    IO::AIO::flush;
    is("@log", 'group', 'adding a finished request is harmless');

    ours {
        @log = ();
        my @groups = map { my $n = $_; aio_group sub { push @log, "group $n" } } 1, 2;
        my $shared = aio_nop sub { push @log, 'member' };
        add $_ $shared for @groups;
        IO::AIO::flush;
        is(scalar(grep $_ eq 'member', @log), 1, 'a member of two groups runs once');
        is("@{[sort @log]}", 'group 1 group 2 member', 'and both groups finish');
        @log = ();
        $group = aio_group sub { push @log, 'group' };
        my $twice = aio_nop sub { push @log, 'member' };
        add $group $twice, $twice;
        IO::AIO::flush;
        is("@log", 'member group', 'adding a request twice is harmless');
    } 'hang: one of the groups never finishes';

    # members added by members
    @log = ();
    $group = aio_group sub { push @log, 'group' };
    my $more = 3;
    my $member;
    $member = sub { push @log, 'member'; add $group aio_nop $member if $more-- > 0 };
    add $group aio_nop $member;
    IO::AIO::flush;
    is("@log", 'member member member member group', 'members add members');
    undef $member;

    # groups in groups
    @log = ();
    my $outer = aio_group sub { push @log, 'outer' };
    my $inner = aio_group sub { push @log, 'inner' };
    add $outer $inner;
    add $inner aio_nop sub { push @log, 'member' };
    IO::AIO::flush;
    is("@log", 'member inner outer', 'a group in a group');

    my $depth = 1000;
    @log = ();
    my $top = aio_group sub { push @log, 0 };
    my $level = $top;
    for my $n (1 .. $depth) {
        my $next = aio_group sub { push @log, $n };
        add $level $next;
        $level = $next;
    }
    add $level aio_nop sub { push @log, 'leaf' };
    IO::AIO::flush;
    ok("@log" eq join(' ', 'leaf', reverse 0 .. $depth), 'a thousand groups in each other finish inside out');

    $top = aio_group sub { fail('called back') };
    $level = $top;
    for (1 .. $depth) {
        my $next = aio_group sub { fail('called back') };
        add $level $next;
        $level = $next;
    }
    hold;
    add $level aio_nop sub { fail('called back') };
    $top->cancel;
    undef $level;
    release;
    IO::AIO::flush;
    is(IO::AIO::nreqs, 0, 'a thousand groups in each other are cancelled');

    # result and errno
    my @case = (
        ['nothing set', sub { }, 0],
        ['a member that failed', sub { add { $_[0] } aio_stat '/none', sub { } }, 0],
        ['result', sub { $! = ENOENT; $_[0]->result(1, 'two', undef) }, ENOENT, 1, 'two', undef],
        ['result without values', sub { $! = 0; $_[0]->result }, 0],
        ['result twice', sub { $! = 0; $_[0]->result(1, 2); $_[0]->result(3) }, 0, 3],
        ['errno with a number', sub { $! = 0; $_[0]->errno(EACCES) }, EACCES],
        ['errno without', sub { $! = EEXIST; $_[0]->errno }, EEXIST],
        ['errno after result', sub { $! = ENOENT; $_[0]->result(1); $_[0]->errno(EACCES) }, EACCES, 1],
        ['result after errno', sub { $_[0]->errno(EACCES); $! = ENOENT; $_[0]->result(1) }, ENOENT, 1],
    );
    for (@case) {
        my ($name, $fill, @want) = @$_;
        is_deeply([group_result($fill)], \@want, "group: $name");
    }
    is_deeply(
        [group_result(sub { my ($g) = @_; add $g aio_stat '/none', sub { $g->result(@_) } })],
        [ENOENT, -1],
        'a member hands its result and errno on'
    );
    my $value = 'before';
    is((group_result(sub { $! = 0; $_[0]->result($value); $value = 'after' }))[1], 'before', 'result copies its values');

    # feeders
    @log = ();
    my $feed = 5;
    $group = aio_group sub { push @log, 'end' };
    feed $group sub {
        my ($g) = @_;
        is($g, $group, 'the feeder is given the group') if $feed == 5;
        push @log, "feed $feed";
        return unless $feed--;
        add $g aio_nop;
    };
    is("@log", 'feed 5 feed 4', 'a feeder is called at once, until there are two members');
    IO::AIO::flush;
    is("@log", 'feed 5 feed 4 feed 3 feed 2 feed 1 feed 0 end', 'then whenever there are fewer, until it adds nothing');

    for my $limit (1, 3, 10) {
        my ($left, $active, $most) = (30, 0, 0);
        $group = aio_group;
        limit $group $limit;
        feed $group sub {
            return unless $left;
            $left--;
            $active++;
            $most = $active if $active > $most;
            add $group aio_nop sub { $active-- };
        };
        IO::AIO::flush;
        is("$left $most", "0 $limit", "limit $limit: all thirty are fed, never more than $limit at once");
    }

    my $calls = 0;
    $group = aio_group;
    feed $group sub { add $group map aio_nop, 1 .. 10 if $calls++ < 2 };
    is($calls, 1, 'a feeder may add more than the limit');
    IO::AIO::flush;
    is($calls, 3, 'and is called again when they are gone');

    hold;
    my $ended = 0;
    $calls = 0;
    $group = aio_group sub { $ended++ };
    feed $group sub { $calls++; add $group aio_nop };
    is($calls, 2, 'setting a feeder sets the limit to 2');
    limit $group 4;
    is($calls, 4, 'a higher limit calls it');
    limit $group 0;
    release;
    IO::AIO::flush;
    is("$calls $ended", '4 1', 'limit 0 pauses it, and the group ends without');
    $calls = 0;
    $group = aio_group;
    feed $group sub { add $group aio_nop if $calls++ < 10 };
    limit $group -1;
    is($calls, 11, 'a negative one is none');
    IO::AIO::flush;
    hold;
    $group = aio_group;
    feed $group sub { $calls++; add $group aio_nop };
    my $before = $calls;
    feed $group undef;
    release;
    IO::AIO::flush;
    is($calls, $before, 'feed with undef removes it');
    hold;
    $group = aio_group;
    feed $group sub { $calls++; add $group aio_nop };
    $before = $calls;
    $group->feed;
    release;
    IO::AIO::flush;
    is($calls, $before, 'feed with nothing, too');

    ours {
        my @warned;
        local $SIG{__WARN__} = sub { push @warned, @_ };
        $ended = $calls = 0;
        $group = aio_group sub { $ended++ };
        local $@ = 'as it was';
        feed $group sub { $calls++; add $group aio_nop; die "feeder died\n" };
        IO::AIO::flush;
        is("$ended $calls", '1 1', 'a feeder that dies is not called again, and the group ends');
        is(scalar(grep /feeder died/, @warned), 1, 'its message is warned');
        is($@, 'as it was', 'and $@ is left alone');
    } 'hangs';

    # what counts
    hold;
    @log = ();
    $group = aio_group sub { push @log, 'group ' . IO::AIO::nreqs };
    add $group aio_stat '/', sub { push @log, IO::AIO::nreqs };
    push @log, IO::AIO::nreqs;
    IO::AIO::poll_cb;
    push @log, IO::AIO::nreqs;
    release;
    IO::AIO::flush;
    is("@log", '2 1 0 group 0', 'a group counts until it is found to have members');

    @log = ();
    $group = aio_group sub { push @log, 'group' };
    add $group aio_nop sub {
        aio_stat '/', sub { push @log, 'other' };
        IO::AIO::poll while IO::AIO::nreqs;
        push @log, 'member';
    };
    IO::AIO::poll while IO::AIO::nreqs;
    is("@log", 'other member group', 'so a callback of a member can wait for all others');

    @log = ();
    $group = aio_group sub { push @log, 'group' };
    add $group aio_nop sub { push @log, 'member'; die "died\n" };
    eval { IO::AIO::flush };
    $@ = '';
    IO::AIO::flush;
    is("@log", 'member group', 'the group of one that dies is waited for');

    # feeders that wait for what they add
    ours {
        for my $poll (qw(poll flush)) {
            @log = ();
            $calls = 0;
            my $outer = aio_group sub { push @log, 'outer' };
            $group = aio_group sub { push @log, 'group' };
            add $outer $group;
            feed $group sub {
                return push @log, 'last' if $calls++ == 5;
                add $group aio_nop sub { push @log, $calls };
                IO::AIO->can($poll)->();
            };
            IO::AIO::flush;
            @log = sort @log if $poll eq 'poll';
            my @end = $poll eq 'poll' ? qw(group last outer) : qw(last group outer);
            is("@log", "1 2 3 4 5 @end", "a feeder that calls $poll is called until it adds nothing, then the group ends");
        }

        @log = ();
        vec(my $fd = '', IO::AIO::poll_fileno, 1) = 1;
        $group = aio_group sub { push @log, 'group' };
        feed $group sub { IO::AIO::flush; push @log, 'flushed'; add $group aio_nop sub { push @log, 'late' } if @log == 1 };
        push @log, 'set';
        ok(select(my $ready = $fd, undef, undef, 0), 'poll_fileno tells of a group whose feeder has polled');
        IO::AIO::flush;
        is("@log", 'flushed late flushed set group', 'a group does not end while its feeder runs');

        @log = ();
        $group = aio_group;
        feed $group sub {
            push @log, 'first';
            feed $group sub { push @log, 'second'; add $group aio_nop if @log < 4 };
            limit $group 1;
        };
        IO::AIO::flush;
        is("@log", 'first second second second', 'a feeder may set another, and the limit');

        @log = ();
        $group = aio_group sub { push @log, 'group' };
        feed $group sub { push @log, 'feed'; add $group aio_nop; IO::AIO::reinit; add $group aio_nop sub { push @log, 'alone' } };
        IO::AIO::flush;
        is("@log " . IO::AIO::nreqs, 'feed alone 0', 'a feeder that drops everything, its group as well');
    } 'crash: it frees the group';

    # cancel
    hold;
    @log = ();
    $outer = aio_group sub { push @log, 'outer' };
    $inner = aio_group sub { push @log, 'inner' };
    add $outer $inner, aio_nop(sub { push @log, 'member' });
    add $inner aio_nop sub { push @log, 'member' };
    feed $outer sub { return };
    $outer->cancel;
    release;
    IO::AIO::flush;
    is("@log", '', 'cancel of a group calls nothing of it');
    is(IO::AIO::nreqs, 0, 'and leaves nothing');

    hold;
    @log = ();
    $outer = aio_group sub { push @log, "outer @_" };
    $inner = aio_group sub { push @log, 'inner' };
    add $outer $inner, aio_nop(sub { push @log, 'member' });
    add $inner aio_nop sub { push @log, 'member' };
    $calls = 0;
    limit $outer 5;
    feed $outer sub { add $outer aio_nop if $calls++ < 20 };
    $before = $calls;
    $outer->result('early');
    $outer->cancel_subs;
    release;
    IO::AIO::flush;
    is("@log", 'outer early', 'cancel_subs cancels the members, and the group is called back');
    is($calls, $before, 'and the feeder is gone');

    @log = ();
    $group = aio_group sub { push @log, 'group' };
    add $group aio_nop sub { push @log, 'before' };
    $group->cancel;
    add $group aio_nop sub { push @log, 'after' };
    IO::AIO::flush;
    is("@log", 'after', 'what is added to a cancelled group is called back');
    is(IO::AIO::nreqs, 0, 'and nothing is left');

    hold;
    @log = ();
    $group = aio_group sub { push @log, 'group' };
    add $group aio_nop(sub { push @log, 'first'; $group->cancel_subs });
    aioreq_pri(-4);
    add $group aio_nop(sub { push @log, 'second' });
    one_by_one;
    is("@log", 'first group', 'cancel_subs in a member');

    hold;
    @log = ();
    $group = aio_group sub { push @log, 'group' };
    add $group aio_nop(sub { push @log, 'first'; $group->cancel });
    aioreq_pri(-4);
    add $group aio_nop(sub { push @log, 'second' });
    one_by_one;
    is("@log", 'first', 'cancel of the group in a member');

    hold;
    @log = ();
    $group = aio_group sub { push @log, 'group' };
    my @member = add $group map { my $n = $_; aio_nop sub { push @log, $n } } 1 .. 3;
    $_->cancel for @member;
    release;
    IO::AIO::flush;
    is("@log", 'group', 'a group of which each member is cancelled ends');

    # more than any group has
    for my $limit (2**31, 2**32, 2**32 + 1) {
        my $added = 0;
        $group = aio_group;
        $group->limit($limit);
        hold;
        $group->feed(sub { add $group aio_nop if $added++ < 5 });
        cmp_ok($added, '>=', 5, "limit $limit: feeds at once") unless engine eq 'sync';
        release;
        IO::AIO::flush;
        is($added, 6, "limit $limit: feeds all");
    }

    # a group that is done
    $group = aio_group;
    IO::AIO::flush;
    ok(eval { $group->cancel; $group->cancel_subs; 1 }, 'cancel and cancel_subs of a group that is done are harmless');
    my $nop = aio_nop;
    croaks { $group->add($nop) } qr/./, 'add to it croaks';
    croaks { $group->result(1) } qr/./, 'result of it croaks';
    croaks { $group->errno(1) } qr/./, 'errno of it croaks';
    croaks { $group->limit(1) } qr/./, 'limit of it croaks';
    croaks { $group->feed(sub { }) } qr/./, 'feed of it croaks';

    my $error;
    $group = aio_group sub { eval { add $group aio_nop; 1 } or $error = $@ };
    IO::AIO::flush;
    like($error, qr/add.* at \Q$0\E line/, 'add in its own callback croaks');

    ours {
        my @arg;
        my $fed = 0;
        undef $error;
        $group = aio_group sub {
            $group->result('other');
            $group->errno(3);
            $group->limit(3);
            $group->feed(sub { $fed++; eval { add { $_[0] } aio_nop; 1 } or $error = $@ });
            my @junk = map "junk$_", 1 .. 100;
            @arg = @_;
        };
        $group->result('first', 'second');
        IO::AIO::flush;
        is("@arg", 'first second', 'the other methods have no effect there');
        is($fed, 1, 'but that a feeder is called once');
        like($error, qr/add.* at \Q$0\E line/, 'which cannot add anything');
    } 'crash: frees what is on the stack';

    # what is no member
    for my $bad (undef, 17, 'string', [], {}, sub { }) {
        $group = aio_group;
        my $name = defined $bad ? ref $bad || $bad : 'undef';
        croaks { add $group $bad } qr/./, "adding $name croaks";
    }
    ours {
        $group = aio_group;
        croaks { add $group $group } qr/./, 'adding a group to itself croaks';
        my $inner = aio_group;
        $group = aio_group;
        add $group $inner;
        croaks { add $inner $group } qr/./, 'adding it to one of its members too';
        IO::AIO::flush;
    } 'hang: it waits for itself';
    $group = aio_group;
    ours { croaks { feed $group 'no such function' } qr/callback|feed/, 'a feeder that is no function croaks' } 'says nothing';
    ours { croaks { aio_group 'no such function' } qr/callback/, 'a callback that is none too' } 'says nothing';
    my $plain = aio_nop;
    ok(!$plain->can($_), "a plain request has no $_") for qw(add cancel_subs result errno feed limit);
    ours {
        croaks { IO::AIO::GRP::add($plain, aio_nop) } qr/./, 'nor can it be made a group';
        IO::AIO::flush;
    } 'takes it for a group';
};

done;
