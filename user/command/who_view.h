/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Holdings as people and programs read them. Pure: what comes out depends on the view
 * and the holdings alone. */
#ifndef PORTSNOOP_WHO_VIEW_H
#define PORTSNOOP_WHO_VIEW_H

#include "command/subject.h"
#include "model/event.h"
#include "model/holding.h"
#include "probe/lookup.h"

struct service_answer;

struct who_view {
	const struct subjects *subjects;
	const struct lookup_query *query; /* its holdings are what is shown */
	/* Wanted network namespaces, where there are several: inode numbers. NULL: all that
	 * the query means. */
	const struct number_list *namespaces;
	const struct pool *pool; /* of own_netns */
	uint32_t own_netns;
	const struct netns_list *names; /* of network namespaces; may be empty */
	const char *host;
	const struct service_answer *watched; /* NULL: no portsnoop was watching */
	int64_t now;			      /* CLOCK_REALTIME, ns */
	int64_t boot_offset;		      /* CLOCK_REALTIME minus CLOCK_BOOTTIME, ns */
	unsigned int width;		      /* of the terminal; 0: unlimited */
	bool color;
};

/* By subject and port. Of more than ten sockets of the same processes and in the same
 * state the first ones are told, and how many there are. */
void who_text(struct buffer *out, const struct who_view *view, const struct holdings *holdings);

/* One line a holding, each once and all of them. */
void who_json(struct buffer *out, const struct who_view *view, const struct holdings *holdings);

/* The claim that was waited for. */
void who_text_claim(struct buffer *out, const struct who_view *view, const struct event *event);

bool who_wants(const struct who_view *view, const struct explain_subject *subject,
	       const struct holding *holding);
bool who_wants_any(const struct who_view *view, const struct holding *holding);
/* A claim that succeeded, on a port that is asked for. */
bool who_wants_claim(const struct who_view *view, const struct wire_event *claim);
/* The same for the port alone, whatever happened there. */
bool who_wants_port(const struct who_view *view, const struct wire_event *record);

/* It is more than what the kernel keeps for a while after a close. */
bool who_alive(const struct holding *holding);
bool who_self_connected(const struct holding *holding);

/* The name of a network namespace; NULL: it has none, or it is not known. */
const char *who_netns_name(const struct who_view *view, uint32_t netns);

/* Pieces that both use. */
void who_protocol(struct buffer *out, const struct holding *holding); /* "mptcp", "253" */
void who_endpoint(struct buffer *out, const uint8_t *bytes, uint8_t family, uint16_t port);
void who_subject(struct buffer *out, const struct explain_subject *subject); /* "80-90/tcp" */

/* One line about the port: "60002: dynamic, never registered; inside ...". */
void who_port(struct buffer *out, const struct who_view *view,
	      const struct explain_subject *subject, uint16_t port, bool own_pool);

/* What can be done about these holdings of one port and network namespace: lines, or
 * nothing. */
void who_hints(struct buffer *out, const struct who_view *view,
	       const struct holding *const *holdings, size_t count);

#endif
