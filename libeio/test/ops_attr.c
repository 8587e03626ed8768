/* ops_attr.c - stat, lstat, statvfs, utime, lutime, chown, lchown, chmod, lchmod,
 * truncate, allocate, fiemap */
#include "ops.h"

#include <limits.h>
#include <math.h>
#if EIO_HAVE_STATVFS
# include <sys/statvfs.h>
#endif

static eio_wd *wd;

static void test_stat(void)
{
  eio_req req = on_path(EIO_STAT, NULL, "link");
  struct stat mine, *st;
  int fd;

  is_int(run(&req), 0, "stat");
  st = req.buf;
  ok(S_ISREG(st->st_mode), "follows links");
  is_int(st->st_size, 10, "and knows the size");
  ok(req.flags & EIO_FREE_BUF, "the result goes with the request");
  eio_req_finish(&req);

  req = on_path(EIO_LSTAT, wd, "link");
  is_int(run(&req), 0, "lstat relative to a wd");
  st = req.buf;
  ok(S_ISLNK(st->st_mode), "does not follow");
  eio_req_finish(&req);

  fd = open_for_test("dir/file", O_RDONLY);
  req = on_fd(EIO_LSTAT, fd);
  req.buf = &mine;
  is_int(run(&req), 0, "lstat of a descriptor, into memory of ours");
  ok(S_ISREG(mine.st_mode) && mine.st_size == 10, "is fstat");
  ok(!(req.flags & EIO_FREE_BUF), "memory of ours remains ours");
  eio_req_finish(&req);
  close(fd);

  fails(on_path(EIO_STAT, NULL, "missing"), ENOENT, "stat of nothing");
  fails(on_path(EIO_STAT, wd, "dangling"), ENOENT, "stat of a dangling link");
  is_int(just(on_path(EIO_LSTAT, wd, "dangling")), 0, "lstat of a dangling link");
  fails(on_path(EIO_STAT, wd, ""), ENOENT, "stat of an empty path");
  fails(on_path(EIO_STAT, NULL, "dir/file/x"), ENOTDIR, "stat below a file");
  fails(on_path(EIO_STAT, NULL, "dir/loop"), ELOOP, "stat of a link to itself");
  fails(on_fd(EIO_STAT, 12345), EBADF, "stat of a closed descriptor");
}

static void statx_is(eio_req req, const struct stat *st, const char *name)
{
  int64_t result = run(&req);
  const struct eio_statx *stx = req.buf;

  is_int(result, 0, "statx of %s", name);
  if (result == 0) {
    is_int(stx->mask & EIO_STATX_BASIC, EIO_STATX_BASIC & req.size, "%s: knows what was asked for", name);
    ok(!(stx->mask & ~req.size), "%s: and says nothing else", name);
    ok(stx->ino == st->st_ino && stx->mode == st->st_mode && stx->nlink == st->st_nlink && stx->uid == st->st_uid
         && stx->gid == st->st_gid && stx->size == (uint64_t)st->st_size && stx->blocks == (uint64_t)st->st_blocks
         && (off_t)stx->blksize == (off_t)st->st_blksize, "%s: is as stat has it", name);
    ok(stx->mtime.sec == st->st_mtime && stx->ctime.sec == st->st_ctime, "%s: and the times", name);
  }
  eio_req_finish(&req);
}

static eio_req asking(eio_req req, int flags, uint64_t mask)
{
  req.arg1 = flags;
  req.size = mask;
  return req;
}

