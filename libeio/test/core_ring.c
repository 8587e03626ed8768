/* core_ring.c - the ring refused, declining, cancelled; choosing engines. */
#include "core.h"

#include <sys/mman.h>

static eio_ctx *ctx;
static struct job jobs[1000];

static struct eio_stats stats(void)
{
  struct eio_stats s;

  eio_get_stats(ctx, &s);
  return s;
}

static void test_choose(void)
{
  const char *why = NULL;

  ctx = context();
  is_str(eio_engine(ctx, &why), engine, "%s: is active", engine);
  is_str(why, "", "%s: there is no reason against it", engine);
  errno = 0;
  check(eio_set_engine(ctx, "warp") < 0 && errno == EINVAL, "there is no engine \"warp\"");
  is_str(eio_engine(ctx, NULL), engine, "%s: is active still", engine);

  eio_set_max_parallel(ctx, 0);
  for (int i = 0; i < 9; i++) {
    static const char *const names[] = { "pool", "sync" };

    if (i == 6)
      eio_set_max_parallel(ctx, 1);
    submit_for_worker(ctx, &jobs[i], i);
    check_int(eio_set_engine(ctx, i % 3 < 2 ? names[i % 3] : engine), 0, "choose another");
  }
  finish_all(ctx);
  check(called_in_order(0, 9), "engines can be changed while requests are outstanding");
  eio_destroy(ctx);
}

static int refusal;

static void refused(void)
{
  const char *why = NULL;

  if (!refuse_calls(__NR_io_uring_setup, __NR_io_uring_setup, refusal))
    return skip(1, "needs seccomp");
  ctx = eio_create();
  errno = 0;
  check(eio_set_engine(ctx, "uring") < 0 && errno == refusal, "refused: %s", strerror(refusal));
  is_str(eio_engine(ctx, &why), "pool", "%s: the pool is active", engine);
  check(strstr(why, strerror(refusal)) && strstr(why, "uring"), "the reason is \"%s\"", why);
  submit_for_worker(ctx, &jobs[0], 0);
  job_init(&jobs[1], EIO_FSYNC, 1);
  jobs[1].req.fd = 999;
  eio_submit(ctx, &jobs[1].req);
  finish_all(ctx);
  check(ncalled == 2 && jobs[1].req.errorno == EBADF, "it works");
  check_int(eio_set_engine(ctx, "pool"), 0, "asked for the pool");
  eio_engine(ctx, &why);
  is_str(why, "", "%s: there is no reason any more", engine);
  eio_destroy(ctx);
}

static void test_refused(void)
{
  static const int errors[] = { EPERM, ENOSYS, EACCES, ENOMEM, EINVAL };

  if (!is_uring())
    return;
  for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++) {
    refusal = errors[i];
    in_child(refused);
  }
}

/* Granted to the parent, not to the child. */
static void refused_after_fork(void)
{
  const char *why = NULL;

  if (!refuse_calls(__NR_io_uring_setup, __NR_io_uring_setup, EPERM))
    return skip(1, "needs seccomp");
  submit_nop(ctx, &jobs[0], 0);
  submit_for_worker(ctx, &jobs[1], 1);
  finish_all(ctx);
  check_int(ncalled, 2, "refused in a child: requests work");
  is_str(eio_engine(ctx, &why), "pool", "%s: the pool is active there", engine);
  check(strstr(why, strerror(EPERM)), "the reason is \"%s\"", why);
  eio_destroy(ctx);
}

static void test_refused_after_fork(void)
{
  if (!is_uring())
    return;
  ctx = context();
  in_child(refused_after_fork);
  is_str(eio_engine(ctx, NULL), "uring", "uring: is active in the parent");
  eio_destroy(ctx);
}

