/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of `portsnoop record` share. */
#ifndef PORTSNOOP_RECORD_H
#define PORTSNOOP_RECORD_H

#include "command/who.h"
#include "stream/recorder.h"

struct record_options {
	struct store_options store;
	uint64_t ring;	    /* bytes; 0: the default */
	uint32_t tier;	    /* enum wire_tier; 0: the best */
	const char *config; /* NULL: RECORD_CONFIG, if it is there */
	const char *replay; /* NULL: the kernel */
	bool status;
	bool json;
};

#define RECORD_CONFIG "/etc/portsnoop/portsnoop.conf"

/* A commit comes so long after the first change, and a sign of life at least so often. */
#define RECORD_COMMIT_NS UINT64_C(1000000000)
#define RECORD_ALIVE_NS UINT64_C(10000000000)
/* And earlier if there is that much to write. */
#define RECORD_COMMIT_EVENTS 50000

/*
 * Records what the kernel does until somebody asks it to stop. Exit status. `reload`
 * reads the configuration again: 0, or negative errno when that was said and nothing has
 * changed.
 */
int record_live(struct record_options *options, struct store *store,
		int (*reload)(struct record_options *options));

#endif
