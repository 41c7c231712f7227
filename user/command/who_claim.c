/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "command/who_claim.h"

#include <string.h>
#include <time.h>

#include "lib/escape.h"
#include "model/message.h"
#include "service/match.h"

#define NS 1000000000
#define MOMENT 32

struct who_claim who_claim_find(const struct who_view *view, const struct holding *holding)
{
	struct who_claim claim = {.reason = "nobody_watches"};

	if (!view->watched)
		return claim;
	claim.lease = service_match(view->watched, holding, &claim.share);
	claim.reason = claim.lease ? NULL : "not_known";
	return claim;
}

/* Local time; with the day unless it is today's. */
static void moment_text(struct buffer *out, const struct who_view *view, int64_t wall)
{
	time_t seconds = wall / NS, today = view->now / NS;
	struct tm then, now;
	char text[MOMENT];
	bool same;

	localtime_r(&seconds, &then);
	localtime_r(&today, &now);
	same = then.tm_yday == now.tm_yday && then.tm_year == now.tm_year;
	if (strftime(text, sizeof(text), same ? "%H:%M:%S" : "%F %H:%M:%S", &then))
		buffer_text(out, text);
}

/* It stands above, with all there is to say. */
static bool is_holder(const struct holding *holding, const struct process *process)
{
	for (size_t i = 0; i < holding->holder_count; i++)
		if (holding->holders[i].pid == process->key.pid &&
		    holding->holders[i].start == process->key.start)
			return true;
	return false;
}

static void process_text(struct buffer *out, const struct holding *holding,
			 const struct service_process *known)
{
	const struct process *process = &known->process;

	escape_plain(out, process->comm, strnlen(process->comm, sizeof(process->comm)));
	buffer_printf(out, "[%u]", process->key.pid);
	if (!known->details || is_holder(holding, process))
		return;
	if (known->user) {
		buffer_text(out, ", user ");
		escape_plain(out, known->user, strlen(known->user));
	} else {
		buffer_printf(out, ", uid %u", process->uid);
	}
	if (process->exe) {
		buffer_text(out, ", ");
		escape_plain(out, process->exe, process->exe_length);
	}
	if (*process->container.unit) {
		buffer_text(out, ", ");
		escape_plain(out, process->container.unit, strlen(process->container.unit));
	}
}

bool who_claim_text(struct buffer *out, const struct who_view *view, const struct holding *holding)
{
	struct who_claim claim = who_claim_find(view, holding);
	const struct service_lease *lease = claim.lease;
	const char *trigger;

	if (!lease)
		return false;
	buffer_text(out, claim.share ? "accepted; its listener's port was claimed " : "claimed ");
	if (!lease->claimed_wall) {
		buffer_printf(out, "before portsnoop[%u] began to watch at ",
			      view->watched->facts.pid);
		moment_text(out, view, view->watched->facts.started_wall);
		return true;
	}
	buffer_text(out, "at ");
	moment_text(out, view, lease->claimed_wall);
	if (lease->claimant) {
		buffer_text(out, " by ");
		process_text(out, holding, lease->claimant);
	}
	trigger = trigger_name(lease->lease.trigger);
	if (trigger)
		buffer_printf(out, ", with %s", trigger);
	if (lease->lease.origin == WIRE_ORIGIN_KERNEL)
		buffer_text(out, ": the kernel chose the port");
	if (!claim.share && lease->since_wall > lease->claimed_wall) {
		buffer_printf(out, "; %s since ",
			      lease_state_name((enum lease_state)lease->lease.state));
		moment_text(out, view, lease->since_wall);
	}
	return true;
}
