/* core_handover.c - the hand-over in the pool: nothing waits for a thread that was not
 * told.
 *
 * A model of an owner, two workers and a system that refuses threads, which takes every
 * order of their steps. A step is what the code does under the lock, or one access to an
 * atomic without. Decisions are those of eio_admit.c. From each state that can be reached,
 * what goes on by itself (all but new calls by the program) has to lead to one where
 * everything is executed. With decisions as they once were the check has to fail. */
#include "tap.h"

#include "../eio_admit.h"

#define WORKERS 2
#define MAX_STATES (1u << 21)
#define NONE UINT32_MAX

enum worker { GONE, CREATED, COMING, PARKED, AT_QUEUE, LINGERS, CREATES, EXECUTES, LOST };

enum owner { IDLE, PUSHES, GIVES, READS_HELD, READS_COMING, READS_LINGERING, READS_PARKED, READS_THREADS, READS_RUNNING, TELLS,
             STARTS, HELPS, LOWERS, WAITS, DOZES, SLEEPS };

struct state {
  uint8_t submitted, incoming, ready, taken; /* requests; taken wraps like the code's counter */
  uint8_t begun, executed, total;
  uint8_t running, max_running, threads, max_threads, parked, coming, lingering;
  uint8_t worker[WORKERS], first[WORKERS];   /* first: it executes what was begun first */
  uint8_t owner, event, then;                /* then: what it does after STARTS */
  uint8_t held;                              /* places of the ring and of attempts in submit */
  uint8_t queued, in_class;                  /* wait for a place of the class; places taken */
  uint8_t signaled, refused, roused, left, timer;
  uint8_t refusals, submits, helps, holds, lowers, gives; /* how often that may still happen */
  struct { uint8_t waiting, expected, parked, threads, running; } seen; /* by the owner, without the lock */
};

/* What is tried. */
struct setting {
  const char *name;
  uint8_t threads, running;  /* limits */
  uint8_t refusals, submits, helps, holds, lowers, gives;
  uint8_t class_max;         /* all requests are of one class with so many places; 0: of none */
  bool hangs;                /* the first execution does not end by itself: it has to be given up */
  bool waits;                /* the owner sleeps in eio_poll_wait(), not in an event loop */
  bool gated;                /* the first execution ends when another has begun */
  bool eager;                /* one is sent for each request that waits */
};

static struct decisions {
  bool (*admits)(unsigned running, unsigned max_running);
  unsigned (*whom)(enum eio_event event, const struct eio_counts *counts);
  bool by_count;             /* workers believe what is counted, pushed or not */
} decide;

static const struct setting *setting;

static bool is_expected(unsigned waiting, unsigned expected)
{
  return expected && (!setting->eager || expected >= waiting);
}

/* The graph -------------------------------------------------------------- */

static struct state states[MAX_STATES];
static uint32_t parents[MAX_STATES], nstates, table[MAX_STATES * 2], current;
static struct edge { uint32_t from, next; } edges[MAX_STATES * 4];
static uint32_t incoming_edges[MAX_STATES], nedges; /* those by which it goes on by itself */
static bool spins;

static uint32_t find(const struct state *s)
{
  const unsigned char *bytes = (const unsigned char *)s;
  uint32_t hash = 2166136261u;

  for (size_t i = 0; i < sizeof *s; i++)
    hash = (hash ^ bytes[i]) * 16777619u;
  for (hash %= MAX_STATES * 2; table[hash] != NONE; hash = (hash + 1) % (MAX_STATES * 2))
    if (!memcmp(&states[table[hash]], s, sizeof *s))
      return table[hash];
  if (nstates == MAX_STATES)
    bail_out("too many states");
  states[nstates] = *s;
  parents[nstates] = current;
  incoming_edges[nstates] = NONE;
  return table[hash] = nstates++;
}

/* A step leads there; by_itself: nobody has to call anything. */
static void step_to(const struct state *s, bool by_itself)
{
  uint32_t to = find(s);

  if (!by_itself)
    return;
  if (nedges == MAX_STATES * 4)
    bail_out("too many edges");
  edges[nedges] = (struct edge){ current, incoming_edges[to] };
  incoming_edges[to] = nedges++;
}

