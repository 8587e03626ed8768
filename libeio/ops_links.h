/* ops_links.h - files with several names, while trees are copied: their names in the copy
 * are to be names of one file again. */
#ifndef EIO_OPS_LINKS_H
#define EIO_OPS_LINKS_H

#include "eio_int.h"

#include <sys/stat.h>

/* A file of the source, and what it has become. All but `state` is its copier's until it is
 * there, and never changes after that. */
struct eio__link {
  struct eio__link *next;
  dev_t dev;          /* which one */
  ino_t ino;
  enum { LINK_BUSY, LINK_THERE, LINK_FAILED } state;
  struct stat to;     /* its copy */
  dev_t dir_dev;      /* the directory of its first name */
  ino_t dir_ino;
  char *path;         /* that name, relative to the root of the copy */
};

/* Only files with several names are in it. Any thread may use it. */
struct eio__links {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  struct eio__link **slots;
  size_t nslots, count;
};

void eio__links_init(struct eio__links *links);
void eio__links_finish(struct eio__links *links);

/* The entry of a file. *first: the caller has to copy it, and to say how that ended; else
 * it is there. Waits while another thread copies it. NULL when there is no memory. */
struct eio__link *eio__links_find(struct eio__links *links, const struct stat *st, bool *first);

/* The first name is there, or is not. */
void eio__links_done(struct eio__links *links, struct eio__link *link, bool there);

#endif
