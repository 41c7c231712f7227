/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What trace and replay share: a pipeline whose events go through a filter and a format to
 * an output. The ledger takes in every record, whatever the filter makes of its event.
 */
#ifndef PORTSNOOP_VIEW_H
#define PORTSNOOP_VIEW_H

#include "format/format.h"
#include "lib/option.h"
#include "model/filter.h"
#include "sink/output.h"
#include "sink/sinks.h"
#include "stream/pipeline.h"
#include "stream/totals.h"

/* Chosen fields, in the order given. */
struct field_choice {
	const struct field **fields; /* NULL: the format's own choice */
	unsigned int count;
	char *expected; /* words for a name that is no field's */
};

struct view_options {
	const struct format_ops *format; /* NULL: the table */
	struct field_choice fields;
	struct filter filter;
	struct sinks *sinks; /* what is shown goes there, not to the output; NULL: none */
	bool no_ledger;	     /* no account of who holds what: no blocked_by */
	uint64_t count;	     /* stop after so many delivered events; 0: never */
	unsigned int width;  /* of the terminal; 0: it is none */
	bool color;
};

/* Setters for option_entry.set; the target is the member. */
option_setter view_set_format;
option_setter view_set_fields;

/* Entries for a command's option table; `type` is its options struct, `member` the
 * struct view_options in it. --fields and --columns are two names of one thing,
 * for what each output calls it. FILTER_OPTIONS(type, member.filter) goes with it. */
#define OUTPUT_OPTIONS(type, member)                                                               \
	OPTION("output", 'o', "FORMAT",                                                            \
	       "table (the default), ecs (or json: the same), otlp, ocsf or csv", view_set_format, \
	       type, member.format, .values = "table ecs json otlp ocsf csv"),                     \
		OPTION("fields", 'f', "LIST",                                                      \
		       "what to show in ecs and csv: names of fields, as in process.pid,message",  \
		       view_set_fields, type, member.fields),                                      \
		OPTION("columns", 0, "LIST",                                                       \
		       "what to show in the table: headings, or names of fields", view_set_fields, \
		       type, member.fields),                                                       \
		OPTION("count", 'n', "N", "stop after N events (it does not summarise)",           \
		       option_count, type, member.count)

/* One more entry. */
#define LEDGER_OPTION(type, member)                                                                \
	OPTION("no-ledger", 0, NULL,                                                               \
	       "keep no account of who holds which port: failures do not name what stood in "      \
	       "the way, and the kernel itself drops what the filters do",                         \
	       option_flag, type, member.no_ledger)

/* To be called once the options are parsed: fills in what they left open. The only
 * place that looks at the terminal: width and color stay 0 unless `fd` is one; then
 * COLUMNS overrides its width, and NO_COLOR or TERM=dumb turn the colors off. */
void view_options_settle(struct view_options *options, int fd);
void view_options_free(struct view_options *options);

struct view;

/* Both must outlive the view, as must the sinks. NULL without memory. The heading of the output
 * comes with the stream's start: what is no stream has none. */
struct view *view_new(const struct view_options *options, struct output *output);
void view_free(struct view *view);

/*
 * Takes one record of `size` bytes, 8-aligned. 0; VIEW_DONE once `count` events
 * were delivered: of the records that still come, only WIRE_STREAM_END is looked at.
 * Or negative errno: -EBADMSG with *why as of decoder_record(), -ENOMEM, or what
 * output_flush() said: -EPIPE means that nobody reads any more.
 */
#define VIEW_DONE 1
int view_record(struct view *view, const void *record, size_t size, const char **why);

/* Writes what is pending, or wakes the sinks; to be called once a batch. */
int view_flush(struct view *view);

struct pipeline *view_pipeline(const struct view *view);
void view_totals(const struct view *view, struct totals *totals);

#endif
