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
#include "eio_parts.h"
#include "eio_pool.h"

#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "eio_plat.h"

int eio__pool_create(eio_ctx *ctx)
{
  struct eio_pool *pool = calloc(1, sizeof *pool);

  if (!pool)
    return -1;
  atomic_init(&pool->helped_fd, -1);
  pool->max_lost = 1024;
  eio__pace_init(&pool->pace, eio_p_ncpus());
  pthread_cond_init(&pool->left, NULL);
  ctx->pool = pool;
  return 0;
}

/* The hand-over -------------------------------------------------------- */

#define ANY UINT_MAX /* kind of requests that are not known */

void eio__set_load(struct eio_pool *pool, struct worker *w, unsigned load)
{
  atomic_fetch_add(&pool->load, load - w->load);
  w->load = load;
}

bool eio__is_crowded(const struct eio_pool *pool, unsigned kind, const struct worker *besides)
{
  return pool->load - (besides ? besides->load : 0)
         >= eio__pace_enough(&pool->pace, kind, atomic_load_explicit(&pool->helping, memory_order_relaxed));
}

/* A request of that kind is first in the queue, or will be. */
static struct eio_counts counts_now(const eio_ctx *ctx, unsigned waiting, unsigned kind)
{
  struct eio_pool *pool = ctx->pool;
  unsigned expected = pool->coming + pool->lingering;
  struct eio_counts c = { .waiting = waiting };

