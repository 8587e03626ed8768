/* core_pump.c - copies by read and write where these wait: two threads take turns, and whatever
 * happens in whatever turn, the target is whole or gone. The calls are replaced by ones that wait,
 * count, and do to the source what a test wants at one of them. */
#include "core.h"

#include "../eio_pool.h"

#include <sys/uio.h>
#if EIO_HAVE_SENDFILE_LINUX
# include <sys/sendfile.h>
#endif

enum { SIZE = (11 << 20) + 12345 };
enum { TURNS = 6 }; /* at least so many blocks; the first may be a small one */

static atomic_int nreads, nwrites, overlaps;
static atomic_int writing;       /* now */
static atomic_bool must_overlap; /* writes, but the first and the last, wait for the next read */
static int fail_read, fail_write; /* which one; 0: none */
static enum { NOTHING, CUT, APPEND } event;
static int event_at;              /* before this read */
static char src[] = "src", dst[] = "dst";

#define REPLACED __attribute__((visibility("default")))

/* Gives up the processor, as for a device. */
static void doze(void)
{
  nanosleep(&(struct timespec){ .tv_nsec = 1000 }, NULL);
}

static void let_happen(void)
{
  int fd = open_for_test(src, O_WRONLY | O_APPEND);

  if (event == CUT ? ftruncate(fd, SIZE / 2) : write(fd, "more", 4) != 4)
    bail_out("the source");
  close(fd);
}

REPLACED ssize_t pread(int fd, void *buf, size_t size, off_t offs)
{
  struct iovec all = { buf, size };
  int n = atomic_fetch_add(&nreads, 1) + 1;

  doze();
  if (event && n == event_at)
    let_happen();
  errno = EIO;
  return n == fail_read ? -1 : preadv(fd, &all, 1, offs);
}

REPLACED ssize_t pwrite(int fd, const void *buf, size_t size, off_t offs)
{
  struct iovec all = { (void *)(uintptr_t)buf, size };
  int n = atomic_fetch_add(&nwrites, 1) + 1;
  uint64_t end = eio_p_now() + 20 * UINT64_C(1000000000);
  ssize_t result;

  if (atomic_fetch_add(&writing, 1))
    bail_out("two write at once");
  while (atomic_load(&must_overlap) && n > 1 && n < TURNS && atomic_load(&nreads) <= n && eio_p_now() < end)
    doze();
  doze();
  atomic_fetch_add(&overlaps, atomic_load(&nreads) > n);
  errno = ENOSPC;
  result = n == fail_write ? -1 : pwritev(fd, &all, 1, offs);
  atomic_fetch_sub(&writing, 1);
  return result;
}

#if EIO_HAVE_COPY_FILE_RANGE
REPLACED ssize_t copy_file_range(int in, loff_t *from, int out, loff_t *to, size_t size, unsigned flags)
{
  (void)in, (void)from, (void)out, (void)to, (void)size, (void)flags;
  errno = EXDEV;
  return -1;
}
#endif

#if EIO_HAVE_SENDFILE_LINUX
REPLACED ssize_t sendfile(int out, int in, off_t *offs, size_t size)
{
  (void)out, (void)in, (void)offs, (void)size;
  errno = EINVAL;
  return -1;
}
#endif

/* -------------------------------------------------------------------------- */

/* Each octet says where it is. */
static void make_source(void)
{
  uint32_t *data = malloc(SIZE + 4);
  int fd = open_for_test(src, O_WRONLY | O_CREAT | O_TRUNC);

  if (!data)
    bail_out("memory");
  for (uint32_t i = 0; i <= SIZE / 4; i++)
    data[i] = i * 2654435761u;
  if (write(fd, data, SIZE) != SIZE)
    bail_out("%s", src);
  close(fd);
  free(data);
}

static char *content_of(const char *name, off_t *size)
{
  int fd = open_for_test(name, O_RDONLY);
  char *data;

  *size = lseek(fd, 0, SEEK_END);
  data = malloc((size_t)*size + 1);
  if (!data || lseek(fd, 0, SEEK_SET) < 0 || read(fd, data, (size_t)*size) != *size)
    bail_out("%s", name);
  close(fd);
  return data;
}

static bool is_whole(void)
{
  off_t sizes[2];
  char *a, *b;
  bool same;

  if (!exists(dst))
    return false;
  a = content_of(src, &sizes[0]);
  b = content_of(dst, &sizes[1]);
  same = sizes[0] == sizes[1] && !memcmp(a, b, (size_t)sizes[0]);
  free(a);
  free(b);
  return same;
}

static uint64_t parts_of(eio_ctx *ctx)
{
  struct eio_stats stats;

  eio_get_stats(ctx, &stats);
  return stats.parts;
}

