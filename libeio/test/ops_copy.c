/* ops_copy.c - _copy: data, holes, attributes, and what failures leave; _move */
#include "ops.h"

#include <sys/mount.h>
#include <sys/mman.h>
#if EIO_HAVE_XATTR
# include <sys/xattr.h>
#endif

static eio_req copying(const char *from, const char *to)
{
  return on_paths(EIO_COPY, NULL, from, NULL, to);
}

static bool same_data(const char *one, const char *two)
{
  int a = open_for_test(one, O_RDONLY), b = open_for_test(two, O_RDONLY);
  size_t size = (size_t)stat_of(one).st_size;
  bool same = stat_of(two).st_size == (off_t)size;

  if (same && size) {
    char *map_a = mmap(NULL, size, PROT_READ, MAP_SHARED, a, 0);
    char *map_b = mmap(NULL, size, PROT_READ, MAP_SHARED, b, 0);

    same = map_a != MAP_FAILED && map_b != MAP_FAILED && !memcmp(map_a, map_b, size);
    munmap(map_a, size);
    munmap(map_b, size);
  }
  close(a);
  close(b);
  return same;
}

static void make_file(const char *path, size_t size)
{
  unsigned char *data = malloc(size);
  uint32_t x = 1;

  for (size_t i = 0; i < size; i++) {
    x = x * 1664525 + 1013904223;
    data[i] = (unsigned char)(x >> 24);
  }
  put_data(path, data, size);
  free(data);
}

static void test_data(void)
{
  static const size_t sizes[] = { 0, 1, 4096, 65536, 65537, 1000000, 20000000 };
  eio_wd *wd = eio_wd_open(NULL, "dir");

  for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    make_file("src", sizes[i]);
    unlink("dst");
    is_int(just(copying("src", "dst")), 0, "copy of %zu octets", sizes[i]);
    ok(same_data("src", "dst"), "has the same data");
  }
  put("src", "short");
  is_int(just(copying("src", "dst")), 0, "copy over something longer");
  is_str(get("dst"), "short", "replaces it");
  is_int(just(on_paths(EIO_COPY, NULL, "src", wd, "copied")), 0, "copy into a wd");
  is_int(just(on_paths(EIO_COPY, wd, "copied", NULL, "dst2")), 0, "copy out of a wd");
  is_str(get("dst2"), "short", "work");
  symlink("target", "to-target");
  is_int(just(copying("src", "to-target")), 0, "copy to a dangling link");
  is_str(get("target"), "short", "makes what it leads to");
  ok(S_ISLNK(stat_of("to-target").st_mode), "and leaves it alone");
  eio_wd_unref(wd);
}

static void test_attributes(void)
{
  static const int modes[] = { 0644, 0400, 04755, 02711, 01777, 0 };
  struct timespec times[2] = { { 1000000000, 123456789 }, { -5, 987654321 } };
  struct stat from, to;
  int wrong_mode = 0, wrong_time = 0, wrong_owner = 0;

  for (int i = 0; i < 6; i++) {
    put("src", "attributes");
    if (geteuid() == 0 && chown("src", 12, 34) < 0)
      bail_out("chown");
    chmod("src", (mode_t)modes[i]);
    utimensat(AT_FDCWD, "src", times, 0);
    if (i & 1 || geteuid())
      unlink("dst");
    if (geteuid() == 0 || modes[i] & 0400) {
      from = stat_of("src");
      is_int(just(copying("src", "dst")), 0, "copy of a file with mode 0%o", (unsigned)modes[i]);
    } else {
      skip(1, "not root");
      unlink("src");
      continue;
    }
    to = stat_of("dst");
    wrong_mode += (to.st_mode & 07777) != (mode_t)modes[i];
    wrong_owner += to.st_uid != from.st_uid || to.st_gid != from.st_gid;
#if EIO_HAVE_FUTIMENS && EIO_HAVE_ST_TIM
    wrong_time += from.st_atim.tv_sec != to.st_atim.tv_sec || from.st_atim.tv_nsec != to.st_atim.tv_nsec
                  || from.st_mtim.tv_nsec != to.st_mtim.tv_nsec;
#endif
    wrong_time += from.st_mtime != to.st_mtime;
    unlink("src");
  }
  is_int(wrong_mode, 0, "it has the mode");
  is_int(wrong_owner, 0, "and the owner");
  is_int(wrong_time, 0, "and the times");
  unlink("dst");
}

