/* ops_xfer.c - sendfile between every two kinds of descriptor */
#include "ops.h"

#include <poll.h>
#include <sys/socket.h>

static eio_req sending(int out, int in, int64_t offs, uint64_t size)
{
  eio_req req = on_data(EIO_SENDFILE, out, offs, NULL, size);

  req.arg1 = in;
  return req;
}

static void test_files(void)
{
  int in = open_for_test("in", O_RDONLY), out = open_for_test("out", O_RDWR | O_CREAT);

  is_int(just(sending(out, in, 0, 5)), 5, "sendfile from file to file");
  is_int(just(sending(out, in, 8, 100)), 2, "sendfile to the end");
  is_str(get("out"), "0123489", "writes at the position of the output");
  is_int(lseek(in, 0, SEEK_CUR), 0, "and leaves that of the input alone");
  is_int(just(sending(out, in, 10, 100)), 0, "sendfile at the end");
  is_int(just(sending(out, in, 1000, 100)), 0, "sendfile beyond the end");
  is_int(just(sending(out, in, 0, 0)), 0, "sendfile of nothing");
  fails(sending(out, in, -1, 5), EINVAL, "sendfile from a negative offset");
  fails(sending(-1, in, 0, 5), EBADF, "sendfile to nothing");
  fails(sending(out, -1, 0, 5), EBADF, "sendfile from nothing");
  fails(sending(in, out, 0, 5), EBADF, "sendfile the wrong way round");
  close(out);

  out = open_for_test("out", O_WRONLY | O_APPEND);
  is_int(just(sending(out, in, 0, 3)), 3, "sendfile to a file opened for appending");
  is_str(get("out"), "0123489012", "appends");
  close(in);

  in = open_for_test(".", O_RDONLY);
  fails(sending(out, in, 0, 3), EISDIR, "sendfile from a directory");
  close(in);
  if ((in = open("/proc/sys/kernel/ostype", O_RDONLY)) >= 0) {
    if (ftruncate(out, 0) < 0)
      bail_out("ftruncate");
    is_int(just(sending(out, in, 0, 100)), 6, "sendfile from /proc");
    is_str(get("out"), "Linux\n", "copies it");
    close(in);
  } else
    skip(2, "no /proc");
  close(out);
}

/* Each kind of input to each kind of output; the input has "0123456789". */
static int input(const char *kind)
{
  int fds[2];

  if (!strcmp(kind, "file"))
    return open_for_test("in", O_RDONLY);
  if ((*kind == 'p' ? pipe(fds) : socketpair(AF_UNIX, SOCK_STREAM, 0, (fds[0] = fds[1] = -1, fds))) < 0
      || write(fds[1], "0123456789", 10) != 10)
    bail_out("no %s", kind);
  close(fds[1]);
  return fds[0];
}

static int output(const char *kind, int *other)
{
  int fds[2];

  *other = -1;
  if (!strcmp(kind, "file"))
    return open_for_test("out", O_WRONLY | O_TRUNC);
  if (!strcmp(kind, "appending"))
    return open_for_test("out", O_WRONLY | O_TRUNC | O_APPEND);
  if (!strcmp(kind, "device"))
    return open_for_test("/dev/null", O_WRONLY);
  if ((*kind == 'p' ? pipe(fds) : socketpair(AF_UNIX, SOCK_STREAM, 0, fds)) < 0)
    bail_out("no %s", kind);
  *other = fds[0];
  return fds[1];
}

static void test_kinds(void)
{
  static const char *const inputs[] = { "file", "pipe", "socket" };
  static const char *const outputs[] = { "file", "appending", "device", "pipe", "socket" };

  for (int i = 0; i < 3; i++)
    for (int o = 0; o < 5; o++) {
      int other, in = input(inputs[i]), out = output(outputs[o], &other);
      const char *want = i == 0 ? "2345678" : "0123456", *got = want;
      char buf[16] = { 0 };

      is_int(just(sending(out, in, 2, 7)), 7, "sendfile from %s to %s", inputs[i], outputs[o]);
      if (other >= 0)
        got = read(other, buf, sizeof buf - 1) < 0 ? NULL : buf;
      else if (o < 2)
        got = get("out");
      is_str(got, want, "arrives");
      close(in);
      close(out);
      close(other);
    }
}

