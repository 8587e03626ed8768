/* vector.c - the arrays of aio_readv and aio_writev: what is made of them, and what becomes of them when a request is
 * done. Its sv2 is an array of ours: the program's array, and the scalars whose strings the kernel reads or fills, each
 * of them locked (lock.c); its buf, malloc'ed, tells the kernel where they are. Nothing depends on what the program's
 * array has meanwhile. */
#include "aio.h"

#include <limits.h>
#include <sys/uio.h>
#include <unistd.h>

/* The array that an argument refers to, kept. */
static AV *array_arg(pTHX_ SV *sv, const char *func, const char *arg)
{
  sv = aio_arg_value(aTHX_ sv);
  if (SvROK(sv) && SvAMAGIC(sv))
    sv = amagic_deref_call(sv, to_av_amg);
  if (!SvROK(sv) || SvTYPE(SvRV(sv)) != SVt_PVAV)
    aio_croak(aTHX_ func, "%s must be a reference to an array", arg);
  return (AV *)aio_keep(aTHX_ SvRV(sv));
}

/* An element; undef when there is none (any more). */
static SV *element(pTHX_ AV *av, size_t n)
{
  SV *sv = aio_arg_element(aTHX_ av, (SSize_t)n);

  return sv ? sv : &PL_sv_undef;
}

/* How many elements it has, none when those are more than the kernel takes: who asks a tied array may be told any number. */
static size_t count_elements(pTHX_ aio_req *aio, AV *av)
{
  SSize_t n = av_len(av) + 1;
  long most = sysconf(_SC_IOV_MAX);

  if (n > (most > 0 ? most : 1024)) {
    aio_fail(aio, EINVAL);
    n = 0;
  }
  return n > 0 ? (size_t)n : 0;
}

/* Room for so many parts; none is there yet. */
static struct iovec *make_parts(aio_req *aio, size_t n)
{
  struct iovec *parts = malloc((n + 1) * sizeof *parts);

  if (!parts)
    croak("Out of memory for an array");
  aio->r.buf = parts;
  aio->r.size = 0;
  return parts;
}

/* Gives the request one more part: the first `len` octets that a scalar has, or has room for. Takes over its reference. */
static void add_part(pTHX_ aio_req *aio, SV *sv, STRLEN len)
{
  struct iovec *parts = aio->r.buf;

  aio_lock(aTHX_ sv);
  av_push((AV *)aio->sv2, sv);
  parts[aio->r.size++] = (struct iovec){ .iov_base = SvPVX(sv), .iov_len = len };
}

static void keep_array(pTHX_ aio_req *aio, AV *array)
{
  AV *all = newAV();

  aio->sv2 = (SV *)all;
  av_push(all, SvREFCNT_inc_simple_NN((SV *)array));
}

void aio_vector_lengths(pTHX_ aio_req *aio, SV *sv, const char *func, const char *arg)
{
  AV *array = array_arg(aTHX_ sv, func, arg);
  size_t n = count_elements(aTHX_ aio, array);
  struct iovec *parts = make_parts(aio, n);
  uint64_t total = 0;

  for (size_t i = 0; i < n; i++) {
    int64_t length;

    if (!aio_arg_int64(aTHX_ element(aTHX_ array, i), &length, func, arg) && !length)
      aio_fail(aio, EINVAL); /* NaN */
    if (length < 0)
      aio_croak(aTHX_ func, "%s must not be negative", arg);
    total += (uint64_t)length;
    if (total > (uint64_t)1 << 62 || total > SSIZE_MAX) { /* whatever follows */
      aio_fail(aio, ENOMEM);
      return;
    }
    parts[i].iov_len = (size_t)length;
  }
  if (aio_enough_memory(total))
    aio->r.size = n;
  else
    aio_fail(aio, ENOMEM);
}

void aio_vector_read(pTHX_ aio_req *aio, SV *sv, const char *func, const char *arg)
{
  AV *array = array_arg(aTHX_ sv, func, arg);
  const struct iovec *parts = aio->r.buf;
  uint64_t n = aio->r.size;

  if (SvREADONLY((SV *)array))
    aio_croak(aTHX_ func, "%s: %s", arg, "Modification of a read-only value attempted");
  keep_array(aTHX_ aio, array);
  aio->r.size = 0;
  for (uint64_t i = 0; i < n; i++) {
    size_t len = parts[i].iov_len;
    SV *string = newSV(len + 2); /* a NUL, and what perl needs to share it */

    SvCUR_set(string, 0);
    SvPVX(string)[0] = 0;
    SvPOK_only(string);
    add_part(aTHX_ aio, string, len);
  }
}

/* Each is locked before the next one is looked at, which may run code of the program's. */
void aio_vector_write(pTHX_ aio_req *aio, SV *sv, const char *func, const char *arg)
{
  AV *array = array_arg(aTHX_ sv, func, arg);
  size_t n = count_elements(aTHX_ aio, array);

  keep_array(aTHX_ aio, array);
  make_parts(aio, n);
  for (size_t i = 0; i < n; i++) {
    SV *string = aio_buffer_string(aTHX_ element(aTHX_ array, i), func, arg);

    add_part(aTHX_ aio, string, SvCUR(string));
  }
}

/* The strings that have been read, each as long as what it got. */
static SV *take_strings(pTHX_ AV *all, const struct iovec *parts, uint64_t left)
{
  AV *strings = newAV();

  for (SSize_t i = 1; i <= AvFILLp(all); i++) {
    SV *string = SvREFCNT_inc_simple_NN(AvARRAY(all)[i]);
    STRLEN room = parts[i - 1].iov_len, len = left < room ? (STRLEN)left : room;

    SvCUR_set(string, len);
    *SvEND(string) = 0;
    left -= len;
    av_push(strings, string);
  }
  return sv_2mortal(newRV_noinc((SV *)strings));
}

void aio_vector_settle(pTHX_ aio_req *aio, bool cancelled)
{
  eio_req *req = &aio->r;
  struct iovec *parts = req->buf;
  AV *all = (AV *)aio->sv2;
  SV *strings = NULL;

  req->buf = NULL; /* settled once */
  aio->sv2 = NULL;
  if (all) {
    sv_2mortal((SV *)all);
    for (SSize_t i = 1; i <= AvFILLp(all); i++)
      aio_unlock(aTHX_ AvARRAY(all)[i]);
    if (req->op == EIO_READV && !cancelled && req->result >= 0)
      strings = take_strings(aTHX_ all, parts, (uint64_t)req->result);
  }
  free(parts);
  if (strings)
    aio_store(aTHX_ "IO::AIO::_store_all", sv_2mortal(newRV_inc(AvARRAY(all)[0])), strings, req);
}
