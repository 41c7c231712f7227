/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "command/subject.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/option.h"

struct options {
	bool json;
	const char *proc;
};

#define EXIT_ERROR 2 /* as grep: 1 is an answer */

static const struct {
	const char *name;
	enum iana_protocol bit;
} protocols[] = {
	{"tcp", IANA_TCP},
	{"udp", IANA_UDP},
	{"sctp", IANA_SCTP},
	{"dccp", IANA_DCCP},
};
#define PROTOCOLS (sizeof(protocols) / sizeof(protocols[0]))

/* ---- facts ---- */

bool explain_covers(const struct iana_entry *entry, unsigned int asked)
{
	for (size_t i = 0; i < PROTOCOLS; i++)
		if (asked & protocols[i].bit && iana_entry_covers(entry, protocols[i].bit))
			return true;
	return false;
}

bool explain_meets(const struct known_use *use, const struct explain_subject *subject)
{
	return use->low <= subject->high && use->high >= subject->low &&
	       use->protocols & subject->protocols;
}

enum explain_status explain_status(uint16_t port, unsigned int asked)
{
	static const enum explain_status of[] = {
		[IANA_ASSIGNED] = EXPLAIN_ASSIGNED,
		[IANA_USED] = EXPLAIN_USED,
		[IANA_RESERVED] = EXPLAIN_RESERVED,
		[IANA_UNASSIGNED] = EXPLAIN_UNASSIGNED,
	};
	enum explain_status status = EXPLAIN_NO_ENTRY;
	const struct iana_entry *entry;
	unsigned int count;

	if (port >= IANA_DYNAMIC_LOW)
		return EXPLAIN_DYNAMIC;
	for (count = iana_find(port, port, &entry); count; count--, entry++)
		if (of[entry->status] < status && explain_covers(entry, asked))
			status = of[entry->status];
	return status;
}

const char *explain_status_name(enum explain_status status)
{
	static const char *const names[] = {
		[EXPLAIN_ASSIGNED] = "assigned", [EXPLAIN_USED] = "used-without-assignment",
		[EXPLAIN_RESERVED] = "reserved", [EXPLAIN_UNASSIGNED] = "unassigned",
		[EXPLAIN_NO_ENTRY] = "no-entry", [EXPLAIN_DYNAMIC] = "never-assigned",
	};

	return names[status];
}

void explain_count(const struct explain_subject *subject, unsigned int count[EXPLAIN_STATUSES])
{
	memset(count, 0, EXPLAIN_STATUSES * sizeof(*count));
	for (unsigned int port = subject->low; port <= subject->high; port++)
		count[explain_status((uint16_t)port, subject->protocols)]++;
}

void explain_pool(const struct explain_subject *subject, const struct pool *pool,
		  unsigned int *inside, unsigned int *reserved)
{
	*inside = *reserved = 0;
	for (unsigned int port = subject->low; port <= subject->high; port++) {
		if (pool->range_error || port < pool->low || port > pool->high)
			continue;
		++*inside;
		*reserved += port_set_has(&pool->reserved, (uint16_t)port);
	}
}

unsigned int explain_reserved(const struct explain_subject *subject, const struct pool *pool)
{
	unsigned int count = 0;

	for (unsigned int port = subject->low; port <= subject->high; port++)
		count += port_set_has(&pool->reserved, (uint16_t)port);
	return count;
}

/* Port 0 needs no privilege: it asks for another one. */
unsigned int explain_privileged(const struct explain_subject *subject, const struct pool *pool)
{
	unsigned int count = 0;

	for (unsigned int port = subject->low; port <= subject->high; port++)
		count += port && port < pool->unprivileged;
	return count;
}

const char *explain_reason(int error)
{
	return error == -EBADMSG ? "its content is not what the kernel writes" : strerror(-error);
}

unsigned int explain_protocol(const char *name)
{
	for (size_t i = 0; i < PROTOCOLS; i++)
		if (!strcmp(name, protocols[i].name))
			return protocols[i].bit;
	return 0;
}

