/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "command/sink_option.h"

#include <errno.h>
#include <string.h>

#include "lib/log.h"

int sink_set_format(const char *argument, void *target, const char **expected)
{
	const struct format_ops *format = format_find(argument);

	*expected = "ecs, otlp, ocsf or csv";
	if (!format || format == &format_table)
		return -EINVAL;
	*(const struct format_ops **)target = format;
	return 0;
}

void sink_choice_settle(const struct command *command, const struct sink_choice *choice,
			struct view_options *view)
{
	const char *wrong = view->format ? "--output" : "--fields";

	if (!choice->list.count) {
		if (choice->spool)
			usage_error(command, "--spool is for --sink, and none is given");
		if (choice->list.format && view->format)
			usage_error(command,
				    "--format and --output are one thing without a --sink: "
				    "give one of them");
		if (choice->list.format)
			view->format = choice->list.format;
		if (view->fields.fields && view->format && view->format->fixed)
			usage_error(command,
				    "--fields is for ecs, json and csv, --columns for the table: "
				    "%s has what its schema wants",
				    view->format->name);
		return;
	}
	if (view->format || view->fields.fields)
		usage_error(command,
			    "%s is for what standard output shows, and with a --sink that is "
			    "nothing; '--sink stdout' writes to it, --format or format= of a sink "
			    "says how",
			    wrong);
}

int sink_choice_open(const struct sink_choice *choice, bool wait, struct sinks **sinks)
{
	const struct sinks_options options = {
		.list = &choice->list,
		.spool = choice->spool,
		.guarded = true,
		.wait = wait,
	};
	char why[512];
	int error;

	*sinks = NULL;
	if (!choice->list.count)
		return 0;
	error = sinks_open(&options, sinks, why, sizeof(why));
	if (error)
		log_message("%s", why);
	return error;
}

static bool text_same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

bool sink_choice_same(const struct sink_choice *a, const struct sink_choice *b)
{
	if (a->list.count != b->list.count || a->list.format != b->list.format ||
	    !text_same(a->spool, b->spool))
		return false;
	for (size_t i = 0; i < a->list.count; i++)
		if (!text_same(a->list.specs[i].text, b->list.specs[i].text))
			return false;
	return true;
}
