/* args.c - arguments of Perl functions as C values: the policy is in aio.h. */
#include "aio.h"

#include <dirent.h>

/* Croaks --------------------------------------------------------------- */

/* Looks outwards through the subs of IO::AIO itself (composite requests) and through
 * closures compiled there (Future::AIO's) for the one that the program has called, so
 * that it hears of its own line. */
static const char *outer_function(pTHX_ const char *func)
{
  HV *own = gv_stashpvs("IO::AIO", 0);

  for (I32 i = cxstack_ix; i >= 0 && CopSTASH(PL_curcop) == own; i--) {
    const PERL_CONTEXT *cx = &cxstack[i];

    if (CxTYPE(cx) != CXt_SUB)
      continue;
    if (CvGV(cx->blk_sub.cv) && !CvANON(cx->blk_sub.cv))
      func = GvNAME(CvGV(cx->blk_sub.cv));
    PL_curcop = cx->blk_oldcop;
  }
  return func;
}

void aio_croak(pTHX_ const char *func, const char *format, ...)
{
  va_list args;
  SV *message = sv_2mortal(newSVpvs(""));

  va_start(args, format);
  sv_vcatpvf(message, format, &args);
  va_end(args);
  croak("%s: %" SVf, outer_function(aTHX_ func), SVfARG(message));
}

/* Keeping -------------------------------------------------------------- */

SV *aio_keep(pTHX_ SV *sv)
{
  sv_2mortal(newRV_inc(sv));
  return sv;
}

void aio_keep_args(pTHX_ I32 ax, I32 items)
{
  for (I32 i = 0; i < items; i++)
    aio_keep(aTHX_ ST(i));
}

/* References ----------------------------------------------------------- */

/* No chain of objects is longer, but for one that has no end. */
#define MAX_CHAIN 100

/* What overloading makes of a reference; NULL when that is no plain value. */
static SV *plain_value(pTHX_ SV *sv, int method)
{
  for (int i = 0; i < MAX_CHAIN && SvAMAGIC(sv); i++) {
    sv = amagic_call(sv, &PL_sv_undef, method, AMGf_noright | AMGf_unary);
    if (!sv)
      return NULL;
    sv = aio_arg_value(aTHX_ sv);
    if (!SvROK(sv))
      return sv;
  }
  return NULL;
}

/* An element of a pair, or NULL. */
SV *aio_arg_element(pTHX_ AV *av, SSize_t n)
{
  SV **sv = av_fetch(av, n, 0);

  return sv ? aio_keep(aTHX_ *sv) : NULL;
}

bool aio_arg_pair(pTHX_ SV *sv, SV *two[2])
{
  AV *av;

  if (!SvROK(sv) || SvTYPE(SvRV(sv)) != SVt_PVAV || SvOBJECT(SvRV(sv)))
    return FALSE;
  av = (AV *)aio_keep(aTHX_ SvRV(sv));
  if (av_len(av) != 1)
    return FALSE;
  two[0] = aio_arg_element(aTHX_ av, 0);
  two[1] = aio_arg_element(aTHX_ av, 1);
  return TRUE;
}

/* Numbers -------------------------------------------------------------- */

SV *aio_arg_plain_number(pTHX_ SV *sv, const char *func, const char *arg)
{
  SV *value = aio_arg_value(aTHX_ sv), *number = SvROK(value) ? plain_value(aTHX_ value, numer_amg) : value;

  if (!number)
    aio_croak(aTHX_ func, "%s must be a number, not %s: is an argument missing?", arg,
              SvTYPE(SvRV(value)) == SVt_PVCV ? "code" : "a reference");
  return number;
}

/* The integer part of a number that has been through the above: magnitude and sign.
 * False with the nearest, or 0 for what is no number, when it has more than 64 bits.
 * Strings are read exactly; of what is no number perl's own conversion makes what
 * it always does, with its warning. */
static bool whole_part(pTHX_ SV *sv, uint64_t *magnitude, bool *negative)
{
  UV u = 0;
  NV n;
  int type = SvPOK(sv) && !SvNIOK(sv) ? grok_number(SvPVX_const(sv), SvCUR(sv), &u) : 0;

  if (SvIOK(sv)) {
    *negative = !SvIsUV(sv) && SvIVX(sv) < 0;
    *magnitude = *negative ? -(uint64_t)SvIVX(sv) : (uint64_t)SvUVX(sv);
    return TRUE;
  }
  *negative = cBOOL(type & IS_NUMBER_NEG);
  *magnitude = u;
  if ((type & (IS_NUMBER_IN_UV | IS_NUMBER_NOT_INT)) == IS_NUMBER_IN_UV)
    return TRUE;
  n = SvNV_nomg(sv);
  *negative = n < 0;
  if (*negative)
    n = -n;
  *magnitude = n < 0x1p64 ? (uint64_t)n : n >= 0x1p64 ? UINT64_MAX : 0;
  return n < 0x1p64;
}

