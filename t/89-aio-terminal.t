# bin/aio where it is interrupted: on a terminal with its progress, sizes and keys, by a reader that goes away, by a full disk.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AIOTest;
use ToolTest;
use POSIX ();

# Names of unfinished files in a directory.
sub unfinished { grep /^\.aio-/, names_in($_[0]) }

# A FIFO that nobody writes to holds up who reads it, until one does.
sub fifo {
    my ($path) = @_;
    POSIX::mkfifo($path, 0600) or die "$path: $!";
    return $path;
}

sub status { waitpid $_[0], 0; $? & 127 ? 128 + ($? & 127) : $? >> 8 }

usual_engine {
    my $root = fresh_dir();
  SKIP: {
        my ($master, $terminal) = open_terminal(60) or skip 'no pseudo terminals here', 1;
        skip 'what hangs would hang the program', 1 if engine eq 'sync';

        subtest 'on a terminal' => sub {
            my $fifo = fifo("$root/fifo");
            write_file("$root/first", 'x' x 100_000);
            open my $null, '>', '/dev/null' or die $!;

            my $pid = start_on_terminal($terminal, $null, 'hash', "$root/first", $fifo);
            my $text = read_terminal($master, qr/\e\[K/);
            like($text, qr{^\r1 files  97\.7KB  [\d.]+KB/s\e\[K}, 'a line with what is done and how fast');
            ToolTest::resize($terminal, 12);
            like(read_terminal($master, qr/\r1 files  97\e\[K/), qr/\r1 files  97\e\[K/, 'it fits when the terminal gets narrower');
            ToolTest::resize($terminal, 60);
            syswrite $master, "\cC";
            $text = read_terminal($master, qr/failed\r?\n|octets\r?\n/);
            like(bare($text), qr/\r\e\[K(?:\^C)?.*aio hash: interrupted: 1 files, 100000 octets\n\z/s, 'Ctrl-C: a summary');
            is(status($pid), 130, 'the status');

            $pid = start_on_terminal($terminal, $null, 'hash', '--no-progress', '--timeout', 1.5, $fifo);
            is(bare(read_terminal($master, qr/\n/)), "aio hash: timed out: 0 files, 0 octets\n", 'no progress, and a timeout');
            is(status($pid), 1, 'its status');

            mkdir "$root/d" or die $!;
            write_file("$root/d/\e[2Jred\n", '');
            write_file("$root/d/gr\xc3\xbcn", '');
            write_file("$root/d/\xc2\x9b", '');
            $pid = start_on_terminal($terminal, '', 'find', '--sort', "$root/d");
            is(bare(read_terminal($master, qr/233'\r\n/)),
                join('', "$root/d\n", "\$'$root/d/\\033[2Jred\\012'\n", "$root/d/gr\xc3\xbcn\n", "\$'$root/d/\\302\\233'\n"),
                'names are quoted');
            is(status($pid), 0, 'its status');
            unlink $fifo;
        };

        subtest 'Ctrl-C in a copy' => sub {
            my ($from, $to) = map "$root/$_", 'from', 'to';
            mkdir $from or die $!;
            write_file("$from/$_", 'x' x 200_000) for 1 .. 50;
            open my $big, '>', "$from/big" or die $!;
            print $big 'x' x 1_000_000 for 1 .. 64;
            close $big;
            for my $round (1 .. (extended ? 10 : 3)) {
                my $pid = start_on_terminal($terminal, '', 'cp', '-j', 4, '--json', $from, $to);
                wait_for { -d $to && (my @names = names_in($to)) > $round };
                syswrite $master, "\cC";
                my $text = bare(read_terminal($master, qr/"type":"result".*\n/));
                my $status = status($pid);
                ok($status == 130 || $status == 0 && $text !~ /interrupted/, "round $round: the status") or diag "$status: $text";
                is(join(' ', unfinished($to)), '', 'nothing unfinished is left');
                is(join(' ', grep { -s "$to/$_" != -s "$from/$_" } names_in($to)), '', 'what is there is whole');
                aio('rm', '-r', $to);
            }
        };
        close $_ for $master, $terminal;
    }

    subtest 'a reader that goes away' => sub {
        my $dir = fresh_dir();
        write_file("$dir/" . 'n' x 200 . $_, '') for 1 .. 2_000;
        for my $verb ([qw(find)], [qw(find --json)], ['hash', map "$dir/$_", names_in($dir)]) {
            pipe my $read, my $write or die "pipe: $!";
            my $pid = start_aio($write, @$verb, @$verb < 3 ? $dir : ());
            close $write;
            sysread $read, my $some, 100;
            close $read;
            is(status($pid), 141, "status: $verb->[0]");
            is(read_file(tmpdir . '/err'), '', 'no message');
        }
    };

  SKIP: {
        -c '/dev/full' or skip 'no /dev/full', 1;
        subtest 'output to a full device' => sub {
            open my $full, '>', '/dev/full' or die $!;
            write_file("$root/some", "some\n");
            for (['find', $root], ['find', '--json', $root], ['cat', "$root/some"], ['hash', "$root/some"], ['du', $root]) {
                is(status(start_aio($full, @$_)), 1, "status: $_->[0]");
                is(read_file(tmpdir . '/err') =~ s/^aio \w+: interrupted.*\n//mr,
                    "aio $_->[0]: standard output: No space left on device\n", 'a message');
            }
        };
    }

  SKIP: {
        my $small = fresh_dir();
        system("mount -t tmpfs -o size=1m none $small 2>/dev/null") == 0 or skip 'cannot mount a small file system', 1;
        subtest 'a full disk' => sub {
            my $from = fresh_dir();
            write_file("$from/$_", 'x' x 150_000) for 1 .. 20;
            write_file("$from/huge", 'x' x 3_000_000);
            for my $verb ([qw(cp)], [qw(sync)], [qw(sync -j 1)]) {
                my ($status, $out, $err) = aio(@$verb, $from, "$small/to");
                is($status, 1, "status: @$verb");
                like($err, qr/^aio $verb->[0]: \S+: No space left on device$/m, 'a message');
                is(join(' ', unfinished("$small/to")), '', 'nothing unfinished is left');
                is(join(' ', grep { -s "$small/to/$_" != -s "$from/$_" } names_in("$small/to")), '', 'what is there is whole');
                aio('rm', '-r', "$small/to");
            }
            my $was = join ' ', names_in($from);
            is((aio('mv', $from, "$small/to"))[0], 1, 'status: mv');
            is(join(' ', names_in($from)), $was, 'nothing is removed');
        };
        system('umount', $small);
    }
};

done;
