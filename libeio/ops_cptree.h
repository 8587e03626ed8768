/* ops_cptree.h - what the files of a copy of trees share. */
#ifndef EIO_OPS_CPTREE_H
#define EIO_OPS_CPTREE_H

#include "ops_copy.h"
#include "ops_errors.h"
#include "ops_links.h"
#include "ops_tree.h"
#include "ops_whole.h"

/* The other side of a directory, which belongs to its walker; names are looked up in it by
 * descriptor, too. */
struct eio__side {
  eio_wd *wd;      /* -1: suspended, or lost */
  struct stat from, to;
  bool made;       /* by this copy, for nobody else: it gets its mode when it is left */
  bool local;      /* closing a file tells nothing */
  bool no_acl;     /* gives none to what is made in it */
  struct eio__attrs attrs;
};

struct eio__cptree {
  struct eio__tree tree; /* first */
  eio_req *req;
  char *source, *target;  /* without slashes at their ends */
  int existing;           /* EIO_CP_... */
  struct eio__errors errors;
  struct eio__links links;
  struct eio__ways ways;
  struct eio__side *root; /* of the target, while it is open; it never moves */
};

/* An entry that is no directory, on its way. */
struct eio__item {
  struct eio__cptree *cp;
  struct eio__dir *dir;         /* where it is; NULL: it is the root itself */
  const struct eio__side *side; /* likewise */
  const eio_wd *from_wd, *wd;
  const char *from, *name;
  const char *what;             /* is being done */
  struct stat st;
  int in, out;                  /* open, or -1 */
  const void *data;             /* what it is made from */
  char *temp;                   /* its name while it is made */
};

/* ops_cpitem.c: copies one; 0, or -1 with errno, and `what` says with what it failed. */
int eio__item_copy(struct eio__item *item, int type);

#endif
