/* ops_cptree.c - whatever happens at whatever system call of a copy of a tree (the call fails,
 * the request is cancelled, the process is killed), the source stays as it is, and a name in the
 * target leads to what it led to before, or to a whole copy, also where what the source does not
 * have is removed. A move leaves each whole in one of the two. Few calls are needed. */
#include "supervise.h"

#ifdef NO_SUPERVISION

int main(void)
{
  return tap_skip_all(NO_SUPERVISION);
}

#else

# include <sys/mman.h>

/* DRY: with DELETE. */
static enum { COPY, UPDATE, DELETE, DRY, MOVE } kind;
static const char *const kind_names[] = { "copy", "copy to where something is", "mirror", "dry mirror", "move" };

enum event { FAIL, CANCEL, KILL };
static const char *const event_names[] = { "failure", "cancel", "kill" };

/* What happens at which call: shared with children. */
static struct shared {
  atomic_int countdown; /* calls until then; -1: not now */
  atomic_bool happened;
  atomic_bool crossed;  /* MOVE: it has been said that the target is on another file system */
  atomic_int calls;
} *shared;
static enum event event;
static int error_now;
static pid_t parent; /* the thread that is supervised */
static eio_req *req_now;

static bool renames(long nr)
{
# ifdef SYS_rename
  if (nr == SYS_rename)
    return true;
# endif
  return nr == SYS_renameat || nr == SYS_renameat2;
}

static int on_call(const struct seccomp_notif *call)
{
  if (!never_fails(call->data.nr))
    atomic_fetch_add(&shared->calls, 1);
  if (kind == MOVE && renames(call->data.nr) && !atomic_exchange(&shared->crossed, true))
    return EXDEV;
  if (atomic_load(&shared->countdown) < 0 || (event == KILL && (pid_t)call->pid == parent)
      || (event == FAIL && never_fails(call->data.nr)) || atomic_fetch_sub(&shared->countdown, 1) > 0)
    return 0;
  atomic_store(&shared->happened, true);
  switch (event) {
  case KILL: kill((pid_t)call->pid, SIGKILL); return 0;
  case CANCEL: eio__flag_set(req_now, EIO_CANCELLED); return 0;
  default:
    if (call->data.nr == SYS_close)
      close((int)call->data.args[0]); /* as Linux does, whatever it says */
    return error_now;
  }
}

/* Trees ---------------------------------------------------------------------- */

/* What a file or link is and holds; "-": nothing. Temporary names are nothing. */
static char *whole(const char *path)
{
  static char text[4][300];
  static int turn;
  char *to = text[turn++ % 4], data[100] = "";
  struct stat st;
  ssize_t n = 0;
  int fd;

  if (lstat(path, &st) < 0)
    return strcpy(to, "-");
  if (S_ISLNK(st.st_mode))
    n = readlink(path, data, sizeof data - 1);
  else if (S_ISREG(st.st_mode)) {
    fd = open(path, O_RDONLY);
    n = read(fd, data, sizeof data - 1);
    close(fd);
  }
  data[n > 0 ? n : 0] = 0;
  snprintf(to, sizeof text[0], "%o %ld.%ld %s", (unsigned)st.st_mode, (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, data);
  return to;
}

static const char *const names[] = { "a", "d/b", "d/link", "d/e/c", "d/second", "pipe" };
enum { NAMES = sizeof names / sizeof *names };

static const struct timespec times[2] = { { 1000000000, 123456789 }, { 1000000000, 987654321 } };

static void made(const char *path, int result)
{
  if (result < 0 || utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) < 0)
    bail_out("%s", path);
}

