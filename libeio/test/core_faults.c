/* core_faults.c - each system call of each operation fails in turn, with each
 * error that the manuals of such calls list: in place, by a worker, and on the
 * ring. Every request is called back once; it fails with that very error, or
 * its result is the one without the fault, where a substitute exists; and no
 * descriptor is left behind. */
#include "faults.h"

#ifdef NO_FAULTS

int main(void)
{
  return tap_skip_all(NO_FAULTS);
}

#else

# include <sys/mman.h>
# include <sys/socket.h>

/* Operations -------------------------------------------------------------- */

static int plain_fd = -1, writable_fd = -1, socket_fd = -1;
static eio_wd *here;
static char buffer[65536];
static struct iovec parts[] = { { buffer, 3 }, { buffer, 4 } };
static struct flock lock = { .l_type = F_RDLCK };

static void make_files(void)
{
  put("file", "0123456789");
  unlink("dst");
}

static void make_target(void)
{
  put("file", "0123456789");
  put("dst", "something longer than that");
  chmod("dst", 0640);
}

static void make_sparse(void)
{
  int fd = open_for_test("sparse", O_RDWR | O_CREAT | O_TRUNC);

  if (pwrite(fd, "x", 1, 100000) != 1 || ftruncate(fd, 300000) < 0)
    bail_out("sparse");
  close(fd);
  unlink("dst");
}

static void make_directory(void)
{
  rmdir("new");
  mkdir("empty", 0755);
}

static void remove_path(void)
{
  rmdir("p/q/r");
  rmdir("p/q");
  rmdir("p");
}

static void make_tree(void)
{
  mkdir("tree", 0755);
  mkdir("tree/a", 0755);
  mkdir("tree/a/b", 0755);
  put("tree/a/f", "");
  put("tree/f", "");
}

static void make_links(void)
{
  make_files();
  unlink("link");
  if (symlink("file", "link") < 0)
    bail_out("symlink");
}

static void open_files(void)
{
  int fds[2];

  make_files();
  close(plain_fd);
  close(writable_fd);
  close(socket_fd);
  plain_fd = open_for_test("file", O_RDWR);
  writable_fd = open_for_test("out", O_RDWR | O_CREAT | O_TRUNC);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
    bail_out("socketpair");
  close(fds[0]);
  socket_fd = fds[1];
}

enum where { NOWHERE, PLAIN, WRITABLE };

