/* ops_attr.c - what a file is, and where its data are. Each operation takes a
 * descriptor, or a path when that is -1. */
#include "eio_plat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NS = 1000000000 };

/* Leaves a copy in req->buf: in the caller's memory, if it gave some, else in
 * memory that goes with the request. */
static int64_t leave(eio_req *req, const void *what, size_t size)
{
  if (!req->buf) {
    req->buf = malloc(size);
    if (!req->buf)
      return -1;
    eio__flag_set(req, EIO_FREE_BUF);
  }
  memcpy(req->buf, what, size);
  return 0;
}

static int64_t do_stat(eio_req *req, bool follow)
{
  struct stat st;
  int result = req->fd >= 0 ? fstat(req->fd, &st) : eio_p_stat(req->wd, req->path, &st, follow);

  return result < 0 ? -1 : leave(req, &st, sizeof st);
}

int64_t eio_x_stat(eio_req *req)
{
  return do_stat(req, true);
}

int64_t eio_x_lstat(eio_req *req)
{
  return do_stat(req, false);
}

int64_t eio_x_statx(eio_req *req)
{
  uint64_t mask = req->size == UINT64_MAX ? EIO_STATX_BASIC | EIO_STATX_BTIME | EIO_STATX_MNT_ID | EIO_STATX_DIOALIGN
    | EIO_STATX_SUBVOL | EIO_STATX_WRITE_ATOMIC | EIO_STATX_DIO_READ_ALIGN : req->size;
  struct eio_statx stx;

  errno = EINVAL;
  if (mask > UINT32_MAX || eio_p_stat_more(req->fd, req->wd, req->path, req->arg1, (uint32_t)mask, &stx) < 0)
    return -1;
  eio_p_statx_forget(&stx, (uint32_t)mask);
  return leave(req, &stx, sizeof stx);
}

int64_t eio_x_statvfs(eio_req *req)
{
  struct statvfs st;
  int result = req->fd >= 0 ? eio_p_fstatvfs(req->fd, &st)
                            : eio_p_statvfs(req->wd, req->path, &st);

  return result < 0 ? -1 : leave(req, &st, sizeof st);
}

/* Seconds, rounded down, and nanoseconds more as a time; false when there is no such
 * time. */
static bool to_timespec(double seconds, int32_t more, struct timespec *ts)
{
  double whole = floor(seconds);
  int64_t ns;

  ts->tv_sec = 0;
  ts->tv_nsec = 0;
  errno = EINVAL;
  if (!(whole >= -9.2e18 && whole <= 9.2e18) || more < 0 || more >= NS)
    return false;
  ns = (int64_t)((seconds - whole) * 1e9) + more;
  ts->tv_sec = (time_t)((int64_t)whole + ns / NS);
  ts->tv_nsec = (long)(ns % NS);
  return ts->tv_sec == (int64_t)whole + ns / NS;
}

static int64_t do_utime(eio_req *req, bool follow)
{
  double atime = req->nv1, mtime = req->nv2;
  struct timespec times[2];
  bool now = isnan(atime) && isnan(mtime);

  if (!now && (!to_timespec(isnan(atime) ? 0 : atime, req->arg1, &times[0])
               || !to_timespec(isnan(mtime) ? 0 : mtime, req->arg2, &times[1])))
    return -1;
  return req->fd >= 0 ? eio_p_futime(req->fd, now ? NULL : times)
                      : eio_p_utime(req->wd, req->path, now ? NULL : times, follow);
}

int64_t eio_x_utime(eio_req *req)
{
  return do_utime(req, true);
}

int64_t eio_x_lutime(eio_req *req)
{
  return do_utime(req, false);
}

static int64_t do_chown(eio_req *req, bool follow)
{
  uid_t uid = (uid_t)req->arg1;
  gid_t gid = (gid_t)req->arg2;

  return req->fd >= 0 ? fchown(req->fd, uid, gid)
                      : eio_p_chown(req->wd, req->path, uid, gid, follow);
}