/* What the code does under the lock --------------------------------------- */

static bool enter_class(struct state *s)
{
  if (!setting->class_max)
    return true;
  if (!decide.admits(s->in_class, setting->class_max))
    return false;
  s->in_class++;
  return true;
}

static void take_incoming(struct state *s)
{
  for (; s->incoming; s->incoming--)
    if (enter_class(s))
      s->ready++;
    else
      s->queued++;
}

static void leave_class(struct state *s)
{
  if (!setting->class_max)
    return;
  for (s->in_class--; s->queued && enter_class(s); s->queued--)
    s->ready++;
}

static struct eio_counts counts_of(const struct state *s)
{
  return (struct eio_counts){ .waiting = s->ready, .expected = is_expected(s->ready, (unsigned)(s->coming + s->lingering)),
                              .parked = s->parked,
                              .threads = s->threads, .max_threads = s->max_threads, .running = s->running,
                              .max_running = s->max_running };
}

/* Whether somebody has to start a thread then, who has been counted. */
static bool tell(struct state *s, enum eio_event event)
{
  struct eio_counts counts;
  unsigned whom;

  take_incoming(s);
  counts = counts_of(s);
  whom = decide.whom(event, &counts);
  s->left |= (whom & EIO_TELL_LIMITS) != 0;
  s->refused |= (whom & EIO_TELL_OWNER) != 0;
  if (!(whom & EIO_TELL_WORKER))
    return false;
  s->coming++;
  for (int i = 0; i < WORKERS; i++)
    if (s->worker[i] == PARKED) {
      s->worker[i] = COMING;
      s->parked--;
      return false;
    }
  s->threads++;
  for (int i = 0; i < WORKERS; i++)
    if (s->worker[i] == GONE) {
      s->worker[i] = CREATED;
      return true;
    }
  bail_out("more than %d threads", WORKERS);
}

static void leave(struct state *s, int i)
{
  s->coming -= s->worker[i] == COMING;
  s->parked -= s->worker[i] == PARKED;
  s->threads--;
  s->worker[i] = GONE;
  tell(s, EIO_EV_LEFT);
}

static bool may_take(struct state *s)
{
  take_incoming(s);
  return s->ready && decide.admits(s->running, s->max_running);
}

static void begin(struct state *s)
{
  s->running++;
  s->ready--;
  s->taken++;
  s->begun++;
}

static void finish(struct state *s)
{
  s->executed++;
  s->signaled = 1;
}

static void put_back(struct state *s)
{
  take_incoming(s);
  s->ready++;
  s->taken--;
  s->running--;
}

/* The workers ------------------------------------------------------------- */

/* The next one in the list that was counted by tell() arrives, or is refused. */
static void create(struct state s, bool by_owner, void (*then)(struct state *s, int i), int i)
{
  int fresh = 0;

  while (s.worker[fresh] != CREATED)
    fresh++;
  if (s.refusals) {
    struct state r = s;

    r.refusals--;
    r.worker[fresh] = GONE;
    r.threads--;
    r.coming--;
    tell(&r, EIO_EV_REFUSED);
    if (r.refused && !by_owner)
      r.signaled = 1;
    if (by_owner) { /* eio__run_ready() */
      while (!r.threads && may_take(&r)) {
        begin(&r);
        finish(&r);
        leave_class(&r);
        r.running--;
      }
      tell(&r, EIO_EV_REFUSED);
    }
    then(&r, i);
    step_to(&r, true);
  }
  s.worker[fresh] = COMING;
  then(&s, i);
  step_to(&s, true);
}

static void then_executes(struct state *s, int i)
{
  s->worker[i] = EXECUTES;
}

