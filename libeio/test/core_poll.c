/* core_poll.c - contexts, submit, poll and its limits, the wakeup descriptor. */
#include "ring_gate.h"

#include "../eio_pool.h"

#include <signal.h>
#include <time.h>

static eio_ctx *ctx; /* for callbacks */
static struct job jobs[10000];

static void test_empty(void)
{
  struct eio_stats stats;

  eio_destroy(NULL);
  ctx = context();
  check_int(eio_poll(ctx, 0, 0), 0, "poll has nothing to do");
  check_int(eio_poll_wait(ctx, -1), 0, "nothing outstanding is nothing to wait for");
  check(!is_readable(ctx), "wakeup descriptor is silent");
  check_int(eio_nreqs(ctx) + eio_nready(ctx) + eio_npending(ctx) + eio_nthreads(ctx), 0,
            "all counters are 0");
  eio_get_stats(ctx, &stats);
  check_int(stats.submitted + stats.threads_started + stats.wakeups, 0, "so are the statistics");
  eio_destroy(ctx);
}

static void test_result(void)
{
  struct job open, failed;

  ctx = context();
  job_init(&open, EIO_OPEN, 0);
  open.req.path = "/dev/null/x";
  eio_submit(ctx, &open.req);
  job_init(&failed, EIO_UNLINK, 1);
  failed.req.path = "/dev/null";
  failed.req.flags = EIO_FAILED;
  failed.req.errorno = EXDEV;
  eio_submit(ctx, &failed.req);
  check_int(ncalled, 0, "nothing is called back before poll");
  check_int(eio_nreqs(ctx), 2, "two requests are outstanding");
  finish_all(ctx);
  check_int(ncalled, 2, "both are called back");
  check(open.req.result == -1 && open.req.errorno == ENOTDIR, "a failure has its errno");
  check(failed.req.result == -1 && failed.req.errorno == EXDEV && exists("/dev/null"),
        "a failed request is not executed");
  eio_destroy(ctx);
}

static void submit_nops(int n, bool for_worker)
{
  for (int i = 0; i < n; i++)
    (for_worker ? submit_for_worker : submit_nop)(ctx, &jobs[i], i);
}

static void test_max_reqs(void)
{
  ctx = context();
  for (int for_worker = 0; for_worker < 2; for_worker++) {
    ncalled = 0;
    submit_nops(10, for_worker);
    wait_pending(ctx, 10);
    check_int(eio_poll(ctx, 3, 0), -1, "poll of 3 tells that more are left");
    check_int(ncalled, 3, "3 are called back");
    check_int(eio_nreqs(ctx), 7, "7 are outstanding");
    check_int(eio_npending(ctx), 7, "and pending");
    check(is_readable(ctx), "descriptor stays readable");
    check_int(eio_poll_wait(ctx, -1), 0, "no waiting while some are pending");
    check_int(eio_poll(ctx, 7, 0), 0, "poll of the other 7 leaves nothing");
    check(called_in_order(0, 10), "in order");
    check(!is_readable(ctx), "descriptor is silent");
  }
  eio_destroy(ctx);
}

static void spin(eio_req *req)
{
  uint64_t now = eio_p_now();

  while (eio_p_now() == now)
    ;
  note(req);
}

static void test_max_time(void)
{
  ctx = context();
  for (int i = 0; i < 10; i++) {
    job_init(&jobs[i], EIO_NOP, i);
    jobs[i].req.cb = spin;
    eio_submit(ctx, &jobs[i].req);
  }
  wait_pending(ctx, 10);
  check_int(eio_poll(ctx, 0, 1), -1, "time is up");
  check_int(ncalled, 1, "one is called back");
  check_int(eio_poll(ctx, 0, UINT64_C(1) << 40), 0, "there is time for all");
  check_int(ncalled, 10, "all are called back");
  eio_destroy(ctx);
}

static int chain_left;

/* What a callback submits and is done at once waits for the next poll. A
 * request is released after its callback, hence two of them by turns. */
static void chain(eio_req *req)
{
  struct job *other = (struct job *)req == &jobs[0] ? &jobs[1] : &jobs[0];

  note(req);
  if (chain_left-- > 0) {
    job_init(other, EIO_NOP, 0);
    other->req.cb = chain;
    eio_submit(ctx, &other->req);
  }
}

