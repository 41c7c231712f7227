/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the ledger knows of an event. */
#include "model/blocked.h"
#include "model/field_get.h"
#include "model/message.h"

/* ---- the objects of portsnoop.blocked_by ---- */

#define MEMBER(name)                                                                               \
	static struct value member_##name(const struct event *event __attribute__((unused)),       \
					  unsigned int index,                                      \
					  struct field_scratch *scratch __attribute__((unused)))

static const struct blocked_entry *entry_of(const struct event *event, unsigned int index)
{
	return &event->blocked->entries[index];
}

static struct value pid_value(const struct lease_process *process, struct value unknown)
{
	return process->key.pid ? number(process->key.pid) : unknown;
}

/* Without a pid there is no name; a name can be empty. */
static struct value name_value(const struct lease_process *process, struct value unknown)
{
	return process->key.pid
		       ? (struct value){.kind = VALUE_TEXT,
					.text = {process->comm, strnlen(process->comm, WIRE_COMM)}}
		       : unknown;
}

MEMBER(pid)
{
	return pid_value(&entry_of(event, index)->process, null());
}

MEMBER(name)
{
	return name_value(&entry_of(event, index)->process, null());
}

MEMBER(role)
{
	return token(blocked_role_name(entry_of(event, index)->role));
}

MEMBER(holder_pid)
{
	return pid_value(&entry_of(event, index)->holder, absent());
}

MEMBER(holder_name)
{
	return name_value(&entry_of(event, index)->holder, absent());
}

MEMBER(state)
{
	return token(entry_of(event, index)->state);
}

MEMBER(since)
{
	struct value since = time_of(event, entry_of(event, index)->since);

	return since.kind == VALUE_ABSENT ? null() : since;
}

MEMBER(expires_ms)
{
	return number_if(entry_of(event, index)->expires / 1000000);
}

MEMBER(local_ip)
{
	const struct blocked_entry *entry = entry_of(event, index);

	return entry->local_port ? address(entry->local, entry->family) : absent();
}

MEMBER(local_port)
{
	return number_if(entry_of(event, index)->local_port);
}

MEMBER(remote_ip)
{
	const struct blocked_entry *entry = entry_of(event, index);

	return entry->other_port ? address(entry->other, entry->family) : absent();
}

MEMBER(remote_port)
{
	return number_if(entry_of(event, index)->other_port);
}

MEMBER(ports)
{
	return number_if(entry_of(event, index)->ports);
}

static const struct member blocked_members[] = {
	{"pid", member_pid},
	{"name", member_name},
	{"role", member_role},
	{"holder.pid", member_holder_pid},
	{"holder.name", member_holder_name},
	{"state", member_state},
	{"since", member_since},
	{"expires_ms", member_expires_ms},
	{"local.ip", member_local_ip},
	{"local.port", member_local_port},
	{"remote.ip", member_remote_ip},
	{"remote.port", member_remote_port},
	{"ports", member_ports},
};

static unsigned int blocked_count(const struct event *event)
{
	return event->blocked->count;
}

static const struct object_list blocked_list = {
	.members = blocked_members,
	.member_count = sizeof(blocked_members) / sizeof(blocked_members[0]),
	.count = blocked_count,
	.summary = message_blocked,
};

/* ---- fields ---- */

GET(blocked_by)
{
	if (!event->blocked)
		return absent();
	return (struct value){.kind = VALUE_OBJECTS, .objects = {&blocked_list, event}};
}

GET(blocked_by_total)
{
	return event->blocked ? number(event->blocked->total) : absent();
}

GET(blocked_by_unlisted)
{
	return event->blocked ? number_if(event->blocked->unlisted) : absent();
}

GET(blocked_by_reason)
{
	return event->blocked ? token(event->blocked->reason) : absent();
}

GET(lingered)
{
	return number_if(event->lingered);
}

GET(holder_pid)
{
	return event->holder ? number(event->holder->key.pid) : absent();
}

GET(holder_name)
{
	return event->holder ? name_value(event->holder, absent()) : absent();
}
