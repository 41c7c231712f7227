/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* NDJSON in the shape and with the names of the event stream (model/field.c). What is
 * not known is absent. */
#include <string.h>

#include "command/who_claim.h"
#include "format/member.h"
#include "lib/cleanup.h"
#include "model/classify.h"
#include "model/message.h"
#include "model/text.h"

/* Nothing for what is empty or not known; also below. */
static void text_put(struct json *json, const char *key, const char *string)
{
	if (string && *string)
		member_string(json, key, string);
}

/* As in the packets: IPv4 for v4-mapped addresses. */
static void packet_put(struct json *json, const char *key, const uint8_t *bytes, uint8_t family,
		       uint16_t port)
{
	bytes = event_packet_address(bytes, &family);
	member_endpoint(json, key, bytes, family, port);
}

static void args_put(struct json *json, const char *args, size_t length)
{
	const char *end = args + length;

	if (!args || !length)
		return;
	member_array(json, "args");
	while (args < end) {
		size_t part = strnlen(args, (size_t)(end - args));

		json_text(json, args, part);
		args += part + 1;
	}
	json_close(json, ']');
}

/* The members of process.* */
static void process_put(struct json *json, const struct who_view *view, const struct holder *holder)
{
	member_number(json, "pid", holder->pid);
	json_key(json, "name");
	json_text(json, holder->comm, strnlen(holder->comm, sizeof(holder->comm)));
	if (holder->start)
		member_time(json, "start", view->boot_offset + (int64_t)holder->start);
	text_put(json, "executable", holder->exe);
	args_put(json, holder->args, holder->args_length);
	member_user(json, holder->uid, holder->user && *holder->user ? holder->user : NULL);
}

static void container_put(struct json *json, const struct container *container)
{
	if (!*container->id && !*container->runtime)
		return;
	member_object(json, "container");
	text_put(json, "id", container->id);
	text_put(json, "runtime", container->runtime);
	json_close(json, '}');
}

static void place_put(struct json *json, const struct holder *holder)
{
	text_put(json, "pod", holder->container.pod);
	text_put(json, "unit", holder->container.unit);
	text_put(json, "cgroup", holder->cgroup);
	if (!holder->exe_deleted)
		return;
	member_array(json, "exe_flags");
	json_string(json, "deleted");
	json_close(json, ']');
}

static void holders_put(struct json *json, const struct who_view *view,
			const struct holding *holding)
{
	member_array(json, "holders");
	for (size_t i = 0; i < holding->holder_count; i++) {
		const struct holder *holder = &holding->holders[i];

		json_open(json, '{');
		process_put(json, view, holder);
		container_put(json, &holder->container);
		place_put(json, holder);
		if (holder->fds) {
			member_number(json, "fd", (uint64_t)holder->fd);
			member_number(json, "fds", holder->fds);
		}
		json_close(json, '}');
	}
	json_close(json, ']');
}

static bool is_ipv4(const struct holding *holding)
{
	return holding->family == 4 || address_mapped(holding->local, 6) ||
	       (holding->other_port && address_mapped(holding->other, 6));
}

static void network_put(struct json *json, const struct holding *holding)
{
	member_network(json, holding->protocol, is_ipv4(holding) ? 4 : 6);
	if (holding->state == HOLDING_LISTEN)
		packet_put(json, "server", holding->local, holding->family, holding->local_port);
	if (!holding->other_port)
		return;
	packet_put(json, "source", holding->local, holding->family, holding->local_port);
	packet_put(json, "destination", holding->other, holding->family, holding->other_port);
}

