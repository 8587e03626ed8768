/* core_threads.c - contexts of different threads know nothing of each other. */
#include "core.h"

#define N 2000
#define THREADS 3

struct owner {
  pthread_t thread;
  struct job jobs[N], group;
  char bufs[N][64];
  unsigned called;
  bool passed;
};

static void count(eio_req *req)
{
  ++*(unsigned *)req->data;
}

static void submit_one(eio_ctx *ctx, struct owner *owner, int i, int fd)
{
  struct job *job = &owner->jobs[i];

  job_init(job, i % 3 == 0 ? EIO_NOP : i % 3 == 1 ? EIO_READ : EIO_REALPATH, i);
  job->req.cb = count;
  job->req.data = &owner->called;
  job->req.fd = fd;
  if (i % 3 == 1) {
    job->req.buf = owner->bufs[i];
    job->req.size = sizeof owner->bufs[i];
  } else
    job->req.path = "/proc/self";
  job->req.flags = i % 7 < 4 ? EIO_NO_INLINE : 0;
  eio_submit(ctx, &job->req);
}

static void *own(void *arg)
{
  struct owner *owner = arg;
  eio_ctx *ctx = eio_create();
  int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

  if (ctx && fd >= 0 && eio_set_engine(ctx, engine) == 0) {
    job_init(&owner->group, EIO_GROUP, 0);
    owner->group.req.cb = count;
    owner->group.req.data = &owner->called;
    eio_submit(ctx, &owner->group.req);
    for (int i = 0; i < N; i++) {
      submit_one(ctx, owner, i, fd);
      eio_group_add(ctx, &owner->group.req, &owner->jobs[i].req);
      if (i % 50 == 0) {
        eio_poll_wait(ctx, -1);
        eio_poll(ctx, 0, 0);
      }
    }
    finish_all(ctx);
    owner->passed = owner->called == N + 1 && eio_nreqs(ctx) == 0;
  }
  eio_destroy(ctx);
  close(fd);
  return NULL;
}

static struct owner owners[THREADS];

static void start(void)
{
  memset(owners, 0, sizeof owners);
  for (int i = 0; i < THREADS; i++)
    if ((errno = pthread_create(&owners[i].thread, NULL, own, &owners[i])))
      bail_out("no thread");
}

static bool all_passed(void)
{
  bool passed = true;

  for (int i = 0; i < THREADS; i++) {
    pthread_join(owners[i].thread, NULL);
    passed = passed && owners[i].passed;
  }
  return passed;
}

static void test_concurrent(void)
{
  start();
  check(all_passed(), "%d threads, each with its own context", THREADS);
}

/* Forks of a thread while others use theirs: the child has its own only. */
static void test_forks(void)
{
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  /* gcc 12's runtimes fork without the locks of their allocator, so a child
   * may find one held for ever by one of the other threads. */
  skip(2, "a child of a program with busy threads may hang in the sanitizer's allocator");
#else
  eio_ctx *ctx;
  int failed = 0;

  if (is_uring() && under_valgrind()) {
    skip(2, "valgrind 3.19 gives up when a child of a fork maps a ring");
    return;
  }
  ctx = context();
  start();
  for (int i = 0; i < 20; i++) {
    static struct job mine[5];
    int status;
    pid_t pid;

    for (int k = 0; k < 5; k++)
      submit_for_worker(ctx, &mine[k], k);
    pid = fork();
    if (pid == 0) {
      alarm(20);
      forget_threads();
      take_orphans(ctx);
      ncalled = 0;
      for (int k = 0; k < 5; k++)
        submit_for_worker(ctx, &mine[k], k);
      finish_all(ctx);
      _exit(ncalled == 5 ? 0 : 1);
    }
    finish_all(ctx);
    failed += pid < 0 || waitpid(pid, &status, 0) < 0 || status;
  }
  check_int(failed, 0, "20 forks while other threads use their contexts");
  check(all_passed(), "which does not disturb these");
  eio_destroy(ctx);
#endif
}

int main(void)
{
  static test *const tests[] = { test_concurrent, test_forks, NULL };

  tap_begin();
  on_each_engine(tests);
  return tap_end();
}