/* O_DIRECT is for any pipe, and for files of some file systems. */
static void make_pipe(int fds[2], int flag)
{
  if (eio_p_pipe(fds) < 0 || fcntl(fds[0], F_SETFL, flag) < 0 || fcntl(fds[1], F_SETFL, flag) < 0)
    bail_out("no pipe");
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

static bool takes(bool (*prepare)(eio_req *, struct io_uring_sqe *), eio_req req)
{
  memset(&sqe, 0, sizeof sqe);
  return prepare(&req, &sqe);
}

static bool asks_for(int opcode, int fd, const void *buf, unsigned size, int64_t offs, unsigned flags)
{
  return sqe.opcode == opcode && sqe.fd == fd && sqe.addr == (uintptr_t)buf && sqe.len == size
         && sqe.off == (uint64_t)offs && sqe.fsync_flags == flags;
}

static void test_asks_for(void)
{
  static char buf[10];
  int file = open_for_test("file", O_RDWR | O_CREAT), direct[2];

  make_pipe(direct, O_DIRECT);
  ok(takes(eio_u_read, on_data(EIO_READ, file, 7, buf, 10))
     && asks_for(IORING_OP_READ, file, buf, 10, 7, 0), "a read");
  is_int(lseek(file, 0, SEEK_CUR), 0, "the file's position is left alone");
  ok(takes(eio_u_read, on_data(EIO_READ, file, -1, buf, 10))
     && asks_for(IORING_OP_READ, file, buf, 10, -1, 0), "a read at the position");
  ok(takes(eio_u_write, on_data(EIO_WRITE, direct[1], 7, buf, 10))
     && asks_for(IORING_OP_WRITE, direct[1], buf, 10, 7, 0), "a direct write");
  ok(takes(eio_u_write, on_data(EIO_WRITE, direct[1], -1, buf, 10))
     && asks_for(IORING_OP_WRITE, direct[1], buf, 10, -1, 0), "one at the position");
  ok(takes(eio_u_fsync, on_fd(EIO_FSYNC, file)) && asks_for(IORING_OP_FSYNC, file, NULL, 0, 0, 0),
     "fsync");
  ok(takes(eio_u_fdatasync, on_fd(EIO_FDATASYNC, file))
     && asks_for(IORING_OP_FSYNC, file, NULL, 0, 0, IORING_FSYNC_DATASYNC), "fdatasync");
  close(file);
  close(direct[0]);
  close(direct[1]);
}

/* Descriptors of each kind; INT_MAX is what an entry can say and Linux does at once. */
static void test_bounds(void)
{
  int file = open_for_test("file", O_RDWR | O_CREAT), plain[2], direct[2], nonblocking[2];
  uint64_t most = INT_MAX;

  make_pipe(plain, 0);
  make_pipe(direct, O_DIRECT);
  make_pipe(nonblocking, O_NONBLOCK);
  ok(takes(eio_u_read, on_data(EIO_READ, file, 0, NULL, 32768)), "a read of 32 KiB");
  ok(!takes(eio_u_read, on_data(EIO_READ, file, 0, NULL, 32769)), "not of more");
  ok(takes(eio_u_read, on_data(EIO_READ, direct[0], -1, NULL, most)), "unless it is direct");
  ok(!takes(eio_u_read, on_data(EIO_READ, direct[0], -1, NULL, most + 1)), "but no more than that");
  ok(!takes(eio_u_read, on_data(EIO_READ, file, -2, NULL, 1)), "no negative offset");
  ok(takes(eio_u_read, on_data(EIO_READ, plain[0], -1, NULL, 1)), "a pipe");
  ok(!takes(eio_u_read, on_data(EIO_READ, plain[0], 0, NULL, 1)), "not with an offset");
  ok(!takes(eio_u_read, on_data(EIO_READ, nonblocking[0], -1, NULL, 1)), "nor a nonblocking one");
  ok(takes(eio_u_write, on_data(EIO_WRITE, direct[1], 0, NULL, most)), "a direct write");
  ok(!takes(eio_u_write, on_data(EIO_WRITE, direct[1], 0, NULL, most + 1)), "but no more than that");
  ok(!takes(eio_u_write, on_data(EIO_WRITE, direct[1], -2, NULL, 1)), "no negative offset");
  ok(!takes(eio_u_write, on_data(EIO_WRITE, file, 0, NULL, 1)), "no buffered write");
  close(file);
  for (int i = 0; i < 2; i++) {
    close(plain[i]);
    close(direct[i]);
    close(nonblocking[i]);
  }
}

static void test_entries(void)
{
  test_granted();
  test_asks_for();
  test_bounds();
}
#else
static void test_entries(void) { }
#endif

/* Contexts ----------------------------------------------------------------- */

static void submit_read(struct job *job, int fd, int64_t offs, uint64_t size)
{
  job_init(job, EIO_READ, 0);
  job->req.fd = fd;
  job->req.offs = offs;
  job->req.size = size;
  job->req.buf = malloc(size);
  job->req.flags = EIO_FREE_BUF | EIO_NO_INLINE;
  eio_submit(ctx, &job->req);
}

/* What it takes, and what the caller sees of that: nothing. */
static void test_takes(void)
{
  int fd = open_for_test("/proc/self/exe", O_RDONLY);

  if (is_uring()) {
    ctx = context();
    submit_read(&jobs[0], fd, 0, 4096);
    finish_all(ctx);
    check(jobs[0].req.result == 4096 && stats().ring == 1, "a small read");
    submit_read(&jobs[0], fd, 0, 64 * 1024);
    finish_all(ctx);
    check(jobs[0].req.result > 4096 && stats().ring == 1 && stats().ring_declined == 1,
          "not a large one of cached data");
    submit_read(&jobs[0], 999, 0, 10);
    finish_all(ctx);
    check(jobs[0].req.result == -1 && jobs[0].req.errorno == EBADF, "EBADF is EBADF");
    check(!eio_nreqs(ctx) && !atomic_load(&ctx->nrunning), "nothing is left");
    eio_destroy(ctx);
  }
  close(fd);
}

/* What has completed needs no second poll. */
static void test_one_poll(void)
{
  struct gate gate = gate_make();

  if (is_uring()) {
    ctx = context();
    block_in_ring(ctx, &jobs[0], &gate, 0);
    gate_open(&gate);
    while (!eio__ring_ready(ctx))
      sched_yield();
    check(eio_poll(ctx, 0, 0) == 0 && ncalled == 1, "one poll hands out what has completed");
    eio_destroy(ctx);
  } else
    gate_open(&gate);
  gate_remove(&gate);
}

/* What it has taken is done. */
static void test_does(void)
{
  int file = open_for_test("file", O_RDWR | O_CREAT), fds[2];
  char buf[6] = "";

  if (is_uring()) {
    make_pipe(fds, O_DIRECT);
    ctx = context();
    for (int i = 0; i < 3; i++) {
      job_init(&jobs[i], i == 0 ? EIO_WRITE : i == 1 ? EIO_FSYNC : EIO_FDATASYNC, i);
      jobs[i].req.fd = i == 0 ? fds[1] : file;
      jobs[i].req.buf = i == 0 ? (char *)"direct" : NULL;
      jobs[i].req.size = 6;
      jobs[i].req.offs = -1;
      eio_submit(ctx, &jobs[i].req);
      finish_all(ctx);
    }
    check(jobs[0].req.result == 6 && read(fds[0], buf, 6) == 6 && !memcmp(buf, "direct", 6),
          "a write arrives");
    check(jobs[1].req.result == 0 && jobs[2].req.result == 0, "syncs succeed");
    check(stats().ring == 3 && eio_nthreads(ctx) == 0, "all by the ring");
    eio_destroy(ctx);
    close(fds[0]);
    close(fds[1]);
  }
  close(file);
}

#if EIO_HAVE_LIBURING
/* A read at the end of a pipe, with another answer in the ring than the kernel's. */
static void answer(int res)
{
  struct io_uring *uring = (struct io_uring *)ctx->ring; /* its first member */
  struct gate gate = gate_make();
  struct io_uring_cqe *cqe;

  block_in_ring(ctx, &jobs[0], &gate, 0);
  gate_open(&gate);
  while (!io_uring_cq_ready(uring))
    syscall(__NR_io_uring_enter, uring->ring_fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0);
  if (io_uring_peek_cqe(uring, &cqe) < 0)
    bail_out("no entry");
  cqe->res = res;
  finish_all(ctx);
  gate_remove(&gate);
}

static void test_answers(void)
{
  static const int unbelieved[] = { EAGAIN, EOPNOTSUPP, EINTR, ECANCELED, EINVAL };

  if (!is_uring())
    return;
  for (unsigned i = 0; i < sizeof unbelieved / sizeof *unbelieved; i++) {
    ctx = context();
    answer(-unbelieved[i]);
    check(jobs[0].req.result == 0 && stats().ring_declined == 1 && stats().executed == 1 && !stats().ring,
          "%s: a worker asks again", strerror(unbelieved[i]));
    eio_destroy(ctx);
  }
  ctx = context();
  answer(-EIO);
  check(jobs[0].req.result == -1 && jobs[0].req.errorno == EIO && stats().ring == 1 && !stats().executed,
        "%s: is the answer", strerror(EIO));
  eio_destroy(ctx);
}
#else
static void test_answers(void) { }
#endif

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
      job_init(&jobs[i], EIO_READ, i);
      jobs[i].req.fd = fd;
      jobs[i].req.offs = i * 4096;
      jobs[i].req.buf = buf;
      jobs[i].req.size = 8192;
      jobs[i].req.flags = EIO_NO_INLINE;
      eio_submit(ctx, &jobs[i].req);
      finish_all(ctx);
      check_int(jobs[i].req.result, 4096, "a read of half of what was asked for");
      check(stats().ring_declined == 1 && stats().executed == 1 && stats().ring == (uint64_t)i,
            "%s", i ? "is believed at the end of the file" : "asks a worker when there is more");
    }
    eio_destroy(ctx);
  }
  munmap(buf, 8192);
  close(fd);
}

