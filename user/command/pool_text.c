/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For people: a table for each network namespace. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "command/pool.h"
#include "format/cell.h"
#include "lib/cleanup.h"
#include "lib/escape.h"
#include "lib/parse.h"
#include "model/event.h"
#include "model/message.h"
#include "model/text.h"

#define COLUMNS 12
#define GAP 2
#define COLOR_BOLD "\033[1m"
#define COLOR_RED "\033[31m"
#define COLOR_OFF "\033[0m"

static const struct column {
	const char *heading;
	bool right;
	bool watched; /* shown if somebody watched */
} columns[COLUMNS] = {
	{"PROTO", false, false},    {"BY", false, false},     {"FROM", false, false},
	{"TO", false, false},	    {"PORTS", true, false},   {"USED", true, false},
	{"TIME-WAIT", true, false}, {"LEFT", true, false},    {"FULL", true, false},
	{"RATE", true, true},	    {"HELD-FOR", true, true}, {"OUTLOOK", false, true},
};

struct line {
	struct buffer cells[COLUMNS];
	const struct pool_row *row;
};

struct grid {
	struct line *lines;
	size_t count;
	unsigned int widths[COLUMNS];
};

static void grid_free(struct grid *grid)
{
	for (size_t i = 0; i < grid->count; i++)
		for (size_t k = 0; k < COLUMNS; k++)
			buffer_free(&grid->lines[i].cells[k]);
	free(grid->lines);
}

static void plain(struct buffer *out, const char *string)
{
	escape_plain(out, string, strlen(string));
}

/* ---- cells ---- */

static void address_put(struct buffer *cell, const uint8_t *bytes, uint8_t family, uint16_t port)
{
	char text[TEXT_ENDPOINT];
	char *end = port ? text_endpoint(text, bytes, family, port)
			 : text_address(text, bytes, family);

	buffer_append(cell, text, (size_t)(end - text));
}

static void rate_put(struct buffer *cell, double rate)
{
	if (rate <= 0)
		buffer_byte(cell, '-');
	else
		buffer_printf(cell, rate < 10 ? "%.1f/s" : "%.0f/s", rate);
}

static void life_put(struct buffer *cell, double life)
{
	char text[TEXT_DURATION];

	if (life < 0)
		buffer_byte(cell, '-');
	else
		buffer_append(cell, text,
			      (size_t)(text_duration(text, (uint64_t)(life * 1e9)) - text));
}

/* 99.9 % full is not full. */
static void share_put(struct buffer *cell, const struct pool_use *use)
{
	double share = pool_share(use);
	unsigned int whole = (unsigned int)share;

	if (pool_taken(use) && !whole)
		buffer_text(cell, "<1%");
	else
		buffer_printf(cell, "%u%%", whole);
}

static void line_fill(struct line *line, const struct pool_row *row)
{
	const struct pool_key *key = &row->use.key;
	const char *protocol = protocol_name(key->protocol);
	struct buffer *cell = line->cells;

	line->row = row;
	buffer_text(&cell[0], protocol ? protocol : "?");
	buffer_text(&cell[1], pool_words_way(key));
	if (pool_is_elsewhere(key))
		buffer_text(&cell[2], "any");
	else
		address_put(&cell[2], key->local, key->family, 0);
	if (key->own)
		buffer_printf(&cell[2], " %u-%u", key->low, key->high);
	if (pool_is_elsewhere(key))
		buffer_text(&cell[3], "elsewhere");
	else if (key->way == POOL_CONNECT)
		address_put(&cell[3], key->other, key->family, key->other_port);
	else
		buffer_byte(&cell[3], '-');
	buffer_unsigned(&cell[4], pool_capacity(&row->use));
	buffer_unsigned(&cell[5], row->use.ports[PORT_USED]);
	buffer_unsigned(&cell[6], row->use.ports[PORT_LINGERING]);
	buffer_printf(&cell[7], "%s%u", row->use.estimated ? "~" : "", row->use.left);
	share_put(&cell[8], &row->use);
	rate_put(&cell[9], row->traffic.rate);
	life_put(&cell[10], row->traffic.life);
	pool_words_outlook(&cell[11], row);
}

static int grid_fill(struct grid *grid, const struct pool_row *const *rows, size_t count)
{
	grid->lines = calloc(count + 1, sizeof(*grid->lines));
	if (!grid->lines)
		return -1;
	for (size_t i = 0; i < count; i++)
		line_fill(&grid->lines[grid->count++], rows[i]);
	for (size_t k = 0; k < COLUMNS; k++) {
		grid->widths[k] = (unsigned int)strlen(columns[k].heading);
		for (size_t i = 0; i < grid->count; i++) {
			const struct buffer *cell = &grid->lines[i].cells[k];
			unsigned int width = cell_columns(cell->data, cell->length);

			if (width > grid->widths[k])
				grid->widths[k] = width;
		}
	}
	return 0;
}

/* ---- lines ---- */

static size_t columns_shown(const struct pool_view *view)
{
	size_t count = COLUMNS;

	while (!view->picture->watched && columns[count - 1].watched)
		count--;
	return count;
}

