/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/format.h"
#include "lib/cleanup.h"
#include "model/blocked.h"
#include "scene.h"

#define LINE_MOST (16u << 10)
#define START "{\"time\":1795271527000000000,\"action\":"
#define ID "\"id\":\"00c0ffee12345678-42\""

static struct buffer out;

static const char *row(const struct event *event, struct format_options options)
{
	struct format *format = format_row.open(&options);

	assert_non_null(format);
	buffer_reset(&out);
	format_row.begin(format, &out);
	format_row.event(format, event, &out);
	format_row.close(format);
	buffer_byte(&out, '\0');
	assert_false(out.failed);
	return out.data;
}

static const char *row_of(const struct scene *scene)
{
	return row(&scene->event, (struct format_options){0});
}

static void process_set(struct scene *scene)
{
	static const char args[] = "python3\0-c\0print(\"\n\")";

	scene->process = (struct process){
		.key = {.pid = 42, .start = 1000042, .exec = 1},
		.uid = 1000,
		.parent_pid = 900,
		.comm = "web",
		.parent_comm = "bash",
		.exe = "/usr/bin/python3.11",
		.exe_length = 19,
		.args = args,
		.args_length = sizeof(args),
		.cgroup = "/system.slice/app.service",
		.cgroup_length = 25,
		.container = {.unit = "app.service"},
	};
	scene->event.process = &scene->process;
	scene->event.user = "dev";
}

static void claim_is_a_row(void **state)
{
	struct scene scene;

	(void)state;
	scene_set(&scene, EVENT_BOUND, record_bind(42, "web", 60002, 60002));
	process_set(&scene);
	assert_string_equal(
		row_of(&scene), START
		"\"bound-socket\",\"outcome\":\"success\"," ID ",\"transport\":\"tcp\","
		"\"pid\":42,\"entity\":\"7f3a91c2:42:1000042:1\",\"comm\":\"web\","
		"\"exe\":\"/usr/bin/python3.11\","
		"\"args\":\"[\\\"python3\\\",\\\"-c\\\",\\\"print(\\\\\\\"\\\\u000a\\\\\\\")\\\"]\","
		"\"parent_pid\":900,\"parent_comm\":\"bash\",\"uid\":1000,\"user\":\"dev\","
		"\"host\":\"web1\",\"trigger\":\"bind\",\"origin\":\"requested\",\"claimed\":1,"
		"\"local_ip\":\"0.0.0.0\",\"local_port\":60002,\"requested_ip\":\"0.0.0.0\","
		"\"requested_port\":60002,\"in_pool\":1,\"unit\":\"app.service\","
		"\"cgroup\":\"/system.slice/app.service\",\"netns\":4026531840,"
		"\"socket\":4097,\"tier\":\"tracepoint\"}\n");
}

static void arguments_are_left_out(void **state)
{
	struct scene scene;

	(void)state;
	scene_set(&scene, EVENT_BOUND, record_bind(42, "web", 60002, 60002));
	process_set(&scene);
	assert_non_null(strstr(row_of(&scene), "print"));
	assert_null(strstr(row(&scene.event, (struct format_options){.no_args = true}), "print"));
}

/* Root's number is 0, and so is what is not known; and nothing was claimed. */
static void nothing_is_left_out(void **state)
{
	struct wire_event listening = record_bind(42, "web", 80, 80);
	struct scene scene;

	(void)state;
	listening.trigger = WIRE_LISTEN;
	listening.flags = 0;
	listening.uid = 0;
	listening.pool_high = 0;
	scene_set(&scene, EVENT_LISTEN, listening);
	assert_string_equal(
		row_of(&scene),
		START "\"listen-for-connections\",\"outcome\":\"success\"," ID
		      ",\"transport\":\"tcp\",\"pid\":42,\"entity\":\"7f3a91c2:42:1000042:1\","
		      "\"comm\":\"web\",\"host\":\"web1\",\"trigger\":\"listen\","
		      "\"origin\":\"requested\",\"local_ip\":\"0.0.0.0\",\"local_port\":80,"
		      "\"service\":\"http\",\"netns\":4026531840,\"socket\":4097,"
		      "\"tier\":\"tracepoint\"}\n");
}

