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
  dXSARGS_AIO(4, 4, "r_fh, sockaddr, sockaddr_maxlen, flags");
  union {
    struct sockaddr addr;
    struct sockaddr_storage storage;
    char octets[sizeof(struct sockaddr_storage) + 1];
  } name;
  socklen_t len = 0;
  bool ok = TRUE, named;
  int64_t max = aio_sys_int64(aTHX_ ST(2), &ok, "accept4", "sockaddr_maxlen");
  int flags = aio_sys_int(aTHX_ ST(3), "accept4", "flags");
  struct aio_handle listener = aio_arg_handle(aTHX_ ST(0), "accept4", "r_fh");
  int fd = aio_handle_fd(aTHX_ listener, AIO_READ, "accept4", "r_fh");
  SV *fh;

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
  dXSARGS_AIO(0, 1, "flags = 0");
  int fds[2], flags = aio_sys_option(aTHX_ AIO_SYS_ARG(0), "pipe2", "flags");
  SV *r, *w;

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
  dXSARGS_AIO(1, 2, "r_fh, new_size = -1");
  bool ok = TRUE;
  int64_t size = items > 1 ? aio_sys_int64(aTHX_ ST(1), &ok, "pipesize", "new_size") : -1;
  int fd = aio_arg_fd(aTHX_ ST(0), AIO_READ, "pipesize", "r_fh"), result = 0;

  if (!ok)
    result = aio_sys_refuse();
  else if (size >= 0)
    result = set_pipe_size(fd, size > INT_MAX ? INT_MAX : (int)size);
  if (result >= 0)
    result = get_pipe_size(fd);
  ST(0) = aio_new_int64(aTHX_ result);
  XSRETURN(1);
}

XS_INTERNAL(xs_eventfd)
{
  dXSARGS_AIO(0, 2, "initval = 0, flags = 0");
  SV *initial = aio_arg_value(aTHX_ AIO_SYS_ARG(0));
  bool ok = TRUE;
  int64_t value = SvOK(initial) ? aio_sys_int64(aTHX_ initial, &ok, "eventfd", "initval") : 0;
  int flags = aio_sys_option(aTHX_ AIO_SYS_ARG(1), "eventfd", "flags"), fd;

  ok = ok && (value == (int)value || value == (unsigned)value);
  fd = ok ? eventfd((unsigned)value, flags) : aio_sys_refuse();
  ST(0) = handle_or_undef(aTHX_ fd, O_RDWR, FALSE);
  XSRETURN(1);
}

/* For IO::AIO::Watch: an inotify descriptor, and the end of a watch of one. */
XS_INTERNAL(xs_notify)
{
  dXSARGS_AIO(0, 0, "");

  ST(0) = handle_or_undef(aTHX_ inotify_init1(IN_NONBLOCK | IN_CLOEXEC), O_RDONLY, FALSE);
  XSRETURN(1);
}

XS_INTERNAL(xs_notify_end)
{
  dXSARGS_AIO(2, 2, "fh, number");
  int number = aio_sys_int(aTHX_ ST(1), "_notify_end", "number");
  int fd = aio_arg_fd(aTHX_ ST(0), AIO_READ, "_notify_end", "fh");

  ST(0) = aio_new_int64(aTHX_ inotify_rm_watch(fd, number));
  XSRETURN(1);
}

XS_INTERNAL(xs_memfd_create)
{
  dXSARGS_AIO(1, 2, "pathname, flags = 0");
  int flags = aio_sys_option(aTHX_ AIO_SYS_ARG(1), "memfd_create", "flags"), error = 0, fd = -1;
  const char *name = aio_sys_string(aTHX_ ST(0), EINVAL, &error, "memfd_create", "pathname");

  if (name)
    fd = memfd_create(name, (unsigned)flags);
  else
    errno = error;
  ST(0) = handle_or_undef(aTHX_ fd, O_RDWR, TRUE);
  XSRETURN(1);
}

/* Timers --------------------------------------------------------------- */

XS_INTERNAL(xs_timerfd_create)
{
  dXSARGS_AIO(1, 2, "clockid, flags = 0");
  int clock = aio_sys_int(aTHX_ ST(0), "timerfd_create", "clockid");
  int flags = aio_sys_option(aTHX_ AIO_SYS_ARG(1), "timerfd_create", "flags");

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
  dXSARGS_AIO(4, 4, "fh, flags, interval, value");
  struct itimerspec times, old = { { 0, 0 }, { 0, 0 } };
  int fd, flags, result;

  flags = aio_sys_int(aTHX_ ST(1), "timerfd_settime", "flags");
  times.it_interval = to_timespec(aio_arg_double(aTHX_ ST(2), "timerfd_settime", "interval"));
  times.it_value = to_timespec(aio_arg_double(aTHX_ ST(3), "timerfd_settime", "value"));
  fd = aio_arg_fd(aTHX_ ST(0), AIO_READ, "timerfd_settime", "fh");
  result = timerfd_settime(fd, flags, &times, &old);
  RETURN_TIMES(result, old);
}

