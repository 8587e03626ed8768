/* requests.c - one XSUB for all requests: a row of eio_ops.def says what the
 * arguments are and where they go. */
#include "aio.h"

#include <math.h>
#include <sys/mman.h>

/* What the XSUB has to know of a row, worked out once. */
struct row {
  const char *letters;  /* without the ";" */
  char func[32];        /* "aio_read" */
  char proto[16];
  unsigned char nargs;  /* without the callback */
  unsigned char min;
};

static struct row rows[EIO_OP_COUNT];

#define NOT_A_PATH "%s: pathname arguments must be strings, IO::AIO::WD objects or pairs [IO::AIO::WD, string]"

bool aio_has_letter(enum eio_op op, int letter)
{
  return strchr(eio_op_info(op)->args, letter) != NULL;
}

/* Conversions ---------------------------------------------------------- */

static void fail(aio_req *aio, int error)
{
  if (!(aio->r.flags & EIO_FAILED)) {
    aio->r.flags |= EIO_FAILED;
    aio->r.errorno = error;
  }
}

static void keep_handle(aio_req *aio, SV *io)
{
  SV **slot = aio->sv1 ? &aio->sv2 : &aio->sv1;

  *slot = SvREFCNT_inc_simple_NN(io);
}

static int handle(pTHX_ aio_req *aio, SV *sv, int mode, const char *func, const char *arg)
{
  int fd = aio_arg_fd(aTHX_ sv, mode, func, arg);
  IO *io = aio_arg_io(aTHX_ sv);

  if (io)
    keep_handle(aio, (SV *)io);
  return fd;
}

static char *copy_octets(pTHX_ const char *p, STRLEN len)
{
  char *copy = malloc(len + 1);

  if (!copy)
    croak("Out of memory for a path");
  memcpy(copy, p, len);
  copy[len] = 0;
  PERL_UNUSED_CONTEXT;
  return copy;
}

/* A name: octets without NUL. */
static char *name(pTHX_ aio_req *aio, SV *sv, const char *func, const char *arg)
{
  STRLEN len;
  const char *p;

  p = aio_arg_name(aTHX_ sv, &len, func, arg); /* undef: "", with perl's warning */
  if (!p)
    aio_croak(aTHX_ func, NOT_A_PATH, arg);
  if (memchr(p, 0, len)) {
    fail(aio, ENOENT); /* no such name can exist */
    len = 0;
  }
  return copy_octets(aTHX_ p, len);
}

/* An element of an array, or NULL; magic may take it out of the array. */
static SV *element(pTHX_ AV *av, SSize_t n)
{
  SV **sv = av_fetch(av, n, 0);

  return sv ? aio_keep(aTHX_ *sv) : NULL;
}

/* A string, a working directory, or [working directory, string]; its magic has
 * been got. */
static char *path_nomg(pTHX_ aio_req *aio, SV *sv, eio_wd **wd, const char *func, const char *arg)
{
  bool valid;
  AV *av;
  SV *first, *second;

  if (LIKELY(!SvROK(sv)))
    return name(aTHX_ aio, sv, func, arg);
  if (aio_is_wd(aTHX_ sv, wd, &valid)) {
    if (!valid)
      fail(aio, ENOENT);
    eio_wd_ref(*wd);
    return copy_octets(aTHX_ ".", 1);
  }
  av = (AV *)SvRV(sv);
  if (SvTYPE(av) != SVt_PVAV || SvOBJECT(av))
    return name(aTHX_ aio, sv, func, arg);
  if (av_len(av) != 1)
    aio_croak(aTHX_ func, NOT_A_PATH, arg);
  first = element(aTHX_ av, 0);
  second = element(aTHX_ av, 1);
  if (first)
    SvGETMAGIC(first);
  if (!first || !SvOK(first))
    fail(aio, ENOENT);
  else if (!aio_is_wd(aTHX_ first, wd, &valid))
    aio_croak(aTHX_ func, "%s: expected a working directory object or undef in front of the path", arg);
  else if (!valid)
    fail(aio, ENOENT);
  eio_wd_ref(*wd);
  if (!second)
    return copy_octets(aTHX_ "", 0);
  SvGETMAGIC(second);
  return name(aTHX_ aio, second, func, arg);
}

static char *path(pTHX_ aio_req *aio, SV *sv, eio_wd **wd, const char *func, const char *arg)
{
  SvGETMAGIC(sv);
  return path_nomg(aTHX_ aio, sv, wd, func, arg);
}

/* The text of a symbolic link; no working directory applies to it. */
static char *text(pTHX_ aio_req *aio, SV *sv, const char *func)
{
  eio_wd *wd = NULL;
  char *p = path(aTHX_ aio, sv, &wd, func, "srcpath");

  eio_wd_unref(wd);
  return p;
}

