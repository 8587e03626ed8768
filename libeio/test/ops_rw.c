/* ops_rw.c - seek, read, write, readahead, slurp, load */
#include "ops.h"

#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>

#define GIB5 (INT64_C(5) << 30) /* cut to 32 bits it is 1 GiB */

static eio_req seeking(int fd, int64_t offs, int whence)
{
  eio_req req = on_fd(EIO_SEEK, fd);

  req.offs = offs;
  req.arg1 = whence;
  return req;
}

static void test_seek(int fd)
{
  int fds[2];

  is_int(just(seeking(fd, 3, SEEK_SET)), 3, "seek to");
  is_int(just(seeking(fd, 2, SEEK_CUR)), 5, "seek by");
  is_int(just(seeking(fd, -1, SEEK_END)), 9, "seek from the end");
  is_int(just(seeking(fd, 0, SEEK_SET)), 0, "seek to 0");
  is_large(seeking(fd, GIB5, SEEK_SET), GIB5, GIB5, "seek beyond 4 GiB");
  fails(seeking(fd, -1, SEEK_SET), EINVAL, "seek before the start");
  fails(seeking(fd, 0, 99), EINVAL, "seek with a wrong whence");
  fails(seeking(-1, 0, SEEK_SET), EBADF, "seek in nothing");
  if (pipe(fds) < 0)
    bail_out("pipe");
  fails(seeking(fds[0], 0, SEEK_SET), ESPIPE, "seek in a pipe");
  close(fds[0]);
  close(fds[1]);
  lseek(fd, 0, SEEK_SET);
}

static eio_req on_parts(enum eio_op op, int fd, int64_t offs, struct iovec *parts, uint64_t n, int flags)
{
  eio_req req = on_data(op, fd, offs, parts, n);

  req.arg1 = flags;
  return req;
}

static void test_parts(int in, int out)
{
  char a[8] = "", b[8] = "";
  struct iovec parts[] = { { a, 2 }, { NULL, 0 }, { b, 3 } };
  int fds[2];

  lseek(in, 0, SEEK_SET);
  lseek(out, 0, SEEK_SET);
  is_int(just(on_parts(EIO_READV, in, -1, parts, 3, 0)), 5, "readv at the position");
  ok(!strcmp(a, "01") && !strcmp(b, "234"), "fills all parts");
  is_int(just(on_parts(EIO_WRITEV, out, -1, parts, 3, 0)), 5, "writev at the position");
  is_str(get("out"), "01234", "writes all parts");
  is_int(lseek(in, 0, SEEK_CUR) + lseek(out, 0, SEEK_CUR), 10, "and both move it");
  is_int(just(on_parts(EIO_READV, in, -1, NULL, 0, 0)), 0, "readv of nothing");
  is_int(just(on_parts(EIO_WRITEV, out, -1, NULL, 0, 0)), 0, "writev of nothing");
  fails(on_parts(EIO_READV, in, -2, parts, 3, 0), EINVAL, "readv at a negative offset");
  fails(on_parts(EIO_WRITEV, out, -2, parts, 3, 0), EINVAL, "writev at a negative offset");
  fails(on_parts(EIO_READV, in, -1, parts, UINT64_MAX, 0), EINVAL, "readv of too many parts");
  fails(on_parts(EIO_WRITEV, out, -1, parts, UINT64_MAX, 0), EINVAL, "writev of too many parts");
  fails(on_parts(EIO_READV, -1, -1, parts, 3, 0), EBADF, "readv from nothing");
  fails(on_parts(EIO_WRITEV, in, -1, parts, 3, 0), EBADF, "writev to what is open for reading");
  if (pipe(fds) < 0)
    bail_out("pipe");
  close(fds[0]);
  fails(on_parts(EIO_WRITEV, fds[1], -1, parts, 3, 0), EPIPE, "writev to a pipe that nobody reads");
  close(fds[1]);
  if (!EIO_HAVE_PREADV) {
    fails(on_parts(EIO_READV, in, 1, parts, 3, 0), ENOSYS, "readv at an offset is absent");
    fails(on_parts(EIO_WRITEV, out, 1, parts, 3, 0), ENOSYS, "so is writev");
  } else {
    is_int(just(on_parts(EIO_READV, in, 8, parts, 3, 0)), 2, "readv at an offset, to the end");
    is_str(a, "89", "gives what is there");
    is_large(on_parts(EIO_READV, in, INT64_C(1) << 32, parts, 3, 0), INT64_C(1) << 32, 0, "readv beyond 4 GiB");
    is_int(just(on_parts(EIO_WRITEV, out, 4, parts, 3, 0)), 5, "writev at an offset");
    is_str(get("out"), "012389234", "writes there");
    is_int(lseek(in, 0, SEEK_CUR) + lseek(out, 0, SEEK_CUR), 10, "and no position moves");
  }
#if EIO_HAVE_PWRITEV2
  is_int(just(on_parts(EIO_WRITEV, out, 0, parts, 1, RWF_DSYNC)), 2, "writev with a flag");
  is_int(just(on_parts(EIO_READV, in, 3, parts, 1, RWF_HIPRI)), 2, "readv with one");
  fails(on_parts(EIO_READV, in, 3, parts, 1, 1 << 30), EOPNOTSUPP, "readv with one that is unknown");
#else
  fails(on_parts(EIO_WRITEV, out, 0, parts, 1, 2), ENOSYS, "flags are absent");
  fails(on_parts(EIO_READV, in, -1, parts, 1, 1), ENOSYS, "to read as well");
#endif
}

