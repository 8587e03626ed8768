/* ops.h - for tests of single operations: requests on the stack, executed in
 * place; a scratch directory to be in; and a look at what was left behind. */
#ifndef OPS_H
#define OPS_H

#include "../eio_int.h"
#include "tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined __has_include
# if __has_include(<valgrind/valgrind.h>)
#  include <valgrind/valgrind.h>
# endif
#endif
#ifndef VALGRIND_CLO_CHANGE
# define VALGRIND_CLO_CHANGE(option) ((void)0)
#endif

/* Sanitizers bring an allocator of their own, and lock no memory. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
# define SANITIZED 1
#elif defined __has_feature
# if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#  define SANITIZED 1
# endif
#endif
#ifndef SANITIZED
# define SANITIZED 0
#endif

/* valgrind runs one thread at a time, with an allocator and calls of its own. */
TAP_UNUSED static bool under_valgrind(void)
{
  const char *preloaded = getenv("LD_PRELOAD");

  return preloaded && strstr(preloaded, "vgpreload_");
}

/* In a child of a fork while other threads are busy: what only their registers
 * knew is lost there, and nobody's fault. */
TAP_UNUSED static void forget_threads(void)
{
  VALGRIND_CLO_CHANGE("--leak-check=no");
}

/* Requests ---------------------------------------------------------------- */

TAP_UNUSED static eio_req request(enum eio_op op)
{
  eio_req req;

  eio_req_init(&req, op);
  return req;
}

TAP_UNUSED static eio_req on_fd(enum eio_op op, int fd)
{
  eio_req req = request(op);

  req.fd = fd;
  return req;
}

TAP_UNUSED static eio_req on_path(enum eio_op op, eio_wd *wd, const char *path)
{
  eio_req req = request(op);

  req.wd = wd;
  req.path = (char *)(uintptr_t)path;
  return req;
}

TAP_UNUSED static eio_req on_paths(enum eio_op op, eio_wd *wd, const char *path, eio_wd *wd2,
                                   const char *path2)
{
  eio_req req = on_path(op, wd, path);

  req.wd2 = wd2;
  req.path2 = (char *)(uintptr_t)path2;
  return req;
}

TAP_UNUSED static eio_req on_data(enum eio_op op, int fd, int64_t offs, void *buf, uint64_t size)
{
  eio_req req = on_fd(op, fd);

  req.offs = offs;
  req.buf = buf;
  req.size = size;
  return req;
}

TAP_UNUSED static int64_t run(eio_req *req)
{
  eio_execute(req);
  return req->result;
}

/* Executes, frees what it left, and keeps only the result. */
TAP_UNUSED static int64_t just(eio_req req)
{
  eio_execute(&req);
  eio_req_finish(&req);
  errno = req.errorno;
  return req.result;
}

/* Passes if the request fails with that error. */
#define fails(req, error, ...) tap_fails(__FILE__, __LINE__, (req), (error), __VA_ARGS__)
__attribute__((format(printf, 5, 6))) TAP_UNUSED static bool
tap_fails(const char *file, int line, eio_req req, int error, const char *format, ...)
{
  va_list args;
  bool passed;

  eio_execute(&req);
  passed = req.result == -1 && req.errorno == error;
  va_start(args, format);
  tap_line(file, line, passed, format, args);
  va_end(args);
  if (!passed)
    printf("#   result %jd, errno %s, expected %s\n", (intmax_t)req.result,
           strerror(req.errorno), strerror(error));
  eio_req_finish(&req);
  return passed;
}

/* A request about offset or length n, which gives `want`, unless an off_t has 32
 * bits and cannot be n: then it fails, and cuts nothing off. Returns whether it can. */
TAP_UNUSED static bool is_large(eio_req req, int64_t n, int64_t want, const char *name)
{
  if ((off_t)n != n) {
    fails(req, EFBIG, "%s: no off_t is that large", name);
    return false;
  }
  is_int(just(req), want, "%s", name);
  return true;
}

/* Scratch directory ------------------------------------------------------- */

static char scratch_path[4096];
static int scratch_fds;