/* At the queue, with the lock. */
static void go_to_queue(struct state s, int i)
{
  s.lingering -= s.worker[i] == LINGERS;
  if (s.threads > s.max_threads) {
    leave(&s, i);
    step_to(&s, true);
    return;
  }
  s.coming -= s.worker[i] == COMING;
  if (may_take(&s)) {
    s.first[i] = s.begun == 0;
    begin(&s);
    s.worker[i] = tell(&s, EIO_EV_TAKEN) ? CREATES : EXECUTES;
    step_to(&s, true);
    return;
  }
  if (decide.by_count && s.submitted != s.taken && decide.admits(s.running, s.max_running))
    spins = true; /* it would come again at once, with the lock */
  if (s.worker[i] == AT_QUEUE && !s.lingering) {
    struct state l = s;

    l.lingering = 1;
    l.worker[i] = LINGERS;
    step_to(&l, true);
  }
  s.worker[i] = PARKED;
  s.parked++;
  step_to(&s, true);
}

static void step_worker(struct state s, int i)
{
  switch ((enum worker)s.worker[i]) {
  case COMING: case AT_QUEUE: case LINGERS:
    go_to_queue(s, i);
    break;
  case CREATES:
    create(s, false, then_executes, i);
    break;
  case EXECUTES:
    if (setting->gated && s.first[i] && s.begun < 2 && s.total > 1)
      break;
    if (setting->hangs && s.first[i])
      break;
    finish(&s);
    leave_class(&s);
    s.running--;
    s.first[i] = 0;
    s.worker[i] = AT_QUEUE;
    step_to(&s, true);
    break;
  case LOST: /* it may end one day */
    s.first[i] = 0;
    if (s.threads < s.max_threads) {
      s.threads++;
      s.worker[i] = AT_QUEUE;
    } else
      s.worker[i] = GONE;
    step_to(&s, false);
    break;
  case PARKED: /* the idle timeout; or the limit has been lowered */
    if (s.threads > s.max_threads ? s.roused : !may_take(&s)) {
      bool by_itself = s.threads > s.max_threads;

      leave(&s, i);
      step_to(&s, by_itself);
    }
    break;
  default:
    break;
  }
}

/* The owner --------------------------------------------------------------- */

static void then_goes_on(struct state *s, int i)
{
  (void)i;
  s->owner = s->then;
  s->then = IDLE;
}

static void tell_by_owner(struct state *s, enum eio_event event, enum owner then)
{
  s->then = then;
  if (tell(s, event))
    s->owner = STARTS;
  else
    then_goes_on(s, 0);
}

/* Without the lock, one counter after the other. */
static void look(struct state *s, enum eio_event event)
{
  s->event = event;
  s->seen.waiting = (uint8_t)(s->submitted - s->taken);
  s->owner = setting->class_max ? READS_HELD : READS_COMING;
}

/* eio__places_give() by the owner: the class's under the lock, the other then. */
static void give_places(struct state *s)
{
  if (setting->class_max) {
    leave_class(s);
    s->owner = GIVES;
  } else {
    s->running--;
    look(s, EIO_EV_FREED);
  }
}

static void call_something(const struct state *from)
{
  struct state s = *from;

  if (s.submits) {
    s.submits--;
    s.submitted++;
    s.total++;
    s.owner = PUSHES;
    step_to(&s, false);
  }
  s = *from;
  if (s.helps && (uint8_t)(s.submitted - s.taken - s.queued) > s.coming && may_take(&s)) {
    s.helps--;
    begin(&s);
    s.owner = HELPS;
    step_to(&s, false);
  }
  s = *from;
  take_incoming(&s);
  if (s.holds && decide.admits(s.running, s.max_running) && enter_class(&s)) {
    s.holds--;
    s.total++;
    s.running++;
    s.begun++;
    s.held++;
    step_to(&s, false);
  }
  s = *from;
  if (s.lowers) {
    s.lowers--;
    s.max_running = 1;
    s.owner = LOWERS;
    step_to(&s, false);
  }
}

/* The kernel has finished, or declined, what was held. */
static void land(const struct state *from)
{
  struct state s = *from;

  s.held--;
  finish(&s);
  s.signaled = from->signaled; /* it is the owner who sees to it */
  give_places(&s);
  step_to(&s, true);
  s = *from;
  s.held--;
  put_back(&s);
  tell_by_owner(&s, EIO_EV_FREED, IDLE);
  step_to(&s, true);
}