/* ACLs and attributes ------------------------------------------------------ */

#if EIO_HAVE_XATTR

#define ACL "system.posix_acl_access"

/* As the kernel has them; for 1234 and the group 5678, with a mask of rw-. */
static void make_acl(unsigned char acl[60], int named, int group, int named_group, int others)
{
  const int entries[7][3] = {
    { 0x01, 6, -1 }, { 0x02, named, 1234 }, { 0x04, group, -1 }, { 0x08, named_group, 5678 },
    { 0x10, 6, -1 }, { 0x20, others, -1 },
  };

  memset(acl, 0, 60);
  acl[0] = 2;
  for (int i = 0; i < 6; i++) {
    unsigned char *at = acl + 4 + 8 * i;

    at[0] = (unsigned char)entries[i][0];
    at[2] = (unsigned char)entries[i][1];
    for (int j = 0; j < 4; j++)
      at[4 + j] = (unsigned char)((unsigned)entries[i][2] >> 8 * j);
  }
}

enum { ACL_SIZE = 52 };

static ssize_t acl_of(const char *path, unsigned char acl[60])
{
  return getxattr(path, ACL, acl, 60);
}

static void test_acl(void)
{
  unsigned char acl[60], got[60];

  put("src", "for some");
  chmod("src", 04640);
  make_acl(acl, 4, 0, 2, 0);
  if (setxattr("src", ACL, acl, ACL_SIZE, 0) < 0) {
    skip(14, "no ACLs here");
    return;
  }
  unlink("dst");
  is_int(just(copying("src", "dst")), 0, "copy of a file with an ACL");
  ok(acl_of("dst", got) == ACL_SIZE && !memcmp(acl, got, ACL_SIZE), "takes that along");
  is_int(stat_of("dst").st_mode & 07777, stat_of("src").st_mode & 07777, "and the mode");
  removexattr("src", ACL);
  chmod("src", 0640);
  is_int(just(copying("src", "dst")), 0, "copy over a file with an ACL");
  is_int(acl_of("dst", got), -1, "removes that");
  is_int(stat_of("dst").st_mode & 07777, 0640, "and has the mode");

  mkdir("defaults", 0755);
  is_int(setxattr("defaults", "system.posix_acl_default", acl, ACL_SIZE, 0), 0, "where files are given an ACL");
  is_int(just(copying("src", "defaults/dst")), 0, "a copy");
  is_int(acl_of("defaults/dst", got), -1, "has none");
  is_int(stat_of("defaults/dst").st_mode & 07777, 0640, "and has the mode");
}

/* Who cannot give the file to a group: its own must not have more than others had. */
static void copy_foreign(void)
{
  drop_root();
  is_int(just(copying("theirs", "shared/dst")), 0, "copy of a file of another group");
}

static void test_foreign_group(void)
{
  unsigned char acl[60];

  if (geteuid() != 0) {
    skip(4, "not root");
    return;
  }
  put("theirs", "for some");
  if (chown("theirs", 12, 34) < 0 || chmod("theirs", 0674) < 0)
    bail_out("chown");
  in_child(copy_foreign);
  is_int(stat_of("shared/dst").st_mode & 07777, 0644, "has what others may");
  unlink("shared/dst");
  make_acl(acl, 0, 6, 6, 4);
  if (setxattr("theirs", ACL, acl, ACL_SIZE, 0) < 0) {
    skip(2, "no ACLs here");
    return;
  }
  in_child(copy_foreign);
  is_int(stat_of("shared/dst").st_mode & 07777, 0600, "with an ACL has what everybody may who is in it");
  ok(acl_of("shared/dst", acl) < 0, "which it has not");
  unlink("shared/dst");
}
#else
static void test_acl(void) { }
static void test_foreign_group(void) { }
#endif

/* Others' programs must not become ours with their privileges. */
static void test_foreign(void)
{
  struct stat st;

  drop_root();
  is_int(just(copying("suid", "shared/dst")), 0, "copy of another's setuid program");
  st = stat_of("shared/dst");
  is_int(st.st_uid, geteuid(), "belongs to us");
  is_int(st.st_mode & 07777, 0755, "and is not setuid");
  unlink("shared/dst");
  fails(copying("secret", "shared/dst"), EACCES, "copy of what may not be read");
  ok(!exists("shared/dst"), "makes nothing");
  fails(copying("suid", "foreign"), EACCES, "copy over what may not be written");
  fails(copying("suid", "dir/dst"), EACCES, "copy to where nothing may be created");
}

