/* ops_walk.c - walks in steps: see eio_walk.h. */
#include "ops_walk.h"

#include <stdlib.h>
#include <string.h>

/* A batch is full with so many entries, so many octets of text, or after as many nanoseconds. */
enum { FULL_ENTRIES = 1000, FULL_TEXTS = 256 * 1024 };
#define FULL_NS 5000000u

/* No more of a directory is read while as many directories that were found in it wait. */
enum { CHILDREN_MAX = 4096 };

/* Where nothing is asked of entries but their names, one in so many looks at the clock. */
enum { LOOKS = 64 };

/* Steps: what a thread does --------------------------------------------------- */

struct stepper {
  struct eio_walk_step *step;
  const eio_req *req;
  uint64_t began;
  unsigned looks;
  bool over; /* this step is */
};

/* Asked before each entry, and for each directory (`always`). */
static bool is_over(struct stepper *s, bool always)
{
  const struct eio_walk_step *step = s->step;
  struct eio_walk *walk = step->walk;

  if (s->over || step->count >= FULL_ENTRIES || step->ntexts >= FULL_TEXTS || step->nlines >= FULL_TEXTS
      || (step->held && walk->options.flags & EIO_WALK_SORT))
    return s->over = true;
  if (!always && !walk->wants_stat && ++s->looks % LOOKS)
    return false;
  if (eio__cancelled(s->req) || atomic_load_explicit(&walk->error, memory_order_relaxed))
    return s->over = true;
  if (eio_p_now() - s->began >= FULL_NS)
    s->over = eio_walk_has_some(step) || (atomic_load_explicit(&walk->useful, memory_order_relaxed)
                              && atomic_load_explicit(&walk->nwaiting, memory_order_relaxed) > 1);
  return s->over;
}

/* Keeps what was found: for the stack, or for the owner to decide on. */
static void keep(struct stepper *s, struct eio_walk_node **list, struct eio_walk_node *node)
{
  bool hold = s->step->walk->options.flags & EIO_WALK_HOLD;

  if (hold)
    list = &s->step->held;
  node->next = *list;
  *list = node;
}

/* Adds up what was seen in a directory. */
static void add_totals(struct eio_walk *walk, struct eio_walk_node *dir, unsigned nchildren)
{
  pthread_mutex_lock(&walk->lock);
  dir->holders += nchildren;
  dir->pending += nchildren;
  dir->total.octets += dir->own.octets;
  dir->total.blocks += dir->own.blocks;
  dir->total.entries += dir->own.entries;
  pthread_mutex_unlock(&walk->lock);
  dir->own = (struct eio_walk_total){ .entries = 0 };
}

static void strip_slashes(struct eio_walk_node *root)
{
  size_t length = strlen(root->name);

  while (length > 1 && root->name[length - 1] == '/')
    root->name[--length] = 0;
}

/* What is sorted: a name, and which entry has it. */
struct named {
  const char *name;
  uint32_t entry;
};

