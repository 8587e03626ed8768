/* core_machines.c - the pace on machines that are made up: with one processor and with many,
 * cheap and dear calls, hops, and storage from microseconds to many milliseconds.
 *
 * A simulation of an owner, who keeps requests in flight, of workers, and of processors that
 * are shared by whoever can run. Decisions are those of eio_pace.c and eio_admit.c; what takes
 * place is measured as the pool does. In each case the time that it takes has to be within 15 %
 * of the best fixed policy: attempts always or never, for so many workers, looking or not.
 * Nothing here depends on real time. */
#include "tap.h"

#include "../eio_admit.h"
#include "../eio_pace.h"

#include <limits.h>

#define US 1000.0
#define MAX 128
#define NEVER 1e18
#define KIND EIO_STAT

struct machine {
  const char *name;
  unsigned ncpus, threads;
  unsigned requests, depth;      /* so many at a time, refilled by halves; or a burst of all */
  unsigned bursts;               /* how many, each after idling */
  double hop, step;              /* the owner's, for each request */
  double attempt, busy;          /* 0: no attempt is possible */
  double wait, waits;            /* so long, in so many of 100 */
  double cold;                   /* what the first executions take: nothing is in any cache, or others compute */
};

/* Costs of ours: to hand a request over, to take it, to see what another processor has written,
 * and to wake somebody. */
#define PUSH 200.0
#define TAKE 300.0
#define SEE 300.0
#define WAKE 1500.0
/* So many executions are the first. */
#define COLD 20

struct policy {
  bool fixed, attempts, looks;
  unsigned workers;
};

enum what { GONE, PARKED, COMING, AT_QUEUE, RUNS, WAITS, LINGERS };

struct thread {
  enum what what;
  double work;     /* of a processor, left */
  double until;    /* COMING, WAITS, LINGERS */
  double began, busy;
  unsigned load;
  bool waited, will_wait;
};

static const struct machine *m;
static const struct policy *policy;
static struct eio_pace pace;
static struct thread w[MAX];
static struct { enum { BUSY, IDLES, COMES } what; double work, until, since; bool looks; } owner;
static double now, watch_at, ran_out; /* ran_out: since when workers have nothing to do; 0: they have */
static bool filling;
static unsigned queue, results, submitted, outstanding, done, started, seed;

/* Decisions --------------------------------------------------------------- */

static unsigned count(enum what what)
{
  unsigned n = 0;

  for (unsigned i = 0; i < m->threads; i++)
    n += w[i].what == what;
  return n;
}

static unsigned total_load(void)
{
  unsigned n = 0;

  for (unsigned i = 0; i < m->threads; i++)
    n += w[i].load;
  return n;
}

static unsigned awake(void)
{
  return m->threads - count(GONE) - count(PARKED);
}

static bool crowded(const struct thread *besides)
{
  unsigned own = besides ? besides->load : 0;

  if (policy->fixed)
    return awake() - (besides != NULL) >= policy->workers;
  return total_load() - own >= eio__pace_enough(&pace, KIND, false);
}

static void has_work(void)
{
  if (ran_out > 0)
    eio__pace_idled(&pace, &pace.idle, (uint64_t)(now - ran_out));
  ran_out = 0;
}

static void send_one(double *work)
{
  struct eio_counts c = { .waiting = queue, .parked = count(PARKED), .max_threads = m->threads,
                          .threads = m->threads - count(GONE), .max_running = UINT_MAX };
  unsigned expected = count(COMING) + count(LINGERS);

  c.expected = expected && expected >= (policy->fixed ? 1 : eio__pace_wanted(&pace, KIND, queue));
  if (!eio__whom_to_tell(EIO_EV_SUBMITTED, &c))
    return;
  if (crowded(NULL)) {
    if (watch_at == NEVER)
      watch_at = now + (double)eio__pace_patience_ns(&pace);
    return;
  }
  *work += WAKE;
  has_work();
  for (unsigned i = 0; i < m->threads; i++)
    if (w[i].what == (c.parked ? PARKED : GONE)) {
      w[i] = (struct thread){ .what = COMING, .until = now + m->hop, .load = EIO_FULL };
      return;
    }
}

