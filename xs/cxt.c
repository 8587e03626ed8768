/* cxt.c - one context per interpreter, and the memory of requests. */
#include "aio.h"

#define SLAB_SIZE 63

struct aio_slab {
  struct aio_slab *next;
  aio_req reqs[SLAB_SIZE];
};

typedef struct {
  aio_cxt *cxt;
} my_cxt_t;

#define MY_CXT_KEY "IO::AIO::_guts"
START_MY_CXT

char aio_relay;

static bool connect_cxt(aio_cxt *cxt);
static void start_thread(pTHX);

/* Stands for one that is gone. */
static aio_cxt gone;

/* Whether it is the one of the thread that has created this one, which has not
 * come to CLONE yet. */
static bool is_parents(pTHX_ const aio_cxt *cxt)
{
#ifdef MULTIPLICITY
  return cxt->owner != aTHX && cxt != &gone;
#else
  PERL_UNUSED_VAR(cxt);
  return FALSE;
#endif
}

aio_cxt *aio_get_cxt(pTHX)
{
  dMY_CXT;

  if (UNLIKELY(is_parents(aTHX_ MY_CXT.cxt))) {
    start_thread(aTHX); /* the CLONE of another package calls us */
    return aio_get_cxt(aTHX);
  }
  if (UNLIKELY(!MY_CXT.cxt->eio)) {
    if (MY_CXT.cxt == &gone)
      croak("IO::AIO cannot be used any more: perl is shutting down");
    if (!connect_cxt(MY_CXT.cxt))
      croak("IO::AIO: cannot create a context: %s", Strerror(errno));
  }
  return MY_CXT.cxt;
}

/* Requests ------------------------------------------------------------- */

static void more_requests(aio_cxt *cxt)
{
  struct aio_slab *slab;

  Newx(slab, 1, struct aio_slab);
  slab->next = cxt->slabs;
  cxt->slabs = slab;
  for (int i = SLAB_SIZE; i--; ) {
    slab->reqs[i].r.next = (eio_req *)cxt->spare;
    cxt->spare = &slab->reqs[i];
  }
}

aio_req *aio_req_new(pTHX_ aio_cxt *cxt, enum eio_op op)
{
  aio_req *aio;

  if (!cxt->spare)
    more_requests(cxt);
  aio = cxt->spare;
  cxt->spare = AIO_REQ(aio->r.next);
  eio_req_init(&aio->r, op);
  aio->r.pri = (int8_t)cxt->next_pri;
  aio->r.in_class = cxt->next_class;
  aio->self = NULL;
  aio->sv1 = aio->sv2 = NULL;
  cxt->live++;
  PERL_UNUSED_CONTEXT;
  return aio;
}

/* Dropping scalars may run Perl code (DESTROY), so the struct is put back
 * first, and what it owned is dropped from local copies. */
void aio_req_free(pTHX_ aio_cxt *cxt, aio_req *aio)
{
  SV *cb = AIO_CALLBACK(aio) == AIO_RELAY ? NULL : AIO_CALLBACK(aio);
  SV *sv1 = aio->sv1, *sv2 = aio->sv2, *watch = aio_progress_forget(cxt, aio);
  HV *self = aio->self ? aio_req_sever(aTHX_ aio) : NULL;
  eio_req *req = &aio->r;

  if (aio_owns[req->op].path) {
    free(req->path);
    eio_wd_unref(req->wd);
  }
  if (aio_owns[req->op].path2) {
    free(req->path2);
    eio_wd_unref(req->wd2);
  }
  if (aio_owns[req->op].attr)
    free(req->attr);
  aio->r.next = (eio_req *)cxt->spare;
  cxt->spare = aio;
  cxt->live--;
  SvREFCNT_dec(cb);
  SvREFCNT_dec(sv1);
  SvREFCNT_dec(sv2);
  SvREFCNT_dec((SV *)self);
  SvREFCNT_dec(watch);
}

void aio_set_timeout(pTHX_ aio_cxt *cxt, aio_req *aio, uint64_t ns)
{
  if (eio_timeout(cxt->eio, &aio->r, ns) < 0)
    croak("Out of memory for a timeout");
}

