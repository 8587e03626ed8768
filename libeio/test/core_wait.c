/* core_wait.c - requests that wait for descriptors, without a worker. */
#include "core.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/wait.h>
#ifdef __linux__
# include <sys/syscall.h>
#endif

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

/* Descriptors of our own that somebody closes or replaces: ThreadSanitizer reports that, so it is not tried there. */

enum { MOST = 64 };

/* Whether all threads but one sleep, where that can be known. */
static bool all_sleep(pid_t but)
{
  DIR *dir = opendir("/proc/self/task");
  struct dirent *entry;
  bool sleep = true;

  while (dir && (entry = readdir(dir))) {
    char name[300], line[300] = "", *state;
    FILE *file;

    if (entry->d_name[0] == '.' || atoi(entry->d_name) == but)
      continue;
    snprintf(name, sizeof name, "/proc/self/task/%s/stat", entry->d_name);
    file = fopen(name, "r");
    if (!file)
      continue;
    if (fgets(line, sizeof line, file) && (state = strrchr(line, ')')))
      sleep = sleep && state[2] == 'S';
    fclose(file);
  }
  if (dir)
    closedir(dir);
  return sleep;
}

static pid_t this_thread(void)
{
#ifdef SYS_gettid
  return (pid_t)syscall(SYS_gettid);
#else
  return 0;
#endif
}

static void let_sleep(void)
{
  while (!all_sleep(this_thread()))
    sched_yield();
}

/* The numbers that are open now and were not before. */
static bool before[MOST];

static void note_open(void)
{
  for (int fd = 0; fd < MOST; fd++)
    before[fd] = fcntl(fd, F_GETFD) >= 0;
}

static int new_ones(int own[MOST])
{
  int n = 0;

  for (int fd = 0; fd < MOST; fd++)
    if (!before[fd] && fcntl(fd, F_GETFD) >= 0)
      own[n++] = fd;
  return n;
}

enum loss { ALL, FIRST, LAST, IDLE, FULL, A_FILE, LOSSES };
static const char *const losses[LOSSES] = {
  "all closed", "the first closed", "the last closed", "never readable instead", "readable instead", "a file instead",
};

static int own[MOST], nown, instead;

/* The waiting thread loses its descriptors while it sleeps. */
static void lose(enum loss loss)
{
  nown = new_ones(own);
  check(nown == 2, "the waiting thread has two descriptors");
  for (int i = 0; i < nown; i++)
    if (loss >= IDLE)
      dup2(instead, own[i]);
    else if (loss == ALL || i == (loss == FIRST ? 0 : nown - 1))
      close(own[i]);
}

static bool are_left_alone(enum loss loss, off_t size)
{
  struct stat wanted, st;

  if (loss < IDLE)
    return true;
  fstat(instead, &wanted);
  for (int i = 0; i < nown; i++)
    if (fstat(own[i], &st) < 0 || st.st_ino != wanted.st_ino || st.st_size != size)
      return false;
  return true;
}

static void close_instead(enum loss loss)
{
  for (int i = 0; loss >= IDLE && i < nown; i++)
    close(own[i]);
}

