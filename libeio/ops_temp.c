/* ops_temp.c - files that go when nobody has them open any more. */
#include "ops_whole.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct temp {
  const eio_req *req;
  mode_t mode;
  int fd;
};

static int try_file(void *data, const char *name)
{
  struct temp *temp = data;

  temp->fd = eio_p_open(temp->req->wd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, temp->mode);
  return temp->fd < 0 ? -1 : 0;
}

/* Under a name that goes at once. */
static int make_named(struct temp *temp)
{
  size_t length = strlen(temp->req->path);
  char *inside = malloc(length + 2), *name;
  int error;

  if (!inside)
    return -1;
  memcpy(inside, temp->req->path, length);
  strcpy(inside + length, "/");
  name = eio__make_beside(inside, try_file, temp);
  error = errno;
  free(inside);
  if (name && eio_p_unlink(temp->req->wd, name) < 0) {
    error = errno;
    close(temp->fd);
    temp->fd = -1;
  }
  free(name);
  errno = error;
  return temp->fd < 0 ? -1 : 0;
}

/* What kernels and file systems say that have no files without a name. */
static bool refused(int error)
{
  return error == EOPNOTSUPP || error == ENOTSUP || error == EISDIR || error == EINVAL || error == ENOSYS;
}

static int make(struct temp *temp)
{
  if (!*temp->req->path) {
    errno = ENOENT;
    return -1;
  }
  errno = ENOSYS;
  if (EIO_O_TMPFILE)
    temp->fd = eio_p_open(temp->req->wd, temp->req->path, O_RDWR | EIO_O_TMPFILE, temp->mode);
  return temp->fd >= 0 || (refused(errno) && make_named(temp) == 0) ? 0 : -1;
}

/* The name is that of the descriptor: it leads to the file as long as that is open. */
int64_t eio_x_temp(eio_req *req)
{
  enum { ROOM = 48 };
  struct temp temp = { .req = req, .mode = req->arg2 < 0 ? 0600 : (mode_t)req->arg2, .fd = -1 };
  char *name = malloc(ROOM);

  req->arg1 = O_RDWR;
  req->arg2 = 0;
  if (!name || make(&temp) < 0) {
    int error = name ? errno : ENOMEM;

    free(name);
    errno = error;
    return -1;
  }
  snprintf(name, ROOM, "/proc/%ld/fd/%d", (long)getpid(), temp.fd);
  req->buf = name;
  eio__flag_set(req, EIO_FREE_BUF);
  eio__flag_set(req, EIO_OWNS_FD);
  return temp.fd;
}
