use strict;
use warnings;
no warnings "newline";    # names have them
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use File::Temp ();
use POSIX ();
use IO::AIO;

# aio_cptree and aio_mvtree: on trees that are made up; what is there already; errors; and what must not be touched.

plan skip_all => 'the peer has none' if is_peer;
IO::AIO->import('aio_cptree', 'aio_mvtree');
ok(!grep($_ eq 'aio_cptree', @IO::AIO::EXPORT), 'exported on request only');
is(prototype 'IO::AIO::aio_cptree', '$$;$$', 'the arguments');
is(prototype 'IO::AIO::aio_mvtree', '$$;$', 'the arguments');

# another file system
my $far = File::Temp::tempdir('aio-far-XXXXXX', DIR => '/dev/shm', CLEANUP => 1) if -w '/dev/shm';
undef $far if $far && (stat $far)[0] == (stat fresh_dir)[0];

sub cptree { IO::AIO::aio_cptree($_[0], $_[1], $_[2], $_[3]) }
sub status_of { my $cb = $_[3]; IO::AIO::aio_cptree($_[0], $_[1], $_[2], sub { $cb->($_[0]) }) }

# What a tree is, as lines: all that lstat says, but for what a copy cannot have.
sub describe {
    my ($top) = @_;
    my (@lines, %name_of);
    my @todo = ('');
    while (defined(my $path = shift @todo)) {
        my $full = $top . (length $path ? "/$path" : '');
        my @st = lstat $full or do { push @lines, "$path: $!"; next };
        my $times = mtime_of($full);
        $st[2] &= ~07777 unless -f _ || -d _ || nodes_have_modes();
        my $line = sprintf '%s: %o %d:%d rdev %d mtime %s', $path, @st[2, 4, 5], -d _ && !-l _ ? 0 : $st[6], $times;
        if (-l _) { $line .= ' -> ' . readlink $full }
        elsif (-f _) {
            $line .= sprintf ' size %d%s %s', $st[7], $st[12] * 512 < $st[7] ? ' holes' : '', unpack '%32C*', -r _ ? read_file($full) : '';
            $line .= ' = ' . ($name_of{"$st[0] $st[1]"} ||= $path) . " of $st[3]" if $st[3] > 1;
        }
        elsif (-d _) {
            push @todo, map length $path ? "$path/$_" : $_, names_in($full);
        }
        push @lines, $line;
    }
    return sort @lines;
}

# Whether the system can change the mode of what is not to be opened: since Linux 6.6, or with a /proc.
sub nodes_have_modes {
    our $have;
    return $have if defined $have;
    POSIX::mkfifo(my $fifo = fresh_dir() . '/fifo', 0600) or die "mkfifo: $!";
    my ($errno, $status) = run_req { IO::AIO::aio_lchmod($fifo, 0640, $_[0]) };
    $status == 0 || errno_name($errno) =~ /^(?:EOPNOTSUPP|ENOTSUP|ENOSYS)$/ or die "lchmod: $errno";
    return $have = $status == 0;
}

# to the nanosecond, where perl can tell
sub mtime_of {
    my ($path) = @_;
    return (lstat $path)[9] unless defined &IO::AIO::statx && !without('STATX');
    return (lstat $path)[9] if IO::AIO::statx($path, IO::AIO::AT_SYMLINK_NOFOLLOW(), IO::AIO::STATX_MTIME()) < 0;
    return join '.', IO::AIO::stx_mtimensec(), (lstat $path)[9];
}

