/* slowfs.c - a FUSE file system that shows another directory, as slowly as it is told.
 *
 *   slowfs [--direct] [--no-types] [--remove] [--cache SECONDS] DIRECTORY MOUNTPOINT
 *
 *   --direct     no page cache: each read and write is a request
 *   --no-types   entries of directories do not tell what they are (d_type)
 *   --remove     the mount point is removed at the end
 *   --cache      how long the kernel may remember names and attributes, and data while
 *                a file's times stay the same (0: asks each time)
 *
 * Standard input is a socket for commands, a line each, and it answers a line each,
 * "ok ..." or "error ...", the first, without a command, when it is mounted. OP is the
 * name of a FUSE request (the table below); none means all, but for flush: a process that
 * ends waits for that, and nobody could end it.
 *
 *   delay MILLISECONDS [OP...]   they are answered so much later; it may have a fraction
 *   fail ERRNO [OP...]           they are not executed, but fail; 0: no more
 *   hang [OP...]                 they wait, and so do those to come, for
 *   release                      which ends all waiting
 *   held                         how many wait
 *   counts                       THREAD:OP=N ... since the last reset; THREAD is the one
 *                                that asked, 0 is the kernel itself
 *   reset                        forgets these
 *
 * When the socket's other side is closed, or the process that started it has ended,
 * nothing waits any more, it is unmounted, and slowfs ends. A signal that interrupts who waits
 * for an answer gives it EINTR at once.
 *
 * All of that is done to requests as the kernel sends them (serve()), without regard to
 * what they mean; libfuse then calls the functions that pass them on. A thread for each
 * request that waits: one does not delay the other. */
#define FUSE_USE_VERSION 31
#include <fuse.h>
#include <fuse_lowlevel.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static struct fuse *fs;
static int top; /* the directory that is shown */
static bool direct, no_types, is_temporary;
static double cache;

/* What is done to requests; all of it is guarded by `lock` ------------------- */

enum { OPCODES = 64 };

static const char *const op_name[OPCODES] = {
  [FUSE_LOOKUP] = "lookup", [FUSE_GETATTR] = "getattr", [FUSE_SETATTR] = "setattr",
  [FUSE_READLINK] = "readlink", [FUSE_SYMLINK] = "symlink", [FUSE_MKNOD] = "mknod",
  [FUSE_MKDIR] = "mkdir", [FUSE_UNLINK] = "unlink", [FUSE_RMDIR] = "rmdir",
  [FUSE_RENAME] = "rename", [FUSE_LINK] = "link", [FUSE_OPEN] = "open", [FUSE_READ] = "read",
  [FUSE_WRITE] = "write", [FUSE_STATFS] = "statfs", [FUSE_RELEASE] = "release",
  [FUSE_FSYNC] = "fsync", [FUSE_SETXATTR] = "setxattr", [FUSE_GETXATTR] = "getxattr",
  [FUSE_LISTXATTR] = "listxattr", [FUSE_REMOVEXATTR] = "removexattr", [FUSE_FLUSH] = "flush",
  [FUSE_OPENDIR] = "opendir", [FUSE_READDIR] = "readdir", [FUSE_RELEASEDIR] = "releasedir",
  [FUSE_FSYNCDIR] = "fsyncdir", [FUSE_GETLK] = "getlk", [FUSE_SETLK] = "setlk",
  [FUSE_SETLKW] = "setlkw", [FUSE_ACCESS] = "access", [FUSE_CREATE] = "create",
  [FUSE_BMAP] = "bmap", [FUSE_IOCTL] = "ioctl", [FUSE_POLL] = "poll",
  [FUSE_FALLOCATE] = "fallocate", [FUSE_READDIRPLUS] = "readdirplus",
  [FUSE_RENAME2] = "rename2", [FUSE_LSEEK] = "lseek",
  [FUSE_COPY_FILE_RANGE] = "copy_file_range", [50] = "syncfs", [51] = "tmpfile",
  [52] = "statx",
};

enum rule { DELAY, FAIL, HANG };

