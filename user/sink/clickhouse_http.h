/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What there is to know of ClickHouse's HTTP interface to write to it and to ask it. */
#ifndef PORTSNOOP_SINK_CLICKHOUSE_HTTP_H
#define PORTSNOOP_SINK_CLICKHOUSE_HTTP_H

#include "sink/http.h"

/* The server's codes that somebody has to act on. */
enum clickhouse_code {
	CLICKHOUSE_NO_CODE = 0, /* somebody else has answered */
	CLICKHOUSE_NO_SUCH_COLUMN = 16,
	CLICKHOUSE_UNKNOWN_IDENTIFIER = 47,
	CLICKHOUSE_UNKNOWN_TABLE = 60,
	CLICKHOUSE_UNKNOWN_DATABASE = 81,
	CLICKHOUSE_UNKNOWN_SETTING = 115,
	CLICKHOUSE_SETTING_REFUSED = 452,
};

/* As http_new(); `user` and `password` go as headers of ClickHouse's own, never in the URL. */
int clickhouse_http_new(const struct http_options *options, struct http **http, char *why,
			size_t size);

/* DATABASE.TABLE or TABLE of a specification, quoted. */
void clickhouse_table(struct buffer *out, const char *table);

/*
 * False: it was done. Else `code` is the server's, and `why` its text in one line: hostile
 * bytes. Not for an answer with rows in it.
 */
bool clickhouse_failed(const struct http_answer *answer, unsigned int *code, char *why,
		       size_t size);

/* Whether it says that the rows are wrong, rather than what they were to go to. */
bool clickhouse_refuses_rows(unsigned int code);

#endif
