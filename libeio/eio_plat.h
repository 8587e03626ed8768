/* eio_plat.h - system calls as the operations want them.
 *
 * Each takes a working directory (NULL: the process's) and a path, and behaves
 * like the *at call of that name; where the system has none, the path is made
 * absolute. Missing calls fail with ENOSYS. This and eio_plat*.c are the only
 * places that ask what the system has (eio_config.h), besides eio_inline.c and
 * eio_uring.c. All are safe in any thread. */
#ifndef EIO_PLAT_H
#define EIO_PLAT_H

#include "eio_int.h"
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#if EIO_HAVE_STATVFS
# include <sys/statvfs.h>
#else
struct statvfs { int nothing; };
#endif

/* O_CLOEXEC and so on where the system lacks them are 0 here. */
#ifndef O_CLOEXEC
# define O_CLOEXEC 0
#endif
#ifndef O_DIRECTORY
# define O_DIRECTORY 0
#endif
#ifndef O_NOFOLLOW
# define O_NOFOLLOW 0
#endif
#ifndef AT_REMOVEDIR
# define AT_REMOVEDIR (-1)
#endif
#ifdef O_TMPFILE
# define EIO_O_TMPFILE O_TMPFILE
#else
# define EIO_O_TMPFILE 0
#endif
#if EIO_HAVE_O_PATH
# define EIO_O_PATH O_PATH
#else
# define EIO_O_PATH 0
#endif

/* The most that one read or write transfers: what Linux cuts to anyway, and
 * few enough for systems that fail instead of cutting. */
#define EIO_RW_MAX 0x7ffff000u

/* Repeats a system call while a signal interrupts it. */
#if EIO_HAVE_FLOCK
# include <sys/file.h>
#else
# define LOCK_SH 1
# define LOCK_EX 2
# define LOCK_NB 4
# define LOCK_UN 8
#endif
/* Locks of the open file: LOCK_SH, LOCK_EX or LOCK_UN. Without waiting EAGAIN, or EACCES. */
int eio_p_flock(int fd, int how, bool wait);
int eio_p_lock_range(int fd, int how, int64_t start, uint64_t length, bool wait); /* UINT64_MAX: to the end */

#define EIO_RETRY(result, call) \
  do                            \
    (result) = (call);          \
  while ((result) < 0 && errno == EINTR)

/* A point where tracers can look (bpftrace, perf, SystemTap), a nop as long as none does: a
 * request's operation and its states, before and after. */
#if EIO_HAVE_SDT
# include <sys/sdt.h>
# define eio_p_probe_state(ctx, req, info, from, to) DTRACE_PROBE5(libeio, state, ctx, req, info, from, to)
#else
# define eio_p_probe_state(ctx, req, info, from, to) ((void)(info))
#endif

/* A variable of the environment, or NULL in a program that runs with more rights than who has
 * started it. */
const char *eio_p_trusted_env(const char *name);

/* Time and processors */

/* Nanoseconds since some fixed time. */
uint64_t eio_p_now(void);

/* A bed for one thread: it sleeps until somebody has woken it since it slept last, or until some
 * time of eio_p_now() (UINT64_MAX: never); then that returns false. Nobody needs a lock. In the child
 * of a fork a bed of its parent is freed as it is: who sleeps there never wakes, and finishing a
 * condition waits for that. */
struct eio_bed {
  atomic_uint woken;
#if !EIO_HAVE_FUTEX
  pthread_mutex_t mutex;
  pthread_cond_t cond;
#endif
};
void eio_p_bed_init(struct eio_bed *bed);
void eio_p_bed_finish(struct eio_bed *bed);
bool eio_p_sleep(struct eio_bed *bed, uint64_t until);
void eio_p_wake(struct eio_bed *bed);

/* How often the calling thread has slept, and others had its processor. False where nobody
 * tells. */
struct eio_switches {
  long voluntary, involuntary;
};
bool eio_p_switches(struct eio_switches *s);
/* How many processors this process may run on. */
unsigned eio_p_ncpus(void);

