/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For whoever fills in a struct service_status. */
#ifndef PORTSNOOP_SERVICE_STATUS_H
#define PORTSNOOP_SERVICE_STATUS_H

#include <stdbool.h>

#include "service/protocol.h"
#include "sink/sinks.h"
#include "store/store.h"

/* What /proc says of the calling process; not told if it cannot be read. */
void service_status_process(struct service_status *status);

/* What a store tells. `path`: of its database. */
void service_status_store(struct service_status *status, const struct store_status *store,
			  const char *path);

/* What the sinks tell. */
void service_status_sinks(struct service_status *status, const struct sink_report *reports,
			  size_t count);

/* To be called last. Makes of the texts what the protocol wants; `all` false: takes out
 * what is not for everybody. */
void service_status_settle(struct service_status *status, bool all);

#endif
