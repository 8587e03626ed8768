/* core_time.c - deadlines, and requests that are abandoned while they hang. A gate
 * stands for what hangs; that time passes is all that these tests need. */
#include "core.h"

#include <sys/wait.h>

#define SOON UINT64_C(1000000)

static eio_ctx *ctx;
static struct gate gate;
static unsigned nlate;

static void released(eio_req *req)
{
  nlate += (req->flags & EIO_LATE) != 0;
}

static void begin(bool watched)
{
  ctx = watched ? context() : unwatched_context();
  eio_on_abandon(ctx, stand_in);
  eio_on_release(ctx, released);
  gate = gate_make();
  nstand_ins = nlate = ncalled = 0;
}

/* What hangs ends, and comes back. */
static void end(unsigned late)
{
  gate_open(&gate);
  for (nlate = 0; nlate < late; sched_yield())
    eio_poll(ctx, 0, 0);
  check_int(eio_npending(ctx), 0, "all that hung comes out of poll, and no more");
  gate_remove(&gate);
  eio_destroy(ctx);
}

static void poll_until(unsigned called)
{
  while (ncalled < called) {
    if (ctx->watched)
      wait_readable(ctx);
    else
      eio_poll_wait(ctx, -1);
    eio_poll(ctx, 0, 0);
  }
}

/* Two run and two wait. */
static void run_out(bool watched)
{
  struct job jobs[5];
  bool failed = true;

  begin(watched);
  eio_set_max_parallel(ctx, 2);
  for (int i = 0; i < 4; i++) {
    block(ctx, &jobs[i], &gate, i);
    if (i == 1)
      wait_running(ctx, 2);
  }
  for (int i = 4; i--; ) /* those that wait first: they get no place */
    eio_timeout(ctx, &jobs[i].req, SOON);
  check_int(eio_nreqs(ctx), 4, "four are outstanding");
  poll_until(4);
  check_int(eio_nreqs(ctx), 0, "none when their time is up, run they or wait they");
  check(nstand_ins == 2 && eio_nabandoned(ctx) == 2, "two are abandoned, with their workers");
  for (int i = 0; i < 2; i++)
    failed = failed && stand_ins[i].req.result == -1 && stand_ins[i].req.errorno == ETIMEDOUT
             && jobs[i + 2].req.result == -1 && jobs[i + 2].req.errorno == ETIMEDOUT;
  check(failed, "all fail with ETIMEDOUT");
  check(eio_poll(ctx, 0, 0) == 0 && !is_readable(ctx), "nothing else is to be polled");
  submit_for_worker(ctx, &jobs[4], 4);
  finish_all(ctx);
  check(jobs[4].called && eio_nthreads(ctx) <= 2, "others are executed, by workers in their place");
  end(2);
}

static void test_timeout(void)
{
  if (is_sync())
    return;
  run_out(true);
  run_out(false);
}

static void test_in_time(void)
{
  struct job jobs[2];

  if (is_sync())
    return;
  begin(true);
  block(ctx, &jobs[0], &gate, 0);
  eio_timeout(ctx, &jobs[0].req, 3600 * UINT64_C(1000000000));
  block(ctx, &jobs[1], &gate, 1);
  eio_timeout(ctx, &jobs[1].req, SOON);
  eio_timeout(ctx, &jobs[1].req, EIO_NEVER);
  while (eio_p_now() < jobs[1].req.began + 2 * SOON)
    eio_poll(ctx, 0, 0);
  check_int(ncalled, 0, "a deadline that was taken away is none");
  gate_open(&gate);
  finish_all(ctx);
  check(jobs[0].called && jobs[1].called && !jobs[0].req.deadline, "what is done in time has its result");
  check_int(eio_timeout(ctx, &jobs[0].req, 0), 0, "what is done can have no deadline");
  check_int(ctx->deadlines.length, 0, "none is left");
  gate_remove(&gate);
  eio_destroy(ctx);
}

/* Deadlines in any order, some taken back: they are met in theirs. */
static void test_order(void)
{
  enum { N = 300 };
  static struct job jobs[N];
  unsigned seed = 11, wrong = 0, left = 0;

  if (is_sync())
    return;
  begin(false);
  eio_set_max_parallel(ctx, 0);
  for (int i = 0; i < N; i++) {
    unsigned r = (seed = seed * 1103515245 + 12345) >> 16;

    submit_for_worker(ctx, &jobs[i], (int)(r % 1000));
    eio_timeout(ctx, &jobs[i].req, 1000000000 + r % 1000 * UINT64_C(1000000000));
    jobs[i].number = (int)(r % 1000);
    if (r & 1024)
      eio_timeout(ctx, &jobs[i].req, EIO_NEVER);
    else
      left++;
  }
  check_int(ctx->deadlines.length, left, "as many deadlines as were not taken back");
  for (int before = -1; ctx->deadlines.length; ) {
    struct job *first = NULL;
    uint64_t at = eio__time_next(ctx);

    for (int i = 0; i < N && !first; i++)
      if (jobs[i].req.deadline && *(eio_req **)jobs[i].req.deadline == &jobs[i].req
          && ((uint64_t *)jobs[i].req.deadline)[1] == at)
        first = &jobs[i];
    if (!first)
      break;
    wrong += first->number < before;
    before = first->number;
    eio_timeout(ctx, &first->req, EIO_NEVER);
  }
  check(!wrong && !ctx->deadlines.length, "the first is always the earliest");
  gate_open(&gate);
  gate_remove(&gate);
  eio_destroy(ctx);
}

