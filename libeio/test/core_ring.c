/* core_ring.c - the ring refused, declining, cancelled; choosing engines. */
#include "core.h"

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
  static const int errors[] = { EPERM, ENOSYS, EACCES, ENOMEM };

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

static void test_declines(void)
{
  int fds[2];

  if (!is_uring())
    return;
  ctx = context();
  if (eio_p_pipe(fds) < 0 || fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0)
    bail_out("no pipe");
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
  check_int(atomic_load(&ctx->nrunning), 0, "nothing runs");
  close(fds[0]);
  close(fds[1]);
  eio_destroy(ctx);
}

static void test_cancel(void)
{
  struct gate gate = gate_make();

  if (is_uring()) {
    ctx = context();
    for (int i = 0; i < 3; i++)
      block_in_ring(ctx, &jobs[i], &gate, i);
    check(atomic_load(&ctx->nrunning) == 3 && eio_nthreads(ctx) == 0, "three wait in the ring");
    eio_cancel(ctx, &jobs[1].req);
    while (eio_nreqs(ctx) == 3) {
      wait_readable(ctx);
      eio_poll(ctx, 0, 0);
    }
    check(ncalled == 0 && eio_nreqs(ctx) == 2, "a cancelled one comes out, the gate being closed");
    gate_open(&gate);
    finish_all(ctx);
    check(ncalled == 2 && !jobs[1].called, "the others follow");
    eio_destroy(ctx);
  } else
    gate_open(&gate);
  gate_remove(&gate);
}

/* Reset stops them; they come back as orphans without any poll. */
static void test_reset(void)
{
  struct gate gate = gate_make();

  if (is_uring()) {
    ctx = context();
    for (int i = 0; i < 10; i++)
      block_in_ring(ctx, &jobs[i], &gate, i);
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

static void close_ring(void)
{
  char path[32], target[64];

  for (int fd = 3; fd < 1000; fd++) {
    ssize_t n;

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    n = readlink(path, target, sizeof target - 1);
    if (n > 0 && (target[n] = 0, strstr(target, "io_uring")))
      close(fd);
  }
}

/* A daemon closes the wakeup descriptor, or the ring's as well, and resets. */
static void test_closed(void)
{
  for (int all = 0; is_uring() && all < 2; all++) {
    struct gate gate;
    struct pollfd pfd = { .events = POLLIN };

    ncalled = 0;
    ctx = context();
    close(eio_poll_fd(ctx));
    if (all)
      close_ring();
    eio_reset(ctx);
    gate = gate_make();
    block_in_ring(ctx, &jobs[0], &gate, 0);
    check(eio_nthreads(ctx) == 0, "one waits in %s ring", all ? "a new" : "the");
    gate_open(&gate);
    pfd.fd = eio_poll_fd(ctx);
    check_int(poll(&pfd, 1, 60000), 1, "which signals the new descriptor");
    finish_all(ctx);
    check(ncalled == 1 && !is_readable(ctx), "and goes on");
    gate_remove(&gate);
    eio_destroy(ctx);
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
    check(!is_readable(ctx), "descriptor is silent");
    eio_destroy(ctx);
  } else
    gate_open(&gate);
  gate_remove(&gate);
}

int main(void)
{
  static test *const tests[] = {
    test_choose, test_refused, test_refused_after_fork, test_takes, test_declines, test_cancel,
    test_reset, test_closed, test_many, NULL,
  };

  tap_begin();
  on_each_engine(tests);
  return tap_end();
}
