/* eio_poll.c - the poll side: what is done comes back to the owner here.
 *
 * Workers push what they have executed onto `finished`, by compare-and-swap; the
 * owner moves it to `done`, which is its own, and hands it out from there. What the
 * owner itself finishes goes there directly. The wakeup descriptor is readable
 * when either has something, unless the owner is known to look. */
#include "eio_int.h"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "eio_plat.h"

/* Wakeup ---------------------------------------------------------------
 *
 * The descriptor is level, although reading it makes it silent, and anybody can read
 * it: stream objects of event loops do. So that it was written is believed only until
 * the next poll begins (`signaled`); what is done later, or left by that poll, is
 * written again, which is an event for those who watch edges, too. Whether it has to
 * be cleared is another question (`raised`). */

void eio__signal_locked(eio_ctx *ctx)
{
  if (atomic_load(&ctx->polling) || atomic_load(&ctx->signaled))
    return;
  atomic_store(&ctx->signaled, true);
  ctx->raised = true;
  ctx->wakeups++;
  eio__wake_set(&ctx->wake);
}

/* Before the owner takes what is finished: what comes after that is written. Nobody
 * reads a descriptor that nobody has asked for. */
static void stop_believing(eio_ctx *ctx)
{
  if (ctx->watched && atomic_load_explicit(&ctx->signaled, memory_order_relaxed))
    atomic_store(&ctx->signaled, false);
}

/* Lock held. */
static void forget_signal(eio_ctx *ctx)
{
  atomic_store(&ctx->signaled, false);
  ctx->raised = false;
}

/* Lock held. */
void eio__silence(eio_ctx *ctx)
{
  if (ctx->raised)
    eio__wake_clear(&ctx->wake);
  forget_signal(ctx);
}

void eio__signal(eio_ctx *ctx)
{
  if (atomic_load_explicit(&ctx->signaled, memory_order_relaxed))
    return;
  pthread_mutex_lock(&ctx->lock);
  eio__signal_locked(ctx);
  pthread_mutex_unlock(&ctx->lock);
}

void eio__finished(eio_ctx *ctx, eio_req *req)
{
  eio__state(ctx, req, EIO_DONE);
  atomic_fetch_add(&ctx->nfinished, 1);
  eio__push(&ctx->finished, req);
  eio__signal_locked(ctx);
}

void eio__take_finished(eio_ctx *ctx, struct eio_queue *q)
{
  unsigned n = 0;

  if (!atomic_load_explicit(&ctx->finished, memory_order_relaxed))
    return;
  for (eio_req *req = eio__reverse(atomic_exchange(&ctx->finished, NULL)), *next; req; req = next) {
    next = req->next;
    __builtin_prefetch(req->buf, 1); /* a worker has filled it, if anything */
    eio_queue_push(q, req);
    n++;
  }
  atomic_fetch_sub(&ctx->nfinished, n);
}

/* Requests that callbacks finish wait for the next poll, or an endless chain of
 * them would never let the event loop have a turn. */
void eio__done_quietly(eio_ctx *ctx, eio_req *req)
{
  struct eio_queue *q = ctx->depth ? &ctx->fresh : &ctx->done;

  if (eio__keeps_order(ctx))
    eio__take_finished(ctx, q);
  eio_queue_push(q, req);
}

void eio__done_here(eio_ctx *ctx, eio_req *req)
{
  eio__done_quietly(ctx, req);
  eio__signal(ctx);
}

void eio__finish_here(eio_ctx *ctx, eio_req *req)
{
  eio__state(ctx, req, EIO_DONE);
  eio__done_here(ctx, req);
}

/* A child that was born when no descriptor was left gets its own later, and so does
 * a program that has closed ours, or whose number is another file's now. */
static void mend_wake_fd(eio_ctx *ctx)
{
  bool mended;

  pthread_mutex_lock(&ctx->lock);
  mended = eio__wake_repair(&ctx->wake);
  if (mended) {
    forget_signal(ctx);
    if (atomic_load(&ctx->finished))
      eio__signal_locked(ctx);
  }
  pthread_mutex_unlock(&ctx->lock);
  if (mended)
    eio__ring_rewire(ctx);
}

/* Poll side ------------------------------------------------------------ */

/* A poll of as many requests tells what the owner does for each. */
#define MEASURED 4

