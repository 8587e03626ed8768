/* sys_fd.c - system calls that make descriptors of other kinds than files, and
 * what can be done with those: sockets, pipes, events, timers, processes.
 *
 * A new descriptor is close-on-exec when the flags say so, and not otherwise;
 * those for processes always are. */
#include "sys.h"

/* A handle for a new descriptor, NULL on failure. Perl decides about
 * close-on-exec by itself when it gets to see a descriptor: that is undone. */
static SV *new_handle(pTHX_ int fd, int mode, bool text)
{
  int fd_flags = fcntl(fd, F_GETFD);
  SV *fh = aio_new_fh(aTHX_ fd, mode, text);

  if (fh)
    fcntl(fd, F_SETFD, fd_flags);
  return fh;
}

/* The same for what a system call returned; undef on failure. */
static SV *handle_or_undef(pTHX_ int fd, int mode, bool text)
{
  SV *fh = fd < 0 ? NULL : new_handle(aTHX_ fd, mode, text);

  return fh ? fh : &PL_sv_undef;
}

/* Sockets -------------------------------------------------------------- */

/* Whether the peer's name is to be stored: asked before a connection is taken
 * that would be lost otherwise. */
static bool wants_name(pTHX_ SV *sv, int64_t max)
{
  if (max <= 0 || (SvREADONLY(sv) && !SvOK(sv)))
    return FALSE;
  if (SvREADONLY(sv) || aio_is_mapped(aTHX_ sv))
    aio_croak(aTHX_ "accept4", "Modification of a read-only value attempted: sockaddr");
  return TRUE;
}

/* A name longer than `max` is cut, and is one octet longer than that to tell. */
XS_INTERNAL(xs_accept4)
{
  dXSARGS;
  union {
    struct sockaddr addr;
    struct sockaddr_storage storage;
    char octets[sizeof(struct sockaddr_storage) + 1];
  } name;
  socklen_t len = 0;
  int64_t max;
  int fd, flags;
  bool named;
  SV *fh;

  if (items != 4)
    croak_xs_usage(cv, "r_fh, sockaddr, sockaddr_maxlen, flags");
  fd = aio_arg_fd(aTHX_ ST(0), AIO_READ, "accept4", "r_fh");
  max = aio_arg_int64(aTHX_ ST(2));
  flags = aio_sys_int(aTHX_ ST(3));
  named = wants_name(aTHX_ ST(1), max);
  if (max > (int64_t)sizeof name.storage)
    max = sizeof name.storage;
  Zero(&name, 1, name);
  if (named)
    len = (socklen_t)max;
  fd = accept4(fd, named ? &name.addr : NULL, named ? &len : NULL, flags);
  fh = handle_or_undef(aTHX_ fd, O_RDWR, TRUE);
  if (fd >= 0 && named) {
    sv_setpvn(ST(1), name.octets, (int64_t)len > max ? (STRLEN)max + 1 : (STRLEN)len);
    SvUTF8_off(ST(1));
    SvSETMAGIC(ST(1));
  }
  ST(0) = fh;
  XSRETURN(1);
}

/* Pipes, events, memory ------------------------------------------------ */

XS_INTERNAL(xs_pipe2)
{
  dXSARGS;
  int fds[2], flags;
  SV *r, *w;

  if (items > 1)
    croak_xs_usage(cv, "flags = 0");
  flags = aio_sys_option(aTHX_ AIO_SYS_ARG(0));
  if ((flags ? pipe2(fds, flags) : pipe(fds)) < 0)
    XSRETURN_EMPTY;
  r = new_handle(aTHX_ fds[0], O_RDONLY, TRUE);
  w = new_handle(aTHX_ fds[1], O_WRONLY, TRUE);
  if (!r || !w)
    XSRETURN_EMPTY;
  EXTEND(SP, 2);
  ST(0) = r;
  ST(1) = w;
  XSRETURN(2);
}

XS_INTERNAL(xs_pipesize)
{
  dXSARGS;
  int fd, result = 0;
  int64_t size = -1;

  if (items < 1 || items > 2)
    croak_xs_usage(cv, "r_fh, new_size = -1");
  fd = aio_arg_fd(aTHX_ ST(0), AIO_READ, "pipesize", "r_fh");
  if (items > 1)
    size = aio_arg_int64(aTHX_ ST(1));
  if (size >= 0)
    result = set_pipe_size(fd, size > INT_MAX ? INT_MAX : (int)size);
  if (result >= 0)
    result = get_pipe_size(fd);
  ST(0) = aio_sys_result(aTHX_ result);
  XSRETURN(1);
}