void explain_protocols(struct buffer *out, unsigned int mask, const char *between)
{
	const char *before = "";

	for (size_t i = 0; i < PROTOCOLS; i++) {
		if (!(mask & protocols[i].bit))
			continue;
		buffer_text(out, before);
		buffer_text(out, protocols[i].name);
		before = between;
	}
}

/* ---- the command ---- */

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void tell(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	log_prefixed("portsnoop explain", format, arguments);
	va_end(arguments);
}

static void unknown_tell(const char *operand)
{
	CLEANUP(buffer_free) struct buffer words = BUFFER_EMPTY;

	subject_unknown(operand, &words);
	tell("%s: %s", operand, words.failed ? "no such service" : words.data);
}

static int subjects_tell(const struct subjects *subjects, const struct options *options)
{
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;
	struct pool pool;
	int status = 0, error = 0;

	pool_read(&pool, options->proc);
	for (size_t i = 0; i < subjects->count && !error; i++) {
		const struct explain_subject *subject = &subjects->list[i];

		if (subject->low > subject->high) {
			fflush(stdout);
			unknown_tell(subject->query);
			status = 1;
			continue;
		}
		buffer_reset(&out);
		if (options->json)
			explain_json(&out, subject, &pool, options->proc);
		else
			explain_text(&out, subject, &pool, options->proc);
		if (out.failed)
			error = ENOMEM;
		else if (fwrite(out.data, 1, out.length, stdout) != out.length)
			error = errno;
	}
	if (fflush(stdout) && !error)
		error = errno;
	if (!error || error == EPIPE) /* a reader that has seen enough is no failure */
		return status;
	tell("cannot write the answer: %s", strerror(error));
	return EXIT_ERROR;
}

static const struct subject_rules rules = {.least = 0, .protocols = EXPLAIN_ALL};

static int explain_run(const struct command *command, int argc, char **argv)
{
	CLEANUP(subjects_free) struct subjects subjects = {0};
	struct options options = {.proc = "/proc"};
	int next = options_parse(command, argc, argv, &options);

	if (next >= argc)
		subjects_missing(command, &rules);
	/* Options may stand behind ports, too: `explain 80 -o json`. */
	while (next < argc) {
		int error = subjects_add(&subjects, command, &rules, argv[next]);

		if (error) {
			tell("%s", strerror(-error));
			return EXIT_ERROR;
		}
		argc -= next;
		argv += next;
		next = options_parse(command, argc, argv, &options);
	}
	return subjects_tell(&subjects, &options);
}

static int set_format(const char *argument, void *target, const char **expected)
{
	bool json = !strcmp(argument, "json");

	if (!json && strcmp(argument, "text")) {
		*expected = "text or json";
		return -EINVAL;
	}
	*(bool *)target = json;
	return 0;
}

static const struct option_entry explain_options[] = {
	OPTION("output", 'o', "FORMAT", "text (the default), or json: one object per line",
	       set_format, struct options, json, .values = "text json"),
	OPTION("proc", 0, "DIR", "read this machine's settings below DIR instead of /proc",
	       option_string, struct options, proc),
	{0},
};

const struct command command_explain = {
	.name = "explain",
	.usage = "[OPTION]... PORT[/PROTOCOL]...",
	.summary = "say what a port is: to IANA, to this machine, and by custom",
	.text = "A PORT is a number (60002), a range (49152-49215) or the name of a service "
		"(ssh); a PROTOCOL is tcp, udp, sctp or dccp. Without one, all are meant.\n"
		"\n"
		"Three things are told, and not mixed: what IANA's registry says, what this "
		"network namespace does with the port at this moment, and who is known to use it "
		"without a registration. The last is a hint: no process is looked at.\n"
		"\n"
		"The exit status is 0, 1 if a name is not in the registry, and 2 for an error.",
	.options = explain_options,
	.run = explain_run,
};
