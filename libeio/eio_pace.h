/* eio_pace.h - what the pool does next, by what it has measured where it runs.
 *
 * Nothing here locks, sleeps or asks for the time: test/core_pace.c tries each limit, and
 * test/core_machines.c compares the whole with the best fixed policy on many machines.
 *
 * Of a kind `busy` and `wait`, and `hop` and `idle`, are written with the context's lock, the
 * others by the owner; anybody reads them. All are nanoseconds, 0 as long as nothing is known. */
#ifndef EIO_PACE_H
#define EIO_PACE_H

#include "eio.h"

#include <stdatomic.h>
#include <stdbool.h>

/* A kind of requests: an operation, and whether it is about much data. */
#define EIO_MUCH (16 * 1024)
#define EIO_NKINDS (2 * (EIO_OP_COUNT + 1)) /* parts are one more, see eio_parts.h */

static inline unsigned eio__kind_of(unsigned op, bool much)
{
  return op + (much ? EIO_NKINDS / 2 : 0);
}

static inline unsigned eio__kind(const eio_req *req)
{
  return eio__kind_of(req->op, req->size >= EIO_MUCH);
}

struct eio_kind {
  atomic_uint busy;     /* an execution by a worker, of those that did not wait, nor for another
                         * worker: half take longer */
  atomic_uint wait;     /* what executions wait for something, on average of all lately */
  atomic_uint attempt;  /* one in submit that has succeeded, like busy */
};

struct eio_pace {
  unsigned ncpus;
  atomic_uint hop;      /* from the signal until a worker that slept is at the queue */
  atomic_uint idle;     /* from when workers have nothing to do until there is something */
  atomic_uint step;     /* what the owner does for a request that it polls */
  atomic_uint wait;     /* until there is a result that it waits for */
  _Atomic uint64_t taken_until; /* others use the processors until then */
  struct eio_kind kinds[EIO_NKINDS];
};

/* Loads are counted in these: a thread that keeps a processor busy. */
#define EIO_FULL 256u

void eio__pace_init(struct eio_pace *pace, unsigned ncpus);

/* What has been measured ------------------------------------------------- */

/* How an execution went that took so long: it kept a processor busy, with no other worker
 * beside that may have held it up, or with some (then it tells something if it was quicker than is
 * known: or what was slow at first would have more workers for ever, and never be alone); it waited for something other than that; or
 * others had the processor (which says nothing). Of those that are not long (below) and did
 * not wait, one in so many is told. */
#define EIO_MEASURED 8
enum eio_course { EIO_BUSY_ALONE, EIO_BUSY_BESIDE, EIO_WAITED, EIO_PREEMPTED };
void eio__pace_executed(struct eio_pace *pace, unsigned kind, uint64_t ns, enum eio_course course);
/* Whether it took so long that it matters whether it waited: then somebody has to ask. */
bool eio__pace_is_long(const struct eio_pace *pace, uint64_t ns);
void eio__pace_attempted(struct eio_pace *pace, unsigned kind, uint64_t ns);
void eio__pace_hopped(struct eio_pace *pace, uint64_t ns);
/* One of `idle` and `wait`. */
void eio__pace_idled(struct eio_pace *pace, atomic_uint *usual, uint64_t ns);
void eio__pace_stepped(struct eio_pace *pace, uint64_t ns, unsigned nreqs);

/* What follows ----------------------------------------------------------- */

/* The part of its time that a worker at such a request keeps a processor busy; 0 for a
 * kind that nothing is known of: it may wait for anything. */
unsigned eio__pace_load(const struct eio_pace *pace, unsigned kind);
/* The load that workers may have together before one more is sent for such a request. */
unsigned eio__pace_enough(const struct eio_pace *pace, unsigned kind, bool owner_helps);
/* How many shall be on their way while so many such requests wait. */
unsigned eio__pace_wanted(const struct eio_pace *pace, unsigned kind, unsigned waiting);
/* Whether attempts take more than to have workers execute them. */
bool eio__pace_is_dear(const struct eio_pace *pace, unsigned kind);
/* Whether the owner does better by leaving such a request to workers than by an attempt. */
struct eio_crew {
  unsigned nreqs, nready; /* requests that are outstanding, this one included, and that wait */
  unsigned load, awake;   /* of the workers; how many do not sleep */
  bool spare;             /* others sleep, or can be had */
};
bool eio__pace_leaves(const struct eio_pace *pace, unsigned kind, const struct eio_crew *crew);
/* How long it pays to look for something rather than to sleep, for one who usually waits as
 * long as that; 0: not at all. And whether it pays beside workers of such a load, one's own
 * included. */
uint64_t eio__pace_look_ns(const struct eio_pace *pace, const atomic_uint *usual);
bool eio__pace_may_look(const struct eio_pace *pace, unsigned load);
/* A worker that has been at a request for longer is held up by it. */
uint64_t eio__pace_patience_ns(const struct eio_pace *pace);

/* Whether who looks yields before each look: not for some time after a yield, from
 * `before` to `now`, that others have used for long. Any thread, without the lock. */
bool eio__pace_may_yield(const struct eio_pace *pace, uint64_t now);
void eio__pace_yielded(struct eio_pace *pace, uint64_t before, uint64_t now);

#endif
