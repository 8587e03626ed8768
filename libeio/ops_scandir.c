/* ops_scandir.c - a directory's entries by kind. */
#include "eio_parts.h"
#include "ops_dir.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The types of entries that have none are asked for in parts: each looks at the next, until
 * there is none, and calls for help when somebody has nothing to do. */
enum { ALL = INT_MAX / 2 /* helpers: as many as there are */ };

struct scan {
  struct eio_parts parts; /* first */
  eio_req *req;
  eio_wd *wd;
  struct eio_dents *dents;  /* each entry belongs to the one who has got its number */
  _Atomic uint32_t next;    /* the number of the next */
  struct stat before;       /* what the directory was before */
  _Atomic uint32_t total;   /* how many directories are in it; UINT32_MAX: not known */
  _Atomic uint32_t found;   /* how many of them have been seen */
  atomic_bool enough;       /* the others are no directories */
  atomic_int more;          /* how many more may look at a time */
};

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

/* Whether nobody needs to look any further. */
static bool is_enough(struct scan *scan)
{
  if (atomic_load(&scan->found) != atomic_load(&scan->total))
    return atomic_load(&scan->enough);
  if (unchanged(scan->wd, &scan->before)) /* all directories are known, unless some came */
    atomic_store(&scan->enough, true);
  else
    atomic_store(&scan->total, UINT32_MAX);
  return atomic_load(&scan->enough);
}

static void look(struct scan *scan);

static void run_helper(struct eio_part *part)
{
  struct scan *scan = (struct scan *)part->of;

  free(part);
  look(scan);
  atomic_fetch_add(&scan->more, 1);
}

static void call_for_help(struct scan *scan)
{
  struct eio_part *part = malloc(sizeof *part);

  if (!part)
    return;
  part->run = run_helper;
  if (atomic_fetch_sub(&scan->more, 1) > 0 && eio__parts_give(&scan->parts, part))
    return;
  atomic_fetch_add(&scan->more, 1);
  free(part);
}

/* Finds the types of entries that have none. What vanished keeps none. */
static void look(struct scan *scan)
{
  uint64_t began = eio_p_now(), done = 0;
  uint32_t i, count = scan->dents->count;
  int type;

  while ((i = atomic_fetch_add(&scan->next, 1)) < count) {
    struct eio_dent *dent = &scan->dents->list[i];

    eio__made(scan->req, 1);
    if (dent->type != EIO_DT_UNKNOWN)
      continue;
    if (eio__cancelled(scan->req) || is_enough(scan))
      return;
    if (count - i > 1 && atomic_load(&scan->more) > 0 && eio__parts_wanted(&scan->parts, began, done, (count - i) / 2))
      call_for_help(scan);
    type = eio_p_type(scan->wd, eio_dent_name(scan->dents, dent));
    if (type >= 0)
      dent->type = (uint8_t)type;
    if (dent->type == EIO_DT_DIR)
      atomic_fetch_add(&scan->found, 1);
    done++;
  }
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

static void free_scan(struct scan *scan)
{
  int error = errno;

  eio_wd_unref(scan->wd);
  free(scan->dents);
  free(scan);
  errno = error;
}

static int64_t leave(eio_req *req, struct eio_dents *dents)
{
  req->buf = dents;
  eio__flag_set(req, EIO_FREE_BUF);
  return dents->count;
}

static int64_t end(struct eio_parts *parts)
{
  struct scan *scan = (struct scan *)parts;
  int64_t result = -1;

  if (eio__cancelled(scan->req))
    errno = ECANCELED;
  else if (split(scan->dents) < 0)
    errno = ENOMEM;
  else {
    result = leave(scan->req, scan->dents);
    scan->dents = NULL;
  }
  free_scan(scan);
  return result;
}

/* Asks for types, likely directories first; unit: what that may take. Takes list and directory. */
static int64_t find_types(struct eio__list *list, struct eio_p_dir *dir, eio_req *req, uint64_t unit)
{
  struct scan *scan = calloc(1, sizeof *scan);
  int fd = eio_p_dir_detach(dir);

  if (!scan) {
    close(fd);
    errno = ENOMEM;
    return -1;
  }
  scan->req = req;
  scan->wd = eio_p_wd(fd, req->wd, req->path);
  if (scan->wd) {
    eio__list_score(list);
    scan->dents = eio__list_finish(list);
  }
  if (!scan->dents || eio__dents_sort(scan->dents->list, scan->dents->count, true, true) < 0) {
    free_scan(scan);
    return -1;
  }
  eio__whole(req, scan->dents->count);
  atomic_init(&scan->total, count_by_links(scan->wd, &scan->before));
  for (uint32_t i = 0; i < scan->dents->count; i++)
    scan->found += scan->dents->list[i].type == EIO_DT_DIR;
  atomic_init(&scan->more, req->size && req->size < ALL ? (int)req->size - 1 : ALL);
  eio__parts_begin(&scan->parts, req, end, unit);
  look(scan);
  return eio__parts_end(&scan->parts);
}

/* All entries have a type. */
static int64_t finish(struct eio__list *list, eio_req *req)
{
  struct eio_dents *dents = eio__list_finish(list);

  if (dents && split(dents) == 0)
    return leave(req, dents);
  free(dents);
  errno = ENOMEM;
  return -1;
}

int64_t eio_x_scandir(eio_req *req)
{
  struct eio__list list = { 0 };
  struct eio_p_dir dir;
  uint64_t began = eio_p_now();
  int64_t result = -1;
  int error;

  if (eio_p_dir_open(&dir, req->wd, req->path) < 0)
    return -1;
  if (eio__list_read(&list, &dir, req) < 0) {
    error = errno;
    eio_p_dir_close(&dir);
    errno = error;
  } else if (list.unknown) /* to open and to read it were two calls, at least */
    result = find_types(&list, &dir, req, (eio_p_now() - began) / 2);
  else {
    eio_p_dir_close(&dir);
    result = finish(&list, req);
  }
  eio__list_free(&list);
  return result;
}
