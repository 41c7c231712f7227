/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/field_get.h"
#include "model/message.h"
#include "model/text.h"

GET(pid)
{
	return known(event) ? number(event->socket->pid) : absent();
}

GET(entity_id)
{
	const struct wire_event *socket = event->socket;
	char *end = scratch->text;

	if (!known(event))
		return absent();
	for (int i = 0; i < 8 && event->stream->start.boot_id[i]; i++)
		*end++ = event->stream->start.boot_id[i];
	*end++ = ':';
	end = text_unsigned(end, socket->pid);
	*end++ = ':';
	end = text_unsigned(end, socket->start);
	*end++ = ':';
	end = text_unsigned(end, socket->exec);
	return text(scratch->text, (size_t)(end - scratch->text));
}

GET(process_name)
{
	return text_of(event_comm(event), WIRE_COMM);
}

GET(thread_id)
{
	if (!known(event) || event->socket->tid == event->socket->pid)
		return absent();
	return number(event->socket->tid);
}

GET(thread_name)
{
	if (!known(event) || event->socket->tid == event->socket->pid)
		return absent();
	return text_of(event->socket->comm, WIRE_COMM);
}

GET(executable)
{
	return event->process ? text(event->process->exe, event->process->exe_length) : absent();
}

GET(args)
{
	if (!event->process || !event->process->args_length)
		return absent();
	return (struct value){.kind = VALUE_TEXTS,
			      .text = {event->process->args, event->process->args_length}};
}

GET(parent_pid)
{
	return event->process ? number_if(event->process->parent_pid) : absent();
}

GET(parent_name)
{
	if (!event->process || !event->process->parent_pid)
		return absent();
	return text_of(event->process->parent_comm, WIRE_COMM);
}

GET(user_id)
{
	if (!known(event))
		return absent();
	return (struct value){.kind = VALUE_NUMERAL, .number = event->socket->uid};
}

GET(user_name)
{
	return event->user ? text(event->user, strlen(event->user)) : absent();
}

#define CONTAINER_GET(name)                                                                        \
	GET(container_##name)                                                                      \
	{                                                                                          \
		if (!event->process)                                                               \
			return absent();                                                           \
		return text_of(event->process->container.name,                                     \
			       sizeof(event->process->container.name));                            \
	}
CONTAINER_GET(id)
CONTAINER_GET(runtime)
CONTAINER_GET(pod)
CONTAINER_GET(unit)

GET(exe_flags)
{
	static const struct flag_name names[] = {
		{WIRE_EXE_DELETED, "deleted"},
		{WIRE_EXE_MEMORY, "memory"},
		{0},
	};

	return event->process ? flag_names(event->process->flags, names, scratch) : absent();
}

GET(incomplete)
{
	static const struct flag_name names[] = {
		{WIRE_EXE_CUT, "executable cut"},
		{WIRE_EXE_UNREADABLE, "executable unreadable"},
		{WIRE_ARGS_CUT, "args cut"},
		{WIRE_ARGS_UNREADABLE, "args unreadable"},
		{WIRE_CGROUP_CUT, "cgroup cut"},
		{WIRE_CGROUP_UNREADABLE, "cgroup unreadable"},
		{0},
	};

	return event->process ? flag_names(event->process->flags, names, scratch) : absent();
}

GET(cgroup)
{
	if (!event->process)
		return absent();
	return text(event->process->cgroup, event->process->cgroup_length);
}

/* Only where it differs: in a pid namespace of its own. */
GET(namespace_pid)
{
	if (!event->process || event->process->namespace_pid == event->process->key.pid)
		return absent();
	return number_if(event->process->namespace_pid);
}

GET(kernel_thread)
{
	if (!event->process || !(event->process->flags & WIRE_KERNEL_THREAD))
		return absent();
	return truth(true);
}

GET(process_unknown)
{
	if (!known(event))
		return token("predates");
	return event->process ? absent() : token("no-record");
}
