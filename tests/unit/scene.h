/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An event made by hand, and what the fields say of it. */
#ifndef PORTSNOOP_TESTS_SCENE_H
#define PORTSNOOP_TESTS_SCENE_H

#include "model/field.h"
#include "records.h"

struct scene {
	struct stream stream;
	struct wire_event socket;
	struct process process;
	struct event event;
};

/* The field of that name; there must be one. */
const struct field *field_named(const char *name);

void scene_set(struct scene *scene, enum event_action action, struct wire_event socket);

/* A field as plain text, valid until the next one; NULL: absent; "null". */
char *scene_plain(const struct scene *scene, const char *name);
void scene_check(const struct scene *scene, const char *name, const char *expected, int line);

/* Of the test's `scene` */
#define IS(name, expected) scene_check(&scene, name, expected, __LINE__)
#define ABSENT(name) scene_check(&scene, name, NULL, __LINE__)

#endif
