/* ops_range.c - copy_file_range, clone_range, dedupe_range, splice, tee */
#include "ops.h"

static eio_req between(enum eio_op op, int in, int64_t in_offs, int out, int64_t out_offs, uint64_t size)
{
  eio_req req = on_data(op, in, in_offs, NULL, size);

  req.arg1 = out;
  req.offs2 = out_offs;
  return req;
}

static eio_req with_flags(eio_req req, int flags)
{
  req.arg2 = flags;
  return req;
}

static const enum eio_op ops[] = { EIO_COPY_FILE_RANGE, EIO_CLONE_RANGE, EIO_DEDUPE_RANGE, EIO_SPLICE, EIO_TEE };
enum { NOPS = sizeof ops / sizeof *ops };

static void test_invalid(int in, int out)
{
  for (int i = 0; i < NOPS; i++) {
    const char *name = eio_op_info(ops[i])->name;
    bool here = i == 0 ? EIO_HAVE_COPY_FILE_RANGE : i == 3 ? EIO_HAVE_SPLICE : i == 4 ? EIO_HAVE_TEE : EIO_HAVE_FICLONE;

    if (!here) {
      fails(between(ops[i], in, 0, out, 0, 1), ENOSYS, "%s is absent", name);
      continue;
    }
    fails(between(ops[i], -1, 0, out, 0, 1), EBADF, "%s from nothing", name);
    if (ops[i] != EIO_DEDUPE_RANGE) /* which asks the file system of the first one before */
      fails(between(ops[i], in, 0, -1, 0, 1), EBADF, "%s to nothing", name);
    fails(between(ops[i], in, 0, out, 0, UINT64_MAX), EINVAL, "%s of a negative length", name);
    if (ops[i] == EIO_TEE)
      continue;
    fails(between(ops[i], in, -2, out, 0, 1), EINVAL, "%s from a negative offset", name);
    fails(between(ops[i], in, 0, out, -2, 1), EINVAL, "%s to a negative offset", name);
  }
}

static void test_copy(int in, int out)
{
  if (!EIO_HAVE_COPY_FILE_RANGE) {
    skip(1, "no copy_file_range");
    return;
  }
  is_int(just(between(EIO_COPY_FILE_RANGE, in, 2, out, 1, 4)), 4, "copy_file_range from offset to offset");
  is_str(get("out"), "x2345xxxxx", "copies the part");
  is_int(lseek(in, 0, SEEK_CUR) + lseek(out, 0, SEEK_CUR), 0, "and moves nothing");
  is_int(just(between(EIO_COPY_FILE_RANGE, in, -1, out, -1, 3)), 3, "copy_file_range from position to position");
  is_str(get("out"), "01245xxxxx", "copies the part");
  is_int(lseek(in, 0, SEEK_CUR) + lseek(out, 0, SEEK_CUR), 6, "and moves both");
  is_int(just(between(EIO_COPY_FILE_RANGE, in, 8, out, 10, 100)), 2, "copy_file_range to the end");
  is_str(get("out"), "01245xxxxx89", "makes the file longer");
  is_int(just(between(EIO_COPY_FILE_RANGE, in, 10, out, 0, 100)), 0, "copy_file_range at the end");
  fails(with_flags(between(EIO_COPY_FILE_RANGE, in, 0, out, 0, 1), 1), EINVAL, "copy_file_range with a flag");
  fails(between(EIO_COPY_FILE_RANGE, out, 0, in, 0, 1), EBADF, "copy_file_range the wrong way round");
}

static bool has(int fd, const char *text)
{
  char buf[100] = "";
  ssize_t n = read(fd, buf, sizeof buf - 1);

  return n == (ssize_t)strlen(text) && !strcmp(buf, text);
}

