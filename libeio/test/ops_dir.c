/* ops_dir.c - readdir, readdirx, scandir */
#include "ops.h"
#include "../ops_dir.h"

static eio_req reading(eio_wd *wd, const char *path, int flags)
{
  eio_req req = on_path(EIO_READDIRX, wd, path);

  req.arg1 = flags;
  return req;
}

static const struct eio_dent *find(const struct eio_dents *dents, const char *name)
{
  for (uint32_t i = 0; i < dents->count; i++)
    if (!strcmp(eio_dent_name(dents, &dents->list[i]), name))
      return &dents->list[i];
  return NULL;
}

static bool well_formed(const struct eio_dents *dents)
{
  for (uint32_t i = 0; i < dents->count; i++)
    if (strlen(eio_dent_name(dents, &dents->list[i])) != dents->list[i].namelen)
      return false;
  return true;
}

/* Each of them once, and no other. */
static bool has_all_names(const struct eio_dents *dents, const char *const *wanted, uint32_t n)
{
  const char *name = dents->names;
  unsigned seen = 0;

  for (uint32_t i = 0; i < dents->count; i++, name += strlen(name) + 1)
    for (uint32_t k = 0; k < n; k++)
      seen |= !strcmp(name, wanted[k]) ? 1u << k : 0;
  return !dents->list && dents->count == n && seen == (1u << n) - 1;
}

static void test_readdir(void)
{
  static const char *const names[] = { "file.c", "README", ".hidden", "sub", "link", "pipe", "odd \n\xff" };
  eio_req req = reading(NULL, "dir", EIO_READDIR_DENTS);
  const struct eio_dents *dents;
  int found = 0, inodes = 0;
  eio_wd *wd;

  is_int(run(&req), 7, "readdir with entries");
  dents = req.buf;
  is_int(dents->count, 7, "says so twice");
  for (int i = 0; i < 7; i++) {
    const struct eio_dent *dent = find(dents, names[i]);
    char path[64];

    found += dent != NULL;
    snprintf(path, sizeof path, "dir/%s", names[i]);
    inodes += dent && dent->inode == stat_of(path).st_ino;
  }
  is_int(found, 7, "finds all names");
  is_int(inodes, 7, "with their inodes");
  ok(!find(dents, ".") && !find(dents, ".."), "without dot and dot dot");
  ok(well_formed(dents), "with their lengths");
  eio_req_finish(&req);

  req = on_path(EIO_READDIR, NULL, "dir");
  is_int(run(&req), 7, "readdir");
  ok(has_all_names(req.buf, names, 7), "leaves the names alone, in a row");
  eio_req_finish(&req);
  req = reading(NULL, "dir", 0);
  is_int(run(&req), 7, "readdirx that wants no more than names");
  ok(has_all_names(req.buf, names, 7), "leaves the same");
  eio_req_finish(&req);
  req = on_path(EIO_READDIR, NULL, "dir/sub");
  is_int(run(&req), 0, "readdir of an empty directory");
  ok(has_all_names(req.buf, names, 0), "leaves no name");
  eio_req_finish(&req);

  wd = eio_wd_open(NULL, "dir");
  is_int(just(on_path(EIO_READDIR, wd, ".")), 7, "readdir of a wd");
  is_int(just(on_path(EIO_READDIR, wd, "sub")), 0, "and under it");
  eio_wd_unref(wd);

  fails(on_path(EIO_READDIR, NULL, "missing"), ENOENT, "readdir of nothing");
  fails(on_path(EIO_READDIR, NULL, "dir/file.c"), ENOTDIR, "readdir of a file");
  fails(on_path(EIO_READDIR, NULL, "dir/pipe"), ENOTDIR, "readdir of a pipe");
  fails(on_path(EIO_READDIR, NULL, ""), ENOENT, "readdir of an empty path");
  req = on_path(EIO_READDIR, NULL, "dir");
  req.flags |= EIO_CANCELLED;
  fails(req, ECANCELED, "readdir that is cancelled stops");
}

static void test_denied(void)
{
  drop_root();
  fails(on_path(EIO_READDIR, NULL, "closed"), EACCES, "readdir of what may not be read");
  fails(on_path(EIO_SCANDIR, NULL, "closed"), EACCES, "scandir of what may not be read");
}

