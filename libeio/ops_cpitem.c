/* ops_cpitem.c - copies an entry of a tree that is no directory.
 *
 * It is made under a name of its own beside the target, and takes the target's name when it
 * is whole, with all its attributes. So whatever ends this, the name leads to what it led to
 * before or to the whole copy. */
#include "ops_cptree.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NO_REPLACE = 1 /* RENAME_NOREPLACE */ };

/* Opens in the source's or the target's directory. */
static int open_file(struct eio__item *item, const eio_wd *wd, const char *name, int flags)
{
  int fd;

  flags |= O_NOFOLLOW | O_NONBLOCK;
  fd = eio_p_open(wd, name, flags, 0200);
  if (fd >= 0 || !item->dir || (errno != EMFILE && errno != ENFILE))
    return fd;
  eio__tree_spare(&item->cp->tree, item->dir);
  return eio_p_open(wd, name, flags, 0200);
}

/* Keeps errno. */
static void drop(const struct eio__item *item)
{
  int error = errno;

  eio_p_unlink(item->wd, item->temp);
  errno = error;
}

/* Makes something under a name of its own. */
static int make(struct eio__item *item, int (*try)(void *item, const char *name), const void *data)
{
  free(item->temp);
  item->data = data;
  item->temp = eio__make_beside(item->name, try, item);
  return item->temp ? 0 : -1;
}

/* Where the name was taken meanwhile. */
static int taken(const struct eio__item *item)
{
  drop(item);
  if (item->cp->existing == EIO_CP_SKIP)
    return 0;
  errno = EEXIST;
  return -1;
}

/* Gives what was made its name, unless there is one that shall stay. */
static int place_new(struct eio__item *item)
{
  if (eio_p_rename(item->wd, item->temp, item->wd, item->name, NO_REPLACE) == 0)
    return 0;
  if (errno == EINVAL || errno == ENOSYS) { /* the file system cannot */
    if (eio_p_link(item->wd, item->temp, item->wd, item->name, 0) == 0) {
      drop(item);
      return 0;
    }
  }
  if (errno == EEXIST)
    return taken(item);
  drop(item);
  return -1;
}

/* Gives what was made its name. */
static int place(struct eio__item *item)
{
  struct eio__cptree *cp = item->cp;
  bool stays = cp->existing == EIO_CP_SKIP || cp->existing == EIO_CP_FAIL;

  item->what = "rename";
  if (eio__tree_cancelled(&cp->tree)) {
    drop(item);
    return -1;
  }
  if (stays && !(item->side && item->side->made))
    return place_new(item);
  if (eio_p_rename(item->wd, item->temp, item->wd, item->name, 0) == 0)
    return 0;
  drop(item);
  return -1;
}

/* Files -------------------------------------------------------------------- */

static int try_file(void *data, const char *name)
{
  struct eio__item *item = data;

  item->out = open_file(item, item->wd, name, O_WRONLY | O_CREAT | O_EXCL);
  return item->out < 0 ? -1 : 0;
}

/* What is known of a new file without asking, where nobody else makes any. */
static int look_at_new(const struct eio__item *item, struct eio__copy *copy)
{
  const struct eio__side *side = item->side;

  if (!side || !side->made)
    return fstat(copy->out, &copy->to);
  copy->to = side->to;
  copy->to.st_mode = S_IFREG | 0200;
  copy->to.st_size = 0;
  return 0;
}

static int fill(struct eio__item *item, struct eio__copy *copy)
{
  if (look_at_new(item, copy) < 0 || eio__copy_data(copy) < 0)
    return -1;
  item->what = "attributes";
  eio__keep(copy, true);
  item->what = "write";
  return item->side && item->side->local ? 0 : eio__copy_shut(copy);
}

static int make_file(struct eio__item *item)
{
  struct eio__copy copy = { .req = item->cp->req, .wd = item->wd, .in = item->in, .from = item->st };
  int result, error;

  item->what = "create";
  if (make(item, try_file, NULL) < 0)
    return -1;
  copy.out = item->out;
  copy.name = item->temp;
  copy.sparse = eio__is_sparse(&copy.from);
  copy.once = true;
  copy.no_acl = item->side && item->side->no_acl;
  copy.ways = &item->cp->ways;
  copy.parts = &item->cp->tree.parts;
  copy.octets = &item->cp->errors.list->done[EIO_DONE_OCTETS];
  item->what = "copy";
  result = fill(item, &copy);
  if (result == 0)
    result = place(item);
  else
    drop(item);
  error = errno;
  /* With its holes, or not at all. */
  eio__errors_done(&item->cp->errors, EIO_DONE_OCTETS, (result == 0 ? (uint64_t)copy.from.st_size : 0) - copy.counted);
  if (copy.out >= 0)
    eio_p_close_both(copy.in, copy.out);
  else
    close(copy.in);
  item->in = -1;
  errno = error;
  return result;
}

