/* walk.c - requests that read trees: groups whose members are the steps of a walk
 * (libeio/eio_walk.h). A step's callback is the one for batches; its result has the walk go on. */
#include "aio.h"

#include <math.h>
#include <sys/stat.h>

/* Options ---------------------------------------------------------------- */

/* Who has an option. */
enum { WALK = 1, DU = 2, REMOVE = 4 };

enum kind { FLAG, DEPTH, DEEPEST, SIZE, TIME, TYPES, PATTERNS, PRUNE, PARALLEL, LINES, COUNTED };

#define AT(member) offsetof(struct eio_walk_options, member)
static const struct option {
  const char *name;
  enum kind kind;
  size_t at;            /* the member; FLAG: the bit */
  unsigned who;         /* has it */
} options[] = {
  { "all", FLAG, EIO_WALK_ALL, DU },
  { "counted", COUNTED, AT(counted), DU },
  { "count", FLAG, EIO_WALK_COUNT, WALK | REMOVE },
  { "follow", FLAG, EIO_WALK_FOLLOW, WALK | DU },
  { "keep_root", FLAG, EIO_WALK_KEEP_ROOT, REMOVE },
  { "lines", LINES, AT(line_end), WALK | REMOVE },
  { "links", FLAG, EIO_WALK_LINKS, WALK },
  { "max_depth", DEEPEST, AT(max_depth), WALK | DU | REMOVE },
  { "max_size", SIZE, AT(max_size), WALK | DU | REMOVE },
  { "min_depth", DEPTH, AT(min_depth), WALK | DU | REMOVE },
  { "min_size", SIZE, AT(min_size), WALK | DU | REMOVE },
  { "name", PATTERNS, AT(names), WALK | DU | REMOVE },
  { "newer", TIME, AT(newer), WALK | DU | REMOVE },
  { "older", TIME, AT(older), WALK | DU | REMOVE },
  { "one_file_system", FLAG, EIO_WALK_ONE_FS, WALK | DU | REMOVE },
  { "parallel", PARALLEL, AT(parallel), WALK | DU | REMOVE },
  { "prune", PRUNE, AT(prune), WALK | DU | REMOVE },
  { "root", FLAG, EIO_WALK_ROOT, WALK | DU },
  { "sort", FLAG, EIO_WALK_SORT, WALK },
  { "stat", FLAG, EIO_WALK_STAT, WALK },
  { "totals", DEPTH, AT(max_told), DU },
  { "types", TYPES, AT(types), WALK | DU | REMOVE },
};

/* What is wanted: C's, and the code that prunes. */
struct wanted {
  struct eio_walk_options o;
  CV *prune; /* not counted; its scalar is kept */
};

#define MEMBER(type, wanted, option) (*(type *)(void *)((char *)&(wanted)->o + (option)->at))

static int64_t number(pTHX_ SV *sv, const char *func, const char *name, int64_t max)
{
  int64_t n;

  if (!aio_arg_int64(aTHX_ sv, &n, func, name) || n < 0 || n > max)
    aio_croak(aTHX_ func, "%s must be a number that is not negative", name);
  return n;
}

static unsigned types(pTHX_ SV *sv, const char *func)
{
  static const char letters[] = "pcdbfls";
  static const unsigned char bits[] = { EIO_DT_FIFO, EIO_DT_CHR, EIO_DT_DIR, EIO_DT_BLK, EIO_DT_REG, EIO_DT_LNK, EIO_DT_SOCK };
  STRLEN len;
  const char *p = aio_arg_octets(aTHX_ sv, &len, func, "types");
  unsigned found = 0;

  for (STRLEN i = 0; i < len; i++) {
    const char *letter = p[i] ? strchr(letters, p[i]) : NULL;

    if (!letter)
      break;
    found |= 1u << bits[letter - letters];
  }
  if (!found || strspn(p, letters) != len)
    aio_croak(aTHX_ func, "types must be letters of \"%s\"", letters);
  return found;
}

