/* aio.h - what the files of the glue share.
 *
 * The glue converts arguments and results, keeps scalars alive while requests
 * use them, and calls back. Everything here runs in the interpreter's thread.
 */
#ifndef AIO_H
#define AIO_H

#define PERL_NO_GET_CONTEXT
#include "perl_compat.h"

#include "../libeio/eio_config.h"
#include "../libeio/eio.h"

/* A request as the glue has it. The request owns one reference to each scalar,
 * until it is released. */
typedef struct aio_req {
  eio_req r;     /* first; r.data is the callback (a CV), NULL or AIO_RELAY */
  HV *self;      /* the Perl object, NULL when there is none */
  SV *sv1;       /* the handle; a group's feeder (a CV) */
  SV *sv2;       /* the buffer, or the second handle; a group's result (an AV) */
} aio_req;

#define AIO_COMPLETE EIO_USER /* its arguments are all there */

#define AIO_REQ(req) ((aio_req *)(req))
#define AIO_CALLBACK(aio) ((SV *)(aio)->r.data)

/* A callback of this value hands the results to the request's group. */
extern char aio_relay;
#define AIO_RELAY ((void *)&aio_relay)

struct aio_lock; /* lock.c */
struct aio_slab; /* cxt.c */
struct aio_watch; /* progress.c */

/* One per interpreter. */
typedef struct aio_cxt {
  eio_ctx *eio;
  PerlInterpreter *owner;  /* NULL in a perl without threads */
  HV *stash, *req_stash, *grp_stash, *wd_stash; /* counted: may be deleted */
  int next_pri;            /* priority of the next request */
  struct aio_watch *watches; /* progress.c */
  uint64_t next_timeout;   /* its time in nanoseconds, or EIO_NEVER */
  eio_class *next_class;   /* its class, or NULL */
  HE *next_class_name;     /* what that is called: an element of `classes` */
  HV *classes;             /* all there are: their addresses, by name; or NULL */
  aio_req *spare;          /* free list, linked by r.next */
  struct aio_slab *slabs;  /* all memory of requests */
  size_t live;             /* requests that are not spare */
  struct aio_lock *locks;  /* scalars in flight, hashed by address */
  unsigned nlocks, locks_size;
  bool in_thread;          /* not the program's first interpreter */
  unsigned max_poll_reqs, max_outstanding;
  uint64_t max_poll_time;  /* nanoseconds */
  SV *on_next_submit;
  unsigned stats_every;    /* of how many requests one shall be timed; 0: none */
  SV *slow;                /* the CV to be told of slow ones, or NULL */
  uint64_t slow_ns;        /* what is slow */
  GV *poll_gv;             /* the handle of the wakeup descriptor, once it was asked for */
  unsigned depth;          /* nested polls */
  bool orphans;            /* a fork or reinit left requests to be freed */
  SV *guard;               /* becomes a temporary in the child of a fork */
} aio_cxt;

/* cxt.c: contexts and the memory of requests. */

/* The interpreter's context; croaks when it is gone (global destruction). */
aio_cxt *aio_get_cxt(pTHX);
#define dAIO aio_cxt *cxt = aio_get_cxt(aTHX)

void aio_boot_cxt(pTHX);
aio_req *aio_req_new(pTHX_ aio_cxt *cxt, enum eio_op op);
/* Drops what a request owns, and its memory. The library must not know it. */
void aio_req_free(pTHX_ aio_cxt *cxt, aio_req *aio);
/* Queues a request with the pending priority, class and timeout; runs the next-submit hook. */
void aio_submit(pTHX_ aio_cxt *cxt, aio_req *aio);
/* It will fail without being executed, with the first error that there was. */
static inline void aio_fail(aio_req *aio, int error)
{
  if (!(aio->r.flags & EIO_FAILED)) {
    aio->r.flags |= EIO_FAILED;
    aio->r.errorno = error;
  }
}
/* Frees what a fork or reinit dropped. */
void aio_free_orphans(pTHX_ aio_cxt *cxt);

/* Gives a request that was submitted so much time. */
void aio_set_timeout(pTHX_ aio_cxt *cxt, aio_req *aio, uint64_t ns);
/* Seconds as nanoseconds; undef is EIO_NEVER, what is negative 0. Croaks for NaN. */
uint64_t aio_arg_timeout(pTHX_ SV *sv, const char *func);

