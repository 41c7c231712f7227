/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "fleet/record.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "lib/parse.h"
#include "model/event.h"
#include "model/message.h"
#include "store/wanted.h"

#define ERRNO_MAX 4095
#define NAME_ROOM 64

static bool is(const struct history_text *text, const char *word)
{
	return wanted_text(text, word);
}

static bool text_copy(const struct history_text *text, char room[NAME_ROOM])
{
	if (text->length >= NAME_ROOM || (text->length && memchr(text->data, 0, text->length)))
		return false;
	memcpy(room, text->length ? text->data : "", text->length);
	room[text->length] = 0;
	return true;
}

static bool trigger_read(const struct history_text *name, uint8_t *trigger)
{
	*trigger = 0;
	if (!name->length)
		return true;
	for (unsigned int i = WIRE_BIND; i <= WIRE_SUBFLOW; i++)
		if (is(name, trigger_name(i)))
			*trigger = (uint8_t)i;
	return *trigger;
}

/* EADDRINUSE, or a number that has no name. */
static bool error_read(const struct history_text *name, uint32_t *error)
{
	uint64_t number = 0;
	char room[NAME_ROOM];

	*error = 0;
	if (!name->length)
		return true;
	if (!text_copy(name, room))
		return false;
	if (parse_unsigned(room, 1, ERRNO_MAX, &number))
		for (number = ERRNO_MAX; number; number--) {
			const char *known = errno_name((uint32_t)number);

			if (known && !strcmp(known, room))
				break;
		}
	*error = (uint32_t)number;
	return number;
}

/* What has no name in the table is 0. */
static bool protocol_read(const struct history_text *name, uint16_t *protocol)
{
	char room[NAME_ROOM];
	const char *expected;

	*protocol = 0;
	if (!name->length || is(name, "dccp"))
		return true;
	if (is(name, "ipv6-icmp")) {
		*protocol = IPPROTO_ICMPV6;
		return true;
	}
	return text_copy(name, room) && !parse_protocol(room, protocol, &expected);
}

static bool address_read(const struct history_text *text, uint8_t family, uint8_t bytes[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	char room[NAME_ROOM];
	uint8_t four[4];

	if (!text_copy(text, room))
		return false;
	if (family == 4)
		return inet_pton(AF_INET, room, bytes) == 1;
	if (inet_pton(AF_INET6, room, bytes) == 1)
		return true;
	/* as it stands in the packets of an IPv6 socket */
	if (inet_pton(AF_INET, room, four) != 1)
		return false;
	memcpy(bytes, mapped, sizeof(mapped));
	memcpy(bytes + 12, four, sizeof(four));
	return true;
}

/* The socket's own address tells; what it asked for or was connected to may. */
static uint8_t family_of(const struct answer_row *row)
{
	const struct history_text *known[] = {&row->local_ip, &row->requested_ip, &row->remote_ip};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i]->length)
			return memchr(known[i]->data, ':', known[i]->length) ? 6 : 4;
	return 4;
}

static bool places_read(const struct answer_row *row, struct wire_event *record)
{
	bool bind = record->header.type == WIRE_CALL && record->trigger == WIRE_BIND;
	const struct history_text *other = bind ? &row->requested_ip : &row->remote_ip;

	record->family = family_of(row);
	record->local_port = (uint16_t)row->local_port;
	if (row->local_ip.length && !address_read(&row->local_ip, record->family, record->local))
		return false;
	if (!other->length)
		return true;
	record->flags |= WIRE_HAS_OTHER;
	record->other_port = (uint16_t)(bind ? row->requested_port : row->remote_port);
	return address_read(other, record->family, record->other);
}

/* "BOOT:PID:START:EXEC" */
static void identity_read(const struct answer_row *row, struct wire_event *record)
{
	unsigned long long start;
	unsigned int pid, exec;
	char room[NAME_ROOM];

	record->pid = (uint32_t)row->pid;
	record->uid = (uint32_t)row->uid;
	if (!row->pid) {
		record->flags |= WIRE_NO_CLAIMANT;
		return;
	}
	if (text_copy(&row->entity, room) &&
	    sscanf(room, "%*[^:]:%u:%llu:%u", &pid, &start, &exec) == 3 && pid == record->pid) {
		record->start = start;
		record->exec = exec;
	}
}

static bool type_read(const struct answer_row *row, struct wire_event *record)
{
	const bool failed = is(&row->outcome, "failure");

	record->header.type = WIRE_CALL;
	if (is(&row->action, "connection-established") || is(&row->action, "connection-failed")) {
		record->header.type = WIRE_OUTCOME;
		if (failed && !record->error)
			record->flags |= WIRE_ABORTED;
		return failed == is(&row->action, "connection-failed");
	}
	if (is(&row->action, "released-port")) {
		record->header.type = WIRE_RELEASE;
		return true;
	}
	if (is(&row->outcome, "unknown"))
		record->flags |= WIRE_IN_PROGRESS;
	return record->trigger && failed == (record->error != 0) &&
	       (is(&row->action, "bound-socket") || is(&row->action, "connected-to") ||
		is(&row->action, "listen-for-connections") || is(&row->action, "autobound-socket"));
}

static uint32_t time_wait_flags(const struct history_text *time_wait)
{
	if (is(time_wait, "over"))
		return WIRE_TIME_WAIT | WIRE_TIME_WAIT_OVER;
	if (is(time_wait, "estimated"))
		return WIRE_TIME_WAIT | WIRE_ESTIMATED;
	return time_wait->length ? WIRE_TIME_WAIT : 0;
}

bool record_make(const struct answer_row *row, struct wire_event *record)
{
	*record = (struct wire_event){
		.header = {.size = sizeof(*record), .time = row->time},
		.socket = row->socket,
		.duration = row->duration,
		.netns = (uint32_t)row->netns,
		.flags = time_wait_flags(&row->time_wait) | (row->claimed ? WIRE_CLAIMED : 0),
	};
	if (!trigger_read(&row->trigger, &record->trigger) ||
	    !error_read(&row->error, &record->error) ||
	    !protocol_read(&row->transport, &record->protocol) || !type_read(row, record) ||
	    !places_read(row, record))
		return false;
	if (is(&row->origin, "requested"))
		record->origin = WIRE_ORIGIN_REQUESTED;
	else if (is(&row->origin, "kernel"))
		record->origin = WIRE_ORIGIN_KERNEL;
	identity_read(row, record);
	return true;
}
