/* insight.c - what the library has counted and timed, as Perl sees it. */
#include "aio.h"

/* Histograms end with what is not 0. */
static SV *histogram(pTHX_ const uint64_t buckets[EIO_BUCKETS])
{
  AV *av = newAV();
  int n = EIO_BUCKETS;

  while (n && !buckets[n - 1])
    n--;
  for (int i = 0; i < n; i++)
    av_push(av, newSVnv((NV)buckets[i]));
  return newRV_noinc((SV *)av);
}

#define NUMBER(hv, from, name) (void)hv_stores(hv, #name, newSVnv((NV)(from).name))

static void add_pace(pTHX_ HV *hv, const struct eio_op_pace *pace)
{
  NUMBER(hv, *pace, busy);
  NUMBER(hv, *pace, wait);
  NUMBER(hv, *pace, attempt);
}

static bool is_known(const struct eio_op_pace *pace)
{
  return pace->busy > 0 || pace->wait > 0 || pace->attempt > 0;
}

static void add_counts(pTHX_ HV *hv, const struct eio_op_stats *op)
{
  NUMBER(hv, *op, count);
  NUMBER(hv, *op, errors);
  NUMBER(hv, *op, cancelled);
  NUMBER(hv, *op, octets);
  NUMBER(hv, *op, declined);
  NUMBER(hv, *op, timed);
  (void)hv_stores(hv, "waiting", histogram(aTHX_ op->waiting));
  (void)hv_stores(hv, "execution", histogram(aTHX_ op->execution));
  (void)hv_stores(hv, "delivery", histogram(aTHX_ op->delivery));
}

/* Of one operation; NULL if nothing is known of it. */
static HV *op_stats(pTHX_ aio_cxt *cxt, enum eio_op op)
{
  const struct eio_op_stats *counts = eio_op_stats(cxt->eio, op);
  bool counted = counts && (counts->count || counts->cancelled || counts->declined);
  struct eio_op_pace pace, much;
  HV *hv;

  eio_get_op_pace(cxt->eio, op, FALSE, &pace);
  eio_get_op_pace(cxt->eio, op, TRUE, &much);
  if (!counted && !is_known(&pace) && !is_known(&much))
    return NULL;
  hv = newHV();
  if (counted)
    add_counts(aTHX_ hv, counts);
  if (is_known(&pace))
    add_pace(aTHX_ hv, &pace);
  if (is_known(&much)) {
    HV *inner = newHV();

    add_pace(aTHX_ inner, &much);
    (void)hv_stores(hv, "much", newRV_noinc((SV *)inner));
  }
  return hv;
}

/* The name of a function without aio_: composite requests have their operation's. */
static const char *name_of(const eio_req *req)
{
  const char *name = eio_op_info((enum eio_op)req->op)->name;

  return name + (*name == '_');
}

static SV *all_ops(pTHX_ aio_cxt *cxt)
{
  HV *hv = newHV();

  for (unsigned op = 0; op < EIO_OP_COUNT; op++) {
    HV *one = op_stats(aTHX_ cxt, (enum eio_op)op);
    eio_req req = { .op = op & 0xff };
    const char *name = name_of(&req);

    if (one)
      (void)hv_store(hv, name, (I32)strlen(name), newRV_noinc((SV *)one), 0);
  }
  return newRV_noinc((SV *)hv);
}

static SV *pace_stats(pTHX_ aio_cxt *cxt)
{
  struct eio_pace_stats pace;
  HV *hv = newHV();

  eio_get_pace(cxt->eio, &pace);
  NUMBER(hv, pace, hop);
  NUMBER(hv, pace, step);
  NUMBER(hv, pace, idle);
  NUMBER(hv, pace, wait);
  return newRV_noinc((SV *)hv);
}

