/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/message.h"

#include <string.h>

#include "model/blocked.h"
#include "model/classify.h"
#include "model/text.h"

#define GAP_SINK_MOST 200 /* of its name */

enum {
	PROTOCOL_ICMP = 1,
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
	PROTOCOL_DCCP = 33,
	PROTOCOL_ICMP6 = 58,
	PROTOCOL_SCTP = 132,
	PROTOCOL_UDPLITE = 136,
	PROTOCOL_MPTCP = 262,
};

const char *errno_name(uint32_t error)
{
	return strerrorname_np((int)error);
}

const char *event_transport(const struct wire_event *socket)
{
	switch (socket->protocol) {
	case PROTOCOL_TCP:
	case PROTOCOL_MPTCP:
		return "tcp";
	case PROTOCOL_UDP:
		return "udp";
	case PROTOCOL_UDPLITE:
		return "udplite";
	case PROTOCOL_ICMP:
		return "icmp";
	case PROTOCOL_ICMP6:
		return "ipv6-icmp";
	case PROTOCOL_SCTP:
		return "sctp";
	case PROTOCOL_DCCP:
		return "dccp";
	}
	return NULL;
}

uint16_t event_port(const struct event *event)
{
	const struct wire_event *socket = event->socket;

	/* the number of a ping socket is an identifier, and no port */
	if (socket->protocol == PROTOCOL_ICMP || socket->protocol == PROTOCOL_ICMP6)
		return 0;
	if (socket->local_port || event->action != EVENT_BOUND || !socket->error ||
	    !(socket->flags & WIRE_HAS_OTHER))
		return socket->local_port;
	return socket->other_port;
}

bool event_in_pool(const struct wire_event *socket, uint16_t port)
{
	return port >= socket->pool_low && port <= socket->pool_high &&
	       !(socket->flags & WIRE_RESERVED);
}

const uint8_t *event_packet_address(const uint8_t *bytes, uint8_t *family)
{
	if (!address_mapped(bytes, *family))
		return bytes;
	*family = 4;
	return bytes + 12;
}

const char *event_comm(const struct event *event)
{
	if (event->socket->flags & WIRE_NO_CLAIMANT)
		return "";
	if (event->socket->tid == event->socket->pid)
		return event->socket->comm;
	return event->process ? event->process->comm : "";
}

static char *put(char *out, const char *text)
{
	size_t length = strlen(text);

	memcpy(out, text, length);
	return out + length;
}

static char *put_bounded(char *out, const char *text, size_t size)
{
	size_t length = strnlen(text, size);

	memcpy(out, text, length);
	return out + length;
}

static char *put_error(char *out, uint32_t error)
{
	const char *name = errno_name(error);

	return name ? put(out, name) : text_unsigned(put(out, "errno "), error);
}

static char *put_protocol(char *out, const struct wire_event *socket)
{
	const char *name = event_transport(socket);

	if (socket->protocol == PROTOCOL_MPTCP || socket->flags & WIRE_MPTCP)
		name = "mptcp";
	return name ? put(out, name) : text_unsigned(out, socket->protocol);
}

/* "web[42]", "web[42/43]" for a thread that is not the leader */
static char *put_subject(char *out, const struct event *event)
{
	const struct wire_event *socket = event->socket;
	const char *comm = event_comm(event);

	if (socket->flags & WIRE_NO_CLAIMANT)
		return put(out, "an unknown process");
	/* with no name of the process that of its thread says more than nothing */
	out = put_bounded(out, *comm ? comm : socket->comm, WIRE_COMM);
	*out++ = '[';
	out = text_unsigned(out, socket->pid);
	*out++ = ']';
	return out;
}

static char *put_packet_endpoint(char *out, const uint8_t *bytes, uint8_t family, uint16_t port)
{
	bytes = event_packet_address(bytes, &family);
	return text_endpoint(out, bytes, family, port);
}

static char *put_local(char *out, const struct wire_event *socket)
{
	return text_endpoint(out, socket->local, socket->family, socket->local_port);
}

/* "tcp 10.0.0.1:40000 -> 192.0.2.1:80", and what of it is known */
static char *put_path(char *out, const struct wire_event *socket)
{
	out = put_protocol(out, socket);
	if (socket->local_port) {
		*out++ = ' ';
		out = put_packet_endpoint(out, socket->local, socket->family, socket->local_port);
	}
	if (socket->flags & WIRE_HAS_OTHER) {
		out = put(out, " -> ");
		out = put_packet_endpoint(out, socket->other, socket->family, socket->other_port);
	}
	return out;
}

