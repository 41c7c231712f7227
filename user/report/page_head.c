/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The beginning of the page: how it looks, what it is about, what stands out. */
#include <inttypes.h>

#include "format/markup.h"
#include "report/page.h"

/* Blue, sky, orange and vermilion of Okabe and Ito, which the colour-blind can tell apart;
 * what matters has a shape or a word as well. */
static const char style[] =
	":root{color-scheme:light dark;--paper:#ffffff;--card:#f6f8fa;--ink:#1f2328;--soft:#59636e;"
	"--line:#d1d9e0;--faint:#e9edf1;--blue:#0072b2;--sky:#7cc4ee;--orange:#e69f00;"
	"--red:#c8450a;--purple:#aa4a85;--green:#00805c;--hatch:#8c959f}\n"
	"@media (prefers-color-scheme:dark){:root{--paper:#0f1419;--card:#171d24;--ink:#e6edf3;"
	"--soft:#9aa5b1;--line:#343d48;--faint:#232b34;--blue:#3d9bd9;--sky:#a5d8f7;"
	"--orange:#f0b429;--red:#ff7a45;--purple:#e08dbf;--green:#2bb98d;--hatch:#66707c}}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,"
	"-apple-system,'Segoe UI',Roboto,'Noto Sans',Ubuntu,Cantarell,'Helvetica Neue',Arial,"
	"sans-serif;-webkit-text-size-adjust:100%;print-color-adjust:exact;"
	"-webkit-print-color-adjust:exact}\n"
	"main,header{max-width:1120px;margin:0 auto;padding:0 24px}\n"
	"header{padding-top:32px}\n"
	"h1{font-size:26px;line-height:1.25;margin:0 0 4px;font-weight:650;letter-spacing:-.01em;"
	"overflow-wrap:anywhere}\n"
	"h2{font-size:19px;margin:0 0 4px;font-weight:650}\n"
	"h3{font-size:15px;margin:24px 0 6px;font-weight:650}\n"
	"p{margin:0 0 10px}\n"
	"section{margin:44px 0 0}\n"
	".words,.lead,figcaption,.none{color:var(--soft);max-width:88ch}\n"
	".lead{margin:0;overflow-wrap:anywhere}\n"
	"small{display:block;font-size:12px;color:var(--soft);overflow-wrap:anywhere}\n"
	"i{color:var(--soft)}\n"
	".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(228px,1fr));gap:12px;"
	"margin:22px 0 0;padding:0;list-style:none}\n"
	".tiles li{background:var(--card);border:1px solid var(--line);border-radius:8px;"
	"padding:12px 14px;min-width:0}\n"
	".tiles span{display:block;font-size:13px;color:var(--soft)}\n"
	".tiles strong{display:block;font-size:27px;line-height:1.25;font-weight:650;"
	"font-variant-numeric:tabular-nums}\n"
	".tiles .bad{border-left:4px solid var(--red)}\n"
	".tiles .bad strong{color:var(--red)}\n"
	".findings{margin:20px 0 0;padding:12px 16px 12px 34px;border:1px solid var(--line);"
	"border-left:4px solid var(--blue);border-radius:8px}\n"
	".findings.bad{border-left-color:var(--red)}\n"
	".findings li{margin:3px 0;overflow-wrap:anywhere}\n"
	"figure{margin:18px 0 0}\n"
	"figcaption{font-size:13px;margin:2px 0 0;max-width:112ch}\n"
	".legend{display:flex;flex-wrap:wrap;gap:4px 20px;font-size:13px;margin:8px 0 4px;padding:0;"
	"list-style:none}\n"
	".legend li{display:flex;align-items:center;gap:7px;min-width:0;overflow-wrap:anywhere}\n"
	".legend svg{width:22px;height:12px;flex:none}\n"
	".wide{overflow-x:auto}\n"
	"figure+.wide{margin-top:16px}\n"
	".wide:focus-visible{outline:2px solid var(--blue);outline-offset:2px}\n"
	".wide>svg{display:block;width:100%;min-width:720px;height:auto}\n"
	"svg text{font-size:12px;fill:var(--soft);font-variant-numeric:tabular-nums}\n"
	"svg .value,svg .name{text-anchor:end}\n"
	"svg .time{text-anchor:middle}\n"
	"svg .date{font-weight:600}\n"
	"svg .mark{fill:var(--ink);font-weight:600}\n"
	"svg .title{fill:var(--ink)}\n"
	".grid{stroke:var(--faint)}\n"
	".axis,.tick{stroke:var(--hatch)}\n"
	".limit{stroke:var(--red);stroke-dasharray:6 4}\n"
	".blind{fill:url(#hatch)}\n"
	".partly{fill:url(#dots)}\n"
	".kernel,.use{fill:var(--blue)}\n"
	".requested{fill:var(--sky)}\n"
	".unknown{fill:var(--hatch)}\n"
	".waiting{fill:var(--orange)}\n"
	".failed{fill:var(--red)}\n"
	".refused{fill:none;stroke:var(--red)}\n"
	".dot{fill:var(--paper);stroke:var(--ink);stroke-width:2}\n"
	".curve{fill:none;stroke-width:2;stroke-linejoin:round}\n"
	".c0{stroke:var(--blue)}.c1{stroke:var(--orange);stroke-dasharray:7 3}"
	".c2{stroke:var(--purple);stroke-dasharray:2 3}"
	".c3{stroke:var(--green);stroke-dasharray:9 3 2 3}\n"
	".hit{fill:transparent}\n"
	".hit:hover{fill:var(--ink);fill-opacity:.1}\n"
	".cell{fill:var(--faint)}\n"
	".u1{fill-opacity:.22}.u2{fill-opacity:.42}.u3{fill-opacity:.64}.u4{fill-opacity:.82}\n"
	".pool{fill:none;stroke:var(--ink);stroke-width:1.5}\n"
	"table{border-collapse:collapse;width:100%;font-size:14px}\n"
	"caption{text-align:left;color:var(--soft);font-size:13px;padding:0 0 6px}\n"
	"th,td{padding:6px 10px;text-align:left;vertical-align:top;border-bottom:1px solid "
	"var(--faint)}\n"
	"thead th{font-weight:600;font-size:12.5px;color:var(--soft);border-bottom:1px solid "
	"var(--line);vertical-align:bottom}\n"
	"tbody th{font-weight:400;overflow-wrap:anywhere;min-width:190px}\n"
	"td{overflow-wrap:anywhere}\n"
	".n{text-align:right;white-space:nowrap;overflow-wrap:normal;"
	"font-variant-numeric:tabular-nums}\n"
	"thead .n{white-space:normal}\n"
	".t{white-space:nowrap;overflow-wrap:normal;font-variant-numeric:tabular-nums}\n"
	".bar{min-width:120px}\n"
	".bar span{display:block;height:5px;border-radius:2px;margin:3px 0 0;"
	"background:var(--blue)}\n"
	".bad-n{color:var(--red);font-weight:600}\n"
	".z{color:var(--soft);opacity:.75}\n"
	".rest td,.rest th{color:var(--soft)}\n"
	"details{margin:10px 0 0}\n"
	"summary{cursor:pointer;color:var(--soft);font-size:13px}\n"
	"dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 18px;margin:14px 0 0;"
	"font-size:14px}\n"
	"dt{color:var(--soft)}\n"
	"dd{margin:0;overflow-wrap:anywhere}\n"
	".limits li{margin:4px 0;max-width:92ch}\n"
	"footer{color:var(--soft);font-size:13px;margin:44px 0 32px;padding:14px 0 0;"
	"border-top:1px solid var(--line)}\n"
	"@media (max-width:560px){main,header{padding:0 14px}header{padding-top:20px}"
	"h1{font-size:22px}dl{grid-template-columns:1fr}dd{margin:0 0 6px}"
	".tiles{grid-template-columns:1fr 1fr;gap:8px}.tiles strong{font-size:21px}}\n"
	"@media print{@page{margin:14mm}body{font-size:11px}main,header{max-width:none;padding:0}"
	"section{margin:22px 0 0}figure,tr,.tiles,.findings{break-inside:avoid}"
	"h2,h3{break-after:avoid}.wide{overflow:visible}.wide>svg{min-width:0}details{display:none}"
	"table{font-size:10px}th,td{padding:3px 5px}tbody th{min-width:0}.bar{min-width:60px}}\n"
	"@media print and (prefers-color-scheme:dark){:root{--paper:#ffffff;--card:#f6f8fa;"
	"--ink:#1f2328;--soft:#59636e;--line:#d1d9e0;--faint:#e9edf1;--blue:#0072b2;--sky:#7cc4ee;"
	"--orange:#e69f00;--red:#c8450a;--purple:#aa4a85;--green:#00805c;--hatch:#8c959f}}\n";

