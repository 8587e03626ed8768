use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl qw(:DEFAULT);
use IO::AIO;

# What each request refuses: wrong numbers of arguments, things that are no handle, no callback, no name. All
# of it croaks at the call, naming the function, and nothing is queued.

{
    package TiedHandle;
    sub TIEHANDLE { bless [] }
    sub READLINE { }
    package Object;
    sub new { bless {}, shift }
}

my $dir  = fresh_dir;
my $file = write_file "$dir/file", 'data';
open my $fh, '+<', $file or die "$file: $!";

# Arguments without callback, "F" for a handle, "P" for a path, in any order otherwise as documented.
my %args = (
    open      => ['P', O_RDONLY, 0],
    close     => ['F'],
    read      => ['F', 0, 1, '$', 0],
    write     => ['F', 0, 1, 'x', 0],
    sendfile  => ['F', 'F', 0, 1],
    readahead => ['F', 0, 1],
    stat      => ['P'],
    lstat     => ['P'],
    utime     => ['P', 1, 1],
    chown     => ['P', undef, undef],
    chmod     => ['P', 0644],
    truncate  => ['P', 4],
    unlink    => ['P'],
    mknod     => ['P', 0100644, 0],
    link      => ['P', 'P'],
    symlink   => ['P', 'P'],
    readlink  => ['P'],
    rename    => ['P', 'P'],
    mkdir     => ['P', 0755],
    rmdir     => ['P'],
    readdir   => ['P'],
    load      => ['P', '$'],
    copy      => ['P', 'P'],
    move      => ['P', 'P'],
    scandir   => ['P', 0],
    rmtree    => ['P'],
    sync      => [],
    fsync     => ['F'],
    fdatasync => ['F'],
    pathsync  => ['P'],
    nop       => [],
    busy      => [0],
    group     => [],
);

