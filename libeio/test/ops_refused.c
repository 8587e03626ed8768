/* ops_refused.c - system calls that the kernel refuses, or lets fail: what is
 * done instead, and what is left behind. A seccomp filter plays the kernel: it
 * holds for the thread that asks for it. */
#include "ops.h"

#if defined __linux__ && defined __has_include
# if __has_include(<linux/seccomp.h>)
#  define SECCOMP 1
# endif
#endif

#ifndef SECCOMP

int main(void)
{
  return tap_skip_all("needs seccomp");
}

#else

# include <linux/filter.h>
# include <linux/seccomp.h>
# include <sched.h>
# include <stddef.h>
# include <sys/mman.h>
# include <sys/mount.h>
# include <sys/prctl.h>
# include <sys/syscall.h>
# if EIO_HAVE_XATTR
#  include <sys/xattr.h>
# endif

/* The low half of an argument. */
# if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#  define ARGUMENT(n) (offsetof(struct seccomp_data, args) + 8 * (n) + 4)
# else
#  define ARGUMENT(n) (offsetof(struct seccomp_data, args) + 8 * (n))
# endif

/* From now on this thread's calls of that number fail with that error; but not
 * those that have -1 as argument `but`, if that is one. False when this cannot
 * be had. */
static bool refuse_but(long number, int error, int but)
{
  struct sock_filter filter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, but < 0 ? 2 : 0, 3),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)ARGUMENT((size_t)(but < 0 ? 0 : but))),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, UINT32_MAX, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { sizeof filter / sizeof *filter, filter };

  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
         && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static bool refuse(long number, int error)
{
  return refuse_but(number, error, -1);
}

static void *call(void *arg)
{
  (*(void (**)(void))arg)();
  return NULL;
}

static void in_thread(void (*checks)(void))
{
  pthread_t thread;

  if ((errno = pthread_create(&thread, NULL, call, &checks)))
    bail_out("no thread");
  pthread_join(thread, NULL);
}

/* The calls that C libraries use: 32-bit systems have wider ones, some of them
 * for wide types only. */
static void refuse_sendfile(int error)
{
# ifdef SYS_sendfile64
  refuse(SYS_sendfile64, error);
# endif
# ifdef SYS_sendfile
  refuse(SYS_sendfile, error);
# endif
}

static void refuse_ftruncate(int error)
{
# ifdef SYS_ftruncate64
  refuse(SYS_ftruncate64, error);
# endif
# ifdef SYS_ftruncate
  refuse(SYS_ftruncate, error);
# endif
}

# ifdef SYS_fchown32
#  define CALL_fchown SYS_fchown32
# else
#  define CALL_fchown SYS_fchown
# endif
# ifdef SYS__llseek
#  define CALL_lseek SYS__llseek
# else
#  define CALL_lseek SYS_lseek
# endif

static eio_req copying(const char *from, const char *to)
{
  return on_paths(EIO_COPY, NULL, from, NULL, to);
}

static bool same_data(const char *one, const char *two)
{
  static char a[65536], b[65536];
  int fd = open_for_test(one, O_RDONLY), fd2 = open_for_test(two, O_RDONLY);
  ssize_t n, m;

  do {
    n = read(fd, a, sizeof a);
    m = read(fd2, b, sizeof b);
  } while (n > 0 && n == m && !memcmp(a, b, (size_t)n));
  close(fd);
  close(fd2);
  return n == 0 && m == 0;
}

static void copies_well(const char *how)
{
  unlink("dst");
  is_int(just(copying("big", "dst")), 0, "copy %s", how);
  ok(same_data("big", "dst"), "has the data");
  unlink("dst");
  is_int(just(copying("sparse", "dst")), 0, "copy of holes %s", how);
  ok(same_data("sparse", "dst"), "has the data");
}

/* Each of these leaves one way less to copy. */

static void no_copy_range(int error)
{
  refuse(SYS_ioctl, EOPNOTSUPP); /* nor shared blocks */
  if (EIO_HAVE_COPY_FILE_RANGE)
    refuse(SYS_copy_file_range, error);
}

static void no_sendfile(void)
{
  no_copy_range(ENOSYS);
  refuse_sendfile(EINVAL);
}

