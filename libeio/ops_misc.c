/* ops_misc.c - nothing, waiting, and the calls for everything else. */
#include "eio_plat.h"

#include <sys/ioctl.h>
#include <time.h>

int64_t eio_x_nop(eio_req *req)
{
  (void)req;
  return 0;
}

int64_t eio_x_busy(eio_req *req)
{
  double seconds = req->nv1 < 1e9 ? req->nv1 : 1e9;
  struct timespec left;

  if (!(seconds > 0))
    return 0;
  left.tv_sec = (time_t)seconds;
  left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
  while (nanosleep(&left, &left) < 0 && errno == EINTR)
    ;
  return 0;
}

int64_t eio_x_notify(eio_req *req)
{
  return eio_p_notify(req->fd, req->wd, req->path, (unsigned)req->arg1);
}

/* The one call that waits for long is the one for a lock, and an interrupted
 * one got none. */
int64_t eio_x_fcntl(eio_req *req)
{
  int result;

  EIO_RETRY(result, req->buf ? fcntl(req->fd, req->arg1, req->buf)
                             : fcntl(req->fd, req->arg1, (long)req->offs));
  return result;
}

int64_t eio_x_ioctl(eio_req *req)
{
  unsigned long request = (uint32_t)req->arg1;

  return req->buf ? ioctl(req->fd, request, req->buf) : ioctl(req->fd, request, (long)req->offs);
}
