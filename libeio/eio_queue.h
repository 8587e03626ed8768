/* eio_queue.h - a priority queue of requests: a list per priority, first in,
 * first out within one. All operations take constant time. A request is in at
 * most one queue. Locking is the caller's. */
#ifndef EIO_QUEUE_H
#define EIO_QUEUE_H

#include "eio.h"
#include <stdatomic.h>
#include <stdbool.h>

#define EIO_NPRI (EIO_PRI_MAX - EIO_PRI_MIN + 1)

struct eio_queue {
  eio_req *head[EIO_NPRI], *tail[EIO_NPRI];
  unsigned length;
  unsigned used; /* bit n: list n is not empty */
};

void eio_queue_init(struct eio_queue *q);
void eio_queue_push(struct eio_queue *q, eio_req *req);
/* Puts a request before all others of its priority. */
void eio_queue_unshift(struct eio_queue *q, eio_req *req);
/* The first request of the highest priority, or NULL. */
eio_req *eio_queue_first(const struct eio_queue *q);
/* Takes it. */
eio_req *eio_queue_pop(struct eio_queue *q);
/* Takes out a request that is in the queue. */
void eio_queue_remove(struct eio_queue *q, eio_req *req);
/* Appends all of `from`, which is empty then. */
void eio_queue_append(struct eio_queue *q, struct eio_queue *from);

/* A list that any thread may push to, linked by `next`, last first. Taking all
 * of it is an atomic exchange with NULL. */
void eio__push(_Atomic(eio_req *) *list, eio_req *req);
/* First first. Meanwhile their other halves, which another processor has written, are
 * on their way to this one. */
eio_req *eio__reverse(eio_req *list);

#endif