static void inside_the_kernel(void)
{
  refuse(SYS_ioctl, EOPNOTSUPP);
  copies_well("inside the kernel");
}

static void without_copy_range(void)
{
  no_copy_range(EXDEV);
  copies_well("without copy_file_range");
}

static void without_sendfile(void)
{
  no_sendfile();
  copies_well("by read and write");
}

static void without_seek(void)
{
  refuse(CALL_lseek, EINVAL);
  copies_well("without seeking holes");
}

static void with_range_failing(void)
{
  no_copy_range(EIO);
  put("dst", "old");
  fails(copying("big", "dst"), EIO, "copy that fails in the kernel");
  ok(!exists("dst"), "removes the target");
}

static void with_write_failing(void)
{
  no_sendfile();
  refuse(SYS_pwrite64, ENOSPC);
  fails(copying("big", "dst"), ENOSPC, "copy that fails to write");
  ok(!exists("dst"), "removes the target");
}

static void with_read_failing(void)
{
  no_sendfile();
  refuse(SYS_pread64, EIO);
  fails(copying("big", "dst"), EIO, "copy that fails to read");
  ok(!exists("dst"), "removes the target");
}

static void with_truncate_failing(void)
{
  refuse_ftruncate(EPERM);
  put("dst", "old");
  chmod("dst", 0640);
  fails(copying("sparse", "dst"), EPERM, "copy over what cannot be truncated");
  is_str(get("dst"), "old", "leaves that alone");
  is_int(stat_of("dst").st_mode & 07777, 0640, "with its mode");
}

static void with_attributes_failing(void)
{
  refuse(SYS_utimensat, EPERM);
  refuse(CALL_fchown, EPERM);
  is_int(just(copying("suid", "dst")), 0, "copy whose owner cannot be set succeeds");
  is_int(stat_of("dst").st_mode & 07777, geteuid() ? 06755 : 0755, "without privileges");
}

# if EIO_HAVE_XATTR
/* rw- for the owner, r-- for the user 1234, -wx for the group, rwx for the group
 * 5678, a mask of rwx, and rwx for others. */
static const unsigned char some_acl[52] = {
  2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0xd2, 4, 0, 0, 4, 0, 3, 0, 255, 255, 255, 255,
  8, 0, 7, 0, 0x2e, 0x16, 0, 0, 0x10, 0, 7, 0, 255, 255, 255, 255, 0x20, 0, 7, 0, 255, 255, 255, 255,
};

/* Whoever could do something with the source can do no more with the copy. */
static void copy_is_closed(const char *why, int mode)
{
  put("acl", "for some");
  if (setxattr("acl", "system.posix_acl_access", some_acl, sizeof some_acl, 0) < 0) {
    skip(2, "no ACLs here");
    return;
  }
  is_int(just(copying("acl", "dst")), 0, "copy of a file whose ACL %s", why);
  is_int(stat_of("dst").st_mode & 07777, mode, "is readable by nobody else");
}

static void with_acl_failing(void)
{
  refuse(SYS_fsetxattr, EOPNOTSUPP);
  copy_is_closed("cannot be set", 0604);
}

static void with_acl_unknown(void)
{
  refuse(SYS_fgetxattr, EPERM);
  copy_is_closed("cannot be read", 0600);
}

/* The mask closes an ACL. */
static void with_acl_remaining(void)
{
  refuse(SYS_fremovexattr, EIO);
  unlink("acl");
  put("acl", "for some");
  put("dst", "old");
  chmod("acl", 0664);
  if (setxattr("dst", "system.posix_acl_access", some_acl, sizeof some_acl, 0) < 0) {
    skip(2, "no ACLs here");
    return;
  }
  is_int(just(copying("acl", "dst")), 0, "copy over a file that keeps its ACL");
  is_int(stat_of("dst").st_mode & 07777, 0604, "closes it");
}
# else
static void with_acl_failing(void) { }
static void with_acl_unknown(void) { }
static void with_acl_remaining(void) { }
# endif

static void with_mode_failing(void)
{
  refuse(SYS_fchmod, EPERM);
  is_int(just(copying("suid", "dst")), 0, "copy whose mode cannot be set succeeds");
  is_int(stat_of("dst").st_mode & 07777, 0200, "and remains closed");
}

