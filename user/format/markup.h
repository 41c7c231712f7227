/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * HTML and SVG, well-formed as XML. Tags are constants of ours that go straight to the
 * buffer; whatever else stands between or within them goes through here. What comes out of
 * markup_text() is harmless as text and as the value of a quoted attribute.
 */
#ifndef PORTSNOOP_MARKUP_H
#define PORTSNOOP_MARKUP_H

#include "lib/buffer.h"

/* Hostile bytes. More than MARKUP_MOST bytes, escaped as escape_plain() does, are cut, with an
 * ellipsis. */
#define MARKUP_MOST 160
void markup_text(struct buffer *out, const char *bytes, size_t length);
void markup_string(struct buffer *out, const char *text);

/* 1,234,567 */
void markup_number(struct buffer *out, uint64_t number);
/* "0 %", "0.4 %", "97 %"; of nothing "–". */
void markup_percent(struct buffer *out, double part, double whole);
/* "0.25", "12.3", "1,234" */
void markup_rate(struct buffer *out, double rate);
/* "12.3ms" */
void markup_duration(struct buffer *out, uint64_t ns);
/* Local time, to the second: "2026-11-21 14:32:07". */
void markup_time(struct buffer *out, int64_t ns);
/* As strftime() has it; a constant. */
void markup_time_as(struct buffer *out, int64_t ns, const char *format);

#endif
