/* core_cptree.c - copies of trees: in parts, deep, while somebody exchanges directories, and
 * with a failure, a cancel or a kill at each system call: the source stays as it is, and a name
 * in the target leads to a whole file with all its attributes, or to nothing. */
#include "core.h"

#include "../eio_pool.h"

#include <ftw.h>

static void shell(const char *command)
{
  if (system(command) != 0)
    bail_out("%s", command);
}

static eio_ctx *eager(void)
{
  eio_ctx *ctx = context();

  ctx->pool->eager = true;
  return ctx;
}

/* Trees ---------------------------------------------------------------------- */

/* The same for the same seed; names of one file in several directories. */
static void make_tree(const char *top, unsigned *seed, int levels)
{
  char name[512];

  if (mkdir(top, 0755) < 0)
    bail_out("mkdir %s", top);
  for (int i = rand_r(seed) % 12; i > 0; i--) {
    snprintf(name, sizeof name, "%s/f%d", top, i);
    if (i % 5 == 0 && link("one", name) == 0)
      continue;
    put(name, name);
    chmod(name, (mode_t)(rand_r(seed) % 512) | 0400);
  }
  for (int i = levels ? rand_r(seed) % 6 : 0; i > 0; i--) {
    snprintf(name, sizeof name, "%s/d%d", top, i);
    make_tree(name, seed, levels - 1);
  }
  chmod(top, (mode_t)(rand_r(seed) % 512) | 0700);
}

static bool same_content(const char *a, const char *b)
{
  static char x[2][70000];
  ssize_t n[2];

  for (int i = 0; i < 2; i++) {
    int fd = open_for_test(i ? b : a, O_RDONLY);

    n[i] = read(fd, x[i], sizeof x[i]);
    close(fd);
  }
  return n[0] == n[1] && !memcmp(x[0], x[1], (size_t)n[0]);
}

/* Whether one is a whole copy of the other. */
static bool same_entry(const char *a, const char *b)
{
  struct stat s, t;

  if (lstat(a, &s) < 0 || lstat(b, &t) < 0)
    return false;
  return s.st_mode == t.st_mode && s.st_mtim.tv_sec == t.st_mtim.tv_sec && s.st_mtim.tv_nsec == t.st_mtim.tv_nsec
         && s.st_uid == t.st_uid && (!S_ISREG(s.st_mode) || (s.st_size == t.st_size && same_content(a, b)));
}

/* How two trees differ, from "from" and "to" on; `part`: what is in the second is in the first,
 * but for directories that are not complete, and temporary names. */
static const char *top_from, *top_to;
static int differences, entries;
static bool part;

static int compare(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  char other[4096];
  const char *from = part ? top_to : top_from, *to = part ? top_from : top_to;
  bool open_dir = part && S_ISDIR(st->st_mode);

  (void)type;
  entries++;
  if (part && !strncmp(path + ftw->base, ".aio-", 5))
    return 0;
  snprintf(other, sizeof other, "%s%s", to, path + strlen(from));
  if (open_dir ? !exists(other) : !same_entry(path, other))
    differences++;
  return 0;
}

static int compare_trees(const char *from, const char *to, bool only_part)
{
  top_from = from;
  top_to = to;
  part = only_part;
  differences = entries = 0;
  nftw(only_part ? to : from, compare, 20, FTW_PHYS);
  return differences;
}

/* In parts ------------------------------------------------------------------- */

static void submit_cptree(eio_ctx *ctx, struct job *job)
{
  static char from[] = "t", to[] = "copy";

  job_init(job, EIO_CPTREE, 1);
  job->req.path = from;
  job->req.path2 = to;
  eio_submit(ctx, &job->req);
}

static uint64_t parts_of(eio_ctx *ctx)
{
  struct eio_stats stats;

  eio_get_stats(ctx, &stats);
  return stats.parts;
}

static void remove_trees(void)
{
  just(on_path(EIO_RMTREE, NULL, "t"));
  just(on_path(EIO_RMTREE, NULL, "copy"));
}

static void test_parts(void)
{
  eio_ctx *ctx = eager();
  int bad = 0, split = 0;
  struct job job;

  for (unsigned round = 0, seed; round < 40; round++) {
    seed = round;
    put("one", "one");
    make_tree("t", &seed, 4);
    nlink_t links = stat_of("one").st_nlink;
    submit_cptree(ctx, &job);
    finish_all(ctx);
    bad += job.req.result != 0 || job.req.errors || compare_trees("t", "copy", false);
    for (int i = 5; i <= 10; i += 5)
      if (links > 2 && exists(i == 5 ? "copy/f5" : "copy/f10")) {
        split += stat_of(i == 5 ? "copy/f5" : "copy/f10").st_nlink != links - 1;
        break;
      }
    remove_trees();
    unlink("one");
  }
  check_int(bad, 0, "trees are copied");
  check_int(split, 0, "names of one file are names of one file");
  check(is_sync() ? parts_of(ctx) == 0 : parts_of(ctx) > 0, "in %s", is_sync() ? "one piece" : "parts");
  eio_destroy(ctx);
}

static void test_cancel(void)
{
  eio_ctx *ctx = eager();
  int called = 0, bad = 0, temporary = 0;
  struct job job;

  for (unsigned round = 0; round < 40; round++) {
    unsigned seed = round;
    uint64_t before = parts_of(ctx);

    put("one", "one");
    make_tree("t", &seed, 3);
    submit_cptree(ctx, &job);
    for (int i = 0; i < 2000 && parts_of(ctx) == before && !eio_npending(ctx); i++)
      sched_yield();
    eio_cancel(ctx, &job.req);
    finish_all(ctx);
    called += job.called;
    bad += exists("copy") && compare_trees("t", "copy", true);
    temporary += system("test -z \"$(find copy -name '.aio-*' 2>/dev/null)\"") != 0;
    remove_trees();
    unlink("one");
  }
  check_int(called, 0, "what was cancelled is not called back");
  check_int(bad, 0, "what it has copied is whole");
  check_int(temporary, 0, "and nothing else is left");
  eio_destroy(ctx);
}

