/* eio.h - asynchronous file I/O for C programs: interface and manual.
 *
 * A program creates a context, fills a request, submits it, and polls. The
 * work happens elsewhere (worker threads, the kernel's ring, or at once when
 * the kernel says that it would not block); the callback runs in eio_poll(),
 * in the thread that called it, and nowhere else.
 *
 *     submit -> inline attempt -> ring -> ready queue -> worker
 *            -> done queue -> wakeup fd -> poll -> callback -> release
 *
 * Threads: a context has one owner thread. Every function that takes a
 * context must be called by its owner. Different contexts are independent.
 *
 * Errors: a request's `result` is what the system call returned; when that is
 * -1, `errorno` says why. Functions here return 0, or -1 with errno set.
 */
#ifndef EIO_H
#define EIO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct eio_ctx eio_ctx;
typedef struct eio_req eio_req;
typedef struct eio_wd eio_wd;
typedef struct eio_class eio_class;

/* One number per operation; eio_ops.def has a row for each, with the request's
 * members that it reads and what it leaves behind. */
enum eio_op {
  EIO_GROUP, /* a container for other requests, see below */
#define EIO_OP(id, name, args, result, execute, ring, flags) EIO_##id,
#include "eio_ops.def"
#undef EIO_OP
  EIO_OP_COUNT
};

/* Priorities: served, and handed back, highest first; first in, first out
 * within one. */
#define EIO_PRI_MIN (-4)
#define EIO_PRI_MAX 4

/* The states of a request, and who owns it meanwhile. Cancelled is a flag
 * (EIO_CANCELLED), not a state. */
enum eio_state {
  EIO_NEW,      /* the caller: being filled */
  EIO_READY,    /* the ready queue */
  EIO_RUNNING,  /* one worker, or the owner thread, which executes it */
  EIO_FLYING,   /* the ring */
  EIO_DONE,     /* the done queue */
  EIO_FINISHED, /* the caller again, from eio_next() to eio_release() */
  EIO_STATE_COUNT
};

/* Flags of a request; the caller may set or clear only those marked (c). */
#define EIO_CANCELLED 0x001 /* never executed from now on, never called back */
#define EIO_FAILED    0x002 /* (c) do not execute: result and errorno are set */
#define EIO_FREE_BUF  0x004 /* (c) `buf` is malloc'ed and freed with the request */
#define EIO_OWNS_FD   0x008 /* (c) `result` is a descriptor nobody has taken yet */
#define EIO_NO_INLINE 0x010 /* (c) do not try in submit */
#define EIO_ORPHAN    0x020 /* dropped by eio_reset() or a fork */
#define EIO_CALLED    0x040 /* was called back, waits to be released */
#define EIO_RIPE      0x080 /* a group that was polled and waits for members */
#define EIO_FEEDING   0x100 /* a group whose feeder runs right now */
#define EIO_FED       0x200 /* a group: its feeder, which runs, has added something, or
                             * has set another */
#define EIO_PARTED    0x400 /* parts of it have been given away (eio_parts.h) */
#define EIO_TIMED_OUT 0x800 /* a group whose time is up: members that are added have none */
#define EIO_LATE      0x1000 /* executes on, though another stands in for it (eio_on_abandon) */
#define EIO_HELD      0x2000 /* waits for a place of its class */
#define EIO_USER      0x8000 /* (c) the library never looks at it */

typedef void (*eio_cb)(eio_req *req);

/* A request. The caller owns the memory from eio_req_init() to eio_submit()
 * and again when the callback has returned, see eio_on_release(); it may be part
 * of a larger struct. In the callback it may be read, and what it points to may
 * be freed. Strings, buffers and directories that it points to must stay as they
 * are in between, and remain the caller's. */
struct eio_req {
  eio_req *next, *prev;      /* private: the queue that the state names */
  eio_req *group;            /* the group that this is a member of, or NULL */
  eio_req *older, *younger;  /* private: the other members of that group */

  eio_cb cb;                 /* called by eio_poll(), may be NULL */
  void *data;                /* the caller's */

