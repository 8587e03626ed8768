/* core_lock.c - locks of open files: who waits for one takes no worker, and what comes too late is
 * given back. Other open files of this process hold them meanwhile. */
#include "core.h"


#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if EIO_HAVE_FLOCK && EIO_HAVE_OFD_LOCKS

#define SOON UINT64_C(1000000)

static eio_ctx *ctx;
static int holder; /* of a lock of the file "l" */

static int opened(void)
{
  int fd = open("l", O_RDWR | O_CREAT, 0600);

  if (fd < 0)
    bail_out("open");
  return fd;
}

static void begin(void)
{
  ctx = context();
  eio_on_abandon(ctx, stand_in);
  nstand_ins = ncalled = 0;
  holder = opened();
}

static void end(void)
{
  while (eio_nabandoned(ctx) || eio_npending(ctx))
    eio_poll(ctx, 0, 0);
  close(holder);
  eio_destroy(ctx);
}

static void lock(struct job *job, int number, int fd, int how, int64_t offs, uint64_t size)
{
  job_init(job, EIO_LOCK, number);
  job->req.fd = fd;
  job->req.arg1 = how;
  job->req.offs = offs;
  job->req.size = size;
  eio_submit(ctx, &job->req);
}

static void locked(int how, int fd, int error, const char *what)
{
  struct job job;

  lock(&job, 0, fd, how, -1, 0);
  finish_all(ctx);
  check((error ? job.req.result == -1 : job.req.result == 0) && job.req.errorno == error, "%s", what);
}

static void wait_apart(unsigned n)
{
  while (eio_nabandoned(ctx) < n)
    sched_yield();
}

static void poll_until(unsigned called)
{
  while (ncalled < called) {
    wait_readable(ctx);
    eio_poll(ctx, 0, 0);
  }
}

static void test_free(void)
{
  struct job job;
  int one, two, gone;

  begin();
  one = opened();
  two = opened();
  gone = opened();
  close(gone);
  locked(LOCK_SH, one, 0, "shared");
  locked(LOCK_SH, two, 0, "by two");
  locked(LOCK_EX | LOCK_NB, one, EAGAIN, "exclusive: not at once");
  locked(LOCK_UN, two, 0, "unlocked");
  locked(LOCK_EX, one, 0, "exclusive");
  locked(LOCK_SH | LOCK_NB, two, EAGAIN, "by one alone");
  locked(LOCK_UN, one, 0, "and free again");
  locked(0, one, EINVAL, "nothing");
  locked(LOCK_SH | LOCK_EX, one, EINVAL, "and everything");
  locked(LOCK_SH, gone, EBADF, "no file");
  lock(&job, 0, one, LOCK_EX, 10, 10);
  finish_all(ctx);
  check_int(job.req.result, 0, "a range");
  lock(&job, 0, two, LOCK_EX | LOCK_NB, 19, UINT64_MAX);
  finish_all(ctx);
  check(job.req.result == -1 && job.req.errorno == EAGAIN, "another that has a part of it");
  lock(&job, 0, two, LOCK_EX | LOCK_NB, 20, UINT64_MAX);
  finish_all(ctx);
  check_int(job.req.result, 0, "another behind it");
  lock(&job, 0, two, LOCK_EX | LOCK_NB, INT64_MAX, 2);
  finish_all(ctx);
  check(job.req.result == -1 && job.req.errorno != EAGAIN, "none beyond all");
  close(one);
  close(two);
  end();
}

static int fds[20];

static void give_back(eio_req *req)
{
  note(req);
  close(fds[((struct job *)req)->number]);
}

/* As many wait as there are, with one worker, which is free for others. */
static void test_waiting(void)
{
  struct job jobs[20], others[50];
  unsigned failed = 0;

  if (is_sync())
    return;
  begin();
  eio_set_max_parallel(ctx, 1);
  flock(holder, LOCK_EX);
  for (int i = 0; i < 20; i++) {
    fds[i] = opened();
    lock(&jobs[i], i, fds[i], LOCK_EX, -1, 0);
    jobs[i].req.cb = give_back;
  }
  wait_apart(20);
  for (int i = 0; i < 50; i++)
    submit_for_worker(ctx, &others[i], 100 + i);
  poll_until(50);
  check(eio_nreqs(ctx) == 20 && eio_nthreads(ctx) <= 1 && atomic_load(&ctx->nrunning) == 0, "others go on");
  close(holder);
  finish_all(ctx);
  for (int i = 0; i < 20; i++)
    failed += jobs[i].req.result != 0;
  check(!failed && ncalled == 70, "each gets it in its turn");
  holder = opened();
  check_int(flock(holder, LOCK_EX | LOCK_NB), 0, "and then it is free");
  end();
}

