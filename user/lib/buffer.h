/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A byte buffer that grows. It owns its bytes. When memory runs out, the
 * buffer becomes `failed` and stays so until buffer_reset(): appends do nothing
 * then, so that a renderer checks once, at the end.
 */
#ifndef PORTSNOOP_BUFFER_H
#define PORTSNOOP_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buffer {
	char *data;
	size_t length;
	size_t capacity;
	bool failed;
};

#define BUFFER_EMPTY ((struct buffer){0})

/* Makes room for `more` bytes behind length. False, and failed, without memory. */
bool buffer_grow(struct buffer *buffer, size_t more);
void buffer_free(struct buffer *buffer);
void buffer_reset(struct buffer *buffer); /* empties it and keeps the memory */

static inline bool buffer_room(struct buffer *buffer, size_t more)
{
	if (__builtin_expect(buffer->capacity - buffer->length >= more, 1))
		return !buffer->failed;
	return buffer_grow(buffer, more);
}

static inline void buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
	/* memcpy takes no NULL, not even for 0 bytes. */
	if (!length || !buffer_room(buffer, length))
		return;
	memcpy(buffer->data + buffer->length, bytes, length);
	buffer->length += length;
}

static inline void buffer_byte(struct buffer *buffer, char byte)
{
	if (buffer_room(buffer, 1))
		buffer->data[buffer->length++] = byte;
}

static inline void buffer_text(struct buffer *buffer, const char *text)
{
	buffer_append(buffer, text, strlen(text));
}

void buffer_unsigned(struct buffer *buffer, uint64_t number); /* decimal */
void buffer_signed(struct buffer *buffer, int64_t number);
void buffer_printf(struct buffer *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
