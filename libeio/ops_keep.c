/* ops_keep.c - what a copy keeps of its source besides its data.
 *
 * Few may give files away, and not every file system has all of this, so that no
 * failure counts. But what could not be kept must not let anybody do what the source
 * kept from him: where a file has an ACL, the permissions of its group are those
 * that anybody in the list has at most. */
#include "ops_copy.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ACLs ------------------------------------------------------------------- */
/* As the kernel passes them: 4 octets of version, then a tag and permissions of 16
 * bits and an id of 32, all little-endian. */

#define ACL "system.posix_acl_access"
#define DEFAULT_ACL "system.posix_acl_default"

enum { HEAD = 4, ENTRY = 8 };
enum { USER = 0x02, GROUP_OBJ = 0x04, GROUP = 0x08, MASK = 0x10 };

/* What is left of a mode when the ACL that belongs to it is not there: members of
 * the file's group, and others, get what all of them had. */
static mode_t without_acl(mode_t mode, const unsigned char *acl, size_t size)
{
  mode_t group = mode >> 3 & 7, other = mode & 7, mask = group;

  for (size_t at = HEAD; at + ENTRY <= size; at += ENTRY) {
    unsigned tag = acl[at] | (unsigned)acl[at + 1] << 8;
    mode_t may = acl[at + 2] & mask;

    if (tag == GROUP_OBJ || tag == USER)
      group &= may;
    if (tag == USER || tag == GROUP)
      other &= may;
  }
  return (mode & ~(mode_t)077) | group << 3 | other;
}

/* A target has one if its directory says so, or from before. */
static bool has_no_acl(int fd)
{
  char *acl = NULL;
  ssize_t size = eio_p_xattr_get(fd, ACL, &acl);

  free(acl);
  return size == 0 || eio_p_xattr_remove(fd, ACL) == 0;
}

/* Gives the target the ACL of the source, or none; returns the mode that goes with
 * that. An entry for the group means nothing for another one. */
static mode_t keep_acl(const struct eio__copy *copy, const struct eio__attrs *attrs, mode_t mode, bool same_group)
{
  ssize_t size = attrs->acl_size;

  if (size > 0 && same_group && eio_p_xattr_set(copy->out, ACL, attrs->acl, (size_t)size) == 0)
    return mode;
  if (size > 0)
    mode = without_acl(mode, (const unsigned char *)attrs->acl, (size_t)size);
  else if (size < 0) /* nobody knows */
    mode &= ~(mode_t)077;
  if (!copy->no_acl && !has_no_acl(copy->out))
    mode &= ~(mode_t)070;
  return mode;
}

bool eio__gives_no_acl(int fd)
{
  char *acl = NULL;
  ssize_t size = eio_p_xattr_get(fd, DEFAULT_ACL, &acl);

  free(acl);
  return size == 0;
}

/* Attributes --------------------------------------------------------------- */

static void keep_attribute(const struct eio__copy *copy, const char *name)
{
  char *value = NULL;
  ssize_t size = eio_p_xattr_get(copy->in, name, &value);

  if (size >= 0)
    eio_p_xattr_set(copy->out, name, value ? value : "", (size_t)size);
  free(value);
}

void eio__attrs_take(struct eio__attrs *attrs, const struct eio__copy *copy)
{
  char *names = NULL;
  ssize_t size = eio_p_xattr_list(copy->in, &names);

  *attrs = (struct eio__attrs){ .acl_size = size < 0 ? -1 : 0 };
  for (const char *name = names; size > 0 && name < names + size; name += strlen(name) + 1) {
    if (!strcmp(name, ACL))
      attrs->acl_size = eio_p_xattr_get(copy->in, ACL, &attrs->acl);
    else if (!strcmp(name, DEFAULT_ACL))
      attrs->default_size = eio_p_xattr_get(copy->in, DEFAULT_ACL, &attrs->default_acl);
    else if (!strncmp(name, "user.", 5))
      keep_attribute(copy, name);
  }
  free(names);
}

void eio__attrs_free(struct eio__attrs *attrs)
{
  free(attrs->acl);
  free(attrs->default_acl);
}

/* All -------------------------------------------------------------------- */

static void keep_times(const struct eio__copy *copy)
{
  struct timespec times[2];

  eio_p_times(&copy->from, times);
  if (eio_p_futime(copy->out, times) < 0 && errno == ENOSYS)
    eio_p_utime(copy->wd, copy->name, times, true);
}

static void keep_access(const struct eio__copy *copy, const struct eio__attrs *attrs)
{
  const struct stat *from = &copy->from;
  mode_t mode = from->st_mode & 07777;
  uid_t uid = copy->to.st_uid;
  gid_t gid = copy->to.st_gid;

  if (uid != from->st_uid || gid != from->st_gid) {
    if (fchown(copy->out, from->st_uid, from->st_gid) == 0) {
      uid = from->st_uid;
      gid = from->st_gid;
    } else if (fchown(copy->out, (uid_t)-1, from->st_gid) == 0)
      gid = from->st_gid;
  }
  if (attrs->default_size > 0 && gid == from->st_gid)
    eio_p_xattr_set(copy->out, DEFAULT_ACL, attrs->default_acl, (size_t)attrs->default_size);
  mode = keep_acl(copy, attrs, mode, gid == from->st_gid);
  if (uid != from->st_uid)
    mode &= ~(mode_t)S_ISUID;
  if (gid != from->st_gid) /* its members were others */
    mode &= ~(mode_t)(S_ISGID | (~mode & 7) << 3);
  fchmod(copy->out, mode);
}

void eio__keep_attrs(const struct eio__copy *copy, const struct eio__attrs *attrs)
{
  keep_times(copy);
  keep_access(copy, attrs);
}

void eio__keep_access(const struct eio__copy *copy)
{
  struct eio__attrs attrs = { .acl = NULL };

  attrs.acl_size = eio_p_xattr_get(copy->in, ACL, &attrs.acl);
  keep_access(copy, &attrs);
  eio__attrs_free(&attrs);
}

void eio__keep(const struct eio__copy *copy, bool all)
{
  struct eio__attrs attrs;

  if (!all) {
    keep_times(copy);
    eio__keep_access(copy);
    return;
  }
  eio__attrs_take(&attrs, copy);
  eio__keep_attrs(copy, &attrs);
  eio__attrs_free(&attrs);
}
