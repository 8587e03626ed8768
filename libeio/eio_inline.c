/* eio_inline.c - attempts to finish a request in submit, without blocking.
 *
 * Only answers that are certain count: success, or data that is all there. Anything else
 * is left to a worker, which asks the kernel again and reports what it says. A call that
 * the system refuses altogether is not tried again in this context.
 *
 * The owner must not wait. These are the calls that attempts make, and why they do not;
 * README.md says more of them, and xt/08-calls.t holds the list against what strace sees.
 *
 *   preadv2 RWF_NOWAIT       of files that cannot do that it is refused at once
 *   openat2 RESOLVE_CACHED   resolves by the cache of names, or fails with EAGAIN;
 *     with O_PATH            opens nothing, so no device, FIFO or virus scanner notices
 *     to read                only what was a regular file on a local file system
 *   statx DONT_SYNC          what the kernel has in memory; not asked of mounts that may
 *                            ask a server all the same
 *   name_to_handle_at        gives the number of a mount
 *   statmount                what a mount is of, from the kernel's own table
 *   fcntl F_GETFL, F_SETFL   flags of a descriptor
 *   readlink /proc/self/fd   the kernel's name of a descriptor
 *   close                    of a descriptor of ours: O_PATH, or just opened to read
 *
 * What is local, eio_mounts.c knows. */
#include "eio_int.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "eio_plat.h"

#ifndef O_DIRECT
# define O_DIRECT 0
#endif
#ifndef O_LARGEFILE
# define O_LARGEFILE 0
#endif

/* Larger reads are better copied by a worker, on another processor. */
#define READ_MAX (64 * 1024)
/* An owner that waits has one itself; but results shall not wait for it long. */
#define WAITS_READ_MAX (1024 * 1024)

/* An open that kept the owner for longer than this was no matter of memory. */
#define SLOW_NS 2000000

enum { LATCH_READ = 1, LATCH_OPEN = 2, LATCH_STAT = 4 };

#if EIO_HAVE_STATX && EIO_HAVE_O_PATH
/* The system has no such call, or a sandbox forbids it. */
static bool is_refusal(int error)
{
  return error == ENOSYS || error == EPERM || error == EINVAL;
}

/* What the kernel has in memory about an open file. Without it nothing is known of any
 * descriptor; EINVAL cannot be about this one. */
static bool peek(eio_ctx *ctx, int fd, struct statx *stx, uint64_t *mount)
{
  if (ctx->latched & LATCH_STAT)
    return false;
  if (eio_p_statx(fd, stx, mount))
    return true;
  if (is_refusal(errno))
    ctx->latched |= LATCH_STAT;
  return false;
}

/* Where there are mounts that would ask a server for what the kernel has in memory, the
 * mount of this file has to be known first. */
static bool may_peek(eio_ctx *ctx, int fd)
{
  uint64_t mount;

  return !ctx->mounts.careful || (eio_p_mount_of(fd, &mount) && eio__is_local(ctx, mount));
}

/* Asks what the kernel has in memory about an open file; false when it is not known to be
 * local. Before Linux 6.8 mounts have no lasting number, and no name is tried. */
static bool stat_cached(eio_ctx *ctx, int fd, struct statx *stx)
{
  uint64_t mount;

  if (!may_peek(ctx, fd) || !peek(ctx, fd, stx, &mount))
    return false;
  if (!mount)
    ctx->latched |= LATCH_OPEN;
  return mount && eio__is_local(ctx, mount);
}

bool eio__is_storage(eio_ctx *ctx, int fd, bool *local)
{
  struct statx stx;
  uint64_t mount;

  if (!may_peek(ctx, fd) || !peek(ctx, fd, &stx, &mount))
    return false;
  *local = mount && eio__is_local(ctx, mount);
  return S_ISREG(stx.stx_mode) || S_ISBLK(stx.stx_mode);
}
#else
bool eio__is_storage(eio_ctx *ctx, int fd, bool *local)
{
  (void)ctx, (void)fd, (void)local;
  return false;
}
#endif

#if EIO_HAVE_PREADV2 && EIO_HAVE_STATX && EIO_HAVE_O_PATH
/* Direct I/O waits for the device whatever the flag says. */
static bool is_direct(const eio_req *req)
{
  return fcntl(req->fd, F_GETFL) & O_DIRECT;
}

