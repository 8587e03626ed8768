/* ops_cptree.c - copies whole trees.
 *
 * Both sides are walked by descriptors: a directory of the source, and the one of the target
 * that belongs to it, are entered together, and suspended and found again together. Neither is
 * ever entered through a symbolic link. A directory that this copy makes is open to nobody else
 * until all that is in it has been copied: then it gets its mode and its times. */
#include "ops_cptree.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct eio__cptree *of(struct eio__tree *tree)
{
  return (struct eio__cptree *)tree;
}

void eio__cptree_tell(struct eio__cptree *cp, const char *what, const struct eio__dir *dir, const char *name)
{
  int error = errno;
  char *path = dir ? eio__tree_path(dir, name) : strdup("");

  if (error == ECANCELED) {
    free(path);
    return;
  }
  if (cp->flags & (EIO_CP_TELL | EIO_CP_TELL_ERRORS))
    eio__errors_tell(&cp->errors, error, what, path);
  eio__errors_add(&cp->errors, error, what, path);
}

void eio__cptree_did(struct eio__cptree *cp, enum eio_done kind, const char *what, const struct eio__dir *dir, const char *name)
{
  char *path;

  eio__errors_done(&cp->errors, kind, 1);
  if (!(cp->flags & EIO_CP_TELL))
    return;
  path = dir ? eio__tree_path(dir, name) : strdup("");
  eio__errors_tell(&cp->errors, 0, what, path);
  free(path);
}

/* Directories of the target ------------------------------------------------ */

static int open_dir(struct eio__cptree *cp, struct eio__dir *dir, const eio_wd *wd, const char *name)
{
  int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK;
  int fd = eio_p_open(wd, name, flags, 0);

  if (fd >= 0 || !dir->up || (errno != EMFILE && errno != ENFILE))
    return fd;
  eio__tree_spare(&cp->tree, dir->up);
  return eio_p_open(wd, name, flags, 0);
}

int eio__side_open(struct eio__cptree *cp, struct eio__dir *dir, const eio_wd *wd, const char *name)
{
  struct eio__side *side = dir->data;
  int fd = open_dir(cp, dir, wd, name);

  if (fd < 0 || !(side->wd = eio_p_wd(fd, wd, name)))
    return -1;
  return fstat(side->wd->fd, &side->to);
}

/* SYNC: what is no directory gives way to one, but for the root. Should it be one by now it stays. */
static int give_way(struct eio__cptree *cp, struct eio__dir *dir, const eio_wd *wd, const char *name)
{
  if (cp->existing != EIO_CP_SYNC || !dir->up || (errno != ENOTDIR && errno != ELOOP)
      || (!(cp->flags & EIO_CP_DRY) && eio_p_unlink(wd, name) < 0))
    return -1;
  eio__cptree_did(cp, EIO_DONE_DELETED, "delete", dir, NULL);
  return 0;
}

/* DRY: one that is not there is none. */
static int find_dir(struct eio__cptree *cp, struct eio__dir *dir, const eio_wd *wd, const char *name)
{
  struct eio__side *side = dir->data;
  const struct eio__side *up = dir->up ? dir->up->data : NULL;

  if (!up || up->wd) {
    if (eio__side_open(cp, dir, wd, name) == 0) {
      eio__errors_done(&cp->errors, EIO_DONE_DIRECTORIES, 1);
      return 0;
    }
    if (errno != ENOENT && give_way(cp, dir, wd, name) < 0)
      return -1;
  }
  eio_wd_unref(side->wd);
  side->wd = NULL;
  eio__cptree_did(cp, EIO_DONE_DIRECTORIES, "mkdir", dir, NULL);
  return 0;
}

/* Makes one, or finds one that may be used. */
static int make_dir(struct eio__cptree *cp, struct eio__dir *dir, const eio_wd *wd, const char *name)
{
  struct eio__side *side = dir->data;

  side->made = eio_p_mkdir(wd, name, 0700) == 0;
  if (!side->made && (errno != EEXIST || (cp->existing == EIO_CP_FAIL && !(cp->flags & EIO_CP_MERGE))))
    return -1;
  if (eio__side_open(cp, dir, wd, name) < 0) {
    if (side->made || give_way(cp, dir, wd, name) < 0 || eio_p_mkdir(wd, name, 0700) < 0
        || eio__side_open(cp, dir, wd, name) < 0)
      return -1;
    side->made = true;
  }
  if (side->made)
    eio__cptree_did(cp, EIO_DONE_DIRECTORIES, "mkdir", dir, NULL);
  else
    eio__errors_done(&cp->errors, EIO_DONE_DIRECTORIES, 1);
  if (side->made && (side->to.st_uid != geteuid() || (side->to.st_mode & 0777) != 0700))
    side->made = false; /* another one, by now */
  return 0;
}

