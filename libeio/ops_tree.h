/* ops_tree.h - walks through trees of directories, in parts.
 *
 * Every name is looked up relative to the open directory that it was read from, and
 * directories are never entered through a symbolic link, so nobody who exchanges
 * directories meanwhile can lead a walk elsewhere.
 *
 * A directory has one walker at a time, who looks at its entries one after the other and
 * enters those that are directories: depth first. When somebody has nothing to do the
 * walker gives the rest of a directory away, before it enters one of its entries. It never
 * goes up past a directory in which others are still at work: there it ends, and who ends
 * last walks on. So descriptors and memory are bounded: of the directories on a walker's way the last ones stay open (the others are
 * found again by "..", and left alone when that is another directory by then), and those that
 * parts were given away from, of which there are a few at a time only. */
#ifndef EIO_OPS_TREE_H
#define EIO_OPS_TREE_H

#include "eio_parts.h"
#include "ops_dir.h"

struct eio__tree;

/* A directory of the tree. What is not marked belongs to its walker. */
struct eio__dir {
  struct eio__dir *up;     /* NULL: the root; stays as long as this one */
  eio_wd *wd;              /* its descriptor may be closed, -1, until it is needed again */
  dev_t dev;               /* and then it must be this directory */
  ino_t ino;
  struct eio_dents *dents; /* its entries; stay as long as it does */
  uint32_t next;           /* the first that has not been looked at */
  uint32_t entry;          /* which of up's entries it is itself */
  unsigned depth;          /* the root: 0 */
  atomic_uint holders;     /* any thread: the walker, and those who have entered its entries and given it away */
  bool pinned;             /* some were: it stays open */
  bool given;              /* when it was entered, the rest of `up` was given away */
  bool lost;               /* is not to be found again */
  void *data;              /* the operation's, until it is left */
};

/* What an operation does. Each may be called in several threads at once, for different
 * directories; for one directory by its walker. */
struct eio__tree_ops {
  /* Looks at an entry. Returns whether it is a directory that shall be entered. */
  bool (*entry)(struct eio__tree *tree, struct eio__dir *dir, const struct eio_dent *dent);
  /* A directory has been opened and read. False: it shall be left at once, and its entries
   * not be looked at. May be NULL. */
  bool (*entered)(struct eio__tree *tree, struct eio__dir *dir);
  /* It could not be entered; errno says why. */
  void (*closed)(struct eio__tree *tree, struct eio__dir *dir, const struct eio_dent *dent);
  /* All that is in a directory is done; `up` is NULL for the root, and when the one above
   * is not to be found any more, or not looked for as all is cancelled. Called in any case. */
  void (*left)(struct eio__tree *tree, struct eio__dir *dir, struct eio__dir *up);
  /* Its descriptor has been closed until it is needed again: one that the operation has for it
   * shall be, too. NULL: it has none. */
  void (*suspended)(struct eio__dir *dir);
};

struct eio__tree {
  struct eio_parts parts;  /* first */
  const eio_req *req;
  const struct eio__tree_ops *ops;
  bool alone;              /* nothing is given away */
  atomic_uint npinned;
};

/* The name of a directory in the one above; the root has none. */
static inline const char *eio__dir_name(const struct eio__dir *dir)
{
  return eio_dent_name(dir->up->dents, &dir->up->dents->list[dir->entry]);
}

static inline bool eio__tree_cancelled(const struct eio__tree *tree)
{
  errno = ECANCELED;
  return eio__cancelled(tree->req);
}

/* Walks the tree of a directory, whose name is not to be a link, relative to the request's wd;
 * -1 when it cannot be entered. `parts` has begun then, with this end, and may have other
 * parts at work; `ops` has to be set before, the rest is 0. */
int eio__tree_walk(struct eio__tree *tree, eio_req *req, int64_t (*end)(struct eio_parts *), const char *path);

/* The same in this thread alone, with a name relative to wd; there is no end then. */
int eio__tree_walk_alone(struct eio__tree *tree, const eio_req *req, const eio_wd *wd, const char *path);

/* Removes what has a name, with all that is in it, in this thread; dev: unless that is on another file
 * system, or NULL. 0, or -1 with errno. */
int eio__tree_remove(const eio_req *req, const eio_wd *wd, const char *name, const dev_t *dev);

/* Closes what can be found again above a directory, for who gets no descriptor there. */
void eio__tree_spare(struct eio__tree *tree, struct eio__dir *dir);

/* The path of a name in a directory, relative to the root; NULL: of the directory itself.
 * Malloc'ed; NULL when there is no memory. */
char *eio__tree_path(const struct eio__dir *dir, const char *name);

/* A path without slashes at its end, malloc'ed: "link/" would be followed. */
char *eio__without_slashes(const char *path);

/* Whether an entry is a directory; looks when the type is not known. */
bool eio__dent_is_dir(const struct eio__dir *dir, const struct eio_dent *dent);

#endif
