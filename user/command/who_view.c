/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "command/who_view.h"

#include <netinet/in.h>
#include <string.h>

#include "lib/list.h"
#include "model/message.h"
#include "model/text.h"

#ifndef IPPROTO_MPTCP /* headers before 5.6 */
#define IPPROTO_MPTCP 262
#endif

static bool subject_meets(const struct explain_subject *subject, uint16_t protocol, uint16_t port)
{
	return port >= subject->low && port <= subject->high &&
	       iana_protocol_of(protocol) & subject->protocols;
}

static bool subjects_meet(const struct who_view *view, uint16_t protocol, uint16_t port)
{
	for (size_t i = 0; i < view->subjects->count; i++)
		if (subject_meets(&view->subjects->list[i], protocol, port))
			return true;
	return false;
}

static bool netns_wanted(const struct who_view *view, uint32_t netns)
{
	if (view->namespaces)
		return number_list_has(view->namespaces, netns);
	return !view->query->netns || view->query->netns == netns;
}

bool who_wants(const struct who_view *view, const struct explain_subject *subject,
	       const struct holding *holding)
{
	return subject_meets(subject, holding->protocol, holding->local_port) &&
	       netns_wanted(view, holding->netns);
}

bool who_wants_any(const struct who_view *view, const struct holding *holding)
{
	return subjects_meet(view, holding->protocol, holding->local_port) &&
	       netns_wanted(view, holding->netns);
}

/* As lookup_run() judges holdings: a wildcard is reached as well. */
static bool address_wanted(const struct who_view *view, const struct wire_event *claim)
{
	const struct lookup_query *query = view->query;
	uint8_t asked_family = query->family, family = claim->family;
	const uint8_t *asked, *local;

	if (!query->has_address)
		return true;
	asked = event_packet_address(query->address, &asked_family);
	if (address_wildcard(claim->local, claim->family)) {
		if (family == 6 && !address_mapped(claim->local, family))
			return asked_family == 6 || !(claim->flags & WIRE_V6ONLY);
		return asked_family == 4;
	}
	local = event_packet_address(claim->local, &family);
	return family == asked_family && !memcmp(local, asked, family == 4 ? 4 : 16);
}

bool who_wants_port(const struct who_view *view, const struct wire_event *record)
{
	return subjects_meet(view, record->protocol, record->local_port) &&
	       netns_wanted(view, record->netns);
}

bool who_wants_claim(const struct who_view *view, const struct wire_event *claim)
{
	return claim->header.type == WIRE_CALL && claim->flags & WIRE_CLAIMED && !claim->error &&
	       who_wants_port(view, claim) && address_wanted(view, claim);
}

bool who_alive(const struct holding *holding)
{
	return holding->state != HOLDING_TIME_WAIT && !holding->orphan;
}

bool who_self_connected(const struct holding *holding)
{
	if (holding->flags & WIRE_SELF_CONNECT)
		return true;
	return holding->other_port && holding->other_port == holding->local_port &&
	       !address_wildcard(holding->local, holding->family) &&
	       !memcmp(holding->local, holding->other, holding->family == 4 ? 4 : 16);
}

const char *who_netns_name(const struct who_view *view, uint32_t netns)
{
	const struct netns *named = view->names ? netns_list_find(view->names, netns) : NULL;

	return named ? named->name : NULL;
}

void who_protocol(struct buffer *out, const struct holding *holding)
{
	const char *name = event_transport(&(struct wire_event){.protocol = holding->protocol});

	if (holding->protocol == IPPROTO_MPTCP || holding->flags & WIRE_MPTCP)
		name = "mptcp";
	if (name)
		buffer_text(out, name);
	else
		buffer_unsigned(out, holding->protocol);
}

void who_endpoint(struct buffer *out, const uint8_t *bytes, uint8_t family, uint16_t port)
{
	char text[TEXT_ENDPOINT];

	buffer_append(out, text, (size_t)(text_endpoint(text, bytes, family, port) - text));
}

void who_subject(struct buffer *out, const struct explain_subject *subject)
{
	buffer_unsigned(out, subject->low);
	if (subject->high != subject->low)
		buffer_printf(out, "-%u", subject->high);
	/* One, where somebody named it. */
	if (!(subject->protocols & (subject->protocols - 1))) {
		buffer_byte(out, '/');
		explain_protocols(out, subject->protocols, "");
	}
}
