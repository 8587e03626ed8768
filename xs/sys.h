/* sys.h - what the files of the plain system calls (sys.c, sys_fd.c) share. */
#ifndef AIO_SYS_H
#define AIO_SYS_H

#include "aio.h"

#include <errno.h>

/* Stands for a call that the system lacks; evaluates its arguments. */
int aio_absent(int unused, ...);
#define AIO_ABSENT(...) aio_absent(0, __VA_ARGS__)

/* A number for an `int` of a system call (flags, signals, processes). What no
 * int or unsigned can hold becomes -1, which every call refuses, instead of
 * some other number. */
int aio_sys_int(pTHX_ SV *sv);
/* The same for optional argument n of an XSUB: 0 when it is missing or undef. */
#define AIO_SYS_OPTION(n) (items > (n) && SvOK(ST(n)) ? aio_sys_int(aTHX_ ST(n)) : 0)

/* Octets for a system call: a copy that lives as long as the temporaries, ends
 * in NUL, and is "" for undef. NULL with errno = `error` when there is a NUL
 * inside. */
const char *aio_sys_string(pTHX_ SV *sv, int error, const char *func, const char *arg);

/* A new mortal for what a system call returned. */
SV *aio_sys_result(pTHX_ int64_t n);

void aio_boot_sys_fd(pTHX);

#endif
