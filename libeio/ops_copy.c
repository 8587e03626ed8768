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
#include "eio_parts.h"

#include <unistd.h>

enum { WRITE_ONLY = 0200 };

bool eio__copy_cancelled(const struct eio__copy *copy)
{
  errno = ECANCELED;
  return copy->req && eio__cancelled(copy->req);
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
      || eio__copy_cut(copy, 0) == 0)
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

  if (copy->out >= 0 && eio__copy_cut(copy, 0) == 0)
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
  eio__whole(copy->req, S_ISREG(copy->from.st_mode) ? (uint64_t)copy->from.st_size : 0);
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

static int64_t copy_file(struct eio__copy *copy)
{
  const eio_req *req = copy->req;
  int result, error;

  copy->in = eio_p_open(req->wd, req->path, O_RDONLY, 0);
  if (copy->in < 0)
    return -1;
  result = copy_from(copy);
  error = errno;
  close(copy->in);
  errno = error;
  return result;
}

int64_t eio_x_copy(eio_req *req)
{
  struct eio__copy copy = { .req = req, .wd = req->wd2, .name = req->path2, .out = -1, .ways = eio__copy_ways(),
                            .parts = eio__helped_begin(req) };

  return eio__helped_end(copy.parts, copy_file(&copy));
}