static void submit_copy(eio_ctx *ctx, struct job *job)
{
  atomic_store(&nreads, 0);
  atomic_store(&nwrites, 0);
  atomic_store(&overlaps, 0);
  unlink(dst);
  job_init(job, EIO_COPY, 1);
  job->req.path = src;
  job->req.path2 = dst;
  eio_submit(ctx, &job->req);
}

static void test_overlap(void)
{
  eio_ctx *ctx = context();
  struct job job;

  make_source();
  atomic_store(&must_overlap, !is_sync());
  submit_copy(ctx, &job);
  finish_all(ctx);
  atomic_store(&must_overlap, false);
  check(job.req.result == 0 && is_whole(), "a copy");
  check(atomic_load(&nwrites) >= TURNS && atomic_load(&nwrites) < 2 * TURNS, "in large pieces");
  check((atomic_load(&overlaps) > 0) == !is_sync(), "%s", is_sync() ? "one after another" : "reads overlap writes");
  check_int((int)parts_of(ctx), !is_sync(), "by another thread as well, where there is one");
  eio_destroy(ctx);

  ctx = context();
  eio_set_max_parallel(ctx, 1);
  submit_copy(ctx, &job);
  finish_all(ctx);
  check(job.req.result == 0 && is_whole() && !parts_of(ctx), "by one, with a maximum of 1");
  eio_destroy(ctx);
}

static void test_failures(void)
{
  eio_ctx *ctx = context();
  struct job job;
  int bad = 0;

  make_source();
  for (int i = 0; i < 2 * TURNS; i++) {
    fail_read = i < TURNS ? i + 1 : 0;
    fail_write = i < TURNS ? 0 : i - TURNS + 1;
    submit_copy(ctx, &job);
    finish_all(ctx);
    if (job.req.result != -1 || job.req.errorno != (fail_read ? EIO : ENOSPC) || exists(dst)) {
      diag("read %d or write %d: result %d, %s", fail_read, fail_write, (int)job.req.result, strerror(job.req.errorno));
      bad++;
    }
  }
  fail_read = fail_write = 0;
  check_int(bad, 0, "a read or write that fails in any turn: its error, and no target");
  eio_destroy(ctx);
}

static void test_changes(void)
{
  eio_ctx *ctx = context();
  struct job job;
  int bad = 0;

  for (event_at = 1; event_at <= TURNS; event_at++)
    for (int i = 0; i < 2; i++) {
      make_source();
      event = i ? APPEND : CUT;
      submit_copy(ctx, &job);
      finish_all(ctx);
      if (job.req.result || !is_whole()) {
        diag("%s before read %d", i ? "appended" : "cut", event_at);
        bad++;
      }
    }
  event = NOTHING;
  check_int(bad, 0, "a source that is cut or grows in any turn");
  eio_destroy(ctx);
}

static void test_holes(void)
{
  eio_ctx *ctx = context();
  struct job job;
  int fd;

  make_source();
  fd = open_for_test(src, O_WRONLY);
  if (ftruncate(fd, 3 * (off_t)SIZE) < 0 || pwritev(fd, &(struct iovec){ src, 3 }, 1, 2 * (off_t)SIZE) != 3)
    bail_out("%s", src);
  close(fd);
  submit_copy(ctx, &job);
  finish_all(ctx);
  check(job.req.result == 0 && is_whole(), "a copy of holes");
  check(stat_of(dst).st_blocks <= stat_of(src).st_blocks, "has no more data");
  eio_destroy(ctx);
}

/* In any turn, but in engine sync, where nobody can. */
static void test_cancel(bool reset)
{
  int called = 0, left = 0;

  for (int i = 0; i < 2 * TURNS; i++) {
    eio_ctx *ctx = context();
    struct job job;

    submit_copy(ctx, &job);
    while (atomic_load(&nreads) < i / 2 + 1)
      eio_p_relax();
    if (reset && !is_sync()) {
      eio_reset(ctx);
      wait_orphans(ctx, 1);
    } else {
      eio_cancel(ctx, &job.req);
      finish_all(ctx);
    }
    called += job.called;
    left += exists(dst) && !is_whole();
    eio_destroy(ctx);
  }
  check_int(called, 0, "%s in any turn: it is not called back", reset ? "a reset" : "a cancel");
  check_int(left, 0, "and no part of the target is left");
}

static void test_stops(void)
{
  make_source();
  test_cancel(false);
  test_cancel(true);
}

int main(void)
{
  static test *const tests[] = { test_overlap, test_failures, test_changes, test_holes, test_stops, NULL };

  scratch_begin_in_memory();
  on_each_engine(tests);
  unlink(src);
  unlink(dst);
  return scratch_end(0);
}
