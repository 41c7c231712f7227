/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the bind buckets say (bucket.h), put to the sockets that the kernel listed. */
#ifndef PORTSNOOP_POOL_BUCKET_H
#define PORTSNOOP_POOL_BUCKET_H

#include <portsnoop/bucket.h>

#include "model/holding.h"

/* Fills in `bucket` and what follows it of each holding that a record is about: by the
 * kernel's address of the socket, or where that is not known (TIME_WAIT, orphans) by the
 * addresses of the connection. Changes the order of the records. */
void pool_bucket_join(struct holdings *holdings, struct bucket_record *records, size_t count);

#endif
