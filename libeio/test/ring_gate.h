/* ring_gate.h - for tests of what flies: here the ring takes reads of gates, which it does not
 * in earnest (nothing that it takes then waits for long), and any sync.
 *
 * This stands in for eio_uring_ops.c, which is not linked. */
#ifndef RING_GATE_H
#define RING_GATE_H

#include "core.h"

#if EIO_HAVE_LIBURING
#include <liburing.h>

bool eio_u_read(eio_ctx *ctx, eio_req *req, struct io_uring_sqe *sqe)
{
  (void)ctx;
  if (req->size != 1)
    return false;
  io_uring_prep_read(sqe, req->fd, req->buf, 1, (uint64_t)-1);
  return true;
}

bool eio_u_write(eio_ctx *ctx, eio_req *req, struct io_uring_sqe *sqe)
{
  (void)ctx, (void)req, (void)sqe;
  return false;
}

bool eio_u_fsync(eio_ctx *ctx, eio_req *req, struct io_uring_sqe *sqe)
{
  (void)ctx;
  io_uring_prep_fsync(sqe, req->fd, 0);
  return true;
}

bool eio_u_fdatasync(eio_ctx *ctx, eio_req *req, struct io_uring_sqe *sqe)
{
  (void)ctx;
  io_uring_prep_fsync(sqe, req->fd, IORING_FSYNC_DATASYNC);
  return true;
}
#endif

/* Blocks in the ring, where that is the engine; else in a worker. */
TAP_UNUSED static void block_in_ring(eio_ctx *ctx, struct job *job, struct gate *gate, int number)
{
  gate_fill(job, gate, number, 1);
  eio_submit(ctx, &job->req);
}

#endif
