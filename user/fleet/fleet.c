/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "fleet/fleet.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/fold.h"
#include "fleet/question.h"
#include "fleet/sorter.h"
#include "fleet/streams.h"
#include "lib/cleanup.h"
#include "sink/clickhouse_http.h"
#include "sink/header_file.h"
#include "store/wanted.h"

/* The server begins to answer when it has all: an error is one then, and no end of an answer
 * that began well. */
#define PARAMETERS "?wait_end_of_query=1"
#define WEEK (INT64_C(7) * 24 * 3600 * 1000000000)

struct fleet {
	struct fleet_options options;
	struct http *http;
	struct buffer url, body;
	struct buffer texts; /* of `query` */
	struct history_query query;
	struct streams streams;
	struct sorter *sorter; /* what answers `query`; NULL: nothing yet */
	const struct history_query *asked;
	int64_t asked_at;
	uint64_t skipped;
	char why[512];
};

static int fail(struct fleet *fleet, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct fleet *fleet, int error, const char *format, ...)
{
	va_list arguments;
	int length = snprintf(fleet->why, sizeof(fleet->why), "%s: ", fleet->options.spec->name);

	if (length < 0 || (size_t)length >= sizeof(fleet->why))
		length = 0;
	va_start(arguments, format);
	vsnprintf(fleet->why + length, sizeof(fleet->why) - (size_t)length, format, arguments);
	va_end(arguments);
	return error;
}

/* ---- HTTP ---- */

static int answer_take(void *context, const char *bytes, size_t size)
{
	return answer_feed(context, bytes, size);
}

static int answer_judge(struct fleet *fleet, const struct http_answer *answered,
			const struct answer *answer)
{
	const struct sink_spec *spec = fleet->options.spec;
	unsigned int code;
	char words[300];

	if (answered->status == 200 && !answered->body.length)
		return 0;
	clickhouse_failed(answered, &code, words, sizeof(words));
	(void)answer;
	switch (code) {
	case CLICKHOUSE_UNKNOWN_TABLE:
	case CLICKHOUSE_UNKNOWN_DATABASE:
		return fail(fleet, -ENOENT,
			    "there is no table %s: its statements are in the folder fleet of the "
			    "documentation, and ?table= names another one (%s)",
			    spec->table, words);
	case CLICKHOUSE_UNKNOWN_IDENTIFIER:
	case CLICKHOUSE_NO_SUCH_COLUMN:
		return fail(fleet, -EILSEQ, "%s is not a table of portsnoop's events (%s)",
			    spec->table, words);
	default:
		return fail(fleet, -EIO, "%s", words);
	}
}

/* 0, or negative errno, which is said. */
static int ask(struct fleet *fleet, enum answer_kind kind, answer_taker *take, void *context)
{
	CLEANUP(http_answer_free) struct http_answer answered = {0};
	CLEANUP(answer_free)
	struct answer answer = {.kind = kind, .take = take, .context = context};
	char words[300] = "";
	int error;

	if (fleet->body.failed)
		return fail(fleet, -ENOMEM, "out of memory");
	error = http_post_stream(fleet->http, fleet->url.data, "text/plain", fleet->body.data,
				 fleet->body.length, answer_take, &answer, &answered, words,
				 sizeof(words));
	if (!error)
		error = answer_judge(fleet, &answered, &answer);
	else if (error == -ENOMEM)
		return fail(fleet, error, "out of memory");
	else if (!*fleet->why && error != -EBADMSG)
		return fail(fleet, error, "%s", *words ? words : strerror(-error));
	if (!error)
		error = answer_end(&answer);
	if (error == -EBADMSG && !*fleet->why)
		return fail(fleet, error, "line %llu of the answer is no row that was asked for",
			    (unsigned long long)answer.lines + !!answer.line.length);
	return error;
}

static struct question question_of(const struct fleet *fleet)
{
	return (struct question){
		.table = fleet->options.spec->table,
		.query = &fleet->query,
		.hosts = fleet->options.hosts,
	};
}

/* ---- rows ---- */

static bool process_wanted(const struct history_query *query, const struct history_process *process)
{
	if (!query->pid && !query->comm && !query->exe && !query->unit && !query->container)
		return true;
	return process->pid && (!query->pid || process->pid == query->pid) &&
	       wanted_program(query, process);
}

static bool remote_wanted(const struct history_remote *remote, const struct history_row *row)
{
	if (!remote)
		return true;
	return (!remote->port || row->remote_port == remote->port) &&
	       (!remote->family || wanted_address(&row->remote, remote));
}

static bool protocol_wanted(uint16_t wanted, const struct history_row *row)
{
	const char *name = wanted ? protocol_name(wanted) : NULL;

	return !name || wanted_text(&row->protocol, name);
}

static bool row_wanted(const struct history_query *query, const struct history_row *row)
{
	if (row->time > query->until || row->until < query->since)
		return false;
	if (row->kind == HISTORY_GAP)
		return true;
	return (!query->ports || port_set_has(query->ports, row->port)) &&
	       (!query->failed || row->outcome == STORE_FAILED) &&
	       protocol_wanted(query->protocol, row) && process_wanted(query, &row->process) &&
	       remote_wanted(query->remote, row);
}

