/* lock.c - scalars whose string a request uses while Perl code runs.
 *
 * A locked scalar is read-only for Perl (by a flag that Perl code can neither set nor
 * take away, where perl has such a one), and its string cannot be moved or
 * freed: its SvLEN is 0 meanwhile, which is perl's word for "not mine". So
 * even code that takes the read-only flag away cannot make the kernel write
 * into memory that is gone. A string that is shared (copy on write) stays as it
 * is, and the lock is one more that shares it. Locks are counted; they are kept
 * in a hash by the scalar's address (open addressing, linear probing). */
#include "mapped.h"

struct aio_lock {
  SV *sv;            /* NULL: free slot */
  char *string;
  STRLEN len;        /* SvLEN before, 0: the string is not perl's to move */
  STRLEN offset;     /* of the string in its memory (OOK) */
  unsigned count;
  bool was_readonly, shared, dup;
};

#define READONLY_FLAG (SVf_PROTECT ? SVf_PROTECT : SVf_READONLY)

/* The hash ------------------------------------------------------------- */

static unsigned home(const aio_cxt *cxt, const SV *sv)
{
  return (unsigned)((PTR2UV(sv) >> 3) * 2654435761u) & (cxt->locks_size - 1);
}

static struct aio_lock *find(const aio_cxt *cxt, const SV *sv)
{
  if (!cxt->nlocks)
    return NULL;
  for (unsigned i = home(cxt, sv); cxt->locks[i].sv; i = (i + 1) & (cxt->locks_size - 1))
    if (cxt->locks[i].sv == sv)
      return &cxt->locks[i];
  return NULL;
}

static struct aio_lock *slot_for(const aio_cxt *cxt, const SV *sv)
{
  unsigned i = home(cxt, sv);

  while (cxt->locks[i].sv)
    i = (i + 1) & (cxt->locks_size - 1);
  return &cxt->locks[i];
}

static void grow(aio_cxt *cxt)
{
  struct aio_lock *old = cxt->locks;
  unsigned old_size = cxt->locks_size;

  cxt->locks_size = old_size ? old_size * 2 : 16;
  Newxz(cxt->locks, cxt->locks_size, struct aio_lock);
  for (unsigned i = 0; i < old_size; i++)
    if (old[i].sv)
      *slot_for(cxt, old[i].sv) = old[i];
  Safefree(old);
}

/* Takes a slot out and moves up those that were displaced by it. */
static void drop_slot(aio_cxt *cxt, struct aio_lock *lock)
{
  unsigned mask = cxt->locks_size - 1;
  unsigned hole = (unsigned)(lock - cxt->locks);

  for (unsigned i = (hole + 1) & mask; cxt->locks[i].sv; i = (i + 1) & mask) {
    unsigned h = home(cxt, cxt->locks[i].sv);

    if (((i - h) & mask) >= ((i - hole) & mask)) {
      cxt->locks[hole] = cxt->locks[i];
      hole = i;
    }
  }
  cxt->locks[hole].sv = NULL;
  cxt->nlocks--;
}

/* Shared strings --------------------------------------------------------- */

#ifdef CowREFCNT
bool aio_can_share(SV *sv)
{
  return SvLEN(sv) && CowREFCNT(sv) < SV_COW_REFCNT_MAX;
}

static void take_share(SV *sv)
{
  CowREFCNT(sv)++;
}

/* The scalar may have another string by now; len is its SvLEN before. */
static void drop_share(char *string, STRLEN len)
{
  U8 *others = (U8 *)string + len - 1;

  if (*others)
    --*others;
  else
    Safefree(string);
}
#else
bool aio_can_share(SV *sv) { PERL_UNUSED_VAR(sv); return FALSE; }
static void take_share(SV *sv) { PERL_UNUSED_VAR(sv); }
static void drop_share(char *string, STRLEN len) { PERL_UNUSED_VAR(string); PERL_UNUSED_VAR(len); }
#endif

/* Locks ---------------------------------------------------------------- */

/* Whether the scalar has the string that was locked: without the read-only flag
 * it can be anything, also a glob. */
static bool has_string(SV *sv, const struct aio_lock *lock)
{
  return SvTYPE(sv) >= SVt_PV && !isGV_with_GP(sv) && SvPVX(sv) == lock->string;
}

/* Threads ---------------------------------------------------------------- */
/* A copy in another thread is its own: it must have a string of its own, and is
 * not locked there. Perl makes copies when a thread is created, then it calls CLONE, and
 * then it makes copies of the arguments; and when a thread is joined, of what it returns.
 * The first are put right by aio_clone_locks(), which makes use of magic for the
 * second. The last need it from the beginning. */

#ifdef USE_ITHREADS
/* `locked` is NULL where the string was not perl's before: nothing is known of it. */
static void own_string(pTHX_ SV *copy, const char *locked, bool readonly)
{
  if (locked && SvTYPE(copy) >= SVt_PV && !isGV_with_GP(copy) && SvPVX(copy) == locked && !SvLEN(copy)) {
    STRLEN cur = SvCUR(copy);

    SvPV_set(copy, savepvn(locked, cur));
    SvLEN_set(copy, cur + 1);
  }
  if (!readonly)
    SvFLAGS(copy) &= ~(U32)READONLY_FLAG;
}

