/* eio_pool.c - the default engine: worker threads, as the owner sees them.
 *
 * Everything in struct eio_pool and struct worker is guarded by the context's
 * lock.
 *
 * The owner submits without the lock: it pushes the request to ctx->incoming,
 * then looks whether somebody has to be sent for. No request can be missed, as
 * every worker announces that it parks (or stops lingering, or arrives) before
 * it looks at nready for the last time. All of that is sequentially consistent.
 *
 * What workers do is in eio_worker.c; who is woken, and when, in eio_pace.c. */
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
  pool->max_running = ctx->max_parallel;
  pool->max_idle = 4;
  pool->idle_timeout = 10;
  pool->ncpus = eio_p_ncpus();
  eio__cond_init(&pool->left);
  ctx->pool = pool;
  return 0;
}

/* With a maximum of 1, what a worker has begun must not be overtaken here. */
static bool left_to_workers(const eio_ctx *ctx, bool without_workers)
{
  const struct eio_pool *pool = ctx->pool;

  return without_workers ? pool->nthreads || !pool->limit : pool->nthreads && eio_parallel(ctx) == 1;
}

void eio__run_ready(eio_ctx *ctx, bool without_workers)
{
  eio_req *req;

  pthread_mutex_lock(&ctx->lock);
  eio__take_incoming(ctx);
  while (!left_to_workers(ctx, without_workers) && (req = eio_queue_pop(&ctx->ready))) {
    atomic_fetch_sub_explicit(&ctx->nready, 1, memory_order_relaxed);
    eio__state(ctx, req, EIO_RUNNING);
    pthread_mutex_unlock(&ctx->lock);
    eio__execute_here(req);
    pthread_mutex_lock(&ctx->lock);
    ctx->executed++;
    eio__finished(ctx, req);
  }
  pthread_mutex_unlock(&ctx->lock);
}

static void send_and_unlock(eio_ctx *ctx)
{
  bool start = false;
  struct worker *w = eio__pace_send_for(ctx, eio_p_now(), &start);

  if (w)
    pthread_cond_signal(&w->cond);
  pthread_mutex_unlock(&ctx->lock);
  if (start && eio__start_thread(ctx, NULL) < 0)
    eio__run_ready(ctx, true); /* no thread can be had at all */
}

void eio__pool_return(eio_ctx *ctx, eio_req *req)
{
  pthread_mutex_lock(&ctx->lock);
  eio__take_incoming(ctx);
  eio__state(ctx, req, EIO_READY);
  eio_queue_unshift(&ctx->ready, req);
  atomic_fetch_add(&ctx->nready, 1);
  atomic_fetch_sub(&ctx->nrunning, 1);
  send_and_unlock(ctx);
}

bool eio__pool_help(eio_ctx *ctx)
{
  eio_req *req;
  bool done;

  if (atomic_load(&ctx->nready) <= ctx->pool->coming) /* who comes takes it */
    return false;
  pthread_mutex_lock(&ctx->lock);
  eio__take_incoming(ctx);
  req = eio_queue_first(&ctx->ready);
  if (!req || req->flags & EIO_NO_INLINE
      || !(eio__ops[req->op].flags & EIO_OPF_INLINE || req->flags & EIO_FAILED)
      || atomic_load(&ctx->nrunning) >= ctx->pool->max_running) {
    pthread_mutex_unlock(&ctx->lock);
    return false;
  }
  eio_queue_pop(&ctx->ready);
  atomic_fetch_add(&ctx->nrunning, 1);
  atomic_fetch_sub(&ctx->nready, 1);
  eio__state(ctx, req, EIO_RUNNING);
  pthread_mutex_unlock(&ctx->lock);
  done = req->flags & EIO_FAILED || eio__inline(ctx, req, true);
  if (!done) {
    req->flags |= EIO_NO_INLINE; /* not again */
    eio__pool_return(ctx, req);
    return false;
  }
  pthread_mutex_lock(&ctx->lock);
  atomic_fetch_sub(&ctx->nrunning, 1);
  eio__state(ctx, req, EIO_DONE);
  pthread_mutex_unlock(&ctx->lock);
  ctx->stats.inlined++;
  if (!atomic_load_explicit(&ctx->pool->helping, memory_order_relaxed))
    atomic_store_explicit(&ctx->pool->helping, true, memory_order_relaxed);
  eio__done_quietly(ctx, req);
  return true;
}

void eio__pool_sleeps(eio_ctx *ctx)
{
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
  atomic_fetch_add(&ctx->nready, 1);
  eio__push(&ctx->incoming, req);
  if (eio__pace_must_send(ctx)) {
    pthread_mutex_lock(&ctx->lock);
    send_and_unlock(ctx);
  }
}

const struct eio_engine eio__engine_pool = { "pool", eio__pool_submit };

void eio__pool_kick(eio_ctx *ctx)
{
  pthread_mutex_lock(&ctx->lock);
  send_and_unlock(ctx);
}

bool eio__pool_wants_thread(eio_ctx *ctx)
{
  if (eio__pace_must_send(ctx))
    eio__pool_kick(ctx);
  return eio__pace_must_send(ctx);
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
  pool->max_running = ctx->max_parallel;
  if (pool->nthreads > pool->limit)
    rouse_locked(pool);
  while (pool->nthreads > pool->limit)
    pthread_cond_wait(&pool->left, &ctx->lock);
  send_and_unlock(ctx);
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
