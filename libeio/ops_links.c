/* ops_links.c - files with several names: see ops_links.h. */
#include "ops_links.h"

#include <stdlib.h>

enum { FIRST_SLOTS = 64 };

void eio__links_init(struct eio__links *links)
{
  *links = (struct eio__links){ .slots = NULL };
  pthread_mutex_init(&links->lock, NULL);
  pthread_cond_init(&links->changed, NULL);
}

void eio__links_finish(struct eio__links *links)
{
  for (size_t i = 0; i < links->nslots; i++)
    while (links->slots[i]) {
      struct eio__link *link = links->slots[i];

      links->slots[i] = link->next;
      free(link->path);
      free(link);
    }
  free(links->slots);
  pthread_cond_destroy(&links->changed);
  pthread_mutex_destroy(&links->lock);
}

static size_t slot(dev_t dev, ino_t ino, size_t nslots)
{
  uint64_t x = ((uint64_t)ino ^ (uint64_t)dev << 40) * UINT64_C(0x9e3779b97f4a7c15);

  return (size_t)(x >> 32) & (nslots - 1);
}

/* Room for one more. */
static bool grow(struct eio__links *links)
{
  size_t nslots = links->nslots ? 2 * links->nslots : FIRST_SLOTS;
  struct eio__link **slots;

  if (links->count < links->nslots)
    return true;
  slots = calloc(nslots, sizeof *slots);
  if (!slots)
    return links->nslots > 0;
  for (size_t i = 0; i < links->nslots; i++)
    while (links->slots[i]) {
      struct eio__link *link = links->slots[i], **to = &slots[slot(link->dev, link->ino, nslots)];

      links->slots[i] = link->next;
      link->next = *to;
      *to = link;
    }
  free(links->slots);
  links->slots = slots;
  links->nslots = nslots;
  return true;
}

/* Lock held. */
static struct eio__link *find(struct eio__links *links, const struct stat *st, bool *first)
{
  struct eio__link *link = NULL, **to;

  if (!grow(links))
    return NULL;
  to = &links->slots[slot(st->st_dev, st->st_ino, links->nslots)];
  for (link = *to; link; link = link->next)
    if (link->ino == st->st_ino && link->dev == st->st_dev)
      break;
  while (link && link->state == LINK_BUSY) /* (entries stay where the table grows) */
    pthread_cond_wait(&links->changed, &links->lock);
  *first = !link || link->state == LINK_FAILED;
  if (!link && (link = calloc(1, sizeof *link))) {
    link->next = *to;
    link->dev = st->st_dev;
    link->ino = st->st_ino;
    *to = link;
    links->count++;
  }
  if (link && *first)
    link->state = LINK_BUSY;
  return link;
}

struct eio__link *eio__links_find(struct eio__links *links, const struct stat *st, bool *first)
{
  struct eio__link *link;

  pthread_mutex_lock(&links->lock);
  link = find(links, st, first);
  pthread_mutex_unlock(&links->lock);
  return link;
}

void eio__links_done(struct eio__links *links, struct eio__link *link, bool there)
{
  pthread_mutex_lock(&links->lock);
  link->state = there ? LINK_THERE : LINK_FAILED;
  pthread_cond_broadcast(&links->changed);
  pthread_mutex_unlock(&links->lock);
}
