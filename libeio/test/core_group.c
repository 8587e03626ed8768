/* core_group.c - groups: members, feeders, nesting, cancelling. */
#include "ring_gate.h"

#include <setjmp.h>

static eio_ctx *ctx;
static struct job groups[1001], *members;

static eio_req *submit_group(struct job *job, int number)
{
  job_init(job, EIO_GROUP, number);
  eio_submit(ctx, &job->req);
  return &job->req;
}

static void test_empty(void)
{
  ctx = context();
  submit_group(&groups[0], 0);
  check_int(eio_nreqs(ctx), 1, "an empty group is outstanding");
  check(is_readable(ctx), "and something to poll");
  check_int(eio_poll(ctx, 0, 0), 0, "poll");
  check(called_in_order(0, 1), "it is finished by the first poll");
  eio_destroy(ctx);
}

static void test_order(void)
{
  eio_req *group;

  ctx = context();
  eio_set_max_parallel(ctx, 1);
  group = submit_group(&groups[0], 3);
  for (int i = 0; i < 3; i++) {
    submit_for_worker(ctx, &members[i], i);
    check_int(eio_group_add(ctx, group, &members[i].req), 0, "add %d", i);
  }
  check_int(group->nmembers, 3, "the group knows its members");
  submit_for_worker(ctx, &members[4], 4);
  wait_pending(ctx, 5);
  eio_poll(ctx, 0, 0);
  check(called_in_order(0, 5), "a group is called back right after its last member");
  check(!members[0].req.group && !group->nmembers && !group->members, "members are members no more");
  check(!is_readable(ctx), "descriptor is silent");
  eio_destroy(ctx);
}

static void add_to_group(eio_req *req)
{
  note(req);
  if (ncalled < 10) {
    submit_for_worker(ctx, &members[ncalled], (int)ncalled);
    members[ncalled].req.cb = add_to_group;
    eio_group_add(ctx, &groups[0].req, &members[ncalled].req);
  }
}

static void test_late(void)
{
  eio_req *group;

  ctx = context();
  group = submit_group(&groups[0], 10);
  submit_for_worker(ctx, &members[0], 0);
  members[0].req.cb = add_to_group;
  eio_group_add(ctx, group, &members[0].req);
  finish_all(ctx);
  check(called_in_order(0, 11), "a member's callback can add the next");

  ncalled = 0;
  group = submit_group(&groups[0], 1);
  submit_nop(ctx, &members[0], 0);
  wait_pending(ctx, 2);
  eio_group_add(ctx, group, &members[0].req);
  eio_poll(ctx, 0, 0);
  check(called_in_order(0, 2), "a request that is done already can be added");
  eio_destroy(ctx);
}

/* The one that was added last is released first. */
static void test_list(void)
{
  eio_req *group;

  ctx = context();
  group = submit_group(&groups[0], 3);
  for (int i = 0; i < 3; i++) {
    job_init(&members[i], EIO_NOP, i);
    members[i].req.pri = (int8_t)(i == 2);
    eio_submit(ctx, &members[i].req);
    eio_group_add(ctx, group, &members[i].req);
  }
  eio_poll(ctx, 1, 0);
  check(order[0] == 2 && group->nmembers == 2 && group->members == &members[1].req
        && !members[1].req.younger && members[1].req.older == &members[0].req, "a group forgets its youngest");
  finish_all(ctx);
  check(ncalled == 4 && !group->members, "and all");
  eio_destroy(ctx);
}

/* A group has had its last member, but waits behind another request, whose
 * callback gives it one more and waits for that. */
static void add_and_poll(eio_req *req)
{
  note(req);
  job_init(&members[2], EIO_NOP, 2);
  members[2].req.pri = 4;
  eio_submit(ctx, &members[2].req);
  eio_group_add(ctx, &groups[0].req, &members[2].req);
  eio_poll(ctx, 0, 0);
}

static void submit_urgent(eio_req *req)
{
  note(req);
  job_init(&members[1], EIO_NOP, 1);
  members[1].req.pri = 4;
  members[1].req.cb = add_and_poll;
  eio_submit(ctx, &members[1].req);
}

static void test_one_more(void)
{
  ctx = context();
  eio_set_max_parallel(ctx, 0);
  submit_group(&groups[0], 3);
  submit_nop(ctx, &members[0], 0);
  members[0].req.cb = submit_urgent;
  eio_group_add(ctx, &groups[0].req, &members[0].req);
  eio_poll(ctx, 0, 0); /* sets the group aside */
  eio_set_max_parallel(ctx, 2);
  wait_pending(ctx, 1);
  eio_poll(ctx, 1, 0);
  check(ncalled == 1 && !groups[0].req.nmembers && !groups[0].called, "a group is about to be called back");
  finish_all(ctx);
  check(called_in_order(0, 4) && eio_nreqs(ctx) == 0, "it is, once, when it has had one more member");
  check(!is_readable(ctx), "descriptor is silent");
  eio_destroy(ctx);
}