static void *drain(void *arg)
{
  int fd = (int)(intptr_t)arg;
  static char buf[10000];
  intptr_t total = 0;
  ssize_t n;

  while ((n = read(fd, buf, sizeof buf)) > 0)
    total += n;
  return (void *)total;
}

static void test_nonblocking(void)
{
  int fds[2], in = open_for_test("big", O_RDONLY);
  int64_t sent;
  void *total;
  pthread_t thread;

  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
    bail_out("socketpair");
  pthread_create(&thread, NULL, drain, (void *)(intptr_t)fds[0]);
  is_int(just(sending(fds[1], in, 0, 3000000)), 3000000, "sendfile of much to a blocking socket");
  shutdown(fds[1], SHUT_WR);
  pthread_join(thread, &total);
  is_int((intptr_t)total, 3000000, "waits until all is written");
  close(fds[0]);
  close(fds[1]);

  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
    bail_out("socketpair");
  fcntl(fds[1], F_SETFL, O_NONBLOCK);
  sent = just(sending(fds[1], in, 0, 3000000));
  ok(sent > 0 && sent < 3000000, "to a nonblocking one it writes what it can");
  fails(sending(fds[1], in, 0, 3000000), EAGAIN, "and fails when that is nothing");
  close(fds[0]);
  signal(SIGPIPE, SIG_IGN);
  fails(sending(fds[1], in, 0, 3000000), EPIPE, "sendfile to a socket that was shut");
  close(fds[1]);
  close(in);
}

/* Nothing is lost ----------------------------------------------------------- */
/* Whatever an output does not take is still in an input that cannot be read again. */

enum { MUCH = 300000 };

