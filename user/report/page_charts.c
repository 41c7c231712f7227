/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What went on over time: the rate, the ports that were held, the use of the pools; and the
 * same in numbers. */
#include <inttypes.h>

#include "format/markup.h"
#include "lib/cleanup.h"
#include "report/chart.h"
#include "report/page.h"

#define SECOND INT64_C(1000000000)
#define DAY (86400 * SECOND)

struct curves {
	double kernel[TIMELINE_MOST], requested[TIMELINE_MOST], unknown[TIMELINE_MOST];
	double failures[TIMELINE_MOST];
};

static double part_seconds(const struct report *report, unsigned int part)
{
	const int64_t length =
		timeline_end(&report->timeline, part) - timeline_begin(&report->timeline, part);

	/* A moment: what there is of it. */
	return length > 0 ? (double)length / (double)SECOND : 1;
}

/* It is a round one. */
static const char *width_words(const struct report *report, struct buffer *out)
{
	static const struct {
		int64_t ns;
		const char *name;
	} units[] = {{DAY, "d"},
		     {3600 * SECOND, "h"},
		     {60 * SECOND, "min"},
		     {SECOND, "s"},
		     {SECOND / 1000, "ms"}};
	int i = 0;

	while (report->timeline.width % units[i].ns)
		i++;
	buffer_reset(out);
	buffer_printf(out, "%" PRId64 " %s", report->timeline.width / units[i].ns, units[i].name);
	buffer_byte(out, 0);
	return out->failed ? "" : out->data;
}

static void legend_put(struct buffer *out, const char *class, const char *words)
{
	buffer_printf(out,
		      "<li><svg viewBox=\"0 0 22 12\" aria-hidden=\"true\"><rect class=\"%s\" "
		      "x=\"1\" y=\"1\" width=\"20\" height=\"10\" rx=\"2\"/></svg>%s</li>\n",
		      class, words);
}

static bool has_shade(const struct report *report, enum report_shade shade)
{
	return memchr(report->columns, shade, sizeof(report->columns));
}

static void legend_gaps(struct buffer *out, const struct report *report)
{
	if (has_shade(report, REPORT_BLIND))
		legend_put(out, "blind", "not recorded");
	if (has_shade(report, REPORT_PARTLY))
		legend_put(out, "partly", "recorded in part: something was lost");
}

/* ---- rate ---- */

static void failures_put(const struct chart *above, const double *failures, double most,
			 const char *width)
{
	struct buffer *out = above->out;
	const double top = above->bottom + 62, bottom = top + 40;
	const struct timeline *timeline = &above->report->timeline;

	buffer_printf(out,
		      "<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
		      "<text class=\"value\" x=\"%d\" y=\"%.1f\">",
		      CHART_LEFT, CHART_RIGHT, bottom, bottom, CHART_LEFT - 8, top + 9);
	markup_number(out, (uint64_t)most);
	buffer_printf(
		out,
		"</text><text class=\"value\" x=\"%d\" y=\"%.1f\">0</text>"
		"<text class=\"title\" x=\"%d\" y=\"%.1f\">claims that failed, in each %s</text>\n",
		CHART_LEFT - 8, bottom + 4, CHART_LEFT - 56, top - 8, width);
	for (unsigned int i = 0; i < timeline->count; i++) {
		const double begin = chart_x(above, timeline_begin(timeline, i));
		const double end = chart_x(above, timeline_end(timeline, i));
		const double height = failures[i] / most * (bottom - top);

		if (failures[i] <= 0)
			continue;
		/* However few, they are seen. */
		buffer_printf(out,
			      "<rect class=\"failed\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
			      "height=\"%.1f\"><title>",
			      begin, bottom - (height < 2 ? 2 : height),
			      end - begin < 1.5 ? 1.5 : end - begin, height < 2 ? 2 : height);
		chart_part_words(out, timeline, i);
		buffer_text(out, ": ");
		markup_number(out, (uint64_t)failures[i]);
		buffer_text(out, " failed</title></rect>\n");
	}
}

