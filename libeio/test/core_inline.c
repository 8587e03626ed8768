/* core_inline.c - what submit finishes by itself and what it leaves to workers:
 * kinds of files, flags, sizes, answers that are not certain, refused calls. The
 * result is the same either way; the statistics tell the ways apart.
 *
 * What the kernel has in memory, for files just made, it has at once. */
#include "core.h"

#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <time.h>

static eio_ctx *ctx;
static struct job job;
static char buf[200000];
static int file; /* 100000 bytes */

/* Whether the kernel answers at once here, by calls of our own: to read, to tell about
 * a descriptor, to open, to follow a link (it may want to note the time of that). */
static bool reads, tells, opens, follows;

/* A program without large files opens none so: the kernel would give it large ones. */
enum { OPENS_DATA = sizeof(off_t) > 4 };

#if EIO_HAVE_PREADV2
static void ask_for_data(void)
{
  struct iovec iov = { buf, sizeof buf };

  reads = preadv2(file, &iov, 1, 0, RWF_NOWAIT) == 100000;
}
#else
static void ask_for_data(void) { }
#endif

#if EIO_HAVE_PREADV2 && EIO_HAVE_OPENAT2 && EIO_HAVE_STATX && EIO_HAVE_O_PATH
#include <linux/openat2.h>

enum { TRIES_NAMES = 1 };

static uint64_t mount_of(int fd)
{
  struct statx stx;
  uint64_t mount;

  return eio_p_statx(fd, &stx, &mount) ? mount : 0;
}

static bool is_known(int fd)
{
  static const uint64_t local[] = { 0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x01021994, 0x858458f6 };
  uint64_t magic = 0;

  if (mount_of(fd) && eio_p_mount_magic(mount_of(fd), &magic))
    for (unsigned i = 0; i < sizeof local / sizeof *local; i++)
      if (magic == local[i])
        return true;
  return false;
}

static bool names_mounts(void)
{
  uint64_t mount;

  return eio_p_mount_of(file, &mount);
}

static bool is_cached(const char *path)
{
  struct open_how how = { .flags = O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_CACHED };
  int fd = (int)syscall(__NR_openat2, AT_FDCWD, path, &how, sizeof how);
  bool local = fd >= 0 && is_known(fd);

  close(fd);
  return local;
}
#else
enum { TRIES_NAMES = 0 };

static uint64_t mount_of(int fd)
{
  (void)fd;
  return 0;
}

static bool is_known(int fd)
{
  (void)fd;
  return false;
}

static bool names_mounts(void)
{
  return false;
}

static bool is_cached(const char *path)
{
  (void)path;
  return false;
}
#endif

static struct eio_stats stats(void)
{
  struct eio_stats s;

  eio_get_stats(ctx, &s);
  return s;
}

enum way { INLINE = 1, DECLINED, NOT_TRIED };

/* The way that a request takes; its result is in job.req. */
static enum way way(eio_req req)
{
  struct eio_stats before = stats();
  enum way taken;

  job_init(&job, EIO_NOP, 0);
  req.cb = note;
  job.req = req;
  errno = EDOM;
  eio_submit(ctx, &job.req);
  if (errno != EDOM && !is_sync() && !is_uring())
    check(false, "an attempt leaves errno alone");
  taken = stats().inlined > before.inlined ? INLINE
    : stats().inline_declined > before.inline_declined ? DECLINED : NOT_TRIED;
  finish_all(ctx);
  return taken;
}

/* Waits for the only request, and has it as a callback has: what it opened or
 * allocated is there until it is released. */
static void take(void)
{
  for (;;) {
    eio_poll_wait(ctx, -1);
    eio_poll_begin(ctx);
    if (eio_next(ctx))
      return;
    eio_poll_end(ctx);
  }
}

static void release(void)
{
  eio_release(ctx, &job.req);
  eio_poll_end(ctx);
}