/* It takes nothing else; so only for these one has to ask. */
static bool is_aligned(const eio_req *req)
{
  return !(((uintptr_t)req->buf | (uint64_t)req->offs | req->size) & 511);
}

/* EINVAL is the answer of kernels that do not know the flag, before 4.14, but also of
 * any kernel to what is wrong with a single read: of direct I/O that is not aligned,
 * to an offset that would overflow, or of what cannot be read, such as a namespace in
 * /proc or a device, which have no blocks. */
static bool is_refused(eio_ctx *ctx, const eio_req *req)
{
  struct statx stx;
  uint64_t mount;

  if (errno == EINVAL)
    return peek(ctx, req->fd, &stx, &mount) && S_ISREG(stx.stx_mode) && stx.stx_blocks > 0
           && !is_direct(req) && req->size <= (uint64_t)(INT64_MAX - req->offs);
  return is_refusal(errno);
}

/* Whether a worker would read no more than these n octets. Of a regular file some kernels
 * give 0 or less than is there, and of a block device what is in memory; but what a
 * character device gave (a packet) it will not give again. */
static bool is_all(eio_ctx *ctx, const eio_req *req, ssize_t n)
{
  struct statx stx;
  uint64_t mount;

  if (!peek(ctx, req->fd, &stx, &mount))
    return false;
  if (S_ISREG(stx.stx_mode))
    return stx.stx_size != 0 && (uint64_t)(req->offs + n) >= stx.stx_size;
  return n > 0 && !S_ISBLK(stx.stx_mode);
}

static bool inline_read(eio_ctx *ctx, eio_req *req, uint64_t max)
{
  struct iovec iov = { req->buf, req->size };
  struct statx stx;
  uint64_t mount;
  ssize_t n;

  if (!req->size /* there may be an error, which preadv2() does not tell */
      || req->size > max || req->offs < 0 || !eio_p_is_offset(req->offs)
      || ctx->latched & (LATCH_READ | LATCH_STAT) || (is_aligned(req) && is_direct(req)))
    return false;
  if (!ctx->can_peek) { /* before is_all() needs it; of no file at all */
    peek(ctx, -1, &stx, &mount);
    if (ctx->latched & LATCH_STAT)
      return false;
    ctx->can_peek = true;
  }
  n = preadv2(req->fd, &iov, 1, (off_t)req->offs, RWF_NOWAIT);
  if (n < 0) {
    if (is_refused(ctx, req))
      ctx->latched |= LATCH_READ;
    return false;
  }
  if ((uint64_t)n < req->size && !is_all(ctx, req, n))
    return false;
  req->result = n;
  return true;
}
#else
static bool inline_read(eio_ctx *ctx, eio_req *req, uint64_t max)
{
  (void)ctx, (void)req, (void)max;
  return false;
}
#endif

#if EIO_HAVE_PREADV2 && EIO_HAVE_OPENAT2 && EIO_HAVE_STATX && EIO_HAVE_O_PATH
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

static int openat2_cached(int dir, const char *path, int flags, uint64_t resolve)
{
  struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC), .resolve = RESOLVE_CACHED | resolve };

  return (int)syscall(__NR_openat2, dir, path, &how, sizeof how);
}

/* Opens a name if that takes no more than the directory cache. */
static int open_cached(eio_ctx *ctx, const eio_req *req, int flags)
{
  int fd;

  if (ctx->latched & (LATCH_OPEN | LATCH_STAT))
    return -1;
  fd = openat2_cached(req->wd ? req->wd->fd : AT_FDCWD, req->path, flags, 0);
  if (fd < 0 && flags & O_PATH && is_refusal(errno))
    ctx->latched |= LATCH_OPEN;
  return fd;
}

static struct timespec timespec_of(struct statx_timestamp t)
{
  return (struct timespec){ .tv_sec = t.tv_sec, .tv_nsec = t.tv_nsec };
}

