/* core_walk.c - walks in steps: what they find, whoever executes the steps, and what is left when they end early */
#include "core.h"

#include <math.h>

static char top[] = "t";

/* A tree of pseudo-random shape, with some links and files of two names; the same for the same seed. */
static int64_t make_tree(const char *name, unsigned *seed, int levels)
{
  char path[512], other[512];
  int64_t n = 0;

  if (mkdir(name, 0755) < 0)
    bail_out("mkdir %s", name);
  for (int i = rand_r(seed) % 12; i > 0; i--, n++) {
    snprintf(path, sizeof path, "%s/f%d.%c", name, i, "ch"[i % 2]);
    snprintf(other, sizeof other, "%s/f%d.%c", name, i + 1, "ch"[(i + 1) % 2]);
    if (i % 5 == 1 && link(other, path) == 0)
      continue;
    if (i % 5 == 2 && symlink("..", path) == 0)
      continue;
    close(open(path, O_WRONLY | O_CREAT, 0644));
    if (truncate(path, i * 100) < 0)
      bail_out("truncate %s", path);
  }
  for (int i = levels ? rand_r(seed) % 6 : 0; i > 0; i--) {
    snprintf(path, sizeof path, "%s/d%d", name, i);
    n += make_tree(path, seed, levels - 1) + 1;
  }
  return n;
}

static void remove_tree(void)
{
  just(on_path(EIO_RMTREE, NULL, top));
}

/* A comb: each level has three directories, in the middle one is the next. */
static void make_comb(int levels)
{
  int start = open_for_test(".", O_RDONLY);

  if (mkdir(top, 0755) < 0 || chdir(top) < 0)
    bail_out("mkdir");
  for (int i = 0; i < levels; i++)
    if (mkdir("a", 0755) < 0 || mkdir("b", 0755) < 0 || mkdir("c", 0755) < 0 || chdir("b") < 0)
      bail_out("mkdir at level %d", i);
  if (fchdir(start) < 0)
    bail_out("fchdir");
  close(start);
}

/* Walking ----------------------------------------------------------------- */

struct walk {
  eio_ctx *ctx;
  int64_t told;                 /* what it came to; -2: nothing */
  int64_t entries, errors, bad; /* that were seen */
  uint32_t deepest;
  struct eio_walk_total total;  /* of the root */
  uint64_t places;              /* of totals, bits */
  int64_t brief, lines, dirs;   /* COUNT, LINES */
  char last[4096];              /* name, if they shall be in order */
  bool sorted;
  unsigned stop;                /* cancel all after so many steps */
  unsigned steps;
  eio_req *under_way[64];
  void (*meanwhile)(void);
};

static void submit(struct walk *w, struct eio_walk_step *step);

static bool in_order(const char *a, const char *b)
{
  while (*a && *a == *b)
    a++, b++;
  return (unsigned char)(*a == '/' ? 1 : *a) < (unsigned char)(*b == '/' ? 1 : *b);
}

static void see(struct walk *w, struct eio_walk_step *step)
{
  w->brief += (int64_t)step->ndirs + step->nothers;
  w->dirs += step->ndirs;
  for (uint32_t i = 0; i < step->nlines; i++)
    w->lines += !step->lines[i];
  for (const char *line = step->lines; line && line < step->lines + step->nlines; line += strlen(line) + 1) {
    struct stat st;

    w->bad += strncmp(line, top, strlen(top)) || lstat(line, &st) < 0;
  }
  for (uint32_t i = 0; i < step->count; i++) {
    struct eio_walk_entry *e = &step->entries[i];
    const char *path = eio_walk_text(step, e->path);
    uint32_t depth = step->totals ? 0 : 1;

    for (const char *p = path; *p; p++)
      depth += *p == '/';
    w->errors += e->errorno != 0;
    w->entries += !e->errorno && !e->hidden;
    w->bad += strlen(path) != e->path_length || (!step->totals && depth != e->depth);
    w->deepest = e->depth > w->deepest ? e->depth : w->deepest;
    if (w->sorted) {
      w->bad += *w->last && !in_order(w->last, path);
      strcpy(w->last, path);
    }
    if (step->totals && !e->path_length)
      w->total = step->totals[e->index];
    if (step->totals)
      w->places |= 1ull << (step->totals[e->index].place & 63);
    if (e->held && strstr(path, "d1"))
      eio_walk_prune(step, e);
  }
}

