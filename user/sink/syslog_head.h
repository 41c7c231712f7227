/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What RFC 5424 wants in front of a message. The program makes it, which knows the event;
 * for the courier it is a part of the frame:
 *
 *	<28>1 2026-11-21T14:32:07.123456Z web1 portsnoop 7f3a0c5e11d2b846 bound-socket - {...}
 *
 * The facility is daemon. The host is the event's, also in a replay; PROCID is the stream,
 * as in event.id: what changes when counting begins anew. There are no structured data: the
 * record has it all, and its names are registered with nobody. No byte order mark: it would
 * stand before the brace of JSON.
 */
#ifndef PORTSNOOP_SINK_SYSLOG_HEAD_H
#define PORTSNOOP_SINK_SYSLOG_HEAD_H

#include "lib/buffer.h"
#include "model/event.h"

/* Appends it, up to and with the space before the message. */
void syslog_head(const struct event *event, struct buffer *out);

#endif
