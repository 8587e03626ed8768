/* ops_copydata.c - the data of a copy, the cheapest way that there is. */
#include "ops_copy.h"
#include "eio_pool.h"

#include <stdlib.h>
#include <unistd.h>

enum {
  CHUNK = 8 << 20, /* between two looks at the cancelled flag */
  FIRST = 256 << 10,
  PIECE = 64 << 10, /* that Linux copies at a time where the file system cannot: a pipe has no more room */
};

/* Between two steps. */
static bool shall_stop(struct eio__copy *copy)
{
  eio__copy_tell(copy);
  return eio__copy_cancelled(copy);
}

int eio__copy_cut(struct eio__copy *copy, off_t size)
{
  int result;

  EIO_RETRY(result, ftruncate(copy->out, size));
  if (result == 0)
    copy->length = size;
  return result;
}

/* Data ------------------------------------------------------------------- */

/* Sequential, until the source ends: for all that is not a file with a size. */
static int copy_stream(struct eio__copy *copy)
{
  char *buf = malloc(EIO__XFER_BLOCK);
  size_t written;
  ssize_t n = 1;
  int error;

  if (!buf)
    return -1;
  while (n > 0) {
    if (shall_stop(copy)) {
      n = -1;
      break;
    }
    EIO_RETRY(n, read(copy->in, buf, EIO__XFER_BLOCK));
    if (n > 0 && eio__write_all(copy->out, buf, (size_t)n, &written) < 0)
      n = -1;
    if (n > 0)
      copy->offs += n;
  }
  error = errno;
  free(buf);
  copy->length = copy->offs;
  errno = error;
  return (int)n;
}

/* True when a way of copying is refused for these files, or for now: the next
 * one may do. Real failures will come again there. */
static bool refused(int error)
{
  return error != ENOSPC && error != EDQUOT && error != EIO && error != ECANCELED
         && error != EFBIG;
}

struct eio__ways *eio__copy_ways(void)
{
  eio_ctx *ctx = eio__worker_ctx();

  return ctx ? &ctx->ways : NULL;
}

/* What is remembered of two file systems: two bits for the way, one for `slow`, the others say which. */
enum { WAY = 3, SLOW = 4 };

