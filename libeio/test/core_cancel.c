/* core_cancel.c - cancelling in each state. A cancelled request is not called
 * back, leaves nothing behind, and counts until poll has seen it. */
#include "core.h"

#include <sys/stat.h>

static eio_ctx *ctx;

static void submit_mkdir(struct job *job, int number, const char *path)
{
  job_init(job, EIO_MKDIR, number);
  job->req.path = (char *)(uintptr_t)path;
  job->req.arg2 = 0755;
  eio_submit(ctx, &job->req);
}

static void test_ready(void)
{
  static const char *const names[] = { "a", "b", "c" };
  struct job jobs[3];

  ctx = context();
  eio_set_max_parallel(ctx, 0);
  for (int i = 0; i < 3; i++)
    submit_mkdir(&jobs[i], i, names[i]);
  eio_cancel(ctx, &jobs[1].req);
  eio_cancel(ctx, &jobs[1].req);
  check(eio_nready(ctx) == 2 && eio_npending(ctx) == 1, "one of three leaves the ready queue");
  check_int(eio_nreqs(ctx), 3, "it counts");
  check(is_readable(ctx), "there is something to poll");
  check_int(eio_poll(ctx, 0, 0), 0, "poll");
  check_int(eio_nreqs(ctx), 2, "it counts no more");
  check_int(ncalled, 0, "it is not called back");
  eio_set_max_parallel(ctx, 4);
  finish_all(ctx);
  check(jobs[0].called && !jobs[1].called && jobs[2].called, "the others are");
  check(exists("a") && !exists("b") && exists("c"), "it was not executed");
  check_int(jobs[1].req.result, -1, "its result is -1");
  rmdir("a");
  rmdir("c");
  eio_destroy(ctx);
}

/* The first in the queue behind workers that are held up. */
static void test_waiting(void)
{
  struct gate gate = gate_make();
  struct job jobs[4];

  ctx = context();
  eio_set_max_parallel(ctx, 2);
  if (!is_sync()) {
    block(ctx, &jobs[0], &gate, 0);
    block(ctx, &jobs[1], &gate, 1);
    wait_running(ctx, 2);
    submit_mkdir(&jobs[2], 2, "a");
    submit_mkdir(&jobs[3], 3, "b");
    eio_cancel(ctx, &jobs[2].req);
    check_int(eio_nready(ctx), 1, "only one waits");
    gate_open(&gate);
    finish_all(ctx);
    check(!jobs[2].called && !exists("a"), "what waited for a worker is not executed");
    check(jobs[3].called && exists("b"), "what waited behind it is");
    rmdir("b");
  } else
    gate_open(&gate);
  gate_remove(&gate);
  eio_destroy(ctx);
}

static void test_running(void)
{
  struct gate gate = gate_make();
  struct job blocked, open;
  int fd;

  ctx = context();
  if (is_sync())
    gate_open(&gate);
  else {
    block(ctx, &blocked, &gate, 0);
    if (mkfifo("fifo", 0600) < 0)
      bail_out("mkfifo");
    job_init(&open, EIO_OPEN, 1);
    open.req.path = "fifo";
    open.req.arg1 = O_RDONLY;
    eio_submit(ctx, &open.req);
    wait_running(ctx, 2);
    eio_cancel(ctx, &blocked.req);
    eio_cancel(ctx, &open.req);
    check_int(eio_poll(ctx, 0, 0), 0, "what runs is not interrupted");
    check_int(eio_nreqs(ctx), 2, "it counts");
    gate_open(&gate);
    fd = open_for_test("fifo", O_WRONLY); /* waits for the reader */
    finish_all(ctx);
    check_int(ncalled, 0, "it is not called back");
    check(open.req.result >= 0 && fcntl((int)open.req.result, F_GETFD) < 0,
          "the descriptor that it opened is closed");
    close(fd);
    unlink("fifo");
  }
  gate_remove(&gate);
  eio_destroy(ctx);
}

