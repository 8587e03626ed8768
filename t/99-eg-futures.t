# The larger programs of eg/: an application of Mojolicious, a follower of logs with IO::Async, a job without a loop.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AIOTest;
use Digest::SHA qw(sha256_hex);
use EgTest;
use File::Spec;
use IO::Select;
use IO::Socket::INET;
use POSIX ();

plan skip_all => 'examples are not installed: run with EXTENDED_TESTING=1' unless extended;

@INC = map { ref $_ ? $_ : File::Spec->rel2abs($_) } @INC;    # programs run in other directories

# ---- mojo-files ----------------------------------------------------------------------------------

my $port;

sub connected { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) || die "connect: $@" }

# Sends a request; without reading the answer.
sub ask {
    my ($request, $body, @headers) = @_;
    my $socket = connected();
    push @headers, 'Content-Length: ' . length $body if defined $body;
    print $socket join("\r\n", "$request HTTP/1.1", 'Host: localhost', 'Connection: close', @headers, '', $body // '');
    $socket->flush;
    return $socket;
}

# The status, headers and contents of an answer.
sub answer {
    my ($socket) = @_;
    my ($head, $body) = split /\r\n\r\n/, do { local $/; <$socket> }, 2;
    my ($status) = $head =~ /^HTTP\/1\.1 (\d+)/;
    return ($status, $head, $body);
}

sub status { (answer(ask(@_)))[0] }
sub body   { (answer(ask(@_)))[2] }

sub store {
    my $root = fresh_dir();
    local $ENV{FILES} = $root;
    local $ENV{MOJO_LOG_LEVEL} = 'fatal';
    local @EgTest::modules = 'MojoGap';
    my ($out, $pid) = start('mojo-files', 'daemon', '-l', 'http://127.0.0.1');
    ($port) = <$out> =~ m{http://127\.0\.0\.1:(\d+)} or return fail('it starts');
    my $big  = join '', map { chr($_ & 255) x 4096 } 1 .. 1_000;
    my $huge = $big x 4;

    is(body('GET /'), '[]', 'an empty list');
    is(status('PUT /big', $big), 201, 'an upload');
    is(sha256_hex(read_file("$root/big")), sha256_hex($big), 'all of it is there');
    is(status('PUT /big', 'replaced'), 201, 'another one of that name');
    is(body('GET /big'), 'replaced', 'replaces it');
    is(status('PUT /empty', ''), 201, 'an empty one');
    is_deeply([map length, (answer(ask 'GET /empty'))[2]], [0], 'is empty');

    # An upload becomes a file when it is complete, and leaves nothing when it never is.
    my $partial = connected();
    print $partial "PUT /partial HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n", 'x' x 500_000;
    $partial->flush;
    ok(wait_for { grep { (-s "$root/$_" || 0) == 500_000 } names_in($root) }, 'what has come is on the disk');
    ok(!-e "$root/partial", 'not under its name');
    close $partial;
    ok(wait_for { join(' ', names_in($root)) eq 'big empty' }, 'it goes away with the connection');

    # Several at a time, both ways, and a reader that takes its time.
    write_file("$root/huge", $huge);
    my $slow = ask('GET /huge');
    my @uploads = map ask("PUT /up$_", $big), 1 .. 4;
    is((answer($_))[0], 201, 'an upload beside others') for @uploads;
    is(sha256_hex(read_file("$root/up$_")), sha256_hex($big), 'all of it') for 1 .. 4;
    is(sha256_hex((answer($slow))[2]), sha256_hex($huge), 'a download');
    my @half = map ask('GET /huge'), 1 .. 3;
    read $_, my $start, 1000 for @half;
    close $_ for @half;

    like(body('GET /'), qr/^\[\{"mtime":\d+,"name":"big","size":8\},.*"name":"huge","size":16384000\}.*\]$/, 'a list');
    write_file("$root/text", 'hello, world');
    for (['0-4', 206, 'hello', 'bytes 0-4/12'], ['7-', 206, 'world', 'bytes 7-11/12'], ['-5', 206, 'world', 'bytes 7-11/12'],
        ['7-99', 206, 'world', 'bytes 7-11/12'], ['-99', 206, 'hello, world', 'bytes 0-11/12'], ['12-', 416, '', 'bytes \*/12'],
        ['5-3', 416, '', 'bytes \*/12']) {
        my ($range, $want, $part, $place) = @$_;
        my ($status, $head, $body) = answer(ask('GET /text', undef, "Range: bytes=$range"));
        is("$status $body", "$want $part", "range $range");
        like($head, qr{^Content-Range: $place\r?$}m, 'where it is');
    }
    is(status('DELETE /text'), 204, 'a file is deleted');
    is(status('GET /text'), 404, 'and gone');
    is(status('DELETE /text'), 404, 'once');
    mkdir "$root/folder" or die $!;
    is(status('GET /folder'), 404, 'a directory is no file');
    is(status('PUT /folder', 'text'), 404, 'and is not replaced');
    is(status('GET /../etc/passwd'), 404, 'nothing else can be had');
    kill TERM => $pid;
    my $said = do { local $/; <$out> };
    close $out;
    is(join(' ', grep /^\./, names_in($root)), '', 'nothing is left behind');
    is(read_file(tmpdir . '/err'), '', 'no complaint');
    note("the event loop's $1 while ", 16 + 16 + 8, ' MB went to and fro') if $said =~ /(longest gap.*)/;
    like($said, qr/longest gap [\d.]+ ms/, 'the longest gap of the event loop is shown');
}

SKIP: {
    installed('Mojolicious', 'Future::AsyncAwait') or skip 'Mojolicious or Future::AsyncAwait is not installed', 1;
    usual_engine { subtest 'mojo-files' => \&store };
}

# ---- log-ship ------------------------------------------------------------------------------------

# The lines that arrive at a server until there are so many octets of them; it answers each batch, unless it is to be silent.
sub arrived {
    my ($server, $clients, $want, $silent) = @_;
    my ($got, %buffer) = ('');
    my $select = IO::Select->new($server, @$clients);
    while (length $got < $want) {
        my @ready = $select->can_read(20);
        @ready or return $got;
        for my $socket (@ready) {
            if ($socket == $server) {
                push @$clients, my $client = $server->accept;
                $select->add($client);
            } elsif (sysread $socket, $buffer{$socket}, 1 << 16, length($buffer{$socket} // '')) {
                while ($buffer{$socket} =~ /^(\d+)\n/ && length($buffer{$socket}) >= $1 + $+[0]) {
                    $got .= substr $buffer{$socket}, $+[0], $1;
                    substr($buffer{$socket}, 0, $1 + $+[0]) = '';
                    syswrite $socket, "ok\n" unless $silent;
                }
            } else {
                $select->remove($socket);
                @$clients = grep $_ != $socket, @$clients;
            }
        }
    }
    return $got;
}

sub ship {
    my $root   = fresh_dir();
    my $server = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "listen: $@";
    my @args   = ("$root/log", "$root/state", '127.0.0.1', $server->sockport);
    my @clients;
    my $log;
    my $append = sub { open $log, '>>', "$root/log" or die $!; $log->autoflush; print $log @_; join '', @_ };
    my $expect = sub { my ($text, $name) = @_; is(arrived($server, \@clients, length $text), $text, $name) };

    my $reached = sub { my ($offset) = @_; ok((wait_for { read_file("$root/state") =~ / $offset$/ }), "the place is kept: $offset") };

    my ($out, $pid) = start('log-ship', @args);
    $expect->($append->("one\n", "two\n"), 'lines of a log that was not there yet');
    $append->('par');
    $append->("tial\n");
    $expect->("partial\n", 'a line in two parts');
    my $many = join '', map "line $_ " . 'x' x ($_ % 100) . "\n", 1 .. 5_000;
    $expect->($append->($many), 'many lines');

    $append->("last, without an end");
    rename "$root/log", "$root/log.1" or die $!;
    $append->("first of the new log\n");
    $expect->("last, without an end" . "first of the new log\n", 'rotation') ;
    $reached->(21);
    truncate $log, 0;
    $reached->(0);
    $expect->($append->("anew\n"), 'truncation');

    # Killed before the server has answered, it sends that again, and nothing else.
    $reached->(5);
    $append->("in doubt\n");
    is(arrived($server, \@clients, 9, 1), "in doubt\n", 'a batch that is not answered');
    kill KILL => $pid;
    close $out;
    $append->("while nobody looked\n");
    rename "$root/log", "$root/log.1" or die $!;
    $append->("after the rotation\n");
    ($out, $pid) = start('log-ship', @args);
    $expect->("in doubt\nwhile nobody looked\nafter the rotation\n", 'goes on where it was, in the old file first');

    # The server goes and comes again.
    $reached->(19);
    close $_ for splice @clients;
    $expect->($append->("to the new connection\n"), 'a connection that broke');
    kill TERM => $pid;
    close $out;
}

SKIP: {
    installed('IO::Async::Loop', 'Future::AsyncAwait') or skip 'IO::Async or Future::AsyncAwait is not installed', 1;
    usual_engine { subtest 'log-ship' => \&ship };
}

# ---- fetch ---------------------------------------------------------------------------------------

# A server in a process of its own: files by their names, and those that end too early, never, or are not there.
sub a_server {
    my (%file) = @_;
    my $server = IO::Socket::INET->new(Listen => 20, LocalAddr => '127.0.0.1') or die "listen: $@";
    defined(my $pid = fork) or die "fork: $!";
    return ($server->sockport, $pid) if $pid;
    alarm AIOTest::LIMIT / 2;
    my @kept;
    while (my $client = $server->accept) {
        my ($name) = (<$client> // '') =~ m{^GET /([^\s?]*)\S* HTTP/1\.0\r$} or next;
        1 while (<$client> // '') =~ /[^\r\n]/;
        if ($name eq 'never') { push @kept, $client; next }
        my $data = $file{ $name =~ s/^cut-//r };
        my $length = length($data // '') + ($name =~ /^cut-/);
        print $client defined $data ? "HTTP/1.0 200 OK\r\nContent-Length: $length\r\n\r\n$data" : "HTTP/1.0 404 Not Found\r\n\r\n";
        close $client;
    }
    POSIX::_exit(0);
}

sub fetches {
    my %file = (a => "text\n", 'b%20c' => '', big => join('', map { chr($_ & 255) x 1000 } 1 .. 3_000), '' => 'index');
    my ($port, $server) = a_server(%file);
    my $url = "http://127.0.0.1:$port";
    my $dir = fresh_dir();
    local $EgTest::directory = $dir;
    my ($status, $out, $err) = run('fetch', map "$url/$_", sort keys %file);
    is("$status $err", '0 ', 'four files');
    is(join('', sort $out =~ /.*\n/g), "0\tb%20c\n3000000\tbig\n5\ta\n5\tindex.html\n", 'are told');
    is(sha256_hex(read_file("$dir/" . ($_ || 'index.html'))), sha256_hex($file{$_}), "the file '$_'") for sort keys %file;
    my $old = read_file(write_file("$dir/none", 'old'));
    ($status, $out, $err) = run('fetch', '-j', 2, 'nonsense', "$url/none", "$url/cut-big", "$url/a?query");
    is("$status $out", "1 5\ta\n", 'what there is');
    is(join('', sort $err =~ /.*\n/g), <<"END" =~ s/^    //mgr, 'what there is not');
    $url/cut-big: ends after 3000000 of 3000001 octets
    $url/none: HTTP/1.0 404 Not Found
    nonsense: no address of a file by HTTP
END
    is((run('fetch', '-t', 0.1, "$url/never"))[2], "$url/never: not done in 0.1 s\n", 'nor what takes too long');
    is_deeply([names_in($dir)], ['a', 'b%20c', 'big', 'index.html', 'none'], 'nothing is left of the others');
    is(read_file("$dir/none"), $old, 'and what was there stays');
    kill TERM => $server;
    waitpid $server, 0;
    like((run('fetch', "$url/a"))[2], qr/^\Q$url\E\/a: .*refused/, 'nobody there');
}

SKIP: {
    installed('Future::IO', 'Future::AsyncAwait') or skip 'Future::IO or Future::AsyncAwait is not installed', 1;
    usual_engine { subtest 'fetch' => \&fetches };
}

# ---- checksums -----------------------------------------------------------------------------------

sub checksums {
    my ($root, $files) = (fresh_dir(), 5_000);
    my $each = $files / 50;    # directory
    my %want;
    for my $n (1 .. $files) {
        my $dir = "$root/" . $n % 50;
        mkdir $dir if $n <= 50;
        my $text = $n % 100 ? "file $n\n" x ($n % 7) : 'x' x (300 * $n);
        write_file("$dir/$n", $text);
        $want{"$dir/$n"} = sha256_hex($text);
    }
    my ($status, $out, $err) = run('checksums', $root);
    is_deeply({ map { reverse split /  / } split /\n/, $out }, \%want, "$files sums");
    like($err, qr/^done: $files files, [\d.]+ MB in [\d.]+ s; 0 failed, 0 late, 0 left$/, 'the summary');
    is($status, 0, 'status');
    note($err);

    SKIP: {
        skip 'an open that hangs would hang the program', 1 if engine eq 'sync';
        POSIX::mkfifo("$root/7/fifo", 0600) or die "fifo: $!";
        symlink 'nowhere', "$root/8/broken" or die $!;
        ($status, $out, $err) = run('checksums', '-t', 0.5, '-j', 2, "$root/7", "$root/8", "$root/none");
        like($err, qr/^aio_open: \Q$root\E\/7\/fifo: /m, 'one that hangs');
        like($err, qr/^aio_open: \Q$root\E\/8\/broken: No such file or directory$/m, 'one that fails');
        like($err, qr/^aio_walk: \Q$root\E\/none: No such file or directory$/m, 'a directory that is not there');
        like($err, qr/^done: @{[2 * $each]} files, .* 2 failed, 1 late, 0 left$/m, 'are in the summary');
        is($status, 1, 'and in the status');

        # Interrupted while it is at the one that hangs.
        ($out, my $pid) = start('checksums', '-t', 100, '-j', 1, "$root/7", "$root/8");
        my $lines = 0;
        $lines++ while $lines < $each && defined <$out>;    # "fifo" comes last
        kill INT => $pid;
        is(join('', <$out>), '', 'no more sums after Ctrl-C');
        close $out;
        is($? >> 8, 130, 'the status of an interruption');
        like(read_file(tmpdir . '/err'), qr/^interrupted: $each files, .* left$/m, 'and a summary');
    }
}

SKIP: {
    installed('Future', 'Future::AsyncAwait') or skip 'Future::AsyncAwait is not installed', 1;
    usual_engine { subtest 'checksums' => \&checksums };
}

done;
