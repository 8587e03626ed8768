/* ops_path.c - unlink, unlinkat, mknod, link, linkat, symlink, readlink, realpath,
 * rename, rename2, mkdir, mkpath, rmdir */
#include "ops.h"

#include <limits.h>
#include <sys/sysmacros.h>

static eio_wd *wd; /* "dir" */

static eio_req moding(eio_req req, int mode)
{
  req.arg2 = mode;
  return req;
}

static void test_unlink(void)
{
  put("u", "");
  put("dir/u", "");
  is_int(just(on_path(EIO_UNLINK, NULL, "u")), 0, "unlink");
  ok(!exists("u"), "removes the name");
  is_int(just(on_path(EIO_UNLINK, wd, "u")), 0, "unlink relative to a wd");
  ok(!exists("dir/u"), "removes the name");
  fails(on_path(EIO_UNLINK, NULL, "u"), ENOENT, "unlink of nothing");
  fails(on_path(EIO_UNLINK, NULL, ""), ENOENT, "unlink of an empty path");
  fails(on_path(EIO_UNLINK, NULL, "dir"), EISDIR, "unlink of a directory");
  put("with\nnewline ", "");
  is_int(just(on_path(EIO_UNLINK, NULL, "with\nnewline ")), 0, "any octets make a name");
}

static eio_req flagged(eio_req req, int flags)
{
  req.arg1 = flags;
  return req;
}

static void test_unlinkat(void)
{
  put("dir/u", "");
  mkdir("dir/d", 0755);
  is_int(just(on_path(EIO_UNLINKAT, wd, "u")), 0, "unlinkat");
  ok(!exists("dir/u"), "removes the name");
  fails(on_path(EIO_UNLINKAT, NULL, "dir/d"), EISDIR, "unlinkat of a directory");
  fails(flagged(on_path(EIO_UNLINKAT, NULL, "dir/d"), 0x10000), EINVAL, "unlinkat with an unknown flag");
  put("dir/d/f", "");
  fails(flagged(on_path(EIO_UNLINKAT, wd, "d/f"), AT_REMOVEDIR), ENOTDIR, "unlinkat of a file as a directory");
  fails(flagged(on_path(EIO_UNLINKAT, wd, "d"), AT_REMOVEDIR), ENOTEMPTY, "unlinkat of a full directory");
  unlink("dir/d/f");
  is_int(just(flagged(on_path(EIO_UNLINKAT, wd, "d"), AT_REMOVEDIR)), 0, "unlinkat of a directory with the flag");
  ok(!exists("dir/d"), "removes it");
  fails(flagged(on_path(EIO_UNLINKAT, wd, "d"), AT_REMOVEDIR), ENOENT, "unlinkat of nothing");
}

static eio_req linking(int fd, eio_wd *wd2, const char *path2, int flags)
{
  eio_req req = flagged(on_paths(EIO_LINKAT, NULL, NULL, wd2, path2), flags);

  req.fd = fd;
  return req;
}

static void unprivileged_links(void)
{
  int fd = open_for_test("open-to-all", O_RDWR);

  drop_root();
  is_int(just(linking(fd, NULL, "open/to-all", 0)), 0, "linkat of a descriptor without privileges");
  close(fd);
}

