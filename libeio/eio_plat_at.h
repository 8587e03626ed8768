/* eio_plat_at.h - what the calls that take a path are given for a working directory
 * and a path. For eio_plat*.c only. */
#ifndef EIO_PLAT_AT_H
#define EIO_PLAT_AT_H

#include "eio_plat.h"

#if EIO_HAVE_AT
# define EIO_AT_FDCWD AT_FDCWD
#else
# define EIO_AT_FDCWD (-1)
#endif

struct eio_p_at {
  int fd;           /* for calls that take a descriptor before the path */
  const char *path;
  char *joined;     /* malloc'ed or NULL */
};

enum {
  EIO_AT_PLAIN = 1, /* for calls that take no descriptor: it is not used */
  EIO_AT_NAMED = 3, /* nor is its name in /proc, which may look like another directory's */
};

/* False with errno set when there is no such path; else eio_p_at_end() must follow. */
bool eio_p_at_begin(struct eio_p_at *at, const eio_wd *wd, const char *path, int how);
/* Passes the result on; keeps errno. */
int eio_p_at_end(struct eio_p_at *at, int result);

#endif