static int add_result, add_errno;

static void add_to_itself(eio_req *req)
{
  note(req);
  submit_nop(ctx, &members[1], 1);
  errno = 0;
  add_result = eio_group_add(ctx, req, &members[1].req);
  add_errno = errno;
}

static void test_errors(void)
{
  eio_req *outer, *inner, *other;

  ctx = context();
  outer = submit_group(&groups[0], 0);
  inner = submit_group(&groups[1], 1);
  other = submit_group(&groups[2], 2);
  eio_group_add(ctx, outer, inner);
  errno = 0;
  check(eio_group_add(ctx, outer, outer) < 0 && errno == EINVAL, "no group contains itself");
  errno = 0;
  check(eio_group_add(ctx, inner, outer) < 0 && errno == EINVAL, "not even indirectly");
  submit_nop(ctx, &members[0], 3);
  check_int(eio_group_add(ctx, inner, &members[0].req), 0, "a member");
  check_int(eio_group_add(ctx, other, &members[0].req), 0, "is left alone");
  check(members[0].req.group == inner && !other->nmembers && inner->nmembers == 1,
        "where it has been");
  finish_all(ctx);
  check_int(ncalled, 4, "all are called back");
  check_int(eio_group_add(ctx, outer, &members[0].req), -1, "a finished group takes nothing");
  other = submit_group(&groups[2], 2);
  check(eio_group_add(ctx, other, &members[0].req) == 0 && !other->nmembers,
        "a finished request is left alone");
  finish_all(ctx);

  ncalled = 0;
  submit_group(&groups[0], 0);
  groups[0].req.cb = add_to_itself;
  finish_all(ctx);
  check(add_result == -1 && add_errno == EINVAL, "nothing can be added in the group's callback");
  check(called_in_order(0, 2), "what could not be added is called back nevertheless");
  eio_destroy(ctx);
}

/* Put back after its callback, it is finished but for its release. */
static void test_called(void)
{
  eio_req *outer, *inner;

  ctx = context();
  outer = submit_group(&groups[0], 0);
  inner = submit_group(&groups[1], 1);
  eio_group_add(ctx, outer, inner);
  eio_poll_begin(ctx);
  if (eio_next(ctx) != inner)
    bail_out("not the inner group");
  eio_unfinish(ctx, inner);
  eio_poll_end(ctx);
  submit_nop(ctx, &members[0], 2);
  errno = 0;
  check(eio_group_add(ctx, inner, &members[0].req) < 0 && errno == EINVAL,
        "nothing can be added to a group that was called back");
  check_int(eio_nreqs(ctx), 2, "the outer group and a request are outstanding");
  finish_all(ctx);
  check(ncalled == 2 && eio_nreqs(ctx) == 0, "and called back");
  check(!is_readable(ctx), "descriptor is silent");
  eio_destroy(ctx);
}

/* Waiting in a callback for what cannot finish before it returns. */
static void wait_for_others(eio_req *req)
{
  note(req);
  finish_all(ctx);
  check_int(ncalled, 2, "groups that a callback holds up do not count");
  check_int(eio_poll_wait(ctx, -1), 0, "there is no waiting for these");
}

static void test_held(void)
{
  eio_req *outer, *inner;

  ctx = context();
  outer = submit_group(&groups[0], 3);
  inner = submit_group(&groups[1], 2);
  eio_group_add(ctx, outer, inner);
  submit_nop(ctx, &members[0], 0);
  members[0].req.cb = wait_for_others;
  submit_for_worker(ctx, &members[1], 1);
  eio_group_add(ctx, inner, &members[0].req);
  eio_group_add(ctx, inner, &members[1].req);
  while (ncalled < 2)
    eio_poll(ctx, 0, 0);
  finish_all(ctx);
  check(called_in_order(0, 4), "all are called back");
  eio_destroy(ctx);
}

static void nest(int depth)
{
  for (int i = 0; i <= depth; i++) {
    submit_group(&groups[i], depth - i + 1);
    if (i)
      eio_group_add(ctx, &groups[i - 1].req, &groups[i].req);
  }
  submit_for_worker(ctx, &members[0], 0);
  eio_group_add(ctx, &groups[depth].req, &members[0].req);
}

static void test_nesting(void)
{
  ctx = context();
  nest(1000);
  finish_all(ctx);
  check(called_in_order(0, 1002), "1000 groups in each other finish inside out");

  ncalled = 0;
  nest(1000);
  eio_cancel(ctx, &groups[0].req);
  finish_all(ctx);
  check_int(ncalled, 0, "cancelling the outermost cancels all");
  check_int(eio_nreqs(ctx), 0, "nothing is left");
  eio_destroy(ctx);
}

