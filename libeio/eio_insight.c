/* eio_insight.c - what is told of requests: figures by operation, times, and traces.
 *
 * A request carries the times of its steps, written by whoever changes its state; the owner
 * adds them up when it hands the request out, so the figures are (O) and need no lock.
 * Traces have neither names nor data: a number, the operation, the states, an errno. */
#include "eio_int.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "eio_pace.h"
#include "eio_plat.h"

/* Traces --------------------------------------------------------------- */

/* Set once, before there is a context. */
static struct {
  bool text;
  int fd; /* of a file that gets objects of JSON, or -1 */
  dev_t dev;
  ino_t ino;
} traced = { .fd = -1 };

static void open_trace(const char *file)
{
  struct stat st;

  traced.fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
  if (traced.fd < 0 || fstat(traced.fd, &st) < 0) {
    fprintf(stderr, "eio: EIO_TRACE: %s\n", strerror(errno));
    return;
  }
  traced.dev = st.st_dev;
  traced.ino = st.st_ino;
}

void eio__insight_init(void)
{
  int saved = errno;
  const char *how = getenv("EIO_TRACE"), *file = eio_p_trusted_env("EIO_TRACE");

  if (file && !strncmp(file, "json:", 5))
    open_trace(file + 5);
  else
    traced.text = how && *how && *how != '0';
  errno = saved;
}

/* Programs close all that is open, and the number may be another file's then. */
static bool is_ours(void)
{
  struct stat st;

  return fstat(traced.fd, &st) == 0 && st.st_dev == traced.dev && st.st_ino == traced.ino;
}

/* A line in one write: lines of threads and processes do not mix. */
static void trace_json(const eio_ctx *ctx, const eio_req *req, enum eio_state state)
{
  bool failed = state == EIO_FINISHED && req->result < 0 && req->errorno;
  uint64_t now = eio_p_now();
  char line[320], error[32] = "";
  int n;

  if (!is_ours())
    return;
  if (failed)
    snprintf(error, sizeof error, ",\"errno\":%d", (int)req->errorno);
  n = snprintf(line, sizeof line,
               "{\"time\":%" PRIu64 ".%09u,\"pid\":%ld,\"context\":\"%p\",\"request\":%u,\"op\":\"%s\",\"from\":\"%s\","
               "\"to\":\"%s\",\"owner\":%s,\"cancelled\":%s%s}\n",
               now / 1000000000, (unsigned)(now % 1000000000), (long)getpid(), (const void *)ctx, (unsigned)req->id,
               eio__ops[req->op].info.name, eio__state_name((enum eio_state)req->state), eio__state_name(state),
               pthread_equal(ctx->owner, pthread_self()) ? "true" : "false",
               eio__cancelled(req) ? "true" : "false", error);
  if (write(traced.fd, line, (size_t)n) < 0)
    return; /* a full disk is no reason to stop */
}

static void trace(const eio_ctx *ctx, const eio_req *req, enum eio_state state)
{
  int saved = errno;

  if (traced.fd >= 0)
    trace_json(ctx, req, state);
  else
    fprintf(stderr, "eio: %p #%u %s: %s -> %s%s\n", (const void *)ctx, (unsigned)req->id,
            eio__ops[req->op].info.name, eio__state_name((enum eio_state)req->state),
            eio__state_name(state), eio__cancelled(req) ? " (cancelled)" : "");
  errno = saved;
}

/* Figures -------------------------------------------------------------- */

static void set_insight(eio_ctx *ctx)
{
  unsigned bits = (traced.text || traced.fd >= 0 ? EIO_INSIGHT_TRACE : 0) | (ctx->timed_every ? EIO_INSIGHT_STATS : 0);

  atomic_store_explicit(&ctx->insight, bits, memory_order_relaxed);
}

void eio__insight_create(eio_ctx *ctx)
{
  set_insight(ctx);
}

void eio__insight_destroy(eio_ctx *ctx)
{
  free(ctx->ops);
}

int eio_set_insight(eio_ctx *ctx, unsigned every)
{
  if (every && !ctx->ops && !(ctx->ops = calloc(EIO_OP_COUNT, sizeof *ctx->ops)))
    return -1;
  ctx->timed_every = every;
  ctx->timed_in = 1;
  set_insight(ctx);
  return 0;
}

const struct eio_op_stats *eio_op_stats(const eio_ctx *ctx, enum eio_op op)
{
  return ctx->ops ? &ctx->ops[op] : NULL;
}

