use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Config;
use Fcntl qw(:DEFAULT);
use POSIX ();
use IO::AIO;

# What SECURITY.md promises, under attack: somebody else exchanges names while requests run, reads what is not
# for him, inherits descriptors, or the process gives up its rights.

use constant NOBODY => 65534;
use constant ROUNDS => $ENV{AIOTEST_ROUNDS} || (extended ? 200 : 40);    # of what depends on chance

sub entries { scalar(() = names_in $_[0]) }
sub fill { my ($dir, $n) = @_; write_file("$dir/1"); link "$dir/1", "$dir/$_" or die "link: $!" for 2 .. $n }
sub make_dirs { mkdir $_ or die "$_: $!" for @_ }

# Runs the first block in a second process and then, meanwhile, the other. The first is given a function that tells
# whether the other is done. Returns what the first one returned: a string.
sub meanwhile(&$) {
    my ($attack, $defend) = @_;
    pipe my $r, my $w or die "pipe: $!";
    pipe my $stop, my $go or die "pipe: $!";
    defined(my $pid = fork) or die "fork: $!";
    unless ($pid) {
        alarm AIOTest::LIMIT / 2;
        close $go;
        $stop->blocking(0);
        syswrite $w, '+';
        my $result = eval { $attack->(sub { defined sysread($stop, my $buf, 1) }) };
        syswrite $w, defined $result ? $result : $@;
        POSIX::_exit(0);
    }
    close $_ for $w, $stop;
    sysread $r, my $ready, 1;
    my $lived = eval { $defend->(); 1 };
    my $died  = $@;
    close $go;
    my $result = do { local $/; <$r> };
    waitpid $pid, 0;
    die $died unless $lived;
    defined $result ? $result : '';
}

# Sees to it that a directory, an empty one, has a larger inode than a file: takes another one from beside the tree
# otherwise. Free inodes below that of the file may be many.
sub later_than {
    my ($d, $file) = @_;
    my $beside = fresh_dir;
    for my $new (map "$beside/$_", 1 .. 1000) {
        return 1 if (stat $d)[1] > (stat $file)[1];
        make_dirs($new);
        rename $new, $d or die "rename: $!" if (stat $new)[1] > (stat $file)[1];
    }
    return 0;
}

# Once, in the middle: while many files are removed, in the directory itself or beside it, a link to the outside,
# where there are files of the same names, takes its place. What has the largest inode is removed last: file systems
# may give directories some on either side of the files'.
sub exchanged {
    my ($where) = @_;
    my $outside = fresh_dir;
    make_dirs("$outside/sub");
    fill($_, 300) for $outside, "$outside/sub";
    my $middle = 0;
    for (1 .. 30) {
        my $dir   = fresh_dir;
        my @d     = map "$dir/tree/d$_", 1 .. 8;
        make_dirs("$dir/tree");
        fill("$dir/tree", 2000) if $where eq 'beside';
        make_dirs(@d);
        my ($d) = sort { (stat $b)[1] <=> (stat $a)[1] } @d;
        later_than($d, "$dir/tree/1") or next if $where eq 'beside';
        my $files = $where eq 'in' ? $d : "$dir/tree";
        make_dirs("$d/sub");
        fill($_, 300) for $d, "$d/sub";
        link "$d/1", "$d/$_" for 301 .. 2000;
        my $left = meanwhile {
            my ($over) = @_;
            while (-e "$files/1" && -e "$files/2000" && -e "$files/1000") { return 0 if $over->() }
            rename $d, "$dir/away" or return 0;
            symlink $outside, $d or die "symlink: $!";
            $where eq 'in' ? entries("$dir/away") : entries($files) - 8;
        } sub { run_req { aio_rmtree "$dir/tree", $_[0] } };
        $middle = $left =~ /^[1-9]/ and last;
    }
    ok($middle, "a directory was exchanged for a link while files $where it were removed");
    is(entries($outside) + entries("$outside/sub"), 601, 'nothing outside of the tree was removed');
}

