use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use LoopTest;
use Test::More;
use Fcntl;
use IO::AIO;

# The module in whatever loop AnyEvent finds, with a watcher of one's own. Its loop in pure perl is tried too.

plan skip_all => 'AnyEvent is not installed' unless eval { require AnyEvent; AnyEvent::detect(); 1 };

# Opens and reads a file, then a thousand requests at once.
my $program = <<'PERL';
    my $watcher = AnyEvent->io(fh => IO::AIO::poll_fileno(), poll => 'r', cb => sub { IO::AIO::poll_cb() });
    my $text = '';
    my $cv = AnyEvent->condvar;
    aio_open $file, O_RDONLY, 0, sub {
        my $fh = shift or die "$file: $!";
        aio_read $fh, 0, -s $fh, $text, 0, sub { $cv->send($_[0]) };
    };
    my @got = ($cv->recv, $text);
    $cv = AnyEvent->condvar;
    my $done = 0;
    for (1 .. 1000) { $cv->begin; aio_stat $file, sub { $done++; $cv->end } }
    $cv->recv;
    (@got, $done);
PERL

each_engine {
    for my $model (undef, 'Perl') {
        local $ENV{PERL_ANYEVENT_MODEL} = $model if $model;
        check_programs(
            name  => 'AnyEvent',
            fork  => 'EV::default_loop()->loop_fork if $INC{"EV.pm"}',
            load  => 'require AnyEvent',
            watch => 'require AnyEvent;
                push @keep, AnyEvent->io(fh => IO::AIO::poll_handle, poll => "r", cb => \&IO::AIO::poll_cb)',
            run   => '$main::end = AnyEvent->condvar; $main::end->recv',
            stop  => '$main::end->send',
            turns => 'my $cv = AnyEvent->condvar; my $w = AnyEvent->timer(after => 0, cb => sub { $cv->send }); $cv->recv',
        );
    }
};

each_engine {
    my $file = write_file tmpdir . '/file', "some text\n";
    my @got = eval $program;
    is($@, '', 'the program runs');
    is_deeply(\@got, [10, "some text\n", 1000], "reads and many requests in @{[AnyEvent::detect()]}");

    my ($status, $out, $err) = run_perl(<<"PERL", $file);
        BEGIN { \$ENV{PERL_ANYEVENT_MODEL} = 'Perl' }
        use strict; use Fcntl; use AnyEvent; use IO::AIO;
        my (\$file) = \@ARGV;
        my \@got = do { $program };
        print join('|', \@got, AnyEvent::detect());
PERL
    like($out, qr/^10\|some text\n\|1000\|AnyEvent::(?:Loop|Impl::Perl)$/, 'also in its own loop');
    is("$status$err", '0', 'which ends well');
};

done;
