/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Logs of OpenTelemetry in the JSON encoding of OTLP 1, where numbers of 64 bits are texts:
 * whole requests, one event in each, or what otlp_request.h makes requests of.
 */
#include <stdlib.h>

#include "format/json_value.h"
#include "format/otlp_request.h"

/* The names of the attributes are those of this version. */
#define SCHEMA_URL "https://opentelemetry.io/schemas/1.45.0"

struct attribute {
	const struct field *field;
	char *key; /* `{"key":"NAME","value":{` */
	size_t key_length;
};

struct format {
	struct second_cache cache;
	bool whole; /* requests, not records */
	size_t line_most;
	const struct stream *stream; /* that `origin` tells of */
	uint64_t stream_id;
	struct buffer origin;
	const struct field *body;
	unsigned int count;
	struct attribute attributes[];
};

static const char *const event_names[EVENT_ACTIONS] = {
	[EVENT_BOUND] = "bind",
	[EVENT_CONNECTED] = "connect",
	[EVENT_LISTEN] = "listen",
	[EVENT_AUTOBOUND] = "autobind",
	[EVENT_ESTABLISHED] = "established",
	[EVENT_FAILED] = "failed",
	[EVENT_RELEASED] = "release",
	[EVENT_LOST] = "lost",
	[EVENT_START] = "start",
	[EVENT_END] = "end",
	[EVENT_HEARTBEAT] = "heartbeat",
};

/* As OpenTelemetry's data model has syslog's. */
static const char *const severity_texts[] = {
	[SEVERITY_WARNING] = "13,\"severityText\":\"WARN",
	[SEVERITY_NOTICE] = "10,\"severityText\":\"NOTICE",
	[SEVERITY_INFO] = "9,\"severityText\":\"INFO",
};

/* Of lists of strings. */
static const struct json_list strings = {
	.open = "\"arrayValue\":{\"values\":[",
	.close = "]}",
	.before = "{\"stringValue\":",
	.after = "}",
};

static void otlp_close(struct format *format)
{
	if (!format)
		return;
	for (unsigned int i = 0; i < format->count; i++)
		free(format->attributes[i].key);
	buffer_free(&format->origin);
	free(format);
}

static bool attribute_set(struct attribute *attribute, const struct field *field)
{
	struct buffer key = BUFFER_EMPTY;

	buffer_text(&key, "{\"key\":\"");
	buffer_text(&key, field->otel);
	buffer_text(&key, "\",\"value\":{");
	attribute->field = field;
	attribute->key = key.data;
	attribute->key_length = key.length;
	return !key.failed;
}

static struct format *format_new(const struct format_options *options, bool whole)
{
	struct format *format =
		calloc(1, sizeof(*format) + field_count * sizeof(format->attributes[0]));

	if (!format)
		return NULL;
	format->whole = whole;
	format->line_most = options->line_most;
	for (unsigned int i = 0; i < field_count; i++) {
		const struct field *field = &field_table[i];

		if (!field->otel || !format_shows(options, field))
			continue;
		if (!strcmp(field->otel, "/body"))
			format->body = field;
		if (*field->otel == '/')
			continue;
		if (!attribute_set(&format->attributes[format->count++], field)) {
			otlp_close(format);
			return NULL;
		}
	}
	return format;
}

static struct format *otlp_open(const struct format_options *options)
{
	return format_new(options, true);
}

static struct format *record_open(const struct format_options *options)
{
	return format_new(options, false);
}

static void otlp_begin(struct format *format, struct buffer *out)
{
	(void)format;
	(void)out;
}

static void int_write(struct buffer *out, const char *text, size_t length)
{
	buffer_text(out, "\"intValue\":\"");
	buffer_append(out, text, length);
	buffer_byte(out, '"');
}

static void unsigned_write(struct buffer *out, uint64_t number)
{
	char text[TEXT_UNSIGNED];
	size_t length = (size_t)(text_unsigned(text, number) - text);

	if (number <= INT64_MAX) {
		int_write(out, text, length);
		return;
	}
	/* what their integers have no room for */
	buffer_text(out, "\"stringValue\":");
	json_string_write(out, text, length);
}