/* What is given back is the lock that came, though its number is another file's by now, and that
 * one has a lock, too. */
static void test_late(bool by_time)
{
  int fd, other, before;
  struct job job;

  begin();
  flock(holder, LOCK_EX);
  before = open_fds();
  fd = opened();
  lock(&job, 7, fd, LOCK_EX, -1, 0);
  wait_apart(1);
  if (by_time)
    eio_timeout(ctx, &job.req, SOON);
  else
    eio_cancel(ctx, &job.req);
  finish_all(ctx);
  check_int(ncalled, by_time, "whose time is up is told");
  check(!by_time || stand_ins[0].req.errorno == ETIMEDOUT, "why");
  close(fd);
  other = open("m", O_RDWR | O_CREAT, 0600);
  if (other != fd)
    bail_out("another number");
  flock(other, LOCK_EX);
  flock(holder, LOCK_UN);
  while (eio_nabandoned(ctx) || eio_npending(ctx))
    eio_poll(ctx, 0, 0);
  check_int(flock(holder, LOCK_EX | LOCK_NB), 0, "a late lock is given back");
  fd = open("m", O_RDWR);
  check(flock(fd, LOCK_EX | LOCK_NB) < 0, "and no other one");
  close(fd);
  close(other);
  check_int(open_fds(), before, "no descriptor is left");
  end();
}

static void test_given_up(void)
{
  if (is_sync())
    return;
  test_late(true);
  test_late(false);
}

/* One that has the lock, and is cancelled before it was polled. */
static void test_unpolled(void)
{
  struct job job;
  int fd;

  begin();
  fd = opened();
  lock(&job, 0, fd, LOCK_EX, -1, 0);
  wait_pending(ctx, 1);
  check(flock(holder, LOCK_EX | LOCK_NB) < 0, "it is there");
  eio_cancel(ctx, &job.req);
  finish_all(ctx);
  check_int(flock(holder, LOCK_EX | LOCK_NB), 0, "cancelled, it is given back");
  close(fd);
  end();
}

static void test_range(void)
{
  struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
  struct job job;
  int fd;

  if (is_sync())
    return;
  begin();
  fd = opened();
  fcntl(holder, F_OFD_SETLK, &whole);
  lock(&job, 0, fd, LOCK_SH, 5, 5);
  wait_apart(1);
  whole.l_type = F_UNLCK;
  fcntl(holder, F_OFD_SETLK, &whole);
  finish_all(ctx);
  check(job.called && job.req.result == 0, "a range is waited for");
  whole.l_type = F_WRLCK;
  check(fcntl(holder, F_OFD_SETLK, &whole) < 0, "and held");
  close(fd);
  end();
}

static void test_bound(void)
{
  struct job jobs[3], next;

  if (is_sync())
    return;
  begin();
  eio_set_max_parallel(ctx, 2);
  eio_set_max_abandoned(ctx, 1);
  flock(holder, LOCK_EX);
  for (int i = 0; i < 2; i++) {
    fds[i] = opened();
    lock(&jobs[i], i, fds[i], LOCK_SH, -1, 0);
  }
  wait_apart(1);
  wait_running(ctx, 1);
  submit_for_worker(ctx, &next, 2);
  poll_until(1);
  check(next.called && eio_nabandoned(ctx) == 1 && atomic_load(&ctx->nrunning) == 1, "one too many keeps its worker");
  flock(holder, LOCK_UN);
  finish_all(ctx);
  check(jobs[0].req.result == 0 && jobs[1].req.result == 0, "both get it");
  close(fds[0]);
  close(fds[1]);
  end();
}

