/* eio_pool.c - the default engine: worker threads, as the owner sees them.
 *
 * Everything in struct eio_pool and struct worker is guarded by the context's
 * lock.
 *
 * The owner submits without the lock: it pushes the request to ctx->incoming,
 * then looks whether somebody has to be told. No request can be missed, as
 * every worker announces that it parks (or stops lingering, or arrives) before
 * it looks at `incoming` for the last time. All of that is sequentially consistent.
 *
 * Whoever else changes what eio__whom_to_tell() goes by, and does not go to the queue
 * himself, calls eio__tell(). README.md has the whole argument.
 *
 * What workers do is in eio_worker.c; how many shall be awake in eio_pace.c. */
#include "eio_pool.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "eio_plat.h"

void eio__cond_init(pthread_cond_t *cond)
{
  pthread_condattr_t attr;

  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(cond, &attr);
  pthread_condattr_destroy(&attr);
}

int eio__pool_create(eio_ctx *ctx)
{
  struct eio_pool *pool = calloc(1, sizeof *pool);

  if (!pool)
    return -1;
  pool->limit = eio_parallel(ctx);
  ctx->max_running = ctx->max_parallel;
  pool->max_idle = 4;
  pool->idle_timeout = 10;
  pool->ncpus = eio_p_ncpus();
  eio__cond_init(&pool->left);
  ctx->pool = pool;
  return 0;
}

/* The hand-over -------------------------------------------------------- */

static struct eio_counts counts_now(const eio_ctx *ctx, unsigned waiting)
{
  struct eio_pool *pool = ctx->pool;
  struct eio_counts c = { .waiting = waiting };

  c.expected = pool->coming || pool->lingering;
  c.parked = pool->nparked;
  c.threads = pool->nthreads;
  c.max_threads = pool->limit;
  c.running = atomic_load(&ctx->nrunning);
  c.max_running = ctx->max_running;
  c.watched = pool->watcher && eio__pace_is_crowded(pool);
  return c;
}

bool eio__slot_take(eio_ctx *ctx)
{
  unsigned running = atomic_load(&ctx->nrunning);

  do
    if (!eio__admits(running, ctx->max_running))
      return false;
  while (!atomic_compare_exchange_weak(&ctx->nrunning, &running, running + 1));
  return true;
}

void eio__slot_give(eio_ctx *ctx)
{
  atomic_fetch_sub(&ctx->nrunning, 1);
}

bool eio__may_take(eio_ctx *ctx)
{
  eio__take_incoming(ctx);
  return ctx->ready.length && eio__admits(atomic_load(&ctx->nrunning), ctx->max_running);
}

eio_req *eio__take(eio_ctx *ctx)
{
  eio_req *req;

  eio__take_incoming(ctx);
  if (!ctx->ready.length || !eio__slot_take(ctx))
    return NULL;
  req = eio_queue_pop(&ctx->ready);
  atomic_fetch_add(&ctx->ntaken, 1); /* after nrunning, see may_inline() */
  eio__state(ctx, req, EIO_RUNNING);
  return req;
}

static void put_back(eio_ctx *ctx, eio_req *req)
{
  eio__take_incoming(ctx);
  eio__state(ctx, req, EIO_READY);
  eio_queue_unshift(&ctx->ready, req);
  atomic_fetch_sub(&ctx->ntaken, 1);
  eio__slot_give(ctx);
}

bool eio__tell(eio_ctx *ctx, enum eio_event event, uint64_t now)
{
  struct eio_pool *pool = ctx->pool;
  struct worker *w = NULL;
  struct eio_counts counts;
  bool start = false;
  unsigned whom;

  eio__take_incoming(ctx);
  counts = counts_now(ctx, ctx->ready.length);
  whom = eio__whom_to_tell(event, &counts);
  if (whom & EIO_TELL_WORKER)
    w = eio__pace_send_for(ctx, now ? now : eio_p_now(), &start);
  if (w)
    pthread_cond_signal(&w->cond); /* unlocked, it may be gone already */
  if (whom & EIO_TELL_LIMITS)
    pthread_cond_broadcast(&pool->left);
  if (whom & EIO_TELL_OWNER)
    atomic_store(&pool->refused, true);
  return start;
}

