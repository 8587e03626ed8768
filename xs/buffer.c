/* buffer.c - scalars that requests read from and write to: what is made of the
 * arguments, and what becomes of the scalars when a request is done. They are
 * locked meanwhile (lock.c). */
#include "mapped.h"

#include <sys/ioctl.h>

/* Targets: a scalar that a request fills, by way of a private one when it is
 * magical (tied, an element that does not exist yet, substr...). ---------- */

static int target_dup(pTHX_ MAGIC *mg, CLONE_PARAMS *param)
{
  PERL_UNUSED_CONTEXT;
  PERL_UNUSED_VAR(mg);
  PERL_UNUSED_VAR(param);
  return 0;
}

static MGVTBL target_vtbl = { NULL, NULL, NULL, NULL, NULL, NULL, target_dup, NULL };

/* Perl takes the flags of magic off a scalar while that is at work, and FETCH may
 * call us. */
static bool is_indirect(const SV *sv)
{
  if (SvMAGICAL(sv) || SvTYPE(sv) > SVt_PVMG)
    return TRUE;
  if (SvTYPE(sv) == SVt_PVMG)
    for (const MAGIC *mg = SvMAGIC(sv); mg; mg = mg->mg_moremagic)
      if (mg->mg_virtual && (mg->mg_virtual->svt_get || mg->mg_virtual->svt_set))
        return TRUE;
  return FALSE;
}

/* Returns the scalar to fill; sv2 owns a reference to it. */
static SV *private_scalar(pTHX_ aio_req *aio, SV *target)
{
  SV *sv = newSVpvs("");

  sv_magicext(sv, target, PERL_MAGIC_ext, &target_vtbl, NULL, 0);
  aio->sv2 = sv;
  return sv;
}

/* $1 and the like are not marked as read-only. */
static bool is_match_variable(const SV *sv)
{
  const MAGIC *mg = SvMAGICAL(sv) ? mg_find(sv, PERL_MAGIC_sv) : NULL;

  return mg && (!mg->mg_ptr || (*mg->mg_ptr && strchr("123456789&`'+", *mg->mg_ptr)));
}

static void check_modifiable(pTHX_ SV *sv, const char *func)
{
  if (isGV_with_GP(sv))
    aio_croak(aTHX_ func, "data must be a string, not a glob");
  if (SvREADONLY(sv) || aio_locked(aTHX_ sv) || is_match_variable(sv)) /* perl's words: programs match on them */
    aio_croak(aTHX_ func, "data: %s", "Modification of a read-only value attempted");
}

/* Makes a scalar a plain string of octets that owns its buffer. When it is an
 * object, what makes it a string may put the scalar to some other use. */
static void make_octets(pTHX_ SV *sv, const char *func)
{
  STRLEN len;
  const char *p;

  if (SvROK(sv)) {
    p = aio_arg_octets(aTHX_ sv, &len, func, "data");
    check_modifiable(aTHX_ sv, func);
    if (is_indirect(sv))
      aio_croak(aTHX_ func, "data has become another kind of scalar");
    sv_setpvn(sv, p, len);
    SvUTF8_off(sv);
  }
  if (!SvOK(sv))
    sv_setpvs(sv, "");
  (void)SvPV_force_nomg(sv, len);
  if (SvUTF8(sv) && !sv_utf8_downgrade(sv, TRUE))
    aio_croak(aTHX_ func, "\"data\" argument must be byte/octet-encoded: it contains a wide character");
  SvOOK_off(sv);
  SvPOK_only(sv);
}

/* What more than that needs is asked for with care: see aio_enough_memory(). */
#define ROOM_MAX (1 << 24)

/* The same for one without anything in it, as most are that are read into: with
 * one allocation instead of two, and nothing copied. */
static bool make_room(pTHX_ SV *sv, int64_t size)
{
  if (size > ROOM_MAX || (SvOK(sv) && !(SvIsCOW(sv) && SvPOK(sv) && !SvCUR(sv))))
    return FALSE;
  if (SvIsCOW(sv))
    sv_force_normal_flags(sv, SV_COW_DROP_PV);
  SvUPGRADE(sv, SVt_PV);
  SvOOK_off(sv);
  SvGROW(sv, (STRLEN)size + 1)[0] = 0;
  SvCUR_set(sv, 0);
  SvPOK_only(sv);
  return TRUE;
}

