/* result.c - what a finished request leaves, as Perl values. */
#include "aio.h"

#include <sys/stat.h>
#if defined __linux__
# include <sys/sysmacros.h>
#endif
#include <sys/statvfs.h>
#include <fcntl.h>
#include <unistd.h>

/* Directories ---------------------------------------------------------- */

static SV *entry_name(pTHX_ const struct eio_dents *dents, const struct eio_dent *d)
{
  return newSVpvn(eio_dent_name(dents, d), d->namelen);
}

/* [$name, $type, $inode]; the types are shared. */
static SV *entry_details(pTHX_ const struct eio_dents *dents, const struct eio_dent *d, SV **types)
{
  AV *av = newAV();
  SV **type = &types[d->type & 15];

  if (!*type) {
    *type = newSVuv(d->type);
    SvREADONLY_on(*type);
  }
  av_extend(av, 2);
  AvARRAY(av)[0] = entry_name(aTHX_ dents, d);
  AvARRAY(av)[1] = SvREFCNT_inc_simple_NN(*type);
  AvARRAY(av)[2] = sizeof(UV) >= 8 ? newSVuv((UV)d->inode) : newSVnv((NV)d->inode);
  AvFILLp(av) = 2;
  return newRV_noinc((SV *)av);
}

static SV *entries(pTHX_ const struct eio_dents *dents, uint32_t from, uint32_t to, bool details)
{
  AV *av = newAV();
  SV *types[16] = { NULL };

  if (to > from) {
    av_extend(av, (SSize_t)(to - from) - 1);
    for (uint32_t i = from; i < to; i++)
      AvARRAY(av)[i - from] = details ? entry_details(aTHX_ dents, &dents->list[i], types)
        : entry_name(aTHX_ dents, &dents->list[i]);
    AvFILLp(av) = (SSize_t)(to - from) - 1;
  }
  for (int i = 0; i < 16; i++)
    SvREFCNT_dec(types[i]);
  return sv_2mortal(newRV_noinc((SV *)av));
}

/* What a plain readdir leaves: the names in a row. */
static SV *names(pTHX_ const struct eio_dents *dents)
{
  AV *av = newAV();
  const char *name = dents->names;

  if (dents->count) {
    av_extend(av, (SSize_t)dents->count - 1);
    for (uint32_t i = 0; i < dents->count; i++) {
      size_t len = strlen(name);

      AvARRAY(av)[i] = newSVpvn(name, len);
      name += len + 1;
    }
    AvFILLp(av) = (SSize_t)dents->count - 1;
  }
  return sv_2mortal(newRV_noinc((SV *)av));
}

/* Others --------------------------------------------------------------- */

/* Not perl's own undef: callbacks may modify their arguments. */
static SV *new_undef(pTHX)
{
  return sv_newmortal();
}

SV *aio_new_int64(pTHX_ int64_t n)
{
  return sv_2mortal(sizeof(IV) >= 8 || (n >= IV_MIN && n <= IV_MAX) ? newSViv((IV)n) : newSVnv((NV)n));
}

static SV *new_uint64(pTHX_ uint64_t n)
{
  return sizeof(UV) >= 8 ? newSVuv((UV)n) : newSVnv((NV)n);
}

static SV *statvfs_hash(pTHX_ const struct statvfs *st)
{
  HV *hv = newHV();

#define MEMBER(name) (void)hv_stores(hv, #name, new_uint64(aTHX_ st->f_##name))
  MEMBER(bsize);
  MEMBER(frsize);
  MEMBER(blocks);
  MEMBER(bfree);
  MEMBER(bavail);
  MEMBER(files);
  MEMBER(ffree);
  MEMBER(favail);
  MEMBER(fsid);
  MEMBER(flag);
  MEMBER(namemax);
#undef MEMBER
  return sv_2mortal(newRV_noinc((SV *)hv));
}