int64_t eio_x_chown(eio_req *req)
{
  return do_chown(req, true);
}

int64_t eio_x_lchown(eio_req *req)
{
  return do_chown(req, false);
}

static int64_t do_chmod(eio_req *req, bool follow)
{
  mode_t mode = (mode_t)req->arg2;

  return req->fd >= 0 ? fchmod(req->fd, mode) : eio_p_chmod(req->wd, req->path, mode, follow);
}

int64_t eio_x_chmod(eio_req *req)
{
  return do_chmod(req, true);
}

int64_t eio_x_lchmod(eio_req *req)
{
  return do_chmod(req, false);
}

int64_t eio_x_truncate(eio_req *req)
{
  off_t length = (off_t)req->offs;
  int result;

  if (!eio_p_is_offset(req->offs))
    return -1;
  if (req->fd < 0)
    return eio_p_truncate(req->wd, req->path, length);
  EIO_RETRY(result, ftruncate(req->fd, length));
  return result;
}

int64_t eio_x_allocate(eio_req *req)
{
  if (!eio_p_is_offset(req->offs) || !eio_p_is_offset((int64_t)req->size))
    return -1;
  return eio_p_fallocate(req->fd, req->arg1, (off_t)req->offs, (off_t)req->size);
}

/* Extents ---------------------------------------------------------------- */

enum { EXTENTS_AT_ONCE = 1024, FLAG_SYNC = 1 };

struct extents {
  struct eio_extent *list;
  size_t count, size;
};

static bool extents_reserve(struct extents *extents, size_t more)
{
  size_t size = extents->count + more;
  struct eio_extent *list;

  if (size <= extents->size)
    return true;
  if (size < 2 * extents->size)
    size = 2 * extents->size;
  list = realloc(extents->list, size * sizeof *list);
  if (!list)
    return false;
  extents->list = list;
  extents->size = size;
  return true;
}

/* Appends up to `max` extents; 0 at the end, -1 on error, else 1. *offs moves
 * behind the last one. Some kernels give less than they could, so that only
 * "last" or nothing at all means the end, or give an extent twice. */
static int extents_step(struct extents *extents, eio_req *req, uint64_t *offs, uint64_t end,
                        unsigned max)
{
  struct eio_extent *fresh;
  uint64_t begin = *offs;
  uint32_t flags = (uint32_t)req->arg1;
  bool last;
  int n;

  if (!extents_reserve(extents, max))
    return -1;
  if (extents->count)
    flags &= ~(uint32_t)FLAG_SYNC; /* once is enough */
  fresh = extents->list + extents->count;
  n = eio_p_fiemap(req->fd, begin, end - begin, flags, fresh, max, &last);
  if (n < 0)
    return -1;
  for (int i = 0; i < n; i++) {
    uint64_t behind = fresh[i].logical + fresh[i].length;

    if (extents->count && behind <= *offs)
      continue;
    extents->list[extents->count++] = fresh[i];
    *offs = behind;
  }
  return n > 0 && !last && *offs > begin && *offs < end;
}

int64_t eio_x_fiemap(eio_req *req)
{
  struct extents extents = { NULL, 0, 0 };
  uint64_t offs = (uint64_t)req->offs;
  uint64_t end = req->size < UINT64_MAX - offs ? offs + req->size : UINT64_MAX;
  unsigned want = req->arg2 < 0 ? UINT32_MAX : (unsigned)req->arg2;
  bool last;
  int more;

  if (!want)
    return eio_p_fiemap(req->fd, offs, end - offs, (uint32_t)req->arg1, NULL, 0, &last);
  do {
    size_t left = want - extents.count;

    more = extents_step(&extents, req, &offs, end,
                        left < EXTENTS_AT_ONCE ? (unsigned)left : EXTENTS_AT_ONCE);
  } while (more > 0 && extents.count < want && !eio__cancelled(req));
  if (more < 0) {
    free(extents.list);
    return -1;
  }
  req->buf = extents.list;
  eio__flag_set(req, EIO_FREE_BUF);
  return (int64_t)extents.count;
}
