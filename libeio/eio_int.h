/* eio_int.h - what the files of the library share with each other.
 *
 * Locks: ctx->lock guards everything marked (L). Everything marked (O) belongs
 * to the owner thread. Atomics marked (L) are written under the lock and read by
 * the owner without; the others are written without it, by whom their comments
 * say: a count or a flag that somebody else reads is a hint, unless the order of
 * the two is argued for where it is used. Nobody holds the lock across a system
 * call that may block (but for those of EIO_TRACE, which are for debugging), nor across
 * a callback. */
#ifndef EIO_INT_H
#define EIO_INT_H

#include "eio_config.h"
#include "eio.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "eio_admit.h"
#include "eio_queue.h"

/* Operations ----------------------------------------------------------- */

struct io_uring_sqe;

/* Executes a request: returns what `result` shall be; -1 with errno set. Runs
 * in a worker, or in any other thread, without any lock. */
typedef int64_t (*eio_execute_fn)(eio_req *req);

/* Fills a ring entry; returns false to decline (the request takes the pool). */
typedef bool (*eio_prepare_fn)(eio_ctx *ctx, eio_req *req, struct io_uring_sqe *sqe);

/* The flags of a row, of which eio_ops.def has short names. */
enum { EIO_OPF_INLINE = 1, EIO_OPF_ON_REQUEST = 2, EIO_OPF_WAITS = 4 };

struct eio_op_row {
  struct eio_op_info info;
  eio_execute_fn execute;
  eio_prepare_fn prepare;
  unsigned flags;
};
extern const struct eio_op_row eio__ops[EIO_OP_COUNT + 1]; /* EIO_PART is the last */

#define EIO_OP(id, name, args, result, execute, ring, flags) int64_t execute(eio_req *req);
#include "eio_ops.def"
#undef EIO_OP

/* Whether it is not executed, but waits for its descriptor (eio_wait.c). */
static inline bool eio__waits(const eio_req *req)
{
  return eio__ops[req->op].flags & EIO_OPF_WAITS;
}

/* eio_uring_ops.c */
#if EIO_HAVE_LIBURING
bool eio_u_read(eio_ctx *ctx, eio_req *req, struct io_uring_sqe *sqe);
bool eio_u_write(eio_ctx *ctx, eio_req *req, struct io_uring_sqe *sqe);
bool eio_u_fsync(eio_ctx *ctx, eio_req *req, struct io_uring_sqe *sqe);
bool eio_u_fdatasync(eio_ctx *ctx, eio_req *req, struct io_uring_sqe *sqe);
#endif

/* For threads that block all signals. False when parts of the request are still at work: then
 * nothing of it may be touched any more (eio_parts.h). */
bool eio__execute(eio_req *req);

/* eio_execute(), also of a part. Returns the request that has its result by that: this one,
 * the one that it was the last part of, or NULL. */
eio_req *eio__execute_here(eio_req *req);

/* Tries to finish a request of a row with flag INLINE without blocking.
 * Returns true when result and errorno are set. An owner that waits reads more
 * at once. */
bool eio__inline(eio_ctx *ctx, eio_req *req, bool waits);

/* Whether a descriptor is of a regular file or block device, and whether it is known to be
 * on a local file system. Owner thread; does not wait. */
bool eio__is_storage(eio_ctx *ctx, int fd, bool *local);
/* Whether a mount is of a file system that is known to be local. Owner thread; does not
 * ask the file system. */
bool eio__is_local(eio_ctx *ctx, uint64_t mount);
/* The same for the file system of a descriptor, which is asked; any thread. */
bool eio__fd_is_local(int fd);

/* Flags of a request that is RUNNING may be set by its worker and by the owner
 * (EIO_CANCELLED, EIO_ORPHAN) at the same time. */
static inline void eio__flag_set(eio_req *req, unsigned bits)
{
  __atomic_fetch_or(&req->flags, (uint16_t)bits, __ATOMIC_RELAXED);
}

static inline void eio__flag_clear(eio_req *req, unsigned bits)
{
  __atomic_fetch_and(&req->flags, (uint16_t)~bits, __ATOMIC_RELAXED);
}

static inline bool eio__flag(const eio_req *req, unsigned bits)
{
  return __atomic_load_n(&req->flags, __ATOMIC_RELAXED) & bits;
}

