/* eio_uring.c - the engine that uses the kernel's ring for what gains by it.
 * What that is, and what the ring is asked to do, is in eio_uring_ops.c.
 *
 * The ring belongs to the owner thread. It is set up when the program asks for
 * the engine, never before, and given up when the system refuses it. Each
 * request is submitted at once, so nothing is left lying when control returns
 * to the caller. The ring signals the context's wakeup descriptor.
 *
 * Declining is normal: a prepare function may say no, the ring may be full,
 * the kernel may answer that it cannot; the request takes the pool then. */
#include "eio_int.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "eio_plat.h"

static void refused(eio_ctx *ctx, const char *what, int error)
{
  snprintf(ctx->why, sizeof ctx->why, "uring: %s: %s", what, strerror(error));
  errno = error;
}

#if EIO_HAVE_LIBURING

#include <liburing.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 256

struct eio_ring {
  struct io_uring uring;
  struct eio_queue flying; /* what the kernel has */
  bool signaled;           /* it may have signaled since the last clear */
  bool kept;               /* by a thread, besides its descriptor */
  long keeper;             /* which one */
  bool mute;               /* it cannot signal: takes no more, is given up when empty */
};

/* Setting up and giving up --------------------------------------------- */

/* The thread itself keeps the ring, besides the descriptor, so that what flies comes
 * back when the program has closed that. */
static bool keep(struct eio_ring *ring)
{
#if defined(IORING_SETUP_DEFER_TASKRUN)
  ring->kept = io_uring_register_ring_fd(&ring->uring) >= 0;
  ring->keeper = syscall(SYS_gettid);
#endif
  return ring->kept;
}

/* Perl destroys the context of a thread that has ended, with all that it kept, in the
 * thread that joins it, which may keep another ring by the same number. That one is not
 * to be given up by liburing: no ring has this number. */
static void disown(struct eio_ring *ring)
{
#if defined(IORING_SETUP_DEFER_TASKRUN)
  if (!ring->kept || ring->keeper == syscall(SYS_gettid))
    return;
  ring->kept = false;
  ring->uring.enter_ring_fd = -1;
#else
  (void)ring;
#endif
}

/* The program has closed the descriptor: to say that, any other ring will do. */
static void stop_keeping(struct eio_ring *ring)
{
#if defined(IORING_SETUP_DEFER_TASKRUN)
  struct io_uring other;

  if (!ring->kept || io_uring_queue_init(1, &other, 0) < 0)
    return;
  ring->uring.ring_fd = other.ring_fd;
  io_uring_unregister_ring_fd(&ring->uring);
  io_uring_queue_exit(&other);
  ring->uring.ring_fd = -1;
#else
  (void)ring;
#endif
}

/* The best mode that the kernel has: completions are handled when we ask for
 * them, which takes a ring that is kept; or at least without interrupting the
 * program's system calls. */
static int open_ring(struct eio_ring *ring)
{
  static const unsigned modes[] = {
#if defined(IORING_SETUP_DEFER_TASKRUN)
    IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_TASKRUN_FLAG,
#endif
#if defined(IORING_SETUP_COOP_TASKRUN)
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
#endif
    0
  };
  int error = -EINVAL;

  for (size_t i = 0; error == -EINVAL && i < sizeof modes / sizeof *modes; i++) {
    struct io_uring_params params = { .flags = modes[i] };

    error = io_uring_queue_init_params(ENTRIES, &ring->uring, &params);
    if (!error && !keep(ring) && modes[i]) {
      io_uring_queue_exit(&ring->uring);
      error = -EINVAL;
    }
  }
  return error;
}

/* liburing's own is missing before version 2.2. Returns 0, or an error, negative. */
static int get_events(struct io_uring *uring)
{
#if defined(IORING_SETUP_DEFER_TASKRUN)
  return io_uring_get_events(uring);
#else
  return syscall(__NR_io_uring_enter, uring->ring_fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0) < 0 ? -errno : 0;
#endif
}

/* All three calls are tried: a sandbox may know the first and refuse the others. Returns
 * the one that is refused, NULL if none. */
