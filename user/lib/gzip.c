/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/gzip.h"

#include <limits.h>
#include <zlib.h>

#define GZIP_WINDOW (15 + 16) /* the largest, and a gzip header instead of zlib's */
#define MEMORY_LEVEL 8

void gzip_append(struct buffer *out, const void *bytes, size_t size)
{
	z_stream stream = {.next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)size};
	uLong bound;

	if (size > UINT_MAX / 2 || deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW,
						MEMORY_LEVEL, Z_DEFAULT_STRATEGY)) {
		out->failed = true;
		return;
	}
	bound = deflateBound(&stream, size);
	if (buffer_room(out, bound)) {
		stream.next_out = (Bytef *)out->data + out->length;
		stream.avail_out = (uInt)bound;
		if (deflate(&stream, Z_FINISH) == Z_STREAM_END)
			out->length += stream.total_out;
		else
			out->failed = true;
	}
	deflateEnd(&stream);
}