static void test_declines(void)
{
  int fds[2];

  if (!is_uring())
    return;
  ctx = context();
  make_pipe(fds, O_NONBLOCK);
  submit_read(&jobs[0], fds[0], -1, 10);
  finish_all(ctx);
  check(jobs[0].req.result == -1 && jobs[0].req.errorno == EAGAIN, "EAGAIN is the pool's answer");
  check(stats().ring_declined == 1 && stats().executed == 1, "the ring would wait");
  job_init(&jobs[1], EIO_FSYNC, 1);
  jobs[1].req.fd = fds[0];
  eio_submit(ctx, &jobs[1].req);
  finish_all(ctx);
  check(jobs[1].req.result == -1 && jobs[1].req.errorno == EINVAL, "so is EINVAL");
  check(stats().ring_declined == 2 && stats().executed == 2 && !stats().ring,
        "the ring has tried that one");
  submit_read(&jobs[2], fds[0], 0, 10);
  finish_all(ctx);
  check(jobs[2].req.result == -1 && jobs[2].req.errorno == ESPIPE, "and ESPIPE");
  check_int(atomic_load(&ctx->nrunning), 0, "nothing runs");
  close(fds[0]);
  close(fds[1]);
  eio_destroy(ctx);
}

static void block_with_priority(struct job *job, struct gate *gate, int pri)
{
  gate_fill(job, gate, 0, 1);
  job->req.pri = (int8_t)pri;
  eio_submit(ctx, &job->req);
}