bool aio_enough_memory(uint64_t size)
{
  void *volatile p; /* or clang leaves the two calls out */
  dSAVE_ERRNO;

  if (size < (uint64_t)1 << 26)
    return TRUE;
  if (size > (uint64_t)1 << (sizeof(STRLEN) * 8 - 2))
    return FALSE;
  p = malloc((size_t)size);
  free(p);
  RESTORE_ERRNO; /* no call changes $! but by its callback */
  return p != NULL;
}

void aio_buffer_read(pTHX_ aio_req *aio, SV *data, int64_t offs, int64_t len, const char *func)
{
  SV *sv = data;
  STRLEN cur;

  check_modifiable(aTHX_ data, func);
  if (len < 0)
    aio_croak(aTHX_ func, "length must not be negative");
  if (offs && !SvOK(data) && !is_indirect(data)) /* before it is made a string */
    aio_croak(aTHX_ func, "dataoffset outside of data scalar");
  if (is_indirect(data) && !aio_is_mapped(aTHX_ data)) {
    SV *value;

    sv = private_scalar(aTHX_ aio, data);
    value = aio_arg_value(aTHX_ data);
    if (SvOK(value)) {
      STRLEN n;
      const char *p = aio_arg_octets(aTHX_ value, &n, func, "data");

      sv_setpvn(sv, p, n);
    }
  } else {
    if (!aio_is_mapped(aTHX_ sv) && !make_room(aTHX_ sv, len))
      make_octets(aTHX_ sv, func);
    aio->sv2 = SvREFCNT_inc_simple_NN(sv);
  }
  cur = SvCUR(sv);
  if (offs < 0)
    offs += (int64_t)cur;
  if (offs < 0 || offs > (int64_t)cur)
    aio_croak(aTHX_ func, "dataoffset outside of data scalar");
  if (aio_is_mapped(aTHX_ sv)) {
    if (len > (int64_t)cur - offs)
      aio_croak(aTHX_ func, "data is memory-mapped: what is read must fit into it");
  } else if ((uint64_t)len > (uint64_t)1 << 62 || !aio_enough_memory((uint64_t)(offs + len))) {
    aio_fail(aio, ENOMEM);
    len = 0;
  } else {
    (void)SvGROW(sv, (STRLEN)(offs + len) + 1);
    if ((STRLEN)(offs + len) >= cur) /* what is read may replace the NUL before its time */
      SvPVX(sv)[offs + len] = 0;
  }
  aio_lock(aTHX_ sv);
  aio->r.buf = SvPVX(sv) + offs;
  aio->r.size = (uint64_t)len;
}

/* Whether the string of a scalar can be used where it is. One that is shared and
 * cannot be kept may go at any time: read-only or not, utf8::upgrade() changes it. */
static bool is_plain(SV *sv)
{
  return SvPOK(sv) && !SvUTF8(sv) && !SvROK(sv) && !is_indirect(sv) && !SvPADTMP(sv)
    && (!SvIsCOW(sv) || aio_can_share(sv));
}

SV *aio_buffer_string(pTHX_ SV *data, const char *func, const char *arg)
{
  STRLEN len;
  const char *p;

  if ((is_plain(data) && !aio_lock_replaced(aTHX_ data)) || aio_is_mapped(aTHX_ data))
    return SvREFCNT_inc_simple_NN(data);
  p = aio_arg_octets(aTHX_ aio_arg_value(aTHX_ data), &len, func, arg);
  return newSVpvn(p, len);
}

static SV *lock_string(pTHX_ aio_req *aio, SV *data, const char *func)
{
  return aio->sv2 = aio_buffer_string(aTHX_ data, func, "data");
}

void aio_buffer_write(pTHX_ aio_req *aio, SV *data, int64_t offset, int64_t length, const char *func)
{
  SV *sv = lock_string(aTHX_ aio, data, func);
  STRLEN start, count;

  if (!aio_arg_range(offset, length, SvCUR(sv), &start, &count))
    aio_croak(aTHX_ func, "dataoffset outside of data scalar");
  aio_lock(aTHX_ sv);
  aio->r.buf = SvPVX(sv) + start;
  aio->r.size = count;
}

