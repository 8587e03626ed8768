/* core_release.c - eio_on_release(): requests that the program allocates and frees,
 * each as soon as eio_poll() is done with it, whatever became of it. What is looked
 * at after that shows under AddressSanitizer, what is never released as a leak. */
#include "core.h"

static eio_ctx *ctx;
static int nreleased, ncalls;

static void release(eio_req *req)
{
  nreleased++;
  memset(req, 0x55, sizeof *req);
  free(req);
}

static void called(eio_req *req)
{
  check(req->state == EIO_FINISHED, "a callback sees it finished");
  ncalls++;
}

static eio_req *make(enum eio_op op, eio_cb cb)
{
  eio_req *req = malloc(sizeof *req);

  if (!req)
    bail_out("no memory");
  eio_req_init(req, op);
  req->cb = cb;
  return req;
}

static eio_req *submit_on(enum eio_op op, const char *path, eio_cb cb)
{
  eio_req *req = make(op, cb);

  req->path = (char *)(uintptr_t)path;
  eio_submit(ctx, req);
  return req;
}

static void begin(void)
{
  ctx = context();
  eio_on_release(ctx, release);
  nreleased = ncalls = 0;
}

static void end(int nreqs, int wanted_calls, const char *name)
{
  finish_all(ctx);
  check_int(nreleased, nreqs, "%s: all are released", name);
  check_int(ncalls, wanted_calls, "%s: called back", name);
  eio_destroy(ctx);
}

/* One of each kind of result: memory, descriptor, directory, number, error. */
static void results(void)
{
  begin();
  for (int i = 0; i < 20; i++) {
    submit_on(EIO_STAT, "/", called);
    submit_on(EIO_STAT, "/none/x", called);
    submit_on(EIO_OPEN, "/dev/null", called);
    submit_on(EIO_READDIR, "/", called);
    submit_on(EIO_READLINK, "/", NULL);
    submit_on(EIO_NOP, NULL, called);
  }
  end(120, 100, "results");
}

static void cancelled(void)
{
  eio_req *reqs[20];

  begin();
  eio_set_max_parallel(ctx, 0);
  for (int i = 0; i < 20; i++)
    reqs[i] = submit_on(EIO_STAT, "/", called);
  for (int i = 0; i < 20; i += 2)
    eio_cancel(ctx, reqs[i]);
  eio_set_max_parallel(ctx, 4);
  end(20, 10, "half cancelled");
}

static void add_member(eio_req *group)
{
  int *left = group->data;

  if ((*left)-- > 0)
    eio_group_add(ctx, group, submit_on(EIO_LSTAT, "/", called));
}

/* Members are freed while the group lives, and the group is when they are gone. */
static void groups(void)
{
  int left = 30;
  eio_req *group;

  begin();
  group = make(EIO_GROUP, called);
  eio_submit(ctx, group);
  for (int i = 0; i < 10; i++)
    eio_group_add(ctx, group, submit_on(EIO_STAT, "/", called));
  group = make(EIO_GROUP, called);
  group->data = &left;
  eio_submit(ctx, group);
  eio_group_feed(ctx, group, add_member);
  end(42, 42, "groups");
  check(left < 0, "fed to the end");
}

/* A callback that submits, and polls until that is done. */
static void nested(eio_req *req)
{
  called(req);
  submit_on(EIO_STAT, "/", called);
  while (eio_nreqs(ctx)) {
    eio_poll_wait(ctx, -1);
    eio_poll(ctx, 1, 0);
  }
}

static void polls_in_polls(void)
{
  begin();
  for (int i = 0; i < 5; i++)
    submit_on(EIO_READLINK, "/none", nested);
  end(10, 10, "polls in callbacks");
}

int main(void)
{
  static test *const tests[] = { results, cancelled, groups, polls_in_polls, NULL };

  scratch_begin();
  on_each_engine(tests);
  return scratch_end(0);
}
