/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Writes the recordings that run.sh renders, into the folder named as the only
 * argument. What is in them is made up: every kind of record, each failure, and
 * names as nobody should choose them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/records.h"
#include "model/event.h"
#include "model/holding.h"
#include "stream/recording.h"

#define MILLISECOND UINT64_C(1000000)
#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

enum {
	TCP = 6,
	UDP = 17,
	ICMP = 1,
	SCTP = 132,
	UDPLITE = 136,
	MPTCP = 262,
};

struct writer {
	struct recording *recording;
	uint64_t time;
	uint64_t number[4]; /* of the last record, by CPU */
	uint32_t lost[4];
	uint64_t sent;
};

static void fail(const char *what)
{
	fprintf(stderr, "make_stream: %s\n", what);
	exit(1);
}

static void append(struct writer *writer, void *record)
{
	struct wire_header *header = record;

	if (recording_append(writer->recording, record, header->size))
		fail("cannot append");
}

/* A record of the kernel, 1 ms behind the one before. */
static void send(struct writer *writer, uint32_t cpu, void *record)
{
	struct wire_header *header = record;

	writer->time += MILLISECOND;
	header->time = writer->time;
	header->lost = writer->lost[cpu];
	header->cpu_sequence = record_number(cpu, ++writer->number[cpu]);
	writer->sent++;
	append(writer, record);
}

static void lose(struct writer *writer, uint32_t cpu, uint32_t count)
{
	writer->lost[cpu] += count;
	writer->number[cpu] += count;
}

static void user(struct writer *writer, uint32_t uid, const char *name)
{
	struct wire_user record = {.header = {.type = WIRE_USER, .size = sizeof(record)},
				   .uid = uid};

	strncpy(record.name, name, sizeof(record.name) - 1);
	append(writer, &record);
}

static void clock_step(struct writer *writer, int64_t by)
{
	struct wire_clock record = {
		.header = {.type = WIRE_CLOCK, .size = sizeof(record), .time = writer->time},
		.wall_offset = RECORDS_WALL - (int64_t)RECORDS_TIME + by,
	};

	append(writer, &record);
}

static void process(struct writer *writer, uint32_t cpu, uint32_t pid, const char *comm,
		    const char *exe, const char *args, const char *cgroup)
{
	struct wire_process record = record_process(pid, comm, exe, args, cgroup);

	send(writer, cpu, &record);
}

static void event(struct writer *writer, struct wire_event record)
{
	send(writer, record.pid % 4, &record);
}

static void begin(struct writer *writer, const char *folder, const char *name)
{
	struct wire_stream_start start = record_start();
	char path[4096];
	const char *why = "";

	*writer = (struct writer){.time = RECORDS_TIME};
	if (snprintf(path, sizeof(path), "%s/%s.rec", folder, name) >= (int)sizeof(path))
		fail("the folder's name is too long");
	if (recording_create(path, &writer->recording, &why)) {
		fprintf(stderr, "make_stream: %s: %s\n", path, why);
		exit(1);
	}
	start.coverage = ~(wire_u64)0x5;
	append(writer, &start);
	user(writer, 0, "root");
	user(writer, 1000, "dev");
}

/* `late`: lost behind the last record */
static void end(struct writer *writer, uint64_t late)
{
	struct wire_stream_end record = record_end(writer->sent + late, late);

	for (int i = 0; i < 4; i++) {
		record.lost += writer->lost[i];
		record.seen += writer->lost[i];
	}
	record.untracked = 2;
	record.unseen = 1;
	record.skipped = late ? UINT64_MAX : 0;
	append(writer, &record);
	if (recording_close(writer->recording))
		fail("cannot write");
}

static struct wire_event with_error(struct wire_event record, uint32_t error)
{
	record.error = error;
	record.flags &= ~(wire_u32)WIRE_IN_PROGRESS;
	return record;
}

static struct wire_event with_protocol(struct wire_event record, uint16_t protocol)
{
	record.protocol = protocol;
	if (protocol != TCP && protocol != MPTCP)
		record.flags &= ~(wire_u32)WIRE_IN_PROGRESS;
	return record;
}

static struct wire_event with_flags(struct wire_event record, uint32_t flags)
{
	record.flags |= flags;
	return record;
}

static struct wire_event listen_on(uint32_t pid, const char *comm, uint16_t port)
{
	struct wire_event record = record_event(WIRE_CALL, WIRE_LISTEN, pid, comm);

