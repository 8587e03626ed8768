/* eio_wait.c - requests that wait for descriptors, for days perhaps, and take no worker.
 *
 * Rows with the flag WAITS are not executed: while they are RUNNING they are in ctx->waiting, and
 * a thread of the context's own polls the descriptors of all of them. There is one while
 * requests wait, and for a moment after that. They take no place (max_parallel), do not count as
 * threads, and engines have nothing to do with them; cancelling one, or its deadline, takes it out of
 * the queue like one that waits for a worker.
 *
 * Lock: ctx->lock guards ctx->waiting and what is marked (L); it is not held while the thread polls.
 * What it polls for it knows by a number that says whether the queue is still the same.
 *
 * The program may close the thread's own descriptors while it sleeps on them. They are a pipe: when the other
 * side is closed, by the program or by who finds that something is wrong (rouse()), the thread wakes, and makes
 * another one. If it cannot, all that waits fails, and the thread ends. But poll(2) looks up the number when
 * it wakes, and where that is another file's goes to sleep again: so it looks every so often, too, as it has to
 * for those descriptors that requests wait for and that are closed meanwhile. */
#include "eio_int.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "eio_plat.h"

/* The thread ends when nothing has waited for so long. */
enum { IDLE_MS = 100 };

struct eio_waiter {
  pthread_t thread;
  struct eio_wake wake;  /* something has changed; (L), but for the number that the thread polls */
  struct pollfd *fds;    /* the thread's: the first is `wake` */
  unsigned room;
  uint64_t seen;         /* the thread's: `changes` when they were copied */
  uint64_t changes;      /* (L) of the queue */
  bool quit;             /* (L) */
  bool over;             /* (L) the thread ends, `wake` is closed */
};

static short events_of(const eio_req *req)
{
  return (short)(req->arg1 ? req->arg1 : POLLIN);
}

/* Copies what is to be polled; lock held. Returns how many, with `wake`; 0 without memory. */
static unsigned copy(eio_ctx *ctx, struct eio_waiter *w)
{
  unsigned n = 1;

  if (ctx->waiting.length + 1 > w->room) {
    unsigned room = 2 * ctx->waiting.length + 16;
    struct pollfd *fds = realloc(w->fds, room * sizeof *fds);

    if (!fds)
      return 0;
    w->fds = fds;
    w->room = room;
  }
  w->fds[0] = (struct pollfd){ w->wake.fd[0], POLLIN, 0 };
  for (int i = 0; i < EIO_NPRI; i++)
    for (eio_req *req = ctx->waiting.head[i]; req; req = req->next)
      w->fds[n++] = (struct pollfd){ req->fd, events_of(req), 0 };
  w->seen = w->changes;
  return n;
}

static void finish(eio_ctx *ctx, eio_req *req, int result, int error)
{
  eio_queue_remove(&ctx->waiting, req);
  ctx->waiter->changes++;
  req->result = result;
  req->errorno = error;
  ctx->executed++;
  eio__finished(ctx, req);
}

/* Finishes those whose descriptors are ready, if they are still those that were copied; lock held. */
static void finish_ready(eio_ctx *ctx, struct eio_waiter *w)
{
  unsigned n = 1;

  if (w->seen != w->changes)
    return;
  for (int i = 0; i < EIO_NPRI; i++)
    for (eio_req *req = ctx->waiting.head[i], *next; req; req = next) {
      int revents = w->fds[n++].revents;

      next = req->next;
      if (revents)
        finish(ctx, req, revents & POLLNVAL ? -1 : revents, revents & POLLNVAL ? EBADF : 0);
    }
}

static void fail_all(eio_ctx *ctx, int error)
{
  eio_req *req;

  while ((req = eio_queue_first(&ctx->waiting)))
    finish(ctx, req, -1, error);
}

/* The thread has slept: its own descriptor is made fit for the next time. False when there is none. */
static bool heed(struct eio_waiter *w)
{
  if (!eio__wake_repair(&w->wake))
    eio__wake_clear(&w->wake);
  return w->wake.fd[0] >= 0;
}

/* Wakes the thread. Lock held. */
static void rouse(struct eio_waiter *w)
{
  eio__wake_repair(&w->wake); /* which closes what is left, and so wakes it */
  eio__wake_set(&w->wake);    /* it may be about to sleep, on the new one under the old number */
}