/* A poll finds that time is up for what a worker executes: something else is done in its place. */
static void give_up(const struct state *from)
{
  for (int i = 0; i < WORKERS; i++) {
    struct state s = *from;

    if (s.worker[i] != EXECUTES)
      continue;
    s.gives--;
    s.executed++;
    s.threads--;
    leave_class(&s);
    s.running--;
    s.worker[i] = LOST;
    look(&s, EIO_EV_FREED);
    step_to(&s, true);
  }
}

static void go_to_sleep(struct state s)
{
  if (setting->waits) { /* eio__pool_wants_thread() */
    s.refused = 0;
    tell_by_owner(&s, EIO_EV_SUBMITTED, DOZES);
  } else
    s.owner = SLEEPS;
  step_to(&s, true);
}

static void wake_up(struct state s)
{
  if (!s.signaled && !s.timer)
    return;
  s.owner = IDLE;
  s.timer = 0;
  if (s.signaled && s.refused) { /* as leaving a poll does */
    s.refused = 0;
    tell_by_owner(&s, EIO_EV_SUBMITTED, IDLE);
  }
  s.signaled = 0;
  step_to(&s, true);
}

static void help(const struct state *from)
{
  struct state s = *from;

  s.executed++;
  give_places(&s);
  step_to(&s, true);
  s = *from;
  put_back(&s);
  tell_by_owner(&s, EIO_EV_FREED, IDLE);
  step_to(&s, true);
}

static void step_reader(struct state s)
{
  struct eio_counts c;

  switch ((enum owner)s.owner) {
  case READS_HELD: s.seen.waiting -= s.queued; break;
  case READS_COMING: s.seen.expected = s.coming; break;
  case READS_LINGERING: s.seen.expected += s.lingering; break;
  case READS_PARKED: s.seen.parked = s.parked; break;
  case READS_THREADS: s.seen.threads = s.threads; break;
  default: s.seen.running = s.running; break;
  }
  s.owner++;
  if (s.owner == TELLS) {
    c = (struct eio_counts){ .waiting = s.seen.waiting,
                             .expected = is_expected(s.seen.waiting, s.seen.expected), .parked = s.seen.parked,
                             .threads = s.seen.threads, .max_threads = s.max_threads,
                             .running = s.seen.running, .max_running = s.max_running };
    s.owner = decide.whom((enum eio_event)s.event, &c) ? TELLS : IDLE;
    memset(&s.seen, 0, sizeof s.seen);
  }
  step_to(&s, true);
}

static void step_owner(const struct state *from)
{
  struct state s = *from;
  struct eio_counts c;

  switch ((enum owner)s.owner) {
  case IDLE:
    call_something(from);
    go_to_sleep(s);
    break;
  case PUSHES:
    s.incoming++;
    look(&s, EIO_EV_SUBMITTED);
    step_to(&s, true);
    break;
  case GIVES:
    s.running--;
    look(&s, EIO_EV_FREED);
    step_to(&s, true);
    break;
  case TELLS:
    tell_by_owner(&s, (enum eio_event)s.event, IDLE);
    step_to(&s, true);
    break;
  case STARTS:
    create(s, true, then_goes_on, 0);
    break;
  case HELPS:
    help(from);
    break;
  case LOWERS:
    s.max_threads = s.roused = 1;
    s.left = 0;
    s.owner = WAITS;
    if (s.threads <= s.max_threads)
      tell_by_owner(&s, EIO_EV_LIMITS, IDLE);
    step_to(&s, true);
    break;
  case WAITS: /* pthread_cond_wait() */
    s.owner = LOWERS;
    if (s.left)
      step_to(&s, true);
    break;
  case DOZES:
    c = counts_of(&s);
    s.timer = decide.whom(EIO_EV_SUBMITTED, &c) != 0;
    s.owner = SLEEPS;
    step_to(&s, true);
    break;
  case SLEEPS:
    wake_up(s);
    break;
  default:
    step_reader(s);
    break;
  }
  if ((s.owner == IDLE || s.owner == SLEEPS) && from->held)
    land(from);
  if ((s.owner == IDLE || s.owner == SLEEPS) && from->gives)
    give_up(from);
}

