/* group.c - class IO::AIO::GRP, and the two ways to make a group. */
#include "aio.h"

XS_INTERNAL(xs_group)
{
  dXSARGS_AIO(0, 1, "callback = undef");
  dAIO;
  CV *callback;
  aio_req *aio;
  SV *object;

  callback = items ? aio_arg_callback(aTHX_ ST(0), "aio_group") : NULL;
  aio = aio_req_new(aTHX_ cxt, EIO_GROUP);
  aio->r.data = SvREFCNT_inc((SV *)callback);
  object = sv_2mortal(aio_req_object(aTHX_ cxt, aio));
  aio_submit(aTHX_ cxt, aio);
  XSprePUSH;
  XPUSHs(object);
  XSRETURN(1);
}

/* _whole $req, $pri, $callback: a group of that priority with one member,
 * whose results become the group's. */
XS_INTERNAL(xs_whole)
{
  dXSARGS_AIO(3, 3, "req, pri, callback");
  dAIO;
  CV *callback = aio_arg_callback(aTHX_ ST(2), "aio_group");
  NV pri = aio_arg_double(aTHX_ ST(1), "aio_group", "pri");
  aio_req *member = aio_req_of(aTHX_ aio_arg_value(aTHX_ ST(0)), FALSE, "aio_group"), *group;
  SV *object;

  if (!member || AIO_CALLBACK(member))
    croak_xs_usage(cv, "new req without callback, pri, callback");
  group = aio_req_new(aTHX_ cxt, EIO_GROUP);
  group->r.pri = (int8_t)aio_clamp(pri, EIO_PRI_MIN, EIO_PRI_MAX);
  group->r.data = SvREFCNT_inc((SV *)callback);
  object = sv_2mortal(aio_req_object(aTHX_ cxt, group));
  group->r.arg2 = aio_progress_unit((enum eio_op)member->r.op);
  member->r.data = AIO_RELAY;
  eio_group_add(cxt->eio, &group->r, &member->r);
  aio_submit(aTHX_ cxt, group); /* may run a hook, which may poll */
  ST(0) = object;
  XSRETURN(1);
}

/* _callback $callback, $surplus: a reference to the code of a callback, or undef. Croaks
 * unless it can be called, and unless it is the one argument, at the most, beyond the
 * others. */
XS_INTERNAL(xs_callback)
{
  dXSARGS_AIO(2, 2, "callback, surplus");
  int surplus;
  CV *callback;

  if (!aio_arg_int(aTHX_ ST(1), &surplus, "aio_group", "surplus") || surplus < 0 || surplus > 1)
    aio_croak(aTHX_ "aio_group", "wrong number of arguments");
  callback = aio_arg_callback(aTHX_ ST(0), "aio_group");
  ST(0) = callback ? sv_2mortal(newRV_inc((SV *)callback)) : &PL_sv_undef;
  XSRETURN(1);
}

/* _octets $scalar, $function, $argument: a string of the octets of an argument, read as all are. */
XS_INTERNAL(xs_octets)
{
  dXSARGS_AIO(3, 3, "scalar, function, argument");
  STRLEN length;
  const char *func = aio_arg_octets(aTHX_ ST(1), &length, "_octets", "function");
  const char *arg = aio_arg_octets(aTHX_ ST(2), &length, "_octets", "argument");
  const char *octets = aio_arg_octets(aTHX_ aio_arg_value(aTHX_ ST(0)), &length, func, arg);

  ST(0) = newSVpvn_flags(octets, length, SVs_TEMP);
  XSRETURN(1);
}

/* _int likewise: a number. */
XS_INTERNAL(xs_int)
{
  dXSARGS_AIO(3, 3, "scalar, function, argument");
  STRLEN length;
  const char *func = aio_arg_octets(aTHX_ ST(1), &length, "_int", "function");
  const char *arg = aio_arg_octets(aTHX_ ST(2), &length, "_int", "argument");
  int number;

  aio_arg_int(aTHX_ ST(0), &number, func, arg);
  ST(0) = sv_2mortal(newSViv(number));
  XSRETURN(1);
}

/* Being called back: methods change nothing, and its results are on the stack. */
static bool is_over(const aio_req *group)
{
  return group->r.state == EIO_FINISHED;
}

/* The group of a method call; croaks when it is done. */
static aio_req *live_group(pTHX_ SV *sv, const char *func)
{
  aio_req *aio = aio_req_of(aTHX_ sv, TRUE, func);

  if (!aio)
    aio_croak(aTHX_ func, "busy IO::AIO::REQ object expected: the group has already finished%s",
              strEQ(func, "add") ? ", and nothing can be added after that" : "");
  return aio;
}

XS_INTERNAL(xs_add)
{
  dXSARGS_AIO(1, I32_MAX, "grp, ...");
  dAIO;
  aio_req *group;

  for (int i = 0; i < items; i++)
    ST(i) = aio_arg_value(aTHX_ ST(i));
  for (int i = 0; i < items; i++)
    aio_req_of(aTHX_ ST(i), i == 0, "add");
  group = live_group(aTHX_ ST(0), "add");
  if (is_over(group))
    aio_croak(aTHX_ "add", "cannot add requests to IO::AIO::GRP after the group finished");
  for (int i = 1; i < items; i++) {
    aio_req *req = aio_req_of(aTHX_ ST(i), FALSE, "add");

    if (req && eio_group_add(cxt->eio, &group->r, &req->r) < 0)
      aio_croak(aTHX_ "add", "a group cannot contain itself");
  }
  for (int i = 1; i < items; i++)
    ST(i - 1) = ST(i);
  XSRETURN(items - 1);
}

