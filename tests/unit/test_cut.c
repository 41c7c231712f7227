/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <locale.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "format/cut.h"
#include "format/format.h"
#include "format/json_value.h"
#include "lib/escape.h"
#include "model/blocked.h"
#include "scene.h"

#define ELLIPSIS "\xe2\x80\xa6"

/* ---- where a text may be cut ---- */

static const char *cut_text(void (*cut)(struct buffer *, size_t, size_t), const char *text,
			    size_t most)
{
	static char result[256];
	struct buffer out = BUFFER_EMPTY;

	buffer_text(&out, "\"");
	buffer_text(&out, text);
	cut(&out, 1, most);
	assert_false(out.failed);
	assert_in_range(out.length, 0, sizeof(result) - 1);
	memcpy(result, out.data, out.length);
	result[out.length] = '\0';
	buffer_free(&out);
	return result + 1;
}

static void json_boundaries(void **state)
{
	(void)state;
	assert_string_equal(cut_text(cut_json, "abcdef", 6), "abcdef");
	assert_string_equal(cut_text(cut_json, "abcdef", 5), "ab" ELLIPSIS);
	assert_string_equal(cut_text(cut_json, "abcdef", 3), ELLIPSIS);
	assert_string_equal(cut_text(cut_json, "abcdef", 0), ELLIPSIS);
	assert_string_equal(cut_text(cut_json, "a\\\"bcdef", 6), "a\\\"" ELLIPSIS);
	assert_string_equal(cut_text(cut_json, "a\\\"bcdef", 5), "a" ELLIPSIS);
	assert_string_equal(cut_text(cut_json, "a\\\\\\\\bcd", 7), "a\\\\" ELLIPSIS);
	for (size_t most = 4; most < 10; most++)
		assert_string_equal(cut_text(cut_json, "a\\u001bbcdefgh", most), "a" ELLIPSIS);
	assert_string_equal(cut_text(cut_json, "a\\u001bbcdefgh", 10), "a\\u001b" ELLIPSIS);
	/* two halves of one character */
	for (size_t most = 4; most < 16; most++)
		assert_string_equal(cut_text(cut_json, "a\\udb40\\udc41bcdefgh", most),
				    "a" ELLIPSIS);
	assert_string_equal(cut_text(cut_json, "a\\udb40\\udc41bcdefgh", 16),
			    "a\\udb40\\udc41" ELLIPSIS);
	for (size_t most = 4; most < 7; most++)
		assert_string_equal(cut_text(cut_json,
					     "a\xe6\x9d\xb1"
					     "bcdefgh",
					     most),
				    "a" ELLIPSIS);
	assert_string_equal(cut_text(cut_json, "\xf0\x9f\x90\x9d\xf0\x9f\x90\x9d", 7),
			    "\xf0\x9f\x90\x9d" ELLIPSIS);
}

static void plain_boundaries(void **state)
{
	(void)state;
	assert_string_equal(cut_text(cut_plain, "a\\\\bcdefgh", 6), "a\\\\" ELLIPSIS);
	assert_string_equal(cut_text(cut_plain, "a\\\\bcdefgh", 5), "a" ELLIPSIS);
	for (size_t most = 4; most < 8; most++)
		assert_string_equal(cut_text(cut_plain, "a\\x1bbcdefgh", most), "a" ELLIPSIS);
	assert_string_equal(cut_text(cut_plain, "a\\x1bbcdefgh", 8), "a\\x1b" ELLIPSIS);
}

#define TEXTS(bytes) bytes, sizeof(bytes)

static const char *cut_texts(const struct json_list *list, const char *bytes, size_t length,
			     size_t most)
{
	static char result[256];
	struct buffer out = BUFFER_EMPTY;

	json_texts_cut(&out, list, bytes, length, most);
	assert_in_range(out.length, 0, sizeof(result) - 1);
	memcpy(result, out.data, out.length);
	result[out.length] = '\0';
	buffer_free(&out);
	return result;
}