static void test_chain(void)
{
  ctx = context();
  chain_left = 4;
  job_init(&jobs[0], EIO_NOP, 0);
  jobs[0].req.cb = chain;
  eio_submit(ctx, &jobs[0].req);
  for (unsigned i = 1; i < 5; i++) {
    check_int(eio_poll(ctx, 0, 0), -1, "poll %u leaves the next one", i);
    check_int(ncalled, i, "callback %u", i);
    check(is_readable(ctx), "descriptor is readable for the next one");
  }
  check_int(eio_poll(ctx, 0, 0), 0, "the last poll leaves nothing");
  check_int(ncalled, 5, "all were called back");
  check(!is_readable(ctx), "descriptor is silent");
  eio_destroy(ctx);
}

static unsigned nested_max;
static int nested_result;
static bool nested_readable;

static void nest(eio_req *req)
{
  note(req);
  nested_result = eio_poll(ctx, nested_max, 0);
  nested_readable = is_readable(ctx);
}

static void test_nested(void)
{
  ctx = context();
  for (nested_max = 0; nested_max < 6; nested_max += 3) {
    ncalled = 0;
    for (int i = 0; i < 10; i++) {
      job_init(&jobs[i], EIO_NOP, i);
      jobs[i].req.cb = i ? note : nest;
      eio_submit(ctx, &jobs[i].req);
    }
    wait_pending(ctx, 10);
    check_int(eio_poll(ctx, 1, 0), nested_max ? -1 : 0, "outer poll");
    check_int(nested_result, nested_max ? -1 : 0, "inner poll, of %u", nested_max);
    check(nested_readable == (nested_max > 0), "descriptor inside");
    check(called_in_order(0, nested_max ? 4 : 10), "the inner poll has called back");
    finish_all(ctx);
    check(called_in_order(0, 10), "all are called back");
    check(!is_readable(ctx), "descriptor is silent");
  }
  eio_destroy(ctx);
}

static struct gate nested_gate;

/* An inner poll that clears the descriptor must not hide what the outer one
 * left over. */
static void wait_inside(eio_req *req)
{
  note(req);
  gate_open(&nested_gate);
  while (ncalled < 4) {
    wait_readable(ctx);
    eio_poll(ctx, 0, 0);
  }
}

static void test_wait_inside(void)
{
  ctx = context();
  if (!is_sync()) {
    nested_gate = gate_make();
    for (int i = 0; i < 3; i++)
      (i & 1 ? block_in_ring : block)(ctx, &jobs[i], &nested_gate, i);
    submit_nop(ctx, &jobs[3], 3);
    jobs[3].req.cb = wait_inside;
    wait_pending(ctx, 1);
    eio_poll(ctx, 0, 0);
    check_int(ncalled, 4, "a callback can wait for others by the descriptor");
    check(eio_nreqs(ctx) == 0 && !is_readable(ctx), "descriptor is silent then");
    gate_remove(&nested_gate);
  }
  eio_destroy(ctx);
}

/* The descriptor alone tells when to poll, for whatever way a request took. */
static void test_descriptor(void)
{
  int fd = open_for_test("/proc/self/exe", O_RDONLY), readable = 0;
  char buf[4096];

  ctx = context();
  for (int i = 0; i < 500; i++) {
    job_init(&jobs[i], i % 3 ? EIO_READ : EIO_NOP, i);
    jobs[i].req.fd = fd;
    jobs[i].req.buf = buf;
    jobs[i].req.size = sizeof buf;
    jobs[i].req.flags = i % 3 == 1 ? 0 : EIO_NO_INLINE;
    eio_submit(ctx, &jobs[i].req);
    while (eio_nreqs(ctx)) {
      wait_readable(ctx);
      eio_poll(ctx, 0, 0);
    }
    readable += is_readable(ctx);
  }
  check(called_in_order(0, 500), "500 rounds by the descriptor");
  check_int(readable, 0, "it was silent after each");
  close(fd);
  eio_destroy(ctx);
}

/* Written once for all that is done before the next poll, in whatever way. */
static void test_wakeups(void)
{
  struct eio_stats stats;

  ctx = context();
  for (unsigned round = 1; round <= 3; round++) {
    for (int i = 0; i < 10; i++)
      (i & 1 ? submit_nop : submit_for_worker)(ctx, &jobs[i], i);
    wait_pending(ctx, 10);
    eio_get_stats(ctx, &stats);
    check_int(stats.wakeups, round, "one write for ten requests");
    check(is_readable(ctx) && eio_poll(ctx, 0, 0) == 0 && !is_readable(ctx), "and one poll");
  }
  eio_destroy(ctx);
}