static void tokens_write(struct buffer *out, const struct value *value)
{
	buffer_text(out, strings.open);
	for (unsigned int i = 0; i < value->tokens.count; i++) {
		if (i)
			buffer_byte(out, ',');
		buffer_text(out, strings.before);
		json_token_write(out, value->tokens.token[i]);
		buffer_text(out, strings.after);
	}
	buffer_text(out, strings.close);
}

static void range_write(struct buffer *out, const struct value *value)
{
	buffer_text(out, "\"arrayValue\":{\"values\":[{");
	unsigned_write(out, value->range.low);
	buffer_text(out, "},{");
	unsigned_write(out, value->range.high);
	buffer_text(out, "}]}");
}

static void objects_write(struct format *format, struct buffer *out, const struct value *value);

/* AnyValue without its braces. `most`: of a text, see struct cut. */
static void value_write(struct format *format, struct buffer *out, const struct value *value,
			size_t most)
{
	char text[JSON_VALUE_ROOM];

	switch (value->kind) {
	case VALUE_ABSENT:
	case VALUE_NULL:
		break;
	case VALUE_BOOL:
		buffer_text(out, value->truth ? "\"boolValue\":true" : "\"boolValue\":false");
		break;
	case VALUE_UNSIGNED:
	case VALUE_NUMERAL:
		unsigned_write(out, value->number);
		break;
	case VALUE_SIGNED:
		int_write(out, text, (size_t)(text_signed(text, value->integer) - text));
		break;
	case VALUE_ADDRESS:
	case VALUE_TIME:
		buffer_text(out, "\"stringValue\":");
		buffer_append(out, text,
			      (size_t)(json_value_put(&format->cache, text, value) - text));
		break;
	case VALUE_TOKEN:
		buffer_text(out, "\"stringValue\":");
		json_token_write(out, value->token);
		break;
	case VALUE_TEXT:
		buffer_text(out, "\"stringValue\":");
		json_string_cut(out, value->text.bytes, value->text.length, most);
		break;
	case VALUE_TEXTS:
	case VALUE_COMMAND:
		json_texts_cut(out, &strings, value->text.bytes, value->text.length, most);
		break;
	case VALUE_TOKENS:
		tokens_write(out, value);
		break;
	case VALUE_RANGE:
		range_write(out, value);
		break;
	case VALUE_OBJECTS:
		objects_write(format, out, value);
		break;
	}
}

static void object_write(struct format *format, struct buffer *out, const struct value *value,
			 unsigned int index)
{
	const struct object_list *list = value->objects.list;
	struct field_scratch scratch;
	bool comma = false;

	buffer_text(out, "{\"kvlistValue\":{\"values\":[");
	for (unsigned int i = 0; i < list->member_count; i++) {
		const struct member *member = &list->members[i];
		struct value part = member->get(value->objects.event, index, &scratch);

		if (part.kind == VALUE_ABSENT || part.kind == VALUE_NULL)
			continue;
		if (comma)
			buffer_byte(out, ',');
		comma = true;
		buffer_text(out, "{\"key\":\"");
		buffer_text(out, member->path);
		buffer_text(out, "\",\"value\":{");
		value_write(format, out, &part, SIZE_MAX);
		buffer_append(out, "}}", 2);
	}
	buffer_text(out, "]}}");
}

static void objects_write(struct format *format, struct buffer *out, const struct value *value)
{
	unsigned int count = value->objects.list->count(value->objects.event);

	buffer_text(out, strings.open);
	for (unsigned int i = 0; i < count; i++) {
		if (i)
			buffer_byte(out, ',');
		object_write(format, out, value, i);
	}
	buffer_text(out, strings.close);
}

static void string_attribute(struct buffer *out, const char *name, const char *text, size_t size)
{
	buffer_text(out, "{\"key\":\"");
	buffer_text(out, name);
	buffer_text(out, "\",\"value\":{\"stringValue\":");
	json_string_write(out, text, strnlen(text, size));
	buffer_append(out, "}}", 2);
}

