/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "command/pool.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/option.h"
#include "lib/signals.h"
#include "model/filter.h"
#include "model/text.h"
#include "sink/output.h"
#include "sink/screen.h"
#include "stream/view.h"

#define SECOND UINT64_C(1000000000)
#define INTERVAL (2 * SECOND)
#define TOP 5
#define WARNING 80.0 /* what is red without --warn */

struct pool_options {
	bool map, watch, json;
	double threshold;  /* percent; 0: none */
	uint64_t interval; /* ns; 0: not given */
	struct pool_duration {
		bool given;
		uint64_t ns;
	} duration;
	uint64_t top; /* 0: not given */
	struct number_list *namespaces;
};

/* One run. */
struct pool_run {
	const struct pool_options *options;
	struct pool_look *look;
	struct pool_alerts alerts;
	struct output output;
	struct pool_view view;
	char host[64];
	struct pool_picture picture; /* the last one */
	int signals;
	int resized; /* -1: no screen */
	bool screen; /* redrawn in place */
	bool drawn;  /* once at least */
	bool told;   /* an alert of the picture at hand */
};

static int pool_set_format(const char *argument, void *target, const char **expected)
{
	bool json = !strcmp(argument, "json");

	if (!json && strcmp(argument, "table")) {
		*expected = "table or json";
		return -EINVAL;
	}
	*(bool *)target = json;
	return 0;
}

static int pool_set_percent(const char *argument, void *target, const char **expected)
{
	char text[8];
	size_t length = strlen(argument);
	uint64_t percent;

	*expected = "a share of a pool from 1 to 100, like 80%";
	if (length && argument[length - 1] == '%')
		length--;
	if (length >= sizeof(text))
		return -EINVAL;
	memcpy(text, argument, length);
	text[length] = '\0';
	if (parse_unsigned(text, 1, 100, &percent))
		return -EINVAL;
	*(double *)target = (double)percent;
	return 0;
}

static int pool_set_duration(const char *argument, void *target, const char **expected)
{
	struct pool_duration duration = {.given = true};

	if (strcmp(argument, "0") != 0 && parse_duration(argument, &duration.ns, expected)) {
		*expected = "a time like 500ms, 10s or 5m, or 0";
		return -EINVAL;
	}
	*(struct pool_duration *)target = duration;
	return 0;
}

static const struct option_entry pool_options[] = {
	OPTION("map", 0, NULL, "draw each range: which ports are used, reserved, free", option_flag,
	       struct pool_options, map),
	OPTION("warn", 0, "PERCENT",
	       "exit with 1 if a pool is taken to this share or more, or an allocation failed: 80%",
	       pool_set_percent, struct pool_options, threshold),
	OPTION("duration", 0, "TIME",
	       "how long to watch for rates and failures; the default is 1s, 0 is a snapshot alone",
	       pool_set_duration, struct pool_options, duration),
	OPTION("watch", 'w', NULL, "go on, and tell of each interval", option_flag,
	       struct pool_options, watch),
	OPTION("interval", 'i', "TIME", "with --watch: how often; the default is 2s",
	       option_duration, struct pool_options, interval),
	OPTION("netns", 0, "NETNS",
	       "only these network namespaces: inode numbers, files like /proc/1/ns/net, or names "
	       "in /run/netns",
	       filter_set_netns, struct pool_options, namespaces),
	OPTION("top", 'n', "N",
	       "how many pools of a network namespace, and processes of a pool, are told; the "
	       "default is 5 in the table, all in json",
	       option_count, struct pool_options, top),
	OPTION("output", 'o', "FORMAT", "table (the default), or json: one object per pool",
	       pool_set_format, struct pool_options, json, .values = "table json"),
	{0},
};

/* ---- telling ---- */

static void alert_tell(const struct pool_alert *alert, void *context)
{
	struct pool_run *run = context;

	run->told = true;
	if (run->options->json)
		pool_alert_json(&run->output.pending, &run->view, alert);
	else if (!run->screen)
		pool_alert_text(&run->output.pending, &run->view, alert);
}

