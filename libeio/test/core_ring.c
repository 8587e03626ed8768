/* core_ring.c - the ring refused, declining, cancelled; choosing engines. What it takes is in
 * core_ring_takes.c, and what happens when its descriptor goes in core_ring_closed.c. */
#include "ring_gate.h"

static eio_ctx *ctx;
static struct job jobs[20000];

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

/* Calls that a sandbox refuses, and how. */
static const struct { const char *name; long number; } calls[] = {
  { "io_uring_setup", __NR_io_uring_setup }, { "io_uring_register", __NR_io_uring_register },
  { "io_uring_enter", __NR_io_uring_enter },
};
static int refusal, refused_call;

static bool refuse(void)
{
  return refuse_calls(calls[refused_call].number, calls[refused_call].number, refusal);
}

static void told_why(void)
{
  const char *why = NULL;
  char reason[160];

  is_str(eio_engine(ctx, &why), "pool", "%s: the pool is active", engine);
  snprintf(reason, sizeof reason, "uring: %s: %s", calls[refused_call].name, strerror(refusal));
  is_str(why, reason, "%s: the reason is told", engine);
}

static void refused(void)
{
  const char *why = NULL;

  if (!refuse())
    return skip(1, "needs seccomp");
  ctx = eio_create();
  errno = 0;
  check(eio_set_engine(ctx, "uring") < 0 && errno == refusal, "%s: refused: %s", calls[refused_call].name, strerror(refusal));
  told_why();
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

/* Granted to the parent, not to the child, where it has to be set up anew. */
static void refused_after_fork(void)
{
  if (!refuse())
    return skip(1, "needs seccomp");
  submit_nop(ctx, &jobs[0], 0);
  submit_for_worker(ctx, &jobs[1], 1);
  finish_all(ctx);
  check_int(ncalled, 2, "refused in a child: requests work");
  told_why();
  eio_destroy(ctx);
}

static void submit_sync(struct job *job)
{
  job_init(job, EIO_FSYNC, 0);
  job->req.fd = 999;
  eio_submit(ctx, &job->req);
  finish_all(ctx);
}

/* Granted, and taken away while the ring is there: only one call of it is left. */
static void refused_later(void)
{
  ctx = context();
  submit_sync(&jobs[0]);
  check(stats().ring == 1, "the ring is used");
  if (!refuse())
    return skip(1, "needs seccomp");
  for (int i = 1; i < 4; i++) {
    submit_sync(&jobs[i]);
    check_int(jobs[i].req.errorno, EBADF, "refused later: a request works");
  }
  if (calls[refused_call].number == __NR_io_uring_enter) {
    told_why();
    is_int(stats().ring_declined, 1, "and the ring is not tried again");
  } else
    is_str(eio_engine(ctx, NULL), "uring", "the ring goes on");
  eio_destroy(ctx);
}

static void test_refused(void)
{
  static const int errors[] = { EPERM, ENOSYS, EACCES, ENOMEM, EINVAL };

  if (!is_uring())
    return;
  for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++)
    for (refused_call = 0; refused_call < 3; refused_call++) {
      refusal = errors[i];
      in_child(refused);
      ctx = context();
      in_child(refused_after_fork);
      is_str(eio_engine(ctx, NULL), "uring", "uring: is active in the parent");
      eio_destroy(ctx);
      if (i < 3)
        in_child(refused_later);
    }
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

/* Answers of the kernel ---------------------------------------------------- */

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
  static const int unbelieved[] = { EAGAIN, EOPNOTSUPP, EINTR, ECANCELED, EINVAL, ENOMEM };

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

/* What the kernel declines is the pool's, before all that was submitted since: with a maximum
 * of 1 the order is kept. */
static void test_declines(void)
{
  struct gate gate = gate_make();

  if (is_uring()) {
    ctx = context();
    for (int limit = 0; limit < 2; limit++) {
      ncalled = 0;
      if (limit)
        eio_set_max_parallel(ctx, 1);
      for (int i = 0; i < 9; i++) {
        job_init(&jobs[i], i % 3 ? EIO_NOP : EIO_FSYNC, i);
        jobs[i].req.fd = i % 3 ? -1 : gate.fds[0];
        jobs[i].req.flags = EIO_NO_INLINE;
        eio_submit(ctx, &jobs[i].req);
      }
      finish_all(ctx);
      check(jobs[0].req.result == -1 && jobs[0].req.errorno == EINVAL, "EINVAL is the pool's answer");
      check(ncalled == 9 && stats().ring_declined && !stats().ring, "the ring has tried that one");
      check(!limit || called_in_order(0, 9), "with a maximum of 1 it is called back in its turn");
      check_int(atomic_load(&ctx->nrunning), 0, "nothing runs");
    }
    eio_destroy(ctx);
  }
  gate_open(&gate);
  gate_remove(&gate);
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
      if (jobs[0].req.state != EIO_FLYING)
        check(false, "it flies");
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

/* No more fly than the ring's queue of answers holds, others wait for workers; cancelling
 * looks at none but the one. */
static void test_many(void)
{
  struct gate gate = gate_make();
  const int n = sizeof jobs / sizeof *jobs;
  int flying = 0;

  if (is_uring()) {
    ctx = context();
    for (int i = 0; i < n; i++)
      block_in_ring(ctx, &jobs[i], &gate, i);
    for (int i = 0; i < n; i++)
      flying += jobs[i].req.state == EIO_FLYING;
    check_int(flying, 512, "as many fly as it has room for");
    for (int i = 0; i < n; i += 2)
      eio_cancel(ctx, &jobs[i].req);
    gate_open(&gate);
    finish_all(ctx);
    check(ncalled == (unsigned)n / 2 && atomic_load(&ctx->nrunning) == 0, "all that were not cancelled are called back");
    gate_remove(&gate);
    gate = gate_make();
    block_in_ring(ctx, &jobs[0], &gate, 0);
    eio_cancel(ctx, &jobs[0].req); /* its entry has been another's */
    wait_fewer(1);
    check(ncalled == (unsigned)n / 2 && eio_nreqs(ctx) == 0, "and one more is stopped");
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
    test_choose, test_refused, test_one_poll, test_answers, test_declines,
    test_cancel, test_overtakes, test_reset, test_many, NULL,
  };

  scratch_begin();
  on_each_engine(tests);
  return scratch_end(0);
}
