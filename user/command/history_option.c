/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "command/history_option.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "model/text.h"

#define CONTAINER_LEAST 4
#define MAPPED_BITS 96

/* ---- setters ---- */

int history_set_moment(const char *argument, void *target, const char **expected)
{
	struct history_moment *moment = target;
	int error = moment_parse(argument, clock_ns(CLOCK_REALTIME), &moment->moment, expected);

	if (!error)
		moment->text = argument;
	return error;
}

static int set_pid(const char *argument, void *target, const char **expected)
{
	*expected = "the number of a process, from 1";
	return parse_unsigned(argument, 1, INT32_MAX, target);
}

static int set_comm(const char *argument, void *target, const char **expected)
{
	size_t length = strlen(argument);

	if (!length || length >= WIRE_COMM) {
		*expected = "the name of a process or thread: the kernel keeps its first 15 bytes";
		return -EINVAL;
	}
	*(const char **)target = argument;
	return 0;
}

static int set_container(const char *argument, void *target, const char **expected)
{
	if (strlen(argument) < CONTAINER_LEAST) {
		*expected = "the id of a container, or at least its first 4 characters";
		return -EINVAL;
	}
	*(const char **)target = argument;
	return 0;
}

static int set_lines(const char *argument, void *target, const char **expected)
{
	__typeof__(((struct history_options *)0)->lines) *lines = target;

	*expected = "a whole number";
	if (parse_unsigned(argument, 0, UINT64_MAX, &lines->count))
		return -EINVAL;
	lines->given = true;
	return 0;
}

static int set_format(const char *argument, void *target, const char **expected)
{
	const struct history_format *format = history_format_find(argument);

	if (!format) {
		*expected = "table, json or csv";
		return -EINVAL;
	}
	*(const struct history_format **)target = format;
	return 0;
}

static bool address_parse(const char *text, struct history_remote *remote)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	char room[INET6_ADDRSTRLEN + 4];
	uint64_t bits;
	uint8_t most;
	char *slash;

	if (strlen(text) >= sizeof(room))
		return false;
	memcpy(room, text, strlen(text) + 1);
	slash = strchr(room, '/');
	if (slash)
		*slash++ = '\0';
	if (inet_pton(AF_INET, room, remote->address) == 1)
		remote->family = 4;
	else if (inet_pton(AF_INET6, room, remote->address) == 1)
		remote->family = 6;
	else
		return false;
	most = remote->family == 4 ? 32 : 128;
	bits = most;
	if (slash && parse_unsigned(slash, 0, most, &bits))
		return false;
	if (remote->family == 6 && bits >= MAPPED_BITS &&
	    !memcmp(remote->address, mapped, sizeof(mapped))) {
		/* the history knows them as they stand in the packets */
		memmove(remote->address, remote->address + 12, 4);
		memset(remote->address + 4, 0, 12);
		remote->family = 4;
		bits -= MAPPED_BITS;
		most = 32;
	}
	remote->bits = (uint8_t)bits;
	for (unsigned int bit = remote->bits; bit < most; bit++)
		remote->address[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	return true;
}

/* The port behind a colon, at the end. */
static bool port_take(const char *text, uint16_t *port)
{
	const char *expected;

	return *text == ':' && !parse_port(text + 1, port, &expected) && *port;
}

static bool remote_take(const char *text, struct history_remote *remote)
{
	const bool bracket = *text == '[';
	const char *colon = strchr(text, ':'), *end;
	char room[INET6_ADDRSTRLEN + 4];
	size_t length;

	if (bracket) {
		end = strchr(++text, ']');
		if (!end || (end[1] && !port_take(end + 1, &remote->port)))
			return false;
	} else if (colon && !strchr(colon + 1, ':')) {
		end = colon;
		if (!port_take(colon, &remote->port))
			return false;
		if (colon == text)
			return true;
	} else {
		return address_parse(text, remote);
	}
	length = (size_t)(end - text);
	if (length >= sizeof(room))
		return false;
	memcpy(room, text, length);
	room[length] = '\0';
	return address_parse(room, remote) && bracket == (strchr(room, ':') != NULL);
}

int history_remote_parse(const char *text, struct history_remote *remote, const char **expected)
{
	struct history_remote found = {0};

	if (!remote_take(text, &found)) {
		*expected = "an address, a network, or a port of one, like 192.0.2.1, "
			    "192.0.2.0/24, 192.0.2.1:443, 2001:db8::/32, [2001:db8::1]:443 or :443";
		return -EINVAL;
	}
	*remote = found;
	return 0;
}