XS_INTERNAL(xs_cancel_subs)
{
  dXSARGS_AIO(1, 1, "grp");
  dAIO;
  aio_req *group = aio_req_of(aTHX_ aio_arg_value(aTHX_ ST(0)), TRUE, "cancel_subs");

  if (group && !is_over(group)) {
    SV *feeder = group->sv1;

    group->sv1 = NULL;
    eio_group_cancel_members(cxt->eio, &group->r);
    SvREFCNT_dec(feeder);
  }
  XSRETURN_EMPTY;
}

XS_INTERNAL(xs_result)
{
  int saved = errno;
  dXSARGS_AIO(1, I32_MAX, "grp, ...");
  aio_req *group;
  SV *object = aio_arg_value(aTHX_ ST(0)), *old;
  AV *av = (AV *)sv_2mortal((SV *)newAV());

  for (int i = 1; i < items; i++)
    av_push(av, newSVsv(ST(i)));
  group = live_group(aTHX_ object, "result");
  if (is_over(group))
    XSRETURN_EMPTY;
  old = group->sv2;
  group->sv2 = SvREFCNT_inc_simple_NN((SV *)av);
  group->r.errorno = saved;
  SvREFCNT_dec(old);
  XSRETURN_EMPTY;
}

XS_INTERNAL(xs_errno)
{
  int saved = errno;
  dXSARGS_AIO(1, 2, "grp, errno = $!");
  SV *object = aio_arg_value(aTHX_ ST(0));

  if (items > 1 && !aio_arg_int(aTHX_ ST(1), &saved, "errno", "errno"))
    saved = EINVAL;
  live_group(aTHX_ object, "errno")->r.errorno = saved;
  XSRETURN_EMPTY;
}

/* The savestack calls this. A feeder that exits, or whose coro is destroyed, does
 * not return to the library, and the group is still in `running` then. */
static void leave_feeder(pTHX_ void *running)
{
  eio_req *group = INT2PTR(eio_req *, SvIVX((SV *)running));

  if (group) {
    dAIO;

    eio_group_abandon(cxt->eio, group);
  }
  SvREFCNT_dec((SV *)running);
}

/* Calls the feeder. An exception ends the feeding, with a warning: it happens
 * in the middle of a poll, or of the call that has set it. So do `last`, `goto` and
 * the like out of it: it runs on a stack of its own. */
static void feed(eio_req *req)
{
  dTHX;
  aio_req *group = AIO_REQ(req);
  SV *feeder = group->sv1, *running;
  dAIO;

  if (!feeder) {
    req->feed = NULL;
    return;
  }
  ENTER;
  running = newSViv(PTR2IV(req));
  SAVEDESTRUCTOR_X(leave_feeder, running);
  SAVETMPS;
  save_scalar(PL_errgv);
  aio_keep(aTHX_ feeder);
  {
    dSP;

    PUSHSTACKi(PERLSI_MAGIC);
    PUSHMARK(SP);
    XPUSHs(sv_2mortal(aio_req_object(aTHX_ cxt, group)));
    PUTBACK;
    call_sv(feeder, G_VOID | G_DISCARD | G_EVAL);
    POPSTACK;
  }
  if (SvROK(ERRSV) || SvTRUE(ERRSV)) {
    req->feed = NULL;
    aio_warn(aTHX_ "feeder died");
  }
  SvIV_set(running, 0);
  FREETMPS;
  LEAVE;
}

XS_INTERNAL(xs_feed)
{
  dXSARGS_AIO(1, 2, "grp, callback = undef");
  dAIO;
  SV *object = aio_arg_value(aTHX_ ST(0)), *old;
  SV *feeder = items > 1 ? (SV *)aio_arg_callback(aTHX_ ST(1), "feed") : NULL;
  aio_req *group = live_group(aTHX_ object, "feed");

  old = group->sv1;
  group->sv1 = SvREFCNT_inc(feeder);
  if (!is_over(group))
    eio_group_feed(cxt->eio, &group->r, feeder ? feed : NULL);
  else if (feeder)
    feed(&group->r); /* once, as 4.80 does: it cannot add anything */
  SvREFCNT_dec(old);
  XSRETURN_EMPTY;
}

XS_INTERNAL(xs_limit)
{
  dXSARGS_AIO(2, 2, "grp, limit");
  dAIO;
  SV *object = aio_arg_value(aTHX_ ST(0));
  aio_req *group;
  int64_t limit;

  if (!aio_arg_int64(aTHX_ ST(1), &limit, "limit", "limit") && !limit)
    aio_croak(aTHX_ "limit", "limit must be a number");
  group = live_group(aTHX_ object, "limit");
  if (!is_over(group))
    eio_group_limit(cxt->eio, &group->r, limit < 0 || limit > INT_MAX ? INT_MAX : (int)limit);
  XSRETURN_EMPTY;
}

void aio_boot_group(pTHX)
{
  static const struct aio_xsub xsubs[] = {
    { "aio_group", xs_group, ";$", 0 },
    { "_whole", xs_whole, "$$$", 0 },
    { "_callback", xs_callback, "$$", 0 },
    { "_octets", xs_octets, "$$$", 0 },
    { "_int", xs_int, "$$$", 0 },
    { "IO::AIO::GRP::add", xs_add, NULL, 0 },
    { "IO::AIO::GRP::cancel_subs", xs_cancel_subs, NULL, 0 },
    { "IO::AIO::GRP::result", xs_result, NULL, 0 },
    { "IO::AIO::GRP::errno", xs_errno, NULL, 0 },
    { "IO::AIO::GRP::feed", xs_feed, NULL, 0 },
    { "IO::AIO::GRP::limit", xs_limit, NULL, 0 },
  };

  aio_install(aTHX_ xsubs, C_ARRAY_LENGTH(xsubs));
}