static void test_read(int fd)
{
  char buf[32] = { 0 };
  int fds[2];

  is_int(just(on_data(EIO_READ, fd, 4, buf, 3)), 3, "read at an offset");
  is_str(buf, "456", "gives what is there");
  is_int(lseek(fd, 0, SEEK_CUR), 0, "and leaves the position alone");
  is_int(just(on_data(EIO_READ, fd, -1, buf, 5)), 5, "read at the position");
  is_str(buf, "01234", "gives what is there");
  is_int(lseek(fd, 0, SEEK_CUR), 5, "and moves it");
  is_int(just(on_data(EIO_READ, fd, 8, buf, 32)), 2, "read to the end");
  is_int(just(on_data(EIO_READ, fd, 10, buf, 32)), 0, "read at the end");
  is_large(on_data(EIO_READ, fd, INT64_C(1) << 32, buf, 32), INT64_C(1) << 32, 0, "read beyond 4 GiB");
  is_int(just(on_data(EIO_READ, fd, 0, buf, 0)), 0, "read nothing");
  fails(on_data(EIO_READ, fd, -2, buf, 1), EINVAL, "read at a negative offset");
  fails(on_data(EIO_READ, -1, 0, buf, 1), EBADF, "read from nothing");
  if (pipe(fds) < 0)
    bail_out("pipe");
  fails(on_data(EIO_READ, fds[1], -1, buf, 1), EBADF, "read from a write end");
  fails(on_data(EIO_READ, fds[0], 0, buf, 1), ESPIPE, "read from a pipe at an offset");
  if (write(fds[1], "piped", 5) != 5)
    bail_out("write");
  is_int(just(on_data(EIO_READ, fds[0], -1, buf, 32)), 5, "a short read stays short");
  close(fds[0]);
  close(fds[1]);
  fd = open_for_test(".", O_RDONLY);
  fails(on_data(EIO_READ, fd, 0, buf, 1), EISDIR, "read from a directory");
  close(fd);
}

