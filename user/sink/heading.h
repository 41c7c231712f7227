/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the format of a sink writes before the first event: the first line of a file or of a
 * stream. */
#ifndef PORTSNOOP_SINK_HEADING_H
#define PORTSNOOP_SINK_HEADING_H

#include "sink/sink.h"

/* Appends it: nothing for most formats. */
void heading_make(const struct sink *sink, struct buffer *out);

#endif
