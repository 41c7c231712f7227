/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "format/value_json.h"

#include "lib/cleanup.h"

static void texts_json(struct json *json, const char *bytes, size_t length)
{
	const char *end = bytes + length;

	json_open(json, '[');
	while (bytes < end) {
		size_t part = strnlen(bytes, (size_t)(end - bytes));

		json_text(json, bytes, part);
		bytes += part + 1;
	}
	json_close(json, ']');
}

/* Members of one inner object stand together, and its path has one dot. */
static void object_json(struct json *json, const struct value *value, unsigned int index,
			struct second_cache *cache)
{
	const struct object_list *list = value->objects.list;
	struct field_scratch scratch;
	char inner[32] = "";

	json_open(json, '{');
	for (unsigned int i = 0; i < list->member_count; i++) {
		const struct member *member = &list->members[i];
		struct value part = member->get(value->objects.event, index, &scratch);
		const char *dot = strchr(member->path, '.');
		size_t length = dot ? (size_t)(dot - member->path) : 0;

		if (part.kind == VALUE_ABSENT || length >= sizeof(inner))
			continue;
		if (*inner && (strlen(inner) != length || memcmp(inner, member->path, length))) {
			json_close(json, '}');
			*inner = '\0';
		}
		if (dot && !*inner) {
			memcpy(inner, member->path, length);
			inner[length] = '\0';
			json_key(json, inner);
			json_open(json, '{');
		}
		json_key(json, dot ? dot + 1 : member->path);
		value_json(json, &part, cache);
	}
	if (*inner)
		json_close(json, '}');
	json_close(json, '}');
}

static void tokens_json(struct json *json, const struct value *value)
{
	json_open(json, '[');
	for (unsigned int i = 0; i < value->tokens.count; i++)
		json_string(json, value->tokens.token[i]);
	json_close(json, ']');
}

static void range_json(struct json *json, const struct value *value)
{
	json_open(json, '[');
	json_unsigned(json, value->range.low);
	json_unsigned(json, value->range.high);
	json_close(json, ']');
}

static void objects_json(struct json *json, const struct value *value, struct second_cache *cache)
{
	unsigned int count = value->objects.list->count(value->objects.event);

	json_open(json, '[');
	for (unsigned int i = 0; i < count; i++)
		object_json(json, value, i, cache);
	json_close(json, ']');
}

void value_json(struct json *json, const struct value *value, struct second_cache *cache)
{
	CLEANUP(buffer_free) struct buffer plain = BUFFER_EMPTY;

	switch (value->kind) {
	case VALUE_ABSENT:
		return;
	case VALUE_NULL:
		json_string(json, NULL);
		return;
	case VALUE_BOOL:
		json_bool(json, value->truth);
		return;
	case VALUE_UNSIGNED:
		json_unsigned(json, value->number);
		return;
	case VALUE_SIGNED:
		json_signed(json, value->integer);
		return;
	case VALUE_TEXT:
		json_text(json, value->text.bytes, value->text.length);
		return;
	case VALUE_TEXTS:
		texts_json(json, value->text.bytes, value->text.length);
		return;
	case VALUE_TOKENS:
		tokens_json(json, value);
		return;
	case VALUE_RANGE:
		range_json(json, value);
		return;
	case VALUE_OBJECTS:
		objects_json(json, value, cache);
		return;
	default:
		break;
	}
	/* The rest is text, and not hostile. */
	value_plain(&plain, value, cache);
	if (plain.failed)
		json->out->failed = true;
	else
		json_text(json, plain.data, plain.length);
}
