/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/help.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/log.h"

#define HELP_WIDTH 80
#define HELP_LABEL_MOST 28 /* a longer label has a line of its own */
#define HELP_LABEL_ROOM 80

static void spaces(struct buffer *out, size_t count)
{
	while (count--)
		buffer_byte(out, ' ');
}

/* Words of one line of text, the first at column `at`, wrapped behind `indent`. */
static void words_wrap(const char *text, size_t length, size_t at, size_t indent,
		       struct buffer *out)
{
	const char *end = text + length;
	bool first = true;
	size_t word;

	for (;; text += word) {
		while (text < end && *text == ' ')
			text++;
		for (word = 0; text + word < end && text[word] != ' ';)
			word++;
		if (!word)
			break;
		if (!first && at + 1 + word > HELP_WIDTH) {
			buffer_byte(out, '\n');
			spaces(out, indent);
			at = indent;
		} else if (!first) {
			buffer_byte(out, ' ');
			at++;
		}
		buffer_append(out, text, word);
		at += word;
		first = false;
	}
	buffer_byte(out, '\n');
}

void help_line(const char *label, const char *text, unsigned int indent, struct buffer *out)
{
	size_t at = 2 + strlen(label);

	buffer_text(out, "  ");
	buffer_text(out, label);
	if (at + 2 > indent) {
		buffer_byte(out, '\n');
		at = 0;
	}
	spaces(out, indent - at);
	words_wrap(text, strlen(text), indent, indent, out);
}

/* Lines that fit stay as they are: they may be a drawing or an example. */
static void paragraphs_wrap(const char *text, struct buffer *out)
{
	for (size_t length; *text; text += length + (text[length] == '\n')) {
		length = strcspn(text, "\n");
		if (length > HELP_WIDTH) {
			words_wrap(text, length, 0, 0, out);
		} else {
			buffer_append(out, text, length);
			buffer_byte(out, '\n');
		}
	}
}

/* "-p, --port PORTS" */
static const char *option_label(const struct option_entry *option, char *room, size_t size)
{
	char letter[] = "    ";

	if (option->letter)
		memcpy(letter, (char[]){'-', option->letter, ',', ' '}, 4);
	snprintf(room, size, "%s--%s%s%s", letter, option->name, option->argument ? " " : "",
		 option->argument ? option->argument : "");
	return room;
}

static const struct option_entry *option_with(const struct option_entry *options, char letter)
{
	for (; options && options->name; options++)
		if (options->letter == letter)
			return options;
	return NULL;
}

static void options_text(const struct option_entry *options, struct buffer *out)
{
	const struct option_entry help = {
		.name = "help",
		.letter = option_with(options, 'h') ? 0 : 'h',
		.help = "show this help",
	};
	char room[HELP_LABEL_ROOM];
	size_t widest = 0, length;
	const struct option_entry *option;

	for (option = options; option && option->name; option++) {
		length = strlen(option_label(option, room, sizeof(room)));
		if (length > widest && length <= HELP_LABEL_MOST)
			widest = length;
	}
	length = strlen(option_label(&help, room, sizeof(room)));
	if (length > widest)
		widest = length;
	buffer_text(out, "\nOptions:\n");
	for (option = options; option && option->name; option++)
		help_line(option_label(option, room, sizeof(room)), option->help,
			  (unsigned int)widest + 4, out);
	help_line(option_label(&help, room, sizeof(room)), help.help, (unsigned int)widest + 4,
		  out);
}

void help_text(const struct command *command, struct buffer *out)
{
	buffer_printf(out, "Usage: portsnoop %s%s%s\n\n%s\n", command->name,
		      *command->usage ? " " : "", command->usage, command->summary);
	if (command->text) {
		buffer_byte(out, '\n');
		paragraphs_wrap(command->text, out);
	}
	options_text(command->options, out);
}

int help_print(const struct buffer *text)
{
	const char *at = text->data;
	size_t left = text->length;
	ssize_t written;

	if (text->failed) {
		log_error(-ENOMEM, "the help");
		return 1;
	}
	while (left) {
		written = write(STDOUT_FILENO, at, left);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0 && errno == EPIPE)
			return 0; /* its reader has seen enough */
		if (written < 0) {
			log_error(-errno, "standard output");
			return 1;
		}
		at += written;
		left -= (size_t)written;
	}
	return 0;
}
