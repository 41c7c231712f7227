/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Writes a recording (user/stream/recording.h) to standard output: what a machine does in
 * so many seconds, much faster than it does.
 *
 * usage: stream CLAIMS SECONDS
 *
 * Of eight claims five are TCP connects to one of 2,000 servers, with their outcome, their
 * release and the end of TIME_WAIT 60 s later; two are UDP sockets that live 10 ms; one is a
 * bind that fails. 64 processes live all the time, and every tenth claim is the first of
 * a new process.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "../../user/stream/recording.h"
#include "../unit/records.h"

#define SECOND UINT64_C(1000000000)
#define LINGERING 65536 /* more than there are in a minute of what is asked for */
#define LONG_LIVED 64
#define SERVERS 2000

static struct {
	struct recording_frame frame;
	unsigned char payload[RECORDING_PAYLOAD_MOST];
} out;

static struct wire_event lingering[LINGERING];
static size_t first, last; /* of `lingering`, modulo LINGERING */
static uint64_t sent, claims;

static void bytes_write(const void *bytes, size_t size)
{
	if (fwrite(bytes, size, 1, stdout) != 1) {
		perror("stream");
		exit(EXIT_FAILURE);
	}
}

static void frame_write(void)
{
	if (!out.frame.length)
		return;
	out.frame.magic = RECORDING_FRAME_MAGIC;
	out.frame.crc = (uint32_t)crc32(0, out.payload, out.frame.length);
	bytes_write(&out, sizeof(out.frame) + out.frame.length);
	out.frame.length = 0;
	out.frame.number++;
}

static void bytes_append(const void *bytes, size_t size)
{
	memcpy(out.payload + out.frame.length, bytes, size);
	out.frame.length += (uint32_t)size;
}

static void record_append(struct wire_header *header, uint64_t time)
{
	if (out.frame.length + sizeof(struct wire_process) > RECORDING_PAYLOAD_MOST)
		frame_write();
	header->time = time;
	if (header->type < WIRE_STREAM_START)
		header->cpu_sequence = ++sent;
	bytes_append(header, header->size);
}

static void process_append(uint32_t pid, uint64_t time)
{
	static const char padding[8];
	struct wire_process process = record_process(pid, "client", "/usr/bin/client",
						     "client --url http://10.0.0.1/",
						     "/system.slice/client.service");
	const size_t fixed = offsetof(struct wire_process, exe);
	size_t used = (size_t)process.exe_length + process.args_length + process.path_length;
	size_t pad = -used & 7;

	if (out.frame.length + sizeof(process) > RECORDING_PAYLOAD_MOST)
		frame_write();
	process.header.size = (uint16_t)(fixed + used + pad);
	process.header.time = time;
	process.header.cpu_sequence = ++sent;
	bytes_append(&process, fixed);
	bytes_append(process.exe, process.exe_length);
	bytes_append(process.args, process.args_length);
	bytes_append(process.path, process.path_length);
	bytes_append(padding, pad);
}

/* Ends the TIME_WAIT of what was released a minute ago. */
static void linger_end(uint64_t now)
{
	while (first != last && lingering[first % LINGERING].header.time + 60 * SECOND <= now) {
		struct wire_event *event = &lingering[first++ % LINGERING];
		uint64_t begun = event->header.time;

		event->flags |= WIRE_TIME_WAIT_OVER;
		event->duration += 60 * SECOND;
		record_append(&event->header, begun + 60 * SECOND);
	}
}

static void connect_append(struct wire_event event, uint64_t time)
{
	uint32_t server = (uint32_t)(claims % SERVERS);

	event.trigger = WIRE_CONNECT;
	event.flags = WIRE_CLAIMED | WIRE_HAS_OTHER | WIRE_IN_PROGRESS;
	event.other_port = 443;
	memcpy(event.local, "\x0a\0\0\x02", 4);
	memcpy(event.other, "\x0a\1", 2);
	event.other[2] = (uint8_t)(server >> 8);
	event.other[3] = (uint8_t)server;
	record_append(&event.header, time);
	event.header.type = WIRE_OUTCOME;
	event.flags = WIRE_HAS_OTHER;
	event.duration = 2000000;
	record_append(&event.header, time + 2000000);
	event.header.type = WIRE_RELEASE;
	event.flags = WIRE_HAS_OTHER | WIRE_TIME_WAIT;
	event.duration = 5000000;
	record_append(&event.header, time + 5000000);
	if (last - first == LINGERING) {
		fprintf(stderr, "stream: more than %d in TIME_WAIT\n", LINGERING);
		exit(EXIT_FAILURE);
	}
	lingering[last++ % LINGERING] = event;
}

static void datagram_append(struct wire_event event, uint64_t time)
{
	event.trigger = WIRE_BIND;
	event.flags = WIRE_CLAIMED;
	event.protocol = 17;
	record_append(&event.header, time);
	event.header.type = WIRE_RELEASE;
	event.flags = 0;
	event.duration = 10000000;
	record_append(&event.header, time + 10000000);
}

static void failure_append(struct wire_event event, uint64_t time)
{
	event.trigger = WIRE_BIND;
	event.flags = WIRE_CLAIMED | WIRE_HAS_OTHER;
	event.origin = WIRE_ORIGIN_REQUESTED;
	event.error = EADDRINUSE;
	event.socket = 0;
	event.local_port = 0;
	event.other_port = 80;
	record_append(&event.header, time);
}

static void claim_append(uint64_t time)
{
	uint32_t pid = 1000 + (uint32_t)(claims % LONG_LIVED);
	struct wire_event event;

	if (claims % 10 == 0 || claims < LONG_LIVED) {
		if (claims >= LONG_LIVED)
			pid = 10000 + (uint32_t)(claims / 10);
		process_append(pid, time);
	}
	event = record_event(WIRE_CALL, 0, pid, "client");
	event.header.size = sizeof(event);
	event.socket = claims + 1;
	event.origin = WIRE_ORIGIN_KERNEL;
	event.local_port = (uint16_t)(32768 + claims * 7 % 28232);
	if (claims % 8 < 5)
		connect_append(event, time);
	else if (claims % 8 < 7)
		datagram_append(event, time);
	else
		failure_append(event, time);
	claims++;
}

static uint64_t number(const char *text)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (!value || *end) {
		fprintf(stderr, "stream: '%s': expected a number above 0\n", text);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	struct recording_header header = {
		.magic = RECORDING_MAGIC,
		.byte_order = RECORDING_BYTE_ORDER,
		.version = RECORDING_VERSION,
		.wire_version = WIRE_VERSION,
	};
	struct wire_stream_start start = record_start();
	struct wire_stream_end end = {
		.header = {.type = WIRE_STREAM_END, .size = sizeof(struct wire_stream_end)}};
	uint64_t count, spread, time = RECORDS_TIME;

	if (argc != 3) {
		fputs("usage: stream CLAIMS SECONDS\n", stderr);
		return 2;
	}
	count = number(argv[1]);
	spread = number(argv[2]) * SECOND / count;
	header.crc = (uint32_t)crc32(0, (const unsigned char *)&header,
				     offsetof(struct recording_header, crc));
	bytes_write(&header, sizeof(header));
	start.cpus = 1;
	record_append(&start.header, time);
	for (uint64_t i = 0; i < count; i++, time += spread) {
		linger_end(time);
		claim_append(time);
	}
	linger_end(time + 61 * SECOND);
	end.seen = sent;
	record_append(&end.header, time + 61 * SECOND);
	frame_write();
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