static SV *extents(pTHX_ const struct eio_extent *list, int64_t n)
{
  AV *av = newAV();

  if (n > 0)
    av_extend(av, (SSize_t)n - 1);
  for (int64_t i = 0; i < n; i++) {
    AV *extent = newAV();

    av_extend(extent, 3);
    av_push(extent, new_uint64(aTHX_ list[i].logical));
    av_push(extent, new_uint64(aTHX_ list[i].physical));
    av_push(extent, new_uint64(aTHX_ list[i].length));
    av_push(extent, newSVuv(list[i].flags));
    av_push(av, newRV_noinc((SV *)extent));
  }
  return sv_2mortal(newRV_noinc((SV *)av));
}

/* Perl's stat cache, as stat and lstat leave it; lstat of a handle is a stat. */
static void fill_stat_cache(pTHX_ const eio_req *req)
{
  PL_laststype = req->op == EIO_LSTAT && req->fd < 0 ? OP_LSTAT : OP_STAT;
  PL_laststatval = req->result < 0 ? -1 : 0;
  PL_statgv = NULL;
  if (req->result >= 0 && req->buf)
    memcpy(&PL_statcache, req->buf, sizeof PL_statcache);
}

static SV *new_time(pTHX_ struct eio_statx_time t)
{
  return sizeof(IV) >= 8 || t.sec == (IV)t.sec ? newSViv((IV)t.sec) : newSVnv((NV)t.sec);
}

/* An object of IO/AIO/Stat.pm, which names these in the same order: File::stat's thirteen, and what statx(2) has
 * besides. Undef is what was not asked for or is not known, unless stat(2) always has it. */
static SV *stat_object(pTHX_ const struct eio_statx *stx)
{
  AV *av = newAV();
  SV *object = sv_2mortal(newRV_noinc((SV *)av));

#define KNOWN(bit, value) av_push(av, stx->mask & (bit) ? (value) : newSV(0))
  av_extend(av, 29);
  av_push(av, new_uint64(aTHX_ (uint64_t)makedev(stx->dev_major, stx->dev_minor)));
  av_push(av, new_uint64(aTHX_ stx->ino));
  av_push(av, newSVuv(stx->mode));
  av_push(av, newSVuv(stx->nlink));
  av_push(av, newSVuv(stx->uid));
  av_push(av, newSVuv(stx->gid));
  av_push(av, new_uint64(aTHX_ (uint64_t)makedev(stx->rdev_major, stx->rdev_minor)));
  av_push(av, new_uint64(aTHX_ stx->size));
  av_push(av, new_time(aTHX_ stx->atime));
  av_push(av, new_time(aTHX_ stx->mtime));
  av_push(av, new_time(aTHX_ stx->ctime));
  av_push(av, newSVuv(stx->blksize));
  av_push(av, new_uint64(aTHX_ stx->blocks));
  av_push(av, newSVuv(stx->atime.nsec));
  av_push(av, newSVuv(stx->mtime.nsec));
  av_push(av, newSVuv(stx->ctime.nsec));
  KNOWN(EIO_STATX_BTIME, new_time(aTHX_ stx->btime));
  KNOWN(EIO_STATX_BTIME, newSVuv(stx->btime.nsec));
  av_push(av, newSVuv(stx->mask));
  av_push(av, new_uint64(aTHX_ stx->attributes));
  av_push(av, new_uint64(aTHX_ stx->attributes_mask));
  KNOWN(EIO_STATX_MNT_ID | EIO_STATX_MNT_ID_UNIQUE, new_uint64(aTHX_ stx->mnt_id));
  KNOWN(EIO_STATX_DIOALIGN, newSVuv(stx->dio_mem_align));
  KNOWN(EIO_STATX_DIOALIGN, newSVuv(stx->dio_offset_align));
  KNOWN(EIO_STATX_DIO_READ_ALIGN, newSVuv(stx->dio_read_offset_align));
  KNOWN(EIO_STATX_SUBVOL, new_uint64(aTHX_ stx->subvol));
  KNOWN(EIO_STATX_WRITE_ATOMIC, newSVuv(stx->atomic_write_unit_min));
  KNOWN(EIO_STATX_WRITE_ATOMIC, newSVuv(stx->atomic_write_unit_max));
  KNOWN(EIO_STATX_WRITE_ATOMIC, newSVuv(stx->atomic_write_segments_max));
#undef KNOWN
  return sv_bless(object, gv_stashpvs("IO::AIO::Stat", GV_ADD));
}