static bool leaves(void)
{
  struct eio_crew crew = { outstanding, queue, total_load(), awake(), awake() < m->threads };

  if (m->attempt <= 0)
    return true;
  return policy->fixed ? !policy->attempts : eio__pace_leaves(&pace, KIND, &crew);
}

/* What happens ------------------------------------------------------------- */

static void submit(void)
{
  static unsigned left;

  submitted++;
  outstanding++;
  if (!leaves() || (!policy->fixed && m->attempt > 0 && ++left % 64 == 0)) {
    owner.work += m->attempt;
    if (!policy->fixed)
      eio__pace_attempted(&pace, KIND, (uint64_t)m->attempt);
    results++;
    return;
  }
  owner.work += PUSH;
  queue++;
  send_one(&owner.work);
}

/* The owner has done what it was at. */
static void owner_goes_on(void)
{
  filling = filling && submitted < m->requests && outstanding < m->depth;
  if (filling) {
    submit();
    return;
  }
  if (results) {
    results--;
    outstanding--;
    done++;
    owner.work += m->step;
    if (!policy->fixed)
      eio__pace_stepped(&pace, (uint64_t)(m->step + PUSH), 1); /* its callback submits the next */
    filling = filling || outstanding < (m->depth + 1) / 2;
    return;
  }
  if (queue && m->attempt > 0 && (policy->fixed ? policy->attempts : !eio__pace_is_dear(&pace, KIND))) {
    queue--;
    owner.work += TAKE + m->attempt;
    results++;
    return;
  }
  owner.what = IDLES;
  owner.since = now;
  owner.until = now + (policy->fixed ? policy->looks ? 20 * US : 0 : (double)eio__pace_look_ns(&pace, &pace.wait));
  owner.looks = policy->fixed ? policy->looks && m->ncpus > 1
    : owner.until > now && eio__pace_may_look(&pace, total_load());
}

static void finish(struct thread *t)
{
  static unsigned n;
  uint64_t ns = (uint64_t)(TAKE + t->busy + (t->waited ? m->wait : 0));

  /* Executions are much shorter than time slices: others run before or after. */
  if (++n % EIO_MEASURED == 0 || eio__pace_is_long(&pace, ns))
    eio__pace_executed(&pace, KIND, ns, t->waited ? EIO_WAITED : total_load() == t->load ? EIO_BUSY_ALONE : EIO_BUSY_BESIDE);
  results++;
  if (owner.what == IDLES) {
    if (!policy->fixed)
      eio__pace_idled(&pace, &pace.wait, (uint64_t)(now - owner.since + (owner.looks ? 0 : m->hop)));
    owner.what = owner.looks ? BUSY : COMES;
    owner.until = now + m->hop;
    owner.work = owner.looks ? SEE : 0;
    if (!owner.looks)
      t->work += WAKE;
  }
  *t = (struct thread){ .what = AT_QUEUE, .load = EIO_FULL, .work = t->work };
}

static void go_to_queue(struct thread *t, bool may_linger)
{
  if (queue && !crowded(t)) {
    double work;

    t->busy = started++ < COLD && m->cold > 0 ? m->cold : m->busy;
    work = TAKE + t->busy;
    queue--;
    seed = seed * 1103515245 + 12345;
    t->what = RUNS;
    t->began = now;
    t->waited = false;
    t->will_wait = (seed >> 16) % 100 < (unsigned)m->waits;
    t->load = policy->fixed ? EIO_FULL : eio__pace_load(&pace, KIND);
    send_one(&work);
    t->work += work;
    return;
  }
  if (may_linger && !queue && !count(LINGERS)
      && (policy->fixed ? policy->looks && m->ncpus > 1
          : eio__pace_may_look(&pace, total_load()) && eio__pace_look_ns(&pace, &pace.idle))) {
    t->what = LINGERS;
    ran_out = now;
    t->until = now + (policy->fixed ? 30 * US : (double)eio__pace_look_ns(&pace, &pace.idle));
    return;
  }
  *t = (struct thread){ .what = PARKED };
  if (may_linger && ran_out <= 0)
    ran_out = now;
  if (queue && watch_at == NEVER)
    watch_at = now + (double)eio__pace_patience_ns(&pace);
}

