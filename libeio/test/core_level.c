/* core_level.c - the wakeup descriptor is level: after each poll that leaves
 * something it is readable, whatever others have done with it, and an event for
 * those who watch edges. */
#include "core.h"

#if EIO_HAVE_EVENTFD /* then there is epoll */
# include <sys/epoll.h>
#endif

static eio_ctx *ctx;
static struct job jobs[100];
static int fd, copy; /* the descriptor, and a duplicate */

/* What others do with it ------------------------------------------------- */

static void nothing(void) {}

static void read_of(int from)
{
  char buf[64];

  if (read(from, buf, sizeof buf) < 0 && errno != EAGAIN)
    bail_out("read");
}

static void read_it(void)
{
  read_of(fd);
}

static void read_duplicate(void)
{
  read_of(copy);
}

static void make_blocking(void)
{
  if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) < 0)
    bail_out("fcntl");
}

static bool any(int of)
{
  struct pollfd pfd = { .fd = of, .events = POLLIN };

  return poll(&pfd, 1, 0) == 1;
}

static void block_and_read(void)
{
  make_blocking();
  if (any(fd))
    read_of(fd);
}

static void by_child(void (*what)(void))
{
  int status;
  pid_t pid = fork();

  if (pid < 0)
    bail_out("fork");
  if (!pid) {
    what();
    _exit(0);
  }
  if (waitpid(pid, &status, 0) != pid || status)
    bail_out("child");
}

/* Its own has the number; the duplicate is the parent's. */
static void child_reads(void)
{
  by_child(read_duplicate);
}

static void unblock_duplicate(void)
{
  fcntl(copy, F_SETFL, 0);
}

static void child_makes_blocking(void)
{
  by_child(unblock_duplicate);
}

/* A pile of children, each of which uses its own. */
static void use_own(void)
{
  submit_nop(ctx, &jobs[99], 99);
  if (!any(fd))
    bail_out("not readable in a child");
  eio_poll(ctx, 0, 0);
  if (any(fd))
    bail_out("readable in a child");
}

static void child_uses_own(void)
{
  by_child(use_own);
}

static void close_duplicate(void)
{
  close(copy);
  copy = dup(fd);
}

static const struct {
  const char *name;
  void (*act)(void);
} ways[] = {
  { "nobody touches it", nothing },
  { "it is read", read_it },
  { "a duplicate is read", read_duplicate },
  { "it is made blocking", make_blocking },
  { "it is made blocking and read", block_and_read },
  { "a child reads a duplicate", child_reads },
  { "a child makes it blocking", child_makes_blocking },
  { "a child uses its own", child_uses_own },
  { "a duplicate is closed", close_duplicate },
};
#define NWAYS (int)(sizeof ways / sizeof *ways)

static void (*act)(void);

/* Who watches edges ------------------------------------------------------- */

static int edges = -1;

static void watch_edges(void)
{
#if EIO_HAVE_EVENTFD
  struct epoll_event event = { .events = EPOLLIN | EPOLLET };

  edges = epoll_create1(EPOLL_CLOEXEC);
  if (edges < 0 || epoll_ctl(edges, EPOLL_CTL_ADD, fd, &event) < 0)
    bail_out("epoll");
#endif
}

static bool edge_seen(void)
{
#if EIO_HAVE_EVENTFD
  struct epoll_event event;

  return epoll_wait(edges, &event, 1, 0) == 1;
#else
  return true;
#endif
}

/* Polls that leave something ---------------------------------------------- */

static void submit_three(void)
{
  for (int i = 0; i < 3; i++)
    (i & 1 ? submit_nop : submit_for_worker)(ctx, &jobs[i], i);
  wait_pending(ctx, 3);
}

static int left(void)
{
  submit_three();
  edge_seen();
  act();
  return eio_poll(ctx, 1, 0);
}

/* And so does the next poll, which finds what the last one has left. */
static int left_again(void)
{
  left();
  edge_seen();
  act();
  return eio_poll(ctx, 1, 0);
}

static void submit_another(eio_req *req)
{
  note(req);
  submit_nop(ctx, &jobs[10], 10);
}

static int submitted_by_callback(void)
{
  submit_nop(ctx, &jobs[0], 0);
  jobs[0].req.cb = submit_another;
  edge_seen();
  act();
  return eio_poll(ctx, 0, 0);
}

static void act_and_submit(eio_req *req)
{
  note(req);
  act();
  submit_for_worker(ctx, &jobs[10], 10);
  submit_for_worker(ctx, &jobs[11], 11);
  wait_pending(ctx, 2);
}

static int finished_meanwhile(void)
{
  submit_for_worker(ctx, &jobs[0], 0);
  jobs[0].req.cb = act_and_submit;
  wait_pending(ctx, 1);
  edge_seen();
  act();
  return eio_poll(ctx, 1, 0);
}

static void poll_some_inside(eio_req *req)
{
  note(req);
  submit_three();
  if (!any(fd))
    bail_out("not readable in a callback");
  act();
  eio_poll(ctx, 1, 0);
  if (!any(fd))
    bail_out("not readable after a poll in a callback");
}

static int left_by_inner(void)
{
  submit_nop(ctx, &jobs[9], 9);
  jobs[9].req.cb = poll_some_inside;
  edge_seen();
  act();
  return eio_poll(ctx, 1, 0);
}

