/* eio_queue.c - priority queue of requests, see eio_queue.h. */
#include "eio_queue.h"

#include <string.h>

void eio_queue_init(struct eio_queue *q)
{
  memset(q, 0, sizeof *q);
}

static unsigned list_of(const eio_req *req)
{
  return (unsigned)(req->pri - EIO_PRI_MIN);
}

void eio_queue_push(struct eio_queue *q, eio_req *req)
{
  unsigned n = list_of(req);

  req->next = NULL;
  req->prev = q->tail[n];
  if (q->tail[n])
    q->tail[n]->next = req;
  else
    q->head[n] = req;
  q->tail[n] = req;
  q->used |= 1u << n;
  q->length++;
}

void eio_queue_unshift(struct eio_queue *q, eio_req *req)
{
  unsigned n = list_of(req);

  req->prev = NULL;
  req->next = q->head[n];
  if (q->head[n])
    q->head[n]->prev = req;
  else
    q->tail[n] = req;
  q->head[n] = req;
  q->used |= 1u << n;
  q->length++;
}

void eio_queue_remove(struct eio_queue *q, eio_req *req)
{
  unsigned n = list_of(req);

  if (req->prev)
    req->prev->next = req->next;
  else
    q->head[n] = req->next;
  if (req->next)
    req->next->prev = req->prev;
  else
    q->tail[n] = req->prev;
  if (!q->head[n])
    q->used &= ~(1u << n);
  q->length--;
  req->next = req->prev = NULL;
}

eio_req *eio_queue_first(const struct eio_queue *q)
{
  return q->used ? q->head[31 - __builtin_clz(q->used)] : NULL;
}

eio_req *eio_queue_pop(struct eio_queue *q)
{
  eio_req *req = eio_queue_first(q);

  if (req)
    eio_queue_remove(q, req);
  return req;
}

void eio_queue_append(struct eio_queue *q, struct eio_queue *from)
{
  for (unsigned n = 0; from->used >> n; n++) {
    if (!from->head[n])
      continue;
    if (q->tail[n]) {
      q->tail[n]->next = from->head[n];
      from->head[n]->prev = q->tail[n];
    } else
      q->head[n] = from->head[n];
    q->tail[n] = from->tail[n];
  }
  q->used |= from->used;
  q->length += from->length;
  eio_queue_init(from);
}

void eio__push(_Atomic(eio_req *) *list, eio_req *req)
{
  eio_req *head = atomic_load_explicit(list, memory_order_relaxed);

  do
    req->next = head;
  while (!atomic_compare_exchange_weak(list, &head, req));
}

eio_req *eio__reverse(eio_req *list)
{
  eio_req *reversed = NULL;

  while (list) {
    eio_req *next = list->next;

    __builtin_prefetch((char *)list + sizeof *list / 2, 1);
    list->next = reversed;
    reversed = list;
    list = next;
  }
  return reversed;
}