/* While the owner looks, workers do not write. What it leaves then is told. */
static void test_spared(void)
{
  ctx = context();
  if (!is_sync()) {
    atomic_store(&ctx->polling, true);
    submit_nops(3, true);
    wait_pending(ctx, 3);
    eio_get_stats(ctx, &(struct eio_stats){ 0 }); /* waits for the worker to give up the lock */
    atomic_store(&ctx->polling, false);
    check(!is_readable(ctx), "no write for an owner that looks");
    check_int(eio_poll(ctx, 1, 0), -1, "poll of one tells that more are left");
    check(is_readable(ctx), "so does the descriptor then");
    check(eio_poll(ctx, 0, 0) == 0 && called_in_order(0, 3) && !is_readable(ctx), "until there are none");
  }
  eio_destroy(ctx);
}

/* An owner that looks stops looking at any moment; results come at any moment, too. */
static void test_looks(void)
{
  int rounds = SANITIZED || under_valgrind() ? 200 : 3000, fd = open_for_test("/dev/zero", O_RDONLY);
  static char buf[512 * 1024];
  int late = 0;

  ctx = context();
  ctx->pool->pace.ncpus = 2; /* with one processor it never looks */
  for (int i = 0; i < rounds && !late; i++) {
    job_init(&jobs[0], EIO_READ, i);
    jobs[0].req.fd = fd;
    jobs[0].req.buf = buf;
    jobs[0].req.size = (uint64_t)(i % 64 + 8) * 4096;
    jobs[0].req.offs = -1;
    jobs[0].req.flags = EIO_NO_INLINE;
    eio_submit(ctx, &jobs[0].req);
    while (eio_nreqs(ctx) && !late) {
      atomic_store(&ctx->pool->pace.wait, 1); /* it looks each time */
      late = eio_poll_wait(ctx, 10000) < 0 && errno == EAGAIN;
      eio_poll(ctx, 0, 0);
    }
  }
  check(!late && ncalled == (unsigned)rounds, "%d results for an owner that looks and stops looking", rounds);
  close(fd);
  eio_destroy(ctx);
}

static unsigned pending_inside;

static void count_pending(eio_req *req)
{
  note(req);
  submit_nop(ctx, &jobs[3], 3);
  submit_for_worker(ctx, &jobs[4], 4);
  wait_pending(ctx, 4);
  pending_inside = eio_npending(ctx);
}

static void test_pending(void)
{
  ctx = context();
  submit_nops(3, false);
  jobs[0].req.cb = count_pending;
  wait_pending(ctx, 3);
  eio_poll(ctx, 1, 0);
  check_int(pending_inside, 4, "in a callback, what is left and what has been done since is pending");
  finish_all(ctx);
  check_int(ncalled, 5, "all are called back");
  eio_destroy(ctx);
}

static void ignore(int signal)
{
  (void)signal;
}

static void test_wait(void)
{
  struct sigaction action = { .sa_handler = ignore };
  struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
  struct itimerspec often = { { 0, 1000000 }, { 0, 1000000 } };
  struct gate gate = gate_make();
  timer_t timer;

  ctx = context();
  if (is_sync())
    return eio_destroy(ctx), gate_open(&gate), gate_remove(&gate);
  block(ctx, &jobs[0], &gate, 0);
  block_in_ring(ctx, &jobs[1], &gate, 1);
  check(eio_poll_wait(ctx, 0) < 0 && errno == EAGAIN, "poll_wait: time is up");
  check(eio_poll_wait(ctx, 1) < 0 && errno == EAGAIN, "again, after a millisecond");
  check_int(eio_poll(ctx, 0, 0), 0, "poll does not wait");
  sigaction(SIGUSR1, &action, NULL);
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0 || timer_settime(timer, 0, &often, NULL) < 0)
    bail_out("no timer");
  check(eio_poll_wait(ctx, -1) < 0 && errno == EINTR, "poll_wait is interrupted");
  timer_delete(timer);
  check_int(eio_nreqs(ctx), 2, "both are outstanding");
  gate_open(&gate);
  finish_all(ctx);
  check_int(ncalled, 2, "both are called back");
  gate_remove(&gate);
  eio_destroy(ctx);
}

static void test_parts(void)
{
  eio_req *req;

  ctx = context();
  submit_nops(3, false);
  wait_pending(ctx, 3);
  eio_poll_begin(ctx);
  req = eio_next(ctx);
  check(req == &jobs[0].req && req->state == EIO_FINISHED, "the first request is handed out");
  check_int(eio_nreqs(ctx), 2, "it is not outstanding any more");
  eio_unfinish(ctx, req);
  check_int(eio_poll_end(ctx), -1, "more is left");
  check(is_readable(ctx), "descriptor is readable");
  eio_poll_begin(ctx);
  check(eio_next(ctx) == req && eio__cancelled(req), "what was put back comes first, cancelled");
  check_int(eio_nreqs(ctx), 2, "it is not counted twice");
  eio_release(ctx, req);
  eio_poll_end(ctx);
  eio_poll(ctx, 0, 0);
  check_int(ncalled, 2, "the others are called back");
  eio_destroy(ctx);
}

