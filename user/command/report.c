/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `portsnoop report`: a page for the post-mortem, from the history. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command/history.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "report/page.h"

#define DAY (INT64_C(86400) * 1000000000)

struct report_options {
	const char *db, *output;
	struct history_moment since, until;
};

/* Elsewhere -o takes a format: `report -o json` would write a page of that name. */
static int report_set_output(const char *text, void *value, const char **expected)
{
	static const char *const formats[] = {"html", "json", "csv", "table", "text"};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (!strcmp(text, formats[i])) {
			*expected = "a file, like report.html or ./json: a report is always HTML";
			return -EINVAL;
		}
	}
	return option_string(text, value, expected);
}

static const struct option_entry report_options[] = {
	OPTION("since", 'S', "TIME",
	       "where the period begins; the default is 24 hours before its end",
	       history_set_moment, struct report_options, since),
	OPTION("until", 'U', "TIME", "where the period ends; the default is now",
	       history_set_moment, struct report_options, until),
	OPTION("output", 'o', "FILE",
	       "write the page there, whole or not at all; - is standard output, the default unless "
	       "that is a terminal",
	       report_set_output, struct report_options, output),
	OPTION("db", 0, "FILE", "the database; the default is " STORE_PATH, option_string,
	       struct report_options, db),
	{0},
};

struct period {
	int64_t since, until, now;
};

static void period_set(struct period *period, const struct command *command,
		       const struct report_options *options)
{
	const struct history_moment *since = &options->since, *until = &options->until;

	period->now = clock_ns(CLOCK_REALTIME);
	history_not_yet(command, "since", since, period->now);
	history_not_yet(command, "until", until, period->now);
	period->until = until->text ? until->moment.ns : period->now;
	period->since = since->text ? since->moment.ns : period->until - DAY;
	if (period->since < 0) /* an end within a day of 1970 */
		period->since = 0;
	if (period->since < period->until)
		return;
	if (until->text && since->text)
		usage_error(command, "--until '%s' is not behind --since '%s'", until->text,
			    since->text);
	usage_error(command, "--%s '%s' leaves no time to report on",
		    since->text ? "since" : "until", since->text ? since->text : until->text);
}

/* ---- the file ---- */

static int descriptor_write(int fd, struct buffer *page)
{
	struct output output = OUTPUT_TO(fd);
	int error;

	output.pending = *page;
	error = output_flush(&output);
	*page = output.pending; /* it stays the caller's */
	return error;
}

/* As open() would give it. */
static mode_t mode_default(void)
{
	const mode_t mask = umask(0);

	umask(mask);
	return 0666 & ~mask;
}

static int temporary_fill(const char *temporary, int fd, const char *path, mode_t mode,
			  struct buffer *page)
{
	int error = descriptor_write(fd, page);

	if (!error && (fchmod(fd, mode) || fsync(fd)))
		error = -errno;
	if (!error && rename(temporary, path))
		error = -errno;
	if (error)
		unlink(temporary);
	return error;
}

/* Beside the file, so that its name changes hands at once. A signal, also for a file that
 * gets too large (ulimit -f), waits until there is no temporary one any more. */
static int file_replace(const char *path, mode_t mode, struct buffer *page)
{
	CLEANUP_FREE char *temporary = NULL;
	CLEANUP_FD int fd = -1;
	sigset_t all, before;
	int error;

	if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
		temporary = NULL;
		return -ENOMEM;
	}
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	fd = mkostemp(temporary, O_CLOEXEC);
	error = fd < 0 ? -errno : temporary_fill(temporary, fd, path, mode, page);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return error;
}

/* What there is is opened first: what the kernel would not let us write, for its mode or for
 * the link of somebody else in /tmp that leads to it, is not replaced either. Where a link
 * leads is what is meant; what is no file (/dev/null, a pipe) cannot be replaced. */