static void rate_hits(const struct chart *chart)
{
	const struct report *report = chart->report;

	for (unsigned int i = 0; i < report->timeline.count; i++) {
		const struct report_bucket *bucket = &report->buckets[i];
		const double seconds = part_seconds(report, i);

		if (!bucket->kernel && !bucket->requested && !bucket->unknown && !bucket->failures)
			continue;
		chart_hit_begin(chart, i);
		markup_rate(chart->out, (double)bucket->kernel / seconds);
		buffer_text(chart->out, " chosen by the kernel, ");
		markup_rate(chart->out, (double)bucket->requested / seconds);
		buffer_text(chart->out, " requested per second; ");
		markup_number(chart->out, bucket->failures);
		buffer_text(chart->out, " failed");
		chart_hit_end(chart);
	}
}

static void rate_put(struct buffer *out, const struct report *report, struct curves *curves)
{
	CLEANUP(buffer_free) struct buffer words = BUFFER_EMPTY;
	CLEANUP(buffer_free) struct buffer width = BUFFER_EMPTY;
	struct chart chart = {.out = out,
			      .report = report,
			      .id = "rate-chart",
			      .title = "Ports claimed per second",
			      .top = 24,
			      .bottom = 220};
	double failed = 0, unknown = 0;

	for (unsigned int i = 0; i < report->timeline.count; i++) {
		const struct report_bucket *bucket = &report->buckets[i];
		const double seconds = part_seconds(report, i);

		curves->kernel[i] = (double)bucket->kernel / seconds;
		curves->requested[i] = curves->kernel[i] + (double)bucket->requested / seconds;
		curves->unknown[i] = curves->requested[i] + (double)bucket->unknown / seconds;
		curves->failures[i] = (double)bucket->failures;
		failed = curves->failures[i] > failed ? curves->failures[i] : failed;
		unknown += (double)bucket->unknown;
		chart.most = curves->unknown[i] > chart.most ? curves->unknown[i] : chart.most;
	}
	buffer_text(&words, "Surface over time, in steps of ");
	buffer_text(&words, width_words(report, &width));
	buffer_text(&words, ". The highest mean in a step is ");
	markup_rate(&words, chart.most);
	buffer_text(&words, " per second. The numbers are in the table below the charts.");
	buffer_text(out, "<figure id=\"rate-figure\">\n<ul class=\"legend\">\n");
	legend_put(out, "kernel", "chosen by the kernel (ephemeral)");
	legend_put(out, "requested", "requested by number");
	if (unknown > 0)
		legend_put(out, "unknown", "not known which");
	if (failed > 0)
		legend_put(out, "failed", "claims that failed");
	legend_gaps(out, report);
	buffer_text(out, "</ul>\n");
	chart_begin(&chart, failed > 0 ? 332 : 264, &words);
	buffer_printf(out,
		      "<text class=\"title\" x=\"%d\" y=\"14\">ports claimed per second</text>\n",
		      CHART_LEFT - 56);
	chart_area(&chart, "kernel", NULL, curves->kernel);
	chart_area(&chart, "requested", curves->kernel, curves->requested);
	if (unknown > 0)
		chart_area(&chart, "unknown", curves->requested, curves->unknown);
	if (failed > 0)
		failures_put(&chart, curves->failures, failed, width_words(report, &width));
	rate_hits(&chart);
	chart_end(&chart);
	buffer_text(out, "<figcaption>Means over steps of ");
	buffer_text(out, width_words(report, &width));
	buffer_text(out, "; the busiest second alone had ");
	markup_number(out, report->totals.rate);
	buffer_text(out, ".</figcaption>\n</figure>\n");
}

/* ---- held ---- */

