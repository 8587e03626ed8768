/* ops_open.c - open, close, and working directories. */
#include "eio_plat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Close-on-exec from the beginning: between open and a later fcntl another
 * thread could fork and execute. Who wants it inherited clears the flag. Asking
 * for a terminal here, the owner need not. */
static int64_t opened(eio_req *req, int fd)
{
  req->arg2 = 0;
  if (fd >= 0) {
    req->arg2 = isatty(fd);
    eio__flag_set(req, EIO_OWNS_FD);
  }
  return fd;
}

int64_t eio_x_open(eio_req *req)
{
  return opened(req, eio_p_open_as(req->wd, req->path, req->arg1 | O_CLOEXEC, (mode_t)req->arg2));
}

int64_t eio_x_openat2(eio_req *req)
{
  return opened(req, eio_p_open_within(req->wd, req->path, req->arg1 | O_CLOEXEC, (mode_t)req->arg2, req->size));
}

/* Close ------------------------------------------------------------------ */
/* The owner of a descriptor number (perl's file handle) will close it later:
 * until then something harmless must occupy it. That is the write end of a
 * pipe which nobody reads, if possible opened for nothing at all: perl may have
 * data in its buffer still, and SIGPIPE is not harmless. */

struct blocker {
  struct blocker *older; /* keeps replaced ones reachable */
  int fd;
  dev_t dev;
  ino_t ino;
};
static _Atomic(struct blocker *) the_blocker;

/* False when somebody closed it behind our back, as daemons do that close all
 * descriptors: its number may be anything by now. */
static bool blocker_intact(const struct blocker *blocker)
{
  struct stat st;

  return blocker && fstat(blocker->fd, &st) == 0 && st.st_dev == blocker->dev
         && st.st_ino == blocker->ino;
}

/* Another descriptor of the same pipe, on which reads and writes give EBADF, or
 * -1 where there is no such thing. */
static int without_access(int fd, const struct stat *same)
{
  char name[32];
  struct stat st;
  int bare;

  if (!EIO_O_PATH)
    return -1;
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  bare = eio_p_open(NULL, name, EIO_O_PATH, 0);
  if (bare >= 0 && (fstat(bare, &st) < 0 || st.st_dev != same->st_dev || st.st_ino != same->st_ino)) {
    close(bare);
    bare = -1;
  }
  return bare;
}

static struct blocker *blocker_create(struct blocker *older)
{
  struct blocker *blocker = malloc(sizeof *blocker);
  struct stat st;
  int fds[2], bare;

  if (!blocker)
    return NULL;
  if (eio_p_pipe(fds) < 0) {
    free(blocker);
    return NULL;
  }
  close(fds[0]);
  if (fstat(fds[1], &st) < 0) {
    close(fds[1]);
    free(blocker);
    return NULL;
  }
  bare = without_access(fds[1], &st);
  if (bare >= 0) {
    close(fds[1]);
    fds[1] = bare;
  }
  *blocker = (struct blocker){ older, fds[1], st.st_dev, st.st_ino };
  return blocker;
}

/* The process's one, made when it is first needed. No lock: a fork in another
 * thread could leave it locked in the child. */
static const struct blocker *blocker_get(void)
{
  struct blocker *blocker = atomic_load_explicit(&the_blocker, memory_order_acquire);

  while (!blocker_intact(blocker)) {
    struct blocker *fresh = blocker_create(blocker);

    if (!fresh)
      return NULL;
    if (atomic_compare_exchange_strong(&the_blocker, &blocker, fresh))
      return fresh;
    close(fresh->fd);
    free(fresh);
  }
  return blocker;
}

int eio__blocker_fd(void)
{
  const struct blocker *blocker = atomic_load_explicit(&the_blocker, memory_order_acquire);

  return blocker_intact(blocker) ? blocker->fd : -1;
}