static eio_req read_of(int fd, int64_t offs, uint64_t size)
{
  memset(buf, '#', sizeof buf);
  return on_data(EIO_READ, fd, offs, buf, size);
}

static bool is_content(int64_t offs, size_t size)
{
  for (size_t i = 0; i < size; i++)
    if (buf[i] != (char)((offs + (int64_t)i) % 251))
      return false;
  return buf[size] == '#';
}

static void test_read(void)
{
  enum way at_once = reads ? INLINE : DECLINED;
  int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  int fds[2], dir = open_for_test(".", O_RDONLY);

  ctx = context();
  check_int(way(read_of(file, 5, 4096)), at_once, "a read");
  check(job.req.result == 4096 && is_content(5, 4096), "has the data");
  check_int(way(read_of(file, 0, 65536)), at_once, "one of 64 KiB");
  check(job.req.result == 65536 && is_content(0, 65536), "has the data");
  check_int(way(read_of(file, 0, 65537)), DECLINED, "not one of more");
  check(job.req.result == 65537 && is_content(0, 65537), "which has the data, too");
  check_int(way(read_of(file, 99950, 100)), at_once, "one that reaches the end");
  check(job.req.result == 50 && is_content(99950, 50), "has what is there");
  check_int(way(read_of(file, 100000, 100)), at_once, "one at the end");
  check_int(job.req.result, 0, "has nothing");

  lseek(file, 10, SEEK_SET);
  check_int(way(read_of(file, 0, 0)), DECLINED, "not one of no octets");
  check_int(job.req.result, 0, "which has none");
  check_int(way(read_of(dir, 0, 0)), DECLINED, "nor of a directory");
  check(job.req.result == -1 && job.req.errorno == EISDIR, "which is one all the same");
  way(read_of(zero, 0, 100));
  check(job.req.result == 100 && !buf[0] && buf[100] == '#', "a device is read");
  check_int(way(read_of(file, -1, 20)), DECLINED, "not one at the position");
  check(job.req.result == 20 && is_content(10, 20) && lseek(file, 0, SEEK_CUR) == 30, "which moves that");
  way(read_of(file, -2, 20));
  check(job.req.result == -1 && job.req.errorno == EINVAL, "nor at a negative offset");

  if (eio_p_pipe(fds) < 0)
    bail_out("no pipe");
  check_int(way(read_of(fds[0], 0, 1)), DECLINED, "not one of a pipe");
  check(job.req.result == -1 && job.req.errorno == ESPIPE, "which has no offsets");
  check_int(way(read_of(dir, 0, 1)), DECLINED, "not one of a directory");
  check(job.req.result == -1 && job.req.errorno == EISDIR, "which is one");
  check_int(way(read_of(999, 0, 1)), DECLINED, "not one of no file");
  check(job.req.result == -1 && job.req.errorno == EBADF, "which is none");
  check_int(way(read_of(file, 0, 1)), at_once, "none of these ends the attempts");
  close(fds[0]);
  close(fds[1]);
  close(dir);
  close(zero);
  eio_destroy(ctx);
}

/* The second page of a buffer cannot be written to: the kernel does the first,
 * and fails at once for the second alone. */
static void test_short(void)
{
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);

  if (pages == MAP_FAILED || mprotect(pages + page, page, PROT_NONE) < 0)
    bail_out("no pages");
  if (page <= 16384 && pread(file, pages, 2 * page, 0) == (ssize_t)page) {
    ctx = context();
    check_int(way(on_data(EIO_READ, file, 0, pages, 2 * page)), DECLINED,
              "less than is there is not believed");
    check_int(job.req.result, page, "though it is the same when asked again");
    eio_destroy(ctx);
  } else
    skip(2, "such a buffer cuts no read short"); /* so it is in qemu-user */
  munmap(pages, 2 * page);
}

