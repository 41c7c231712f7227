/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the parts of the report share; nobody else includes this. */
#ifndef PORTSNOOP_REPORT_INSIDE_H
#define PORTSNOOP_REPORT_INSIDE_H

#include "report/ends.h"
#include "report/identities.h"
#include "report/report.h"

/* who.c: the entries that a row is about; NULL: none. 0 or -ENOMEM. */
int report_who_find(struct report *report, const struct history_row *row,
		    struct report_who *who[REPORT_RANKS]);
/* The pool that the row's port belongs to; *pool NULL: none. */
int report_pool_find(struct report *report, const struct history_row *row,
		     struct report_pool **pool);

/* held.c: from now on it is held. */
int report_hold(struct report *report, const struct history_row *row,
		struct report_who *const who[REPORT_RANKS], struct report_pool *pool);
/* What ends up to and with `time`. */
void report_advance(struct report *report, int64_t time);
/* What is held goes on to the end of the period. */
void report_hold_finish(struct report *report);

/* failure.c */
int report_failure_add(struct report *report, struct keyed *groups, const struct history_row *row);
int report_listener_add(struct report *report, const struct history_row *row);
void report_gap_add(struct report *report, const struct history_row *row);
void report_failure_free(struct keyed_entry *entry);

static inline bool report_text_is(const struct history_text *text, const char *word)
{
	return text->data && text->length == strlen(word) &&
	       !memcmp(text->data, word, text->length);
}

#endif
