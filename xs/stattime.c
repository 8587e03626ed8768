/* stattime.c - the times in perl's stat cache to the nanosecond, statx, and
 * keeping perl's stat cache for later. */
#include "aio.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Perl's stat cache -------------------------------------------------------- */

enum { A_TIME, M_TIME, C_TIME, B_TIME, N_TIMES };

/* Birth times and generations are not in any struct stat that we know. */
static struct timespec stat_time(pTHX_ int which)
{
  const Stat_t *st = &PL_statcache;
  struct timespec none = { 0, 0 };

  switch (which) {
#if EIO_HAVE_ST_TIM
  case A_TIME: return st->st_atim;
  case M_TIME: return st->st_mtim;
  case C_TIME: return st->st_ctim;
#else
  case A_TIME: none.tv_sec = st->st_atime; break;
  case M_TIME: none.tv_sec = st->st_mtime; break;
  case C_TIME: none.tv_sec = st->st_ctime; break;
#endif
  }
  return none;
}

static SV *new_seconds(pTHX_ struct timespec t)
{
  return newSVnv((NV)t.tv_sec + 1e-9 * (NV)t.tv_nsec);
}

XS_INTERNAL(xs_st_time)
{
  dXSARGS_AIO(0, 0, "");
  dXSI32;

  EXTEND(SP, 1);
  ST(0) = sv_2mortal(new_seconds(aTHX_ stat_time(aTHX_ ix)));
  XSRETURN(1);
}

XS_INTERNAL(xs_st_nsec)
{
  dXSARGS_AIO(0, 0, "");
  dXSI32;

  EXTEND(SP, 1);
  XSRETURN_IV((IV)stat_time(aTHX_ ix).tv_nsec);
}

/* What is 0 on all systems: st_btimesec, st_gen. */
XS_INTERNAL(xs_st_none)
{
  dXSARGS_AIO(0, 0, "");

  EXTEND(SP, 1);
  XSRETURN_IV(0);
}