static const struct {
  const char *name;
  int (*poll)(void);
} polls[] = {
  { "a limit leaves some", left },
  { "it does so twice", left_again },
  { "a callback submits another", submitted_by_callback },
  { "workers finish some meanwhile", finished_meanwhile },
  { "an inner poll leaves some", left_by_inner },
};

static void test_all(void)
{
  for (int w = 0; w < NWAYS; w++)
    for (size_t p = 0; p < sizeof polls / sizeof *polls; p++) {
      int result;

      act = ways[w].act;
      ctx = context();
      fd = eio_poll_fd(ctx);
      copy = dup(fd);
      watch_edges();
      result = polls[p].poll();
      if (result < 0 || eio_npending(ctx)) {
        check(any(fd), "%s, %s: it is readable", polls[p].name, ways[w].name);
        check(edge_seen(), "%s, %s: an edge", polls[p].name, ways[w].name);
      }
      check_int(result, eio_npending(ctx) ? -1 : 0, "%s, %s: poll tells", polls[p].name, ways[w].name);
      act();
      finish_all(ctx);
      check(eio_poll(ctx, 0, 0) == 0 && !any(fd), "%s, %s: silent at the end", polls[p].name, ways[w].name);
      close(copy);
      close(edges);
      eio_destroy(ctx);
    }
}

/* A stream object: waits, reads all that is there, and polls then. Each request
 * leads to the next one, which takes another way. */
static int chain;

static void next_of_chain(eio_req *req)
{
  note(req);
  if (ncalled < 60)
    (ncalled % 3 ? submit_nop : submit_for_worker)(ctx, &jobs[ncalled], chain);
  if (ncalled < 60)
    jobs[ncalled].req.cb = next_of_chain;
}

static void test_stream(void)
{
  for (int w = 0; w < NWAYS; w++) {
    ctx = context();
    ncalled = 0;
    fd = eio_poll_fd(ctx);
    copy = dup(fd);
    submit_nop(ctx, &jobs[0], 0);
    jobs[0].req.cb = next_of_chain;
    while (ncalled < 60) {
      struct pollfd pfd = { .fd = fd, .events = POLLIN };

      if (poll(&pfd, 1, 20000) != 1)
        break;
      ways[w].act();
      eio_poll(ctx, 1, 0);
    }
    check_int(ncalled, 60, "a chain of requests, %s", ways[w].name);
    close(copy);
    eio_destroy(ctx);
  }
}

/* As long as nobody has asked for it, nobody is told. Then it tells the truth at once. */
static void test_unknown(void)
{
  struct gate gate = gate_make();
  struct eio_stats before, stats;

  ctx = unwatched_context();
  for (int i = 0; i < 100; i++) {
    submit_for_worker(ctx, &jobs[i], i);
    while (eio_nreqs(ctx)) {
      eio_poll_wait(ctx, -1);
      eio_poll(ctx, 0, 0);
    }
  }
  check(called_in_order(0, 100), "100 rounds without it");
  eio_get_stats(ctx, &before);
  for (int i = 0; i < 20; i++) {
    submit_three();
    eio_poll(ctx, 1, 0);
    eio_poll(ctx, 0, 0);
  }
  eio_get_stats(ctx, &stats);
  check(stats.wakeups <= before.wakeups + 1, "it is not written for each poll");
  eio_poll(ctx, 0, 0);
  check(!any(eio_poll_fd(ctx)), "it is silent when somebody asks for it and nothing is left");
  eio_destroy(ctx);

  ctx = unwatched_context();
  submit_three();
  eio_poll(ctx, 1, 0);
  read_of(ctx->wake.fd[0]);
  check(any(eio_poll_fd(ctx)), "readable when something is");
  finish_all(ctx);
  eio_destroy(ctx);

  ctx = unwatched_context();
  submit_three();
  eio_poll(ctx, 0, 0);
  if (!is_sync()) {
    block(ctx, &jobs[50], &gate, 50);
    wait_running(ctx, 1);
    check(eio_poll_wait(ctx, 0) < 0 && errno == EAGAIN, "eio_poll_wait() waits all the same");
  }
  gate_open(&gate);
  finish_all(ctx);
  gate_remove(&gate);
  eio_destroy(ctx);
}

/* Asked for again when the program has closed it, or has put something else there. */
static void test_closed(void)
{
  for (int taken = 0; taken < 2; taken++) {
    int old, null = -1;

    ctx = context();
    old = eio_poll_fd(ctx);
    submit_three();
    close(old);
    if (taken && (null = open("/dev/null", O_RDWR | O_CLOEXEC)) != old)
      bail_out("not the lowest number");
    fd = eio_poll_fd(ctx);
    check(any(fd) && (fd == old) == !taken, "another one%s", taken ? ", as its number is taken" : "");
    finish_all(ctx);
    check(!any(fd), "which is silent at the end");
    eio_destroy(ctx);
    if (taken)
      check_int(close(null), 0, "and the other file is left alone");
  }
}

int main(void)
{
  static test *const tests[] = { test_all, test_stream, test_unknown, test_closed, NULL };

  tap_begin();
  on_each_engine(tests);
  return tap_end();
}
