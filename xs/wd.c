/* wd.c - class IO::AIO::WD: working directories as scalars.
 *
 * An object is a reference to a scalar with the directory as magic. The two
 * constants CWD and INVALID_WD have none; their number tells them apart. */
#include "aio.h"

enum { INVALID = -1, CWD = 0, REAL = 1 };

static int wd_free(pTHX_ SV *sv, MAGIC *mg)
{
  eio_wd_unref((eio_wd *)(void *)mg->mg_ptr);
  mg->mg_ptr = NULL;
  PERL_UNUSED_CONTEXT;
  PERL_UNUSED_VAR(sv);
  return 0;
}

/* A copy in another thread is of the same directory, if there are descriptors
 * left; else it is as INVALID_WD. */
static int wd_dup(pTHX_ MAGIC *mg, CLONE_PARAMS *param)
{
  eio_wd *wd = (eio_wd *)(void *)mg->mg_ptr;

  mg->mg_ptr = wd ? (char *)(void *)eio_wd_dup(wd) : NULL;
  PERL_UNUSED_CONTEXT;
  PERL_UNUSED_VAR(param);
  return 0;
}

static MGVTBL wd_vtbl = { NULL, NULL, NULL, NULL, wd_free, NULL, wd_dup, NULL };

static SV *new_object(pTHX_ HV *stash, IV number)
{
  return sv_bless(newRV_noinc(newSViv(number)), stash);
}

SV *aio_new_wd(pTHX_ aio_cxt *cxt, eio_wd *wd)
{
  SV *object = new_object(aTHX_ cxt->wd_stash, REAL);
  MAGIC *mg = sv_magicext(SvRV(object), NULL, PERL_MAGIC_ext, &wd_vtbl, (char *)(void *)wd, 0);

  mg->mg_flags |= MGf_DUP;
  SvREADONLY_on(SvRV(object));
  return object;
}

bool aio_is_wd(pTHX_ SV *sv, eio_wd **wd, bool *valid)
{
  SV *inner;
  MAGIC *mg;

  if (!SvROK(sv))
    return FALSE;
  inner = SvRV(sv);
  if (!SvOBJECT(inner) || SvTYPE(inner) > SVt_PVMG || !sv_derived_from(sv, "IO::AIO::WD"))
    return FALSE;
  mg = SvTYPE(inner) >= SVt_PVMG ? mg_findext(inner, PERL_MAGIC_ext, &wd_vtbl) : NULL;
  *wd = mg ? (eio_wd *)(void *)mg->mg_ptr : NULL;
  *valid = *wd != NULL || (!mg && SvIOK(inner) && SvIVX(inner) == CWD);
  return TRUE;
}

void aio_boot_wd(pTHX)
{
  dAIO;
  HV *stash = gv_stashpvs("IO::AIO", GV_ADD);
  SV *cwd = new_object(aTHX_ cxt->wd_stash, CWD);
  SV *invalid = new_object(aTHX_ cxt->wd_stash, INVALID);

  SvREADONLY_on(SvRV(cwd));
  SvREADONLY_on(SvRV(invalid));
  newCONSTSUB(stash, "CWD", cwd);
  newCONSTSUB(stash, "INVALID_WD", invalid);
}
