/* sys.c - system calls that perl lacks, called right here: transfers between
 * descriptors, programs, file systems, limits, device numbers. */
#include "sys.h"

int aio_absent(int unused, ...)
{
  PERL_UNUSED_VAR(unused);
  errno = ENOSYS;
  return -1;
}

/* Arguments and results ------------------------------------------------ */

int aio_sys_int(pTHX_ SV *sv)
{
  return aio_as_int(aio_arg_int64(aTHX_ sv));
}

int aio_sys_option(pTHX_ SV *sv)
{
  return SvOK(sv) ? aio_sys_int(aTHX_ sv) : 0;
}

SV *aio_sys_read(pTHX_ SV *sv)
{
  return SvGMAGICAL(sv) ? sv_mortalcopy(sv) : sv;
}

static SV *copy_octets(pTHX_ SV *sv, const char *func, const char *arg)
{
  STRLEN len;
  const char *p;

  SvGETMAGIC(sv);
  if (!SvOK(sv) && !isGV_with_GP(sv))
    return newSVpvs_flags("", SVs_TEMP);
  p = aio_arg_octets(aTHX_ sv, &len, func, arg);
  return newSVpvn_flags(p, len, SVs_TEMP);
}

const char *aio_sys_string(pTHX_ SV *sv, int error, const char *func, const char *arg)
{
  SV *copy = copy_octets(aTHX_ sv, func, arg);

  if (strlen(SvPVX(copy)) == SvCUR(copy))
    return SvPVX(copy);
  errno = error;
  return NULL;
}

SV *aio_sys_result(pTHX_ int64_t n)
{
  return sv_2mortal(sizeof(IV) >= 8 || (n >= IV_MIN && n <= IV_MAX) ? newSViv((IV)n) : newSVnv((NV)n));
}

static UV uv_result(uint64_t n)
{
  return n > UV_MAX ? UV_MAX : (UV)n;
}

/* Programs ------------------------------------------------------------- */

/* More strings than any system can pass on. */
#define MAX_STRINGS (1 << 24)

/* The strings of an array, NULL at their end; all of it is temporary. NULL
 * with errno when they cannot be passed on. */
static char **string_list(pTHX_ SV *sv, const char *func, const char *arg)
{
  AV *av;
  SSize_t n;
  char **list;

  if (SvROK(sv) && SvAMAGIC(sv))
    sv = amagic_deref_call(sv, to_av_amg);
  if (!SvROK(sv) || SvTYPE(SvRV(sv)) != SVt_PVAV)
    aio_croak(aTHX_ func, "%s must be a reference to an array", arg);
  av = (AV *)aio_keep(aTHX_ SvRV(sv)); /* FETCH and the like may drop it */
  n = av_len(av) + 1;
  if (n < 0 || n > MAX_STRINGS) { /* tied arrays have any length */
    errno = E2BIG;
    return NULL;
  }
  list = (char **)(void *)SvPVX(sv_2mortal(newSV(((size_t)n + 1) * sizeof *list)));
  for (SSize_t i = 0; i < n; i++) {
    SV **element = av_fetch(av, i, 0);
    const char *p = "";

    if (element)
      p = aio_sys_string(aTHX_ aio_keep(aTHX_ *element), EINVAL, func, arg);
    if (!p)
      return NULL;
    list[i] = (char *)p;
  }
  list[n] = NULL;
  return list;
}

/* Returns only on failure. Buffered output is written first, as perl's own
 * exec does. */
XS_INTERNAL(xs_fexecve)
{
  dXSARGS;
  char **argv, **envp;
  SV *env;
  int fd, result = -1;

  if (items < 2 || items > 3)
    croak_xs_usage(cv, "fh, argv, envp = undef");
  fd = aio_arg_fd(aTHX_ ST(0), AIO_READ, "fexecve", "fh");
  argv = string_list(aTHX_ AIO_SYS_ARG(1), "fexecve", "argv");
  env = AIO_SYS_ARG(2);
  envp = SvOK(env) ? string_list(aTHX_ env, "fexecve", "envp") : environ;
  if (argv && envp) {
    PERL_FLUSHALL_FOR_CHILD;
    result = fexecve(fd, argv, envp);
  }
  ST(0) = aio_sys_result(aTHX_ result);
  XSRETURN(1);
}

/* File systems --------------------------------------------------------- */