  union {
    char *path;              /* first path name (or link text) */
    int64_t offs2;           /* file offset of a second descriptor */
    unsigned char *pages;    /* result: which are in memory; freed with the request */
  };
  union {
    char *path2;             /* second path name */
    void *buf;               /* data to write, buffer to fill, or result */
    void (*feed)(eio_req *); /* groups: called while members are few */
  };
  union {
    eio_wd *wd;              /* what a relative `path` is relative to; NULL: "." */
    eio_req *fed_before;     /* private: groups: whose feeder runs, too */
  };
  union {
    int64_t offs;            /* file offset; device number */
    double nv1;              /* time: access time; seconds */
    eio_wd *wd2;             /* as wd, for path2 */
    char *attr;              /* name of an extended attribute */
    eio_req *members;        /* private: groups: youngest member */
  };
  union {
    uint64_t size;           /* bytes */
    double nv2;              /* time: modification time */
    uint64_t nmembers;       /* groups: how many members are left (read only) */
    struct eio_errors *errors; /* result: what could not be done; NULL: nothing, or no memory */
  };
  int32_t fd;                /* file descriptor, -1: use path */
  union {
    int32_t arg1;            /* flags, command, uid, second descriptor... */
    int32_t limit;           /* groups: feed while there are fewer members */
  };
  int32_t arg2;              /* mode, gid...; groups: see eio_progress() */
  int32_t errorno;           /* errno when result is -1, else 0 */
  int64_t result;            /* -1 until something else is known */
  eio_class *in_class;       /* NULL: none, see eio_class_create() */
  volatile uint16_t flags;   /* EIO_CANCELLED and so on */
  uint8_t state;             /* enum eio_state; private */
  int8_t pri;                /* EIO_PRI_MIN .. EIO_PRI_MAX */
  uint32_t op : 8;           /* enum eio_op */
  uint32_t id : 24;          /* a number for traces, unique among some millions */
  uint64_t submitted, began, done; /* private: when, in nanoseconds; 0: not known */
  struct eio_deadline *deadline;   /* private: NULL: none */
  uint64_t made, whole;            /* private: see eio_progress() */
};

/* Contexts ------------------------------------------------------------- */

/* Creates a context without threads; NULL with errno set when memory or
 * descriptors are short. */
eio_ctx *eio_create(void);

/* Drops everything outstanding, without callbacks, and the context. Requests
 * still known to it must have been collected with eio_orphan() first; those
 * that workers are executing right now leak, with all that they point to. */
void eio_destroy(eio_ctx *ctx);

/* Drops everything outstanding: afterwards the context is as if never used,
 * with the default limits, but for its engine and the number of its wakeup descriptor, which
 * changes only if somebody has closed that.
 * Dropped requests come back through eio_orphan(). A fork does this in the
 * child by itself. */
void eio_reset(eio_ctx *ctx);

/* The next dropped request, in state FINISHED, or NULL; give it to
 * eio_release() like any other, then free it. Those that a worker still
 * executes follow when it is done. */
eio_req *eio_orphan(eio_ctx *ctx);

/* A fork() waits for the locks of all contexts, as it does for those of malloc and
 * stdio. So a signal handler must not call it, as the code that it has interrupted
 * may hold one: POSIX took fork() off its list for handlers in 2024. _Fork() waits
 * for none; a child that it makes may exec or exit, and must not use a context. */

/* The context's wish to have its owner call eio_orphan() soon: `hook` is
 * called in the child of a fork when there are orphans, or may be later; it
 * may only set flags. */
void eio_on_fork(eio_ctx *ctx, void (*hook)(void *), void *data);

/* Requests ------------------------------------------------------------- */

/* Makes an empty request for an operation: result -1, fd -1, priority 0,
 * everything else 0. */
void eio_req_init(eio_req *req, enum eio_op op);

/* Hands over a request. Never blocks on I/O (engine "sync" excepted), never
 * calls back. When no thread can be had and none is there, the request is
 * executed before this returns. */
void eio_submit(eio_ctx *ctx, eio_req *req);

/* Cancels a request: it is not executed if that has not begun, and not called
 * back if that has not begun. It still comes out of eio_next() (cancelled),
 * and counts as outstanding until then. A group's members are cancelled with
 * it. Harmless in any state from READY on. */
void eio_cancel(eio_ctx *ctx, eio_req *req);

/* A request that was submitted has to be done within so many nanoseconds from now
 * (EIO_NEVER: it has all the time there is, as at first), or it fails with ETIMEDOUT at the
 * first poll after that; the wakeup descriptor is readable then. It is not executed any
 * more, if it waits; if it executes, see eio_on_abandon(). A group's time is that of its
 * members, now and later: they fail, its feeder is taken away, and it is called back after
 * them. Engine "sync" has executed everything before this can be called. Harmless in any state
 * from READY on; -1 with ENOMEM. */
