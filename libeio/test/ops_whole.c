/* ops_whole.c - whatever happens at whatever system call of a copy, a move or an atomic
 * write, the source or the target is whole, and nothing else is touched: the call fails, the
 * request is cancelled, the process is killed, or somebody appends to the source,
 * cuts it, or puts another file in its place. And everything that takes many calls
 * stops soon when it is cancelled. */
#include "supervise.h"

#ifdef NO_SUPERVISION

int main(void)
{
  return tap_skip_all(NO_SUPERVISION);
}

#else

# include <sys/mman.h>
# include <sys/mount.h>

/* What happens at which call: shared with children. */
enum event { NOTHING, FAIL, CANCEL, KILL, APPEND, CUT, ROTATE, EXCHANGE };
static const char *const event_names[] = { "nothing", "failure", "cancel", "kill", "append", "cut", "cut, and append at the next call", "exchange" };

static struct shared {
  atomic_int countdown; /* calls until then; -1: not now */
  atomic_int calls;     /* since then, but for those that never_fails() */
  atomic_bool happened; /* successfully */
  long nr;              /* at this call */
} *shared;
static enum event event;
static int error_now;
static pid_t parent; /* the thread that is supervised */
static eio_req *req_now;
enum { SIZE = 98304, LESS = 32768 }; /* whole blocks can be shared */
static char src[4200], other[4200];

static bool append(void)
{
  int fd = open(src, O_WRONLY | O_APPEND);

  if (fd < 0)
    return false;
  if (write(fd, "CCCCCCCCCC", 10) != 10)
    bail_out("append");
  return close(fd) == 0;
}

/* In the thread that supervises, which is a holder of all rights. */
static bool let_happen(const struct seccomp_notif *call)
{
  switch (event) {
  case CANCEL: eio__flag_set(req_now, EIO_CANCELLED); return true;
  case KILL: return kill((pid_t)call->pid, SIGKILL) == 0;
  case APPEND: return append();
  case CUT: case ROTATE: return truncate(src, LESS) == 0;
  case EXCHANGE: return rename(other, src) == 0;
  default: return true;
  }
}

static int on_call(const struct seccomp_notif *call)
{
  if (atomic_load(&shared->countdown) < 0) {
    if (!never_fails(call->data.nr) && atomic_fetch_add(&shared->calls, 1) == 0 && event == ROTATE)
      append(); /* an allocator's calls are not the operation's */
    return 0;
  }
  if (event == KILL && (pid_t)call->pid == parent)
    return 0;
  if (event == FAIL && never_fails(call->data.nr))
    return 0;
  /* nobody can look and remove at once */
  if (event == EXCHANGE && call->data.nr == SYS_unlinkat)
    return 0;
  if (atomic_fetch_sub(&shared->countdown, 1) > 0)
    return 0;
  shared->nr = call->data.nr;
  if (event == FAIL && call->data.nr == SYS_close)
    close((int)call->data.args[0]); /* as Linux does, whatever it says */
  atomic_store(&shared->happened, let_happen(call));
  atomic_store(&shared->calls, 0);
  return event == FAIL ? error_now : 0;
}

/* Files ------------------------------------------------------------------- */

enum source { DATA, SPARSE, LINK };
enum target { NONE, LONGER, NAMES, TO_LINK };

