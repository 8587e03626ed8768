/* ops_copy.c - copies a file in one request.
 *
 * The data go the cheapest way that there is: shared blocks; a copy inside the
 * kernel, which may be one on the server of a network file system; sendfile;
 * read and write. Holes stay holes. A target that exists is written over and cut
 * to length at the end, as its memory and blocks can be used again. While data
 * arrive the target has mode 0200; it gets its final mode last, so that nobody else
 * reads a part of a copy, or one that its final mode keeps from him. A target whose
 * data did not all arrive is removed.
 *
 * A source that changes meanwhile: what is appended is copied, what is cut off is
 * cut off, and of what is overwritten either may come. Nothing else is in the
 * target, least of all what was in it before. */
#include "ops_copy.h"
#include "eio_pool.h"

#include <stdlib.h>
#include <unistd.h>

enum {
  WRITE_ONLY = 0200,
  CHUNK = 8 << 20, /* between two looks at the cancelled flag */
};

bool eio__copy_cancelled(const struct eio__copy *copy)
{
  errno = ECANCELED;
  return copy->req && eio__cancelled(copy->req);
}

static int cut(struct eio__copy *copy, off_t size)
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
    if (eio__copy_cancelled(copy)) {
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

/* One step of at most `size` octets, by read and write. */
static ssize_t step_read(struct eio__copy *copy, char *buf, uint64_t size)
{
  size_t want = size < EIO__XFER_BLOCK ? (size_t)size : EIO__XFER_BLOCK;
  ssize_t n, done = 0;

  EIO_RETRY(n, pread(copy->in, buf, want, copy->offs));
  while (done < n) {
    ssize_t m;

    EIO_RETRY(m, pwrite(copy->out, buf + done, (size_t)(n - done), copy->offs));
    if (m == 0)
      errno = ENOSPC; /* as eio__write_all() */
    if (m <= 0)
      return -1;
    done += m;
    copy->offs += m;
  }
  return n;
}

/* Copies up to `end`; 1 when done, 0 when the source ended before. */
static int copy_read(struct eio__copy *copy, off_t end)
{
  char *buf = malloc(EIO__XFER_BLOCK);
  ssize_t n = 1;
  int error;

  if (!buf)
    return -1;
  while (n > 0 && copy->offs < end)
    n = eio__copy_cancelled(copy) ? -1 : step_read(copy, buf, (uint64_t)(end - copy->offs));
  error = errno;
  free(buf);
  errno = error;
  return n < 0 ? -1 : n > 0;
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

/* What is remembered of two file systems: two bits for the way, the others say which. */
static _Atomic uint64_t *remembered(const struct eio__copy *copy, uint64_t *pair)
{
  uint64_t x = (uint64_t)copy->from.st_dev * UINT64_C(0x9e3779b97f4a7c15) + copy->to.st_dev;

  x = (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
  *pair = x & ~UINT64_C(3);
  return &copy->ways->pairs[x >> 61];
}

static void choose_way(struct eio__copy *copy)
{
  uint64_t pair, known;

  if (!copy->ways)
    return;
  known = atomic_load_explicit(remembered(copy, &pair), memory_order_relaxed);
  if ((known & ~UINT64_C(3)) == pair)
    copy->way = known & 3;
}

/* A way did not work; it may be all the same for other files. */
static void next_way(struct eio__copy *copy, int error)
{
  _Atomic uint64_t *place;
  uint64_t pair;

  copy->way++;
  if (!copy->ways || (error != EXDEV && error != EOPNOTSUPP && error != ENOSYS && error != ENOTTY))
    return;
  place = remembered(copy, &pair);
  atomic_store_explicit(place, pair | copy->way, memory_order_relaxed);
}

/* One step inside the kernel; sendfile writes at the position of the target, which is 0
 * at first. */
static ssize_t step_kernel(struct eio__copy *copy, size_t size)
{
  if (copy->way == BY_RANGE)
    return eio_p_copy_range(copy->in, copy->out, &copy->offs, size);
  if (copy->offs && lseek(copy->out, copy->offs, SEEK_SET) < 0)
    return -1;
  return eio_p_sendfile(copy->out, copy->in, &copy->offs, size);
}

/* As copy_read(). Some kernels report the end of files that go on (5.3 to 5.18
 * for some file systems), so that only read() is believed there. */
static int copy_segment(struct eio__copy *copy, off_t end)
{
  while (copy->offs < end) {
    off_t left = end - copy->offs;
    ssize_t n;

    if (eio__copy_cancelled(copy))
      return -1;
    if (copy->way == BY_CLONE) /* that was for the whole of it */
      copy->way++;
    if (copy->way == BY_READ)
      return copy_read(copy, end);
    n = step_kernel(copy, left < CHUNK ? (size_t)left : CHUNK);
    if (n < 0 && !refused(errno))
      return -1;
    if (n <= 0)
      next_way(copy, n < 0 ? errno : 0);
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
  if ((copy->length && (cut(copy, 0) < 0 || eio_p_clone(copy->out, copy->in) < 0))
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

  choose_way(copy);
  if (copy->way == BY_CLONE && !eio__copy_cancelled(copy))
    copy_clone(copy);
  do {
    begin = copy->offs;
    if (copy_until(copy, copy->from.st_size) < 0)
      return -1;
    if (copy->once)
      return copy->length == copy->offs ? 0 : cut(copy, copy->offs);
    if (fstat(copy->in, &st) < 0)
      return -1;
    copy->from.st_size = st.st_size;
  } while (st.st_size > copy->offs && copy->offs > begin);
  if (st.st_size < copy->offs) /* it was cut meanwhile */
    copy->offs = st.st_size;
  return copy->length == copy->offs ? 0 : cut(copy, copy->offs);
}

int eio__copy_data(struct eio__copy *copy)
{
  bool file = S_ISREG(copy->from.st_mode) && S_ISREG(copy->to.st_mode);

  return file && copy->from.st_size > 0 ? copy_file(copy) : copy_stream(copy);
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
  return copy->length == copy->offs || cut(copy, copy->offs) == 0 ? 1 : -1;
}

/* Target ----------------------------------------------------------------- */

/* One that is there may be the source. Overlay file systems give a file with
 * several names another inode when it is opened for writing, so the name is asked
 * before, too. */
static int open_target(struct eio__copy *copy)
{
  struct stat st;

  copy->out = eio_p_open(copy->wd, copy->name, O_WRONLY | O_CREAT | O_EXCL, WRITE_ONLY);
  if (copy->out < 0 && errno == EEXIST) {
    if (eio_p_stat(copy->wd, copy->name, &st, true) == 0) {
      errno = EINVAL;
      if (eio__same_file(&st, &copy->from))
        return -1;
    } else if (errno != ENOENT) /* that: a link to nothing */
      return -1;
    copy->out = eio_p_open(copy->wd, copy->name, O_WRONLY | O_CREAT, WRITE_ONLY);
  }
  return copy->out < 0 ? -1 : 0;
}

/* The source and target are open; the target is untouched. */
static int check(struct eio__copy *copy)
{
  if (fstat(copy->out, &copy->to) < 0)
    return -1;
  if (eio__same_file(&copy->from, &copy->to)) {
    errno = EINVAL;
    return -1;
  }
  copy->length = copy->to.st_size;
  return 0;
}

/* Shuts the target to readers, and empties it unless all of it will be written. */
static int prepare(struct eio__copy *copy)
{
  mode_t mode = copy->to.st_mode & 07777;
  const struct stat *from = &copy->from;
  int error;

  if (mode & ~(mode_t)WRITE_ONLY && fchmod(copy->out, WRITE_ONLY) < 0)
    errno = 0; /* not ours: it keeps its mode in the end as well */
  copy->sparse = eio__is_sparse(from);
  if (copy->length == 0 || (S_ISREG(from->st_mode) && from->st_size > 0 && !copy->sparse)
      || cut(copy, 0) == 0)
    return 0;
  error = errno;
  fchmod(copy->out, mode);
  errno = error;
  return -1;
}

/* Leaves nothing of a copy that failed: the target is emptied, as it may have other
 * names, and removed if its name still leads straight to it. Keeps errno. */
static void discard(struct eio__copy *copy)
{
  struct stat st;
  int error = errno;

  if (copy->out >= 0 && cut(copy, 0) == 0)
    fchmod(copy->out, copy->to.st_mode & 07777);
  if (eio_p_stat(copy->wd, copy->name, &st, false) == 0 && eio__same_file(&st, &copy->to))
    eio_p_unlink(copy->wd, copy->name);
  errno = error;
}

/* Each close of a descriptor tells of what could not be written. */
int eio__copy_shut(struct eio__copy *copy)
{
  int out = copy->out;

  copy->out = fcntl(out, F_DUPFD_CLOEXEC, 0);
  return close(out) < 0 && (errno == EIO || errno == ENOSPC || errno == EDQUOT) ? -1 : 0;
}

/* Into an open target. */
static int copy_into(struct eio__copy *copy)
{
  if (!S_ISREG(copy->to.st_mode))
    return eio__copy_data(copy);
  if (prepare(copy) < 0)
    return -1;
  if (eio__copy_data(copy) == 0) {
    eio__keep(copy, false);
    if (eio__copy_shut(copy) == 0)
      return 0;
  }
  discard(copy);
  return -1;
}

/* From an open source. */
static int copy_from(struct eio__copy *copy)
{
  int result, error;

  if (fstat(copy->in, &copy->from) < 0)
    return -1;
  if (S_ISDIR(copy->from.st_mode)) {
    errno = EISDIR;
    return -1;
  }
  if (open_target(copy) < 0)
    return -1;
  result = check(copy) < 0 ? -1 : copy_into(copy);
  error = errno;
  if (copy->out >= 0)
    close(copy->out);
  errno = error;
  return result;
}

int64_t eio_x_copy(eio_req *req)
{
  struct eio__copy copy = { .req = req, .wd = req->wd2, .name = req->path2, .out = -1, .ways = eio__copy_ways() };
  int result, error;

  copy.in = eio_p_open(req->wd, req->path, O_RDONLY, 0);
  if (copy.in < 0)
    return -1;
  result = copy_from(&copy);
  error = errno;
  close(copy.in);
  errno = error;
  return result;
}
