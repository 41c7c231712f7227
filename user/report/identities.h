/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which processes were counted already, up to a limit. */
#ifndef PORTSNOOP_REPORT_IDENTITIES_H
#define PORTSNOOP_REPORT_IDENTITIES_H

#include <stddef.h>
#include <stdint.h>

#define IDENTITIES_LIMIT (1u << 20)

struct identity {
	uint64_t start;
	uint32_t pid, exec;
	uint32_t entry; /* of what it was counted for */
	uint32_t some;	/* not 0 */
};

struct identities {
	struct identity *slots;
	size_t count, room; /* room: a power of two */
};

/* 1: it is new; 0: it was there, or the limit is reached; or -ENOMEM. */
int identities_add(struct identities *identities, const struct identity *identity);
void identities_free(struct identities *identities);

#endif
