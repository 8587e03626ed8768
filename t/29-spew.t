use strict;
use warnings;
no warnings 'uninitialized';    # undef is among the modes
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Fcntl ':mode';
use Test::More;
use IO::AIO;

# aio_spew: a whole file, written over, appended to, or replaced at once. What is there after a failure or a kill at any
# of its system calls is the matter of libeio/test/ops_whole.c.

plan skip_all => 'the peer has none' if is_peer;
ok(!grep($_ eq 'aio_spew', @IO::AIO::EXPORT), 'exported on request only');
is(prototype 'IO::AIO::aio_spew', '$$;$$$', 'the arguments');

my %flag = map { no strict 'refs'; $_ => &{"IO::AIO::SPEW_$_"} } qw(APPEND ATOMIC NOFOLLOW NOREPLACE MKPATH SYNC DURABLE);
is(scalar(grep $_, values %flag), 7, 'the flags have values');
sub flags { my $n = 0; $n |= $flag{$_} for map split(/\|/), @_; $n }
sub spew { my ($path, $data, $flags, $mode, $cb) = @_; IO::AIO::aio_spew($path, $data, flags($flags), $mode, $cb) }

sub wrote {
    my ($path, $data, $flags, $name, $want) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    succeeds { spew($path, $data, $flags, undef, $_[0]) } "$name ($flags)";
    is(read_file($path), $want // $data, 'is what was written');
}

my @ways = ('', 'ATOMIC', 'SYNC', 'DURABLE', 'ATOMIC|SYNC', 'ATOMIC|DURABLE');

each_engine {
    my $dir = fresh_dir;
    umask 022;

    for my $flags (@ways, 'APPEND', 'NOREPLACE', 'NOREPLACE|DURABLE', 'NOFOLLOW', 'ATOMIC|NOFOLLOW') {
        my $d = "$dir/" . $flags =~ tr/|/-/r;
        mkdir $d;
        wrote("$d/new", "data\n", $flags, 'a new file');
        is(mode_of("$d/new"), 0644, 'has the usual mode, and the umask');
        wrote("$d/empty", '', $flags, 'an empty one');
        wrote("$d/big", 'x' x 3_000_000, $flags, 'a large one');
        succeeds { spew("$d/mode", 'x', $flags, 0640, $_[0]) } "with a mode ($flags)";
        is(mode_of("$d/mode"), 0640, 'has it');
        fails_with { spew("$d/none/x", 'x', $flags, undef, $_[0]) } 'ENOENT', 'no such directory';
        wrote("$d/a/b/c", 'deep', join('|', grep length, $flags, 'MKPATH'), 'with its directories');
        fails_with { spew("$d/new/x", 'x', $flags, undef, $_[0]) } 'ENOTDIR', 'a file is no directory';
        fails_with { spew($_, 'x', $flags, undef, $_[0]) } $flags =~ /NOREPLACE/ && !m{/[.]?\z} ? 'EEXIST' : 'EISDIR', "a directory: $_"
            for "$d/a";
        fails_with { spew('', 'x', $flags, undef, $_[0]) } 'ENOENT', 'no name';
        fails_with { spew("$d/" . 'n' x 256, 'x', $flags, undef, $_[0]) } 'ENAMETOOLONG', 'a name too long';
        is_deeply([names_in $d], [sort qw(new empty big mode a)], 'nothing is left over');
    }

    # what is there
    for my $flags (@ways) {
        my $file = write_file "$dir/there", 'something longer';
        chmod 0604, $file;
        wrote($file, 'short', $flags, 'a file that is there');
        is(mode_of($file), 0604, 'keeps its mode');
        link $file, "$dir/second" or die "link: $!";
        wrote($file, 'other', $flags, 'one with two names');
        is(read_file("$dir/second"), $flags =~ /ATOMIC/ ? 'short' : 'other', 'atomically it is another file');
        unlink "$dir/second";
        chmod 0400, $file;
        my @before = stat $file;
        my @got = run_req { spew($file, 'read only', $flags, undef, $_[0]) };
        is($got[1], 0, 'what root may') if !$>;
        chmod 04755, $file;
        wrote($file, 'program', $flags, 'a program with rights');
        is(mode_of($file) & 04777, $> || $flags =~ /ATOMIC/ ? 0755 : mode_of($file) & 04777, 'loses them');
        if (!$>) {
            chown 12, 34, $file;
            wrote($file, 'owned', $flags, 'of somebody else');
            is("@{[(stat $file)[4, 5]]}", '12 34', 'whose it stays');
        }
        unlink $file;
    }
    fails_with { spew("$dir/x", 'x', $_, undef, $_[0]) } 'EINVAL', "$_ make no sense" for 'APPEND|ATOMIC', 'APPEND|NOREPLACE';
    fails_with { IO::AIO::aio_spew("$dir/x", 'x', 1 << 20, 0666, $_[0]) } 'EINVAL', 'an unknown flag';

    # append
    my $log = write_file "$dir/log", 'one ';
    wrote($log, 'two ', 'APPEND', 'appending', 'one two ');
    wrote($log, 'three', 'APPEND|SYNC', 'appending', 'one two three');

    # no replace
    fails_with { spew($log, 'x', 'NOREPLACE', undef, $_[0]) } 'EEXIST', 'a file is there';
    symlink 'nowhere', "$dir/dangling" or die "symlink: $!";
    fails_with { spew("$dir/dangling", 'x', 'NOREPLACE', undef, $_[0]) } 'EEXIST', 'a link is there';
    is(read_file($log), 'one two three', 'it is as it was');

    # links
    for my $flags ('', 'ATOMIC', 'ATOMIC|DURABLE') {
        mkdir "$dir/$_" for qw(d d/e);
        write_file "$dir/d/file", 'old';
        symlink 'd/to2', "$dir/to1";
        symlink 'e/../file', "$dir/d/to2";
        wrote("$dir/to1", 'through', $flags, 'through two links');
        ok(-l "$dir/to1" && -l "$dir/d/to2" && read_file("$dir/d/file") eq 'through', 'which stay');
        unlink "$dir/d/file";
        wrote("$dir/to1", 'fresh', $flags, 'to a file that is not there yet');
        ok(-l "$dir/to1" && read_file("$dir/d/file") eq 'fresh', 'is made where they lead');
        symlink 'loop2', "$dir/loop1";
        symlink 'loop1', "$dir/loop2";
        fails_with { spew("$dir/loop1", 'x', $flags, undef, $_[0]) } 'ELOOP', "links that lead nowhere ($flags)";
        unlink "$dir/to1", "$dir/d/to2", "$dir/d/file", "$dir/loop1", "$dir/loop2";
    }
    write_file "$dir/file", 'old';
    symlink 'file', "$dir/link";
    fails_with { spew("$dir/link", 'x', 'NOFOLLOW', undef, $_[0]) } 'ELOOP', 'a link that shall not be followed';
    wrote("$dir/link", 'new', 'ATOMIC|NOFOLLOW', 'one that shall be replaced');
    ok(!-l "$dir/link" && read_file("$dir/file") eq 'old', 'is');

    # other things
    fails_with { spew('/dev/null', 'x', 'ATOMIC', undef, $_[0]) } 'EINVAL', 'a device is not replaced';
    succeeds { spew('/dev/null', 'x', '', undef, $_[0]) } 'but written to';
    fails_with { spew('/dev/full', 'x', '', undef, $_[0]) } 'ENOSPC', 'what is full' if -c '/dev/full';
    my (undef, $wd) = run_req { aio_wd $dir, $_[0] };
    succeeds { spew([$wd, "wd"], 'in there', $_, undef, $_[0]) } "relative to a working directory ($_)" for @ways;
    is(read_file("$dir/wd"), 'in there', 'is there');

    # where one may not
    chmod 0777, $dir;
    my $file = write_file "$dir/shared", 'theirs';
    chmod 0444, $file;
    my @got = as_nobody { run_req { spew($file, 'x', '', undef, $_[0]) } };
    is(errno_name($got[0]), 'EACCES', 'a file that may not be written');
    @got = as_nobody { run_req { spew($file, 'x', 'ATOMIC', undef, $_[0]) } };
    is($got[1], 0, 'but its directory: it can be replaced');
    is(mode_of($file), 0444, 'with its mode');

    # many at once, of one name: one of them is there in the end, whole
    my @status;
    spew("$dir/race", $_ x 10_000, 'ATOMIC', undef, sub { push @status, $_[0] }) for 'a' .. 'z';
    spew("$dir/first", $_ x 10_000, 'NOREPLACE', undef, sub { push @status, $_[0] }) for 'a' .. 'z';
    IO::AIO::flush;
    like(read_file("$dir/race"), qr/\A([a-z])\1{9999}\z/, 'the last of many');
    like(read_file("$dir/first"), qr/\A([a-z])\1{9999}\z/, 'the first of many');
    is(scalar(grep $_ == 0, @status), 27, 'of which the others fail');
    is_deeply([grep /^\./, names_in $dir], [], 'nothing is left over');

    SKIP: {
        saturate or skip 'nothing waits on this engine', 1;
        spew("$dir/cancelled", 'x', 'ATOMIC', undef, sub { fail 'called' })->cancel;
        release;
        IO::AIO::flush;
        ok(!-e "$dir/cancelled", 'cancelled in time, it writes nothing');
    }
    croaks { IO::AIO::aio_spew([], 'x', 0, 0666) } 'aio_spew', 'no path';
    croaks { IO::AIO::aio_spew('x', "\x{100}", 0, 0666) } 'aio_spew', 'wide characters';
    croaks { IO::AIO::aio_spew('x', 'x', sub { }) } 'aio_spew', 'no flags';
    croaks { IO::AIO::aio_spew('x', sub { }) } 'aio_spew', 'no data';
};

done;
