/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Options of the commands that watch the kernel themselves. */
#ifndef PORTSNOOP_PROBE_OPTION_H
#define PORTSNOOP_PROBE_OPTION_H

#include "lib/option.h"

option_setter probe_set_tier; /* uint32_t, enum wire_tier; 0: the best */
option_setter probe_set_ring; /* uint64_t, bytes; 0: the default */

/* Entries for a command's option table; `type` is its options struct. */
#define PROBE_TIER_OPTION(type, tier_)                                                             \
	OPTION("tier", 0, "TIER",                                                                  \
	       "kernel hooks to use: auto (the default, the best that this kernel has), fentry, "  \
	       "kprobe or tracepoint",                                                             \
	       probe_set_tier, type, tier_, .values = "auto fentry kprobe tracepoint")
#define PROBE_OPTIONS(type, tier_, ring_)                                                          \
	PROBE_TIER_OPTION(type, tier_),                                                            \
		OPTION("ring", 0, "SIZE",                                                          \
		       "size of the ring buffer, a power of two; the default is 8M",               \
		       probe_set_ring, type, ring_)

#endif
