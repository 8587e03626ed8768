# The programs of eg/, each on something to do.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AIOTest;
use EgTest;
use Digest::SHA qw(sha256_hex);
use File::Glob qw(bsd_glob);
use IO::Socket::INET;
use POSIX ();

plan skip_all => 'examples are not installed: run with EXTENDED_TESTING=1' unless extended;

# A small tree: file names and contents.
sub make_files {
    my ($root) = @_;
    my %file = (
        'one'        => "first line\nneedle in one\n",
        'empty'      => '',
        'big'        => join('', map "$_ words in a line\n", 1 .. 40_000),
        'd/two'      => "a needle\nand another needle\n",
        'd/e/three'  => "nothing\n",
        'd/e/binary' => "needle\0",
        "d/odd\n"    => "needle, no newline",
    );
    mkdir "$root/$_" or die "$root/$_: $!" for 'd', 'd/e', 'd/none';
    write_file("$root/$_", $file{$_}) for keys %file;
    symlink 'e/three', "$root/d/link" or die $!;
    symlink 'nowhere', "$root/dangling" or die $!;
    return %file;
}

usual_engine {
    my $root = fresh_dir();
    my %file = make_files($root);

    subtest sha256 => sub {
        my @names = (grep(!/\n/, sort keys %file), map "many$_", 1 .. 30);
        write_file("$root/many$_", $_ x 1000) for 1 .. 30;
        my $want = join '', map sha256_hex(read_file("$root/$_")) . "  $root/$_\n", @names;
        my ($status, $out, $err) = run('sha256', map "$root/$_", @names);
        is($out, $want, 'sums in order');
        is("$status $err", '0 ', 'no error');
        ($status, $out, $err) = run('sha256', "$root/nosuch", "$root/one", "$root/d");
        is($out, sha256_hex($file{one}) . "  $root/one\n", 'the others are printed');
        is($err, "$root/nosuch: No such file or directory\n$root/d: Is a directory\n", 'what could not be read');
        is($status, 1, 'exit status');
        unlink "$root/many$_" for 1 .. 30;
    };

    subtest grep => sub {
        POSIX::mkfifo("$root/fifo", 0600) or die "fifo: $!";    # would hang whoever opens it
        my ($status, $out, $err) = run('grep', 'ne+dle', $root);
        my @found = sort map { s/^\Q$root\E\///r } split /(?<=\n)(?=\Q$root\E)/, $out;
        is_deeply(\@found, [
            "d/odd\n:1:needle, no newline\n",
            "d/two:1:a needle\n",
            "d/two:2:and another needle\n",
            "one:2:needle in one\n",
        ], 'lines with their places');
        is("$status $err", '0 ', 'no error');
        ($status, $out, $err) = run('grep', 'needle', "$root/nosuch");
        is("$status $out$err", "1 $root/nosuch: No such file or directory\n", 'nothing there');
        unlink "$root/fifo";
    };

    subtest copytree => sub {
        my $to = fresh_dir() . '/copy';
        chmod 0640, "$root/one";
        chmod 0555, "$root/d/e";
        utime 1_000, 2_000, $_ or die $! for "$root/one", "$root/d/e", "$root/d";
        my ($status, $out, $err) = run('copytree', $root, $to);
        is("$status $out$err", '0 ', 'no error');
        is_deeply({ map { $_ => read_file("$to/$_") } keys %file }, \%file, 'all contents');
        is(readlink "$to/d/link", 'e/three', 'a link');
        is(readlink "$to/dangling", 'nowhere', 'a link to nowhere');
        ok(-d "$to/d/none", 'an empty directory');
        is_deeply([map { (stat "$to/$_")[2, 9] } 'one', 'd', 'd/e'], [map { (stat "$root/$_")[2, 9] } 'one', 'd', 'd/e'],
            'modes and times');
        ($status, $out, $err) = run('copytree', $root, $to);
        is("$status $err", "1 $to: File exists\n", 'not onto what is there');
        chmod 0755, "$root/d/e", "$to/d/e";
    };

    subtest mirror => sub {
        my $to = fresh_dir() . '/mirror';
        my $same = sub { system('diff', '-r', '--no-dereference', $root, $to) >> 8 };
        is_deeply([run('mirror', $root, $to)], [0, '', ''], 'no error');
        is($same->(), 0, 'a new tree');
        is((stat "$to/one")[9], (stat "$root/one")[9], 'times');
        my $inode = (stat "$to/big")[1];
        write_file("$root/one", 'changed');
        mkdir "$to/junk" or die $!;
        write_file("$to/junk/file", '');
        write_file("$to/d/junk", '');
        unlink "$to/d/link";
        mkdir "$to/d/link" or die $!;
        is((run('mirror', $root, $to))[0], 0, 'again') for 1, 2;
        is($same->(), 0, 'updated');
        is((stat "$to/big")[1], $inode, 'what is the same stays');
        is((run('mirror', "$root/nosuch", $to))[0], 1, 'nothing there');
        is($same->(), 0, 'nothing is removed then');
        write_file("$root/one", $file{one});
      SKIP: {
            needs(4, 'INOTIFY');
            my ($out, $pid) = start('mirror', '-w', $root, $to);
            ok(wait_for { read_file("$to/one") eq $file{one} }, 'what has changed before, when it watches');
            mkdir "$root/d/later" or die $!;
            write_file("$root/d/later/file", 'new');
            ok(wait_for { -s "$to/d/later/file" }, 'what comes');
            unlink "$root/d/later/file";
            rmdir "$root/d/later";
            ok(wait_for { !-e "$to/d/later" }, 'and goes');
            kill TERM => $pid;
            close $out;
            is($same->(), 0, 'the trees are the same');
        }
    };

    subtest tail => sub {
        my $path = "$root/log";
        write_file($path, join '', map "line $_\n", 1 .. 20_000);
        is((run('tail', $path))[1], join('', map "line $_\n", 19_991 .. 20_000), 'ten lines');
        is((run('tail', '-n', 9_000, $path))[1], join('', map "line $_\n", 11_001 .. 20_000), 'many blocks');
        is((run('tail', '-n', 50_000, $path))[1], read_file($path), 'more than there are');
        is((run('tail', '-n', 0, $path))[1], '', 'none');
        is((run('tail', '-n', 1, "$root/d/odd\n"))[1], 'needle, no newline', 'a line without end');
        is((run('tail', "$root/empty"))[1], '', 'an empty file');
        is((run('tail', "$root/nosuch"))[2], "$root/nosuch: No such file or directory\n", 'no file');

        my ($out, $pid) = start('tail', '-f', '-n', 1, $path);
        is(scalar <$out>, "line 20000\n", 'following: the last line');
        open my $log, '>>', $path or die $!;
        $log->autoflush;
        print $log "appended $_\n" for 1 .. 3;
        is(join('', map scalar <$out>, 1 .. 3), "appended 1\nappended 2\nappended 3\n", 'what is appended');
        truncate $log, 0;
        print $log "anew\n";
        is(scalar <$out>, "anew\n", 'a file that begins anew');
        kill TERM => $pid;
        close $out;
    };

    SKIP: {
        skip 'an open that hangs would hang the program', 1 if engine eq 'sync';
        subtest answers => sub {
            POSIX::mkfifo("$root/fifo", 0600) or die "fifo: $!";
            my ($status, $out) = run('answers', 0.2, $root, "$root/fifo", "$root/nosuch");
            like($out, qr/^\Q$root\E: opened in [\d.]+ ms$/m, 'one in time');
            like($out, qr/^\Q$root\E\/nosuch: No such file or directory$/m, 'one with an error');
            like($out, qr/^\Q$root\E\/fifo: no answer$/m, 'one that hangs');
            is($status, 1, 'exit status');
            ($status, $out) = run('answers', 10, $root);
            is($status, 0, 'all in time');
            unlink "$root/fifo";
        };
    }

    SKIP: {
        installed('Future::AsyncAwait', 'Future::Utils') or skip 'Future::AsyncAwait is not installed', 1;
        subtest 'await-wc' => sub {
            my ($status, $out, $err) = run('await-wc', "$root/big", "$root/nosuch", "$root/empty", "$root/d/two");
            my @counts = ([40_000, 200_000, length $file{big}, 'big'], [0, 0, 0, 'empty'], [2, 5, 28, 'd/two']);
            is($out, join('', map sprintf("%7d %7d %9d $root/%s\n", @$_), @counts), 'counts');
            is("$status $err", "1 $root/nosuch: No such file or directory\n", 'what could not be read');
        };
    }

    SKIP: {
        installed('Coro', 'AnyEvent') or skip 'Coro is not installed', 1;
        subtest 'coro-du' => sub {
            link "$root/big", "$root/d/hard" or die $!;
            my (%seen, $blocks);
            for ($root, map bsd_glob("$root/$_"), '*', '*/*', '*/*/*') {
                my @st = lstat or next;
                $blocks += $st[12] unless $seen{$st[1]}++;
            }
            my ($status, $out, $err) = run('coro-du', $root);
            is($out, sprintf("%d\t%s\n", $blocks / 2, $root), 'usage');
            is("$status $err", '0 ', 'no error');
            ($status, $out, $err) = run('coro-du', "$root/nosuch");
            is($status, 1, 'what is not there');
            like($err, qr/nosuch: No such file/, 'a message');
            unlink "$root/d/hard";
        };
    }

    SKIP: {
        my %module = (IOAsync => 'IO::Async::Loop', POE => 'POE', Perl => 'AnyEvent');
        my @loops = grep installed('AnyEvent', $module{$_} || $_), qw(EV Event Glib IOAsync POE Perl);
        @loops or skip 'AnyEvent is not installed', 1;
        subtest "httpd on $_" => \&serves, $root, \%file, $_ for @loops;
    }
};

# A server on an event loop.
sub serves {
    my ($root, $files, $loop) = @_;
    my %file = %$files;
    write_file("$root/d/index.html", "<p>hello\n");
    write_file("$root/huge", join '', map { chr($_ & 255) x 4096 } 1 .. 2_000);
    my ($out, $pid) = start('httpd', '-l', $loop, $root);
    my ($port) = <$out> =~ m{^http://127.0.0.1:(\d+)/$} or return fail('it starts');
    my $ask = sub {
        my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "connect: $@";
        print $socket "$_[0] HTTP/1.0\r\n\r\n";
        $socket->flush;
        $socket;
    };
    my $answer = sub {
        my ($socket) = @_;
        local $/;
        my ($head, $body) = split /\r\n\r\n/, scalar(<$socket>), 2;
        return ($head, $body);
    };
    my ($head, $body) = $answer->($ask->('GET /one'));
    like($head, qr/^HTTP\/1\.0 200 OK\r\n/, 'a file');
    is($body, $file{one}, 'its contents');
    ($head, $body) = $answer->($ask->('GET /d/?query'));
    is($body, "<p>hello\n", 'the index of a directory');
    like($head, qr/Content-Type: text\/html/, 'its type');
    is(($answer->($ask->('GET /d/odd%0A')))[1], $file{"d/odd\n"}, 'an encoded name');
    ($head, $body) = $answer->($ask->('HEAD /big'));
    like($head, qr/Content-Length: ${\length $file{big}}\b/, 'HEAD');
    is($body, '', 'has no contents');
    my %refused = (
        'GET /nosuch' => 404, 'GET /d' => 403, 'GET /../etc/passwd' => 403, 'GET /%2e%2e/x' => 403,
        'GET /one%00' => 403, 'POST /one' => 405, 'nonsense' => 400,
    );
    like(($answer->($ask->($_)))[0], qr/^HTTP\/1\.0 $refused{$_} /, $_) for sort keys %refused;

    # Slow readers do not keep others waiting, and get every byte.
    my @slow = map $ask->('GET /huge'), 1 .. 5;
    is(($answer->($ask->('GET /one')))[1], $file{one}, 'a small one beside large ones');
    my $huge = sha256_hex(read_file("$root/huge"));
    is(sha256_hex(($answer->($_))[1]), $huge, 'a large one') for @slow;
    kill TERM => $pid;
    close $out;
}

# None is forgotten here.
{
    my $tests = read_file(__FILE__) . read_file("$FindBin::Bin/99-eg-futures.t");
    for (names_in("$FindBin::Bin/../eg")) {
        like($tests, qr/(?:run|start)\('\Q$_\E'/, "$_ is tested");
    }
}

done;