/* Others ------------------------------------------------------------------- */

static int read_text(const eio_wd *wd, const char *name, char text[PATH_MAX])
{
  ssize_t size = eio_p_readlink(wd, name, text, PATH_MAX);

  if (size < 0)
    return -1;
  if (size == PATH_MAX) {
    errno = ENAMETOOLONG;
    return -1;
  }
  text[size] = 0;
  return 0;
}

static int try_symlink(void *data, const char *name)
{
  const struct eio__item *item = data;

  return eio_p_symlink(item->data, item->wd, name);
}

static int make_symlink(struct eio__item *item)
{
  char text[PATH_MAX];

  item->what = "readlink";
  if (read_text(item->from_wd, item->from, text) < 0)
    return -1;
  item->what = "symlink";
  if (make(item, try_symlink, text) < 0)
    return -1;
  eio_p_keep_link(item->wd, item->temp, &item->st);
  return place(item);
}

static int try_node(void *data, const char *name)
{
  const struct eio__item *item = data;

  return eio_p_mknod(item->wd, name, item->st.st_mode & (S_IFMT | 0700), item->st.st_rdev);
}

/* FIFOs, devices, sockets: nobody opens them, as that may do something. */
static int make_node(struct eio__item *item)
{
  struct stat to;
  mode_t mode = item->st.st_mode & 07777;

  item->what = "mknod";
  if (make(item, try_node, NULL) < 0)
    return -1;
  eio_p_keep_link(item->wd, item->temp, &item->st);
  if (eio_p_stat(item->wd, item->temp, &to, false) == 0 && (to.st_mode & S_IFMT) == (item->st.st_mode & S_IFMT)) {
    if (to.st_uid != item->st.st_uid)
      mode &= ~(mode_t)S_ISUID;
    if (to.st_gid != item->st.st_gid)
      mode &= ~(mode_t)(S_ISGID | (~mode & 7) << 3);
    if (mode != (to.st_mode & 07777))
      eio_p_chmod(item->wd, item->temp, mode, false);
  }
  return place(item);
}

static int make_new(struct eio__item *item)
{
  item->did = "copy";
  if (item->cp->flags & EIO_CP_DRY) {
    if (S_ISREG(item->st.st_mode))
      eio__errors_done(&item->cp->errors, EIO_DONE_OCTETS, (uint64_t)item->st.st_size);
    return 0;
  }
  switch (item->st.st_mode & S_IFMT) {
  case S_IFREG: return make_file(item);
  case S_IFLNK: return make_symlink(item);
  case S_IFDIR: /* exchanged since */
    item->what = "open";
    errno = EBUSY;
    return -1;
  default: return make_node(item);
  }
}

/* Hard links ---------------------------------------------------------------- */

static int open_below(const eio_wd *wd, const char *name)
{
  return eio_p_open(wd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | EIO_O_PATH, 0);
}

/* The directory of another name in the copy, found from the root on by the names of its
 * directories, none of which may be a link; *name: what is behind the last slash. */
static eio_wd *find_dir(const struct eio__item *item, const char *path, const char **name)
{
  const eio_wd *root = item->cp->root->wd;
  eio_wd *wd = NULL;
  char *names = strdup(path), *at = names, *slash;

  if (!names)
    return NULL;
  while ((slash = strchr(at, '/'))) {
    eio_wd *next = NULL;
    int fd;

    *slash = 0;
    fd = open_below(wd ? wd : root, at);
    if (fd >= 0)
      next = eio_p_wd(fd, wd ? wd : root, at);
    eio_wd_unref(wd);
    wd = next;
    if (!wd)
      break;
    at = slash + 1;
  }
  if (wd)
    *name = path + (at - names);
  free(names);
  return wd;
}

struct other_name {
  const eio_wd *wd;
  const char *name;
};

static int try_link(void *data, const char *name)
{
  const struct eio__item *item = data;
  const struct other_name *other = item->data;

  return eio_p_link(other->wd, other->name, item->wd, name, 0);
}

