/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * OpenTelemetry logs: OTLP/HTTP in JSON. A batch is one request, whose answer is its receipt.
 * What comes again after a connection broke is known by the record's log.record.uid.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format/otlp_request.h"
#include "lib/clock.h"
#include "sink/sink_http.h"

#define LINGER_MS 1000
#define NS_PER_S INT64_C(1000000000)

struct otlp {
	struct http *http;
	struct http_answer answer;
	struct buffer body;
	int64_t not_before; /* CLOCK_MONOTONIC, ns: the other end has asked for so much patience */
};

static void otlp_free(struct sink *sink)
{
	struct otlp *otlp = sink->state;

	if (!otlp)
		return;
	http_free(otlp->http);
	http_answer_free(&otlp->answer);
	buffer_free(&otlp->body);
	free(otlp);
	sink->state = NULL;
}

static int otlp_prepare(struct sink *sink)
{
	struct otlp *otlp = calloc(1, sizeof(*otlp));

	sink->state = otlp;
	if (!otlp)
		return sink_fail(sink, -ENOMEM, "no memory");
	return sink_http_new(sink, http_new, &otlp->http);
}

/* Connections are made when something is sent. */
static int otlp_open(struct sink *sink)
{
	struct otlp *otlp = sink->state;
	int64_t left = otlp->not_before - clock_ns(CLOCK_MONOTONIC);

	if (left <= 0)
		return 0;
	return sink_fail(sink, -EBUSY, "HTTP status %u: asks to be left alone for %" PRId64 " s",
			 otlp->answer.status, left / NS_PER_S + 1);
}

static void otlp_close(struct sink *sink)
{
	(void)sink;
}

/* ---- what the other end says ---- */

/* Of the answer's text its first line, for people. */
static int answer_length(const struct http_answer *answer)
{
	size_t length = 0;

	while (length < answer->body.length && length < CHANNEL_WHY &&
	       (unsigned char)answer->body.data[length] >= ' ')
		length++;
	return (int)length;
}

/*
 * Of a partial success, how many records the other end does not take: an int64, which
 * protobuf's JSON writes as a text and others as a number. A text within the answer cannot
 * look like the key: its quotes would have backslashes.
 */
static uint64_t answer_rejected(const struct http_answer *answer)
{
	static const char key[] = "\"rejectedLogRecords\"";
	const char *text, *end;
	uint64_t number = 0;

	if (!answer->body.length)
		return 0;
	end = answer->body.data + answer->body.length;
	text = memmem(answer->body.data, answer->body.length, key, sizeof(key) - 1);
	if (!text)
		return 0;
	text += sizeof(key) - 1;
	while (text < end && strchr(" \t\r\n:\"", *text) && *text)
		text++;
	for (; text < end && *text >= '0' && *text <= '9' && number < UINT32_MAX; text++)
		number = number * 10 + (uint64_t)(*text - '0');
	return number;
}

/* Whether another request with the same records would be answered otherwise some day: because
 * the other end is busy, or its operator or ours mends something. Else they are wrong. */
static bool status_passes(unsigned int status)
{
	static const unsigned int of_request[] = {401, 402, 403, 404, 405, 406, 407, 408, 409,
						  411, 415, 417, 421, 423, 425, 426, 429, 451};

	for (size_t i = 0; i < sizeof(of_request) / sizeof(of_request[0]); i++)
		if (status == of_request[i])
			return true;
	return status < 400 || status >= 500;
}

static int otlp_judge(struct sink *sink, size_t count)
{
	struct otlp *otlp = sink->state;
	const struct http_answer *answer = &otlp->answer;
	uint64_t rejected;

	if (answer->status / 100 == 2) {
		rejected = answer_rejected(answer);
		sink->rejected += rejected < count ? rejected : count;
		if (rejected)
			sink_fail(sink, 0, "%" PRIu64 " records rejected: %.*s", rejected,
				  answer_length(answer), answer->body.data);
		return 0;
	}
	sink_fail(sink, 0, "HTTP status %u%s%.*s", answer->status, answer->body.length ? ": " : "",
		  answer_length(answer), answer->body.data ? answer->body.data : "");
	if (!status_passes(answer->status))
		return -EBADMSG;
	otlp->not_before = clock_ns(CLOCK_MONOTONIC) + answer->retry_after * NS_PER_S;
	return -EBUSY;
}

static ssize_t otlp_send(struct sink *sink, const struct frame *frames, size_t *count)
{
	struct otlp *otlp = sink->state;
	struct otlp_request request;
	size_t taken = 0;
	int error;

	buffer_reset(&otlp->body);
	otlp_request_open(&request, &otlp->body);
	while (taken < *count &&
	       otlp_request_add(&request, frames[taken].bytes, frames[taken].size))
		taken++;
	otlp_request_close(&request);
	if (!taken) {
		*count = 1;
		return sink_fail(sink, -EBADMSG, "what the spool has kept is no record of OTLP");
	}
	if (otlp->body.failed)
		return sink_fail(sink, -ENOMEM, "no memory");
	error = http_post(otlp->http, sink->spec->url, "application/json", otlp->body.data,
			  otlp->body.length, &otlp->answer, sink->why, sizeof(sink->why));
	if (otlp->body.capacity > FRAME_MOST)
		buffer_free(&otlp->body);
	if (!error)
		error = otlp_judge(sink, taken);
	*count = taken;
	return error ? error : (ssize_t)taken;
}

const struct sink_ops sink_otlp = {
	.prepare = otlp_prepare,
	.open = otlp_open,
	.send = otlp_send,
	.close = otlp_close,
	.free = otlp_free,
	.linger_ms = LINGER_MS,
};