/* Makes a mutex that is held for moments only: who wants it tries for a while
 * before it sleeps, where the system has that kind. */
void eio_p_mutex_init(pthread_mutex_t *mutex);

/* Tells the processor that it turns in a loop. */
static inline void eio_p_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* Whether an off_t can be n, which may have 32 bits only; errno, if not. */
static inline bool eio_p_is_offset(int64_t n)
{
  errno = EFBIG;
  return (off_t)n == n;
}

/* Starts a thread that blocks all signals; an error's number. thread: NULL: nobody waits for
 * its end (eio_plat_sleep.c). */
int eio_p_thread(pthread_t *thread, void *(*start)(void *), void *arg);

/* Paths (eio_plat.c) */

/* For the library's own use: adds O_NOCTTY, as a file that turns out to be a
 * terminal must not become the program's, and O_CLOEXEC. */
int eio_p_open(const eio_wd *wd, const char *path, int flags, mode_t mode);
/* With the flags of somebody who knows what he opens. */
int eio_p_open_as(const eio_wd *wd, const char *path, int flags, mode_t mode);
/* openat2(2), with flags as above; resolve: RESOLVE_... The directory counts for absolute
 * paths as well. */
int eio_p_open_within(const eio_wd *wd, const char *path, int flags, mode_t mode, uint64_t resolve);
int eio_p_stat(const eio_wd *wd, const char *path, struct stat *st, bool follow);
/* statx(2) of what is open, or with fd -1 of a path; where the system has none, as much of it as stat(2) tells.
 * flags: AT_...; mask: STATX_... */
int eio_p_stat_more(int fd, const eio_wd *wd, const char *path, int flags, uint32_t mask, struct eio_statx *stx);
/* Takes out what a mask has no bit for, and kernels tell all the same, but for what stat(2) tells. */
void eio_p_statx_forget(struct eio_statx *stx, uint32_t mask);
/* What a name is, EIO_DT_..., without following a link. That never changes, so what the kernel
 * remembers of it will do: no server is asked. */
int eio_p_type(const eio_wd *wd, const char *path);
/* Without `follow`, of a symbolic link itself. */
int eio_p_chmod(const eio_wd *wd, const char *path, mode_t mode, bool follow);
int eio_p_chown(const eio_wd *wd, const char *path, uid_t uid, gid_t gid, bool follow);
/* times: access and modification; NULL: now. */
int eio_p_utime(const eio_wd *wd, const char *path, const struct timespec times[2], bool follow);
int eio_p_truncate(const eio_wd *wd, const char *path, off_t length);
int eio_p_unlink(const eio_wd *wd, const char *path);
int eio_p_rmdir(const eio_wd *wd, const char *path);
int eio_p_mkdir(const eio_wd *wd, const char *path, mode_t mode);
int eio_p_mknod(const eio_wd *wd, const char *path, mode_t mode, dev_t dev);
int eio_p_symlink(const char *text, const eio_wd *wd, const char *path);
ssize_t eio_p_readlink(const eio_wd *wd, const char *path, char *buf, size_t size);
/* flags: AT_SYMLINK_FOLLOW, or 0. */
int eio_p_link(const eio_wd *wd, const char *path, const eio_wd *wd2, const char *path2, int flags);
/* The same for a file that is open, which may be one without a name. */
int eio_p_link_fd(int fd, const eio_wd *wd2, const char *path2, int flags);
/* flags: RENAME_...; any but 0 need renameat2(2). */
int eio_p_rename(const eio_wd *wd, const char *path, const eio_wd *wd2, const char *path2,
                 unsigned flags);

/* Has an inotify(7) descriptor tell of what a path names: its number there. */
int eio_p_notify(int notify, const eio_wd *wd, const char *path, unsigned events);

/* Gives a symbolic link owner and times of another one, as far as can be. */
void eio_p_keep_link(const eio_wd *wd, const char *path, const struct stat *st);

/* The absolute path of what a path names, all links resolved; malloc'ed. */
char *eio_p_realpath(const eio_wd *wd, const char *path);
/* The same for a descriptor (of any kind, O_PATH too) that was opened by this
 * wd and path. */
