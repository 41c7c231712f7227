/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The generated tables hold what their look-ups rely on, and hold it all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "model/classify.h"
#include "ports/iana.h"
#include "ports/known_uses.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const uint16_t numbers[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_DCCP};

/* Counted in the registry's file of this date by other means. A new registry
 * needs new numbers here. */
static void registry_counts(void **state)
{
	static const unsigned int expected[] = {6141, 5747, 88, 9};
	unsigned int services[COUNT(numbers)] = {0};

	(void)state;
	assert_string_equal(iana_date, "2025-12-15");
	assert_int_equal(iana_entry_count, 9086);
	assert_int_equal(iana_port_count, 8113);
	assert_int_equal(iana_name_count, 7424);
	for (unsigned int port = 0; port <= 65535; port++)
		for (size_t i = 0; i < COUNT(numbers); i++)
			services[i] += iana_service((uint16_t)port, numbers[i]) != NULL;
	for (size_t i = 0; i < COUNT(numbers); i++)
		assert_int_equal(services[i], expected[i]);
}

static void registry_sorted(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < iana_port_count; i++) {
		const struct iana_entry *entry = &iana_entries[i], *before = entry - 1;

		assert_true(entry->low <= entry->high);
		assert_true(entry->high < IANA_DYNAMIC_LOW);
		if (i && entry->low != before->low)
			assert_true(entry->low > before->high);
		else if (i)
			assert_int_equal(entry->high, before->high);
	}
	/* Every port up to the dynamic range has at least one entry. */
	for (unsigned int port = 0; port < IANA_DYNAMIC_LOW; port++) {
		const struct iana_entry *first;
		unsigned int count = iana_find((uint16_t)port, (uint16_t)port, &first);

		assert_true(count > 0);
		assert_true(first->low <= port && port <= first[count - 1].high);
	}
}

static void registry_finds_every_entry(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < iana_port_count; i++) {
		const struct iana_entry *entry = &iana_entries[i], *first;
		unsigned int count = iana_find(entry->high, entry->high, &first);

		assert_true(first <= entry && entry < first + count);
		for (unsigned int j = 0; j < count; j++)
			assert_int_equal(first[j].low, entry->low);
	}
}

static void registry_finds_ranges(void **state)
{
	const struct iana_entry *first;

	(void)state;
	assert_int_equal(iana_find(0, 65535, &first), iana_port_count);
	assert_ptr_equal(first, iana_entries);
	assert_int_equal(iana_find(49152, 65535, &first), 0);
	assert_null(first);
	assert_int_equal(iana_find(81, 80, &first), 0);
	/* A range that only touches x11's. */
	assert_true(iana_find(6063, 6063, &first) > 0);
	assert_int_equal(first->low, 6000);
}