XS_INTERNAL(xs_mount)
{
  dXSARGS;
  const char *special, *path, *fstype, *data = NULL;
  SV *flags, *text;
  int result = -1;

  if (items < 3 || items > 5)
    croak_xs_usage(cv, "special, path, fstype, flags = 0, data = undef");
  special = aio_sys_string(aTHX_ ST(0), EINVAL, "mount", "special");
  fstype = aio_sys_string(aTHX_ ST(2), EINVAL, "mount", "fstype");
  path = aio_sys_string(aTHX_ ST(1), ENOENT, "mount", "path");
  flags = AIO_SYS_ARG(3);
  text = AIO_SYS_ARG(4);
  if (SvOK(text))
    data = SvPVX(copy_octets(aTHX_ text, "mount", "data")); /* may be binary */
  if (special && path && fstype)
    result = mount(special, path, fstype, SvOK(flags) ? (unsigned long)aio_arg_int64(aTHX_ flags) : 0, data);
  ST(0) = aio_sys_result(aTHX_ result);
  XSRETURN(1);
}

XS_INTERNAL(xs_umount)
{
  dXSARGS;
  const char *path;
  int flags, result = -1;

  if (items < 1 || items > 2)
    croak_xs_usage(cv, "path, flags = 0");
  path = aio_sys_string(aTHX_ ST(0), ENOENT, "umount", "path");
  flags = aio_sys_option(aTHX_ AIO_SYS_ARG(1));
  if (path)
    result = flags ? umount2(path, flags) : umount(path);
  ST(0) = aio_sys_result(aTHX_ result);
  XSRETURN(1);
}

/* Limits --------------------------------------------------------------- */

XS_INTERNAL(xs_get_fdlimit)
{
  dXSARGS;
  struct rlimit limit;

  if (items != 0)
    croak_xs_usage(cv, "");
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
    XSRETURN_UNDEF;
  XSRETURN_UV(uv_result(limit.rlim_cur));
}

static int set_limit(rlim_t soft, rlim_t hard)
{
  struct rlimit limit;

  limit.rlim_cur = soft;
  limit.rlim_max = hard;
  return setrlimit(RLIMIT_NOFILE, &limit);
}

/* Raises the limit to at least `want`, or as far as possible: then -1, with
 * the errno of the first refusal. */
static int raise_limit(rlim_t want)
{
  struct rlimit limit;
  rlim_t low, high = want;
  int error;

  if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
    return -1;
  if (limit.rlim_cur >= want)
    return 0;
  if (set_limit(want, limit.rlim_max > want ? limit.rlim_max : want) == 0)
    return 0;
  error = errno;
  set_limit(limit.rlim_max < want ? limit.rlim_max : limit.rlim_cur, limit.rlim_max);
  /* the privileged have a limit to their limit that only trying tells */
  for (low = limit.rlim_max; low < high && high - low > 1; ) {
    rlim_t middle = low + (high - low) / 2;

    if (set_limit(middle, middle) == 0)
      low = middle;
    else
      high = middle;
  }
  errno = error;
  return -1;
}

XS_INTERNAL(xs_min_fdlimit)
{
  dXSARGS;
  int64_t want = -1;

  if (items > 1)
    croak_xs_usage(cv, "numfd = a very large number");
  if (items)
    want = aio_arg_int64(aTHX_ ST(0));
  if (raise_limit(want < 0 || want > INT_MAX ? INT_MAX : (rlim_t)want) < 0)
    XSRETURN_UNDEF;
  XSRETURN_YES;
}

/* Transfers ------------------------------------------------------------ */

XS_INTERNAL(xs_sendfile)
{
  dXSARGS;
  eio_req req;
  int64_t count;

  if (items != 4)
    croak_xs_usage(cv, "out_fh, in_fh, offset, count");
  eio_req_init(&req, EIO_SENDFILE);
  req.fd = aio_arg_fd(aTHX_ ST(0), AIO_WRITE, "sendfile", "out_fh");
  req.arg1 = aio_arg_fd(aTHX_ ST(1), AIO_READ, "sendfile", "in_fh");
  req.offs = aio_arg_int64(aTHX_ ST(2));
  count = aio_arg_int64(aTHX_ ST(3));
  if (count < 0)
    req.errorno = EINVAL;
  else {
    req.size = (uint64_t)count;
    eio_execute(&req);
  }
  if (req.result < 0)
    errno = req.errorno;
  ST(0) = aio_sys_result(aTHX_ req.result);
  XSRETURN(1);
}

/* Returns the error itself, as the system call does. */
XS_INTERNAL(xs_fadvise)
{
  dXSARGS;
  int fd, advice;
  int64_t offset, length;

  if (items != 4)
    croak_xs_usage(cv, "fh, offset, length, advice");
  fd = aio_arg_fd(aTHX_ ST(0), AIO_READ, "fadvise", "fh");
  offset = aio_arg_int64(aTHX_ ST(1));
  length = aio_arg_int64(aTHX_ ST(2));
  advice = aio_sys_int(aTHX_ ST(3));
  ST(0) = aio_sys_result(aTHX_ length < 0 ? EINVAL
                         : (off_t)offset != offset || (off_t)length != length ? EFBIG
                         : posix_fadvise(fd, (off_t)offset, (off_t)length, advice));
  XSRETURN(1);
}