static void test_pipes(int in, int out)
{
  int a[2], b[2];

  if (!EIO_HAVE_SPLICE || !EIO_HAVE_TEE) {
    skip(1, "no splice");
    return;
  }
  if (pipe(a) < 0 || pipe(b) < 0)
    bail_out("pipe");
  lseek(in, 1, SEEK_SET);
  is_int(just(between(EIO_SPLICE, in, 3, a[1], -1, 4)), 4, "splice into a pipe");
  is_int(just(between(EIO_SPLICE, in, -1, a[1], -1, 2)), 2, "splice from the position");
  is_int(lseek(in, 0, SEEK_CUR), 3, "which moves");
  is_int(just(between(EIO_TEE, a[0], 0, b[1], 0, 100)), 6, "tee");
  ok(has(b[0], "345612"), "has the data");
  is_int(just(between(EIO_SPLICE, a[0], -1, out, 2, 3)), 3, "splice out of a pipe");
  is_str(get("out"), "xx345xxxxx", "has the data");
  is_int(just(between(EIO_SPLICE, a[0], -1, b[1], -1, 100)), 3, "splice from pipe to pipe");
  ok(has(b[0], "612"), "has the data");
  fails(between(EIO_SPLICE, in, -1, out, -1, 1), EINVAL, "splice without a pipe");
  fails(between(EIO_SPLICE, in, 0, a[1], 0, 1), ESPIPE, "splice to an offset in a pipe");
  fails(between(EIO_TEE, in, 0, a[1], 0, 1), EINVAL, "tee without a pipe");
#ifdef SPLICE_F_NONBLOCK
  fails(with_flags(between(EIO_SPLICE, a[0], -1, out, -1, 1), SPLICE_F_NONBLOCK), EAGAIN, "splice that shall not wait");
  fails(with_flags(between(EIO_TEE, a[0], 0, b[1], 0, 1), SPLICE_F_NONBLOCK), EAGAIN, "nor tee");
#endif
  close(b[0]);
  fails(between(EIO_SPLICE, in, 0, b[1], -1, 1), EPIPE, "splice to nobody, and no signal");
  if (write(a[1], "x", 1) != 1)
    bail_out("write");
  fails(between(EIO_TEE, a[0], 0, b[1], 0, 1), EPIPE, "nor of tee");
  close(a[1]);
  is_int(just(between(EIO_SPLICE, a[0], -1, out, 0, 100)), 1, "splice of the rest");
  is_int(just(between(EIO_SPLICE, a[0], -1, out, 0, 100)), 0, "splice at the end");
  close(a[0]);
  close(b[1]);
}

/* Where the file system knows how; t/39-ranges.t tells more. */
static void test_shared(int in, int out)
{
#if EIO_HAVE_FICLONE
  eio_req req = between(EIO_CLONE_RANGE, in, 0, out, -1, 0);

  if (run(&req) < 0) {
    ok(req.errorno == EOPNOTSUPP || req.errorno == ENOTTY || req.errorno == EXDEV || req.errorno == EINVAL,
       "no clones here: errno %d", req.errorno);
    ok(just(between(EIO_DEDUPE_RANGE, in, 0, out, 0, 10)) <= 0, "nor is anything shared");
    return;
  }
  is_str(get("out"), "0123456789", "clone of a whole file");
  is_int(just(between(EIO_DEDUPE_RANGE, in, 0, out, -1, 10)), 10, "dedupe of what is the same");
  if (pwrite(out, "y", 1, 3) != 1)
    bail_out("pwrite");
  is_int(just(between(EIO_DEDUPE_RANGE, in, 0, out, 0, 10)), 0, "dedupe of what is not");
  is_str(get("out"), "012y456789", "which stays");
#else
  (void)in, (void)out;
  skip(1, "no clones");
#endif
}

int main(void)
{
  int in, out;

  scratch_begin();
  put("in", "0123456789");
  put("out", "xxxxxxxxxx");
  in = open_for_test("in", O_RDONLY);
  out = open_for_test("out", O_RDWR);
  test_invalid(in, out);
  test_copy(in, out);
  put("out", "xxxxxxxxxx");
  test_pipes(in, out);
  put("out", "xxxxxxxxxx");
  test_shared(in, out);
  close(in);
  close(out);
  return scratch_end(0);
}
