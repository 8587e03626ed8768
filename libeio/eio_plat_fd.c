/* eio_plat_fd.c - calls on descriptors and memory that not every system has.
 * A missing one fails with ENOSYS, whatever its arguments. */
#include "eio_plat.h"

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>
#if EIO_HAVE_PREADV2
# include <sys/uio.h>
#endif
#if defined(__linux__)
# include <linux/futex.h>
# include <sys/syscall.h>
# include <sys/vfs.h>
#endif
#if EIO_HAVE_CLOSE_RANGE
# include <sys/syscall.h>
#endif
#if EIO_HAVE_SENDFILE_LINUX
# include <sys/sendfile.h>
#endif
#if EIO_HAVE_FIEMAP
# include <linux/fs.h>
# include <linux/fiemap.h>
# include <stdlib.h>
# include <string.h>
#endif

#if !EIO_HAVE_FUTIMENS || !EIO_HAVE_STATVFS || !EIO_HAVE_FALLOCATE || !EIO_HAVE_SENDFILE_LINUX \
  || !EIO_HAVE_SYNCFS || !EIO_HAVE_FIEMAP || !EIO_HAVE_SYNC_FILE_RANGE \
  || !EIO_HAVE_CLOSE_RANGE || !EIO_HAVE_MINCORE || !EIO_HAVE_MSYNC || !EIO_HAVE_MLOCK || !EIO_HAVE_MLOCKALL \
  || !(EIO_HAVE_READAHEAD || EIO_HAVE_POSIX_FADVISE) || !defined(__linux__) || !defined(SEEK_HOLE)
static int absent(void)
{
  errno = ENOSYS;
  return -1;
}
#endif

/* For arguments of calls that are absent. */
#define UNUSED(argument) ((void)(argument))

void eio_p_times(const struct stat *st, struct timespec times[2])
{
#if EIO_HAVE_ST_TIM
  times[0] = st->st_atim;
  times[1] = st->st_mtim;
#else
  times[0] = (struct timespec){ st->st_atime, 0 };
  times[1] = (struct timespec){ st->st_mtime, 0 };
#endif
}

int eio_p_futime(int fd, const struct timespec times[2])
{
#if EIO_HAVE_FUTIMENS
  return futimens(fd, times);
#else
  UNUSED(fd), UNUSED(times);
  return absent();
#endif
}

/* There is no statvfsat(). */
int eio_p_statvfs(const eio_wd *wd, const char *path, struct statvfs *st)
{
#if EIO_HAVE_STATVFS
  int fd, result, error;

  if (path && *path && (!wd || *path == '/')) {
    EIO_RETRY(result, statvfs(path, st));
    return result;
  }
  fd = eio_p_open(wd, path, O_RDONLY | O_NONBLOCK | EIO_O_PATH, 0);
  if (fd < 0)
    return -1;
  EIO_RETRY(result, fstatvfs(fd, st));
  error = errno;
  close(fd);
  errno = error;
  return result;
#else
  UNUSED(wd), UNUSED(path), UNUSED(st);
  return absent();
#endif
}

int eio_p_fstatvfs(int fd, struct statvfs *st)
{
#if EIO_HAVE_STATVFS
  int result;

  EIO_RETRY(result, fstatvfs(fd, st));
  return result;
#else
  UNUSED(fd), UNUSED(st);
  return absent();
#endif
}

ssize_t eio_p_read_now(int fd, void *buf, size_t size)
{
#if EIO_HAVE_PREADV2
  struct iovec iov = { buf, size };
  ssize_t n = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);

  if (n >= 0 || errno == EAGAIN || errno == EINTR)
    return n; /* older kernels cannot for all that may be read: EOPNOTSUPP */
#endif
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return read(fd, buf, size);
}

int eio_p_pipe(int fds[2])
{
#if EIO_HAVE_PIPE2
  return pipe2(fds, O_CLOEXEC);
#else
  if (pipe(fds) < 0)
    return -1;
  fcntl(fds[0], F_SETFD, FD_CLOEXEC);
  fcntl(fds[1], F_SETFD, FD_CLOEXEC);
  return 0;
#endif
}

