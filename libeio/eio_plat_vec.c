/* eio_plat_vec.c - reading and writing several pieces of memory by one call. Flags are Linux's; without them there is
 * always a way at the position, and mostly one at an offset. What is missing fails with ENOSYS. Safe in any thread. */
#include "eio_plat.h"

#include <sys/uio.h>

#if !EIO_HAVE_PREADV || !EIO_HAVE_PWRITEV2
static ssize_t absent(void)
{
  errno = ENOSYS;
  return -1;
}
#endif

#if EIO_HAVE_PREADV
# define AT_OFFSET(call) (call)
#else
# define AT_OFFSET(call) absent()
#endif
#if EIO_HAVE_PWRITEV2
# define WITH_FLAGS(call) (call)
#else
# define WITH_FLAGS(call) absent()
#endif

/* One for each direction. */
#define TRANSFER(result, kind)                                                               \
  do {                                                                                       \
    if (offs >= 0 && !eio_p_is_offset(offs))                                                 \
      return -1;                                                                             \
    if (flags)                                                                               \
      EIO_RETRY(result, WITH_FLAGS(p##kind##v2(fd, parts, n, (off_t)offs, flags)));          \
    else if (offs >= 0)                                                                      \
      EIO_RETRY(result, AT_OFFSET(p##kind##v(fd, parts, n, (off_t)offs)));                   \
    else                                                                                     \
      EIO_RETRY(result, kind##v(fd, parts, n));                                              \
  } while (0)

ssize_t eio_p_readv(int fd, const struct iovec *parts, int n, int64_t offs, int flags)
{
  ssize_t result;

  TRANSFER(result, read);
  return result;
}

ssize_t eio_p_writev(int fd, const struct iovec *parts, int n, int64_t offs, int flags)
{
  ssize_t result;

  TRANSFER(result, write);
  return result;
}
