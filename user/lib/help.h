/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* --help, made from a command's table. */
#ifndef PORTSNOOP_HELP_H
#define PORTSNOOP_HELP_H

#include "lib/buffer.h"
#include "lib/option.h"

void help_text(const struct command *command, struct buffer *out);

/* A line of two columns: "  LABEL   TEXT", TEXT wrapped at the 80th column. */
void help_line(const char *label, const char *text, unsigned int indent, struct buffer *out);

/* Writes the text to stdout. Exit status: 0, or 1 after a message. */
int help_print(const struct buffer *text);

#endif
