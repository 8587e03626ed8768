/* ops_rmtree.c - removing whole trees. */
#include "ops_tree.h"

#include <stdlib.h>

struct rmtree {
  struct eio__tree tree; /* first */
  eio_req *req;
  int error; /* it makes no sense to try and remove the root */
};

/* Removes what is no directory. Failures show when the directory itself cannot be removed. */
static bool remove_entry(struct eio__tree *tree, struct eio__dir *dir, const struct eio_dent *dent)
{
  if (eio__dent_is_dir(dir, dent))
    return true;
  if (eio_p_unlink(dir->wd, eio_dent_name(dir->dents, dent)) < 0)
    return errno == EISDIR || errno == EPERM;
  eio__made(tree->req, 1);
  return false;
}

static void remove_closed(struct eio__tree *tree, struct eio__dir *dir, const struct eio_dent *dent)
{
  const char *name = eio_dent_name(dir->dents, dent);

  (void)tree;
  if (eio_p_rmdir(dir->wd, name) < 0 && errno == ENOTDIR) /* somebody exchanged it */
    eio_p_unlink(dir->wd, name);
}

static void remove_dir(struct eio__tree *tree, struct eio__dir *dir, struct eio__dir *up)
{
  if (up && !eio__tree_cancelled(tree) && eio_p_rmdir(up->wd, eio__dir_name(dir)) == 0)
    eio__made(tree->req, 1);
}

static int64_t end(struct eio_parts *parts)
{
  struct rmtree *rm = (struct rmtree *)parts;
  eio_req *req = rm->req;
  int error = rm->error;

  if (!error && eio__tree_cancelled(&rm->tree))
    error = ECANCELED;
  free(rm);
  errno = error;
  if (error || eio_x_rmdir(req) < 0)
    return -1;
  eio__made(req, 1);
  return 0;
}

int64_t eio_x_rmtree(eio_req *req)
{
  static const struct eio__tree_ops ops = { remove_entry, NULL, remove_closed, remove_dir, NULL };
  struct rmtree *rm = calloc(1, sizeof *rm);
  char *path = eio__without_slashes(req->path ? req->path : "");

  if (!rm || !path) {
    free(rm);
    free(path);
    errno = ENOMEM;
    return -1;
  }
  rm->req = req;
  rm->tree.ops = &ops;
  /* What cannot be entered may be removed all the same, or the error says why not. */
  if (eio__tree_walk(&rm->tree, req, end, path) < 0
      && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ECANCELED))
    rm->error = errno;
  free(path);
  return eio__parts_end(&rm->tree.parts);
}

/* As a part of another operation ------------------------------------------- */

struct part {
  struct eio__tree tree; /* first */
  const dev_t *dev;
};

static bool is_on_device(struct eio__tree *tree, struct eio__dir *dir)
{
  const dev_t *dev = ((struct part *)tree)->dev;
  struct stat st;

  return !dev || (fstat(dir->wd->fd, &st) == 0 && st.st_dev == *dev);
}

int eio__tree_remove(const eio_req *req, const eio_wd *wd, const char *name, const dev_t *dev)
{
  static const struct eio__tree_ops ops = { remove_entry, is_on_device, remove_closed, remove_dir, NULL };
  struct part part = { .tree.ops = &ops, .dev = dev };
  int error;

  if (eio_p_unlink(wd, name) == 0)
    return 0;
  if (errno != EISDIR && errno != EPERM)
    return -1;
  error = eio__tree_walk_alone(&part.tree, req, wd, name) < 0 ? errno : 0;
  if (eio__tree_cancelled(&part.tree))
    return -1;
  if (eio_p_rmdir(wd, name) == 0)
    return 0;
  if (error && errno == ENOTEMPTY) /* since it could not be entered */
    errno = error;
  return -1;
}
