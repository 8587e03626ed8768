/* eio_sync.c - the engine that executes in submit. It is the specification of
 * the others, and what tests compare them with. Only the callback is later. */
#include "eio_int.h"

static void sync_submit(eio_ctx *ctx, eio_req *req)
{
  /* queued until the limit is raised, or behind what another engine has left */
  if ((eio__keeps_order(ctx) && eio__nwaiting(ctx)) || !eio__places_take(ctx, req->in_class)) {
    eio__pool_submit(ctx, req);
    return;
  }
  eio__state(ctx, req, EIO_RUNNING);
  eio_execute(req);
  pthread_mutex_lock(&ctx->lock); /* workers that another engine left count, too */
  ctx->executed++;
  pthread_mutex_unlock(&ctx->lock);
  eio__finish_here(ctx, req);
  eio__places_give(ctx, req->in_class);
  eio__pool_tell(ctx, EIO_EV_FREED);
}

const struct eio_engine eio__engine_sync = { "sync", sync_submit };
