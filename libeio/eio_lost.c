/* eio_lost.c - workers that count no more: what they execute was abandoned, or waits for others
 * who may take as long as they like, as a lock does. Others may take their places meanwhile.
 *
 * There are no more of them than eio_set_max_abandoned() says; who would be one too many keeps its
 * place. A worker that is lost is one again, or leaves, when what it executes ends: see
 * eio_worker.c. All of this is guarded by the context's lock. */
#include "eio_pool.h"

#include <fcntl.h>
#include <unistd.h>

/* As many as gain something by waiting for one disk at the same time. */
enum { MOST_ASIDE = 32 };

/* Returns whether it is lost now. */
static bool lose(eio_ctx *ctx, struct worker *w, eio_class *class)
{
  struct eio_pool *pool = ctx->pool;

  if (w->abandoned || w->lost || pool->nlost >= pool->max_lost)
    return false;
  w->lost = true;
  pool->nlost++;
  pool->nthreads--;
  eio__set_load(pool, w, 0);
  eio__class_leave(ctx, class);
  eio__slot_give(ctx);
  return true;
}

void eio__pool_give_up(eio_ctx *ctx, eio_req *req)
{
  pthread_mutex_lock(&ctx->lock);
  eio__flag_set(req, EIO_CANCELLED | EIO_LATE);
  for (struct worker *w = ctx->pool->all; w; w = w->next)
    if (w->current == req)
      lose(ctx, w, req->in_class);
  pthread_mutex_unlock(&ctx->lock);
}

/* The worker's own descriptor, in arg2, so that the child of a fork, which has no such worker, can
 * close it with the request. (It has one for good that is born just when this is being closed.) */
int eio__apart_begin(eio_req *req)
{
  struct worker *w = eio__worker();
  eio_ctx *ctx;
  int fd;

  if (!w)
    return req->fd;
  ctx = w->ctx;
  pthread_mutex_lock(&ctx->lock);
  fd = fcntl(req->fd, F_DUPFD_CLOEXEC, 0);
  if (fd >= 0)
    req->arg2 = fd + 1;
  if (fd >= 0 && lose(ctx, w, req->in_class))
    eio__worker_sends(ctx);
  else
    pthread_mutex_unlock(&ctx->lock);
  return fd;
}

void eio__apart_end(eio_req *req)
{
  struct worker *w = eio__worker();
  int fd = req->arg2 - 1, saved = errno;

  if (!w)
    return;
  pthread_mutex_lock(&w->ctx->lock);
  req->arg2 = 0;
  pthread_mutex_unlock(&w->ctx->lock);
  close(fd);
  errno = saved;
}

/* One of a class keeps its place, as it counts there, and so does who keeps the order. */
void eio__step_aside(const eio_req *req)
{
  struct worker *w = eio__worker();
  eio_ctx *ctx = w ? w->ctx : NULL;

  if (!w || req->in_class || atomic_load(&ctx->max_running) == 1)
    return;
  pthread_mutex_lock(&ctx->lock);
  if (ctx->pool->nlost < MOST_ASIDE && lose(ctx, w, NULL))
    eio__worker_sends(ctx);
  else
    pthread_mutex_unlock(&ctx->lock);
}

void eio_set_max_abandoned(eio_ctx *ctx, unsigned n)
{
  pthread_mutex_lock(&ctx->lock);
  ctx->pool->max_lost = n;
  pthread_mutex_unlock(&ctx->lock);
}

unsigned eio_nabandoned(eio_ctx *ctx)
{
  unsigned n;

  pthread_mutex_lock(&ctx->lock);
  n = ctx->pool->nlost;
  pthread_mutex_unlock(&ctx->lock);
  return n;
}