XS_INTERNAL(xs_timerfd_gettime)
{
  dXSARGS_AIO(1, 1, "fh");
  struct itimerspec times = { { 0, 0 }, { 0, 0 } };
  int fd, result;

  fd = aio_arg_fd(aTHX_ ST(0), AIO_READ, "timerfd_gettime", "fh");
  result = timerfd_gettime(fd, &times);
  RETURN_TIMES(result, times);
}

/* Processes ------------------------------------------------------------ */

XS_INTERNAL(xs_pidfd_open)
{
  dXSARGS_AIO(1, 2, "pid, flags = 0");
  int pid = aio_sys_int(aTHX_ ST(0), "pidfd_open", "pid");
  int flags = aio_sys_option(aTHX_ AIO_SYS_ARG(1), "pidfd_open", "flags");

  ST(0) = handle_or_undef(aTHX_ PIDFD_CALL(open, pid, flags), O_RDWR, FALSE);
  XSRETURN(1);
}

/* A number of a hash, 0 when it is missing. */
static int64_t member(pTHX_ HV *hv, const char *name, bool *ok)
{
  SV **value = hv_fetch(hv, name, (I32)strlen(name), 0);

  return value ? aio_sys_int64(aTHX_ aio_keep(aTHX_ *value), ok, "pidfd_send_signal", name) : 0;
}

/* The siginfo that a hash describes; the kernel wants the signal in it, too. */
static void fill_siginfo(pTHX_ siginfo_t *info, HV *hv, int sig, bool *ok)
{
  aio_keep(aTHX_ (SV *)hv); /* FETCH and the like may drop it */
  Zero(info, 1, siginfo_t);
  info->si_signo = sig;
  info->si_code = (int)member(aTHX_ hv, "code", ok);
  info->si_pid = (pid_t)member(aTHX_ hv, "pid", ok);
  info->si_uid = (uid_t)member(aTHX_ hv, "uid", ok);
  info->si_value.sival_ptr = INT2PTR(void *, member(aTHX_ hv, "value_ptr", ok));
  if (hv_exists(hv, "value_int", 9))
    info->si_value.sival_int = (int)member(aTHX_ hv, "value_int", ok);
}

XS_INTERNAL(xs_pidfd_send_signal)
{
  dXSARGS_AIO(2, 4, "pidfh, signal, siginfo = undef, flags = 0");
  int sig = aio_sys_int(aTHX_ ST(1), "pidfd_send_signal", "signal");
  int flags = aio_sys_option(aTHX_ AIO_SYS_ARG(3), "pidfd_send_signal", "flags"), fd;
  SV *wanted = aio_arg_value(aTHX_ AIO_SYS_ARG(2));
  siginfo_t info, *given = NULL;
  bool ok = TRUE;

  if (SvOK(wanted)) {
    if (!SvROK(wanted) || SvTYPE(SvRV(wanted)) != SVt_PVHV)
      aio_croak(aTHX_ "pidfd_send_signal", "siginfo must be undef or a reference to a hash");
    fill_siginfo(aTHX_ &info, (HV *)SvRV(wanted), sig, &ok);
    given = &info;
  }
  fd = aio_arg_fd(aTHX_ ST(0), AIO_READ, "pidfd_send_signal", "pidfh");
  ST(0) = aio_new_int64(aTHX_ ok ? PIDFD_CALL(send_signal, fd, sig, given, flags) : aio_sys_refuse());
  XSRETURN(1);
}

XS_INTERNAL(xs_pidfd_getfd)
{
  dXSARGS_AIO(2, 3, "pidfh, targetfd, flags = 0");
  int target = aio_sys_int(aTHX_ ST(1), "pidfd_getfd", "targetfd");
  int flags = aio_sys_option(aTHX_ AIO_SYS_ARG(2), "pidfd_getfd", "flags");
  int pidfd = aio_arg_fd(aTHX_ ST(0), AIO_READ, "pidfd_getfd", "pidfh");
  int fd = PIDFD_CALL(getfd, pidfd, target, flags), mode = O_RDWR;

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
    { "_notify_open", xs_notify, "", 0 },
    { "_notify_end", xs_notify_end, "$$", 0 },
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
