/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `portsnoop rate`: who claims ports, and how fast. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "command/probe_option.h"
#include "command/rate.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/option.h"
#include "lib/signals.h"
#include "probe/procfs.h"
#include "probe/tally.h"
#include "sink/output.h"
#include "sink/screen.h"
#include "stream/view.h"

#define S UINT64_C(1000000000)
#define INTERVAL_DEFAULT S
#define INTERVAL_LEAST (S / 20)
#define ONCE_DEFAULT (10 * S)
#define TOP_DEFAULT 20

struct rate_options {
	uint64_t duration; /* ns; 0: no end */
	uint64_t interval; /* ns; 0: not given */
	uint64_t top;
	uint32_t tier;
	enum rate_by by;
	bool once;
	bool json;
};

struct run {
	const struct rate_options *options;
	struct output output;
	struct tally *tally;
	struct rate *rate;
	struct rate_view view;
	char host[256];
	bool screen;  /* a terminal that is redrawn */
	bool drawn;   /* once at least */
	int signals;  /* descriptor of lib/signals.h */
	int ticks;    /* timerfd; -1: none, also below */
	int deadline; /* timerfd */
	int resized;  /* signalfd */
};

static int rate_set_by(const char *argument, void *target, const char **expected)
{
	for (unsigned int by = 0; by < RATE_BYS; by++) {
		if (strcmp(argument, rate_by_name(by)))
			continue;
		*(enum rate_by *)target = by;
		return 0;
	}
	*expected = "process, comm, unit, container, user, destination, port-class or netns";
	return -EINVAL;
}

static int rate_set_interval(const char *argument, void *target, const char **expected)
{
	uint64_t interval;
	int error = option_duration(argument, &interval, expected);

	if (!error && interval < INTERVAL_LEAST) {
		*expected = "a time from 50ms";
		error = -EINVAL;
	}
	if (!error)
		*(uint64_t *)target = interval;
	return error;
}

static int rate_set_output(const char *argument, void *target, const char **expected)
{
	*expected = "table or json";
	if (strcmp(argument, "json") && strcmp(argument, "table"))
		return -EINVAL;
	*(bool *)target = !strcmp(argument, "json");
	return 0;
}

static const struct option_entry rate_options[] = {
	OPTION("by", 'b', "WHAT",
	       "what a row is: process (the default), comm (all processes of a name), unit, "
	       "container, user, destination, port-class or netns",
	       rate_set_by, struct rate_options, by,
	       .values = "process comm unit container user destination port-class netns"),
	OPTION("interval", 'i', "TIME", "how often: 1s (the default), 10s, 5m", rate_set_interval,
	       struct rate_options, interval),
	OPTION("once", 0, NULL, "no intervals: the exact totals at the end", option_flag,
	       struct rate_options, once),
	OPTION("duration", 'd', "TIME",
	       "stop after this time: 10s, 5m, 2h; with --once, 10s without it", option_duration,
	       struct rate_options, duration),
	OPTION("top", 'n', "N", "show at most N rows; the others are summed up; the default is 20",
	       option_count, struct rate_options, top),
	OPTION("output", 'o', "FORMAT",
	       "table (for people) or json (one object an interval on its own line)",
	       rate_set_output, struct rate_options, json, .values = "table json"),
	PROBE_TIER_OPTION(struct rate_options, tier),
	{0},
};

/* ---- output ---- */

/* At whatever size the terminal has by now. */
static void view_settle(struct rate_view *view)
{
	struct view_options terminal = {0};

	view_options_settle(&terminal, STDOUT_FILENO);
	view->width = terminal.width;
	view->color = terminal.color;
}