void aio_buffer_region(pTHX_ aio_req *aio, SV *data, int64_t offset, int64_t length, const char *func)
{
  struct aio_map *map = aio_map_of(aTHX_ data);
  SV *sv = map ? data : lock_string(aTHX_ aio, data, func);
  STRLEN start, count;

  if (map)
    aio->sv2 = SvREFCNT_inc_simple_NN(sv);
  if (!aio_arg_range(offset, length, map ? map->size : SvCUR(sv), &start, &count))
    aio_croak(aTHX_ func, AIO_OUTSIDE);
  aio_lock(aTHX_ sv);
  aio->r.buf = (map ? map->address : SvPVX(sv)) + start;
  aio->r.size = count;
  if (aio->r.op == EIO_MTOUCH && !map && aio_lock_on_perls(aTHX_ sv))
    aio->r.arg2 = EIO_MT_PLAIN;
}

void aio_buffer_whole(pTHX_ aio_req *aio, SV *data, const char *func)
{
  check_modifiable(aTHX_ data, func);
  if (aio_is_mapped(aTHX_ data))
    aio_croak(aTHX_ func, "data is memory-mapped: it cannot become another string");
  aio->sv2 = SvREFCNT_inc_simple_NN(data);
}

/* The third argument of fcntl and ioctl, as perl's own take it: a number is
 * passed as it is; a string is a buffer, made long enough for what the kernel
 * may write. */
void aio_buffer_ctl(pTHX_ aio_req *aio, SV *arg, const char *func)
{
  STRLEN need = 256, cur;
  SV *sv = arg, *value = aio_arg_value(aTHX_ arg);

  if (SvNIOK(value) && !SvPOK(value)) {
    uint64_t bits;

    if (!aio_arg_bits(aTHX_ value, &bits, func, "argument"))
      aio_fail(aio, EINVAL);
    aio->r.offs = (int64_t)bits;
    return;
  }
#ifdef _IOC_SIZE
  if (aio->r.op == EIO_IOCTL && _IOC_SIZE((unsigned)aio->r.arg1) > need)
    need = _IOC_SIZE((unsigned)aio->r.arg1);
#endif
  if (SvREADONLY(arg) || aio_locked(aTHX_ arg)) {
    if (SvOK(value) || !SvREADONLY(arg))
      check_modifiable(aTHX_ arg, func);
    return; /* a literal undef is 0 */
  }
  if (aio_is_mapped(aTHX_ arg))
    aio_croak(aTHX_ func, "argument is memory-mapped: it cannot become a longer string");
  if (is_indirect(arg)) {
    STRLEN n = 0;
    const char *p = SvOK(value) ? aio_arg_octets(aTHX_ value, &n, func, "argument") : "";

    sv = private_scalar(aTHX_ aio, arg);
    sv_setpvn(sv, p, n);
  } else {
    make_octets(aTHX_ sv, func);
    aio->sv2 = SvREFCNT_inc_simple_NN(sv);
  }
  cur = SvCUR(sv);
  if (need < cur)
    need = cur;
  (void)SvGROW(sv, need + 1);
  if (need > cur) {
    Zero(SvPVX(sv) + cur, need + 1 - cur, char);
    SvCUR_set(sv, need);
  }
  aio_lock(aTHX_ sv);
  aio->r.buf = SvPVX(sv);
  aio->r.size = need;
}

/* Results -------------------------------------------------------------- */

static void set_length(pTHX_ SV *sv, STRLEN len)
{
  if (aio_is_mapped(aTHX_ sv))
    return;
  SvCUR_set(sv, len);
  *SvEND(sv) = 0;
  SvPOK_only(sv);
}

/* Whether perl's strings are malloc's. Headers do not tell: perls that differ in
 * this may share them (Debian's debugperl does); perl itself does. */
static bool perl_mallocs;

static void ask_perl(pTHX)
{
  dSP;
  I32 n;

  ENTER;
  SAVETMPS;
  PUSHMARK(SP);
  n = call_pv("Internals::V", G_LIST);
  SPAGAIN;
  SP -= n;
  perl_mallocs = n > 0 && SvPOK(SP[1]) && !strstr(SvPVX(SP[1]), "PERL_TRACK_MEMPOOL")
    && !strstr(SvPVX(SP[1]), "MYMALLOC");
  PUTBACK;
  FREETMPS;
  LEAVE;
}

