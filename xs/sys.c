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

int aio_sys_int(pTHX_ SV *sv, const char *func, const char *arg)
{
  int i;

  aio_arg_int(aTHX_ sv, &i, func, arg);
  return i;
}

int aio_sys_option(pTHX_ SV *sv, const char *func, const char *arg)
{
  sv = aio_arg_value(aTHX_ sv);
  return SvOK(sv) ? aio_sys_int(aTHX_ sv, func, arg) : 0;
}

int64_t aio_sys_int64(pTHX_ SV *sv, bool *ok, const char *func, const char *arg)
{
  int64_t n;

  if (!aio_arg_int64(aTHX_ sv, &n, func, arg))
    *ok = FALSE;
  return n;
}

int aio_sys_refuse(void)
{
  errno = EINVAL;
  return -1;
}

static SV *copy_octets(pTHX_ SV *sv, const char *func, const char *arg)
{
  STRLEN len;
  const char *p;

  sv = aio_arg_value(aTHX_ sv);
  if (!SvOK(sv) && !isGV_with_GP(sv))
    return newSVpvs_flags("", SVs_TEMP);
  p = aio_arg_octets(aTHX_ sv, &len, func, arg);
  return newSVpvn_flags(p, len, SVs_TEMP);
}

const char *aio_sys_string(pTHX_ SV *sv, int nul, int *error, const char *func, const char *arg)
{
  SV *copy = copy_octets(aTHX_ sv, func, arg);

  if (strlen(SvPVX(copy)) == SvCUR(copy))
    return SvPVX(copy);
  if (!*error)
    *error = nul;
  return NULL;
}

static UV uv_result(uint64_t n)
{
  return n > UV_MAX ? UV_MAX : (UV)n;
}

/* Programs ------------------------------------------------------------- */

/* More strings than any system can pass on. */
#define MAX_STRINGS (1 << 24)

/* The strings of an array, NULL at their end; all of it is temporary. NULL
 * with *error set when they cannot be passed on. */
static char **string_list(pTHX_ SV *sv, int *error, const char *func, const char *arg)
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
    *error = E2BIG;
    return NULL;
  }
  list = (char **)(void *)SvPVX(sv_2mortal(newSV(((size_t)n + 1) * sizeof *list)));
  for (SSize_t i = 0; i < n; i++) {
    SV **element = av_fetch(av, i, 0);
    const char *p = "";

    if (element)
      p = aio_sys_string(aTHX_ aio_keep(aTHX_ *element), EINVAL, error, func, arg);
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
  dXSARGS_AIO(2, 3, "fh, argv, envp = undef");
  char **argv, **envp;
  SV *env;
  int fd, error = 0, result = -1;

  argv = string_list(aTHX_ aio_arg_value(aTHX_ ST(1)), &error, "fexecve", "argv");
  env = aio_arg_value(aTHX_ AIO_SYS_ARG(2));
  envp = SvOK(env) ? string_list(aTHX_ env, &error, "fexecve", "envp") : environ;
  fd = aio_arg_fd(aTHX_ ST(0), AIO_READ, "fexecve", "fh");
  if (error)
    errno = error;
  else {
    PERL_FLUSHALL_FOR_CHILD;
    result = fexecve(fd, argv, envp);
  }
  ST(0) = aio_new_int64(aTHX_ result);
  XSRETURN(1);
}

/* File systems --------------------------------------------------------- */

XS_INTERNAL(xs_mount)
{
  dXSARGS_AIO(3, 5, "special, path, fstype, flags = 0, data = undef");
  const char *special, *path, *fstype, *data = NULL;
  SV *value = aio_arg_value(aTHX_ AIO_SYS_ARG(3));
  uint64_t flags = 0;
  int error = 0, result = -1;

  if (SvOK(value) && (!aio_arg_bits(aTHX_ value, &flags, "mount", "flags") || (unsigned long)flags != flags))
    error = EINVAL;
  special = aio_sys_string(aTHX_ ST(0), EINVAL, &error, "mount", "special");
  path = aio_sys_string(aTHX_ ST(1), ENOENT, &error, "mount", "path");
  fstype = aio_sys_string(aTHX_ ST(2), EINVAL, &error, "mount", "fstype");
  value = aio_arg_value(aTHX_ AIO_SYS_ARG(4));
  if (SvOK(value))
    data = SvPVX(copy_octets(aTHX_ value, "mount", "data")); /* may be binary */
  if (error)
    errno = error;
  else
    result = mount(special, path, fstype, (unsigned long)flags, data);
  ST(0) = aio_new_int64(aTHX_ result);
  XSRETURN(1);
}

