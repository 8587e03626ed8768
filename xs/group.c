/* group.c - class IO::AIO::GRP, and the two ways to make a group. */
#include "aio.h"

XS_INTERNAL(xs_group)
{
  dXSARGS;
  dAIO;
  CV *callback;
  aio_req *aio;
  SV *object;

  if (items > 1)
    croak_xs_usage(cv, "callback = undef");
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
  dXSARGS;
  dAIO;
  aio_req *member, *group;
  CV *callback;
  SV *object;

  if (items != 3)
    croak_xs_usage(cv, "req, pri, callback");
  callback = aio_arg_callback(aTHX_ ST(2), "aio_group");
  member = aio_req_of(aTHX_ ST(0), FALSE, "aio_group");
  if (!member || AIO_CALLBACK(member))
    croak_xs_usage(cv, "new req without callback, pri, callback");
  group = aio_req_new(aTHX_ cxt, EIO_GROUP);
  group->r.pri = (int8_t)SvIV(ST(1));
  group->r.data = SvREFCNT_inc((SV *)callback);
  object = sv_2mortal(aio_req_object(aTHX_ cxt, group));
  member->r.data = AIO_RELAY;
  eio_group_add(cxt->eio, &group->r, &member->r);
  aio_submit(aTHX_ cxt, group); /* may run a hook, which may poll */
  ST(0) = object;
  XSRETURN(1);
}

/* _callback $callback, $surplus: croaks unless the callback can be called, and
 * unless it is the one argument, at the most, beyond the others. */
XS_INTERNAL(xs_callback)
{
  dXSARGS;

  if (items != 2)
    croak_xs_usage(cv, "callback, surplus");
  if (SvIV(ST(1)) < 0 || SvIV(ST(1)) > 1)
    aio_croak(aTHX_ "aio_group", "wrong number of arguments");
  aio_arg_callback(aTHX_ ST(0), "aio_group");
  XSRETURN(1);
}

/* Being called back: methods change nothing, and its results are on the stack. */
static bool is_over(const aio_req *group)
{
  return group->r.state == EIO_FINISHED;
}

/* The group of a method call; croaks when it is done. Magic of the other
 * arguments may run Perl code that finishes it: they are read before, and this
 * runs none. Whoever calls it has seen to the magic of the object. */
static aio_req *live_group(pTHX_ SV *sv, const char *func)
{
  aio_req *aio = aio_req_of_nomg(aTHX_ sv, TRUE, func);

  if (!aio)
    aio_croak(aTHX_ func, "busy IO::AIO::REQ object expected: the group has already finished");
  return aio;
}

XS_INTERNAL(xs_add)
{
  dXSARGS;
  dAIO;
  aio_req *group;

  if (items < 1)
    croak_xs_usage(cv, "grp, ...");
  for (int i = 0; i < items; i++)
    aio_req_of(aTHX_ ST(i), i == 0, "add");
  group = live_group(aTHX_ ST(0), "add");
  if (is_over(group))
    aio_croak(aTHX_ "add", "cannot add requests to IO::AIO::GRP after the group finished");
  for (int i = 1; i < items; i++) {
    aio_req *req = aio_req_of_nomg(aTHX_ ST(i), FALSE, "add");

    if (req && eio_group_add(cxt->eio, &group->r, &req->r) < 0)
      aio_croak(aTHX_ "add", "a group cannot contain itself");
  }
  for (int i = 1; i < items; i++)
    ST(i - 1) = ST(i);
  XSRETURN(items - 1);
}

XS_INTERNAL(xs_cancel_subs)
{
  dXSARGS;
  dAIO;
  aio_req *group;

  if (items != 1)
    croak_xs_usage(cv, "grp");
  group = aio_req_of(aTHX_ ST(0), TRUE, "cancel_subs");
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
  dXSARGS;
  int saved = errno;
  aio_req *group;
  SV *old;
  AV *av;

  if (items < 1)
    croak_xs_usage(cv, "grp, ...");
  SvGETMAGIC(ST(0));
  av = (AV *)sv_2mortal((SV *)newAV());
  for (int i = 1; i < items; i++)
    av_push(av, newSVsv(ST(i)));
  group = live_group(aTHX_ ST(0), "result");
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
  dXSARGS;
  int saved = errno;
  aio_req *group;

  if (items < 1 || items > 2)
    croak_xs_usage(cv, "grp, errno = $!");
  SvGETMAGIC(ST(0));
  if (items > 1)
    saved = (int)SvIV(ST(1));
  group = live_group(aTHX_ ST(0), "errno");
  group->r.errorno = saved;
  XSRETURN_EMPTY;
}

/* _feeder_died $exception: warns of it. */
XS_INTERNAL(xs_feeder_died)
{
  dXSARGS;

  if (items != 1)
    croak_xs_usage(cv, "exception");
  warn("IO::AIO: feeder died: %" SVf, SVfARG(ST(0)));
  XSRETURN_EMPTY;
}

/* In an eval of its own, as the exception may be an object that cannot be
 * printed, and what handles warnings may die as well. */
static void report_death(pTHX)
{
  dSP;

  PUSHMARK(SP);
  XPUSHs(sv_mortalcopy(ERRSV));
  PUTBACK;
  call_pv("IO::AIO::_feeder_died", G_VOID | G_DISCARD | G_EVAL | G_KEEPERR);
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
    report_death(aTHX);
  }
  SvIV_set(running, 0);
  FREETMPS;
  LEAVE;
}

XS_INTERNAL(xs_feed)
{
  dXSARGS;
  dAIO;
  aio_req *group;
  SV *old, *feeder;

  if (items < 1 || items > 2)
    croak_xs_usage(cv, "grp, callback = undef");
  SvGETMAGIC(ST(0));
  feeder = items > 1 ? (SV *)aio_arg_callback(aTHX_ ST(1), "feed") : NULL;
  group = live_group(aTHX_ ST(0), "feed");
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
  dXSARGS;
  dAIO;
  int64_t limit;
  aio_req *group;

  if (items != 2)
    croak_xs_usage(cv, "grp, limit");
  SvGETMAGIC(ST(0));
  limit = aio_arg_int64(aTHX_ ST(1));
  group = live_group(aTHX_ ST(0), "limit");
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
    { "_feeder_died", xs_feeder_died, "$", 0 },
    { "IO::AIO::GRP::add", xs_add, NULL, 0 },
    { "IO::AIO::GRP::cancel_subs", xs_cancel_subs, NULL, 0 },
    { "IO::AIO::GRP::result", xs_result, NULL, 0 },
    { "IO::AIO::GRP::errno", xs_errno, NULL, 0 },
    { "IO::AIO::GRP::feed", xs_feed, NULL, 0 },
    { "IO::AIO::GRP::limit", xs_limit, NULL, 0 },
  };

  aio_install(aTHX_ xsubs, C_ARRAY_LENGTH(xsubs));
}
