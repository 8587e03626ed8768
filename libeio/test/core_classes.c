/* core_classes.c - classes: so many of each execute at a time, and those that wait for that are
 * in nobody's way. A gate stands for what hangs, in a worker or in the ring. */
#include "ring_gate.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../eio_pool.h"

#define SOON UINT64_C(1000000)

/* Stands before the C library's: how many threads are in it at a time. */
static atomic_int inside, most;

int openat(int dir, const char *path, int flags, ...);
__attribute__((visibility("default"))) int openat(int dir, const char *path, int flags, ...)
{
  va_list args;
  mode_t mode;
  int now = atomic_fetch_add(&inside, 1) + 1, fd;

  va_start(args, flags);
  mode = flags & O_CREAT ? (mode_t)va_arg(args, int) : 0;
  va_end(args);
  for (int seen = atomic_load(&most); seen < now && !atomic_compare_exchange_weak(&most, &seen, now); )
    ;
  sched_yield();
  fd = (int)syscall(SYS_openat, dir, path, flags, mode);
  atomic_fetch_sub(&inside, 1);
  return fd;
}

static eio_ctx *ctx;
static eio_class *slow;
static struct gate gate;

static void begin(unsigned limit)
{
  ctx = context();
  slow = eio_class_create(ctx);
  if (!slow)
    bail_out("memory");
  eio_class_set_max_parallel(ctx, slow, limit);
  gate = gate_make();
  ncalled = 0;
}

static void end(void)
{
  gate_remove(&gate);
  eio_destroy(ctx);
}

static bool figures_are(unsigned running, unsigned waiting)
{
  struct eio_class_stats stats;

  eio_class_get(ctx, slow, &stats);
  if (stats.running == running && stats.waiting == waiting)
    return true;
  diag("%u running, %u waiting", stats.running, stats.waiting);
  return false;
}

static void hang(struct job *job, int number)
{
  gate_fill(job, &gate, number, 1);
  job->req.in_class = slow;
  eio_submit(ctx, &job->req);
}

static void submit_to(eio_class *to, struct job *job, int number, int pri)
{
  job_init(job, EIO_NOP, number);
  job->req.flags = EIO_NO_INLINE;
  job->req.pri = (int8_t)pri;
  job->req.in_class = to;
  eio_submit(ctx, &job->req);
}

static void poll_until(unsigned called)
{
  while (ncalled < called) {
    wait_readable(ctx);
    eio_poll(ctx, 0, 0);
  }
}

static void test_apart(void)
{
  struct job jobs[5], others[100];

  if (is_sync())
    return;
  begin(2);
  for (int i = 0; i < 5; i++)
    hang(&jobs[i], i);
  wait_running(ctx, 2);
  for (int i = 0; i < 100; i++)
    submit_to(NULL, &others[i], i, 0);
  poll_until(100);
  check(figures_are(2, 3) && atomic_load(&ctx->nrunning) == 2, "two hang, the others of the class wait, all else goes on");
  check(eio_nready(ctx) == 3 && eio_nreqs(ctx) == 5, "they are counted");
  check(eio__pool_waiting(ctx) == 0, "and nobody takes them for what a worker could do");
  gate_open(&gate);
  finish_all(ctx);
  check(figures_are(0, 0) && ncalled == 105, "they follow");
  end();
}

/* Each writes its letter when it executes. */
static void test_order(void)
{
  static const char letters[] = "abcdefgh";
  static const int pris[] = { 0, -1, 3, 0, -1, 3, 0, 4 };
  struct job first, jobs[8];
  char got[9] = "";
  int fds[2];

  if (is_sync())
    return;
  begin(1);
  if (eio_p_pipe(fds) < 0)
    bail_out("pipe");
  hang(&first, 100);
  for (int i = 0; i < 8; i++) {
    job_init(&jobs[i], EIO_WRITE, i);
    jobs[i].req.fd = fds[1];
    jobs[i].req.offs = -1;
    jobs[i].req.buf = (void *)(uintptr_t)&letters[i];
    jobs[i].req.size = 1;
    jobs[i].req.pri = (int8_t)pris[i];
    jobs[i].req.in_class = slow;
    eio_submit(ctx, &jobs[i].req);
  }
  check(figures_are(1, 8), "eight wait for the one");
  gate_open(&gate);
  finish_all(ctx);
  check(read(fds[0], got, 8) == 8 && !strcmp(got, "hcfadgbe"), "they execute by priority, one after the other");
  close(fds[0]);
  close(fds[1]);
  end();
}

