/* ops_tree.c - walks through trees of directories, in parts: see ops_tree.h. */
#include "ops_tree.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How many levels above the current one keep their descriptors, when one walks alone; half
 * as many where each has two. */
enum { WINDOW = 16 };
/* How many directories may be pinned at a time. */
enum { PINNED_MAX = 64 };

/* Who walks: a thread, from its start in a tree to its end. */
struct walker {
  struct eio__tree *tree;
  uint64_t began;
  uint64_t ndirs; /* that it has left since */
};

/* The rest of a directory, for another walker. */
struct rest {
  struct eio_part part;
  struct eio__dir *dir;
};

/* Descriptors ------------------------------------------------------------ */

static void suspend(const struct eio__tree *tree, struct eio__dir *dir)
{
  struct stat st;

  if (dir->pinned || !dir->up || dir->wd->fd < 0 || fstat(dir->wd->fd, &st) < 0)
    return;
  dir->dev = st.st_dev;
  dir->ino = st.st_ino;
  close(dir->wd->fd);
  dir->wd->fd = -1;
  if (tree->ops->suspended)
    tree->ops->suspended(dir);
}

/* Opens a suspended directory again from the one below it; false when that is
 * elsewhere by now, and when all is cancelled: then it is for nothing, and may be the
 * owner's thread, which is not to wait. */
static bool resume(const struct eio__tree *tree, struct eio__dir *dir, const struct eio__dir *below)
{
  struct stat st;

  if (!EIO_HAVE_AT || dir->wd->fd >= 0)
    return true;
  if (below->wd->fd < 0 || eio__tree_cancelled(tree))
    return false;
  dir->wd->fd = eio_p_open(below->wd, "..", O_RDONLY | O_DIRECTORY | EIO_O_PATH, 0);
  if (dir->wd->fd < 0)
    return false;
  if (fstat(dir->wd->fd, &st) == 0 && st.st_dev == dir->dev && st.st_ino == dir->ino)
    return true;
  close(dir->wd->fd);
  dir->wd->fd = -1;
  return false;
}

/* Those above a directory that have the same walker, from `keep` levels above on, as far
 * as they are open. (What is above one that was given away is its giver's.) */
static void suspend_above(const struct eio__tree *tree, struct eio__dir *dir, unsigned keep)
{
  for (; dir->up && !dir->given && keep; keep--)
    dir = dir->up;
  for (; dir->up && !keep; dir = dir->up) {
    if (dir->wd->fd < 0)
      return;
    suspend(tree, dir);
    if (dir->given)
      return;
  }
}

static int open_directory(const struct eio__tree *tree, struct eio__dir *up, const eio_wd *wd, const char *name)
{
  int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK;
  int fd = eio_p_open(wd, name, flags, 0);

  if (fd >= 0 || !up || (errno != EMFILE && errno != ENFILE))
    return fd;
  suspend_above(tree, up, 1);
  return eio_p_open(wd, name, flags, 0);
}

void eio__tree_spare(struct eio__tree *tree, struct eio__dir *dir)
{
  suspend_above(tree, dir, 1);
}

/* Names ------------------------------------------------------------------ */

char *eio__without_slashes(const char *path)
{
  size_t length = strlen(path);
  char *copy;

  while (length > 1 && path[length - 1] == '/')
    length--;
  copy = malloc(length + 1);
  if (copy) {
    memcpy(copy, path, length);
    copy[length] = 0;
  }
  return copy;
}

/* From the end, as names are found. */
static char *prepend(char *at, const char *name, bool slash)
{
  size_t length = strlen(name);

  if (slash)
    *--at = '/';
  return memcpy(at - length, name, length);
}

char *eio__tree_path(const struct eio__dir *dir, const char *name)
{
  size_t size = (name ? strlen(name) : 0) + 1;
  char *path, *at;

  for (const struct eio__dir *d = dir; d->up; d = d->up)
    size += strlen(eio__dir_name(d)) + 1;
  path = malloc(size);
  if (!path)
    return NULL;
  at = path + size;
  *--at = 0;
  if (name)
    at = prepend(at, name, false);
  for (; dir->up; dir = dir->up)
    at = prepend(at, eio__dir_name(dir), *at != 0);
  return memmove(path, at, strlen(at) + 1);
}

/* Directories ------------------------------------------------------------ */

/* All that is in an open directory, in an order that is good for its inodes. */
static struct eio_dents *read_entries(struct eio_p_dir *p, const eio_req *req)
{
  struct eio__list list = { 0 };
  struct eio_dents *dents = NULL;

  if (eio__list_read(&list, p, req) == 0)
    dents = eio__list_finish(&list);
  eio__list_free(&list);
  if (dents)
    eio__dents_sort(dents->list, dents->count, false, true);
  return dents;
}

/* Opens and reads a directory; NULL with errno. */
static struct eio__dir *enter(struct eio__tree *tree, struct eio__dir *up, const eio_wd *wd, const char *name)
{
  struct eio__dir *dir = NULL;
  struct eio_dents *dents;
  struct eio_p_dir p;
  eio_wd *own = NULL;
  int fd = open_directory(tree, up, wd, name), error;

  if (fd < 0 || eio_p_dir_fdopen(&p, fd) < 0)
    return NULL;
  dents = read_entries(&p, tree->req);
  if (dents)
    own = eio_p_wd(eio_p_dir_detach(&p), wd, name);
  else {
    error = errno;
    eio_p_dir_close(&p);
    errno = error;
  }
  if (own && (dir = malloc(sizeof *dir))) {
    *dir = (struct eio__dir){ .up = up, .wd = own, .dents = dents, .depth = up ? up->depth + 1 : 0 };
    atomic_init(&dir->holders, 1);
    return dir;
  }
  error = errno;
  eio_wd_unref(own);
  free(dents);
  errno = error;
  return NULL;
}

