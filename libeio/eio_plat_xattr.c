/* eio_plat_xattr.c - extended attributes, with the calls of Linux. Elsewhere there
 * are none. */
#include "eio_plat_at.h"

#include <stdlib.h>

#if EIO_HAVE_XATTR
# include <sys/xattr.h>
#endif

#if !EIO_HAVE_XATTR
static int absent(void)
{
  errno = ENOSYS;
  return -1;
}
#endif

/* By one of six calls: the list of names for NULL. */
static ssize_t read_some(const struct eio_p_inode *of, const char *path, const char *name, char *buf, size_t size)
{
#if EIO_HAVE_XATTR
  if (of->fd >= 0)
    return name ? fgetxattr(of->fd, name, buf, size) : flistxattr(of->fd, buf, size);
  if (of->follow)
    return name ? getxattr(path, name, buf, size) : listxattr(path, buf, size);
  return name ? lgetxattr(path, name, buf, size) : llistxattr(path, buf, size);
#else
  (void)of, (void)path, (void)name, (void)buf, (void)size;
  return absent();
#endif
}

/* It may become longer between the question for its size and the one for it. */
static ssize_t read_all(const struct eio_p_inode *of, const char *path, const char *name, char **value)
{
  ssize_t size;
  char *buf;
  int error;

  do {
    size = read_some(of, path, name, NULL, 0);
    if (size < 0)
      return -1;
    buf = malloc((size_t)size + 1);
    if (!buf) {
      errno = ENOMEM;
      return -1;
    }
    if (size > 0)
      size = read_some(of, path, name, buf, (size_t)size);
    if (size < 0) {
      error = errno;
      free(buf);
      errno = error;
    }
  } while (size < 0 && errno == ERANGE);
  if (size >= 0) {
    buf[size] = 0;
    *value = buf;
  }
  return size;
}

ssize_t eio_p_xattr_read(const struct eio_p_inode *of, const char *name, char **value)
{
  struct eio_p_at at;
  ssize_t size;
  int error;

  if (of->fd >= 0)
    return read_all(of, NULL, name, value);
  if (!eio_p_at_begin(&at, of->wd, of->path, EIO_AT_PLAIN))
    return -1;
  size = read_all(of, at.path, name, value);
  error = errno;
  eio_p_at_end(&at, 0);
  errno = error;
  return size;
}

static int write_one(const struct eio_p_inode *of, const char *path, const char *name, const void *value, size_t size,
                     int flags)
{
#if EIO_HAVE_XATTR
  if (of->fd >= 0)
    return value ? fsetxattr(of->fd, name, value, size, flags) : fremovexattr(of->fd, name);
  if (of->follow)
    return value ? setxattr(path, name, value, size, flags) : removexattr(path, name);
  return value ? lsetxattr(path, name, value, size, flags) : lremovexattr(path, name);
#else
  (void)of, (void)path, (void)name, (void)value, (void)size, (void)flags;
  return absent();
#endif
}

int eio_p_xattr_write(const struct eio_p_inode *of, const char *name, const void *value, size_t size, int flags)
{
  struct eio_p_at at;

  if (of->fd >= 0)
    return write_one(of, NULL, name, value, size, flags);
  if (!eio_p_at_begin(&at, of->wd, of->path, EIO_AT_PLAIN))
    return -1;
  return eio_p_at_end(&at, write_one(of, at.path, name, value, size, flags));
}

/* Of descriptors, for copies ----------------------------------------------- */

ssize_t eio_p_xattr_get(int fd, const char *name, char **value)
{
  const struct eio_p_inode of = { .fd = fd };
  ssize_t size = eio_p_xattr_read(&of, name, value);

  if (size < 0 && (errno == ENODATA || errno == EOPNOTSUPP || errno == ENOSYS))
    size = 0;
  return size;
}

ssize_t eio_p_xattr_list(int fd, char **names)
{
  return eio_p_xattr_get(fd, NULL, names);
}

int eio_p_xattr_set(int fd, const char *name, const char *value, size_t size)
{
  const struct eio_p_inode of = { .fd = fd };

  return eio_p_xattr_write(&of, name, value, size, 0);
}

int eio_p_xattr_remove(int fd, const char *name)
{
  const struct eio_p_inode of = { .fd = fd };

  return eio_p_xattr_write(&of, name, NULL, 0, 0);
}
