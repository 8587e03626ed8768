/* ops_xfer.h - what transfers of data share. */
#ifndef EIO_OPS_XFER_H
#define EIO_OPS_XFER_H

#include "eio_plat.h"

/* How much is read and written at a time where the kernel does not copy. */
enum { EIO__XFER_BLOCK = 64 * 1024 };

/* Writes all of buf at the current position; *done says how much it was. */
int eio__write_all(int fd, const char *buf, size_t size, size_t *done);

/* Waits until a descriptor seems to be ready for `events`, which for one in error is so;
 * -1 with errno, ECANCELED when the request was. Nobody wakes who waits here, so he
 * looks up now and then. */
int eio__wait(const eio_req *req, int fd, short events);

/* sendfile in one or more steps: how much was written, 0 at the end of the input, -1 when
 * there was an error before anything. */
int64_t eio__send(const eio_req *req, int64_t offset, uint64_t size);

/* ops_rw.c: one call at an offset, or -1: at the current position. */
ssize_t eio__read_some(int fd, char *buf, size_t size, int64_t offs);
ssize_t eio__write_some(int fd, const char *buf, size_t size, int64_t offs);

#endif
