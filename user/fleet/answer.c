/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "fleet/answer.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "lib/escape.h"

enum column_kind { TEXT, NUMBER, STREAM_ID, EVENT_ID };

struct column {
	uint16_t kind;
	uint16_t offset;
	uint64_t most; /* NUMBER */
};

#define COLUMN(type, member, kind_, most_)                                                         \
	{                                                                                          \
		.kind = (kind_), .offset = offsetof(struct type, member), .most = (most_)          \
	}
#define ROW_TEXT(member) COLUMN(answer_row, member, TEXT, 0)
#define ROW_NUMBER(member, most) COLUMN(answer_row, member, NUMBER, most)

const char answer_row_columns[] =
	"time, host, id, action, outcome, error, transport, trigger, origin, claimed, local_ip,"
	" local_port, remote_ip, remote_port, requested_ip, requested_port, pid, comm, exe, args,"
	" parent_pid, parent_comm, entity, uid, user, container, runtime, pod, unit, cgroup,"
	" netns, socket, duration, lingered, time_wait, in_pool, holder_pid, holder_comm,"
	" blocked_by, blocked_by_total, tier";
static const struct column row_columns[] = {
	ROW_NUMBER(time, INT64_MAX / 4),
	ROW_TEXT(host),
	COLUMN(answer_row, id, EVENT_ID, 0),
	ROW_TEXT(action),
	ROW_TEXT(outcome),
	ROW_TEXT(error),
	ROW_TEXT(transport),
	ROW_TEXT(trigger),
	ROW_TEXT(origin),
	ROW_NUMBER(claimed, UINT8_MAX),
	ROW_TEXT(local_ip),
	ROW_NUMBER(local_port, UINT16_MAX),
	ROW_TEXT(remote_ip),
	ROW_NUMBER(remote_port, UINT16_MAX),
	ROW_TEXT(requested_ip),
	ROW_NUMBER(requested_port, UINT16_MAX),
	ROW_NUMBER(pid, UINT32_MAX),
	ROW_TEXT(comm),
	ROW_TEXT(exe),
	ROW_TEXT(args),
	ROW_NUMBER(parent_pid, UINT32_MAX),
	ROW_TEXT(parent_comm),
	ROW_TEXT(entity),
	ROW_NUMBER(uid, UINT32_MAX),
	ROW_TEXT(user),
	ROW_TEXT(container),
	ROW_TEXT(runtime),
	ROW_TEXT(pod),
	ROW_TEXT(unit),
	ROW_TEXT(cgroup),
	ROW_NUMBER(netns, UINT64_MAX),
	ROW_NUMBER(socket, UINT64_MAX),
	ROW_NUMBER(duration, UINT64_MAX),
	ROW_NUMBER(lingered, UINT64_MAX),
	ROW_TEXT(time_wait),
	ROW_NUMBER(in_pool, UINT8_MAX),
	ROW_NUMBER(holder_pid, UINT32_MAX),
	ROW_TEXT(holder_comm),
	ROW_TEXT(blocked_by),
	ROW_NUMBER(blocked_by_total, UINT32_MAX),
	ROW_TEXT(tier),
};

const char answer_stream_columns[] =
	"host, substring(id, 1, 16) AS stream, min(time) AS first, max(time),"
	" minIf(time, action = 'stream-start'), maxIf(time, action = 'stream-end'),"
	" any(tier)";
static const struct column stream_columns[] = {
	COLUMN(answer_stream, host, TEXT, 0),
	COLUMN(answer_stream, stream, STREAM_ID, 0),
	COLUMN(answer_stream, first, NUMBER, INT64_MAX / 4),
	COLUMN(answer_stream, last, NUMBER, INT64_MAX / 4),
	COLUMN(answer_stream, started, NUMBER, INT64_MAX / 4),
	COLUMN(answer_stream, ended, NUMBER, INT64_MAX / 4),
	COLUMN(answer_stream, tier, TEXT, 0),
	COLUMN(answer_stream, holes, NUMBER, UINT64_MAX),
};

