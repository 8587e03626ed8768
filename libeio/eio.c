/* eio.c - contexts, and a request's way through one.
 *
 *   eio_queue.c   priority queues            eio_sync.c    engine: in submit
 *   eio_group.c   groups                     eio_pool.c    engine: threads
 *   eio_poll.c    the poll side              eio_uring.c   engine: the ring
 *   eio_wake.c    wakeup descriptor          eio_inline.c  attempts in submit
 *   eio_ops.c     table of operations        eio_worker.c  what threads do
 *   ops_*.c       the operations             eio_admit.c   who may, who is told
 *   eio_plat*.c   what systems lack          eio_pace.c    how many of them
 *   eio_insight.c figures and traces         eio_time.c    deadlines
 *   eio_lost.c    workers that hang          eio_class.c   limits of some
 *   eio_wait.c    what needs no worker
 *
 * This file: states, submit, cancel, limits, and what a fork does. */
#include "eio_pace.h"
#include "eio_parts.h"
#include "ops_errors.h"
#include "ops_lock.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eio_plat.h"

/* All contexts of the process, for the fork handlers. A context's lock may be
 * taken while this one is held, never the other way round. */
static pthread_mutex_t contexts_lock = PTHREAD_MUTEX_INITIALIZER;
static eio_ctx *contexts;

/* States --------------------------------------------------------------- */

static const uint8_t legal_edges[EIO_STATE_COUNT] = {
  [EIO_NEW] = 1 << EIO_READY | 1 << EIO_RUNNING | 1 << EIO_FLYING | 1 << EIO_DONE,
  [EIO_READY] = 1 << EIO_RUNNING | 1 << EIO_DONE,
  [EIO_RUNNING] = 1 << EIO_READY | 1 << EIO_DONE,
  [EIO_FLYING] = 1 << EIO_READY | 1 << EIO_DONE,
  [EIO_DONE] = 1 << EIO_FINISHED,
  [EIO_FINISHED] = 1 << EIO_DONE,
};

const char *eio__state_name(enum eio_state state)
{
  static const char *const names[EIO_STATE_COUNT] = {
    "new", "ready", "running", "flying", "done", "finished",
  };

  return names[state];
}

static _Noreturn void illegal_edge(const eio_req *req, enum eio_state state)
{
  fprintf(stderr, "eio: request %u (%s): %s -> %s is impossible\n", (unsigned)req->id,
          eio__ops[req->op].info.name, eio__state_name((enum eio_state)req->state),
          eio__state_name(state));
  abort();
}

void eio__state(eio_ctx *ctx, eio_req *req, enum eio_state state)
{
  if (!(legal_edges[req->state] & 1u << state))
    illegal_edge(req, state);
  eio_p_probe_state(ctx, req, &eio__ops[req->op].info, req->state, state);
  if (__builtin_expect(atomic_load_explicit(&ctx->insight, memory_order_relaxed), 0))
    eio__insight_state(ctx, req, state);
  __atomic_store_n(&req->state, (uint8_t)state, __ATOMIC_RELAXED);
}

/* Submit and cancel ---------------------------------------------------- */

unsigned eio_parallel(const eio_ctx *ctx)
{
  return ctx->min_parallel < ctx->max_parallel ? ctx->min_parallel : ctx->max_parallel;
}

/* What waits is not overtaken by more than so many while nobody takes anything. */
#define OVERTAKEN_MAX 64

/* What waits may be overtaken by a higher priority than all of it has, and where order is not
 * promised: with max_parallel 1 it is, and where priorities are in use. */
static bool may_overtake(eio_ctx *ctx, const eio_req *req)
{
  unsigned taken = atomic_load(&ctx->ntaken);

  if (ctx->npri)
    return eio__pool_outranks(ctx, req);
  if (ctx->overtaken_at != taken) {
    ctx->overtaken_at = taken;
    ctx->overtaken = 0;
  }
  return !eio__keeps_order(ctx) && ctx->overtaken++ < OVERTAKEN_MAX;
}

/* Whether an inline attempt is made. With max_parallel 1 only when nothing executes: for that a request that a worker takes counts in nrunning before it leaves
 * nready, and in nfinished before it leaves the other two. */
static bool may_inline(eio_ctx *ctx, const eio_req *req)
{
  return !(req->flags & EIO_NO_INLINE)
         && (eio__ops[req->op].flags & EIO_OPF_INLINE || req->flags & EIO_FAILED)
         && (eio__nwaiting(ctx) == 0 || may_overtake(ctx, req));
}

