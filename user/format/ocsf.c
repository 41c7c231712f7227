/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * OCSF 1.3.0. What sockets do is Network Activity. What the stream says of itself is
 * Application Lifecycle, of portsnoop: it starts and stops, and a gap or a heartbeat is a
 * matter of its life as well; the Base Event would be allowed, but consumers sort by class
 * and know nothing of that one.
 *
 * 1.3.0 wants a destination in all of Network Activity, and newer versions one of both ends.
 * A socket with a peer has two ends; that of any other is where packets would arrive: the
 * destination.
 */
#include <errno.h>

#include "format/json_value.h"
#include "format/tree.h"
#include "model/message.h"
#include "model/text.h"

#define SCHEMA_VERSION "1.3.0"

/* A bit per action */
#define ALL ((1u << EVENT_ACTIONS) - 1)
#define OUTCOMES (1u << EVENT_ESTABLISHED | 1u << EVENT_FAILED | 1u << EVENT_RELEASED)
#define SOCKETS                                                                                    \
	(OUTCOMES | 1u << EVENT_BOUND | 1u << EVENT_CONNECTED | 1u << EVENT_LISTEN |               \
	 1u << EVENT_AUTOBOUND)
#define STREAM (ALL & ~SOCKETS)

#define GET(name)                                                                                  \
	static struct value ocsf_##name(const struct event *event __attribute__((unused)),         \
					struct field_scratch *scratch __attribute__((unused)))

enum {
	CATEGORY_NETWORK = 4,
	CATEGORY_APPLICATION = 6,
	CLASS_NETWORK = 4001,
	CLASS_LIFECYCLE = 6002,
	ACTIVITY_OPEN = 1,
	ACTIVITY_CLOSE = 2,
	ACTIVITY_FAIL = 4,
	ACTIVITY_REFUSE = 5,
	ACTIVITY_LISTEN = 7,
	ACTIVITY_START = 3, /* of an application, also below */
	ACTIVITY_STOP = 4,
	ACTIVITY_OTHER = 99,
	STATUS_UNKNOWN = 0,
	STATUS_SUCCESS = 1,
	STATUS_FAILURE = 2,
	DIRECTION_UNKNOWN = 0,
	DIRECTION_INBOUND = 1,
	DIRECTION_OUTBOUND = 2,
	DEVICE_UNKNOWN = 0,
	FILE_REGULAR = 1,
};

static struct value absent(void)
{
	return (struct value){.kind = VALUE_ABSENT};
}

static struct value number(uint64_t number)
{
	return (struct value){.kind = VALUE_UNSIGNED, .number = number};
}

static struct value token(const char *text)
{
	return (struct value){.kind = VALUE_TOKEN, .token = text};
}

static struct value text(const char *bytes, size_t length)
{
	return (struct value){.kind = length ? VALUE_TEXT : VALUE_ABSENT, .text = {bytes, length}};
}

static struct value milliseconds(int64_t ns)
{
	uint32_t rest;
	int64_t second = text_split(ns, &rest);

	return (struct value){.kind = VALUE_SIGNED, .integer = second * 1000 + rest / 1000000};
}

/* ---- classification ---- */

struct activity {
	unsigned int id;
	const char *name; /* NULL: that of the action */
};

static struct activity activity_of(const struct event *event)
{
	static const struct activity open = {ACTIVITY_OPEN, "Open"};
	static const struct activity fail = {ACTIVITY_FAIL, "Fail"};
	static const struct activity refuse = {ACTIVITY_REFUSE, "Refuse"};

	switch (event->action) {
	case EVENT_CONNECTED:
	case EVENT_ESTABLISHED:
	case EVENT_FAILED:
		if (event->outcome != EVENT_FAILURE)
			return open;
		return event->socket->error == ECONNREFUSED ? refuse : fail;
	case EVENT_LISTEN:
		if (event->outcome == EVENT_FAILURE)
			return fail;
		return (struct activity){ACTIVITY_LISTEN, "Listen"};
	case EVENT_RELEASED:
		return (struct activity){ACTIVITY_CLOSE, "Close"};
	case EVENT_START:
		return (struct activity){ACTIVITY_START, "Start"};
	case EVENT_END:
		return (struct activity){ACTIVITY_STOP, "Stop"};
	default:
		return (struct activity){ACTIVITY_OTHER, event_action_name(event->action)};
	}
}

static unsigned int class_of(const struct event *event)
{
	return event->socket ? CLASS_NETWORK : CLASS_LIFECYCLE;
}

GET(activity_id)
{
	return number(activity_of(event).id);
}

GET(activity_name)
{
	return token(activity_of(event).name);
}

GET(category_uid)
{
	return number(event->socket ? CATEGORY_NETWORK : CATEGORY_APPLICATION);
}

