/* eio_parts.c - operations in parts: see eio_parts.h. */
#include "eio_parts.h"

#include <stdlib.h>
#include <string.h>

#include "eio_plat.h"
#include "eio_pool.h"


/* What this thread has executed last, if parts of it are still at work. */
static _Thread_local struct eio_parts *pending;

void eio__parts_begin(struct eio_parts *parts, eio_req *req, int64_t (*end)(struct eio_parts *), uint64_t unit)
{
  parts->req = req;
  parts->end = end;
  atomic_init(&parts->holders, 1);
  atomic_init(&parts->unit, unit);
}

bool eio__parts_idle(const struct eio_parts *parts)
{
  eio_ctx *ctx = eio__worker_ctx();

  return ctx && eio__pool_is_idle(ctx) && eio__class_has_room(parts->req->in_class);
}

bool eio__parts_wanted(struct eio_parts *parts, uint64_t began, uint64_t done, uint64_t more)
{
  const eio_ctx *ctx = eio__worker_ctx();
  uint64_t unit;

  if (!eio__parts_idle(parts))
    return false;
  if (done) {
    unit = (eio_p_now() - began) / done;
    atomic_store_explicit(&parts->unit, unit, memory_order_relaxed);
  } else
    unit = atomic_load_explicit(&parts->unit, memory_order_relaxed);
  return ctx->pool->eager || eio__pace_is_long(&ctx->pool->pace, unit * more);
}

bool eio__parts_give(struct eio_parts *parts, struct eio_part *part)
{
  eio_ctx *ctx = eio__worker_ctx();
  eio_req *req = parts->req;

  part->of = parts;
  eio_req_init(&part->r, EIO_PART);
  part->r.pri = req->pri;
  part->r.id = req->id;
  part->r.in_class = req->in_class;
  pthread_mutex_lock(&ctx->lock);
  if (!eio__pool_is_idle(ctx) || eio__flag(req, EIO_ORPHAN) || !eio__class_enter(req->in_class)) {
    pthread_mutex_unlock(&ctx->lock);
    return false;
  }
  if (!eio__flag(req, EIO_PARTED)) {
    eio__flag_set(req, EIO_PARTED);
    eio_queue_push(&ctx->parted, req);
  }
  atomic_fetch_add(&parts->holders, 1);
  ctx->given++;
  eio__state(ctx, &part->r, EIO_READY);
  atomic_fetch_add(&ctx->nparts, 1);
  eio_queue_push(&ctx->ready, &part->r);
  eio__worker_sends(ctx);
  return true;
}

int64_t eio__parts_end(struct eio_parts *parts)
{
  if (!eio__flag(parts->req, EIO_PARTED))
    return parts->end(parts);
  pending = parts;
  return EIO_PENDING;
}

/* Helpers ---------------------------------------------------------------- */

struct helped {
  struct eio_parts parts; /* first */
  int64_t result;
  int error;
};

static int64_t end_helped(struct eio_parts *parts)
{
  struct helped *helped = (struct helped *)parts;
  int64_t result = helped->result;
  int error = helped->error;

  free(helped);
  errno = error;
  return result;
}

struct eio_parts *eio__helped_begin(eio_req *req)
{
  struct helped *helped = eio__worker_ctx() ? malloc(sizeof *helped) : NULL;

  if (!helped)
    return NULL;
  eio__parts_begin(&helped->parts, req, end_helped, 0);
  return &helped->parts;
}

int64_t eio__helped_end(struct eio_parts *parts, int64_t result)
{
  struct helped *helped = (struct helped *)parts;

  if (!parts)
    return result;
  helped->result = result;
  helped->error = errno;
  return eio__parts_end(parts);
}

/* For the pool ----------------------------------------------------------- */

eio_req *eio__part_req(eio_req *req)
{
  return req->op == EIO_PART ? ((struct eio_part *)req)->of->req : req;
}

struct eio_parts *eio__parts_run(eio_req *req)
{
  struct eio_part *part = (struct eio_part *)req;
  struct eio_parts *parts;

  if (req->op != EIO_PART)
    return eio__execute(req) ? NULL : pending;
  parts = part->of;
  part->run(part);
  return parts;
}

eio_req *eio__parts_leave(struct eio_parts *parts)
{
  eio_req *req = parts->req;

  if (atomic_fetch_sub(&parts->holders, 1) != 1)
    return NULL;
  errno = 0;
  req->result = parts->end(parts);
  req->errorno = req->result == -1 ? errno : 0;
  return req;
}

void eio__over(eio_ctx *ctx, eio_req *req)
{
  if (eio__flag(req, EIO_PARTED)) {
    eio__flag_clear(req, EIO_PARTED);
    eio_queue_remove(&ctx->parted, req);
  }
  if (eio__flag(req, EIO_ORPHAN)) {
    eio__state(ctx, req, EIO_DONE);
    eio_queue_push(&ctx->orphans, req);
  } else {
    ctx->executed++;
    eio__finished(ctx, req);
  }
}