#define EIO_NEVER UINT64_MAX
int eio_timeout(eio_ctx *ctx, eio_req *req, uint64_t ns);

/* Lets requests be abandoned that do not end: those whose time is up while they execute,
 * and those that have been cancelled 20 ms ago. The hook is called for each, in a poll, and
 * returns another request of the same operation that stands in for it (NULL: it is not
 * abandoned), to which it has moved `cb`, `data` and whatever else the callback needs; it takes
 * part in a poll as if it were the first. That one must stay as it is, with the buffers and
 * strings that it points to: it executes on, counts no more (neither does its worker, see
 * below), and comes out of eio_next(), cancelled, when it has ended. NULL, as at first: what
 * executes has as long as it takes, and its own result. */
void eio_on_abandon(eio_ctx *ctx, eio_req *(*hook)(eio_req *));

/* How far a request is: what has been made of it, and of how much, 0 when that is not known. Copies,
 * moves, trees copied and files loaded count octets, what else goes through trees and directories
 * entries; others count nothing. A group counts its members, of which those are made that have been
 * released; with arg2 set (c) it adds up what they have made. Owner thread. Who wants to be called for it sets eio_set_tick(). */
void eio_progress(const eio_req *req, uint64_t *made, uint64_t *whole);

/* At that time (of the clock CLOCK_MONOTONIC, in nanoseconds) the wakeup descriptor is readable, and
 * eio_poll_wait() returns, whatever is done: once, in the next poll that begins then. Another call
 * replaces it; EIO_NEVER takes it back. */
void eio_set_tick(eio_ctx *ctx, uint64_t at);

/* Executes an operation in the calling thread, without any context; sets
 * result and errorno. As everywhere, errors are results and nothing else: of
 * the signals that system calls send besides, SIGPIPE and SIGXFSZ, the program
 * gets none. Blocks both meanwhile, and leaves alone what was pending before
 * and what others send. Does not change errno. */
void eio_execute(eio_req *req);

/* Frees what the library allocated for the request's result, and closes a
 * descriptor nobody took. eio_release() does this as well. */
void eio_req_finish(eio_req *req);

/* Groups --------------------------------------------------------------- */
/* A group is a request of operation EIO_GROUP. It is finished by the first
 * poll that finds it without members, or when its last member is released
 * after that. Members can be added until its callback begins. */

/* Adds a request that was submitted to a group. One that is FINISHED or
 * already a member somewhere is left alone. Returns -1 with EINVAL when the
 * group is FINISHED or would contain itself. A group that was cancelled is
 * called back no more, but what is added after that is. */
int eio_group_add(eio_ctx *ctx, eio_req *group, eio_req *req);

/* Cancels the members, and takes the feeder away; the group itself will
 * finish normally. */
void eio_group_cancel_members(eio_ctx *ctx, eio_req *group);

/* Sets the number of members below which the feeder is called; 0 pauses. */
void eio_group_limit(eio_ctx *ctx, eio_req *group, int limit);

/* Sets the feeder (NULL: none) and calls it right away. A limit of 0 becomes
 * 2. The feeder is called again whenever fewer than `limit` members are left,
 * and is removed when a call adds nothing. It may poll: its group finishes after
 * it has returned, and what it adds may be finished by then. Calls do not nest:
 * when it sets limit or feeder, that takes effect when it returns. */
void eio_group_feed(eio_ctx *ctx, eio_req *group, void (*feed)(eio_req *));

/* Tells that the group's feeder will not return (longjmp); it is removed. */
void eio_group_abandon(eio_ctx *ctx, eio_req *group);

/* Poll side ------------------------------------------------------------ */

/* The wakeup descriptor: readable while there is something for eio_poll() to
 * do, and sometimes when not. It keeps its number for the life of the context,
 * also in the child of a fork; when the program has closed it, this call makes
 * another (or returns -1 with errno). It may be read, made blocking, duplicated, or
 * watched for edges: after each poll that leaves something it is readable again.
 * A duplicate that is older than a fork stays the parent's. As long as nobody has
 * asked for it, and in another way nobody may use it, system calls are saved. */
int eio_poll_fd(eio_ctx *ctx);

