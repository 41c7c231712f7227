/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "format/cut.h"

#include "lib/escape.h"

#define ELLIPSIS "\xe2\x80\xa6"
/* What portsnoop.truncated adds, with all its names. */
#define NAMES_ROOM 512

void cut_measure(struct cut *cut, const struct field *field, size_t size)
{
	if (cut->most != SIZE_MAX || cut->count == CUT_TEXTS)
		return;
	cut->fields[cut->count] = field;
	cut->sizes[cut->count++] = size;
}

static size_t sizes_total(const struct cut *cut, size_t most)
{
	size_t total = 0;

	for (unsigned int i = 0; i < cut->count; i++)
		total += cut->sizes[i] < most ? cut->sizes[i] : most;
	return total;
}

/* Two places of a line can show one field. */
static bool named(const struct cut *cut, const char *name)
{
	for (unsigned int i = 0; i < cut->event.truncated_count; i++)
		if (!strcmp(cut->names[i], name))
			return true;
	return false;
}

/* `line` was the length. */
static void cut_settle(struct cut *cut, size_t line, size_t line_most)
{
	size_t rest = line - sizes_total(cut, SIZE_MAX) + NAMES_ROOM;
	size_t low = 0, high = line_most;

	/* The most that each may take. */
	while (low < high) {
		size_t middle = low + (high - low + 1) / 2;

		if (rest + sizes_total(cut, middle) <= line_most)
			low = middle;
		else
			high = middle - 1;
	}
	cut->most = low;
	cut->event.truncated = cut->names;
	cut->event.truncated_count = 0;
	for (unsigned int i = 0; i < cut->count; i++)
		if (cut->sizes[i] > low && !named(cut, cut->fields[i]->path))
			cut->names[cut->event.truncated_count++] = cut->fields[i]->path;
}

void cut_line(struct format *format, const struct event *event, struct buffer *out, size_t start,
	      size_t line_most, cut_render *render)
{
	struct cut cut = {.event = *event, .most = SIZE_MAX};
	size_t length = out->length - start;

	out->length = start;
	render(format, &cut.event, out, &cut);
	cut_settle(&cut, length, line_most);
	out->length = start;
	render(format, &cut.event, out, &cut);
}

/* Of what stands at `at`: one character, or one escape. */
typedef size_t piece_length(const char *at, size_t length);

static size_t json_piece(const char *at, size_t length)
{
	uint32_t character;

	if (*at != '\\')
		return utf8_length(at, length, &character);
	if (at[1] != 'u')
		return 2;
	/* the first half of a pair: \ud800 to \udbff */
	return at[2] == 'd' && strchr("89ab", at[3]) ? 12 : 6;
}

static size_t plain_piece(const char *at, size_t length)
{
	uint32_t character;

	if (*at != '\\')
		return utf8_length(at, length, &character);
	return at[1] == 'x' ? 4 : 2;
}

static void text_cut(struct buffer *out, size_t start, size_t most, piece_length *piece)
{
	size_t room = most > CUT_ELLIPSIS ? most - CUT_ELLIPSIS : 0, at = start;

	if (out->failed || out->length - start <= most)
		return;
	while (at < out->length) {
		size_t next = at + piece(out->data + at, out->length - at);

		if (next - start > room)
			break;
		at = next;
	}
	out->length = at;
	buffer_text(out, ELLIPSIS);
}

void cut_json(struct buffer *out, size_t start, size_t most)
{
	text_cut(out, start, most, json_piece);
}

void cut_plain(struct buffer *out, size_t start, size_t most)
{
	text_cut(out, start, most, plain_piece);
}