	record_local4(&record, "\0\0\0\0", port);
	return record;
}

static struct wire_event send_from(uint32_t pid, const char *comm, uint16_t port)
{
	struct wire_event record = record_event(WIRE_CALL, WIRE_SEND, pid, comm);

	record.protocol = UDP;
	record.origin = WIRE_ORIGIN_KERNEL;
	record.flags = WIRE_CLAIMED;
	record_local4(&record, "\0\0\0\0", port);
	record_other4(&record, "\xc0\0\x02\x35", 53);
	return record;
}

static struct wire_event release(struct wire_event record, uint64_t held, uint32_t flags)
{
	record.header.type = WIRE_RELEASE;
	record.duration = held;
	record.flags = (record.flags & WIRE_HAS_OTHER) | flags;
	return record;
}

static struct wire_event six(struct wire_event record)
{
	record.family = 6;
	memset(record.local, 0, 16);
	memset(record.other, 0, 16);
	return record;
}

static void claims_six(struct writer *writer)
{
	struct wire_event record = six(record_bind(10, "python3", 8080, 8080));

	event(writer, record); /* dual stack */
	record.flags |= WIRE_V6ONLY | WIRE_REUSEADDR | WIRE_REUSEPORT;
	event(writer, record);
	record = six(listen_on(10, "python3", 8080));
	event(writer, record);
	record = six(record_connect(WIRE_CALL, 11, "curl"));
	memcpy(record.local, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
	memcpy(record.other, "\x20\x01\x0d\xb8\0\x01\0\0\0\0\0\0\0\0\0\x50", 16);
	event(writer, record);
	/* v4-mapped: the socket's family is 6, the packets' is 4 */
	record_mapped(record.local, "\x0a\0\0\x01");
	record_mapped(record.other, "\xc0\0\x02\x50");
	event(writer, record);
	record = six(listen_on(10, "python3", 8081));
	record_mapped(record.local, "\0\0\0\0");
	event(writer, record);
}

static void claims(const char *folder)
{
	struct wire_event record;
	struct wire_process child;
	struct writer writer;

	begin(&writer, folder, "claims");
	process(&writer, 2, 10, "python3", "/usr/bin/python3.11", "python3 -m http.server 60002",
		"/system.slice/app.service");
	event(&writer, record_bind(10, "python3", 60002, 60002));
	event(&writer, listen_on(10, "python3", 60002));
	event(&writer, record_bind(10, "python3", 0, 41230));
	event(&writer, with_flags(record_bind(10, "python3", 0, 0), WIRE_BIND_NO_PORT));
	event(&writer, with_flags(record_bind(10, "python3", 50000, 50000), WIRE_RESERVED));
	record = with_flags(record_bind(10, "python3", 0, 45001), WIRE_OWN_RANGE);
	record.pool_low = 45000;
	record.pool_high = 45009;
	event(&writer, record);
	event(&writer, with_protocol(record_bind(10, "mosh-server", 60002, 60002), UDP));
	event(&writer, with_protocol(record_bind(10, "python3", 9, 9), UDPLITE));
	event(&writer, with_protocol(record_bind(10, "ping", 0, 7), ICMP));
	event(&writer, with_protocol(record_bind(10, "sctp_darn", 36412, 36412), SCTP));
	event(&writer, with_protocol(record_bind(10, "python3", 7, 7), 253));
	event(&writer, with_protocol(record_bind(10, "python3", 443, 443), MPTCP));
	record = listen_on(10, "python3", 46001); /* without a bind before */
	record.origin = WIRE_ORIGIN_KERNEL;
	record.flags = WIRE_CLAIMED;
	event(&writer, record);

	/* nobody told of process 11 */
	event(&writer, record_connect(WIRE_CALL, 11, "curl"));
	event(&writer, record_connect(WIRE_OUTCOME, 11, "curl"));
	event(&writer, release(record_connect(WIRE_CALL, 11, "curl"), 98765432100, WIRE_TIME_WAIT));
	event(&writer, release(record_connect(WIRE_CALL, 11, "curl"), 158765432100,
			       WIRE_TIME_WAIT | WIRE_TIME_WAIT_OVER));
	event(&writer, release(record_connect(WIRE_CALL, 11, "curl"), 4000000,
			       WIRE_TIME_WAIT | WIRE_ESTIMATED));
	event(&writer, release(record_connect(WIRE_CALL, 11, "curl"), 999, WIRE_DISCONNECT));
	event(&writer, release(record_bind(10, "python3", 60002, 60002), 90000000000000, 0));
	event(&writer, with_protocol(record_connect(WIRE_CALL, 11, "dig"), UDP));
	event(&writer, send_from(11, "dig", 53001));
	record = record_connect(WIRE_CALL, 11, "curl");
	record.trigger = WIRE_SEND;
	event(&writer, with_flags(record, WIRE_FASTOPEN));
	record.trigger = WIRE_SUBFLOW;
	event(&writer, with_flags(record, WIRE_MPTCP));
	record = record_connect(WIRE_CALL, 11, "nc");
	record_other4(&record, "\x0a\0\0\x01", 40000);
	event(&writer, with_flags(record, WIRE_SELF_CONNECT));
	claims_six(&writer);

	/* a thread; a container; a kernel thread; another program in the same process */
	process(&writer, 0, 12, "java", "/opt/java/bin/java", "java -jar app.jar",
		"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-"
		"pod1b2c3d4e_5f60_7182_93a4_b5c6d7e8f901.slice/cri-containerd-" ID ".scope");
	record = record_connect(WIRE_CALL, 12, "http-worker-1");
	record.tid = 44;
	record.device = 3;
	record.uid = 0;
	event(&writer, record);
	record = record_connect(WIRE_CALL, 13, "http-worker-1"); /* and no record of it */
	record.tid = 44;
	record.uid = 4711;
	event(&writer, record);
	child = record_process(14, "kworker/0:1", "", "", "/");
	child.flags = WIRE_KERNEL_THREAD;
	child.parent_pid = 0;
	memset(child.parent_comm, 0, sizeof(child.parent_comm));
	send(&writer, 1, &child);
	event(&writer, with_flags(record_bind(14, "kworker/0:1", 0, 700), WIRE_KERNEL_SOCKET));
	child = record_process(10, "nc", "/usr/bin/nc", "nc -l 4444", "/docker/" ID);
	child.exec = 2;
	child.namespace_pid = 1;
	child.flags = WIRE_EXE_DELETED;
	send(&writer, 2, &child);
	record = record_bind(10, "nc", 4444, 4444);
	record.exec = 2;
	event(&writer, record);

	/* from before the stream */
	record = record_event(WIRE_RELEASE, 0, 0, "");
	record.start = record.uid = record.exec = record.tid = record.cgroup = 0;
	record.flags = WIRE_NO_CLAIMANT;
	record_local4(&record, "\x7f\0\0\x01", 631);
	event(&writer, record);
	end(&writer, 0);
}

static void failures(const char *folder)
{
	static const uint32_t binds[] = {EADDRINUSE, EACCES, EINVAL, EPERM, EADDRNOTAVAIL, EAGAIN};
	static const uint32_t outcomes[] = {ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ECONNRESET,
					    EACCES};
	struct wire_event record;
	struct writer writer;

	begin(&writer, folder, "failures");
	process(&writer, 1, 21, "nginx", "/usr/sbin/nginx", "nginx", "/system.slice/nginx.service");
	for (size_t i = 0; i < sizeof(binds) / sizeof(binds[0]); i++)
		event(&writer, with_error(record_bind(21, "nginx", 80, 0), binds[i]));
	event(&writer, with_error(record_bind(21, "nginx", 0, 0), EADDRINUSE));
	/* bound already: it keeps its port, and tried for another one */
	record = with_error(record_bind(21, "nginx", 80, 8080), EINVAL);
	record.flags &= ~(wire_u32)WIRE_CLAIMED;
	event(&writer, record);
	/* the request could not be read */
	record = with_error(record_bind(21, "nginx", 0, 0), EFAULT);
	record.flags = 0;
	event(&writer, record);
	event(&writer, with_error(listen_on(21, "nginx", 80), EADDRINUSE));
	event(&writer, with_error(listen_on(21, "nginx", 0), EADDRINUSE));

	record = with_error(record_connect(WIRE_CALL, 22, "curl"), EADDRNOTAVAIL);
	record_local4(&record, "\0\0\0\0", 0);
	event(&writer, record);
	record.error = ENETUNREACH;
	record.flags &= ~(wire_u32)WIRE_CLAIMED;
	record.socket = 0;
	event(&writer, record);
	event(&writer, with_error(record_connect(WIRE_CALL, 22, "curl"), EISCONN));
	record = with_error(record_connect(WIRE_CALL, 22, "curl"), 524);
	record.flags = 0;
	event(&writer, record);
	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++)
		event(&writer, with_error(record_connect(WIRE_OUTCOME, 22, "curl"), outcomes[i]));
	event(&writer, with_flags(record_connect(WIRE_OUTCOME, 22, "curl"), WIRE_ABORTED));
	event(&writer, with_error(send_from(22, "dig", 0), EAGAIN));
	record = six(with_error(record_bind(21, "nginx", 80, 0), EADDRINUSE));
	record_mapped(record.other, "\x7f\0\0\x01");
	event(&writer, record);
	end(&writer, 0);
}