/* One in so many of those that would be left is attempted and measured all the same: what an
 * attempt takes may have changed. */
#define TRIED 64

/* Only the pool's workers do better, and not at what takes no system call. */
static bool leaves(eio_ctx *ctx, const eio_req *req, bool *tried)
{
  if (ctx->engine != &eio__engine_pool || req->op == EIO_NOP || req->flags & EIO_FAILED
      || !eio__pool_leaves(ctx, req))
    return false;
  *tried = ++ctx->left % TRIED == 0;
  return !*tried;
}

static bool attempt(eio_ctx *ctx, eio_req *req, bool tried)
{
  bool measured = req->op != EIO_NOP
                  && (tried || ctx->stats.inlined % EIO_MEASURED == 0 || !eio__pool_knows_attempts(ctx, req));
  uint64_t began = measured ? eio_p_now() : 0;
  bool done = eio__inline(ctx, req, false);

  if (done && measured)
    eio__pool_attempted(ctx, req, eio_p_now() - began);
  return done;
}

/* Where a maximum has been set, or there may be one for a class, the attempt counts like any other
 * execution: so nothing executes with max_parallel 0. */
static bool finish_inline(eio_ctx *ctx, eio_req *req)
{
  bool limited = ctx->max_parallel != UINT_MAX || req->in_class, tried = false, done;

  if (!may_inline(ctx, req) || leaves(ctx, req, &tried) || (limited && !eio__places_take(ctx, req->in_class)))
    return false;
  done = req->flags & EIO_FAILED || attempt(ctx, req, tried);
  if (done) {
    ctx->stats.inlined++;
    eio__finish_here(ctx, req);
  } else {
    ctx->stats.inline_declined++;
    eio__insight_declined(ctx, req);
  }
  if (limited) {
    eio__places_give(ctx, req->in_class);
    if (done)
      eio__pool_tell(ctx, EIO_EV_FREED);
  }
  return done;
}

void eio_submit(eio_ctx *ctx, eio_req *req)
{
  req->id = ++ctx->ids;
  ctx->owner = pthread_self();
  eio__count(ctx, req, 1);
  ctx->stats.submitted++;
  if (__builtin_expect(atomic_load_explicit(&ctx->insight, memory_order_relaxed), 0))
    eio__insight_submit(ctx, req);
  if (req->op == EIO_GROUP)
    eio__finish_here(ctx, req);
  else if (!finish_inline(ctx, req)) {
    if (__builtin_expect(eio__waits(req), 0) && !(req->flags & EIO_FAILED))
      eio__wait_submit(ctx, req);
    else
      ctx->engine->submit(ctx, req);
  }
}

static enum eio_state unqueue(eio_ctx *ctx, eio_req *req, unsigned flags)
{
  enum eio_state state;

  pthread_mutex_lock(&ctx->lock);
  eio__take_incoming(ctx);
  state = (enum eio_state)req->state;
  if (state == EIO_READY) {
    eio__class_remove(ctx, req);
    atomic_fetch_add(&ctx->ntaken, 1);
  } else if (eio__wait_take(ctx, req))
    state = EIO_READY;
  if (state != EIO_FINISHED)
    eio__flag_set(req, flags);
  if (state == EIO_READY)
    eio__state(ctx, req, EIO_DONE);
  pthread_mutex_unlock(&ctx->lock);
  return state;
}

enum eio_state eio__unqueue(eio_ctx *ctx, eio_req *req)
{
  return unqueue(ctx, req, 0);
}

static eio_req *cancel_one(eio_ctx *ctx, eio_req *req)
{
  enum eio_state state;

  if (req->op == EIO_GROUP) {
    if (req->state != EIO_FINISHED) {
      req->flags |= EIO_CANCELLED;
      req->feed = NULL;
    }
    return req;
  }
  state = unqueue(ctx, req, EIO_CANCELLED);
  if (state == EIO_READY)
    eio__done_here(ctx, req);
  else if (state == EIO_RUNNING || state == EIO_FLYING) {
    if (ctx->ring)
      eio__ring_cancel(ctx, req);
    eio__time_cancelled(ctx, req);
  }
  return req;
}

void eio_cancel(eio_ctx *ctx, eio_req *req)
{
  if (req->op == EIO_GROUP)
    eio__group_walk(ctx, req, cancel_one);
  else
    cancel_one(ctx, req);
  if (ctx->classes)
    eio__pool_tell(ctx, EIO_EV_FREED); /* not before: nobody takes what is to be cancelled next */
}

