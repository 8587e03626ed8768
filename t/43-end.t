use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use IO::AIO;

# How programs end: each case is a program of its own.

# Name, program, output, exit code, what the other implementation does instead, and what ThreadSanitizer reports.
my @case = (
    ['END waits for requests', <<'PERL', "main\ndone\n", 0],
        aio_nop sub { print "done\n" };
        print "main\n";
PERL
    ['and for those that they make', <<'PERL', "one\ntwo\nthree\n", 0],
        aio_nop sub { print "one\n"; aio_nop sub { print "two\n"; aio_nop sub { print "three\n" } } };
PERL
    ['and for groups', <<'PERL', "member\ngroup\n", 0],
        my $group = aio_group sub { print "group\n" };
        add $group aio_nop sub { print "member\n" };
PERL
    ['exit keeps its status', <<'PERL', "done\n", 5],
        aio_nop sub { print "done\n" };
        exit 5;
PERL
    ['die keeps its status', <<'PERL', "done\n", 255],
        aio_nop sub { print "done\n" };
        open STDERR, '>', '/dev/null';
        $! = $? = 0;
        die "died";
PERL
    ['die without an errno, also right after the module was loaded', <<'PERL', "", 255],
        my $errno = $!;
        open STDERR, '>', '/dev/null';
        $! = $errno;
        die "died";
PERL
    ['die keeps the errno as status', <<'PERL', "done\n", 13],
        aio_nop sub { $! = 2; print "done\n" };
        open STDERR, '>', '/dev/null';
        $! = 13;
        die "died";
PERL
    ['a status that END blocks set is kept', <<'PERL', "done\n", 9],
        END { $? = 9 }
        aio_nop sub { print "done\n" };
PERL
    ['exit in a callback during END', <<'PERL', "one\n", 4],
        aio_nop sub { print "one\n"; exit 4 };
PERL
    ['and what is outstanding then is not waited for', <<'PERL', "one\n", 4],
        aio_nop sub { print "one\n"; exit 4 } for 1, 2;
PERL
    ['nor after a callback that dies there', <<'PERL', "one\n", undef],
        open STDERR, '>', '/dev/null';
        aio_nop sub { print "one\n"; die "died" } for 1, 2;
PERL
    ['END blocks of the program come first', <<'PERL', "END 1\ndone\n", 0],
        END { print "END ", IO::AIO::nreqs, "\n" }
        aio_nop sub { print "done\n" };
PERL
    ['a request made in an END block', <<'PERL', "done\n", 0],
        END { aio_nop sub { print "done\n" } }
PERL
    ['flush in an END block', <<'PERL', "done\nEND\n", 0],
        END { aio_nop sub { print "done\n" }; IO::AIO::flush; print "END\n" }
PERL
    ['max_parallel 0 first: exits at once', <<'PERL', "main\n", 0, 'hangs'],
        IO::AIO::max_parallel 0;
        aio_nop sub { print "done\n" };
        print "main\n";
PERL
    ['max_parallel 0 and exit', <<'PERL', "main\n", 6, 'hangs'],
        aio_nop sub { print "done\n" } for 1 .. 3;
        IO::AIO::max_parallel 0;
        print "main\n";
        exit 6;
PERL
    ['reinit first: exits at once', <<'PERL', "main\n", 0],
        IO::AIO::max_parallel 0;
        aio_nop sub { print "done\n" };
        IO::AIO::reinit;
        print "main\n";
PERL
    map([$_->[0], <<PERL, "main\n", 2, undef, $_->[2]],
        $_->[1]
        if (eval { (IO::AIO::engine())[0] eq 'sync' }) { IO::AIO::max_parallel 0 }
        aio_read \$r, undef, 1, my \$buf, 0, sub { print "read\\n" };
        IO::AIO::reinit;
        print "main\\n";
        exit 2;
PERL
        ['reinit and a reader that never ends', 'use POSIX (); my ($r, $w) = POSIX::pipe() or die;'],
        ['and one whose handle perl closes at the end', 'pipe my $r, my $w or die;',
            'a close during a read: perl does that']),
    ['POSIX::_exit waits for nothing', <<'PERL', "main\n", 8],
        require POSIX;
        IO::AIO::max_parallel 0;
        aio_nop sub { print "done\n" };
        print "main\n";
        POSIX::_exit(8);
PERL
    ['a cancelled request is waited for, not called', <<'PERL', "main\n", 0],
        my $req = aio_nop sub { print "done\n" };
        $req->cancel;
        print "main\n";
PERL
    ['objects that outlive the program', <<'PERL', "done\n", 0],
        our $req = aio_nop sub { print "done\n" };
        our $group = aio_group;
        add $group our $member = aio_nop;
        our ($r, $buf);
        open $r, '<', $0 eq '-e' ? $INC{'IO/AIO.pm'} : $0;
        our $read = aio_read $r, 0, 10, $buf, 0, sub { };
PERL
    ['a request made in DESTROY at the end', <<'PERL', '', 0, 'crashes'],
        sub Late::DESTROY { aio_nop sub { } }
        our $late = bless [], 'Late';
PERL
    ['a poll in DESTROY at the end', <<'PERL', '', 0],
        sub Late::DESTROY { IO::AIO::flush; IO::AIO::poll_cb; IO::AIO::nreqs }
        our $late = bless [], 'Late';
PERL
    ['a callback that dies during END', <<'PERL', "one\ntwo\n", undef],
        open STDERR, '>', '/dev/null';
        aio_nop sub { print "one\n"; die "died" };
        END { eval { IO::AIO::flush }; aio_nop sub { print "two\n" }; }
PERL
    ['threads that are idle', <<'PERL', "done\n", 0],
        aio_nop for 1 .. 100;
        IO::AIO::flush;
        print "done\n";
PERL
    ['only "use"', '', '', 0],
    ['the results of a program that was asked only to write', <<'PERL', '', 0],
        open my $fh, '>', $ARGV[0] or die;
        aio_write $fh, undef, undef, "line $_\n", 0 for 1 .. 3;
PERL
);

each_engine {
    my $file = tmpdir . '/written';
    for (@case) {
        my ($name, $program, $output, $code, $peer, $race) = @$_;
        if ($race && sanitizer eq 'ThreadSanitizer') {
            Test::More->builder->skip("ThreadSanitizer reports $race");
            next;
        }
        my $test = sub {
            my ($status, $out, $err) = run_perl("use IO::AIO; \$| = 1;\n$program", $file);
            is($out, $output, $name);
            is($status & 127, 0, 'no signal') or diag($status & 127);
            is($status >> 8, $code, "exit code $code") if defined $code;
            is($err, '', 'no warning');
        };
        $peer ? &ours($test, $peer) : $test->();
    }
    is(join('', sort split /^/, read_file($file)), "line 1\nline 2\nline 3\n", 'all was written');

    # killed programs wait for nothing either
    my ($status) = run_perl(<<'PERL');
        use IO::AIO;
        IO::AIO::max_parallel 0;
        aio_nop;
        kill KILL => $$;
        sleep 60;
PERL
    is($status & 127, 9, 'a program that is killed is gone');
};

done;
