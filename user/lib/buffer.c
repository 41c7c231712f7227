/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUFFER_LEAST 256

bool buffer_grow(struct buffer *buffer, size_t more)
{
	size_t wanted, capacity;
	char *data;

	if (buffer->failed)
		return false;
	if (__builtin_add_overflow(buffer->length, more, &wanted))
		goto failed;
	if (wanted <= buffer->capacity)
		return true;
	capacity = buffer->capacity ? buffer->capacity : BUFFER_LEAST;
	while (capacity < wanted)
		if (__builtin_mul_overflow(capacity, 2, &capacity))
			capacity = wanted;
	data = realloc(buffer->data, capacity);
	if (!data)
		goto failed;
	buffer->data = data;
	buffer->capacity = capacity;
	return true;
failed:
	buffer->failed = true;
	return false;
}

void buffer_free(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = BUFFER_EMPTY;
}

void buffer_reset(struct buffer *buffer)
{
	buffer->length = 0;
	buffer->failed = false;
}

void buffer_unsigned(struct buffer *buffer, uint64_t number)
{
	char digits[20], *first = digits + sizeof(digits);

	do {
		*--first = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	buffer_append(buffer, first, (size_t)(digits + sizeof(digits) - first));
}

void buffer_signed(struct buffer *buffer, int64_t number)
{
	uint64_t magnitude = (uint64_t)number;

	if (number < 0) {
		buffer_byte(buffer, '-');
		magnitude = -magnitude; /* unsigned: right for INT64_MIN too */
	}
	buffer_unsigned(buffer, magnitude);
}

static void buffer_vprintf(struct buffer *buffer, const char *format, va_list arguments)
{
	va_list again;
	int length;

	va_copy(again, arguments);
	length = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (length < 0) {
		buffer->failed = true;
		return;
	}
	if (!buffer_room(buffer, (size_t)length + 1)) /* vsnprintf writes a NUL */
		return;
	vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, arguments);
	buffer->length += (size_t)length;
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	buffer_vprintf(buffer, format, arguments);
	va_end(arguments);
}
