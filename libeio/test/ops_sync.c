/* ops_sync.c - sync and its like, memory regions, fcntl, ioctl, busy, nop */
#include "ops.h"

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

static void test_sync(void)
{
  const int64_t large = INT64_C(5) << 30;
  int fd = open_for_test("file", O_RDWR), fds[2];
  eio_req req;
  eio_wd *wd = eio_wd_open(NULL, ".");

  if (pipe(fds) < 0)
    bail_out("pipe");
  is_int(just(request(EIO_SYNC)), 0, "sync");
  is_int(just(on_fd(EIO_FSYNC, fd)), 0, "fsync");
  fails(on_fd(EIO_FSYNC, -1), EBADF, "fsync of nothing");
  fails(on_fd(EIO_FSYNC, fds[0]), EINVAL, "fsync of a pipe");
  is_int(just(on_fd(EIO_FDATASYNC, fd)), 0, "fdatasync");
  fails(on_fd(EIO_FDATASYNC, -1), EBADF, "fdatasync of nothing");
  if (EIO_HAVE_SYNCFS) {
    is_int(just(on_fd(EIO_SYNCFS, fd)), 0, "syncfs");
    fails(on_fd(EIO_SYNCFS, -1), EBADF, "syncfs of nothing");
  } else {
    fails(on_fd(EIO_SYNCFS, fd), ENOSYS, "syncfs is absent");
    skip(1, "no syncfs()");
  }
  req = on_data(EIO_SYNC_FILE_RANGE, fd, 0, NULL, 0);
  req.arg1 = 7;
  is_int(just(req), 0, "sync_file_range");
  req.size = (uint64_t)large;
  is_large(req, large, 0, "sync_file_range of 5 GiB");
  req.offs = large;
  req.size = 0;
  is_large(req, large, 0, "sync_file_range beyond 4 GiB");
  req.offs = 0;
  req.fd = -1;
  fails(req, EBADF, "sync_file_range of nothing");
  req.fd = fd;
  req.arg1 = 99;
  if (EIO_HAVE_SYNC_FILE_RANGE)
    fails(req, EINVAL, "sync_file_range with unknown flags");
  else
    is_int(just(req), 0, "fdatasync instead has no flags");

  is_int(just(on_path(EIO_PATHSYNC, NULL, "file")), 0, "pathsync of a file");
  is_int(just(on_path(EIO_PATHSYNC, wd, ".")), 0, "pathsync of a directory");
  fails(on_path(EIO_PATHSYNC, NULL, "missing"), ENOENT, "pathsync of nothing");
  fails(on_path(EIO_PATHSYNC, NULL, "/dev/null"), EINVAL, "pathsync of a device");
  eio_wd_unref(wd);
  close(fds[0]);
  close(fds[1]);
  close(fd);
}

static eio_req region(enum eio_op op, void *at, size_t size, int flags)
{
  eio_req req = on_data(op, -1, 0, at, size);

  req.arg1 = flags;
  return req;
}

static bool resident(char *page)
{
  unsigned char in_core = 0;

  return mincore(page, 1, &in_core) == 0 && in_core & 1;
}

static void test_memory(void)
{
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  int fd = open_for_test("mapped", O_RDWR | O_CREAT);
  char *map, *anon;

  if (ftruncate(fd, (off_t)(4 * page)) < 0)
    bail_out("ftruncate");
  map = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  anon = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED || anon == MAP_FAILED)
    bail_out("mmap");

  if (EIO_HAVE_MSYNC) {
    is_int(just(region(EIO_MSYNC, map, 4 * page, MS_SYNC)), 0, "msync");
    is_int(just(region(EIO_MSYNC, map + page + 1, 10, MS_ASYNC)), 0, "msync of less than a page");
    fails(region(EIO_MSYNC, map, page, 999), EINVAL, "msync with unknown flags");
  } else {
    fails(region(EIO_MSYNC, map, page, MS_SYNC), ENOSYS, "msync is absent");
    skip(2, "no msync()");
  }

  ok(!resident(anon), "memory that was never used is not there");
  is_int(just(region(EIO_MTOUCH, anon + page - 1, 2, EIO_MT_MODIFY)), 0, "mtouch for writing");
  ok(resident(anon) && resident(anon + page), "gets the pages that it touches");
  ok(!resident(anon + 2 * page), "and no others");
  strcpy(map + page, "kept");
  is_int(just(region(EIO_MTOUCH, map, 4 * page, 0)), 0, "mtouch for reading");
  is_int(just(region(EIO_MTOUCH, map, 4 * page, EIO_MT_MODIFY)), 0, "mtouch of a file, for writing");
  is_str(map + page, "kept", "changes nothing");
  is_int(just(region(EIO_MTOUCH, map, 0, EIO_MT_MODIFY)), 0, "mtouch of nothing");

  if (SANITIZED)
    skip(2, "sanitizers lock no memory");
  else if (EIO_HAVE_MLOCK) {
    is_int(just(region(EIO_MLOCK, map + 1, 10, 0)), 0, "mlock");
    munlock(map, page);
    munmap(anon + 2 * page, page);
    fails(region(EIO_MLOCK, anon + 2 * page, page, 0), ENOMEM, "mlock of what is not there");
  } else {
    fails(region(EIO_MLOCK, map, 10, 0), ENOSYS, "mlock is absent");
    skip(1, "no mlock()");
  }
  munmap(map, 4 * page);
  munmap(anon, 4 * page);
  close(fd);
}

