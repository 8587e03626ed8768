/* req.c - objects for requests: class IO::AIO::REQ.
 *
 * The object is a blessed hash that users may fill, so it lives as long as its
 * request: that owns a reference. The request hangs on it as magic; whichever
 * goes first cuts the other off (perl may free everything when it ends). */
#include "aio.h"

static int object_free(pTHX_ SV *sv, MAGIC *mg)
{
  if (mg->mg_ptr) {
    ((aio_req *)(void *)mg->mg_ptr)->self = NULL;
    mg->mg_ptr = NULL;
  }
  PERL_UNUSED_CONTEXT;
  PERL_UNUSED_VAR(sv);
  return 0;
}

/* A copy in another thread has no request. */
static int object_dup(pTHX_ MAGIC *mg, CLONE_PARAMS *param)
{
  mg->mg_ptr = NULL;
  PERL_UNUSED_CONTEXT;
  PERL_UNUSED_VAR(param);
  return 0;
}

static MGVTBL object_vtbl = { NULL, NULL, NULL, NULL, object_free, NULL, object_dup, NULL };

SV *aio_req_object(pTHX_ aio_cxt *cxt, aio_req *aio)
{
  SV *ref;
  MAGIC *mg;

  if (aio->self)
    return newRV_inc((SV *)aio->self);
  aio->self = newHV();
  ref = newRV_inc((SV *)aio->self);
  mg = sv_magicext((SV *)aio->self, NULL, PERL_MAGIC_ext, &object_vtbl, (char *)(void *)aio, 0);
  mg->mg_flags |= MGf_DUP;
  return sv_bless(ref, aio->r.op == EIO_GROUP ? cxt->grp_stash : cxt->req_stash);
}

void aio_req_move_object(pTHX_ aio_req *from, aio_req *to)
{
  MAGIC *mg = from->self ? mg_findext((SV *)from->self, PERL_MAGIC_ext, &object_vtbl) : NULL;

  if (mg)
    mg->mg_ptr = (char *)(void *)to;
  to->self = from->self;
  from->self = NULL;
  PERL_UNUSED_CONTEXT;
}

HV *aio_req_sever(pTHX_ aio_req *aio)
{
  HV *self = aio->self;
  MAGIC *mg = mg_findext((SV *)self, PERL_MAGIC_ext, &object_vtbl);

  if (mg)
    mg->mg_ptr = NULL;
  aio->self = NULL;
  PERL_UNUSED_CONTEXT;
  return self;
}

aio_req *aio_req_of(pTHX_ SV *sv, bool group, const char *func)
{
  MAGIC *mg = NULL;
  aio_req *aio;

  if (SvROK(sv) && SvTYPE(SvRV(sv)) == SVt_PVHV && SvMAGIC(SvRV(sv)))
    mg = mg_findext(SvRV(sv), PERL_MAGIC_ext, &object_vtbl);
  aio = mg ? (aio_req *)(void *)mg->mg_ptr : NULL;
  if (!mg || (group && aio && aio->r.op != EIO_GROUP))
    aio_croak(aTHX_ func, "object of class IO::AIO::REQ expected%s", group ? ", a group" : "");
  return aio;
}

XS_INTERNAL(xs_cancel)
{
  dXSARGS_AIO(1, 1, "req");
  dAIO;
  aio_req *aio;

  aio = aio_req_of(aTHX_ aio_arg_value(aTHX_ ST(0)), FALSE, "cancel");
  if (aio)
    eio_cancel(cxt->eio, &aio->r);
  XSRETURN_EMPTY;
}

XS_INTERNAL(xs_timeout)
{
  dXSARGS_AIO(2, 2, "req, seconds");
  dAIO;
  SV *object = aio_arg_value(aTHX_ ST(0));
  uint64_t ns = aio_arg_timeout(aTHX_ ST(1), "timeout");
  aio_req *aio = aio_req_of(aTHX_ object, FALSE, "timeout");

  if (aio)
    aio_set_timeout(aTHX_ cxt, aio, ns);
  XSRETURN_EMPTY;
}

XS_INTERNAL(xs_cb)
{
  dXSARGS_AIO(1, 2, "req, callback = undef");
  SV *object = aio_arg_value(aTHX_ ST(0)), *old;
  CV *callback = items > 1 ? aio_arg_callback(aTHX_ ST(1), "cb") : NULL;
  aio_req *aio = aio_req_of(aTHX_ object, FALSE, "cb");

  if (!aio)
    XSRETURN_EMPTY;
  if (AIO_CALLBACK(aio) == AIO_RELAY)
    XSRETURN_UNDEF;
  old = AIO_CALLBACK(aio);
  if (items > 1) {
    aio->r.data = SvREFCNT_inc((SV *)callback);
    ST(0) = old ? sv_2mortal(newRV_noinc(old)) : &PL_sv_undef;
  } else
    ST(0) = old ? sv_2mortal(newRV_inc(old)) : &PL_sv_undef;
  XSRETURN(1);
}

void aio_boot_req(pTHX)
{
  static const struct aio_xsub xsubs[] = {
    { "IO::AIO::REQ::cancel", xs_cancel, NULL, 0 },
    { "IO::AIO::REQ::cb", xs_cb, NULL, 0 },
    { "IO::AIO::REQ::timeout", xs_timeout, NULL, 0 },
  };

  aio_install(aTHX_ xsubs, C_ARRAY_LENGTH(xsubs));
}
