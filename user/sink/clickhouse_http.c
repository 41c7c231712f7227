/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/clickhouse_http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "sink/header_file.h"

static bool header_make(char **header, const char *name, const char *value)
{
	*header = NULL;
	/* libcurl leaves a header without a value out */
	if (!value || !*value)
		return true;
	if (asprintf(header, "%s: %s", name, value) >= 0)
		return true;
	*header = NULL;
	return false;
}

int clickhouse_http_new(const struct http_options *options, struct http **http, char *why,
			size_t size)
{
	CLEANUP_FREE char *user = NULL;
	CLEANUP_FREE char *password = NULL;
	const char *headers[HEADER_FILE_MOST + 3];
	struct http_options own = *options;
	size_t count = 0;

	while (options->headers && options->headers[count] && count < HEADER_FILE_MOST) {
		headers[count] = options->headers[count];
		count++;
	}
	if (!header_make(&user, "X-ClickHouse-User", options->user) ||
	    !header_make(&password, "X-ClickHouse-Key", options->password)) {
		snprintf(why, size, "no memory");
		return -ENOMEM;
	}
	if (user)
		headers[count++] = user;
	if (password)
		headers[count++] = password;
	headers[count] = NULL;
	own.headers = headers;
	own.user = own.password = NULL;
	return http_new(&own, http, why, size);
}

void clickhouse_table(struct buffer *out, const char *table)
{
	buffer_byte(out, '`');
	for (; *table; table++) {
		if (*table == '.')
			buffer_text(out, "`.`");
		else
			buffer_byte(out, *table);
	}
	buffer_byte(out, '`');
}

/* "Code: 60, e.displayText() = DB::Exception: Table ..., e.what() = ..." of old servers, and
 * "Code: 60. DB::Exception: Table ... (UNKNOWN_TABLE) (version 24.3...)" of today's. */
bool clickhouse_failed(const struct http_answer *answer, unsigned int *code, char *why, size_t size)
{
	static const char exception[] = "DB::Exception: ";
	const char *text = answer->body.length ? answer->body.data : "";
	size_t length = answer->body.length;
	const char *newline = memchr(text, '\n', length);
	CLEANUP_FREE char *line = strndup(text, newline ? (size_t)(newline - text) : length);
	char *start, *end;

	*code = CLICKHOUSE_NO_CODE;
	if (!line)
		line = strdup("");
	start = line;
	if (line && sscanf(line, "Code: %u", code) == 1) {
		start = strstr(line, exception);
		start = start ? start + strlen(exception) : line;
		end = strstr(start, ", e.what()");
		if (!end)
			end = strstr(start, " (version ");
		if (end)
			*end = '\0';
	}
	if (*code)
		snprintf(why, size, "the server says (%u): %s", *code, start);
	else
		snprintf(why, size, "HTTP status %u%s%s", answer->status,
			 start && *start ? ": " : "", start ? start : "");
	return answer->status != 200 || *code;
}

bool clickhouse_refuses_rows(unsigned int code)
{
	static const unsigned int codes[] = {
		6,   /* CANNOT_PARSE_TEXT */
		25,  /* CANNOT_PARSE_ESCAPE_SEQUENCE */
		26,  /* CANNOT_PARSE_QUOTED_STRING */
		27,  /* CANNOT_PARSE_INPUT_ASSERTION_FAILED */
		69,  /* ARGUMENT_OUT_OF_BOUND */
		72,  /* CANNOT_PARSE_NUMBER */
		117, /* INCORRECT_DATA */
		130, /* CANNOT_READ_ARRAY_FROM_TEXT */
		131, /* TOO_LARGE_STRING_SIZE */
		349, /* CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN */
		441, /* CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING */
		469, /* VIOLATED_CONSTRAINT */
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i] == code)
			return true;
	return false;
}