XS_INTERNAL(xs_eventfd)
{
  dXSARGS;
  SV *initial;
  int64_t value;
  int flags;

  if (items > 2)
    croak_xs_usage(cv, "initval = 0, flags = 0");
  initial = AIO_SYS_ARG(0);
  value = SvOK(initial) ? aio_arg_int64(aTHX_ initial) : 0;
  flags = aio_sys_option(aTHX_ AIO_SYS_ARG(1));
  errno = EINVAL;
  ST(0) = handle_or_undef(aTHX_ value == (int)value || value == (unsigned)value
                          ? eventfd((unsigned)value, flags) : -1, O_RDWR, FALSE);
  XSRETURN(1);
}

XS_INTERNAL(xs_memfd_create)
{
  dXSARGS;
  const char *name;
  int flags;

  if (items < 1 || items > 2)
    croak_xs_usage(cv, "pathname, flags = 0");
  name = aio_sys_string(aTHX_ ST(0), EINVAL, "memfd_create", "pathname");
  flags = aio_sys_option(aTHX_ AIO_SYS_ARG(1));
  ST(0) = handle_or_undef(aTHX_ name ? memfd_create(name, (unsigned)flags) : -1, O_RDWR, TRUE);
  XSRETURN(1);
}

/* Timers --------------------------------------------------------------- */

XS_INTERNAL(xs_timerfd_create)
{
  dXSARGS;
  int clock, flags;

  if (items < 1 || items > 2)
    croak_xs_usage(cv, "clockid, flags = 0");
  clock = aio_sys_int(aTHX_ ST(0));
  flags = aio_sys_option(aTHX_ AIO_SYS_ARG(1));
  ST(0) = handle_or_undef(aTHX_ timerfd_create(clock, flags), O_RDWR, FALSE);
  XSRETURN(1);
}

/* Seconds, rounded down to nanoseconds; what is no such time becomes one that
 * the kernel refuses. */
static struct timespec to_timespec(NV seconds)
{
  struct timespec ts = { -1, 0 };
  NV whole = Perl_floor(seconds);

  if (seconds >= 0 && whole < (sizeof ts.tv_sec > 4 ? (NV)INT64_MAX : (NV)INT32_MAX)) {
    ts.tv_sec = (time_t)whole;
    ts.tv_nsec = (long)((seconds - whole) * 1e9);
  }
  return ts;
}

static NV to_seconds(struct timespec ts)
{
  return (NV)ts.tv_sec + (NV)ts.tv_nsec * 1e-9;
}

/* Returns (interval, value), or nothing on failure. */
#define RETURN_TIMES(result, times) \
  do { \
    if ((result) < 0) \
      XSRETURN_EMPTY; \
    EXTEND(SP, 2); \
    ST(0) = sv_2mortal(newSVnv(to_seconds((times).it_interval))); \
    ST(1) = sv_2mortal(newSVnv(to_seconds((times).it_value))); \
    XSRETURN(2); \
  } while (0)

XS_INTERNAL(xs_timerfd_settime)
{
  dXSARGS;
  struct itimerspec times, old = { { 0, 0 }, { 0, 0 } };
  int fd, flags, result;

  if (items != 4)
    croak_xs_usage(cv, "fh, flags, interval, value");
  fd = aio_arg_fd(aTHX_ ST(0), AIO_READ, "timerfd_settime", "fh");
  flags = aio_sys_int(aTHX_ ST(1));
  times.it_interval = to_timespec(SvNV(ST(2)));
  times.it_value = to_timespec(SvNV(ST(3)));
  result = timerfd_settime(fd, flags, &times, &old);
  RETURN_TIMES(result, old);
}

XS_INTERNAL(xs_timerfd_gettime)
{
  dXSARGS;
  struct itimerspec times = { { 0, 0 }, { 0, 0 } };
  int fd, result;

  if (items != 1)
    croak_xs_usage(cv, "fh");
  fd = aio_arg_fd(aTHX_ ST(0), AIO_READ, "timerfd_gettime", "fh");
  result = timerfd_gettime(fd, &times);
  RETURN_TIMES(result, times);
}

/* Processes ------------------------------------------------------------ */