bool aio_arg_int64_slowly(pTHX_ SV *sv, int64_t *n, const char *func, const char *arg)
{
  uint64_t magnitude, most = INT64_MAX;
  bool negative, fits = whole_part(aTHX_ aio_arg_plain_number(aTHX_ sv, func, arg), &magnitude, &negative);

  most += negative;
  if (magnitude > most) {
    magnitude = most;
    fits = FALSE;
  }
  *n = (int64_t)(negative ? -magnitude : magnitude);
  return fits;
}

bool aio_arg_bits(pTHX_ SV *sv, uint64_t *bits, const char *func, const char *arg)
{
  bool negative, fits = whole_part(aTHX_ aio_arg_plain_number(aTHX_ sv, func, arg), bits, &negative);

  if (!negative)
    return fits;
  fits = fits && *bits <= (uint64_t)INT64_MAX + 1;
  *bits = -*bits;
  return fits;
}

bool aio_arg_int(pTHX_ SV *sv, int *i, const char *func, const char *arg)
{
  int64_t n;

  if (aio_arg_int64(aTHX_ sv, &n, func, arg) && n >= INT_MIN && n <= (int64_t)UINT_MAX) {
    *i = (int)(unsigned)n;
    return TRUE;
  }
  *i = -1;
  return FALSE;
}

NV aio_arg_double(pTHX_ SV *sv, const char *func, const char *arg)
{
  SV *number = aio_arg_plain_number(aTHX_ sv, func, arg);

  return SvNV_nomg(number);
}

bool aio_arg_range(int64_t offset, int64_t length, STRLEN size, STRLEN *start, STRLEN *count)
{
  if (offset < 0)
    offset += (int64_t)size;
  if (offset < 0 || offset > (int64_t)size)
    return FALSE;
  if (length < 0 || length > (int64_t)size - offset)
    length = (int64_t)size - offset;
  *start = (STRLEN)offset;
  *count = (STRLEN)length;
  return TRUE;
}

/* Handles -------------------------------------------------------------- */

IO *aio_arg_io(pTHX_ SV *sv)
{
  if (SvROK(sv))
    sv = SvRV(SvAMAGIC(sv) ? amagic_deref_call(sv, to_gv_amg) : sv); /* resolves chains, and stops at itself */
  if (isGV_with_GP(sv))
    return GvIOn((GV *)sv);
  return SvTYPE(sv) == SVt_PVIO ? (IO *)sv : NULL;
}

int aio_io_fd(pTHX_ IO *io, int mode)
{
  PerlIO *fp = mode & AIO_WRITE ? IoOFP(io) : IoIFP(io);

  if (fp)
    return PerlIO_fileno(fp);
  if (IoDIRP(io) && !(mode & AIO_WRITE))
    return dirfd(IoDIRP(io));
  return -1;
}

static void no_handle(pTHX_ const char *func, const char *arg) __attribute__((noreturn));
static void no_handle(pTHX_ const char *func, const char *arg)
{
  aio_croak(aTHX_ func, "illegal fh argument: %s must be a descriptor number or an open file"
            " handle (no descriptor, closed, or mode mismatch)", arg);
}

struct aio_handle aio_arg_handle(pTHX_ SV *sv, const char *func, const char *arg)
{
  struct aio_handle handle = { NULL, -1 };

  sv = aio_arg_value(aTHX_ sv);
  handle.io = aio_arg_io(aTHX_ sv);
  if (!handle.io && !SvROK(sv) && SvOK(sv) && looks_like_number(sv)) {
    NV n = SvNV_nomg(sv);

    if (n >= 0 && n <= INT_MAX)
      handle.fd = (int)n;
  }
  if (!handle.io && handle.fd < 0)
    no_handle(aTHX_ func, arg);
  return handle;
}

int aio_handle_fd(pTHX_ struct aio_handle handle, int mode, const char *func, const char *arg)
{
  int fd = handle.io ? aio_io_fd(aTHX_ handle.io, mode) : handle.fd;

  if (fd < 0)
    no_handle(aTHX_ func, arg);
  return fd;
}

int aio_arg_fd(pTHX_ SV *sv, int mode, const char *func, const char *arg)
{
  return aio_handle_fd(aTHX_ aio_arg_handle(aTHX_ sv, func, arg), mode, func, arg);
}

/* Strings -------------------------------------------------------------- */

