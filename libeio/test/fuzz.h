/* fuzz.h - for programs of libFuzzer: octets of the input, one by one. What
 * they compare with is a simple model; `make fuzz` runs them. */
#ifndef FUZZ_H
#define FUZZ_H

#include "../eio_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
  const uint8_t *at, *end;
};

/* 0 when there are no more. */
static inline unsigned octet(struct input *input)
{
  return input->at < input->end ? *input->at++ : 0;
}

#define MUST(condition)                                                \
  do                                                                   \
    if (!(condition)) {                                                \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      abort();                                                         \
    }                                                                  \
  while (0)

#endif
