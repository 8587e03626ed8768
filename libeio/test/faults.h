/* faults.h - for tests in which system calls fail: a supervisor, another thread, is
 * asked about each call of the thread that asks for it, and has the n-th one fail.
 * Where that cannot be had, NO_FAULTS says why. */
#ifndef FAULTS_H
#define FAULTS_H

#include "supervise.h"

#if defined NO_SUPERVISION
# define NO_FAULTS NO_SUPERVISION
#elif !EIO_HAVE_PIPE2 || !defined SYS_io_uring_setup
# define NO_FAULTS "knows the calls of complete builds for 64 bits only"
#else

static atomic_int wake_fd = -1;
static atomic_int countdown = -1; /* calls until the one that fails; -1: none */
static atomic_int error_now;
static atomic_long failed_call;
static atomic_int setups;         /* of a ring, since arm() */
static atomic_int may_be_terminal; /* opens without O_NOCTTY */
static atomic_bool own_calls;     /* those of the context fail as well */

/* On the wakeup descriptor; a write that would block says that it is readable. */
static bool is_wakeup(const struct seccomp_data *call)
{
  return (call->nr == SYS_read || call->nr == SYS_write || call->nr == SYS_fstat || call->nr == SYS_newfstatat)
         && (int)call->args[0] == atomic_load(&wake_fd);
}

/* Calls that are not the operations' own; some of them cannot fail, either. */
static bool is_own(const struct seccomp_data *call)
{
  switch (call->nr) {
  case SYS_read: case SYS_write: case SYS_fstat: case SYS_newfstatat: return is_wakeup(call);
# ifdef SYS_clone3
  case SYS_clone3:
# endif
# ifdef SYS_poll
  case SYS_poll:
# endif
  case SYS_clone: case SYS_ppoll: case SYS_mmap: case SYS_mprotect: case SYS_madvise:
  case SYS_eventfd2: case SYS_pipe2: case SYS_io_uring_setup: case SYS_io_uring_register:
    return true;
  default: return false;
  }
}

static bool cannot_fail(const struct seccomp_data *call)
{
  if (is_wakeup(call))
    return atomic_load(&error_now) != EINTR;
  switch (call->nr) {
# ifdef SYS_rseq
  case SYS_rseq:
# endif
# ifdef SYS_sigaltstack
  case SYS_sigaltstack: /* the sanitizers' */
# endif
  case SYS_futex: case SYS_sched_yield: case SYS_rt_sigprocmask: case SYS_rt_sigpending:
  case SYS_rt_sigtimedwait: case SYS_exit: case SYS_munmap: case SYS_brk: case SYS_gettid:
  case SYS_set_robust_list: case SYS_sched_getaffinity: case SYS_prctl: case SYS_getpid:
    return true;
  case SYS_mmap: case SYS_mprotect: case SYS_madvise: case SYS_clone:
    return SANITIZED; /* sanitizers give up then */
# ifdef SYS_clone3
  case SYS_clone3: return SANITIZED;
# endif
  default: return false;
  }
}

static bool shall_fail(const struct seccomp_data *call)
{
  if (atomic_load(&countdown) < 0 || cannot_fail(call))
    return false;
  if (is_own(call) != atomic_load(&own_calls) && call->nr != SYS_io_uring_enter)
    return false;
  if (atomic_fetch_sub(&countdown, 1) > 0)
    return false;
  atomic_store(&failed_call, call->nr);
  return true;
}

/* What the library opens by a name must not become the program's terminal. */
static void check_flags(const struct seccomp_data *call)
{
  if (call->nr == SYS_openat && !(call->args[2] & O_NOCTTY))
    atomic_fetch_add(&may_be_terminal, 1);
}

static int on_call(const struct seccomp_notif *call)
{
  if (call->data.nr == SYS_io_uring_setup)
    atomic_fetch_add(&setups, 1);
  if (atomic_load(&countdown) >= 0)
    check_flags(&call->data);
  if (!shall_fail(&call->data))
    return 0;
  if (call->data.nr == SYS_close)
    close((int)call->data.args[0]); /* as Linux does, whatever it says */
  return atomic_load(&error_now);
}

static void arm(int nth, int error)
{
  atomic_store(&failed_call, -1);
  atomic_store(&setups, 0);
  atomic_store(&error_now, error);
  atomic_store(&countdown, nth);
}

/* The number of the call that failed, or -1. */
static long disarm(void)
{
  atomic_store(&countdown, -1);
  return atomic_load(&failed_call);
}

/* Runs the tests in the thread that is supervised, and what goes with that. `pipes` is
 * how many descriptors they leave open on purpose. */
static int supervised(void *(*tests)(void *), const int *pipes)
{
  pthread_t thread;

  if (under_valgrind())
    return tap_skip_all("valgrind does not know seccomp, and its own calls would be supervised as well");
  scratch_begin();
  first_thread();
  if (pthread_create(&thread, NULL, tests, NULL))
    bail_out("no thread");
  pthread_join(thread, NULL);
  return scratch_end(atomic_load(&listener) < 0 ? 0 : 1 + *pipes); /* the supervisor's, and those */
}

#endif
#endif
