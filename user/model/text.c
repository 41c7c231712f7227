/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/text.h"

#include <string.h>

static const char pairs[] = "00010203040506070809101112131415161718192021222324"
			    "25262728293031323334353637383940414243444546474849"
			    "50515253545556575859606162636465666768697071727374"
			    "75767778798081828384858687888990919293949596979899";
static const char hex_digits[] = "0123456789abcdef";

char *text_unsigned(char *out, uint64_t number)
{
	char digits[TEXT_UNSIGNED], *start = digits + sizeof(digits);
	size_t length;

	while (number >= 100) {
		start -= 2;
		memcpy(start, pairs + number % 100 * 2, 2);
		number /= 100;
	}
	if (number >= 10) {
		start -= 2;
		memcpy(start, pairs + number * 2, 2);
	} else {
		*--start = (char)('0' + number);
	}
	length = (size_t)(digits + sizeof(digits) - start);
	memcpy(out, start, length);
	return out + length;
}

char *text_signed(char *out, int64_t number)
{
	if (number >= 0)
		return text_unsigned(out, (uint64_t)number);
	*out++ = '-';
	return text_unsigned(out, 0 - (uint64_t)number);
}

char *text_digits(char *out, uint32_t number, unsigned int digits)
{
	for (unsigned int i = digits; i > 0; i--) {
		out[i - 1] = (char)('0' + number % 10);
		number /= 10;
	}
	return out + digits;
}

char *text_hex(char *out, uint64_t number, unsigned int digits)
{
	for (unsigned int i = digits; i > 0; i--) {
		out[i - 1] = hex_digits[number & 15];
		number >>= 4;
	}
	return out + digits;
}

bool address_mapped(const uint8_t *bytes, uint8_t family)
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	return family == 6 && !memcmp(bytes, prefix, sizeof(prefix));
}

bool address_wildcard(const uint8_t *bytes, uint8_t family)
{
	static const uint8_t zero[16];

	if (address_mapped(bytes, family))
		return !memcmp(bytes + 12, zero, 4);
	return !memcmp(bytes, zero, family == 4 ? 4 : 16);
}

static char *byte_text(char *out, uint8_t byte)
{
	if (byte >= 100) {
		*out++ = (char)('0' + byte / 100);
		byte %= 100;
		memcpy(out, pairs + byte * 2, 2);
		return out + 2;
	}
	if (byte >= 10) {
		memcpy(out, pairs + byte * 2, 2);
		return out + 2;
	}
	*out++ = (char)('0' + byte);
	return out;
}

static char *four_text(char *out, const uint8_t *bytes)
{
	for (int i = 0; i < 4; i++) {
		if (i)
			*out++ = '.';
		out = byte_text(out, bytes[i]);
	}
	return out;
}

static char *six_text(char *out, const uint8_t *bytes)
{
	int longest = -1, longest_length = 1; /* a single zero group is not shortened */
	unsigned int group[8];

	for (int i = 0; i < 8; i++)
		group[i] = (unsigned int)bytes[2 * i] << 8 | bytes[2 * i + 1];
	for (int i = 0; i < 8; i++) {
		int length = 0;

		while (i + length < 8 && !group[i + length])
			length++;
		if (length > longest_length) {
			longest = i;
			longest_length = length;
		}
		i += length;
	}
	for (int i = 0; i < 8; i++) {
		unsigned int digits = 1;

		if (i == longest) {
			*out++ = ':';
			i += longest_length - 1;
			if (i == 7)
				*out++ = ':';
			continue;
		}
		if (i)
			*out++ = ':';
		while (digits < 4 && group[i] >> (4 * digits))
			digits++;
		out = text_hex(out, group[i], digits);
	}
	return out;
}

char *text_address(char *out, const uint8_t *bytes, uint8_t family)
{
	if (family == 4)
		return four_text(out, bytes);
	if (address_mapped(bytes, family)) {
		memcpy(out, "::ffff:", 7);
		return four_text(out + 7, bytes + 12);
	}
	return six_text(out, bytes);
}

char *text_endpoint(char *out, const uint8_t *bytes, uint8_t family, uint16_t port)
{
	if (family != 4)
		*out++ = '[';
	out = text_address(out, bytes, family);
	if (family != 4)
		*out++ = ']';
	*out++ = ':';
	return text_unsigned(out, port);
}

char *text_second(char *out, int64_t second)
{
	/* Days are counted from 0000-03-01, so that the leap day ends a year and
	 * 400 years are 146097 days, whatever the year. */
	int64_t days = second / 86400, clock = second % 86400, era, day, year, month;

	if (clock < 0) {
		clock += 86400;
		days--;
	}
	days += 719468;
	era = days / 146097;
	day = days - era * 146097;
	year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	day -= 365 * year + year / 4 - year / 100;
	month = (5 * day + 2) / 153;
	day -= (153 * month + 2) / 5 - 1;
	year += era * 400 + (month >= 10);
	month += month < 10 ? 3 : -9;

	out = text_digits(out, (uint32_t)year, 4);
	*out++ = '-';
	out = text_digits(out, (uint32_t)month, 2);
	*out++ = '-';
	out = text_digits(out, (uint32_t)day, 2);
	*out++ = 'T';
	out = text_digits(out, (uint32_t)(clock / 3600), 2);
	*out++ = ':';
	out = text_digits(out, (uint32_t)(clock / 60 % 60), 2);
	*out++ = ':';
	out = text_digits(out, (uint32_t)(clock % 60), 2);
	*out++ = '.';
	return out;
}

char *text_time(char *out, int64_t ns)
{
	uint32_t rest;

	out = text_second(out, text_split(ns, &rest));
	out = text_digits(out, rest, 9);
	*out++ = 'Z';
	return out;
}

static char *put(char *out, const char *text)
{
	size_t length = strlen(text);

	memcpy(out, text, length);
	return out + length;
}

char *text_duration(char *out, uint64_t ns)
{
	static const struct {
		uint64_t below, unit;
		const char *name;
	} small[] = {
		{1000000, 1000, "us"},
		{1000000000, 1000000, "ms"},
		{60000000000, 1000000000, "s"},
	};
	static const struct {
		uint64_t below, unit, part;
		char name, part_name;
	} large[] = {
		{3600, 60, 1, 'm', 's'},
		{172800, 3600, 60, 'h', 'm'},
		{UINT64_MAX, 86400, 3600, 'd', 'h'},
	};
	uint64_t seconds = ns / 1000000000;
	size_t i;

	if (ns < 1000)
		return put(text_unsigned(out, ns), "ns");
	for (i = 0; i < sizeof(small) / sizeof(small[0]); i++) {
		uint64_t unit = small[i].unit;

		if (ns >= small[i].below)
			continue;
		out = text_unsigned(out, ns / unit);
		*out++ = '.';
		out = text_digits(out, (uint32_t)(ns % unit / (unit / 10)), 1);
		return put(out, small[i].name);
	}
	for (i = 0; seconds >= large[i].below;)
		i++;
	out = text_unsigned(out, seconds / large[i].unit);
	*out++ = large[i].name;
	out = text_digits(out, (uint32_t)(seconds % large[i].unit / large[i].part), 2);
	*out++ = large[i].part_name;
	return out;
}
