/* fuzz_path.c - path names, from a working directory with a descriptor and from
 * one that has only a name: both lead to the same file, and the absolute name is
 * that of realpath(3). Nothing is changed on disk. */
#include "fuzz.h"

#include "../eio_plat.h"

#include <limits.h>

static eio_wd *with_fd, *by_name;

static char dir[] = "/tmp/eio-fuzz-XXXXXX";

static void tidy(void)
{
  char command[64];

  snprintf(command, sizeof command, "rm -r %s", dir);
  MUST(system(command) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
  char *absolute;

  (void)argc, (void)argv;
  /* the tree is a few directories deep, so that ".." stays in it mostly */
  MUST(mkdtemp(dir) && chdir(dir) == 0 && atexit(tidy) == 0);
  MUST(system("mkdir -p d/a/b/a d/b d/a/a && touch d/a/f d/f && ln -s a d/l && ln -s ../f d/b/l"
              " && ln -s l d/a/l && ln -s none d/n && chmod 0755 .") == 0);
  MUST(chdir("d") == 0);
  with_fd = eio_wd_open(NULL, ".");
  absolute = eio_p_realpath(NULL, ".");
  MUST(with_fd && absolute);
  by_name = malloc(sizeof *by_name + strlen(absolute) + 1);
  MUST(by_name);
  by_name->fd = -1;
  by_name->refs = 1;
  strcpy(by_name->path, absolute);
  free(absolute);
  return 0;
}

/* Few letters, so that names meet; but all octets are possible. */
static char *name_of(const uint8_t *data, size_t size)
{
  static const char letters[] = "ab.l/fn";
  char *name = malloc(size + 1);
  size_t n = 0;

  MUST(name);
  for (size_t i = 0; i < size; i++)
    if (data[i] >= 0x80 && data[i] < 0xf0)
      name[n++] = letters[data[i] % (sizeof letters - 1)];
    else if (data[i])
      name[n++] = (char)data[i];
  name[n] = 0;
  return name;
}

/* Whether something that changes by itself is met: /proc and the like. */
static bool is_stable(const char *path)
{
  return !path || (strncmp(path, "/proc", 5) && strncmp(path, "/dev", 4) && strncmp(path, "/sys", 4));
}

static void same_stat(const char *name, bool follow)
{
  struct stat one, other;
  int a, b, error;

  errno = 0;
  a = eio_p_stat(with_fd, name, &one, follow);
  error = errno;
  errno = 0;
  b = eio_p_stat(by_name, name, &other, follow);
  /* The joined name is longer, and may be too long. */
  MUST(a == b || errno == ENAMETOOLONG);
  if (a == 0 && b == 0)
    MUST(one.st_ino == other.st_ino && one.st_dev == other.st_dev);
  if (a < 0)
    MUST(error == errno || errno == ENAMETOOLONG);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *name = name_of(data, size), *joined = malloc(strlen(by_name->path) + size + 2);
  char *kernel, *walked;
  eio_wd *wd;
  int error;

  MUST(joined);
  sprintf(joined, "%s%s%s", *name == '/' ? "" : by_name->path, *name == '/' ? "" : "/", name);
  errno = 0;
  kernel = eio_p_realpath(with_fd, name);
  error = errno;
  walked = *name ? realpath(joined, NULL) : NULL;
  if (*name && is_stable(kernel) && is_stable(walked)) {
    same_stat(name, true);
    same_stat(name, false);
    MUST(!kernel == !walked || strlen(joined) >= PATH_MAX);
    if (kernel && walked) /* realpath() may keep two slashes */
      MUST(!strcmp(kernel, walked + (walked[1] == '/')));
  } else if (!*name)
    MUST(!kernel && error == ENOENT);
  if ((wd = eio_wd_open(with_fd, name))) {
    MUST(kernel && !strcmp(eio_wd_path(wd), kernel));
    eio_wd_unref(wd);
  }
  free(walked);
  free(kernel);
  free(joined);
  free(name);
  return 0;
}