/* The target may lie in the source, */
static bool is_target(const struct eio__cptree *cp, const struct eio__side *side)
{
  const struct eio__side *root = cp->root ? cp->root : side;

  errno = EINVAL;
  return eio__same_file(&side->from, &root->to);
}

/* or the source in the target. */
static bool is_onto_source(const struct eio__cptree *cp, const struct eio__side *side)
{
  const struct eio__side *root = cp->root ? cp->root : side;

  errno = EINVAL;
  return side->wd && eio__same_file(&root->from, &side->to);
}

static int enter_side(struct eio__cptree *cp, struct eio__dir *dir, struct eio__side *side)
{
  struct eio__side *up = dir->up ? dir->up->data : NULL;
  struct eio__copy copy = { .in = dir->wd->fd, .out = -1 };
  const eio_wd *wd = up ? up->wd : cp->req->wd2;
  const char *name = up ? eio__dir_name(dir) : cp->target;

  if (fstat(dir->wd->fd, &side->from) < 0 || (up && is_target(cp, side)))
    return -1;
  if ((cp->flags & EIO_CP_DRY ? find_dir(cp, dir, wd, name) : make_dir(cp, dir, wd, name)) < 0)
    return -1;
  if (!up)
    cp->dev = side->from.st_dev;
  if (is_onto_source(cp, side) || (!up && cp->flags & EIO_CP_DELETE && eio__cptree_guard(cp, dir->wd) < 0))
    return -1;
  if (cp->flags & EIO_CP_DRY)
    return 0;
  side->local = up && up->to.st_dev == side->to.st_dev ? up->local : eio__fd_is_local(side->wd->fd);
  side->no_acl = eio__gives_no_acl(side->wd->fd);
  copy.out = side->wd->fd;
  eio__attrs_take(&side->attrs, &copy);
  return 0;
}

static bool entered(struct eio__tree *tree, struct eio__dir *dir)
{
  struct eio__cptree *cp = of(tree);
  struct eio__side *side = dir->data = calloc(1, sizeof *side);

  if (side)
    side->stays = cp->flags & EIO_CP_DRY;
  if (side && enter_side(cp, dir, side) == 0) {
    if (!dir->up)
      cp->root = side;
    if (cp->flags & EIO_CP_ONE_FS && side->from.st_dev != cp->dev)
      return false;
    if (cp->flags & EIO_CP_DELETE && side->wd && !side->made
        && !(cp->flags & EIO_CP_ONE_FS && side->to.st_dev != cp->root->to.st_dev))
      eio__cptree_delete_others(cp, dir);
    return true;
  }
  eio__cptree_tell(cp, "mkdir", dir, NULL);
  if (side) {
    eio_wd_unref(side->wd);
    side->wd = NULL;
  }
  return false;
}

void eio__side_suspended(struct eio__dir *dir)
{
  struct eio__side *side = dir->data;

  /* DRY: one below may not be there, and lead to it again. */
  if (side && side->stays)
    return;
  if (!side || !side->wd || side->wd->fd < 0)
    return;
  close(side->wd->fd);
  side->wd->fd = -1;
}

/* Opens the one above again; false when that is elsewhere by now. */
static bool resume(struct eio__side *side, const struct eio__side *below)
{
  struct stat st;

  if (!EIO_HAVE_AT || side->wd->fd >= 0)
    return true;
  if (below->wd->fd < 0)
    return false;
  side->wd->fd = eio_p_open(below->wd, "..", O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0);
  if (side->wd->fd < 0)
    return false;
  if (fstat(side->wd->fd, &st) == 0 && eio__same_file(&st, &side->to))
    return true;
  close(side->wd->fd);
  side->wd->fd = -1;
  return false;
}

/* All that belongs into it is there. */
static void finish_side(const struct eio__side *side)
{
  struct eio__copy copy = { .wd = side->wd, .name = ".", .in = -1, .out = side->wd->fd, .from = side->from, .to = side->to };

  copy.no_acl = side->made && side->no_acl;
  eio__keep_attrs(&copy, &side->attrs);
}

void eio__side_leave(struct eio__cptree *cp, struct eio__dir *dir, struct eio__dir *up)
{
  const struct eio__side *side = dir->data;

  if (!dir->up || (up && (!side || !side->wd || resume(up->data, side))))
    return;
  dir->up->lost = true; /* the source's, or the target's */
  errno = EBUSY;
  eio__cptree_tell(cp, "open", dir->up, NULL);
}

void eio__side_free(struct eio__side *side)
{
  if (!side)
    return;
  eio_wd_unref(side->wd);
  eio__attrs_free(&side->attrs);
  free(side);
}

