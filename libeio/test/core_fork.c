/* core_fork.c - forks: the child starts empty, the parent goes on. */
#include "ring_gate.h"

#include <signal.h>
#include <sys/time.h>

static eio_ctx *ctx;
static struct gate gate;
static struct job jobs[100], group;
static int hook_calls;

static void hook(void *data)
{
  ++*(int *)data;
}

/* 0 runs in a worker, 1 in the ring if there is one, 2 is done, 3 to 9 wait,
 * all in a group. */
static void submit_all(void)
{
  gate = gate_make();
  job_init(&group, EIO_GROUP, 100);
  eio_submit(ctx, &group.req);
  submit_nop(ctx, &jobs[2], 2);
  if (!is_sync()) {
    eio_set_max_parallel(ctx, 2);
    block(ctx, &jobs[0], &gate, 0);
    wait_running(ctx, 1); /* the ring takes none that would overtake it */
    block_in_ring(ctx, &jobs[1], &gate, 1);
    wait_running(ctx, 2);
    check_int(eio_nthreads(ctx), is_uring() ? 1 : 2, "both run");
  } else {
    submit_nop(ctx, &jobs[0], 0);
    submit_nop(ctx, &jobs[1], 1);
    eio_set_max_parallel(ctx, 0);
  }
  for (int i = 3; i < 10; i++)
    submit_for_worker(ctx, &jobs[i], i);
  for (int i = 0; i < 10; i++)
    eio_group_add(ctx, &group.req, &jobs[i].req);
}

/* In whatever process, with an engine of its own. */
static void use(int n)
{
  eio_set_max_parallel(ctx, 4);
  ncalled = 0;
  for (int i = 50; i < 50 + n; i++) {
    if (i & 1)
      submit_for_worker(ctx, &jobs[i], i);
    else {
      job_init(&jobs[i], EIO_FDATASYNC, i);
      jobs[i].req.fd = eio_poll_fd(ctx);
      eio_submit(ctx, &jobs[i].req);
    }
  }
  while (eio_nreqs(ctx)) {
    wait_readable(ctx);
    eio_poll(ctx, 0, 0);
  }
}

/* Descriptors and mappings of rings, as Linux shows them. */
static int ring_parts(void)
{
  FILE *maps = fopen("/proc/self/maps", "re");
  char line[512], path[64];
  int n = 0;

  while (maps && fgets(line, sizeof line, maps))
    n += strstr(line, "[io_uring]") != NULL;
  if (maps)
    fclose(maps);
  for (int fd = 0; fd < 100; fd++) {
    ssize_t length;

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    length = readlink(path, line, sizeof line - 1);
    line[length < 0 ? 0 : length] = 0;
    n += strstr(line, "[io_uring]") != NULL;
  }
  return n;
}

static void in_the_child(void)
{
  int unmarked = 0;

  check_int(ring_parts(), 0, "child: it has nothing of the parent's ring");
  check_int(hook_calls, 1, "child: the hook was called");
  check(eio_nreqs(ctx) + eio_nready(ctx) + eio_npending(ctx) + eio_nthreads(ctx) == 0,
        "child: all counters are 0");
  check(!is_readable(ctx) && eio_poll(ctx, 0, 0) == 0, "child: there is nothing to poll");
  check_int(take_orphans(ctx), 11, "child: the parent's requests are orphans");
  check(ncalled == 0 && jobs[0].req.state == EIO_FINISHED && group.req.state == EIO_FINISHED,
        "child: all, without callback");
  for (int i = 0; i < 10; i++)
    unmarked += !eio__cancelled(&jobs[i].req) || !eio__flag(&jobs[i].req, EIO_ORPHAN);
  check_int(unmarked, 0, "child: and marked as such");
  use(20);
  check_int(ncalled, 20, "child: requests of its own");
  check(!is_readable(ctx), "child: descriptor is silent");
  check_int(hook_calls, 1, "child: no other call of the hook");
  eio_destroy(ctx);
}

static void test_both(void)
{
  int fd;

  ctx = context();
  fd = eio_poll_fd(ctx);
  hook_calls = 0;
  eio_on_fork(ctx, hook, &hook_calls);
  submit_all();
  check((ring_parts() > 1) == is_uring(), "a ring's descriptor and memory can be told");
  in_child(in_the_child);
  check_int(hook_calls, 0, "the parent's hook was not called");
  check(ncalled == 0 && eio_nreqs(ctx) == 11, "the parent's requests are outstanding");
  gate_open(&gate);
  eio_set_max_parallel(ctx, 2);
  finish_all(ctx);
  check(ncalled == 11 && order[10] == 100, "and called back, the group last");
  check(eio_poll_fd(ctx) == fd, "the descriptor is the same");
  use(20);
  check_int(ncalled, 20, "the parent goes on");
  gate_remove(&gate);
  eio_destroy(ctx);
}

/* The number stays, the object behind it does not. */
static int fd_before;

static void wake_only_myself(void)
{
  check_int(eio_poll_fd(ctx), fd_before, "child: the descriptor keeps its number");
  check(fcntl(fd_before, F_GETFD) & FD_CLOEXEC, "child: and is closed on exec");
  submit_nop(ctx, &jobs[0], 0);
  check(is_readable(ctx), "child: it is readable for the child");
  /* left so: the parent looks at its own */
}

