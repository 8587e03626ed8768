/* eio_pace.c - what the pool does next, see eio_pace.h. README.md has the rules, each
 * with what it buys. */
#include "eio_pace.h"

#include <limits.h>

/* A hop as long as that is the rule where nothing was measured yet, and what is longer
 * than the other says that the processors had other work. */
#define HOP_FIRST 10000
#define HOP_MAX 50000

/* What takes as many hops is long, whatever it is; workers that do are held up after so many:
 * to look for them more often costs more than it saves. */
#define LONG 8
#define PATIENCE 32

/* Nobody yields for as many times as long as a yield has cost: little is lost by it. */
#define TAKEN_TIMES 20

/* After as many measured executions without a wait, most of what was known of waits is forgotten. */
#define FORGET (256 / EIO_MEASURED)

static unsigned get(const atomic_uint *value)
{
  return atomic_load_explicit(value, memory_order_relaxed);
}

static void set(atomic_uint *value, uint64_t to)
{
  atomic_store_explicit(value, to < UINT_MAX ? (unsigned)to : UINT_MAX, memory_order_relaxed);
}

/* Steps of a sixteenth down, and `up` of them up, towards the sample, whatever that is: so the
 * value comes to where one of 1 + up is longer, and a few that are out of all proportion do
 * nothing to it. */
static void approach(atomic_uint *value, uint64_t ns, unsigned up)
{
  unsigned old = get(value), step = old / 16 + 1;

  if (!old)
    set(value, ns ? ns : 1);
  else if (ns > old)
    set(value, (uint64_t)old + up * step);
  else if (old > step && ns < old)
    set(value, old - step);
}

static unsigned hop_of(const struct eio_pace *pace)
{
  unsigned hop = get(&pace->hop);

  return hop ? hop : HOP_FIRST;
}

void eio__pace_init(struct eio_pace *pace, unsigned ncpus)
{
  pace->ncpus = ncpus ? ncpus : 1;
}

/* Measuring -------------------------------------------------------------- */

void eio__pace_executed(struct eio_pace *pace, unsigned kind, uint64_t ns, enum eio_course course)
{
  struct eio_kind *k = &pace->kinds[kind];
  uint64_t wait = get(&k->wait), enough = eio__pace_patience_ns(pace), busy;

  if (course == EIO_PREEMPTED)
    return;
  if (ns > enough)
    ns = enough; /* it says what it has to; the watcher does the rest */
  if (course == EIO_WAITED && !wait && !get(&k->busy))
    set(&k->wait, ns);
  else if (wait || course == EIO_WAITED)
    set(&k->wait, course == EIO_WAITED ? wait - (wait + 255) / 256 + ns / 64 : wait - (wait + FORGET - 1) / FORGET);
  busy = get(&k->busy);
  if (course == EIO_BUSY_ALONE || (course == EIO_BUSY_BESIDE && (!busy || ns < busy)))
    approach(&k->busy, ns, 1);
}

bool eio__pace_is_long(const struct eio_pace *pace, uint64_t ns)
{
  return ns >= hop_of(pace);
}

void eio__pace_attempted(struct eio_pace *pace, unsigned kind, uint64_t ns)
{
  approach(&pace->kinds[kind].attempt, ns, 1);
}

void eio__pace_hopped(struct eio_pace *pace, uint64_t ns)
{
  approach(&pace->hop, ns < HOP_MAX ? ns : HOP_MAX, 1);
}

void eio__pace_idled(struct eio_pace *pace, atomic_uint *usual, uint64_t ns)
{
  uint64_t most = 2 * LONG * (uint64_t)hop_of(pace); /* so it is soon known when that changes */

  approach(usual, ns < most ? ns : most, 3); /* three of four shall be worth looking for */
}

void eio__pace_stepped(struct eio_pace *pace, uint64_t ns, unsigned nreqs)
{
  approach(&pace->step, ns / nreqs, 1);
}

/* Deciding --------------------------------------------------------------- */

