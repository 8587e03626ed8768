/* ops_errors.h - what an operation on a tree could not do, while it goes on with the rest. */
#ifndef EIO_OPS_ERRORS_H
#define EIO_OPS_ERRORS_H

#include "eio_int.h"

/* All but `list`, which is made by the first, needs no lock once all parts have ended. */
struct eio__errors {
  pthread_mutex_t lock;
  struct eio_errors *list; /* NULL: none, or there was no memory */
  int first;               /* 0: none */
};

void eio__errors_init(struct eio__errors *errors);

/* Adds one, of any thread; takes the path (malloc'ed, NULL: no memory for it) and keeps
 * nothing else: `what` is a constant. */
void eio__errors_add(struct eio__errors *errors, int error, const char *what, char *path);

/* Leaves the list in the request, and frees the rest. Returns 0, or -1 with errno of the
 * first. */
int eio__errors_leave(struct eio__errors *errors, eio_req *req);

void eio__errors_free(struct eio_errors *list);

#endif