static const struct {
  const char *name;
  enum eio_op op;
  void (*prepare)(void);
  const char *path, *path2;
  enum where fd;
  bool in_wd; /* paths are relative to a working directory */
  int64_t offs;
  uint64_t size;
  int arg1, arg2;
} cases[] = {
  { "open", EIO_OPEN, make_files, "file", .arg1 = O_RDONLY },
  { "open to write", EIO_OPEN, make_files, "dst", .arg1 = O_RDWR | O_CREAT, .arg2 = 0644 },
  { "openat2", EIO_OPENAT2, make_files, "file", .arg1 = O_RDONLY | O_NOCTTY },
  { "temp", EIO_TEMP, make_files, ".", .arg2 = 0600 },
  { "close", EIO_CLOSE, open_files, .fd = PLAIN },
  { "wd", EIO_WD, make_tree, .path = "tree" },
  { "wd in wd", EIO_WD, make_tree, "tree", .in_wd = true },
  { "seek", EIO_SEEK, open_files, .fd = PLAIN, .offs = 3, .arg1 = SEEK_SET },
  { "read", EIO_READ, open_files, .fd = PLAIN, .offs = 2, .size = 5 },
  { "read at the position", EIO_READ, open_files, .fd = PLAIN, .offs = -1, .size = 5 },
  { "write", EIO_WRITE, open_files, .fd = WRITABLE, .offs = 2, .size = 5 },
  { "write at the position", EIO_WRITE, open_files, .fd = WRITABLE, .offs = -1, .size = 5 },
  { "readv", EIO_READV, open_files, .fd = PLAIN, .offs = 2, .size = 2 },
  { "readv at the position", EIO_READV, open_files, .fd = PLAIN, .offs = -1, .size = 2 },
  { "readv with a flag", EIO_READV, open_files, .fd = PLAIN, .offs = 2, .size = 2, .arg1 = 1 },
  { "writev", EIO_WRITEV, open_files, .fd = WRITABLE, .offs = 2, .size = 2 },
  { "writev at the position", EIO_WRITEV, open_files, .fd = WRITABLE, .offs = -1, .size = 2 },
  { "writev with a flag", EIO_WRITEV, open_files, .fd = WRITABLE, .offs = 2, .size = 2, .arg1 = 2 },
  { "copy_file_range", EIO_COPY_FILE_RANGE, open_files, .fd = PLAIN, .size = 5 },
  { "readahead", EIO_READAHEAD, open_files, .fd = PLAIN, .size = 10 },
  { "sendfile", EIO_SENDFILE, open_files, .fd = WRITABLE, .size = 10 },
  { "spew", EIO_SPEW, make_files, "dst", .size = 10, .arg2 = 0644 },
  { "append", EIO_SPEW, make_target, "dst", .size = 10, .arg1 = EIO_SPEW_APPEND | EIO_SPEW_SYNC, .arg2 = 0644 },
  { "atomic spew", EIO_SPEW, make_target, "dst", .size = 10, .arg1 = EIO_SPEW_ATOMIC | EIO_SPEW_SYNC, .arg2 = 0644 },
  { "readall", EIO_READALL, open_files, .fd = PLAIN, .offs = 2, .size = 50 },
  { "writeall", EIO_WRITEALL, open_files, .fd = WRITABLE, .offs = -1, .size = 5 },
  { "sendall", EIO_SENDALL, open_files, .fd = WRITABLE, .size = 10 },
  { "load", EIO_LOAD, make_files, .path = "file" },
  { "slurp", EIO_SLURP, make_files, "file", .offs = -4 },
  { "slurp without a size", EIO_SLURP, make_files, "/proc/self/limits", .offs = -4 },
  { "stat", EIO_STAT, make_files, .path = "file" },
  { "stat of a descriptor", EIO_STAT, open_files, .fd = PLAIN },
  { "statx", EIO_STATX, make_links, "link", .in_wd = true, .size = EIO_STATX_BASIC },
  { "lstat", EIO_LSTAT, make_links, "link", .in_wd = true },
  { "statvfs", EIO_STATVFS, make_files, .path = "file" },
  { "statvfs in wd", EIO_STATVFS, make_files, "file", .in_wd = true },
  { "statvfs of a descriptor", EIO_STATVFS, open_files, .fd = PLAIN },
  { "utime", EIO_UTIME, make_files, .path = "file" },
  { "utime of a descriptor", EIO_UTIME, open_files, .fd = PLAIN },
  { "lutime", EIO_LUTIME, make_links, "link", .in_wd = true },
  { "chown", EIO_CHOWN, make_files, "file", .arg1 = -1, .arg2 = -1 },
  { "chown of a descriptor", EIO_CHOWN, open_files, .fd = PLAIN, .arg1 = -1, .arg2 = -1 },
  { "lchown", EIO_LCHOWN, make_links, "link", .arg1 = -1, .arg2 = -1 },
  { "chmod", EIO_CHMOD, make_files, "file", .arg2 = 0600 },
  { "chmod of a descriptor", EIO_CHMOD, open_files, .fd = PLAIN, .arg2 = 0600 },
  { "truncate", EIO_TRUNCATE, make_files, "file", .offs = 3 },
  { "truncate in wd", EIO_TRUNCATE, make_files, "file", .in_wd = true, .offs = 3 },
  { "truncate of a descriptor", EIO_TRUNCATE, open_files, .fd = PLAIN, .offs = 3 },
  { "allocate", EIO_ALLOCATE, open_files, .fd = PLAIN, .size = 5000 },
  { "fiemap", EIO_FIEMAP, open_files, .fd = PLAIN, .size = UINT64_MAX, .arg2 = -1 },
  { "listxattr", EIO_LISTXATTR, make_files, "file", .in_wd = true },
  { "setxattr of a descriptor", EIO_SETXATTR, open_files, .fd = PLAIN, .size = 3 },
  { "unlink", EIO_UNLINK, make_files, .path = "file" },
  { "unlinkat", EIO_UNLINKAT, make_files, .path = "file" },
  { "unlinkat of a directory", EIO_UNLINKAT, make_directory, "empty", .arg1 = AT_REMOVEDIR },
  { "mknod", EIO_MKNOD, make_files, "dst", .arg2 = S_IFIFO | 0600 },
  { "link", EIO_LINK, make_files, .path = "file", .path2 = "dst" },
  { "linkat", EIO_LINKAT, make_links, .path = "link", .path2 = "dst" },
  { "linkat of a descriptor", EIO_LINKAT, open_files, .path2 = "dst", .fd = PLAIN },
  { "symlink", EIO_SYMLINK, make_files, .path = "file", .path2 = "dst" },
  { "readlink", EIO_READLINK, make_links, .path = "link" },
  { "realpath", EIO_REALPATH, make_links, .path = "link" },
  { "rename", EIO_RENAME, make_files, .path = "file", .path2 = "dst" },
  { "rename2", EIO_RENAME2, make_files, "file", "dst", .arg1 = 1 },
  { "mkdir", EIO_MKDIR, make_directory, "new", .arg2 = 0755 },
  { "mkpath", EIO_MKPATH, remove_path, "p/q/r", .arg2 = 0755 },
  { "rmdir", EIO_RMDIR, make_directory, .path = "empty" },
  { "readdir", EIO_READDIR, make_tree, .path = "tree" },
  { "readdirx", EIO_READDIRX, make_tree, "tree", .in_wd = true,
    .arg1 = EIO_READDIR_STAT_ORDER | EIO_READDIR_DIRS_FIRST },
  { "scandir", EIO_SCANDIR, make_tree, .path = "tree" },
  { "fcntl", EIO_FCNTL, open_files, .fd = PLAIN, .arg1 = F_GETFD },
  { "fcntl that locks", EIO_FCNTL, open_files, .fd = PLAIN, .arg1 = F_SETLKW, .size = 1 },
  { "ioctl", EIO_IOCTL, open_files, .fd = PLAIN, .arg1 = FIONREAD, .size = 1 },
  { "lock", EIO_LOCK, open_files, .fd = PLAIN, .arg1 = LOCK_SH | LOCK_NB, .offs = -1 },
  { "lock of a range", EIO_LOCK, open_files, .fd = PLAIN, .arg1 = LOCK_SH | LOCK_NB, .size = 10 },
  { "syncfs", EIO_SYNCFS, open_files, .fd = PLAIN },
  { "fsync", EIO_FSYNC, open_files, .fd = PLAIN },
  { "fdatasync", EIO_FDATASYNC, open_files, .fd = PLAIN },
  { "sync_file_range", EIO_SYNC_FILE_RANGE, open_files, .fd = PLAIN, .size = 10 },
  { "pathsync", EIO_PATHSYNC, make_files, .path = "file" },
  { "move", EIO_MOVE, make_files, .path = "file", .path2 = "dst" },
  { "copy", EIO_COPY, make_files, .path = "file", .path2 = "dst" },
  { "copy over", EIO_COPY, make_target, .path = "file", .path2 = "dst" },
  { "copy of holes", EIO_COPY, make_sparse, .path = "sparse", .path2 = "dst" },
  { "copy of a stream", EIO_COPY, make_files, .path = "/proc/self/limits", .path2 = "dst" },
  { "rmtree", EIO_RMTREE, make_tree, .path = "tree" },
};

