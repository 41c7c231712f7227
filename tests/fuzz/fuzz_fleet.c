/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a server that is called ClickHouse may answer: rows of streams, then of sockets, then of
 * failures, with an empty line between. Whatever comes, what is made of it can be shown, and
 * bytes in other pieces are the same answer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "command/history_view.h"
#include "fleet/fold.h"
#include "fleet/sorter.h"
#include "fleet/streams.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW (INT64_C(1795271527) * 1000000000)

struct asked {
	struct streams streams;
	struct streams_silence silence;
	struct fold *fold;
	struct sorter *sorter;
	unsigned int rows, shown;
	uint64_t sum;
};

static int row_add(void *context, const struct history_row *row)
{
	struct asked *asked = context;

	asked->rows++;
	asked->sum = asked->sum * 31 + (uint64_t)row->time + row->held + row->id;
	check(row->blocked_count <= HISTORY_BLOCKERS && row->host.data);
	check(row->kind == HISTORY_GAP || row->outcome < STORE_OUTCOMES);
	return asked->sorter ? sorter_add(asked->sorter, row) : 0;
}

static bool stream_find(void *context, const struct answer_row *row, struct fold_stream *stream)
{
	const struct asked *asked = context;

	return streams_find(&asked->streams, row, stream);
}

static int socket_take(void *fold, const void *row)
{
	return fold_socket(fold, row);
}

static int failure_take(void *fold, const void *row)
{
	return fold_failure(fold, row);
}

/* The bytes up to an empty line; *data is behind it then. */
static size_t part_take(const char **data, size_t *size)
{
	const char *end = memmem(*data, *size, "\n\n", 2);
	size_t length = end ? (size_t)(end + 1 - *data) : *size;

	*data += end ? length + 1 : length;
	*size -= end ? length + 1 : length;
	return length;
}

static void feed(enum answer_kind kind, answer_taker *take, void *context, const char *bytes,
		 size_t size, size_t piece)
{
	struct answer answer = {.kind = kind, .take = take, .context = context};
	int error = 0;

	for (size_t at = 0; at < size && !error; at += piece)
		error = answer_feed(&answer, bytes + at, size - at < piece ? size - at : piece);
	if (!error)
		error = answer_end(&answer);
	check(!error || error == -EBADMSG);
	answer_free(&answer);
}

static void ask(struct asked *asked, const char *data, size_t size, size_t piece)
{
	const struct fold_options options = {stream_find, row_add, asked, NOW};
	const char *part = data;
	size_t length = part_take(&data, &size);

	asked->streams.now = NOW;
	feed(ANSWER_STREAM, streams_take, &asked->streams, part, length, piece);
	streams_settle(&asked->streams);
	check(!streams_gaps(&asked->streams, INT64_MIN, INT64_MAX, row_add, asked));
	asked->fold = fold_new(&options);
	check(asked->fold);
	part = data;
	length = part_take(&data, &size);
	feed(ANSWER_ROW, socket_take, asked->fold, part, length, piece);
	check(!fold_sockets_end(asked->fold));
	part = data;
	length = part_take(&data, &size);
	feed(ANSWER_ROW, failure_take, asked->fold, part, length, piece);
	fold_free(asked->fold);
	asked->silence = (struct streams_silence){row_add,	asked, INT64_MIN, INT64_MAX, false,
						  BUFFER_EMPTY, 0,     0,	  false};
	feed(ANSWER_BEAT, streams_beat, &asked->silence, data, size, piece);
	buffer_free(&asked->silence.host);
	streams_free(&asked->streams);
}

struct shown {
	struct history_view view;
	const struct history_format *format;
	struct buffer out;
	unsigned int rows;
};

static int row_show(void *context, const struct history_row *row)
{
	struct shown *shown = context;

	buffer_reset(&shown->out);
	shown->format->row(&shown->view, row, &shown->out);
	check(!shown->out.failed && shown->out.length > 1);
	check(shown->out.data[shown->out.length - 1] == '\n');
	for (size_t i = 0; i + 1 < shown->out.length; i++)
		check((unsigned char)shown->out.data[i] >= ' ' ||
		      (shown->format == &history_table && shown->out.data[i] == '\n'));
	shown->rows++;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct history_format *const formats[] = {&history_table, &history_json,
							&history_csv};
	struct asked whole = {.sorter = sorter_new()}, pieces = {0};

	check(whole.sorter);
	ask(&whole, (const char *)data, size, SIZE_MAX / 2);
	ask(&pieces, (const char *)data, size, 7);
	check(whole.rows == pieces.rows && whole.sum == pieces.sum);
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct shown shown = {.view = {.now = NOW, .hosts = true}, .format = formats[i]};

		shown.format->begin(&shown.view, &shown.out);
		check(!sorter_visit(whole.sorter, 0, row_show, &shown));
		check(shown.rows == whole.rows);
		history_view_free(&shown.view);
		buffer_free(&shown.out);
	}
	sorter_free(whole.sorter);
	return 0;
}
