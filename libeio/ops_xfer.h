/* ops_xfer.h - what transfers of data share. */
#ifndef EIO_OPS_XFER_H
#define EIO_OPS_XFER_H

#include "eio_plat.h"

/* How much is read and written at a time where the kernel does not copy. */
enum { EIO__XFER_BLOCK = 64 * 1024 };

/* Writes all of buf at the current position; *done says how much it was. */
int eio__write_all(int fd, const char *buf, size_t size, size_t *done);

#endif
