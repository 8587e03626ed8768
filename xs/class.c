/* class.c - classes of requests by name: libeio knows them by address. */
#include "aio.h"

/* The name of a class; croaks for what cannot be one. */
static const char *name_of(pTHX_ SV *sv, STRLEN *len, const char *func)
{
  const char *name;

  if (!SvOK(sv) || (SvROK(sv) && !SvAMAGIC(sv)))
    aio_croak(aTHX_ func, "name must be a string");
  name = aio_arg_octets(aTHX_ sv, len, func, "name");
  if (!*len || *len > I32_MAX)
    aio_croak(aTHX_ func, "name must not be empty");
  return name;
}

/* The element of that name, NULL if there is none and none is wanted. */
static HE *element(pTHX_ aio_cxt *cxt, const char *name, STRLEN len, bool wanted)
{
  SV *key = newSVpvn_flags(name, len, SVs_TEMP);
  eio_class *made;
  HE *he;

  if (!cxt->classes)
    cxt->classes = newHV();
  he = hv_fetch_ent(cxt->classes, key, 0, 0);
  if (he || !wanted)
    return he;
  made = eio_class_create(cxt->eio);
  if (!made)
    croak("Out of memory for a class");
  return hv_store_ent(cxt->classes, key, newSViv(PTR2IV(made)), 0);
}

static eio_class *class_of(HE *he)
{
  return INT2PTR(eio_class *, SvIVX(HeVAL(he)));
}

/* aioreq_class [$name] */
XS_INTERNAL(xs_next_class)
{
  dXSARGS_AIO(0, 1, "name");
  dAIO;
  SV *value = items ? aio_arg_value(aTHX_ ST(0)) : &PL_sv_undef;
  STRLEN len = 0;
  const char *name = SvOK(value) ? name_of(aTHX_ value, &len, "aioreq_class") : NULL;
  HE *next = name ? element(aTHX_ cxt, name, len, TRUE) : NULL;
  SV *old = cxt->next_class ? newSVpvn_flags(HeKEY(cxt->next_class_name), (STRLEN)HeKLEN(cxt->next_class_name), SVs_TEMP)
    : &PL_sv_undef;

  if (items) {
    cxt->next_class = next ? class_of(next) : NULL;
    cxt->next_class_name = next;
  }
  XSprePUSH;
  EXTEND(SP, 1);
  PUSHs(old);
  XSRETURN(1);
}

/* How many may execute: undef is no limit. */
static unsigned limit_of(pTHX_ SV *sv)
{
  NV n;

  if (!SvOK(sv))
    return UINT_MAX;
  n = aio_arg_double(aTHX_ sv, "class", "max_parallel");
  if (!(n >= 0))
    aio_croak(aTHX_ "class", "max_parallel must be a number, 0 or more, or undef");
  return n >= UINT_MAX ? UINT_MAX : (unsigned)n;
}

static SV *figures(pTHX_ aio_cxt *cxt, const eio_class *of)
{
  struct eio_class_stats stats;
  HV *hv = newHV();

  eio_class_get(cxt->eio, of, &stats);
  (void)hv_stores(hv, "running", newSVuv(stats.running));
  (void)hv_stores(hv, "waiting", newSVuv(stats.waiting));
  (void)hv_stores(hv, "max_parallel", stats.max_parallel == UINT_MAX ? newSV(0) : newSVuv(stats.max_parallel));
  return sv_2mortal(newRV_noinc((SV *)hv));
}

/* class $name[, max_parallel => $number] */
XS_INTERNAL(xs_class)
{
  dXSARGS_AIO(1, 3, "name, max_parallel => number");
  dAIO;
  bool sets = items > 1;
  unsigned limit = 0;
  STRLEN len;
  const char *name;
  HE *he;

  if (sets) {
    const char *option = aio_arg_octets(aTHX_ aio_arg_value(aTHX_ ST(1)), &len, "class", "option");

    if (len != 12 || memNE(option, "max_parallel", 12))
      aio_croak(aTHX_ "class", "unknown option \"%s\"", option);
    if (items < 3)
      aio_croak(aTHX_ "class", "max_parallel needs a value");
    limit = limit_of(aTHX_ aio_arg_value(aTHX_ ST(2)));
  }
  name = name_of(aTHX_ aio_arg_value(aTHX_ ST(0)), &len, "class");
  he = element(aTHX_ cxt, name, len, sets);
  if (sets)
    eio_class_set_max_parallel(cxt->eio, class_of(he), limit);
  ST(0) = he ? figures(aTHX_ cxt, class_of(he)) : &PL_sv_undef;
  XSRETURN(1);
}

void aio_boot_class(pTHX)
{
  static const struct aio_xsub xsubs[] = {
    { "aioreq_class", xs_next_class, ";$", 0 },
    { "class", xs_class, "$;@", 0 },
  };

  aio_install(aTHX_ xsubs, C_ARRAY_LENGTH(xsubs));
}
