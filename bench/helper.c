/* helper.c - what bench/run cannot do in Perl; built when it is needed.
 *
 *   helper costs              prints what a few things take here, in nanoseconds: a system call, a look at
 *                             the clock, a hop (from a signal to a thread that slept), and 64 thread starts
 *   helper dear N COMMAND...  runs a command whose system calls each take a filter of N instructions more,
 *                             as in sandboxes. The first loads an argument: answers that do not depend on
 *                             one the kernel would remember. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void)
{
  struct timespec ts;

  clock_gettime(CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

  return (x > y) - (x < y);
}

static double median(int64_t *values, int n)
{
  qsort(values, (size_t)n, sizeof *values, compare);
  return (double)values[n / 2];
}

/* What others do meanwhile is no part of it. */
static double least(int64_t *values, int n)
{
  qsort(values, (size_t)n, sizeof *values, compare);
  return (double)values[0];
}

enum { ROUNDS = 101, CALLS = 1000, HOPS = 1001, THREADS = 64 };

static double call_ns(void)
{
  int64_t t[ROUNDS];

  for (int i = 0; i < ROUNDS; i++) {
    t[i] = now();
    for (int j = 0; j < CALLS; j++)
      syscall(SYS_getppid);
    t[i] = now() - t[i];
  }
  return least(t, ROUNDS) / CALLS;
}

static double clock_ns(void)
{
  int64_t t[ROUNDS];

  for (int i = 0; i < ROUNDS; i++) {
    t[i] = now();
    for (int j = 0; j < CALLS; j++)
      now();
    t[i] = now() - t[i];
  }
  return least(t, ROUNDS) / CALLS;
}

/* One thread wakes another, which has had time to fall asleep since the last hop. */
static uint32_t word, seen;
static int64_t sent, hops[HOPS];

static void *hopper(void *arg)
{
  for (uint32_t i = 1; i <= HOPS; i++) {
    while (__atomic_load_n(&word, __ATOMIC_ACQUIRE) != i)
      syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, i - 1, NULL, NULL, 0);
    hops[i - 1] = now() - sent;
    __atomic_store_n(&seen, i, __ATOMIC_RELEASE);
  }
  return arg;
}

static double hop_ns(void)
{
  struct timespec nap = { 0, 100000 };
  pthread_t thread;

  pthread_create(&thread, NULL, hopper, NULL);
  for (uint32_t i = 1; i <= HOPS; i++) {
    do
      nanosleep(&nap, NULL);
    while (__atomic_load_n(&seen, __ATOMIC_ACQUIRE) != i - 1);
    sent = now();
    __atomic_store_n(&word, i, __ATOMIC_RELEASE);
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  }
  pthread_join(thread, NULL);
  return median(hops, HOPS);
}

static pthread_barrier_t all;

static void *arrive(void *arg)
{
  pthread_barrier_wait(&all);
  return arg;
}

/* Until 64 new threads run. */
static double threads_ns(void)
{
  pthread_t threads[THREADS];
  int64_t t[11];

  for (int i = 0; i < 11; i++) {
    pthread_barrier_init(&all, NULL, THREADS + 1);
    t[i] = now();
    for (int j = 0; j < THREADS; j++)
      if (pthread_create(&threads[j], NULL, arrive, NULL)) {
        perror("helper: threads");
        exit(1);
      }
    pthread_barrier_wait(&all);
    t[i] = now() - t[i];
    for (int j = 0; j < THREADS; j++)
      pthread_join(threads[j], NULL);
    pthread_barrier_destroy(&all);
  }
  return median(t, 11);
}

static int dear(unsigned n, char **command)
{
  struct sock_filter *filter;
  struct sock_fprog program;

  n = n < 2 ? 2 : n > BPF_MAXINSNS ? BPF_MAXINSNS : n;
  filter = calloc(n, sizeof *filter);
  if (!filter)
    return 1;
  filter[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]));
  for (unsigned i = 1; i < n - 1; i++)
    filter[i] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, i);
  filter[n - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  program = (struct sock_fprog){ (unsigned short)n, filter };
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
    fprintf(stderr, "helper: no filter: %s\n", strerror(errno));
    return 1;
  }
  execvp(command[0], command);
  fprintf(stderr, "helper: %s: %s\n", command[0], strerror(errno));
  return 1;
}

int main(int argc, char **argv)
{
  if (argc > 3 && !strcmp(argv[1], "dear"))
    return dear((unsigned)strtoul(argv[2], NULL, 10), argv + 3);
  if (argc == 2 && !strcmp(argv[1], "costs")) {
    printf("call %.0f clock %.0f hop %.0f threads %.0f\n", call_ns(), clock_ns(), hop_ns(), threads_ns());
    return 0;
  }
  fprintf(stderr, "usage: helper costs | helper dear INSTRUCTIONS COMMAND...\n");
  return 2;
}
