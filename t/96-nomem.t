# Memory that cannot be had: each allocation of the module's C code, the glue's and libeio's, fails in turn. A request
# then fails with ENOMEM, or its call dies and says so; each is called back once or, when its call died, never; and
# everything works afterwards. A library that is loaded before the others stands in for malloc.
use strict;
use warnings;
use Config;
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use IO::AIO;

plan skip_all => 'the sanitizer has an allocator of its own' if sanitizer;
plan skip_all => 'valgrind has an allocator of its own' if valgrind;
plan skip_all => 'the other one dies' if is_peer;
plan skip_all => 'needs the allocator of glibc' if $^O ne 'linux' || ($Config{gnulibc_version} || '') eq '';

my $dir = fresh_dir;
my $source = write_file "$dir/nomem.c", <<'C';
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);

/* Whether it is the turn of a call from AIO.so: $ENV{NOMEM} is "what:n", and a change of it counts anew. */
static int fails(void *caller)
{
  static char seen[64];
  static int left;
  const char *wish = getenv("NOMEM"), *name;
  Dl_info info;

  if (!wish || !dladdr(caller, &info) || !info.dli_fname)
    return 0;
  name = strrchr(info.dli_fname, '/');
  if (!name || strcmp(name, "/AIO.so"))
    return 0;
  if (strcmp(seen, wish)) {
    strncpy(seen, wish, sizeof seen - 1);
    left = atoi(strchr(wish, ':') + 1);
  }
  if (__atomic_fetch_sub(&left, 1, __ATOMIC_SEQ_CST))
    return 0;
  errno = ENOMEM;
  return 1;
}

void *malloc(size_t n) { return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(p, n); }
C
plan skip_all => 'needs a C compiler' if system qw(sh -c), "$Config{cc} -O1 -shared -fPIC -o \"\$1\" \"\$2\" -ldl 2>/dev/null", 'sh', "$dir/nomem.so", $source;

my $program = write_file "$dir/program", <<'PERL';
use strict;
use warnings;
use Fcntl;
use IO::AIO;
my ($dir, $engine, @absent) = @ARGV;
my %absent = map { lc, 1 } @absent;
IO::AIO::engine($engine);
mkdir "$dir/d";
symlink 'file', "$dir/link";
sub write_file { open my $fh, '>', "$dir/$_[0]" or die; print $fh 'x' x 20_000; close $fh }
write_file($_) for 'file', map "d/an-entry-with-a-name-$_", 1 .. 200;
my ($wd, $fh, $data);
aio_wd $dir, sub { $wd = $_[0] };
IO::AIO::flush;
my @case = (
    [open => sub { aio_open [$wd, 'file'], O_RDONLY, 0, $_[0] }],
    [read => sub { aio_read $fh, 0, 20_000, $data, 0, $_[0] }],
    [write => sub { aio_write $fh, 0, 10, 'x' x 10, 0, $_[0] }],
    [readv => sub { IO::AIO::aio_readv($fh, undef, [10, 20], [], 0, $_[0]) }],
    [writev => sub { IO::AIO::aio_writev($fh, undef, ['x', 'y'], 0, $_[0]) }],
    [stat => sub { aio_stat "$dir/file", $_[0] }],
    [statvfs => sub { aio_statvfs $dir, $_[0] }],
    [readlink => sub { aio_readlink "$dir/link", $_[0] }],
    [realpath => sub { aio_realpath "$dir/link", $_[0] }],
    [wd => sub { aio_wd [$wd, 'd'], $_[0] }],
    [readdir => sub { aio_readdir "$dir/d", $_[0] }],
    [readdirx => sub { aio_readdirx "$dir/d", IO::AIO::READDIR_DENTS | IO::AIO::READDIR_STAT_ORDER, $_[0] }],
    [scandir => sub { my $cb = $_[0]; aio_scandir "$dir/d", 0, sub { $cb->(@_ ? 1 : -1) } }],
    [load => sub { aio_load "$dir/file", $data, $_[0] }],
    [slurp => sub { aio_slurp "$dir/file", 5, 0, $data, $_[0] }],
    [copy => sub { aio_copy "$dir/file", "$dir/copy", $_[0] }],
    [rename => sub { write_file('from'); aio_rename [$wd, 'from'], [$wd, 'to'], $_[0] }],
    [rmtree => sub { mkdir "$dir/t"; write_file('t/f'); aio_rmtree "$dir/t", $_[0] }],
    [fiemap => sub { aio_fiemap $fh, 0, undef, 0, undef, $_[0] }],
    [group => sub { my $g = aio_group $_[0]; add $g aio_stat("$dir/file"), aio_readdir("$dir/d"); $g }],
);
for (@case) {
    my ($name, $submit) = @$_;
    my ($refused, @wrong) = (0);
    for my $n (0 .. 25) {
        open $fh, '+<', "$dir/file" or die;
        $data = '';
        my ($calls, $ok, $errno) = (0, 0, 0);
        $ENV{NOMEM} = "$name:$n";
        my $lived = eval { $submit->(sub { $errno = $! + 0; $ok = defined $_[0] && $_[0] ne '-1'; $calls++ }); 1 };
        my $error = $@;
        IO::AIO::flush;
        delete $ENV{NOMEM};
        if (!$lived) {
            $refused++;
            $calls = 0 if $name eq 'group'; # that was there before
            push @wrong, "$n: dies with $error, $calls callbacks" if $calls || $error !~ /memory/i;
        }
        elsif ($calls != 1) { push @wrong, "$n: $calls callbacks" }
        elsif (!$ok && $name ne 'group') {
            local $! = $errno;
            $refused++;
            push @wrong, "$n: $!"
                if !$!{ENOMEM} && !($name eq 'rmtree' && $!{ENOTEMPTY}) && !($name eq 'fiemap' && $!{EOPNOTSUPP}) && !($absent{$name} && $!{ENOSYS});
        }
        push @wrong, "$n: " . IO::AIO::nreqs . " left" if IO::AIO::nreqs;
    }
    my $again = 0;
    $submit->(sub { $again++ });
    IO::AIO::flush;
    push @wrong, 'does not work afterwards' if $again != 1;
    print "$name: ", (@wrong ? join('; ', @wrong) : 'fine'), ($refused ? '' : ', never refused'), "\n";
}
print "end\n";
PERL

# What takes no memory of its own, or has a way without it.
my %never = map { $_ => 1 } qw(read write group);

for my $engine (qw(sync pool uring)) {
    my $work = fresh_dir;
    my @absent = without qw(FIEMAP STATVFS);
    my @lines = output_of qw(sh -c), 'exec "$@" 2>&1', qw(sh env LD_PRELOAD=nomem.so), "LD_LIBRARY_PATH=$dir", perl_command, $program, $work, $engine, @absent;
    is($?, 0, "$engine: the program ends well") or diag(@lines);
    is(pop @lines, "end\n", "$engine: at its end");
    for (@lines) {
        my ($name, $said) = /^(\w+): (.*)/ or next;
        like($said, $never{$name} ? qr/^fine/ : qr/^fine$/, "$engine: $name");
    }
    is(scalar(grep /^\w+: fine/, @lines), 20, "$engine: all operations") or diag(@lines);
}
done;
