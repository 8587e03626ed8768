# Mojolicious: its reactors, and a server that reads files by aio.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

BEGIN {
    $ENV{MOJO_LOG_LEVEL} = 'fatal';
    eval { require Mojo::IOLoop; require Mojo::Reactor::Poll; require Test::Mojo; 1 } or plan skip_all => 'needs Mojolicious';
}

use AIOTest;
use LoopTest;
use Fcntl;
use IO::AIO;
use Mojolicious::Lite;

my @reactors = (Mojo::IOLoop->singleton->reactor, Mojo::Reactor::Poll->new);
for my $reactor (@reactors) {
    $reactor->next_tick(sub { });
    $reactor->one_tick;    # what a reactor opens belongs to the state at the start
}

# Serves a part of the root directory in small pieces, each read when the one before is sent.
my $root;
get '/file/#name' => sub {
    my ($c) = @_;
    $c->render_later;
    aio_open "$root/" . $c->param('name'), O_RDONLY, 0, sub {
        my $fh = shift or return $c->render(text => "$!", status => 404);
        aio_stat $fh, sub {
            $c->res->headers->content_length(-s _);
            my $offset = 0;
            my $next; $next = sub {
                my $chunk;
                aio_read $fh, $offset, 10_000, $chunk, 0, sub {
                    return undef $next unless $_[0] > 0;
                    $offset += $_[0];
                    $c->write($chunk, $next);
                };
            };
            $next->();
        };
    };
};

# Promises in front of requests.
post '/file/#name' => sub {
    my ($c)  = @_;
    my $path = "$root/" . $c->param('name');
    my $step = sub {
        my ($request, @args) = @_;
        Mojo::Promise->new(sub {
            my ($resolve, $reject) = @_;
            $request->(@args, sub { defined $_[0] && $_[0] ne -1 ? $resolve->(@_) : $reject->("$!") });
        });
    };
    my $fh;
    $step->(\&aio_open, "$path.new", O_WRONLY | O_CREAT | O_EXCL, 0600)->then(sub {
        $fh = shift;
        $step->(\&aio_write, $fh, 0, undef, $c->req->body, 0);
    })->then(sub { $step->(\&aio_fsync, $fh) })
      ->then(sub { $step->(\&aio_rename, "$path.new", $path) })
      ->then(sub { $c->render(text => 'stored', status => 201) })
      ->catch(sub { $c->render(text => $_[0], status => 409) });
    $c->render_later;
};

my $t = Test::Mojo->new;
$t->get_ok('/nowhere')->status_is(404);

usual_engine {
    for my $kind (map ref, extended ? @reactors : $reactors[0]) {
        local $ENV{MOJO_REACTOR} = $kind;
        check_programs(
            name  => 'Mojo::IOLoop',
            fork  => 'EV::default_loop()->loop_fork if $INC{"EV.pm"}',
            load  => 'require Mojo::IOLoop',
            watch => 'require Mojo::IOLoop;
                Mojo::IOLoop->singleton->reactor->io(IO::AIO::poll_handle, \&IO::AIO::poll_cb)->watch(IO::AIO::poll_handle, 1, 0)',
            run   => 'Mojo::IOLoop->start',
            stop  => 'Mojo::IOLoop->stop',
            turns => 'Mojo::IOLoop->timer(0 => sub { }); Mojo::IOLoop->one_tick',
        );
    }
};

usual_engine {
    for my $reactor (@reactors) {
        note ref $reactor;
        my $turn = sub { $reactor->one_tick };
        my $fh   = IO::AIO::poll_handle;
        my $seen;
        $reactor->unsubscribe('error')->on(error => sub { $seen .= $_[1] });
        $reactor->io($fh, \&IO::AIO::poll_cb)->watch($fh, 1, 0);
        check_loop($turn, sub { $reactor->next_tick($_[0]) });
        check_exception($turn, \($seen = ''));
        $reactor->remove($fh);
    }

    my $fh = IO::AIO::poll_handle;
    Mojo::IOLoop->singleton->reactor->io($fh, \&IO::AIO::poll_cb)->watch($fh, 1, 0);
    $root = fresh_dir();
    my %file = map { ("f$_" => join '', map { chr($_ & 255) } 1 .. $_ * 9_999) } 1 .. 12;
    write_file("$root/$_", $file{$_}) for keys %file;

    $t->get_ok("/file/f3")->status_is(200)->content_is($file{f3}, 'a file is served')
      ->get_ok("/file/none")->status_is(404)->content_like(qr/No such file/)
      ->post_ok('/file/f0', 'a new one')->status_is(201)
      ->get_ok('/file/f0')->content_is('a new one', 'a file is stored');
    write_file("$root/f0.new");
    $t->post_ok('/file/f0', 'another')->status_is(409)->content_like(qr/exists/);

    my %got;
    my @requests = map {
        my $name = $_;
        $t->ua->get_p($t->ua->server->nb_url->path("/file/$name"))->then(sub { $got{$name} = $_[0]->res->body });
    } keys %file;
    Mojo::Promise->all(@requests)->catch(sub { fail("transfer: $_[0]") })->wait;
    is_deeply(\%got, \%file, 'many files at the same time');
    Mojo::IOLoop->singleton->reactor->remove($fh);
};

# A preforking server: the application watches before its workers are born. Each request is answered by what
# a worker has read by aio.
usual_engine {
    my $file = write_file(tmpdir . '/prefork', 'read by a worker');
    for my $kind (map ref, @reactors) {
        for my $how ('IO::AIO::attach()', extended ? 'Mojo::IOLoop->singleton->reactor
            ->io(IO::AIO::poll_handle, \&IO::AIO::poll_cb)->watch(IO::AIO::poll_handle, 1, 0)' : ()) {
            local $ENV{MOJO_REACTOR} = $kind;
            my ($status, $out, $err) = run_perl(<<'PERL', $file, $how);
use strict; use warnings;
use IO::AIO; use IO::Socket::INET; use Mojo::IOLoop::Server; use Mojo::Server::Prefork; use Mojolicious::Lite; use POSIX ();
my ($file, $how) = @ARGV;
sub setup { eval $how; die $@ if $@ }
setup();
get '/' => sub {
    my ($c) = @_;
    $c->render_later;
    IO::AIO::aio_busy 0.001, sub { my $data; aio_load $file, $data, sub { $c->render(text => "$$ $data") } };
};
app->log->level('fatal');
my $port   = Mojo::IOLoop::Server->generate_port;
my $server = Mojo::Server::Prefork->new(app => app, listen => ["http://127.0.0.1:$port"], workers => 2, silent => 1,
    pid_file => "$file.pid");
defined(my $manager = fork) or die "fork: $!";
if (!$manager) { $server->run; POSIX::_exit(0) }
my (%worker, $good);
alarm 40;
for (1 .. 6) {
    my $socket;
    select undef, undef, undef, 0.01 until $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port");
    print $socket "GET / HTTP/1.0\r\nConnection: close\r\n\r\n";
    my $answer = do { local $/; <$socket> };
    $good++ if $answer =~ /\r\n\r\n(\d+) read by a worker\z/ and ++$worker{$1} and $1 != $manager;
}
print "$good answers\n";
kill TERM => $manager;
waitpid $manager, 0;
PERL
            is($out, "6 answers\n", "a preforking server, $kind: $how") or diag $err;
        }
    }
};

undef $t;
Mojo::IOLoop->reset;    # closes what is kept alive
done;
