/* ops_open.c - open, close, wd */
#include "ops.h"

static eio_req opening(eio_wd *wd, const char *path, int flags, int mode)
{
  eio_req req = on_path(EIO_OPEN, wd, path);

  req.arg1 = flags;
  req.arg2 = mode;
  return req;
}

static void test_open(void)
{
  eio_req req = opening(NULL, "new", O_RDWR | O_CREAT | O_EXCL, 0640);
  int fd = (int)run(&req);

  ok(fd >= 0, "open creates a file");
  ok(req.flags & EIO_OWNS_FD, "the request owns the descriptor");
  ok(fcntl(fd, F_GETFD) & FD_CLOEXEC, "which is close-on-exec");
  is_int(stat_of("new").st_mode & 07777, 0640, "the mode is as asked for");
  is_int(req.arg2, 0, "a file is no terminal");
  is_int(write(fd, "abc", 3), 3, "it can be written to");
  eio_req_finish(&req);
  is_int(fcntl(fd, F_GETFD), -1, "eio_req_finish() closes what nobody took");

  fails(opening(NULL, "new", O_RDWR | O_CREAT | O_EXCL, 0640), EEXIST, "O_EXCL");
  fails(opening(NULL, "missing", O_RDONLY, 0), ENOENT, "open without O_CREAT");
  fails(opening(NULL, "", O_RDONLY, 0), ENOENT, "open an empty path");
  fails(opening(NULL, NULL, O_RDONLY, 0), ENOENT, "open no path");
  fails(opening(NULL, "new/", O_RDONLY, 0), ENOTDIR, "open file/");
  fails(opening(NULL, ".", O_WRONLY, 0), EISDIR, "open a directory for writing");
  symlink("new", "link");
  fails(opening(NULL, "link", O_RDONLY | O_NOFOLLOW, 0), ELOOP, "O_NOFOLLOW is heeded");
  ok(just(opening(NULL, "new", O_WRONLY | O_TRUNC, 0)) >= 0, "open with O_TRUNC");
  is_int(stat_of("new").st_size, 0, "truncates");
}

static void test_open_terminal(void)
{
  int master = posix_openpt(O_RDWR | O_NOCTTY);
  eio_req req;

  if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0) {
    skip(1, "no pseudo terminals here");
    return;
  }
  req = opening(NULL, ptsname(master), O_RDWR | O_NOCTTY, 0);
  run(&req);
  is_int(req.arg2, 1, "a terminal is told from a file");
  eio_req_finish(&req);
  close(master);
}

static void test_open_denied(void)
{
  drop_root();
  fails(opening(NULL, "secret", O_RDONLY, 0), EACCES, "open what may not be read");
  fails(opening(NULL, "file", O_WRONLY | O_CREAT, 0644), EACCES, "create where one may not");
}

static eio_req closing(int fd)
{
  return on_fd(EIO_CLOSE, fd);
}

static void test_close(void)
{
  int fd = open_for_test("file", O_RDWR | O_CREAT), other, fds[2];
  int unwritable = EIO_HAVE_O_PATH && access("/proc/self/fd", X_OK) == 0 ? EBADF : EPIPE;
  struct stat st;
  char c;

  is_int(just(closing(fd)), 0, "close");
  is_int(fcntl(fd, F_GETFD), FD_CLOEXEC, "the number stays occupied, close-on-exec");
  if (unwritable == EPIPE)
    signal(SIGPIPE, SIG_IGN); /* else it would kill the test */
  is_int(write(fd, "x", 1), -1, "writing to it fails");
  is_int(errno, unwritable, "without a signal, where that is possible");
  is_int(read(fd, &c, 1), -1, "reading from it fails");
  is_int(errno, EBADF, "with EBADF");
  is_int(just(closing(fd)), 0, "closing again is fine");
  is_int(fstat(fd, &st), 0, "it is some pipe");
  ok(S_ISFIFO(st.st_mode), "really");
  close(fd);
  fails(closing(fd), EBADF, "close what is not open");
  is_int(fcntl(fd, F_GETFD), -1, "does not open it");
  fails(closing(-1), EBADF, "close -1");

  is_int(pipe(fds), 0, "a pipe");
  is_int(just(closing(fds[1])), 0, "closing one end");
  is_int(read(fds[0], &c, 1), 0, "is seen on the other");
  close(fds[0]);
  close(fds[1]);

  /* find the cached descriptor: the one with the same inode */
  for (other = 3; other < 64; other++) {
    struct stat candidate;

    if (fstat(other, &candidate) == 0 && candidate.st_ino == st.st_ino
        && candidate.st_dev == st.st_dev)
      break;
  }
  fails(closing(other), EBADF, "the descriptor behind it cannot be closed");
  fd = open_for_test("file", O_RDWR);
  if (dup2(fd, other) != other)
    bail_out("no descriptor %d", other);
  is_int(just(closing(fd)), 0, "close works after somebody closed that, too");
  is_int(write(fd, "x", 1), -1, "and its number was used again");
  is_int(errno, unwritable, "with the right thing in place");
  close(fd);
  close(other);
}

