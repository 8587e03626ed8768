/* core_faults_own.c - the system calls of a context itself fail in turn: those that make
 * descriptors, threads and the ring, and that wait. Either there is no context, with
 * that error, or its requests are executed. */
#include "faults.h"

#ifdef NO_FAULTS

int main(void)
{
  return tap_skip_all(NO_FAULTS);
}

#else

# if EIO_HAVE_LIBURING
#  include <liburing.h>
# endif

/* The modes of a ring that there are to try. */
enum {
  MODES = 1
# ifdef IORING_SETUP_COOP_TASKRUN
  + 1
# endif
# ifdef IORING_SETUP_DEFER_TASKRUN
  + 1
# endif
};

/* The ring is given up with the error of its setup as the reason, or because there
 * is no eventfd, or no liburing; but not for a mode that the kernel does not know, or
 * one for which the thread has to keep the ring, unless it is the last. */
static bool is_told(eio_ctx *mine, const char *name, int result, int error)
{
  long nr = atomic_load(&failed_call);
  const char *why;

  if (result == 0)
    return !strcmp(eio_engine(mine, &why), name) && !*why
           && (nr != SYS_io_uring_register || atomic_load(&setups) > 1);
  if (nr == SYS_eventfd2 || !EIO_HAVE_LIBURING)
    error = ENOSYS;
  return errno == error && !strcmp(eio_engine(mine, &why), "pool") && strstr(why, strerror(error))
         && (nr != SYS_io_uring_setup || error != EINVAL || atomic_load(&setups) == MODES);
}

/* Whatever is refused: either there is no context, with that error, or its
 * requests are executed. */
static bool live(const char *name, int nth, int error, bool *reached)
{
  struct job jobs[3];
  int before = open_fds(), failures;
  eio_ctx *mine;
  bool fine = true;

  ncalled = 0;
  arm(nth, error);
  mine = eio_create();
  if (mine) {
    atomic_store(&wake_fd, eio_poll_fd(mine));
    fine = is_told(mine, name, eio_set_engine(mine, name), error);
    for (int i = 0; i < 3; i++) {
      job_init(&jobs[i], EIO_STAT, i);
      jobs[i].req.path = (char *)(uintptr_t) "file";
      jobs[i].req.flags = EIO_NO_INLINE;
      eio_submit(mine, &jobs[i].req);
    }
    finish_all(mine);
    eio_destroy(mine);
    for (int i = 0; i < 3; i++)
      fine = fine && jobs[i].req.result == 0;
    fine = fine && ncalled == 3;
  } else
    fine = errno == error;
  *reached = disarm() >= 0;
  failures = open_fds() - before;
  if (*reached && (!fine || failures))
    printf("# own call %d (number %ld) fails with %s: %u callbacks, %d descriptors\n", nth,
           atomic_load(&failed_call), strerror(error), ncalled, failures);
  return fine && failures <= 0;
}

static void own_faults(const char *name)
{
  static const int own_errors[] = { EAGAIN, EINTR, ENOMEM, EMFILE, ENFILE, EPERM, ENOSYS, EINVAL, EACCES, EBUSY };
  int faults = 0, failed = 0;

  engine = name;
  atomic_store(&own_calls, true);
  for (unsigned e = 0; e < sizeof own_errors / sizeof *own_errors; e++) {
    bool reached = true;

    for (int nth = 0; reached; nth++) {
      failed += !live(name, nth, own_errors[e], &reached);
      faults += reached;
    }
  }
  atomic_store(&own_calls, false);
  check_int(failed, 0, "the context lives, or is not made: %d faults", faults);
  ok(faults > 10, "%d", faults);
}

static void *subject(void *arg)
{
  if (!begin_supervision()) {
    skip(1, "seccomp has no supervisor here");
    return arg;
  }
  close(open("file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  own_faults("pool");
  own_faults("uring");
  own_faults("sync");
  return arg;
}

int main(void)
{
  static const int none = 0;

  return supervised(subject, &none);
}

#endif
