/* core_limits.c - how many requests execute at a time, and how many threads. */
#include "ring_gate.h"

static eio_ctx *ctx;
static struct job jobs[20000];

static void test_numbers(void)
{
  ctx = context();
  check_int(eio_parallel(ctx), 8, "8 by default");
  eio_set_max_parallel(ctx, 3);
  check_int(eio_parallel(ctx), 3, "a maximum of 3");
  eio_set_min_parallel(ctx, 5);
  check_int(eio_parallel(ctx), 5, "a minimum of 5 raises it");
  eio_set_max_parallel(ctx, 0);
  check_int(eio_parallel(ctx), 0, "a maximum of 0");
  eio_set_max_parallel(ctx, 100);
  eio_set_min_parallel(ctx, 20);
  check_int(eio_parallel(ctx), 20, "the minimum again");
  eio_destroy(ctx);
}

static void test_none(void)
{
  ctx = context();
  for (int round = 0; round < 3; round++) {
    ncalled = 0;
    eio_set_max_parallel(ctx, 0);
    submit_nop(ctx, &jobs[0], 0);
    submit_for_worker(ctx, &jobs[1], 1);
    job_init(&jobs[2], EIO_NOP, 2);
    jobs[2].req.flags = EIO_FAILED;
    eio_submit(ctx, &jobs[2].req);
    check(eio_nready(ctx) == 3 && eio_nthreads(ctx) == 0, "a maximum of 0: all wait");
    check(eio_poll(ctx, 0, 0) == 0 && !is_readable(ctx), "there is nothing to poll");
    eio_set_max_parallel(ctx, 1);
    finish_all(ctx);
    check(called_in_order(0, 3), "raised: all are executed, in order");
  }
  eio_destroy(ctx);
}

/* A mix of all ways that requests can take, submitted from callbacks as well,
 * polled in portions: with a maximum of 1 the order of submission is kept. */
static unsigned seed;
static int next_job, last_job, mix_fd;
static char page[4096];

static unsigned random_bits(void)
{
  return (seed = seed * 1103515245 + 12345) >> 16;
}

static void submit_some(eio_req *done);

static void submit_mixed(void)
{
  struct job *job = &jobs[next_job];
  unsigned r = random_bits();

  job_init(job, r % 4 == 1 ? EIO_READ : r % 4 == 2 ? EIO_STAT : EIO_NOP, next_job++);
  job->req.cb = submit_some;
  job->req.fd = mix_fd;
  if (r % 4 == 1) {
    job->req.buf = page;
    job->req.size = sizeof page;
  }
  job->req.flags = r & 16 ? EIO_NO_INLINE : 0;
  eio_submit(ctx, &job->req);
}

static void submit_some(eio_req *done)
{
  note(done);
  for (unsigned n = random_bits() % 3; n && next_job < last_job; n--)
    submit_mixed();
}

static void test_one(void)
{
  mix_fd = open_for_test("/proc/self/exe", O_RDONLY);
  ctx = context();
  eio_set_max_parallel(ctx, 1);
  seed = 1;
  next_job = 0;
  last_job = SANITIZED ? 4000 : 20000;
  while (next_job < last_job) {
    for (unsigned n = random_bits() % 8; n && next_job < last_job; n--)
      submit_mixed();
    if (random_bits() & 1)
      eio_poll_wait(ctx, -1);
    eio_poll(ctx, random_bits() % 4, 0);
  }
  finish_all(ctx);
  check(called_in_order(0, (unsigned)last_job), "a maximum of 1 keeps the order of %d requests",
        last_job);
  close(mix_fd);
  eio_destroy(ctx);
}

/* The same for what is done before the next is submitted. */
static void submit_two(eio_req *req)
{
  note(req);
  submit_nop(ctx, &jobs[1], 1);
  submit_for_worker(ctx, &jobs[2], 2);
  wait_pending(ctx, 2);
}

