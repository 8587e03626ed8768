/* core_queue.c - the priority queue, by itself and as contexts use it. */
#include "core.h"

static eio_req reqs[64];

static eio_req *nth(unsigned n, int pri)
{
  eio_req_init(&reqs[n], EIO_NOP);
  reqs[n].pri = (int8_t)pri;
  return &reqs[n];
}

/* Whether popping everything gives the requests of those numbers. */
static bool pops(struct eio_queue *q, const int *numbers, unsigned n)
{
  if (q->length != n)
    return false;
  for (unsigned i = 0; i < n; i++)
    if (eio_queue_pop(q) != &reqs[numbers[i]])
      return false;
  return !eio_queue_pop(q) && !q->length && !q->used;
}

#define POPS(q, ...) \
  pops(q, (const int[]){ __VA_ARGS__ }, sizeof (int[]){ __VA_ARGS__ } / sizeof (int))

static void test_order(void)
{
  struct eio_queue q;

  eio_queue_init(&q);
  ok(!eio_queue_pop(&q), "nothing comes out of an empty queue");
  for (unsigned i = 0; i < 5; i++)
    eio_queue_push(&q, nth(i, 0));
  ok(POPS(&q, 0, 1, 2, 3, 4), "first in, first out");

  for (unsigned i = 0; i < 18; i++)
    eio_queue_push(&q, nth(i, (int)i % 9 - 4));
  ok(POPS(&q, 8, 17, 7, 16, 6, 15, 5, 14, 4, 13, 3, 12, 2, 11, 1, 10, 0, 9),
     "highest priority first");

  eio_queue_push(&q, nth(0, 0));
  eio_queue_push(&q, nth(1, 1));
  eio_queue_unshift(&q, nth(2, 0));
  eio_queue_unshift(&q, nth(3, 1));
  eio_queue_unshift(&q, nth(4, -4));
  ok(POPS(&q, 3, 1, 2, 0, 4), "unshift puts before the others of the priority");
}

static void test_remove(void)
{
  struct eio_queue q;

  eio_queue_init(&q);
  for (unsigned i = 0; i < 6; i++)
    eio_queue_push(&q, nth(i, i < 5 ? 2 : -1));
  eio_queue_remove(&q, &reqs[0]);
  eio_queue_remove(&q, &reqs[2]);
  eio_queue_remove(&q, &reqs[4]);
  eio_queue_push(&q, nth(6, 2));
  ok(POPS(&q, 1, 3, 6, 5), "first, middle and last can be taken out");
  eio_queue_push(&q, nth(0, 4));
  eio_queue_remove(&q, &reqs[0]);
  ok(!q.length && !q.used && !eio_queue_pop(&q), "so can the only one");
}

static void test_append(void)
{
  struct eio_queue q, from;

  eio_queue_init(&q);
  eio_queue_init(&from);
  eio_queue_append(&q, &from);
  ok(!q.length && !q.used, "empty to empty");
  for (unsigned i = 0; i < 4; i++)
    eio_queue_push(&from, nth(i, (int)i / 2));
  eio_queue_append(&q, &from);
  ok(!from.length && !from.used && q.length == 4, "to empty");
  eio_queue_append(&q, &from);
  ok(q.length == 4, "empty to others");
  for (unsigned i = 4; i < 8; i++)
    eio_queue_push(&from, nth(i, (int)i / 2 - 2));
  eio_queue_push(&from, nth(8, 4));
  eio_queue_append(&q, &from);
  eio_queue_remove(&q, &reqs[4]);
  ok(POPS(&q, 8, 2, 3, 6, 7, 0, 1, 5), "behind the others of each priority");
}

/* Against a model: an array, sorted by search. */
static void test_model(void)
{
  struct eio_queue q;
  eio_req *model[64];
  unsigned n = 0, seed = 1, wrong = 0;

  eio_queue_init(&q);
  for (int step = 0; step < 100000; step++) {
    unsigned r = (seed = seed * 1103515245 + 12345) >> 16, best = 0;

    if (n < 64 && r % 5 < 3) {
      unsigned slot = 0;

      for (unsigned i = 0; i < n; i++)
        if (model[i] == &reqs[slot])
          slot++, i = (unsigned)-1;
      model[n++] = nth(slot, (int)(r / 5 % 9) - 4);
      eio_queue_push(&q, model[n - 1]);
      continue;
    }
    if (!n)
      continue;
    if (r % 5 == 3) {
      best = r / 5 % n;
      eio_queue_remove(&q, model[best]);
    } else {
      for (unsigned i = 1; i < n; i++)
        if (model[i]->pri > model[best]->pri)
          best = i;
      wrong += eio_queue_pop(&q) != model[best];
    }
    memmove(model + best, model + best + 1, (--n - best) * sizeof *model);
    wrong += q.length != n;
  }
  ok(!wrong, "like a sorted list in 100000 steps");
}

/* Served, and handed back, by priority. */
static void test_priorities(void)
{
  eio_ctx *ctx = context();
  struct job jobs[27];
  bool sorted = true;

  eio_set_max_parallel(ctx, 0);
  for (int i = 0; i < 27; i++) {
    job_init(&jobs[i], EIO_NOP, i);
    jobs[i].req.pri = (int8_t)(i * 5 % 9 - 4);
    eio_submit(ctx, &jobs[i].req);
  }
  check_int(eio_nready(ctx), 27, "all wait");
  eio_set_max_parallel(ctx, 1);
  finish_all(ctx);
  check_int(ncalled, 27, "all are called back");
  for (int i = 1; i < 27; i++) {
    int before = jobs[order[i - 1]].req.pri, now = jobs[order[i]].req.pri;

    sorted = sorted && (before > now || (before == now && order[i - 1] < order[i]));
  }
  check(sorted, "by priority, and by age within one");
  eio_destroy(ctx);
}

/* Done is done: what poll has not handed out yet is handed out by priority. */
static void test_pending(void)
{
  eio_ctx *ctx = context();
  struct job jobs[9];

  for (int i = 0; i < 9; i++) {
    job_init(&jobs[i], EIO_NOP, 8 - i);
    jobs[i].req.pri = (int8_t)(i - 4);
    eio_submit(ctx, &jobs[i].req);
  }
  wait_pending(ctx, 9);
  eio_poll(ctx, 0, 0);
  check(called_in_order(0, 9), "done requests come by priority");

  ncalled = 0;
  submit_nop(ctx, &jobs[1], 1);
  job_init(&jobs[0], EIO_NOP, 0);
  jobs[0].req.pri = 1;
  jobs[0].req.flags = EIO_NO_INLINE;
  eio_submit(ctx, &jobs[0].req);
  wait_pending(ctx, 2);
  eio_poll(ctx, 0, 0);
  check(called_in_order(0, 2), "whoever has executed them");
  eio_destroy(ctx);
}

int main(void)
{
  static test *const tests[] = { test_priorities, test_pending, NULL };

  tap_begin();
  test_order();
  test_remove();
  test_append();
  test_model();
  on_each_engine(tests);
  return tap_end();
}
