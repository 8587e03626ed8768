/* ops_xfer.c - sendfile between every two kinds of descriptor */
#include "ops.h"

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
  test_full();
  return scratch_end(0);
}
