/* eio_parts.h - operations in parts.
 *
 * An operation whose work falls into pieces (a directory each, a range of entries)
 * may give pieces of it away, to workers that have nothing to do. A part is queued
 * like a request, with the priority of the operation's, and counts against the same
 * limits; callers never see it. The operation's request stays RUNNING until its own
 * thread and all parts have ended, and is DONE by whoever is the last.
 *
 * Who executes an operation goes on with it by itself as long as nobody is idle, so
 * one worker keeps the whole of it, and its warm caches, where the storage is quick.
 * Where nobody else is there (engine sync, no thread, no context at all) nothing is
 * ever given away.
 *
 * A part may run at any time until it has ended: in a worker, or in the owner, without the
 * lock, where that executes what waits (no thread can be had, or the engine is sync now).
 * When everything is dropped the owner runs what waits, too: its request is cancelled then,
 * and it shall free what it has and do nothing else. */
#ifndef EIO_PARTS_H
#define EIO_PARTS_H

#include "eio_int.h"

/* What an operation has that may be divided; the first member of a struct of its own,
 * on the heap. */
struct eio_parts {
  eio_req *req;
  /* Called once, when all have ended, by whoever ended last: frees the struct and
   * returns the result; -1 with errno. */
  int64_t (*end)(struct eio_parts *parts);
  atomic_uint holders; /* the operation's own thread, and parts that were given away */
  _Atomic uint64_t unit; /* nanoseconds */
};

/* A piece; the first member of a struct of the operation's own, on the heap. */
struct eio_part {
  eio_req r; /* private */
  struct eio_parts *of;
  void (*run)(struct eio_part *part); /* does it, and frees it */
};

/* Starts; the caller, an execute function, has to return eio__parts_end(). unit: what a unit
 * of the work may take, in nanoseconds, going by what has been done so far. */
void eio__parts_begin(struct eio_parts *parts, eio_req *req, int64_t (*end)(struct eio_parts *), uint64_t unit);

/* Whether somebody has nothing to do, and it is worth while to send for him: since `began`
 * this thread has done so many units of the work, and would give `more` away. Who has done
 * none goes by what the others said. May be asked often. */
bool eio__parts_wanted(struct eio_parts *parts, uint64_t began, uint64_t done, uint64_t more);

/* Whether somebody has nothing to do, and may do that. May be asked often. */
bool eio__parts_idle(const struct eio_parts *parts);

/* Gives a part away (`run` is set); false when nobody wants it any more: it is the
 * caller's still. */
bool eio__parts_give(struct eio_parts *parts, struct eio_part *part);

/* The operation's own thread is at its end. */
int64_t eio__parts_end(struct eio_parts *parts);

/* An operation that one thread does all of, while others may help. NULL: nobody will. The
 * caller has to return eio__helped_end(). */
struct eio_parts *eio__helped_begin(eio_req *req);
int64_t eio__helped_end(struct eio_parts *parts, int64_t result);

/* For the pool ----------------------------------------------------------- */

/* Its number follows those of the operations that requests can have. */
#define EIO_PART EIO_OP_COUNT

/* What an execute function returns when parts are still at work. */
#define EIO_PENDING INT64_MIN

/* The request that a queued one is about: that of its operation, or itself. */
eio_req *eio__part_req(eio_req *req);

/* Executes a request or a part, without the lock. NULL when a request has its result
 * now; else what the caller has to leave, when nothing else names it any more. */
struct eio_parts *eio__parts_run(eio_req *req);

/* One holder less. Returns the request when it was the last, with its result. */
eio_req *eio__parts_leave(struct eio_parts *parts);

/* Hands over a request that has its result: to poll, or to the orphans. Lock held. */
void eio__over(eio_ctx *ctx, eio_req *req);


#endif
