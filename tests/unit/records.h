/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Records as the kernel's side would send them, for tests and for the recordings
 * that they use. Every one is well-formed; a test spoils what it wants. */
#ifndef PORTSNOOP_RECORDS_H
#define PORTSNOOP_RECORDS_H

#include <portsnoop/wire.h>
#include <stddef.h>
#include <string.h>

#define RECORDS_ID 0x00c0ffee12345678u
#define RECORDS_TIME 1000000000000u	 /* CLOCK_MONOTONIC of the stream's start */
#define RECORDS_WALL 1795271527000000000 /* 2026-11-21T14:32:07Z at that moment */
#define RECORDS_NETNS 4026531840u

static inline struct wire_stream_start record_start(void)
{
	return (struct wire_stream_start){
		.header = {.type = WIRE_STREAM_START,
			   .size = sizeof(struct wire_stream_start),
			   .time = RECORDS_TIME},
		.wall_offset = RECORDS_WALL - (wire_s64)RECORDS_TIME,
		.id = RECORDS_ID,
		.coverage = ~(wire_u64)0,
		.version = WIRE_VERSION,
		.tier = WIRE_TIER_TRACEPOINT,
		.cpus = 4,
		.ring_bytes = 8 << 20,
		.own_netns = RECORDS_NETNS,
		.host = "web1",
		.kernel = "6.12.0",
		.boot_id = "7f3a91c2-0d5e-4b7a-9c1d-2e8f4a6b0c3d",
		.program = "0.1.0",
	};
}

/* Appends to a path of wire.h: call with the components from the last to the first. */
static inline void record_component(char *list, wire_u16 *length, const char *text)
{
	memcpy(list + *length, text, strlen(text) + 1);
	*length = (wire_u16)(*length + strlen(text) + 1);
}

/* An absolute path into its components, leaf first. */
static inline void record_path(char *list, wire_u16 *length, const char *path)
{
	const char *end = path + strlen(path);

	*length = 0;
	while (end > path) {
		const char *start = end;

		while (start > path && start[-1] != '/')
			start--;
		memcpy(list + *length, start, (size_t)(end - start));
		*length = (wire_u16)(*length + (end - start));
		list[(*length)++] = '\0';
		end = start - 1;
	}
}

/* `args` is separated by single spaces. */
static inline struct wire_process record_process(wire_u32 pid, const char *comm, const char *exe,
						 const char *args, const char *cgroup)
{
	struct wire_process process = {
		.header = {.type = WIRE_PROCESS,
			   .size = sizeof(struct wire_process),
			   .time = RECORDS_TIME + 1},
		.start = 1000000u + pid,
		.cgroup = 77,
		.parent_start = 500000,
		.pid = pid,
		.exec = 1,
		.namespace_pid = pid,
		.parent_pid = 900,
		.uid = 1000,
		.gid = 1000,
		.parent_comm = "bash",
	};

	strncpy(process.comm, comm, WIRE_COMM - 1);
	record_path(process.exe, &process.exe_length, exe);
	record_path(process.path, &process.path_length, cgroup);
	if (*args) {
		record_component(process.args, &process.args_length, args);
		for (char *at = process.args; *at; at++)
			if (*at == ' ')
				*at = '\0';
	}
	return process;
}

static inline struct wire_event record_event(wire_u16 type, wire_u8 trigger, wire_u32 pid,
					     const char *comm)
{
	struct wire_event event = {
		.header = {.type = type,
			   .size = sizeof(struct wire_event),
			   .time = RECORDS_TIME + 1000000},
		.socket = 4097,
		.start = 1000000u + pid,
		.cgroup = 77,
		.pid = pid,
		.tid = pid,
		.uid = 1000,
		.exec = 1,
		.netns = RECORDS_NETNS,
		.pool_low = 32768,
		.pool_high = 60999,
		.unprivileged = 1024,
		.protocol = 6,
		.family = 4,
		.trigger = trigger,
	};

	strncpy(event.comm, comm, WIRE_COMM - 1);
	return event;
}

