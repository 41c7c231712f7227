/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <math.h>
#include <string.h>

#include "command/pool.h"
#include "lib/parse.h"
#include "model/message.h"
#include "model/text.h"

#define SECONDS_MOST 3.15e9 /* a hundred years */

const char *pool_words_way(const struct pool_key *key)
{
	return key->way == POOL_CONNECT ? "connect" : "bind";
}

static void endpoint_put(struct buffer *out, const uint8_t *address, uint8_t family, uint16_t port)
{
	char text[TEXT_ENDPOINT];
	char *end = port ? text_endpoint(text, address, family, port)
			 : text_address(text, address, family);

	buffer_append(out, text, (size_t)(end - text));
}

void pool_words_pool(struct buffer *out, const struct pool_key *key)
{
	const char *name = protocol_name(key->protocol);

	buffer_printf(out, "%s %s ", name ? name : "?", pool_words_way(key));
	if (pool_is_elsewhere(key))
		buffer_text(out, "to elsewhere");
	else
		endpoint_put(out, key->local, key->family, 0);
	if (key->way == POOL_CONNECT && !pool_is_elsewhere(key)) {
		buffer_text(out, " -> ");
		endpoint_put(out, key->other, key->family, key->other_port);
	}
	if (key->own)
		buffer_printf(out, " from %u-%u", key->low, key->high);
}

static void seconds_put(struct buffer *out, double seconds)
{
	char text[TEXT_DURATION];

	if (seconds > SECONDS_MOST) {
		buffer_text(out, "100 years or more");
		return;
	}
	if (seconds >= 1)
		seconds = round(seconds * 10) / 10;
	buffer_append(out, text, (size_t)(text_duration(text, (uint64_t)(seconds * 1e9)) - text));
}

void pool_words_outlook(struct buffer *out, const struct pool_row *row)
{
	const struct pool_forecast *forecast = &row->forecast;

	switch (forecast->outlook) {
	case POOL_EXHAUSTED:
		buffer_text(out, "nothing left");
		break;
	case POOL_IDLE:
		buffer_text(out, "idle");
		break;
	case POOL_SETTLES:
		buffer_printf(out, "never, settles at %.0f", forecast->settled);
		break;
	case POOL_RUNS_OUT:
		buffer_text(out, "empty in ");
		seconds_put(out, forecast->seconds);
		if (forecast->earliest)
			buffer_text(out, " at the earliest");
		break;
	}
}

void pool_words_netns(struct buffer *out, const struct pool_place *place)
{
	if (place->name)
		buffer_text(out, place->name);
	else
		buffer_unsigned(out, place->netns);
}
