/* ops_copy.c - copies or moves a file in one request.
 *
 * The data go the cheapest way that there is: shared blocks; a copy inside the
 * kernel, which may be one on the server of a network file system; sendfile;
 * read and write. Holes stay holes. A target that exists is written over and cut
 * to length at the end, as its memory and blocks can be used again. While data arrive the target has mode 0200;
 * it gets its final mode last, so that nobody else reads a part of a copy, or
 * one that its final mode keeps from him. A target whose data did not all arrive is removed. */
#include "ops_xfer.h"

#include <stdlib.h>
#include <unistd.h>

enum {
  WRITE_ONLY = 0200,
  CHUNK = 8 << 20, /* between two looks at the cancelled flag */
};

struct copy {
  eio_req *req;
  int in, out;
  struct stat from, to;
  enum { BY_RANGE, BY_SENDFILE, BY_READ } way; /* the first that may work */
};

static bool cancelled(const struct copy *copy)
{
  errno = ECANCELED;
  return eio__cancelled(copy->req);
}

static int cut(const struct copy *copy, off_t size)
{
  int result;

  EIO_RETRY(result, ftruncate(copy->out, size));
  return result;
}

/* Data ------------------------------------------------------------------- */

/* Sequential, until the source ends: for all that is not a file with a size. */
static int copy_stream(struct copy *copy)
{
  char *buf = malloc(EIO__XFER_BLOCK);
  size_t written;
  ssize_t n = 1;
  int error;

  if (!buf)
    return -1;
  while (n > 0) {
    EIO_RETRY(n, read(copy->in, buf, EIO__XFER_BLOCK));
    if (n > 0 && (cancelled(copy) || eio__write_all(copy->out, buf, (size_t)n, &written) < 0))
      n = -1;
  }
  error = errno;
  free(buf);
  errno = error;
  return (int)n;
}

/* One step of at most `size` octets, by read and write. */
static ssize_t step_read(struct copy *copy, char *buf, off_t *offs, uint64_t size)
{
  size_t want = size < EIO__XFER_BLOCK ? (size_t)size : EIO__XFER_BLOCK;
  ssize_t n, done = 0;

  EIO_RETRY(n, pread(copy->in, buf, want, *offs));
  while (done < n) {
    ssize_t m;

    EIO_RETRY(m, pwrite(copy->out, buf + done, (size_t)(n - done), *offs));
    if (m == 0)
      errno = ENOSPC; /* as eio__write_all() */
    if (m <= 0)
      return -1;
    done += m;
    *offs += m;
  }
  return n;
}

