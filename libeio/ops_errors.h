/* ops_errors.h - what an operation on a tree could not do, while it goes on with the rest, and what it has done. */
#ifndef EIO_OPS_ERRORS_H
#define EIO_OPS_ERRORS_H

#include "eio_int.h"

/* The list belongs to the request; its owner may look at `done` and `told` any time. */
struct eio__errors {
  pthread_mutex_t lock;    /* for `first`, and the errors of the list */
  struct eio_errors *list;
  int first;               /* 0: none */
};

/* 0, or -1 with errno. */
int eio__errors_begin(struct eio__errors *errors, eio_req *req);

/* Adds one, of any thread; takes the path (malloc'ed, NULL: no memory for it) and keeps
 * nothing else: `what` is a constant. */
void eio__errors_add(struct eio__errors *errors, int error, const char *what, char *path);

/* Counts. Any thread. */
static inline void eio__errors_done(struct eio__errors *errors, enum eio_done kind, uint64_t n)
{
  __atomic_fetch_add(&errors->list->done[kind], n, __ATOMIC_RELAXED);
}

/* Tells the owner, of any thread; without memory, nothing. */
void eio__errors_tell(struct eio__errors *errors, int error, const char *what, const char *path);

/* All parts have ended. Returns 0, or -1 with errno of the first. */
int eio__errors_end(struct eio__errors *errors);

void eio__errors_free(struct eio_errors *list);

#endif
