/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "command/who_claim.h"

#include <string.h>
#include <time.h>

#include "lib/escape.h"
#include "model/message.h"

#define NS 1000000000
#define NS_PER_MS 1000000
#define TIME_WAIT_MS 60000	      /* TCP_TIMEWAIT_LEN, include/net/tcp.h */
#define TIMER_SLACK (200 * NS_PER_MS) /* ticks of the kernel, and the time of our look */
#define MOMENT 32

/*
 * Whether an accepted connection can be that of the listener which claimed the port at
 * this time. A server that was started anew finds the connections of the one before on
 * its port, and has nothing to do with them.
 */
static bool share_fits(const struct who_view *view, const struct holding *holding,
		       const struct service_lease *lease)
{
	int64_t claimed = lease->claimed_wall;

	if (!claimed)
		return true; /* before the watch began: so was any older one */
	if (holding->state == HOLDING_TIME_WAIT)
		return holding->has_expires &&
		       view->now - (TIME_WAIT_MS - (int64_t)holding->expires) * NS_PER_MS >=
			       claimed - TIMER_SLACK;
	for (size_t i = 0; i < holding->holder_count; i++) {
		const struct holder *holder = &holding->holders[i];

		if (!(lease->claimant && holder->pid == lease->claimant->process.key.pid) &&
		    view->boot_offset + (int64_t)holder->start < claimed)
			return false;
	}
	/* Without a process: not if it is finished by the kernel alone, but if it waits for
	 * accept() of who listens now. */
	return holding->holder_count || !holding->orphan;
}

struct who_claim who_claim_find(const struct who_view *view, const struct holding *holding)
{
	struct who_claim claim = {.reason = "nobody_watches"};

	if (!view->watched)
		return claim;
	claim.found = service_match(view->watched, holding);
	if (claim.found.share && !share_fits(view, holding, claim.found.lease))
		claim.found = (struct service_found){0};
	claim.reason = claim.found.lease ? NULL : "not_known";
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

static void claimant_text(struct buffer *out, const struct holding *holding,
			  const struct service_lease *lease)
{
	const struct service_process *known = lease->claimant;
	const struct process *process = &known->process;

	escape_plain(out, process->comm, strnlen(process->comm, sizeof(process->comm)));
	buffer_printf(out, "[%u]", process->key.pid);
	/* A holder stands above, with all there is to say. */
	if (!known->details || service_process_holds(&lease->lease.claimant, holding))
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

/* How the port was claimed, and what became of it. */
static void course_text(struct buffer *out, const struct who_view *view,
			const struct service_found *found)
{
	const struct service_lease *lease = found->lease;
	const char *trigger = trigger_name(lease->lease.trigger);

	if (trigger)
		buffer_printf(out, ", with %s", trigger);
	if (lease->lease.origin == WIRE_ORIGIN_KERNEL)
		buffer_text(out, ": the kernel chose the port");
	if (!found->share && lease->since_wall > lease->claimed_wall) {
		buffer_printf(out, "; %s since ",
			      lease_state_name((enum lease_state)lease->lease.state));
		moment_text(out, view, lease->since_wall);
	}
}

bool who_claim_text(struct buffer *out, const struct who_view *view, const struct holding *holding)
{
	struct service_found found = who_claim_find(view, holding).found;
	const struct service_lease *lease = found.lease;

	if (!lease)
		return false;
	buffer_text(out, found.share ? "accepted; its listener's port was claimed" : "claimed");
	if (!lease->claimed_wall) {
		buffer_printf(out, " before portsnoop[%u] began to watch at ",
			      view->watched->facts.pid);
		moment_text(out, view, view->watched->facts.started_wall);
		return true;
	}
	/* Of several the time is told if it is the same in what is printed of it. */
	if (lease->claimed_wall / NS == found.last->claimed_wall / NS) {
		buffer_text(out, " at ");
		moment_text(out, view, lease->claimed_wall);
	}
	if (lease->claimant) {
		buffer_text(out, " by ");
		claimant_text(out, holding, lease);
	}
	if (found.last == lease)
		course_text(out, view, &found);
	return true;
}