struct count {
  uint32_t thread, op;
  unsigned long n;
};

/* A request that waits. */
struct waiting {
  struct waiting *next;
  uint64_t unique;
  bool interrupted;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed; /* told of interruptions and releases; monotonic */
static unsigned rules[OPCODES][3]; /* delays are in microseconds */
static unsigned long releases;
static unsigned held, listening;
static bool ending;
static struct waiting *waiting;
static struct count *counts;
static size_t ncounts;

static void count_one(uint32_t thread, uint32_t op)
{
  size_t i = 0;

  while (i < ncounts && !(counts[i].thread == thread && counts[i].op == op))
    i++;
  if (i == ncounts) {
    struct count *more = realloc(counts, (ncounts + 1) * sizeof *more);

    if (!more)
      abort();
    counts = more;
    counts[ncounts++] = (struct count){ thread, op, 0 };
  }
  counts[i].n++;
}

static struct timespec later(unsigned us)
{
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_sec += us / 1000000;
  t.tv_nsec += us % 1000000 * 1000L;
  if (t.tv_nsec >= 1000000000L) {
    t.tv_sec++;
    t.tv_nsec -= 1000000000L;
  }
  return t;
}

/* Keeps a request as its rule says; lock held. Returns the errno that it fails with, or 0. */
static int keep(const struct fuse_in_header *in)
{
  struct waiting self = { waiting, in->unique, false };
  unsigned delay = rules[in->opcode][DELAY], fail = rules[in->opcode][FAIL];
  struct timespec end = later(delay);
  unsigned long release = releases;

  if (!op_name[in->opcode] || ending)
    return 0;
  waiting = &self;
  if (rules[in->opcode][HANG]) {
    held++;
    while (!ending && !self.interrupted && releases == release)
      pthread_cond_wait(&changed, &lock);
    held--;
  }
  if (delay)
    while (!ending && !self.interrupted && pthread_cond_timedwait(&changed, &lock, &end) == 0)
      ;
  for (struct waiting **w = &waiting; *w; w = &(*w)->next)
    if (*w == &self) {
      *w = self.next;
      break;
    }
  return self.interrupted ? EINTR : ending ? EIO : (int)fail; /* an end must not let it succeed */
}

/* A signal reached who waits for another request. */
static void interrupt(const struct fuse_interrupt_in *in)
{
  for (struct waiting *w = waiting; w; w = w->next)
    if (w->unique == in->unique)
      w->interrupted = true;
  pthread_cond_broadcast(&changed);
}

/* Requests, from the kernel to libfuse; in as many threads as it takes ------- */

static void *serve(void *arg);

static void start_thread(void)
{
  pthread_attr_t attr;
  pthread_t thread;

  pthread_attr_init(&attr);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attr, 256 * 1024);
  listening++;
  if (pthread_create(&thread, &attr, serve, NULL))
    listening--;
  pthread_attr_destroy(&attr);
}

/* libfuse 3.14 forgets to tell the kernel that names in one directory may be looked up at the
 * same time. It answers by this function, which stands before the C library's. */
static uint64_t first_request;

__attribute__((visibility("default"))) ssize_t writev(int fd, const struct iovec *iov, int n)
{
  const struct fuse_out_header *out = iov[0].iov_base;

  if (n == 2 && iov[1].iov_len >= sizeof(struct fuse_init_out) && out->unique == first_request && !out->error)
    ((struct fuse_init_out *)iov[1].iov_base)->flags |= FUSE_PARALLEL_DIROPS;
  return syscall(SYS_writev, fd, iov, n);
}

/* Whether libfuse shall have it: not when it has failed here. */
static bool admit(struct fuse_session *se, const struct fuse_in_header *in)
{
  int error = 0;

  if (in->opcode < OPCODES && op_name[in->opcode])
    count_one(in->pid, in->opcode);
  if (in->opcode == FUSE_INIT)
    first_request = in->unique;
  else if (in->opcode == FUSE_INTERRUPT)
    interrupt((const void *)(in + 1));
  else if (in->opcode < OPCODES)
    error = keep(in);
  if (error) {
    struct fuse_out_header out = { sizeof out, -error, in->unique };

    if (write(fuse_session_fd(se), &out, sizeof out) < 0)
      return false; /* unmounted meanwhile */
  }
  return !error;
}

