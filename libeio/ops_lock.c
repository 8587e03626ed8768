/* ops_lock.c - locks of an open file: flock(2), or of a range of it (F_OFD_SETLK).
 *
 * Who has to wait for one does so on a thread that counts no more (eio_lost.c), by a descriptor of
 * its own: the program may close its one, and that number may be another file's when the lock is
 * there. It belongs to the open file, whichever descriptor it was taken by. A wait cannot be ended; so
 * a lock that comes when its request has been cancelled is given back at once. */
#include "ops_lock.h"

#include <errno.h>
#include <unistd.h>

#include "eio_plat.h"

static int take(const eio_req *req, int fd, int how, bool wait)
{
  return req->offs < 0 ? eio_p_flock(fd, how, wait) : eio_p_lock_range(fd, how, req->offs, req->size, wait);
}

static bool is_taken(int error)
{
  return error == EAGAIN || error == EACCES || error == EWOULDBLOCK;
}

/* Closing a descriptor of a file ends the process's own locks of F_SETLK on it: that is so for each
 * of them. */
static int64_t wait_for(eio_req *req)
{
  int fd = eio__apart_begin(req), result;

  if (fd < 0) {
    eio__apart_end(req);
    return -1;
  }
  EIO_RETRY(result, take(req, fd, req->arg1, true));
  if (result == 0 && eio__cancelled(req)) {
    if (eio__apart_is_intact(req)) /* else it goes with the open file */
      take(req, fd, LOCK_UN, false);
    result = -1;
    errno = ECANCELED;
  }
  eio__apart_end(req);
  return result;
}

int64_t eio_x_lock(eio_req *req)
{
  int how = req->arg1 & ~LOCK_NB;

  if (how != LOCK_SH && how != LOCK_EX && how != LOCK_UN) {
    errno = EINVAL;
    return -1;
  }
  if (take(req, req->fd, how, false) == 0)
    return 0;
  return is_taken(errno) && !(req->arg1 & LOCK_NB) ? wait_for(req) : -1;
}

/* What an orphan has got is left alone: it may be the parent's, whose locks the child of a fork
 * shares. */
void eio__lock_finish(eio_req *req)
{
  int saved = errno;

  eio__apart_end(req);
  if (req->result == 0 && eio__cancelled(req) && !eio__flag(req, EIO_ORPHAN) && req->arg1 != LOCK_UN)
    take(req, req->fd, LOCK_UN, false);
  errno = saved;
}