void eio_poll_begin(eio_ctx *ctx)
{
  if (ctx->wake.fd[0] < 0)
    mend_wake_fd(ctx);
  stop_believing(ctx);
  if (ctx->ring)
    eio__ring_reap(ctx); /* first: now these need not wait for the next poll */
  if (ctx->deadlines.length || ctx->tick != UINT64_MAX || atomic_load_explicit(&ctx->rung, memory_order_relaxed))
    eio__time_pass(ctx);
  ctx->depth++;
  eio_queue_append(&ctx->done, &ctx->fresh);
  eio__take_finished(ctx, &ctx->done);
  if (ctx->depth == 1 && ctx->done.length >= MEASURED) {
    ctx->began = eio_p_now();
    ctx->polled = 0;
  }
}

eio_req *eio_next(eio_ctx *ctx)
{
  for (;;) {
    eio_req *req = eio_queue_pop(&ctx->done);

    if (!req) {
      if (eio__keeps_order(ctx) && ctx->fresh.length)
        return NULL; /* these were before what workers have finished since */
      eio__take_finished(ctx, &ctx->done);
      if (ctx->ring)
        eio__ring_reap(ctx);
      req = eio_queue_pop(&ctx->done);
      if (!req)
        return NULL;
    }
    if (req->op == EIO_GROUP && (req->nmembers || req->flags & EIO_FEEDING)) {
      req->flags |= EIO_RIPE;
      eio__count(ctx, req, -1);
      continue;
    }
    eio__state(ctx, req, EIO_FINISHED);
    if (req->deadline)
      eio__time_forget(ctx, req);
    if (!(req->flags & EIO_LATE))
      eio__count(ctx, req, -1);
    ctx->polled++;
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
  eio__count(ctx, req, 1);
  eio_queue_unshift(&ctx->done, req);
}

/* Makes the descriptor tell the truth; returns whether something is left. */
static bool settle_signal(eio_ctx *ctx, bool pending)
{
  pthread_mutex_lock(&ctx->lock);
  pending = pending || atomic_load(&ctx->finished) || eio__time_is_rung(ctx);
  if (pending)
    eio__signal_locked(ctx);
  else if ((ctx->ring && eio__ring_signaled(ctx)) || ctx->raised) {
    ctx->raised = true;
    eio__silence(ctx);
    if (ctx->ring && eio__ring_ready(ctx)) { /* its signal may be lost now */
      pending = true;
      eio__signal_locked(ctx);
    }
  }
  pthread_mutex_unlock(&ctx->lock);
  return pending;
}

/* Leaves the poll; returns whether the owner's own queues have something. A thread that
 * workers were refused is asked for again: whoever waits for that waits here or in an event
 * loop, which is the only one to call then. */
static bool leave_poll(eio_ctx *ctx)
{
  if (!--ctx->depth)
    eio_queue_append(&ctx->done, &ctx->fresh);
  if (!ctx->depth && ctx->began && ctx->polled) {
    eio__pool_stepped(ctx, eio_p_now() - ctx->began, ctx->polled);
    ctx->began = 0;
  }
  if (eio__pool_was_refused(ctx))
    eio__pool_wants_thread(ctx);
  if (!ctx->waited)
    eio__pool_sleeps(ctx);
  ctx->waited = false;
  return ctx->done.length || ctx->fresh.length;
}

int eio_poll_end(eio_ctx *ctx)
{
  bool pending = leave_poll(ctx);

  if (!ctx->watched) /* eio_poll_wait() settles it before it sleeps */
    return pending || atomic_load(&ctx->finished) ? -1 : 0;
  if (pending && atomic_load(&ctx->signaled)) /* since this poll, or one within it, began */
    return -1;
  return settle_signal(ctx, pending) ? -1 : 0;
}

void eio_on_release(eio_ctx *ctx, void (*hook)(eio_req *))
{
  ctx->release_hook = hook;
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
    if (ctx->release_hook)
      ctx->release_hook(req);
    if ((max_reqs && ++count >= max_reqs) || (end && eio_p_now() >= end))
      break;
  }
  return eio_poll_end(ctx);
}

