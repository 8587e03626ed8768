/* core_refused.c - threads that the system refuses, to the owner and to workers: what
 * waits for them is told, and they are asked for again.
 *
 * eio_plat_sleep.c is compiled in here, with a pthread_create() that refuses. */
#include "core.h"

#include "../eio_pool.h"

static int refuse_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);

#define pthread_create refuse_create
#include "../eio_plat_sleep.c"
#undef pthread_create

static eio_ctx *ctx;
static struct job jobs[4];
static atomic_int asked;             /* how often a thread has been asked for */
static unsigned refused;             /* bit n: the n-th is refused, the first is 0 */
static atomic_bool hold, held;       /* one that is refused waits for the test */
static atomic_int slow;              /* the first worker begins when as many requests wait */

static void *(*real_start)(void *);

static void *start_late(void *arg)
{
  while (eio_nready(ctx) < (unsigned)atomic_load(&slow))
    sched_yield();
  return real_start(arg);
}

static int refuse_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
  int n = atomic_fetch_add(&asked, 1);

  if (refused >> n & 1) {
    atomic_store(&held, true);
    while (atomic_load(&hold))
      sched_yield();
    return EAGAIN;
  }
  real_start = start;
  return pthread_create(thread, attr, n ? start : start_late, arg);
}

static void set_up(unsigned which, int first_waits_for)
{
  ctx = context();
  for (unsigned kind = 0; kind < EIO_NKINDS; kind++)
    ctx->pool->pace.kinds[kind].busy = 1000; /* one at a time is sent for what is quick */
  ncalled = 0;
  atomic_store(&asked, 0);
  refused = which;
  atomic_store(&slow, first_waits_for);
  atomic_store(&held, false);
  atomic_store(&hold, false);
}

static void write_gate(struct job *job, struct gate *gate, int number)
{
  job_init(job, EIO_WRITE, number);
  job->req.fd = gate->fds[1];
  job->req.offs = -1;
  job->req.buf = (char *)"x";
  job->req.size = 1;
  eio_submit(ctx, &job->req);
}

/* The first waits for the second, which needs the thread that the first worker, or the
 * owner, was refused; so often. */
static void test_asked_again(void)
{
  static const struct { unsigned which; int wait; const char *to; } table[] = {
    { 1 << 1, 2, "a worker" }, { 1 << 1 | 1 << 2, 2, "a worker and the owner" }, { 1 << 1, 1, "the owner" },
  };

  if (is_sync())
    return;
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct gate gate = gate_make();

    set_up(table[i].which, table[i].wait);
    block(ctx, &jobs[0], &gate, 0);
    if (table[i].wait == 1)
      wait_running(ctx, 1);
    write_gate(&jobs[1], &gate, 1);
    finish_all(ctx);
    check(ncalled == 2 && atomic_load(&asked) > 2, "a thread refused to %s is asked for again", table[i].to);
    gate_open(&gate);
    gate_remove(&gate);
    eio_destroy(ctx);
  }
}

/* The same in an event loop, where nobody waits here. */
static void test_in_loop(void)
{
  struct gate gate = gate_make();

  if (!is_sync()) {
    set_up(1 << 1, 2);
    block(ctx, &jobs[0], &gate, 0);
    write_gate(&jobs[1], &gate, 1);
    while (eio_nreqs(ctx)) {
      wait_readable(ctx);
      eio_poll(ctx, 0, 0);
    }
    check_int(ncalled, 2, "in an event loop, too, if a worker was");
    eio_destroy(ctx);
  }
  gate_open(&gate);
  gate_remove(&gate);
}

static void submit_readlink(int i)
{
  job_init(&jobs[i], EIO_READLINK, i);
  jobs[i].req.path = (char *)"/proc/self/exe";
  eio_submit(ctx, &jobs[i].req);
}

static void *let_go(void *unused)
{
  while (!atomic_load(&held))
    sched_yield();
  while (ctx->pool->limit != 1)
    sched_yield();
  atomic_store(&hold, false);
  return unused;
}

/* The limit is lowered while the thread above it is being refused. */
static void test_lowered(void)
{
  pthread_t thread;

  if (is_sync())
    return;
  set_up(1 << 1, 3);
  atomic_store(&hold, true);
  for (int i = 0; i < 3; i++)
    submit_readlink(i);
  while (!atomic_load(&held))
    sched_yield();
  if ((errno = pthread_create(&thread, NULL, let_go, NULL)))
    bail_out("no thread");
  eio_set_max_parallel(ctx, 1);
  check(eio_nthreads(ctx) <= 1, "lowering the limit does not wait for a thread that is refused");
  pthread_join(thread, NULL);
  finish_all(ctx);
  check_int(ncalled, 3, "all are executed");
  eio_destroy(ctx);
}

int main(void)
{
  static test *const tests[] = { test_asked_again, test_in_loop, test_lowered, NULL };

  tap_begin();
  on_each_engine(tests);
  return tap_end();
}
