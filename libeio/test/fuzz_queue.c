/* fuzz_queue.c - two priority queues against arrays that are searched. */
#include "fuzz.h"

enum { REQS = 32 };

static eio_req reqs[REQS];

/* Numbers of requests, in any order of priorities. */
struct model {
  int list[REQS];
  int n;
};

static void insert(struct model *model, int at, int which)
{
  memmove(model->list + at + 1, model->list + at, (size_t)(model->n++ - at) * sizeof (int));
  model->list[at] = which;
}

static void take_out(struct model *model, int at)
{
  memmove(model->list + at, model->list + at + 1, (size_t)(--model->n - at) * sizeof (int));
}

static int first(const struct model *model)
{
  int best = -1;

  for (int i = 0; i < model->n; i++)
    if (best < 0 || reqs[model->list[i]].pri > reqs[model->list[best]].pri)
      best = i;
  return best;
}

static int find(const struct model *model, int which)
{
  for (int i = 0; i < model->n; i++)
    if (model->list[i] == which)
      return i;
  return -1;
}

static void check(const struct eio_queue *q, const struct model *model)
{
  unsigned used = 0;

  for (int i = 0; i < model->n; i++)
    used |= 1u << (reqs[model->list[i]].pri - EIO_PRI_MIN);
  MUST(q->length == (unsigned)model->n);
  MUST(q->used == used);
}

static void pop(struct eio_queue *q, struct model *model)
{
  int best = first(model);
  eio_req *req = eio_queue_pop(q);

  MUST(req == (best < 0 ? NULL : &reqs[model->list[best]]));
  if (req)
    take_out(model, best);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct input input = { data, data + size };
  struct eio_queue queues[2];
  struct model models[2] = { { .n = 0 }, { .n = 0 } };

  eio_queue_init(&queues[0]);
  eio_queue_init(&queues[1]);
  while (input.at < input.end) {
    unsigned what = octet(&input), which = what & 1;
    int number = (int)(octet(&input) % REQS);
    struct eio_queue *q = &queues[which];
    struct model *model = &models[which], *other = &models[!which];
    int at = find(model, number);

    switch (what >> 1 & 7) {
    case 0: case 1: case 2: case 3:
      if (at >= 0 || find(other, number) >= 0)
        break;
      eio_req_init(&reqs[number], EIO_NOP);
      reqs[number].pri = (int8_t)((int)(octet(&input) % EIO_NPRI) + EIO_PRI_MIN);
      if (what & 2)
        eio_queue_push(q, &reqs[number]);
      else
        eio_queue_unshift(q, &reqs[number]);
      insert(model, what & 2 ? model->n : 0, number);
      break;
    case 4: case 5:
      if (at >= 0) {
        eio_queue_remove(q, &reqs[number]);
        take_out(model, at);
      }
      break;
    case 6: pop(q, model); break;
    default:
      eio_queue_append(q, &queues[!which]);
      for (int i = 0; i < other->n; i++)
        insert(model, model->n, other->list[i]);
      other->n = 0;
    }
    check(&queues[0], &models[0]);
    check(&queues[1], &models[1]);
  }
  for (int i = 0; i < 2; i++)
    do
      pop(&queues[i], &models[i]);
    while (models[i].n);
  return 0;
}
