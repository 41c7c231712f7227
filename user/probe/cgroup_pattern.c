/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/cgroup_pattern.h"

#include <string.h>

static uint64_t *places_of(struct cgroup_patterns *patterns, const char *text, size_t length)
{
	struct cgroup_component *component;

	if (length > CONFIG_COMPONENT - 1)
		length = CONFIG_COMPONENT - 1;
	for (size_t i = 0; i < patterns->count; i++) {
		component = &patterns->components[i];
		if (strlen(component->text) == length && !memcmp(component->text, text, length))
			return &component->places;
	}
	component = &patterns->components[patterns->count++];
	memcpy(component->text, text, length);
	return &component->places;
}

bool cgroup_patterns_make(struct cgroup_patterns *patterns, const struct text_list *paths)
{
	unsigned int place = 0;

	memset(patterns, 0, sizeof(*patterns));
	for (size_t i = 0; i < paths->count; i++) {
		size_t length = strlen(paths->texts[i]);

		if (!length)
			return false;
		patterns->lasts |= UINT64_C(1) << place;
		while (length) {
			size_t end = length;

			while (length && paths->texts[i][length - 1] != '/')
				length--;
			*places_of(patterns, paths->texts[i] + length, end - length) |= UINT64_C(1)
											<< place;
			if (length)
				length--; /* the slash */
			if (!length)
				patterns->firsts |= UINT64_C(1) << place;
			if (++place == CGROUP_COMPONENTS && (length || i + 1 < paths->count))
				return false;
		}
	}
	return true;
}
