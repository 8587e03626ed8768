/* eio_plat_xattr.c - extended attributes, with the calls of Linux. Elsewhere there
 * are none. */
#include "eio_plat.h"

#if EIO_HAVE_XATTR
# include <stdlib.h>
# include <sys/xattr.h>

/* By one of two calls: the list of names for NULL. */
static ssize_t xattr_read(int fd, const char *name, char *buf, size_t size)
{
  return name ? fgetxattr(fd, name, buf, size) : flistxattr(fd, buf, size);
}

/* It may become longer between the question for its size and the one for it. */
ssize_t eio_p_xattr_get(int fd, const char *name, char **value)
{
  ssize_t size;
  int error;

  do {
    size = xattr_read(fd, name, NULL, 0);
    if (size < 0 && (errno == ENODATA || errno == EOPNOTSUPP))
      size = 0;
    if (size <= 0)
      return size;
    *value = malloc((size_t)size);
    if (!*value)
      return -1;
    size = xattr_read(fd, name, *value, (size_t)size);
    if (size <= 0) {
      error = errno;
      free(*value);
      *value = NULL;
      errno = error;
    }
  } while (size < 0 && (errno == ERANGE || errno == ENODATA));
  return size;
}

int eio_p_xattr_set(int fd, const char *name, const char *value, size_t size)
{
  return fsetxattr(fd, name, value, size, 0);
}

int eio_p_xattr_remove(int fd, const char *name)
{
  return fremovexattr(fd, name);
}

#else

ssize_t eio_p_xattr_get(int fd, const char *name, char **value)
{
  (void)fd, (void)name, (void)value;
  return 0;
}

int eio_p_xattr_set(int fd, const char *name, const char *value, size_t size)
{
  (void)fd, (void)name, (void)value, (void)size;
  errno = ENOSYS;
  return -1;
}

int eio_p_xattr_remove(int fd, const char *name)
{
  (void)fd, (void)name;
  errno = ENOSYS;
  return -1;
}

#endif

ssize_t eio_p_xattr_list(int fd, char **names)
{
  return eio_p_xattr_get(fd, NULL, names);
}
