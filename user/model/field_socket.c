/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Two views of an address. portsnoop.local and portsnoop.requested are the
 * socket's: a v4-mapped one is printed as such, because it tells that the socket
 * is an IPv6 one. source, destination, server and network.type are the packets':
 * these are IPv4 then, and match what firewalls and flow logs write.
 */
#include "model/classify.h"
#include "model/field_get.h"
#include "model/message.h"
#include "model/text.h"

/* Emitted only where they say something: most sockets have none of these. */
#define FLAG_GET(name, flag)                                                                       \
	GET(name)                                                                                  \
	{                                                                                          \
		return has(event, flag) ? truth(true) : absent();                                  \
	}
#define PEOPLE_GET(name)                                                                           \
	GET(people_##name)                                                                         \
	{                                                                                          \
		return text(scratch->text, message_##name(event, scratch->text));                  \
	}

FLAG_GET(own_range, WIRE_OWN_RANGE)
FLAG_GET(fastopen, WIRE_FASTOPEN)
FLAG_GET(self_connect, WIRE_SELF_CONNECT)
FLAG_GET(kernel_socket, WIRE_KERNEL_SOCKET)
FLAG_GET(disconnect, WIRE_DISCONNECT)
PEOPLE_GET(protocol)
PEOPLE_GET(local)
PEOPLE_GET(remote)
PEOPLE_GET(result)
PEOPLE_GET(class)

GET(people_verb)
{
	return token(message_verb(event));
}

GET(duration)
{
	return number_if(event->socket->duration);
}

GET(error)
{
	const char *name;

	if (!event->socket->error)
		return absent();
	name = errno_name(event->socket->error);
	if (name)
		return token(name);
	return text(scratch->text,
		    (size_t)(text_unsigned(scratch->text, event->socket->error) - scratch->text));
}

GET(transport)
{
	return token(event_transport(event->socket));
}

GET(iana_number)
{
	if (event_transport(event->socket))
		return absent();
	return (struct value){.kind = VALUE_NUMERAL, .number = event->socket->protocol};
}

GET(network_type)
{
	const struct wire_event *socket = event->socket;
	bool four = socket->family == 4 || address_mapped(socket->local, 6) ||
		    (socket->flags & WIRE_HAS_OTHER && address_mapped(socket->other, 6));

	return token(four ? "ipv4" : "ipv6");
}

static struct value packet_address(const uint8_t *bytes, uint8_t family)
{
	bytes = event_packet_address(bytes, &family);
	return address(bytes, family);
}

/* A release has a direction where the claim had one. */
static bool directed(const struct event *event)
{
	return event->action != EVENT_RELEASED ||
	       (has(event, WIRE_HAS_OTHER) && event->socket->trigger != WIRE_BIND &&
		event->socket->trigger != WIRE_LISTEN);
}

GET(source_ip)
{
	/* packets never come from a wildcard: it means that none was chosen yet */
	if (!directed(event) || address_wildcard(event->socket->local, event->socket->family))
		return absent();
	return packet_address(event->socket->local, event->socket->family);
}

GET(source_port)
{
	return directed(event) ? number_if(event->socket->local_port) : absent();
}

GET(destination_ip)
{
	if (!directed(event) || !has(event, WIRE_HAS_OTHER))
		return absent();
	return packet_address(event->socket->other, event->socket->family);
}

GET(destination_port)
{
	if (!directed(event) || !has(event, WIRE_HAS_OTHER))
		return absent();
	return number_if(event->socket->other_port);
}

GET(server_ip)
{
	if (!event->socket->local_port)
		return absent();
	return packet_address(event->socket->local, event->socket->family);
}

GET(server_port)
{
	return number_if(event->socket->local_port);
}

/* Only what a program asked for tells about it. */
static bool chosen(const struct event *event)
{
	return event_port(event) && event->socket->origin == WIRE_ORIGIN_REQUESTED;
}

GET(trigger)
{
	return token(trigger_name(event->socket->trigger));
}

GET(origin)
{
	switch (event->socket->origin) {
	case WIRE_ORIGIN_REQUESTED:
		return token("requested");
	case WIRE_ORIGIN_KERNEL:
		return token("kernel");
	}
	return absent();
}

GET(claimed)
{
	return truth(has(event, WIRE_CLAIMED));
}

/* A call that failed leaves a socket without a port also without an address. */
static bool has_local(const struct event *event)
{
	return event->socket->local_port || !event->socket->error;
}

GET(local_ip)
{
	return has_local(event) ? address(event->socket->local, event->socket->family) : absent();
}

GET(local_port)
{
	if (!has_local(event))
		return absent();
	return event->socket->local_port ? number(event->socket->local_port) : null();
}

GET(requested_ip)
{
	if (event->socket->trigger != WIRE_BIND || !has(event, WIRE_HAS_OTHER))
		return absent();
	return address(event->socket->other, event->socket->family);
}

GET(requested_port)
{
	if (event->socket->trigger != WIRE_BIND || !has(event, WIRE_HAS_OTHER))
		return absent();
	return number(event->socket->other_port);
}

GET(class_iana)
{
	uint16_t port = event_port(event);

	return port ? token(iana_range_name(iana_range_of(port))) : absent();
}

/* The kernel's own choice says nothing about a service. */
GET(class_service)
{
	uint16_t port = event_port(event);
	const char *name = NULL;

	if (!port)
		return absent();
	if (chosen(event))
		name = iana_service(port, event->socket->protocol);
	return name ? token(name) : null();
}

static bool has_pool(const struct event *event)
{
	return event_port(event) && event->socket->pool_high;
}

GET(class_in_pool)
{
	if (!has_pool(event))
		return absent();
	return truth(event_in_pool(event->socket, event_port(event)));
}

GET(class_reserved)
{
	return event_port(event) ? truth(has(event, WIRE_RESERVED)) : absent();
}

GET(class_privileged)
{
	uint16_t port = event_port(event);

	return port ? truth(port < event->socket->unprivileged) : absent();
}

GET(class_pool)
{
	if (!has_pool(event))
		return absent();
	return (struct value){.kind = VALUE_RANGE,
			      .range = {event->socket->pool_low, event->socket->pool_high}};
}

GET(known_uses)
{
	unsigned int count;

	if (!chosen(event))
		return absent();
	count = known_uses(event_port(event), event->socket->protocol, scratch->tokens,
			   KNOWN_USES_MAX);
	return tokens(scratch, count < KNOWN_USES_MAX ? count : KNOWN_USES_MAX);
}

GET(socket_options)
{
	static const struct flag_name names[] = {
		{WIRE_REUSEADDR, "reuseaddr"},
		{WIRE_REUSEPORT, "reuseport"},
		{WIRE_V6ONLY, "v6only"},
		{WIRE_BIND_NO_PORT, "bind_address_no_port"},
		{0},
	};

	return flag_names(event->socket->flags, names, scratch);
}

GET(mptcp)
{
	bool is = has(event, WIRE_MPTCP) || event->socket->protocol == 262;

	return is ? truth(true) : absent();
}

GET(device)
{
	return number_if(event->socket->device);
}

GET(netns)
{
	return number_if(event->socket->netns);
}

GET(socket)
{
	return number_if(event->socket->socket);
}

GET(time_wait)
{
	if (!has(event, WIRE_TIME_WAIT))
		return absent();
	if (has(event, WIRE_TIME_WAIT_OVER))
		return token("over");
	return token(has(event, WIRE_ESTIMATED) ? "estimated" : "seen");
}
