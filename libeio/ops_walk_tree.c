/* ops_walk_tree.c - walks: directories that wait, and their descriptors.
 *
 * A directory stays open until all directories that were found in it have been opened. When
 * too many do, the one that has not been used for longest is closed. It is opened again
 * from the last one below it that is closed, by "..", or else by the names below the next
 * one above it that is open; the root always is. Then it has to be the one that it was. */
#include "ops_walk.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How many directories stay open for what was found in them; and of those, to which it makes
 * no difference that they could be closed: that is one fstat(2) less. */
enum { IDLE_MAX = 48, IDLE_FEW = 16 };

/* Whether a directory is read by the descriptor by which its entries are looked up: others may
 * do that while it is read. */
enum { ONE_DESCRIPTOR = EIO_HAVE_AT && EIO_HAVE_GETDENTS64 };

enum { FLAGS = O_RDONLY | O_DIRECTORY | O_NONBLOCK, PATH_FLAGS = O_RDONLY | O_DIRECTORY | EIO_O_PATH };

struct eio_walk_node *eio__walk_node(struct eio_walk_node *up, const char *name, size_t length)
{
  struct eio_walk_node *node = malloc(sizeof *node + length + 1);

  if (!node) {
    errno = ENOMEM;
    return NULL;
  }
  memset(node, 0, sizeof *node);
  node->up = up;
  node->depth = up ? up->depth + 1 : 0;
  node->holders = 1;
  node->length = (uint16_t)length;
  memcpy(node->name, name, length);
  node->name[length] = 0;
  return node;
}

/* Lists ------------------------------------------------------------------ */

void eio__walk_push(struct eio_walk *walk, struct eio_walk_node *list)
{
  struct eio_walk_node *last = list;
  unsigned n = 1;

  if (!list)
    return;
  for (; last->next; last = last->next)
    n++;
  pthread_mutex_lock(&walk->lock);
  last->next = walk->stack;
  walk->stack = list;
  atomic_fetch_add(&walk->nwaiting, n);
  pthread_mutex_unlock(&walk->lock);
}

/* Lock held. */
static void set_idle(struct eio_walk *walk, struct eio_walk_node *node, bool idle)
{
  if (node->idle == idle)
    return;
  node->idle = idle;
  if (idle) {
    node->colder = walk->warmest;
    node->warmer = NULL;
    *(walk->warmest ? &walk->warmest->warmer : &walk->coldest) = node;
    walk->warmest = node;
    atomic_fetch_add(&walk->nidle, 1);
    return;
  }
  *(node->colder ? &node->colder->warmer : &walk->coldest) = node->warmer;
  *(node->warmer ? &node->warmer->colder : &walk->warmest) = node->colder;
  atomic_fetch_sub(&walk->nidle, 1);
}

struct eio_walk_node *eio__walk_take(struct eio_walk *walk)
{
  struct eio_walk_node *node;

  pthread_mutex_lock(&walk->lock);
  node = walk->stack;
  if (node) {
    walk->stack = node->next;
    node->next = NULL;
    atomic_fetch_sub(&walk->nwaiting, 1);
    if (node->up && !node->wd)
      node->up->using++;
  }
  pthread_mutex_unlock(&walk->lock);
  return node;
}

/* Descriptors ------------------------------------------------------------ */

static bool is_same(int fd, const struct eio_walk_node *node)
{
  struct stat st;

  return fstat(fd, &st) == 0 && st.st_dev == node->dev && st.st_ino == node->ino;
}

/* Closes the one that is open for longest, of those that can be told again. Returns whether
 * there was one. */
static bool close_coldest(struct eio_walk *walk)
{
  struct eio_walk_node *node;
  int fd = -1;

  pthread_mutex_lock(&walk->lock);
  for (node = walk->coldest; node && (node->using || !node->known); )
    node = node->warmer;
  if (node) {
    set_idle(walk, node, false);
    fd = node->wd->fd;
    node->wd->fd = -1;
  }
  pthread_mutex_unlock(&walk->lock);
  if (fd >= 0)
    close(fd);
  return fd >= 0;
}

/* Whether some can be spared when there are no descriptors left, as errno says. */
static bool spare_some(struct eio_walk *walk)
{
  return (errno == EMFILE || errno == ENFILE) && close_coldest(walk);
}

static int open_sparing(struct eio_walk *walk, const eio_wd *wd, const char *name, int flags)
{
  int fd;

  do
    fd = eio_p_open(wd, name, flags, 0);
  while (fd < 0 && spare_some(walk));
  return fd;
}

/* Opens a directory that was closed for others again, by this descriptor of it, unless
 * somebody else has done so. */
static void reopened(struct eio_walk *walk, struct eio_walk_node *node, int fd)
{
  pthread_mutex_lock(&walk->lock);
  if (node->wd->fd < 0) {
    node->wd->fd = fd;
    fd = -1;
    if (node->up)
      set_idle(walk, node, true);
  }
  pthread_mutex_unlock(&walk->lock);
  if (fd >= 0)
    close(fd);
}

