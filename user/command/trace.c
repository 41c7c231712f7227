/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `portsnoop trace`: every claim, as it happens. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "command/child.h"
#include "command/probe_option.h"
#include "command/serve.h"
#include "command/sink_option.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/option.h"
#include "lib/signals.h"
#include "probe/session.h"
#include "service/server.h"
#include "stream/view.h"
#include "stream/recording.h"

struct trace_options {
	struct view_options view;
	uint64_t duration; /* ns; 0: no end */
	uint64_t ring;	   /* bytes; 0: the default */
	uint32_t tier;	   /* enum wire_tier; 0: the best */
	const char *save;
	struct sink_choice sinks;
};

struct trace {
	struct trace_options *options;
	struct output output;
	struct view *view;
	struct recording *recording;
	struct session *session;
	struct server *server; /* NULL: none */
	struct child child;
	int signals;  /* descriptor of lib/signals.h */
	int deadline; /* timerfd; -1: none */
	bool done;    /* --count is reached */
	bool stop;    /* a signal, the deadline or the command's end */
	int save_error;
	const char *save_why; /* the file could not be made: words */
	int output_error;     /* the output is over, the recording is not */
	bool bad;	      /* a record was refused, and that was said */
	bool sinkless;	      /* there were sinks, and none is left */
};

static const struct option_entry trace_options[] = {
	OUTPUT_OPTIONS(struct trace_options, view),
	FILTER_OPTIONS(struct trace_options, view.filter),
	LEDGER_OPTION(struct trace_options, view),
	SINK_OPTIONS(struct trace_options, sinks),
	OPTION("duration", 'd', "TIME", "stop after this time: 10s, 5m, 2h", option_duration,
	       struct trace_options, duration),
	OPTION("save", 's', "FILE", "keep the stream for 'replay' as well, unfiltered",
	       option_string, struct trace_options, save),
	PROBE_OPTIONS(struct trace_options, tier, ring),
	{0},
};

/* The file failed: said once, and the trace goes on; the exit status tells. */
static void save_failed(struct trace *trace, int error)
{
	if (trace->save_error)
		return;
	trace->save_error = error;
	log_error(error, "%s: the recording ends here", trace->options->save);
}

static int trace_record(void *context, void *record, size_t size)
{
	struct trace *trace = context;
	const char *why = NULL;
	int result;

	/* Not before there is something to record: an older file stays as it is when
	 * nothing can be traced. */
	if (trace->options->save && !trace->recording && !trace->save_error) {
		result =
			recording_create(trace->options->save, &trace->recording, &trace->save_why);
		if (result)
			return trace->save_error = result;
	}
	if (trace->recording && !trace->save_error) {
		result = recording_append(trace->recording, record, size);
		if (result)
			save_failed(trace, result);
	}
	if (trace->output_error)
		return 0;
	result = view_record(trace->view, record, size, &why);
	if (result == VIEW_DONE) {
		trace->done = true;
		return 0;
	}
	if (result != -EBADMSG)
		return result;
	/* It changed nothing, and the totals tell that it is missing. */
	if (!trace->bad)
		log_message("a record from the kernel is not as it should be: %s", why);
	trace->bad = true;
	return 0;
}

static int trace_flush(struct trace *trace)
{
	int error;

	if (trace->recording && !trace->save_error) {
		error = recording_flush(trace->recording);
		if (error)
			save_failed(trace, error);
	}
	return view_flush(trace->view);
}

/* Says of a sink that has ended what it left undone; without any there is nobody to trace
 * for. */
static void trace_check_sinks(struct trace *trace)
{
	struct sinks *sinks = trace->options->view.sinks;

	sinks_check(sinks);
	trace->sinkless = !sinks_alive(sinks);
	if (trace->sinkless)
		trace->stop = true;
}

