/* ops_errors.c - what an operation on a tree could not do, and what it has done: see ops_errors.h. */
#include "ops_errors.h"

#include <stdlib.h>
#include <string.h>

int eio__errors_begin(struct eio__errors *errors, eio_req *req)
{
  errors->first = 0;
  errors->list = calloc(1, sizeof *errors->list);
  if (!errors->list) {
    errno = ENOMEM;
    return -1;
  }
  pthread_mutex_init(&errors->lock, NULL);
  __atomic_store_n(&req->errors, errors->list, __ATOMIC_RELEASE);
  return 0;
}

void eio__errors_add(struct eio__errors *errors, int error, const char *what, char *path)
{
  struct eio_errors *list = errors->list;

  eio__errors_done(errors, EIO_DONE_FAILED, 1);
  pthread_mutex_lock(&errors->lock);
  if (!errors->first)
    errors->first = error;
  if (path && list->count < EIO_ERRORS_MAX) {
    list->list[list->count++] = (struct eio_error){ path, what, error };
    path = NULL;
  }
  pthread_mutex_unlock(&errors->lock);
  free(path);
}

void eio__errors_tell(struct eio__errors *errors, int error, const char *what, const char *path)
{
  size_t length = path ? strlen(path) : 0;
  struct eio_told *told = path ? malloc(sizeof *told + length) : NULL;

  if (!told)
    return;
  told->what = what;
  told->errorno = error;
  memcpy(told->path, path, length + 1);
  told->next = __atomic_load_n(&errors->list->told, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(&errors->list->told, &told->next, told, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
    ;
}

int eio__errors_end(struct eio__errors *errors)
{
  pthread_mutex_destroy(&errors->lock);
  errno = errors->first;
  return errors->first ? -1 : 0;
}

static struct eio_told *take(struct eio_errors *list)
{
  struct eio_told *told = list ? __atomic_exchange_n(&list->told, NULL, __ATOMIC_ACQUIRE) : NULL, *first = NULL;

  while (told) { /* the last one comes first */
    struct eio_told *next = told->next;

    told->next = first;
    first = told;
    told = next;
  }
  return first;
}

void eio__errors_free(struct eio_errors *list)
{
  struct eio_told *told = take(list), *next;

  for (; told; told = next) {
    next = told->next;
    free(told);
  }
  for (uint32_t i = 0; list && i < list->count; i++)
    free(list->list[i].path);
  free(list);
}

/* The owner's side --------------------------------------------------------- */

void eio_tree_done(const eio_req *req, uint64_t done[EIO_DONE_KINDS])
{
  const struct eio_errors *list = __atomic_load_n(&req->errors, __ATOMIC_ACQUIRE);

  for (int i = 0; i < EIO_DONE_KINDS; i++)
    done[i] = list ? __atomic_load_n(&list->done[i], __ATOMIC_RELAXED) : 0;
}

struct eio_told *eio_tree_told(const eio_req *req)
{
  return take(__atomic_load_n(&req->errors, __ATOMIC_ACQUIRE));
}
