/* ops_errors.c - what an operation on a tree could not do: see ops_errors.h. */
#include "ops_errors.h"

#include <stdlib.h>

void eio__errors_init(struct eio__errors *errors)
{
  *errors = (struct eio__errors){ .list = NULL };
  pthread_mutex_init(&errors->lock, NULL);
}

void eio__errors_add(struct eio__errors *errors, int error, const char *what, char *path)
{
  struct eio_errors *list;

  pthread_mutex_lock(&errors->lock);
  if (!errors->first)
    errors->first = error;
  if (!errors->list)
    errors->list = calloc(1, sizeof *list);
  list = errors->list;
  if (list) {
    list->total++;
    if (path && list->count < EIO_ERRORS_MAX) {
      list->list[list->count++] = (struct eio_error){ path, what, error };
      path = NULL;
    }
  }
  pthread_mutex_unlock(&errors->lock);
  free(path);
}

int eio__errors_leave(struct eio__errors *errors, eio_req *req)
{
  pthread_mutex_destroy(&errors->lock);
  req->errors = errors->list;
  errno = errors->first;
  return errors->first ? -1 : 0;
}

void eio__errors_free(struct eio_errors *list)
{
  for (uint32_t i = 0; list && i < list->count; i++)
    free(list->list[i].path);
  free(list);
}
