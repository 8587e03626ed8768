# bin/aio: each verb on trees with all kinds of entries, against what the classic tool does; statuses; objects.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AIOTest;
use ToolTest;
use Digest::SHA ();
use IO::AIO::Tool ();
use JSON::PP ();

sub has { my ($tool) = @_; grep -x "$_/$tool", split /:/, $ENV{PATH} || '' }
sub is_gnu { my ($tool) = @_; has($tool) && `$tool --version 2>&1` =~ /GNU/ }

# The objects that were printed.
sub objects { map JSON::PP->new->utf8->decode($_), split /\n/, $_[0] }

usual_engine {
    my $root = make_tree(fresh_dir() . '/tree');

    subtest find => sub {
        my @all = sort map "$root$_", keys %{ fingerprint($root) };
        my ($status, $out, $err) = aio('find', '-0', $root);
        is_deeply([sort split /\0/, $out], \@all, 'all names');
        is("$status $err", '0 ', 'no error');
        is((aio('find', '-0', '-s', '-j', 1, $root))[1], join('', map "$_\0", @all), 'in order');
        is((aio('find', '--sort', '-d', 1, $root))[1], join('', map "$_\n", grep m{\A\Q$root\E(?:/[^/]*)?\z}, @all), 'not deep');
        is((aio('find', "$root/d/up"))[1], "$root/d/up\n", 'a link is not followed');
        is((aio('find', '-d0', "$root/d/up/"))[1], "$root/d/up/\n", 'with a slash it is');
        is((aio('find', $root, "$root/none"))[0], 1, 'what is not there');
        is((aio('find', "$root/none"))[2], "aio find: $root/none: No such file or directory\n", 'a message');
        my @objects = objects((aio('find', '--json', "$root/d/empty", "$root/\xe4\xff"))[1]);
        is_deeply([@{ $objects[0] }{qw(type path kind)}], ['entry', "$root/d/empty", 'd'], 'an object');
        is(scalar(grep exists $_->{path_base64}, @objects), 7, 'names that are no UTF-8');
        is_deeply([@{ $objects[-1] }{qw(type directories others failed)}], ['result', 2, 6, 0], 'the result last');
        my ($dirs) = map scalar @$_, [grep -d && !-l, @all];
        my $counted = (aio('find', '--count', $root))[1];
        like($counted, qr/^directories +$dirs$/m, 'directories are counted');
        like($counted, qr/^other entries +${\(@all - $dirs)}$/m, 'other entries');
        my $compared = (aio('find', '--compare', $root))[1];
        like($compared, qr/^directories +$dirs +$dirs$/m, 'compared');
        like($compared, qr/^aio is \d+\.\d\d times as fast/m, 'a ratio');
        unlike($compared, qr/differ/, 'no difference');
      SKIP: {
            is_gnu('find') or skip 'no GNU find', 13;
            for my $type (qw(d f l p)) {
                is_deeply([sort split /\0/, (aio('find', '-0t', $type, $root))[1]],
                    [sort split /\0/, output_of('find', $root, '-type', $type, '-print0')], "type $type");
            }
            for my $glob ('*', '?', 'b*', '.*', '[a-e]*', '[!a-e]*', '-[^-]', '*\\*', 'tree') {
                local $ENV{LC_ALL} = 'C';
                is_deeply([sort split /\0/, (aio('find', '-0', "--name=$glob", $root))[1]],
                    [sort split /\0/, output_of('find', $root, '-name', $glob, '-print0')], "name $glob");
            }
        }
    };

    subtest du => sub {
        mkdir "$root/d/$_" or die $! for qw(one two);
        write_file("$root/d/one/f", 'x' x 20_000);
        link "$root/d/one/f", "$root/d/two/f" or die $!;
        my @kib = map /^(\d+)/, split /\n/, (aio('du', '-s', "$root/d/one", "$root/d/two"))[1];
        ok($kib[0] >= 20 && $kib[1] < 20, 'over several arguments a file counts once') or diag "@kib";
        unlink "$root/d/one/f", "$root/d/two/f";
        rmdir "$root/d/$_" for qw(one two);
        is_gnu('du') or plan skip_all => 'no GNU du';
        unlink "$root/d/big more";    # which of two names is counted is by chance
        rename "$root/d/big again", "$root/d/empty/big" or die $!;
        for (['-k'], ['-kx', '-x'], ['-kd1', '-d1'], ['-ks', '-s'], ['-ka', '--all'], ['-ks0', '-s0']) {
            my ($theirs, @ours) = @$_;
            my $end = $theirs =~ /0/ ? "\0" : "\n";
            is_deeply([sort split /$end/, (aio('du', @ours, "$root/d", "$root/octets"))[1]],
                [sort split /$end/, output_of('du', $theirs, "$root/d", "$root/octets")], "as du $theirs");
        }
        rename "$root/d/empty/big", "$root/d/big again" or die $!;
        link "$root/big", "$root/d/big more" or die $!;
        my $sum = 0;
        my %seen;
        $sum += !-d && $seen{ (lstat)[1] }++ ? 0 : (lstat)[7] for map "$root$_", keys %{ fingerprint($root) };
        is((aio('du', '-bs', $root))[1], "$sum\t$root\n", 'octets');
        is((objects((aio('du', '-bs', '--json', "$root/d/empty"))[1]))[0]{octets}, (lstat "$root/d/empty")[7], 'an object');
        is((aio('du', "$root/none"))[0], 1, 'what is not there');
    };

    subtest 'cat and hash' => sub {
        my @files = map "$root/$_", 'big', 'empty', 'd/file', "d/line\nbreak/file";
        is((aio('cat', @files))[1], join('', map read_file($_), @files), 'cat');
        my ($status, $out, $err) = aio('cat', "$root/none", $root, $files[2]);
        is($out, read_file($files[2]), 'the others are written');
        is($status, 1, 'status');
        like($err, qr/none: No such file.*: Is a directory/s, 'messages');
        open my $onto, '>>', "$root/d/file" or die $!;
        my $size = -s $onto;
        waitpid start_aio($onto, 'cat', "$root/d/file"), 0;
        is($?, 256, 'not onto itself');
        is(-s $onto, $size, 'nothing is written');
        utime 1_000_000_001, 1_000_000_002.25, "$root/d/file";
        my $want = join '', map { Digest::SHA->new(256)->addfile($_)->hexdigest . "  $_\0" } @files;
        is((aio('hash', '-0', @files))[1], $want, 'hash');
        $want = Digest::SHA->new(512)->addfile($files[0])->hexdigest . "  $files[0]\n";
        is((aio('hash', '-a512', $files[0]))[1], $want, 'another algorithm');
        is((objects((aio('hash', '--json', $files[0]))[1]))[0]{hash}, Digest::SHA->new(256)->addfile($files[0])->hexdigest, 'an object');
      SKIP: {
            has('sha256sum') or skip 'no sha256sum', 1;
            is((aio('hash', @files))[1], output_of('sha256sum', @files), 'as sha256sum');
        }
    };

    subtest cp => sub {
        my $to = fresh_dir();
        my ($status, $out, $err) = aio('cp', $root, "$to/copy");
        is("$status $out$err", '0 ', 'no error');
        is_deeply(fingerprint("$to/copy"), fingerprint($root), 'a tree');
        is((stat "$to/copy/big")[1], (stat "$to/copy/d/big more")[1], 'the names of a file');
        is((aio('cp', $root, "$to/copy"))[0], 0, 'below a directory');
        is_deeply(fingerprint("$to/copy/tree"), fingerprint($root), 'is the tree');
        is((aio('cp', "$root/d/file", "$to/copy/d/file"))[0], 0, 'a file over another one');
        is((aio('cp', "$root/big", "$root/empty", "$to/copy/octets"))[0], 0, 'several');
        symlink 'target', "$to/link" or die $!;
        write_file("$to/target", 'kept');
        is((aio('cp', "$root/empty", "$to/link"))[0], 0, 'a file over a link');
        is(join(' ', -l "$to/link" ? 1 : 0, read_file("$to/target")), '0 kept', 'replaces the link');
        for (['skip', 0, 'kept'], ['fail', 1, 'kept'], ['replace', 0, '']) {
            my ($how, $want, $text) = @$_;
            is((aio('cp', "--existing=$how", "$root/empty", "$to/target"))[0], $want, "$how: status");
            is(read_file("$to/target"), $text, "$how: contents");
        }
        my %refused = ("cp\0$root\0$root/d/new" => 'into itself', "cp\0$root/big\0$root/big" => 'onto itself',
            "cp\0$root/big\0$root/./d/../big" => 'by another name', "cp\0$root/big\0$root/d/big again" => 'another name of it',
            "cp\0$root/big\0$root/empty\0$root/none" => 'several to nowhere', "cp\0$root/d\0$to/target" => 'a tree onto a file',
            "cp\0$root/none\0$to" => 'what is not there', "cp\0$root\0$root/d/up/d/new" => 'into itself by a link');
        my $before = fingerprint($root);
        is((aio(split /\0/, $_))[0], 1, $refused{$_}) for sort keys %refused;
        is_deeply(fingerprint($root), $before, 'nothing has changed');
        is(join(' ', grep /\.aio-/, map names_in($_), $to, "$to/copy", "$to/copy/d"), '', 'nothing is left');
      SKIP: {
            is_gnu('cp') or skip 'no GNU cp', 1;
            is(system('cp', '-a', $root, "$to/theirs"), 0, 'cp -a');
            is_deeply(fingerprint("$to/copy/tree"), fingerprint("$to/theirs"), 'is the same');
        }
    };

    subtest 'cp and mv to one name' => sub {
        my $to = fresh_dir();
        mkdir "$to/$_" or die $! for qw(a b to);
        write_file("$to/$_/f", $_) for qw(a b);
        for my $verb (qw(cp mv)) {
            my ($status, undef, $err) = aio($verb, "$to/a/f", "$to/b/f", "$to/to");
            is($status, 1, "$verb: refused");
            like($err, qr{/b/f: has the same name as \S+/a/f}, 'the second');
            is(join(' ', map read_file("$to/$_/f"), qw(to b)), 'a b', 'nothing is lost');
        }
        mkdir "$to/b/x" or die $!;
        for ('.', '..', '/', "$to/b/.", "$to/b/x/..") {
            my ($status, undef, $err) = aio('mv', $_, "$to/new");
            is($status, 1, "mv $_");
            like($err, qr/: refused: it is the root directory, "." or ".."$/, 'is refused');
        }
        is(join(' ', names_in("$to/b")), 'f x', 'nothing has moved');
    };

    subtest mv => sub {
        my $to = fresh_dir();
        aio('cp', $root, "$to/a");
        my $was = fingerprint("$to/a");
        is((aio('mv', "$to/a", "$to/b"))[0], 0, 'a tree');
        is_deeply(fingerprint("$to/b"), $was, 'is as it was');
        write_file("$to/$_", $_) for 'one', 'two';
        is((aio('mv', '-e', 'skip', "$to/one", "$to/two"))[0], 0, 'skip');
        is((aio('mv', '-e', 'fail', "$to/one", "$to/two"))[0], 1, 'fail');
        is(join(' ', map read_file("$to/$_"), 'one', 'two'), 'one two', 'both are there');
        is((aio('mv', '-v', "$to/one", "$to/two"))[1], "move $to/two\n", 'replace');
        is((aio('mv', "$to/two", "$to/b/d/file", "$to/b/d/empty"))[0], 0, 'several');
        is_deeply([names_in("$to/b/d/empty")], ['file', 'two'], 'are in the directory');
        is((aio('mv', "$to/b", "$to/b/d/empty"))[0], 1, 'into itself');
      SKIP: {
            my $far = -d '/dev/shm' && -w _ && (stat _)[0] != (stat $to)[0] ? "/dev/shm/aio-tool-$$" : undef;
            $far or skip 'no other file system', 6;
            $was = fingerprint("$to/b");
            is((aio('mv', "$to/b", $far))[0], 0, 'to another file system');
            is_deeply(fingerprint($far), $was, 'is as it was');
            ok(!-e "$to/b", 'and not here any more');
            is((aio('mv', '-e', 'fail', "$far/big", "$far/empty", $to))[0], 0, 'files back');
            is(-s "$to/big", 3_000_000, 'a file');
            is((aio('rm', '-r', $far))[0], 0, 'away with it');
        }
    };

    subtest sync => sub {
        my $top = fresh_dir();
        my ($from, $to) = ("$top/from", "$top/to");
        aio('cp', $root, $from);
        is((aio('sync', $from, $to))[0], 0, 'a new tree');
        is_deeply(fingerprint($to), fingerprint($from), 'is the same');
        my @result = objects((aio('sync', '--json', '-v', $from, $to))[1]);
        is_deeply([map scalar(@result), grep $_, @{ $result[0] }{qw(files links others deleted)}], [], 'nothing to do')
            or diag explain \@result;
        write_file("$from/d/file", 'changed');
        write_file("$from/new", 'new');
        chmod 0644, "$from/empty";
        unlink "$from/d/a b";
        mkdir "$to/junk" or die $!;
        write_file("$to/junk/junk", '');
        symlink '/', "$to/d/root" or die $!;
        unlink "$from/fifo";
        mkdir "$from/fifo" or die $!;
        my $before = fingerprint($to);
        write_file("$top/mine", 'mine');
        symlink 'mine', "$top/link" or die $!;
        symlink 'nowhere', "$top/dangling" or die $!;
        is((aio('sync', '--delete', '--yes', $from, "$top/$_"))[0], 1, "refused: onto $_") for qw(mine link dangling);
        is(read_file("$top/link") . readlink "$top/dangling", 'minenowhere', 'they stay');
        for ([], ['-n'], ['-n', '--yes']) {
            my ($status, $out) = aio('sync', '--delete', @$_, $from, $to);
            is($status, 0, "shown: status (@$_)");
            like($out, qr/^$_$/m, "shown: $_") for "delete \Q$to\E/junk", "delete \Q$to\E/d/root", "copy \Q$to\E/new", "copy \Q$to\E/d/file";
            is_deeply(fingerprint($to), $before, 'nothing is done');
        }
        is((aio('sync', $from, $to))[0], 0, 'without --delete');
        ok(-e "$to/junk/junk" && -s "$to/new" == 3, 'nothing is removed');
        is((aio('sync', '--delete', '--yes', $from, $to))[0], 0, 'with it');
        is_deeply(fingerprint($to), fingerprint($from), 'the trees are the same');
        ok(-e "/", 'a link was not followed');
        is((aio('sync', '--delete', '--yes', $_->[0], $_->[1]))[0], 1, "refused: $_->[2]")
            for [$from, "$from/d", 'into itself'], ["$from/d", $from, 'around itself'], ["$top/none", $to, 'from nowhere'],
            ["$from/big", $to, 'from a file'], [$from, $from, 'onto itself'];
        is_deeply(fingerprint($to), fingerprint($from), 'nothing has changed');
    };

    subtest rm => sub {
        my $top = fresh_dir();
        aio('cp', $root, "$top/tree");
        symlink '/', "$top/root" or die $!;
        symlink 'tree', "$top/link" or die $!;
        my $before = fingerprint($top);
        my @names = ('/', '//', '///', '/.', '/..', '.', '..', './', '..//', "$top/tree/.", "$top/tree/..", "$top/tree/.//",
            "$top/root/", "$top/root//", "$top/link/", '', "$top/tree");
        push @names, '/proc/self/root' if -e '/proc/self/root/';
        push @names, '/proc/self/root/' if -e '/proc/self/root/';
        for my $options (extended ? ([], ['-f'], ['-r'], ['-rfx']) : (), ['-rf']) {
            for my $name (@names) {
                next if "@$options" =~ /r/ && $name eq "$top/tree";
                # Neither may a fault here do harm: no name is removed of which there is nothing to be refused.
                my ($status, undef, $err) = aio('rm', @$options, '--', $name);
                is($status, 1, "refused: rm @$options '$name'") or BAIL_OUT("it removed $name");
            }
        }
        is_deeply(fingerprint($top), $before, 'nothing is gone');
        is((aio('rm', "$top/link"))[0], 0, 'a link');
        is_deeply([names_in($top)], [qw(root tree)], 'is gone, and nothing else');
        is((aio('rm', "$top/none"))[0], 1, 'what is not there');
        is((aio('rm', '-f', "$top/none"))[0], 0, 'with -f');
        is(join("\n", sort split /\n/, (aio("rm", "-rvx", "$top/tree/", "$top/root"))[1]), "$top/root\n$top/tree/", 'a tree and a link');
        is_deeply([names_in($top)], [], 'are gone');
    };

    subtest usage => sub {
        my @wrong = (['nonsense'], ['find', '--nonsense'], ['find', '-Q'], ['find', '-j', 0], ['find', '-jx'], ['find', '-j'],
            ['find', '--json=1'], ['find', '-t', 'x'], ['cp'], ['cp', 'a'], ['rm'], ['cat'], ['hash'], ['sync', 'a'],
            ['sync', 'a', 'b', 'c'], ['hash', '-a', 3, 'a'], ['find', '--timeout', '-1'], ['cp', '-e', 'x', 'a', 'b'], ['help', 'x'],
            ['--completion', 'fish'], ['find', '--compare', '-x'], ['cat', '--json', 'a'], ['--nonsense']);
        for (extended ? @wrong : @wrong[0 .. 9]) {
            my ($status, $out, $err) = aio(@$_);
            is("$status $out", '2 ', "aio @$_");
            like($err, qr/^aio: [^\n]+\ntry: aio [^\n]+\n\z/, 'a message');
        }
        my ($status, $out) = aio('--version');
        like("$status $out", qr/^0 aio [\d.]+ \(IO::AIO \Q$IO::AIO::VERSION\E, engine ${\engine}\)$/, '--version');
        for (['--help'], ['-h'], ['help'], [], map([$_, '--help'], extended ? qw(cat cp du find hash mv rm sync) : 'cp'), ['help', 'cp']) {
            my ($status, $out) = aio(@$_);
            is($status, 0, "aio @$_");
            like($out, qr/^usage: aio /, 'how it is used');
        }
        is((aio('find', '--timeout', 0, '/'))[0], 1, 'no time at all');
    };
};

