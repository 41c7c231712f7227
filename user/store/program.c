/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "store/program.h"

#include "lib/cleanup.h"
#include "lib/json.h"

#define ABSENT UINT16_MAX
#define LONGEST 16384 /* args of the greatest record, all of them escaped */

struct header {
	uint32_t uid, gid, flags, whole;
};

static void put(struct buffer *out, const char *text, size_t length)
{
	uint16_t stored = !text ? ABSENT : length < LONGEST ? length : LONGEST;

	buffer_append(out, &stored, sizeof(stored));
	if (text)
		buffer_append(out, text, stored);
}

static void put_string(struct buffer *out, const char *text)
{
	put(out, text, text ? strlen(text) : 0);
}

static void put_known(struct buffer *out, const char *text)
{
	put_string(out, *text ? text : NULL);
}

static void put_args(struct buffer *out, const struct process *process)
{
	CLEANUP(buffer_free) struct buffer text = BUFFER_EMPTY;
	struct json json = {.out = &text};
	const char *at = process->args, *end = at + process->args_length;

	if (!at) {
		put(out, NULL, 0);
		return;
	}
	json_open(&json, '[');
	while (at < end) {
		size_t length = strnlen(at, end - at);

		json_text(&json, at, length);
		at += length + 1;
	}
	json_close(&json, ']');
	/* One that had to be cut would be no JSON. */
	put(out, text.failed || text.length > LONGEST ? NULL : text.data, text.length);
}

void program_write(struct buffer *out, const struct store_process *process)
{
	const struct process *details = process->details;
	struct header header = {.uid = process->uid, .whole = details != NULL};

	if (details) {
		header.gid = details->gid;
		header.flags = details->flags;
	}
	buffer_append(out, &header, sizeof(header));
	put_string(out, process->comm);
	put_string(out, process->user);
	if (!details) {
		for (int i = PROGRAM_EXE; i < PROGRAM_TEXTS; i++)
			put(out, NULL, 0);
		return;
	}
	put(out, details->exe, details->exe_length);
	put_args(out, details);
	put_known(out, details->parent_comm);
	put(out, details->cgroup, details->cgroup_length);
	put_known(out, details->container.unit);
	put_known(out, details->container.id);
	put_known(out, details->container.runtime);
	put_known(out, details->container.pod);
}

void program_read(const void *bytes, struct program *program)
{
	const char *at = bytes;
	struct header header;

	memcpy(&header, at, sizeof(header));
	at += sizeof(header);
	program->uid = header.uid;
	program->gid = header.gid;
	program->flags = header.flags;
	program->whole = header.whole;
	for (int i = 0; i < PROGRAM_TEXTS; i++) {
		uint16_t length;

		memcpy(&length, at, sizeof(length));
		at += sizeof(length);
		program->texts[i].data = length == ABSENT ? NULL : at;
		program->texts[i].length = length == ABSENT ? 0 : length;
		at += program->texts[i].length;
	}
}
