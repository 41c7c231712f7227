/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Configuration files. The first byte says which options the command line has set; the
 * rest is the file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "lib/config.h"
#include "lib/escape.h"
#include "sink/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct options {
	uint64_t count, size, age;
	const char *db, *other;
	bool follow, failed;
	struct sink_list sinks;
};

static const struct option_entry entries[] = {
	OPTION("count", 'n', "N", "stop after N", option_count, struct options, count),
	OPTION("max-size", 0, "SIZE", "how much", option_size, struct options, size),
	OPTION("max-age", 0, "TIME", "how old", option_duration, struct options, age),
	OPTION("db", 0, "FILE", "where", option_string, struct options, db),
	OPTION("other", 0, "TEXT", "more", option_string, struct options, other),
	OPTION("config", 0, "FILE", "the file", option_string, struct options, other,
	       .line_only = true),
	OPTION("follow", 'f', NULL, "go on", option_flag, struct options, follow),
	OPTION("failed", 0, NULL, "only failures", option_flag, struct options, failed),
	OPTION("sink", 0, "SPEC", "to", sink_list_set, struct options, sinks, .adds_up = true,
	       .secret = true),
	{0},
};

static const struct command command = {.name = "fuzz", .options = entries};
static const struct options defaults = {.count = 1, .size = 2, .age = 3, .db = "d", .other = "o"};

static bool inside(const char *text, const char *from, size_t length)
{
	return text >= from && text + strlen(text) <= from + length;
}

/* What the file gave: within it, and as a line of it can be. */
static void text_check(const char *value, const char *before, const char *text, size_t length)
{
	uint32_t character;
	size_t taken;

	if (value == before)
		return;
	check(inside(value, text, length) && *value);
	check(!strchr(" \t\r\"'", *value) && !strchr(" \t\r", value[strlen(value) - 1]));
	for (const char *at = value; *at; at += taken) {
		taken = utf8_length(at, strlen(at), &character);
		check(taken && (character >= ' ' || character == '\t') && character != 0x7f);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct options options = defaults;
	char why[CONFIG_WHY] = "", *text;
	uint64_t given;
	int error;

	if (!size)
		return 0;
	given = data[0];
	data++;
	size--;
	/* Of just this size, so that a byte too far is seen. */
	text = malloc(size + 1);
	check(text);
	memcpy(text, data, size);
	text[size] = '\0';
	error = config_parse(text, size, "f", &command, given, &options, why, sizeof(why));
	check(!error == !*why && strlen(why) < sizeof(why) - 1);
	check(!error || error == -EINVAL);
	check(!error || !strncmp(why, "f:", 2));
	check(!strchr(why, '\n'));
	check(options.count && options.size && options.age);
	check(!(given & 1) || options.count == defaults.count);
	check(!(given & 1 << 3) || options.db == defaults.db);
	check(!(given & 1 << 6) || !options.follow);
	text_check(options.db, defaults.db, text, size);
	text_check(options.other, defaults.other, text, size);
	check(options.sinks.count <= SINKS_MOST);
	for (size_t i = 0; i < options.sinks.count; i++)
		check(*options.sinks.specs[i].name && *options.sinks.specs[i].text);
	sink_list_free(&options.sinks);
	free(text);
	return 0;
}
