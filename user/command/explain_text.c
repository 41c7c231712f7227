/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <strings.h>

#include "command/explain.h"
#include "lib/escape.h"
#include "model/classify.h"

#define LISTED 20 /* of a range, at most */
#define INDENT "                   "

/* The start of a line: a label in a column of its own. */
static void label_print(struct buffer *out, const char *label)
{
	buffer_printf(out, "    %-14s ", label);
}

static void protocols_label(struct buffer *out, unsigned int mask)
{
	size_t start = out->length + 4;

	buffer_text(out, "    ");
	explain_protocols(out, mask, ", ");
	while (!out->failed && out->length < start + 15)
		buffer_byte(out, ' ');
}

static void span_print(struct buffer *out, unsigned int low, unsigned int high)
{
	buffer_unsigned(out, low);
	if (high != low) {
		buffer_byte(out, '-');
		buffer_unsigned(out, high);
	}
}

/* ---- the registry ---- */

static void name_print(struct buffer *out, const struct iana_entry *entry)
{
	const char *name = iana_text(entry->name), *text = iana_text(entry->text);
	const char *head = *name ? name : iana_status_name(entry->status);

	buffer_text(out, head);
	if (entry->status == IANA_ASSIGNED && !*name)
		buffer_text(out, " without a service name");
	if (*text && strcasecmp(head, text)) {
		buffer_text(out, ": ");
		buffer_text(out, text);
	}
	buffer_byte(out, '\n');
}

static void line_print(struct buffer *out, const char *before, const char *text)
{
	if (*text)
		buffer_printf(out, INDENT "%s%s\n", before, text);
}

static void entry_print(struct buffer *out, const struct iana_entry *entry)
{
	char date[IANA_DATE_TEXT];

	name_print(out, entry);
	buffer_text(out, INDENT);
	buffer_text(out, iana_status_name(entry->status));
	iana_date_text(entry->registered, date);
	buffer_printf(out, ", registered: %s", *date ? date : "no date given");
	iana_date_text(entry->modified, date);
	buffer_printf(out, "%s%s", *date ? ", modified: " : "", date);
	if (*iana_text(entry->reference))
		buffer_printf(out, ", %s", iana_text(entry->reference));
	buffer_byte(out, '\n');
	line_print(out, "registry's note: ", iana_text(entry->note));
	line_print(out, "registry's remark: ",
		   strcmp(iana_text(entry->unauthorized), "yes") ? iana_text(entry->unauthorized)
								 : "unauthorized use is known");
}

/* Names behind the first one of a port and protocol are further names. */
static void port_registry(struct buffer *out, const struct explain_subject *subject)
{
	unsigned int named = 0, missing = subject->protocols, count;
	const struct iana_entry *entry;

	for (count = iana_find(subject->low, subject->low, &entry); count; count--, entry++) {
		unsigned int asked = entry->protocols & subject->protocols;

		if (!explain_covers(entry, subject->protocols))
			continue;
		if (asked) {
			protocols_label(out, asked);
			missing &= ~asked;
		} else if (entry->status == IANA_ASSIGNED) {
			label_print(out, "not told");
			asked = IANA_TCP | IANA_UDP;
			missing &= ~asked;
		} else {
			label_print(out, "any protocol");
			missing = 0;
		}
		if (named & asked)
			buffer_text(out, "also ");
		if (entry->name)
			named |= asked;
		entry_print(out, entry);
	}
	if (missing) {
		protocols_label(out, missing);
		buffer_text(out, "no entry\n");
	}
}

static void range_list(struct buffer *out, const struct explain_subject *subject)
{
	const struct iana_entry *entry;
	unsigned int count = iana_find(subject->low, subject->high, &entry);
	unsigned int listed = 0, more = 0;

	for (; count; count--, entry++) {
		if (entry->status != IANA_ASSIGNED || !explain_covers(entry, subject->protocols))
			continue;
		if (listed++ >= LISTED) {
			more++;
			continue;
		}
		buffer_text(out, "      ");
		span_print(out, entry->low, entry->high);
		buffer_byte(out, ' ');
		explain_protocols(out, entry->protocols & subject->protocols, ",");
		buffer_text(out, entry->protocols ? " " : "");
		name_print(out, entry);
	}
	if (more)
		buffer_printf(out, "      ... and %u more (use -o json)\n", more);
}

static void range_registry(struct buffer *out, const struct explain_subject *subject)
{
	static const char *const words[] = {
		[EXPLAIN_ASSIGNED] = "assigned",
		[EXPLAIN_USED] = "used without assignment",
		[EXPLAIN_RESERVED] = "reserved",
		[EXPLAIN_UNASSIGNED] = "unassigned",
		[EXPLAIN_NO_ENTRY] = "without an entry",
		[EXPLAIN_DYNAMIC] = "dynamic, never assigned to anyone",
	};
	unsigned int count[EXPLAIN_STATUSES];
	const char *before = "";

	explain_count(subject, count);
	label_print(out, "ports");
	for (unsigned int i = 0; i < EXPLAIN_STATUSES; i++) {
		/* How many are assigned is said even when none is. */
		if (!count[i] && i != EXPLAIN_ASSIGNED)
			continue;
		buffer_printf(out, "%s%u %s", before, count[i], words[i]);
		before = "; ";
	}
	buffer_byte(out, '\n');
	range_list(out, subject);
}

