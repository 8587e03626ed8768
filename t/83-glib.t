# The Glib main loop.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

BEGIN { eval { require Glib; 1 } or plan skip_all => 'needs Glib' }

use AIOTest;
use LoopTest;
use IO::AIO;

my $context = Glib::MainContext->default;
Glib::Idle->add(sub { 0 });
$context->iteration(1);    # what the loop opens belongs to the state at the start

each_engine {
    check_programs(
        name  => 'Glib',
        load  => 'require Glib; my $loop = Glib::MainLoop->new',
        watch => 'require Glib; Glib::IO->add_watch(IO::AIO::poll_fileno, "in", sub { IO::AIO::poll_cb; 1 })',
        run   => '$loop->run',
        stop  => '$loop->quit',
        turns => 'Glib::MainContext->default->iteration(0)',
    );
};

each_engine {
    my $turn  = sub { $context->iteration(1) };
    my $watch = Glib::IO->add_watch(IO::AIO::poll_fileno, 'in', sub { IO::AIO::poll_cb; 1 });
    check_loop($turn, sub { my ($code) = @_; Glib::Idle->add(sub { $code->(); 0 }) });
    Glib::Source->remove($watch);

    # Glib drops a watch whose callback dies.
    my $seen = '';
    $watch = Glib::IO->add_watch(IO::AIO::poll_fileno, 'in', sub { eval { IO::AIO::poll_cb; 1 } or $seen .= $@; 1 });
    check_exception($turn, \$seen);
    Glib::Source->remove($watch);

    # Within a loop that runs until it is told to stop.
    my $loop = Glib::MainLoop->new;
    $watch = Glib::IO->add_watch(IO::AIO::poll_fileno, in => sub { IO::AIO::poll_cb; 1 });
    my $status;
    aio_stat tmpdir, sub { $status = shift; $loop->quit };
    $loop->run;
    is($status, 0, 'Glib::MainLoop');
    Glib::Source->remove($watch);
};

done;
