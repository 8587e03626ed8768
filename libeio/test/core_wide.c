/* core_wide.c - files of a size or time that 32 bits do not hold. Whether the
 * program's types hold them or not: every engine says what the system says, and
 * none cuts numbers. */
#include "core.h"

#ifndef O_LARGEFILE
# define O_LARGEFILE 0
#endif
#ifdef __GLIBC__
# define ftruncate ftruncate64
#endif

#define GIB4 (INT64_C(4) << 30)

static eio_ctx *ctx;
static const char *const paths[] = { "large", "late", "plain" };
enum { NPATHS = sizeof paths / sizeof *paths };

/* Changes a file in the year 2242. */
static int make_late(const char *path)
{
  const int64_t when = INT64_C(1) << 33;
#ifdef SYS_utimensat_time64
  const int64_t times[4] = { when, 0, when, 0 };

  return (int)syscall(SYS_utimensat_time64, AT_FDCWD, path, times, 0);
#else
  const struct timespec times[2] = { { (time_t)when, 0 }, { (time_t)when, 0 } };

  return utimensat(AT_FDCWD, path, times, 0);
#endif
}

static void make_files(void)
{
  int fd = open_for_test("large", O_RDWR | O_CREAT | O_LARGEFILE);

  if (write(fd, "begin", 5) != 5 || ftruncate(fd, GIB4 + 5) < 0)
    bail_out("no large files here");
  close(fd);
  put("late", "text");
  put("plain", "text");
  if (make_late("late") < 0)
    bail_out("cannot set times");
}

/* What the last request left. */
static struct {
  int64_t result;
  int error;
  struct stat st;
} got;

static void keep(eio_req *req)
{
  got.result = req->result;
  got.error = req->result < 0 ? req->errorno : 0;
  if (req->op == EIO_STAT && req->result == 0)
    got.st = *(const struct stat *)req->buf;
  req->flags &= (uint16_t)~EIO_OWNS_FD;
}

static void ask(eio_req req)
{
  req.cb = keep;
  eio_submit(ctx, &req);
  finish_all(ctx);
}

static void check_stat(const char *how, int result, const struct stat *st)
{
  int error = result < 0 ? errno : 0;

  check(got.result == result && got.error == error, "stat of %s: %s", how, strerror(error));
  check(result < 0
          || (got.st.st_size == st->st_size && got.st.st_mtime == st->st_mtime && got.st.st_ino == st->st_ino
              && got.st.st_blocks == st->st_blocks),
        "has the right numbers");
}

static void test_stat(void)
{
  ctx = context();
  for (int i = 0; i < NPATHS; i++) {
    struct stat st;
    int fd = open_for_test(paths[i], O_RDONLY | O_LARGEFILE);

    ask(on_path(EIO_STAT, NULL, paths[i]));
    check_stat(paths[i], stat(paths[i], &st), &st);
    ask(on_fd(EIO_STAT, fd));
    check_stat("its descriptor", fstat(fd, &st), &st);
    close(fd);
  }
  eio_destroy(ctx);
}

static void test_open(void)
{
  ctx = context();
  for (int i = 0; i < NPATHS; i++) {
    int fd = open(paths[i], O_RDWR | O_APPEND | O_CLOEXEC), error = fd < 0 ? errno : 0;
    eio_req req = on_path(EIO_OPEN, NULL, paths[i]);

    req.arg1 = O_RDWR | O_APPEND;
    ask(req);
    check_int(got.error, error, "open of %s: %s", paths[i], strerror(error));
    check_int(fd < 0 ? 0 : fcntl((int)got.result, F_GETFL), fd < 0 ? 0 : fcntl(fd, F_GETFL),
              "it can grow as far as any other");
    close((int)got.result);
    close(fd);
  }
  eio_destroy(ctx);
}

static void test_read(void)
{
  int fd = open_for_test("large", O_RDONLY | O_LARGEFILE);
  bool wide = sizeof(off_t) > 4;
  char buf[10];

  ctx = context();
  memset(buf, '#', sizeof buf);
  ask(on_data(EIO_READ, fd, GIB4, buf, sizeof buf));
  check_int(got.result, wide ? 5 : -1, "read beyond 4 GiB");
  check_int(got.error, wide ? 0 : EFBIG, "says so");
  check(!memcmp(buf, wide ? "\0\0\0\0\0#####" : "##########", sizeof buf), "no other data");
  close(fd);
  eio_destroy(ctx);
}

int main(void)
{
  static test *const tests[] = { test_stat, test_open, test_read, NULL };

  scratch_begin();
  make_files();
  on_each_engine(tests);
  for (int i = 0; i < NPATHS; i++)
    unlink(paths[i]);
  return scratch_end(0);
}