/* What an execute function, or a part, has made of its request, and how much it will be. Any thread. */
static inline void eio__made(const eio_req *req, uint64_t n)
{
  __atomic_fetch_add((uint64_t *)(uintptr_t)&req->made, n, __ATOMIC_RELAXED);
}

static inline void eio__whole(const eio_req *req, uint64_t n)
{
  __atomic_store_n((uint64_t *)(uintptr_t)&req->whole, n, __ATOMIC_RELAXED);
}

static inline bool eio__cancelled(const eio_req *req)
{
  return eio__flag(req, EIO_CANCELLED);
}

/* Working directories -------------------------------------------------- */

struct eio_wd {
  int fd; /* O_PATH where there is such a thing, -1 without *at calls */
  int refs;
  char path[]; /* absolute */
};

/* Which ways of copying were refused between two file systems, lately: a hint that saves calls, for
 * what it says may be wrong (another one has got the number of a device since). All 0 at first;
 * any thread; ops_copy.c. */
struct eio__ways {
  _Atomic uint64_t pairs[8];
};

/* Contexts ------------------------------------------------------------- */

struct eio_engine {
  const char *name;
  /* Takes over a READY or NEW request; finishes it, now or later, by
   * eio__finished() or eio__finish_here(). Owner thread. */
  void (*submit)(eio_ctx *ctx, eio_req *req);
};
extern const struct eio_engine eio__engine_sync, eio__engine_pool, eio__engine_uring;

/* What is known of mounts, by the number that the kernel gives once only. */
#define EIO_MOUNT_SETS 64 /* a mount has one of the four places of a set */
struct eio_mounts {
  uint64_t known[EIO_MOUNT_SETS][4]; /* 0, or number * 2 + is local */
  bool careful;              /* there are some that may ask a server in statx(2) */
};

/* A wakeup descriptor. */
struct eio_own {
  dev_t dev;
  ino_t ino;
};

struct eio_wake {
  int fd[2]; /* read side and write side; equal for an eventfd; -1: none */
  bool pipe; /* never an eventfd */
  struct eio_own file; /* what they are */
};

/* eio_time.c */
struct eio_deadline;
struct eio_deadlines { struct eio_deadline **heap; size_t length, room; };
struct eio_alarm;

struct eio_waiter; /* eio_wait.c */

struct eio_pool; /* eio_pool.c */
struct eio_ring; /* eio_uring.c */

/* Processors take whole lines of their caches from each other: what one side
 * writes lies apart from what the other reads. */
#define EIO_LINE 64

struct eio_ctx {
  eio_ctx *next_ctx;         /* list of contexts for fork handlers; its own lock */
  struct eio_pool *pool;     /* eio_pool.c */
  atomic_uint insight;       /* (O) EIO_INSIGHT_..., what eio__state() is to tell; mostly 0 */
  struct eio_ring *ring;     /* (O) NULL unless asked for and granted */
  const struct eio_engine *engine;     /* (O) */
  char why[160];                       /* (O) */
  unsigned min_parallel, max_parallel; /* (O) as set */
  pthread_t owner;           /* (O) whoever submitted last */
  struct eio_wake wake;      /* the wakeup descriptor */
  void (*release_hook)(eio_req *);        /* (O) */
  void (*fork_hook)(void *);
  void *fork_data;

  char line1[EIO_LINE];      /* workers write, mostly */
  pthread_mutex_t lock;
  struct eio_queue ready;    /* (L) waiting for a worker */
  struct eio_queue orphans;  /* (L) dropped */
  struct eio_queue parted;   /* (L) RUNNING, with parts that were given away */
  struct eio_queue waiting;  /* (L) RUNNING, and waiting for descriptors */
  struct eio_waiter *waiter; /* (O) for the thread that looks for these; NULL: no need */
  uint64_t executed, wakeups, given; /* (L) for the statistics */
  atomic_uint nrunning;      /* requests that execute, wherever: eio__slot_take() */
  atomic_uint max_running;   /* max_parallel */
  atomic_uint ntaken;        /* (L) of nsubmitted, those that wait no longer */
  atomic_uint nparts;        /* (L) in `ready` besides requests, never counted with these */
  atomic_uint nheld;         /* (L) READY and not in `ready`, but in the queue of their class */
  eio_class *classes;        /* (L) all there are, never fewer */
  bool dead;                 /* (L) the last abandoned worker frees the context */

