/* ops_dir.c - reading directories. */
#include "ops_dir.h"

#include <stdlib.h>
#include <string.h>

/* Building a list -------------------------------------------------------- */

enum { FIRST_ENTRIES = 128, FIRST_NAMES = 2048 };

static struct eio_dent *entries_of(struct eio_dents *block)
{
  return (struct eio_dent *)(block + 1);
}

static bool grow_entries(struct eio__list *list)
{
  size_t room = list->names_only ? 0 : list->room ? 2 * list->room : FIRST_ENTRIES;
  struct eio_dents *block = NULL;

  if (room < UINT32_MAX)
    block = realloc(list->block, sizeof *block + room * sizeof *block->list);
  if (!block) {
    errno = ENOMEM;
    return false;
  }
  if (!list->block)
    *block = (struct eio_dents){ NULL, NULL, 0, 0 };
  list->block = block;
  list->room = room;
  return true;
}

static bool grow_names(struct eio__list *list, size_t more)
{
  uint64_t room = list->names_room ? 2 * (uint64_t)list->names_room : FIRST_NAMES;
  char *names = NULL;

  while (room < list->names_used + more)
    room *= 2;
  if (room <= UINT32_MAX) /* offsets of names have 32 bits */
    names = realloc(list->names, (size_t)room);
  if (!names) {
    errno = ENOMEM;
    return false;
  }
  list->names = names;
  list->names_room = (size_t)room;
  return true;
}

static bool append(struct eio__list *list, const struct eio_p_dirent *entry)
{
  if (!list->block || (!list->names_only && list->block->count == list->room))
    if (!grow_entries(list))
      return false;
  if (list->names_used + entry->len + 1 > list->names_room)
    if (!grow_names(list, entry->len + 1))
      return false;
  if (!list->names_only)
    entries_of(list->block)[list->block->count] = (struct eio_dent){
      .inode = entry->inode,
      .name = (uint32_t)list->names_used,
      .namelen = (uint16_t)entry->len,
      .type = entry->type,
    };
  list->block->count++;
  memcpy(list->names + list->names_used, entry->name, entry->len + 1);
  list->names_used += entry->len + 1;
  list->unknown |= entry->type == EIO_DT_UNKNOWN;
  return true;
}

int eio__list_read(struct eio__list *list, struct eio_p_dir *dir, const eio_req *req)
{
  struct eio_p_dirent entry;

  for (;;) {
    int more;

    if (eio_p_dir_blocks(dir) && eio__cancelled(req)) {
      errno = ECANCELED;
      return -1;
    }
    more = eio_p_dir_next(dir, &entry);
    if (more <= 0)
      return more;
    if (!append(list, &entry))
      return -1;
  }
}

struct eio_dents *eio__list_finish(struct eio__list *list)
{
  struct eio_dents *block;
  size_t entries;

  if (!list->block && !grow_entries(list))
    return NULL;
  entries = sizeof *block + (list->names_only ? 0 : list->block->count * sizeof *block->list);
  block = realloc(list->block, entries + list->names_used);
  if (!block) {
    errno = ENOMEM;
    return NULL;
  }
  list->block = NULL;
  list->room = 0;
  block->list = list->names_only ? NULL : entries_of(block);
  block->names = (char *)block + entries;
  if (list->names_used)
    memcpy((char *)block + entries, list->names, list->names_used);
  return block;
}

int64_t eio__list_leave(struct eio__list *list, eio_req *req)
{
  struct eio_dents *block = eio__list_finish(list);

  if (!block)
    return -1;
  req->buf = block;
  eio__flag_set(req, EIO_FREE_BUF);
  return block->count;
}

void eio__list_free(struct eio__list *list)
{
  int error = errno;

  free(list->block);
  free(list->names);
  errno = error;
}

/* Order ------------------------------------------------------------------ */

enum { SCORE_DIR = 255, SCORE_HIDDEN = 254 };

/* Where the type is unknown the name is a hint: dotted names have suffixes,
 * and files have them; directories are short or hidden. */
static uint8_t likeliness(const struct eio_dent *dent, const char *name)
{
  if (dent->type != EIO_DT_UNKNOWN)
    return dent->type == EIO_DT_DIR ? SCORE_DIR : 0;
  if (*name == '.')
    return SCORE_HIDDEN;
  if (memchr(name, '.', dent->namelen))
    return 0;
  return (uint8_t)(SCORE_HIDDEN - (dent->namelen < SCORE_HIDDEN ? dent->namelen : SCORE_HIDDEN - 1));
}