static void lists(void **state)
{
	static const struct json_list array = {"[", "]", "", ""};
	static const struct json_list objects = {"<", ">", "{", "}"};
	static const char words[] = "one\0two\0three";

	(void)state;
	assert_string_equal(cut_texts(&array, TEXTS(words), SIZE_MAX),
			    "[\"one\",\"two\",\"three\"]");
	assert_string_equal(cut_texts(&array, TEXTS(words), 21), "[\"one\",\"two\",\"three\"]");
	assert_string_equal(cut_texts(&array, TEXTS(words), 20),
			    "[\"one\",\"two\",\"t" ELLIPSIS "\"]");
	/* a text that would fit says that others are missing */
	assert_string_equal(cut_texts(&array, TEXTS(words), 16), "[\"one\",\"two" ELLIPSIS "\"]");
	assert_string_equal(cut_texts(&array, TEXTS(words), 15), "[\"one\",\"" ELLIPSIS "\"]");
	assert_string_equal(cut_texts(&array, TEXTS(words), 10), "[\"one" ELLIPSIS "\"]");
	assert_string_equal(cut_texts(&array, TEXTS(words), 7), "[\"" ELLIPSIS "\"]");
	assert_string_equal(cut_texts(&array, TEXTS("\0\0\0\0\0"), 15),
			    "[\"\",\"\",\"" ELLIPSIS "\"]");
	assert_string_equal(cut_texts(&objects, TEXTS(words), SIZE_MAX),
			    "<{\"one\"},{\"two\"},{\"three\"}>");
	for (size_t most = 9; most < 30; most++) {
		size_t length = strlen(cut_texts(&array, TEXTS(words), most));

		assert_in_range(length, 1, most);
		length = strlen(cut_texts(&objects, TEXTS(words), most));
		assert_in_range(length, 1, most);
	}
}

static void commands(void **state)
{
	struct buffer out = BUFFER_EMPTY;

	(void)state;
	json_command_cut(&out, TEXTS("sh\0-c\0echo 'it' \"$A\"\0\0a\nb\0\xc3\xa9"), SIZE_MAX);
	buffer_byte(&out, '\0');
	assert_string_equal(out.data, "\"sh -c 'echo '\\\\''it'\\\\'' \\\"$A\\\"' '' 'a\\u000ab' "
				      "\xc3\xa9\"");
	buffer_reset(&out);
	json_command_cut(&out, TEXTS("echo\0'''''''''''''"), 20);
	assert_in_range(out.length, 1, 20);
	buffer_free(&out);
}

/* ---- lines ---- */

/* As bad as it can be: every byte of every text grows to six. */
static struct worst {
	struct scene scene;
	struct blocked blocked;
	char exe[WIRE_EXE], args[WIRE_ARGS], cgroup[WIRE_CGROUP];
} worst;

static void process_fill(struct process *process)
{
	memset(process->comm, 1, sizeof(process->comm) - 1);
	memset(process->parent_comm, 1, sizeof(process->parent_comm) - 1);
	memset(process->container.id, 1, sizeof(process->container.id) - 1);
	memset(process->container.runtime, 1, sizeof(process->container.runtime) - 1);
	memset(process->container.pod, 1, sizeof(process->container.pod) - 1);
	memset(process->container.unit, 1, sizeof(process->container.unit) - 1);
	process->namespace_pid = 77;
	process->parent_pid = 900;
	process->flags = ~0u;
}

static void blocked_fill(struct blocked *blocked)
{
	*blocked = (struct blocked){.count = BLOCKED_MOST, .total = 4000000000, .unlisted = 7};
	for (unsigned int i = 0; i < BLOCKED_MOST; i++) {
		struct blocked_entry *entry = &blocked->entries[i];

		*entry = (struct blocked_entry){
			.process = {.key = {.pid = 4000000}},
			.holder = {.key = {.pid = 4000001}},
			.role = BLOCKED_CLAIMANT,
			.state = "established",
			.since = 1,
			.expires = 60000000000,
			.ports = 65535,
			.local_port = 65535,
			.other_port = 65535,
			.family = 6,
		};
		memset(entry->process.comm, 1, WIRE_COMM);
		memset(entry->holder.comm, 1, WIRE_COMM);
		memset(entry->local, 0xfd, 16);
		memset(entry->other, 0xfd, 16);
	}
}