static void *serve(void *arg)
{
  struct fuse_session *se = fuse_get_session(fs);
  struct fuse_buf buf = { 0 };
  bool ok, enough = false;
  int n;

  while (!enough) {
    n = fuse_session_receive_buf(se, &buf);
    if (n == -EINTR)
      continue;
    if (n <= 0)
      break;
    pthread_mutex_lock(&lock);
    if (--listening == 0)
      start_thread();
    ok = admit(se, buf.mem);
    pthread_mutex_unlock(&lock);
    if (ok)
      fuse_session_process_buf(se, &buf);
    pthread_mutex_lock(&lock);
    enough = listening >= 8;
    listening += !enough;
    pthread_mutex_unlock(&lock);
  }
  free(buf.mem);
  return arg;
}

/* Files ---------------------------------------------------------------------- */

/* The path below `top`. */
static const char *below(const char *path)
{
  return path[1] ? path + 1 : ".";
}

static int status(int result)
{
  return result < 0 ? -errno : 0;
}

/* For calls that take no descriptor to begin at. */
struct place { char path[64 + 4096]; };

static const char *place_of(struct place *p, const char *path)
{
  snprintf(p->path, sizeof p->path, "/proc/self/fd/%d/%s", top, below(path));
  return p->path;
}

/* What was just made belongs to who asked. */
static int give(const char *path, int result)
{
  const struct fuse_context *who = fuse_get_context();

  if (result < 0)
    return -errno;
  if (geteuid() == 0 && (who->uid || who->gid))
    return status(fchownat(top, below(path), who->uid, who->gid, AT_SYMLINK_NOFOLLOW));
  return 0;
}

static int fd_of(const struct fuse_file_info *fi)
{
  return (int)fi->fh;
}

static int fs_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
  return status(fi ? fstat(fd_of(fi), st) : fstatat(top, below(path), st, AT_SYMLINK_NOFOLLOW));
}

static int fs_readlink(const char *path, char *buf, size_t size)
{
  ssize_t n = readlinkat(top, below(path), buf, size - 1);

  if (n < 0)
    return -errno;
  buf[n] = 0;
  return 0;
}

static int fs_mknod(const char *path, mode_t mode, dev_t dev)
{
  return give(path, mknodat(top, below(path), mode, dev));
}

static int fs_mkdir(const char *path, mode_t mode)
{
  return give(path, mkdirat(top, below(path), mode));
}

static int fs_symlink(const char *text, const char *path)
{
  return give(path, symlinkat(text, top, below(path)));
}

static int fs_unlink(const char *path)
{
  return status(unlinkat(top, below(path), 0));
}

static int fs_rmdir(const char *path)
{
  return status(unlinkat(top, below(path), AT_REMOVEDIR));
}

static int fs_rename(const char *from, const char *to, unsigned flags)
{
  return status((int)syscall(SYS_renameat2, top, below(from), top, below(to), flags));
}

static int fs_link(const char *from, const char *to)
{
  return status(linkat(top, below(from), top, below(to), 0));
}

static int fs_chmod(const char *path, mode_t mode, struct fuse_file_info *fi)
{
  return status(fi ? fchmod(fd_of(fi), mode) : fchmodat(top, below(path), mode, 0));
}

static int fs_chown(const char *path, uid_t uid, gid_t gid, struct fuse_file_info *fi)
{
  return status(fi ? fchown(fd_of(fi), uid, gid)
                : fchownat(top, below(path), uid, gid, AT_SYMLINK_NOFOLLOW));
}

static int fs_truncate(const char *path, off_t length, struct fuse_file_info *fi)
{
  struct place p;

  return status(fi ? ftruncate(fd_of(fi), length) : truncate(place_of(&p, path), length));
}

static int fs_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *fi)
{
  return status(fi ? futimens(fd_of(fi), times)
                : utimensat(top, below(path), times, AT_SYMLINK_NOFOLLOW));
}

