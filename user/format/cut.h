/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Lines that are longer than they may be. Only fields that say so (field.cut) are cut, the
 * longest ones first, all to the same length, with U+2026 where something is missing; what
 * tells one event from another stays whole. portsnoop.truncated names them.
 *
 * A line is rendered as always. If it is too long it is rendered again while its texts are
 * measured, and once more with what each may take then.
 */
#ifndef PORTSNOOP_CUT_H
#define PORTSNOOP_CUT_H

#include "lib/buffer.h"
#include "model/field.h"

#define CUT_TEXTS 8    /* fields of an event that may be cut */
#define CUT_ELLIPSIS 3 /* bytes of U+2026 */

struct format;

struct cut {
	struct event event; /* the one to render: with what is cut */
	size_t most;	    /* bytes that one text may take in the line; SIZE_MAX: measuring */
	unsigned int count; /* measured */
	const struct field *fields[CUT_TEXTS];
	size_t sizes[CUT_TEXTS];
	const char *names[CUT_TEXTS]; /* of those that are cut */
};

/* One line, or row. `cut` NULL: nothing is. */
typedef void cut_render(struct format *format, const struct event *event, struct buffer *out,
			struct cut *cut);

/* The line behind `start`, which was rendered without a cut and is longer than `line_most`, is
 * rendered again; then it is not, if what must not be cut leaves room. */
void cut_line(struct format *format, const struct event *event, struct buffer *out, size_t start,
	      size_t line_most, cut_render *render);

static inline void cut_check(struct format *format, const struct event *event, struct buffer *out,
			     size_t start, size_t line_most, cut_render *render)
{
	if (line_most && out->length - start > line_most && !out->failed)
		cut_line(format, event, out, start, line_most, render);
}

/* For the renderer: the text of a field takes so many bytes. */
void cut_measure(struct cut *cut, const struct field *field, size_t size);

/* Shortens what stands behind `start`, of which no character or escape is split, to `most`
 * bytes, the ellipsis among them; no less than that one. Escaped as by escape_json() and
 * escape_plain(). */
void cut_json(struct buffer *out, size_t start, size_t most);
void cut_plain(struct buffer *out, size_t start, size_t most);

#endif