/* progress.c: the callbacks of $req->progress, called by poll. */
void aio_boot_progress(pTHX);
/* What is counted of a request of this kind; for the arg2 of its group. */
int aio_progress_unit(enum eio_op op);
/* Those that are due; and the last one for a request, if it is watched, before it is called back. */
void aio_progress_run(pTHX_ aio_cxt *cxt, uint64_t now);
void aio_progress_last(pTHX_ aio_cxt *cxt, const aio_req *aio);
/* Another request takes its place. */
void aio_progress_moved(aio_cxt *cxt, const aio_req *from, aio_req *to);
/* Nobody watches it any more. Returns the callback, whose reference the caller drops, or NULL. */
SV *aio_progress_forget(aio_cxt *cxt, const aio_req *aio);
void aio_progress_end(pTHX_ aio_cxt *cxt); /* nor any other */

/* class.c */
void aio_boot_class(pTHX);

/* Whether there is an engine of that name, here or elsewhere. */
bool aio_is_engine(const char *name);

/* One XSUB of a table, to be installed into package IO::AIO. */
struct aio_xsub {
  const char *name;  /* without the package when it is IO::AIO */
  XSUBADDR_t xsub;
  const char *proto; /* or NULL */
  int ix;            /* XSANY.any_i32 */
};
void aio_install(pTHX_ const struct aio_xsub *table, size_t n);

/* args.c: arguments. One policy for all functions of the module:
 *
 * - An XSUB keeps its arguments first (aio_begin, aio_keep_args): Perl does not count
 *   the references on its stack, and code that runs while one is read, of a tie, an
 *   overloaded operator or a handler of warnings, may free the others. So may it change
 *   them; hence nothing that belongs to Perl is held across the reading of another
 *   argument unless it is kept by itself: octets are copied, handles are IO objects.
 * - There is one converter for each kind, and each argument goes through one, once. It
 *   gets magic and calls an overloaded operator once.
 * - The order is: callback; numbers, from left to right; path names, strings and IO
 *   objects, likewise; the scalar that is read, written or mapped; at last the
 *   descriptors of the IO objects, for which no Perl code runs any more. (They are looked
 *   at before that scalar, too, which a handle without one leaves as it is.)
 * - What does not fit is refused, and never becomes some other value. A number that is
 *   too large, infinite or none at all (NaN) is an error of the call (EINVAL): what a
 *   system call would say. What can be seen to be a mistake croaks: a reference where
 *   a number belongs, say, as an argument is missing then. Fractions are cut off, text
 *   is a number as everywhere in Perl, objects with an overloaded one are numbers.
 *
 * `func` and `arg` name function and argument in the message of the croak. */

#ifdef MULTIPLICITY
# define AIO_FORMAT_ARG 3
#else
# define AIO_FORMAT_ARG 2
#endif

/* Croaks with "func: message" at the line of the caller outside of IO::AIO;
 * from within a composite request `func` becomes that one's name. */
void aio_croak(pTHX_ const char *func, const char *format, ...)
  __attribute__((noreturn, format(printf, AIO_FORMAT_ARG, AIO_FORMAT_ARG + 1)));

/* The head of an XSUB: croaks with its usage unless the number of arguments is
 * between min and max, and keeps them. */
#define dXSARGS_AIO(min, max, params) \
  dXSARGS; \
  aio_begin(aTHX_ cv, ax, items, min, max, params)
void aio_keep_args(pTHX_ I32 ax, I32 items);

/* Whether no Perl code can run, not even a warning's, whatever is made of a scalar. */
static inline bool aio_is_calm(pTHX_ SV *sv)
{
  if (SvGMAGICAL(sv))
    return FALSE;
  if (SvROK(sv))
    return SvOBJECT(SvRV(sv)) ? !SvAMAGIC(sv) : SvTYPE(SvRV(sv)) != SVt_PVAV && SvTYPE(SvRV(sv)) != SVt_PVHV;
  PERL_UNUSED_CONTEXT;
  return cBOOL(SvFLAGS(sv) & (SVf_IOK | SVf_NOK));
}

static inline void aio_begin(pTHX_ CV *cv, I32 ax, I32 items, I32 min, I32 max, const char *params)
{
  I32 i = 0;

  if (items < min || items > max)
    croak_xs_usage(cv, params);
  while (i < items && aio_is_calm(aTHX_ ST(i)))
    i++;
  if (i < items)
    aio_keep_args(aTHX_ ax, items);
}