/* Fills that charts refer to. */
static const char patterns[] =
	"<svg width=\"0\" height=\"0\" aria-hidden=\"true\" style=\"position:absolute\"><defs>"
	"<pattern id=\"hatch\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" "
	"patternTransform=\"rotate(45)\"><rect width=\"7\" height=\"7\" fill=\"var(--faint)\"/>"
	"<rect width=\"1.6\" height=\"7\" fill=\"var(--hatch)\" fill-opacity=\".75\"/></pattern>"
	"<pattern id=\"dots\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">"
	"<circle cx=\"3\" cy=\"3\" r=\"1.1\" fill=\"var(--hatch)\"/></pattern></defs></svg>\n";

static bool same(const struct history_text *a, const struct history_text *b)
{
	return a->length == b->length && !!a->data == !!b->data &&
	       (!a->data || !memcmp(a->data, b->data, a->length));
}

/* The different ones, in the order in which they came. */
static void texts_put(struct buffer *out, const struct report *report, size_t offset)
{
	bool some = false;

	for (unsigned int i = 0; i < report->recording_count; i++) {
		const struct history_text *text =
			(const void *)((const char *)&report->recordings[i].told + offset);
		bool told = !text->data || !text->length;

		for (unsigned int j = 0; j < i && !told; j++)
			told = same(text, (const void *)((const char *)&report->recordings[j].told +
							 offset));
		if (told)
			continue;
		buffer_text(out, some ? ", " : "");
		markup_text(out, text->data, text->length);
		some = true;
	}
	if (!some)
		buffer_text(out, "not known");
}

