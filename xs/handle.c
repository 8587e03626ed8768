/* handle.c - Perl handles for new descriptors. */
#include "aio.h"

#include "perliol.h"

#include <fcntl.h>
#include <unistd.h>

/* The glob ------------------------------------------------------------- */

/* Not "a": perl would move to the end, and a file that is opened to append is
 * read from its beginning. The system appends in any case. */
static const char *mode_of(int flags)
{
  switch (flags & O_ACCMODE) {
  case O_RDWR:
    return "r+";
  case O_WRONLY:
    return "w";
  default:
    return "r";
  }
}

static GV *new_named(pTHX_ HV *stash, const char *name, STRLEN len)
{
  GV *gv = MUTABLE_GV(newSV(0));

  gv_init_pvn(gv, stash, name, len, 0);
  return gv;
}

static GV *new_numbered(pTHX_ HV *stash, int fd)
{
  char name[16], *end = name + sizeof name, *digit = end;

  do
    *--digit = (char)('0' + fd % 10);
  while (fd /= 10);
  digit -= 3;
  memcpy(digit, "fd#", 3);
  return new_named(aTHX_ stash, digit, (STRLEN)(end - digit));
}

static SV *new_glob(pTHX_ HV *stash, PerlIO *fp, int fd, int flags)
{
  int access = flags & O_ACCMODE;
  GV *gv;
  IO *io;

  if (!fp) {
    dSAVE_ERRNO;

    close(fd);
    RESTORE_ERRNO;
    return NULL;
  }
  gv = new_numbered(aTHX_ stash, fd);
  io = GvIOn(gv);
  IoIFP(io) = fp;
  if (access != O_RDONLY)
    IoOFP(io) = fp;
  IoTYPE(io) = access == O_RDWR ? IoTYPE_RDWR : access == O_RDONLY ? IoTYPE_RDONLY
    : flags & O_APPEND ? IoTYPE_APPEND : IoTYPE_WRONLY;
  return sv_2mortal((SV *)gv);
}

/* Any descriptor ------------------------------------------------------- */

/* Whether the program has chosen layers (open.pm, -C) where it is just now. */
static bool open_pragma(pTHX)
{
  return cBOOL(CopHINTS_get(PL_curcop) & (HINT_LEXICAL_IO_IN | HINT_LEXICAL_IO_OUT));
}

/* (Perl refuses sysread where a layer makes text of the octets.) */
SV *aio_new_fh(pTHX_ int fd, int flags, bool text)
{
  COP *cop = PL_curcop;
  PerlIO *fp;

  if (!text && open_pragma(aTHX))
    PL_curcop = &PL_compiling; /* the default layers */
  fp = PerlIO_fdopen(fd, mode_of(flags));
  PL_curcop = cop;
  return new_glob(aTHX_ gv_stashpvs("IO::AIO", GV_ADD), fp, fd, flags);
}

/* New files ------------------------------------------------------------ */
/* PerlIO_fdopen makes the descriptor close-on-exec, asks whether it is a
 * terminal, and for its offset: three system calls, a quarter of the owner's
 * time for open and close, whose answers are known here. So the layers are
 * pushed one by one (perliol), onto stand-ins that give these answers. */

struct stand_in {
  PerlIOl base;
  int fd;
};

static IV known_fileno(pTHX_ PerlIO *f)
{
  return ((struct stand_in *)(void *)*f)->fd;
}

static IV no_fileno(pTHX_ PerlIO *f)
{
  PERL_UNUSED_ARG(f);
  return -1;
}

/* Below the layer "unix", which takes the descriptor from what is below. */
static PERLIO_FUNCS_DECL(known) = { .fsize = sizeof(PerlIO_funcs), .name = "known", .Fileno = known_fileno };
/* In place of the layer "unix", which "perlio" asks for a terminal and where it
 * is; without an answer it is neither a terminal nor anywhere else than at 0. */
static PERLIO_FUNCS_DECL(silent) = { .fsize = sizeof(PerlIO_funcs), .name = "silent", .Fileno = no_fileno };