/* Of a foreign namespace only what IANA says: its pool is another one. */
static void class_put(struct json *json, const struct who_view *view, const struct holding *holding)
{
	const struct pool *pool = view->pool;
	uint16_t port = holding->local_port;
	bool reserved = port_set_has(&pool->reserved, port);

	member_object(json, "class");
	member_string(json, "iana", iana_range_name(iana_range_of(port)));
	if (holding->netns == view->own_netns) {
		if (!pool->range_error && !pool->reserved_error)
			member_bool(json, "in_pool",
				    port >= pool->low && port <= pool->high && !reserved);
		if (!pool->reserved_error)
			member_bool(json, "reserved", reserved);
		if (!pool->unprivileged_error)
			member_bool(json, "privileged", port < pool->unprivileged);
		if (!pool->range_error) {
			member_array(json, "pool");
			json_unsigned(json, pool->low);
			json_unsigned(json, pool->high);
			json_close(json, ']');
		}
	}
	json_close(json, '}');
}

static void uses_put(struct json *json, const struct holding *holding)
{
	const char *uses[KNOWN_USES_MAX];
	unsigned int count =
		known_uses(holding->local_port, holding->protocol, uses, KNOWN_USES_MAX);

	if (!count)
		return;
	member_array(json, "known_uses");
	for (unsigned int i = 0; i < count && i < KNOWN_USES_MAX; i++)
		json_string(json, uses[i]);
	json_close(json, ']');
}

static void options_put(struct json *json, uint32_t flags)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} names[] = {
		{WIRE_REUSEADDR, "reuseaddr"},
		{WIRE_REUSEPORT, "reuseport"},
		{WIRE_V6ONLY, "v6only"},
	};

	if (!(flags & (WIRE_REUSEADDR | WIRE_REUSEPORT | WIRE_V6ONLY)))
		return;
	member_array(json, "socket_options");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (flags & names[i].flag)
			json_string(json, names[i].name);
	json_close(json, ']');
}

static void claimant_put(struct json *json, const struct who_view *view,
			 const struct service_process *claimant)
{
	const struct process *process = &claimant->process;
	struct holder as_holder = {.pid = process->key.pid,
				   .start = process->key.start,
				   .uid = process->uid,
				   .user = (char *)(uintptr_t)claimant->user,
				   .args = (char *)(uintptr_t)process->args,
				   .args_length = process->args_length};
	CLEANUP_FREE char *exe = NULL;

	if (process->exe)
		exe = strndup(process->exe, process->exe_length);
	as_holder.exe = exe;
	memcpy(as_holder.comm, process->comm, sizeof(as_holder.comm));
	member_object(json, "claimant");
	process_put(json, view, &as_holder);
	container_put(json, &process->container);
	text_put(json, "pod", process->container.pod);
	text_put(json, "unit", process->container.unit);
	json_close(json, '}');
}

/* What the leases of one claimant may differ in. */
static void course_put(struct json *json, const struct service_found *found)
{
	const struct service_lease *lease = found->lease;

	if (found->last != lease) {
		member_string(json, "claimed", NULL);
		member_string(json, "claimed_unknown", "one_of_several");
		return;
	}
	if (lease->claimed_wall)
		member_time(json, "claimed", lease->claimed_wall);
	if (!found->share && lease->since_wall)
		member_time(json, "since", lease->since_wall);
	if (trigger_name(lease->lease.trigger))
		member_string(json, "trigger", trigger_name(lease->lease.trigger));
}

static void claim_put(struct json *json, const struct who_view *view, const struct holding *holding)
{
	struct who_claim claim = who_claim_find(view, holding);
	const struct service_lease *lease = claim.found.lease;

	if (lease && lease->claimant) {
		claimant_put(json, view, lease->claimant);
	} else {
		member_string(json, "claimant", NULL);
		member_string(json, "claimant_unknown", lease ? "predates" : claim.reason);
	}
	if (lease) {
		course_put(json, &claim.found);
		member_flag(json, "share", claim.found.share);
	}
	if (!view->watched)
		return;
	member_object(json, "watcher");
	member_number(json, "pid", view->watched->facts.pid);
	member_time(json, "since", view->watched->facts.started_wall);
	json_close(json, '}');
}