static int file_write(const char *path, struct buffer *page)
{
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	CLEANUP_FREE char *real = NULL;
	struct stat status;
	char link[32];

	if (fd < 0)
		return errno == ENOENT ? file_replace(path, mode_default(), page) : -errno;
	if (fstat(fd, &status))
		return -errno;
	if (!S_ISREG(status.st_mode))
		return descriptor_write(fd, page);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	real = realpath(link, NULL);
	return real ? file_replace(real, status.st_mode & 0777, page) : -errno;
}

static int page_write(const char *path, struct buffer *page)
{
	const bool standard = !path || !strcmp(path, "-");
	const int error = standard ? descriptor_write(STDOUT_FILENO, page) : file_write(path, page);

	/* A reader that has seen enough is no failure. */
	if (!error || (standard && error == -EPIPE))
		return 0;
	return log_error(error, "%s", standard ? "standard output" : path);
}

/* ---- the report ---- */

static int report_gather(struct report *report, struct history *history)
{
	const int64_t now = report->now;
	const struct history_query query = {
		.since = report->since, .until = report->until, .gaps = true};
	int error = history_ask(history, &query, now, report_row, report);

	if (!error)
		error = history_recordings(history, report->since, report->until, now,
					   report_recording, report);
	return error ? error : report_finish(report);
}

static int gather_failed(const struct history *history, const char *db, int error)
{
	const char *why = history_why(history);

	if (why && *why)
		log_message("%s", why);
	else
		log_error(error, "%s", db);
	return HISTORY_ERROR;
}

static bool is_empty(const struct report *report)
{
	const struct report_totals *totals = &report->totals;

	return !totals->failures && !totals->peak;
}

static int report_make(const struct report_options *options, struct history *history,
		       const struct period *period)
{
	CLEANUP(report_free) struct report report;
	CLEANUP(buffer_free) struct buffer page = BUFFER_EMPTY;
	int error = report_init(&report, period->since, period->until, period->now);

	if (!error)
		error = report_gather(&report, history);
	if (error)
		return gather_failed(history, options->db, error);
	page_put(&page, &report, history_skipped(history));
	if (page.failed)
		return log_error(-ENOMEM, "the report"), HISTORY_ERROR;
	if (page_write(options->output, &page))
		return HISTORY_ERROR;
	if (!is_empty(&report))
		return HISTORY_FOUND;
	log_message("nothing was recorded in this period; the report says so");
	return HISTORY_NOTHING;
}

static void history_give_back(struct history **history)
{
	history_close(*history);
}

static int report_run(const struct command *command, int argc, char **argv)
{
	struct report_options options = {.db = STORE_PATH};
	CLEANUP(history_give_back) struct history *history = NULL;
	const int first = options_parse(command, argc, argv, &options);
	char why[512] = "";
	struct period period;
	int error;

	if (first < argc)
		usage_error(command, "'%s': expected an option", argv[first]);
	period_set(&period, command, &options);
	if (!options.output && isatty(STDOUT_FILENO))
		usage_error(command,
			    "the page is not for a terminal; expected -o FILE (-o - writes "
			    "it there all the same)");
	error = history_open(options.db, &history, why, sizeof(why));
	if (error && *why)
		log_message("%s", why);
	else if (error)
		log_error(error, "%s", options.db);
	return error ? HISTORY_ERROR : report_make(&options, history, &period);
}

const struct command command_report = {
	.name = "report",
	.usage = "[OPTION]... [-o FILE]",
	.summary = "draw what 'record' has written, as a page for the post-mortem",
	.text = "Writes one HTML file that needs nothing else, neither a network nor a script: how "
		"fast ports were claimed and by whom, how many were held, how much of each pool, "
		"what failed and what stood in the way, how long ports were held, which ones, who "
		"listened, what the recording misses.\n"
		"\n"
		"A TIME is what 'history' takes: '2026-11-21 14:32', yesterday, -2h. The times on "
		"the page are local; TZ says otherwise.\n"
		"\n"
		"The exit status is 0 if there was something, 1 if nothing was recorded in the "
		"period, and 2 for an error.",
	.options = report_options,
	.run = report_run,
};
