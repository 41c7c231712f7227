/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a port is, in a line, and what can be done about who has it. */
#include <netinet/in.h>
#include <string.h>

#include "command/who_view.h"
#include "model/classify.h"

#define USES 2 /* known ones in a line */

static const struct {
	enum iana_protocol bit;
	uint16_t number;
} protocols[] = {
	{IANA_TCP, IPPROTO_TCP},
	{IANA_UDP, IPPROTO_UDP},
	{IANA_SCTP, IPPROTO_SCTP},
	{IANA_DCCP, IPPROTO_DCCP},
};
#define PROTOCOLS (sizeof(protocols) / sizeof(protocols[0]))

/* "ssh (tcp, udp, sctp)": each name once. */
static void services_print(struct buffer *out, unsigned int asked, uint16_t port)
{
	unsigned int told = 0;
	const char *before = "registered: ";

	for (size_t i = 0; i < PROTOCOLS; i++) {
		const char *name = iana_service(port, protocols[i].number);
		unsigned int mask = 0;

		if (!name || !(asked & protocols[i].bit & ~told))
			continue;
		for (size_t k = i; k < PROTOCOLS; k++) {
			const char *other = iana_service(port, protocols[k].number);

			if (other && !strcmp(name, other))
				mask |= asked & protocols[k].bit;
		}
		told |= mask;
		buffer_printf(out, "%s%s (", before, name);
		explain_protocols(out, mask, ", ");
		buffer_byte(out, ')');
		before = ", ";
	}
	if (!told)
		buffer_text(out, "registered without a name");
}

static void registry_print(struct buffer *out, unsigned int asked, uint16_t port)
{
	enum explain_status status = explain_status(port, asked);
	static const char *const words[EXPLAIN_STATUSES] = {
		[EXPLAIN_USED] = "used without being registered",
		[EXPLAIN_RESERVED] = "reserved by IANA",
		[EXPLAIN_UNASSIGNED] = "not registered",
		[EXPLAIN_NO_ENTRY] = "not registered",
		[EXPLAIN_DYNAMIC] = "never registered",
	};

	buffer_text(out, iana_range_name(iana_range_of(port)));
	buffer_text(out, ", ");
	if (status == EXPLAIN_ASSIGNED)
		services_print(out, asked, port);
	else
		buffer_text(out, words[status]);
}

static bool port_reserved(const struct pool *pool, uint16_t port)
{
	return !pool->reserved_error && port_set_has(&pool->reserved, port);
}

static bool port_in_pool(const struct pool *pool, uint16_t port)
{
	return !pool->range_error && port >= pool->low && port <= pool->high &&
	       !port_reserved(pool, port);
}

static void machine_print(struct buffer *out, const struct pool *pool, uint16_t port)
{
	if (!pool->range_error) {
		bool inside = port >= pool->low && port <= pool->high;

		buffer_printf(out, "; %s this machine's pool %u-%u", inside ? "inside" : "outside",
			      pool->low, pool->high);
		if (inside && port_reserved(pool, port))
			buffer_text(out, ", but reserved (ip_local_reserved_ports)");
	}
	if (!pool->unprivileged_error && port < pool->unprivileged)
		buffer_text(out, "; privileged");
}

static void uses_print(struct buffer *out, unsigned int asked, uint16_t port)
{
	const struct explain_subject one = {.low = port, .high = port, .protocols = asked};
	const char *before = "; known use: ";
	unsigned int told = 0;

	for (unsigned int i = 0; i < known_use_specific && told < USES; i++) {
		const struct known_use *use = &known_use_table[i];

		if (!explain_meets(use, &one))
			continue;
		buffer_text(out, before);
		buffer_text(out, known_use_strings + use->text);
		before = ", ";
		told++;
	}
}

void who_port(struct buffer *out, const struct who_view *view,
	      const struct explain_subject *subject, uint16_t port, bool own_pool)
{
	buffer_unsigned(out, port);
	buffer_text(out, ": ");
	registry_print(out, subject->protocols, port);
	if (own_pool)
		machine_print(out, view->pool, port);
	uses_print(out, subject->protocols, port);
	buffer_byte(out, '\n');
}

/* ---- what can be done ---- */

struct situation {
	bool process, self, listener, time_wait, closing;
	bool client; /* a connection of a port that nobody listens on */
	bool known;  /* for all that no process has: when it ends */
	uint32_t expires;
};

static void situation_add(struct situation *situation, const struct holding *holding)
{
	situation->process |= who_alive(holding);
	situation->self |= who_alive(holding) && who_self_connected(holding);
	situation->listener |= holding->state == HOLDING_LISTEN;
	situation->client |= who_alive(holding) && holding->other_port;
	if (who_alive(holding))
		return;
	situation->time_wait |= holding->state == HOLDING_TIME_WAIT;
	situation->closing |= holding->state != HOLDING_TIME_WAIT;
	situation->known &= holding->has_expires;
	if (holding->has_expires && holding->expires > situation->expires)
		situation->expires = holding->expires;
}

static unsigned int seconds_up(uint32_t ms)
{
	return ms / 1000 + !!(ms % 1000);
}

static void wait_print(struct buffer *out, const struct situation *situation)
{
	buffer_text(out, "wait");
	if (situation->known)
		buffer_printf(out, " %u s", seconds_up(situation->expires));
	else
		buffer_text(out, " until the kernel has ended it");
	/* inet_csk_bind_conflict() looks at both sockets. */
	if (situation->time_wait && !situation->closing)
		buffer_text(out, ", or set SO_REUSEADDR before bind (it helps if the socket that "
				 "was closed had it, too)");
	buffer_byte(out, '\n');
}

static void reserve_print(struct buffer *out, uint16_t port)
{
	buffer_printf(out,
		      "the kernel gives ports of its pool to any client; to keep %u for a server, "
		      "add it to net.ipv4.ip_local_reserved_ports, or move "
		      "net.ipv4.ip_local_port_range\n",
		      port);
}

static void hint_begin(struct buffer *out, const struct who_view *view)
{
	buffer_text(out, view->color ? "\033[1;33mhint:\033[0m " : "hint: ");
}

void who_hints(struct buffer *out, const struct who_view *view,
	       const struct holding *const *holdings, size_t count)
{
	struct situation situation = {.known = true};
	uint16_t port;

	if (!count)
		return;
	port = holdings[0]->local_port;
	for (size_t i = 0; i < count; i++)
		situation_add(&situation, holdings[i]);
	if (!situation.process) {
		hint_begin(out, view);
		wait_print(out, &situation);
		return;
	}
	if (situation.self) {
		hint_begin(out, view);
		buffer_printf(
			out,
			"a client that was given %u as its own port connected to it: TCP then "
			"talks to itself (self-connect); the port is free once it closes\n",
			port);
	}
	if (situation.client && !situation.listener && holdings[0]->netns == view->own_netns &&
	    port_in_pool(view->pool, port)) {
		hint_begin(out, view);
		reserve_print(out, port);
	}
}
