#!/usr/bin/perl
# `make -C libeio install`: a C and a C++ program are built by what pkg-config says of it, and run.

use strict;
use warnings;
use File::Temp qw(tempdir);
use FindBin;
use Test::More;

delete @ENV{qw(MAKEFLAGS MAKELEVEL)};
plan skip_all => 'needs pkg-config' if system 'pkg-config --version >/dev/null 2>&1';
my $dir    = tempdir(CLEANUP => 1);
my $libeio = "$FindBin::Bin/../libeio";

my $said = `make -C '$libeio' install DESTDIR=$dir/root PREFIX=/opt/eio 2>&1`;
is($?, 0, 'make install') or diag $said;
is(`cd $dir/root && find . -type f | sort`, <<'LIST', 'what it installs');
./opt/eio/include/libeio/eio.h
./opt/eio/include/libeio/eio_ops.def
./opt/eio/include/libeio/eio_results.def
./opt/eio/include/libeio/eio_walk.h
./opt/eio/lib/libeio.a
./opt/eio/lib/pkgconfig/libeio.pc
LIST

@ENV{qw(PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR)} = ("$dir/root/opt/eio/lib/pkgconfig", "$dir/root");
like(`pkg-config --modversion libeio`, qr/^\d+\.\d+$/, 'its version');
chomp(my $flags = `pkg-config --cflags --libs libeio`);

`sh '$libeio/test/readme.sh' block c '$libeio/README.md' >$dir/readme.c`;
built('cc', 'readme.c', '/ /dev/null/x', qr{^/: directory$}m);

open my $out, '>', "$dir/size.cc" or die "size.cc: $!";
print $out <<'CPP';
#include <eio.h>
#include <cstdio>
#include <cstdlib>
#include <sys/stat.h>

static void called(eio_req *req)
{
  std::printf("%d %d\n", (int)req->result, S_ISDIR(static_cast<struct stat *>(req->buf)->st_mode));
}

int main()
{
  eio_ctx *ctx = eio_create();
  eio_req *req = new eio_req;

  eio_on_release(ctx, [](eio_req *done) { delete done; });
  eio_req_init(req, EIO_STAT);
  req->path = const_cast<char *>("/");
  req->cb = called;
  eio_submit(ctx, req);
  while (eio_nreqs(ctx)) {
    eio_poll_wait(ctx, -1);
    eio_poll(ctx, 0, 0);
  }
  eio_destroy(ctx);
}
CPP
close $out;
SKIP: {
    skip 'no C++ compiler', 2 if system 'c++ --version >/dev/null 2>&1';
    built('c++ -std=c++11 -pedantic', 'size.cc', '', qr/^0 1$/m);
}
done_testing;

sub built {
    my ($compiler, $source, $arguments, $want) = @_;
    my $said = `cd $dir && $compiler -Wall -Wextra $source -o program $flags 2>&1`;
    is("$?$said", 0, "$source: $compiler builds it without a word");
    like(scalar `$dir/program $arguments`, $want, 'and it runs');
}