static int compare(const void *a, const void *b)
{
  return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static bool sort_by_name(struct eio_dents *dents)
{
  struct named *names = malloc(dents->count * sizeof *names);
  struct eio_dent *sorted = malloc(dents->count * sizeof *sorted);
  bool have = names && sorted;

  if (have) {
    for (uint32_t i = 0; i < dents->count; i++)
      names[i] = (struct named){ eio_dent_name(dents, &dents->list[i]), i };
    qsort(names, dents->count, sizeof *names, compare);
    for (uint32_t i = 0; i < dents->count; i++)
      sorted[i] = dents->list[names[i].entry];
    memcpy(dents->list, sorted, dents->count * sizeof *sorted);
  }
  free(names);
  free(sorted);
  return have;
}

/* Reads all of a directory, and has its entries in order; those before an error, with one. Those that are removed
 * in the order of their inodes; who removes while he reads may miss some. */
static int list_entries(struct stepper *s, struct eio_walk_node *dir)
{
  struct eio__list list = { 0 };
  struct eio_walk *walk = s->step->walk;
  int result = eio__list_read(&list, &dir->dir, s->req), error = errno;

  dir->sorted = eio__list_finish(&list);
  eio__list_free(&list);
  if (dir->sorted && walk->options.flags & EIO_WALK_REMOVE)
    eio__dents_sort(dir->sorted->list, dir->sorted->count, false, true);
  else if (!dir->sorted || (dir->sorted->count && !sort_by_name(dir->sorted)))
    atomic_store(&walk->error, ENOMEM);
  errno = error;
  return result;
}

/* The next entry of a directory: 1, 0 at its end, -1 with errno. */
static int next_entry(struct eio_walk_node *dir, struct eio_p_dirent *entry)
{
  const struct eio_dent *dent;

  if (!dir->sorted)
    return eio_p_dir_next(&dir->dir, entry);
  if (dir->at == dir->sorted->count)
    return 0;
  dent = &dir->sorted->list[dir->at++];
  *entry = (struct eio_p_dirent){ eio_dent_name(dir->sorted, dent), dent->namelen, dent->inode, dent->type };
  return 1;
}

/* Looks at a directory that is open, as far as it gets. Returns whether that was all of it; it
 * waits, else, before or after what was found in it. */
static bool look_through(struct stepper *s, struct eio_walk_node *dir)
{
  struct eio_walk *walk = s->step->walk;
  struct eio_walk_node *found = NULL;
  bool sort = walk->options.flags & EIO_WALK_SORT;
  unsigned nchildren = 0, most = sort ? 1 : CHILDREN_MAX, looked = 0;
  struct eio_p_dirent entry;
  int more = 1;

  while (nchildren < most && !is_over(s, false) && (more = next_entry(dir, &entry)) > 0) {
    struct eio_walk_node *node = eio__walk_look(s->step, dir, entry.name, entry.len, entry.type);

    looked++;
    if (node) {
      keep(s, &found, node);
      nchildren++;
    }
  }
  if (more < 0)
    eio__walk_tell_error(s->step, dir, errno);
  add_totals(walk, dir, nchildren);
  eio__made(s->req, looked);
  if (more > 0 && !s->over) { /* enough was found: first that */
    dir->next = NULL;
    eio__walk_push(walk, dir);
  }
  eio__walk_push(walk, found);
  if (more > 0 && s->over)
    eio__walk_push(walk, dir); /* first, what is in it would have too many open */
  return more <= 0;
}

/* ROOT: looks at what is named. Whether the root is to be opened. */
static bool look_at_root(struct stepper *s, struct eio_walk_node *dir)
{
  struct eio_walk *walk = s->step->walk;
  int found = dir->up || !(walk->options.flags & EIO_WALK_ROOT) ? 1 : eio__walk_look_at_root(s->step, dir, false);

  if (found < 0)
    atomic_store(&walk->error, errno);
  return found > 0 && (dir->up || walk->options.max_depth != UINT32_MAX);
}

static bool open_first(struct stepper *s, struct eio_walk_node *dir)
{
  struct eio_walk *walk = s->step->walk;
  int opened = look_at_root(s, dir) ? eio__walk_open(walk, dir) : 1;

  if (!dir->up)
    dir->selected = !(walk->options.flags & EIO_WALK_KEEP_ROOT) && eio__walk_selects_root(&walk->options);
  if (opened < 0) {
    if (!dir->up && !(walk->options.flags & EIO_WALK_ROOT))
      atomic_store(&walk->error, errno);
    else if (dir->selected)
      dir->error = errno;
    else
      eio__walk_tell_error(s->step, dir, errno);
  }
  if (opened > 0 || (opened < 0 && !dir->up))
    dir->kept = true; /* no attempt is made */
  if (opened)
    return false;
  if (!dir->up && (walk->options.flags & (EIO_WALK_TOTALS | EIO_WALK_ROOT)) == EIO_WALK_TOTALS)
    eio__walk_look_at_root(s->step, dir, true);
  if (walk->options.flags & (EIO_WALK_SORT | EIO_WALK_REMOVE) && list_entries(s, dir) < 0)
    eio__walk_tell_error(s->step, dir, errno);
  return true;
}

/* All that was to be removed in a directory is. What cannot be opened may be empty. */
static void remove_directory(struct stepper *s, struct eio_walk_node *dir)
{
  struct eio_walk *walk = s->step->walk;
  bool really = dir->selected && !dir->kept && !eio__cancelled(s->req);
  bool removed = eio__walk_rmdir(walk, dir, really) == 0;

  if (really)
    eio__walk_tell_removed(s->step, dir, removed ? 0 : dir->error ? dir->error : errno);
  if (!removed && dir->up)
    atomic_store(&dir->up->kept, true);
}

static void visit(struct stepper *s, struct eio_walk_node *dir)
{
  struct eio_walk *walk = s->step->walk;
  bool open = dir->reading || open_first(s, dir);

  if (open && !look_through(s, dir))
    return;
  eio__walk_read(walk, dir);
  while (dir && eio__walk_done(walk, dir)) {
    struct eio_walk_node *up = dir->up;

    if (walk->options.flags & EIO_WALK_TOTALS)
      eio__walk_tell_total(s->step, dir);
    if (walk->options.flags & EIO_WALK_REMOVE)
      remove_directory(s, dir);
    eio__walk_node_free(dir);
    dir = up;
  }
}

int64_t eio_x_walk(eio_req *req)
{
  struct eio_walk_step *step = req->buf;
  struct stepper s = { step, req, eio_p_now(), 0, false };
  struct eio_walk_node *dir;
  struct eio_walk *walk;
  int error;

  if (!step) {
    errno = EINVAL;
    return -1;
  }
  walk = step->walk;
  __atomic_store_n(&step->begun, true, __ATOMIC_SEQ_CST);
  atomic_fetch_sub(&walk->unbegun, 1);
  atomic_fetch_add(&walk->busy, 1);
  while (!is_over(&s, true) && (dir = eio__walk_take(walk)))
    visit(&s, dir);
  __atomic_store_n(&step->ended, true, __ATOMIC_SEQ_CST);
  atomic_fetch_sub(&walk->busy, 1);
  error = atomic_load(&walk->error);
  errno = error;
  return error ? -1 : (int64_t)step->count;
}

/* The owner's side ------------------------------------------------------------ */

static struct eio_walk_step *new_step(struct eio_walk *walk)
{
  struct eio_walk_step *step = calloc(1, sizeof *step);

  if (!step)
    return NULL;
  step->walk = walk;
  step->flags = walk->options.flags;
  walk->refs++;
  walk->inflight++;
  atomic_fetch_add(&walk->unbegun, 1);
  atomic_store(&walk->useful, walk->options.parallel - walk->inflight);
  return step;
}

/* Copies a list of patterns, into one block. */
static bool copy_patterns(const char *const **list)
{
  size_t n = 0, size = 0;
  char **copy, *text;

  if (!*list)
    return true;
  for (const char *const *p = *list; *p; p++, n++)
    size += strlen(*p) + 1;
  copy = malloc((n + 1) * sizeof *copy + size);
  if (copy) {
    text = (char *)(copy + n + 1);
    for (size_t i = 0; i < n; i++) {
      copy[i] = strcpy(text, (*list)[i]);
      text += strlen(text) + 1;
    }
    copy[n] = NULL;
  }
  *list = (const char *const *)copy;
  return copy;
}

/* No step is left. In the child of a fork, what threads had at hand is lost. */
static void drop_all(struct eio_walk *walk, struct eio_walk_node *list)
{
  while (list) {
    struct eio_walk_node *node = list;

    list = node->next;
    node->next = NULL;
    eio__walk_drop(walk, node);
  }
}

static void walk_free(struct eio_walk *walk)
{
  if (atomic_load(&walk->busy))
    return;
  drop_all(walk, walk->dropped);
  drop_all(walk, walk->stack);
  eio_walk_counted_unref(walk->options.counted);
  eio_wd_unref(walk->wd);
  free((void *)(uintptr_t)walk->options.names);
  free((void *)(uintptr_t)walk->options.prune);
  pthread_mutex_destroy(&walk->lock);
  free(walk);
}

struct eio_walk_step *eio_walk_begin(eio_wd *wd, const char *path, const struct eio_walk_options *options)
{
  struct eio_walk *walk = calloc(1, sizeof *walk);
  struct eio_walk_step *step = NULL;
  bool copied;

  if (!walk)
    return NULL;
  walk->options = *options;
  if (options->flags & EIO_WALK_TOTALS)
    walk->options.flags &= ~(unsigned)EIO_WALK_STAT;
  walk->wants_stat = eio__walk_wants_stat(options);
  if (options->flags & EIO_WALK_SORT || !options->parallel)
    walk->options.parallel = 1;
  eio_p_mutex_init(&walk->lock);
  copied = copy_patterns(&walk->options.names);
  copied = copy_patterns(&walk->options.prune) && copied;
  walk->wd = eio_wd_ref(wd);
  walk->stack = eio__walk_node(NULL, path, strlen(path));
  walk->nwaiting = 1;
  if (walk->stack && options->flags & EIO_WALK_REMOVE)
    strip_slashes(walk->stack); /* "link/" would be followed */
  if (options->flags & EIO_WALK_TOTALS)
    walk->options.counted = options->counted ? eio_walk_counted_ref(options->counted) : eio_walk_counted_new();
  else
    walk->options.counted = NULL;
  if (copied && walk->stack && (walk->options.counted || !(options->flags & EIO_WALK_TOTALS)))
    step = new_step(walk);
  if (!step) {
    walk_free(walk);
    errno = ENOMEM;
  }
  return step;
}

void eio_walk_prune(struct eio_walk_step *step, struct eio_walk_entry *entry)
{
  if (entry->held)
    ((struct eio_walk_node *)entry->held)->pruned = true;
  entry->held = NULL;
  (void)step;
}

/* Those that were held wait from now on, also for being dropped; the last found is first here. */
static void release_held(struct eio_walk_step *step)
{
  struct eio_walk_node *list = NULL, *next;

  for (struct eio_walk_node *node = step->held; node; node = next) {
    next = node->next;
    node->next = list;
    list = node;
  }
  step->held = NULL;
  eio__walk_push(step->walk, list);
}

/* Without the lock: in the child of a fork, somebody may have had it for ever. */
static void deliver(struct eio_walk_step *step)
{
  struct eio_walk *walk = step->walk;

  step->delivered = true;
  walk->inflight--;
  atomic_store(&walk->useful, walk->options.parallel - walk->inflight);
  if (!step->begun)
    atomic_fetch_sub(&walk->unbegun, 1);
}

struct eio_walk_step *eio_walk_more(struct eio_walk_step *step)
{
  struct eio_walk *walk = step->walk;
  struct eio_walk_step *more;

  if (!step->delivered) {
    deliver(step);
    release_held(step);
    walk->told += (uint64_t)step->ndirs + step->nothers;
    for (uint32_t i = 0; i < step->count; i++)
      walk->told += !step->entries[i].hidden && !step->entries[i].errorno;
  }
  if (walk->error || walk->inflight >= walk->options.parallel || walk->nwaiting <= walk->unbegun)
    return NULL;
  more = new_step(walk);
  if (!more)
    walk->error = ENOMEM;
  return more;
}

bool eio_walk_over(const struct eio_walk_step *step, int64_t *told)
{
  const struct eio_walk *walk = step->walk;

  errno = walk->error;
  *told = walk->error ? -1 : (int64_t)walk->told;
  return !walk->inflight && (walk->error || !walk->nwaiting);
}

void eio_walk_free(struct eio_walk_step *step)
{
  struct eio_walk *walk;

  if (!step)
    return;
  walk = step->walk;
  if (step->begun && !step->ended) /* in the child of a fork: what its thread had at hand is lost */
    return;
  if (!step->delivered) { /* it was dropped, as all others are */
    deliver(step);
    while (step->held) {
      struct eio_walk_node *node = step->held;

      step->held = node->next;
      node->next = walk->dropped;
      walk->dropped = node;
    }
  }
  free(step->entries);
  free(step->texts);
  free(step->stats);
  free(step->totals);
  free(step->lines);
  free(step);
  if (!--walk->refs)
    walk_free(walk);
}