static void done(eio_req *req)
{
  struct walk *w = req->data;
  struct eio_walk_step *step = req->buf, *more;
  int64_t told;

  see(w, step);
  for (unsigned i = 0; i < 64; i++)
    if (w->under_way[i] == req)
      w->under_way[i] = NULL;
  if (w->meanwhile)
    w->meanwhile();
  if (w->stop && w->steps >= w->stop) {
    for (unsigned i = 0; i < 64; i++)
      if (w->under_way[i])
        eio_cancel(w->ctx, w->under_way[i]);
    return;
  }
  while ((more = eio_walk_more(step)))
    submit(w, more);
  if (eio_walk_over(step, &told))
    w->told = told;
}

static void forget(eio_req *req)
{
  struct walk *w = req->data;

  for (unsigned i = 0; i < 64; i++)
    if (w->under_way[i] == req)
      w->under_way[i] = NULL;
  free(req);
}

static void submit(struct walk *w, struct eio_walk_step *step)
{
  eio_req *req = malloc(sizeof *req);
  unsigned i = 0;

  eio_req_init(req, EIO_WALK);
  req->buf = step;
  req->cb = done;
  req->data = w;
  w->steps++;
  while (w->under_way[i])
    i++;
  w->under_way[i] = req;
  eio_submit(w->ctx, req);
}

static struct eio_walk_options options(unsigned flags)
{
  return (struct eio_walk_options){ .flags = flags, .max_size = -1, .newer = NAN, .older = NAN, .parallel = 8 };
}

static void begin(struct walk *w, eio_ctx *ctx, const struct eio_walk_options *o)
{
  *w = (struct walk){ .ctx = ctx, .told = -2, .sorted = o->flags & EIO_WALK_SORT };
  eio_on_release(ctx, forget);
  submit(w, eio_walk_begin(NULL, top, o));
}

static void walk(struct walk *w, eio_ctx *ctx, const struct eio_walk_options *o)
{
  begin(w, ctx, o);
  finish_all(ctx);
}

/* Tests ------------------------------------------------------------------- */

static void test_all(void)
{
  static const unsigned flags[] = { 0, EIO_WALK_STAT, EIO_WALK_LINKS, EIO_WALK_ONE_FS, EIO_WALK_SORT,
                                    EIO_WALK_STAT | EIO_WALK_LINKS | EIO_WALK_ONE_FS };
  eio_ctx *ctx = context();
  int bad = 0;

  for (unsigned round = 0; round < 12; round++) {
    unsigned seed = round + 1;
    int64_t n = make_tree(top, &seed, 4);

    for (unsigned i = 0; i < sizeof flags / sizeof *flags; i++) {
      struct eio_walk_options o = options(flags[i]);
      struct walk w;

      o.parallel = round % 3 ? 8 : 1;
      walk(&w, ctx, &o);
      bad += w.told != n || w.entries != n || w.errors || w.bad;
    }
    remove_tree();
  }
  check_int(bad, 0, "all that is in trees is found, once");
  eio_destroy(ctx);
}

static struct eio_walk_total expected;

static int add_up(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  static ino_t seen[10000];
  static int nseen;

  (void)path, (void)type;
  if (ftw->level == 0)
    nseen = 0;
  for (int i = 0; i < nseen; i++)
    if (seen[i] == st->st_ino)
      return 0;
  if (nseen < 10000)
    seen[nseen++] = st->st_ino;
  expected.octets += (uint64_t)st->st_size;
  expected.blocks += (uint64_t)st->st_blocks;
  expected.entries++;
  return 0;
}

