/* AIO.xs - brings up the glue in xs/; there is nothing else to see here. */
#include "xs/aio.h"

#ifdef EIO_COVERAGE
void __gcov_dump(void);

/* For processes that end by _exit(), which would not count. */
XS_INTERNAL(xs_cover)
{
  dXSARGS;

  PERL_UNUSED_VAR(items);
  __gcov_dump();
  XSRETURN_EMPTY;
}
#endif

MODULE = IO::AIO  PACKAGE = IO::AIO

PROTOTYPES: DISABLE

BOOT:
  aio_boot_cxt(aTHX);
  aio_boot_constants(aTHX);
  aio_boot_requests(aTHX);
  aio_boot_buffer(aTHX);
  aio_boot_req(aTHX);
  aio_boot_class(aTHX);
  aio_boot_progress(aTHX);
  aio_boot_group(aTHX);
  aio_boot_walk(aTHX);
  aio_boot_wd(aTHX);
  aio_boot_callback(aTHX);
  aio_boot_insight(aTHX);
  aio_boot_region(aTHX);
  aio_boot_sys(aTHX);
  aio_boot_stattime(aTHX);
#ifdef EIO_COVERAGE
  newXS("IO::AIO::_cover", xs_cover, __FILE__);
#endif
