/* sys.h - what the files of the plain system calls (sys.c, sys_fd.c) share: the
 * calls, whether the system has them or not, and their arguments. */
#ifndef AIO_SYS_H
#define AIO_SYS_H

#include "aio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Calls ---------------------------------------------------------------- */

/* Stands for a call that the system lacks: evaluates its arguments, and fails
 * with ENOSYS. */
int aio_absent(int unused, ...);
#define AIO_ABSENT(...) aio_absent(0, __VA_ARGS__)

#if defined __linux__
# include <sys/sysmacros.h>
#endif
#if EIO_HAVE_MOUNT
# include <sys/mount.h>
#else
# define mount(...) AIO_ABSENT(__VA_ARGS__)
# define umount(...) AIO_ABSENT(__VA_ARGS__)
#endif
#if !EIO_HAVE_MOUNT || !EIO_HAVE_UMOUNT2
# define umount2(...) AIO_ABSENT(__VA_ARGS__)
#endif
#if !EIO_HAVE_FEXECVE
# define fexecve(...) AIO_ABSENT(__VA_ARGS__)
#endif
#if !EIO_HAVE_POSIX_FADVISE /* returns the error */
# define posix_fadvise(...) (AIO_ABSENT(__VA_ARGS__), ENOSYS)
#endif
#if !EIO_HAVE_SPLICE
# define splice(...) AIO_ABSENT(__VA_ARGS__)
#endif
#if !EIO_HAVE_TEE
# define tee(...) AIO_ABSENT(__VA_ARGS__)
#endif
#if !EIO_HAVE_ACCEPT4
# define accept4(...) AIO_ABSENT(__VA_ARGS__)
#endif
#if EIO_HAVE_EVENTFD
# include <sys/eventfd.h>
#else
# define eventfd(...) AIO_ABSENT(__VA_ARGS__)
#endif
#if EIO_HAVE_INOTIFY
# include <sys/inotify.h>
#else
# define IN_NONBLOCK 0
# define IN_CLOEXEC 0
# define inotify_init1(...) AIO_ABSENT(__VA_ARGS__)
# define inotify_rm_watch(...) AIO_ABSENT(__VA_ARGS__)
#endif
#if EIO_HAVE_MEMFD_CREATE
# include <sys/mman.h>
#else
# define memfd_create(...) AIO_ABSENT(__VA_ARGS__)
#endif
#if EIO_HAVE_TIMERFD
# include <sys/timerfd.h>
#else
# define timerfd_create(...) AIO_ABSENT(__VA_ARGS__)
# define timerfd_settime(...) AIO_ABSENT(__VA_ARGS__)
# define timerfd_gettime(...) AIO_ABSENT(__VA_ARGS__)
#endif
#if !EIO_HAVE_PIPE2
# define pipe2(...) AIO_ABSENT(__VA_ARGS__)
#endif
#if EIO_HAVE_PIPESIZE
# define get_pipe_size(fd) fcntl(fd, F_GETPIPE_SZ)
# define set_pipe_size(fd, size) fcntl(fd, F_SETPIPE_SZ, size)
#else
# define get_pipe_size(fd) AIO_ABSENT(fd)
# define set_pipe_size(fd, size) AIO_ABSENT(fd, size)
#endif
#if EIO_HAVE_PIDFD
# include <sys/syscall.h>
# define PIDFD_CALL(name, ...) (int)syscall(__NR_pidfd_##name, __VA_ARGS__)
#else
# define PIDFD_CALL(name, ...) AIO_ABSENT(__VA_ARGS__)
#endif

/* Arguments and results ------------------------------------------------ */

/* Argument n of an XSUB, or undef when there are fewer. */
#define AIO_SYS_ARG(n) (items > (n) ? ST(n) : &PL_sv_undef)

/* A number for an `int` of a system call; -1, which all the calls here refuse, for
 * one that does not fit. The second takes undef for 0. */
int aio_sys_int(pTHX_ SV *sv, const char *func, const char *arg);
int aio_sys_option(pTHX_ SV *sv, const char *func, const char *arg);

/* A number of 64 bits; *ok becomes false for one that does not fit, and the call must
 * not be made: aio_sys_refuse() is its result then, with errno = EINVAL. */
int64_t aio_sys_int64(pTHX_ SV *sv, bool *ok, const char *func, const char *arg);
int aio_sys_refuse(void);

/* Octets for a system call: a copy that lives as long as the temporaries, ends
 * in NUL, and is "" for undef. NULL with *error set, unless it is, when there is a
 * NUL inside. */
const char *aio_sys_string(pTHX_ SV *sv, int nul, int *error, const char *func, const char *arg);

void aio_boot_sys_fd(pTHX);

#endif