TAP_UNUSED static int open_fds(void)
{
  DIR *dir = opendir("/proc/self/fd");
  int n = 0;

  if (!dir)
    return -1;
  while (readdir(dir))
    n++;
  closedir(dir);
  return n;
}

static inline int scratch_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void)st, (void)ftw;
  if (type == FTW_DNR)
    chmod(path, 0700);
  return remove(path), 0;
}

/* The test changes into a new directory: below TMPDIR if that is set; else one
 * in memory may be had, for tests with thousands of files. */
static inline void scratch_make(bool in_memory)
{
  const char *tmp = getenv("TMPDIR");

  tap_begin();
  if (!tmp && in_memory && access("/dev/shm", W_OK) == 0)
    tmp = "/dev/shm";
  umask(022);
  snprintf(scratch_path, sizeof scratch_path, "%s/eio-test-XXXXXX", tmp ? tmp : "/tmp");
  if (!mkdtemp(scratch_path) || chdir(scratch_path) < 0
      || !getcwd(scratch_path, sizeof scratch_path))
    bail_out("no scratch directory %s", scratch_path);
  scratch_fds = open_fds();
}

TAP_UNUSED static void scratch_begin(void)
{
  scratch_make(false);
}

TAP_UNUSED static void scratch_begin_in_memory(void)
{
  scratch_make(true);
}

/* Removes it, and checks that no descriptor was left open, but for `kept`
 * ones; then as tap_end(). */
TAP_UNUSED static int scratch_end(int kept)
{
  if (scratch_fds >= 0)
    is_int(open_fds(), scratch_fds + kept, "no descriptor is left open");
  if (chdir("/") == 0)
    nftw(scratch_path, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
  return tap_end();
}

TAP_UNUSED static void put_data(const char *path, const void *data, size_t size)
{
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

  if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd) < 0)
    bail_out("cannot write %s", path);
}

TAP_UNUSED static void put(const char *path, const char *text)
{
  put_data(path, text, strlen(text));
}

/* The contents as a string of at most 64 KiB, until the next call. */
TAP_UNUSED static const char *get(const char *path)
{
  static char buf[65536];
  int fd = open(path, O_RDONLY);
  ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof buf - 1);

  if (fd >= 0)
    close(fd);
  if (n < 0)
    return NULL;
  buf[n] = 0;
  return buf;
}

TAP_UNUSED static bool exists(const char *path)
{
  struct stat st;

  return lstat(path, &st) == 0;
}

TAP_UNUSED static struct stat stat_of(const char *path)
{
  struct stat st;

  if (lstat(path, &st) < 0)
    bail_out("cannot stat %s", path);
  return st;
}

TAP_UNUSED static int open_for_test(const char *path, int flags)
{
  int fd = open(path, flags | O_CLOEXEC, 0644);

  if (fd < 0)
    bail_out("cannot open %s", path);
  return fd;
}

/* Children ---------------------------------------------------------------- */

#ifdef EIO_COVERAGE
void __gcov_dump(void);
#endif

/* Runs checks in a child (that may change its user, limits and so on), whose
 * lines become ours. The child's checks count on from ours. */
TAP_UNUSED static void in_child(void (*checks)(void))
{
  int status, results[2], pipe_fds[2];
  pid_t pid;

  fflush(stdout);
  if (pipe(pipe_fds) < 0 || (pid = fork()) < 0)
    bail_out("no child");
  if (pid == 0) {
    checks();
    fflush(stdout);
    results[0] = tap_count;
    results[1] = tap_failed;
#ifdef EIO_COVERAGE
    if (seteuid(0) == 0 || getuid())
      __gcov_dump();
#endif
    _exit(write(pipe_fds[1], results, sizeof results) != sizeof results);
  }
  close(pipe_fds[1]);
  if (waitpid(pid, &status, 0) < 0 || status
      || read(pipe_fds[0], results, sizeof results) != sizeof results)
    ok(false, "child ends normally (status %d)", status);
  else {
    tap_count = results[0];
    tap_failed = results[1];
  }
  close(pipe_fds[0]);
}

/* In a child: root becomes nobody. */
TAP_UNUSED static void drop_root(void)
{
  if (geteuid() == 0 && (setegid(65534) < 0 || seteuid(65534) < 0))
    bail_out("cannot drop privileges");
}

#endif