static int link_to(struct eio__item *item, const struct eio__link *link, const eio_wd *wd, const char *name)
{
  struct other_name other = { wd, name };
  struct stat st;
  int result;

  item->what = "link";
  if (make(item, try_link, &other) < 0)
    return -1;
  if (eio_p_stat(item->wd, item->temp, &st, false) < 0 || !eio__same_file(&st, &link->to)) {
    errno = EBUSY; /* exchanged since */
    drop(item);
    return -1;
  }
  result = place(item);
  if (result == 0) /* where both are names of one file, nothing is renamed */
    drop(item);
  return result;
}

/* Gives a file that has been copied another name. */
static int make_link(struct eio__item *item, const struct eio__link *link)
{
  const struct eio__side *side = item->side;
  const char *slash = strrchr(link->path, '/'), *name = slash ? slash + 1 : link->path;
  eio_wd *wd;
  int result;

  item->did = "link";
  if (item->cp->flags & EIO_CP_DRY)
    return 0;
  if (side->to.st_dev == link->dir_dev && side->to.st_ino == link->dir_ino)
    return link_to(item, link, side->wd, name);
  if (!slash)
    return link_to(item, link, item->cp->root->wd, name);
  wd = find_dir(item, link->path, &name);
  if (!wd)
    return -1;
  result = link_to(item, link, wd, name);
  eio_wd_unref(wd);
  return result;
}

/* The first name of a file with several is there. */
static bool remember(struct eio__item *item, struct eio__link *link)
{
  free(link->path);
  link->path = eio__tree_path(item->dir, item->name);
  link->dir_dev = item->side->to.st_dev;
  link->dir_ino = item->side->to.st_ino;
  if (item->cp->flags & EIO_CP_DRY && (!item->side->wd || eio_p_stat(item->wd, item->name, &link->to, false) < 0))
    return link->path; /* it would be there */
  return link->path && eio_p_stat(item->wd, item->name, &link->to, false) == 0;
}

/* `there`: the target is an unchanged copy already. */
static int copy_linked(struct eio__item *item, const struct stat *there)
{
  bool first = true;
  struct eio__link *link = eio__links_find(&item->cp->links, &item->st, &first);
  int result, error;

  if (!link)
    return -1;
  if (!first) {
    if (there && eio__same_file(there, &link->to))
      return 0;
    /* Where it cannot have so many names, or not there, it is copied once more. */
    result = make_link(item, link);
    return result == 0 || errno == EEXIST || errno == EISDIR || errno == ECANCELED ? result : make_new(item);
  }
  result = there ? 0 : make_new(item);
  error = errno;
  eio__links_done(&item->cp->links, link, result == 0 && remember(item, link));
  errno = error;
  return result;
}

/* What is there already ------------------------------------------------------ */

static bool same_times(const struct stat *a, const struct stat *b)
{
  struct timespec x[2], y[2];

  eio_p_times(a, x);
  eio_p_times(b, y);
  return x[1].tv_sec == y[1].tv_sec && x[1].tv_nsec == y[1].tv_nsec;
}

bool eio__item_is_same(const struct eio__item *item, const struct stat *to)
{
  const struct stat *st = &item->st;
  char text[PATH_MAX], other[PATH_MAX];

  if ((st->st_mode & S_IFMT) != (to->st_mode & S_IFMT))
    return false;
  if (S_ISREG(st->st_mode))
    return st->st_size == to->st_size && same_times(st, to);
  if (S_ISLNK(st->st_mode))
    return read_text(item->from_wd, item->from, text) == 0 && read_text(item->wd, item->name, other) == 0
           && !strcmp(text, other);
  return st->st_rdev == to->st_rdev;
}

static bool updates(const struct eio__item *item)
{
  return item->cp->existing == EIO_CP_UPDATE || item->cp->existing == EIO_CP_SYNC;
}

/* SYNC: what stays gets owner and mode, where they differ. */
static void keep_rights(const struct eio__item *item, const struct stat *to)
{
  const struct stat *st = &item->st;
  mode_t mode = st->st_mode & 07777;

  if (S_ISLNK(st->st_mode) || item->cp->flags & EIO_CP_DRY
      || (to->st_uid == st->st_uid && to->st_gid == st->st_gid && to->st_mode == st->st_mode))
    return;
  if ((to->st_uid != st->st_uid || to->st_gid != st->st_gid)
      && eio_p_chown(item->wd, item->name, st->st_uid, st->st_gid, false) < 0)
    mode &= 01777;
  eio_p_chmod(item->wd, item->name, mode, false);
}

