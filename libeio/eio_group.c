/* eio_group.c - groups: requests that are finished when their members are.
 *
 * Everything here belongs to the owner thread. A group is in the done queue
 * from its submission on; when poll finds it with members left it becomes ripe
 * and is in no queue until its last member is released. */
#include "eio_int.h"

static bool is_group(const eio_req *req)
{
  return req->op == EIO_GROUP;
}

static void ripen(eio_ctx *ctx, eio_req *group)
{
  group->flags &= (uint16_t)~EIO_RIPE;
  if (group->flags & EIO_ORPHAN) {
    pthread_mutex_lock(&ctx->lock);
    eio_queue_push(&ctx->orphans, group);
    pthread_mutex_unlock(&ctx->lock);
  } else {
    eio__count(ctx, group, 1);
    eio_queue_unshift(&ctx->done, group); /* right after its last member */
    if (!ctx->depth)
      eio__signal(ctx); /* no poll will do so when it ends */
  }
}

/* Was called back, by a poll that did not come to its end; nothing can be added. */
static bool was_called(const eio_req *group)
{
  return group->flags & EIO_CALLED;
}

static void end_feeding(eio_ctx *ctx, eio_req *group)
{
  for (eio_req **p = &ctx->feeding; *p; p = &(*p)->fed_before)
    if (*p == group) {
      *p = group->fed_before;
      break;
    }
  group->fed_before = NULL;
  if (!(group->flags & EIO_FED))
    group->feed = NULL;
  group->flags &= (uint16_t)~(EIO_FEEDING | EIO_FED);
  if (!group->nmembers && (group->flags & EIO_RIPE))
    ripen(ctx, group); /* the next call, if there is one, may still add to it */
}

/* Calls the feeder until there are enough members. It may do anything, also
 * never return (by longjmp): so the group is in good order before. */
static void feed(eio_ctx *ctx, eio_req *group)
{
  if (group->flags & EIO_FEEDING || was_called(group))
    return;
  while (group->feed && !(group->flags & EIO_CANCELLED)
         && group->nmembers < (uint64_t)group->limit) {
    group->flags |= EIO_FEEDING;
    group->fed_before = ctx->feeding;
    ctx->feeding = group;
    group->feed(group);
    end_feeding(ctx, group);
  }
}

void eio_group_abandon(eio_ctx *ctx, eio_req *group)
{
  group->feed = NULL;
  end_feeding(ctx, group);
}

static void unlink_member(eio_req *req)
{
  eio_req *group = req->group;

  if (req->younger)
    req->younger->older = req->older;
  else
    group->members = req->older;
  if (req->older)
    req->older->younger = req->younger;
  req->group = req->older = req->younger = NULL;
  group->nmembers--;
}

void eio__group_released(eio_ctx *ctx, eio_req *req)
{
  eio_req *group = req->group;
  uint64_t made, whole;

  if (!group)
    return;
  if (req->flags & EIO_ORPHAN) {
    group->flags |= EIO_ORPHAN | EIO_CANCELLED;
    group->feed = NULL;
  }
  eio_progress(req, &made, &whole);
  group->made += group->arg2 ? made : 1;
  group->whole += group->arg2 ? whole : 1;
  unlink_member(req);
  if (!group->nmembers && (group->flags & EIO_RIPE))
    ripen(ctx, group); /* eio_next() looks for members that the feeder adds */
  feed(ctx, group);
}

void eio__group_replace(eio_req *req, eio_req *other)
{
  if (!req->group)
    return;
  other->group = req->group;
  other->older = req->older;
  other->younger = req->younger;
  if (req->younger)
    req->younger->older = other;
  else
    req->group->members = other;
  if (req->older)
    req->older->younger = other;
  req->group = req->older = req->younger = NULL;
}

int eio_group_add(eio_ctx *ctx, eio_req *group, eio_req *req)
{
  if (group->state == EIO_FINISHED || was_called(group)) {
    errno = EINVAL;
    return -1;
  }
  for (eio_req *up = group; up; up = up->group)
    if (up == req) {
      errno = EINVAL;
      return -1;
    }
  if (req->group || group->flags & EIO_ORPHAN || eio__flag(req, EIO_ORPHAN)
      || __atomic_load_n(&req->state, __ATOMIC_RELAXED) == EIO_FINISHED)
    return 0;
  req->group = group;
  req->older = group->members;
  if (group->members)
    group->members->younger = req;
  group->members = req;
  group->nmembers++;
  if (group->flags & EIO_FEEDING)
    group->flags |= EIO_FED;
  if (group->flags & EIO_TIMED_OUT)
    return eio_timeout(ctx, req, 0);
  return 0;
}

void eio__group_walk(eio_ctx *ctx, eio_req *group, eio_req *(*f)(eio_ctx *, eio_req *))
{
  eio_req *req = group;

  for (;;) {
    req = f(ctx, req);
    if (is_group(req) && req->members) {
      req = req->members;
      continue;
    }
    while (req != group && !req->older)
      req = req->group;
    if (req == group)
      return;
    req = req->older;
  }
}

void eio_group_cancel_members(eio_ctx *ctx, eio_req *group)
{
  group->feed = NULL;
  for (eio_req *req = group->members; req; req = req->older)
    eio_cancel(ctx, req);
}

void eio_group_limit(eio_ctx *ctx, eio_req *group, int limit)
{
  group->limit = limit < 0 ? 0 : limit;
  feed(ctx, group);
}

void eio_group_feed(eio_ctx *ctx, eio_req *group, void (*f)(eio_req *))
{
  group->feed = f;
  if (!group->limit)
    group->limit = 2;
  if (group->flags & EIO_FEEDING)
    group->flags |= EIO_FED; /* the next one gets its chance */
  feed(ctx, group);
}

void eio_progress(const eio_req *req, uint64_t *made, uint64_t *whole)
{
  *made = __atomic_load_n(&req->made, __ATOMIC_RELAXED);
  *whole = __atomic_load_n(&req->whole, __ATOMIC_RELAXED);
  if (!is_group(req))
    return;
  if (!req->arg2)
    *whole += req->nmembers;
  for (const eio_req *member = req->arg2 ? req->members : NULL; member; member = member->older) {
    uint64_t more, of;

    eio_progress(member, &more, &of);
    *made += more;
    *whole += of;
  }
}
