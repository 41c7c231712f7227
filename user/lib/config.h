/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A configuration file: options of a command, by the names and with the values that they
 * have on its command line.
 *
 *	# a comment, in a line of its own
 *	max-size = 4G
 *	no-ledger = yes
 *
 * One option a line, each once unless it is a list, to which each line adds. Blanks around
 * the name and the value do not count, nor does a carriage return at the end. Flags take yes,
 * no, true or false. There are no quotes and no continued lines. The file is UTF-8 without
 * control characters.
 */
#ifndef PORTSNOOP_LIB_CONFIG_H
#define PORTSNOOP_LIB_CONFIG_H

#include "lib/option.h"

#define CONFIG_MOST (64u << 10) /* bytes of a file */
#define CONFIG_LINE_MOST 8192	/* of a line */
#define CONFIG_WHY 512		/* the longest message, and some more */

/* What was read: options that are texts point at it. Empty: {0}. */
struct config_file {
	char *text;
};

void config_free(struct config_file *config);

/*
 * Reads the file into `options`, which holds what the command line left in it: what is
 * `given` there (options_parse_given()) wins and stays as it is. Never exits, so that a
 * service can read the file again: into a copy of what the options were before the first
 * time, because after an error a part of them is filled in.
 *
 * 0, or negative errno with `why`, one line for people that names the file, the line, the
 * option, the value and what would be accepted, as the case may be: -EINVAL for what is in
 * the file, -ENOENT, -EACCES, -EISDIR, ... for the file itself, -EFBIG, -ENOMEM. It may
 * hold hostile bytes. `config`, which is empty before, stays so then; else it is to be freed,
 * but not before the options are used no more. That a file which nobody asked for is not
 * there (-ENOENT) is for the caller to leave unsaid.
 */
int config_read(struct config_file *config, const char *path, const struct command *command,
		uint64_t given, void *options, char *why, size_t size);

/* The same for `length` bytes, and a NUL behind them, that are not from a file: they are
 * written to, and texts point at them. `path` is for `why` alone. */
int config_parse(char *text, size_t length, const char *path, const struct command *command,
		 uint64_t given, void *options, char *why, size_t size);

#endif