static void test_limit(void)
{
  struct job jobs[6], unnamed;

  begin(0);
  for (int i = 0; i < 6; i++)
    submit_to(slow, &jobs[i], i, 0);
  check(figures_are(0, 6) && eio_nstopped(ctx) == 6, "with a limit of 0 all wait");
  submit_to(NULL, &unnamed, 100, 0);
  poll_until(1);
  check(unnamed.called && eio_poll(ctx, 0, 0) == 0, "but others");
  eio_class_set_max_parallel(ctx, slow, 2);
  finish_all(ctx);
  check(ncalled == 7 && figures_are(0, 0) && !eio_nstopped(ctx), "until it is raised");
  gate_open(&gate);
  end();
}

/* What has a place, but no worker yet, is called back when the limit is lowered, and is the first
 * again. */
static void test_lowered(void)
{
  struct job first, jobs[6];

  if (is_sync())
    return;
  begin(4);
  eio_set_max_parallel(ctx, 1);
  block(ctx, &first, &gate, 100);
  wait_running(ctx, 1);
  for (int i = 0; i < 6; i++)
    submit_to(slow, &jobs[i], i, 0);
  check(figures_are(4, 2), "four wait for a worker, two for the class");
  eio_class_set_max_parallel(ctx, slow, 0);
  check(figures_are(0, 6), "then all for the class");
  gate_open(&gate);
  poll_until(1);
  eio_class_set_max_parallel(ctx, slow, 1);
  ncalled = 0;
  finish_all(ctx);
  check(called_in_order(0, 6), "in the order that they had");
  end();
}

static void test_inline(void)
{
  struct job first, job, other;

  begin(1);
  job_init(&job, EIO_NOP, 0);
  job.req.in_class = slow;
  eio_submit(ctx, &job.req);
  check(eio_npending(ctx) == 1 && figures_are(0, 0), "a class with a place: an attempt in submit");
  eio_poll(ctx, 0, 0);
  if (!is_sync()) {
    hang(&first, 1);
    wait_running(ctx, 1);
    job_init(&job, EIO_NOP, 0);
    job.req.in_class = slow;
    eio_submit(ctx, &job.req);
    submit_nop(ctx, &other, 2);
    check(eio_npending(ctx) == 1 && figures_are(1, 1), "a class without: none, while others are attempted as ever");
  }
  gate_open(&gate);
  finish_all(ctx);
  end();
}

static void test_cancel(void)
{
  struct job jobs[5];

  if (is_sync())
    return;
  begin(1);
  eio_set_max_parallel(ctx, 0);
  for (int i = 0; i < 5; i++)
    submit_to(slow, &jobs[i], i, 0);
  check(figures_are(1, 4), "one of five has a place");
  eio_cancel(ctx, &jobs[2].req);
  check(figures_are(1, 3), "one that waits for it is cancelled");
  eio_cancel(ctx, &jobs[0].req);
  check(figures_are(1, 2), "and the one that has it, which the next one gets");
  eio_set_max_parallel(ctx, 4);
  finish_all(ctx);
  check(ncalled == 3 && order[0] == 1 && order[1] == 3 && order[2] == 4, "the others execute");
  gate_open(&gate);
  end();
}

/* What hangs is abandoned: the class goes on with the next, as long as workers may be lost. */
static void test_abandoned(void)
{
  struct job jobs[4], next;
  bool flies = is_uring();

  if (is_sync())
    return;
  begin(2);
  nstand_ins = 0;
  eio_on_abandon(ctx, stand_in);
  for (int i = 0; i < 2; i++)
    block(ctx, &jobs[i], &gate, i);
  for (int i = 2; i < 4; i++) {
    gate_fill(&jobs[i], &gate, i, flies ? 4096 : 1); /* in workers, all of them */
    jobs[i].req.in_class = slow;
    eio_submit(ctx, &jobs[i].req);
  }
  wait_running(ctx, 4);
  submit_to(slow, &next, 9, 0);
  check(figures_are(2, 1), "two hang, one waits");
  eio_set_max_abandoned(ctx, 1);
  eio_timeout(ctx, &jobs[2].req, SOON);
  poll_until(2);
  check(next.called && figures_are(1, 0), "one is abandoned: the next one executes");
  eio_timeout(ctx, &jobs[3].req, SOON);
  poll_until(3);
  check(figures_are(1, 0) && eio_nabandoned(ctx) == 1, "no more than may be: the other keeps its place");
  gate_open(&gate);
  finish_all(ctx);
  while (eio_nabandoned(ctx) || !figures_are(0, 0) || eio_npending(ctx))
    eio_poll(ctx, 0, 0);
  check(figures_are(0, 0), "and gives it back when it ends");
  end();
}

static void make_tree(void)
{
  char name[64];

  for (int i = 0; i < 30; i++) {
    snprintf(name, sizeof name, "t/%d", i);
    if ((!i && mkdir("t", 0755) < 0) || mkdir(name, 0755) < 0)
      bail_out("mkdir");
    strcat(name, "/d");
    mkdir(name, 0755);
  }
}