/* The check --------------------------------------------------------------- */

static bool all_is_done(const struct state *s)
{
  return s->owner == SLEEPS && s->executed == s->total && !s->held;
}

static void explore(void)
{
  struct state s = { .max_threads = setting->threads, .max_running = setting->running,
                     .refusals = setting->refusals, .submits = setting->submits, .helps = setting->helps,
                     .holds = setting->holds, .lowers = setting->lowers, .gives = setting->gives };

  memset(table, 0xff, sizeof table);
  nstates = nedges = 0;
  spins = false;
  current = NONE;
  find(&s);
  for (current = 0; current < nstates; current++) {
    for (int i = 0; i < WORKERS; i++)
      step_worker(states[current], i);
    step_owner(&states[current]);
  }
}

static void print_state(uint32_t n)
{
  const struct state *s = &states[n];

  if (parents[n] != NONE)
    print_state(parents[n]);
  printf("# owner %d workers %d %d incoming %d ready %d running %d/%d threads %d/%d parked %d coming %d lingering %d "
         "executed %d/%d held %d signaled %d refused %d\n", s->owner, s->worker[0], s->worker[1], s->incoming, s->ready,
         s->running, s->max_running, s->threads, s->max_threads, s->parked, s->coming, s->lingering, s->executed,
         s->total, s->held, s->signaled, s->refused);
}

/* A state that does not lead to the end by itself; NONE if there is none. */
static uint32_t stuck_state(void)
{
  static uint32_t list[MAX_STATES];
  static bool good[MAX_STATES];
  uint32_t n = 0;

  memset(good, 0, sizeof good);
  for (uint32_t i = 0; i < nstates; i++)
    if (all_is_done(&states[i])) {
      good[i] = true;
      list[n++] = i;
    }
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t e = incoming_edges[list[i]]; e != NONE; e = edges[e].next)
      if (!good[edges[e].from]) {
        good[edges[e].from] = true;
        list[n++] = edges[e].from;
      }
  for (uint32_t i = 0; i < nstates; i++)
    if (!good[i])
      return i;
  return NONE;
}

static const struct decisions real = { eio__admits, eio__whom_to_tell, false };

static void check(const struct setting *what)
{
  uint32_t stuck;

  setting = what;
  decide = real;
  explore();
  stuck = stuck_state();
  ok(stuck == NONE && !spins, "%s: none of %u states is stuck", what->name, (unsigned)nstates);
  if (stuck != NONE)
    print_state(stuck);
}

/* Decisions as they were, each with what went wrong. */

/* The owner who had executed a request himself, or the ring, told nobody. */
static unsigned tell_none_of_places(enum eio_event event, const struct eio_counts *c)
{
  return event == EIO_EV_FREED ? 0 : eio__whom_to_tell(event, c);
}

/* A thread that was refused left without a word. */
static unsigned tell_none_of_refusals(enum eio_event event, const struct eio_counts *c)
{
  return event == EIO_EV_REFUSED ? 0 : eio__whom_to_tell(event, c);
}

static unsigned tell_limits_of_refusals(enum eio_event event, const struct eio_counts *c)
{
  return eio__whom_to_tell(event, c) & (event == EIO_EV_REFUSED ? EIO_TELL_LIMITS : ~0u);
}

static void reject(const struct setting *what, const struct decisions *old)
{
  setting = what;
  decide = *old;
  explore();
  ok(stuck_state() != NONE || spins, "%s: found", what->name);
}

