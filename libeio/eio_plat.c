/* eio_plat.c - time, processors, and the calls that take a path. Where the
 * system has no *at calls, or a working directory has no descriptor, relative
 * paths are appended to the directory's absolute path. */
#include "eio_plat_at.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#if EIO_HAVE_RENAMEAT2 || EIO_HAVE_STATX
# include <sys/syscall.h>
#endif
#if EIO_HAVE_OPENAT2
# include <linux/openat2.h>
# include <sys/syscall.h>
#endif
#if EIO_HAVE_INOTIFY
# include <sys/inotify.h>
#endif
#ifdef __linux__
# include <sched.h>
#endif

bool eio_p_switches(struct eio_switches *s)
{
#ifdef RUSAGE_THREAD
  struct rusage usage;

  if (getrusage(RUSAGE_THREAD, &usage) < 0)
    return false;
  *s = (struct eio_switches){ usage.ru_nvcsw, usage.ru_nivcsw };
  return true;
#else
  (void)s;
  return false;
#endif
}

uint64_t eio_p_now(void)
{
  struct timespec ts;

  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

const char *eio_p_trusted_env(const char *name)
{
#if EIO_HAVE_SECURE_GETENV
  return secure_getenv(name);
#else
  return getuid() == geteuid() && getgid() == getegid() ? getenv(name) : NULL;
#endif
}

unsigned eio_p_ncpus(void)
{
  long n;

#ifdef CPU_COUNT
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    return (unsigned)CPU_COUNT(&set);
#endif
  n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 1 ? (unsigned)n : 1;
}

void eio_p_mutex_init(pthread_mutex_t *mutex)
{
  pthread_mutexattr_t attr;

  pthread_mutexattr_init(&attr);
#if EIO_HAVE_MUTEX_ADAPTIVE
  pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
#endif
  pthread_mutex_init(mutex, &attr);
  pthread_mutexattr_destroy(&attr);
}

#if !EIO_HAVE_AT || !EIO_HAVE_UTIMENSAT || !defined(AT_EMPTY_PATH)
static int absent(void)
{
  errno = ENOSYS;
  return -1;
}
#endif

/* The *at calls, or the same without the descriptor ----------------------- */

#if EIO_HAVE_AT
/* Not to follow links is a system call of its own since Linux 6.6. Before that the C library goes
 * through /proc, which some do not have. */
static int at_chmod(int fd, const char *path, mode_t mode, bool follow)
{
# if defined(__linux__) && !defined(__alpha__)
  enum { FCHMODAT2 = 452 }; /* SYS_fchmodat2, which headers may be too old for */

  if (!follow) {
    int result = (int)syscall(FCHMODAT2, fd, path, mode, AT_SYMLINK_NOFOLLOW);

    if (result == 0 || (errno != ENOSYS && errno != EPERM)) /* a sandbox says EPERM */
      return result;
  }
# endif
  return fchmodat(fd, path, mode, follow ? 0 : AT_SYMLINK_NOFOLLOW);
}

# define at_open openat
# define at_stat(fd, path, st, follow) fstatat(fd, path, st, (follow) ? 0 : AT_SYMLINK_NOFOLLOW)
# define at_chown(fd, path, uid, gid, follow) fchownat(fd, path, uid, gid, (follow) ? 0 : AT_SYMLINK_NOFOLLOW)
# define at_unlink(fd, path) unlinkat(fd, path, 0)
# define at_rmdir(fd, path) unlinkat(fd, path, AT_REMOVEDIR)
# define at_mkdir mkdirat
# define at_mknod mknodat
# define at_symlink symlinkat
# define at_readlink readlinkat
# define at_link linkat
# define at_rename renameat
#else
# define at_open(fd, path, flags, mode) open(path, flags, mode)
# define at_stat(fd, path, st, follow) ((follow) ? stat(path, st) : lstat(path, st))
# define at_chmod(fd, path, mode, follow) ((follow) ? chmod(path, mode) : absent())
# define at_chown(fd, path, uid, gid, follow) ((follow) ? chown(path, uid, gid) : lchown(path, uid, gid))
# define at_unlink(fd, path) unlink(path)
# define at_rmdir(fd, path) rmdir(path)
# define at_mkdir(fd, path, mode) mkdir(path, mode)
# define at_mknod(fd, path, mode, dev) mknod(path, mode, dev)
# define at_symlink(text, fd, path) symlink(text, path)
# define at_readlink(fd, path, buf, size) readlink(path, buf, size)
# define at_link(fd, path, fd2, path2, flags) ((flags) ? absent() : link(path, path2))
# define at_rename(fd, path, fd2, path2) rename(path, path2)
#endif

int eio_p_open(const eio_wd *wd, const char *path, int flags, mode_t mode)
{
  return eio_p_open_as(wd, path, flags | O_NOCTTY | O_CLOEXEC, mode);
}

int eio_p_open_as(const eio_wd *wd, const char *path, int flags, mode_t mode)
{
  struct eio_p_at at;
  int fd;

  if (!eio_p_at_begin(&at, wd, path, 0))
    return -1;
  EIO_RETRY(fd, at_open(at.fd, at.path, flags, mode));
  if (!O_CLOEXEC && fd >= 0)
    fcntl(fd, F_SETFD, FD_CLOEXEC);
  return eio_p_at_end(&at, fd);
}

#if EIO_HAVE_OPENAT2
enum { PATIENCE = 32 };

/* EAGAIN: something was renamed meanwhile, so that the kernel cannot tell where ".." led. */
int eio_p_open_within(const eio_wd *wd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
  struct open_how how = { .flags = (unsigned)flags, .mode = mode, .resolve = resolve };
  int fd, tries = 0;

  if (!path || !*path) {
    errno = ENOENT;
    return -1;
  }
  do
    fd = (int)syscall(__NR_openat2, wd ? wd->fd : AT_FDCWD, path, &how, sizeof how);
  while (fd < 0 && (errno == EINTR || (errno == EAGAIN && !(resolve & RESOLVE_CACHED) && ++tries < PATIENCE)));
  return fd;
}
#else
int eio_p_open_within(const eio_wd *wd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
  (void)wd, (void)path, (void)flags, (void)mode, (void)resolve;
  errno = ENOSYS;
  return -1;
}
#endif

int eio_p_stat(const eio_wd *wd, const char *path, struct stat *st, bool follow)
{
  struct eio_p_at at;

  if (!eio_p_at_begin(&at, wd, path, 0))
    return -1;
  return eio_p_at_end(&at, at_stat(at.fd, at.path, st, follow));
}

static int type_of(mode_t mode)
{
  return (mode & S_IFMT) >> 12;
}

int eio_p_type(const eio_wd *wd, const char *path)
{
  struct stat st;
#if EIO_HAVE_STATX && EIO_HAVE_AT && defined(SYS_statx)
  struct statx stx;

  if (wd && wd->fd >= 0
      && syscall(SYS_statx, wd->fd, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_TYPE, &stx) == 0)
    return type_of(stx.stx_mode);
#endif
  return eio_p_stat(wd, path, &st, false) == 0 ? type_of(st.st_mode) : -1;
}

int eio_p_chmod(const eio_wd *wd, const char *path, mode_t mode, bool follow)
{
  struct eio_p_at at;

  if (!eio_p_at_begin(&at, wd, path, 0))
    return -1;
  return eio_p_at_end(&at, at_chmod(at.fd, at.path, mode, follow));
}

int eio_p_chown(const eio_wd *wd, const char *path, uid_t uid, gid_t gid, bool follow)
{
  struct eio_p_at at;

  if (!eio_p_at_begin(&at, wd, path, 0))
    return -1;
  return eio_p_at_end(&at, at_chown(at.fd, at.path, uid, gid, follow));
}

void eio_p_keep_link(const eio_wd *wd, const char *path, const struct stat *st)
{
  struct timespec times[2];

  eio_p_times(st, times);
  eio_p_utime(wd, path, times, false);
  eio_p_chown(wd, path, st->st_uid, st->st_gid, false);
}

#if EIO_HAVE_UTIMENSAT
int eio_p_utime(const eio_wd *wd, const char *path, const struct timespec times[2], bool follow)
{
  struct eio_p_at at;

  if (!eio_p_at_begin(&at, wd, path, 0))
    return -1;
  return eio_p_at_end(&at, utimensat(at.fd, at.path, times, follow ? 0 : AT_SYMLINK_NOFOLLOW));
}
#else
/* To the nearest microsecond: cutting would make the one before of many that
 * come from a floating point number. */
static struct timeval timeval_of(struct timespec t)
{
  long us = (t.tv_nsec + 500) / 1000;

  return (struct timeval){ .tv_sec = t.tv_sec + us / 1000000, .tv_usec = us % 1000000 };
}

int eio_p_utime(const eio_wd *wd, const char *path, const struct timespec times[2], bool follow)
{
  struct eio_p_at at;
  struct timeval tv[2];

  if (!follow)
    return absent();
  for (int i = 0; times && i < 2; i++)
    tv[i] = timeval_of(times[i]);
  if (!eio_p_at_begin(&at, wd, path, EIO_AT_PLAIN))
    return -1;
  return eio_p_at_end(&at, utimes(at.path, times ? tv : NULL));
}
#endif

int eio_p_notify(int notify, const eio_wd *wd, const char *path, unsigned events)
{
#if EIO_HAVE_INOTIFY
  struct eio_p_at at;

  if (!eio_p_at_begin(&at, wd, path, EIO_AT_PLAIN))
    return -1;
  return eio_p_at_end(&at, inotify_add_watch(notify, at.path, events));
#else
  (void)notify;
  (void)wd;
  (void)path;
  (void)events;
  return absent();
#endif
}

/* There is no truncateat(). */
int eio_p_truncate(const eio_wd *wd, const char *path, off_t length)
{
  int fd, result, error;

  if (!path || !*path) {
    errno = ENOENT;
    return -1;
  }
  if (!wd || *path == '/') {
    EIO_RETRY(result, truncate(path, length));
    return result;
  }
  fd = eio_p_open(wd, path, O_WRONLY | O_NONBLOCK, 0);
  if (fd < 0) {
    if (errno == ENXIO) /* a FIFO or socket */
      errno = EINVAL;
    return -1;
  }
  EIO_RETRY(result, ftruncate(fd, length));
  error = errno;
  close(fd);
  errno = error;
  return result;
}

int eio_p_unlink(const eio_wd *wd, const char *path)
{
  struct eio_p_at at;

  if (!eio_p_at_begin(&at, wd, path, 0))
    return -1;
  return eio_p_at_end(&at, at_unlink(at.fd, at.path));
}

int eio_p_rmdir(const eio_wd *wd, const char *path)
{
  struct eio_p_at at;

  if (!eio_p_at_begin(&at, wd, path, 0))
    return -1;
  return eio_p_at_end(&at, at_rmdir(at.fd, at.path));
}

int eio_p_mkdir(const eio_wd *wd, const char *path, mode_t mode)
{
  struct eio_p_at at;

  if (!eio_p_at_begin(&at, wd, path, 0))
    return -1;
  return eio_p_at_end(&at, at_mkdir(at.fd, at.path, mode));
}

int eio_p_mknod(const eio_wd *wd, const char *path, mode_t mode, dev_t dev)
{
  struct eio_p_at at;

  if (!eio_p_at_begin(&at, wd, path, 0))
    return -1;
  return eio_p_at_end(&at, at_mknod(at.fd, at.path, mode, dev));
}

int eio_p_symlink(const char *text, const eio_wd *wd, const char *path)
{
  struct eio_p_at at;

  if (!text) {
    errno = ENOENT;
    return -1;
  }
  if (!eio_p_at_begin(&at, wd, path, 0))
    return -1;
  return eio_p_at_end(&at, at_symlink(text, at.fd, at.path));
}

ssize_t eio_p_readlink(const eio_wd *wd, const char *path, char *buf, size_t size)
{
  struct eio_p_at at;

  if (!eio_p_at_begin(&at, wd, path, 0))
    return -1;
  return eio_p_at_end(&at, (int)at_readlink(at.fd, at.path, buf, size));
}

int eio_p_link(const eio_wd *wd, const char *path, const eio_wd *wd2, const char *path2, int flags)
{
  struct eio_p_at from, to;

  if (!eio_p_at_begin(&from, wd, path, 0))
    return -1;
  if (!eio_p_at_begin(&to, wd2, path2, 0))
    return eio_p_at_end(&from, -1);
  return eio_p_at_end(&from, eio_p_at_end(&to, at_link(from.fd, from.path, to.fd, to.path, flags)));
}

/* By the descriptor may only who could read all directories, before Linux 6.10 (ENOENT);
 * others by its name in /proc. */
int eio_p_link_fd(int fd, const eio_wd *wd2, const char *path2, int flags)
{
#if EIO_HAVE_AT && defined(AT_EMPTY_PATH)
  struct eio_p_at to;
  char name[32];
  int result;

  if (!eio_p_at_begin(&to, wd2, path2, 0))
    return -1;
  result = linkat(fd, "", to.fd, to.path, flags | AT_EMPTY_PATH);
  if (result < 0 && errno == ENOENT) {
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    result = linkat(AT_FDCWD, name, to.fd, to.path, flags | AT_SYMLINK_FOLLOW);
  }
  return eio_p_at_end(&to, result);
#else
  (void)fd, (void)wd2, (void)path2, (void)flags;
  return absent();
#endif
}

static int rename_flags(struct eio_p_at *from, struct eio_p_at *to, unsigned flags)
{
  if (!flags)
    return at_rename(from->fd, from->path, to->fd, to->path);
#if EIO_HAVE_RENAMEAT2 || EIO_HAVE_STATX
  return (int)syscall(SYS_renameat2, from->fd, from->path, to->fd, to->path, flags);
#else
  errno = ENOSYS;
  return -1;
#endif
}

int eio_p_rename(const eio_wd *wd, const char *path, const eio_wd *wd2, const char *path2,
                 unsigned flags)
{
  struct eio_p_at from, to;

  if (!eio_p_at_begin(&from, wd, path, 0))
    return -1;
  if (!eio_p_at_begin(&to, wd2, path2, 0))
    return eio_p_at_end(&from, -1);
  return eio_p_at_end(&from, eio_p_at_end(&to, rename_flags(&from, &to, flags)));
}

eio_wd *eio_p_wd(int fd, const eio_wd *wd, const char *path)
{
  struct eio_p_at at = { EIO_AT_FDCWD, "", NULL };
  eio_wd *result = NULL;
  int error;

  if (EIO_HAVE_AT || eio_p_at_begin(&at, wd, path, EIO_AT_NAMED)) {
    result = malloc(sizeof *result + strlen(at.path) + 1);
    if (result) {
      result->fd = EIO_HAVE_AT ? fd : -1;
      result->refs = 1;
      strcpy(result->path, at.path);
    }
  }
  error = errno;
  free(at.joined);
  if (!EIO_HAVE_AT || !result)
    close(fd);
  errno = error;
  return result;
}

/* Absolute paths --------------------------------------------------------- */

/* By realpath(3), which walks the path by name. Some keep two slashes at the
 * start, which mean something to other systems. */
static char *walk_path(const eio_wd *wd, const char *path)
{
  struct eio_p_at at;
  char *result;

  if (!eio_p_at_begin(&at, wd, path, EIO_AT_NAMED))
    return NULL;
  result = realpath(at.path, NULL);
  eio_p_at_end(&at, 0);
  if (result && result[1] == '/')
    memmove(result, result + 1, strlen(result));
  return result;
}

bool eio_p_kernel_name(int fd, char name[PATH_MAX])
{
  char link[32];
  ssize_t len;

  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  len = readlink(link, name, PATH_MAX);
  if (len <= 0 || len >= PATH_MAX || *name != '/')
    return false;
  name[len] = 0;
  return true;
}

/* The kernel's own name of a descriptor, when it says one that leads back to
 * the same file; else NULL. */
static char *kernel_path(int fd)
{
  char name[PATH_MAX];
  struct stat st, again;

  if (!eio_p_kernel_name(fd, name) || fstat(fd, &st) < 0 || lstat(name, &again) < 0
      || st.st_dev != again.st_dev || st.st_ino != again.st_ino)
    return NULL;
  return strdup(name);
}

char *eio_p_fd_path(int fd, const eio_wd *wd, const char *path)
{
  char *result = kernel_path(fd);

  return result ? result : walk_path(wd, path);
}

char *eio_p_wd_path(const eio_wd *wd)
{
  char *result = wd->fd < 0 ? NULL : kernel_path(wd->fd);
  struct stat st, named;

  if (result)
    return result;
  if (wd->fd >= 0 && (fstat(wd->fd, &st) < 0 || lstat(wd->path, &named) < 0
                      || st.st_dev != named.st_dev || st.st_ino != named.st_ino)) {
    errno = ENOENT;
    return NULL;
  }
  return strdup(wd->path);
}

/* The kernel resolves the path and knows its name: nothing that is renamed
 * meanwhile can lead it astray, and it takes five calls, not one per name.
 * Only O_PATH opens without side effects. */
char *eio_p_realpath(const eio_wd *wd, const char *path)
{
  char *result;
  int fd, error;

  if (!EIO_O_PATH)
    return walk_path(wd, path);
  fd = eio_p_open(wd, path, EIO_O_PATH, 0);
  if (fd < 0)
    return NULL;
  result = eio_p_fd_path(fd, wd, path);
  error = errno;
  close(fd);
  errno = error;
  return result;
}
