/* eio_time.c - deadlines of requests, and giving up those that hang.
 *
 * Everything here belongs to the owner thread, but for the alarm. Deadlines are a heap
 * that poll looks at when it begins: nothing is called back elsewhere, so a request whose
 * time has come and gone while nobody polled may still have been done in time.
 *
 * eio_poll_wait() sleeps until the first deadline at most. For an event loop, which sleeps
 * by itself, a thread makes the wakeup descriptor readable then (the alarm): there is one
 * while a context whose descriptor somebody watches has deadlines, and for a second after
 * that. When the system refuses it, deadlines are met by the next poll.
 *
 * A tick is a deadline of nobody's: for an owner who wants to be woken at some time.
 *
 * What executes cannot be stopped, and uses its request's memory until it ends. So another
 * request, which the program provides, stands in for it: that one is called back, is the
 * member of the group, and counts as outstanding. The one that executes is cancelled and late
 * (EIO_LATE): it counts no more, its worker neither, and it comes out of poll when it ends,
 * without a callback. */
#include "eio_int.h"

#include <pthread.h>
#include <stdlib.h>

#include "eio_plat.h"

/* A request that is cancelled while it executes has so long to end by itself. */
#define GRACE_NS 20000000

struct eio_deadline {
  eio_req *req;
  uint64_t at;
  size_t place; /* in the heap */
};

#define NEVER UINT64_MAX

/* The heap --------------------------------------------------------------- */

static void put(struct eio_deadlines *h, size_t place, struct eio_deadline *d)
{
  h->heap[place] = d;
  d->place = place;
}

static void sift(struct eio_deadlines *h, struct eio_deadline *d)
{
  size_t i = d->place;

  for (; i && h->heap[(i - 1) / 2]->at > d->at; i = (i - 1) / 2)
    put(h, i, h->heap[(i - 1) / 2]);
  for (size_t child; (child = 2 * i + 1) < h->length; i = child) {
    if (child + 1 < h->length && h->heap[child + 1]->at < h->heap[child]->at)
      child++;
    if (h->heap[child]->at >= d->at)
      break;
    put(h, i, h->heap[child]);
  }
  put(h, i, d);
}

static bool has_room(struct eio_deadlines *h)
{
  size_t room = h->room ? 2 * h->room : 16;
  struct eio_deadline **heap;

  if (h->length < h->room)
    return true;
  heap = realloc(h->heap, room * sizeof *heap);
  if (!heap)
    return false;
  h->heap = heap;
  h->room = room;
  return true;
}

void eio__time_forget(eio_ctx *ctx, eio_req *req)
{
  struct eio_deadlines *h = &ctx->deadlines;
  struct eio_deadline *d = req->deadline, *last;

  if (!d)
    return;
  last = h->heap[--h->length];
  if (last != d) {
    put(h, d->place, last);
    sift(h, last);
  }
  req->deadline = NULL;
  free(d);
}

void eio__time_drop(eio_ctx *ctx)
{
  ctx->tick = NEVER;
  while (ctx->deadlines.length)
    eio__time_forget(ctx, ctx->deadlines.heap[ctx->deadlines.length - 1]->req);
}

/* The alarm -------------------------------------------------------------- */

#define QUIT 0

/* The thread ends when it has had nothing to do for so long. */
#define IDLE_NS UINT64_C(1000000000)

struct eio_alarm {
  struct eio_bed bed;
  pthread_t thread;
  _Atomic uint64_t at;
  bool over;            /* (L) the thread ends, as it had nothing to do */
};

static void *alarm_thread(void *arg)
{
  eio_ctx *ctx = arg;
  struct eio_alarm *a = ctx->alarm;
  uint64_t at;

  while ((at = atomic_load(&a->at)) != QUIT) {
    uint64_t now = eio_p_now();

    if (now < at) {
      if (eio_p_sleep(&a->bed, at == NEVER ? now + IDLE_NS : at) || at != NEVER)
        continue;
      pthread_mutex_lock(&ctx->lock);
      a->over = atomic_load(&a->at) == NEVER;
      pthread_mutex_unlock(&ctx->lock);
      if (a->over)
        break;
      continue;
    }
    pthread_mutex_lock(&ctx->lock);
    if (atomic_compare_exchange_strong(&a->at, &at, NEVER)) {
      atomic_store(&ctx->rung, true); /* no poll that has begun before silences it */
      eio__signal_locked(ctx);
    }
    pthread_mutex_unlock(&ctx->lock);
  }
  return NULL;
}

static void forget_alarm(eio_ctx *ctx, bool sleeps)
{
  if (!sleeps)
    eio_p_bed_finish(&ctx->alarm->bed);
  free(ctx->alarm);
  ctx->alarm = NULL;
}

/* If there can be none this time, the next deadline tries again. */
static void start_alarm(eio_ctx *ctx, uint64_t at)
{
  ctx->alarm = calloc(1, sizeof *ctx->alarm);
  if (!ctx->alarm)
    return;
  eio_p_bed_init(&ctx->alarm->bed);
  atomic_init(&ctx->alarm->at, at);
  if (eio_p_thread(&ctx->alarm->thread, alarm_thread, ctx))
    forget_alarm(ctx, false);
}

static void end_alarm(eio_ctx *ctx)
{
  pthread_join(ctx->alarm->thread, NULL);
  forget_alarm(ctx, false);
}

/* False when its thread ends. */
static bool set_alarm(eio_ctx *ctx, uint64_t at)
{
  struct eio_alarm *a = ctx->alarm;
  bool over;

  pthread_mutex_lock(&ctx->lock);
  over = a->over;
  atomic_store(&a->at, at);
  pthread_mutex_unlock(&ctx->lock);
  eio_p_wake(&a->bed);
  return !over;
}