static void test_descriptor(void)
{
  ctx = context();
  fd_before = eio_poll_fd(ctx);
  in_child(wake_only_myself);
  check(!is_readable(ctx), "the parent's descriptor is silent");
  submit_nop(ctx, &jobs[1], 1);
  wait_readable(ctx);
  eio_poll(ctx, 0, 0);
  check_int(ncalled, 1, "and wakes the parent");
  eio_destroy(ctx);
}

static void grandchild(void)
{
  take_orphans(ctx);
  use(10);
  check_int(ncalled, 10, "grandchild: requests of its own");
  eio_destroy(ctx);
}

static void child_that_forks(void)
{
  take_orphans(ctx);
  gate = gate_make();
  submit_all();
  in_child(grandchild);
  gate_open(&gate);
  eio_set_max_parallel(ctx, 2);
  finish_all(ctx);
  check_int(ncalled, 11, "child: goes on after a fork of its own");
  eio_destroy(ctx);
}

static void test_twice(void)
{
  ctx = context();
  submit_all();
  in_child(child_that_forks);
  gate_open(&gate);
  eio_set_max_parallel(ctx, 2);
  finish_all(ctx);
  check_int(ncalled, 11, "the parent goes on after both");
  gate_remove(&gate);
  eio_destroy(ctx);
}

/* A fork in a callback: the child returns into its poll. */
static pid_t child;

static void fork_inside(eio_req *req)
{
  note(req);
  fflush(stdout);
  child = fork();
}

static void test_inside(void)
{
  int status;

  ctx = context();
  for (int i = 0; i < 5; i++)
    submit_nop(ctx, &jobs[i], i);
  jobs[1].req.cb = fork_inside;
  wait_pending(ctx, 5);
  while (ncalled < 2)
    eio_poll(ctx, 0, 0);
  if (child == 0) {
    bool good = ncalled == 2 && take_orphans(ctx) == 3;

    use(10);
    _exit(good && ncalled == 10 ? 0 : 1);
  }
  finish_all(ctx);
  check(called_in_order(0, 5), "fork in a callback: the parent polls on");
  waitpid(child, &status, 0);
  check_int(status, 0, "the child's poll ends there");
  eio_destroy(ctx);
}

static void test_storm(void)
{
  int forks = SANITIZED ? 50 : 200, failed = 0;
  struct job *job, *many = calloc((size_t)forks * 10, sizeof *many);

  ctx = context();
  job = many;
  for (int i = 0; i < forks; i++) {
    int status;
    pid_t pid;

    for (int k = 0; k < 10; k++, job++) {
      job_init(job, k & 1 ? EIO_NOP : EIO_REALPATH, k);
      job->req.path = "/proc/self/fd";
      job->req.flags = EIO_NO_INLINE;
      eio_submit(ctx, &job->req);
    }
    if ((pid = fork()) == 0) {
      forget_threads();
      take_orphans(ctx);
      use(3);
      _exit(ncalled == 3 ? 0 : 1);
    }
    if (i & 1)
      eio_poll(ctx, 0, 0);
    failed += pid < 0 || waitpid(pid, &status, 0) < 0 || status;
  }
  finish_all(ctx);
  check_int(failed, 0, "%d forks with requests outstanding: no child fails", forks);
  check_int(ncalled, forks * 10, "all of the parent's requests are called back");
  free(many);
  eio_destroy(ctx);
}

/* In a signal handler, which may interrupt the library while it holds its lock. */
#if defined __GLIBC_PREREQ
# if __GLIBC_PREREQ(2, 34)
#  define HAVE_FORK_IN_HANDLERS 1
# endif
#endif
#ifdef HAVE_FORK_IN_HANDLERS
static volatile sig_atomic_t nchildren, nfailed;

static void fork_at_once(int number)
{
  pid_t pid = _Fork();
  int saved = errno;

  (void)number;
  if (pid == 0)
    _exit(0);
  if (pid < 0 || waitpid(pid, NULL, 0) < 0)
    nfailed++;
  nchildren++;
  errno = saved;
}

static void test_handler(void)
{
  struct sigaction action = { .sa_handler = fork_at_once, .sa_flags = SA_RESTART }, old;
  struct itimerval often = { { 0, 500 }, { 0, 500 } }, never = { { 0, 0 }, { 0, 0 } };

  ctx = context();
  nchildren = nfailed = 0;
  sigaction(SIGVTALRM, &action, &old);
  setitimer(ITIMER_VIRTUAL, &often, NULL); /* while the owner computes */
  while (nchildren < 30) {
    ncalled = 0;
    for (int i = 0; i < 100; i++) {
      if (i % 3)
        submit_for_worker(ctx, &jobs[i], i);
      else
        submit_nop(ctx, &jobs[i], i);
    }
    finish_all(ctx);
    nfailed += ncalled != 100;
  }
  setitimer(ITIMER_VIRTUAL, &never, NULL);
  sigaction(SIGVTALRM, &old, NULL);
  check_int(nfailed, 0, "signal handlers can make children that do nothing here");
  eio_destroy(ctx);
}
#else
static void test_handler(void)
{
  skip(1, "there is no _Fork()");
}
#endif

int main(void)
{
  static test *const tests[] = {
    test_both, test_descriptor, test_twice, test_inside, test_storm, test_handler, NULL,
  };

  if (under_valgrind())
    without_ring = "valgrind 3.19 gives up when a child of a fork maps a ring";
  tap_begin();
  on_each_engine(tests);
  return tap_end();
}
