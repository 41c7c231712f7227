/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Completions for shells, from the tables of the commands. */
#ifndef PORTSNOOP_COMPLETION_H
#define PORTSNOOP_COMPLETION_H

#include "lib/buffer.h"
#include "lib/option.h"

void completion_bash(struct buffer *out, const struct command *const *commands);
void completion_zsh(struct buffer *out, const struct command *const *commands);

/* What completes an argument of this name: the shell knows of files and users. */
enum completion_kind {
	COMPLETE_NOTHING,
	COMPLETE_FILE,
	COMPLETE_FOLDER,
	COMPLETE_USER,
	COMPLETE_PROCESS,
	COMPLETE_NETNS,
	COMPLETE_UNIT,
	COMPLETE_SERVICE, /* a port by its name */
};
enum completion_kind completion_kind(const char *argument);

/* The same of the operands, as the usage names them: "[OPTION]... FILE". */
enum completion_kind completion_operand(const struct command *command);

/* It runs another command, behind "--". */
bool completion_runs(const struct command *command);

#endif
