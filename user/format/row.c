/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rows of the fleet's table (tools/fleet): one JSON object a line, as ClickHouse's
 * JSONEachRow has it. Every event is a row. What is empty or 0 is left out: the engine puts
 * it there. Several things in one column are a text, in JSON.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/escape.h"
#include "format/format.h"
#include "format/json_value.h"

#define KEY_MAX 32
#define TEXT_LEAST 16 /* of a text that is cut */
#define ELLIPSIS "\xe2\x80\xa6"

struct column {
	struct value (*get)(const struct event *event, struct field_scratch *scratch);
	uint16_t actions;
	bool cut; /* where the row is too long */
	uint8_t key_length;
	char key[KEY_MAX]; /* `,"pid":` */
};

struct format {
	struct second_cache cache;
	struct buffer text, cut; /* of a value */
	size_t line_most;
	unsigned int count;
	struct column columns[];
};

static struct format *row_open(const struct format_options *options)
{
	size_t columns = field_count * sizeof(struct column);
	struct format *format = calloc(1, sizeof(*format) + columns);

	if (!format)
		return NULL;
	format->line_most = options->line_most ? options->line_most : SIZE_MAX;
	for (unsigned int i = 0; i < field_count; i++) {
		const struct field *field = &field_table[i];
		struct column *column = &format->columns[format->count];

		if (!field->sql || !format_shows(options, field))
			continue;
		column->get = field->get;
		column->actions = field->actions;
		column->cut = field->cut;
		column->key_length =
			(uint8_t)snprintf(column->key, sizeof(column->key), ",\"%s\":", field->sql);
		format->count++;
	}
	return format;
}

static void row_begin(struct format *format, struct buffer *out)
{
	(void)format;
	(void)out;
}

/* The first `most` bytes of a text, or of a list's texts, and an ellipsis. */
static void value_cut(struct buffer *cut, struct value *value, size_t most)
{
	const char *bytes = value->text.bytes;

	if ((value->kind != VALUE_TEXT && value->kind != VALUE_TEXTS) || value->text.length <= most)
		return;
	while (most && (bytes[most] & 0xc0) == 0x80)
		most--;
	buffer_reset(cut);
	buffer_append(cut, bytes, most);
	buffer_text(cut, ELLIPSIS);
	if (value->kind == VALUE_TEXTS)
		buffer_byte(cut, '\0');
	if (!cut->failed) {
		value->text.bytes = cut->data;
		value->text.length = cut->length;
	}
}

static void value_write_json(struct format *format, const struct value *value, struct buffer *out)
{
	if (!buffer_room(out, JSON_VALUE_ROOM))
		return;
	out->length = (size_t)(json_value_put(&format->cache, out->data + out->length, value) -
			       out->data);
	json_value_write(&format->cache, out, value);
}

static void json_text_write(struct format *format, const struct value *value, struct buffer *out)
{
	buffer_reset(&format->text);
	value_write_json(format, value, &format->text);
	out->failed |= format->text.failed;
	buffer_byte(out, '"');
	escape_json(out, format->text.data, format->text.length);
	buffer_byte(out, '"');
}

static void value_write(struct format *format, const struct value *value, struct buffer *out)
{
	switch (value->kind) {
	case VALUE_BOOL:
		buffer_byte(out, value->truth ? '1' : '0');
		break;
	case VALUE_UNSIGNED:
	case VALUE_NUMERAL:
		buffer_unsigned(out, value->number);
		break;
	case VALUE_SIGNED:
	case VALUE_TIME: /* none before 1970 */
		buffer_unsigned(out, value->integer > 0 ? (uint64_t)value->integer : 0);
		break;
	case VALUE_TEXTS:
	case VALUE_TOKENS:
	case VALUE_RANGE:
	case VALUE_OBJECTS:
		json_text_write(format, value, out);
		break;
	default:
		value_write_json(format, value, out);
		break;
	}
}

static bool value_is_empty(const struct value *value)
{
	switch (value->kind) {
	case VALUE_ABSENT:
	case VALUE_NULL:
		return true;
	case VALUE_BOOL:
		return !value->truth;
	case VALUE_UNSIGNED:
	case VALUE_NUMERAL:
		return !value->number;
	default:
		return false;
	}
}

static void row_write(struct format *format, const struct event *event, size_t most,
		      struct buffer *out)
{
	struct field_scratch scratch;
	size_t start = out->length;

	for (unsigned int i = 0; i < format->count; i++) {
		const struct column *column = &format->columns[i];
		struct value value;

		if (!(column->actions >> event->action & 1))
			continue;
		value = column->get(event, &scratch);
		if (value_is_empty(&value))
			continue;
		if (column->cut)
			value_cut(&format->cut, &value, most);
		buffer_append(out, column->key, column->key_length);
		value_write(format, &value, out);
	}
	buffer_append(out, "}\n", 2);
	if (!out->failed)
		out->data[start] = '{'; /* in place of the first key's comma */
}

static void row_event(struct format *format, const struct event *event, struct buffer *out)
{
	size_t start = out->length, most = SIZE_MAX;

	row_write(format, event, most, out);
	for (most = format->line_most / 8; most >= TEXT_LEAST; most /= 2) {
		if (out->failed || out->length - start <= format->line_most)
			return;
		out->length = start;
		row_write(format, event, most, out);
	}
}

static void row_close(struct format *format)
{
	if (!format)
		return;
	buffer_free(&format->text);
	buffer_free(&format->cut);
	free(format);
}

const struct format_ops format_row = {
	.name = "row",
	.help = "rows of the fleet's table",
	.open = row_open,
	.begin = row_begin,
	.event = row_event,
	.close = row_close,
};