static void test_options(void)
{
  struct eio_walk_options o = options(0);
  static const char *const names[] = { "*.c", "f1.*", NULL }, *const prune[] = { "d1", NULL };
  eio_ctx *ctx = context();
  struct walk w, v;
  unsigned seed = 5;
  int64_t all = make_tree(top, &seed, 4);

  o.max_depth = 2;
  walk(&w, ctx, &o);
  check(w.deepest == 2 && w.told == w.entries && w.told < all, "max_depth");
  o = options(0);
  o.min_depth = 3;
  walk(&v, ctx, &o);
  check_int(w.told + v.told, all, "min_depth is the rest");
  o = options(0);
  o.names = names;
  o.types = 1u << EIO_DT_REG;
  walk(&w, ctx, &o);
  check(w.told > 0 && w.told < all, "names");
  o = options(0);
  o.prune = prune;
  walk(&w, ctx, &o);
  o = options(EIO_WALK_HOLD);
  walk(&v, ctx, &o);
  check(w.told == v.told && w.told < all, "what is pruned by patterns, and by the owner (%d, %d, %d)", (int)w.told, (int)v.told, (int)all);
  o.flags |= EIO_WALK_SORT;
  walk(&v, ctx, &o);
  check(w.told == v.told && !v.bad, "also in order");
  o = options(EIO_WALK_FOLLOW);
  walk(&w, ctx, &o);
  check(w.errors > 0 && w.told == w.entries && w.entries == all, "links to what is above are errors");
  expected = (struct eio_walk_total){ .entries = 0 };
  nftw(top, add_up, 20, FTW_PHYS);
  o = options(EIO_WALK_TOTALS);
  walk(&w, ctx, &o);
  check(!memcmp(&w.total, &expected, offsetof(struct eio_walk_total, place)), "totals, each file once (%d octets, %d blocks, %d entries)",
        (int)w.total.octets, (int)w.total.blocks, (int)w.total.entries);
  check_int(w.entries, 1, "of the root");
  o.max_told = 1;
  walk(&v, ctx, &o);
  check(v.entries > 1 && !memcmp(&v.total, &expected, offsetof(struct eio_walk_total, place)), "and of what is in it");
  check(v.total.place + 1 == (uint64_t)v.entries && v.places == (2ull << v.total.place) - 1, "each has a place, the root's is last");
  o = options(EIO_WALK_TOTALS | EIO_WALK_ALL | EIO_WALK_ROOT);
  o.max_told = 100;
  walk(&v, ctx, &o);
  check_int(v.entries, (int64_t)expected.entries, "and of all, if wanted");
  remove_tree();
  o = options(0);
  walk(&w, ctx, &o);
  check(w.told == -1 && !w.entries, "a root that is not there");
  eio_destroy(ctx);
}

/* What is counted only, lines, and the root. */
static void test_brief(void)
{
  eio_ctx *ctx = context();
  struct eio_walk_options o = options(EIO_WALK_COUNT);
  unsigned seed = 5;
  int64_t all = make_tree(top, &seed, 4);
  struct walk w, v;

  walk(&w, ctx, &o);
  check(w.told == all && w.brief == all && !w.entries && !w.lines, "entries that are counted only");
  o = options(EIO_WALK_LINES | EIO_WALK_ROOT);
  walk(&w, ctx, &o);
  check(w.told == all + 1 && w.lines == all + 1 && !w.entries && !w.bad, "lines, also of the root");
  o.flags |= EIO_WALK_HOLD;
  walk(&v, ctx, &o);
  check(v.told == v.lines && v.told < all && !v.entries && !v.bad, "what the owner prunes is no line");
  o.types = 1u << EIO_DT_DIR;
  walk(&v, ctx, &o);
  check(v.lines == v.dirs && v.dirs > 1, "directories");
  o = options(EIO_WALK_ROOT | EIO_WALK_STAT);
  o.max_depth = UINT32_MAX;
  walk(&v, ctx, &o);
  check(v.told == 1 && v.entries == 1 && !v.deepest, "the root alone");
  o = options(EIO_WALK_REMOVE | EIO_WALK_LINES);
  begin(&w, ctx, &o);
  while (eio_nreqs(ctx)) { /* what is told is gone */
    eio_poll_wait(ctx, -1);
    eio_poll(ctx, 0, 0);
  }
  check(w.told == all + 1 && w.lines == all + 1 && !w.entries && w.bad == all + 1, "lines of what is removed");
  eio_destroy(ctx);
}

/* More directories wait than may be open; and a process may have few. */
static void test_descriptors(void)
{
  eio_ctx *ctx = context();
  struct eio_walk_options o = options(0);
  struct rlimit old, few;
  struct walk w;

  make_comb(400);
  walk(&w, ctx, &o);
  check(w.told == 1200 && !w.errors && !w.bad, "a comb of 400 levels");
  o = options(EIO_WALK_SORT);
  walk(&w, ctx, &o);
  check(w.told == 1200 && !w.errors && !w.bad, "in order");
  getrlimit(RLIMIT_NOFILE, &old);
  few = old;
  few.rlim_cur = 50;
  setrlimit(RLIMIT_NOFILE, &few);
  o = options(EIO_WALK_STAT);
  o.parallel = 2;
  walk(&w, ctx, &o);
  setrlimit(RLIMIT_NOFILE, &old);
  check(w.told == 1200 && !w.errors && !w.bad, "with few descriptors");
  remove_tree();
  eio_destroy(ctx);
}