/* For one that hangs: what is called back moves, what the thread uses stays. */
static eio_req *stand_in(eio_req *req)
{
  dTHX;
  dAIO;
  aio_req *aio = AIO_REQ(req), *other = aio_req_new(aTHX_ cxt, (enum eio_op)req->op);

  other->r.data = req->data;
  req->data = NULL;
  aio_req_move_object(aTHX_ aio, other);
  aio_progress_moved(cxt, aio, other);
  return &other->r;
}

void aio_submit(pTHX_ aio_cxt *cxt, aio_req *aio)
{
  /* Not between the member of a composite request and its group: it may poll. */
  SV *hook = eio_op_info((enum eio_op)aio->r.op)->name[0] == '_' ? NULL : cxt->on_next_submit;
  uint64_t timeout = cxt->next_timeout;
  dSAVE_ERRNO;

  cxt->next_pri = 0;
  cxt->next_class = NULL;
  eio_submit(cxt->eio, &aio->r);
  if (UNLIKELY(timeout != EIO_NEVER)) {
    cxt->next_timeout = EIO_NEVER;
    aio_set_timeout(aTHX_ cxt, aio, timeout);
  }
  RESTORE_ERRNO;
  if (UNLIKELY(hook != NULL)) {
    dSP;

    cxt->on_next_submit = NULL;
    aio_keep(aTHX_ hook);
    SvREFCNT_dec_NN(hook);
    PUSHSTACKi(PERLSI_MAGIC); /* not even `last` gets out of it: the request is on its way */
    PUSHMARK(SP);
    PUTBACK;
    call_sv(hook, G_VOID | G_DISCARD | G_EVAL | G_KEEPERR);
    POPSTACK;
  }
}

/* Fork ----------------------------------------------------------------- */

static SV *new_guard(pTHX);

void aio_free_orphans(pTHX_ aio_cxt *cxt)
{
  eio_req *req;

  while ((req = eio_orphan(cxt->eio))) {
    aio_settle(aTHX_ AIO_REQ(req));
    eio_release(cxt->eio, req);
    aio_req_free(aTHX_ cxt, AIO_REQ(req));
  }
}

/* In the fork handler no Perl code may run, so what is to be done in the child
 * waits for the end of the statement: that is when the temporary goes whose
 * magic this is. */
static int guard_free(pTHX_ SV *sv, MAGIC *mg)
{
  dMY_CXT;
  aio_cxt *cxt = MY_CXT.cxt;

  PERL_UNUSED_VAR(sv);
  PERL_UNUSED_VAR(mg);
  if (cxt->eio && !cxt->guard) {
    aio_free_orphans(aTHX_ cxt);
    cxt->guard = new_guard(aTHX);
  }
  return 0;
}

static MGVTBL guard_vtbl = { NULL, NULL, NULL, NULL, guard_free, NULL, NULL, NULL };

static SV *new_guard(pTHX)
{
  SV *sv = newSV_type(SVt_PVMG);

  sv_magicext(sv, NULL, PERL_MAGIC_ext, &guard_vtbl, NULL, 0);
  return sv;
}

static void forked(void *data)
{
  aio_cxt *cxt = data;
  dTHXa(cxt->owner);

  cxt->orphans = TRUE; /* for the groups of what is called back just now */
  if (cxt->guard) {
    SV *guard = cxt->guard;

    cxt->guard = NULL;
    sv_2mortal(guard);
  }
}

/* Contexts ------------------------------------------------------------- */

static void shut_down(pTHX_ void *data)
{
  dMY_CXT;
  aio_cxt *cxt = data;

  if (MY_CXT.cxt != cxt || cxt->owner != PERL_GET_THX)
    return; /* a thread has a copy of its ancestors' list of these; they may be gone */
  if (cxt->eio) {
    eio_reset(cxt->eio);
    aio_free_orphans(aTHX_ cxt);
    eio_destroy(cxt->eio);
    cxt->eio = NULL;
  }
  SvREFCNT_dec(cxt->on_next_submit);
  cxt->on_next_submit = NULL;
  SvREFCNT_dec(cxt->slow);
  cxt->slow = NULL;
  SvREFCNT_dec((SV *)cxt->classes);
  aio_progress_end(aTHX_ cxt);
  SvREFCNT_dec(cxt->guard);
  SvREFCNT_dec((SV *)cxt->poll_gv);
  SvREFCNT_dec(cxt->stash);
  SvREFCNT_dec(cxt->req_stash);
  SvREFCNT_dec(cxt->grp_stash);
  SvREFCNT_dec(cxt->wd_stash);
  MY_CXT.cxt = &gone;
  if (cxt->live) { /* a thread is still at one, and its object may point to it */
    aio_abandon_locks(aTHX_ cxt);
    return;
  }
  while (cxt->slabs) {
    struct aio_slab *slab = cxt->slabs;

    cxt->slabs = slab->next;
    Safefree(slab);
  }
  Safefree(cxt->locks);
  Safefree(cxt);
}