/* A tick of the watcher. */
static void watch(void)
{
  double none = 0;

  watch_at = NEVER;
  for (unsigned i = 0; i < m->threads; i++)
    if ((w[i].what == RUNS || w[i].what == WAITS) && now - w[i].began >= (double)eio__pace_patience_ns(&pace))
      w[i].load = 0;
  if (queue)
    send_one(&none);
}

static bool uses_processor(const struct thread *t)
{
  return t->what == RUNS || t->what == AT_QUEUE || t->what == LINGERS;
}

static void thread_goes_on(struct thread *t)
{
  switch (t->what) {
  case COMING:
    if (!policy->fixed)
      eio__pace_hopped(&pace, (uint64_t)m->hop);
    t->what = AT_QUEUE;
    break;
  case AT_QUEUE:
    go_to_queue(t, true);
    break;
  case RUNS:
    if (t->will_wait) {
      t->what = WAITS;
      t->waited = true;
      t->will_wait = false;
      t->until = now + m->wait;
    } else
      finish(t);
    break;
  case WAITS:
    finish(t);
    break;
  case LINGERS:
    t->work = 0;
    if (queue) {
      has_work();
      t->work = SEE;
    }
    go_to_queue(t, false);
    break;
  default:
    break;
  }
}

/* When that goes on if processors are shared at that rate. */
static double due(const struct thread *t, double rate)
{
  switch (t->what) {
  case COMING: case WAITS: return t->until;
  case LINGERS: return queue ? now : t->until;
  case AT_QUEUE: case RUNS: return now + t->work / rate;
  default: return NEVER;
  }
}

/* One step of the whole. */
static void go_on(void)
{
  unsigned running = owner.what == BUSY || (owner.what == IDLES && owner.looks);
  double rate, next, owner_due;

  for (unsigned i = 0; i < m->threads; i++)
    running += uses_processor(&w[i]);
  rate = running > m->ncpus ? (double)m->ncpus / running : 1;
  owner_due = owner.what == BUSY ? now + owner.work / rate : owner.what == COMES || owner.looks ? owner.until : NEVER;
  next = owner_due < watch_at ? owner_due : watch_at;
  for (unsigned i = 0; i < m->threads; i++)
    if (due(&w[i], rate) < next)
      next = due(&w[i], rate);
  if (next >= NEVER)
    bail_out("%s: nothing goes on", m->name);
  for (unsigned i = 0; i < m->threads; i++)
    if (w[i].what == RUNS || w[i].what == AT_QUEUE)
      w[i].work -= (next - now) * rate;
  if (owner.what == BUSY)
    owner.work -= (next - now) * rate;
  now = next;
  if (watch_at <= now)
    watch();
  if (owner.what == BUSY ? owner.work < 1e-3 : owner.what == COMES && owner.until <= now) {
    if (owner.what == BUSY)
      owner_goes_on();
    else
      owner.what = BUSY;
  } else if (owner.what == IDLES && owner.looks && owner.until <= now)
    owner.looks = false;
  for (unsigned i = 0; i < m->threads; i++)
    if (w[i].what == RUNS || w[i].what == AT_QUEUE ? w[i].work < 1e-3 : due(&w[i], 1) <= now)
      thread_goes_on(&w[i]);
}

/* How long it takes: but for the first tenth, which measures, unless all come at once; of
 * bursts, all but the first. */
static double run(const struct policy *p)
{
  double begin = 0, sum = 0;

  policy = p;
  memset(&pace, 0, sizeof pace);
  eio__pace_init(&pace, m->ncpus);
  memset(w, 0, sizeof w);
  memset(&owner, 0, sizeof owner);
  now = ran_out = 0;
  watch_at = NEVER;
  queue = results = started = 0;
  seed = 1;
  for (unsigned burst = 0; burst <= m->bursts; burst++) {
    submitted = outstanding = done = 0;
    begin = now;
    owner.what = BUSY;
    filling = true;
    while (done < m->requests) {
      go_on();
      if (!m->bursts && m->depth < m->requests && done <= m->requests / 10)
        begin = now;
    }
    if (burst || !m->bursts)
      sum += now - begin;
    for (double end = now + (m->bursts ? 100000 * US : 0); m->bursts && now < end;) { /* idles */
      bool quiet = true;

      owner.what = IDLES;
      owner.looks = false;
      for (unsigned i = 0; i < m->threads; i++)
        quiet = quiet && (w[i].what == PARKED || w[i].what == GONE);
      if (quiet)
        now = end;
      else
        go_on();
    }
    owner.work = 0;
  }
  return sum / 1e3;
}

