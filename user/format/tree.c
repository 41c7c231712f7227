/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * As the fields of one object stand together, a line is written in one go: each field
 * knows the objects above it, and how many of them it shares with the field before is how
 * many stay open. Keys are made once, when the format is opened.
 */
#include "format/tree.h"

#include <stdlib.h>

#include "format/json_value.h"

#define DEPTH_MAX 3 /* objects above a value */
#define KEY_MAX 64  /* `"portsnoop":{"stream":{"ring_bytes":`, all of it copied always */
/* What a value without hostile bytes and its key take at most: closing braces, comma, key. */
#define STEP_ROOM (DEPTH_MAX + 1 + KEY_MAX + JSON_VALUE_ROOM)

/* Fields that come one after the other and depend on the same thing are rendered
 * once for it: a line is then mostly made of few pieces. */
#define RUNS_MAX 16
#define RUN_FRAGMENTS 256
#define FRAGMENT_MAX 488

struct step {
	const struct field *field;
	struct value (*get)(const struct event *event, struct field_scratch *scratch);
	uint8_t depth;
	uint8_t scope;
	uint8_t object[DEPTH_MAX];
	uint8_t key_length[DEPTH_MAX + 1];
	char key[DEPTH_MAX + 1][KEY_MAX]; /* [n]: with the first n objects open already */
};

/* `count` steps of a plan, from `first` of it on. */
struct part {
	uint8_t first, count;
	uint8_t scope; /* SCOPE_EVENT: not kept */
	uint8_t run;
};

struct plan {
	unsigned int count, part_count;
	uint8_t *steps; /* that an action can have */
	struct part *parts;
};

struct fragment {
	uint64_t key;			   /* 0: empty */
	const struct step *before, *after; /* fields that stand before it, and last in it */
	size_t length;
	char bytes[FRAGMENT_MAX];
};

struct format {
	struct second_cache cache;
	size_t line_most;
	const struct stream *stream; /* whose events the fragments are made from */
	uint64_t stream_id;
	struct fragment *fragments; /* RUN_FRAGMENTS for each run */
	unsigned int count, run_count;
	struct plan plans[EVENT_ACTIONS];
	struct step steps[];
};

/* Keys of the objects above `path`, and its own: false if the table has a path
 * that is too long or too deep, which the unit test finds out. */
static bool step_key(struct step *step, unsigned int open, const char *path)
{
	char *out = step->key[open], *end = out + KEY_MAX;

	for (unsigned int i = 0; i < open; i++)
		path = strchr(path, '.') + 1;
	for (;;) {
		size_t length = strcspn(path, ".");

		if ((size_t)(end - out) < length + 4)
			return false;
		*out++ = '"';
		memcpy(out, path, length);
		out += length;
		*out++ = '"';
		*out++ = ':';
		path += length;
		if (!*path)
			break;
		*out++ = '{';
		path++;
	}
	step->key_length[open] = (uint8_t)(out - step->key[open]);
	return true;
}

static bool step_set(struct step *step, const struct tree_member *member, const struct step *before,
		     const struct tree_member *member_before, unsigned int *objects)
{
	unsigned int shared = member_before ? path_shared(member->path, member_before->path) : 0;

	step->field = member->field;
	step->get = member->field->get;
	step->scope = member->field->scope;
	for (const char *dot = strchr(member->path, '.'); dot; dot = strchr(dot + 1, '.'))
		step->depth++;
	if (step->depth > DEPTH_MAX)
		return false;
	for (unsigned int i = 0; i < step->depth; i++)
		step->object[i] = (uint8_t)(i < shared ? before->object[i] : ++*objects);
	for (unsigned int open = 0; open <= step->depth; open++)
		if (!step_key(step, open, member->path))
			return false;
	return true;
}

static bool plan_equal(const struct plan *a, const struct part *part_a, const struct plan *b,
		       const struct part *part_b)
{
	return part_a->scope == part_b->scope && part_a->count == part_b->count &&
	       !memcmp(a->steps + part_a->first, b->steps + part_b->first, part_a->count);
}