static void test_statx(void)
{
  int fd = open_for_test("dir/file", O_RDONLY);
  struct stat st, link;

  if (stat("dir/file", &st) < 0 || lstat("link", &link) < 0)
    bail_out("stat");
  statx_is(asking(on_path(EIO_STATX, NULL, "link"), 0, UINT64_MAX), &st, "a link");
  statx_is(asking(on_path(EIO_STATX, NULL, "link"), AT_SYMLINK_NOFOLLOW, EIO_STATX_BASIC), &link, "the link itself");
  statx_is(asking(on_path(EIO_STATX, wd, "file"), 0, EIO_STATX_BASIC | EIO_STATX_BTIME), &st, "a file in a wd");
  statx_is(asking(on_fd(EIO_STATX, fd), 0, EIO_STATX_BASIC), &st, "a descriptor");
  fails(asking(on_path(EIO_STATX, NULL, "missing"), 0, UINT64_MAX), ENOENT, "statx of nothing");
  fails(asking(on_path(EIO_STATX, wd, ""), 0, UINT64_MAX), ENOENT, "statx of an empty path");
  fails(asking(on_path(EIO_STATX, NULL, "dir/file/x"), 0, UINT64_MAX), ENOTDIR, "statx below a file");
  fails(asking(on_fd(EIO_STATX, 12345), 0, UINT64_MAX), EBADF, "statx of a closed descriptor");
  fails(asking(on_fd(EIO_STATX, fd), 0, (uint64_t)1 << 32), EINVAL, "statx with a mask of more than 32 bits");
  fails(asking(on_fd(EIO_STATX, fd), 0, (uint64_t)1 << 31), EINVAL, "statx with a mask that no kernel takes");
#if EIO_HAVE_STATX
  fails(asking(on_path(EIO_STATX, NULL, "link"), 0x40000000, 0), EINVAL, "statx with an unknown flag");
  is_int(just(asking(on_fd(EIO_STATX, fd), AT_STATX_FORCE_SYNC, EIO_STATX_BASIC)), 0, "statx that asks servers");
#else
  fails(asking(on_fd(EIO_STATX, fd), 0x2000, 0), ENOSYS, "statx that asks servers is absent");
#endif
  close(fd);
}

static void test_statvfs(void)
{
#if EIO_HAVE_STATVFS
  eio_req req = on_path(EIO_STATVFS, NULL, "link");
  struct statvfs st, *got;
  int fd = open_for_test("dir/file", O_RDONLY);

  if (statvfs(".", &st) < 0)
    bail_out("statvfs");
  is_int(run(&req), 0, "statvfs of a path");
  got = req.buf;
  is_int(got->f_blocks, st.f_blocks, "knows the size of the file system");
  eio_req_finish(&req);
  req = on_path(EIO_STATVFS, wd, "file");
  is_int(run(&req), 0, "statvfs relative to a wd");
  got = req.buf;
  is_int(got->f_blocks, st.f_blocks, "knows it as well");
  eio_req_finish(&req);
  is_int(just(on_fd(EIO_STATVFS, fd)), 0, "statvfs of a descriptor");
  fails(on_path(EIO_STATVFS, NULL, "missing"), ENOENT, "statvfs of nothing");
  fails(on_path(EIO_STATVFS, wd, "missing"), ENOENT, "statvfs of nothing in a wd");
  fails(on_path(EIO_STATVFS, NULL, ""), ENOENT, "statvfs of an empty path");
  fails(on_fd(EIO_STATVFS, 12345), EBADF, "statvfs of a closed descriptor");
  close(fd);
#else
  fails(on_path(EIO_STATVFS, NULL, "."), ENOSYS, "statvfs is absent");
#endif
}

static eio_req touching(eio_req req, double atime, double mtime)
{
  req.nv1 = atime;
  req.nv2 = mtime;
  return req;
}

static eio_req exactly(eio_req req, double atime, int ans, double mtime, int mns)
{
  req.arg1 = ans;
  req.arg2 = mns;
  return touching(req, atime, mtime);
}