static void test_nops(void)
{
  int rounds = SANITIZED ? 10 : 100;
  struct eio_stats stats;
  uint64_t n = (uint64_t)rounds * 10000;
  bool sorted = true;

  ctx = context();
  for (int round = 0; round < rounds; round++) {
    ncalled = 0;
    submit_nops(10000, round & 1);
    finish_all(ctx);
    sorted = sorted && ncalled == 10000;
  }
  eio_get_stats(ctx, &stats);
  check(sorted && stats.submitted == n, "%d nops", (int)n);
  check(is_sync() || (stats.inlined == n / 2 && stats.executed == n / 2),
        "half of them inline, half by workers");
  check(stats.wakeups <= n / 2 + (uint64_t)rounds, "the descriptor was not written for each");
  check(!is_readable(ctx), "descriptor is silent");
  eio_destroy(ctx);
}

/* What cannot happen ends the program. */
static void test_abort(void)
{
  struct rlimit no_core = { 0, 0 };
  int status = 0;
  pid_t pid;

  fflush(stdout);
  pid = fork();
  if (pid == 0) {
    ctx = context();
    setrlimit(RLIMIT_CORE, &no_core);
    dup2(open("/dev/null", O_WRONLY), 2);
    eio_set_max_parallel(ctx, 0);
    submit_nop(ctx, &jobs[0], 0);
    eio_submit(ctx, &jobs[0].req);
    _exit(0);
  }
  waitpid(pid, &status, 0);
  check(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "submitting a request twice aborts");
}

/* Opens it when the owner has had the time to fall asleep. */
static void *open_later(void *gate)
{
  for (int i = 0; i < 1000; i++)
    sched_yield();
  gate_open(gate);
  return NULL;
}

/* The wakeup descriptor is closed, and no other can be had for a while: what is
 * outstanding comes back all the same, long before time is up. */
static void without_descriptor(int timeout)
{
  struct rlimit limit, none;
  struct gate gate;
  pthread_t thread;

  ctx = context();
  gate = gate_make();
  if (is_sync())
    gate_open(&gate);
  block(ctx, &jobs[0], &gate, 0);
  close(eio_poll_fd(ctx));
  getrlimit(RLIMIT_NOFILE, &limit);
  none = (struct rlimit){ 0, limit.rlim_max };
  setrlimit(RLIMIT_NOFILE, &none);
  if (is_sync())
    check_int(eio_poll_wait(ctx, 0), 0, "it is done");
  else {
    check(eio_poll_wait(ctx, 0) == -1 && errno == EAGAIN, "there is nothing yet");
    check_int(eio_poll_fd(ctx), -1, "and nothing to wait for");
    if ((errno = pthread_create(&thread, NULL, open_later, &gate)))
      bail_out("no thread");
    check_int(eio_poll_wait(ctx, timeout), 0, "it is done, seen with a timeout of %d", timeout);
    pthread_join(thread, NULL);
  }
  eio_poll(ctx, 0, 0);
  check_int(ncalled, 1, "and called back");
  setrlimit(RLIMIT_NOFILE, &limit);
  eio_poll(ctx, 0, 0);
  submit_for_worker(ctx, &jobs[1], 1);
  if (is_sync())
    finish_all(ctx);
  else {
    check(eio_poll_fd(ctx) >= 0, "there is one again");
    wait_readable(ctx);
    eio_poll(ctx, 0, 0);
  }
  check_int(ncalled, 2, "which tells of what comes next");
  gate_remove(&gate);
  eio_destroy(ctx);
}

static void test_without_descriptor(void)
{
  if (under_valgrind())
    return skip(1, "valgrind counts descriptors by a limit of its own");
  without_descriptor(-1);
  ncalled = 0;
  without_descriptor(50000);
}

int main(void)
{
  static test *const tests[] = {
    test_empty, test_result, test_max_reqs, test_max_time, test_chain, test_nested,
    test_wait_inside, test_descriptor, test_wakeups, test_spared, test_looks, test_pending, test_wait, test_parts, test_nops, test_without_descriptor,
    test_abort, NULL,
  };

  tap_begin();
  on_each_engine(tests);
  return tap_end();
}