/* `word` over and over, each with its NUL. */
static void worst_set(const char *word, size_t word_size)
{
	struct wire_event failed = record_event(WIRE_CALL, WIRE_CONNECT, 4194304, "");
	struct process *process = &worst.scene.process;
	struct event *event = &worst.scene.event;

	failed.error = 98;
	failed.tid = 4194303;
	failed.flags = ~(unsigned int)(WIRE_NO_CLAIMANT | WIRE_IN_PROGRESS);
	failed.family = 6;
	memset(failed.comm, 1, sizeof(failed.comm));
	memset(failed.local, 0xfd, 16);
	memset(failed.other, 0xfd, 16);
	failed.socket = UINT64_MAX;
	scene_set(&worst.scene, EVENT_CONNECTED, failed);
	memset(worst.scene.stream.start.host, 1, sizeof(worst.scene.stream.start.host) - 1);
	process->serial = 1;
	process_fill(process);
	memset(worst.exe, 1, sizeof(worst.exe));
	for (size_t i = 0; i < sizeof(worst.args); i++)
		worst.args[i] = word[i % word_size];
	worst.args[sizeof(worst.args) - 1] = '\0';
	memset(worst.cgroup, 1, sizeof(worst.cgroup));
	process->exe = worst.exe;
	process->exe_length = sizeof(worst.exe);
	process->args = worst.args;
	process->args_length = sizeof(worst.args);
	process->cgroup = worst.cgroup;
	process->cgroup_length = sizeof(worst.cgroup);
	blocked_fill(&worst.blocked);
	event->process = process;
	event->user = "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1";
	event->blocked = &worst.blocked;
	event->sequence = UINT64_MAX;
}

static char *render(const struct format_ops *ops, struct format_options options)
{
	struct format *format = ops->open(&options);
	struct buffer out = BUFFER_EMPTY;

	assert_non_null(format);
	ops->event(format, &worst.scene.event, &out);
	ops->close(format);
	buffer_byte(&out, '\0');
	assert_false(out.failed);
	return out.data;
}

static void clean(const char *line)
{
	size_t length = strlen(line);

	assert_int_equal(line[length - 1], '\n');
	for (size_t at = 0; at < length - 1;) {
		uint32_t character = 0;
		size_t taken = utf8_length(line + at, length - at, &character);

		assert_true(taken && character >= 0x20);
		at += taken;
	}
}

static const struct {
	const char *word;
	size_t size;
} words[] = {{"\1", 1}, {"", 1}, {"x", 2}, {"\1", 2}, {"\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1", 16}};

