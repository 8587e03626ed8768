/* eio_wake.c - the wakeup descriptor: an eventfd, or a pipe where there is
 * none. Both sides are nonblocking and close-on-exec; when they are one
 * descriptor the two numbers are equal. Others may have made it blocking, which
 * no call here may wait for.
 *
 * Programs close all that is open, or put something else in its place: so what the
 * numbers stand for is compared with what they should before it is used. (All
 * eventfds are of one inode, so another one is not told from ours.) */
#include "eio_int.h"

#include "eio_plat.h"

#include <fcntl.h>
#include <unistd.h>
#if EIO_HAVE_EVENTFD
# include <sys/eventfd.h>
#endif

static int set_flags(int fd)
{
  int flags = fcntl(fd, F_GETFL);

  return fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -1 : 0;
}

static void close_both(int fds[2])
{
  int saved = errno;

  close(fds[0]);
  if (fds[1] != fds[0])
    close(fds[1]);
  fds[0] = fds[1] = -1;
  errno = saved;
}

static int open_both(int fds[2], bool pipe)
{
#if EIO_HAVE_EVENTFD
  fds[0] = fds[1] = pipe ? -1 : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fds[0] >= 0)
    return 0;
#else
  (void)pipe;
#endif
  if (eio_p_pipe(fds) < 0)
    return fds[0] = fds[1] = -1;
  return set_flags(fds[0]) < 0 || set_flags(fds[1]) < 0 ? -1 : 0;
}

int eio__own_note(struct eio_own *own, int fd)
{
  struct stat st;

  if (fstat(fd, &st) < 0)
    return -1;
  *own = (struct eio_own){ st.st_dev, st.st_ino };
  return 0;
}

bool eio__own_is_intact(const struct eio_own *own, int fd)
{
  struct stat st;

  return fstat(fd, &st) == 0 ? st.st_dev == own->dev && st.st_ino == own->ino : errno != EBADF;
}

bool eio__wake_is_intact(const struct eio_wake *wake)
{
  return eio__own_is_intact(&wake->file, wake->fd[0])
         && (wake->fd[0] == wake->fd[1] || eio__own_is_intact(&wake->file, wake->fd[1]));
}

int eio__wake_open(struct eio_wake *wake, bool pipe)
{
  wake->pipe = pipe;
  if (open_both(wake->fd, pipe) == 0 && eio__own_note(&wake->file, wake->fd[0]) == 0)
    return 0;
  close_both(wake->fd);
  return -1;
}

/* Async-signal-safe: called in the child of a fork. Numbers that the program has
 * closed are left alone. When no descriptor is left the old ones, shared with the
 * parent, make room for new ones; when even that fails they become -1, as others
 * would get their numbers. */
void eio__wake_reopen(struct eio_wake *wake)
{
  struct eio_wake fresh;

  if (!eio__wake_is_intact(wake) || eio__wake_open(&fresh, wake->pipe) < 0) {
    eio__wake_close(wake);
    eio__wake_open(wake, wake->pipe);
    return;
  }
  for (int i = 0; i < 2; i++) {
    dup2(fresh.fd[i], wake->fd[i]);
    fcntl(wake->fd[i], F_SETFD, FD_CLOEXEC);
  }
  wake->file = fresh.file;
  eio__wake_close(&fresh);
}

bool eio__wake_repair(struct eio_wake *wake)
{
  if (eio__wake_is_intact(wake))
    return false;
  eio__wake_close(wake); /* the other side of a pipe */
  eio__wake_open(wake, wake->pipe);
  return true;
}

/* What is not ours any more is not closed. */
void eio__wake_close(struct eio_wake *wake)
{
  for (int i = wake->fd[0] == wake->fd[1]; i < 2; i++)
    if (eio__own_is_intact(&wake->file, wake->fd[i]))
      close(wake->fd[i]);
  wake->fd[0] = wake->fd[1] = -1;
}

void eio__wake_set(const struct eio_wake *wake)
{
  static const uint64_t one = 1;
  ssize_t n;

  if (!eio__wake_is_intact(wake)) /* a pipe without a reader would send a SIGPIPE */
    return;
  do
    n = write(wake->fd[1], &one, wake->fd[0] == wake->fd[1] ? sizeof one : 1);
  while (n < 0 && errno == EINTR);
}

void eio__wake_clear(const struct eio_wake *wake)
{
  char buf[64];
  ssize_t n;

  if (!eio__wake_is_intact(wake))
    return;
  do
    n = eio_p_read_now(wake->fd[0], buf, sizeof buf);
  while ((n < 0 && errno == EINTR) || n == (ssize_t)sizeof buf);
}