/* False when a member is too narrow (32 bits): fstat() has an error for that. */
static bool fill_stat(struct stat *st, const struct statx *stx)
{
  *st = (struct stat){
    .st_dev = makedev(stx->stx_dev_major, stx->stx_dev_minor),
    .st_ino = stx->stx_ino,
    .st_mode = stx->stx_mode,
    .st_nlink = stx->stx_nlink,
    .st_uid = stx->stx_uid,
    .st_gid = stx->stx_gid,
    .st_rdev = makedev(stx->stx_rdev_major, stx->stx_rdev_minor),
    .st_size = (off_t)stx->stx_size,
    .st_blksize = (blksize_t)stx->stx_blksize,
    .st_blocks = (blkcnt_t)stx->stx_blocks,
    .st_atim = timespec_of(stx->stx_atime),
    .st_mtim = timespec_of(stx->stx_mtime),
    .st_ctim = timespec_of(stx->stx_ctime),
  };
  return st->st_ino == stx->stx_ino && (uint64_t)st->st_size == stx->stx_size
         && (uint64_t)st->st_blocks == stx->stx_blocks && st->st_atim.tv_sec == stx->stx_atime.tv_sec
         && st->st_mtim.tv_sec == stx->stx_mtime.tv_sec && st->st_ctim.tv_sec == stx->stx_ctime.tv_sec;
}

_Static_assert(sizeof(struct statx) == sizeof(struct eio_statx), "the kernel's");

static bool inline_stat(eio_ctx *ctx, eio_req *req)
{
  int fd = req->fd >= 0 ? req->fd
    : open_cached(ctx, req, O_PATH | (req->op == EIO_LSTAT ? O_NOFOLLOW : 0));
  struct statx stx;
  struct stat *st;
  bool ok;

  if (fd < 0)
    return false;
  ok = stat_cached(ctx, fd, &stx);
  if (fd != req->fd)
    close(fd);
  st = !ok ? NULL : req->buf ? req->buf : malloc(sizeof *st);
  if (!st)
    return false;
  if (!fill_stat(st, &stx)) {
    if (!req->buf)
      free(st);
    return false;
  }
  if (!req->buf)
    req->flags |= EIO_FREE_BUF;
  req->buf = st;
  req->result = 0;
  return true;
}

/* Who asks for more or less than the attempt does is left to a worker, as the kernel's answer differs. */
static bool inline_statx(eio_ctx *ctx, eio_req *req)
{
  bool follow = !(req->arg1 & AT_SYMLINK_NOFOLLOW), ok;
  struct statx stx;
  int fd;

  if (req->arg1 & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC)
      || (req->size | EIO_STATX_BTIME) != (EIO_STATX_BASIC | EIO_STATX_BTIME))
    return false;
  fd = req->fd >= 0 ? req->fd : open_cached(ctx, req, O_PATH | (follow ? 0 : O_NOFOLLOW));
  if (fd < 0)
    return false;
  ok = stat_cached(ctx, fd, &stx);
  if (fd != req->fd)
    close(fd);
  req->buf = ok ? malloc(sizeof stx) : NULL;
  if (!req->buf)
    return false;
  memcpy(req->buf, &stx, sizeof stx);
  eio_p_statx_forget(req->buf, (uint32_t)req->size);
  req->flags |= EIO_FREE_BUF;
  req->result = 0;
  return true;
}

static long times_slept(void)
{
  struct rusage usage;

  return getrusage(RUSAGE_THREAD, &usage) < 0 ? 0 : usage.ru_nvcsw;
}

/* Opens what was a regular file a moment ago. That may wait in spite of all: for who
 * wants to be asked (a virus scanner, by fanotify(7)), for a measurement (IMA). One that
 * was slow is a suspicion only, as others may have had the processor. When the next one
 * sleeps, too, 64 are left to workers, and each time twice as many. */
static int open_data(eio_ctx *ctx, const eio_req *req, int flags)
{
  long slept = ctx->open_suspect ? times_slept() : 0;
  uint64_t began = eio_p_now();
  int fd = open_cached(ctx, req, flags | O_NONBLOCK | O_LARGEFILE);
  bool slow = eio_p_now() - began > SLOW_NS;

  if (ctx->open_suspect && times_slept() != slept) {
    ctx->open_penalty = ctx->open_penalty ? ctx->open_penalty * 2u : 64;
    ctx->open_skip = ctx->open_penalty;
  } else
    ctx->open_suspect = slow;
  return fd;
}

/* Opens a regular file for reading by name, when its data is to be had without
 * waiting. What it is has to be known before: opening a FIFO waits for its
 * other side, or disturbs it. The second lookup may find something else, hence
 * O_NONBLOCK. To a program that did without large files, kernels of 64 bits
 * would give one all the same. */
static int open_regular(eio_ctx *ctx, eio_req *req, int flags, struct statx *stx)
{
  int fd, name;

  if (ctx->open_skip) {
    ctx->open_skip--;
    return -1;
  }
  name = sizeof(off_t) > 4 ? open_cached(ctx, req, O_PATH | (flags & O_NOFOLLOW)) : -1;
  if (name < 0)
    return -1;
  fd = stat_cached(ctx, name, stx) && S_ISREG(stx->stx_mode) ? open_data(ctx, req, flags) : -1;
  close(name);
  return fd;
}

