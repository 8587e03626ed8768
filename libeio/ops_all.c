/* ops_all.c - transfers until all is done, the data end, or there is an error. Where a
 * non-blocking descriptor is not ready the worker waits, as nobody else does. How far
 * it got is in `size` then, whatever the result. */
#include "ops_xfer.h"

#include <poll.h>
#include <unistd.h>

/* Some part of what is left: how much, 0 at the end of the data, or -1. */
typedef ssize_t (*step_fn)(const eio_req *req, uint64_t done, size_t most);

enum { CHUNK = 8 << 20 /* between two looks at the cancelled flag */ };

static bool is_nonblocking(int fd)
{
  return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

/* After a call that would block. Blocking descriptors may say so as well, where a
 * time-out has been set for them: that is an error. */
static int wait_for(const eio_req *req, int fd, short events)
{
  if (is_nonblocking(fd))
    return eio__wait(req, fd, events);
  errno = EAGAIN;
  return -1;
}

static bool would_block(ssize_t n)
{
  return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

static int64_t transfer(eio_req *req, step_fn step)
{
  uint64_t done = 0, left = req->size;
  ssize_t n = 1;

  req->size = 0;
  errno = EINVAL;
  if (req->offs < -1)
    return -1;
  while (left && n > 0) {
    errno = ECANCELED;
    n = eio__cancelled(req) ? -1 : step(req, done, left < CHUNK ? (size_t)left : CHUNK);
    if (n > 0) {
      done += (uint64_t)n;
      left -= (uint64_t)n;
    }
  }
  req->size = done;
  return n < 0 ? -1 : (int64_t)done;
}

static ssize_t read_step(const eio_req *req, uint64_t done, size_t most)
{
  ssize_t n;

  do
    n = eio__read_some(req->fd, (char *)req->buf + done, most, req->offs < 0 ? -1 : req->offs + (int64_t)done);
  while (would_block(n) && wait_for(req, req->fd, POLLIN) == 0);
  return n;
}

static ssize_t write_step(const eio_req *req, uint64_t done, size_t most)
{
  ssize_t n;

  do
    n = eio__write_some(req->fd, (char *)req->buf + done, most, req->offs < 0 ? -1 : req->offs + (int64_t)done);
  while (would_block(n) && wait_for(req, req->fd, POLLOUT) == 0);
  if (n)
    return n;
  errno = ENOSPC; /* no progress: not for ever */
  return -1;
}

/* Either of the two may not be ready. */
static ssize_t send_step(const eio_req *req, uint64_t done, size_t most)
{
  struct pollfd out = { .fd = req->fd, .events = POLLOUT };
  int64_t n;

  for (;;) {
    n = eio__send(req, req->offs + (int64_t)done, most);
    if (!would_block(n))
      return (ssize_t)n;
    if ((is_nonblocking(req->fd) && poll(&out, 1, 0) == 0 ? wait_for(req, req->fd, POLLOUT)
         : wait_for(req, req->arg1, POLLIN)) < 0)
      return -1;
  }
}

int64_t eio_x_readall(eio_req *req)
{
  return transfer(req, read_step);
}

int64_t eio_x_writeall(eio_req *req)
{
  return transfer(req, write_step);
}

int64_t eio_x_sendall(eio_req *req)
{
  return transfer(req, send_step);
}