static void own_put(struct json *json, const struct who_view *view, const struct holding *holding)
{
	member_object(json, "portsnoop");
	member_number(json, "schema", 1);
	member_string(json, "state", holding_state_name(holding->state));
	member_endpoint(json, "local", holding->local, holding->family, holding->local_port);
	if (holding->other_port)
		member_endpoint(json, "remote", holding->other, holding->family,
				holding->other_port);
	class_put(json, view, holding);
	uses_put(json, holding);
	options_put(json, holding->flags);
	member_flag(json, "mptcp", holding->protocol == 262 || holding->flags & WIRE_MPTCP);
	member_flag(json, "self_connect", who_self_connected(holding));
	member_flag(json, "kernel_socket", holding->flags & WIRE_KERNEL_SOCKET);
	if (holding->holder_count)
		place_put(json, &holding->holders[0]);
	if (holding->device)
		member_number(json, "device", holding->device);
	member_number(json, "netns", holding->netns);
	text_put(json, "netns_name", who_netns_name(view, holding->netns));
	if (holding->inode) {
		member_number(json, "inode", holding->inode);
		member_number(json, "uid", holding->uid);
	}
	member_flag(json, "orphan", holding->orphan && holding->state != HOLDING_TIME_WAIT);
	if (holding->has_expires)
		member_number(json, "expires_ms", holding->expires);
	holders_put(json, view, holding);
	claim_put(json, view, holding);
	json_close(json, '}');
}

/* "python3[4242] and 2 more hold tcp 0.0.0.0:80" */
static void message_put(struct json *json, const struct holding *holding, struct buffer *words)
{
	const struct holder *holder = holding->holders;

	buffer_reset(words);
	if (holding->holder_count) {
		buffer_append(words, holder->comm, strnlen(holder->comm, sizeof(holder->comm)));
		buffer_printf(words, "[%u]", holder->pid);
		if (holding->holder_count > 1)
			buffer_printf(words, " and %zu more hold ", holding->holder_count - 1);
		else
			buffer_text(words, " holds ");
	} else {
		buffer_text(words, "no process holds ");
	}
	who_protocol(words, holding);
	buffer_byte(words, ' ');
	who_endpoint(words, holding->local, holding->family, holding->local_port);
	if (holding->other_port) {
		buffer_text(words, " -> ");
		who_endpoint(words, holding->other, holding->family, holding->other_port);
	}
	buffer_printf(words, " (%s)", holding_state_name(holding->state));
	json->out->failed |= words->failed;
	json_key(json, "message");
	json_text(json, words->data, words->failed ? 0 : words->length);
}

static void constants_put(struct json *json)
{
	member_event(json, "state");
	member_array(json, "type");
	json_string(json, "info");
	json_close(json, ']');
	member_string(json, "action", "holds-port");
	member_string(json, "dataset", "portsnoop.holdings");
	json_close(json, '}');
}

static void holding_put(struct buffer *out, const struct who_view *view,
			const struct holding *holding, struct buffer *words)
{
	struct json json = {.out = out};

	json_open(&json, '{');
	member_time(&json, "@timestamp", view->now);
	message_put(&json, holding, words);
	constants_put(&json);
	network_put(&json, holding);
	if (holding->holder_count) {
		member_object(&json, "process");
		process_put(&json, view, &holding->holders[0]);
		json_close(&json, '}');
		container_put(&json, &holding->holders[0].container);
	}
	if (view->host && *view->host) {
		member_object(&json, "host");
		member_string(&json, "name", view->host);
		json_close(&json, '}');
	}
	own_put(&json, view, holding);
	json_close(&json, '}');
	buffer_byte(out, '\n');
}

void who_json(struct buffer *out, const struct who_view *view, const struct holdings *holdings)
{
	CLEANUP(buffer_free) struct buffer words = BUFFER_EMPTY;

	for (size_t i = 0; i < holdings->count; i++)
		if (who_wants_any(view, &holdings->list[i]))
			holding_put(out, view, &holdings->list[i], &words);
}
