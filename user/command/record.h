/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of `portsnoop record` share. */
#ifndef PORTSNOOP_RECORD_H
#define PORTSNOOP_RECORD_H

#include "command/sink_option.h"
#include "lib/config.h"
#include "lib/parse.h"
#include "stream/recorder.h"

struct record_options {
	struct store_options store;
	uint64_t ring; /* bytes; 0: the default */
	uint32_t tier; /* enum wire_tier; 0: the best */
	struct endpoint metrics;
	struct sink_choice sinks;
	const char *config; /* NULL: RECORD_CONFIG, if it is there */
	const char *replay; /* NULL: the kernel */
	bool status;
	bool json; /* of the status */
};

#define RECORD_CONFIG "/etc/portsnoop/portsnoop.conf"

/* A commit comes so long after the first change, and a sign of life at least so often. */
#define RECORD_COMMIT_NS UINT64_C(1000000000)
#define RECORD_ALIVE_NS UINT64_C(10000000000)
/* And earlier if there is that much to write. */
#define RECORD_COMMIT_EVENTS 50000

/* The command line, and what a configuration file adds to it. */
struct record_setup {
	struct record_options given; /* of the command line, and defaults */
	uint64_t is_given;	     /* see options_parse_given() */
	struct config_file config;
	struct record_options options; /* in force */
};

/* Reads the configuration file. 0, or negative errno with `why`. */
int record_configure(struct record_setup *setup, char *why, size_t size);

/* Reads it again, and takes over what may change while it records: the limits. What else
 * is new is named. What is wrong is said, and then nothing has changed: negative errno. */
int record_reconfigure(struct record_setup *setup);

/* Records what the kernel does until somebody asks it to stop. `sinks` NULL: none. Exit
 * status. */
int record_live(struct record_setup *setup, struct store *store, struct sinks *sinks);

/* Each event into the sinks: a listener of the recorder's. */
int record_sink(void *context, const struct event *event);

#endif
