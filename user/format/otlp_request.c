/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "format/otlp_request.h"

#define END_LENGTH (sizeof(OTLP_RECORDS_END) - 1)

void otlp_request_open(struct otlp_request *request, struct buffer *out)
{
	*request = (struct otlp_request){.out = out};
	buffer_text(out, "{\"resourceLogs\":[");
}

/* Where the records begin; NULL: nowhere. No text can look like it: its quotes would have
 * backslashes. */
static const char *records_of(const char *line, size_t length)
{
	const char *mark = memmem(line, length, OTLP_RECORDS, sizeof(OTLP_RECORDS) - 1);

	if (!mark || memcmp(line + length - END_LENGTH, OTLP_RECORDS_END, END_LENGTH) != 0)
		return NULL;
	mark += sizeof(OTLP_RECORDS) - 1;
	return mark <= line + length - END_LENGTH ? mark : NULL;
}

bool otlp_request_add(struct otlp_request *request, const char *line, size_t length)
{
	struct buffer *out = request->out;
	const char *records;
	size_t head;

	if (length && line[length - 1] == '\n')
		length--;
	records = records_of(line, length);
	if (!records)
		return false;
	head = (size_t)(records - line);
	if (request->any && head == request->last_length && !out->failed &&
	    !memcmp(out->data + request->last, line, head)) {
		buffer_byte(out, ',');
	} else {
		if (request->any)
			buffer_text(out, OTLP_RECORDS_END ",");
		request->last = out->length;
		request->last_length = head;
		buffer_append(out, line, head);
	}
	request->any = true;
	buffer_append(out, records, length - head - END_LENGTH);
	return true;
}

void otlp_request_close(struct otlp_request *request)
{
	if (request->any)
		buffer_text(request->out, OTLP_RECORDS_END);
	buffer_text(request->out, "]}");
}
