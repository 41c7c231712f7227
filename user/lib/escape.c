/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/escape.h"

#include <wchar.h>

static const char hex_digits[] = "0123456789abcdef";

size_t utf8_length(const char *text, size_t length, uint32_t *character)
{
	const uint8_t *bytes = (const uint8_t *)text;
	uint32_t value, least;
	size_t expected;

	if (!length)
		return 0;
	if (bytes[0] < 0x80) {
		*character = bytes[0];
		return 1;
	}
	if (bytes[0] >= 0xc2 && bytes[0] <= 0xdf) {
		expected = 2;
		value = bytes[0] & 0x1f;
		least = 0x80;
	} else if ((bytes[0] & 0xf0) == 0xe0) {
		expected = 3;
		value = bytes[0] & 0x0f;
		least = 0x800;
	} else if (bytes[0] >= 0xf0 && bytes[0] <= 0xf4) {
		expected = 4;
		value = bytes[0] & 0x07;
		least = 0x10000;
	} else {
		return 0;
	}
	if (length < expected)
		return 0;
	for (size_t i = 1; i < expected; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (bytes[i] & 0x3f);
	}
	/* written longer than needed, half of a surrogate pair, beyond Unicode */
	if (value < least || (value >= 0xd800 && value <= 0xdfff) || value > 0x10ffff)
		return 0;
	*character = value;
	return expected;
}

struct range {
	uint32_t low, high;
};

static bool in_ranges(const struct range *ranges, size_t count, uint32_t character)
{
	for (size_t i = 0; i < count; i++)
		if (character >= ranges[i].low && character <= ranges[i].high)
			return true;
	return false;
}

#define IN(ranges, character) in_ranges(ranges, sizeof(ranges) / sizeof(ranges[0]), character)

/* Characters outside ASCII that are not to reach a reader as they are. */
static bool harmful(uint32_t character)
{
	static const struct range ranges[] = {
		{0x80, 0x9f},	    /* C1: some terminals obey them */
		{0xad, 0xad},	    /* soft hyphen */
		{0x61c, 0x61c},	    /* direction of writing */
		{0x180e, 0x180e},   /* invisible */
		{0x200b, 0x200f},   /* invisible, direction */
		{0x2028, 0x202e},   /* separators, direction */
		{0x2060, 0x206f},   /* invisible, direction */
		{0xfeff, 0xfeff},   /* byte order mark */
		{0xfff9, 0xfffb},   /* interlinear */
		{0xe0000, 0xe0fff}, /* tags */
	};

	return IN(ranges, character);
}

unsigned int utf8_columns(uint32_t character)
{
	int columns = character < 0x300 ? 1 : wcwidth((wchar_t)character);

	return columns < 0 ? 1 : (unsigned int)columns;
}

static const uint64_t ones = 0x0101010101010101u;

static bool has_zero(uint64_t word)
{
	return (word - ones) & ~word & ones << 7;
}

/* Whether all eight bytes can stand as they are in a JSON string. */
static bool word_is_clean(uint64_t word)
{
	return !(word & ones << 7) && !((word - ones * 0x20) & ~word & ones << 7) &&
	       !has_zero(word ^ ones * '"') && !has_zero(word ^ ones * '\\') &&
	       !has_zero(word ^ ones * 0x7f);
}

static char *put_unicode(char *to, uint32_t unit)
{
	*to++ = '\\';
	*to++ = 'u';
	for (int shift = 12; shift >= 0; shift -= 4)
		*to++ = hex_digits[unit >> shift & 15];
	return to;
}

/* Most bytes that one byte becomes: \u00XX */
#define WORST 6

/*
 * Copies what needs no escape, eight bytes at a time. Both ends move on to the
 * first byte of a word that does need one, or to the last bytes.
 */
static char *copy_clean(char *to, const char **from, const char *end)
{
	while (end - *from >= 8) {
		uint64_t word;

		memcpy(&word, *from, 8);
		if (!word_is_clean(word))
			break;
		memcpy(to, &word, 8);
		to += 8;
		*from += 8;
	}
	return to;
}

/* A byte that can stand as it is in a JSON string. */
static bool byte_is_clean(char byte)
{
	return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

void escape_json(struct buffer *out, const char *bytes, size_t length)
{
	const char *end = bytes + length;
	char *to;

	if (length > SIZE_MAX / WORST || !buffer_room(out, length * WORST))
		return;
	to = out->data + out->length;
	while (bytes < end) {
		const char *stop;

		to = copy_clean(to, &bytes, end);
		stop = end - bytes > 8 ? bytes + 8 : end;
		while (bytes < stop) {
			uint32_t character;
			size_t taken;

			if (byte_is_clean(*bytes)) {
				*to++ = *bytes++;
				continue;
			}
			taken = utf8_length(bytes, (size_t)(end - bytes), &character);
			if (!taken) {
				memcpy(to, "\xef\xbf\xbd", 3);
				to += 3;
				bytes++;
				continue;
			}
			if (character == '"' || character == '\\') {
				*to++ = '\\';
				*to++ = (char)character;
			} else if (character < 0x20 || character == 0x7f) {
				to = put_unicode(to, character);
			} else if (character < 0x80 || !harmful(character)) {
				memcpy(to, bytes, taken);
				to += taken;
			} else if (character < 0x10000) {
				to = put_unicode(to, character);
			} else {
				to = put_unicode(to, 0xd7c0 + (character >> 10));
				to = put_unicode(to, 0xdc00 | (character & 0x3ff));
			}
			bytes += taken;
		}
	}
	out->length = (size_t)(to - out->data);
}

void escape_plain(struct buffer *out, const char *bytes, size_t length)
{
	const char *end = bytes + length;
	char *to;

	if (!length || length > SIZE_MAX / WORST || !buffer_room(out, length * WORST))
		return;
	to = out->data + out->length;
	while (bytes < end) {
		uint32_t character = 0;
		size_t taken = utf8_length(bytes, (size_t)(end - bytes), &character);

		if (character == '\\') {
			*to++ = '\\';
			*to++ = '\\';
			bytes++;
			continue;
		}
		if (taken && character >= 0x20 && character != 0x7f &&
		    (character < 0x80 || !harmful(character))) {
			memcpy(to, bytes, taken);
			to += taken;
			bytes += taken;
			continue;
		}
		for (taken = taken ? taken : 1; taken; taken--, bytes++) {
			*to++ = '\\';
			*to++ = 'x';
			*to++ = hex_digits[*bytes >> 4 & 15];
			*to++ = hex_digits[*bytes & 15];
		}
	}
	out->length = (size_t)(to - out->data);
}

void escape_label(struct buffer *out, const char *bytes, size_t length)
{
	const char *end = bytes + length;

	while (bytes < end) {
		uint32_t character = 0;
		size_t taken = utf8_length(bytes, (size_t)(end - bytes), &character);

		if (!taken || character < 0x20 || character == 0x7f ||
		    (character >= 0x80 && harmful(character))) {
			buffer_text(out, "\xef\xbf\xbd");
		} else {
			if (character == '"' || character == '\\')
				buffer_byte(out, '\\');
			buffer_append(out, bytes, taken);
		}
		bytes += taken ? taken : 1;
	}
}
