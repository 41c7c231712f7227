/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * usage: make_fleet FILE HOST CLAIMS [PORTS]
 *
 * Writes the recording of a host that does not exist: a web server that talks to its data
 * bases and to the outside, with name look-ups, commands that come and go, connections that
 * are refused, a port that is taken already, a minute without a free port toward one
 * destination, and a loss. The same for each HOST every time, and another one for each.
 * PORTS: so many there are for the kernel to choose from.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/records.h"
#include "stream/recording.h"

#define US UINT64_C(1000)
#define MS (1000 * US)
#define SECOND (1000 * MS)
#define STEP (50 * MS) /* between two claims, on average */
#define CPUS 4
#define TCP 6
#define UDP 17
#define LONE_PIDS 50000 /* of commands, from here on */
#define POOL_LOW 32768
#define POOL_HIGH 60999

struct program {
	const char *comm, *exe, *args, *cgroup;
	uint32_t uid, pid;
	const char *destination; /* four bytes */
	uint16_t port;
	uint64_t held; /* ns, about */
};

#define POD                                                                                        \
	"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-"                             \
	"pod1b2c3d4e_5f60_7182_93a4_b5c6d7e8f901.slice/cri-containerd-"                            \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope"

static struct program programs[] = {
	{"nginx", "/usr/sbin/nginx", "nginx: worker process", "/system.slice/nginx.service", 33,
	 801, "\x0a\x14\x01\x02", 8080, 40 * MS},
	{"nginx", "/usr/sbin/nginx", "nginx: worker process", "/system.slice/nginx.service", 33,
	 802, "\x0a\x14\x01\x02", 8080, 40 * MS},
	{"java", "/opt/java/bin/java", "java -Xmx2g -jar /srv/shop/shop.jar --port 8080", POD, 1000,
	 2210, "\x0a\x14\x02\x05", 5432, 900 * SECOND},
	{"java", "/opt/java/bin/java", "java -Xmx2g -jar /srv/shop/shop.jar --port 8080", POD, 1000,
	 2210, "\x0a\x14\x02\x07", 6379, 2 * SECOND},
	{"php-fpm8.2", "/usr/sbin/php-fpm8.2", "php-fpm: pool www",
	 "/system.slice/php8.2-fpm.service", 33, 950, "\x0a\x14\x02\x06", 3306, 120 * MS},
	{"node", "/usr/bin/node", "node /srv/api/server.js", "/system.slice/api.service", 1001,
	 1400, "\xc6\x33\x64\x14", 443, 5 * SECOND},
	{"telegraf", "/usr/bin/telegraf", "/usr/bin/telegraf -config /etc/telegraf/telegraf.conf",
	 "/system.slice/telegraf.service", 999, 700, "\x0a\x14\x00\x09", 8086, 30 * MS},
};
#define PROGRAMS (sizeof(programs) / sizeof(programs[0]))

union record {
	struct wire_header header;
	struct wire_event event;
	struct wire_process process;
};

struct fleet {
	union record **records; /* of the kernel, to be sorted */
	size_t count, room;
	uint64_t random, time, socket;
	char address[4];
	uint16_t port, port_most;
	uint32_t lone; /* commands so far */
};

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "make_fleet: %s: %s\n", what, why);
	exit(1);
}

static uint64_t draw(struct fleet *fleet, uint64_t below)
{
	fleet->random ^= fleet->random << 13;
	fleet->random ^= fleet->random >> 7;
	fleet->random ^= fleet->random << 17;
	return (fleet->random >> 11) % below;
}

/* Mostly less, at times much more. */
static uint64_t about(struct fleet *fleet, uint64_t mean)
{
	uint64_t part = 1 + draw(fleet, 1000);

	return mean * part / 1000 * (1 + (draw(fleet, 10) == 0) * 7) / 2 + draw(fleet, 1000);
}

static void add(struct fleet *fleet, const void *record, size_t size, uint64_t time)
{
	union record *copy = calloc(1, sizeof(*copy));

	if (fleet->count == fleet->room) {
		fleet->room = fleet->room ? fleet->room * 2 : 4096;
		fleet->records = realloc(fleet->records, fleet->room * sizeof(fleet->records[0]));
	}
	if (!copy || !fleet->records)
		fail("records", "no memory");
	memcpy(copy, record, size);
	copy->header.time = time;
	fleet->records[fleet->count++] = copy;
}

static void add_event(struct fleet *fleet, struct wire_event event, uint64_t time)
{
	add(fleet, &event, sizeof(event), time);
}

