/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "command/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fleet/fleet.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "stream/view.h"

#define FOLLOW_LINES 10
#define NEWEST_MORE 16

int64_t history_now(void)
{
	return clock_ns(CLOCK_REALTIME);
}

int history_show(void *context, const struct history_row *row)
{
	struct history_run *run = context;

	if (run->mixed && !history_wanted(&run->subjects, row))
		return 0;
	/* A gap that is older than the first row says nothing about those that are shown. */
	run->rows += row->kind != HISTORY_GAP;
	if (run->skip && run->rows <= run->skip)
		return 0;
	if (!run->view.begun)
		run->format->begin(&run->view, &run->output.pending);
	run->view.begun = true;
	run->found |= row->kind != HISTORY_GAP;
	history_seen_add(&run->seen, row);
	run->format->row(&run->view, row, &run->output.pending);
	if (run->output.pending.length >= OUTPUT_FULL)
		run->output_error = output_flush(&run->output);
	return run->output_error;
}

int history_flush(struct history_run *run, int status)
{
	if (!run->output_error)
		run->output_error = output_flush(&run->output);
	if (!run->output_error || run->output_error == -EPIPE)
		return status;
	log_error(run->output_error, "standard output");
	return HISTORY_ERROR;
}

int history_failed(struct history_run *run, int error)
{
	const char *why;

	if (run->output_error)
		return history_flush(run, run->found ? HISTORY_FOUND : HISTORY_NOTHING);
	why = run->source.ops->why(run->source.state);
	if (why && *why)
		log_message("%s", why);
	else
		log_error(error, "%s", run->name);
	return HISTORY_ERROR;
}

static int row_count(void *context, const struct history_row *row)
{
	struct history_run *run = context;

	run->total++;
	if (!run->mixed || history_wanted(&run->subjects, row))
		run->rows += row->kind != HISTORY_GAP;
	return 0;
}

static int rows_ask(struct history_run *run, history_visitor visitor)
{
	return run->source.ops->ask(run->source.state, &run->query, run->view.now, visitor, run);
}

/* The reader counts gaps as well, and what it cannot leave out. */
static int newest_find(struct history_run *run, uint64_t newest)
{
	int error;

	for (run->query.newest = newest;;) {
		if (__builtin_add_overflow(run->query.newest, NEWEST_MORE, &run->query.newest))
			run->query.newest = 0; /* all */
		run->rows = run->total = 0;
		error = rows_ask(run, row_count);
		if (error || run->rows >= newest || !run->query.newest ||
		    run->total < run->query.newest)
			break;
		if (__builtin_mul_overflow(run->query.newest, 8, &run->query.newest))
			run->query.newest = UINT64_MAX;
	}
	run->skip = run->rows > newest ? run->rows - newest : 0;
	return error;
}

int history_ask_all(struct history_run *run)
{
	const uint64_t newest = run->query.newest;
	int error = 0, status;

	run->view.now = history_now();
	run->rows = run->skip = 0;
	if (newest)
		error = newest_find(run, newest);
	run->rows = 0;
	if (!error)
		error = rows_ask(run, history_show);
	run->query.newest = newest;
	run->skip = 0;
	if (error) {
		status = history_failed(run, error);
		/* What came before the error is true. */
		return run->output_error ? status : history_flush(run, status);
	}
	return history_flush(run, run->found ? HISTORY_FOUND : HISTORY_NOTHING);
}

int history_begin(struct history_run *run)
{
	char why[512] = "";
	int error = history_open(run->name, &run->history, why, sizeof(why));

	if (error && *why)
		log_message("%s", why);
	else if (error)
		log_error(error, "%s", run->name);
	run->source = (struct source){&source_database, run->history};
	return error;
}

static int fleet_begin(struct history_run *run, const struct history_options *options)
{
	const struct fleet_options from = {
		.spec = options->from.specs,
		.hosts = options->hosts,
	};
	char why[512] = "";
	void *fleet = NULL;
	int error = fleet_open(&from, &fleet, why, sizeof(why));

	if (error)
		log_message("%s", why);
	run->source = (struct source){&source_fleet, fleet};
	return error;
}