static void prepare(void)
{
  static const char *const dirs[] = { "src", "src/d", "src/d/e" };

  just(on_path(EIO_RMTREE, NULL, "src"));
  just(on_path(EIO_RMTREE, NULL, "to"));
  for (int i = 0; i < 3; i++)
    if (mkdir(dirs[i], 0755) < 0)
      bail_out("mkdir");
  put("src/a", "a file");
  put("src/d/b", "another");
  put("src/d/e/c", "third");
  made("src/a", chmod("src/a", 04751));
  made("src/d/b", link("src/d/b", "src/d/second"));
  made("src/d/e/c", chmod("src/d/e/c", 0604));
  made("src/d/link", symlink("nowhere", "src/d/link"));
  made("src/pipe", mkfifo("src/pipe", 0600));
  for (int i = 3; i-- > 0;)
    made(dirs[i], 0);
  if (kind == COPY || kind == MOVE)
    return;
  if (mkdir("to", 0755) < 0 || mkdir("to/d", 0755) < 0)
    bail_out("mkdir");
  put("to/a", "old a");
  put("to/d/b", "old b");
  if (mkdir("to/gone", 0755) < 0 || mkdir("to/d/e", 0755) < 0)
    bail_out("mkdir");
  put("to/gone/x", "x");
  put("to/d/gone", "gone");
}

static bool has_temporary(const char *path)
{
  DIR *list = opendir(path);
  struct dirent *entry;
  bool found = false;

  while (list && (entry = readdir(list)))
    found |= !strncmp(entry->d_name, ".aio-", 5);
  if (list)
    closedir(list);
  return found;
}

/* What each name was, and has to be. */
static char before[NAMES][300], source[NAMES][300];

static void remember(void)
{
  char path[100];

  for (int i = 0; i < NAMES; i++) {
    snprintf(path, sizeof path, "src/%s", names[i]);
    strcpy(source[i], whole(path));
    snprintf(path, sizeof path, "to/%s", names[i]);
    strcpy(before[i], whole(path));
  }
}

/* An attribute that could not be given is no failure, and may make it less accessible only. */
static bool is_copy(const char *got, const char *want, bool attributes_failed)
{
  unsigned mode, wanted;
  const char *data = strrchr(want, '.');

  if (!strcmp(got, want))
    return true;
  if (!attributes_failed || sscanf(got, "%o", &mode) != 1 || sscanf(want, "%o", &wanted) != 1)
    return false;
  data = strchr(data, ' ');
  return !(mode & ~wanted & ~0200u) && strchr(got, '.') && !strcmp(strchr(strchr(got, '.'), ' '), data);
}

/* Each is whole on one side, and after a success on the other one only. */
static bool is_kept(int64_t result)
{
  char path[100];

  for (int i = 0; i < NAMES; i++) {
    const char *from, *to;

    snprintf(path, sizeof path, "src/%s", names[i]);
    from = whole(path);
    snprintf(path, sizeof path, "to/%s", names[i]);
    to = whole(path);
    if ((result == 0 || strcmp(from, source[i])) && (strcmp(from, "-") || !is_copy(to, source[i], event == FAIL))) {
      diag("%s: was %s, is %s, moved to %s, result %d", names[i], source[i], from, to, (int)result);
      return false;
    }
  }
  return true;
}

/* What only the target has is removed when all has been done, and not where nothing is to be. */
static bool is_deleted(int64_t result)
{
  bool all = exists("to/gone/x") && exists("to/d/gone"), none = !exists("to/gone") && !exists("to/d/gone");

  return kind == DELETE ? result < 0 || none : kind == COPY || all;
}

static bool is_fine(int64_t result)
{
  char path[100];

  if (kind == MOVE)
    return is_kept(result);
  if (!is_deleted(result)) {
    diag("deleted, or not, result %d", (int)result);
    return false;
  }

  for (int i = 0; i < NAMES; i++) {
    const char *now;

    snprintf(path, sizeof path, "src/%s", names[i]);
    if (strcmp(whole(path), source[i])) {
      diag("%s: was %s, is %s", path, source[i], whole(path));
      return false;
    }
    snprintf(path, sizeof path, "to/%s", names[i]);
    now = whole(path);
    if ((kind == DRY || !is_copy(now, source[i], event == FAIL)) && (strcmp(now, before[i]) || (result == 0 && kind != DRY))) {
      diag("%s: was %s, is %s, result %d", path, before[i], now, (int)result);
      return false;
    }
  }
  if (event == KILL)
    return true;
  return event == FAIL || !(has_temporary("to") || has_temporary("to/d") || has_temporary("to/d/e"));
}

