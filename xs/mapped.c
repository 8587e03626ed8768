/* mapped.c - scalars whose string is a mapping, and what Perl may do to them.
 *
 * The string of such a scalar has its place and its length for good. Perl does
 * not know such strings, but it knows strings that are shared between scalars
 * (copy on write), and that is what it is told this one is: shared with so
 * many others that no more can share it. So Perl copies the string when
 * somebody wants a copy, and when something wants to change it, it changes a
 * copy; set() then stores what has become of it in the mapping when that can
 * be (writable, same length), and otherwise puts the string back and croaks.
 * Nothing that Perl does reaches the mapping in any other way, but for one
 * that would be slow: octets written by substr and vec go straight into it;
 * get(), which perl calls before, sees to that.
 *
 * The count of those who share a string is its last octet; a mapping has a
 * private page for it behind the string, which also has the NUL there that
 * perl likes to see behind strings.
 *
 * Perls without copy on write are told that a string without right to write is
 * read-only (so it cannot be undef'ed), and that perl does not own the memory
 * of the others: what makes those shorter croaks after the deed. */
#include "mapped.h"

#include <unistd.h>

static MGVTBL map_vtbl;

/* The scalar's string ------------------------------------------------------ */

/* What cannot be read has the string "". */
static bool is_visible(const struct aio_map *map)
{
  return map->prot & PROT_READ;
}

static char *string_of(const struct aio_map *map)
{
  return is_visible(map) ? map->address : map->address + map->total - (size_t)sysconf(_SC_PAGESIZE);
}

static size_t length_of(const struct aio_map *map)
{
  return is_visible(map) ? map->size : 0;
}

static bool is_intact(const SV *sv, const struct aio_map *map)
{
  return (SvFLAGS(sv) & (SVf_POK | SVf_ROK | SVf_UTF8 | SVf_OOK)) == SVf_POK && SvTYPE(sv) == SVt_PVMG
    && SvPVX_const(sv) == string_of(map) && SvCUR(sv) == length_of(map);
}

#ifdef CowREFCNT

/* Changes happen to copies. */
static void guard(SV *sv, const struct aio_map *map)
{
  SvLEN_set(sv, (size_t)(map->address + map->total - SvPVX(sv)));
  CowREFCNT(sv) = SV_COW_REFCNT_MAX;
  SvIsCOW_on(sv);
}

/* Changes happen in place, if they fit; the memory is not perl's. */
static void open_up(SV *sv)
{
  SvIsCOW_off(sv);
  SvLEN_set(sv, 0);
}

#else

static void guard(SV *sv, const struct aio_map *map)
{
  SvLEN_set(sv, 0);
  PERL_UNUSED_VAR(map);
}

static void open_up(SV *sv)
{
  SvLEN_set(sv, 0);
}

#endif

/* For a scalar that has no string. */
static void show(SV *sv, const struct aio_map *map)
{
  SvPV_set(sv, string_of(map));
  SvCUR_set(sv, length_of(map));
  (void)SvPOK_only(sv);
  guard(sv, map);
}

/* Takes whatever a scalar has instead of its string away from it. A string
 * stays for the statement: whoever called for it may still look at it. */
static void empty(pTHX_ SV *sv)
{
  SvFLAGS(sv) &= ~(U32)(SVf_READONLY | SVf_PROTECT);
  if (SvTHINKFIRST(sv))
    sv_force_normal_flags(sv, SV_COW_DROP_PV);
  sv_unmagic(sv, PERL_MAGIC_vstring);
  SvOOK_off(sv);
  if (SvPVX(sv) && SvLEN(sv)) {
    SV *keeper = sv_2mortal(newSV_type(SVt_PV));

    SvPV_set(keeper, SvPVX(sv));
    SvLEN_set(keeper, SvLEN(sv));
  }
  SvPV_set(sv, NULL);
  SvLEN_set(sv, 0);
  SvCUR_set(sv, 0);
  (void)SvOK_off(sv);
}

static void restore(pTHX_ SV *sv, const struct aio_map *map)
{
  U32 readonly = SvFLAGS(sv) & (SVf_READONLY | SVf_PROTECT);

  empty(aTHX_ sv);
  show(sv, map);
  SvFLAGS(sv) |= readonly;
}

/* Magic -------------------------------------------------------------------- */

/* NULL for a thread's copy. */
static struct aio_map *map_in(const MAGIC *mg)
{
  return (struct aio_map *)(void *)mg->mg_ptr;
}

/* Before anything looks at the string, or changes it. */
static int map_get(pTHX_ SV *sv, MAGIC *mg)
{
  struct aio_map *map = map_in(mg);

  if (!map)
    return 0;
  if (!is_intact(sv, map))
    restore(aTHX_ sv, map); /* from something that went past set() */
  SvNIOK_off(sv); /* others write to the memory as well */
  if (map->prot & PROT_WRITE && aio_op_keeps_length(aTHX_ sv, map->size))
    open_up(sv);
  else
    guard(sv, map);
  return 0;
}

/* Writes only to pages that differ. */
static void update(char *to, const char *from, size_t size)
{
  while (size) {
    size_t n = size < 4096 ? size : 4096;

    if (memNE(to, from, n))
      memcpy(to, from, n);
    to += n;
    from += n;
    size -= n;
  }
}

/* Stores the value that a scalar has instead, if it has the right length. */
static bool store(pTHX_ SV *sv, const struct aio_map *map)
{
  STRLEN len;
  const char *p;

  if (!(map->prot & PROT_WRITE) || SvTYPE(sv) != SVt_PVMG || SvROK(sv)
      || SvPVX_const(sv) == string_of(map))
    return FALSE;
  if (SvUTF8(sv) && !sv_utf8_downgrade(sv, TRUE))
    return FALSE;
  p = SvPV_nomg_const(sv, len);
  if (len != map->size)
    return FALSE;
  update(map->address, p, len);
  return TRUE;
}

