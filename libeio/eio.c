/* eio.c - contexts, and a request's way through one.
 *
 *   eio_queue.c   priority queues            eio_sync.c    engine: in submit
 *   eio_group.c   groups                     eio_pool.c    engine: threads
 *   eio_wake.c    wakeup descriptor          eio_uring.c   engine: the ring
 *   eio_ops.c     table of operations        eio_inline.c  attempts in submit
 *   ops_*.c       the operations             eio_plat.c    what systems lack
 *
 * This file: states, submit, cancel, the poll side, and what a fork does. */
#include "eio_int.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eio_plat.h"

/* All contexts of the process, for the fork handlers. A context's lock may be
 * taken while this one is held, never the other way round. */
static pthread_mutex_t contexts_lock = PTHREAD_MUTEX_INITIALIZER;
static eio_ctx *contexts;
static bool tracing;

/* States --------------------------------------------------------------- */

static const uint8_t legal_edges[EIO_STATE_COUNT] = {
  [EIO_NEW] = 1 << EIO_READY | 1 << EIO_RUNNING | 1 << EIO_DONE,
  [EIO_READY] = 1 << EIO_RUNNING | 1 << EIO_DONE,
  [EIO_RUNNING] = 1 << EIO_READY | 1 << EIO_DONE,
  [EIO_DONE] = 1 << EIO_FINISHED,
  [EIO_FINISHED] = 1 << EIO_DONE,
};

const char *eio__state_name(enum eio_state state)
{
  static const char *const names[EIO_STATE_COUNT] = { "new", "ready", "running", "done", "finished" };

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
  if (__builtin_expect(tracing, 0))
    fprintf(stderr, "eio: %p #%u %s: %s -> %s%s\n", (void *)ctx, (unsigned)req->id,
            eio__ops[req->op].info.name, eio__state_name((enum eio_state)req->state),
            eio__state_name(state), eio__cancelled(req) ? " (cancelled)" : "");
  __atomic_store_n(&req->state, (uint8_t)state, __ATOMIC_RELAXED);
}

/* Wakeup --------------------------------------------------------------- */

static void signal_locked(eio_ctx *ctx)
{
  if (atomic_load(&ctx->polling) || atomic_load_explicit(&ctx->signaled, memory_order_relaxed))
    return;
  atomic_store_explicit(&ctx->signaled, true, memory_order_relaxed);
  ctx->stats.wakeups++;
  eio__wake_set(ctx->wake_fd);
}

void eio__finished(eio_ctx *ctx, eio_req *req)
{
  eio__state(ctx, req, EIO_DONE);
  eio_queue_push(&ctx->finished, req);
  atomic_fetch_add(&ctx->nfinished, 1);
  signal_locked(ctx);
}

/* Whether requests are handed out in the order in which they were executed,
 * whether here or by a worker: with one at a time that is the order of their
 * submission. */
static bool keeps_order(const eio_ctx *ctx)
{
  return ctx->max_parallel == 1;
}

/* Takes over what workers have finished. */
static void take_finished(eio_ctx *ctx, struct eio_queue *q)
{
  if (atomic_load_explicit(&ctx->nfinished, memory_order_relaxed) == 0)
    return;
  pthread_mutex_lock(&ctx->lock);
  eio_queue_append(q, &ctx->finished);
  atomic_store_explicit(&ctx->nfinished, 0, memory_order_relaxed);
  pthread_mutex_unlock(&ctx->lock);
}

/* Puts a request in state DONE where the owner's next poll finds it: requests
 * that callbacks finish wait for the next poll, or an endless chain of them
 * would never let the event loop have a turn. */
static void done_here(eio_ctx *ctx, eio_req *req)
{
  struct eio_queue *q = ctx->depth ? &ctx->fresh : &ctx->done;

  if (keeps_order(ctx))
    take_finished(ctx, q);
  eio_queue_push(q, req);
  if (atomic_load_explicit(&ctx->signaled, memory_order_relaxed))
    return;
  pthread_mutex_lock(&ctx->lock);
  signal_locked(ctx);
  pthread_mutex_unlock(&ctx->lock);
}

void eio__finish_here(eio_ctx *ctx, eio_req *req)
{
  eio__state(ctx, req, EIO_DONE);
  done_here(ctx, req);
}

/* Submit and cancel ---------------------------------------------------- */

unsigned eio_parallel(const eio_ctx *ctx)
{
  return ctx->min_parallel < ctx->max_parallel ? ctx->min_parallel : ctx->max_parallel;
}

/* The inline attempt stands in for an idle worker: it is made only when one
 * could have taken the request at once. So nothing overtakes what waits,
 * nothing executes with max_parallel 0, and max_parallel 1 keeps the order.
 * For that a request that a worker takes counts in nrunning before it leaves
 * nready, and in nfinished before it leaves the other two: hence this order. */
