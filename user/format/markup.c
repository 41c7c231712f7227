/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "format/markup.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "lib/cleanup.h"
#include "lib/escape.h"
#include "model/text.h"

/* U+FFFE and U+FFFF are UTF-8, but XML has no place for them. */
static bool is_noncharacter(const char *bytes, size_t length)
{
	return length >= 3 && !memcmp(bytes, "\xef\xbf", 2) && ((uint8_t)bytes[2] & 0xfe) == 0xbe;
}

static void plain_put(struct buffer *out, const char *bytes, size_t length)
{
	size_t from = 0;

	for (size_t i = 0; i < length; i++) {
		if (!is_noncharacter(bytes + i, length - i))
			continue;
		escape_plain(out, bytes + from, i - from);
		buffer_printf(out, "\\xef\\xbf\\x%02x", (uint8_t)bytes[i + 2]);
		i += 2;
		from = i + 1;
	}
	escape_plain(out, bytes + from, length - from);
}

/* Where to cut valid UTF-8, so that it stays so. */
static size_t cut(const struct buffer *plain, size_t most)
{
	if (plain->length <= most)
		return plain->length;
	while (most && (plain->data[most] & 0xc0) == 0x80)
		most--;
	return most;
}

void markup_text(struct buffer *out, const char *bytes, size_t length)
{
	CLEANUP(buffer_free) struct buffer plain = BUFFER_EMPTY;
	size_t end;

	/* No more than could show. */
	plain_put(&plain, bytes, length < 4 * MARKUP_MOST ? length : 4 * MARKUP_MOST);
	out->failed |= plain.failed;
	end = cut(&plain, MARKUP_MOST);
	for (size_t i = 0; i < end; i++) {
		switch (plain.data[i]) {
		case '<':
			buffer_text(out, "&lt;");
			break;
		case '>':
			buffer_text(out, "&gt;");
			break;
		case '&':
			buffer_text(out, "&amp;");
			break;
		case '"':
			buffer_text(out, "&quot;");
			break;
		case '\'':
			buffer_text(out, "&#39;");
			break;
		default:
			buffer_byte(out, plain.data[i]);
			break;
		}
	}
	if (end < plain.length || length > 4 * MARKUP_MOST)
		buffer_text(out, "…");
}

void markup_string(struct buffer *out, const char *text)
{
	markup_text(out, text, strlen(text));
}

void markup_number(struct buffer *out, uint64_t number)
{
	char digits[24];
	const int count = snprintf(digits, sizeof(digits), "%" PRIu64, number);

	for (int i = 0; i < count; i++) {
		if (i && (count - i) % 3 == 0)
			buffer_byte(out, ',');
		buffer_byte(out, digits[i]);
	}
}

void markup_percent(struct buffer *out, double part, double whole)
{
	const double percent = whole > 0 ? part / whole * 100 : 0;

	if (!(whole > 0))
		buffer_text(out, "–");
	else if (percent > 0 && percent < 0.1)
		buffer_text(out, "&lt;0.1 %");
	else if (percent > 0 && percent < 9.95)
		buffer_printf(out, "%.1f %%", percent);
	/* What is not all does not round to all. */
	else
		buffer_printf(out, "%u %%", (unsigned int)(percent < 1e9 ? percent : 1e9));
}

void markup_rate(struct buffer *out, double rate)
{
	if (rate >= 99.95 || rate == 0)
		markup_number(out, (uint64_t)(rate + 0.5));
	else
		buffer_printf(out, rate < 9.995 ? "%.2f" : "%.1f", rate);
}

void markup_duration(struct buffer *out, uint64_t ns)
{
	char text[TEXT_DURATION];

	buffer_append(out, text, (size_t)(text_duration(text, ns) - text));
}

void markup_time_as(struct buffer *out, int64_t ns, const char *format)
{
	uint32_t rest;
	const time_t second = text_split(ns, &rest);
	struct tm local;
	char text[64];

	if (!localtime_r(&second, &local))
		return;
	/* %Z is whatever TZ says. */
	markup_text(out, text, strftime(text, sizeof(text), format, &local));
}

void markup_time(struct buffer *out, int64_t ns)
{
	markup_time_as(out, ns, "%Y-%m-%d %H:%M:%S");
}
