/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>

#include "store/store.h"

static const char *const outcomes[STORE_OUTCOMES] = {
	[STORE_BOUND] = "bound",     [STORE_LISTENING] = "listening",
	[STORE_PENDING] = "pending", [STORE_ESTABLISHED] = "established",
	[STORE_FAILED] = "failed",
};

static const char *const endings[STORE_ENDINGS] = {
	[STORE_OPEN] = "open",	   [STORE_RELEASED] = "released", [STORE_ESTIMATED] = "estimated",
	[STORE_UNSEEN] = "unseen", [STORE_EVICTED] = "evicted",
};

static const char *const gaps[STORE_GAP_REASONS] = {
	[STORE_GAP_STOPPED] = "stopped", [STORE_GAP_KILLED] = "killed",
	[STORE_GAP_LOST] = "lost",	 [STORE_GAP_DROPPED] = "dropped",
	[STORE_GAP_EVICTED] = "evicted", [STORE_GAP_CLOCK] = "clock",
};

static int find(const char *const *names, int count, const char *name)
{
	for (int i = 0; name && i < count; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

const char *store_outcome_name(enum store_outcome outcome)
{
	return outcome < STORE_OUTCOMES ? outcomes[outcome] : NULL;
}

const char *store_ending_name(enum store_ending ending)
{
	return ending < STORE_ENDINGS ? endings[ending] : NULL;
}

const char *store_gap_name(enum store_gap_reason reason)
{
	return reason < STORE_GAP_REASONS ? gaps[reason] : NULL;
}

int store_outcome_find(const char *name)
{
	return find(outcomes, STORE_OUTCOMES, name);
}

int store_ending_find(const char *name)
{
	return find(endings, STORE_ENDINGS, name);
}

int store_gap_find(const char *name)
{
	return find(gaps, STORE_GAP_REASONS, name);
}
