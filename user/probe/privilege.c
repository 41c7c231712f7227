/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/privilege.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>

#include "lib/cleanup.h"
#include "probe/place.h"

#define ALL (UINT32_MAX)
#define TRACEPOINT (1u << WIRE_TIER_TRACEPOINT)

/* Before 5.8 CAP_SYS_ADMIN was all three, and it still is. What else a tier needs is told
 * by what fails without: CAP_DAC_READ_SEARCH for a tracefs that only root may read. */
static const struct {
	int bit;
	uint32_t tiers;
	const char *name, *why;
} needed[] = {
	{CAP_BPF, ALL, "CAP_BPF", "load programs"},
	{CAP_PERFMON, ALL, "CAP_PERFMON", "trace"},
	{CAP_NET_ADMIN, TRACEPOINT, "CAP_NET_ADMIN", "attach to cgroups"},
};

static bool has(uint64_t capabilities, int bit)
{
	return capabilities >> bit & 1 || capabilities >> CAP_SYS_ADMIN & 1;
}

int privilege_check(enum wire_tier tier, char *text, size_t size)
{
	uint64_t have = place_capabilities();
	size_t used = 0;

	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++) {
		if (has(have, needed[i].bit) ||
		    (needed[i].tiers != ALL && !(tier && needed[i].tiers >> tier & 1)))
			continue;
		if (used < size)
			used += (size_t)snprintf(text + used, size - used, "%s%s (to %s)",
						 used ? " and " : "", needed[i].name,
						 needed[i].why);
	}
	return used ? -EPERM : 0;
}

bool privilege_memory_limited(void)
{
	struct rlimit limit;

	return !getrlimit(RLIMIT_MEMLOCK, &limit) && limit.rlim_cur != RLIM_INFINITY &&
	       !(place_capabilities() >> CAP_SYS_RESOURCE & 1);
}

bool privilege_perf_limited(void)
{
	CLEANUP_FILE FILE *file = fopen("/proc/sys/kernel/perf_event_paranoid", "re");
	int level;

	return file && fscanf(file, "%d", &level) == 1 && level > 2 &&
	       !(place_capabilities() >> CAP_SYS_ADMIN & 1);
}
