/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The tables of who: most claims, failures, listeners. */
#include "format/markup.h"
#include "report/page.h"

#define TOP 12
#define CONTAINER_SHOWN 12
#define FAILURES 40
#define LISTENERS 200

/* ---- tops ---- */

static void process_name(struct buffer *out, const char *key)
{
	const struct history_text comm = key_take_text(&key), exe = key_take_text(&key);

	page_process(out, &comm, &exe);
}

static void unit_name(struct buffer *out, const char *key)
{
	const uint32_t kind = key_take_number(&key);
	struct history_text name = key_take_text(&key);

	/* As the tools of containers show it. */
	if (kind == REPORT_UNIT_CONTAINER && name.length > CONTAINER_SHOWN)
		name.length = CONTAINER_SHOWN;
	buffer_text(out, "<b>");
	page_text(out, &name, "no unit or container");
	buffer_text(out, "</b>");
	if (kind == REPORT_UNIT_CONTAINER)
		buffer_text(out, "<small>container</small>");
}

static void user_name(struct buffer *out, const char *key)
{
	const struct history_text name = key_take_text(&key);
	const uint32_t uid = key_take_number(&key);

	buffer_text(out, "<b>");
	page_text(out, &name, uid == UINT32_MAX ? "unknown user" : "user without a name");
	buffer_text(out, "</b>");
	if (uid != UINT32_MAX)
		buffer_printf(out, "<small>uid %u</small>", uid);
}

static void destination_name(struct buffer *out, const char *key)
{
	const struct history_text kind = key_take_text(&key), ip = key_take_text(&key);

	buffer_text(out, "<b>");
	page_endpoint(out, &ip, key_take_number(&key));
	buffer_text(out, "</b><small>");
	markup_text(out, kind.data, kind.length);
	buffer_text(out, "</small>");
}

struct top {
	enum report_rank rank;
	const char *id, *title, *column, *others;
	void (*name)(struct buffer *out, const char *key);
};

static void cell_number(struct buffer *out, uint64_t number, bool bad)
{
	buffer_printf(out, "<td class=\"n%s\">", !number ? " z" : bad ? " bad-n" : "");
	markup_number(out, number);
	buffer_text(out, "</td>");
}

static void cell_claims(struct buffer *out, uint64_t claims, uint64_t most)
{
	buffer_text(out, "<td class=\"n bar\">");
	markup_number(out, claims);
	if (claims && most)
		buffer_printf(out, "<span style=\"width:%.1f%%\"></span>",
			      (double)claims / (double)most * 100);
	buffer_text(out, "</td>");
}

static void cell_duration(struct buffer *out, const struct sketch *lifetimes, unsigned int permille)
{
	buffer_text(out, "<td class=\"n\">");
	if (lifetimes->total)
		markup_duration(out, sketch_quantile(lifetimes, permille));
	else
		buffer_text(out, "–");
	buffer_text(out, "</td>");
}

static void top_row(struct buffer *out, const struct top *top, const struct report_who *who,
		    uint64_t most)
{
	buffer_text(out, "<tr><th scope=\"row\">");
	top->name(out, who->base.key);
	if (top->rank == REPORT_PROCESSES && who->processes > 1) {
		buffer_text(out, "<small>");
		markup_number(out, who->processes);
		buffer_text(out, " processes</small>");
	}
	buffer_text(out, "</th>");
	cell_claims(out, report_claims(who), most);
	cell_number(out, who->kernel, false);
	cell_number(out, who->requested, false);
	cell_number(out, who->failures, true);
	cell_number(out, who->refused, false);
	cell_number(out, who->peak, false);
	cell_duration(out, &who->lifetimes, 500);
	cell_duration(out, &who->lifetimes, 950);
	buffer_text(out, "</tr>\n");
}