/* Linux waits for the device there, whatever it is asked for. */
static void test_direct(void)
{
  int fd = open("file", O_RDONLY | O_DIRECT);
  char *aligned = buf + (4096 - (uintptr_t)buf % 4096);

  if (fd < 0) {
    skip(1, "no direct I/O here");
    return;
  }
  ctx = context();
  check_int(way(on_data(EIO_READ, fd, 4096, aligned, 4096)), DECLINED, "no direct read");
  check_int(job.req.result, 4096, "which works");
  way(on_data(EIO_READ, fd, 1, aligned, 4096));
  way(on_data(EIO_READ, fd, 0, aligned + 1, 4096));
  way(on_data(EIO_READ, fd, 0, aligned, 4095));
  check_int(way(read_of(file, 0, 10)), reads ? INLINE : DECLINED,
            "EINVAL for what is not aligned does not end the attempts");
  eio_destroy(ctx);
  close(fd);
}

/* What is EINVAL for a file or a place does not end the attempts for others. */
static void test_invalid(void)
{
  int fd = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);

  ctx = context();
  if (fd >= 0) {
    way(on_data(EIO_READ, fd, 0, buf, 4));
    check_int(job.req.errorno, EINVAL, "a namespace cannot be read");
    check_int(way(read_of(file, 0, 10)), reads ? INLINE : DECLINED, "other files can");
    close(fd);
  }
  way(on_data(EIO_READ, file, INT64_MAX - 5, buf, 10));
  check_int(job.req.result, -1, "nor an offset that overflows");
  check_int(way(read_of(file, 0, 10)), reads ? INLINE : DECLINED, "others can");
  eio_destroy(ctx);
}

static eio_req open_of(const char *path, int flags)
{
  eio_req req = on_path(EIO_OPEN, NULL, path);

  req.arg1 = flags;
  req.arg2 = 0644;
  return req;
}

/* Opens in that way, gives a descriptor of those flags, or fails so. */
static void check_open(const char *path, int flags, enum way expected, int error)
{
  enum way taken;
  int fd;

  job_init(&job, EIO_NOP, 0);
  job.req = open_of(path, flags);
  job.req.cb = NULL;
  eio_submit(ctx, &job.req);
  taken = stats().inlined ? INLINE : DECLINED;
  take();
  fd = (int)job.req.result;
  if (error)
    check(taken == expected && fd < 0 && job.req.errorno == error, "open of %s, %#x: %s", path,
          (unsigned)flags, strerror(error));
  else
    check(taken == expected && fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC
          && (fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK))
             == (flags & (O_ACCMODE | O_APPEND | O_NONBLOCK)),
          "open of %s, %#x: %s", path, (unsigned)flags, expected == INLINE ? "inline" : "not inline");
  release(); /* nobody takes the descriptor: it is closed */
  if (fd >= 0)
    check(fcntl(fd, F_GETFD) < 0, "closed, when nobody takes it");
}

static void test_open(void)
{
  static const int never[] = { O_CREAT, O_TRUNC, O_EXCL, O_SYNC, O_DSYNC, O_NONBLOCK, O_NOCTTY };
  enum way at_once = opens && OPENS_DATA ? INLINE : DECLINED;
  const struct { const char *path; int flags; bool at_once; int error; } table[] = {
    { "file", O_RDONLY, true, 0 },
    { "file", O_RDONLY | O_APPEND, true, 0 },
    { "file", O_RDWR, false, 0 },
    { "file", O_WRONLY | O_APPEND, false, 0 },
    { "file", O_RDONLY | O_CLOEXEC | O_NOFOLLOW, true, 0 },
    { "link", O_RDONLY, follows, 0 },
    { "link", O_RDONLY | O_NOFOLLOW, false, ELOOP },
    { "fifo", O_RDWR, false, 0 },
    { ".", O_RDONLY, false, 0 },
    { ".", O_RDWR, false, EISDIR },
    { "/dev/null", O_RDONLY, false, 0 },
    { "none", O_RDONLY, false, ENOENT },
    { "file/x", O_RDONLY, false, ENOTDIR },
  };

  for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
    ctx = context();
    check_open(table[i].path, table[i].flags, table[i].at_once ? at_once : DECLINED, table[i].error);
    eio_destroy(ctx);
  }
  for (unsigned i = 0; i < sizeof never / sizeof *never; i++) {
    ctx = context();
    check_open("spare", O_RDWR | never[i], DECLINED, 0);
    eio_destroy(ctx);
  }
}