static SV *take_fh(pTHX_ aio_cxt *cxt, eio_req *req)
{
  SV *fh = NULL;

  if (req->result >= 0) {
    req->flags &= (uint16_t)~EIO_OWNS_FD;
    fh = aio_new_file(aTHX_ cxt, (int)req->result, req->arg1, req->arg2 != 0);
    if (!fh)
      req->errorno = errno;
  }
  return fh ? fh : new_undef(aTHX);
}

static SV *take_wd(pTHX_ aio_cxt *cxt, eio_req *req)
{
  eio_wd *wd = req->buf;

  if (req->result < 0 || !wd)
    return new_undef(aTHX);
  req->buf = NULL;
  return sv_2mortal(aio_new_wd(aTHX_ cxt, wd));
}

/* [[$path, $errno, $what], ...] */
static SV *tree_errors(pTHX_ const struct eio_errors *errors)
{
  AV *av = newAV();

  for (uint32_t i = 0; errors && i < errors->count; i++) {
    const struct eio_error *e = &errors->list[i];
    AV *entry = newAV();

    av_push(entry, newSVpv(e->path, 0));
    av_push(entry, newSViv(e->errorno));
    av_push(entry, newSVpv(e->what, 0));
    av_push(av, newRV_noinc((SV *)entry));
  }
  return sv_2mortal(newRV_noinc((SV *)av));
}

/* What an operation on a tree has done: counts, and what it has told since the last time. */
SV *aio_tree_done(pTHX_ const eio_req *req)
{
  static const char *const names[] = { "directories", "files", "links", "others", "unchanged", "skipped", "deleted", "failed",
                                       "octets", "spared" };
  struct eio_told *told = eio_tree_told(req), *next;
  uint64_t done[EIO_DONE_KINDS];
  HV *hv = newHV();
  AV *av = newAV();

  eio_tree_done(req, done);
  for (int i = 0; i < EIO_DONE_KINDS; i++)
    (void)hv_store(hv, names[i], (I32)strlen(names[i]), SvREFCNT_inc(aio_new_int64(aTHX_ (int64_t)done[i])), 0);
  (void)hv_stores(hv, "told", newRV_noinc((SV *)av));
  for (; told; told = next) {
    AV *entry = newAV();

    next = told->next;
    av_push(entry, newSVpv(told->path, 0));
    av_push(entry, newSViv(told->errorno));
    av_push(entry, newSVpv(told->what, 0));
    av_push(av, newRV_noinc((SV *)entry));
    free(told);
  }
  return sv_2mortal(newRV_noinc((SV *)hv));
}

static void push_group_results(pTHX_ const aio_req *aio)
{
  AV *av = (AV *)aio->sv2;
  SSize_t n = av ? AvFILLp(av) + 1 : 0;
  dSP;

  EXTEND(SP, n);
  for (SSize_t i = 0; i < n; i++)
    PUSHs(AvARRAY(av)[i]);
  PUTBACK;
}

void aio_settle(pTHX_ aio_req *aio)
{
  if (aio->sv2 && aio_owns[aio->r.op].data)
    aio_buffer_settle(aTHX_ aio, cBOOL(aio->r.flags & EIO_CANCELLED));
  else if (aio_owns[aio->r.op].vector)
    aio_vector_settle(aTHX_ aio, cBOOL(aio->r.flags & EIO_CANCELLED));
}

