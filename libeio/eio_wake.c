/* eio_wake.c - the wakeup descriptor: an eventfd, or a pipe where there is
 * none. Both sides are nonblocking and close-on-exec; when they are one
 * descriptor the two numbers are equal. */
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

int eio__wake_open(int fds[2])
{
#if EIO_HAVE_EVENTFD
  fds[0] = fds[1] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fds[0] >= 0)
    return 0;
#endif
  if (eio_p_pipe(fds) < 0)
    return fds[0] = fds[1] = -1;
  if (set_flags(fds[0]) < 0 || set_flags(fds[1]) < 0) {
    eio__wake_close(fds);
    return -1;
  }
  return 0;
}

/* Whether nobody has closed them: then `fresh` has other numbers, an eventfd the
 * same inode as all of them, and a pipe the same at both ends. */
static bool is_intact(const int fds[2], const int fresh[2])
{
  int other = fds[0] != fds[1] ? fds[1] : fresh[0] == fresh[1] ? fresh[0] : fds[0];
  struct stat a, b;

  for (int i = 0; i < 4; i++)
    if (fds[i & 1] == fresh[i >> 1])
      return false;
  if (fstat(fds[0], &a) < 0 || fstat(other, &b) < 0)
    return errno != EBADF;
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Async-signal-safe: called in the child of a fork. Numbers that the program has
 * closed are left alone. When no descriptor is left the old ones, shared with the
 * parent, make room for new ones; when even that fails they become -1, as others
 * would get their numbers. */
void eio__wake_reopen(int fds[2])
{
  int fresh[2];

  if (eio__wake_open(fresh) < 0) {
    eio__wake_close(fds);
    eio__wake_open(fds);
    return;
  }
  if (!is_intact(fds, fresh)) {
    fds[0] = fresh[0];
    fds[1] = fresh[1];
    return;
  }
  for (int i = 0; i < (fds[0] == fds[1] ? 1 : 2); i++) {
    dup2(fresh[i], fds[i]);
    fcntl(fds[i], F_SETFD, FD_CLOEXEC);
  }
  eio__wake_close(fresh);
}

bool eio__wake_repair(int fds[2])
{
  int fresh[2];

  if (eio__wake_open(fresh) < 0 || is_intact(fds, fresh)) {
    eio__wake_close(fresh);
    return false;
  }
  fds[0] = fresh[0];
  fds[1] = fresh[1];
  return true;
}

void eio__wake_close(int fds[2])
{
  close(fds[0]);
  if (fds[1] != fds[0])
    close(fds[1]);
  fds[0] = fds[1] = -1;
}

void eio__wake_set(const int fds[2])
{
  static const uint64_t one = 1;
  ssize_t n;

  do
    n = write(fds[1], &one, fds[0] == fds[1] ? sizeof one : 1);
  while (n < 0 && errno == EINTR);
}

void eio__wake_clear(const int fds[2])
{
  char buf[64];
  ssize_t n;

  do
    n = read(fds[0], buf, sizeof buf);
  while ((n < 0 && errno == EINTR) || n == (ssize_t)sizeof buf);
}