char *eio_p_fd_path(int fd, const eio_wd *wd, const char *path);
/* What the kernel calls a descriptor, from memory. It need not lead back there: what
 * it names may be deleted, or out of reach. */
bool eio_p_kernel_name(int fd, char name[PATH_MAX]);
/* An absolute path that leads to a working directory now, wherever it has been
 * moved to; malloc'ed. NULL with ENOENT when none is known. */
char *eio_p_wd_path(const eio_wd *wd);

/* A working directory made of an open one, which has that name; takes over the
 * descriptor, also when it fails. Where paths cannot be relative to descriptors
 * it goes by the name. Free with eio_wd_unref(). */
eio_wd *eio_p_wd(int fd, const eio_wd *wd, const char *path);

/* Descriptors (eio_plat_fd.c) */

/* Access and modification time of a file. */
void eio_p_times(const struct stat *st, struct timespec times[2]);
int eio_p_futime(int fd, const struct timespec times[2]);
int eio_p_statvfs(const eio_wd *wd, const char *path, struct statvfs *st);
int eio_p_fstatvfs(int fd, struct statvfs *st);
/* Reads what is there from something without a position; EAGAIN when nothing is,
 * whatever O_NONBLOCK says. */
ssize_t eio_p_read_now(int fd, void *buf, size_t size);
/* Both ends close-on-exec. */
int eio_p_pipe(int fds[2]);
/* dup3(from, to, O_CLOEXEC) */
int eio_p_dup_over(int from, int to);
int eio_p_fallocate(int fd, int mode, off_t offs, off_t length);
/* As read-ahead advice; ENOSYS where there is no such call. */
int eio_p_readahead(int fd, off_t offs, size_t length);
/* The first data at or after offs, which end before *end: their offset; -1 when
 * there are none (ENXIO) or the system does not know. */
off_t eio_p_find_data(int fd, off_t offs, off_t *end);
/* As Linux's; *offs moves. ENOSYS elsewhere. */
ssize_t eio_p_sendfile(int out, int in, off_t *offs, size_t length);
/* The type of an open file, and the size that the kernel has in memory: no server is
 * asked, so that may be out of date. False where the system cannot tell. */
bool eio_p_peek(int fd, mode_t *mode, uint64_t *size);
/* By one call where that can be; the kernel tells nothing of either. */
void eio_p_close_both(int fd, int fd2);
/* close_range(2) */
int eio_p_close_range(unsigned first, unsigned last, unsigned flags);
int eio_p_fdatasync(int fd);
int eio_p_syncfs(int fd);
int eio_p_sync_file_range(int fd, off_t offs, off_t length, unsigned flags);

/* One step of FIEMAP: up to `max` extents from offs on into list. Returns how
 * many; with max 0 how many there are. *last: the file's last was among them. */
int eio_p_fiemap(int fd, uint64_t offs, uint64_t length, uint32_t flags,
                 struct eio_extent *list, unsigned max, bool *last);

int eio_p_msync(void *addr, size_t length, int flags);
int eio_p_mlock(void *addr, size_t length);
int eio_p_mlockall(int flags);
/* From the beginning of a page on: an octet for each, of which the lowest bit counts. */
int eio_p_mincore(void *addr, size_t length, unsigned char *pages);
/* Faults pages in, for reading or writing, with an error where touching them
 * would be a signal. */
int eio_p_populate(void *addr, size_t length, bool write);
/* The same for a single page, with older kernels, too. */
int eio_p_touch(void *page, bool write);

/* Several pieces of memory (eio_plat_vec.c). offs -1: the position, which moves. */

struct iovec;
ssize_t eio_p_readv(int fd, const struct iovec *parts, int n, int64_t offs, int flags);
ssize_t eio_p_writev(int fd, const struct iovec *parts, int n, int64_t offs, int flags);

/* From descriptor to descriptor (eio_plat_range.c): as Linux has these calls */

