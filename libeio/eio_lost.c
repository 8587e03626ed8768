/* eio_lost.c - workers that count no more: what they execute was abandoned, or waits for others
 * who may take as long as they like, as a lock does. Others may take their places meanwhile.
 *
 * There are no more of them than eio_set_max_abandoned() says; who would be one too many keeps its
 * place. A worker that is lost is one again, or leaves, when what it executes ends: see
 * eio_worker.c. All of this is guarded by the context's lock. */
#include "eio_pool.h"

#include <fcntl.h>
#include <stdlib.h>
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

/* The worker's own descriptor, in `buf`, so that the child of a fork, which has no such worker, can
 * close it with the request. (It has one for good that is born just when this is being closed.) */
struct apart {
  int fd;
  struct eio_own file;
};

int eio__apart_begin(eio_req *req)
{
  struct worker *w = eio__worker();
  struct apart *apart;
  eio_ctx *ctx;
  int fd;

  if (!w)
    return req->fd;
  ctx = w->ctx;
  apart = malloc(sizeof *apart);
  if (!apart || eio__own_note(&apart->file, req->fd) < 0) { /* without the lock: servers may be asked */
    free(apart);
    return -1;
  }
  pthread_mutex_lock(&ctx->lock);
  fd = apart->fd = fcntl(req->fd, F_DUPFD_CLOEXEC, 0);
  req->buf = apart;
  if (fd >= 0 && lose(ctx, w, req->in_class))
    eio__worker_sends(ctx);
  else
    pthread_mutex_unlock(&ctx->lock);
  return fd;
}

bool eio__apart_is_intact(const eio_req *req)
{
  const struct apart *apart = req->buf;

  return !apart || eio__own_is_intact(&apart->file, apart->fd);
}

/* What is not ours any more is not closed. */
void eio__apart_end(eio_req *req)
{
  struct worker *w = eio__worker();
  struct apart *apart = req->buf;
  int saved = errno;

  if (w)
    pthread_mutex_lock(&w->ctx->lock);
  req->buf = NULL;
  if (w)
    pthread_mutex_unlock(&w->ctx->lock);
  if (apart && eio__own_is_intact(&apart->file, apart->fd))
    close(apart->fd);
  free(apart);
  errno = saved;
}

/* Whether they still are is not looked at, as servers may have to be asked. */
int eio__apart_next(const eio_ctx *ctx, int from)
{
  int next = -1;

  for (const struct worker *w = ctx->pool->all; w; w = w->next) {
    const struct apart *apart = w->current && w->current->op == EIO_LOCK ? w->current->buf : NULL;

    if (apart && apart->fd >= from && (next < 0 || apart->fd < next))
      next = apart->fd;
  }
  return next;
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
