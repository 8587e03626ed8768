use strict;
use warnings;
no warnings 'uninitialized';    # undef is among the numbers
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use IO::AIO;

# Requests and functions on the memory of scalars, mapped or not: aio_msync, aio_mtouch, aio_mlock, aio_mlockall;
# IO::AIO::mlockall, munlock, munlockall, madvise, mprotect.

use constant PAGE => IO::AIO::PAGESIZE;
use constant RW   => IO::AIO::PROT_READ | IO::AIO::PROT_WRITE;

my $size = 2 * PAGE + 1000;
my $file = write_file tmpdir . '/file', 'm' x $size;
open my $fh, '+<', $file or die "$file: $!";

sub mapped {
    my ($prot) = @_;
    IO::AIO::mmap $_[1], $size, defined $prot ? $prot : RW, IO::AIO::MAP_SHARED, $fh or die "mmap: $!";
}

# Locked memory of this process in kB.
sub number_in {
    my ($file, $pattern) = @_;
    open my $fh, '<', $file or return;
    local $/;
    <$fh> =~ $pattern ? $1 : undef;
}
sub locked { scalar number_in('/proc/self/status', qr/^VmLck:\s*(\d+)/m) }

# Who has CAP_IPC_LOCK may lock all memory of a process; others, if there is less than the limit.
sub may_lock_all() {
    my $privileged = hex(number_in('/proc/self/status', qr/^CapEff:\s*\w*(\w{8})$/m) || 0) & 1 << 14;
    my $limit = number_in('/proc/self/limits', qr/^Max locked memory\s+(\d+)/m);
    $privileged || !defined $limit || number_in('/proc/self/status', qr/^VmSize:\s*(\d+)/m) * 1024 <= $limit;
}

# What each does with a range: a status of 0, or the exception.
# Each takes a reference, so that the function gets the scalar itself.
my %range = (
    'aio_msync'  => sub { my ($m, $o, $l) = @_; (run_req { aio_msync $$m, $o, $l, IO::AIO::MS_ASYNC, $_[0] })[1] },
    'aio_mtouch' => sub { my ($m, $o, $l) = @_; (run_req { aio_mtouch $$m, $o, $l, 0, $_[0] })[1] },
    'aio_mlock'  => sub { my ($m, $o, $l) = @_; (run_req { aio_mlock $$m, $o, $l, $_[0] })[1] },
    'munlock'    => sub { my ($m, $o, $l) = @_; IO::AIO::munlock $$m, $o, $l },
    'madvise'    => sub { my ($m, $o, $l) = @_; IO::AIO::madvise $$m, $o, $l, IO::AIO::MADV_NORMAL },
    'mprotect'   => sub { my ($m, $o, $l) = @_; IO::AIO::mprotect $$m, $o, $l, RW },
);

# What they give for a good range: without the system call, ENOSYS.
my %absent = (
    map({ $_ => -1 } (without 'MLOCK') ? qw(aio_mlock munlock) : (), (without 'MSYNC') ? 'aio_msync' : ()),
    map({ $_ => Errno::ENOSYS() } (without 'POSIX_MADVISE') ? 'madvise' : ()),
);

each_engine {
    my $plain = 'p' x $size;
    mapped(RW, my $m);
    for my $name (sort keys %range) {
        my $call = $range{$name};
        my $want = $absent{$name} || 0;
        for my $t (
            [0, undef], [0, $size], [0, 0], [0, 1], [PAGE, PAGE], [PAGE + 7, 9], [$size - 1, 1], [$size, undef], [$size, 0], [$size, 10],
            [0, $size * 10], [100, $size], [-1, undef], [-$size, undef], [-10, 5], [-10, 100], [0, -1], [0, -$size * 2], [100, -50], [undef, undef],
            ['10', '20'], [1.5, 2.5],
        ) {
            my ($offset, $length) = @$t;
            my $none = $name eq 'munlock' && (defined $length && !$length || $offset >= $size);    # nothing to unlock
            is($call->(\$m, $offset, $length), $none ? 0 : $want, "$name: " . join ', ', map { defined $_ ? $_ : 'undef' } $offset, $length);
        }
        for my $t ([$size + 1, undef], [$size + 1, 0], [-$size - 1, undef], [2**40, 1], [-2**40, 1]) {
            my ($offset, $length) = @$t;
            my $lived = eval { $call->(\$m, $offset, $length); 1 };
            like($@, is_peer ? qr/offset/ : qr/\Q$name\E.*offset|offset.*\Q$name\E/, "$name: offset $offset is outside") or diag("lived: $lived");
        }
        my ($none, $empty) = (undef, '');
        $want = 0 if $name eq 'munlock';
        is($call->(\$none,  0, undef), $want, "$name: undef is empty memory");
        is($call->(\$empty, 0, undef), $want, "$name: so is the empty string");
        next if $name eq 'mprotect';
        is($call->(\$plain, 0, undef), $absent{$name} || 0, "$name: memory that is not mapped");
    }
    is($m, 'm' x $size, 'the mapping is as it was');
    is($plain, 'p' x $size, 'so is the string');
    IO::AIO::munmap $m;
};