static inline void record_local4(struct wire_event *event, const char address[4], wire_u16 port)
{
	memset(event->local, 0, sizeof(event->local));
	memcpy(event->local, address, 4);
	event->local_port = port;
}

static inline void record_other4(struct wire_event *event, const char address[4], wire_u16 port)
{
	memset(event->other, 0, sizeof(event->other));
	memcpy(event->other, address, 4);
	event->other_port = port;
	event->flags |= WIRE_HAS_OTHER;
}

/* ::ffff:a.b.c.d */
static inline void record_mapped(wire_u8 bytes[16], const char address[4])
{
	memset(bytes, 0, 16);
	bytes[10] = bytes[11] = 0xff;
	memcpy(bytes + 12, address, 4);
}

static inline struct wire_event record_bind(wire_u32 pid, const char *comm, wire_u16 wanted,
					    wire_u16 got)
{
	struct wire_event event = record_event(WIRE_CALL, WIRE_BIND, pid, comm);

	event.origin = wanted ? WIRE_ORIGIN_REQUESTED : WIRE_ORIGIN_KERNEL;
	event.flags = WIRE_CLAIMED;
	record_local4(&event, "\0\0\0\0", got);
	record_other4(&event, "\0\0\0\0", wanted);
	return event;
}

static inline struct wire_event record_connect(wire_u16 type, wire_u32 pid, const char *comm)
{
	struct wire_event event = record_event(type, WIRE_CONNECT, pid, comm);

	event.origin = WIRE_ORIGIN_KERNEL;
	if (type == WIRE_CALL)
		event.flags = WIRE_CLAIMED | WIRE_IN_PROGRESS;
	else
		event.duration = 1234567;
	record_local4(&event, "\x0a\0\0\x01", 40000);
	record_other4(&event, "\xc0\0\x02\x50", 443);
	return event;
}

/* A socket of before the stream, in `state` of net/tcp_states.h; `pid` holds it. */
static inline struct wire_event record_seed(wire_u32 pid, const char *comm, wire_u64 socket,
					    wire_u8 state, wire_u16 port)
{
	struct wire_event event = record_event(WIRE_SEED, 0, pid, comm);

	event.socket = socket;
	event.state = state;
	record_local4(&event, "\0\0\0\0", port);
	return event;
}

/* `pid` 0: no process has it open. */
static inline struct wire_blocker record_blocker(wire_u32 pid, const char *comm, wire_u8 state,
						 wire_u16 port)
{
	struct wire_blocker blocker = {
		.header = {.type = WIRE_BLOCKER,
			   .size = sizeof(struct wire_blocker),
			   .time = RECORDS_TIME + 1000000},
		.inode = pid ? 5000u + port : 0,
		.start = pid ? 1000000u + pid : 0,
		.pid = pid,
		.holders = pid != 0,
		.netns = RECORDS_NETNS,
		.uid = 1000,
		.protocol = 6,
		.local_port = port,
		.family = 4,
		.state = state,
	};

	strncpy(blocker.comm, comm, WIRE_COMM - 1);
	return blocker;
}

static inline struct wire_heartbeat record_heartbeat(wire_u64 seen, wire_u64 lost)
{
	return (struct wire_heartbeat){
		.header = {.type = WIRE_HEARTBEAT,
			   .size = sizeof(struct wire_heartbeat),
			   .time = RECORDS_TIME + 30000000000u},
		.seen = seen,
		.lost = lost,
	};
}

static inline struct wire_stream_end record_end(wire_u64 seen, wire_u64 lost)
{
	return (struct wire_stream_end){
		.header = {.type = WIRE_STREAM_END,
			   .size = sizeof(struct wire_stream_end),
			   .time = RECORDS_TIME + 60000000000u},
		.seen = seen,
		.lost = lost,
	};
}

static inline wire_u64 record_number(wire_u32 cpu, wire_u64 number)
{
	return (wire_u64)cpu << WIRE_SEQUENCE_BITS | number;
}

#endif