static const char *set_up(struct eio_ring *ring, int wake_fd, int *error)
{
  const char *what = "io_uring_register";

  if ((*error = open_ring(ring)) < 0)
    return "io_uring_setup";
  *error = io_uring_register_eventfd(&ring->uring, wake_fd);
  if (*error >= 0)
    *error = io_uring_ring_dontfork(&ring->uring);
  if (*error >= 0) {
    what = "io_uring_enter";
    *error = get_events(&ring->uring);
  }
  if (*error >= 0)
    return NULL;
  io_uring_queue_exit(&ring->uring);
  return what;
}

int eio__ring_create(eio_ctx *ctx)
{
  struct eio_ring *ring = calloc(1, sizeof *ring);
  const char *what;
  int error;

  if (!ring || ctx->wake.fd[0] != ctx->wake.fd[1]) {
    free(ring);
    refused(ctx, ring ? "no eventfd" : "memory", ring ? ENOSYS : ENOMEM);
    return -1;
  }
  if ((what = set_up(ring, ctx->wake.fd[0], &error))) {
    free(ring);
    refused(ctx, what, -error);
    return -1;
  }
  ctx->ring = ring;
  return 0;
}

/* Whether the program has not closed the ring's descriptor: the number may be
 * another file's by now. This call with nothing to do fails in one way for rings,
 * also in the child of a fork, and in these two for anything else. (fstat() would
 * not do: ThreadSanitizer, which does not see liburing's close(), would take the
 * next file of this number for the ring.) */
static bool ring_is_intact(const struct eio_ring *ring)
{
  return syscall(__NR_io_uring_register, ring->uring.ring_fd, IORING_REGISTER_PROBE, NULL, 0) == 0
         || (errno != EBADF && errno != EOPNOTSUPP);
}

void eio__ring_destroy(eio_ctx *ctx)
{
  if (!ctx->ring)
    return;
  disown(ctx->ring);
  if (!ring_is_intact(ctx->ring)) {
    ctx->ring->uring.ring_fd = -1; /* not to be closed */
    stop_keeping(ctx->ring);
  }
  io_uring_queue_exit(&ctx->ring->uring);
  free(ctx->ring);
  ctx->ring = NULL;
}

/* In the child of a fork the ring's memory is not mapped; only its descriptor
 * is there. What the kernel does for the parent goes on there. */
void eio__ring_after_fork(eio_ctx *ctx)
{
  struct eio_ring *ring = ctx->ring;
  eio_req *req;

  if (!ring)
    return;
  while ((req = eio_queue_pop(&ring->flying))) {
    eio__state(ctx, req, EIO_DONE);
    eio__flag_set(req, EIO_ORPHAN | EIO_CANCELLED);
    eio_queue_push(&ctx->orphans, req);
  }
  if (ring_is_intact(ring))
    close(ring->uring.ring_fd);
  free(ring);
  ctx->ring = NULL;
}

static void send_cancel(struct eio_ring *ring, eio_req *req)
{
  struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

  if (!sqe) {
    io_uring_submit(&ring->uring);
    sqe = io_uring_get_sqe(&ring->uring);
  }
  if (!sqe)
    return;
  io_uring_prep_cancel(sqe, req, 0);
  io_uring_sqe_set_data(sqe, NULL);
  io_uring_submit(&ring->uring);
}

/* Drops what is flying; it comes back as orphans, when the kernel is done. */
void eio__ring_drop(eio_ctx *ctx)
{
  struct eio_ring *ring = ctx->ring;

  if (!ring)
    return;
  for (int n = 0; n < EIO_NPRI; n++)
    for (eio_req *req = ring->flying.head[n]; req; req = req->next) {
      eio__flag_set(req, EIO_ORPHAN | EIO_CANCELLED);
      send_cancel(ring, req);
    }
}