  char line2[EIO_LINE];      /* both: what is submitted */
  _Atomic(eio_req *) incoming; /* submitted, last first; whoever holds the lock
                              * moves them to `ready` (eio__take_incoming) */
  atomic_uint nsubmitted;    /* (O) to the pool; without ntaken, what waits (eio_nready) */

  char line3[EIO_LINE];      /* both: what is done */
  _Atomic(eio_req *) finished; /* executed by workers, last first; the owner moves
                              * them to `done` (eio__take_finished) */
  atomic_uint nfinished;     /* its length: both sides count, before and after */
  atomic_bool signaled;      /* (L) the wakeup fd was written since the last poll began, which
                              * the owner forgets without the lock */
  bool raised;               /* (L) it may be readable */
  atomic_bool rung;          /* (L) the alarm has written it; the owner forgets, when a poll begins */
  atomic_bool polling;       /* the owner looks at `finished` by itself; (O) sets it */

  char line4[EIO_LINE];      /* the owner */
  struct eio_queue done;     /* (O) to be handed out by this poll */
  struct eio_queue fresh;    /* (O) finished by the owner during a poll */
  eio_req *current;          /* (O) FINISHED, not yet released; linked by next */
  eio_req *feeding;          /* (O) groups whose feeder runs; linked by fed_before */
  unsigned nreqs;            /* (O) outstanding */
  unsigned npri;             /* (O) of them, those with a priority other than 0 */
  struct eio_deadlines deadlines; /* (O) eio_time.c */
  uint64_t tick;             /* (O) eio_set_tick() */
  eio_req *(*stand_in)(eio_req *); /* (O) eio_on_abandon() */
  struct eio_alarm *alarm;   /* NULL as long as there was no need */
  unsigned left;             /* (O) to workers, see leaves() */
  uint64_t watched_at;       /* (O) when it looked for workers that are held up */
  unsigned helpable;         /* (O) nsubmitted with the last request that it could attempt */
  unsigned overtaken, overtaken_at; /* (O) see may_overtake() */
  uint64_t began;            /* (O) this poll, if it is measured; else 0 */
  unsigned polled;           /* (O) since then */
  unsigned depth;            /* (O) nested polls */
  bool watched;              /* (O) somebody knows the wakeup descriptor */
  bool waited;               /* (O) since the last poll, in eio_poll_wait() */
  uint32_t ids;              /* (O) */
  unsigned latched;          /* (O) inline attempts given up, eio_inline.c */
  bool can_peek, open_suspect; /* (O) see inline_read() and open_data() */
  unsigned open_skip, open_penalty; /* (O) see open_data() */
  struct eio_mounts mounts;  /* (O) eio_mounts.c */
  struct eio__ways ways;     /* of all copies of single files */
  struct eio_stats stats;    /* (O) without those marked (L) above */
  struct eio_op_stats *ops;  /* (O) eio_insight.c; NULL until asked for */
  unsigned timed_every, timed_in; /* (O) of how many one is timed, and when the next one is */
};

/* eio.c */

/* The one place that changes a request's state: asserts the edge, traces it. */
void eio__state(eio_ctx *ctx, eio_req *req, enum eio_state state);
const char *eio__state_name(enum eio_state state);

/* eio_insight.c */
struct eio_pace;
enum { EIO_INSIGHT_TRACE = 1, EIO_INSIGHT_STATS = 2 };
void eio__insight_init(void);               /* once in a process */
void eio__insight_create(eio_ctx *ctx);
void eio__insight_destroy(eio_ctx *ctx);
/* Where ctx->insight is not 0: what a submit begins with, and what eio__state() does. */
void eio__insight_submit(eio_ctx *ctx, eio_req *req);
void eio__insight_state(eio_ctx *ctx, eio_req *req, enum eio_state state);
/* What submit or the ring has attempted goes on to a worker. */
void eio__insight_declined(eio_ctx *ctx, const eio_req *req);

/* eio_poll.c */