static void check(const struct machine *machine)
{
  static const unsigned caps[] = { 1, 2, 3, 4, 8, 16, 32, 64 };
  static const struct policy measured = { .fixed = false };
  struct policy best = { 0 };
  double ours, least = NEVER;

  m = machine;
  for (int attempts = 0; attempts <= (m->attempt > 0); attempts++)
    for (int looks = 0; looks < 2; looks++)
      for (size_t i = 0; i < sizeof caps / sizeof *caps && caps[i] <= m->threads; i++) {
        struct policy p = { true, attempts, looks, caps[i] };
        double us = run(&p);

        if (us < least) {
          least = us;
          best = p;
        }
      }
  ours = run(&measured);
  ok(ours <= 1.15 * least, "%s: %.0f us, at best %.0f (%s attempts, %u workers, %s looks)", m->name, ours, least,
     best.attempts ? "with" : "no", best.workers, best.looks ? "with" : "no");
}

int main(void)
{
  static const struct machine machines[] = {
    /* name                                cpus thr  reqs depth bursts hop     step    attempt busy    wait  waits cold */
    { "2 processors, reads",                  2,  8, 4000, 64, 0, 12 * US, 1.2 * US, 1.2 * US, 1.5 * US, 0, 0, 0 },
    { "2 processors, stats",                  2,  8, 4000, 64, 0, 12 * US, 1.2 * US, 5.0 * US, 1.5 * US, 0, 0, 0 },
    { "2 processors, a burst of stats",       2,  8, 4000, 4000, 0, 12 * US, 1.2 * US, 5.0 * US, 1.5 * US, 0, 0, 0 },
    { "2 processors, writes",                 2,  8, 4000, 64, 0, 12 * US, 1.2 * US, 0, 1.5 * US, 0, 0, 0 },
    { "2 processors, large reads",            2,  8, 2000, 64, 0, 12 * US, 1.2 * US, 11 * US, 12 * US, 0, 0, 0 },
    { "2 processors, reads one at a time",    2,  8, 2000, 1, 0, 12 * US, 1.2 * US, 1.2 * US, 1.5 * US, 0, 0, 0 },
    { "2 processors, chmod one at a time",    2,  8, 2000, 1, 0, 12 * US, 1.2 * US, 0, 3 * US, 0, 0, 0 },
    { "1 processor, reads",                   1,  8, 4000, 64, 0, 8 * US, 1.2 * US, 1.2 * US, 1.5 * US, 0, 0, 0 },
    { "1 processor, stats",                   1,  8, 4000, 64, 0, 8 * US, 1.2 * US, 5.0 * US, 1.5 * US, 0, 0, 0 },
    { "1 processor, writes one at a time",    1,  8, 2000, 1, 0, 8 * US, 1.2 * US, 0, 1.5 * US, 0, 0, 0 },
    { "4 processors, reads",                  4,  8, 4000, 64, 0, 12 * US, 1.2 * US, 1.2 * US, 1.5 * US, 0, 0, 0 },
    { "4 processors, large writes",           4,  8, 4000, 64, 0, 12 * US, 1.2 * US, 0, 15 * US, 0, 0, 0 },
    { "64 processors, stats",                64, 64, 4000, 64, 0, 20 * US, 1.2 * US, 5.0 * US, 1.5 * US, 0, 0, 0 },
    { "64 processors, large writes",         64, 64, 4000, 256, 0, 20 * US, 1.2 * US, 0, 40 * US, 0, 0, 0 },
    { "64 processors, hardly any owner",     64, 32, 4000, 256, 0, 20 * US, 0.1 * US, 0, 5 * US, 0, 0, 0 },
    { "2 processors, stats, cold at first",   2,  8, 4000, 64, 0, 12 * US, 1.2 * US, 5.0 * US, 1.5 * US, 0, 0, 20 * US },
    { "the same, all at once",                2,  8, 20000, 20000, 0, 12 * US, 1.2 * US, 5.0 * US, 1.5 * US, 0, 0, 20 * US },
    { "4 processors, quick, cold at first",   4,  8, 20000, 64, 0, 12 * US, 1.2 * US, 0, 1.0 * US, 0, 0, 20 * US },
    { "64 processors, quick, cold at first", 64, 64, 20000, 64, 0, 12 * US, 1.2 * US, 0, 1.0 * US, 0, 0, 100 * US },
    { "dear calls, stats",                    2,  8, 4000, 64, 0, 12 * US, 1.2 * US, 11 * US, 3.0 * US, 0, 0, 0 },
    { "dear calls, reads",                    2,  8, 4000, 64, 0, 12 * US, 1.2 * US, 2.7 * US, 3.0 * US, 0, 0, 0 },
    { "dear hops, reads",                     2,  8, 4000, 64, 0, 50 * US, 1.2 * US, 1.2 * US, 1.5 * US, 0, 0, 0 },
    { "dear hops, stats",                     2,  8, 4000, 64, 0, 50 * US, 1.2 * US, 5 * US, 1.5 * US, 0, 0, 0 },
    { "cheap hops, stats",                    2,  8, 4000, 64, 0, 3 * US, 1.2 * US, 5 * US, 1.5 * US, 0, 0, 0 },
    { "storage, 30 us",                       2,  8, 2000, 64, 0, 12 * US, 1.2 * US, 0, 2 * US, 30 * US, 100, 0 },
    { "storage, 100 us",                      2,  8, 2000, 64, 0, 12 * US, 1.2 * US, 0, 2 * US, 100 * US, 100, 0 },
    { "storage, 1 ms",                        2,  8, 1000, 64, 0, 12 * US, 1.2 * US, 0, 2 * US, 1000 * US, 100, 0 },
    { "storage, 10 ms, 64 threads",           2, 64, 1000, 64, 0, 12 * US, 1.2 * US, 0, 2 * US, 10000 * US, 100, 0 },
    { "storage, 100 ms",                      2,  8, 200, 64, 0, 12 * US, 1.2 * US, 0, 2 * US, 100000 * US, 100, 0 },
    { "storage, 100 us, one at a time",       2,  8, 500, 1, 0, 12 * US, 1.2 * US, 0, 2 * US, 100 * US, 100, 0 },
    { "one of ten waits 70 us",               2,  8, 8000, 64, 0, 12 * US, 1.2 * US, 0, 2 * US, 70 * US, 10, 0 },
    { "one of a hundred waits 1 ms",          2,  8, 8000, 64, 0, 12 * US, 1.2 * US, 0, 2 * US, 1000 * US, 1, 0 },
    { "one of a hundred waits 10 ms",         2, 64, 24000, 256, 0, 12 * US, 1.2 * US, 0, 2 * US, 10000 * US, 1, 0 },
    { "bursts of 8 that wait 1 ms",           2,  8, 8, 8, 10, 20 * US, 1.2 * US, 0, 2 * US, 1000 * US, 100, 0 },
    { "bursts of 64 that wait 10 ms",         2, 64, 64, 64, 10, 20 * US, 1.2 * US, 0, 2 * US, 10000 * US, 100, 0 },
    { "bursts of 64 that wait 30 ms",         1, 64, 64, 64, 10, 20 * US, 1.2 * US, 0, 2 * US, 30000 * US, 100, 0 },
    { "bursts of 64 quick ones",              2,  8, 64, 64, 10, 20 * US, 1.2 * US, 0, 2 * US, 0, 0, 0 },
  };

  if (THREAD_SANITIZER)
    return tap_skip_all("there is one thread, which takes a minute here");
  tap_begin();
  for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
    check(&machines[i]);
  return tap_end();
}
