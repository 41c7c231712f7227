/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Several texts and numbers as one key of a hash table, to be taken apart again. */
#ifndef PORTSNOOP_REPORT_KEY_H
#define PORTSNOOP_REPORT_KEY_H

#include "lib/buffer.h"
#include "store/history.h"

/* Bytes of one text that count; a path that is longer is known by its end. */
#define KEY_TEXT 255

static inline void key_text(struct buffer *key, const struct history_text *text)
{
	const size_t length = text->length < KEY_TEXT ? text->length : KEY_TEXT;
	const uint8_t marks[2] = {text->data != NULL, (uint8_t)length};

	buffer_append(key, marks, sizeof(marks));
	if (text->data)
		buffer_append(key, text->data + text->length - length, length);
}

static inline void key_number(struct buffer *key, uint32_t number)
{
	buffer_append(key, &number, sizeof(number));
}

/* In the order in which they were put; both move *key on. */
static inline struct history_text key_take_text(const char **key)
{
	struct history_text text = {.length = (uint8_t)(*key)[1]};

	if (**key)
		text.data = *key + 2;
	else
		text.length = 0;
	*key += 2 + text.length;
	return text;
}

static inline uint32_t key_take_number(const char **key)
{
	uint32_t number;

	memcpy(&number, *key, sizeof(number));
	*key += sizeof(number);
	return number;
}

#endif
