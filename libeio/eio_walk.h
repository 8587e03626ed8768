/* eio_walk.h - walks through trees, whose entries come in batches; part of eio.h.
 *
 * A walk is executed in steps, each a request of operation EIO_WALK. A step takes the
 * directories that wait, last found first, and goes on until its batch is full; what is
 * left waits for the next. The owner takes a batch and asks for more steps:
 *
 *     step = eio_walk_begin(wd, path, &options)     then a request, with it as buf
 *     callback: look at the step's entries
 *               while ((more = eio_walk_more(step)))  a request for each
 *               over = eio_walk_over(step)
 *
 * So as many batches are under way as steps are useful, no more than `parallel`: an owner
 * who is slow holds the walk up, and who stops asking ends it. Steps are as any other
 * request for priorities, limits, engines, cancel and forks. The walk is freed with the last
 * step, and a step with its request.
 *
 * Every name is looked up relative to the open directory that it was read from, and no
 * directory is entered by a symbolic link unless that is asked for: who exchanges directories
 * meanwhile leads the walk nowhere. Of the directories that are not done, up to some tens are
 * open. Those that are closed meanwhile are found again by "..", or by their names, if they are
 * the same then (else their entries get ESTALE).
 *
 * Memory is bounded by the batches and by the directories that wait: a directory is read a
 * block at a time, and not further than some thousand directories that it has. */
#ifndef EIO_WALK_H
#define EIO_WALK_H

#include <stdbool.h>

enum { /* struct eio_walk_options: flags */
  EIO_WALK_STAT = 0x01,    /* entries come with what lstat(2) says (FOLLOW: stat(2)) */
  EIO_WALK_LINKS = 0x02,   /* symbolic links come with their text */
  EIO_WALK_FOLLOW = 0x04,  /* what links lead to is told, and entered; ELOOP where it is one that is above */
  EIO_WALK_ONE_FS = 0x08,  /* no directory is entered that is on another file system than the root */
  EIO_WALK_SORT = 0x10,    /* in the order of names, a directory before what is in it; whole directories
                            * are kept in memory then, and there is one step at a time */
  EIO_WALK_HOLD = 0x20,    /* no directory is entered before eio_walk_more(), see `held` */
  EIO_WALK_TOTALS = 0x40,  /* no entries, but totals of directories, those down to max_told */
  EIO_WALK_REMOVE = 0x80,  /* entries are told when they have been removed, or could not be: directories
                            * after what is in them, if that is gone, the root last, with depth 0. The
                            * root's name is not to be a link. Not with FOLLOW or SORT */
  EIO_WALK_KEEP_ROOT = 0x100,
  EIO_WALK_ROOT = 0x200,   /* tells the root, too, with depth 0 and an empty path, whatever it is. It is followed if
                            * its name ends with a slash, or links are. Not with REMOVE */
  EIO_WALK_COUNT = 0x400,  /* only errors are told as entries, the others are counted */
  EIO_WALK_LINES = 0x800,  /* COUNT, and lines of the paths that are counted */
  EIO_WALK_ALL = 0x1000    /* TOTALS: what is no directory is told, too */
};

/* Files with several names that totals have counted. Walks that share it, at a time or one after the other, count each
 * such file once. Any thread; the last reference frees it. */
struct eio_walk_counted;
struct eio_walk_counted *eio_walk_counted_new(void); /* NULL: no memory */
struct eio_walk_counted *eio_walk_counted_ref(struct eio_walk_counted *counted);
void eio_walk_counted_unref(struct eio_walk_counted *counted); /* NULL: nothing */
/* Whether it was made before a fork, in whose child it must not be used: a thread may have been at it. */
bool eio_walk_counted_is_lost(const struct eio_walk_counted *counted);

struct eio_walk_options {
  unsigned flags;
  unsigned types;           /* bits 1 << EIO_DT_... of what shall be told; 0: all */
  uint32_t min_depth, max_depth; /* the entries of the root have depth 1; max_depth 0: no limit, UINT32_MAX: the
                                  * root only, which is not entered */
  uint32_t max_told;        /* TOTALS: the root has depth 0 */
  const char *const *names; /* patterns as of fnmatch(3), ended by NULL: one has to match the name */
  const char *const *prune; /* likewise: directories that are not entered */
  int64_t min_size, max_size; /* octets; max_size -1: no limit */
  double newer, older;      /* last change of the data, seconds since 1970: not before, not after; NaN: no limit */
  unsigned parallel;        /* steps at a time; 0: 1 */
  struct eio_walk_counted *counted; /* TOTALS: shared with other walks, which adds a reference; NULL: with none */
  char line_end;            /* LINES: after each path, which begins with the root's as it is given */
};

struct eio_walk_total {
  uint64_t octets, blocks, entries; /* blocks of 512 octets */
  uint64_t place;           /* of those that are told: how many are before it, as all that is in it */
};

struct eio_walk_entry {
  uint32_t path, path_length; /* below the root, NUL-terminated; see eio_walk_text() */
  uint32_t link, link_length; /* likewise, the text of a symbolic link */
  uint32_t depth;
  int32_t errorno;            /* what went wrong with it; told whatever the options select. A directory that
                               * cannot be entered is told a second time, for that */
  uint8_t type;               /* EIO_DT_... */
  uint8_t hidden;             /* HOLD: not selected, only there to be decided on */
  uint8_t has_link, has_stat;
  uint32_t index;             /* of stats, or totals */
  void *held;                 /* HOLD: not NULL for a directory that is going to be entered */
};

struct eio_walk_step {
  struct eio_walk *walk;      /* private */
  unsigned flags;             /* of the options */
  struct eio_walk_entry *entries;
  uint32_t count;
  char *texts;
  struct stat *stats;
  struct eio_walk_total *totals;
  uint32_t ndirs, nothers;    /* COUNT: those that are no entries */
  char *lines;                /* LINES: nlines octets */
  uint32_t nlines;
  uint32_t lines_room;        /* private */
  uint32_t room, ntexts, texts_room, nindex, index_room; /* private */
  bool begun, ended, delivered;
  struct eio_walk_node *held;
};
#define eio_walk_text(step, offset) ((step)->texts + (offset))
/* Whether there is something to be looked at. */
#define eio_walk_has_some(step) ((step)->count || (step)->ndirs || (step)->nothers)

/* The first step of a walk below a directory, which may be named by a link; keeps a
 * reference to wd, and copies of all else. NULL with ENOMEM. */
struct eio_walk_step *eio_walk_begin(eio_wd *wd, const char *path, const struct eio_walk_options *options);

/* HOLD: a held directory is not to be entered. */
void eio_walk_prune(struct eio_walk_step *step, struct eio_walk_entry *entry);

/* The entries have been looked at. A step that would be of use, or NULL: owner thread. */
struct eio_walk_step *eio_walk_more(struct eio_walk_step *step);

/* Whether that was all; *told: how many entries there were, but errors and hidden ones; -1, with
 * errno, when the root could not be entered, or memory was short. */
bool eio_walk_over(const struct eio_walk_step *step, int64_t *told);

/* For steps that were never submitted. */
void eio_walk_free(struct eio_walk_step *step);

#endif
