/* supervise.h - tests that are asked about each system call of a thread: a seccomp
 * filter hands it to another thread, which may let it fail, or do something at this
 * very moment. Where that cannot be had, NO_SUPERVISION says why. */
#ifndef SUPERVISE_H
#define SUPERVISE_H

#include "core.h"

#if THREAD_SANITIZER
# define NO_SUPERVISION "ThreadSanitizer's own calls are supervised as well: takes many minutes"
#elif !HAVE_SECCOMP || !EIO_HAVE_AT || !defined SYS_newfstatat
# define NO_SUPERVISION "knows the calls of complete builds for 64 bits only"
#elif !defined SECCOMP_USER_NOTIF_FLAG_CONTINUE || !defined SECCOMP_FILTER_FLAG_NEW_LISTENER
# define NO_SUPERVISION "needs seccomp with a supervisor"
#else

# include <sys/ioctl.h>

static atomic_int listener = -1;

/* Called for each call, in the supervising thread, which is not supervised: the
 * error that it shall fail with, or 0. May kill the caller. */
static int on_call(const struct seccomp_notif *call);

static void *supervise(void *arg)
{
  while (atomic_load(&listener) < 0)
    sched_yield();
  for (;;) {
    struct seccomp_notif call;
    struct seccomp_notif_resp answer;

    memset(&call, 0, sizeof call);
    if (ioctl(atomic_load(&listener), SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
      continue;
    memset(&answer, 0, sizeof answer);
    answer.id = call.id;
    answer.error = -on_call(&call);
    if (!answer.error)
      answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    ioctl(atomic_load(&listener), SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }
  return arg;
}

/* From now on this thread, those that it starts and children are supervised. Keeps a
 * descriptor open. */
static bool begin_supervision(void)
{
  struct sock_filter filter[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF) };
  struct sock_fprog program = { 1, filter };
  pthread_t thread;
  int fd;

  if (pthread_create(&thread, NULL, supervise, NULL) || pthread_detach(thread)
      || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
    return false;
  fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  atomic_store(&listener, fd);
  return fd >= 0;
}

/* Calls of memory, locks and signals, which a failure would tell nothing of. */
TAP_UNUSED static bool never_fails(long nr)
{
  return nr == SYS_munmap || nr == SYS_brk || nr == SYS_futex || nr == SYS_mmap || nr == SYS_madvise
         || nr == SYS_getpid || nr == SYS_mprotect || nr == SYS_rt_sigprocmask || nr == SYS_mremap
         || nr == SYS_exit_group || nr == SYS_sched_yield;
}

#endif
#endif