static void iana_print(struct buffer *out, const struct explain_subject *subject)
{
	static const char *const spans[] = {
		[IANA_SYSTEM] = "0-1023",
		[IANA_USER] = "1024-49151",
		[IANA_DYNAMIC] = "49152-65535",
	};
	enum iana_range first = iana_range_of(subject->low), last = iana_range_of(subject->high);

	buffer_printf(out, "  IANA registry of %s\n", iana_date);
	label_print(out, "range");
	for (enum iana_range range = first; range <= last; range++)
		buffer_printf(out, "%s%s (%s)", range == first ? "" : ", ", iana_range_name(range),
			      spans[range]);
	if (first == IANA_DYNAMIC)
		buffer_text(out, ": never assigned by IANA to anyone");
	buffer_byte(out, '\n');
	if (subject->low != subject->high)
		range_registry(out, subject);
	else if (first != IANA_DYNAMIC)
		port_registry(out, subject);
}

/* ---- this machine ---- */

static void absent_print(struct buffer *out, const char *proc, const char *name, int error)
{
	buffer_text(out, "unknown: ");
	escape_plain(out, proc, strlen(proc)); /* what somebody typed */
	buffer_printf(out, "/%s: %s\n", name, explain_reason(error));
}

static void pool_print(struct buffer *out, const struct explain_subject *subject,
		       const struct pool *pool, const char *proc)
{
	unsigned int inside, reserved, all = subject->high - subject->low + 1u;

	label_print(out, "pool");
	if (pool->range_error) {
		absent_print(out, proc, POOL_RANGE, pool->range_error);
		return;
	}
	explain_pool(subject, pool, &inside, &reserved);
	buffer_printf(out,
		      "%u-%u (ip_local_port_range; IANA's dynamic range is 49152-65535)\n" INDENT,
		      pool->low, pool->high);
	if (subject->high == 0)
		buffer_text(out, "0 is no port: who binds to it gets one of the pool");
	else if (!inside)
		buffer_printf(out, "%s outside: never given out as %s",
			      all == 1 ? "this port is" : "these ports are",
			      all == 1 ? "an ephemeral port" : "ephemeral ports");
	else if (all > 1)
		buffer_printf(out, "%u of these %u ports inside, %u of them reserved", inside, all,
			      reserved);
	else if (reserved)
		buffer_text(
			out,
			"this port is inside, but reserved: never given out as an ephemeral port");
	else if (pool->reserved_error)
		buffer_text(out, "this port is inside; whether it is reserved is unknown");
	else
		buffer_text(
			out,
			"this port is inside: the kernel may give it to any program as its ephemeral port");
	buffer_byte(out, '\n');
}

static void machine_print(struct buffer *out, const struct explain_subject *subject,
			  const struct pool *pool, const char *proc)
{
	unsigned int all = subject->high - subject->low + 1u, some;

	buffer_text(out, "  this machine, now, in this network namespace\n");
	pool_print(out, subject, pool, proc);

	label_print(out, "reserved");
	some = explain_reserved(subject, pool);
	if (pool->reserved_error)
		absent_print(out, proc, POOL_RESERVED, pool->reserved_error);
	else if (all == 1)
		buffer_printf(out, "%s ip_local_reserved_ports\n", some ? "yes, in" : "no, not in");
	else
		buffer_printf(out, "%u of %u in ip_local_reserved_ports\n", some, all);

	label_print(out, "privileged");
	if (pool->unprivileged_error) {
		absent_print(out, proc, POOL_UNPRIVILEGED, pool->unprivileged_error);
		return;
	}
	some = explain_privileged(subject, pool);
	if (all == 1)
		buffer_text(out, some ? "yes" : "no");
	else
		buffer_printf(out, "%u of %u", some, all);
	buffer_printf(out, " (ip_unprivileged_port_start is %u)\n", pool->unprivileged);
}

/* ---- hints ---- */

static void uses_print(struct buffer *out, const struct explain_subject *subject)
{
	unsigned int listed = 0, more = 0;
	bool broad = false;

	for (unsigned int i = 0; i < known_use_count; i++) {
		const struct known_use *use = &known_use_table[i];

		if (!explain_meets(use, subject))
			continue;
		if (!listed)
			buffer_printf(out,
				      "  not registered, may be used by (a hint, list of %s)\n",
				      known_use_date);
		if (listed++ >= LISTED) {
			more++;
			continue;
		}
		if (i >= known_use_specific && !broad) {
			broad = true;
			buffer_text(out,
				    "    ranges so wide that they say little about one port:\n");
		}
		buffer_printf(out, "    %s\n        source: %s\n", known_use_strings + use->text,
			      known_use_strings + use->source);
		if (use->note)
			buffer_printf(out, "        %s\n", known_use_strings + use->note);
	}
	if (more)
		buffer_printf(out, "    ... and %u more (use -o json)\n", more);
	if (!listed)
		buffer_printf(out, "  no unregistered use is known (list of %s)\n", known_use_date);
}

void explain_text(struct buffer *out, const struct explain_subject *subject,
		  const struct pool *pool, const char *proc)
{
	if (subject->portless) {
		buffer_printf(out, "service %s\n  IANA registry of %s\n    ", subject->service,
			      iana_date);
		explain_protocols(out, subject->portless->protocols, ", ");
		buffer_text(out, subject->portless->protocols ? ": " : "");
		entry_print(out, subject->portless);
		buffer_text(out, INDENT "a name only, without a port of its own\n");
		return;
	}
	buffer_text(out, subject->low == subject->high ? "port " : "ports ");
	span_print(out, subject->low, subject->high);
	if (subject->protocols != EXPLAIN_ALL) {
		buffer_byte(out, '/');
		explain_protocols(out, subject->protocols, ",");
	}
	if (subject->service)
		buffer_printf(out, ", asked as %s", subject->service);
	buffer_byte(out, '\n');
	iana_print(out, subject);
	machine_print(out, subject, pool, proc);
	uses_print(out, subject);
}
