/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A stream in a file: what `--save FILE` writes and `replay FILE` reads.
 *
 *   file   header, frame, frame, ...
 *   header struct recording_header
 *   frame  struct recording_frame, then `length` bytes of payload
 *   payload  whole records as in wire.h, each at a multiple of 8
 *
 * Integers are in the byte order of the machine that wrote them, which the header
 * states. Frames are numbered from 0. A frame is written with one call and counts
 * only if it is complete, so a file that was cut short loses the last frame at
 * most. A whole stream ends with WIRE_STREAM_END.
 *
 * A process is stored without the unused parts of exe, args and path: the three
 * stand one behind the other, zeros up to the next multiple of 8 follow, and
 * header.size says how much that is. The reader gives back the record of wire.h.
 */
#ifndef PORTSNOOP_RECORDING_H
#define PORTSNOOP_RECORDING_H

#include <portsnoop/wire.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORDING_MAGIC "PORTSNOOP\n\0" /* 12 bytes with the last NUL */
#define RECORDING_BYTE_ORDER 0x01020304u
#define RECORDING_VERSION 1
#define RECORDING_FRAME_MAGIC 0x4d415246u /* "FRAM" on a little-endian machine */
#define RECORDING_PAYLOAD_MOST (1u << 20)

struct recording_header {
	char magic[12];
	uint32_t byte_order;
	uint32_t version;      /* of this format */
	uint32_t wire_version; /* of the records */
	uint32_t zero;
	uint32_t crc; /* CRC-32 (zlib's) of the bytes before */
};

struct recording_frame {
	uint32_t magic;
	uint32_t length; /* of the payload: 8 to RECORDING_PAYLOAD_MOST, multiple of 8 */
	uint32_t crc;	 /* CRC-32 of the payload */
	uint32_t number;
};

/* ---- writing ---- */

struct recording;

/*
 * Makes the file, only for its owner, or empties the one that is there. Refuses
 * symbolic links, whatever is not a regular file, and a file that is being recorded
 * to. Returns 0 or negative errno, and then *why: words for "FILE: ...".
 */
int recording_create(const char *path, struct recording **recording, const char **why);

/*
 * Takes in one record: collected, and written with the next flush or when a frame
 * is full. 0; -EINVAL: not a record; or the first error of a write, which stays:
 * the file then ends with its last complete frame, and nothing more is written.
 */
int recording_append(struct recording *recording, const void *record, size_t size);

/* Writes what was collected, as one frame. To be called once a batch. */
int recording_flush(struct recording *recording);

/* Flushes and closes. 0, or the first error. NULL does nothing. */
int recording_close(struct recording *recording);

/* ---- reading ---- */

struct recording_reader;

/* Opens a recording, "-" is stdin; reads nothing yet. 0 or negative errno. */
int recording_open(const char *path, struct recording_reader **reader);
/* The same for an open file, which stays the caller's. `name` is for messages. */
int recording_open_fd(int fd, const char *name, struct recording_reader **reader);

/*
 * The next record, 8-aligned, valid until the next call, and where it stands in the
 * file. 1: there is one. 0: the whole recording was read. -EBADMSG: damaged here;
 * -ENODATA: ends between two frames, but without its last record; or the error of a
 * read: -EINTR when a stop is asked for (lib/signals.h). An error stays; recording_why() has
 * the words.
 */
int recording_next(struct recording_reader *reader, const void **record, size_t *size,
		   uint64_t *offset);

/* The next record is in memory already: recording_next() will not wait. */
bool recording_ready(const struct recording_reader *reader);

/* "NAME: at byte 4711: ...". Valid as long as the reader. */
const char *recording_why(const struct recording_reader *reader);

void recording_reader_free(struct recording_reader *reader);

#endif
