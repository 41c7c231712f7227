/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * NDJSON. The dotted paths of the fields become nested objects. As the fields of
 * one object stand together, a line is written in one go: each field knows the
 * objects above it, and how many of them it shares with the field before is how
 * many stay open. Keys are made once, when the format is opened.
 */
#include <stdlib.h>

#include "lib/escape.h"
#include "format/plain.h"

#define DEPTH_MAX 3 /* objects above a value */
#define KEY_MAX 64  /* `"portsnoop":{"stream":{"ring_bytes":`, all of it copied always */
/* What a value without hostile bytes and its key take at most: closing braces,
 * comma, key, and an address or a time in quotes. */
#define STEP_ROOM (DEPTH_MAX + 1 + KEY_MAX + 64)

/* Fields that come one after the other and depend on the same thing are rendered
 * once for it: a line is then mostly made of few pieces. */
#define RUNS_MAX 16
#define RUN_FRAGMENTS 256
#define FRAGMENT_MAX 488

struct step {
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

static unsigned int path_shared(const char *a, const char *b)
{
	unsigned int shared = 0;

	for (; *a && *a == *b; a++, b++)
		if (*a == '.')
			shared++;
	return shared;
}

static bool step_set(struct step *step, const struct field *field, const struct step *before,
		     const struct field *field_before, unsigned int *objects)
{
	unsigned int shared = field_before ? path_shared(field->path, field_before->path) : 0;

	step->get = field->get;
	step->scope = field->scope;
	for (const char *dot = strchr(field->path, '.'); dot; dot = strchr(dot + 1, '.'))
		step->depth++;
	if (step->depth > DEPTH_MAX)
		return false;
	for (unsigned int i = 0; i < step->depth; i++)
		step->object[i] = (uint8_t)(i < shared ? before->object[i] : ++*objects);
	for (unsigned int open = 0; open <= step->depth; open++)
		if (!step_key(step, open, field->path))
			return false;
	return true;
}

/* In the order of the table, whatever the order asked for: an object comes once. */
static bool field_chosen(const struct format_options *options, const struct field *field)
{
	if (!options->fields)
		return !field->people;
	for (unsigned int i = 0; i < options->field_count; i++)
		if (options->fields[i] == field)
			return true;
	return false;
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

static void json_close(struct format *format)
{
	if (!format)
		return;
	free(format->fragments);
	free(format);
}

static bool steps_make(struct format *format, const struct format_options *options)
{
	const struct field *field_before = NULL;
	const struct step *before = NULL;
	unsigned int objects = 0;

	for (unsigned int i = 0; i < field_count; i++) {
		const struct field *field = &field_table[i];
		struct step *step = &format->steps[format->count];

		if (!field_chosen(options, field))
			continue;
		if (!step_set(step, field, before, field_before, &objects))
			return false;
		for (unsigned int action = 0; action < EVENT_ACTIONS; action++) {
			struct plan *plan = &format->plans[action];

			if (field_applies(field, action))
				plan->steps[plan->count++] = (uint8_t)format->count;
		}
		field_before = field;
		before = step;
		format->count++;
	}
	return true;
}

static struct format *json_open(const struct format_options *options)
{
	size_t steps = field_count * sizeof(struct step);
	size_t places = (size_t)field_count * EVENT_ACTIONS;
	struct format *format;
	struct part *parts;
	uint8_t *places_of;

	format = calloc(1, sizeof(*format) + steps + places * (sizeof(struct part) + 1));
	if (!format)
		return NULL;
	parts = (struct part *)&format->steps[field_count];
	places_of = (uint8_t *)(parts + places);
	for (unsigned int action = 0; action < EVENT_ACTIONS; action++) {
		format->plans[action].parts = parts + (size_t)action * field_count;
		format->plans[action].steps = places_of + (size_t)action * field_count;
	}
	if (!steps_make(format, options)) {
		json_close(format);
		return NULL;
	}
	for (unsigned int action = 0; action < EVENT_ACTIONS; action++)
		plan_divide(format, &format->plans[action]);
	if (format->run_count) {
		format->fragments = calloc((size_t)format->run_count * RUN_FRAGMENTS,
					   sizeof(format->fragments[0]));
		if (!format->fragments) {
			json_close(format);
			return NULL;
		}
	}
	return format;
}

static void json_begin(struct format *format, struct buffer *out)
{
	(void)format;
	(void)out;
}

static void string_write(struct buffer *out, const char *bytes, size_t length)
{
	buffer_byte(out, '"');
	escape_json(out, bytes, length);
	buffer_byte(out, '"');
}

static void texts_write(struct buffer *out, const char *bytes, size_t length)
{
	const char *end = bytes + length;

	buffer_byte(out, '[');
	while (bytes < end) {
		size_t part = strnlen(bytes, (size_t)(end - bytes));

		string_write(out, bytes, part);
		bytes += part + 1;
		if (bytes < end)
			buffer_byte(out, ',');
	}
	buffer_byte(out, ']');
}

static void token_write(struct buffer *out, const char *token)
{
	size_t length = strlen(token);
	char *to;

	if (!buffer_room(out, length + 2))
		return;
	to = out->data + out->length;
	*to++ = '"';
	memcpy(to, token, length);
	to[length] = '"';
	out->length += length + 2;
}

static void tokens_write(struct buffer *out, const struct value *value)
{
	buffer_byte(out, '[');
	for (unsigned int i = 0; i < value->tokens.count; i++) {
		if (i)
			buffer_byte(out, ',');
		token_write(out, value->tokens.token[i]);
	}
	buffer_byte(out, ']');
}

static char *put(char *to, const char *text, size_t length)
{
	memcpy(to, text, length);
	return to + length;
}

/* Inlined where every field of every event passes: a call each was a tenth of the time. */
#define HOT static inline __attribute__((always_inline))

/* Values of a known greatest size, at `to` in room that has been made for them. */
HOT char *value_put(struct second_cache *cache, char *to, const struct value *value)
{
	switch (value->kind) {
	case VALUE_NULL:
		return put(to, "null", 4);
	case VALUE_BOOL:
		return value->truth ? put(to, "true", 4) : put(to, "false", 5);
	case VALUE_UNSIGNED:
		return text_unsigned(to, value->number);
	case VALUE_SIGNED:
		return text_signed(to, value->integer);
	case VALUE_NUMERAL:
		*to++ = '"';
		to = text_unsigned(to, value->number);
		*to++ = '"';
		return to;
	case VALUE_ADDRESS:
		*to++ = '"';
		to = text_address(to, value->address.bytes, value->address.family);
		*to++ = '"';
		return to;
	case VALUE_TIME:
		*to++ = '"';
		to = second_cache_time(cache, to, value->integer);
		*to++ = '"';
		return to;
	case VALUE_RANGE:
		*to++ = '[';
		to = text_unsigned(to, value->range.low);
		*to++ = ',';
		to = text_unsigned(to, value->range.high);
		*to++ = ']';
		return to;
	default:
		return to;
	}
}

static void objects_write(struct second_cache *cache, struct buffer *out,
			  const struct value *value);

HOT void value_write(struct second_cache *cache, struct buffer *out, const struct value *value)
{
	switch (value->kind) {
	case VALUE_TOKEN:
		token_write(out, value->token);
		break;
	case VALUE_TEXT:
		string_write(out, value->text.bytes, value->text.length);
		break;
	case VALUE_TEXTS:
		texts_write(out, value->text.bytes, value->text.length);
		break;
	case VALUE_TOKENS:
		tokens_write(out, value);
		break;
	case VALUE_OBJECTS:
		objects_write(cache, out, value);
		break;
	default:
		break;
	}
}

/* Ends what the member `before` leaves open, NULL: it is the first one. */
static void member_key(struct buffer *out, const char *path, const char *before)
{
	const char *dot = strchr(path, '.'), *dot_before = before ? strchr(before, '.') : NULL;
	bool same = dot && dot_before && path_shared(path, before);

	if (dot_before && !same)
		buffer_byte(out, '}');
	if (before)
		buffer_byte(out, ',');
	buffer_byte(out, '"');
	if (dot && !same) {
		buffer_append(out, path, (size_t)(dot - path));
		buffer_append(out, "\":{\"", 4);
	}
	buffer_text(out, dot ? dot + 1 : path);
	buffer_append(out, "\":", 2);
}

static void object_write(struct second_cache *cache, struct buffer *out, const struct value *value,
			 unsigned int index)
{
	const struct object_list *list = value->objects.list;
	const char *before = NULL;
	struct field_scratch scratch;

	buffer_byte(out, '{');
	for (unsigned int i = 0; i < list->member_count; i++) {
		const struct member *member = &list->members[i];
		struct value part = member->get(value->objects.event, index, &scratch);

		if (part.kind == VALUE_ABSENT)
			continue;
		member_key(out, member->path, before);
		before = member->path;
		value_json(out, &part, cache);
	}
	if (before && strchr(before, '.'))
		buffer_byte(out, '}');
	buffer_byte(out, '}');
}

static void objects_write(struct second_cache *cache, struct buffer *out, const struct value *value)
{
	unsigned int count = value->objects.list->count(value->objects.event);

	buffer_byte(out, '[');
	for (unsigned int i = 0; i < count; i++) {
		if (i)
			buffer_byte(out, ',');
		object_write(cache, out, value, i);
	}
	buffer_byte(out, ']');
}

void value_json(struct buffer *out, const struct value *value, struct second_cache *cache)
{
	if (!buffer_room(out, STEP_ROOM))
		return;
	out->length = (size_t)(value_put(cache, out->data + out->length, value) - out->data);
	value_write(cache, out, value);
}

/* Writes one field behind the field `last`, NULL: the first one. Returns the one
 * that is the last then. */
static const struct step *step_write(struct format *format, const struct step *step,
				     const struct step *last, const struct event *event,
				     struct buffer *out)
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
	to = value_put(&format->cache, to + step->key_length[shared], &value);
	out->length = (size_t)(to - out->data);
	value_write(&format->cache, out, &value);
	return step;
}

static const struct step *part_write(struct format *format, const struct plan *plan,
				     const struct part *part, const struct step *last,
				     const struct event *event, struct buffer *out)
{
	for (unsigned int i = part->first; i < part->first + (unsigned int)part->count; i++)
		last = step_write(format, &format->steps[plan->steps[i]], last, event, out);
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

static void json_event(struct format *format, const struct event *event, struct buffer *out)
{
	const struct plan *plan = &format->plans[event->action];
	const struct step *last = NULL;

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
	for (unsigned int open = last ? last->depth : 0; open > 0; open--)
		buffer_byte(out, '}');
	buffer_append(out, "}\n", 2);
}

const struct format_ops format_json = {
	.name = "json",
	.help = "one JSON object a line, shaped by the Elastic Common Schema",
	.open = json_open,
	.begin = json_begin,
	.event = json_event,
	.close = json_close,
};
