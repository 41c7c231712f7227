/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "format/cell.h"

#include "lib/escape.h"

#define ELLIPSIS "\xe2\x80\xa6"

unsigned int cell_columns(const char *bytes, size_t length)
{
	unsigned int columns = 0;

	while (length) {
		uint32_t character = 0;
		size_t taken = utf8_length(bytes, length, &character);

		columns += utf8_columns(character);
		taken = taken ? taken : 1;
		bytes += taken;
		length -= taken;
	}
	return columns;
}

/* Bytes of the text's start that take `columns` at most, or with `from_end` bytes
 * to skip so that the rest does. *used: the columns that are left of the text. */
static size_t text_cut(const char *bytes, size_t length, unsigned int columns, bool from_end,
		       unsigned int *used)
{
	unsigned int total = from_end ? cell_columns(bytes, length) : 0, taken_columns = 0;
	size_t at = 0;

	while (at < length) {
		uint32_t character = 0;
		size_t taken = utf8_length(bytes + at, length - at, &character);
		unsigned int more = utf8_columns(character);

		if (from_end ? total - taken_columns <= columns : taken_columns + more > columns)
			break;
		taken_columns += more;
		at += taken ? taken : 1;
	}
	*used = from_end ? total - taken_columns : taken_columns;
	return at;
}

void cell_spaces(struct buffer *out, unsigned int count)
{
	while (count--)
		buffer_byte(out, ' ');
}

void cell_fit(struct buffer *out, const char *bytes, size_t length, unsigned int width, bool right,
	      bool tail, bool last)
{
	unsigned int columns = cell_columns(bytes, length), used;
	size_t at;

	if (columns <= width || !width) {
		unsigned int missing = columns < width ? width - columns : 0;

		if (right)
			cell_spaces(out, missing);
		buffer_append(out, bytes, length);
		if (!right && !last)
			cell_spaces(out, missing);
		return;
	}
	at = text_cut(bytes, length, width - 1, tail, &used);
	if (tail) {
		buffer_text(out, ELLIPSIS);
		buffer_append(out, bytes + at, length - at);
	} else {
		buffer_append(out, bytes, at);
		buffer_text(out, ELLIPSIS);
	}
	if (!last)
		cell_spaces(out, width - 1 - used);
}
