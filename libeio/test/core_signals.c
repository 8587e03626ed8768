/* core_signals.c - the signals that system calls send besides failing: a program gets none,
 * whoever executes, and all that others send. */
#include "core.h"

#include <signal.h>
#include <sys/socket.h>

static eio_ctx *ctx;
static volatile sig_atomic_t nsignals[NSIG];

static void count(int number)
{
  nsignals[number]++;
}

static void handle(void (*handler)(int))
{
  struct sigaction action = { .sa_handler = handler };

  nsignals[SIGPIPE] = nsignals[SIGXFSZ] = 0;
  sigaction(SIGPIPE, &action, NULL);
  sigaction(SIGXFSZ, &action, NULL);
}

static bool none_came(void)
{
  sigset_t pending, mask;

  sigpending(&pending);
  pthread_sigmask(SIG_BLOCK, NULL, &mask);
  return !nsignals[SIGPIPE] && !nsignals[SIGXFSZ] && !sigismember(&pending, SIGPIPE)
         && !sigismember(&pending, SIGXFSZ) && !sigismember(&mask, SIGPIPE) && !sigismember(&mask, SIGXFSZ);
}

/* What raises -------------------------------------------------------------- */

enum { LIMIT = 100000 };
static char data[3 * LIMIT];

/* Reads some and goes: the rest fails. */
static void *read_some(void *fd)
{
  static char buf[4096];
  size_t done = 0;
  ssize_t n;

  while (done < LIMIT && (n = read(*(int *)fd, buf, sizeof buf)) > 0)
    done += (size_t)n;
  close(*(int *)fd);
  return NULL;
}

struct raiser {
  const char *name;
  enum eio_op op;
  int64_t offs, size;
  int signal, error;
  char out; /* p, s: pipe, socket that nobody reads; P: one that somebody reads from; f: file */
};

static const struct raiser raisers[] = {
  { "write to a pipe", EIO_WRITE, -1, 10, SIGPIPE, EPIPE, 'p' },
  { "write to a socket", EIO_WRITE, -1, 10, SIGPIPE, EPIPE, 's' },
  { "part of a write to a pipe", EIO_WRITE, -1, sizeof data, SIGPIPE, 0, 'P' },
  { "sendfile to a pipe", EIO_SENDFILE, 0, 10, SIGPIPE, EPIPE, 'p' },
  { "sendfile to a socket", EIO_SENDFILE, 0, 10, SIGPIPE, EPIPE, 's' },
  { "part of a sendfile to a pipe", EIO_SENDFILE, 0, sizeof data, SIGPIPE, 0, 'P' },
  { "write", EIO_WRITE, LIMIT, 10, SIGXFSZ, EFBIG, 'f' },
  { "part of a write", EIO_WRITE, LIMIT - 5, 10, SIGXFSZ, 0, 'f' },
  { "write at the position", EIO_WRITE, -1, sizeof data, SIGXFSZ, 0, 'f' },
  { "sendfile", EIO_SENDFILE, 0, sizeof data, SIGXFSZ, 0, 'f' },
  { "truncate", EIO_TRUNCATE, LIMIT + 1, 0, SIGXFSZ, EFBIG, 'f' },
#if EIO_HAVE_FALLOCATE
  { "allocate", EIO_ALLOCATE, 0, LIMIT + 1, SIGXFSZ, EFBIG, 'f' },
#endif
  { "copy", EIO_COPY, 0, 0, SIGXFSZ, EFBIG, 0 },
};
#define NRAISERS (sizeof raisers / sizeof *raisers)

static int out_for(char kind, pthread_t *reader)
{
  static int fds[2];

  switch (kind) {
  case 'f': return open_for_test("out", O_RDWR | O_CREAT | O_TRUNC);
  case 's':
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
      bail_out("no socket");
    break;
  case 'p': case 'P':
    if (eio_p_pipe(fds) < 0)
      bail_out("no pipe");
    break;
  default: return -1;
  }
  if (kind != 'P')
    close(fds[0]);
  else if (pthread_create(reader, NULL, read_some, &fds[0]))
    bail_out("no thread");
  return fds[1];
}

static char from[] = "data", to[] = "copy";

static void perform(eio_req *req)
{
  if (!ctx)
    return eio_execute(req);
  eio_submit(ctx, req);
  finish_all(ctx);
}

/* Whether the result is what it is elsewhere, too. */
static bool try(const struct raiser *raiser)
{
  int in = open_for_test("data", O_RDONLY);
  pthread_t reader;
  eio_req req;
  bool right;

  eio_req_init(&req, raiser->op);
  if (raiser->op == EIO_COPY) {
    req.path = from;
    req.path2 = to;
  } else {
    req.fd = out_for(raiser->out, &reader);
    req.offs = raiser->offs;
    req.size = (uint64_t)raiser->size;
    if (raiser->op == EIO_WRITE)
      req.buf = data;
    if (raiser->op == EIO_SENDFILE)
      req.arg1 = in;
  }
  perform(&req);
  right = raiser->error ? req.result == -1 && req.errorno == raiser->error
    : req.result > 0 && req.result < raiser->size;
  if (!right)
    diag("%s: result %jd, %s", raiser->name, (intmax_t)req.result, strerror(req.errorno));
  if (raiser->out == 'P')
    pthread_join(reader, NULL);
  if (req.fd >= 0)
    close(req.fd);
  close(in);
  return right;
}