unsigned eio__pace_load(const struct eio_pace *pace, unsigned kind)
{
  uint64_t busy = get(&pace->kinds[kind].busy), wait = get(&pace->kinds[kind].wait);

  return busy ? (unsigned)(EIO_FULL * busy / (busy + wait)) : 0;
}

/* Those that wait more than they work are none for a processor. */
static bool mostly_waits(const struct eio_pace *pace, unsigned kind)
{
  return eio__pace_load(pace, kind) < EIO_FULL / 2;
}

/* Of what works, as much as gives the owner, who takes a step for each, all that it can do. It
 * needs a processor itself while it helps, or else if it had twice as much to do as to wait
 * beside workers on all others. There is one in any case. */
unsigned eio__pace_enough(const struct eio_pace *pace, unsigned kind, bool owner_helps)
{
  unsigned step = get(&pace->step), others = pace->ncpus - 1;
  uint64_t busy = get(&pace->kinds[kind].busy);
  unsigned most = owner_helps || 2 * busy < 3 * (uint64_t)others * step ? others : pace->ncpus;
  uint64_t steps = step ? busy / step : UINT_MAX;

  if (mostly_waits(pace, kind))
    return UINT_MAX;
  return EIO_FULL * (most <= 1 ? 1 : steps < most ? (unsigned)steps + 1 : most);
}

/* What is over soon does not need another one before the first is there. */
unsigned eio__pace_wanted(const struct eio_pace *pace, unsigned kind, unsigned waiting)
{
  return mostly_waits(pace, kind) ? waiting : 1;
}

/* By half as much more, as to hand over takes time on both sides. */
bool eio__pace_is_dear(const struct eio_pace *pace, unsigned kind)
{
  uint64_t busy = get(&pace->kinds[kind].busy);

  return busy && get(&pace->kinds[kind].attempt) > busy + busy / 2;
}

/* The owner does what is outstanding itself when that is a single one, or over before a worker
 * that sleeps could be there, and when workers only wait. Else it leaves what workers do with less
 * effort; and of the rest, when there is a processor for them, as much as keeps them busy
 * while it sees to the results of all that is outstanding. */
bool eio__pace_leaves(const struct eio_pace *pace, unsigned kind, const struct eio_crew *crew)
{
  uint64_t hop = hop_of(pace), attempt = get(&pace->kinds[kind].attempt), busy = get(&pace->kinds[kind].busy), own;

  if (crew->nreqs <= 1 || (!crew->load && crew->nreqs * attempt <= hop))
    return false;
  if (!crew->spare && 2 * crew->load < EIO_FULL * crew->awake)
    return false;
  if (!busy || eio__pace_is_dear(pace, kind))
    return true;
  own = hop + (uint64_t)crew->nreqs * get(&pace->step);
  return pace->ncpus > 1 && crew->nready * busy * EIO_FULL < own * (crew->load > EIO_FULL ? crew->load : EIO_FULL);
}

/* As a rule it comes in less. To be woken for it costs two threads a hop and more each. */
uint64_t eio__pace_look_ns(const struct eio_pace *pace, const atomic_uint *usual)
{
  uint64_t hop = hop_of(pace), ns = get(usual);

  return ns > LONG * hop ? 0 : 2 * (ns > hop ? ns : hop);
}

bool eio__pace_may_look(const struct eio_pace *pace, unsigned load)
{
  return load && load < EIO_FULL * pace->ncpus;
}

uint64_t eio__pace_patience_ns(const struct eio_pace *pace)
{
  return PATIENCE * (uint64_t)hop_of(pace);
}

bool eio__pace_may_yield(const struct eio_pace *pace, uint64_t now)
{
  return now >= atomic_load_explicit(&pace->taken_until, memory_order_relaxed);
}

void eio__pace_yielded(struct eio_pace *pace, uint64_t before, uint64_t now)
{
  if (now - before >= eio__pace_patience_ns(pace))
    atomic_store_explicit(&pace->taken_until, now + TAKEN_TIMES * (now - before), memory_order_relaxed);
}
