use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl qw(:DEFAULT);
use Scalar::Util qw(blessed refaddr reftype weaken);
use IO::AIO;

# Request objects: what they are, cancel and cb in every state of a request's life.

{
    package Guard;    # tells when it is freed
    sub new { my ($class, $freed) = @_; bless { freed => $freed }, $class }
    sub DESTROY { ${ $_[0]{freed} }++ }
    package My::Request;
    our @ISA = 'IO::AIO::REQ';
    sub twice { 2 * $_[0]{n} }
}

# A request that stays in execution until the pipe is emptied: (request, how to let it go).
sub running {
    my ($cb) = @_;
    pipe my $r, my $w or die "pipe: $!";
    $w->blocking(0);
    1 while syswrite $w, 'x' x 65536;
    1 while syswrite $w, 'x';
    $w->blocking(1);
    open my $in, '<', $0 or die "$0: $!";
    my $ready = IO::AIO::nready();
    my $req = aio_sendfile $w, $in, 0, 1, $cb;
    wait_for { IO::AIO::nready() <= $ready };
    $r->blocking(0);
    return ($req, sub { 1 while sysread $r, my $buf, 65536 });
}

# A request that is done but for its callback.
sub pending {
    my ($cb) = @_;
    my $req = aio_nop $cb;
    wait_for { IO::AIO::npending() };
    $req;
}