static void fill(eio_req *req, unsigned n)
{
  eio_req_init(req, cases[n].op);
  req->path = (char *)(uintptr_t)cases[n].path;
  req->path2 = (char *)(uintptr_t)cases[n].path2;
  if (cases[n].in_wd)
    req->wd = here;
  req->fd = cases[n].fd == PLAIN ? plain_fd : cases[n].fd == WRITABLE ? writable_fd : -1;
  req->offs = cases[n].offs;
  req->size = cases[n].size;
  req->arg1 = cases[n].op == EIO_SENDFILE || cases[n].op == EIO_SENDALL ? plain_fd
    : cases[n].op == EIO_COPY_FILE_RANGE ? writable_fd : cases[n].arg1;
  req->arg2 = cases[n].arg2;
  if (req->op == EIO_SETXATTR) {
    req->attr = (char *)(uintptr_t)"user.a";
    req->buf = buffer;
  }
  if (req->op == EIO_UTIME || req->op == EIO_LUTIME)
    req->nv1 = req->nv2 = 1e9;
  if (req->op == EIO_READ || req->op == EIO_WRITE || req->op == EIO_IOCTL || req->op == EIO_SPEW || req->op == EIO_READALL
      || req->op == EIO_WRITEALL)
    req->buf = buffer;
  else if (req->op == EIO_READV || req->op == EIO_WRITEV)
    req->buf = parts;
  else if (req->op == EIO_FCNTL && req->size)
    req->buf = &lock;
}