static void *close_many(void *arg)
{
  intptr_t failed = 0;

  (void)arg;
  for (int i = 0; i < 200; i++) {
    int fd = open("file", O_RDONLY | O_CLOEXEC);

    failed += just(closing(fd)) != 0;
    close(fd);
  }
  return (void *)failed;
}

static void test_close_threads(void)
{
  pthread_t threads[4];
  intptr_t failed = 0;

  for (int i = 0; i < 4; i++)
    pthread_create(&threads[i], NULL, close_many, NULL);
  for (int i = 0; i < 4; i++) {
    void *result;

    pthread_join(threads[i], &result);
    failed += (intptr_t)result;
  }
  is_int(failed, 0, "four threads close at the same time");
}

static void test_wd(void)
{
  char expected[5000];
  eio_req req;
  eio_wd *wd;

  mkdir("dir", 0755);
  mkdir("dir/sub", 0755);
  put("dir/f", "inside");
  symlink("dir/sub", "to-sub");
  req = on_path(EIO_WD, NULL, "to-sub/..");
  is_int(run(&req), 0, "wd");
  wd = req.buf;
  snprintf(expected, sizeof expected, "%s/dir", scratch_path);
  is_str(eio_wd_path(wd), expected, "has the canonical path");
  ok(just(opening(wd, "f", O_RDONLY, 0)) >= 0, "open relative to it");
  fails(opening(wd, "file", O_RDONLY, 0), ENOENT, "not relative to the process's");
  fails(opening(wd, "", O_RDONLY, 0), ENOENT, "the empty path is no directory");
  snprintf(expected, sizeof expected, "%s/file", scratch_path);
  ok(just(opening(wd, expected, O_RDONLY, 0)) >= 0, "absolute paths are absolute");
  if (EIO_HAVE_AT) {
    rename("dir", "moved");
    ok(just(opening(wd, "f", O_RDONLY, 0)) >= 0, "it follows the directory when that is renamed");
    rename("moved", "dir");
  } else
    skip(1, "no *at calls");

  req = on_path(EIO_WD, wd, "sub");
  is_int(run(&req), 0, "wd relative to a wd");
  snprintf(expected, sizeof expected, "%s/dir/sub", scratch_path);
  is_str(eio_wd_path(req.buf), expected, "has the right path");
  eio_wd_unref(req.buf);

  ok(eio_wd_ref(wd) == wd, "ref returns it");
  eio_wd_unref(wd);
  ok(just(opening(wd, "f", O_RDONLY, 0)) >= 0, "a reference keeps it open");
  eio_wd_unref(wd);
  eio_wd_unref(NULL);
  ok(!eio_wd_ref(NULL), "NULL is fine");

  fails(on_path(EIO_WD, NULL, "missing"), ENOENT, "wd of nothing");
  fails(on_path(EIO_WD, NULL, "file"), ENOTDIR, "wd of a file");
  fails(on_path(EIO_WD, NULL, ""), ENOENT, "wd of the empty path");
  wd = eio_wd_open(NULL, "/");
  is_str(eio_wd_path(wd), "/", "wd of the root");
  ok(just(opening(wd, "etc/passwd", O_RDONLY, 0)) >= 0, "open relative to the root");
  eio_wd_unref(wd);
}

static void test_wd_searchable(void)
{
  eio_wd *wd;

  drop_root();
  wd = eio_wd_open(NULL, "searchable");
  if (!ok(wd, "wd of a directory that can be searched, but not read"))
    return;
  ok(just(opening(wd, "f", O_RDONLY, 0)) >= 0, "open relative to it");
  eio_wd_unref(wd);
}

static eio_req within(eio_wd *wd, const char *path, int flags, uint64_t resolve)
{
  eio_req req = on_path(EIO_OPENAT2, wd, path);

  req.arg1 = flags;
  req.size = resolve;
  return req;
}