# A tree of all that there is, made up from a number.
sub make_tree {
    my ($dir, $random) = @_;
    my @files;
    my $next = sub { $random = ($random * 1103515245 + 12345) % 2**31; ($random >> 8) % $_[0] };
    my $fill;
    $fill = sub {
        my ($in, $depth) = @_;
        for (1 .. 3 + $next->(5)) {
            my $name = join '', map { my $c = 1 + $next->(255); $c == 47 ? '_' : chr $c } 1 .. 1 + $next->(20);
            my ($path, $kind) = ("$in/$name", $next->(12));
            next if -e $path || -l $path || $name =~ /^\.\.?$/;
            if ($kind < 4) { push @files, write_file($path, join '', map chr $next->(256), 1 .. $next->(5000)) }
            elsif ($kind < 7 && $depth < 5) { mkdir $path or die "mkdir: $!"; $fill->($path, $depth + 1) }
            elsif ($kind == 7) { symlink join('', map chr(1 + $next->(255)), 1 .. 1 + $next->(40)), $path or die "symlink: $!"; next }
            elsif ($kind == 8) { POSIX::mkfifo($path, 0600) or die "mkfifo: $!" }
            elsif ($kind == 9 && @files) { link $files[$next->(scalar @files)], $path or die "link: $!"; next }
            elsif ($kind == 10) {
                push @files, write_file($path, 'begin');
                open my $fh, '+<', $path or die "$path: $!";
                sysseek $fh, 300 << 10, 0;
                syswrite $fh, 'end';
            }
            else { push @files, write_file($path, '') }
            chmod $next->(010000) & ~($< ? 07022 : 0) | ($< ? 0600 : 0), $path unless -d $path && $<;
            chown $next->(3000), $next->(3000), $path unless $<;
            chmod $next->(010000), $path unless $<;
            utime $next->(2**31) + .123456, $next->(2**31) + .654321, $path;
        }
    };
    mkdir $dir or die "mkdir: $!";
    $fill->($dir, 0);
}

sub errors_of { join '; ', map "$_->[0]: $_->[2] " . errno_name($_->[1]), sort { $a->[0] cmp $b->[0] } @{ $_[0] } }

