/* ops_walk.h - what the files of walks (eio_walk.h) share.
 *
 *   ops_walk.c        steps: who walks, and the owner's side
 *   ops_walk_tree.c   directories that wait, and their descriptors
 *   ops_walk_look.c   entries: what is told of them, and where it goes
 *
 * Locks: a walk's lock guards what is marked (L); it is held for no system call. A node is
 * visited by one step at a time, whose the rest is. Marked (O): the owner thread. */
#ifndef EIO_OPS_WALK_H
#define EIO_OPS_WALK_H

#include "eio_plat.h"
#include "ops_dir.h"

/* A directory of the tree that is not done. Those above it stay. */
struct eio_walk_node {
  struct eio_walk_node *up;
  struct eio_walk_node *next;   /* the list that it is in */
  struct eio_walk_node *colder, *warmer; /* (L) of those that are open for their entries */
  eio_wd *wd;                   /* NULL: not opened yet. (L) its descriptor may be closed, -1 */
  dev_t dev;                    /* known before the descriptor is closed for others, */
  ino_t ino;                    /* and where links are followed or file systems matter */
  struct eio_p_dir dir;         /* while it is read */
  struct eio_dents *sorted;     /* or all of it, in order, */
  uint32_t at;                  /* and the next */
  uint32_t depth;
  uint32_t holders;             /* (L) itself, until it has been read, and those below that are not done */
  uint32_t pending;             /* (L) of those, they that have not been opened */
  uint32_t using;               /* (L) who opens something by its descriptor */
  bool reading, idle, link, known;
  bool selected;                /* REMOVE: it is to be removed, */
  atomic_bool kept;             /* unless something in it stays */
  struct eio_walk_total total;  /* (L) */
  struct eio_walk_total own;    /* what its visitor has counted, not yet in total */
  int error;                    /* REMOVE: why it could not be opened */
  bool pruned;                  /* by the owner, before it waits */
  uint16_t length;              /* of the name */
  char name[];                  /* in the one above; the root's is its path */
};

struct eio_walk {
  struct eio_walk_options options;
  bool wants_stat;              /* options look at it */
  eio_wd *wd;                   /* (O) */
  unsigned refs;                /* (O) steps */
  unsigned inflight;            /* (O) of them, those that were not delivered */
  uint64_t told;                /* (O) */
  dev_t dev;                    /* of the root */
  pthread_mutex_t lock;
  struct eio_walk_node *stack;  /* (L) those that wait */
  struct eio_walk_node *coldest, *warmest; /* (L) */
  struct eio_walk_node *dropped; /* (O) held by steps that were */
  atomic_uint nwaiting;         /* (L) on the stack */
  atomic_uint nidle;            /* (L) that are open for their entries */
  atomic_uint unbegun;          /* steps that no thread has begun */
  atomic_uint useful;           /* how many more may be under way */
  atomic_uint busy;             /* steps that are executed just now */
  atomic_ullong ntold;          /* totals */
  atomic_int error;             /* it makes no sense to go on */
};

/* ops_walk_count.c: *first: its file had not been counted. False: there is no memory to remember all. */
bool eio__walk_is_first(struct eio_walk_counted *counted, const struct stat *st, bool *first);

/* ops_walk_tree.c */

/* A directory below `up` (NULL: the root), not yet counted there; NULL with ENOMEM. */
struct eio_walk_node *eio__walk_node(struct eio_walk_node *up, const char *name, size_t length);
/* Puts nodes, linked by next, where others find them; the first is taken first. */
void eio__walk_push(struct eio_walk *walk, struct eio_walk_node *list);
/* The next, or NULL. */
struct eio_walk_node *eio__walk_take(struct eio_walk *walk);
/* Opens one that has been taken, for reading: 0, or -1 with errno; 1: it is not to be entered. */
int eio__walk_open(struct eio_walk *walk, struct eio_walk_node *node);
/* It has been read, or could not be opened; what was found in it may wait for being opened. */
void eio__walk_read(struct eio_walk *walk, struct eio_walk_node *node);
/* Nobody visits it any more, or one below it is done. Whether it is done by that: its totals are complete, and who calls
 * frees it, and goes on with the one above. */
bool eio__walk_done(struct eio_walk *walk, struct eio_walk_node *node);
/* REMOVE: removes one that is done, and all in it: 0, or -1 with errno. */
int eio__walk_rmdir(struct eio_walk *walk, struct eio_walk_node *node, bool really);
void eio__walk_node_free(struct eio_walk_node *node);
/* The walk ends before this one is done: frees it, and those above that nothing else is below. */
void eio__walk_drop(struct eio_walk *walk, struct eio_walk_node *node);

/* ops_walk_look.c */

/* Whether patterns, options and so on of a walk want what lstat says. */
bool eio__walk_wants_stat(const struct eio_walk_options *o);
/* Looks at an entry of a directory. Returns a node when it is to be entered. */
struct eio_walk_node *eio__walk_look(struct eio_walk_step *step, struct eio_walk_node *dir,
                                     const char *name, size_t length, int type);
/* Tells what went wrong with a directory. */
void eio__walk_tell_error(struct eio_walk_step *step, struct eio_walk_node *dir, int error);
/* REMOVE: tells what became of a directory. */
void eio__walk_tell_removed(struct eio_walk_step *step, struct eio_walk_node *dir, int error);
/* Tells the totals of one that is done. */
void eio__walk_tell_total(struct eio_walk_step *step, struct eio_walk_node *dir);
/* Whether the options select the root, if it is a directory. */
bool eio__walk_selects_root(const struct eio_walk_options *o);
/* TOTALS, ROOT: tells the root, or counts its own file, if the options select it. `open`: by its
 * descriptor, or by its name. 1: it is a directory; 0: it is not; -1 with errno. */
int eio__walk_look_at_root(struct eio_walk_step *step, struct eio_walk_node *root, bool open);

#endif
