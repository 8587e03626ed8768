/* The numeric constants: O_RDONLY, FS_IOC_FIEMAP and so on.
 *
 * The list is inc/constants.pl; make turns it into constants.inc. Which headers
 * are included here decides which names have a value: see there. */

#include "aio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

#ifdef __linux__
#ifndef __has_include
#define __has_include(header) 1 /* compilers before 2015 */
#endif
/* sys/mount.h stands before linux/fs.h: in the other order some versions of the
 * C library contradict the kernel's headers. */
#include <sys/mount.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <sys/xattr.h>
#if __has_include(<linux/fs.h>)
#include <linux/fs.h>
#endif
#if __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#endif
#if __has_include(<linux/fiemap.h>)
#include <linux/fiemap.h>
#endif
#endif

void aio_boot_constants(pTHX)
{
  /* Not static: PAGESIZE is known at run time only. */
  const struct {
    const char *name;
    long long value;
  } constants[] = {
#include "constants.inc"
  };
  HV *stash = gv_stashpvs("IO::AIO", GV_ADD);
  size_t i;

  for (i = 0; i < sizeof constants / sizeof *constants; i++) {
    long long value = constants[i].value;
    /* A 32-bit IV does not hold the larger ioctl numbers, a UV does. */
    int fits = (IV)value == value;

    newCONSTSUB(stash, constants[i].name, fits ? newSViv((IV)value) : newSVuv((UV)value));
  }
}
