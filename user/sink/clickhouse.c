/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rows into a table of ClickHouse. A batch is one INSERT: all of it is there, or nothing.
 * What comes again is known by a token where the engine can (a batch that is the same), and
 * else by its id when parts merge: tools/fleet.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "sink/clickhouse_http.h"
#include "sink/sink_http.h"

#define CODE_TOO_LARGE 413

/*
 * Settings of an INSERT, and the server that brought them: an older one refuses a request
 * with a setting that it does not know. So the newest ones are left out until it agrees.
 */
static const char *const settings[] = {
	"async_insert=1&wait_for_async_insert=1", /* 21.11: it joins what many hosts send */
	"insert_deduplication_token=",		  /* 22.2 */
	"async_insert_deduplicate=1",		  /* 22.12 */
};
#define SETTINGS (sizeof(settings) / sizeof(settings[0]))
#define TOKEN 1

struct clickhouse {
	struct http *http;
	struct http_answer answer;
	struct buffer url, body;
	size_t statement; /* bytes of `body` before the rows */
	size_t agreed;	  /* settings that the server knows */
};

static void statement_make(struct buffer *body, const char *table)
{
	const char *comma = " (";

	buffer_text(body, "INSERT INTO ");
	clickhouse_table(body, table);
	for (unsigned int i = 0; i < field_count; i++) {
		if (!field_table[i].sql)
			continue;
		buffer_printf(body, "%s`%s`", comma, field_table[i].sql);
		comma = ", ";
	}
	buffer_text(body, ") FORMAT JSONEachRow\n");
}

static void clickhouse_free(struct sink *sink)
{
	struct clickhouse *clickhouse = sink->state;

	if (!clickhouse)
		return;
	http_free(clickhouse->http);
	http_answer_free(&clickhouse->answer);
	buffer_free(&clickhouse->url);
	buffer_free(&clickhouse->body);
	free(clickhouse);
	sink->state = NULL;
}

static int clickhouse_prepare(struct sink *sink)
{
	struct clickhouse *clickhouse = calloc(1, sizeof(*clickhouse));

	if (!clickhouse)
		return sink_fail(sink, -ENOMEM, "no memory");
	sink->state = clickhouse;
	statement_make(&clickhouse->body, sink->spec->table);
	clickhouse->statement = clickhouse->body.length;
	if (clickhouse->body.failed)
		return sink_fail(sink, -ENOMEM, "no memory");
	return sink_http_new(sink, clickhouse_http_new, &clickhouse->http);
}

static int clickhouse_open(struct sink *sink)
{
	struct clickhouse *clickhouse = sink->state;

	/* it may be another server by now */
	clickhouse->agreed = SETTINGS;
	return 0;
}

/* NULL without memory. */
static const char *url_make(struct clickhouse *clickhouse, const char *url,
			    const struct frame *frames, size_t count)
{
	const struct frame *last = &frames[count - 1];
	struct buffer *out = &clickhouse->url;
	char separator = '?';

	buffer_reset(out);
	buffer_text(out, url);
	for (size_t i = 0; i < SETTINGS && i < clickhouse->agreed; i++) {
		buffer_byte(out, separator);
		buffer_text(out, settings[i]);
		separator = '&';
		if (i == TOKEN)
			buffer_printf(out,
				      "%016" PRIx64 "-%" PRIu64 "_%016" PRIx64 "-%" PRIu64 "_%zu",
				      frames->stream, frames->sequence, last->stream,
				      last->sequence, count);
	}
	buffer_byte(out, '\0');
	return out->failed ? NULL : out->data;
}

static ssize_t clickhouse_send(struct sink *sink, const struct frame *frames, size_t *count)
{
	struct clickhouse *clickhouse = sink->state;
	struct buffer *body = &clickhouse->body;
	const char *url;
	unsigned int code;
	int error;

	body->length = clickhouse->statement;
	for (size_t i = 0; i < *count; i++)
		buffer_append(body, frames[i].bytes, frames[i].size);
	for (;;) {
		url = url_make(clickhouse, sink->spec->url, frames, *count);
		if (body->failed || !url) {
			body->failed = false;
			return sink_fail(sink, -ENOMEM, "no memory");
		}
		error = http_post(clickhouse->http, url, "text/plain; charset=UTF-8", body->data,
				  body->length, &clickhouse->answer, sink->why, sizeof(sink->why));
		if (error)
			return error;
		if (!clickhouse_failed(&clickhouse->answer, &code, sink->why, sizeof(sink->why)))
			return (ssize_t)*count;
		if (!clickhouse->agreed ||
		    (code != CLICKHOUSE_UNKNOWN_SETTING && code != CLICKHOUSE_SETTING_REFUSED))
			break;
		clickhouse->agreed--;
	}
	if (clickhouse_refuses_rows(code) || clickhouse->answer.status == CODE_TOO_LARGE)
		return -EBADMSG;
	return -EREMOTEIO;
}

static void clickhouse_close(struct sink *sink)
{
	(void)sink;
}

const struct sink_ops sink_clickhouse = {
	.prepare = clickhouse_prepare,
	.open = clickhouse_open,
	.send = clickhouse_send,
	.close = clickhouse_close,
	.free = clickhouse_free,
	.linger_ms = 1000,
};