/* EBUSY: Linux saw another thread open that number at the same time. */
int eio_p_dup_over(int from, int to)
{
  int result;

  do
#if EIO_HAVE_PIPE2 /* which came with dup3 */
    result = dup3(from, to, O_CLOEXEC);
#else
    result = dup2(from, to);
#endif
  while (result < 0 && (errno == EINTR || errno == EBUSY));
#if !EIO_HAVE_PIPE2
  if (result >= 0)
    fcntl(to, F_SETFD, FD_CLOEXEC);
#endif
  return result;
}

int eio_p_fallocate(int fd, int mode, off_t offs, off_t length)
{
#if EIO_HAVE_FALLOCATE
  int result;

  EIO_RETRY(result, fallocate(fd, mode, offs, length));
  return result;
#else
  UNUSED(fd), UNUSED(mode), UNUSED(offs), UNUSED(length);
  return absent();
#endif
}

int eio_p_readahead(int fd, off_t offs, size_t length)
{
#if EIO_HAVE_READAHEAD
  return (int)readahead(fd, offs, length);
#elif EIO_HAVE_POSIX_FADVISE
  errno = posix_fadvise(fd, offs, (off_t)length, POSIX_FADV_WILLNEED);
  return errno ? -1 : 0;
#else
  UNUSED(fd), UNUSED(offs), UNUSED(length);
  return absent();
#endif
}

off_t eio_p_find_data(int fd, off_t offs, off_t *end)
{
#if defined(SEEK_DATA) && defined(SEEK_HOLE)
  off_t data = lseek(fd, offs, SEEK_DATA);

  if (data >= 0)
    *end = lseek(fd, data, SEEK_HOLE);
  return data >= 0 && *end <= data ? -1 : data;
#else
  UNUSED(fd), UNUSED(offs), UNUSED(end);
  return absent();
#endif
}

ssize_t eio_p_sendfile(int out, int in, off_t *offs, size_t length)
{
#if EIO_HAVE_SENDFILE_LINUX
  ssize_t result;

  EIO_RETRY(result, sendfile(out, in, offs, length));
  return result;
#else
  UNUSED(out), UNUSED(in), UNUSED(offs), UNUSED(length);
  return absent();
#endif
}

bool eio_p_fd_magic(int fd, uint64_t *magic)
{
#if defined(__linux__)
  struct statfs fs;

  if (fstatfs(fd, &fs) < 0)
    return false;
  *magic = (uint32_t)fs.f_type;
  return true;
#else
  UNUSED(fd), UNUSED(magic);
  return false;
#endif
}

void eio_p_close_both(int fd, int fd2)
{
#if EIO_HAVE_CLOSE_RANGE && !defined __SANITIZE_THREAD__ /* which would not see it */
  if (fd2 == fd + 1 && syscall(SYS_close_range, fd, fd2, 0) == 0)
    return;
#endif
  close(fd);
  close(fd2);
}

int eio_p_close_range(unsigned first, unsigned last, unsigned flags)
{
#if EIO_HAVE_CLOSE_RANGE
  return (int)syscall(SYS_close_range, first, last, flags);
#else
  UNUSED(first), UNUSED(last), UNUSED(flags);
  return absent();
#endif
}

int eio_p_fdatasync(int fd)
{
  int result;

#if EIO_HAVE_FDATASYNC
  EIO_RETRY(result, fdatasync(fd));
#else
  EIO_RETRY(result, fsync(fd));
#endif
  return result;
}

int eio_p_syncfs(int fd)
{
#if EIO_HAVE_SYNCFS
  return syncfs(fd);
#else
  UNUSED(fd);
  return absent();
#endif
}

int eio_p_sync_file_range(int fd, off_t offs, off_t length, unsigned flags)
{
#if EIO_HAVE_SYNC_FILE_RANGE
  int result;

  EIO_RETRY(result, sync_file_range(fd, offs, length, flags));
  return result;
#else
  UNUSED(fd), UNUSED(offs), UNUSED(length), UNUSED(flags);
  return absent();
#endif
}