/* dents need EIO_FREE_BUF blocks laid out by the library. */
void aio_push_results(pTHX_ aio_cxt *cxt, aio_req *aio)
{
  eio_req *req = &aio->r;
  const struct eio_dents *dents = req->buf;
  dSP;

  EXTEND(SP, 3);
  switch (eio_op_info((enum eio_op)req->op)->result) {
  case EIO_R_NONE:
    if (req->op == EIO_GROUP) {
      push_group_results(aTHX_ aio);
      return;
    }
    break;
  case EIO_R_STAT:
    fill_stat_cache(aTHX_ req);
    PUSHs(aio_new_int64(aTHX_ req->result));
    break;
  case EIO_R_FD:
    PUTBACK;
    {
      SV *fh = take_fh(aTHX_ cxt, req);

      SPAGAIN;
      PUSHs(fh);
    }
    break;
  case EIO_R_NAMED:
    if (req->result >= 0) {
      SV *name = newSVpvn_flags(req->buf, strlen(req->buf), SVs_TEMP), *fh;

      PUTBACK;
      fh = take_fh(aTHX_ cxt, req);
      SPAGAIN;
      PUSHs(fh);
      PUSHs(name);
    }
    break;
  case EIO_R_WD:
    PUSHs(take_wd(aTHX_ cxt, req));
    break;
  case EIO_R_STATX:
    PUSHs(req->result < 0 ? new_undef(aTHX) : stat_object(aTHX_ req->buf));
    break;
  case EIO_R_STATVFS:
    PUSHs(req->result < 0 ? new_undef(aTHX) : statvfs_hash(aTHX_ req->buf));
    break;
  case EIO_R_NAMES:
    PUSHs(req->result < 0 ? new_undef(aTHX) : names(aTHX_ dents));
    break;
  case EIO_R_DENTS:
    PUSHs(req->result < 0 ? new_undef(aTHX) : !dents->list ? names(aTHX_ dents)
          : entries(aTHX_ dents, 0, dents->count, cBOOL(req->arg1 & EIO_READDIR_DENTS)));
    PUSHs(aio_new_int64(aTHX_ req->arg1 | EIO_READDIR_DENTS)); /* as 4.80 has it */
    break;
  case EIO_R_SCANDIR:
    if (req->result >= 0) {
      PUSHs(entries(aTHX_ dents, 0, dents->ndirs, FALSE));
      PUSHs(entries(aTHX_ dents, dents->ndirs, dents->count, FALSE));
    }
    break;
  case EIO_R_STRING:
    if (req->result >= 0)
      PUSHs(newSVpvn_flags(req->buf, (STRLEN)req->result, SVs_TEMP));
    break;
  case EIO_R_PAGES:
    PUSHs(req->result < 0 ? new_undef(aTHX) : newSVpvn_flags((char *)req->pages, (STRLEN)req->result, SVs_TEMP));
    break;
  case EIO_R_EXTENTS:
    if (req->result >= 0)
      PUSHs(req->buf ? extents(aTHX_ req->buf, req->result)
            : req->arg2 ? extents(aTHX_ NULL, 0) : aio_new_int64(aTHX_ req->result));
    break;
  case EIO_R_BATCH:
    if (req->buf) {
      PUTBACK;
      aio_walk_push(aTHX_ req->buf);
      return;
    }
    break;
  case EIO_R_TREE:
    PUSHs(aio_new_int64(aTHX_ req->result));
    PUSHs(tree_errors(aTHX_ req->errors));
    PUSHs(aio_tree_done(aTHX_ req));
    break;
  case EIO_R_DONE:
  case EIO_R_FILLED:
    PUSHs(aio_new_int64(aTHX_ req->result));
    PUSHs(aio_new_int64(aTHX_ req->flags & EIO_FAILED ? 0 : (int64_t)req->size));
    break;
  case EIO_R_STATUS:
  case EIO_R_COUNT:
  case EIO_R_DATA:
  case EIO_R_ARG:
  case EIO_RESULT_KINDS:
    PUSHs(aio_new_int64(aTHX_ req->result));
  }
  PUTBACK;
}
