use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Config;
use IO::AIO;

# Descriptors of the module's own when there are none left, or when the program has closed them all, as daemons do, and
# uses their numbers for files: nobody else's file is written to, replaced or closed, and all requests come back.

# Begins programs that leave no descriptor free.
my $limited = 'use IO::AIO; use POSIX (); $| = 1; my @all;
    sub fill { while (open my $fh, "<", "/dev/null") { push @all, $fh } }
    sub say_ { syswrite STDOUT, "@_\n" }
';

each_engine {
    local $ENV{AIOTEST_ULIMIT} = '-n 64';
    my $file = tmpdir() . '/victim';

    # -- a child that is born when none is left, and gets one less
    my ($status, $out, $err) = run_perl($limited . <<'PROGRAM', $file);
        my ($file) = @ARGV;
        aio_nop; IO::AIO::flush;
        fill();
        defined(my $pid = fork) or die "fork: $!";
        if (!$pid) {
            shift @all;
            open my $fh, '+>', $file or die "$file: $!";
            my $done = 0;
            for (1 .. 5) { IO::AIO::aio_busy 0.001, sub { $done++ }; IO::AIO::flush }
            say_ "$done done,", -s $fh, "octets";
            POSIX::_exit(0);
        }
        waitpid $pid, 0;
        say_ $?;
PROGRAM
    is($out, "5 done, 0 octets\n0\n", 'a child that is born when no descriptor is left') or diag("status $status: $err");

    # -- and one whose limit is lower than the number of its wakeup descriptor, for a while
    ($status, $out, $err) = run_perl($limited . <<'PROGRAM');
        open my $low, '<', '/dev/null' or die;
        push @all, map { open my $fh, '<', '/dev/null' or die; $fh } 1 .. 30;
        aio_nop; IO::AIO::flush;
        IO::AIO::reinit;
        fill();
        POSIX::close(IO::AIO::poll_fileno); # so that nothing can be given up for a new one
        open my $last, '<', '/dev/null' or die;
        defined(my $pid = fork) or die "fork: $!";
        if (!$pid) {
            my $done = 0;
            IO::AIO::aio_busy 0.001, sub { $done++ };
            IO::AIO::flush;
            close $low;
            my $fd = IO::AIO::poll_fileno;
            IO::AIO::aio_busy 0.001, sub { $done++ };
            vec(my $bits = '', $fd, 1) = 1;
            my $n = select $bits, undef, undef, 20;
            IO::AIO::poll_cb;
            say_ "$done done,", $n == 1 ? 'woken' : 'not woken';
            POSIX::_exit(0);
        }
        waitpid $pid, 0;
        say_ $?;
PROGRAM
    is($out, "2 done, woken\n0\n", 'a child whose wakeup descriptor has become a file') or diag("status $status: $err");

    # -- a thread
  SKIP: {
        skip 'no threads', 1 unless $Config{useithreads};
        ($status, $out, $err) = run_perl("use threads; $limited" . <<'PROGRAM');
            fill();
            threads->create(sub {
                say_ eval { aio_nop; 1 } ? 'accepted' : $@ =~ /^IO::AIO: cannot create a context: / ? 'refused' : $@;
                POSIX::close($_) for 30 .. 40; # (the handles of a thread are copies)
                aio_stat '/', sub { say_ 'done' };
                IO::AIO::flush;
            })->join;
            aio_nop sub { say_ 'and in the first' };
            IO::AIO::flush;
PROGRAM
        is($out, "refused\ndone\nand in the first\n", 'a thread that begins when no descriptor is left') or diag("status $status: $err");
    }
};

each_engine {
    my $log = fresh_dir() . '/log';

    # -- a daemon that closes everything, opens its logs, and forks
    my ($status, $out, $err) = run_perl(<<'PROGRAM', $log);
        use IO::AIO;
        use POSIX ();
        my ($name) = @ARGV;
        aio_stat '/', sub { };
        IO::AIO::flush;
        POSIX::close($_) for 3 .. 30;
        my @log = map { open my $fh, '>>', "$name.$_" or die "$name: $!"; $fh } 1 .. 8;
        my $write = sub {
            my ($who) = @_;
            my $done = 0;
            IO::AIO::aio_busy 0.001, sub { $done++ };
            IO::AIO::flush;
            my @bad = grep { !defined syswrite $_, "x" } @log;
            my @size = grep { -s $_ != $_[1] } @log;
            syswrite STDOUT, "$who: $done done, " . @bad . " not written, " . @size . " of another size\n";
        };
        defined(my $pid = fork) or die "fork: $!";
        if (!$pid) { $write->('child', 1); POSIX::_exit(0) }
        waitpid $pid, 0;
        IO::AIO::reinit;
        $write->('parent', 2);
        IO::AIO::engine('sync');
PROGRAM
    is($out, "child: 1 done, 0 not written, 0 of another size\nparent: 1 done, 0 not written, 0 of another size\n",
        'files that have got the numbers of closed descriptors stay what they are') or diag("status $status: $err");

    # -- what flies tells the new wakeup descriptor
    ($status, $out, $err) = run_perl(<<'PROGRAM');
        use IO::AIO;
        use POSIX ();
        pipe my $r, my $w or die "pipe: $!";
        syswrite $w, 'x';
        aio_read $r, undef, 1, my $buf, 0, sub { };
        IO::AIO::flush;
        POSIX::close(IO::AIO::poll_fileno);
        IO::AIO::reinit;
        my $fd = IO::AIO::poll_fileno;
        syswrite $w, 'x' if IO::AIO::engine eq 'sync'; # which would wait for it
        aio_read $r, undef, 1, $buf, 0, sub { print "read @_\n" };
        syswrite $w, 'x';
        vec(my $bits = '', $fd, 1) = 1;
        print select($bits, undef, undef, 20) == 1 ? "woken\n" : "not woken\n";
        IO::AIO::flush;
PROGRAM
    is($out, "woken\nread 1\n", 'a wakeup descriptor that was replaced') or diag("status $status: $err");
};

