/* ops_path.c - names: making, changing, resolving, removing them. */
#include "eio_plat.h"

#include <stdlib.h>
#include <string.h>

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
  return eio_p_link(req->wd, req->path, req->wd2, req->path2);
}

int64_t eio_x_symlink(eio_req *req)
{
  return eio_p_symlink(req->path, req->wd2, req->path2);
}

int64_t eio_x_mkdir(eio_req *req)
{
  return eio_p_mkdir(req->wd, req->path, (mode_t)req->arg2);
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