/* In a child, whose own handlers and limits these are ----------------------- */

static void limit_sizes(void)
{
  struct rlimit limit = { LIMIT, LIMIT };

  put_data("data", data, sizeof data);
  if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
    bail_out("setrlimit");
}

static void try_all(bool refused)
{
  static void (*const handlers[])(int) = { SIG_DFL, SIG_IGN, count };
  static const char *const names[] = { "default action", "ignored", "handler" };

  for (unsigned i = 0; i < NRAISERS; i++)
    for (int k = 0; k < 3; k++) {
      bool right;

      if (refused && raisers[i].out == 'P')
        continue; /* there is no reader, either */
      handle(handlers[k]);
      right = try(&raisers[i]);
      check(right && none_came(), "%s, %s", raisers[i].name, names[k]);
    }
}

/* Pending before, and blocked: sent to the thread, or to the process. */
static void try_pending(void)
{
  sigset_t set, pending;

  for (unsigned i = 0; i < NRAISERS; i++)
    for (int to_process = 0; to_process < 2; to_process++) {
      int number = raisers[i].signal;
      bool right;

      handle(count);
      sigemptyset(&set);
      sigaddset(&set, number);
      pthread_sigmask(SIG_BLOCK, &set, NULL);
      if (to_process)
        kill(getpid(), number);
      else
        pthread_kill(pthread_self(), number);
      right = try(&raisers[i]);
      sigpending(&pending);
      check(right && !nsignals[number] && sigismember(&pending, number), "%s: one that was pending before still is",
            raisers[i].name);
      pthread_sigmask(SIG_UNBLOCK, &set, NULL);
      check(nsignals[number], "and comes when it is let through");
    }
}

static void children(void)
{
  eio_ctx *own = ctx = context();

  limit_sizes();
  try_all(false);
  try_pending();
  eio_destroy(own);
}

static void test_contexts(void)
{
  in_child(children);
}

/* There is no thread: the owner executes. */
static void refused(void)
{
#ifdef SYS_clone
  limit_sizes();
  if (!refuse_calls(SYS_clone, SYS_clone3, EAGAIN))
    return skip(1, "needs seccomp");
  ctx = context();
  try_all(true);
  check_int(eio_nthreads(ctx), 0, "there was no thread");
  eio_destroy(ctx);
#else
  skip(1, "needs clone(2)");
#endif
}

static void test_no_thread(void)
{
  in_child(refused);
}

static void executed(void)
{
  ctx = NULL;
  limit_sizes();
  try_all(false);
  try_pending();
  errno = EDOM;
  check(try(&raisers[0]) && errno, "eio_execute() goes on");
}

static void test_execute(void)
{
  if (is_sync())
    in_child(executed);
}

/* Another process sends one meanwhile, for which the program has a handler: it comes, whether
 * the call sends one of its own or not. That process reads a part of what is written, or
 * writes what is read, and closes its end. */
static void send_meanwhile(int number, bool write_some)
{
  static char buf[sizeof data];
  int fds[2], status;
  eio_req req;
  pid_t pid;

  handle(count);
  if (eio_p_pipe(fds) < 0 || (pid = fork()) < 0)
    bail_out("no child");
  if (pid == 0) {
    close(fds[write_some]);
    if (write_some && read(fds[0], buf, 1) != 1) /* it has begun */
      _exit(1);
    kill(getppid(), number);
    _exit(0);
  }
  close(fds[!write_some]);
  req = on_data(write_some ? EIO_WRITE : EIO_READ, fds[write_some], -1, buf, sizeof buf);
  perform(&req);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
    ;
  check(status == 0 && (write_some ? req.result > 0 && req.result < (int64_t)sizeof buf : req.result == 0),
        "%s", write_some ? "part of a write" : "a read that waits");
  check_int(nsignals[number], 1, "what another process sends meanwhile comes");
  check_int(nsignals[SIGPIPE] + nsignals[SIGXFSZ], 1, "and nothing else");
  close(fds[write_some]);
}

static void foreign(void)
{
  send_meanwhile(SIGPIPE, false);
  send_meanwhile(SIGXFSZ, false);
  send_meanwhile(SIGPIPE, true);
  handle(SIG_DFL);
}

static void test_foreign(void)
{
  ctx = context();
  foreign();
  eio_destroy(ctx);
  if (is_sync()) {
    ctx = NULL;
    foreign();
  }
}

int main(void)
{
  static test *const tests[] = { test_contexts, test_no_thread, test_execute, test_foreign, NULL };

  memset(data, 'x', sizeof data);
  scratch_begin();
  on_each_engine(tests);
  return scratch_end(0);
}