static int opened(int fd, struct fuse_file_info *fi)
{
  if (fd < 0)
    return -errno;
  fi->fh = (uint64_t)fd;
  fi->direct_io = direct;
  fi->keep_cache = cache > 0;
  return 0;
}

static int fs_open(const char *path, struct fuse_file_info *fi)
{
  /* the kernel sends offsets with what it appends, and locks by itself */
  return opened(openat(top, below(path), (fi->flags & ~(O_APPEND | O_NOFOLLOW)) | O_CLOEXEC), fi);
}

static int fs_create(const char *path, mode_t mode, struct fuse_file_info *fi)
{
  int fd = openat(top, below(path), (fi->flags & ~O_APPEND) | O_CREAT | O_CLOEXEC, mode);
  int result = opened(fd, fi);

  return result ? result : give(path, 0);
}

static int fs_read(const char *path, char *buf, size_t size, off_t offs, struct fuse_file_info *fi)
{
  ssize_t n = pread(fd_of(fi), buf, size, offs);

  (void)path;
  return n < 0 ? -errno : (int)n;
}

static int fs_write(const char *path, const char *buf, size_t size, off_t offs, struct fuse_file_info *fi)
{
  ssize_t n = pwrite(fd_of(fi), buf, size, offs);

  (void)path;
  return n < 0 ? -errno : (int)n;
}

static int fs_statfs(const char *path, struct statvfs *st)
{
  (void)path;
  return status(fstatvfs(top, st));
}

static int fs_flush(const char *path, struct fuse_file_info *fi)
{
  int fd = dup(fd_of(fi));

  (void)path;
  return fd < 0 ? -errno : status(close(fd));
}

static int fs_release(const char *path, struct fuse_file_info *fi)
{
  (void)path;
  return status(close(fd_of(fi)));
}

static int fs_fsync(const char *path, int data_only, struct fuse_file_info *fi)
{
  (void)path;
  return status(data_only ? fdatasync(fd_of(fi)) : fsync(fd_of(fi)));
}

static int fs_fallocate(const char *path, int mode, off_t offs, off_t length, struct fuse_file_info *fi)
{
  (void)path;
  return status(fallocate(fd_of(fi), mode, offs, length));
}

static off_t fs_lseek(const char *path, off_t offs, int whence, struct fuse_file_info *fi)
{
  off_t result = lseek(fd_of(fi), offs, whence);

  (void)path;
  return result < 0 ? -errno : result;
}

static ssize_t fs_copy_file_range(const char *path, struct fuse_file_info *in, off_t from,
                                  const char *path2, struct fuse_file_info *out, off_t to,
                                  size_t size, int flags)
{
  ssize_t n = copy_file_range(fd_of(in), &from, fd_of(out), &to, size, (unsigned)flags);

  (void)path, (void)path2;
  return n < 0 ? -errno : n;
}

static int fs_setxattr(const char *path, const char *name, const char *value, size_t size, int flags)
{
  struct place p;

  return status(lsetxattr(place_of(&p, path), name, value, size, flags));
}

static int fs_getxattr(const char *path, const char *name, char *value, size_t size)
{
  struct place p;
  ssize_t n = lgetxattr(place_of(&p, path), name, value, size);

  return n < 0 ? -errno : (int)n;
}

static int fs_listxattr(const char *path, char *list, size_t size)
{
  struct place p;
  ssize_t n = llistxattr(place_of(&p, path), list, size);

  return n < 0 ? -errno : (int)n;
}

static int fs_removexattr(const char *path, const char *name)
{
  struct place p;

  return status(lremovexattr(place_of(&p, path), name));
}

