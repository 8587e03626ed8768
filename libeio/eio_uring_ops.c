/* eio_uring_ops.c - which requests the ring takes, and what it is asked to do.
 *
 * It takes reads, direct writes and syncs of regular files and block devices, the former
 * two with an offset. Of anything else read(2) and write(2) mean more than moving data:
 * the file's position, which two calls at a time may not share; time-outs of sockets and
 * terminals; signals; packets; that it is non-blocking. The ring knows little of all that,
 * and a worker does what the calls do.
 *
 * These are called by the owner: they ask nothing that might wait. */
#include "eio_int.h"

#if EIO_HAVE_LIBURING

#include <fcntl.h>
#include <limits.h>
#include <liburing.h>
#include <sys/resource.h>

#include "eio_plat.h"

/* Larger reads of cached data are better copied by a worker, on another
 * processor: the ring does it here, in submit. */
#define BUFFERED_MAX (32 * 1024)

/* And the flags of an entry for it: FUSE asks its server whether a file is readable, in
 * the thread that begins, and so what is not known to be local is begun by the kernel's. */
static bool is_storage(eio_ctx *ctx, int fd, uint8_t *flags)
{
  bool local;

  if (!eio__is_storage(ctx, fd, &local))
    return false;
  *flags = local ? 0 : IOSQE_ASYNC;
  return true;
}

static bool is_direct(int fd)
{
  int flags = fcntl(fd, F_GETFL);

  return flags >= 0 && flags & O_DIRECT;
}

/* INT_MAX is what an entry can say and Linux does at once. */
static bool is_transfer(eio_ctx *ctx, const eio_req *req, uint8_t *flags)
{
  return req->offs >= 0 && (off_t)req->offs == req->offs && req->size <= INT_MAX
         && is_storage(ctx, req->fd, flags);
}

/* Whoever writes beyond the limit gets a signal: here that would be the owner. */
static bool sizes_are_limited(void)
{
  struct rlimit limit;

  return getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur != RLIM_INFINITY;
}

bool eio_u_read(eio_ctx *ctx, eio_req *req, struct io_uring_sqe *sqe)
{
  uint8_t flags;

  if (!is_transfer(ctx, req, &flags) || (req->size > BUFFERED_MAX && !is_direct(req->fd)))
    return false;
  io_uring_prep_read(sqe, req->fd, req->buf, (unsigned)req->size, (uint64_t)req->offs);
  sqe->flags |= flags;
  return true;
}

/* Buffered writes to one file are done one after the other by kernel threads:
 * workers are no worse. */
bool eio_u_write(eio_ctx *ctx, eio_req *req, struct io_uring_sqe *sqe)
{
  uint8_t flags;

  if (!is_transfer(ctx, req, &flags) || !is_direct(req->fd) || sizes_are_limited())
    return false;
  io_uring_prep_write(sqe, req->fd, req->buf, (unsigned)req->size, (uint64_t)req->offs);
  sqe->flags |= flags;
  return true;
}

static bool prepare_sync(eio_ctx *ctx, eio_req *req, struct io_uring_sqe *sqe, unsigned flags)
{
  uint8_t entry;

  if (!is_storage(ctx, req->fd, &entry))
    return false;
  io_uring_prep_fsync(sqe, req->fd, flags);
  sqe->flags |= entry;
  return true;
}

bool eio_u_fsync(eio_ctx *ctx, eio_req *req, struct io_uring_sqe *sqe)
{
  return prepare_sync(ctx, req, sqe, 0);
}

bool eio_u_fdatasync(eio_ctx *ctx, eio_req *req, struct io_uring_sqe *sqe)
{
  return prepare_sync(ctx, req, sqe, IORING_FSYNC_DATASYNC);
}

#endif
