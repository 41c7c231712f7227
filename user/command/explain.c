/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "command/explain.h"

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

struct subjects {
	struct explain_subject *list;
	size_t count;
};

static void subjects_free(struct subjects *subjects)
{
	free(subjects->list);
}

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

/* ---- operands ---- */

#define EXPECTED "expected a port (0-65535), a range (LOW-HIGH) or the name of a service"

static int subject_add(struct subjects *subjects, const struct explain_subject *subject)
{
	struct explain_subject *list =
		realloc(subjects->list, (subjects->count + 1) * sizeof(*list));

	if (!list)
		return -ENOMEM;
	subjects->list = list;
	list[subjects->count++] = *subject;
	return 0;
}

/* The characters that the names of the registry have. */
static bool name_valid(const char *text)
{
	static const char begin[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t length = strlen(text);

	return length && length < 64 && strchr(begin, *text) &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
			    "-_.+*/") == length;
}

static int ports_parse(const char *text, struct explain_subject *subject)
{
	const char *dash = strchr(text, '-'), *expected;
	uint16_t low, high;
	char first[8];

	if (!dash) {
		if (parse_port(text, &low, &expected))
			return -EINVAL;
		subject->low = subject->high = low;
		return 0;
	}
	if ((size_t)(dash - text) >= sizeof(first))
		return -EINVAL;
	memcpy(first, text, (size_t)(dash - text));
	first[dash - text] = '\0';
	if (parse_port(first, &low, &expected) || parse_port(dash + 1, &high, &expected) ||
	    low > high)
		return -EINVAL;
	subject->low = low;
	subject->high = high;
	return 0;
}

/* A port has one entry per protocol where these differ. */
static bool span_listed(const struct subjects *subjects, size_t from,
			const struct explain_subject *subject)
{
	for (; from < subjects->count; from++)
		if (!subject->portless && subjects->list[from].low == subject->low)
			return true;
	return false;
}

/* Each span of ports that has the name becomes a subject; none is left in the
 * list as a subject without ports, to be told later. */
static int name_add(struct subjects *subjects, const struct explain_subject *asked,
		    const char *name)
{
	const uint16_t *places;
	unsigned int count = iana_find_name(name, &places);
	size_t before = subjects->count;

	for (unsigned int i = 0; i < count; i++) {
		const struct iana_entry *entry = &iana_entries[places[i]];
		struct explain_subject subject = *asked;
		bool has_port = places[i] < iana_port_count;

		if (has_port ? !explain_covers(entry, asked->protocols)
			     : entry->protocols && !(entry->protocols & asked->protocols))
			continue;
		subject.service = iana_text(entry->name);
		subject.portless = has_port ? NULL : entry;
		subject.low = entry->low;
		subject.high = entry->high;
		if (!span_listed(subjects, before, &subject) && subject_add(subjects, &subject))
			return -ENOMEM;
	}
	if (subjects->count > before)
		return 0;
	return subject_add(subjects,
			   &(struct explain_subject){.query = asked->query, .low = 1, .high = 0});
}

/* Exits when the operand is none. -ENOMEM, or 0. */
static int operand_parse(const struct command *command, const char *operand,
			 struct subjects *subjects)
{
	struct explain_subject subject = {.query = operand, .protocols = EXPLAIN_ALL};
	const char *slash = strrchr(operand, '/');
	const uint16_t *places;
	char text[64];

	/* A few old names hold a slash. */
	if (slash && !iana_find_name(operand, &places)) {
		subject.protocols = 0;
		for (size_t i = 0; i < PROTOCOLS; i++)
			if (!strcmp(slash + 1, protocols[i].name))
				subject.protocols = protocols[i].bit;
		if (!subject.protocols)
			usage_error(command,
				    "'%s': expected tcp, udp, sctp or dccp behind the slash",
				    operand);
	} else {
		slash = operand + strlen(operand);
	}
	if ((size_t)(slash - operand) >= sizeof(text))
		usage_error(command, "'%s': " EXPECTED, operand);
	memcpy(text, operand, (size_t)(slash - operand));
	text[slash - operand] = '\0';
	if (!ports_parse(text, &subject))
		return subject_add(subjects, &subject);
	/* Names may begin with a digit (3com-tsmux), but whoever types 80abc means
	 * a port: only a name that exists counts then. */
	if (!name_valid(text) || (*text <= '9' && !iana_find_name(text, &places)))
		usage_error(command, "'%s': " EXPECTED, operand);
	return name_add(subjects, &subject, text);
}

/* ---- the command ---- */

#define SIMILAR 5

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void tell(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	log_prefixed("portsnoop explain", format, arguments);
	va_end(arguments);
}

/* The names that begin like this one, or else with most of it. */
static void similar_list(const char *text, struct buffer *list)
{
	const uint16_t *places;
	unsigned int count, told = 0;
	size_t length = strlen(text);
	const char *last = "";
	char name[64];

	snprintf(name, sizeof(name), "%s", text);
	while (!(count = iana_find_prefix(name, &places)) && length > 3)
		name[--length] = '\0';
	for (unsigned int i = 0; i < count && told < SIMILAR; i++) {
		const char *similar = iana_text(iana_entries[places[i]].name);

		if (!strcmp(similar, last))
			continue;
		buffer_text(list, told++ ? ", " : "; similar: ");
		buffer_text(list, last = similar);
	}
	buffer_byte(list, '\0');
}

static void unknown_tell(const char *operand)
{
	CLEANUP(buffer_free) struct buffer list = BUFFER_EMPTY;
	const uint16_t *places;
	char name[64], *slash;

	snprintf(name, sizeof(name), "%s", operand);
	slash = strrchr(name, '/');
	if (slash)
		*slash = '\0';
	if (iana_find_name(name, &places)) {
		tell("%s: the registry has this service, but not for %s", operand,
		     slash ? slash + 1 : "any protocol");
		return;
	}
	similar_list(name, &list);
	tell("%s: no service of that name in the registry%s", operand,
	     list.failed ? "" : list.data);
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

static int explain_run(const struct command *command, int argc, char **argv)
{
	CLEANUP(subjects_free) struct subjects subjects = {0};
	struct options options = {.proc = "/proc"};
	int next = options_parse(command, argc, argv, &options);

	if (next >= argc)
		usage_error(command, EXPECTED);
	/* Options may stand behind ports, too: `explain 80 -o json`. */
	while (next < argc) {
		int error = operand_parse(command, argv[next], &subjects);

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
	{"output", 'o', "FORMAT", "text (the default), or json: one object per line", set_format,
	 offsetof(struct options, json)},
	{"proc", 0, "DIR", "read this machine's settings below DIR instead of /proc", option_string,
	 offsetof(struct options, proc)},
	{0}};

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