static void handle_or_path(pTHX_ aio_req *aio, SV *sv, const char *func)
{
  IO *io;

  SvGETMAGIC(sv);
  io = aio_arg_io(aTHX_ sv);
  if (!io) {
    aio->r.path = path_nomg(aTHX_ aio, sv, &aio->r.wd, func, "fh_or_path");
    return;
  }
  keep_handle(aio, (SV *)io);
  aio->r.fd = aio_io_fd(aTHX_ io, AIO_READ);
  if (aio->r.fd < 0)
    fail(aio, EBADF);
}

/* Both undef: now. One undef: the epoch, as documented. */
static void times_of(pTHX_ aio_req *aio, SV *atime, SV *mtime)
{
  eio_req *req = &aio->r;

  SvGETMAGIC(atime);
  SvGETMAGIC(mtime);
  if (!SvOK(atime) && !SvOK(mtime))
    req->nv1 = req->nv2 = NAN;
  else {
    req->nv1 = SvOK(atime) ? SvNV_nomg(atime) : 0;
    req->nv2 = SvOK(mtime) ? SvNV_nomg(mtime) : 0;
    if (isnan(req->nv1) || isnan(req->nv2))
      fail(aio, EINVAL);
  }
}

/* -1 has a meaning for some calls, so that a number that does not fit fails. */
static int32_t int_arg(pTHX_ aio_req *aio, SV *sv)
{
  int64_t n = aio_arg_int64(aTHX_ sv);
  int32_t i = aio_as_int(n);

  if (i != n && (uint32_t)i != n)
    fail(aio, EINVAL);
  return i;
}

static int32_t int_or(pTHX_ aio_req *aio, SV *sv, int32_t undef)
{
  SvGETMAGIC(sv);
  return SvOK(sv) ? int_arg(aTHX_ aio, sv) : undef;
}

/* Converts argument n of a row. */
static void convert(pTHX_ aio_req *aio, const struct row *row, SV **args, int n)
{
  eio_req *req = &aio->r;
  const char *func = row->func;
  SV *sv = args[n];

  switch (row->letters[n]) {
  case 'F': req->fd = handle(aTHX_ aio, sv, AIO_READ, func, "fh"); break;
  case 'W': req->fd = handle(aTHX_ aio, sv, AIO_WRITE, func, row->letters[1] == 'R' ? "out_fh" : "fh"); break;
  case 'R': req->arg1 = handle(aTHX_ aio, sv, AIO_READ, func, "in_fh"); break;
  case 'E': handle_or_path(aTHX_ aio, sv, func); break;
  case 'P': req->path = path(aTHX_ aio, sv, &req->wd, func, row->letters[1] == 'Q' ? "srcpath" : "pathname"); break;
  case 'Q': req->path2 = path(aTHX_ aio, sv, &req->wd2, func, "dstpath"); break;
  case 'S': req->path = text(aTHX_ aio, sv, func); break;
  case 'o':
    SvGETMAGIC(sv);
    req->offs = SvOK(sv) ? aio_arg_int64(aTHX_ sv) : -1;
    if (req->offs < 0 && SvOK(sv))
      fail(aio, EINVAL);
    break;
  case 'O':
    SvGETMAGIC(sv);
    if (req->op == EIO_TRUNCATE && !SvOK(sv))
      fail(aio, EINVAL); /* a length that was forgotten must not cost the data */
    else
      req->offs = aio_arg_int64(aTHX_ sv);
    break;
  case 'd': req->offs = aio_arg_int64(aTHX_ sv); break;
  case 'z': req->size = (uint64_t)aio_arg_int64(aTHX_ sv); break;
  case 'n':
    SvGETMAGIC(sv);
    req->size = SvOK(sv) && aio_arg_int64(aTHX_ sv) >= 0 ? (uint64_t)aio_arg_int64(aTHX_ sv) : ~(uint64_t)0;
    break;
  case 'i': req->arg1 = int_arg(aTHX_ aio, sv); break;
  case 'm': req->arg2 = int_arg(aTHX_ aio, sv); break;
  case 'c': case 'g': req->arg2 = int_or(aTHX_ aio, sv, -1); break;
  case 'u': req->arg1 = int_or(aTHX_ aio, sv, -1); break;
  case 't': req->nv1 = SvNV(sv); break;
  case 'T': times_of(aTHX_ aio, args[n - 1], sv); break;
  case 'B': aio_buffer_read(aTHX_ aio, sv, args[n - 1], args[n + 1], func); break;
  case 'D': aio_buffer_write(aTHX_ aio, sv, args[n - 1], args[n + 1], func); break;
  case 'Y':
    if (n && row->letters[n - 1] == 'x') {
      int64_t size = aio_arg_int64(aTHX_ args[n - 1]);

      if (size < 0)
        aio_croak(aTHX_ func, "length must not be negative");
      req->size = (uint64_t)size;
      if (!aio_enough_memory(req->size))
        fail(aio, ENOMEM);
    }
    aio_buffer_whole(aTHX_ aio, sv, func);
    break;
  case 'M': aio_buffer_region(aTHX_ aio, sv, args[n + 1], args[n + 2], func); break;
  case 'A': aio_buffer_ctl(aTHX_ aio, sv, func); break;
  default: break; /* x, a: read with their neighbours */
  }
}