/* The descriptor of what is named by the names of `node` and of those above it, up to one that
 * is open; which somebody uses meanwhile. */
static int open_by_names(struct eio_walk *walk, struct eio_walk_node *node)
{
  struct eio_walk_node **way, *up = node;
  size_t n = 0;
  eio_wd *wd = NULL;

  pthread_mutex_lock(&walk->lock);
  for (; up->wd->fd < 0 && up->up; up = up->up)
    n++;
  up->using++;
  pthread_mutex_unlock(&walk->lock);
  way = malloc((n + 1) * sizeof *way);
  if (way) {
    struct eio_walk_node *next = node;

    for (size_t i = n; i--; next = next->up)
      way[i] = next;
  }
  for (size_t i = 0; way && i < n; i++) {
    int fd = open_sparing(walk, wd ? wd : up->wd, way[i]->name, PATH_FLAGS | (way[i]->link ? 0 : O_NOFOLLOW));

    eio_wd_unref(wd);
    wd = fd < 0 ? NULL : eio_p_wd(fd, NULL, "");
    if (!wd)
      break;
  }
  free(way);
  pthread_mutex_lock(&walk->lock);
  up->using--;
  pthread_mutex_unlock(&walk->lock);
  if (wd) {
    int fd = wd->fd;

    wd->fd = -1;
    eio_wd_unref(wd);
    return fd;
  }
  return -1;
}

static bool is_open(struct eio_walk *walk, const struct eio_walk_node *node)
{
  bool open;

  pthread_mutex_lock(&walk->lock);
  open = !EIO_HAVE_AT || node->wd->fd >= 0;
  pthread_mutex_unlock(&walk->lock);
  return open;
}

/* Sees to it that a directory is open that somebody uses. */
static int need(struct eio_walk *walk, struct eio_walk_node *node)
{
  int fd;

  if (is_open(walk, node))
    return 0;
  fd = open_by_names(walk, node);
  if (fd >= 0 && is_same(fd, node)) {
    reopened(walk, node, fd);
    return 0;
  }
  if (fd >= 0)
    close(fd);
  if (is_open(walk, node)) /* somebody else has been quicker */
    return 0;
  errno = ESTALE;
  return -1;
}

/* A directory is going to be closed: the one above may be needed, and not be open. */
static void reopen_above(struct eio_walk *walk, const struct eio_walk_node *node)
{
  struct eio_walk_node *up = node->up;
  bool wanted;
  int fd;

  if (!EIO_HAVE_AT || !up)
    return;
  pthread_mutex_lock(&walk->lock);
  wanted = up->pending && up->wd->fd < 0;
  pthread_mutex_unlock(&walk->lock);
  if (!wanted)
    return;
  fd = open_sparing(walk, node->wd, "..", PATH_FLAGS);
  if (fd >= 0 && is_same(fd, up))
    reopened(walk, up, fd);
  else if (fd >= 0)
    close(fd);
}

/* What was found in a directory has been opened. It may be closed for others: nothing then. */
static void close_node(struct eio_walk *walk, struct eio_walk_node *node)
{
  int fd;

  if (node->wd->fd >= 0)
    reopen_above(walk, node);
  pthread_mutex_lock(&walk->lock);
  fd = node->wd->fd;
  node->wd->fd = -1;
  pthread_mutex_unlock(&walk->lock);
  if (fd >= 0)
    close(fd);
}

/* A directory was used to look something up, and may be needed for one less after that: one that was found in
 * it is open, or is not going to be; or, with REMOVE, is done. */
static void less_pending(struct eio_walk *walk, struct eio_walk_node *node, bool less)
{
  bool over;

  pthread_mutex_lock(&walk->lock);
  node->pending -= less;
  node->using--;
  over = !node->pending && !node->reading && !node->using && node->up;
  if (over)
    set_idle(walk, node, false);
  pthread_mutex_unlock(&walk->lock);
  if (over)
    close_node(walk, node);
}

static int second_descriptor(struct eio_walk *walk, int fd)
{
  int second = fd;

  if (!ONE_DESCRIPTOR)
    do
      second = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    while (second < 0 && spare_some(walk));
  return second;
}

static int open_directory(struct eio_walk *walk, struct eio_walk_node *node)
{
  const eio_wd *wd = node->up ? node->up->wd : walk->wd;
  bool plain = walk->options.flags & (EIO_WALK_REMOVE | EIO_WALK_ROOT); /* the root may not be a link */
  bool follow = node->link || (!node->up && (!plain || walk->options.flags & EIO_WALK_FOLLOW));
  int flags = FLAGS | (follow ? 0 : O_NOFOLLOW);

  if (node->up && need(walk, node->up) < 0)
    return -1;
  return open_sparing(walk, wd, node->name, flags);
}