/* One pattern, as a string that stays. */
static const char *pattern(pTHX_ SV *sv, const char *func, const char *name)
{
  STRLEN len;
  const char *p;
  SV *copy;

  sv = aio_arg_value(aTHX_ sv);
  if (!SvOK(sv) || (SvROK(sv) && !SvAMAGIC(sv)))
    aio_croak(aTHX_ func, "%s must be a pattern, or an array of patterns", name);
  p = aio_arg_octets(aTHX_ sv, &len, func, name);
  if (memchr(p, 0, len))
    aio_croak(aTHX_ func, "%s: a pattern has no NUL", name);
  copy = newSVpvn_flags(p, len, SVs_TEMP);
  return SvPVX_const(copy);
}

static const char *const *patterns(pTHX_ SV *sv, const char *func, const char *name)
{
  AV *av = SvROK(sv) && SvTYPE(SvRV(sv)) == SVt_PVAV && !SvOBJECT(SvRV(sv)) ? (AV *)SvRV(sv) : NULL;
  SSize_t n = av ? av_len(av) + 1 : 1;
  SV *block = sv_2mortal(newSV((STRLEN)(n + 1) * sizeof(char *)));
  const char **list = (const char **)(void *)SvPVX(block);

  if (av)
    aio_keep(aTHX_ (SV *)av);
  for (SSize_t i = 0; i < n; i++) {
    SV **element = av ? av_fetch(av, i, 0) : &sv;

    list[i] = pattern(aTHX_ element ? aio_keep(aTHX_ *element) : &PL_sv_undef, func, name);
  }
  list[n] = NULL;
  return list;
}

/* The octet that ends each line. */
static char line_end(pTHX_ SV *sv, const char *func)
{
  STRLEN len;
  const char *p = aio_arg_octets(aTHX_ sv, &len, func, "lines");

  if (len != 1)
    aio_croak(aTHX_ func, "lines must be one octet");
  return *p;
}

/* What requests share that get the same hash: it stays empty, and has a reference that magic keeps. */
static int counted_free(pTHX_ SV *sv, MAGIC *mg)
{
  PERL_UNUSED_CONTEXT;
  PERL_UNUSED_VAR(sv);
  eio_walk_counted_unref((struct eio_walk_counted *)(void *)mg->mg_ptr);
  return 0;
}

#ifdef USE_ITHREADS
static int counted_dup(pTHX_ MAGIC *mg, CLONE_PARAMS *param)
{
  PERL_UNUSED_CONTEXT;
  PERL_UNUSED_VAR(param);
  eio_walk_counted_ref((struct eio_walk_counted *)(void *)mg->mg_ptr);
  return 0;
}

static MGVTBL counted_vtbl = { NULL, NULL, NULL, NULL, counted_free, NULL, counted_dup, NULL };
#else
static MGVTBL counted_vtbl = { NULL, NULL, NULL, NULL, counted_free, NULL, NULL, NULL };
#endif

static struct eio_walk_counted *counted(pTHX_ SV *sv, const char *func)
{
  struct eio_walk_counted *found;
  MAGIC *mg;

  if (!SvROK(sv) || SvTYPE(SvRV(sv)) != SVt_PVHV)
    aio_croak(aTHX_ func, "counted must be a hash reference");
  aio_keep(aTHX_ SvRV(sv));
  mg = mg_findext(SvRV(sv), PERL_MAGIC_ext, &counted_vtbl);
  if (mg && eio_walk_counted_is_lost((struct eio_walk_counted *)(void *)mg->mg_ptr)) {
    sv_unmagicext(SvRV(sv), PERL_MAGIC_ext, &counted_vtbl);
    mg = NULL;
  }
  if (mg)
    return (struct eio_walk_counted *)(void *)mg->mg_ptr;
  found = eio_walk_counted_new();
  if (!found)
    croak("Out of memory for a walk");
  mg = sv_magicext(SvRV(sv), NULL, PERL_MAGIC_ext, &counted_vtbl, (const char *)found, 0);
#ifdef USE_ITHREADS
  mg->mg_flags |= MGf_DUP;
#endif
  return found;
}

