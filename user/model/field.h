/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one table of output fields: JSON keys, CSV and terminal columns, --fields,
 * --columns, their help and the documentation are all made from it.
 */
#ifndef PORTSNOOP_FIELD_H
#define PORTSNOOP_FIELD_H

#include "model/event.h"

enum value_kind {
	VALUE_ABSENT, /* does not apply to this event, or could not be read */
	VALUE_NULL,   /* applies, and there is none: JSON null, else empty */
	VALUE_BOOL,
	VALUE_UNSIGNED,
	VALUE_SIGNED,
	VALUE_NUMERAL, /* an unsigned number that ECS wants as text */
	VALUE_TOKEN,   /* our own constant, needs no escape */
	VALUE_TEXT,    /* hostile bytes, not NUL-terminated */
	VALUE_ADDRESS, /* 16 bytes as in wire_event, family 4 or 6 */
	VALUE_TIME,    /* CLOCK_REALTIME, ns */
	VALUE_TEXTS,   /* hostile bytes, each text ended by a NUL */
	VALUE_COMMAND, /* as VALUE_TEXTS: one text, as it is typed */
	VALUE_TOKENS,  /* array of VALUE_TOKEN */
	VALUE_RANGE,   /* two numbers: [low,high], "low-high" */
	VALUE_OBJECTS, /* array of objects; where there are none, a summary */
};

struct value;
struct field_scratch;

/* A member of an object in a VALUE_OBJECTS. `path` has one dot at most; those of one
 * object stand together. VALUE_OBJECTS has none of its kind in it. */
struct member {
	const char *path;
	struct value (*get)(const struct event *event, unsigned int index,
			    struct field_scratch *scratch);
};

struct object_list {
	const struct member *members;
	unsigned int member_count;
	unsigned int (*count)(const struct event *event);
	/* Hostile bytes, MESSAGE_MAX at most, no NUL; returns the length. */
	size_t (*summary)(const struct event *event, char *out);
};

struct value {
	enum value_kind kind;
	union {
		bool truth;
		uint64_t number;
		int64_t integer;
		const char *token;
		struct {
			const char *bytes;
			size_t length;
		} text;
		struct {
			const uint8_t *bytes;
			uint8_t family;
		} address;
		struct {
			const char *const *token;
			unsigned int count;
		} tokens;
		struct {
			uint16_t low, high;
		} range;
		struct {
			const struct object_list *list;
			const struct event *event;
		} objects;
	};
};

/* Room for values that are made, not pointed at; must live as long as the value. */
#define VALUE_TOKENS_MAX 64
struct field_scratch {
	union {
		char text[512];
		const char *tokens[VALUE_TOKENS_MAX];
	};
};

/* What a value depends on: a format may keep what it made of it as long as that
 * is the same. */
enum field_scope {
	SCOPE_EVENT,
	SCOPE_STREAM,  /* the same in all events of a stream */
	SCOPE_KIND,    /* action, outcome and error */
	SCOPE_PROCESS, /* event.process alone: its serial */
};

struct field {
	const char *path;   /* dotted ECS name; the table is in the order of output,
			     * and fields of one object stand together */
	const char *column; /* heading on a terminal; NULL: not a column */
	uint8_t width;	    /* usual width of the column */
	uint8_t least;	    /* width below which it is of no use */
	bool right;	    /* aligned right: numbers */
	bool tail;	    /* what matters most is at its end: cut at the start */
	bool people;	    /* repeats other fields for the eye: in JSON only when asked for */
	bool cut;	    /* may be shortened where a line would be too long */
	bool secret;	    /* can hold passwords: format_options.no_args leaves it out */
	uint8_t scope;	    /* enum field_scope */
	uint16_t actions;   /* bit per enum event_action that it can apply to */
	struct value (*get)(const struct event *event, struct field_scratch *scratch);
	const char *help; /* one line, for people */
	/* Its names elsewhere; NULL: it is not there. */
	const char *otel; /* attribute of an OpenTelemetry log record; "/NAME": a member of
			   * the record itself, "/resource/NAME": of what it comes from */
	const char *ocsf; /* dotted path in OCSF's Network Activity; a place that two share
			   * tells the same: not both have a value, or it is equal */
	const char *sql;  /* column of the fleet's table */
};

extern const struct field field_table[];
extern const unsigned int field_count;

static inline bool field_applies(const struct field *field, enum event_action action)
{
	return field->actions >> action & 1;
}

/* The way to a value: get() is for events that the field applies to. */
static inline struct value field_value(const struct field *field, const struct event *event,
				       struct field_scratch *scratch)
{
	if (!field_applies(field, event->action))
		return (struct value){.kind = VALUE_ABSENT};
	return field->get(event, scratch);
}

/* By path or by column heading, in any case; NULL: there is none. */
const struct field *field_find(const char *name, size_t length);

#endif
