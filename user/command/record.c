/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `portsnoop record`: the history, as it happens. */
#include "command/record.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "command/probe_option.h"
#include "command/record_status.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/signals.h"
#include "sink/metrics_server.h"
#include "stream/recording.h"

#define REPLAY_COMMIT 50000 /* records */
#define RECORD_SIZE_LEAST (1u << 20)

static int record_set_format(const char *argument, void *target, const char **expected)
{
	*expected = "table or json";
	*(bool *)target = !strcmp(argument, "json");
	return *(bool *)target || !strcmp(argument, "table") ? 0 : -EINVAL;
}

static int record_set_size(const char *argument, void *target, const char **expected)
{
	uint64_t bytes;

	if (option_size(argument, &bytes, expected) || bytes < RECORD_SIZE_LEAST) {
		*expected = "a size from 1M: 64M, 4G";
		return -EINVAL;
	}
	*(uint64_t *)target = bytes;
	return 0;
}

static int record_set_metrics(const char *argument, void *target, const char **expected)
{
	return parse_endpoint(argument, target, expected);
}

static const struct option_entry record_options[] = {
	OPTION("db", 0, "FILE", "the database; the default is " STORE_PATH, option_string,
	       struct record_options, store.path),
	OPTION("max-size", 0, "SIZE",
	       "what the database may have of the disk: the oldest goes first; the default is "
	       "1G. Its WAL, some MiB, comes on top",
	       record_set_size, struct record_options, store.max_size),
	OPTION("max-age", 0, "TIME", "forget what is older: 90d, 12h; without it nothing is",
	       option_duration, struct record_options, store.max_age),
	PROBE_OPTIONS(struct record_options, tier, ring),
	SINK_OPTIONS(struct record_options, sinks),
	OPTION("metrics", 0, "ADDRESS:PORT",
	       "serve metrics in the OpenMetrics format at http://ADDRESS:PORT/metrics; a PORT "
	       "alone is one of 127.0.0.1",
	       record_set_metrics, struct record_options, metrics),
	OPTION("config", 0, "FILE",
	       "read options from this file; the default is " RECORD_CONFIG ", if it is there",
	       option_string, struct record_options, config, .line_only = true),
	OPTION("replay", 0, "FILE", "record what 'trace --save FILE' kept, not the kernel",
	       option_string, struct record_options, replay, .line_only = true),
	OPTION("status", 0, NULL, "ask the one that is recording how it fares", option_flag,
	       struct record_options, status, .line_only = true),
	OPTION("output", 'o', "FORMAT", "of the status: table (the default) or json",
	       record_set_format, struct record_options, json, .values = "table json",
	       .line_only = true),
	{0},
};