GET(class_uid)
{
	return number(class_of(event));
}

GET(class_name)
{
	return token(event->socket ? "Network Activity" : "Application Lifecycle");
}

GET(type_uid)
{
	return number(class_of(event) * 100 + activity_of(event).id);
}

GET(severity_id)
{
	/* Medium, Low, Informational */
	static const unsigned int ids[] = {
		[SEVERITY_WARNING] = 3, [SEVERITY_NOTICE] = 2, [SEVERITY_INFO] = 1};

	return number(ids[event_severity(event)]);
}

GET(status_id)
{
	return number(event->outcome == EVENT_SUCCESS	? STATUS_SUCCESS
		      : event->outcome == EVENT_FAILURE ? STATUS_FAILURE
							: STATUS_UNKNOWN);
}

GET(status)
{
	return token(event->outcome == EVENT_SUCCESS   ? "Success"
		     : event->outcome == EVENT_FAILURE ? "Failure"
						       : "Unknown");
}

/* ---- time: theirs ends at milliseconds ---- */

GET(time)
{
	return milliseconds(event->wall_time);
}

GET(timestamp)
{
	return (struct value){.kind = VALUE_TIME, .integer = event->wall_time};
}

/* Some consumers take their integers for 32 bits wide: what has no room in these stands in
 * unmapped.duration, and in metadata.uid, all the same. */
static struct value integer(uint64_t value)
{
	return value <= INT32_MAX ? number(value) : absent();
}

GET(duration)
{
	if (!event->socket->duration)
		return absent();
	return integer(event->socket->duration / 1000000);
}

GET(sequence)
{
	return integer(event->sequence);
}

GET(duration_ns)
{
	return event->socket->duration ? number(event->socket->duration) : absent();
}

GET(start_time)
{
	if (!event->socket->duration)
		return absent();
	return milliseconds((int64_t)((uint64_t)event->wall_time - event->socket->duration));
}

GET(end_time)
{
	return event->socket->duration ? milliseconds(event->wall_time) : absent();
}

/* ---- what makes the event, and where ---- */

GET(version)
{
	return token(SCHEMA_VERSION);
}

GET(product)
{
	return token("portsnoop");
}

GET(program)
{
	const char *program = event->stream->start.program;

	return text(program, strnlen(program, sizeof(event->stream->start.program)));
}

/* Theirs is a text. */
GET(log_version)
{
	return token("1");
}

static bool in_container(const struct event *event)
{
	return event->process && *event->process->container.id;
}

GET(profiles)
{
	unsigned int count = 0;

	scratch->tokens[count++] = "host";
	if (in_container(event))
		scratch->tokens[count++] = "container";
	return (struct value){.kind = VALUE_TOKENS, .tokens = {scratch->tokens, count}};
}

GET(device_type)
{
	return number(DEVICE_UNKNOWN);
}

static struct value host_name(const struct event *event)
{
	const char *host = event->stream->start.host;

	return text(host, strnlen(host, sizeof(event->stream->start.host)));
}

/* ---- the two ends ---- */

static bool has_peer(const struct event *event)
{
	const struct wire_event *socket = event->socket;

	if (!(socket->flags & WIRE_HAS_OTHER) || event->action == EVENT_BOUND)
		return false;
	return event->action != EVENT_RELEASED ||
	       (socket->trigger != WIRE_BIND && socket->trigger != WIRE_LISTEN);
}

/* What a bind asked for and did not get. */
static bool is_refused_bind(const struct event *event)
{
	return event->action == EVENT_BOUND && event->socket->error && !event->socket->local_port &&
	       event->socket->flags & WIRE_HAS_OTHER;
}

static struct value packet_address(const uint8_t *bytes, uint8_t family)
{
	bytes = event_packet_address(bytes, &family);
	return (struct value){.kind = VALUE_ADDRESS, .address = {bytes, family}};
}

static struct value port(uint16_t port)
{
	return port ? number(port) : absent();
}

static bool has_source_ip(const struct event *event)
{
	return !address_wildcard(event->socket->local, event->socket->family);
}

GET(source_ip)
{
	if (!has_peer(event) || !has_source_ip(event))
		return absent();
	return packet_address(event->socket->local, event->socket->family);
}

GET(source_port)
{
	return has_peer(event) ? port(event->socket->local_port) : absent();
}

/* An end must not be a port alone. */
GET(source_host)
{
	if (!has_peer(event) || has_source_ip(event) || !event->socket->local_port)
		return absent();
	return host_name(event);
}

static const uint8_t *destination(const struct event *event)
{
	if (has_peer(event) || is_refused_bind(event))
		return event->socket->other;
	/* a call that failed leaves a socket without a port also without an address */
	return event->socket->local_port || !event->socket->error ? event->socket->local : NULL;
}