/* What would end the process, done by hand, is an error. */
static void test_mtouch_safe(void)
{
#ifdef MADV_POPULATE_READ
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  int fd = open_for_test("mapped", O_RDWR | O_CREAT | O_TRUNC);
  char *map;

  if (ftruncate(fd, (off_t)page) < 0)
    bail_out("ftruncate");
  map = mmap(NULL, 2 * page, PROT_READ, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED)
    bail_out("mmap");
  if (madvise(map, 0, MADV_POPULATE_READ) < 0)
    skip(2, "the kernel is too old");
  else {
    fails(region(EIO_MTOUCH, map, 2 * page, 0), EFAULT, "mtouch beyond the end of the file");
    fails(region(EIO_MTOUCH, map, page, EIO_MT_MODIFY), EINVAL, "mtouch for writing of read-only memory");
  }
  munmap(map, 2 * page);
  close(fd);
#else
  skip(2, "not here");
#endif
}

static void test_mincore(void)
{
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char *map = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  eio_req req;

  if (map == MAP_FAILED)
    bail_out("mmap");
  req = region(EIO_MINCORE, map + 1, page, 0);
  if (!EIO_HAVE_MINCORE) {
    fails(req, ENOSYS, "mincore is absent");
    return;
  }
  memset(map, 1, 4 * page);
  is_int(run(&req), 2, "mincore of a part of two pages");
  ok(req.pages && req.pages[0] == 1 && req.pages[1] == 1 && req.pages[2] == 0, "which are there");
  eio_req_finish(&req);
  ok(!req.pages, "the result goes with the request");
  is_int(just(region(EIO_MINCORE, map, 0, 0)), 0, "mincore of nothing");
  munmap(map + 2 * page, page);
  fails(region(EIO_MINCORE, map, 4 * page, 0), ENOMEM, "mincore with a hole");
  munmap(map, 2 * page);
  munmap(map + 3 * page, page);
}

static void test_mlockall(void)
{
  eio_req req = request(EIO_MLOCKALL);

  req.arg1 = 999;
  if (SANITIZED)
    skip(1, "sanitizers lock no memory");
  else if (EIO_HAVE_MLOCKALL)
    fails(req, EINVAL, "mlockall with unknown flags");
  else
    fails(req, ENOSYS, "mlockall is absent");
}

static eio_req control(enum eio_op op, int fd, uint32_t command, int64_t number, void *buf)
{
  eio_req req = on_data(op, fd, number, buf, 0);

  req.arg1 = (int32_t)command;
  return req;
}

static void test_control(void)
{
  int fd = open_for_test("file", O_RDWR), fds[2], waiting = 0;
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

  is_int(just(control(EIO_FCNTL, fd, F_GETFD, 0, NULL)), FD_CLOEXEC, "fcntl with a result");
  is_int(just(control(EIO_FCNTL, fd, F_SETFD, 0, NULL)), 0, "fcntl with a number");
  is_int(fcntl(fd, F_GETFD), 0, "has its effect");
  is_int(just(control(EIO_FCNTL, fd, F_GETLK, 0, &lock)), 0, "fcntl with a buffer");
  is_int(lock.l_type, F_UNLCK, "changes it");
  fails(control(EIO_FCNTL, fd, 99999, 0, NULL), EINVAL, "fcntl with an unknown command");
  fails(control(EIO_FCNTL, -1, F_GETFD, 0, NULL), EBADF, "fcntl of nothing");
  if (pipe(fds) < 0 || write(fds[1], "12345", 5) != 5)
    bail_out("pipe");
  is_int(just(control(EIO_IOCTL, fds[0], FIONREAD, 0, &waiting)), 0, "ioctl with a buffer");
  is_int(waiting, 5, "changes it");
  /* one that names no size: valgrind would look for so much memory at NULL */
  fails(control(EIO_IOCTL, fds[0], 0x8000ffff, 0, NULL), ENOTTY, "ioctl with a large number");
  fails(control(EIO_IOCTL, -1, FIONREAD, 0, &waiting), EBADF, "ioctl of nothing");
  close(fds[0]);
  close(fds[1]);
  close(fd);
}

static double now(void)
{
  struct timespec ts;

  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static eio_req being_busy(double seconds)
{
  eio_req req = request(EIO_BUSY);

  req.nv1 = seconds;
  return req;
}

static void wake_up(int number)
{
  (void)number;
}

static void test_misc(void)
{
  struct sigaction action = { .sa_handler = wake_up };
  double begin = now();

  is_int(just(request(EIO_NOP)), 0, "nop");
  is_int(just(being_busy(0)), 0, "busy for no time");
  is_int(just(being_busy(-5)), 0, "busy for less");
  is_int(just(being_busy(0.05)), 0, "busy");
  ok(now() - begin >= 0.05, "takes its time");
  alarm(0);
  sigaction(SIGALRM, &action, NULL);
  ualarm(10000, 10000);
  begin = now();
  is_int(just(being_busy(0.1)), 0, "busy with signals");
  ok(now() - begin >= 0.1, "is not cut short");
  ualarm(0, 0);
  signal(SIGALRM, SIG_DFL);
  alarm(60);
}

int main(void)
{
  scratch_begin();
  put("file", "0123456789");
  test_sync();
  test_memory();
  test_mtouch_safe();
  test_mincore();
  test_mlockall();
  test_control();
  test_misc();
  return scratch_end(0);
}
