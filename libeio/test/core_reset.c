/* core_reset.c - dropping what is outstanding: reset, orphans, destroy, exit. */
#include "core.h"

static eio_ctx *ctx;
static struct job jobs[20], group, inner;

/* After this: 0 and 1 run, 2 to 5 wait, 6 to 9 are done; all but 9 are in
 * groups, 0, 2, 4, 6 and 8 in one that is in the other. */
static void submit_all(struct gate *gate)
{
  for (int i = 6; i < 10; i++)
    submit_nop(ctx, &jobs[i], i);
  wait_pending(ctx, 4);
  eio_set_max_parallel(ctx, 2);
  block(ctx, &jobs[0], gate, 0);
  block(ctx, &jobs[1], gate, 1);
  wait_running(ctx, 2);
  for (int i = 2; i < 6; i++)
    submit_for_worker(ctx, &jobs[i], i);
  job_init(&group, EIO_GROUP, 100);
  eio_submit(ctx, &group.req);
  job_init(&inner, EIO_GROUP, 101);
  eio_submit(ctx, &inner.req);
  eio_group_add(ctx, &group.req, &inner.req);
  for (int i = 0; i < 9; i++)
    eio_group_add(ctx, i & 1 ? &group.req : &inner.req, &jobs[i].req);
}

static bool finished(int first, int last)
{
  for (int i = first; i <= last; i++)
    if (jobs[i].req.state != EIO_FINISHED)
      return false;
  return true;
}

static void check_empty(const char *when)
{
  check(eio_nreqs(ctx) + eio_nready(ctx) + eio_npending(ctx) + eio_nthreads(ctx) == 0,
        "%s all counters are 0", when);
  check(!is_readable(ctx) && eio_poll(ctx, 0, 0) == 0, "%s there is nothing to poll", when);
}

static void test_reset(void)
{
  struct gate gate = gate_make();

  if (is_sync())
    return gate_open(&gate), gate_remove(&gate);
  for (int ripe = 0; ripe < 2; ripe++) {
    ctx = context();
    ncalled = 0;
    submit_all(&gate);
    if (ripe) { /* the groups are set aside, only the members that wait are left */
      eio_poll(ctx, 0, 0);
      check_int(ncalled, 4, "those done are called back");
    }
    eio_reset(ctx);
    check_empty("after a reset");
    check_int(take_orphans(ctx), ripe ? 4 : 8, "what did not run is an orphan");
    check(finished(2, 5), "among them what waited");
    submit_for_worker(ctx, &jobs[10], 10);
    finish_all(ctx);
    check(jobs[10].called, "the context is usable while old requests still run");
    gate_open(&gate);
    wait_orphans(ctx, 4);
    check(finished(0, 9), "what ran follows");
    check(group.req.state == EIO_FINISHED && inner.req.state == EIO_FINISHED, "and their groups");
    check_int(ncalled, ripe ? 5 : 1, "nothing dropped is called back");
    check_int(take_orphans(ctx), 0, "no orphan is left");
    eio_reset(ctx);
    check_empty("after another reset");
    eio_destroy(ctx);
    gate_remove(&gate);
    if (!ripe)
      gate = gate_make();
  }
}

static void reset_inside(eio_req *req)
{
  note(req);
  eio_reset(ctx);
}

static void test_inside(void)
{
  ctx = context();
  job_init(&group, EIO_GROUP, 100);
  eio_submit(ctx, &group.req);
  for (int i = 0; i < 5; i++) {
    submit_nop(ctx, &jobs[i], i);
    eio_group_add(ctx, &group.req, &jobs[i].req);
  }
  jobs[1].req.cb = reset_inside;
  wait_pending(ctx, 5);
  while (ncalled < 2)
    eio_poll(ctx, 0, 0);
  check(called_in_order(0, 2), "reset in a callback ends the poll");
  check_empty("then");
  check_int(take_orphans(ctx), 4, "the rest and their group are orphans");
  check(finished(2, 4) && group.req.state == EIO_FINISHED, "all of them");
  eio_destroy(ctx);
}

static void poll_inside(eio_req *req)
{
  note(req);
  eio_poll(ctx, 0, 0);
}