static bool times_are(const char *path, int64_t asec, long ansec, int64_t msec, long mnsec)
{
#if EIO_HAVE_ST_TIM && EIO_HAVE_UTIMENSAT
  struct stat st = stat_of(path);

  return st.st_atim.tv_sec == asec && st.st_atim.tv_nsec == ansec && st.st_mtim.tv_sec == msec
         && st.st_mtim.tv_nsec == mnsec;
#else
  struct stat st = stat_of(path);

  (void)ansec, (void)mnsec;
  return st.st_atime == asec && st.st_mtime == msec;
#endif
}

static bool has_times(int64_t asec, long ansec, int64_t msec, long mnsec)
{
  return times_are("dir/file", asec, ansec, msec, mnsec);
}

static void test_utime(void)
{
  eio_req by_path = on_path(EIO_UTIME, NULL, "link"), by_wd = on_path(EIO_UTIME, wd, "file");
  eio_req by_fd = on_fd(EIO_UTIME, open_for_test("dir/file", O_RDWR));
  time_t now = time(NULL);

  is_int(just(touching(by_path, 1.5, 2.25)), 0, "utime follows links");
  ok(has_times(1, 500000000, 2, 250000000), "sets both times, with fractions");
  is_int(just(touching(by_wd, -1.5, -0.25)), 0, "utime relative to a wd, before 1970");
  ok(has_times(-2, 500000000, -1, 750000000), "sets both times");
  is_int(just(touching(by_wd, -1, -1e9)), 0, "-1 is a time");
  ok(has_times(-1, 0, -1000000000, 0), "like others");
  is_int(just(touching(by_path, 7, NAN)), 0, "utime with one undefined time");
  ok(has_times(7, 0, 0, 0), "sets that to 0");
  is_int(just(touching(by_path, NAN, NAN)), 0, "utime with both undefined");
  ok(stat_of("dir/file").st_mtime >= now && stat_of("dir/file").st_atime >= now, "sets them to now");
  if (EIO_HAVE_FUTIMENS) {
    is_int(just(touching(by_fd, 3.5, 4.75)), 0, "utime of a descriptor");
    ok(has_times(3, 500000000, 4, 750000000), "sets both times");
    is_int(just(touching(by_fd, NAN, NAN)), 0, "also to now");
    ok(stat_of("dir/file").st_mtime >= now, "really");
    fails(touching(on_fd(EIO_UTIME, 12345), 1, 2), EBADF, "utime of a closed descriptor");
  } else {
    fails(touching(by_fd, 1, 2), ENOSYS, "utime of a descriptor is absent");
    skip(4, "no futimens()");
  }
  fails(touching(by_path, 1e30, 1), EINVAL, "utime with too late a time");
  fails(touching(by_path, 1, -1e30), EINVAL, "utime with too early a time");
  fails(touching(by_path, INFINITY, 1), EINVAL, "utime at the end of time");
  fails(touching(on_path(EIO_UTIME, NULL, "missing"), 1, 2), ENOENT, "utime of nothing");
  close(by_fd.fd);
}

static void test_exact_times(void)
{
  eio_req req = on_path(EIO_UTIME, wd, "file");

  is_int(just(exactly(req, 1, 999999999, -2, 1)), 0, "utime to the nanosecond");
  ok(EIO_HAVE_UTIMENSAT ? has_times(1, 999999999, -2, 1) : has_times(2, 0, -2, 0),
     "sets both times, as exactly as the system can");
  is_int(just(exactly(req, 1.75, 500000000, 2, 0)), 0, "utime to a fraction and nanoseconds");
  ok(has_times(2, 250000000, 2, 0), "adds them");
  fails(exactly(req, 1, 1000000000, 2, 0), EINVAL, "utime with too many nanoseconds");
  fails(exactly(req, 1, 0, 2, -1), EINVAL, "utime with negative ones");
}

