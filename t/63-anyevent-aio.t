use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl;
use IO::AIO;

# AnyEvent::AIO, unmodified: it installs its watcher by itself. And what it uses for that.

# _on_next_submit runs a function once, at the next submission
{
    my @log;
    IO::AIO::_on_next_submit(sub { push @log, 'hook' });
    is("@log", '', '_on_next_submit does not call at once');
    aio_nop sub { push @log, 'callback' };
    is($log[0], 'hook', 'but when the next request is submitted');
    aio_nop sub { push @log, 'callback' };
    IO::AIO::flush;
    is("@log", 'hook callback callback', 'once');

    @log = ();
    IO::AIO::_on_next_submit(sub { push @log, 'first' });
    IO::AIO::_on_next_submit(sub { push @log, 'second' });
    aio_nop;
    IO::AIO::flush;
    is("@log", 'second', 'the last one counts');
    IO::AIO::_on_next_submit(sub { push @log, 'never' });
    IO::AIO::_on_next_submit(undef);
    aio_group;
    IO::AIO::flush;
    is("@log", 'second', 'undef removes it');

    my $nested;
    IO::AIO::_on_next_submit(sub { aio_nop sub { $nested++ } });
    aio_nop;
    IO::AIO::flush;
    is($nested, 1, 'it may submit requests');
    ours {
        IO::AIO::_on_next_submit(sub { die "in the hook\n" });
        my $called = 0;
        local $SIG{__WARN__} = sub { };
        eval { aio_nop sub { $called++ }; 1 };
        $@ = '';
        eval { IO::AIO::flush };
        $@ = '';
        aio_nop sub { $called += 10 };
        IO::AIO::flush;
        cmp_ok($called, '>=', 10, 'one that dies breaks nothing');
    } 'crash';
}

SKIP: {
    skip 'AnyEvent::AIO is not installed', 1 unless eval { require AnyEvent; require AnyEvent::AIO; AnyEvent::detect(); 1 };

    each_engine {
        my $file = write_file tmpdir . '/file', "some text\n";
        my $cv = AnyEvent->condvar;
        my $text = '';
        aio_open $file, O_RDONLY, 0, sub {
            my $fh = shift or die "$file: $!";
            aio_read $fh, 0, -s $fh, $text, 0, sub { $cv->send($_[0]) };
        };
        is($cv->recv, 10, 'requests are polled by AnyEvent::AIO');
        is($text, "some text\n", 'the text');

        for my $round (1 .. 3) {
            $cv = AnyEvent->condvar;
            my $done = 0;
            for (1 .. 300) { $cv->begin; aio_stat $file, sub { $done++; $cv->end } }
            $cv->recv;
            is($done, 300, "three hundred at once, round $round");
        }

        $cv = AnyEvent->condvar;
        my $group = aio_group sub { $cv->send(@_) };
        my $data;
        add $group aio_load $file, $data, sub { $group->result($data) };
        is($cv->recv, "some text\n", 'a group');
    };
}

done;