# Deeper than rmtree keeps descriptors: ".." of what was moved leads to the outside.
sub moved {
    my $outside = fresh_dir;
    my @precious;
    my $middle = 0;
    for my $round (1 .. 30) {
        my $there = "$outside/$round";
        my @level = (fresh_dir() . '/tree');
        push @level, "$level[-1]/d" for 1 .. 40;
        make_dirs(@level, $there, "$there/e");
        write_file "$_/f$round" for @level;
        fill($level[-1], 1500);
        push @precious, map write_file("$there/$_"), "f$round", 'zfile', 'e/file';
        my $left = meanwhile {
            my ($over) = @_;
            my $bottom = $level[-1];
            while (-e "$bottom/1" && -e "$bottom/1500" && -e "$bottom/750") { return 0 if $over->() }
            rename $level[8], "$there/d" or return 0;
            substr $bottom, 0, length $level[8], "$there/d";
            entries($bottom);
        } sub { run_req { aio_rmtree $level[0], $_[0] } };
        $middle = $left =~ /^[1-9]/ and last;
    }
    ok($middle, 'a directory was moved out of the tree while what is below was removed');
    is((join ' ', grep !-e, @precious), '', 'nothing of where it was moved to was removed');
}

# All the time, in a tight loop, at two levels. The tree is built elsewhere and appears at once.
sub exchanged_often {
    my ($dir, $outside) = (fresh_dir, fresh_dir);
    make_dirs("$outside/s");
    fill($_, 5) for $outside, "$outside/s";
    my $lost  = 0;
    my $swaps = meanwhile {
        my ($over) = @_;
        my ($n, $seen) = (0, 0);
        until (++$n % 64 == 0 && $over->()) {
            my ($name, $away) = ("$dir/tree/d" . ($n % 2 ? '/s' : ''), "$dir/away.$n");
            rename $name, $away or next;
            symlink $outside, $name and $seen++;
            unlink $name;
            rename $away, $name;    # unless rmtree was faster
        }
        $seen;
    } sub {
        for (1 .. ROUNDS) {
            make_dirs("$dir/stage");
            fill("$dir/stage", 50);
            make_dirs(map "$dir/stage$_", '/d', '/d/s');
            fill("$dir/stage$_", 5) for '/d', '/d/s';
            rename "$dir/stage", "$dir/tree" or die "rename: $!";
            run_req { aio_rmtree "$dir/tree", $_[0] };
            $lost++ if entries($outside) + entries("$outside/s") != 11;
            rename "$dir/tree", "$dir/old.$_";
        }
    };
    cmp_ok($swaps, '>', 0, 'exchanged again and again') and note("$swaps exchanges in ${\ROUNDS} trees");
    is($lost, 0, 'never was anything removed outside');
}

# ---- copies --------------------------------------------------------------------------------------

# Mode of the target while the copy waits for data of a FIFO, which must be given a writer.
sub copies_of_a_fifo {
    my $dir = fresh_dir;
    POSIX::mkfifo("$dir/fifo", 0640) or die "mkfifo: $!";
    write_file "$dir/$_", 'was here' for 'existing', 'linked to';
    chmod 0666, "$dir/existing";
    chmod 0777, "$dir/linked to";
    symlink 'linked to', "$dir/link" or die "symlink: $!";
    for (['new', 0], ['new', 022], ['existing', 0], ['link', 0]) {
        my ($name, $mask) = @$_;
        my $old = umask $mask;
        unlink "$dir/new";
        my $got;
        aio_copy "$dir/fifo", "$dir/$name", sub { $got = $_[0] };
        my $w;
        wait_for { sysopen $w, "$dir/fifo", O_WRONLY | O_NONBLOCK };
        # the source is open; the data come when the target has been looked at
        ok(wait_for { my @st = stat "$dir/$name"; @st && ($st[2] & 07777) == 0200 && !$st[7] },
            sprintf '%s, umask %03o: mode 0200 before any data', $name, $mask);
        syswrite $w, 'data';
        wait_for { -s "$dir/$name" };
        is(sprintf('%04o', (stat "$dir/$name")[2] & 07777), '0200', 'and with the first data');
        close $w;
        IO::AIO::flush;
        umask $old;
        is($got, 0, 'it is copied');
        is(sprintf('%04o', (stat "$dir/$name")[2] & 07777), '0640', 'and gets the mode of the source, whatever the umask');
    }
}