# ---- aio_msync -----------------------------------------------------------------------------------

each_engine {
    mapped(RW, my $m);
    my ($async, $sync, $inval) = (IO::AIO::MS_ASYNC, IO::AIO::MS_SYNC, IO::AIO::MS_INVALIDATE);
    return fails_with { aio_msync $m, 0, undef, $sync, $_[0] } 'ENOSYS', 'msync: ENOSYS' if without 'MSYNC';
    succeeds { aio_msync $m, 0, undef, $_->[1], $_[0] } "msync $_->[0]"
        for [MS_SYNC => $sync], [MS_ASYNC => $async], [SYNC_INVALIDATE => $sync | $inval], [ASYNC_INVALIDATE => $async | $inval], [none => 0], [undef => undef];
    fails_with { aio_msync $m, 0, undef, $sync | $async, $_[0] } 'EINVAL', 'msync MS_SYNC|MS_ASYNC';
    substr $m, 10, 3, 'abc';
    succeeds { aio_msync $m, 0, 20, $sync, $_[0] } 'msync of a change';
    is(substr(read_file($file), 9, 5), 'mabcm', 'is in the file');
    substr $m, 10, 3, 'mmm';
    aio_msync $m;
    aio_msync $m, 0;
    aio_msync $m, 0, 10;
    aio_msync $m, 0, 10, $sync;
    IO::AIO::flush;
    pass('optional arguments');

    # after the memory is gone
    IO::AIO::munmap $m;
    is((run_req { aio_msync $m, 0, undef, $sync, $_[0] })[1], 0, 'of what was unmapped');
    croaks { aio_msync $m, 0, undef, 0, 'no function' } qr/callback/, 'no callback';
};

# ---- aio_mtouch ----------------------------------------------------------------------------------

each_engine {
    mapped(RW, my $m);
    my $modify = IO::AIO::MT_MODIFY;
    succeeds { aio_mtouch $m, 0, undef, 0, $_[0] } 'mtouch';
    succeeds { aio_mtouch $m, 0, undef, $modify, $_[0] } 'mtouch MT_MODIFY';
    succeeds { aio_mtouch $m, PAGE + 5, 10, $modify, $_[0] } 'a part';
    is($m, 'm' x $size, 'changes nothing');
    is(read_file($file), 'm' x $size, 'nor the file');
    my $plain = 'p' x 100_000;
    succeeds { aio_mtouch $plain, 0, undef, $modify, $_[0] } 'memory that is not mapped';
    is($plain, 'p' x 100_000, 'is not changed');
    aio_mtouch $m;
    aio_mtouch $m, 0;
    aio_mtouch $m, 0, 10;
    aio_mtouch $m, 0, 10, 0;
    IO::AIO::flush;
    pass('optional arguments');

    ours {
        mapped(IO::AIO::PROT_READ, my $ro);
        succeeds { aio_mtouch $ro, 0, undef, 0, $_[0] } 'reads a mapping for reading';
        fails_with { aio_mtouch $ro, 0, undef, $modify, $_[0] } 'EACCES EFAULT EPERM EINVAL', 'cannot write it';
        IO::AIO::munmap $ro;

        my $short = write_file tmpdir . '/short', 'x' x 10;
        open my $sfh, '+<', $short or die "$short: $!";
        IO::AIO::mmap my $beyond, 4 * PAGE, RW, IO::AIO::MAP_SHARED, $sfh or die "mmap: $!";
        fails_with { aio_mtouch $beyond, 0, undef, $_, $_[0] } 'EFAULT EIO', "beyond the end of the file, flags $_" for 0, $modify;
        succeeds { aio_mtouch $beyond, 0, 10, 0, $_[0] } 'what is there can be touched';
        IO::AIO::munmap $beyond;
    } 'crashes';
};