int eio_p_fiemap(int fd, uint64_t offs, uint64_t length, uint32_t flags,
                 struct eio_extent *list, unsigned max, bool *last)
{
#if EIO_HAVE_FIEMAP
  struct fiemap *map = calloc(1, sizeof *map + max * sizeof *map->fm_extents);
  int result, error;

  *last = false;
  if (!map) {
    errno = ENOMEM;
    return -1;
  }
  map->fm_start = offs;
  map->fm_length = length;
  map->fm_flags = flags;
  map->fm_extent_count = max;
  EIO_RETRY(result, ioctl(fd, FS_IOC_FIEMAP, map));
  error = errno;
  if (result >= 0) {
    result = (int)map->fm_mapped_extents;
    for (int i = 0; i < result && max; i++) {
      const struct fiemap_extent *extent = &map->fm_extents[i];

      list[i] = (struct eio_extent){ extent->fe_logical, extent->fe_physical, extent->fe_length,
                                     extent->fe_flags };
      *last = extent->fe_flags & FIEMAP_EXTENT_LAST;
    }
  }
  free(map);
  errno = error;
  return result;
#else
  UNUSED(fd), UNUSED(offs), UNUSED(length), UNUSED(flags), UNUSED(list), UNUSED(max);
  UNUSED(last);
  return absent();
#endif
}

int eio_p_msync(void *addr, size_t length, int flags)
{
#if EIO_HAVE_MSYNC
  int result;

  EIO_RETRY(result, msync(addr, length, flags));
  return result;
#else
  UNUSED(addr), UNUSED(length), UNUSED(flags);
  return absent();
#endif
}

int eio_p_mlock(void *addr, size_t length)
{
#if EIO_HAVE_MLOCK
  return mlock(addr, length);
#else
  UNUSED(addr), UNUSED(length);
  return absent();
#endif
}

int eio_p_mlockall(int flags)
{
#if EIO_HAVE_MLOCKALL
  return mlockall(flags);
#else
  UNUSED(flags);
  return absent();
#endif
}

int eio_p_mincore(void *addr, size_t length, unsigned char *pages)
{
#if EIO_HAVE_MINCORE
  int result;

  do
    result = mincore(addr, length, (void *)pages);
  while (result < 0 && errno == EAGAIN);
  return result;
#else
  UNUSED(addr), UNUSED(length), UNUSED(pages);
  return absent();
#endif
}

/* Linux 5.14. EINVAL has two meanings: an older kernel, which refuses it for an
 * empty range as well, or memory that does not allow the access. */
int eio_p_populate(void *addr, size_t length, bool write)
{
#if defined(__linux__)
  int advice = write ? 23 : 22; /* MADV_POPULATE_..., which older headers lack */
  int result;

  EIO_RETRY(result, madvise(addr, length, advice));
  if (result < 0 && errno == EINVAL)
    errno = madvise(addr, 0, advice) < 0 ? ENOSYS : EINVAL;
  return result;
#else
  UNUSED(addr), UNUSED(length), UNUSED(write);
  return absent();
#endif
}

/* Calls that read a word, or or nothing into it. They wake who waits for a change
 * of the word at most, which is harmless: he looks at it again. */
int eio_p_touch(void *page, bool write)
{
#if defined(__linux__) && defined(SYS_futex)
  uint32_t other = 0;
  long result = write
    ? syscall(SYS_futex, &other, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 0, 0, page,
              FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_EQ, 0))
    : syscall(SYS_futex, page, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE_FLAG, 0, 0, &other, 0);

  return result < 0 && errno != EAGAIN ? -1 : 0; /* EAGAIN: the word is not 0 */
#else
  UNUSED(page), UNUSED(write);
  return absent();
#endif
}

/* By number: where the kernel has no such call, the C library makes another that may
 * wait. */
bool eio_p_peek(int fd, mode_t *mode, uint64_t *size)
{
#if EIO_HAVE_STATX && defined(SYS_statx)
  struct statx stx;

  if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_SIZE, &stx) < 0)
    return false;
  *mode = stx.stx_mode & S_IFMT;
  *size = stx.stx_size;
  return true;
#else
  UNUSED(fd), UNUSED(mode), UNUSED(size);
  return false;
#endif
}