void eio_stats_reset(eio_ctx *ctx)
{
  pthread_mutex_lock(&ctx->lock);
  ctx->stats = (struct eio_stats){ 0 };
  ctx->executed = ctx->wakeups = ctx->given = 0;
  pthread_mutex_unlock(&ctx->lock);
  if (ctx->ops)
    memset(ctx->ops, 0, EIO_OP_COUNT * sizeof *ctx->ops);
}

void eio__insight_submit(eio_ctx *ctx, eio_req *req)
{
  req->submitted = req->began = req->done = 0;
  if (ctx->timed_every && !--ctx->timed_in) {
    ctx->timed_in = ctx->timed_every;
    req->submitted = eio_p_now();
  }
}

/* The bucket of 2^i to 2^(i+1) - 1 nanoseconds; 0 is in the first. */
static void add(uint64_t buckets[EIO_BUCKETS], uint64_t ns)
{
  unsigned i = ns ? 63 - (unsigned)__builtin_clzll(ns) : 0;

  buckets[i < EIO_BUCKETS ? i : EIO_BUCKETS - 1]++;
}

static bool times_until(const eio_req *req, uint64_t now, struct eio_times *times)
{
  if (!req->submitted || !req->done)
    return false;
  times->waiting = req->began ? req->began - req->submitted : 0;
  times->execution = req->done - (req->began ? req->began : req->submitted);
  times->delivery = now - req->done;
  return true;
}

int eio_times(const eio_req *req, struct eio_times *times)
{
  return times_until(req, eio_p_now(), times) ? 0 : -1;
}

/* Those whose result says it. */
static uint64_t octets(const eio_req *req)
{
  if (req->result < 0)
    return 0;
  switch (eio__ops[req->op].info.result) {
  case EIO_R_COUNT: case EIO_R_DATA: return (uint64_t)req->result;
  default: break;
  }
  switch (req->op) {
  case EIO_WRITE: case EIO_READV: case EIO_WRITEV: case EIO_SENDFILE: case EIO_COPY_FILE_RANGE: case EIO_SPLICE: case EIO_TEE: return (uint64_t)req->result;
  default: return 0;
  }
}

/* Once, even if it comes out of poll twice (eio_unfinish). */
static void account(eio_ctx *ctx, const eio_req *req)
{
  struct eio_op_stats *op = &ctx->ops[req->op];
  struct eio_times times;

  if (eio__flag(req, EIO_CALLED | EIO_ORPHAN))
    return;
  if (eio__cancelled(req)) {
    op->cancelled++;
    return;
  }
  op->count++;
  op->errors += req->op != EIO_GROUP && req->result == -1;
  op->octets += octets(req);
  if (req->op == EIO_GROUP || !req->submitted || !times_until(req, eio_p_now(), &times))
    return;
  op->timed++;
  if (req->began)
    add(op->waiting, times.waiting);
  add(op->execution, times.execution);
  add(op->delivery, times.delivery);
}

void eio__insight_declined(eio_ctx *ctx, const eio_req *req)
{
  if (ctx->timed_every)
    ctx->ops[req->op].declined++;
}

void eio__insight_state(eio_ctx *ctx, eio_req *req, enum eio_state state)
{
  unsigned insight = atomic_load_explicit(&ctx->insight, memory_order_relaxed);

  if (insight & EIO_INSIGHT_TRACE)
    trace(ctx, req, state);
  if (req->submitted) {
    if (state == EIO_RUNNING || state == EIO_FLYING)
      req->began = eio_p_now();
    else if (state == EIO_DONE)
      req->done = eio_p_now();
  }
  if (insight & EIO_INSIGHT_STATS && state == EIO_FINISHED)
    account(ctx, req);
}

/* The pool's own ------------------------------------------------------- */

static double seconds(const atomic_uint *ns)
{
  return atomic_load_explicit(ns, memory_order_relaxed) / 1e9;
}

void eio_get_pace(const eio_ctx *ctx, struct eio_pace_stats *stats)
{
  const struct eio_pace *pace = eio__pool_pace(ctx);

  stats->hop = seconds(&pace->hop);
  stats->idle = seconds(&pace->idle);
  stats->step = seconds(&pace->step);
  stats->wait = seconds(&pace->wait);
}

void eio_get_op_pace(const eio_ctx *ctx, enum eio_op op, int much, struct eio_op_pace *stats)
{
  const struct eio_kind *kind = &eio__pool_pace(ctx)->kinds[eio__kind_of(op, much)];

  stats->busy = seconds(&kind->busy);
  stats->wait = seconds(&kind->wait);
  stats->attempt = seconds(&kind->attempt);
}