static void test_linkat(void)
{
  int fd;

  put("at", "text");
  symlink("../at", "dir/at");
  is_int(just(on_paths(EIO_LINKAT, wd, "at", NULL, "at1")), 0, "linkat of a link");
  ok(S_ISLNK(stat_of("at1").st_mode), "makes a second name of the link");
#if EIO_HAVE_AT
  is_int(just(flagged(on_paths(EIO_LINKAT, wd, "at", NULL, "at2"), AT_SYMLINK_FOLLOW)), 0, "linkat that follows it");
  is_int(stat_of("at2").st_ino, stat_of("at").st_ino, "makes one of the file");
  fails(flagged(on_paths(EIO_LINKAT, wd, "at", NULL, "at3"), 0x10000), EINVAL, "linkat with an unknown flag");
#else
  fails(flagged(on_paths(EIO_LINKAT, wd, "at", NULL, "at2"), 0x400), ENOSYS, "linkat that follows is absent");
#endif
  fails(on_paths(EIO_LINKAT, NULL, "missing", wd, "l4"), ENOENT, "linkat of nothing");
  fails(on_paths(EIO_LINKAT, NULL, "at", wd, ""), ENOENT, "linkat to an empty path");
  fails(on_paths(EIO_LINKAT, NULL, "", wd, "l4"), ENOENT, "linkat of an empty path");
  fd = open_for_test("at", O_RDONLY);
#if EIO_HAVE_AT && defined AT_EMPTY_PATH
  is_int(just(linking(fd, wd, "at4", 0)), 0, "linkat of a descriptor");
  is_int(stat_of("dir/at4").st_ino, stat_of("at").st_ino, "makes another name of its file");
  fails(linking(fd, wd, "at4", 0), EEXIST, "linkat of a descriptor again");
  fails(linking(fd, wd, "", 0), ENOENT, "linkat of a descriptor to an empty path");
  fails(linking(fd, wd, "none/x", 0), ENOENT, "linkat of a descriptor into nothing");
  fails(linking(12345, wd, "at5", 0), EBADF, "linkat of a closed descriptor");
  put("open-to-all", "");
  chmod("open-to-all", 0666);
  mkdir("open", 0777);
  chmod("open", 0777);
  chmod(".", 0755);
  in_child(unprivileged_links);
#else
  fails(linking(fd, wd, "at4", 0), ENOSYS, "linkat of a descriptor is absent");
  (void)unprivileged_links;
#endif
  close(fd);
}

static void test_mknod(void)
{
  eio_req req = moding(on_path(EIO_MKNOD, wd, "fifo"), S_IFIFO | 0640);

  is_int(just(req), 0, "mknod of a pipe");
  is_int(stat_of("dir/fifo").st_mode, S_IFIFO | 0640, "makes one");
  fails(req, EEXIST, "mknod again");
  is_int(just(moding(on_path(EIO_MKNOD, NULL, "plain"), 0600)), 0, "mknod without a type");
  ok(S_ISREG(stat_of("plain").st_mode), "makes a file");
  req = moding(on_path(EIO_MKNOD, NULL, "null"), S_IFCHR | 0600);
  req.offs = (int64_t)makedev(1, 3);
  if (just(req) == 0)
    is_int(stat_of("null").st_rdev, makedev(1, 3), "mknod of a device");
  else
    skip(1, "devices cannot be made here");
}

static void test_links(void)
{
  char name[32], *text = malloc(5000);
  eio_req req;

  put("l", "linked");
  is_int(just(on_paths(EIO_LINK, NULL, "l", wd, "l2")), 0, "link into a wd");
  is_int(stat_of("dir/l2").st_nlink, 2, "makes a second name");
  is_int(just(on_paths(EIO_LINK, wd, "l2", NULL, "l3")), 0, "link from a wd");
  is_int(stat_of("l").st_nlink, 3, "makes a third one");
  fails(on_paths(EIO_LINK, NULL, "l", wd, "l2"), EEXIST, "link to a name that is there");
  fails(on_paths(EIO_LINK, NULL, "missing", wd, "l4"), ENOENT, "link of nothing");
  fails(on_paths(EIO_LINK, NULL, "l", wd, ""), ENOENT, "link to an empty path");

  is_int(just(on_paths(EIO_SYMLINK, wd, "any text", wd, "s")), 0, "symlink into a wd");
  req = on_path(EIO_READLINK, wd, "s");
  is_int(run(&req), 8, "readlink");
  is_str(req.buf, "any text", "gives the text, and a NUL");
  eio_req_finish(&req);
  is_int(just(on_paths(EIO_LINK, wd, "s", NULL, "s2")), 0, "link does not follow");
  ok(S_ISLNK(stat_of("s2").st_mode), "but makes a second name of a link");
  fails(on_paths(EIO_SYMLINK, NULL, "x", wd, "s"), EEXIST, "symlink to a name that is there");
  fails(on_paths(EIO_SYMLINK, NULL, "", wd, "s3"), ENOENT, "symlink without text");
  fails(on_paths(EIO_SYMLINK, NULL, NULL, wd, "s3"), ENOENT, "symlink without even that");
  fails(on_path(EIO_READLINK, NULL, "l"), EINVAL, "readlink of a file");
  fails(on_path(EIO_READLINK, NULL, "missing"), ENOENT, "readlink of nothing");

  for (int length = 1; length <= 4095; length = length < 128 ? length * 2 : length + 1239) {
    memset(text, 'x', (size_t)length);
    text[length] = 0;
    snprintf(name, sizeof name, "length%d", length);
    is_int(just(on_paths(EIO_SYMLINK, NULL, text, NULL, name)), 0, "symlink of %d octets", length);
    req = on_path(EIO_READLINK, NULL, name);
    is_int(run(&req), length, "readlink of as many");
    ok(!memcmp(req.buf, text, (size_t)length + 1), "gives all of them");
    eio_req_finish(&req);
  }
  free(text);
}

