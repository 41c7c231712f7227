/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "ports/iana.h"

#include <netinet/in.h>
#include <stdio.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

bool iana_entry_covers(const struct iana_entry *entry, enum iana_protocol protocol)
{
	if (entry->protocols)
		return entry->protocols & protocol;
	return entry->status != IANA_ASSIGNED || protocol == IANA_TCP || protocol == IANA_UDP;
}

unsigned int iana_find(uint16_t low, uint16_t high, const struct iana_entry **first)
{
	unsigned int from = 0, to = iana_port_count;

	*first = NULL;
	if (low >= IANA_DYNAMIC_LOW || low > high)
		return 0;
	/* The first entry that does not end before `low`: since spans are equal
	 * or disjoint, their ends are sorted, too. */
	while (from < to) {
		unsigned int middle = from + (to - from) / 2;

		if (iana_entries[middle].high < low)
			from = middle + 1;
		else
			to = middle;
	}
	while (to < iana_port_count && iana_entries[to].low <= high)
		to++;
	if (from < to)
		*first = &iana_entries[from];
	return to - from;
}

/* The registry is ASCII, and the answer must not depend on the locale. */
static int byte_fold(char byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : (unsigned char)byte;
}

/* <0, 0, >0 as `text` sorts before, with or behind `name`. A prefix of the name
 * counts as equal when `prefix` is set. */
static int name_compare(const char *text, const char *name, bool prefix)
{
	for (; *text; text++, name++) {
		int order = byte_fold(*text) - byte_fold(*name);

		if (order)
			return order;
	}
	return prefix ? 0 : -(*name != '\0');
}

static unsigned int name_find(const char *text, bool prefix, const uint16_t **places)
{
	unsigned int from = 0, to = iana_name_count;

	while (from < to) {
		unsigned int middle = from + (to - from) / 2;
		const struct iana_entry *entry = &iana_entries[iana_names[middle]];

		if (name_compare(text, iana_text(entry->name), prefix) > 0)
			from = middle + 1;
		else
			to = middle;
	}
	*places = &iana_names[from];
	while (to < iana_name_count &&
	       !name_compare(text, iana_text(iana_entries[iana_names[to]].name), prefix))
		to++;
	return to - from;
}

unsigned int iana_find_name(const char *name, const uint16_t **places)
{
	return name_find(name, false, places);
}

unsigned int iana_find_prefix(const char *prefix, const uint16_t **places)
{
	return name_find(prefix, true, places);
}

unsigned int iana_protocol_of(uint16_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
	case IPPROTO_MPTCP: /* TCP on the wire */
		return IANA_TCP;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE: /* RFC 3828 shares UDP's numbers */
		return IANA_UDP;
	case IPPROTO_SCTP:
		return IANA_SCTP;
	case IPPROTO_DCCP:
		return IANA_DCCP;
	default:
		return 0;
	}
}

void iana_date_text(uint16_t date, char text[IANA_DATE_TEXT])
{
	unsigned int year = 1980 + (date >> 9), month = date >> 5 & 15, day = date & 31;

	if (!date)
		text[0] = '\0';
	else if (day)
		snprintf(text, IANA_DATE_TEXT, "%04u-%02u-%02u", year, month, day);
	else
		snprintf(text, IANA_DATE_TEXT, "%04u-%02u", year, month);
}

const char *iana_status_name(enum iana_status status)
{
	static const char *const names[] = {
		[IANA_ASSIGNED] = "assigned",
		[IANA_RESERVED] = "reserved",
		[IANA_UNASSIGNED] = "unassigned",
		[IANA_USED] = "used without assignment",
	};

	return names[status];
}
