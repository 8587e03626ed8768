/* ops_xattr.c - extended attributes. Each operation takes a descriptor, or a path when
 * that is -1. */
#include "eio_plat.h"

#include <stdlib.h>
#include <string.h>

static struct eio_p_inode inode_of(const eio_req *req, bool follow)
{
  return (struct eio_p_inode){ .fd = req->fd, .wd = req->wd, .path = req->path, .follow = follow };
}

/* The name that the request has; no attribute has none. */
static const char *name_of(const eio_req *req)
{
  return req->attr ? req->attr : "";
}

static int64_t do_get(eio_req *req, bool follow)
{
  struct eio_p_inode of = inode_of(req, follow);
  char *value = NULL;
  ssize_t size = eio_p_xattr_read(&of, name_of(req), &value);

  if (size < 0)
    return -1;
  req->buf = value;
  eio__flag_set(req, EIO_FREE_BUF);
  return size;
}

int64_t eio_x_getxattr(eio_req *req)
{
  return do_get(req, true);
}

int64_t eio_x_lgetxattr(eio_req *req)
{
  return do_get(req, false);
}

static int64_t do_set(eio_req *req, bool follow)
{
  struct eio_p_inode of = inode_of(req, follow);

  return eio_p_xattr_write(&of, name_of(req), req->buf ? req->buf : "", (size_t)req->size, req->arg1);
}

int64_t eio_x_setxattr(eio_req *req)
{
  return do_set(req, true);
}

int64_t eio_x_lsetxattr(eio_req *req)
{
  return do_set(req, false);
}

static int64_t do_remove(eio_req *req, bool follow)
{
  struct eio_p_inode of = inode_of(req, follow);

  return eio_p_xattr_write(&of, name_of(req), NULL, 0, 0);
}

int64_t eio_x_removexattr(eio_req *req)
{
  return do_remove(req, true);
}

int64_t eio_x_lremovexattr(eio_req *req)
{
  return do_remove(req, false);
}

/* The names behind the head of a block, as a directory's. */
static int64_t do_list(eio_req *req, bool follow)
{
  struct eio_p_inode of = inode_of(req, follow);
  struct eio_dents *block;
  char *names = NULL;
  ssize_t size = eio_p_xattr_read(&of, NULL, &names);

  if (size < 0)
    return -1;
  block = malloc(sizeof *block + (size_t)size + 1);
  if (block) {
    *block = (struct eio_dents){ .names = (const char *)(block + 1) };
    memcpy(block + 1, names, (size_t)size + 1);
    for (ssize_t i = 0; i < size; i++)
      block->count += !names[i];
    req->buf = block;
    eio__flag_set(req, EIO_FREE_BUF);
  }
  free(names);
  errno = ENOMEM;
  return block ? (int64_t)block->count : -1;
}

int64_t eio_x_listxattr(eio_req *req)
{
  return do_list(req, true);
}

int64_t eio_x_llistxattr(eio_req *req)
{
  return do_list(req, false);
}
