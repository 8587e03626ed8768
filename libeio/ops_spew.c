/* ops_spew.c - writes a whole file.
 *
 * Either into the file that has the name, as the shell's > and >> do. Or into a new one
 * beside it, by the descriptor of their directory, which gets the name when it is whole:
 * then the name leads to the old file or to all of the new one at any time, whenever
 * this ends, by an error or a kill. The new one gets what the old one lets whom do. */
#include "ops_copy.h"
#include "ops_whole.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  CHUNK = 8 << 20, /* between two looks at the cancelled flag */
  MAX_LINKS = 40,  /* in a row, as the kernel follows */
  MAX_LOOKS = 100, /* at what is replaced again and again */
  NO_REPLACE = 1,  /* RENAME_NOREPLACE */
  ALL = EIO_SPEW_APPEND | EIO_SPEW_ATOMIC | EIO_SPEW_NOFOLLOW | EIO_SPEW_NOREPLACE | EIO_SPEW_MKPATH
        | EIO_SPEW_SYNC | EIO_SPEW_DURABLE,
};

struct spew {
  const eio_req *req;
  eio_wd *dir;           /* where the file is; */
  char *name;            /* in there */
  char *temp;            /* what it is called while it is written */
  struct eio__copy copy; /* from the file that is replaced to the new one */
  bool keep;             /* there is one: owner, mode and ACL are kept */
};

static bool wants(const struct spew *spew, int flag)
{
  return (spew->req->arg1 & flag) != 0;
}

static mode_t mode_of(const eio_req *req)
{
  return req->arg2 < 0 ? 0666 : (mode_t)req->arg2;
}

/* Directory and name ------------------------------------------------------ */

static void leave(struct spew *spew)
{
  eio_wd_unref(spew->dir);
  free(spew->name);
  spew->dir = NULL;
  spew->name = NULL;
}

/* One that may not be read cannot be synced, but searched. */
static int open_directory(const eio_wd *base, const char *path)
{
  int fd = eio_p_open(base, path, O_RDONLY | O_DIRECTORY, 0);

  if (fd < 0 && errno == EACCES && EIO_O_PATH != 0)
    fd = eio_p_open(base, path, O_RDONLY | O_DIRECTORY | EIO_O_PATH, 0);
  return fd;
}

/* Opens the directory of a path, and takes the name apart. */
static int enter(struct spew *spew, const eio_wd *base, const char *path)
{
  const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
  char *above = slash ? strndup(path, (size_t)(last - path)) : strdup("."), *name = strdup(last);
  eio_wd *dir = NULL;
  int fd = -1, error;

  errno = !*path ? ENOENT : !above || !name ? ENOMEM : EISDIR;
  if (*last && strcmp(last, ".") && strcmp(last, "..") && above && name) {
    fd = open_directory(base, above);
    dir = fd < 0 ? NULL : eio_p_wd(fd, base, above);
  }
  error = errno;
  free(above);
  leave(spew);
  spew->dir = dir;
  spew->name = name;
  errno = error;
  return dir ? 0 : -1;
}

/* As the kernel would: when the name is a link's, to where that leads. */
static int follow_links(struct spew *spew)
{
  char text[PATH_MAX];

  for (int n = 0;; n++) {
    ssize_t size = eio_p_readlink(spew->dir, spew->name, text, sizeof text);

    if (size < 0)
      return errno == EINVAL || errno == ENOENT ? 0 : -1;
    errno = n == MAX_LINKS ? ELOOP : ENAMETOOLONG;
    if (n == MAX_LINKS || size == (ssize_t)sizeof text)
      return -1;
    text[size] = 0;
    if (enter(spew, spew->dir, text) < 0)
      return -1;
  }
}

static int find(struct spew *spew)
{
  if (enter(spew, spew->req->wd, spew->req->path) < 0)
    return -1;
  return wants(spew, EIO_SPEW_NOFOLLOW | EIO_SPEW_NOREPLACE) ? 0 : follow_links(spew);
}