static int fs_opendir(const char *path, struct fuse_file_info *fi)
{
  int fd = openat(top, below(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);

  if (!dir)
    return -errno;
  fi->fh = (uintptr_t)dir;
  return 0;
}

static int fs_readdir(const char *path, void *into, fuse_fill_dir_t fill, off_t offs,
                      struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
  DIR *dir = (DIR *)(uintptr_t)fi->fh;
  struct dirent *entry;

  (void)path, (void)flags;
  if (offs)
    seekdir(dir, offs);
  else
    rewinddir(dir);
  while (errno = 0, (entry = readdir(dir))) {
    struct stat st = { .st_ino = entry->d_ino, .st_mode = no_types ? 0 : (mode_t)DTTOIF(entry->d_type) };

    if (fill(into, entry->d_name, &st, telldir(dir), 0))
      return 0;
  }
  return -errno;
}

static int fs_releasedir(const char *path, struct fuse_file_info *fi)
{
  (void)path;
  return status(closedir((DIR *)(uintptr_t)fi->fh));
}

static int fs_fsyncdir(const char *path, int data_only, struct fuse_file_info *fi)
{
  (void)path, (void)data_only;
  return status(fsync(dirfd((DIR *)(uintptr_t)fi->fh)));
}

static void *fs_init(struct fuse_conn_info *conn, struct fuse_config *cfg)
{
  cfg->use_ino = 1;
  cfg->hard_remove = 1;
  cfg->nullpath_ok = 0;
  cfg->entry_timeout = cfg->attr_timeout = cache;
  cfg->negative_timeout = 0;
  /* admit() wants requests in memory, entries tell no more than they have to, and what
   * the kernel sends in the background is limited to what it has. */
  conn->want &= ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_READDIRPLUS);
  conn->max_background = 4096;
  return NULL;
}

static const struct fuse_operations operations = {
  .init = fs_init, .getattr = fs_getattr, .readlink = fs_readlink, .mknod = fs_mknod,
  .mkdir = fs_mkdir, .symlink = fs_symlink, .unlink = fs_unlink, .rmdir = fs_rmdir,
  .rename = fs_rename, .link = fs_link, .chmod = fs_chmod, .chown = fs_chown,
  .truncate = fs_truncate, .utimens = fs_utimens, .open = fs_open, .create = fs_create,
  .read = fs_read, .write = fs_write, .statfs = fs_statfs, .flush = fs_flush,
  .release = fs_release, .fsync = fs_fsync, .fallocate = fs_fallocate, .lseek = fs_lseek,
  .copy_file_range = fs_copy_file_range, .setxattr = fs_setxattr, .getxattr = fs_getxattr,
  .listxattr = fs_listxattr, .removexattr = fs_removexattr, .opendir = fs_opendir,
  .readdir = fs_readdir, .releasedir = fs_releasedir, .fsyncdir = fs_fsyncdir,
};

/* Commands ------------------------------------------------------------------- */

/* Sets a rule of the operations named; without any, of all. Returns a name that is
 * none, or NULL. */
static const char *set_rule(enum rule rule, unsigned value, char **names)
{
  char *name = strtok_r(NULL, " ", names);
  bool all = !name;

  do {
    bool found = all;

    for (int op = 0; op < OPCODES; op++)
      if (op_name[op] && (all ? op != FUSE_FLUSH || !value : !strcmp(op_name[op], name))) {
        rules[op][rule] = value;
        found = true;
      }
    if (!found)
      return name;
  } while (!all && (name = strtok_r(NULL, " ", names)));
  return NULL;
}

static void execute(char *line, FILE *out)
{
  char *rest = NULL, *what = strtok_r(line, " ", &rest), *number;
  const char *wrong = NULL;

  if (!what)
    wrong = "nothing";
  else if (!strcmp(what, "delay") || !strcmp(what, "fail")) {
    number = strtok_r(NULL, " ", &rest);
    wrong = !number ? "no number" : *what == 'd' ? set_rule(DELAY, (unsigned)(strtod(number, NULL) * 1000 + 0.5), &rest)
      : set_rule(FAIL, (unsigned)strtoul(number, NULL, 10), &rest);
  } else if (!strcmp(what, "hang"))
    wrong = set_rule(HANG, 1, &rest);
  else if (!strcmp(what, "release")) {
    for (int op = 0; op < OPCODES; op++)
      rules[op][HANG] = 0;
    releases++;
    pthread_cond_broadcast(&changed);
  } else if (!strcmp(what, "held")) {
    fprintf(out, "ok %u\n", held);
    return;
  } else if (!strcmp(what, "counts")) {
    fputs("ok", out);
    for (size_t i = 0; i < ncounts; i++)
      fprintf(out, " %u:%s=%lu", (unsigned)counts[i].thread, op_name[counts[i].op], counts[i].n);
    fputc('\n', out);
    return;
  } else if (!strcmp(what, "reset"))
    ncounts = 0;
  else
    wrong = what;
  fprintf(out, wrong ? "error %s\n" : "ok\n", wrong);
}

