/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/help.h"
#include "lib/log.h"
#include "lib/option.h"

#define COMMAND_INDENT 12

static const struct command *command_find(const char *name)
{
	for (const struct command *const *command = command_list; *command; command++)
		if (!strcmp((*command)->name, name))
			return *command;
	return NULL;
}

static void command_unknown(const char *name) __attribute__((noreturn));

static void command_unknown(const char *name)
{
	CLEANUP(buffer_free) struct buffer names = BUFFER_EMPTY;

	for (const struct command *const *command = command_list; *command; command++)
		buffer_printf(&names, "%s, ", (*command)->name);
	buffer_text(&names, "help");
	buffer_byte(&names, '\0');
	usage_error(NULL, "'%s' is no command; expected one of: %s", name,
		    names.failed ? "" : names.data);
}

static int overview_print(void)
{
	CLEANUP(buffer_free) struct buffer text = BUFFER_EMPTY;

	buffer_text(&text,
		    "Usage: portsnoop [COMMAND] [OPTION]... [ARGUMENT]...\n\n"
		    "Says who takes which port, as it happens, and what stood in the way.\n\n"
		    "Commands:\n");
	for (const struct command *const *command = command_list; *command; command++)
		help_line((*command)->name, (*command)->summary, COMMAND_INDENT, &text);
	help_line("help", "show this list, or the help of one command", COMMAND_INDENT, &text);
	buffer_text(&text, "\nWithout a command it traces: 'portsnoop --port 80' is "
			   "'portsnoop trace --port 80'.\n\n"
			   "Options:\n");
	help_line("-h, --help", "show this list", COMMAND_INDENT + 5, &text);
	help_line("-V, --version", "show the version", COMMAND_INDENT + 5, &text);
	return help_print(&text);
}

static int version_print(void)
{
	CLEANUP(buffer_free) struct buffer text = BUFFER_EMPTY;

	buffer_text(&text, "portsnoop " PORTSNOOP_VERSION "\n");
	return help_print(&text);
}

static int command_help(int argc, char **argv)
{
	CLEANUP(buffer_free) struct buffer text = BUFFER_EMPTY;
	const struct command *command;

	if (argc < 2 || !strcmp(argv[1], "help"))
		return overview_print();
	if (argc > 2)
		usage_error(NULL, "help: '%s' is one word too many; expected one command", argv[2]);
	command = command_find(argv[1]);
	if (!command)
		command_unknown(argv[1]);
	help_text(command, &text);
	return help_print(&text);
}

static bool is_either(const char *word, const char *letter, const char *name)
{
	return !strcmp(word, letter) || !strcmp(word, name);
}

/* A closed 0, 1 or 2 would be given to the next file that is opened, and words
 * would end up in it. The wrong direction makes each use fail as it should. */
static void standard_files_open(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
	const struct command *command = &command_trace;
	char *name[] = {"trace", NULL};

	standard_files_open();
	setlocale(LC_CTYPE, "C.UTF-8"); /* widths of characters; no other category */
	signal(SIGPIPE, SIG_IGN);	/* a write tells with EPIPE */
	if (argc < 2)
		return command->run(command, 1, name);
	if (is_either(argv[1], "-h", "--help"))
		return overview_print();
	if (is_either(argv[1], "-V", "--version"))
		return version_print();
	if (!strcmp(argv[1], "help"))
		return command_help(argc - 1, argv + 1);
	if (argv[1][0] == '-') {
		argv[0] = name[0];
		return command->run(command, argc, argv);
	}
	command = command_find(argv[1]);
	if (!command)
		command_unknown(argv[1]);
	return command->run(command, argc - 1, argv + 1);
}
