/* ops_cpdelete.c - removes what a copy of a tree has in its target and the source has not. */
#include "ops_cptree.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int eio__cptree_delete(struct eio__cptree *cp, const struct eio__dir *dir, const eio_wd *wd, const char *name)
{
  const struct eio__side *side = dir ? dir->data : NULL;
  const dev_t *dev = side && side->wd && cp->flags & EIO_CP_ONE_FS ? &side->to.st_dev : NULL;

  if (!(cp->flags & EIO_CP_DRY) && eio__tree_remove(cp->req, wd, name, dev) < 0)
    return -1;
  if (dir && name == (dir->up ? eio__dir_name(dir) : cp->target))
    name = NULL;
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
