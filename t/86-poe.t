# POE.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

BEGIN {
    eval { require POE; 1 } or plan skip_all => 'needs POE';
    POE->import;
}

use AIOTest;
use LoopTest;
use IO::AIO;

my ($kernel, $session);
my $seen = '';

# One session watches, all the time; events named "call" run the code that they carry.
POE::Session->create(
    inline_states => {
        _start   => sub { ($kernel, $session) = @_[KERNEL, SESSION]; $kernel->alias_set('aio') },
        watch    => sub { $kernel->select_read($_[HEAP]{fh} = IO::AIO::poll_handle, 'ready') },
        unwatch  => sub { $kernel->select_read(delete $_[HEAP]{fh}) },
        ready    => \&IO::AIO::poll_cb,
        call     => sub { $_[ARG0]->() },
        stop     => sub { $kernel->alias_remove('aio') },
        _default => sub { },
    },
);
$kernel->sig(DIE => 'died');
$kernel->run_one_timeslice;

each_engine {
    check_programs(
        name  => 'POE::Kernel',
        load  => 'use POE',
        watch => 'require POE; POE::Session->create(inline_states => {
            _start  => sub { $POE::Kernel::poe_kernel->select_read(IO::AIO::poll_handle, "results") },
            results => sub { IO::AIO::poll_cb },
        })',
        run   => '$poe_kernel->run_one_timeslice until $done',
        turns => '$poe_kernel->delay(x => 0); $poe_kernel->run_one_timeslice',
    );
};

each_engine {
    my $turn = sub { $kernel->run_one_timeslice };
    $kernel->call($session => 'watch');
    check_loop($turn, sub { $kernel->post($session => call => $_[0]) });
    $kernel->call($session => 'unwatch');
};

$kernel->call($session => 'watch');
my $status;
aio_stat tmpdir, sub { $status = shift; $kernel->call($session => $_) for qw(unwatch stop) };
$kernel->run;
is($status, 0, 'POE::Kernel->run ends when the last session does');

# What a session does about exceptions, in a program of its own.
each_engine {
    my ($exit, $out, $err) = run_perl(<<'PERL');
use strict; use warnings;
use POE; use IO::AIO;
my $after = 0;
POE::Session->create(
    inline_states => {
        _start => sub {
            $_[KERNEL]->sig(DIE => 'died');
            $_[KERNEL]->select_read(IO::AIO::poll_handle, 'ready');
            aio_nop sub { die "from a callback\n" };
            aio_nop sub { $after++ } for 1 .. 2;
            aio_nop sub { print "after: $after\n"; $poe_kernel->select_read(IO::AIO::poll_handle); $poe_kernel->sig('DIE') };
        },
        ready => \&IO::AIO::poll_cb,
        died  => sub { print "died: $_[ARG1]{error_str}"; $_[KERNEL]->sig_handled },
    },
);
POE::Kernel->run;
PERL
    is($out, "died: from a callback\nafter: 2\n", 'an exception in a callback is a signal') or diag $err;
    is($exit, 0, 'exit status');
};

done;