static void add_process(struct fleet *fleet, const struct program *program, uint64_t time)
{
	struct wire_process process = record_process(program->pid, program->comm, program->exe,
						     program->args, program->cgroup);

	process.uid = process.gid = program->uid;
	strcpy(process.parent_comm, "systemd");
	process.parent_pid = 1;
	add(fleet, &process, sizeof(process), time);
}

static struct wire_event event_of(struct fleet *fleet, const struct program *program, uint16_t type,
				  uint8_t trigger)
{
	struct wire_event event = record_event(type, trigger, program->pid, program->comm);

	event.uid = program->uid;
	event.socket = fleet->socket;
	return event;
}

static uint16_t free_port(struct fleet *fleet)
{
	fleet->port = (uint16_t)(fleet->port + 2 + 2 * draw(fleet, 40));
	if (fleet->port > fleet->port_most || fleet->port < POOL_LOW)
		fleet->port = (uint16_t)(POOL_LOW + draw(fleet, 32) * 2);
	return fleet->port;
}

static void connection(struct fleet *fleet, const struct program *program, uint32_t error)
{
	uint64_t answered = about(fleet, 800 * US), held = about(fleet, program->held) + answered;
	struct wire_event event;

	fleet->socket++;
	event = event_of(fleet, program, WIRE_CALL, WIRE_CONNECT);
	event.origin = WIRE_ORIGIN_KERNEL;
	event.flags = WIRE_CLAIMED | WIRE_IN_PROGRESS;
	record_local4(&event, fleet->address, free_port(fleet));
	record_other4(&event, program->destination, program->port);
	if (error == EADDRNOTAVAIL) {
		event.flags = WIRE_CLAIMED | WIRE_HAS_OTHER;
		event.origin = WIRE_ORIGIN_NONE;
		event.error = error;
		record_local4(&event, "\0\0\0\0", 0);
		add_event(fleet, event, fleet->time);
		return;
	}
	add_event(fleet, event, fleet->time);
	event.header.type = WIRE_OUTCOME;
	event.flags = WIRE_HAS_OTHER;
	event.duration = answered;
	event.error = error;
	add_event(fleet, event, fleet->time + answered);
	event.header.type = WIRE_RELEASE;
	event.error = 0;
	event.duration = error ? answered + 20 * US : held;
	if (!error && draw(fleet, 3)) { /* the other side is the one that waits, at times */
		event.flags |= WIRE_TIME_WAIT;
		add_event(fleet, event, fleet->time + held);
		event.flags |= WIRE_TIME_WAIT_OVER;
		event.duration = held + 60 * SECOND + draw(fleet, 4 * MS);
	}
	add_event(fleet, event, fleet->time + event.duration);
}

static void look_up(struct fleet *fleet, const struct program *program)
{
	uint64_t held = about(fleet, 3 * MS);
	struct wire_event event;

	fleet->socket++;
	event = event_of(fleet, program, WIRE_CALL, WIRE_SEND);
	event.protocol = UDP;
	event.origin = WIRE_ORIGIN_KERNEL;
	event.flags = WIRE_CLAIMED;
	record_local4(&event, "\0\0\0\0", free_port(fleet));
	record_other4(&event, "\x0a\x14\x00\x35", 53);
	add_event(fleet, event, fleet->time);
	event.header.type = WIRE_RELEASE;
	event.flags = WIRE_HAS_OTHER;
	event.duration = held;
	add_event(fleet, event, fleet->time + held);
}

static void listener(struct fleet *fleet, const struct program *program, uint16_t port,
		     uint32_t error)
{
	struct wire_event event;

	fleet->socket++;
	event = event_of(fleet, program, WIRE_CALL, WIRE_BIND);
	event.origin = WIRE_ORIGIN_REQUESTED;
	event.flags = WIRE_CLAIMED;
	event.error = error;
	record_local4(&event, "\0\0\0\0", error ? 0 : port);
	record_other4(&event, "\0\0\0\0", port);
	add_event(fleet, event, fleet->time++);
	if (error)
		return;
	event.trigger = WIRE_LISTEN;
	event.flags = 0;
	add_event(fleet, event, fleet->time++);
}

/* A command that lives as long as its connection. */
static void command(struct fleet *fleet)
{
	struct program curl = {.comm = "curl",
			       .exe = "/usr/bin/curl",
			       .args = "curl -s https://updates.example.org/check",
			       .cgroup = "/system.slice/cron.service",
			       .pid = LONE_PIDS + fleet->lone++,
			       .destination = "\xcb\x00\x71\x07",
			       .port = 443,
			       .held = 200 * MS};

	add_process(fleet, &curl, fleet->time - 1);
	look_up(fleet, &curl);
	connection(fleet, &curl, 0);
}

