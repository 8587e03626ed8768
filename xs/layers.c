/* layers.c - handles with layers that are ours; the only file that knows how perl keeps
 * the layers of a handle (perliol). */
#include "aio.h"

#include "perliol.h"

/* Without questions ------------------------------------------------------ */
/* Nothing but speed: PerlIO_fdopen() does the same. It makes the descriptor
 * close-on-exec, asks whether it is a terminal, and for its offset: three system
 * calls, a quarter of the owner's time for open and close (260,000 a second instead of
 * 390,000), whose answers are known here. So the layers are pushed one by one, onto
 * stand-ins that give these answers. */

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

PerlIO *aio_open_silently(pTHX_ int fd, const char *mode)
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

bool aio_usual_layers(pTHX)
{
  const PerlIO_list_t *layers = PL_def_layerlist;

  return layers && layers->cur == 2 && layers->array[0].funcs == PERLIO_FUNCS_CAST(&PerlIO_unix)
         && layers->array[1].funcs == PERLIO_FUNCS_CAST(&PerlIO_perlio);
}

/* Borrowed descriptors --------------------------------------------------- */
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

bool aio_is_borrowed(PerlIO *f)
{
  while (PerlIOValid(f) && PerlIOBase(f)->tab != &borrowed)
    f = PerlIONext(f);
  return PerlIOValid(f);
}

PerlIO *aio_borrow(pTHX_ int fd)
{
  PerlIO *f = aio_open_silently(aTHX_ fd, "r"), *bottom = f;

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
