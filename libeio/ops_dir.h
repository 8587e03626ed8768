/* ops_dir.h - lists of directory entries while they are made. */
#ifndef EIO_OPS_DIR_H
#define EIO_OPS_DIR_H

#include "eio_plat.h"

/* Starts as all zero, but for names_only. The block has room for `room` entries; names
 * move into it at the end, when their size is known. With names_only the block is but
 * the head: a third of the memory. What malloc gives back to the kernel after each
 * directory costs page faults at the next. */
struct eio__list {
  struct eio_dents *block;
  char *names;
  size_t room, names_room, names_used;
  bool names_only; /* cannot be scored, sorted */
  bool unknown; /* there are entries of unknown type */
};

/* Appends all that is left in a directory; ECANCELED when the request was. */
int eio__list_read(struct eio__list *list, struct eio_p_dir *dir, const eio_req *req);

/* Sets the scores: how likely an entry is a directory, 0 is not. */
void eio__list_score(struct eio__list *list);

/* Sorts `n` entries by score, highest first, by inode number, or by both;
 * what neither decides stays in its order. */
int eio__dents_sort(struct eio_dent *dents, size_t n, bool by_score, bool by_inode);

/* The finished block, malloc'ed; the list is left empty of entries. */
struct eio_dents *eio__list_finish(struct eio__list *list);

/* Leaves the finished block in req->buf and returns the number of entries. */
int64_t eio__list_leave(struct eio__list *list, eio_req *req);

/* Keeps errno. */
void eio__list_free(struct eio__list *list);

#endif