static void hostile(const char *folder)
{
	static const char *const names[] = {
		"\033[2J\033[1;1Hroot",
		"a\nb\r\tc",
		"\"}],\"x\":{\"",
		"a,b\"c",
		"\\x41\\",
		"=1+1",
		"\x7f\xc2\x9b"
		"31m",
		"\xe2\x80\xae"
		"gpj.exe",
		"\xff\xfe\xc3(",
		"\xe2\x80\xa8"
		"x",
		"  spaces ",
		"\xe6\x9d\xb1\xe4\xba\xac",
		"\xf0\x9f\x98\x80\xf0\x9f\x98\x80",
		"e\xcc\x81\xcc\x81\xcc\x81",
		"</script>",
		"",
	};
	struct wire_process bad;
	struct wire_event record;
	struct writer writer;

	begin(&writer, folder, "hostile");
	user(&writer, 1000, "dev\n\"\033[31m");
	for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[64];

		snprintf(path, sizeof(path), "/tmp/%s/x", names[i]);
		process(&writer, i % 4, 100 + i, names[i], path, names[i], path);
		record = record_bind(100 + i, names[i], (uint16_t)(2000 + i), (uint16_t)(2000 + i));
		event(&writer, record);
		record.tid = 99;
		event(&writer, with_error(record, EADDRINUSE));
	}
	/* a program that lives in memory and calls itself a path */
	bad = record_process(200, "sshd", "", "", "");
	record_component(bad.exe, &bad.exe_length, "memfd:/usr/sbin/sshd");
	bad.flags = WIRE_EXE_MEMORY | WIRE_EXE_DELETED | WIRE_CGROUP_UNREADABLE |
		    WIRE_ARGS_UNREADABLE;
	send(&writer, 0, &bad);
	event(&writer, record_bind(200, "sshd", 22, 22));
	/* all that a record can hold, and it was not enough */
	memset(bad.exe, '"', WIRE_EXE);
	memset(bad.args, '\n', WIRE_ARGS);
	memset(bad.path, 0x9b, WIRE_CGROUP);
	bad.exe[WIRE_EXE - 1] = bad.args[WIRE_ARGS - 1] = bad.path[WIRE_CGROUP - 1] = '\0';
	bad.exe_length = WIRE_EXE;
	bad.args_length = WIRE_ARGS;
	bad.path_length = WIRE_CGROUP;
	bad.flags = WIRE_EXE_CUT | WIRE_ARGS_CUT | WIRE_CGROUP_CUT;
	send(&writer, 0, &bad);
	event(&writer, record_bind(200, "sshd", 22, 22));
	/* names that only look like a container's or a unit's */
	process(&writer, 3, 203, "a", "/a", "a", "/docker/0123456789abcdef/evil\n.service");
	event(&writer, record_bind(203, "a", 1, 1));
	end(&writer, 0);
}