static bool may_inline(eio_ctx *ctx, const eio_req *req)
{
  return !(req->flags & EIO_NO_INLINE)
         && atomic_load_explicit(&ctx->nready, memory_order_acquire) == 0
         && atomic_load_explicit(&ctx->nrunning, memory_order_acquire) < eio_parallel(ctx);
}

static bool finish_inline(eio_ctx *ctx, eio_req *req)
{
  if (!may_inline(ctx, req))
    return false;
  if (!(req->flags & EIO_FAILED)) {
    if (!(eio__ops[req->op].flags & EIO_OPF_INLINE))
      return false;
    if (!eio__inline(ctx, req)) {
      ctx->stats.inline_declined++;
      return false;
    }
  }
  ctx->stats.inlined++;
  eio__finish_here(ctx, req);
  return true;
}

void eio_submit(eio_ctx *ctx, eio_req *req)
{
  req->id = ++ctx->ids;
  ctx->owner = pthread_self();
  ctx->nreqs++;
  ctx->stats.submitted++;
  if (req->op == EIO_GROUP)
    eio__finish_here(ctx, req);
  else if (!finish_inline(ctx, req))
    ctx->engine->submit(ctx, req);
}

static void cancel_one(eio_ctx *ctx, eio_req *req)
{
  bool was_ready;

  if (req->op == EIO_GROUP) {
    if (req->state != EIO_FINISHED) {
      req->flags |= EIO_CANCELLED;
      req->feed = NULL;
    }
    return;
  }
  pthread_mutex_lock(&ctx->lock);
  eio__take_incoming(ctx);
  was_ready = req->state == EIO_READY;
  if (was_ready) {
    eio_queue_remove(&ctx->ready, req);
    atomic_fetch_sub_explicit(&ctx->nready, 1, memory_order_relaxed);
  }
  if (req->state != EIO_FINISHED)
    eio__flag_set(req, EIO_CANCELLED);
  if (was_ready)
    eio__state(ctx, req, EIO_DONE);
  pthread_mutex_unlock(&ctx->lock);
  if (was_ready)
    done_here(ctx, req);
  else if (ctx->ring)
    eio__ring_cancel(ctx, req);
}

void eio_cancel(eio_ctx *ctx, eio_req *req)
{
  if (req->op == EIO_GROUP)
    eio__group_walk(ctx, req, cancel_one);
  else
    cancel_one(ctx, req);
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
  if (req->op == EIO_WD && req->buf) {
    eio_wd_unref(req->buf);
    req->buf = NULL;
  }
  req->flags &= (uint8_t)~(EIO_OWNS_FD | EIO_FREE_BUF);
}

/* Poll side ------------------------------------------------------------ */

void eio_poll_begin(eio_ctx *ctx)
{
  if (ctx->ring)
    eio__ring_reap(ctx); /* first: now these need not wait for the next poll */
  ctx->depth++;
  eio_queue_append(&ctx->done, &ctx->fresh);
  take_finished(ctx, &ctx->done);
}

eio_req *eio_next(eio_ctx *ctx)
{
  for (;;) {
    eio_req *req = eio_queue_pop(&ctx->done);

    if (!req) {
      if (keeps_order(ctx) && ctx->fresh.length)
        return NULL; /* these were before what workers have finished since */
      take_finished(ctx, &ctx->done);
      if (ctx->ring)
        eio__ring_reap(ctx);
      req = eio_queue_pop(&ctx->done);
      if (!req)
        return NULL;
    }
    if (req->op == EIO_GROUP && req->nmembers) {
      req->flags |= EIO_RIPE;
      continue;
    }
    eio__state(ctx, req, EIO_FINISHED);
    if (!(req->flags & EIO_CALLED))
      ctx->nreqs--;
    req->next = ctx->current;
    ctx->current = req;
    return req;
  }
}

static void forget_current(eio_ctx *ctx, eio_req *req)
{
  for (eio_req **p = &ctx->current; *p; p = &(*p)->next)
    if (*p == req) {
      *p = req->next;
      return;
    }
}

void eio_release(eio_ctx *ctx, eio_req *req)
{
  forget_current(ctx, req);
  eio__group_released(ctx, req);
  eio_req_finish(req);
}

void eio_unfinish(eio_ctx *ctx, eio_req *req)
{
  forget_current(ctx, req);
  req->flags |= EIO_CANCELLED | EIO_CALLED;
  eio__state(ctx, req, EIO_DONE);
  eio_queue_unshift(&ctx->done, req);
}

