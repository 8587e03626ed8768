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
  off_t told;           /* up to where that has been told, see eio__made() */
  off_t length;         /* of the target */
  bool sparse;          /* the source has holes: the target was empty */
  bool once;            /* what is appended to the source meanwhile is not wanted */
  bool no_acl;          /* the target was made by this copy, where nothing gives it an ACL */
  enum { BY_CLONE, BY_RANGE, BY_SENDFILE, BY_READ } way; /* the first that may work */
  bool slow;            /* what was copied last, of this file or another, had to wait for each small piece */
  bool tried;           /* it was of this one */
  struct eio__ways *ways; /* NULL: nobody remembers */
  struct eio_parts *parts; /* with which others may help; NULL: nobody may */
  uint64_t *octets;       /* where what has been copied is added, atomically; NULL: nobody asks */
  uint64_t counted;       /* what of this file has been */
};

/* So many octets more are in the target. */
static inline void eio__copy_count(struct eio__copy *copy, ssize_t n)
{
  if (!copy->octets)
    return;
  copy->counted += (uint64_t)n;
  __atomic_fetch_add(copy->octets, (uint64_t)n, __ATOMIC_RELAXED);
}

/* Whoever asks the request hears up to where the source is copied. By who may change `offs`. */
static inline void eio__copy_tell(struct eio__copy *copy)
{
  if (copy->req && copy->offs > copy->told) {
    eio__made(copy->req, (uint64_t)(copy->offs - copy->told));
    copy->told = copy->offs;
  }
}

static inline bool eio__same_file(const struct stat *a, const struct stat *b)
{
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* True with errno set when nobody wants it any more. */
bool eio__copy_cancelled(const struct eio__copy *copy);

/* ops_copydata.c: what the context of the calling thread remembers; NULL outside of workers. */
struct eio__ways *eio__copy_ways(void);

/* Gives the target that length. */
int eio__copy_cut(struct eio__copy *copy, off_t size);

/* Copies all data that there are from copy->offs on, also those that come
 * meanwhile, and cuts the target to their length. */
int eio__copy_data(struct eio__copy *copy);

/* One has, or has not: known from now on. */
void eio__copy_waits(struct eio__copy *copy, bool waits);

/* ops_pump.c: copies up to `end` by read and write, maybe by two threads: at least some, and all as
 * long as that is the best way. 1, or 0 when the source ended before. */
int eio__pump(struct eio__copy *copy, off_t end);

/* Copies what was appended since, which cannot be cancelled: 1 if there was some. */
int eio__copy_rest(struct eio__copy *copy);

/* ops_copy.c: lets go of the target's data; disks tell here that they are full, at the latest.
 * `out` remains open for what may have to be done yet, or is -1. */
int eio__copy_shut(struct eio__copy *copy);

/* True when a file has fewer blocks than its size needs. */
static inline bool eio__is_sparse(const struct stat *st)
{
  return st->st_blocks < st->st_size / 512;
}

/* ops_keep.c: gives the target times, owner, mode and ACL of the source; with
 * `all` its attributes of the user, too. What cannot be given may make it less
 * accessible, and never more. */
void eio__keep(const struct eio__copy *copy, bool all);
/* The same for owner, mode and ACL alone. */
void eio__keep_access(const struct eio__copy *copy);

/* eio__keep() with `all`, in two steps: a directory's attributes of the user are given when it is
 * made, the rest when all that belongs into it is there. */
struct eio__attrs {
  char *acl, *default_acl;
  ssize_t acl_size, default_size; /* 0: there is none; -1: nobody knows */
};
void eio__attrs_take(struct eio__attrs *attrs, const struct eio__copy *copy);
void eio__keep_attrs(const struct eio__copy *copy, const struct eio__attrs *attrs);
void eio__attrs_free(struct eio__attrs *attrs);

/* Whether what is made in a directory gets no ACL by that. */
bool eio__gives_no_acl(int fd);

#endif
