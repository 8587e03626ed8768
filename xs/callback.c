/* callback.c - the poll side: results become callbacks.
 *
 * Callbacks are called without an eval of our own: an exception goes straight
 * to whoever called the poll function, and the savestack sees to it that the
 * request is released and the poll left in good order. */
#include "aio.h"

#include <sys/stat.h>

/* Not on the C stack: a coro that is destroyed inside a callback loses that
 * before its savestack. */
struct poll {
  aio_cxt *cxt;
  aio_req *current; /* being called back */
  bool ended;
};

/* Perl's stat cache and $!, which a poll inside a callback must not change
 * under that callback. */
struct outer {
  Stat_t statcache;
  int laststatval, error;
  U16 laststype;
  GV *statgv;
};

static void save_outer(pTHX_ struct outer *outer)
{
  outer->statcache = PL_statcache;
  outer->laststatval = PL_laststatval;
  outer->laststype = PL_laststype;
  outer->statgv = PL_statgv;
  if (PL_statgv)
    aio_keep(aTHX_ (SV *)PL_statgv); /* perl does not count it */
  outer->error = errno;
}

static void restore_outer(pTHX_ const struct outer *outer)
{
  PL_statcache = outer->statcache;
  PL_laststatval = outer->laststatval;
  PL_laststype = outer->laststype;
  PL_statgv = outer->statgv;
  errno = outer->error;
}

static void free_released(pTHX_ void *data)
{
  aio_req *aio = data;
  dAIO;

  eio_req_finish(&aio->r);
  aio_req_free(aTHX_ cxt, aio);
}

/* An exit in the feeder of its group does not return here. */
static void release(pTHX_ aio_cxt *cxt, aio_req *aio)
{
  if (UNLIKELY(aio->r.group && aio->r.group->feed)) {
    ENTER;
    SAVEDESTRUCTOR_X(free_released, aio);
    eio_release(cxt->eio, &aio->r);
    LEAVE;
    return;
  }
  eio_release(cxt->eio, &aio->r);
  aio_req_free(aTHX_ cxt, aio);
}

/* Leaves the poll, in good order or by an exception. In that case a member of a
 * group is released by the next poll only, as releasing it may call a feeder. */
static void leave_poll(pTHX_ void *data)
{
  struct poll *poll = data;
  dSAVE_ERRNO;

  if (poll->current && poll->current->r.group)
    eio_unfinish(poll->cxt->eio, &poll->current->r);
  else if (poll->current)
    release(aTHX_ poll->cxt, poll->current);
  if (!poll->ended)
    eio_poll_end(poll->cxt->eio);
  poll->cxt->depth--;
  Safefree(poll);
  RESTORE_ERRNO;
}

/* _warn $text, $exception */
XS_INTERNAL(xs_warn)
{
  dXSARGS_AIO(2, 2, "text, exception");

  warn("IO::AIO: %" SVf ": %" SVf, SVfARG(ST(0)), SVfARG(ST(1)));
  XSRETURN_EMPTY;
}

void aio_call_private(pTHX_ const char *name, SV *first, SV *second, I32 flags)
{
  dSP;

  PUSHMARK(SP);
  EXTEND(SP, 2);
  PUSHs(first);
  PUSHs(second);
  PUTBACK;
  call_pv(name, G_VOID | G_DISCARD | G_EVAL | flags);
}

void aio_warn(pTHX_ const char *text)
{
  aio_call_private(aTHX_ "IO::AIO::_warn", sv_2mortal(newSVpv(text, 0)), sv_mortalcopy(ERRSV), G_KEEPERR);
}

/* Gives the results to the request's group. */
static void relay(pTHX_ aio_cxt *cxt, aio_req *aio)
{
  aio_req *group = AIO_REQ(aio->r.group);
  SSize_t before = PL_stack_sp - PL_stack_base, n;
  SV **base;
  AV *av;

  if (!group)
    return;
  aio_push_results(aTHX_ cxt, aio);
  base = PL_stack_base + before; /* it may have moved */
  n = PL_stack_sp - base;
  av = newAV();
  for (SSize_t i = 1; i <= n; i++)
    av_push(av, SvTEMP(base[i]) && SvREFCNT(base[i]) == 1 ? SvREFCNT_inc_simple_NN(base[i]) : newSVsv(base[i]));
  PL_stack_sp = base;
  SvREFCNT_dec(group->sv2);
  group->sv2 = (SV *)av;
  group->r.errorno = aio->r.errorno;
}