/* Until there is a reason to stop. 0 or negative errno of the output. */
static int trace_loop(struct trace *trace)
{
	struct sinks *sinks = trace->options->view.sinks;
	struct pollfd fds[] = {
		{.fd = session_fd(trace->session), .events = POLLIN},
		{.fd = trace->signals, .events = POLLIN},
		{.fd = trace->deadline, .events = POLLIN},
		/* Only whether its reader has gone. */
		{.fd = sinks ? -1 : STDOUT_FILENO},
		{.fd = trace->server ? server_fd(trace->server) : -1, .events = POLLIN},
		{.fd = sinks ? sinks_fd(sinks) : -1, .events = POLLIN},
	};
	int result;

	for (;;) {
		result = session_drain(trace->session);
		if (result < 0)
			return result;
		result = trace_flush(trace);
		if (result < 0 || trace->stop || trace->done)
			return result;
		/* Behind what came meanwhile: who asks after a claim is told of it. */
		if (fds[4].revents && server_handle(trace->server)) {
			server_close(trace->server);
			trace->server = NULL;
			fds[4].fd = -1;
		}
		if (poll(fds, sizeof(fds) / sizeof(*fds), session_timeout(trace->session)) < 0 &&
		    errno != EINTR)
			return -errno;
		child_reap(&trace->child, false);
		if (signals_stop() || trace->child.ended || fds[2].revents)
			trace->stop = true;
		if (fds[3].revents & (POLLERR | POLLHUP))
			return -EPIPE;
		if (fds[5].revents)
			trace_check_sinks(trace);
	}
}

/* 0 or negative errno. */
static int deadline_set(struct trace *trace)
{
	const uint64_t ns = trace->options->duration;
	struct itimerspec when = {
		.it_value = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000}};

	if (!ns)
		return 0;
	trace->deadline = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (trace->deadline < 0 || timerfd_settime(trace->deadline, 0, &when, NULL))
		return -errno;
	return 0;
}

/* `who` may ask us. Who traces one command only knows too little to be asked. */
static void service_start(struct trace *trace)
{
	struct server_options options = {.source = serve_source(view_pipeline(trace->view))};

	if (options.source.ledger && !trace->child.pid)
		server_open(&options, &trace->server);
}

/* Everything that can fail before the first event. 0 or an exit status. */
static int trace_start(struct trace *trace, char **command)
{
	struct trace_options *options = trace->options;
	struct probe_options probe = {
		.tier = options->tier,
		.ring_bytes = options->ring,
		/* The ledger has to know what was given back. */
		.releases = !options->view.no_ledger || options->view.filter.release ||
			    options->save,
		.ledger = !options->view.no_ledger,
		.tree = command[0] != NULL,
		.filter = &options->view.filter,
		/* A recording is whole. */
		.hold_back = options->view.no_ledger && !options->save,
		.heartbeat = options->sinks.list.count ? SESSION_HEARTBEAT : 0,
	};
	struct probe_failure failure;
	int error;

	if (sink_choice_open(&options->sinks, false, &options->view.sinks))
		return EXIT_FAILURE;
	trace->view = view_new(&options->view, &trace->output);
	if (!trace->view)
		return log_error(-ENOMEM, "trace"), EXIT_FAILURE;
	if (command[0]) {
		error = child_start(&trace->child, command);
		if (error)
			return log_error(error, "%s", command[0]), EXIT_FAILURE;
	}
	trace->session = session_open(&probe, trace_record, trace, &failure);
	if (!trace->session) {
		if (trace->save_why)
			log_message("%s: %s", options->save, trace->save_why);
		else
			log_message("%s", failure.text);
		return EXIT_FAILURE;
	}
	error = deadline_set(trace);
	if (error)
		return log_error(error, "--duration"), EXIT_FAILURE;
	if (command[0]) {
		error = session_tree_add(trace->session, trace->child.pid);
		if (!error)
			error = child_release(&trace->child);
		if (error) {
			log_error(error, "%s", command[0]);
			return error == -ENOENT ? 127 : 126;
		}
	}
	service_start(trace);
	return 0;
}

