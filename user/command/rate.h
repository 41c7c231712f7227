/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the parts of `portsnoop rate` share: one interval, and the ways to show it. */
#ifndef PORTSNOOP_COMMAND_RATE_H
#define PORTSNOOP_COMMAND_RATE_H

#include "lib/buffer.h"
#include "model/rate.h"
#include "probe/attach.h"
#include "probe/procfs.h"

struct rate_names; /* of users and network namespaces, as this machine knows them */

struct rate_names *rate_names_new(void); /* NULL without memory */
void rate_names_free(struct rate_names *names);
/* The machine may have changed: network namespaces are listed anew, once, when the next
 * unknown one is asked for. */
void rate_names_age(struct rate_names *names);
const char *rate_user_name(struct rate_names *names, uint32_t uid);    /* NULL: unknown */
const char *rate_netns_name(struct rate_names *names, uint32_t inode); /* NULL: has none */

struct rate_view {
	struct rate_result result;
	struct rate_names *names;
	struct procfs *procfs; /* for JSON: what runs, of processes that still do; NULL: none */
	const char *host;      /* NULL: unknown */
	int64_t wall;	       /* CLOCK_REALTIME of the reading, ns */
	int64_t boot_offset;   /* CLOCK_REALTIME minus CLOCK_BOOTTIME, ns */
	enum wire_tier tier;
	uint64_t coverage;
	struct tally_counts rest[TALLY_RESTS];
	uint64_t untracked; /* as in struct tally_reading, also below */
	uint64_t skipped;
	bool estimated;
	bool once;  /* the interval is the whole time */
	bool final; /* the last one */
	bool color;
	unsigned int width; /* columns of the terminal; 0: no terminal */
};

/* ---- words ---- */

/* "curl[42]": hostile bytes, to be escaped. Of a container the start of its id. */
void rate_name(struct buffer *out, const struct rate_view *view, const struct rate_group *group);

/* "1.0s": a timer is never quite on time. */
void rate_duration(struct buffer *out, uint64_t ns);

/* "EADDRINUSE", or "aborted". */
void rate_error_name(struct buffer *out, const struct rate_error *error);

/* Why the numbers are not the whole truth. */
struct rate_gap {
	const char *reason; /* one word */
	const char *text;   /* for people, to stand before the count */
	uint64_t count;	    /* UINT64_MAX: unknown */
};
#define RATE_GAPS 6
unsigned int rate_gaps(const struct rate_view *view, struct rate_gap gaps[RATE_GAPS]);

/* "512 claims in 1.0s (500 kernel-chosen), 3 failed; most by curl[42]: 300" */
void rate_message(struct buffer *out, const struct rate_view *view);

/* ---- output; each appends to `out` ---- */

/* Lines that `rows` rows and all that stands around them take. */
size_t rate_table_lines(const struct rate_view *view);
void rate_table(struct buffer *out, const struct rate_view *view);

void rate_line(struct buffer *out, const struct rate_view *view); /* one */
void rate_json(struct buffer *out, const struct rate_view *view); /* one, NDJSON */

#endif