static const struct {
  const char *name;
  enum eio_op op;
  enum source source;
  enum target target;
  int flags; /* EIO_SPEW_... */
} cases[] = {
  { "copy", EIO_COPY, DATA, NONE, 0 },
  { "copy over a longer file", EIO_COPY, DATA, LONGER, 0 },
  { "copy over a file with two names", EIO_COPY, DATA, NAMES, 0 },
  { "copy to a link", EIO_COPY, DATA, TO_LINK, 0 },
  { "copy of holes", EIO_COPY, SPARSE, NONE, 0 },
  { "copy of holes over a longer file", EIO_COPY, SPARSE, LONGER, 0 },
  { "move", EIO_MOVE, DATA, NONE, 0 },
  { "move over a longer file", EIO_MOVE, DATA, LONGER, 0 },
  { "move over a file with two names", EIO_MOVE, DATA, NAMES, 0 },
  { "move over a link", EIO_MOVE, DATA, TO_LINK, 0 },
  { "move of holes", EIO_MOVE, SPARSE, LONGER, 0 },
  { "move of a link", EIO_MOVE, LINK, LONGER, 0 },
  { "write", EIO_SPEW, DATA, NONE, EIO_SPEW_ATOMIC },
  { "write over a file", EIO_SPEW, DATA, LONGER, EIO_SPEW_ATOMIC },
  { "write over a file with two names, to the disk", EIO_SPEW, DATA, NAMES, EIO_SPEW_ATOMIC | EIO_SPEW_DURABLE },
  { "write to a link", EIO_SPEW, DATA, TO_LINK, EIO_SPEW_ATOMIC },
  { "write over a link", EIO_SPEW, DATA, TO_LINK, EIO_SPEW_ATOMIC | EIO_SPEW_NOFOLLOW },
  { "write of a new file only", EIO_SPEW, DATA, NONE, EIO_SPEW_NOREPLACE | EIO_SPEW_SYNC },
};
enum { CASES = sizeof cases / sizeof *cases };

static char whole[SIZE + 10], old[SIZE * 2];
static char far[4096];                         /* on another file system */
static char dir[4200], dst[4300], second[4300]; /* where targets are, and which */

/* Copies stay on their file system, which may be able to share blocks. */
static void set_targets(enum eio_op op)
{
  snprintf(dir, sizeof dir, "%s%s", op == EIO_MOVE ? far : scratch_path, op == EIO_MOVE ? "" : "/near");
  snprintf(dst, sizeof dst, "%s/dst", dir);
  snprintf(second, sizeof second, "%s/second", dir);
}

/* What a file holds: 'o' what was in the target, 'w' all of the source, '+' that and
 * what was appended, 'c' a source that was cut, 'r' and got something else then, 'z' the other source, 'e' nothing,
 * '-' no such file, 'l' a symbolic link, '?' anything else. */
static char holds(const char *path)
{
  static char buf[SIZE * 3];
  int fd = open(path, O_RDONLY | O_NOFOLLOW);
  struct stat st;
  ssize_t n;

  if (fd < 0 && errno == EACCES) { /* a copy that could not get its mode */
    st = stat_of(path);
    chmod(path, 0600);
    fd = open(path, O_RDONLY | O_NOFOLLOW);
    chmod(path, st.st_mode & 07777);
  }
  if (fd < 0)
    return errno == ELOOP ? 'l' : '-';
  n = read(fd, buf, sizeof buf);
  close(fd);
  if (n == 0)
    return 'e';
  if (n == sizeof old && !memcmp(buf, old, sizeof old))
    return 'o';
  if (n == 1 && *buf == 'Z')
    return 'z';
  if (n == SIZE + 10 && !memcmp(buf, whole, SIZE) && !memcmp(buf + SIZE, "CCCCCCCCCC", 10))
    return '+';
  if (n == SIZE && !memcmp(buf, whole, SIZE))
    return 'w';
  if (n >= LESS && n < SIZE && !memcmp(buf, whole, (size_t)n))
    return 'c';
  if (n == LESS + 10 && !memcmp(buf, whole, LESS) && !memcmp(buf + LESS, "CCCCCCCCCC", 10))
    return 'r';
  return '?';
}

static void clear_targets(void)
{
  char path[4600];
  struct dirent *entry;
  DIR *list = opendir(dir);

  if (!list)
    bail_out("opendir");
  while ((entry = readdir(list))) {
    snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
    unlink(path);
  }
  closedir(list);
}

static int count_targets(void)
{
  DIR *list = opendir(dir);
  int n = -2;

  while (readdir(list))
    n++;
  closedir(list);
  return n;
}