static int set_remote(const char *argument, void *target, const char **expected)
{
	__typeof__(((struct history_options *)0)->remote) *remote = target;
	int error = history_remote_parse(argument, &remote->address, expected);

	if (!error)
		remote->given = true;
	return error;
}

/* It may be given twice: the last one counts. */
static int set_from(const char *argument, void *target, const char **expected)
{
	static const char right[] =
		"clickhouse:URL, as in clickhouse:http://user:password@db.example.org:8123/"
		"?table=portsnoop.events, and behind it ,ca=FILE or ,header-file=FILE";
	struct sink_list *from = target;
	int error;

	sink_list_free(from);
	if (strncmp(argument, "clickhouse:", strlen("clickhouse:")) != 0) {
		*expected = right;
		return -EINVAL;
	}
	error = sink_list_set(argument, from, expected);
	return error;
}

static int host_add(const char *part, void *context)
{
	return *part ? text_list_add(context, part, strlen(part)) : -EINVAL;
}

static int set_host(const char *argument, void *target, const char **expected)
{
	*expected = "names of hosts, with commas between; * stands for anything in one, ? for a "
		    "character";
	return list_split(argument, host_add, target);
}

void history_options_free(struct history_options *options)
{
	sink_list_free(&options->from);
	text_list_free(options->hosts);
}

