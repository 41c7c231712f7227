/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Values as plain text, and what the formats share. */
#ifndef PORTSNOOP_PLAIN_H
#define PORTSNOOP_PLAIN_H

#include "format/format.h"
#include "model/text.h"

/* The newest second that was printed: events of the same one need not divide. */
struct second_cache {
	bool valid;
	int64_t second;
	char text[TEXT_SECOND];
};

/* text_time() that remembers. */
char *second_cache_time(struct second_cache *cache, char *out, int64_t ns);

/* Escaped for people; nothing for what is absent or null. Lists are joined by a
 * space, as arguments are typed. */
void value_plain(struct buffer *out, const struct value *value, struct second_cache *cache);

#endif