static void is_realpath(eio_wd *from, const char *path, const char *want)
{
  eio_req req = on_path(EIO_REALPATH, from, path);
  char absolute[5000];

  snprintf(absolute, sizeof absolute, "%s%s", *want == '/' ? "" : scratch_path, want);
  if (!strcmp(want, "/."))
    strcpy(absolute, "/");
  run(&req);
  is_str(req.result < 0 ? strerror(req.errorno) : req.buf, absolute, "realpath %s", path);
  is_int(req.result, (intmax_t)strlen(absolute), "has the right length");
  eio_req_finish(&req);
}

static void test_realpath(void)
{
  char want[5000];

  mkdir("dir/sub", 0755);
  put("dir/f", "");
  symlink("dir/sub", "to-sub");
  symlink("to-sub", "to-to-sub");
  symlink("nowhere", "dangling");
  symlink("self", "self");
  snprintf(want, sizeof want, "%s/dir/sub", scratch_path);
  is_realpath(NULL, "to-to-sub", want);
  is_realpath(wd, "sub/../../to-sub/.", want);
  snprintf(want, sizeof want, "%s/dir", scratch_path);
  is_realpath(NULL, "to-sub/..", want);
  is_realpath(wd, ".", want);
  snprintf(want, sizeof want, "%s/dir/f", scratch_path);
  is_realpath(wd, "f", want);
  is_realpath(NULL, ".", scratch_path);
  is_realpath(NULL, "//", "/.");
  is_realpath(wd, "/", "/.");
  fails(on_path(EIO_REALPATH, NULL, "dangling"), ENOENT, "realpath of a dangling link");
  fails(on_path(EIO_REALPATH, NULL, ""), ENOENT, "realpath of an empty path");
  fails(on_path(EIO_REALPATH, NULL, "dir/f/"), ENOTDIR, "realpath of file/");
  fails(on_path(EIO_REALPATH, NULL, "dir/f/."), ENOTDIR, "realpath of file/.");
  fails(on_path(EIO_REALPATH, NULL, "self"), ELOOP, "realpath of a link to itself");
  mkfifo("dir/pipe", 0600);
  snprintf(want, sizeof want, "%s/dir/pipe", scratch_path);
  is_realpath(wd, "pipe", want);
}