static void test_one_done(void)
{
  ctx = context();
  eio_set_max_parallel(ctx, 1);
  submit_for_worker(ctx, &jobs[0], 0);
  wait_pending(ctx, 1);
  submit_nop(ctx, &jobs[1], 1);
  wait_pending(ctx, 2);
  eio_poll(ctx, 0, 0);
  check(called_in_order(0, 2), "in submit after by a worker");

  ncalled = 0;
  job_init(&jobs[0], EIO_NOP, 0);
  jobs[0].req.cb = submit_two;
  eio_submit(ctx, &jobs[0].req);
  finish_all(ctx);
  check(called_in_order(0, 3), "by a worker after in submit, in a callback");

  ncalled = 0;
  eio_set_max_parallel(ctx, 0);
  submit_for_worker(ctx, &jobs[0], 0);
  eio_set_max_parallel(ctx, 1);
  wait_pending(ctx, 1);
  submit_for_worker(ctx, &jobs[1], 1);
  wait_pending(ctx, 2);
  eio_poll(ctx, 0, 0);
  check(called_in_order(0, 2), "when the limit is raised");
  eio_destroy(ctx);
}

static void test_on_demand(void)
{
  struct gate gate = gate_make();

  ctx = context();
  if (is_sync())
    return gate_open(&gate), gate_remove(&gate), eio_destroy(ctx);
  check_int(eio_nthreads(ctx), 0, "no threads to begin with");
  for (int i = 0; i < 3; i++)
    block(ctx, &jobs[i], &gate, i);
  wait_running(ctx, 3);
  check_int(eio_nthreads(ctx), 3, "a thread for each of 3 requests");
  for (int i = 3; i < 20; i++)
    block(ctx, &jobs[i], &gate, i);
  wait_running(ctx, 8);
  check(eio_nthreads(ctx) == 8 && eio_nready(ctx) == 12, "8 threads for 20");
  eio_set_min_parallel(ctx, 10);
  wait_running(ctx, 10);
  check(eio_nthreads(ctx) == 10 && eio_nready(ctx) == 10, "10 when the limit is raised");
  gate_open(&gate);
  finish_all(ctx);
  check(ncalled == 20 && eio_nthreads(ctx) <= 10, "all are executed");
  gate_remove(&gate);
  eio_destroy(ctx);
}

/* Requests have been quick so far, so few workers are awake: those that hang
 * must not hold up the others. */
static void test_held_up(void)
{
  struct gate gate = gate_make();

  ctx = context();
  if (is_sync())
    return gate_open(&gate), gate_remove(&gate), eio_destroy(ctx);
  for (int i = 0; i < 7; i++) {
    for (int k = 100; k < 120; k++) {
      job_init(&jobs[k], EIO_LSTAT, k);
      jobs[k].req.path = (char *)"/";
      jobs[k].req.flags = EIO_NO_INLINE;
      eio_submit(ctx, &jobs[k].req);
    }
    block(ctx, &jobs[i], &gate, i);
    submit_for_worker(ctx, &jobs[120], 120);
    while (ncalled < (i + 1) * 21u) {
      wait_readable(ctx);
      eio_poll(ctx, 0, 0);
    }
  }
  check_int(eio_nreqs(ctx), 7, "however many hang, the others get on");
  gate_open(&gate);
  finish_all(ctx);
  check(ncalled == 7 * 22 && eio_nthreads(ctx) <= 8, "all are executed, by no more than 8 threads");
  gate_remove(&gate);
  eio_destroy(ctx);
}

/* The ring counts, too. */
static void test_together(void)
{
  struct gate gate = gate_make();

  ctx = context();
  if (is_sync())
    return gate_open(&gate), gate_remove(&gate), eio_destroy(ctx);
  eio_set_max_parallel(ctx, 3);
  for (int i = 0; i < 8; i++)
    (i % 2 ? block_in_ring : block)(ctx, &jobs[i], &gate, i);
  wait_running(ctx, 3);
  check(atomic_load(&ctx->nrunning) == 3 && eio_nready(ctx) == 5, "3 of 8 execute");
  gate_open(&gate);
  finish_all(ctx);
  check_int(ncalled, 8, "all are called back");
  check(eio_nthreads(ctx) <= 3, "by no more than 3 threads");
  gate_remove(&gate);
  eio_destroy(ctx);
}

/* A worker that is done with one leaves the next in the queue when the ring
 * alone has more than the limit, which has been lowered meanwhile. */
