/* core_wait.c - requests that wait for descriptors, without a worker. */
#include "core.h"

#include <sys/wait.h>

static eio_ctx *ctx;
static struct job jobs[4];
static int fds[2];

static void begin(void)
{
  ctx = context();
  if (eio_p_pipe(fds) < 0)
    bail_out("no pipe");
  ncalled = 0;
}

static void end(void)
{
  eio_destroy(ctx);
  close(fds[0]);
  close(fds[1]);
}

static void wait_for_fd(int n, int fd, int events)
{
  job_init(&jobs[n], EIO_WAIT, n);
  jobs[n].req.fd = fd;
  jobs[n].req.arg1 = events;
  eio_submit(ctx, &jobs[n].req);
}

static void poll_until(unsigned called)
{
  while (ncalled < called) {
    wait_readable(ctx);
    eio_poll(ctx, 0, 0);
  }
}

static void test_wait(void)
{
  begin();
  eio_set_max_parallel(ctx, 1);
  wait_for_fd(0, fds[0], 0);
  wait_for_fd(1, fds[0], POLLIN);
  check_int(eio_nreqs(ctx), 2, "they are outstanding");
  check(eio_nready(ctx) == 0 && eio_npending(ctx) == 0, "nothing else is");
  submit_for_worker(ctx, &jobs[2], 2);
  poll_until(1);
  check_int(order[0], 2, "they take no place of max_parallel");
  wait_for_fd(2, fds[1], POLLOUT);
  poll_until(2);
  check(order[1] == 2 && jobs[2].req.result == POLLOUT, "one that is ready is done");
  if (write(fds[1], "x", 1) != 1)
    bail_out("write");
  poll_until(4);
  check(jobs[0].req.result == POLLIN && jobs[1].req.result == POLLIN, "then the others");
  wait_for_fd(3, 1 << 20, 0);
  poll_until(5);
  check(jobs[3].req.result == -1 && jobs[3].req.errorno == EBADF, "no such descriptor");
  end();
}

static void test_execute(void)
{
  eio_req req;

  if (eio_p_pipe(fds) < 0)
    bail_out("no pipe");
  eio_req_init(&req, EIO_WAIT);
  req.fd = fds[1];
  req.arg1 = POLLOUT;
  eio_execute(&req);
  check_int(req.result, POLLOUT, "without a context");
  req.fd = 1 << 20;
  eio_execute(&req);
  check(req.result == -1 && req.errorno == EBADF, "without a context, no such descriptor");
  close(fds[0]);
  close(fds[1]);
}

static void test_cancel(void)
{
  begin();
  wait_for_fd(0, fds[0], 0);
  wait_for_fd(1, fds[0], 0);
  eio_cancel(ctx, &jobs[0].req);
  poll_until(0);
  eio_poll(ctx, 0, 0);
  check(eio_nreqs(ctx) == 1 && ncalled == 0, "cancelled, and gone");
  eio_timeout(ctx, &jobs[1].req, 1000000);
  poll_until(1);
  check(jobs[1].req.result == -1 && jobs[1].req.errorno == ETIMEDOUT, "one whose time is up");
  wait_for_fd(0, fds[0], 0);
  eio_reset(ctx);
  check_int(eio_nreqs(ctx), 0, "reset drops them");
  check(eio_orphan(ctx) == &jobs[0].req && !eio_orphan(ctx), "as orphans");
  wait_for_fd(0, fds[1], POLLOUT);
  poll_until(2);
  check_int(jobs[0].req.result, POLLOUT, "and it goes on after that");
  wait_for_fd(0, fds[0], 0);
  end();
}

static void test_fork(void)
{
  int status = 0;
  pid_t pid;

  begin();
  wait_for_fd(0, fds[0], 0);
  pid = fork();
  if (!pid) {
    bool dropped = eio_nreqs(ctx) == 0 && eio_orphan(ctx) == &jobs[0].req;

    wait_for_fd(1, fds[1], POLLOUT);
    poll_until(1);
    _exit(dropped && jobs[1].req.result == POLLOUT ? 0 : 1);
  }
  waitpid(pid, &status, 0);
  check_int(status, 0, "in a child they are dropped, and others wait");
  if (write(fds[1], "x", 1) != 1)
    bail_out("write");
  poll_until(1);
  check_int(jobs[0].req.result, POLLIN, "in the parent they wait on");
  end();
}

int main(void)
{
  static test *const tests[] = { test_wait, test_execute, test_cancel, test_fork, NULL };

  scratch_begin();
  on_each_engine(tests);
  return scratch_end(0);
}
