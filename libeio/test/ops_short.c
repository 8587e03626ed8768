/* ops_short.c - system calls that transfer less than they were asked to, and
 * that are interrupted: whole files arrive whole all the same, and single
 * transfers tell how much it was. The calls are replaced by ones here, which do
 * as much as a random number says. One more notes how much it was asked for. */
#include "ops.h"

#include <limits.h>
#include <sys/uio.h>
#if EIO_HAVE_SENDFILE_LINUX
# include <sys/sendfile.h>
#endif

static uint32_t seed = 1;
static int interruptions, shorts;
static enum { BY_RANGE, BY_SENDFILE, BY_READ } way;

static uint32_t some(uint32_t n)
{
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % n;
}

static bool interrupted(void)
{
  if (some(3))
    return false;
  interruptions++;
  errno = EINTR;
  return true;
}

static struct iovec part_of(void *buf, size_t size)
{
  size_t n = size < 2 ? size : 1 + some(size < 5000 ? (uint32_t)size : 5000);

  shorts += n < size;
  return (struct iovec){ buf, n };
}

#define REPLACED __attribute__((visibility("default")))

REPLACED ssize_t read(int fd, void *buf, size_t size)
{
  struct iovec part = part_of(buf, size);

  return interrupted() ? -1 : readv(fd, &part, 1);
}

REPLACED ssize_t pread(int fd, void *buf, size_t size, off_t offs)
{
  struct iovec part = part_of(buf, size);

  return interrupted() ? -1 : preadv(fd, &part, 1, offs);
}

REPLACED ssize_t write(int fd, const void *buf, size_t size)
{
  struct iovec part = part_of((void *)(uintptr_t)buf, size);

  return interrupted() ? -1 : writev(fd, &part, 1);
}

REPLACED ssize_t pwrite(int fd, const void *buf, size_t size, off_t offs)
{
  struct iovec part = part_of((void *)(uintptr_t)buf, size);

  return interrupted() ? -1 : pwritev(fd, &part, 1, offs);
}

TAP_UNUSED static ssize_t transfer(int in, off_t from, int out, off_t to, size_t size)
{
  char buf[5000];
  struct iovec part = part_of(buf, size < sizeof buf ? size : sizeof buf);
  ssize_t n = preadv(in, &part, 1, from);

  part.iov_len = n > 0 ? (size_t)n : 0;
  if (n > 0 && (to < 0 ? writev(out, &part, 1) : pwritev(out, &part, 1, to)) != n)
    bail_out("cannot write");
  return n;
}

#if EIO_HAVE_COPY_FILE_RANGE
REPLACED ssize_t copy_file_range(int in, loff_t *from, int out, loff_t *to, size_t size, unsigned flags)
{
  (void)flags;
  errno = EXDEV;
  return way != BY_RANGE || interrupted() ? -1 : transfer(in, (off_t)*from, out, (off_t)*to, size);
}
#endif

#if EIO_HAVE_SENDFILE_LINUX
REPLACED ssize_t sendfile(int out, int in, off_t *offs, size_t size)
{
  ssize_t n;

  errno = EINVAL;
  if (way == BY_READ || interrupted())
    return -1;
  n = transfer(in, *offs, out, -1, size);
  if (n > 0)
    *offs += n;
  return n;
}
#endif

#if EIO_HAVE_READAHEAD
static size_t ahead;

REPLACED ssize_t readahead(int fd, loff_t offs, size_t size)
{
  (void)fd, (void)offs;
  ahead = size;
  return 0;
}

static void readahead_of_much(void)
{
  uint64_t all = UINT64_C(3) << 32;

  is_int(just(on_data(EIO_READAHEAD, 0, 0, NULL, all)), 0, "readahead of 12 GiB");
  ok(ahead == (all < SSIZE_MAX ? all : SSIZE_MAX), "asks for that, or for as much as an ssize_t can say");
}
#else
static void readahead_of_much(void) { }
#endif

static char big[300000];

static bool holds(const char *path, const char *data, size_t size)
{
  static char buf[sizeof big + 1];
  struct iovec all = { buf, sizeof buf };
  int fd = open_for_test(path, O_RDONLY);
  ssize_t n = preadv(fd, &all, 1, 0);

  close(fd);
  return n == (ssize_t)size && !memcmp(buf, data, size);
}

static void whole_files(void)
{
  eio_req req = on_path(EIO_LOAD, NULL, "big");

  is_int(run(&req), sizeof big, "load of a file");
  ok(!memcmp(req.buf, big, sizeof big), "has all of it");
  eio_req_finish(&req);
  req = on_path(EIO_SLURP, NULL, "big");
  req.offs = -70000;
  is_int(run(&req), 70000, "slurp of its end");
  ok(!memcmp(req.buf, big + sizeof big - 70000, 70000), "has that");
  eio_req_finish(&req);
  req = on_path(EIO_LOAD, NULL, "/proc/self/maps");
  ok(run(&req) > 100, "load of a file without a size");
  eio_req_finish(&req);
}

static void copies(const char *how)
{
  eio_req req;
  int fd;

  for (int existing = 0; existing < 2; existing++) {
    is_int(just(on_paths(EIO_COPY, NULL, "big", NULL, "dst")), 0, "copy by %s", how);
    ok(holds("dst", big, sizeof big), "arrives whole");
  }
  unlink("dst");
  req = on_data(EIO_SENDFILE, open_for_test("dst", O_WRONLY | O_CREAT), 1000, NULL, 200000);
  req.arg1 = fd = open_for_test("big", O_RDONLY);
  is_int(just(req), 200000, "sendfile by %s", how);
  ok(holds("dst", big + 1000, 200000), "arrives whole");
  close(fd);
  close(req.fd);
  unlink("dst");
}

/* The caller hears what was transferred, and only that was. */
static void single_transfers(void)
{
  static char buf[20000];
  int fd = open_for_test("big", O_RDWR);
  int wrong = 0;

  for (int i = 0; i < 200; i++) {
    int64_t offs = some(200000), n;

    memset(buf, '#', sizeof buf);
    n = just(on_data(EIO_READ, fd, offs, buf, sizeof buf));
    wrong += n <= 0 || memcmp(buf, big + offs, (size_t)n) || (n < (int)sizeof buf && buf[n] != '#' && big[offs + n] != '#');
    n = just(on_data(EIO_WRITE, fd, offs, memset(buf, i, sizeof buf), sizeof buf));
    wrong += n <= 0;
    if (n > 0)
      memset(big + offs, i, (size_t)n);
  }
  is_int(wrong, 0, "single transfers tell how much they did");
  ok(holds("big", big, sizeof big), "which is what is in the file");
  close(fd);
}

int main(void)
{
  int fd;
  struct iovec all = { big, sizeof big };

  scratch_begin();
  for (size_t i = 0; i < sizeof big; i++)
    big[i] = (char)(i * 2654435761u >> 20);
  fd = open_for_test("big", O_WRONLY | O_CREAT);
  if (pwritev(fd, &all, 1, 0) != (ssize_t)sizeof big)
    bail_out("big");
  close(fd);
  whole_files();
  copies("copy_file_range");
  way = BY_SENDFILE;
  copies("sendfile");
  way = BY_READ;
  copies("read and write");
  single_transfers();
  readahead_of_much();
  ok(shorts > 300, "%d calls did less", shorts);
  ok(interruptions > 300, "%d were interrupted", interruptions);
  return scratch_end(0);
}