/* After each change. */
static int map_set(pTHX_ SV *sv, MAGIC *mg)
{
  struct aio_map *map = map_in(mg);
  bool stored;

  if (!map)
    return 0;
  if (is_intact(sv, map)) {
    guard(sv, map);
    return 0;
  }
  if (!SvOK(sv) && !isGV_with_GP(sv) && !aio_locked(aTHX_ sv)) {
    aio_map_drop(aTHX_ sv);
    return 0;
  }
  stored = store(aTHX_ sv, map);
  restore(aTHX_ sv, map);
  if (stored)
    return 0;
  if (map->prot & PROT_WRITE)
    aio_croak(aTHX_ "mmap", "a memory-mapped scalar cannot become anything but a string of its"
              " %" UVuf " octets; undef it first", (UV)map->size);
  aio_croak(aTHX_ "mmap", "%s: the scalar is memory-mapped without PROT_WRITE",
            "Modification of a read-only value attempted");
}

static int map_free(pTHX_ SV *sv, MAGIC *mg)
{
  struct aio_map *map = map_in(mg);
  dSAVE_ERRNO;

  if (!map)
    return 0;
  mg->mg_ptr = NULL;
  if (SvTYPE(sv) == SVt_PVMG && !SvROK(sv) && SvPVX_const(sv) == string_of(map)) {
    open_up(sv);
    SvPV_set(sv, NULL);
    SvCUR_set(sv, 0);
    (void)SvOK_off(sv);
  }
  munmap(map->address, map->total);
  Safefree(map);
  RESTORE_ERRNO;
  return 0;
}

#ifdef USE_ITHREADS
/* In a new thread the scalar is an ordinary string, like all that is copied
 * there. perl has made the copy by now, unless the original was open. */
static int map_dup(pTHX_ MAGIC *mg, CLONE_PARAMS *param)
{
  struct aio_map *map = map_in(mg);
  SV *sv = mg->mg_obj; /* the copy */

  PERL_UNUSED_VAR(param);
  if (!map)
    return 0;
  mg->mg_ptr = NULL;
  if (SvTYPE(sv) == SVt_PVMG && !SvROK(sv) && SvPVX_const(sv) == string_of(map)) {
    SvPV_set(sv, savepvn(string_of(map), length_of(map)));
    SvLEN_set(sv, length_of(map) + 1);
  }
  return 0;
}
#endif

/* What "local" makes has no mapping. */
static int map_local(pTHX_ SV *sv, MAGIC *mg)
{
  PERL_UNUSED_CONTEXT;
  PERL_UNUSED_VAR(sv);
  PERL_UNUSED_VAR(mg);
  return 0;
}

static MGVTBL map_vtbl = {
  map_get, map_set, NULL, NULL, map_free, NULL,
#ifdef USE_ITHREADS
  map_dup,
#else
  NULL,
#endif
  map_local
};

/* For the other files ------------------------------------------------------ */

struct aio_map *aio_map_of(pTHX_ SV *sv)
{
  MAGIC *mg = SvTYPE(sv) >= SVt_PVMG && SvMAGIC(sv) ? mg_findext(sv, PERL_MAGIC_ext, &map_vtbl) : NULL;
  struct aio_map *map = mg ? map_in(mg) : NULL;

  if (map && !is_intact(sv, map))
    restore(aTHX_ sv, map);
  PERL_UNUSED_CONTEXT;
  return map;
}

bool aio_is_mapped(pTHX_ SV *sv)
{
  return aio_map_of(aTHX_ sv) != NULL;
}

void aio_map_detach(pTHX_ struct aio_map *map)
{
  empty(aTHX_ map->sv);
}

void aio_map_attach(pTHX_ struct aio_map *map)
{
  SV *sv = map->sv;

  restore(aTHX_ sv, map);
#ifndef CowREFCNT
  if (map->prot & PROT_WRITE)
    SvREADONLY_off(sv);
  else
    SvREADONLY_on(sv);
#endif
}

void aio_map_drop(pTHX_ SV *sv)
{
  if (SvTYPE(sv) == SVt_PVMG)
    empty(aTHX_ sv);
  sv_unmagicext(sv, PERL_MAGIC_ext, &map_vtbl);
}

void aio_map_abandon(pTHX_ SV *sv)
{
  MAGIC *mg;

  if (!aio_map_of(aTHX_ sv))
    return;
  mg = mg_findext(sv, PERL_MAGIC_ext, &map_vtbl);
  Safefree(mg->mg_ptr);
  mg->mg_ptr = NULL;
  open_up(sv);
}

void aio_map_scalar(pTHX_ SV *sv, void *address, size_t size, size_t total, int prot)
{
  struct aio_map *map;
  MAGIC *mg;

  SvUPGRADE(sv, SVt_PVMG);
  aio_map_drop(aTHX_ sv);
  Newx(map, 1, struct aio_map);
  map->sv = sv;
  map->address = address;
  map->size = size;
  map->total = total;
  map->prot = prot;
  show(sv, map);
  mg = sv_magicext(sv, sv, PERL_MAGIC_ext, &map_vtbl, (char *)(void *)map, 0);
  mg->mg_flags |= MGf_DUP | MGf_LOCAL;
  aio_map_attach(aTHX_ map);
  SvSETMAGIC(sv); /* pos and so on */
}