#define ENTRY(name, letter, argument, help, set, member, ...)                                      \
	OPTION(name, letter, argument, help, set, struct history_options, member, ##__VA_ARGS__)

const struct option_entry history_option_table[] = {
	ENTRY("at", 'a', "TIME", "what was held at this moment, or failed then", history_set_moment,
	      at),
	ENTRY("since", 'S', "TIME", "what was held at this time or later, or failed then",
	      history_set_moment, since),
	ENTRY("until", 'U', "TIME", "what was held at this time or earlier, or failed then",
	      history_set_moment, until),
	ENTRY("pid", 'P', "PID", "only claims of the process with this number", set_pid, pid),
	ENTRY("comm", 'c', "NAME", "only processes of this name", set_comm, comm),
	ENTRY("exe", 0, "PATH", "only programs with this path, or this name without a path",
	      option_string, exe),
	ENTRY("unit", 'u', "UNIT", "only this systemd unit, with or without .service",
	      option_string, unit),
	ENTRY("container", 0, "ID", "only the container with this id, or what it begins with",
	      set_container, container),
	ENTRY("remote", 0, "ADDRESS",
	      "only what was connected there: 192.0.2.1, 192.0.2.0/24, 192.0.2.1:443, "
	      "[2001:db8::1]:443, :443",
	      set_remote, remote),
	ENTRY("failed", 0, NULL, "only claims and connects that failed", option_flag, failed),
	ENTRY("lines", 'n', "N",
	      "only the N newest, with what is missing between them; with --follow, first these (10)",
	      set_lines, lines),
	ENTRY("follow", 'f', NULL,
	      "go on with what is recorded from now on: a lease when it begins, and again when it "
	      "has ended",
	      option_flag, follow),
	ENTRY("output", 'o', "FORMAT",
	      "table (the default), json: one object a line, by the Elastic Common Schema, or csv",
	      set_format, format, .values = "table json csv"),
	ENTRY("db", 0, "FILE", "the database; the default is " STORE_PATH, option_string, db),
	ENTRY("from", 0, "SPEC",
	      "ask a fleet's table in ClickHouse, not a database: clickhouse:URL, as --sink of "
	      "record has it",
	      set_from, from, .secret = true),
	ENTRY("host", 0, "NAME[,NAME]...", "with --from: only these hosts; web* and web? are many",
	      set_host, hosts),
	{0},
};

/* ---- the query ---- */

void history_not_yet(const struct command *command, const char *option,
		     const struct history_moment *given, int64_t now)
{
	if (!given->text || given->moment.ns <= now)
		return;
	if (given->moment.clock)
		usage_error(
			command,
			"--%s: %s is of today, and yet to come; 'yesterday %s' is the one before",
			option, given->text, given->text);
	usage_error(command, "--%s: '%s' is yet to come; expected a time up to now", option,
		    given->text);
}

static void options_judge(const struct command *command, const struct history_options *options,
			  int64_t now)
{
	if (options->at.text && (options->since.text || options->until.text))
		usage_error(command, "--at excludes --since and --until");
	if (options->follow && (options->at.text || options->until.text))
		usage_error(command, "--follow has no end: it excludes --at and --until");
	history_not_yet(command, "at", &options->at, now);
	history_not_yet(command, "since", &options->since, now);
	if (options->since.text && options->until.text &&
	    options->until.moment.last < options->since.moment.ns)
		usage_error(command, "--until '%s' is before --since '%s'", options->until.text,
			    options->since.text);
	if (options->from.count && options->db)
		usage_error(command, "--from excludes --db: one asks a fleet, the other a machine");
	if (options->from.count && options->follow)
		usage_error(command, "--from excludes --follow: what a fleet sends arrives when it "
				     "can; `portsnoop history -f` on the host shows it at once");
	if (options->hosts && !options->from.count)
		usage_error(command, "--host goes with --from only: a database is of one host");
	if (options->lines.given && !options->lines.count && !options->follow)
		usage_error(command,
			    "--lines: '0' goes with --follow only; expected a number from 1");
}

static void name_refuse(const struct command *command, const struct explain_subject *subject)
{
	struct buffer words = BUFFER_EMPTY;

	if (subject->portless)
		usage_error(command, "%s: the registry gives this service no port", subject->query);
	subject_unknown(subject->query, &words);
	usage_error(command, "%s: %s", subject->query,
		    words.failed ? "no such service" : words.data);
}

static uint16_t protocol_number(unsigned int mask)
{
	switch (mask) {
	case IANA_TCP:
		return IPPROTO_TCP;
	case IANA_UDP:
		return IPPROTO_UDP;
	case IANA_SCTP:
		return IPPROTO_SCTP;
	}
	return 0;
}

static void ports_set(struct history_query *query, const struct command *command,
		      const struct subjects *subjects, struct port_set *ports, bool *mixed)
{
	*mixed = false;
	for (size_t i = 0; i < subjects->count; i++) {
		const struct explain_subject *subject = &subjects->list[i];

		if (subject->portless || subject->low > subject->high)
			name_refuse(command, subject);
		for (unsigned int port = subject->low; port <= subject->high; port++)
			ports->bits[port >> 3] |= (uint8_t)(1u << (port & 7));
		*mixed |= subject->protocols != subjects->list[0].protocols;
	}
	if (!subjects->count)
		return;
	query->ports = ports;
	if (!*mixed)
		query->protocol = protocol_number(subjects->list[0].protocols);
}

void history_query_set(struct history_query *query, const struct command *command,
		       const struct history_options *options, const struct subjects *subjects,
		       struct port_set *ports, int64_t now, bool *mixed)
{
	options_judge(command, options, now);
	*query = (struct history_query){
		.since = INT64_MIN,
		.until = INT64_MAX,
		.pid = (uint32_t)options->pid,
		.comm = options->comm,
		.exe = options->exe,
		.unit = options->unit,
		.container = options->container,
		.remote = options->remote.given ? &options->remote.address : NULL,
		.newest = options->lines.count,
		.failed = options->failed,
		.gaps = true,
	};
	if (options->at.text) {
		query->since = options->at.moment.ns;
		query->until = options->at.moment.last < now ? options->at.moment.last : now;
	}
	if (options->since.text)
		query->since = options->since.moment.ns;
	if (options->until.text)
		query->until = options->until.moment.ns;
	if (query->until < query->since)
		query->until = query->since; /* '14:32' to '14:32' */
	ports_set(query, command, subjects, ports, mixed);
}

bool history_wanted(const struct subjects *subjects, const struct history_row *row)
{
	unsigned int protocol = 0;
	const char *expected;
	uint16_t number;
	char name[16] = "";

	if (row->kind == HISTORY_GAP)
		return true;
	if (row->protocol.data && row->protocol.length < sizeof(name))
		memcpy(name, row->protocol.data, row->protocol.length);
	if (!parse_protocol(name, &number, &expected))
		protocol = iana_protocol_of(number);
	for (size_t i = 0; i < subjects->count; i++)
		if (row->port >= subjects->list[i].low && row->port <= subjects->list[i].high &&
		    subjects->list[i].protocols & protocol)
			return true;
	return false;
}