/* All that have no row of their own. */
static void top_others(struct buffer *out, const struct top *top, const struct keyed *rank)
{
	struct report_who sum = *(const struct report_who *)rank->entries[0];
	const bool full = sum.peak || report_claims(&sum) || sum.failures;
	uint32_t count = 0;

	for (uint32_t i = TOP + 1; i < rank->count; i++) {
		const struct report_who *who = (const struct report_who *)rank->entries[i];

		sum.kernel += who->kernel;
		sum.requested += who->requested;
		sum.unknown += who->unknown;
		sum.failures += who->failures;
		sum.refused += who->refused;
		count++;
	}
	if (!count && !full)
		return;
	buffer_text(out, "<tr class=\"rest\"><th scope=\"row\">");
	markup_number(out, count);
	buffer_printf(out, " other%s%s</th>", count == 1 ? "" : "s", full ? " and more" : "");
	cell_claims(out, report_claims(&sum), 0);
	cell_number(out, sum.kernel, false);
	cell_number(out, sum.requested, false);
	cell_number(out, sum.failures, true);
	cell_number(out, sum.refused, false);
	buffer_text(out,
		    "<td class=\"n\">–</td><td class=\"n\">–</td><td class=\"n\">–</td></tr>\n");
	if (full)
		buffer_printf(
			out,
			"<tr class=\"rest\"><td colspan=\"9\">There are more than %u "
			"different %s: those that came late have no row of their own.</td></tr>\n",
			REPORT_WHO_LIMIT, top->others);
}

static void top_put(struct buffer *out, const struct top *top, const struct report *report)
{
	static const char *const columns[] = {
		"Ports claimed",   "kernel’s choice",	"requested",	   "Claims failed",
		"Connects failed", "Most held at once", "Median lifetime", "95 % below",
	};
	const struct keyed *rank = &report->ranks[top->rank];
	uint64_t most = 0;

	buffer_printf(out, "<h3>%s</h3>\n", top->title);
	if (rank->count < 2) {
		buffer_text(out, "<p class=\"none\">None in this period.</p>\n");
		return;
	}
	for (uint32_t i = 1; i < rank->count && i <= TOP; i++) {
		const uint64_t claims = report_claims((const struct report_who *)rank->entries[i]);

		most = claims > most ? claims : most;
	}
	buffer_printf(out,
		      "<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"%s\"><table "
		      "id=\"%s\">\n<thead><tr><th scope=\"col\">%s</th>",
		      top->title, top->id, top->column);
	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++)
		buffer_printf(out, "<th class=\"n\" scope=\"col\">%s</th>", columns[i]);
	buffer_text(out, "</tr></thead>\n<tbody>\n");
	for (uint32_t i = 1; i < rank->count && i <= TOP; i++)
		top_row(out, top, (const struct report_who *)rank->entries[i], most);
	top_others(out, top, rank);
	buffer_text(out, "</tbody></table></div>\n");
}

void page_tops(struct buffer *out, const struct report *report)
{
	static const struct top tops[] = {
		{REPORT_PROCESSES, "top-processes", "Processes", "Process", "processes",
		 process_name},
		{REPORT_UNITS, "top-units", "Units and containers", "Unit or container",
		 "units and containers", unit_name},
		{REPORT_USERS, "top-users", "Users", "User", "users", user_name},
		{REPORT_DESTINATIONS, "top-destinations", "Destinations", "Destination",
		 "destinations", destination_name},
	};

	page_section(out, "who", "Who",
		     "Those that claimed most ports, or tried to. Processes of one name and one "
		     "program are one row. A lifetime is from the claim until the port is given "
		     "back, TIME_WAIT included, of the leases that were claimed in this period and "
		     "have ended; right to 0.2 %.");
	for (size_t i = 0; i < sizeof(tops) / sizeof(*tops); i++)
		top_put(out, &tops[i], report);
	page_section_end(out);
}

/* ---- failures ---- */

static void wanted_put(struct buffer *out, const struct history_text *trigger,
		       const struct history_text *kind, const struct history_text *ip,
		       uint32_t port)
{
	page_text(out, trigger, "a call");
	buffer_byte(out, ' ');
	page_text(out, kind, "?");
	buffer_byte(out, ' ');
	page_endpoint(out, ip, port);
}