static void prepare(unsigned n)
{
  int fd;

  unlink(src);
  clear_targets();
  put(other, "Z");
  memset(whole, 'A', SIZE);
  if (cases[n].source == LINK) {
    if (symlink("to somewhere", src) < 0)
      bail_out("symlink");
  } else if (cases[n].source == SPARSE) {
    memset(whole + 5000, 0, 75000);
    fd = open_for_test(src, O_WRONLY | O_CREAT);
    if (pwrite(fd, whole, 5000, 0) != 5000 || pwrite(fd, whole + 80000, SIZE - 80000, 80000) != SIZE - 80000)
      bail_out("sparse");
    close(fd);
  } else
    put_data(src, whole, SIZE);
  if (cases[n].target != NONE)
    put_data(cases[n].target == TO_LINK ? second : dst, old, sizeof old);
  if (cases[n].target == NAMES ? link(dst, second) < 0
      : cases[n].target == TO_LINK && symlink(second, dst) < 0)
    bail_out("link");
}

/* Judgement --------------------------------------------------------------- */

static bool among(char c, const char *set)
{
  return strchr(set, c) != NULL;
}

/* Whether a source that is there is what it was, or became. */
static bool source_is_whole(unsigned n, char s)
{
  return cases[n].source == LINK ? s == 'l' : among(s, event == CUT ? "wc" : event == ROTATE ? "wcr+" : "w+");
}

/* What a copy that has ended may leave: all of a source, or nothing of it. */
static bool copy_is_fine(unsigned n, int64_t result)
{
  char s = holds(src), t = holds(cases[n].target == TO_LINK ? second : dst);
  char o = cases[n].target == NAMES ? holds(second) : 'e';

  if (s != 'z' && !source_is_whole(n, s))
    return false;
  if (cases[n].target == TO_LINK && holds(dst) != 'l')
    return false;
  if (event == KILL) /* what is not whole is closed to others */
    return among(t, "ow-e") || (stat_of(cases[n].target == TO_LINK ? second : dst).st_mode & 07777) == 0200;
  if (result == 0)
    return among(t, event == APPEND ? "w+" : event == CUT ? "wc" : event == ROTATE ? "wcr" : event == EXCHANGE ? "wz" : "w");
  return among(t, "o-e") && among(o, "oe");
}

static bool move_is_fine(unsigned n, int64_t result)
{
  bool is_link = cases[n].source == LINK;
  const char *target = is_link ? (event == EXCHANGE ? "lz" : "l") : event == APPEND ? "w+" : event == CUT ? "wc" : event == ROTATE ? "wcr"
    : event == EXCHANGE ? "wz" : "w";
  char s = holds(src), t = holds(dst), before = cases[n].target == NONE ? '-' : cases[n].target == TO_LINK ? 'l' : 'o';
  bool arrived = among(t, target) && (t != before || s == '-');

  if (cases[n].target >= NAMES && holds(second) != 'o')
    return false;
  if (t != before && !arrived)
    return false;
  if (event == EXCHANGE && atomic_load(&shared->happened) && s != 'z' && t != 'z')
    return false;
  if (s == '-' ? !arrived : s != 'z' && !source_is_whole(n, s))
    return false;
  if (event == KILL)
    return true;
  if (count_targets() > (t != '-') + (cases[n].target >= NAMES) + (event == FAIL && shared->nr == SYS_unlinkat))
    return false;
  if (event == APPEND && result == 0 && atomic_load(&shared->happened) && !is_link)
    return s == '-' && t == '+';
  return result < 0 || (arrived && s == '-') || event == EXCHANGE;
}