static void claim(struct fleet *fleet, size_t number)
{
	const struct program *program = &programs[draw(fleet, PROGRAMS)];
	unsigned int what = (unsigned int)draw(fleet, 1000);

	fleet->time += about(fleet, STEP);
	if (number % 1000 > 960 && what < 300)
		connection(fleet, &programs[0], EADDRNOTAVAIL);
	else if (what < 5)
		listener(fleet, &programs[5], 8080, EADDRINUSE);
	else if (what < 20)
		command(fleet);
	else if (what < 50)
		connection(fleet, program, ECONNREFUSED);
	else if (what < 250)
		look_up(fleet, program);
	else
		connection(fleet, program, 0);
}

static void host_live(struct fleet *fleet, size_t claims)
{
	for (size_t i = 0; i < PROGRAMS; i++)
		if (!i || programs[i].pid != programs[i - 1].pid)
			add_process(fleet, &programs[i], ++fleet->time);
	fleet->time++;
	listener(fleet, &programs[0], 80, 0);
	listener(fleet, &programs[0], 443, 0);
	listener(fleet, &programs[2], 8080, 0);
	for (size_t i = 0; i < claims; i++)
		claim(fleet, i);
}

static int record_compare(const void *a, const void *b)
{
	const union record *const *one = a, *const *other = b;

	return ((*one)->header.time > (*other)->header.time) -
	       ((*one)->header.time < (*other)->header.time);
}

static void append(struct recording *recording, const void *record)
{
	const struct wire_header *header = record;

	if (recording_append(recording, record, header->size))
		fail("recording", "cannot append");
}

static void user(struct recording *recording, uint32_t uid, const char *name)
{
	struct wire_user record = {.header = {.type = WIRE_USER, .size = sizeof(record)},
				   .uid = uid};

	strncpy(record.name, name, sizeof(record.name) - 1);
	append(recording, &record);
}

static void host_write(struct fleet *fleet, struct recording *recording)
{
	struct wire_stream_end end = record_end(fleet->count + 3, 3);
	uint64_t numbers[CPUS] = {0};
	uint32_t lost[CPUS] = {0};

	for (size_t i = 0; i < fleet->count; i++) {
		union record *record = fleet->records[i];
		uint32_t cpu = (uint32_t)draw(fleet, CPUS);

		if (i == fleet->count / 2) {
			lost[cpu] += 3;
			numbers[cpu] += 3;
		}
		record->header.lost = lost[cpu];
		record->header.cpu_sequence = record_number(cpu, ++numbers[cpu]);
		append(recording, record);
		free(record);
	}
	end.header.time = fleet->time + 4000 * SECOND;
	append(recording, &end);
	free(fleet->records);
}

int main(int argc, char **argv)
{
	struct wire_stream_start start = record_start();
	struct fleet fleet = {.random = 88172645463325252, .time = RECORDS_TIME};
	struct recording *recording;
	const char *why = "";

	if (argc < 4 || argc > 5)
		fail("usage", "make_fleet FILE HOST CLAIMS [PORTS]");
	for (const char *byte = argv[2]; *byte; byte++) {
		fleet.random = (fleet.random ^ (uint8_t)*byte) * 0x100000001b3;
		draw(&fleet, 2);
	}
	fleet.time += draw(&fleet, 10 * SECOND);
	fleet.port_most = (uint16_t)(argc == 5 ? POOL_LOW + 2 * atoi(argv[4]) : POOL_HIGH);
	for (size_t i = 0, more = draw(&fleet, 20000); i < PROGRAMS; i++)
		programs[i].pid += (uint32_t)more;
	snprintf(start.boot_id, sizeof(start.boot_id), "%08x-0d5e-4b7a-9c1d-2e8f4a6b0c3d",
		 (unsigned int)draw(&fleet, UINT32_MAX));
	start.header.time = fleet.time;
	start.id = fleet.random;
	memcpy(fleet.address, "\x0a\x10\x00\x00", 4);
	fleet.address[2] = (char)draw(&fleet, 250);
	fleet.address[3] = (char)(1 + draw(&fleet, 250));
	memset(start.host, 0, sizeof(start.host));
	strncpy(start.host, argv[2], sizeof(start.host) - 1);
	start.tier = WIRE_TIER_FENTRY;
	if (recording_create(argv[1], &recording, &why))
		fail(argv[1], why);
	append(recording, &start);
	user(recording, 0, "root");
	user(recording, 33, "www-data");
	user(recording, 1000, "shop");
	user(recording, 1001, "api");
	user(recording, 999, "telegraf");
	host_live(&fleet, (size_t)atol(argv[3]));
	qsort(fleet.records, fleet.count, sizeof(fleet.records[0]), record_compare);
	host_write(&fleet, recording);
	return recording_close(recording) ? 1 : 0;
}