static bool same_time(struct timespec a, struct timespec b)
{
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_stat(const struct stat *a, const struct stat *b)
{
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_mode == b->st_mode
         && a->st_nlink == b->st_nlink && a->st_uid == b->st_uid && a->st_gid == b->st_gid
         && a->st_rdev == b->st_rdev && a->st_size == b->st_size && a->st_blksize == b->st_blksize
         && a->st_blocks == b->st_blocks && same_time(a->st_atim, b->st_atim)
         && same_time(a->st_mtim, b->st_mtim) && same_time(a->st_ctim, b->st_ctim);
}

static void test_stat(void)
{
  static const struct { enum eio_op op; const char *path; } table[] = {
    { EIO_STAT, "file" }, { EIO_STAT, "." }, { EIO_STAT, "link" }, { EIO_LSTAT, "link" },
    { EIO_STAT, "fifo" }, { EIO_LSTAT, "file" }, { EIO_LSTAT, "spare" },
  };
  struct stat st;

  ctx = context();
  for (unsigned i = 0; i <= sizeof table / sizeof *table; i++) {
    bool by_fd = i == sizeof table / sizeof *table;
    bool at_once = by_fd ? tells : i == 2 ? follows : opens;
    eio_req req = by_fd ? on_fd(EIO_STAT, file) : on_path(table[i].op, NULL, table[i].path);
    struct eio_stats before = stats();

    job_init(&job, EIO_NOP, 0);
    job.req = req;
    eio_submit(ctx, &job.req);
    check_int(stats().inlined - before.inlined, at_once, "stat of %s",
              by_fd ? "a descriptor" : table[i].path);
    take();
    if ((by_fd ? fstat(file, &st) : table[i].op == EIO_STAT ? stat(table[i].path, &st)
         : lstat(table[i].path, &st)) < 0)
      bail_out("stat");
    check(job.req.result == 0 && same_stat(job.req.buf, &st), "has all that the system call has");
    release();
    check(!job.req.buf, "which is freed");
  }
  check_int(way(on_path(EIO_STAT, NULL, "none")), DECLINED, "not of no file");
  check(job.req.result == -1 && job.req.errorno == ENOENT, "which is none");
  check_int(way(on_fd(EIO_STAT, 999)), DECLINED, "nor of no descriptor");
  check(job.req.result == -1 && job.req.errorno == EBADF, "which is none");
  eio_destroy(ctx);
}

/* The attempt and a worker tell the same, and what the attempt does not know is left to a worker. */
static void test_statx(void)
{
  static const struct { const char *path; int flags; uint64_t mask; bool tried; } table[] = {
    { "file", 0, EIO_STATX_BASIC, true }, { "link", AT_SYMLINK_NOFOLLOW, EIO_STATX_BASIC | EIO_STATX_BTIME, true },
    { "link", AT_NO_AUTOMOUNT, EIO_STATX_BASIC, true }, { NULL, 0, EIO_STATX_BASIC, true }, { ".", 0, 0, false },
    { "file", 0, UINT64_MAX, false }, { "file", 0, EIO_STATX_MNT_ID, false }, { "file", 0x2000, EIO_STATX_BASIC, false },
    { NULL, 0x40000000, EIO_STATX_BASIC, false },
  };

  ctx = context();
  for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
    bool at_once = table[i].tried && (table[i].path ? i == 2 ? follows : opens : tells);
    eio_req req = table[i].path ? on_path(EIO_STATX, NULL, table[i].path) : on_fd(EIO_STATX, file), other;
    struct eio_stats before = stats();

    req.arg1 = table[i].flags;
    req.size = table[i].mask;
    other = req;
    eio_execute(&other);
    job_init(&job, EIO_NOP, 0);
    job.req = req;
    eio_submit(ctx, &job.req);
    check_int(stats().inlined - before.inlined, at_once, "statx %u", i);
    take();
    check(job.req.result == other.result && job.req.errorno == other.errorno, "result and error are a worker's");
    check(other.result < 0 || !memcmp(job.req.buf, other.buf, sizeof(struct eio_statx)), "and what it tells");
    release();
    eio_req_finish(&other);
  }
  eio_destroy(ctx);
}