static void heading_print(struct buffer *out, const struct pool_view *view, const struct grid *grid)
{
	size_t shown = columns_shown(view);

	if (view->color)
		buffer_text(out, COLOR_BOLD);
	for (size_t k = 0; k < shown; k++) {
		cell_fit(out, columns[k].heading, strlen(columns[k].heading), grid->widths[k],
			 columns[k].right, false, k + 1 == shown);
		if (k + 1 < shown)
			cell_spaces(out, GAP);
	}
	if (view->color)
		buffer_text(out, COLOR_OFF);
	buffer_byte(out, '\n');
}

static void holders_print(struct buffer *out, const struct pool_view *view,
			  const struct pool_row *row)
{
	size_t shown = view->top && row->holder_count > view->top ? view->top : row->holder_count;

	if (!shown)
		return;
	buffer_text(out, "    held by ");
	for (size_t i = 0; i < shown; i++) {
		const struct pool_holder *holder = &row->holders[i];

		buffer_text(out, i ? ", " : "");
		plain(out, holder->comm);
		buffer_printf(out, "[%u] %u", holder->pid, holder->ports);
	}
	if (shown < row->holder_count)
		buffer_printf(out, ", and %zu more", row->holder_count - shown);
	buffer_byte(out, '\n');
}

static void notes_print(struct buffer *out, const struct pool_view *view,
			const struct pool_row *row)
{
	const uint32_t *ports = row->use.ports;

	if (row->use.key.way == POOL_CONNECT && (ports[PORT_BLOCKED] || ports[PORT_REUSABLE])) {
		buffer_text(out, "    ");
		if (ports[PORT_BLOCKED])
			buffer_printf(out, "%u more ports are blocked by binds",
				      ports[PORT_BLOCKED]);
		if (ports[PORT_REUSABLE])
			buffer_printf(out, "%s%u of those left are in TIME_WAIT and reusable",
				      ports[PORT_BLOCKED] ? "; " : "", ports[PORT_REUSABLE]);
		buffer_byte(out, '\n');
	}
	if (row->use.doubtful && pool_taken(&row->use))
		buffer_printf(out,
			      "    the last of those left may not be found: the kernel tries "
			      "an even number of ports, and here are %u\n",
			      (unsigned int)row->use.key.high - row->use.key.low + 1);
	if (row->traffic.window.failures)
		buffer_printf(out, "    %llu allocations failed\n",
			      (unsigned long long)row->traffic.window.failures);
	holders_print(out, view, row);
}

static void line_print(struct buffer *out, const struct pool_view *view,
		       const struct pool_place *place, const struct grid *grid,
		       const struct line *line)
{
	size_t shown = columns_shown(view);
	bool pressed = view->threshold > 0 && pool_share(&line->row->use) >= view->threshold;

	if (pressed && view->color)
		buffer_text(out, COLOR_RED);
	for (size_t k = 0; k < shown; k++) {
		cell_fit(out, line->cells[k].data, line->cells[k].length, grid->widths[k],
			 columns[k].right, false, k + 1 == shown);
		if (k + 1 < shown)
			cell_spaces(out, GAP);
	}
	if (pressed && view->color)
		buffer_text(out, COLOR_OFF);
	buffer_byte(out, '\n');
	notes_print(out, view, line->row);
	if (view->map && (pool_row_is_used(line->row) || pool_is_elsewhere(&line->row->use.key)))
		pool_map(out, view, place, &line->row->use.key);
}

/* ---- a namespace ---- */

static unsigned int reserved_inside(const struct pool_place *place)
{
	unsigned int count = 0;

	for (unsigned int port = place->settings.low; port <= place->settings.high; port++)
		count += port_set_has(&place->settings.reserved, (uint16_t)port);
	return count;
}

static void place_head(struct buffer *out, const struct pool_view *view,
		       const struct pool_place *place)
{
	const struct pool *settings = &place->settings;
	static const char *const reuse[] = {"no", "yes", "loopback only"};

	if (view->color)
		buffer_text(out, COLOR_BOLD);
	buffer_printf(out, "network namespace %u", place->netns);
	if (place->name) {
		buffer_text(out, " (");
		plain(out, place->name);
		buffer_byte(out, ')');
	} else if (place->own) {
		buffer_text(out, " (this one)");
	}
	if (view->color)
		buffer_text(out, COLOR_OFF);
	buffer_printf(out, ": ports %u-%u, %u less %u reserved", settings->low, settings->high,
		      settings->high - settings->low + 1u, reserved_inside(place));
	if (!settings->reuse_error)
		buffer_printf(out, "; TIME_WAIT reused: %s (tcp_tw_reuse %u)",
			      reuse[settings->reuse], settings->reuse);
	buffer_byte(out, '\n');
}

