/* core_pace.c - what follows from what was measured: each limit of eio_pace.c, below it, at
 * it and above. Then the watcher and the owner who helps, in contexts. */
#include "core.h"

#include "../eio_pool.h"

#define US 1000u
#define MS UINT64_C(1000000)

static struct eio_pace pace;
static const unsigned kind = EIO_STAT, other = EIO_FSYNC;

static void set_up(unsigned ncpus)
{
  memset(&pace, 0, sizeof pace);
  eio__pace_init(&pace, ncpus);
}

static void knows(unsigned busy, unsigned wait, unsigned attempt, unsigned step)
{
  pace.kinds[kind].busy = busy;
  pace.kinds[kind].wait = wait;
  pace.kinds[kind].attempt = attempt;
  pace.step = step;
}

/* Feeds samples, all the same, and returns what has become of 10 us. */
static unsigned after(unsigned n, uint64_t ns)
{
  set_up(2);
  pace.hop = 10 * US;
  while (n--)
    eio__pace_hopped(&pace, ns);
  return pace.hop;
}

static void test_measuring(void)
{
  set_up(2);
  eio__pace_hopped(&pace, 7 * US);
  is_int(pace.hop, 7 * US, "the first sample is believed");
  is_int(after(1, 10 * US), 10 * US, "the same again changes nothing");
  is_int(after(1, 10 * US + 1), 10 * US + 626, "a longer one a sixteenth");
  is_int(after(1, 100 * MS), 10 * US + 626, "however long");
  is_int(after(1, 0), 10 * US - 626, "a shorter one as much");
  ok(after(1000, 100 * MS) < 60 * US, "a hop is 50 us at most");

  set_up(2);
  for (int i = 0; i < 400; i++)
    eio__pace_executed(&pace, kind, i % 10 ? 2 * US : 4 * MS, EIO_BUSY_ALONE);
  ok(pace.kinds[kind].busy < 2500, "one of ten that is out of all proportion does nothing");
  eio__pace_executed(&pace, kind, 9 * MS, EIO_PREEMPTED);
  ok(pace.kinds[kind].busy < 2500 && !pace.kinds[kind].wait, "nor does one that others held up");
  ok(!pace.kinds[other].busy, "each kind for itself");
  for (int i = 0; i < 100; i++)
    eio__pace_executed(&pace, kind, 9 * US, EIO_BUSY_BESIDE);
  ok(pace.kinds[kind].busy < 2500, "nor those that other workers may hold up");
  pace.kinds[kind].busy = 20 * US;
  for (int i = 0; i < 100; i++)
    eio__pace_executed(&pace, kind, 2 * US, EIO_BUSY_BESIDE);
  ok(pace.kinds[kind].busy < 2500, "but for what is quicker in spite of them");

  set_up(2);
  pace.wait = 10 * US;
  for (int i = 0; i < 400; i++)
    eio__pace_idled(&pace, &pace.wait, i % 4 ? 2 * US : 30 * US);
  ok(pace.wait >= 2 * US && pace.wait < 30 * US, "three of four waits are shorter than what is usual");
  for (int i = 0; i < 40; i++)
    eio__pace_idled(&pace, &pace.wait, MS);
  ok(pace.wait > 100 * US && pace.wait < 250 * US, "which soon tells when that changes");
}

static void test_load(void)
{
  set_up(2);
  is_int(eio__pace_load(&pace, kind), 0, "what is not known may wait");
  eio__pace_executed(&pace, kind, 30 * MS, EIO_WAITED);
  is_int(eio__pace_load(&pace, kind), 0, "nothing but waits is no load");
  is_int(eio__pace_wanted(&pace, kind, 64), 64, "for each that waits one is sent");
  knows(2 * US, 0, 0, 0);
  is_int(eio__pace_load(&pace, kind), EIO_FULL, "nothing but work is a full load");
  is_int(eio__pace_wanted(&pace, kind, 64), 1, "for many one is sent at a time");
  knows(2 * US, 2 * US, 0, 0);
  is_int(eio__pace_load(&pace, kind), EIO_FULL / 2, "as much of each is half");
  is_int(eio__pace_wanted(&pace, kind, 64), 1, "one at a time");
  knows(2 * US, 2 * US + 100, 0, 0);
  is_int(eio__pace_wanted(&pace, kind, 64), 64, "if it waits more than it works, all");

  set_up(2);
  pace.hop = 10 * US;
  for (int i = 0; i < 1000; i++)
    if (i % 10 == 0 || i % EIO_MEASURED == 0)
      eio__pace_executed(&pace, kind, i % 10 ? 2 * US : 70 * US, i % 10 ? EIO_BUSY_ALONE : EIO_WAITED);
  ok(eio__pace_load(&pace, kind) > 0 && eio__pace_load(&pace, kind) < EIO_FULL / 8,
     "one of ten waits 70 us: a small load");
  ok(eio__pace_enough(&pace, kind, true) == UINT_MAX, "of which any number may be awake");
  for (int i = 0; i < 2000; i += EIO_MEASURED)
    eio__pace_executed(&pace, kind, 2 * US, EIO_BUSY_ALONE);
  ok(eio__pace_load(&pace, kind) > EIO_FULL * 9 / 10, "that is forgotten in some thousand");
  ok(!eio__pace_is_long(&pace, 10 * US - 1) && eio__pace_is_long(&pace, 10 * US), "from a hop on it matters");
}

