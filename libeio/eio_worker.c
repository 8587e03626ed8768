/* eio_worker.c - what worker threads do: take a request, execute it, take the next;
 * linger, park, leave.
 *
 * Everything in struct eio_pool and struct worker is guarded by the context's
 * lock. Workers hold it but while they execute, linger or sleep.
 *
 * Last parked, first woken: its caches are warm. Where a processor is left one worker
 * lingers a few tens of microseconds before it parks, and sees the next request
 * without being woken. Who is woken, and when, is up to eio_pace.c. */
#include "eio_pool.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "eio_plat.h"

#define LINGER_NS 30000
#define STACK_SIZE (256 * 1024)

static void arrive(struct eio_pool *pool, struct worker *w)
{
  if (w->coming) {
    w->coming = false;
    pool->coming--;
  }
}

static void unpark(struct eio_pool *pool, struct worker *w)
{
  for (struct worker **p = &pool->parked; *p; p = &(*p)->below)
    if (*p == w) {
      *p = w->below;
      break;
    }
  w->parked = false;
  pool->nparked--;
}

/* Watches for a request without the lock; returns with it. */
static void linger(eio_ctx *ctx)
{
  struct eio_pool *pool = ctx->pool;
  uint64_t now, end;

  atomic_store(&pool->lingering, true);
  pthread_mutex_unlock(&ctx->lock);
  now = eio_p_now();
  end = now + LINGER_NS;
  do {
    now = eio__pool_yield(ctx, now);
    for (int i = 0; i < 32; i++) {
      if (eio_nready(ctx))
        goto out;
      eio_p_relax();
    }
  } while (now < end);
out:
  pthread_mutex_lock(&ctx->lock);
  atomic_store(&pool->lingering, false);
}