# ---- locking -------------------------------------------------------------------------------------

each_engine {
    if (my $name = sanitizer) {
        Test::More->builder->skip("$name locks no memory");
        return;
    }
  SKIP: {
        mapped(RW, my $m);
        my ($errno, $status) = run_req { aio_mlock $m, 0, undef, $_[0] };
        skip 'cannot lock memory here: ' . errno_name($errno), 1 if $status;
        my $all = locked;
        if (defined $all) {
            is(IO::AIO::munlock($m), 0, 'munlock');
            my $none = locked;
            is(($all - $none) * 1024, 3 * PAGE, 'the pages were locked and are no longer');
            succeeds { aio_mlock $m, PAGE, PAGE, $_[0] } 'mlock of a part';
            is((locked() - $none) * 1024, PAGE, 'locks a page');
            succeeds { aio_mlock $m, PAGE - 1, 2, $_[0] } 'mlock of two octets';
            is((locked() - $none) * 1024, 2 * PAGE, 'locks the two pages that have them');
            is(IO::AIO::munlock($m, 0, 1), 0, 'munlock of an octet');
            is((locked() - $none) * 1024, PAGE, 'unlocks its page');
            IO::AIO::munmap $m;
            is(locked(), $none, 'munmap unlocks');
            mapped(RW, $m);
            aio_mlock $m;
            IO::AIO::flush;
            undef $m;
            ours { is(locked(), $none, 'so does undef') } 'unmaps later';
        }

        # everything: in a child, which ends with it
        my @got = in_child {
            my @got = ((run_req { aio_mlockall IO::AIO::MCL_CURRENT, $_[0] })[1], locked());
            push @got, IO::AIO::munlockall(), locked();
            push @got, IO::AIO::mlockall(IO::AIO::MCL_CURRENT), locked();
            push @got, IO::AIO::munlockall(), locked();
            @got;
        };
        my $may = !procfs ? !$got[0] : may_lock_all;
        is("@got[0, 2, 4, 6]", $may ? '0 0 0 0' : '-1 0 -1 0', 'mlockall and munlockall, both ways');
        if ($may && defined $got[1]) {
            cmp_ok($got[1], '>', 1000, 'aio_mlockall locks');
            cmp_ok($got[5], '>', 1000, 'IO::AIO::mlockall locks');
            is("@got[3, 7]", '0 0', 'IO::AIO::munlockall unlocks');
        }
    }
    if (without 'MLOCKALL') {
        fails_with { aio_mlockall IO::AIO::MCL_CURRENT, $_[0] } 'ENOSYS', 'aio_mlockall: ENOSYS';
        for ([mlockall => sub { IO::AIO::mlockall IO::AIO::MCL_CURRENT }], [munlockall => \&IO::AIO::munlockall]) {
            $! = 0;
            is($_->[1]->(), -1, $_->[0]);
            is(errno_name($!), 'ENOSYS', 'ENOSYS');
        }
        return;
    }
    fails_with { aio_mlockall $_, $_[0] } 'EINVAL', 'aio_mlockall ' . (defined $_ ? $_ : 'undef') for 0, undef, 0x7000, -1;
    for my $flags (0, undef, 0x7000) {
        $! = 0;
        is(IO::AIO::mlockall($flags), -1, 'mlockall ' . (defined $flags ? $flags : 'undef'));
        is(errno_name($!), 'EINVAL', 'EINVAL');
    }
    is(IO::AIO::munlockall(), 0, 'munlockall without locks');
    my @status = as_nobody {
        my ($errno, $status) = run_req { aio_mlockall IO::AIO::MCL_CURRENT, $_[0] };
        ($status, $status ? errno_name($errno) : '');
    };
    like("@status", qr/^(?:0 |-1 (?:ENOMEM|EPERM|EAGAIN))$/, 'a limit is respected');
};