/* A target that is there already is closed to readers while data arrive: who
 * writes to the pipe that is copied looks at the target meanwhile. */
static void test_secret(void)
{
  pid_t pid;
  int status;

  put("dst", "old contents");
  chmod("dst", 0666);
  if (mkfifo("pipe", 0600) < 0 || (pid = fork()) < 0)
    bail_out("no writer");
  if (pid == 0) {
    int fd = open("pipe", O_WRONLY);
    struct stat st;

    if (write(fd, "a secret", 8) != 8)
      _exit(2);
    do
      st = stat_of("dst");
    while (st.st_size != 8);
    _exit((st.st_mode & 07777) != 0200);
  }
  is_int(just(copying("pipe", "dst")), 0, "copy of a secret file over a public one");
  waitpid(pid, &status, 0);
  is_int(status, 0, "never shows data to others");
  is_int(stat_of("dst").st_mode & 07777, 0600, "also when it is done");
  unlink("dst");
}

static int64_t blocks(const char *path)
{
  return (int64_t)stat_of(path).st_blocks * 512;
}

static void test_holes(void)
{
  int fd = open_for_test("sparse", O_RDWR | O_CREAT);
  off_t end = (off_t)(sizeof end < 8 ? INT64_C(1) << 30 : INT64_C(5) << 30);

  if (ftruncate(fd, end) < 0 || pwrite(fd, "begin", 5, 0) != 5 || pwrite(fd, "middle", 6, end / 2) != 6)
    bail_out("cannot write");
  close(fd);
  if (blocks("sparse") > 1 << 20) {
    skip(9, "files here have no holes");
    return;
  }
  unlink("dst");
  is_int(just(copying("sparse", "dst")), 0, "copy of a large file of holes");
  is_int(stat_of("dst").st_size, end, "has the size");
  ok(blocks("dst") < 1 << 20, "and the holes");
  fd = open_for_test("dst", O_RDWR);
  for (int i = 0; i < 2; i++) {
    char buf[8] = { 0 };

    is_int(pread(fd, buf, 6 - (size_t)!i, i * (end / 2)), 6 - !i, "data are in their place");
    is_str(buf, i ? "middle" : "begin", "and right");
  }
  close(fd);
  if (truncate("sparse", 0) < 0 || truncate("sparse", 100000000) < 0)
    bail_out("truncate");
  is_int(just(copying("sparse", "dst")), 0, "copy of nothing but a hole");
  ok(stat_of("dst").st_size == 100000000 && blocks("dst") < 1 << 20, "is one");
  unlink("sparse");
  unlink("dst");
}

static void test_sizeless(void)
{
  static char big[300000];
  struct stat null = stat_of("/dev/null");
  pid_t pid;

  if (exists("/proc/self")) {
    is_int(just(copying("/proc/sys/kernel/ostype", "dst")), 0, "copy from /proc");
    is_str(get("dst"), "Linux\n", "has what is there");
  } else
    skip(2, "no /proc");
  unlink("dst"); /* which nobody may write but root */
  is_int(just(copying("/dev/null", "dst")), 0, "copy of an empty device");
  is_int(stat_of("dst").st_size, 0, "is empty");

  if (mkfifo("fifo", 0640) < 0 || (pid = fork()) < 0)
    bail_out("no writer");
  if (pid == 0) {
    int fd = open("fifo", O_WRONLY);

    _exit(write(fd, big, sizeof big) != sizeof big);
  }
  is_int(just(copying("fifo", "dst")), 0, "copy of a pipe");
  is_int(stat_of("dst").st_size, sizeof big, "has all that was written");
  ok(S_ISREG(stat_of("dst").st_mode), "into a file");
  waitpid(pid, NULL, 0);

  put("src", "to nowhere");
  chmod("src", 0600);
  is_int(just(copying("src", "/dev/null")), 0, "copy to a device");
  is_int(stat_of("/dev/null").st_mode, null.st_mode, "leaves that as it is");
}

