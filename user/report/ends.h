/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Leases that are held at the moment, the one that changes next first. */
#ifndef PORTSNOOP_REPORT_ENDS_H
#define PORTSNOOP_REPORT_ENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENDS_WHO 5

struct end {
	int64_t time;		/* of the next change */
	int64_t until;		/* when it is given back; equal to `time`: that is the next */
	uint32_t who[ENDS_WHO]; /* indexes; UINT32_MAX: none */
	uint32_t pool;		/* the same */
	uint16_t port;
	bool lingering;
};

/* A heap. */
struct ends {
	struct end *list; /* list[0] is the next one */
	size_t count, room;
};

int ends_add(struct ends *ends, const struct end *end); /* 0 or -ENOMEM */
void ends_drop(struct ends *ends);			/* the next one */
/* After list[0].time was made later. */
void ends_sink(struct ends *ends);
void ends_free(struct ends *ends);

#endif
