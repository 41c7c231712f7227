/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the numbers rest on, and what they cannot say. */
#include <inttypes.h>

#include "format/markup.h"
#include "model/coverage.h"
#include "report/page.h"

static void runs_put(struct buffer *out, const struct report *report)
{
	if (report->recordings_more)
		buffer_printf(out, "<p class=\"none\">The %u newest of %" PRIu64 ".</p>\n",
			      REPORT_RECORDINGS, report->recordings_more + report->recording_count);
	buffer_text(
		out,
		"<div class=\"wide\" tabindex=\"0\" role=\"group\" "
		"aria-label=\"Recordings\"><table id=\"runs\">\n<thead><tr><th "
		"scope=\"col\">Recorded from</th><th scope=\"col\">to</th><th "
		"scope=\"col\">Host</th><th scope=\"col\">Kernel</th><th "
		"scope=\"col\">Tier</th><th scope=\"col\">portsnoop</th></tr></thead>\n<tbody>\n");
	for (unsigned int i = 0; i < report->recording_count; i++) {
		const struct history_recording *told = &report->recordings[i].told;
		const struct history_text *texts[] = {&told->host, &told->kernel, &told->tier,
						      &told->program};

		buffer_text(out, "<tr><th class=\"t\" scope=\"row\">");
		markup_time(out, told->started);
		buffer_text(out, "</th><td class=\"t\">");
		if (told->ended == INT64_MAX)
			buffer_text(out, "going on");
		else
			markup_time(out, told->ended);
		if (told->killed)
			buffer_text(out, ", its last sign of life");
		buffer_text(out, "</td>");
		for (int j = 0; j < 4; j++) {
			buffer_text(out, "<td>");
			page_text(out, texts[j], "not known");
			buffer_text(out, "</td>");
		}
		buffer_text(out, "</tr>\n");
	}
	buffer_text(out, "</tbody></table></div>\n");
}

void page_gap_words(struct buffer *out, const struct report_gap *gap)
{
	switch (gap->gap) {
	case STORE_GAP_STOPPED:
		buffer_text(out, "nothing recorded: portsnoop was stopped");
		break;
	case STORE_GAP_KILLED:
		buffer_text(out, "nothing recorded: portsnoop was killed");
		break;
	case STORE_GAP_LOST:
		markup_number(out, gap->count);
		buffer_text(out, " records lost: no room in the ring");
		break;
	case STORE_GAP_DROPPED:
		markup_number(out, gap->count);
		buffer_text(out, " leases and failures not written in time");
		break;
	case STORE_GAP_EVICTED:
		markup_number(out, gap->count);
		buffer_text(out, " leases given up on: too many to keep account of");
		break;
	case STORE_GAP_CLOCK:
		buffer_text(out, "the wall clock was set, from the first time to the second");
		break;
	case -1:
		buffer_text(out, "nothing recorded since: nobody is recording");
		break;
	case -2:
		buffer_text(out, "nothing recorded before this, or not kept");
		break;
	default:
		buffer_text(out, "something is missing");
		break;
	}
}

static void gaps_put(struct buffer *out, const struct report *report)
{
	buffer_text(out, "<h3>Gaps</h3>\n");
	if (!report->gap_count) {
		buffer_text(out, "<p class=\"none\">None: the recording is complete for this "
				 "period.</p>\n");
		return;
	}
	buffer_text(out,
		    "<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"Gaps\">"
		    "<table id=\"gaps\">\n<thead><tr><th scope=\"col\">From</th><th "
		    "scope=\"col\">to</th><th scope=\"col\">What is missing</th></tr></thead>\n"
		    "<tbody>\n");
	for (unsigned int i = 0; i < report->gap_count; i++) {
		const struct report_gap *gap = &report->gaps[i];

		buffer_text(out, "<tr><th class=\"t\" scope=\"row\">");
		if (gap->since == INT64_MIN)
			buffer_text(out, "the beginning");
		else
			markup_time(out, gap->since);
		buffer_text(out, "</th><td class=\"t\">");
		if (gap->until == INT64_MAX)
			buffer_text(out, "now");
		else
			markup_time(out, gap->until);
		buffer_text(out, "</td><td>");
		page_gap_words(out, gap);
		buffer_text(out, "</td></tr>\n");
	}
	buffer_text(out, "</tbody></table></div>\n");
	if (report->gaps_more)
		buffer_printf(out, "<p class=\"none\">and %" PRIu64 " more</p>\n",
			      report->gaps_more);
}

static uint64_t unseen_kinds(const struct report *report)
{
	uint64_t unseen = 0;

	for (unsigned int i = 0; i < report->recording_count; i++) {
		const uint64_t coverage = report->recordings[i].told.coverage;

		if (coverage)
			unseen |= COVERAGE_ALL & ~coverage;
	}
	return unseen;
}

static void unseen_put(struct buffer *out, const struct report *report)
{
	const uint64_t unseen = unseen_kinds(report);
	bool some = false;

	if (!unseen)
		return;
	buffer_text(out, "<li>The hooks that were in use do not see: ");
	for (unsigned int kind = 0; kind < COVERAGE_COUNT; kind++) {
		if (!(unseen & COVERAGE_BIT(kind)))
			continue;
		buffer_text(out, some ? "; " : "");
		markup_string(out, coverage_help(kind));
		some = true;
	}
	buffer_text(out, ".</li>\n");
}

void page_recording(struct buffer *out, const struct report *report, uint64_t skipped)
{
	page_section(out, "recording", "The recording", "What these numbers rest on.");
	runs_put(out, report);
	gaps_put(out, report);
	buffer_text(out, "<h3>What this report cannot say</h3>\n<ul class=\"limits\">\n");
	if (skipped) {
		buffer_text(out, "<li>The database has ");
		markup_number(out, skipped);
		buffer_text(out, " rows that make no sense; they were left out.</li>\n");
	}
	unseen_put(out, report);
	buffer_text(
		out,
		"<li>Accepted connections take no port of their own: they are in no number here, nor "
		"is their TIME_WAIT.</li>\n"
		"<li>Of ports that were claimed before the recording began it is known who had them "
		"open, not who claimed them, nor since when. They count as held, not as claimed.</li>\n"
		"<li>Leases that were claimed before this period count as held in it, not as claimed; "
		"lifetimes are of those that were claimed in it.</li>\n"
		"<li>Of a port that was in TIME_WAIT when it was seen last it is not known since when: "
		"for its last minute it counts as such, which is the longest that it may be.</li>\n"
		"<li>How many ports of a pool are taken does not say alone whether the next claim "
		"fails: TCP connections to different destinations share them, and sockets with "
		"SO_REUSEADDR or SO_REUSEPORT do.</li>\n"
		"<li>What happens on other machines, behind NAT or in IPVS is not seen.</li>\n"
		"</ul>\n");
	buffer_text(out,
		    "<footer>Made by portsnoop " PORTSNOOP_VERSION
		    " from its recorded history. This file stands alone: it loads nothing and runs "
		    "nothing.</footer>\n");
	page_section_end(out);
}