/* The reader of our output has gone: quietly. */
static int trace_end(struct trace *trace, int result)
{
	struct totals totals;
	int error;

	/* A recording is to have its end, whatever became of the output. */
	trace->output_error = result < 0 ? result : 0;
	error = session_end(trace->session, result < 0 && !trace->recording);
	if (result >= 0)
		result = error;
	if (result >= 0)
		result = trace_flush(trace);
	if (trace->recording) {
		error = recording_close(trace->recording);
		if (error && !trace->save_error)
			save_failed(trace, error);
		trace->recording = NULL;
	}
	if (trace->options->view.sinks)
		sinks_end(trace->options->view.sinks, SINKS_END_MS);
	if (result == -EPIPE)
		return EXIT_SUCCESS;
	if (result == -EINTR)
		log_message("standard output is not read: the rest is left out");
	else if (result < 0)
		log_error(result, "standard output");
	view_totals(trace->view, &totals);
	totals_print(&totals);
	return result < 0 || trace->save_error || trace->sinkless ? EXIT_FAILURE : EXIT_SUCCESS;
}

/*
 * The command may go on when the tracing is over, by --count for instance, and we
 * wait for it. Who asks us to stop asks it, too; who asks twice gets rid of us.
 */
static int command_await(struct trace *trace)
{
	struct pollfd change = {.fd = trace->signals, .events = POLLIN};
	bool told = false;

	for (;;) {
		bool stop = signals_stop(); /* from here on the descriptor tells what is new */

		child_reap(&trace->child, false);
		if (trace->child.ended)
			return child_exit_status(&trace->child);
		if (stop && !told)
			kill(trace->child.pid, SIGTERM);
		told = stop;
		if (signals_give_up()) {
			log_message("the command goes on, as process %d", (int)trace->child.pid);
			return EXIT_FAILURE;
		}
		alarm(0); /* the patience was for the output */
		poll(&change, 1, -1);
	}
}

static int trace_run(const struct command *command, int argc, char **argv)
{
	struct trace_options options = {0};
	struct trace trace = {
		.options = &options, .output = OUTPUT_TO(STDOUT_FILENO), .deadline = -1};
	int status, theirs = 0, first = options_parse(command, argc, argv, &options);

	if (first < argc && strcmp(argv[first - 1], "--"))
		usage_error(command, "'%s': expected an option, or -- and a command", argv[first]);
	sink_choice_settle(command, &options.sinks, &options.view);
	view_options_settle(&options.view, STDOUT_FILENO);
	trace.signals = signals_open(first < argc ? SIGNALS_COMMAND : SIGNALS_PLAIN);
	status = trace_start(&trace, argv + first);
	if (!status)
		status = trace_end(&trace, trace_loop(&trace));
	else
		child_drop(&trace.child);
	server_close(trace.server);
	session_close(trace.session);
	recording_close(trace.recording);
	if (trace.child.pid)
		theirs = command_await(&trace);
	view_free(trace.view);
	output_free(&trace.output);
	sinks_free(options.view.sinks);
	sink_list_free(&options.sinks.list);
	view_options_free(&options.view);
	return status ? status : theirs;
}

const struct command command_trace = {
	.name = "trace",
	.usage = "[OPTION]... [-- COMMAND [ARGUMENT]...]",
	.summary = "show every claim on a port as it happens",
	.text = "Shows each bind, connect, listen and send that takes or uses a port, successful or "
		"not: by which process, with what result. Stops with Ctrl-C, and then says what "
		"was seen, delivered, filtered and lost. With a COMMAND, traces only it and its "
		"children, from the first instruction on, and exits with its status. With a "
		"--sink, what is let through by the filters goes there, and standard output gets "
		"nothing unless it is one of them.",
	.options = trace_options,
	.run = trace_run,
};
