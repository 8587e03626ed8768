/* region.c - memory mappings, and advice on, protection and locking of memory.
 *
 * A mapping is laid out within address space that was reserved for it, so that
 * there is a page of ours behind it, as mapped.c wants. */
#include "mapped.h"

#include <errno.h>
#include <unistd.h>

#ifndef MAP_ANONYMOUS
# define MAP_ANONYMOUS MAP_ANON
#endif
#ifndef MAP_NORESERVE
# define MAP_NORESERVE 0
#endif
#ifndef MAP_32BIT
# define MAP_32BIT 0
#endif
#ifndef MAP_FIXED_NOREPLACE
# define MAP_FIXED_NOREPLACE 0
#endif

/* No huge page is larger (but for some of IBM's), and all divide it. */
#define HUGE ((size_t)1 << 30)
/* Above it, no string could be that long, and sums could overflow. */
#define LIMIT (~(size_t)0 >> 1)

static size_t page_size(void)
{
  return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t round_up(size_t size, size_t unit)
{
  return (size + unit - 1) & ~(unit - 1);
}

/* Arguments ---------------------------------------------------------------- */

/* Argument n as a number; `missing` when there are fewer. *ok becomes false when it
 * does not fit. */
#define INT_ARG(n, missing, ok, func, arg) (items > (n) ? integer(aTHX_ ST(n), ok, func, arg) : (missing))

static int64_t integer(pTHX_ SV *sv, bool *ok, const char *func, const char *arg)
{
  int64_t n;

  sv = aio_arg_value(aTHX_ sv);
  if (!SvOK(sv))
    return 0;
  if (!aio_arg_int64(aTHX_ sv, &n, func, arg))
    *ok = FALSE;
  return n;
}

/* Flags: -1 when they do not fit. */
#define FLAGS_ARG(n, missing, func, arg) (items > (n) ? flags_of(aTHX_ ST(n), func, arg) : (missing))

static int flags_of(pTHX_ SV *sv, const char *func, const char *arg)
{
  int flags = 0;

  sv = aio_arg_value(aTHX_ sv);
  if (SvOK(sv))
    aio_arg_int(aTHX_ sv, &flags, func, arg);
  return flags;
}

/* What no size_t holds becomes the largest one, which no memory can have. */
static size_t size_of(int64_t n)
{
  return (int64_t)(size_t)n == n ? (size_t)n : ~(size_t)0;
}

static void check_idle(pTHX_ SV *sv, const char *func)
{
  if (aio_locked(aTHX_ sv))
    aio_croak(aTHX_ func, "the scalar is in use by a request");
}

static void check_changeable(pTHX_ SV *sv, const char *func)
{
  check_idle(aTHX_ sv, func);
  if (SvREADONLY(sv) && !aio_is_mapped(aTHX_ sv))
    aio_croak(aTHX_ func, "scalar: %s", "Modification of a read-only value attempted");
}

/* Whether the value of a scalar lives elsewhere. */
static bool is_delegate(const SV *sv)
{
  if (SvTYPE(sv) >= SVt_PVMG)
    for (const MAGIC *mg = SvMAGIC(sv); mg; mg = mg->mg_moremagic)
      switch (mg->mg_type) {
      case PERL_MAGIC_backref:
      case PERL_MAGIC_bm:
      case PERL_MAGIC_collxfrm:
      case PERL_MAGIC_ext:
      case PERL_MAGIC_regex_global:
      case PERL_MAGIC_taint:
      case PERL_MAGIC_utf8:
      case PERL_MAGIC_vstring:
        break;
      default:
        return TRUE;
      }
  return FALSE;
}

/* The scalar to be mapped: an element that does not exist yet comes to be. */
static SV *map_target(pTHX_ SV *sv)
{
  check_changeable(aTHX_ sv, "mmap");
  if (SvTYPE(sv) == SVt_PVLV && LvTYPE(sv) == 'y') {
    sv_setsv_mg(sv, &PL_sv_undef);
    sv = LvTARG(sv);
  }
  if (!sv || SvTYPE(sv) > SVt_PVMG || isGV_with_GP(sv) || is_delegate(sv))
    aio_croak(aTHX_ "mmap", "scalar must be an ordinary variable or element, not tied or magical");
  return sv;
}

/* A part of a string, the way of all calls on regions: a negative offset counts
 * from the end; a length that is missing, undef or negative is the rest. */
struct region {
  struct aio_map *map; /* or NULL: a string like any other */
  char *start;         /* of a page */
  size_t size;
};

/* The scalar's magic is got after that of the numbers, which may unmap it. */
static struct region region_of(pTHX_ SV *sv, int64_t offset, int64_t length, const char *func)
{
  struct region region = { NULL, NULL, 0 };
  char *string = NULL;
  STRLEN size = 0, start, count, before;

  region.map = aio_map_of(aTHX_ sv);
  if (region.map) {
    string = region.map->address;
    size = region.map->size;
  } else {
    sv = aio_arg_value(aTHX_ sv);
    if (SvOK(sv) && !SvROK(sv)) /* a reference has no string */
      string = SvPV_nomg(sv, size);
  }
  if (!aio_arg_range(offset, length, size, &start, &count))
    aio_croak(aTHX_ func, AIO_OUTSIDE);
  if (!count)
    return region;
  before = PTR2UV(string + start) & (page_size() - 1);
  region.start = string + start - before;
  region.size = count + before;
  return region;
}

/* A number of a region; beyond 64 bits is beyond the end. */
static int64_t part_of(pTHX_ SV *sv, int64_t undef, const char *func, const char *arg)
{
  int64_t n;

  sv = aio_arg_value(aTHX_ sv);
  if (!SvOK(sv))
    return undef;
  if (!aio_arg_int64(aTHX_ sv, &n, func, arg) && !n)
    aio_croak(aTHX_ func, "%s must be a number", arg);
  return n;
}

#define OFFSET_ARG(func) (items > 1 ? part_of(aTHX_ ST(1), 0, func, "offset") : 0)
#define LENGTH_ARG(func) (items > 2 ? part_of(aTHX_ ST(2), -1, func, "length") : -1)

/* Mappings ----------------------------------------------------------------- */

static void unmap(char *address, size_t size)
{
  dSAVE_ERRNO;

  if (size)
    munmap(address, size);
  RESTORE_ERRNO;
}

/* Reserves address space that begins at a multiple of `align`. NULL with errno
 * on failure. */
static char *reserve(size_t size, size_t align, int prot, int flags)
{
  size_t more = align - page_size(), before;
  char *p = mmap(NULL, size + more, prot,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (flags & MAP_32BIT), -1, 0);

  if (p == MAP_FAILED)
    return NULL;
  before = round_up(PTR2UV(p), align) - PTR2UV(p);
  unmap(p, before);
  unmap(p + before + size, more - before);
  return p + before;
}

/* Maps into address space of its own, with a page behind; where the pages are
 * of the system's own size that is the only one that is accessible. */
static char *map_in_reserve(size_t size, size_t unit, size_t *total, int prot, int flags, int fd,
                            off_t offset)
{
  bool huge = unit > page_size();
  size_t last;
  char *p;

  *total = round_up(size, unit) + page_size();
  last = *total - page_size();
  p = reserve(*total, unit, huge ? PROT_READ | PROT_WRITE : PROT_NONE, flags);
  if (!p)
    return NULL;
  flags = (flags & ~MAP_FIXED_NOREPLACE) | MAP_FIXED;
  if (mmap(p, size, prot, flags, fd, offset) == MAP_FAILED
      || (!huge && mprotect(p + last, page_size(), PROT_READ | PROT_WRITE) < 0)) {
    unmap(p, *total);
    return NULL;
  }
  return p;
}

/* As mmap; NULL on failure. Huge pages are asked for by a flag, or come from
 * the file system: then EINVAL says that an address is no multiple of them. */
static char *map_memory(size_t size, size_t *total, int prot, int flags, int fd, off_t offset)
{
  char *p;

  if (size > LIMIT) {
    errno = ENOMEM;
    return NULL;
  }
  p = map_in_reserve(size, page_size(), total, prot, flags, fd, offset);
  if (!p && errno == EINVAL && size)
    p = map_in_reserve(size, HUGE, total, prot, flags, fd, offset);
  return p;
}

/* A string that can be written can be read. */
static int usable_rights(int prot)
{
  return prot & PROT_WRITE ? prot | PROT_READ : prot;
}

XS_INTERNAL(xs_mmap)
{
  dXSARGS_AIO(4, 6, "scalar, length, prot, flags, fh = undef, offset = 0");
  bool ok = TRUE, offset_ok = TRUE;
  int64_t length = INT_ARG(1, 0, &ok, "mmap", "length");
  size_t size = size_of(length), total;
  int prot = usable_rights(FLAGS_ARG(2, 0, "mmap", "prot"));
  int flags = FLAGS_ARG(3, 0, "mmap", "flags"), fd = -1;
  int64_t offset = INT_ARG(5, 0, &offset_ok, "mmap", "offset");
  SV *fh = items > 4 ? aio_arg_value(aTHX_ ST(4)) : &PL_sv_undef, *sv;
  struct aio_handle handle = { NULL, -1 };
  char *p;

  if (SvOK(fh) || isGV_with_GP(fh))
    handle = aio_arg_handle(aTHX_ fh, "mmap", "fh");
  sv = map_target(aTHX_ ST(0));
  if (handle.io || handle.fd >= 0)
    fd = aio_handle_fd(aTHX_ handle, AIO_READ, "mmap", "fh");
  if ((!ok && !length) || prot == -1 || flags == -1) { /* the kernel would take what it knows of it */
    errno = EINVAL;
    XSRETURN_NO;
  }
  if (!offset_ok || offset < 0 || (off_t)offset != offset) {
    errno = EOVERFLOW;
    XSRETURN_NO;
  }
  p = map_memory(size, &total, prot, flags, fd, (off_t)offset);
  if (!p)
    XSRETURN_NO;
  aio_map_scalar(aTHX_ sv, p, size, total, prot);
  XSRETURN_YES;
}

XS_INTERNAL(xs_munmap)
{
  dXSARGS_AIO(1, 1, "scalar");
  SV *sv = ST(0);

  if (aio_is_mapped(aTHX_ sv)) {
    check_changeable(aTHX_ sv, "munmap");
    aio_map_drop(aTHX_ sv);
  }
  XSRETURN_EMPTY;
}

/* Resizing ----------------------------------------------------------------- */

/* A private page in place of the one at p. */
static bool make_last_page(char *p)
{
  return mmap(p, page_size(), PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

/* Nobody else may get at address space between two calls, so what is given up
 * is what the last page of ours has replaced. */
static bool shrink(struct aio_map *map, size_t used)
{
  size_t total = used + page_size();

  if (!make_last_page(map->address + used))
    return FALSE;
  unmap(map->address + total, map->total - total);
  map->total = total;
  return TRUE;
}

/* Behind the string is our page, so it has to move. */
static bool grow(struct aio_map *map, size_t used)
{
#if EIO_HAVE_MREMAP
  size_t old_used = map->total - page_size(), total = used + page_size();
  char *p = reserve(total, page_size(), PROT_NONE, 0);

  if (!p)
    return FALSE;
  if (!make_last_page(p + used)
      || mremap(map->address, old_used, used, MREMAP_MAYMOVE | MREMAP_FIXED, p) == MAP_FAILED) {
    unmap(p, total);
    return FALSE;
  }
  unmap(map->address + old_used, page_size());
  map->address = p;
  map->total = total;
  return TRUE;
#else
  PERL_UNUSED_VAR(map);
  PERL_UNUSED_VAR(used);
  errno = ENOSYS;
  return FALSE;
#endif
}

#if EIO_HAVE_MREMAP
# define MAYMOVE MREMAP_MAYMOVE
#else
# define MAYMOVE 1
#endif

static bool resize(struct aio_map *map, size_t size, int flags)
{
  size_t used = round_up(size, page_size()), old_used = round_up(map->size, page_size());
  bool done;

  if (!size || size > LIMIT || flags & ~MAYMOVE || map->total - old_used != page_size()) {
    errno = EINVAL; /* the last: huge pages */
    return FALSE;
  }
  if (used > old_used && !(flags & MAYMOVE)) {
    errno = ENOMEM;
    return FALSE;
  }
  done = used == old_used || (used < old_used ? shrink(map, used) : grow(map, used));
  if (done)
    map->size = size;
  return done;
}

XS_INTERNAL(xs_mremap)
{
  dXSARGS_AIO(2, 4, "scalar, new_length, flags = MREMAP_MAYMOVE, new_address = 0");
  struct aio_map *map;
  char *before;
  bool done, ok = TRUE;
  size_t size = size_of(INT_ARG(1, 0, &ok, "mremap", "new_length"));
  int flags = FLAGS_ARG(2, MAYMOVE, "mremap", "flags");

  (void)INT_ARG(3, 0, &ok, "mremap", "new_address"); /* nobody can choose it */
  map = aio_map_of(aTHX_ ST(0));
  if (!EIO_HAVE_MREMAP) {
    errno = ENOSYS;
    XSRETURN_NO;
  }
  if (!map) {
    errno = EINVAL;
    XSRETURN_NO;
  }
  check_changeable(aTHX_ ST(0), "mremap");
  before = map->address;
  aio_map_detach(aTHX_ map);
  done = resize(map, size, flags);
  {
    dSAVE_ERRNO;

    aio_map_attach(aTHX_ map);
    RESTORE_ERRNO;
  }
  if (!done)
    XSRETURN_NO;
  if (map->address != before)
    XSRETURN_YES;
  ST(0) = sv_2mortal(newSVpvs("0 but true"));
  XSRETURN(1);
}

/* Advice, protection, locks ------------------------------------------------ */

/* Only advice that posix_madvise knows: others throw contents away. */
static int advise(const struct region *region, int advice)
{
#if EIO_HAVE_POSIX_MADVISE
  switch (advice) {
  case POSIX_MADV_NORMAL:
  case POSIX_MADV_RANDOM:
  case POSIX_MADV_SEQUENTIAL:
  case POSIX_MADV_WILLNEED:
  case POSIX_MADV_DONTNEED:
    return region->size ? posix_madvise(region->start, region->size, advice) : 0;
  default:
    return EINVAL;
  }
#else
  PERL_UNUSED_VAR(region);
  PERL_UNUSED_VAR(advice);
  return ENOSYS;
#endif
}

XS_INTERNAL(xs_madvise)
{
  dXSARGS_AIO(2, 4, "scalar, offset, length = undef, advice = 0");
  int64_t offset = OFFSET_ARG("madvise"), length = LENGTH_ARG("madvise");
  int advice = FLAGS_ARG(3, 0, "madvise", "advice");
  struct region region = region_of(aTHX_ ST(0), offset, length, "madvise");

  XSRETURN_IV(advise(&region, advice));
}

/* What Perl may do from now on: it goes by the whole string, so that a part
 * can only take rights away. A call that fails may have done half of it. */
static void note_rights(pTHX_ const struct region *region, int prot, bool failed)
{
  struct aio_map *map = region->map;
  bool whole = region->start == map->address
    && round_up(region->size, page_size()) == round_up(map->size, page_size());

  map->prot = whole && !failed ? prot : map->prot & prot;
  aio_map_attach(aTHX_ map);
}

XS_INTERNAL(xs_mprotect)
{
  dXSARGS_AIO(2, 4, "scalar, offset, length = undef, protect = 0");
  const int all = PROT_READ | PROT_WRITE;
  int64_t offset = OFFSET_ARG("mprotect"), length = LENGTH_ARG("mprotect");
  int prot = usable_rights(FLAGS_ARG(3, 0, "mprotect", "protect")), result;
  struct region region = region_of(aTHX_ ST(0), offset, length, "mprotect");

  if (!region.size)
    XSRETURN_IV(0);
  if (!region.map && (prot & all) != all)
    aio_croak(aTHX_ "mprotect", "the scalar is not memory-mapped: its pages hold other things as well");
  if (region.map && region.map->prot & ~prot & all)
    check_idle(aTHX_ ST(0), "mprotect");
  result = mprotect(region.start, region.size, prot);
  if (region.map && (result == 0 || errno != EINVAL)) {
    dSAVE_ERRNO;

    note_rights(aTHX_ &region, prot, result < 0);
    RESTORE_ERRNO;
  }
  XSRETURN_IV(result);
}

#if !EIO_HAVE_MLOCK
# define munlock(address, size) ((void)(address), (void)(size), errno = ENOSYS, -1)
#endif
#if !EIO_HAVE_MLOCKALL
# define mlockall(flags) ((void)(flags), errno = ENOSYS, -1)
# define munlockall() (errno = ENOSYS, -1)
#endif

XS_INTERNAL(xs_munlock)
{
  dXSARGS_AIO(1, 3, "scalar, offset = 0, length = undef");
  int64_t offset = OFFSET_ARG("munlock"), length = LENGTH_ARG("munlock");
  struct region region = region_of(aTHX_ ST(0), offset, length, "munlock");

  XSRETURN_IV(region.size ? munlock(region.start, region.size) : 0);
}

XS_INTERNAL(xs_mlockall)
{
  dXSARGS_AIO(1, 1, "flags");
  int flags = FLAGS_ARG(0, 0, "mlockall", "flags");

  XSRETURN_IV(mlockall(flags));
}

XS_INTERNAL(xs_munlockall)
{
  dXSARGS_AIO(0, 0, "");

  XSRETURN_IV(munlockall());
}

void aio_boot_region(pTHX)
{
  static const struct aio_xsub xsubs[] = {
    { "mmap", xs_mmap, "$$$$;$$", 0 },
    { "munmap", xs_munmap, "$", 0 },
    { "mremap", xs_mremap, "$$;$$", 0 },
    { "madvise", xs_madvise, "$$;$$", 0 },
    { "mprotect", xs_mprotect, "$$;$$", 0 },
    { "munlock", xs_munlock, "$;$$", 0 },
    { "mlockall", xs_mlockall, "$;", 0 },
    { "munlockall", xs_munlockall, "", 0 },
  };

  aio_install(aTHX_ xsubs, C_ARRAY_LENGTH(xsubs));
}