static struct timespec timespec_of(uint64_t ns)
{
  return (struct timespec){ (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
}

/* Sleeps until it is sent for, or finds that it is needed. Returns whether it
 * is; else the worker shall leave. */
static bool sleep_parked(eio_ctx *ctx, struct worker *w)
{
  struct eio_pool *pool = ctx->pool;
  double seconds;
  uint64_t since = eio_p_now(), end;
  struct timespec ts;
  unsigned idle = 0;

  for (;;) {
    if (w->abandoned || !w->parked || pool->nthreads > pool->limit)
      return !w->abandoned && !w->parked;
    if (eio__may_take(ctx)) {
      if (!eio__pace_is_crowded(pool))
        return true;
      if (!pool->watcher)
        pool->watcher = w;
    }
    if (pool->watcher == w) {
      ts = timespec_of(eio_p_now() + EIO_WATCH_NS);
      if (pthread_cond_timedwait(&w->cond, &ctx->lock, &ts) == ETIMEDOUT && !w->abandoned
          && pool->watcher == w)
        eio__pace_watch(ctx, eio_p_now(), &idle);
      continue;
    }
    idle = 0;
    if (pool->nparked <= pool->max_idle) {
      pthread_cond_wait(&w->cond, &ctx->lock);
      continue;
    }
    seconds = pool->idle_timeout > 1e8 ? 1e8 : pool->idle_timeout;
    end = since + (uint64_t)(seconds * 1e9);
    if (eio_p_now() >= end)
      return false;
    ts = timespec_of(end);
    pthread_cond_timedwait(&w->cond, &ctx->lock, &ts);
  }
}

static bool park(eio_ctx *ctx, struct worker *w)
{
  struct eio_pool *pool = ctx->pool;
  bool needed;

  w->below = pool->parked;
  pool->parked = w;
  w->parked = true;
  pool->nparked++;
  needed = sleep_parked(ctx, w);
  if (w->abandoned)
    return false;
  if (pool->watcher == w)
    pool->watcher = NULL;
  if (needed && w->parked)
    unpark(pool, w);
  return needed;
}

static void *work(void *arg);

static void insert(struct eio_pool *pool, struct worker *w)
{
  w->link = &pool->all;
  w->next = pool->all;
  if (w->next)
    w->next->link = &w->next;
  pool->all = w;
}

static void take_out(struct worker *w)
{
  *w->link = w->next;
  if (w->next)
    w->next->link = w->link;
  pthread_cond_destroy(&w->cond);
  free(w);
}

static int create_thread(struct worker *w)
{
  pthread_attr_t attr;
  pthread_t thread;
  sigset_t all, old;
  int error;

  pthread_attr_init(&attr);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attr, STACK_SIZE);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  error = pthread_create(&thread, &attr, work, w);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  pthread_attr_destroy(&attr);
  return error;
}

int eio__start_thread(eio_ctx *ctx, struct worker *starter)
{
  struct eio_pool *pool = ctx->pool;
  struct worker *w = calloc(1, sizeof *w);
  int error = ENOMEM;

  if (w) {
    w->ctx = ctx;
    w->coming = true;
    eio__cond_init(&w->cond);
  }
  pthread_mutex_lock(&ctx->lock);
  if (starter && starter->abandoned) {
    pthread_mutex_unlock(&ctx->lock);
    free(w);
    return 0;
  }
  if (w) {
    insert(pool, w);
    pthread_mutex_unlock(&ctx->lock);
    error = create_thread(w);
    pthread_mutex_lock(&ctx->lock);
  }
  if (!error)
    ctx->stats.threads_started++;
  else {
    if (w && w->abandoned)
      pool->abandoned--;
    else {
      pool->nthreads--;
      pool->coming--;
      eio__tell(ctx, EIO_EV_REFUSED, 0); /* which starts none */
      if (starter && pool->refused)
        eio__signal_locked(ctx);
    }
    if (w)
      take_out(w);
  }
  pthread_mutex_unlock(&ctx->lock);
  return error ? -1 : 0;
}

/* Requests that need no system call are finished without giving up the lock. */
static bool is_trivial(const eio_req *req)
{
  return req->op == EIO_NOP || eio__flag(req, EIO_FAILED);
}

/* Returns the time when it is done, `now` for the next one; 0: not known. */
static uint64_t execute(eio_ctx *ctx, struct worker *w, eio_req *req, uint64_t now)
{
  bool start;

  if (is_trivial(req)) {
    eio__execute(req);
    ctx->executed++;
    eio__finished(ctx, req);
    eio__slot_give(ctx);
    return 0;
  }
  w->current = req;
  w->began = now ? now : eio_p_now();
  start = eio__tell(ctx, EIO_EV_TAKEN, w->began);
  pthread_mutex_unlock(&ctx->lock);
  if (start)
    eio__start_thread(ctx, w);
  eio__execute(req);
  pthread_mutex_lock(&ctx->lock);
  w->current = NULL;
  if (w->abandoned) {
    eio__state(ctx, req, EIO_DONE);
    eio_queue_push(&ctx->orphans, req);
    return 0;
  }
  now = eio_p_now();
  eio__pace_note(ctx->pool, w, now);
  if (w->stuck) {
    w->stuck = false;
    ctx->pool->nstuck--;
  }
  ctx->executed++;
  eio__finished(ctx, req);
  eio__slot_give(ctx);
  return now;
}

static void leave(eio_ctx *ctx, struct worker *w)
{
  struct eio_pool *pool = ctx->pool;
  bool last = false;

  if (w->abandoned)
    last = --pool->abandoned == 0 && ctx->dead;
  else {
    arrive(pool, w);
    pool->nthreads--; /* before nparked, see struct eio_counts */
    if (w->parked)
      unpark(pool, w);
    eio__tell(ctx, EIO_EV_LEFT, 0);
  }
  take_out(w);
  pthread_mutex_unlock(&ctx->lock);
  if (last) {
    pthread_cond_destroy(&pool->left);
    free(pool);
    eio__free(ctx);
  }
}

static void *work(void *arg)
{
  struct worker *w = arg;
  eio_ctx *ctx = w->ctx;
  struct eio_pool *pool = ctx->pool;
  bool busy = false; /* has just executed something */
  uint64_t now = 0;

  pthread_mutex_lock(&ctx->lock);
  for (;;) {
    eio_req *req = NULL;
    enum eio_step step;

    if (w->abandoned || pool->nthreads > pool->limit)
      break;
    arrive(pool, w);
    step = eio__pace_next(pool, busy, eio__may_take(ctx));
    if (step == EIO_TAKE && !(req = eio__take(ctx)))
      continue; /* the owner has had the last place */
    busy = req != NULL;
    now = busy ? execute(ctx, w, req, now) : 0;
    if (step == EIO_LINGER)
      linger(ctx);
    else if (step == EIO_PARK && !park(ctx, w))
      break;
  }
  leave(ctx, w);
  return NULL;
}
