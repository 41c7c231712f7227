/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static const char expected_port[] = "a port (0-65535)";
static const char expected_ports[] =
	"a port (0-65535), a range like 8000-8010, or a comma-separated list of these";
static const char expected_duration[] =
	"a duration above zero like 500ms, 10s, 1.5s, 5m, 2h or 1d; a plain number is seconds";
static const char expected_size[] = "a size above zero like 4096, 64k, 8M or 1G, in powers of 1024";
static const char expected_endpoint[] =
	"a port of 127.0.0.1, ADDRESS:PORT or [ADDRESS]:PORT: 9845, 192.0.2.7:9845, [::1]:9845";
static const char expected_protocol[] = "tcp, udp, udplite, icmp, icmpv6, sctp or mptcp";

/* Own digits instead of strtoull(), which takes spaces, signs and 0x. Returns the
 * end of the digits, or NULL: there is none, or the number is above `most`. */
static const char *digits_take(const char *text, uint64_t most, uint64_t *number)
{
	uint64_t value = 0;

	if (*text < '0' || *text > '9')
		return NULL;
	for (; *text >= '0' && *text <= '9'; text++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value) || value > most)
			return NULL;
	}
	*number = value;
	return text;
}

int parse_unsigned(const char *text, uint64_t least, uint64_t most, uint64_t *number)
{
	uint64_t value;
	const char *end = digits_take(text, most, &value);

	if (!end || *end || value < least)
		return -EINVAL;
	*number = value;
	return 0;
}

int parse_port(const char *text, uint16_t *port, const char **expected)
{
	uint64_t number;

	if (parse_unsigned(text, 0, UINT16_MAX, &number)) {
		*expected = expected_port;
		return -EINVAL;
	}
	*port = (uint16_t)number;
	return 0;
}

/* Takes one port or range of a list; NULL: not well-formed. */
static const char *port_range_take(const char *text, uint64_t *low, uint64_t *high)
{
	text = digits_take(text, UINT16_MAX, low);
	if (!text)
		return NULL;
	*high = *low;
	if (*text != '-')
		return text;
	text = digits_take(text + 1, UINT16_MAX, high);
	return text && *low <= *high ? text : NULL;
}

int parse_ports(const char *text, struct port_set *set, const char **expected)
{
	struct port_set found = {0};
	uint64_t low, high;

	for (;;) {
		text = port_range_take(text, &low, &high);
		if (!text || (*text && *text != ',')) {
			*expected = expected_ports;
			return -EINVAL;
		}
		for (; low <= high; low++)
			found.bits[low >> 3] |= (uint8_t)(1u << (low & 7));
		if (!*text)
			break;
		text++;
	}
	for (size_t i = 0; i < sizeof(found.bits); i++)
		set->bits[i] |= found.bits[i];
	return 0;
}

static bool duration_unit(const char *text, uint64_t *ns)
{
	static const struct {
		char name[3];
		uint64_t ns;
	} units[] = {
		{"", 1000000000},   {"ms", 1000000},	  {"s", 1000000000},
		{"m", 60000000000}, {"h", 3600000000000}, {"d", 86400000000000},
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (!strcmp(text, units[i].name)) {
			*ns = units[i].ns;
			return true;
		}
	}
	return false;
}

static bool duration_take(const char *text, uint64_t *ns)
{
	uint64_t whole, fraction = 0, scale = 1, unit, value, rest;
	const char *point;

	text = digits_take(text, UINT64_MAX, &whole);
	if (!text)
		return false;
	if (*text == '.') {
		point = ++text;
		text = digits_take(text, UINT64_MAX, &fraction);
		if (!text || text - point > 9) /* 10^-9 d is the finest that fits below */
			return false;
		for (ptrdiff_t digits = text - point; digits; digits--)
			scale *= 10;
	}
	if (!duration_unit(text, &unit))
		return false;
	if (__builtin_mul_overflow(whole, unit, &value))
		return false;
	/* Never above 2^64: every unit is a multiple of 10^6, and only "ms" is none of
	 * 10^9, so the second product stays below 10^15. */
	if (unit % scale == 0)
		rest = fraction * (unit / scale);
	else if (fraction * unit % scale)
		return false; /* finer than a nanosecond */
	else
		rest = fraction * unit / scale;
	if (__builtin_add_overflow(value, rest, &value) || !value)
		return false;
	*ns = value;
	return true;
}

