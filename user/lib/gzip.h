/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef PORTSNOOP_GZIP_H
#define PORTSNOOP_GZIP_H

#include "lib/buffer.h"

/* Appends the bytes as one gzip file: fast rather than small. Without memory: failed. */
void gzip_append(struct buffer *out, const void *bytes, size_t size);

#endif