/* By the owner, who executes all there is when no thread can be had at all: else
 * nobody ever would. */
static void tell_and_unlock(eio_ctx *ctx, enum eio_event event)
{
  bool start = eio__tell(ctx, event, 0);

  pthread_mutex_unlock(&ctx->lock);
  if (start && eio__start_thread(ctx, NULL) < 0)
    eio__run_ready(ctx, true);
}

static bool must_tell(const eio_ctx *ctx, enum eio_event event)
{
  struct eio_counts counts = counts_now(ctx, eio_nready(ctx));

  return eio__whom_to_tell(event, &counts);
}

void eio__pool_tell(eio_ctx *ctx, enum eio_event event)
{
  if (must_tell(ctx, event)) {
    pthread_mutex_lock(&ctx->lock);
    tell_and_unlock(ctx, event);
  }
}

void eio__run_ready(eio_ctx *ctx, bool without_workers)
{
  eio_req *req;

  pthread_mutex_lock(&ctx->lock);
  while (!(without_workers && ctx->pool->nthreads) && (req = eio__take(ctx))) {
    pthread_mutex_unlock(&ctx->lock);
    eio_execute(req);
    pthread_mutex_lock(&ctx->lock);
    ctx->executed++;
    eio__finished(ctx, req);
    eio__slot_give(ctx);
  }
  if (without_workers)
    eio__tell(ctx, EIO_EV_REFUSED, 0); /* that sends for parked workers only */
  pthread_mutex_unlock(&ctx->lock);
}

void eio__pool_return(eio_ctx *ctx, eio_req *req)
{
  pthread_mutex_lock(&ctx->lock);
  put_back(ctx, req);
  tell_and_unlock(ctx, EIO_EV_FREED);
}

/* Whether what is first can be attempted. */
static bool may_help(eio_ctx *ctx)
{
  const eio_req *req;

  eio__take_incoming(ctx);
  req = eio_queue_first(&ctx->ready);
  return req && !(req->flags & EIO_NO_INLINE)
         && (eio__ops[req->op].flags & EIO_OPF_INLINE || req->flags & EIO_FAILED);
}

bool eio__pool_help(eio_ctx *ctx)
{
  eio_req *req;
  bool done;

  if (eio_nready(ctx) <= ctx->pool->coming) /* who comes takes it */
    return false;
  pthread_mutex_lock(&ctx->lock);
  req = may_help(ctx) ? eio__take(ctx) : NULL;
  pthread_mutex_unlock(&ctx->lock);
  if (!req)
    return false;
  done = req->flags & EIO_FAILED || eio__inline(ctx, req, true);
  if (!done) {
    req->flags |= EIO_NO_INLINE; /* not again */
    eio__pool_return(ctx, req);
    return false;
  }
  ctx->stats.inlined++;
  eio__state(ctx, req, EIO_DONE);
  eio__done_quietly(ctx, req);
  if (!atomic_load_explicit(&ctx->pool->helping, memory_order_relaxed))
    atomic_store_explicit(&ctx->pool->helping, true, memory_order_relaxed);
  eio__slot_give(ctx); /* only now: no worker is to be done before */
  eio__pool_tell(ctx, EIO_EV_FREED);
  return true;
}

void eio__pool_sleeps(eio_ctx *ctx)
{
  if (atomic_load_explicit(&ctx->pool->helping, memory_order_relaxed))
    atomic_store_explicit(&ctx->pool->helping, false, memory_order_relaxed);
}

void eio__take_incoming(eio_ctx *ctx)
{
  if (!atomic_load_explicit(&ctx->incoming, memory_order_relaxed))
    return;
  for (eio_req *req = eio__reverse(atomic_exchange(&ctx->incoming, NULL)), *next; req; req = next) {
    next = req->next;
    eio_queue_push(&ctx->ready, req);
  }
}