static void screen_draw(struct run *run)
{
	CLEANUP(buffer_free) struct buffer frame = BUFFER_EMPTY;
	const unsigned int height = screen_height();
	struct rate_view *view = &run->view;
	size_t lines, rows = view->result.count;

	/* What has no room is summed up, and that takes a line, too. */
	while (rows && (lines = rate_table_lines(view)) >= height) {
		rows = lines - height + 1 < rows ? rows - (lines - height + 1) : 0;
		view->result = rate_result(run->rate, rows);
	}
	rate_table(&frame, view);
	screen_put(&run->output.pending, &frame, 0, height, !run->drawn);
	run->drawn = true;
	if (frame.failed)
		run->output.pending.failed = true;
}

/* 0 or negative errno. */
static int rate_show(struct run *run)
{
	struct buffer *out = &run->output.pending;
	struct rate_view *view = &run->view;

	view->result = rate_result(run->rate, run->options->top);
	view_settle(view);
	if (run->options->json) {
		view->procfs = procfs_open("/proc"); /* NULL: without */
		rate_json(out, view);
		procfs_close(view->procfs);
	} else if (run->screen) {
		screen_draw(run);
	} else if (run->options->once) {
		rate_table(out, view);
	} else {
		rate_line(out, view);
	}
	return output_flush(&run->output);
}

/* ---- the intervals ---- */

/* What has been counted by now. 0, or negative errno, and that was said. */
static int rate_count(struct run *run)
{
	CLEANUP(tally_reading_free) struct tally_reading reading = {0};
	struct rate_view *view = &run->view;
	int error = tally_read(run->tally, &reading);

	if (!error)
		error = rate_take(run->rate, &reading);
	if (error)
		return log_error(error, "the tally in the kernel cannot be read");
	rate_names_age(view->names);
	view->wall = reading.wall;
	view->boot_offset = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME);
	memcpy(view->rest, reading.rest, sizeof(view->rest));
	view->untracked = reading.untracked;
	view->skipped = reading.skipped;
	view->estimated = reading.estimated;
	return 0;
}

static void descriptor_drain(int fd)
{
	struct signalfd_siginfo info; /* more than a timerfd tells */

	while (read(fd, &info, sizeof(info)) > 0)
		continue;
}

/* What could not be read was said. */
#define LOOP_COUNT 1

/* Until there is a reason to stop. 0, LOOP_COUNT, or negative errno of the output. */
static int rate_loop(struct run *run)
{
	struct pollfd fds[] = {
		{.fd = run->signals, .events = POLLIN},
		{.fd = run->deadline, .events = POLLIN},
		{.fd = STDOUT_FILENO}, /* only whether its reader has gone */
		{.fd = run->ticks, .events = POLLIN},
		{.fd = run->resized, .events = POLLIN},
	};
	int error;

	for (;;) {
		if (poll(fds, sizeof(fds) / sizeof(*fds), -1) < 0) {
			if (errno != EINTR)
				return -errno;
			continue;
		}
		if (signals_stop() || fds[1].revents)
			return 0;
		if (fds[2].revents & (POLLERR | POLLHUP))
			return -EPIPE;
		if (fds[3].revents) {
			descriptor_drain(run->ticks);
			if (rate_count(run))
				return LOOP_COUNT;
		}
		if (fds[4].revents)
			descriptor_drain(run->resized);
		if (!fds[3].revents && !(fds[4].revents && run->drawn))
			continue;
		error = rate_show(run);
		if (error)
			return error;
	}
}

/* *timer: readable after `ns`, and then every `ns` if it is to. 0 or negative errno. */
static int timer_open(int *timer, uint64_t ns, bool again)
{
	const struct timespec time = {.tv_sec = (time_t)(ns / S), .tv_nsec = (long)(ns % S)};
	const struct itimerspec when = {.it_value = time,
					.it_interval = again ? time : (struct timespec){0}};

	*timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return *timer < 0 || timerfd_settime(*timer, 0, &when, NULL) ? -errno : 0;
}

/* Who waits for something to see is told how long, and from when on it counts. */
static void start_say(const struct run *run)
{
	const struct rate_options *options = run->options;
	CLEANUP(buffer_free) struct buffer text = BUFFER_EMPTY;

	rate_duration(&text, options->once ? options->duration : options->interval);
	buffer_byte(&text, '\0');
	if (text.failed)
		return;
	if (options->once)
		log_message("counting for %s; Ctrl-C shows what there is by then", text.data);
	else if (run->screen)
		log_message("counting; the first table comes in %s", text.data);
}

