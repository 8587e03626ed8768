/* core_progress.c - how far a request is, asked by its owner while others are at it, and ticks. */
#include "core.h"

#include <fcntl.h>
#include <unistd.h>

#include "../eio_pool.h"

static eio_ctx *ctx;

static bool progress_is(const eio_req *req, uint64_t made, uint64_t whole)
{
  uint64_t m, w;

  eio_progress(req, &m, &w);
  if (m == made && w == whole)
    return true;
  diag("%u of %u", (unsigned)m, (unsigned)w);
  return false;
}

static void test_tick(bool watched)
{
  struct gate gate = gate_make();
  struct job job;
  uint64_t at;

  ctx = watched ? context() : unwatched_context();
  ncalled = 0;
  if (is_sync())
    submit_nop(ctx, &job, 0);
  else
    block(ctx, &job, &gate, 0);
  at = eio_p_now() + 2000000;
  eio_set_tick(ctx, at);
  if (watched)
    wait_readable(ctx);
  else
    check_int(eio_poll_wait(ctx, -1), 0, "a tick ends a wait");
  check(is_sync() || eio_p_now() >= at, "when it is time");
  while (eio_p_now() < at)
    sched_yield();
  eio_poll(ctx, 0, 0);
  check(ctx->tick == UINT64_MAX && (is_sync() || (!is_readable(ctx) && !ncalled)), "and only once");
  eio_set_tick(ctx, eio_p_now() + 3600 * UINT64_C(1000000000));
  eio_set_tick(ctx, UINT64_MAX);
  gate_open(&gate);
  finish_all(ctx);
  check_int(ncalled, 1, "requests are done as ever");
  gate_remove(&gate);
  eio_destroy(ctx);
}

static void test_ticks(void)
{
  test_tick(true);
  test_tick(false);
}

static void write_octets(int fd, size_t n)
{
  static const char octets[1000];

  if (write(fd, octets, n) != (ssize_t)n)
    bail_out("write");
}

/* A copy of a stream, and a group that adds up. */
static void test_copy(void)
{
  static char from[] = "fifo", to[] = "copy";
  struct job job, group;
  int fd;

  if (is_sync())
    return;
  ctx = context();
  ncalled = 0;
  if (mkfifo(from, 0600) < 0)
    bail_out("mkfifo");
  job_init(&group, EIO_GROUP, 1);
  group.req.arg2 = 1;
  eio_submit(ctx, &group.req);
  job_init(&job, EIO_COPY, 0);
  job.req.path = from;
  job.req.path2 = to;
  eio_submit(ctx, &job.req);
  eio_group_add(ctx, &group.req, &job.req);
  check(progress_is(&job.req, 0, 0), "nothing yet");
  fd = open(from, O_WRONLY);
  for (unsigned n = 1; n <= 3; n++) {
    uint64_t made = 0, whole;

    write_octets(fd, 1000);
    while (made < n * 1000) {
      sched_yield();
      eio_progress(&group.req, &made, &whole);
    }
    check(made == n * 1000 && !whole, "what has come");
  }
  close(fd);
  finish_all(ctx);
  check(progress_is(&job.req, 3000, 0) && progress_is(&group.req, 3000, 0), "and all of it in the end, also of the group");
  unlink(from);
  unlink(to);
  eio_destroy(ctx);
}

/* Whoever removes them: as many as there were. */
static void test_parts(void)
{
  static char top[] = "t";
  char name[64];
  struct job job;

  ctx = context();
  ctx->pool->eager = true;
  for (int round = 0; round < 5; round++) {
    mkdir(top, 0755);
    for (int i = 0; i < 40; i++) {
      snprintf(name, sizeof name, "t/%d", i);
      mkdir(name, 0755);
      strcat(name, "/f");
      close(open(name, O_WRONLY | O_CREAT, 0644));
    }
    job_init(&job, EIO_RMTREE, 0);
    job.req.path = top;
    eio_submit(ctx, &job.req);
    for (uint64_t before = 0, made, whole; !job.called; before = made) {
      eio_progress(&job.req, &made, &whole);
      if (made < before)
        check(false, "it goes on only");
      eio_poll(ctx, 0, 0);
    }
    check(progress_is(&job.req, 81, 0), "each entry counts once");
  }
  eio_destroy(ctx);
}

static void test_members(void)
{
  struct gate gate = gate_make();
  struct job group, jobs[4];

  if (is_sync()) {
    gate_open(&gate);
    gate_remove(&gate);
    return;
  }
  ctx = context();
  ncalled = 0;
  job_init(&group, EIO_GROUP, 10);
  eio_submit(ctx, &group.req);
  for (int i = 0; i < 4; i++) {
    if (i == 3)
      block(ctx, &jobs[i], &gate, i);
    else
      submit_nop(ctx, &jobs[i], i);
    eio_group_add(ctx, &group.req, &jobs[i].req);
  }
  check(progress_is(&group.req, 0, 4), "members");
  while (ncalled < 3)
    eio_poll(ctx, 0, 0);
  check(progress_is(&group.req, 3, 4), "of which some are done");
  gate_open(&gate);
  finish_all(ctx);
  check(progress_is(&group.req, 4, 4), "and all");
  gate_remove(&gate);
  eio_destroy(ctx);
}

int main(void)
{
  static test *const tests[] = { test_ticks, test_copy, test_parts, test_members, NULL };

  scratch_begin();
  on_each_engine(tests);
  return scratch_end(0);
}