static void held_hits(const struct chart *chart)
{
	const struct report *report = chart->report;

	for (unsigned int i = 0; i < report->timeline.count; i++) {
		const struct report_bucket *bucket = &report->buckets[i];

		if (!bucket->held)
			continue;
		chart_hit_begin(chart, i);
		buffer_text(chart->out, "at most ");
		markup_number(chart->out, bucket->held);
		buffer_text(chart->out, " held, ");
		markup_number(chart->out, bucket->lingering);
		buffer_text(chart->out, " of them in TIME_WAIT");
		chart_hit_end(chart);
	}
}

static void peak_mark(const struct chart *chart)
{
	const struct report_totals *totals = &chart->report->totals;
	const double x = chart_x(chart, totals->peak_time), y = chart_y(chart, totals->peak);
	const bool right = x < (CHART_LEFT + CHART_RIGHT) / 2.0;

	if (!totals->peak)
		return;
	buffer_printf(
		chart->out,
		"<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"/><text class=\"mark\" "
		"text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">",
		x, y, right ? "start" : "end", right ? x + 8 : x - 8, y < 26 ? y + 4 : y - 4);
	markup_number(chart->out, totals->peak);
	buffer_text(chart->out, "</text>\n");
}

static void held_put(struct buffer *out, const struct report *report, struct curves *curves)
{
	CLEANUP(buffer_free) struct buffer words = BUFFER_EMPTY;
	CLEANUP(buffer_free) struct buffer width = BUFFER_EMPTY;
	struct chart chart = {.out = out,
			      .report = report,
			      .id = "held-chart",
			      .title = "Ports held at once",
			      .top = 24,
			      .bottom = 220,
			      .most = report->totals.peak,
			      .whole = true};

	for (unsigned int i = 0; i < report->timeline.count; i++) {
		curves->kernel[i] = report->buckets[i].held - report->buckets[i].lingering;
		curves->requested[i] = report->buckets[i].held;
	}
	buffer_text(&words, "Surface over time, in steps of ");
	buffer_text(&words, width_words(report, &width));
	buffer_text(&words, ": the most that was held at one moment. The peak is ");
	markup_number(&words, report->totals.peak);
	buffer_text(&words, ", of which ");
	markup_number(&words, report->totals.peak_lingering);
	buffer_text(&words, " were in TIME_WAIT.");
	buffer_text(out, "<figure id=\"held-figure\">\n<h3>Held</h3>\n<ul class=\"legend\">\n");
	legend_put(out, "use", "in use");
	legend_put(out, "waiting", "in TIME_WAIT");
	legend_gaps(out, report);
	buffer_text(out, "</ul>\n");
	chart_begin(&chart, 264, &words);
	buffer_printf(out, "<text class=\"title\" x=\"%d\" y=\"14\">ports held at once</text>\n",
		      CHART_LEFT - 56);
	chart_area(&chart, "use", NULL, curves->kernel);
	chart_area(&chart, "waiting", curves->kernel, curves->requested);
	peak_mark(&chart);
	held_hits(&chart);
	chart_end(&chart);
	buffer_text(out, "<figcaption>The most at one moment within each step of ");
	buffer_text(out, width_words(report, &width));
	buffer_text(out, ". Claims of all protocols and network namespaces; ");
	markup_number(out, report->totals.before + report->totals.predating);
	buffer_text(out, " were held from before, ");
	markup_number(out, report->totals.end);
	buffer_text(out, " at the end.</figcaption>\n</figure>\n");
}

/* ---- use of pools ---- */

static void use_curve(const struct chart *chart, const struct page_use *use, unsigned int number,
		      double *values)
{
	static const char *const classes[PAGE_USES] = {"curve c0", "curve c1", "curve c2",
						       "curve c3"};
	unsigned int first = 0;

	for (unsigned int i = 0; i < chart->report->timeline.count; i++)
		values[i] = (double)use->series->peaks[i] * 100 / use->capacity;
	/* A path is drawn from where it was followed on. */
	while (use->path && first + 1 < chart->report->timeline.count && !use->series->peaks[first])
		first++;
	chart_line(chart, classes[number], values, first);
}

