/* eio_pace.c - how many workers shall be awake.
 *
 * At most one worker is on its way to the queue at a time; when it takes a request
 * and more are left it sends for the next. So a burst wakes as many workers as it
 * takes to keep the queue moving, and no more. While executions are work for
 * processors, and not waiting, more workers than processors would only be in each
 * other's way: then one of those that are parked watches instead.
 *
 * All of this follows from the counters, and from a clock that callers read: nothing
 * here sleeps, locks or asks for the time. So test/core_pace.c can try each limit. */
#include "eio_pool.h"

#include <limits.h>

#define WATCH_IDLE 5

/* Executions that take less are work for a processor, not waiting. */
#define QUICK_NS 20000
/* And these are over sooner than another thread could be sent for. */
#define TRIVIAL_NS 3000
/* One that was merely preempted shall not count for much; between trivial ones, it
 * shall not send for another thread, whose coming would preempt the next. */
#define COST_MAX 100000
#define TRIVIAL_COST_MAX 8000
/* Where many contend, executions take long because they are many: so now and
 * then few have to show what they can do. */
#define PROBE_NS 50000000

/* Nobody of ours needs a processor for as long, while executions are quick; others
 * that compute do, and who yields waits for them. For as many times as long nobody
 * does: so little is lost by it. */
#define TAKEN_NS 200000
#define TAKEN_TIMES 20

/* How many workers shall be awake at a time, not counting those that are stuck:
 * no more than processors can be busy with, unless executions take so long that
 * they must be waiting for something. The owner has work to do as well, always when
 * requests are trivial, and as long as it helps rather than sleeps. */
static unsigned enough(const struct eio_pool *pool)
{
  unsigned cost = atomic_load_explicit(&pool->cost, memory_order_relaxed);

  if (cost >= QUICK_NS)
    return UINT_MAX;
  if (cost >= TRIVIAL_NS)
    return pool->ncpus - (pool->ncpus > 1 && atomic_load_explicit(&pool->helping, memory_order_relaxed));
  return pool->ncpus > 5 ? 4 : pool->ncpus > 2 ? pool->ncpus - 1 : 1;
}

static unsigned awake(const struct eio_pool *pool)
{
  return pool->nthreads - pool->nparked - pool->nstuck;
}

bool eio__pace_is_crowded(const struct eio_pool *pool)
{
  return awake(pool) >= enough(pool);
}

bool eio__pace_is_too_many(const struct eio_pool *pool)
{
  return awake(pool) > enough(pool);
}

/* Finds out which workers are held up. */
static void find_stuck(struct eio_pool *pool, uint64_t now)
{
  for (struct worker *w = pool->all; w; w = w->next)
    if (w->current && !w->stuck && !w->abandoned && now - w->began >= EIO_WATCH_NS) {
      w->stuck = true;
      pool->nstuck++;
    }
}

void eio__pace_watch(eio_ctx *ctx, uint64_t now, unsigned *idle)
{
  struct eio_pool *pool = ctx->pool;

  find_stuck(pool, now);
  if (eio_nready(ctx))
    *idle = 0;
  else if (++*idle >= WATCH_IDLE)
    pool->watcher = NULL; /* who submits now sees that, or is seen in a moment */
}

/* When enough are awake already: the worker that shall watch whether they get
 * on, the one that would be sent for last. NULL when somebody has to go. */
static struct worker *new_watcher(struct eio_pool *pool, uint64_t now)
{
  struct worker *w = pool->parked;

  if (!w || !eio__pace_is_crowded(pool))
    return NULL;
  find_stuck(pool, now);
  if (!eio__pace_is_crowded(pool))
    return NULL;
  while (w->below)
    w = w->below;
  pool->watcher = w;
  return w;
}

struct worker *eio__pace_send_for(eio_ctx *ctx, uint64_t now, bool *start)
{
  struct eio_pool *pool = ctx->pool;
  struct worker *w;

  w = new_watcher(pool, now);
  if (w)
    return w;
  w = pool->parked;
  pool->coming++;
  if (w) {
    pool->parked = w->below;
    pool->nparked--;
    w->parked = false;
    w->coming = true;
  } else {
    pool->nthreads++;
    *start = true;
  }
  return w;
}

bool eio__pace_may_look(const struct eio_pool *pool)
{
  return awake(pool) < pool->ncpus
         && atomic_load_explicit(&pool->cost, memory_order_relaxed) < QUICK_NS;
}

bool eio__pace_may_yield(const struct eio_pool *pool, uint64_t now)
{
  return now >= atomic_load_explicit(&pool->taken_until, memory_order_relaxed);
}

void eio__pace_yielded(struct eio_pool *pool, uint64_t before, uint64_t now)
{
  if (now - before >= TAKEN_NS)
    atomic_store_explicit(&pool->taken_until, now + TAKEN_TIMES * (now - before), memory_order_relaxed);
}

enum eio_step eio__pace_next(const struct eio_pool *pool, bool busy, bool may_take)
{
  if (eio__pace_is_too_many(pool))
    return EIO_PARK;
  if (may_take)
    return EIO_TAKE;
  return busy && eio__pace_may_look(pool) && !atomic_load(&pool->lingering) ? EIO_LINGER : EIO_PARK;
}

void eio__pace_note(struct eio_pool *pool, const struct worker *w, uint64_t now)
{
  uint64_t ns = now - w->began;
  unsigned cost = atomic_load_explicit(&pool->cost, memory_order_relaxed), max;

  if (w->began < pool->probed)
    return;
  max = cost < TRIVIAL_NS ? TRIVIAL_COST_MAX : COST_MAX;
  cost = cost - cost / 8 + (ns < max ? (unsigned)ns : max) / 8;
  if (cost >= QUICK_NS && now - pool->probed >= PROBE_NS) {
    cost = 0;
    pool->probed = now;
  }
  atomic_store_explicit(&pool->cost, cost, memory_order_relaxed);
}

bool eio__pool_may_look(const eio_ctx *ctx)
{
  return eio__pace_may_look(ctx->pool);
}

bool eio__pool_is_awake(const eio_ctx *ctx)
{
  return awake(ctx->pool) != 0;
}
