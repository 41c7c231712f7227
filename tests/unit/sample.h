/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A small recording for tests, and what reads one to its end. */
#ifndef PORTSNOOP_TESTS_SAMPLE_H
#define PORTSNOOP_TESTS_SAMPLE_H

#include "lib/buffer.h"
#include "records.h"
#include "stream/recording.h"

/* A folder of the test's own, and the name of a file in it. */
extern char sample_folder[], sample_path[64];
int sample_folder_make(void **state);
int sample_folder_remove(void **state);

struct sample {
	struct buffer file;    /* its bytes */
	struct buffer records; /* what went in, one behind the other, as in wire.h */
};

/* Three frames: the start and a process; two events; the end. */
void sample_make(struct sample *sample);
void sample_append(struct sample *sample, struct recording *recording, const void *record);
void sample_free(struct sample *sample);
struct wire_process sample_process(void);

/* Appends the bytes of a file. */
void file_read(const char *name, struct buffer *bytes);
/* Appends all records. Returns what the last recording_next() said. */
int file_drain(int fd, struct buffer *records, char why[256]);
/* The same for these bytes as a file; `records` is emptied first. */
int bytes_drain(const void *bytes, size_t length, struct buffer *records, char why[256]);
void buffers_equal(const struct buffer *a, const struct buffer *b);

#endif