/* Feeders */

static int fed, fed_max, most;

static void feed(eio_req *group)
{
  if (fed < fed_max) {
    submit_for_worker(ctx, &members[fed], fed);
    eio_group_add(ctx, group, &members[fed].req);
    fed++;
  }
  if ((int)group->nmembers > most)
    most = (int)group->nmembers;
}

static void feed_and_pause(eio_req *group)
{
  feed(group);
  if (fed == 10)
    eio_group_limit(ctx, group, 0);
}

static void feed_nothing(eio_req *group)
{
  (void)group;
  fed++;
}

static eio_req *fed_group(int n)
{
  fed = most = 0;
  fed_max = n;
  ncalled = 0;
  return submit_group(&groups[0], n);
}

static void test_feed(void)
{
  eio_req *group;

  ctx = context();
  group = fed_group(100);
  eio_group_feed(ctx, group, feed);
  check(fed == 2 && group->limit == 2, "a feeder is called at once, up to a limit of 2");
  finish_all(ctx);
  check(fed == 100 && ncalled == 101, "and until it adds nothing");
  check_int(most, 2, "there were never more members than that");

  group = fed_group(100);
  eio_group_limit(ctx, group, 5);
  eio_group_feed(ctx, group, feed);
  check_int(fed, 5, "a limit of 5");
  eio_group_limit(ctx, group, 8);
  check_int(fed, 8, "raised to 8");
  eio_group_limit(ctx, group, -1);
  check_int(group->limit, 0, "a negative one is 0");
  finish_all(ctx);
  check(fed == 8 && ncalled == 9, "which stops feeding");

  group = fed_group(100);
  eio_group_feed(ctx, group, feed_and_pause);
  finish_all(ctx);
  check(fed == 10 && ncalled == 11, "the feeder itself may pause");

  group = fed_group(100);
  eio_group_feed(ctx, group, feed_nothing);
  check(fed == 1 && !group->feed, "a feeder that adds nothing is removed");
  eio_group_feed(ctx, group, NULL);
  finish_all(ctx);
  check_int(ncalled, 1, "its group finishes");
  eio_destroy(ctx);
}

/* Feeders that wait until what they add is done. */
static int early, odd;

static void feed_and_wait(eio_req *group)
{
  feed(group);
  finish_all(ctx);
  early += group->state == EIO_FINISHED;
  odd += group->nmembers != 0;
}

static void test_feed_waits(void)
{
  eio_req *group, *outer;

  ctx = context();
  early = odd = 0;
  group = fed_group(20);
  outer = submit_group(&groups[1], 21);
  eio_group_add(ctx, outer, group);
  eio_group_feed(ctx, group, feed_and_wait);
  check(fed == 20 && ncalled == 20, "a feeder is called again when its member is done already");
  check(!early && !odd, "no group finishes while its feeder runs, nor one above");
  check(is_readable(ctx), "the descriptor tells that it can when that has returned");
  finish_all(ctx);
  check(called_in_order(0, 22), "but then");

  group = fed_group(20);
  submit_for_worker(ctx, &members[50], 50);
  outer = submit_group(&groups[1], 21);
  eio_group_add(ctx, outer, group);
  eio_group_add(ctx, group, &members[50].req);
  eio_group_limit(ctx, group, 1);
  eio_group_feed(ctx, group, feed_and_wait);
  check_int(fed, 0, "no room for the feeder yet");
  finish_all(ctx);
  check(fed == 20 && ncalled == 23 && !early && !odd, "the same in a poll");
  check(order[22] == 21 && order[21] == 20, "and inside out");
  eio_destroy(ctx);
}

static jmp_buf away;

static void feed_and_leave(eio_req *group)
{
  feed(group);
  if (fed == 1)
    longjmp(away, 1);
}

static void feed_and_reset(eio_req *group)
{
  feed(group);
  eio_reset(ctx);
  for (eio_req *req; (req = eio_orphan(ctx)); eio_release(ctx, req))
    odd += req == group;
}

/* The poll sets the group aside: it is in no queue when everything is dropped. */
static void poll_and_reset(eio_req *group)
{
  fed++;
  eio_poll(ctx, 0, 0);
  eio_reset(ctx);
  odd += group->state != EIO_DONE;
}

static void replace_feeder(eio_req *group)
{
  eio_group_feed(ctx, group, feed);
}

