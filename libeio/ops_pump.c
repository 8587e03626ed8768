/* ops_pump.c - copies by read and write, where the kernel's own ways wait for each small piece.
 *
 * On file systems that ask a server or a process for each call, large pieces are what counts. And
 * where reads or writes wait, a second thread helps: each has a buffer and takes its turn, so one
 * reads on while the other writes. Who has read is the next to write: he takes the lock of
 * writing before he gives up that of reading, so all is written in order, and once.
 *
 * The second one is a part (eio_parts.h), which may come late or not at all: nobody waits for
 * it to come, and it finds the pump without a copy then. It is waited for while it is in its turn. */
#include "ops_copy.h"
#include "eio_parts.h"

#include <stdlib.h>
#include <unistd.h>

/* What is read and written at a time: what stays in a processor's cache where nothing waits.
 * Where something does, a server's largest request as a rule is 1 MiB, and Linux asks FUSE for one thing
 * more with each write. */
enum { QUICK_BLOCK = 256 << 10, SLOW_BLOCK = 2 << 20 };

struct pump {
  atomic_uint holders;
  pthread_mutex_t reading, writing; /* in that order */
  struct eio__copy *copy; /* (reading) NULL: over */
  off_t next, end;        /* (reading) */
  bool ended;             /* (reading) the source has, before that */
  int error;              /* (writing) the first one */
};

static struct pump *pump_create(struct eio__copy *copy, off_t end)
{
  struct pump *pump = calloc(1, sizeof *pump);

  if (!pump)
    return NULL;
  atomic_init(&pump->holders, 1);
  pthread_mutex_init(&pump->reading, NULL);
  pthread_mutex_init(&pump->writing, NULL);
  pump->copy = copy;
  pump->next = copy->offs;
  pump->end = end;
  return pump;
}

static void pump_leave(struct pump *pump)
{
  if (atomic_fetch_sub(&pump->holders, 1) != 1)
    return;
  pthread_mutex_destroy(&pump->reading);
  pthread_mutex_destroy(&pump->writing);
  free(pump);
}

/* By pages: a server can be given as many at once as it takes. */
static char *block(size_t size)
{
  void *buf;

  return posix_memalign(&buf, 4096, size) ? NULL : buf;
}

/* Turns ------------------------------------------------------------------- */

static int write_at(struct eio__copy *copy, const char *buf, ssize_t size)
{
  for (ssize_t done = 0, n; done < size; done += n) {
    EIO_RETRY(n, pwrite(copy->out, buf + done, (size_t)(size - done), copy->offs));
    if (n == 0)
      errno = ENOSPC; /* as eio__write_all() */
    if (n <= 0)
      return -1;
    copy->offs += n;
    eio__copy_count(copy, n);
    eio__copy_tell(copy);
  }
  return 0;
}

/* With the lock of reading: the next octets; -1 with errno, 0 when there is nothing more to do. */
static ssize_t read_next(struct pump *pump, char *buf, size_t size)
{
  struct eio__copy *copy = pump->copy;
  ssize_t n;

  if (!copy || pump->ended || pump->next == pump->end)
    return 0;
  if (eio__copy_cancelled(copy))
    return -1;
  if ((uint64_t)(pump->end - pump->next) < size)
    size = (size_t)(pump->end - pump->next);
  EIO_RETRY(n, pread(copy->in, buf, size, pump->next));
  pump->next += n > 0 ? n : 0;
  pump->ended = n <= 0;
  return n;
}

/* A block; false when there is nothing more to do. */
static bool take_turn(struct pump *pump, char *buf, size_t size)
{
  struct eio__copy *copy;
  bool more;
  ssize_t n;
  int error;

  pthread_mutex_lock(&pump->reading);
  copy = pump->copy; /* stays until we are done with writing */
  n = read_next(pump, buf, size);
  error = errno;
  if (n == 0) {
    pthread_mutex_unlock(&pump->reading);
    return false;
  }
  pthread_mutex_lock(&pump->writing);
  pthread_mutex_unlock(&pump->reading);
  if (!pump->error) /* that of one before this */
    pump->error = n < 0 ? error : write_at(copy, buf, n) < 0 ? errno : 0;
  more = !pump->error;
  pthread_mutex_unlock(&pump->writing);
  return more;
}

/* The second thread --------------------------------------------------------- */

struct helper {
  struct eio_part part; /* first */
  struct pump *pump;
};

static void help(struct eio_part *part)
{
  struct pump *pump = ((struct helper *)part)->pump;
  char *buf = eio__cancelled(part->of->req) ? NULL : block(SLOW_BLOCK);

  free(part);
  while (buf && take_turn(pump, buf, SLOW_BLOCK))
    ;
  free(buf);
  pump_leave(pump);
}

/* Whether somebody comes. */
static bool call_helper(struct pump *pump, struct eio_parts *parts)
{
  struct helper *helper;

  if (!parts || !eio__parts_idle(parts) || !(helper = malloc(sizeof *helper)))
    return false;
  *helper = (struct helper){ .part.run = help, .pump = pump };
  atomic_fetch_add(&pump->holders, 1);
  if (eio__parts_give(parts, &helper->part))
    return true;
  atomic_fetch_sub(&pump->holders, 1);
  free(helper);
  return false;
}

/* Nobody uses the copy any more, but its own thread. */
static void stop(struct pump *pump)
{
  pthread_mutex_lock(&pump->reading);
  pump->copy = NULL;
  pthread_mutex_lock(&pump->writing);
  pthread_mutex_unlock(&pump->writing);
  pthread_mutex_unlock(&pump->reading);
}

/* -------------------------------------------------------------------------- */

/* As take_turn(), alone, and finds out whether it waits; less than a block says nothing of others. */
static bool take_first(struct pump *pump, char *buf, size_t size)
{
  struct eio_switches before, after;
  bool told;

  if (size < QUICK_BLOCK)
    return take_turn(pump, buf, size);
  told = eio_p_switches(&before);
  if (!take_turn(pump, buf, size))
    return false;
  eio__copy_waits(pump->copy, !told || !eio_p_switches(&after) || after.voluntary != before.voluntary);
  return true;
}

/* The own thread's turns, until all is done, or nothing waits and there is a better way. */
static int run(struct pump *pump)
{
  struct eio__copy *copy = pump->copy;
  bool helped = false, more = true, waits = false;
  char *buf = NULL;
  size_t size = 0;

  for (bool first = true; more && (first || waits || copy->way == BY_READ); first = false) {
    size_t want = copy->slow ? SLOW_BLOCK : QUICK_BLOCK;

    if (!helped && (uint64_t)(pump->end - pump->next) < want)
      want = (size_t)(pump->end - pump->next);
    else if (!helped && waits)
      helped = call_helper(pump, copy->parts);
    if (want > size) {
      free(buf);
      buf = block(size = want);
    }
    if (buf && helped)
      more = take_turn(pump, buf, size);
    else if (buf) {
      more = take_first(pump, buf, want);
      waits = copy->slow;
    } else
      more = false;
  }
  stop(pump);
  free(buf);
  errno = ENOMEM;
  return size && !buf ? -1 : 0;
}

int eio__pump(struct eio__copy *copy, off_t end)
{
  struct pump *pump = pump_create(copy, end);
  int result;

  if (!pump)
    return -1;
  result = run(pump);
  copy->tried = true;
  if (result == 0 && pump->error) {
    errno = pump->error;
    result = -1;
  } else if (result == 0)
    result = !pump->ended;
  pump_leave(pump);
  return result;
}
