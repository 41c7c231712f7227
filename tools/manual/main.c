/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * usage: manual FOLDER
 *
 * Writes the manual pages and the completions into FOLDER: portsnoop.8,
 * portsnoop-COMMAND.8, portsnoop-fields.5, portsnoop.bash and _portsnoop. Their date is SOURCE_DATE_EPOCH,
 * or today.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "completion.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "roff.h"

static void date_text(char *text, size_t size)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	time_t now = epoch && *epoch ? (time_t)strtoll(epoch, NULL, 10) : time(NULL);
	struct tm fields;

	gmtime_r(&now, &fields);
	strftime(text, size, "%Y-%m-%d", &fields);
}

/* 0 or an exit status. Empties the text. */
static int file_write(const char *folder, const char *name, struct buffer *text)
{
	CLEANUP_FREE char *path = NULL;
	FILE *file;
	bool failed;

	if (text->failed || asprintf(&path, "%s/%s", folder, name) < 0)
		return log_error(-ENOMEM, "%s", name), EXIT_FAILURE;
	file = fopen(path, "w");
	if (!file)
		return log_error(-errno, "%s", path), EXIT_FAILURE;
	failed = fwrite(text->data, 1, text->length, file) != text->length;
	failed |= fclose(file) != 0;
	if (failed)
		return log_error(-errno, "%s", path), EXIT_FAILURE;
	buffer_reset(text);
	return 0;
}

static int pages_write(const char *folder, struct buffer *text)
{
	char date[32], name[64];
	const struct roff_origin origin = {.date = date, .version = PORTSNOOP_VERSION};
	int status;

	date_text(date, sizeof(date));
	roff_program(text, command_list, &origin);
	status = file_write(folder, "portsnoop.8", text);
	for (size_t i = 0; command_list[i] && !status; i++) {
		roff_command(text, command_list[i], &origin);
		snprintf(name, sizeof(name), "portsnoop-%s.8", command_list[i]->name);
		status = file_write(folder, name, text);
	}
	if (status)
		return status;
	roff_fields(text, &origin);
	return file_write(folder, "portsnoop-fields.5", text);
}

int main(int argc, char **argv)
{
	CLEANUP(buffer_free) struct buffer text = BUFFER_EMPTY;
	int status;

	if (argc != 2) {
		log_message("usage: manual FOLDER");
		return 2;
	}
	status = pages_write(argv[1], &text);
	if (status)
		return status;
	completion_bash(&text, command_list);
	status = file_write(argv[1], "portsnoop.bash", &text);
	if (status)
		return status;
	completion_zsh(&text, command_list);
	return file_write(argv[1], "_portsnoop", &text);
}