static void test_lutime(void)
{
  eio_req req = on_path(EIO_LUTIME, wd, "link");

#if EIO_HAVE_UTIMENSAT
  is_int(just(touching(on_path(EIO_LUTIME, NULL, "dir/file"), 5, 6)), 0, "lutime of a file");
  ok(has_times(5, 0, 6, 0), "sets both times");
  is_int(just(exactly(req, 7, 8, 9, 10)), 0, "lutime of a link");
  ok(times_are("dir/link", 7, 8, 9, 10), "sets those of the link");
  ok(has_times(5, 0, 6, 0), "not those of the file");
  is_int(just(touching(on_path(EIO_LUTIME, wd, "dangling"), 1, 2)), 0, "lutime of a dangling link");
  is_int(just(touching(req, NAN, NAN)), 0, "lutime to now");
  fails(touching(on_path(EIO_LUTIME, wd, "missing"), 1, 2), ENOENT, "lutime of nothing");
#else
  fails(touching(req, 1, 2), ENOSYS, "lutime is absent");
#endif
  fails(touching(req, INFINITY, 2), EINVAL, "lutime at the end of time");
  fails(touching(on_fd(EIO_LUTIME, 12345), 1, 2), EIO_HAVE_FUTIMENS ? EBADF : ENOSYS, "lutime of a closed descriptor");
}

static eio_req owning(eio_req req, int uid, int gid)
{
  req.arg1 = uid;
  req.arg2 = gid;
  return req;
}

static void test_chown(void)
{
  int fd = open_for_test("dir/file", O_RDONLY);

  is_int(just(owning(on_path(EIO_CHOWN, NULL, "link"), -1, -1)), 0, "chown that changes nothing");
  is_int(just(owning(on_fd(EIO_CHOWN, fd), (int)geteuid(), (int)getegid())), 0, "chown to oneself");
  fails(owning(on_path(EIO_CHOWN, wd, "missing"), -1, -1), ENOENT, "chown of nothing");
  fails(owning(on_fd(EIO_CHOWN, 12345), -1, -1), EBADF, "chown of a closed descriptor");
  if (geteuid() == 0) {
    is_int(just(owning(on_path(EIO_CHOWN, NULL, "link"), 12, -1)), 0, "chown of the user");
    is_int(just(owning(on_path(EIO_CHOWN, wd, "file"), -1, 34)), 0, "chown of the group");
    ok(stat_of("dir/file").st_uid == 12 && stat_of("dir/file").st_gid == 34, "both have changed");
    is_int(stat_of("link").st_uid, 0, "links are followed");
    is_int(just(owning(on_fd(EIO_CHOWN, fd), 0, 0)), 0, "chown back");
  } else
    skip(5, "not root");
  close(fd);
}

static void test_lchown(void)
{
  int fd = open_for_test("dir/file", O_RDONLY);

  is_int(just(owning(on_path(EIO_LCHOWN, wd, "dangling"), -1, -1)), 0, "lchown that changes nothing");
  is_int(just(owning(on_fd(EIO_LCHOWN, fd), -1, -1)), 0, "lchown of a descriptor");
  fails(owning(on_path(EIO_LCHOWN, wd, "missing"), -1, -1), ENOENT, "lchown of nothing");
  fails(owning(on_fd(EIO_LCHOWN, 12345), -1, -1), EBADF, "lchown of a closed descriptor");
  if (geteuid() == 0) {
    is_int(just(owning(on_path(EIO_LCHOWN, NULL, "link"), 12, 34)), 0, "lchown of a link");
    ok(stat_of("link").st_uid == 12 && stat_of("link").st_gid == 34, "changes it");
    is_int(stat_of("dir/file").st_uid, 0, "not the file");
    is_int(just(owning(on_path(EIO_LCHOWN, NULL, "link"), 0, 0)), 0, "lchown back");
  } else
    skip(4, "not root");
  close(fd);
}

