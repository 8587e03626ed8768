/* ops_rw.c - position, read, write, and whole files. */
#include "ops_xfer.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

int64_t eio_x_seek(eio_req *req)
{
  return eio_p_is_offset(req->offs) ? lseek(req->fd, (off_t)req->offs, req->arg1) : -1;
}

/* Read and write --------------------------------------------------------- */

ssize_t eio__read_some(int fd, char *buf, size_t size, int64_t offs)
{
  ssize_t n;

  if (offs < 0)
    EIO_RETRY(n, read(fd, buf, size));
  else if (!eio_p_is_offset(offs))
    n = -1;
  else
    EIO_RETRY(n, pread(fd, buf, size, (off_t)offs));
  return n;
}

ssize_t eio__write_some(int fd, const char *buf, size_t size, int64_t offs)
{
  ssize_t n;

  if (offs < 0)
    EIO_RETRY(n, write(fd, buf, size));
  else if (!eio_p_is_offset(offs))
    n = -1;
  else
    EIO_RETRY(n, pwrite(fd, buf, size, (off_t)offs));
  return n;
}

/* One system call, and more only when it transferred the most that one can:
 * short results are the caller's to see. What was transferred before an error
 * counts more than the error. */
#define TRANSFER(function, req)                                                              \
  do {                                                                                       \
    char *at = (req)->buf;                                                                   \
    uint64_t left = (req)->size;                                                             \
    int64_t offs = (req)->offs, done = 0;                                                    \
    ssize_t n;                                                                               \
                                                                                             \
    errno = EINVAL;                                                                          \
    if (offs < -1)                                                                           \
      return -1;                                                                             \
    do {                                                                                     \
      n = function((req)->fd, at + done, left < EIO_RW_MAX ? (size_t)left : EIO_RW_MAX,      \
                   offs < 0 ? -1 : offs + done);                                             \
      if (n < 0)                                                                             \
        return done ? done : -1;                                                             \
      done += n;                                                                             \
      left -= (uint64_t)n;                                                                   \
    } while (n == (ssize_t)EIO_RW_MAX && left && !eio__cancelled(req));                      \
    return done;                                                                             \
  } while (0)

int64_t eio_x_read(eio_req *req)
{
  TRANSFER(eio__read_some, req);
}

int64_t eio_x_write(eio_req *req)
{
  TRANSFER(eio__write_some, req);
}

/* Several pieces of memory, one system call ------------------------------ */

/* Not all systems take none of them. */
static int vector_of(const eio_req *req, const struct iovec **parts)
{
  static const struct iovec none;

  *parts = req->size ? req->buf : &none;
  return req->size < INT_MAX ? (int)req->size + !req->size : INT_MAX;
}

int64_t eio_x_readv(eio_req *req)
{
  const struct iovec *parts;
  int n = vector_of(req, &parts);

  errno = EINVAL;
  return req->offs < -1 ? -1 : eio_p_readv(req->fd, parts, n, req->offs, req->arg1);
}

int64_t eio_x_writev(eio_req *req)
{
  const struct iovec *parts;
  int n = vector_of(req, &parts);

  errno = EINVAL;
  return req->offs < -1 ? -1 : eio_p_writev(req->fd, parts, n, req->offs, req->arg1);
}

/* Read-ahead ------------------------------------------------------------- */

enum { SCRATCH = 64 * 1024 };

/* What brings data into the cache everywhere. */
static int64_t read_and_forget(eio_req *req)
{
  char *buf = malloc(SCRATCH);
  int64_t offs = req->offs;
  uint64_t left = req->size;
  ssize_t n = 1;

  if (!buf)
    return -1;
  while (left && n > 0 && !eio__cancelled(req)) {
    n = eio__read_some(req->fd, buf, left < SCRATCH ? (size_t)left : SCRATCH, offs);
    if (n > 0) {
      left -= (uint64_t)n;
      offs += n;
    }
  }
  free(buf);
  return n < 0 ? -1 : 0;
}

int64_t eio_x_readahead(eio_req *req)
{
  int64_t result;

  if (req->size > INT64_MAX) { /* negative, for those who have signed lengths */
    errno = EINVAL;
    return -1;
  }
  if (!eio_p_is_offset(req->offs))
    return -1;
  result = eio_p_readahead(req->fd, (off_t)req->offs,
                           req->size < SSIZE_MAX ? (size_t)req->size : SSIZE_MAX);
  if (result < 0 && errno == ENOSYS)
    result = read_and_forget(req);
  return result;
}

