/* eio_plat_sleep.c - a thread sleeps until another wakes it: a futex where there are any,
 * as conditions wake a thread that has to take a lock next, and cost three calls. And how
 * a thread is started. */
#include "eio_plat.h"

#include <signal.h>
#include <time.h>

#if EIO_HAVE_FUTEX
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

void eio_p_bed_init(struct eio_bed *bed)
{
  atomic_init(&bed->woken, 0);
}

void eio_p_bed_finish(struct eio_bed *bed)
{
  (void)bed;
}

bool eio_p_sleep(struct eio_bed *bed, uint64_t until)
{
  struct timespec ts = { (time_t)(until / 1000000000), (long)(until % 1000000000) };

  while (!atomic_exchange(&bed->woken, 0)) {
    if (until != UINT64_MAX && eio_p_now() >= until)
      return false;
    syscall(SYS_futex, &bed->woken, FUTEX_WAIT_BITSET_PRIVATE, 0, until != UINT64_MAX ? &ts : NULL, NULL,
            FUTEX_BITSET_MATCH_ANY); /* a time of CLOCK_MONOTONIC */
  }
  return true;
}

void eio_p_wake(struct eio_bed *bed)
{
  if (!atomic_exchange(&bed->woken, 1))
    syscall(SYS_futex, &bed->woken, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

#else

void eio_p_bed_init(struct eio_bed *bed)
{
  pthread_condattr_t attr;

  atomic_init(&bed->woken, 0);
  pthread_mutex_init(&bed->mutex, NULL);
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&bed->cond, &attr);
  pthread_condattr_destroy(&attr);
}

void eio_p_bed_finish(struct eio_bed *bed)
{
  pthread_cond_destroy(&bed->cond);
  pthread_mutex_destroy(&bed->mutex);
}

bool eio_p_sleep(struct eio_bed *bed, uint64_t until)
{
  struct timespec ts = { (time_t)(until / 1000000000), (long)(until % 1000000000) };
  bool woken;

  pthread_mutex_lock(&bed->mutex);
  while (!(woken = atomic_exchange(&bed->woken, 0)) && (until == UINT64_MAX || eio_p_now() < until))
    if (until == UINT64_MAX)
      pthread_cond_wait(&bed->cond, &bed->mutex);
    else
      pthread_cond_timedwait(&bed->cond, &bed->mutex, &ts);
  pthread_mutex_unlock(&bed->mutex);
  return woken;
}

void eio_p_wake(struct eio_bed *bed)
{
  pthread_mutex_lock(&bed->mutex);
  atomic_store(&bed->woken, 1);
  pthread_cond_signal(&bed->cond);
  pthread_mutex_unlock(&bed->mutex);
}
#endif

#define STACK_SIZE (256 * 1024)

int eio_p_thread(pthread_t *thread, void *(*start)(void *), void *arg)
{
  pthread_attr_t attr;
  pthread_t nobodys;
  sigset_t all, old;
  int error;

  pthread_attr_init(&attr);
  if (!thread)
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attr, STACK_SIZE);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  error = pthread_create(thread ? thread : &nobodys, &attr, start, arg);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  pthread_attr_destroy(&attr);
  return error;
}