/* A name that is nowhere is more likely a slip than a host that was quiet. */
static void hosts_missing_tell(const struct history_run *run)
{
	const char *host;

	for (size_t next = 0; (host = fleet_host_missing(run->source.state, &next));)
		log_message("%s has no host '%s'", run->name, host);
}

static void operands_take(struct history_run *run, const struct command *command, int argc,
			  char **argv, struct history_options *options)
{
	static const struct subject_rules rules = {.least = 1,
						   .protocols = IANA_TCP | IANA_UDP | IANA_SCTP};
	int next = options_parse(command, argc, argv, options);

	/* Options may stand behind ports, too: `history 80 --at 14:32`. */
	while (next < argc) {
		int error = subjects_add(&run->subjects, command, &rules, argv[next]);

		if (error) {
			log_error(error, "history");
			exit(HISTORY_ERROR);
		}
		argc -= next;
		argv += next;
		next = options_parse(command, argc, argv, options);
	}
}

static void run_free(struct history_run *run)
{
	source_close(&run->source);
	subjects_free(&run->subjects);
	history_view_free(&run->view);
	output_free(&run->output);
}

static int history_command(const struct command *command, int argc, char **argv)
{
	CLEANUP(run_free) struct history_run run = {.output = OUTPUT_TO(STDOUT_FILENO)};
	CLEANUP(history_options_free) struct history_options options = {0};
	struct view_options terminal = {0};
	int status;

	operands_take(&run, command, argc, argv, &options);
	history_query_set(&run.query, command, &options, &run.subjects, &run.ports, history_now(),
			  &run.mixed);
	view_options_settle(&terminal, STDOUT_FILENO);
	run.view.width = terminal.width;
	run.view.color = terminal.color;
	run.format = options.format ? options.format : &history_table;
	run.name = options.db ? options.db : STORE_PATH;
	if (options.from.count) {
		run.name = options.from.specs->name;
		run.view.hosts = true;
	}
	if (options.follow) {
		if (!options.lines.given && !options.since.text)
			run.query.newest = FOLLOW_LINES;
		return history_follow_run(&run, options.lines.given && !options.lines.count);
	}
	if (options.from.count ? fleet_begin(&run, &options) : history_begin(&run))
		return HISTORY_ERROR;
	status = history_ask_all(&run);
	if (options.from.count && status != HISTORY_ERROR)
		hosts_missing_tell(&run);
	if (status == HISTORY_NOTHING && !run.output_error && run.format == &history_table)
		log_message("nothing that was recorded is like this");
	return status;
}

const struct command command_history = {
	.name = "history",
	.usage = "[OPTION]... [PORT[/PROTOCOL]]...",
	.summary = "say who had a port then, from what 'record' has written",
	.text = "A PORT is a number (60002), a range (8000-8010) or the name of a service (ssh); a "
		"PROTOCOL is tcp, udp or sctp. Without any, all ports are meant. Every option "
		"that is given must hold.\n"
		"\n"
		"A TIME is what journalctl takes: '2026-11-21 14:32:07', 2026-11-21, 14:32, "
		"yesterday, -1h30min, '2 hours ago', @1395716396; also 'yesterday 14:32' and "
		"2026-11-21T14:32:07Z. It is local unless a time zone follows. A time without a "
		"day is of today. --at takes it as widely as it was written: 14:32 is that minute, "
		"14:32:07 that second, a date that day, and whoever had the port during a part of "
		"it is told. --since and --until begin and end with its first moment, as in "
		"journalctl. What is yet to come is refused, and no guess is made about the day.\n"
		"\n"
		"HELD is how long, with TIME-WAIT, which is of it: 'still' is held now, >= at least "
		"so long, because the recording began later or ended before; ~ is estimated. A "
		"claim that was made before the recording has no process: who had the socket open "
		"is told apart. Lines between '--' tell when nothing was recorded, and why, and "
		"what was lost.\n"
		"\n"
		"--from asks the table that a fleet's 'record --sink clickhouse:URL' fills instead "
		"of this machine's database, and tells of each row which host it is of.\n"
		"\n"
		"The exit status is 0 if there was something, 1 if there was not, and 2 for an "
		"error.",
	.options = history_option_table,
	.run = history_command,
};