# Another user tries to read each copy of a file that is not for him.
sub copies_spied_upon {
    my $dir = fresh_dir;
    write_file "$dir/secret", 'secret' x 1000;
    chmod 0600, "$dir/secret";
    my $saw = meanwhile {
        my ($over) = @_;
        POSIX::setgid(NOBODY);
        POSIX::setuid(NOBODY);
        my $n = 0;
        until (++$n % 64 == 0 && $over->()) {
            sysopen my $fh, "$dir/copy", O_RDONLY or next;
            return 'the copy' if sysread $fh, my $buf, 10;
        }
        'nothing';
    } sub {
        my $old = umask 0;
        for (1 .. 2 * ROUNDS) {
            run_req { aio_copy "$dir/secret", "$dir/copy", $_[0] };
            unlink "$dir/copy" or die "copy: $!";
        }
        umask $old;
    };
    is($saw, 'nothing', 'nobody else could read the copies of a private file');
}

sub copies_of_privileged_programs {
    my $dir = fresh_dir;
    chmod 0777, $dir;
    for my $mode (04755, 02755, 06755) {
        write_file "$dir/program";
        chmod $mode, "$dir/program";
        run_req { aio_copy "$dir/program", "$dir/copy", $_[0] };
        is(mode_of("$dir/copy"), $mode, sprintf '%04o: a copy of the same owner is the same', $mode);
        unlink "$dir/copy";
        as_nobody { run_req { aio_copy "$dir/program", "$dir/copy", $_[0] } };
        is(mode_of("$dir/copy"), 0755, 'that of another user is without privileges');
        is((stat "$dir/copy")[4], NOBODY, 'and his own');
        unlink "$dir/copy";
    }
    write_file "$dir/public";
    write_file "$dir/src", 'data';
    chmod 0666, "$dir/public";
    as_nobody { run_req { aio_copy "$dir/src", "$dir/public", $_[0] } };
    is(sprintf('%04o %s', mode_of("$dir/public"), read_file("$dir/public")), '0666 data', 'a target of somebody else keeps its mode');
}

sub failed_copies {
    return unless procfs; # whose mem can be opened, but not read
    my $dir = fresh_dir;
    my $target = write_file "$dir/target", 'was here';
    symlink 'target', "$dir/link" or die "symlink: $!";
    fails_with { aio_copy '/proc/self/mem', "$dir/link", $_[0] } 'EIO', 'a copy through a link fails';
    ok(-l "$dir/link" && -z $target && mode_of($target) == 0644, 'the link stays, its target is empty and has its mode');
}

# ---- descriptors ---------------------------------------------------------------------------------

my $list_fds = 'opendir my $d, "/proc/self/fd" or exit; print map { my $is = readlink "/proc/self/fd/$_"; defined $is && $is !~ m{^/proc/\d+/fd$} ? "$_ $is\n" : () } readdir $d;';

# What a program started now inherits, beside its standard descriptors.
sub inherited {
    chomp(my @fd = output_of $^X, '-e', $list_fds) or die 'no list';
    map /^(\d+) (.*)/ && $1 > 2 ? $2 : (), @fd;
}

sub descriptors_are_not_inherited {
    my $dir  = fresh_dir;
    my $file = write_file "$dir/file", 'data';
    my @before = sort +inherited();
    my ($errno, $wd) = run_req { aio_wd $dir, $_[0] };
    ($errno, my $fh) = run_req { aio_open [$wd, 'file'], O_RDONLY, 0, $_[0] };
    open my $closed, '<', $file or die "$file: $!";
    succeeds { aio_close $closed, $_[0] } 'a closed handle';
    run_req { aio_read $fh, 0, 4, my $buf = '', 0, $_[0] };
    run_req { aio_scandir $dir, 0, $_[0] };
    ok($wd && $fh && defined fileno $closed, 'there are a working directory, an open and a closed file');
    is_deeply([sort +inherited()], \@before, 'a program that is started inherits none of the descriptors');
    close $closed;
}