/* An alarm for something that is over does no harm, so it is only ever set earlier. */
void eio__time_watch(eio_ctx *ctx)
{
  struct eio_alarm *a = ctx->alarm;
  uint64_t at = eio__time_next(ctx);

  if (!ctx->watched || at >= (a ? atomic_load(&a->at) : NEVER))
    return;
  if (a && set_alarm(ctx, at))
    return;
  if (a)
    end_alarm(ctx);
  start_alarm(ctx, at);
}

void eio__time_destroy(eio_ctx *ctx)
{
  eio__time_drop(ctx);
  free(ctx->deadlines.heap);
  if (!ctx->alarm)
    return;
  set_alarm(ctx, QUIT);
  end_alarm(ctx);
}

void eio__time_after_fork(eio_ctx *ctx)
{
  atomic_store(&ctx->rung, false);
  if (ctx->alarm)
    forget_alarm(ctx, true);
}

/* When time is up -------------------------------------------------------- */

static void fail(eio_req *req)
{
  req->result = -1;
  req->errorno = ETIMEDOUT;
}

/* It executes, or has just ended: then nobody has seen its result, and nobody will. */
static eio_req *stand_in(eio_ctx *ctx, eio_req *req)
{
  eio_req *other = ctx->stand_in ? ctx->stand_in(req) : NULL;

  if (!other)
    return req;
  other->pri = req->pri;
  other->id = req->id;
  other->in_class = NULL; /* it does not execute */
  eio_progress(req, &other->made, &other->whole);
  other->flags |= EIO_FAILED;
  if (eio__cancelled(req))
    other->flags |= EIO_CANCELLED;
  fail(other);
  eio__group_replace(req, other);
  eio__pool_give_up(ctx, req);
  if (ctx->ring)
    eio__ring_cancel(ctx, req);
  eio__state(ctx, other, EIO_DONE);
  eio__done_quietly(ctx, other);
  return other;
}

/* Returns what is in its place then. */
static eio_req *expire(eio_ctx *ctx, eio_req *req)
{
  enum eio_state state;

  eio__time_forget(ctx, req);
  if (req->op == EIO_GROUP) {
    if (req->state != EIO_FINISHED && !eio__flag(req, EIO_CALLED)) {
      req->flags |= EIO_TIMED_OUT;
      req->feed = NULL;
      if (!req->errorno)
        req->errorno = ETIMEDOUT;
    }
    return req;
  }
  state = eio__unqueue(ctx, req);
  if (state == EIO_READY) {
    fail(req);
    eio__done_quietly(ctx, req);
  } else if (state == EIO_RUNNING || state == EIO_FLYING)
    return stand_in(ctx, req);
  return req;
}

void eio__time_pass(eio_ctx *ctx)
{
  struct eio_deadlines *h = &ctx->deadlines;
  uint64_t now = eio_p_now();

  atomic_store(&ctx->rung, false);
  if (ctx->tick <= now)
    ctx->tick = NEVER;
  while (h->length && h->heap[0]->at <= now) {
    eio_req *req = h->heap[0]->req;

    if (req->op == EIO_GROUP)
      eio__group_walk(ctx, req, expire);
    else
      expire(ctx, req);
  }
  eio__pool_tell(ctx, EIO_EV_FREED); /* not before: nobody takes what is to fail next */
  eio__time_watch(ctx);
}

/* For callers ------------------------------------------------------------ */

static int set_deadline(eio_ctx *ctx, eio_req *req, uint64_t at)
{
  struct eio_deadlines *h = &ctx->deadlines;
  struct eio_deadline *d = req->deadline;

  if (!d) {
    if (!has_room(h) || !(d = malloc(sizeof *d))) {
      errno = ENOMEM;
      return -1;
    }
    d->req = req;
    d->place = h->length++;
    req->deadline = d;
  }
  d->at = at;
  put(h, d->place, d);
  sift(h, d);
  eio__time_watch(ctx);
  return 0;
}

int eio_timeout(eio_ctx *ctx, eio_req *req, uint64_t ns)
{
  uint64_t now = eio_p_now(), at = ns < NEVER - now ? now + ns : NEVER;
  uint8_t state = __atomic_load_n(&req->state, __ATOMIC_RELAXED);

  if (state == EIO_FINISHED || (state == EIO_DONE && req->op != EIO_GROUP)
      || eio__flag(req, EIO_CANCELLED | EIO_ORPHAN | EIO_CALLED))
    return 0;
  if (at != NEVER)
    return set_deadline(ctx, req, at);
  eio__time_forget(ctx, req);
  return 0;
}

void eio__time_cancelled(eio_ctx *ctx, eio_req *req)
{
  uint64_t at = eio_p_now() + GRACE_NS;

  if (ctx->stand_in && (!req->deadline || req->deadline->at > at))
    set_deadline(ctx, req, at); /* without memory it counts until it ends */
}

void eio_on_abandon(eio_ctx *ctx, eio_req *(*hook)(eio_req *))
{
  ctx->stand_in = hook;
}

bool eio__time_is_up(const eio_ctx *ctx)
{
  uint64_t next = eio__time_next(ctx);

  return next != NEVER && (atomic_load(&ctx->rung) || next <= eio_p_now());
}

uint64_t eio__time_next(const eio_ctx *ctx)
{
  uint64_t at = ctx->deadlines.length ? ctx->deadlines.heap[0]->at : NEVER;

  return at < ctx->tick ? at : ctx->tick;
}

bool eio__time_is_rung(const eio_ctx *ctx)
{
  return atomic_load_explicit(&ctx->rung, memory_order_relaxed) && eio__time_next(ctx) != NEVER;
}

void eio_set_tick(eio_ctx *ctx, uint64_t at)
{
  ctx->tick = at;
  eio__time_watch(ctx);
}