static void test_cancelled(void)
{
  struct job jobs[4];

  if (is_sync())
    return;
  begin(true);
  eio_set_max_parallel(ctx, 3);
  for (int i = 0; i < 3; i++)
    block(ctx, &jobs[i], &gate, i);
  wait_running(ctx, 3);
  for (int i = 0; i < 3; i++)
    eio_cancel(ctx, &jobs[i].req);
  check_int(eio_nreqs(ctx), 3, "what was cancelled counts");
  submit_for_worker(ctx, &jobs[3], 3);
  poll_until(1);
  check(jobs[3].called && !jobs[0].called, "when it has not ended soon, others take its place");
  finish_all(ctx);
  check(eio_nreqs(ctx) == 0 && eio_nabandoned(ctx) == 3, "and it counts no more");
  end(3);
  check_int(ncalled, 1, "it is not called back");
}

static void test_bound(void)
{
  struct job jobs[3];

  if (is_sync())
    return;
  begin(true);
  eio_set_max_parallel(ctx, 2);
  eio_set_max_abandoned(ctx, 1);
  for (int i = 0; i < 2; i++) {
    block(ctx, &jobs[i], &gate, i);
    eio_timeout(ctx, &jobs[i].req, SOON);
  }
  wait_running(ctx, 2);
  poll_until(2);
  check(eio_nabandoned(ctx) == 1 && atomic_load(&ctx->nrunning) == 1, "one worker may be abandoned");
  submit_for_worker(ctx, &jobs[2], 2);
  finish_all(ctx);
  check(jobs[2].called, "the other keeps its place");
  end(2);
}

/* A group's time is that of what is below it, and of what comes later. */
static void test_group(void)
{
  struct job jobs[4], group, inner;

  if (is_sync())
    return;
  begin(true);
  job_init(&group, EIO_GROUP, 100);
  job_init(&inner, EIO_GROUP, 101);
  eio_submit(ctx, &group.req);
  eio_submit(ctx, &inner.req);
  eio_group_add(ctx, &group.req, &inner.req);
  for (int i = 0; i < 3; i++) {
    block(ctx, &jobs[i], &gate, i);
    eio_group_add(ctx, i ? &inner.req : &group.req, &jobs[i].req);
  }
  wait_running(ctx, 3);
  eio_timeout(ctx, &group.req, SOON);
  while (!nstand_ins) {
    wait_readable(ctx);
    eio_poll(ctx, 1, 0);
  }
  block(ctx, &jobs[3], &gate, 3);
  eio_group_add(ctx, &group.req, &jobs[3].req);
  poll_until(6);
  check(nstand_ins >= 3 && eio_nreqs(ctx) == 0, "all members fail, and one that is added later");
  check(order[5] == 100 && group.req.errorno == ETIMEDOUT, "then the group, with ETIMEDOUT");
  check(inner.called && inner.req.errorno == ETIMEDOUT, "and the one in it");
  end(nstand_ins);
}

/* Everything is dropped while something hangs that was abandoned. */
static void test_reset(void)
{
  struct job jobs[2];

  if (is_sync())
    return;
  begin(true);
  for (int i = 0; i < 2; i++)
    block(ctx, &jobs[i], &gate, i);
  eio_timeout(ctx, &jobs[0].req, SOON);
  wait_running(ctx, 2);
  poll_until(1);
  eio_timeout(ctx, &jobs[1].req, SOON);
  eio_reset(ctx);
  check(!eio_nabandoned(ctx) && !eio_nreqs(ctx) && !ctx->deadlines.length, "reset forgets all");
  gate_open(&gate);
  wait_orphans(ctx, 2);
  check_int(ncalled, 1, "both come back as orphans");
  gate_remove(&gate);
  eio_destroy(ctx);
}

static void test_fork(void)
{
  struct job jobs[2], later;
  int status = 0;
  pid_t pid;

  if (is_sync())
    return;
  begin(true);
  for (int i = 0; i < 2; i++) {
    block(ctx, &jobs[i], &gate, i);
    eio_timeout(ctx, &jobs[i].req, i ? 3600 * UINT64_C(1000000000) : SOON);
  }
  wait_running(ctx, 2);
  poll_until(1);
  pid = fork();
  if (!pid) {
    bool fine = take_orphans(ctx) == 2 && !ctx->deadlines.length && !eio_nabandoned(ctx);

    nstand_ins = ncalled = 0;
    block(ctx, &later, &gate, 9);
    eio_timeout(ctx, &later.req, SOON);
    poll_until(1);
    _exit(fine && ncalled == 1 && order[0] == 9 ? 0 : 1);
  }
  waitpid(pid, &status, 0);
  check_int(status, 0, "a child has nothing of it, and deadlines of its own");
  gate_open(&gate);
  finish_all(ctx);
  while (!nlate)
    eio_poll(ctx, 0, 0);
  check(jobs[1].called, "the parent goes on");
  gate_remove(&gate);
  eio_destroy(ctx);
}

int main(void)
{
  static test *const tests[] = {
    test_timeout, test_in_time, test_order, test_cancelled, test_bound, test_group, test_reset, test_fork, NULL,
  };

  scratch_begin();
  on_each_engine(tests);
  return scratch_end(0);
}