/* Copies up to `end`; 1 when done, 0 when the source ended before. */
static int copy_read(struct copy *copy, off_t *offs, off_t end)
{
  char *buf = malloc(EIO__XFER_BLOCK);
  ssize_t n = 1;
  int error;

  if (!buf)
    return -1;
  while (n > 0 && *offs < end) {
    n = cancelled(copy) ? -1 : step_read(copy, buf, offs, (uint64_t)(end - *offs));
  }
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

/* One step inside the kernel; sendfile writes at the position of the target. */
static ssize_t step_kernel(struct copy *copy, off_t *offs, size_t size)
{
  if (copy->way == BY_RANGE)
    return eio_p_copy_range(copy->in, copy->out, offs, size);
  if (lseek(copy->out, *offs, SEEK_SET) < 0)
    return -1;
  return eio_p_sendfile(copy->out, copy->in, offs, size);
}

/* As copy_read(). Some kernels report the end of files that go on (5.3 to 5.18
 * for some file systems), so that only read() is believed there. */
static int copy_segment(struct copy *copy, off_t *offs, off_t end)
{
  while (*offs < end) {
    off_t left = end - *offs;
    ssize_t n;

    if (cancelled(copy))
      return -1;
    if (copy->way == BY_READ)
      return copy_read(copy, offs, end);
    n = step_kernel(copy, offs, left < CHUNK ? (size_t)left : CHUNK);
    if (n < 0 && !refused(errno))
      return -1;
    if (n <= 0)
      copy->way++;
  }
  return 1;
}

static bool is_sparse(const struct stat *st)
{
  return st->st_blocks < st->st_size / 512;
}

/* The next data at or after offs: [*data, *end). False when there are none. */
static bool find_data(const struct copy *copy, off_t offs, off_t *data, off_t *end)
{
  off_t size = copy->from.st_size, found, hole = size;

  *data = offs;
  *end = size;
  if (!is_sparse(&copy->from))
    return true;
  found = eio_p_find_data(copy->in, offs, &hole);
  if (found < 0)
    return errno != ENXIO; /* unknown: all may be data */
  *data = found;
  if (hole < size)
    *end = hole;
  return found < size;
}

/* A file of a known size, without its holes. What was appended meanwhile is
 * not copied; if it shrank, what is there is. */
static int copy_file(struct copy *copy)
{
  off_t size = copy->from.st_size, offs = 0, data, end;

  if (eio_p_clone(copy->out, copy->in) == 0)
    return copy->to.st_size > size ? cut(copy, size) : 0;
  while (offs < size && find_data(copy, offs, &data, &end)) {
    int more;

    offs = data;
    more = copy_segment(copy, &offs, end);
    if (more <= 0)
      return more < 0 ? -1 : cut(copy, offs);
  }
  return offs < size || copy->to.st_size > size ? cut(copy, size) : 0;
}

/* Target ----------------------------------------------------------------- */

/* The source and target are open; the target is untouched. */
static int check(struct copy *copy)
{
  if (fstat(copy->out, &copy->to) < 0)
    return -1;
  if (copy->from.st_dev == copy->to.st_dev && copy->from.st_ino == copy->to.st_ino) {
    errno = EINVAL;
    return -1;
  }
  return 0;
}

/* Shuts the target to readers, and empties it unless all of it will be written. */
static int prepare(struct copy *copy, bool all)
{
  mode_t mode = copy->to.st_mode & 07777;
  int error;

  if (mode & ~(mode_t)WRITE_ONLY && fchmod(copy->out, WRITE_ONLY) < 0)
    errno = 0; /* not ours: it keeps its mode in the end as well */
  if (all || copy->to.st_size == 0)
    return 0;
  if (cut(copy, 0) == 0) {
    copy->to.st_size = 0;
    return 0;
  }
  error = errno;
  fchmod(copy->out, mode);
  errno = error;
  return -1;
}

/* Times, owner, mode. Who could not be given the file must not get the
 * privileges that came with it. */
static void finish(struct copy *copy)
{
  const struct stat *from = &copy->from;
  mode_t mode = from->st_mode & 07777;
  uid_t uid = copy->to.st_uid;
  gid_t gid = copy->to.st_gid;
  struct timespec times[2];

  eio_p_times(from, times);
  if (eio_p_futime(copy->out, times) < 0 && errno == ENOSYS)
    eio_p_utime(copy->req->wd2, copy->req->path2, times);
  if (uid != from->st_uid || gid != from->st_gid) {
    if (fchown(copy->out, from->st_uid, from->st_gid) == 0) {
      uid = from->st_uid;
      gid = from->st_gid;
    } else if (fchown(copy->out, (uid_t)-1, from->st_gid) == 0)
      gid = from->st_gid;
  }
  if (uid != from->st_uid)
    mode &= ~(mode_t)S_ISUID;
  if (gid != from->st_gid)
    mode &= ~(mode_t)S_ISGID;
  fchmod(copy->out, mode);
}

/* The name is removed if it still leads straight to the target; else (it is a
 * link, or somebody was faster) the target is emptied. */
static void discard(const struct copy *copy)
{
  const eio_req *req = copy->req;
  struct stat st;

  if (eio_p_stat(req->wd2, req->path2, &st, false) == 0 && st.st_dev == copy->to.st_dev
      && st.st_ino == copy->to.st_ino && eio_p_unlink(req->wd2, req->path2) == 0)
    return;
  if (cut(copy, 0) == 0)
    fchmod(copy->out, copy->to.st_mode & 07777);
}

/* Closes the target; disks tell here that they are full, at the latest. */
static int shut(struct copy *copy)
{
  int out = copy->out;

  copy->out = -1;
  return close(out) < 0 && (errno == EIO || errno == ENOSPC || errno == EDQUOT) ? -1 : 0;
}

/* Into an open target. */
static int copy_into(struct copy *copy)
{
  bool file = S_ISREG(copy->to.st_mode);
  bool whole = file && S_ISREG(copy->from.st_mode) && copy->from.st_size > 0;

  if (file && prepare(copy, whole && !is_sparse(&copy->from)) < 0)
    return -1;
  if ((whole ? copy_file(copy) : copy_stream(copy)) < 0) {
    int error = errno;

    if (file)
      discard(copy);
    errno = error;
    return -1;
  }
  if (file)
    finish(copy);
  return 0;
}

/* From an open source. */
static int copy_from(struct copy *copy)
{
  const eio_req *req = copy->req;
  int result, error;

  if (fstat(copy->in, &copy->from) < 0)
    return -1;
  if (S_ISDIR(copy->from.st_mode)) {
    errno = EISDIR;
    return -1;
  }
  copy->out = eio_p_open(req->wd2, req->path2, O_WRONLY | O_CREAT | O_NOCTTY | O_CLOEXEC,
                         WRITE_ONLY);
  if (copy->out < 0)
    return -1;
  result = check(copy) < 0 ? -1 : copy_into(copy);
  if (result == 0) {
    if (shut(copy) == 0)
      return 0;
    error = errno;
    if (S_ISREG(copy->to.st_mode))
      discard(copy);
    errno = error;
    return -1;
  }
  error = errno;
  close(copy->out);
  errno = error;
  return -1;
}

int64_t eio_x_copy(eio_req *req)
{
  struct copy copy = { .req = req, .out = -1, .way = BY_RANGE };
  int result, error;

  copy.in = eio_p_open(req->wd, req->path, O_RDONLY | O_NOCTTY | O_CLOEXEC, 0);
  if (copy.in < 0)
    return -1;
  result = copy_from(&copy);
  error = errno;
  close(copy.in);
  errno = error;
  return result;
}

/* What cannot be renamed as it goes to another file system is copied, and removed
 * when all of it is there, unless nobody wants that any more. */
int64_t eio_x_move(eio_req *req)
{
  if (eio_x_rename(req) == 0)
    return 0;
  if (errno != EXDEV || eio_x_copy(req) < 0 || eio__cancelled(req))
    return -1;
  return eio_p_unlink(req->wd, req->path);
}