/* Names in the process's own directory: links of all kinds, and none to be had. */
static void test_realpath_here(void)
{
  char name[16], text[16], long_name[NAME_MAX + 2], want[5000];

  mkdir("here", 0755);
  if (chdir("here") < 0)
    bail_out("chdir");
  put("f", "");
  put("dots..", "");
  put("9", "");
  mkfifo("pipe", 0600);
  mkdir("sub", 0755);
  for (int i = 1; i <= 9; i++) { /* "0" is nine links away from "9" */
    snprintf(name, sizeof name, "%d", i - 1);
    snprintf(text, sizeof text, "%d", i);
    symlink(text, name);
  }
  symlink("f", "to-f");
  symlink("./f", "to-f-with-slash");
  symlink("sub", "to-sub");
  symlink(".", "to-here");
  symlink("..", "to-above");
  symlink("missing", "dangling");
  symlink("loop2", "loop");
  symlink("loop", "loop2");
  memset(long_name, 'n', NAME_MAX + 1);
  long_name[NAME_MAX + 1] = 0;
  symlink(long_name, "too-long");
  long_name[NAME_MAX] = 0;
  put(long_name, "");
  symlink(long_name, "to-long");

# define HERE(path, name) \
    (snprintf(want, sizeof want, "%s/here%s", scratch_path, (name)), is_realpath(NULL, (path), want))
  HERE("f", "/f");
  HERE("to-f", "/f");
  HERE("to-f-with-slash", "/f");
  HERE("dots..", "/dots..");
  HERE("pipe", "/pipe");
  HERE("sub", "/sub");
  HERE("to-sub", "/sub");
  HERE("0", "/9");
  HERE("1", "/9");
  HERE("to-here", "");
  HERE(".", "");
  snprintf(want, sizeof want, "%s/here/%s", scratch_path, long_name);
  is_realpath(NULL, "to-long", want);
  is_realpath(NULL, "to-above", scratch_path);
  is_realpath(NULL, "..", scratch_path);
  fails(on_path(EIO_REALPATH, NULL, "dangling"), ENOENT, "realpath of a dangling link");
  fails(on_path(EIO_REALPATH, NULL, "missing"), ENOENT, "realpath of nothing");
  fails(on_path(EIO_REALPATH, NULL, "loop"), ELOOP, "realpath of links in a circle");
  fails(on_path(EIO_REALPATH, NULL, "too-long"), ENAMETOOLONG, "realpath of a link to what cannot be");

  if (chdir("/") < 0)
    bail_out("chdir");
  is_realpath(NULL, "proc", "/proc");
  if (chdir(scratch_path) < 0 || chdir("here/sub") < 0 || rmdir("../sub") < 0)
    bail_out("chdir");
  fails(on_path(EIO_REALPATH, NULL, "."), ENOENT, "realpath of a directory that is removed");
  fails(on_path(EIO_REALPATH, NULL, "x"), ENOENT, "and in it");
  if (chdir(scratch_path) < 0)
    bail_out("chdir");
}

/* As deep as a path can say: realpath knows it, although it is long. */
static void test_realpath_long(void)
{
  char name[] = "a-name-of-fifty-octets-which-makes-paths-very-long", path[4096] = "";
  eio_req req;
  int depth = 0;

  while (strlen(path) + strlen(scratch_path) + sizeof name + 2 < 4096) {
    strcat(path, depth++ ? "/" : "");
    strcat(path, name);
    if (mkdir(path, 0755) < 0)
      bail_out("mkdir");
  }
  req = on_path(EIO_REALPATH, NULL, path);
  is_int(run(&req), (intmax_t)(strlen(scratch_path) + 1 + strlen(path)), "realpath of a long path");
  eio_req_finish(&req);
}

static eio_req renaming(eio_wd *from, const char *path, eio_wd *to, const char *path2, int flags)
{
  eio_req req = on_paths(EIO_RENAME2, from, path, to, path2);

  req.arg1 = flags;
  return req;
}

