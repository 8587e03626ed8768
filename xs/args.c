/* args.c - arguments of Perl functions as C values. */
#include "aio.h"

#include <dirent.h>

/* Croaks --------------------------------------------------------------- */

/* Looks outwards through the subs of IO::AIO itself (composite requests) for
 * the one that the program has called, so that it hears of its own line. */
static const char *outer_function(pTHX_ const char *func)
{
  HV *own = gv_stashpvs("IO::AIO", 0);

  for (I32 i = cxstack_ix; i >= 0 && CopSTASH(PL_curcop) == own; i--) {
    const PERL_CONTEXT *cx = &cxstack[i];

    if (CxTYPE(cx) != CXt_SUB)
      continue;
    if (CvGV(cx->blk_sub.cv))
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

/* Handles -------------------------------------------------------------- */

IO *aio_arg_io(pTHX_ SV *sv)
{
  if (SvROK(sv)) {
    if (SvAMAGIC(sv)) {
      SV *glob = amagic_deref_call(sv, to_gv_amg);

      if (glob != sv)
        return aio_arg_io(aTHX_ glob);
    }
    sv = SvRV(sv);
  }
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

int aio_arg_fd(pTHX_ SV *sv, int mode, const char *func, const char *arg)
{
  IO *io;
  int fd = -1;

  SvGETMAGIC(sv);
  if ((io = aio_arg_io(aTHX_ sv)))
    fd = aio_io_fd(aTHX_ io, mode);
  else if (!SvROK(sv) && SvOK(sv) && looks_like_number(sv)) {
    NV n = SvNV_nomg(sv);

    if (n >= 0 && n <= INT_MAX)
      fd = (int)n;
  }
  if (fd < 0)
    aio_croak(aTHX_ func, "illegal fh argument: %s must be a descriptor number or an open file"
              " handle (no descriptor, closed, or mode mismatch)", arg);
  return fd;
}

/* Strings -------------------------------------------------------------- */

const char *aio_arg_octets(pTHX_ SV *sv, STRLEN *len, const char *func, const char *arg)
{
  const char *p = SvPV_nomg_const(sv, *len);

  if (SvUTF8(sv)) {
    SV *copy = sv_2mortal(newSVpvn_flags(p, *len, SVf_UTF8));

    if (!sv_utf8_downgrade(copy, TRUE))
      aio_croak(aTHX_ func, "\"%s\" argument must be byte/octet-encoded: it contains a wide character", arg);
    p = SvPV_const(copy, *len);
  }
  return p;
}

const char *aio_arg_name(pTHX_ SV *sv, STRLEN *len, const char *func, const char *arg)
{
  if (SvROK(sv)) {
    /* SvAMAGIC alone is true for some classes that overload nothing, or not this */
    sv = SvAMAGIC(sv) ? amagic_call(sv, &PL_sv_undef, string_amg, AMGf_noright | AMGf_unary) : NULL;
    if (!sv)
      return NULL;
    SvGETMAGIC(sv);
  }
  return aio_arg_octets(aTHX_ sv, len, func, arg);
}

void aio_arg_range(pTHX_ SV *offset, SV *length, STRLEN size, STRLEN *start, STRLEN *count,
                   const char *func, const char *outside)
{
  int64_t offs = 0, n;

  if (offset && SvOK(offset))
    offs = aio_arg_int64(aTHX_ offset);
  if (offs < 0)
    offs += (int64_t)size;
  if (offs < 0 || offs > (int64_t)size)
    aio_croak(aTHX_ func, "%s", outside);
  n = length && SvOK(length) ? aio_arg_int64(aTHX_ length) : (int64_t)size;
  if (n < 0 || n > (int64_t)size - offs)
    n = (int64_t)size - offs;
  *start = (STRLEN)offs;
  *count = (STRLEN)n;
}

/* Others --------------------------------------------------------------- */

/* Where an IV has 32 bits, larger numbers are an NV, or a UV. */
int64_t aio_arg_int64(pTHX_ SV *sv)
{
  NV n;

  if (sizeof(IV) >= sizeof(int64_t) || (SvIOK_notUV(sv) && !SvGMAGICAL(sv)))
    return SvIV(sv);
  n = SvNV(sv);
  if (n >= 0x1p63)
    return INT64_MAX;
  if (n < -0x1p63)
    return INT64_MIN;
  return n == n ? (int64_t)n : 0;
}

SV *aio_keep(pTHX_ SV *sv)
{
  sv_2mortal(newRV_inc(sv));
  return sv;
}

SV *aio_arg_number(pTHX_ SV *sv)
{
  if (!SvGMAGICAL(sv) && (SvIOK(sv) || !SvOK(sv)))
    return sv;
  sv = sv_mortalcopy(sv);
  if (SvOK(sv)) {
    int64_t n = aio_arg_int64(aTHX_ sv);

    if ((IV)n == n)
      sv_setiv(sv, (IV)n);
    else
      sv_setnv(sv, (NV)n);
  }
  return sv;
}

int aio_as_int(int64_t n)
{
  return n < INT_MIN || n > (int64_t)UINT_MAX ? -1 : (int)(unsigned)n;
}

static CV *cv_of(pTHX_ SV *sv)
{
  if (SvROK(sv) && SvAMAGIC(sv))
    sv = amagic_deref_call(sv, to_cv_amg);
  if (SvROK(sv))
    return SvTYPE(SvRV(sv)) == SVt_PVCV ? (CV *)SvRV(sv)
      : isGV_with_GP(SvRV(sv)) ? GvCVu((GV *)SvRV(sv)) : NULL;
  if (isGV_with_GP(sv))
    return GvCVu((GV *)sv);
  return SvPOK(sv) ? get_cvn_flags(SvPVX_const(sv), SvCUR(sv), SvUTF8(sv)) : NULL;
}

CV *aio_arg_callback(pTHX_ SV *sv, const char *func)
{
  CV *cv;

  SvGETMAGIC(sv);
  if (LIKELY(SvROK(sv) && SvTYPE(SvRV(sv)) == SVt_PVCV))
    return (CV *)SvRV(sv);
  if (!SvOK(sv) && !isGV_with_GP(sv))
    return NULL;
  cv = cv_of(aTHX_ sv);
  if (!cv)
    aio_croak(aTHX_ func, "callback must be a CODE reference or another callable object, or undef");
  return cv;
}
