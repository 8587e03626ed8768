/* core_parts.c - operations in parts: whoever executes them, they come to the same end */
#include "core.h"

#include "../eio_pool.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdatomic.h>

/* While this is set, directories do not tell the types of their entries. */
static atomic_bool untyped;

struct kernel_dirent {
  uint64_t inode;
  int64_t offset;
  unsigned short length;
  unsigned char type;
  char name[];
};

#ifdef SYS_getdents64
/* Stands before the C library's. */
long syscall(long number, ...);
__attribute__((visibility("default"))) long syscall(long number, ...)
{
  static long (*_Atomic original)(long, ...);
  long arg[6], n;
  va_list args;

  va_start(args, number);
  for (int i = 0; i < 6; i++)
    arg[i] = va_arg(args, long);
  va_end(args);
  if (!original)
    original = (long (*)(long, ...))(uintptr_t)dlsym(RTLD_NEXT, "syscall");
  n = original(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
  if (number == SYS_getdents64 && untyped)
    for (long at = 0; at < n;) {
      struct kernel_dirent *entry = (struct kernel_dirent *)(uintptr_t)(arg[1] + at);

      entry->type = DT_UNKNOWN;
      at += entry->length;
    }
  return n;
}
#endif

/* Stands before the C library's, too: what this thread opens while it is not to wait. */
static _Thread_local bool no_wait;
static _Thread_local int opened;

int openat(int dir, const char *path, int flags, ...);
__attribute__((visibility("default"))) int openat(int dir, const char *path, int flags, ...)
{
  va_list args;
  mode_t mode;

  va_start(args, flags);
  mode = flags & O_CREAT ? (mode_t)va_arg(args, int) : 0;
  va_end(args);
  opened += no_wait;
  return (int)syscall(SYS_openat, dir, path, flags, mode);
}

static eio_ctx *eager(void)
{
  eio_ctx *ctx = context();

  ctx->pool->eager = true;
  return ctx;
}

static uint64_t parts_of(eio_ctx *ctx)
{
  struct eio_stats stats;

  eio_get_stats(ctx, &stats);
  return stats.parts;
}

/* A tree of pseudo-random shape; the same for the same seed. */
static unsigned make_tree(const char *top, unsigned *seed, int levels)
{
  char name[512];
  unsigned n = 1;

  if (mkdir(top, 0755) < 0)
    bail_out("mkdir %s", top);
  for (int i = rand_r(seed) % 12; i > 0; i--) {
    snprintf(name, sizeof name, "%s/f%d", top, i);
    close(open(name, O_WRONLY | O_CREAT, 0644));
    n++;
  }
  for (int i = levels ? rand_r(seed) % 6 : 0; i > 0; i--) {
    snprintf(name, sizeof name, "%s/d%d", top, i);
    n += make_tree(name, seed, levels - 1);
  }
  return n;
}

static void submit_rmtree(eio_ctx *ctx, struct job *job, char *path)
{
  job_init(job, EIO_RMTREE, 1);
  job->req.path = path;
  eio_submit(ctx, &job->req);
}

static void test_rmtree(void)
{
  eio_ctx *ctx = eager();
  static char top[] = "t";
  int bad = 0;

  for (unsigned round = 0, seed; round < 40; round++) {
    struct job job;

    seed = round;
    make_tree(top, &seed, 4);
    submit_rmtree(ctx, &job, top);
    finish_all(ctx);
    bad += !job.called || job.req.result != 0 || exists(top);
  }
  check_int(bad, 0, "trees are removed");
  check(is_sync() ? parts_of(ctx) == 0 : parts_of(ctx) > 0, "in %s", is_sync() ? "one piece" : "parts");
  eio_destroy(ctx);
}

/* A maximum of 1 is one worker, which keeps the whole. */
static void test_limits(void)
{
  eio_ctx *ctx = eager();
  static char top[] = "t";
  struct job job;
  bool hidden = true;
  unsigned seed = 7;

  eio_set_max_parallel(ctx, 1);
  make_tree(top, &seed, 4);
  submit_rmtree(ctx, &job, top);
  finish_all(ctx);
  check_int(job.req.result, 0, "with a maximum of 1");
  check_int((int)parts_of(ctx), 0, "there are no parts");
  eio_destroy(ctx);

  /* limits that go up and down meanwhile: parts wait, and nothing is lost */
  ctx = eager();
  for (int round = 0; round < 30; round++) {
    uint64_t before = parts_of(ctx);

    make_tree(top, &seed, 4);
    submit_rmtree(ctx, &job, top);
    for (int i = 0; i < 5; i++) {
      eio_set_max_parallel(ctx, 0);
      hidden &= eio_nready(ctx) == 0 || parts_of(ctx) == before; /* it has not begun */
      eio_set_min_parallel(ctx, (unsigned)i + 1);
    }
    finish_all(ctx);
    if (job.req.result || exists(top))
      check(false, "round %d", round);
  }
  check(hidden, "limits that change meanwhile: parts that wait do not show");
  eio_destroy(ctx);
}

static void test_cancel(void)
{
  eio_ctx *ctx = eager();
  static char top[] = "t";
  int called = 0, left = 0;

  for (unsigned round = 0; round < 60; round++) {
    struct job job;
    unsigned seed = round;
    uint64_t before = parts_of(ctx);

    make_tree(top, &seed, 3);
    submit_rmtree(ctx, &job, top);
    for (int i = 0; i < 2000 && parts_of(ctx) == before && !eio_npending(ctx); i++)
      sched_yield();
    eio_cancel(ctx, &job.req);
    finish_all(ctx);
    called += job.called;
    left += exists(top);
    just(on_path(EIO_RMTREE, NULL, top));
  }
  check_int(called, 0, "what was cancelled is not called back");
  diag("%d of 60 trees were there still", left);
  eio_destroy(ctx);
}

static void test_reset(void)
{
  static char top[] = "t";
  int called = 0;

  for (unsigned round = 0; round < 40; round++) {
    eio_ctx *ctx = eager();
    struct job job;
    unsigned seed = round;

    make_tree(top, &seed, 3);
    submit_rmtree(ctx, &job, top);
    for (int i = 0; i < 2000 && !parts_of(ctx) && !eio_npending(ctx); i++)
      sched_yield();
    eio_reset(ctx);
    wait_orphans(ctx, 1);
    called += job.called;
    submit_nop(ctx, &job, 1); /* it is as if never used */
    finish_all(ctx);
    eio_destroy(ctx);
    just(on_path(EIO_RMTREE, NULL, top));
  }
  check_int(called, 0, "what a reset dropped is not called back, and comes back once");
}

/* So many directories, one in the other, that those at the top are closed meanwhile; a few
 * in the last. */
static void make_chain(const char *top)
{
  char name[512];

  snprintf(name, sizeof name, "%s", top);
  mkdir(name, 0755);
  for (int i = 0; i < 30; i++) {
    strcat(name, "/c");
    mkdir(name, 0755);
  }
  for (int i = 0; i < 8; i++) {
    char below[512 + 16];

    snprintf(below, sizeof below, "%s/%d", name, i);
    if (mkdir(below, 0755) < 0 && errno != EEXIST)
      bail_out("mkdir %s", below);
  }
}

/* The owner ends parts that no worker has taken. It does not wait: nothing is opened again,
 * as by the others on their way up. */
static void test_reset_waits_for_nothing(void)
{
  static char top[] = "t";
  int left = 0;

  if (is_sync())
    return;
  opened = 0;
  for (int round = 0; round < 2000 && left < 3; round++) {
    eio_ctx *ctx = eager();
    struct job job;

    make_chain(top);
    submit_rmtree(ctx, &job, top);
    while (!atomic_load(&ctx->nparts) && !eio_npending(ctx))
      eio_p_relax();
    eio_set_max_parallel(ctx, 0); /* when nobody is at it any more, some of it waits, perhaps */
    left += atomic_load(&ctx->nparts) > 0;
    no_wait = true;
    eio_reset(ctx);
    no_wait = false;
    wait_orphans(ctx, !job.called);
    eio_destroy(ctx);
  }
  check(left, "parts are left for a reset");
  check_int(opened, 0, "and their directories are only closed");
  just(on_path(EIO_RMTREE, NULL, top));
}

/* The child has none of it; the parent does not notice. */
static void test_fork(void)
{
  static char top[] = "t";
  int bad = 0;

  for (unsigned round = 0; round < 20; round++) {
    eio_ctx *ctx = eager();
    struct job job;
    unsigned seed = round;
    int status;
    pid_t pid;

    make_tree(top, &seed, 3);
    submit_rmtree(ctx, &job, top);
    for (int i = 0; i < 2000 && !parts_of(ctx) && !eio_npending(ctx); i++)
      sched_yield();
    pid = fork();
    if (pid == 0) {
      forget_threads();
      _exit(take_orphans(ctx) != 1 || eio_nreqs(ctx) || job.called);
    }
    waitpid(pid, &status, 0);
    bad += status != 0;
    finish_all(ctx);
    bad += !job.called || job.req.result != 0 || exists(top);
    eio_destroy(ctx);
  }
  check_int(bad, 0, "a fork meanwhile");
}

static unsigned count_dirs(const eio_req *req)
{
  const struct eio_dents *dents = req->buf;
  unsigned n = 0;

  for (uint32_t i = 0; i < dents->count; i++)
    n += (i < dents->ndirs) == (*eio_dent_name(dents, &dents->list[i]) == 'd');
  return n;
}

static void test_scandir(void)
{
  eio_ctx *ctx = eager();
  static char top[] = "t";
  char name[32];
  int bad = 0;

#ifndef SYS_getdents64
  skip(1, "types cannot be hidden here");
  eio_destroy(ctx);
  return;
#endif
  mkdir(top, 0755);
  for (int i = 0; i < 500; i++) {
    snprintf(name, sizeof name, "t/%c%d", i % 5 ? 'f' : 'd', i);
    if (i % 5 ? mknod(name, S_IFREG | 0600, 0) : mkdir(name, 0700))
      bail_out("%s", name);
  }
  untyped = true;
  for (int round = 0; round < 100; round++) {
    struct job job;

    job_init(&job, EIO_SCANDIR, 1);
    job.req.path = top;
    job.req.size = (uint64_t)round % 4;
    eio_submit(ctx, &job.req);
    if (round % 10 == 9)
      eio_cancel(ctx, &job.req);
    while (eio_nreqs(ctx)) {
      eio_poll_wait(ctx, -1);
      eio_poll_begin(ctx);
      for (eio_req *req; (req = eio_next(ctx)); eio_release(ctx, req))
        if (!eio__cancelled(req))
          bad += req->result != 500 || count_dirs(req) != 500 || ((struct eio_dents *)req->buf)->ndirs != 100;
      eio_poll_end(ctx);
    }
  }
  untyped = false;
  check_int(bad, 0, "types are found");
  check(is_sync() ? parts_of(ctx) == 0 : parts_of(ctx) > 0, "in %s", is_sync() ? "one piece" : "parts");
  eio_destroy(ctx);
  just(on_path(EIO_RMTREE, NULL, top));
}

int main(void)
{
  static test *const tests[] = { test_rmtree, test_limits, test_cancel, test_reset, test_reset_waits_for_nothing, test_fork, test_scandir, NULL };

  scratch_begin_in_memory();
  on_each_engine(tests);
  return scratch_end(0);
}
