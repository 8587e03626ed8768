use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use POSIX ();
use IO::AIO qw(:DEFAULT :more);

# aio_watch: what it tells, replayed on a model that has to be like the tree in the end; directories that appear, move and
# go; options; overflow; cancel, fork, and what goes wrong.

my $probe = IO::AIO::_notify_open();
if (!$probe) {
    my @status;
    is($!{ENOSYS}, 1, 'the system has no inotify: ENOSYS') unless $!{EMFILE};
    aio_watch tmpdir, undef, undef, sub { @status = (@_, $! + 0) };
    IO::AIO::flush;
    is("@status", '-1 ' . Errno::ENOSYS(), 'which the callback gets');
    done;
    exit;
}
undef $probe;

# What a watch tells: records, a model of the tree that is made of them, and what does not fit.
{
    package Seen;

    sub new {
        my ($class, $root, $options) = @_;
        my $self = bless { root => $root, records => [], model => {}, wrong => [], renamed => [], replaced => [] }, $class;
        my ($r, $m, $w, $replaced, $status) = (@$self{qw(records model wrong replaced)}, $self->{status} = []);
        $self->{watch} = IO::AIO::aio_watch $root, $options, sub {
            push @$r, @{ $_[0] };
            follow($m, $w, $replaced, $_) for @{ $_[0] };
        }, sub { @$status = (@_, $! + 0) };
        return $self;
    }

    sub follow {
        my ($model, $wrong, $replaced, $record) = @_;
        my ($path, $event, $directory, $more) = @$record;
        if ($event eq 'create' || $event eq 'found') {
            push @$wrong, "create $path again" if $event eq 'create' && exists $model->{$path} && !is_replaced($replaced, $path);
            my ($up) = $path =~ m{(.*)/};
            push @$wrong, "create $path, but not $up" if defined $up && !exists $model->{$up};
            $model->{$path} = $directory;
        } elsif ($event eq 'delete' && length $path) {
            push @$wrong, "delete $path, which is not there" if !exists $model->{$path};
            delete @$model{ grep /\A\Q$path\E(?:\/|\z)/, keys %$model };
        } elsif ($event eq 'move' && length $path) {
            push @$wrong, "move $path, which is not there" if !exists $model->{$path};
            push @$wrong, "move $path to $more, which is there" if exists $model->{$more} && !is_replaced($replaced, $more);
            delete @$model{ grep /\A\Q$more\E(?:\/|\z)/, keys %$model };
            for my $old (grep /\A\Q$path\E(?:\/|\z)/, keys %$model) {
                $model->{ $more . substr $old, length $path } = delete $model->{$old};
            }
        }
    }

    # The kernel tells that a name comes, and not that it takes the place of another. Each time that it has, and what that path was
    # before directories above were renamed, as it may be told with the path of then.
    sub renamed {
        my ($self, $old, $new, $was_there) = @_;
        if ($was_there) {
            my @paths = $new;
            for (reverse @{ $self->{renamed} }) {
                my ($from, $to) = @$_;
                push @paths, map /\A\Q$to\E(\/.*)/s ? "$from$1" : (), @paths;
            }
            push @{ $self->{replaced} }, { map { $_ => 1 } @paths };
        }
        push @{ $self->{renamed} }, [$old, $new];
    }

    # Whether that has happened once more than it has been told.
    sub is_replaced {
        my ($replaced, $path) = @_;
        my ($found) = grep $replaced->[$_]{$path}, 0 .. $#$replaced or return 0;
        splice @$replaced, $found, 1;
        return 1;
    }

    # Polls until a record has come.
    sub until_told {
        my ($self, $path, $event) = @_;
        IO::AIO::poll() until @{ $self->{status} } || grep $_->[0] eq $path && $_->[1] eq $event, @{ $self->{records} };
        return $self;
    }

    sub ready { $_[0]->until_told('', 'ready'); @{ $_[0]{records} } = (); $_[0] }

    # Polls until all that has happened is told: a file appears, and goes.
    sub settle {
        my ($self) = @_;
        my $name = 'settled' . ++$self->{nsettled};
        main::write_file "$self->{root}/$name";
        unlink "$self->{root}/$name";
        $self->until_told($name, 'delete');
        @{ $self->{records} } = grep $_->[0] !~ /\Asettled/, @{ $self->{records} };
        return $self;
    }

    sub text { my ($self, $like) = @_; join ', ', map "$_->[1] $_->[0]" . (defined $_->[3] ? " $_->[3]" : ''),
        grep $_->[1] =~ /\A(?:$like)\z/, @{ $_[0]{records} } }
    sub end { my ($self) = @_; $self->{watch}->cancel; IO::AIO::flush }
}