/* Keeps a scalar until the end of the statement, by a temporary reference to it. It must
 * not become temporary itself, as by sv_2mortal(): a thread that is created meanwhile
 * would have a copy with that mark for good, and perl takes the strings of temporaries
 * away. (Nor does it help to take the mark off: perl's return from a sub marks
 * whatever is among the temporaries.) Returns it. */
SV *aio_keep(pTHX_ SV *sv);

/* What an argument has as value: a scalar that can be looked at as often as one likes.
 * The other converters do this by themselves; it is for those who have to know whether
 * the value is undef. */
static inline SV *aio_arg_value(pTHX_ SV *sv)
{
  return SvGMAGICAL(sv) ? sv_mortalcopy(sv) : sv;
}

/* An element of an array, kept; NULL when there is none. */
SV *aio_arg_element(pTHX_ AV *av, SSize_t n);

/* Whether a value refers to a plain array of two elements; then they are `two`, kept,
 * NULL for one that does not exist. They are still arguments to be converted. */
bool aio_arg_pair(pTHX_ SV *sv, SV *two[2]);

/* The number that an argument is, as a scalar without magic or overloading. */
SV *aio_arg_plain_number(pTHX_ SV *sv, const char *func, const char *arg);

/* Whether a scalar has an IV and nothing else to say. */
static inline bool aio_is_int(const SV *sv)
{
  return (SvFLAGS(sv) & (SVf_IOK | SVf_IVisUV | SVs_GMG)) == SVf_IOK;
}

/* Whole numbers of 64 bits, whatever the size of perl's integers. False when it does
 * not fit; then *n is the nearest that does, and 0 for NaN. */
bool aio_arg_int64_slowly(pTHX_ SV *sv, int64_t *n, const char *func, const char *arg);
static inline bool aio_arg_int64(pTHX_ SV *sv, int64_t *n, const char *func, const char *arg)
{
  if (UNLIKELY(!aio_is_int(sv)))
    return aio_arg_int64_slowly(aTHX_ sv, n, func, arg);
  *n = SvIVX(sv);
  return TRUE;
}

/* The same, signed or not: for devices and other patterns of 64 bits. */
bool aio_arg_bits(pTHX_ SV *sv, uint64_t *bits, const char *func, const char *arg);

/* An `int` or `unsigned` of a system call (flags, modes, users). False and -1 when
 * it is neither. */
bool aio_arg_int(pTHX_ SV *sv, int *i, const char *func, const char *arg);

/* Seconds; may be anything that a double can be. */
NV aio_arg_double(pTHX_ SV *sv, const char *func, const char *arg);

/* Offset and length within a string of `size` octets, the way of substr: a negative
 * offset counts from the end; a length that is negative or too long is the rest. False
 * when the offset lies outside. */
bool aio_arg_range(int64_t offset, int64_t length, STRLEN size, STRLEN *start, STRLEN *count);
#define AIO_OUTSIDE "offset outside of scalar"

enum { AIO_READ = 1, AIO_WRITE = 2 };

/* A file handle (glob, reference, IO object), or a number: the descriptor. The IO object
 * is not counted. Croaks for what cannot be one. */
struct aio_handle {
  IO *io; /* or NULL */
  int fd;
};
struct aio_handle aio_arg_handle(pTHX_ SV *sv, const char *func, const char *arg);
/* Its descriptor now. Croaks when there is none, and when `mode` has AIO_WRITE and the
 * handle is not open for writing ("mode mismatch"). */
int aio_handle_fd(pTHX_ struct aio_handle handle, int mode, const char *func, const char *arg);
/* Both, for functions with one handle, after all else is read. */
int aio_arg_fd(pTHX_ SV *sv, int mode, const char *func, const char *arg);

/* The IO object of a value, or NULL when that is no handle at all. */
IO *aio_arg_io(pTHX_ SV *sv);
/* Its descriptor for reading or writing, or -1. */
int aio_io_fd(pTHX_ IO *io, int mode);

/* A callback: NULL for undef, else a CV (not counted); croaks otherwise. */
CV *aio_arg_callback(pTHX_ SV *sv, const char *func);

/* The octets of a value, whatever its UTF-8 flag; croaks for wide characters. They last
 * as long as the current statement's temporaries, and as nobody changes the scalar. */
const char *aio_arg_octets(pTHX_ SV *sv, STRLEN *len, const char *func, const char *arg);

