/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How long ports were held, and which. */
#include "format/markup.h"
#include "report/chart.h"
#include "report/page.h"

/* ---- lifetimes ---- */

#define BARS_TOP 24
#define BARS_BOTTOM 210

static void edge_words(struct buffer *out, unsigned int bin)
{
	static const char *const words[REPORT_LIFETIMES] = {
		"10 µs", "30 µs",  "100 µs", "300 µs", "1 ms", "3 ms", "10 ms",
		"30 ms", "100 ms", "300 ms", "1 s",    "3 s",  "10 s", "30 s",
		"1 min", "3 min",  "10 min", "30 min", "1 h",  "3 h",  "12 h",
		"1 d",	 "3 d",	   "10 d",   "longer",
	};

	buffer_text(out, words[bin]);
}

static void bin_words(struct buffer *out, unsigned int bin)
{
	if (!bin) {
		buffer_text(out, "below ");
		edge_words(out, bin);
	} else if (bin == REPORT_LIFETIMES - 1) {
		edge_words(out, bin - 1);
		buffer_text(out, " and longer");
	} else {
		edge_words(out, bin - 1);
		buffer_text(out, " to ");
		edge_words(out, bin);
	}
}

static void bin_bar(struct buffer *out, const char *class, double x, double width, uint64_t count,
		    uint64_t most, unsigned int bin)
{
	const double height = (double)count / (double)most * (BARS_BOTTOM - BARS_TOP);

	if (!count)
		return;
	buffer_printf(out,
		      "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\">"
		      "<title>",
		      class, x, BARS_BOTTOM - (height < 1 ? 1 : height), width,
		      height < 1 ? 1 : height);
	bin_words(out, bin);
	buffer_text(out, ": ");
	markup_number(out, count);
	buffer_text(out, "</title></rect>\n");
}

static void bins_put(struct buffer *out, const struct report *report, unsigned int first,
		     unsigned int last, uint64_t most)
{
	const double width = (double)(CHART_RIGHT - CHART_LEFT) / (last - first + 1);

	for (unsigned int i = first; i <= last; i++) {
		const double x = CHART_LEFT + (i - first) * width;

		bin_bar(out, "use", x + width * .12, width * .36, report->in_use[i], most, i);
		bin_bar(out, "waiting", x + width * .52, width * .36, report->lifetimes[i], most,
			i);
		if (i == last)
			continue;
		buffer_printf(out,
			      "<line class=\"tick\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>"
			      "<text class=\"time\" x=\"%.1f\" y=\"%d\">",
			      x + width, x + width, BARS_BOTTOM, BARS_BOTTOM + 5, x + width,
			      BARS_BOTTOM + 19);
		edge_words(out, i);
		buffer_text(out, "</text>\n");
	}
}

static void bins_table(struct buffer *out, const struct report *report, unsigned int first,
		       unsigned int last)
{
	buffer_text(out, "<details><summary>The same in numbers</summary>\n<div class=\"wide\" "
			 "tabindex=\"0\" role=\"group\" aria-label=\"Numbers of the lifetimes\">"
			 "<table id=\"lifetime-numbers\">\n<thead><tr><th "
			 "scope=\"col\">Time</th><th class=\"n\" scope=\"col\">In use so long</th>"
			 "<th class=\"n\" scope=\"col\">Held so long</th></tr></thead>\n<tbody>\n");
	for (unsigned int i = first; i <= last; i++) {
		buffer_text(out, "<tr><th scope=\"row\">");
		bin_words(out, i);
		buffer_text(out, "</th><td class=\"n\">");
		markup_number(out, report->in_use[i]);
		buffer_text(out, "</td><td class=\"n\">");
		markup_number(out, report->lifetimes[i]);
		buffer_text(out, "</td></tr>\n");
	}
	buffer_text(out, "</tbody></table></div></details>\n");
}