/* The XSUB ------------------------------------------------------------- */

/* Drops a request whose arguments turned out bad. */
static void drop(pTHX_ void *data)
{
  aio_req *aio = data;
  dAIO;

  if (cxt->complete == aio)
    return;
  aio->r.flags |= EIO_CANCELLED;
  aio_settle(aTHX_ aio);
  aio_req_free(aTHX_ cxt, aio);
}

/* Perl does not count the references on its stack: code that runs while arguments
 * are read could free the others, so they are kept until the statement ends. */
static void keep_arguments(pTHX_ I32 ax, I32 items)
{
  I32 i = 0;

  while (i < items && !SvGMAGICAL(ST(i)) && !SvAMAGIC(ST(i)))
    i++;
  if (i < items)
    for (i = 0; i < items; i++)
      aio_keep(aTHX_ ST(i));
}

static void usage(pTHX_ const struct row *row)
{
  const char *s = row->nargs == 1 ? "" : "s";

  if (row->min == row->nargs)
    croak("Usage: IO::AIO::%s(%d argument%s, callback = undef)", row->func, row->nargs, s);
  croak("Usage: IO::AIO::%s(%d to %d arguments, callback = undef)", row->func, row->min, row->nargs);
}

/* Values of arguments that were left out. */
static SV *default_arg(pTHX_ enum eio_op op, int n, SV *number)
{
  if (op == EIO_MSYNC && n == 3)
    sv_setiv(number, MS_SYNC);
  else if (eio_op_info(op)->args[n + 1] != 'x')
    sv_setiv(number, 0);
  else
    return &PL_sv_undef;
  PERL_UNUSED_CONTEXT;
  return number;
}

XS_INTERNAL(xs_request)
{
  dXSARGS;
  dAIO;
  enum eio_op op = (enum eio_op)XSANY.any_i32;
  const struct row *row = &rows[op];
  SV *copies[8], **args = &ST(0);
  CV *callback = NULL;
  aio_req *aio;

  if (items < row->min || items > row->nargs + 1)
    usage(aTHX_ row);
  keep_arguments(aTHX_ ax, items);
  if (items > row->nargs)
    callback = aio_arg_callback(aTHX_ ST(row->nargs), row->func);
  if (UNLIKELY(items < row->nargs)) {
    SV *number = sv_newmortal();

    for (int n = 0; n < row->nargs; n++)
      copies[n] = n < items ? ST(n) : default_arg(aTHX_ op, n, number);
    args = copies;
  }
  aio = aio_req_new(aTHX_ cxt, op);
  aio->r.data = SvREFCNT_inc((SV *)callback); /* magic of the others may drop it */
  ENTER;
  SAVEDESTRUCTOR_X(drop, aio);
  for (int n = 0; n < row->nargs; n++) {
    convert(aTHX_ aio, row, args, n);
    if (args != copies)
      args = &ST(0); /* magic may have moved the stack */
  }
  cxt->complete = aio;
  LEAVE;
  cxt->complete = NULL;
  if (GIMME_V == G_VOID) {
    aio_submit(aTHX_ cxt, aio);
    XSRETURN_EMPTY;
  }
  {
    SV *object = sv_2mortal(aio_req_object(aTHX_ cxt, aio));

    aio_submit(aTHX_ cxt, aio);
    ST(0) = object;
    XSRETURN(1);
  }
}

static void prepare_row(enum eio_op op)
{
  const struct eio_op_info *info = eio_op_info(op);
  struct row *row = &rows[op];
  const char *optional = strchr(info->args, ';');
  static char letters[EIO_OP_COUNT][8];
  char *p = row->proto;
  int n = 0;

  row->min = (unsigned char)(optional ? optional - info->args : (long)strlen(info->args));
  for (const char *a = info->args; *a; a++)
    if (*a != ';')
      letters[op][n++] = *a;
  letters[op][n] = 0;
  row->letters = letters[op];
  row->nargs = (unsigned char)n;
  for (int i = 0; i <= n; i++) {
    if (i == row->min)
      *p++ = ';';
    *p++ = '$';
  }
  *p = 0;
  my_snprintf(row->func, sizeof row->func, "aio_%s", info->name + (info->name[0] == '_'));
}

/* Besides the functions, this makes the list of those that are exported on
 * request only; one whose row is private has its name from AIO.pm. */
void aio_boot_requests(pTHX)
{
  AV *on_request = get_av("IO::AIO::ON_REQUEST", GV_ADD);

  for (int op = EIO_GROUP + 1; op < EIO_OP_COUNT; op++) {
    const char *sub = eio_op_info((enum eio_op)op)->name;
    CV *cv;

    prepare_row((enum eio_op)op);
    cv = newXS_flags(Perl_form(aTHX_ "IO::AIO::%s%s", sub[0] == '_' ? "" : "aio_", sub),
                     xs_request, __FILE__, rows[op].proto, 0);
    XSANY.any_i32 = op;
    if (eio_op_info((enum eio_op)op)->on_request)
      av_push(on_request, newSVpv(rows[op].func, 0));
  }
}