static void wait_fewer(unsigned n)
{
  while (eio_nreqs(ctx) >= n) {
    wait_readable(ctx);
    eio_poll(ctx, 0, 0);
  }
}

static void test_cancel(void)
{
  struct gate gate = gate_make();

  if (is_uring()) {
    ctx = context();
    for (int pri = EIO_PRI_MIN; pri <= EIO_PRI_MAX; pri++) {
      block_with_priority(&jobs[0], &gate, pri);
      if (jobs[0].req.state != EIO_RUNNING)
        check(false, "it runs");
      eio_cancel(ctx, &jobs[0].req);
      wait_fewer(1);
    }
    check(ncalled == 0 && !jobs[0].called, "one alone is stopped, whatever its priority");
    for (int i = 0; i < 3; i++)
      block_in_ring(ctx, &jobs[i], &gate, i);
    check(atomic_load(&ctx->nrunning) == 3 && eio_nthreads(ctx) == 0, "three wait in the ring");
    eio_cancel(ctx, &jobs[1].req);
    wait_fewer(3);
    check(ncalled == 0 && eio_nreqs(ctx) == 2, "a cancelled one comes out, the gate being closed");
    gate_open(&gate);
    finish_all(ctx);
    check(ncalled == 2 && !jobs[1].called, "the others follow");
    eio_destroy(ctx);
  } else
    gate_open(&gate);
  gate_remove(&gate);
}

static bool flies(struct job *job, struct gate *gate, int pri)
{
  unsigned before = atomic_load(&ctx->nrunning);

  block_with_priority(job, gate, pri);
  return atomic_load(&ctx->nrunning) > before;
}

/* It overtakes what waits for a worker: but not a higher priority, and nothing
 * where a limit has been set. */