bool eio__ring_is_mute(eio_ctx *ctx)
{
  struct eio_ring *ring = ctx->ring;

  if (!ring)
    return false;
  if (!ring_is_intact(ring)) {
    ring->uring.ring_fd = -1; /* the number may be somebody else's next */
    ring->mute = true;
  }
  if (ring->mute && !ring->flying.length) {
    eio__ring_destroy(ctx); /* the next submit makes another */
    return false;
  }
  return ring->mute;
}

void eio__ring_rewire(eio_ctx *ctx)
{
  struct eio_ring *ring = ctx->ring;

  if (!ring)
    return;
  io_uring_unregister_eventfd(&ring->uring);
  ring->mute = io_uring_register_eventfd(&ring->uring, ctx->wake.fd[0]) < 0;
  eio__ring_is_mute(ctx);
}

void eio__ring_cancel(eio_ctx *ctx, eio_req *req)
{
  if (__atomic_load_n(&req->state, __ATOMIC_RELAXED) == EIO_FLYING) /* a worker may change others */
    send_cancel(ctx->ring, req);
}

/* Submit --------------------------------------------------------------- */

/* The ring takes a request, and a place for it, that could be executed at once and does not
 * overtake one of higher priority, or any at all when a limit has been set. */
static bool may_fly(eio_ctx *ctx, const eio_req *req)
{
  unsigned ahead;

  if (!eio__ops[req->op].prepare || req->flags & EIO_FAILED)
    return false;
  pthread_mutex_lock(&ctx->lock);
  eio__take_incoming(ctx);
  ahead = ctx->max_parallel == UINT_MAX ? ctx->ready.used >> (req->pri - EIO_PRI_MIN) >> 1
    : ctx->ready.used;
  pthread_mutex_unlock(&ctx->lock);
  return !ahead && eio__places_take(ctx, req->in_class);
}

/* The program has locked itself in since: the ring takes no more. */
static void give_up(eio_ctx *ctx, int error)
{
  if (error != EPERM && error != EACCES && error != ENOSYS)
    return; /* it may take the next */
  refused(ctx, "io_uring_enter", error);
  ctx->ring->mute = true;
  ctx->engine = &eio__engine_pool;
}

/* No more than the ring has room for when they complete. (To cancel one, the kernel looks
 * for it among them.) */
static bool fly(eio_ctx *ctx, eio_req *req)
{
  struct eio_ring *ring = ctx->ring;
  struct io_uring_sqe prepared = { 0 }, *sqe;
  int result;

  if (ring->flying.length >= ring->uring.cq.ring_entries || !eio__ops[req->op].prepare(ctx, req, &prepared)
      || !(sqe = io_uring_get_sqe(&ring->uring)))
    return false;
  *sqe = prepared;
  io_uring_sqe_set_data(sqe, req);
  result = io_uring_submit(&ring->uring);
  if (result < 0) {
    io_uring_prep_nop(sqe); /* not consumed: take the request off it */
    io_uring_sqe_set_data(sqe, NULL);
    give_up(ctx, -result);
    return false;
  }
  eio__state(ctx, req, EIO_FLYING);
  eio_queue_push(&ring->flying, req);
  return true;
}

static void uring_submit(eio_ctx *ctx, eio_req *req)
{
  if (ctx->ring && ctx->ring->mute)
    eio__ring_is_mute(ctx);
  if (!ctx->ring && eio__ring_create(ctx) < 0)
    ctx->engine = &eio__engine_pool; /* after a fork, when it is refused now */
  else if (!ctx->ring->mute && may_fly(ctx, req)) {
    if (fly(ctx, req)) {
      eio__ring_reap(ctx);
      return;
    }
    eio__places_give(ctx, req->in_class);
    ctx->stats.ring_declined++;
    eio__insight_declined(ctx, req);
  }
  eio__pool_submit(ctx, req);
}

const struct eio_engine eio__engine_uring = { "uring", uring_submit };

/* Completion ----------------------------------------------------------- */

/* Errors that the ring may have of its own. Others are believed: what a sync reports it
 * reports once. */
static bool is_refusal(int error)
{
  return error == EAGAIN || error == EOPNOTSUPP || error == EINTR || error == ECANCELED
         || error == EINVAL || error == ENOMEM;
}

