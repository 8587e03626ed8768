/* ops_tree.c - rmtree: it removes all that is in the tree, and nothing else */
#include "ops.h"

#include <sched.h>
#include <stdatomic.h>

static void shell(const char *command)
{
  if (system(command) != 0)
    bail_out("%s", command);
}

static void test_simple(void)
{
  eio_wd *wd;

  shell("mkdir -p t/a/b/c t/a/d keep && touch t/f t/a/f t/a/b/c/f keep/f && ln -s ../keep t/link"
        " && ln -s ../keep/f t/a/link && mkfifo t/a/pipe && touch t/.hidden");
  is_int(just(on_path(EIO_RMTREE, NULL, "t")), 0, "rmtree");
  ok(!exists("t"), "removes the tree");
  ok(exists("keep/f"), "and nothing that links lead to");

  shell("mkdir -p t/a");
  is_int(just(on_path(EIO_RMTREE, NULL, "t///")), 0, "rmtree with slashes");
  ok(!exists("t"), "removes the tree");

  shell("mkdir -p t/a/b; touch t/a/f");
  wd = eio_wd_open(NULL, "t");
  is_int(just(on_path(EIO_RMTREE, wd, "a")), 0, "rmtree relative to a wd");
  ok(!exists("t/a") && exists("t"), "removes the tree");
  shell("mkdir -p t/a/b; touch t/a/f");
  is_int(just(on_path(EIO_RMTREE, wd, ".")), 0, "rmtree of a wd's \".\"");
  ok(!exists("t"), "removes the directory as well");
  eio_wd_unref(wd);

  shell("mkdir -p t/a/b; touch t/a/f");
  fails(on_path(EIO_RMTREE, NULL, "t/."), EINVAL, "rmtree of directory/. cannot remove that");
  ok(exists("t") && !exists("t/a"), "but what is in it");
  rmdir("t");
}

static void test_refused(void)
{
  eio_req req;

  shell("mkdir -p keep/sub && touch keep/f && ln -s keep link && ln -s missing dangling && touch file");
  fails(on_path(EIO_RMTREE, NULL, "missing"), ENOENT, "rmtree of nothing");
  fails(on_path(EIO_RMTREE, NULL, ""), ENOENT, "rmtree of an empty path");
  fails(on_path(EIO_RMTREE, NULL, "file"), ENOTDIR, "rmtree of a file");
  fails(on_path(EIO_RMTREE, NULL, "link"), ENOTDIR, "rmtree of a link");
  fails(on_path(EIO_RMTREE, NULL, "link/"), ENOTDIR, "rmtree of link/");
  fails(on_path(EIO_RMTREE, NULL, "dangling"), ENOTDIR, "rmtree of a dangling link");
  ok(exists("keep/f") && exists("keep/sub") && exists("file"), "leave all as it is");
  req = on_path(EIO_RMTREE, NULL, "keep");
  req.flags |= EIO_CANCELLED;
  fails(req, ECANCELED, "rmtree that is cancelled stops");
  ok(exists("keep/f"), "and leaves all as it is");
}

static void test_denied(void)
{
  drop_root();
  fails(on_path(EIO_RMTREE, NULL, "t"), ENOTEMPTY, "rmtree with a directory that may not be read");
  ok(!exists("t/a") && !exists("t/z") && exists("t/closed"), "removes what can be removed");
  ok(!exists("t/empty"), "an empty one among it");
  fails(on_path(EIO_RMTREE, NULL, "t2"), ENOTEMPTY, "rmtree where entries may not be removed");
}

static void prepare_denied(void)
{
  shell("mkdir -p t/a/b t/closed/f t/z/y t/empty t2/sub && touch t/z/f t2/f && chmod 0 t/closed t/empty"
        " && chmod 777 . t t/a t/a/b t/z t/z/y");
}

/* Deep trees need neither stack nor many descriptors. */
static void make_deep(int levels)
{
  int start = open_for_test(".", O_RDONLY);

  for (int i = 0; i < levels; i++) {
    close(open("f", O_WRONLY | O_CREAT, 0644));
    close(open("zz", O_WRONLY | O_CREAT, 0644));
    if (mkdir("deep", 0755) < 0 || chdir("deep") < 0)
      bail_out("level %d", i);
  }
  if (fchdir(start) < 0)
    bail_out("fchdir");
  close(start);
}

static void test_deep(void)
{
  struct rlimit limit = { 40, 40 };

  setrlimit(RLIMIT_NOFILE, &limit);
  if (EIO_HAVE_AT) {
    mkdir("t", 0755);
    if (chdir("t") < 0)
      bail_out("chdir");
    make_deep(10000);
    if (chdir("..") < 0)
      bail_out("chdir");
    is_int(just(on_path(EIO_RMTREE, NULL, "t")), 0, "rmtree of 10,000 levels with 40 descriptors");
    ok(!exists("t"), "removes all");
  } else
    skip(2, "paths get too long without *at calls");
}

