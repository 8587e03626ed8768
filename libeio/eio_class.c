/* eio_class.c - classes of requests: so many of each execute at a time.
 *
 * A request of a class has a place there from the moment when it is put into `ready` (or when the
 * owner or the ring begins with it) until it has been executed, and a part has one of its own. For
 * want of a place a request waits in the queue of its class, where nothing else waits for it.
 * Whoever gives a place back puts the first of these into `ready`, under the lock, and tells (or
 * goes to the queue) as for any other place: so what is in `ready` may be taken by anybody, and
 * the pool knows nothing of classes.
 *
 * Always: where one waits, no place is free. Everything is guarded by the context's lock. */
#include "eio_parts.h"

#include <limits.h>
#include <stdlib.h>

struct eio_class {
  eio_class *next;         /* of the context's, which frees them */
  atomic_uint running;     /* (L) places that are taken */
  atomic_uint max;         /* (L) places */
  struct eio_queue waiting;
};

bool eio__class_has_room(const eio_class *class)
{
  return !class || eio__admits(atomic_load(&class->running), atomic_load(&class->max));
}

bool eio__class_enter(eio_class *class)
{
  if (!eio__class_has_room(class))
    return false;
  if (class)
    atomic_fetch_add(&class->running, 1);
  return true;
}

static void hold(eio_ctx *ctx, eio_req *req)
{
  eio__flag_set(req, EIO_HELD);
  eio_queue_push(&req->in_class->waiting, req);
  atomic_fetch_add(&ctx->nheld, 1);
}

static eio_req *let_go(eio_ctx *ctx, eio_class *class)
{
  eio_req *req = eio_queue_pop(&class->waiting);

  eio__flag_clear(req, EIO_HELD);
  atomic_fetch_sub(&ctx->nheld, 1);
  return req;
}

void eio__class_push(eio_ctx *ctx, eio_req *req)
{
  if (eio__class_enter(req->in_class))
    eio_queue_push(&ctx->ready, req);
  else
    hold(ctx, req);
}

static void fill(eio_ctx *ctx, eio_class *class)
{
  while (class->waiting.length && eio__class_enter(class))
    eio_queue_push(&ctx->ready, let_go(ctx, class));
}

void eio__class_leave(eio_ctx *ctx, eio_class *class)
{
  if (!class)
    return;
  atomic_fetch_sub(&class->running, 1);
  fill(ctx, class);
}

void eio__class_remove(eio_ctx *ctx, eio_req *req)
{
  if (!eio__flag(req, EIO_HELD)) {
    eio_queue_remove(&ctx->ready, req);
    eio__class_leave(ctx, req->in_class);
    return;
  }
  eio__flag_clear(req, EIO_HELD);
  eio_queue_remove(&req->in_class->waiting, req);
  atomic_fetch_sub(&ctx->nheld, 1);
}

bool eio__places_take(eio_ctx *ctx, eio_class *class)
{
  bool entered = true;

  if (class) {
    pthread_mutex_lock(&ctx->lock);
    eio__take_incoming(ctx); /* who was first, is */
    entered = eio__class_enter(class);
    pthread_mutex_unlock(&ctx->lock);
  }
  if (!entered || eio__slot_take(ctx))
    return entered;
  eio__class_give(ctx, class);
  return false;
}

void eio__class_give(eio_ctx *ctx, eio_class *class)
{
  if (!class)
    return;
  pthread_mutex_lock(&ctx->lock);
  eio__class_leave(ctx, class);
  pthread_mutex_unlock(&ctx->lock);
}

void eio__places_give(eio_ctx *ctx, eio_class *class)
{
  eio__class_give(ctx, class);
  eio__slot_give(ctx);
}

void eio__classes_drop(eio_ctx *ctx, struct eio_queue *dropped)
{
  for (eio_class *class = ctx->classes; class; class = class->next) {
    while (class->waiting.length)
      eio_queue_push(dropped, let_go(ctx, class));
    atomic_store(&class->running, 0);
  }
}

void eio__classes_unlimit(eio_ctx *ctx)
{
  for (eio_class *class = ctx->classes; class; class = class->next)
    atomic_store(&class->max, UINT_MAX);
}

void eio__classes_free(eio_ctx *ctx)
{
  for (eio_class *class = ctx->classes, *next; class; class = next) {
    next = class->next;
    free(class);
  }
}

/* For callers ------------------------------------------------------------ */

eio_class *eio_class_create(eio_ctx *ctx)
{
  eio_class *class = calloc(1, sizeof *class);

  if (!class)
    return NULL;
  atomic_init(&class->max, UINT_MAX);
  pthread_mutex_lock(&ctx->lock);
  class->next = ctx->classes;
  ctx->classes = class;
  pthread_mutex_unlock(&ctx->lock);
  return class;
}

/* What has a place, and waits all the same for a worker, gives it back and is first in the queue
 * of its class again. */
static void call_back(eio_ctx *ctx, eio_class *class)
{
  struct eio_queue ready = ctx->ready, later = class->waiting;
  eio_req *req;

  eio_queue_init(&ctx->ready);
  eio_queue_init(&class->waiting);
  while ((req = eio_queue_pop(&ready)))
    if (req->in_class != class || req->op == EIO_PART)
      eio_queue_push(&ctx->ready, req);
    else {
      hold(ctx, req);
      atomic_fetch_sub(&class->running, 1);
    }
  eio_queue_append(&class->waiting, &later);
}

void eio_class_set_max_parallel(eio_ctx *ctx, eio_class *class, unsigned n)
{
  pthread_mutex_lock(&ctx->lock);
  eio__take_incoming(ctx);
  atomic_store(&class->max, n);
  if (atomic_load(&class->running) > n)
    call_back(ctx, class);
  fill(ctx, class);
  pthread_mutex_unlock(&ctx->lock);
  eio__class_changed(ctx);
}

void eio_class_get(eio_ctx *ctx, const eio_class *class, struct eio_class_stats *stats)
{
  pthread_mutex_lock(&ctx->lock);
  eio__take_incoming(ctx);
  *stats = (struct eio_class_stats){ .running = atomic_load(&class->running), .waiting = class->waiting.length,
                                     .max_parallel = atomic_load(&class->max) };
  pthread_mutex_unlock(&ctx->lock);
}

unsigned eio_nstopped(eio_ctx *ctx)
{
  unsigned n = 0;

  pthread_mutex_lock(&ctx->lock);
  eio__take_incoming(ctx);
  for (const eio_class *class = ctx->classes; class; class = class->next)
    n += atomic_load(&class->max) ? 0 : class->waiting.length;
  pthread_mutex_unlock(&ctx->lock);
  return n;
}
