/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The database of the history. People query it with SQL: the views leases, failures,
 * gaps and runs are the documented interface (docs in the manual page of history), the
 * tables below them may change with SCHEMA_VERSION.
 *
 * Everything that is appended is in the order of time, so that writing touches few pages:
 * leases get their row when they end. SCHEMA_SEGMENT of them in a row at most, and the
 * failures of the same time, are a segment. When it is complete, its bounds go to the
 * table segment, and for each of its leases a key to the table lease_port, sorted: that is
 * the index on the port, which so grows at its end only. The segment that is not complete
 * yet has neither: its leases have the ids from SCHEMA_SEGMENT times (the greatest id in
 * segment + 1) on.
 *
 * A question about a time reads the bounds of the segments first, and of the segments that
 * could have an answer only the leases that were held long enough. Trimming removes whole
 * segments.
 */
#ifndef PORTSNOOP_STORE_SCHEMA_H
#define PORTSNOOP_STORE_SCHEMA_H

#include <stdint.h>

#define SCHEMA_APPLICATION 0x504e4f50 /* PRAGMA application_id: "PNOP" */
#define SCHEMA_VERSION 1	      /* PRAGMA user_version */
#define SCHEMA_SEGMENT_BITS 13	      /* a lease's segment is id >> 13 */
#define SCHEMA_SEGMENT (1 << SCHEMA_SEGMENT_BITS)

/* A key of lease_port: segment, port, how many decimal digits its `held` has (at most 15),
 * and the low bits of the lease's id. The keys of one port in one segment are in a row,
 * those that were held longest last. */
#define SCHEMA_KEY_PORT 17    /* where the port begins */
#define SCHEMA_KEY_SEGMENT 33 /* where the segment begins */

static inline int64_t schema_key(int64_t segment, uint16_t port, unsigned int digits, int64_t id)
{
	return segment << SCHEMA_KEY_SEGMENT | (int64_t)port << SCHEMA_KEY_PORT |
	       (int64_t)(digits < 15 ? digits : 15) << SCHEMA_SEGMENT_BITS |
	       (id & (SCHEMA_SEGMENT - 1));
}

static inline int64_t schema_key_lease(int64_t key)
{
	return key >> SCHEMA_KEY_SEGMENT << SCHEMA_SEGMENT_BITS | (key & (SCHEMA_SEGMENT - 1));
}

/* Makes all tables, indexes and views in an empty database. */
extern const char schema_text[];

#endif