static void test_write(void)
{
  int fd = open_for_test("w", O_RDWR | O_CREAT), fds[2];
  char text[] = "hello";
  bool large;

  is_int(just(on_data(EIO_WRITE, fd, -1, text, 5)), 5, "write at the position");
  is_int(lseek(fd, 0, SEEK_CUR), 5, "moves it");
  is_int(just(on_data(EIO_WRITE, fd, 7, text, 2)), 2, "write at an offset");
  is_int(lseek(fd, 0, SEEK_CUR), 5, "does not");
  ok(!memcmp(get("w"), "hello\0\0he", 9), "it is all there");
  large = is_large(on_data(EIO_WRITE, fd, GIB5, text, 1), GIB5, 1, "write beyond 4 GiB");
  is_int(stat_of("w").st_size, large ? GIB5 + 1 : 9, "the file grows by that");
  is_int(just(on_data(EIO_WRITE, fd, 0, text, 0)), 0, "write nothing");
  fails(on_data(EIO_WRITE, fd, -2, text, 1), EINVAL, "write at a negative offset");
  close(fd);
  fd = open_for_test("w", O_RDONLY);
  fails(on_data(EIO_WRITE, fd, 0, text, 1), EBADF, "write to a file opened for reading");
  close(fd);
  put("a", "123");
  fd = open_for_test("a", O_WRONLY | O_APPEND);
  is_int(just(on_data(EIO_WRITE, fd, -1, text, 5)), 5, "write to a file opened for appending");
  is_str(get("a"), "123hello", "appends");
  close(fd);
  if (pipe(fds) < 0)
    bail_out("pipe");
  signal(SIGPIPE, SIG_IGN);
  close(fds[0]);
  fails(on_data(EIO_WRITE, fds[1], -1, text, 1), EPIPE, "write to a broken pipe");
  close(fds[1]);
  if ((fd = open("/dev/full", O_WRONLY)) >= 0) {
    fails(on_data(EIO_WRITE, fd, -1, text, 1), ENOSPC, "write to a full device");
    close(fd);
  } else
    skip(1, "no /dev/full");
}

/* More than one system call transfers. */
static void test_huge(void)
{
  uint64_t size = UINT64_C(0x80000000) + 4096;
  int fd = open_for_test("huge", O_RDWR | O_CREAT);
  char *memory = sizeof(size_t) < 8 ? MAP_FAILED
                                    : mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE,
                                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

  if (memory == MAP_FAILED || ftruncate(fd, (off_t)size) < 0 || pwrite(fd, "end", 3, (off_t)size - 3) != 3)
    skip(2, "no room for 2 GiB");
  else if (!getenv("EIO_TEST_HUGE"))
    skip(2, "moves 2 GiB: set EIO_TEST_HUGE");
  else {
    is_int(just(on_data(EIO_READ, fd, 0, memory, size)), (intmax_t)size, "read of more than 2 GiB");
    ok(!memcmp(memory + size - 3, "end", 3), "is all there");
  }
  if (memory != MAP_FAILED)
    munmap(memory, (size_t)size);
  close(fd);
  unlink("huge");
}

static void test_readahead(int fd)
{
  int fds[2];

  is_int(just(on_data(EIO_READAHEAD, fd, 0, NULL, 10)), 0, "readahead");
  is_int(just(on_data(EIO_READAHEAD, fd, 1000, NULL, UINT64_C(1) << 40)), 0, "readahead beyond the end");
  is_large(on_data(EIO_READAHEAD, fd, GIB5, NULL, 10), GIB5, 0, "readahead beyond 4 GiB");
  is_int(lseek(fd, 0, SEEK_CUR), 5, "leaves the position alone");
  fails(on_data(EIO_READAHEAD, -1, 0, NULL, 10), EBADF, "readahead of nothing");
  fails(on_data(EIO_READAHEAD, fd, 0, NULL, (uint64_t)-1), EINVAL, "readahead of -1 octets");
  if (pipe(fds) < 0)
    bail_out("pipe");
  ok(just(on_data(EIO_READAHEAD, fds[1], 0, NULL, 10)) == -1, "readahead of a write end");
  close(fds[0]);
  close(fds[1]);
}