static PerlIO *open_silently(pTHX_ int fd, const char *mode)
{
  struct stand_in below = { .base = { .tab = PERLIO_FUNCS_CAST(&known), .flags = PERLIO_F_OPEN }, .fd = fd };
  PerlIO *f = PerlIO_allocate(aTHX);
  PerlIOl *layer;

  if (!f)
    return NULL;
  below.base.head = ((PerlIOl *)(void *)f)->head; /* all layers point to the handle's slot */
  *f = &below.base;
  if (!PerlIO_push(aTHX_ f, PERLIO_FUNCS_CAST(&PerlIO_unix), mode, NULL)) {
    *f = NULL;
    return NULL;
  }
  *PerlIONext(f) = NULL;

  layer = *f;
  layer->tab = PERLIO_FUNCS_CAST(&silent);
  PerlIO_push(aTHX_ f, PERLIO_FUNCS_CAST(&PerlIO_perlio), mode, NULL);
  layer->tab = PERLIO_FUNCS_CAST(&PerlIO_unix);
  return f;
}

/* PERLIO in the environment can change them. */
static bool usual_layers(pTHX)
{
  const PerlIO_list_t *layers = PL_def_layerlist;

  return layers && layers->cur == 2 && layers->array[0].funcs == PERLIO_FUNCS_CAST(&PerlIO_unix)
         && layers->array[1].funcs == PERLIO_FUNCS_CAST(&PerlIO_perlio);
}

SV *aio_new_file(pTHX_ aio_cxt *cxt, int fd, int flags, bool terminal)
{
  if (fd <= PL_maxsysfd && !(flags & O_CLOEXEC))
    fcntl(fd, F_SETFD, 0);
  if (fd <= PL_maxsysfd || terminal || !usual_layers(aTHX) || open_pragma(aTHX))
    return aio_new_fh(aTHX_ fd, flags, TRUE);
  return new_glob(aTHX_ cxt->stash, open_silently(aTHX_ fd, mode_of(flags)), fd, flags);
}

/* The wakeup descriptor ------------------------------------------------ */
/* Its handle does not own it: whatever becomes of the handle, the descriptor stays open.
 * So perl must not count the handle among those that use the number, either, or it
 * would leave the next file of that number open. */

static PerlIO_funcs borrowed; /* like the layer "unix" but for these two */

static IV borrowed_close(pTHX_ PerlIO *f)
{
  IV result = PerlIOBase_close(aTHX_ f);

  PerlIOBase(f)->flags &= (U32)~PERLIO_F_OPEN;
  return result;
}

/* For a new thread, "<&=" (the same number) or "<&" (a descriptor of its own). */
static PerlIO *borrowed_dup(pTHX_ PerlIO *f, PerlIO *from, CLONE_PARAMS *param, int flags)
{
  f = PerlIO_unix.Dup(aTHX_ f, from, param, flags);
  if (f && flags & PERLIO_DUP_FD)
    PerlIOBase(f)->tab = PERLIO_FUNCS_CAST(&PerlIO_unix);
  else if (f)
    PerlIOUnix_refcnt_dec(PerlIO_fileno(f));
  return f;
}

static bool is_borrowed(PerlIO *f)
{
  while (PerlIOValid(f) && PerlIOBase(f)->tab != &borrowed)
    f = PerlIONext(f);
  return PerlIOValid(f);
}

static PerlIO *borrow(pTHX_ int fd)
{
  PerlIO *f = open_silently(aTHX_ fd, "r"), *bottom = f;

  if (!f)
    return NULL;
  while (PerlIOValid(PerlIONext(bottom)))
    bottom = PerlIONext(bottom);
  borrowed = PerlIO_unix;
  borrowed.Close = borrowed_close;
  borrowed.Dup = borrowed_dup;
  PerlIOBase(bottom)->tab = &borrowed;
  PerlIOUnix_refcnt_dec(fd);
  return f;
}

GV *aio_poll_gv(pTHX_ aio_cxt *cxt, int fd)
{
  PerlIO *f = cxt->poll_gv && GvIO(cxt->poll_gv) ? IoIFP(GvIO(cxt->poll_gv)) : NULL;

  if (PerlIOValid(f) && is_borrowed(f) && PerlIO_fileno(f) == fd)
    return cxt->poll_gv;
  if (PerlIOValid(f) && is_borrowed(f)) /* of another number, which the program has closed */
    PerlIO_close(f);
  else if (PerlIOValid(f)) {            /* the program has opened something else there */
    SvREFCNT_dec_NN(cxt->poll_gv);
    cxt->poll_gv = NULL;
  }
  if (!cxt->poll_gv)
    cxt->poll_gv = new_named(aTHX_ cxt->stash, STR_WITH_LEN("poll_handle"));
  IoIFP(GvIOn(cxt->poll_gv)) = borrow(aTHX_ fd);
  IoTYPE(GvIOn(cxt->poll_gv)) = IoTYPE_RDONLY;
  return cxt->poll_gv;
}
