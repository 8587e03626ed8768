/* ops_range.c - parts of files, from one descriptor to another: one system call each. */
#include "eio_plat.h"

/* False when a length is what would be negative elsewhere. */
static bool range_of(const eio_req *req, struct eio_p_range *range, size_t *length)
{
  *range = (struct eio_p_range){ req->fd, req->arg1, req->offs, req->offs2 };
  *length = req->size < SSIZE_MAX ? (size_t)req->size : SSIZE_MAX;
  errno = EINVAL;
  return req->size <= INT64_MAX && req->offs >= -1 && req->offs2 >= -1;
}

int64_t eio_x_copy_file_range(eio_req *req)
{
  struct eio_p_range range;
  size_t length;

  return range_of(req, &range, &length) ? eio_p_copy_range(&range, length, (unsigned)req->arg2) : -1;
}

int64_t eio_x_splice(eio_req *req)
{
  struct eio_p_range range;
  size_t length;

  return range_of(req, &range, &length) ? eio_p_splice(&range, length, (unsigned)req->arg2) : -1;
}

int64_t eio_x_tee(eio_req *req)
{
  struct eio_p_range range;
  size_t length;

  req->offs = -1;
  req->offs2 = -1;
  return range_of(req, &range, &length) ? eio_p_tee(req->fd, req->arg1, length, (unsigned)req->arg2) : -1;
}

/* What is shared does not depend on positions. */
static bool shared_range_of(const eio_req *req, struct eio_p_range *range)
{
  size_t length;

  if (!range_of(req, range, &length))
    return false;
  if (range->in_offs < 0)
    range->in_offs = 0;
  if (range->out_offs < 0)
    range->out_offs = 0;
  return true;
}

int64_t eio_x_clone_range(eio_req *req)
{
  struct eio_p_range range;

  return shared_range_of(req, &range) ? eio_p_clone_range(&range, req->size) : -1;
}

int64_t eio_x_dedupe_range(eio_req *req)
{
  struct eio_p_range range;

  return shared_range_of(req, &range) ? eio_p_dedupe_range(&range, req->size) : -1;
}
