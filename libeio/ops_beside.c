/* ops_beside.c - names for what is made beside something, to take its place. */
#include "ops_whole.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ATTEMPTS = 100 /* to find a name that is not in use */ };

/* Each time another one. */
static char *name_beside(const char *path, unsigned attempt)
{
  const char *slash = strrchr(path, '/');
  size_t dir = slash ? (size_t)(slash - path) + 1 : 0, size = dir + 40;
  char *name = malloc(size);
  uint64_t x = (eio_p_now() + attempt) * UINT64_C(0x9e3779b97f4a7c15) ^ (uintptr_t)name; /* processes differ there */

  if (name) {
    memcpy(name, path, dir);
    snprintf(name + dir, size - dir, ".aio-%016jx", (uintmax_t)x);
  }
  return name;
}

char *eio__make_beside(const char *path, int (*try)(void *data, const char *name), void *data)
{
  for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
    char *name = name_beside(path, attempt);
    int error;

    if (!name || try(data, name) == 0)
      return name;
    error = errno;
    free(name);
    errno = error;
    if (error != EEXIST)
      break;
  }
  return NULL;
}