void eio_req_finish(eio_req *req)
{
  if (req->flags & EIO_OWNS_FD) {
    int saved = errno;

    close((int)req->result);
    errno = saved;
  }
  if (req->flags & EIO_FREE_BUF) {
    free(req->buf);
    req->buf = NULL;
  }
  if (eio__ops[req->op].info.result == EIO_R_PAGES) {
    free(req->pages);
    req->pages = NULL;
  }
  if (req->op == EIO_WD && req->buf) {
    eio_wd_unref(req->buf);
    req->buf = NULL;
  }
  if (req->op == EIO_WALK && req->buf) {
    eio_walk_free(req->buf);
    req->buf = NULL;
  }
  if (req->op == EIO_LOCK)
    eio__lock_finish(req);
  if (eio__ops[req->op].info.result == EIO_R_TREE) {
    eio__errors_free(req->errors);
    req->errors = NULL;
  }
  req->flags &= (uint16_t)~(EIO_OWNS_FD | EIO_FREE_BUF);
}

/* Limits and engines --------------------------------------------------- */

static void limits_changed(eio_ctx *ctx)
{
  atomic_store(&ctx->max_running, ctx->max_parallel);
  if (ctx->engine == &eio__engine_sync && eio_parallel(ctx))
    eio__run_ready(ctx, false);
  eio__pool_limits(ctx);
}

static void default_limits(eio_ctx *ctx)
{
  ctx->min_parallel = 8;
  ctx->max_parallel = UINT_MAX;
  eio__classes_unlimit(ctx);
  eio_set_max_idle(ctx, 4);
  eio_set_idle_timeout(ctx, 10);
  limits_changed(ctx);
}

void eio_set_min_parallel(eio_ctx *ctx, unsigned n)
{
  if (ctx->min_parallel < n)
    ctx->min_parallel = n;
  if (ctx->max_parallel < n)
    ctx->max_parallel = n;
  limits_changed(ctx);
}

void eio_set_max_parallel(eio_ctx *ctx, unsigned n)
{
  ctx->max_parallel = n;
  limits_changed(ctx);
}

void eio__class_changed(eio_ctx *ctx)
{
  if (ctx->engine == &eio__engine_sync && eio_parallel(ctx))
    eio__run_ready(ctx, false);
  eio__pool_tell(ctx, EIO_EV_LIMITS);
}

void eio_set_max_idle(eio_ctx *ctx, unsigned n)
{
  eio__pool_set_idle(ctx, n, -1);
}

void eio_set_idle_timeout(eio_ctx *ctx, double seconds)
{
  eio__pool_set_idle(ctx, UINT_MAX, seconds < 0 ? 0 : seconds);
}

int eio_set_engine(eio_ctx *ctx, const char *name)
{
  const struct eio_engine *engine = &eio__engine_pool;

  if (!strcmp(name, "sync"))
    engine = &eio__engine_sync;
  else if (!strcmp(name, "uring")) {
    if (!ctx->ring && eio__ring_create(ctx) < 0) {
      int saved = errno;

      ctx->engine = engine;
      errno = saved;
      return -1;
    }
    engine = &eio__engine_uring;
  } else if (strcmp(name, "pool")) {
    errno = EINVAL;
    return -1;
  }
  ctx->why[0] = 0;
  ctx->engine = engine;
  limits_changed(ctx);
  return 0;
}

const char *eio_engine(const eio_ctx *ctx, const char **why)
{
  if (why)
    *why = ctx->why;
  return ctx->engine->name;
}

void eio_hand_over(eio_ctx *ctx)
{
  if (!ctx->nreqs)
    eio__ring_destroy(ctx);
}

/* Dropping everything -------------------------------------------------- */

static void orphan_queue(eio_ctx *ctx, struct eio_queue *q)
{
  eio_req *req;

  while ((req = eio_queue_pop(q))) {
    eio__flag_set(req, EIO_ORPHAN | EIO_CANCELLED);
    if (req->state != EIO_DONE)
      eio__state(ctx, req, EIO_DONE);
    eio_queue_push(&ctx->orphans, req);
  }
}