int main(void)
{
  static const struct setting settings[] = {
    { .name = "one at a time", .threads = 1, .running = 1, .submits = 3, .helps = 2, .holds = 1 },
    { .name = "two at a time", .threads = 2, .running = 2, .submits = 3, .helps = 1, .holds = 1 },
    { .name = "no limit but of threads", .threads = 2, .running = 99, .submits = 3, .helps = 1 },
    { .name = "one for each", .threads = 2, .running = 99, .submits = 3, .helps = 1, .eager = true },
    { .name = "one for each, two at a time", .threads = 2, .running = 2, .submits = 2, .holds = 1, .eager = true },
    { .name = "one for each, refused", .threads = 2, .running = 99, .submits = 3, .refusals = 1, .eager = true },
    { .name = "one for each, refused twice, in poll_wait", .threads = 2, .running = 2, .submits = 3, .refusals = 2,
      .waits = true, .gated = true, .eager = true },
    { .name = "one at a time, refused", .threads = 1, .running = 1, .submits = 2, .helps = 1, .holds = 1, .refusals = 1 },
    { .name = "two at a time, refused", .threads = 2, .running = 2, .submits = 2, .helps = 1, .holds = 1, .refusals = 1 },
    { .name = "refused twice, in poll_wait", .threads = 2, .running = 2, .submits = 2, .helps = 1, .refusals = 2,
      .waits = true, .gated = true },
    { .name = "refused, one waits for the other", .threads = 2, .running = 99, .submits = 3, .refusals = 1,
      .waits = true, .gated = true },
    { .name = "the limit is lowered", .threads = 2, .running = 2, .submits = 2, .helps = 1, .lowers = 1, .refusals = 1 },
    { .name = "what hangs is given up", .threads = 1, .running = 1, .submits = 3, .helps = 1, .gives = 1, .hangs = true },
    { .name = "what hangs is given up, no limit but of threads", .threads = 1, .running = 99, .submits = 3, .gives = 1,
      .hangs = true },
    { .name = "what hangs is given up, the next thread refused", .threads = 1, .running = 1, .submits = 2, .gives = 1,
      .refusals = 1, .hangs = true },
    { .name = "what hangs is given up, the next thread refused, in poll_wait", .threads = 1, .running = 1, .submits = 2,
      .gives = 1, .refusals = 1, .hangs = true, .waits = true },
    { .name = "a class, one at a time", .threads = 2, .running = 99, .submits = 3, .helps = 1, .holds = 1, .class_max = 1 },
    { .name = "a class, two at a time, one for each", .threads = 2, .running = 2, .submits = 3, .holds = 1, .class_max = 2,
      .eager = true },
    { .name = "a class, refused, in poll_wait", .threads = 2, .running = 99, .submits = 3, .refusals = 1, .helps = 1,
      .class_max = 1, .waits = true },
    { .name = "what hangs in a class is given up", .threads = 1, .running = 99, .submits = 3, .gives = 1, .hangs = true,
      .class_max = 1 },
    { .name = "the limit is lowered, with the ring", .threads = 2, .running = 2, .submits = 2, .holds = 1, .lowers = 1 },
  };

  tap_begin();
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
    check(&settings[i]);
  reject(&(struct setting){ .name = "nobody told of a free place", .threads = 1, .running = 1, .submits = 2, .helps = 1 },
         &(struct decisions){ eio__admits, tell_none_of_places, false });
  reject(&(struct setting){ .name = "nobody told of a free place of a class", .threads = 2, .running = 99, .submits = 2,
                            .holds = 1, .class_max = 1 },
         &(struct decisions){ eio__admits, tell_none_of_places, false });
  reject(&(struct setting){ .name = "nobody told that what hangs was given up", .threads = 1, .running = 1, .submits = 2,
                            .gives = 1, .hangs = true },
         &(struct decisions){ eio__admits, tell_none_of_places, false });
  reject(&(struct setting){ .name = "nobody told of a refused thread, whose end is waited for", .threads = 2,
                            .running = 2, .submits = 2, .refusals = 1, .lowers = 1 },
         &(struct decisions){ eio__admits, tell_none_of_refusals, false });
  reject(&(struct setting){ .name = "the owner not told of a thread refused to a worker", .threads = 2, .running = 2,
                            .submits = 2, .refusals = 1, .waits = true, .gated = true },
         &(struct decisions){ eio__admits, tell_limits_of_refusals, false });
  reject(&(struct setting){ .name = "what is counted, not yet pushed, taken for waiting", .threads = 1, .running = 99,
                            .submits = 2 },
         &(struct decisions){ eio__admits, eio__whom_to_tell, true });
  return tap_end();
}
