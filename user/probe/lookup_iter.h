/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The iterator over all open files of all processes, in the kernel (iter/task_file):
 * bpf/lookup.bpf.c. To open it takes CAP_BPF and CAP_PERFMON, or root. To run it then
 * takes nothing from 5.19 on (measured without any capability and with the filter of
 * guard.h on 6.1 and 6.18: it lists all processes, of all users); before, the kernel refuses any
 * use of bpf() without CAP_BPF unless kernel.unprivileged_bpf_disabled is 0: -EPERM.
 */
#ifndef PORTSNOOP_LOOKUP_ITER_H
#define PORTSNOOP_LOOKUP_ITER_H

#include <portsnoop/listing.h>
#include <stddef.h>

struct lookup_iter;

/* Loaded, to be run as often as wanted. NULL with errno set: not to be had here. */
struct lookup_iter *lookup_iter_open(void);
void lookup_iter_close(struct lookup_iter *iter);

/* One record for each descriptor that leads to a wanted socket; *records is the
 * caller's to free. 0 or negative errno. */
int lookup_iter_run(struct lookup_iter *iter, const struct listing_query *query,
		    struct listing_record **records, size_t *count);

/* Where all tasks are; to be freed as above. */
int lookup_iter_namespaces(struct lookup_iter *iter, struct listing_namespace **namespaces,
			   size_t *count);

#endif