static void failures_print(struct buffer *out, const struct pool_view *view,
			   const struct pool_place *place)
{
	size_t shown = view->top && place->failure_count > view->top ? view->top
								     : place->failure_count;

	for (size_t i = 0; i < shown; i++) {
		pool_alert_text(
			out, view,
			&(struct pool_alert){.place = place, .failure = &place->failures[i]});
	}
	if (shown < place->failure_count)
		buffer_printf(out, "  ... and %zu more processes\n", place->failure_count - shown);
}

/* What IPv6 adds to IPv4: mostly nothing. */
static bool says_the_same(const struct pool_row *row, const struct pool_row *before)
{
	return before && row->use.key.family == 6 && before->use.key.family == 4 &&
	       row->use.key.protocol == before->use.key.protocol &&
	       address_wildcard(row->use.key.local, 6) &&
	       address_wildcard(before->use.key.local, 4) &&
	       !memcmp(row->use.ports, before->use.ports, sizeof(row->use.ports)) &&
	       row->traffic.window.claims == before->traffic.window.claims;
}

static size_t rows_choose(const struct pool_view *view, const struct pool_place *place,
			  const struct pool_row **chosen)
{
	size_t count = 0, connects = 0, binds = 0;

	for (size_t i = 0; i < place->row_count; i++) {
		const struct pool_row *row = &place->rows[i];
		bool bind = row->use.key.way == POOL_BIND;
		size_t *told = bind ? &binds : &connects;

		if (bind && says_the_same(row, i ? row - 1 : NULL))
			continue;
		if (view->top && *told >= view->top + (bind ? 2 : 0) &&
		    !pool_is_elsewhere(&row->use.key))
			continue;
		++*told;
		chosen[count++] = row;
	}
	return count;
}

static void place_print(struct buffer *out, const struct pool_view *view,
			const struct pool_place *place)
{
	CLEANUP_FREE const struct pool_row **rows = NULL;
	CLEANUP(grid_free) struct grid grid = {0};
	size_t count;

	rows = calloc(place->row_count + 1, sizeof(const struct pool_row *));
	if (!rows) {
		out->failed = true;
		return;
	}
	count = rows_choose(view, place, rows);
	place_head(out, view, place);
	if (grid_fill(&grid, rows, count)) {
		out->failed = true;
		return;
	}
	heading_print(out, view, &grid);
	for (size_t i = 0; i < grid.count; i++)
		line_print(out, view, place, &grid, &grid.lines[i]);
	if (count < place->row_count)
		buffer_printf(out,
			      "... and %zu more pools, none of them fuller (--top shows more)\n",
			      place->row_count - count);
	failures_print(out, view, place);
}

void pool_table(struct buffer *out, const struct pool_view *view)
{
	const struct pool_picture *picture = view->picture;

	for (size_t i = 0; i < picture->place_count; i++) {
		if (i)
			buffer_byte(out, '\n');
		place_print(out, view, &picture->places[i]);
	}
	if (view->map && picture->place_count)
		pool_map_legend(out, view);
	if (picture->missed)
		buffer_printf(out,
			      "%llu allocations found no room in the kernel's tally and are "
			      "in no rate\n",
			      (unsigned long long)picture->missed);
}

/* ---- alerts ---- */

static void failure_text(struct buffer *out, const struct pool_failure *failure)
{
	const char *protocol = protocol_name(failure->protocol);
	const char *trigger = trigger_name(failure->trigger), *error = errno_name(failure->error);

	if (*failure->comm)
		plain(out, failure->comm);
	else
		buffer_text(out, "a process");
	if (failure->pid)
		buffer_printf(out, "[%u]", failure->pid);
	buffer_printf(out, ": %llu allocation%s failed, %s %s, %s",
		      (unsigned long long)failure->count, failure->count == 1 ? "" : "s",
		      protocol ? protocol : "?", trigger ? trigger : "?", error ? error : "?");
}

void pool_alert_text(struct buffer *out, const struct pool_view *view,
		     const struct pool_alert *alert)
{
	const struct pool_row *row = alert->row;

	buffer_text(out, alert->over ? "over: " : "alert: ");
	if (!alert->place->own) {
		CLEANUP(buffer_free) struct buffer name = BUFFER_EMPTY;

		pool_words_netns(&name, alert->place);
		buffer_text(out, "netns ");
		escape_plain(out, name.data, name.length);
		buffer_text(out, ": ");
	}
	if (!row) {
		failure_text(out, alert->failure);
		buffer_byte(out, '\n');
		return;
	}
	pool_words_pool(out, &row->use.key);
	buffer_printf(out, ": %.0f%% taken (%u of %u, %u in TIME_WAIT), %s%u left",
		      pool_share(&row->use), pool_taken(&row->use), pool_capacity(&row->use),
		      row->use.ports[PORT_LINGERING], row->use.estimated ? "~" : "", row->use.left);
	if (view->picture->watched) {
		buffer_text(out, "; ");
		pool_words_outlook(out, row);
	}
	if (row->holder_count) {
		buffer_text(out, "; most by ");
		plain(out, row->holders[0].comm);
		buffer_printf(out, "[%u]: %u", row->holders[0].pid, row->holders[0].ports);
	}
	buffer_byte(out, '\n');
}