static bool text_printable(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

static void registry_texts(void **state)
{
	char date[IANA_DATE_TEXT];

	(void)state;
	assert_string_equal(iana_text(0), "");
	for (unsigned int i = 0; i < iana_entry_count; i++) {
		const struct iana_entry *entry = &iana_entries[i];

		assert_true(text_printable(iana_text(entry->name)));
		assert_true(text_printable(iana_text(entry->text)));
		assert_true(text_printable(iana_text(entry->reference)));
		assert_true(text_printable(iana_text(entry->unauthorized)));
		assert_true(text_printable(iana_text(entry->note)));
		assert_true(entry->status <= IANA_USED);
		assert_true(entry->protocols < 16);
		/* Each offset is the start of a text, not a place inside one. */
		assert_true(!entry->text || !iana_strings[entry->text - 1]);
		assert_true(!entry->name || !iana_strings[entry->name - 1]);
		iana_date_text(entry->registered, date);
		assert_true(!*date || (strlen(date) >= 7 && strcmp(date, iana_date) <= 0));
		iana_date_text(entry->modified, date);
		assert_true(!*date || (strlen(date) >= 7 && strcmp(date, iana_date) <= 0));
	}
}

static void dates(void **state)
{
	char text[IANA_DATE_TEXT];

	(void)state;
	iana_date_text(0, text);
	assert_string_equal(text, "");
	iana_date_text(23 << 9 | 11 << 5, text);
	assert_string_equal(text, "2003-11");
	iana_date_text(31 << 9 | 6 << 5 | 9, text);
	assert_string_equal(text, "2011-06-09");
	iana_date_text(UINT16_MAX, text);
	assert_string_equal(text, "2107-15-31");
}

static void names_find_every_entry(void **state)
{
	unsigned int named = 0;

	(void)state;
	for (unsigned int i = 0; i < iana_entry_count; i++) {
		const char *name = iana_text(iana_entries[i].name);
		const uint16_t *places;
		unsigned int count;
		bool found = false;

		if (!*name)
			continue;
		named++;
		count = iana_find_name(name, &places);
		for (unsigned int j = 0; j < count; j++) {
			found |= places[j] == i;
			assert_int_equal(strcasecmp(iana_text(iana_entries[places[j]].name), name),
					 0);
		}
		assert_true(found);
	}
	assert_int_equal(named, iana_name_count);
}

static void names_in_any_case(void **state)
{
	const uint16_t *places, *others;

	(void)state;
	assert_int_equal(iana_find_name("SSH", &places), iana_find_name("ssh", &others));
	assert_ptr_equal(places, others);
	assert_int_equal(iana_entries[places[0]].low, 22);
	/* One name before and behind it, and its beginning. */
	assert_int_equal(iana_find_name("ss", &places), 0);
	assert_int_equal(iana_find_name("sshx", &places), 0);
	assert_int_equal(iana_find_name("", &places), 0);
	assert_int_equal(iana_find_name("\xff", &places), 0);
}

static void names_by_prefix(void **state)
{
	const uint16_t *places;
	unsigned int count, slow = 0;

	(void)state;
	assert_int_equal(iana_find_prefix("", &places), iana_name_count);
	count = iana_find_prefix("Http", &places);
	for (unsigned int i = 0; i < iana_name_count; i++)
		slow += !strncasecmp(iana_text(iana_entries[iana_names[i]].name), "http", 4);
	assert_true(count > 2);
	assert_int_equal(count, slow);
	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(strncasecmp(iana_text(iana_entries[places[i]].name), "http", 4),
				 0);
	assert_int_equal(iana_find_prefix("zzzz", &places), 0);
}

static void entries_of_a_port(void **state)
{
	const struct iana_entry *entry;
	char date[IANA_DATE_TEXT];

	(void)state;
	assert_int_equal(iana_find(80, 80, &entry), 4);
	assert_string_equal(iana_text(entry[0].name), "http");
	assert_int_equal(entry[0].protocols, IANA_TCP | IANA_UDP);
	assert_string_equal(iana_text(entry[0].text), "World Wide Web HTTP");
	assert_string_equal(iana_text(entry[0].reference), "RFC 9110");
	iana_date_text(entry[0].modified, date);
	assert_string_equal(date, "2021-10-01");
	assert_string_equal(iana_text(entry[1].name), "www");
	assert_string_equal(iana_text(entry[2].name), "www-http");
	assert_int_equal(entry[3].protocols, IANA_SCTP);

	assert_int_equal(iana_find(6003, 6003, &entry), 1);
	assert_string_equal(iana_text(entry->unauthorized), "Known Unauthorized Use on port 6003");
	/* A use that the registry records without having assigned it. */
	assert_int_equal(iana_find(888, 888, &entry), 2);
	assert_string_equal(iana_text(entry[1].name), "cddbp");
	assert_int_equal(entry[1].status, IANA_USED);
}

static void covered_protocols(void **state)
{
	const struct iana_entry none_told = {.status = IANA_ASSIGNED};
	const struct iana_entry unassigned = {.status = IANA_UNASSIGNED};
	const struct iana_entry sctp = {.protocols = IANA_SCTP};

	(void)state;
	assert_true(iana_entry_covers(&none_told, IANA_TCP));
	assert_true(iana_entry_covers(&none_told, IANA_UDP));
	assert_false(iana_entry_covers(&none_told, IANA_SCTP));
	assert_false(iana_entry_covers(&none_told, IANA_DCCP));
	assert_true(iana_entry_covers(&unassigned, IANA_DCCP));
	assert_true(iana_entry_covers(&sctp, IANA_SCTP));
	assert_false(iana_entry_covers(&sctp, IANA_TCP));
}

static void uses_table(void **state)
{
	unsigned int before = 0;

	(void)state;
	assert_int_equal(strlen(known_use_date), 10);
	assert_true(known_use_specific > 0 && known_use_specific < known_use_count);
	for (unsigned int i = 0; i < known_use_count; i++) {
		const struct known_use *use = &known_use_table[i];
		unsigned int ports = use->high - use->low + 1u;

		assert_true(use->low <= use->high);
		assert_true(ports >= before);
		assert_int_equal(ports <= 2000, i < known_use_specific);
		assert_true(use->protocols && !(use->protocols & ~(IANA_TCP | IANA_UDP)));
		assert_true(known_use_strings[use->name] && known_use_strings[use->source]);
		assert_true(text_printable(known_use_strings + use->text));
		assert_true(text_printable(known_use_strings + use->source));
		assert_true(text_printable(known_use_strings + use->note));
		before = ports;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registry_counts),
		cmocka_unit_test(registry_sorted),
		cmocka_unit_test(registry_finds_every_entry),
		cmocka_unit_test(registry_finds_ranges),
		cmocka_unit_test(registry_texts),
		cmocka_unit_test(dates),
		cmocka_unit_test(names_find_every_entry),
		cmocka_unit_test(names_in_any_case),
		cmocka_unit_test(names_by_prefix),
		cmocka_unit_test(entries_of_a_port),
		cmocka_unit_test(covered_protocols),
		cmocka_unit_test(uses_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
