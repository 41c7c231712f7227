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
	char sign; /* of all ports that a character stands for */
	char some; /* of a part of them: the others are free */
	const char *color;
	const char *words;
} signs[] = {
	[PORT_RESERVED] = {'R', 'r', "\033[2m", "reserved"},
	[PORT_BLOCKED] = {'B', 'b', "\033[35m", "blocked by a bind"},
	[PORT_FREE] = {'.', '.', NULL, "free"},
	[PORT_REUSABLE] = {'~', '-', "\033[36m", "TIME_WAIT that is reusable"},
	[PORT_LINGERING] = {'T', 't', "\033[33m", "TIME_WAIT"},
	[PORT_USED] = {'#', '+', "\033[31m", "used"},
};

struct cell {
	enum port_state state; /* of most ports that are not free */
	bool some;
};

static struct cell cell_make(const uint8_t *states, unsigned int count)
{
	struct cell cell = {.state = PORT_FREE};
	unsigned int counts[PORT_STATES] = {0};

	for (unsigned int i = 0; i < count; i++)
		counts[states[i]]++;
	cell.some = counts[PORT_FREE];
	counts[PORT_FREE] = 0;
	for (enum port_state state = PORT_USED; state > PORT_OUTSIDE; state--)
		if (counts[state] > counts[cell.state])
			cell.state = state;
	return cell;
}

static void sign_put(struct buffer *out, const struct pool_view *view, enum port_state state,
		     bool some)
{
	const char *color = view->color ? signs[state].color : NULL;

	if (color)
		buffer_text(out, color);
	buffer_byte(out, some ? signs[state].some : signs[state].sign);
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
		struct cell cell;

		if (line % width == 0)
			buffer_printf(out, "%s%6u  ", line ? "\n" : "", key->low + at);
		cell = cell_make(states + key->low + at, count);
		sign_put(out, view, cell.state, cell.some);
	}
	buffer_byte(out, '\n');
	if (each > 1)
		buffer_printf(out, "        %u ports a character\n", each);
}

void pool_map_legend(struct buffer *out, const struct pool_view *view)
{
	buffer_text(out, "map: ");
	for (enum port_state state = PORT_USED; state > PORT_OUTSIDE; state--) {
		buffer_text(out, state == PORT_USED ? "" : ", ");
		sign_put(out, view, state, false);
		buffer_printf(out, " %s", signs[state].words);
	}
	buffer_text(out, ";\n     of several ports some, the others free: ");
	for (enum port_state state = PORT_USED; state > PORT_OUTSIDE; state--)
		if (state != PORT_FREE)
			sign_put(out, view, state, true);
	buffer_text(
		out,
		"\nconnect() tries even ports first and bind() odd ones, counted from the first: a "
		"preference only,\nno port is kept from either\n");
}