static void test_overtakes(void)
{
  struct gate gate = gate_make();

  if (is_uring()) {
    ctx = context();
    for (int i = 0; i < 8; i++)
      block(ctx, &jobs[i], &gate, i);
    wait_running(ctx, 8);
    block(ctx, &jobs[8], &gate, 8);
    check_int(eio_nready(ctx), 1, "one waits for a worker");
    check(flies(&jobs[9], &gate, 1), "a higher priority flies");
    check(flies(&jobs[10], &gate, 0), "so does the same");
    check(!flies(&jobs[11], &gate, -1), "a lower one does not");
    eio_set_max_parallel(ctx, 100);
    check(!flies(&jobs[12], &gate, 0) && !flies(&jobs[13], &gate, 4), "with a limit none does");
  }
  gate_open(&gate);
  if (is_uring()) {
    finish_all(ctx);
    check_int(ncalled, 14, "all are called back");
    eio_destroy(ctx);
  }
  gate_remove(&gate);
}

/* Reset stops them; they come back as orphans without any poll. */
static void test_reset(void)
{
  struct gate gate = gate_make();

  if (is_uring()) {
    ctx = context();
    for (int i = 0; i < 10; i++)
      block_with_priority(&jobs[i], &gate, i % EIO_NPRI + EIO_PRI_MIN);
    eio_reset(ctx);
    check(eio_nreqs(ctx) == 0 && atomic_load(&ctx->nrunning) == 0, "nothing is outstanding");
    wait_orphans(ctx, 10);
    check(jobs[9].req.state == EIO_FINISHED && ncalled == 0, "all come back as orphans");
    submit_nop(ctx, &jobs[0], 0);
    block_in_ring(ctx, &jobs[1], &gate, 1);
    gate_open(&gate);
    finish_all(ctx);
    check(ncalled == 2 && !is_readable(ctx), "the context goes on");
    eio_destroy(ctx);
  } else
    gate_open(&gate);
  gate_remove(&gate);
}

/* Returns which it was. */
static int close_ring(void)
{
  char path[32], target[64];
  int closed = -1;

  for (int fd = 3; fd < 1000; fd++) {
    ssize_t n;

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    n = readlink(path, target, sizeof target - 1);
    if (n > 0 && (target[n] = 0, strstr(target, "io_uring")))
      close(closed = fd);
  }
  return closed;
}

/* A daemon closes the wakeup descriptor, or the ring's as well, and resets. What flew
 * then comes back as orphans, as ever. */
static void test_closed(void)
{
  for (int all = 0; is_uring() && all < 2; all++) {
    struct gate gate = gate_make(), other = gate_make();
    struct pollfd pfd = { .events = POLLIN };

    ncalled = 0;
    ctx = context();
    block_in_ring(ctx, &jobs[1], &other, 1);
    close(eio_poll_fd(ctx));
    if (all)
      close_ring();
    eio_reset(ctx);
    wait_orphans(ctx, 1);
    check(eio_nreqs(ctx) == 0, "what is in it is dropped");
    block_in_ring(ctx, &jobs[0], &gate, 0);
    check(eio_nthreads(ctx) == 0, "one waits in %s ring", all ? "a new" : "the");
    gate_open(&gate);
    pfd.fd = eio_poll_fd(ctx);
    check_int(poll(&pfd, 1, 60000), 1, "which signals the new descriptor");
    finish_all(ctx);
    check(ncalled == 1 && !is_readable(ctx), "and goes on");
    gate_open(&other);
    gate_remove(&other);
    gate_remove(&gate);
    eio_destroy(ctx);
  }
}

/* Its number is another file's when the context goes. */
static void test_closed_alone(void)
{
  int ring, fd;

  if (!is_uring())
    return;
  ctx = context();
  ring = close_ring();
  fd = dup2(open_for_test("file", O_RDWR | O_CREAT), ring);
  eio_destroy(ctx);
  check(fd >= 0 && fcntl(fd, F_GETFD) >= 0, "a file that has the number of the ring stays open");
  close(fd);
}

/* A program closes the ring's descriptor while requests fly, or both, or puts other
 * files in their place that are never readable: each is called back once, and the
 * other files are left alone. */