static void *waiter_thread(void *arg)
{
  eio_ctx *ctx = arg;
  struct eio_waiter *w;
  int ready = 1;

  pthread_mutex_lock(&ctx->lock);
  w = ctx->waiter;
  while (!w->quit && (ready || ctx->waiting.length)) {
    unsigned n = copy(ctx, w);
    bool idle = !ctx->waiting.length;

    if (!n) {
      fail_all(ctx, ENOMEM);
      break; /* rather than to ask for it again and again */
    }
    pthread_mutex_unlock(&ctx->lock);
    ready = poll(w->fds, n, idle ? IDLE_MS : EIO_LOOK_MS);
    pthread_mutex_lock(&ctx->lock);
    if (ready < 0 && errno != EINTR) /* signals are blocked, but debuggers interrupt */
      fail_all(ctx, errno);
    else if (ready > 0)
      finish_ready(ctx, w);
    if (!heed(w)) {
      fail_all(ctx, errno);
      break;
    }
  }
  eio__wake_close(&w->wake);
  free(w->fds);
  w->over = true;
  pthread_mutex_unlock(&ctx->lock);
  return NULL;
}

/* An error's number. Nothing waits, so nobody touches ctx->waiter. */
static int start(eio_ctx *ctx)
{
  struct eio_waiter *w = calloc(1, sizeof *w);
  int error;

  if (!w)
    return ENOMEM;
  if (eio__wake_open(&w->wake, true) < 0) {
    error = errno;
    free(w);
    return error;
  }
  pthread_mutex_lock(&ctx->lock); /* the thread begins when it is known */
  error = eio_p_thread(&w->thread, waiter_thread, ctx);
  if (!error)
    ctx->waiter = w;
  pthread_mutex_unlock(&ctx->lock);
  if (!error)
    return 0;
  eio__wake_close(&w->wake);
  free(w);
  return error;
}

static void end(eio_ctx *ctx)
{
  struct eio_waiter *w = ctx->waiter;

  pthread_join(w->thread, NULL);
  pthread_mutex_lock(&ctx->lock); /* others look at its descriptor */
  ctx->waiter = NULL;
  pthread_mutex_unlock(&ctx->lock);
  free(w);
}

const struct eio_wake *eio__wait_wake(const eio_ctx *ctx)
{
  return ctx->waiter && !ctx->waiter->over ? &ctx->waiter->wake : NULL;
}

/* Puts a request into the queue; false when there is no thread that looks at it. */
static bool enqueue(eio_ctx *ctx, eio_req *req)
{
  struct eio_waiter *w = ctx->waiter;
  bool there;

  if (!w)
    return false;
  pthread_mutex_lock(&ctx->lock);
  there = !w->over;
  if (there) {
    eio_queue_push(&ctx->waiting, req);
    w->changes++;
    rouse(w);
  }
  pthread_mutex_unlock(&ctx->lock);
  if (!there)
    end(ctx);
  return there;
}

void eio__wait_submit(eio_ctx *ctx, eio_req *req)
{
  int error = 0;

  eio__state(ctx, req, EIO_RUNNING);
  while (!enqueue(ctx, req))
    if ((error = start(ctx)))
      break;
  if (!error)
    return;
  req->result = -1;
  req->errorno = error;
  eio__finish_here(ctx, req);
}

bool eio__wait_take(eio_ctx *ctx, eio_req *req)
{
  if (!eio__waits(req) || !ctx->waiter || req->state != EIO_RUNNING)
    return false;
  eio_queue_remove(&ctx->waiting, req);
  ctx->waiter->changes++;
  rouse(ctx->waiter); /* or it would keep the descriptor's file open */
  return true;
}

void eio__wait_dropped(eio_ctx *ctx)
{
  if (!ctx->waiter || ctx->waiter->over)
    return;
  ctx->waiter->changes++;
  rouse(ctx->waiter);
}

void eio__wait_destroy(eio_ctx *ctx)
{
  if (!ctx->waiter)
    return;
  pthread_mutex_lock(&ctx->lock);
  ctx->waiter->quit = true;
  eio__wait_dropped(ctx);
  pthread_mutex_unlock(&ctx->lock);
  end(ctx);
}

void eio__wait_after_fork(eio_ctx *ctx)
{
  struct eio_waiter *w = ctx->waiter;

  if (!w)
    return;
  if (!w->over) {
    eio__wake_close(&w->wake);
    free(w->fds);
  }
  free(w);
  ctx->waiter = NULL;
}

/* Where there is no context: eio_execute(). */
int64_t eio_x_wait(eio_req *req)
{
  struct pollfd fd = { req->fd, events_of(req), 0 };
  int result;

  EIO_RETRY(result, poll(&fd, 1, -1));
  if (result > 0 && fd.revents & POLLNVAL)
    errno = EBADF;
  return result < 0 || fd.revents & POLLNVAL ? -1 : fd.revents;
}