/* Where links are followed and where file systems matter. */
static int may_enter(struct eio_walk *walk, struct eio_walk_node *node, int fd)
{
  struct stat st;

  if (!(walk->options.flags & (EIO_WALK_FOLLOW | EIO_WALK_ONE_FS)))
    return 1;
  if (fstat(fd, &st) < 0)
    return -1;
  node->dev = st.st_dev;
  node->ino = st.st_ino;
  node->known = true;
  if (!node->up)
    walk->dev = st.st_dev;
  if (walk->options.flags & EIO_WALK_ONE_FS && st.st_dev != walk->dev)
    return 0;
  errno = ELOOP;
  if (walk->options.flags & EIO_WALK_FOLLOW)
    for (const struct eio_walk_node *up = node->up; up; up = up->up)
      if (up->dev == st.st_dev && up->ino == st.st_ino)
        return -1;
  return 1;
}

int eio__walk_open(struct eio_walk *walk, struct eio_walk_node *node)
{
  int fd = node->pruned ? -1 : open_directory(walk, node), error = errno;
  int may = node->pruned ? 0 : fd < 0 ? -1 : may_enter(walk, node, fd);

  if (fd >= 0) {
    error = errno;
    node->wd = may < 0 ? NULL : eio_p_wd(second_descriptor(walk, fd), node->up ? node->up->wd : walk->wd, node->name);
    if (!ONE_DESCRIPTOR && !may)
      close(fd);
    if (node->wd && may)
      node->reading = eio_p_dir_fdopen(&node->dir, fd) == 0;
    if (may < 0)
      close(fd);
    else if (!node->wd || (may && !node->reading)) {
      error = errno;
      if (node->wd && ONE_DESCRIPTOR)
        node->wd->fd = -1;
    }
  }
  if (node->up)
    less_pending(walk, node->up, !(walk->options.flags & EIO_WALK_REMOVE));
  errno = error;
  return node->reading ? 0 : node->pruned || (may == 0 && node->wd) ? 1 : -1;
}

/* The end ---------------------------------------------------------------- */

/* What a directory is that may be closed for others. Nobody else has it yet. */
static void get_to_know(struct eio_walk *walk, struct eio_walk_node *node)
{
  struct stat st;

  if (node->known || !node->up || !node->wd || atomic_load_explicit(&walk->nidle, memory_order_relaxed) < IDLE_FEW)
    return;
  if (fstat(node->wd->fd, &st) < 0)
    return;
  node->dev = st.st_dev;
  node->ino = st.st_ino;
  node->known = true;
}

void eio__walk_read(struct eio_walk *walk, struct eio_walk_node *node)
{
  bool over;

  if (node->reading) {
    if (ONE_DESCRIPTOR)
      eio_p_dir_detach(&node->dir);
    else
      eio_p_dir_close(&node->dir);
    get_to_know(walk, node);
    free(node->sorted);
    node->sorted = NULL;
  }
  pthread_mutex_lock(&walk->lock);
  node->reading = false;
  over = !node->pending && !node->using && node->up;
  if (!over && node->up && node->wd)
    set_idle(walk, node, true);
  pthread_mutex_unlock(&walk->lock);
  if (over && node->wd)
    close_node(walk, node);
  while (atomic_load_explicit(&walk->nidle, memory_order_relaxed) > IDLE_MAX && close_coldest(walk))
    ;
}

bool eio__walk_done(struct eio_walk *walk, struct eio_walk_node *node)
{
  struct eio_walk_node *up = node->up;
  bool done;

  pthread_mutex_lock(&walk->lock);
  done = !--node->holders;
  if (done && node->idle)
    set_idle(walk, node, false);
  if (done && up) {
    up->total.octets += node->total.octets;
    up->total.blocks += node->total.blocks;
    up->total.entries += node->total.entries;
  }
  pthread_mutex_unlock(&walk->lock);
  return done;
}

int eio__walk_rmdir(struct eio_walk *walk, struct eio_walk_node *node, bool really)
{
  struct eio_walk_node *up = node->up;
  int result = -1, error;

  if (!up)
    return really ? eio_p_rmdir(walk->wd, node->name) : -1;
  pthread_mutex_lock(&walk->lock);
  up->using++;
  pthread_mutex_unlock(&walk->lock);
  if (really && need(walk, up) == 0)
    result = eio_p_rmdir(up->wd, node->name);
  error = errno;
  less_pending(walk, up, true);
  errno = error;
  return result;
}

void eio__walk_node_free(struct eio_walk_node *node)
{
  if (node->reading && node->wd) {
    if (ONE_DESCRIPTOR)
      node->wd->fd = -1;
    eio_p_dir_close(&node->dir);
  }
  eio_wd_unref(node->wd);
  free(node->sorted);
  free(node);
}

void eio__walk_drop(struct eio_walk *walk, struct eio_walk_node *node)
{
  while (node && eio__walk_done(walk, node)) {
    struct eio_walk_node *up = node->up;

    eio__walk_node_free(node);
    node = up;
  }
}
