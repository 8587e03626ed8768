/* ops_xfer.c - sendfile: from descriptor to descriptor. */
#include "ops_xfer.h"

#include <stdlib.h>
#include <unistd.h>

/* How much one call transfers at most: in between, cancelling is noticed. */
enum { NATIVE_CHUNK = 8 << 20 };

/* A refusal of these two descriptors, not a failure of the transfer. */
static bool refused(int error)
{
  return error == ENOSYS || error == EINVAL || error == ENOTSUP || error == EOPNOTSUPP
         || error == EAFNOSUPPORT || error == EPROTOTYPE || error == ENOTSOCK
         || error == ESPIPE /* Linux: the input has no offsets */
         || error == EOVERFLOW;
}

int eio__write_all(int fd, const char *buf, size_t size, size_t *done)
{
  for (*done = 0; *done < size;) {
    ssize_t n;

    EIO_RETRY(n, write(fd, buf + *done, size - *done));
    if (n == 0)
      errno = ENOSPC; /* no progress: not for ever */
    if (n <= 0)
      return -1;
    *done += (size_t)n;
  }
  return 0;
}

/* Where pread() is refused (pipes, sockets, terminals), the input is read from
 * where it is. */
static ssize_t read_at(int fd, char *buf, size_t size, off_t *offs)
{
  ssize_t n;

  if (*offs >= 0) {
    EIO_RETRY(n, pread(fd, buf, size, *offs));
    if (n >= 0)
      *offs += n;
    if (n >= 0 || errno != ESPIPE)
      return n;
    *offs = -1;
  }
  EIO_RETRY(n, read(fd, buf, size));
  return n;
}

/* Both functions add to *done what was written. */

static int emulated(const eio_req *req, int out, int in, off_t offs, uint64_t size, int64_t *done)
{
  char *buf = malloc(EIO__XFER_BLOCK);
  int result = 0, error;

  if (!buf)
    return -1;
  while (size && result == 0 && !eio__cancelled(req)) {
    size_t want = size < EIO__XFER_BLOCK ? (size_t)size : EIO__XFER_BLOCK, written;
    ssize_t n = read_at(in, buf, want, &offs);

    if (n <= 0) {
      result = (int)n;
      break;
    }
    result = eio__write_all(out, buf, (size_t)n, &written);
    *done += (int64_t)written;
    size -= written;
  }
  error = errno;
  free(buf);
  errno = error;
  return result;
}

static int native(const eio_req *req, int out, int in, off_t *offs, uint64_t *size, int64_t *done)
{
  while (*size && !eio__cancelled(req)) {
    size_t want = *size < NATIVE_CHUNK ? (size_t)*size : NATIVE_CHUNK;
    ssize_t n = eio_p_sendfile(out, in, offs, want);

    if (n <= 0)
      return (int)n;
    *done += n;
    *size -= (uint64_t)n;
  }
  return 0;
}

int64_t eio_x_sendfile(eio_req *req)
{
  int out = req->fd, in = req->arg1;
  off_t offs = (off_t)req->offs;
  uint64_t size = req->size;
  int64_t done = 0;
  int result;

  if (offs < 0 || offs != req->offs) {
    errno = EINVAL;
    return -1;
  }
  result = native(req, out, in, &offs, &size, &done);
  if (result < 0 && refused(errno))
    result = emulated(req, out, in, offs, size, &done);
  return result < 0 && !done ? -1 : done;
}