static void test_ring_above(void)
{
  struct gate one = gate_make(), other = gate_make();
  struct eio_stats stats;

  ctx = context();
  if (is_uring()) {
    eio_set_max_parallel(ctx, 5);
    block(ctx, &jobs[0], &one, 0);
    wait_running(ctx, 1);
    for (int i = 1; i < 5; i++)
      block_in_ring(ctx, &jobs[i], &other, i);
    submit_for_worker(ctx, &jobs[5], 5);
    eio_set_max_parallel(ctx, 2);
    check(atomic_load(&ctx->nrunning) == 5 && eio_nready(ctx) == 1, "5 execute, 1 waits");
    gate_open(&one);
    wait_pending(ctx, 1);
    eio_get_stats(ctx, &stats); /* waits for the worker to give up the lock */
    check(stats.executed == 1 && eio_nready(ctx) == 1, "it waits while the ring has 4 of 2");
    gate_open(&other);
    finish_all(ctx);
    check_int(ncalled, 6, "all are called back");
  } else {
    gate_open(&one);
    gate_open(&other);
  }
  gate_remove(&one);
  gate_remove(&other);
  eio_destroy(ctx);
}

/* What waits for the limit alone is begun when the one that executes is done, by
 * whomever, for an owner that does nothing but poll by the descriptor. */
static void test_next_in_turn(void)
{
  struct gate gate = gate_make();

  ctx = context();
  if (is_sync())
    return gate_open(&gate), gate_remove(&gate), eio_destroy(ctx);
  eio_set_max_parallel(ctx, 1);
  block_in_ring(ctx, &jobs[0], &gate, 0);
  wait_running(ctx, 1);
  submit_for_worker(ctx, &jobs[1], 1);
  check(eio_nready(ctx) == 1 && eio_nthreads(ctx) == (is_uring() ? 0 : 1), "one of one executes, the other waits");
  gate_open(&gate);
  while (eio_nreqs(ctx)) {
    wait_readable(ctx);
    eio_poll(ctx, 0, 0);
  }
  check(called_in_order(0, 2), "until it is its turn");
  gate_remove(&gate);
  eio_destroy(ctx);
}

/* What the ring has begun, and then leaves to a worker, goes on first: here by an engine
 * that leaves everything. */
static void begin(eio_ctx *c, eio_req *req)
{
  if (eio__slot_take(c))
    eio__state(c, req, EIO_RUNNING);
}

static void test_left_by_ring(void)
{
  static const struct eio_engine leaves = { "leaves", begin };
  const struct eio_engine *real;

  ctx = context();
  eio_set_max_parallel(ctx, 1);
  real = ctx->engine;
  ctx->engine = &leaves;
  submit_for_worker(ctx, &jobs[0], 0);
  ctx->engine = real;
  submit_for_worker(ctx, &jobs[1], 1);
  submit_nop(ctx, &jobs[2], 2);
  check(eio_nready(ctx) == 2 && !eio_npending(ctx), "the others wait for it");
  eio__pool_return(ctx, &jobs[0].req);
  finish_all(ctx);
  check(called_in_order(0, 3), "what the ring leaves to a worker is not overtaken");
  eio_destroy(ctx);
}

/* The owner has the only place while a worker comes, who goes to sleep then: told of the
 * free place, for an owner that goes back to its event loop. */
static void test_turn_of_owner(void)
{
  FILE *file = tmpfile();
  char *buf = calloc(1, 1 << 20);

  if (!file || !buf || write(fileno(file), buf, 1 << 20) != 1 << 20)
    bail_out("no file");
  ctx = context();
  eio_set_max_parallel(ctx, 1);
  for (int i = 0; i < 200; i++) {
    ncalled = 0;
    job_init(&jobs[0], EIO_READ, 0);
    jobs[0].req.fd = fileno(file);
    jobs[0].req.buf = buf;
    jobs[0].req.size = 1 << 20;
    eio_submit(ctx, &jobs[0].req);
    job_init(&jobs[1], EIO_READLINK, 1);
    jobs[1].req.path = (char *)"/proc/self/exe";
    eio_submit(ctx, &jobs[1].req);
    eio_poll_wait(ctx, -1);
    eio_poll(ctx, 0, 0);
    while (eio_nreqs(ctx)) {
      wait_readable(ctx);
      eio_poll(ctx, 0, 0);
    }
    if (!called_in_order(0, 2))
      check(false, "round %d", i);
  }
  check(true, "the worker takes its turn after the owner, 200 times");
  free(buf);
  fclose(file);
  eio_destroy(ctx);
}

