/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "report/page.h"

#include "format/markup.h"

/* ---- words that several parts use ---- */

void page_text(struct buffer *out, const struct history_text *text, const char *none)
{
	if (text->data && text->length)
		markup_text(out, text->data, text->length);
	else
		buffer_printf(out, "<i>%s</i>", none);
}

void page_endpoint(struct buffer *out, const struct history_text *ip, uint32_t port)
{
	const bool six = ip->data && memchr(ip->data, ':', ip->length);

	if (six)
		buffer_byte(out, '[');
	if (ip->data)
		markup_text(out, ip->data, ip->length);
	else
		buffer_byte(out, '?');
	buffer_text(out, six ? "]:" : ":");
	buffer_unsigned(out, port);
}

void page_process(struct buffer *out, const struct history_text *comm,
		  const struct history_text *exe)
{
	buffer_text(out, "<b>");
	page_text(out, comm, "unknown process");
	buffer_text(out, "</b>");
	if (!exe->data)
		return;
	buffer_text(out, "<small>");
	markup_text(out, exe->data, exe->length);
	buffer_text(out, "</small>");
}

void page_section(struct buffer *out, const char *id, const char *title, const char *words)
{
	buffer_printf(out,
		      "<section id=\"%s\" aria-labelledby=\"%s-heading\">\n"
		      "<h2 id=\"%s-heading\">%s</h2>\n",
		      id, id, id, title);
	if (words)
		buffer_printf(out, "<p class=\"words\">%s</p>\n", words);
}

void page_section_end(struct buffer *out)
{
	buffer_text(out, "</section>\n");
}

/* ---- use of pools ---- */

static void use_offer(struct page_use uses[PAGE_USES], unsigned int *count,
		      const struct page_use *use)
{
	unsigned int place = *count;

	/* a / b > c / d, in whole numbers */
	while (place && (uint64_t)use->peak * uses[place - 1].capacity >
				(uint64_t)uses[place - 1].peak * use->capacity)
		place--;
	if (place == PAGE_USES)
		return;
	if (*count < PAGE_USES)
		++*count;
	memmove(&uses[place + 1], &uses[place], (*count - 1 - place) * sizeof(*uses));
	uses[place] = *use;
}

unsigned int page_uses(const struct report *report, struct page_use uses[PAGE_USES])
{
	const struct keyed *pools = &report->pools, *paths = &report->ranks[REPORT_PATHS];
	unsigned int count = 0;

	for (uint32_t i = 1; i < pools->count; i++) {
		const struct report_pool *pool = (const struct report_pool *)pools->entries[i];
		const char *key = pool->base.key;
		struct page_use use = {
			.entry = &pool->base,
			.series = pool->series,
			.peak = pool->peak,
			.time = pool->peak_time,
		};
		uint32_t low;

		key_take_number(&key);
		low = key_take_number(&key);
		use.capacity = report_capacity(low, key_take_number(&key));
		use_offer(uses, &count, &use);
	}
	for (uint32_t i = 1; i < paths->count; i++) {
		const struct report_who *path = (const struct report_who *)paths->entries[i];
		const char *key = path->base.key;
		struct page_use use = {
			.entry = &path->base,
			.series = path->series,
			.path = true,
			.peak = path->peak,
			.time = path->peak_time,
		};
		uint32_t low;

		if (!path->series)
			continue;
		key_take_number(&key);
		for (int text = 0; text < 3; text++)
			key_take_text(&key);
		key_take_number(&key);
		low = key_take_number(&key);
		use.capacity = report_capacity(low, key_take_number(&key));
		use_offer(uses, &count, &use);
	}
	return count;
}

void page_use_name(struct buffer *out, const struct page_use *use)
{
	const char *key = use->entry->key;
	struct history_text kind, local, remote;
	uint32_t netns = key_take_number(&key), low, high;

	if (!use->path) {
		low = key_take_number(&key);
		high = key_take_number(&key);
		kind = key_take_text(&key);
		markup_text(out, kind.data, kind.length);
		buffer_printf(out, " ports %u–%u, to anywhere (netns %u)", low, high, netns);
		return;
	}
	kind = key_take_text(&key);
	local = key_take_text(&key);
	remote = key_take_text(&key);
	markup_text(out, kind.data, kind.length);
	buffer_text(out, " from ");
	page_text(out, &local, "?");
	buffer_text(out, " to ");
	page_endpoint(out, &remote, key_take_number(&key));
	low = key_take_number(&key);
	buffer_printf(out, ", ports %u–%u", low, key_take_number(&key));
}

/* ---- the page ---- */

void page_put(struct buffer *out, const struct report *report, uint64_t skipped)
{
	page_head(out, report);
	page_summary(out, report);
	page_charts(out, report);
	page_tops(out, report);
	page_failures(out, report);
	page_lifetimes(out, report);
	page_ports(out, report);
	page_listeners(out, report);
	page_recording(out, report, skipped);
	buffer_text(out, "</main>\n</body>\n</html>\n");
}
