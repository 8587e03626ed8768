/* ops_mem.c - pages of memory regions. A region may begin and end anywhere;
 * the calls take the pages that it touches. */
#include "eio_plat.h"

#include <stdlib.h>
#include <unistd.h>

static size_t page_size(void)
{
  return (size_t)sysconf(_SC_PAGESIZE);
}

/* How far into its first page the region begins. */
static size_t into_page(const eio_req *req)
{
  return (uintptr_t)req->buf & (page_size() - 1);
}

int64_t eio_x_msync(eio_req *req)
{
  size_t before = into_page(req);

  return eio_p_msync((char *)req->buf - before, (size_t)req->size + before, req->arg1);
}

int64_t eio_x_mlock(eio_req *req)
{
  size_t before = into_page(req);

  return eio_p_mlock((char *)req->buf - before, (size_t)req->size + before);
}

int64_t eio_x_mincore(eio_req *req)
{
  size_t before = into_page(req), size = (size_t)req->size + before;
  size_t pages = req->size ? (size - 1) / page_size() + 1 : 0;
  unsigned char *page = malloc(pages + 1);

  if (!page)
    return -1;
  if (eio_p_mincore((char *)req->buf - before, pages ? size : 0, page) < 0) {
    int error = errno;

    free(page);
    errno = error;
    return -1;
  }
  for (size_t i = 0; i < pages; i++)
    page[i] &= 1;
  page[pages] = 0;
  req->pages = page;
  return (int64_t)pages;
}

int64_t eio_x_mlockall(eio_req *req)
{
  return eio_p_mlockall(req->arg1);
}

/* One octet of each page; or-ing nothing into it is a write that loses none of
 * what others write at the same time. */
static void touch(char *from, size_t size, bool write)
{
  size_t page = page_size();
  char *end = from + size;

  for (char *at = from; at < end; at += page - ((uintptr_t)at & (page - 1)))
    if (write)
      __atomic_fetch_or(at, 0, __ATOMIC_RELAXED);
    else
      (void)*(volatile char *)at;
}

/* The same where that could be a signal. */
static int touch_carefully(char *from, size_t size, bool write)
{
  size_t page = page_size();
  int result = 0;

  for (size_t at = 0; at < size && result == 0; at += page)
    result = eio_p_touch(from + at, write);
  return result;
}

int64_t eio_x_mtouch(eio_req *req)
{
  bool write = req->arg1 & EIO_MT_MODIFY, plain = req->arg2 & EIO_MT_PLAIN;
  size_t before = into_page(req), size = (size_t)req->size + before;
  char *start = (char *)req->buf - before;
  int result = 0;

  if (!req->size)
    return 0;
  if (!plain) {
    result = eio_p_populate(start, size, write);
    if (result < 0 && errno == ENOSYS)
      result = touch_carefully(start, size, write);
  }
  if (plain || (result < 0 && errno == ENOSYS)) {
    touch(req->buf, (size_t)req->size, write);
    result = 0;
  }
  return result;
}