/* Takes the parts out of the ready queue; lock held. */
static eio_req *take_parts(eio_ctx *ctx)
{
  struct eio_queue others;
  eio_req *parts = NULL, *req;

  if (!atomic_load(&ctx->nparts))
    return NULL;
  eio_queue_init(&others);
  while ((req = eio_queue_pop(&ctx->ready)))
    if (req->op == EIO_PART) {
      req->next = parts;
      parts = req;
    } else
      eio_queue_push(&others, req);
  eio_queue_append(&ctx->ready, &others);
  return parts;
}

/* Everything but what threads are executing; lock held. Returns the parts that waited
 * for a thread: somebody has to execute them, without the lock, as others wait for their
 * end. All that belongs to is cancelled. */
static eio_req *orphan_all(eio_ctx *ctx)
{
  eio_req *parts;

  eio__take_incoming(ctx);
  parts = take_parts(ctx);
  for (int n = 0; n < EIO_NPRI; n++)
    for (eio_req *req = ctx->parted.head[n]; req; req = req->next)
      eio__flag_set(req, EIO_ORPHAN | EIO_CANCELLED);
  eio__classes_drop(ctx, &ctx->ready);
  orphan_queue(ctx, &ctx->ready);
  orphan_queue(ctx, &ctx->waiting);
  eio__wait_dropped(ctx);
  eio__take_finished(ctx, &ctx->done);
  orphan_queue(ctx, &ctx->done);
  orphan_queue(ctx, &ctx->fresh);
  atomic_store(&ctx->ntaken, ctx->nsubmitted);
  atomic_store(&ctx->nparts, 0);
  atomic_store(&ctx->nrunning, 0);
  eio__time_drop(ctx);
  for (eio_req *req = ctx->current; req; req = req->next)
    for (eio_req *up = req; up; up = up->group)
      up->flags |= EIO_ORPHAN; /* the groups are in no queue, perhaps */
  for (eio_req *req = ctx->feeding; req; req = req->fed_before)
    req->flags |= EIO_ORPHAN | EIO_CANCELLED; /* likewise; those above follow it */
  ctx->nreqs = ctx->npri = 0;
  return parts;
}

static void end_parts(eio_ctx *ctx, eio_req *parts)
{
  while (parts) {
    eio_req *part = parts, *over;

    parts = part->next;
    eio__state(ctx, part, EIO_RUNNING);
    over = eio__execute_here(part);
    if (over) {
      pthread_mutex_lock(&ctx->lock);
      eio__over(ctx, over);
      pthread_mutex_unlock(&ctx->lock);
    }
  }
}

void eio_reset(eio_ctx *ctx)
{
  eio_req *parts;
  bool repaired;

  eio__ring_drop(ctx);
  pthread_mutex_lock(&ctx->lock);
  eio__pool_abandon_locked(ctx);
  parts = orphan_all(ctx);
  repaired = eio__wake_repair(&ctx->wake);
  eio__silence(ctx);
  pthread_mutex_unlock(&ctx->lock);
  end_parts(ctx, parts);
  if (repaired)
    eio__ring_rewire(ctx);
  default_limits(ctx);
}

eio_req *eio_orphan(eio_ctx *ctx)
{
  eio_req *req;

  if (ctx->ring)
    eio__ring_reap(ctx); /* what was dropped there comes by itself */
  for (;;) {
    pthread_mutex_lock(&ctx->lock);
    req = eio_queue_pop(&ctx->orphans);
    pthread_mutex_unlock(&ctx->lock);
    if (!req || req->op != EIO_GROUP || !(req->nmembers || req->flags & EIO_FEEDING))
      break;
    req->flags |= EIO_RIPE; /* comes again with its last member, or from its feeder */
  }
  if (req) {
    eio__state(ctx, req, EIO_FINISHED);
    eio__time_forget(ctx, req);
  }
  return req;
}

void eio_on_fork(eio_ctx *ctx, void (*hook)(void *), void *data)
{
  ctx->fork_hook = hook;
  ctx->fork_data = data;
}

/* Fork handlers: before, every lock is taken, so that the child finds each
 * context between two steps. In the child only the contexts of the thread that
 * forked can be used again: what the others' owners were at is unknown. */
static void before_fork(void)
{
  pthread_mutex_lock(&contexts_lock);
  for (eio_ctx *ctx = contexts; ctx; ctx = ctx->next_ctx)
    pthread_mutex_lock(&ctx->lock);
}

static void after_fork_parent(void)
{
  for (eio_ctx *ctx = contexts; ctx; ctx = ctx->next_ctx)
    pthread_mutex_unlock(&ctx->lock);
  pthread_mutex_unlock(&contexts_lock);
}