/* Copies, with the event at a call. */
static int64_t copy(int nth)
{
  eio_req req = on_paths(kind == MOVE ? EIO_MVTREE : EIO_CPTREE, NULL, "src", NULL, "to");
  int64_t result = -1;
  int status;
  pid_t pid;

  if (kind == DELETE || kind == DRY)
    req.arg1 = EIO_CP_SYNC | EIO_CP_DELETE | EIO_CP_TELL | (kind == DRY ? EIO_CP_DRY : 0);
  req_now = &req;
  atomic_store(&shared->happened, false);
  atomic_store(&shared->crossed, false);
  if (event == KILL) {
    pid = fork();
    if (!pid) {
      atomic_store(&shared->countdown, nth);
      eio_execute(&req);
      atomic_store(&shared->countdown, -1);
      _exit(0);
    }
    waitpid(pid, &status, 0);
    atomic_store(&shared->countdown, -1);
    return -1;
  }
  atomic_store(&shared->countdown, nth);
  eio_execute(&req);
  atomic_store(&shared->countdown, -1);
  result = req.result;
  eio_req_finish(&req);
  return result;
}

static void all_calls(void)
{
  static const int errors[] = { EIO, ENOSPC, EMFILE, ENOMEM };
  int bad = 0, total = 0;

  for (unsigned e = 0; e < (event == FAIL ? 4 : 1); e++) {
    error_now = errors[e];
    for (int nth = 0; nth < 600; nth++) {
      int64_t result;

      prepare();
      remember();
      result = copy(nth);
      if (!atomic_load(&shared->happened))
        break;
      total++;
      if (!is_fine(result)) {
        diag("%s: %s %d at call %d", kind_names[kind], event_names[event], error_now, nth);
        bad++;
      }
    }
  }
  ok(total > 50, "%s: %s at %d calls", kind_names[kind], event_names[event], total);
  is_int(bad, 0, "names lead to whole files");
}

/* Copies a directory of so many small files; the calls that this takes. */
static int calls_for(int nfiles)
{
  char name[32];

  just(on_path(EIO_RMTREE, NULL, "src"));
  just(on_path(EIO_RMTREE, NULL, "to"));
  if (mkdir("src", 0755) < 0)
    bail_out("mkdir");
  for (int i = 0; i < nfiles; i++) {
    snprintf(name, sizeof name, "src/%d", i);
    put(name, "a small file");
  }
  atomic_store(&shared->calls, 0);
  is_int(just(on_paths(EIO_CPTREE, NULL, "src", NULL, "to")), 0, "%d files are copied", nfiles);
  return atomic_load(&shared->calls);
}

static void test_few_calls(void)
{
  int few = calls_for(10), many = calls_for(110);

  ok(many - few <= 9 * 100, "100 small files more take %d calls, no more than 9 for each", many - few);
}

static void *subject(void *arg)
{
  if (!begin_supervision()) {
    skip(1, "seccomp has no supervisor here");
    return arg;
  }
  parent = (pid_t)syscall(SYS_gettid);
  for (kind = COPY; kind <= MOVE; kind++)
    for (event = FAIL; event <= KILL; event++)
      all_calls();
  kind = COPY;
  test_few_calls();
  return arg;
}

int main(void)
{
  pthread_t thread;

  if (under_valgrind())
    return tap_skip_all("valgrind does not know seccomp, and its own calls would be supervised as well");
  scratch_begin_in_memory();
  first_thread();
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED)
    bail_out("mmap");
  atomic_store(&shared->countdown, -1);
  if (pthread_create(&thread, NULL, subject, NULL))
    bail_out("no thread");
  pthread_join(thread, NULL);
  just(on_path(EIO_RMTREE, NULL, "src"));
  just(on_path(EIO_RMTREE, NULL, "to"));
  return scratch_end(atomic_load(&listener) < 0 ? 0 : 1); /* the supervisor's */
}

#endif
