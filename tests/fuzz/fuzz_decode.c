/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Any bytes as a stream, from the records to the output. The first byte chooses the
 * format, the second the width of the terminal. What comes out must be lines of
 * clean UTF-8, one for each event, JSON must be JSON, and none longer than it may be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/escape.h"
#include "format/format.h"
#include "model/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct room {
	const struct format_ops *ops;
	struct format *format;
	struct buffer out;
	const struct wire_event *observed; /* the newest one */
	size_t line_most;		   /* 0: any */
	bool color;
};

/* What must not happen: a crash is what the fuzzer looks for. */
static void expect(bool holds)
{
	if (!holds)
		abort();
}

static void check_clean(const struct room *room)
{
	const struct buffer *out = &room->out;

	for (size_t at = 0; at < out->length;) {
		uint32_t character = 0;
		size_t taken = utf8_length(out->data + at, out->length - at, &character);

		expect(taken);
		expect(character >= 0x20 || character == '\n' ||
		       (room->color && character == 0x1b));
		expect(character < 0x7f || character > 0x9f);
		expect(character != 0x2028 && character != 0x2029 && character != 0x202e);
		at += taken;
	}
}

/* Reads one JSON value and returns what is behind it. */
static const char *json_value(const char *at, const char *end)
{
	char close;

	expect(at < end);
	if (*at == '"') {
		for (at++; expect(at < end), *at != '"'; at++)
			if (*at == '\\')
				at += at[1] == 'u' ? 5 : 1;
		return at + 1;
	}
	if (*at != '{' && *at != '[') {
		const char *start = at;

		while (at < end && strchr("-0123456789truefalsn", *at))
			at++;
		expect(at > start);
		return at;
	}
	close = *at == '{' ? '}' : ']';
	if (at[1] == close)
		return at + 2;
	do {
		at++;
		if (close == '}') {
			expect(*at == '"');
			at = json_value(at, end);
			expect(at < end && *at++ == ':');
		}
		at = json_value(at, end);
	} while (expect(at < end), *at == ',');
	expect(*at == close);
	return at + 1;
}

static int observe(void *context, const struct wire_event *record)
{
	struct room *room = context;

	expect(record->header.type >= WIRE_CALL && record->header.type <= WIRE_SEED);
	expect(record->family == 4 || record->family == 6);
	expect(record->header.type != WIRE_SEED || (record->socket && record->local_port));
	room->observed = record;
	return 0;
}

static void check_blockers(const struct event *event)
{
	expect(event->blocker_count <= EVENT_BLOCKERS &&
	       event->blocker_count <= event->blocker_total);
	expect(!event->blockers == !event->blocker_count);
	expect(!event->blockers || event->socket->header.type == WIRE_CALL);
	for (unsigned int i = 0; i < event->blocker_count; i++)
		expect(event->blockers[i].local_port && event->blockers[i].state &&
		       memchr(event->blockers[i].comm, 0, WIRE_COMM));
}

static int render(void *context, const struct event *event)
{
	struct room *room = context;
	const struct buffer *out = &room->out;

	expect(!event->socket || event->socket == room->observed);
	check_blockers(event);
	buffer_reset(&room->out);
	room->ops->event(room->format, event, &room->out);
	check_clean(room);
	if (out->length)
		expect(memchr(out->data, '\n', out->length) == out->data + out->length - 1);
	if (room->line_most)
		expect(out->length <= room->line_most);
	if (out->length && room->ops != &format_csv && room->ops != &format_table)
		expect(json_value(out->data, out->data + out->length) ==
		       out->data + out->length - 1);
	return 0;
}

static void feed(struct decoder *decoder, const uint8_t *data, size_t size)
{
	const char *why;

	while (size) {
		struct wire_header header = {0};
		size_t length = size;
		void *record;
		int result;

		if (size >= sizeof(header)) {
			memcpy(&header, data, sizeof(header));
			if (header.size >= sizeof(header) && header.size <= size)
				length = header.size;
		}
		/* from memory that ends where the record does */
		record = malloc(length);
		expect(record);
		memcpy(record, data, length);
		why = NULL;
		result = decoder_record(decoder, record, length, &why);
		expect(!result || (result == -EBADMSG && why));
		free(record);
		data += length;
		size -= length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct format_ops *const formats[] = {
		&format_json, &format_csv, &format_table,	&format_otlp,
		&format_ocsf, &format_row, &format_otlp_record,
	};
	struct room room = {0};
	struct format_options options = {0};
	struct decoder_totals totals;
	struct decoder *decoder;

	if (size < 2)
		return 0;
	room.ops = formats[(data[0] & 0x1f) % (sizeof(formats) / sizeof(formats[0]))];
	room.color = options.color = data[0] & 0x80;
	options.line_most = data[0] & 0x40 ? FORMAT_LINE : 0;
	options.no_args = data[0] & 0x20;
	room.line_most = room.ops == &format_table ? 0 : options.line_most;
	options.width = data[1];
	room.format = room.ops->open(&options);
	decoder = decoder_new(render, observe, &room);
	expect(room.format && decoder);
	room.ops->begin(room.format, &room.out);
	check_clean(&room);
	feed(decoder, data + 2, size - 2);
	decoder_totals(decoder, &totals);
	room.ops->close(room.format);
	decoder_free(decoder);
	buffer_free(&room.out);
	return 0;
}