static void test_types(void)
{
  eio_req req = reading(NULL, "dir", EIO_READDIR_DENTS | EIO_READDIR_FOUND_UNKNOWN);
  const struct eio_dents *dents;

  is_int(run(&req), 7, "readdirx");
  dents = req.buf;
  if (find(dents, "sub")->type == EIO_DT_UNKNOWN) {
    is_int(req.arg1, EIO_READDIR_DENTS | EIO_READDIR_FOUND_UNKNOWN, "says that types are unknown");
    skip(4, "directories here do not tell types");
  } else {
    is_int(req.arg1, EIO_READDIR_DENTS, "says that all types are known");
    is_int(find(dents, "sub")->type, EIO_DT_DIR, "knows directories");
    is_int(find(dents, "file.c")->type, EIO_DT_REG, "and files");
    is_int(find(dents, "link")->type, EIO_DT_LNK, "and links");
    is_int(find(dents, "pipe")->type, EIO_DT_FIFO, "and pipes");
  }
  eio_req_finish(&req);
}

/* Many entries, more than one block of the kernel's and more than fits the
 * first buffers; every seventh is a directory. */
enum { MANY = 5000, MANY_DIRS = (MANY + 6) / 7 };

static void make_many(void)
{
  char name[64];

  mkdir("many", 0755);
  for (int i = 0; i < MANY; i++) {
    snprintf(name, sizeof name, "many/%s%04d", i % 7 ? "a-file.with.suffix." : "d", i * 7919 % MANY);
    if (i % 7 ? mknod(name, S_IFREG | 0644, 0) : mkdir(name, 0755))
      bail_out("cannot make %s", name);
  }
}

static void test_order(void)
{
  eio_req req = reading(NULL, "many", EIO_READDIR_STAT_ORDER);
  const struct eio_dents *dents;
  const char *name;
  int disorder = 0, dirs = 0;

  is_int(run(&req), MANY, "readdirx of many entries in stat order");
  dents = req.buf;
  ok(well_formed(dents), "has all names");
  for (int i = 1; i < MANY; i++)
    disorder += dents->list[i - 1].inode > dents->list[i].inode;
  is_int(disorder, 0, "is sorted by inode");
  eio_req_finish(&req);

  req = on_path(EIO_READDIR, NULL, "many");
  is_int(run(&req), MANY, "readdir of many entries");
  name = ((struct eio_dents *)req.buf)->names;
  for (int i = 0; i < MANY; i++, name += strlen(name) + 1)
    dirs += *name == 'd';
  is_int(dirs, MANY_DIRS, "leaves all names");
  eio_req_finish(&req);

  for (int order = 0; order <= EIO_READDIR_STAT_ORDER; order += EIO_READDIR_STAT_ORDER) {
    req = reading(NULL, "many", EIO_READDIR_DIRS_FIRST | order);
    is_int(run(&req), MANY, "readdirx with directories first%s", order ? ", in stat order" : "");
    dents = req.buf;
    for (dirs = 0; dirs < MANY && *eio_dent_name(dents, &dents->list[dirs]) == 'd'; dirs++)
      ;
    is_int(dirs, MANY_DIRS, "has directories first");
    disorder = 0;
    for (int i = 1; i < MANY_DIRS; i++)
      disorder += dents->list[i - 1].inode > dents->list[i].inode;
    is_int(disorder, 0, "these are sorted by inode");
    disorder = 0;
    for (int i = MANY_DIRS + 1; i < MANY; i++)
      disorder += dents->list[i - 1].inode > dents->list[i].inode;
    ok(!order || !disorder, "the rest is if it shall");
    eio_req_finish(&req);
  }
}

/* What names say when types are unknown. */
static void test_score(void)
{
  struct eio__list list = { 0 };
  struct eio_p_dir dir;
  const struct eio_dents *dents;
  int hidden, plain, longer, suffix;

  if (eio_p_dir_open(&dir, NULL, "dir") < 0)
    bail_out("dir");
  is_int(eio__list_read(&list, &dir, &(eio_req){ 0 }), 0, "read a directory");
  eio_p_dir_close(&dir);
  for (uint32_t i = 0; i < list.block->count; i++)
    ((struct eio_dent *)(list.block + 1))[i].type = EIO_DT_UNKNOWN;
  eio__list_score(&list);
  dents = eio__list_finish(&list);
  hidden = find(dents, ".hidden")->score;
  plain = find(dents, "sub")->score;
  longer = find(dents, "README")->score;
  suffix = find(dents, "file.c")->score;
  ok(hidden > plain, "hidden names are likelier directories than others");
  ok(plain > longer, "and short ones than long ones");
  ok(longer > suffix, "and those without dots than those with");
  is_int(suffix, 0, "which are taken for files");
  free((void *)(uintptr_t)dents);
  eio__list_free(&list);
}