static bool inline_open(eio_ctx *ctx, eio_req *req)
{
  struct statx stx;
  int fd;

  /* to write, it may have to read a quota */
  if ((req->arg1 & O_ACCMODE) != O_RDONLY || req->arg1 & ~(O_APPEND | O_CLOEXEC | O_NOFOLLOW))
    return false;
  fd = open_regular(ctx, req, req->arg1, &stx);
  if (fd < 0)
    return false;
  if (fcntl(fd, F_SETFL, req->arg1 & O_APPEND) < 0) {
    close(fd);
    return false;
  }
  req->result = fd;
  req->arg2 = 0;
  req->flags |= EIO_OWNS_FD;
  return true;
}

/* Whether a name leads to the same file, without symbolic links. */
static bool leads_to(eio_ctx *ctx, const char *name, const struct statx *stx)
{
  struct statx named;
  int fd = openat2_cached(AT_FDCWD, name, O_PATH | O_NOFOLLOW, RESOLVE_NO_SYMLINKS);
  bool same;

  if (fd < 0)
    return false;
  same = stat_cached(ctx, fd, &named) && named.stx_ino == stx->stx_ino
         && named.stx_dev_major == stx->stx_dev_major && named.stx_dev_minor == stx->stx_dev_minor;
  close(fd);
  return same;
}

static bool inline_realpath(eio_ctx *ctx, eio_req *req)
{
  int fd = open_cached(ctx, req, O_PATH);
  char name[PATH_MAX], *copy = NULL;
  struct statx stx;

  if (fd < 0)
    return false;
  if (stat_cached(ctx, fd, &stx) && eio_p_kernel_name(fd, name) && leads_to(ctx, name, &stx))
    copy = strdup(name);
  close(fd);
  if (!copy)
    return false;
  req->buf = copy;
  req->flags |= EIO_FREE_BUF;
  req->result = (int64_t)strlen(copy);
  return true;
}

/* Whole small files. */
static bool inline_load(eio_ctx *ctx, eio_req *req)
{
  struct statx stx;
  char *buf;
  ssize_t n = -1;
  int fd;

  if (req->offs || req->size || ctx->latched & LATCH_READ)
    return false;
  fd = open_regular(ctx, req, O_RDONLY | O_NOCTTY, &stx);
  if (fd < 0)
    return false;
  if (stx.stx_size && stx.stx_size <= READ_MAX && (buf = malloc(stx.stx_size + 1))) {
    struct iovec iov = { buf, stx.stx_size + 1 };

    n = preadv2(fd, &iov, 1, 0, RWF_NOWAIT);
    if (n == (ssize_t)stx.stx_size) {
      buf[n] = 0;
      req->buf = buf;
      req->flags |= EIO_FREE_BUF;
      req->result = n;
    } else {
      free(buf);
      n = -1;
    }
  }
  close(fd);
  if (n < 0)
    return false;
  eio__made(req, (uint64_t)n);
  eio__whole(req, (uint64_t)n);
  return true;
}
#else
# define inline_stat inline_none
# define inline_statx inline_none
# define inline_open inline_none
# define inline_load inline_none
# define inline_realpath inline_none

static bool inline_none(eio_ctx *ctx, eio_req *req)
{
  (void)ctx, (void)req;
  return false;
}
#endif

bool eio__inline(eio_ctx *ctx, eio_req *req, bool waits)
{
  int saved = errno;
  bool done = false;

  if (req->op == EIO_NOP) {
    req->result = 0;
    return true;
  }
  switch (req->op) {
  case EIO_READ:
    done = inline_read(ctx, req, waits ? WAITS_READ_MAX : READ_MAX);
    break;
  case EIO_STAT: case EIO_LSTAT: done = inline_stat(ctx, req); break;
  case EIO_STATX: done = inline_statx(ctx, req); break;
  case EIO_LOAD: case EIO_SLURP: done = inline_load(ctx, req); break;
  case EIO_REALPATH: done = inline_realpath(ctx, req); break;
  case EIO_OPEN: done = inline_open(ctx, req); break;
  default: break;
  }
  if (!done)
    req->result = -1;
  errno = saved;
  return done;
}
