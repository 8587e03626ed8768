/* core_insight.c - figures by operation, the times of requests, and traces. The bounds that
 * times are compared with are the clock's own, before and after. */
#include "core.h"

#include <fcntl.h>
#include <sys/wait.h>

static uint64_t sum(const uint64_t buckets[EIO_BUCKETS])
{
  uint64_t n = 0;

  for (int i = 0; i < EIO_BUCKETS; i++)
    n += buckets[i];
  return n;
}

/* In the scratch directory. */
static char *file_of(const char *name, const char *text)
{
  static char path[5000];
  int fd;

  snprintf(path, sizeof path, "%s/%s", scratch_path, name);
  fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (fd < 0 || write(fd, text, strlen(text)) < 0)
    bail_out("%s", path);
  close(fd);
  return path;
}

static void run_one(eio_ctx *ctx, eio_req *req)
{
  eio_submit(ctx, req);
  finish_all(ctx);
}

static void nothing_unasked(void)
{
  eio_ctx *ctx = context();
  struct eio_times times;
  struct job job;

  job_init(&job, EIO_NOP, 0);
  run_one(ctx, &job.req);
  check(!eio_op_stats(ctx, EIO_NOP), "nothing is counted unasked");
  check(eio_times(&job.req, &times) < 0, "nor timed");
  check(eio_set_insight(ctx, 0) == 0 && !eio_op_stats(ctx, EIO_NOP), "nor is there memory for it");
  eio_destroy(ctx);
}

static void counts(void)
{
  eio_ctx *ctx = context();
  const struct eio_op_stats *nop, *load, *write_;
  struct job job;

  eio_set_insight(ctx, 1);
  for (int i = 0; i < 10; i++) {
    if (i % 2)
      submit_nop(ctx, &job, i);
    else
      submit_for_worker(ctx, &job, i);
    finish_all(ctx);
  }
  nop = eio_op_stats(ctx, EIO_NOP);
  check(nop->count == 10 && nop->timed == 10 && !nop->errors && !nop->cancelled, "ten nops");
  check_int(sum(nop->execution), 10, "all have executed");
  check_int(sum(nop->delivery), 10, "and were delivered");
  check_int(sum(nop->waiting), 5, "half of them were not attempted in submit");
  for (int i = 0; i < 3; i++) {
    job_init(&job, EIO_LOAD, i);
    job.req.path = i ? (char *)(uintptr_t)"/none/such" : file_of("data", "12345");
    run_one(ctx, &job.req);
  }
  load = eio_op_stats(ctx, EIO_LOAD);
  check(load->count == 3 && load->errors == 2, "three loads, two of which failed");
  check_int(load->octets, 5, "the octets of the other");
  check(is_sync() || load->declined >= 2, "which submit could not do");
  job_init(&job, EIO_WRITE, 0);
  job.req.fd = open("/dev/null", O_WRONLY);
  job.req.buf = order;
  job.req.size = 1000;
  job.req.offs = -1;
  run_one(ctx, &job.req);
  close(job.req.fd);
  write_ = eio_op_stats(ctx, EIO_WRITE);
  check_int(write_->octets, 1000, "octets that were written");
  eio_stats_reset(ctx);
  check(!nop->count && !load->octets && !sum(nop->execution), "nothing is left after a reset");
  eio_destroy(ctx);
}

static void one_in_some(void)
{
  eio_ctx *ctx = context();
  static struct job jobs[100];

  eio_set_insight(ctx, 7);
  for (int i = 0; i < 100; i++)
    submit_nop(ctx, &jobs[i], i);
  finish_all(ctx);
  check_int(eio_op_stats(ctx, EIO_NOP)->count, 100, "all are counted");
  check_int(eio_op_stats(ctx, EIO_NOP)->timed, 15, "one in seven is timed, the first included");
  eio_set_insight(ctx, 0);
  submit_nop(ctx, &jobs[0], 0);
  finish_all(ctx);
  check_int(eio_op_stats(ctx, EIO_NOP)->count, 100, "what was counted stays, and nothing is added");
  eio_destroy(ctx);
}

static void cancelled_are_apart(void)
{
  eio_ctx *ctx = context();
  struct job job;

  eio_set_insight(ctx, 1);
  eio_set_max_parallel(ctx, 0);
  submit_nop(ctx, &job, 0);
  eio_cancel(ctx, &job.req);
  eio_set_max_parallel(ctx, 4);
  finish_all(ctx);
  check(!eio_op_stats(ctx, EIO_NOP)->count && eio_op_stats(ctx, EIO_NOP)->cancelled == 1, "one was cancelled");
  eio_destroy(ctx);
}

static struct eio_times seen;
static int seen_result;

static void see(eio_req *req)
{
  seen_result = eio_times(req, &seen);
  note(req);
}