static int row_take(void *context, const struct history_row *row)
{
	struct fleet *fleet = context;
	int error;

	if (!row_wanted(&fleet->query, row))
		return 0;
	error = sorter_add(fleet->sorter, row);
	return error ? fail(fleet, error, "%s", sorter_why(fleet->sorter)) : 0;
}

static bool stream_find(void *context, const struct answer_row *row, struct fold_stream *stream)
{
	const struct fleet *fleet = context;

	return streams_find(&fleet->streams, row, stream);
}

static int socket_take(void *fold, const void *row)
{
	return fold_socket(fold, row);
}

static int failure_take(void *fold, const void *row)
{
	return fold_failure(fold, row);
}

static void fold_cleanup(struct fold **fold)
{
	fold_free(*fold);
}

static int rows_load(struct fleet *fleet, int64_t now)
{
	const struct fold_options options = {stream_find, row_take, fleet, now};
	CLEANUP(fold_cleanup) struct fold *fold = fold_new(&options);
	const struct question question = question_of(fleet);
	int error;

	if (!fold)
		return fail(fleet, -ENOMEM, "out of memory");
	buffer_reset(&fleet->body);
	question_sockets(&fleet->body, &question);
	error = ask(fleet, ANSWER_ROW, socket_take, fold);
	if (!error)
		error = fold_sockets_end(fold);
	if (error)
		return error;
	buffer_reset(&fleet->body);
	question_failures(&fleet->body, &question);
	error = ask(fleet, ANSWER_ROW, failure_take, fold);
	fleet->skipped += fold_skipped(fold);
	return error;
}

/* ---- gaps ---- */

/* The time whose heartbeats are looked at: that of the question, but not more than its last
 * week. A little more, so that what lies at its ends is seen whole. */
static struct question_window window_of(const struct history_query *query, int64_t now)
{
	struct question_window window = {
		.since = query->since,
		.until = query->until < now ? query->until : now,
		.alive = now - STREAM_SILENCE,
	};

	if (window.since < window.until - WEEK)
		window.since = window.until - WEEK;
	window.since -= 2 * STREAM_SILENCE;
	window.until += 2 * STREAM_SILENCE;
	return window;
}

static int silence_load(struct fleet *fleet, int64_t now, struct stream_name *names)
{
	const struct question_window window = window_of(&fleet->query, now);
	const struct question question = question_of(fleet);
	struct streams_silence silence = {
		.visitor = row_take,
		.context = fleet,
		.since = fleet->query.since,
		.until = fleet->query.until,
	};
	size_t next = 0, count;
	int error = 0;

	do {
		count = streams_suspicious(&fleet->streams, &window, &next, names,
					   QUESTION_STREAMS);
		if (!count)
			break;
		buffer_reset(&fleet->body);
		question_beats(&fleet->body, &question, names, count);
		error = ask(fleet, ANSWER_BEAT, streams_beat, &silence);
	} while (!error && next);
	buffer_free(&silence.host);
	return error;
}

static int gaps_load(struct fleet *fleet, int64_t now, struct stream_name *names)
{
	const struct question question = question_of(fleet);
	struct streams_silence lost = {
		.visitor = row_take,
		.context = fleet,
		.since = fleet->query.since,
		.until = fleet->query.until,
		.lost = true,
	};
	int error = streams_gaps(&fleet->streams, lost.since, lost.until, row_take, fleet);

	if (error)
		return error;
	buffer_reset(&fleet->body);
	question_lost(&fleet->body, &question);
	error = ask(fleet, ANSWER_BEAT, streams_beat, &lost);
	return error ? error : silence_load(fleet, now, names);
}

/* Streams that were killed: when? */
static int lives_load(struct fleet *fleet, const struct question_window *window,
		      struct stream_name *names)
{
	CLEANUP(streams_free) struct streams lives = {0};
	const struct question question = question_of(fleet);
	size_t next = 0, count;
	int error = 0;

	do {
		count = streams_broken(&fleet->streams, window, &next, names, QUESTION_STREAMS);
		if (!count)
			break;
		buffer_reset(&fleet->body);
		question_life(&fleet->body, &question, names, count);
		error = ask(fleet, ANSWER_STREAM, streams_take, &lives);
	} while (!error && next);
	if (!error)
		error = streams_join(&fleet->streams, &lives);
	streams_settle(&fleet->streams);
	return error;
}

static int streams_load(struct fleet *fleet, int64_t now, struct stream_name *names)
{
	const struct question_window window = window_of(&fleet->query, now);
	const struct question question = question_of(fleet);
	int error;

	streams_free(&fleet->streams);
	fleet->streams.now = now;
	fleet->streams.pulse = false;
	buffer_reset(&fleet->body);
	question_streams(&fleet->body, &question);
	error = ask(fleet, ANSWER_STREAM, streams_take, &fleet->streams);
	if (error)
		return error;
	buffer_reset(&fleet->body);
	question_pulse(&fleet->body, &question, &window);
	fleet->streams.pulse = true;
	error = ask(fleet, ANSWER_STREAM, streams_take, &fleet->streams);
	streams_settle(&fleet->streams);
	return error ? error : lives_load(fleet, &window, names);
}