static unsigned enough(unsigned ncpus, unsigned busy, unsigned step, bool helps)
{
  set_up(ncpus);
  knows(busy, 0, 0, step);
  return eio__pace_enough(&pace, kind, helps) / EIO_FULL;
}

static void test_enough(void)
{
  is_int(enough(1, 100 * US, 0, false), 1, "one processor: one");
  is_int(enough(1, 100 * US, 0, true), 1, "also if the owner helps");
  is_int(enough(2, 2 * US, 0, false), 2, "the owner does nothing: all processors");
  is_int(enough(2, 2 * US, 0, true), 1, "it helps: the others");
  is_int(enough(2, 1499, 1 * US, false), 1, "it has two thirds of its time to do: one of two");
  is_int(enough(2, 1500, 1 * US, false), 2, "less: both");
  is_int(enough(64, 999, 1 * US, false), 1, "as many as keep it busy: one");
  is_int(enough(64, 1 * US, 1 * US, false), 2, "two");
  is_int(enough(64, 20 * US, 1 * US, false), 21, "21");
  is_int(enough(64, 62 * US, 1 * US, false), 63, "and all but its own");
  is_int(enough(64, 95 * US, 1 * US, false), 64, "until it has less to do");
  is_int(enough(64, 95 * US, 1 * US, true), 63, "unless it helps");
}

static bool leaves(unsigned nreqs, unsigned nready, unsigned load, unsigned awake, bool spare)
{
  return eio__pace_leaves(&pace, kind, &(struct eio_crew){ nreqs, nready, load, awake, spare });
}

static void test_leaves(void)
{
  set_up(2);
  pace.hop = 10 * US;
  ok(!leaves(1, 0, 0, 0, true) && !leaves(1000, 100, 0, 0, true), "what is not known is attempted");
  knows(0, 0, 1 * US, 0);
  ok(!leaves(10, 0, 0, 0, true), "10 attempts of 1 us are over before a worker that sleeps is there");
  ok(leaves(11, 0, 0, 0, true), "one more is left");
  ok(leaves(10, 0, EIO_FULL, 1, true), "as are 10 to one that is awake");
  ok(!leaves(1, 0, EIO_FULL, 1, true), "a single one is attempted");
  knows(2 * US, 0, 5 * US, 0);
  ok(leaves(1000, 900, EIO_FULL, 1, true), "however many wait, when attempts take more than executions");
  pace.kinds[kind].attempt = 3 * US;
  ok(!leaves(1000, 900, EIO_FULL, 1, true), "by more than a half");
  pace.kinds[kind].attempt = MS;
  ok(!leaves(1, 0, 0, 0, true) && leaves(2, 0, 0, 0, true), "but for a single one");

  knows(2 * US, 0, 1 * US, 0);
  ok(leaves(64, 4, EIO_FULL, 1, true), "when attempts take less, what keeps a worker busy for less than a hop");
  ok(!leaves(64, 5, EIO_FULL, 1, true), "and the owner does the rest");
  ok(leaves(64, 9, 2 * EIO_FULL, 2, true) && !leaves(64, 10, 2 * EIO_FULL, 2, true), "twice as much for two workers");
  pace.step = 500;
  ok(leaves(64, 20, EIO_FULL, 1, true) && !leaves(64, 21, EIO_FULL, 1, true),
     "and for as long as the owner is busy with all that is outstanding");
  pace.step = 0;
  pace.ncpus = 1;
  ok(!leaves(64, 0, EIO_FULL, 1, true), "all of it with one processor");
  pace.kinds[kind].attempt = 5 * US;
  ok(leaves(64, 0, EIO_FULL, 1, true), "if that takes less");

  pace.ncpus = 2;
  ok(leaves(200, 100, 8 * EIO_FULL, 8, false), "all workers are busy: it waits for them");
  ok(leaves(200, 100, 4 * EIO_FULL, 8, false), "also when they wait for half of the time");
  ok(!leaves(200, 100, 4 * EIO_FULL - 1, 8, false), "not when for more");
}

static void test_look(void)
{
  set_up(2);
  pace.hop = 10 * US;
  is_int((int)eio__pace_look_ns(&pace, &pace.idle), 20 * US, "to begin with one looks for two hops");
  pace.idle = 30 * US;
  is_int((int)eio__pace_look_ns(&pace, &pace.idle), 60 * US, "twice as long as it usually takes");
  pace.idle = 80 * US;
  is_int((int)eio__pace_look_ns(&pace, &pace.idle), 160 * US, "8 hops");
  pace.idle = 80 * US + 1;
  is_int((int)eio__pace_look_ns(&pace, &pace.idle), 0, "and not when it takes longer");
  ok(!eio__pace_may_look(&pace, 0), "not for workers that all wait");
  ok(eio__pace_may_look(&pace, 1) && eio__pace_may_look(&pace, 2 * EIO_FULL - 1), "if a processor is left");
  ok(!eio__pace_may_look(&pace, 2 * EIO_FULL), "not if none is");
  pace.ncpus = 1;
  ok(!eio__pace_may_look(&pace, EIO_FULL), "with one processor never");
  is_int((int)eio__pace_patience_ns(&pace), 320 * US, "held up after 32 hops");
}

