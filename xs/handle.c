/* handle.c - Perl handles for new descriptors. */
#include "aio.h"

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

SV *aio_new_file(pTHX_ aio_cxt *cxt, int fd, int flags, bool terminal)
{
  if (fd <= PL_maxsysfd && !(flags & O_CLOEXEC))
    fcntl(fd, F_SETFD, 0);
  if (fd <= PL_maxsysfd || terminal || !aio_usual_layers(aTHX) || open_pragma(aTHX))
    return aio_new_fh(aTHX_ fd, flags, TRUE);
  return new_glob(aTHX_ cxt->stash, aio_open_silently(aTHX_ fd, mode_of(flags)), fd, flags);
}

/* The wakeup descriptor ------------------------------------------------ */
GV *aio_poll_gv(pTHX_ aio_cxt *cxt, int fd)
{
  PerlIO *f = cxt->poll_gv && GvIO(cxt->poll_gv) ? IoIFP(GvIO(cxt->poll_gv)) : NULL;

  if (f && aio_is_borrowed(f) && PerlIO_fileno(f) == fd)
    return cxt->poll_gv;
  if (f && aio_is_borrowed(f)) /* of another number, which the program has closed */
    PerlIO_close(f);
  else if (f && *f) {            /* the program has opened something else there */
    SvREFCNT_dec_NN(cxt->poll_gv);
    cxt->poll_gv = NULL;
  }
  if (!cxt->poll_gv)
    cxt->poll_gv = new_named(aTHX_ cxt->stash, STR_WITH_LEN("poll_handle"));
  IoIFP(GvIOn(cxt->poll_gv)) = aio_borrow(aTHX_ fd);
  IoTYPE(GvIOn(cxt->poll_gv)) = IoTYPE_RDONLY;
  return cxt->poll_gv;
}