/* A reference has its address as string, an object with operators what they say. */
const char *aio_arg_octets(pTHX_ SV *sv, STRLEN *len, const char *func, const char *arg)
{
  const char *p;

  if (SvROK(sv) && SvAMAGIC(sv) && !(sv = plain_value(aTHX_ sv, string_amg)))
    aio_croak(aTHX_ func, "\"%s\" argument must be a string: the object has none", arg);
  p = SvPV_nomg_const(sv, *len);
  if (SvUTF8(sv)) {
    SV *copy = sv_2mortal(newSVpvn_flags(p, *len, SVf_UTF8));

    if (!sv_utf8_downgrade(copy, TRUE))
      aio_croak(aTHX_ func, "\"%s\" argument must be byte/octet-encoded: it contains a wide character", arg);
    p = SvPV_const(copy, *len);
  }
  return p;
}

static void no_path(pTHX_ SV *sv, const char *func, const char *arg) __attribute__((noreturn));
static void no_path(pTHX_ SV *sv, const char *func, const char *arg)
{
  aio_croak(aTHX_ func, "%s: pathname arguments must be strings, IO::AIO::WD objects or pairs"
            " [IO::AIO::WD, string]%s", arg, SvTYPE(sv) == SVt_PVCV ? ": is an argument missing?" : "");
}

/* A string without NUL. */
static const char *name_of(pTHX_ SV *sv, struct aio_path *path, const char *func, const char *arg)
{
  SV *string = SvROK(sv) ? plain_value(aTHX_ sv, string_amg) : sv;
  const char *p;

  if (!string)
    no_path(aTHX_ SvRV(sv), func, arg);
  p = aio_arg_octets(aTHX_ string, &path->len, func, arg); /* undef: "", with perl's warning */
  if (memchr(p, 0, path->len)) {
    path->error = ENOENT; /* no such name can exist */
    path->len = 0;
  }
  return p;
}

static bool is_wd(pTHX_ SV *sv, struct aio_path *path)
{
  bool valid;

  if (!aio_is_wd(aTHX_ sv, &path->wd, &valid))
    return FALSE;
  if (!valid)
    path->error = ENOENT;
  return TRUE;
}

/* [working directory or undef, string] */
static const char *wd_and_name(pTHX_ SV *const two[2], struct aio_path *path, const char *func, const char *arg)
{
  SV *first = two[0] ? aio_arg_value(aTHX_ two[0]) : &PL_sv_undef, *second = two[1];

  if (!SvOK(first))
    path->error = ENOENT;
  else if (!is_wd(aTHX_ first, path))
    aio_croak(aTHX_ func, "%s: expected a working directory object or undef in front of the path", arg);
  else
    aio_keep(aTHX_ SvRV(first));
  return second ? name_of(aTHX_ aio_arg_value(aTHX_ second), path, func, arg) : "";
}

const char *aio_arg_path(pTHX_ SV *sv, struct aio_path *path, const char *func, const char *arg)
{
  SV *two[2];

  path->wd = NULL;
  path->error = 0;
  path->len = 0;
  sv = aio_arg_value(aTHX_ sv);
  if (LIKELY(!SvROK(sv)))
    return name_of(aTHX_ sv, path, func, arg);
  if (is_wd(aTHX_ sv, path)) {
    path->len = 1;
    return ".";
  }
  if (aio_arg_pair(aTHX_ sv, two))
    return wd_and_name(aTHX_ two, path, func, arg);
  return name_of(aTHX_ sv, path, func, arg);
}

/* Callbacks ------------------------------------------------------------ */

static CV *cv_of(pTHX_ SV *sv)
{
  if (SvROK(sv)) {
    sv = SvRV(SvAMAGIC(sv) ? amagic_deref_call(sv, to_cv_amg) : sv);
    if (SvTYPE(sv) == SVt_PVCV)
      return (CV *)sv;
    return isGV_with_GP(sv) ? GvCVu((GV *)sv) : NULL;
  }
  if (isGV_with_GP(sv))
    return GvCVu((GV *)sv);
  return SvPOK(sv) ? get_cvn_flags(SvPVX_const(sv), SvCUR(sv), SvUTF8(sv)) : NULL;
}

CV *aio_arg_callback(pTHX_ SV *sv, const char *func)
{
  CV *cv;

  if (LIKELY(SvROK(sv) && !SvGMAGICAL(sv) && SvTYPE(SvRV(sv)) == SVt_PVCV && !SvOBJECT(SvRV(sv))))
    return (CV *)SvRV(sv);
  sv = aio_arg_value(aTHX_ sv);
  if (!SvOK(sv) && !isGV_with_GP(sv))
    return NULL;
  cv = cv_of(aTHX_ sv);
  if (!cv)
    aio_croak(aTHX_ func, "callback must be a CODE reference or another callable object, or undef");
  return cv;
}
