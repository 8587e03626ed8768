/* ops_whole.h - what the requests for whole files share. */
#ifndef EIO_OPS_WHOLE_H
#define EIO_OPS_WHOLE_H

#include "ops_xfer.h"

/* ops_path.c: makes a directory, and those above it that are not there. Directories on
 * the way get write and search permission for the owner, whatever the mode. One that
 * is there is fine. With `sync` all of that is on the disk when it returns. */
int eio__make_path(const eio_req *req, const eio_wd *wd, const char *path, mode_t mode, bool sync);

/* ops_beside.c: calls `try` with names in the directory of `path`, each time another one,
 * until it says something else than EEXIST. Returns the name, malloc'ed, or NULL. */
char *eio__make_beside(const char *path, int (*try)(void *data, const char *name), void *data);

#endif