static atomic_bool go, opened;

static void *open_later(void *gate)
{
  while (!atomic_load(&go))
    sched_yield();
  for (int i = 0; i < 1000; i++)
    sched_yield();
  atomic_store(&opened, true);
  gate_open(gate);
  return NULL;
}

static void test_lower(void)
{
  struct gate gate = gate_make();
  pthread_t thread;

  ctx = context();
  if (is_sync())
    return gate_open(&gate), gate_remove(&gate), eio_destroy(ctx);
  atomic_store(&go, false);
  atomic_store(&opened, false);
  for (int i = 0; i < 6; i++)
    block(ctx, &jobs[i], &gate, i);
  wait_running(ctx, 6);
  if ((errno = pthread_create(&thread, NULL, open_later, &gate)))
    bail_out("no thread");
  atomic_store(&go, true);
  eio_set_max_parallel(ctx, 2);
  check(atomic_load(&opened), "lowering the limit waits for threads above it");
  check(eio_nthreads(ctx) <= 2, "2 threads are left at most");
  pthread_join(thread, NULL);
  finish_all(ctx);
  check_int(ncalled, 6, "all are called back");
  gate_remove(&gate);
  eio_destroy(ctx);
}

static void wait_threads(unsigned n)
{
  while (eio_nthreads(ctx) != n)
    sched_yield();
}

static void test_idle(void)
{
  struct gate gate = gate_make();

  ctx = context();
  if (is_sync())
    return gate_open(&gate), gate_remove(&gate), eio_destroy(ctx);
  for (int i = 0; i < 6; i++)
    block(ctx, &jobs[i], &gate, i);
  wait_running(ctx, 6);
  eio_set_max_idle(ctx, 3);
  eio_set_idle_timeout(ctx, 0);
  check_int(eio_nthreads(ctx), 6, "busy threads stay");
  gate_open(&gate);
  finish_all(ctx);
  wait_threads(3);
  check(true, "idle ones leave, down to 3");
  eio_set_max_idle(ctx, 0);
  wait_threads(0);
  check(true, "down to none");
  ncalled = 0;
  submit_for_worker(ctx, &jobs[0], 0);
  finish_all(ctx);
  check_int(ncalled, 1, "others start on demand");
  gate_remove(&gate);
  eio_destroy(ctx);
}

/* A request that arrives while the only thread makes up its mind to leave. */
static void test_leaving(void)
{
  int n = SANITIZED ? 2000 : 20000;
  unsigned late = 0;

  ctx = context();
  eio_set_max_parallel(ctx, 1);
  eio_set_max_idle(ctx, 0);
  eio_set_idle_timeout(ctx, 0);
  for (int i = 0; i < n && !late; i++) {
    submit_for_worker(ctx, &jobs[0], i);
    for (int k = i % 50; k--;)
      eio_p_relax();
    while (eio_nreqs(ctx) && !late) {
      late += eio_poll_wait(ctx, 10000) < 0;
      eio_poll(ctx, 0, 0);
    }
  }
  check(!late && ncalled == (unsigned)n, "%d requests for a thread that leaves", n);
  eio_destroy(ctx);
}

static void submit_with_priority(struct job *job, enum eio_op op, const char *path, int pri, unsigned flags)
{
  job_init(job, op, (int)(job - jobs));
  job->req.path = (char *)path;
  job->req.pri = (int8_t)pri;
  job->req.flags = (uint16_t)flags;
  eio_submit(ctx, &job->req);
}

/* The only worker hangs. An owner that waits executes what is first in the queue,
 * when that cannot block. */
