/* stattime.c - the times in perl's stat cache to the nanosecond, statx, and
 * keeping perl's stat cache for later. */
#include "aio.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Perl's stat cache -------------------------------------------------------- */

enum { ATIME, MTIME, CTIME, BTIME, TIMES };

/* Birth times and generations are not in any struct stat that we know. */
static struct timespec stat_time(pTHX_ int which)
{
  const Stat_t *st = &PL_statcache;
  struct timespec none = { 0, 0 };

  switch (which) {
#if EIO_HAVE_ST_TIM
  case ATIME: return st->st_atim;
  case MTIME: return st->st_mtim;
  case CTIME: return st->st_ctim;
#else
  case ATIME: none.tv_sec = st->st_atime; break;
  case MTIME: none.tv_sec = st->st_mtime; break;
  case CTIME: none.tv_sec = st->st_ctime; break;
#endif
  }
  return none;
}

static SV *new_seconds(pTHX_ struct timespec t)
{
  return newSVnv((NV)t.tv_sec + 1e-9 * (NV)t.tv_nsec);
}

static void no_arguments(pTHX_ CV *cv, I32 items)
{
  if (items)
    croak_xs_usage(cv, "");
}

XS_INTERNAL(xs_st_time)
{
  dXSARGS;
  dXSI32;

  no_arguments(aTHX_ cv, items);
  EXTEND(SP, 1);
  ST(0) = sv_2mortal(new_seconds(aTHX_ stat_time(aTHX_ ix)));
  XSRETURN(1);
}

XS_INTERNAL(xs_st_nsec)
{
  dXSARGS;
  dXSI32;

  no_arguments(aTHX_ cv, items);
  EXTEND(SP, 1);
  XSRETURN_IV((IV)stat_time(aTHX_ ix).tv_nsec);
}

/* What is 0 on all systems: st_btimesec, st_gen. */
XS_INTERNAL(xs_st_none)
{
  dXSARGS;

  no_arguments(aTHX_ cv, items);
  EXTEND(SP, 1);
  XSRETURN_IV(0);
}

/* ix: nanoseconds. */
XS_INTERNAL(xs_st_xtime)
{
  dXSARGS;
  dXSI32;

  no_arguments(aTHX_ cv, items);
  EXTEND(SP, TIMES);
  for (int i = 0; i < TIMES; i++) {
    struct timespec t = stat_time(aTHX_ i);

    ST(i) = sv_2mortal(ix ? newSViv((IV)t.tv_nsec) : new_seconds(aTHX_ t));
  }
  XSRETURN(TIMES);
}

/* Keeping it --------------------------------------------------------------- */

/* The name, for -T and -B, which look at the file again, follows the struct.
 * The handle, if it was one, is not kept. */
struct saved {
  int result, type;
  Stat_t stat;
};

XS_INTERNAL(xs_stat_save)
{
  dXSARGS;
  struct saved saved;
  SV *string;

  no_arguments(aTHX_ cv, items);
  Zero(&saved, 1, struct saved);
  saved.result = PL_laststatval;
  saved.type = PL_laststype;
  saved.stat = PL_statcache;
  string = newSVpvn((char *)&saved, sizeof saved);
  if (!PL_statgv && PL_statname && SvPOK(PL_statname))
    sv_catpvn(string, SvPVX(PL_statname), SvCUR(PL_statname));
  EXTEND(SP, 1);
  ST(0) = sv_2mortal(string);
  XSRETURN(1);
}

XS_INTERNAL(xs_stat_restore)
{
  dXSARGS;
  struct saved saved;
  STRLEN len;
  const char *p;

  if (items != 1)
    croak_xs_usage(cv, "string");
  SvGETMAGIC(ST(0));
  p = aio_arg_octets(aTHX_ ST(0), &len, "_stat_restore", "string");
  if (len < sizeof saved)
    aio_croak(aTHX_ "_stat_restore", "string must be one that _stat_save has returned");
  Copy(p, &saved, 1, struct saved);
  PL_laststatval = saved.result;
  PL_laststype = saved.type;
  PL_statcache = saved.stat;
  PL_statgv = NULL;
  if (PL_statname)
    sv_setpvn(PL_statname, p + sizeof saved, len - sizeof saved);
  XSRETURN_EMPTY;
}

/* statx -------------------------------------------------------------------- */

#if EIO_HAVE_STATX

/* The result of the last call that succeeded in this thread. */
static _Thread_local struct statx stx;

/* A path: octets without NUL, or NULL. */
static const char *octets(pTHX_ SV *sv, const char *what)
{
  STRLEN len = 0;
  const char *p = "";

  if (SvROK(sv) && !SvAMAGIC(sv))
    aio_croak(aTHX_ "statx", "%s must be a string, a working directory, or [working directory, string]", what);
  if (SvOK(sv) || isGV_with_GP(sv))
    p = aio_arg_octets(aTHX_ sv, &len, "statx", what);
  return memchr(p, 0, len) ? NULL : savepvn(p, len);
}

XS_INTERNAL(xs_statx)
{
}
#endif
