/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "command/probe_option.h"

#include <errno.h>
#include <string.h>

#include "probe/attach.h"

int probe_set_tier(const char *argument, void *target, const char **expected)
{
	*expected = "auto, fentry, kprobe or tracepoint";
	if (!strcmp(argument, "auto")) {
		*(uint32_t *)target = 0;
		return 0;
	}
	for (size_t i = 0; i < TIER_COUNT; i++) {
		if (strcmp(argument, tier_name(tier_list[i])))
			continue;
		*(uint32_t *)target = tier_list[i];
		return 0;
	}
	return -EINVAL;
}

int probe_set_ring(const char *argument, void *target, const char **expected)
{
	uint64_t bytes;

	if (option_size(argument, &bytes, expected) || bytes & (bytes - 1) || bytes < 4096 ||
	    bytes > UINT64_C(1) << 30) {
		*expected = "a power of two from 4k to 1G";
		return -EINVAL;
	}
	*(uint64_t *)target = bytes;
	return 0;
}
