/* ops_xfer.c - sendfile: from descriptor to descriptor. */
#include "ops_xfer.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
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

/* The input --------------------------------------------------------------- */
/* What the output does not take has to stay in the input. So data are looked at,
 * written, and only then taken out, as many as were written. */

struct input {
  int fd;
  off_t offs;    /* -1: none */
  int pipe[2];   /* for looks at a pipe; -1: none yet */
  enum {
    AGAIN,  /* files: read again from an offset */
    PEEK,   /* stream sockets */
    TEE,    /* pipes */
    ONCE,   /* terminals, datagrams and so on: what was read is out */
  } kind;
};

static void input_init(struct input *in, int fd, off_t offs)
{
  socklen_t size = sizeof(int);
  struct stat st;
  int type = -1;

  *in = (struct input){ .fd = fd, .offs = offs, .pipe = { -1, -1 }, .kind = ONCE };
  if (fstat(fd, &st) < 0)
    return;
  if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
    in->kind = AGAIN;
  else if (S_ISFIFO(st.st_mode))
    in->kind = TEE;
  else if (S_ISSOCK(st.st_mode) && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM)
    in->kind = PEEK;
}

static void input_finish(struct input *in)
{
  int error = errno;

  for (int i = 0; i < 2; i++)
    if (in->pipe[i] >= 0)
      close(in->pipe[i]);
  errno = error;
}

/* Where pread() is refused (terminals, files that are streams), the input is read
 * from where it is. */
static ssize_t read_at(struct input *in, char *buf, size_t size)
{
  ssize_t n;

  if (in->offs >= 0) {
    EIO_RETRY(n, pread(in->fd, buf, size, in->offs));
    if (n >= 0 || errno != ESPIPE)
      return n;
    in->offs = -1;
    in->kind = ONCE;
  }
  EIO_RETRY(n, read(in->fd, buf, size));
  return n;
}

/* Another pipe gets the data, too, and gives them. */
static ssize_t read_twin(struct input *in, char *buf, size_t size)
{
  ssize_t n;

  if (in->pipe[0] < 0 && eio_p_pipe(in->pipe) < 0)
    return -1;
  n = eio_p_tee(in->fd, in->pipe[1], size, 0);
  if (n > 0)
    EIO_RETRY(n, read(in->pipe[0], buf, (size_t)n));
  return n;
}

static ssize_t input_look(struct input *in, char *buf, size_t size)
{
  ssize_t n = -1;

  if (in->kind == PEEK)
    EIO_RETRY(n, recv(in->fd, buf, size, MSG_PEEK));
  else if (in->kind == TEE) {
    n = read_twin(in, buf, size);
    if (n >= 0 || !refused(errno))
      return n;
    in->kind = ONCE;
  }
  return in->kind == PEEK ? n : read_at(in, buf, size);
}

/* Takes out what was written. The buffer is overwritten. */
static void input_take(struct input *in, char *buf, size_t size)
{
  ssize_t n = 1;

  if (in->kind != PEEK && in->kind != TEE) {
    in->offs += in->offs >= 0 ? (off_t)size : 0;
    return;
  }
  while (size && n > 0) {
    EIO_RETRY(n, read(in->fd, buf, size));
    size -= n > 0 ? (size_t)n : 0;
  }
}

/* The output -------------------------------------------------------------- */

static bool is_full(int out)
{
  struct pollfd poll_out = { .fd = out, .events = POLLOUT };

  return fcntl(out, F_GETFL) & O_NONBLOCK && poll(&poll_out, 1, 0) == 0;
}

int eio__wait(const eio_req *req, int fd, short events)
{
  enum { LOOK_EVERY_MS = 50 };
  struct pollfd ready = { .fd = fd, .events = events };
  int n = 0;

  while (n == 0 || (n < 0 && errno == EINTR)) {
    errno = ECANCELED;
    n = eio__cancelled(req) ? -1 : poll(&ready, 1, LOOK_EVERY_MS);
  }
  return n < 0 ? -1 : 0;
}

/* Writes what cannot be put back, even if the output would rather not wait. */
static int write_wait(const eio_req *req, int out, const char *buf, size_t size, size_t *done)
{
  int result;

  *done = 0;
  do {
    size_t written;

    result = eio__write_all(out, buf + *done, size - *done, &written);
    *done += written;
  } while (result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) && eio__wait(req, out, POLLOUT) == 0);
  return result;
}

/* One block: what was written, or -1; 0 at the end of the input. */
static int step(const eio_req *req, int out, struct input *in, char *buf, size_t size, size_t *written)
{
  ssize_t n;
  int result;

  *written = 0;
  if (in->kind == ONCE && is_full(out)) {
    errno = EAGAIN;
    return -1;
  }
  n = input_look(in, buf, size);
  if (n <= 0)
    return (int)n;
  result = in->kind == ONCE ? write_wait(req, out, buf, (size_t)n, written)
                            : eio__write_all(out, buf, (size_t)n, written);
  if (*written) {
    int error = errno;

    input_take(in, buf, *written);
    errno = error;
  }
  return result < 0 ? -1 : 1;
}

/* All of these add to *done what was written. */

static int emulated(const eio_req *req, int out, struct input *in, uint64_t size, int64_t *done)
{
  char *buf = malloc(EIO__XFER_BLOCK);
  int result = 1, error;

  if (!buf)
    return -1;
  while (size && result > 0 && !eio__cancelled(req)) {
    size_t want = size < EIO__XFER_BLOCK ? (size_t)size : EIO__XFER_BLOCK, written;

    result = step(req, out, in, buf, want, &written);
    *done += (int64_t)written;
    size -= written;
  }
  error = errno;
  free(buf);
  errno = error;
  return result < 0 ? -1 : 0;
}

/* From a pipe, by the kernel. When one of both shall not wait, neither does: then
 * it is for the other ways to tell which. */
static int spliced(const eio_req *req, int out, int in, uint64_t *size, int64_t *done)
{
  struct eio_p_range range = { .in = in, .out = out, .in_offs = -1, .out_offs = -1 };

  while (*size && !eio__cancelled(req)) {
    size_t want = *size < NATIVE_CHUNK ? (size_t)*size : NATIVE_CHUNK;
    ssize_t n = eio_p_splice(&range, want, 0);

    if (n < 0 && errno == EAGAIN)
      errno = EINVAL;
    if (n <= 0)
      return (int)n;
    *done += n;
    *size -= (uint64_t)n;
  }
  return 0;
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

int64_t eio__send(const eio_req *req, int64_t offset, uint64_t size)
{
  int out = req->fd, in = req->arg1;
  off_t offs = (off_t)offset;
  struct input input;
  int64_t done = 0;
  int result;

  if (offs < 0 || offs != offset) {
    errno = EINVAL;
    return -1;
  }
  result = native(req, out, in, &offs, &size, &done);
  if (result < 0 && refused(errno)) {
    input_init(&input, in, offs);
    if (input.kind == TEE)
      result = spliced(req, out, in, &size, &done);
    if (result < 0 && refused(errno))
      result = emulated(req, out, &input, size, &done);
    input_finish(&input);
  }
  return result < 0 && !done ? -1 : done;
}

int64_t eio_x_sendfile(eio_req *req)
{
  return eio__send(req, req->offs, req->size);
}
