/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The tally in the kernel: counts of claims, with nothing sent for any of them. */
#ifndef PORTSNOOP_PROBE_TALLY_H
#define PORTSNOOP_PROBE_TALLY_H

#include "model/tally.h"
#include "probe/attach.h"

struct tally;

/* Attaches; counting begins. NULL: *failure tells why. */
struct tally *tally_open(enum wire_tier tier, struct probe_failure *failure);
void tally_close(struct tally *tally);

/* Which claim kinds are seen, and how: of the tier in use. */
enum wire_tier tally_tier(const struct tally *tally);
uint64_t tally_coverage(const struct tally *tally);

/* 0 or negative errno. The reading is the caller's to free. Needs what opening needed. */
int tally_read(struct tally *tally, struct tally_reading *reading);

/* Counting stops, in all hooks at once; what is counted can be read still, and agrees. */
void tally_stop(struct tally *tally);

#endif