static void test_sort(void)
{
  static const size_t sizes[] = { 0, 1, 2, 63, 64, 65, 1000, 20000 };
  struct eio_dent *dents = malloc(20000 * sizeof *dents);
  int wrong = 0;

  srand(1);
  for (unsigned k = 0; k < sizeof sizes / sizeof *sizes; k++)
    for (int how = 1; how < 4; how++) {
      bool by_score = how & 1, by_inode = how & 2;

      for (size_t i = 0; i < sizes[k]; i++) { /* name numbers them, to see whether it is stable */
        uint64_t inode = (uint64_t)(rand() % 50) << (rand() % 8 * 8);

        dents[i] = (struct eio_dent){ .inode = inode, .name = (uint32_t)i, .score = (uint8_t)(rand() % 5 * 60) };
      }
      is_int(eio__dents_sort(dents, sizes[k], by_score, by_inode), 0, "sort %zu entries", sizes[k]);
      for (size_t i = 1; i < sizes[k]; i++) {
        const struct eio_dent *a = &dents[i - 1], *b = &dents[i];

        if (by_score && a->score != b->score)
          wrong += a->score < b->score;
        else if (by_inode && a->inode != b->inode)
          wrong += a->inode > b->inode;
        else
          wrong += a->name > b->name;
      }
    }
  is_int(wrong, 0, "entries are sorted, and equal ones keep their order");
  free(dents);
}

static void test_scandir(void)
{
  static const struct timespec old[2] = { { 1000000000, 0 }, { 1000000000, 0 } };
  eio_req req = on_path(EIO_SCANDIR, NULL, "dir");
  const struct eio_dents *dents;
  int dirs = 0;
  eio_wd *wd;

  is_int(run(&req), 7, "scandir");
  dents = req.buf;
  is_int(dents->ndirs, 1, "finds the directory");
  is_str(eio_dent_name(dents, &dents->list[0]), "sub", "which comes first");
  ok(find(dents, "link") > &dents->list[0], "a link to a directory is none");
  eio_req_finish(&req);

  utimensat(AT_FDCWD, "many", old, 0); /* so that its link count may be believed */
  req = on_path(EIO_SCANDIR, NULL, "many");
  is_int(run(&req), MANY, "scandir of many entries");
  dents = req.buf;
  is_int(dents->ndirs, MANY_DIRS, "finds the directories");
  for (int i = 0; i < MANY; i++)
    dirs += *eio_dent_name(dents, &dents->list[i]) == 'd' && i < MANY_DIRS;
  is_int(dirs, MANY_DIRS, "and has them first");
  ok(well_formed(dents), "has all names");
  eio_req_finish(&req);

  wd = eio_wd_open(NULL, "dir");
  is_int(just(on_path(EIO_SCANDIR, wd, "sub")), 0, "scandir of an empty directory");
  eio_wd_unref(wd);
  fails(on_path(EIO_SCANDIR, NULL, "missing"), ENOENT, "scandir of nothing");
  fails(on_path(EIO_SCANDIR, NULL, "dir/file.c"), ENOTDIR, "scandir of a file");
  req = on_path(EIO_SCANDIR, NULL, "many");
  req.flags |= EIO_CANCELLED;
  fails(req, ECANCELED, "scandir that is cancelled stops");
}

int main(void)
{
  scratch_begin_in_memory();
  chmod(".", 0755);
  mkdir("closed", 0700);
  mkdir("dir", 0755);
  mkdir("dir/sub", 0755);
  put("dir/file.c", "");
  put("dir/README", "");
  put("dir/.hidden", "");
  put("dir/odd \n\xff", "");
  symlink("sub", "dir/link");
  mkfifo("dir/pipe", 0600);
  make_many();
  test_readdir();
  in_child(test_denied);
  test_types();
  test_order();
  test_score();
  test_sort();
  test_scandir();
  return scratch_end(0);
}