/* Callbacks find $@ empty, and what they leave there is theirs alone. */
static bool has_error(pTHX)
{
  SV *error = ERRSV;

  return !SvPOK(error) || SvCUR(error);
}

static void call_back(pTHX_ aio_cxt *cxt, aio_req *aio)
{
  SV *callback;

  aio_settle(aTHX_ aio);
  if (UNLIKELY(cxt->watches != NULL) && !(aio->r.flags & EIO_CANCELLED))
    aio_progress_last(aTHX_ cxt, aio);
  callback = AIO_CALLBACK(aio); /* magic of the data may have changed it */
  if ((!callback && aio->r.op != EIO_WALK) || aio->r.flags & EIO_CANCELLED)
    return;
  if (aio->r.op == EIO_WALK && !aio_walk_on(aTHX_ cxt, aio))
    return;
  if (callback == AIO_RELAY) {
    relay(aTHX_ cxt, aio);
    return;
  }
  PUSHMARK(PL_stack_sp);
  aio_push_results(aTHX_ cxt, aio);
  errno = aio->r.errorno;
  call_sv(callback, G_VOID | G_DISCARD);
  if (UNLIKELY(has_error(aTHX))) {
    dSAVE_ERRNO;

    CLEAR_ERRSV();
    RESTORE_ERRNO;
  }
}

