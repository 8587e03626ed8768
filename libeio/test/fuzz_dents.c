/* fuzz_dents.c - blocks of directory entries, as the kernel writes them, become
 * a list: every name with its inode and type, in the order asked for. */
#include "fuzz.h"

#include "../ops_dir.h"

#if EIO_HAVE_GETDENTS64

#include <sys/syscall.h>

enum { BLOCK = 64 * 1024, HEAD = 19 };

static int at_its_end = -1; /* an open directory that has no more entries */

/* An entry as it went in. */
static struct entry {
  uint64_t inode;
  unsigned len, type;
  const char *name;
} entries[4096];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
  static char buf[BLOCK];

  (void)argc, (void)argv;
  at_its_end = open("/proc/self/fdinfo", O_RDONLY | O_DIRECTORY);
  MUST(at_its_end >= 0);
  while (syscall(SYS_getdents64, at_its_end, buf, sizeof buf) > 0)
    ;
  return 0;
}

/* Writes one entry; returns how much that takes, 0 when there is no room. */
static unsigned make_entry(struct input *input, char *at, unsigned room, bool large)
{
  unsigned len = 1 + octet(input) % (large ? 255 : 12), n = HEAD + len + 1;
  uint16_t reclen = (uint16_t)((n + 7) / 8 * 8);
  uint64_t inode = 0;

  if (reclen > room)
    return 0;
  for (unsigned i = octet(input) % 9; i; i--)
    inode = inode << 8 | octet(input);
  memcpy(at, &inode, 8);
  memset(at + 8, 0, 8);
  memcpy(at + 16, &reclen, 2);
  at[18] = (char)(octet(input) % 3 ? octet(input) % 16 : 0);
  for (unsigned i = 0; i < len; i++) {
    unsigned c = octet(input);

    at[HEAD + i] = (char)(c && c != '/' ? c : '.');
  }
  at[HEAD + len] = 0;
  return reclen;
}

static bool is_dots(const char *name)
{
  return !strcmp(name, ".") || !strcmp(name, "..");
}

static bool in_order(const struct eio_dent *a, const struct eio_dent *b, bool score, bool inode)
{
  if (score && a->score != b->score)
    return a->score > b->score;
  if (inode && a->inode != b->inode)
    return a->inode < b->inode;
  return a->name < b->name; /* names are appended as entries come: stable */
}

static void check(const struct eio_dents *dents, const struct entry *in, unsigned n)
{
  unsigned seen = 0;

  MUST(dents->count == n);
  for (uint32_t i = 0; i < dents->count; i++) {
    const struct eio_dent *dent = &dents->list[i];
    const char *name = eio_dent_name(dents, dent);
    unsigned j = 0, at = 0;

    while (at < dent->name) { /* the entry that began there */
      at += in[j].len + 1;
      j++;
    }
    MUST(at == dent->name && j < n);
    MUST(dent->namelen == in[j].len && !memcmp(name, in[j].name, in[j].len + 1));
    MUST(dent->inode == in[j].inode && dent->type == in[j].type);
    seen++;
  }
  MUST(seen == n);
}

static void check_names(struct eio_dents *dents, const struct entry *in, unsigned n)
{
  const char *name;

  MUST(dents && !dents->list && dents->count == n);
  name = dents->names;
  for (unsigned i = 0; i < n; i++, name += strlen(name) + 1)
    MUST(!strcmp(name, in[i].name));
  free(dents);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct input input = { data, data + size };
  struct eio__list list = { 0 }, names = { .names_only = true };
  struct eio_p_dir dir = { .fd = at_its_end };
  struct eio_dents *dents;
  unsigned mode = octet(&input), n = 0, len;
  bool score = mode & 1, inode = mode & 2, unknown = false;
  eio_req req;

  dir.buf = malloc(BLOCK);
  MUST(dir.buf);
  while (input.at < input.end && n < 4096
         && (len = make_entry(&input, dir.buf + dir.end, BLOCK - dir.end, mode & 4))) {
    struct entry *entry = &entries[n];

    entry->name = dir.buf + dir.end + HEAD;
    memcpy(&entry->inode, dir.buf + dir.end, 8);
    entry->len = (unsigned)strlen(entry->name);
    entry->type = (uint8_t)dir.buf[dir.end + 18];
    dir.end += len;
    if (is_dots(entry->name))
      continue;
    unknown |= !entry->type;
    n++;
  }
  eio_req_init(&req, EIO_READDIR);
  MUST(eio__list_read(&list, &dir, &req) == 0);
  dir.at = 0;
  MUST(eio__list_read(&names, &dir, &req) == 0 && names.unknown == unknown);
  check_names(eio__list_finish(&names), entries, n);
  eio__list_free(&names);
  MUST(list.unknown == unknown);
  eio__list_score(&list);
  dents = eio__list_finish(&list);
  MUST(dents);
  check(dents, entries, n);
  MUST(eio__dents_sort(dents->list, dents->count, score, inode) == 0);
  for (uint32_t i = 1; i < dents->count; i++)
    MUST(in_order(&dents->list[i - 1], &dents->list[i], score, inode));
  check(dents, entries, n);
  eio__list_free(&list);
  free(dents);
  free(dir.buf);
  return 0;
}

#else

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  (void)data, (void)size;
  return 0;
}

#endif