static char *put_bind(char *out, const struct wire_event *socket)
{
	out = put(out, socket->error ? " could not bind " : " bound ");
	out = put_protocol(out, socket);
	*out++ = ' ';
	if (socket->error && socket->flags & WIRE_HAS_OTHER)
		out = text_endpoint(out, socket->other, socket->family, socket->other_port);
	else if (socket->local_port || socket->error)
		out = put_local(out, socket);
	else
		out = put(text_address(out, socket->local, socket->family), ", port follows");
	return out;
}

/* "held 1m38s", "held 2m38s, 60.0s of it TIME_WAIT" */
static char *put_held(char *out, const struct event *event)
{
	out = text_duration(put(out, "held "), event->socket->duration);
	if (event->lingered)
		out = put(text_duration(put(out, ", "), event->lingered), " of it TIME_WAIT");
	return out;
}

static char *put_release(char *out, const struct event *event)
{
	const struct wire_event *socket = event->socket;

	out = put(out, " released ");
	out = put_protocol(out, socket);
	*out++ = ' ';
	out = put_local(out, socket);
	if (socket->flags & WIRE_TIME_WAIT)
		out = put(out, socket->flags & WIRE_TIME_WAIT_OVER ? " from TIME_WAIT"
								   : " into TIME_WAIT");
	return socket->duration ? put_held(put(out, ", "), event) : out;
}

static char *put_process(char *out, const struct lease_process *process)
{
	if (!process->key.pid)
		return put(out, "an unknown process");
	out = put_bounded(out, process->comm, WIRE_COMM);
	*out++ = '[';
	out = text_unsigned(out, process->key.pid);
	*out++ = ']';
	return out;
}

/* The address only where it is not the one that was wanted. */
static bool address_wanted(const struct wire_event *failure, const struct blocked_entry *entry)
{
	return entry->family == failure->family &&
	       !memcmp(entry->local,
		       failure->trigger == WIRE_BIND ? failure->other : failure->local,
		       sizeof(entry->local));
}

/* "nginx[812] (listen, 3.2s)", "ab[77] (28231 ports, 12.3s)" */
static char *put_blocked_entry(char *out, const struct event *event,
			       const struct blocked_entry *entry)
{
	out = put(put_process(out, &entry->process), " (");
	if (entry->state) {
		out = put(out, entry->state);
		if (!address_wanted(event->socket, entry))
			out = text_endpoint(put(out, " on "), entry->local, entry->family,
					    entry->local_port);
		if (entry->other_port)
			out = text_endpoint(put(out, " to "), entry->other, entry->family,
					    entry->other_port);
	} else {
		out = text_unsigned(out, entry->ports);
		out = put(out, entry->ports == 1 ? " port" : " ports");
	}
	if (entry->expires)
		out = put(text_duration(put(out, ", "), entry->expires), " left");
	else if (entry->since && entry->since < event->blocked->time)
		out = text_duration(put(out, ", "), event->blocked->time - entry->since);
	if (entry->holder.key.pid)
		out = put_process(put(out, ", open in "), &entry->holder);
	*out++ = ')';
	return out;
}

size_t message_blocked(const struct event *event, char *start)
{
	const struct blocked *blocked = event->blocked;
	char *out = start;

	if (!blocked || !blocked->count)
		return 0;
	out = put_blocked_entry(out, event, &blocked->entries[0]);
	if (blocked->total > 1 || blocked->unlisted) {
		out = text_unsigned(put(out, " +"), blocked->total - 1);
		out = put(out, blocked->unlisted ? " or more" : " more");
	}
	return (size_t)(out - start);
}

static char *put_socket_event(char *out, const struct event *event)
{
	const struct wire_event *socket = event->socket;

	out = put_subject(out, event);
	switch (event->action) {
	case EVENT_BOUND:
		out = put_bind(out, socket);
		break;
	case EVENT_LISTEN:
		out = put(out, socket->error ? " could not listen on " : " listens on ");
		out = put_protocol(out, socket);
		*out++ = ' ';
		out = put_local(out, socket);
		break;
	case EVENT_RELEASED:
		out = put_release(out, event);
		break;
	default:
		if (event->action == EVENT_AUTOBOUND)
			out = put(out, socket->error ? " could not autobind " : " autobound ");
		else if (socket->error)
			out = put(out, " failed to connect ");
		else if (event->action == EVENT_FAILED)
			out = put(out, " gave up connecting ");
		else if (event->action == EVENT_ESTABLISHED)
			out = put(out, " established ");
		else if (event->outcome == EVENT_UNKNOWN)
			out = put(out, " connecting ");
		else
			out = put(out, " connected ");
		out = put_path(out, socket);
		break;
	}
	if (socket->error)
		out = put_error(put(out, ": "), socket->error);
	if (event->blocked && event->blocked->count) {
		out = put(out, ", held by ");
		out += message_blocked(event, out);
	}
	return out;
}