# The page of the manual and the completions say what the table says.
{
    my $page = read_file("$FindBin::Bin/../bin/aio");
    my %items = map { /^(\w+)/ ? ($1 => $_) : () } split /^=head2 /m, $page =~ /^=head1 VERBS\n(.*?)^=head1/ms ? $1 : '';
    my ($common) = $page =~ /^=head1 OPTIONS OF ALL VERBS\n(.*?)^=head1/ms;
    my %verb = map { $_->[0] => $_ } @IO::AIO::Tool::VERB;
    is(join(' ', sort keys %items), join(' ', sort keys %verb), 'each verb has a section');
    my $item = sub {
        my ($name, $letter, $kind) = @{ $_[0] };
        my $value = $kind eq '' ? '' : '=I<' . ($kind =~ /\|/ ? 'WHICH' : $kind) . '>';
        return '=item ' . (length $letter ? "B<-$letter>, " : '') . "B<--$name>$value";
    };
    my $items_of = sub { join "\n", sort $_[0] =~ /^(=item .*)/mg };
    is($items_of->($common), join("\n", sort map $item->($_), grep $_->[3] eq '', @IO::AIO::Tool::OPTION), 'options of all verbs');
    for my $name (sort keys %verb) {
        like($items{$name}, qr/^\Q$name $verb{$name}[2]\E\n/, "$name: arguments");
        my @own = grep " $_->[3] " =~ / $name /, @IO::AIO::Tool::OPTION;
        is($items_of->($items{$name}), join("\n", sort map $item->($_), @own), "$name: options");
    }
    my $completions = "$FindBin::Bin/../share/completions";
    for (['bash', 'aio'], ['zsh', '_aio']) {
        my ($shell, $file) = @$_;
        is((aio('--completion', $shell))[1], read_file("$completions/$file"), "completion for $shell");
      SKIP: {
            has($shell) or skip "no $shell", 1;
            is(system($shell, '-n', "$completions/$file"), 0, 'without faults of syntax');
        }
    }
  SKIP: {
        has('bash') or skip 'no bash', 3;
        my $complete = sub {
            output_of('bash', '-c', 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _aio; echo "${COMPREPLY[*]}"',
                "$completions/aio", 'aio', @_);
        };
        is($complete->('c'), "cat cp\n", 'verbs');
        is($complete->('rm', '--re'), "--recursive\n", 'options');
        is($complete->('cp', '--existing', 's'), "skip\n", 'values');
    }
}

done;
