/* eio_pool.h - what the three files of the pool share.
 *
 * Everything in struct eio_pool and struct worker is guarded by the context's
 * lock; what is atomic is written under it, and read by the owner without. */
#ifndef EIO_POOL_H
#define EIO_POOL_H

#include "eio_int.h"
#include "eio_admit.h"

struct worker {
  struct worker *next, **link;   /* list of all */
  struct worker *below;          /* parked under this one */
  eio_ctx *ctx;
  pthread_cond_t cond;
  eio_req *current;
  uint64_t began;                /* when `current` did */
  bool coming;                   /* counted in pool->coming */
  bool stuck;                    /* counted in pool->nstuck */
  bool parked;
  bool abandoned;
};

struct eio_pool {
  struct worker *all;
  struct worker *parked;         /* a stack */
  atomic_uint limit;
  atomic_uint nthreads;
  atomic_uint nparked;
  atomic_uint coming;            /* woken or started, not yet at the queue */
  atomic_uint nstuck;            /* at one request for longer than EIO_WATCH_NS */
  atomic_bool lingering;         /* one worker watches nready */
  atomic_bool helping;           /* the owner, rather than sleep, did eio__pool_help() */
  atomic_bool refused;           /* a thread was, and the owner shall ask again */
  _Atomic(struct worker *) watcher; /* a parked worker, see eio__pace_watch() */
  unsigned abandoned;            /* workers that still use the context */
  unsigned max_idle;
  double idle_timeout;
  _Atomic uint64_t taken_until;  /* others take the processors, see eio__pace_yielded() */
  unsigned ncpus;
  pthread_cond_t left;           /* a worker has left */
  char line[EIO_LINE];           /* what follows, workers write all the time */
  atomic_uint cost;              /* of an execution lately, nanoseconds */
  uint64_t probed;               /* executions that began before do not count */
};

/* eio_pool.c: a condition to wait for until some time of the monotonic clock. */
void eio__cond_init(pthread_cond_t *cond);

/* eio_pool.c, with the lock: whether eio__take() has a request that may execute; the first
 * of them, which has a place then (eio__slot_take), or NULL. */
bool eio__may_take(eio_ctx *ctx);
eio_req *eio__take(eio_ctx *ctx);
/* Tells whom an event concerns. True when who calls has to start a thread, by
 * eio__start_thread(), without the lock. `now` may be 0: not known. */
bool eio__tell(eio_ctx *ctx, enum eio_event event, uint64_t now);

/* eio_worker.c: starts the thread that eio__pace_send_for() has already counted;
 * without the lock. starter is the worker that asks, or NULL for the owner; when it
 * has been abandoned in between, so have the counters. */
int eio__start_thread(eio_ctx *ctx, struct worker *starter);

/* eio_pace.c: how many workers shall be awake. With the lock held, but for the
 * last four; `now` is what eio_p_now() has said since it was taken. */

#define EIO_WATCH_NS 200000

/* Averages what an execution costs: a worker has just done one. */
void eio__pace_note(struct eio_pool *pool, const struct worker *w, uint64_t now);
/* What a worker at the queue does next: execute what is first, look a moment for
 * something to come, as those do that were busy till now, or park. */
enum eio_step { EIO_TAKE, EIO_LINGER, EIO_PARK };
enum eio_step eio__pace_next(const struct eio_pool *pool, bool busy, bool may_take);
/* Whether one of those that are awake is not needed. */
bool eio__pace_is_too_many(const struct eio_pool *pool);
/* One tick of the watcher, a parked worker that looks whether enough workers are
 * still awake when some of them may be held up by what they execute. It gives
 * the post up when nothing has waited for a while. */
void eio__pace_watch(eio_ctx *ctx, uint64_t now, unsigned *idle);
/* Chooses who goes to the queue next, when somebody has to. Returns a worker to
 * signal, or NULL; *start asks for a new thread. */
struct worker *eio__pace_send_for(eio_ctx *ctx, uint64_t now, bool *start);
/* Whether one more would be too many. */
bool eio__pace_is_crowded(const struct eio_pool *pool);
/* Whether somebody may look for work, or for results, without sleeping: the next
 * are likely to come soon, and the processor would not do anything else. */
bool eio__pace_may_look(const struct eio_pool *pool);
/* Whether who looks yields before each look: not for some time after a yield, from
 * `before` to `now`, that others have used for long. Any thread, without the lock. */
bool eio__pace_may_yield(const struct eio_pool *pool, uint64_t now);
void eio__pace_yielded(struct eio_pool *pool, uint64_t before, uint64_t now);

#endif
