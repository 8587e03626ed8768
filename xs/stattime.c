/* stattime.c - sub-second times of perl's stat cache, and statx. */
#include "aio.h"

void aio_boot_stattime(pTHX)
{
  PERL_UNUSED_CONTEXT;
}
