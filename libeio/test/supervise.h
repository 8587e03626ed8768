/* supervise.h - tests that are asked about each system call of a thread: a seccomp
 * filter hands it to another thread, which may let it fail, or do something at this
 * very moment. After core.h; only where that defines HAVE_SECCOMP. */
#ifndef SUPERVISE_H
#define SUPERVISE_H

#include <sys/ioctl.h>

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

#endif
