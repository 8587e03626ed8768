/* mapped.h - what mapped.c and region.c share. */
#ifndef AIO_MAPPED_H
#define AIO_MAPPED_H

#include "aio.h"

#include <sys/mman.h>

/* A mapping, owned by the scalar's magic. */
struct aio_map {
  SV *sv;        /* the scalar; not counted */
  char *address;
  size_t size;   /* of the string */
  size_t total;  /* of everything reserved; the last page of it is private and writable */
  int prot;      /* the rights that Perl has everywhere in the string */
};

/* The mapping of a scalar, or NULL. The scalar's string is the mapping's then,
 * whatever was done to it. */
struct aio_map *aio_map_of(pTHX_ SV *sv);

/* Gives the scalar the string again that its mapping says, after a change of
 * the mapping. */
void aio_map_changed(pTHX_ struct aio_map *map);

/* Unmaps: the scalar is undef and ordinary then. */
void aio_map_drop(pTHX_ SV *sv);

#endif
