/* ops_mem.c - pages of memory regions. A region may begin and end anywhere;
 * the calls take the pages that it touches. */
#include "eio_plat.h"

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

int64_t eio_x_mlockall(eio_req *req)
{
  return eio_p_mlockall(req->arg1);
}

/* One octet of each page; or-ing nothing into it is a write that loses none of
 * what others write at the same time. */
static void touch(char *from, size_t size, bool write)
{
  char *end = from + size;

  for (char *at = from; at < end; at += page_size() - ((uintptr_t)at & (page_size() - 1)))
    if (write)
      __atomic_fetch_or(at, 0, __ATOMIC_RELAXED);
    else
      (void)*(volatile char *)at;
}

int64_t eio_x_mtouch(eio_req *req)
{
  bool write = req->arg1 & EIO_MT_MODIFY;
  size_t before = into_page(req);
  int result;

  if (!req->size)
    return 0;
  result = eio_p_populate((char *)req->buf - before, (size_t)req->size + before, write);
  if (result < 0 && errno == ENOSYS) {
    touch(req->buf, (size_t)req->size, write);
    result = 0;
  }
  return result;
}