/* Deep trees need neither stack nor many descriptors. --------------------------- */

static void make_deep(int levels)
{
  int start = open_for_test(".", O_RDONLY);

  mkdir("t", 0755);
  if (chdir("t") < 0)
    bail_out("chdir");
  for (int i = 0; i < levels; i++) {
    put("a", "a");
    put("zz", "zz");
    if (mkdir("deep", 0755) < 0 || chdir("deep") < 0)
      bail_out("level %d", i);
  }
  if (link("../zz", "link") < 0 || fchdir(start) < 0)
    bail_out("link");
  close(start);
}

static int depth_of(const char *top)
{
  int start = open_for_test(".", O_RDONLY), levels = 0;

  if (chdir(top) < 0)
    return -1;
  while (exists("a") && exists("zz") && chdir("deep") == 0)
    levels++;
  if (stat_of("link").st_nlink != 2 || fchdir(start) < 0)
    levels = -1;
  close(start);
  return levels;
}

static void test_deep(void)
{
  struct rlimit limit = { 40, 40 };
  enum { LEVELS = 3000 };

  setrlimit(RLIMIT_NOFILE, &limit);
  make_deep(LEVELS);
  is_int(just(on_paths(EIO_CPTREE, NULL, "t", NULL, "copy")), 0, "3,000 levels with 40 descriptors");
  is_int(depth_of("copy"), LEVELS, "are all there");
}

static void test_few_descriptors(void)
{
  struct rlimit limit = { 32, 32 };
  int n = 0, fds[64];

  setrlimit(RLIMIT_NOFILE, &limit);
  make_deep(100);
  while (n < 64 && (fds[n] = open("/dev/null", O_RDONLY)) >= 0)
    n++;
  fails(on_paths(EIO_CPTREE, NULL, "t", NULL, "copy"), EMFILE, "without any descriptor");
  for (int i = 0; i < 9; i++)
    close(fds[--n]);
  is_int(just(on_paths(EIO_CPTREE, NULL, "t", NULL, "copy")), 0, "100 levels with 9 descriptors");
  is_int(depth_of("copy"), 100, "are all there");
}

/* Races -------------------------------------------------------------------- */

static atomic_bool stop;
static const char *victim;

/* Exchanges a directory for a link to elsewhere, as fast as can be. */
static void *exchange(void *arg)
{
  (void)arg;
  while (!stop) {
    rename(victim, "aside");
    if (symlink("../keep", victim) == 0)
      unlink(victim);
    rename("aside", victim);
  }
  return NULL;
}

static void test_race(const char *name, const char *side)
{
  int led = 0;
  pthread_t thread;

  victim = side;
  for (int i = 0; i < 60; i++) {
    shell("rm -rf aside t copy keep; mkdir -p t/x/deep copy/x/deep keep/deep && echo > t/x/f && echo > t/x/deep/f"
          " && echo secret > keep/secret && echo secret > keep/deep/secret");
    stop = false;
    pthread_create(&thread, NULL, exchange, NULL);
    for (int again = 0; again < 20; again++)
      just(on_paths(EIO_CPTREE, NULL, "t", NULL, "copy"));
    stop = true;
    pthread_join(thread, NULL);
    led += system("test -z \"$(find copy aside -name secret 2>/dev/null; find keep -name f -o -name '.aio*')\"") != 0;
  }
  is_int(led, 0, "%s that are exchanged never lead elsewhere", name);
  shell("rm -rf aside t copy keep");
}

/* Without DELETE a directory stays, also one that has just come where a link was to give way. */
static void test_race_for_place(void)
{
  int lost = 0;
  pthread_t thread;

  victim = "copy/x";
  for (int i = 0; i < 60; i++) {
    shell("rm -rf aside t copy keep; mkdir -p t/x copy/x/deep keep && echo > t/x/f && echo > copy/x/deep/mine && echo > keep/kept");
    stop = false;
    pthread_create(&thread, NULL, exchange, NULL);
    for (int again = 0; again < 40; again++) {
      eio_req req = on_paths(EIO_CPTREE, NULL, "t", NULL, "copy");

      req.arg1 = EIO_CP_SYNC;
      just(req);
    }
    stop = true;
    pthread_join(thread, NULL);
    lost += system("test \"$(find copy aside keep -name mine -o -name kept 2>/dev/null | wc -l)\" -eq 2") != 0;
  }
  is_int(lost, 0, "a directory that comes where a link was stays");
  shell("rm -rf aside t copy keep");
}

int main(void)
{
  static test *const tests[] = { test_parts, test_cancel, NULL };

  if (!EIO_HAVE_AT)
    return tap_skip_all("no *at calls, no protection");
  scratch_begin_in_memory();
  on_each_engine(tests);
  if (under_valgrind())
    skip(6, "valgrind does not keep to such limits");
  else {
    in_child(test_deep);
    shell("rm -rf t copy");
    in_child(test_few_descriptors);
    shell("rm -rf t copy");
  }
  test_race("directories of the source", "t/x");
  test_race("directories of the target", "copy/x");
  test_race_for_place();
  return scratch_end(0);
}