XS_INTERNAL(xs_umount)
{
  dXSARGS_AIO(1, 2, "path, flags = 0");
  int flags = aio_sys_option(aTHX_ AIO_SYS_ARG(1), "umount", "flags"), error = 0, result = -1;
  const char *path = aio_sys_string(aTHX_ ST(0), ENOENT, &error, "umount", "path");

  if (path)
    result = flags ? umount2(path, flags) : umount(path);
  else
    errno = error;
  ST(0) = aio_new_int64(aTHX_ result);
  XSRETURN(1);
}

/* Limits --------------------------------------------------------------- */

XS_INTERNAL(xs_get_fdlimit)
{
  dXSARGS_AIO(0, 0, "");
  struct rlimit limit;

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
  dXSARGS_AIO(0, 1, "numfd = a very large number");
  int64_t want = -1;

  if (items && !aio_arg_int64(aTHX_ ST(0), &want, "min_fdlimit", "numfd") && !want) {
    aio_sys_refuse();
    XSRETURN_UNDEF;
  }
  if (raise_limit(want < 0 || want > INT_MAX ? INT_MAX : (rlim_t)want) < 0)
    XSRETURN_UNDEF;
  XSRETURN_YES;
}

/* Transfers ------------------------------------------------------------ */

XS_INTERNAL(xs_sendfile)
{
  dXSARGS_AIO(4, 4, "out_fh, in_fh, offset, count");
  struct aio_handle out, in;
  bool ok = TRUE;
  int64_t count;
  eio_req req;

  eio_req_init(&req, EIO_SENDFILE);
  req.offs = aio_sys_int64(aTHX_ ST(2), &ok, "sendfile", "offset");
  count = aio_sys_int64(aTHX_ ST(3), &ok, "sendfile", "count");
  out = aio_arg_handle(aTHX_ ST(0), "sendfile", "out_fh");
  in = aio_arg_handle(aTHX_ ST(1), "sendfile", "in_fh");
  req.fd = aio_handle_fd(aTHX_ out, AIO_WRITE, "sendfile", "out_fh");
  req.arg1 = aio_handle_fd(aTHX_ in, AIO_READ, "sendfile", "in_fh");
  if (!ok || count < 0)
    req.errorno = EINVAL;
  else {
    req.size = (uint64_t)count;
    eio_execute(&req);
  }
  if (req.result < 0)
    errno = req.errorno;
  ST(0) = aio_new_int64(aTHX_ req.result);
  XSRETURN(1);
}

/* Returns the error itself, as the system call does. */
XS_INTERNAL(xs_fadvise)
{
  dXSARGS_AIO(4, 4, "fh, offset, length, advice");
  bool ok = TRUE;
  int64_t offset = aio_sys_int64(aTHX_ ST(1), &ok, "fadvise", "offset");
  int64_t length = aio_sys_int64(aTHX_ ST(2), &ok, "fadvise", "length");
  int advice = aio_sys_int(aTHX_ ST(3), "fadvise", "advice");
  int fd = aio_arg_fd(aTHX_ ST(0), AIO_READ, "fadvise", "fh");

  ST(0) = aio_new_int64(aTHX_ !ok || length < 0 ? EINVAL
                        : (off_t)offset != offset || (off_t)length != length ? EFBIG
                        : posix_fadvise(fd, (off_t)offset, (off_t)length, advice));
  XSRETURN(1);
}

/* An offset that may be undef: then NULL is passed on. */
static int64_t *offset_or_null(pTHX_ SV *sv, int64_t *offset, bool *ok, const char *arg)
{
  sv = aio_arg_value(aTHX_ sv);
  if (!SvOK(sv))
    return NULL;
  *offset = aio_sys_int64(aTHX_ sv, ok, "splice", arg);
  return offset;
}