XS_INTERNAL(xs_stats)
{
  dXSARGS_AIO(0, 0, "");
  dAIO;
  struct eio_stats stats;
  HV *hv = newHV();

  eio_get_stats(cxt->eio, &stats);
  NUMBER(hv, stats, submitted);
  NUMBER(hv, stats, inlined);
  NUMBER(hv, stats, inline_declined);
  NUMBER(hv, stats, executed);
  NUMBER(hv, stats, parts);
  NUMBER(hv, stats, ring);
  NUMBER(hv, stats, ring_declined);
  NUMBER(hv, stats, wakeups);
  NUMBER(hv, stats, threads_started);
  (void)hv_stores(hv, "pace", pace_stats(aTHX_ cxt));
  (void)hv_stores(hv, "requests", all_ops(aTHX_ cxt));
  XSprePUSH;
  EXTEND(SP, 1);
  PUSHs(sv_2mortal(newRV_noinc((SV *)hv)));
  XSRETURN(1);
}

XS_INTERNAL(xs_stats_reset)
{
  dXSARGS_AIO(0, 0, "");
  dAIO;

  eio_stats_reset(cxt->eio);
  XSRETURN_EMPTY;
}

/* Whoever wants to know of slow ones needs the times of all. */
static void set_insight(pTHX_ aio_cxt *cxt, const char *func)
{
  if (eio_set_insight(cxt->eio, cxt->slow ? 1 : cxt->stats_every) < 0)
    aio_croak(aTHX_ func, "%s", Strerror(errno));
}

XS_INTERNAL(xs_stats_every)
{
  dXSARGS_AIO(1, 1, "nreqs");
  dAIO;
  NV n = aio_arg_double(aTHX_ ST(0), "stats_every", "nreqs");

  if (!(n >= 0))
    aio_croak(aTHX_ "stats_every", "nreqs must be a number, 0 or more");
  cxt->stats_every = n >= UINT_MAX ? UINT_MAX : (unsigned)n;
  set_insight(aTHX_ cxt, "stats_every");
  XSRETURN_EMPTY;
}

/* slow $seconds[, $callback] */
XS_INTERNAL(xs_slow)
{
  dXSARGS_AIO(1, 2, "seconds, callback = a warning");
  dAIO;
  SV *hook = items > 1 ? (SV *)aio_arg_callback(aTHX_ ST(1), "slow") : NULL;
  SV *value, *old;
  NV n;

  if (!hook)
    hook = (SV *)get_cv("IO::AIO::_tell_slow", 0);
  aio_keep(aTHX_ hook);
  value = aio_arg_value(aTHX_ ST(0));
  n = SvOK(value) ? aio_arg_double(aTHX_ value, "slow", "seconds") : 0;
  if (!(n >= 0))
    aio_croak(aTHX_ "slow", "seconds must be a number, 0 or more, or undef");
  old = cxt->slow;
  cxt->slow = SvOK(value) ? SvREFCNT_inc(hook) : NULL;
  cxt->slow_ns = n > 1e9 ? (uint64_t)1e18 : (uint64_t)(n * 1e9);
  SvREFCNT_dec(old);
  set_insight(aTHX_ cxt, "slow");
  XSRETURN_EMPTY;
}

/* Before the request is called back. Not even an exception keeps it from that. */
void aio_tell_slow(pTHX_ aio_cxt *cxt, const eio_req *req)
{
  struct eio_times t;
  dSP;

  if (req->op == EIO_GROUP || req->flags & EIO_CANCELLED || eio_times(req, &t) < 0
      || t.waiting + t.execution + t.delivery < cxt->slow_ns)
    return;
  aio_keep(aTHX_ cxt->slow); /* it may set another */
  PUSHMARK(SP);
  EXTEND(SP, 4);
  mPUSHp(name_of(req), strlen(name_of(req)));
  mPUSHn((NV)t.waiting / 1e9);
  mPUSHn((NV)t.execution / 1e9);
  mPUSHn((NV)t.delivery / 1e9);
  PUTBACK;
  call_sv(cxt->slow, G_VOID | G_DISCARD | G_EVAL | G_KEEPERR);
}

void aio_boot_insight(pTHX)
{
  static const struct aio_xsub xsubs[] = {
    { "stats", xs_stats, "", 0 },
    { "stats_reset", xs_stats_reset, "", 0 },
    { "stats_every", xs_stats_every, "$", 0 },
    { "slow", xs_slow, "$;$", 0 },
  };

  aio_install(aTHX_ xsubs, C_ARRAY_LENGTH(xsubs));
}
