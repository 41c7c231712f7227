/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Options of a command as a table, from which come the parser, --help, the
 * manual page and the shell completion.
 */
#ifndef PORTSNOOP_OPTION_H
#define PORTSNOOP_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int option_setter(const char *argument, void *target, const char **expected);

struct option_entry {
	const char *name;     /* long name without dashes */
	char letter;	      /* short name; 0: none */
	bool line_only;	      /* it means nothing in a configuration file */
	bool adds_up;	      /* a list: may stand in a configuration file more than once */
	bool secret;	      /* may have a password in a URL: option_value_shown() */
	const char *argument; /* "PORT"; NULL: a flag */
	const char *help;     /* one sentence */
	/* Takes the argument (NULL for a flag) into `target`, which is the options
	 * struct plus offset. 0, or -EINVAL with *expected set to what completes
	 * "expected ..." and lives as long as target, or -ENOMEM. Given twice, a list
	 * adds up and anything else takes the last. */
	option_setter *set;
	size_t offset;
	/* For the completion: words that `set` accepts. Between spaces: one of them; between
	 * commas: a list of them. NULL: anything, and `argument` tells what: FILE, USER. */
	const char *values;
};

/* One entry that fills in `member` of the options struct `type`. What follows are
 * initializers of its other members: .values = "table json". */
#define OPTION(name_, letter_, argument_, help_, set_, type, member, ...)                          \
	{                                                                                          \
		.name = (name_), .letter = (letter_), .argument = (argument_), .help = (help_),    \
		.set = (set_), .offset = offsetof(type, member), ##__VA_ARGS__                     \
	}

struct command {
	const char *name;
	const char *usage;   /* behind the name: "[OPTION]... [-- COMMAND [ARG]...]" */
	const char *summary; /* one line */
	const char *text;    /* a paragraph or more; may be NULL */
	const struct option_entry *options; /* ended by an entry without name */
	/* argv[0] is the command's name. Returns the exit status. */
	int (*run)(const struct command *command, int argc, char **argv);
};

extern const struct command command_trace, command_who, command_rate, command_pool, command_record,
	command_history, command_report, command_explain, command_replay, command_doctor;
extern const struct command *const command_list[]; /* ended by NULL; command/list.c */

/*
 * Parses argv[1..]: options stop at "--" or at the first word that is none.
 * `options` is the command's own struct, already holding the defaults. --help (and
 * -h, unless the table has it) is handled here: prints and exits 0. A long option
 * may be cut short as long as it stays the only one. A bad option prints one line
 * that names the option, the value and what would be accepted, and exits 2: nothing
 * has been done yet then. Returns the index of the first operand.
 */
int options_parse(const struct command *command, int argc, char **argv, void *options);

/* The same, which also says what was given: bit I for the table's entry I. For
 * config_read() of lib/config.h. The table has no more than 64 entries. */
int options_parse_given(const struct command *command, int argc, char **argv, void *options,
			uint64_t *given);

/* What a message may repeat of a value: without what could be a password. */
struct buffer;
void option_value_shown(const struct option_entry *entry, const char *value, struct buffer *out);

/* "portsnoop trace: ..." on stderr, exit status 2. */
void usage_error(const struct command *command, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

/* Setters for option_entry.set, for a member of the type named here. Each takes the
 * last value given. */
option_setter option_flag;     /* bool */
option_setter option_string;   /* const char *, not empty */
option_setter option_count;    /* uint64_t, from 1 */
option_setter option_duration; /* uint64_t, ns, above 0 */
option_setter option_size;     /* uint64_t, bytes, above 0 */

#endif