/* Expects the name `below` the test's own directory; NULL: the root. */
static void check_realpath(eio_wd *wd, const char *path, enum way expected, const char *below)
{
  struct eio_stats before = stats();
  char absolute[5000];

  snprintf(absolute, sizeof absolute, "%s%s", below ? scratch_path : "/", below ? below : "");
  job_init(&job, EIO_NOP, 0);
  job.req = on_path(EIO_REALPATH, wd, path);
  eio_submit(ctx, &job.req);
  check_int(stats().inlined - before.inlined, expected == INLINE, "realpath of %s", path);
  take();
  check(job.req.result == (int64_t)strlen(absolute) && !strcmp(job.req.buf, absolute), "has it all");
  release();
  check(!job.req.buf, "which is freed");
}

/* A place in the table of mounts, of those that are not zero. */
static uint64_t *place(int i)
{
  return &ctx->mounts.known[mount_of(file) % EIO_MOUNT_SETS][i];
}

static void test_mounts(void)
{
  uint64_t mount = mount_of(file);
  enum way at_once = opens ? INLINE : DECLINED;

  ctx = context();
  *place(0) = mount << 1;
  check_int(way(on_path(EIO_STAT, NULL, "file")), DECLINED, "what may be out of date is not believed");
  check_int(way(on_fd(EIO_STAT, file)), DECLINED, "by descriptor neither");
  check_realpath(NULL, "file", DECLINED, "/file");
  *place(0) = (mount + EIO_MOUNT_SETS) << 1;
  check_int(way(on_path(EIO_STAT, NULL, "file")), at_once, "another mount does not count");
  if (opens)
    check(*place(0) == (mount << 1 | 1) && *place(1) == (mount + EIO_MOUNT_SETS) << 1, "both are remembered");
  for (uint64_t i = 2; i < 6; i++) {
    *place(0) = (mount + i * EIO_MOUNT_SETS) << 1;
    check_int(way(on_path(EIO_STAT, NULL, "file")), at_once, "nor do many, which share its places");
  }
  *place(0) = mount << 1 | 1;
  ctx->mounts.careful = true;
  check_int(way(on_path(EIO_STAT, NULL, "file")), names_mounts() && opens ? INLINE : DECLINED,
            "where others may ask a server, the mount is looked at first");
  check_int(way(on_fd(EIO_STAT, file)), names_mounts() && tells ? INLINE : DECLINED, "by descriptor, too");
  *place(0) = mount << 1;
  check_int(way(on_fd(EIO_STAT, file)), DECLINED, "one that is not local is not asked");
  eio_destroy(ctx);
}

/* A file system that may ask somebody in statx() is recognized when it is met. */
static void test_careful(void)
{
  static const struct { const char *path; bool careful; } table[] = {
    { "/proc", false }, { "/sys", false }, { "/dev/shm", false },
  };

  for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
    ctx = context();
    way(on_path(EIO_STAT, NULL, table[i].path));
    check(ctx->mounts.careful == table[i].careful, "%s may be asked", table[i].path);
    eio_destroy(ctx);
  }
  ctx = context();
  eio__is_local(ctx, 1); /* there is no such mount */
  check(ctx->mounts.careful, "of what the kernel does not tell, nothing is known");
  eio_destroy(ctx);
}