/* Looks at the source: a file is opened, unless it may turn out that nobody needs it. */
static int look(struct eio__item *item, int type)
{
  bool update = updates(item);

  if (type != EIO_DT_REG || update) {
    item->what = "stat";
    if (eio_p_stat(item->from_wd, item->from, &item->st, false) < 0)
      return -1;
  }
  if (type != EIO_DT_REG ? !S_ISREG(item->st.st_mode) : update && !S_ISREG(item->st.st_mode))
    return 0;
  if (update)
    return 0;
  item->what = "open";
  item->in = open_file(item, item->from_wd, item->from, O_RDONLY);
  if (item->in < 0 || fstat(item->in, &item->st) < 0)
    return -1;
  if (S_ISREG(item->st.st_mode))
    return 0;
  errno = EBUSY; /* exchanged since */
  return -1;
}

static int open_source(struct eio__item *item)
{
  struct stat st;

  if (item->in >= 0 || !S_ISREG(item->st.st_mode))
    return 0;
  item->what = "open";
  item->in = open_file(item, item->from_wd, item->from, O_RDONLY);
  if (item->in < 0 || fstat(item->in, &st) < 0)
    return -1;
  item->st = st;
  if (S_ISREG(st.st_mode))
    return 0;
  errno = EBUSY;
  return -1;
}

/* What is there already and differs, or its kind does: it may have to go first. */
static int make_way(struct eio__item *item, const struct stat *to)
{
  if (!S_ISDIR(to->st_mode) || !(item->cp->flags & EIO_CP_DELETE) || !item->side)
    return 0;
  item->what = "remove";
  return eio__cptree_delete(item->cp, item->dir, item->wd, item->name);
}

static int stays(struct eio__item *item, enum eio_done kind, const struct stat *to)
{
  eio__errors_done(&item->cp->errors, kind, 1);
  if (S_ISREG(to->st_mode))
    eio__errors_done(&item->cp->errors, EIO_DONE_SPARED, (uint64_t)to->st_size);
  if (kind == EIO_DONE_UNCHANGED && item->cp->existing == EIO_CP_SYNC)
    keep_rights(item, to);
  return 0;
}

/* Has looked at both sides. */
static int copy_differing(struct eio__item *item, const struct stat *to)
{
  bool same = to && updates(item) && eio__item_is_same(item, to);
  int result;

  if (!same && ((to && make_way(item, to) < 0) || (!(item->cp->flags & EIO_CP_DRY) && open_source(item) < 0)))
    return -1;
  if (item->st.st_nlink > 1 && item->side)
    result = copy_linked(item, same ? to : NULL);
  else
    result = same ? 0 : make_new(item);
  return result == 0 && !item->did ? stays(item, EIO_DONE_UNCHANGED, to) : result;
}

static int copy_item(struct eio__item *item, int type)
{
  bool fresh = item->side && (item->side->made || !item->side->wd), there;
  int existing = item->cp->existing;
  struct stat to;

  item->what = "stat";
  there = (!fresh && existing) || !item->side ? eio_p_stat(item->wd, item->name, &to, false) == 0 : false;
  if (there && existing == EIO_CP_SKIP)
    return stays(item, EIO_DONE_SKIPPED, &to);
  if (there && existing == EIO_CP_FAIL) {
    errno = EEXIST;
    return -1;
  }
  if (look(item, type) < 0)
    return -1;
  if (there && !item->side && eio__same_file(&to, &item->st)) {
    errno = EINVAL;
    return -1;
  }
  return copy_differing(item, there ? &to : NULL);
}

static void count(const struct eio__item *item)
{
  mode_t kind = item->st.st_mode & S_IFMT;

  eio__cptree_did(item->cp, kind == S_IFREG ? EIO_DONE_FILES : kind == S_IFLNK ? EIO_DONE_LINKS : EIO_DONE_OTHERS,
                  item->did, item->dir, item->name);
}

int eio__item_copy(struct eio__item *item, int type)
{
  int result, error;

  item->in = -1;
  item->temp = NULL;
  item->did = NULL;
  result = copy_item(item, type);
  error = errno;
  if (item->in >= 0)
    close(item->in);
  free(item->temp);
  if (result == 0 && item->did)
    count(item);
  errno = error;
  return result;
}