static void is_slurp(const char *path, int64_t offs, uint64_t size, const char *want)
{
  eio_req req = on_path(EIO_SLURP, NULL, path);

  req.offs = offs;
  req.size = size;
  is_int(run(&req), (intmax_t)strlen(want), "slurp %s %jd %ju", path, (intmax_t)offs, (uintmax_t)size);
  is_str(req.result < 0 ? NULL : req.buf, want, "gives the right text, and a NUL");
  eio_req_finish(&req);
}

static eio_req slurping(const char *path, int64_t offs, uint64_t size)
{
  eio_req req = on_path(EIO_SLURP, NULL, path);

  req.offs = offs;
  req.size = size;
  return req;
}

static void test_slurp(void)
{
  eio_req req;
  eio_wd *wd;

  is_slurp("file", 0, 0, "0123456789");
  is_slurp("file", 3, 0, "3456789");
  is_slurp("file", 3, 2, "34");
  is_slurp("file", 3, 100, "3456789");
  is_slurp("file", -3, 0, "789");
  is_slurp("file", -3, 2, "78");
  is_slurp("file", -10, 0, "0123456789");
  is_slurp("file", 10, 0, "");
  is_slurp("file", 100, 0, "");
  is_slurp("file", 100, 5, "");
  is_slurp("empty", 0, 0, "");
  is_slurp("empty", 0, 5, "");
  is_slurp("empty", 5, 5, "");
  is_large(slurping("empty", INT64_C(1) << 32, 5), INT64_C(1) << 32, 0, "slurp beyond 4 GiB");
  fails(slurping("file", -11, 0), EINVAL, "slurp from before the start");
  fails(slurping("file", INT64_MIN, 0), EINVAL, "slurp from long before the start");
  fails(slurping("empty", -1, 0), EINVAL, "slurp from before the start of nothing");
  fails(slurping("missing", 0, 0), ENOENT, "slurp nothing");
  fails(slurping(".", 0, 0), EISDIR, "slurp a directory");

  wd = eio_wd_open(NULL, ".");
  mkdir("elsewhere", 0755);
  if (chdir("elsewhere") < 0)
    bail_out("chdir");
  req = on_path(EIO_LOAD, wd, "file");
  is_int(run(&req), 10, "load relative to a wd");
  is_str(req.buf, "0123456789", "gives the whole file");
  ok(req.flags & EIO_FREE_BUF, "in a buffer that goes with the request");
  eio_req_finish(&req);
  if (chdir("..") < 0)
    bail_out("chdir");
  eio_wd_unref(wd);
  fails(on_path(EIO_LOAD, NULL, "missing"), ENOENT, "load nothing");
  fails(on_path(EIO_LOAD, NULL, "."), EISDIR, "load a directory");
}

