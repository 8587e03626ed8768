/* core_pace.c - how many workers shall be awake: each limit of eio_pace.c, below
 * it, at it and above.
 *
 * The pool, its workers and the time are made up. Only the last tests have a context,
 * whose one worker is held up. */
#include "core.h"

#include "../eio_pool.h"

#include <limits.h>

#define MS UINT64_C(1000000)

static struct eio_pool pool;
static struct worker workers[4];
static eio_ctx ctx = { .pool = &pool };

/* Nobody waits, some workers are awake and none is parked. */
static void set_up(unsigned ncpus, unsigned awake, unsigned cost)
{
  memset(&pool, 0, sizeof pool);
  memset(workers, 0, sizeof workers);
  pool.ncpus = ncpus;
  pool.nthreads = awake;
  pool.cost = cost;
  pool.limit = 100;
  ctx.nsubmitted = ctx.ntaken = 0;
}

/* Parks workers[0] to [n - 1], the first on top. */
static void park(unsigned n)
{
  for (unsigned i = 0; i < n; i++) {
    workers[i].parked = true;
    workers[i].below = i + 1 < n ? &workers[i + 1] : NULL;
  }
  pool.parked = &workers[0];
  pool.nparked = n;
  pool.nthreads += n;
}

/* One that has been at a request since then. */
static void occupy(struct worker *w, uint64_t began)
{
  static eio_req req;

  w->current = &req;
  w->began = began;
  w->next = pool.all;
  pool.all = w;
}

/* How many may be awake: with one less there is room for another, and one more
 * is not needed. UINT_MAX if there is no such number. */
static unsigned enough(unsigned ncpus, unsigned cost)
{
  for (unsigned n = 1; n < 1000; n++) {
    set_up(ncpus, n, cost);
    if (eio__pace_is_crowded(&pool)) {
      bool exactly = !eio__pace_is_too_many(&pool);

      pool.nthreads = n + 1;
      return exactly && eio__pace_is_too_many(&pool) ? n : 0;
    }
  }
  return UINT_MAX;
}

static void test_enough(void)
{
  static const struct { unsigned ncpus, trivial; } table[] = {
    { 1, 1 }, { 2, 1 }, { 3, 2 }, { 4, 3 }, { 5, 4 }, { 6, 4 }, { 7, 4 }, { 64, 4 },
  };

  for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
    unsigned n = table[i].ncpus;

    is_int(enough(n, 0), table[i].trivial, "%u processors, nothing known: %u", n, table[i].trivial);
    is_int(enough(n, 2999), table[i].trivial, "below 3 us: %u", table[i].trivial);
    is_int(enough(n, 3000), n, "3 us: one for each processor");
    is_int(enough(n, 19999), n, "below 20 us: the same");
    is_int(enough(n, 20000), UINT_MAX, "20 us: any number");
  }
  for (unsigned i = 1; i < 4; i++) {
    set_up(i, i - 1, 3000);
    pool.helping = true;
    ok(i < 2 || eio__pace_is_crowded(&pool), "%u processors, the owner helps: %u", i, i > 1 ? i - 1 : 1);
    pool.nthreads = i;
    ok(eio__pace_is_too_many(&pool) == (i > 1), "and one more is %stoo many", i > 1 ? "" : "not ");
    pool.cost = 20000;
    ok(!eio__pace_is_crowded(&pool), "20 us: any number");
  }
  set_up(2, 5, 3000);
  pool.nparked = 1;
  pool.nstuck = 1;
  ok(eio__pace_is_too_many(&pool), "3 awake, 1 parked, 1 held up: too many for 2 processors");
  pool.nparked = 2;
  ok(eio__pace_is_crowded(&pool) && !eio__pace_is_too_many(&pool), "2 awake, 2 parked: enough");
  pool.nstuck = 2;
  ok(!eio__pace_is_crowded(&pool), "2 of the others held up: room for one");
}