/* Queues an executed request for poll. Any thread, lock held. */
void eio__finished(eio_ctx *ctx, eio_req *req);
/* The same by the owner, without the lock. */
void eio__finish_here(eio_ctx *ctx, eio_req *req);
/* The same for one that is in state DONE already. */
void eio__done_here(eio_ctx *ctx, eio_req *req);
/* That for an owner that polls next: without a signal. */
void eio__done_quietly(eio_ctx *ctx, eio_req *req);
/* Makes the wakeup descriptor readable; by the owner, without the lock. */
void eio__signal(eio_ctx *ctx);
/* Makes it silent. Owner thread, lock held. */
void eio__silence(eio_ctx *ctx);
/* The same by anybody, with the lock. */
void eio__signal_locked(eio_ctx *ctx);
/* Moves what workers have finished to a queue. Owner thread. */
void eio__take_finished(eio_ctx *ctx, struct eio_queue *q);

/* eio_time.c; owner thread */
void eio__time_destroy(eio_ctx *ctx);
void eio__time_after_fork(eio_ctx *ctx); /* in the child */
void eio__time_drop(eio_ctx *ctx);       /* no request has a deadline any more */
void eio__time_forget(eio_ctx *ctx, eio_req *req); /* this one has none */
void eio__time_cancelled(eio_ctx *ctx, eio_req *req); /* while it executes */
bool eio__time_is_up(const eio_ctx *ctx); /* for one at least */
uint64_t eio__time_next(const eio_ctx *ctx); /* for the first, or the tick; UINT64_MAX: never */
bool eio__time_is_rung(const eio_ctx *ctx);  /* the alarm has been, and there is something to come */
void eio__time_pass(eio_ctx *ctx);       /* hands over those whose time is up */
void eio__time_watch(eio_ctx *ctx);      /* sets the alarm, if somebody watches the descriptor */

/* eio_wait.c */
/* Takes over a NEW request that waits for a descriptor. Owner thread. */
void eio__wait_submit(eio_ctx *ctx, eio_req *req);
/* Takes out one that is RUNNING; whether it was there. Owner thread, lock held. */
bool eio__wait_take(eio_ctx *ctx, eio_req *req);
/* All have been taken out of ctx->waiting. Lock held. */
void eio__wait_dropped(eio_ctx *ctx);
/* What wakes the thread, or NULL. Any thread, lock held. */
const struct eio_wake *eio__wait_wake(const eio_ctx *ctx);
void eio__wait_destroy(eio_ctx *ctx);
void eio__wait_after_fork(eio_ctx *ctx); /* in the child */

/* eio.c: takes a request that waits out of its queue: it is DONE then. Returns the state in
 * which it was, which for others is a hint. Owner thread, without the lock. */
enum eio_state eio__unqueue(eio_ctx *ctx, eio_req *req);

/* eio_pool.c; the functions without "locked" are for the owner, unlocked */
/* eio_lost.c: the execute function of a request is going to wait for others, who may take as long as they
 * like: its worker counts no more, if there may be one more such. Returns a descriptor of its own of the
 * request's file, -1 with errno; the owner, who has no such thread, waits by the request's. */
int eio__apart_begin(eio_req *req);
void eio__apart_end(eio_req *req); /* also by who has got the request of a worker that is gone */
bool eio__apart_is_intact(const eio_req *req); /* nobody has closed that descriptor, or there is none */
int eio__apart_next(const eio_ctx *ctx, int from); /* the lowest of them from `from` on, or -1; lock held */
/* The execute function is going to wait for a disk that does more at once the more wait for it: its worker
 * counts no more, unless there are many such, until the request has its result. */
void eio__step_aside(const eio_req *req);
/* The request is cancelled and late: workers that are at it, and its parts, count no more. Who calls
 * tells of the places (EIO_EV_FREED). */
void eio__pool_give_up(eio_ctx *ctx, eio_req *req);
int eio__pool_create(eio_ctx *ctx);
void eio__pool_submit(eio_ctx *ctx, eio_req *req);
/* Executes what is ready in the owner's thread: all, or as long as there is no
 * worker. */
void eio__run_ready(eio_ctx *ctx, bool without_workers);
/* An owner that waits does what a worker would do next, if that cannot block.
 * Returns whether a request is done. */
