/* eio_ops.c - the table of operations, and the one place that runs a row. */
#include "eio_int.h"

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

const struct eio_op_row eio__ops[EIO_OP_COUNT] = {
  [EIO_GROUP] = { { "group", "", EIO_R_NONE, 0 }, NULL, NULL, 0 },
#define EIO_OP(id, name, args, result, execute, ring, flags) \
  [EIO_##id] = { { name, args, EIO_R_##result, ((flags) & ON_REQUEST) != 0 }, execute, ring, flags },
#include "eio_ops.def"
#undef EIO_OP
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

void eio_execute(eio_req *req)
{
  if (eio__flag(req, EIO_FAILED))
    return;
  errno = 0;
  req->result = eio__ops[req->op].execute(req);
  req->errorno = req->result == -1 ? errno : 0;
}

/* Workers block all signals; the owner's thread blocks the one that a system
 * call can raise, and takes it back. */
void eio__execute_here(eio_req *req)
{
  sigset_t pipe, old, pending;
  static const struct timespec zero;

  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, &old);
  sigpending(&pending);
  eio_execute(req);
  if (req->result < 0 && req->errorno == EPIPE && !sigismember(&pending, SIGPIPE))
    while (sigtimedwait(&pipe, NULL, &zero) < 0 && errno == EINTR)
      ;
  pthread_sigmask(SIG_SETMASK, &old, NULL);
}