void eio__pool_submit(eio_ctx *ctx, eio_req *req)
{
  eio__state(ctx, req, EIO_READY);
  atomic_store(&ctx->nsubmitted, ctx->nsubmitted + 1); /* first: nready is never less than 0 */
  eio__push(&ctx->incoming, req);
  eio__pool_tell(ctx, EIO_EV_SUBMITTED);
}

const struct eio_engine eio__engine_pool = { "pool", eio__pool_submit };

bool eio__pool_was_refused(const eio_ctx *ctx)
{
  return atomic_load_explicit(&ctx->pool->refused, memory_order_relaxed);
}

bool eio__pool_wants_thread(eio_ctx *ctx)
{
  atomic_store(&ctx->pool->refused, false);
  eio__pool_tell(ctx, EIO_EV_SUBMITTED);
  return must_tell(ctx, EIO_EV_SUBMITTED);
}

/* Parked workers look again at the limits that they wait by. */
static void rouse_locked(struct eio_pool *pool)
{
  for (struct worker *w = pool->parked; w; w = w->below)
    pthread_cond_signal(&w->cond);
}

void eio__pool_limits(eio_ctx *ctx)
{
  struct eio_pool *pool = ctx->pool;

  pthread_mutex_lock(&ctx->lock);
  pool->limit = eio_parallel(ctx);
  if (pool->nthreads > pool->limit)
    rouse_locked(pool);
  while (pool->nthreads > pool->limit)
    pthread_cond_wait(&pool->left, &ctx->lock);
  tell_and_unlock(ctx, EIO_EV_LIMITS);
}

void eio__pool_set_idle(eio_ctx *ctx, unsigned max_idle, double timeout)
{
  struct eio_pool *pool = ctx->pool;

  pthread_mutex_lock(&ctx->lock);
  if (timeout < 0)
    pool->max_idle = max_idle;
  else
    pool->idle_timeout = timeout;
  rouse_locked(pool);
  pthread_mutex_unlock(&ctx->lock);
}

uint64_t eio__pool_yield(eio_ctx *ctx, uint64_t now)
{
  uint64_t before = now;

  if (!eio__pace_may_yield(ctx->pool, before))
    return eio_p_now();
  sched_yield();
  now = eio_p_now();
  eio__pace_yielded(ctx->pool, before, now);
  return now;
}

unsigned eio__pool_nthreads(const eio_ctx *ctx)
{
  return ctx->pool->nthreads;
}

void eio__pool_abandon_locked(eio_ctx *ctx)
{
  struct eio_pool *pool = ctx->pool;

  for (struct worker *w = pool->all; w; w = w->next) {
    if (w->abandoned)
      continue;
    w->abandoned = true;
    w->parked = w->coming = w->stuck = false;
    pool->abandoned++;
    if (w->current)
      eio__flag_set(w->current, EIO_ORPHAN | EIO_CANCELLED);
    pthread_cond_signal(&w->cond);
  }
  pool->parked = NULL;
  pool->watcher = NULL;
  pool->nthreads = pool->nparked = pool->coming = pool->nstuck = 0;
  atomic_store(&pool->lingering, false);
}

void eio__pool_after_fork(eio_ctx *ctx)
{
  struct eio_pool *pool = ctx->pool;
  struct worker *w;

  while ((w = pool->all)) {
    if (w->current) {
      eio__state(ctx, w->current, EIO_DONE);
      eio__flag_set(w->current, EIO_ORPHAN | EIO_CANCELLED);
      eio_queue_push(&ctx->orphans, w->current);
    }
    pool->all = w->next;
    free(w);
  }
  pool->parked = NULL;
  pool->watcher = NULL;
  pool->nthreads = pool->nparked = pool->coming = pool->nstuck = pool->abandoned = 0;
  atomic_store(&pool->lingering, false);
  eio__cond_init(&pool->left);
}

bool eio__pool_destroy_locked(eio_ctx *ctx)
{
  struct eio_pool *pool = ctx->pool;

  ctx->dead = true;
  if (pool->abandoned)
    return true;
  pthread_cond_destroy(&pool->left);
  free(pool);
  return false;
}
