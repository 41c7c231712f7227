/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A terminal that is redrawn in place: standard output, if it is one. */
#ifndef PORTSNOOP_SCREEN_H
#define PORTSNOOP_SCREEN_H

#include <stdbool.h>

#include "lib/buffer.h"

bool screen_wanted(void); /* it is a terminal that can move its cursor */

unsigned int screen_height(void); /* by now */

/* Readable when the size has changed, from now on; the caller's. Negative errno. */
int screen_resizes_open(void);

/* The frame as what redraws a terminal of `height` lines from its top, lines cut to `width`
 * columns, 0: they fit; `first`: what stood there before is kept above. */
void screen_put(struct buffer *out, const struct buffer *frame, unsigned int width,
		unsigned int height, bool first);

#endif
