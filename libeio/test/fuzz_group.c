/* fuzz_group.c - groups, members, feeders, cancelling and nested polls in any
 * order: each request is called back once, or never when cancelled, a group
 * after all that it has had as members; and in the end nothing is left. */
#include "fuzz.h"

enum { SLOTS = 24, DEPTH = 4 };

static struct slot {
  eio_req req; /* first: a callback finds the slot by it */
  bool live, called, cancelled;
} slots[SLOTS];

static eio_ctx *ctx;
static struct input input;
static int depth, budget;

static void step(void);
static void poll_some(void);

static void called(eio_req *req)
{
  struct slot *slot = (struct slot *)req;

  MUST(slot->live && !slot->called && !slot->cancelled);
  MUST(req->op != EIO_GROUP || !req->members);
  slot->called = true;
  for (unsigned n = octet(&input) % 4; n; n--)
    step();
}

static struct slot *submit(bool group)
{
  for (int i = 0; i < SLOTS; i++)
    if (!slots[i].live) {
      struct slot *slot = &slots[i];

      *slot = (struct slot){ .live = true };
      eio_req_init(&slot->req, group ? EIO_GROUP : EIO_NOP);
      slot->req.cb = called;
      slot->req.pri = (int8_t)((int)(octet(&input) % 9) - 4);
      eio_submit(ctx, &slot->req);
      return slot;
    }
  return NULL;
}

static struct slot *choose(void)
{
  struct slot *slot = &slots[octet(&input) % SLOTS];

  return slot->live ? slot : NULL;
}

static struct slot *choose_group(void)
{
  struct slot *slot = choose();

  return slot && slot->req.op == EIO_GROUP ? slot : NULL;
}

/* All below a group, as the library has them. */
static void mark_cancelled(eio_req *req)
{
  struct slot *slot = (struct slot *)req;

  slot->cancelled = slot->cancelled || !slot->called;
  if (req->op == EIO_GROUP)
    for (eio_req *member = req->members; member; member = member->older)
      mark_cancelled(member);
}

static void feeder(eio_req *group)
{
  struct slot *slot;

  if (octet(&input) % 4 == 0 || budget-- <= 0 || !(slot = submit(octet(&input) % 8 == 0)))
    return;
  eio_group_add(ctx, group, &slot->req);
  if (octet(&input) % 8 == 0)
    step();
  MUST(group->state != EIO_FINISHED);
}

static void step(void)
{
  struct slot *slot, *other;

  if (budget-- <= 0)
    return;
  switch (octet(&input) % 10) {
  case 0: case 1: submit(false); break;
  case 2: submit(true); break;
  case 3: case 4: case 5:
    if ((slot = choose_group()) && (other = choose()))
      eio_group_add(ctx, &slot->req, &other->req);
    break;
  case 6:
    if ((slot = choose())) {
      mark_cancelled(&slot->req);
      eio_cancel(ctx, &slot->req);
    }
    break;
  case 7:
    if ((slot = choose_group())) {
      for (eio_req *member = slot->req.members; member; member = member->older)
        mark_cancelled(member);
      eio_group_cancel_members(ctx, &slot->req);
    }
    break;
  case 8:
    if ((slot = choose_group()) && slot->req.state != EIO_FINISHED) {
      if (octet(&input) % 2)
        eio_group_limit(ctx, &slot->req, (int)(octet(&input) % 6) - 1);
      else
        eio_group_feed(ctx, &slot->req, feeder);
    }
    break;
  default:
    if (depth < DEPTH)
      poll_some();
  }
}

static void check_members(void)
{
  for (int i = 0; i < SLOTS; i++)
    if (slots[i].live && slots[i].req.op == EIO_GROUP) {
      uint64_t n = 0;

      for (eio_req *member = slots[i].req.members; member; member = member->older, n++)
        MUST(((struct slot *)member)->live && member->group == &slots[i].req);
      MUST(n == slots[i].req.nmembers);
    }
}

static void poll_some(void)
{
  unsigned max = octet(&input) % 8;
  eio_req *req;

  depth++;
  eio_poll_begin(ctx);
  while ((req = eio_next(ctx))) {
    struct slot *slot = (struct slot *)req;

    MUST(slot->live);
    if (!(req->flags & EIO_CANCELLED))
      called(req);
    if (req->group && octet(&input) % 16 == 1) {
      eio_unfinish(ctx, req); /* as after an exception */
      slot->cancelled = true;
    } else {
      eio_release(ctx, req);
      MUST(slot->called || slot->cancelled);
      slot->live = false;
    }
    if (max && !--max)
      break;
  }
  eio_poll_end(ctx);
  depth--;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  input = (struct input){ data, data + size };
  budget = 200;
  memset(slots, 0, sizeof slots);
  ctx = eio_create();
  MUST(ctx);
  MUST(eio_set_engine(ctx, "sync") == 0);
  while (input.at < input.end && budget > 0) {
    step();
    check_members();
  }
  if (size % 4 == 3) { /* drop all */
    eio_req *req;

    eio_reset(ctx);
    while ((req = eio_orphan(ctx))) {
      struct slot *slot = (struct slot *)req;

      MUST(slot->live);
      eio_release(ctx, req);
      slot->live = false;
    }
  }
  for (budget = 0; eio_nreqs(ctx) || eio_npending(ctx);)
    poll_some();
  for (int i = 0; i < SLOTS; i++)
    MUST(!slots[i].live);
  eio_destroy(ctx);
  return 0;
}