# Calls a request past its prototype, with these arguments; a scalar to fill where one is due.
sub call {
    my ($name, @args) = @_;
    no strict 'refs';
    no warnings 'uninitialized';
    my $scalar = 'scalar';
    @args = map { defined $_ && $_ eq 'P' ? "$dir/none" : defined $_ && $_ eq 'F' ? $fh : $_ } @args;
    my ($at) = grep { defined $args{$name}[$_] && $args{$name}[$_] eq '$' } 0 .. $#{ $args{$name} };
    return &{"IO::AIO::aio_$name"}(@args) unless defined $at && $at < @args;
    return &{"IO::AIO::aio_$name"}(@args[0 .. $at - 1], $scalar, @args[$at + 1 .. $#args]);
}

# One test: calling it croaks, saying "aio_$name" and this file, and queues nothing.
sub refuses {
    my ($what, $name, @args) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $match = $what =~ s/ \/(.*)\/$// ? qr/$1/ : qr/./;
    my $lived = eval { call($name, @args); 1 };
    my $error = $@;
    $@ = '';
    my $left = IO::AIO::nreqs;
    eval { IO::AIO::flush; 1 } or $error .= "the poll after it died: $@";
    $@ = '';
    my $named = is_peer || $error =~ /\baio_$name\b/;
    ok(!$lived && $named && $error =~ $match && !$left && $error =~ / at \Q$0\E line \d+\.\n\z/, "aio_$name: $what")
        or diag($lived ? "it lived\n" : $error, $left ? "requests left: $left" : '');
}

is_deeply([sort map "aio_$_", keys %args], [sort grep { exists $args{ substr $_, 4 } } @IO::AIO::AIO_REQ],
    'each request is in the list of requests');

each_engine {
    my ($engine) = @_;

    # numbers of arguments
    for my $name (sort keys %args) {
        my @args = @{ $args{$name} };
        for my $n (0 .. $#args) {
            ours { refuses("$n arguments", $name, @args[0 .. $n - 1]) } 'names no function in composites';
        }
        ours { refuses('too many arguments', $name, @args, sub { }, 1) } 'ignores them in composites';
        my $source = "IO::AIO::aio_$name(" . join(', ', (1) x (@args + 2)) . '); 1';
        ok(!eval $source && $@ =~ /Too many arguments/, "aio_$name: too many are found by the compiler");
        next unless @args;
        $source = "IO::AIO::aio_$name(" . join(', ', (1) x $#args) . '); 1';
        ok(!eval $source && $@ =~ /Not enough arguments/, "aio_$name: too few too");
    }

    # what programs may look for in an exception
    my ($group, $self) = (aio_group, undef);
    IO::AIO::flush;
    my @text = (
        [sub { &aio_stat() },                                qr/^Usage: IO::AIO::aio_stat\(/],
        [sub { &aio_group(undef, 1) },                       qr/^Usage: IO::AIO::aio_group\(/],
        [sub { &IO::AIO::max_idle() },                       qr/^Usage: IO::AIO::max_idle\(nthreads\)/],
        [sub { &IO::AIO::idle_timeout(1, 2) },               qr/^Usage: IO::AIO::idle_timeout\(seconds\)/],
        [sub { aio_close undef },                            qr/illegal fh argument.* mode mismatch/],
        [sub { aio_nop 'no such function' },                 qr/callback must be a CODE reference or another callable object/],
        [sub { aio_read $fh, 0, 1, my $buf = 'abc', 4 },     qr/dataoffset outside of data scalar/],
        [sub { aio_write $fh, 0, 1, 'abc', 4 },              qr/dataoffset outside of data scalar/],
        [sub { aio_write $fh, 0, 1, "\x{100}", 0 },          qr/"data" argument must be byte\/octet-encoded/],
        [sub { aio_stat "\x{100}", sub { } },                qr/argument must be byte\/octet-encoded/],
        [sub { aio_unlink [] },                              qr/pathname arguments must be/],
        [sub { aio_unlink ['x', 'y'] },                      qr/expected a working directory object/],
        [sub { IO::AIO::REQ::cancel(undef) },                qr/object of class IO::AIO::REQ expected/],
        [sub { $group->result(1) },                          qr/busy IO::AIO::REQ object expected/],
        [sub { IO::AIO::mprotect(my $s = 'abc', 4, 1, 0) },  qr/offset outside of scalar/],
    );
    for (@text) {
        my ($code, $text) = @$_;
        local $SIG{__WARN__} = sub { } if is_peer;
        is(eval { $code->(); 1 }, undef, 'a bad argument');
        like($@, $text, 'and what the exception says');
    }
    my $error;
    $self = aio_group sub { eval { $self->add(aio_nop) }; $error = $@ };
    IO::AIO::flush;
    like($error, qr/cannot add requests to IO::AIO::GRP after the group finished/, 'add in its own callback');

    # callbacks
    for my $name (sort keys %args) {
        my @args = @{ $args{$name} };
        for my $bad ('no_such_function', \'string', [], {}, Object->new) {
            my $type = ref $bad || "'$bad'";
            ours { refuses("$type as a callback /callback/", $name, @args, $bad) } 'takes it, or has another text';
        }
        my $called = 0;
        my $req = call($name, @args, sub { $called++ }) if $name ne 'close';
        isa_ok($req, 'IO::AIO::REQ', "what aio_$name returns") if $req;
        IO::AIO::flush;
        is($called, 1, "aio_$name: a good one is called") if $req;
        call($name, @args, undef) if $name ne 'close';
        IO::AIO::flush;
    }

    # handles
    open my $closed, '<', $file or die "$file: $!";
    close $closed;
    open my $memory, '+<', \my $string or die "in memory: $!";
    tie *TIED, 'TiedHandle';
    our $unopened = do { no warnings 'once'; \*UNOPENED };
    my %bad = (
        'undef'                   => undef,
        'the empty string'        => '',
        'a word'                  => 'STDIN',
        'a number with a tail'    => '1x',
        'a negative number'       => -1,
        'a negative string'       => '-1',
        'a number too large'      => 2**31,
        'a huge number'           => 2**63,
        'a closed handle'         => $closed,
        'a handle in memory'      => $memory,
        'a tied handle'           => \*TIED,
        'a glob without handle'   => $unopened,
        'a hash'                  => {},
        'an array'                => [],
        'code'                    => sub { },
        'a reference to a string' => \'0',
        'an object'               => Object->new,
    );
    for my $name (sort grep { grep { defined $_ && $_ eq 'F' } @{ $args{$_} } } keys %args) {
        my @args = @{ $args{$name} };
        for my $at (grep { defined $args[$_] && $args[$_] eq 'F' } 0 .. $#args) {
            my $which = $at ? 'second handle' : 'handle';
            for my $kind (sort keys %bad) {
                my @bad = @args;
                $bad[$at] = $bad{$kind};
                ours { refuses("$kind as $which /mode mismatch/", $name, @bad) } 'takes it for descriptor 0';
            }
        }
    }
    untie *TIED;
    open my $read_only, '<', $file or die "$file: $!";
    refuses('a read-only handle /mode mismatch/', 'write', $read_only, 0, 1, 'x', 0);
    refuses('a read-only handle /mode mismatch/', 'sendfile', $read_only, $fh, 0, 1);

    # path names
    for my $name (sort grep { grep { defined $_ && $_ eq 'P' } @{ $args{$_} } } keys %args) {
        my @args = @{ $args{$name} };
        my $either = $name =~ /^(?:stat|lstat|utime|chown|chmod|truncate)$/;
        for my $at (grep { defined $args[$_] && $args[$_] eq 'P' } 0 .. $#args) {
            for my $bad ({}, [], [1], [1, 2, 3], sub { }, \'x', Object->new) {
                next if $name eq 'symlink' && !$at;    # a text, not a path
                my @bad = @args;
                $bad[$at] = $bad;
                ours { refuses('a ' . ref($bad) . ' reference as path', $name, @bad) } 'names another place';
            }
        }
    }

    # buffers
    {
        my $wide = "\x{100}";
        croaks { aio_read $fh, 0, 1, $wide, 0, sub { } } 'aio_read', 'aio_read: wide characters in the buffer';
        croaks { aio_write $fh, 0, 1, $wide, 0, sub { } } 'aio_write', 'aio_write: wide characters in the data';
        is($wide, "\x{100}", 'it is as it was');
    }

    # numbers that no int holds: cut to 32 bits they would be root, O_RDONLY, SEEK_SET
    {
        my @before = stat $file;
        for my $number (2**32, -2**31 - 1, 2**40 + 1, 2**62) {
            fails_with { aio_chown $file, $number, -1, $_[0] } 'EINVAL', "aio_chown: user $number";
            fails_with { aio_chown $file, -1, $number, $_[0] } 'EINVAL', "aio_chown: group $number";
            fails_with { aio_chmod $file, $number, $_[0] } 'EINVAL', "aio_chmod: mode $number";
            my ($errno, @got) = run_req { aio_open $file, $number, 0, $_[0] };
            is_deeply([errno_name($errno), @got], ['EINVAL', undef], "aio_open: flags $number");
            fails_with { aio_seek $fh, 0, $number, $_[0] } 'EINVAL', "aio_seek: whence $number";
        }
        is("@{[(stat $file)[2, 4, 5]]}", "@before[2, 4, 5]", 'the file is as it was');
    }

    # the line is the caller's
    my $here = sub {
        aio_read undef, 0, 1, my $x, 0;
    };
    { no warnings; ok(!eval { $here->(); 1 }, 'a croak in a function'); }
    my $line = __LINE__ - 3;
    like($@, qr/ at \Q$0\E line $line\.$/, 'has its line');
    $@ = '';
    for my $name (qw(load copy move scandir rmtree pathsync)) {
        no strict 'refs';
        my $request = \&{"IO::AIO::aio_$name"};
        ours {
            ok(!eval { $request->([], 0); 1 }, "a composite: aio_$name");
            $line = __LINE__ - 1;
            like($@, qr/aio_$name.* at \Q$0\E line $line\.$/, 'as well');
        } 'has its own line';
        $@ = '';
        eval { IO::AIO::flush };
    }

    # the functions that are no requests
    for my $name (qw(max_parallel min_parallel max_idle idle_timeout max_outstanding max_poll_reqs max_poll_time)) {
        no strict 'refs';
        my $set = \&{"IO::AIO::$name"};
        croaks { $set->() } qr/$name/, "$name without argument";
        croaks { $set->(1, 2) } qr/$name/, "$name with two";
    }
    for my $name (qw(nreqs nready npending nthreads poll_fileno poll_wait poll flush)) {
        no strict 'refs';
        my $get = \&{"IO::AIO::$name"};
        ok(eval { $get->(); 1 }, "$name can be called by reference");
    }
    reset_limits;

    # every function in C, without arguments and with more than any takes: it dies, or ignores them
    require B;
    for my $class (is_peer ? () : 'IO::AIO', is_peer ? () : map "IO::AIO::$_", qw(REQ GRP WD)) {
        no strict 'refs';
        for my $name (sort grep defined &{"${class}::$_"}, keys %{"${class}::"}) {
            my $code = \&{"${class}::$name"};
            next if !B::svref_2object($code)->XSUB || $name =~ /^(?:CLONE|bootstrap|dl_|aio_sync$|syncfs|END|_cover)/ || $name =~ /^[A-Z]/;
            for my $n (0, 20) {
                next if $n && $name =~ /^(?:reinit|_end)$/;
                my $lived = eval { $code->((undef) x $n); 1 };
                $lived || $@ =~ /\Q$name\E|[Uu]sage|not an object/ or fail("$class: $name with $n arguments dies with $@");
            }
        }
        pass("$class: all survive wrong numbers of arguments");
    }
    IO::AIO::flush;
    IO::AIO::engine($engine) unless is_peer;
    reset_limits;

    # aio_busy
    my ($errno, @got) = run_req { IO::AIO::aio_busy 0.01, $_[0] };
    is(scalar @got, 0, 'aio_busy passes nothing');
    ($errno, @got) = run_req { IO::AIO::aio_busy 0, $_[0] };
    is(scalar @got, 0, 'nor for no time');
};

done;
