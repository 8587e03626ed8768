/* ops_walk_count.c - files with several names, each counted once, in one walk or in several that share them. */
#include "ops_walk.h"

#include <stdlib.h>
#include <unistd.h>

/* Open addressing. */
struct table {
  size_t size, used; /* a power of two */
  struct { dev_t dev; ino_t ino; bool taken; } files[];
};

struct eio_walk_counted {
  pthread_mutex_t lock;
  atomic_uint refs;
  pid_t pid;
  struct table *table; /* (L) NULL: nothing yet */
};

struct eio_walk_counted *eio_walk_counted_new(void)
{
  struct eio_walk_counted *counted = calloc(1, sizeof *counted);

  if (!counted)
    return NULL;
  eio_p_mutex_init(&counted->lock);
  atomic_init(&counted->refs, 1);
  counted->pid = getpid();
  return counted;
}

struct eio_walk_counted *eio_walk_counted_ref(struct eio_walk_counted *counted)
{
  atomic_fetch_add(&counted->refs, 1);
  return counted;
}

void eio_walk_counted_unref(struct eio_walk_counted *counted)
{
  if (!counted || atomic_fetch_sub(&counted->refs, 1) != 1)
    return;
  free(counted->table);
  pthread_mutex_destroy(&counted->lock);
  free(counted);
}

bool eio_walk_counted_is_lost(const struct eio_walk_counted *counted)
{
  return counted->pid != getpid();
}

static bool insert(struct table *table, dev_t dev, ino_t ino)
{
  size_t i = (size_t)(((uint64_t)ino * 0x9e3779b97f4a7c15u ^ (uint64_t)dev * 0xff51afd7ed558ccdu) >> 20);

  for (;; i++) {
    i &= table->size - 1;
    if (!table->files[i].taken)
      break;
    if (table->files[i].ino == ino && table->files[i].dev == dev)
      return false;
  }
  table->files[i].taken = true;
  table->files[i].dev = dev;
  table->files[i].ino = ino;
  table->used++;
  return true;
}

/* Room for one more, in which a table that is half full is quick; false: no memory for that. */
static bool grow(struct eio_walk_counted *counted)
{
  struct table *old = counted->table, *table;
  size_t size = old ? 2 * old->size : 256;

  if (old && old->used < old->size / 2)
    return true;
  table = calloc(1, sizeof *table + size * sizeof *table->files);
  if (!table)
    return false;
  table->size = size;
  for (size_t i = 0; old && i < old->size; i++)
    if (old->files[i].taken)
      insert(table, old->files[i].dev, old->files[i].ino);
  free(old);
  counted->table = table;
  return true;
}

bool eio__walk_is_first(struct eio_walk_counted *counted, const struct stat *st, bool *first)
{
  bool grown;

  *first = true;
  pthread_mutex_lock(&counted->lock);
  grown = grow(counted);
  if (counted->table && counted->table->used < counted->table->size - 1)
    *first = insert(counted->table, st->st_dev, st->st_ino);
  pthread_mutex_unlock(&counted->lock);
  return grown;
}