# All paths below a directory: path => whether it is a directory.
sub tree {
    my ($root) = @_;
    my (%found, @todo);
    @todo = '';
    while (defined(my $dir = shift @todo)) {
        opendir my $dh, "$root/$dir" or next;
        for my $name (grep !/\A\.\.?\z/, readdir $dh) {
            my $path = length $dir ? "$dir/$name" : $name;
            $found{$path} = (!-l "$root/$path" && -d _) ? 1 : 0;
            push @todo, $path if $found{$path};
        }
    }
    return \%found;
}

# Does something by chance in a tree that is watched.
sub change {
    my ($root, $seen) = @_;
    my @names = qw(a b c d);
    my $some = sub { join '/', $root, map $names[rand @names], 0 .. rand 3 };
    my $what = int rand 9;
    my $path = $some->();
    if ($what < 3) { mkdir $path }
    elsif ($what < 5) { open my $fh, '>', $path }
    elsif ($what < 7) {
        my $new = $some->();
        my $was_there = -e $new;
        $seen->renamed(map(substr($_, 1 + length $root), $path, $new), $was_there) if $path ne $new && rename $path, $new;
    }
    elsif ($what == 7) { unlink $path or rmdir $path }
    else { rename $path, "$root-out"; system 'rm', '-rf', "$root-out" if -e "$root-out"; }
}