/* Interrupted, these are called again. Others do not wait, and do not say EINTR. */
static bool is_interruptible(const eio_req *req, long nr)
{
  if (nr == SYS_ioctl)
    return req->op == EIO_FIEMAP;
# ifdef SYS_getdents64
  if (nr == SYS_getdents64)
    return true;
# endif
# ifdef SYS_openat2
  if (nr == SYS_openat2)
    return req->op == EIO_OPENAT2;
# endif
  return nr == SYS_openat || nr == SYS_read || nr == SYS_write || nr == SYS_pread64
         || nr == SYS_readv || nr == SYS_writev || nr == SYS_preadv || nr == SYS_pwritev || nr == SYS_preadv2
         || nr == SYS_pwritev2 || nr == SYS_pwrite64 || nr == SYS_fsync || nr == SYS_fdatasync || nr == SYS_ftruncate
         || nr == SYS_truncate || nr == SYS_fallocate || nr == SYS_statfs || nr == SYS_fstatfs
         || (nr == SYS_fcntl && req->op == EIO_FCNTL) || nr == SYS_dup3 || nr == SYS_sendfile
# ifdef SYS_copy_file_range
         || nr == SYS_copy_file_range
# endif
# ifdef SYS_sync_file_range
         || nr == SYS_sync_file_range
# endif
    ;
}

/* What replaces a file may not get all that it had; another name is tried; there is no file, or
 * no link. */
static bool spews_on(const eio_req *req, long nr, int error)
{
  if (nr == SYS_close)
    return error == EINTR || req->arg1 & EIO_SPEW_ATOMIC; /* of the directory, and the old file */
  if (!(req->arg1 & EIO_SPEW_ATOMIC))
    return false;
  return nr == SYS_fgetxattr || nr == SYS_fchmod || nr == SYS_fchown || nr == SYS_readlinkat || nr == SYS_newfstatat
         || nr == SYS_fremovexattr || nr == SYS_fsetxattr || nr == SYS_openat;
}

/* Whether there is a way around the failure of a call. */
static bool has_substitute(const eio_req *req, long nr, int error)
{
  bool disk_error = error == EIO || error == ENOSPC || error == EDQUOT;

  switch (req->op) {
  case EIO_CLOSE: return nr == SYS_dup3 && error == EBUSY;
  case EIO_READAHEAD: return error == ENOSYS;
  case EIO_SYNC_FILE_RANGE: return error == ENOSYS;
  case EIO_SENDFILE: case EIO_SENDALL:
    return nr == SYS_sendfile
           && (error == ENOSYS || error == EINVAL || error == EOPNOTSUPP || error == ESPIPE
               || error == EAFNOSUPPORT || error == EPROTOTYPE || error == ENOTSOCK || error == EOVERFLOW);
  case EIO_LISTXATTR: return nr != SYS_listxattr; /* the directory's path is taken */
  case EIO_OPENAT2: return nr == SYS_ioctl || error == EAGAIN; /* it is tried again */
  case EIO_LINKAT: return req->fd >= 0 && error == ENOENT; /* the name in /proc is tried */
  case EIO_STATX: return error == ENOSYS || error == EPERM; /* stat is asked */
  case EIO_TEMP: return nr == SYS_openat; /* by a name that goes at once */
  case EIO_OPEN: return nr == SYS_ioctl; /* what does not answer is no terminal */
  case EIO_WD: case EIO_REALPATH: return nr != SYS_openat; /* the name is asked for otherwise */
  case EIO_LOAD: case EIO_SLURP: case EIO_STATVFS: case EIO_TRUNCATE: case EIO_READDIR:
  case EIO_READDIRX: case EIO_SCANDIR: return nr == SYS_close;
  case EIO_COPY:
    if (nr == SYS_close)
      return true; /* of the source; and what is no failure of the target */
    if ((nr == SYS_openat && error == EEXIST) || (nr == SYS_newfstatat && error == ENOENT))
      return true; /* there is a target, or none */
    return nr == SYS_ioctl || nr == SYS_fchmod || nr == SYS_fchown || nr == SYS_utimensat
           || nr == SYS_lseek || nr == SYS_fgetxattr || nr == SYS_fcntl || nr == SYS_getrusage
# ifdef SYS_copy_file_range
           || (nr == SYS_copy_file_range && !disk_error && error != EFBIG)
# endif
           || (nr == SYS_sendfile && !disk_error && error != EFBIG);
  case EIO_SPEW: return spews_on(req, nr, error);
  case EIO_MKPATH: return error == ENOENT; /* then it goes up, and finds what there is */
  case EIO_MOVE: return error == EXDEV; /* what it does then, ops_whole.c tries */
  case EIO_RMTREE: return true; /* see below */
  default: return false;
  }
}