static void test_chown_denied(void)
{
  drop_root();
  fails(owning(on_path(EIO_LCHOWN, NULL, "foreign"), (int)geteuid(), -1), EPERM, "lchown of another's");
  fails(owning(on_path(EIO_CHOWN, NULL, "foreign"), (int)geteuid(), -1), EPERM, "chown of another's");
  fails(on_path(EIO_CHMOD, NULL, "foreign"), EPERM, "chmod of another's");
  fails(touching(on_path(EIO_UTIME, NULL, "foreign"), 1, 2), EPERM, "utime of another's");
  fails(on_path(EIO_TRUNCATE, NULL, "foreign"), EACCES, "truncate of another's");
  fails(on_path(EIO_TRUNCATE, wd, "../foreign"), EACCES, "truncate of another's in a wd");
}

static eio_req moding(eio_req req, int mode)
{
  req.arg2 = mode;
  return req;
}

static void test_chmod(void)
{
  int fd = open_for_test("dir/file", O_RDONLY);

  is_int(just(moding(on_path(EIO_CHMOD, NULL, "link"), 0640)), 0, "chmod");
  is_int(stat_of("dir/file").st_mode & 07777, 0640, "sets the mode");
  is_int(just(moding(on_fd(EIO_CHMOD, fd), 04711)), 0, "chmod of a descriptor");
  is_int(stat_of("dir/file").st_mode & 07777, 04711, "sets the mode");
  is_int(just(moding(on_path(EIO_CHMOD, wd, "file"), 0644)), 0, "chmod relative to a wd");
  is_int(stat_of("dir/file").st_mode & 07777, 0644, "sets the mode");
  fails(moding(on_path(EIO_CHMOD, NULL, "missing"), 0644), ENOENT, "chmod of nothing");
  fails(moding(on_fd(EIO_CHMOD, 12345), 0644), EBADF, "chmod of a closed descriptor");
  close(fd);
}

static void test_lchmod(void)
{
  int fd = open_for_test("dir/file", O_RDONLY);
  eio_req req = moding(on_path(EIO_LCHMOD, NULL, "link"), 0600);

  is_int(just(moding(on_fd(EIO_LCHMOD, fd), 0640)), 0, "lchmod of a descriptor");
  is_int(stat_of("dir/file").st_mode & 07777, 0640, "sets the mode");
#if EIO_HAVE_AT
  is_int(just(moding(on_path(EIO_LCHMOD, wd, "file"), 0644)), 0, "lchmod of a file");
  is_int(stat_of("dir/file").st_mode & 07777, 0644, "sets the mode");
  ok(just(req) == 0 || errno == EOPNOTSUPP || errno == ENOSYS, "lchmod of a link may be impossible");
  is_int(stat_of("dir/file").st_mode & 07777, 0644, "and leaves the file alone");
  fails(moding(on_path(EIO_LCHMOD, NULL, "missing"), 0644), ENOENT, "lchmod of nothing");
#else
  fails(req, ENOSYS, "lchmod is absent");
#endif
  fails(moding(on_fd(EIO_LCHMOD, 12345), 0644), EBADF, "lchmod of a closed descriptor");
  close(fd);
}

static eio_req sizing(eio_req req, int64_t size)
{
  req.offs = size;
  return req;
}

