/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hostile bytes made harmless. What comes out is valid UTF-8 and has no control
 * character (C0, DEL, C1), no line or paragraph separator and no character that
 * is invisible or turns the direction of writing: it can neither forge a line nor
 * speak to a terminal.
 */
#ifndef PORTSNOOP_ESCAPE_H
#define PORTSNOOP_ESCAPE_H

#include "lib/buffer.h"

/* Inside of a JSON string: \" \\ and \u00XX. A byte that is not UTF-8 becomes
 * U+FFFD. */
void escape_json(struct buffer *out, const char *bytes, size_t length);

/* For people and CSV: each byte of what is harmful or not UTF-8 becomes \xNN, and
 * the backslash \\, so that nothing is ambiguous. */
void escape_plain(struct buffer *out, const char *bytes, size_t length);

/* Inside of a label's value of OpenMetrics: \" \\. What is harmful or not UTF-8 becomes
 * U+FFFD: there is no escape for it, and a name without such bytes stays what it is. */
void escape_label(struct buffer *out, const char *bytes, size_t length);

/* One character of UTF-8: its length, or 0 when the bytes are none. */
size_t utf8_length(const char *bytes, size_t length, uint32_t *character);

/* Columns that a character takes on a terminal: 0, 1 or 2. The C library's table
 * of the current locale says so; main() sets C.UTF-8. */
unsigned int utf8_columns(uint32_t character);

#endif