static void bins_axis(struct buffer *out, uint64_t most)
{
	for (int i = 0; i <= 2; i++) {
		const double y = BARS_BOTTOM - (BARS_BOTTOM - BARS_TOP) * i / 2.0;

		buffer_printf(out,
			      "<line class=\"%s\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
			      "<text class=\"value\" x=\"%d\" y=\"%.1f\">",
			      i ? "grid" : "axis", CHART_LEFT, CHART_RIGHT, y, y, CHART_LEFT - 8,
			      y + 4);
		markup_number(out, most * (uint64_t)i / 2);
		buffer_text(out, "</text>\n");
	}
}

/* A round number that is even and not below. */
static uint64_t most_round(uint64_t most)
{
	uint64_t power = 1;

	while (power * 10 < most && power < UINT64_MAX / 100)
		power *= 10;
	for (uint64_t i = 2; i < 10; i += 2)
		if (power * i >= most)
			return power * i;
	return power * 10;
}

void page_lifetimes(struct buffer *out, const struct report *report)
{
	unsigned int first = REPORT_LIFETIMES, last = 0;
	uint64_t most = 0;

	page_section(
		out, "lifetimes", "Lifetimes",
		"Of the leases that were claimed in this period and have ended, as far as both "
		"were seen.");
	for (unsigned int i = 0; i < REPORT_LIFETIMES; i++) {
		if (!report->in_use[i] && !report->lifetimes[i])
			continue;
		first = first < i ? first : i;
		last = i;
		most = report->in_use[i] > most ? report->in_use[i] : most;
		most = report->lifetimes[i] > most ? report->lifetimes[i] : most;
	}
	if (!most) {
		buffer_text(out, "<p class=\"none\">None in this period.</p>\n");
		page_section_end(out);
		return;
	}
	/* A bar needs a neighbour to be read. */
	first = first ? first - 1 : 0;
	last = last < REPORT_LIFETIMES - 1 ? last + 1 : last;
	most = most_round(most);
	buffer_text(out,
		    "<figure id=\"lifetime-figure\">\n<ul class=\"legend\">\n"
		    "<li><svg viewBox=\"0 0 22 12\" aria-hidden=\"true\"><rect class=\"use\" "
		    "x=\"1\" y=\"1\" width=\"20\" height=\"10\" rx=\"2\"/></svg>in use, without "
		    "TIME_WAIT</li>\n<li><svg viewBox=\"0 0 22 12\" aria-hidden=\"true\"><rect "
		    "class=\"waiting\" x=\"1\" y=\"1\" width=\"20\" height=\"10\" rx=\"2\"/>"
		    "</svg>until given back, with TIME_WAIT</li>\n</ul>\n"
		    "<div class=\"wide\" tabindex=\"0\" role=\"group\" "
		    "aria-labelledby=\"lifetime-title\"><svg viewBox=\"0 0 960 240\" role=\"img\" "
		    "aria-labelledby=\"lifetime-title lifetime-words\"><title "
		    "id=\"lifetime-title\">How long ports were held</title><desc "
		    "id=\"lifetime-words\">Bars for how many leases lasted how long; half of them "
		    "less than ");
	markup_duration(out, sketch_quantile(&report->totals.lifetimes, 500));
	buffer_text(out, ". The numbers are in the table below.</desc>\n<text class=\"title\" "
			 "x=\"8\" y=\"14\">leases</text>\n");
	bins_axis(out, most);
	bins_put(out, report, first, last, most);
	buffer_text(out, "</svg></div>\n<figcaption><span id=\"lifetime-count\">");
	markup_number(out, report->totals.lifetimes.total);
	buffer_text(out, "</span> leases; median <b>");
	markup_duration(out, sketch_quantile(&report->totals.lifetimes, 500));
	buffer_text(out, "</b>, 95 % below <b>");
	markup_duration(out, sketch_quantile(&report->totals.lifetimes, 950));
	buffer_text(out, "</b>, 99 % below <b>");
	markup_duration(out, sketch_quantile(&report->totals.lifetimes, 990));
	buffer_text(out, "</b>. The steps grow about threefold.</figcaption>\n</figure>\n");
	bins_table(out, report, first, last);
	page_section_end(out);
}