static _Atomic uint64_t *remembered(const struct eio__copy *copy, uint64_t *pair)
{
  uint64_t x = (uint64_t)copy->from.st_dev * UINT64_C(0x9e3779b97f4a7c15) + copy->to.st_dev;

  x = (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
  *pair = x & ~UINT64_C(7);
  return &copy->ways->pairs[x >> 61];
}

/* The bits for these two. */
static unsigned recall(const struct eio__copy *copy)
{
  uint64_t pair, known;

  if (!copy->ways)
    return 0;
  known = atomic_load_explicit(remembered(copy, &pair), memory_order_relaxed);
  return (known & ~UINT64_C(7)) == pair ? known & 7 : 0;
}

static void remember(const struct eio__copy *copy, unsigned way, bool slow)
{
  _Atomic uint64_t *place;
  uint64_t pair;

  if (!copy->ways)
    return;
  place = remembered(copy, &pair);
  atomic_store_explicit(place, pair | way | (slow ? SLOW : 0), memory_order_relaxed);
}

/* A way did not work; it may be all the same for other files. */
static void next_way(struct eio__copy *copy, int error)
{
  copy->way++;
  if (error == EXDEV || error == EOPNOTSUPP || error == ENOSYS || error == ENOTTY)
    remember(copy, copy->way, copy->slow);
}

void eio__copy_waits(struct eio__copy *copy, bool waits)
{
  if (copy->slow != waits)
    remember(copy, recall(copy) & WAY, waits);
  copy->slow = waits;
}

/* One step inside the kernel; sendfile writes at the position of the target, which is 0
 * at first. */
static ssize_t step_kernel(struct eio__copy *copy, size_t size)
{
  if (copy->way == BY_RANGE) {
    struct eio_p_range range = { copy->in, copy->out, copy->offs, copy->offs };
    ssize_t n = eio_p_copy_range(&range, size, 0);

    copy->offs += n > 0 ? n : 0;
    return n;
  }
  if (copy->offs && lseek(copy->out, copy->offs, SEEK_SET) < 0)
    return -1;
  return eio_p_sendfile(copy->out, copy->in, &copy->offs, size);
}

/* The same, and whether it waits for each of those pieces. A server that copies by itself is asked once. Where nobody tells, it does not. */
static ssize_t step_watched(struct eio__copy *copy, size_t size)
{
  struct eio_switches before, after;
  bool told = size >= FIRST && eio_p_switches(&before);
  ssize_t n = step_kernel(copy, size);
  int error = errno;

  if (n >= FIRST && told && eio_p_switches(&after))
    eio__copy_waits(copy, (after.voluntary - before.voluntary) * PIECE >= n);
  copy->tried |= n > 0;
  errno = error;
  return n;
}

/* Copies up to `end`; 1 when done, 0 when the source ended before. Some kernels report the
 * end of files that go on (5.3 to 5.18 for some file systems), so that only read() is
 * believed there. Steps are small until it is known whether they wait; before sendfile, it is for the
 * pump to find out. */
static int copy_segment(struct eio__copy *copy, off_t end)
{
  while (copy->offs < end) {
    off_t left = end - copy->offs, most = copy->tried ? CHUNK : FIRST;
    ssize_t n;

    if (shall_stop(copy))
      return -1;
    if (copy->way == BY_CLONE) /* that was for the whole of it */
      copy->way++;
    /* A single piece has nothing to overlap with, and one call is less than two. */
    if ((copy->slow && left > PIECE) || copy->way == BY_READ || (copy->way == BY_SENDFILE && !copy->tried)) {
      n = eio__pump(copy, end);
      if (n <= 0)
        return (int)n;
      continue;
    }
    n = step_watched(copy, left < most ? (size_t)left : (size_t)most);
    if (n < 0 && !refused(errno))
      return -1;
    if (n <= 0)
      next_way(copy, n < 0 ? errno : 0);
    else
      eio__copy_count(copy, n);
  }
  return 1;
}

/* The next data at or after copy->offs: [*data, *end); both are `size` when there
 * is nothing but a hole. */
static void find_data(const struct eio__copy *copy, off_t size, off_t *data, off_t *end)
{
  off_t found, hole = size;

  *data = copy->offs;
  *end = size;
  if (!copy->sparse)
    return;
  found = eio_p_find_data(copy->in, copy->offs, &hole);
  if (found < 0 && errno != ENXIO)
    return; /* unknown: all may be data */
  *data = found < 0 || found > size ? size : found;
  if (found >= 0 && hole < size)
    *end = hole;
}

/* Up to `size`, or to where the source ends. */
static int copy_until(struct eio__copy *copy, off_t size)
{
  int more = 1;

  while (more > 0 && copy->offs < size) {
    off_t data, end;

    find_data(copy, size, &data, &end);
    copy->offs = data;
    if (data == end)
      continue;
    more = copy_segment(copy, end);
    if (copy->offs > copy->length)
      copy->length = copy->offs;
  }
  return more;
}

/* Shares all blocks of the source, if that can be. Those of an old target behind the
 * end of the source stay, wherever that was at this moment: it is done again over
 * nothing. */
static void copy_clone(struct eio__copy *copy)
{
  struct stat st;

  if (eio_p_clone(copy->out, copy->in) < 0) {
    next_way(copy, errno);
    return;
  }
  copy->way = BY_RANGE; /* for the rest */
  if ((copy->length && (eio__copy_cut(copy, 0) < 0 || eio_p_clone(copy->out, copy->in) < 0))
      || fstat(copy->out, &st) < 0)
    return;
  copy->offs = copy->length = st.st_size;
}

/* A file that has a size, without its holes. As long as something comes it goes
 * on. Files like those of /sys end before their size. */
static int copy_file(struct eio__copy *copy)
{
  struct stat st;
  off_t begin;

  copy->way = recall(copy) & WAY;
  copy->slow = recall(copy) & SLOW;
  if (copy->way == BY_CLONE && !eio__copy_cancelled(copy))
    copy_clone(copy);
  do {
    begin = copy->offs;
    if (copy_until(copy, copy->from.st_size) < 0)
      return -1;
    if (copy->once)
      return copy->length == copy->offs ? 0 : eio__copy_cut(copy, copy->offs);
    if (fstat(copy->in, &st) < 0)
      return -1;
    copy->from.st_size = st.st_size;
  } while (st.st_size > copy->offs && copy->offs > begin);
  if (st.st_size < copy->offs) /* it was cut meanwhile */
    copy->offs = st.st_size;
  return copy->length == copy->offs ? 0 : eio__copy_cut(copy, copy->offs);
}

int eio__copy_data(struct eio__copy *copy)
{
  bool file = S_ISREG(copy->from.st_mode) && S_ISREG(copy->to.st_mode);
  int result = file && copy->from.st_size > 0 ? copy_file(copy) : copy_stream(copy), error = errno;

  eio__copy_tell(copy);
  errno = error;
  return result;
}

int eio__copy_rest(struct eio__copy *copy)
{
  struct stat st;

  copy->req = NULL;
  if (fstat(copy->in, &st) < 0 || st.st_size <= copy->offs)
    return 0; /* some file systems know nothing of a file without a name */
  copy->from = st;
  if (copy_until(copy, st.st_size) < 0)
    return -1;
  return copy->length == copy->offs || eio__copy_cut(copy, copy->offs) == 0 ? 1 : -1;
}