static bool endpoint_same(const struct endpoint *a, const struct endpoint *b)
{
	return a->family == b->family && a->port == b->port &&
	       !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

/* What the configuration file added: the rest is of the command line, and stays. */
static void sinks_forget(const struct record_setup *setup, struct record_options *options)
{
	if (options->sinks.list.specs == setup->given.sinks.list.specs) {
		options->sinks.list.specs = NULL;
		options->sinks.list.count = 0;
	}
	sink_list_free(&options->sinks.list);
}

static int setup_read(const struct record_setup *setup, struct config_file *config,
		      struct record_options *options, char *why, size_t size)
{
	const char *path = setup->given.config ? setup->given.config : RECORD_CONFIG;
	int error;

	*options = setup->given;
	error = config_read(config, path, &command_record, setup->is_given, options, why, size);
	return error == -ENOENT && !setup->given.config ? 0 : error;
}

int record_configure(struct record_setup *setup, char *why, size_t size)
{
	return setup_read(setup, &setup->config, &setup->options, why, size);
}

int record_reconfigure(struct record_setup *setup)
{
	CLEANUP(config_free) struct config_file config = {0};
	const struct record_options *old = &setup->options;
	struct record_options options;
	char why[CONFIG_WHY];
	int error = setup_read(setup, &config, &options, why, sizeof(why));

	if (error) {
		sinks_forget(setup, &options);
		log_message("%s; nothing has changed", why);
		return error;
	}
	if (strcmp(options.store.path, old->store.path) || options.tier != old->tier ||
	    options.ring != old->ring || !endpoint_same(&options.metrics, &old->metrics))
		log_message("db, tier, ring and metrics take effect with the next start");
	if (!sink_choice_same(&options.sinks, &old->sinks))
		log_message("sink, format and spool take effect with the next start");
	setup->options.store.max_size = options.store.max_size;
	setup->options.store.max_age = options.store.max_age;
	sinks_forget(setup, &options);
	return 0;
}

int record_sink(void *context, const struct event *event)
{
	sinks_event(context, event);
	return 0;
}

/* 0 or an exit status. */
static int stream_record(struct recorder *recorder, struct recording_reader *reader,
			 const char *file, struct sinks *sinks)
{
	const struct stream *stream;
	const char *why = NULL;
	const void *record;
	uint64_t offset = 0, records = 0;
	uint64_t time = 0;
	int64_t now = 0;
	size_t size;
	int result;

	for (;;) {
		result = signals_asked() ? -EINTR : recording_next(reader, &record, &size, &offset);
		if (result <= 0)
			break;
		result = recorder_record(recorder, record, size, &why);
		if (result)
			break;
		stream = pipeline_stream(recorder_pipeline(recorder));
		time = ((const struct wire_header *)record)->time;
		now = stream_wall_time(stream, time);
		if (++records % REPLAY_COMMIT == 0)
			recorder_commit(recorder, now, time);
		if (sinks && !recording_ready(reader))
			sinks_flush(sinks);
	}
	if (records && recorder_commit(recorder, now, time))
		return EXIT_FAILURE; /* which the store has said */
	if (!result)
		return EXIT_SUCCESS;
	if (result == -EINTR)
		log_message("%s: stopped at byte %" PRIu64, file, offset);
	else if (why)
		log_message("%s: at byte %" PRIu64 ": %s", file, offset, why);
	else if (*recording_why(reader))
		log_message("%s", recording_why(reader));
	else
		log_error(result, "%s", file);
	return EXIT_FAILURE;
}

static int record_replay(const char *file, struct store *store, struct sinks *sinks)
{
	struct recording_reader *reader;
	struct recorder *recorder;
	struct store_status status;
	int result = recording_open(file, &reader);

	if (result)
		return log_error(result, "%s", file), EXIT_FAILURE;
	recorder = recorder_new(store, NULL);
	if (!recorder) {
		recording_reader_free(reader);
		return log_error(-ENOMEM, "%s", file), EXIT_FAILURE;
	}
	if (sinks) {
		signals_open(SIGNALS_PLAIN);
		recorder_listen(recorder, record_sink, sinks);
	}
	result = stream_record(recorder, reader, file, sinks);
	store_status(store, &status);
	log_message("%" PRIu64 " leases and failures written, %" PRIu64 " dropped, %" PRIu64
		    " still held",
		    status.written, status.dropped, status.open);
	recorder_free(recorder);
	recording_reader_free(reader);
	if (sinks && sinks_end(sinks, signals_asked() ? SINKS_END_MS : SINKS_END_REPLAY_MS))
		result = EXIT_FAILURE;
	return result;
}

/* The folder of the default is a service manager's to make; by hand there is none. */
static void folder_make(const char *path)
{
	if (!strcmp(path, STORE_PATH))
		mkdir(STORE_FOLDER, 0750);
}

/* Of a start that failed: what it has made itself. */
static void database_unmake(const char *path)
{
	static const char *const ends[] = {"", "-wal", "-shm", ".lock"};
	char name[PATH_MAX];

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (snprintf(name, sizeof(name), "%s%s", path, ends[i]) < (int)sizeof(name))
			unlink(name);
}

/* 0, with NULL if none is wanted, or negative errno, which was said. */
static int sinks_start(const struct record_options *options, struct sinks **sinks)
{
	struct sink_choice choice = options->sinks;
	CLEANUP_FREE char *spool = NULL;

	if (!choice.spool) {
		if (asprintf(&spool, "%s-spool", options->store.path) < 0) {
			spool = NULL;
			return log_error(-ENOMEM, "%s", options->store.path);
		}
		choice.spool = spool;
	}
	return sink_choice_open(&choice, options->replay, sinks);
}

static int record_start(struct record_setup *setup, struct sinks *sinks)
{
	const struct record_options *options = &setup->options;
	struct store *store;
	bool there = !access(options->store.path, F_OK);
	struct store_status told;
	char why[512];
	int status;

	if (store_open(&options->store, &store, why, sizeof(why))) {
		log_message("%s", why);
		return EXIT_FAILURE;
	}
	if (options->replay)
		status = record_replay(options->replay, store, sinks);
	else
		status = record_live(setup, store, sinks);
	store_status(store, &told);
	store_close(store, clock_ns(CLOCK_REALTIME));
	if (status && !there && !told.commits)
		database_unmake(options->store.path);
	return status;
}

/* As bits of the table. */
static uint64_t status_options(void)
{
	uint64_t bits = 0;

	for (unsigned int i = 0; record_options[i].name; i++)
		if (!strcmp(record_options[i].name, "status") ||
		    !strcmp(record_options[i].name, "output"))
			bits |= UINT64_C(1) << i;
	return bits;
}

static int record_run(const struct command *command, int argc, char **argv)
{
	struct record_setup setup = {
		.given = {.store = {.path = STORE_PATH, .max_size = STORE_MAX_SIZE}},
	};
	int first = options_parse_given(command, argc, argv, &setup.given, &setup.is_given);
	struct sinks *sinks = NULL;
	char why[CONFIG_WHY];
	int status;

	if (first < argc)
		usage_error(command, "'%s': expected an option", argv[first]);
	if (setup.given.json && !setup.given.status)
		usage_error(command, "--output is for --status");
	if (setup.given.status && setup.is_given & ~status_options())
		usage_error(command, "--status asks whoever records: it goes with --output alone");
	if (setup.given.status)
		return record_status_run(setup.given.json, NULL);
	if (setup.given.replay && setup.given.metrics.family)
		usage_error(command, "--metrics tells of what the kernel does, not of --replay");
	if (record_configure(&setup, why, sizeof(why)))
		usage_error(command, "%s", why);
	if (!setup.options.sinks.list.count &&
	    (setup.options.sinks.spool || setup.options.sinks.list.format))
		usage_error(command, "--format and --spool are for --sink, and none is given");
	if (setup.options.metrics.family && !metrics_server_built())
		usage_error(command, "--metrics: this program is linked statically and has no HTTP "
				     "server; use one that is not, or leave the option out");
	umask(0027);
	folder_make(setup.options.store.path);
	/* First: a sink's process is to have nothing of the database. */
	status = sinks_start(&setup.options, &sinks) ? EXIT_FAILURE : record_start(&setup, sinks);
	sinks_free(sinks);
	sinks_forget(&setup, &setup.options);
	sink_list_free(&setup.given.sinks.list);
	config_free(&setup.config);
	return status;
}

const struct command command_record = {
	.name = "record",
	.usage = "[OPTION]...",
	.summary = "remember who had which port, for 'history'",
	.text = "Keeps every lease of a port and every claim that failed in a database: who made "
		"the claim, when, what came of it, when the port was given back, what stood in "
		"the way. Runs until it is stopped; SIGHUP makes it read its configuration and "
		"open its database, and the files of its sinks, anew. Once it watches, it gives "
		"up all privileges.",
	.options = record_options,
	.run = record_run,
};