static void test_truncate(void)
{
  const int64_t large = INT64_C(5) << 30;
  bool can;
  int fd;

  put("dir/t", "0123456789");
  fd = open_for_test("dir/t", O_RDWR);
  is_int(just(sizing(on_path(EIO_TRUNCATE, NULL, "dir/t"), 5)), 0, "truncate");
  is_str(get("dir/t"), "01234", "cuts");
  is_int(just(sizing(on_path(EIO_TRUNCATE, wd, "t"), 3)), 0, "truncate relative to a wd");
  is_str(get("dir/t"), "012", "cuts");
  is_int(just(sizing(on_fd(EIO_TRUNCATE, fd), 100)), 0, "truncate of a descriptor");
  is_int(stat_of("dir/t").st_size, 100, "grows it");
  can = is_large(sizing(on_fd(EIO_TRUNCATE, fd), large), large, 0, "truncate to 5 GiB");
  is_int(stat_of("dir/t").st_size, can ? large : 100, "the file has that size");
  close(fd);
  fails(sizing(on_path(EIO_TRUNCATE, NULL, "dir/t"), -1), EINVAL, "truncate to a negative size");
  fails(sizing(on_path(EIO_TRUNCATE, wd, "t"), -1), EINVAL, "the same relative to a wd");
  fails(sizing(on_path(EIO_TRUNCATE, NULL, "missing"), 0), ENOENT, "truncate of nothing");
  fails(sizing(on_path(EIO_TRUNCATE, wd, "missing"), 0), ENOENT, "truncate of nothing in a wd");
  fails(sizing(on_path(EIO_TRUNCATE, wd, ""), 0), ENOENT, "truncate of an empty path");
  fails(sizing(on_path(EIO_TRUNCATE, NULL, "dir"), 0), EISDIR, "truncate of a directory");
  fails(sizing(on_path(EIO_TRUNCATE, wd, "."), 0), EISDIR, "truncate of a wd");
  mkfifo("dir/fifo", 0600);
  fails(sizing(on_path(EIO_TRUNCATE, NULL, "dir/fifo"), 0), EINVAL, "truncate of a pipe");
  fails(sizing(on_path(EIO_TRUNCATE, wd, "fifo"), 0), EINVAL, "truncate of a pipe in a wd");
  fd = open_for_test("dir/t", O_RDONLY);
  fails(sizing(on_fd(EIO_TRUNCATE, fd), 0), EINVAL, "truncate of a descriptor opened for reading");
  close(fd);
}

static eio_req allocating(int fd, int mode, int64_t offs, uint64_t size)
{
  eio_req req = on_data(EIO_ALLOCATE, fd, offs, NULL, size);

  req.arg1 = mode;
  return req;
}

static void test_allocate(void)
{
  int fd = open_for_test("dir/a", O_RDWR | O_CREAT);

#if EIO_HAVE_FALLOCATE
  const int64_t large = INT64_C(5) << 30;
  enum { KEEP_SIZE = 1, PUNCH_HOLE = 2 };

  if (just(allocating(fd, 0, 0, 65536)) == -1 && (errno == EOPNOTSUPP || errno == ENOSYS))
    skip(7, "not on this file system");
  else {
    is_int(stat_of("dir/a").st_size, 65536, "allocate grows the file");
    ok(stat_of("dir/a").st_blocks >= 128, "and takes space");
    is_int(just(allocating(fd, KEEP_SIZE, 65536, 65536)), 0, "allocate beyond the end");
    is_int(stat_of("dir/a").st_size, 65536, "keeps the size if told so");
    fails(allocating(fd, 0, -1, 10), EINVAL, "allocate at a negative offset");
    is_large(allocating(fd, KEEP_SIZE, large, 10), large, 0, "allocate beyond 4 GiB");
    is_large(allocating(fd, PUNCH_HOLE | KEEP_SIZE, 0, (uint64_t)large), large, 0, "allocate of a hole of 5 GiB");
  }
  fails(allocating(fd, 0, 0, 0), EINVAL, "allocate nothing");
  fails(allocating(-1, 0, 0, 10), EBADF, "allocate nowhere");
#else
  fails(allocating(fd, 0, 0, 65536), ENOSYS, "allocate is absent");
  is_int(stat_of("dir/a").st_size, 0, "and not emulated");
#endif
  close(fd);
}

static eio_req mapping(int fd, int64_t offs, uint64_t size, int flags, int count)
{
  eio_req req = on_data(EIO_FIEMAP, fd, offs, NULL, size);

  req.arg1 = flags;
  req.arg2 = count;
  return req;
}