# ---- madvise, mprotect ---------------------------------------------------------------------------

each_engine {
    mapped(RW, my $m);
    my $done = $absent{madvise} || 0;
    for my $advice (qw(NORMAL RANDOM SEQUENTIAL WILLNEED DONTNEED)) {
        is(IO::AIO::madvise($m, 0, undef, IO::AIO->can("MADV_$advice")->()), $done, "madvise MADV_$advice");
    }
    is($m, 'm' x $size, 'a shared mapping keeps its content');
    is(IO::AIO::madvise($m, 0, undef, 0x7777), $done || Errno::EINVAL(), 'unknown advice: the number of the error');
    is(IO::AIO::madvise($m, 0), $done, 'two arguments');
    is(IO::AIO::madvise($m, 0, 10), $done, 'three arguments');
    is(IO::AIO::madvise($m, 0, 10, undef), $done, 'undef is MADV_NORMAL');
    is(IO::AIO::madvise(my $plain = 'x' x 50_000, 0, undef, IO::AIO::MADV_WILLNEED), $done, 'any memory');

    is(IO::AIO::mprotect($m, 0, undef, IO::AIO::PROT_READ), 0, 'mprotect PROT_READ');
    is($m, 'm' x $size, 'can be read');
    is(IO::AIO::mprotect($m, 0, undef, RW), 0, 'mprotect PROT_READ|PROT_WRITE');
    ok(eval { substr($m, 0, 1) = 'n'; substr($m, 0, 1) = 'm'; 1 }, 'can be written') or diag($@);
    $! = 0;
    is(IO::AIO::mprotect($m, 0, undef, 0x7777), -1, 'unknown protection: -1');
    is(errno_name($!), 'EINVAL', 'EINVAL');
    SKIP: {
        skip 'valgrind 3.19 ends with an assertion of its own', 2 if valgrind;
        ours {
            $! = 0;
            is(IO::AIO::mprotect($m, 0, undef, 2**32 + RW), -1, 'a protection that no int holds: -1');
            is(errno_name($!), 'EINVAL', 'EINVAL');
        } 'cuts it';
    }
    open my $ro, '<', $file or die "$file: $!";
    IO::AIO::mmap my $r, $size, IO::AIO::PROT_READ, IO::AIO::MAP_SHARED, $ro or die "mmap: $!";
    $! = 0;
    is(IO::AIO::mprotect($r, 0, undef, RW), -1, 'not more than the handle allows');
    is(errno_name($!), 'EACCES', 'EACCES');

    # made read-only with mprotect: a write must die, not kill
    ours {
        my ($status, $out, $err) = run_perl <<'PERL', $file;
use IO::AIO;
open my $fh, '+<', $ARGV[0] or die;
IO::AIO::mmap my $m, -s $fh, 3, IO::AIO::MAP_SHARED, $fh or die;
IO::AIO::mprotect $m, 0, undef, IO::AIO::PROT_READ and die;
print eval { substr($m, 0, 1) = "x"; 1 } ? "lived" : "died: $@";
PERL
        is($status, 0, 'writing what mprotect protects does not kill') or diag($err);
        like($out, qr/^died: .*read-only/, 'but dies');
    } 'crash';
};

# in flight: the scalar may go
each_engine {
    hold;
    my @status;
    {
        mapped(RW, my $m);
        aio_msync $m, 0, undef, IO::AIO::MS_SYNC, sub { push @status, $_[0] - ($absent{aio_msync} || 0) };
        aio_mtouch $m, 0, undef, 0, sub { push @status, @_ };
        aio_mlock $m, 0, undef, sub { push @status, $_[0] - ($absent{aio_mlock} || 0) };
    }
    is(scalar @status, 0, 'held') if engine ne 'sync';
    release;
    IO::AIO::flush;
    is(scalar(grep $_ == 0, @status), 3, 'a scalar out of scope stays until its requests are done') or diag("@status");
};

close $fh;
done;