static void test_refused(void)
{
  eio_req req;

  put("src", "source");
  put("dst", "target");
  fails(copying("missing", "new"), ENOENT, "copy of nothing");
  fails(copying("dir", "new"), EISDIR, "copy of a directory");
  fails(copying("", "new"), ENOENT, "copy of an empty path");
  ok(!exists("new"), "make nothing");
  fails(copying("missing", "dst"), ENOENT, "copy of nothing over something");
  fails(copying("dir", "dst"), EISDIR, "copy of a directory over something");
  is_str(get("dst"), "target", "leave that as it is");
  fails(copying("src", "dir"), EISDIR, "copy over a directory");
  fails(copying("src", "missing/dst"), ENOENT, "copy into nothing");
  fails(copying("src", ""), ENOENT, "copy to an empty path");
  fails(copying("src", "src"), EINVAL, "copy to itself");
  symlink("src", "to-src");
  fails(copying("src", "to-src"), EINVAL, "copy to itself by a link");
  link("src", "src-too");
  fails(copying("src-too", "src"), EINVAL, "copy to itself by another name");
  is_str(get("src"), "source", "leave it as it is");

  req = copying("src", "dst");
  req.flags |= EIO_CANCELLED;
  fails(req, ECANCELED, "copy that is cancelled");
  ok(!exists("dst"), "removes the target");
  mkdir("target-dir", 0755);
  put("target-dir/f", "target");
  symlink("target-dir/f", "to-f");
  req = copying("src", "to-f");
  req.flags |= EIO_CANCELLED;
  link("target-dir/f", "target-dir/too");
  fails(req, ECANCELED, "copy that is cancelled, to a link");
  is_int(stat_of("target-dir/f").st_size, 0, "empties what it leads to");
  is_int(stat_of("target-dir/f").st_mode & 07777, 0644, "which has its mode again");
  put("target-dir/f", "target");
  req = copying("src", "target-dir/f");
  req.flags |= EIO_CANCELLED;
  fails(req, ECANCELED, "copy that is cancelled, to a file with another name");
  ok(!exists("target-dir/f"), "removes the one");
  is_str(get("target-dir/too"), "", "and empties the other");
}

/* Files cannot grow beyond a limit: the data do not all arrive. */
static void test_no_space(void)
{
  struct rlimit limit = { 100000, 100000 };

  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &limit);
  unlink("dst");
  fails(copying("big", "dst"), EFBIG, "copy of too large a file");
  ok(!exists("dst"), "removes the target");
  put("dst", "old");
  fails(copying("big", "dst"), EFBIG, "copy of too large a file over another");
  ok(!exists("dst"), "removes the target");
  put("dst", "old");
  is_int(just(copying("src", "dst")), 0, "copy of a small one");
  fails(copying("big", "/dev/full"), ENOSPC, "copy to a full device");
  ok(exists("/dev/full"), "which is left alone");
}

static eio_req moving(const char *from, const char *to)
{
  return on_paths(EIO_MOVE, NULL, from, NULL, to);
}

static void test_move(void)
{
  put("src", "moved");
  put("dst", "in the way");
  is_int(just(moving("src", "dst")), 0, "move over a file");
  is_str(get("dst"), "moved", "replaces it");
  ok(!exists("src"), "and leaves nothing");
  fails(moving("src", "dst"), ENOENT, "move of nothing");
  is_str(get("dst"), "moved", "changes nothing");
}

/* Of the user; "src" is there and moves to "tiny/dst". */
static void test_move_attributes(void)
{
#if EIO_HAVE_XATTR
  if (setxattr("src", "user.note", "from me", 7, 0) < 0 || setxattr("src", "user.empty", "", 0, 0) < 0)
    skip(3, "no attributes here");
  else {
    char note[10] = { 0 };

    is_int(just(moving("src", "tiny/dst")), 0, "move of a file with attributes");
    if (getxattr("tiny/dst", "user.note", note, 9) < 0 && errno == EOPNOTSUPP)
      skip(2, "no attributes there");
    else {
      is_str(note, "from me", "takes them along");
      is_int(getxattr("tiny/dst", "user.empty", note, 9), 0, "empty ones, too");
    }
  }
#endif
}

