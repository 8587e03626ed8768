/* eio_plat_statx.c - what statx(2) tells, straight from the kernel: C libraries know of it later, and of its
 * members later still. Safe in any thread. */
#include "eio_plat_at.h"

#include <string.h>
#include <unistd.h>
#if defined(__linux__)
# include <sys/syscall.h>
# include <sys/sysmacros.h>
#endif

#ifndef AT_EMPTY_PATH
# define AT_EMPTY_PATH 0
#endif
#ifndef AT_NO_AUTOMOUNT
# define AT_NO_AUTOMOUNT 0
#endif

#if EIO_HAVE_STATX && defined(SYS_statx)
_Static_assert(sizeof(struct eio_statx) == 256, "the size that the kernel writes");

static int ask(int fd, const char *path, int flags, uint32_t mask, struct eio_statx *stx)
{
  return (int)syscall(SYS_statx, fd, path, flags, mask, stx);
}
#else
static int ask(int fd, const char *path, int flags, uint32_t mask, struct eio_statx *stx)
{
  (void)fd, (void)path, (void)flags, (void)mask, (void)stx;
  errno = ENOSYS;
  return -1;
}
#endif

static struct eio_statx_time time_of(struct timespec t)
{
  return (struct eio_statx_time){ .sec = t.tv_sec, .nsec = (uint32_t)t.tv_nsec };
}

static void fill(struct eio_statx *stx, const struct stat *st)
{
  struct timespec times[2];

  eio_p_times(st, times);
  *stx = (struct eio_statx){
    .mask = EIO_STATX_BASIC, .blksize = (uint32_t)st->st_blksize, .nlink = (uint32_t)st->st_nlink,
    .uid = st->st_uid, .gid = st->st_gid, .mode = (uint16_t)st->st_mode, .ino = st->st_ino,
    .size = (uint64_t)st->st_size, .blocks = (uint64_t)st->st_blocks,
    .atime = time_of(times[0]), .mtime = time_of(times[1]),
#if EIO_HAVE_ST_TIM
    .ctime = time_of(st->st_ctim),
#else
    .ctime = { .sec = st->st_ctime },
#endif
#ifdef makedev
    .rdev_major = major(st->st_rdev), .rdev_minor = minor(st->st_rdev),
    .dev_major = major(st->st_dev), .dev_minor = minor(st->st_dev),
#endif
  };
}

/* What is said of servers (AT_STATX_FORCE_SYNC) or of the empty path is not to be had in this way. */
static int without_statx(int fd, const eio_wd *wd, const char *path, int flags, uint32_t mask, struct eio_statx *stx)
{
  struct stat st;

  if (mask >> 31) { /* which the kernel keeps for itself */
    errno = EINVAL;
    return -1;
  }
  errno = ENOSYS;
  if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT))
    return -1;
  if ((fd >= 0 ? fstat(fd, &st) : eio_p_stat(wd, path, &st, !(flags & AT_SYMLINK_NOFOLLOW))) < 0)
    return -1;
  fill(stx, &st);
  return 0;
}

int eio_p_stat_more(int fd, const eio_wd *wd, const char *path, int flags, uint32_t mask, struct eio_statx *stx)
{
  struct eio_p_at at;
  int result;

  memset(stx, 0, sizeof *stx);
  if (fd >= 0)
    result = ask(fd, "", flags | AT_EMPTY_PATH, mask, stx);
  else {
    if (!eio_p_at_begin(&at, wd, path, 0))
      return -1;
    result = eio_p_at_end(&at, ask(at.fd, at.path, flags, mask, stx));
  }
  return result < 0 && (errno == ENOSYS || errno == EPERM /* a sandbox's */) ? without_statx(fd, wd, path, flags, mask, stx) : result;
}

void eio_p_statx_forget(struct eio_statx *stx, uint32_t mask)
{
  stx->mask &= mask;
  if (!(stx->mask & EIO_STATX_BTIME))
    memset(&stx->btime, 0, sizeof stx->btime);
  if (!(stx->mask & (EIO_STATX_MNT_ID | EIO_STATX_MNT_ID_UNIQUE)))
    stx->mnt_id = 0;
  if (!(stx->mask & EIO_STATX_DIOALIGN))
    stx->dio_mem_align = stx->dio_offset_align = 0;
  if (!(stx->mask & EIO_STATX_DIO_READ_ALIGN))
    stx->dio_read_offset_align = 0;
  if (!(stx->mask & EIO_STATX_SUBVOL))
    stx->subvol = 0;
  if (!(stx->mask & EIO_STATX_WRITE_ATOMIC))
    stx->atomic_write_unit_min = stx->atomic_write_unit_max = stx->atomic_write_segments_max = 0;
}