static void gaps(const char *folder)
{
	struct {
		struct wire_header header;
		uint64_t content;
	} unknown = {.header = {.type = 33, .size = sizeof(unknown)}};
	struct wire_event record = record_connect(WIRE_CALL, 31, "curl");
	struct writer writer;

	begin(&writer, folder, "gaps");
	lose(&writer, 3, 5); /* before its first one */
	event(&writer, record);
	event(&writer, record_connect(WIRE_OUTCOME, 31, "curl"));
	lose(&writer, 3, 1);
	process(&writer, 3, 31, "curl", "/usr/bin/curl", "curl", "/user.slice");
	lose(&writer, 3, 100000);
	event(&writer, record);
	send(&writer, 1, &unknown);
	lose(&writer, 1, 2);
	unknown.header.type = 34;
	send(&writer, 1, &unknown);

	/* the clock is set one hour back, then a record from before arrives */
	clock_step(&writer, -3600000000000);
	writer.time -= 2 * MILLISECOND;
	event(&writer, record);
	writer.time += 2 * MILLISECOND;
	event(&writer, record);
	unknown.header = (struct wire_header){.type = 99, .size = sizeof(unknown)};
	append(&writer, &unknown);
	event(&writer, record);
	end(&writer, 7);
}

static void heartbeats(const char *folder)
{
	struct wire_heartbeat record = record_heartbeat(0, 0);
	struct writer writer;

	begin(&writer, folder, "heartbeats");
	event(&writer, record_bind(21, "nginx", 80, 80));
	/* the totals of the kernel are ahead of the stream */
	record.seen = 4;
	record.header.time = writer.time += 20000 * MILLISECOND;
	append(&writer, &record);
	lose(&writer, 1, 2);
	event(&writer, record_bind(21, "nginx", 443, 443));
	record = record_heartbeat(4, 2);
	record.untracked = 2;
	record.header.time = writer.time += 20000 * MILLISECOND;
	append(&writer, &record);
	end(&writer, 0);
}