static struct eio__dir *enter_entry(struct eio__tree *tree, struct eio__dir *up, uint32_t entry, bool given)
{
  const struct eio_dent *dent = &up->dents->list[entry];
  struct eio__dir *dir = eio__tree_cancelled(tree) ? NULL : enter(tree, up, up->wd, eio_dent_name(up->dents, dent));
  unsigned walkers = atomic_load_explicit(&tree->parts.holders, memory_order_relaxed);
  unsigned window = tree->ops->suspended ? WINDOW / 2 : WINDOW;

  if (!dir) {
    int error = errno;
    bool cancelled = eio__tree_cancelled(tree);

    errno = error;
    if (!cancelled)
      tree->ops->closed(tree, up, dent);
    return NULL;
  }
  dir->entry = entry;
  dir->given = given;
  if (tree->ops->entered && !tree->ops->entered(tree, dir))
    dir->next = dir->dents->count;
  suspend_above(tree, dir, walkers < window ? window / walkers : 1);
  return dir;
}

/* All that is in a directory is done. */
static void finish(struct eio__tree *tree, struct eio__dir *dir)
{
  struct eio__dir *up = dir->up;
  bool found = up && resume(tree, up, dir);

  if (up && !found)
    up->lost = true;
  tree->ops->left(tree, dir, found ? up : NULL);
  if (dir->pinned)
    atomic_fetch_sub(&tree->npinned, 1);
  eio_wd_unref(dir->wd);
  free(dir->dents);
  free(dir);
}

/* The walker has come to the end of a directory, or a part of it has. Returns where to go
 * on walking; NULL: others are at work there, or all is done. */
static struct eio__dir *leave(struct walker *w, struct eio__dir *dir)
{
  while (dir && atomic_fetch_sub(&dir->holders, 1) == 1) {
    struct eio__dir *up = dir->up;
    bool given = dir->given;

    finish(w->tree, dir);
    w->ndirs++;
    if (!given)
      return up;
    dir = up; /* has one holder less */
  }
  return NULL;
}

/* Walking ---------------------------------------------------------------- */

static void walk(struct walker *w, struct eio__dir *dir);

static void run_rest(struct eio_part *part)
{
  struct rest *rest = (struct rest *)part;
  struct walker w = { (struct eio__tree *)part->of, eio_p_now(), 0 };
  struct eio__dir *dir = rest->dir;

  free(rest);
  walk(&w, dir);
}

/* Gives the rest of a directory away, where its walker is about to enter another. (The other
 * way round, one walker would have to give each directory away, and be busy with one of them
 * most of the time: this way, each sends for the next at once.) */
static bool give_rest(struct walker *w, struct eio__dir *dir)
{
  struct eio__tree *tree = w->tree;
  struct rest *rest;

  if (tree->alone || dir->next == dir->dents->count || !eio__parts_wanted(&tree->parts, w->began, w->ndirs, 1)
      || atomic_load_explicit(&tree->npinned, memory_order_relaxed) >= PINNED_MAX
      || !(rest = malloc(sizeof *rest)))
    return false;
  *rest = (struct rest){ .part.run = run_rest, .dir = dir };
  if (!dir->pinned) {
    dir->pinned = true;
    atomic_fetch_add(&tree->npinned, 1);
  }
  atomic_fetch_add(&dir->holders, 1);
  if (eio__parts_give(&tree->parts, &rest->part))
    return true;
  atomic_fetch_sub(&dir->holders, 1);
  free(rest);
  return false;
}

bool eio__dent_is_dir(const struct eio__dir *dir, const struct eio_dent *dent)
{
  int type = dent->type != EIO_DT_UNKNOWN ? dent->type : eio_p_type(dir->wd, eio_dent_name(dir->dents, dent));

  return type == EIO_DT_DIR;
}

static void walk(struct walker *w, struct eio__dir *dir)
{
  struct eio__tree *tree = w->tree;

  while (dir) {
    struct eio__dir *below;
    uint32_t entry = dir->next;
    bool given;

    if (dir->lost || entry >= dir->dents->count || eio__tree_cancelled(tree)) {
      dir = leave(w, dir);
      continue;
    }
    dir->next++;
    if (!tree->ops->entry(tree, dir, &dir->dents->list[entry]))
      continue;
    given = give_rest(w, dir);
    below = enter_entry(tree, dir, entry, given);
    if (below)
      dir = below;
    else if (given)
      dir = leave(w, dir);
  }
}

static int walk_from(struct walker *w, struct eio__dir *root)
{
  struct eio__tree *tree = w->tree;

  if (!root)
    return -1;
  if (tree->ops->entered && !tree->ops->entered(tree, root))
    root->next = root->dents->count;
  walk(w, root);
  return 0;
}

int eio__tree_walk(struct eio__tree *tree, eio_req *req, int64_t (*end)(struct eio_parts *), const char *path)
{
  struct walker w = { tree, eio_p_now(), 0 };
  struct eio__dir *root;

  tree->req = req;
  root = enter(tree, NULL, req->wd, path);
  atomic_init(&tree->npinned, 0);
  eio__parts_begin(&tree->parts, req, end, eio_p_now() - w.began);
  return walk_from(&w, root);
}

int eio__tree_walk_alone(struct eio__tree *tree, const eio_req *req, const eio_wd *wd, const char *path)
{
  struct walker w = { tree, 0, 0 };

  tree->req = req;
  tree->alone = true;
  atomic_init(&tree->npinned, 0);
  atomic_init(&tree->parts.holders, 1);
  return walk_from(&w, enter(tree, NULL, wd, path));
}
