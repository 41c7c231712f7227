/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One JSON object a line, nested as the dotted paths of its members say: the members of a
 * format's operations for every format that is like that.
 */
#ifndef PORTSNOOP_TREE_H
#define PORTSNOOP_TREE_H

#include "format/format.h"

#define TREE_MEMBERS 255

struct tree_member {
	const char *path;
	const struct field *field; /* what its value is, and for which actions there is one */
};

/* The members in the order of output, those of an object together; they are not needed
 * afterwards, their fields are. NULL without memory, or when there are too many, or one is
 * too long or too deep, which the unit tests find out. */
struct format *tree_open(const struct tree_member *members, unsigned int count, size_t line_most);
void tree_begin(struct format *format, struct buffer *out); /* nothing */
void tree_event(struct format *format, const struct event *event, struct buffer *out);
void tree_close(struct format *format);

#endif