static struct wire_event on_socket(struct wire_event record, uint64_t socket)
{
	record.socket = socket;
	return record;
}

static struct wire_event refused(uint16_t port)
{
	return on_socket(with_error(record_bind(60, "late", port, 0), EADDRINUSE), 900);
}

static void seed(struct writer *writer, uint32_t pid, const char *comm, uint64_t socket,
		 uint8_t state, uint16_t port)
{
	struct wire_event record = record_seed(pid, comm, socket, state, port);

	send(writer, pid % 4, &record);
}

/* What the kernel listed: a socket without a peer. */
static void listed(struct writer *writer, uint32_t pid, const char *comm, uint8_t state,
		   uint16_t port)
{
	struct wire_blocker record = record_blocker(pid, comm, state, port);

	record.header.time = writer->time;
	append(writer, &record);
}

/* An accepted connection to 127.0.0.1, or what is left of it. */
static void listed_share(struct writer *writer, uint32_t pid, const char *comm, uint8_t state,
			 uint16_t port, uint16_t peer)
{
	struct wire_blocker record = record_blocker(pid, comm, state, port);

	record.header.time = writer->time;
	memcpy(record.local, "\x7f\0\0\x01", 4);
	memcpy(record.other, "\xc0\0\x02\x07", 4);
	record.other_port = peer;
	record.expires = state == HOLDING_TIME_WAIT ? 59991 : 0;
	append(writer, &record);
}

static void blocked_by_one(struct writer *writer)
{
	struct wire_event record = refused(8080);

	/* a listener; on one address, while all are wanted; handed on */
	event(writer, on_socket(record_bind(61, "nginx", 8080, 8080), 1));
	event(writer, on_socket(listen_on(61, "nginx", 8080), 1));
	writer->time += 1040 * MILLISECOND;
	event(writer, record);
	record = on_socket(record_bind(62, "redis", 6379, 6379), 2);
	record_local4(&record, "\x7f\0\0\x01", 6379);
	event(writer, record);
	event(writer, refused(6379));
	listed(writer, 63, "worker", HOLDING_LISTEN, 8080);
	event(writer, refused(8080));
	/* from before the stream, in three degrees of knowledge */
	event(writer, refused(631));
	listed(writer, 65, "sshd", HOLDING_LISTEN, 22);
	event(writer, refused(22));
	listed(writer, 0, "", HOLDING_CLOSE, 23);
	event(writer, refused(23));
	event(writer, refused(24));
	/* UDP; and a socket that another one keeps from listening */
	event(writer, on_socket(with_protocol(record_bind(66, "dnsmasq", 53, 53), UDP), 4));
	event(writer, with_protocol(refused(53), UDP));
	event(writer,
	      on_socket(with_flags(record_bind(60, "late", 8081, 8081), WIRE_REUSEADDR), 5));
	event(writer, on_socket(with_flags(record_bind(61, "a", 8081, 8081), WIRE_REUSEADDR), 6));
	event(writer, on_socket(with_flags(listen_on(61, "a", 8081), WIRE_REUSEADDR), 6));
	event(writer, on_socket(with_error(listen_on(60, "late", 8081), EADDRINUSE), 5));
	/* hostile names */
	event(writer, on_socket(record_bind(67, "\033[31m\n\"},{", 7000, 7000), 7));
	listed(writer, 68, "\xff\xe2\x80\xae,\r", HOLDING_CLOSE, 7000);
	event(writer, refused(7000));
}

