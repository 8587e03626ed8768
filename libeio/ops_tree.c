/* ops_tree.c - a directory's entries by kind, and removing whole trees. */
#include "ops_dir.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool cancelled(const eio_req *req)
{
  errno = ECANCELED;
  return eio__cancelled(req);
}

/* Scandir ---------------------------------------------------------------- */

enum { LOOK_EVERY = 64 /* stats between two looks at the cancelled flag */ };

/* How many directories are in a directory, going by the links that their ".."
 * make. UINT32_MAX when that says nothing: some file systems count 1 or 2,
 * whatever there is, and what changed a moment ago may change again unseen. */
static uint32_t count_by_links(const eio_wd *wd, struct stat *st)
{
  if (eio_p_stat(wd, ".", st, true) < 0 || st->st_nlink <= 2 || time(NULL) - st->st_mtime < 2)
    return UINT32_MAX;
  return (uint32_t)st->st_nlink - 2;
}

static bool unchanged(const eio_wd *wd, const struct stat *before)
{
  struct stat st;

  return eio_p_stat(wd, ".", &st, true) == 0 && st.st_mtime == before->st_mtime
         && st.st_ctime == before->st_ctime && st.st_size == before->st_size
         && st.st_nlink == before->st_nlink;
}

/* Finds the types of entries that have none. What vanished keeps none. */
static int find_types(struct eio_dents *dents, const eio_wd *wd, const eio_req *req)
{
  struct stat before, st;
  uint32_t total = count_by_links(wd, &before), found = 0;

  for (uint32_t i = 0; i < dents->count; i++)
    found += dents->list[i].type == EIO_DT_DIR;
  for (uint32_t i = 0; i < dents->count; i++) {
    struct eio_dent *dent = &dents->list[i];

    if (i % LOOK_EVERY == 0 && cancelled(req))
      return -1;
    if (dent->type != EIO_DT_UNKNOWN)
      continue;
    if (found == total) { /* all directories are known, unless some came */
      if (unchanged(wd, &before))
        return 0;
      total = UINT32_MAX;
    }
    if (eio_p_stat(wd, eio_dent_name(dents, dent), &st, false) == 0)
      dent->type = (uint8_t)((st.st_mode & S_IFMT) >> 12);
    found += dent->type == EIO_DT_DIR;
  }
  return 0;
}

/* Directories first, by inode; the others in the order of the directory. */
static int split(struct eio_dents *dents)
{
  dents->ndirs = 0;
  for (uint32_t i = 0; i < dents->count; i++) {
    dents->list[i].score = dents->list[i].type == EIO_DT_DIR;
    dents->ndirs += dents->list[i].score;
  }
  if (eio__dents_sort(dents->list, dents->count, true, false) < 0)
    return -1;
  return eio__dents_sort(dents->list, dents->ndirs, false, true);
}

/* Takes the list; and the directory, which is needed only if types are. */
static struct eio_dents *scan(struct eio__list *list, struct eio_p_dir *dir, const eio_req *req)
{
  struct eio_dents *dents;
  eio_wd *wd = NULL;
  int error;

  if (!list->unknown)
    eio_p_dir_close(dir);
  else {
    wd = eio_p_wd(eio_p_dir_detach(dir), req->wd, req->path);
    if (!wd)
      return NULL;
    eio__list_score(list);
  }
  dents = eio__list_finish(list);
  if (dents
      && ((wd && eio__dents_sort(dents->list, dents->count, true, true) < 0)
          || (wd && find_types(dents, wd, req) < 0) || split(dents) < 0)) {
    error = errno;
    free(dents);
    dents = NULL;
    errno = error;
  }
  error = errno;
  eio_wd_unref(wd);
  errno = error;
  return dents;
}

int64_t eio_x_scandir(eio_req *req)
{
  struct eio__list list = { 0 };
  struct eio_dents *dents = NULL;
  struct eio_p_dir dir;

  if (eio_p_dir_open(&dir, req->wd, req->path) < 0)
    return -1;
  if (eio__list_read(&list, &dir, req) == 0)
    dents = scan(&list, &dir, req);
  else {
    int error = errno;

    eio_p_dir_close(&dir);
    errno = error;
  }
  eio__list_free(&list);
  if (!dents)
    return -1;
  req->buf = dents;
  eio__flag_set(req, EIO_FREE_BUF);
  return dents->count;
}

/* Rmtree ----------------------------------------------------------------- */
/* Every name is looked up relative to the open directory that it was read
 * from, and never through a symbolic link, so that nobody who exchanges
 * directories meanwhile can lead this elsewhere. */

/* How many levels above the current one keep their descriptors. */
enum { WINDOW = 16 };

struct level {
  eio_wd *wd; /* its descriptor may be closed, -1, until it is needed again */
  dev_t dev;  /* and then it must be this directory */
  ino_t ino;
  struct eio_dents *dents;
  uint32_t next; /* the first entry that has not been looked at */
};

struct tree {
  const eio_req *req;
  struct level *levels; /* the last is the current one; it is open */
  size_t depth, room;
};

static struct level *current(const struct tree *tree)
{
  return &tree->levels[tree->depth - 1];
}

static void level_suspend(struct level *level)
{
  struct stat st;

  if (level->wd->fd < 0 || fstat(level->wd->fd, &st) < 0)
    return;
  level->dev = st.st_dev;
  level->ino = st.st_ino;
  close(level->wd->fd);
  level->wd->fd = -1;
}

/* Opens a suspended level again from the one below it; false when that is
 * elsewhere by now. */
