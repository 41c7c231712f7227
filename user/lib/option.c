/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/option.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/help.h"
#include "lib/log.h"
#include "lib/parse.h"

#define EXIT_USAGE 2
#define OPTION_FIRST 256 /* long options: above every letter */
#define OPTION_HELP 'h'

int option_flag(const char *argument, void *target, const char **expected)
{
	(void)argument;
	(void)expected;
	*(bool *)target = true;
	return 0;
}

int option_string(const char *argument, void *target, const char **expected)
{
	if (!*argument) {
		*expected = "a text that is not empty";
		return -EINVAL;
	}
	*(const char **)target = argument;
	return 0;
}

int option_count(const char *argument, void *target, const char **expected)
{
	*expected = "a whole number from 1";
	return parse_unsigned(argument, 1, UINT64_MAX, target);
}

int option_duration(const char *argument, void *target, const char **expected)
{
	return parse_duration(argument, target, expected);
}

int option_size(const char *argument, void *target, const char **expected)
{
	return parse_size(argument, target, expected);
}

static void usage_line(const struct command *command, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

static void usage_line(const struct command *command, const char *format, va_list arguments)
{
	CLEANUP(buffer_free) struct buffer who = BUFFER_EMPTY;

	buffer_printf(&who, "portsnoop%s%s", command ? " " : "", command ? command->name : "");
	buffer_byte(&who, '\0');
	log_prefixed(who.failed ? "portsnoop" : who.data, format, arguments);
}

void usage_error(const struct command *command, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	usage_line(command, format, arguments);
	va_end(arguments);
	exit(EXIT_USAGE);
}

struct parser {
	const struct command *command;
	size_t count;
	struct option *longs; /* as the table, then --help, then the end */
	char *shorts;
};

static void parser_free(struct parser *parser)
{
	free(parser->longs);
	free(parser->shorts);
}

static bool parser_init(struct parser *parser, const struct command *command)
{
	const struct option_entry *options = command->options;
	bool letter_h = false;
	char *letter;

	for (parser->count = 0; options && options[parser->count].name;)
		parser->count++;
	parser->longs = calloc(parser->count + 2, sizeof(*parser->longs));
	parser->shorts = letter = calloc(parser->count + 3, 2);
	if (!parser->longs || !parser->shorts)
		return false;
	*letter++ = '+'; /* stop at the first operand */
	*letter++ = ':'; /* tell a missing argument from an unknown option */
	for (size_t i = 0; i < parser->count; i++) {
		parser->longs[i].name = options[i].name;
		parser->longs[i].has_arg = options[i].argument ? required_argument : no_argument;
		parser->longs[i].val = OPTION_FIRST + (int)i;
		if (!options[i].letter)
			continue;
		letter_h |= options[i].letter == OPTION_HELP;
		*letter++ = options[i].letter;
		if (options[i].argument)
			*letter++ = ':';
	}
	if (!letter_h)
		*letter++ = OPTION_HELP;
	parser->longs[parser->count].name = "help";
	parser->longs[parser->count].val = OPTION_FIRST + (int)parser->count;
	return true;
}

static const struct option_entry *parser_find(const struct parser *parser, int found)
{
	const struct option_entry *options = parser->command->options;

	if (found >= OPTION_FIRST)
		return &options[found - OPTION_FIRST];
	for (size_t i = 0; i < parser->count; i++)
		if (options[i].letter == found)
			return &options[i];
	return NULL;
}

static bool parser_is_help(const struct parser *parser, int found)
{
	return found == OPTION_FIRST + (int)parser->count ||
	       (found == OPTION_HELP && !parser_find(parser, found));
}

static void help_show(const struct parser *parser)
{
	CLEANUP(buffer_free) struct buffer text = BUFFER_EMPTY;
	int status;

	help_text(parser->command, &text);
	status = help_print(&text);
	buffer_free(&text);
	exit(status);
}

/* "--port, --pid or --proto": those that begin with a text. 0: none does. */
static size_t candidates_list(const struct parser *parser, const char *name, size_t length,
			      struct buffer *out)
{
	size_t found = 0, listed = 0;

	for (size_t i = 0; i <= parser->count; i++)
		found += !strncmp(parser->longs[i].name, name, length);
	for (size_t i = 0; i <= parser->count; i++) {
		if (strncmp(parser->longs[i].name, name, length) != 0)
			continue;
		if (listed)
			buffer_text(out, listed + 1 == found ? " or " : ", ");
		buffer_printf(out, "--%s", parser->longs[i].name);
		listed++;
	}
	buffer_byte(out, '\0');
	return found;
}

/* A word that getopt refused. `at` is the index of the word behind it. */
static void refuse(const struct parser *parser, const char *word)
{
	const struct command *command = parser->command;
	const struct option_entry *option = optopt ? parser_find(parser, optopt) : NULL;
	CLEANUP(buffer_free) struct buffer candidates = BUFFER_EMPTY;
	size_t length;

	if (optopt && optopt < OPTION_FIRST)
		usage_error(command, "-%c is no option; 'portsnoop %s --help' lists them", optopt,
			    command->name);
	if (optopt)
		usage_error(command, "--%s takes no value; '%s' has one",
			    option && option->name ? option->name : "help", word);
	length = strcspn(word, "=");
	if (length > 2 && candidates_list(parser, word + 2, length - 2, &candidates) > 1 &&
	    !candidates.failed)
		usage_error(command, "%.*s could be %s", (int)length, word, candidates.data);
	usage_error(command, "%.*s is no option; 'portsnoop %s --help' lists them", (int)length,
		    word, command->name);
}

void option_value_shown(const struct option_entry *entry, const char *value, struct buffer *out)
{
	const char *user = entry->secret ? strstr(value, "://") : NULL;
	const char *host = user ? strrchr(user, '@') : NULL, *query;

	if (host) {
		buffer_append(out, value, (size_t)(user + 3 - value));
		buffer_text(out, "***");
		value = host;
	}
	query = user ? strchr(value, '?') : NULL;
	query = query ? strchr(query, '=') : NULL;
	if (query) {
		buffer_append(out, value, (size_t)(query + 1 - value));
		value = "***";
	}
	buffer_text(out, value);
}

static void option_take(const struct parser *parser, const struct option_entry *option,
			void *options)
{
	CLEANUP(buffer_free) struct buffer shown = BUFFER_EMPTY;
	const char *expected = NULL;
	int error = option->set(option->argument ? optarg : NULL, (char *)options + option->offset,
				&expected);

	if (!error)
		return;
	if (error == -ENOMEM || !expected) {
		log_error(error, "--%s", option->name);
		exit(EXIT_FAILURE);
	}
	option_value_shown(option, optarg, &shown);
	buffer_byte(&shown, '\0');
	usage_error(parser->command, "--%s: '%s' is not accepted; expected %s", option->name,
		    shown.failed ? "" : shown.data, expected);
}

int options_parse(const struct command *command, int argc, char **argv, void *options)
{
	uint64_t given;

	return options_parse_given(command, argc, argv, options, &given);
}

int options_parse_given(const struct command *command, int argc, char **argv, void *options,
			uint64_t *given)
{
	CLEANUP(parser_free) struct parser parser = {.command = command};
	const struct option_entry *option;
	int found;

	if (!parser_init(&parser, command)) {
		log_error(-ENOMEM, "the options");
		exit(EXIT_FAILURE);
	}
	*given = 0;
	optind = 0; /* glibc: forget an earlier parse */
	opterr = 0;
	while ((found = getopt_long(argc, argv, parser.shorts, parser.longs, NULL)) != -1) {
		if (parser_is_help(&parser, found))
			help_show(&parser);
		if (found == '?')
			refuse(&parser, argv[optind - 1]);
		if (found == ':') {
			option = parser_find(&parser, optopt);
			usage_error(command, "--%s has no value; expected %s", option->name,
				    option->argument);
		}
		option = parser_find(&parser, found);
		option_take(&parser, option, options);
		*given |= UINT64_C(1) << ((option - command->options) % 64);
	}
	return optind;
}