static void use_legend(struct buffer *out, const struct page_use *use, unsigned int number)
{
	buffer_printf(out,
		      "<li><svg viewBox=\"0 0 22 12\" aria-hidden=\"true\"><path class=\"curve "
		      "c%u\" d=\"M0 6H22\"/></svg><span>",
		      number);
	page_use_name(out, use);
	buffer_text(out, ": ");
	markup_percent(out, use->peak, use->capacity);
	buffer_text(out, " at ");
	markup_time(out, use->time);
	buffer_text(out, "</span></li>\n");
}

static double use_most(const struct page_use *uses, unsigned int count)
{
	static const double round[] = {0.1, 0.5, 1, 2, 5, 10, 20, 40};
	const double most = count ? uses[0].peak * 100.0 / uses[0].capacity : 0;

	for (size_t i = 0; i < sizeof(round) / sizeof(*round); i++)
		if (most <= round[i])
			return round[i];
	return most > 100 ? most : 100;
}

static void use_put(struct buffer *out, const struct report *report, struct curves *curves)
{
	CLEANUP(buffer_free) struct buffer words = BUFFER_EMPTY;
	struct page_use uses[PAGE_USES];
	const unsigned int count = page_uses(report, uses);
	struct chart chart = {.out = out,
			      .report = report,
			      .id = "pool-chart",
			      .title = "Use of the pools",
			      .top = 24,
			      .bottom = 220,
			      .most = use_most(uses, count),
			      .percent = true};

	buffer_text(out, "<figure id=\"pool-figure\">\n<h3>Use of the pools</h3>\n");
	if (!count) {
		buffer_text(out, "<p class=\"none\">No port of a known pool was held.</p>\n"
				 "</figure>\n");
		return;
	}
	buffer_text(&words, "Lines over time: the ports that are taken, in percent of the pool. ");
	for (unsigned int i = 0; i < count; i++) {
		page_use_name(&words, &uses[i]);
		buffer_text(&words, ": at most ");
		markup_percent(&words, uses[i].peak, uses[i].capacity);
		buffer_text(&words, ". ");
	}
	buffer_text(out, "<ul class=\"legend\">\n");
	for (unsigned int i = 0; i < count; i++)
		use_legend(out, &uses[i], i);
	legend_gaps(out, report);
	buffer_text(out, "</ul>\n");
	chart_begin(&chart, 264, &words);
	buffer_printf(out,
		      "<text class=\"title\" x=\"%d\" y=\"14\">ports taken, of those in the "
		      "pool</text>\n",
		      CHART_LEFT - 56);
	if (chart.most >= 100)
		buffer_printf(
			out,
			"<line class=\"limit\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
			CHART_LEFT, CHART_RIGHT, chart_y(&chart, 100), chart_y(&chart, 100));
	for (unsigned int i = count; i--;)
		use_curve(&chart, &uses[i], i, curves->kernel);
	chart_end(&chart);
	buffer_text(out,
		    "<figcaption>A TCP connect may share a port with connections to other "
		    "destinations: it fails when all ports are taken from its own address to its "
		    "own destination. bind() to 0 and UDP need a port that nobody has. A "
		    "destination is followed from a sixteenth of the pool on.</figcaption>\n"
		    "</figure>\n");
}