/* Calls back and releases what is done; at most max_reqs requests (0: no
 * limit), at least for max_time nanoseconds (0: no limit). Returns 0 when
 * nothing is left, -1 when something is. Requests that a callback submits and
 * that are done before it returns wait for the next call. */
int eio_poll(eio_ctx *ctx, unsigned max_reqs, uint64_t max_time);

/* Whom eio_poll() gives each request with which it is done: those that were called
 * back, and those that were not, as they were cancelled or have no callback. After
 * that it does not look at the request, so the hook may free it; a callback may not,
 * for what belongs to the result is freed and the group told when it has returned.
 * Without a hook (NULL, as at first) the caller finds out by itself: a request of
 * its own is free once the call of eio_poll() that called it back has returned.
 *
 *     static void done(eio_req *req) { free(req); }
 *     eio_on_release(ctx, done);
 *
 * Dropped requests do not come here: see eio_orphan(). */
void eio_on_release(eio_ctx *ctx, void (*hook)(eio_req *));

/* eio_poll() in parts, for callers that want to own the loop:
 * begin { next [callback] release } end. Nests. eio_next() gives the next
 * request (state FINISHED, perhaps cancelled) or NULL; eio_release() tells its
 * group and leaves the memory to the caller. */
void eio_poll_begin(eio_ctx *ctx);
eio_req *eio_next(eio_ctx *ctx);
void eio_release(eio_ctx *ctx, eio_req *req);
int eio_poll_end(eio_ctx *ctx);

/* Puts a request from eio_next() back, cancelled: the next poll has it first,
 * not to be called back again but to be released. */
void eio_unfinish(eio_ctx *ctx, eio_req *req);

/* Waits until something is done or nothing is outstanding, for at most timeout
 * milliseconds (-1: forever). May execute what is ready and cannot block.
 * Returns 0, or -1 with EINTR or EAGAIN (time is up). Poll afterwards: the
 * wakeup descriptor may not have been made readable for what this function has
 * seen or done by itself. */
int eio_poll_wait(eio_ctx *ctx, int timeout);

/* Requests whose callback has not begun, but for groups that poll has found with
 * members or a feeder that runs. So who polls while there are some, in a callback
 * or a feeder, does not wait for what waits for its return. */
unsigned eio_nreqs(const eio_ctx *ctx);
unsigned eio_nready(const eio_ctx *ctx);   /* not yet executing */
unsigned eio_npending(const eio_ctx *ctx); /* executed, not yet polled */
unsigned eio_nthreads(const eio_ctx *ctx); /* worker threads alive */

/* Limits --------------------------------------------------------------- */

/* At least / at most so many requests execute at a time (defaults 8 and no
 * limit; threads start on demand up to the smaller of the two). Raising the
 * minimum raises the maximum if need be. A maximum of 0 queues without
 * executing. eio_set_max_parallel() waits for threads above the limit to
 * finish what they execute. */
void eio_set_min_parallel(eio_ctx *ctx, unsigned n);
void eio_set_max_parallel(eio_ctx *ctx, unsigned n);
unsigned eio_parallel(const eio_ctx *ctx); /* the smaller of the two */

/* A worker that executes a request that was abandoned, or waits for a lock (EIO_LOCK), does not count against the limits,
 * nor among the threads, as long as there are no more than n (default 1024) of them: others
 * take its place. When it comes back it is one of them again, if there is a place for it. */
void eio_set_max_abandoned(eio_ctx *ctx, unsigned n);
unsigned eio_nabandoned(eio_ctx *ctx); /* how many there are */

/* Classes: a request whose `in_class` is set before it is submitted executes only while fewer than
 * so many of its class do. The others wait, by priority, without keeping anybody else from
 * executing; so what hangs, or is slow, takes no more workers than its class may have. Parts of an
 * operation count one by one, attempts in submit and the ring like any execution; what was
 * abandoned does not, as long as its worker does not. The limits above hold besides.
 *
 * A class is its context's, which frees it. At first it has no limit. NULL with errno. */
eio_class *eio_class_create(eio_ctx *ctx);

/* UINT_MAX: no limit; 0: queues without executing. Those that execute go on. */
void eio_class_set_max_parallel(eio_ctx *ctx, eio_class *which, unsigned n);