bool aio_is_engine(const char *name)
{
  return strEQ(name, "sync") || strEQ(name, "pool") || strEQ(name, "uring");
}

static HV *counted_stash(pTHX_ const char *name)
{
  HV *stash = gv_stashpv(name, GV_ADD);

  SvREFCNT_inc_simple_void_NN(stash);
  return stash;
}

/* The library's part; false with errno when there is no descriptor left, say. */
static bool connect_cxt(aio_cxt *cxt)
{
  const char *engine = PerlEnv_getenv("IO_AIO_ENGINE");

  cxt->eio = eio_create();
  if (!cxt->eio)
    return FALSE;
  eio_on_fork(cxt->eio, forked, cxt);
  eio_on_abandon(cxt->eio, stand_in);
  if (engine && aio_is_engine(engine))
    eio_set_engine(cxt->eio, engine); /* a refusal shows in IO::AIO::engine */
  return TRUE;
}

/* In a new thread nothing may die, or the process ends: what cannot be had now is
 * asked for again when it is needed. */
static aio_cxt *new_cxt(pTHX)
{
  aio_cxt *cxt;

  Newxz(cxt, 1, aio_cxt);
  cxt->owner = PERL_GET_THX;
  cxt->next_timeout = EIO_NEVER;
  cxt->stash = counted_stash(aTHX_ "IO::AIO");
  cxt->req_stash = counted_stash(aTHX_ "IO::AIO::REQ");
  cxt->grp_stash = counted_stash(aTHX_ "IO::AIO::GRP");
  cxt->wd_stash = counted_stash(aTHX_ "IO::AIO::WD");
  cxt->guard = new_guard(aTHX);
  connect_cxt(cxt);
  call_atexit(shut_down, cxt);
  return cxt;
}

/* A new thread starts with a context of its own; request objects that it has
 * been given are inert. */
static void start_thread(pTHX)
{
  MY_CXT_CLONE;
  aio_cxt *parent = MY_CXT.cxt;

  MY_CXT.cxt = new_cxt(aTHX);
  MY_CXT.cxt->in_thread = TRUE;
  if (MY_CXT.cxt->eio)
    eio_hand_over(MY_CXT.cxt->eio); /* CLONE runs in the parent's thread */
  aio_clone_locks(aTHX_ parent);
}

/* Perl calls it once for each package that inherits it, and programs can call
 * it as well. */
XS_INTERNAL(xs_clone)
{
  dXSARGS;
  dMY_CXT;

  PERL_UNUSED_VAR(items);
  if (MY_CXT.cxt == &gone || is_parents(aTHX_ MY_CXT.cxt))
    start_thread(aTHX);
  XSRETURN_EMPTY;
}

void aio_install(pTHX_ const struct aio_xsub *table, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    const char *name = strstr(table[i].name, "::") ? table[i].name
      : Perl_form(aTHX_ "IO::AIO::%s", table[i].name);
    CV *cv = newXS_flags(name, table[i].xsub, __FILE__, table[i].proto, 0);

    XSANY.any_i32 = table[i].ix;
  }
}

void aio_boot_cxt(pTHX)
{
  static const struct aio_xsub xsubs[] = { { "CLONE", xs_clone, NULL, 0 } };
  const char *engine = PerlEnv_getenv("IO_AIO_ENGINE");

  MY_CXT_INIT;
  MY_CXT.cxt = new_cxt(aTHX);
  aio_get_cxt(aTHX); /* croaks when there is none */
  if (engine && *engine && !aio_is_engine(engine))
    warn("IO::AIO: IO_AIO_ENGINE must be sync, pool or uring, not \"%s\"", engine);
  aio_install(aTHX_ xsubs, C_ARRAY_LENGTH(xsubs));
}