int parse_duration(const char *text, uint64_t *ns, const char **expected)
{
	if (duration_take(text, ns))
		return 0;
	*expected = expected_duration;
	return -EINVAL;
}

static bool size_unit(const char *text, unsigned int *shift)
{
	static const char units[] = "kmgt";
	const char *unit;

	*shift = 0;
	if (!*text)
		return true;
	unit = strchr(units, *text | 0x20); /* either case */
	if (!unit || text[1])
		return false;
	*shift = 10 * (unsigned int)(unit - units + 1);
	return true;
}

int parse_size(const char *text, uint64_t *bytes, const char **expected)
{
	unsigned int shift;
	uint64_t number;
	const char *end = digits_take(text, UINT64_MAX, &number);

	if (!end || !size_unit(end, &shift) || !number || number > UINT64_MAX >> shift) {
		*expected = expected_size;
		return -EINVAL;
	}
	*bytes = number << shift;
	return 0;
}

/* Names are not looked up: what they mean can change, and where one listens should not. */
static bool endpoint_take(const char *text, struct endpoint *endpoint)
{
	const char *colon = strrchr(text, ':'), *unused;
	const char *begin = text, *end = colon;
	char address[INET6_ADDRSTRLEN];

	if (!colon) {
		endpoint->family = 4;
		memcpy(endpoint->bytes, "\x7f\0\0\1", 4);
		return !parse_port(text, &endpoint->port, &unused);
	}
	endpoint->family = *text == '[' ? 6 : 4;
	if (endpoint->family == 6) {
		begin++;
		end--;
		if (end < begin || *end != ']')
			return false;
	}
	if ((size_t)(end - begin) >= sizeof(address))
		return false;
	memcpy(address, begin, (size_t)(end - begin));
	address[end - begin] = '\0';
	return inet_pton(endpoint->family == 4 ? AF_INET : AF_INET6, address, endpoint->bytes) ==
		       1 &&
	       !parse_port(colon + 1, &endpoint->port, &unused);
}

int parse_endpoint(const char *text, struct endpoint *endpoint, const char **expected)
{
	struct endpoint taken = {0};

	if (!endpoint_take(text, &taken)) {
		*expected = expected_endpoint;
		return -EINVAL;
	}
	*endpoint = taken;
	return 0;
}

static const struct {
	const char *name;
	uint16_t number;
} protocols[] = {
	{"tcp", IPPROTO_TCP},	  {"udp", IPPROTO_UDP},	      {"udplite", IPPROTO_UDPLITE},
	{"icmp", IPPROTO_ICMP},	  {"icmpv6", IPPROTO_ICMPV6}, {"sctp", IPPROTO_SCTP},
	{"mptcp", IPPROTO_MPTCP},
};

#define PROTOCOLS (sizeof(protocols) / sizeof(protocols[0]))

int parse_protocol(const char *text, uint16_t *protocol, const char **expected)
{
	for (size_t i = 0; i < PROTOCOLS; i++) {
		if (!strcasecmp(text, protocols[i].name)) {
			*protocol = protocols[i].number;
			return 0;
		}
	}
	*expected = expected_protocol;
	return -EINVAL;
}

const char *protocol_name(uint16_t protocol)
{
	for (size_t i = 0; i < PROTOCOLS; i++)
		if (protocols[i].number == protocol)
			return protocols[i].name;
	return NULL;
}