static void option(pTHX_ struct wanted *wanted, const struct option *option, SV *sv, const char *func)
{
  NV seconds;

  switch (option->kind) {
  case FLAG:
    if (SvTRUE(sv))
      wanted->o.flags |= (unsigned)option->at;
    break;
  case DEPTH: MEMBER(uint32_t, wanted, option) = (uint32_t)number(aTHX_ sv, func, option->name, I32_MAX); break;
  case DEEPEST: /* C knows 0 as no limit */
    wanted->o.max_depth = (uint32_t)number(aTHX_ sv, func, option->name, I32_MAX);
    if (!wanted->o.max_depth)
      wanted->o.max_depth = UINT32_MAX;
    break;
  case SIZE: MEMBER(int64_t, wanted, option) = number(aTHX_ sv, func, option->name, INT64_MAX); break;
  case PARALLEL:
    wanted->o.parallel = (unsigned)number(aTHX_ sv, func, option->name, I32_MAX);
    if (!wanted->o.parallel)
      aio_croak(aTHX_ func, "%s must be at least 1", option->name);
    break;
  case TIME:
    seconds = aio_arg_double(aTHX_ sv, func, option->name);
    if (seconds != seconds)
      aio_croak(aTHX_ func, "%s must be a number of seconds", option->name);
    MEMBER(double, wanted, option) = (double)seconds;
    break;
  case LINES:
    wanted->o.line_end = line_end(aTHX_ sv, func);
    wanted->o.flags |= EIO_WALK_LINES;
    break;
  case COUNTED: wanted->o.counted = counted(aTHX_ sv, func); break;
  case TYPES: wanted->o.types = types(aTHX_ sv, func); break;
  case PRUNE:
    if (SvROK(sv) && SvTYPE(SvRV(sv)) == SVt_PVCV) {
      wanted->prune = (CV *)SvRV(sv);
      wanted->o.flags |= EIO_WALK_HOLD;
      aio_keep(aTHX_ SvRV(sv));
      break;
    } /* fall through */
  case PATTERNS: MEMBER(const char *const *, wanted, option) = patterns(aTHX_ sv, func, option->name);
  }
}

/* Reads a hash of options, of which it makes a copy first: reading one may change the others. */
static void read_options(pTHX_ struct wanted *wanted, SV *sv, unsigned who, const char *func)
{
  HV *hv;
  HE *he;

  wanted->o = (struct eio_walk_options){ .max_size = -1, .newer = NAN, .older = NAN };
  wanted->prune = NULL;
  sv = aio_arg_value(aTHX_ sv);
  if (!SvOK(sv))
    return;
  if (!SvROK(sv) || SvTYPE(SvRV(sv)) != SVt_PVHV)
    aio_croak(aTHX_ func, "options must be a hash reference, or undef");
  hv = newHVhv((HV *)SvRV(sv));
  sv_2mortal((SV *)hv);
  hv_iterinit(hv);
  while ((he = hv_iternext(hv))) {
    STRLEN len;
    const char *name = HePV(he, len);
    size_t i = 0;

    while (i < C_ARRAY_LENGTH(options)
           && (strNE(options[i].name, name) || !(options[i].who & who)))
      i++;
    if (i == C_ARRAY_LENGTH(options))
      aio_croak(aTHX_ func, "unknown option \"%s\"", name);
    if (SvOK(HeVAL(he)))
      option(aTHX_ wanted, &options[i], HeVAL(he), func);
  }
}

/* Steps ------------------------------------------------------------------ */

/* A request for a step, of the same kind as another one, in the same group. */
static void submit_step(pTHX_ aio_cxt *cxt, struct eio_walk_step *step, aio_req *group, const aio_req *like)
{
  aio_req *aio = aio_req_new(aTHX_ cxt, EIO_WALK);
  dSAVE_ERRNO;

  aio->r.pri = group->r.pri;
  aio->r.in_class = group->r.in_class;
  aio->r.buf = step;
  aio->r.data = SvREFCNT_inc((SV *)like->r.data);
  aio->sv1 = SvREFCNT_inc(like->sv1);
  aio->sv2 = SvREFCNT_inc(like->sv2);
  eio_group_add(cxt->eio, &group->r, &aio->r);
  eio_submit(cxt->eio, &aio->r);
  RESTORE_ERRNO;
}