static void test_rename(void)
{
  eio_wd *sub;

  put("r", "one");
  put("dir/r", "two");
  is_int(just(on_paths(EIO_RENAME, NULL, "r", wd, "r")), 0, "rename into a wd");
  is_str(get("dir/r"), "one", "replaces");
  is_int(just(on_paths(EIO_RENAME, wd, "r", NULL, "r2")), 0, "rename out of a wd");
  is_str(get("r2"), "one", "moves");
  fails(on_paths(EIO_RENAME, wd, "r", NULL, "r2"), ENOENT, "rename of nothing");
  fails(on_paths(EIO_RENAME, NULL, "r2", NULL, ""), ENOENT, "rename to an empty path");
  fails(on_paths(EIO_RENAME, NULL, "r2", NULL, "dir"), EISDIR, "rename of a file to a directory");
  fails(on_paths(EIO_RENAME, NULL, "dir", NULL, "dir/x"), EINVAL, "rename of a directory into itself");

  is_int(just(renaming(NULL, "r2", NULL, "r3", 0)), 0, "rename2 without flags");
  ok(exists("r3") && !exists("r2"), "is rename");
  put("r4", "four");
  if (EIO_HAVE_RENAMEAT2) {
    fails(renaming(NULL, "r3", NULL, "r4", 1), EEXIST, "rename2 with RENAME_NOREPLACE");
    is_int(just(renaming(NULL, "r3", NULL, "r4", 2)), 0, "rename2 with RENAME_EXCHANGE");
    is_str(get("r3"), "four", "exchanges");
    fails(renaming(NULL, "r3", NULL, "r4", 3), EINVAL, "rename2 with both");
  } else {
    fails(renaming(NULL, "r3", NULL, "r4", 1), ENOSYS, "rename2 with flags is absent");
    skip(3, "no renameat2()");
  }

  mkdir("sub", 0755);
  sub = eio_wd_open(NULL, "sub");
  is_int(just(on_paths(EIO_RENAME, sub, ".", NULL, "renamed")), 0, "rename of a wd's \".\"");
  ok(exists("renamed") && !exists("sub"), "renames the directory");
  eio_wd_unref(sub);
  fails(on_paths(EIO_RENAME, NULL, ".", NULL, "x"), EBUSY, "rename of \".\" without a wd");
}

static void test_directories(void)
{
  eio_wd *sub;

  is_int(just(moding(on_path(EIO_MKDIR, wd, "d"), 0777)), 0, "mkdir relative to a wd");
  is_int(stat_of("dir/d").st_mode, S_IFDIR | 0755, "heeds mode and umask");
  fails(moding(on_path(EIO_MKDIR, wd, "d"), 0777), EEXIST, "mkdir again");
  is_int(just(moding(on_path(EIO_MKDIR, NULL, "d/"), 0700)), 0, "mkdir with a slash");
  fails(moding(on_path(EIO_MKDIR, NULL, "missing/d"), 0777), ENOENT, "mkdir in nothing");
  fails(on_path(EIO_RMDIR, NULL, "dir"), ENOTEMPTY, "rmdir of what is not empty");
  is_int(just(on_path(EIO_RMDIR, wd, "d")), 0, "rmdir relative to a wd");
  ok(!exists("dir/d"), "removes it");
  fails(on_path(EIO_RMDIR, wd, "d"), ENOENT, "rmdir of nothing");
  fails(on_path(EIO_RMDIR, wd, "f"), ENOTDIR, "rmdir of a file");
  fails(on_path(EIO_RMDIR, wd, ""), ENOENT, "rmdir of an empty path");
  fails(on_path(EIO_RMDIR, NULL, "d/."), EINVAL, "rmdir of directory/.");
  sub = eio_wd_open(NULL, "d");
  is_int(just(on_path(EIO_RMDIR, sub, ".")), 0, "rmdir of a wd's \".\"");
  ok(!exists("d"), "removes the directory");
  fails(on_path(EIO_RMDIR, sub, "."), ENOENT, "but only once");
  mkdir("d", 0755);
  if (sub->fd >= 0) {
    fails(on_path(EIO_RMDIR, sub, "."), ENOENT, "and not another of that name");
    close(sub->fd);
    sub->fd = -1;
  } else
    skip(1, "working directories are names here");
  is_int(just(on_path(EIO_RMDIR, sub, ".")), 0, "which is all that a wd without descriptor has");
  eio_wd_unref(sub);
}

