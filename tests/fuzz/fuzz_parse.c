/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What somebody types. A parser takes all of it or leaves its result alone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "lib/moment.h"
#include "lib/parse.h"
#include "stream/view.h"

#define UNTOUCHED 0x5a5a5a5a5a5a5a5au

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool only(const char *text, const char *characters)
{
	return *text && !text[strspn(text, characters)];
}

static void judge(int result, bool untouched, const char *expected)
{
	check(result == 0 || result == -EINVAL);
	check(!result || (untouched && expected));
}

static void numbers_check(const char *text)
{
	uint64_t number = UNTOUCHED;
	uint16_t small = 0x5a5a;
	const char *expected = NULL;
	int result = parse_unsigned(text, 3, UINT64_MAX, &number);

	judge(result, number == UNTOUCHED, "");
	check(result || (only(text, "0123456789") && number >= 3));
	result = parse_port(text, &small, &expected);
	judge(result, small == 0x5a5a, expected);
	check(result || only(text, "0123456789"));
	expected = NULL;
	number = UNTOUCHED;
	result = parse_duration(text, &number, &expected);
	judge(result, number == UNTOUCHED, expected);
	check(result || (only(text, "0123456789.smhd") && number));
	expected = NULL;
	number = UNTOUCHED;
	result = parse_size(text, &number, &expected);
	judge(result, number == UNTOUCHED, expected);
	check(result || (only(text, "0123456789kKmMgGtT") && number));
	expected = NULL;
	small = 0x5a5a;
	result = parse_protocol(text, &small, &expected);
	judge(result, small == 0x5a5a, expected);
	check(result || protocol_name(small));
}

static void ports_check(const char *text)
{
	static const struct port_set none;
	static struct port_set set;
	const char *expected = NULL;
	int result;

	set = none;
	result = parse_ports(text, &set, &expected);
	judge(result, !memcmp(&set, &none, sizeof(set)), expected);
	check(result || (only(text, "0123456789,-") && memcmp(&set, &none, sizeof(set)) != 0));
}

/* Not --uid and --netns: they ask the machine. */
static void filter_check(const char *text)
{
	struct view_options options = {0};
	struct filter *filter = &options.filter;
	const char *expected = "";

	judge(filter_set_ports(text, &filter->ports, &expected), true, expected);
	judge(filter_set_pids(text, &filter->pids, &expected), true, expected);
	judge(filter_set_comms(text, &filter->comms, &expected), !filter->comms, expected);
	judge(filter_set_protocols(text, &filter->protocols, &expected), true, expected);
	judge(filter_set_family(text, &filter->family, &expected), !filter->family, expected);
	judge(filter_set_cgroups(text, &filter->cgroups, &expected), !filter->cgroups, expected);
	judge(filter_set_triggers(text, &filter->triggers, &expected), !filter->triggers, expected);
	judge(view_set_fields(text, &options.fields, &expected), true, expected);
	judge(view_set_format(text, &options.format, &expected), !options.format, expected);
	view_options_free(&options);
}

static void moment_check(const char *text)
{
	const int64_t now = INT64_C(1795271527) * 1000000000;
	struct moment moment = {UNTOUCHED >> 1, UNTOUCHED >> 2, false};
	const char *expected = NULL;
	int result = moment_parse(text, now, &moment, &expected);

	judge(result, moment.ns == UNTOUCHED >> 1 && moment.last == UNTOUCHED >> 2, expected);
	check(result || (moment.ns >= 0 && moment.last >= moment.ns));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	check(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	numbers_check(text);
	ports_check(text);
	filter_check(text);
	moment_check(text);
	free(text);
	return 0;
}
