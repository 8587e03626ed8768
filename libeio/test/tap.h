/* tap.h - test programs that speak the Test Anything Protocol.
 *
 *     int main(void) { tap_begin(); ok(1, "one"); ...; return tap_end(); }
 *
 * A failed check says where it stands and what it got. A program that takes
 * longer than TAP_SECONDS (environment, default 60; 0: no limit) is ended by
 * SIGALRM. Checks may be made by one thread at a time. */
#ifndef TAP_H
#define TAP_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined __SANITIZE_THREAD__
# define THREAD_SANITIZER 1
#elif defined __has_feature
# if __has_feature(thread_sanitizer)
#  define THREAD_SANITIZER 1
# endif
#endif
#ifndef THREAD_SANITIZER
# define THREAD_SANITIZER 0
#endif

static int tap_count, tap_failed;

/* For checks called by others, whose own line says nothing. */
#define TAP_UNUSED __attribute__((unused))

static inline void tap_begin(void)
{
  const char *seconds = getenv("TAP_SECONDS");

  setvbuf(stdout, NULL, _IOLBF, 0);
  alarm(seconds ? (unsigned)atoi(seconds) : 60);
}

/* Prints the plan; the exit status for main(). */
TAP_UNUSED static int tap_end(void)
{
  printf("1..%d\n", tap_count);
  if (tap_failed)
    printf("# %d of %d failed\n", tap_failed, tap_count);
  fflush(stdout);
  return tap_failed ? 1 : 0;
}

/* A whole program that cannot run here. */
TAP_UNUSED static int tap_skip_all(const char *why)
{
  printf("1..0 # SKIP %s\n", why);
  return 0;
}

/* Gives up: what a test needs could not be had. */
#define bail_out(...)                                      \
  do {                                                     \
    printf("Bail out! %s:%d: ", __FILE__, __LINE__);       \
    printf(__VA_ARGS__);                                   \
    printf(" (%s)\n", strerror(errno));                    \
    exit(2);                                               \
  } while (0)

__attribute__((format(printf, 4, 0))) static inline bool
tap_line(const char *file, int line, bool passed, const char *format, va_list args)
{
  printf("%sok %d - ", passed ? "" : "not ", ++tap_count);
  vprintf(format, args);
  putchar('\n');
  if (!passed) {
    tap_failed++;
    printf("#   at %s line %d\n", file, line);
  }
  return passed;
}

__attribute__((format(printf, 4, 5))) TAP_UNUSED static bool
tap_ok(const char *file, int line, bool passed, const char *format, ...)
{
  va_list args;

  va_start(args, format);
  tap_line(file, line, passed, format, args);
  va_end(args);
  return passed;
}

__attribute__((format(printf, 5, 6))) TAP_UNUSED static bool
tap_is_int(const char *file, int line, intmax_t got, intmax_t want, const char *format, ...)
{
  va_list args;

  va_start(args, format);
  tap_line(file, line, got == want, format, args);
  va_end(args);
  if (got != want)
    printf("#   got %jd, expected %jd\n", got, want);
  return got == want;
}

__attribute__((format(printf, 5, 6))) TAP_UNUSED static bool
tap_is_str(const char *file, int line, const char *got, const char *want, const char *format, ...)
{
  bool passed = got && want ? !strcmp(got, want) : got == want;
  va_list args;

  va_start(args, format);
  tap_line(file, line, passed, format, args);
  va_end(args);
  if (!passed)
    printf("#   got \"%s\", expected \"%s\"\n", got ? got : "(NULL)", want ? want : "(NULL)");
  return passed;
}

/* Each returns whether it passed; the name is a format with its arguments. */
#define ok(passed, ...) tap_ok(__FILE__, __LINE__, (passed), __VA_ARGS__)
#define is_int(got, want, ...) \
  tap_is_int(__FILE__, __LINE__, (intmax_t)(got), (intmax_t)(want), __VA_ARGS__)
#define is_str(got, want, ...) tap_is_str(__FILE__, __LINE__, (got), (want), __VA_ARGS__)

/* Instead of `n` checks, with the reason. */
TAP_UNUSED static void skip(int n, const char *why)
{
  while (n-- > 0)
    printf("ok %d # SKIP %s\n", ++tap_count, why);
}

/* A remark. */
#define diag(...) (printf("# " __VA_ARGS__), putchar('\n'))

#endif
