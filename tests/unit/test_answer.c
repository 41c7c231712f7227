/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/answer.h"
#include "store/wanted.h"

static struct answer_beat beat;
static unsigned int beats;
static char texts[4096];

static void text_keep(struct history_text *text, char **at)
{
	memcpy(*at, text->data, text->length);
	text->data = *at;
	*at += text->length;
}

static int beat_take(void *context, const void *row)
{
	char *at = texts;

	beat = *(const struct answer_beat *)row;
	text_keep(&beat.host, &at);
	text_keep(&beat.stream, &at);
	text_keep(&beat.action, &at);
	beats++;
	return *(int *)context;
}

/* In pieces of `piece` bytes. */
static int read_all(const char *bytes, size_t size, size_t piece)
{
	int result = 0;
	struct answer answer = {.kind = ANSWER_BEAT, .take = beat_take, .context = &result};
	int error = 0;

	beats = 0;
	for (size_t at = 0; at < size && !error; at += piece)
		error = answer_feed(&answer, bytes + at, size - at < piece ? size - at : piece);
	if (!error)
		error = answer_end(&answer);
	answer_free(&answer);
	return error;
}

#define READ(bytes, piece) read_all(bytes, sizeof(bytes) - 1, piece)
#define LINE(host) host "\t0123456789abcdef\t1795271527000000000\t7\tlost-events\n"

static void pieces_of_any_size(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 80; piece++) {
		assert_int_equal(READ(LINE("web1") LINE("web2"), piece), 0);
		assert_int_equal(beats, 2);
		assert_true(wanted_text(&beat.host, "web2"));
		assert_true(wanted_text(&beat.action, "lost-events"));
		assert_true(beat.id == 0x0123456789abcdef);
		assert_true(beat.time == 1795271527000000000);
		assert_int_equal(beat.lost, 7);
	}
	assert_int_equal(READ("", 1), 0);
	assert_int_equal(beats, 0);
}

static void escapes(void **state)
{
	static const char meant[] = "a\tb\nc\\d'e\0f\b\f\r";

	(void)state;
	assert_int_equal(READ(LINE("a\\tb\\nc\\\\d\\'e\\0f\\b\\f\\r"), 5), 0);
	assert_int_equal(beat.host.length, sizeof(meant) - 1);
	assert_memory_equal(beat.host.data, meant, sizeof(meant) - 1);
	assert_int_equal(READ(LINE("\xff\xfe\x1b[31m"), 5), 0);
	assert_memory_equal(beat.host.data, "\xff\xfe\x1b[31m", 7);
	assert_int_equal(READ(LINE(""), 5), 0);
	assert_int_equal(beat.host.length, 0);
}

static void what_is_no_answer(void **state)
{
	static const char *const wrong[] = {
		"\n",
		"web1\n",
		"web1\t0123456789abcdef\t1\t7\n",
		"web1\t0123456789abcdef\t1\t7\tx\ty\n",
		"web1\t0123456789abcdef\t\t7\tx\n",
		"web1\t0123456789abcdef\t-1\t7\tx\n",
		"web1\t0123456789abcdef\t+1\t7\tx\n",
		"web1\t0123456789abcdef\t1.5\t7\tx\n",
		"web1\t0123456789abcdef\t18446744073709551616\t7\tx\n",
		"web1\t0123456789abcdef\t9000000000000000000\t7\tx\n", /* beyond all times */
		"web1\t0123456789abcdef\t1\t\\N\tx\n",
		"we\\b1\t0123456789abcdef\t1\t7\tx\\\n",
		"we\\q1\t0123456789abcdef\t1\t7\tx\n",
		"web1\t0123456789abcdef\t1\t7\tx", /* cut off */
		"web1\t0123456789abcdef\t1\t7\tx\nCode: 241. DB::Exception: Memory limit\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (read_all(wrong[i], strlen(wrong[i]), 7) != -EBADMSG)
			fail_msg("was taken: %s", wrong[i]);
}

/* An id that is none is somebody else's row: for whoever takes it to see. */
static void streams_that_are_none(void **state)
{
	(void)state;
	assert_int_equal(READ("web1\t0123456789ABCDEF\t1\t7\tx\n", 9), 0);
	assert_true(beat.id == 0);
	assert_int_equal(READ("web1\t012345678\t1\t7\tx\n", 9), 0);
	assert_true(beat.id == 0);
}

static void endless_lines(void **state)
{
	struct answer answer = {.kind = ANSWER_BEAT, .take = beat_take, .context = &beats};
	static char chunk[65536];
	int error = 0;

	(void)state;
	memset(chunk, 'x', sizeof(chunk));
	for (int i = 0; i < 64 && !error; i++)
		error = answer_feed(&answer, chunk, sizeof(chunk));
	assert_int_equal(error, -EBADMSG);
	assert_true(answer.line.length <= ANSWER_LINE + sizeof(chunk));
	answer_free(&answer);
}

static void the_taker_ends_it(void **state)
{
	int result = -ENOSPC;
	struct answer answer = {.kind = ANSWER_BEAT, .take = beat_take, .context = &result};

	(void)state;
	beats = 0;
	assert_int_equal(answer_feed(&answer, LINE("a") LINE("b"), 2 * sizeof(LINE("a")) - 2),
			 -ENOSPC);
	assert_int_equal(beats, 1);
	answer_free(&answer);
}

static size_t words_count(const char *list)
{
	size_t count = 1, depth = 0;

	for (; *list; list++) {
		depth += *list == '(';
		depth -= *list == ')';
		count += *list == ',' && !depth;
	}
	return count;
}

static int row_count(void *context, const void *row)
{
	(void)row;
	++*(unsigned int *)context;
	return 0;
}

/* As many columns are asked for as are read. */
static void columns_agree(void **state)
{
	const char *const lists[] = {answer_row_columns, answer_stream_columns,
				     answer_beat_columns};

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		unsigned int rows = 0;
		struct answer answer = {
			.kind = (enum answer_kind)kind, .take = row_count, .context = &rows};
		size_t columns = words_count(lists[kind]) + (kind == ANSWER_STREAM);

		for (size_t i = 0; i < columns; i++)
			assert_int_equal(answer_feed(&answer, i ? "\t0" : "0", i ? 2 : 1), 0);
		assert_int_equal(answer_feed(&answer, "\n", 1), 0);
		assert_int_equal(rows, 1);
		answer_free(&answer);
	}
}

static void bytes_as_the_table_has_them(void **state)
{
	struct buffer out = BUFFER_EMPTY;

	(void)state;
	answer_plain(&out, "a\xff\xc3\xa4\n\xe2\x82", 7);
	assert_int_equal(out.length, strlen("a\xef\xbf\xbd\xc3\xa4\n\xef\xbf\xbd\xef\xbf\xbd"));
	assert_memory_equal(out.data, "a\xef\xbf\xbd\xc3\xa4\n\xef\xbf\xbd\xef\xbf\xbd",
			    out.length);
	buffer_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_of_any_size), cmocka_unit_test(escapes),
		cmocka_unit_test(what_is_no_answer),  cmocka_unit_test(streams_that_are_none),
		cmocka_unit_test(endless_lines),      cmocka_unit_test(the_taker_ends_it),
		cmocka_unit_test(columns_agree),      cmocka_unit_test(bytes_as_the_table_has_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
