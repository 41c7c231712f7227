/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/retry.h"

#include <sys/random.h>

#define NS_PER_MS UINT64_C(1000000)

/* Between the half and the whole of it. */
static uint64_t jitter(uint64_t ns, uint64_t now)
{
	uint16_t chance; /* as the product has to fit */

	if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) != sizeof(chance))
		chance = (uint16_t)now;
	return ns / 2 + ns / 2 * chance / UINT16_MAX;
}

void retry_failed(struct retry *retry, uint64_t now)
{
	uint64_t ms = retry->least_ms;

	for (unsigned int i = 0; i < retry->failures && ms < retry->most_ms; i++)
		ms *= 2;
	if (ms > retry->most_ms)
		ms = retry->most_ms;
	retry->failures++;
	retry->due = now + jitter(ms * NS_PER_MS, now);
}

void retry_done(struct retry *retry)
{
	retry->failures = 0;
	retry->due = 0;
}