/* 0 or negative errno. */
static int timers_open(struct run *run)
{
	const struct rate_options *options = run->options;
	int error = 0;

	if (!options->once)
		error = timer_open(&run->ticks, options->interval, true);
	if (!error && options->duration)
		error = timer_open(&run->deadline, options->duration, false);
	return error;
}

/* 0 or an exit status. */
static int rate_start(struct run *run)
{
	const struct rate_options *options = run->options;
	struct probe_failure failure;
	int error;

	run->screen = !options->json && !options->once && screen_wanted();
	if (run->screen)
		run->resized = screen_resizes_open();
	if (run->screen && run->resized < 0)
		return log_error(run->resized, "rate: the size of the terminal"), EXIT_FAILURE;
	run->tally = tally_open(options->tier, &failure);
	if (!run->tally)
		return log_message("%s", failure.text), EXIT_FAILURE;
	run->view.tier = tally_tier(run->tally);
	run->view.coverage = tally_coverage(run->tally);
	run->view.names = rate_names_new();
	run->rate = rate_new(options->by, (uint64_t)clock_ns(CLOCK_MONOTONIC));
	if (!run->rate || !run->view.names)
		return log_error(-ENOMEM, "rate"), EXIT_FAILURE;
	error = timers_open(run);
	if (error)
		return log_error(error, "rate: a timer"), EXIT_FAILURE;
	start_say(run);
	return 0;
}

/* The last interval. An exit status. */
static int rate_end(struct run *run, int result)
{
	run->view.final = true;
	if (!result) {
		tally_stop(run->tally);
		result = rate_count(run) ? LOOP_COUNT : rate_show(run);
	}
	if (result == -EPIPE)
		return EXIT_SUCCESS;
	if (result == -EINTR)
		log_message("standard output is not read: the rest is left out");
	else if (result < 0)
		log_error(result, "standard output");
	return result ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void run_close(struct run *run)
{
	tally_close(run->tally);
	rate_free(run->rate);
	rate_names_free(run->view.names);
	output_free(&run->output);
	cleanup_fd(&run->ticks);
	cleanup_fd(&run->deadline);
	cleanup_fd(&run->resized);
}

static int rate_run(const struct command *command, int argc, char **argv)
{
	struct rate_options options = {.top = TOP_DEFAULT};
	CLEANUP(run_close)
	struct run run = {
		.options = &options,
		.output = OUTPUT_TO(STDOUT_FILENO),
		.ticks = -1,
		.deadline = -1,
		.resized = -1,
	};
	int status, first = options_parse(command, argc, argv, &options);

	if (first < argc)
		usage_error(command, "'%s': takes no operands", argv[first]);
	if (options.once && options.interval)
		usage_error(command, "--interval: there is only one with --once; its length is "
				     "--duration");
	if (options.once && !options.duration)
		options.duration = ONCE_DEFAULT;
	if (!options.interval)
		options.interval = INTERVAL_DEFAULT;
	if (!gethostname(run.host, sizeof(run.host) - 1))
		run.view.host = run.host;
	run.view.once = options.once;
	run.signals = signals_open(SIGNALS_PLAIN);
	status = rate_start(&run);
	return status ? status : rate_end(&run, rate_loop(&run));
}

const struct command command_rate = {
	.name = "rate",
	.usage = "[OPTION]...",
	.summary = "show who claims ports, and how fast",
	.text = "Counts in the kernel, at any load: who takes ports, whether the kernel chose them "
		"or the program named them, what failed and why, what is given back, and what "
		"lingers in TIME_WAIT. On a terminal it is a table that is redrawn, elsewhere one "
		"line an interval. Stops with Ctrl-C.",
	.options = rate_options,
	.run = rate_run,
};