static void test_openat2(void)
{
  enum { NO_SYMLINKS = 4, BENEATH = 8, IN_ROOT = 16 };
  eio_wd *wd;

  mkdir("cage", 0755);
  mkdir("cage/in", 0755);
  put("cage/in/file", "");
  put("outside", "");
  symlink("in/file", "cage/link");
  symlink("../outside", "cage/out");
  symlink("/", "cage/top");
  wd = eio_wd_open(NULL, "cage");
#if EIO_HAVE_OPENAT2
  if (just(within(wd, "in/file", O_RDONLY, BENEATH)) < 0 && (errno == ENOSYS || errno == EPERM))
    skip(13, "the kernel has no openat2");
  else {
    ok(just(within(wd, "in/../link", O_RDONLY, BENEATH)) >= 0, "openat2 beneath, by a link");
    ok(just(within(wd, "out", O_RDONLY, 0)) >= 0, "openat2 of a link that leads out");
    fails(within(wd, "out", O_RDONLY, BENEATH), EXDEV, "but not beneath");
    fails(within(wd, "../outside", O_RDONLY, BENEATH), EXDEV, "nor by ..");
    fails(within(wd, "top/etc", O_RDONLY, BENEATH), EXDEV, "nor by a link to /");
    fails(within(wd, "/etc", O_RDONLY, BENEATH), EXDEV, "nor from /");
    ok(just(within(wd, "/in/file", O_RDONLY, IN_ROOT)) >= 0, "openat2 with the directory as root");
    ok(just(within(wd, "top/link", O_RDONLY, IN_ROOT)) >= 0, "which links go by, too");
    fails(within(wd, "../outside", O_RDONLY, IN_ROOT), ENOENT, "and which is its own parent");
    fails(within(wd, "link", O_RDONLY, NO_SYMLINKS), ELOOP, "openat2 without links");
    fails(within(wd, "in/file", O_RDONLY, UINT64_C(1) << 40), EINVAL, "openat2 with an unknown flag");
    fails(within(wd, "", O_RDONLY, 0), ENOENT, "openat2 of an empty path");
    fails(within(NULL, "missing", O_RDONLY, 0), ENOENT, "openat2 of nothing");
  }
#else
  fails(within(wd, "in/file", O_RDONLY, BENEATH), ENOSYS, "openat2 is absent");
  (void)NO_SYMLINKS, (void)IN_ROOT;
#endif
  eio_wd_unref(wd);
}

static eio_req closing_range(int64_t first, uint64_t last, int flags)
{
  eio_req req = request(EIO_CLOSE_RANGE);

  req.offs = first;
  req.size = last;
  req.arg1 = flags;
  return req;
}

static bool is_open(int fd)
{
  return fcntl(fd, F_GETFD) >= 0;
}

static void test_close_range(void)
{
  int fd = fcntl(0, F_DUPFD, 100), wake;
  eio_ctx *ctx = eio_create();

  if (fd < 0 || !ctx || dup2(0, fd + 1) < 0 || dup2(0, fd + 2) < 0)
    bail_out("no descriptors");
  wake = eio_poll_fd(ctx);
  fails(closing_range(5, 4, 0), EINVAL, "close_range the wrong way round");
  fails(closing_range(-1, 4, 0), EINVAL, "close_range from below 0");
  fails(closing_range(0, (uint64_t)UINT32_MAX + 1, 0), EINVAL, "close_range to above all");
  fails(closing_range(fd, UINT64_MAX, 2), EINVAL, "close_range of a table of one's own");
#if EIO_HAVE_CLOSE_RANGE
  if (just(closing_range(fd, (uint64_t)fd + 1, 0)) < 0) {
    skip(1, "the kernel has no close_range");
    eio_destroy(ctx);
    return;
  }
  ok(!is_open(fd) && !is_open(fd + 1) && is_open(fd + 2), "close_range closes what it shall");
  is_int(just(closing_range(fd, fd, 0)), 0, "close_range of what is closed");
  is_int(just(closing_range(wake, UINT64_MAX, 0)), 0, "close_range of all that follow");
  ok(!is_open(fd + 2) && is_open(wake), "but not of what a context needs");
  is_int(just(closing_range(wake, (uint64_t)wake, 0)), 0, "nor of that alone");
  ok(is_open(wake) && eio_poll_fd(ctx) == wake, "which stays");
#else
  fails(closing_range(fd, UINT64_MAX, 0), ENOSYS, "close_range is absent");
  ok(is_open(fd) && is_open(wake), "and closes nothing");
#endif
  eio_destroy(ctx);
}

int main(void)
{
  scratch_begin();
  test_openat2();
  put("file", "");
  put("secret", "");
  chmod("secret", 0);
  mkdir("searchable", 0755);
  put("searchable/f", "");
  chmod("searchable", 0711);
  chmod(".", 0755);
  test_open();
  test_open_terminal();
  in_child(test_open_denied);
  test_close();
  test_close_threads();
  in_child(test_close_range);
  test_wd();
  in_child(test_wd_searchable);
  return scratch_end(1); /* what aio_close puts in place */
}