# Opens run while programs are started. $^F is high, so that poll makes the descriptors inheritable: only it.
sub no_descriptor_race {
    my $file = write_file fresh_dir() . '/file', 'data';
    local $^F = 1000;
    my ($leaked, $opened, @fh) = (0, 0);
    my $programs = extended ? 60 : 15;
    for (1 .. $programs) {
        aio_open $file, O_RDONLY, 0, sub { push @fh, @_ } for 1 .. 50;
        $leaked += grep $_ eq $file, inherited();
        IO::AIO::flush;
        $opened += @fh;
        @fh = () if $_ < $programs;
    }
    is("$opened $leaked", 50 * $programs . ' 0', 'programs started while files are opened inherit none of them');
    is((grep $_ eq $file, inherited()), 50, 'after poll they do, as $^F says');
}

# ---- credentials ---------------------------------------------------------------------------------

# Queues a request of each family. Returns the array where their results will be: "done" or the errno.
sub try_all {
    my ($dir) = @_;
    my @got;
    my $n = 0;
    for my $request (
        sub { aio_open "$dir/secret", O_RDONLY, 0, $_[0] }, sub { aio_load "$dir/secret", my $data, $_[0] },
        sub { aio_unlink "$dir/file", $_[0] }, sub { aio_rename "$dir/dir", "$dir/renamed", $_[0] },
        sub { aio_mkdir "$dir/new", 0777, $_[0] }, sub { aio_chmod "$dir/secret", 0666, $_[0] },
        sub { aio_truncate "$dir/secret", 0, $_[0] }, sub { aio_copy "$dir/secret", "$dir/copy", $_[0] },
        sub { aio_rmtree "$dir/tree", $_[0] }, sub { aio_readdir $dir, $_[0] },
        )
    {
        my $i = $n++;
        $request->(sub { $got[$i] = defined $_[0] && $_[0] ne '-1' ? 'done' : errno_name($!) });
    }
    \@got;
}

sub credentials {
    my ($engine) = @_;
    my $dir = fresh_dir;
    write_file "$dir/$_", 'secret' for 'secret', 'file';
    make_dirs("$dir/dir", "$dir/tree");
    chmod 0600, "$dir/secret";
    chmod 0700, $dir;
    run_req { aio_stat "$dir/secret", $_[0] } for 1 .. 20;    # workers that have been root
    my @got = in_child {
        run_req { aio_stat "$dir/secret", $_[0] };
        pipe my $r, my $w or die "pipe: $!";
        my ($held, $n) = ('', -1);
        syswrite $w, 'data';
        open my $fh, '<', "$dir/secret" or die "secret: $!";
        aio_read $r, undef, 4, $held, 0, sub { $n = $_[0] };
        hold;
        my $results = try_all($dir);
        aio_read $fh, 0, 6, my $open = '', 0, sub { };
        $> = NOBODY;
        release;
        IO::AIO::flush;
        my $now = try_all($dir);
        IO::AIO::flush;
        $> = 0;
        my $later = try_all($dir);
        IO::AIO::flush;
        ("@$results", "@$now", "@$later", "$n $held $open");
    };
    is($got[0], join(' ', ('EACCES') x 10), 'what was queued executes with the credentials of then');
    is($got[1], $got[0], 'so does what is queued later');
    is($got[3], '4 data secret', 'descriptors that were open can be read');
    is($got[2], join(' ', ('done') x 10), 'with the rights back all goes');
    my $count = IO::AIO::stats()->{ring};
    try_all($dir);
    IO::AIO::flush;
    is(IO::AIO::stats()->{ring} - $count, 0, 'the ring executes nothing that looks up a name');
}

# ---- names, the ring, traces ---------------------------------------------------------------------

