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

/* A change of the mapping: the first takes the string away from the scalar, and
 * is needed before memory goes away; the second gives it the new string. */
void aio_map_detach(pTHX_ struct aio_map *map);
void aio_map_attach(pTHX_ struct aio_map *map);

/* inplace.c: whether the op that runs now is one of those that write octets into the
 * string of `size` octets and keep its length. Not to know it is no harm. */
bool aio_op_keeps_length(pTHX_ const SV *sv, size_t size);

/* Unmaps: the scalar is undef and ordinary then. */
void aio_map_drop(pTHX_ SV *sv);

/* The mapping stays for good, whatever becomes of the scalar, if it has one. */
void aio_map_abandon(pTHX_ SV *sv);

#endif