# -- closed, or another file's, while requests are outstanding: each is called back once, and the file that has taken
# the number is left alone. Without a call of reinit: the program waits by flush.
each_engine {
    my %program = (
        'closed' => 'POSIX::close($_) for @own',
        'closed before the ring' => 'POSIX::close($_) for reverse @own',
        'never readable instead' => 'POSIX::dup2(fileno $idle, $_) for @own',
        'readable instead' => 'POSIX::dup2(fileno $full, $_) for @own',
        'a file instead' => 'POSIX::dup2(fileno $file, $_) for @own',
    );
    for my $what (sort keys %program) {
        my ($status, $out, $err) = run_perl(<<'PROGRAM' =~ s/LOSE/$program{$what}/r, tmpdir() . '/instead');
            use IO::AIO;
            use POSIX ();
            my ($name) = @ARGV;
            my (@buf, %called);
            my $sync = IO::AIO::engine eq 'sync';
            pipe my $r, my $w or die "pipe: $!";
            pipe my $idle, my $other or die "pipe: $!";
            pipe my $full, my $end or die "pipe: $!";
            syswrite $end, 'unread';
            open my $file, '+>', $name or die "$name: $!";
            syswrite $w, '12345678' if $sync; # which would wait for it
            my $before = IO::AIO::poll_fileno;
            for my $i (1 .. 4) {
                aio_read $r, undef, 1, $buf[$i], 0, sub { $called{"read $i: $_[0]"}++ };
                IO::AIO::aio_busy 0.001, sub { $called{"busy $i"}++ };
            }
            my @own = grep { (readlink "/proc/self/fd/$_" || '') =~ /eventfd|io_uring/ || $_ == $before } 3 .. 40;
            LOSE;
            syswrite $w, '12345678' unless $sync;
            for my $i (5 .. 8) {
                aio_read $r, undef, 1, $buf[$i], 0, sub { $called{"read $i: $_[0]"}++ };
                aio_stat '/', sub { $called{"stat $i: $_[0]"}++ };
            }
            IO::AIO::flush;
            aio_stat '/', sub { $called{"stat 9: $_[0]"}++ };
            IO::AIO::flush;
            print scalar(keys %called), ' called back, ', scalar(grep $_ != 1, values %called), ' not once, ',
                join('', sort @buf[1 .. 8]), ', ', -s $file, ' octets';
            sysread $full, my $octets, 100;
            print ", $octets\n";
            fcntl $idle, 4, 04000;
            print 'written: ', sysread($idle, $octets, 100) || 0, "\n";
            close $idle, close $full;
PROGRAM
        is($out, "17 called back, 0 not once, 12345678, 0 octets, unread\nwritten: 0\n",
            "descriptors of the module while requests are outstanding: $what") or diag("status $status: $err");
    }
};

# -- what waits without a worker, when all is closed while it does: it fails, and what comes then waits as before
each_engine {
    my $dir = fresh_dir();
    my ($status, $out, $err) = run_perl(<<'PROGRAM', $dir);
        use IO::AIO qw(:DEFAULT aio_watch);
        use POSIX ();
        my ($dir) = @ARGV;
        my (@status, @seen);
        if (!IO::AIO::_notify_open()) { print "none\n"; exit }
        my $ready = 0;
        aio_watch $dir, undef, sub { $ready++ }, sub { push @status, "$_[0] " . ($!{EBADF} ? 'EBADF' : $!) };
        IO::AIO::poll_wait, IO::AIO::poll_cb until $ready;
        my $busy = 0;
        aio_nop sub { $busy++ };
        POSIX::close($_) for 3 .. 40;
        IO::AIO::flush;
        print "@status, $busy\n";
        my $watch;
        $watch = aio_watch $dir, undef, sub {
            push @seen, map $_->[1], @{ $_[0] };
            @seen == 1 ? mkdir "$dir/new" : $watch->cancel;
        }, sub { };
        IO::AIO::flush;
        print "@seen\n";
PROGRAM
    like($out, qr/\A(?:none|-1 EBADF, 1\nready create)\n\z/, 'a watch when all descriptors are closed') or diag("status $status: $err");
};

done;