sub names {
    my $dir = fresh_dir;
    my $file = write_file "$dir/file", 'data';
    my $name = $file;
    hold;
    my $got;
    aio_stat $name, sub { $got = $_[0] };
    $name = "$dir/none";
    one_by_one;
    is($got, 0, 'a name that is changed after the call changes nothing');

    for my $request (sub { aio_unlink $_[0], $_[1] }, sub { aio_rmtree $_[0], $_[1] }, sub { aio_copy $_[0], "$dir/x", $_[1] }, sub { aio_copy $file, $_[0], $_[1] }) {
        fails_with { $request->("$file\0.txt", $_[0]) } 'ENOENT', 'a name with a NUL is refused';
    }
    is(read_file($file), 'data', 'and never cut');
    is(output_of(perl_command, qw(-T -MIO::AIO -e), 'aio_stat $ARGV[0], sub { print "$_[0]\n" }', $file), "0\n", 'names are not checked for taint');
}

# A working directory is the directory, whatever happens to its name.
sub moved_working_directory {
    my $dir = fresh_dir;
    my $got;
    my ($errno, $wd) = do { make_dirs("$dir/up", "$dir/up/wd"); run_req { aio_wd "$dir/up/wd", $_[0] } };
    write_file "$dir/up/wd/file", 'right';
    rename "$dir/up", "$dir/moved" or die "rename: $!";
    make_dirs("$dir/up", "$dir/up/wd");
    write_file "$dir/up/wd/file", 'wrong';
    run_req { aio_load [$wd, 'file'], $got, $_[0] };
    is($got, 'right', '[wd, path] is where the directory went');
    run_req { aio_load [$wd, '../wd/file'], $got, $_[0] };
    is($got, 'right', '".." in it is followed');
    succeeds { aio_copy [$wd, 'file'], [$wd, 'copy'], $_[0] } 'copy in it';
    ok(-e "$dir/moved/wd/copy" && !-e "$dir/up/wd/copy", 'goes there');
  SKIP: {
        skip 'this perl has no threads', 1 unless $Config{useithreads} && eval { require threads };
        my $in_thread = threads->create(sub { my $data; run_req { aio_load [$wd, 'file'], $data, $_[0] }; $data })->join;
        is($in_thread, 'right', 'in another thread as well');
    }
    rename "$dir/up/wd", "$dir/up/away" or die "rename: $!";
    symlink "$dir/up/away", "$dir/up/wd" or die "symlink: $!";
    run_req { aio_unlink [$wd, 'file'], $_[0] };
    ok(!-e "$dir/moved/wd/file" && -e "$dir/up/away/file", 'unlink too');
}

sub by_default {
    delete local @ENV{qw(IO_AIO_ENGINE EIO_TRACE)};
    my $program = 'use IO::AIO; open my $fh, "<", $ARGV[0]; aio_read $fh, 0, 4, my $buf = "", 0; aio_load $ARGV[0], my $d; aio_fsync $fh; IO::AIO::flush; ';
    my $file = write_file fresh_dir() . '/precious-name', 'precious data';
    my $fds = output_of perl_command, '-e', "$program; $list_fds", $file;
    like($fds, qr/^0 /m, 'descriptors are listed') if procfs;
    unlike($fds, qr/io_uring/, 'no ring is set up unasked');
    $ENV{EIO_TRACE} = 1;
    my ($status, $out, $err) = run_perl($program, $file);
    ok($err =~ /load/i && $err !~ /precious/, 'a trace has neither names nor data');
}

each_engine {
    my ($engine) = @_;
  SKIP: {
        needs(12, 'AT');    # going by names it cannot be safe
        exchanged($_) for qw(in beside);
        moved;
        exchanged_often;
        moved_working_directory;
    }
    copies_of_a_fifo if $engine ne 'sync';    # which would wait for the writer itself
    failed_copies;
    if (procfs) { descriptors_are_not_inherited; no_descriptor_race }
    names;
  SKIP: {
        skip 'only root has rights to give up', 1 if $>;
        copies_spied_upon;
        copies_of_privileged_programs;
        credentials($engine);
    }
};
by_default;

done;