/* ix: nanoseconds. */
XS_INTERNAL(xs_st_xtime)
{
  dXSARGS_AIO(0, 0, "");
  dXSI32;

  EXTEND(SP, N_TIMES);
  for (int i = 0; i < N_TIMES; i++) {
    struct timespec t = stat_time(aTHX_ i);

    ST(i) = sv_2mortal(ix ? newSViv((IV)t.tv_nsec) : new_seconds(aTHX_ t));
  }
  XSRETURN(N_TIMES);
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
  dXSARGS_AIO(0, 0, "");
  struct saved saved;
  SV *string;

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
  dXSARGS_AIO(1, 1, "string");
  struct saved saved;
  STRLEN len;
  const char *p = aio_arg_octets(aTHX_ aio_arg_value(aTHX_ ST(0)), &len, "_stat_restore", "string");

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

#define STX_NUMBERS \
  X(mask) X(blksize) X(attributes) X(attributes_mask) X(nlink) X(uid) X(gid) X(mode) X(ino) \
  X(size) X(blocks) X(rdev_major) X(rdev_minor) X(dev_major) X(dev_minor)
#define STX_TIMES X(atime) X(btime) X(ctime) X(mtime)

enum {
#define X(name) STX_##name,
  STX_NUMBERS STX_COUNT
#undef X
};
enum {
#define X(name) STX_##name,
  STX_TIMES STX_TIMES_COUNT
#undef X
};

/* The results of the last call that succeeded in this thread. */
static _Thread_local struct {
  uint64_t numbers[STX_COUNT];
  struct { int64_t sec; uint32_t nsec; } times[STX_TIMES_COUNT];
} stx;

#if EIO_HAVE_STATX

/* A descriptor for a working directory, or -1. */
static int open_wd(eio_wd *wd)
{
  eio_req req;
  char here[] = ".";

  eio_req_init(&req, EIO_OPEN);
  req.wd = wd;
  req.path = here;
  req.arg1 = O_PATH | O_DIRECTORY | O_CLOEXEC;
  eio_execute(&req);
  req.flags &= (uint16_t)~EIO_OWNS_FD;
  errno = req.errorno;
  return (int)req.result;
}

static void keep(const struct statx *result)
{
#define X(name) stx.numbers[STX_##name] = result->stx_##name;
  STX_NUMBERS
#undef X
#define X(name) \
  stx.times[STX_##name].sec = result->stx_##name.tv_sec; \
  stx.times[STX_##name].nsec = result->stx_##name.tv_nsec;
  STX_TIMES
#undef X
}

/* The kernel refuses the highest bit of a mask, which is no field. */
static int get_statx(eio_wd *wd, const char *path, int flags, unsigned mask)
{
  struct statx result;
  int fd = wd ? open_wd(wd) : AT_FDCWD, status;

  if (wd && fd < 0)
    return -1;
  status = statx(fd, path, flags, mask & 0x7fffffffu, &result);
  if (wd) {
    int error = errno;

    close(fd);
    errno = error;
  }
  if (status == 0)
    keep(&result);
  return status;
}

#else

static int get_statx(eio_wd *wd, const char *path, int flags, unsigned mask)
{
  (void)wd, (void)path, (void)flags, (void)mask;
  errno = ENOSYS;
  return -1;
}

#endif

XS_INTERNAL(xs_statx)
{
  dXSARGS_AIO(3, 3, "pathname, flags, mask");
  SV *flags = aio_arg_value(aTHX_ ST(1)), *mask = aio_arg_value(aTHX_ ST(2));
  int flag_bits = 0, mask_bits = 0, result = -1;
  struct aio_path path;
  const char *p;

  if (SvOK(flags))
    aio_arg_int(aTHX_ flags, &flag_bits, "statx", "flags"); /* -1 is refused */
  if (SvOK(mask) && !aio_arg_int(aTHX_ mask, &mask_bits, "statx", "mask"))
    flag_bits = -1;
  p = aio_arg_path(aTHX_ ST(0), &path, "statx", "pathname");
  errno = path.error;
  if (!path.error)
    result = get_statx(path.wd, SvPVX(newSVpvn_flags(p, path.len, SVs_TEMP)), flag_bits, (unsigned)mask_bits);
  XSRETURN_IV(result);
}

XS_INTERNAL(xs_stx_number)
{
  dXSARGS_AIO(0, 0, "");
  dXSI32;
  uint64_t n = stx.numbers[ix];

  EXTEND(SP, 1);
  ST(0) = sv_2mortal(sizeof(UV) >= 8 || n <= UV_MAX ? newSVuv((UV)n) : newSVnv((NV)n));
  XSRETURN(1);
}

XS_INTERNAL(xs_stx_time)
{
  dXSARGS_AIO(0, 0, "");
  dXSI32;

  EXTEND(SP, 1);
  XSRETURN_NV((NV)stx.times[ix].sec + 1e-9 * stx.times[ix].nsec);
}

XS_INTERNAL(xs_stx_sec)
{
  dXSARGS_AIO(0, 0, "");
  dXSI32;
  int64_t sec = stx.times[ix].sec;

  EXTEND(SP, 1);
  ST(0) = sv_2mortal(sec == (IV)sec ? newSViv((IV)sec) : newSVnv((NV)sec));
  XSRETURN(1);
}

XS_INTERNAL(xs_stx_nsec)
{
  dXSARGS_AIO(0, 0, "");
  dXSI32;

  EXTEND(SP, 1);
  XSRETURN_IV((IV)stx.times[ix].nsec);
}

void aio_boot_stattime(pTHX)
{
  static const struct aio_xsub xsubs[] = {
    { "st_atime", xs_st_time, "", A_TIME },
    { "st_mtime", xs_st_time, "", M_TIME },
    { "st_ctime", xs_st_time, "", C_TIME },
    { "st_btime", xs_st_time, "", B_TIME },
    { "st_xtime", xs_st_xtime, "", 0 },
    { "st_atimensec", xs_st_nsec, "", A_TIME },
    { "st_mtimensec", xs_st_nsec, "", M_TIME },
    { "st_ctimensec", xs_st_nsec, "", C_TIME },
    { "st_btimensec", xs_st_nsec, "", B_TIME },
    { "st_xtimensec", xs_st_xtime, "", 1 },
    { "st_btimesec", xs_st_none, "", 0 },
    { "st_gen", xs_st_none, "", 0 },
    { "_stat_save", xs_stat_save, "", 0 },
    { "_stat_restore", xs_stat_restore, "$", 0 },
    { "statx", xs_statx, "$$$", 0 },
#define X(name) { "stx_" #name, xs_stx_number, "", STX_##name },
    STX_NUMBERS
#undef X
#define X(name) \
    { "stx_" #name, xs_stx_time, "", STX_##name }, \
    { "stx_" #name "sec", xs_stx_sec, "", STX_##name }, \
    { "stx_" #name "nsec", xs_stx_nsec, "", STX_##name },
    STX_TIMES
#undef X
  };

  aio_install(aTHX_ xsubs, C_ARRAY_LENGTH(xsubs));
}