/* What a failure that shows later as another one is called. */
static bool is_disguised(const eio_req *req, int error)
{
  if ((req->op == EIO_READV || req->op == EIO_WRITEV) && req->arg1 && error == EOPNOTSUPP)
    return true; /* the C library knows: flags are what is missing */
  return (req->op == EIO_RMTREE && error == ENOTEMPTY)
         || (req->op == EIO_TRUNCATE && error == EINVAL); /* ENXIO of opening a FIFO */
}

/* What a failed or successful operation leaves on disk. */
static bool leaves_order(const eio_req *req, long nr)
{
  if (req->op == EIO_RMTREE)
    return exists("tree") == (req->result < 0);
  if (req->op != EIO_COPY || nr == SYS_openat)
    return true;
  if (req->result < 0)
    return !exists("dst") || nr == SYS_ftruncate || nr == SYS_fstat || nr == SYS_newfstatat;
  if (!strcmp(req->path, "file"))
    return !strcmp(get("dst"), "0123456789");
  return stat_of("dst").st_size == (strcmp(req->path, "sparse") ? stat_of("dst").st_size : 300000);
}

/* Ways to execute ---------------------------------------------------------- */

static eio_ctx *ctx;
static int callbacks;

static void called(eio_req *req)
{
  (void)req;
  callbacks++;
}

/* Executes a request, in place or by the context, with its n-th call failing;
 * returns the number of that call. */
static long execute_faulty(eio_req *req, int nth, int error)
{
  long nr;

  callbacks = 0;
  if (!ctx) {
    arm(nth, error);
    eio_execute(req);
    nr = disarm();
    callbacks++;
    return nr;
  }
  req->cb = called;
  arm(nth, error);
  eio_submit(ctx, req);
  while (!callbacks) {
    eio_poll_wait(ctx, -1);
    eio_poll_begin(ctx);
    for (eio_req *done; (done = eio_next(ctx));) {
      done->cb(done);
      callbacks += done != req; /* never */
    }
    eio_poll_end(ctx);
  }
  nr = disarm();
  return nr;
}

/* The engines add nothing of their own to errors: the first few do for them. */
enum { FOR_ENGINES = 8 };

static const int errors[] = {
  EINTR, EIO, EAGAIN, ENOMEM, EACCES, EMFILE, ENOSYS, EINVAL,
  EPERM, ENOENT, ENXIO, EBADF, EFAULT, EBUSY, EEXIST, EXDEV, ENODEV, ENOTDIR, EISDIR, ENFILE,
  ENOTTY, ETXTBSY, EFBIG, ENOSPC, ESPIPE, EROFS, EMLINK, EPIPE, EDEADLK, ENAMETOOLONG, ENOLCK,
  ENOTEMPTY, ELOOP, EOVERFLOW, EOPNOTSUPP, ENOBUFS, ETIMEDOUT, ECONNRESET, ESTALE, EDQUOT,
  EAFNOSUPPORT, EPROTOTYPE, ENOTSOCK,
};

/* A lie that no kernel tells of such a file, and that is believed: no data
 * beyond this point; the directory was removed; not this kind of file. */