/* Asks about each directory that was found. */
static void prune(pTHX_ struct eio_walk_step *step, SV *code)
{
  for (uint32_t i = 0; i < step->count; i++) {
    struct eio_walk_entry *e = &step->entries[i];
    bool pruned;
    dSP;

    if (!e->held)
      continue;
    ENTER;
    SAVETMPS;
    PUSHMARK(SP);
    XPUSHs(newSVpvn_flags(eio_walk_text(step, e->path), e->path_length, SVs_TEMP));
    mXPUSHu(e->depth);
    PUTBACK;
    call_sv(code, G_SCALAR | G_EVAL);
    SPAGAIN;
    pruned = cBOOL(SvTRUE(*SP));
    POPs;
    PUTBACK;
    if (SvROK(ERRSV) || SvTRUE(ERRSV)) {
      aio_warn(aTHX_ "prune died");
      CLEAR_ERRSV();
      pruned = TRUE;
    }
    if (pruned)
      eio_walk_prune(step, e);
    FREETMPS;
    LEAVE;
  }
}

static SV *new_uint64(pTHX_ uint64_t n)
{
  return sizeof(UV) >= 8 ? newSVuv((UV)n) : newSVnv((NV)n);
}

/* $! as it would be. */
static SV *error_value(pTHX_ int error)
{
  SV *sv = newSVpv(Strerror(error), 0);

  (void)SvUPGRADE(sv, SVt_PVNV);
  SvNV_set(sv, error);
  SvNOK_on(sv);
  return sv;
}

/* [$path, octets, blocks, entries] of a directory, or the last three as members of the result. Steps come as they are
 * done, each directory has its place nevertheless: the last is the root's. */
static void put_total(pTHX_ HV *result, const struct eio_walk_step *step, const struct eio_walk_entry *e)
{
  const struct eio_walk_total *t = &step->totals[e->index];
  AV *av, *directories;

  if (!e->depth) {
    (void)hv_stores(result, "octets", new_uint64(aTHX_ t->octets));
    (void)hv_stores(result, "blocks", new_uint64(aTHX_ t->blocks));
    (void)hv_stores(result, "entries", new_uint64(aTHX_ t->entries));
    return;
  }
  av = newAV();
  av_push(av, newSVpvn(eio_walk_text(step, e->path), e->path_length));
  av_push(av, new_uint64(aTHX_ t->octets));
  av_push(av, new_uint64(aTHX_ t->blocks));
  av_push(av, new_uint64(aTHX_ t->entries));
  directories = (AV *)SvRV(*hv_fetchs(result, "directories", 0));
  (void)av_store(directories, (SSize_t)t->place, newRV_noinc((SV *)av));
}

/* Collects what a step of aio_du has found. */
static void collect(pTHX_ HV *result, const struct eio_walk_step *step)
{
  AV *errors = (AV *)SvRV(*hv_fetchs(result, "errors", 0));

  for (uint32_t i = 0; i < step->count; i++) {
    const struct eio_walk_entry *e = &step->entries[i];

    if (e->errorno) {
      AV *av = newAV();

      av_push(av, newSVpvn(eio_walk_text(step, e->path), e->path_length));
      av_push(av, error_value(aTHX_ e->errorno));
      av_push(errors, newRV_noinc((SV *)av));
    } else if (!e->hidden)
      put_total(aTHX_ result, step, e);
  }
}

/* What the group's callback gets. */
static void set_result(pTHX_ aio_req *group, const aio_req *aio, int64_t told, int error)
{
  AV *result = newAV();

  group->r.errorno = error;
  if (!aio->sv1)
    av_push(result, SvREFCNT_inc(aio_new_int64(aTHX_ told)));
  else
    av_push(result, told < 0 ? newSV(0) : newRV_inc(aio->sv1));
  SvREFCNT_dec(group->sv2);
  group->sv2 = (SV *)result;
}

