/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <string.h>

#include "format/plain.h"
#include "scene.h"

const struct field *field_named(const char *name)
{
	const struct field *field = field_find(name, strlen(name));

	if (!field)
		fail_msg("there is no field '%s'", name);
	return field;
}

void scene_set(struct scene *scene, enum event_action action, struct wire_event socket)
{
	*scene = (struct scene){.stream = {.start = record_start()}, .socket = socket};
	scene->event = (struct event){
		.action = action,
		.outcome = socket.error ? EVENT_FAILURE : EVENT_SUCCESS,
		.sequence = 42,
		.wall_time = RECORDS_WALL,
		.stream = &scene->stream,
		.socket = &scene->socket,
	};
	if (!socket.error && socket.flags & WIRE_IN_PROGRESS)
		scene->event.outcome = EVENT_UNKNOWN;
}

char *scene_plain(const struct scene *scene, const char *name)
{
	static char text[2048];
	struct second_cache cache = {0};
	struct field_scratch scratch;
	struct value value;
	struct buffer out = BUFFER_EMPTY;

	value = field_value(field_named(name), &scene->event, &scratch);
	if (value.kind == VALUE_ABSENT)
		return NULL;
	if (value.kind == VALUE_NULL)
		return "null";
	value_plain(&out, &value, &cache);
	buffer_byte(&out, '\0');
	assert_false(out.failed);
	assert_true(out.length <= sizeof(text));
	memcpy(text, out.data, out.length);
	buffer_free(&out);
	return text;
}

void scene_check(const struct scene *scene, const char *name, const char *expected, int line)
{
	const char *text = scene_plain(scene, name);

	if (!text && !expected)
		return;
	if (!text || !expected || strcmp(text, expected))
		fail_msg("line %d: %s is %s instead of %s", line, name, text ? text : "absent",
			 expected ? expected : "absent");
}