/* The number of a run that other actions may have as well. RUNS_MAX: no room. */
static uint8_t run_find(struct format *format, const struct plan *plan, const struct part *part)
{
	for (unsigned int action = 0; action < EVENT_ACTIONS; action++) {
		const struct plan *other = &format->plans[action];

		for (unsigned int i = 0; i < other->part_count; i++)
			if (&other->parts[i] != part &&
			    plan_equal(other, &other->parts[i], plan, part))
				return other->parts[i].run;
	}
	return (uint8_t)(format->run_count < RUNS_MAX ? format->run_count++ : RUNS_MAX);
}

/* What is the same in the whole stream joins its neighbours. */
static bool scope_joins(uint8_t a, uint8_t b, uint8_t *joint)
{
	*joint = a == SCOPE_STREAM ? b : a;
	if (a == SCOPE_EVENT || b == SCOPE_EVENT)
		return a == b;
	return a == b || a == SCOPE_STREAM || b == SCOPE_STREAM;
}

static void plan_divide(struct format *format, struct plan *plan)
{
	for (unsigned int i = 0; i < plan->count; i++) {
		uint8_t scope = format->steps[plan->steps[i]].scope, joint;
		struct part *part = plan->parts + plan->part_count;

		if (plan->part_count && scope_joins(part[-1].scope, scope, &joint)) {
			part[-1].scope = joint;
			part[-1].count++;
			continue;
		}
		*part = (struct part){.first = (uint8_t)i, .count = 1, .scope = scope};
		plan->part_count++;
	}
	for (unsigned int i = 0; i < plan->part_count; i++) {
		struct part *part = &plan->parts[i];

		if (part->scope != SCOPE_EVENT)
			part->run = run_find(format, plan, part);
		if (part->run == RUNS_MAX)
			part->scope = SCOPE_EVENT;
	}
}

void tree_close(struct format *format)
{
	if (!format)
		return;
	free(format->fragments);
	free(format);
}

static bool steps_make(struct format *format, const struct tree_member *members, unsigned int count)
{
	const struct tree_member *member_before = NULL;
	const struct step *before = NULL;
	unsigned int objects = 0;

	for (; format->count < count; format->count++) {
		const struct tree_member *member = &members[format->count];
		struct step *step = &format->steps[format->count];

		if (!step_set(step, member, before, member_before, &objects))
			return false;
		for (unsigned int action = 0; action < EVENT_ACTIONS; action++) {
			struct plan *plan = &format->plans[action];

			if (field_applies(member->field, action))
				plan->steps[plan->count++] = (uint8_t)format->count;
		}
		member_before = member;
		before = step;
	}
	return true;
}

struct format *tree_open(const struct tree_member *members, unsigned int count, size_t line_most)
{
	size_t steps = count * sizeof(struct step);
	size_t places = (size_t)count * EVENT_ACTIONS;
	struct format *format;
	struct part *parts;
	uint8_t *places_of;

	if (count > TREE_MEMBERS)
		return NULL;
	format = calloc(1, sizeof(*format) + steps + places * (sizeof(struct part) + 1));
	if (!format)
		return NULL;
	format->line_most = line_most;
	parts = (struct part *)&format->steps[count];
	places_of = (uint8_t *)(parts + places);
	for (unsigned int action = 0; action < EVENT_ACTIONS; action++) {
		format->plans[action].parts = parts + (size_t)action * count;
		format->plans[action].steps = places_of + (size_t)action * count;
	}
	if (!steps_make(format, members, count)) {
		tree_close(format);
		return NULL;
	}
	for (unsigned int action = 0; action < EVENT_ACTIONS; action++)
		plan_divide(format, &format->plans[action]);
	if (format->run_count) {
		format->fragments = calloc((size_t)format->run_count * RUN_FRAGMENTS,
					   sizeof(format->fragments[0]));
		if (!format->fragments) {
			tree_close(format);
			return NULL;
		}
	}
	return format;
}

void tree_begin(struct format *format, struct buffer *out)
{
	(void)format;
	(void)out;
}

static void value_cut(struct buffer *out, const struct value *value, const struct field *field,
		      struct cut *cut)
{
	static const struct json_list array = {"[", "]", "", ""};
	size_t start = out->length;

	if (value->kind == VALUE_TEXTS)
		json_texts_cut(out, &array, value->text.bytes, value->text.length, cut->most);
	else if (value->kind == VALUE_COMMAND)
		json_command_cut(out, value->text.bytes, value->text.length, cut->most);
	else
		json_string_cut(out, value->text.bytes, value->text.length, cut->most);
	cut_measure(cut, field, out->length - start);
}

