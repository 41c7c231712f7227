/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who claimed the port that a socket holds, as a portsnoop tells that was watching. */
#ifndef PORTSNOOP_WHO_CLAIM_H
#define PORTSNOOP_WHO_CLAIM_H

#include "command/who_view.h"
#include "service/match.h"

struct who_claim {
	struct service_found found;
	const char *reason; /* why there is no lease: "nobody_watches", "not_known"; else NULL */
};

struct who_claim who_claim_find(const struct who_view *view, const struct holding *holding);

/* One line without its end: "claimed at 14:02:11 by nginx[812], user www, with bind; ...".
 * False: there is nothing to say. */
bool who_claim_text(struct buffer *out, const struct who_view *view, const struct holding *holding);

#endif