/* A file of `n` extents: a page each, and as much of a hole behind it. */
static int make_extents(const char *path, int n)
{
  int fd = open_for_test(path, O_RDWR | O_CREAT);
  char page[4096];

  memset(page, 'x', sizeof page);
  for (int i = 0; i < n; i++)
    if (pwrite(fd, page, sizeof page, (off_t)i * 8192) != sizeof page)
      bail_out("write");
  return fd;
}

enum { EXTENTS = 3000 };

static void test_fiemap(void)
{
  int fd = make_extents("dir/sparse", EXTENTS);
  eio_req req = mapping(fd, 0, UINT64_MAX, 1, -1);
  const struct eio_extent *list;
  int wrong = 0;

  if (run(&req) == -1 && (req.errorno == ENOSYS || req.errorno == EOPNOTSUPP || req.errorno == ENOTTY)) {
    skip(16, "no FIEMAP here");
    close(fd);
    return;
  }
  is_int(req.result, EXTENTS, "fiemap of the whole file");
  list = req.buf;
  for (int i = 0; i < req.result; i++)
    wrong += list[i].logical != (uint64_t)i * 8192 || list[i].length != 4096
             || (list[i].flags & 1) != (i == EXTENTS - 1);
  is_int(wrong, 0, "has all extents in order, the last one marked");
  eio_req_finish(&req);
  is_int(just(mapping(fd, 0, UINT64_MAX, 0, 0)), EXTENTS, "fiemap with count 0 counts");
  is_int(just(mapping(fd, 0, UINT64_MAX, 0, 10)), 10, "fiemap with a count");
  is_int(just(mapping(fd, 0, UINT64_MAX, 0, 2000)), 2000, "fiemap with a larger count");
  is_int(just(mapping(fd, 0, UINT64_MAX, 0, 1000000)), EXTENTS, "fiemap with too large a count");
  is_int(just(mapping(fd, 81920, 81920, 0, -1)), 10, "fiemap of a range");
  is_int(just(mapping(fd, 81920, 81920 - 4096, 0, -1)), 10, "fiemap of a range that ends with an extent");
  is_int(just(mapping(fd, 81920, UINT64_MAX, 0, -1)), EXTENTS - 10, "fiemap from somewhere to the end");
  is_int(just(mapping(fd, INT64_C(1) << 40, 4096, 0, -1)), 0, "fiemap beyond the end");
  is_int(just(mapping(fd, 0, 81920, 0, 0)), 10, "fiemap counts within a range");
  fails(mapping(fd, 0, 0, 0, -1), EINVAL, "fiemap of nothing");
  fails(mapping(fd, 0, UINT64_MAX, 0x4000, -1), EBADR, "fiemap with unknown flags");
  fails(mapping(-1, 0, UINT64_MAX, 0, -1), EBADF, "fiemap of nothing at all");
  fails(mapping(fd, 0, UINT64_MAX, 0x4000, 0), EBADR, "fiemap that counts, with unknown flags");
  close(fd);
  fd = open_for_test("dir/empty", O_RDWR | O_CREAT);
  req = mapping(fd, 0, UINT64_MAX, 0, -1);
  ok(run(&req) == 0 && req.buf, "fiemap of an empty file has a list without extents");
  eio_req_finish(&req);
  close(fd);
}

int main(void)
{
  scratch_begin();
  chmod(".", 0755);
  mkdir("dir", 0755);
  put("dir/file", "0123456789");
  put("foreign", "");
  symlink("dir/file", "link");
  symlink("file", "dir/link");
  symlink("missing", "dir/dangling");
  symlink("loop", "dir/loop");
  wd = eio_wd_open(NULL, "dir");
  test_stat();
  test_statx();
  test_statvfs();
  test_utime();
  test_exact_times();
  test_lutime();
  test_chown();
  test_lchown();
  if (geteuid() == 0)
    in_child(test_chown_denied);
  else
    skip(6, "not root");
  test_chmod();
  test_lchmod();
  test_truncate();
  test_allocate();
  test_fiemap();
  eio_wd_unref(wd);
  return scratch_end(0);
}
