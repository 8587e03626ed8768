/* core_copy.c - what a context remembers of copies: a way that file systems refuse is not tried
 * again for each file. */
#include "core.h"

#if !EIO_HAVE_FICLONE || !defined __GLIBC__

int main(void)
{
  return tap_skip_all("no shared blocks, or another declaration of ioctl()");
}

#else

#include <dlfcn.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <linux/fs.h>

static atomic_int clones;

/* Stands before the C library's. */
int ioctl(int fd, unsigned long request, ...);
__attribute__((visibility("default"))) int ioctl(int fd, unsigned long request, ...)
{
  static int (*_Atomic original)(int, unsigned long, ...);
  va_list args;
  long arg;

  va_start(args, request);
  arg = va_arg(args, long);
  va_end(args);
  if (request == FICLONE) {
    atomic_fetch_add(&clones, 1);
    errno = EOPNOTSUPP;
    return -1;
  }
  if (!original)
    original = (int (*)(int, unsigned long, ...))(uintptr_t)dlsym(RTLD_NEXT, "ioctl");
  return original(fd, request, arg);
}

static void copy_once(eio_ctx *ctx)
{
  static char from[] = "src", to[] = "dst";
  struct job job;

  unlink(to);
  job_init(&job, EIO_COPY, 1);
  job.req.path = from;
  job.req.path2 = to;
  eio_submit(ctx, &job.req);
  finish_all(ctx);
  if (job.req.result < 0 || stat_of(to).st_size != 4)
    check(false, "a copy");
}

static void test_refusals(void)
{
  eio_ctx *ctx = context();

  put("src", "data");
  atomic_store(&clones, 0);
  for (int i = 0; i < 5; i++)
    copy_once(ctx);
  check_int(atomic_load(&clones), is_sync() ? 5 : 1, "a refusal of shared blocks is remembered by threads");
  eio_destroy(ctx);
}

int main(void)
{
  static test *const tests[] = { test_refusals, NULL };

  scratch_begin_in_memory();
  on_each_engine(tests);
  unlink("src");
  unlink("dst");
  return scratch_end(0);
}

#endif