each_engine {
    my $dir = fresh_dir;
    my ($from, $to) = ("$dir/from", "$dir/to");

    for my $seed (1 .. (extended ? 12 : thinned ? 1 : 3)) {
        make_tree("$from$seed", $seed);
        my ($errno, $status, $errors) = run_req { cptree("$from$seed", "$to$seed", 0, $_[0]) };
        is("$status " . errors_of($errors), '0 ', "tree $seed");
        is(join("\n", describe("$to$seed")), join("\n", describe("$from$seed")), 'is the same');
    }

    # what is there already
    mkdir "$dir/$_" for qw(a a/sub a/new b b/sub);
    write_file "$dir/a/$_", "new $_" for qw(x y sub/x new/x);
    write_file "$dir/b/$_", 'old' for qw(x sub/x other);
    symlink 'nowhere', "$dir/b/y" or die "symlink: $!";
    my @before = describe("$dir/b");
    my ($errno, $status, $errors) = run_req { cptree("$dir/a", "$dir/b", IO::AIO::CP_FAIL(), $_[0]) };
    is("$status " . errno_name($errno) . ' ' . errors_of($errors), '-1 EEXIST : mkdir EEXIST', 'CP_FAIL where something is');
    is_deeply([describe("$dir/b")], \@before, 'changes nothing');
    ($errno, $status, $errors) = run_req { cptree("$dir/a", "$dir/b", IO::AIO::CP_SKIP(), $_[0]) };
    is("$status " . errors_of($errors), '0 ', 'CP_SKIP');
    is(join(' ', map read_file("$dir/b/$_"), qw(x sub/x other new/x)), 'old old old new new/x', 'adds what was not there');
    is(readlink "$dir/b/y", 'nowhere', 'and keeps a link');
    my $inode = (stat "$dir/b/new/x")[1];
    ($errno, $status, $errors) = run_req { cptree("$dir/a", "$dir/b", IO::AIO::CP_UPDATE(), $_[0]) };
    is("$status " . errors_of($errors), '0 ', 'CP_UPDATE');
    is(join(' ', map read_file("$dir/b/$_"), qw(x y sub/x other new/x)), 'new x new y new sub/x old new new/x', 'replaces what differs');
    is((stat "$dir/b/new/x")[1], $inode, 'and nothing else');
    ok(!-e "$dir/nowhere", 'links in the target are not followed');
    link "$dir/b/x", "$dir/b/second" or die "link: $!";
    ($errno, $status, $errors) = run_req { cptree("$dir/a", "$dir/b", 0, $_[0]) };
    is("$status " . errors_of($errors), '0 ', 'replacing');
    is((stat "$dir/b/second")[3], 1, 'leaves other names of a file alone');
    isnt((stat "$dir/b/new/x")[1], $inode, 'replaces all');

    # kinds that do not fit, and links where directories should be
    mkdir "$dir/$_" for qw(c c/file c/dir d d/elsewhere);
    write_file "$dir/c/file/inside", 'x';
    write_file "$dir/c/dir/inside",  'x';
    write_file "$dir/c/what",        'x';
    mkdir "$dir/e";
    mkdir "$dir/e/what";
    write_file "$dir/e/file", 'kept';
    symlink '../d/elsewhere', "$dir/e/dir" or die "symlink: $!";
    ($errno, $status, $errors) = run_req { cptree("$dir/c", "$dir/e", 0, $_[0]) };
    is($status, -1, 'what does not fit');
    is(join(' ', sort map $_->[0], @$errors), 'dir file what', 'is told');
    is(read_file("$dir/e/file"), 'kept', 'a file is no place for a directory');
    is_deeply([names_in "$dir/d/elsewhere"], [], 'nor a link to one');
    is_deeply([names_in "$dir/e"], [qw(dir file what)], 'nothing is left');

    # single ones, and itself
    for ([x => "$dir/a/x"], [link => "$dir/b/y"], [slashes => "$dir/a/sub//"]) {
        my ($name, $source) = @$_;
        succeeds { status_of($source, "$dir/single-$name", 0, $_[0]) } "a single $name";
        is(join("\n", describe("$dir/single-$name")), join("\n", describe($source =~ s,/+\z,,r)), 'is the same');
    }
    fails_with { status_of("$dir/a", "$dir/a", 0, $_[0]) } 'EINVAL', 'a tree onto itself';
    fails_with { status_of("$dir/a/x", "$dir/a/x", 0, $_[0]) } 'EINVAL', 'a file onto itself';
    ($errno, $status, $errors) = run_req { cptree("$dir/a", "$dir/a/sub/copy", 0, $_[0]) };
    is(errors_of($errors), 'sub/copy: mkdir EINVAL', 'a target in the source is left out');
    is(read_file("$dir/a/sub/copy/sub/x"), 'new sub/x', 'and all else is copied');
    fails_with { status_of("$dir/none", "$dir/f", 0, $_[0]) } 'ENOENT', 'nothing';
    fails_with { status_of("$dir/a", "$dir/none/f", 0, $_[0]) } 'ENOENT', 'to nowhere';
    fails_with { status_of("$dir/a", "$dir/a/x/f", 0, $_[0]) } 'ENOTDIR', 'below a file';
    fails_with { status_of('', "$dir/f", 0, $_[0]) } 'ENOENT', 'no source';
    fails_with { status_of("$dir/a", '', 0, $_[0]) } 'ENOENT', 'no target';
    fails_with { status_of("$dir/a", "$dir/f", 3, $_[0]) } 'EINVAL', 'two flags';

    # relative to working directories
    my (undef, $wd) = run_req { aio_wd $dir, $_[0] };
    succeeds { status_of([$wd, 'b'], [$wd, 'relative'], 0, $_[0]) } 'relative to a working directory';
    is_deeply([describe("$dir/relative")], [describe("$dir/b")], 'is the same');

    # somebody without rights
    chmod 0777, $dir;
    my @got = as_nobody {
        mkdir "$dir/mine" or die "mkdir: $!";
        mkdir "$dir/mine/$_" for qw(a closed z);
        write_file "$dir/mine/$_", $_ for qw(a/f z/f locked);
        chmod 0,     "$dir/mine/closed", "$dir/mine/locked";
        chmod 06755, "$dir/mine/a/f";
        chmod 0555,  "$dir/mine/z";
        my ($errno, $status, $errors) = run_req { cptree("$dir/mine", "$dir/theirs", 0, $_[0]) };
        my @said = ($status, errors_of($errors), mode_of("$dir/theirs/z"), read_file("$dir/theirs/z/f"));
        chmod 0755, map("$dir/mine/$_", qw(closed z)), "$dir/theirs/z";
        @said;
    };
    is_deeply(\@got, [-1, 'closed: open EACCES; locked: open EACCES', 0555, 'z/f'], 'what cannot be read is told, the rest is copied');
    if (!$<) {
        write_file "$dir/a/setuid", 'x';
        chmod 06755, "$dir/a/setuid";
        @got = as_nobody { run_req { cptree("$dir/a", "$dir/others", 0, $_[0]) }; mode_of("$dir/others/setuid") };
        is($got[0], 0755, 'who cannot give a file away gives nobody its rights');
    }

    # cancelled
    SKIP: {
        saturate or skip 'nothing waits on this engine', 1;
        cptree("$dir/a", "$dir/cancelled", 0, sub { fail('called back') })->cancel;
        release;
        IO::AIO::flush;
        ok(!-e "$dir/cancelled", 'cancelled before it ran it makes nothing');
    }
    # moves
    for ([near => "$dir/near"], [far => $far && "$far/moved"]) {
        my ($name, $place) = @$_;
        SKIP: {
            $place or skip 'no other file system', 8;
            make_tree("$dir/go", 7);
            my @was = describe("$dir/go");
            my ($errno, $status, $errors) = run_req { IO::AIO::aio_mvtree("$dir/go", $place, $_[0]) };
            is("$status " . errors_of($errors), '0 ', "a move to a place that is $name");
            is(join("\n", describe($place)), join("\n", @was), 'all is there');
            ok(!-e "$dir/go", 'and no more here');
            make_tree("$dir/go", 8);
            @was = describe($place);
            ($errno, $status, $errors) = run_req { IO::AIO::aio_mvtree("$dir/go", $place, $_[0]) };
            my $said = 'ENOTEMPTY';
            if ($name eq 'near') {    # a rename, for which xfs has another error
                my $full = fresh_dir;
                mkdir "$full/$_" or die "mkdir: $!" for qw(from to to/sub);
                $said = rename("$full/from", "$full/to") ? 'no error' : errno_name($!);
            }
            is("$status " . errno_name($errno), "-1 $said", 'onto a directory that is not empty');
            is(join("\n", describe($place)), join("\n", @was), 'changes nothing there');
            ok(-e "$dir/go", 'nor here');
            run_req { aio_rmtree $place, $_[0] };
            mkdir $place or die "mkdir: $!";
            @was = describe("$dir/go");
            run_req { IO::AIO::aio_mvtree("$dir/go", $place, $_[0]) };
            is(join("\n", describe($place)), join("\n", @was), 'an empty one is replaced');
            run_req { aio_rmtree $place, $_[0] };
            write_file "$dir/go", 'a file';
            write_file $place, 'old';
            run_req { IO::AIO::aio_mvtree("$dir/go", $place, $_[0]) };
            is(read_file($place) . (-e "$dir/go" ? ' twice' : ''), 'a file', 'a single file');
            unlink $place or die "unlink: $!";
        }
    }
    SKIP: {
        skip 'no other file system', 3 unless $far;
        mkdir "$dir/half";
        mkdir "$dir/half/$_" for qw(a b);
        write_file "$dir/half/$_", $_ for qw(a/f b/f);
        chmod 0,    "$dir/half/b/f";
        chmod 0777, $dir, $far, map "$dir/half/$_", '.', 'a', 'b';
        my @got = as_nobody {
            my ($errno, $status, $errors) = run_req { IO::AIO::aio_mvtree("$dir/half", "$far/half", $_[0]) };
            ($status, errors_of($errors));
        };
        is_deeply(\@got, [-1, 'b/f: open EACCES'], 'what cannot be copied is told');
        ok(-e "$dir/half/a/f" && -e "$dir/half/b/f", 'and nothing is removed');
        is(read_file("$far/half/a/f"), 'a/f', 'though it was copied');
        run_req { aio_rmtree "$far/half", $_[0] };
    }
    croaks { IO::AIO::aio_cptree([], 'x') } 'aio_cptree', 'no source';
    croaks { IO::AIO::aio_cptree('x', 'x', 0, 1) } 'aio_cptree', 'no callback';
};

done;