/* Whole files ------------------------------------------------------------ */

/* The most that is read between two looks at the cancelled flag. */
enum { STEP = 8 << 20 };

/* A buffer that grows; one octet more than `size` is there for a NUL. */
struct data {
  const eio_req *req;
  char *buf;
  uint64_t size, used;
};

static bool data_resize(struct data *data, uint64_t size)
{
  char *buf = size < SIZE_MAX ? realloc(data->buf, (size_t)size + 1) : NULL;

  if (!buf) {
    errno = ENOMEM;
    return false;
  }
  data->buf = buf;
  data->size = size;
  return true;
}

static bool cancelled(const eio_req *req)
{
  errno = ECANCELED;
  return eio__cancelled(req);
}

/* Fills the buffer from the file, until it is full or the file ends; offs 0
 * reads from the current position, so that pipes can be read, too. */
static int data_fill(struct data *data, int fd, int64_t offs)
{
  while (data->used < data->size) {
    uint64_t left = data->size - data->used;
    ssize_t n;

    if (cancelled(data->req))
      return -1;
    n = eio__read_some(fd, data->buf + data->used, left < STEP ? (size_t)left : STEP,
                  offs ? offs + (int64_t)data->used : -1);
    if (n <= 0)
      return (int)n;
    data->used += (uint64_t)n;
    eio__made(data->req, (uint64_t)n);
  }
  return 0;
}

/* Reads at most `limit` octets from a file that does not tell its size. */
static int data_read(struct data *data, int fd, int64_t offs, uint64_t limit)
{
  uint64_t size = limit < SCRATCH ? limit : SCRATCH;

  for (;;) {
    if (!data_resize(data, size) || data_fill(data, fd, offs) < 0)
      return -1;
    if (data->used < data->size || size == limit)
      return 0;
    size = size > limit / 2 ? limit : size * 2;
  }
}

/* The last `want` octets of a file that does not tell its size. */
static int data_tail(struct data *data, int fd, uint64_t want, uint64_t limit)
{
  data->used = 0;
  if (data_read(data, fd, 0, UINT64_MAX - 1) < 0)
    return -1;
  if (want > data->used) {
    errno = EINVAL;
    return -1;
  }
  memmove(data->buf, data->buf + (data->used - want), (size_t)want);
  data->used = want < limit ? want : limit;
  return 0;
}

/* `limit` octets from `offs` on, which counts from the end if negative. Files
 * like those of /proc have size 0 whatever is in them, those of /sys a page: the
 * end is where reading finds it. */
static int slurp(struct data *data, int fd, int64_t offs, uint64_t limit)
{
  uint64_t tail = offs < 0 ? -(uint64_t)offs : 0, rest;
  struct stat st;

  if (fstat(fd, &st) < 0)
    return -1;
  if (!S_ISREG(st.st_mode) || st.st_size <= 0)
    return tail ? data_tail(data, fd, tail, limit) : data_read(data, fd, offs, limit);
  if (tail)
    offs += st.st_size;
  if (offs < 0) {
    errno = EINVAL;
    return -1;
  }
  rest = offs < st.st_size ? (uint64_t)(st.st_size - offs) : 0;
  eio__whole(data->req, rest < limit ? rest : limit);
  if (!data_resize(data, rest < limit ? rest : limit) || data_fill(data, fd, offs) < 0)
    return -1;
  return tail && data->used < data->size ? data_tail(data, fd, tail, limit) : 0;
}

static int64_t slurp_path(eio_req *req, int64_t offs, uint64_t limit)
{
  struct data data = { .req = req };
  int fd = eio_p_open(req->wd, req->path, O_RDONLY, 0);
  int result, error;

  if (fd < 0)
    return -1;
  result = slurp(&data, fd, offs, limit);
  error = errno;
  close(fd);
  if (result < 0) {
    free(data.buf);
    errno = error;
    return -1;
  }
  if (data.size - data.used > SCRATCH / 2)
    data_resize(&data, data.used); /* gives memory back; may fail */
  data.buf[data.used] = 0;
  req->buf = data.buf;
  eio__flag_set(req, EIO_FREE_BUF);
  return (int64_t)data.used;
}

int64_t eio_x_slurp(eio_req *req)
{
  return slurp_path(req, req->offs, req->size ? req->size : UINT64_MAX - 1);
}

int64_t eio_x_load(eio_req *req)
{
  return slurp_path(req, 0, UINT64_MAX - 1);
}