static void zone_put(struct buffer *out, const struct report *report)
{
	markup_time_as(out, report->since, "%Z, UTC%z");
	if (timeline_zone(report->since) == timeline_zone(report->until))
		return;
	buffer_text(out, ", then ");
	markup_time_as(out, report->until, "%Z, UTC%z");
}

static void span_words(struct buffer *out, const struct report *report)
{
	markup_time(out, report->since);
	buffer_text(out, " – ");
	markup_time(out, report->until);
}

static unsigned int blind_columns(const struct report *report)
{
	unsigned int count = 0;

	for (int i = 0; i < REPORT_COLUMNS; i++)
		count += report->columns[i] == REPORT_BLIND;
	return count;
}

static void about_put(struct buffer *out, const struct report *report)
{
	buffer_text(out, "<dl>\n<dt>Period</dt><dd>");
	span_words(out, report);
	buffer_text(out, ", ");
	markup_duration(out, (uint64_t)(report->until - report->since));
	buffer_text(out, "</dd>\n<dt>Times</dt><dd>local to where this was made: ");
	zone_put(out, report);
	buffer_text(out, "</dd>\n<dt>Kernel</dt><dd>");
	texts_put(out, report, offsetof(struct history_recording, kernel));
	buffer_text(out, "</dd>\n<dt>Seen by</dt><dd>portsnoop ");
	texts_put(out, report, offsetof(struct history_recording, program));
	buffer_text(out, ", hooks of the tier ");
	texts_put(out, report, offsetof(struct history_recording, tier));
	buffer_printf(out, "; %" PRIu64 " recording%s in this period</dd>\n",
		      report->recording_count + report->recordings_more,
		      report->recording_count + report->recordings_more == 1 ? "" : "s");
	buffer_text(out, "<dt>Gaps</dt><dd>");
	if (!report->gap_count)
		buffer_text(out, "none: the recording is complete for this period");
	if (blind_columns(report)) {
		buffer_text(out, "nothing was recorded for about ");
		markup_percent(out, blind_columns(report), REPORT_COLUMNS);
		buffer_text(out, " of the period, hatched in every chart");
	} else if (report->gap_count) {
		buffer_printf(out, "%" PRIu64, report->gap_count + report->gaps_more);
	}
	if (report->totals.lost) {
		buffer_text(out, "; ");
		markup_number(out, report->totals.lost);
		buffer_text(out, " records or leases are known to be lost");
	}
	if (report->gap_count)
		buffer_text(out, "; see <a href=\"#recording\">the recording</a>");
	buffer_text(out, "</dd>\n</dl>\n");
}

void page_head(struct buffer *out, const struct report *report)
{
	buffer_text(
		out,
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
		"'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action "
		"'none'\"/>\n<meta name=\"viewport\" content=\"width=device-width, "
		"initial-scale=1\"/>\n<meta name=\"generator\" content=\"portsnoop " PORTSNOOP_VERSION
		"\"/>\n<title>Ports of ");
	texts_put(out, report, offsetof(struct history_recording, host));
	buffer_text(out, ", ");
	span_words(out, report);
	buffer_text(out, "</title>\n<style>\n");
	buffer_append(out, style, sizeof(style) - 1);
	buffer_text(out, "</style>\n</head>\n<body>\n");
	buffer_append(out, patterns, sizeof(patterns) - 1);
	buffer_text(out, "<header>\n<h1>Ports of ");
	texts_put(out, report, offsetof(struct history_recording, host));
	buffer_text(out, "</h1>\n<p class=\"lead\">Who took them, how fast, for how long, and who "
			 "went without: a report by portsnoop " PORTSNOOP_VERSION "</p>\n");
	about_put(out, report);
	buffer_text(out, "</header>\n<main>\n");
}