static void left(struct eio__tree *tree, struct eio__dir *dir, struct eio__dir *up)
{
  struct eio__cptree *cp = of(tree);
  struct eio__side *side = dir->data;

  if (!eio__tree_cancelled(tree)) {
    if (side && side->wd && side->wd->fd >= 0 && !(cp->flags & EIO_CP_DRY))
      finish_side(side);
    eio__side_leave(cp, dir, up);
  }
  if (side == cp->root)
    cp->root = NULL;
  eio__side_free(side);
}

/* Entries -------------------------------------------------------------------- */

static bool copy_entry(struct eio__tree *tree, struct eio__dir *dir, const struct eio_dent *dent)
{
  struct eio__side *side = dir->data;
  const char *name = eio_dent_name(dir->dents, dent);
  struct eio__item item = { .cp = of(tree), .dir = dir, .side = side, .from_wd = dir->wd, .wd = side->wd,
                            .from = name, .name = name };

  if (eio__dent_is_dir(dir, dent))
    return true;
  if (eio__item_copy(&item, dent->type) < 0)
    eio__cptree_tell(of(tree), item.what, dir, name);
  return false;
}

static void closed(struct eio__tree *tree, struct eio__dir *dir, const struct eio_dent *dent)
{
  eio__cptree_tell(of(tree), "open", dir, eio_dent_name(dir->dents, dent));
}

static void copy_root(struct eio__cptree *cp)
{
  struct eio__item item = { .cp = cp, .from_wd = cp->req->wd, .wd = cp->req->wd2, .from = cp->source, .name = cp->target };

  if (eio__item_copy(&item, EIO_DT_UNKNOWN) < 0)
    eio__cptree_tell(cp, item.what, NULL, NULL);
}

/* -------------------------------------------------------------------------- */

static int64_t end(struct eio_parts *parts)
{
  struct eio__cptree *cp = (struct eio__cptree *)parts;

  if (cp->move && !cp->errors.first && !eio__tree_cancelled(&cp->tree))
    eio__mvtree_remove(cp);
  return eio__cptree_drop(cp);
}

struct eio__cptree *eio__cptree_new(eio_req *req)
{
  struct eio__cptree *cp = calloc(1, sizeof *cp);

  if (!cp)
    return NULL;
  cp->req = req;
  cp->tree.req = req;
  if (eio__errors_begin(&cp->errors, req) < 0) {
    free(cp);
    errno = ENOMEM;
    return NULL;
  }
  eio__links_init(&cp->links);
  cp->source = eio__without_slashes(req->path ? req->path : "");
  cp->target = eio__without_slashes(req->path2 ? req->path2 : "");
  if (cp->source && cp->target)
    return cp;
  eio__cptree_drop(cp);
  errno = ENOMEM;
  return NULL;
}

int64_t eio__cptree_drop(struct eio__cptree *cp)
{
  int result = eio__errors_end(&cp->errors), error = errno;

  if (eio__tree_cancelled(&cp->tree)) {
    result = -1;
    error = ECANCELED;
  }
  eio__links_finish(&cp->links);
  free(cp->guarded);
  free(cp->source);
  free(cp->target);
  free(cp);
  errno = error;
  return result;
}

int64_t eio__cptree_run(struct eio__cptree *cp)
{
  static const struct eio__tree_ops ops = { copy_entry, entered, closed, left, eio__side_suspended };

  cp->tree.ops = &ops;
  if (eio__tree_walk(&cp->tree, cp->req, end, cp->source) < 0) {
    if (errno == ENOTDIR || errno == ELOOP)
      copy_root(cp);
    else
      eio__cptree_tell(cp, "open", NULL, NULL);
  }
  return eio__parts_end(&cp->tree.parts);
}

static bool is_valid(int flags)
{
  int existing = flags & EIO_CP_EXISTING;

  return !(flags & ~(EIO_CP_EXISTING | EIO_CP_MERGE | EIO_CP_ONE_FS | EIO_CP_DELETE | EIO_CP_DRY | EIO_CP_TELL | EIO_CP_TELL_ERRORS))
         && !(existing & (existing - 1)) && (existing == EIO_CP_FAIL || !(flags & EIO_CP_MERGE))
         && (existing == EIO_CP_SYNC || !(flags & (EIO_CP_DELETE | EIO_CP_DRY)));
}

int64_t eio_x_cptree(eio_req *req)
{
  struct eio__cptree *cp;

  if (!is_valid(req->arg1)) {
    errno = EINVAL;
    return -1;
  }
  cp = eio__cptree_new(req);
  if (!cp)
    return -1;
  cp->existing = req->arg1 & EIO_CP_EXISTING;
  cp->flags = req->arg1 & ~EIO_CP_EXISTING;
  return eio__cptree_run(cp);
}
