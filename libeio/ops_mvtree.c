/* ops_mvtree.c - gives a tree another name, on whatever file system.
 *
 * Where it cannot be renamed it is copied. When all of it is there, the source is walked once more,
 * and its copy beside it: what has its copy there, and has not changed since, is removed. So nothing
 * is ever removed that is not whole in the target, and what came meanwhile stays. */
#include "ops_cptree.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MARGIN = 2 /* seconds: clocks of file systems are coarse */ };

/* Whether a target is the copy of what is there still. Where file systems cannot keep its times, it
 * must not have been touched since the copy began. */
static bool is_copied(const struct eio__item *item)
{
  struct stat to;

  if (eio_p_stat(item->wd, item->name, &to, false) < 0)
    return false;
  return eio__item_is_same(item, &to)
         || ((to.st_mode & S_IFMT) == (item->st.st_mode & S_IFMT) && to.st_size == item->st.st_size
             && item->st.st_ctime < item->cp->began - MARGIN);
}

static void remove_item(struct eio__item *item)
{
  item->what = "remove";
  if (eio_p_stat(item->from_wd, item->from, &item->st, false) == 0) {
    if (!S_ISDIR(item->st.st_mode) && is_copied(item)) {
      if (eio_p_unlink(item->from_wd, item->from) == 0)
        return;
    } else
      errno = EBUSY; /* changed since, or new */
  }
  eio__cptree_tell(item->cp, item->what, item->dir, item->dir ? item->from : NULL);
}

static bool remove_entry(struct eio__tree *tree, struct eio__dir *dir, const struct eio_dent *dent)
{
  struct eio__side *side = dir->data;
  const char *name = eio_dent_name(dir->dents, dent);
  struct eio__item item = { .cp = (struct eio__cptree *)tree, .dir = dir, .side = side, .from_wd = dir->wd,
                            .wd = side->wd, .from = name, .name = name };

  if (eio__dent_is_dir(dir, dent))
    return true;
  remove_item(&item);
  return false;
}

/* A directory that has no copy is left alone. */
static bool entered(struct eio__tree *tree, struct eio__dir *dir)
{
  struct eio__cptree *cp = (struct eio__cptree *)tree;
  struct eio__side *side = dir->data = calloc(1, sizeof *side), *up = dir->up ? dir->up->data : NULL;

  if (side && fstat(dir->wd->fd, &side->from) == 0
      && eio__side_open(cp, dir, up ? up->wd : cp->req->wd2, up ? eio__dir_name(dir) : cp->target) == 0)
    return true;
  eio__cptree_tell(cp, "remove", dir, NULL);
  return false;
}

/* Only the very directory that was emptied. */
static void remove_dir(struct eio__cptree *cp, struct eio__dir *dir, const eio_wd *wd, const char *name)
{
  const struct eio__side *side = dir->data;
  struct stat st;

  if (eio_p_stat(wd, name, &st, false) == 0) {
    errno = EBUSY;
    if (eio__same_file(&st, &side->from) && eio_p_rmdir(wd, name) == 0)
      return;
  }
  eio__cptree_tell(cp, "remove", dir, NULL);
}

static void left(struct eio__tree *tree, struct eio__dir *dir, struct eio__dir *up)
{
  struct eio__cptree *cp = (struct eio__cptree *)tree;
  struct eio__side *side = dir->data;

  if (side && side->wd && !eio__tree_cancelled(tree)) {
    eio__side_leave(cp, dir, up);
    if (up || !dir->up)
      remove_dir(cp, dir, up ? up->wd : cp->req->wd, up ? eio__dir_name(dir) : cp->source);
  }
  eio__side_free(side);
}

static void closed(struct eio__tree *tree, struct eio__dir *dir, const struct eio_dent *dent)
{
  eio__cptree_tell((struct eio__cptree *)tree, "remove", dir, eio_dent_name(dir->dents, dent));
}

void eio__mvtree_remove(struct eio__cptree *cp)
{
  static const struct eio__tree_ops ops = { remove_entry, entered, closed, left, eio__side_suspended };
  struct eio__item item = { .cp = cp, .from_wd = cp->req->wd, .wd = cp->req->wd2, .from = cp->source, .name = cp->target };

  cp->tree.ops = &ops;
  cp->tree.alone = true;
  if (eio__tree_walk(&cp->tree, cp->req, NULL, cp->source) == 0)
    return;
  if (errno == ENOTDIR || errno == ELOOP)
    remove_item(&item);
  else
    eio__cptree_tell(cp, "remove", NULL, NULL);
}

/* What rename() would say, which has said EXDEV. A directory takes the place of an empty one. */
static int check(struct eio__cptree *cp)
{
  const eio_req *req = cp->req;
  struct stat from, to;
  bool there;

  if (eio_p_stat(req->wd, cp->source, &from, false) < 0)
    return -1;
  there = eio_p_stat(req->wd2, cp->target, &to, false) == 0;
  if (!there)
    return errno == ENOENT ? 0 : -1;
  errno = eio__same_file(&from, &to) ? EINVAL : !S_ISDIR(from.st_mode) && S_ISDIR(to.st_mode) ? EISDIR : 0;
  if (errno)
    return -1;
  return S_ISDIR(from.st_mode) ? eio_p_rmdir(req->wd2, cp->target) : 0;
}

int64_t eio_x_mvtree(eio_req *req)
{
  struct eio__cptree *cp;
  int result;

  result = (int)eio_x_rename(req);
  if (result == 0 || errno != EXDEV)
    return result;
  cp = eio__cptree_new(req);
  if (!cp)
    return -1;
  cp->move = true;
  cp->began = time(NULL);
  if (check(cp) == 0)
    return eio__cptree_run(cp);
  eio__cptree_tell(cp, "rename", NULL, NULL);
  return eio__cptree_drop(cp);
}