GET(destination_ip)
{
	const uint8_t *bytes = destination(event);

	return bytes ? packet_address(bytes, event->socket->family) : absent();
}

GET(destination_port)
{
	if (has_peer(event) || is_refused_bind(event))
		return port(event->socket->other_port);
	return port(event->socket->local_port);
}

GET(destination_host)
{
	return destination(event) ? absent() : host_name(event);
}

GET(direction_id)
{
	if (event->action == EVENT_LISTEN)
		return number(DIRECTION_INBOUND);
	return number(has_peer(event) ? DIRECTION_OUTBOUND : DIRECTION_UNKNOWN);
}

GET(protocol_num)
{
	/* MPTCP has a number that no packet has room for: in these it is TCP */
	return number(event->socket->protocol == 262 ? 6 : event->socket->protocol);
}

GET(protocol_ver_id)
{
	uint8_t family = event->socket->family;

	event_packet_address(event->socket->local, &family);
	if (event->socket->flags & WIRE_HAS_OTHER)
		event_packet_address(event->socket->other, &family);
	return number(family);
}

/* ---- the process ---- */

GET(file_name)
{
	const char *slash;

	if (!event->process || !event->process->exe_length)
		return absent();
	slash = memrchr(event->process->exe, '/', event->process->exe_length - 1);
	if (!slash)
		return text(event->process->exe, event->process->exe_length);
	return text(slash + 1,
		    event->process->exe_length - (size_t)(slash + 1 - event->process->exe));
}

GET(file_type)
{
	if (!event->process || !event->process->exe_length)
		return absent();
	return number(FILE_REGULAR);
}

GET(cmd_line)
{
	if (!event->process || !event->process->args_length)
		return absent();
	return (struct value){.kind = VALUE_COMMAND,
			      .text = {event->process->args, event->process->args_length}};
}

/* A container must not be without its id: what is known of it all the same is unmapped. */
static struct value container_text(const struct event *event, bool inside, const char *string,
				   size_t size)
{
	return in_container(event) == inside ? text(string, strnlen(string, size)) : absent();
}

#define CONTAINER_GET(name, member, inside)                                                        \
	GET(name)                                                                                  \
	{                                                                                          \
		if (!event->process)                                                               \
			return absent();                                                           \
		return container_text(event, inside, event->process->container.member,             \
				      sizeof(event->process->container.member));                   \
	}
CONTAINER_GET(runtime, runtime, true)
CONTAINER_GET(pod, pod, true)
CONTAINER_GET(loose_runtime, runtime, false)
CONTAINER_GET(loose_pod, pod, false)