static int lock_dup(pTHX_ MAGIC *mg, CLONE_PARAMS *param)
{
  own_string(aTHX_ mg->mg_obj, mg->mg_ptr, cBOOL(mg->mg_private));
  mg->mg_flags &= (U8)~MGf_DUP; /* it means nothing there */
  PERL_UNUSED_VAR(param);
  return 0;
}

static MGVTBL lock_vtbl = { NULL, NULL, NULL, NULL, NULL, NULL, lock_dup, NULL };

static void set_dup(pTHX_ struct aio_lock *lock)
{
  MAGIC *mg;

  if (lock->dup)
    return;
  mg = sv_magicext(lock->sv, lock->sv, PERL_MAGIC_ext, &lock_vtbl, lock->len ? lock->string : NULL, 0);
  mg->mg_flags |= MGf_DUP;
  mg->mg_private = lock->was_readonly;
  lock->dup = TRUE;
}
#else
static MGVTBL lock_vtbl = { NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL };

static void set_dup(pTHX_ struct aio_lock *lock)
{
  PERL_UNUSED_CONTEXT;
  PERL_UNUSED_VAR(lock);
}
#endif

void aio_lock(pTHX_ SV *sv)
{
  dAIO;
  struct aio_lock *lock = find(cxt, sv);

  if (lock) {
    lock->count++;
    return;
  }
  if ((cxt->nlocks + 1) * 2 > cxt->locks_size)
    grow(cxt);
  cxt->nlocks++;
  lock = slot_for(cxt, sv);
  lock->sv = SvREFCNT_inc_simple_NN(sv);
  lock->string = SvPVX(sv);
  lock->count = 1;
  lock->was_readonly = cBOOL(SvFLAGS(sv) & READONLY_FLAG);
  lock->shared = SvIsCOW(sv) && aio_can_share(sv);
  lock->offset = 0;
  lock->len = !SvIsCOW(sv) || lock->shared ? SvLEN(sv) : 0;
  if (lock->shared)
    take_share(sv);
  else if (lock->len) {
    SvOOK_offset(sv, lock->offset);
    SvFLAGS(sv) &= ~SVf_OOK; /* perl would move the string to where its memory begins */
    SvLEN_set(sv, 0);
  }
  SvFLAGS(sv) |= READONLY_FLAG;
  lock->dup = FALSE;
  if (cxt->in_thread)
    set_dup(aTHX_ lock); /* join may copy it */
}

char *aio_unlock(pTHX_ SV *sv)
{
  dAIO;
  struct aio_lock *lock = find(cxt, sv), was;
  bool intact;

  if (!lock)
    return NULL;
  intact = has_string(sv, lock);
  if (--lock->count)
    return intact ? lock->string : NULL;
  was = *lock;
  drop_slot(cxt, lock);
  if (!was.was_readonly)
    SvFLAGS(sv) &= ~(U32)READONLY_FLAG;
  if (was.dup)
    sv_unmagicext(sv, PERL_MAGIC_ext, &lock_vtbl);
  if (was.shared)
    drop_share(was.string, was.len);
  else if (was.len) {
    if (intact) {
      SvLEN_set(sv, was.len);
      if (was.offset)
        SvFLAGS(sv) |= SVf_OOK;
    } else
      Safefree(was.string - was.offset);
  }
  if (SvREFCNT(sv) == 1)
    sv_2mortal(sv); /* its destruction may run Perl code */
  else
    SvREFCNT_dec_NN(sv);
  return intact ? was.string : NULL;
}

unsigned aio_locked(pTHX_ SV *sv)
{
  dAIO;
  struct aio_lock *lock = find(cxt, sv);

  return lock ? lock->count : 0;
}

bool aio_lock_replaced(pTHX_ SV *sv)
{
  dAIO;
  const struct aio_lock *lock = find(cxt, sv);

  return lock && !has_string(sv, lock);
}

bool aio_lock_on_perls(pTHX_ SV *sv)
{
  dAIO;

  return find(cxt, sv)->len > SvCUR(sv);
}

void aio_clone_locks(pTHX_ const aio_cxt *parent)
{
#ifdef USE_ITHREADS
  for (unsigned i = 0; i < parent->locks_size; i++) {
    struct aio_lock *lock = &parent->locks[i];
    SV *copy = lock->sv && PL_ptr_table ? (SV *)ptr_table_fetch(PL_ptr_table, lock->sv) : NULL;

    if (copy)
      own_string(aTHX_ copy, lock->len ? lock->string : NULL, lock->was_readonly);
    if (lock->sv) {
      PERL_SET_CONTEXT(parent->owner); /* CLONE runs in its thread, which waits for us */
      set_dup(parent->owner, lock);
      PERL_SET_CONTEXT(aTHX);
    }
  }
#else
  PERL_UNUSED_CONTEXT;
  PERL_UNUSED_VAR(parent);
#endif
}

/* Strings are safe: perl does not free what has an SvLEN of 0, nor what is shared
 * with one more, which the lock is. */
void aio_abandon_locks(pTHX_ const aio_cxt *cxt)
{
  for (unsigned i = 0; i < cxt->locks_size; i++)
    if (cxt->locks[i].sv)
      aio_map_abandon(aTHX_ cxt->locks[i].sv);
}