static void what_stood_in_the_way_is_json(void **state)
{
	struct blocked blocked = {.count = 1, .total = 3};
	struct wire_event failed = record_bind(7, "\033\"\n\xff", 80, 0);
	struct scene scene;

	(void)state;
	blocked.entries[0] = (struct blocked_entry){.ports = 3, .process.key.pid = 8};
	strcpy(blocked.entries[0].process.comm, "\"\n");
	failed.error = EADDRINUSE;
	scene_set(&scene, EVENT_BOUND, failed);
	scene.event.blocked = &blocked;
	assert_string_equal(
		row_of(&scene),
		START "\"bound-socket\",\"outcome\":\"failure\"," ID
		      ",\"error\":\"EADDRINUSE\",\"transport\":\"tcp\",\"pid\":7,"
		      "\"entity\":\"7f3a91c2:7:1000007:1\","
		      "\"comm\":\"\\u001b\\\"\\u000a\xef\xbf\xbd\",\"uid\":1000,\"host\":\"web1\","
		      "\"trigger\":\"bind\",\"origin\":\"requested\",\"claimed\":1,"
		      "\"requested_ip\":\"0.0.0.0\",\"requested_port\":80,\"service\":\"http\","
		      "\"blocked_by\":\"[{\\\"pid\\\":8,\\\"name\\\":\\\"\\\\\\\"\\\\u000a\\\","
		      "\\\"role\\\":\\\"unknown\\\",\\\"since\\\":null,\\\"ports\\\":3}]\","
		      "\"blocked_by_total\":3,\"netns\":4026531840,\"socket\":4097,"
		      "\"tier\":\"tracepoint\"}\n");
}

/* Where a host was not watched is a row, too. */
static void stream_is_in_rows(void **state)
{
	static const struct event_gap gap = {.cpu = 1, .count = 12};
	static const struct wire_stream_end end;
	struct scene scene;

	(void)state;
	scene_set(&scene, EVENT_LOST, (struct wire_event){0});
	scene.event.socket = NULL;
	scene.event.gap = &gap;
	assert_string_equal(row_of(&scene), START "\"lost-events\"," ID
						  ",\"host\":\"web1\",\"tier\":\"tracepoint\","
						  "\"lost_count\":12}\n");
	scene.event.action = EVENT_START;
	assert_string_equal(row_of(&scene), START "\"stream-start\"," ID ",\"host\":\"web1\","
						  "\"tier\":\"tracepoint\"}\n");
	scene.event.action = EVENT_END;
	scene.event.end = &end;
	assert_string_equal(row_of(&scene), START "\"stream-end\"," ID ",\"host\":\"web1\","
						  "\"tier\":\"tracepoint\"}\n");
	scene.event.wall_time = -1;
	assert_non_null(strstr(row_of(&scene), "{\"time\":0,"));
}