static void test_done(void)
{
  struct job jobs[3];

  ctx = context();
  submit_nop(ctx, &jobs[0], 0);
  submit_for_worker(ctx, &jobs[1], 1);
  job_init(&jobs[2], EIO_LOAD, 2);
  jobs[2].req.path = "/proc/self/stat";
  eio_submit(ctx, &jobs[2].req);
  wait_pending(ctx, 3);
  for (int i = 0; i < 3; i++)
    eio_cancel(ctx, &jobs[i].req);
  check_int(eio_nreqs(ctx), 3, "what is done counts");
  check_int(eio_poll(ctx, 0, 0), 0, "poll");
  check(ncalled == 0 && eio_nreqs(ctx) == 0, "it is not called back");
  check(jobs[2].req.result > 0 && !jobs[2].req.buf, "its data is freed");
  check(!is_readable(ctx), "descriptor is silent");
  eio_destroy(ctx);
}

static void cancel_me(eio_req *req)
{
  note(req);
  eio_cancel(ctx, req);
}

static struct job victims[2];

static void cancel_victims(eio_req *req)
{
  note(req);
  eio_cancel(ctx, &victims[0].req);
  eio_cancel(ctx, &victims[1].req);
}

static void test_finished(void)
{
  struct job job;

  ctx = context();
  job_init(&job, EIO_NOP, 0);
  job.req.cb = cancel_me;
  eio_submit(ctx, &job.req);
  finish_all(ctx);
  check_int(ncalled, 1, "a request may cancel itself in its callback");
  eio_cancel(ctx, &job.req);
  check_int(eio_nreqs(ctx) + (unsigned)eio_poll(ctx, 0, 0), 0, "or be cancelled later, in vain");

  ncalled = 0;
  job_init(&job, EIO_NOP, 0);
  job.req.cb = cancel_victims;
  eio_submit(ctx, &job.req);
  submit_nop(ctx, &victims[0], 1);
  submit_nop(ctx, &victims[1], 2);
  wait_pending(ctx, 3);
  eio_poll(ctx, 0, 0);
  check(called_in_order(0, 1), "a callback may cancel what this poll would call next");
  check_int(eio_nreqs(ctx), 0, "nothing is left");
  eio_destroy(ctx);
}

/* At any time: cancelling competes with workers and the ring. */
static void test_storm(void)
{
  int n = SANITIZED ? 3000 : 30000, fd = open_for_test("/proc/self/exe", O_RDONLY);
  struct job *jobs = calloc((size_t)n, sizeof *jobs);
  unsigned seed = 7, cancelled = 0, wrong = 0;
  static char buf[8][64];

  ctx = context();
  for (int i = 0; i < n; i++) {
    unsigned r = (seed = seed * 1103515245 + 12345) >> 16;

    job_init(&jobs[i], r % 3 ? EIO_OPEN : EIO_READ, i);
    if (r % 3)
      jobs[i].req.path = "/proc/self/exe";
    else {
      jobs[i].req.fd = fd;
      jobs[i].req.buf = buf[r / 3 % 8];
      jobs[i].req.size = 0;
    }
    jobs[i].req.flags = r & 64 ? EIO_NO_INLINE : 0;
    eio_submit(ctx, &jobs[i].req);
    if (i > 20 && r & 128) {
      eio_cancel(ctx, &jobs[i - (int)(r % 20)].req);
      cancelled++;
    }
    if (r & 256)
      eio_poll(ctx, 0, 0);
  }
  finish_all(ctx);
  for (int i = 0; i < n; i++)
    wrong += jobs[i].called == eio__cancelled(&jobs[i].req);
  check(!wrong && cancelled,
        "each of %d requests is either called back or cancelled", n);
  check_int(eio_nreqs(ctx), 0, "nothing is left");
  close(fd);
  free(jobs);
  eio_destroy(ctx);
}

int main(void)
{
  static test *const tests[] = {
    test_ready, test_waiting, test_running, test_done, test_finished, test_storm, NULL,
  };

  scratch_begin();
  on_each_engine(tests);
  return scratch_end(0);
}