/* Directories go elsewhere while others wait for them: whatever is told, nothing is lost or told twice
 * that stayed. */
static void exchange(void)
{
  static int n;

  if (n++ % 2)
    rename("moved", "t/b/b/b/b/b/b/b/b");
  else
    rename("t/b/b/b/b/b/b/b/b", "moved");
}

static void test_exchanged(void)
{
  eio_ctx *ctx = context();
  int bad = 0;

  make_comb(200);
  for (int round = 0; round < 20; round++) {
    struct eio_walk_options o = options(EIO_WALK_HOLD);
    struct walk w;

    begin(&w, ctx, &o);
    w.meanwhile = exchange;
    finish_all(ctx);
    bad += w.told < 3 || w.told > 600;
    if (exists("moved"))
      exchange();
    if (exists("moved"))
      exchange();
  }
  check_int(bad, 0, "with directories that are exchanged a walk comes to its end");
  rename("moved", "t/moved");
  remove_tree();
  eio_destroy(ctx);
}

static void test_remove(void)
{
  eio_ctx *ctx = context();
  struct eio_walk_options o = options(EIO_WALK_REMOVE);
  struct walk w;
  int bad = 0;

  for (unsigned round = 0; round < 40; round++) {
    unsigned seed = round + 1;
    int64_t n = make_tree(top, &seed, 4);

    walk(&w, ctx, &o);
    bad += w.told != n + 1 || w.errors || exists(top);
  }
  check_int(bad, 0, "trees are removed, and all that is in them is told");
  make_comb(400);
  walk(&w, ctx, &o);
  check(w.told == 1201 && !w.errors && !exists(top), "a comb of 400 levels");
  o.flags |= EIO_WALK_KEEP_ROOT | EIO_WALK_HOLD;
  make_comb(100);
  begin(&w, ctx, &o);
  w.meanwhile = exchange;
  finish_all(ctx);
  check(exists(top) && w.told > 0, "directories are exchanged meanwhile");
  if (exists("moved"))
    rename("moved", "t/moved");
  remove_tree();
  for (unsigned round = 0; round < 20; round++) {
    unsigned seed = round + 1;

    make_tree(top, &seed, 4);
    begin(&w, ctx, &o);
    w.stop = 1 + round % 3;
    finish_all(ctx);
    remove_tree();
  }
  check(!exists(top), "and a removal may end early");
  eio_destroy(ctx);
}

static void test_cancel(void)
{
  eio_ctx *ctx = context();
  int over = 0, more = 0;

  for (unsigned round = 0; round < 60; round++) {
    struct eio_walk_options o = options(round % 2 ? EIO_WALK_HOLD : 0);
    unsigned seed = round + 1;
    struct walk w;

    make_tree(top, &seed, 4);
    begin(&w, ctx, &o);
    w.stop = 1 + round % 3;
    finish_all(ctx);
    over += w.told == -2;
    more += w.steps > 1;
    remove_tree();
  }
  check(over > 0, "%d of 60 ended early, %d had several steps", over, more);
  eio_destroy(ctx);
}

static void test_reset_and_fork(void)
{
  int bad = 0;

  for (unsigned round = 0; round < 40; round++) {
    eio_ctx *ctx = context();
    struct eio_walk_options o = options(EIO_WALK_STAT);
    unsigned seed = round + 1;
    struct walk w;
    int status;
    pid_t pid;

    make_tree(top, &seed, 4);
    begin(&w, ctx, &o);
    for (unsigned i = 0; i < round % 5; i++)
      eio_poll(ctx, 0, 0);
    pid = fork();
    if (pid == 0) {
      forget_threads();
      take_orphans(ctx);
      _exit(eio_nreqs(ctx) != 0);
    }
    waitpid(pid, &status, 0);
    bad += status != 0;
    if (round % 2)
      finish_all(ctx);
    else {
      unsigned n = eio_nreqs(ctx);

      eio_reset(ctx);
      for (eio_req *req; n; sched_yield())
        for (; (req = eio_orphan(ctx)); n--) {
          eio_release(ctx, req);
          free(req);
        }
    }
    eio_destroy(ctx);
    remove_tree();
  }
  check_int(bad, 0, "a fork, and a reset, meanwhile");
}

int main(void)
{
  static test *const tests[] = { test_all, test_options, test_brief, test_descriptors, test_exchanged, test_remove, test_cancel,
                                 test_reset_and_fork, NULL };

  scratch_begin_in_memory();
  on_each_engine(tests);
  return scratch_end(0);
}
