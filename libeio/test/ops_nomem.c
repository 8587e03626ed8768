/* ops_nomem.c - each allocation of each operation fails in turn: the operation
 * says ENOMEM, and leaves neither memory nor descriptors behind. */
#include "ops.h"

#include <math.h>

#if !defined __GLIBC__ || SANITIZED

int main(void)
{
  return tap_skip_all("needs the plain allocator of glibc");
}

#else

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *old);

static int live, countdown = -1; /* the allocation that fails: 0 is the next */

static bool out_of_memory(void)
{
  if (countdown < 0 || countdown-- > 0)
    return false;
  errno = ENOMEM;
  return true;
}

__attribute__((visibility("default"))) void *malloc(size_t size)
{
  void *fresh = out_of_memory() ? NULL : __libc_malloc(size);

  live += fresh != NULL;
  return fresh;
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
  void *fresh = out_of_memory() ? NULL : __libc_calloc(n, size);

  live += fresh != NULL;
  return fresh;
}

__attribute__((visibility("default"))) void *realloc(void *old, size_t size)
{
  void *fresh = out_of_memory() ? NULL : __libc_realloc(old, size);

  live += fresh && !old;
  return fresh;
}

__attribute__((visibility("default"))) int posix_memalign(void **fresh, size_t align, size_t size)
{
  *fresh = out_of_memory() ? NULL : __libc_memalign(align, size);
  live += *fresh != NULL;
  return *fresh ? 0 : ENOMEM;
}

__attribute__((visibility("default"))) void free(void *old)
{
  live -= old != NULL;
  __libc_free(old);
}

/* `again` makes what the operation needs, if it uses that up. */
static void starve(const char *name, eio_req req, int at_least, void (*again)(void))
{
  int n, wrong = 0, leaks = 0, fds = 0;
  int64_t result = -1;

  for (n = -1; n < 1000 && result < 0;) {
    eio_req copy = req;
    int before, open_before;

    if (again)
      again();
    open_before = open_fds();
    before = live;
    countdown = ++n;
    eio_execute(&copy);
    if (countdown >= 0) /* it needed no more */
      result = copy.result;
    else if (copy.result < 0)
      wrong += copy.errorno != ENOMEM;
    countdown = -1;
    eio_req_finish(&copy);
    leaks += live != before;
    fds += open_fds() != open_before;
  }
  ok(result >= 0, "%s succeeds with enough memory", name);
  ok(n >= at_least, "%s needs some (%d allocations)", name, n);
  is_int(wrong, 0, "%s says ENOMEM", name);
  is_int(leaks, 0, "%s leaves no memory behind", name);
  is_int(fds, 0, "%s leaves no descriptors behind", name);
}

static void plant(void)
{
  if (system("mkdir -p tree/a/b/c tree/d && touch tree/f tree/a/f tree/a/b/c/f") != 0)
    bail_out("no tree");
}

static void renew(void)
{
  put("src", "source");
  unlink("dst");
}

/* What cannot be read stays, and shows in the end; but an empty directory can
 * be removed unread. */
static void test_rmtree(void)
{
  int failed = 0, n;

  for (n = 0; n < 1000; n++) {
    eio_req req = on_path(EIO_RMTREE, NULL, "tree");
    int before;

    plant();
    before = live;
    countdown = n;
    eio_execute(&req);
    if (countdown >= 0)
      break;
    failed += live != before || exists("tree") != (req.result == -1)
              || (req.result && req.errorno != ENOMEM && req.errorno != ENOTEMPTY);
  }
  is_int(countdown >= 0 && !exists("tree"), 1, "rmtree succeeds with enough memory");
  countdown = -1;
  ok(n > 10, "rmtree needs some (%d allocations)", n);
  is_int(failed, 0, "rmtree without it fails cleanly");
}

