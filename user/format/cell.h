/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Cells of a table on a terminal. Texts are escaped already (lib/escape.h). */
#ifndef PORTSNOOP_CELL_H
#define PORTSNOOP_CELL_H

#include "lib/buffer.h"

unsigned int cell_columns(const char *bytes, size_t length); /* of the terminal */

/* Appends the text in exactly `width` columns, unless it is the last cell, which is not
 * padded. What is too long is cut with an ellipsis, with `tail` at its start. width 0: as
 * it is. */
void cell_fit(struct buffer *out, const char *bytes, size_t length, unsigned int width, bool right,
	      bool tail, bool last);

void cell_spaces(struct buffer *out, unsigned int count);

#endif