/* Data -------------------------------------------------------------------- */

static int write_data(const struct spew *spew, int fd)
{
  const eio_req *req = spew->req;
  const char *data = req->buf;
  uint64_t left = req->size;
  size_t written;

  while (left) {
    size_t size = left < CHUNK ? (size_t)left : CHUNK;

    if (eio__copy_cancelled(&spew->copy) || eio__write_all(fd, data, size, &written) < 0)
      return -1;
    data += size;
    left -= size;
  }
  return 0;
}

/* File systems write what several wait for at once, a commit of the journal. So the more wait at a
 * time, the fewer such there are; others prepare theirs meanwhile. */
static int sync_file(const struct spew *spew, int fd)
{
  int result;

  if (!wants(spew, EIO_SPEW_SYNC | EIO_SPEW_DURABLE))
    return 0;
  eio__step_aside(spew->req);
  EIO_RETRY(result, fsync(fd));
  return result;
}

static int sync_directory(const struct spew *spew)
{
  int fd, result, error;

  if (!wants(spew, EIO_SPEW_DURABLE))
    return 0;
  fd = eio_p_open(spew->dir, ".", O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0)
    return -1;
  EIO_RETRY(result, fsync(fd));
  if (result < 0 && errno == EINVAL) /* file systems that have nothing to write there */
    result = 0;
  error = errno;
  close(fd);
  errno = error;
  return result;
}

/* File systems tell here of what they could not write, at the latest. */
static int shut(int fd, int result)
{
  int error = errno;

  if (close(fd) < 0 && result == 0 && errno != EINTR)
    return -1;
  errno = error;
  return result;
}

/* Into the file that is there --------------------------------------------- */

static int write_in_place(struct spew *spew)
{
  int flags = O_WRONLY | O_CREAT | (wants(spew, EIO_SPEW_APPEND) ? O_APPEND : O_TRUNC)
              | (wants(spew, EIO_SPEW_NOFOLLOW) ? O_NOFOLLOW : 0);
  int fd = eio_p_open(spew->req->wd, spew->req->path, flags, mode_of(spew->req));

  if (fd < 0 || shut(fd, write_data(spew, fd) < 0 ? -1 : sync_file(spew, fd)) < 0)
    return -1;
  if (!wants(spew, EIO_SPEW_DURABLE))
    return 0;
  return find(spew) < 0 ? -1 : sync_directory(spew);
}

/* In its place ------------------------------------------------------------- */

/* Other things than files are not replaced. A link that is there only now has come
 * meanwhile. */
static int look(struct spew *spew)
{
  struct stat *from = &spew->copy.from;

  if (eio_p_stat(spew->dir, spew->name, from, false) < 0)
    return errno == ENOENT ? 0 : -1;
  spew->keep = S_ISREG(from->st_mode);
  if (!wants(spew, EIO_SPEW_NOREPLACE) && (spew->keep || (S_ISLNK(from->st_mode) && wants(spew, EIO_SPEW_NOFOLLOW))))
    return 0;
  errno = wants(spew, EIO_SPEW_NOREPLACE) ? EEXIST : S_ISDIR(from->st_mode) ? EISDIR : S_ISLNK(from->st_mode) ? ELOOP : EINVAL;
  return -1;
}

