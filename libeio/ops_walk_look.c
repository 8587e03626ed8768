/* ops_walk_look.c - walks: entries, what is told of them, and where it goes. */
#include "ops_walk.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Batches ------------------------------------------------------------------ */

static bool fail(struct eio_walk_step *step)
{
  atomic_store(&step->walk->error, ENOMEM);
  return false;
}

static bool grow(struct eio_walk_step *step, void **list, uint32_t *room, uint64_t wanted, size_t size)
{
  uint64_t more = *room ? 2 * (uint64_t)*room : 64;
  void *p;

  if (wanted <= *room)
    return true;
  while (more < wanted)
    more *= 2;
  p = more * size <= UINT32_MAX ? realloc(*list, (size_t)more * size) : NULL;
  if (!p)
    return fail(step);
  *list = p;
  *room = (uint32_t)more;
  return true;
}

/* Room for so many octets of text: where they go. */
static char *text_room(struct eio_walk_step *step, size_t length)
{
  return grow(step, (void **)&step->texts, &step->texts_room, (uint64_t)step->ntexts + length, 1)
    ? step->texts + step->ntexts : NULL;
}

/* Prepends the names of a directory and of those above it, each with a slash. */
static size_t prefix_length(const struct eio_walk_node *dir)
{
  size_t length = 0;

  for (; dir->up; dir = dir->up)
    length += dir->length + 1u;
  return length;
}

static void put_prefix(char *end, const struct eio_walk_node *dir)
{
  for (; dir->up; dir = dir->up) {
    *--end = '/';
    end -= dir->length;
    memcpy(end, dir->name, dir->length);
  }
}

/* Tells of what is named so in a directory; NULL when memory is short. */
static struct eio_walk_entry *tell(struct eio_walk_step *step, const struct eio_walk_node *dir,
                                   const char *name, size_t length, int type)
{
  size_t prefix = dir ? prefix_length(dir) : 0;
  struct eio_walk_entry *e;
  char *text;

  if (!grow(step, (void **)&step->entries, &step->room, step->count + 1u, sizeof *step->entries)
      || !(text = text_room(step, prefix + length + 1)))
    return NULL;
  if (dir)
    put_prefix(text + prefix, dir);
  memcpy(text + prefix, name, length);
  text[prefix + length] = 0;
  e = &step->entries[step->count++];
  *e = (struct eio_walk_entry){ .path = step->ntexts, .path_length = (uint32_t)(prefix + length),
                                .depth = dir ? dir->depth + 1 : 0, .type = (uint8_t)type };
  step->ntexts += (uint32_t)(prefix + length + 1);
  return e;
}

static void tell_link(struct eio_walk_step *step, struct eio_walk_entry *e, const eio_wd *wd, const char *name)
{
  char *text = text_room(step, PATH_MAX + 1);
  ssize_t n = text ? eio_p_readlink(wd, name, text, PATH_MAX) : -1;

  if (n < 0) {
    e->errorno = errno;
    return;
  }
  text[n] = 0;
  e->has_link = 1;
  e->link = step->ntexts;
  e->link_length = (uint32_t)n;
  step->ntexts += (uint32_t)n + 1;
}

static void tell_stat(struct eio_walk_step *step, struct eio_walk_entry *e, const struct stat *st)
{
  if (!grow(step, (void **)&step->stats, &step->index_room, step->nindex + 1u, sizeof *step->stats))
    return;
  e->has_stat = 1;
  e->index = step->nindex;
  step->stats[step->nindex++] = *st;
}

/* COUNT: an entry that is only counted, and may be in a line. dir NULL: the root. */
static void tell_briefly(struct eio_walk_step *step, const struct eio_walk_node *dir, const char *name, size_t length, int type)
{
  const struct eio_walk_node *root = dir;
  size_t top = 0, prefix;
  char *line;

  ++*(type == EIO_DT_DIR ? &step->ndirs : &step->nothers);
  if (!(step->walk->options.flags & EIO_WALK_LINES))
    return;
  for (; root && root->up; root = root->up)
    ;
  if (root) {
    top = strlen(root->name);
    while (top && root->name[top - 1] == '/')
      top--;
    top++;
  }
  prefix = top + (dir ? prefix_length(dir) : 0);
  if (!grow(step, (void **)&step->lines, &step->lines_room, (uint64_t)step->nlines + prefix + length + 1, 1))
    return;
  line = step->lines + step->nlines;
  if (root) {
    memcpy(line, root->name, top - 1);
    line[top - 1] = '/';
    put_prefix(line + prefix, dir);
  }
  memcpy(line + prefix, name, length);
  line[prefix + length] = step->walk->options.line_end;
  step->nlines += (uint32_t)(prefix + length + 1);
}

static bool is_brief(const struct eio_walk_options *o)
{
  return o->flags & (EIO_WALK_COUNT | EIO_WALK_LINES);
}

