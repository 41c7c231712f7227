/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "completion.h"

#include <ctype.h>

enum completion_kind completion_kind(const char *argument)
{
	static const struct {
		const char *name;
		enum completion_kind kind;
	} known[] = {
		{"FILE", COMPLETE_FILE},    {"DIR", COMPLETE_FOLDER},  {"USER", COMPLETE_USER},
		{"PID", COMPLETE_PROCESS},  {"NETNS", COMPLETE_NETNS}, {"UNIT", COMPLETE_UNIT},
		{"PORT", COMPLETE_SERVICE},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(argument, known[i].name))
			return known[i].kind;
	return COMPLETE_NOTHING;
}

enum completion_kind completion_operand(const struct command *command)
{
	enum completion_kind kind;
	const char *usage = command->usage;
	char word[32];
	size_t length;

	for (; *usage; usage += length) {
		for (length = 0; isupper(usage[length]);)
			length++;
		if (length && length < sizeof(word)) {
			memcpy(word, usage, length);
			word[length] = '\0';
			kind = completion_kind(word);
			if (kind != COMPLETE_NOTHING)
				return kind;
		}
		length += !length;
	}
	return COMPLETE_NOTHING;
}

bool completion_runs(const struct command *command)
{
	return strstr(command->usage, "-- COMMAND");
}
