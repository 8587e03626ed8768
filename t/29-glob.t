use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Cwd ();
use File::Glob qw(:bsd_glob);
use IO::AIO qw(:DEFAULT :more);

# aio_glob: patterns by chance on a tree, compared with bsd_glob; "**"; working directories; what goes wrong.

my $before = Cwd::getcwd();
my $dir = fresh_dir();
mkdir "$dir/in";
chdir "$dir/in" or die "chdir: $!";
for (qw(a b ab .h B sub/x sub/y sub/.z sub/d/e sub2/x), 'we ird', 'st*r', 'br[a', 'q?', 'back\\s', '{x}', '.dot/x') {
    my @names = split m{/};
    my $path = '';
    for (@names[0 .. $#names - 1]) { mkdir $path .= "$_/" }
    write_file $path . $names[-1];
}
symlink 'sub', 'ln';
symlink 'none', 'dang';
mkdir '../beside';

sub globbed {
    my @args = @_;
    my @got;
    aio_glob $args[0], $args[1], sub { @got = $_[0] ? @{ $_[0] } : "error $!" };
    IO::AIO::flush;
    return "@got";
}

my @flags = (undef, undef, undef, GLOB_CSH, GLOB_BRACE | GLOB_QUOTE, GLOB_CSH | GLOB_MARK, GLOB_NOCASE | GLOB_CSH, 0, GLOB_NOCHECK,
    GLOB_TILDE, GLOB_QUOTE | GLOB_MARK);
my @parts = ('a', 'b', '.', '*', '?', '[ab]', '[!a]', '[a-c]', '[c-a]', '{a,b}', '{a,?}', '/', 'sub', 'sub/', 'x', '\\*', '\\', '[',
    '{a,{b,?}}', '{}{a,x}', '{\\[a],b}', 'ln', '~', 's', 'B', '{}', '[]a]', ']', '//', '{,b}', '[\\]]', '!', '-', '*/', 'd', '../', 'dang', ',');

each_engine {
    srand(my $seed = $ENV{AIOTEST_SEED} || 15);
    my (@differ, $n);
    for (1 .. (extended ? 5000 : thinned ? 150 : 800)) {
        my $pattern = join '', map $parts[rand @parts], 1 .. 1 + rand 5;
        # what is no "**", and means nothing else in brackets; and stays here
        next if $pattern =~ m{\*\*|\[[^\]]*/|\[\\?\][^\]]*/|\A(?:\{,b\})*/|\.\./.*\.\.};
        my $flags = $flags[rand @flags];
        my @want = defined $flags ? bsd_glob($pattern, $flags) : bsd_glob($pattern);
        my $got = globbed($pattern, $flags);
        push @differ, join ' ', $pattern, $flags // 'undef', "want @want got $got" if "@want" ne $got;
        $n++;
    }
    is(join("\n", @differ), '', 'as bsd_glob') or diag "seed $seed";
    cmp_ok($n, '>', 50, 'and there were some patterns');
    local $ENV{HOME} = Cwd::getcwd();
    is(globbed($_), join(' ', bsd_glob($_)), "tilde: $_") for '~', '~/s*', '~root', '~nobody-of-that-name/x', '~{,/sub}';
    is(globbed('*', GLOB_NOSORT) =~ s/(\S+) ?//gr, '', 'not sorted');
    is(join(' ', sort split / /, globbed('s*', GLOB_NOSORT)), 'st*r sub sub2', 'but all of them');

    # any depth
    is(globbed('**/x'), 'ln/x sub/x sub2/x' =~ s/ln\/x //r, '**/ is any directories, none by links, none with dots');
    is(globbed('sub/**/e'), 'sub/d/e', 'in the middle');
    is(globbed('sub/**'), 'sub/d sub/d/e sub/x sub/y', 'at the end');
    is(globbed('**/[xy]'), 'sub/x sub/y sub2/x', 'before a pattern');
    is(globbed('**/sub'), 'sub', 'none at all');
    is(globbed('**/**/e'), 'sub/d/e', 'twice, and found once');
    is(globbed('**/'), 'sub/ sub/d/ sub2/', 'directories') ;
    is(globbed('{sub,sub2}/**/x'), 'sub/x sub2/x', 'with braces');
    is(globbed('\\**'), '', 'quoted, it is not that');

    my $wd;
    aio_wd "$dir/in/sub", sub { $wd = $_[0] };
    IO::AIO::flush;
    is(globbed([$wd, '*']), 'd x y', 'relative to a working directory');
    is(globbed([$wd, '{d/*,nothing}']), 'd/e nothing', 'and others');
    is(globbed(''), '', 'nothing');
    is(globbed('{a,x'), '{a,x', 'a brace without its other stands for itself');

    my @got;
    my $req = aio_glob '**/*', undef, sub { push @got, @_ };
    $req->cancel;
    IO::AIO::flush;
    is("@got", '', 'cancelled');
    aio_glob 'a';
    IO::AIO::flush;
    return if engine eq 'sync';
    saturate(1);
    IO::AIO::aioreq_timeout(0.01);
    aio_glob '**/*', undef, sub { @got = ($_[0], $! + 0) };
    IO::AIO::poll() until @got;
    is_deeply(\@got, [undef, Errno::ETIMEDOUT()], 'a time limit');
    release;
};

# what may not be read
mkdir "$dir/in/closed", 0;
my @closed = as_nobody {
    [globbed('closed/*'), globbed('closed/*', GLOB_ERR), globbed('*/*', GLOB_ERR | GLOB_NOSORT) =~ /\Aerror / ? 'error' : '', globbed('closed/x*/y')];
};
is_deeply($closed[0], ['', "error " . do { local $! = Errno::EACCES(); "$!" }, 'error', ''], 'a directory that may not be read')
    if @closed;
chmod 0700, "$dir/in/closed";

croaks { aio_glob ['x'] } qr/^aio_glob: pathname must be a string/, 'an array';
croaks { aio_glob "\x{100}" } 'aio_glob', 'wide characters';
croaks { aio_glob 'a', 1 << 30 } qr/^aio_glob: flags must be/, 'flags';

chdir $before;
done;