/* Copies of trees go on without it, and say so: whatever the name in the target leads to is whole, nothing is lost. */
static void test_cptree(const char *name, int flags, bool is_dry)
{
  int failed = 0, n;

  for (n = 0; n < 2000; n++) {
    eio_req req = on_paths(EIO_CPTREE, NULL, "tree", NULL, "copy");
    int before, open_before;

    plant();
    if (system("rm -rf copy; mkdir -p copy/a/b copy/gone; echo > copy/gone/x; echo old > copy/f; touch copy/more"
               "; test -e tree/second || ln tree/f tree/second") != 0)
      bail_out("no target");
    req.arg1 = flags;
    before = live;
    open_before = open_fds();
    countdown = n;
    eio_execute(&req);
    if (countdown >= 0) {
      countdown = -1;
      eio_req_finish(&req);
      is_int(req.result, 0, "%s succeeds with enough memory", name);
      break;
    }
    countdown = -1;
    eio_req_finish(&req);
    failed += live != before || open_fds() != open_before || (req.result && req.errorno != ENOMEM)
              || !exists("copy/f") || !exists("tree/a/b/c/f")
              || (is_dry && !(exists("copy/gone/x") && exists("copy/more") && !exists("copy/d")))
              || (!req.result && !is_dry && !(exists("copy/a/b/c/f") && exists("copy/second") && exists("copy/d")
                                              && exists("copy/gone") == !(flags & EIO_CP_DELETE)));
  }
  ok(n > 30, "%s needs some (%d allocations)", name, n);
  is_int(failed, 0, "%s without it fails cleanly", name);
}

/* All steps of a walk, in turn; what was told of its root. */
static int64_t whole_walk(unsigned flags, int *error)
{
  struct eio_walk_options options = { .flags = flags, .max_size = -1, .newer = NAN, .older = NAN, .max_told = 2 };
  struct eio_walk_step *step = eio_walk_begin(NULL, "tree", &options), *more;
  int64_t told = -1;

  *error = errno;
  while (step) {
    eio_req req = request(EIO_WALK);

    req.buf = step;
    eio_execute(&req);
    more = eio_walk_more(step);
    if (!more && !eio_walk_over(step, &told))
      told = -1;
    *error = errno;
    for (uint32_t i = 0; i < step->count; i++)
      if (step->entries[i].errorno) {
        *error = step->entries[i].errorno;
        told = -1;
      }
    eio_req_finish(&req);
    step = more;
  }
  return told;
}

static void test_walk(const char *name, unsigned flags, int at_least)
{
  int failed = 0, n, error;
  int64_t told = -1;

  for (n = 0; n < 2000; n++) {
    int before, open_before;

    plant();
    before = live;
    open_before = open_fds();
    countdown = n;
    told = whole_walk(flags, &error);
    if (countdown >= 0)
      break;
    countdown = -1;
    failed += live != before || open_fds() != open_before
              || (told < 0 && error != ENOMEM && !(flags & EIO_WALK_REMOVE && error == ENOTEMPTY));
  }
  countdown = -1;
  ok(told >= 0, "%s succeeds with enough memory", name);
  ok(n > at_least, "%s needs some (%d allocations)", name, n);
  is_int(failed, 0, "%s without it says ENOMEM, and leaves nothing behind", name);
}

