/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "store/wanted.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include <portsnoop/wire.h>

#include "model/text.h"

#define PROTOCOL_MPTCP 262
#define SERVICE ".service"

bool wanted_text(const struct history_text *text, const char *wanted)
{
	size_t length = strlen(wanted);

	return text->data && text->length == length && !memcmp(text->data, wanted, length);
}

bool wanted_exe(const struct history_text *exe, const char *wanted)
{
	struct history_text last = *exe;
	const char *slash;

	if (strchr(wanted, '/') || !exe->data)
		return wanted_text(exe, wanted);
	slash = memrchr(exe->data, '/', exe->length);
	if (slash) {
		last.data = slash + 1;
		last.length = exe->length - (size_t)(last.data - exe->data);
	}
	return wanted_text(&last, wanted);
}

bool wanted_unit(const struct history_text *unit, const char *wanted)
{
	struct history_text name = *unit;
	size_t suffix = sizeof(SERVICE) - 1;

	if (wanted_text(unit, wanted))
		return true;
	if (!unit->data || unit->length <= suffix ||
	    memcmp(unit->data + unit->length - suffix, SERVICE, suffix))
		return false;
	name.length -= suffix;
	return wanted_text(&name, wanted);
}

bool wanted_container(const struct history_text *id, const char *wanted)
{
	size_t length = strlen(wanted);

	return id->data && length >= 4 && id->length >= length && !memcmp(id->data, wanted, length);
}

bool wanted_program(const struct history_query *query, const struct history_process *process)
{
	return (!query->comm || wanted_text(&process->comm, query->comm)) &&
	       (!query->exe || wanted_exe(&process->exe, query->exe)) &&
	       (!query->unit || wanted_unit(&process->unit, query->unit)) &&
	       (!query->container || wanted_container(&process->container, query->container));
}

/* An IPv4 address is one, mapped or not. */
static unsigned int address_plain(uint8_t *bytes, unsigned int family)
{
	if (!address_mapped(bytes, (uint8_t)family))
		return family;
	memmove(bytes, bytes + 12, 4);
	memset(bytes + 4, 0, 12);
	return 4;
}

static bool prefix_equal(const uint8_t *a, const uint8_t *b, unsigned int bits)
{
	unsigned int whole = bits / 8, rest = bits % 8;

	return !memcmp(a, b, whole) && (!rest || !((a[whole] ^ b[whole]) >> (8 - rest)));
}

bool wanted_address(const struct history_text *ip, const struct history_remote *remote)
{
	unsigned int family = 0, wanted = remote->family, bits = remote->bits;
	char text[INET6_ADDRSTRLEN] = "";
	uint8_t bytes[16] = {0}, network[16];

	if (ip->data && ip->length < sizeof(text))
		memcpy(text, ip->data, ip->length);
	if (inet_pton(AF_INET6, text, bytes) == 1)
		family = 6;
	else if (inet_pton(AF_INET, text, bytes) == 1)
		family = 4;
	memcpy(network, remote->address, sizeof(network));
	if (wanted == 6 && bits >= 96 && address_plain(network, 6) == 4) {
		wanted = 4;
		bits -= 96;
	}
	if (wanted == 4)
		family = address_plain(bytes, family);
	return family == wanted && bits <= (family == 4 ? 32 : 128) &&
	       prefix_equal(bytes, network, bits);
}

bool wanted_protocol(uint16_t protocol, uint32_t flags, uint16_t wanted)
{
	return !wanted || protocol == wanted ||
	       (wanted == IPPROTO_TCP && protocol == PROTOCOL_MPTCP) ||
	       (wanted == PROTOCOL_MPTCP && flags & WIRE_MPTCP);
}
