/* ops_path.c - names: making, changing, resolving, removing them. */
#include "ops_whole.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int64_t eio_x_unlink(eio_req *req)
{
  return eio_p_unlink(req->wd, req->path);
}

int64_t eio_x_mknod(eio_req *req)
{
  return eio_p_mknod(req->wd, req->path, (mode_t)req->arg2, (dev_t)req->offs);
}

int64_t eio_x_link(eio_req *req)
{
  return eio_p_link(req->wd, req->path, req->wd2, req->path2, 0);
}

int64_t eio_x_linkat(eio_req *req)
{
  return req->fd >= 0 ? eio_p_link_fd(req->fd, req->wd2, req->path2, req->arg1)
                      : eio_p_link(req->wd, req->path, req->wd2, req->path2, req->arg1);
}

int64_t eio_x_symlink(eio_req *req)
{
  return eio_p_symlink(req->path, req->wd2, req->path2);
}

int64_t eio_x_mkdir(eio_req *req)
{
  return eio_p_mkdir(req->wd, req->path, (mode_t)req->arg2);
}

/* Directories with all above them ---------------------------------------- */

static bool is_directory(const eio_wd *wd, const char *path)
{
  struct stat st;

  return eio_p_stat(wd, path, &st, true) == 0 && S_ISDIR(st.st_mode);
}

/* One that is there already is fine, whatever the system says of it first: that it is
 * there, on a file system that is read only, or not ours. Keeps errno. */
static int make_directory(const eio_wd *wd, const char *path, mode_t mode)
{
  int error;

  if (eio_p_mkdir(wd, path, mode) == 0)
    return 0;
  error = errno;
  if (error != ENOENT && is_directory(wd, path))
    return 0;
  errno = error;
  return -1;
}

/* Where the name of the directory above ends, or 0 when none is named. */
static size_t end_of_parent(const char *path, size_t end)
{
  while (end && path[end - 1] == '/')
    end--;
  while (end && path[end - 1] != '/')
    end--;
  while (end && path[end - 1] == '/')
    end--;
  return end;
}

/* Has the name of a directory written to the disk, which is in the one above it. */
static int sync_above(const eio_wd *wd, const char *path)
{
  size_t end = end_of_parent(path, strlen(path));
  char *above = end ? strndup(path, end) : strdup(*path == '/' ? "/" : ".");
  int fd = above ? eio_p_open(wd, above, O_RDONLY | O_DIRECTORY, 0) : -1, result = -1, error;

  if (fd >= 0)
    EIO_RETRY(result, fsync(fd));
  error = errno;
  free(above);
  if (fd >= 0)
    close(fd);
  errno = error;
  return result < 0 && error != EINVAL ? -1 : 0;
}

/* Goes up until there is something, then down again: a NUL stands where a name was
 * cut. */
static int make_path(const eio_req *req, const eio_wd *wd, char *path, mode_t mode, bool sync)
{
  size_t length = strlen(path), end = length;

  while (make_directory(wd, path, end < length ? mode | 0300 : mode) < 0) {
    if (errno != ENOENT || eio__cancelled(req) || !(end = end_of_parent(path, end)))
      return -1;
    path[end] = 0;
  }
  if (sync && sync_above(wd, path) < 0)
    return -1;
  while (end < length) {
    path[end] = '/';
    end = strlen(path);
    errno = ECANCELED;
    if (eio__cancelled(req) || make_directory(wd, path, end < length ? mode | 0300 : mode) < 0
        || (sync && sync_above(wd, path) < 0))
      return -1;
  }
  return 0;
}

int eio__make_path(const eio_req *req, const eio_wd *wd, const char *path, mode_t mode, bool sync)
{
  char *copy = strdup(path);
  int result, error;

  if (!copy)
    return -1;
  result = make_path(req, wd, copy, mode, sync);
  error = errno;
  free(copy);
  errno = error;
  return result;
}

int64_t eio_x_mkpath(eio_req *req)
{
  return eio__make_path(req, req->wd, req->path, req->arg2 < 0 ? 0777 : (mode_t)req->arg2, false);
}

/* "." of a working directory cannot be removed or renamed by that name: what
 * is meant is the directory, by whatever name it has by now. */
static bool means_wd(const eio_req *req)
{
  return req->wd && req->path && !strcmp(req->path, ".");
}

static int free_name(char *name, int result)
{
  int error = errno;

  free(name);
  errno = error;
  return result;
}

int64_t eio_x_rename(eio_req *req)
{
  unsigned flags = (unsigned)req->arg1;
  char *name;

  if (!means_wd(req))
    return eio_p_rename(req->wd, req->path, req->wd2, req->path2, flags);
  name = eio_p_wd_path(req->wd);
  return name ? free_name(name, eio_p_rename(NULL, name, req->wd2, req->path2, flags)) : -1;
}

int64_t eio_x_rmdir(eio_req *req)
{
  char *name;

  if (!means_wd(req))
    return eio_p_rmdir(req->wd, req->path);
  name = eio_p_wd_path(req->wd);
  return name ? free_name(name, eio_p_rmdir(NULL, name)) : -1;
}

/* No system has more flags than this one. */
int64_t eio_x_unlinkat(eio_req *req)
{
  if (req->arg1 == AT_REMOVEDIR)
    return eio_x_rmdir(req);
  errno = EINVAL;
  return req->arg1 ? -1 : eio_x_unlink(req);
}

static int64_t leave_text(eio_req *req, char *text, size_t length)
{
  req->buf = text;
  eio__flag_set(req, EIO_FREE_BUF);
  return (int64_t)length;
}

/* When the text fills the buffer there may be more. */
int64_t eio_x_readlink(eio_req *req)
{
  char small[256], *buf = small, *text;
  size_t size = sizeof small;
  ssize_t length;

  while ((length = eio_p_readlink(req->wd, req->path, buf, size)) == (ssize_t)size) {
    size *= 2;
    text = realloc(buf == small ? NULL : buf, size);
    if (!text)
      break;
    buf = text;
  }
  if (length < 0 || length == (ssize_t)size) {
    int error = length < 0 ? errno : ENOMEM;

    if (buf != small)
      free(buf);
    errno = error;
    return -1;
  }
  text = malloc((size_t)length + 1);
  if (text) {
    memcpy(text, buf, (size_t)length);
    text[length] = 0;
  }
  if (buf != small)
    free(buf);
  if (!text) {
    errno = ENOMEM;
    return -1;
  }
  return leave_text(req, text, (size_t)length);
}

int64_t eio_x_realpath(eio_req *req)
{
  char *text = eio_p_realpath(req->wd, req->path);

  return text ? leave_text(req, text, strlen(text)) : -1;
}