const char answer_beat_columns[] = "host, substring(id, 1, 16), time, lost_count, action";
static const struct column beat_columns[] = {
	COLUMN(answer_beat, host, TEXT, 0),
	COLUMN(answer_beat, stream, STREAM_ID, 0),
	COLUMN(answer_beat, time, NUMBER, INT64_MAX / 4),
	COLUMN(answer_beat, lost, NUMBER, UINT64_MAX),
	COLUMN(answer_beat, action, TEXT, 0),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct kind {
	const struct column *columns;
	size_t count;
} kinds[] = {
	[ANSWER_ROW] = {row_columns, COUNT(row_columns)},
	[ANSWER_STREAM] = {stream_columns, COUNT(stream_columns)},
	[ANSWER_BEAT] = {beat_columns, COUNT(beat_columns)},
};

/* ---- fields ---- */

/* In place. False: a backslash before what it never stands before. */
static bool unescape(struct history_text *text, char *at)
{
	static const char escaped[] = "bfnrt0'\\", meant[] = "\b\f\n\r\t\0'\\";
	const char *end = at + text->length, *found;
	char *to = at;

	text->data = at;
	for (; at < end; at++) {
		if (*at != '\\') {
			*to++ = *at;
			continue;
		}
		if (++at == end || !*at)
			return false;
		found = strchr(escaped, *at);
		if (!found)
			return false;
		*to++ = meant[found - escaped];
	}
	text->length = (size_t)(to - text->data);
	return true;
}

static bool number_read(const char *at, size_t length, uint64_t most, uint64_t *number)
{
	*number = 0;
	if (!length)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (at[i] < '0' || at[i] > '9' || __builtin_mul_overflow(*number, 10, number) ||
		    __builtin_add_overflow(*number, (uint64_t)(at[i] - '0'), number))
			return false;
	}
	return *number <= most;
}

/* 16 digits, as they are written. */
static bool stream_read(const char *at, size_t length, uint64_t *id)
{
	*id = 0;
	if (length != 16)
		return false;
	for (size_t i = 0; i < 16; i++) {
		const char *digits = "0123456789abcdef", *found = memchr(digits, at[i], 16);

		if (!found)
			return false;
		*id = *id << 4 | (uint64_t)(found - digits);
	}
	return true;
}

/* "0123456789abcdef-42". What is none is left as 0-0: it may be another program's row. */
static void event_id_read(struct answer_row *row)
{
	const struct history_text *id = &row->id;

	row->stream = row->sequence = 0;
	if (id->length > 17 && id->data[16] == '-' && stream_read(id->data, 16, &row->stream) &&
	    !number_read(id->data + 17, id->length - 17, UINT64_MAX, &row->sequence))
		row->sequence = 0;
}

static bool field_take(const struct column *column, void *row, char *at, size_t length)
{
	void *member = (char *)row + column->offset;
	struct history_text *text = member;

	if (column->kind == NUMBER)
		return number_read(at, length, column->most, member);
	text->length = length;
	if (!unescape(text, at))
		return false;
	if (column->kind == STREAM_ID) {
		struct answer_stream *stream = row;
		struct answer_beat *beat = row;

		/* of both it is the second column */
		_Static_assert(offsetof(struct answer_stream, id) ==
				       offsetof(struct answer_beat, id),
			       "streams and beats begin with the same columns");
		(void)beat;
		if (!stream_read(text->data, text->length, &stream->id))
			stream->id = 0;
	} else if (column->kind == EVENT_ID) {
		event_id_read(row);
	}
	return true;
}

/* ---- lines ---- */

static int line_take(struct answer *answer, char *line, size_t length)
{
	const struct kind *kind = &kinds[answer->kind];
	union {
		struct answer_row row;
		struct answer_stream stream;
		struct answer_beat beat;
	} row = {0};
	char *end = line + length;

	answer->lines++;
	for (size_t i = 0; i < kind->count; i++) {
		bool last = i + 1 == kind->count;
		char *tab = memchr(line, '\t', (size_t)(end - line));

		if (last != !tab)
			return -EBADMSG;
		if (last)
			tab = end;
		if (!field_take(&kind->columns[i], &row, line, (size_t)(tab - line)))
			return -EBADMSG;
		line = tab + 1;
	}
	return answer->take(answer->context, &row);
}

int answer_feed(struct answer *answer, const char *bytes, size_t size)
{
	const char *end = bytes + size, *newline;
	int result;

	while ((newline = memchr(bytes, '\n', (size_t)(end - bytes)))) {
		buffer_append(&answer->line, bytes, (size_t)(newline - bytes));
		bytes = newline + 1;
		if (answer->line.length > ANSWER_LINE)
			return -EBADMSG;
		if (!buffer_room(&answer->line, 1))
			return -ENOMEM;
		result = line_take(answer, answer->line.data, answer->line.length);
		buffer_reset(&answer->line);
		if (result)
			return result;
	}
	buffer_append(&answer->line, bytes, (size_t)(end - bytes));
	if (answer->line.length > ANSWER_LINE)
		return -EBADMSG;
	return answer->line.failed ? -ENOMEM : 0;
}

int answer_end(struct answer *answer)
{
	/* the last line has an end, too */
	return answer->line.length ? -EBADMSG : 0;
}

void answer_free(struct answer *answer)
{
	buffer_free(&answer->line);
}

void answer_plain(struct buffer *out, const char *bytes, size_t length)
{
	uint32_t character;

	while (length) {
		size_t taken = utf8_length(bytes, length, &character);

		if (taken)
			buffer_append(out, bytes, taken);
		else
			buffer_text(out, "\xef\xbf\xbd");
		bytes += taken ? taken : 1;
		length -= taken ? taken : 1;
	}
}
