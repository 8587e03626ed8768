use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl qw(:DEFAULT);
use POSIX ();
use Scalar::Util qw(weaken);
use IO::AIO qw(:DEFAULT aioreq_timeout aio_walk aio_du aio_remove aio_cptree aio_mvtree);

# $req->progress: what is told while something is under way, held up by FIFOs, and what at its end.

my $dir  = fresh_dir;
my $made = 0;

sub fifo {
    my $path = "$dir/fifo." . ++$made;
    POSIX::mkfifo($path, 0600) or die "mkfifo: $!";
    return $path;
}

sub figures { join ' ', map { defined $_ ? $_ : 'undef' } @_ }

# Lets go whoever opens it to read.
sub end {
    my ($path) = @_;
    my $w;
    wait_for { IO::AIO::poll_cb; sysopen $w, $path, O_WRONLY | O_NONBLOCK };
    return $w;
}

sub arguments {
    my $req  = aio_nop;
    my $file = quotemeta __FILE__;
    for ([sub { $req->progress('x') }, 'progress: .*callback'], map { my $n = $_; [sub { $req->progress(sub { }, $n) }, 'progress: interval must be a number above 0'] } 0, -1, 'nan')
    {
        my ($code, $message) = @$_;
        ok(!eval { $code->(); 1 } && $@ =~ /^$message.* at $file line/s, "croaks: $message") or diag $@;
    }
    ok(!eval { IO::AIO::REQ::progress({}, sub { }); 1 } && $@ =~ /^progress: object of class IO::AIO::REQ expected/, 'no request');
    my @said;
    $req->progress(sub { push @said, figures(@_) });
    is("@said", '', 'it is not called by those who set it');
    IO::AIO::flush;
    is("@said", '1 1 requests', 'a request that counts nothing: one of one');
    $req->progress(sub { push @said, 'late' });
    IO::AIO::flush;
    is(scalar @said, 1, 'a request that is done says no more');
}

# The last call of each kind of request.
sub ends {
    my $text = 'x' x 300_000;
    my $tree = sub {
        my $top = "$dir/tree." . ++$made;
        mkdir $top; mkdir "$top/a";
        write_file("$top/a/$_", $text) for 1 .. 3;
        write_file("$top/b", 'y' x 7);
        $top;
    };
    my $file = sub { write_file "$dir/file." . ++$made, $text };
    my @kinds = (
        [copy     => $file, sub { aio_copy $_[0], "$_[0].copy", $_[1] }, '300000 300000 octets'],
        [load     => $file, sub { aio_load $_[0], my $data, $_[1] }, '300000 300000 octets'],
        [slurp    => $file, sub { aio_slurp $_[0], 100, 200, my $data, $_[1] }, qr/^200 200 octets$/],
        [rename   => $file, sub { aio_move $_[0], "$_[0].moved", $_[1] }, qr/^(?:0 0|300000 300000) octets$/],
        [pathsync => $file, sub { aio_pathsync $_[0], $_[1] }, '1 1 requests'],
        [stat     => $file, sub { aio_stat $_[0], $_[1] }, '1 1 requests'],
        ['stat of nothing' => $file, sub { aio_stat "$_[0].none", $_[1] }, '1 1 requests'],
        ['copy of nothing' => $file, sub { aio_copy "$_[0].none", "$_[0].copy", $_[1] }, '0 0 octets'],
        [scandir  => $tree, sub { aio_scandir $_[0], 0, $_[1] }, qr/^(\d+) \d+ entries$/],
        [rmtree   => $tree, sub { aio_rmtree $_[0], $_[1] }, '6 6 entries'],
        [cptree   => $tree, sub { aio_cptree $_[0], "$_[0].copy", 0, $_[1] }, '900007 900007 octets'],
        [mvtree   => $tree, sub { aio_mvtree $_[0], "$_[0].moved", $_[1] }, qr/^(?:0 0|900007 900007) octets$/],
        [walk     => $tree, sub { aio_walk $_[0], {}, sub { }, $_[1] }, '5 5 entries'],
        [du       => $tree, sub { aio_du $_[0], {}, $_[1] }, '5 5 entries'],
        [remove   => $tree, sub { aio_remove $_[0], {}, sub { }, $_[1] }, '5 5 entries'],
    );
    for (@kinds) {
        my ($name, $what, $submit, $want) = @$_;
        my ($calls, $last, $order) = (0, '', '');
        my $req = $submit->($what->(), sub { $order .= "<$last>" });
        $req->progress(sub { $last = figures(@_); $order = '' }, 0.001);
        IO::AIO::flush;
        like($order, ref $want ? qr/^<${\($want =~ s!\^|\$!!gr)}>$/ : qr/^<\Q$want\E>$/, "$name: the last call, before that of the request");
    }
}

# What comes out of a FIFO is copied as it comes, and no total is known.
sub under_way {
    for my $kind ('copy', 'load') {
        my $path = fifo;
        my ($last, $done) = ('', '');
        my $req = $kind eq 'copy' ? aio_copy $path, "$dir/copied", sub { $done = $last } : aio_load $path, my $data, sub { $done = $last };
        $req->progress(sub { $last = figures(@_) }, 0.001);
        ok(poll_until { $last eq '0 undef octets' }, "$kind: told while nothing comes");
        my $w = end($path);
        my $n = 0;
        for my $octets (1000, 2000) {
            syswrite $w, 'x' x $octets;
            $n += $octets;
            ok(poll_until { $last eq "$n undef octets" }, "$kind: how much has come");
        }
        is($done, '', 'it goes on');
        close $w;
        IO::AIO::flush;
        is($done, '3000 3000 octets', 'at the end all of it');
    }
}

