/* ops_lock.h - what others have to know of locks. */
#ifndef OPS_LOCK_H
#define OPS_LOCK_H

#include "eio_int.h"

/* The request is done: gives back a lock that nobody has asked for any more. */
void eio__lock_finish(eio_req *req);

#endif
