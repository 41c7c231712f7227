/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The pure chain that trace and replay share: record -> decoder -> ledger -> filter ->
 * format -> output. What comes out depends on the records and the options alone. The
 * ledger takes in every record, whatever the filter makes of its event.
 */
#ifndef PORTSNOOP_PIPELINE_H
#define PORTSNOOP_PIPELINE_H

#include "format/format.h"
#include "lib/option.h"
#include "model/filter.h"
#include "model/ledger.h"
#include "sink/output.h"
#include "stream/totals.h"

/* Chosen fields, in the order given. */
struct field_choice {
	const struct field **fields; /* NULL: the format's own choice */
	unsigned int count;
	char *expected; /* words for a name that is no field's */
};

struct pipeline_options {
	const struct format_ops *format; /* NULL: the table */
	struct field_choice fields;
	struct filter filter;
	bool no_ledger;	    /* no account of who holds what: no blocked_by */
	uint64_t count;	    /* stop after so many delivered events; 0: never */
	unsigned int width; /* of the terminal; 0: it is none */
	bool color;
};

/* Setters for option_entry.set; the target is the member. */
option_setter pipeline_set_format;
option_setter pipeline_set_fields;

/* Entries for a command's option table; `type` is its options struct, `member` the
 * struct pipeline_options in it. --fields and --columns are two names of one thing,
 * for what each output calls it. FILTER_OPTIONS(type, member.filter) goes with it. */
#define OUTPUT_OPTIONS(type, member)                                                               \
	OPTION("output", 'o', "FORMAT", "table (the default), json or csv", pipeline_set_format,   \
	       type, member.format),                                                               \
		OPTION("fields", 'f', "LIST",                                                      \
		       "what to show in json and csv: names of fields, as in process.pid,message", \
		       pipeline_set_fields, type, member.fields),                                  \
		OPTION("columns", 0, "LIST",                                                       \
		       "what to show in the table: headings, or names of fields",                  \
		       pipeline_set_fields, type, member.fields),                                  \
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
void pipeline_options_settle(struct pipeline_options *options, int fd);
void pipeline_options_free(struct pipeline_options *options);

struct pipeline;

/* Room of the ledger: what is beyond is forgotten, and counted. */
#define PIPELINE_LEASES 262144

/* Both must outlive the pipeline. NULL without memory. The heading of the output
 * comes with the stream's start: what is no stream has none. */
struct pipeline *pipeline_new(const struct pipeline_options *options, struct output *output);
void pipeline_free(struct pipeline *pipeline);

/*
 * Takes one record of `size` bytes, 8-aligned. 0; PIPELINE_DONE once `count` events
 * were delivered: of the records that still come, only WIRE_STREAM_END is looked at.
 * Or negative errno: -EBADMSG with *why as of decoder_record(), -ENOMEM, or what
 * output_flush() said: -EPIPE means that nobody reads any more.
 */
#define PIPELINE_DONE 1
int pipeline_record(struct pipeline *pipeline, const void *record, size_t size, const char **why);

/* Writes what is pending; to be called once a batch. */
int pipeline_flush(struct pipeline *pipeline);

/* What a service answers from: NULL without a ledger, and what the stream told. */
struct ledger *pipeline_ledger(const struct pipeline *pipeline);
const struct process *pipeline_process(const struct pipeline *pipeline,
				       const struct process_key *key);
const char *pipeline_user(const struct pipeline *pipeline, uint32_t uid);

/* What the stream's start said; NULL before it came. */
const struct stream *pipeline_stream(const struct pipeline *pipeline);
void pipeline_totals(const struct pipeline *pipeline, struct totals *totals);

#endif
