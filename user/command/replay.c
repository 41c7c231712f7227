/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command/sink_option.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/option.h"
#include "lib/signals.h"
#include "stream/view.h"
#include "stream/recording.h"

struct replay_options {
	struct view_options view;
	struct sink_choice sinks;
};

static const struct option_entry replay_options[] = {
	OUTPUT_OPTIONS(struct replay_options, view),
	FILTER_OPTIONS(struct replay_options, view.filter),
	LEDGER_OPTION(struct replay_options, view),
	SINK_OPTIONS(struct replay_options, sinks),
	{0},
};

/* The output failed, and nothing more can be said there. A reader that has seen
 * enough is no failure. */
static int output_status(int error)
{
	if (error == -EPIPE)
		return EXIT_SUCCESS;
	log_error(error, "standard output");
	return EXIT_FAILURE;
}

/* 0: to the end, or to --count. 1: damaged, or stopped before the end, which was said. Or
 * negative errno: the output failed. */
static int recording_render(struct recording_reader *reader, const char *file, struct view *view)
{
	const char *why = NULL;
	const void *record;
	uint64_t offset = 0;
	size_t size;
	int result, error;

	for (;;) {
		/* What is known should not wait for what a pipe has yet to bring. */
		if (!recording_ready(reader)) {
			error = view_flush(view);
			if (error)
				return error;
		}
		result = signals_asked() ? -EINTR : recording_next(reader, &record, &size, &offset);
		if (result <= 0)
			break;
		result = view_record(view, record, size, &why);
		if (result)
			break;
	}
	error = view_flush(view);
	if (error)
		return error;
	if (result >= 0)
		return 0;
	if (result == -EINTR)
		log_message("%s: stopped at byte %" PRIu64, file, offset);
	else if (why)
		log_message("%s: at byte %" PRIu64 ": %s", file, offset, why);
	else if (*recording_why(reader))
		log_message("%s", recording_why(reader));
	else
		log_error(result, "%s", file);
	return 1;
}

static int replay_file(const char *file, const struct view_options *options)
{
	CLEANUP(output_free) struct output output = OUTPUT_TO(STDOUT_FILENO);
	struct recording_reader *reader;
	struct view *view;
	struct totals totals;
	int result = recording_open(file, &reader);

	if (!strcmp(file, "-"))
		file = "standard input"; /* from here on it is for messages */
	if (result) {
		log_error(result, "%s", file);
		return EXIT_FAILURE;
	}
	view = view_new(options, &output);
	if (!view) {
		recording_reader_free(reader);
		log_error(-ENOMEM, "%s", file);
		return EXIT_FAILURE;
	}
	result = recording_render(reader, file, view);
	if (result >= 0 && pipeline_stream(view_pipeline(view))) {
		view_totals(view, &totals);
		totals_print(&totals);
	}
	view_free(view);
	recording_reader_free(reader);
	return result < 0 ? output_status(result) : result;
}

static int replay_run(const struct command *command, int argc, char **argv)
{
	struct replay_options options = {0};
	int first = options_parse(command, argc, argv, &options);
	int status;

	if (argc - first < 1)
		usage_error(command, "no FILE is given; expected one, or - for standard input");
	if (argc - first > 1)
		usage_error(command, "'%s' is one FILE too many; expected one", argv[first + 1]);
	sink_choice_settle(command, &options.sinks, &options.view);
	view_options_settle(&options.view, STDOUT_FILENO);
	/* What sinks have is told even of a replay that is stopped. */
	if (options.sinks.list.count)
		signals_open(SIGNALS_PLAIN);
	if (sink_choice_open(&options.sinks, true, &options.view.sinks))
		status = EXIT_FAILURE;
	else
		status = replay_file(argv[first], &options.view);
	if (options.view.sinks &&
	    sinks_end(options.view.sinks, signals_asked() ? SINKS_END_MS : SINKS_END_REPLAY_MS))
		status = EXIT_FAILURE;
	sinks_free(options.view.sinks);
	sink_list_free(&options.sinks.list);
	view_options_free(&options.view);
	return status;
}

const struct command command_replay = {
	.name = "replay",
	.usage = "[OPTION]... FILE",
	.summary = "show a stream that 'trace --save FILE' recorded, as trace would have",
	.text = "FILE is a recording, - is standard input. The output is the same byte for byte, "
		"on any machine, as often as you like. A recording that is damaged or was cut "
		"short is shown as far as it goes, and the exit status is 1. With a --sink, "
		"the events go there, and standard output gets nothing unless it is one of "
		"them; the replay waits for those that are slow.",
	.options = replay_options,
	.run = replay_run,
};