struct eio_class_stats {
  unsigned running;      /* execute, or are the next to be executed by a worker */
  unsigned waiting;      /* for a place of the class */
  unsigned max_parallel;
};
void eio_class_get(eio_ctx *ctx, const eio_class *which, struct eio_class_stats *stats);

/* Requests that will not execute, as their class has a limit of 0. */
unsigned eio_nstopped(eio_ctx *ctx);

/* Threads that had nothing to do for `seconds` (default 10) exit while more
 * than n (default 4) are idle. */
void eio_set_max_idle(eio_ctx *ctx, unsigned n);
void eio_set_idle_timeout(eio_ctx *ctx, double seconds);

/* Engines -------------------------------------------------------------- */

/* Chooses the engine for requests submitted from now on: "pool" (threads, the
 * default), "uring" (the kernel's ring where it pays, threads for the rest) or
 * "sync" (executes in eio_submit()). Returns -1 with EINVAL for another name,
 * -1 with the system's errno when the ring is refused; the pool is active
 * then. The ring is created here, never unasked. When it is forbidden later the pool
 * takes its place. */
int eio_set_engine(eio_ctx *ctx, const char *name);

/* The active engine's name; *why (if not NULL) is the reason why the one asked
 * for last is not active, or "". */
const char *eio_engine(const eio_ctx *ctx, const char **why);

/* Another thread is going to own a context that has nothing outstanding: gives
 * up what is bound to this one. The ring is made again by the next submit. */
void eio_hand_over(eio_ctx *ctx);

/* Insight -------------------------------------------------------------- */

/* Counters, which are always kept. */
struct eio_stats {
  uint64_t submitted;       /* requests */
  uint64_t inlined;         /* finished by the inline attempt */
  uint64_t inline_declined; /* attempted inline, went on to a worker */
  uint64_t executed;        /* by workers (or the sync engine) */
  uint64_t parts;           /* of operations that others than their own thread executed */
  uint64_t ring;            /* finished by the ring */
  uint64_t ring_declined;   /* offered to the ring, went on to a worker */
  uint64_t wakeups;         /* writes to the wakeup descriptor */
  uint64_t threads_started;
};
void eio_get_stats(eio_ctx *ctx, struct eio_stats *stats);

/* Requests that are submitted from now on are counted by operation, and of one in `every` the
 * times are taken: 1 is all (each costs four looks at the clock), 0 none and no counting, as at
 * first. -1 with ENOMEM. */
int eio_set_insight(eio_ctx *ctx, unsigned every);

/* Of what eio_next() has handed out. A histogram has in member i how many took from 2^i to
 * 2^(i+1) - 1 nanoseconds; the last one has all that took longer, too. */
enum { EIO_BUCKETS = 44 };
struct eio_op_stats {
  uint64_t count;     /* finished, and not cancelled */
  uint64_t errors;    /* of these */
  uint64_t cancelled; /* besides */
  uint64_t octets;    /* read, written or copied, where the result tells */
  uint64_t declined;  /* attempts in submit or by the ring that a worker had to finish */
  uint64_t timed;     /* of `count`; these are in the histograms */
  uint64_t waiting[EIO_BUCKETS];   /* from submit until execution; not those that submit attempted */
  uint64_t execution[EIO_BUCKETS];
  uint64_t delivery[EIO_BUCKETS];  /* from then until eio_next() */
};
/* NULL as long as nothing has been counted. */
const struct eio_op_stats *eio_op_stats(const eio_ctx *ctx, enum eio_op op);

/* Sets all of these to 0. */
void eio_stats_reset(eio_ctx *ctx);

/* The times of one request, in its callback, in nanoseconds; -1 if they were not taken. */
struct eio_times { uint64_t waiting, execution, delivery; };
int eio_times(const eio_req *req, struct eio_times *times);

/* What the pool goes by, in seconds; 0 as long as it does not know (libeio's README). */
struct eio_pace_stats {
  double hop;  /* from the signal until a sleeping worker runs */
  double step; /* what the owner does for a request */
  double idle; /* until workers that have nothing to do get something */
  double wait; /* until there is a result for an owner that waits */
};
struct eio_op_pace {
  double busy;    /* an execution that did not wait */
  double wait;    /* what an execution waits */
  double attempt; /* one in submit */
};
void eio_get_pace(const eio_ctx *ctx, struct eio_pace_stats *stats);
/* `much`: of requests of 16 KiB or more. */
void eio_get_op_pace(const eio_ctx *ctx, enum eio_op op, int much, struct eio_op_pace *stats);

