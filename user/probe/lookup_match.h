/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What belongs together of what the kernel listed in several ways. No I/O. */
#ifndef PORTSNOOP_LOOKUP_MATCH_H
#define PORTSNOOP_LOOKUP_MATCH_H

#include <portsnoop/listing.h>

#include "probe/lookup.h"

/* Whether what is sent to the address of the query comes to this socket. */
bool match_address(const struct lookup_query *query, const struct holding *holding);

/* The order of the names by which a connection is known where it has no inode, or
 * several (MPTCP): namespace, ports, addresses. */
int match_names(const struct holding *a, const struct holding *b);

/* Pointers to the records, by socket, process and descriptor; to be freed. NULL: no
 * memory. */
const struct listing_record **match_sort(const struct listing_record *records, size_t count);

/* How many of the sorted records, from the first one on, are about the same socket; at
 * least 1. */
size_t match_same(const struct listing_record *const *records, size_t count);

/* So many sorted records of one socket -> the socket and its holders, without what /proc
 * tells of them. 0 or -ENOMEM. */
int match_holding(struct holding *holding, const struct listing_record *const *records,
		  size_t count);

#endif
