/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "format/json_value.h"

#include "lib/escape.h"

#define ELLIPSIS "\xe2\x80\xa6"

void json_token_write(struct buffer *out, const char *token)
{
	size_t length = strlen(token);
	char *to;

	if (!buffer_room(out, length + 2))
		return;
	to = out->data + out->length;
	*to++ = '"';
	memcpy(to, token, length);
	to[length] = '"';
	out->length += length + 2;
}

void json_string_write(struct buffer *out, const char *bytes, size_t length)
{
	buffer_byte(out, '"');
	escape_json(out, bytes, length);
	buffer_byte(out, '"');
}

/* What a text may take that has `taken` bytes around it. */
static size_t most_inside(size_t most, size_t taken)
{
	return most > taken ? most - taken : 0;
}

void json_string_cut(struct buffer *out, const char *bytes, size_t length, size_t most)
{
	size_t start = out->length + 1;

	buffer_byte(out, '"');
	escape_json(out, bytes, length);
	cut_json(out, start, most_inside(most, 2));
	buffer_byte(out, '"');
}

/* The last text of a list that goes on: it says so. */
static void string_end(struct buffer *out, const char *bytes, size_t length, size_t most)
{
	size_t start = out->length + 1, taken;

	buffer_byte(out, '"');
	escape_json(out, bytes, length);
	taken = out->length - start;
	if (taken + CUT_ELLIPSIS <= most)
		buffer_text(out, ELLIPSIS);
	else
		cut_json(out, start, taken <= most ? taken - 1 : most);
	buffer_byte(out, '"');
}

/* A text stays whole as long as there is room behind it for one that says that some are
 * missing. */
void json_texts_cut(struct buffer *out, const struct json_list *list, const char *bytes,
		    size_t length, size_t most)
{
	const size_t around = strlen(list->before) + 2 + strlen(list->after) + strlen(list->close);
	const char *end = bytes + length;
	size_t start = out->length;

	buffer_text(out, list->open);
	while (bytes < end && !out->failed) {
		size_t part = strnlen(bytes, (size_t)(end - bytes)), before = out->length;
		bool last = bytes + part + 1 >= end;

		buffer_text(out, list->before);
		json_string_write(out, bytes, part);
		buffer_text(out, list->after);
		if (out->length - start + (last ? strlen(list->close) : 1 + around + CUT_ELLIPSIS) >
		    most) {
			out->length = before;
			buffer_text(out, list->before);
			string_end(out, bytes, part, most_inside(most, before - start + around));
			buffer_text(out, list->after);
			break;
		}
		if (!last)
			buffer_byte(out, ',');
		bytes += part + 1;
	}
	buffer_text(out, list->close);
}

static bool word_is_plain(const char *bytes, size_t length)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_@%+=:,./-";

	for (size_t i = 0; i < length; i++)
		if (!memchr(plain, bytes[i], sizeof(plain) - 1) && !(bytes[i] & 0x80))
			return false;
	return length;
}

static void word_write(struct buffer *out, const char *bytes, size_t length)
{
	const char *end = bytes + length;

	if (word_is_plain(bytes, length)) {
		escape_json(out, bytes, length);
		return;
	}
	buffer_byte(out, '\'');
	while (bytes < end) {
		const char *quote = memchr(bytes, '\'', (size_t)(end - bytes));

		escape_json(out, bytes, (size_t)((quote ? quote : end) - bytes));
		if (!quote)
			break;
		buffer_text(out, "'\\\\''");
		bytes = quote + 1;
	}
	buffer_byte(out, '\'');
}

void json_command_cut(struct buffer *out, const char *bytes, size_t length, size_t most)
{
	const char *end = bytes + length;
	size_t start = out->length + 1;

	buffer_byte(out, '"');
	while (bytes < end) {
		size_t part = strnlen(bytes, (size_t)(end - bytes));

		word_write(out, bytes, part);
		bytes += part + 1;
		if (bytes < end)
			buffer_byte(out, ' ');
	}
	cut_json(out, start, most_inside(most, 2));
	buffer_byte(out, '"');
}

void json_texts_write(struct buffer *out, const char *bytes, size_t length)
{
	static const struct json_list array = {"[", "]", "", ""};

	json_texts_cut(out, &array, bytes, length, SIZE_MAX);
}

void json_tokens_write(struct buffer *out, const struct value *value)
{
	buffer_byte(out, '[');
	for (unsigned int i = 0; i < value->tokens.count; i++) {
		if (i)
			buffer_byte(out, ',');
		json_token_write(out, value->tokens.token[i]);
	}
	buffer_byte(out, ']');
}

unsigned int path_shared(const char *a, const char *b)
{
	unsigned int shared = 0;

	for (; *a && *a == *b; a++, b++)
		if (*a == '.')
			shared++;
	return shared;
}

/* Ends what the member `before` leaves open, NULL: it is the first one. */
static void member_key(struct buffer *out, const char *path, const char *before)
{
	const char *dot = strchr(path, '.'), *dot_before = before ? strchr(before, '.') : NULL;
	bool same = dot && dot_before && path_shared(path, before);

	if (dot_before && !same)
		buffer_byte(out, '}');
	if (before)
		buffer_byte(out, ',');
	buffer_byte(out, '"');
	if (dot && !same) {
		buffer_append(out, path, (size_t)(dot - path));
		buffer_append(out, "\":{\"", 4);
	}
	buffer_text(out, dot ? dot + 1 : path);
	buffer_append(out, "\":", 2);
}

static void object_write(struct second_cache *cache, struct buffer *out, const struct value *value,
			 unsigned int index)
{
	const struct object_list *list = value->objects.list;
	const char *before = NULL;
	struct field_scratch scratch;

	buffer_byte(out, '{');
	for (unsigned int i = 0; i < list->member_count; i++) {
		const struct member *member = &list->members[i];
		struct value part = member->get(value->objects.event, index, &scratch);

		if (part.kind == VALUE_ABSENT)
			continue;
		member_key(out, member->path, before);
		before = member->path;
		value_json(out, &part, cache);
	}
	if (before && strchr(before, '.'))
		buffer_byte(out, '}');
	buffer_byte(out, '}');
}

void json_objects_write(struct second_cache *cache, struct buffer *out, const struct value *value)
{
	unsigned int count = value->objects.list->count(value->objects.event);

	buffer_byte(out, '[');
	for (unsigned int i = 0; i < count; i++) {
		if (i)
			buffer_byte(out, ',');
		object_write(cache, out, value, i);
	}
	buffer_byte(out, ']');
}

void value_json(struct buffer *out, const struct value *value, struct second_cache *cache)
{
	if (!buffer_room(out, JSON_VALUE_ROOM))
		return;
	out->length = (size_t)(json_value_put(cache, out->data + out->length, value) - out->data);
	json_value_write(cache, out, value);
}