/* The old file or all of the new one, whatever happens. */
static bool spew_is_fine(unsigned n, int64_t result)
{
  bool replaced = cases[n].flags & EIO_SPEW_NOFOLLOW, through = cases[n].target == TO_LINK && !replaced;
  char t = holds(through ? second : dst), before = cases[n].target == NONE ? '-' : through || cases[n].target != TO_LINK ? 'o' : 'l';
  int names = (holds(dst) != '-') + (cases[n].target >= NAMES);

  if ((t != 'w' && t != before) || (result == 0 && event != KILL && t != 'w'))
    return false;
  if (through ? holds(dst) != 'l' : cases[n].target >= NAMES && holds(second) != 'o')
    return false;
  return event == KILL || count_targets() <= names + (event == FAIL && shared->nr == SYS_unlinkat);
}

static eio_req request_of(unsigned n)
{
  eio_req req = on_paths(cases[n].op, NULL, src, NULL, dst);

  if (cases[n].op != EIO_SPEW)
    return req;
  req = on_path(EIO_SPEW, NULL, dst);
  req.buf = whole;
  req.size = SIZE;
  req.arg1 = cases[n].flags;
  req.arg2 = -1;
  return req;
}

/* One event at the nth call; false when there are fewer. */
static bool happens(unsigned n, int nth)
{
  eio_req req = request_of(n);
  int before, status;
  bool fine;
  pid_t pid;

  prepare(n);
  before = open_fds();
  req_now = &req;
  atomic_store(&shared->happened, false);
  atomic_store(&shared->calls, 1); /* only after an event it counts */
  if (event == KILL) {
    pid = fork();
    if (pid == 0) {
      atomic_store(&shared->countdown, nth);
      eio_execute(&req);
      atomic_store(&shared->countdown, -1);
      _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
      bail_out("no child");
    if (WIFEXITED(status))
      return false;
    atomic_store(&shared->countdown, -1);
  } else {
    atomic_store(&shared->countdown, nth);
    eio_execute(&req);
    if (atomic_exchange(&shared->countdown, -1) >= 0)
      return false;
  }
  fine = cases[n].op == EIO_COPY ? copy_is_fine(n, req.result) : cases[n].op == EIO_MOVE ? move_is_fine(n, req.result)
    : spew_is_fine(n, req.result);
  fine = fine && open_fds() == before && (event != CANCEL || req.result == 0 || req.errorno == ECANCELED);
  if (!fine) {
    printf("# %s, %s at call %d (number %ld, error %s): result %jd, %s; source %c, target %c, other %c, %d there\n",
           cases[n].name, event_names[event], nth, shared->nr, strerror(error_now), (intmax_t)req.result,
           strerror(req.errorno), holds(src), holds(dst), holds(second), count_targets());
    tap_failed++;
  }
  eio_req_finish(&req);
  return true;
}

static void all_events(unsigned n)
{
  static const int errors[] = { EIO, EINVAL, EPERM, EXDEV, ENOENT, EMFILE };
  int failed = tap_failed, total = 0;

  for (event = FAIL; event <= (cases[n].op == EIO_SPEW ? KILL : EXCHANGE); event++)
    for (unsigned e = 0; e < (event == FAIL ? sizeof errors / sizeof *errors : 1); e++) {
      int nth = 0;

      error_now = event == FAIL ? errors[e] : 0;
      if (cases[n].source == LINK && (event == APPEND || event == CUT || event == ROTATE))
        continue;
      while (happens(n, nth))
        nth++;
      total += nth;
    }
  failed = tap_failed - failed;
  tap_failed -= failed;
  is_int(failed, 0, "%s: source or target is whole after each of %d events", cases[n].name, total);
}

/* Cancelling --------------------------------------------------------------- */

enum { SOON = 40 }; /* calls: to close and to remove what there is */

/* A directory that takes a dozen calls to read. */
static void make_names(void)
{
  char path[300];

  mkdir("names", 0755);
  for (int i = 0; i < 3000; i++) {
    snprintf(path, sizeof path, "names/%0200d", i);
    put(path, "");
  }
}

static void make_many(void)
{
  char path[40];

  mkdir("tree", 0755);
  for (int i = 0; i < 60; i++) {
    snprintf(path, sizeof path, "tree/%d", i);
    mkdir(path, 0755);
    strcat(path, "/f");
    put(path, "");
  }
}

/* All that can go on for ever, or for long, after any of the first calls. */
static void test_cancelled(void)
{
  int zero = open_for_test("/dev/zero", O_RDONLY), null = open_for_test("/dev/null", O_WRONLY);
  eio_req endless[] = {
    on_path(EIO_LOAD, NULL, "/dev/zero"),
    on_path(EIO_SLURP, NULL, "/dev/zero"),
    on_path(EIO_SLURP, NULL, "/dev/zero"),
    on_paths(EIO_COPY, NULL, "/dev/zero", NULL, "/dev/null"),
    on_paths(EIO_COPY, NULL, "/dev/zero", NULL, dst),
    on_data(EIO_SENDFILE, null, 0, NULL, INT64_MAX),
    on_path(EIO_RMTREE, NULL, "tree"),
    on_path(EIO_SCANDIR, NULL, "names"),
    on_path(EIO_READDIRX, NULL, "names"),
  };

  endless[1].offs = -1;
  endless[2].size = UINT64_C(1) << 40;
  endless[5].arg1 = zero;
  event = CANCEL;
  for (unsigned i = 0; i < sizeof endless / sizeof *endless; i++) {
    const char *name = eio_op_info(endless[i].op)->name;
    int late = 0, wrong = 0, soon = i < 7 ? SOON : SOON / 4;

    for (int nth = 0; nth < 8; nth++) {
      eio_req req = endless[i];

      make_many();
      req_now = &req;
      atomic_store(&shared->countdown, nth);
      eio_execute(&req);
      late += atomic_load(&shared->calls) > soon;
      atomic_store(&shared->countdown, -1);
      wrong += req.op == EIO_SENDFILE ? req.result == INT64_MAX : req.result >= 0 || req.errorno != ECANCELED;
      eio_req_finish(&req);
    }
    is_int(late, 0, "%s stops soon when it is cancelled", name);
    is_int(wrong, 0, "and says so");
  }
  unlink(dst);
  close(zero);
  close(null);
}

/* -------------------------------------------------------------------------- */

static void *subject(void *arg)
{
  if (!begin_supervision()) {
    skip(1, "seccomp has no supervisor here");
    return arg;
  }
  parent = (pid_t)syscall(SYS_gettid);
  for (unsigned n = 0; n < CASES; n++) {
    set_targets(cases[n].op);
    if (cases[n].op == EIO_MOVE && stat_of(far).st_dev == stat_of(scratch_path).st_dev)
      skip(1, "no other file system");
    else
      all_events(n);
  }
  test_cancelled();
  return arg;
}

int main(void)
{
  pthread_t thread;
  bool mounted;

  if (under_valgrind())
    return tap_skip_all("valgrind does not know seccomp, and its own calls would be supervised as well");
  scratch_begin();
  first_thread();
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED)
    bail_out("mmap");
  atomic_store(&shared->countdown, -1);
  memset(old, 'B', sizeof old);
  snprintf(far, sizeof far, "/dev/shm/eio-far-XXXXXX");
  mounted = mkdtemp(far) && stat_of(far).st_dev == stat_of(scratch_path).st_dev && mount("tmpfs", far, "tmpfs", 0, "") == 0;
  snprintf(src, sizeof src, "%s/src", scratch_path);
  snprintf(other, sizeof other, "%s/other", scratch_path);
  if (mkdir("near", 0755) < 0)
    bail_out("mkdir");
  make_names();
  if (pthread_create(&thread, NULL, subject, NULL))
    bail_out("no thread");
  pthread_join(thread, NULL);
  clear_targets();
  if (mounted)
    umount(far);
  rmdir(far);
  return scratch_end(atomic_load(&listener) < 0 ? 0 : 1); /* the supervisor's */
}

#endif
