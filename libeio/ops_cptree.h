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
  eio_wd *wd;      /* -1: suspended, or lost; NULL: DRY, it is not there */
  struct stat from, to;
  bool made;       /* by this copy, for nobody else: it gets its mode when it is left */
  bool local;      /* closing a file tells nothing */
  bool stays;      /* open */
  bool no_acl;     /* gives none to what is made in it */
  struct eio__attrs attrs;
};

struct eio__place {
  dev_t dev;
  ino_t ino;
};

struct eio__cptree {
  struct eio__tree tree; /* first */
  eio_req *req;
  char *source, *target;  /* without slashes at their ends */
  int existing, flags;    /* EIO_CP_... */
  dev_t dev;              /* of the source's root */
  struct eio__errors errors;
  struct eio__links links;
  struct eio__ways ways;
  struct eio__place *guarded; /* DELETE: the source's root, and the directories that it is in */
  size_t nguarded;
  bool move;              /* what has been copied is removed in the end */
  time_t began;           /* likewise */
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
  const char *did;              /* what has been; NULL: nothing was to be done */
  struct stat st;
  int in, out;                  /* open, or -1 */
  const void *data;             /* what it is made from */
  char *temp;                   /* its name while it is made */
};

/* ops_cpitem.c: copies one; 0, or -1 with errno, and `what` says with what it failed. */
int eio__item_copy(struct eio__item *item, int type);

/* Whether a target that is there needs no copy of what has been looked at: type, size, exact
 * times, text. */
bool eio__item_is_same(const struct eio__item *item, const struct stat *to);

/* ops_cptree.c ------------------------------------------------------------ */

/* A copy for a request; it has to be run, or dropped. NULL with errno. */
struct eio__cptree *eio__cptree_new(eio_req *req);
/* What the execute function returns. */
int64_t eio__cptree_run(struct eio__cptree *cp);
int64_t eio__cptree_drop(struct eio__cptree *cp);

/* Adds errno to the errors, unless it is ECANCELED. dir NULL: the root itself. */
void eio__cptree_tell(struct eio__cptree *cp, const char *what, const struct eio__dir *dir, const char *name);

/* Something is done. */
void eio__cptree_did(struct eio__cptree *cp, enum eio_done kind, const char *what, const struct eio__dir *dir, const char *name);

/* ops_cpdelete.c: finds out what may not be removed, from the source's root on: 0, or -1 with errno. */
int eio__cptree_guard(struct eio__cptree *cp, const eio_wd *root);
/* Removes what is in the way, or what the source does not have: 0, or -1 with errno; EINVAL: the source would be gone. */
int eio__cptree_delete(struct eio__cptree *cp, const struct eio__dir *dir, const eio_wd *wd, const char *name);
/* DELETE: all of the target's directory that the source's does not have; errors are told. */
void eio__cptree_delete_others(struct eio__cptree *cp, struct eio__dir *dir);

/* Opens the other side of a directory, which is there; `data` is empty. */
int eio__side_open(struct eio__cptree *cp, struct eio__dir *dir, const eio_wd *wd, const char *name);
/* A directory is left: that of the one above is open again, or it is lost, which is told. */
void eio__side_leave(struct eio__cptree *cp, struct eio__dir *dir, struct eio__dir *up);
void eio__side_suspended(struct eio__dir *dir);
void eio__side_free(struct eio__side *side);

/* ops_mvtree.c: removes what has been copied. */
void eio__mvtree_remove(struct eio__cptree *cp);

#endif