/* What tells the event from others, and what it is about, is whole. */
static void lines_fit(void **state)
{
	static const struct {
		const struct format_ops *ops;
		const char *whole[8];
	} formats[] = {
		{&format_json,
		 {"\"id\":\"00c0ffee12345678-18446744073709551615\"", "\"port\":40000}",
		  "\"ip\":\"fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd\"", "\"pid\":4194304",
		  "\"entity_id\":\"7f3a91c2:4194304:", "\"truncated\":[\""}},
		{&format_ocsf,
		 {"\"uid\":\"00c0ffee12345678-18446744073709551615\"", "\"port\":40000",
		  "\"ip\":\"fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd\"", "\"pid\":4194304",
		  "\"truncated\":[\""}},
		{&format_otlp,
		 {"\"stringValue\":\"00c0ffee12345678-18446744073709551615\"",
		  "\"network.local.port\",\"value\":{\"intValue\":\"40000\"}",
		  "\"fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd\"", "{\"intValue\":\"4194304\"}",
		  "\"portsnoop.truncated\""}},
		{&format_otlp_record,
		 {"\"stringValue\":\"00c0ffee12345678-18446744073709551615\"",
		  "\"network.local.port\",\"value\":{\"intValue\":\"40000\"}",
		  "\"portsnoop.truncated\""}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		worst_set(words[i].word, words[i].size);
		worst.scene.socket.local_port = 40000;
		for (size_t j = 0; j < sizeof(formats) / sizeof(formats[0]); j++) {
			const struct format_options options = {.line_most = FORMAT_LINE};
			const struct format_options unlimited = {0};
			char *line = render(formats[j].ops, options);

			clean(line);
			if (strlen(line) > FORMAT_LINE)
				fail_msg("%s: %zu bytes", formats[j].ops->name, strlen(line));
			for (size_t k = 0; formats[j].whole[k]; k++)
				if (!strstr(line, formats[j].whole[k]))
					fail_msg("%s: %s is missing", formats[j].ops->name,
						 formats[j].whole[k]);
			assert_non_null(strstr(line, ELLIPSIS));
			free(line);
			line = render(formats[j].ops, unlimited);
			clean(line);
			assert_true(strlen(line) > FORMAT_LINE);
			assert_null(strstr(line, ELLIPSIS));
			assert_null(strstr(line, "truncated"));
			free(line);
		}
	}
}

/* All of it: a row has an upper bound, too. */
static void rows_fit(void **state)
{
	const struct field *fields[256];
	struct format_options options = {.fields = fields, .line_most = FORMAT_LINE};

	char *line;

	(void)state;
	for (unsigned int i = 0; i < field_count; i++)
		fields[options.field_count++] = &field_table[i];
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		worst_set(words[i].word, words[i].size);
		line = render(&format_csv, options);
		clean(line);
		assert_in_range(strlen(line), 1, FORMAT_LINE);
		free(line);
	}
	/* each of them takes two */
	worst_set("\"", 1);
	options.line_most = 12000;
	line = render(&format_csv, options);
	assert_in_range(strlen(line), 1, 12000);
	free(line);
}

/* The longest ones are cut, the others are as they were. */
static void the_longest_are_cut(void **state)
{
	const struct format_options options = {.line_most = 4000};
	char *line;

	(void)state;
	worst_set("abc def", 8);
	worst.scene.event.blocked = NULL;
	worst.scene.process.container = (struct container){0};
	worst.scene.process.exe_length = 30;
	worst.scene.process.cgroup_length = 30;
	line = render(&format_json, options);
	assert_in_range(strlen(line), 3400, 4000);
	assert_non_null(strstr(line, "\"truncated\":[\"process.args\"]"));
	assert_non_null(strstr(line, "\"args\":[\"abc def\",\"abc def\","));
	free(line);
}

static void arguments_are_left_out(void **state)
{
	static const struct format_ops *const formats[] = {&format_json, &format_ocsf, &format_otlp,
							   &format_csv, &format_table};
	const struct field *fields[] = {field_named("comm"), field_named("args")};

	(void)state;
	worst_set("secret", 7);
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		const bool fixed = formats[i]->fixed;
		struct format_options options = {.fields = fixed ? NULL : fields,
						 .field_count = fixed ? 0 : 2};
		char *line = render(formats[i], options);

		assert_non_null(strstr(line, "secret"));
		free(line);
		options.no_args = true;
		line = render(formats[i], options);
		assert_null(strstr(line, "secret"));
		assert_true(fixed || !strchr(line, ','));
		free(line);
		if (fixed)
			continue;
		options.fields = NULL;
		line = render(formats[i], options);
		assert_null(strstr(line, "secret"));
		free(line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_boundaries),
		cmocka_unit_test(plain_boundaries),
		cmocka_unit_test(lists),
		cmocka_unit_test(commands),
		cmocka_unit_test(lines_fit),
		cmocka_unit_test(rows_fit),
		cmocka_unit_test(the_longest_are_cut),
		cmocka_unit_test(arguments_are_left_out),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
