/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `record --metrics`: from what is counted to who asks for it. */
#ifndef PORTSNOOP_RECORD_METRICS_H
#define PORTSNOOP_RECORD_METRICS_H

#include "command/record.h"
#include "probe/session.h"

struct record_metrics;

/* What a page is made of; must outlive it. */
struct record_metrics_source {
	struct metrics *metrics;
	struct recorder *recorder;
	struct session *session;
	struct store *store;
	struct sinks *sinks; /* NULL: none */
	const uint64_t *lag; /* ns */
};

/* 0, or negative errno with `why` for people. */
int record_metrics_open(const struct endpoint *endpoint, const struct record_metrics_source *source,
			struct record_metrics **metrics, char *why, size_t size);
void record_metrics_close(struct record_metrics *metrics); /* NULL does nothing */

/* As metrics_server_...(); NULL: none. */
int record_metrics_fd(const struct record_metrics *metrics);
int record_metrics_timeout(const struct record_metrics *metrics);
int record_metrics_handle(struct record_metrics *metrics);
const char *record_metrics_url(const struct record_metrics *metrics);

#endif
