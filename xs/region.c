/* region.c - memory-mapped scalars. */
#include "aio.h"

bool aio_is_mapped(pTHX_ SV *sv)
{
  PERL_UNUSED_CONTEXT;
  PERL_UNUSED_VAR(sv);
  return FALSE;
}

void aio_map_scalar(pTHX_ SV *sv, void *address, size_t size, size_t maplen, int prot)
{
  PERL_UNUSED_VAR(sv);
  PERL_UNUSED_VAR(address);
  PERL_UNUSED_VAR(size);
  PERL_UNUSED_VAR(maplen);
  PERL_UNUSED_VAR(prot);
  aio_croak(aTHX_ "mmap", "not there yet");
}

void aio_boot_region(pTHX)
{
  PERL_UNUSED_CONTEXT;
}