/* ---- questions ---- */

/* What people typed as it would be in the table. */
static void text_adopt(struct fleet *fleet, const char **text)
{
	size_t start = fleet->texts.length;

	if (!*text)
		return;
	answer_plain(&fleet->texts, *text, strlen(*text));
	buffer_byte(&fleet->texts, 0);
	*text = fleet->texts.data + start;
}

static int query_adopt(struct fleet *fleet, const struct history_query *query)
{
	struct history_query *own = &fleet->query;
	const char **texts[] = {&own->comm, &own->exe, &own->unit, &own->container};
	size_t room = 1;

	*own = *query;
	buffer_reset(&fleet->texts);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		room += *texts[i] ? 3 * strlen(*texts[i]) + 1 : 0;
	if (!buffer_room(&fleet->texts, room)) /* so that they do not move */
		return fail(fleet, -ENOMEM, "out of memory");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		text_adopt(fleet, texts[i]);
	return 0;
}

static int question_load(struct fleet *fleet, const struct history_query *query, int64_t now)
{
	CLEANUP_FREE struct stream_name *names = calloc(QUESTION_STREAMS, sizeof(*names));
	int error;

	sorter_free(fleet->sorter);
	fleet->asked = NULL;
	fleet->sorter = sorter_new();
	if (!fleet->sorter || !names)
		return fail(fleet, -ENOMEM, "out of memory");
	error = query_adopt(fleet, query);
	if (!error)
		error = streams_load(fleet, now, names);
	if (!error && query->gaps)
		error = gaps_load(fleet, now, names);
	if (!error)
		error = rows_load(fleet, now);
	if (error)
		return *fleet->why ? error : fail(fleet, error, "%s", strerror(-error));
	fleet->asked = query;
	fleet->asked_at = now;
	return 0;
}

static int fleet_ask(void *state, const struct history_query *query, int64_t now,
		     history_visitor visitor, void *context)
{
	struct fleet *fleet = state;
	int error = 0;

	*fleet->why = 0;
	/* Counted first, then shown: the same rows. */
	if (fleet->asked != query || fleet->asked_at != now)
		error = question_load(fleet, query, now);
	if (error)
		return error;
	error = sorter_visit(fleet->sorter, query->newest, visitor, context);
	if (error && *sorter_why(fleet->sorter))
		fail(fleet, error, "%s", sorter_why(fleet->sorter));
	return error;
}

static const char *fleet_why(const void *state)
{
	const struct fleet *fleet = state;

	return fleet->why;
}

static void fleet_close(void *state)
{
	struct fleet *fleet = state;

	if (!fleet)
		return;
	http_free(fleet->http);
	sorter_free(fleet->sorter);
	streams_free(&fleet->streams);
	buffer_free(&fleet->url);
	buffer_free(&fleet->body);
	buffer_free(&fleet->texts);
	free(fleet);
}

const struct source_ops source_fleet = {
	.ask = fleet_ask,
	.why = fleet_why,
	.close = fleet_close,
};

const char *fleet_host_missing(const void *state, size_t *next)
{
	const struct fleet *fleet = state;
	const struct text_list *hosts = fleet->options.hosts;

	while (hosts && *next < hosts->count) {
		const char *host = hosts->texts[(*next)++];

		if (!question_is_pattern(host) && !streams_have_host(&fleet->streams, host))
			return host;
	}
	return NULL;
}

/* ---- open ---- */

static void fleet_cleanup(struct fleet **fleet)
{
	fleet_close(*fleet);
}

int fleet_open(const struct fleet_options *options, void **state, char *why, size_t size)
{
	CLEANUP(fleet_cleanup) struct fleet *fleet = calloc(1, sizeof(*fleet));
	CLEANUP(cleanup_headers) char **headers = NULL;
	const struct sink_spec *spec = options->spec;
	struct http_options http = {
		.url = spec->url,
		.user = spec->user,
		.password = spec->password,
		.ca = spec->ca,
		.patience_ms = options->patience_ms ? options->patience_ms : FLEET_PATIENCE_MS,
	};
	char words[300] = "";
	int error = 0;

	*why = 0;
	if (!fleet) {
		snprintf(why, size, "out of memory");
		return -ENOMEM;
	}
	fleet->options = *options;
	if (spec->headers)
		error = header_file_read(spec->headers, &headers, words, sizeof(words));
	http.headers = (const char *const *)headers;
	if (!error)
		error = clickhouse_http_new(&http, &fleet->http, words, sizeof(words));
	if (error) {
		snprintf(why, size, "%s: %s", spec->name, words);
		return error;
	}
	buffer_printf(&fleet->url, "%s" PARAMETERS, spec->url);
	buffer_byte(&fleet->url, 0);
	if (fleet->url.failed) {
		snprintf(why, size, "out of memory");
		return -ENOMEM;
	}
	*state = TAKE_POINTER(fleet);
	return 0;
}