/* Makes the descriptor tell the truth; returns whether something is left. */
static bool settle_signal(eio_ctx *ctx, bool pending)
{
  pthread_mutex_lock(&ctx->lock);
  pending = pending || ctx->finished.length;
  if (pending)
    signal_locked(ctx);
  else if (atomic_load_explicit(&ctx->signaled, memory_order_relaxed)
           || (ctx->ring && eio__ring_signaled(ctx))) {
    atomic_store_explicit(&ctx->signaled, false, memory_order_relaxed);
    eio__wake_clear(ctx->wake_fd);
    if (ctx->ring && eio__ring_ready(ctx)) { /* its signal may be lost now */
      pending = true;
      signal_locked(ctx);
    }
  }
  pthread_mutex_unlock(&ctx->lock);
  return pending;
}

/* Leaves the poll; returns whether the owner's own queues have something. */
static bool leave_poll(eio_ctx *ctx)
{
  if (!--ctx->depth)
    eio_queue_append(&ctx->done, &ctx->fresh);
  return ctx->done.length || ctx->fresh.length;
}

int eio_poll_end(eio_ctx *ctx)
{
  bool pending = leave_poll(ctx);

  ctx->lazy = 0;
  if (pending && atomic_load_explicit(&ctx->signaled, memory_order_relaxed))
    return -1;
  return settle_signal(ctx, pending) ? -1 : 0;
}

#define LAZY_AFTER 16

int eio_poll_end_lazily(eio_ctx *ctx)
{
  bool pending = leave_poll(ctx);

  if (ctx->lazy < LAZY_AFTER)
    ctx->lazy++;
  if ((pending || ctx->lazy >= LAZY_AFTER)
      && atomic_load_explicit(&ctx->signaled, memory_order_relaxed))
    return pending || atomic_load(&ctx->nfinished) ? -1 : 0;
  return settle_signal(ctx, pending) ? -1 : 0;
}

int eio_poll(eio_ctx *ctx, unsigned max_reqs, uint64_t max_time)
{
  uint64_t end = max_time ? eio_p_now() + max_time : 0;
  unsigned count = 0;
  eio_req *req;

  eio_poll_begin(ctx);
  while ((req = eio_next(ctx))) {
    if (req->cb && !eio__cancelled(req))
      req->cb(req);
    eio_release(ctx, req);
    if ((max_reqs && ++count >= max_reqs) || (end && eio_p_now() >= end))
      break;
  }
  return eio_poll_end(ctx);
}

int eio_poll_fd(const eio_ctx *ctx)
{
  return ctx->wake_fd[0];
}

static bool something_done(eio_ctx *ctx)
{
  return ctx->done.length || ctx->fresh.length || atomic_load(&ctx->nfinished)
         || (ctx->ring && eio__ring_ready(ctx));
}

/* With more than one processor, a worker that is at a request now is likely to
 * finish it in less time than it takes to sleep and be woken: so the owner
 * looks a moment, and the worker need not wake it. When looking was in vain the
 * next chances are skipped, twice as many each time. */
#define LOOK_NS 20000

static bool look_for_some(eio_ctx *ctx)
{
  bool found = false;
  uint64_t end;

  if (eio__pool_ncpus(ctx) < 2 || (ctx->look_skips && ctx->look_skips--))
    return false;
  atomic_store(&ctx->polling, true);
  end = eio_p_now() + LOOK_NS;
  do
    for (int i = 0; i < 32 && !found; i++) {
      found = something_done(ctx);
      eio_p_relax();
    }
  while (!found && eio_p_now() < end);
  atomic_store(&ctx->polling, false);
  found = found || something_done(ctx); /* after polling: its signal was spared */
  if (found)
    ctx->look_misses = 0;
  else {
    ctx->look_misses += ctx->look_misses < 6;
    ctx->look_skips = 1u << ctx->look_misses;
  }
  return found;
}

int eio_poll_wait(eio_ctx *ctx, int timeout)
{
  struct pollfd pfd = { .fd = ctx->wake_fd[0], .events = POLLIN };
  int n;

  if (ctx->nreqs <= eio_nheld(ctx) || something_done(ctx) || look_for_some(ctx))
    return 0;
  if (ctx->lazy && settle_signal(ctx, false))
    return 0;
  n = poll(&pfd, 1, timeout);
  if (n == 0)
    errno = EAGAIN;
  return n > 0 ? 0 : -1;
}

unsigned eio_nreqs(const eio_ctx *ctx)
{
  return ctx->nreqs;
}

unsigned eio_nready(const eio_ctx *ctx)
{
  return atomic_load_explicit(&ctx->nready, memory_order_relaxed);
}

unsigned eio_npending(const eio_ctx *ctx)
{
  return ctx->done.length + ctx->fresh.length
         + atomic_load_explicit(&ctx->nfinished, memory_order_relaxed);
}