each_engine {
    my ($engine) = @_;
    my $dir = fresh_dir;

    # the object
    my $req = aio_nop;
    is(blessed $req, 'IO::AIO::REQ', 'a request is an IO::AIO::REQ');
    is(reftype $req, 'HASH', 'and a hash');
    is_deeply([%$req], [], 'an empty one');
    $req->{mine} = 'data';
    IO::AIO::flush;
    is($req->{mine}, 'data', 'what is stored in it stays');
    my @list = aio_nop;
    is(scalar @list, 1, 'in list context it is one object');
    IO::AIO::flush;
    for my $composite (aio_group, aio_load($0, my $data), aio_scandir($dir, 0), aio_pathsync($dir)) {
        isa_ok($composite, 'IO::AIO::GRP', 'a composite');
    }
    IO::AIO::flush;

    my $done = 0;
    aio_nop sub { $done++ };
    { my $dropped = aio_nop sub { $done++ } }
    IO::AIO::flush;
    is($done, 2, 'void context, or dropping the object, cancels nothing');

    my $feeder_saw;
    my $group = aio_group;
    $group->{mine} = 1;
    feed $group sub { $feeder_saw = $_[0]; return };
    is(refaddr $feeder_saw, refaddr $group, 'two objects of one request are the same');
    is($feeder_saw->{mine}, 1, 'with the same keys');
    undef $feeder_saw;
    IO::AIO::flush;

    $req = bless aio_nop(sub { $done++ }), 'My::Request';
    $req->{n} = 21;
    is($req->twice, 42, 'it can be blessed into a subclass');
    $req->cancel;
    IO::AIO::flush;
    is($done, 2, 'whose inherited methods work');

    my $freed = 0;
    $req = aio_nop;
    $req->{guard} = Guard->new(\$freed);
    undef $req;
    IO::AIO::flush;
    is($freed, 1, 'what is stored in it is freed with it');

    # cancel before execution
    hold;
    my $called = 0;
    $req = aio_mkdir "$dir/never", 0755, sub { $called++ };
    my $buf = 'content';
    open my $fh, '<', $0 or die "$0: $!";
    my $read = aio_read $fh, 0, 3, $buf, 0, sub { $called++ };
    is(IO::AIO::nreqs, 2, 'two requests wait');
    $req->cancel;
    $read->cancel;
    $read->cancel;
    is(IO::AIO::nreqs, 2, 'cancelled they still count');
    release;
    IO::AIO::flush;
    is(IO::AIO::nreqs, 0, 'until they were polled');
    ok(!-e "$dir/never", 'a cancelled request is not executed');
    is($called, 0, 'nor called back');
    ours { is($buf, 'content', 'its buffer is as it was') } 'clears it';
    $buf .= '!';
    ours { is($buf, 'content!', 'and free') } 'clears it';

    # of several, only the one
    hold;
    my @called;
    my @req = map { my $n = $_; aio_nop sub { push @called, $n } } 0 .. 9;
    $_->cancel for @req[3, 5, 9];
    one_by_one;
    is("@called", '0 1 2 4 6 7 8', 'the others are called back, in order');

    # cancel during execution
  SKIP: {
        skip 'engine sync cannot be cancelled while it executes', 3 if $engine eq 'sync';
        my ($req, $go) = running(sub { $called++ });
        $req->cancel;
        is(IO::AIO::nreqs, 1, 'a request cancelled while it runs still counts');
        $go->();
        IO::AIO::flush;
        is($called, 0, 'and is not called back');
        is(IO::AIO::nreqs, 0, 'nothing is left');
    }

    # cancel after execution
    $req = pending(sub { $called++ });
    $req->cancel;
    IO::AIO::flush;
    is($called, 0, 'a request cancelled after it ran is not called back');

    # cancel in the callback and later
    my $self;
    $self = aio_nop sub { $called++; $self->cancel };
    IO::AIO::flush;
    is($called, 1, 'cancel in its own callback is harmless');
    $self->cancel;
    $self->cancel;
    IO::AIO::flush;
    is($called, 1, 'and afterwards');
    my $other = aio_nop sub { $called++ };
    aio_nop sub { };
    my $first = aio_nop;
    hold;
    my $later = aio_nop sub { $called++ };
    aioreq_pri 1;
    aio_nop sub { $later->cancel };
    one_by_one;
    is($called, 2, 'one callback cancels another request');

    # cb before execution
    my $one = sub { push @called, 'one' };
    my $two = sub { push @called, 'two' };
    hold;
    @called = ();
    $req = aio_nop $one;
    is($req->cb, $one, 'cb gives the callback');
    is($req->cb($two), $one, 'setting it gives the old one');
    is($req->cb, $two, 'and sets it');
    my $none = aio_nop;
    is($none->cb, undef, 'a request without callback has none');
    is($none->cb($one), undef, 'setting one');
    my $removed = aio_nop $one;
    is($removed->cb(undef), $one, 'undef removes it');
    is($removed->cb, undef, 'then there is none');
    release;
    IO::AIO::flush;
    is("@{[sort @called]}", 'one two', 'those that are set are called');

    # during and after execution
    @called = ();
  SKIP: {
        skip 'engine sync has no other thread', 1 if $engine eq 'sync';
        my ($req, $go) = running($one);
        $req->cb($two);
        $go->();
        IO::AIO::flush;
        is("@called", 'two', 'a callback set while the request runs');
    }
    @called = ();
    $req = pending($one);
    is($req->cb($two), $one, 'a callback set after it ran');
    IO::AIO::flush;
    is("@called", 'two', 'is the one that is called');

    # of a request that is done
    is($req->cb, undef, 'a request that is done has none');
    is_deeply([$req->cb, $req->cb(undef)], [], 'and cb an empty list');
    $freed = 0;
    {
        my $guard = Guard->new(\$freed);
        $req->cb(sub { $guard });
    }
    is($freed, 1, 'one that is set then is dropped');
    IO::AIO::flush;
    is("@called", 'two', 'and not called');

    # what a request holds is freed when it is done, though the object stays
    $freed = 0;
    {
        my $guard = Guard->new(\$freed);
        $req = aio_nop sub { $guard };
    }
    is($freed, 0, 'a request keeps its callback');
    IO::AIO::flush;
    is($freed, 1, 'until it is done, not until its object is freed');
    {
        my $guard = Guard->new(\$freed);
        $req = aio_nop sub { $guard };
        $req->cancel;
    }
    IO::AIO::flush;
    is($freed, 2, 'a cancelled one too');
    {
        my $guard = Guard->new(\$freed);
        $req = aio_nop sub { $guard };
        undef $guard;
        $req->cb(sub { });
        is($freed, 3, 'a callback that is replaced is freed at once');
    }
    IO::AIO::flush;
    my $weak;
    {
        open my $fh, '<', $0 or die "$0: $!";
        weaken($weak = $fh);
        $req = aio_fsync $fh;
    }
    IO::AIO::flush;
    is($weak, undef, 'a handle is released');

    # the callback's own arguments
    ours {
        my ($changed, $other);
        aio_mkdir "$dir/new", 0755, sub { $_[0] = 'changed'; $changed = \@_ };
        aio_mkdir "$dir/new2", 0755, sub { $other = $_[0] };
        IO::AIO::flush;
        is("$changed->[0] $other", 'changed 0', 'the results are copies');
    } 'hands out constants';

    # what is wrong
    $req = aio_nop;
    croaks { $req->cb('no such function') } qr/callback/, 'cb with a name of nothing croaks';
    $req = aio_nop;
    ours {
        croaks { $req->cb([]) } qr/callback/, 'cb with another reference croaks';
    } 'calls it something else';
    for my $bad (undef, 'IO::AIO::REQ', {}, bless({}, 'IO::AIO::REQ'), bless([], 'IO::AIO::REQ'), 17) {
        my $name = defined $bad ? ref $bad || $bad : 'undef';
        ours {
            croaks { IO::AIO::REQ::cancel($bad) } qr/./, "cancel of $name croaks";
            croaks { IO::AIO::REQ::cb($bad) } qr/./, "cb of $name croaks";
        } 'takes what is no request for one that is done';
    }

    # what one stores in the object is there until the request is done, whoever keeps the object
    my ($gone, $during) = 0;
    hold;
    (aio_nop sub { $during = $gone })->{guard} = Guard->new(\$gone);
    is($gone, 0, 'what an object holds that nobody keeps');
    release;
    IO::AIO::flush;
    is($during, 0, 'is there in the callback');
    is($gone, 1, 'and freed after it');

    my @fed;
    {
        @Fed::ISA = 'IO::AIO::GRP';
        my $group = bless aio_group, 'Fed';
        $group->{todo} = [1 .. 4];
        $group->feed(sub {
            my ($g) = @_;
            my $n = shift @{ $g->{todo} } or return;
            push @fed, ref($g) . $n;
            $g->add(aio_nop);
        });
    }
    IO::AIO::flush;
    ours { is("@fed", 'Fed1 Fed2 Fed3 Fed4', 'so a feeder sees what its group holds, and its class') } 'blesses it anew';
};

done;