/* ---- tiles ---- */

static void tile_begin(struct buffer *out, const char *id, const char *title, bool bad)
{
	buffer_printf(out, "<li id=\"%s\"%s><span>%s</span><strong>", id,
		      bad ? " class=\"bad\"" : "", title);
}

static void tile_words(struct buffer *out)
{
	buffer_text(out, "</strong><small>");
}

static void tile_end(struct buffer *out)
{
	buffer_text(out, "</small></li>\n");
}

static void tile_claims(struct buffer *out, const struct report_totals *totals)
{
	tile_begin(out, "claimed", "Ports claimed", false);
	markup_number(out, totals->kernel + totals->requested + totals->unknown);
	tile_words(out);
	markup_number(out, totals->kernel);
	buffer_text(out, " chosen by the kernel, ");
	markup_number(out, totals->requested);
	buffer_text(out, " requested");
	if (totals->unknown) {
		buffer_text(out, ", ");
		markup_number(out, totals->unknown);
		buffer_text(out, " not known which");
	}
	tile_end(out);
}

static void tile_failures(struct buffer *out, const struct report_totals *totals)
{
	tile_begin(out, "failed", "Claims that failed", totals->failures);
	markup_number(out, totals->failures);
	tile_words(out);
	if (totals->exhausted) {
		markup_number(out, totals->exhausted);
		buffer_text(out, " because no port was free");
	} else {
		buffer_text(out, totals->failures ? "none for want of a free port"
						  : "whoever wanted a port got one");
	}
	if (totals->portless) {
		buffer_text(out, "; ");
		markup_number(out, totals->portless);
		buffer_text(out, " before it came to a port");
	}
	tile_end(out);
}

static void tile_refused(struct buffer *out, const struct report_totals *totals)
{
	tile_begin(out, "refused", "Connects that failed", false);
	markup_number(out, totals->refused);
	tile_words(out);
	buffer_text(out, "they had a port, but got no connection");
	tile_end(out);
}

static void tile_rate(struct buffer *out, const struct report_totals *totals)
{
	tile_begin(out, "rate", "Most claims in a second", false);
	markup_number(out, totals->rate);
	tile_words(out);
	if (totals->rate) {
		buffer_text(out, "at ");
		markup_time(out, totals->rate_time);
	} else {
		buffer_text(out, "nothing was claimed");
	}
	tile_end(out);
}

static void tile_peak(struct buffer *out, const struct report_totals *totals)
{
	tile_begin(out, "peak", "Most held at once", false);
	markup_number(out, totals->peak);
	tile_words(out);
	if (totals->peak) {
		buffer_text(out, "at ");
		markup_time(out, totals->peak_time);
		buffer_text(out, ", ");
		markup_number(out, totals->peak_lingering);
		buffer_text(out, " of them in TIME_WAIT");
	} else {
		buffer_text(out, "no port was held");
	}
	tile_end(out);
}

static void tile_pool(struct buffer *out, const struct report *report)
{
	struct page_use uses[PAGE_USES];
	const unsigned int count = page_uses(report, uses);

	tile_begin(out, "pool", "Highest use of a pool",
		   count && (uint64_t)uses[0].peak * 10 >= (uint64_t)uses[0].capacity * 8);
	markup_percent(out, count ? uses[0].peak : 0, count ? uses[0].capacity : 0);
	tile_words(out);
	if (count) {
		markup_number(out, uses[0].peak);
		buffer_text(out, " of ");
		markup_number(out, uses[0].capacity);
		buffer_text(out, ": ");
		page_use_name(out, &uses[0]);
	} else {
		buffer_text(out, "no port of a known pool was held");
	}
	tile_end(out);
}

static void tile_waiting(struct buffer *out, const struct report *report)
{
	const struct report_totals *totals = &report->totals;
	const double length = (double)(report->until - report->since);

	tile_begin(out, "waiting", "TIME_WAIT", false);
	markup_percent(out, totals->lingering_ns, totals->held_ns);
	tile_words(out);
	buffer_text(out, "of the time that ports were held; ");
	markup_rate(out, length > 0 ? totals->held_ns / length : 0);
	buffer_text(out, " were on average");
	tile_end(out);
}