/* Who waits needs a descriptor of its own. */
static void test_no_descriptor(void)
{
  struct rlimit limit, less;
  int fd, spare[256];
  unsigned n = 0;

  if (is_sync())
    return;
  begin();
  flock(holder, LOCK_EX);
  fd = opened();
  getrlimit(RLIMIT_NOFILE, &limit);
  less = limit;
  less.rlim_cur = 200;
  setrlimit(RLIMIT_NOFILE, &less);
  while (n < 256 && (spare[n] = dup(fd)) >= 0)
    n++;
  locked(LOCK_EX, fd, EMFILE, "no descriptor to wait by");
  while (n)
    close(spare[--n]);
  setrlimit(RLIMIT_NOFILE, &limit);
  close(fd);
  end();
}

static void test_class(void)
{
  struct job jobs[2];
  eio_class *one;

  if (is_sync())
    return;
  begin();
  one = eio_class_create(ctx);
  eio_class_set_max_parallel(ctx, one, 1);
  flock(holder, LOCK_EX);
  for (int i = 0; i < 2; i++) {
    fds[i] = opened();
    job_init(&jobs[i], EIO_LOCK, i);
    jobs[i].req.fd = fds[i];
    jobs[i].req.arg1 = LOCK_SH;
    jobs[i].req.offs = -1;
    jobs[i].req.in_class = one;
    eio_submit(ctx, &jobs[i].req);
  }
  wait_apart(2);
  check(true, "nor does it take a place of its class");
  flock(holder, LOCK_UN);
  finish_all(ctx);
  close(fds[0]);
  close(fds[1]);
  end();
}

/* Its own descriptor has become another file's meanwhile: that one is not closed. */
static void test_replaced(void)
{
  struct job job;
  struct stat st, wanted;
  int fd, other, mine;

  if (is_sync())
    return;
  begin();
  flock(holder, LOCK_EX);
  fd = opened();
  other = open("other", O_RDWR | O_CREAT, 0600);
  mine = dup(other);
  close(mine); /* the lowest that is free: the worker takes it */
  lock(&job, 0, fd, LOCK_EX, -1, 0);
  wait_apart(1);
  check(fstat(mine, &st) == 0 && eio__next_own_fd(mine) == mine, "a lock that is waited for has its own descriptor");
  dup2(other, mine);
  close(holder);
  finish_all(ctx);
  fstat(other, &wanted);
  check(job.req.result == 0 && fstat(mine, &st) == 0 && st.st_ino == wanted.st_ino, "another's number is not closed");
  close(mine);
  close(fd);
  close(other);
  holder = opened();
  end();
}

static void test_fork(void)
{
  int fd, status = 0, before;
  struct job job;
  pid_t pid;

  if (is_sync())
    return;
  begin();
  flock(holder, LOCK_EX);
  fd = opened();
  lock(&job, 0, fd, LOCK_EX, -1, 0);
  wait_apart(1);
  pid = fork();
  if (!pid) {
    before = open_fds();
    _exit(take_orphans(ctx) == 1 && open_fds() == before - 1 ? 0 : 1);
  }
  waitpid(pid, &status, 0);
  check_int(status, 0, "a child has no descriptor of it");
  flock(holder, LOCK_UN);
  finish_all(ctx);
  check_int(job.req.result, 0, "the parent gets the lock");
  flock(fd, LOCK_UN);

  flock(holder, LOCK_EX);
  lock(&job, 0, fd, LOCK_EX, -1, 0);
  wait_apart(1);
  eio_reset(ctx);
  flock(holder, LOCK_UN);
  wait_orphans(ctx, 1);
  check_int(flock(holder, LOCK_EX | LOCK_NB), 0, "reset gives it back when it comes");
  close(fd);
  end();
}

int main(void)
{
  static test *const tests[] = {
    test_free, test_waiting, test_given_up, test_unpolled, test_range, test_bound, test_no_descriptor, test_class, test_replaced, test_fork, NULL,
  };

  scratch_begin();
  on_each_engine(tests);
  return scratch_end(0);
}

#else
int main(void)
{
  tap_begin();
  skip(1, "no such locks");
  return tap_end();
}
#endif
