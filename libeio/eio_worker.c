/* eio_worker.c - what worker threads do: take a request, execute it, take the next;
 * linger, park, leave.
 *
 * Everything in struct eio_pool and struct worker is guarded by the context's
 * lock. Workers hold it but while they execute, linger or sleep.
 *
 * Last parked, first woken: its caches are warm. Where a processor is left one worker
 * lingers a moment before it parks, and sees the next request without being woken. What
 * is enough, how long a moment, and what else depends on how long things take is up to
 * eio_pace.c. */
#include "eio_parts.h"
#include "eio_pool.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "eio_plat.h"

/* What has been executing for so long waits in the kernel, or might as well be elsewhere. */
#define BEGUN_NS 100000000
/* If the watcher finds nothing that waits as often in a row, nobody has to watch. */
#define WATCH_IDLE 5

static _Thread_local struct worker *self;

eio_ctx *eio__worker_ctx(void)
{
  return self ? self->ctx : NULL;
}

struct worker *eio__worker(void)
{
  return self;
}

void eio__worker_sends(eio_ctx *ctx)
{
  bool start = false;
  struct worker *other = eio__tell(ctx, EIO_EV_SUBMITTED, 0, &start);

  pthread_mutex_unlock(&ctx->lock);
  if (other)
    eio_p_wake(&other->bed);
  if (start)
    eio__start_thread(ctx, self);
}

static void arrive(struct eio_pool *pool, struct worker *w)
{
  if (w->coming) {
    w->coming = false;
    pool->coming--;
  }
  if (w->sent) {
    eio__pace_hopped(&pool->pace, eio_p_now() - w->sent);
    w->sent = 0;
  }
}

void eio__find_stuck(struct eio_pool *pool, uint64_t now)
{
  uint64_t patience = eio__pace_patience_ns(&pool->pace);

  for (struct worker *w = pool->all; w; w = w->next)
    if (w->current && !w->abandoned && now - w->began >= patience)
      eio__set_load(pool, w, 0);
}

/* One tick of the watcher, a parked worker that looks whether enough others are still busy
 * when some of them may be held up by what they execute. It gives the post up when
 * nothing has waited for a while. */
static void watch(eio_ctx *ctx, unsigned *idle)
{
  eio__find_stuck(ctx->pool, eio_p_now());
  if (ctx->ready.length)
    *idle = 0;
  else if (++*idle >= WATCH_IDLE)
    ctx->pool->watcher = NULL; /* who submits now sees that, or is seen in a moment */
}

