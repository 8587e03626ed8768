/* ops_whole.h - what the requests for whole files share. */
#ifndef EIO_OPS_WHOLE_H
#define EIO_OPS_WHOLE_H

#include "ops_xfer.h"

/* ops_path.c: makes a directory, and those above it that are not there. Directories on
 * the way get write and search permission for the owner, whatever the mode. One that
 * is there is fine. */
int eio__make_path(const eio_req *req, const eio_wd *wd, const char *path, mode_t mode);

#endif
