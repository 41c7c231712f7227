/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Short lists that options fill. A NULL list is an empty one; adding to it makes
 * it. They own what is in them; free() frees a number_list.
 */
#ifndef PORTSNOOP_LIST_H
#define PORTSNOOP_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct number_list {
	size_t count;
	uint64_t numbers[];
};

struct text_list {
	size_t count;
	char *texts[]; /* NUL-terminated */
};

/* 0 or -ENOMEM, which leaves the list as it was. */
int number_list_add(struct number_list **list, uint64_t number);
bool number_list_has(const struct number_list *list, uint64_t number);

int text_list_add(struct text_list **list, const char *text, size_t length); /* copies */
bool text_list_has(const struct text_list *list, const char *text, size_t length);
void text_list_free(struct text_list *list);

/* Splits "a,b,c" and calls `each` for each part, NUL-terminated. Stops at the first
 * one that returns an error and returns it. An empty part is given too: to `each`
 * it is as wrong as an empty text. -ENOMEM without memory. */
int list_split(const char *text, int (*each)(const char *part, void *context), void *context);

#endif