static void test_mkpath(void)
{
  eio_req req = moding(on_path(EIO_MKPATH, NULL, "dir/p/q//r/"), 0500);

  is_int(just(req), 0, "mkpath");
  is_int(stat_of("dir/p/q/r").st_mode, S_IFDIR | 0500, "the directory has the mode");
  is_int(stat_of("dir/p/q").st_mode, S_IFDIR | 0700, "and those above it, with what their owner needs");
  is_int(just(req), 0, "mkpath of what is there");
  is_int(just(moding(on_path(EIO_MKPATH, wd, "p/q/s"), -1)), 0, "mkpath relative to a wd");
  is_int(stat_of("dir/p/q/s").st_mode, S_IFDIR | 0755, "without a mode: the usual one, and the umask");
  is_int(just(moding(on_path(EIO_MKPATH, wd, "n/../m/."), 0777)), 0, "mkpath with dots");
  ok(exists("dir/n") && exists("dir/m"), "makes all that is named");
  is_int(just(on_path(EIO_MKPATH, NULL, "/")), 0, "mkpath of the root");
  is_int(just(on_path(EIO_MKPATH, NULL, "/proc/self")), 0, "mkpath of what cannot be made, but is there");
  if (symlink("p", "dir/to-p") < 0 || symlink("nowhere", "dir/dangling") < 0)
    bail_out("symlink");
  is_int(just(moding(on_path(EIO_MKPATH, wd, "to-p/x/y"), 0777)), 0, "mkpath through a link");
  ok(exists("dir/p/x/y"), "goes where it leads");
  put("dir/a-file", "");
  fails(on_path(EIO_MKPATH, wd, "a-file"), EEXIST, "mkpath of a file");
  fails(on_path(EIO_MKPATH, wd, "a-file/x/y"), ENOTDIR, "mkpath below a file");
  fails(on_path(EIO_MKPATH, wd, "dangling/x"), EEXIST, "mkpath below a link to nothing");
  fails(on_path(EIO_MKPATH, wd, ""), ENOENT, "mkpath of an empty path");
  fails(on_path(EIO_MKPATH, NULL, "/proc/none/x"), ENOENT, "mkpath where nothing can be made");
  req = moding(on_path(EIO_MKPATH, wd, "c/d/e"), 0777);
  eio__flag_set(&req, EIO_CANCELLED);
  fails(req, ENOENT, "mkpath that was cancelled");
  ok(!exists("dir/c"), "makes no more");
}

/* A working directory without descriptor goes by its path. */
static void test_wd_by_path(void)
{
  size_t size = sizeof(eio_wd) + sizeof scratch_path + 4;
  eio_wd *named = malloc(size);
  eio_req req;

  named->fd = -1;
  named->refs = 1;
  snprintf(named->path, sizeof scratch_path + 4, "%s/dir", scratch_path);
  put("dir/by-path", "found");
  is_int(just(on_path(EIO_STAT, named, "by-path")), 0, "a wd without descriptor works");
  fails(on_path(EIO_STAT, named, ""), ENOENT, "but not for an empty path");
  is_int(just(on_paths(EIO_RENAME, named, "by-path", named, "by-path2")), 0, "also for two paths");
  req = on_path(EIO_LOAD, named, "by-path2");
  is_int(run(&req), 5, "and for reading");
  eio_req_finish(&req);
  *named->path = 0;
  fails(on_path(EIO_UNLINK, named, "etc"), EBADF, "one without name either leads nowhere");
  eio_wd_unref(named);
}

int main(void)
{
  scratch_begin();
  mkdir("dir", 0755);
  wd = eio_wd_open(NULL, "dir");
  test_unlink();
  test_unlinkat();
  test_linkat();
  test_mknod();
  test_links();
  test_realpath();
  test_realpath_here();
  test_realpath_long();
  test_rename();
  test_directories();
  test_mkpath();
  test_wd_by_path();
  eio_wd_unref(wd);
  return scratch_end(0);
}
