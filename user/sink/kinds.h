/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What each kind of sink is made of. */
#ifndef PORTSNOOP_SINK_KINDS_H
#define PORTSNOOP_SINK_KINDS_H

#include "sink/sink.h"

const struct sink_ops *sink_kind_ops(enum sink_kind kind);

/* How its frames are written: as its kind has to, or as was asked for it, or as `usual`
 * (--format), or as ECS. */
const struct format_ops *sink_format(const struct sink_spec *spec, const struct format_ops *usual);

#endif