/* A group that waits only for what is called back now is in no queue. */
static void test_last_member(void)
{
  ctx = context();
  eio_set_max_parallel(ctx, 0);
  for (int i = 0; i < 2; i++) {
    struct job *g = i ? &inner : &group;

    job_init(g, EIO_GROUP, 100 + i);
    eio_submit(ctx, &g->req);
    submit_nop(ctx, &jobs[i], i);
    eio_group_add(ctx, &g->req, &jobs[i].req);
  }
  jobs[0].req.cb = poll_inside;
  jobs[1].req.cb = reset_inside;
  eio_poll(ctx, 0, 0); /* sets the groups aside */
  eio_set_max_parallel(ctx, 1);
  wait_pending(ctx, 2);
  eio_poll(ctx, 0, 0);
  check(called_in_order(0, 2), "reset by the last member of a group, in a callback of another's");
  check_empty("then");
  check_int(take_orphans(ctx), 2, "both groups are orphans");
  check(group.req.state == EIO_FINISHED && inner.req.state == EIO_FINISHED, "and finished");
  eio_destroy(ctx);
}

/* What nobody has begun costs nothing. */
static void test_destroy(void)
{
  ctx = context();
  eio_set_max_parallel(ctx, 0);
  for (int i = 0; i < 5; i++)
    submit_nop(ctx, &jobs[i], i);
  eio_reset(ctx);
  check_int(take_orphans(ctx), 5, "reset");
  eio_destroy(ctx);
  check_int(ncalled, 0, "then destroy, without callbacks");

  ctx = context();
  submit_for_worker(ctx, &jobs[0], 0);
  eio_destroy(ctx); /* perhaps while it runs: the job is ours and stays */
  check_int(ncalled, 0, "destroy alone, without callback");
}

/* Workers that cannot be stopped outlive the context, which the last frees.
 * What they were at is leaked, hence the process of its own. */
static void destroy_running(void)
{
  struct gate gate = gate_make();
  int threads;

  first_thread();
  threads = threads_now();
  ctx = context();
  for (int i = 0; i < 4; i++)
    block(ctx, &jobs[i], &gate, i);
  wait_running(ctx, 4);
  eio_destroy(ctx);
  check(threads_now() >= threads + 4, "workers outlive a destroyed context");
  gate_open(&gate);
  check(threads_are_gone(threads), "and leave it when they can");
}

static void test_destroy_running(void)
{
  if (!is_sync())
    in_child(destroy_running);
}

static void test_again(void)
{
  for (int round = 0; round < 300; round++) {
    ctx = context();
    for (int i = 0; i < 10; i++)
      submit_for_worker(ctx, &jobs[i], i);
    eio_poll(ctx, 0, 0);
    eio_reset(ctx);
    for (int i = 0; i < 10; i++)
      while (jobs[i].req.state != EIO_FINISHED) {
        take_orphans(ctx);
        sched_yield();
      }
    eio_destroy(ctx);
  }
  check(true, "300 contexts with requests outstanding come and go");
}

static void test_limits(void)
{
  ctx = context();
  eio_set_min_parallel(ctx, 1);
  eio_set_max_parallel(ctx, 0);
  submit_nop(ctx, &jobs[0], 0);
  check_int(eio_nready(ctx), 1, "a maximum of 0 queues");
  eio_reset(ctx);
  take_orphans(ctx);
  check_int(eio_parallel(ctx), 8, "a reset gives the limits their defaults");
  submit_nop(ctx, &jobs[1], 1);
  finish_all(ctx);
  check(jobs[1].called, "and what is submitted then executes");
  eio_destroy(ctx);
}

static void exit_with_running(void)
{
  struct gate gate = gate_make();

  ctx = context();
  for (int i = 0; i < 3; i++)
    block(ctx, &jobs[i], &gate, i);
  wait_running(ctx, 3);
  eio_reset(ctx);
  exit(42); /* without waiting for anybody */
}

static void test_exit(void)
{
  int status;
  pid_t pid;

  if (is_sync())
    return;
  fflush(stdout);
  if ((pid = fork()) == 0) {
    tap_count = tap_failed = 0;
    exit_with_running();
  }
  waitpid(pid, &status, 0);
  check(WIFEXITED(status) && WEXITSTATUS(status) == 42, "a program may exit while requests run");
}

int main(void)
{
  static test *const tests[] = {
    test_reset, test_inside, test_last_member, test_destroy, test_destroy_running, test_again, test_limits, test_exit, NULL,
  };

  tap_begin();
  on_each_engine(tests);
  return tap_end();
}
