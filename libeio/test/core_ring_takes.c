/* core_ring_takes.c - what the ring takes (eio_uring_ops.c), and that callers see nothing of it. */
#include "core.h"

#include <sys/mman.h>
#include <sys/socket.h>

static eio_ctx *ctx;
static struct job jobs[3];

static struct eio_stats stats(void)
{
  struct eio_stats s;

  eio_get_stats(ctx, &s);
  return s;
}

/* O_DIRECT is for the files of some file systems. */
static int direct_file(void)
{
#ifdef O_DIRECT
  int fd;

  close(open_for_test("direct", O_RDWR | O_CREAT));
  fd = open("direct", O_RDWR | O_DIRECT);
  return fd >= 0 && ftruncate(fd, 8192) == 0 ? fd : -1;
#else
  return -1;
#endif
}

/* Entries of the ring ------------------------------------------------------ */

#if EIO_HAVE_LIBURING
#include <liburing.h>
#include <limits.h>

/* The tests below are skipped where there is no ring, so somebody has to notice
 * when it is there and not used. */
static void test_granted(void)
{
  struct io_uring uring;

  if (!EIO_HAVE_EVENTFD || io_uring_queue_init(256, &uring, 0) < 0)
    return skip(1, "the system grants no ring");
  io_uring_queue_exit(&uring);
  ctx = eio_create();
  is_int(eio_set_engine(ctx, "uring"), 0, "the ring that the system grants is used");
  eio_destroy(ctx);
}

static struct io_uring_sqe sqe;

static bool takes(eio_req req)
{
  eio_ctx *own = eio_create();
  bool does;

  memset(&sqe, 0, sizeof sqe);
  does = eio__ops[req.op].prepare(own, &req, &sqe);
  eio_destroy(own);
  return does;
}

static bool asks_for(int opcode, int fd, const void *buf, unsigned size, int64_t offs, unsigned flags)
{
  return sqe.opcode == opcode && sqe.fd == fd && sqe.addr == (uintptr_t)buf && sqe.len == size
         && sqe.off == (uint64_t)offs && sqe.fsync_flags == flags;
}

static void test_asks_for(void)
{
  static char buf[10];
  int file = open_for_test("file", O_RDWR | O_CREAT), direct = direct_file();

  ok(takes(on_data(EIO_READ, file, 7, buf, 10)) && asks_for(IORING_OP_READ, file, buf, 10, 7, 0), "a read");
  is_int(lseek(file, 0, SEEK_CUR), 0, "the file's position is left alone");
  ok(takes(on_fd(EIO_FSYNC, file)) && asks_for(IORING_OP_FSYNC, file, NULL, 0, 0, 0), "fsync");
  ok(takes(on_fd(EIO_FDATASYNC, file))
     && asks_for(IORING_OP_FSYNC, file, NULL, 0, 0, IORING_FSYNC_DATASYNC), "fdatasync");
  close(file);
  if (direct < 0)
    return skip(1, "no direct I/O here");
  ok(takes(on_data(EIO_WRITE, direct, 7, buf, 10)) && asks_for(IORING_OP_WRITE, direct, buf, 10, 7, 0),
     "a direct write");
  close(direct);
}

/* INT_MAX is what an entry can say and Linux does at once. */
static void test_bounds(void)
{
  int file = open_for_test("file", O_RDWR | O_CREAT), direct = direct_file();
  uint64_t most = INT_MAX;

  ok(takes(on_data(EIO_READ, file, 0, NULL, 32768)), "a read of 32 KiB");
  ok(!takes(on_data(EIO_READ, file, 0, NULL, 32769)), "not of more");
  ok(!takes(on_data(EIO_READ, file, -1, NULL, 1)), "none at the file's position, which it shares with others");
  ok(!takes(on_data(EIO_READ, file, -2, NULL, 1)), "no negative offset");
  ok(!takes(on_data(EIO_WRITE, file, 0, NULL, 1)), "no buffered write");
  close(file);
  if (direct < 0)
    return skip(6, "no direct I/O here");
  for (int i = 0; i < 2; i++) {
    enum eio_op op = i ? EIO_WRITE : EIO_READ;

    ok(takes(on_data(op, direct, 0, NULL, most)), "%s: a direct one of any size", eio_op_info(op)->name);
    ok(!takes(on_data(op, direct, 0, NULL, most + 1)), "but no more than that");
    ok(!takes(on_data(op, direct, -1, NULL, 1)), "nor at the position");
  }
  close(direct);
}

static void limited(void)
{
  struct rlimit limit = { 8192, 8192 };
  int direct = open("direct", O_RDWR | O_DIRECT);

  if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
    bail_out("setrlimit");
  ok(!takes(on_data(EIO_WRITE, direct, 0, NULL, 1)), "no write where sizes are limited");
  ok(takes(on_data(EIO_READ, direct, 0, NULL, 1)), "but reads");
}