/* Writes one field behind the field `last`, NULL: the first one. Returns the one
 * that is the last then. `cut` NULL: nothing is. */
HOT const struct step *step_write(struct format *format, const struct step *step,
				  const struct step *last, const struct event *event,
				  struct buffer *out, struct cut *cut)
{
	struct field_scratch scratch;
	struct value value = step->get(event, &scratch);
	unsigned int shared = 0;
	char *to;

	if (value.kind == VALUE_ABSENT || !buffer_room(out, STEP_ROOM))
		return last;
	to = out->data + out->length;
	if (last) {
		while (shared < last->depth && shared < step->depth &&
		       last->object[shared] == step->object[shared])
			shared++;
		for (unsigned int open = last->depth; open > shared; open--)
			*to++ = '}';
		*to++ = ',';
	}
	memcpy(to, step->key[shared], KEY_MAX);
	to = json_value_put(&format->cache, to + step->key_length[shared], &value);
	out->length = (size_t)(to - out->data);
	if (__builtin_expect(cut != NULL, 0) && step->field->cut)
		value_cut(out, &value, step->field, cut);
	else
		json_value_write(&format->cache, out, &value);
	return step;
}

static const struct step *part_write(struct format *format, const struct plan *plan,
				     const struct part *part, const struct step *last,
				     const struct event *event, struct buffer *out)
{
	for (unsigned int i = part->first; i < part->first + (unsigned int)part->count; i++)
		last = step_write(format, &format->steps[plan->steps[i]], last, event, out, NULL);
	return last;
}

static uint64_t run_key(const struct part *part, const struct event *event)
{
	uint64_t key = 1;

	if (part->scope == SCOPE_PROCESS && event->process)
		key += event->process->serial;
	if (part->scope == SCOPE_KIND) {
		key += (uint64_t)event->action << 4 | (uint64_t)event->outcome << 2;
		if (event->socket)
			key += (uint64_t)event->socket->error << 8;
	}
	return key;
}

static const struct step *run_write(struct format *format, const struct plan *plan,
				    const struct part *part, const struct step *last,
				    const struct event *event, struct buffer *out)
{
	uint64_t key = run_key(part, event);
	struct fragment *fragment =
		&format->fragments[part->run * RUN_FRAGMENTS + key % RUN_FRAGMENTS];
	const struct step *before = last;
	size_t start = out->length;

	if (fragment->key == key && fragment->before == last) {
		buffer_append(out, fragment->bytes, fragment->length);
		return fragment->after;
	}
	last = part_write(format, plan, part, last, event, out);
	if (out->failed || out->length - start > FRAGMENT_MAX)
		return last;
	fragment->key = key;
	fragment->before = before;
	fragment->after = last;
	fragment->length = out->length - start;
	memcpy(fragment->bytes, out->data + start, fragment->length);
	return last;
}

static void line_end(struct buffer *out, const struct step *last)
{
	for (unsigned int open = last ? last->depth : 0; open > 0; open--)
		buffer_byte(out, '}');
	buffer_append(out, "}\n", 2);
}

static void line_write(struct format *format, const struct event *event, struct buffer *out,
		       struct cut *cut)
{
	const struct plan *plan = &format->plans[event->action];
	const struct step *last = NULL;

	buffer_byte(out, '{');
	for (unsigned int i = 0; i < plan->count; i++)
		last = step_write(format, &format->steps[plan->steps[i]], last, event, out, cut);
	line_end(out, last);
}

void tree_event(struct format *format, const struct event *event, struct buffer *out)
{
	const struct plan *plan = &format->plans[event->action];
	const struct step *last = NULL;
	size_t start = out->length;

	if (format->stream != event->stream || format->stream_id != event->stream->start.id) {
		for (size_t i = 0; i < (size_t)format->run_count * RUN_FRAGMENTS; i++)
			format->fragments[i].key = 0;
		format->stream = event->stream;
		format->stream_id = event->stream->start.id;
	}
	buffer_byte(out, '{');
	for (unsigned int i = 0; i < plan->part_count; i++) {
		const struct part *part = &plan->parts[i];

		if (part->scope == SCOPE_EVENT)
			last = part_write(format, plan, part, last, event, out);
		else
			last = run_write(format, plan, part, last, event, out);
	}
	line_end(out, last);
	cut_check(format, event, out, start, format->line_most, line_write);
}