/* Nobody needs to read a part of what replaces a file that he might not read. */
static int try_file(void *data, const char *name)
{
  struct spew *spew = data;
  mode_t mode = spew->keep ? 0200 : mode_of(spew->req);

  spew->copy.out = eio_p_open(spew->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  return spew->copy.out < 0 ? -1 : 0;
}

/* All but the name. A program with the rights of its owner loses them as it does when
 * it is written to. */
static int fill(struct spew *spew)
{
  struct eio__copy *copy = &spew->copy;

  if (write_data(spew, copy->out) < 0 || fstat(copy->out, &copy->to) < 0)
    return -1;
  if (spew->keep) {
    copy->from.st_mode &= ~(mode_t)(S_ISUID | S_ISGID);
    eio__keep_access(copy);
  }
  return sync_file(spew, copy->out);
}

/* Where the kernel or the file system cannot do it at once, the file has two names for
 * a moment. */
static int give_name(const struct spew *spew)
{
  const eio_wd *dir = spew->dir;

  if (eio__copy_cancelled(&spew->copy))
    return -1;
  if (!wants(spew, EIO_SPEW_NOREPLACE))
    return eio_p_rename(dir, spew->temp, dir, spew->name, 0);
  if (eio_p_rename(dir, spew->temp, dir, spew->name, NO_REPLACE) == 0)
    return 0;
  if ((errno != EINVAL && errno != ENOSYS) || eio_p_link(dir, spew->temp, dir, spew->name, 0) < 0)
    return -1;
  return eio_p_unlink(dir, spew->temp);
}

static int replace(struct spew *spew)
{
  int result, error;

  spew->temp = eio__make_beside(spew->name, try_file, spew);
  if (!spew->temp)
    return -1;
  result = shut(spew->copy.out, fill(spew));
  if (result == 0)
    result = give_name(spew);
  if (result == 0)
    return sync_directory(spew);
  error = errno;
  eio_p_unlink(spew->dir, spew->temp);
  errno = error;
  return -1;
}

static void shut_old(struct spew *spew)
{
  int error = errno;

  if (spew->copy.in >= 0)
    close(spew->copy.in);
  spew->copy.in = -1;
  errno = error;
}

/* An old file that cannot be opened may have an ACL of which nobody knows. */
static int look_inside(struct spew *spew)
{
  struct eio__copy *copy = &spew->copy;

  if (look(spew) < 0)
    return -1;
  if (spew->keep)
    copy->in = eio_p_open(spew->dir, spew->name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0);
  return copy->in >= 0 ? fstat(copy->in, &copy->from) : 0;
}

/* File systems with a server (FUSE, NFS) may know nothing of a file that somebody has replaced
 * since its name was looked up. Then there is another one, or none. */
static int look_at_old(struct spew *spew)
{
  for (int n = 0;; n++) {
    spew->keep = false;
    if (look_inside(spew) == 0)
      return 0;
    shut_old(spew);
    if (errno != ESTALE || n == MAX_LOOKS)
      return -1;
  }
}

static int write_beside(struct spew *spew)
{
  int result;

  if (find(spew) < 0 || look_at_old(spew) < 0)
    return -1;
  result = replace(spew);
  shut_old(spew);
  return result;
}

/* -------------------------------------------------------------------------- */

static int write_it(struct spew *spew)
{
  int result = wants(spew, EIO_SPEW_ATOMIC | EIO_SPEW_NOREPLACE) ? write_beside(spew) : write_in_place(spew);
  int error = errno;

  leave(spew);
  free(spew->temp);
  spew->temp = NULL;
  errno = error;
  return result;
}

/* The directories that are missing. */
static int make_room(const struct spew *spew)
{
  const eio_req *req = spew->req;
  const char *slash = strrchr(req->path, '/');
  char *above;
  int result, error;

  errno = ENOENT;
  if (!slash || slash == req->path || !(above = strndup(req->path, (size_t)(slash - req->path))))
    return -1;
  result = eio__make_path(req, req->wd, above, 0777, wants(spew, EIO_SPEW_DURABLE));
  error = errno;
  free(above);
  errno = error;
  return result;
}

int64_t eio_x_spew(eio_req *req)
{
  struct spew spew = { .req = req, .copy = { .req = req, .in = -1, .out = -1 } };
  int result;

  errno = EINVAL;
  if (req->arg1 & ~ALL || (wants(&spew, EIO_SPEW_APPEND) && wants(&spew, EIO_SPEW_ATOMIC | EIO_SPEW_NOREPLACE)))
    return -1;
  result = write_it(&spew);
  if (result < 0 && errno == ENOENT && wants(&spew, EIO_SPEW_MKPATH) && make_room(&spew) == 0)
    result = write_it(&spew);
  return result;
}