/* Takes the lock again. */
static void relock(eio_ctx *ctx, struct worker *w)
{
  if (pthread_mutex_trylock(&ctx->lock) == 0)
    return;
  pthread_mutex_lock(&ctx->lock);
  w->slept = true;
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
static void linger(eio_ctx *ctx, struct worker *w)
{
  struct eio_pool *pool = ctx->pool;
  uint64_t now = eio_p_now(), end = now + eio__pace_look_ns(&pool->pace, &pool->pace.idle);
  bool found = false;

  pool->ran_out = now;
  atomic_store(&pool->lingering, true);
  pthread_mutex_unlock(&ctx->lock);
  do {
    now = eio__pool_yield(ctx, now);
    for (int i = 0; i < 32 && !found; i++) {
      found = eio__pool_waiting(ctx);
      eio_p_relax();
    }
  } while (!found && now < end);
  relock(ctx, w);
  if (found)
    eio__has_work(pool, now);
  w->slept = true; /* yields count, too */
  atomic_store(&pool->lingering, false);
}

/* Without the lock. False when time is up. */
static bool sleep_until(eio_ctx *ctx, struct worker *w, uint64_t until)
{
  bool woken;

  pthread_mutex_unlock(&ctx->lock);
  woken = eio_p_sleep(&w->bed, until);
  pthread_mutex_lock(&ctx->lock);
  return woken && !w->abandoned;
}

/* Sleeps until it is sent for, or finds that it is needed. Returns whether it
 * is; else the worker shall leave. */
static bool sleep_parked(eio_ctx *ctx, struct worker *w)
{
  struct eio_pool *pool = ctx->pool;
  double seconds;
  uint64_t since = eio_p_now(), end;
  unsigned idle = 0;
  eio_req *req;

  for (;;) {
    if (w->abandoned || !w->parked || pool->nthreads > pool->limit)
      return !w->abandoned && !w->parked;
    if ((req = eio__may_take(ctx))) {
      if (!eio__is_crowded(pool, eio__kind(req), NULL))
        return true;
      if (!pool->watcher)
        pool->watcher = w;
    }
    if (pool->watcher == w) {
      if (!sleep_until(ctx, w, eio_p_now() + eio__pace_patience_ns(&pool->pace)) && pool->watcher == w)
        watch(ctx, &idle);
      continue;
    }
    idle = 0;
    if (pool->nparked <= pool->max_idle) {
      sleep_until(ctx, w, UINT64_MAX);
      continue;
    }
    seconds = pool->idle_timeout > 1e8 ? 1e8 : pool->idle_timeout;
    end = since + (uint64_t)(seconds * 1e9);
    if (eio_p_now() >= end)
      return false;
    sleep_until(ctx, w, end);
  }
}

static bool park(eio_ctx *ctx, struct worker *w, bool busy)
{
  struct eio_pool *pool = ctx->pool;
  bool needed;

  w->below = pool->parked;
  pool->parked = w;
  w->parked = true;
  pool->nparked++;
  eio__set_load(pool, w, 0);
  if (busy && !pool->ran_out)
    pool->ran_out = eio_p_now();
  needed = sleep_parked(ctx, w);
  w->slept = true;
  if (w->abandoned)
    return false;
  if (pool->watcher == w)
    pool->watcher = NULL;
  if (needed && w->parked) {
    unpark(pool, w);
    eio__set_load(pool, w, EIO_FULL);
  }
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

/* Whoever sends for a worker signals it without the lock: it may have come and gone. So its
 * memory stays one of a worker. */
static struct worker *new_worker(eio_ctx *ctx)
{
  struct worker *w = ctx->pool->spare;

  if (w)
    ctx->pool->spare = w->next;
  else {
    w = calloc(1, sizeof *w);
    if (!w)
      return NULL;
    eio_p_bed_init(&w->bed);
  }
  w->ctx = ctx;
  w->coming = w->slept = true;
  w->load = EIO_FULL;
  w->sent = 0;
  w->parked = w->abandoned = w->lost = false;
  insert(ctx->pool, w);
  return w;
}

static void take_out(struct eio_pool *pool, struct worker *w)
{
  *w->link = w->next;
  if (w->next)
    w->next->link = w->link;
  w->next = pool->spare;
  pool->spare = w;
}

int eio__start_thread(eio_ctx *ctx, struct worker *starter)
{
  struct eio_pool *pool = ctx->pool;
  struct worker *w, *other = NULL;
  int error = ENOMEM;

  pthread_mutex_lock(&ctx->lock);
  if (starter && starter->abandoned) {
    pthread_mutex_unlock(&ctx->lock);
    return 0;
  }
  w = new_worker(ctx);
  if (w) {
    pthread_mutex_unlock(&ctx->lock);
    error = eio_p_thread(NULL, work, w);
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
      pool->load -= EIO_FULL;
      other = eio__tell(ctx, EIO_EV_REFUSED, 0, NULL); /* which starts none */
      if (starter && pool->refused)
        eio__signal_locked(ctx);
    }
    if (w)
      take_out(pool, w);
  }
  pthread_mutex_unlock(&ctx->lock);
  if (other)
    eio_p_wake(&other->bed);
  return error ? -1 : 0;
}

/* Requests that need no system call are finished without giving up the lock. */
static bool is_trivial(const eio_req *req)
{
  return req->op == EIO_NOP || eio__flag(req, EIO_FAILED);
}

/* Has executed something that others still have parts of. */
static eio_req *leave_parts(eio_ctx *ctx, struct worker *w, struct eio_parts *parts)
{
  pthread_mutex_lock(&ctx->lock);
  w->current = NULL; /* when the last one leaves, the request may be gone at once */
  w->slept = true; /* perhaps, for the lock */
  pthread_mutex_unlock(&ctx->lock);
  return eio__parts_leave(parts);
}

/* How what this worker has just executed went; since it asked last it has not slept on its
 * own account. Where nobody tells, whatever takes long waits. */
static enum eio_course course_of(struct worker *w, enum eio_course busy)
{
  struct eio_switches before = w->switches;

  if (!eio_p_switches(&w->switches))
    return EIO_WAITED;
  if (w->switches.involuntary != before.involuntary)
    return EIO_PREEMPTED;
  return w->switches.voluntary != before.voluntary ? EIO_WAITED : busy;
}

/* With the lock, which it gives up. Returns when the execution begins. */
static uint64_t begin(eio_ctx *ctx, struct worker *w, eio_req *req, uint64_t now)
{
  struct worker *other;
  bool start = false;

  w->current = eio__part_req(req);
  w->began = now;
  eio__set_load(ctx->pool, w, eio__pace_load(&ctx->pool->pace, eio__kind(req)));
  other = eio__tell(ctx, EIO_EV_TAKEN, now, &start);
  pthread_mutex_unlock(&ctx->lock);
  if (other)
    eio_p_wake(&other->bed);
  if (start) {
    eio__start_thread(ctx, w);
    w->slept = true;
    now = eio_p_now();
  }
  if (w->slept)
    eio_p_switches(&w->switches);
  w->slept = false;
  return now;
}

/* Whether a request was submitted before a close of its descriptor. */
static bool precedes(const eio_req *req, const eio_req *closing)
{
  return req && (int32_t)(req->id - closing->id) < 0
         && (req->fd == closing->fd || (req->op == EIO_SENDFILE && req->arg1 == closing->fd));
}

/* Whether all that precedes a close has asked the kernel for its file, but for what waits
 * behind it: what other workers execute, and what the owner has or has given back. Lock held. */
static bool are_begun(eio_ctx *ctx, const eio_req *closing, uint64_t now)
{
  for (const struct worker *w = ctx->pool->all; w; w = w->next)
    if (!w->abandoned && precedes(w->current, closing) && now < w->began + BEGUN_NS)
      return false;
  return atomic_load(&ctx->pool->helped_fd) != closing->fd && !precedes(eio_queue_first(&ctx->ready), closing);
}

/* Before a close is executed. Returns what time it is then. */
static uint64_t let_begin(eio_ctx *ctx, struct worker *w, const eio_req *closing, uint64_t began)
{
  uint64_t now = began;
  bool begun;

  for (; now < began + BEGUN_NS; now = eio_p_now()) {
    pthread_mutex_lock(&ctx->lock);
    begun = are_begun(ctx, closing, now);
    pthread_mutex_unlock(&ctx->lock);
    if (begun)
      break;
    sched_yield();
  }
  eio_p_switches(&w->switches);
  return now;
}

/* Returns the time when it is done, `now` for the next one; 0: not known. */
static uint64_t execute(eio_ctx *ctx, struct worker *w, eio_req *req, uint64_t now)
{
  struct eio_pace *pace = &ctx->pool->pace;
  unsigned kind = eio__kind(req);
  enum eio_course course = ctx->pool->load == w->load ? EIO_BUSY_ALONE : EIO_BUSY_BESIDE;
  eio_class *class = req->in_class;
  struct eio_parts *parts;
  bool is_long;
  uint64_t began;

  if (is_trivial(req)) {
    eio__execute(req);
    ctx->executed++;
    eio__finished(ctx, req);
    eio__class_leave(ctx, class);
    eio__slot_give(ctx);
    return 0;
  }
  began = begin(ctx, w, req, now ? now : eio_p_now());
  if (req->op == EIO_CLOSE)
    began = let_begin(ctx, w, req, began);
  parts = eio__parts_run(req);
  now = eio_p_now();
  is_long = eio__pace_is_long(pace, now - began);
  if (is_long)
    course = course_of(w, course);
  if (parts)
    req = leave_parts(ctx, w, parts);
  relock(ctx, w);
  w->current = NULL;
  if (w->abandoned || w->lost) {
    if (req)
      eio__over(ctx, req);
    return 0;
  }
  if (is_long || ctx->executed % EIO_MEASURED == 0)
    eio__pace_executed(pace, kind, now - began, course);
  eio__set_load(ctx->pool, w, EIO_FULL);
  if (req)
    eio__over(ctx, req);
  eio__class_leave(ctx, class);
  eio__slot_give(ctx);
  return w->slept ? 0 : now;
}

static void leave(eio_ctx *ctx, struct worker *w)
{
  struct eio_pool *pool = ctx->pool;
  bool last = false;

  if (w->abandoned)
    last = --pool->abandoned == 0 && ctx->dead;
  else if (w->lost)
    pool->nlost--;
  else {
    arrive(pool, w);
    eio__set_load(pool, w, 0);
    pool->nthreads--; /* before nparked, see struct eio_counts */
    if (w->parked)
      unpark(pool, w);
    eio__tell(ctx, EIO_EV_LEFT, 0, NULL);
  }
  take_out(pool, w);
  pthread_mutex_unlock(&ctx->lock);
  if (last) {
    eio__pool_free(pool);
    eio__free(ctx);
  }
}

/* What a worker at the queue does next: execute what is first, look a moment for something
 * to come, as those do that were busy till now with what does not wait, or park. */
enum step { TAKE, LINGER, PARK };

static enum step next_step(eio_ctx *ctx, const struct worker *w, bool busy)
{
  struct eio_pool *pool = ctx->pool;
  const eio_req *req = eio__may_take(ctx);

  if (req)
    return eio__is_crowded(pool, eio__kind(req), w) ? PARK : TAKE;
  return busy && !pool->lingering && eio__pace_may_look(&pool->pace, pool->load)
         && eio__pace_look_ns(&pool->pace, &pool->pace.idle) ? LINGER : PARK;
}

/* One that was lost is a worker like the others, if they are fewer than they may be. */
static bool come_back(struct eio_pool *pool, struct worker *w)
{
  if (pool->nthreads >= pool->limit)
    return false;
  w->lost = false;
  w->slept = true;
  pool->nlost--;
  pool->nthreads++;
  eio__set_load(pool, w, EIO_FULL);
  return true;
}

static void *work(void *arg)
{
  struct worker *w = arg;
  eio_ctx *ctx = w->ctx;
  struct eio_pool *pool = ctx->pool;
  bool busy = false; /* has just executed something that did not take long */
  uint64_t now = 0;

  self = w;
  pthread_mutex_lock(&ctx->lock);
  for (;;) {
    eio_req *req = NULL;
    bool quick = false;
    enum step step;

    if (w->abandoned || (w->lost && !come_back(pool, w)) || pool->nthreads > pool->limit)
      break;
    arrive(pool, w);
    step = next_step(ctx, w, busy);
    if (step == TAKE && !(req = eio__take(ctx)))
      continue; /* the owner has had the last place */
    quick = req && eio__pace_load(&pool->pace, eio__kind(req)) >= EIO_FULL / 2;
    now = req ? execute(ctx, w, req, now) : 0;
    if (step == LINGER)
      linger(ctx, w);
    else if (step == PARK && !park(ctx, w, busy))
      break;
    busy = quick;
  }
  leave(ctx, w);
  return NULL;
}