/* What was asked for besides; st NULL: it is not known. */
static void tell_more(struct eio_walk_step *step, struct eio_walk_entry *e, const eio_wd *wd, const char *name,
                      const struct stat *st)
{
  const struct eio_walk_options *o = &step->walk->options;

  if (st && o->flags & EIO_WALK_STAT)
    tell_stat(step, e, st);
  if (e->type == EIO_DT_LNK && o->flags & EIO_WALK_LINKS)
    tell_link(step, e, wd, name);
}

void eio__walk_tell_error(struct eio_walk_step *step, struct eio_walk_node *dir, int error)
{
  struct eio_walk_entry *e = tell(step, dir->up, dir->up ? dir->name : "", dir->up ? dir->length : 0, EIO_DT_DIR);

  if (e)
    e->errorno = error;
}

void eio__walk_tell_removed(struct eio_walk_step *step, struct eio_walk_node *dir, int error)
{
  if (!error && is_brief(&step->walk->options))
    tell_briefly(step, dir->up, dir->name, dir->up ? dir->length : strlen(dir->name), EIO_DT_DIR);
  else
    eio__walk_tell_error(step, dir, error);
}

static void tell_total(struct eio_walk_step *step, struct eio_walk_entry *e, const struct eio_walk_total *total)
{
  if (!e || !grow(step, (void **)&step->totals, &step->index_room, step->nindex + 1u, sizeof *step->totals))
    return;
  e->index = step->nindex;
  step->totals[step->nindex] = *total;
  step->totals[step->nindex++].place = atomic_fetch_add(&step->walk->ntold, 1);
}

void eio__walk_tell_total(struct eio_walk_step *step, struct eio_walk_node *dir)
{
  if (dir->depth <= step->walk->options.max_told)
    tell_total(step, tell(step, dir->up, dir->up ? dir->name : "", dir->up ? dir->length : 0, EIO_DT_DIR), &dir->total);
}

/* Totals ------------------------------------------------------------------- */

/* Whether a file is to be counted: it has one name, or is the first of its names that was seen. */
static bool is_first(struct eio_walk_step *step, const struct stat *st)
{
  const struct eio_walk_options *options = &step->walk->options;
  bool first;

  if ((st->st_nlink <= 1 || S_ISDIR(st->st_mode)) && !(options->flags & EIO_WALK_FOLLOW))
    return true; /* links lead to some more than once */
  if (!eio__walk_is_first(options->counted, st, &first))
    fail(step);
  return first;
}

/* Whether it had not been counted. */
static bool count(struct eio_walk_step *step, struct eio_walk_total *total, const struct stat *st)
{
  if (!is_first(step, st))
    return false;
  total->octets += (uint64_t)st->st_size;
  total->blocks += (uint64_t)st->st_blocks;
  total->entries++;
  return true;
}

/* What is no directory is counted; with ALL, told. */
static void count_other(struct eio_walk_step *step, struct eio_walk_node *dir, const char *name, size_t length,
                        const struct stat *st)
{
  const struct eio_walk_options *o = &step->walk->options;

  if (count(step, &dir->own, st) && o->flags & EIO_WALK_ALL && dir->depth < o->max_told) {
    struct eio_walk_total total = { (uint64_t)st->st_size, (uint64_t)st->st_blocks, 1, 0 };

    tell_total(step, tell(step, dir, name, length, (int)((st->st_mode & S_IFMT) >> 12)), &total);
  }
}

/* Filters ------------------------------------------------------------------ */

static bool matches(const char *const *patterns, const char *name)
{
  for (; *patterns; patterns++)
    if (fnmatch(*patterns, name, 0) == 0)
      return true;
  return false;
}

bool eio__walk_wants_stat(const struct eio_walk_options *o)
{
  return o->flags & (EIO_WALK_STAT | EIO_WALK_TOTALS) || o->min_size > 0 || o->max_size >= 0
         || !isnan(o->newer) || !isnan(o->older);
}

/* By what is known without asking. */
static bool may_be_told(const struct eio_walk_options *o, uint32_t depth, const char *name, int type)
{
  return depth >= o->min_depth && (!o->types || o->types & 1u << type) && (!o->names || matches(o->names, name));
}

static bool stat_fits(const struct eio_walk_options *o, const struct stat *st)
{
  struct timespec times[2];
  double mtime;

  if (st->st_size < o->min_size || (o->max_size >= 0 && st->st_size > o->max_size))
    return false;
  if (isnan(o->newer) && isnan(o->older))
    return true;
  eio_p_times(st, times);
  mtime = (double)times[1].tv_sec + (double)times[1].tv_nsec * 1e-9;
  return !(mtime < o->newer) && !(mtime > o->older);
}

bool eio__walk_selects_root(const struct eio_walk_options *o)
{
  return !o->names && may_be_told(o, 0, "", EIO_DT_DIR);
}