static void blocker_put(struct buffer *out, const struct report_blocker *blocker, uint64_t failures)
{
	const struct history_text comm = {.data = blocker->name, .length = blocker->comm_length};

	buffer_text(out, "<div>");
	page_text(out, &comm, "unknown process");
	if (blocker->pid)
		buffer_printf(out, "[%u]", blocker->pid);
	if (blocker->length > blocker->comm_length) {
		buffer_text(out, " (");
		markup_text(out, blocker->name + blocker->comm_length,
			    blocker->length - blocker->comm_length);
		buffer_byte(out, ')');
	}
	if (blocker->ports_most) {
		buffer_text(out, " with up to ");
		markup_number(out, blocker->ports_most);
		buffer_text(out, " ports");
	}
	if (blocker->count != failures) {
		buffer_text(out, ", ");
		markup_number(out, blocker->count);
		buffer_text(out, "×");
	}
	buffer_text(out, "</div>");
}

static void blockers_put(struct buffer *out, const struct report_failure *group)
{
	buffer_text(out, "<td>");
	for (int i = 0; i < REPORT_BLOCKERS && group->blockers[i].count; i++)
		blocker_put(out, &group->blockers[i], group->count);
	if (group->blockers_more) {
		buffer_text(out, "<div>others, ");
		markup_number(out, group->blockers_more);
		buffer_text(out, "×</div>");
	}
	if (group->count > group->blocked) {
		buffer_text(out, "<i>");
		if (group->blocked) {
			markup_number(out, group->count - group->blocked);
			buffer_text(out, "× ");
		}
		if (!strcmp(group->reason, "not_seen"))
			buffer_text(out, "it was gone when the kernel was asked");
		else if (!strcmp(group->reason, "no_ledger"))
			buffer_text(out, "no account was kept");
		else if (*group->reason)
			markup_string(out, group->reason);
		else
			buffer_text(out, "no other socket");
		buffer_text(out, "</i>");
	}
	buffer_text(out, "</td>");
}

static void failure_row(struct buffer *out, const struct report_failure *group, bool blockers)
{
	const char *key = group->base.key;
	const struct history_text comm = key_take_text(&key), exe = key_take_text(&key);
	const struct history_text trigger = key_take_text(&key), error = key_take_text(&key);
	const struct history_text kind = key_take_text(&key), ip = key_take_text(&key);

	buffer_text(out, "<tr><th scope=\"row\">");
	page_process(out, &comm, &exe);
	buffer_text(out, "</th><td>");
	wanted_put(out, &trigger, &kind, &ip, key_take_number(&key));
	buffer_text(out, "</td><td class=\"t\"><b>");
	page_text(out, &error, "gave up");
	buffer_text(out, "</b></td>");
	cell_number(out, group->count, true);
	buffer_text(out, "<td class=\"t\">");
	markup_time(out, group->first);
	buffer_text(out, "<br/>");
	markup_time(out, group->last);
	buffer_text(out, "</td>");
	if (blockers)
		blockers_put(out, group);
	buffer_text(out, "</tr>\n");
}

static void failures_table(struct buffer *out, const struct keyed *groups, const char *id,
			   const char *caption, bool blockers)
{
	const struct report_failure *full = (const struct report_failure *)groups->entries[0];
	uint64_t more = full->count;

	buffer_printf(
		out,
		"<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"%s\"><table "
		"id=\"%s\">\n<thead><tr><th scope=\"col\">Process</th><th "
		"scope=\"col\">%s</th><th scope=\"col\">Error</th><th class=\"n\" "
		"scope=\"col\">Times</th><th scope=\"col\">First and last</th>%s</tr></thead>\n"
		"<tbody>\n",
		caption, id, blockers ? "Wanted" : "Went to",
		blockers ? "<th scope=\"col\">What stood in the way</th>" : "");
	for (uint32_t i = 1; i < groups->count; i++) {
		const struct report_failure *group =
			(const struct report_failure *)groups->entries[i];

		if (i <= FAILURES)
			failure_row(out, group, blockers);
		else
			more += group->count;
	}
	if (more) {
		buffer_text(out,
			    "<tr class=\"rest\"><th scope=\"row\">others</th><td></td><td></td>");
		cell_number(out, more, false);
		buffer_printf(out, "<td></td>%s</tr>\n", blockers ? "<td></td>" : "");
	}
	buffer_text(out, "</tbody></table></div>\n");
}