/* Who looks yields, until others use that for 32 hops; then not for 20 times as long. */
static void test_yield(void)
{
  set_up(2);
  pace.hop = 10 * US;
  ok(eio__pace_may_yield(&pace, 0), "who looks yields");
  eio__pace_yielded(&pace, 5 * MS, 5 * MS + 319999);
  ok(eio__pace_may_yield(&pace, 5 * MS + 319999), "that took less than 320 us: again");
  eio__pace_yielded(&pace, 6 * MS, 6 * MS + 320000);
  ok(!eio__pace_may_yield(&pace, 6 * MS + 320000), "it took as long: not while others need the processors");
  ok(!eio__pace_may_yield(&pace, 12 * MS + 719999), "for 6.4 ms");
  ok(eio__pace_may_yield(&pace, 12 * MS + 720000), "then it is tried again");
}

static void test_stuck(void)
{
  struct eio_pool pool = { .load = 3 * EIO_FULL };
  struct worker workers[3];
  static eio_req req;

  memset(workers, 0, sizeof workers);
  pool.pace.hop = 10 * US;
  for (int i = 0; i < 3; i++) {
    workers[i] = (struct worker){ .current = &req, .began = 1000, .load = EIO_FULL, .next = pool.all };
    pool.all = &workers[i];
  }
  workers[1].began = 1001;
  workers[2].current = NULL;
  eio__find_stuck(&pool, 320999);
  is_int((int)pool.load, 3 * EIO_FULL, "at it for less than 32 hops: they are a load");
  eio__find_stuck(&pool, 321000);
  is_int((int)pool.load, 2 * EIO_FULL, "32: no more");
  eio__find_stuck(&pool, 321001);
  is_int((int)pool.load, EIO_FULL, "each once; who executes nothing stays one");
}

static eio_ctx *real_context(void)
{
  eio_ctx *real = eio_create();

  if (!real)
    bail_out("no context");
  return real;
}

/* What was quick so far hangs: those that wait behind it get another worker in a while, and in an
 * event loop at that. */
static void test_watch(void)
{
  struct gate gate = gate_make();
  struct job hung, jobs[20];
  eio_ctx *real = real_context();

  real->pool->pace.ncpus = 1; /* one worker is enough */
  for (unsigned k = 0; k < EIO_NKINDS; k++)
    real->pool->pace.kinds[k].busy = 1 * US;
  ncalled = 0;
  block(real, &hung, &gate, 0);
  for (int i = 0; i < 20; i++)
    submit_for_worker(real, &jobs[i], i);
  while (ncalled < 20) {
    wait_readable(real);
    eio_poll(real, 0, 0);
  }
  is_int(eio_nreqs(real), 1, "20 requests are not held up by one that hangs");
  gate_open(&gate);
  finish_all(real);
  gate_remove(&gate);
  eio_destroy(real);
}

/* Whether an owner that waits helps rather than sleeps. */
static void test_helping(void)
{
  struct gate gate = gate_make();
  struct job job, nop;
  eio_ctx *real = real_context();

  block(real, &job, &gate, 0);
  wait_running(real, 1);
  eio_set_max_parallel(real, 1);
  submit_nop(real, &nop, 1);
  real->max_running = 2; /* no other thread may take it */
  ok(!real->pool->helping && eio_nready(real) == 1, "nobody has waited yet");
  ok(eio_poll_wait(real, 0) == 0 && real->pool->helping, "an owner that waits executes a request: it helps");
  eio_poll(real, 0, 0);
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

/* Whoever waits is not overtaken by more than 64 while nobody takes anything. */
static void test_overtaking(void)
{
  struct gate gate = gate_make();
  static struct job hung, waits, jobs[100];
  eio_ctx *real = real_context();

  block(real, &hung, &gate, 0);
  wait_running(real, 1);
  real->pool->limit = 1; /* no other thread */
  job_init(&waits, EIO_LSTAT, 0);
  waits.req.path = (char *)"/";
  waits.req.flags = EIO_NO_INLINE;
  eio_submit(real, &waits.req);
  for (int i = 0; i < 100; i++)
    submit_nop(real, &jobs[i], i);
  is_int(eio_nready(real), 37, "64 overtake what waits, the 65th waits behind it");
  gate_open(&gate);
  finish_all(real);
  gate_remove(&gate);
  eio_destroy(real);
}

int main(void)
{
  tap_begin();
  test_measuring();
  test_load();
  test_enough();
  test_leaves();
  test_look();
  test_yield();
  test_stuck();
  test_watch();
  test_helping();
  test_overtaking();
  return tap_end();
}