/* A path name: a string, a working directory or [working directory, string]. Returns
 * octets that last as those above; wd is not counted, and lasts as long as they do.
 * error is ENOENT when there can be no such path. */
struct aio_path {
  eio_wd *wd;
  STRLEN len;
  int error;
};
const char *aio_arg_path(pTHX_ SV *sv, struct aio_path *path, const char *func, const char *arg);

/* requests.c: one XSUB for all rows of eio_ops.def. */
void aio_boot_requests(pTHX);
/* Which members of a request hold what it owns, by its row: some are unions. */
struct aio_owns {
  bool path;  /* path and wd */
  bool path2; /* path2 and wd2 */
  bool attr;
  bool data;  /* sv2 is a scalar of data, and buf its string when it is locked */
  bool vector; /* sv2 and buf are those of vector.c */
};
extern struct aio_owns aio_owns[EIO_OP_COUNT];

/* req.c, group.c: the objects. */
void aio_boot_req(pTHX);
void aio_boot_group(pTHX);
/* A new reference to the request's object. */
SV *aio_req_object(pTHX_ aio_cxt *cxt, aio_req *aio);
/* Cuts the object off from its request, whose reference it returns. */
HV *aio_req_sever(pTHX_ aio_req *aio);
/* The object is another request's now. */
void aio_req_move_object(pTHX_ aio_req *from, aio_req *to);
/* The request of an object, NULL when it is done; croaks for anything else. Takes the
 * value of an argument (aio_arg_value), as running Perl code could finish it: so all
 * other arguments are read before. */
aio_req *aio_req_of(pTHX_ SV *sv, bool group, const char *func);

/* walk.c: trees. */
void aio_boot_walk(pTHX);
/* The result of a step: has its walk go on. Returns whether there is a batch to call back with. */
bool aio_walk_on(pTHX_ aio_cxt *cxt, aio_req *aio);
/* Pushes what the callback for batches gets. */
void aio_walk_push(pTHX_ const struct eio_walk_step *step);

/* wd.c */
void aio_boot_wd(pTHX);
SV *aio_new_wd(pTHX_ aio_cxt *cxt, eio_wd *wd);
/* Whether a scalar is a working directory object; then *wd is it (NULL: the
 * current directory), and *valid says whether it can be used. */
bool aio_is_wd(pTHX_ SV *sv, eio_wd **wd, bool *valid);

/* callback.c: the poll side. */
/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t aio_now(void);
void aio_boot_callback(pTHX);
/* Calls one of our own functions with two arguments, in an eval: $@ tells whether it died. */
void aio_call_private(pTHX_ const char *name, SV *first, SV *second, I32 flags);
/* Warns of what $@ has. The exception may be an object that cannot be printed, and what
 * handles warnings may die as well: nothing comes of that. */
void aio_warn(pTHX_ const char *text);
/* A number as one between two others; NaN is 0. */
int aio_clamp(NV n, int min, int max);

/* insight.c: figures. */
void aio_boot_insight(pTHX);
/* Tells the program of a request from eio_next() if it was slow; there is a cxt->slow. */
void aio_tell_slow(pTHX_ aio_cxt *cxt, const eio_req *req);

/* result.c: conversions of results. */

/* What a finished request has to do for its arguments, callback or not:
 * unlocks buffers and gives them their length. */
void aio_settle(pTHX_ aio_req *aio);
/* A new mortal for what a system call returned. */
SV *aio_new_int64(pTHX_ int64_t n);
/* Pushes the callback's arguments. The stack pointer is PL_stack_sp. */
void aio_push_results(pTHX_ aio_cxt *cxt, aio_req *aio);
/* A new mortal: what an operation on a tree has done so far. */
SV *aio_tree_done(pTHX_ const eio_req *req);

/* handle.c: both make a new file handle (a glob "fd#N" of IO::AIO), mortal, for
 * a descriptor that is open in the mode of `flags` (O_RDONLY...). NULL with errno
 * on failure, the descriptor is closed then. */

/* For any descriptor. Perl may decide itself whether it is close-on-exec. What can
 * carry text gets the layers that open.pm or -C ask for where the program is. */
SV *aio_new_fh(pTHX_ int fd, int flags, bool text);
/* For one that is close-on-exec and that nobody has read, written or moved yet; it
 * can carry text. It stays so above $^F, else `flags` decide, as in perl's own open. */
SV *aio_new_file(pTHX_ aio_cxt *cxt, int fd, int flags, bool terminal);
/* The context's one handle of its wakeup descriptor, which has this number just now. It
 * does not own the descriptor: a program may close and drop it. Not counted. */