/* Who looks yields, until others use that for 200 us; then not for 20 times as long. */
static void test_yield(void)
{
  set_up(2, 1, 0);
  ok(eio__pace_may_yield(&pool, 0), "who looks yields");
  eio__pace_yielded(&pool, 5 * MS, 5 * MS + 199999);
  ok(eio__pace_may_yield(&pool, 5 * MS + 199999), "that took less than 200 us: again");
  eio__pace_yielded(&pool, 6 * MS, 6 * MS + 200000);
  ok(!eio__pace_may_yield(&pool, 6 * MS + 200000), "it took 200 us: not while others need the processors");
  ok(!eio__pace_may_yield(&pool, 10 * MS + 199999), "for 4 ms");
  ok(eio__pace_may_yield(&pool, 10 * MS + 200000), "then it is tried again");
  eio__pace_yielded(&pool, 20 * MS, 23 * MS);
  ok(!eio__pace_may_yield(&pool, 83 * MS - 1) && eio__pace_may_yield(&pool, 83 * MS), "3 ms end that for 60 ms");
}

static void test_look(void)
{
  set_up(2, 1, 19999);
  ok(eio__pace_may_look(&pool), "a processor is left, requests take less than 20 us: look");
  ok(eio__pool_may_look(&ctx), "so may the owner");
  pool.cost = 20000;
  ok(!eio__pace_may_look(&pool) && !eio__pool_may_look(&ctx), "not when they take 20 us");
  set_up(2, 2, 0);
  ok(!eio__pace_may_look(&pool) && !eio__pool_may_look(&ctx), "nor when all processors are busy");
  pool.nparked = 1;
  ok(eio__pace_may_look(&pool), "parked ones are not");
  ok(eio__pool_is_awake(&ctx), "one of two is awake");
  pool.nparked = 2;
  ok(!eio__pool_is_awake(&ctx), "none, when both are parked");
  set_up(1, 0, 0);
  ok(eio__pace_may_look(&pool), "on one processor, with no worker");
  pool.nthreads = 1;
  ok(!eio__pace_may_look(&pool), "and not with one");
}

static void test_next(void)
{
  set_up(2, 1, 0);
  is_int(eio__pace_next(&pool, false, true), EIO_TAKE, "a worker takes what is ready");
  is_int(eio__pace_next(&pool, false, false), EIO_PARK, "not when it may not");
  set_up(2, 2, 0);
  is_int(eio__pace_next(&pool, false, true), EIO_PARK, "nor when it is one too many");
  pool.cost = 3000;
  is_int(eio__pace_next(&pool, false, true), EIO_TAKE, "but when it is not");

  set_up(2, 1, 19999);
  is_int(eio__pace_next(&pool, true, false), EIO_LINGER, "out of work, it lingers");
  is_int(eio__pace_next(&pool, false, false), EIO_PARK, "not again");
  pool.lingering = true;
  is_int(eio__pace_next(&pool, true, false), EIO_PARK, "nor when another does");
  set_up(2, 2, 19999);
  is_int(eio__pace_next(&pool, true, false), EIO_PARK, "nor when no processor is left");
  set_up(2, 1, 20000);
  is_int(eio__pace_next(&pool, true, false), EIO_PARK, "nor when requests take long");
}

/* The cost after an execution of so many ns, the last probe having begun now. */
static unsigned noted(unsigned cost, uint64_t ns)
{
  set_up(2, 1, cost);
  workers[0].began = pool.probed = 1000;
  eio__pace_note(&pool, &workers[0], 1000 + ns);
  return pool.cost;
}

static void test_cost(void)
{
  is_int(noted(0, 0), 0, "cost of nothing");
  is_int(noted(0, 8000), 1000, "an execution counts for an eighth");
  is_int(noted(8000, 0), 7000, "what was known for the rest");
  is_int(noted(8000, 8000), 8000, "the same again changes nothing");
  is_int(noted(8000, 99984), 7000 + 12498, "a long one");
  is_int(noted(8000, 100000), 7000 + 12500, "100 us");
  is_int(noted(8000, 100008), 7000 + 12500, "more count as that");
  is_int(noted(8000, UINT64_MAX - 1000), 7000 + 12500, "however much it is");
  is_int(noted(3000, 100000), 2625 + 12500, "from 3 us on");
  is_int(noted(2999, 100000), 2625 + 1000, "less between trivial ones");
  is_int(noted(0, 8008), 1000, "which may have been preempted");
  is_int(noted(0, 7992), 999, "for 8 us");
}