/* The struct is the caller's, if it gave one. */
static void test_own_buffer(void)
{
  struct stat st, other;

  ctx = context();
  for (int i = 0; i < 3; i++) {
    eio_req req = i == 2 ? on_fd(EIO_STAT, file) : on_path(i ? EIO_LSTAT : EIO_STAT, NULL, "file");

    memset(&st, 0x55, sizeof st);
    req.buf = &st;
    way(req);
    check(job.req.result == 0 && job.req.buf == &st && st.st_size == 100000, "the caller's struct is filled");
    req.flags = EIO_NO_INLINE;
    req.buf = &other;
    way(req);
    check(job.req.buf == &other && same_stat(&st, &other), "as by a worker");
  }
  eio_destroy(ctx);
}

static void test_realpath(void)
{
  bool names = opens && access("/proc/self/fd", X_OK) == 0;
  enum way at_once = names ? INLINE : DECLINED;
  eio_wd *wd, *gone;

  if (mkdir("sub", 0755) < 0 || mkdir("gone", 0755) < 0)
    bail_out("mkdir");
  put("sub/file (deleted)", "");
  wd = eio_wd_open(NULL, "sub");
  gone = eio_wd_open(NULL, "gone");
  ctx = context();
  check_realpath(NULL, "file", at_once, "/file");
  check_realpath(NULL, "sub/../link", names && follows ? INLINE : DECLINED, "/file");
  check_realpath(NULL, "fifo", at_once, "/fifo");
  check_realpath(NULL, ".", at_once, "");
  check_realpath(NULL, "/", names && is_cached("/") ? INLINE : DECLINED, NULL);
  check_realpath(wd, "file (deleted)", at_once, "/sub/file (deleted)");
  if (EIO_HAVE_AT) { /* else there are only names to go by */
    rename("sub", "moved");
    check_realpath(wd, ".", at_once, "/moved");
    rename("moved", "sub");
  }
  check_int(way(on_path(EIO_REALPATH, NULL, "none")), DECLINED, "not of nothing");
  check(job.req.result == -1 && job.req.errorno == ENOENT, "which is not there");
  check_int(way(on_path(EIO_REALPATH, NULL, "file/")), DECLINED, "nor of a file as a directory");
  check(job.req.result == -1 && job.req.errorno == ENOTDIR, "which it is not");
  rmdir("gone");
  check_int(way(on_path(EIO_REALPATH, gone, ".")), DECLINED, "nor of what is deleted");
  check(job.req.result == -1 && job.req.errorno == ENOENT, "which has no name");
  if (mkdir("gone (deleted)", 0755) < 0)
    bail_out("mkdir");
  check_int(way(on_path(EIO_REALPATH, gone, ".")), DECLINED, "nor when another has the name that it seems to have");
  check(job.req.result == -1 && job.req.errorno == ENOENT, "which it has not");
  unlink("sub/file (deleted)");
  rmdir("sub");
  rmdir("gone (deleted)");
  eio_wd_unref(wd);
  eio_wd_unref(gone);
  eio_destroy(ctx);
}

static void check_load(const char *path, int64_t offs, uint64_t size, enum way expected, int64_t length)
{
  eio_req req = on_path(EIO_SLURP, NULL, path);
  struct eio_stats before = stats();

  req.offs = offs;
  req.size = size;
  job_init(&job, EIO_NOP, 0);
  job.req = req;
  eio_submit(ctx, &job.req);
  check_int(stats().inlined - before.inlined, expected == INLINE, "load of %s from %d", path, (int)offs);
  take();
  memset(buf, '#', sizeof buf);
  if (job.req.result > 0)
    memcpy(buf, job.req.buf, (size_t)job.req.result);
  check(length < 0 ? job.req.result > 0 : job.req.result == length && is_content(offs, (size_t)length),
        "has all of it");
  release();
  check(!job.req.buf, "which is freed");
}

