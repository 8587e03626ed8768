/* eio_admit.h - the hand-over between those who submit and those who execute:
 * whether one more request may execute, and who has to be told what has changed.
 *
 * Pure functions of counters. Nobody else compares these: the pool, the ring, the
 * owner's own attempts and `sync` ask here, so that each limit is kept by all of
 * them, and nothing waits for a thread that was not told. test/core_handover.c tries
 * every order of steps. */
#ifndef EIO_ADMIT_H
#define EIO_ADMIT_H

#include <stdbool.h>

/* What a decision needs to know: under the lock it is exact. The owner, who submits
 * without, reads from top to bottom; what others change meanwhile, they look at the
 * queue after. */
struct eio_counts {
  unsigned waiting;      /* requests in the queue */
  bool expected;         /* somebody is on his way to the queue, or watches it */
  unsigned parked;       /* workers that sleep; before `threads`: who leaves is in that one less first */
  unsigned threads, max_threads;
  unsigned running, max_running; /* requests that execute, wherever */
  bool watched;          /* a parked worker is to see to it later */
};

/* What has happened, under the lock but for the first. Who frees a place and is a worker
 * goes to the queue itself; nobody has to be told. */
enum eio_event {
  EIO_EV_SUBMITTED,      /* one more waits, or may wait for something else now */
  EIO_EV_TAKEN,          /* a worker has taken one; others may be left */
  EIO_EV_FREED,          /* one less executes, in the owner or the ring */
  EIO_EV_LIMITS,         /* a limit has changed */
  EIO_EV_LEFT,           /* a thread has left */
  EIO_EV_REFUSED,        /* a thread that was asked for cannot be had */
};

enum {
  EIO_TELL_WORKER = 1,   /* send for one: the last parked, or a new one */
  EIO_TELL_LIMITS = 2,   /* who waits for threads to leave looks again */
  EIO_TELL_OWNER = 4,    /* the owner asks for the thread again, in a while */
};

/* Whether one more request may execute. */
bool eio__admits(unsigned running, unsigned max_running);

/* Whether nothing waits, and somebody who has nothing to do could take something. */
bool eio__is_idle(const struct eio_counts *counts);

/* Who has to be told: any of EIO_TELL_*. */
unsigned eio__whom_to_tell(enum eio_event event, const struct eio_counts *counts);

#endif