/* ---- the map ---- */

#define CELL_PORTS 64
#define ROW_CELLS 64
#define ROWS 16
#define CELL 13
#define MAP_TOP 6

struct cell {
	uint64_t claims;
	unsigned int used; /* different ports */
	double held, lingering;
};

static struct cell cell_sum(const struct report *report, unsigned int number)
{
	struct cell cell = {0};

	for (unsigned int port = number * CELL_PORTS; port < (number + 1) * CELL_PORTS; port++) {
		cell.claims += report->port_claims[port];
		cell.held += report->port_held[port];
		cell.lingering += report->port_lingering[port];
		cell.used += report->port_held[port] > 0 || report->port_claims[port];
	}
	return cell;
}

/* The part of the time in which its ports were held, on average, in five steps. */
static const char *cell_shade(double part)
{
	static const double steps[] = {0.001, 0.01, 0.1, 0.5};
	static const char *const shades[] = {" u1", " u2", " u3", " u4", ""};
	int i = 0;

	while (i < 4 && part >= steps[i])
		i++;
	return shades[i];
}

static void cell_put(struct buffer *out, const struct report *report, unsigned int number)
{
	const struct cell cell = cell_sum(report, number);
	const double length = (double)(report->until - report->since);
	const double part = length > 0 ? cell.held / length / CELL_PORTS : 0;
	const bool waiting = cell.lingering > cell.held / 2;

	if (!cell.used)
		return;
	buffer_printf(
		out,
		"<rect class=\"%s%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"><title>%u–%u: ",
		waiting ? "waiting" : "use", cell_shade(part),
		CHART_LEFT + (int)(number % ROW_CELLS) * CELL,
		MAP_TOP + (int)(number / ROW_CELLS) * CELL, CELL - 2, CELL - 2, number * CELL_PORTS,
		(number + 1) * CELL_PORTS - 1);
	buffer_printf(out, "%u of %d used, claimed ", cell.used, CELL_PORTS);
	markup_number(out, cell.claims);
	buffer_text(out, " times, held ");
	markup_percent(out, part, 1);
	buffer_text(out, " of the time, ");
	markup_percent(out, cell.lingering, cell.held);
	buffer_text(out, " of that in TIME_WAIT</title></rect>\n");
}

static void map_rows(struct buffer *out)
{
	for (int row = 0; row < ROWS; row++) {
		const int y = MAP_TOP + row * CELL;

		buffer_printf(out, "<text class=\"name\" x=\"%d\" y=\"%d\">%d</text>",
			      CHART_LEFT - 8, y + CELL - 3, row * CELL_PORTS * ROW_CELLS);
		/* What was never used: one path instead of many rectangles. */
		buffer_printf(out, "<path class=\"cell\" d=\"");
		for (int cell = 0; cell < ROW_CELLS; cell++)
			buffer_printf(out, "M%d %dh%dv%dh-%dz", CHART_LEFT + cell * CELL, y,
				      CELL - 2, CELL - 2, CELL - 2);
		buffer_text(out, "\"/>\n");
	}
}

/* Around the cells from the one of `low` to the one of `high`. */
static void pool_outline(struct buffer *out, uint32_t low, uint32_t high)
{
	const int first = (int)(low / CELL_PORTS), last = (int)(high / CELL_PORTS);
	const int x0 = CHART_LEFT - 1, x1 = CHART_LEFT + ROW_CELLS * CELL - 1;
	const int left = x0 + first % ROW_CELLS * CELL, right = x0 + (last % ROW_CELLS + 1) * CELL;
	const int top = MAP_TOP - 1 + first / ROW_CELLS * CELL;
	const int bottom = MAP_TOP - 1 + (last / ROW_CELLS + 1) * CELL;

	if (first / ROW_CELLS == last / ROW_CELLS)
		buffer_printf(out, "<path class=\"pool\" d=\"M%d %dH%dV%dH%dZ\">", left, top, right,
			      bottom, left);
	else
		buffer_printf(out, "<path class=\"pool\" d=\"M%d %dH%dV%dH%dV%dH%dV%dH%dZ\">", left,
			      top, x1, bottom - CELL, right, bottom, x0, top + CELL, left);
	buffer_printf(out, "<title>the pool %u–%u</title></path>\n", low, high);
}

