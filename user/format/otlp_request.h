/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Lines of format_otlp_record put together to one request of OTLP/HTTP in JSON. Such a line
 * is whole in itself, so that each knows the machine that it is from:
 *
 *	{"resource":{...},"scopeLogs":[{"scope":{...},"logRecords":[{...}]}]}
 *
 * Neighbours from the same resource and scope go into one list.
 */
#ifndef PORTSNOOP_OTLP_REQUEST_H
#define PORTSNOOP_OTLP_REQUEST_H

#include "lib/buffer.h"

#define OTLP_RECORDS "\"logRecords\":["
#define OTLP_RECORDS_END "]}]}"

struct otlp_request {
	struct buffer *out;
	size_t last, last_length; /* what stands before the record in the line before */
	bool any;
};

void otlp_request_open(struct otlp_request *request, struct buffer *out);
/* With or without its newline. False: that is no such line, and nothing has happened. */
bool otlp_request_add(struct otlp_request *request, const char *line, size_t length);
void otlp_request_close(struct otlp_request *request);

#endif
