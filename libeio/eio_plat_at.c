/* eio_plat_at.c - working directory and path as system calls take them. Where there are
 * no *at calls, a working directory has no descriptor, or a call takes none, the path is
 * appended to one that leads to the directory. */
#include "eio_plat_at.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROC_NAME = 32 };

/* What leads to a working directory without its descriptor: the name that this has in
 * /proc, so that the directory may have been moved; else the path that it once had. */
static const char *way_to(const eio_wd *wd, int how, char name[PROC_NAME])
{
  if (wd->fd < 0 || how == EIO_AT_NAMED)
    return wd->path;
  snprintf(name, PROC_NAME, "/proc/self/fd/%d", wd->fd);
  return access(name, F_OK) == 0 ? name : wd->path;
}

bool eio_p_at_begin(struct eio_p_at *at, const eio_wd *wd, const char *path, int how)
{
  char name[PROC_NAME];
  const char *dir;
  size_t dirlen;

  at->fd = EIO_AT_FDCWD;
  at->path = path;
  at->joined = NULL;
  if (!path || !*path) {
    errno = ENOENT;
    return false;
  }
  if (!wd || *path == '/')
    return true;
  if (EIO_HAVE_AT && !(how & EIO_AT_PLAIN) && wd->fd >= 0) {
    at->fd = wd->fd;
    return true;
  }
  dir = way_to(wd, how, name);
  dirlen = strlen(dir);
  if (!dirlen) { /* made by eio_p_wd(), and closed: its entries are not those of "/" */
    errno = EBADF;
    return false;
  }
  at->joined = malloc(dirlen + strlen(path) + 2);
  if (!at->joined) {
    errno = ENOMEM;
    return false;
  }
  memcpy(at->joined, dir, dirlen);
  at->joined[dirlen] = '/';
  strcpy(at->joined + dirlen + 1, path);
  at->path = at->joined;
  return true;
}

int eio_p_at_end(struct eio_p_at *at, int result)
{
  if (at->joined) {
    int error = errno;

    free(at->joined);
    errno = error;
  }
  return result;
}