/* A short read is believed only at the end of a file. */
static bool is_certain(const eio_req *req, int res)
{
  uint64_t size;
  mode_t mode;

  if (res < 0)
    return !is_refusal(-res);
  if (req->op != EIO_READ || (uint64_t)res == req->size)
    return true;
  return eio_p_peek(req->fd, &mode, &size) && (!S_ISREG(mode) || (uint64_t)req->offs + (unsigned)res >= size);
}

static void land(eio_ctx *ctx, eio_req *req, int res)
{
  eio_queue_remove(&ctx->ring->flying, req);
  if (eio__flag(req, EIO_ORPHAN)) {
    pthread_mutex_lock(&ctx->lock);
    eio__state(ctx, req, EIO_DONE);
    eio_queue_push(&ctx->orphans, req);
    pthread_mutex_unlock(&ctx->lock);
    return;
  }
  if (!eio__cancelled(req) && !is_certain(req, res)) {
    ctx->stats.ring_declined++;
    eio__insight_declined(ctx, req);
    eio__pool_return(ctx, req);
    return;
  }
  req->result = res < 0 ? -1 : res;
  req->errorno = res < 0 ? -res : 0;
  ctx->stats.ring++;
  eio__finish_here(ctx, req);
  eio__places_give(ctx, req->in_class); /* only now: no worker is to be done before */
  eio__pool_tell(ctx, EIO_EV_FREED);
}

static bool needs_entering(struct io_uring *uring)
{
  unsigned flags = __atomic_load_n(uring->sq.kflags, __ATOMIC_ACQUIRE);

#if defined(IORING_SQ_TASKRUN)
  if (flags & IORING_SQ_TASKRUN)
    return true;
#endif
  return flags & IORING_SQ_CQ_OVERFLOW;
}

void eio__ring_reap(eio_ctx *ctx)
{
  struct eio_ring *ring = ctx->ring;
  struct io_uring_cqe *cqe;

  if (needs_entering(&ring->uring))
    get_events(&ring->uring);
  while (io_uring_cq_ready(&ring->uring)) {
    eio_req *req;
    int res;

    if (io_uring_peek_cqe(&ring->uring, &cqe) < 0)
      break;
    req = io_uring_cqe_get_data(cqe);
    res = cqe->res;
    io_uring_cqe_seen(&ring->uring, cqe);
    ring->signaled = true;
    if (req)
      land(ctx, req, res);
  }
}

bool eio__ring_ready(const eio_ctx *ctx)
{
  struct io_uring *uring = &ctx->ring->uring;

  return io_uring_cq_ready(uring) || needs_entering(uring);
}

/* Whether the wakeup descriptor may be readable on the ring's account. */
bool eio__ring_signaled(eio_ctx *ctx)
{
  bool was = ctx->ring->signaled || ctx->ring->flying.length;

  ctx->ring->signaled = false;
  return was;
}

#else /* !EIO_HAVE_LIBURING */

int eio__ring_create(eio_ctx *ctx)
{
  refused(ctx, "built without liburing", ENOSYS);
  return -1;
}

void eio__ring_destroy(eio_ctx *ctx) { (void)ctx; }
void eio__ring_after_fork(eio_ctx *ctx) { (void)ctx; }
void eio__ring_drop(eio_ctx *ctx) { (void)ctx; }
void eio__ring_rewire(eio_ctx *ctx) { (void)ctx; }
bool eio__ring_is_mute(eio_ctx *ctx) { (void)ctx; return false; }
void eio__ring_cancel(eio_ctx *ctx, eio_req *req) { (void)ctx, (void)req; }
void eio__ring_reap(eio_ctx *ctx) { (void)ctx; }
bool eio__ring_ready(const eio_ctx *ctx) { (void)ctx; return false; }
bool eio__ring_signaled(eio_ctx *ctx) { (void)ctx; return false; }

const struct eio_engine eio__engine_uring = { "uring", eio__pool_submit };

#endif
