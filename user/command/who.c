/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "command/who.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "model/filter.h"
#include "probe/netns.h"
#include "stream/view.h"

/* A portsnoop that watches answers in microseconds, or is not to be waited for. */
#define SERVICE_PATIENCE_MS 500

struct who_options {
	bool json;
	bool wait, wait_free;
	bool all;
	uint64_t timeout; /* ns; 0: none */
	struct number_list *namespaces;
	struct address {
		uint8_t family; /* 0: none */
		uint8_t bytes[16];
	} address;
};

static int who_set_format(const char *argument, void *target, const char **expected)
{
	bool json = !strcmp(argument, "json");

	if (!json && strcmp(argument, "table")) {
		*expected = "table or json";
		return -EINVAL;
	}
	*(bool *)target = json;
	return 0;
}

static int who_set_address(const char *argument, void *target, const char **expected)
{
	struct address found = {0};

	if (inet_pton(AF_INET, argument, found.bytes) == 1) {
		found.family = 4;
	} else if (inet_pton(AF_INET6, argument, found.bytes) == 1) {
		found.family = 6;
	} else {
		*expected = "an IPv4 or IPv6 address, without a port, like 192.0.2.1 or ::1";
		return -EINVAL;
	}
	*(struct address *)target = found;
	return 0;
}

static const struct option_entry who_options[] = {
	OPTION("addr", 'a', "IP", "only sockets that this address reaches: its own, and wildcards",
	       who_set_address, struct who_options, address),
	OPTION("netns", 0, "NETNS",
	       "only these network namespaces: inode numbers, files like /proc/1/ns/net, or names "
	       "in /run/netns",
	       filter_set_netns, struct who_options, namespaces),
	OPTION("all", 0, NULL,
	       "every network namespace that can be seen (for root that is the default)",
	       option_flag, struct who_options, all),
	OPTION("output", 'o', "FORMAT", "table (the default), or json: one object per socket",
	       who_set_format, struct who_options, json, .values = "table json"),
	OPTION("wait", 'w', NULL, "wait until somebody has a port, and say who", option_flag,
	       struct who_options, wait),
	OPTION("wait-free", 0, NULL, "wait until the ports are given back, TIME_WAIT included",
	       option_flag, struct who_options, wait_free),
	OPTION("timeout", 't', "TIME", "wait no longer than this: 10s, 5m, 2h", option_duration,
	       struct who_options, timeout),
	{0},
};

/* Without one the answer lacks the claimants, and is true all the same. */
static void service_ask(struct who *who)
{
	struct service_query query = {
		.ports = &who->ports, .protocol = who->query.protocol, .netns = who->query.netns};
	int services;

	service_answer_free(&who->watched);
	who->watched = (struct service_answer){0};
	services = service_query(&query, SERVICE_PATIENCE_MS, &who->watched);
	who->view.watched = services > 0 ? &who->watched : NULL;
	if (*who->watched.why)
		log_message("%s", who->watched.why);
}

int who_look(struct who *who, struct holdings *holdings)
{
	const char *why = NULL;
	int error = lookup_run(who->lookup, &who->query, holdings, &why);

	if (!error)
		return 0;
	if (why)
		log_message("%s", why);
	else
		log_error(error, "cannot look for the sockets");
	return error;
}

int who_flush(struct who *who, int status)
{
	int error = output_flush(&who->output);

	if (!error || error == -EPIPE) /* a reader that has seen enough is no failure */
		return status;
	log_error(error, "standard output");
	return WHO_ERROR;
}

/* The names of namespaces cost a walk over all processes. */
static void names_read(struct who *who, const struct holdings *holdings)
{
	for (size_t i = 0; i < holdings->count && !who->names.count; i++)
		if (holdings->list[i].netns != who->view.own_netns &&
		    who_wants_any(&who->view, &holdings->list[i]))
			if (netns_list_read(&who->names))
				return; /* numbers say it as well */
}

int who_answer(struct who *who, const struct holdings *holdings)
{
	int status = WHO_NOBODY;

	service_ask(who);
	names_read(who, holdings);
	who->view.now = clock_ns(CLOCK_REALTIME);
	who->view.boot_offset = who->view.now - clock_ns(CLOCK_BOOTTIME);
	if (who->json)
		who_json(&who->output.pending, &who->view, holdings);
	else
		who_text(&who->output.pending, &who->view, holdings);
	for (size_t i = 0; i < holdings->count && status; i++)
		if (who_wants_any(&who->view, &holdings->list[i]))
			status = WHO_FOUND;
	status = who_flush(who, status);
	for (size_t i = 0; holdings->blind[i]; i++)
		log_message("not seen: %s", holdings->blind[i]);
	if (who->watched.withheld)
		log_message("not told by portsnoop[%u]: claims of other users (%" PRIu64 ")",
			    who->watched.facts.pid, who->watched.withheld);
	return status;
}

static int who_now(struct who *who)
{
	CLEANUP(holdings_free) struct holdings holdings = {0};

	if (who_look(who, &holdings))
		return WHO_ERROR;
	return who_answer(who, &holdings);
}

static void name_refuse(const struct command *command, const struct explain_subject *subject)
	__attribute__((noreturn));