static void after_fork_child(void)
{
  for (eio_ctx *ctx = contexts; ctx; ctx = ctx->next_ctx) {
    pthread_mutex_unlock(&ctx->lock);
    eio__wait_after_fork(ctx); /* in all: what is open here does not tell the parent of its end */
    if (ctx->ids && !pthread_equal(ctx->owner, pthread_self()))
      continue; /* one never used may be its own all the same */
    eio__pool_after_fork(ctx);
    eio__ring_after_fork(ctx);
    orphan_all(ctx); /* parts are lost, like what threads had at hand */
    eio__time_after_fork(ctx);
    orphan_queue(ctx, &ctx->parted);
    atomic_store(&ctx->polling, false);
    atomic_store(&ctx->signaled, false);
    ctx->raised = false;
    eio__wake_reopen(&ctx->wake);
    if (ctx->fork_hook && (ctx->orphans.length || ctx->current || ctx->feeding))
      ctx->fork_hook(ctx->fork_data);
  }
  pthread_mutex_unlock(&contexts_lock);
}

/* Contexts ------------------------------------------------------------- */

static void once(void)
{
  eio__insight_init();
  pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

static int lower(int next, int fd, int from)
{
  return fd >= from && (next < 0 || fd < next) ? fd : next;
}

/* A context's descriptor that is the lowest of those from `from` on, or -1. */
static int next_of(eio_ctx *ctx, int from)
{
  const struct eio_wake *wakes[2] = { &ctx->wake, NULL };
  int next = -1;

  pthread_mutex_lock(&ctx->lock);
  wakes[1] = eio__wait_wake(ctx);
  next = eio__apart_next(ctx, from);
  for (int i = 0; i < 2; i++)
    if (wakes[i] && eio__wake_is_intact(wakes[i]))
      next = lower(lower(next, wakes[i]->fd[0], from), wakes[i]->fd[1], from);
  pthread_mutex_unlock(&ctx->lock);
  return next;
}

int eio__next_own_fd(int from)
{
  int next = lower(-1, eio__blocker_fd(), from);

  pthread_mutex_lock(&contexts_lock);
  for (eio_ctx *ctx = contexts; ctx; ctx = ctx->next_ctx)
    next = lower(next, next_of(ctx, from), from);
  pthread_mutex_unlock(&contexts_lock);
  return next;
}

eio_ctx *eio_create(void)
{
  static pthread_once_t control = PTHREAD_ONCE_INIT;
  eio_ctx *ctx = calloc(1, sizeof *ctx);

  if (!ctx)
    return NULL;
  pthread_once(&control, once);
  if (eio__wake_open(&ctx->wake, false) < 0) {
    free(ctx);
    return NULL;
  }
  ctx->owner = pthread_self();
  ctx->tick = UINT64_MAX;
  ctx->engine = &eio__engine_pool;
  eio_p_mutex_init(&ctx->lock);
  if (eio__pool_create(ctx) < 0) {
    eio__wake_close(&ctx->wake);
    eio__free(ctx);
    return NULL;
  }
  default_limits(ctx);
  eio__insight_create(ctx);
  pthread_mutex_lock(&contexts_lock);
  ctx->next_ctx = contexts;
  contexts = ctx;
  pthread_mutex_unlock(&contexts_lock);
  return ctx;
}

void eio__free(eio_ctx *ctx)
{
  pthread_mutex_destroy(&ctx->lock);
  eio__insight_destroy(ctx);
  eio__classes_free(ctx);
  free(ctx);
}

void eio_destroy(eio_ctx *ctx)
{
  bool busy;

  if (!ctx)
    return;
  pthread_mutex_lock(&contexts_lock);
  for (eio_ctx **p = &contexts; *p; p = &(*p)->next_ctx)
    if (*p == ctx) {
      *p = ctx->next_ctx;
      break;
    }
  pthread_mutex_unlock(&contexts_lock);
  eio_reset(ctx);
  eio__time_destroy(ctx);
  eio__wait_destroy(ctx);
  eio__ring_destroy(ctx);
  pthread_mutex_lock(&ctx->lock);
  eio__wake_close(&ctx->wake);
  busy = eio__pool_destroy_locked(ctx);
  pthread_mutex_unlock(&ctx->lock);
  if (!busy)
    eio__free(ctx);
}
