/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Manual pages in man(7), from a command's table and from tools/manual/pages.c. */
#ifndef PORTSNOOP_ROFF_H
#define PORTSNOOP_ROFF_H

#include "lib/buffer.h"
#include "lib/option.h"

struct page_section {
	const char *heading; /* in capitals */
	const char *text;
};

/*
 * What a page has besides its table. The texts are paragraphs between empty lines. A line
 * that begins with a space stands as it is. TERM, a tab and a text are an entry of a list,
 * each on one line. Options and names of pages, as in sqlite3(1), are set in bold.
 */
struct page {
	const char *command;		     /* NULL: the program's own page */
	const struct page_section *sections; /* ended by one without heading */
	const char *see_also;		     /* "ss(8), lsof(8)"; NULL: only our own pages */
};

extern const struct page page_list[]; /* ended by one without sections */

extern const char sql_section[]; /* the views of the history's database */

extern const char sinks_section[]; /* of trace, replay and record */

/* Behind this text stands a list of all metrics. */
extern const char metrics_section[];
void metrics_list(struct buffer *out);

/* NULL: there is none. */
const struct page *page_find(const char *command);

/* A text as it stands, wherever it comes in a line. */
void roff_escape(struct buffer *out, const char *text, size_t length);

/* Paragraphs, lists and examples as told above. */
void roff_text(struct buffer *out, const char *text);

struct roff_origin {
	const char *date; /* 2026-11-21 */
	const char *version;
};

/* What a page begins and ends with; `part`: of the manual, 5 or 8. */
void roff_title(struct buffer *out, const char *name, unsigned int part,
		const struct roff_origin *origin);
void roff_name(struct buffer *out, const char *name, const char *summary);
void roff_see_also(struct buffer *out, const char *ours, const char *others);

/* portsnoop-fields.5 */
void roff_fields(struct buffer *out, const struct roff_origin *origin);

/* portsnoop-COMMAND.8. */
void roff_command(struct buffer *out, const struct command *command,
		  const struct roff_origin *origin);

/* portsnoop.8: of its page in page_list, the first section comes before the commands. */
void roff_program(struct buffer *out, const struct command *const *commands,
		  const struct roff_origin *origin);

#endif