static void with_close_failing(void)
{
  refuse(SYS_close, ENOSPC);
  fails(copying("big", "dst"), ENOSPC, "copy that fails when it is closed");
  ok(!exists("dst"), "removes the target");
}

static int error_now;

static void sendfile_refused(void)
{
  eio_req req = on_fd(EIO_SENDFILE, open_for_test("out", O_WRONLY | O_CREAT | O_TRUNC));

  req.arg1 = open_for_test("big", O_RDONLY);
  req.size = 300000;
  refuse_sendfile(error_now);
  is_int(just(req), 300000, "sendfile refused with %s is emulated", strerror(error_now));
  is_int(system("head -c 300000 big | cmp -s - out"), 0, "by a real copy");
  close(req.arg1);
  close(req.fd);
}

static void sendfile_failing(void)
{
  eio_req req = on_fd(EIO_SENDFILE, open_for_test("out", O_WRONLY | O_CREAT | O_TRUNC));

  req.arg1 = open_for_test("big", O_RDONLY);
  req.size = 300000;
  refuse_sendfile(error_now);
  fails(req, error_now, "sendfile that fails with %s fails", strerror(error_now));
  close(req.arg1);
  close(req.fd);
}

/* From a pipe with "0123456789" to a file. */
static eio_req piping(void)
{
  eio_req req = on_fd(EIO_SENDFILE, open_for_test("out", O_WRONLY | O_CREAT | O_TRUNC));
  int fds[2];

  if (pipe(fds) < 0 || write(fds[1], "0123456789", 10) != 10)
    bail_out("pipe");
  close(fds[1]);
  req.arg1 = fds[0];
  req.size = 7;
  return req;
}

static void pipe_is_sent(const char *how)
{
  eio_req req = piping();
  char rest[4] = { 0 };

  is_int(just(req), 7, "sendfile of a pipe %s", how);
  is_str(get("out"), "0123456", "writes what it shall");
  ok(read(req.arg1, rest, 4) == 3 && !strcmp(rest, "789"), "and leaves the rest");
  close(req.arg1);
  close(req.fd);
}

static void without_splice(void)
{
  refuse(SYS_splice, EINVAL);
  pipe_is_sent("that cannot be spliced");
}

static void without_tee(void)
{
  refuse(SYS_splice, ENOSYS);
  refuse(SYS_tee, ENOSYS);
  pipe_is_sent("that cannot be looked into");
}

static void without_descriptors(void)
{
  eio_req req;
  char all[11] = { 0 };

  if (!EIO_HAVE_TEE) {
    skip(2, "needs none");
    return;
  }
  req = piping();
  refuse(SYS_splice, EINVAL);
  refuse(SYS_pipe2, EMFILE);
# ifdef SYS_pipe
  refuse(SYS_pipe, EMFILE);
# endif
  fails(req, EMFILE, "sendfile of a pipe, without the other that it needs");
  ok(read(req.arg1, all, 10) == 10 && !strcmp(all, "0123456789"), "takes nothing out");
  close(req.arg1);
  close(req.fd);
}

static void without_readahead(void)
{
  int fd = open_for_test("big", O_RDONLY);

  refuse(SYS_readahead, ENOSYS);
  is_int(just(on_data(EIO_READAHEAD, fd, 5, NULL, 500000)), 0, "readahead without readahead");
  is_int(lseek(fd, 0, SEEK_CUR), 0, "leaves the position alone");
  fails(on_data(EIO_READAHEAD, -1, 0, NULL, 5), EBADF, "readahead of nothing");
  close(fd);
}

static void without_sync_file_range(void)
{
  int fd = open_for_test("big", O_RDWR);

  if (EIO_HAVE_SYNC_FILE_RANGE)
    refuse(SYS_sync_file_range, ENOSYS);
  refuse(SYS_syncfs, ENOSYS);
  is_int(just(on_fd(EIO_SYNC_FILE_RANGE, fd)), 0, "sync_file_range without it");
  fails(on_fd(EIO_SYNCFS, fd), ENOSYS, "syncfs without it");
  refuse(SYS_fdatasync, EIO);
  refuse(SYS_fsync, EIO);
  fails(on_fd(EIO_SYNC_FILE_RANGE, fd), EIO, "its substitute may fail");
  fails(on_path(EIO_PATHSYNC, NULL, "big"), EIO, "pathsync may fail");
  close(fd);
}

