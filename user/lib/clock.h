/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef PORTSNOOP_CLOCK_H
#define PORTSNOOP_CLOCK_H

#include <stdint.h>
#include <time.h>

/* What a clock shows now, ns. */
static inline int64_t clock_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* CLOCK_MONOTONIC, ns: what time stamps of the kernel's records and deadlines are in. */
static inline uint64_t clock_monotonic(void)
{
	return (uint64_t)clock_ns(CLOCK_MONOTONIC);
}

#endif