static void test_load(void)
{
  enum way at_once = reads && opens && OPENS_DATA ? INLINE : DECLINED;

  ctx = context();
  check_load("small", 0, 0, at_once, 65536);
  check_load("larger", 0, 0, DECLINED, 65537);
  check_load("empty", 0, 0, DECLINED, 0);
  check_load("small", 1, 0, DECLINED, 65535);
  check_load("small", 0, 10, DECLINED, 10);
  check_load("/proc/self/limits", 0, 0, DECLINED, -1);
  way(on_path(EIO_LOAD, NULL, "."));
  check(job.req.result == -1 && job.req.errorno == EISDIR, "no load of a directory");
  eio_destroy(ctx);
}

/* What the system has refused is not tried again. */
static void test_given_up(void)
{
  ctx = context();
  ctx->latched = ~0u;
  check_int(way(read_of(file, 0, 10)), DECLINED, "given up: reads");
  check(job.req.result == 10 && is_content(0, 10), "a worker does it");
  check_int(way(on_path(EIO_STAT, NULL, "file")), DECLINED, "names");
  check_int(job.req.result, 0, "a worker does it");
  check_load("small", 0, 0, DECLINED, 65536);
  check_realpath(NULL, "link", DECLINED, "/file");
  eio_destroy(ctx);
}

static int refusal;
static bool ends_it;

static void refused_reads(void)
{
  if (!refuse_calls(SYS_preadv2, SYS_preadv2, refusal))
    return skip(1, "needs seccomp");
  ctx = context();
  check_int(way(read_of(file, 0, 10)), DECLINED, "preadv2: %s", strerror(refusal));
  check(job.req.result == 10 && is_content(0, 10), "a worker reads");
  check((ctx->latched != 0) == ends_it, "%s", ends_it ? "given up" : "not given up");
  check_int(way(on_path(EIO_STAT, NULL, "file")), opens ? INLINE : DECLINED, "names are tried still");
  eio_destroy(ctx);
}

/* Headers of the C library may not name it yet. */
#ifndef __NR_openat2
# define __NR_openat2 437
#endif

static void refused_names(void)
{
  if (!refuse_calls(__NR_openat2, __NR_openat2, refusal))
    return skip(1, "needs seccomp");
  ctx = context();
  check_int(way(on_path(EIO_STAT, NULL, "file")), DECLINED, "openat2: %s", strerror(refusal));
  check_int(job.req.result, 0, "a worker asks");
  check_realpath(NULL, "link", DECLINED, "/file");
  check((ctx->latched != 0) == ends_it, "%s", ends_it ? "given up" : "not given up");
  check_int(way(read_of(file, 0, 10)), reads ? INLINE : DECLINED, "reads are tried still");
  eio_destroy(ctx);
}

static void refused_stat(void)
{
  if (!refuse_calls(SYS_statx, SYS_statx, refusal))
    return skip(1, "needs seccomp");
  ctx = context();
  check_int(way(on_path(EIO_STAT, NULL, "file")), DECLINED, "statx: %s", strerror(refusal));
  check_int(job.req.result, 0, "a worker asks");
  check((ctx->latched != 0) == ends_it, "%s", ends_it ? "given up" : "not given up");
  check_int(way(on_fd(EIO_STAT, file)), DECLINED, "nor of a descriptor");
  check_load("small", 0, 0, DECLINED, 65536);
  check_realpath(NULL, "link", DECLINED, "/file");
  check_int(way(read_of(file, 99950, 100)), DECLINED, "nothing is read when it is not known of what");
  check(job.req.result == 50 && is_content(99950, 50), "a worker reads");
  eio_destroy(ctx);
}

