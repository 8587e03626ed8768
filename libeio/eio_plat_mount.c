/* eio_plat_mount.c - which file system a mount is of. Mounts are known by the number
 * that the kernel gives to no second one (Linux 6.8); device numbers and the older
 * numbers of mounts are given again as soon as they are free. The answers are the
 * kernel's own: no file system is asked. Safe in any thread. */
#include "eio_plat.h"

#include <string.h>
#include <unistd.h>

#if EIO_HAVE_STATX && EIO_HAVE_O_PATH
#include <fcntl.h>
#include <sys/syscall.h>

/* What headers from before Linux 6.8 and 6.12 lack. */
#define EIO_AT_HANDLE_MNT_ID_UNIQUE 0x001
#define EIO_STATMOUNT_SB_BASIC 0x1u
#ifdef __alpha__
# define EIO_NR_STATMOUNT 567
#else
# define EIO_NR_STATMOUNT 457
#endif

struct mount_request {
  uint32_t size, spare;
  uint64_t id, mask;
};

struct mount_answer {
  uint32_t size, options;
  uint64_t mask;
  uint32_t major, minor;
  uint64_t magic;
  uint64_t more[60]; /* as long as the kernel's first one, and not looked at */
};

bool eio_p_mount_magic(uint64_t mount, uint64_t *magic)
{
  struct mount_request question = { sizeof question, 0, mount, EIO_STATMOUNT_SB_BASIC };
  struct mount_answer answer;

  memset(&answer, 0, sizeof answer);
  if (syscall(EIO_NR_STATMOUNT, &question, &answer, sizeof answer, 0u) < 0
      || !(answer.mask & EIO_STATMOUNT_SB_BASIC))
    return false;
  *magic = answer.magic;
  return true;
}

/* By number: where the kernel has no statx(), the C library makes another call of it,
 * one that may wait. */
bool eio_p_statx(int fd, struct statx *stx, uint64_t *mount)
{
  if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT,
              STATX_BASIC_STATS | STATX_BTIME | EIO_STATX_MNT_ID_UNIQUE, stx) < 0)
    return false;
  *mount = 0;
  if (stx->stx_mask & EIO_STATX_MNT_ID_UNIQUE)
    memcpy(mount, (char *)stx + 0x90, sizeof *mount); /* stx_mnt_id */
  return true;
}

bool eio_p_mount_of(int fd, uint64_t *mount)
{
#ifdef SYS_name_to_handle_at
  uint32_t handle[2] = { 0, 0 }; /* no room: the number is all that is wanted */

  *mount = 0;
  return syscall(SYS_name_to_handle_at, fd, "", handle, mount, AT_EMPTY_PATH | EIO_AT_HANDLE_MNT_ID_UNIQUE) < 0
         && errno == EOVERFLOW && *mount;
#else
  (void)fd, (void)mount;
  return false;
#endif
}
#else
bool eio_p_mount_magic(uint64_t mount, uint64_t *magic)
{
  (void)mount, (void)magic;
  return false;
}
#endif