size_t message_sentence(const struct event *event, char *start)
{
	char *out = start;

	switch (event->action) {
	case EVENT_LOST:
		out = text_unsigned(put(out, "lost "), event->gap->count);
		if (event->gap->sink) {
			out = put(out, event->gap->count == 1 ? " event" : " events");
			out = put(out, ": no room for the sink ");
			out = put_bounded(out, event->gap->sink, GAP_SINK_MOST);
			break;
		}
		out = put(out, event->gap->count == 1 ? " record" : " records");
		if (event->gap->cpu != EVENT_CPU_UNKNOWN)
			out = text_unsigned(put(out, " on CPU "), event->gap->cpu);
		else
			out = put(out, " before the end");
		break;
	case EVENT_START:
		out = put(out, "watching ports on ");
		out = put_bounded(out, event->stream->start.host,
				  sizeof(event->stream->start.host));
		out = put(out, ", kernel ");
		out = put_bounded(out, event->stream->start.kernel,
				  sizeof(event->stream->start.kernel));
		break;
	case EVENT_END:
		out = text_unsigned(put(out, "stopped watching: "), event->end->seen);
		out = text_unsigned(put(out, " records seen, "), event->end->lost);
		out = put(out, " lost");
		break;
	case EVENT_HEARTBEAT:
		out = text_unsigned(put(out, "still watching: "), event->heartbeat->seen);
		out = text_unsigned(put(out, " records seen, "), event->heartbeat->lost);
		out = put(out, " lost");
		break;
	default:
		out = put_socket_event(out, event);
		break;
	}
	return (size_t)(out - start);
}

const char *message_verb(const struct event *event)
{
	static const char *const verbs[EVENT_ACTIONS] = {
		[EVENT_BOUND] = "bind",	      [EVENT_CONNECTED] = "connect",
		[EVENT_LISTEN] = "listen",    [EVENT_AUTOBOUND] = "send",
		[EVENT_ESTABLISHED] = "open", [EVENT_FAILED] = "failed",
		[EVENT_RELEASED] = "release",
	};

	return verbs[event->action];
}

size_t message_protocol(const struct event *event, char *out)
{
	return (size_t)(put_protocol(out, event->socket) - out);
}

size_t message_local(const struct event *event, char *out)
{
	const struct wire_event *socket = event->socket;

	if (event->action == EVENT_BOUND && socket->error && !socket->local_port &&
	    socket->flags & WIRE_HAS_OTHER)
		return (size_t)(text_endpoint(out, socket->other, socket->family,
					      socket->other_port) -
				out);
	if (!socket->local_port && socket->error)
		return 0;
	return (size_t)(put_local(out, socket) - out);
}

size_t message_remote(const struct event *event, char *out)
{
	const struct wire_event *socket = event->socket;

	if (event->action == EVENT_BOUND || socket->trigger == WIRE_BIND ||
	    !(socket->flags & WIRE_HAS_OTHER))
		return 0;
	return (size_t)(text_endpoint(out, socket->other, socket->family, socket->other_port) -
			out);
}

size_t message_result(const struct event *event, char *start)
{
	const struct wire_event *socket = event->socket;
	char *out = start;

	if (socket->error) {
		out = put_error(out, socket->error);
	} else if (socket->flags & WIRE_ABORTED) {
		out = put(out, "gave up");
	} else if (event->action == EVENT_RELEASED) {
		out = socket->duration ? put_held(out, event) : put(out, "ok");
		if (socket->flags & WIRE_TIME_WAIT && !event->lingered)
			out = put(out, socket->flags & WIRE_TIME_WAIT_OVER ? " TW end" : " TW");
	} else if (event->action == EVENT_ESTABLISHED && socket->duration) {
		out = text_duration(out, socket->duration);
	} else {
		out = put(out, event->outcome == EVENT_UNKNOWN	 ? "pending"
			       : event->outcome == EVENT_FAILURE ? "gave up"
								 : "ok");
	}
	return (size_t)(out - start);
}

size_t message_class(const struct event *event, char *start)
{
	const struct wire_event *socket = event->socket;
	uint16_t port = event_port(event);
	const char *service = NULL;
	char *out = start;

	if (!port)
		return 0;
	out = put(out, iana_range_name(iana_range_of(port)));
	if (socket->origin == WIRE_ORIGIN_REQUESTED)
		service = iana_service(port, socket->protocol);
	if (service) {
		*out++ = ' ';
		out = put(out, service);
	}
	if (event_in_pool(socket, port))
		out = put(out, socket->flags & WIRE_OWN_RANGE ? ", own pool" : ", pool");
	if (socket->flags & WIRE_RESERVED)
		out = put(out, ", reserved");
	return (size_t)(out - start);
}