static void refused_mounts(void)
{
  if (!refuse_calls(457, 457, refusal)) /* statmount */
    return skip(1, "needs seccomp");
  ctx = context();
  for (int i = 0; i < 2; i++) {
    check_int(way(on_path(EIO_STAT, NULL, "file")), DECLINED, "statmount: %s", strerror(refusal));
    check_int(job.req.result, 0, "a worker asks");
  }
  check_int(way(read_of(file, 0, 10)), reads ? INLINE : DECLINED, "reads are tried still");
  eio_destroy(ctx);
}

static void test_refused(void)
{
  static const struct { int error; bool ends_it; } table[] = {
    { ENOSYS, true }, { EPERM, true }, { EINVAL, true }, { EAGAIN, false }, { EOPNOTSUPP, false },
  };

  for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
    refusal = table[i].error;
    ends_it = table[i].ends_it && EIO_HAVE_PREADV2;
    if (refusal != ENOSYS) /* glibc makes EOPNOTSUPP of it */
      in_child(refused_reads);
    ends_it = table[i].ends_it && TRIES_NAMES;
    if (!under_valgrind()) /* which lacks openat2() itself */
      in_child(refused_names);
    if (refusal != ENOSYS || TRIES_NAMES)
      in_child(refused_stat);
    in_child(refused_mounts);
  }
}

/* An attempt stands in for a worker: it needs leave to execute. */
static void test_leave(void)
{
  struct gate gate = gate_make();
  struct job held;
  eio_req req = read_of(file, 0, 10);

  ctx = context();
  req.flags = EIO_NO_INLINE;
  check_int(way(req), NOT_TRIED, "not wanted, not tried");
  check_int(job.req.result, 10, "a worker does it");
  if (!is_sync()) {
    eio_set_max_parallel(ctx, 1);
    block(ctx, &held, &gate, 0);
    wait_running(ctx, 1);
    job_init(&job, EIO_READ, 0);
    job.req = read_of(file, 0, 10);
    eio_submit(ctx, &job.req);
    check(stats().inlined == 0 && eio_nready(ctx) == 1, "one of one executes: the next waits");
  }
  gate_open(&gate);
  finish_all(ctx);
  check_int(job.req.result, 10, "but not for ever");
  gate_remove(&gate);
  eio_destroy(ctx);
}

static void make_files(void)
{
  static const struct { const char *name; size_t size; } files[] = {
    { "file", 100000 }, { "small", 65536 }, { "larger", 65537 }, { "empty", 0 }, { "spare", 10 },
  };
  struct timespec times[] = { { 1000, 111111111 }, { 2000, 222222222 } };
  struct timespec link_times[] = { { time(NULL) + 3600, 0 }, { 1000, 0 } };

  for (size_t i = 0; i < sizeof buf; i++)
    buf[i] = (char)(i % 251);
  for (unsigned i = 0; i < sizeof files / sizeof *files; i++)
    put_data(files[i].name, buf, files[i].size);
  if (symlink("file", "link") < 0 || mkfifo("fifo", 0600) < 0 || chmod("spare", 0640) < 0
      || link("spare", "spare2") < 0 || utimensat(AT_FDCWD, "link", link_times, AT_SYMLINK_NOFOLLOW) < 0
      || utimensat(AT_FDCWD, "spare", times, 0) < 0)
    bail_out("files");
  if (geteuid() == 0 && chown("spare", 12, 34) < 0)
    bail_out("chown");
}

int main(void)
{
  static test *const tests[] = {
    test_read, test_short, test_direct, test_invalid, test_open, test_stat, test_statx, test_own_buffer,
    test_mounts, test_careful, test_realpath, test_load, test_given_up, test_refused, test_leave, NULL,
  };

  scratch_begin();
  make_files();
  file = open_for_test("file", O_RDONLY);
  ask_for_data();
  tells = is_known(file);
  opens = is_cached("file");
  follows = opens && is_cached("link");
  on_each_engine(tests);
  close(file);
  return scratch_end(0);
}