static void note_at(uint64_t began, uint64_t now)
{
  workers[0].began = began;
  eio__pace_note(&pool, &workers[0], now);
}

static void test_probe(void)
{
  set_up(2, 1, 20000);
  pool.probed = 1000;
  note_at(1000 + 50 * MS - 20001, 1000 + 50 * MS - 1);
  ok(pool.cost == 20000 && pool.probed == 1000, "slow for less than 50 ms: as it is");
  note_at(1000 + 50 * MS - 20000, 1000 + 50 * MS);
  ok(pool.cost == 0 && pool.probed == 1000 + 50 * MS, "for 50 ms: few have to show what they can do");
  note_at(999 + 50 * MS, 1000 + 51 * MS);
  ok(pool.cost == 0, "what began before that does not count");
  note_at(1000 + 50 * MS, 1000 + 50 * MS + 800);
  is_int(pool.cost, 100, "what began then does");

  set_up(2, 1, 20000);
  pool.probed = 1000;
  note_at(1000 + 90 * MS - 19992, 1000 + 90 * MS);
  ok(pool.cost == 19999 && pool.probed == 1000, "no need when it is below 20 us");
}

static void test_watch(void)
{
  unsigned idle = 0;

  set_up(2, 4, 0);
  for (int i = 0; i < 4; i++)
    occupy(&workers[i], 1000);
  workers[1].began = 1001;
  workers[2].abandoned = true;
  workers[3].current = NULL;
  pool.watcher = &workers[3];
  ctx.nsubmitted = 1;
  eio__pace_watch(&ctx, 200999, &idle);
  ok(!workers[0].stuck && pool.nstuck == 0, "at it for less than 200 us: not held up");
  eio__pace_watch(&ctx, 201000, &idle);
  ok(workers[0].stuck && pool.nstuck == 1, "200 us: held up");
  ok(!workers[1].stuck && !workers[2].stuck && !workers[3].stuck,
     "not one that began later, or was abandoned, or executes nothing");
  eio__pace_watch(&ctx, 201001, &idle);
  ok(workers[1].stuck && pool.nstuck == 2, "each counts once");
  ok(pool.watcher == &workers[3] && idle == 0, "watching goes on while requests wait");

  ctx.nsubmitted = 0;
  for (int i = 0; i < 4; i++)
    eio__pace_watch(&ctx, 300000, &idle);
  ok(pool.watcher == &workers[3], "and four times without any");
  ctx.nsubmitted = 1;
  eio__pace_watch(&ctx, 300000, &idle);
  ctx.nsubmitted = 0;
  for (int i = 0; i < 4; i++)
    eio__pace_watch(&ctx, 300000, &idle);
  ok(pool.watcher == &workers[3], "in a row");
  eio__pace_watch(&ctx, 300000, &idle);
  ok(!pool.watcher, "but not five times");
}

/* Somebody has to be sent for. */
static void set_up_waiting(void)
{
  set_up(2, 1, 0);
  park(2);
}

static bool nobody_went(unsigned nparked)
{
  return pool.coming == 0 && pool.nparked == nparked && pool.parked == (nparked ? &workers[0] : NULL)
         && !workers[0].coming && !workers[1].coming;
}

static void test_send_for(void)
{
  bool start = false;

  set_up_waiting();
  pool.cost = 3000;
  ok(eio__pace_send_for(&ctx, 0, &start) == &workers[0] && !start, "last parked, first woken");
  ok(workers[0].coming && !workers[0].parked && pool.coming == 1, "it is on its way");
  ok(pool.parked == &workers[1] && pool.nparked == 1 && pool.nthreads == 3, "the other stays");

  set_up(2, 1, 3000);
  ok(!eio__pace_send_for(&ctx, 0, &start) && start, "when none is parked a thread is started");
  ok(pool.coming == 1 && pool.nthreads == 2 && pool.nparked == 0, "it counts from then on");
}

