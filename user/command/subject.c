/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "command/subject.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"

#define SIMILAR 5

#define EXPECTED "expected a port (%u-65535), a range (LOW-HIGH) or the name of a service"

void subjects_free(struct subjects *subjects)
{
	free(subjects->list);
	*subjects = (struct subjects){0};
}

void subjects_missing(const struct command *command, const struct subject_rules *rules)
{
	usage_error(command, EXPECTED, rules->least);
}

static void operand_refuse(const struct command *command, const struct subject_rules *rules,
			   const char *operand) __attribute__((noreturn));

static void operand_refuse(const struct command *command, const struct subject_rules *rules,
			   const char *operand)
{
	usage_error(command, "'%s': " EXPECTED, operand, rules->least);
}

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

/* "tcp, udp or sctp" */
static void protocols_print(unsigned int mask, struct buffer *out)
{
	unsigned int last = mask;

	while (last & (last - 1))
		last &= last - 1;
	explain_protocols(out, mask & ~last, ", ");
	if (mask & ~last)
		buffer_text(out, " or ");
	explain_protocols(out, last, "");
	buffer_byte(out, '\0');
}

/* Exits when it is none of those accepted. */
static unsigned int protocol_parse(const struct command *command, const struct subject_rules *rules,
				   const char *operand, const char *name)
{
	CLEANUP(buffer_free) struct buffer words = BUFFER_EMPTY;
	unsigned int bit = explain_protocol(name);

	if (bit & rules->protocols)
		return bit;
	protocols_print(rules->protocols, &words);
	usage_error(command, "'%s': expected %s behind the slash", operand,
		    words.failed ? "a protocol" : words.data);
}

int subjects_add(struct subjects *subjects, const struct command *command,
		 const struct subject_rules *rules, const char *operand)
{
	struct explain_subject subject = {.query = operand, .protocols = rules->protocols};
	const char *slash = strrchr(operand, '/');
	const uint16_t *places;
	char text[64];

	/* A few old names hold a slash. */
	if (slash && !iana_find_name(operand, &places))
		subject.protocols = protocol_parse(command, rules, operand, slash + 1);
	else
		slash = operand + strlen(operand);
	if ((size_t)(slash - operand) >= sizeof(text))
		operand_refuse(command, rules, operand);
	memcpy(text, operand, (size_t)(slash - operand));
	text[slash - operand] = '\0';
	if (!ports_parse(text, &subject)) {
		if (subject.low < rules->least)
			operand_refuse(command, rules, operand);
		return subject_add(subjects, &subject);
	}
	/* Names may begin with a digit (3com-tsmux), but whoever types 80abc means
	 * a port: only a name that exists counts then. */
	if (!name_valid(text) || (*text <= '9' && !iana_find_name(text, &places)))
		operand_refuse(command, rules, operand);
	return name_add(subjects, &subject, text);
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
}

void subject_unknown(const char *operand, struct buffer *words)
{
	const uint16_t *places;
	char name[64], *slash;

	snprintf(name, sizeof(name), "%s", operand);
	slash = strrchr(name, '/');
	if (slash)
		*slash = '\0';
	if (iana_find_name(name, &places)) {
		buffer_printf(words, "the registry has this service, but not for %s",
			      slash ? slash + 1 : "any protocol");
	} else {
		buffer_text(words, "no service of that name in the registry");
		similar_list(name, words);
	}
	buffer_byte(words, '\0');
}
