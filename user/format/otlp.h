/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Logs of OpenTelemetry in the JSON encoding of OTLP 1: ExportLogsServiceRequest. Numbers of
 * 64 bits are strings there.
 *
 * format_otlp makes a whole request of each event. A line of format_otlp_record is what the
 * event comes from, a tab, and the record alone: a sink puts the records of many lines into
 * one request with these.
 */
#ifndef PORTSNOOP_OTLP_H
#define PORTSNOOP_OTLP_H

#include "format/format.h"

struct otlp_request {
	struct buffer *out;
	const char *origin; /* of the record before, NULL: there is none */
	size_t origin_length;
};

/* Appends to `out`. The lines added must stay where they are until the end. */
void otlp_request_begin(struct otlp_request *request, struct buffer *out);
/* With or without its newline. False: it is no line of format_otlp_record. */
bool otlp_request_add(struct otlp_request *request, const char *line, size_t length);
void otlp_request_end(struct otlp_request *request);

#endif