static void blocked_by_connections(struct writer *writer)
{
	struct wire_event record = on_socket(record_connect(WIRE_CALL, 70, "curl"), 10);

	/* TIME_WAIT of a port that was claimed, to its end */
	record_local4(&record, "\x7f\0\0\x01", 9000);
	event(writer, record);
	event(writer, release(record, 5 * MILLISECOND, WIRE_TIME_WAIT));
	writer->time += 18766 * MILLISECOND;
	event(writer, refused(9000));
	writer->time += 41234 * MILLISECOND;
	event(writer, release(record, 60008 * MILLISECOND, WIRE_TIME_WAIT | WIRE_TIME_WAIT_OVER));
	event(writer, refused(9000));
	/* shares of a listener; and when it has gone, and they have not */
	event(writer, on_socket(record_bind(61, "nginx", 8443, 8443), 11));
	event(writer, on_socket(listen_on(61, "nginx", 8443), 11));
	for (int gone = 0; gone < 2; gone++) {
		listed_share(writer, 71, "worker", HOLDING_ESTABLISHED, 8443, 50001);
		listed_share(writer, 61, "nginx", HOLDING_FIN_WAIT2, 8443, 50002);
		if (!gone)
			listed(writer, 61, "nginx", HOLDING_LISTEN, 8443);
		listed_share(writer, 0, "", HOLDING_TIME_WAIT, 8443, 50003);
		event(writer, refused(8443));
		if (!gone)
			event(writer, release(on_socket(record_bind(61, "nginx", 8443, 8443), 11),
					      3 * MILLISECOND, 0));
	}
	listed_share(writer, 0, "", HOLDING_TIME_WAIT, 8443, 50003);
	event(writer, refused(8443));
	/* more than are named, and more than were listed */
	for (uint32_t i = 0; i < EVENT_BLOCKERS; i++) {
		struct wire_blocker blocker = record_blocker(100 + i, "many", HOLDING_CLOSE, 8500);

		blocker.header.time = writer->time;
		blocker.total = 70;
		append(writer, &blocker);
	}
	event(writer, refused(8500));
}

static void blocked_by_all(struct writer *writer)
{
	struct wire_event record;

	for (uint16_t port = 45000; port < 45010; port++) {
		uint32_t pid = port < 45007 ? 80 : 81;

		record = on_socket(record_connect(WIRE_CALL, pid, pid == 80 ? "ab" : "b\ncurl"),
				   port);
		record.local_port = port;
		record.pool_low = 45000;
		record.pool_high = 45009;
		event(writer, record);
	}
	record.socket = 46000;
	record.local_port = 0;
	event(writer, with_error(record, EADDRNOTAVAIL));
	record = refused(0);
	record.pool_low = 45000;
	record.pool_high = 45009;
	event(writer, record);
	/* the ledger has nothing of that pool */
	event(writer, with_error(send_from(60, "dig", 0), EAGAIN));
}

static void blocked(const char *folder)
{
	struct wire_event record;
	struct writer writer;

	begin(&writer, folder, "blocked");
	seed(&writer, 64, "cupsd\n", 3, HOLDING_LISTEN, 631);
	blocked_by_one(&writer);
	blocked_by_connections(&writer);
	blocked_by_all(&writer);
	/* the seed, released: who claimed it is not known */
	record = record_event(WIRE_RELEASE, 0, 0, "");
	record.socket = 3;
	record.start = record.uid = record.exec = record.tid = record.cgroup = 0;
	record.flags = WIRE_NO_CLAIMANT;
	record_local4(&record, "\0\0\0\0", 631);
	event(&writer, record);
	end(&writer, 0);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		fail("usage: make_stream FOLDER");
	claims(argv[1]);
	failures(argv[1]);
	hostile(argv[1]);
	gaps(argv[1]);
	heartbeats(argv[1]);
	blocked(argv[1]);
	return 0;
}