bool eio__pool_help(eio_ctx *ctx);
/* It does not any more: it sleeps, or its event loop does. */
void eio__pool_sleeps(eio_ctx *ctx);
/* Moves what was submitted to ctx->ready, or the queue of its class. Lock held. */
void eio__take_incoming(eio_ctx *ctx);
/* Adapts the threads to changed limits; waits for those above. */
void eio__pool_limits(eio_ctx *ctx);
void eio__pool_set_idle(eio_ctx *ctx, unsigned max_idle, double timeout);
unsigned eio__pool_nthreads(const eio_ctx *ctx);
/* What it has measured. */
const struct eio_pace *eio__pool_pace(const eio_ctx *ctx);
/* Whether the owner may look for what workers finish without sleeping, and how long. */
bool eio__pool_may_look(const eio_ctx *ctx);
uint64_t eio__pool_look_ns(const eio_ctx *ctx);
/* How long it has waited for a result. */
void eio__pool_waited(eio_ctx *ctx, uint64_t ns);
/* What the owner has measured: polling so many requests, and an attempt in submit. */
void eio__pool_stepped(eio_ctx *ctx, uint64_t ns, unsigned nreqs);
void eio__pool_attempted(eio_ctx *ctx, const eio_req *req, uint64_t ns);
bool eio__pool_knows_attempts(const eio_ctx *ctx, const eio_req *req); /* of this kind */
/* Whether the owner leaves it to workers rather than to attempt it. */
bool eio__pool_leaves(eio_ctx *ctx, const eio_req *req);
/* Requests that wait for a worker, but for those that wait for their class. Without the lock a hint. */
unsigned eio__nwaiting(const eio_ctx *ctx);
/* Whether nothing waits that has its priority, or a higher one. */
bool eio__pool_outranks(eio_ctx *ctx, const eio_req *req);
/* Who looks calls it before each look, with the present time, as what he looks for may
 * have to be done on the processor that he is on. Returns what time it is then. Any
 * thread. */
uint64_t eio__pool_yield(eio_ctx *ctx, uint64_t now);
/* Tells workers, if that concerns any, what the owner has done. */
void eio__pool_tell(eio_ctx *ctx, enum eio_event event);
/* Whether a thread was refused since the next one was called last. */
bool eio__pool_was_refused(const eio_ctx *ctx);
/* Starts a thread if one is missing; true when it still is. */
bool eio__pool_wants_thread(eio_ctx *ctx);
/* A place among the requests that execute, max_parallel at a time: whoever executes one,
 * a worker, the ring, or the owner, has one for it. The owner, when he gives it back,
 * calls eio__pool_tell(EIO_EV_FREED). Any thread, with or without the lock. */
bool eio__slot_take(eio_ctx *ctx);
void eio__slot_give(eio_ctx *ctx);
/* Puts back a request that was begun in vain, before all others of its priority, and gives
 * back its place; it keeps that of its class. */
void eio__pool_return(eio_ctx *ctx, eio_req *req);
/* Forgets the threads: they exit when they have executed what they are at,
 * which becomes an orphan. Lock held. */
void eio__pool_abandon_locked(eio_ctx *ctx);
/* In the child of a fork: no thread exists any more. Running requests go to
 * ctx->orphans. */
void eio__pool_after_fork(eio_ctx *ctx);
/* Gives the pool up. Returns whether workers are left that still use the
 * context; the last of them frees it then. Lock held. */
bool eio__pool_destroy_locked(eio_ctx *ctx);
/* Frees a context that nobody uses any more. */
void eio__free(eio_ctx *ctx);

/* Whether requests are executed, and handed out, in the order of their submission. */
static inline bool eio__keeps_order(const eio_ctx *ctx)
{
  return ctx->max_parallel == 1;
}

/* eio_class.c; NULL, no class, is fine everywhere. With the lock, if nothing else is said. */

/* Whether there is a place; without the lock it is a hint. */
bool eio__class_has_room(const eio_class *class);
/* Takes one, if there is. */
bool eio__class_enter(eio_class *class);
/* Gives it back: the next request of the class may be in `ready` then. */
void eio__class_leave(eio_ctx *ctx, eio_class *class);
void eio__class_give(eio_ctx *ctx, eio_class *class); /* takes the lock for that */
/* A request of a class is put into `ready`, or waits for a place; and is taken out again. */
void eio__class_push(eio_ctx *ctx, eio_req *req);
void eio__class_remove(eio_ctx *ctx, eio_req *req);
/* Places for an execution by the owner or the ring, of the class and among all, without the lock:
 * as eio__slot_take() and eio__slot_give(). */