/* Between those of the library's own. Not CLOSE_RANGE_UNSHARE: what a worker opens would be the worker's. */
int64_t eio_x_close_range(eio_req *req)
{
  uint64_t last = req->size == UINT64_MAX ? UINT_MAX : req->size;
  int64_t first = req->offs;
  int result = 0;

  errno = EINVAL;
  if (first < 0 || last > UINT_MAX || (uint64_t)first > last || req->arg1 & ~EIO_CLOSE_ON_EXEC)
    return -1;
  while (result == 0 && first <= (int64_t)last) {
    int own = first <= INT_MAX ? eio__next_own_fd((int)first) : -1;
    int64_t end = own < 0 || own > (int64_t)last ? (int64_t)last : own - 1;

    if (first <= end)
      result = eio_p_close_range((unsigned)first, (unsigned)end, (unsigned)req->arg1);
    first = end + (own < 0 ? 1 : 2);
  }
  return result;
}

int64_t eio_x_close(eio_req *req)
{
  const struct blocker *blocker;

  if (fcntl(req->fd, F_GETFD) < 0)
    return -1;
  blocker = blocker_get();
  if (!blocker)
    return -1;
  if (req->fd == blocker->fd) {
    errno = EBADF;
    return -1;
  }
  return eio_p_dup_over(blocker->fd, req->fd) < 0 ? -1 : 0;
}

/* Working directories ---------------------------------------------------- */

/* A descriptor to resolve paths from, or -1 without error when there can be
 * none. Where O_PATH is missing, a directory that may be searched but not read
 * has none. */
static int wd_descriptor(const eio_wd *base, const char *path)
{
  int fd;

  if (!EIO_HAVE_AT)
    return -1;
  fd = eio_p_open(base, path, O_RDONLY | O_DIRECTORY | EIO_O_PATH, 0);
  if (fd < 0 && errno == EACCES && !EIO_O_PATH)
    errno = 0;
  return fd;
}

static eio_wd *wd_create(int fd, const char *path)
{
  size_t size = strlen(path) + 1;
  eio_wd *wd = malloc(sizeof *wd + size);

  if (!wd)
    return NULL;
  wd->fd = fd;
  wd->refs = 1;
  memcpy(wd->path, path, size);
  return wd;
}

static bool is_directory(const char *path)
{
  struct stat st;

  if (stat(path, &st) < 0)
    return false;
  errno = ENOTDIR;
  return S_ISDIR(st.st_mode);
}

eio_wd *eio_wd_open(eio_wd *base, const char *path)
{
  eio_wd *wd = NULL;
  char *absolute;
  int fd, error;

  errno = 0;
  fd = wd_descriptor(base, path);
  if (fd < 0 && errno)
    return NULL;
  absolute = fd < 0 ? eio_p_realpath(base, path) : eio_p_fd_path(fd, base, path);
  if (absolute && (fd >= 0 || is_directory(absolute)))
    wd = wd_create(fd, absolute);
  error = errno;
  free(absolute);
  if (!wd && fd >= 0)
    close(fd);
  errno = error;
  return wd;
}

eio_wd *eio_wd_ref(eio_wd *wd)
{
  if (wd)
    wd->refs++;
  return wd;
}

void eio_wd_unref(eio_wd *wd)
{
  if (!wd || --wd->refs)
    return;
  if (wd->fd >= 0)
    close(wd->fd);
  free(wd);
}

eio_wd *eio_wd_dup(const eio_wd *wd)
{
  int fd = -1, error;
  eio_wd *copy;

  if (wd->fd >= 0 && (fd = fcntl(wd->fd, F_DUPFD_CLOEXEC, 0)) < 0)
    return NULL;
  copy = wd_create(fd, wd->path);
  if (copy || fd < 0)
    return copy;
  error = errno;
  close(fd);
  errno = error;
  return NULL;
}

const char *eio_wd_path(const eio_wd *wd)
{
  return wd->path;
}

int64_t eio_x_wd(eio_req *req)
{
  eio_wd *wd = eio_wd_open(req->wd, req->path);

  if (!wd)
    return -1;
  req->buf = wd;
  return 0;
}
