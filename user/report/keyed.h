/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Entries by key, up to a limit: entry 0 stands for all that found no room. */
#ifndef PORTSNOOP_REPORT_KEYED_H
#define PORTSNOOP_REPORT_KEYED_H

#include <stddef.h>
#include <stdint.h>

/* The first member of each entry. The table owns entries and keys. */
struct keyed_entry {
	const char *key; /* of entry 0: NULL */
	uint32_t length;
	uint32_t index;
};

struct keyed {
	struct keyed_slot *table;
	struct keyed_entry **entries;
	uint32_t count, room; /* count: with entry 0 */
	uint32_t limit;
	size_t size;
};

/* Entries of `size` bytes, all zero at first. 0 or -ENOMEM. */
int keyed_init(struct keyed *keyed, size_t size, uint32_t limit);
/* The key's entry, which is made if need be; entry 0 when the limit is reached. NULL without
 * memory. */
struct keyed_entry *keyed_find(struct keyed *keyed, const void *key, size_t length);
/* `compare` as for qsort(), of pointers to entries; entry 0 stays. Then each one's index is
 * its place. */
void keyed_sort(struct keyed *keyed, int (*compare)(const void *one, const void *two));
/* By the bytes of the key, which are all different. */
int keyed_compare(const struct keyed_entry *one, const struct keyed_entry *two);
/* `entry_free` gives back what an entry points to; NULL: nothing. */
void keyed_free(struct keyed *keyed, void (*entry_free)(struct keyed_entry *entry));

#endif
