/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "format/plain.h"

#include "lib/escape.h"
#include "model/message.h"

char *second_cache_time(struct second_cache *cache, char *out, int64_t ns)
{
	uint32_t rest;
	int64_t second = text_split(ns, &rest);

	if (!cache->valid || cache->second != second) {
		text_second(cache->text, second);
		cache->second = second;
		cache->valid = true;
	}
	memcpy(out, cache->text, TEXT_SECOND);
	out = text_digits(out + TEXT_SECOND, rest, 9);
	*out++ = 'Z';
	return out;
}

static void texts_plain(struct buffer *out, const char *bytes, size_t length)
{
	const char *end = bytes + length;

	while (bytes < end) {
		size_t part = strnlen(bytes, (size_t)(end - bytes));

		escape_plain(out, bytes, part);
		bytes += part + 1;
		if (bytes < end)
			buffer_byte(out, ' ');
	}
}

void value_plain(struct buffer *out, const struct value *value, struct second_cache *cache)
{
	char text[MESSAGE_MAX];

	_Static_assert(sizeof(text) >= TEXT_TIME && sizeof(text) >= TEXT_ADDRESS, "room for all");
	switch (value->kind) {
	case VALUE_ABSENT:
	case VALUE_NULL:
		break;
	case VALUE_BOOL:
		buffer_text(out, value->truth ? "true" : "false");
		break;
	case VALUE_UNSIGNED:
	case VALUE_NUMERAL:
		buffer_unsigned(out, value->number);
		break;
	case VALUE_SIGNED:
		buffer_signed(out, value->integer);
		break;
	case VALUE_TOKEN:
		buffer_text(out, value->token);
		break;
	case VALUE_TEXT:
		escape_plain(out, value->text.bytes, value->text.length);
		break;
	case VALUE_ADDRESS:
		buffer_append(
			out, text,
			(size_t)(text_address(text, value->address.bytes, value->address.family) -
				 text));
		break;
	case VALUE_TIME:
		buffer_append(out, text,
			      (size_t)(second_cache_time(cache, text, value->integer) - text));
		break;
	case VALUE_TEXTS:
	case VALUE_COMMAND:
		texts_plain(out, value->text.bytes, value->text.length);
		break;
	case VALUE_TOKENS:
		for (unsigned int i = 0; i < value->tokens.count; i++) {
			if (i)
				buffer_byte(out, ' ');
			buffer_text(out, value->tokens.token[i]);
		}
		break;
	case VALUE_RANGE:
		buffer_unsigned(out, value->range.low);
		buffer_byte(out, '-');
		buffer_unsigned(out, value->range.high);
		break;
	case VALUE_OBJECTS:
		escape_plain(out, text, value->objects.list->summary(value->objects.event, text));
		break;
	}
}