static void test_closed_flying(void)
{
  for (int way = 0; is_uring() && way < 4; way++) {
    struct gate gate = gate_make();
    int idle[2], wake, before;

    ncalled = 0;
    ctx = context();
    for (int i = 0; i < 10; i++)
      block_in_ring(ctx, &jobs[i], &gate, i);
    check(eio_nthreads(ctx) == 0, "ten wait in the ring");
    make_pipe(idle, 0);
    before = close_ring();
    check(before >= 0, "the program closes it");
    wake = eio_poll_fd(ctx);
    if (way & 1)
      close(wake);
    if (way & 2 && dup2(idle[0], before) < 0)
      bail_out("dup2");
    if (way == 3 && dup2(idle[0], wake) < 0)
      bail_out("dup2");
    for (int i = 10; i < 20; i++)
      block_in_ring(ctx, &jobs[i], &gate, i);
    gate_open(&gate);
    finish_all(ctx);
    check_int(ncalled, 20, "all that are before and after it are called back");
    for (int i = 0; i < 20; i++)
      if (!jobs[i].called || jobs[i].req.result != 0)
        check(false, "request %d: %s", i, strerror(jobs[i].req.errorno));
    gate_remove(&gate);
    gate = gate_make();
    block_in_ring(ctx, &jobs[0], &gate, 0);
    check(ctx->ring, "there is another ring");
    gate_open(&gate);
    finish_all(ctx);
    gate_remove(&gate);
    eio_destroy(ctx);
    if (way & 2)
      close(before);
    if (way == 3)
      close(wake);
    close(idle[0]);
    close(idle[1]);
  }
}

static void *make_context(void *arg)
{
  struct gate gate = gate_make();

  ctx = context();
  block_in_ring(ctx, arg, &gate, 0);
  gate_open(&gate);
  finish_all(ctx);
  gate_remove(&gate);
  return NULL;
}

static void *destroy_anothers(void *closed)
{
  struct gate gate = gate_make();
  pthread_t thread;
  eio_ctx *other;
  int file = -1;

  ncalled = 0;
  if (pthread_create(&thread, NULL, make_context, &jobs[0]) || pthread_join(thread, NULL))
    bail_out("no thread");
  other = ctx;
  if (closed)
    file = dup2(gate.fds[0], close_ring()); /* the number is taken */
  ctx = context();
  block_in_ring(ctx, &jobs[1], &gate, 1);
  eio_destroy(other);
  block_in_ring(ctx, &jobs[2], &gate, 2);
  check(ctx->ring && !eio_nthreads(ctx), "two wait in the ring");
  gate_open(&gate);
  finish_all(ctx);
  check_int(ncalled, 3, "and are called back, after another's ring was given up");
  eio_destroy(ctx);
  gate_remove(&gate);
  if (closed)
    close(file);
  return NULL;
}

/* As perl does it: the thread has ended that a context belongs to, and another one
 * destroys that. Its own ring, which has the same number among those that it keeps, is
 * left alone. */
static void test_destroyed_elsewhere(void)
{
  for (int closed = 0; is_uring() && closed < 2; closed++) {
    pthread_t thread;

    if (pthread_create(&thread, NULL, destroy_anothers, closed ? &jobs[0] : NULL) || pthread_join(thread, NULL))
      bail_out("no thread");
  }
}

/* More than its queues hold. */
static void test_many(void)
{
  struct gate gate = gate_make();

  if (is_uring()) {
    ctx = context();
    for (int i = 0; i < 1000; i++)
      block_in_ring(ctx, &jobs[i], &gate, i);
    check_int(eio_nreqs(ctx), 1000, "1000 wait in the ring");
    gate_open(&gate);
    finish_all(ctx);
    check(ncalled == 1000 && atomic_load(&ctx->nrunning) == 0, "all are called back");
    gate_remove(&gate);
    gate = gate_make();
    block_in_ring(ctx, &jobs[0], &gate, 0);
    eio_cancel(ctx, &jobs[0].req); /* its entry has been another's */
    wait_fewer(1);
    check(ncalled == 1000 && eio_nreqs(ctx) == 0, "and one more is stopped");
    gate_open(&gate);
    check(!is_readable(ctx), "descriptor is silent");
    eio_destroy(ctx);
  } else
    gate_open(&gate);
  gate_remove(&gate);
}

int main(void)
{
  static test *const tests[] = {
    test_choose, test_refused, test_refused_after_fork, test_takes, test_one_poll, test_does, test_short,
    test_answers, test_declines, test_cancel, test_overtakes, test_reset, test_closed, test_closed_alone,
    test_closed_flying, test_destroyed_elsewhere, test_many, NULL,
  };

  scratch_begin();
  test_entries();
  on_each_engine(tests);
  return scratch_end(0);
}
