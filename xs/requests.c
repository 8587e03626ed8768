/* requests.c - one XSUB for all requests: a row of eio_ops.def says what the
 * arguments are and where they go. */
#include "aio.h"

#include <fcntl.h>
#include <math.h>
#include <sys/mman.h>

/* What the XSUB has to know of a row, worked out once. */
#define MAX_ARGS 7
struct row {
  char letters[MAX_ARGS + 1];    /* without the ";"; an x that is a length is an l */
  const char *names[MAX_ARGS];   /* of the arguments, for messages */
  U32 calm[MAX_ARGS + 1];        /* see keep_arguments() */
  U32 undef_ok;                  /* a bit for each that may be undef without a word */
  unsigned char order[MAX_ARGS]; /* in which they are read */
  unsigned char nargs;           /* without the callback */
  unsigned char min;
  unsigned char second;          /* which is the second handle, 0: none */
  bool handles;                  /* some are */
  char func[32];                 /* "aio_read" */
  char proto[16];
};

static struct row rows[EIO_OP_COUNT];
struct aio_owns aio_owns[EIO_OP_COUNT];

/* The letters by kind; the kinds are read in this order. */
#define NUMBERS "oOeznijfmpcugdtaTlxL"
#define NAMES "FWRXEPQSN"
#define DATA "BDYMA"
#define ARRAYS "VG"

static bool is_one_of(char letter, const char *letters)
{
  return letter && strchr(letters, letter);
}

/* Numbers -------------------------------------------------------------- */

/* The numbers beside a scalar of data (letters l and x). */
struct part {
  int64_t offset, length;
};

static int64_t int64_arg(pTHX_ aio_req *aio, SV *sv, const char *func, const char *arg)
{
  int64_t n;

  if (!aio_arg_int64(aTHX_ sv, &n, func, arg))
    aio_fail(aio, EINVAL);
  return n;
}

/* -1 has a meaning for some calls, so that a number that does not fit fails. */
static int32_t int_arg(pTHX_ aio_req *aio, SV *sv, const char *func, const char *arg)
{
  int i;

  if (!aio_arg_int(aTHX_ sv, &i, func, arg))
    aio_fail(aio, EINVAL);
  return i;
}

/* As a number, or as the mode of perl's open. */
static int32_t open_flags(pTHX_ aio_req *aio, SV *sv, const char *func, const char *arg)
{
  static const struct { const char *mode; int flags; } modes[] = {
    { "<", O_RDONLY }, { ">", O_WRONLY | O_CREAT | O_TRUNC }, { ">>", O_WRONLY | O_CREAT | O_APPEND },
    { "+<", O_RDWR }, { "+>", O_RDWR | O_CREAT | O_TRUNC }, { "+>>", O_RDWR | O_CREAT | O_APPEND },
  };

  sv = aio_arg_value(aTHX_ sv);
  if (!SvPOK(sv) || SvROK(sv) || looks_like_number(sv) || !strpbrk(SvPVX_const(sv), "<>"))
    return int_arg(aTHX_ aio, sv, func, arg);
  for (size_t i = 0; i < C_ARRAY_LENGTH(modes); i++)
    if (strEQ(SvPVX_const(sv), modes[i].mode))
      return modes[i].flags;
  aio_croak(aTHX_ func, "%s must be a number, or one of < > >> +< +> +>>", arg);
}

static double seconds_arg(pTHX_ aio_req *aio, SV *sv, const char *func, const char *arg)
{
  double seconds = (double)aio_arg_double(aTHX_ sv, func, arg);

  if (!isfinite(seconds))
    aio_fail(aio, EINVAL);
  return seconds;
}

/* A time: seconds, or [seconds, nanoseconds], which is exact. */
static double time_arg(pTHX_ aio_req *aio, SV *sv, int32_t *nanoseconds, const char *func, const char *arg)
{
  const int64_t exact = (int64_t)1 << 53; /* no double has more whole numbers */
  int64_t seconds;
  SV *two[2];

  if (!aio_arg_pair(aTHX_ sv, two))
    return seconds_arg(aTHX_ aio, sv, func, arg);
  seconds = int64_arg(aTHX_ aio, two[0] ? two[0] : &PL_sv_undef, func, arg);
  *nanoseconds = int_arg(aTHX_ aio, two[1] ? two[1] : &PL_sv_undef, func, arg);
  if (seconds < -exact || seconds > exact)
    aio_fail(aio, EINVAL);
  return (double)seconds;
}