static void test_send_watcher(void)
{
  bool start = false;

  set_up_waiting();
  occupy(&workers[2], 1000);
  ok(eio__pace_send_for(&ctx, 200999, &start) == &workers[1] && !start && pool.watcher == &workers[1],
     "enough are awake: the one parked first watches");
  ok(nobody_went(2), "and nobody goes");

  set_up_waiting();
  occupy(&workers[2], 1000);
  ok(eio__pace_send_for(&ctx, 201000, &start) == &workers[0] && !pool.watcher,
     "one has been held up for 200 us: the next takes its place");
  ok(pool.nstuck == 1 && pool.coming == 1 && pool.nparked == 1, "it goes");

  set_up(2, 1, 0);
  ok(!eio__pace_send_for(&ctx, 0, &start) && start && !pool.watcher && pool.coming == 1,
     "when there is nobody to watch, a thread is started");
}

/* An owner that waits looks for results. When that was in vain it skips the next
 * chances, twice as many each time. */
static void test_skips(void)
{
  struct gate gate = gate_make();
  struct job job;
  eio_ctx *real = eio_create();
  unsigned wrong = 0;

  if (!real)
    bail_out("no context");
  real->pool->ncpus = 2; /* with one processor it never looks */
  block(real, &job, &gate, 0);
  wait_running(real, 1);
  for (unsigned n = 1; n <= 8; n++) {
    unsigned skips = n < 6 ? 1u << n : 64;

    eio_poll_wait(real, 0);
    for (wrong += real->look_skips != skips; skips; skips--)
      eio_poll_wait(real, 0);
    wrong += real->look_skips != 0;
  }
  is_int(wrong, 0, "looking in vain skips 2, 4, 8, 16, 32, 64, 64, 64 chances");
  gate_open(&gate);
  finish_all(real);
  gate_remove(&gate);
  eio_destroy(real);
}

/* Whether an owner that waits helps rather than sleeps. */
static void test_helping(void)
{
  struct gate gate = gate_make();
  struct job job, later, nop;
  eio_ctx *real = eio_create();

  if (!real)
    bail_out("no context");
  block(real, &job, &gate, 0);
  wait_running(real, 1);
  real->pool->limit = 1; /* no other thread takes what follows */
  job_init(&later, EIO_LSTAT, 1);
  later.req.path = (char *)"/";
  later.req.flags = EIO_NO_INLINE;
  eio_submit(real, &later.req);
  job_init(&nop, EIO_NOP, 2);
  nop.req.pri = EIO_PRI_MAX; /* not executed in submit: that would be before the other */
  eio_submit(real, &nop.req);
  ok(!real->pool->helping && eio_nready(real) == 2, "nobody has waited yet");
  ok(eio_poll_wait(real, 0) == 0 && real->pool->helping, "an owner that waits executes a request: it helps");
  eio_poll(real, 0, 0);
  real->look_skips = 1;
  ok(eio_poll_wait(real, 0) < 0 && !real->pool->helping, "and does not when it sleeps");
  real->pool->helping = real->waited = true;
  eio_poll(real, 0, 0);
  ok(real->pool->helping, "one that polls after that will be back");
  eio_poll(real, 0, 0);
  ok(!real->pool->helping, "one that polls again, from an event loop, will not");
  gate_open(&gate);
  finish_all(real);
  gate_remove(&gate);
  eio_destroy(real);
}

int main(void)
{
  tap_begin();
  test_enough();
  test_look();
  test_yield();
  test_next();
  test_cost();
  test_probe();
  test_watch();
  test_send_for();
  test_send_watcher();
  test_skips();
  test_helping();
  return tap_end();
}