/* Working directories -------------------------------------------------- */

/* Opens a directory for use as wd or wd2, with one reference; NULL with
 * errno. May block: operation EIO_WD does the same asynchronously. */
eio_wd *eio_wd_open(eio_wd *base, const char *path);

/* References are counted by the owner thread alone. Dropping the last one
 * closes the descriptor. NULL is fine. */
eio_wd *eio_wd_ref(eio_wd *wd);
void eio_wd_unref(eio_wd *wd);

/* Another object for the same directory, wherever that is by now: for another
 * owner thread. NULL with errno. */
eio_wd *eio_wd_dup(const eio_wd *wd);

/* The absolute path that the directory had when it was opened. */
const char *eio_wd_path(const eio_wd *wd);

/* Results -------------------------------------------------------------- */

/* A directory as EIO_READDIR leaves it in `buf` (one block, names included);
 * `result` is the number of entries. When neither EIO_READDIR_DENTS nor an order was
 * asked for `list` is NULL: the names lie one after the other, each with its NUL. */
struct eio_dent {
  uint64_t inode;
  uint32_t name;    /* offset into the block's names, see eio_dent_name() */
  uint16_t namelen; /* without the terminating NUL */
  uint8_t type;     /* EIO_DT_... */
  uint8_t score;    /* private: likeliness of being a directory */
};
struct eio_dents {
  const char *names;
  struct eio_dent *list;
  uint32_t count;
  uint32_t ndirs;   /* EIO_SCANDIR: the first so many are directories */
};
#define eio_dent_name(dents, dent) ((dents)->names + (dent)->name)

enum { /* values of the kernel's d_type */
  EIO_DT_UNKNOWN = 0, EIO_DT_FIFO = 1, EIO_DT_CHR = 2, EIO_DT_DIR = 4,
  EIO_DT_BLK = 6, EIO_DT_REG = 8, EIO_DT_LNK = 10, EIO_DT_SOCK = 12,
  EIO_DT_WHT = 14
};
enum { /* arg1 of EIO_READDIR, before and after */
  EIO_READDIR_DENTS = 0x01,
  EIO_READDIR_DIRS_FIRST = 0x02,
  EIO_READDIR_STAT_ORDER = 0x04,
  EIO_READDIR_FOUND_UNKNOWN = 0x80
};

/* What EIO_STATX leaves in `buf`, laid out as the kernel's struct statx. `mask` has no bit that was
 * not asked for; what it has no bit for is 0, or if stat(2) tells it may be out of date. */
struct eio_statx_time {
  int64_t sec;
  uint32_t nsec;
  int32_t spare;
};
struct eio_statx {
  uint32_t mask, blksize;
  uint64_t attributes;
  uint32_t nlink, uid, gid;
  uint16_t mode, spare;
  uint64_t ino, size, blocks, attributes_mask;
  struct eio_statx_time atime, btime, ctime, mtime;
  uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
  uint64_t mnt_id;
  uint32_t dio_mem_align, dio_offset_align;
  uint64_t subvol;
  uint32_t atomic_write_unit_min, atomic_write_unit_max, atomic_write_segments_max, dio_read_offset_align;
  uint64_t more[9];
};
/* The bits of `mask`, which headers may lack. */
enum {
  EIO_STATX_BASIC = 0x7ff, EIO_STATX_BTIME = 0x800, EIO_STATX_MNT_ID = 0x1000, EIO_STATX_DIOALIGN = 0x2000,
  EIO_STATX_MNT_ID_UNIQUE = 0x4000, EIO_STATX_SUBVOL = 0x8000, EIO_STATX_WRITE_ATOMIC = 0x10000,
  EIO_STATX_DIO_READ_ALIGN = 0x20000
};

/* An extent as EIO_FIEMAP leaves them in `buf`; `result` is their number. */
struct eio_extent {
  uint64_t logical, physical, length;
  uint32_t flags;
};