/* Beyond 64 bits is beyond every end, and more than all memory. */
static void part_arg(pTHX_ aio_req *aio, const struct row *row, int n, SV *sv, int64_t *number)
{
  sv = aio_arg_value(aTHX_ sv);
  if (!SvOK(sv) && row->undef_ok & 1u << n)
    return;
  if (!aio_arg_int64(aTHX_ sv, number, row->func, row->names[n]) && !*number)
    aio_fail(aio, EINVAL); /* NaN */
}

/* For those whose undef says something. */
static void optional_number(pTHX_ aio_req *aio, const struct row *row, int n, SV *sv)
{
  eio_req *req = &aio->r;
  const char *func = row->func, *arg = row->names[n];
  bool defined;

  sv = aio_arg_value(aTHX_ sv);
  defined = SvOK(sv) || isGV_with_GP(sv);
  switch (row->letters[n]) {
  case 'o':
    req->offs = defined ? int64_arg(aTHX_ aio, sv, func, arg) : -1;
    if (defined && req->offs < 0)
      aio_fail(aio, EINVAL);
    break;
  case 'e':
    req->offs2 = defined ? int64_arg(aTHX_ aio, sv, func, arg) : -1;
    if (defined && req->offs2 < 0)
      aio_fail(aio, EINVAL);
    break;
  case 'n':
    req->size = defined ? (uint64_t)int64_arg(aTHX_ aio, sv, func, arg) : ~(uint64_t)0;
    if ((int64_t)req->size < 0)
      req->size = ~(uint64_t)0;
    break;
  case 'c': case 'g': case 'p': req->arg2 = defined ? int_arg(aTHX_ aio, sv, func, arg) : -1; break;
  case 'u': req->arg1 = defined ? int_arg(aTHX_ aio, sv, func, arg) : -1; break;
  case 'a': req->nv1 = defined ? time_arg(aTHX_ aio, sv, &req->arg1, func, arg) : NAN; break;
  default: /* T: both undef: now; one undef: the epoch, as documented */
    req->nv2 = defined ? time_arg(aTHX_ aio, sv, &req->arg2, func, arg) : isnan(req->nv1) ? NAN : 0;
    if (isnan(req->nv1) && defined)
      req->nv1 = 0;
  }
}

static void number(pTHX_ aio_req *aio, const struct row *row, int n, SV *sv, struct part *part)
{
  eio_req *req = &aio->r;
  const char *func = row->func, *arg = row->names[n];

  switch (row->letters[n]) {
  case 'f': req->arg1 = open_flags(aTHX_ aio, sv, func, arg); break;
  case 'i': req->arg1 = int_arg(aTHX_ aio, sv, func, arg); break;
  case 'j': case 'm': req->arg2 = int_arg(aTHX_ aio, sv, func, arg); break;
  case 'z': req->size = (uint64_t)int64_arg(aTHX_ aio, sv, func, arg); break;
  case 't': req->nv1 = seconds_arg(aTHX_ aio, sv, func, arg); break;
  case 'd': {
    uint64_t bits;

    if (!aio_arg_bits(aTHX_ sv, &bits, func, arg))
      aio_fail(aio, EINVAL);
    req->offs = (int64_t)bits;
    break;
  }
  case 'O':
    sv = aio_arg_value(aTHX_ sv);
    if (req->op == EIO_TRUNCATE && !SvOK(sv))
      aio_fail(aio, EINVAL); /* a length that was forgotten must not cost the data */
    else
      req->offs = int64_arg(aTHX_ aio, sv, func, arg);
    break;
  case 'l': case 'x': {
    int64_t *number = row->letters[n] == 'l' ? &part->length : &part->offset;

    if (LIKELY(aio_is_int(sv)))
      *number = SvIVX(sv);
    else
      part_arg(aTHX_ aio, row, n, sv, number);
    break;
  }
  case 'L': aio_vector_lengths(aTHX_ aio, sv, func, arg); break;
  case 'o':
    if (LIKELY(aio_is_int(sv) && SvIVX(sv) >= 0)) {
      req->offs = SvIVX(sv);
      break;
    } /* fall through */
  default: optional_number(aTHX_ aio, row, n, sv); break;
  }
}

/* Handles and path names ------------------------------------------------- */

