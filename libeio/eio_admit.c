/* eio_admit.c - who may execute, and who has to be told, see eio_admit.h. */
#include "eio_admit.h"

bool eio__admits(unsigned running, unsigned max_running)
{
  return running < max_running;
}

bool eio__is_idle(const struct eio_counts *c)
{
  return !c->waiting && (c->expected || c->parked || c->threads < c->max_threads)
         && eio__admits(c->running, c->max_running);
}

/* Requests wait that nobody is on the way for, though somebody could be. */
static bool needs_worker(const struct eio_counts *c)
{
  return c->waiting && !c->expected && (c->parked || c->threads < c->max_threads) && c->max_threads
         && eio__admits(c->running, c->max_running) && !c->watched;
}

unsigned eio__whom_to_tell(enum eio_event event, const struct eio_counts *c)
{
  switch (event) {
  case EIO_EV_LEFT: return EIO_TELL_LIMITS;
  /* It was expected until now; a second attempt at once would be refused, too. */
  case EIO_EV_REFUSED:
    return EIO_TELL_LIMITS | (!needs_worker(c) ? 0 : c->parked ? EIO_TELL_WORKER : EIO_TELL_OWNER);
  default: return needs_worker(c) ? EIO_TELL_WORKER : 0;
  }
}