/* _store $target, $value */
XS_INTERNAL(xs_store)
{
  dXSARGS_AIO(2, 2, "target, value");

  sv_setsv_mg(ST(0), ST(1));
  XSRETURN_EMPTY;
}


/* That may die (STORE, an lvalue that cannot have it), and so may the warning: the callback comes all the same. */
void aio_store(pTHX_ const char *function, SV *target, SV *value, eio_req *req)
{
  ENTER;
  SAVETMPS;
  save_scalar(PL_errgv);
  aio_call_private(aTHX_ function, target, value, 0);
  if (SvROK(ERRSV) || SvTRUE(ERRSV)) {
    req->result = -1;
    req->errorno = EFAULT;
    aio_warn(aTHX_ "the data cannot be stored");
  }
  FREETMPS;
  LEAVE;
}

/* Stores octets in a scalar of any kind. */
static void store(pTHX_ SV *target, const char *p, STRLEN len, eio_req *req)
{
  aio_store(aTHX_ "IO::AIO::_store", target, sv_2mortal(newSVpvn(p, len)), req);
}

/* Hands the octets that a request has malloc'ed to a scalar. */
static void take_data(pTHX_ SV *sv, eio_req *req)
{
  STRLEN len = (STRLEN)req->result;

  if (SvREADONLY(sv)) { /* made so in the meantime: nothing can be stored */
    req->result = -1;
    req->errorno = EFAULT;
  } else if (is_indirect(sv))
    store(aTHX_ sv, (char *)req->buf, len, req);
  else if (len < 256 || !perl_mallocs) {
    sv_setpvn(sv, (char *)req->buf, len);
    SvUTF8_off(sv);
  } else {
    sv_usepvn_flags(sv, (char *)req->buf, len, SV_HAS_TRAILING_NUL);
    SvUTF8_off(sv);
    req->buf = NULL;
  }
}

/* Copies what a private scalar got into the one that was meant. */
static void pass_on(pTHX_ SV *sv, eio_req *req)
{
  MAGIC *mg = mg_findext(sv, PERL_MAGIC_ext, &target_vtbl);

  if (mg && mg->mg_obj)
    store(aTHX_ mg->mg_obj, SvPVX(sv), SvCUR(sv), req);
}

void aio_boot_buffer(pTHX)
{
  static const struct aio_xsub xsubs[] = {
    { "_store", xs_store, "$$", 0 },
  };

  aio_install(aTHX_ xsubs, C_ARRAY_LENGTH(xsubs));
  ask_perl(aTHX);
}

/* How many octets a request has put into its buffer. */
static STRLEN filled(const eio_req *req, enum eio_result_kind kind)
{
  if (kind == EIO_R_FILLED)
    return req->flags & EIO_FAILED ? 0 : (STRLEN)req->size;
  return req->result > 0 ? (STRLEN)req->result : 0;
}

void aio_buffer_settle(pTHX_ aio_req *aio, bool cancelled)
{
  eio_req *req = &aio->r;
  enum eio_result_kind kind = eio_op_info((enum eio_op)req->op)->result;
  bool fills = kind == EIO_R_COUNT || kind == EIO_R_FILLED;
  SV *sv = aio->sv2;
  char *string, *buf;

  if (kind == EIO_R_DATA) {
    if (!cancelled && req->result >= 0)
      take_data(aTHX_ sv, req);
    return;
  }
  if (!req->buf)
    return; /* not locked (yet) */
  string = aio_unlock(aTHX_ sv);
  buf = req->buf;
  req->buf = NULL; /* settled once */
  if (string && cancelled && fills && !aio_is_mapped(aTHX_ sv))
    *SvEND(sv) = 0; /* it may have been read nevertheless */
  if (!string || cancelled || (!fills && kind != EIO_R_ARG))
    return;
  if (fills)
    set_length(aTHX_ sv, (STRLEN)(buf - string) + filled(req, kind));
  if (SvTYPE(sv) >= SVt_PVMG && SvMAGIC(sv))
    pass_on(aTHX_ sv, req);
}