/* The descriptor of one that has an IO object is asked for at last. */
static int32_t handle(pTHX_ SV **keeper, SV *sv, const char *func, const char *arg)
{
  struct aio_handle handle = aio_arg_handle(aTHX_ sv, func, arg);

  *keeper = SvREFCNT_inc((SV *)handle.io);
  return handle.fd;
}

static char *path(pTHX_ aio_req *aio, SV *sv, eio_wd **wd, const char *func, const char *arg)
{
  struct aio_path path;
  const char *p = aio_arg_path(aTHX_ sv, &path, func, arg);
  char *copy = malloc(path.len + 1);

  if (!copy)
    croak("Out of memory for a path");
  memcpy(copy, p, path.len);
  copy[path.len] = 0;
  if (path.error)
    aio_fail(aio, path.error);
  if (wd)
    *wd = eio_wd_ref(path.wd);
  return copy;
}

/* Of something that is no file. */
static char *name(pTHX_ aio_req *aio, SV *sv, const char *func, const char *arg)
{
  STRLEN len;
  const char *p;
  char *copy;

  sv = aio_arg_value(aTHX_ sv);
  if (SvROK(sv) && !SvAMAGIC(sv))
    aio_croak(aTHX_ func, "%s must be a string, not a reference: is an argument missing?", arg);
  p = aio_arg_octets(aTHX_ sv, &len, func, arg);
  if (memchr(p, 0, len))
    aio_fail(aio, EINVAL);
  copy = malloc(len + 1);
  if (!copy)
    croak("Out of memory for a name");
  memcpy(copy, p, len);
  copy[len] = 0;
  return copy;
}

static void handle_or_path(pTHX_ aio_req *aio, SV *sv, const char *func, const char *arg)
{
  SV *value = aio_arg_value(aTHX_ sv);
  IO *io = aio_arg_io(aTHX_ value);

  if (io)
    aio->sv1 = SvREFCNT_inc_simple_NN((SV *)io);
  else
    aio->r.path = path(aTHX_ aio, value, &aio->r.wd, func, arg);
}

/* No Perl code runs any more, which could close them. */
static void descriptors(pTHX_ aio_req *aio, const struct row *row)
{
  IO *io = (IO *)aio->sv1;
  struct aio_handle handle = { io, -1 };

  if (io && row->letters[0] == 'E') {
    aio->r.fd = aio_io_fd(aTHX_ io, AIO_READ);
    if (aio->r.fd < 0)
      aio_fail(aio, EBADF);
  } else if (io)
    aio->r.fd = aio_handle_fd(aTHX_ handle, row->letters[0] == 'W' ? AIO_WRITE : AIO_READ, row->func, row->names[0]);
  if (row->second && aio->sv2) {
    handle.io = (IO *)aio->sv2;
    aio->r.arg1 = aio_handle_fd(aTHX_ handle, row->letters[row->second] == 'X' ? AIO_WRITE : AIO_READ, row->func,
                                row->names[row->second]);
  }
}

/* Data ------------------------------------------------------------------ */

static void data(pTHX_ aio_req *aio, const struct row *row, int n, SV *sv, const struct part *part)
{
  const char *func = row->func;

  if (SvROK(sv) && SvTYPE(SvRV(sv)) == SVt_PVCV && !SvAMAGIC(sv))
    aio_croak(aTHX_ func, "%s must be a scalar, not code: is an argument missing?", row->names[n]);
  if (row->handles)
    descriptors(aTHX_ aio, row); /* who has none leaves the scalar as it is */
  switch (row->letters[n]) {
  case 'B': aio_buffer_read(aTHX_ aio, sv, part->offset, part->length, func); break;
  case 'D': aio_buffer_write(aTHX_ aio, sv, part->offset, part->length, func); break;
  case 'M': aio_buffer_region(aTHX_ aio, sv, part->offset, part->length, func); break;
  case 'A': aio_buffer_ctl(aTHX_ aio, sv, func); break;
  default:
    if (n && row->letters[n - 1] == 'l') {
      if (part->length < 0)
        aio_croak(aTHX_ func, "length must not be negative");
      aio->r.size = (uint64_t)part->length;
      if (!aio_enough_memory(aio->r.size))
        aio_fail(aio, ENOMEM);
    }
    aio_buffer_whole(aTHX_ aio, sv, func);
  }
}