/* Where nothing is wrong, the first line says so. */
static void fine_tell(struct pool_run *run)
{
	struct buffer *out = &run->output.pending;
	const struct pool_place *place = NULL;
	const struct pool_row *row = pool_fullest(run->view.picture, &place);

	if (run->told || run->options->json || run->screen)
		return;
	buffer_printf(out, "ok: no pool is taken to %.0f%%", run->options->threshold);
	if (row) {
		buffer_text(out, "; the fullest is ");
		pool_words_pool(out, &row->use.key);
		buffer_text(out, ", ");
		pool_words_share(out, &row->use);
	}
	buffer_byte(out, '\n');
}

/* A line for each interval: the fullest pool. */
static void line_tell(struct pool_run *run)
{
	struct buffer *out = &run->output.pending;
	const struct pool_place *place = NULL;
	const struct pool_row *row = pool_fullest(run->view.picture, &place);
	char text[TEXT_TIME];

	buffer_append(out, text, (size_t)(text_time(text, run->view.picture->wall) - text));
	if (!row) {
		buffer_text(out, " no pool\n");
		return;
	}
	buffer_byte(out, ' ');
	pool_words_pool(out, &row->use.key);
	buffer_printf(out, ": %u of %u taken, %u in TIME_WAIT, %u left", pool_taken(&row->use),
		      pool_capacity(&row->use), row->use.ports[PORT_LINGERING], row->use.left);
	if (run->view.picture->watched) {
		buffer_printf(out, ", %.1f/s, ", row->traffic.rate);
		pool_words_outlook(out, row);
	}
	buffer_byte(out, '\n');
}

/* At whatever size the terminal has by now. */
static void screen_draw(struct pool_run *run)
{
	CLEANUP(buffer_free) struct buffer frame = BUFFER_EMPTY;
	struct view_options terminal = {0};

	view_options_settle(&terminal, STDOUT_FILENO);
	run->view.width = terminal.width;
	pool_table(&frame, &run->view);
	screen_put(&run->output.pending, &frame, terminal.width, screen_height(), !run->drawn);
	run->drawn = true;
	if (frame.failed)
		run->output.pending.failed = true;
}

/* What is pending. 0 or negative errno, and that was said. */
static int run_flush(struct pool_run *run)
{
	int error = output_flush(&run->output);

	if (error && error != -EPIPE) /* a reader that has seen enough is no failure */
		log_error(error, "standard output");
	return error;
}

static int picture_tell(struct pool_run *run)
{
	const struct pool_options *options = run->options;
	struct buffer *out = &run->output.pending;
	int error;

	run->told = false;
	error = pool_alerts_find(
		&run->alerts, run->view.picture,
		options->json || !options->watch || options->threshold > 0 ? options->threshold : 0,
		alert_tell, run);
	if (error)
		return log_error(error, "pool");
	if (options->threshold > 0 && !options->watch)
		fine_tell(run);
	if (options->json)
		pool_json(out, &run->view);
	else if (run->screen)
		screen_draw(run);
	else if (options->watch)
		line_tell(run);
	else
		pool_table(out, &run->view);
	return run_flush(run);
}

/* ---- running ---- */

static void resize_take(struct pool_run *run)
{
	struct signalfd_siginfo info;

	while (read(run->resized, &info, sizeof(info)) > 0)
		continue;
	screen_draw(run);
	run_flush(run);
}

/* False: a request to stop came, or nobody reads any more. */
static bool run_wait(struct pool_run *run, uint64_t ns)
{
	uint64_t until = (uint64_t)clock_ns(CLOCK_MONOTONIC) + ns;

	for (;;) {
		struct pollfd fds[] = {
			{.fd = run->signals, .events = POLLIN},
			{.fd = STDOUT_FILENO}, /* only whether its reader has gone */
			{.fd = run->resized, .events = POLLIN},
		};
		uint64_t now = (uint64_t)clock_ns(CLOCK_MONOTONIC);
		struct timespec left;

		if (signals_stop())
			return false;
		if (now >= until)
			return true;
		left.tv_sec = (time_t)((until - now) / SECOND);
		left.tv_nsec = (long)((until - now) % SECOND);
		if (ppoll(fds, sizeof(fds) / sizeof(*fds), &left, NULL) <= 0)
			continue;
		if (fds[1].revents & (POLLERR | POLLHUP))
			return false;
		if (fds[2].revents)
			resize_take(run);
	}
}