uint64_t aio_now(void)
{
  struct timespec ts;

  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* One round. Returns what eio_poll_end() says; counts requests. */
static int poll_once(pTHX_ aio_cxt *cxt, unsigned *count)
{
  struct poll *poll;
  struct outer outer;
  bool nested = cxt->depth++ > 0;
  uint64_t end = cxt->max_poll_time ? aio_now() + cxt->max_poll_time : 0;
  unsigned n = 0;
  eio_req *req;
  int left;

  if (nested)
    save_outer(aTHX_ &outer);
  if (UNLIKELY(cxt->orphans))
    aio_free_orphans(aTHX_ cxt);
  Newxz(poll, 1, struct poll);
  poll->cxt = cxt;
  eio_poll_begin(cxt->eio);
  ENTER;
  SAVEDESTRUCTOR_X(leave_poll, poll);
  if (UNLIKELY(has_error(aTHX))) {
    save_scalar(PL_errgv); /* the caller's */
    CLEAR_ERRSV();
  }
  {
    dSP;

    PUSHSTACKi(PERLSI_MAGIC);
    if (UNLIKELY(cxt->watches != NULL))
      aio_progress_run(aTHX_ cxt, aio_now());
    while ((req = eio_next(cxt->eio))) {
      poll->current = AIO_REQ(req);
      ENTER;
      SAVETMPS;
      if (UNLIKELY(cxt->slow != NULL))
        aio_tell_slow(aTHX_ cxt, req);
      call_back(aTHX_ cxt, poll->current);
      FREETMPS;
      LEAVE;
      poll->current = NULL;
      release(aTHX_ cxt, AIO_REQ(req));
      PERL_ASYNC_CHECK();
      n++;
      if ((cxt->max_poll_reqs && n >= cxt->max_poll_reqs) || (end && aio_now() >= end))
        break;
    }
    POPSTACK;
  }
  left = eio_poll_end(cxt->eio);
  poll->ended = TRUE;
  LEAVE;
  if (nested)
    restore_outer(aTHX_ &outer);
  *count += n;
  return left;
}

/* Waits for something to poll; signal handlers run meanwhile. The timeout is
 * for a signal that comes just before the system call. */
static void wait_for_some(pTHX_ aio_cxt *cxt)
{
  dSAVE_ERRNO;

  while (eio_poll_wait(cxt->eio, 250) < 0) {
    RESTORE_ERRNO;
    PERL_ASYNC_CHECK();
  }
  RESTORE_ERRNO;
}

/* poll_cb: polls, and goes on until less is outstanding than the limit. */
static int poll_some(pTHX_ aio_cxt *cxt, unsigned *count)
{
  int left = poll_once(aTHX_ cxt, count);

  while (cxt->max_outstanding && eio_nreqs(cxt->eio) >= cxt->max_outstanding) {
    wait_for_some(aTHX_ cxt);
    left = poll_once(aTHX_ cxt, count);
  }
  return left;
}

XS_INTERNAL(xs_poll_cb)
{
  dXSARGS;
  dAIO;
  unsigned count = 0;
  int left = poll_some(aTHX_ cxt, &count);

  PERL_UNUSED_VAR(items);
  XSprePUSH;
  EXTEND(SP, 1);
  mPUSHi(left);
  XSRETURN(1);
}

XS_INTERNAL(xs_poll)
{
  dXSARGS_AIO(0, 0, "");
  dAIO;
  unsigned count = 0;

  wait_for_some(aTHX_ cxt);
  poll_some(aTHX_ cxt, &count);
  XSprePUSH;
  EXTEND(SP, 1);
  mPUSHu(count);
  XSRETURN(1);
}

XS_INTERNAL(xs_poll_wait)
{
  dXSARGS_AIO(0, 0, "");
  dAIO;

  wait_for_some(aTHX_ cxt);
  eio_poll_begin(cxt->eio); /* nothing but: the descriptor is readable now */
  eio_poll_end(cxt->eio);
  XSRETURN_EMPTY;
}

XS_INTERNAL(xs_flush)
{
  dXSARGS_AIO(0, 0, "");
  dAIO;
  unsigned count = 0;

  while (eio_nreqs(cxt->eio)) {
    wait_for_some(aTHX_ cxt);
    poll_once(aTHX_ cxt, &count);
  }
  XSRETURN_EMPTY;
}

/* What the END block does: everything that can still execute is waited for, but not what a limit of
 * 0 keeps from it. */
XS_INTERNAL(xs_end)
{
  dXSARGS;
  dAIO;
  unsigned count = 0;

  PERL_UNUSED_VAR(items);
  while (eio_nreqs(cxt->eio) > eio_nstopped(cxt->eio) && eio_parallel(cxt->eio)) {
    wait_for_some(aTHX_ cxt);
    poll_once(aTHX_ cxt, &count);
  }
  XSRETURN_EMPTY;
}

XS_INTERNAL(xs_poll_fileno)
{
  dXSARGS_AIO(0, 0, "");
  dAIO;

  XSprePUSH;
  EXTEND(SP, 1);
  mPUSHi(eio_poll_fd(cxt->eio));
  XSRETURN(1);
}

XS_INTERNAL(xs_poll_handle)
{
  dXSARGS_AIO(0, 0, "");
  dAIO;
  int fd;

  fd = eio_poll_fd(cxt->eio);
  if (fd < 0)
    aio_croak(aTHX_ "IO::AIO::poll_handle", "%s", Strerror(errno));
  XSprePUSH;
  EXTEND(SP, 1);
  PUSHs(sv_2mortal(newRV_inc((SV *)aio_poll_gv(aTHX_ cxt, fd))));
  XSRETURN(1);
}

XS_INTERNAL(xs_reinit)
{
  dXSARGS_AIO(0, 0, "");
  dAIO;

  eio_reset(cxt->eio);
  cxt->orphans = TRUE; /* for those that are executed just now */
  aio_free_orphans(aTHX_ cxt);
  XSRETURN_EMPTY;
}

XS_INTERNAL(xs_on_next_submit)
{
  dXSARGS_AIO(1, 1, "callback");
  dAIO;
  SV *old, *hook;

  hook = (SV *)aio_arg_callback(aTHX_ ST(0), "_on_next_submit");
  old = cxt->on_next_submit;
  cxt->on_next_submit = SvREFCNT_inc(hook);
  SvREFCNT_dec(old);
  XSRETURN_EMPTY;
}

/* Numbers to look at --------------------------------------------------- */

enum { NREQS, NREADY, NPENDING, NTHREADS, NABANDONED };

XS_INTERNAL(xs_count)
{
  dXSARGS_AIO(0, 0, "");
  dAIO;
  unsigned n = 0;

  switch (XSANY.any_i32) {
  case NREQS: n = eio_nreqs(cxt->eio); break;
  case NREADY: n = eio_nready(cxt->eio); break;
  case NPENDING: n = eio_npending(cxt->eio); break;
  case NABANDONED: n = eio_nabandoned(cxt->eio); break;
  default: n = eio_nthreads(cxt->eio); break;
  }
  XSprePUSH;
  EXTEND(SP, 1);
  mPUSHu(n);
  XSRETURN(1);
}

/* Numbers to set ------------------------------------------------------- */

enum { MIN_PARALLEL, MAX_PARALLEL, MAX_ABANDONED, MAX_IDLE, IDLE_TIMEOUT, MAX_OUTSTANDING, MAX_POLL_REQS, MAX_POLL_TIME };

static const char *name_of(pTHX_ CV *cv)
{
  return GvNAME(CvGV(cv));
}

static NV setting(pTHX_ SV *sv, CV *cv, const char *arg)
{
  NV n = aio_arg_double(aTHX_ sv, name_of(aTHX_ cv), arg);

  if (n != n)
    aio_croak(aTHX_ name_of(aTHX_ cv), "%s must be a number", arg);
  return n;
}

static unsigned count_of(NV n)
{
  return n >= UINT_MAX ? UINT_MAX : n >= 1 ? (unsigned)n : 0;
}

/* An upper bound; negative is none. */
static unsigned bound_of(NV n)
{
  return n < 0 ? UINT_MAX : count_of(n);
}

XS_INTERNAL(xs_set)
{
  static const char *const params[] = {
    "nthreads", "nthreads", "nthreads", "nthreads", "seconds", "maxreqs", "nreqs", "nseconds"
  };
  dXSARGS_AIO(1, 1, params[XSANY.any_i32]);
  dAIO;
  NV n = setting(aTHX_ ST(0), cv, params[XSANY.any_i32]);

  switch (XSANY.any_i32) {
  case MIN_PARALLEL: eio_set_min_parallel(cxt->eio, count_of(n)); break;
  case MAX_PARALLEL: eio_set_max_parallel(cxt->eio, bound_of(n)); break;
  case MAX_ABANDONED: eio_set_max_abandoned(cxt->eio, bound_of(n)); break;
  case MAX_IDLE: eio_set_max_idle(cxt->eio, bound_of(n)); break;
  case IDLE_TIMEOUT: eio_set_idle_timeout(cxt->eio, n); break;
  case MAX_OUTSTANDING: cxt->max_outstanding = bound_of(n); break;
  case MAX_POLL_REQS: cxt->max_poll_reqs = bound_of(n); break;
  default: cxt->max_poll_time = n <= 0 ? 0 : n > 1e9 ? (uint64_t)1e18 : (uint64_t)(n * 1e9); break;
  }
  XSRETURN_EMPTY;
}

/* engine [$name] */
XS_INTERNAL(xs_engine)
{
  dXSARGS_AIO(0, 1, "name = the one that is active");
  dAIO;
  SV *value = items ? aio_arg_value(aTHX_ ST(0)) : &PL_sv_undef;
  const char *why, *name;

  if (SvOK(value)) {
    STRLEN len;
    const char *wanted = aio_arg_octets(aTHX_ value, &len, "engine", "name");

    if (!aio_is_engine(wanted))
      aio_croak(aTHX_ "engine", "name must be sync, pool or uring, not \"%s\"", wanted);
    eio_set_engine(cxt->eio, wanted); /* a refusal is the reason below */
  }
  name = eio_engine(cxt->eio, &why);
  XSprePUSH;
  EXTEND(SP, 2);
  mPUSHs(newSVpv(name, 0));
  if (GIMME_V == G_LIST)
    mPUSHs(newSVpv(why, 0));
  PUTBACK;
}

/* The optional features (libeio/probes.txt) that this build has, in one string:
 * for tests, which ask whether something can work at all. */
XS_INTERNAL(xs_features)
{
  dXSARGS_AIO(0, 0, "");

  ST(0) = newSVpvs_flags(EIO_FEATURES, SVs_TEMP);
  XSRETURN(1);
}

/* Priorities ----------------------------------------------------------- */

int aio_clamp(NV n, int min, int max)
{
  return n >= max ? max : n <= min ? min : n > min ? (int)n : 0;
}

enum { PRI, NICE };

XS_INTERNAL(xs_pri)
{
  dXSARGS_AIO(0, 1, "pri = 0");
  dAIO;
  NV n = items ? aio_arg_double(aTHX_ ST(0), name_of(aTHX_ cv), "pri") : 0;
  int old = cxt->next_pri;

  if (XSANY.any_i32 == PRI) {
    if (items)
      cxt->next_pri = aio_clamp(n, EIO_PRI_MIN, EIO_PRI_MAX);
    XSprePUSH;
    EXTEND(SP, 1);
    mPUSHi(old);
    XSRETURN(1);
  }
  if (items)
    cxt->next_pri = aio_clamp(old - aio_clamp(n, -8, 8), EIO_PRI_MIN, EIO_PRI_MAX);
  XSRETURN_EMPTY;
}

/* Timeouts ------------------------------------------------------------- */

uint64_t aio_arg_timeout(pTHX_ SV *sv, const char *func)
{
  SV *value = aio_arg_value(aTHX_ sv);
  NV n;

  if (!SvOK(value))
    return EIO_NEVER;
  n = aio_arg_double(aTHX_ value, func, "seconds");
  if (n != n)
    aio_croak(aTHX_ func, "seconds must be a number");
  return n <= 0 ? 0 : n >= 1e9 ? EIO_NEVER : (uint64_t)(n * 1e9);
}

/* aioreq_timeout [$seconds] */
XS_INTERNAL(xs_next_timeout)
{
  dXSARGS_AIO(0, 1, "seconds");
  dAIO;
  uint64_t next = items ? aio_arg_timeout(aTHX_ ST(0), "aioreq_timeout") : 0, old = cxt->next_timeout;

  if (items)
    cxt->next_timeout = next;
  XSprePUSH;
  EXTEND(SP, 1);
  if (old == EIO_NEVER)
    PUSHs(&PL_sv_undef);
  else
    mPUSHn((NV)old / 1e9);
  XSRETURN(1);
}

void aio_boot_callback(pTHX)
{
  static const struct aio_xsub xsubs[] = {
    { "poll_cb", xs_poll_cb, "", 0 },
    { "poll", xs_poll, "", 0 },
    { "poll_wait", xs_poll_wait, "", 0 },
    { "poll_fileno", xs_poll_fileno, "", 0 },
    { "poll_handle", xs_poll_handle, "", 0 },
    { "flush", xs_flush, "", 0 },
    { "reinit", xs_reinit, "", 0 },
    { "_end", xs_end, "", 0 },
    { "_on_next_submit", xs_on_next_submit, "$", 0 },
    { "_warn", xs_warn, "$$", 0 },
    { "_features", xs_features, "", 0 },
    { "engine", xs_engine, ";$", 0 },
    { "aioreq_pri", xs_pri, ";$", PRI },
    { "aioreq_nice", xs_pri, ";$", NICE },
    { "nreqs", xs_count, "", NREQS },
    { "nready", xs_count, "", NREADY },
    { "npending", xs_count, "", NPENDING },
    { "nthreads", xs_count, "", NTHREADS },
    { "nabandoned", xs_count, "", NABANDONED },
    { "max_abandoned", xs_set, "$", MAX_ABANDONED },
    { "aioreq_timeout", xs_next_timeout, ";$", 0 },
    { "min_parallel", xs_set, "$", MIN_PARALLEL },
    { "max_parallel", xs_set, "$", MAX_PARALLEL },
    { "max_idle", xs_set, "$", MAX_IDLE },
    { "idle_timeout", xs_set, "$", IDLE_TIMEOUT },
    { "max_outstanding", xs_set, "$", MAX_OUTSTANDING },
    { "max_poll_reqs", xs_set, "$", MAX_POLL_REQS },
    { "max_poll_time", xs_set, "$", MAX_POLL_TIME },
  };

  aio_install(aTHX_ xsubs, C_ARRAY_LENGTH(xsubs));
}
