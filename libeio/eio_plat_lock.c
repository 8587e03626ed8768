/* eio_plat_lock.c - locks of open files, where there are such. */
#include "eio_plat.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

int eio_p_flock(int fd, int how, bool wait)
{
#if EIO_HAVE_FLOCK
  return flock(fd, (how & ~LOCK_NB) | (wait ? 0 : LOCK_NB));
#else
  (void)fd, (void)how, (void)wait;
  errno = ENOSYS;
  return -1;
#endif
}

int eio_p_lock_range(int fd, int how, int64_t start, uint64_t length, bool wait)
{
#if EIO_HAVE_OFD_LOCKS
  struct flock lock = { .l_whence = SEEK_SET };

  if (!eio_p_is_offset(start) || (length != UINT64_MAX && !eio_p_is_offset((int64_t)length))) {
    errno = EOVERFLOW;
    return -1;
  }
  how &= ~LOCK_NB;
  lock.l_type = how == LOCK_SH ? F_RDLCK : how == LOCK_EX ? F_WRLCK : F_UNLCK;
  lock.l_start = (off_t)start;
  lock.l_len = length == UINT64_MAX ? 0 : (off_t)length; /* 0: all */
  return fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
#else
  (void)fd, (void)how, (void)start, (void)length, (void)wait;
  errno = ENOSYS;
  return -1;
#endif
}
