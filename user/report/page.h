/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The report as one page of HTML that needs nothing else: no script, no other file. It is
 * well-formed XML; all that comes from the database is escaped. The same numbers give the
 * same bytes in the same time zone.
 */
#ifndef PORTSNOOP_REPORT_PAGE_H
#define PORTSNOOP_REPORT_PAGE_H

#include "report/report.h"

/* After report_finish(). `skipped`: rows of the file that made no sense. */
void page_put(struct buffer *out, const struct report *report, uint64_t skipped);

/* ---- the parts, for page.c alone ---- */

/* A pool, or what of it goes to one destination, against what there is. */
struct page_use {
	const struct keyed_entry *entry;
	const struct series *series;
	bool path; /* of REPORT_PATHS; else a pool */
	uint32_t peak, capacity;
	int64_t time;
};

#define PAGE_USES 4
/* Those with the greatest part in use, the greatest first. How many there are. */
unsigned int page_uses(const struct report *report, struct page_use uses[PAGE_USES]);
void page_use_name(struct buffer *out, const struct page_use *use);

void page_endpoint(struct buffer *out, const struct history_text *ip, uint32_t port);
void page_text(struct buffer *out, const struct history_text *text, const char *none);
void page_process(struct buffer *out, const struct history_text *comm,
		  const struct history_text *exe);
/* Opens and closes <section>; the texts are constants. `words` may be NULL. */
void page_section(struct buffer *out, const char *id, const char *title, const char *words);
void page_section_end(struct buffer *out);
void page_gap_words(struct buffer *out, const struct report_gap *gap);

void page_head(struct buffer *out, const struct report *report);
void page_summary(struct buffer *out, const struct report *report);
void page_charts(struct buffer *out, const struct report *report);
void page_lifetimes(struct buffer *out, const struct report *report);
void page_ports(struct buffer *out, const struct report *report);
void page_tops(struct buffer *out, const struct report *report);
void page_failures(struct buffer *out, const struct report *report);
void page_listeners(struct buffer *out, const struct report *report);
void page_recording(struct buffer *out, const struct report *report, uint64_t skipped);

#endif