bool aio_walk_on(pTHX_ aio_cxt *cxt, aio_req *aio)
{
  struct eio_walk_step *step = aio->r.buf, *more;
  aio_req *group = AIO_REQ(aio->r.group);
  int64_t told;

  if (group && group->r.flags & EIO_TIMED_OUT) {
    set_result(aTHX_ group, aio, -1, ETIMEDOUT);
    return FALSE;
  }
  if (!step || !group)
    return FALSE;
  if (aio->sv2)
    prune(aTHX_ step, aio->sv2);
  if (group->r.flags & EIO_CANCELLED)
    return FALSE;
  if (aio->sv1)
    collect(aTHX_ (HV *)aio->sv1, step);
  while ((more = eio_walk_more(step)))
    submit_step(aTHX_ cxt, more, group, aio);
  if (eio_walk_over(step, &told))
    set_result(aTHX_ group, aio, told, told < 0 ? errno : 0);
  return eio_walk_has_some(step) && AIO_CALLBACK(aio);
}

/* Batches ---------------------------------------------------------------- */

static SV *stat_record(pTHX_ const struct stat *st)
{
  AV *av = newAV();

  av_extend(av, 12);
  av_push(av, new_uint64(aTHX_ (uint64_t)st->st_dev));
  av_push(av, new_uint64(aTHX_ (uint64_t)st->st_ino));
  av_push(av, newSVuv(st->st_mode));
  av_push(av, newSVuv((UV)st->st_nlink));
  av_push(av, newSVuv(st->st_uid));
  av_push(av, newSVuv(st->st_gid));
  av_push(av, new_uint64(aTHX_ (uint64_t)st->st_rdev));
  av_push(av, new_uint64(aTHX_ (uint64_t)st->st_size));
  av_push(av, newSViv((IV)st->st_atime));
  av_push(av, newSViv((IV)st->st_mtime));
  av_push(av, newSViv((IV)st->st_ctime));
  av_push(av, newSVuv((UV)st->st_blksize));
  av_push(av, new_uint64(aTHX_ (uint64_t)st->st_blocks));
  return newRV_noinc((SV *)av);
}

/* A number that many entries share. */
static SV *shared(pTHX_ SV **sv, uint32_t n)
{
  if (!*sv || SvUVX(*sv) != n) {
    SvREFCNT_dec(*sv);
    *sv = newSVuv(n);
    SvREADONLY_on(*sv);
  }
  return SvREFCNT_inc_simple_NN(*sv);
}

enum { PATH, TYPE, LEVEL, FAILURE, RECORD, TEXT, MEMBERS };

static SV *entry(pTHX_ const struct eio_walk_step *step, const struct eio_walk_entry *e, SV **types_seen, SV **level)
{
  AV *av = newAV();
  SV **member;

  av_extend(av, e->has_link ? TEXT : e->has_stat ? RECORD : e->errorno ? FAILURE : LEVEL);
  member = AvARRAY(av);
  member[PATH] = newSVpvn(eio_walk_text(step, e->path), e->path_length);
  member[TYPE] = shared(aTHX_ &types_seen[e->type & 15], e->type);
  member[LEVEL] = shared(aTHX_ level, e->depth);
  AvFILLp(av) = LEVEL;
  if (e->errorno || e->has_stat || e->has_link)
    av_push(av, e->errorno ? error_value(aTHX_ e->errorno) : newSV(0));
  if (e->has_stat || e->has_link)
    av_push(av, e->has_stat ? stat_record(aTHX_ &step->stats[e->index]) : newSV(0));
  if (e->has_link)
    av_push(av, newSVpvn(eio_walk_text(step, e->link), e->link_length));
  return newRV_noinc((SV *)av);
}

