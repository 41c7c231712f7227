/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What many processes have in common, as bytes: equal if all of it is equal. That is
 * how it waits in the batch, and how it is found again.
 */
#ifndef PORTSNOOP_STORE_PROGRAM_H
#define PORTSNOOP_STORE_PROGRAM_H

#include "lib/buffer.h"
#include "store/store.h"

enum program_text {
	PROGRAM_COMM,
	PROGRAM_USER,
	PROGRAM_EXE,
	PROGRAM_ARGS, /* JSON array */
	PROGRAM_PARENT_COMM,
	PROGRAM_CGROUP,
	PROGRAM_UNIT,
	PROGRAM_CONTAINER,
	PROGRAM_RUNTIME,
	PROGRAM_POD,
	PROGRAM_TEXTS
};

struct program {
	uint32_t uid;
	uint32_t gid;
	uint32_t flags;
	bool whole; /* else gid, flags and the texts from PROGRAM_EXE on are not known */
	struct {
		const char *data; /* NULL: not known */
		size_t length;
	} texts[PROGRAM_TEXTS];
};

/* Appends them. */
void program_write(struct buffer *out, const struct store_process *process);
/* The texts point into the bytes, which must come from program_write(). */
void program_read(const void *bytes, struct program *program);

#endif
