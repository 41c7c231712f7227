/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where the holes are: the range in lines, a character for each so many ports. */
#include <stdlib.h>
#include <string.h>

#include "command/pool.h"
#include "lib/cleanup.h"

#define MARGIN 8	  /* the first port of each line, and two spaces */
#define WIDTH_FALLBACK 72 /* of what is no terminal */
#define LINES_MOST 8
#define COLOR_OFF "\033[0m"

static const struct {
	char sign;
	const char *color;
	const char *words;
} signs[] = {
	[PORT_RESERVED] = {'R', "\033[2m", "reserved"},
	[PORT_BLOCKED] = {'B', "\033[35m", "blocked by a bind"},
	[PORT_FREE] = {'.', NULL, "free"},
	[PORT_REUSABLE] = {'r', "\033[36m", "TIME_WAIT, reusable"},
	[PORT_LINGERING] = {'t', "\033[33m", "TIME_WAIT"},
	[PORT_USED] = {'#', "\033[31m", "used"},
};

/* Of several ports what most of them are; and if any is taken, never free. */
static enum port_state cell_state(const uint8_t *states, unsigned int count)
{
	unsigned int counts[PORT_STATES] = {0};
	enum port_state most = PORT_USED;
	bool taken;

	for (unsigned int i = 0; i < count; i++)
		counts[states[i]]++;
	taken = counts[PORT_FREE] + counts[PORT_REUSABLE] < count;
	for (enum port_state state = PORT_USED; state > PORT_OUTSIDE; state--)
		if (counts[state] > counts[most] || (!counts[most] && counts[state]))
			most = state;
	if (most != PORT_FREE || !taken)
		return most;
	most = PORT_OUTSIDE;
	for (enum port_state state = PORT_USED; state > PORT_OUTSIDE; state--)
		if (state != PORT_FREE && counts[state] > counts[most])
			most = state;
	return most;
}

static void cell_put(struct buffer *out, const struct pool_view *view, enum port_state state)
{
	const char *color = view->color ? signs[state].color : NULL;

	if (color)
		buffer_text(out, color);
	buffer_byte(out, signs[state].sign);
	if (color)
		buffer_text(out, COLOR_OFF);
}

void pool_map(struct buffer *out, const struct pool_view *view, const struct pool_place *place,
	      const struct pool_key *key)
{
	CLEANUP_FREE uint8_t *states = malloc(65536);
	unsigned int width = view->width ? view->width : WIDTH_FALLBACK;
	unsigned int ports = (unsigned int)key->high - key->low + 1, each, line = 0;

	if (!states) {
		out->failed = true;
		return;
	}
	pool_space_map(place->space, key, states);
	width = width > MARGIN + 8 ? width - MARGIN : 8;
	each = (ports + width * LINES_MOST - 1) / (width * LINES_MOST);
	for (unsigned int at = 0; at < ports; at += each, line++) {
		unsigned int count = ports - at < each ? ports - at : each;

		if (line % width == 0)
			buffer_printf(out, "%s%6u  ", line ? "\n" : "", key->low + at);
		cell_put(out, view, cell_state(states + key->low + at, count));
	}
	buffer_byte(out, '\n');
	if (each > 1)
		buffer_printf(out,
			      "        each character is %u ports, and shows what most of "
			      "them are that are not free\n",
			      each);
}

void pool_map_legend(struct buffer *out, const struct pool_view *view)
{
	buffer_text(out, "map:");
	for (enum port_state state = PORT_USED; state > PORT_OUTSIDE; state--) {
		buffer_text(out, state == PORT_USED ? " " : ", ");
		cell_put(out, view, state);
		buffer_printf(out, " %s", signs[state].words);
	}
	buffer_text(out, ". connect() tries even ports first and bind() odd ones (counted from "
			 "the first): a preference only, no port is kept from either\n");
}
