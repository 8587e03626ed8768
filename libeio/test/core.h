/* core.h - for tests of contexts: each runs on every engine, with requests that
 * note the order of their callbacks, and gates to hold workers up.
 *
 * Nothing here waits for time to pass: gates block for as long as the test
 * wants, and counters tell how far the workers are. */
#ifndef CORE_H
#define CORE_H

#include "ops.h"

#include "../eio_plat.h"

#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>
#if defined __linux__ && defined __has_include
# if __has_include(<linux/seccomp.h>)
#  include <linux/filter.h>
#  include <linux/seccomp.h>
#  include <stddef.h>
#  include <sys/prctl.h>
#  define HAVE_SECCOMP 1
# endif
#endif
#ifndef HAVE_SECCOMP
# define HAVE_SECCOMP 0
#endif

/* ThreadSanitizer gives up otherwise when a child starts threads, and takes the
 * parent's for forgotten by the child; and it sleeps for a second at the end of each process that has threads. */
const char *__tsan_default_options(void);
__attribute__((visibility("default"))) const char *__tsan_default_options(void)
{
  return "die_after_fork=0 report_thread_leaks=0 atexit_sleep_ms=0";
}

/* Checks, with the engine's name before their own ------------------------- */

static const char *engine = "none";

#define check(passed, format, ...) ok((passed), "%s: " format, engine, ##__VA_ARGS__)
#define check_int(got, want, format, ...) \
  is_int((got), (want), "%s: " format, engine, ##__VA_ARGS__)

/* Engine "sync" executes in submit: nothing can be held up there. */
TAP_UNUSED static bool is_sync(void)
{
  return !strcmp(engine, "sync");
}

TAP_UNUSED static bool is_uring(void)
{
  return !strcmp(engine, "uring");
}

TAP_UNUSED static eio_ctx *unwatched_context(void)
{
  eio_ctx *ctx = eio_create();

  if (!ctx || eio_set_engine(ctx, engine) < 0)
    bail_out("no context");
  return ctx;
}

/* One whose wakeup descriptor somebody has asked for. */
TAP_UNUSED static eio_ctx *context(void)
{
  eio_ctx *ctx = unwatched_context();

  eio_poll_fd(ctx);
  return ctx;
}

/* Requests ---------------------------------------------------------------- */

struct job {
  eio_req req; /* first: a callback finds the job by it */
  int number;
  bool called;
};

static unsigned ncalled;      /* callbacks so far */
static int order[1000 * 1000]; /* the numbers of their jobs */

static inline void note(eio_req *req)
{
  struct job *job = (struct job *)req;

  job->called = true;
  if (ncalled < sizeof order / sizeof *order)
    order[ncalled] = job->number;
  ncalled++;
}

TAP_UNUSED static void job_init(struct job *job, enum eio_op op, int number)
{
  eio_req_init(&job->req, op);
  job->req.cb = note;
  job->number = number;
  job->called = false;
}

/* For eio_on_abandon(): a stand-in has the number of the job that it stands for. */
TAP_UNUSED static struct job stand_ins[64];
TAP_UNUSED static unsigned nstand_ins;

TAP_UNUSED static eio_req *stand_in(eio_req *req)
{
  struct job *other = &stand_ins[nstand_ins++];

  job_init(other, (enum eio_op)req->op, ((struct job *)req)->number);
  other->req.cb = req->cb;
  req->cb = NULL;
  return &other->req;
}

TAP_UNUSED static void submit_nop(eio_ctx *ctx, struct job *job, int number)
{
  job_init(job, EIO_NOP, number);
  eio_submit(ctx, &job->req);
}

/* For a worker (or the ready queue), not to be finished in submit. */
TAP_UNUSED static void submit_for_worker(eio_ctx *ctx, struct job *job, int number)
{
  job_init(job, EIO_NOP, number);
  job->req.flags = EIO_NO_INLINE;
  eio_submit(ctx, &job->req);
}

/* Whether the last callbacks were those of the jobs first, first + 1, ... */
TAP_UNUSED static bool called_in_order(int first, unsigned n)
{
  if (ncalled != n)
    return false;
  for (unsigned i = 0; i < n; i++)
    if (order[i] != first + (int)i)
      return false;
  return true;
}

/* Gates: requests that block until the test opens the gate ---------------- */

struct gate {
  int fds[2];
};

TAP_UNUSED static struct gate gate_make(void)
{
  struct gate gate;

  if (eio_p_pipe(gate.fds) < 0)
    bail_out("no pipe");
  return gate;
}

/* All that wait there finish with result 0. */
TAP_UNUSED static void gate_open(struct gate *gate)
{
  close(gate->fds[1]);
}

TAP_UNUSED static void gate_remove(struct gate *gate)
{
  close(gate->fds[0]);
}

static inline void gate_fill(struct job *job, struct gate *gate, int number, uint64_t size)
{
  job_init(job, EIO_READ, number);
  job->req.fd = gate->fds[0];
  job->req.offs = -1;
  job->req.size = size;
  job->req.flags = EIO_FREE_BUF;
  job->req.buf = malloc(size);
  if (!job->req.buf)
    bail_out("memory");
}

/* Blocks a worker (see ring_gate.h for the ring). */
TAP_UNUSED static void block(eio_ctx *ctx, struct job *job, struct gate *gate, int number)
{
  gate_fill(job, gate, number, 65536);
  eio_submit(ctx, &job->req);
}

/* Waiting for counters ---------------------------------------------------- */

TAP_UNUSED static void wait_running(eio_ctx *ctx, unsigned n)
{
  while (atomic_load(&ctx->nrunning) < n)
    sched_yield();
  pthread_mutex_lock(&ctx->lock); /* they have looked whether somebody has to be sent for */
  pthread_mutex_unlock(&ctx->lock);
}

TAP_UNUSED static void wait_pending(eio_ctx *ctx, unsigned n)
{
  while (eio_npending(ctx) < n)
    sched_yield();
  pthread_mutex_lock(&ctx->lock); /* a worker counts first, then hands over */
  pthread_mutex_unlock(&ctx->lock);
}

/* Polls until nothing is outstanding. */
TAP_UNUSED static void finish_all(eio_ctx *ctx)
{
  while (eio_nreqs(ctx)) {
    eio_poll_wait(ctx, -1);
    eio_poll(ctx, 0, 0);
  }
}

TAP_UNUSED static bool is_readable(eio_ctx *ctx)
{
  struct pollfd pfd = { .fd = ctx->wake.fd[0], .events = POLLIN }; /* eio_poll_fd() would set it right */

  return poll(&pfd, 1, 0) == 1;
}

TAP_UNUSED static void wait_readable(eio_ctx *ctx)
{
  struct pollfd pfd = { .fd = ctx->wake.fd[0], .events = POLLIN };

  while (poll(&pfd, 1, -1) != 1)
    ;
}

/* Releases all orphans that there are now. */
TAP_UNUSED static unsigned take_orphans(eio_ctx *ctx)
{
  unsigned n = 0;

  for (eio_req *req; (req = eio_orphan(ctx)); n++)
    eio_release(ctx, req);
  return n;
}

TAP_UNUSED static void wait_orphans(eio_ctx *ctx, unsigned n)
{
  for (unsigned got = 0; got < n; sched_yield())
    got += take_orphans(ctx);
}

/* Running the tests ------------------------------------------------------- */

static inline int threads_now(void)
{
  DIR *dir = opendir("/proc/self/task");
  int n = -2; /* . and .. */

  if (!dir)
    return 0;
  while (readdir(dir))
    n++;
  closedir(dir);
  return n;
}

/* Threads end a moment after they have left the context. */
static inline bool threads_are_gone(int before)
{
  uint64_t end = eio_p_now() + 20 * UINT64_C(1000000000);

  while (threads_now() > before) {
    if (eio_p_now() > end)
      return false;
    sched_yield();
  }
  return true;
}

static inline void *own_task(void *path)
{
#ifdef SYS_gettid
  sprintf(path, "/proc/self/task/%ld", syscall(SYS_gettid));
#endif
  return path;
}

/* ThreadSanitizer starts one of its own along with the program's first. That
 * one is still counted for a moment after pthread_join(), which returns before
 * the kernel has done away with it. */
static inline void first_thread(void)
{
  char path[64] = "";
  pthread_t thread;

  if ((errno = pthread_create(&thread, NULL, own_task, path)))
    bail_out("no thread");
  pthread_join(thread, NULL);
  while (access(path, F_OK) == 0)
    sched_yield();
}

typedef void test(void);

/* Why these tests are not for the ring, if so. */
static const char *without_ring;

/* Runs a list of tests, NULL at its end, on every engine. Each leaves behind
 * no descriptor and no thread. */
TAP_UNUSED static void on_each_engine(test *const *tests)
{
  static const char *const engines[] = { "sync", "pool", "uring" };

  first_thread();
  for (unsigned i = 0; i < sizeof engines / sizeof *engines; i++) {
    eio_ctx *ctx = eio_create();
    const char *why;

    engine = engines[i];
    if (!ctx)
      bail_out("no context");
    if (eio_set_engine(ctx, engine) < 0) {
      eio_engine(ctx, &why);
      skip(1, why);
      eio_destroy(ctx);
      continue;
    }
    eio_destroy(ctx);
    if (is_uring() && without_ring) {
      skip(1, without_ring);
      continue;
    }
    for (test *const *t = tests; *t; t++) {
      int threads = threads_now(), fds = open_fds();

      ncalled = 0;
      (*t)();
      if (!threads_are_gone(threads) || open_fds() != fds)
        check(false, "test %d leaves %d threads more, and %d descriptors", (int)(t - tests),
              threads_now() - threads, open_fds() - fds);
    }
    check(true, "no thread and no descriptor is left");
  }
}

/* From now on calls of those numbers fail with that error in this process. */
TAP_UNUSED static bool refuse_calls(long one, long other, int error)
{
#if HAVE_SECCOMP
  struct sock_filter filter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)one, 1, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)other, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { sizeof filter / sizeof *filter, filter };

  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
         && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
#else
  (void)one, (void)other, (void)error;
  return false;
#endif
}

#endif