static eio_req touching(char *at, size_t size, int flags, int kind)
{
  eio_req req = on_data(EIO_MTOUCH, -1, 0, at, size);

  req.arg1 = flags;
  req.arg2 = kind;
  return req;
}

/* What would end the process, done by the processor, is an error all the same. */
static void without_populate(void)
{
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int fd = open_for_test("short", O_RDWR | O_CREAT);
  char *of_file = ftruncate(fd, (off_t)page) < 0 ? MAP_FAILED
    : mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  unsigned char in_core[2] = { 0, 0 };

  if (map == MAP_FAILED || of_file == MAP_FAILED)
    bail_out("mmap");
  refuse(SYS_madvise, EINVAL);
  is_int(just(touching(map + 1, 2 * page - 1, EIO_MT_MODIFY, 0)), 0, "mtouch on an old kernel");
  ok(mincore(map, 2 * page, in_core) == 0 && in_core[0] & in_core[1] & 1, "gets all pages");
  strcpy(map, "kept");
  is_int(just(touching(map, 2 * page, EIO_MT_MODIFY, 0)), 0, "not for the first time");
  is_str(map, "kept", "changes nothing");
  is_int(just(touching(map, 2 * page, 0, 0)), 0, "also for reading");
  is_int(just(touching(of_file, page, 0, 0)), 0, "of a file");
  is_int(just(touching(of_file, page, EIO_MT_MODIFY, 0)), 0, "for writing");
  fails(touching(of_file, 2 * page, 0, 0), EFAULT, "beyond its end");
  fails(touching(of_file, 2 * page, EIO_MT_MODIFY, 0), EFAULT, "for writing");
  mprotect(of_file, page, PROT_READ);
  fails(touching(of_file, page, EIO_MT_MODIFY, 0), EFAULT, "what may not be written");
  munmap(of_file, 2 * page);
  munmap(map, 2 * page);
  close(fd);
}

static void plain_memory(void)
{
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char *map = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  unsigned char in_core[3] = { 0, 0, 0 };

  if (map == MAP_FAILED)
    bail_out("mmap");
  refuse(SYS_madvise, EIO);
  fails(touching(map, 1, 0, 0), EIO, "mtouch that the kernel refuses");
  is_int(just(touching(map + page - 1, 2, EIO_MT_MODIFY, EIO_MT_PLAIN)), 0, "plain memory needs no leave");
  ok(mincore(map, 3 * page, in_core) == 0 && in_core[0] & in_core[1] & 1 && !(in_core[2] & 1),
     "gets the pages that it touches, no others");
  is_int(just(touching(map, 2 * page, 0, EIO_MT_PLAIN)), 0, "also for reading");
  is_int(just(touching(map, 0, 0, EIO_MT_PLAIN)), 0, "and nothing");
  munmap(map, 3 * page);
}

/* Not even a way to touch a page by the kernel. */
static void without_futexes(void)
{
# ifdef SYS_futex
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char *map = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  unsigned char in_core = 0;

  if (map == MAP_FAILED)
    bail_out("mmap");
  refuse(SYS_madvise, EINVAL);
  refuse(SYS_futex, ENOSYS);
  is_int(just(touching(map, page, EIO_MT_MODIFY, 0)), 0, "mtouch on a very old kernel");
  ok(mincore(map, page, &in_core) == 0 && in_core & 1, "gets the page");
  munmap(map, page);
# else
  skip(2, "no such call here");
# endif
}

static void without_reading(void)
{
  refuse(SYS_getdents64, EIO);
  fails(on_path(EIO_READDIR, NULL, "dir"), EIO, "readdir that fails in the middle");
  fails(on_path(EIO_SCANDIR, NULL, "dir"), EIO, "scandir that fails in the middle");
  fails(on_path(EIO_RMTREE, NULL, "dir"), ENOTEMPTY, "rmtree of what cannot be read");
  refuse(SYS_read, EIO);
  fails(on_path(EIO_LOAD, NULL, "big"), EIO, "load that cannot read");
}