static void help(void)
{
  submit_with_priority(&jobs[1], EIO_LSTAT, "/", 2, EIO_NO_INLINE);
  check(eio_nready(ctx) == 1 && eio_nthreads(ctx) == 1, "the only thread is waited for");
  submit_with_priority(&jobs[2], EIO_NOP, NULL, 0, 0);
  check(eio_nready(ctx) == 2 && !eio_npending(ctx), "a higher priority is not overtaken in submit");
  check(eio_poll_wait(ctx, 0) < 0 && eio_nready(ctx) == 2, "nor by an owner that waits");
  submit_with_priority(&jobs[3], EIO_LSTAT, "no/such/file", 3, 0);
  check(eio_poll_wait(ctx, 0) < 0 && eio_nready(ctx) == 3, "it leaves errors to the worker");
  submit_with_priority(&jobs[6], EIO_NOP, NULL, 4, 0);
  check(eio_nready(ctx) == 3 && eio_npending(ctx) == 1, "what is before all that waits is executed in submit");
  eio_poll(ctx, 0, 0);
  check(called_in_order(6, 1), "and called back");
  ncalled = 0;

  eio_set_max_parallel(ctx, 1); /* there is no place for these now */
  submit_with_priority(&jobs[4], EIO_NOP, NULL, 4, 0);
  job_init(&jobs[5], EIO_LSTAT, 5);
  jobs[5].req.path = (char *)"/";
  jobs[5].req.pri = 4;
  jobs[5].req.flags = EIO_FAILED;
  jobs[5].req.errorno = ENAMETOOLONG;
  eio_submit(ctx, &jobs[5].req);
  eio_set_max_parallel(ctx, 8);
  check(eio_nready(ctx) == 5 && eio_poll_wait(ctx, 0) == 0 && eio_nready(ctx) == 4,
        "an owner that waits executes what comes next and does not block");
  eio_poll(ctx, 0, 0);
  check(eio_poll_wait(ctx, 0) == 0 && jobs[5].req.result == -1 && jobs[5].req.errorno == ENAMETOOLONG,
        "what has failed from the start keeps its error");
  eio_poll(ctx, 0, 0);
  check(called_in_order(4, 2), "both are called back");
  check(eio_poll_wait(ctx, 0) < 0 && eio_npending(ctx) == 0, "the others wait on");
}

/* No thread can be had. */
static void without_threads(void)
{
  struct gate gate = gate_make();

  ctx = context();
  if (!is_sync()) {
    block(ctx, &jobs[0], &gate, 0);
    wait_running(ctx, 1);
  }
#ifdef SYS_clone
  if (!refuse_calls(SYS_clone, SYS_clone3, EAGAIN))
#endif
    return skip(1, "needs seccomp");
  if (!is_sync())
    help();
  gate_open(&gate);
  finish_all(ctx);
  check(ncalled == (is_sync() ? 0 : 6), "the thread executes the others");
  eio_reset(ctx);

  ncalled = 0;
  for (int i = 0; i < 3; i++) {
    submit_for_worker(ctx, &jobs[i], i);
    check_int(eio_npending(ctx), i + 1, "without any thread submit executes");
  }
  check_int(eio_nthreads(ctx), 0, "there is none");
  check_int(ncalled, 0, "nothing is called back");
  wait_readable(ctx);
  eio_poll(ctx, 0, 0);
  check(called_in_order(0, 3), "but in poll");
  eio_set_max_parallel(ctx, 0);
  submit_for_worker(ctx, &jobs[0], 0);
  check_int(eio_npending(ctx), 0, "a maximum of 0 holds");
  ncalled = 0;
  eio_set_max_parallel(ctx, 1);
  finish_all(ctx);
  check_int(ncalled, 1, "until it is raised");
  gate_remove(&gate);
  eio_destroy(ctx);
}

static void test_refused(void)
{
  in_child(without_threads);
}

int main(void)
{
  static test *const tests[] = {
    test_numbers, test_none, test_one, test_one_done, test_on_demand, test_held_up, test_together,
    test_ring_above, test_next_in_turn, test_left_by_ring, test_turn_of_owner, test_lower, test_idle, test_leaving, test_refused, NULL,
  };

  tap_begin();
  on_each_engine(tests);
  return tap_end();
}
