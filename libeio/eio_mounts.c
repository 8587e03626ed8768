/* eio_mounts.c - what a context knows of mounts: whether they are of local file systems,
 * and whether there are some that an inline attempt must not ask what they have in
 * memory. All of it belongs to the owner thread; eio__fd_is_local() asks, in any thread. */
#include "eio_plat.h"

#include <string.h>

/* File systems that answer from memory what they have there, and whose close() of a file
 * that was only read does nothing. */
static bool is_local_magic(uint64_t magic)
{
  switch (magic) {
  case 0xef53:     /* ext2, ext3, ext4 */
  case 0x58465342: /* xfs */
  case 0x9123683e: /* btrfs */
  case 0xf2f52010: /* f2fs */
  case 0x01021994: /* tmpfs */
  case 0x858458f6: /* ramfs */
    return true;
  default:
    return false;
  }
}

bool eio__fd_is_local(int fd)
{
  uint64_t magic;

  return eio_p_fd_magic(fd, &magic) && is_local_magic(magic);
}

/* Those that are not local, but do not ask anybody in statx() with AT_STATX_DONT_SYNC:
 * file systems of the kernel itself, and those of servers that keep to that. What is not
 * known may ask its server, as 9p does. */
static bool may_be_asked(uint64_t magic)
{
  static const uint32_t list[] = {
    0x65735546, /* fuse */ 0x6969, /* nfs */ 0xc36400, /* ceph */
    0x9fa0, /* proc */ 0x62656572, /* sysfs */ 0x1cd1, /* devpts */ 0x958458f6, /* hugetlbfs */
    0x27e0eb, 0x63677270, /* cgroup, cgroup2 */ 0x19800202, /* mqueue */ 0x187, /* autofs */
    0x64626720, 0x74726163, 0x73636673, /* debugfs, tracefs, securityfs */
    0x73717368, 0xe0f5e1e2, 0x9660, 0x4d44, /* squashfs, erofs, iso9660, vfat */
  };

  for (size_t i = 0; i < sizeof list / sizeof *list; i++)
    if (magic == list[i])
      return true;
  return false;
}

/* A mount that nobody has told about may be of any kind. */
static bool learn(eio_ctx *ctx, uint64_t mount)
{
  uint64_t magic = 0;
  bool local = eio_p_mount_magic(mount, &magic) && is_local_magic(magic);

  if (!local && !may_be_asked(magic))
    ctx->mounts.careful = true;
  return local;
}

bool eio__is_local(eio_ctx *ctx, uint64_t mount)
{
  uint64_t *set = ctx->mounts.known[mount % EIO_MOUNT_SETS];

  for (int i = 0; i < 4; i++)
    if (set[i] >> 1 == mount)
      return set[i] & 1;
  memmove(set + 1, set, 3 * sizeof *set);
  set[0] = mount << 1 | learn(ctx, mount);
  return set[0] & 1;
}
