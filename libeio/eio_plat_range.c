/* eio_plat_range.c - Linux's calls that bring data from one descriptor to another, or have two files share
 * them. Elsewhere they fail with ENOSYS. Safe in any thread. */
#include "eio_plat.h"

#include <sys/ioctl.h>
#include <unistd.h>
#if EIO_HAVE_FICLONE
# include <linux/fs.h>
#endif

#if !EIO_HAVE_COPY_FILE_RANGE || !EIO_HAVE_SPLICE || !EIO_HAVE_TEE || !EIO_HAVE_FICLONE
static int absent(void)
{
  errno = ENOSYS;
  return -1;
}

/* For arguments of calls that are absent. */
# define UNUSED(argument) ((void)(argument))
#endif

#if EIO_HAVE_COPY_FILE_RANGE || EIO_HAVE_SPLICE
static loff_t *place(loff_t *offs)
{
  return *offs < 0 ? NULL : offs;
}
#endif

ssize_t eio_p_copy_range(const struct eio_p_range *range, size_t length, unsigned flags)
{
#if EIO_HAVE_COPY_FILE_RANGE
  loff_t from = range->in_offs, to = range->out_offs;
  ssize_t result;

  EIO_RETRY(result, copy_file_range(range->in, place(&from), range->out, place(&to), length, flags));
  return result;
#else
  UNUSED(range), UNUSED(length), UNUSED(flags);
  return absent();
#endif
}

ssize_t eio_p_splice(const struct eio_p_range *range, size_t length, unsigned flags)
{
#if EIO_HAVE_SPLICE
  loff_t from = range->in_offs, to = range->out_offs;
  ssize_t result;

  EIO_RETRY(result, splice(range->in, place(&from), range->out, place(&to), length, flags));
  return result;
#else
  UNUSED(range), UNUSED(length), UNUSED(flags);
  return absent();
#endif
}

ssize_t eio_p_tee(int in, int out, size_t length, unsigned flags)
{
#if EIO_HAVE_TEE
  ssize_t result;

  EIO_RETRY(result, tee(in, out, length, flags));
  return result;
#else
  UNUSED(in), UNUSED(out), UNUSED(length), UNUSED(flags);
  return absent();
#endif
}

int eio_p_clone(int out, int in)
{
#if EIO_HAVE_FICLONE
  return ioctl(out, FICLONE, in);
#else
  UNUSED(out), UNUSED(in);
  return absent();
#endif
}

int eio_p_clone_range(const struct eio_p_range *range, uint64_t length)
{
#if EIO_HAVE_FICLONE
  struct file_clone_range clone = {
    .src_fd = range->in, .src_offset = (uint64_t)range->in_offs, .src_length = length,
    .dest_offset = (uint64_t)range->out_offs,
  };
  int result;

  EIO_RETRY(result, ioctl(range->out, FICLONERANGE, &clone));
  return result;
#else
  UNUSED(range), UNUSED(length);
  return absent();
#endif
}

int64_t eio_p_dedupe_range(const struct eio_p_range *range, uint64_t length)
{
#if EIO_HAVE_FICLONE
  union {
    struct file_dedupe_range dedupe;
    char room[sizeof(struct file_dedupe_range) + sizeof(struct file_dedupe_range_info)];
  } call = { .dedupe = { .src_offset = (uint64_t)range->in_offs, .src_length = length, .dest_count = 1 } };
  struct file_dedupe_range_info *info = call.dedupe.info;
  int result;

  do {
    *info = (struct file_dedupe_range_info){ .dest_fd = range->out, .dest_offset = (uint64_t)range->out_offs };
    EIO_RETRY(result, ioctl(range->in, FIDEDUPERANGE, &call));
    errno = result < 0 ? errno : info->status < 0 ? -info->status : 0;
  } while (result == 0 && errno == EINTR);
  if (errno)
    return -1;
  return info->status == FILE_DEDUPE_RANGE_SAME ? (int64_t)info->bytes_deduped : 0;
#else
  UNUSED(range), UNUSED(length);
  return absent();
#endif
}
