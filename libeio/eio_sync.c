/* eio_sync.c - the engine that executes in submit. It is the specification of
 * the others, and what tests compare them with. Only the callback is later. */
#include "eio_int.h"

static void sync_submit(eio_ctx *ctx, eio_req *req)
{
  if (eio_parallel(ctx) == 0) {
    eio__pool_submit(ctx, req); /* queued until the limit is raised */
    return;
  }
  eio__state(ctx, req, EIO_RUNNING);
  eio__execute_here(req);
  ctx->stats.executed++;
  eio__finish_here(ctx, req);
}

const struct eio_engine eio__engine_sync = { "sync", sync_submit };