static void tile_longest(struct buffer *out, const struct report_totals *totals)
{
	tile_begin(out, "longest", "Longest lease", false);
	if (totals->longest.ns) {
		buffer_text(out, totals->longest.least ? "≥ " : "");
		markup_duration(out, totals->longest.ns);
	} else {
		buffer_text(out, "–");
	}
	tile_words(out);
	markup_text(out, totals->longest.name.data, totals->longest.name.length);
	tile_end(out);
}

/* ---- what stands out ---- */

static bool is_pressing(const struct page_use *use)
{
	return (uint64_t)use->peak * 10 >= (uint64_t)use->capacity * 8;
}

static void finding_exhausted(struct buffer *out, const struct report *report)
{
	const struct report_totals *totals = &report->totals;

	buffer_text(out, "<li><b>");
	markup_number(out, totals->exhausted);
	buffer_text(out, totals->exhausted == 1 ? " claim" : " claims");
	buffer_text(out, " failed because no port was free</b>, ");
	buffer_text(out, totals->exhausted == 1 ? "at " : "from ");
	markup_time(out, totals->exhausted_first);
	if (totals->exhausted > 1) {
		buffer_text(out, " to ");
		markup_time(out, totals->exhausted_last);
	}
	buffer_text(out, ": <a href=\"#failures\">who, and who had the ports</a>.</li>\n");
}

static void finding_use(struct buffer *out, const struct page_use *use)
{
	buffer_text(out, "<li>");
	page_use_name(out, use);
	buffer_text(out, ": <b>");
	markup_percent(out, use->peak, use->capacity);
	buffer_text(out, " in use</b> at ");
	markup_time(out, use->time);
	buffer_text(out, ".</li>\n");
}

static void finding_top(struct buffer *out, const struct report *report)
{
	const struct keyed *rank = &report->ranks[REPORT_PROCESSES];
	const struct report_who *who = (const struct report_who *)rank->entries[rank->count > 1];
	const struct report_totals *totals = &report->totals;
	const uint64_t all = totals->kernel + totals->requested + totals->unknown;
	struct history_text comm;
	const char *key = who->base.key;

	if (!key || !report_claims(who))
		return;
	comm = key_take_text(&key);
	buffer_text(out, "<li><b>");
	page_text(out, &comm, "unknown process");
	buffer_text(out, "</b> took most ports: ");
	markup_number(out, report_claims(who));
	buffer_text(out, ", ");
	markup_percent(out, (double)report_claims(who), (double)all);
	buffer_text(out, " of all, up to ");
	markup_number(out, who->peak);
	buffer_text(out, " at once.</li>\n");
}

static void findings_put(struct buffer *out, const struct report *report)
{
	const struct report_totals *totals = &report->totals;
	struct page_use uses[PAGE_USES];
	const unsigned int count = page_uses(report, uses);

	buffer_printf(out, "<ul class=\"findings%s\" aria-label=\"What stands out\">\n",
		      totals->exhausted || (count && is_pressing(&uses[0])) ? " bad" : "");
	if (totals->exhausted)
		finding_exhausted(out, report);
	for (unsigned int i = 0; i < count && i < 2; i++)
		if (is_pressing(&uses[i]))
			finding_use(out, &uses[i]);
	finding_top(out, report);
	if (totals->held_ns > 0 && totals->lingering_ns > totals->held_ns / 2) {
		buffer_text(out, "<li>TIME_WAIT is ");
		markup_percent(out, totals->lingering_ns, totals->held_ns);
		buffer_text(out, " of the time that ports were held: connections that are used "
				 "again would free them.</li>\n");
	}
	if (blind_columns(report)) {
		buffer_text(out, "<li>Nothing was recorded for about ");
		markup_percent(out, blind_columns(report), REPORT_COLUMNS);
		buffer_text(out, " of this period: what happened then is not in any number "
				 "here.</li>\n");
	}
	if (!totals->kernel && !totals->requested && !totals->unknown && !totals->failures)
		buffer_text(out, "<li>No claim was recorded in this period.</li>\n");
	buffer_text(out, "</ul>\n");
}

void page_summary(struct buffer *out, const struct report *report)
{
	const struct report_totals *totals = &report->totals;

	buffer_text(out, "<section id=\"summary\" aria-label=\"Summary\" "
			 "style=\"margin-top:0\">\n<ul class=\"tiles\">\n");
	tile_claims(out, totals);
	tile_failures(out, totals);
	tile_pool(out, report);
	tile_rate(out, totals);
	tile_peak(out, totals);
	tile_waiting(out, report);
	tile_refused(out, totals);
	tile_longest(out, totals);
	buffer_text(out, "</ul>\n");
	findings_put(out, report);
	page_section_end(out);
}
