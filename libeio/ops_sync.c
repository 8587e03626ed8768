/* ops_sync.c - getting data to the disk. */
#include "eio_plat.h"

#include <unistd.h>

int64_t eio_x_sync(eio_req *req)
{
  (void)req;
  sync();
  return 0;
}

/* Where one file system cannot be synced alone all are; the failure tells. */
int64_t eio_x_syncfs(eio_req *req)
{
  int result = eio_p_syncfs(req->fd);

  if (result < 0 && errno == ENOSYS) {
    sync();
    errno = ENOSYS;
  }
  return result;
}

int64_t eio_x_fsync(eio_req *req)
{
  int result;

  EIO_RETRY(result, fsync(req->fd));
  return result;
}

int64_t eio_x_fdatasync(eio_req *req)
{
  return eio_p_fdatasync(req->fd);
}

int64_t eio_x_sync_file_range(eio_req *req)
{
  int result;

  if (!eio_p_is_offset(req->offs) || !eio_p_is_offset((int64_t)req->size))
    return -1;
  result = eio_p_sync_file_range(req->fd, (off_t)req->offs, (off_t)req->size, (unsigned)req->arg1);
  return result < 0 && errno == ENOSYS ? eio_p_fdatasync(req->fd) : result;
}

int64_t eio_x_pathsync(eio_req *req)
{
  int fd = eio_p_open(req->wd, req->path, O_RDONLY, 0);
  int result, error;

  if (fd < 0)
    return -1;
  result = -1;
  errno = ECANCELED;
  if (!eio__cancelled(req))
    EIO_RETRY(result, fsync(fd));
  error = errno;
  if (close(fd) < 0 && result == 0)
    return -1;
  errno = error;
  return result;
}