bool eio__places_take(eio_ctx *ctx, eio_class *class);
void eio__places_give(eio_ctx *ctx, eio_class *class);
/* No request has a place, and those that wait for one are put into a queue. */
void eio__classes_drop(eio_ctx *ctx, struct eio_queue *dropped);
void eio__classes_unlimit(eio_ctx *ctx); /* nothing waits */
void eio__classes_free(eio_ctx *ctx);
/* eio.c: after a limit has changed; owner, without the lock. */
void eio__class_changed(eio_ctx *ctx);

/* One outstanding request more or less. */
static inline void eio__count(eio_ctx *ctx, const eio_req *req, int n)
{
  ctx->nreqs += (unsigned)n;
  ctx->npri += req->pri ? (unsigned)n : 0;
}

/* eio_group.c: accounting for a member that is released. */
void eio__group_released(eio_ctx *ctx, eio_req *req);
/* Calls `f` on a group and on everything below it; it returns what is in the place of a
 * request then. */
void eio__group_walk(eio_ctx *ctx, eio_req *group, eio_req *(*f)(eio_ctx *, eio_req *));
/* Puts another request in the place of a member. */
void eio__group_replace(eio_req *req, eio_req *other);

/* The lowest descriptor from `from` on that the library needs while others execute, or -1; in any thread. What a
 * worker closes while the owner sleeps on it would never wake him. (A ring goes on without: eio_uring.c.) */
int eio__next_own_fd(int from);
int eio__blocker_fd(void); /* ops_open.c: that of close */

/* eio_wake.c: descriptors of our own, which the program may close, or put others in the place of, at any time
 * (README.md has a table of them). */

/* Who sleeps on one, and has nothing else to do, looks so often whether it still is the one. */
enum { EIO_LOOK_MS = 1000 };

/* Notes what a descriptor stands for: -1 with errno. */
int eio__own_note(struct eio_own *own, int fd);
/* Whether it still does. */
bool eio__own_is_intact(const struct eio_own *own, int fd);

/* Those that wake. Who sleeps on a pipe is woken also when its other side is closed, by whomever. */
int eio__wake_open(struct eio_wake *wake, bool pipe);
/* Whether nobody has closed them, nor put another file in their place. */
bool eio__wake_is_intact(const struct eio_wake *wake);
/* Makes new descriptors under the old numbers (after a fork), or under others when
 * the old ones were closed; -1 when none can be had. */
void eio__wake_reopen(struct eio_wake *wake);
/* Makes new ones (-1 when none can be had) if they are not intact: daemons close
 * all that is open, and the numbers may belong to anything by now. Returns
 * whether it has. */
bool eio__wake_repair(struct eio_wake *wake);
/* These do nothing to what is not intact. */
void eio__wake_close(struct eio_wake *wake);
void eio__wake_set(const struct eio_wake *wake);
void eio__wake_clear(const struct eio_wake *wake);

/* eio_uring.c; ctx->ring may be NULL where noted */
int eio__ring_create(eio_ctx *ctx);       /* -1 with errno and ctx->why */
void eio__ring_destroy(eio_ctx *ctx);     /* (NULL is fine) what flies is lost */
void eio__ring_after_fork(eio_ctx *ctx);  /* (NULL is fine) in the child */
void eio__ring_drop(eio_ctx *ctx);        /* (NULL is fine) for eio_reset() */
void eio__ring_rewire(eio_ctx *ctx);      /* (NULL is fine) the wakeup fd is another one */
/* Whether what it completes has to be looked for: the program has closed its
 * descriptor, or it cannot signal. Before the owner sleeps; NULL is fine. */
bool eio__ring_is_mute(eio_ctx *ctx);
void eio__ring_cancel(eio_ctx *ctx, eio_req *req); /* if it has that */
void eio__ring_reap(eio_ctx *ctx);        /* moves what completed to done */
bool eio__ring_ready(const eio_ctx *ctx); /* something to reap */
bool eio__ring_signaled(eio_ctx *ctx);    /* the wakeup fd may need clearing */

#endif
