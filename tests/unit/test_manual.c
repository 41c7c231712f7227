/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How texts get into a manual page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include "../../tools/manual/completion.h"
#include "../../tools/manual/roff.h"
#include "lib/cleanup.h"

static void escaped_is(const char *text, const char *expected)
{
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	roff_escape(&out, text, strlen(text));
	buffer_byte(&out, '\0');
	assert_string_equal(out.data, expected);
}

static void text_is(const char *text, const char *expected)
{
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	roff_text(&out, text);
	buffer_byte(&out, '\0');
	assert_string_equal(out.data, expected);
}

static void test_characters(void **state)
{
	(void)state;
	escaped_is("--max-size", "\\-\\-max\\-size");
	escaped_is("C:\\new", "C:\\(rsnew");
	escaped_is("it's \"quoted\"", "it\\(aqs \\(dqquoted\\(dq");
	escaped_is("a^b~c`d", "a\\(hab\\(tic\\(gad");
}

static void test_requests(void **state)
{
	(void)state;
	escaped_is(".SH", "\\&.SH");
	escaped_is("'br", "\\(aqbr");
	escaped_is("a.b", "a.b");
	text_is("one\n.two", "one\n\\&.two\n");
	text_is("  .TH", ".RS 4\n.EX\n\\&.TH\n.EE\n.RE\n");
}

static void test_paragraphs(void **state)
{
	(void)state;
	text_is("One.\n\nTwo.", "One.\n.PP\nTwo.\n");
	text_is("One. Two", "One.\nTwo\n");
}

static void test_examples(void **state)
{
	(void)state;
	text_is("See:\n\n  # a --b\n    c\n\nEnd", "See:\n"
						   ".PP\n.RS 4\n.EX\n"
						   "# a \\-\\-b\n"
						   "  c\n"
						   ".EE\n.RE\n"
						   ".PP\nEnd\n");
}

static void test_entries(void **state)
{
	(void)state;
	text_is("0\tgood\n1\tbad\n", ".TP\n\\fB0\\fP\ngood\n.TP\n\\fB1\\fP\nbad\n");
}

static void test_bold(void **state)
{
	(void)state;
	text_is("with --wait, (--wait-free) or '-h'",
		"with \\fB\\-\\-wait\\fP, (\\fB\\-\\-wait\\-free\\fP) or \\(aq\\fB\\-h\\fP\\(aq\n");
	text_is("see sqlite3(1).", "see \\fBsqlite3\\fP(1).\n");
	text_is("- is standard input, -- ends, -1h30min", "\\- is standard input, \\-\\- ends, "
							  "\\-1h30min\n");
}

static void test_lines(void **state)
{
	static const char word[] = "abcdefghi ";
	CLEANUP(buffer_free) struct buffer text = BUFFER_EMPTY, out = BUFFER_EMPTY;
	size_t length;

	(void)state;
	for (int i = 0; i < 40; i++)
		buffer_text(&text, word);
	buffer_byte(&text, '\0');
	roff_text(&out, text.data);
	buffer_byte(&out, '\0');
	for (const char *line = out.data; *line; line += length + 1) {
		length = strcspn(line, "\n");
		assert_in_range(length, 0, 80);
	}
}

static void test_operands(void **state)
{
	const struct command run = {.usage = "[OPTION]... [-- COMMAND [ARGUMENT]...]"};
	const struct command port = {.usage = "[OPTION]... [PORT[/PROTOCOL]]..."};
	const struct command file = {.usage = "[OPTION]... FILE"};
	const struct command none = {.usage = "[OPTION]..."};

	(void)state;
	assert_true(completion_runs(&run));
	assert_false(completion_runs(&port));
	assert_int_equal(completion_operand(&port), COMPLETE_SERVICE);
	assert_int_equal(completion_operand(&file), COMPLETE_FILE);
	assert_int_equal(completion_operand(&run), COMPLETE_NOTHING);
	assert_int_equal(completion_operand(&none), COMPLETE_NOTHING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_characters), cmocka_unit_test(test_requests),
		cmocka_unit_test(test_paragraphs), cmocka_unit_test(test_examples),
		cmocka_unit_test(test_entries),	   cmocka_unit_test(test_bold),
		cmocka_unit_test(test_lines),	   cmocka_unit_test(test_operands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