sub groups {
    my $path = fifo;
    my ($last, $called, $calls) = ('', '', 0);
    my $grp = aio_group sub { $called = $last };
    $grp->progress(sub { $last = figures(@_); $calls++ }, 0.001);
    add $grp aio_readdir $dir for 1 .. 3;
    add $grp aio_open $path, O_RDONLY, 0;
    ok(poll_until { $last eq '3 4 requests' }, 'a group: members that are done');
    add $grp aio_nop for 1 .. 2;
    ok(poll_until { $last eq '5 6 requests' }, 'and others that were added');
    my $now = $calls;
    ok(poll_until { $calls > $now + 2 }, 'again and again');
    $grp->progress(sub { $last = 'second' }, 0.001);
    $now = $calls;
    ok(poll_until { $last eq 'second' }, 'another callback');
    is($calls, $now, 'instead of the first');
    $grp->progress(undef);
    $last = '';
    aio_readdir $dir;
    IO::AIO::poll_cb for 1 .. 3;
    $grp->progress(sub { $last = figures(@_) }, 1000);
    end($path);
    IO::AIO::flush;
    is($called, '6 6 requests', 'the last call comes whatever the interval');

    my $n = 0;
    $grp = aio_group;
    $grp->progress(sub { $last = figures(@_) }, 0.001);
    limit $grp 1;
    feed $grp sub { add $grp aio_nop if $n++ < 5 };
    IO::AIO::flush;
    is($last, '5 5 requests', 'a group with a feeder, and no callback of its own');
}

sub given_up {
    my $path = fifo;
    my ($last, $calls, $called, $error) = ('', 0, '');
    my $req = aio_copy $path, "$dir/copied", sub { $called = $last; $error = errno_name($!) };
    $req->progress(sub { $last = figures(@_); $calls++ }, 0.001);
    ok(poll_until { $calls }, 'a request hangs');
    $req->timeout(0.001);
    ok(poll_until { $called }, 'its time is up');
    is("$called $error", '0 0 octets ETIMEDOUT', 'it tells how far it got');
    my $now = $calls;
    end($path);
    wait_for { IO::AIO::poll_cb; !IO::AIO::nabandoned };
    is($calls, $now, 'and no more when it ends');

    $path = fifo;
    ($calls, $called) = (0, '');
    $req = aio_copy $path, "$dir/copied", sub { $called = 'called' };
    $req->progress(sub { $calls++; $_[0] == 0 and $req->cancel }, 0.001);
    ok(poll_until { !IO::AIO::nreqs }, 'cancelled by the callback for progress');
    is("$calls $called", '1 ', 'nobody is called any more');
    end($path);
    wait_for { IO::AIO::poll_cb; !IO::AIO::nabandoned };
}

sub callbacks {
    my $path = fifo;
    my ($n, $nested, $after) = (0, 0, 0);
    my @warned;
    local $SIG{__WARN__} = sub { push @warned, @_ };
    my $req = aio_open $path, O_RDONLY, 0, sub { $after++ };
    $req->progress(sub { $n++; die "thus\n" if $n == 1; aio_readdir $dir, sub { $nested++ }; IO::AIO::poll_cb until $nested }, 0.001);
    ok(poll_until { $nested }, 'it may poll');
    like("@warned", qr/^IO::AIO: progress died: thus/, 'an exception is a warning');
    is(scalar @warned, 1, 'one');
    end($path);
    IO::AIO::flush;
    is($after, 1, 'and the request goes on');

    my $seen = my $watched = {};
    weaken $watched;
    my $done = aio_readdir $dir, sub { };
    $done->progress(do { my $inner = $seen; sub { $inner->{n}++ } });
    undef $seen;
    ok($watched, 'the callback is kept');
    IO::AIO::flush;
    ok(!$watched, 'until the request is done');
}

sub children {
    my $path = fifo;
    my $n = 0;
    my $req = aio_open $path, O_RDONLY, 0, sub { };
    $req->progress(sub { $n++ }, 0.001);
    poll_until { $n };
    my $said = in_child {
        my ($was, $m) = ($n, 0);
        my $other = aio_readdir $dir, sub { };
        $other->progress(sub { $m++ }, 60);    # at its end
        IO::AIO::flush;
        ($n - $was) . " $m";
    };
    is($said, '0 1', 'a child hears of its own requests only');
    IO::AIO::reinit;
    my $was = $n;
    aio_readdir $dir;
    IO::AIO::flush;
    is($n, $was, 'reinit takes it back');
    end($path);
}

sub waited {
  SKIP: {
        skip 'no Future', 1 unless eval { require Future; require Future::AIO; 1 };
        my $last = '';
        my $copy = aio_copy write_file("$dir/text", 'text'), "$dir/copied";
        $copy->progress(sub { $last = figures(@_) });
        my ($status) = Future::AIO->can('aio_wait')->($copy)->get;
        is("$status $last", '0 4 4 octets', 'for a future');
    }
}

each_engine {
    my ($engine) = @_;
    arguments;
    ends;
    waited;
    return if $engine eq 'sync';    # executes in submit: nothing is under way
    under_way;
    groups;
    given_up;
    callbacks;
    children;
};

done;