static void name_refuse(const struct command *command, const struct explain_subject *subject)
{
	CLEANUP(buffer_free) struct buffer words = BUFFER_EMPTY;

	if (subject->portless)
		usage_error(command, "%s: the registry gives this service no port", subject->query);
	subject_unknown(subject->query, &words);
	usage_error(command, "%s: %s", subject->query,
		    words.failed ? "no such service" : words.data);
}

/* What the subjects mean in the words of a query. */
static void query_set(struct who *who, const struct command *command,
		      const struct who_options *options)
{
	const struct number_list *namespaces = options->namespaces;
	bool only_tcp = true;

	for (size_t i = 0; i < who->subjects.count; i++) {
		const struct explain_subject *subject = &who->subjects.list[i];

		if (subject->portless || subject->low > subject->high)
			name_refuse(command, subject);
		for (unsigned int port = subject->low; port <= subject->high; port++)
			who->ports.bits[port >> 3] |= (uint8_t)(1u << (port & 7));
		only_tcp &= subject->protocols == IANA_TCP;
	}
	who->query.ports = &who->ports;
	who->query.protocol = only_tcp ? IPPROTO_TCP : 0;
	if (namespaces && namespaces->count == 1)
		who->query.netns = (uint32_t)namespaces->numbers[0];
	else if (!namespaces && !options->all && geteuid())
		who->query.netns = who->view.own_netns;
	who->query.has_address = options->address.family;
	who->query.family = options->address.family;
	memcpy(who->query.address, options->address.bytes, sizeof(who->query.address));
	who->view.namespaces = namespaces && namespaces->count > 1 ? namespaces : NULL;
}

static void options_judge(const struct command *command, const struct who_options *options)
{
	if (options->wait && options->wait_free)
		usage_error(command, "--wait and --wait-free exclude each other");
	if (options->timeout && !options->wait && !options->wait_free)
		usage_error(command, "--timeout goes with --wait or --wait-free");
	if (options->all && options->namespaces)
		usage_error(command, "--all and --netns exclude each other");
}

static void view_set(struct who *who)
{
	struct view_options terminal = {0};

	view_options_settle(&terminal, STDOUT_FILENO);
	pool_read(&who->pool, "/proc");
	gethostname(who->host, sizeof(who->host) - 1);
	who->view.subjects = &who->subjects;
	who->view.query = &who->query;
	who->view.pool = &who->pool;
	who->view.names = &who->names;
	who->view.host = who->host;
	who->view.own_netns = netns_own();
	who->view.width = terminal.width;
	who->view.color = terminal.color;
}

static void operands_take(struct who *who, const struct command *command, int argc, char **argv,
			  struct who_options *options)
{
	static const struct subject_rules rules = {.least = 1,
						   .protocols = IANA_TCP | IANA_UDP | IANA_SCTP};
	int next = options_parse(command, argc, argv, options);

	if (next >= argc)
		subjects_missing(command, &rules);
	/* Options may stand behind ports, too: `who 80 --wait`. */
	while (next < argc) {
		int error = subjects_add(&who->subjects, command, &rules, argv[next]);

		if (error) {
			log_error(error, "who");
			exit(WHO_ERROR);
		}
		argc -= next;
		argv += next;
		next = options_parse(command, argc, argv, options);
	}
	options_judge(command, options);
}

static void who_free(struct who *who)
{
	lookup_close(who->lookup);
	service_answer_free(&who->watched);
	netns_list_free(&who->names);
	subjects_free(&who->subjects);
	output_free(&who->output);
}

static int who_run(const struct command *command, int argc, char **argv)
{
	CLEANUP(who_free) struct who who = {.output = OUTPUT_TO(STDOUT_FILENO)};
	struct who_options options = {0};
	int status;

	operands_take(&who, command, argc, argv, &options);
	view_set(&who);
	query_set(&who, command, &options);
	who.json = options.json;
	who.timeout = options.timeout;
	who.lookup = lookup_open(true);
	if (!who.lookup)
		status = (log_error(-errno, "cannot look for the sockets"), WHO_ERROR);
	else if (options.wait)
		status = who_wait_claim(&who);
	else if (options.wait_free)
		status = who_wait_free(&who);
	else
		status = who_now(&who);
	free(options.namespaces);
	return status;
}

const struct command command_who = {
	.name = "who",
	.usage = "[OPTION]... PORT[/PROTOCOL]...",
	.summary = "say who has a port now, or wait for it",
	.text = "A PORT is a number (60002), a range (8000-8010) or the name of a service (ssh); a "
		"PROTOCOL is tcp, udp or sctp. Without one, all are meant.\n"
		"\n"
		"Tells every process that has the socket open, however it came to it, and the "
		"sockets that no process has: TIME_WAIT, and what the kernel finishes after a "
		"close, with the time that is left. No portsnoop needs to run before. Not seen are "
		"other machines, and ports that a firewall redirects (NAT, IPVS).\n"
		"\n"
		"--wait does not count what is left after a close: it ends with the next claim. "
		"--wait-free waits for the end of that, too. Both wait for events of the kernel "
		"and need root.\n"
		"\n"
		"The exit status is 0 if somebody has one of the ports, or what was waited for "
		"has come, 1 if nobody has, or the time was over before, and 2 for an error.",
	.options = who_options,
	.run = who_run,
};