/* Several network namespaces mostly have the same one. */
static void pools_outline(struct buffer *out, const struct report *report)
{
	uint32_t seen[8][2];
	unsigned int count = 0;

	for (uint32_t i = 1; i < report->pools.count && count < 8; i++) {
		const char *key = report->pools.entries[i]->key;
		unsigned int j = 0;

		key_take_number(&key);
		seen[count][0] = key_take_number(&key);
		seen[count][1] = key_take_number(&key);
		while (seen[j][0] != seen[count][0] || seen[j][1] != seen[count][1])
			j++;
		if (j < count)
			continue;
		pool_outline(out, seen[count][0], seen[count][1]);
		count++;
	}
}

static void map_legend(struct buffer *out)
{
	static const struct {
		const char *class, *words;
	} shades[] = {
		{"cell", "never"},
		{"use u1", "below 0.1 %"},
		{"use u2", "to 1 %"},
		{"use u3", "to 10 %"},
		{"use u4", "to 50 %"},
		{"use", "more of the time"},
		{"waiting", "mostly in TIME_WAIT"},
	};

	buffer_text(out, "<ul class=\"legend\">\n<li>held, on average of the cell:</li>\n");
	for (size_t i = 0; i < sizeof(shades) / sizeof(*shades); i++)
		buffer_printf(
			out,
			"<li><svg viewBox=\"0 0 22 12\" aria-hidden=\"true\"><rect "
			"class=\"%s\" x=\"5\" y=\"0\" width=\"12\" height=\"12\"/></svg>%s</li>\n",
			shades[i].class, shades[i].words);
	buffer_text(out, "<li><svg viewBox=\"0 0 22 12\" aria-hidden=\"true\"><rect class=\"pool\" "
			 "x=\"1\" y=\"1\" width=\"20\" height=\"10\"/></svg>a pool</li>\n</ul>\n");
}

void page_ports(struct buffer *out, const struct report *report)
{
	unsigned int used = 0;

	for (unsigned int port = 0; port < 65536; port++)
		used += report->port_held[port] > 0 || report->port_claims[port];
	page_section(
		out, "ports", "The port map",
		"Every port number from 0 to 65535, 64 to a cell, 4,096 to a row: how much of the "
		"period they were held, over all protocols, addresses and network namespaces. "
		"Point at a cell for its numbers.");
	buffer_text(out, "<figure id=\"map-figure\">\n");
	map_legend(out);
	buffer_printf(
		out,
		"<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-labelledby=\"map-title\">"
		"<svg viewBox=\"0 0 960 %d\" role=\"img\" aria-labelledby=\"map-title "
		"map-words\"><title id=\"map-title\">The port map</title><desc "
		"id=\"map-words\">A grid of 1,024 cells. ",
		MAP_TOP + ROWS * CELL + 4);
	markup_number(out, used);
	buffer_text(out, " different port numbers were held in this period.</desc>\n");
	map_rows(out);
	for (unsigned int cell = 0; cell < ROWS * ROW_CELLS; cell++)
		cell_put(out, report, cell);
	pools_outline(out, report);
	buffer_text(out, "</svg></div>\n<figcaption><span id=\"ports-used\">");
	markup_number(out, used);
	buffer_text(out, "</span> different port numbers were held. Which ports are reserved "
			 "(ip_local_reserved_ports) is not recorded.</figcaption>\n</figure>\n");
	page_section_end(out);
}