struct eio_p_range {
  int in, out;
  int64_t in_offs, out_offs; /* -1: the position, which moves */
};
ssize_t eio_p_copy_range(const struct eio_p_range *range, size_t length, unsigned flags);
/* One of both is a pipe. */
ssize_t eio_p_splice(const struct eio_p_range *range, size_t length, unsigned flags);
/* Both are; nothing is taken out. */
ssize_t eio_p_tee(int in, int out, size_t length, unsigned flags);
/* Makes `out` share all data of `in` (copy on write). */
int eio_p_clone(int out, int in);
/* A part; length 0: up to the end of `in`. */
int eio_p_clone_range(const struct eio_p_range *range, uint64_t length);
/* The same if the data are equal: how many octets are, from the beginning, as far as the kernel went. */
int64_t eio_p_dedupe_range(const struct eio_p_range *range, uint64_t length);

/* Extended attributes (eio_plat_xattr.c) */

/* What attributes belong to: what is open, or what a path leads to. */
struct eio_p_inode {
  int fd; /* -1: use wd and path */
  const eio_wd *wd;
  const char *path;
  bool follow; /* symbolic links */
};
/* The value of an attribute, or for NULL all names, each with a NUL behind it: its size;
 * malloc'ed, with one more NUL. */
ssize_t eio_p_xattr_read(const struct eio_p_inode *of, const char *name, char **value);
/* Sets an attribute (flags: XATTR_CREATE, XATTR_REPLACE); value NULL: removes it. */
int eio_p_xattr_write(const struct eio_p_inode *of, const char *name, const void *value, size_t size, int flags);

/* As read, but 0 when there is none, or the file system or the system has no such
 * attributes; then *value may have been left alone. */
ssize_t eio_p_xattr_get(int fd, const char *name, char **value);
/* All names likewise, each with a NUL behind it. */
ssize_t eio_p_xattr_list(int fd, char **names);
int eio_p_xattr_set(int fd, const char *name, const char *value, size_t size);
int eio_p_xattr_remove(int fd, const char *name);

/* Mounts (eio_plat_mount.c) */

/* The kind of file system that a mount is of, as statfs(2) has it; false when the
 * kernel does not say. It looks into its table, and holds who asks up only while somebody
 * changes that. */
bool eio_p_mount_magic(uint64_t mount, uint64_t *magic);
/* The kind of a descriptor's; false where the system does not tell. */
bool eio_p_fd_magic(int fd, uint64_t *magic);
#if EIO_HAVE_STATX && EIO_HAVE_O_PATH
/* What the kernel has in memory about an open file, and the number of its mount; 0
 * before Linux 6.8. A few file systems (9p, clusters) ask their servers all the same. */
bool eio_p_statx(int fd, struct statx *stx, uint64_t *mount);
/* That number alone, which no file system is asked for, but it takes twice as long;
 * false before Linux 6.12. */
bool eio_p_mount_of(int fd, uint64_t *mount);
#endif

/* Directories (eio_plat_dir.c) */

struct eio_p_dir {
  int fd;          /* -1: use path; owned */
  void *stream;    /* DIR, where entries are read by readdir(3) */
  char *buf;       /* the block of entries where the kernel gives them */
  unsigned at, end;
};
struct eio_p_dirent {
  const char *name; /* until the next call */
  size_t len;
  uint64_t inode;
  uint8_t type;     /* EIO_DT_... */
};

/* Opens a directory for reading. */
int eio_p_dir_open(struct eio_p_dir *dir, const eio_wd *wd, const char *path);
/* Takes over a descriptor, also when it fails. */
int eio_p_dir_fdopen(struct eio_p_dir *dir, int fd);
/* The next entry but "." and "..": 1, or 0 at the end, or -1. */
int eio_p_dir_next(struct eio_p_dir *dir, struct eio_p_dirent *entry);
/* True when the next eio_p_dir_next() makes a system call. */
bool eio_p_dir_blocks(const struct eio_p_dir *dir);
void eio_p_dir_close(struct eio_p_dir *dir);
/* Closes it, but for a descriptor, which is returned (or -1). */
int eio_p_dir_detach(struct eio_p_dir *dir);

#endif
