/* ops_xattr.c - getxattr, setxattr, listxattr, removexattr, and those of links */
#include "ops.h"

static eio_wd *wd; /* "dir" */

static eio_req named(eio_req req, const char *name)
{
  req.attr = (char *)(uintptr_t)name;
  return req;
}

static eio_req setting(eio_req req, const char *name, const char *value, int flags)
{
  req = named(req, name);
  req.buf = (void *)(uintptr_t)value;
  req.size = strlen(value);
  req.arg1 = flags;
  return req;
}

#if EIO_HAVE_XATTR

# include <sys/xattr.h>

/* Passes if reading gives that value. */
static void has(eio_req req, const char *name, const char *value, const char *what)
{
  req = named(req, name);
  is_int(run(&req), (int64_t)strlen(value), "%s: length", what);
  is_str(req.result < 0 ? "" : req.buf, value, "%s: value, and a NUL", what);
  eio_req_finish(&req);
}

/* How many names there are that begin with "user.". */
static int count(eio_req req)
{
  const struct eio_dents *names;
  const char *name;
  int n = 0;

  if (run(&req) < 0)
    return -1;
  names = req.buf;
  name = names->names;
  for (uint32_t i = 0; i < names->count; i++, name += strlen(name) + 1)
    n += !strncmp(name, "user.", 5);
  if (req.result != names->count)
    n = -2;
  eio_req_finish(&req);
  return n;
}

static void test_files(void)
{
  int fd = open_for_test("dir/file", O_RDONLY);
  struct { const char *what; eio_wd *wd; const char *path; int fd; bool link; } ways[] = {
    { "by path", NULL, "dir/file", -1, false },
    { "in a wd", wd, "file", -1, false },
    { "by a link", NULL, "link", -1, true },
    { "by a link in a wd", wd, "link", -1, true },
    { "by descriptor", NULL, NULL, fd, false },
  };

  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
    for (int l = 0; l < (ways[i].link ? 1 : 2); l++) {
      const char *what = ways[i].what;
      eio_req get = on_path(l ? EIO_LGETXATTR : EIO_GETXATTR, ways[i].wd, ways[i].path), set, list, drop;

      get.fd = ways[i].fd;
      set = list = drop = get;
      set.op = l ? EIO_LSETXATTR : EIO_SETXATTR;
      list.op = l ? EIO_LLISTXATTR : EIO_LISTXATTR;
      drop.op = l ? EIO_LREMOVEXATTR : EIO_REMOVEXATTR;
      is_int(count(list), 0, "%s: no names at first", what);
      is_int(just(setting(set, "user.a", "value", 0)), 0, "%s: set", what);
      has(get, "user.a", "value", what);
      fails(setting(set, "user.a", "other", XATTR_CREATE), EEXIST, "%s: create again", what);
      fails(setting(set, "user.b", "other", XATTR_REPLACE), ENODATA, "%s: replace nothing", what);
      is_int(just(setting(set, "user.a", "other value", XATTR_REPLACE)), 0, "%s: replace", what);
      has(get, "user.a", "other value", what);
      is_int(just(setting(set, "user.b", "", XATTR_CREATE)), 0, "%s: an empty one", what);
      has(get, "user.b", "", what);
      is_int(count(list), 2, "%s: two names", what);
      fails(setting(set, "user.a", "x", 64), EINVAL, "%s: an unknown flag", what);
      fails(setting(set, "nowhere.a", "x", 0), EOPNOTSUPP, "%s: an unknown prefix", what);
      fails(named(get, ""), ERANGE, "%s: no name", what);
      fails(named(get, NULL), ERANGE, "%s: not even that", what);
      fails(named(get, "user.c"), ENODATA, "%s: get nothing", what);
      fails(named(drop, "user.c"), ENODATA, "%s: remove nothing", what);
      is_int(just(named(drop, "user.a")), 0, "%s: remove", what);
      is_int(just(named(drop, "user.b")), 0, "%s: remove the other", what);
      is_int(count(list), 0, "%s: no names at last", what);
    }
  close(fd);
}