static void array(pTHX_ aio_req *aio, const struct row *row, int n, SV *sv)
{
  descriptors(aTHX_ aio, row); /* who has none leaves the strings as they are */
  if (row->letters[n] == 'V')
    aio_vector_read(aTHX_ aio, sv, row->func, row->names[n]);
  else
    aio_vector_write(aTHX_ aio, sv, row->func, row->names[n]);
}

static void convert(pTHX_ aio_req *aio, const struct row *row, int n, SV *sv, struct part *part)
{
  eio_req *req = &aio->r;
  const char *func = row->func, *arg = row->names[n];

  switch (row->letters[n]) {
  case 'F': case 'W': req->fd = handle(aTHX_ &aio->sv1, sv, func, arg); break;
  case 'R': case 'X': req->arg1 = handle(aTHX_ &aio->sv2, sv, func, arg); break;
  case 'E': handle_or_path(aTHX_ aio, sv, func, arg); break;
  case 'P': req->path = path(aTHX_ aio, sv, &req->wd, func, arg); break;
  case 'Q': req->path2 = path(aTHX_ aio, sv, &req->wd2, func, arg); break;
  case 'N': req->attr = name(aTHX_ aio, sv, func, arg); break;
  case 'S': req->path = path(aTHX_ aio, sv, NULL, func, arg); break; /* text, to which no wd applies */
  case 'B': case 'D': case 'Y': case 'M': case 'A': data(aTHX_ aio, row, n, sv, part); break;
  case 'V': case 'G': array(aTHX_ aio, row, n, sv); break;
  default: number(aTHX_ aio, row, n, sv, part); break;
  }
}

/* The XSUB ------------------------------------------------------------- */

/* Drops a request whose arguments turned out bad. */
static void drop(pTHX_ void *data)
{
  aio_req *aio = data;
  dAIO;

  if (aio->r.flags & AIO_COMPLETE)
    return;
  aio->r.flags |= EIO_CANCELLED;
  aio_settle(aTHX_ aio);
  aio_req_free(aTHX_ cxt, aio);
}

/* As aio_begin() does, but what is calm depends on what is made of it: strings are,
 * where no number is wanted, and undef is where it says something. */
static void keep_arguments(pTHX_ const struct row *row, I32 ax, I32 items)
{
  for (I32 i = 0; i < items; i++) {
    SV *sv = ST(i);
    U32 flags = SvFLAGS(sv);

    if (LIKELY(!(flags & (SVs_GMG | SVf_ROK)) && flags & row->calm[i]))
      continue;
    if (!(flags & (SVs_GMG | SVf_ROK | SVf_OK)) && row->undef_ok & 1u << i && !isGV_with_GP(sv))
      continue;
    if (aio_is_calm(aTHX_ sv))
      continue;
    aio_keep_args(aTHX_ ax, items);
    return;
  }
}

/* What an argument is that was left out. */
static void leave_out(pTHX_ aio_req *aio, const struct row *row, int n)
{
  if (aio->r.op == EIO_MSYNC && row->letters[n] == 'i')
    aio->r.arg1 = MS_SYNC;
  else if (is_one_of(row->letters[n], "oenpcugaT"))
    optional_number(aTHX_ aio, row, n, &PL_sv_undef);
}

/* That of aio_statx's results is loaded by who asks for one, as it takes as long as the rest of the module. */
static void load_class(pTHX)
{
  dSP;

  if (get_cv("IO::AIO::Stat::mask", 0))
    return;
  PUSHMARK(SP);
  mXPUSHs(newSVpvs("Stat"));
  PUTBACK;
  call_pv("IO::AIO::_load_part", G_VOID | G_DISCARD);
}

static void usage(pTHX_ const struct row *row)
{
  const char *s = row->nargs == 1 ? "" : "s";

  if (row->min == row->nargs)
    croak("Usage: IO::AIO::%s(%d argument%s, callback = undef)", row->func, row->nargs, s);
  croak("Usage: IO::AIO::%s(%d to %d arguments, callback = undef)", row->func, row->min, row->nargs);
}

