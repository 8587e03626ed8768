/* core_ring_closed.c - the ring's descriptor goes, or its thread. */
#include "ring_gate.h"

static eio_ctx *ctx;
static struct job jobs[20];

/* Returns which it was. */
static int close_ring(void)
{
  char path[32], target[64];
  int closed = -1;

  for (int fd = 3; fd < 1000; fd++) {
    ssize_t n;

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    n = readlink(path, target, sizeof target - 1);
    if (n > 0 && (target[n] = 0, strstr(target, "io_uring")))
      close(closed = fd);
  }
  return closed;
}

/* A daemon closes the wakeup descriptor, or the ring's as well, and resets. What flew
 * then comes back as orphans, as ever. */
static void test_closed(void)
{
  for (int all = 0; is_uring() && all < 2; all++) {
    struct gate gate = gate_make(), other = gate_make();
    struct pollfd pfd = { .events = POLLIN };

    ncalled = 0;
    ctx = context();
    block_in_ring(ctx, &jobs[1], &other, 1);
    close(eio_poll_fd(ctx));
    if (all)
      close_ring();
    eio_reset(ctx);
    wait_orphans(ctx, 1);
    check(eio_nreqs(ctx) == 0, "what is in it is dropped");
    block_in_ring(ctx, &jobs[0], &gate, 0);
    check(eio_nthreads(ctx) == 0, "one waits in %s ring", all ? "a new" : "the");
    gate_open(&gate);
    pfd.fd = eio_poll_fd(ctx);
    check_int(poll(&pfd, 1, 60000), 1, "which signals the new descriptor");
    finish_all(ctx);
    check(ncalled == 1 && !is_readable(ctx), "and goes on");
    gate_open(&other);
    gate_remove(&other);
    gate_remove(&gate);
    eio_destroy(ctx);
  }
}

/* Its number is another file's when the context goes. */
static void test_closed_alone(void)
{
  int ring, fd;

  if (!is_uring())
    return;
  ctx = context();
  ring = close_ring();
  fd = dup2(open_for_test("file", O_RDWR | O_CREAT), ring);
  eio_destroy(ctx);
  check(fd >= 0 && fcntl(fd, F_GETFD) >= 0, "a file that has the number of the ring stays open");
  close(fd);
}

/* A program closes the ring's descriptor while requests fly, or both, or puts other
 * files in their place that are never readable: each is called back once, and the
 * other files are left alone. */
static void test_closed_flying(void)
{
  for (int way = 0; is_uring() && way < 4; way++) {
    struct gate gate = gate_make();
    int idle[2], wake, before;

    ncalled = 0;
    ctx = context();
    for (int i = 0; i < 10; i++)
      block_in_ring(ctx, &jobs[i], &gate, i);
    check(eio_nthreads(ctx) == 0, "ten wait in the ring");
    if (eio_p_pipe(idle) < 0)
      bail_out("no pipe");
    before = close_ring();
    check(before >= 0, "the program closes it");
    wake = eio_poll_fd(ctx);
    if (way & 1)
      close(wake);
    if (way & 2 && dup2(idle[0], before) < 0)
      bail_out("dup2");
    if (way == 3 && dup2(idle[0], wake) < 0)
      bail_out("dup2");
    for (int i = 10; i < 20; i++)
      block_in_ring(ctx, &jobs[i], &gate, i);
    gate_open(&gate);
    finish_all(ctx);
    check_int(ncalled, 20, "all that are before and after it are called back");
    for (int i = 0; i < 20; i++)
      if (!jobs[i].called || jobs[i].req.result != 0)
        check(false, "request %d: %s", i, strerror(jobs[i].req.errorno));
    gate_remove(&gate);
    gate = gate_make();
    block_in_ring(ctx, &jobs[0], &gate, 0);
    check(ctx->ring, "there is another ring");
    gate_open(&gate);
    finish_all(ctx);
    gate_remove(&gate);
    eio_destroy(ctx);
    if (way & 2)
      close(before);
    if (way == 3)
      close(wake);
    close(idle[0]);
    close(idle[1]);
  }
}

static void *make_context(void *arg)
{
  struct gate gate = gate_make();

  ctx = context();
  block_in_ring(ctx, arg, &gate, 0);
  gate_open(&gate);
  finish_all(ctx);
  gate_remove(&gate);
  return NULL;
}

static void *destroy_anothers(void *closed)
{
  struct gate gate = gate_make();
  pthread_t thread;
  eio_ctx *other;
  int file = -1;

  ncalled = 0;
  if (pthread_create(&thread, NULL, make_context, &jobs[0]) || pthread_join(thread, NULL))
    bail_out("no thread");
  other = ctx;
  if (closed)
    file = dup2(gate.fds[0], close_ring()); /* the number is taken */
  ctx = context();
  block_in_ring(ctx, &jobs[1], &gate, 1);
  eio_destroy(other);
  block_in_ring(ctx, &jobs[2], &gate, 2);
  check(ctx->ring && !eio_nthreads(ctx), "two wait in the ring");
  gate_open(&gate);
  finish_all(ctx);
  check_int(ncalled, 3, "and are called back, after another's ring was given up");
  eio_destroy(ctx);
  gate_remove(&gate);
  if (closed)
    close(file);
  return NULL;
}

/* As perl does it: the thread has ended that a context belongs to, and another one
 * destroys that. Its own ring, which has the same number among those that it keeps, is
 * left alone. */
static void test_destroyed_elsewhere(void)
{
  for (int closed = 0; is_uring() && closed < 2; closed++) {
    pthread_t thread;

    if (pthread_create(&thread, NULL, destroy_anothers, closed ? &jobs[0] : NULL) || pthread_join(thread, NULL))
      bail_out("no thread");
  }
}

int main(void)
{
  static test *const tests[] = {
    test_closed, test_closed_alone, test_closed_flying, test_destroyed_elsewhere, NULL,
  };

  scratch_begin();
  on_each_engine(tests);
  return scratch_end(0);
}