static void test_feed_ends(void)
{
  eio_req *group;

  ctx = context();
  group = fed_group(20);
  if (!setjmp(away))
    eio_group_feed(ctx, group, feed_and_leave);
  eio_group_abandon(ctx, group);
  check(fed == 1 && !(group->flags & EIO_FEEDING), "a feeder leaves by longjmp");
  finish_all(ctx);
  check(fed == 1 && ncalled == 2, "and is not called again");

  group = fed_group(20);
  eio_group_feed(ctx, group, replace_feeder);
  check_int(fed, 2, "a feeder sets another, which is called in its place");
  finish_all(ctx);
  check_int(ncalled, 21, "the group finishes");

  odd = 0;
  group = fed_group(20);
  eio_set_max_parallel(ctx, 0);
  eio_group_feed(ctx, group, feed_and_reset);
  check(fed == 1 && !odd, "a feeder resets: its group is no orphan before it returns");
  check(eio_orphan(ctx) == group, "but then");
  eio_release(ctx, group);
  check(!eio_orphan(ctx) && !eio_nreqs(ctx), "nothing is left");

  group = fed_group(20);
  eio_group_feed(ctx, group, poll_and_reset);
  check(fed == 1 && !odd && eio_nreqs(ctx) == 0, "a feeder polls, resets, and adds nothing");
  check(eio_orphan(ctx) == group && ncalled == 0, "its group is an orphan, too");
  eio_release(ctx, group);
  eio_destroy(ctx);
}

static void test_cancel(void)
{
  eio_req *group;

  ctx = context();
  group = fed_group(100);
  eio_set_max_parallel(ctx, 0);
  eio_group_feed(ctx, group, feed);
  eio_cancel(ctx, group);
  submit_nop(ctx, &members[50], 50);
  eio_group_add(ctx, group, &members[50].req);
  check(!eio__cancelled(&members[50].req), "what is added to a cancelled group is not cancelled");
  check_int(eio_nready(ctx), 1, "no other member waits any more");
  eio_group_feed(ctx, group, feed);
  check_int(eio_nreqs(ctx), 4, "all count");
  eio_set_max_parallel(ctx, 1);
  finish_all(ctx);
  check(fed == 2 && ncalled == 1 && order[0] == 50, "no feeding, no other callback");
  check_int(eio_nreqs(ctx), 0, "nothing is left");

  group = fed_group(100);
  eio_group_feed(ctx, group, feed);
  eio_group_cancel_members(ctx, group);
  check(!group->feed && eio_nready(ctx) == 0, "cancelling members takes the feeder away");
  finish_all(ctx);
  check(ncalled == 1 && order[0] == 100, "the group is called back");
  eio_destroy(ctx);
}

/* Some of the members run, and cannot be stopped. */
static void test_cancel_running(void)
{
  struct gate gate = gate_make();
  eio_req *group;

  ctx = context();
  if (is_sync())
    gate_open(&gate);
  else {
    group = submit_group(&groups[0], 4);
    for (int i = 0; i < 4; i++) {
      (i < 2 ? block : block_in_ring)(ctx, &members[i], &gate, i);
      eio_group_add(ctx, group, &members[i].req);
    }
    wait_running(ctx, 4);
    eio_poll(ctx, 0, 0);
    check_int(group->nmembers, 4, "four members run");
    eio_cancel(ctx, group);
    gate_open(&gate);
    finish_all(ctx);
    check(ncalled == 0 && group->nmembers == 0, "none is called back, nor is the group");
  }
  gate_remove(&gate);
  eio_destroy(ctx);
}

static void test_many(void)
{
  int n = 100000;
  eio_req *group;

  ctx = context();
  group = submit_group(&groups[0], n);
  for (int i = 0; i < n; i++) {
    (i & 1 ? submit_nop : submit_for_worker)(ctx, &members[i], i);
    eio_group_add(ctx, group, &members[i].req);
  }
  check_int(group->nmembers, n, "100000 members");
  finish_all(ctx);
  check_int(ncalled, n + 1, "all are called back");
  check_int(order[n], n, "the group last");

  ncalled = 0;
  eio_set_max_parallel(ctx, 0);
  group = submit_group(&groups[0], n);
  for (int i = 0; i < n; i++) {
    submit_nop(ctx, &members[i], i);
    eio_group_add(ctx, group, &members[i].req);
  }
  eio_cancel(ctx, group);
  finish_all(ctx);
  check_int(ncalled, 0, "all are cancelled");
  eio_destroy(ctx);
}

int main(void)
{
  static test *const tests[] = {
    test_empty, test_order, test_list, test_late, test_one_more, test_errors, test_called, test_held, test_nesting,
    test_feed, test_feed_waits, test_feed_ends, test_cancel, test_cancel_running, test_many, NULL,
  };

  tap_begin();
  members = calloc(100000, sizeof *members);
  if (!members)
    bail_out("memory");
  on_each_engine(tests);
  free(members);
  return tap_end();
}