XS_INTERNAL(xs_pidfd_open)
{
  dXSARGS;
  int pid, flags;

  if (items < 1 || items > 2)
    croak_xs_usage(cv, "pid, flags = 0");
  pid = aio_sys_int(aTHX_ ST(0));
  flags = aio_sys_option(aTHX_ AIO_SYS_ARG(1));
  ST(0) = handle_or_undef(aTHX_ PIDFD_CALL(open, pid, flags), O_RDWR, FALSE);
  XSRETURN(1);
}

/* A number of a hash, 0 when it is missing. */
static IV member(pTHX_ HV *hv, const char *name)
{
  SV **value = hv_fetch(hv, name, (I32)strlen(name), 0);

  return value ? SvIV(aio_keep(aTHX_ *value)) : 0;
}

/* The siginfo that a hash describes; the kernel wants the signal in it, too. */
static void fill_siginfo(pTHX_ siginfo_t *info, HV *hv, int sig)
{
  aio_keep(aTHX_ (SV *)hv); /* FETCH and the like may drop it */
  Zero(info, 1, siginfo_t);
  info->si_signo = sig;
  info->si_code = (int)member(aTHX_ hv, "code");
  info->si_pid = (pid_t)member(aTHX_ hv, "pid");
  info->si_uid = (uid_t)member(aTHX_ hv, "uid");
  info->si_value.sival_ptr = INT2PTR(void *, member(aTHX_ hv, "value_ptr"));
  if (hv_exists(hv, "value_int", 9))
    info->si_value.sival_int = (int)member(aTHX_ hv, "value_int");
}

XS_INTERNAL(xs_pidfd_send_signal)
{
  dXSARGS;
  siginfo_t info, *given = NULL;
  SV *wanted;
  int fd, sig, flags;

  if (items < 2 || items > 4)
    croak_xs_usage(cv, "pidfh, signal, siginfo = undef, flags = 0");
  fd = aio_arg_fd(aTHX_ ST(0), AIO_READ, "pidfd_send_signal", "pidfh");
  sig = aio_sys_int(aTHX_ ST(1));
  wanted = AIO_SYS_ARG(2);
  if (SvOK(wanted)) {
    if (!SvROK(wanted) || SvTYPE(SvRV(wanted)) != SVt_PVHV)
      aio_croak(aTHX_ "pidfd_send_signal", "siginfo must be undef or a reference to a hash");
    fill_siginfo(aTHX_ &info, (HV *)SvRV(wanted), sig);
    given = &info;
  }
  flags = aio_sys_option(aTHX_ AIO_SYS_ARG(3));
  ST(0) = aio_sys_result(aTHX_ PIDFD_CALL(send_signal, fd, sig, given, flags));
  XSRETURN(1);
}

XS_INTERNAL(xs_pidfd_getfd)
{
  dXSARGS;
  int pidfd, target, flags, fd, mode = O_RDWR;

  if (items < 2 || items > 3)
    croak_xs_usage(cv, "pidfh, targetfd, flags = 0");
  pidfd = aio_arg_fd(aTHX_ ST(0), AIO_READ, "pidfd_getfd", "pidfh");
  target = aio_sys_int(aTHX_ ST(1));
  flags = aio_sys_option(aTHX_ AIO_SYS_ARG(2));
  fd = PIDFD_CALL(getfd, pidfd, target, flags);
  if (fd >= 0) /* not to append: that would move the file position, which is shared */
    mode = fcntl(fd, F_GETFL) & O_ACCMODE;
  ST(0) = handle_or_undef(aTHX_ fd, mode, TRUE);
  XSRETURN(1);
}

/* ---------------------------------------------------------------------- */

void aio_boot_sys_fd(pTHX)
{
  static const struct aio_xsub xsubs[] = {
    { "accept4", xs_accept4, "$$$$", 0 },
    { "pipe2", xs_pipe2, ";$", 0 },
    { "pipesize", xs_pipesize, "$;$", 0 },
    { "eventfd", xs_eventfd, ";$$", 0 },
    { "memfd_create", xs_memfd_create, "$;$", 0 },
    { "timerfd_create", xs_timerfd_create, "$;$", 0 },
    { "timerfd_settime", xs_timerfd_settime, "$$$$", 0 },
    { "timerfd_gettime", xs_timerfd_gettime, "$", 0 },
    { "pidfd_open", xs_pidfd_open, "$;$", 0 },
    { "pidfd_send_signal", xs_pidfd_send_signal, "$$;$$", 0 },
    { "pidfd_getfd", xs_pidfd_getfd, "$$;$", 0 },
  };

  aio_install(aTHX_ xsubs, C_ARRAY_LENGTH(xsubs));
}