#define FIELD(place, ecs, get_, actions_, scope_, ...)                                             \
	{                                                                                          \
		.at = place, .field = {                                                            \
			.path = ecs,                                                               \
			.get = ocsf_##get_,                                                        \
			.actions = actions_,                                                       \
			.scope = scope_,                                                           \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

/* What is not as the field of the table is, or is in OCSF alone. They come first. */
static const struct own {
	const char *at;
	struct field field;
} own[] = {
	FIELD("activity_id", "event.action", activity_id, ALL, SCOPE_KIND),
	FIELD("activity_name", "event.action", activity_name, ALL, SCOPE_KIND),
	FIELD("category_uid", "event.category", category_uid, ALL, SCOPE_KIND),
	FIELD("class_uid", "event.category", class_uid, ALL, SCOPE_KIND),
	FIELD("class_name", "event.category", class_name, ALL, SCOPE_KIND),
	FIELD("type_uid", "event.type", type_uid, ALL, SCOPE_KIND),
	FIELD("severity_id", "event.severity", severity_id, ALL, SCOPE_KIND),
	FIELD("status_id", "event.outcome", status_id, SOCKETS, SCOPE_KIND),
	FIELD("status", "event.outcome", status, SOCKETS, SCOPE_KIND),
	FIELD("time", "@timestamp", time, ALL, SCOPE_EVENT),
	FIELD("start_time", "event.start", start_time, OUTCOMES, SCOPE_EVENT),
	FIELD("end_time", "event.end", end_time, OUTCOMES, SCOPE_EVENT),
	FIELD("duration", "event.duration", duration, OUTCOMES, SCOPE_EVENT),
	FIELD("metadata.version", "ecs.version", version, ALL, SCOPE_STREAM),
	FIELD("metadata.product.name", "event.module", product, ALL, SCOPE_STREAM),
	FIELD("metadata.product.vendor_name", "event.module", product, ALL, SCOPE_STREAM),
	FIELD("metadata.product.version", "portsnoop.stream.program", program, ALL, SCOPE_STREAM),
	FIELD("metadata.log_version", "portsnoop.schema", log_version, ALL, SCOPE_STREAM),
	FIELD("metadata.sequence", "event.sequence", sequence, ALL, SCOPE_EVENT),
	FIELD("metadata.profiles", "ecs.version", profiles, ALL, SCOPE_PROCESS),
	FIELD("connection_info.direction_id", "network.direction", direction_id, SOCKETS,
	      SCOPE_EVENT),
	FIELD("connection_info.protocol_num", "network.iana_number", protocol_num, SOCKETS,
	      SCOPE_EVENT),
	FIELD("connection_info.protocol_ver_id", "network.type", protocol_ver_id, SOCKETS,
	      SCOPE_EVENT),
	FIELD("src_endpoint.ip", "source.ip", source_ip, SOCKETS, SCOPE_EVENT),
	FIELD("src_endpoint.hostname", "host.name", source_host, SOCKETS, SCOPE_EVENT),
	FIELD("src_endpoint.port", "source.port", source_port, SOCKETS, SCOPE_EVENT),
	FIELD("dst_endpoint.ip", "destination.ip", destination_ip, SOCKETS, SCOPE_EVENT),
	FIELD("dst_endpoint.hostname", "host.name", destination_host, SOCKETS, SCOPE_EVENT),
	FIELD("dst_endpoint.port", "destination.port", destination_port, SOCKETS, SCOPE_EVENT),
	FIELD("actor.process.file.name", "process.executable", file_name, SOCKETS, SCOPE_PROCESS,
	      .cut = true),
	FIELD("actor.process.file.type_id", "process.executable", file_type, SOCKETS,
	      SCOPE_PROCESS),
	FIELD("actor.process.cmd_line", "process.args", cmd_line, SOCKETS, SCOPE_PROCESS,
	      .cut = true, .secret = true),
	FIELD("actor.process.container.runtime", "container.runtime", runtime, SOCKETS,
	      SCOPE_PROCESS),
	FIELD("actor.process.container.pod_uuid", "portsnoop.pod", pod, SOCKETS, SCOPE_PROCESS),
	FIELD("device.type_id", "host.type", device_type, ALL, SCOPE_STREAM),
	FIELD("app.name", "event.module", product, STREAM, SCOPE_STREAM),
	FIELD("app.vendor_name", "event.module", product, STREAM, SCOPE_STREAM),
	FIELD("app.version", "portsnoop.stream.program", program, STREAM, SCOPE_STREAM),
	FIELD("unmapped.timestamp", "@timestamp", timestamp, ALL, SCOPE_EVENT),
	FIELD("unmapped.duration", "event.duration", duration_ns, OUTCOMES, SCOPE_EVENT),
	FIELD("unmapped.container.runtime", "container.runtime", loose_runtime, SOCKETS,
	      SCOPE_PROCESS),
	FIELD("unmapped.portsnoop.pod", "portsnoop.pod", loose_pod, SOCKETS, SCOPE_PROCESS),
};

#define OWN (sizeof(own) / sizeof(own[0]))

static bool is_own(const char *path)
{
	for (size_t i = 0; i < OWN; i++)
		if (!strcmp(own[i].at, path))
			return true;
	return false;
}

/* Behind the last one that is in most of the objects that it is in: objects come once. What is
 * in none comes before all objects. */
static void member_add(struct tree_member *members, unsigned int *count, const char *path,
		       const struct field *field)
{
	unsigned int place = *count, most = 0;

	for (unsigned int i = 0; i < *count; i++) {
		unsigned int shared = path_shared(members[i].path, path);

		if (!shared && !strchr(path, '.') && !strchr(members[i].path, '.'))
			shared = 1;
		if (shared && shared >= most) {
			most = shared;
			place = i + 1;
		}
	}
	memmove(members + place + 1, members + place, (*count - place) * sizeof(*members));
	members[place] = (struct tree_member){path, field};
	++*count;
}

static struct format *ocsf_open(const struct format_options *options)
{
	struct tree_member members[TREE_MEMBERS];
	unsigned int count = 0;

	for (size_t i = 0; i < OWN; i++)
		if (format_shows(options, &own[i].field))
			member_add(members, &count, own[i].at, &own[i].field);
	for (unsigned int i = 0; i < field_count && count < TREE_MEMBERS; i++) {
		const struct field *field = &field_table[i];

		if (field->ocsf && !is_own(field->ocsf) && format_shows(options, field))
			member_add(members, &count, field->ocsf, field);
	}
	return tree_open(members, count, options->line_most);
}

const struct format_ops format_ocsf = {
	.name = "ocsf",
	.help = "one JSON object a line, of the Open Cybersecurity Schema Framework",
	.fixed = true,
	.open = ocsf_open,
	.begin = tree_begin,
	.event = tree_event,
	.close = tree_close,
};