/* An offset that may be undef: then NULL is passed on. */
static int64_t *offset_or_null(pTHX_ SV *sv, int64_t *offset)
{
  if (!SvOK(sv))
    return NULL;
  *offset = aio_arg_int64(aTHX_ sv);
  return offset;
}

/* The kernel takes a negative length between pipes for a huge one. A huge one
 * is as much as there is: it may be cut to what a size_t holds. */
static int usable_length(int64_t length, size_t *usable)
{
  *usable = length < SSIZE_MAX ? (size_t)length : SSIZE_MAX;
  if (length >= 0)
    return 0;
  errno = EINVAL;
  return -1;
}

XS_INTERNAL(xs_splice)
{
  dXSARGS;
  int in, out, flags;
  int64_t in_offset, out_offset, *in_at, *out_at, result;
  size_t length;

  if (items != 6)
    croak_xs_usage(cv, "r_fh, r_off, w_fh, w_off, length, flags");
  in = aio_arg_fd(aTHX_ ST(0), AIO_READ, "splice", "r_fh");
  in_at = offset_or_null(aTHX_ AIO_SYS_ARG(1), &in_offset);
  out = aio_arg_fd(aTHX_ ST(2), AIO_WRITE, "splice", "w_fh");
  out_at = offset_or_null(aTHX_ AIO_SYS_ARG(3), &out_offset);
  flags = aio_sys_int(aTHX_ ST(5));
  result = usable_length(aio_arg_int64(aTHX_ ST(4)), &length);
  if (result == 0)
    result = splice(in, in_at, out, out_at, length, (unsigned)flags);
  ST(0) = aio_sys_result(aTHX_ result);
  XSRETURN(1);
}

XS_INTERNAL(xs_tee)
{
  dXSARGS;
  int in, out, flags;
  int64_t result;
  size_t length;

  if (items != 4)
    croak_xs_usage(cv, "r_fh, w_fh, length, flags");
  in = aio_arg_fd(aTHX_ ST(0), AIO_READ, "tee", "r_fh");
  out = aio_arg_fd(aTHX_ ST(1), AIO_WRITE, "tee", "w_fh");
  flags = aio_sys_int(aTHX_ ST(3));
  result = usable_length(aio_arg_int64(aTHX_ ST(2)), &length);
  if (result == 0)
    result = tee(in, out, length, (unsigned)flags);
  ST(0) = aio_sys_result(aTHX_ result);
  XSRETURN(1);
}

/* Device numbers ------------------------------------------------------- */

enum { MAJOR, MINOR };

XS_INTERNAL(xs_major_minor)
{
  dXSARGS;
  dev_t device;

  if (items != 1)
    croak_xs_usage(cv, "device");
  device = (dev_t)SvUV(ST(0));
  XSRETURN_UV(XSANY.any_i32 == MAJOR ? major(device) : minor(device));
}

XS_INTERNAL(xs_makedev)
{
  dXSARGS;
  UV high, low;

  if (items != 2)
    croak_xs_usage(cv, "major, minor");
  high = SvUV(ST(0));
  low = SvUV(ST(1));
  XSRETURN_UV(uv_result(makedev((unsigned)high, (unsigned)low)));
}

/* ---------------------------------------------------------------------- */

void aio_boot_sys(pTHX)
{
  static const struct aio_xsub xsubs[] = {
    { "fexecve", xs_fexecve, "$$;$", 0 },
    { "mount", xs_mount, "$$$;$$", 0 },
    { "umount", xs_umount, "$;$", 0 },
    { "get_fdlimit", xs_get_fdlimit, "", 0 },
    { "min_fdlimit", xs_min_fdlimit, ";$", 0 },
    { "sendfile", xs_sendfile, "$$$$", 0 },
    { "fadvise", xs_fadvise, "$$$$", 0 },
    { "splice", xs_splice, "$$$$$$", 0 },
    { "tee", xs_tee, "$$$$", 0 },
    { "major", xs_major_minor, "$", MAJOR },
    { "minor", xs_major_minor, "$", MINOR },
    { "makedev", xs_makedev, "$$", 0 },
  };

  aio_install(aTHX_ xsubs, C_ARRAY_LENGTH(xsubs));
  aio_boot_sys_fd(aTHX);
}