int eio_poll_fd(eio_ctx *ctx)
{
  if (!ctx->watched) {
    ctx->watched = true;
    eio__time_watch(ctx);
  }
  if (!eio__wake_is_intact(&ctx->wake))
    mend_wake_fd(ctx);
  if (ctx->wake.fd[0] < 0)
    return -1;
  stop_believing(ctx);
  settle_signal(ctx, ctx->done.length || ctx->fresh.length);
  return ctx->wake.fd[0];
}

static bool something_done(eio_ctx *ctx)
{
  return ctx->done.length || ctx->fresh.length || atomic_load(&ctx->finished)
         || (ctx->ring && eio__ring_ready(ctx)) || eio__time_is_up(ctx);
}

/* With more than one processor, a worker that is at a request now may finish it in less
 * time than it takes to sleep and be woken: when that is the rule the owner looks, and the
 * worker need not wake it. */
static bool look_for_some(eio_ctx *ctx, uint64_t began)
{
  uint64_t now = began, end = began + eio__pool_look_ns(ctx);
  bool found = false;

  if (end == began || !eio__pool_may_look(ctx))
    return false;
  atomic_store(&ctx->polling, true);
  do {
    now = eio__pool_yield(ctx, now);
    for (int i = 0; i < 32 && !found; i++) {
      found = something_done(ctx);
      eio_p_relax();
    }
  } while (!found && now < end);
  atomic_store(&ctx->polling, false);
  found = found || something_done(ctx); /* after polling: its signal was spared */
  if (found)
    eio__pool_waited(ctx, now - began);
  return found;
}

/* How long it waits before it tries again to start a thread that the system
 * has refused: those that run may be held up by what waits for that one. Or
 * before it looks again, without a descriptor to wait for, or at a mute ring. */
#define REFUSED_MS 100

/* Milliseconds until `end`, rounded up; -1 for UINT64_MAX, which is never. */
static int milliseconds_until(uint64_t end)
{
  uint64_t now, ms;

  if (end == UINT64_MAX)
    return -1;
  now = eio_p_now();
  ms = now < end ? (end - now + 999999) / 1000000 : 0;
  return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* The earlier of two such times. */
static int earlier(int ms, int other)
{
  return ms < 0 || (other >= 0 && other < ms) ? other : ms;
}

/* Sleeps once, until the descriptor is readable or it is time to look. What poll() says. */
static int sleep_once(eio_ctx *ctx, int ms)
{
  struct pollfd pfd = { .events = POLLIN };
  bool blind;

  if (!eio__wake_is_intact(&ctx->wake))
    mend_wake_fd(ctx);
  ms = earlier(ms, milliseconds_until(eio__time_next(ctx)));
  pfd.fd = ctx->wake.fd[0];
  blind = eio__ring_is_mute(ctx) || pfd.fd < 0;
  ms = earlier(ms, eio__pool_wants_thread(ctx) || blind ? REFUSED_MS : EIO_LOOK_MS);
  return poll(&pfd, pfd.fd >= 0, ms);
}

int eio_poll_wait(eio_ctx *ctx, int timeout)
{
  uint64_t began, end;
  int n;

  ctx->waited = true;
  if (!ctx->nreqs || something_done(ctx) || eio__pool_help(ctx))
    return 0;
  began = eio_p_now();
  if (look_for_some(ctx, began))
    return 0;
  eio__pool_sleeps(ctx);
  if (!ctx->watched && settle_signal(ctx, false))
    return 0;
  end = timeout < 0 ? UINT64_MAX : began + (uint64_t)timeout * 1000000;
  for (;;) {
    n = sleep_once(ctx, milliseconds_until(end));
    if (n < 0)
      return -1;
    if (something_done(ctx) || (n && !eio__pool_was_refused(ctx))) {
      eio__pool_waited(ctx, eio_p_now() - began);
      return 0;
    }
    if (n) /* that was all it had to say */
      settle_signal(ctx, false);
    else if (milliseconds_until(end) == 0) {
      errno = EAGAIN;
      return -1;
    }
  }
}

unsigned eio_nreqs(const eio_ctx *ctx)
{
  return ctx->nreqs;
}

unsigned eio_nready(const eio_ctx *ctx)
{
  unsigned taken = atomic_load(&ctx->ntaken); /* first, or it could be more */

  return atomic_load(&ctx->nsubmitted) - taken;
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
  stats->executed = ctx->executed;
  stats->parts = ctx->given;
  stats->wakeups = ctx->wakeups;
  pthread_mutex_unlock(&ctx->lock);
}