/* The exit status of the last picture, or POOL_ERROR. */
static int run_look(struct pool_run *run)
{
	int error;

	pool_picture_free(&run->picture);
	if (pool_look_take(run->look, &run->picture))
		return POOL_ERROR;
	run->view.picture = &run->picture;
	error = picture_tell(run);
	if (error && error != -EPIPE)
		return POOL_ERROR;
	if (run->options->threshold > 0 && pool_is_pressed(&run->picture, run->options->threshold))
		return POOL_PRESSED;
	return POOL_FINE;
}

static int run_all(struct pool_run *run)
{
	const struct pool_options *options = run->options;
	uint64_t interval = options->interval ? options->interval : INTERVAL;
	int status;

	if (!options->watch) {
		uint64_t duration = options->duration.given ? options->duration.ns : SECOND;

		if (pool_look_watches(run->look))
			run_wait(run, duration);
		return run_look(run);
	}
	do
		status = run_look(run);
	while (status != POOL_ERROR && !run->output.error && run_wait(run, interval));
	if (run->drawn && status != POOL_ERROR) { /* over the key that ended it */
		screen_draw(run);
		run_flush(run);
	}
	return status;
}

static void run_free(struct pool_run *run)
{
	pool_picture_free(&run->picture);
	cleanup_fd(&run->resized);
	pool_look_close(run->look);
	pool_alerts_free(&run->alerts);
	output_free(&run->output);
}

static void options_judge(const struct command *command, const struct pool_options *options)
{
	if (options->interval && !options->watch)
		usage_error(command, "--interval goes with --watch");
	if (options->duration.given && options->watch)
		usage_error(command, "--duration and --watch exclude each other: the rates of "
				     "--watch are of its --interval");
	if (options->map && options->json)
		usage_error(command, "--map is for people: it does not go with -o json");
}

static void view_set(struct pool_run *run)
{
	const struct pool_options *options = run->options;
	struct view_options terminal = {0};

	view_options_settle(&terminal, STDOUT_FILENO);
	gethostname(run->host, sizeof(run->host) - 1);
	run->screen = options->watch && !options->json && screen_wanted();
	run->view = (struct pool_view){
		.host = run->host,
		.top = options->top    ? options->top
		       : options->json ? 0
				       : TOP,
		.map = options->map,
		.threshold = options->threshold > 0 ? options->threshold : WARNING,
		.width = terminal.width,
		.color = terminal.color,
	};
}

static int pool_run(const struct command *command, int argc, char **argv)
{
	CLEANUP(run_free) struct pool_run run = {.output = OUTPUT_TO(STDOUT_FILENO), .resized = -1};
	struct pool_options options = {0};
	int next = options_parse(command, argc, argv, &options), status = POOL_ERROR;
	struct pool_look_options look = {.kept = &run.alerts.keys};

	if (next < argc)
		usage_error(command, "%s: pool takes no arguments, only options", argv[next]);
	options_judge(command, &options);
	run.options = &options;
	view_set(&run);
	run.signals = signals_open(SIGNALS_PLAIN);
	if (run.screen)
		run.resized = screen_resizes_open();
	if (run.screen && run.resized < 0)
		return log_error(run.resized, "pool: the size of the terminal"), POOL_ERROR;
	look.namespaces = options.namespaces;
	look.watch = options.watch || !options.duration.given || options.duration.ns;
	run.look = pool_look_open(&look);
	if (run.look)
		status = run_all(&run);
	free(options.namespaces);
	return status;
}

const struct command command_pool = {
	.name = "pool",
	.usage = "[OPTION]...",
	.summary = "say how many ports are left, for whom, and when they run out",
	.text = "A pool is what the kernel may choose a port from: the range less reserved ports. A "
		"TCP connect shares a port between destinations, so each source and destination "
		"has a pool of its own; ports that a bind or listen has are passed by. A bind to "
		"port 0, and a datagram from a socket without a port, need one that no socket "
		"with an overlapping address has.\n"
		"\n"
		"Every network namespace that has sockets is looked at, one's own first. Rates, "
		"failures and the forecast come from watching the kernel for --duration; that and "
		"other users' processes need root.\n"
		"\n"
		"The exit status is 0, or with --warn 1 if a pool is taken to that share or an "
		"allocation failed; 2 for an error. A first line for Nagios and its like comes "
		"with --warn.",
	.options = pool_options,
	.run = pool_run,
};