static void test_links(void)
{
  eio_req req = on_path(EIO_LSETXATTR, wd, "dangling");

  fails(setting(req, "user.a", "x", 0), EPERM, "lsetxattr of a link");
  if (just(setting(req, "trusted.a", "link's", 0)) < 0) {
    skip(8, "no attributes of links here");
    return;
  }
  has(on_path(EIO_LGETXATTR, NULL, "dir/dangling"), "trusted.a", "link's", "lgetxattr of a link");
  req = on_path(EIO_LLISTXATTR, wd, "dangling");
  ok(run(&req) >= 1, "llistxattr of a link");
  eio_req_finish(&req);
  fails(named(on_path(EIO_GETXATTR, wd, "dangling"), "trusted.a"), ENOENT, "getxattr follows it");
  fails(on_path(EIO_LISTXATTR, wd, "dangling"), ENOENT, "and so does listxattr");
  fails(setting(on_path(EIO_SETXATTR, wd, "dangling"), "trusted.a", "x", 0), ENOENT, "and setxattr");
  fails(named(on_path(EIO_REMOVEXATTR, wd, "dangling"), "trusted.a"), ENOENT, "and removexattr");
  is_int(just(named(on_path(EIO_LREMOVEXATTR, wd, "dangling"), "trusted.a")), 0, "lremovexattr of a link");
}

static void test_failures(void)
{
  static const enum eio_op ops[] = {
    EIO_GETXATTR, EIO_LGETXATTR, EIO_SETXATTR, EIO_LSETXATTR,
    EIO_LISTXATTR, EIO_LLISTXATTR, EIO_REMOVEXATTR, EIO_LREMOVEXATTR,
  };

  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
    const char *name = eio_op_info(ops[i])->name;

    fails(setting(on_path(ops[i], NULL, "missing"), "user.a", "x", 0), ENOENT, "%s of nothing", name);
    fails(setting(on_path(ops[i], wd, "missing"), "user.a", "x", 0), ENOENT, "%s of nothing in a wd", name);
    fails(setting(on_path(ops[i], wd, ""), "user.a", "x", 0), ENOENT, "%s of an empty path", name);
    fails(setting(on_path(ops[i], wd, "file/x"), "user.a", "x", 0), ENOTDIR, "%s below a file", name);
    fails(setting(on_fd(ops[i], 12345), "user.a", "x", 0), EBADF, "%s of a closed descriptor", name);
  }
}

/* A working directory that has been moved is the same. */
static void test_moved(void)
{
  rename("dir", "moved");
  mkdir("dir", 0755);
  put("dir/file", "");
  is_int(just(setting(on_path(EIO_SETXATTR, wd, "file"), "user.a", "x", 0)), 0, "setxattr in a wd that has moved");
  has(on_path(EIO_GETXATTR, NULL, "moved/file"), "user.a", "x", "the file there");
  fails(named(on_path(EIO_GETXATTR, NULL, "dir/file"), "user.a"), ENODATA, "not that in its place");
}

int main(void)
{
  scratch_begin();
  mkdir("dir", 0755);
  put("dir/file", "0123456789");
  symlink("dir/file", "link");
  symlink("file", "dir/link");
  symlink("missing", "dir/dangling");
  wd = eio_wd_open(NULL, "dir");
  test_failures();
  if (setxattr("dir/file", "user.probe", "x", 1, 0) < 0)
    skip(1, "no attributes on this file system");
  else {
    removexattr("dir/file", "user.probe");
    test_files();
    test_links();
    if (EIO_HAVE_AT && access("/proc/self/fd", X_OK) == 0)
      test_moved();
  }
  eio_wd_unref(wd);
  return scratch_end(0);
}

#else

int main(void)
{
  scratch_begin();
  put("file", "");
  fails(named(on_path(EIO_GETXATTR, wd, "file"), "user.a"), ENOSYS, "getxattr is absent");
  fails(on_path(EIO_LISTXATTR, wd, "file"), ENOSYS, "listxattr is absent");
  fails(setting(on_path(EIO_SETXATTR, wd, "file"), "user.a", "x", 0), ENOSYS, "setxattr is absent");
  fails(named(on_path(EIO_REMOVEXATTR, wd, "file"), "user.a"), ENOSYS, "removexattr is absent");
  return scratch_end(0);
}

#endif
