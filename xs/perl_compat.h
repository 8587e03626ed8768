/* perl_compat.h - perl's headers, without their warnings, and what older perls
 * lack. The only place that asks for perl's version. */
#ifndef AIO_PERL_COMPAT_H
#define AIO_PERL_COMPAT_H

#if defined(__GNUC__)
# pragma GCC diagnostic push
# pragma GCC diagnostic ignored "-Wshadow"
# pragma GCC diagnostic ignored "-Wundef"
# pragma GCC diagnostic ignored "-Wunused-parameter"
# pragma GCC diagnostic ignored "-Wsign-compare"
# pragma GCC diagnostic ignored "-Wstrict-prototypes"
#endif

#include "EXTERN.h"
#include "perl.h"
#include "XSUB.h"

#if defined(__GNUC__)
# pragma GCC diagnostic pop
#endif

#ifndef SvREFCNT_dec_NN
# define SvREFCNT_dec_NN(sv) SvREFCNT_dec(sv)
#endif
#ifndef SVf_PROTECT
# define SVf_PROTECT 0
#endif
#ifndef G_LIST
# define G_LIST G_ARRAY
#endif

#endif
