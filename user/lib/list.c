/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/list.h"

#include <errno.h>
#include <string.h>

#include "lib/cleanup.h"

int number_list_add(struct number_list **list, uint64_t number)
{
	size_t count = *list ? (*list)->count : 0;
	struct number_list *grown;

	grown = realloc(*list, sizeof(*grown) + (count + 1) * sizeof(grown->numbers[0]));
	if (!grown)
		return -ENOMEM;
	grown->numbers[count] = number;
	grown->count = count + 1;
	*list = grown;
	return 0;
}

bool number_list_has(const struct number_list *list, uint64_t number)
{
	for (size_t i = 0; list && i < list->count; i++)
		if (list->numbers[i] == number)
			return true;
	return false;
}

int text_list_add(struct text_list **list, const char *text, size_t length)
{
	size_t count = *list ? (*list)->count : 0;
	CLEANUP_FREE char *copy = strndup(text, length);
	struct text_list *grown;

	if (!copy)
		return -ENOMEM;
	grown = realloc(*list, sizeof(*grown) + (count + 1) * sizeof(grown->texts[0]));
	if (!grown)
		return -ENOMEM;
	grown->texts[count] = TAKE_POINTER(copy);
	grown->count = count + 1;
	*list = grown;
	return 0;
}

bool text_list_has(const struct text_list *list, const char *text, size_t length)
{
	for (size_t i = 0; list && i < list->count; i++)
		if (strlen(list->texts[i]) == length && !memcmp(list->texts[i], text, length))
			return true;
	return false;
}

void text_list_free(struct text_list *list)
{
	for (size_t i = 0; list && i < list->count; i++)
		free(list->texts[i]);
	free(list);
}

int list_split(const char *text, int (*each)(const char *part, void *context), void *context)
{
	CLEANUP_FREE char *copy = strdup(text);
	char *rest = copy, *part;
	int error;

	if (!copy)
		return -ENOMEM;
	while ((part = strsep(&rest, ","))) {
		error = each(part, context);
		if (error)
			return error;
	}
	return 0;
}
