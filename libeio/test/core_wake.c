/* core_wake.c - the wakeup descriptor by itself: an eventfd, and the pipe that
 * takes its place where there is none. */
#include "core.h"

static struct eio_wake wake;
static int *const fds = wake.fd;

static bool readable(int fd)
{
  struct pollfd pfd = { .fd = fd, .events = POLLIN };

  return poll(&pfd, 1, 0) == 1 && pfd.revents & POLLIN;
}

static bool is_open(int fd)
{
  return fcntl(fd, F_GETFD) >= 0;
}

static void open_it(void)
{
  if (eio__wake_open(&wake, false) < 0)
    bail_out("no descriptor");
}

static void test_open(bool is_pipe)
{
  open_it();
  check((fds[0] != fds[1]) == is_pipe && fds[0] >= 0 && fds[1] >= 0, "it is %s", is_pipe ? "a pipe" : "an eventfd");
  for (int i = 0; i < 2; i++)
    check(fcntl(fds[i], F_GETFD) & FD_CLOEXEC && fcntl(fds[i], F_GETFL) & O_NONBLOCK,
          "close-on-exec and nonblocking");
  check(!readable(fds[0]), "silent at first");
  eio__wake_set(&wake);
  check(readable(fds[0]), "readable when set");
  for (int i = 0; i < 100000; i++)
    eio__wake_set(&wake);
  check(readable(fds[0]), "it is set as often as one likes");
  eio__wake_clear(&wake);
  check(!readable(fds[0]), "and cleared at once");
  eio__wake_set(&wake);
  check(readable(fds[0]), "and set again");
}

static void test_close(void)
{
  int old[2] = { fds[0], fds[1] };

  eio__wake_close(&wake);
  check(fds[0] == -1 && fds[1] == -1 && !is_open(old[0]) && !is_open(old[1]), "closed");
}

static void test_reopen(void)
{
  int old[2], copy, before = open_fds();
  struct eio_wake was;

  open_it();
  was = wake;
  old[0] = fds[0];
  old[1] = fds[1];
  copy = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
  eio__wake_set(&wake);
  eio__wake_reopen(&wake);
  check(fds[0] == old[0] && fds[1] == old[1], "reopened under the same numbers");
  check(fcntl(fds[0], F_GETFD) & FD_CLOEXEC && fcntl(fds[1], F_GETFD) & FD_CLOEXEC, "close-on-exec");
  check(readable(copy) && !readable(fds[0]), "it is another one");
  was.fd[0] = was.fd[1] = copy;
  eio__wake_clear(&was);
  eio__wake_set(&wake);
  check(readable(fds[0]) && !readable(copy), "and not connected to the old one");
  close(copy);
  test_close();
  check_int(open_fds(), before, "nothing else is left open");
}

static void repair(void)
{
  eio__wake_repair(&wake);
}

static void reopen(void)
{
  eio__wake_reopen(&wake);
}

/* One side has been closed, perhaps by a program that closes all that is open, or
 * its number belongs to something else by now. */
static void test_mend(void (*mend)(void))
{
  struct stat st, null;
  int old[2], before = open_fds();

  for (int side = 0; side < 2; side++)
    for (int taken = 0; taken < 2; taken++) {
      open_it();
      old[0] = fds[0];
      old[1] = fds[1];
      mend();
      check(fds[0] == old[0] && fds[1] == old[1], "what is intact keeps its numbers");
      close(fds[side]);
      if (taken && open("/dev/null", O_RDWR | O_CLOEXEC) != old[side])
        bail_out("not the lowest number");
      mend();
      eio__wake_set(&wake);
      check(readable(fds[0]), "what is not is replaced");
      fstat(old[side], &st);
      stat("/dev/null", &null);
      if (taken)
        check(fds[side] != old[side] && st.st_rdev == null.st_rdev && st.st_ino == null.st_ino,
              "what has its number is left alone");
      for (int i = 0; i < 2; i++)
        if (old[i] != fds[0] && old[i] != fds[1])
          close(old[i]);
      test_close();
    }
  check_int(open_fds(), before, "nothing else is left open");
}

/* Another file has the number of one side, or both. */
static void test_foreign(void)
{
  for (int side = 0; side < 2; side++) {
    int pipe[2], before = open_fds(), number;

    if (eio_p_pipe(pipe) < 0)
      bail_out("no pipe");
    open_it();
    number = fds[side];
    check(eio__wake_is_intact(&wake), "intact");
    dup2(pipe[!side ? 0 : 1], number);
    check(!eio__wake_is_intact(&wake), "not so when side %d is another file", side);
    if (write(pipe[1], "x", 1) != 1)
      bail_out("pipe");
    eio__wake_clear(&wake); /* would wait for more, as that one blocks */
    eio__wake_set(&wake);
    eio__wake_close(&wake);
    check(is_open(number), "which is not closed");
    close(number);
    close(pipe[1]);
    check(read(pipe[0], (char[9]){ 0 }, 9) == 1, "nor read, nor written to");
    close(pipe[0]);
    check_int(open_fds(), before, "nothing is left open");
  }
}

/* No other descriptor can be had. */
static void without_descriptors(void)
{
  struct rlimit none = { 0, 0 };
  struct eio_wake fresh = { .fd = { 1, 1 } };
  int old[2];

  open_it();
  old[0] = fds[0];
  old[1] = fds[1];
  setrlimit(RLIMIT_NOFILE, &none);
  check(eio__wake_open(&fresh, false) == -1 && fresh.fd[0] == -1 && fresh.fd[1] == -1, "none can be had");
  eio__wake_repair(&wake);
  check(fds[0] == old[0] && fds[1] == old[1] && is_open(fds[0]) && is_open(fds[1]), "it is kept");
  eio__wake_reopen(&wake);
  check(!is_open(old[0]) && !is_open(old[1]), "but not shared with a parent");
}

static void all(bool is_pipe)
{
  test_open(is_pipe);
  test_close();
  test_reopen();
  test_mend(repair);
  test_mend(reopen);
  test_foreign();
  if (under_valgrind())
    skip(1, "valgrind counts descriptors by a limit of its own");
  else
    in_child(without_descriptors);
}

static void with_a_pipe(void)
{
  engine = "pipe";
#ifdef SYS_eventfd2
  if (!refuse_calls(SYS_eventfd2, SYS_eventfd2, ENOSYS))
    return skip(1, "needs seccomp");
#endif
  all(true);
}

int main(void)
{
  tap_begin();
  engine = "eventfd";
  if (EIO_HAVE_EVENTFD)
    all(false);
  in_child(with_a_pipe);
  return tap_end();
}