/* Everything but files and block devices, with an offset and without. */
static void test_kinds(void)
{
  int pair[2], fds[2];

  if (eio_p_pipe(fds) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
    bail_out("no descriptors");
  {
    struct { const char *name; int fd; } kinds[] = {
      { "pipe", fds[0] }, { "pipe to write to", fds[1] }, { "socket", pair[0] },
      { "device", open("/dev/zero", O_RDWR) }, { "directory", open(".", O_RDONLY) }, { "none", -1 },
    };

    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
      int fd = kinds[i].fd;

      if (fd >= 0)
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_DIRECT); /* packets, for pipes */
      ok(!takes(on_data(EIO_READ, fd, 0, NULL, 1)) && !takes(on_data(EIO_READ, fd, -1, NULL, 1)), "no read: %s",
         kinds[i].name);
      ok(!takes(on_data(EIO_WRITE, fd, 0, NULL, 1)) && !takes(on_data(EIO_WRITE, fd, -1, NULL, 1)), "no write");
      ok(!takes(on_fd(EIO_FSYNC, fd)) && !takes(on_fd(EIO_FDATASYNC, fd)), "no sync");
      if (fd >= 0)
        close(fd);
    }
  }
  close(pair[1]);
}

static void test_entries(void)
{
  test_granted();
  test_asks_for();
  test_bounds();
  test_kinds();
  if (access("direct", F_OK) == 0)
    in_child(limited);
}
#else
static void test_entries(void) { }
#endif

/* Contexts ----------------------------------------------------------------- */

static void submit(enum eio_op op, int fd, void *buf, int64_t offs, uint64_t size)
{
  job_init(&jobs[0], op, 0);
  jobs[0].req.fd = fd;
  jobs[0].req.offs = offs;
  jobs[0].req.size = size;
  jobs[0].req.buf = buf;
  jobs[0].req.flags = EIO_NO_INLINE;
  eio_submit(ctx, &jobs[0].req);
  finish_all(ctx);
}

/* What it takes, and what the caller sees of that: nothing. */
static void test_takes(void)
{
  static char buf[64 * 1024];
  int fd = open_for_test("/proc/self/exe", O_RDONLY);

  if (is_uring()) {
    ctx = context();
    submit(EIO_READ, fd, buf, 0, 4096);
    check(jobs[0].req.result == 4096 && stats().ring == 1, "a small read");
    submit(EIO_READ, fd, buf, 0, sizeof buf);
    check(jobs[0].req.result > 4096 && stats().ring == 1 && stats().ring_declined == 1,
          "not a large one of cached data");
    submit(EIO_READ, 999, buf, 0, 10);
    check(jobs[0].req.result == -1 && jobs[0].req.errorno == EBADF, "EBADF is EBADF");
    check(!eio_nreqs(ctx) && !atomic_load(&ctx->nrunning), "nothing is left");
    eio_destroy(ctx);
  }
  close(fd);
}

/* What it has taken is done. */
static void test_does(void)
{
  static _Alignas(4096) char buf[4096], copy[4096];
  int fd = direct_file();

  if (is_uring() && fd < 0)
    skip(1, "no direct I/O here");
  else if (is_uring()) {
    ctx = context();
    memset(buf, 'x', sizeof buf);
    submit(EIO_WRITE, fd, buf, 4096, 4096);
    check(jobs[0].req.result == 4096 && pread(fd, copy, 4096, 4096) == 4096 && !memcmp(buf, copy, 4096),
          "a direct write arrives");
    submit(EIO_FSYNC, fd, NULL, 0, 0);
    check_int(jobs[0].req.result, 0, "so does a sync");
    submit(EIO_FDATASYNC, fd, NULL, 0, 0);
    check_int(jobs[0].req.result, 0, "and one of data");
    check(stats().ring == 3 && eio_nthreads(ctx) == 0, "all by the ring");
    eio_destroy(ctx);
  }
  if (fd >= 0)
    close(fd);
}

/* The second page of a buffer cannot be written to: so a read is short, although
 * there is more. */
static void test_short(void)
{
  int fd = open_for_test("pages", O_RDWR | O_CREAT);
  char *buf = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);

  if (buf == MAP_FAILED || mprotect(buf + 4096, 4096, PROT_NONE) < 0 || ftruncate(fd, 8192) < 0)
    bail_out("no pages");
  if (is_uring() && sysconf(_SC_PAGESIZE) == 4096) {
    ctx = context();
    for (int i = 0; i < 2; i++) {
      submit(EIO_READ, fd, buf, i * 4096, 8192);
      check_int(jobs[0].req.result, 4096, "a read of half of what was asked for");
      check(stats().ring_declined == 1 && stats().executed == 1 && stats().ring == (uint64_t)i,
            "%s", i ? "is believed at the end of the file" : "asks a worker when there is more");
    }
    eio_destroy(ctx);
  }
  munmap(buf, 8192);
  close(fd);
}

int main(void)
{
  static test *const tests[] = { test_takes, test_does, test_short, NULL };

  scratch_begin();
  test_entries();
  on_each_engine(tests);
  return scratch_end(0);
}