int main(void)
{
  eio_wd *wd;
  eio_req req;
  char name[64], name_2[64];
  int i;

  if (under_valgrind())
    return tap_skip_all("valgrind has an allocator of its own");
  scratch_begin();
  setvbuf(stdout, NULL, _IONBF, 0);
  mkdir("dir", 0755);
  for (i = 0; i < 300; i++) {
    snprintf(name, sizeof name, "dir/an-entry-with-a-name-%d", i);
    put(name, "");
  }
  put("file", "0123456789");
  symlink("file", "link");
  wd = eio_wd_open(NULL, "dir");

  starve("stat", on_path(EIO_STAT, NULL, "file"), 1, NULL);
  req = on_path(EIO_STATX, wd, ".");
  req.size = UINT64_MAX;
  starve("statx", req, 1, NULL);
  if (EIO_HAVE_MINCORE) {
    req = request(EIO_MINCORE);
    req.buf = name;
    req.size = sizeof name;
    starve("mincore", req, 1, NULL);
  }
  starve("readlink", on_path(EIO_READLINK, NULL, "link"), 1, NULL);
  starve("realpath", on_path(EIO_REALPATH, wd, ".."), 1, NULL);
  starve("wd", on_path(EIO_WD, wd, "."), 1, NULL);
  starve("load", on_path(EIO_LOAD, NULL, "file"), 1, NULL);
  starve("load from /proc", on_path(EIO_LOAD, NULL, "/proc/self/maps"), 1, NULL);
  req = on_path(EIO_SLURP, NULL, "/proc/self/maps");
  req.offs = -10;
  starve("slurp from the end", req, 1, NULL);
  starve("readdir", on_path(EIO_READDIR, NULL, "dir"), 5, NULL);
  req = on_path(EIO_READDIRX, wd, ".");
  req.arg1 = EIO_READDIR_STAT_ORDER | EIO_READDIR_DIRS_FIRST;
  starve("readdirx", req, 6, NULL);
  starve("scandir", on_path(EIO_SCANDIR, wd, "."), 6, NULL);
  req = on_path(EIO_SPEW, wd, "spewed/x");
  req.arg1 = EIO_SPEW_ATOMIC | EIO_SPEW_MKPATH;
  req.arg2 = -1;
  starve("spew", req, 3, NULL);
  starve("temp", on_path(EIO_TEMP, wd, "."), 1, NULL);
  starve("mkpath", on_path(EIO_MKPATH, NULL, "dir/a/b"), 1, NULL);
  starve("copy", on_paths(EIO_COPY, NULL, "src", NULL, "dst"), 0, renew);
  starve("copy from /proc", on_paths(EIO_COPY, NULL, "/proc/self/maps", NULL, "dst"), 1, renew);
  req = on_data(EIO_FIEMAP, open_for_test("file", O_RDONLY), 0, NULL, UINT64_MAX);
  req.arg2 = -1;
  if (just(req) >= 0)
    starve("fiemap", req, 1, NULL);
  else
    skip(5, "no fiemap here");
  close(req.fd);
  test_rmtree();
  if (!EIO_HAVE_AT) {
    skip(1, "trees by paths");
    goto paths;
  }
  test_cptree("cptree", 0, false);
  test_cptree("a mirror", EIO_CP_SYNC | EIO_CP_DELETE | EIO_CP_TELL, false);
  test_cptree("a dry mirror", EIO_CP_SYNC | EIO_CP_DELETE | EIO_CP_DRY | EIO_CP_TELL, true);
  test_walk("walk", EIO_WALK_STAT | EIO_WALK_ROOT, 5);
  test_walk("walk for lines", EIO_WALK_LINES, 5);
  test_walk("totals", EIO_WALK_TOTALS | EIO_WALK_ALL, 5);
  test_walk("removal", EIO_WALK_REMOVE, 5);
paths:
  eio_wd_unref(wd);

  /* working directories without descriptor make paths */
  wd = malloc(sizeof *wd + sizeof scratch_path);
  wd->fd = -1;
  wd->refs = 1;
  strcpy(wd->path, scratch_path);
  strcpy(name, "file");
  strcpy(name_2, "file2");
  starve("stat by path", on_path(EIO_STAT, wd, name), 2, NULL);
  starve("rename by paths", on_paths(EIO_RENAME, wd, name, wd, name_2), 2, NULL);
  starve("link by paths", on_paths(EIO_LINK, wd, name_2, wd, name), 2, NULL);
  eio_wd_unref(wd);
  return scratch_end(0);
}

#endif
