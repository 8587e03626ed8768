/* eio_plat_dir.c - reading directories: straight from the kernel where it
 * gives whole blocks of entries with their types, else by readdir(3). */
#include "eio_plat.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if EIO_HAVE_GETDENTS64
# include <sys/syscall.h>
#endif

enum { DIR_FLAGS = O_RDONLY | O_DIRECTORY | O_NONBLOCK };

/* Below malloc's threshold for mmap: freed and taken again without a call. */
enum { DIR_BLOCK = 64 * 1024 };

static bool is_dots(const char *name)
{
  return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

#if EIO_HAVE_GETDENTS64

/* What the kernel writes. */
struct kernel_dirent {
  uint64_t ino;
  int64_t offs;
  uint16_t reclen;
  uint8_t type;
  char name[];
};

int eio_p_dir_fdopen(struct eio_p_dir *dir, int fd)
{
  dir->fd = fd;
  dir->stream = NULL;
  dir->at = dir->end = 0;
  dir->buf = malloc(DIR_BLOCK);
  if (dir->buf)
    return 0;
  close(fd);
  errno = ENOMEM;
  return -1;
}

int eio_p_dir_open(struct eio_p_dir *dir, const eio_wd *wd, const char *path)
{
  int fd = eio_p_open(wd, path, DIR_FLAGS, 0);

  return fd < 0 ? -1 : eio_p_dir_fdopen(dir, fd);
}

int eio_p_dir_next(struct eio_p_dir *dir, struct eio_p_dirent *entry)
{
  for (;;) {
    const struct kernel_dirent *kernel;

    if (dir->at == dir->end) {
      long n;

      EIO_RETRY(n, syscall(SYS_getdents64, dir->fd, dir->buf, DIR_BLOCK));
      if (n <= 0)
        return n && errno != ENOENT ? -1 : 0; /* as POSIX has it: a removed one has no entries */
      dir->at = 0;
      dir->end = (unsigned)n;
    }
    kernel = (const struct kernel_dirent *)(const void *)(dir->buf + dir->at);
    dir->at += kernel->reclen;
    if (is_dots(kernel->name))
      continue;
    entry->name = kernel->name;
    entry->len = strlen(kernel->name);
    entry->inode = kernel->ino;
    entry->type = kernel->type;
    return 1;
  }
}

bool eio_p_dir_blocks(const struct eio_p_dir *dir)
{
  return dir->at == dir->end;
}

int eio_p_dir_detach(struct eio_p_dir *dir)
{
  free(dir->buf);
  return dir->fd;
}

void eio_p_dir_close(struct eio_p_dir *dir)
{
  close(eio_p_dir_detach(dir));
}

#else

int eio_p_dir_fdopen(struct eio_p_dir *dir, int fd)
{
  int error;

  dir->fd = fd;
  dir->buf = NULL;
  dir->at = dir->end = 0;
  dir->stream = fdopendir(fd);
  if (dir->stream)
    return 0;
  error = errno;
  close(fd);
  errno = error;
  return -1;
}

int eio_p_dir_open(struct eio_p_dir *dir, const eio_wd *wd, const char *path)
{
  int fd = eio_p_open(wd, path, DIR_FLAGS, 0);

  return fd < 0 ? -1 : eio_p_dir_fdopen(dir, fd);
}

int eio_p_dir_next(struct eio_p_dir *dir, struct eio_p_dirent *entry)
{
  struct dirent *found;

  do {
    errno = 0;
    found = readdir(dir->stream);
    if (!found)
      return errno ? -1 : 0;
  } while (is_dots(found->d_name));
  entry->name = found->d_name;
  entry->len = strlen(found->d_name);
  entry->inode = found->d_ino;
# if EIO_HAVE_DIRENT_D_TYPE
  entry->type = found->d_type;
# else
  entry->type = EIO_DT_UNKNOWN;
# endif
  dir->at = (dir->at + 1) % 1024;
  return 1;
}

bool eio_p_dir_blocks(const struct eio_p_dir *dir)
{
  return dir->at == 0;
}

int eio_p_dir_detach(struct eio_p_dir *dir)
{
  int fd = fcntl(dir->fd, F_DUPFD_CLOEXEC, 0), error = errno;

  closedir(dir->stream);
  errno = error;
  return fd;
}

void eio_p_dir_close(struct eio_p_dir *dir)
{
  closedir(dir->stream);
}

#endif