static int type_of(const struct stat *st)
{
  return (int)((st->st_mode & S_IFMT) >> 12) & 15;
}

/* What a link leads to, if anything, where links are followed. */
static void follow(const struct eio_walk_node *dir, const char *name, struct stat *st, bool *known, int *type)
{
  struct stat target;

  if (eio_p_stat(dir->wd, name, &target, true) < 0)
    return;
  *st = target;
  *known = true;
  *type = type_of(st);
}

/* The last part of a path. */
static bool root_matches(const struct eio_walk_options *o, const char *path, int type)
{
  size_t length = strlen(path);
  const char *slash;
  char *name;
  bool told;

  while (length > 1 && path[length - 1] == '/')
    length--;
  name = strndup(path, length);
  if (!name)
    return false;
  slash = strrchr(name, '/');
  told = may_be_told(o, 0, slash && slash[1] ? slash + 1 : name, type);
  free(name);
  return told;
}

static int stat_root(const struct eio_walk *walk, const char *path, struct stat *st)
{
  if (walk->options.flags & EIO_WALK_FOLLOW && eio_p_stat(walk->wd, path, st, true) == 0)
    return 0;
  return eio_p_stat(walk->wd, path, st, false);
}

int eio__walk_look_at_root(struct eio_walk_step *step, struct eio_walk_node *root, bool open)
{
  const struct eio_walk_options *o = &step->walk->options;
  struct eio_walk_entry *e;
  struct stat st;
  int type;

  if ((open ? eio_p_stat(root->wd, ".", &st, true) : stat_root(step->walk, root->name, &st)) < 0)
    return -1;
  type = type_of(&st);
  if ((open ? !eio__walk_selects_root(o) : !root_matches(o, root->name, type)) || !stat_fits(o, &st))
    return type == EIO_DT_DIR;
  if (o->flags & EIO_WALK_TOTALS)
    count(step, &root->total, &st); /* nobody else has it yet */
  else if (is_brief(o))
    tell_briefly(step, NULL, root->name, strlen(root->name), type);
  else if ((e = tell(step, NULL, "", 0, type)))
    tell_more(step, e, step->walk->wd, root->name, &st);
  return type == EIO_DT_DIR;
}

struct eio_walk_node *eio__walk_look(struct eio_walk_step *step, struct eio_walk_node *dir,
                                     const char *name, size_t length, int type)
{
  const struct eio_walk_options *o = &step->walk->options;
  uint32_t depth = dir->depth + 1;
  struct eio_walk_entry *e = NULL; /* with HOLD, there is one for what is entered */
  struct eio_walk_node *node = NULL;
  bool known = false, link, enter, told, selected = false;
  struct stat st;
  int error = 0;

  if (type == EIO_DT_UNKNOWN && (type = eio_p_type(dir->wd, name)) < 0) {
    error = errno;
    type = EIO_DT_UNKNOWN;
  }
  link = type == EIO_DT_LNK;
  if (link && o->flags & EIO_WALK_FOLLOW)
    follow(dir, name, &st, &known, &type);
  link = link && type != EIO_DT_LNK;
  enter = type == EIO_DT_DIR && (!o->max_depth || depth < o->max_depth) && !(o->prune && matches(o->prune, name));
  told = may_be_told(o, depth, name, type);
  if (told && !known && !error && step->walk->wants_stat) {
    known = eio_p_stat(dir->wd, name, &st, false) == 0;
    error = known ? 0 : errno;
  }
  told = told && (!known || stat_fits(o, &st));
  if (o->flags & EIO_WALK_REMOVE) {
    selected = told;
    told = told && type != EIO_DT_DIR;
    if (told && eio_p_unlink(dir->wd, name) < 0)
      error = errno;
    if (error || (!told && !enter))
      atomic_store(&dir->kept, true);
  }
  if (told && !error && is_brief(o)) {
    tell_briefly(step, dir, name, length, type);
    told = false;
  }
  if (error || (told && !(o->flags & EIO_WALK_TOTALS)) || (enter && o->flags & EIO_WALK_HOLD)) {
    e = tell(step, dir, name, length, type);
    if (!e)
      return NULL;
    e->errorno = error;
    e->hidden = !told && !error;
    tell_more(step, e, dir->wd, name, known ? &st : NULL);
  }
  if (enter && !error) {
    node = eio__walk_node(dir, name, length);
    if (!node) {
      fail(step);
      return NULL;
    }
    node->link = link;
    node->selected = selected;
    if (o->flags & EIO_WALK_HOLD)
      e->held = node;
  }
  if (o->flags & EIO_WALK_TOTALS && known && told) {
    if (node)
      count(step, &node->total, &st); /* nobody else has it yet */
    else
      count_other(step, dir, name, length, &st);
  }
  return node;
}