/* Resource and scope: the same for all events of a stream. */
static void origin_make(struct format *format, const struct event *event)
{
	const struct wire_stream_start *start = &event->stream->start;
	struct buffer *out = &format->origin;
	char id[16];

	text_hex(id, start->id, sizeof(id));
	buffer_reset(out);
	buffer_text(out, "{\"schemaUrl\":\"" SCHEMA_URL "\",\"resource\":{\"attributes\":[");
	string_attribute(out, "service.name", "portsnoop", SIZE_MAX);
	buffer_byte(out, ',');
	string_attribute(out, "service.version", start->program, sizeof(start->program));
	buffer_byte(out, ',');
	string_attribute(out, "service.instance.id", id, sizeof(id));
	buffer_byte(out, ',');
	string_attribute(out, "host.name", start->host, sizeof(start->host));
	buffer_byte(out, ',');
	string_attribute(out, "portsnoop.stream.boot_id", start->boot_id, sizeof(start->boot_id));
	buffer_text(out, "]},\"scopeLogs\":[{\"scope\":{\"name\":\"portsnoop\",\"version\":");
	json_string_write(out, start->program, strnlen(start->program, sizeof(start->program)));
	buffer_text(out, "}," OTLP_RECORDS);
	format->stream = event->stream;
	format->stream_id = start->id;
}

static void field_write(struct format *format, struct buffer *out, const struct field *field,
			const struct value *value, struct cut *cut)
{
	size_t start = out->length;

	if (!cut || !field->cut) {
		value_write(format, out, value, SIZE_MAX);
		return;
	}
	value_write(format, out, value, cut->most);
	cut_measure(cut, field, out->length - start);
}

static void record_write(struct format *format, struct buffer *out, const struct event *event,
			 struct cut *cut)
{
	struct field_scratch scratch;
	struct value value;
	bool comma = false;
	/* unsigned there; 0 is a time that is not known */
	uint64_t since = event->wall_time < 0 ? 0 : (uint64_t)event->wall_time;
	char time[TEXT_UNSIGNED];
	size_t length = (size_t)(text_unsigned(time, since) - time);

	buffer_text(out, "{\"timeUnixNano\":\"");
	buffer_append(out, time, length);
	buffer_text(out, "\",\"observedTimeUnixNano\":\"");
	buffer_append(out, time, length);
	buffer_text(out, "\",\"severityNumber\":");
	buffer_text(out, severity_texts[event_severity(event)]);
	buffer_text(out, "\",\"eventName\":\"portsnoop.");
	buffer_text(out, event_names[event->action]);
	buffer_text(out, "\",\"body\":{");
	value = field_value(format->body, event, &scratch);
	field_write(format, out, format->body, &value, cut);
	buffer_text(out, "},\"attributes\":[");
	for (unsigned int i = 0; i < format->count; i++) {
		const struct attribute *attribute = &format->attributes[i];

		value = field_value(attribute->field, event, &scratch);
		if (value.kind == VALUE_ABSENT || value.kind == VALUE_NULL)
			continue;
		if (comma)
			buffer_byte(out, ',');
		comma = true;
		buffer_append(out, attribute->key, attribute->key_length);
		field_write(format, out, attribute->field, &value, cut);
		buffer_append(out, "}}", 2);
	}
	buffer_append(out, "]}", 2);
}

static void line_write(struct format *format, const struct event *event, struct buffer *out,
		       struct cut *cut)
{
	if (format->whole)
		buffer_text(out, "{\"resourceLogs\":[");
	buffer_append(out, format->origin.data, format->origin.length);
	record_write(format, out, event, cut);
	buffer_text(out, OTLP_RECORDS_END);
	if (format->whole)
		buffer_text(out, "]}");
	buffer_byte(out, '\n');
}

static void otlp_event(struct format *format, const struct event *event, struct buffer *out)
{
	size_t start = out->length;

	if (format->stream != event->stream || format->stream_id != event->stream->start.id)
		origin_make(format, event);
	if (format->origin.failed) {
		out->failed = true;
		return;
	}
	line_write(format, event, out, NULL);
	cut_check(format, event, out, start, format->line_most, line_write);
}

const struct format_ops format_otlp = {
	.name = "otlp",
	.help = "one request of OpenTelemetry's OTLP in JSON a line, with one log record",
	.fixed = true,
	.open = otlp_open,
	.begin = otlp_begin,
	.event = otlp_event,
	.close = otlp_close,
};

const struct format_ops format_otlp_record = {
	.name = "otlp-record",
	.help = "log records of OpenTelemetry, to be put into a request",
	.fixed = true,
	.open = record_open,
	.begin = otlp_begin,
	.event = otlp_event,
	.close = otlp_close,
};