each_engine {
    my $dir = fresh_dir();

    # one directory
    mkdir "$dir/sub";
    my $seen = Seen->new($dir, undef)->ready;
    is(IO::AIO::nreqs(), 1, 'a watch is a request that is not done');
    is(IO::AIO::npending(), 0, 'nothing to poll');
    write_file "$dir/file", 'x';
    write_file "$dir/sub/below";
    chmod 0600, "$dir/file";
    rename "$dir/file", "$dir/new";
    unlink "$dir/new";
    $seen->settle;
    is($seen->text('create|delete|move|attrib|modify|close_write'),
        'create file, modify file, close_write file, attrib file, move file new, delete new', 'all that happens, in order');
    is_deeply($seen->{records}[0], ['file', 'create', 0], 'a record');
    rename "$dir/sub", "$dir/sub2";
    $seen->settle;
    is_deeply([map @$_, grep $_->[1] eq 'move' && $_->[2], @{ $seen->{records} }], ['sub', 'move', 1, 'sub2'], 'a directory that is moved');
    rename "$dir/sub2", "$dir.out";
    $seen->settle->until_told('sub2', 'delete');
    rename "$dir.out", "$dir/sub2";
    $seen->settle;
    is_deeply([grep $_->[0] eq 'sub2', @{ $seen->{records} }], [['sub2', 'delete', 1], ['sub2', 'create', 1]],
        'out of the directory, and into it');
    $seen->end;
    is_deeply($seen->{status}, [], 'cancelled: no callback');
    write_file "$dir/after";
    IO::AIO::poll_cb();
    is($seen->text('.*') =~ /after/ ? 1 : 0, 0, 'nor batches');

    # a tree
    $dir = fresh_dir();
    system 'mkdir', '-p', "$dir/a/b/c", "$dir/x/y";
    $seen = Seen->new($dir, { recursive => 1, events => 'create delete move' })->ready;
    %{ $seen->{model} } = %{ tree($dir) };
    write_file "$dir/a/b/c/deep";
    write_file "$dir/x/y/other";
    $seen->settle;
    is($seen->text('.*'), 'create a/b/c/deep, create x/y/other', 'what happens below');
    rename "$dir/a/b", "$dir/x/y/b";
    write_file "$dir/x/y/b/c/more";
    $seen->settle;
    like($seen->text('.*'), qr{move a/b x/y/b, create x/y/b/c/more\z}, 'by its new path');
    system 'mkdir', '-p', map "$dir/new/$_/$_", 1 .. 5;
    write_file "$dir/new/$_/$_/file" for 1 .. 5;
    $seen->settle;
    is_deeply($seen->{model}, tree($dir), 'directories that appear with all that is in them');
    is("@{ $seen->{wrong} }", '', 'once each');
    rename "$dir/x", "$dir.out";
    $seen->settle->until_told('x', 'delete');
    write_file "$dir.out/y/b/unseen";
    $seen->settle;
    is($seen->text('.*') =~ /unseen/ ? 1 : 0, 0, 'what has left the tree is not watched');
    system 'rm', '-rf', "$dir.out";

    # by chance
    srand(my $seed = $ENV{AIOTEST_SEED} || 15);
    for my $round (1 .. (extended ? 30 : 6)) {
        for (1 .. 60) {
            change($dir, $seen);
            IO::AIO::poll_cb() if rand() < 0.5;
        }
        $seen->settle for 1, 2;    # what is below a directory that was moved while it was entered is told after what was queued then
        IO::AIO::poll() while $seen->{watch} && grep !exists tree($dir)->{$_}, keys %{ $seen->{model} };
        is_deeply([sort keys %{ $seen->{model} }], [sort keys %{ tree($dir) }], "by chance, $round") or diag "seed $seed";
        @$_ = () for @$seen{qw(renamed replaced)};
    }
    is("@{ $seen->{wrong} }", '', 'nothing twice, nothing out of order') or diag "seed $seed";
    $seen->end;

    # what takes the place of something
    $seen = Seen->new($dir = fresh_dir(), { recursive => 1, events => 'create delete move' })->ready;
    write_file "$dir/file";
    mkdir "$dir/empty";
    $seen->settle;
    @{ $seen->{records} } = ();
    write_file "$dir.out";
    rename "$dir.out", "$dir/file";
    $seen->settle;
    is($seen->text('.*'), 'create file', 'a file from elsewhere in the place of another: a create, and no delete');
    @{ $seen->{records} } = ();
    mkdir "$dir/new";
    write_file "$dir/new/file";
    rename "$dir/new/file", "$dir/file";
    $seen->settle;
    is($seen->text('.*'), 'create new, create file', 'likewise from a directory that could not be watched yet');
    @{ $seen->{records} } = ();
    system 'mkdir', '-p', "$dir.out/sub";
    rename "$dir.out", "$dir/empty";
    rename "$dir/empty", "$dir/moved";
    $seen->settle;
    is($seen->text('.*'), 'create empty, move empty moved, create moved/sub', 'a directory in the place of an empty one, moved at once');
    @{ $seen->{records} } = ();
    mkdir "$dir/empty";
    $seen->settle;
    @{ $seen->{records} } = ();
    system 'mkdir', '-p', "$dir/other/sub/deep";
    rename "$dir/other/sub", "$dir/empty";
    rename "$dir/empty", "$dir/moved again";
    $seen->settle;
    is($seen->text('.*'), 'create other, create empty, move empty moved again, create moved again/deep', 'likewise from such a directory');

    # what is found where it went before it is told that it went
    system 'mkdir', '-p', "$dir/from/sub", "$dir/above/below/sub";
    $seen->settle;
    @{ $seen->{records} } = ();
    mkdir "$dir/to";
    rename "$dir/from", "$dir/between";
    rename "$dir/between", "$dir/to/last";
    $seen->settle;
    is($seen->text('.*'), 'create to, create to/last, move from between, delete between, create to/last/sub', 'moved twice');
    @{ $seen->{records} } = ();
    mkdir "$dir/$_" for qw(to1 to2);
    rename "$dir/above", "$dir/to1/above";
    rename "$dir/to1/above/below", "$dir/to2/below";
    $seen->settle;
    like($seen->text('.*'), qr{, delete above, (?=.*create to2/below/sub)}, 'moved after the directory that it was in');
    $seen->end;

    # names, what is not entered, and events
    $dir = fresh_dir();
    mkdir "$dir/.git";
    mkdir "$dir/src";
    $seen = Seen->new($dir, { recursive => 1, prune => ['.git', 'CVS'], name => ['*.[ch]', 'settled*'], events => [qw(create delete)] })->ready;
    write_file "$dir/$_" for qw(.git/x.c src/x.c src/x.o src/x.hh src/y.h);
    chmod 0600, "$dir/src/x.c";
    $seen->settle;
    is($seen->text('.*'), 'create src/x.c, create src/y.h', 'name, prune, events');
    $seen->end;

    # overflow
    $dir = fresh_dir();
    mkdir "$dir/sub";
    write_file "$dir/$_" for qw(early sub/one sub/two);
    open my $max, '<', '/proc/sys/fs/inotify/max_queued_events';
    my $queued = $max && <$max> || 0;
  SKIP: {
        skip 'the queue is long', 3 if !$queued || $queued > 20_000;
        $seen = Seen->new($dir, { recursive => 1 })->ready;
        for (0 .. $queued) {
            chmod 0600 + $_ % 2, "$dir/sub/one", "$dir/sub/two";
        }
        mkdir "$dir/lost";
        write_file "$dir/lost/file";
        my $list = \&IO::AIO::Watch::_list;
        no warnings 'redefine';
        local *IO::AIO::Watch::_list = sub {    # what happens between the new watch and the reading of the directory
            my (undef, $node) = @_;
            if (!$node->{up}) { write_file "$dir/late"; unlink "$dir/early" }
            goto &$list;
        };
        $seen->until_told('', 'overflow')->until_told('', 'ready')->until_told('early', 'delete');
        is(join(', ', sort split /, /, $seen->text('found')), 'found early, found lost, found lost/file, found sub, found sub/one, found sub/two',
            'overflow: tells all that there is')
            or diag $seen->text('(?!attrib).*');
        is($seen->text('ready|create|delete'), 'ready , create late, delete early', 'then what happens, and nothing of that twice')
            or diag $seen->text('(?!attrib).*');
        @{ $seen->{records} } = ();
        write_file "$dir/lost/more";
        $seen->settle;
        is($seen->text('create'), 'create lost/more', 'and goes on');
        $seen->end;
    }

    # a file, a link, a relative path
    my $file = write_file "$dir/alone";
    $seen = Seen->new($file, {})->ready;
    open my $fh, '>>', $file; syswrite $fh, 'x'; close $fh;
    $seen->until_told('', 'close_write');
    is($seen->text('.*'), 'modify , close_write ', 'a single file');
    unlink $file;
    $seen->until_told('', 'delete');
    IO::AIO::flush;
    is_deeply($seen->{status}, [0, 0], 'ends when that is gone');
    symlink 'sub', "$dir/link";
    my $wd;
    aio_wd $dir, sub { $wd = $_[0] };
    IO::AIO::flush;
    my @records;
    my $watch = aio_watch [$wd, 'link'], undef, sub { push @records, @{ $_[0] } }, sub { };
    IO::AIO::poll() until @records;
    write_file "$dir/sub/by link";
    IO::AIO::poll() until grep $_->[0] eq 'by link', @records;
    pass('a working directory, and a link');
    $watch->cancel;
    IO::AIO::flush;

    # its end
    mkdir "$dir/end";
    $seen = Seen->new("$dir/end", { recursive => 1 })->ready;
    rename "$dir/end", "$dir/ended";
    IO::AIO::flush;
    is($seen->text('.*') . "|@{ $seen->{status} }", 'move |0 0', 'a root that is moved ends it');
    $seen = Seen->new("$dir/none", {});
    IO::AIO::flush;
    is_deeply($seen->{status}, [-1, Errno::ENOENT()], 'no such directory');

    # requests of all kinds do not wait for it
    $seen = Seen->new($dir, {})->ready;
    IO::AIO::max_parallel(1);
    my $nop = 0;
    aio_stat $dir, sub { $nop++ };
    IO::AIO::poll() until $nop;
    pass('it takes no place of max_parallel');
    reset_limits;

    # a callback that dies, and one that cancels
    @records = ();
    my $n = 0;
    $watch = aio_watch $dir, undef, sub { push @records, @{ $_[0] }; die "mine\n" if !$n++ }, undef;
    ok(!eval { IO::AIO::poll() until @records; 1 }, 'a batch whose callback dies');
    write_file "$dir/later";
    IO::AIO::poll() until grep $_->[0] eq 'later', @records;
    pass('the next come all the same');
    my $first = $watch;
    $watch->cancel;
    undef $watch;
    @records = ();
    $watch = aio_watch $dir, undef, sub { push @records, @{ $_[0] }; $watch->cancel }, sub { push @records, 'called' };
    IO::AIO::poll() until @records;
    $seen->end;
    is_deeply(\@records, [['', 'ready', 1]], 'cancelled by its callback');

    # forks
    $seen = Seen->new($dir, {})->ready;
    is(in_child { IO::AIO::flush(); IO::AIO::nreqs() }, 0, 'a child has no watch');
    write_file "$dir/parent";
    $seen->until_told('parent', 'create');
    pass('the parent has');
    $seen->end;

    # time
    my @status;
    IO::AIO::aioreq_timeout(0.02);
    aio_watch $dir, undef, sub { }, sub { @status = (@_, $! + 0) };
    IO::AIO::flush;
    is("@status", '-1 ' . Errno::ETIMEDOUT(), 'a time limit ends it');
};

croaks { aio_watch tmpdir, 5, sub { } } qr/^aio_watch: options must be a hash reference/, 'options';
croaks { aio_watch tmpdir, { nothing => 1 }, sub { } } qr/^aio_watch: unknown option "nothing"/, 'an option';
croaks { aio_watch tmpdir, { events => 'open' }, sub { } } qr/^aio_watch: there is no event "open"/, 'an event';
croaks { aio_watch tmpdir, { name => {} }, sub { } } qr/^aio_watch: name must be a pattern/, 'a pattern';

done;