void eio__list_score(struct eio__list *list)
{
  if (!list->block)
    return;
  for (uint32_t i = 0; i < list->block->count; i++) {
    struct eio_dent *dent = &entries_of(list->block)[i];

    dent->score = likeliness(dent, list->names + dent->name);
  }
}

/* Byte number 0..7 of the inode, 8: the score, highest first. */
static unsigned sort_key(const struct eio_dent *dent, int byte)
{
  return byte == 8 ? 255u - dent->score : (unsigned)(dent->inode >> (8 * byte)) & 255;
}

static void insertion_sort(struct eio_dent *dents, size_t n, bool by_score, bool by_inode)
{
  for (size_t i = 1; i < n; i++) {
    struct eio_dent dent = dents[i];
    size_t j = i;

    for (; j > 0; j--) {
      const struct eio_dent *other = &dents[j - 1];
      bool before = by_score && other->score != dent.score ? other->score < dent.score
                                                           : by_inode && other->inode > dent.inode;
      if (!before)
        break;
      dents[j] = *other;
    }
    dents[j] = dent;
  }
}

/* One pass of a radix sort: stable. */
static void distribute(const struct eio_dent *from, struct eio_dent *to, size_t n, int byte)
{
  size_t start[257] = { 0 };

  for (size_t i = 0; i < n; i++)
    start[sort_key(&from[i], byte) + 1]++;
  for (int key = 0; key < 256; key++)
    start[key + 1] += start[key];
  for (size_t i = 0; i < n; i++)
    to[start[sort_key(&from[i], byte)]++] = from[i];
}

int eio__dents_sort(struct eio_dent *dents, size_t n, bool by_score, bool by_inode)
{
  struct eio_dent *spare, *from = dents, *to;
  uint64_t inodes = 0;
  unsigned scores = 0;

  if (n < 64) {
    insertion_sort(dents, n, by_score, by_inode);
    return 0;
  }
  spare = to = malloc(n * sizeof *spare);
  if (!spare)
    return -1;
  for (size_t i = 1; i < n; i++) { /* bytes that are equal everywhere need no pass */
    inodes |= dents[i].inode ^ dents[0].inode;
    scores |= dents[i].score ^ dents[0].score;
  }
  for (int byte = 0; byte <= 8; byte++) {
    struct eio_dent *swap = from;

    if (byte < 8 ? !by_inode || !(inodes >> (8 * byte) & 255) : !by_score || !scores)
      continue;
    distribute(from, to, n, byte);
    from = to;
    to = swap;
  }
  if (from != dents)
    memcpy(dents, from, n * sizeof *dents);
  free(spare);
  return 0;
}

/* Likely directories come first, in the order of their inodes; the others stay
 * as they are unless that is wanted for all. */
static int order(struct eio__list *list, int flags)
{
  struct eio_dent *dents;
  size_t n, likely = 0;

  if (!list->block)
    return 0;
  dents = entries_of(list->block);
  n = list->block->count;
  if (!(flags & EIO_READDIR_DIRS_FIRST))
    return flags & EIO_READDIR_STAT_ORDER ? eio__dents_sort(dents, n, false, true) : 0;
  eio__list_score(list);
  if (eio__dents_sort(dents, n, true, flags & EIO_READDIR_STAT_ORDER) < 0)
    return -1;
  while (likely < n && dents[likely].score)
    likely++;
  return flags & EIO_READDIR_STAT_ORDER ? 0 : eio__dents_sort(dents, likely, true, true);
}

int64_t eio_x_readdir(eio_req *req)
{
  enum { NEED_ENTRIES = EIO_READDIR_DENTS | EIO_READDIR_DIRS_FIRST | EIO_READDIR_STAT_ORDER };
  struct eio__list list = { .names_only = !(req->arg1 & NEED_ENTRIES) };
  struct eio_p_dir dir;
  int64_t result = -1;
  int error;

  if (eio_p_dir_open(&dir, req->wd, req->path) < 0)
    return -1;
  result = eio__list_read(&list, &dir, req);
  error = errno;
  eio_p_dir_close(&dir);
  errno = error;
  if (result == 0 && (list.names_only || order(&list, req->arg1) == 0)) {
    req->arg1 &= ~EIO_READDIR_FOUND_UNKNOWN;
    if (list.unknown)
      req->arg1 |= EIO_READDIR_FOUND_UNKNOWN;
    result = eio__list_leave(&list, req);
  } else
    result = -1;
  eio__list_free(&list);
  return result;
}
