/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `portsnoop record --status`: how the one that is recording fares. */
#ifndef PORTSNOOP_RECORD_STATUS_H
#define PORTSNOOP_RECORD_STATUS_H

#include "lib/buffer.h"
#include "service/client.h"

/*
 * Asks, and tells on stdout: a table, or one line of JSON, of each that records; if none
 * does, of the one that watches the longest. `place` NULL: that of this machine. Exit
 * status: 0; 1 nobody records, which is said; 2 somebody may, but cannot be asked, or
 * stdout cannot be written.
 */
int record_status_run(bool json, const struct service_place *place);

/* The two, for one of them. Pure, but for the time zone. */
void record_status_text(struct buffer *out, const struct service_report *report);
void record_status_json(struct buffer *out, const struct service_report *report);

/*
 * What is wrong, one by one: 0 ... RECORD_STATUS_PROBLEMS - 1. Appends words for people,
 * hostile bytes escaped; nothing if this is all right.
 */
#define RECORD_STATUS_PROBLEMS (6 + SERVICE_SINKS)
void record_status_problem(struct buffer *out, const struct service_status *status,
			   unsigned int which);

#endif