/* An input with MUCH octets, numbered, that ends; written by a child. */
static int make_input(const char *kind)
{
  int fds[2], size = 4 * MUCH;
  pid_t pid;

  if (*kind == 'p' ? pipe(fds) : socketpair(AF_UNIX, *kind == 's' ? SOCK_STREAM : SOCK_SEQPACKET, 0, fds))
    bail_out("no %s", kind);
  if ((pid = fork()) < 0)
    bail_out("fork");
  if (pid == 0) {
    char *data = malloc(MUCH);

    close(fds[0]);
    for (int i = 0; i < MUCH; i++)
      data[i] = (char)(i / 1000);
    for (int i = 0; i < MUCH;) {
      ssize_t n = write(fds[1], data + i, *kind == 'd' ? MUCH / 10 : MUCH - (size_t)i);

      if (n < 0)
        _exit(1);
      i += (int)n;
    }
    _exit(0);
  }
  setsockopt(fds[0], SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  close(fds[1]);
  return fds[0];
}

/* Reads to the end; counts what does not follow on `at`. */
static int count_wrong(int fd, int *at)
{
  char buf[5000];
  int wrong = 0;
  ssize_t n;

  while ((n = read(fd, buf, sizeof buf)) > 0)
    for (ssize_t i = 0; i < n; i++, ++*at)
      wrong += buf[i] != (char)(*at / 1000);
  return wrong;
}

/* Full but for some octets, and not waiting. */
static int make_output(const char *kind, int *other)
{
  int out = output(kind, other);

  fcntl(out, F_SETFL, fcntl(out, F_GETFL) | O_NONBLOCK);
  fcntl(*other, F_SETFL, O_NONBLOCK);
  return out;
}

static void fill_output(int out)
{
  static char some[4096];

  while (write(out, some, sizeof some) > 0)
    ;
  while (write(out, some, 1) > 0)
    ;
}

static void empty(int fd)
{
  char buf[5000];

  while (read(fd, buf, sizeof buf) > 0)
    ;
}

static void test_conserved(const char *from, const char *to)
{
  int other, in = make_input(from), out = make_output(to, &other), at = 0, wrong = 0, refusals = 0;
  int64_t n, total = 0;

  fill_output(out);
  fails(sending(out, in, 0, MUCH), EAGAIN, "sendfile from %s to a full %s", from, to);
  empty(other);
  while ((n = just(sending(out, in, 0, MUCH))) != 0) {
    total += n > 0 ? n : 0;
    refusals += n < 0;
    if (n < 0 && errno != EAGAIN)
      bail_out("sendfile");
    wrong += count_wrong(other, &at);
  }
  is_int(total, MUCH, "as soon as there is room, all of it follows");
  ok(wrong == 0 && at == MUCH, "in order: %d, %d refusals", at, refusals);
  close(out);
  close(other);
  close(in);
  wait(NULL);
}

/* The input has what did not get into an output that fails. */
static void test_failing_output(const char *from, const char *to)
{
  int in = make_input(from), other, at = 0, out, wrong;
  struct rlimit limit = { 100000, 100000 };
  int64_t n = 0;

  if (*to == '/')
    out = open_for_test("/dev/full", O_WRONLY);
  else if (*to == 'b') {
    out = output("pipe", &other);
    close(other);
  } else {
    out = output("appending", &other);
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  for (int64_t m; (m = just(sending(out, in, 0, MUCH))) > 0;)
    n += m;
  ok(errno == ENOSPC || errno == EPIPE || errno == EFBIG, "sendfile from %s to %s fails after %jd octets", from, to, (intmax_t)n);
  at = (int)n;
  wrong = count_wrong(in, &at);
  ok(wrong == 0 && at == MUCH, "which are all that the input lost");
  close(out);
  close(in);
  wait(NULL);
}

static void failing_outputs(void)
{
  static const char *const outputs[] = { "/dev/full", "broken pipe", "file that may not grow" };

  signal(SIGXFSZ, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  for (int o = 0; o < 3; o++) {
    if (EIO_HAVE_TEE)
      test_failing_output("pipe", outputs[o]);
    else
      skip(2, "pipes cannot be looked into");
    test_failing_output("socket", outputs[o]);
  }
}

/* What was read from a terminal, say, cannot be looked at before: it is written in
 * any case, although the output has room for a part at a time. */
static void *read_late(void *arg)
{
  int fd = (int)(intptr_t)arg, at = 0, wrong = 0;
  struct pollfd poll_in = { .fd = fd, .events = POLLIN };

  while (at < MUCH) {
    poll(&poll_in, 1, -1);
    wrong += count_wrong(fd, &at);
  }
  return (void *)(intptr_t)wrong;
}

static void test_packets(void)
{
  int other, in = make_input("datagrams"), out = make_output("pipe", &other);
  pthread_t thread;
  int64_t n, total = 0;
  void *wrong;

#ifdef F_SETPIPE_SZ
  fcntl(out, F_SETPIPE_SZ, 4096);
#endif
  fill_output(out);
  fails(sending(out, in, 0, MUCH), EAGAIN, "sendfile from packets to a full pipe");
  empty(other);
  pthread_create(&thread, NULL, read_late, (void *)(intptr_t)other);
  while ((n = just(sending(out, in, 0, MUCH))) != 0)
    total += n > 0 ? n : 0;
  pthread_join(thread, &wrong);
  is_int(total, MUCH, "sends all of them");
  is_int((intptr_t)wrong, 0, "in order");
  close(in);
  close(out);
  close(other);
  wait(NULL);
}

static void test_full(void)
{
  int in = open_for_test("in", O_RDONLY), out = open("/dev/full", O_WRONLY);

  if (out < 0)
    skip(1, "no /dev/full");
  else
    fails(sending(out, in, 0, 10), ENOSPC, "sendfile to a full device");
  close(out);
  close(in);
}

int main(void)
{
  char *big = calloc(3, 1000000);

  scratch_begin();
  put("in", "0123456789");
  put_data("big", big, 3000000);
  free(big);
  test_files();
  test_kinds();
  test_nonblocking();
  for (int i = 0; i < 4; i++)
    if (i & 1 && !EIO_HAVE_TEE)
      skip(3, "pipes cannot be looked into");
    else
      test_conserved(i & 1 ? "pipe" : "socket", i & 2 ? "pipe" : "socket");
  in_child(failing_outputs);
  test_packets();
  test_full();
  return scratch_end(0);
}
