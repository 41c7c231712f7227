/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/syslog_head.h"

#include "model/text.h"

#define FACILITY_DAEMON 3

/* Microseconds are the most that it may have. */
static void time_append(struct buffer *out, int64_t ns)
{
	uint32_t rest;
	int64_t second = text_split(ns, &rest);
	char text[TEXT_SECOND + 6 + 2], *end = text_second(text, second);

	end = text_digits(end, rest / 1000, 6);
	*end++ = 'Z';
	*end++ = ' ';
	buffer_append(out, text, (size_t)(end - text));
}

/* Printable ASCII without a space; "-" if there is nothing. */
static void name_append(struct buffer *out, const char *name, size_t most)
{
	size_t length = strnlen(name, most);

	for (size_t i = 0; i < length; i++)
		buffer_byte(out, name[i] > ' ' && name[i] < '\x7f' ? name[i] : '?');
	if (!length)
		buffer_byte(out, '-');
	buffer_byte(out, ' ');
}

void syslog_head(const struct event *event, struct buffer *out)
{
	const struct wire_stream_start *start = &event->stream->start;
	char stream[16];

	text_hex(stream, start->id, sizeof(stream));
	buffer_byte(out, '<');
	buffer_unsigned(out, FACILITY_DAEMON * 8 + event_severity(event));
	buffer_text(out, ">1 ");
	time_append(out, event->wall_time);
	name_append(out, start->host, sizeof(start->host));
	buffer_text(out, "portsnoop ");
	buffer_append(out, stream, sizeof(stream));
	buffer_byte(out, ' ');
	buffer_text(out, event_action_name(event->action));
	buffer_text(out, " - ");
}