unsigned eio_nthreads(const eio_ctx *ctx)
{
  return eio__pool_nthreads(ctx);
}

void eio_get_stats(eio_ctx *ctx, struct eio_stats *stats)
{
  pthread_mutex_lock(&ctx->lock);
  *stats = ctx->stats;
  pthread_mutex_unlock(&ctx->lock);
}

/* Limits and engines --------------------------------------------------- */

/* The sync engine's share of what waited for the limit to be raised. */
static void run_ready(eio_ctx *ctx)
{
  eio_req *req;

  pthread_mutex_lock(&ctx->lock);
  eio__take_incoming(ctx);
  while ((req = eio_queue_pop(&ctx->ready))) {
    atomic_fetch_sub_explicit(&ctx->nready, 1, memory_order_relaxed);
    eio__state(ctx, req, EIO_RUNNING);
    pthread_mutex_unlock(&ctx->lock);
    eio__execute_here(req);
    pthread_mutex_lock(&ctx->lock);
    ctx->stats.executed++;
    eio__finished(ctx, req);
  }
  pthread_mutex_unlock(&ctx->lock);
}

static void limits_changed(eio_ctx *ctx)
{
  if (ctx->engine == &eio__engine_sync && eio_parallel(ctx))
    run_ready(ctx);
  eio__pool_limits(ctx);
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

/* Everything but what threads are executing; lock held. */
static void orphan_all(eio_ctx *ctx)
{
  eio__take_incoming(ctx);
  orphan_queue(ctx, &ctx->ready);
  orphan_queue(ctx, &ctx->finished);
  orphan_queue(ctx, &ctx->done);
  orphan_queue(ctx, &ctx->fresh);
  atomic_store(&ctx->nready, 0);
  atomic_store(&ctx->nrunning, 0);
  atomic_store(&ctx->nfinished, 0);
  for (eio_req *req = ctx->current; req; req = req->next)
    req->flags |= EIO_ORPHAN;
  ctx->nreqs = 0;
}

void eio_reset(eio_ctx *ctx)
{
  eio__ring_drop(ctx);
  pthread_mutex_lock(&ctx->lock);
  eio__pool_abandon_locked(ctx);
  orphan_all(ctx);
  if (atomic_load(&ctx->signaled)) {
    atomic_store(&ctx->signaled, false);
    eio__wake_clear(ctx->wake_fd);
  }
  pthread_mutex_unlock(&ctx->lock);
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
    if (!req || req->op != EIO_GROUP || !req->nmembers)
      break;
    req->flags |= EIO_RIPE; /* comes again with its last member */
  }
  if (req)
    eio__state(ctx, req, EIO_FINISHED);
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
    if (ctx->ids && !pthread_equal(ctx->owner, pthread_self()))
      continue; /* one never used may be its own all the same */
    eio__pool_after_fork(ctx);
    eio__ring_after_fork(ctx);
    orphan_all(ctx);
    atomic_store(&ctx->polling, false);
    atomic_store(&ctx->signaled, false);
    eio__wake_reopen(ctx->wake_fd);
    if (ctx->fork_hook && (ctx->orphans.length || ctx->current))
      ctx->fork_hook(ctx->fork_data);
  }
  pthread_mutex_unlock(&contexts_lock);
}

/* Contexts ------------------------------------------------------------- */

static void once(void)
{
  tracing = getenv("EIO_TRACE") && *getenv("EIO_TRACE") != '0';
  pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

eio_ctx *eio_create(void)
{
  static pthread_once_t control = PTHREAD_ONCE_INIT;
  eio_ctx *ctx = calloc(1, sizeof *ctx);

  if (!ctx)
    return NULL;
  pthread_once(&control, once);
  if (eio__wake_open(ctx->wake_fd) < 0) {
    free(ctx);
    return NULL;
  }
  ctx->min_parallel = 8;
  ctx->max_parallel = UINT_MAX;
  ctx->owner = pthread_self();
  ctx->engine = &eio__engine_pool;
  pthread_mutex_init(&ctx->lock, NULL);
  if (eio__pool_create(ctx) < 0) {
    eio__wake_close(ctx->wake_fd);
    eio__free(ctx);
    return NULL;
  }
  pthread_mutex_lock(&contexts_lock);
  ctx->next_ctx = contexts;
  contexts = ctx;
  pthread_mutex_unlock(&contexts_lock);
  return ctx;
}

void eio__free(eio_ctx *ctx)
{
  pthread_mutex_destroy(&ctx->lock);
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
  eio__ring_destroy(ctx);
  pthread_mutex_lock(&ctx->lock);
  eio__wake_close(ctx->wake_fd);
  busy = eio__pool_destroy_locked(ctx);
  pthread_mutex_unlock(&ctx->lock);
  if (!busy)
    eio__free(ctx);
}
