/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "stream/totals.h"

#include <errno.h>
#include <inttypes.h>

#include "lib/cleanup.h"
#include "lib/log.h"

static uint64_t descriptions(const struct totals *totals)
{
	uint64_t events = totals->delivered + totals->filtered;

	return totals->received > events ? totals->received - events : 0;
}

void totals_text(const struct totals *totals, struct buffer *out)
{
	uint64_t lost = totals->ended ? totals->end.lost : totals->lost;
	uint64_t filtered = totals->filtered + (totals->ended ? totals->end.filtered : 0);
	uint64_t parts = totals->delivered + filtered + lost;
	uint64_t seen = totals->ended ? totals->end.seen - descriptions(totals) : parts;

	buffer_printf(out,
		      "%" PRIu64 " seen = %" PRIu64 " delivered + %" PRIu64 " filtered + %" PRIu64
		      " lost",
		      seen, totals->delivered, filtered, lost);
	if ((int64_t)(seen - parts) > 0)
		buffer_printf(out, " + %" PRIu64 " %s", seen - parts,
			      totals->stopped ? "behind --count" : "missing");
	else if (seen != parts)
		buffer_printf(out, " - %" PRIu64 " that the kernel did not count", parts - seen);
}

void totals_print(const struct totals *totals)
{
	CLEANUP(buffer_free) struct buffer line = BUFFER_EMPTY;

	totals_text(totals, &line);
	buffer_byte(&line, '\0');
	if (line.failed) {
		log_error(-ENOMEM, "the totals");
		return;
	}
	log_message("%s", line.data);
	if (totals->evicted)
		log_message("%" PRIu64
			    " ports in use were forgotten: there were too many, and what "
			    "stood in the way of a claim may lack some of them",
			    totals->evicted);
	if (!totals->ended)
		return;
	if (totals->end.untracked)
		log_message("%" PRIu64
			    " calls or sockets went unwatched: a table in the kernel was "
			    "full",
			    totals->end.untracked);
	if (totals->end.skipped && totals->end.skipped != UINT64_MAX)
		log_message("%" PRIu64 " times the kernel left out a hook; what happened then is "
			    "not among the seen",
			    totals->end.skipped);
}