XS_INTERNAL(xs_request)
{
  dXSARGS;
  dAIO;
  enum eio_op op = (enum eio_op)XSANY.any_i32;
  const struct row *row = &rows[op];
  struct part part = { 0, -1 };
  CV *callback = NULL;
  aio_req *aio;

  if (items < row->min || items > row->nargs + 1)
    usage(aTHX_ row);
  keep_arguments(aTHX_ row, ax, items);
  if (op == EIO_STATX)
    load_class(aTHX);
  if (items > row->nargs)
    callback = aio_arg_callback(aTHX_ ST(row->nargs), row->func);
  aio = aio_req_new(aTHX_ cxt, op);
  aio->r.data = SvREFCNT_inc((SV *)callback); /* magic of the others may drop it */
  ENTER;
  SAVEDESTRUCTOR_X(drop, aio);
  for (int i = 0; i < row->nargs; i++) {
    int n = row->order[i];

    if (n < items)
      convert(aTHX_ aio, row, n, ST(n), &part);
    else
      leave_out(aTHX_ aio, row, n);
  }
  if (row->handles)
    descriptors(aTHX_ aio, row);
  aio->r.flags |= AIO_COMPLETE;
  LEAVE;
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

/* Rows ------------------------------------------------------------------ */

/* The names that the manual gives to arguments which are not what their letter says. */
static const struct { enum eio_op op; int n; const char *name; } other_names[] = {
  { EIO_SEEK, 2, "whence" },
  { EIO_OPENAT2, 3, "resolve" },
  { EIO_CLOSE_RANGE, 0, "first" },
  { EIO_CLOSE_RANGE, 1, "last" },
  { EIO_STATX, 2, "mask" },
  { EIO_SENDFILE, 2, "in_offset" },
  { EIO_SENDALL, 2, "in_offset" },
  { EIO_COPY_FILE_RANGE, 1, "in_offset" },
  { EIO_CLONE_RANGE, 1, "in_offset" },
  { EIO_DEDUPE_RANGE, 0, "in_fh" },
  { EIO_DEDUPE_RANGE, 1, "in_offset" },
  { EIO_DEDUPE_RANGE, 2, "out_fh" },
  { EIO_SPLICE, 1, "in_offset" },
  { EIO_TRUNCATE, 1, "length" },
  { EIO_ALLOCATE, 1, "mode" },
  { EIO_FIEMAP, 1, "start" },
  { EIO_SCANDIR, 1, "maxreq" },
  { EIO_FCNTL, 1, "command" },
  { EIO_IOCTL, 1, "command" },
  { EIO_LOCK, 1, "operation" },
};

static const char *name_of(enum eio_op op, int n)
{
  const char *letters = rows[op].letters;

  for (size_t i = 0; i < C_ARRAY_LENGTH(other_names); i++)
    if (other_names[i].op == op && other_names[i].n == n)
      return other_names[i].name;
  switch (letters[n]) {
  case 'F': return strchr(letters, 'X') ? "in_fh" : "fh";
  case 'W': return letters[n + 1] == 'R' ? "out_fh" : "fh";
  case 'R': return "in_fh";
  case 'X': return "out_fh";
  case 'e': return "out_offset";
  case 'E': return "fh_or_path";
  case 'P': return letters[n + 1] == 'Q' ? "srcpath" : "pathname";
  case 'S': return "srcpath";
  case 'N': return "name";
  case 'Q': return "dstpath";
  case 'o': case 'O': return "offset";
  case 'z': case 'n': return "length";
  case 'f': case 'i': case 'j': return "flags";
  case 'm': case 'p': return "mode";
  case 'c': return "count";
  case 'u': return "uid";
  case 'g': return "gid";
  case 'd': return "dev";
  case 't': return "seconds";
  case 'a': return "atime";
  case 'T': return "mtime";
  case 'A': return "argument";
  case 'M': return "scalar";
  case 'L': return "lengths";
  case 'V': case 'G': return "strings";
  case 'l': return "length";
  case 'x': return letters[n - 1] == 'M' ? "offset" : "dataoffset";
  default: return "data";
  }
}

/* Undef in place of a number mostly gets perl's warning. */
static bool undef_is_ok(const char *letters, int n)
{
  if (letters[n] == 'l')
    return !is_one_of(letters[n + 1], "BY");
  if (letters[n] == 'x')
    return letters[n - 1] != 'B';
  return is_one_of(letters[n], "oenpcugaTBYA");
}

static void prepare_arguments(struct row *row)
{
  static const char *const kinds[] = { NUMBERS, NAMES, DATA ARRAYS };
  const U32 number = SVf_IOK | SVf_NOK;
  int k = 0;

  for (size_t kind = 0; kind < C_ARRAY_LENGTH(kinds); kind++)
    for (int n = 0; n < row->nargs; n++)
      if (is_one_of(row->letters[n], kinds[kind])) {
        row->order[k++] = (unsigned char)n;
        row->calm[n] = kind ? number | SVf_POK : number;
        row->handles |= is_one_of(row->letters[n], "FWRXE");
        if (is_one_of(row->letters[n], "RX"))
          row->second = (unsigned char)n;
        if (undef_is_ok(row->letters, n))
          row->undef_ok |= 1u << n;
      }
  assert(k == row->nargs);
  row->calm[row->nargs] = number | SVf_POK;
  row->undef_ok |= 1u << row->nargs;
}

static void prepare_row(enum eio_op op)
{
  const struct eio_op_info *info = eio_op_info(op);
  struct row *row = &rows[op];
  const char *optional = strchr(info->args, ';');
  char *p = row->proto;
  int n = 0;

  row->min = (unsigned char)(optional ? optional - info->args : (long)strlen(info->args));
  for (const char *a = info->args; *a; a++)
    if (*a != ';')
      row->letters[n++] = *a;
  row->nargs = (unsigned char)n;
  for (int i = 0; i <= n; i++) {
    if (i == row->min)
      *p++ = ';';
    *p++ = '$';
  }
  my_snprintf(row->func, sizeof row->func, "aio_%s", info->name + (info->name[0] == '_'));
  for (int i = 0; i < n; i++)
    if (row->letters[i] == 'x' && (is_one_of(row->letters[i + 1], "BDY") || (i && row->letters[i - 1] == 'x')))
      row->letters[i] = 'l';
  for (int i = 0; i < n; i++)
    row->names[i] = name_of(op, i);
  prepare_arguments(row);
  aio_owns[op].path = strpbrk(info->args, "PSE") != NULL;
  aio_owns[op].path2 = strpbrk(info->args, "Q") != NULL;
  aio_owns[op].attr = strpbrk(info->args, "N") != NULL;
  aio_owns[op].data = strpbrk(info->args, DATA) != NULL;
  aio_owns[op].vector = strpbrk(info->args, ARRAYS) != NULL;
}

/* What leave_out() does, as a value for those who have to give all arguments. */
static SV *left_out(pTHX_ const struct row *row, enum eio_op op, int n)
{
  if (row->letters[n] != 'i' && undef_is_ok(row->letters, n))
    return &PL_sv_undef;
  return sv_2mortal(newSViv(op == EIO_MSYNC && row->letters[n] == 'i' ? MS_SYNC : 0));
}

/* _row $name: what the table says of the request aio_$name, for those who make
 * functions of their own from it: the letters of its arguments, the kind of its
 * result, and the values of arguments that are left out. Nothing for one that
 * is no row. */
XS_INTERNAL(xs_row)
{
  static const char *const kinds[] = {
#define EIO_RESULT(kind) #kind,
#include "../libeio/eio_results.def"
#undef EIO_RESULT
  };
  dXSARGS_AIO(1, 1, "name");
  STRLEN len;
  const char *name = aio_arg_octets(aTHX_ aio_arg_value(aTHX_ ST(0)), &len, "_row", "name");

  SP -= items;
  for (int op = EIO_GROUP + 1; op < EIO_OP_COUNT; op++) {
    const struct eio_op_info *info = eio_op_info((enum eio_op)op);

    if (strNE(info->name + (info->name[0] == '_'), name))
      continue;
    EXTEND(SP, 2 + rows[op].nargs);
    mPUSHs(newSVpv(info->args, 0));
    mPUSHs(newSVpv(kinds[info->result], 0));
    for (int n = rows[op].min; n < rows[op].nargs; n++)
      PUSHs(left_out(aTHX_ &rows[op], (enum eio_op)op, n));
    break;
  }
  PUTBACK;
}

/* Besides the functions, this makes the list of those that are exported on
 * request only; one whose row is private has its name from AIO.pm. */
void aio_boot_requests(pTHX)
{
  static const struct aio_xsub xsubs[] = { { "_row", xs_row, "$", 0 } };
  AV *on_request = get_av("IO::AIO::ON_REQUEST", GV_ADD);

  aio_install(aTHX_ xsubs, C_ARRAY_LENGTH(xsubs));
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