static bool level_resume(struct level *level, const struct level *below)
{
  struct stat st;

  if (!EIO_HAVE_AT || level->wd->fd >= 0)
    return true;
  level->wd->fd = eio_p_open(below->wd, "..", O_RDONLY | O_DIRECTORY | EIO_O_PATH, 0);
  if (level->wd->fd < 0)
    return false;
  if (fstat(level->wd->fd, &st) == 0 && st.st_dev == level->dev && st.st_ino == level->ino)
    return true;
  close(level->wd->fd);
  level->wd->fd = -1;
  return false;
}

/* All that is in an open directory, in an order that is good for its inodes. */
static struct eio_dents *read_entries(struct eio_p_dir *dir, const eio_req *req)
{
  struct eio__list list = { 0 };
  struct eio_dents *dents = NULL;

  if (eio__list_read(&list, dir, req) == 0)
    dents = eio__list_finish(&list);
  eio__list_free(&list);
  if (dents)
    eio__dents_sort(dents->list, dents->count, false, true);
  return dents;
}

static bool push(struct tree *tree, eio_wd *wd, struct eio_dents *dents)
{
  if (tree->depth == tree->room) {
    size_t room = tree->room ? 2 * tree->room : 16;
    struct level *levels = realloc(tree->levels, room * sizeof *levels);

    if (!levels)
      return false;
    tree->levels = levels;
    tree->room = room;
  }
  if (tree->depth > WINDOW + 1) /* the root stays open */
    level_suspend(&tree->levels[tree->depth - 1 - WINDOW]);
  tree->levels[tree->depth++] = (struct level){ .wd = wd, .dents = dents };
  return true;
}

static void pop(struct tree *tree)
{
  struct level *level = &tree->levels[--tree->depth];

  eio_wd_unref(level->wd);
  free(level->dents);
}

static int open_directory(struct tree *tree, const eio_wd *wd, const char *name)
{
  int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK;
  int fd = eio_p_open(wd, name, flags, 0);

  if (fd >= 0 || (errno != EMFILE && errno != ENFILE))
    return fd;
  for (size_t i = 1; i + 1 < tree->depth; i++)
    level_suspend(&tree->levels[i]);
  return eio_p_open(wd, name, flags, 0);
}

/* Makes a directory the current one; -1 when that cannot be. */
static int enter(struct tree *tree, const eio_wd *wd, const char *name)
{
  struct eio_dents *dents;
  struct eio_p_dir dir;
  eio_wd *below = NULL;
  int fd = open_directory(tree, wd, name), error;

  if (fd < 0 || eio_p_dir_fdopen(&dir, fd) < 0)
    return -1;
  dents = read_entries(&dir, tree->req);
  if (dents)
    below = eio_p_wd(eio_p_dir_detach(&dir), wd, name);
  else {
    error = errno;
    eio_p_dir_close(&dir);
    errno = error;
  }
  if (below && push(tree, below, dents))
    return 0;
  error = errno;
  eio_wd_unref(below);
  free(dents);
  errno = error;
  return -1;
}

/* Back up from an emptied directory, which is removed. When the directories
 * above are no longer there, it goes on with the next that is. */
static void leave(struct tree *tree)
{
  struct level *above = current(tree) - 1;
  bool found = level_resume(above, current(tree));

  pop(tree);
  if (found)
    eio_p_rmdir(above->wd, eio_dent_name(above->dents, &above->dents->list[above->next - 1]));
  else
    while (current(tree)->wd->fd < 0)
      pop(tree);
}

/* Removes an entry of the current directory, or enters it. Failures show when
 * the directory itself cannot be removed. */
static void take(struct tree *tree, const struct eio_dent *dent)
{
  struct level *level = current(tree);
  const char *name = eio_dent_name(level->dents, dent);
  bool directory = dent->type == EIO_DT_DIR;
  struct stat st;

  if (dent->type == EIO_DT_UNKNOWN && eio_p_stat(level->wd, name, &st, false) == 0)
    directory = S_ISDIR(st.st_mode);
  if (!directory) {
    if (eio_p_unlink(level->wd, name) == 0 || (errno != EISDIR && errno != EPERM))
      return;
  }
  if (enter(tree, level->wd, name) == 0)
    return;
  if (eio_p_rmdir(level->wd, name) < 0 && errno == ENOTDIR) /* somebody exchanged it */
    eio_p_unlink(level->wd, name);
}

static int remove_contents(struct tree *tree)
{
  for (;;) {
    struct level *level = current(tree);

    if (cancelled(tree->req))
      return -1;
    if (level->next < level->dents->count)
      take(tree, &level->dents->list[level->next++]);
    else if (tree->depth > 1)
      leave(tree);
    else
      return 0;
  }
}

/* "link/" would be followed. */
static char *without_slashes(const char *path)
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

/* False when it makes no sense to try and remove the directory itself. */
static bool empty_tree(struct tree *tree)
{
  const eio_req *req = tree->req;
  char *path = without_slashes(req->path ? req->path : "");
  bool emptied = false;
  int error;

  if (!path)
    return false;
  if (enter(tree, req->wd, path) == 0)
    emptied = remove_contents(tree) == 0;
  else
    emptied = errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ECANCELED;
  error = errno;
  while (tree->depth)
    pop(tree);
  free(tree->levels);
  free(path);
  errno = error;
  return emptied;
}

int64_t eio_x_rmtree(eio_req *req)
{
  struct tree tree = { .req = req };

  return empty_tree(&tree) ? eio_x_rmdir(req) : -1;
}
