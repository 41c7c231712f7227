/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/filter.h"

#include <stdlib.h>
#include <string.h>

#define PROTOCOL_MPTCP 262

void filter_free(struct filter *filter)
{
	free(filter->ports);
	free(filter->pids);
	free(filter->uids);
	free(filter->netns);
	free(filter->protocols);
	text_list_free(filter->comms);
	text_list_free(filter->cgroups);
	*filter = FILTER_ALL;
}

static bool ports_match(const struct port_set *ports, const struct wire_event *socket)
{
	/* The kernel erases the request of a bind that failed, but a socket that was
	 * bound before still has its port: both are what somebody looks for. */
	if (socket->trigger == WIRE_BIND && socket->error && socket->header.type == WIRE_CALL &&
	    socket->flags & WIRE_HAS_OTHER)
		return port_set_has(ports, socket->other_port) ||
		       (socket->local_port && port_set_has(ports, socket->local_port));
	return port_set_has(ports, socket->local_port);
}

static bool protocols_match(const struct number_list *protocols, const struct wire_event *socket)
{
	return number_list_has(protocols, socket->protocol) ||
	       (socket->flags & WIRE_MPTCP && number_list_has(protocols, PROTOCOL_MPTCP));
}

static bool comms_match(const struct text_list *comms, const struct event *event)
{
	const char *comm = event->socket->comm;

	if (text_list_has(comms, comm, strnlen(comm, WIRE_COMM)))
		return true;
	/* A leader may have got a new name since its record; what the event shows
	 * counts. */
	return event->process && event->socket->tid != event->socket->pid &&
	       text_list_has(comms, event->process->comm, strlen(event->process->comm));
}

static bool cgroups_match(const struct text_list *cgroups, const struct process *process)
{
	if (!process || !process->cgroup)
		return false;
	for (size_t i = 0; i < cgroups->count; i++) {
		size_t length = strlen(cgroups->texts[i]); /* 0: the root */

		if (process->cgroup_length >= length &&
		    !memcmp(process->cgroup, cgroups->texts[i], length) &&
		    (process->cgroup_length == length || process->cgroup[length] == '/'))
			return true;
	}
	return false;
}

static bool pids_match(const struct number_list *pids, const struct event *event)
{
	return number_list_has(pids, event->socket->pid) ||
	       (event->process && event->process->root &&
		number_list_has(pids, event->process->root));
}

/* Conditions about the claimant: nobody's zeros must not pass for root's. */
static bool claimant_matches(const struct filter *filter, const struct event *event)
{
	const struct wire_event *socket = event->socket;

	if (!filter->pids && !filter->uids && !filter->comms && !filter->cgroups)
		return true;
	if (socket->flags & WIRE_NO_CLAIMANT)
		return false;
	if (filter->pids && !pids_match(filter->pids, event))
		return false;
	if (filter->uids && !number_list_has(filter->uids, socket->uid))
		return false;
	if (filter->comms && !comms_match(filter->comms, event))
		return false;
	return !filter->cgroups || cgroups_match(filter->cgroups, event->process);
}

bool filter_passes(const struct filter *filter, const struct event *event)
{
	const struct wire_event *socket = event->socket;

	if (!socket)
		return true;
	if (event->action == EVENT_RELEASED && !filter->release)
		return false;
	if (filter->failed && event->outcome != EVENT_FAILURE)
		return false;
	if (filter->ephemeral && socket->origin != WIRE_ORIGIN_KERNEL)
		return false;
	if (filter->family && filter->family != socket->family)
		return false;
	if (filter->triggers &&
	    (socket->trigger >= 32 || !(filter->triggers & 1u << socket->trigger)))
		return false;
	if (filter->ports && !ports_match(filter->ports, socket))
		return false;
	if (filter->netns && !number_list_has(filter->netns, socket->netns))
		return false;
	if (filter->protocols && !protocols_match(filter->protocols, socket))
		return false;
	return claimant_matches(filter, event);
}