static void pools_put(struct buffer *out, const struct report *report)
{
	const struct keyed *pools = &report->pools;

	if (pools->count < 2)
		return;
	buffer_text(out,
		    "<div class=\"wide\" tabindex=\"0\" role=\"group\" "
		    "aria-label=\"Pools\"><table id=\"pools\">\n<caption>Pools, each of one "
		    "network namespace and transport</caption>\n<thead><tr><th "
		    "scope=\"col\">Pool</th><th scope=\"col\">Network namespace</th>"
		    "<th class=\"n\" scope=\"col\">Ports</th><th class=\"n\" "
		    "scope=\"col\">Most taken at once</th><th class=\"n\" scope=\"col\">Of the "
		    "pool</th><th class=\"n\" scope=\"col\">TIME_WAIT then</th><th "
		    "scope=\"col\">When</th></tr></thead>\n<tbody>\n");
	for (uint32_t i = 1; i < pools->count && i <= 12; i++) {
		const struct report_pool *pool = (const struct report_pool *)pools->entries[i];
		const char *key = pool->base.key;
		const uint32_t netns = key_take_number(&key), low = key_take_number(&key);
		const uint32_t high = key_take_number(&key);
		const struct history_text kind = key_take_text(&key);

		buffer_text(out, "<tr><th scope=\"row\">");
		markup_text(out, kind.data, kind.length);
		buffer_printf(out, " %u–%u</th><td class=\"t\">%u</td><td class=\"n\">", low, high,
			      netns);
		markup_number(out, report_capacity(low, high));
		buffer_text(out, "</td><td class=\"n\">");
		markup_number(out, pool->peak);
		buffer_text(out, "</td><td class=\"n\">");
		markup_percent(out, pool->peak, report_capacity(low, high));
		buffer_text(out, "</td><td class=\"n\">");
		markup_percent(out, pool->peak_lingering, pool->peak_held);
		buffer_text(out, "</td><td class=\"t\">");
		markup_time(out, pool->peak_time);
		buffer_text(out, "</td></tr>\n");
	}
	buffer_text(out, "</tbody></table></div>\n");
	if (pools->count > 13)
		buffer_printf(out, "<p class=\"none\">and %u more with less</p>\n",
			      pools->count - 13);
}

/* ---- in numbers ---- */

static void numbers_put(struct buffer *out, const struct report *report)
{
	buffer_text(out, "<details><summary>The same in numbers</summary>\n<div class=\"wide\" "
			 "tabindex=\"0\" role=\"group\" aria-label=\"Numbers of the "
			 "charts\"><table id=\"numbers\">\n<thead><tr><th "
			 "scope=\"col\">From</th><th class=\"n\" scope=\"col\">Chosen by the "
			 "kernel</th><th class=\"n\" scope=\"col\">Requested</th><th class=\"n\" "
			 "scope=\"col\">Not known which</th><th class=\"n\" scope=\"col\">Claims "
			 "failed</th><th class=\"n\" scope=\"col\">Connects failed</th><th "
			 "class=\"n\" scope=\"col\">Most held</th><th class=\"n\" scope=\"col\">in "
			 "TIME_WAIT</th></tr></thead>\n<tbody>\n");
	for (unsigned int i = 0; i < report->timeline.count; i++) {
		const struct report_bucket *bucket = &report->buckets[i];
		const uint64_t numbers[] = {
			bucket->kernel,	 bucket->requested, bucket->unknown,   bucket->failures,
			bucket->refused, bucket->held,	    bucket->lingering,
		};

		buffer_text(out, "<tr><th class=\"t\" scope=\"row\">");
		markup_time(out, timeline_begin(&report->timeline, i));
		buffer_text(out, "</th>");
		for (size_t j = 0; j < sizeof(numbers) / sizeof(*numbers); j++) {
			buffer_text(out, "<td class=\"n\">");
			markup_number(out, numbers[j]);
			buffer_text(out, "</td>");
		}
		buffer_text(out, "</tr>\n");
	}
	buffer_text(out, "</tbody></table></div></details>\n");
}

void page_charts(struct buffer *out, const struct report *report)
{
	struct curves curves = {0};

	page_section(out, "time", "Over time", NULL);
	buffer_text(out, "<h3>Claimed</h3>\n");
	rate_put(out, report, &curves);
	held_put(out, report, &curves);
	use_put(out, report, &curves);
	pools_put(out, report);
	numbers_put(out, report);
	page_section_end(out);
}