enum { /* arg1 of EIO_SPEW */
  EIO_SPEW_APPEND = 0x01,    /* behind what is in the file */
  EIO_SPEW_ATOMIC = 0x02,    /* a new file takes the place of the old one when it is whole */
  EIO_SPEW_NOFOLLOW = 0x04,  /* a symbolic link is replaced (ATOMIC), or an error */
  EIO_SPEW_NOREPLACE = 0x08, /* there must be no such name; the file gets it when it is whole */
  EIO_SPEW_MKPATH = 0x10,    /* directories that are missing are made */
  EIO_SPEW_SYNC = 0x20,      /* the data are on the disk before the file gets its name */
  EIO_SPEW_DURABLE = 0x40    /* and the name is, too, in the end */
};
/* What an operation on a tree leaves in `errors`: what it could not do, while it went on with
 * the rest. Freed with the request. */
enum { EIO_ERRORS_MAX = 100 };
struct eio_error {
  char *path;       /* relative to the root of the source; "": the root itself */
  const char *what; /* failed: "open" */
  int errorno;
};
/* What it has done. */
enum eio_done {
  EIO_DONE_DIRECTORIES, EIO_DONE_FILES, EIO_DONE_LINKS, EIO_DONE_OTHERS, /* are there now */
  EIO_DONE_UNCHANGED, EIO_DONE_SKIPPED, EIO_DONE_DELETED,
  EIO_DONE_FAILED, /* entries that could not be copied, or removed */
  EIO_DONE_OCTETS, /* also of files that are not complete */
  EIO_DONE_SPARED, /* octets of files that needed no copy */
  EIO_DONE_KINDS
};
/* One thing that it has done, or could not do. */
struct eio_told {
  struct eio_told *next;
  const char *what; /* "copy", "link", "mkdir", "delete"; what failed */
  int errorno;      /* 0: it is done */
  char path[1];     /* relative to the root, as long as it is */
};
struct eio_errors {
  uint32_t count;   /* the first of them, */
  struct eio_error list[EIO_ERRORS_MAX];
  uint64_t done[EIO_DONE_KINDS]; /* private, see eio_tree_done() */
  struct eio_told *told;         /* private */
};

/* What an operation on a tree has done so far, any time: owner thread. */
void eio_tree_done(const eio_req *req, uint64_t done[EIO_DONE_KINDS]);
/* What has been told since the last call (EIO_CP_TELL...), oldest first; the caller frees each. */
struct eio_told *eio_tree_told(const eio_req *req);

/* arg1 of EIO_CPTREE: one that says what happens to files, links and so on that are there already.
 * 0: they are replaced. */
enum {
  EIO_CP_UPDATE = 1, /* are replaced if size, times, or text differ */
  EIO_CP_SKIP = 2,   /* stay */
  EIO_CP_FAIL = 4,   /* stay, directories too, and that is an error */
  EIO_CP_SYNC = 8,   /* as UPDATE; those that stay get mode and owner, and give way to directories, but for the root */
  EIO_CP_EXISTING = 15,
  /* and flags */
  EIO_CP_MERGE = 0x10,  /* FAIL: directories that are there are used all the same */
  EIO_CP_ONE_FS = 0x20, /* directories on other file systems than the root's are made, but not entered; nothing is
                         * deleted on others than the target root's */
  EIO_CP_DELETE = 0x40, /* SYNC: what the source does not have is removed; directories give way to others */
  EIO_CP_DRY = 0x80,    /* SYNC: nothing is done */
  EIO_CP_TELL = 0x100,  /* what is done is told, and errors */
  EIO_CP_TELL_ERRORS = 0x200
};

enum { EIO_CLOSE_ON_EXEC = 4 }; /* arg1 of EIO_CLOSE_RANGE, as the kernel has it */

enum { EIO_MT_MODIFY = 1 }; /* arg1 of EIO_MTOUCH */
/* arg2 of EIO_MTOUCH: memory of malloc's, or such, with no file behind it that
 * somebody might truncate. It is touched without asking the kernel first. */
enum { EIO_MT_PLAIN = 1 };

/* What a row of eio_ops.def says, for callers that derive from it. */
enum eio_result_kind {
#define EIO_RESULT(kind) EIO_R_##kind,
#include "eio_results.def"
#undef EIO_RESULT
  EIO_RESULT_KINDS
};
struct eio_op_info {
  const char *name; /* "read" */
  const char *args; /* letters, see eio_ops.def */
  enum eio_result_kind result;
  unsigned char on_request; /* give its function only to those who ask for it */
};
const struct eio_op_info *eio_op_info(enum eio_op op);

#include "eio_walk.h"

#ifdef __cplusplus
}
#endif

#endif
