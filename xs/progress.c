/* progress.c - tells now and then how far a request is: libeio counts, poll looks.
 *
 * A watch belongs to the context's list until its request is called back, or freed. */
#include "aio.h"

struct aio_watch {
  struct aio_watch *next;
  aio_req *aio;
  SV *callback;       /* a CV, counted */
  uint64_t every, at; /* nanoseconds; when the next call is due */
};

/* Its worker may write that. */
static enum eio_state state_of(const aio_req *aio)
{
  return (enum eio_state)__atomic_load_n(&aio->r.state, __ATOMIC_RELAXED);
}

static struct aio_watch **find(aio_cxt *cxt, const aio_req *aio)
{
  struct aio_watch **p = &cxt->watches;

  while (*p && (*p)->aio != aio)
    p = &(*p)->next;
  return p;
}

void aio_progress_moved(aio_cxt *cxt, const aio_req *from, aio_req *to)
{
  struct aio_watch *watch = *find(cxt, from);

  if (watch)
    watch->aio = to;
}

/* Returns the callback, which is the caller's then; NULL: nobody watches. */
static SV *take(aio_cxt *cxt, const aio_req *aio)
{
  struct aio_watch **p = find(cxt, aio), *watch = *p;
  SV *callback = watch ? watch->callback : NULL;

  if (watch)
    *p = watch->next;
  Safefree(watch);
  return callback;
}

SV *aio_progress_forget(aio_cxt *cxt, const aio_req *aio)
{
  return cxt->watches ? take(cxt, aio) : NULL;
}

static void set_tick(aio_cxt *cxt)
{
  uint64_t at = EIO_NEVER;

  for (const struct aio_watch *watch = cxt->watches; watch; watch = watch->next)
    if (watch->at < at)
      at = watch->at;
  eio_set_tick(cxt->eio, at);
}

/* What is counted. A group has this in arg2, so that its members' counts are added up. */
enum unit { REQUESTS, OCTETS, ENTRIES };
static const char *const unit_names[] = { "requests", "octets", "entries" };

int aio_progress_unit(enum eio_op op)
{
  switch (op) {
  case EIO_LOAD: case EIO_SLURP: case EIO_COPY: case EIO_MOVE: case EIO_CPTREE: case EIO_MVTREE: return OCTETS;
  case EIO_SCANDIR: case EIO_RMTREE: case EIO_WALK: return ENTRIES;
  default: return REQUESTS;
  }
}

/* Calls back with what there is now. Exceptions are warnings: a poll goes on. */
static void tell(pTHX_ const aio_req *aio, SV *callback)
{
  const eio_req *req = &aio->r;
  bool group = req->op == EIO_GROUP, over = state_of(aio) == EIO_FINISHED;
  int unit = group ? req->arg2 : aio_progress_unit((enum eio_op)req->op);
  uint64_t made, whole;
  dSP;

  eio_progress(req, &made, &whole);
  if (!group && unit == REQUESTS) {
    made = over;
    whole = 1;
  }
  if ((whole || over) && whole < made)
    whole = made;
  ENTER;
  SAVETMPS;
  PUSHMARK(SP);
  EXTEND(SP, 3);
  PUSHs(aio_new_int64(aTHX_ (int64_t)made));
  PUSHs(whole || over || unit == REQUESTS ? aio_new_int64(aTHX_ (int64_t)whole) : &PL_sv_undef);
  mPUSHp(unit_names[unit], strlen(unit_names[unit]));
  PUTBACK;
  call_sv(callback, G_VOID | G_DISCARD | G_EVAL);
  if (SvROK(ERRSV) || SvTRUE(ERRSV)) {
    aio_warn(aTHX_ "progress died");
    CLEAR_ERRSV();
  }
  FREETMPS;
  LEAVE;
}

/* It is not about to have its last call, or none any more. */
static bool is_under_way(const aio_req *aio)
{
  return (state_of(aio) != EIO_DONE || aio->r.op == EIO_GROUP) && !(aio->r.flags & EIO_CANCELLED);
}

/* The first that is due. */
static struct aio_watch *due(aio_cxt *cxt, uint64_t now)
{
  struct aio_watch *watch = cxt->watches;

  while (watch && watch->at > now)
    watch = watch->next;
  return watch;
}

void aio_progress_run(pTHX_ aio_cxt *cxt, uint64_t now)
{
  struct aio_watch *watch;

  while ((watch = due(cxt, now))) { /* a call may change the list */
    watch->at = now + watch->every;
    aio_keep(aTHX_ watch->callback);
    if (is_under_way(watch->aio))
      tell(aTHX_ watch->aio, watch->callback);
  }
  set_tick(cxt);
}

void aio_progress_last(pTHX_ aio_cxt *cxt, const aio_req *aio)
{
  SV *callback = take(cxt, aio);

  if (!callback)
    return;
  sv_2mortal(newRV_noinc(callback));
  set_tick(cxt);
  tell(aTHX_ aio, callback);
}

void aio_progress_end(pTHX_ aio_cxt *cxt)
{
  while (cxt->watches) {
    SV *callback = take(cxt, cxt->watches->aio);

    SvREFCNT_dec(callback);
  }
}

/* What a tree has come to; undef for others. */
static SV *done_now(pTHX_ SV *object)
{
  aio_req *aio = aio_req_of(aTHX_ object, FALSE, "progress");

  return aio && eio_op_info((enum eio_op)aio->r.op)->result == EIO_R_TREE ? aio_tree_done(aTHX_ &aio->r) : &PL_sv_undef;
}

/* progress [$callback, $interval] */
XS_INTERNAL(xs_progress)
{
  dXSARGS_AIO(1, 3, "req, callback, interval = 1");
  dAIO;
  SV *object = aio_arg_value(aTHX_ ST(0)), *old;
  SV *callback = items > 1 ? (SV *)aio_arg_callback(aTHX_ ST(1), "progress") : NULL;
  NV seconds = items > 2 ? aio_arg_double(aTHX_ ST(2), "progress", "interval") : 1;
  struct aio_watch *watch;
  aio_req *aio;

  if (items < 2) {
    ST(0) = done_now(aTHX_ object);
    XSRETURN(1);
  }
  if (!(seconds > 0))
    aio_croak(aTHX_ "progress", "interval must be a number above 0");
  if (callback)
    aio_keep(aTHX_ callback);
  aio = aio_req_of(aTHX_ object, FALSE, "progress");
  if (!aio || state_of(aio) == EIO_FINISHED || aio->r.flags & EIO_CANCELLED)
    XSRETURN_EMPTY;
  old = aio_progress_forget(cxt, aio);
  if (callback) {
    Newxz(watch, 1, struct aio_watch);
    watch->aio = aio;
    watch->callback = SvREFCNT_inc_simple_NN(callback);
    watch->every = seconds < 0.001 ? 1000000 : seconds > 1e9 ? (uint64_t)1e18 : (uint64_t)(seconds * 1e9);
    watch->at = aio_now() + watch->every;
    watch->next = cxt->watches;
    cxt->watches = watch;
  }
  set_tick(cxt);
  SvREFCNT_dec(old);
  XSRETURN_EMPTY;
}

void aio_boot_progress(pTHX)
{
  static const struct aio_xsub xsubs[] = {
    { "IO::AIO::REQ::progress", xs_progress, NULL, 0 },
  };

  aio_install(aTHX_ xsubs, C_ARRAY_LENGTH(xsubs));
}