static volatile sig_atomic_t stopped;

static void stop(int signo)
{
  (void)signo;
  stopped = 1;
}

/* Signals reach this thread, and only while it waits. */
static void obey(const sigset_t *while_waiting)
{
  struct pollfd p[] = { { .fd = 0, .events = POLLIN }, { .events = POLLIN } };
  FILE *out = fdopen(dup(0), "w");
  char line[4096];
  size_t used = 0;
  char *end;
  ssize_t n;

  /* a child of its may have the socket, too, and wait for us */
  p[1].fd = (int)syscall(SYS_pidfd_open, getppid(), 0);
  if (!out)
    return;
  fputs("ok\n", out);
  fflush(out);
  while (!stopped) {
    if (ppoll(p, 2, NULL, while_waiting) < 0)
      continue;
    if (p[1].revents)
      break;
    n = read(0, line + used, sizeof line - 1 - used);
    if (n <= 0)
      break;
    used += (size_t)n;
    while ((end = memchr(line, '\n', used))) {
      *end = 0;
      pthread_mutex_lock(&lock);
      execute(line, out);
      pthread_mutex_unlock(&lock);
      fflush(out);
      used -= (size_t)(end + 1 - line);
      memmove(line, end + 1, used);
    }
  }
}

static int usage(void)
{
  fprintf(stderr, "usage: slowfs [--direct] [--no-types] [--remove] [--cache SECONDS] DIRECTORY MOUNTPOINT\n");
  return 2;
}

static void prepare(sigset_t *were)
{
  static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
  struct sigaction action = { .sa_handler = stop };
  pthread_condattr_t attr;
  sigset_t all;

  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_TIMERSLACK, 1000); /* threads inherit it */
  for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
    sigaction(signals[i], &action, NULL);
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, were);
  for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
    sigdelset(were, signals[i]);
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&changed, &attr);
  umask(0);
}

int main(int argc, char **argv)
{
  char *options[] = { argv[0], "-o", "fsname=slowfs,subtype=slowfs,default_permissions,allow_other", NULL };
  struct fuse_args args = FUSE_ARGS_INIT(3, options);
  sigset_t while_waiting;
  int i;

  for (i = 1; i < argc && *argv[i] == '-'; i++)
    if (!strcmp(argv[i], "--direct"))
      direct = true;
    else if (!strcmp(argv[i], "--no-types"))
      no_types = true;
    else if (!strcmp(argv[i], "--remove"))
      is_temporary = true;
    else if (!strcmp(argv[i], "--cache") && i + 1 < argc)
      cache = strtod(argv[++i], NULL);
    else
      return usage();
  if (argc != i + 2)
    return usage();
  top = open(argv[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (top < 0) {
    perror(argv[i]);
    return 1;
  }
  prepare(&while_waiting);
  fs = fuse_new(&args, &operations, sizeof operations, NULL);
  if (!fs || fuse_mount(fs, argv[i + 1]) != 0)
    return 1;
  pthread_mutex_lock(&lock);
  start_thread();
  pthread_mutex_unlock(&lock);
  obey(&while_waiting);
  pthread_mutex_lock(&lock);
  ending = true;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
  if (!freopen("/dev/null", "w", stderr)) /* libfuse complains of requests that are under way */
    close(2);
  fuse_unmount(fs); /* what still waits for an answer gets an error */
  if (is_temporary)
    rmdir(argv[i + 1]);
  _exit(0);
}
