/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/classify.h"

#include <netinet/in.h>
#include <stddef.h>

#include "ports/iana.h"
#include "ports/known_uses.h"

enum iana_range iana_range_of(uint16_t port)
{
	if (port < 1024)
		return IANA_SYSTEM;
	return port < IANA_DYNAMIC_LOW ? IANA_USER : IANA_DYNAMIC;
}

const char *iana_range_name(enum iana_range range)
{
	static const char *const names[] = {
		[IANA_SYSTEM] = "system",
		[IANA_USER] = "user",
		[IANA_DYNAMIC] = "dynamic",
	};

	return names[range];
}

const char *iana_service(uint16_t port, uint16_t protocol)
{
	unsigned int bit = iana_protocol_of(protocol);
	const struct iana_entry *entry;
	unsigned int count;

	if (!bit)
		return NULL;
	for (count = iana_find(port, port, &entry); count; count--, entry++)
		if (entry->status == IANA_ASSIGNED && entry->name && iana_entry_covers(entry, bit))
			return iana_text(entry->name);
	return NULL;
}

unsigned int known_uses(uint16_t port, uint16_t protocol, const char **uses, unsigned int limit)
{
	unsigned int bit = iana_protocol_of(protocol);
	unsigned int count = 0;

	/* No program on the list speaks UDP-Lite. */
	if (!bit || protocol == IPPROTO_UDPLITE)
		return 0;
	for (unsigned int i = 0; i < known_use_specific; i++) {
		const struct known_use *use = &known_use_table[i];

		if (port < use->low || port > use->high || !(use->protocols & bit))
			continue;
		if (count < limit)
			uses[count] = known_use_strings + use->text;
		count++;
	}
	return count;
}
