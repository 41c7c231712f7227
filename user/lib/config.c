/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/escape.h"

#define SHOWN 80 /* bytes of a text that a message quotes at most */
#define BOM "\xef\xbb\xbf"

struct reader {
	const char *path;
	const struct command *command;
	uint64_t given, seen;
	void *options;
	unsigned int line;
	char *why;
	size_t size;
};

void config_free(struct config_file *config)
{
	free(config->text);
	*config = (struct config_file){0};
}

static int line_fail(const struct reader *reader, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* "FILE:LINE: ..." */
static int line_fail(const struct reader *reader, int error, const char *format, ...)
{
	int length = snprintf(reader->why, reader->size, "%s:%u: ", reader->path, reader->line);
	va_list arguments;

	if (length < 0 || (size_t)length >= reader->size)
		return error;
	va_start(arguments, format);
	vsnprintf(reader->why + length, reader->size - (size_t)length, format, arguments);
	va_end(arguments);
	return error;
}

static int file_fail(int error, const char *path, const char *words, char *why, size_t size)
{
	snprintf(why, size, "%s: %s", path, words);
	return error;
}

/* ---- a line ---- */

static char *trim(char *text)
{
	size_t length;

	text += strspn(text, " \t");
	length = strlen(text);
	while (length && strchr(" \t\r", text[length - 1]))
		length--;
	text[length] = '\0';
	return text;
}

/* 0, or what is wrong with its bytes. */
static const char *bytes_check(const char *line, size_t length)
{
	size_t at = 0;

	/* Of a file that was written on Windows. */
	if (length && line[length - 1] == '\r')
		length--;
	if (length > CONFIG_LINE_MOST)
		return "the line is too long: expected at most 8192 bytes";
	while (at < length) {
		uint32_t character;
		size_t taken = utf8_length(line + at, length - at, &character);

		if (!taken)
			return "this is not UTF-8";
		if ((character < ' ' && character != '\t') || character == 0x7f)
			return character ? "there is a control character" : "there is a NUL byte";
		at += taken;
	}
	return NULL;
}

static const struct option_entry *entry_find(const struct command *command, const char *name)
{
	for (const struct option_entry *entry = command->options; entry->name; entry++)
		if (!strcmp(entry->name, name))
			return entry;
	return NULL;
}

static const char *ellipsis(const char *text)
{
	return strlen(text) > SHOWN ? "..." : "";
}

/* "db, max-size, max-age or tier" */
static int name_fail(const struct reader *reader, const char *name)
{
	CLEANUP(buffer_free) struct buffer names = BUFFER_EMPTY;
	const struct option_entry *last = NULL;

	for (const struct option_entry *entry = reader->command->options; entry->name; entry++) {
		if (entry->line_only)
			continue;
		if (last)
			buffer_printf(&names, "%s%s", names.length ? ", " : "", last->name);
		last = entry;
	}
	if (last)
		buffer_printf(&names, "%s%s", names.length ? " or " : "", last->name);
	buffer_byte(&names, '\0');
	return line_fail(reader, -EINVAL, "'%.*s%s' is no option of '%s'; expected %s", SHOWN, name,
			 ellipsis(name), reader->command->name,
			 names.failed ? "another" : names.data);
}

/* Without its sign a value is taken for a part of the name, and it may be a secret. 0: it is
 * there. */
static int sign_missing(const struct reader *reader, char *name)
{
	const struct option_entry *entry;
	char *blank = strpbrk(name, " \t");

	if (!blank)
		return 0;
	*blank = '\0';
	entry = entry_find(reader->command, name);
	return entry ? line_fail(reader, -EINVAL, "behind %s there is no =; expected %s = %s",
				 entry->name, entry->name,
				 entry->argument ? entry->argument : "yes")
		     : 0;
}

static int value_fail(const struct reader *reader, const struct option_entry *entry,
		      const char *value, const char *expected)
{
	CLEANUP(buffer_free) struct buffer shown = BUFFER_EMPTY;
	const char *text;

	option_value_shown(entry, value, &shown);
	buffer_byte(&shown, '\0');
	text = shown.failed ? "" : shown.data;
	return line_fail(reader, -EINVAL, "%s: '%.*s%s' is not accepted; expected %s", entry->name,
			 SHOWN, text, ellipsis(text), expected);
}

/* 1 or 0; -1: neither. */
static int truth_parse(const char *value)
{
	if (!strcmp(value, "yes") || !strcmp(value, "true"))
		return 1;
	return !strcmp(value, "no") || !strcmp(value, "false") ? 0 : -1;
}

/* What would be taken for a part of the value, and people mean otherwise. */
static const char *value_check(const char *value)
{
	if (*value == '"' || *value == '\'')
		return "a value without quotes";
	for (const char *mark = value; (mark = strchr(mark, '#')); mark++)
		if (mark > value && (mark[-1] == ' ' || mark[-1] == '\t'))
			return "the comment in a line of its own";
	return NULL;
}

static int value_take(const struct reader *reader, const struct option_entry *entry, char *value)
{
	const char *expected = value_check(value);
	bool given = reader->given & (UINT64_C(1) << ((entry - reader->command->options) % 64));
	int error, truth = 0;

	if (expected)
		return value_fail(reader, entry, value, expected);
	if (!entry->argument) {
		truth = truth_parse(value);
		if (truth < 0)
			return value_fail(reader, entry, value, "yes, no, true or false");
		value = NULL;
	}
	/* "no" is what a flag is that nobody gave. */
	if (given || (!entry->argument && !truth))
		return 0;
	error = entry->set(value, (char *)reader->options + entry->offset, &expected);
	if (!error)
		return 0;
	if (error == -EINVAL && expected)
		return value_fail(reader, entry, value ? value : "yes", expected);
	return line_fail(reader, error, "%s: %s", entry->name, strerror(-error));
}

static int assignment_take(struct reader *reader, char *line)
{
	char *sign = strchr(line, '='), *name, *value;
	const struct option_entry *entry;
	uint64_t bit;
	bool dashes;

	if (sign)
		*sign = '\0';
	name = trim(line);
	value = sign ? trim(sign + 1) : NULL;
	if (!*name)
		return line_fail(reader, -EINVAL, "expected NAME = VALUE");
	dashes = !strncmp(name, "--", 2);
	entry = entry_find(reader->command, name + (dashes ? 2 : 0));
	if (entry && dashes)
		return line_fail(reader, -EINVAL, "'%s': expected %s, without the dashes", name,
				 entry->name);
	if (!entry)
		return sign_missing(reader, name) ?: name_fail(reader, name);
	if (entry->line_only)
		return line_fail(reader, -EINVAL, "%s is for the command line alone: --%s",
				 entry->name, entry->name);
	if (!value || !*value)
		return line_fail(reader, -EINVAL, "%s has no value; expected %s = %s", entry->name,
				 entry->name, entry->argument ? entry->argument : "yes");
	bit = UINT64_C(1) << ((entry - reader->command->options) % 64);
	if (reader->seen & bit && !entry->adds_up)
		return line_fail(reader, -EINVAL,
				 "%s = '%.*s%s': it was set before; expected each option once",
				 entry->name, SHOWN, value, ellipsis(value));
	reader->seen |= bit;
	return value_take(reader, entry, value);
}

static int line_take(struct reader *reader, char *line, size_t length)
{
	const char *wrong = bytes_check(line, length);

	if (wrong)
		return line_fail(reader, -EINVAL, "%s", wrong);
	line = trim(line);
	return *line && *line != '#' ? assignment_take(reader, line) : 0;
}

int config_parse(char *text, size_t length, const char *path, const struct command *command,
		 uint64_t given, void *options, char *why, size_t size)
{
	struct reader reader = {.path = path,
				.command = command,
				.given = given,
				.options = options,
				.why = why,
				.size = size};
	char *end = text + length, *next;
	int error = 0;

	if (length >= strlen(BOM) && !memcmp(text, BOM, strlen(BOM)))
		text += strlen(BOM);
	for (; text < end && !error; text = next + 1) {
		next = memchr(text, '\n', (size_t)(end - text));
		if (!next)
			next = end;
		*next = '\0';
		reader.line++;
		error = line_take(&reader, text, (size_t)(next - text));
	}
	return error;
}

/* ---- the file ---- */

/* NULL: it is one that can be read to its end. */
static const char *kind_check(const struct stat *status, int *error)
{
	*error = S_ISDIR(status->st_mode) ? -EISDIR : -EINVAL;
	if (S_ISREG(status->st_mode))
		return NULL;
	if (S_ISCHR(status->st_mode) && status->st_rdev == makedev(1, 3)) /* /dev/null */
		return NULL;
	if (S_ISDIR(status->st_mode))
		return "this is a directory; expected a file";
	if (S_ISFIFO(status->st_mode))
		return "this is a pipe; expected a file, which can be read again";
	return "this is a device; expected a file";
}

/* -EFBIG: it has more bytes than that. */
static ssize_t bytes_read(int fd, char *text, size_t most)
{
	size_t length = 0;

	for (;;) {
		ssize_t taken = read(fd, text + length, most + 1 - length);

		if (taken < 0 && errno == EINTR)
			continue;
		if (taken < 0)
			return -errno;
		length += (size_t)taken;
		if (length > most)
			return -EFBIG;
		if (!taken)
			return (ssize_t)length;
	}
}

int config_read(struct config_file *config, const char *path, const struct command *command,
		uint64_t given, void *options, char *why, size_t size)
{
	CLEANUP_FREE char *text = malloc(CONFIG_MOST + 1);
	/* Nobody may keep us waiting: there may be no writer to a pipe. */
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;
	const char *wrong;
	ssize_t length;
	int error;

	if (fd < 0 || fstat(fd, &status)) {
		error = -errno;
		return file_fail(error, path, strerror(-error), why, size);
	}
	if (!text)
		return file_fail(-ENOMEM, path, strerror(ENOMEM), why, size);
	wrong = kind_check(&status, &error);
	if (wrong)
		return file_fail(error, path, wrong, why, size);
	length = bytes_read(fd, text, CONFIG_MOST);
	if (length == -EFBIG)
		return file_fail(-EFBIG, path, "expected at most 64 KiB", why, size);
	if (length < 0)
		return file_fail((int)length, path, strerror((int)-length), why, size);
	text[length] = '\0';
	error = config_parse(text, (size_t)length, path, command, given, options, why, size);
	if (!error)
		config->text = TAKE_POINTER(text);
	return error;
}
