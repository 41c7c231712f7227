/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Numbers, addresses and times as text. Each writes to `out`, which must have
 * room for the size named with it, adds no NUL and returns the end of what it
 * wrote.
 */
#ifndef PORTSNOOP_TEXT_H
#define PORTSNOOP_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#define TEXT_UNSIGNED 20
#define TEXT_SIGNED 20
#define TEXT_ADDRESS 45
#define TEXT_ENDPOINT (TEXT_ADDRESS + 2 + 1 + 5)
#define TEXT_TIME 30

char *text_unsigned(char *out, uint64_t number);
char *text_signed(char *out, int64_t number);
char *text_hex(char *out, uint64_t number,
	       unsigned int digits); /* the lowest ones, leading zeros kept */

/* 16 bytes as in struct wire_event, family 4 or 6. IPv6 as RFC 5952 wants it;
 * v4-mapped addresses as ::ffff:192.0.2.1. */
char *text_address(char *out, const uint8_t *bytes, uint8_t family);
char *text_endpoint(char *out, const uint8_t *bytes, uint8_t family, uint16_t port); /* [::1]:80 */

/* "870ns", "12.3ms", "5.2s", "12m03s", "5h02m", "3d04h" */
#define TEXT_DURATION 16
char *text_duration(char *out, uint64_t ns);

/* ns since 1970 -> 2026-11-21T14:32:07.123456789Z */
char *text_time(char *out, int64_t ns);

/* The date and time of text_time() up to and with the dot: 20 bytes. For years from
 * 1 to 9999. */
#define TEXT_SECOND 20
char *text_second(char *out, int64_t second);
char *text_digits(char *out, uint32_t number, unsigned int digits); /* decimal, leading zeros */

/* Splits ns since 1970 so that 0 <= *rest < 10^9, before 1970 as well. */
static inline int64_t text_split(int64_t ns, uint32_t *rest)
{
	int64_t second = ns / 1000000000, remainder = ns % 1000000000;

	if (remainder < 0) {
		second--;
		remainder += 1000000000;
	}
	*rest = (uint32_t)remainder;
	return second;
}

/* An IPv4 address in an IPv6 one, ::ffff:0:0/96. */
bool address_mapped(const uint8_t *bytes, uint8_t family);
/* 0.0.0.0, ::, and ::ffff:0.0.0.0 */
bool address_wildcard(const uint8_t *bytes, uint8_t family);

#endif
