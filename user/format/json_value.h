/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Values of fields in JSON. */
#ifndef PORTSNOOP_JSON_VALUE_H
#define PORTSNOOP_JSON_VALUE_H

#include "format/cut.h"
#include "format/plain.h"

/* Most that json_value_put() writes: an address, or a time, in quotes. */
#define JSON_VALUE_ROOM 64

/* Inlined where every field of every event passes: a call each was a tenth of the time. */
#define HOT static inline __attribute__((always_inline))

HOT char *json_put(char *to, const char *text, size_t length)
{
	memcpy(to, text, length);
	return to + length;
}

/* Values of a known greatest size, at `to` in room that has been made for them: nothing for
 * the others, which are json_value_write()'s. */
HOT char *json_value_put(struct second_cache *cache, char *to, const struct value *value)
{
	switch (value->kind) {
	case VALUE_NULL:
		return json_put(to, "null", 4);
	case VALUE_BOOL:
		return value->truth ? json_put(to, "true", 4) : json_put(to, "false", 5);
	case VALUE_UNSIGNED:
		return text_unsigned(to, value->number);
	case VALUE_SIGNED:
		return text_signed(to, value->integer);
	case VALUE_NUMERAL:
		*to++ = '"';
		to = text_unsigned(to, value->number);
		*to++ = '"';
		return to;
	case VALUE_ADDRESS:
		*to++ = '"';
		to = text_address(to, value->address.bytes, value->address.family);
		*to++ = '"';
		return to;
	case VALUE_TIME:
		*to++ = '"';
		to = second_cache_time(cache, to, value->integer);
		*to++ = '"';
		return to;
	case VALUE_RANGE:
		*to++ = '[';
		to = text_unsigned(to, value->range.low);
		*to++ = ',';
		to = text_unsigned(to, value->range.high);
		*to++ = ']';
		return to;
	default:
		return to;
	}
}

void json_token_write(struct buffer *out, const char *token);
void json_string_write(struct buffer *out, const char *bytes, size_t length);

/* What stands around a list and around each text of it. */
struct json_list {
	const char *open, *close;
	const char *before, *after;
};

/* `most`: bytes that it may take, as of struct cut; SIZE_MAX: any. */
void json_string_cut(struct buffer *out, const char *bytes, size_t length, size_t most);
void json_texts_cut(struct buffer *out, const struct json_list *list, const char *bytes,
		    size_t length, size_t most);
/* As one text, quoted as a shell wants it. */
void json_command_cut(struct buffer *out, const char *bytes, size_t length, size_t most);

void json_texts_write(struct buffer *out, const char *bytes, size_t length);
void json_tokens_write(struct buffer *out, const struct value *value);
void json_objects_write(struct second_cache *cache, struct buffer *out, const struct value *value);

/* How many of the objects that stand above `a` are above `b` as well. */
unsigned int path_shared(const char *a, const char *b);

HOT void json_value_write(struct second_cache *cache, struct buffer *out, const struct value *value)
{
	switch (value->kind) {
	case VALUE_TOKEN:
		json_token_write(out, value->token);
		break;
	case VALUE_TEXT:
		json_string_write(out, value->text.bytes, value->text.length);
		break;
	case VALUE_TEXTS:
		json_texts_write(out, value->text.bytes, value->text.length);
		break;
	case VALUE_COMMAND:
		json_command_cut(out, value->text.bytes, value->text.length, SIZE_MAX);
		break;
	case VALUE_TOKENS:
		json_tokens_write(out, value);
		break;
	case VALUE_OBJECTS:
		json_objects_write(cache, out, value);
		break;
	default:
		break;
	}
}

/* Of whatever kind; nothing for what is absent. */
void value_json(struct buffer *out, const struct value *value, struct second_cache *cache);

#endif
