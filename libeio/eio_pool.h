/* eio_pool.h - what the three files of the pool share.
 *
 * Everything in struct eio_pool and struct worker is guarded by the context's
 * lock; what is atomic is written under it, and read by the owner without. */
#ifndef EIO_POOL_H
#define EIO_POOL_H

#include "eio_int.h"
#include "eio_admit.h"
#include "eio_pace.h"
#include "eio_plat.h"

struct worker {
  struct worker *next, **link;   /* list of all */
  struct worker *below;          /* parked under this one */
  eio_ctx *ctx;
  struct eio_bed bed;            /* where it sleeps while it is parked */
  eio_req *current;
  uint64_t began;                /* when `current` did */
  uint64_t sent;                 /* when it was sent for while it slept; 0: it was not */
  unsigned load;                 /* its part of pool->load */
  bool coming;                   /* counted in pool->coming */
  bool parked;
  bool abandoned;                /* the context is not its own any more: it leaves */
  bool lost;                     /* it counts no more: eio_lost.c */
  bool slept;                    /* on our own account, since `switches` were asked for; its own */
  struct eio_switches switches;  /* its own */
};

struct eio_pool {
  struct worker *all;
  struct worker *parked;         /* a stack */
  struct worker *spare;          /* of threads that have left: they may still be signaled */
  atomic_uint limit;
  atomic_uint nthreads;
  atomic_uint nparked;
  atomic_uint coming;            /* woken or started, not yet at the queue */
  atomic_uint load;              /* that workers are for the processors, see eio__pace_load() */
  atomic_bool lingering;         /* one worker watches for requests */
  atomic_int helped_fd;          /* the descriptor of what the owner helps with, or -1 */
  atomic_bool helping;           /* the owner, rather than sleep, did eio__pool_help() */
  atomic_bool refused;           /* a thread was, and the owner shall ask again */
  _Atomic(struct worker *) watcher; /* a parked worker, see watch() */
  uint64_t ran_out;              /* when workers had nothing to do any more; 0: they have */
  unsigned abandoned;            /* workers that still use the context */
  unsigned nlost, max_lost;      /* eio_lost.c */
  unsigned max_idle;
  double idle_timeout;
  bool eager;                    /* tests: any work is worth a hop; set before there is any */
  pthread_cond_t left;           /* a worker has left */
  char line[EIO_LINE];           /* what follows, workers write all the time */
  struct eio_pace pace;
};

/* eio_pool.c: requests and parts that wait, but for those that wait for their class; and whether none does, and a worker could take
 * something. Without the lock it is a hint. */
unsigned eio__pool_waiting(const eio_ctx *ctx);
bool eio__pool_is_idle(const eio_ctx *ctx);

/* eio_pool.c, with the lock: the first request, if it may execute; the same, which has a
 * place then (eio__slot_take). NULL: none. */
eio_req *eio__may_take(eio_ctx *ctx);
eio_req *eio__take(eio_ctx *ctx);
/* Tells whom an event concerns. Returns a worker that who calls has to signal, or NULL; *start is
 * set when he has to start a thread, by eio__start_thread(): both without the lock, which that
 * one takes at once. `now` may be 0: not known. */
struct worker *eio__tell(eio_ctx *ctx, enum eio_event event, uint64_t now, bool *start);
/* Frees the pool, which no thread uses. */
void eio__pool_free(struct eio_pool *pool);
/* Whether workers, those besides that one, are load enough for the processors while requests
 * of that kind wait. */
bool eio__is_crowded(const struct eio_pool *pool, unsigned kind, const struct worker *besides);
/* After they had nothing to do, workers have. */
void eio__has_work(struct eio_pool *pool, uint64_t now);
/* What it adds to the load of the processors, from now on. */
void eio__set_load(struct eio_pool *pool, struct worker *w, unsigned load);

/* eio_worker.c: the one that this thread is; NULL for others. */
struct worker *eio__worker(void);
/* Starts the thread that eio__tell() has already counted; without the lock.
 * starter is the worker that asks, or NULL for the owner; when it has been abandoned in
 * between, so have the counters. */
int eio__start_thread(eio_ctx *ctx, struct worker *starter);
/* Finds out which workers are held up: they are no load. With the lock. */
void eio__find_stuck(struct eio_pool *pool, uint64_t now);

/* The context that this thread is a worker of; NULL for others. */
eio_ctx *eio__worker_ctx(void);
/* A worker has queued something: sends for others if need be. Called with the lock,
 * returns without. */
void eio__worker_sends(eio_ctx *ctx);

#endif
