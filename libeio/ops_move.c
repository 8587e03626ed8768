/* ops_move.c - gives a file another name, on whatever file system.
 *
 * Where it cannot be renamed, a copy of it is made under a name of its own beside the
 * target, and takes the target's name when it is whole. So the target's name leads to
 * the old file or to all of the new one at any time, whatever it was before: a link
 * and a file with more names are replaced, not written to. The source is removed
 * then, if its name still leads to what was copied. Whenever this ends, by an error
 * or a kill, one of both is whole. */
#include "ops_copy.h"
#include "eio_parts.h"
#include "ops_whole.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct move {
  const eio_req *req;
  struct eio__copy copy;
  char *temp;          /* its name while it is made */
  char text[PATH_MAX]; /* of a symbolic link */
};

/* What rename() would say. */
static int check(struct move *move)
{
  const eio_req *req = move->req;
  struct stat *from = &move->copy.from, to;
  bool there;

  if (eio__copy_cancelled(&move->copy) || eio_p_stat(req->wd, req->path, from, false) < 0)
    return -1;
  there = eio_p_stat(req->wd2, req->path2, &to, false) == 0;
  if (!there && errno != ENOENT)
    return -1;
  errno = 0;
  if (S_ISDIR(from->st_mode) || (there && S_ISDIR(to.st_mode)))
    errno = EISDIR;
  else if (!S_ISREG(from->st_mode) && !S_ISLNK(from->st_mode))
    errno = EXDEV; /* devices, FIFOs, sockets */
  else if (there && eio__same_file(&to, from))
    errno = EINVAL;
  else if (!there && req->path2[strlen(req->path2) - 1] == '/')
    errno = ENOTDIR;
  return errno ? -1 : 0;
}

static int try_file(void *data, const char *name)
{
  struct move *move = data;

  move->copy.out = eio_p_open(move->copy.wd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0200);
  return move->copy.out < 0 ? -1 : 0;
}

static int try_link(void *data, const char *name)
{
  const struct move *move = data;

  return eio_p_symlink(move->text, move->copy.wd, name);
}

/* Makes something under a name of its own. */
static int make(struct move *move, int (*try)(void *, const char *))
{
  move->copy.name = move->temp = eio__make_beside(move->req->path2, try, move);
  return move->temp ? 0 : -1;
}

/* Keeps errno. */
static void drop(const struct move *move)
{
  int error = errno;

  eio_p_unlink(move->copy.wd, move->temp);
  errno = error;
}

/* Gives what was made the name that it shall have. */
static int replace(const struct move *move)
{
  const eio_wd *wd = move->copy.wd;

  if (!eio__copy_cancelled(&move->copy) && eio_p_rename(wd, move->temp, wd, move->req->path2, 0) == 0)
    return 0;
  drop(move);
  return -1;
}

/* Removes the source, but nothing else that got its name meanwhile. */
static int remove_source(const struct move *move)
{
  const eio_req *req = move->req;
  struct stat st;

  if (eio_p_stat(req->wd, req->path, &st, false) < 0)
    return -1;
  if (!eio__same_file(&st, &move->copy.from)) {
    errno = EBUSY;
    return -1;
  }
  return eio_p_unlink(req->wd, req->path);
}

static int move_link(struct move *move)
{
  const eio_req *req = move->req;
  ssize_t size = eio_p_readlink(req->wd, req->path, move->text, sizeof move->text);

  if (size < 0)
    return -1;
  if (size == (ssize_t)sizeof move->text) {
    errno = ENAMETOOLONG;
    return -1;
  }
  move->text[size] = 0;
  if (make(move, try_link) < 0)
    return -1;
  eio_p_keep_link(req->wd2, move->temp, &move->copy.from);
  return replace(move) < 0 ? -1 : remove_source(move);
}

/* All of the source, with its attributes. */
static int fill(struct eio__copy *copy)
{
  eio__whole(copy->req, (uint64_t)copy->from.st_size);
  if (fstat(copy->out, &copy->to) < 0 || eio__copy_data(copy) < 0)
    return -1;
  eio__keep(copy, true);
  return eio__copy_shut(copy) < 0 || copy->out < 0 ? -1 : 0;
}

/* Who appends to the source may do so until it is gone, and does not see that it is
 * about to go. */
static int finish(struct move *move)
{
  int more;

  if (replace(move) < 0 || remove_source(move) < 0)
    return -1;
  more = eio__copy_rest(&move->copy);
  if (more > 0)
    eio__keep(&move->copy, false);
  return more < 0 ? -1 : 0;
}

static int move_file(struct move *move)
{
  struct eio__copy *copy = &move->copy;
  int result = -1, error;

  if (fstat(copy->in, &copy->from) < 0)
    return -1;
  if (!S_ISREG(copy->from.st_mode)) { /* exchanged since */
    errno = EXDEV;
    return -1;
  }
  if (make(move, try_file) < 0)
    return -1;
  if (fill(copy) == 0)
    result = finish(move);
  else
    drop(move);
  error = errno;
  if (copy->out >= 0)
    close(copy->out);
  errno = error;
  return result;
}

static int move_far(struct move *move)
{
  const eio_req *req = move->req;
  int result, error;

  if (check(move) < 0)
    return -1;
  if (S_ISLNK(move->copy.from.st_mode))
    result = move_link(move);
  else {
    move->copy.in = eio_p_open(req->wd, req->path, O_RDONLY | O_NOFOLLOW, 0);
    if (move->copy.in < 0)
      return -1;
    result = move_file(move);
    error = errno;
    close(move->copy.in);
    errno = error;
  }
  error = errno;
  free(move->temp);
  errno = error;
  return result;
}

int64_t eio_x_move(eio_req *req)
{
  struct move move = { .copy = { .req = req, .wd = req->wd2, .in = -1, .out = -1, .ways = eio__copy_ways() }, .req = req };

  if (eio_x_rename(req) == 0)
    return 0;
  if (errno != EXDEV)
    return -1;
  move.copy.parts = eio__helped_begin(req);
  return eio__helped_end(move.copy.parts, move_far(&move));
}