void page_failures(struct buffer *out, const struct report *report)
{
	page_section(out, "failures", "Failures", NULL);
	buffer_text(out, "<h3>Claims that failed, and what stood in the way</h3>\n");
	if (report->totals.failures)
		failures_table(out, &report->failures, "failed-claims", "Claims that failed", true);
	else
		buffer_text(out, "<p class=\"none\">None in this period.</p>\n");
	buffer_text(out, "<h3>Connects that had a port and failed</h3>\n");
	if (report->totals.refused)
		failures_table(out, &report->refusals, "failed-connects", "Connects that failed",
			       false);
	else
		buffer_text(out, "<p class=\"none\">None in this period.</p>\n");
	page_section_end(out);
}

/* ---- listeners ---- */

static void listener_row(struct buffer *out, const struct report *report,
			 const struct report_listener *listener)
{
	const char *key = listener->base.key;
	const uint32_t port = key_take_number(&key);
	const struct history_text kind = key_take_text(&key), ip = key_take_text(&key);
	const struct history_text comm = key_take_text(&key), unit = key_take_text(&key);
	const struct history_text user = key_take_text(&key);

	buffer_text(out, "<tr><th scope=\"row\"><b>");
	page_endpoint(out, &ip, port);
	buffer_text(out, "</b> ");
	markup_text(out, kind.data, kind.length);
	buffer_text(out, "</th><td>");
	page_text(out, &comm, "unknown process");
	if (listener->pid)
		buffer_printf(out, " [%u]", listener->pid);
	buffer_text(out, "</td><td>");
	page_text(out, &unit, "none known");
	buffer_text(out, "</td><td>");
	page_text(out, &user, "not known");
	buffer_text(out, "</td><td class=\"t\">");
	if (listener->predates)
		buffer_text(out, "before ");
	markup_time(out, listener->since);
	buffer_text(out, "</td><td class=\"t\">");
	if (listener->until > report->until) {
		buffer_text(out, "still at the end");
	} else {
		buffer_text(out, listener->unseen ? "seen until " : "");
		markup_time(out, listener->until);
	}
	buffer_text(out, "</td>");
	cell_number(out, listener->times, false);
	buffer_text(out, "</tr>\n");
}

void page_listeners(struct buffer *out, const struct report *report)
{
	const struct keyed *listeners = &report->listeners;
	const uint64_t full = ((const struct report_listener *)listeners->entries[0])->times;

	page_section(
		out, "listeners", "Listeners",
		"Who listened where in this period. Connections that were accepted share their "
		"listener’s port and are no claims.");
	if (listeners->count < 2) {
		buffer_text(out, "<p class=\"none\">None in this period.</p>\n");
		page_section_end(out);
		return;
	}
	buffer_text(out, "<div class=\"wide\" tabindex=\"0\" role=\"group\" "
			 "aria-label=\"Listeners\"><table id=\"listening\">\n<thead><tr><th "
			 "scope=\"col\">Address</th><th scope=\"col\">Process</th><th "
			 "scope=\"col\">Unit or container</th><th scope=\"col\">User</th><th "
			 "scope=\"col\">Since</th><th scope=\"col\">Until</th><th class=\"n\" "
			 "scope=\"col\">Sockets</th></tr></thead>\n<tbody>\n");
	for (uint32_t i = 1; i < listeners->count && i <= LISTENERS; i++)
		listener_row(out, report, (const struct report_listener *)listeners->entries[i]);
	buffer_text(out, "</tbody></table></div>\n");
	if (listeners->count > LISTENERS + 1 || full)
		buffer_printf(out, "<p class=\"none\">and %s%u more</p>\n", full ? "at least " : "",
			      listeners->count > LISTENERS + 1 ? listeners->count - 1 - LISTENERS
							       : 1);
	page_section_end(out);
}
