/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Metrics as text: OpenMetrics 1.0, and the older text format 0.0.4 of Prometheus, which
 * differs in the names behind HELP and TYPE, has no units and no end.
 *
 * A family, then its samples: openmetrics_sample(), labels, and a value that ends the line.
 * A family comes once.
 */
#ifndef PORTSNOOP_OPENMETRICS_H
#define PORTSNOOP_OPENMETRICS_H

#include "lib/buffer.h"

#define OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define OPENMETRICS_TYPE_CLASSIC "text/plain; version=0.0.4; charset=utf-8"

enum openmetrics_type {
	OPENMETRICS_COUNTER,
	OPENMETRICS_GAUGE,
	OPENMETRICS_HISTOGRAM,
	OPENMETRICS_INFO,
};

struct openmetrics_family {
	const char *name; /* without _total, _info or _bucket; ends with "_UNIT" */
	enum openmetrics_type type;
	const char *unit; /* "seconds"; NULL: none */
	const char *help; /* one sentence, without backslashes */
};

struct openmetrics {
	struct buffer *out;
	bool classic;
	const struct openmetrics_family *family; /* the open one */
	bool labelled;				 /* the open sample has a label */
};

void openmetrics_family(struct openmetrics *writer, const struct openmetrics_family *family);

/* The name, with what the type puts behind it; `part` is a histogram's: "_bucket", "_count",
 * "_sum", else "". */
void openmetrics_sample(struct openmetrics *writer, const char *part);

/* Any bytes. The name is ours. */
void openmetrics_label(struct openmetrics *writer, const char *name, const char *text,
		       size_t length);
void openmetrics_label_number(struct openmetrics *writer, const char *name, uint64_t number);
/* What escape_label() has made. */
void openmetrics_label_escaped(struct openmetrics *writer, const char *name, const char *text);

/* Each ends the line. */
void openmetrics_number(struct openmetrics *writer, uint64_t number);
void openmetrics_seconds(struct openmetrics *writer, uint64_t seconds, uint32_t nanoseconds);

void openmetrics_end(struct openmetrics *writer);

/* What a family's samples are called in PromQL: "_total" behind a counter's name. */
const char *openmetrics_suffix(enum openmetrics_type type);
const char *openmetrics_type_name(enum openmetrics_type type);

/* Whether a client that sends this Accept header (NULL: none) wants OpenMetrics rather than
 * the older format, which is what it gets when it wants neither. */
bool openmetrics_accepted(const char *accept);

#endif