/* The kernel takes a negative length between pipes for a huge one. What is more than
 * a size_t holds is as much as there is. */
static size_t length_of(int64_t length, bool *ok)
{
  *ok = *ok && length >= 0;
  return length < SSIZE_MAX ? (size_t)length : SSIZE_MAX;
}

XS_INTERNAL(xs_splice)
{
  dXSARGS_AIO(6, 6, "r_fh, r_off, w_fh, w_off, length, flags");
  bool ok = TRUE;
  int64_t in_offset, out_offset, result;
  int64_t *in_at = offset_or_null(aTHX_ ST(1), &in_offset, &ok, "r_off");
  int64_t *out_at = offset_or_null(aTHX_ ST(3), &out_offset, &ok, "w_off");
  size_t length = length_of(aio_sys_int64(aTHX_ ST(4), &ok, "splice", "length"), &ok);
  int flags = aio_sys_int(aTHX_ ST(5), "splice", "flags");
  struct aio_handle in = aio_arg_handle(aTHX_ ST(0), "splice", "r_fh");
  struct aio_handle out = aio_arg_handle(aTHX_ ST(2), "splice", "w_fh");
  int in_fd = aio_handle_fd(aTHX_ in, AIO_READ, "splice", "r_fh");
  int out_fd = aio_handle_fd(aTHX_ out, AIO_WRITE, "splice", "w_fh");

  result = ok ? splice(in_fd, in_at, out_fd, out_at, length, (unsigned)flags) : aio_sys_refuse();
  ST(0) = aio_new_int64(aTHX_ result);
  XSRETURN(1);
}

XS_INTERNAL(xs_tee)
{
  dXSARGS_AIO(4, 4, "r_fh, w_fh, length, flags");
  bool ok = TRUE;
  size_t length = length_of(aio_sys_int64(aTHX_ ST(2), &ok, "tee", "length"), &ok);
  int flags = aio_sys_int(aTHX_ ST(3), "tee", "flags");
  struct aio_handle in = aio_arg_handle(aTHX_ ST(0), "tee", "r_fh");
  struct aio_handle out = aio_arg_handle(aTHX_ ST(1), "tee", "w_fh");
  int in_fd = aio_handle_fd(aTHX_ in, AIO_READ, "tee", "r_fh");
  int out_fd = aio_handle_fd(aTHX_ out, AIO_WRITE, "tee", "w_fh");
  int64_t result = ok ? tee(in_fd, out_fd, length, (unsigned)flags) : aio_sys_refuse();

  ST(0) = aio_new_int64(aTHX_ result);
  XSRETURN(1);
}

/* Device numbers ------------------------------------------------------- */

/* These have no other way to refuse a number than to croak. */
static uint64_t device_arg(pTHX_ SV *sv, uint64_t max, const char *func, const char *arg)
{
  uint64_t bits;

  if (!aio_arg_bits(aTHX_ sv, &bits, func, arg) || bits > max)
    aio_croak(aTHX_ func, "%s is no device number", arg);
  return bits;
}

XS_INTERNAL(xs_major)
{
  dXSARGS_AIO(1, 1, "device");

  XSRETURN_UV(major((dev_t)device_arg(aTHX_ ST(0), UINT64_MAX, "major", "device")));
}

XS_INTERNAL(xs_minor)
{
  dXSARGS_AIO(1, 1, "device");

  XSRETURN_UV(minor((dev_t)device_arg(aTHX_ ST(0), UINT64_MAX, "minor", "device")));
}

XS_INTERNAL(xs_makedev)
{
  dXSARGS_AIO(2, 2, "major, minor");
  uint64_t high = device_arg(aTHX_ ST(0), UINT_MAX, "makedev", "major");
  uint64_t low = device_arg(aTHX_ ST(1), UINT_MAX, "makedev", "minor");

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
    { "major", xs_major, "$", 0 },
    { "minor", xs_minor, "$", 0 },
    { "makedev", xs_makedev, "$$", 0 },
  };

  aio_install(aTHX_ xsubs, C_ARRAY_LENGTH(xsubs));
  aio_boot_sys_fd(aTHX);
}