/* Whatever names a process has: each byte is seven in the row. */
static void long_row_is_cut(void **state)
{
	static char bytes[WIRE_ARGS];
	struct scene scene;
	size_t length;

	(void)state;
	memset(bytes, '\033', sizeof(bytes));
	scene_set(&scene, EVENT_BOUND, record_bind(42, "web", 60002, 60002));
	process_set(&scene);
	scene.process.args = scene.process.exe = scene.process.cgroup = bytes;
	scene.process.args_length = WIRE_ARGS;
	scene.process.exe_length = WIRE_EXE;
	scene.process.cgroup_length = WIRE_CGROUP;
	bytes[sizeof(bytes) - 1] = '\0';
	assert_true(strlen(row_of(&scene)) > LINE_MOST);
	assert_null(strstr(out.data, "\xe2\x80\xa6"));
	length = strlen(row(&scene.event, (struct format_options){.line_most = LINE_MOST}));
	assert_true(length <= LINE_MOST && length > LINE_MOST / 2);
	assert_non_null(strstr(out.data, "\xe2\x80\xa6\\\"]\",\"parent_pid\":"));
	assert_non_null(strstr(out.data, "\\u001b\",\"netns\":"));

	/* between two characters, never within one */
	bytes[0] = 'a';
	for (size_t i = 1; i + 3 <= sizeof(bytes); i += 3)
		memcpy(bytes + i, "\xe2\x82\xac", 3);
	bytes[sizeof(bytes) - 1] = '\0';
	assert_true(strlen(row(&scene.event, (struct format_options){.line_most = 2500})) <= 2500);
	assert_non_null(strstr(out.data, "\xe2\x82\xac\xe2\x80\xa6"));
	assert_null(strstr(out.data, "\xef\xbf\xbd\xe2\x80\xa6"));
}

/* ---- the table that the rows go to ---- */

struct schema {
	char name[64][32], type[64][64];
	unsigned int count;
};

/* The columns of the first table that is made in a file. */
static void schema_read(const char *path, struct schema *schema)
{
	CLEANUP_FILE FILE *file = fopen(path, "re");
	char line[256];
	bool inside = false;

	if (!file)
		fail_msg("%s: %s", path, strerror(errno));
	schema->count = 0;
	while (fgets(line, sizeof(line), file) && strncmp(line, ")", 1)) {
		unsigned int i = schema->count;

		inside |= line[0] == '(';
		if (!inside || strstr(line, "ALIAS") ||
		    sscanf(line, " `%31[a-z_]` %63[A-Za-z0-9()]", schema->name[i],
			   schema->type[i]) != 2)
			continue;
		assert_true(++schema->count < 64);
	}
	assert_true(inside && schema->count);
}

static bool type_takes(const char *type, const struct field *field)
{
	static const char *const booleans[] = {"claimed", "in_pool"};
	bool text = strstr(type, "String");

	for (size_t i = 0; i < sizeof(booleans) / sizeof(booleans[0]); i++)
		if (!strcmp(field->sql, booleans[i]))
			return !strcmp(type, "UInt8");
	/* right-aligned for people, or a time: a number */
	return text !=
	       (field->right || !strcmp(field->sql, "time") || !strcmp(field->sql, "holder_pid") ||
		!strcmp(field->sql, "blocked_by_total"));
}

static void schema_has_the_columns(const char *path)
{
	struct schema schema;
	unsigned int columns = 0;

	schema_read(path, &schema);
	for (unsigned int i = 0; i < field_count; i++) {
		const struct field *field = &field_table[i];
		unsigned int at = 0;

		if (!field->sql)
			continue;
		columns++;
		while (at < schema.count && strcmp(schema.name[at], field->sql) != 0)
			at++;
		if (at == schema.count)
			fail_msg("%s: no column %s", path, field->sql);
		if (!type_takes(schema.type[at], field))
			fail_msg("%s: %s is no %s", path, field->sql, schema.type[at]);
		for (unsigned int j = 0; j < i; j++)
			if (field_table[j].sql && !strcmp(field_table[j].sql, field->sql))
				fail_msg("two fields for %s", field->sql);
	}
	if (columns != schema.count)
		fail_msg("%s: %u columns, %u fields", path, schema.count, columns);
}

static void schemas_have_the_columns(void **state)
{
	(void)state;
	schema_has_the_columns("tools/fleet/node.sql");
	schema_has_the_columns("tools/fleet/cluster.sql");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(claim_is_a_row),
		cmocka_unit_test(arguments_are_left_out),
		cmocka_unit_test(nothing_is_left_out),
		cmocka_unit_test(what_stood_in_the_way_is_json),
		cmocka_unit_test(stream_is_in_rows),
		cmocka_unit_test(long_row_is_cut),
		cmocka_unit_test(schemas_have_the_columns),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	buffer_free(&out);
	return failed;
}