static uint64_t remove_tree(eio_class *in)
{
  struct eio_stats before, after;
  static char top[] = "t";
  struct job job;

  make_tree();
  atomic_store(&most, 0);
  eio_get_stats(ctx, &before);
  job_init(&job, EIO_RMTREE, 0);
  job.req.path = top;
  job.req.in_class = in;
  eio_submit(ctx, &job.req);
  finish_all(ctx);
  eio_get_stats(ctx, &after);
  check(job.req.result == 0 && access("t", F_OK) < 0, "the tree is removed");
  return after.parts - before.parts;
}

static void test_parts(void)
{
  uint64_t given = 0;

  begin(1);
  ctx->pool->eager = true;
  gate_open(&gate);
  check_int(remove_tree(slow), 0, "with one place no parts are given away");
  check(atomic_load(&most) <= 1, "one thread works");
  eio_class_set_max_parallel(ctx, slow, 2);
  for (int i = 0; i < 5; i++) {
    given += remove_tree(slow);
    check(atomic_load(&most) <= 2 && figures_are(0, 0), "with two places two threads at most");
  }
  check(is_sync() || given, "and parts are given away");
  end();
}

static void test_reset(void)
{
  struct job jobs[5];
  struct eio_class_stats stats;

  if (is_sync())
    return;
  begin(2);
  for (int i = 0; i < 5; i++)
    hang(&jobs[i], i);
  wait_running(ctx, 2);
  eio_reset(ctx);
  gate_open(&gate);
  wait_orphans(ctx, 5);
  eio_class_get(ctx, slow, &stats);
  check(figures_are(0, 0) && stats.max_parallel == UINT_MAX, "reset drops those that wait, too, and the limit");
  submit_to(slow, &jobs[0], 0, 0);
  finish_all(ctx);
  check(jobs[0].called && figures_are(0, 0), "the class is good for more");
  end();
}

static void test_fork(void)
{
  struct job jobs[5], more[3];
  int status = 0;
  pid_t pid;

  if (is_sync())
    return;
  begin(2);
  for (int i = 0; i < 5; i++)
    hang(&jobs[i], i);
  wait_running(ctx, 2);
  pid = fork();
  if (!pid) {
    bool fine = take_orphans(ctx) == 5 && figures_are(0, 0);

    ncalled = 0;
    for (int i = 0; i < 3; i++)
      hang(&more[i], i);
    fine = fine && figures_are(2, 1);
    _exit(fine ? 0 : 1);
  }
  waitpid(pid, &status, 0);
  check_int(status, 0, "a child has nothing of it but the limit");
  gate_open(&gate);
  finish_all(ctx);
  check(ncalled == 5 && figures_are(0, 0), "the parent goes on");
  end();
}

/* Whatever is done, in whatever order: all comes back, and all places are given back. */
static void test_any(void)
{
  enum { N = 400, CLASSES = 3 };
  static struct job jobs[N];
  eio_class *classes[CLASSES + 1] = { NULL };
  struct eio_class_stats stats;
  unsigned seed = 5, left = 0;

  begin(0);
  for (int i = 0; i < CLASSES; i++)
    classes[i] = eio_class_create(ctx);
  for (int round = 0; round < 20; round++) {
    for (int i = 0; i < N; i++) {
      eio_class *one = classes[rand_r(&seed) % (CLASSES + 1)];

      submit_to(one, &jobs[i], i, (int)(rand_r(&seed) % 9) - 4);
      if (rand_r(&seed) % 4 == 0)
        eio_cancel(ctx, &jobs[(unsigned)i - rand_r(&seed) % (unsigned)(i + 1)].req);
      if (rand_r(&seed) % 16 == 0)
        eio_class_set_max_parallel(ctx, classes[rand_r(&seed) % CLASSES], rand_r(&seed) % 4);
    }
    for (int i = 0; i < CLASSES; i++)
      eio_class_set_max_parallel(ctx, classes[i], rand_r(&seed) % 3 + 1);
    finish_all(ctx);
  }
  for (int i = 0; i < CLASSES; i++) {
    eio_class_get(ctx, classes[i], &stats);
    left += stats.running + stats.waiting;
  }
  check(!left && !eio_nready(ctx) && !atomic_load(&ctx->nheld), "nothing is left");
  gate_open(&gate);
  end();
}

int main(void)
{
  static test *const tests[] = {
    test_apart, test_order, test_limit, test_lowered, test_inline, test_cancel, test_abandoned, test_parts,
    test_reset, test_fork, test_any, NULL,
  };

  scratch_begin();
  on_each_engine(tests);
  return scratch_end(0);
}