GV *aio_poll_gv(pTHX_ aio_cxt *cxt, int fd);

/* layers.c: as PerlIO_fdopen(), for a descriptor that is close-on-exec, no terminal and
 * at its beginning, where perl's layers are the usual ones: PERLIO in the environment
 * can change them. NULL on failure. */
PerlIO *aio_open_silently(pTHX_ int fd, const char *mode);
/* The same for a descriptor that the handle does not own, and whether one is such. */
PerlIO *aio_borrow(pTHX_ int fd);
bool aio_is_borrowed(PerlIO *f);
bool aio_usual_layers(pTHX);

/* buffer.c: data of requests. */
void aio_boot_buffer(pTHX);

/* Prepares the data of a read, write, slurp or region request: checks and
 * locks the scalar, fills buf and size (and flags), keeps it in sv2. */
void aio_buffer_read(pTHX_ aio_req *aio, SV *data, int64_t offset, int64_t length, const char *func);
void aio_buffer_write(pTHX_ aio_req *aio, SV *data, int64_t offset, int64_t length, const char *func);
void aio_buffer_whole(pTHX_ aio_req *aio, SV *data, const char *func);
void aio_buffer_region(pTHX_ aio_req *aio, SV *data, int64_t offset, int64_t length, const char *func);
void aio_buffer_ctl(pTHX_ aio_req *aio, SV *arg, const char *func);
/* A scalar whose string can be locked: the one that was given, or a private copy. Counted. */
SV *aio_buffer_string(pTHX_ SV *data, const char *func, const char *arg);
/* Has a Perl function of ours store a value; when it dies, the request has failed. */
void aio_store(pTHX_ const char *function, SV *target, SV *value, eio_req *req);
/* Whether so much memory can be had; perl itself would exit. */
bool aio_enough_memory(uint64_t size);
/* Stores the result; called by aio_settle(). */
void aio_buffer_settle(pTHX_ aio_req *aio, bool cancelled);

/* vector.c: arrays of data. The lengths go before the array that gets the strings. */
void aio_vector_lengths(pTHX_ aio_req *aio, SV *sv, const char *func, const char *arg);
void aio_vector_read(pTHX_ aio_req *aio, SV *sv, const char *func, const char *arg);
void aio_vector_write(pTHX_ aio_req *aio, SV *sv, const char *func, const char *arg);
void aio_vector_settle(pTHX_ aio_req *aio, bool cancelled);

/* lock.c: scalars in flight. A locked scalar is read-only for Perl and its string
 * stays where it is; locks nest. */

/* Locks a plain string scalar (POK, octets); the lock counts a reference. */
void aio_lock(pTHX_ SV *sv);
/* Unlocks it. Returns its string, the one that was locked, or NULL when
 * something has replaced it in spite of the lock. */
char *aio_unlock(pTHX_ SV *sv);
/* How often a scalar is locked now. */
unsigned aio_locked(pTHX_ SV *sv);
/* Whether it has got another string in spite of its lock, which does not protect that. */
bool aio_lock_replaced(pTHX_ SV *sv);
/* Whether the string of a locked scalar is perl's own: of malloc's memory, and not a
 * mapping that some other module made of a file. */
bool aio_lock_on_perls(pTHX_ SV *sv);
/* Whether there is a count of those that share its string, with room for one more. */
bool aio_can_share(SV *sv);
/* A thread is being created: its copies of locked scalars are its own. */
void aio_clone_locks(pTHX_ const aio_cxt *parent);
/* The interpreter ends: it frees all scalars, whoever holds references, and workers
 * that are still at a request go on using the strings. */
void aio_abandon_locks(pTHX_ const aio_cxt *cxt);

/* region.c: memory-mapped scalars. */
void aio_boot_region(pTHX);
/* Whether a scalar is mapped; then its string never changes place or length. */
bool aio_is_mapped(pTHX_ SV *sv);
/* Turns a scalar into a mapping of `size` octets at `address` that
 * aio_boot_region's rules protect and that is unmapped with the scalar. */
void aio_map_scalar(pTHX_ SV *sv, void *address, size_t size, size_t maplen, int prot);

/* sys.c, stattime.c, constants.c */
void aio_boot_sys(pTHX);
void aio_boot_stattime(pTHX);
void aio_boot_constants(pTHX);

#endif