/* The gate holds it up for as long as the clock says. */
static void times_of_one(void)
{
  eio_ctx *ctx = context();
  struct job job;
  uint64_t before, all, execution, start;

  eio_set_insight(ctx, 1);
  job_init(&job, EIO_BUSY, 0);
  job.req.nv1 = 0.002;
  job.req.cb = see;
  eio_set_max_parallel(ctx, 0);
  before = eio_p_now();
  eio_submit(ctx, &job.req);
  while (eio_p_now() - before < 1000000)
    ;
  start = eio_p_now();
  eio_set_max_parallel(ctx, 4);
  while (!eio_npending(ctx))
    sched_yield();
  execution = eio_p_now() - start;
  while (eio_p_now() - before < 8000000)
    ;
  finish_all(ctx);
  all = eio_p_now() - before;
  check_int(seen_result, 0, "a callback can ask");
  check(seen.waiting >= 1000000 || is_sync(), "how long it waited");
  check(seen.execution >= 2000000, "and executed");
  check(seen.execution <= execution, "not longer than it can have been");
  check(seen.waiting + seen.execution + seen.delivery <= all, "the three are apart");
  eio_destroy(ctx);
}

static void pace(void)
{
  eio_ctx *ctx = context();
  struct eio_op_pace op;
  struct eio_pace_stats all;
  struct job job;

  for (int i = 0; i < 2; i++) {
    job_init(&job, EIO_BUSY, i);
    job.req.nv1 = 0.001;
    run_one(ctx, &job.req);
  }
  eio_get_pace(ctx, &all);
  eio_get_op_pace(ctx, EIO_BUSY, 0, &op);
  check(all.hop >= 0 && all.hop < 1 && all.idle >= 0 && all.step >= 0 && all.wait >= 0, "what the pool goes by");
  check(is_sync() ? op.wait == 0 : op.wait > 0, "a worker that slept has waited");
  eio_destroy(ctx);
}

/* Traces are asked for by the environment, once in a process: so in children. */
static char *traced(const char *how)
{
  static char text[65536];
  int p[2];
  pid_t pid;
  ssize_t n, len = 0;

  if (pipe(p) < 0)
    bail_out("pipe");
  pid = fork();
  if (!pid) {
    dup2(p[1], 2);
    close(p[0]);
    close(p[1]);
    setenv("EIO_TRACE", how, 1);
    setenv("EIO_INSIGHT_CHILD", "1", 1);
    execl("/proc/self/exe", "core_insight", (char *)0);
    _exit(1);
  }
  close(p[1]);
  while (len < (ssize_t)sizeof text - 1 && (n = read(p[0], text + len, sizeof text - 1 - (size_t)len)) > 0)
    len += n;
  text[len] = 0;
  close(p[0]);
  waitpid(pid, NULL, 0);
  return text;
}

static int child(void)
{
  eio_ctx *ctx = eio_create();
  eio_req req;

  eio_req_init(&req, EIO_READLINK);
  req.path = "/precious-name";
  eio_submit(ctx, &req);
  while (eio_nreqs(ctx)) {
    eio_poll_wait(ctx, -1);
    eio_poll(ctx, 0, 0);
  }
  eio_destroy(ctx);
  return 0;
}

static int lines_with(const char *text, const char *what)
{
  int n = 0;

  for (const char *p = text; (p = strstr(p, what)); p++)
    n++;
  return n;
}

static void traces(void)
{
  const char *file = file_of("trace", "");
  char how[5100], *text;
  static char json[65536];
  ssize_t n;
  int fd;

  if (access("/proc/self/exe", X_OK) < 0)
    return;
  text = traced("1");
  ok(lines_with(text, "readlink: ") == 4 && lines_with(text, "running -> done"), "a line for each step");
  ok(!strstr(text, "precious"), "without names");
  snprintf(how, sizeof how, "json:%s", file);
  text = traced(how);
  ok(!*text, "nothing is printed when a file was named");
  fd = open(file, O_RDONLY);
  n = read(fd, json, sizeof json - 1);
  json[n > 0 ? n : 0] = 0;
  close(fd);
  ok(lines_with(json, "\"op\":\"readlink\"") == 4 && lines_with(json, "}\n") == 4, "an object a line");
  ok(lines_with(json, "\"errno\":2") == 1, "the errno, once");
  ok(!strstr(json, "precious"), "and no names");
  text = traced("json:/none/x");
  ok(strstr(text, "EIO_TRACE") && lines_with(text, "\n") == 1, "a file that cannot be had: one line");
  ok(!*traced("0"), "0 is no trace");
}

int main(void)
{
  static test *const tests[] = { nothing_unasked, counts, one_in_some, cancelled_are_apart, times_of_one, pace, NULL };

  if (getenv("EIO_INSIGHT_CHILD"))
    return child();
  scratch_begin();
  on_each_engine(tests);
  traces();
  return scratch_end(0);
}
