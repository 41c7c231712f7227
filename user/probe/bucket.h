/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The bind buckets of TCP and the ranges that sockets chose for themselves, which
 * sock_diag does not tell: bpf/bucket.bpf.c. Takes CAP_BPF and CAP_PERFMON, or root.
 */
#ifndef PORTSNOOP_PROBE_BUCKET_H
#define PORTSNOOP_PROBE_BUCKET_H

#include <portsnoop/bucket.h>
#include <stddef.h>

struct buckets;
struct netns;

/* Loaded, to be read as often as wanted. NULL with errno set: not to be had here. */
struct buckets *buckets_open(void);
void buckets_close(struct buckets *buckets);

/* The TCP sockets of a network namespace, NULL: the calling thread's own; those of all
 * namespaces that have a range of their own and are not TCP connections. Records in no
 * order, to be freed. 0 or negative errno. */
int buckets_read_netns(struct buckets *buckets, const struct netns *netns,
		       struct bucket_record **records, size_t *count);
int buckets_read_ranges(struct buckets *buckets, struct bucket_record **records, size_t *count);

#endif
