/* ops_cpdelete.c - removes what a copy of a tree has in its target and the source has not. */
#include "ops_cptree.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int guard(struct eio__cptree *cp, const struct stat *st)
{
  struct eio__place *more = realloc(cp->guarded, (cp->nguarded + 1) * sizeof *more);

  if (!more)
    return -1;
  more[cp->nguarded++] = (struct eio__place){ st->st_dev, st->st_ino };
  cp->guarded = more;
  return 0;
}

/* The target may be a name of what the source is in, by a mount, say: so they are known by device and inode. What
 * cannot be looked into from the source is not known. */
int eio__cptree_guard(struct eio__cptree *cp, const eio_wd *root)
{
  const eio_wd *at = root;
  eio_wd *up = NULL;
  struct stat st;
  int result = 0;

  while (result == 0 && eio_p_stat(at, ".", &st, false) == 0) {
    int fd;

    if (cp->nguarded && st.st_dev == cp->guarded[cp->nguarded - 1].dev && st.st_ino == cp->guarded[cp->nguarded - 1].ino)
      break; /* the top */
    result = guard(cp, &st);
    fd = result == 0 ? eio_p_open(at, "..", O_RDONLY | O_DIRECTORY | EIO_O_PATH, 0) : -1;
    if (fd < 0)
      break;
    at = eio_p_wd(fd, at, "..");
    eio_wd_unref(up);
    up = (eio_wd *)at;
    result = at ? 0 : -1;
  }
  if (up)
    eio_wd_unref(up);
  return result;
}

static bool is_guarded(const struct eio__cptree *cp, const eio_wd *wd, const char *name)
{
  struct stat st;

  if (!cp->nguarded || eio_p_stat(wd, name, &st, false) < 0 || !S_ISDIR(st.st_mode))
    return false;
  for (size_t i = 0; i < cp->nguarded; i++)
    if (st.st_dev == cp->guarded[i].dev && st.st_ino == cp->guarded[i].ino)
      return true;
  return false;
}

int eio__cptree_delete(struct eio__cptree *cp, const struct eio__dir *dir, const eio_wd *wd, const char *name)
{
  const struct eio__side *side = dir ? dir->data : NULL;
  const dev_t *dev = side && side->wd && cp->flags & EIO_CP_ONE_FS ? &side->to.st_dev : NULL;

  if (is_guarded(cp, wd, name)) {
    errno = EINVAL;
    return -1;
  }
  if (!(cp->flags & EIO_CP_DRY) && eio__tree_remove(cp->req, wd, name, dev) < 0)
    return -1;
  eio__cptree_did(cp, EIO_DONE_DELETED, "delete", dir, name);
  return 0;
}

static int compare(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names in a directory, sorted; NULL without memory. */
static const char **names_in(const struct eio_dents *dents)
{
  const char **names = malloc((dents->count + 1u) * sizeof *names);

  if (!names)
    return NULL;
  for (uint32_t i = 0; i < dents->count; i++)
    names[i] = eio_dent_name(dents, &dents->list[i]);
  qsort(names, dents->count, sizeof *names, compare);
  return names;
}

/* All that is in the target's directory; NULL with errno. */
static struct eio_dents *read_side(const struct eio__cptree *cp, const struct eio__side *side)
{
  struct eio__list list = { .names_only = false };
  struct eio_dents *dents = NULL;
  struct eio_p_dir p;
  int fd = eio_p_open(side->wd, ".", O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0), error;

  if (fd < 0 || eio_p_dir_fdopen(&p, fd) < 0)
    return NULL;
  if (eio__list_read(&list, &p, cp->req) == 0)
    dents = eio__list_finish(&list);
  error = errno;
  eio__list_free(&list);
  eio_p_dir_close(&p);
  errno = error;
  return dents;
}

void eio__cptree_delete_others(struct eio__cptree *cp, struct eio__dir *dir)
{
  const struct eio__side *side = dir->data;
  struct eio_dents *dents = read_side(cp, side);
  const char **names = dents ? names_in(dir->dents) : NULL;

  if (!names)
    eio__cptree_tell(cp, "readdir", dir, NULL);
  for (uint32_t i = 0; names && i < dents->count && !eio__tree_cancelled(&cp->tree); i++) {
    const char *name = eio_dent_name(dents, &dents->list[i]);

    if (!bsearch(&name, names, dir->dents->count, sizeof *names, compare)
        && eio__cptree_delete(cp, dir, side->wd, name) < 0)
      eio__cptree_tell(cp, "delete", dir, name);
  }
  free(names);
  free(dents);
}