static void without_pipe(void)
{
  int fd = open_for_test("big", O_RDONLY);

  refuse(SYS_pipe2, EMFILE);
# ifdef SYS_pipe
  refuse(SYS_pipe, EMFILE);
# endif
  fails(on_fd(EIO_CLOSE, fd), EMFILE, "close without the pipe it needs");
  is_int(fcntl(fd, F_GETFD), FD_CLOEXEC, "leaves the descriptor open");
  close(fd);
}

static void without_renameat2(void)
{
  eio_req req = on_paths(EIO_RENAME2, NULL, "big", NULL, "big2");

  if (EIO_HAVE_RENAMEAT2)
    refuse(SYS_renameat2, ENOSYS);
  req.arg1 = 1;
  fails(req, ENOSYS, "rename2 with flags on an old kernel");
  req.arg1 = 0;
  is_int(just(req), 0, "works without flags");
  rename("big2", "big");
}

/* Names are found without /proc, too. */
static void without_proc(void)
{
  eio_req req = on_path(EIO_REALPATH, NULL, "link/../dir");
  char want[5000];
  eio_wd *wd;

  if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0
      || mount("none", "/proc", "tmpfs", 0, NULL) < 0) {
    skip(4, "/proc cannot be hidden");
    return;
  }
  snprintf(want, sizeof want, "%s/dir", scratch_path);
  ok(run(&req) > 0, "realpath without /proc");
  is_str(req.buf, want, "is right");
  eio_req_finish(&req);
  wd = eio_wd_open(NULL, "link");
  is_str(wd ? eio_wd_path(wd) : NULL, want, "wd without /proc");
  fails(on_path(EIO_REALPATH, NULL, "missing"), ENOENT, "realpath of nothing");
  eio_wd_unref(wd);
}

static void try_filter(void)
{
  ok(refuse(SYS_getpriority, EIO), "calls can be refused");
}

int main(void)
{
  static const int refusals[] = { ENOSYS, EINVAL, ENOTSUP, EOPNOTSUPP, EAFNOSUPPORT, EPROTOTYPE, ENOTSOCK };
  static const int failures[] = { EIO, ENOSPC, EAGAIN, EBADF, EPIPE };
  static void (*const all[])(void) = {
    inside_the_kernel, without_copy_range, without_sendfile, without_seek,
    with_write_failing, with_read_failing, with_truncate_failing,
    with_attributes_failing, with_acl_failing, with_acl_unknown, with_acl_remaining, with_mode_failing,
    without_splice, without_tee, without_descriptors, without_readahead, without_sync_file_range,
    without_populate, plain_memory, without_futexes, without_reading, without_pipe,
    without_renameat2, without_proc,
  };
  char *big;
  int fd;

  if (under_valgrind())
    return tap_skip_all("what is refused is refused to valgrind, too");
  big = malloc(3000000);
  scratch_begin();
  for (int i = 0; i < 3000000; i++)
    big[i] = (char)(i * 2654435761u >> 20);
  put_data("big", big, 3000000);
  free(big);
  fd = open_for_test("sparse", O_RDWR | O_CREAT);
  if (pwrite(fd, "x", 1, 500000) != 1 || ftruncate(fd, 2000000) < 0)
    bail_out("sparse");
  close(fd);
  put("suid", "program");
  if (geteuid() == 0 && chown("suid", 12, 34) < 0)
    bail_out("chown");
  chmod("suid", 06755);
  mkdir("dir", 0755);
  put("dir/f", "");
  symlink("dir", "link");

  in_thread(try_filter);
  if (tap_failed)
    bail_out("no seccomp");
  if (EIO_HAVE_COPY_FILE_RANGE)
    in_thread(with_range_failing);
  else
    skip(2, "no copy_file_range()");
  for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
    unlink("dst");
    in_thread(all[i]);
  }
  in_thread(with_close_failing);
  for (unsigned i = 0; i < sizeof refusals / sizeof *refusals; i++) {
    error_now = refusals[i];
    in_thread(sendfile_refused);
  }
  for (unsigned i = 0; i < sizeof failures / sizeof *failures && EIO_HAVE_SENDFILE_LINUX; i++) {
    error_now = failures[i];
    in_thread(sendfile_failing);
  }
  return scratch_end(3); /* which with_close_failing() could not close */
}

#endif