/* Names are replaced, as rename() does, and never written through. */
static void test_move_far(void)
{
  struct timespec times[2] = { { 1000000000, 0 }, { 1000000000, 0 } };
  struct stat st;

  put("src", "new");
  put("tiny/dst", "old");
  link("tiny/dst", "tiny/too");
  is_int(just(moving("src", "tiny/dst")), 0, "move over a file with two names");
  is_str(get("tiny/dst"), "new", "replaces the one");
  is_str(get("tiny/too"), "old", "and not the other");

  put("src", "newer");
  symlink("too", "tiny/link");
  is_int(just(moving("src", "tiny/link")), 0, "move over a link");
  ok(S_ISREG(stat_of("tiny/link").st_mode), "replaces it");
  is_str(get("tiny/too"), "old", "and not where it leads to");

  symlink("to nowhere", "ln");
  if (lchown("ln", 12, 34) < 0 || utimensat(AT_FDCWD, "ln", times, AT_SYMLINK_NOFOLLOW) < 0)
    bail_out("lchown");
  is_int(just(moving("ln", "tiny/link")), 0, "move of a link");
  st = stat_of("tiny/link");
  ok(S_ISLNK(st.st_mode), "moves the link");
  ok(!EIO_HAVE_UTIMENSAT || (st.st_uid == 12 && st.st_gid == 34 && st.st_mtime == 1000000000), "with owner and time");
  ok(!exists("ln"), "from where it was");

  put("src", "stays");
  mkdir("tiny/sub", 0755);
  fails(moving("src", "tiny/sub"), EISDIR, "move over a directory");
  fails(moving("src", "tiny/new/"), ENOTDIR, "move to a name that wants to be one");
  fails(moving("src", "tiny/none/new"), ENOENT, "move into nothing");
  fails(moving("src", "tiny/dst/new"), ENOTDIR, "move into a file");
  mkdir("bound", 0755);
  if (mount("dir", "bound", NULL, MS_BIND, NULL) == 0) {
    put("dir/same", "the only one");
    fails(moving("dir/same", "bound/same"), EINVAL, "move to the same file by another way");
    is_str(get("dir/same"), "the only one", "leaves it there");
    umount("bound");
  } else
    skip(2, "nothing can be bound");
  mkfifo("named", 0600);
  fails(moving("named", "tiny/dst"), EXDEV, "move of a FIFO");
  ok(S_ISFIFO(stat_of("named").st_mode), "leaves it where it is");
  unlink("named");
  is_str(get("tiny/dst"), "new", "and what was there");
  is_str(get("src"), "stays", "all of them");
  test_move_attributes();
}

static void test_tiny(void)
{
  mkdir("tiny", 0755);
  if (geteuid() != 0 || mount("tmpfs", "tiny", "tmpfs", 0, "size=64k") < 0) {
    skip(9, "nothing can be mounted");
    return;
  }
  fails(copying("big", "tiny/dst"), ENOSPC, "copy to a full file system");
  ok(!exists("tiny/dst"), "removes the target");
  put("src", "small");
  is_int(just(copying("src", "tiny/dst")), 0, "copy across file systems");
  is_str(get("tiny/dst"), "small", "has the data");
  is_int(just(moving("src", "tiny/moved")), 0, "move across file systems");
  ok(!strcmp(get("tiny/moved"), "small") && !exists("src"), "takes the file there");
  fails(moving("big", "tiny/big"), ENOSPC, "move to a full file system");
  ok(exists("big") && !exists("tiny/big"), "leaves the file where it is");
  fails(moving("dir", "tiny/dir"), EISDIR, "move of a directory across file systems");
  test_move_far();
  if (umount("tiny") < 0)
    bail_out("umount");
}

int main(void)
{
  scratch_begin();
  chmod(".", 0755);
  mkdir("dir", 0755);
  make_file("big", 2000000);
  put("suid", "program");
  chmod("suid", 04755);
  put("secret", "");
  chmod("secret", 0600);
  put("foreign", "");
  mkdir("shared", 0777);
  chmod("shared", 0777);
  test_data();
  test_attributes();
  if (geteuid() == 0)
    in_child(test_foreign);
  else
    skip(7, "not root");
  test_acl();
  test_foreign_group();
  test_secret();
  test_holes();
  test_sizeless();
  test_refused();
  in_child(test_no_space);
  test_move();
  test_tiny();
  return scratch_end(0);
}
