/* ops_copy.h - what copies and moves share. */
#ifndef EIO_OPS_COPY_H
#define EIO_OPS_COPY_H

#include "ops_xfer.h"

/* A file on its way. `in` and `out` are open; the callers close them. */
struct eio__copy {
  const eio_req *req; /* who may cancel it; NULL: too late */
  const eio_wd *wd; /* the target's name, which goes when the copy fails */
  const char *name;
  int in, out;
  struct stat from, to; /* before; but from.st_size is what was last seen */
  off_t offs;           /* up to where the source is copied */
  off_t length;         /* of the target */
  bool sparse;          /* the source has holes: the target was empty */
  enum { BY_RANGE, BY_SENDFILE, BY_READ } way; /* the first that may work */
};

static inline bool eio__same_file(const struct stat *a, const struct stat *b)
{
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* True with errno set when nobody wants it any more. */
bool eio__copy_cancelled(const struct eio__copy *copy);

/* Copies all data that there are from copy->offs on, also those that come
 * meanwhile, and cuts the target to their length. */
int eio__copy_data(struct eio__copy *copy);

/* Copies what was appended since, which cannot be cancelled: 1 if there was some. */
int eio__copy_rest(struct eio__copy *copy);

/* Lets go of the target's data; disks tell here that they are full, at the latest.
 * `out` remains open for what may have to be done yet, or is -1. */
int eio__copy_shut(struct eio__copy *copy);

/* ops_keep.c: gives the target times, owner, mode and ACL of the source; with
 * `all` its attributes of the user, too. What cannot be given may make it less
 * accessible, and never more. */
void eio__keep(const struct eio__copy *copy, bool all);
/* The same for owner, mode and ACL alone. */
void eio__keep_access(const struct eio__copy *copy);

#endif