  c.expected = expected && expected >= (kind == ANY ? waiting : eio__pace_wanted(&pool->pace, kind, waiting));
  c.parked = pool->nparked;
  c.threads = pool->nthreads;
  c.max_threads = pool->limit;
  c.running = atomic_load(&ctx->nrunning);
  c.max_running = ctx->max_running;
  c.watched = pool->watcher && kind != ANY && eio__is_crowded(pool, kind, NULL);
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

eio_req *eio__may_take(eio_ctx *ctx)
{
  eio__take_incoming(ctx);
  return eio__admits(atomic_load(&ctx->nrunning), ctx->max_running) ? eio_queue_first(&ctx->ready) : NULL;
}

eio_req *eio__take(eio_ctx *ctx)
{
  eio_req *req;

  eio__take_incoming(ctx);
  if (!ctx->ready.length || !eio__slot_take(ctx))
    return NULL;
  req = eio_queue_pop(&ctx->ready);
  if (req->op == EIO_PART)
    atomic_fetch_sub(&ctx->nparts, 1);
  else
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

void eio__has_work(struct eio_pool *pool, uint64_t now)
{
  if (pool->ran_out)
    eio__pace_idled(&pool->pace, &pool->pace.idle, now > pool->ran_out ? now - pool->ran_out : 0);
  pool->ran_out = 0;
}

/* When the load is enough already: the worker that shall watch whether those get on, the one
 * that would be sent for last. NULL when somebody has to go. */
static struct worker *new_watcher(struct eio_pool *pool, unsigned kind, uint64_t now)
{
  struct worker *w = pool->parked;

  if (!w || !eio__is_crowded(pool, kind, NULL))
    return NULL;
  eio__find_stuck(pool, now);
  if (!eio__is_crowded(pool, kind, NULL))
    return NULL;
  while (w->below)
    w = w->below;
  pool->watcher = w;
  return w;
}

/* Chooses who goes to the queue. Returns a worker to signal, or NULL; *start asks for a
 * new thread. */
static struct worker *send_for(struct eio_pool *pool, unsigned kind, uint64_t now, bool *start)
{
  struct worker *w = new_watcher(pool, kind, now);

  if (w)
    return w;
  eio__has_work(pool, now);
  w = pool->parked;
  pool->coming++;
  if (w) {
    pool->parked = w->below;
    pool->nparked--;
    w->parked = false;
    w->coming = true;
    w->sent = now;
    eio__set_load(pool, w, EIO_FULL);
  } else {
    pool->nthreads++;
    pool->load += EIO_FULL;
    *start = true;
  }
  return w;
}

struct worker *eio__tell(eio_ctx *ctx, enum eio_event event, uint64_t now, bool *start)
{
  struct eio_pool *pool = ctx->pool;
  struct worker *w = NULL;
  struct eio_counts counts;
  unsigned whom, kind;

  eio__take_incoming(ctx);
  kind = ctx->ready.length ? eio__kind(eio_queue_first(&ctx->ready)) : ANY;
  counts = counts_now(ctx, ctx->ready.length, kind);
  whom = eio__whom_to_tell(event, &counts);
  if (whom & EIO_TELL_WORKER)
    w = send_for(pool, kind, now ? now : eio_p_now(), start);
  if (whom & EIO_TELL_LIMITS)
    pthread_cond_broadcast(&pool->left);
  if (whom & EIO_TELL_OWNER)
    atomic_store(&pool->refused, true);
  return w;
}

/* By the owner, who executes all there is when no thread can be had at all: else
 * nobody ever would. */
static void tell_and_unlock(eio_ctx *ctx, enum eio_event event)
{
  bool start = false;
  struct worker *w = eio__tell(ctx, event, 0, &start);

  pthread_mutex_unlock(&ctx->lock);
  if (w)
    eio_p_wake(&w->bed);
  if (start && eio__start_thread(ctx, NULL) < 0)
    eio__run_ready(ctx, true);
}

/* In this order: what leaves the queue of its class meanwhile is seen to by who lets it. */
unsigned eio__nwaiting(const eio_ctx *ctx)
{
  unsigned taken = atomic_load(&ctx->ntaken), held = atomic_load(&ctx->nheld);

  return atomic_load(&ctx->nsubmitted) - taken - held;
}

unsigned eio__pool_waiting(const eio_ctx *ctx)
{
  return eio__nwaiting(ctx) + atomic_load(&ctx->nparts);
}

bool eio__pool_is_idle(const eio_ctx *ctx)
{
  struct eio_counts counts = counts_now(ctx, eio__pool_waiting(ctx), ANY);

  return eio__is_idle(&counts);
}

static bool must_tell(const eio_ctx *ctx, enum eio_event event, unsigned kind)
{
  struct eio_counts counts = counts_now(ctx, eio__pool_waiting(ctx), kind);

  return eio__whom_to_tell(event, &counts);
}

static void tell_if_must(eio_ctx *ctx, enum eio_event event, unsigned kind)
{
  if (must_tell(ctx, event, kind)) {
    pthread_mutex_lock(&ctx->lock);
    tell_and_unlock(ctx, event);
  }
}

void eio__pool_tell(eio_ctx *ctx, enum eio_event event)
{
  tell_if_must(ctx, event, ANY);
}

void eio__run_ready(eio_ctx *ctx, bool without_workers)
{
  struct worker *w = NULL;
  eio_req *req;

  pthread_mutex_lock(&ctx->lock);
  while (!(without_workers && ctx->pool->nthreads) && (req = eio__take(ctx))) {
    eio_class *class = req->in_class;

    pthread_mutex_unlock(&ctx->lock);
    req = eio__execute_here(req);
    pthread_mutex_lock(&ctx->lock);
    if (req)
      eio__over(ctx, req);
    eio__class_leave(ctx, class);
    eio__slot_give(ctx);
  }
  if (without_workers)
    w = eio__tell(ctx, EIO_EV_REFUSED, 0, NULL); /* that sends for parked workers only */
  pthread_mutex_unlock(&ctx->lock);
  if (w)
    eio_p_wake(&w->bed);
}

void eio__pool_return(eio_ctx *ctx, eio_req *req)
{
  pthread_mutex_lock(&ctx->lock);
  put_back(ctx, req);
  tell_and_unlock(ctx, EIO_EV_FREED);
}

/* Whether it is worth while to attempt a request. */
static bool can_help(const eio_ctx *ctx, const eio_req *req)
{
  return req->flags & EIO_FAILED
         || (!(req->flags & EIO_NO_INLINE) && eio__ops[req->op].flags & EIO_OPF_INLINE
             && !eio__pace_is_dear(&ctx->pool->pace, eio__kind(req)));
}

static bool may_help(eio_ctx *ctx)
{
  const eio_req *req;

  eio__take_incoming(ctx);
  req = eio_queue_first(&ctx->ready);
  return req && can_help(ctx, req);
}

bool eio__pool_help(eio_ctx *ctx)
{
  eio_class *class;
  eio_req *req;
  bool done;

  if (eio__pool_waiting(ctx) <= ctx->pool->coming /* who comes takes it */
      || (!ctx->npri && (int)(ctx->helpable - atomic_load(&ctx->ntaken)) <= 0)
      || pthread_mutex_trylock(&ctx->lock) != 0) /* somebody does right now */
    return false;
  req = may_help(ctx) ? eio__take(ctx) : NULL;
  if (req)
    atomic_store(&ctx->pool->helped_fd, req->fd);
  pthread_mutex_unlock(&ctx->lock);
  if (!req)
    return false;
  done = req->flags & EIO_FAILED || eio__inline(ctx, req, true);
  if (!done) {
    req->flags |= EIO_NO_INLINE; /* not again */
    eio__pool_return(ctx, req);
    atomic_store(&ctx->pool->helped_fd, -1); /* only now, see are_begun() */
    return false;
  }
  atomic_store(&ctx->pool->helped_fd, -1);
  ctx->stats.inlined++;
  class = req->in_class;
  eio__state(ctx, req, EIO_DONE);
  eio__done_quietly(ctx, req);
  if (!atomic_load_explicit(&ctx->pool->helping, memory_order_relaxed))
    atomic_store_explicit(&ctx->pool->helping, true, memory_order_relaxed);
  eio__places_give(ctx, class); /* only now: no worker is to be done before */
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
    if (__builtin_expect(req->in_class != NULL, 0))
      eio__class_push(ctx, req);
    else
      eio_queue_push(&ctx->ready, req);
  }
}

void eio__pool_submit(eio_ctx *ctx, eio_req *req)
{
  unsigned kind = eio__kind(req);

  eio__state(ctx, req, EIO_READY);
  atomic_store(&ctx->nsubmitted, ctx->nsubmitted + 1); /* first: nready is never less than 0 */
  if (can_help(ctx, req))
    ctx->helpable = ctx->nsubmitted;
  eio__push(&ctx->incoming, req);
  tell_if_must(ctx, EIO_EV_SUBMITTED, kind);
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
  return must_tell(ctx, EIO_EV_SUBMITTED, ANY);
}

/* Parked workers look again at the limits that they wait by. */
static void rouse_locked(struct eio_pool *pool)
{
  for (struct worker *w = pool->parked; w; w = w->below)
    eio_p_wake(&w->bed);
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

  if (!eio__pace_may_yield(&ctx->pool->pace, before))
    return eio_p_now();
  sched_yield();
  now = eio_p_now();
  eio__pace_yielded(&ctx->pool->pace, before, now);
  return now;
}

uint64_t eio__pool_look_ns(const eio_ctx *ctx)
{
  return eio__pace_look_ns(&ctx->pool->pace, &ctx->pool->pace.wait);
}

void eio__pool_waited(eio_ctx *ctx, uint64_t ns)
{
  eio__pace_idled(&ctx->pool->pace, &ctx->pool->pace.wait, ns);
}

bool eio__pool_may_look(const eio_ctx *ctx)
{
  return eio__pace_may_look(&ctx->pool->pace, ctx->pool->load);
}

void eio__pool_stepped(eio_ctx *ctx, uint64_t ns, unsigned nreqs)
{
  eio__pace_stepped(&ctx->pool->pace, ns, nreqs);
}

bool eio__pool_knows_attempts(const eio_ctx *ctx, const eio_req *req)
{
  return atomic_load_explicit(&ctx->pool->pace.kinds[eio__kind(req)].attempt, memory_order_relaxed);
}

void eio__pool_attempted(eio_ctx *ctx, const eio_req *req, uint64_t ns)
{
  eio__pace_attempted(&ctx->pool->pace, eio__kind(req), ns);
}

/* Where all workers are at something, nobody watches but the owner. */
static void look_for_stuck(eio_ctx *ctx)
{
  struct eio_pool *pool = ctx->pool;
  uint64_t now = eio_p_now();

  if (now - ctx->watched_at < eio__pace_patience_ns(&pool->pace))
    return;
  ctx->watched_at = now;
  pthread_mutex_lock(&ctx->lock);
  eio__find_stuck(pool, now);
  pthread_mutex_unlock(&ctx->lock);
}

bool eio__pool_leaves(eio_ctx *ctx, const eio_req *req)
{
  struct eio_pool *pool = ctx->pool;
  struct eio_crew crew = { .nreqs = ctx->nreqs, .nready = eio__nwaiting(ctx) };
  unsigned parked = pool->nparked, threads = pool->nthreads;

  crew.awake = threads > parked ? threads - parked : 0;
  crew.spare = parked || threads < pool->limit;
  if (crew.nready && !crew.spare)
    look_for_stuck(ctx);
  crew.load = pool->load;
  return eio__pace_leaves(&pool->pace, eio__kind(req), &crew);
}

bool eio__pool_outranks(eio_ctx *ctx, const eio_req *req)
{
  bool outranks;

  pthread_mutex_lock(&ctx->lock);
  eio__take_incoming(ctx);
  outranks = !(ctx->ready.used >> (req->pri - EIO_PRI_MIN));
  pthread_mutex_unlock(&ctx->lock);
  return outranks;
}

unsigned eio__pool_nthreads(const eio_ctx *ctx)
{
  return ctx->pool->nthreads;
}

const struct eio_pace *eio__pool_pace(const eio_ctx *ctx)
{
  return &ctx->pool->pace;
}

void eio__pool_abandon_locked(eio_ctx *ctx)
{
  struct eio_pool *pool = ctx->pool;

  for (struct worker *w = pool->all; w; w = w->next) {
    if (w->abandoned)
      continue;
    w->abandoned = true;
    w->parked = w->coming = false;
    w->load = 0;
    pool->abandoned++;
    if (w->current)
      eio__flag_set(w->current, EIO_ORPHAN | EIO_CANCELLED);
    eio_p_wake(&w->bed);
  }
  pool->parked = NULL;
  pool->watcher = NULL;
  pool->nthreads = pool->nparked = pool->coming = pool->load = pool->nlost = 0;
  atomic_store(&pool->lingering, false);
}

static void free_spare(struct eio_pool *pool)
{
  for (struct worker *w = pool->spare, *next; w; w = next) {
    next = w->next;
    eio_p_bed_finish(&w->bed);
    free(w);
  }
  pool->spare = NULL;
}

void eio__pool_free(struct eio_pool *pool)
{
  pthread_cond_destroy(&pool->left);
  free_spare(pool);
  free(pool);
}

void eio__pool_after_fork(eio_ctx *ctx)
{
  struct eio_pool *pool = ctx->pool;
  struct worker *w;

  while ((w = pool->all)) {
    if (w->current && !eio__flag(w->current, EIO_PARTED)) {
      eio__state(ctx, w->current, EIO_DONE);
      eio__flag_set(w->current, EIO_ORPHAN | EIO_CANCELLED);
      eio_queue_push(&ctx->orphans, w->current);
    }
    pool->all = w->next;
    free(w); /* who slept there in the parent will never wake, so its bed cannot be finished */
  }
  while ((w = pool->spare)) {
    pool->spare = w->next;
    free(w);
  }
  pool->parked = NULL;
  pool->watcher = NULL;
  pool->nthreads = pool->nparked = pool->coming = pool->load = pool->abandoned = pool->nlost = 0;
  atomic_store(&pool->lingering, false);
  pthread_cond_init(&pool->left, NULL);
}

bool eio__pool_destroy_locked(eio_ctx *ctx)
{
  struct eio_pool *pool = ctx->pool;

  ctx->dead = true;
  if (pool->abandoned)
    return true;
  eio__pool_free(pool);
  return false;
}