static SV *batch(pTHX_ const struct eio_walk_step *step)
{
  AV *av = newAV();
  SV *seen[16] = { NULL }, *level = NULL;

  av_extend(av, step->count);
  for (uint32_t i = 0; i < step->count; i++)
    if (!step->entries[i].hidden)
      av_push(av, entry(aTHX_ step, &step->entries[i], seen, &level));
  for (int i = 0; i < 16; i++)
    SvREFCNT_dec(seen[i]);
  SvREFCNT_dec(level);
  return sv_2mortal(newRV_noinc((SV *)av));
}

void aio_walk_push(pTHX_ const struct eio_walk_step *step)
{
  dSP;

  EXTEND(SP, 4);
  PUSHs(batch(aTHX_ step));
  if (step->flags & (EIO_WALK_COUNT | EIO_WALK_LINES)) {
    mPUSHu(step->ndirs);
    mPUSHu(step->nothers);
  }
  if (step->flags & EIO_WALK_LINES)
    PUSHs(newSVpvn_flags(step->lines ? step->lines : "", step->nlines, SVs_TEMP));
  PUTBACK;
}

/* The XSUBs -------------------------------------------------------------- */

static HV *new_totals(pTHX)
{
  HV *hv = newHV();

  (void)hv_stores(hv, "directories", newRV_noinc((SV *)newAV()));
  (void)hv_stores(hv, "errors", newRV_noinc((SV *)newAV()));
  return hv;
}

/* aio_walk and aio_remove $pathname, \%options, $batch, $callback; aio_du $pathname, \%options, $callback */
XS_INTERNAL(xs_walk)
{
  unsigned who = (unsigned)XSANY.any_i32;
  bool du = who == DU;
  const char *func = du ? "aio_du" : who == REMOVE ? "aio_remove" : "aio_walk";
  dXSARGS_AIO(du ? 2 : 3, du ? 3 : 4, du ? "pathname, options, callback = undef" : "pathname, options, batch, callback = undef");
  dAIO;
  CV *batch = du ? NULL : aio_arg_callback(aTHX_ ST(2), func);
  CV *callback = items > (du ? 2 : 3) ? aio_arg_callback(aTHX_ ST(items - 1), func) : NULL;
  struct eio_walk_step *step;
  struct wanted wanted;
  struct aio_path path;
  const char *name;
  aio_req *group, like;
  SV *object;

  if (batch)
    aio_keep(aTHX_ (SV *)batch);
  if (callback)
    aio_keep(aTHX_ (SV *)callback);
  read_options(aTHX_ &wanted, ST(1), who, func);
  name = aio_arg_path(aTHX_ ST(0), &path, func, "pathname");
  if (!wanted.o.parallel)
    wanted.o.parallel = eio_parallel(cxt->eio);
  if (!wanted.o.parallel)
    wanted.o.parallel = 1;
  if (du)
    wanted.o.flags |= EIO_WALK_TOTALS;
  if (who == REMOVE)
    wanted.o.flags |= EIO_WALK_REMOVE;
  step = eio_walk_begin(path.wd, path.error ? "" : name, &wanted.o);
  if (!step)
    croak("Out of memory for a walk");
  group = aio_req_new(aTHX_ cxt, EIO_GROUP);
  group->r.data = SvREFCNT_inc((SV *)callback);
  group->r.arg2 = aio_progress_unit(EIO_WALK);
  object = sv_2mortal(aio_req_object(aTHX_ cxt, group));
  like.r.data = batch;
  like.sv1 = du ? sv_2mortal((SV *)new_totals(aTHX)) : NULL;
  like.sv2 = NULL;
  if (wanted.prune)
    like.sv2 = (SV *)wanted.prune;
  submit_step(aTHX_ cxt, step, group, &like);
  aio_submit(aTHX_ cxt, group);
  ST(0) = object;
  XSRETURN(1);
}

void aio_boot_walk(pTHX)
{
  static const struct aio_xsub xsubs[] = {
    { "aio_walk", xs_walk, "$$$;$", WALK },
    { "aio_du", xs_walk, "$$;$", DU },
    { "aio_remove", xs_walk, "$$$;$", REMOVE },
  };

  aio_install(aTHX_ xsubs, C_ARRAY_LENGTH(xsubs));
}