/* With few descriptors left it makes do. */
static void test_few_descriptors(void)
{
  struct rlimit limit = { 32, 32 };
  int n = 0, fds[64];

  if (under_valgrind()) {
    skip(3, "valgrind does not keep to such a limit");
    return;
  }
  setrlimit(RLIMIT_NOFILE, &limit);
  mkdir("t", 0755);
  if (chdir("t") < 0)
    bail_out("chdir");
  make_deep(100);
  if (chdir("..") < 0)
    bail_out("chdir");
  while (n < 64 && (fds[n] = open("/dev/null", O_RDONLY)) >= 0)
    n++;
  fails(on_path(EIO_RMTREE, NULL, "t"), EMFILE, "rmtree without any descriptor");
  for (int i = 0; i < 6; i++)
    close(fds[--n]);
  is_int(just(on_path(EIO_RMTREE, NULL, "t")), 0, "rmtree of 100 levels with 6 descriptors");
  ok(!exists("t"), "removes all");
  while (n > 0)
    close(fds[--n]);
}

/* It leaves descriptors for others: few are in use at any time. */
static atomic_bool stop;

static void *watch(void *arg)
{
  intptr_t most = 0;

  (void)arg;
  while (!stop) {
    int n = open_fds();

    most = n > most ? n : most;
  }
  return (void *)most;
}

static void test_modest(void)
{
  pthread_t thread;
  void *most;

  mkdir("t", 0755);
  if (chdir("t") < 0)
    bail_out("chdir");
  make_deep(EIO_HAVE_AT ? 3000 : 500);
  if (chdir("..") < 0)
    bail_out("chdir");
  pthread_create(&thread, NULL, watch, NULL);
  is_int(just(on_path(EIO_RMTREE, NULL, "t")), 0, "rmtree of a deep tree");
  stop = true;
  pthread_join(thread, &most);
  ok((intptr_t)most < scratch_fds + 30, "uses few descriptors at a time");
}

static void test_wide(void)
{
  char name[32];

  mkdir("t", 0755);
  for (int i = 0; i < 20000; i++) {
    snprintf(name, sizeof name, "t/%05d", i);
    if (i % 100 ? mknod(name, S_IFREG | 0600, 0) : mkdir(name, 0700))
      bail_out("mknod");
  }
  is_int(just(on_path(EIO_RMTREE, NULL, "t")), 0, "rmtree of 20,000 entries");
  ok(!exists("t"), "removes all");
}

/* Somebody exchanges directories for links to elsewhere, as fast as he can. */
static void *exchange(void *arg)
{
  (void)arg;
  while (!stop) {
    rename("t/x", "aside");
    symlink("../keep", "t/x");
    unlink("t/x");
    rename("aside", "t/x");
  }
  return NULL;
}

static void test_race(void)
{
  pthread_t thread;
  int rounds = 100, gone = 0;

  if (!EIO_HAVE_AT) {
    skip(1, "no *at calls, no protection");
    return;
  }
  shell("mkdir -p keep/deep && touch keep/f keep/deep/f");
  for (int i = 0; i < rounds && !gone; i++) {
    shell("rm -rf aside t; mkdir -p t/x/deep t/y && touch t/x/f t/x/deep/f");
    stop = false;
    pthread_create(&thread, NULL, exchange, NULL);
    for (int again = 0; again < 20; again++)
      just(on_path(EIO_RMTREE, NULL, "t"));
    stop = true;
    pthread_join(thread, NULL);
    gone = !exists("keep/f") || !exists("keep/deep/f");
  }
  ok(!gone, "exchanged directories never lead elsewhere");
}

/* A part of the tree is moved while rmtree is deep in it. It must not climb out
 * at the new place, and take names there for those of the tree. Each level has
 * its directory first, so that files go on the way up: when the first one is
 * seen to be gone, there are hundreds of levels to go. */
enum { LEVELS = 600, SEEN = 500, MOVED = 30 };

static const char *level_path(char *buf, int level, const char *name)
{
  char *at = buf + sprintf(buf, "t");

  while (level-- > 0)
    at += sprintf(at, "/d");
  sprintf(at, "%s", name);
  return buf;
}

static void *move_away(void *arg)
{
  static char seen[4096], from[4096];

  (void)arg;
  level_path(seen, SEEN, "/f");
  level_path(from, MOVED, "");
  while (exists(seen))
    sched_yield(); /* valgrind would run this for long before the other thread */
  rename(from, "keep/moved");
  return NULL;
}

static void test_moved(void)
{
  static char path[4096];
  pthread_t thread;
  int damaged = 0, moved = 0;

  if (!EIO_HAVE_AT) {
    skip(1, "no *at calls, no protection");
    return;
  }
  for (int round = 0; round < 10; round++) {
    shell("rm -rf t keep; mkdir -p t keep");
    for (int i = 1; i <= LEVELS; i++)
      if (mkdir(level_path(path, i, ""), 0755) < 0)
        bail_out("level %d", i);
    for (int i = 0; i <= LEVELS; i++)
      put(level_path(path, i, "/f"), "");
    put("keep/f", "");
    pthread_create(&thread, NULL, move_away, NULL);
    just(on_path(EIO_RMTREE, NULL, "t"));
    pthread_join(thread, NULL);
    damaged += !exists("keep/f");
    moved += exists("keep/moved");
  }
  diag("moved in time: %d of 10", moved);
  is_int(damaged, 0, "a tree that is moved does not take its new surroundings with it");
}

int main(void)
{
  scratch_begin_in_memory();
  test_simple();
  test_refused();
  prepare_denied();
  in_child(test_denied);
  shell("chmod -R u+rwx t t2 && rm -rf t t2");
  in_child(test_deep);
  in_child(test_few_descriptors);
  test_modest();
  test_wide();
  test_race();
  test_moved();
  shell("rm -rf t keep");
  return scratch_end(0);
}