/* Files without a size, as in /proc, and pipes. */
static void test_slurp_sizeless(void)
{
  char *text = malloc(300001);
  struct stat st;
  eio_req req;
  pid_t pid;

  is_slurp("/proc/sys/kernel/ostype", 0, 0, "Linux\n");
  is_slurp("/proc/sys/kernel/ostype", 1, 0, "inux\n");
  is_slurp("/proc/sys/kernel/ostype", 1, 2, "in");
  is_slurp("/proc/sys/kernel/ostype", -3, 0, "ux\n");
  is_slurp("/proc/sys/kernel/ostype", -3, 1, "u");
  fails(slurping("/proc/sys/kernel/ostype", -100, 0), EINVAL, "slurp from before its start");
  is_large(slurping("/proc/sys/kernel/ostype", INT64_C(1) << 32, 0), INT64_C(1) << 32, 0, "slurp beyond 4 GiB");
  if (stat("/sys/kernel/fscaps", &st) == 0 && st.st_size > 100) {
    is_slurp("/sys/kernel/fscaps", -2, 0, "1\n");
    is_slurp("/sys/kernel/fscaps", -1, 5, "\n");
    fails(slurping("/sys/kernel/fscaps", -100, 0), EINVAL, "slurp from before the start of a short file");
  } else
    skip(5, "no such file here");
  req = on_path(EIO_LOAD, NULL, "/proc/self/maps");
  ok(run(&req) > 100, "load from /proc");
  is_int(req.result, (intmax_t)strlen(req.buf), "ends with a NUL");
  eio_req_finish(&req);

  memset(text, 'x', 300000);
  if (mkfifo("fifo", 0600) < 0 || (pid = fork()) < 0)
    bail_out("no writer");
  if (pid == 0) {
    int fd = open("fifo", O_WRONLY);

    for (int i = 0; i < 30; i++)
      if (write(fd, text, 10000) != 10000)
        _exit(1);
    _exit(0);
  }
  req = on_path(EIO_LOAD, NULL, "fifo");
  is_int(run(&req), 300000, "load of a pipe reads until its end");
  ok(!memcmp(req.buf, text, 300000), "and gets all of it");
  eio_req_finish(&req);
  waitpid(pid, NULL, 0);
  free(text);
}

/* Signals do not end a request. The handler counts its calls: the third lets
 * what waits go on, the fifth lets it end, and after a minute it gives up. */
static volatile sig_atomic_t ticks;
static int pipe_fds[2], fifo_fd = -1;

static void tick_pipe(int number)
{
  (void)number;
  if (++ticks == 6000)
    _exit(3);
  if (ticks == 3)
    ticks += write(pipe_fds[1], "piped", 5) != 5;
}

static void tick_fifo(int number)
{
  (void)number;
  if (++ticks == 6000)
    _exit(3);
  if (ticks == 3)
    fifo_fd = open("fifo", O_RDWR);
  if (ticks == 4)
    ticks -= write(fifo_fd, "named", 5) != 5;
  if (ticks == 5)
    close(fifo_fd);
}

static void every_10_ms(void (*handler)(int))
{
  struct itimerval on = { { 0, 10000 }, { 0, 10000 } }, off = { { 0, 0 }, { 60, 0 } };
  struct sigaction action = { .sa_handler = handler ? handler : SIG_DFL };

  ticks = 0;
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, handler ? &on : &off, NULL);
}

static void test_interrupted(void)
{
  char buf[8] = { 0 };
  eio_req req;

  if (SANITIZED) { /* handlers run late there, or, while open() waits, never */
    skip(4, "sanitizers defer signals");
    return;
  }
  if (pipe(pipe_fds) < 0)
    bail_out("pipe");
  every_10_ms(tick_pipe);
  is_int(just(on_data(EIO_READ, pipe_fds[0], -1, buf, 8)), 5, "read goes on after signals");
  every_10_ms(NULL);
  is_str(buf, "piped", "and reads what there is");
  close(pipe_fds[0]);
  close(pipe_fds[1]);

  req = on_path(EIO_LOAD, NULL, "fifo");
  every_10_ms(tick_fifo);
  is_int(run(&req), 5, "open and read to the end go on after signals");
  every_10_ms(NULL);
  is_str(req.buf, "named", "and read what there is");
  eio_req_finish(&req);
}

int main(void)
{
  int fd, in, out;

  scratch_begin();
  put("file", "0123456789");
  put("empty", "");
  fd = open_for_test("file", O_RDWR);
  test_seek(fd);
  test_read(fd);
  in = open_for_test("file", O_RDONLY);
  out = open_for_test("out", O_RDWR | O_CREAT);
  test_parts(in, out);
  close(in);
  close(out);
  test_write();
  test_huge();
  test_readahead(fd);
  close(fd);
  test_slurp();
  test_slurp_sizeless();
  test_interrupted();
  return scratch_end(0);
}
