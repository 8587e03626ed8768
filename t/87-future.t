# Futures and async/await: with no event loop at all, and in IO::Async.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

BEGIN {
    eval { require Future; require Future::AsyncAwait; Future->VERSION(0.44); 1 }
        or plan skip_all => 'needs Future and Future::AsyncAwait';
}

use AIOTest;
use Errno qw(ENOENT);
use Fcntl;
use Future::AsyncAwait;
use IO::AIO;

# A future that is waited for by handing out results.
{
    package AIOFuture;
    our @ISA = 'Future';

    sub await {
        my ($self) = @_;
        IO::AIO::poll() until $self->is_ready;
        return $self;
    }
}

my $new_future = sub { AIOFuture->new };

# What a loop opens, as that of IO::Async::Loop::Epoll does, belongs to the state at the start.
my $loop = eval { require IO::Async::Loop; 1 } && IO::Async::Loop->new;
if ($loop) {
    $loop->later(sub { });
    $loop->loop_once;
}

# Makes a request and returns a future of its results. A failure has the category "aio" and the errno;
# when the future is cancelled, so is the request. Arguments are passed on as they are, for some get filled.
sub request {
    my $name    = shift;
    my $future  = $new_future->();
    my $request = IO::AIO->can("aio_$name")->(@_, sub {
        return if $future->is_ready;
        return $future->done(@_) if defined $_[0] && $_[0] ne '-1';
        $future->fail("$name: $!", aio => $! + 0);
    });
    return $future->on_cancel(sub { $request->cancel });
}

async sub slurp {
    my ($path) = @_;
    my $fh = await request(open => $path, O_RDONLY, 0);
    await request(stat => $fh);
    my ($size, $data) = (-s _, '');
    while (length $data < $size) {
        await request(read => $fh, length $data, 1000, $data, length $data) or last;
    }
    await request(close => $fh);
    return $data;
}

async sub spew {
    my ($path, $data) = @_;
    my $fh = await request(open => "$path~", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    my $done = 0;
    while ($done < length $data) {
        $done += await request(write => $fh, $done, 700, $data, $done);
    }
    await request(fsync => $fh);
    await request(close => $fh);
    await request(rename => "$path~", $path);
    return $done;
}

async sub copy {
    my ($from, $to) = @_;
    my $data = await slurp($from);
    return await spew($to, $data);
}

async sub copy_all {
    my ($from, $to) = @_;
    my $names = await request(readdir => $from);
    return await Future->needs_all(map copy("$from/$_", "$to/$_"), @$names);
}

sub scenario {
    my $from = fresh_dir();
    my $to   = fresh_dir();
    my %text = map { ("n$_" => join '', map "line $_\n", 1 .. 37 * $_) } 1 .. 25;
    write_file("$from/$_", $text{$_}) for keys %text;

    my @sizes = copy_all($from, $to)->get;
    is_deeply([sort { $a <=> $b } @sizes], [sort { $a <=> $b } map length, values %text], 'what async subs return');
    is_deeply({ map { $_ => read_file("$to/$_") } keys %text }, \%text, 'files are copied, all at once');

    my $failed = slurp("$from/none");
    $failed->await;
    ok($failed->is_failed, 'a request that fails');
    is_deeply([($failed->failure)[1, 2]], ['aio', ENOENT], 'fails the async sub, with the errno');
    my $caught = (async sub {
        eval { await slurp("$from/none"); 1 } and return 'nothing';
        return "caught $@";
    })->();
    like($caught->get, qr/^caught open: /, 'it can be caught there');

    $failed = copy_all($from, "$to/none");
    $failed->await;
    is(($failed->failure)[2], ENOENT, 'one of many fails the whole');
    IO::AIO::flush();
    is(IO::AIO::nreqs(), 0, 'and leaves nothing behind');
}

each_engine { scenario() };

each_engine {
    ours {
        my $dir = fresh_dir();
        hold();
        my $step = '';
        my $task = (async sub {
            $step = 'waits';
            await request(mkdir => "$dir/made", 0755);
            $step = 'goes on';
        })->();
        is($step, 'waits', 'an async sub waits for its request');
        $task->cancel;
        release();
        IO::AIO::flush();
        ok(!-e "$dir/made", 'cancelled, the request is not executed');
        is($step, 'waits', 'nor does the sub go on');

        # The first of two decides; the other one is cancelled.
        hold();
        my $loser  = request(mkdir => "$dir/loser", 0755);
        my $winner = AIOFuture->new;
        my $first  = Future->wait_any($loser, $winner);
        $winner->done('winner');
        release();
        is($first->get, 'winner', 'wait_any');
        ok($loser->is_cancelled, 'the other one is cancelled');
        IO::AIO::flush();
        ok(!-e "$dir/loser", 'before it was executed');
    } 'hang: requests do not leave its hold';
};

SKIP: {
    skip 'IO::Async is not installed', 1 unless $loop;
    $new_future = sub { $loop->new_future };
    each_engine {
        open my $fh, '<&', IO::AIO::poll_fileno or die "dup: $!";
        $loop->watch_io(handle => $fh, on_read_ready => \&IO::AIO::poll_cb);
        scenario();
        my $timeout = Future->wait_any(
            $loop->new_future,
            $loop->delay_future(after => 0.01)->then_fail("timeout\n"),
        );
        $timeout->await;
        is($timeout->failure, "timeout\n", 'timers run beside');
        $loop->unwatch_io(handle => $fh, on_read_ready => 1);
    };
}

done;