static void try_loss(enum loss loss, int idle[2], int full[2], int file)
{
  char octet = 0;

  instead = loss == IDLE ? idle[0] : loss == FULL ? full[0] : file;
  begin();
  note_open();
  wait_for_fd(0, fds[0], 0);
  let_sleep();
  lose(loss);
  wait_for_fd(1, fds[1], POLLOUT);
  poll_until(1);
  check(jobs[1].req.result == POLLOUT, "%s: a request that comes then", losses[loss]);
  if (write(fds[1], "x", 1) != 1)
    bail_out("write");
  poll_until(2);
  check(jobs[0].req.result == POLLIN, "%s: and the one that was there", losses[loss]);
  check(are_left_alone(loss, 0), "%s: which are left alone", losses[loss]);
  if (loss == FULL)
    check(read(full[0], &octet, 1) == 1 && octet == 'x' && write(full[1], "x", 1) == 1, "with what is in them");
  close_instead(loss);
  if (read(fds[0], &octet, 1) != 1)
    bail_out("read");
  end();

  if (loss >= FULL) /* as IDLE, which takes a second */
    return;
  begin(); /* nobody submits anything any more */
  note_open();
  wait_for_fd(0, fds[0], 0);
  let_sleep();
  lose(loss);
  eio_cancel(ctx, &jobs[0].req);
  eio_poll(ctx, 0, 0);
  check_int(eio_nreqs(ctx), 0, "%s: cancelled", losses[loss]);
  wait_for_fd(0, fds[0], 0);
  let_sleep();
  eio_reset(ctx);
  check(eio_orphan(ctx) == &jobs[0].req, "%s: dropped", losses[loss]);
  end(); /* joins the thread */
  close_instead(loss);
}

static void test_losses(void)
{
  int idle[2], full[2], file = open("instead", O_RDWR | O_CREAT | O_TRUNC, 0600);

  if (eio_p_pipe(idle) < 0 || eio_p_pipe(full) < 0 || write(full[1], "x", 1) != 1 || file < 0)
    bail_out("no descriptors");
  for (int i = 0; i < LOSSES; i++)
    try_loss((enum loss)i, idle, full, file);
  for (int i = 0; i < 2; i++)
    close(idle[i]), close(full[i]);
  close(file);
}

/* Closed, and no others to be had: all that waits fails. */
static void test_none_left(void)
{
  struct rlimit limit, less;

  begin();
  note_open();
  wait_for_fd(0, fds[0], 0);
  wait_for_fd(1, fds[0], 0);
  let_sleep();
  getrlimit(RLIMIT_NOFILE, &limit);
  less = limit;
  less.rlim_cur = 3;
  setrlimit(RLIMIT_NOFILE, &less);
  lose(ALL);
  poll_until(2);
  check(jobs[0].req.result == -1 && jobs[1].req.result == -1, "what waits fails when there is no descriptor left");
  wait_for_fd(2, fds[0], 0);
  poll_until(3);
  check(jobs[2].req.result == -1 && jobs[2].req.errorno == EMFILE, "and what comes then");
  setrlimit(RLIMIT_NOFILE, &limit);
  wait_for_fd(3, fds[1], POLLOUT);
  poll_until(4);
  check_int(jobs[3].req.result, POLLOUT, "and not when there is one again");
  end();
}

/* Those of the owner who sleeps: somebody else closes them, then a request is done. */
static void *close_and_release(void *wake)
{
  while (!all_sleep(this_thread()))
    sched_yield();
  close(*(int *)wake);
  if (write(fds[1], "x", 1) != 1)
    bail_out("write");
  return NULL;
}

static void test_owner(void)
{
  pthread_t thread;
  char octet;
  int wake;

  if (is_sync())
    return;
  begin();
  job_init(&jobs[0], EIO_READ, 0);
  jobs[0].req.fd = fds[0];
  jobs[0].req.offs = -1;
  jobs[0].req.buf = &octet;
  jobs[0].req.size = 1;
  eio_submit(ctx, &jobs[0].req);
  wake = eio_poll_fd(ctx);
  if (pthread_create(&thread, NULL, close_and_release, &wake))
    bail_out("no thread");
  check(eio_poll_wait(ctx, -1) == 0, "an owner who sleeps wakes when his descriptor is closed and something is done");
  poll_until(1);
  check_int(jobs[0].req.result, 1, "and gets it");
  pthread_join(thread, NULL);
  end();
}

int main(void)
{
  static test *const tests[] = { test_wait, test_execute, test_cancel, test_fork,
                                 THREAD_SANITIZER ? NULL : test_losses, test_none_left, test_owner, NULL };

  scratch_begin();
  on_each_engine(tests);
  return scratch_end(0);
}