static bool is_lie(const eio_req *req, long nr, int error)
{
# ifdef SYS_getdents64
  if (nr == SYS_getdents64 && error == ENOENT)
    return true;
# endif
  return (req->op == EIO_COPY && nr == SYS_lseek && error == ENXIO)
         || (req->op == EIO_RMTREE && error == ENOENT)
         || (req->op == EIO_CLOSE && (nr == SYS_fstat || nr == SYS_newfstatat)); /* of its pipe */
}

/* Close takes its pipe for lost when fstat() lies, and keeps both. */
static int pipes = 1;

/* One fault; false when the operation made fewer calls. */
static bool fault(unsigned n, int nth, int error, int64_t result)
{
  eio_req req;
  int before;
  long nr;
  bool same, told, fine;

  cases[n].prepare();
  fill(&req, n);
  before = open_fds();
  nr = execute_faulty(&req, nth, error);
  if (nr < 0 || is_lie(&req, nr, error)) {
    pipes += nr >= 0 && req.op == EIO_CLOSE;
    if (ctx)
      eio_release(ctx, &req);
    else
      eio_req_finish(&req);
    return nr >= 0;
  }
  same = req.result >= 0 && (cases[n].op == EIO_OPEN || cases[n].op == EIO_TEMP || req.result == result);
  told = req.result == -1 && (req.errorno == error || is_disguised(&req, req.errorno));
  if (error == EINTR && is_interruptible(&req, nr))
    fine = same;
  else if (ctx) /* an attempt may have failed that is followed by another */
    fine = same || told;
  else
    fine = told || (same && has_substitute(&req, nr, error));
  fine = fine && callbacks == 1 && leaves_order(&req, nr);
  if (!fine)
    printf("# %s: call %d (number %ld) fails with %s: result %jd (%jd), %s, %d callbacks\n",
           cases[n].name, nth, nr, strerror(error), (intmax_t)req.result, (intmax_t)result,
           strerror(req.errorno), callbacks);
  if (ctx)
    eio_release(ctx, &req);
  else
    eio_req_finish(&req);
  if (fine && open_fds() - before > 0) {
    printf("# %s: call %d (number %ld) fails with %s: a descriptor is left\n", cases[n].name, nth,
           nr, strerror(error));
    fine = false;
  }
  tap_failed += !fine;
  return true;
}

static void all_faults(void)
{
  for (unsigned n = 0; n < sizeof cases / sizeof *cases; n++) {
    int failed = tap_failed, calls = 0, faults = 0;
    eio_req req;

    cases[n].prepare();
    fill(&req, n);
    atomic_store(&may_be_terminal, 0);
    execute_faulty(&req, 1 << 30, 0);
    if (cases[n].op != EIO_OPEN)
      check_int(atomic_load(&may_be_terminal), 0, "%s: no terminal becomes ours", cases[n].name);
    if (ctx)
      eio_release(ctx, &req);
    else
      eio_req_finish(&req);
    if (req.result < 0) {
      skip(1, "operation not to be had here");
      continue;
    }
    for (unsigned e = 0; e < (ctx ? FOR_ENGINES : sizeof errors / sizeof *errors); e++) {
      for (calls = 0; fault(n, calls, errors[e], req.result); calls++)
        ;
      faults += calls;
    }
    failed = tap_failed - failed;
    tap_failed -= failed;
    check_int(failed, 0, "%s: %d faults", cases[n].name, faults);
  }
}

static void *subject(void *arg)
{
  static const char *const engines[] = { "pool", "uring", "sync" };

  if (!begin_supervision()) {
    skip(1, "seccomp has no supervisor here");
    return arg;
  }
  here = eio_wd_open(NULL, ".");
  engine = "in place";
  all_faults();
  for (unsigned i = 0; i < sizeof engines / sizeof *engines; i++) {
    engine = engines[i];
    ctx = eio_create();
    if (!ctx)
      bail_out("no context");
    atomic_store(&wake_fd, eio_poll_fd(ctx));
    if (eio_set_engine(ctx, engine) < 0)
      skip(1, "this engine cannot be had");
    else
      all_faults();
    eio_destroy(ctx);
    ctx = NULL;
  }
  close(plain_fd);
  close(writable_fd);
  close(socket_fd);
  eio_wd_unref(here);
  return arg;
}

int main(void)
{
  return supervised(subject, &pipes);
}

#endif
