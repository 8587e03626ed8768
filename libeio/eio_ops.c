/* eio_ops.c - the table of operations, and the one place that runs a row. */
#include "eio_parts.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#if !EIO_HAVE_LIBURING
# define eio_u_read NULL
# define eio_u_write NULL
# define eio_u_fsync NULL
# define eio_u_fdatasync NULL
#endif

#define INLINE EIO_OPF_INLINE
#define ON_REQUEST EIO_OPF_ON_REQUEST
#define WAITS EIO_OPF_WAITS

const struct eio_op_row eio__ops[EIO_OP_COUNT + 1] = {
  [EIO_GROUP] = { { "group", "", EIO_R_NONE, 0 }, NULL, NULL, 0 },
#define EIO_OP(id, name, args, result, execute, ring, flags) \
  [EIO_##id] = { { name, args, EIO_R_##result, ((flags) & ON_REQUEST) != 0 }, execute, ring, flags },
#include "eio_ops.def"
#undef EIO_OP
  [EIO_PART] = { { "part", "", EIO_R_NONE, 0 }, NULL, NULL, 0 },
};

const struct eio_op_info *eio_op_info(enum eio_op op)
{
  return &eio__ops[op].info;
}

void eio_req_init(eio_req *req, enum eio_op op)
{
  memset(req, 0, sizeof *req);
  req->op = (uint8_t)op;
  req->fd = -1;
  req->result = -1;
}

bool eio__execute(eio_req *req)
{
  int64_t result;

  if (eio__flag(req, EIO_FAILED))
    return true;
  errno = 0;
  result = eio__ops[req->op].execute(req);
  if (result == EIO_PENDING)
    return false;
  req->result = result;
  req->errorno = result == -1 ? errno : 0;
  return true;
}

/* Signals ---------------------------------------------------------------- */

/* What system calls send to the thread that makes them, besides failing: workers block all
 * signals, other threads these, and take them back.
 *
 * One that another process sends meanwhile is for the whole process, and shall not be taken.
 * The two cannot be told by looking; but when it is sent to this thread once more, it is
 * pending for the thread in any case, and a thread takes its own first. */
static const int raised[] = { SIGPIPE, SIGXFSZ };
enum { NRAISED = sizeof raised / sizeof *raised };

static void take_back(int number)
{
  static const struct timespec zero;
  sigset_t one;

  sigemptyset(&one);
  sigaddset(&one, number);
  pthread_kill(pthread_self(), number);
  while (sigtimedwait(&one, NULL, &zero) < 0 && errno == EINTR)
    ;
}

/* A signal can be pending before only where the program blocks it. Then it stays, and what
 * the call sends is one with it, or a second one if that was sent to the process. */
static eio_req *execute_quietly(eio_req *req, const sigset_t *before)
{
  struct eio_parts *parts = eio__parts_run(req);
  sigset_t after;

  if (parts)
    req = eio__parts_leave(parts);
  sigpending(&after);
  for (int i = 0; i < NRAISED; i++)
    if (sigismember(&after, raised[i]) && !sigismember(before, raised[i]))
      take_back(raised[i]);
  return req;
}

eio_req *eio__execute_here(eio_req *req)
{
  sigset_t set, old, before;
  int saved = errno;

  sigemptyset(&set);
  for (int i = 0; i < NRAISED; i++)
    sigaddset(&set, raised[i]);
  pthread_sigmask(SIG_BLOCK, &set, &old);
  sigpending(&before);
  req = execute_quietly(req, &before);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  errno = saved;
  return req;
}

void eio_execute(eio_req *req)
{
  eio__execute_here(req); /* only workers give parts away */
}
